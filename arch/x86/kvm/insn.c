// SPDX-License-Identifier: GPL-2.0
/*
 * Running an instruction of a vcpu in the emulator: when, with what it is told beforehand, how an
 * instruction that touches devices waits for userspace, and what becomes of its result. The
 * emulator itself is in emulate/; its restart model, which this file serves, is described in
 * Documentation/virt/kvm/x86/emulator.rst.
 *
 * Reads that only userspace can answer are logged: the instruction stops, KVM_RUN returns with
 * KVM_EXIT_MMIO or KVM_EXIT_IO, and when it is called again the same decoded instruction runs from
 * its beginning with the answer taken from the log. Writes are queued while the instruction runs
 * and handed out, in order, when it is complete. KVM API document, section 5 (KVM_EXIT_MMIO).
 */
#include <linux/slab.h>
#include <asm/debugreg.h>
#include <asm/trapnr.h>

#include "insn.h"
#include "irqchip/irqchip.h"
#include "mmu/mmu.h"
#include "trace.h"
#include <trace/events/kvm.h>

static const struct emu_ops vcpu_ops = {
	.fetch = kvm_emu_fetch,
	.read = kvm_emu_read,
	.write = kvm_emu_write,
	.probe_read = kvm_emu_probe_read,
	.probe_write = kvm_emu_probe_write,
	.cmpxchg = kvm_emu_cmpxchg,
	.checkpoint = kvm_emu_checkpoint,
	.pio_in = kvm_emu_pio_in,
	.pio_out = kvm_emu_pio_out,
	.get_segment = kvm_emu_get_segment,
	.set_segment = kvm_emu_set_segment,
	.get_dt = kvm_emu_get_dt,
	.set_dt = kvm_emu_set_dt,
	.get_cr = kvm_emu_get_cr,
	.set_cr = kvm_emu_set_cr,
	.get_dr = kvm_emu_get_dr,
	.set_dr = kvm_emu_set_dr,
	.get_msr = kvm_emu_get_msr,
	.set_msr = kvm_emu_set_msr,
	.get_state_msr = kvm_emu_get_state_msr,
	.set_state_msr = kvm_emu_set_state_msr,
	.get_xcr = kvm_emu_get_xcr,
	.set_xcr = kvm_emu_set_xcr,
	.end_local_breakpoints = kvm_emu_end_local_breakpoints,
	.cpuid = kvm_emu_cpuid,
	.rdtsc = kvm_emu_rdtsc,
	.rdpmc = kvm_emu_rdpmc,
	.halt = kvm_emu_halt,
	.invlpg = kvm_emu_invlpg,
	.flush_tlb = kvm_emu_flush_tlb,
	.get_pkru = kvm_emu_get_pkru,
	.set_pkru = kvm_emu_set_pkru,
	.wbinvd = kvm_emu_wbinvd,
	.mwait = kvm_emu_mwait,
	.leave_smm = kvm_emu_leave_smm,
	.hypercall = kvm_emu_hypercall,
	.get_vector = kvm_emu_get_vector,
	.set_vector = kvm_emu_set_vector,
	.get_fpu = kvm_emu_get_fpu,
	.set_fpu = kvm_emu_set_fpu,
	.get_xcr0 = kvm_emu_get_xcr0,
};

/* ---- running an instruction ------------------------------------------------------------------ */

static __always_inline enum emu_mode current_mode(struct kvm_vcpu *vcpu,
						  const struct emu_segment *cs)
{
	if (!is_protected(vcpu))
		return EMU_REAL;
	if (vcpu->arch.rflags & X86_EFLAGS_VM)
		return EMU_VM86;
	if ((cs->attr & EMU_ATTR_L) && is_long_mode(vcpu))
		return EMU_LONG64;
	return cs->attr & EMU_ATTR_DB ? EMU_PROT32 : EMU_PROT16;
}

