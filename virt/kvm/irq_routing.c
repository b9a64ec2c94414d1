// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupt routing: where the lines of a VM (global system interrupts, GSIs) lead, and who is told
 * when the guest has acknowledged one. Owns the table and the list of those who are told; what a
 * route means to an interrupt controller is the architecture's. The ABI is described in the API
 * document, "KVM_SET_GSI_ROUTING".
 *
 * A table holds its routes sorted by GSI, with an index by GSI and one by pin, so that a look-up
 * takes constant time. It is replaced as a whole. Readers hold kvm->srcu, in any context that is
 * no NMI, and deliver within the same read section: when a change has returned, nothing arrives by
 * a route that it removed.
 */
#include <linux/export.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "core.h"

#include <trace/events/kvm.h>

#define NO_GSI	(-1)

struct kvm_irq_routes {
	u32 nr_gsis;			/* one above the highest that has a route */
	s16 gsi_of[KVM_NR_IRQCHIPS][KVM_IRQCHIP_PINS];	/* NO_GSI: no route leads to the pin */
	u16 *first;			/* by GSI, and one more: index of its first route */
	struct kvm_irq_route route[];
};

/* ---- look-up -------------------------------------------------------------------------------- */

static const struct kvm_irq_routes *routes_of(struct kvm *kvm)
{
	return srcu_dereference(kvm->irq_routes, &kvm->srcu);
}

const struct kvm_irq_route *kvm_irq_routes_find(struct kvm *kvm, u32 gsi, unsigned int *nr)
{
	const struct kvm_irq_routes *routes = routes_of(kvm);
	u32 first;

	*nr = 0;
	if (!routes || gsi >= routes->nr_gsis)
		return NULL;
	gsi = array_index_nospec(gsi, routes->nr_gsis);
	first = routes->first[gsi];
	*nr = routes->first[gsi + 1] - first;
	return *nr ? &routes->route[first] : NULL;
}
EXPORT_SYMBOL_GPL(kvm_irq_routes_find);

u32 kvm_irq_nr_gsis(struct kvm *kvm)
{
	const struct kvm_irq_routes *routes = routes_of(kvm);

	return routes ? routes->nr_gsis : 0;
}
EXPORT_SYMBOL_GPL(kvm_irq_nr_gsis);

static int gsi_of_pin(struct kvm *kvm, unsigned int chip, unsigned int pin)
{
	const struct kvm_irq_routes *routes = routes_of(kvm);

	if (!routes || chip >= KVM_NR_IRQCHIPS || pin >= KVM_IRQCHIP_PINS)
		return NO_GSI;
	return routes->gsi_of[chip][pin];
}

/* ---- delivery ------------------------------------------------------------------------------- */

int kvm_set_irq(struct kvm *kvm, unsigned int source, u32 gsi, bool level, bool line_status)
{
	const struct kvm_irq_route *route;
	int idx, r, reached = -1;
	unsigned int nr;

	trace_kvm_set_irq(gsi, level, source);
	idx = srcu_read_lock(&kvm->srcu);
	for (route = kvm_irq_routes_find(kvm, gsi, &nr); nr; nr--, route++) {
		r = route->deliver(kvm, route, source, level, line_status);
		if (r >= 0)
			reached = max(reached, 0) + r;
	}
	srcu_read_unlock(&kvm->srcu, idx);
	return reached;
}
EXPORT_SYMBOL_GPL(kvm_set_irq);

int kvm_pulse_irq_fast(struct kvm *kvm, unsigned int source, u32 gsi)
{
	const struct kvm_irq_route *route;
	int idx, r = -EWOULDBLOCK;
	unsigned int nr;

	idx = srcu_read_lock(&kvm->srcu);
	route = kvm_irq_routes_find(kvm, gsi, &nr);
	/* Several routes are pins of old controllers, and those are never fast. */
	if (!nr)
		r = -1;
	else if (nr == 1 && route->deliver_fast)
		r = route->deliver_fast(kvm, route);
	if (r != -EWOULDBLOCK)
		trace_kvm_set_irq(gsi, true, source);
	srcu_read_unlock(&kvm->srcu, idx);
	return r;
}

