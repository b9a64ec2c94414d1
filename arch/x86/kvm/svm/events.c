// SPDX-License-Identifier: GPL-2.0
/*
 * Delivering events to an SVM guest: EVENTINJ, the events an exit cut short (EXITINTINFO),
 * interrupt and NMI windows, shadows. AMD64 APM volume 2, sections 15.20 (event injection),
 * 15.21 (interrupts), 15.7.2 (exceptions and EXITINTINFO) and 8.1.3, 8.2.3 (NMI masking).
 */
#include <asm/debugreg.h>

#include "svm.h"
#include "../trace.h"

static void set_event(struct vcpu_svm *svm, u32 type, u8 vector)
{
	svm->vmcb->control.event_inj = vector | type | SVM_EVTINJ_VALID;
}

/*
 * A processor with NRIP save takes the return address of INT n, INT3 and INTO from nRIP, where the
 * last exit left the instruction after its own; others take RIP (15.20).
 */
static void set_return_address(struct vcpu_svm *svm)
{
	svm->vmcb->control.next_rip = svm->vcpu.arch.rip;
}

void svm_inject_exception(struct kvm_vcpu *vcpu)
{
	struct kvm_exception *ex = &vcpu->arch.exception;
	struct vcpu_svm *svm = to_svm(vcpu);

	set_event(svm, SVM_EVTINJ_TYPE_EXEPT, ex->vector);
	if (ex->vector == BP_VECTOR || ex->vector == OF_VECTOR)
		set_return_address(svm);
	if (ex->has_error_code) {
		svm->vmcb->control.event_inj |= SVM_EVTINJ_VALID_ERR;
		svm->vmcb->control.event_inj_err = ex->error_code;
	}
}

/*
 * The virtual interrupt of the highest priority (15.21.4). With the intercept it is a window: it exits
 * at the first instruction boundary that could take it. Without, it is delivered there.
 */
static void arm_virtual_interrupt(struct vcpu_svm *svm, u8 vector)
{
	struct vmcb_control_area *c = &svm->vmcb->control;

	c->int_vector = vector;
	c->int_ctl |= V_IRQ_MASK | V_IGN_TPR_MASK | V_INTR_PRIO_MASK;
	svm_dirty(svm, SVM_CLEAN_TPR);
}

static void disarm_virtual_interrupt(struct vcpu_svm *svm)
{
	svm->vmcb->control.int_ctl &= ~V_IRQ_INJECTION_BITS_MASK;
	svm_dirty(svm, SVM_CLEAN_TPR);
}

/*
 * EVENTINJ delivers it, except under an emulator: QEMU's (7.2) does so twice for an external interrupt
 * when it is disturbed right after VMRUN. An interrupt that the guest can take at once is a virtual
 * interrupt there: should the processor exit before it takes it, it simply says so in V_IRQ.
 */
void svm_inject_interrupt(struct kvm_vcpu *vcpu, bool reinjected)
{
	struct kvm_interrupt_event *irq = &vcpu->arch.interrupt;
	struct vcpu_svm *svm = to_svm(vcpu);

	trace_kvm_inj_virq(irq->nr, irq->soft, reinjected);
	vcpu->stat.irq_injections++;
	if (irq->soft) {
		set_return_address(svm);
		set_event(svm, SVM_EVTINJ_TYPE_SOFT, irq->nr);
	} else if (!svm_hw.emulated || !svm_interrupt_allowed(vcpu)) {
		set_event(svm, SVM_EVTINJ_TYPE_INTR, irq->nr);
	} else {
		svm_close_irq_window(svm);
		svm->virq_armed = true;
		arm_virtual_interrupt(svm, irq->nr);
	}
}

/* The interrupt is to be delivered by VMRUN itself, before anything else can happen. */
void svm_force_interrupt(struct vcpu_svm *svm)
{
	if (!svm->virq_armed)
		return;
	svm->virq_armed = false;
	disarm_virtual_interrupt(svm);
	set_event(svm, SVM_EVTINJ_TYPE_INTR, svm->vmcb->control.int_vector);
}

void svm_inject_nmi(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	set_event(svm, SVM_EVTINJ_TYPE_NMI, 0);
	vcpu->stat.nmi_injections++;
	svm_set_nmi_mask(vcpu, true);
}

