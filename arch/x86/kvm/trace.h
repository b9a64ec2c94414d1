/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of x86, common to both vendors. Names, fields and their types are what perf,
 * trace-cmd and kvm_stat know; Documentation/virt/kvm/tracing.rst lists them. Exit reasons are
 * those of the processor: APM 2, appendix C, and SDM 3, appendix C.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH arch/x86/kvm
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#if !defined(_KVM_X86_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _KVM_X86_TRACE_H

#include <linux/kvm_host.h>
#include <linux/tracepoint.h>
#include <asm/svm.h>
#include <asm/vmx.h>

/* ---- entry and exit ----------------------------------------------------------------------------- */

/* Whose exit reasons they are: the isa of kvm_exit. */
#define KVM_ISA_VMX	1
#define KVM_ISA_SVM	2

/* Bits 15:0 of a VMX exit reason name it, those above are flags (SDM 3, 25.9.1). */
#define KVM_TRACE_VMX_BASIC	0xffff

TRACE_EVENT(kvm_entry,
	TP_PROTO(struct kvm_vcpu *vcpu, bool force_immediate_exit),
	TP_ARGS(vcpu, force_immediate_exit),

	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id) __field(unsigned long, rip)
		__field(bool, immediate_exit)
	),

	TP_fast_assign(
		__entry->rip = vcpu->arch.rip;
		__entry->vcpu_id = vcpu->vcpu_id;
		__entry->immediate_exit = force_immediate_exit;
	),

	TP_printk("vcpu %u, rip 0x%lx%s", __entry->vcpu_id, __entry->rip,
		  __entry->immediate_exit ? " [immediate exit]" : "")
);

TRACE_EVENT(kvm_exit,
	TP_PROTO(struct kvm_vcpu *vcpu, u32 isa),
	TP_ARGS(vcpu, isa),

	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id) __field(u32, isa)
		__field(unsigned int, exit_reason) __field(unsigned long, guest_rip)
		__field(u64, info1) __field(u64, info2)
		__field(u32, intr_info) __field(u32, error_code)
	),

	TP_fast_assign(
		struct kvm_exit_info info = { };

		kvm_x86_ops.exit_info(vcpu, &info);
		__entry->vcpu_id = vcpu->vcpu_id;
		__entry->isa = isa;
		__entry->guest_rip = vcpu->arch.rip;
		__entry->exit_reason = info.reason;
		__entry->error_code = info.error_code;
		__entry->intr_info = info.intr_info;
		__entry->info2 = info.info2;
		__entry->info1 = info.info1;
	),

	TP_printk("vcpu %u reason %s%s%s rip 0x%lx info1 0x%016llx info2 0x%016llx "
		  "intr_info 0x%08x error_code 0x%08x", __entry->vcpu_id,
		  __entry->isa == KVM_ISA_SVM ?
			__print_symbolic(__entry->exit_reason, SVM_EXIT_REASONS) :
			__print_symbolic(__entry->exit_reason & KVM_TRACE_VMX_BASIC, VMX_EXIT_REASONS),
		  __entry->isa == KVM_ISA_VMX && (__entry->exit_reason & ~KVM_TRACE_VMX_BASIC) ? " " : "",
		  __entry->isa == KVM_ISA_VMX ?
			__print_flags(__entry->exit_reason & ~KVM_TRACE_VMX_BASIC, " ",
				      VMX_EXIT_REASON_FLAGS) : "",
		  __entry->guest_rip, __entry->info1, __entry->info2, __entry->intr_info,
		  __entry->error_code)
);

/* ---- events given to the guest -------------------------------------------------------------------- */

#define KVM_TRACE_VECTOR(name)	{ name##_VECTOR, "#" #name }

#define KVM_TRACE_VECTORS								\
	KVM_TRACE_VECTOR(PF), KVM_TRACE_VECTOR(GP), KVM_TRACE_VECTOR(UD),		\
	KVM_TRACE_VECTOR(NM), KVM_TRACE_VECTOR(DB), KVM_TRACE_VECTOR(BP),		\
	KVM_TRACE_VECTOR(DE), KVM_TRACE_VECTOR(DF), KVM_TRACE_VECTOR(SS),		\
	KVM_TRACE_VECTOR(NP), KVM_TRACE_VECTOR(TS), KVM_TRACE_VECTOR(AC),		\
	KVM_TRACE_VECTOR(MF), KVM_TRACE_VECTOR(XM), KVM_TRACE_VECTOR(OF),		\
	KVM_TRACE_VECTOR(BR), KVM_TRACE_VECTOR(MC), KVM_TRACE_VECTOR(VE)

