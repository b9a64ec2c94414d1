/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the MMU share with each other and with nobody else.
 *
 * Locks: kvm->mmu_lock for write removes tables and leaves; for read it adds them with cmpxchg.
 * rcu_read_lock() alone lets a fault look at tables and set SPTE_WRITE with cmpxchg: tables are
 * freed only after the TLBs were flushed and a grace period has passed.
 */
#ifndef _KVM_X86_MMU_INTERNAL_H
#define _KVM_X86_MMU_INTERNAL_H

#include <linux/kvm_host.h>

#include "../x86.h"
#include "mmu.h"
#include "spte.h"

/* A table of the tree: 512 entries in a page of their own, whose page_private points back here. */
struct kvm_mmu_page {
	u64 *table;
	union {
		u64 *parent;	/* the entry that points to the table; NULL for a root */
		struct kvm_rmap parents;	/* of shadow paging: all of them */
	};
	u8 level;		/* of the entries in it */
	u8 as_id;		/* of a root, or with nx_split */
	bool shadow;		/* the fields after rcu are in use */
	bool nx_split;		/* a huge page could be here if it could be executed */
	struct list_head link;	/* kvm_vm_mmu.pages, .roots, or a list of the dead */
	struct rcu_head rcu;

	gfn_t gfn;		/* of the guest's table; direct, or nx_split: first translated */
	union kvm_mmu_role role;
	bool tracked;		/* counted in the slot's tables[]: writes to gfn are seen */
	bool unsync;		/* or they are not, and entries may be behind the guest's */
	bool gone;		/* no longer found, waits for its users to let go */
	bool bypassed;		/* entries may be 0: bypass.c */
	u8 misses;		/* faults on entries that the guest has not, while tracked */
	u8 writes;		/* since a fault last came through */
	unsigned int users;	/* vcpus that have it as a top */
	u64 *gfns;		/* of the leaves; NULL when direct or too high for leaves */
	struct hlist_node hash_link;
	union {
		struct list_head unsync_link;
		struct list_head split_link;	/* of a direct one */
	};
};

struct kvm_fault {
	gfn_t gfn;
	bool write;
	bool exec;			/* an instruction fetch */
	bool ahead;			/* nobody has touched it yet: KVM_PRE_FAULT_MEMORY */
	bool logged;			/* the slot has a dirty log */
	int level;			/* largest page to map */
	int huge_level;			/* and what it would be for data */
	struct kvm_memory_slot *slot;
	struct kvm_guest_page page;
};

static inline struct kvm_mmu_page *table_page(u64 *table)
{
	return (struct kvm_mmu_page *)page_private(virt_to_page(table));
}

/* False: the vcpu's root is gone and root_page must not be touched. Under mmu_lock or RCU. */
static inline bool root_is_current(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.mmu.generation == READ_ONCE(vcpu->kvm->arch.mmu.generation);
}

#define for_each_root(kvm, root, as)				\
	list_for_each_entry(root, &(kvm)->arch.mmu.roots, link)	\
		if ((root)->as_id != (as)) {} else

static inline void count_leaves(struct kvm *kvm, int level, long n)
{
	struct kvm_vm_stat *stat = &kvm->stat;

	atomic64_add(n, level == 1 ? &stat->pages_4k : level == 2 ? &stat->pages_2m :
		     &stat->pages_1g);
}

/* page.c: memory of tables */
int kvm_mmu_cache_fill(struct kvm_mmu_cache *tables, struct kvm_mmu_cache *headers, int n);
void kvm_mmu_cache_free(struct kvm_mmu_cache *tables, struct kvm_mmu_cache *headers);
/* Neither can fail: the caller filled the caches. */
struct kvm_mmu_page *kvm_mmu_page_take(struct kvm_mmu_cache *tables,
				       struct kvm_mmu_cache *headers, int level);
void kvm_mmu_page_give_back(struct kvm_mmu_cache *tables, struct kvm_mmu_cache *headers,
			    struct kvm_mmu_page *sp);
void kvm_mmu_page_account(struct kvm *kvm, struct kvm_mmu_page *sp, struct list_head *list);
void kvm_mmu_page_unaccount(struct kvm *kvm, struct kvm_mmu_page *sp);
void kvm_mmu_page_free_rcu(struct kvm_mmu_page *sp);
int kvm_mmu_make_room(struct kvm_vcpu *vcpu);
void kvm_mmu_default_limit(struct kvm *kvm);

/* nx_huge.c: tables that stand where a huge page could if it could be executed */
extern bool kvm_nx_huge_pages;
void kvm_nx_huge_module_init(void);
void kvm_nx_huge_vm_init(struct kvm *kvm);
void kvm_nx_huge_vm_destroy(struct kvm *kvm);
/* @sp, now in the tree at @gfn, is one. mmu_lock, any side. */
void kvm_nx_huge_add(struct kvm *kvm, struct kvm_mmu_page *sp, unsigned int as_id, gfn_t gfn);
/* It is one no longer. mmu_lock for write. */
void kvm_nx_huge_remove(struct kvm *kvm, struct kvm_mmu_page *sp);

/* Huge pages of the VM are not executable. Under mmu_lock, which says for how long. */
static inline bool kvm_nx_huge_in_force(const struct kvm *kvm)
{
	return READ_ONCE(kvm_nx_huge_pages) && !kvm->arch.mmu.nx_huge_off;
}

/* What a fault may map, if it may map @level for data. */
static inline int kvm_nx_huge_level(const struct kvm *kvm, const struct kvm_fault *fault,
				    int level)
{
	return unlikely(fault->exec) && kvm_nx_huge_in_force(kvm) ? 1 : level;
}

