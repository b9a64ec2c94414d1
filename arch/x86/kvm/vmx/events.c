// SPDX-License-Identifier: GPL-2.0
/*
 * Delivering events to a VMX guest: the event an entry injects, the events an exit cut short,
 * interrupt and NMI windows, shadows. SDM 3, 25.8.3 and 27.6 (injection), 28.2.4 (IDT vectoring),
 * 25.4.2 (interruptibility), 28.2.3 (NMI unblocking by an IRET that faulted).
 */
#include "vmx.h"
#include "../trace.h"

static void set_event(struct vcpu_vmx *vmx, u32 type, u8 vector)
{
	vmx_end_halt(vmx);
	vmx->by_hand = vmx->vm86;
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, vector | type | INTR_INFO_VALID_MASK);
}

/*
 * A software event is delivered with the address behind its instruction pushed, which the processor
 * finds by adding a length that must not be 0. The vcpu is behind it already: move it back by one.
 */
static void prepare_soft(struct vcpu_vmx *vmx)
{
	unsigned long rip = vmx->vcpu.arch.rip - 1;

	vmx->soft_length = 1;
	vmx->vcpu.arch.rip = kvm_is_64bit(&vmx->vcpu) ? rip : (u32)rip;
	vmcs_write(VM_ENTRY_INSTRUCTION_LEN, 1);
}

void vmx_inject_exception(struct kvm_vcpu *vcpu)
{
	struct kvm_exception *ex = &vcpu->arch.exception;
	u32 type = INTR_TYPE_HARD_EXCEPTION;

	if (ex->vector == BP_VECTOR || ex->vector == OF_VECTOR) {
		type = INTR_TYPE_SOFT_EXCEPTION;
		prepare_soft(to_vmx(vcpu));
	}
	/* Real mode pushes none, and an entry that would is refused. */
	if (ex->has_error_code && is_protected(vcpu)) {
		vmcs_write(VM_ENTRY_EXCEPTION_ERROR_CODE, ex->error_code);
		type |= INTR_INFO_DELIVER_CODE_MASK;
	}
	set_event(to_vmx(vcpu), type, ex->vector);
}

void vmx_inject_interrupt(struct kvm_vcpu *vcpu, bool reinjected)
{
	struct kvm_interrupt_event *irq = &vcpu->arch.interrupt;

	trace_kvm_inj_virq(irq->nr, irq->soft, reinjected);
	vcpu->stat.irq_injections++;
	/* One that userspace wants delivered although the guest blocks it: an entry refuses those. */
	if (irq->soft || !vmx_interrupt_allowed(vcpu)) {
		prepare_soft(to_vmx(vcpu));
		set_event(to_vmx(vcpu), INTR_TYPE_SOFT_INTR, irq->nr);
		return;
	}
	set_event(to_vmx(vcpu), INTR_TYPE_EXT_INTR, irq->nr);
}

void vmx_inject_nmi(struct kvm_vcpu *vcpu)
{
	vcpu->stat.nmi_injections++;
	to_vmx(vcpu)->had_nmi = true;
	/* The entry is refused while they count as blocked; delivery blocks them. */
	vmx_set_nmi_mask(vcpu, false);
	set_event(to_vmx(vcpu), INTR_TYPE_NMI_INTR, NMI_VECTOR);
}

/* The entry did not take place: the vcpu still knows what it was about to be given. */
void vmx_cancel_injection(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	vmx->by_hand = false;
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	if (vmx->soft_length) {
		vcpu->arch.rip += vmx->soft_length;
		vmx->soft_length = 0;
	}
}

/*
 * An event whose delivery the exit cut short, back into the vcpu. @ours: it was injected. INT n, INT3
 * and INTO of the guest's own are dropped: RIP is still theirs, they simply run again.
 */
