// SPDX-License-Identifier: GPL-2.0
/*
 * The way back: which entries map a frame of a slot, and which point to a table of shadow paging.
 * A frame may be mapped by any number of the guest's tables, so what the host wants done to a frame
 * (removal, write protection, ageing) is done here to all leaves of it. Direct mode has one tree
 * ordered by frame and needs none of this. All of it under mmu_lock for write.
 *
 * A struct kvm_rmap is 0, a pointer to the only entry, or a pointer with bit 0 set to the first of
 * a chain of chunks, of which all but the first are full.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "internal.h"

#define CHUNK_ENTRIES	14
/* Entries are searched one by one: beyond this many chunks the frame is mapped anew, on demand. */
#define MAX_CHUNKS	64
/* A fault adds a leaf and up to a parent for each level. */
#define CHUNKS_PER_FAULT	(KVM_PT_LEVELS + 1)
/* Frames looked at between two questions whether to let others have mmu_lock. */
#define YIELD_FRAMES	1024

struct rmap_chunk {
	struct rmap_chunk *next;
	u16 nr;			/* in use here */
	u16 behind;		/* chunks that follow */
	u64 *entry[CHUNK_ENTRIES];
};

static struct kmem_cache *rmap_slab;

int kvm_rmap_module_init(void)
{
	rmap_slab = KMEM_CACHE(rmap_chunk, 0);
	return rmap_slab ? 0 : -ENOMEM;
}

void kvm_rmap_module_exit(void)
{
	kmem_cache_destroy(rmap_slab);
}

int kvm_rmap_cache_fill(struct kvm_mmu_cache *chunks)
{
	while (chunks->nr < CHUNKS_PER_FAULT) {
		struct rmap_chunk *c = kmem_cache_alloc(rmap_slab, GFP_KERNEL_ACCOUNT);

		if (!c)
			return -ENOMEM;
		chunks->obj[chunks->nr++] = c;
	}
	return 0;
}

void kvm_rmap_cache_free(struct kvm_mmu_cache *chunks)
{
	while (chunks->nr)
		kmem_cache_free(rmap_slab, chunks->obj[--chunks->nr]);
}

/* ---- one list ----------------------------------------------------------------------------------- */

static struct rmap_chunk *first_chunk(const struct kvm_rmap *rmap)
{
	return rmap->val & 1 ? (struct rmap_chunk *)(rmap->val & ~1ul) : NULL;
}

static void set_first_chunk(struct kvm_rmap *rmap, struct rmap_chunk *c)
{
	rmap->val = c ? (unsigned long)c | 1 : 0;
}

bool kvm_rmap_add(struct kvm_mmu_cache *chunks, struct kvm_rmap *rmap, u64 *sptep)
{
	struct rmap_chunk *c = first_chunk(rmap), *new;

	if (!rmap->val) {
		rmap->val = (unsigned long)sptep;
		return false;
	}
	if (c && c->nr < CHUNK_ENTRIES) {
		c->entry[c->nr++] = sptep;
		return false;
	}

	new = chunks->obj[--chunks->nr];
	new->next = c;
	new->nr = 0;
	new->behind = c ? c->behind + 1 : 0;
	if (!c)
		new->entry[new->nr++] = (u64 *)rmap->val;
	new->entry[new->nr++] = sptep;
	set_first_chunk(rmap, new);
	return new->behind >= MAX_CHUNKS;
}

/* The hole is filled with the last entry of the first chunk. */
static void remove_from(struct kvm_rmap *rmap, u64 **hole)
{
	struct rmap_chunk *c = first_chunk(rmap);

	*hole = c->entry[--c->nr];
	if (c->nr)
		return;
	set_first_chunk(rmap, c->next);
	kmem_cache_free(rmap_slab, c);
}

/* Those added last are found first. False: it is not there. */
bool kvm_rmap_remove(struct kvm_rmap *rmap, u64 *sptep)
{
	struct rmap_chunk *c;
	int i;

	if (rmap->val == (unsigned long)sptep) {
		rmap->val = 0;
		return true;
	}
	for (c = first_chunk(rmap); c; c = c->next) {
		for (i = c->nr - 1; i >= 0; i--) {
			if (c->entry[i] != sptep)
				continue;
			remove_from(rmap, &c->entry[i]);
			return true;
		}
	}
	return false;
}

