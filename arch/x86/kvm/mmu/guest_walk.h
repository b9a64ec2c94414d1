/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The walk of a guest's page tables as a processor does it: pure, it sees memory only through the
 * reader's operations, so that it can be tested in userspace. All paging modes, rights, reserved
 * bits, accessed and dirty bits, page fault error codes. APM 2, 5.1-5.6 and 8.4.2; SDM 3, 4.
 */
#ifndef _KVM_X86_MMU_GUEST_WALK_H
#define _KVM_X86_MMU_GUEST_WALK_H

/* Bits of an entry, and their twins among the error code bits. */
#define GPTE_PRESENT	BIT_ULL(0)
#define GPTE_WRITE	BIT_ULL(1)
#define GPTE_USER	BIT_ULL(2)
#define GPTE_ACCESSED	BIT_ULL(5)
#define GPTE_DIRTY	BIT_ULL(6)
#define GPTE_LARGE	BIT_ULL(7)
#define GPTE_GLOBAL	BIT_ULL(8)
#define GPTE_NX		BIT_ULL(63)
#define GPTE_ADDRESS	GENMASK_ULL(51, 12)
#define GPTE_KEY_SHIFT	59

/* 4 MiB pages: bits 13..20 are address bits 32..39, bit 21 is reserved. */
#define PSE36_HIGH	GENMASK_ULL(20, 13)
#define PSE36_SHIFT	(32 - 13)
#define PSE36_RESERVED	BIT_ULL(21)

#define GPTE_PAE_RESERVED	GENMASK_ULL(62, 52)
#define PDPTE_PAE_RESERVED (GENMASK_ULL(63, 52) | GENMASK_ULL(8, 5) | GENMASK_ULL(2, 1))

/* Somebody else changes the same entries all the time: give up after so many walks. */
#define GUEST_WALK_TRIES 64

struct guest_walk_ops {
	/* one entry of 4 or 8 bytes; false: no memory there */
	bool (*read)(void *ctx, u64 gpa, unsigned int size, u64 *entry);
	/* 0; 1: it was not @old any more; negative: cannot be written */
	int (*update)(void *ctx, u64 gpa, u64 old, u64 new, unsigned int size);
};

struct guest_walk {
	const struct kvm_guest_paging *paging;
	const u64 *pdptrs;	/* PAE's four pointers where the processor has registers for them */
	u64 cr3;
	u64 reserved;		/* address bits beyond the guest's MAXPHYADDR */
	u32 pkru;
	bool ac;		/* EFLAGS.AC */

	/* what the walk found */
	u64 gpa;
	u64 rights;		/* GPTE_WRITE, GPTE_USER: all levels agree; GPTE_NX: one forbids */
	u64 all;		/* AND of the entries with an accessed bit */
	u64 entry[KVM_PT_LEVELS + 1], entry_gpa[KVM_PT_LEVELS + 1];	/* by level */
	int leaf;
};

enum guest_walk_result { GUEST_WALK_OK, GUEST_WALK_FAULT, GUEST_WALK_ABORT, GUEST_WALK_AGAIN };

static __always_inline bool guest_entry_is_leaf(const struct kvm_guest_paging *p, u64 entry,
						int level)
{
	if (level == 1)
		return true;
	if (!(entry & GPTE_LARGE))
		return false;
	if (level == 2)
		return p->pae || p->pse;
	return level == 3 && p->levels > 3 && p->gbpages;
}

/* Bits that no present entry of the mode may have, but for the top level of PAE. */
static __always_inline u64 guest_reserved(const struct guest_walk *w)
{
	const struct kvm_guest_paging *p = w->paging;

	if (!p->pae)
		return 0;
	return (w->reserved & GPTE_ADDRESS) | (p->nx ? 0 : GPTE_NX) |
	       (p->levels == 3 ? GPTE_PAE_RESERVED : 0);
}