static void requeue(struct vcpu_vmx *vmx, u32 info, bool ours)
{
	struct kvm_vcpu *vcpu = &vmx->vcpu;
	u8 vector = info & VECTORING_INFO_VECTOR_MASK;
	bool has_error = info & VECTORING_INFO_DELIVER_CODE_MASK;

	switch (info & VECTORING_INFO_TYPE_MASK) {
	case INTR_TYPE_NMI_INTR:
		vcpu->arch.nmi_injected = true;
		/* Its injection blocked NMIs, but it is still to come. */
		vmx_set_nmi_mask(vcpu, false);
		break;
	case INTR_TYPE_SOFT_EXCEPTION:
		if (!ours)
			break;
		vcpu->arch.rip += vmcs_read32(VM_EXIT_INSTRUCTION_LEN);
		kvm_requeue_exception(vcpu, vector, false, 0);
		break;
	case INTR_TYPE_HARD_EXCEPTION:
	case INTR_TYPE_PRIV_SW_EXCEPTION:
		kvm_requeue_exception(vcpu, vector, has_error,
				      has_error ? vmcs_read32(IDT_VECTORING_ERROR_CODE) : 0);
		break;
	case INTR_TYPE_SOFT_INTR:
		if (!ours)
			break;
		vcpu->arch.rip += vmcs_read32(VM_EXIT_INSTRUCTION_LEN);
		kvm_queue_interrupt(vcpu, vector, true);
		break;
	case INTR_TYPE_EXT_INTR:
		kvm_queue_interrupt(vcpu, vector, false);
		break;
	default:
		break;
	}
}

void vmx_recover_events(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	bool ours = vcpu->arch.exception.injected || vcpu->arch.interrupt.injected;

	kvm_clear_injected(vcpu);
	if (likely(!(vmx->vectoring & VECTORING_INFO_VALID_MASK)))
		return;
	if (unlikely(vmx_hw.bochs))
		vmx_apicv_name_event(vmx);
	vcpu->arch.delivery_cut = true;
	requeue(vmx, vmx->vectoring, ours);
	kvm_request(vcpu, KVM_REQ_EVENT);
}

/* ---- interrupts ----------------------------------------------------------------------------------- */

#define SHADOWS	(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

u32 vmx_interrupt_shadow(struct kvm_vcpu *vcpu)
{
	u32 state = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO), shadow = 0;

	if (state & GUEST_INTR_STATE_STI)
		shadow |= KVM_X86_SHADOW_INT_STI;
	if (state & GUEST_INTR_STATE_MOV_SS)
		shadow |= KVM_X86_SHADOW_INT_MOV_SS;
	return shadow;
}

void vmx_set_interrupt_shadow(struct kvm_vcpu *vcpu, u32 mask)
{
	u32 old = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO), state = old & ~SHADOWS;

	/* One that is halted is in no shadow, and when it enters SMM it goes on. */
	vmx_end_halt(to_vmx(vcpu));
	/* Both at once are refused, and that of STI with interrupts off. */
	if ((mask & KVM_X86_SHADOW_INT_STI) && !(mask & KVM_X86_SHADOW_INT_MOV_SS) &&
	    (vcpu->arch.rflags & X86_EFLAGS_IF))
		state |= GUEST_INTR_STATE_STI;
	else if (mask)
		state |= GUEST_INTR_STATE_MOV_SS;
	if (state == old)
		return;
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, state);
	/* What waited for the end of a shadow needs no window any more. */
	kvm_request(vcpu, KVM_REQ_EVENT);
}

bool vmx_interrupt_allowed(struct kvm_vcpu *vcpu)
{
	return (vcpu->arch.rflags & X86_EFLAGS_IF) &&
	       !(vmcs_read32(GUEST_INTERRUPTIBILITY_INFO) & SHADOWS);
}

void vmx_open_irq_window(struct kvm_vcpu *vcpu)
{
	vmx_set_cpu_control(to_vmx(vcpu), CPU_BASED_INTR_WINDOW_EXITING, true);
}

int vmx_take_irq_window(struct kvm_vcpu *vcpu)
{
	vcpu->stat.irq_window_exits++;
	vmx_set_cpu_control(to_vmx(vcpu), CPU_BASED_INTR_WINDOW_EXITING, false);
	kvm_request(vcpu, KVM_REQ_EVENT);
	return 1;
}

/* ---- NMIs ------------------------------------------------------------------------------------------- */

/*
 * A guest that has had no NMI has none to return from: Bochs (2.7) goes on with the blocking of the
 * guest that it ran before.
 */
static u32 blocking_of_nmis(struct kvm_vcpu *vcpu)
{
	u32 state = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);

	return to_vmx(vcpu)->had_nmi ? state : state & ~GUEST_INTR_STATE_NMI;
}

