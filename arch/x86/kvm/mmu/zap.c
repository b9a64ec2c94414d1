// SPDX-License-Identifier: GPL-2.0
/*
 * Removal of translations: of a range of guest frames, of a slot, of the oldest tables under memory
 * pressure. The only file that takes anything out of a tree. Documentation/virt/kvm/mmu.rst says
 * when TLBs are flushed; APM 2, 15.16 says what they may hold.
 */
#include <linux/sched.h>

#include "internal.h"
#include "iter.h"

void kvm_zap_begin(struct kvm_zap *zap, struct kvm *kvm)
{
	*zap = (struct kvm_zap) { .kvm = kvm };
	INIT_LIST_HEAD(&zap->dead);
}

bool kvm_zap_end(struct kvm_zap *zap)
{
	struct kvm_mmu_page *sp, *next;
	int level;

	for (level = 1; level <= KVM_MAX_HUGE_LEVEL; level++) {
		if (zap->leaves[level])
			count_leaves(zap->kvm, level, -zap->leaves[level]);
		zap->leaves[level] = 0;
	}
	if (zap->tops)
		kvm_request_all(zap->kvm, KVM_REQ_MMU_ROOT);
	zap->tops = false;
	if (list_empty(&zap->dead))
		return zap->flush;

	/* A processor in the guest is no RCU reader, so its cached path to the table goes first. */
	kvm_flush_remote_tlbs(zap->kvm);
	zap->flush = false;
	list_for_each_entry_safe(sp, next, &zap->dead, link)
		kvm_mmu_page_free_rcu(sp);
	INIT_LIST_HEAD(&zap->dead);
	return false;
}

/*
 * A table that the tree no longer points to. Its own entries stay as they are: a fault that still
 * looks at them under RCU does no harm there.
 */
static void zap_table(struct kvm_zap *zap, struct kvm_mmu_page *sp)
{
	long leaves = 0;
	unsigned int i;

	for (i = 0; i < SPTE_PER_TABLE; i++) {
		u64 spte = READ_ONCE(sp->table[i]);

		if (!spte)
			continue;
		if (spte_is_table(spte, sp->level))
			zap_table(zap, table_page(spte_child(spte)));
		else
			leaves++;
	}
	zap->leaves[sp->level] += leaves;
	kvm_mmu_page_unaccount(zap->kvm, sp);
	list_add_tail(&sp->link, &zap->dead);
}

void kvm_zap_entry(struct kvm_zap *zap, u64 *sptep, int level)
{
	u64 spte = xchg(sptep, 0);

	if (!spte_present(spte))
		return;
	zap->flush = true;
	if (spte_is_table(spte, level))
		zap_table(zap, table_page(spte_child(spte)));
	else
		zap->leaves[level]++;
}

bool kvm_iter_yield(struct kvm *kvm, struct kvm_iter *it)
{
	u64 generation = kvm->arch.mmu.generation;

	cond_resched_rwlock_write(&kvm->mmu_lock);
	if (kvm->arch.mmu.generation != generation)
		return false;
	kvm_iter_rewind(it);
	return true;
}

/*
 * Others look at the tree once the lock is dropped and take an empty entry for one that nobody
 * caches, so nothing may be left to flush: neither of this removal nor of another one that the
 * caller did under the same hold of the lock.
 */
static void zap_flush(struct kvm_zap *zap)
{
	zap->flush = true;
	if (kvm_zap_end(zap))
		kvm_flush_remote_tlbs(zap->kvm);
	zap->flush = false;
}

static bool zap_yield(struct kvm_zap *zap, struct kvm_iter *it)
{
	zap_flush(zap);
	return kvm_iter_yield(zap->kvm, it);
}

void kvm_zap_pause(struct kvm_zap *zap)
{
	zap_flush(zap);
	cond_resched_rwlock_write(&zap->kvm->mmu_lock);
}

/*
 * Remove, at @level and above, leaves that touch the range and tables that lie within it. Of
 * tables, only those of the lowest level visited go, so that a step is never larger than one table
 * of leaves and the pass after it finds those above empty.
 */