/* What else is wrong with an entry above level 1 that has bit 7 or 8, or is PAE's top level. */
static inline bool guest_upper_invalid(const struct guest_walk *w, u64 entry, int level, bool leaf)
{
	const struct kvm_guest_paging *p = w->paging;

	if (p->levels == 3 && level == 3)
		return entry & PDPTE_PAE_RESERVED;
	if (!p->pae)
		return leaf && ((entry & PSE36_RESERVED) ||
				(((entry & PSE36_HIGH) << PSE36_SHIFT) & w->reserved));
	if (leaf)
		return entry & GENMASK_ULL(12 + 9 * (level - 1) - 1, 13);
	return level > 2 && ((entry & GPTE_LARGE) || p->amd_reserved);
}

static __always_inline u64 guest_leaf_gpa(const struct kvm_guest_paging *p, u64 entry, int level,
					  unsigned int shift, u64 la)
{
	u64 offset = (1ull << shift) - 1;
	u64 gpa = (entry & GPTE_ADDRESS & ~offset) | (la & offset);

	if (!p->pae && level == 2)
		gpa |= (entry & PSE36_HIGH) << PSE36_SHIFT;
	return gpa;
}

/* @pae and @pdptes, the four pointers of PAE, are constants: there is a loop for each kind. */
static __always_inline enum guest_walk_result
guest_walk_levels(struct guest_walk *w, const struct guest_walk_ops *ops, void *ctx, u64 la,
		  u64 table, u32 *error, const bool pae, const bool pdptes)
{
	const struct kvm_guest_paging *p = w->paging;
	const unsigned int size = pae ? 8 : 4, bits = pae ? 9 : 10;
	unsigned int shift = 12 + bits * (p->levels - 1);
	u64 reserved = guest_reserved(w);
	u64 all = ~0ull, nx = 0;
	int level;

	for (level = p->levels; ; level--, shift -= bits) {
		u64 gpa = table + ((la >> shift) & ((1u << bits) - 1)) * size;
		bool top_of_pae = pdptes && level == 3;
		bool leaf = level == 1;
		u64 entry;

		if (top_of_pae && w->pdptrs)
			entry = w->pdptrs[(la >> shift) & 3];
		else if (!ops->read(ctx, gpa, size, &entry))
			return GUEST_WALK_ABORT;
		if (!(entry & GPTE_PRESENT)) {
			*error = 0;
			return GUEST_WALK_FAULT;
		}
		if (unlikely(entry & reserved))
			goto invalid;
		if (!leaf && (top_of_pae || (entry & (GPTE_LARGE | GPTE_GLOBAL)))) {
			leaf = guest_entry_is_leaf(p, entry, level);
			if (guest_upper_invalid(w, entry, level, leaf))
				goto invalid;
		}
		w->entry[level] = entry;
		w->entry_gpa[level] = gpa;
		/* A pointer of PAE's top level has neither rights nor an accessed bit. */
		if (!top_of_pae) {
			all &= entry;
			nx |= entry;
		}
		if (leaf) {
			w->leaf = level;
			w->all = all;
			w->rights = (all & (GPTE_WRITE | GPTE_USER)) | (nx & GPTE_NX);
			w->gpa = guest_leaf_gpa(p, entry, level, shift, la);
			return GUEST_WALK_OK;
		}
		table = entry & GPTE_ADDRESS;
	}

invalid:
	*error = KVM_PF_PRESENT | KVM_PF_RSVD;
	return GUEST_WALK_FAULT;
}

/* Down to the leaf, without regard to rights. *error: of the page fault, if that is the result. */
static __always_inline enum guest_walk_result
guest_walk_down(struct guest_walk *w, const struct guest_walk_ops *ops, void *ctx, u64 la,
		u32 *error)
{
	int levels = w->paging->levels;

	if (levels > 3)
		return guest_walk_levels(w, ops, ctx, la, w->cr3 & GPTE_ADDRESS, error, true,
					 false);
	if (levels == 3)
		return guest_walk_levels(w, ops, ctx, (u32)la, w->cr3 & GENMASK_ULL(31, 5), error,
					 true, true);
	return guest_walk_levels(w, ops, ctx, (u32)la, w->cr3 & GENMASK_ULL(31, 12), error, false,
				 false);
}

