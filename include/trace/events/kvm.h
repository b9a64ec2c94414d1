/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of the core: what every architecture has. Names, fields and their types are what
 * perf, trace-cmd and kvm_stat know; Documentation/virt/kvm/tracing.rst lists them.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm

#if !defined(_TRACE_KVM_CORE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KVM_CORE_H

#include <linux/kvm.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

/* ---- the way to userspace ---------------------------------------------------------------------- */

#define KVM_TRACE_EXIT(name)	{ KVM_EXIT_##name, "KVM_EXIT_" #name }

#define KVM_TRACE_EXITS									\
	KVM_TRACE_EXIT(UNKNOWN), KVM_TRACE_EXIT(EXCEPTION), KVM_TRACE_EXIT(IO),		\
	KVM_TRACE_EXIT(MMIO), KVM_TRACE_EXIT(HLT), KVM_TRACE_EXIT(INTR),		\
	KVM_TRACE_EXIT(IRQ_WINDOW_OPEN), KVM_TRACE_EXIT(NMI), KVM_TRACE_EXIT(DEBUG),	\
	KVM_TRACE_EXIT(SHUTDOWN), KVM_TRACE_EXIT(FAIL_ENTRY),				\
	KVM_TRACE_EXIT(INTERNAL_ERROR), KVM_TRACE_EXIT(SYSTEM_EVENT),			\
	KVM_TRACE_EXIT(HYPERCALL), KVM_TRACE_EXIT(MEMORY_FAULT),			\
	KVM_TRACE_EXIT(DIRTY_RING_FULL), KVM_TRACE_EXIT(NOTIFY),			\
	KVM_TRACE_EXIT(SET_TPR), KVM_TRACE_EXIT(TPR_ACCESS), KVM_TRACE_EXIT(IOAPIC_EOI), \
	KVM_TRACE_EXIT(X86_RDMSR), KVM_TRACE_EXIT(X86_WRMSR),				\
	KVM_TRACE_EXIT(X86_BUS_LOCK), KVM_TRACE_EXIT(AP_RESET_HOLD),			\
	KVM_TRACE_EXIT(HYPERV), KVM_TRACE_EXIT(XEN),					\
	KVM_TRACE_EXIT(DCR), KVM_TRACE_EXIT(OSI), KVM_TRACE_EXIT(EPR),			\
	KVM_TRACE_EXIT(PAPR_HCALL), KVM_TRACE_EXIT(WATCHDOG),				\
	KVM_TRACE_EXIT(S390_SIEIC), KVM_TRACE_EXIT(S390_RESET),				\
	KVM_TRACE_EXIT(S390_UCONTROL), KVM_TRACE_EXIT(S390_TSCH),			\
	KVM_TRACE_EXIT(S390_STSI), KVM_TRACE_EXIT(ARM_NISV),				\
	KVM_TRACE_EXIT(RISCV_SBI), KVM_TRACE_EXIT(RISCV_CSR),				\
	KVM_TRACE_EXIT(LOONGARCH_IOCSR)

/* KVM_RUN returns; with an error the reason is that of an earlier stay. */
TRACE_EVENT(kvm_userspace_exit,
	TP_PROTO(u32 reason, int errno),
	TP_ARGS(reason, errno),

	TP_STRUCT__entry(__field(u32, reason) __field(int, errno)),

	TP_fast_assign(
		__entry->errno = errno;
		__entry->reason = reason;
	),

	TP_printk("reason %s (%d)",
		  __entry->errno == -EINTR ? "restart" : __entry->errno < 0 ? "error" :
		  __print_symbolic(__entry->reason, KVM_TRACE_EXITS),
		  __entry->errno < 0 ? -__entry->errno : (int)__entry->reason)
);

/* ---- asynchronous page faults --------------------------------------------------------------------- */