int kvm_irq_inject_msi(struct kvm *kvm, const struct kvm_msi *msi)
{
	struct kvm_irq_route route = {
		.entry = {
			.type = KVM_IRQ_ROUTING_MSI,
			.flags = msi->flags,
			.u.msi = {
				.address_lo = msi->address_lo,
				.address_hi = msi->address_hi,
				.data = msi->data,
				.devid = msi->devid,
			},
		},
	};
	int idx, r;

	if (!kvm_arch_can_route(kvm) || (msi->flags & ~KVM_MSI_VALID_DEVID))
		return -EINVAL;
	r = kvm_arch_route_resolve(kvm, &route);
	if (r)
		return r;
	idx = srcu_read_lock(&kvm->srcu);
	r = route.deliver(kvm, &route, KVM_USERSPACE_IRQ_SOURCE_ID, true, false);
	srcu_read_unlock(&kvm->srcu, idx);
	return r;
}

/* ---- acknowledgement ------------------------------------------------------------------------ */

void kvm_irq_acked_gsi(struct kvm *kvm, u32 gsi)
{
	struct kvm_irq_ack_notifier *notifier;
	int idx;

	if (hlist_empty(&kvm->ack_notifiers))
		return;
	idx = srcu_read_lock(&kvm->srcu);
	hlist_for_each_entry_srcu(notifier, &kvm->ack_notifiers, link,
				  srcu_read_lock_held(&kvm->srcu))
		if (notifier->gsi == gsi)
			notifier->acked(notifier);
	srcu_read_unlock(&kvm->srcu, idx);
}
EXPORT_SYMBOL_GPL(kvm_irq_acked_gsi);

void kvm_irq_acked(struct kvm *kvm, unsigned int chip, unsigned int pin)
{
	int gsi, idx;

	trace_kvm_ack_irq(chip, pin);
	if (hlist_empty(&kvm->ack_notifiers))
		return;
	idx = srcu_read_lock(&kvm->srcu);
	gsi = gsi_of_pin(kvm, chip, pin);
	if (gsi != NO_GSI)
		kvm_irq_acked_gsi(kvm, gsi);
	srcu_read_unlock(&kvm->srcu, idx);
}
EXPORT_SYMBOL_GPL(kvm_irq_acked);

void kvm_irq_ack_register(struct kvm *kvm, struct kvm_irq_ack_notifier *notifier)
{
	mutex_lock(&kvm->irq_lock);
	hlist_add_head_rcu(&notifier->link, &kvm->ack_notifiers);
	mutex_unlock(&kvm->irq_lock);
	kvm_arch_routing_changed(kvm);
}
EXPORT_SYMBOL_GPL(kvm_irq_ack_register);

void kvm_irq_ack_unregister(struct kvm *kvm, struct kvm_irq_ack_notifier *notifier)
{
	mutex_lock(&kvm->irq_lock);
	hlist_del_init_rcu(&notifier->link);
	mutex_unlock(&kvm->irq_lock);
	synchronize_srcu_expedited(&kvm->srcu);
	kvm_arch_routing_changed(kvm);
}
EXPORT_SYMBOL_GPL(kvm_irq_ack_unregister);

/* ---- tables --------------------------------------------------------------------------------- */

static bool entry_valid(const struct kvm_irq_routing_entry *entry)
{
	u32 flags = entry->type == KVM_IRQ_ROUTING_MSI ? KVM_MSI_VALID_DEVID : 0;

	if (entry->gsi >= KVM_MAX_IRQ_ROUTES || (entry->flags & ~flags))
		return false;
	return entry->type != KVM_IRQ_ROUTING_IRQCHIP ||
	       (entry->u.irqchip.irqchip < KVM_NR_IRQCHIPS &&
		entry->u.irqchip.pin < KVM_IRQCHIP_PINS);
}

/* A GSI leads to one pin of each controller at most, or else to just one place. */
static bool may_stand_beside(const struct kvm_irq_routing_entry *a,
			     const struct kvm_irq_routing_entry *b)
{
	return a->type == KVM_IRQ_ROUTING_IRQCHIP && b->type == KVM_IRQ_ROUTING_IRQCHIP &&
	       a->u.irqchip.irqchip != b->u.irqchip.irqchip;
}