static struct kvm_x86_emulation *emulation_begin(struct kvm_vcpu *vcpu, gpa_t gpa,
						 unsigned int flags, const void *bytes, int n)
{
	struct kvm_x86_emulation *em = vcpu->arch.emulation;
	struct emulator *emu;

	if (unlikely(!em)) {
		em = kzalloc(sizeof(*em), GFP_KERNEL_ACCOUNT);
		if (!em)
			return NULL;
		em->vcpu = vcpu;
		em->emu.ops = &vcpu_ops;
		em->emu.gpr = vcpu->arch.regs;
		vcpu->arch.emulation = em;
	}
	emu = &em->emu;
	emu->rip = vcpu->arch.rip;
	em->start_rip = emu->rip;
	emu->rflags = vcpu->arch.rflags;
	vendor(read_segment)(vcpu, KVM_CS, &emu->seg[EMU_CS]);
	emu->seg_valid = BIT(EMU_CS);
	emu->mode = current_mode(vcpu, &emu->seg[EMU_CS]);
	emu->cpl = vendor(cpl)(vcpu);
	emu->insn.available = min(n, EMU_MAX_LENGTH);
	emu->insn.amd = vcpu->arch.cpuid.vendor_amd;
	if (n > 0)
		memcpy(emu->insn.bytes, bytes, emu->insn.available);

	em->fault_gpa = flags & KVM_EMULATE_PF ? gpa : INVALID_GPA;
	em->writes_table = flags & KVM_EMULATE_TABLE;
	em->next_read = 0;
	em->reads.nr = 0;
	em->reads.done = 0;
	em->writes.nr = 0;
	em->writes.done = 0;
	em->pio_answered = false;
	em->msr = MSR_NOT_ASKED;
	em->pio_out = false;
	em->halt = false;
	em->traps = 0;
	return em;
}

static void trace_insn(struct kvm_x86_emulation *em, bool failed)
{
	static const u8 flags[] = {
		[EMU_REAL] = 0,
		[EMU_VM86] = KVM_TRACE_INSN_PE | KVM_TRACE_INSN_VM,
		[EMU_PROT16] = KVM_TRACE_INSN_PE,
		[EMU_PROT32] = KVM_TRACE_INSN_PE | KVM_TRACE_INSN_D,
		[EMU_LONG64] = KVM_TRACE_INSN_PE | KVM_TRACE_INSN_L,
	};
	const struct emulator *emu = &em->emu;

	if (!trace_kvm_emulate_insn_enabled())
		return;
	trace_kvm_emulate_insn(emu->rip, vendor(segment_base)(em->vcpu, KVM_CS),
			       failed ? emu->insn.available : emu->insn.length, emu->insn.bytes,
			       flags[emu->mode], failed);
}

static void fill_failure(struct kvm_x86_emulation *em)
{
	struct kvm_run *run = em->vcpu->run;
	struct kvm_exit_info info;
	u32 n = em->emu.insn.available;
	u64 data[4];

	kvm_x86_ops.exit_info(em->vcpu, &info);
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.flags = 0;
	memset(run->internal.data, 0, sizeof(run->internal.data));
	run->emulation_failure.ndata = 1;
	if (n) {
		BUILD_BUG_ON(sizeof(run->emulation_failure.insn_bytes) != EMU_MAX_LENGTH);
		run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
		run->emulation_failure.insn_size = n;
		memset(run->emulation_failure.insn_bytes, 0x90, EMU_MAX_LENGTH);
		memcpy(run->emulation_failure.insn_bytes, em->emu.insn.bytes, n);
		run->emulation_failure.ndata = 3;
	}
	/* For whoever debugs it: the exit that led here, in words userspace need not understand. */
	data[0] = info.reason;
	data[1] = info.info1;
	data[2] = info.info2;
	data[3] = info.intr_info | (u64)info.error_code << 32;
	memcpy(&run->internal.data[run->emulation_failure.ndata], data, sizeof(data));
	run->emulation_failure.ndata += ARRAY_SIZE(data);
}