/* A page would have to be waited for; the second: it is being fetched already. */
DECLARE_EVENT_CLASS(kvm_async_pf_begin_class,
	TP_PROTO(u64 gva, u64 gfn),
	TP_ARGS(gva, gfn),

	TP_STRUCT__entry(__field(u64, gva) __field(u64, gfn)),

	TP_fast_assign(
		__entry->gfn = gfn;
		__entry->gva = gva;
	),

	TP_printk("gva 0x%llx gfn 0x%llx", __entry->gva, __entry->gfn)
);

DEFINE_EVENT(kvm_async_pf_begin_class, kvm_try_async_get_page,
	TP_PROTO(u64 gva, u64 gfn), TP_ARGS(gva, gfn));
DEFINE_EVENT(kvm_async_pf_begin_class, kvm_async_pf_repeated_fault,
	TP_PROTO(u64 gva, u64 gfn), TP_ARGS(gva, gfn));

/* What the guest is told. */
DECLARE_EVENT_CLASS(kvm_async_pf_told_class,
	TP_PROTO(u64 token, u64 gva),
	TP_ARGS(token, gva),

	TP_STRUCT__entry(__field(u64, token) __field(u64, gva)),

	TP_fast_assign(
		__entry->gva = gva;
		__entry->token = token;
	),

	TP_printk("token 0x%llx gva 0x%llx", __entry->token, __entry->gva)
);

DEFINE_EVENT(kvm_async_pf_told_class, kvm_async_pf_not_present,
	TP_PROTO(u64 token, u64 gva), TP_ARGS(token, gva));
DEFINE_EVENT(kvm_async_pf_told_class, kvm_async_pf_ready,
	TP_PROTO(u64 token, u64 gva), TP_ARGS(token, gva));

/* A worker has fetched a page. */
TRACE_EVENT(kvm_async_pf_completed,
	TP_PROTO(unsigned long address, u64 gva),
	TP_ARGS(address, gva),

	TP_STRUCT__entry(__field(unsigned long, address) __field(u64, gva)),

	TP_fast_assign(
		__entry->gva = gva;
		__entry->address = address;
	),

	TP_printk("gva 0x%llx address 0x%lx", __entry->gva, __entry->address)
);

/* ---- halting ------------------------------------------------------------------------------------ */

/* A halt of @ns nanoseconds is over: was there a sleep after the polling? */
TRACE_EVENT(kvm_vcpu_wakeup,
	TP_PROTO(u64 ns, bool waited, bool valid),
	TP_ARGS(ns, waited, valid),

	TP_STRUCT__entry(__field(u64, ns) __field(bool, waited) __field(bool, valid)),

	TP_fast_assign(
		__entry->valid = valid;
		__entry->waited = waited;
		__entry->ns = ns;
	),

	TP_printk("%s %llu ns, %s wakeup", __entry->waited ? "slept" : "polled", __entry->ns,
		  __entry->valid ? "valid" : "spurious")
);

TRACE_EVENT(kvm_halt_poll_ns,
	TP_PROTO(bool grow, unsigned int vcpu_id, unsigned int new, unsigned int old),
	TP_ARGS(grow, vcpu_id, new, old),

	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id) __field(bool, grow)
		__field(unsigned int, old) __field(unsigned int, new)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->old = old;
		__entry->new = new;
		__entry->grow = grow;
	),

	TP_printk("vcpu %u halt_poll_ns %s %u -> %u", __entry->vcpu_id,
		  __entry->grow ? "grows" : "shrinks", __entry->old, __entry->new)
);

/* ---- interrupts ----------------------------------------------------------------------------------- */

/* A source sets a line to @level: KVM_*_IRQ_SOURCE_ID. */
TRACE_EVENT(kvm_set_irq,
	TP_PROTO(unsigned int gsi, int level, int irq_source_id),
	TP_ARGS(gsi, level, irq_source_id),

	TP_STRUCT__entry(
		__field(unsigned int, gsi) __field(int, level) __field(int, irq_source_id)
	),

	TP_fast_assign(
		__entry->irq_source_id = irq_source_id;
		__entry->level = level;
		__entry->gsi = gsi;
	),

	TP_printk("gsi %u level %d source %d", __entry->gsi, __entry->level,
		  __entry->irq_source_id)
);

