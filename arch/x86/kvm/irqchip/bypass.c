// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts of devices that reach a vcpu past the host, as far as local APICs decide it: a message
 * must have one destination, whoever has what vector in service, and be a plain edge. The rest is the
 * vendor's; virt/kvm/irq_bypass.c knows the devices.
 */
#include "irqchip.h"
#include "../x86.h"

/* The vcpu that the message may go to past everybody, or NULL */
static struct kvm_vcpu *target(struct kvm *kvm, const struct apic_msg *msg)
{
	if (!apic_msg_has_vector(msg) || msg->level || !msg->assert || msg->vector < 16)
		return NULL;
	return kvm_lapic_only_target(kvm, msg);
}

bool kvm_arch_can_bypass(struct kvm *kvm)
{
	return kvm_hw.posts_devices && kvm_has_irqchip(kvm);
}

/* Whoever changes routes or destinations calls this after the change: the last one to look is right. */
void kvm_arch_bypass_update(struct kvm *kvm, int host_irq, u32 gsi)
{
	const struct kvm_irq_route *route;
	struct kvm_vcpu *vcpu = NULL;
	struct apic_msg msg = { };
	unsigned int nr;
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	route = kvm_irq_routes_find(kvm, gsi, &nr);
	if (nr == 1 && kvm_msi_decode(kvm, route, &msg))
		vcpu = target(kvm, &msg);
	kvm_x86_ops.post_device(kvm, host_irq, vcpu, msg.vector);
	srcu_read_unlock(&kvm->srcu, idx);
}

void kvm_arch_bypass_end(struct kvm *kvm, int host_irq, u32 gsi)
{
	kvm_x86_ops.post_device(kvm, host_irq, NULL, 0);
}