/* Keys are about data in users' pages; the error code has the bit whatever else is violated. */
static __always_inline u32 guest_key_violated(const struct guest_walk *w, u32 access, bool strict)
{
	u32 key;

	if (likely(!w->paging->pke) || !(w->rights & GPTE_USER) || (access & KVM_PF_FETCH))
		return 0;
	key = w->pkru >> (2 * ((w->entry[w->leaf] >> GPTE_KEY_SHIFT) & 15));
	if ((key & 1) || ((key & 2) && (access & KVM_PF_WRITE) && strict))
		return KVM_PF_PRESENT | KVM_PF_PK;
	return 0;
}

/* 0, or the error code bits of the violation. */
static __always_inline u32 guest_rights_violated(const struct guest_walk *w, u32 access)
{
	const struct kvm_guest_paging *p = w->paging;
	bool user = (access & (KVM_PF_USER | KVM_WALK_IMPLICIT)) == KVM_PF_USER;
	bool strict = user || p->wp;
	u32 key = guest_key_violated(w, access, strict);

	if (user && !(w->rights & GPTE_USER))
		return KVM_PF_PRESENT;
	if ((access & KVM_PF_WRITE) && strict && !(w->rights & GPTE_WRITE))
		return KVM_PF_PRESENT | key;
	if ((access & KVM_PF_FETCH) && (w->rights & GPTE_NX))
		return KVM_PF_PRESENT;
	if (user || !(w->rights & GPTE_USER))
		return key;

	if (access & KVM_PF_FETCH)
		return p->smep ? KVM_PF_PRESENT : 0;
	if (p->smap && (!w->ac || (access & KVM_WALK_IMPLICIT)))
		return KVM_PF_PRESENT | key;
	return key;
}

static __always_inline enum guest_walk_result
guest_set_accessed(struct guest_walk *w, const struct guest_walk_ops *ops, void *ctx, bool write)
{
	unsigned int size = w->paging->pae ? 8 : 4;
	int level;

	for (level = w->paging->levels; level >= w->leaf; level--) {
		u64 old = w->entry[level];
		u64 new = old | GPTE_ACCESSED | (write && level == w->leaf ? GPTE_DIRTY : 0);
		int r;

		if (new == old || (w->paging->levels == 3 && level == 3))
			continue;
		r = ops->update(ctx, w->entry_gpa[level], old, new, size);
		if (r)
			return r > 0 ? GUEST_WALK_AGAIN : GUEST_WALK_ABORT;
		w->entry[level] = new;
	}
	return GUEST_WALK_OK;
}

/* The translation of @la in w->gpa, with everything an access does to the tables. */
static __always_inline enum guest_walk_result
guest_walk_access(struct guest_walk *w, const struct guest_walk_ops *ops, void *ctx, u64 la,
		  u32 access, u32 *error)
{
	const struct kvm_guest_paging *p = w->paging;
	bool write = access & KVM_PF_WRITE;
	enum guest_walk_result r;
	int tries;

	for (tries = 0; tries < GUEST_WALK_TRIES; tries++) {
		r = guest_walk_down(w, ops, ctx, la, error);
		if (r == GUEST_WALK_OK) {
			*error = guest_rights_violated(w, access);
			if (*error)
				r = GUEST_WALK_FAULT;
		}
		if (r == GUEST_WALK_ABORT)
			return r;
		if (r == GUEST_WALK_FAULT) {
			*error |= access & KVM_PF_WRITE;
			if (!(access & KVM_WALK_IMPLICIT))
				*error |= access & KVM_PF_USER;
			if (p->nx || p->smep)
				*error |= access & KVM_PF_FETCH;
			return r;
		}
		if ((w->all & GPTE_ACCESSED) && (!write || (w->entry[w->leaf] & GPTE_DIRTY)))
			return GUEST_WALK_OK;
		r = guest_set_accessed(w, ops, ctx, write);
		if (r != GUEST_WALK_AGAIN)
			return r;
	}
	return GUEST_WALK_ABORT;
}

#endif