/* The guest has acknowledged the interrupt of a controller's pin. */
TRACE_EVENT(kvm_ack_irq,
	TP_PROTO(unsigned int irqchip, unsigned int pin),
	TP_ARGS(irqchip, pin),
	TP_STRUCT__entry(__field(unsigned int, irqchip) __field(unsigned int, pin)),
	TP_fast_assign(__entry->pin = pin; __entry->irqchip = irqchip;),
	TP_printk("irqchip %u pin %u", __entry->irqchip, __entry->pin)
);

/* ---- memory-mapped I/O, FPU ----------------------------------------------------------------------- */

/* Values of kvm_mmio's type; perf tells reads from writes by them. */
#define KVM_TRACE_MMIO_READ_UNSATISFIED	0	/* userspace or nobody will answer */
#define KVM_TRACE_MMIO_READ		1
#define KVM_TRACE_MMIO_WRITE		2

/* @val: @len bytes, of which at most 8 are shown, or NULL. */
TRACE_EVENT(kvm_mmio,
	TP_PROTO(int type, int len, u64 gpa, void *val),
	TP_ARGS(type, len, gpa, val),

	TP_STRUCT__entry(
		__field(u32, type) __field(u32, len)
		__field(u64, gpa) __field(u64, val)
	),

	TP_fast_assign(
		__entry->gpa = gpa;
		__entry->type = type;
		__entry->len = len;
		__entry->val = 0;
		if (val && len > 0)
			memcpy(&__entry->val, val, min_t(size_t, len, sizeof(__entry->val)));
	),

	TP_printk("mmio %s len %u gpa 0x%llx val 0x%llx",
		  __print_symbolic(__entry->type,
				   { KVM_TRACE_MMIO_WRITE, "write" }, { KVM_TRACE_MMIO_READ, "read" },
				   { KVM_TRACE_MMIO_READ_UNSATISFIED, "unsatisfied-read" }),
		  __entry->len, __entry->gpa, __entry->val)
);

/* The guest's FPU registers come into the processor (1) or leave it (0). */
TRACE_EVENT(kvm_fpu,
	TP_PROTO(int load),
	TP_ARGS(load),
	TP_STRUCT__entry(__field(u32, load)),
	TP_fast_assign(__entry->load = load;),
	TP_printk("%s", __entry->load ? "load" : "unload")
);

/* ---- what the host's memory management asks for ----------------------------------------------------- */

DECLARE_EVENT_CLASS(kvm_hva_range_class,
	TP_PROTO(unsigned long start, unsigned long end),
	TP_ARGS(start, end),
	TP_STRUCT__entry(__field(unsigned long, start) __field(unsigned long, end)),
	TP_fast_assign(__entry->start = start; __entry->end = end;),
	TP_printk("hva 0x%lx..0x%lx", __entry->start, __entry->end)
);

#define KVM_HVA_RANGE_EVENT(name)							\
DEFINE_EVENT(kvm_hva_range_class, name,							\
	TP_PROTO(unsigned long start, unsigned long end), TP_ARGS(start, end))

KVM_HVA_RANGE_EVENT(kvm_unmap_hva_range);
KVM_HVA_RANGE_EVENT(kvm_age_hva);

#undef KVM_HVA_RANGE_EVENT

TRACE_EVENT(kvm_test_age_hva,
	TP_PROTO(unsigned long hva),
	TP_ARGS(hva),
	TP_STRUCT__entry(__field(unsigned long, hva)),
	TP_fast_assign(__entry->hva = hva;),
	TP_printk("hva 0x%lx", __entry->hva)
);

#endif

#include <trace/define_trace.h>
