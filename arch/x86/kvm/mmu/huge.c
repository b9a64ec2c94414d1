// SPDX-License-Identifier: GPL-2.0
/*
 * Sizes of mappings: how large a page a fault may map, splitting large ones for dirty logging
 * ahead of time, and getting large ones back afterwards. A large page needs the slot's frames and
 * the host's addresses aligned alike, the whole page inside the slot, a host mapping of that size,
 * and no dirty log.
 */
#include <linux/log2.h>
#include <linux/page-flags.h>

#include "internal.h"
#include "iter.h"

int kvm_arch_memslot_create(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	gfn_t skew = slot->base_gfn ^ (slot->userspace_addr >> PAGE_SHIFT);
	int level = 1;

	while (level < kvm_spte_format.max_huge_level && !(skew & (level_frames(level + 1) - 1)))
		level++;
	slot->arch.max_level = level;
	return kvm_hw.npt ? 0 : kvm_rmap_slot_create(slot);
}

void kvm_arch_memslot_free(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	kvm_rmap_slot_free(slot);
}

/* The largest page at @gfn that lies within the slot and is aligned in the host as in the guest. */
int kvm_mmu_slot_level(const struct kvm_memory_slot *slot, gfn_t gfn)
{
	gfn_t end = slot->base_gfn + slot->npages;
	int level;

	for (level = slot->arch.max_level; level > 1; level--) {
		gfn_t base = level_base(gfn, level);

		if (base >= slot->base_gfn && base + level_frames(level) <= end)
			break;
	}
	return level;
}

static int shift_level(int shift)
{
	return shift >= 30 ? 3 : shift >= 21 ? 2 : 1;
}

/* mmu_lock is held and the notifier saw no invalidation, so the host's tables stay in place. */
int kvm_mmu_fault_level(struct kvm *kvm, struct kvm_fault *fault)
{
	int level;

	if (fault->logged)
		return 1;
	/* A page on its own cannot be part of a large mapping, so that most faults end here. */
	if (fault->page.page && !PageCompound(fault->page.page))
		return 1;
	level = kvm_mmu_slot_level(fault->slot, fault->gfn);
	if (level == 1)
		return 1;
	return min(level, shift_level(kvm_host_mapping_shift(kvm->mm, fault->page.hva)));
}

/*
 * Split every large page of a range into 4 KiB ones, so that its vcpus need not do it one write at
 * a time. Called and returns with mmu_lock held for write. Stops early when memory is short: the
 * fault that meets a large page splits it then.
 */
void kvm_mmu_split_range(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t start, gfn_t end)
{
	u64 generation = kvm->arch.mmu.generation;
	struct kvm_mmu_cache headers = { };
	struct kvm_mmu_cache tables = { };
	struct kvm_mmu_page *root, *sp;
	struct kvm_iter it;
	int r;

	for_each_root(kvm, root, slot->as_id) {
		kvm_for_each_spte(&it, root, start, end, 2) {
			if (!spte_is_leaf(it.spte, it.level)) {
				if (!kvm_iter_should_yield(kvm, &it))
					continue;
				if (!kvm_iter_yield(kvm, &it))
					goto out;
				continue;
			}
			if (!tables.nr || !headers.nr) {
				write_unlock(&kvm->mmu_lock);
				r = kvm_mmu_cache_fill(&tables, &headers, KVM_MMU_CACHE_OBJS);
				cond_resched();
				write_lock(&kvm->mmu_lock);
				if (r || kvm->arch.mmu.generation != generation)
					goto out;
				kvm_iter_rewind(&it);
				continue;
			}
			sp = kvm_mmu_page_take(&tables, &headers, it.level - 1);
			if (!kvm_mmu_split_leaf(kvm, it.sptep, it.spte, it.level, sp)) {
				/* The processor set a bit in it: once more. */
				kvm_mmu_page_give_back(&tables, &headers, sp);
				kvm_iter_rewind(&it);
			}
		}
	}
out:
	kvm_mmu_cache_free(&tables, &headers);
}

bool kvm_mmu_can_collapse(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t gfn)
{
	if (kvm_mmu_slot_level(slot, gfn) < 2)
		return false;
	return shift_level(kvm_host_mapping_shift(kvm->mm, kvm_memslot_hva(slot, gfn))) >= 2;
}

/* Drop tables of small pages where the host has a large one. mmu_lock for write. */
void kvm_mmu_collapse_slot(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	gfn_t start = slot->base_gfn, end = start + slot->npages;
	struct kvm_mmu_page *root;
	struct kvm_iter it;
	struct kvm_zap zap;

	if (slot->arch.max_level < 2)
		return;

	kvm_zap_begin(&zap, kvm);
	for_each_root(kvm, root, slot->as_id) {
		kvm_for_each_spte(&it, root, start, end, 2) {
			if (kvm_iter_should_yield(kvm, &it)) {
				if (kvm_zap_end(&zap))
					kvm_flush_remote_tlbs(kvm);
				zap.flush = false;
				if (!kvm_iter_yield(kvm, &it))
					return;
				continue;
			}
			if (it.level == 2 && spte_is_table(it.spte, 2) &&
			    kvm_mmu_can_collapse(kvm, slot, max(it.gfn, start)))
				kvm_zap_entry(&zap, it.sptep, 2);
		}
	}
	kvm_rmap_collapse(&zap, slot);
	if (kvm_zap_end(&zap))
		kvm_flush_remote_tlbs(kvm);
}
