// SPDX-License-Identifier: GPL-2.0
/*
 * Who touched a page: write protection for the dirty log, and ageing. Entries lose a right or a
 * bit here, none goes away; giving the right back is the fault's work (fault.c, direct.c).
 *
 * Where the processor logs which pages it makes dirty (SDM 3, 29.3.6), leaves of 4 KiB lose the dirty
 * bit for the dirty log and stay writable; larger ones are protected, to be split by the first write.
 */
#include "internal.h"
#include "iter.h"

/*
 * Nobody concludes from a missing SPTE_WRITE that no processor caches it, so the flush can wait
 * for the end although mmu_lock is dropped in between.
 */
static bool protect_slot(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	gfn_t end = slot->base_gfn + slot->npages;
	struct kvm_mmu_page *root;
	struct kvm_iter it;
	bool flush = false;

	for_each_root(kvm, root, slot->as_id) {
		kvm_for_each_spte(&it, root, slot->base_gfn, end, 1) {
			u64 bit = spte_log_bit(it.level);

			if (kvm_iter_should_yield(kvm, &it)) {
				if (!kvm_iter_yield(kvm, &it))
					return true;
				continue;
			}
			if (!spte_is_leaf(it.spte, it.level) || !(it.spte & bit))
				continue;
			spte_clear_bits(it.sptep, bit);
			flush = true;
		}
	}
	return kvm_rmap_clear_range(kvm, slot, slot->base_gfn, end, SPTE_WRITE, true) || flush;
}

/*
 * With KVM_DIRTY_LOG_INITIALLY_SET every page counts as dirty and is protected only when userspace
 * clears its bit.
 */
void kvm_arch_memslot_changed(struct kvm *kvm, struct kvm_memory_slot *slot, u32 old_flags)
{
	bool logs = slot->flags & KVM_MEM_LOG_DIRTY_PAGES;

	if (logs == !!(old_flags & KVM_MEM_LOG_DIRTY_PAGES))
		return;
	if (logs && slot->dirty_bitmap &&
	    (kvm->manual_dirty_log_protect & KVM_DIRTY_LOG_INITIALLY_SET))
		return;

	write_lock(&kvm->mmu_lock);
	if (!logs) {
		kvm_mmu_collapse_slot(kvm, slot);
	} else {
		if (eager_page_split && slot->arch.max_level > 1)
			kvm_mmu_split_range(kvm, slot, slot->base_gfn,
					    slot->base_gfn + slot->npages);
		if (protect_slot(kvm, slot))
			kvm_flush_remote_tlbs(kvm);
	}
	write_unlock(&kvm->mmu_lock);
}

/* What was not done when the log was switched on. Tables are split already on the second call. */
void kvm_arch_dirty_clear(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t offset, u64 npages)
{
	gfn_t start = slot->base_gfn + offset;

	if (!eager_page_split || slot->arch.max_level < 2 ||
	    !(kvm->manual_dirty_log_protect & KVM_DIRTY_LOG_INITIALLY_SET))
		return;
	write_lock(&kvm->mmu_lock);
	kvm_mmu_split_range(kvm, slot, start, start + npages);
	write_unlock(&kvm->mmu_lock);
}

void kvm_arch_dirty_protect(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t offset,
			    unsigned long mask)
{
	gfn_t base = slot->base_gfn + offset;
	struct kvm_mmu_page *root;
	struct kvm_iter it;

	if (!mask)
		return;
	if (!kvm_hw.npt)
		kvm_rmap_clear_mask(slot, base, mask, SPTE_WRITE);
	for_each_root(kvm, root, slot->as_id) {
		kvm_for_each_spte(&it, root, base + __ffs(mask), base + __fls(mask) + 1, 1) {
			u64 bit = spte_log_bit(it.level);

			if (!spte_is_leaf(it.spte, it.level) || !(it.spte & bit))
				continue;
			if (it.level == 1 && !(mask & BIT(it.gfn - base)))
				continue;
			spte_clear_bits(it.sptep, bit);
		}
	}
}

/*
 * Every vcpu is out of the guest when this returns and goes back with its log on, or off: before the
 * first leaf is in a state in which writes to it must be noted.
 */
void kvm_arch_dirty_logging_changed(struct kvm *kvm)
{
	if (kvm_processor_logs())
		kvm_request_all(kvm, KVM_REQ_DIRTY_LOGGING);
}

/* A vcpu's log is empty when it is out of the guest. */
void kvm_arch_dirty_log_sync(struct kvm *kvm)
{
	if (kvm_processor_logs())
		kvm_request_all(kvm, KVM_REQ_OUTSIDE);
}

/*
 * A processor that caches the translation does not set the bit again, so that without a flush a
 * page may look older than it is. The caller flushes if that matters to it. No yield here: the
 * kernel asks under the lock of a host page table.
 */
bool kvm_arch_age_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	struct kvm_mmu_page *root;
	struct kvm_iter it;
	bool young = false;

	for_each_root(kvm, root, range->slot->as_id) {
		kvm_for_each_spte(&it, root, range->start, range->end, 1) {
			if (!spte_is_leaf(it.spte, it.level) ||
			    !(it.spte & kvm_spte_format.accessed))
				continue;
			spte_clear_bits(it.sptep, kvm_spte_format.accessed);
			young = true;
		}
	}
	return kvm_rmap_clear_range(kvm, range->slot, range->start, range->end,
				    kvm_spte_format.accessed, false) || young;
}

bool kvm_arch_test_age_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	struct kvm_mmu_page *root;
	struct kvm_iter it;

	for_each_root(kvm, root, range->slot->as_id) {
		kvm_for_each_spte(&it, root, range->start, range->end, 1) {
			if (spte_is_leaf(it.spte, it.level) &&
			    (it.spte & kvm_spte_format.accessed))
				return true;
		}
	}
	return kvm_rmap_test_range(range->slot, range->start, range->end,
				   kvm_spte_format.accessed);
}
