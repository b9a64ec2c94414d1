// SPDX-License-Identifier: GPL-2.0
/*
 * The I/O buses: which device in the kernel answers an access to a port or to a guest physical
 * address. Owns the tables that say so, not the devices. An access without a device is
 * userspace's.
 *
 * A table is an array sorted by address and is replaced as a whole; readers hold kvm->srcu.
 * Ranges may overlap, so each entry also knows the highest address that it or any entry before it
 * reaches, which tells a search when to stop.
 */
#include <linux/export.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/kvm_host.h>

#define NR_IOBUS_DEVS	1000	/* without those that something else bounds */
#define MAX_RETIRED	8	/* tables that wait for their readers at any time */

struct io_range {
	gpa_t first, last;
	gpa_t reach;		/* the highest last up to here */
	bool any_len;		/* registered without a length: takes any size at first */
	struct kvm_io_device *dev;
};

struct kvm_io_bus {
	struct kvm_io_bus *retired;	/* predecessors, which may still have readers */
	unsigned int nr_retired;
	unsigned long gp_state;		/* SRCU grace period after which this has no readers */
	unsigned int nr;
	struct io_range ranges[];
};

/* ---- access --------------------------------------------------------------------------------- */

/* The number of ranges that begin at or below @addr. */
static unsigned int ranges_below(const struct kvm_io_bus *bus, gpa_t addr)
{
	unsigned int low = 0, high = bus->nr;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (bus->ranges[mid].first <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool range_takes(const struct io_range *range, gpa_t addr, gpa_t last)
{
	return range->any_len ? range->first == addr : last <= range->last;
}

/* Also after userspace completed an access, when the vcpu holds nothing yet. */
static const struct kvm_io_bus *bus_of(struct kvm_vcpu *vcpu, enum kvm_bus bus)
{
	if (!rcu_access_pointer(vcpu->kvm->buses[bus]))
		return NULL;
	kvm_srcu_lock(vcpu);
	return srcu_dereference(vcpu->kvm->buses[bus], &vcpu->kvm->srcu);
}

int kvm_io_bus_read(struct kvm_vcpu *vcpu, enum kvm_bus bus_nr, gpa_t addr, int len, void *val)
{
	const struct kvm_io_bus *bus = bus_of(vcpu, bus_nr);
	gpa_t last = addr + (len ? len - 1 : 0);
	unsigned int i;

	if (!bus)
		return -EOPNOTSUPP;
	for (i = ranges_below(bus, addr); i-- && bus->ranges[i].reach >= addr; ) {
		const struct io_range *range = &bus->ranges[i];
		struct kvm_io_device *dev = READ_ONCE(range->dev);

		if (range_takes(range, addr, last) && dev->ops->read &&
		    !dev->ops->read(vcpu, dev, addr, len, val))
			return 0;
	}
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(kvm_io_bus_read);

int kvm_io_bus_write(struct kvm_vcpu *vcpu, enum kvm_bus bus_nr, gpa_t addr, int len,
		     const void *val)
{
	const struct kvm_io_bus *bus = bus_of(vcpu, bus_nr);
	gpa_t last = addr + (len ? len - 1 : 0);
	unsigned int i;

	if (!bus)
		return -EOPNOTSUPP;
	for (i = ranges_below(bus, addr); i-- && bus->ranges[i].reach >= addr; ) {
		const struct io_range *range = &bus->ranges[i];
		struct kvm_io_device *dev = READ_ONCE(range->dev);

		if (range_takes(range, addr, last) && dev->ops->write &&
		    !dev->ops->write(vcpu, dev, addr, len, val))
			return 0;
	}
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(kvm_io_bus_write);

/* ---- changes -------------------------------------------------------------------------------- */

/* Stands where a device was that left when there was no memory for a new table. */
static const struct kvm_io_device_ops nobody_ops = { .uncounted = true };
static struct kvm_io_device nobody = { .ops = &nobody_ops };

static struct kvm_io_bus *bus_current(struct kvm *kvm, enum kvm_bus bus)
{
	return rcu_dereference_protected(kvm->buses[bus], lockdep_is_held(&kvm->slots_lock) ||
					 !refcount_read(&kvm->users));
}

static void free_retired(struct kvm_io_bus *bus)
{
	struct kvm_io_bus *next;

	for (; bus; bus = next) {
		next = bus->retired;
		kvfree(bus);
	}
}

/* Make @next the table. Waits for readers of older ones only when too many have piled up. */
static void bus_publish(struct kvm *kvm, enum kvm_bus bus_nr, struct kvm_io_bus *next)
{
	struct kvm_io_bus *prev = bus_current(kvm, bus_nr);
	gpa_t reach = 0;
	unsigned int i;

	for (i = 0; i < next->nr; i++) {
		reach = max(reach, next->ranges[i].last);
		next->ranges[i].reach = reach;
	}
	rcu_assign_pointer(kvm->buses[bus_nr], next);
	if (!prev)
		return;

	if (prev->nr_retired >= MAX_RETIRED &&
	    !poll_state_synchronize_srcu(&kvm->srcu, prev->retired->gp_state))
		synchronize_srcu_expedited(&kvm->srcu);
	/* The predecessor of @prev was replaced last: when it has no readers, no older one has. */
	if (prev->retired && poll_state_synchronize_srcu(&kvm->srcu, prev->retired->gp_state)) {
		free_retired(prev->retired);
		prev->retired = NULL;
		prev->nr_retired = 0;
	}
	prev->gp_state = get_state_synchronize_srcu(&kvm->srcu);
	next->retired = prev;
	next->nr_retired = prev->nr_retired + 1;
}

static unsigned int bus_counted(const struct kvm_io_bus *bus)
{
	unsigned int i, counted = 0;

	for (i = 0; bus && i < bus->nr; i++)
		counted += !bus->ranges[i].dev->ops->uncounted;
	return counted;
}

/* Copy the ranges of @from to @to, those of @without and of nobody excepted. */
static void ranges_copy(struct kvm_io_bus *to, const struct kvm_io_bus *from, unsigned int start,
			unsigned int end, const struct kvm_io_device *without)
{
	unsigned int i;

	for (i = start; i < end; i++)
		if (from->ranges[i].dev != without && from->ranges[i].dev != &nobody)
			to->ranges[to->nr++] = from->ranges[i];
}

static unsigned int ranges_kept(const struct kvm_io_bus *bus, const struct kvm_io_device *without)
{
	unsigned int i, kept = 0;

	for (i = 0; bus && i < bus->nr; i++)
		kept += bus->ranges[i].dev != without && bus->ranges[i].dev != &nobody;
	return kept;
}

/* A device comes before those that begin at the same address, and so is asked after them. */
static unsigned int insert_position(const struct kvm_io_bus *bus, gpa_t addr)
{
	return addr ? ranges_below(bus, addr - 1) : 0;
}

int kvm_io_bus_register(struct kvm *kvm, enum kvm_bus bus_nr, gpa_t addr, u64 len,
			struct kvm_io_device *dev)
{
	struct kvm_io_bus *bus = bus_current(kvm, bus_nr), *next;
	struct io_range range = {
		.first = addr,
		.last = len ? addr + len - 1 : addr,
		.any_len = !len,
		.dev = dev,
	};
	unsigned int nr = ranges_kept(bus, NULL) + 1, pos;

	if (range.last < range.first)
		return -EINVAL;
	if (!dev->ops->uncounted && bus_counted(bus) >= NR_IOBUS_DEVS)
		return -ENOSPC;
	next = kvzalloc(struct_size(next, ranges, nr), GFP_KERNEL_ACCOUNT);
	if (!next)
		return -ENOMEM;
	if (bus) {
		pos = insert_position(bus, addr);
		ranges_copy(next, bus, 0, pos, NULL);
		next->ranges[next->nr++] = range;
		ranges_copy(next, bus, pos, bus->nr, NULL);
	} else {
		next->ranges[next->nr++] = range;
	}
	bus_publish(kvm, bus_nr, next);
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_io_bus_register);

static void ranges_forget(struct kvm_io_bus *bus, const struct kvm_io_device *dev)
{
	unsigned int i;

	for (i = 0; i < bus->nr; i++)
		if (bus->ranges[i].dev == dev)
			WRITE_ONCE(bus->ranges[i].dev, &nobody);
}

void kvm_io_bus_unregister(struct kvm *kvm, enum kvm_bus bus_nr, struct kvm_io_device *dev)
{
	struct kvm_io_bus *bus = bus_current(kvm, bus_nr), *next;
	unsigned int i;

	for (i = 0; bus && i < bus->nr; i++)
		if (bus->ranges[i].dev == dev)
			break;
	if (!bus || i == bus->nr)
		return;

	next = kvzalloc(struct_size(next, ranges, ranges_kept(bus, dev)), GFP_KERNEL_ACCOUNT);
	if (next) {
		ranges_copy(next, bus, 0, bus->nr, dev);
		bus_publish(kvm, bus_nr, next);
	} else {
		ranges_forget(bus, dev);
	}
	synchronize_srcu_expedited(&kvm->srcu);
	if (dev->ops->release)
		dev->ops->release(dev);
}
EXPORT_SYMBOL_GPL(kvm_io_bus_unregister);

/* Nobody reads any more. */
void kvm_io_buses_destroy(struct kvm *kvm)
{
	struct kvm_io_bus *bus;
	unsigned int nr, i;

	for (nr = 0; nr < KVM_NR_BUSES; nr++) {
		bus = bus_current(kvm, nr);
		for (i = 0; bus && i < bus->nr; i++)
			if (bus->ranges[i].dev->ops->release)
				bus->ranges[i].dev->ops->release(bus->ranges[i].dev);
		free_retired(bus);
		RCU_INIT_POINTER(kvm->buses[nr], NULL);
	}
}
