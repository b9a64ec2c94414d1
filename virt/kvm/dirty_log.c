// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty log: a bitmap of the pages of a slot that were written to since userspace last asked.
 * Owns the bitmaps and the two ioctls that read and clear them. That a write to a clean page is
 * noticed at all is the architecture's part (kvm_arch_dirty_protect()). The ABI is described in the
 * API document, "KVM_GET_DIRTY_LOG", "KVM_CLEAR_DIRTY_LOG" and
 * "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2".
 *
 * The second half of each allocation is a scratch copy, guarded by slots_lock, so that nothing is
 * copied from or to userspace under mmu_lock.
 */
#include <linux/bitmap.h>
#include <linux/export.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/kvm_host.h>

/* How often to look whether somebody waits while there is nothing to do. */
#define CLEAN_LONGS_A_LOOK	1024

static unsigned long log_longs(const struct kvm_memory_slot *slot)
{
	return BITS_TO_LONGS(slot->npages);
}

static unsigned long *log_scratch(const struct kvm_memory_slot *slot)
{
	return slot->dirty_bitmap + log_longs(slot);
}

/*
 * The bit is set even if it is set already: the atomic operation orders the write to the page
 * before whatever a concurrent KVM_GET_DIRTY_LOG does after having taken the bit.
 */
void kvm_dirty_log_mark(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot, gfn_t gfn)
{
	/* Pairs with the release in memslot.c: whoever sees the flag sees the bitmap. */
	if (!slot || !(smp_load_acquire(&slot->flags) & KVM_MEM_LOG_DIRTY_PAGES))
		return;
	if (slot->dirty_bitmap)
		set_bit(gfn - slot->base_gfn, slot->dirty_bitmap);
	else
		kvm_dirty_ring_mark(vcpu, slot, gfn);
}
EXPORT_SYMBOL_GPL(kvm_dirty_log_mark);

int kvm_dirty_log_create(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	unsigned long *bitmap;

	if (kvm->dirty_ring_entries)
		return 0;
	bitmap = kvcalloc(2 * log_longs(slot), sizeof(*bitmap), GFP_KERNEL_ACCOUNT);
	if (!bitmap)
		return -ENOMEM;
	if (READ_ONCE(kvm->manual_dirty_log_protect) & KVM_DIRTY_LOG_INITIALLY_SET)
		bitmap_set(bitmap, 0, slot->npages);
	slot->dirty_bitmap = bitmap;
	return 0;
}

/* No reader has seen the slot's logging flag set, or those that have are gone. */
void kvm_dirty_log_free(struct kvm_memory_slot *slot)
{
	kvfree(slot->dirty_bitmap);
	slot->dirty_bitmap = NULL;
}

/* The logged slot that an ioctl's slot number means. */
static struct kvm_memory_slot *logged_slot(struct kvm *kvm, u32 number)
{
	struct kvm_memory_slot *slot;
	u32 as_id = number >> 16, id = (u16)number;

	if (kvm->dirty_ring_entries)
		return ERR_PTR(-ENXIO);
	if (as_id >= KVM_MAX_NR_ADDRESS_SPACES || id >= KVM_USER_MEM_SLOTS)
		return ERR_PTR(-EINVAL);
	slot = kvm_memslot_by_id(kvm, as_id, id);
	return slot && slot->dirty_bitmap ? slot : ERR_PTR(-ENOENT);
}

/*
 * Somebody waits for mmu_lock or for the processor. TLBs are flushed before the lock is dropped:
 * others may rely on it that an entry without write permission is so in every TLB.
 */
static bool give_way(struct kvm *kvm, bool flush)
{
	if (!need_resched() && !rwlock_needbreak(&kvm->mmu_lock))
		return flush;
	if (flush)
		kvm_flush_remote_tlbs(kvm);
	cond_resched_rwlock_write(&kvm->mmu_lock);
	return false;
}

/* Move all bits to the scratch copy and have the pages trap again. */
static void take_dirty_bits(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	unsigned long i, mask, longs = log_longs(slot);
	unsigned long *bitmap = slot->dirty_bitmap, *scratch = log_scratch(slot);
	bool flush = false;

	write_lock(&kvm->mmu_lock);
	for (i = 0; i < longs; i++) {
		mask = READ_ONCE(bitmap[i]) ? xchg(&bitmap[i], 0) : 0;
		scratch[i] = mask;
		if (mask) {
			kvm_arch_dirty_protect(kvm, slot, i * BITS_PER_LONG, mask);
			flush = true;
		}
		if (mask || !(i % CLEAN_LONGS_A_LOOK))
			flush = give_way(kvm, flush);
	}
	if (flush)
		kvm_flush_remote_tlbs(kvm);
	write_unlock(&kvm->mmu_lock);
}

