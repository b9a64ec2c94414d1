/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A walk over the entries of a table tree that stand for a range of guest frames, upper levels
 * first. It goes down only where there is a table, so its cost follows what is mapped. The caller
 * holds mmu_lock on either side, which keeps tables in place.
 */
#ifndef _KVM_X86_MMU_ITER_H
#define _KVM_X86_MMU_ITER_H

#include "internal.h"

struct kvm_iter {
	struct kvm_mmu_page *root;
	u64 *table[KVM_PT_LEVELS + 1];	/* by level, on the way to sptep */
	u64 *sptep;
	u64 spte;			/* as it was when the walk came here */
	gfn_t gfn;			/* where the walk is, somewhere in the range of sptep */
	gfn_t end;
	gfn_t yielded;			/* no further yield before the walk is beyond this frame */
	u8 level;
	u8 min_level;			/* do not go below */
};

static inline void kvm_iter_read(struct kvm_iter *it)
{
	it->sptep = &it->table[it->level][spte_index(it->gfn, it->level)];
	it->spte = READ_ONCE(*it->sptep);
}

/* Find the way from the root again, after mmu_lock was dropped. */
static inline void kvm_iter_rewind(struct kvm_iter *it)
{
	it->level = it->root->level;
	it->table[it->level] = it->root->table;
	kvm_iter_read(it);
}

static inline bool kvm_iter_begin(struct kvm_iter *it, struct kvm_mmu_page *root, gfn_t start,
				  gfn_t end, int min_level)
{
	it->root = root;
	it->gfn = start;
	it->yielded = start;
	it->end = min(end, level_frames(root->level + 1));
	it->min_level = min_level;
	if (start >= it->end)
		return false;
	kvm_iter_rewind(it);
	return true;
}

/* The entry is read again: the body of the loop may have changed it. */
static inline bool kvm_iter_next(struct kvm_iter *it)
{
	u64 spte = READ_ONCE(*it->sptep);

	if (it->level > it->min_level && spte_is_table(spte, it->level)) {
		it->level--;
		it->table[it->level] = spte_child(spte);
		kvm_iter_read(it);
		return true;
	}

	it->gfn = level_base(it->gfn, it->level) + level_frames(it->level);
	if (it->gfn >= it->end)
		return false;
	while (!spte_index(it->gfn, it->level))
		it->level++;
	kvm_iter_read(it);
	return true;
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