/* The instruction is beyond the emulator. Guest user code must not be able to stop the machine. */
static int emulation_failed(struct kvm_x86_emulation *em, unsigned int flags)
{
	struct kvm_vcpu *vcpu = em->vcpu;

	/* Without a table of ours made of it, the guest can do the write by itself. */
	if (em->writes_table && kvm_mmu_release_table(vcpu, gpa_to_gfn(em->fault_gpa)))
		return 1;
	vcpu->stat.insn_emulation_fail++;
	trace_insn(em, true);
	if (!vcpu->kvm->arch.exit_on_emulation_error && !(flags & KVM_EMULATE_SKIP)) {
		kvm_queue_exception(vcpu, UD_VECTOR);
		if (vendor(cpl)(vcpu))
			return 1;
	}
	fill_failure(em);
	return 0;
}

static void raise_fault(struct kvm_x86_emulation *em)
{
	const struct emu_fault *f = &em->emu.fault;
	struct kvm_vcpu *vcpu = em->vcpu;

	if (f->vector == PF_VECTOR)
		kvm_queue_page_fault(vcpu, f->error, f->address);
	else if (f->vector == DB_VECTOR)
		kvm_queue_exception_payload(vcpu, DB_VECTOR, f->address);
	else if (f->has_error)
		kvm_queue_exception_error(vcpu, f->vector, f->error);
	else
		kvm_queue_exception(vcpu, f->vector);
}

static void exit_mmio(struct kvm_x86_emulation *em, struct mmio_piece *p, bool write)
{
	struct kvm_run *run = em->vcpu->run;

	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = p->gpa;
	run->mmio.len = p->len;
	run->mmio.is_write = write;
	if (write)
		memcpy(run->mmio.data, p->data, sizeof(p->data));
	em->vcpu->stat.mmio_exits++;
}

static int deliver_writes(struct kvm_x86_emulation *em);

/* All that the instruction did has been done: debug exceptions, which are traps, and waiting. */
static int leave_insn(struct kvm_x86_emulation *em)
{
	struct kvm_vcpu *vcpu = em->vcpu;
	int r;

	if (unlikely(em->traps)) {
		r = kvm_debug_report(vcpu, em->traps);
		if (r <= 0)
			return r;
	}
	if (unlikely(em->halt)) {
		vcpu->stat.halt_exits++;
		return kvm_halted(vcpu);
	}
	return 1;
}

static int complete_write(struct kvm_vcpu *vcpu)
{
	struct kvm_x86_emulation *em = vcpu->arch.emulation;

	em->writes.done++;
	return deliver_writes(em);
}

static int complete_out(struct kvm_vcpu *vcpu)
{
	vcpu->arch.emulation->pio_out = false;
	return leave_insn(vcpu->arch.emulation);
}

/* The instruction is complete but for its writes to devices. */
static int deliver_writes(struct kvm_x86_emulation *em)
{
	struct mmio_queue *q = &em->writes;
	struct kvm_vcpu *vcpu = em->vcpu;
	struct mmio_piece *p;

	for (; q->done < q->nr; q->done++) {
		p = &q->piece[q->done];
		trace_kvm_mmio(KVM_TRACE_MMIO_WRITE, p->len, p->gpa, p->data);
		if (kvm_lapic_mmio(vcpu, p->gpa, p->len, p->data, true) ||
		    !kvm_io_bus_write(vcpu, KVM_MMIO_BUS, p->gpa, p->len, p->data))
			continue;
		exit_mmio(em, p, true);
		vcpu->arch.complete_io = complete_write;
		return 0;
	}
	if (em->pio_out) {
		/* kvm_run was filled when the instruction ran; MMIO exits may have come since. */
		kvm_prepare_pio_exit(vcpu, vcpu->arch.pio.port, vcpu->arch.pio.size, false,
				     vcpu->arch.pio.count);
		vcpu->stat.io_exits++;
		vcpu->arch.complete_io = complete_out;
		return 0;
	}
	return leave_insn(em);
}

