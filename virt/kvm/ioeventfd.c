// SPDX-License-Identifier: GPL-2.0
/*
 * ioeventfd: a guest's write to a port or an address signals an eventfd and the guest goes on. Owns
 * what was assigned, by address; the I/O buses (io_bus.c) find the address. The ABI is described
 * in the API document, "KVM_IOEVENTFD".
 *
 * Everything assigned to one address is one device of the bus, a doorbell. It is either one
 * eventfd for whatever is written, or for each width of a write one eventfd for any value or a set
 * of them by value. So a write finds its eventfd without a lock and in constant time, however
 * many queues share the doorbell.
 */
#include <linux/eventfd.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

#include "core.h"

#define NR_WIDTHS	4	/* 1, 2, 4 and 8 bytes */

/* kvm->slots_lock guards all of it against other changes. Writes of the guest hold kvm->srcu. */
struct doorbell {
	struct kvm_io_device dev;
	struct kvm_io_device fast;	/* on the fast MMIO bus, if there is an "any" to be found */
	struct list_head list;		/* kvm->doorbells */
	enum kvm_bus bus;
	gpa_t addr;
	unsigned int nr;		/* eventfds that it has */
	struct eventfd_ctx *any;	/* then it is the only one */
	struct eventfd_ctx *any_value[NR_WIDTHS];	/* then it is the only one of the width */
	struct xarray by_value[NR_WIDTHS];
};

/* ---- the guest writes ----------------------------------------------------------------------- */

static struct eventfd_ctx *by_value(struct doorbell *bell, unsigned int width, const void *val)
{
	u64 value;

	if (xa_empty(&bell->by_value[width]))
		return NULL;
	switch (width) {
	case 0:
		value = *(const u8 *)val;
		break;
	case 1:
		value = get_unaligned((const u16 *)val);
		break;
	case 2:
		value = get_unaligned((const u32 *)val);
		break;
	default:
		value = get_unaligned((const u64 *)val);
	}
	return xa_load(&bell->by_value[width], value);
}

static int doorbell_write(struct kvm_vcpu *vcpu, struct kvm_io_device *dev, gpa_t addr, int len,
			  const void *val)
{
	struct doorbell *bell = container_of(dev, struct doorbell, dev);
	struct eventfd_ctx *ctx = READ_ONCE(bell->any);
	unsigned int width;

	if (!ctx) {
		if (len <= 0 || len > 8 || !is_power_of_2(len))
			return -EOPNOTSUPP;
		width = ilog2(len);
		ctx = READ_ONCE(bell->any_value[width]);
		if (!ctx)
			ctx = by_value(bell, width, val);
		if (!ctx)
			return -EOPNOTSUPP;
	}
	eventfd_signal(ctx);
	return 0;
}

static const struct kvm_io_device_ops doorbell_ops = {
	.uncounted = true,	/* its eventfds bound their number, by way of the memory they take */
	.write = doorbell_write,
};

/* Neither length nor value are known. */
static int fast_write(struct kvm_vcpu *vcpu, struct kvm_io_device *dev, gpa_t addr, int len,
		      const void *val)
{
	struct doorbell *bell = container_of(dev, struct doorbell, fast);

	eventfd_signal(bell->any);
	return 0;
}

static const struct kvm_io_device_ops fast_ops = {
	.uncounted = true,
	.write = fast_write,
};

/* ---- doorbells come and go, all under slots_lock -------------------------------------------- */

static struct doorbell *doorbell_find(struct kvm *kvm, enum kvm_bus bus, gpa_t addr)
{
	struct doorbell *bell;

	list_for_each_entry(bell, &kvm->doorbells, list)
		if (bell->addr == addr && bell->bus == bus)
			return bell;
	return NULL;
}

static struct doorbell *doorbell_new(enum kvm_bus bus, gpa_t addr)
{
	struct doorbell *bell = kzalloc(sizeof(*bell), GFP_KERNEL_ACCOUNT);
	int i;

	if (!bell)
		return NULL;
	bell->dev.ops = &doorbell_ops;
	bell->fast.ops = &fast_ops;
	bell->bus = bus;
	bell->addr = addr;
	for (i = 0; i < NR_WIDTHS; i++)
		xa_init_flags(&bell->by_value[i], XA_FLAGS_ACCOUNT);
	return bell;
}

static void ctx_put(struct eventfd_ctx *ctx)
{
	if (ctx)
		eventfd_ctx_put(ctx);
}

/* No guest can reach it. */
static void doorbell_free(struct doorbell *bell)
{
	struct eventfd_ctx *ctx;
	unsigned long value;
	int i;

	ctx_put(bell->any);
	for (i = 0; i < NR_WIDTHS; i++) {
		ctx_put(bell->any_value[i]);
		xa_for_each(&bell->by_value[i], value, ctx)
			eventfd_ctx_put(ctx);
		xa_destroy(&bell->by_value[i]);
	}
	kfree(bell);
}

static bool has_fast(const struct doorbell *bell)
{
	return bell->any && bell->bus == KVM_MMIO_BUS;
}

/* Put a new doorbell, which has its first eventfd, where the guest can reach it. */
static int doorbell_install(struct kvm *kvm, struct doorbell *bell)
{
	int r;

	r = kvm_io_bus_register(kvm, bell->bus, bell->addr, 0, &bell->dev);
	if (r)
		return r;
	if (has_fast(bell)) {
		r = kvm_io_bus_register(kvm, KVM_FAST_MMIO_BUS, bell->addr, 0, &bell->fast);
		if (r) {
			kvm_io_bus_unregister(kvm, bell->bus, &bell->dev);
			return r;
		}
	}
	list_add(&bell->list, &kvm->doorbells);
	return 0;
}