static int place_route(struct kvm *kvm, struct kvm_irq_routes *routes, u32 pos,
		       const struct kvm_irq_routing_entry *entry)
{
	struct kvm_irq_route *route = &routes->route[pos];
	u32 i;

	for (i = routes->first[entry->gsi]; i < pos; i++)
		if (!may_stand_beside(&routes->route[i].entry, entry))
			return -EINVAL;
	route->entry = *entry;
	if (entry->type == KVM_IRQ_ROUTING_IRQCHIP)
		routes->gsi_of[entry->u.irqchip.irqchip][entry->u.irqchip.pin] = entry->gsi;
	return kvm_arch_route_resolve(kvm, route);
}

/* Sort by counting: first[gsi + 1] grows from the index of a GSI's first route to behind its last. */
static int fill_table(struct kvm *kvm, struct kvm_irq_routes *routes,
		      const struct kvm_irq_routing_entry *entries, unsigned int nr, u16 *next)
{
	unsigned int i;
	int r;

	for (i = 0; i < nr; i++)
		routes->first[entries[i].gsi + 1]++;
	for (i = 0; i < routes->nr_gsis; i++) {
		routes->first[i + 1] += routes->first[i];
		next[i] = routes->first[i];
	}
	for (i = 0; i < nr; i++) {
		r = place_route(kvm, routes, next[entries[i].gsi]++, &entries[i]);
		if (r)
			return r;
		cond_resched();
	}
	return 0;
}

static struct kvm_irq_routes *make_table(struct kvm *kvm,
					 const struct kvm_irq_routing_entry *entries,
					 unsigned int nr)
{
	struct kvm_irq_routes *routes;
	u32 nr_gsis = 0;
	unsigned int i;
	size_t size;
	u16 *next;
	int r;

	for (i = 0; i < nr; i++) {
		if (!entry_valid(&entries[i]))
			return ERR_PTR(-EINVAL);
		nr_gsis = max(nr_gsis, entries[i].gsi + 1);
	}
	size = struct_size(routes, route, nr);
	routes = kvzalloc(size + (nr_gsis + 1) * sizeof(*routes->first), GFP_KERNEL_ACCOUNT);
	next = kvcalloc(nr_gsis + 1, sizeof(*next), GFP_KERNEL_ACCOUNT);
	r = -ENOMEM;
	if (!routes || !next)
		goto err;
	routes->nr_gsis = nr_gsis;
	routes->first = (void *)routes + size;
	memset(routes->gsi_of, 0xff, sizeof(routes->gsi_of));
	r = fill_table(kvm, routes, entries, nr, next);
	if (r)
		goto err;
	kvfree(next);
	return routes;

err:
	kvfree(next);
	kvfree(routes);
	return ERR_PTR(r);
}

int kvm_irq_routing_set(struct kvm *kvm, const struct kvm_irq_routing_entry *entries,
			unsigned int nr)
{
	struct kvm_irq_routes *routes, *old;

	BUILD_BUG_ON(KVM_MAX_IRQ_ROUTES > S16_MAX);
	if (nr > KVM_MAX_IRQ_ROUTES)
		return -EINVAL;
	routes = make_table(kvm, entries, nr);
	if (IS_ERR(routes))
		return PTR_ERR(routes);

	mutex_lock(&kvm->irq_lock);
	old = rcu_replace_pointer(kvm->irq_routes, routes, lockdep_is_held(&kvm->irq_lock));
	mutex_unlock(&kvm->irq_lock);
	kvm_arch_routing_changed(kvm);
	kvm_irq_bypass_update(kvm);
	if (old)
		synchronize_srcu_expedited(&kvm->srcu);
	kvfree(old);
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_irq_routing_set);

/* Nobody reads any more. */
void kvm_irq_routing_destroy(struct kvm *kvm)
{
	kvfree(rcu_dereference_protected(kvm->irq_routes, !refcount_read(&kvm->users)));
}