TRACE_EVENT(kvm_inj_virq,
	TP_PROTO(unsigned int vector, bool soft, bool reinjected),
	TP_ARGS(vector, soft, reinjected),

	TP_STRUCT__entry(
		__field(unsigned int, vector) __field(bool, soft) __field(bool, reinjected)
	),

	TP_fast_assign(
		__entry->reinjected = reinjected;
		__entry->soft = soft;
		__entry->vector = vector;
	),

	TP_printk("%s 0x%x%s", __entry->soft ? "INTn" : "IRQ", __entry->vector,
		  __entry->reinjected ? " [reinjected]" : "")
);

TRACE_EVENT(kvm_inj_exception,
	TP_PROTO(unsigned int exception, bool has_error, unsigned int error_code, bool reinjected),
	TP_ARGS(exception, has_error, error_code, reinjected),

	TP_STRUCT__entry(
		__field(u8, exception) __field(u8, has_error)
		__field(u32, error_code) __field(bool, reinjected)
	),

	TP_fast_assign(
		__entry->reinjected = reinjected;
		__entry->error_code = error_code;
		__entry->has_error = has_error;
		__entry->exception = exception;
	),

	TP_printk("%s%s %s0x%x", __print_symbolic(__entry->exception, KVM_TRACE_VECTORS),
		  __entry->reinjected ? " [reinjected]" : "",
		  __entry->has_error ? "error_code " : "no error_code ",
		  __entry->has_error ? __entry->error_code : 0)
);

/* ---- memory ------------------------------------------------------------------------------------------ */

TRACE_EVENT(kvm_page_fault,
	TP_PROTO(struct kvm_vcpu *vcpu, u64 fault_address, u64 error_code),
	TP_ARGS(vcpu, fault_address, error_code),

	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id) __field(unsigned long, guest_rip)
		__field(u64, fault_address) __field(u64, error_code)
	),

	TP_fast_assign(
		__entry->error_code = error_code;
		__entry->fault_address = fault_address;
		__entry->guest_rip = vcpu->arch.rip;
		__entry->vcpu_id = vcpu->vcpu_id;
	),

	TP_printk("vcpu %u rip 0x%lx address 0x%016llx error_code 0x%llx", __entry->vcpu_id,
		  __entry->guest_rip, __entry->fault_address, __entry->error_code)
);

/* A write to an address that wants no decoding: an eventfd or device took it. */
TRACE_EVENT(kvm_fast_mmio,
	TP_PROTO(u64 gpa),
	TP_ARGS(gpa),
	TP_STRUCT__entry(__field(u64, gpa)),
	TP_fast_assign(__entry->gpa = gpa;),
	TP_printk("fast mmio at gpa 0x%llx", __entry->gpa)
);

/* ---- instructions that exit -------------------------------------------------------------------------- */

/* Values of kvm_pio's rw; perf tells reads from writes by them. */
#define KVM_PIO_IN	0
#define KVM_PIO_OUT	1

/* @data: the first of @count elements of @size bytes. */
TRACE_EVENT(kvm_pio,
	TP_PROTO(unsigned int rw, unsigned int port, unsigned int size, unsigned int count,
		 const void *data),
	TP_ARGS(rw, port, size, count, data),

	TP_STRUCT__entry(
		__field(unsigned int, rw) __field(unsigned int, port)
		__field(unsigned int, size) __field(unsigned int, count)
		__field(unsigned int, val)
	),

	TP_fast_assign(
		__entry->val = 0;
		memcpy(&__entry->val, data, min_t(size_t, size, sizeof(__entry->val)));
		__entry->count = count;
		__entry->size = size;
		__entry->port = port;
		__entry->rw = rw;
	),

	TP_printk("pio_%s at 0x%x size %u count %u val 0x%x%s",
		  __entry->rw == KVM_PIO_OUT ? "write" : "read", __entry->port, __entry->size,
		  __entry->count, __entry->val, __entry->count > 1 ? " (...)" : "")
);

TRACE_EVENT(kvm_hypercall,
	TP_PROTO(unsigned long nr, unsigned long a0, unsigned long a1, unsigned long a2,
		 unsigned long a3),
	TP_ARGS(nr, a0, a1, a2, a3),

	TP_STRUCT__entry(
		__field(unsigned long, nr) __field(unsigned long, a0) __field(unsigned long, a1)
		__field(unsigned long, a2) __field(unsigned long, a3)
	),

	TP_fast_assign(
		__entry->a0 = a0; __entry->a1 = a1;
		__entry->a2 = a2; __entry->a3 = a3;
		__entry->nr = nr;
	),

	TP_printk("nr 0x%lx a0 0x%lx a1 0x%lx a2 0x%lx a3 0x%lx", __entry->nr,
		  __entry->a0, __entry->a1, __entry->a2, __entry->a3)
);

