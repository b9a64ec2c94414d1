// SPDX-License-Identifier: GPL-2.0
/*
 * Virtual-interrupt delivery: the processor takes what the local APIC's page says to be requested,
 * delivers it when the guest can take it, and ends it, without exits. SDM 3, 30.1.1 (the page), 30.2
 * (evaluation and delivery), 30.1.4 (EOI), 30.4.3 and 30.5 (writes and MSRs that are its own).
 *
 * Who owns the page when is common code's affair (irqchip/lapic_hw.c); what the processor keeps of
 * it in the VMCS is computed from the page at each handover.
 */
#include <linux/slab.h>

#include "vmx.h"
#include "../irqchip/irqchip.h"

#define IN_SERVICE_SHIFT	8	/* in the guest interrupt status */

static const u32 eoi_exit_fields[] = {
	EOI_EXIT_BITMAP0, EOI_EXIT_BITMAP1, EOI_EXIT_BITMAP2, EOI_EXIT_BITMAP3,
};

static_assert(ARRAY_SIZE(eoi_exit_fields) ==
	      ARRAY_SIZE(((struct kvm_lapic_handover *)NULL)->eoi_exits));

/* Bochs (3.0) wants a posted-interrupt descriptor to start a page. Sizes like these are aligned. */
int vmx_apicv_create(struct vcpu_vmx *vmx)
{
	size_t size = vmx_hw.bochs ? PAGE_SIZE : roundup_pow_of_two(sizeof(*vmx->inbox));

	if (!vmx_hw.apicv || !kvm_has_irqchip(vmx->vcpu.kvm))
		return 0;
	vmx->waits_on = -1;
	vmx->inbox = kzalloc(size, GFP_KERNEL_ACCOUNT);
	return vmx->inbox ? 0 : -ENOMEM;
}

void vmx_apicv_destroy(struct vcpu_vmx *vmx)
{
	kfree(vmx->inbox);
}

/* With fresh controls, in which it is off. */
void vmx_apicv_reset(struct vcpu_vmx *vmx)
{
	struct kvm_lapic *apic = vmx->vcpu.arch.lapic;
	unsigned int i;

	WRITE_ONCE(vmx->delivers, false);
	if (!vmx_hw.apicv)
		return;
	smp_mb();	/* vmx_notify_posted() */
	if (!apic->has_inbox)
		kvm_lapic_divert(&vmx->vcpu, vmx->inbox, vmx_hw.posted, vmx_hw.ipiv);
	kvm_lapic_give(&vmx->vcpu, false);
	vmx_posted_reset(vmx);
	vmx_ipi_reset(vmx);
	vmcs_write(GUEST_INTR_STATUS, 0);
	for (i = 0; i < ARRAY_SIZE(eoi_exit_fields); i++) {
		vmx->eoi_exits[i] = 0;
		vmcs_write(eoi_exit_fields[i], 0);
	}
}

/*
 * A TPR in the guest's memory is compared with what waits at each exit, and a debugger may want
 * interrupts to wait although the guest can take them.
 */
bool vmx_apicv_fits(struct kvm_vcpu *vcpu)
{
	return !vcpu->arch.vapic_addr && !(vcpu->arch.guest_debug & KVM_GUESTDBG_BLOCKIRQ);
}

void vmx_apicv_hand_over(struct vcpu_vmx *vmx)
{
	struct kvm_lapic_handover handover;
	unsigned int i;

	kvm_lapic_hand_over(&vmx->vcpu, &handover);
	vmcs_write(GUEST_INTR_STATUS,
		   handover.requested | handover.in_service << IN_SERVICE_SHIFT);
	for (i = 0; i < ARRAY_SIZE(eoi_exit_fields); i++) {
		if (handover.eoi_exits[i] == vmx->eoi_exits[i])
			continue;
		vmx->eoi_exits[i] = handover.eoi_exits[i];
		vmcs_write(eoi_exit_fields[i], handover.eoi_exits[i]);
	}
}

/*
 * An exit cut the delivery of an event short. Bochs (2.7) notes what it delivers of exceptions, but
 * not virtual interrupts: after one of those it shows the event before. As good as nobody enables
 * interrupts while one is in service, so one that is in service then is just being delivered.
 */
void vmx_apicv_name_event(struct vcpu_vmx *vmx)
{
	u32 vector;

	if (!vmx->delivers || !(vmx->vcpu.arch.rflags & X86_EFLAGS_IF))
		return;
	vector = vmcs_read32(GUEST_INTR_STATUS) >> IN_SERVICE_SHIFT;
	if (vector)
		vmx->vectoring = vector | INTR_TYPE_EXT_INTR | VECTORING_INFO_VALID_MASK;
}

/* Both come after the instruction has run. */
int vmx_handle_eoi(struct kvm_vcpu *vcpu)
{
	kvm_lapic_hw_ended(vcpu, vmcs_read(EXIT_QUALIFICATION));
	return 1;
}

int vmx_handle_apic_write(struct kvm_vcpu *vcpu)
{
	kvm_lapic_hw_written(vcpu, vmcs_read(EXIT_QUALIFICATION) & APIC_ACCESS_OFFSET & ~0xfu);
	return 1;
}