/* The one that is removed at the least cost, or NULL. */
u64 *kvm_rmap_first(const struct kvm_rmap *rmap)
{
	const struct rmap_chunk *c = first_chunk(rmap);

	return c ? c->entry[c->nr - 1] : (u64 *)rmap->val;
}

static __always_inline u64 entry_clear_bits(u64 *sptep, u64 bits)
{
	u64 had = READ_ONCE(*sptep) & bits;

	if (had)
		spte_clear_bits(sptep, bits);
	return had;
}

static noinline u64 chunks_clear_bits(struct rmap_chunk *c, u64 bits)
{
	u64 had = 0;
	int i;

	for (; c; c = c->next)
		for (i = 0; i < c->nr; i++)
			had |= entry_clear_bits(c->entry[i], bits);
	return had;
}

/* @bits go from every entry. Returns which of them any had. */
static __always_inline u64 rmap_clear_bits(const struct kvm_rmap *rmap, u64 bits)
{
	struct rmap_chunk *c = first_chunk(rmap);

	return c ? chunks_clear_bits(c, bits) : entry_clear_bits((u64 *)rmap->val, bits);
}

static bool rmap_test_bits(const struct kvm_rmap *rmap, u64 bits)
{
	struct rmap_chunk *c = first_chunk(rmap);
	int i;

	if (!c)
		return READ_ONCE(*(u64 *)rmap->val) & bits;
	for (; c; c = c->next)
		for (i = 0; i < c->nr; i++)
			if (READ_ONCE(*c->entry[i]) & bits)
				return true;
	return false;
}

/* ---- those of a slot ------------------------------------------------------------------------------ */

static unsigned long slot_index(const struct kvm_memory_slot *slot, gfn_t gfn, int level)
{
	unsigned int shift = (level - 1) * SPTE_INDEX_BITS;

	return (gfn >> shift) - (slot->base_gfn >> shift);
}

int kvm_rmap_slot_create(struct kvm_memory_slot *slot)
{
	gfn_t last = slot->base_gfn + slot->npages - 1;
	int level;

	for (level = 1; level <= KVM_MAX_HUGE_LEVEL; level++) {
		unsigned long nr = slot_index(slot, last, level) + 1;

		slot->arch.rmap[level - 1] = kvcalloc(nr, sizeof(struct kvm_rmap),
						      GFP_KERNEL_ACCOUNT);
		slot->arch.tables[level - 1] = kvcalloc(nr, sizeof(u32), GFP_KERNEL_ACCOUNT);
		if (!slot->arch.rmap[level - 1] || !slot->arch.tables[level - 1]) {
			kvm_rmap_slot_free(slot);
			return -ENOMEM;
		}
	}
	return 0;
}

void kvm_rmap_slot_free(struct kvm_memory_slot *slot)
{
	int level;

	for (level = 1; level <= KVM_MAX_HUGE_LEVEL; level++) {
		kvfree(slot->arch.rmap[level - 1]);
		kvfree(slot->arch.tables[level - 1]);
		slot->arch.rmap[level - 1] = NULL;
		slot->arch.tables[level - 1] = NULL;
	}
}

struct kvm_rmap *kvm_rmap_of(const struct kvm_memory_slot *slot, gfn_t gfn, int level)
{
	return &slot->arch.rmap[level - 1][slot_index(slot, gfn, level)];
}

/* A walk over the lists of a range of frames, level by level, that are not empty. */
struct rmap_walk {
	const struct kvm_memory_slot *slot;
	gfn_t start, end;
	int level;
	unsigned long index;
	unsigned long steps;
};

static void rmap_walk_level(struct rmap_walk *w, int level)
{
	w->level = level;
	w->index = slot_index(w->slot, w->start, level);
}