/*
 * An event whose delivery an exit cut short, back into the vcpu. @ours: it was injected. INT n, INT3
 * and INTO of the guest's own are dropped: RIP is still theirs, they simply run again.
 */
static void requeue(struct vcpu_svm *svm, u32 info, u32 error_code, bool ours)
{
	struct kvm_vcpu *vcpu = &svm->vcpu;
	u8 vector = info & SVM_EXITINTINFO_VEC_MASK;

	switch (info & SVM_EXITINTINFO_TYPE_MASK) {
	case SVM_EXITINTINFO_TYPE_NMI:
		vcpu->arch.nmi_injected = true;
		break;
	case SVM_EXITINTINFO_TYPE_EXEPT:
		if ((vector == BP_VECTOR || vector == OF_VECTOR) && !ours)
			break;
		kvm_requeue_exception(vcpu, vector, info & SVM_EXITINTINFO_VALID_ERR, error_code);
		break;
	case SVM_EXITINTINFO_TYPE_INTR:
		kvm_queue_interrupt(vcpu, vector, false);
		break;
	case SVM_EXITINTINFO_TYPE_SOFT:
		if (ours)
			kvm_queue_interrupt(vcpu, vector, true);
		break;
	default:
		break;
	}
}

/* The entry did not take place: the vcpu still knows what it was about to be given. */
void svm_cancel_injection(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	svm->vmcb->control.event_inj = 0;
	if (svm->virq_armed) {
		svm->virq_armed = false;
		disarm_virtual_interrupt(svm);
	}
	/* Before the next attempt the guest may be sent elsewhere, with flags of its own. */
	if (unlikely(svm->nmi_singlestep))
		svm_end_nmi_step(vcpu);
}

/*
 * True if the virtual interrupt waits still: the exit came before its delivery was complete.
 * EXITINTINFO may speak of that delivery as well, and QEMU calls it an exception there. A guest that
 * cannot take it any more has a fault instead, raised by the delivery, after which QEMU leaves V_IRQ.
 */
static bool virq_remains(struct vcpu_svm *svm, u32 info)
{
	struct vmcb_control_area *c = &svm->vmcb->control;
	bool remains = c->int_ctl & V_IRQ_MASK;

	svm->virq_armed = false;
	disarm_virtual_interrupt(svm);
	if (!remains)
		return false;
	if (info & SVM_EXITINTINFO_VALID)
		return (info & SVM_EXITINTINFO_VEC_MASK) == c->int_vector;
	return svm_interrupt_allowed(&svm->vcpu);
}

void svm_recover_events(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);
	u32 info = svm->vmcb->control.exit_int_info;
	bool ours = vcpu->arch.exception.injected || vcpu->arch.interrupt.injected;

	/* Whatever is done about the exit must find the guest's own flags. */
	if (unlikely(svm->nmi_singlestep)) {
		svm_end_nmi_step(vcpu);
		svm->nmi_stepped = svm->vmcb->control.exit_code == SVM_EXIT_EXCP_BASE + DB_VECTOR;
	}

	/* The IRET that ends NMI blocking was intercepted before it ran; has it run by now? */
	if (unlikely(svm->nmi_iret_pending) && vcpu->arch.rip != svm->nmi_iret_rip) {
		svm->nmi_iret_pending = false;
		svm->nmi_blocked = false;
		kvm_request(vcpu, KVM_REQ_EVENT);
	}

	if (svm->virq_armed && virq_remains(svm, info)) {
		vcpu->arch.delivery_cut = info & SVM_EXITINTINFO_VALID;
		kvm_request(vcpu, KVM_REQ_EVENT);
		return;
	}
	kvm_clear_injected(vcpu);
	if (likely(!(info & SVM_EXITINTINFO_VALID)))
		return;
	vcpu->arch.delivery_cut = true;
	requeue(svm, info, svm->vmcb->control.exit_int_info_err, ours);
	kvm_request(vcpu, KVM_REQ_EVENT);
}

/* ---- interrupts ----------------------------------------------------------------------------------- */

u32 svm_interrupt_shadow(struct kvm_vcpu *vcpu)
{
	/* The VMCB has one bit for both kinds. */
	if (to_svm(vcpu)->vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK)
		return KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS;
	return 0;
}