static int execute(struct kvm_x86_emulation *em);

static int complete_read(struct kvm_vcpu *vcpu)
{
	struct kvm_x86_emulation *em = vcpu->arch.emulation;
	struct mmio_queue *log = &em->reads;
	struct mmio_piece *p = &log->piece[log->done];

	memcpy(p->data, vcpu->run->mmio.data, p->len);
	trace_kvm_mmio(KVM_TRACE_MMIO_READ, p->len, p->gpa, p->data);
	log->done++;
	/* The vcpu was moved while userspace had it: the instruction is no more. */
	if (vcpu->arch.rip != em->emu.rip)
		return 1;
	return execute(em);
}

static int complete_in(struct kvm_vcpu *vcpu)
{
	struct kvm_x86_emulation *em = vcpu->arch.emulation;

	em->pio_answered = true;
	if (vcpu->arch.rip != em->emu.rip)
		return 1;
	return execute(em);
}

static int complete_msr(struct kvm_vcpu *vcpu)
{
	struct kvm_x86_emulation *em = vcpu->arch.emulation;

	em->msr = MSR_ANSWERED;
	if (vcpu->arch.rip != em->emu.rip)
		return 1;
	return execute(em);
}

static int wait_for_userspace(struct kvm_x86_emulation *em)
{
	struct mmio_queue *log = &em->reads;
	struct kvm_vcpu *vcpu = em->vcpu;
	struct mmio_piece *p;

	if (em->msr == MSR_ASKED) {
		vcpu->arch.complete_io = complete_msr;
		return 0;
	}
	if (log->done == log->nr) {
		vcpu->stat.io_exits++;
		vcpu->arch.complete_io = complete_in;
		return 0;
	}
	p = &log->piece[log->done];
	trace_kvm_mmio(KVM_TRACE_MMIO_READ_UNSATISFIED, p->len, p->gpa, NULL);
	exit_mmio(em, p, false);
	vcpu->arch.complete_io = complete_read;
	return 0;
}

/* rip, rflags and registers of a completed instruction, or of a string between two rounds. */
static void commit(struct kvm_x86_emulation *em)
{
	struct kvm_vcpu *vcpu = em->vcpu;

	vcpu->arch.rip = em->emu.rip;
	vcpu->arch.rflags = em->emu.rflags;
}

/* INT n and its kin clear TF before a trap could be taken; behind MOV SS none is. */
static bool steps(const struct kvm_x86_emulation *em, unsigned long rflags_before)
{
	const struct emu_insn *insn = &em->emu.insn;

	if (likely(!(rflags_before & X86_EFLAGS_TF)) || (em->emu.shadow & EMU_SHADOW_SS))
		return false;
	return insn->map || !((insn->opcode >= 0xcc && insn->opcode <= 0xce) || insn->opcode == 0xf1);
}

static void set_shadow(struct kvm_vcpu *vcpu, u8 shadow)
{
	vendor(set_interrupt_shadow)(vcpu, (shadow & EMU_SHADOW_STI ? KVM_X86_SHADOW_INT_STI : 0) |
				     (shadow & EMU_SHADOW_SS ? KVM_X86_SHADOW_INT_MOV_SS : 0));
}

static int finish(struct kvm_x86_emulation *em, unsigned long rflags_before)
{
	struct kvm_vcpu *vcpu = em->vcpu;

	commit(em);
	set_shadow(vcpu, em->emu.shadow);
	if (unlikely(em->emu.nmi_unblocked))
		kvm_x86_ops.set_nmi_mask(vcpu, false);
	/* IF may be set now: windows are to be looked at. */
	if (unlikely((em->emu.rflags ^ rflags_before) & X86_EFLAGS_IF))
		kvm_request(vcpu, KVM_REQ_EVENT);
	em->traps |= em->emu.trap;
	if (unlikely(steps(em, rflags_before)))
		em->traps |= DR_STEP;
	return deliver_writes(em);
}