static void doorbell_remove(struct kvm *kvm, struct doorbell *bell)
{
	if (has_fast(bell))
		kvm_io_bus_unregister(kvm, KVM_FAST_MMIO_BUS, &bell->fast);
	kvm_io_bus_unregister(kvm, bell->bus, &bell->dev);
	list_del(&bell->list);
	doorbell_free(bell);
}

/* ---- eventfds come and go ------------------------------------------------------------------- */

static bool any_value(const struct kvm_ioeventfd *args)
{
	return !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
}

/* Would one write ring both the eventfd described and one that is there? */
static bool collides(struct doorbell *bell, const struct kvm_ioeventfd *args)
{
	unsigned int width;

	if (!args->len || bell->any)
		return true;
	width = ilog2(args->len);
	if (bell->any_value[width])
		return true;
	return any_value(args) ? !xa_empty(&bell->by_value[width]) :
				 !!xa_load(&bell->by_value[width], args->datamatch);
}

/* On success the doorbell takes over the reference *@ctx. */
static int doorbell_add(struct doorbell *bell, const struct kvm_ioeventfd *args,
			struct eventfd_ctx **ctx)
{
	unsigned int width;
	int r;

	if (!args->len) {
		WRITE_ONCE(bell->any, *ctx);
	} else {
		width = ilog2(args->len);
		if (any_value(args)) {
			WRITE_ONCE(bell->any_value[width], *ctx);
		} else {
			r = xa_insert(&bell->by_value[width], args->datamatch, *ctx,
				      GFP_KERNEL_ACCOUNT);
			if (r)
				return r;
		}
	}
	*ctx = NULL;
	bell->nr++;
	return 0;
}

/* Whether @ctx is what the description leads to. */
static bool doorbell_has(struct doorbell *bell, const struct kvm_ioeventfd *args,
			 struct eventfd_ctx *ctx)
{
	unsigned int width;

	if (!args->len)
		return any_value(args) && bell->any == ctx;
	if (args->len > 8 || !is_power_of_2(args->len))
		return false;
	width = ilog2(args->len);
	return any_value(args) ? bell->any_value[width] == ctx :
				 xa_load(&bell->by_value[width], args->datamatch) == ctx;
}

/* Take one of several eventfds away. */
static void doorbell_drop(struct kvm *kvm, struct doorbell *bell, const struct kvm_ioeventfd *args)
{
	unsigned int width = ilog2(args->len);
	struct eventfd_ctx *ctx;

	if (any_value(args)) {
		ctx = bell->any_value[width];
		WRITE_ONCE(bell->any_value[width], NULL);
	} else {
		ctx = xa_erase(&bell->by_value[width], args->datamatch);
	}
	bell->nr--;
	synchronize_srcu_expedited(&kvm->srcu);
	eventfd_ctx_put(ctx);
}

static enum kvm_bus bus_of(const struct kvm_ioeventfd *args)
{
	return args->flags & KVM_IOEVENTFD_FLAG_PIO ? KVM_PIO_BUS : KVM_MMIO_BUS;
}

static int assign_locked(struct kvm *kvm, const struct kvm_ioeventfd *args,
			 struct eventfd_ctx **ctx)
{
	struct doorbell *bell = doorbell_find(kvm, bus_of(args), args->addr);
	int r;

	if (bell)
		return collides(bell, args) ? -EEXIST : doorbell_add(bell, args, ctx);

	bell = doorbell_new(bus_of(args), args->addr);
	if (!bell)
		return -ENOMEM;
	r = doorbell_add(bell, args, ctx);
	if (!r)
		r = doorbell_install(kvm, bell);
	if (r)
		doorbell_free(bell);
	return r;
}

static int deassign_locked(struct kvm *kvm, const struct kvm_ioeventfd *args,
			   struct eventfd_ctx *ctx)
{
	struct doorbell *bell = doorbell_find(kvm, bus_of(args), args->addr);

	if (!bell || !doorbell_has(bell, args, ctx))
		return -ENOENT;
	if (bell->nr == 1)
		doorbell_remove(kvm, bell);
	else
		doorbell_drop(kvm, bell, args);
	return 0;
}

static bool assignable(const struct kvm_ioeventfd *args)
{
	if (args->flags & ~KVM_IOEVENTFD_VALID_FLAG_MASK)
		return false;
	if (args->addr + args->len < args->addr)
		return false;
	if (!args->len)
		return any_value(args);
	return args->len <= 8 && is_power_of_2(args->len);
}

/* ---- the rest of the core ------------------------------------------------------------------- */

int kvm_ioeventfd_set(struct kvm *kvm, const struct kvm_ioeventfd *args)
{
	bool assign = !(args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN);
	struct eventfd_ctx *ctx;
	int r;

	/* The notifications of s390's channel I/O come by a hypercall: no bus of ours. */
	if (args->flags & KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY)
		return -EINVAL;
	if (assign && !assignable(args))
		return -EINVAL;
	ctx = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);

	mutex_lock(&kvm->slots_lock);
	r = assign ? assign_locked(kvm, args, &ctx) : deassign_locked(kvm, args, ctx);
	mutex_unlock(&kvm->slots_lock);
	ctx_put(ctx);
	return r;
}

/* The buses are gone. */
void kvm_ioeventfds_destroy(struct kvm *kvm)
{
	struct doorbell *bell, *next;

	list_for_each_entry_safe(bell, next, &kvm->doorbells, list)
		doorbell_free(bell);
}
