// SPDX-License-Identifier: GPL-2.0
/*
 * Posted interrupts: a processor that runs a vcpu fetches what others have put into its inbox, the
 * posted-interrupt descriptor, when it receives a notification, without an exit. SDM 3, 30.6, and
 * 27.2.1.1 for what that wants of the controls.
 *
 * A vcpu that is outside the guest needs no notification, for it looks at the descriptor before it
 * enters: the sender sets the bit for news and then reads vcpu->mode, the vcpu writes the mode and then
 * reads the bit, as with requests (virt/kvm/vcpu.c). One that is just leaving, or about to enter with
 * interrupts off, has the notification taken by the host, which ignores it, or by the processor
 * right after the entry.
 *
 * The processor can tell a notification from other interrupts only when it acknowledges them itself at
 * an exit. So the host's handler is called here.
 */
#include <asm/apic.h>
#include <asm/desc.h>
#include <asm/irq_vectors.h>
#include <asm/posted_intr.h>

#include "vmx.h"
#include "../irqchip/irqchip.h"

static_assert(offsetof(struct lapic_inbox, bits) == offsetof(struct pi_desc, pir));
static_assert(offsetof(struct lapic_inbox, news) == offsetof(struct pi_desc, control));
static_assert(offsetof(struct lapic_inbox, destination) == offsetof(struct pi_desc, ndst));
static_assert(offsetof(struct lapic_inbox, watched) == sizeof(struct pi_desc));
static_assert(LAPIC_INBOX_NEWS_BIT == POSTED_INTR_ON);
static_assert(__alignof__(struct lapic_inbox) == __alignof__(struct pi_desc));

/* The control itself is chosen with the mode of the APIC. */
void vmx_posted_reset(struct vcpu_vmx *vmx)
{
	if (!vmx_hw.posted)
		return;
	vmcs_write(POSTED_INTR_NV, POSTED_INTR_VECTOR);
	vmcs_write(POSTED_INTR_DESC_ADDR, __pa(vmx->inbox));
}

/*
 * To the vcpu's own processor nobody has to send one: who runs there while the vcpu is on its way in or
 * out came in between, after the exit.
 */
static void send_notification(struct kvm_vcpu *vcpu)
{
	int me = get_cpu(), cpu;

	if (READ_ONCE(vcpu->mode) != KVM_VCPU_OUTSIDE) {
		cpu = READ_ONCE(vcpu->cpu);
		if (cpu != me && (unsigned int)cpu < nr_cpu_ids && cpu_online(cpu))
			__apic_send_IPI_mask(cpumask_of(cpu), POSTED_INTR_VECTOR);
	}
	put_cpu();
}

/*
 * When the processor ceases to deliver for this vcpu, vmx->delivers is written before the inbox is
 * looked at for the last time. So who sees it set has news that is found then.
 */
void vmx_notify_posted(struct kvm_vcpu *vcpu)
{
	if (!READ_ONCE(to_vmx(vcpu)->delivers)) {
		kvm_request(vcpu, KVM_REQ_EVENT);
		kvm_vcpu_kick(vcpu);
		return;
	}
	if (!kvm_vcpu_wake(vcpu))
		send_notification(vcpu);
}

/* An exit for an interrupt, which is no longer pending. Interrupts off. */
void vmx_call_host_handler(void)
{
	u32 info = vmcs_read32(VM_EXIT_INTR_INFO);
	struct desc_ptr idt;
	gate_desc *gates;

	if (!(info & INTR_INFO_VALID_MASK))
		return;
	store_idt(&idt);
	gates = (gate_desc *)idt.address;
	vmx_call_gate(gate_offset(&gates[info & INTR_INFO_VECTOR_MASK]));
}