/* Stopped, and to be run again: after a round of a string instruction, or a lost race. */
static int pause_insn(struct kvm_x86_emulation *em, unsigned long rflags_before)
{
	commit(em);
	if (!em->iterated) {
		em->traps = 0;
	} else {
		set_shadow(em->vcpu, 0);
		if (unlikely(rflags_before & X86_EFLAGS_TF))
			em->traps |= DR_STEP;
	}
	return deliver_writes(em);
}

static int execute(struct kvm_x86_emulation *em)
{
	struct kvm_vcpu *vcpu = em->vcpu;
	unsigned long rflags = vcpu->arch.rflags;

	kvm_srcu_lock(vcpu);
	em->next_read = 0;
	em->iterated = false;
	em->traps = 0;
	switch (emu_execute(&em->emu)) {
	case EMU_DONE:
		return finish(em, rflags);
	case EMU_AGAIN:
		return pause_insn(em, rflags);
	case EMU_PENDING:
		commit(em);
		return wait_for_userspace(em);
	case EMU_FAULT:
		commit(em);
		raise_fault(em);
		return 1;
	default:
		return emulation_failed(em, 0);
	}
}

/* ---- doorbells that take any width ----------------------------------------------------------- */

/* A MOV to memory, within a page, that faulted where it begins. */
static bool is_plain_store(const struct kvm_x86_emulation *em)
{
	const struct emu_insn *insn = &em->emu.insn;

	if (insn->map || !insn->is_mem || offset_in_page(insn->ea) != offset_in_page(em->fault_gpa) ||
	    offset_in_page(insn->ea) + insn->size > PAGE_SIZE)
		return false;
	switch (insn->opcode) {
	case 0x88 ... 0x89:
	case 0xa2 ... 0xa3:
	case 0xc6 ... 0xc7:
		return true;
	default:
		return false;
	}
}

/*
 * True if the write is done as soon as it is known where the next instruction is: neither value
 * nor width matter. Whatever does more than to write is emulated as ever, and so finds the same
 * device on the MMIO bus.
 */
static bool rings_doorbell(struct kvm_x86_emulation *em)
{
	struct kvm_vcpu *vcpu = em->vcpu;

	if (em->fault_gpa == INVALID_GPA || !is_plain_store(em) ||
	    kvm_io_bus_write(vcpu, KVM_FAST_MMIO_BUS, em->fault_gpa, 0, NULL))
		return false;
	trace_kvm_fast_mmio(em->fault_gpa);
	return true;
}

/* The instruction has had its effect. */
static int go_on_behind(struct kvm_x86_emulation *em)
{
	unsigned long rflags = em->emu.rflags;

	em->emu.rip = em->emu.next_rip;
	em->emu.rflags &= ~X86_EFLAGS_RF;
	em->emu.shadow = 0;
	em->emu.nmi_unblocked = false;
	em->emu.trap = 0;
	return finish(em, rflags);
}

/* ---- entry points ---------------------------------------------------------------------------- */

/* Bytes of code that may lie in two pages; false if they cannot be had. */
static bool fetch_across(struct emulator *emu, u64 linear, u8 *buf, unsigned int n)
{
	unsigned int first = min_t(unsigned int, n, PAGE_SIZE - offset_in_page(linear));

	if (kvm_emu_fetch(emu, linear, buf, first) != EMU_DONE)
		return false;
	return first == n || kvm_emu_fetch(emu, linear + first, buf + first, n - first) == EMU_DONE;
}

/*
 * ud2 and "kvm" in front of an instruction have it emulated, if the parameter allows. The #UD set
 * RF, which keeps code breakpoints from the instruction unless the parameter says otherwise.
 */