TRACE_EVENT(kvm_xen_hypercall,
	TP_PROTO(u8 cpl, unsigned long nr, const unsigned long *a),
	TP_ARGS(cpl, nr, a),

	TP_STRUCT__entry(
		__field(u8, cpl) __field(unsigned long, nr)
		__field(unsigned long, a0) __field(unsigned long, a1) __field(unsigned long, a2)
		__field(unsigned long, a3) __field(unsigned long, a4) __field(unsigned long, a5)
	),

	TP_fast_assign(
		__entry->a0 = a[0]; __entry->a1 = a[1]; __entry->a2 = a[2];
		__entry->a3 = a[3]; __entry->a4 = a[4]; __entry->a5 = a[5];
		__entry->nr = nr;
		__entry->cpl = cpl;
	),

	TP_printk("cpl %d nr 0x%lx a0 0x%lx a1 0x%lx a2 0x%lx a3 0x%lx a4 0x%lx a5 %lx",
		  __entry->cpl, __entry->nr, __entry->a0, __entry->a1, __entry->a2, __entry->a3,
		  __entry->a4, __entry->a5)
);

/* The guest has ended an interrupt without an exit. */
TRACE_EVENT(kvm_pv_eoi,
	TP_PROTO(u32 apicid, int vector),
	TP_ARGS(apicid, vector),

	TP_STRUCT__entry(__field(u32, apicid) __field(int, vector)),

	TP_fast_assign(
		__entry->vector = vector;
		__entry->apicid = apicid;
	),

	TP_printk("apic %x vector %d", __entry->apicid, __entry->vector)
);

/* A vcpu that was preempted runs again: did others want it to flush its TLB first? */
TRACE_EVENT(kvm_pv_tlb_flush,
	TP_PROTO(unsigned int vcpu_id, bool need_flush_tlb),
	TP_ARGS(vcpu_id, need_flush_tlb),

	TP_STRUCT__entry(__field(unsigned int, vcpu_id) __field(bool, need_flush_tlb)),

	TP_fast_assign(
		__entry->need_flush_tlb = need_flush_tlb;
		__entry->vcpu_id = vcpu_id;
	),

	TP_printk("vcpu %u need_flush_tlb %s", __entry->vcpu_id,
		  __entry->need_flush_tlb ? "true" : "false")
);

TRACE_EVENT(kvm_cpuid,
	TP_PROTO(unsigned int function, unsigned int index, unsigned long rax, unsigned long rbx,
		 unsigned long rcx, unsigned long rdx, bool found, bool used_max_basic),
	TP_ARGS(function, index, rax, rbx, rcx, rdx, found, used_max_basic),

	TP_STRUCT__entry(
		__field(unsigned int, function) __field(unsigned int, index)
		__field(unsigned long, rax) __field(unsigned long, rbx)
		__field(unsigned long, rcx) __field(unsigned long, rdx)
		__field(bool, found) __field(bool, used_max_basic)
	),

	TP_fast_assign(
		__entry->function = function; __entry->index = index;
		__entry->rax = rax; __entry->rbx = rbx;
		__entry->rcx = rcx; __entry->rdx = rdx;
		__entry->found = found; __entry->used_max_basic = used_max_basic;
	),

	TP_printk("func %x idx %x rax %lx rbx %lx rcx %lx rdx %lx, cpuid entry %s%s",
		  __entry->function, __entry->index, __entry->rax, __entry->rbx, __entry->rcx,
		  __entry->rdx, __entry->found ? "found" : "not found",
		  __entry->used_max_basic ? ", used max basic" : "")
);

/* @exception: the access gave #GP. */
TRACE_EVENT(kvm_msr,
	TP_PROTO(bool write, u32 ecx, u64 data, bool exception),
	TP_ARGS(write, ecx, data, exception),

	TP_STRUCT__entry(
		__field(unsigned int, write) __field(u32, ecx)
		__field(u64, data) __field(u8, exception)
	),

	TP_fast_assign(
		__entry->exception = exception;
		__entry->data = data;
		__entry->ecx = ecx;
		__entry->write = write;
	),

	TP_printk("msr_%s %x = 0x%llx%s", __entry->write ? "write" : "read", __entry->ecx,
		  __entry->data, __entry->exception ? " (#GP)" : "")
);

