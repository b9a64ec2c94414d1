// SPDX-License-Identifier: GPL-2.0
/*
 * Coalesced I/O: writes to some addresses or ports go to a ring that userspace reads when it next
 * looks, instead of an exit each. Owns the zones and the kernel's end of the ring. The ABI is
 * described in the API document, "KVM_(UN)REGISTER_COALESCED_MMIO".
 *
 * The ring is a page that userspace has mapped, with both indexes in it: nothing read from there
 * is trusted.
 */
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/kvm_host.h>

struct coalesced_zone {
	struct kvm_io_device dev;
	struct kvm *kvm;
	struct list_head list;		/* kvm->coalesced_zones */
	u64 first, last;
	bool pio;
};

static struct coalesced_zone *dev_zone(struct kvm_io_device *dev)
{
	return container_of(dev, struct coalesced_zone, dev);
}

struct page *kvm_coalesced_ring_page(struct kvm *kvm)
{
	struct page *page = READ_ONCE(kvm->coalesced_page);
	struct page *winner;

	if (page)
		return page;
	page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!page)
		return NULL;
	/* Faults in vcpu mappings cannot take a mutex of ours. */
	winner = cmpxchg(&kvm->coalesced_page, NULL, page);
	if (!winner)
		return page;
	__free_page(page);
	return winner;
}

/* False when the ring is full, or when userspace made its indexes meaningless. */
static bool ring_add(struct kvm_coalesced_mmio_ring *ring, gpa_t addr, int len, const void *val,
		     bool pio)
{
	u32 last = READ_ONCE(ring->last), next = (last + 1) % KVM_COALESCED_MMIO_MAX;
	struct kvm_coalesced_mmio *entry;

	if (last >= KVM_COALESCED_MMIO_MAX || next == READ_ONCE(ring->first))
		return false;
	entry = &ring->coalesced_mmio[last];
	entry->phys_addr = addr;
	entry->len = len;
	entry->pio = pio;
	memcpy(entry->data, val, len);
	smp_store_release(&ring->last, next);	/* a reader that sees the index sees the entry */
	return true;
}

static int zone_write(struct kvm_vcpu *vcpu, struct kvm_io_device *dev, gpa_t addr, int len,
		      const void *val)
{
	struct coalesced_zone *zone = dev_zone(dev);
	struct kvm *kvm = zone->kvm;
	bool added;

	if (len <= 0 || len > sizeof_field(struct kvm_coalesced_mmio, data))
		return -EOPNOTSUPP;
	spin_lock(&kvm->coalesced_lock);
	added = ring_add(page_address(kvm->coalesced_page), addr, len, val, zone->pio);
	spin_unlock(&kvm->coalesced_lock);
	return added ? 0 : -EOPNOTSUPP;
}

/* Under slots_lock, or when the VM ends. */
static void zone_release(struct kvm_io_device *dev)
{
	struct coalesced_zone *zone = dev_zone(dev);

	list_del(&zone->list);
	kfree(zone);
}

static const struct kvm_io_device_ops zone_ops = {
	.write = zone_write,
	.release = zone_release,
};

static enum kvm_bus zone_bus(bool pio)
{
	return pio ? KVM_PIO_BUS : KVM_MMIO_BUS;
}

static bool zone_valid(const struct kvm_coalesced_mmio_zone *zone)
{
	return zone->pio <= 1 && zone->size && zone->addr + (zone->size - 1) >= zone->addr;
}

int kvm_coalesced_register(struct kvm *kvm, const struct kvm_coalesced_mmio_zone *uzone)
{
	struct coalesced_zone *zone;
	int r;

	if (!zone_valid(uzone))
		return -EINVAL;
	if (!kvm_coalesced_ring_page(kvm))
		return -ENOMEM;
	zone = kzalloc(sizeof(*zone), GFP_KERNEL_ACCOUNT);
	if (!zone)
		return -ENOMEM;
	zone->dev.ops = &zone_ops;
	zone->kvm = kvm;
	zone->first = uzone->addr;
	zone->last = uzone->addr + (uzone->size - 1);
	zone->pio = uzone->pio;

	mutex_lock(&kvm->slots_lock);
	r = kvm_io_bus_register(kvm, zone_bus(zone->pio), uzone->addr, uzone->size, &zone->dev);
	if (!r)
		list_add_tail(&zone->list, &kvm->coalesced_zones);
	mutex_unlock(&kvm->slots_lock);
	if (r)
		kfree(zone);
	return r;
}

/* Remove every zone that the given range lies in; that there is none is no error. */
int kvm_coalesced_unregister(struct kvm *kvm, const struct kvm_coalesced_mmio_zone *uzone)
{
	struct coalesced_zone *zone, *tmp;
	u64 last;

	if (!zone_valid(uzone))
		return -EINVAL;
	last = uzone->addr + (uzone->size - 1);
	mutex_lock(&kvm->slots_lock);
	list_for_each_entry_safe(zone, tmp, &kvm->coalesced_zones, list)
		if (zone->pio == uzone->pio && zone->first <= uzone->addr && last <= zone->last)
			kvm_io_bus_unregister(kvm, zone_bus(zone->pio), &zone->dev);
	mutex_unlock(&kvm->slots_lock);
	return 0;
}

/* The zones are on the buses and are released with them. */
void kvm_coalesced_destroy(struct kvm *kvm)
{
	if (kvm->coalesced_page)
		__free_page(kvm->coalesced_page);
	kvm->coalesced_page = NULL;
}
