// SPDX-License-Identifier: GPL-2.0
/*
 * x86's half of interrupt routing: what a route leads to, a pin of the PIC or the IOAPIC or a message
 * to local APICs. The table itself is virt/kvm/irq_routing.c's. KVM API document,
 * "KVM_SET_GSI_ROUTING"; MSI format: APM 2, 16.5 and SDM 3, 11.11.
 */
#include "irqchip.h"
#include "../pv/xen.h"

static int deliver_pic(struct kvm *kvm, const struct kvm_irq_route *route, unsigned int source,
		       bool level, bool line_status)
{
	unsigned int line = route->entry.u.irqchip.pin;

	if (route->entry.u.irqchip.irqchip == KVM_IRQCHIP_PIC_SLAVE)
		line += 8;
	return kvm_pic_line(kvm, line, source, level);
}

static int deliver_ioapic(struct kvm *kvm, const struct kvm_irq_route *route, unsigned int source,
			  bool level, bool line_status)
{
	return kvm_ioapic_line(kvm, route->entry.u.irqchip.pin, source, level);
}

static bool msi_decode(struct kvm *kvm, u64 address, u32 data, struct apic_msg *msg)
{
	unsigned int flags = 0;

	if (kvm->arch.x2apic_api & KVM_X2APIC_API_USE_32BIT_IDS)
		flags |= APIC_MSI_DEST32;
	if (kvm->arch.x2apic_api & KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK)
		flags |= APIC_MSI_NO_DEST8;
	return apic_msg_from_msi(msg, address, data, flags);
}

/* An MSI as a device writes it. */
static int msi_send(struct kvm *kvm, u64 address, u32 data)
{
	struct apic_msg msg;

	if (!msi_decode(kvm, address, data, &msg))
		return -1;
	/* A message that nobody listens to is not an error of its sender's. */
	return max(kvm_lapic_send(kvm, NULL, &msg), 0);
}

static u64 msi_address(const struct kvm_irq_route *route)
{
	return (u64)route->entry.u.msi.address_hi << 32 | route->entry.u.msi.address_lo;
}

bool kvm_msi_decode(struct kvm *kvm, const struct kvm_irq_route *route, struct apic_msg *msg)
{
	return route->entry.type == KVM_IRQ_ROUTING_MSI &&
	       msi_decode(kvm, msi_address(route), route->entry.u.msi.data, msg);
}

/* An MSI is sent when the line rises. */
static int deliver_msi(struct kvm *kvm, const struct kvm_irq_route *route, unsigned int source,
		       bool level, bool line_status)
{
	return level ? msi_send(kvm, msi_address(route), route->entry.u.msi.data) : -1;
}

static int deliver_msi_fast(struct kvm *kvm, const struct kvm_irq_route *route)
{
	return msi_send(kvm, msi_address(route), route->entry.u.msi.data);
}

/*
 * Which of the VM's processors the route names does not matter: this one had the vector in service,
 * level-triggered, and if the route has changed since, the interrupt was still the pin's.
 */
static bool is_level_of(struct kvm *kvm, const struct kvm_irq_route *route, u8 vector)
{
	struct apic_msg msg;

	return route->entry.type == KVM_IRQ_ROUTING_MSI &&
	       apic_msg_from_msi(&msg, msi_address(route), route->entry.u.msi.data, 0) &&
	       msg.level && msg.vector == vector;
}

bool kvm_userspace_pin_has(struct kvm_vcpu *vcpu, u8 vector)
{
	const struct kvm_irq_route *route;
	struct kvm *kvm = vcpu->kvm;
	unsigned int nr;
	u32 gsi, end;

	kvm_srcu_lock(vcpu);
	end = min(kvm->arch.userspace_pins, kvm_irq_nr_gsis(kvm));
	for (gsi = 0; gsi < end; gsi++)
		for (route = kvm_irq_routes_find(kvm, gsi, &nr); nr; nr--, route++)
			if (is_level_of(kvm, route, vector))
				return true;
	return false;
}

bool kvm_arch_can_route(struct kvm *kvm)
{
	return !kvm || kvm_has_irqchip(kvm);
}

bool kvm_arch_can_resample(struct kvm *kvm)
{
	return !kvm || kvm->arch.irqchip_mode == KVM_IRQCHIP_KERNEL;
}

int kvm_arch_route_resolve(struct kvm *kvm, struct kvm_irq_route *route)
{
	const struct kvm_irq_routing_entry *e = &route->entry;

	switch (e->type) {
	case KVM_IRQ_ROUTING_IRQCHIP:
		if (kvm->arch.irqchip_mode != KVM_IRQCHIP_KERNEL ||
		    e->u.irqchip.pin >= (e->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC ?
					 IOAPIC_PINS : KVM_PIC_LINES / 2))
			return -EINVAL;
		route->deliver = e->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC ? deliver_ioapic :
									      deliver_pic;
		return 0;
	case KVM_IRQ_ROUTING_MSI:
		if (e->flags & KVM_MSI_VALID_DEVID)
			return -EINVAL;
		route->deliver = deliver_msi;
		route->deliver_fast = deliver_msi_fast;
		return 0;
	case KVM_IRQ_ROUTING_XEN_EVTCHN:
		return kvm_xen_route_resolve(kvm, route);
	default:
		return -EINVAL;
	}
}

/* Nothing here depends on who is routed where: acknowledgements always come. */
void kvm_arch_routing_changed(struct kvm *kvm)
{
}
