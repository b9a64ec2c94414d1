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
	u64 *parent;		/* the entry that points to the table; NULL for a root */
	u8 level;		/* of the entries in it */
	u8 as_id;		/* of a root */
	struct list_head link;	/* kvm_vm_mmu.pages, .roots, or a list of the dead */
	struct rcu_head rcu;
};

struct kvm_fault {
	gfn_t gfn;
	bool write;
	bool logged;			/* the slot has a dirty log */
	int level;			/* largest page to map */
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

/* direct.c */
int kvm_direct_map(struct kvm_vcpu *vcpu, struct kvm_fault *fault);
/*
 * Replace the leaf @huge at *sptep by a table of smaller ones with the same rights. @sp is for
 * level - 1 and is the tree's on success. False: the entry changed meanwhile. mmu_lock, any side.
 */
bool kvm_mmu_split_leaf(struct kvm *kvm, u64 *sptep, u64 huge, int level, struct kvm_mmu_page *sp);

/* huge.c */
int kvm_mmu_fault_level(struct kvm *kvm, struct kvm_fault *fault);
int kvm_mmu_slot_level(const struct kvm_memory_slot *slot, gfn_t gfn);
void kvm_mmu_split_slot(struct kvm *kvm, struct kvm_memory_slot *slot);
void kvm_mmu_collapse_slot(struct kvm *kvm, struct kvm_memory_slot *slot);

/*
 * zap.c: a removal under mmu_lock (write). Tables that fall out of the tree wait in @dead until
 * TLBs are flushed. "flush" says that a processor may still cache something that was removed.
 */
struct kvm_zap {
	struct kvm *kvm;
	bool flush;
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
/* Drop and retake mmu_lock, find the place again. False as for kvm_zap_range(). */
bool kvm_iter_yield(struct kvm *kvm, struct kvm_iter *it);

#endif