/* @rw: 0 for a read of CR@cr. */
TRACE_EVENT(kvm_cr,
	TP_PROTO(unsigned int rw, unsigned int cr, unsigned long val),
	TP_ARGS(rw, cr, val),

	TP_STRUCT__entry(
		__field(unsigned int, cr) __field(unsigned int, rw) __field(unsigned long, val)
	),

	TP_fast_assign(
		__entry->val = val;
		__entry->rw = rw;
		__entry->cr = cr;
	),

	TP_printk("cr_%s %x = 0x%lx", __entry->rw ? "write" : "read", __entry->cr, __entry->val)
);

/* ---- emulation ----------------------------------------------------------------------------------------- */

/*
 * Bits of kvm_emulate_insn's flags; from them trace-cmd knows how to disassemble insn. Plain
 * numbers, because they end in the event's format, which tools parse.
 */
#define KVM_TRACE_INSN_PE	1	/* CR0.PE */
#define KVM_TRACE_INSN_VM	2	/* RFLAGS.VM */
#define KVM_TRACE_INSN_D	4	/* CS.D */
#define KVM_TRACE_INSN_L	8	/* CS.L */

#define KVM_TRACE_INSN_LEN	15

/* @bytes: the @len bytes of the instruction that were fetched; at most 15 are kept. */
TRACE_EVENT(kvm_emulate_insn,
	TP_PROTO(u64 rip, u32 csbase, unsigned int len, const u8 *bytes, u8 flags, bool failed),
	TP_ARGS(rip, csbase, len, bytes, flags, failed),

	TP_STRUCT__entry(
		__field(u64, rip) __field(u32, csbase) __field(u8, len)
		__array(u8, insn, KVM_TRACE_INSN_LEN)
		__field(u8, flags) __field(u8, failed)
	),

	TP_fast_assign(
		__entry->csbase = csbase;
		__entry->rip = rip;
		__entry->failed = failed;
		__entry->flags = flags;
		__entry->len = min_t(unsigned int, len, KVM_TRACE_INSN_LEN);
		memset(__entry->insn, 0, KVM_TRACE_INSN_LEN);
		memcpy(__entry->insn, bytes, __entry->len);
	),

	TP_printk("%x:%llx:%s (%s)%s", __entry->csbase, __entry->rip,
		  __print_hex(__entry->insn, __entry->len),
		  __print_symbolic(__entry->flags,
				   { 0, "real" },
				   { KVM_TRACE_INSN_PE | KVM_TRACE_INSN_VM, "vm16" },
				   { KVM_TRACE_INSN_PE, "prot16" },
				   { KVM_TRACE_INSN_PE | KVM_TRACE_INSN_D, "prot32" },
				   { KVM_TRACE_INSN_PE | KVM_TRACE_INSN_L, "prot64" }),
		  __entry->failed ? " failed" : "")
);

/* ---- system management mode --------------------------------------------------------------------------- */

TRACE_EVENT(kvm_smm_transition,
	TP_PROTO(unsigned int vcpu_id, u64 smbase, bool entering),
	TP_ARGS(vcpu_id, smbase, entering),

	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id) __field(u64, smbase) __field(bool, entering)
	),

	TP_fast_assign(
		__entry->entering = entering;
		__entry->smbase = smbase;
		__entry->vcpu_id = vcpu_id;
	),

	TP_printk("vcpu %u: %s SMM, smbase 0x%llx", __entry->vcpu_id,
		  __entry->entering ? "entering" : "leaving", __entry->smbase)
);

TRACE_EVENT(kvm_ple_window_update,
	TP_PROTO(unsigned int vcpu_id, unsigned int new, unsigned int old),
	TP_ARGS(vcpu_id, new, old),

	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id) __field(unsigned int, new) __field(unsigned int, old)
	),

	TP_fast_assign(
		__entry->old = old;
		__entry->new = new;
		__entry->vcpu_id = vcpu_id;
	),

	TP_printk("vcpu %u old %u new %u%s", __entry->vcpu_id, __entry->old, __entry->new,
		  __entry->new > __entry->old ? " longer" : "")
);

/* ---- time ------------------------------------------------------------------------------------------------ */

TRACE_EVENT(kvm_write_tsc_offset,
	TP_PROTO(unsigned int vcpu_id, u64 previous_tsc_offset, u64 next_tsc_offset),
	TP_ARGS(vcpu_id, previous_tsc_offset, next_tsc_offset),

	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id)
		__field(u64, previous_tsc_offset) __field(u64, next_tsc_offset)
	),

	TP_fast_assign(
		__entry->next_tsc_offset = next_tsc_offset;
		__entry->previous_tsc_offset = previous_tsc_offset;
		__entry->vcpu_id = vcpu_id;
	),

	TP_printk("vcpu=%u prev=%llu next=%llu", __entry->vcpu_id,
		  __entry->previous_tsc_offset, __entry->next_tsc_offset)
);

#endif

#include <trace/define_trace.h>
