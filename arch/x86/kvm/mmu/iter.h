/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A walk over the entries of a table tree that stand for a range of guest frames, upper levels
 * first. It stops only at entries that are not empty and goes down only where there is a table, so
 * its cost follows what is mapped. The caller holds mmu_lock on either side, which keeps tables in
 * place.
 */
#ifndef _KVM_X86_MMU_ITER_H
#define _KVM_X86_MMU_ITER_H

#include <linux/sched.h>

#include "internal.h"

struct kvm_iter {
	struct kvm_mmu_page *root;
	u64 *table[KVM_PT_LEVELS + 1];	/* by level, on the way to sptep */
	u64 *sptep;
	u64 spte;			/* as it was when the walk came here */
	gfn_t gfn;			/* where the walk is, somewhere in the range of sptep */
	gfn_t end;
	u8 steps;			/* since somebody was last asked whether to yield */
	u8 level;
	u8 min_level;			/* do not go below */
};

/*
 * How often a walk looks whether it should yield. More than the levels of a tree, so that a walk
 * which yields each time still gets on; few enough for each step to be a table that goes.
 */
#define KVM_ITER_STEPS	32

static inline void kvm_iter_read(struct kvm_iter *it)
{
	it->sptep = &it->table[it->level][spte_index(it->gfn, it->level)];
	it->spte = READ_ONCE(*it->sptep);
}

/* Find the way from the root again, after mmu_lock was dropped. The entry may be empty. */
static inline void kvm_iter_rewind(struct kvm_iter *it)
{
	it->level = it->root->level;
	it->table[it->level] = it->root->table;
	kvm_iter_read(it);
}

/* The entry that follows, of an upper table where this one ends. It may be empty. */
static inline bool kvm_iter_skip(struct kvm_iter *it)
{
	it->gfn = level_base(it->gfn, it->level) + level_frames(it->level);
	if (it->gfn >= it->end)
		return false;
	if (likely(spte_index(it->gfn, it->level))) {
		it->spte = READ_ONCE(*++it->sptep);
		return true;
	}
	while (!spte_index(it->gfn, it->level))
		it->level++;
	kvm_iter_read(it);
	return true;
}

/* From an empty entry to the next one that is not. */
static inline bool kvm_iter_seek(struct kvm_iter *it)
{
	do {
		unsigned int shift = (it->level - 1) * SPTE_INDEX_BITS;
		gfn_t left = ((it->end - 1) >> shift) - (it->gfn >> shift);
		gfn_t index = spte_index(it->gfn, it->level);
		u64 *first = it->sptep;
		u64 *last = first + min(left, SPTE_PER_TABLE - 1 - index);

		while (!it->spte && it->sptep < last)
			it->spte = READ_ONCE(*++it->sptep);
		if (it->sptep != first)
			it->gfn = ((it->gfn >> shift) + (it->sptep - first)) << shift;
		if (it->spte)
			return true;
	} while (kvm_iter_skip(it));
	return false;
}

static inline bool kvm_iter_begin(struct kvm_iter *it, struct kvm_mmu_page *root, gfn_t start,
				  gfn_t end, int min_level)
{
	it->root = root;
	it->gfn = start;
	it->steps = 0;
	it->end = min(end, level_frames(root->level + 1));
	it->min_level = min_level;
	if (start >= it->end)
		return false;
	kvm_iter_rewind(it);
	return it->spte || kvm_iter_seek(it);
}

/* The entry is read again: the body of the loop may have changed it. */
static __always_inline bool kvm_iter_next(struct kvm_iter *it)
{
	u64 spte = READ_ONCE(*it->sptep);

	if (it->level > it->min_level && spte_is_table(spte, it->level)) {
		it->level--;
		it->table[it->level] = spte_child(spte);
		kvm_iter_read(it);
	} else if (!kvm_iter_skip(it)) {
		return false;
	}
	return likely(it->spte) || kvm_iter_seek(it);
}

/* Is it time to let others have mmu_lock? */
static inline bool kvm_iter_should_yield(struct kvm *kvm, struct kvm_iter *it)
{
	if (++it->steps < KVM_ITER_STEPS)
		return false;
	it->steps = 0;
	return need_resched() || rwlock_needbreak(&kvm->mmu_lock);
}

/* The whole range of the entry belongs to the walk. */
static inline bool kvm_iter_covers(struct kvm_iter *it, gfn_t start)
{
	gfn_t base = level_base(it->gfn, it->level);

	return base >= start && base + level_frames(it->level) <= it->end;
}

#define kvm_for_each_spte(it, root, start, end, min_level)				\
	for (bool __more = kvm_iter_begin(it, root, start, end, min_level); __more;	\
	     __more = kvm_iter_next(it))

#endif
