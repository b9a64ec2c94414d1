/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of shadow paging share with each other: tables by guest frame, and a walk of the
 * guest's tables that is kept for a while.
 */
#ifndef _KVM_X86_MMU_SHADOW_H
#define _KVM_X86_MMU_SHADOW_H

#include <linux/hash.h>
#include <linux/list.h>

#include "internal.h"
#include "guest_walk.h"

#define KVM_SHADOW_HASH_BITS	12

/* For a fault; the guest pages. */
enum guest_walk_result kvm_walk_for_fault(struct kvm_vcpu *vcpu, gva_t gva, u32 access,
					  struct guest_walk *w, u32 *error);
/* A guest's entry at @gpa again, without sleeping. */
bool kvm_walk_reread(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int size, u64 *entry);

/* shadow_page.c: tables are found and made; mmu_lock (write) */
gfn_t kvm_shadow_gfn(const struct kvm_mmu_page *sp, unsigned int index);
struct kvm_mmu_page *kvm_shadow_find(struct kvm *kvm, gfn_t gfn, union kvm_mmu_role role);
struct kvm_mmu_page *kvm_shadow_table(struct kvm_vcpu *vcpu, struct kvm_zap *zap, gfn_t gfn,
				      union kvm_mmu_role role);
/* The table of level 1 that the vcpu's present translation of @gva goes through, or NULL. */
struct kvm_mmu_page *kvm_shadow_leaf_table(struct kvm_vcpu *vcpu, gva_t gva);
/* @n tables can be made without allocating. May sleep. */
int kvm_shadow_make_room(struct kvm_vcpu *vcpu);

static inline struct hlist_head *kvm_shadow_bucket(struct kvm *kvm, gfn_t gfn)
{
	return &kvm->arch.mmu.hash[hash_64(gfn, KVM_SHADOW_HASH_BITS)];
}

/* Tables made from the guest's table @at. */
#define for_each_shadow_of(sp, kvm, at)						\
	hlist_for_each_entry(sp, kvm_shadow_bucket(kvm, at), hash_link)		\
		if (sp->gfn != (at) || sp->role.direct) {} else

/* bypass.c: the guest is to have a fault for an entry of its own that is not present */
void kvm_bypass_missed(struct kvm_vcpu *vcpu, gva_t gva);
/* The guest's table is no longer tracked: mmu_lock (write) */
void kvm_bypass_end(struct kvm_mmu_page *sp);

/* write_track.c: mmu_lock (write) */
void kvm_track_begin(struct kvm *kvm, struct kvm_mmu_page *sp, bool *flush);
bool kvm_track_any(const struct kvm_memory_slot *slot, gfn_t gfn, int level);
void kvm_track_end(struct kvm *kvm, struct kvm_mmu_page *sp);
bool kvm_track_allows_write(struct kvm_zap *zap, struct kvm_memory_slot *slot, gfn_t gfn,
			    bool write);
void kvm_unsync_refresh(struct kvm_zap *zap, struct kvm_mmu_page *sp);
void kvm_unsync_end(struct kvm_zap *zap, gfn_t gfn);

#endif