static bool strip_forced_prefix(struct kvm_x86_emulation *em)
{
	static const u8 prefix[] = { 0x0f, 0x0b, 'k', 'v', 'm' };
	unsigned int forced = READ_ONCE(force_emulation_prefix);
	struct kvm_vcpu *vcpu = em->vcpu;
	struct emulator *emu = &em->emu;
	u8 bytes[sizeof(prefix)];

	if (likely(!forced))
		return false;
	if (!fetch_across(emu, kvm_linear_rip(vcpu), bytes, sizeof(bytes)) ||
	    memcmp(bytes, prefix, sizeof(prefix)))
		return false;
	vcpu->arch.rip += sizeof(prefix);
	if (forced & FORCED_CLEAR_RF)
		vcpu->arch.rflags &= ~X86_EFLAGS_RF;
	emu->rip = vcpu->arch.rip;
	emu->rflags = vcpu->arch.rflags;
	emu->insn.available = 0;
	return true;
}

/* Which instructions an #UD may be rescued for: those told in KVM_GET_EMULATED_CPUID, hypercalls. */
static bool rescued_from_ud(struct kvm_vcpu *vcpu, const struct emu_insn *insn)
{
	/* VMX knows of no RSM but the host's. */
	if (insn->map == 1 && insn->opcode == 0xaa)
		return kvm_in_smm(vcpu);
	if (insn->map == 1 && insn->opcode == 0x01)
		return insn->bytes[insn->length - 1] == 0xc1 || insn->bytes[insn->length - 1] == 0xd9;
	return insn->map == 2 && (insn->opcode == 0xf0 || insn->opcode == 0xf1);	/* MOVBE */
}

/*
 * Breakpoints on the instruction itself, which come before it. The processor has looked at them if
 * it began the instruction, and RF says that they have had their turn.
 */
static u32 code_breakpoints(struct kvm_vcpu *vcpu)
{
	if (likely(!(vcpu->arch.switch_db_regs & KVM_DEBUGREG_BP)) ||
	    (vcpu->arch.rflags & X86_EFLAGS_RF) ||
	    (vendor(interrupt_shadow)(vcpu) & KVM_X86_SHADOW_INT_MOV_SS))
		return 0;
	return kvm_debug_match(vcpu, kvm_linear_rip(vcpu), 1, KVM_BP_CODE);
}

int kvm_emulate_insn(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int flags, const void *bytes, int n)
{
	struct kvm_x86_emulation *em;
	bool forced = false;
	u32 hits;
	int r;

	kvm_srcu_lock(vcpu);
	em = emulation_begin(vcpu, gpa, flags, bytes, n);
	if (unlikely(!em))
		return -ENOMEM;
	vcpu->stat.insn_emulation++;
	if (flags & KVM_EMULATE_UD)
		forced = strip_forced_prefix(em);
	if (!(flags & KVM_EMULATE_SKIP)) {
		hits = code_breakpoints(vcpu);
		if (unlikely(hits))
			return kvm_debug_report(vcpu, hits);
	}

	if (!em->emu.insn.available)
		kvm_emu_fetch_ahead(&em->emu);
	r = emu_decode(&em->emu);
	if (unlikely(r == EMU_FAULT && !(flags & KVM_EMULATE_UD && !forced &&
					 em->emu.fault.vector != PF_VECTOR))) {
		raise_fault(em);
		return 1;
	}
	if ((flags & KVM_EMULATE_UD) && !forced &&
	    (r != EMU_DONE || !rescued_from_ud(vcpu, &em->emu.insn))) {
		kvm_queue_exception(vcpu, UD_VECTOR);
		return 1;
	}
	if (unlikely(r != EMU_DONE))
		return emulation_failed(em, flags);
	if (flags & KVM_EMULATE_SKIP) {
		vcpu->arch.rip = em->emu.next_rip;
		vendor(set_interrupt_shadow)(vcpu, 0);
		return 1;
	}
	if (rcu_access_pointer(vcpu->kvm->buses[KVM_FAST_MMIO_BUS]) && rings_doorbell(em))
		return go_on_behind(em);
	trace_insn(em, false);
	return execute(em);
}
EXPORT_SYMBOL_GPL(kvm_emulate_insn);

/* ---- tasks and events ------------------------------------------------------------------------ */