static struct kvm_rmap *rmap_walk_next(struct rmap_walk *w)
{
	for (; w->level <= KVM_MAX_HUGE_LEVEL; rmap_walk_level(w, w->level + 1)) {
		unsigned long last = slot_index(w->slot, w->end - 1, w->level);

		while (w->index <= last) {
			struct kvm_rmap *rmap = &w->slot->arch.rmap[w->level - 1][w->index++];

			w->steps++;
			if (rmap->val)
				return rmap;
			if (w->steps >= YIELD_FRAMES)
				return rmap;
		}
	}
	return NULL;
}

static bool rmap_walk_should_yield(struct kvm *kvm, struct rmap_walk *w)
{
	if (w->steps < YIELD_FRAMES)
		return false;
	w->steps = 0;
	return need_resched() || rwlock_needbreak(&kvm->mmu_lock);
}

#define for_each_rmap(rmap, walk)	\
	for (rmap_walk_level(walk, 1); (rmap = rmap_walk_next(walk)); )

void kvm_rmap_zap_range(struct kvm_zap *zap, struct kvm_memory_slot *slot, gfn_t start, gfn_t end,
			bool may_yield)
{
	struct rmap_walk w = { .slot = slot, .start = start, .end = end };
	struct kvm_rmap *rmap;
	u64 *sptep;

	if (!slot->arch.rmap[0])
		return;
	for_each_rmap(rmap, &w) {
		while ((sptep = kvm_rmap_first(rmap))) {
			kvm_shadow_drop(zap, sptep);
			w.steps++;
		}
		if (rmap_walk_should_yield(zap->kvm, &w) && may_yield)
			kvm_zap_pause(zap);
	}
}

bool kvm_rmap_clear_range(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t start, gfn_t end,
			  u64 bits, bool may_yield)
{
	struct rmap_walk w = { .slot = slot, .start = start, .end = end };
	struct kvm_rmap *rmap;
	u64 had = 0;

	if (!slot->arch.rmap[0])
		return false;
	for_each_rmap(rmap, &w) {
		if (rmap->val)
			had |= rmap_clear_bits(rmap, bits);
		if (rmap_walk_should_yield(kvm, &w) && may_yield)
			cond_resched_rwlock_write(&kvm->mmu_lock);
	}
	return had;
}

void kvm_rmap_clear_mask(struct kvm_memory_slot *slot, gfn_t base, unsigned long mask, u64 bits)
{
	struct kvm_rmap *rmap = kvm_rmap_of(slot, base, 1);
	unsigned long index, last;
	unsigned int i;
	int level;

	for_each_set_bit(i, &mask, BITS_PER_LONG)
		if (rmap[i].val)
			rmap_clear_bits(&rmap[i], bits);
	for (level = 2; level <= KVM_MAX_HUGE_LEVEL; level++) {
		index = slot_index(slot, base + __ffs(mask), level);
		last = slot_index(slot, base + __fls(mask), level);
		for (rmap = slot->arch.rmap[level - 1]; index <= last; index++)
			if (rmap[index].val)
				rmap_clear_bits(&rmap[index], bits);
	}
}

bool kvm_rmap_test_range(struct kvm_memory_slot *slot, gfn_t start, gfn_t end, u64 bits)
{
	struct rmap_walk w = { .slot = slot, .start = start, .end = end };
	struct kvm_rmap *rmap;

	if (!slot->arch.rmap[0])
		return false;
	for_each_rmap(rmap, &w) {
		w.steps = 0;
		if (rmap->val && rmap_test_bits(rmap, bits))
			return true;
	}
	return false;
}

/* The next fault on the range finds the size that is possible by then. */
void kvm_rmap_collapse(struct kvm_zap *zap, struct kvm_memory_slot *slot)
{
	gfn_t gfn, end = slot->base_gfn + slot->npages;

	if (!slot->arch.rmap[0])
		return;
	for (gfn = slot->base_gfn; gfn < end; gfn = level_base(gfn, 2) + level_frames(2)) {
		gfn_t next = min(level_base(gfn, 2) + level_frames(2), end);

		if (kvm_mmu_can_collapse(zap->kvm, slot, gfn))
			kvm_rmap_zap_range(zap, slot, gfn, next, true);
		if (need_resched() || rwlock_needbreak(&zap->kvm->mmu_lock))
			kvm_zap_pause(zap);
	}
}