void svm_set_interrupt_shadow(struct kvm_vcpu *vcpu, u32 mask)
{
	struct vmcb_control_area *c = &to_svm(vcpu)->vmcb->control;

	if (mask)
		c->int_state |= SVM_INTERRUPT_SHADOW_MASK;
	else
		c->int_state &= ~SVM_INTERRUPT_SHADOW_MASK;
}

bool svm_interrupt_allowed(struct kvm_vcpu *vcpu)
{
	/* Delivered while TF is ours, it would be pushed with it. */
	return (vcpu->arch.rflags & X86_EFLAGS_IF) && !to_svm(vcpu)->nmi_singlestep &&
	       !(to_svm(vcpu)->vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK);
}

/* There is one virtual interrupt: a window takes it from an interrupt that was given it. */
void svm_open_irq_window(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	/* The end of a step has events looked at again. */
	if (svm->irq_window || svm->nmi_singlestep)
		return;
	svm_force_interrupt(svm);
	svm->irq_window = true;
	arm_virtual_interrupt(svm, 0);
	svm_intercept(svm, INTERCEPT_VINTR);
	svm_update_cr8_intercept(vcpu);
}

void svm_close_irq_window(struct vcpu_svm *svm)
{
	if (!svm->irq_window)
		return;
	svm->irq_window = false;
	disarm_virtual_interrupt(svm);
	svm_no_intercept(svm, INTERCEPT_VINTR);
	svm_update_cr8_intercept(&svm->vcpu);
}

/*
 * Without an interrupt controller in the kernel userspace hears of every write. With one, only what
 * may release an interrupt is of interest. While the virtual interrupt is pending QEMU (7.2) aborts
 * at a write that does not exit.
 */
void svm_update_cr8_intercept(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	if (!vcpu->arch.lapic || vcpu->arch.tpr_blocks || svm->irq_window)
		svm_intercept(svm, INTERCEPT_CR8_WRITE);
	else
		svm_no_intercept(svm, INTERCEPT_CR8_WRITE);
}

/* The guest wrote CR8, which went to V_TPR (15.21.2). */
void svm_take_tpr(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	svm->v_tpr = svm->vmcb->control.int_ctl & V_TPR_MASK;
	kvm_set_cr8(vcpu, svm->v_tpr);
}

/* ---- NMIs ------------------------------------------------------------------------------------------- */

bool svm_get_nmi_mask(struct kvm_vcpu *vcpu)
{
	return to_svm(vcpu)->nmi_blocked;
}

void svm_set_nmi_mask(struct kvm_vcpu *vcpu, bool blocked)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	svm->nmi_blocked = blocked;
	svm->nmi_iret_pending = false;
	if (blocked)
		svm_intercept(svm, INTERCEPT_IRET);
	else
		svm_no_intercept(svm, INTERCEPT_IRET);
}

bool svm_nmi_allowed(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	return !svm->nmi_blocked &&
	       !(svm->vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK);
}

/* The intercept comes before the IRET: note where it is, let it run. */
int svm_handle_iret(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	vcpu->stat.nmi_window_exits++;
	svm_no_intercept(svm, INTERCEPT_IRET);
	svm->nmi_iret_pending = true;
	svm->nmi_iret_rip = vcpu->arch.rip;
	kvm_request(vcpu, KVM_REQ_EVENT);
	return 1;
}

/* While TF is ours the instructions that would show it, or that load it, are emulated without. */
static void intercept_flag_accesses(struct vcpu_svm *svm, bool on)
{
	static const u8 instructions[] = { INTERCEPT_PUSHF, INTERCEPT_POPF, INTERCEPT_INTn };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(instructions); i++) {
		if (on)
			svm_intercept(svm, instructions[i]);
		else
			svm_no_intercept(svm, instructions[i]);
	}
	svm_update_exception_intercepts(&svm->vcpu);
}

/*
 * An NMI waits. While NMIs are blocked the IRET's intercept is the window. After that, or in an
 * interrupt shadow, one instruction has to pass: step over it with TF. The step ends at the next
 * exit, and every exception is one, so that TF is on no frame that the guest can see. (SYSCALL is
 * the one instruction left that could tell, in R11.)
 */