/* Userspace did not get the bits: they are still to be reported. */
static void return_dirty_bits(struct kvm_memory_slot *slot)
{
	unsigned long i, longs = log_longs(slot);
	unsigned long *bitmap = slot->dirty_bitmap, *scratch = log_scratch(slot);

	for (i = 0; i < longs; i++)
		if (scratch[i])
			atomic_long_or(scratch[i], (atomic_long_t *)&bitmap[i]);
}

static int get_dirty_log(struct kvm *kvm, struct kvm_dirty_log *log)
{
	struct kvm_memory_slot *slot = logged_slot(kvm, log->slot);
	unsigned long size;

	if (IS_ERR(slot))
		return PTR_ERR(slot);
	size = log_longs(slot) * sizeof(long);
	kvm_arch_dirty_log_sync(kvm);
	if (READ_ONCE(kvm->manual_dirty_log_protect))
		return copy_to_user(log->dirty_bitmap, slot->dirty_bitmap, size) ? -EFAULT : 0;

	take_dirty_bits(kvm, slot);
	if (!copy_to_user(log->dirty_bitmap, log_scratch(slot), size))
		return 0;
	return_dirty_bits(slot);
	return -EFAULT;
}

int kvm_vm_get_dirty_log(struct kvm *kvm, struct kvm_dirty_log *log)
{
	int r;

	mutex_lock(&kvm->slots_lock);
	r = get_dirty_log(kvm, log);
	mutex_unlock(&kvm->slots_lock);
	return r;
}

static bool clear_range_valid(const struct kvm_memory_slot *slot, u64 first, u64 num)
{
	if (first > slot->npages || num > slot->npages - first)
		return false;
	return !(num % 64) || first + num == slot->npages;
}

/*
 * Clear those bits of the scratch copy that are set in the bitmap too, and have their pages trap
 * again. A bit that is not set needs nothing: its page traps already.
 */
static void clear_dirty_bits(struct kvm *kvm, struct kvm_memory_slot *slot, unsigned long first,
			     unsigned long longs)
{
	unsigned long *bitmap = slot->dirty_bitmap, *scratch = log_scratch(slot);
	unsigned long i, mask;
	bool flush = false;

	write_lock(&kvm->mmu_lock);
	for (i = first; i < first + longs; i++) {
		mask = scratch[i];
		if (mask)
			mask &= atomic_long_fetch_andnot(mask, (atomic_long_t *)&bitmap[i]);
		if (mask) {
			kvm_arch_dirty_protect(kvm, slot, i * BITS_PER_LONG, mask);
			flush = true;
		}
		if (mask || !(i % CLEAN_LONGS_A_LOOK))
			flush = give_way(kvm, flush);
	}
	if (flush)
		kvm_flush_remote_tlbs(kvm);
	write_unlock(&kvm->mmu_lock);
}

static int clear_dirty_log(struct kvm *kvm, struct kvm_clear_dirty_log *log)
{
	struct kvm_memory_slot *slot;
	unsigned long first, longs;

	if (log->first_page % 64)
		return -EINVAL;
	slot = logged_slot(kvm, log->slot);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	if (!clear_range_valid(slot, log->first_page, log->num_pages))
		return -EINVAL;
	first = log->first_page / BITS_PER_LONG;
	longs = BITS_TO_LONGS(log->num_pages);
	if (copy_from_user(log_scratch(slot) + first, log->dirty_bitmap, longs * sizeof(long)))
		return -EFAULT;
	kvm_arch_dirty_clear(kvm, slot, log->first_page, log->num_pages);
	clear_dirty_bits(kvm, slot, first, longs);
	return 0;
}

int kvm_vm_clear_dirty_log(struct kvm *kvm, struct kvm_clear_dirty_log *log)
{
	int r;

	mutex_lock(&kvm->slots_lock);
	r = clear_dirty_log(kvm, log);
	mutex_unlock(&kvm->slots_lock);
	return r;
}