bool vmx_get_nmi_mask(struct kvm_vcpu *vcpu)
{
	return blocking_of_nmis(vcpu) & GUEST_INTR_STATE_NMI;
}

void vmx_set_nmi_mask(struct kvm_vcpu *vcpu, bool blocked)
{
	u32 old = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);
	u32 state = blocked ? old | GUEST_INTR_STATE_NMI : old & ~GUEST_INTR_STATE_NMI;

	to_vmx(vcpu)->had_nmi |= blocked;
	if (state != old)
		vmcs_write(GUEST_INTERRUPTIBILITY_INFO, state);
}

bool vmx_nmi_allowed(struct kvm_vcpu *vcpu)
{
	return !(blocking_of_nmis(vcpu) & (SHADOWS | GUEST_INTR_STATE_NMI));
}

void vmx_block_nmi_again(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	/* An event in delivery says that it was not the IRET that faulted. */
	if (vmx->had_nmi && !(vmx->vectoring & VECTORING_INFO_VALID_MASK))
		vmx_set_nmi_mask(vcpu, true);
}

/* Behind a shadow of STI the window is an interrupt window: NMI windows do not wait for it. */
void vmx_open_nmi_window(struct kvm_vcpu *vcpu)
{
	if (vmcs_read32(GUEST_INTERRUPTIBILITY_INFO) & GUEST_INTR_STATE_STI)
		vmx_open_irq_window(vcpu);
	else
		vmx_set_cpu_control(to_vmx(vcpu), CPU_BASED_NMI_WINDOW_EXITING, true);
}

int vmx_take_nmi_window(struct kvm_vcpu *vcpu)
{
	vcpu->stat.nmi_window_exits++;
	vmx_set_cpu_control(to_vmx(vcpu), CPU_BASED_NMI_WINDOW_EXITING, false);
	kvm_request(vcpu, KVM_REQ_EVENT);
	return 1;
}

/* What the processor exits for, a window that is open, where there is no entry. True: it was taken. */
bool vmx_look_for_windows(struct kvm_vcpu *vcpu)
{
	u32 wanted = to_vmx(vcpu)->controls.cpu;

	if ((wanted & CPU_BASED_INTR_WINDOW_EXITING) && vmx_interrupt_allowed(vcpu))
		return vmx_take_irq_window(vcpu);
	if ((wanted & CPU_BASED_NMI_WINDOW_EXITING) && vmx_nmi_allowed(vcpu))
		return vmx_take_nmi_window(vcpu);
	return false;
}

/* ---- exceptions -------------------------------------------------------------------------------------- */

void vmx_update_exception_intercepts(struct kvm_vcpu *vcpu)
{
	u32 debug = vcpu->arch.guest_debug;
	/*
	 * #AC and #DB can recur without end while one of them is being delivered, with the processor
	 * never back at an instruction boundary: they always exit. #MC is the host's business. #UD
	 * may be the other vendor's hypercall instruction.
	 */
	u32 wanted = BIT(AC_VECTOR) | BIT(DB_VECTOR) | BIT(MC_VECTOR) | BIT(UD_VECTOR);

	bool vm86 = to_vmx(vcpu)->vm86, bypass = vmx_hw.bypass_guest_pf && !vm86;

	if (!vmx_hw.ept && !bypass)
		wanted |= BIT(PF_VECTOR);
	if ((debug & KVM_GUESTDBG_ENABLE) && (debug & KVM_GUESTDBG_USE_SW_BP))
		wanted |= BIT(BP_VECTOR);
	/* In virtual-8086 mode they would go through a table that is not there. */
	if (vm86)
		wanted = ~0u;
	vmcs_write(EXCEPTION_BITMAP, wanted);
	/*
	 * Without the bit in the map, a #PF exits whose error code differs from the second word in a bit of
	 * the first. Fetches always do: their bit depends on an EFER.NX that is not the guest's.
	 */
	vmcs_write(PAGE_FAULT_ERROR_CODE_MASK, bypass ? KVM_PF_PRESENT | KVM_PF_FETCH : 0);
	vmcs_write(PAGE_FAULT_ERROR_CODE_MATCH, 0);
}