void svm_open_nmi_window(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	if ((svm->nmi_blocked && !svm->nmi_iret_pending) || svm->nmi_singlestep)
		return;
	svm->nmi_step_rflags = vcpu->arch.rflags & (X86_EFLAGS_TF | X86_EFLAGS_RF);
	svm->nmi_step_dr6 = vcpu->arch.dr6;
	svm->nmi_singlestep = true;
	vcpu->arch.rflags |= X86_EFLAGS_TF | X86_EFLAGS_RF;
	intercept_flag_accesses(svm, true);
}

/* RFLAGS are the guest's again: an exit looks at them, or userspace carries them elsewhere. */
void svm_end_nmi_step(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);
	bool loaded_by_iret = svm->nmi_iret_pending && vcpu->arch.rip != svm->nmi_iret_rip;

	svm->nmi_singlestep = false;
	if (!loaded_by_iret)
		vcpu->arch.rflags &= ~(X86_EFLAGS_TF | X86_EFLAGS_RF) | svm->nmi_step_rflags;
	intercept_flag_accesses(svm, false);
	kvm_request(vcpu, KVM_REQ_EVENT);
}

/* True if #DB says no more than that the instruction has passed. */
bool svm_nmi_step_done(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	if (likely(!svm->nmi_stepped))
		return false;
	svm->nmi_stepped = false;
	/* The guest steps as well, or a debugger does. */
	if ((svm->nmi_step_rflags & X86_EFLAGS_TF) ||
	    (vcpu->arch.guest_debug & KVM_GUESTDBG_SINGLESTEP))
		return false;
	vcpu->arch.dr6 &= ~DR_STEP | svm->nmi_step_dr6;
	return vcpu->arch.dr6 == svm->nmi_step_dr6;
}

/* ---- exceptions -------------------------------------------------------------------------------------- */

/* What a single instruction may raise, and is intercepted only to see that it did */
#define FAULTS_WITH_ERROR_CODE \
	(BIT(TS_VECTOR) | BIT(NP_VECTOR) | BIT(SS_VECTOR) | BIT(GP_VECTOR) | BIT(PF_VECTOR))
#define REFLECTED_EXCEPTIONS \
	(FAULTS_WITH_ERROR_CODE | BIT(DE_VECTOR) | BIT(BP_VECTOR) | BIT(OF_VECTOR) | \
	 BIT(BR_VECTOR) | BIT(NM_VECTOR) | BIT(MF_VECTOR) | BIT(X86_TRAP_XF))

/* An exception is the guest's own after all. INT3 and INTO have not run yet (15.12.4, 15.12.5). */
int svm_reflect_exception(struct kvm_vcpu *vcpu, u8 vector)
{
	struct vmcb_control_area *c = &to_svm(vcpu)->vmcb->control;

	if (!(BIT(vector) & REFLECTED_EXCEPTIONS))
		return kvm_exit_internal_error(vcpu);
	if (vector == BP_VECTOR || vector == OF_VECTOR)
		return kvm_emulate_insn(vcpu, 0, 0, NULL, 0);
	if (vector == PF_VECTOR)
		kvm_queue_page_fault(vcpu, c->exit_info_1, c->exit_info_2);
	else if (BIT(vector) & FAULTS_WITH_ERROR_CODE)
		kvm_queue_exception_error(vcpu, vector, c->exit_info_1);
	else
		kvm_queue_exception(vcpu, vector);
	return 1;
}

void svm_update_exception_intercepts(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);
	u32 debug = vcpu->arch.guest_debug;
	/*
	 * #AC and #DB can recur without end while one of them is being delivered, with the processor
	 * never back at an instruction boundary: they always exit. #MC is the host's business. #UD
	 * may be the other vendor's hypercall instruction.
	 */
	u32 wanted = BIT(AC_VECTOR) | BIT(DB_VECTOR) | BIT(MC_VECTOR) | BIT(UD_VECTOR);

	if (!svm_hw.npt)
		wanted |= BIT(PF_VECTOR);
	if (unlikely(svm->nmi_singlestep))
		wanted |= REFLECTED_EXCEPTIONS;
	if ((debug & KVM_GUESTDBG_ENABLE) && (debug & KVM_GUESTDBG_USE_SW_BP))
		wanted |= BIT(BP_VECTOR);
	if (svm->vmcb->control.intercepts[INTERCEPT_EXCEPTION] == wanted)
		return;
	svm->vmcb->control.intercepts[INTERCEPT_EXCEPTION] = wanted;
	svm_dirty(svm, SVM_CLEAN_INTERCEPTS);
}