/* The state of the vcpu is what the emulator has left, be it good or the place of a fault. */
static int leave_transfer(struct kvm_x86_emulation *em, int r, unsigned long rflags_before)
{
	switch (r) {
	case EMU_DONE:
		kvm_clear_injected(em->vcpu);
		return finish(em, rflags_before & ~X86_EFLAGS_TF);
	case EMU_FAULT:
		commit(em);
		raise_fault(em);
		return 1;
	default:
		/* Descriptors or stacks in device memory: there is no instruction to wait with. */
		em->emu.insn.available = 0;
		fill_failure(em);
		return 0;
	}
}

int kvm_emulate_task_switch(struct kvm_vcpu *vcpu, u16 selector, unsigned int why, bool by_insn,
			    const u32 *error)
{
	unsigned int length = by_insn ? kvm_insn_length(vcpu) : 0;
	unsigned long rflags = vcpu->arch.rflags;
	struct kvm_x86_emulation *em;
	int r;

	kvm_srcu_lock(vcpu);
	em = emulation_begin(vcpu, INVALID_GPA, 0, NULL, 0);
	if (unlikely(!em))
		return -ENOMEM;
	r = emu_task_switch(&em->emu, selector, why, length, why == EMU_TASK_GATE && !by_insn,
			    error);
	em->emu.nmi_unblocked = why == EMU_TASK_IRET;
	return leave_transfer(em, r, rflags);
}
EXPORT_SYMBOL_GPL(kvm_emulate_task_switch);

int kvm_emulate_event(struct kvm_vcpu *vcpu, u8 vector, bool has_error, u32 error)
{
	unsigned long rflags = vcpu->arch.rflags;
	struct kvm_x86_emulation *em;

	kvm_srcu_lock(vcpu);
	em = emulation_begin(vcpu, INVALID_GPA, 0, NULL, 0);
	if (unlikely(!em))
		return -ENOMEM;
	return leave_transfer(em, emu_interrupt(&em->emu, vector, has_error, error), rflags);
}
EXPORT_SYMBOL_GPL(kvm_emulate_event);

void kvm_emulation_free(struct kvm_vcpu *vcpu)
{
	kfree(vcpu->arch.emulation);
	vcpu->arch.emulation = NULL;
}

/* Up to @n bytes at RIP, not beyond its page. Returns how many. */
static int fetch_at_rip(struct kvm_vcpu *vcpu, u8 *buf, unsigned int n)
{
	unsigned long linear = kvm_linear_rip(vcpu);
	struct kvm_walk_fault fault;
	gpa_t gpa;

	n = min_t(unsigned int, n, PAGE_SIZE - offset_in_page(linear));
	gpa = kvm_walk_gva(vcpu, linear, KVM_PF_FETCH | (vendor(cpl)(vcpu) == 3 ? KVM_PF_USER : 0),
			   &fault);
	if (gpa == INVALID_GPA || kvm_guest_read(vcpu, gpa, buf, n))
		return 0;
	return n;
}

int kvm_insn_length(struct kvm_vcpu *vcpu)
{
	u8 bytes[EMU_MAX_LENGTH];
	bool amd = vcpu->arch.cpuid.vendor_amd;
	struct emu_segment cs;
	enum emu_mode mode;
	unsigned int n, len;

	kvm_srcu_lock(vcpu);
	vendor(read_segment)(vcpu, KVM_CS, &cs);
	mode = current_mode(vcpu, &cs);
	/* Nearly all instructions that exit have two or three bytes. */
	n = fetch_at_rip(vcpu, bytes, 4);
	len = n ? emu_insn_length(bytes, n, mode, amd) : 0;
	if (likely(len))
		return len;
	n = fetch_at_rip(vcpu, bytes, sizeof(bytes));
	return n ? emu_insn_length(bytes, n, mode, amd) : 0;
}
EXPORT_SYMBOL_GPL(kvm_insn_length);

unsigned long kvm_insn_start(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.emulation->start_rip;
}