static bool zap_pass(struct kvm_zap *zap, struct kvm_mmu_page *root, gfn_t start, gfn_t end,
		     int level, bool may_yield)
{
	int table_level = max(level, 2);
	struct kvm_iter it;

	kvm_for_each_spte(&it, root, start, end, level) {
		if (may_yield && kvm_iter_should_yield(zap->kvm, &it)) {
			if (!zap_yield(zap, &it))
				return false;
			continue;
		}
		if (spte_is_table(it.spte, it.level) &&
		    (it.level != table_level || !kvm_iter_covers(&it, start)))
			continue;
		kvm_zap_entry(zap, it.sptep, it.level);
	}
	return true;
}

bool kvm_zap_range(struct kvm_zap *zap, struct kvm_mmu_page *root, gfn_t start, gfn_t end,
		   bool may_yield)
{
	int level;

	if (!zap_pass(zap, root, start, end, 1, may_yield))
		return false;
	for (level = 3; level <= root->level; level++) {
		gfn_t frames = level_frames(level);

		if (round_up(start, frames) + frames > end)
			break;
		if (!zap_pass(zap, root, start, end, level, may_yield))
			return false;
	}
	return true;
}

bool kvm_arch_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	struct kvm_mmu_page *root;
	struct kvm_zap zap;

	kvm_zap_begin(&zap, kvm);
	for_each_root(kvm, root, range->slot->as_id) {
		if (!kvm_zap_range(&zap, root, range->start, range->end, range->may_block))
			break;
	}
	kvm_rmap_zap_range(&zap, range->slot, range->start, range->end, range->may_block);
	return kvm_zap_end(&zap);
}

/* What was made from the guest's tables in the slot goes with them. */
static void zap_slot_tables(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	struct kvm_zap zap;

	kvm_zap_begin(&zap, kvm);
	kvm_shadow_zap_slot(&zap, slot);
	if (kvm_zap_end(&zap))
		kvm_flush_remote_tlbs(kvm);
}

void kvm_arch_memslot_zap(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	struct kvm_gfn_range range = {
		.slot = slot,
		.start = slot->base_gfn,
		.end = slot->base_gfn + slot->npages,
		.may_block = true,
	};

	write_lock(&kvm->mmu_lock);
	if (kvm_arch_unmap_gfn_range(kvm, &range))
		kvm_flush_remote_tlbs(kvm);
	if (!kvm_hw.npt)
		zap_slot_tables(kvm, slot);
	write_unlock(&kvm->mmu_lock);
}

/* A table that can go for its memory: one of leaves, or any of shadow paging that no vcpu is on. */
static bool zap_for_memory(struct kvm_zap *zap, struct kvm_mmu_page *sp)
{
	if (sp->shadow ? sp->users : sp->level > 1) {
		list_move_tail(&sp->link, &zap->kvm->arch.mmu.pages);
		return false;
	}
	if (sp->shadow) {
		kvm_shadow_zap(zap, sp);
		zap->kvm->stat.mmu_recycled++;
	} else {
		kvm_zap_entry(zap, sp->parent, 2);
	}
	return true;
}

/*
 * Take up to @nr tables out of the trees, those linked or found longest ago first. Upper tables of
 * direct mode are few; they only go to the end of the list. Returns how many tables went.
 */
unsigned long kvm_zap_oldest(struct kvm *kvm, unsigned long nr)
{
	struct kvm_vm_mmu *mmu = &kvm->arch.mmu;
	unsigned long scan, freed = 0;
	struct kvm_mmu_page *sp;
	struct kvm_zap zap;
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	write_lock(&kvm->mmu_lock);
	kvm_zap_begin(&zap, kvm);
	for (scan = mmu->nr_pages; scan && freed < nr; scan--) {
		if (list_empty(&mmu->pages))
			break;
		sp = list_first_entry(&mmu->pages, struct kvm_mmu_page, link);
		if (!zap_for_memory(&zap, sp))
			continue;
		freed++;
		if (need_resched() || rwlock_needbreak(&kvm->mmu_lock)) {
			kvm_zap_end(&zap);
			zap.flush = false;
			cond_resched_rwlock_write(&kvm->mmu_lock);
		}
	}
	if (kvm_zap_end(&zap))
		kvm_flush_remote_tlbs(kvm);
	write_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu, idx);
	return freed;
}