/* direct.c */
int kvm_direct_map(struct kvm_vcpu *vcpu, struct kvm_fault *fault);
/*
 * Replace the leaf @huge at *sptep by a table of smaller ones with the same rights. @sp is for
 * level - 1 and is the tree's on success. False: the entry changed meanwhile. mmu_lock, any side.
 */
bool kvm_mmu_split_leaf(struct kvm *kvm, u64 *sptep, u64 huge, int level, struct kvm_mmu_page *sp);

/* fixed.c */
struct page *kvm_mmu_fixed_page(struct kvm *kvm, gfn_t gfn);

/* huge.c */
int kvm_mmu_fault_level(struct kvm *kvm, struct kvm_fault *fault);
int kvm_mmu_slot_level(const struct kvm_memory_slot *slot, gfn_t gfn);
void kvm_mmu_split_range(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t start, gfn_t end);
/* Could the frames of the level 2 entry at @gfn be one large page? */
bool kvm_mmu_can_collapse(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t gfn);
void kvm_mmu_collapse_slot(struct kvm *kvm, struct kvm_memory_slot *slot);

/*
 * zap.c: a removal under mmu_lock (write). Tables that fall out of the tree wait in @dead until
 * TLBs are flushed. "flush" says that a processor may still cache something that was removed.
 */
struct kvm_zap {
	struct kvm *kvm;
	bool flush;
	bool tops;		/* tables that vcpus start from are among the removed */
	struct list_head dead;
	long leaves[KVM_MAX_HUGE_LEVEL + 1];
};

struct kvm_iter;

void kvm_zap_begin(struct kvm_zap *zap, struct kvm *kvm);
/* Free what waits. Returns whether the caller has to flush. */
bool kvm_zap_end(struct kvm_zap *zap);
void kvm_zap_entry(struct kvm_zap *zap, u64 *sptep, int level);
/* False: mmu_lock was dropped and the roots were replaced meanwhile, so nothing is left to do. */
bool kvm_zap_range(struct kvm_zap *zap, struct kvm_mmu_page *root, gfn_t start, gfn_t end,
		   bool may_yield);
unsigned long kvm_zap_oldest(struct kvm *kvm, unsigned long nr);
/* Flush what has to be, and let others have mmu_lock for a moment. */
void kvm_zap_pause(struct kvm_zap *zap);
/* Drop and retake mmu_lock, find the place again. False as for kvm_zap_range(). */
bool kvm_iter_yield(struct kvm *kvm, struct kvm_iter *it);

/* rmap.c: from a frame of a slot, or a table of shadow paging, to the entries that point to it */
int kvm_rmap_module_init(void);
void kvm_rmap_module_exit(void);
int kvm_rmap_cache_fill(struct kvm_mmu_cache *chunks);
void kvm_rmap_cache_free(struct kvm_mmu_cache *chunks);
/* Whether there are so many that somebody should thin them out. */
bool kvm_rmap_add(struct kvm_mmu_cache *chunks, struct kvm_rmap *rmap, u64 *sptep);
bool kvm_rmap_remove(struct kvm_rmap *rmap, u64 *sptep);
u64 *kvm_rmap_first(const struct kvm_rmap *rmap);
int kvm_rmap_slot_create(struct kvm_memory_slot *slot);
void kvm_rmap_slot_free(struct kvm_memory_slot *slot);
struct kvm_rmap *kvm_rmap_of(const struct kvm_memory_slot *slot, gfn_t gfn, int level);
/* All leaves that map frames of the range, under mmu_lock (write). */
void kvm_rmap_zap_range(struct kvm_zap *zap, struct kvm_memory_slot *slot, gfn_t start, gfn_t end,
			bool may_yield);
/* @bits go from all leaves of the range. Whether any had one of them. */
bool kvm_rmap_clear_range(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t start, gfn_t end,
			  u64 bits, bool may_yield);
/* The same for frames of @mask, counted from @base, and large leaves that have any of them. */
void kvm_rmap_clear_mask(struct kvm_memory_slot *slot, gfn_t base, unsigned long mask, u64 bits);
bool kvm_rmap_test_range(struct kvm_memory_slot *slot, gfn_t start, gfn_t end, u64 bits);
/* Small leaves of what the guest and the host have as large pages. */
void kvm_rmap_collapse(struct kvm_zap *zap, struct kvm_memory_slot *slot);

/* shadow_page.c, mmu_lock (write): take away tables of shadow paging, and single entries */
void kvm_shadow_drop(struct kvm_zap *zap, u64 *sptep);
void kvm_shadow_zap(struct kvm_zap *zap, struct kvm_mmu_page *sp);
void kvm_shadow_zap_slot(struct kvm_zap *zap, const struct kvm_memory_slot *slot);
void kvm_shadow_zap_homeless(struct kvm *kvm);	/* takes the lock itself */

/* shadow_root.c */
int kvm_shadow_load(struct kvm_vcpu *vcpu);
/* arch.mmu.guest is new. */
void kvm_shadow_mode_changed(struct kvm_vcpu *vcpu);
int kvm_shadow_vcpu_create(struct kvm_vcpu *vcpu);
void kvm_shadow_vcpu_destroy(struct kvm_vcpu *vcpu);

/* fault.c */
int kvm_fault_emulate(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int flags, void *insn,
		      int insn_len);
int kvm_fault_no_page(struct kvm_vcpu *vcpu, struct kvm_fault *fault, int error);

/* direct.c: a pfn without struct page may still be memory */
bool kvm_pfn_is_memory(const struct kvm_guest_page *page, kvm_pfn_t pfn);

#endif
