// SPDX-License-Identifier: GPL-2.0
/*
 * Tables of shadow paging: made from a guest's table and a role, found again by both, and taken
 * apart. One table serves every vcpu and every parent for which it means the same. It outlives its
 * last parent, so that a process which the guest switches back to, or a table which it links again,
 * costs nothing; it goes when its memory is wanted, or when the guest writes to what was its table
 * (write_track.c). Removal of single entries is here too, for the sake of the lists in rmap.c.
 * All of it under mmu_lock for write. APM 2, 15.25.5 is what this does without.
 */
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "shadow.h"

/* Tables of a fault: one a level, and a second page for the frames of its leaves. */
#define TABLES_PER_FAULT	KVM_PT_LEVELS

int kvm_shadow_make_room(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_mmu *mmu = &vcpu->arch.mmu;
	struct kvm_vm_mmu *vm_mmu = &vcpu->kvm->arch.mmu;
	struct hlist_head *hash;
	int r;

	if (unlikely(!READ_ONCE(vm_mmu->hash))) {
		hash = kvcalloc(1 << KVM_SHADOW_HASH_BITS, sizeof(*hash), GFP_KERNEL_ACCOUNT);
		if (!hash)
			return -ENOMEM;
		if (cmpxchg(&vm_mmu->hash, NULL, hash))
			kvfree(hash);
	}
	r = kvm_mmu_make_room(vcpu);
	if (r)
		return r;
	r = kvm_mmu_cache_fill(&mmu->table_cache, &mmu->header_cache, 2 * TABLES_PER_FAULT);
	if (r)
		return r;
	return kvm_rmap_cache_fill(&mmu->chunk_cache);
}

gfn_t kvm_shadow_gfn(const struct kvm_mmu_page *sp, unsigned int index)
{
	if (sp->gfns)
		return sp->gfns[index];
	return sp->gfn + index * level_frames(sp->level);
}

/* ---- finding and making ----------------------------------------------------------------------------- */

struct kvm_mmu_page *kvm_shadow_find(struct kvm *kvm, gfn_t gfn, union kvm_mmu_role role)
{
	struct kvm_mmu_page *sp;

	hlist_for_each_entry(sp, kvm_shadow_bucket(kvm, gfn), hash_link) {
		if (sp->gfn == gfn && sp->role.word == role.word) {
			list_move_tail(&sp->link, &kvm->arch.mmu.pages);
			return sp;
		}
	}
	return NULL;
}

struct kvm_mmu_page *kvm_shadow_table(struct kvm_vcpu *vcpu, struct kvm_zap *zap, gfn_t gfn,
				      union kvm_mmu_role role)
{
	struct kvm_mmu_cache *tables = &vcpu->arch.mmu.table_cache;
	struct kvm *kvm = vcpu->kvm;
	struct kvm_mmu_page *sp;
	bool flush = false;

	sp = kvm_shadow_find(kvm, gfn, role);
	if (sp)
		return sp;

	kvm->stat.mmu_cache_miss++;
	sp = kvm_mmu_page_take(tables, &vcpu->arch.mmu.header_cache, role.level);
	if (kvm_spte_format.empty)
		memset64(sp->table, kvm_spte_format.empty, SPTE_PER_TABLE);
	sp->shadow = true;
	sp->gfn = gfn;
	sp->role = role;
	sp->as_id = role.as_id;
	if (!role.direct && role.level <= KVM_MAX_HUGE_LEVEL)
		sp->gfns = tables->obj[--tables->nr];
	hlist_add_head(&sp->hash_link, kvm_shadow_bucket(kvm, gfn));
	kvm_mmu_page_account(kvm, sp, &kvm->arch.mmu.pages);
	if (role.direct)
		return sp;

	/* One that is level 1 may stay behind its guest's table, one above it may not. */
	kvm_unsync_end(zap, gfn);
	kvm_track_begin(kvm, sp, &flush);
	/* Before anybody reads the guest's table: no processor writes to it unseen any more. */
	if (flush)
		kvm_flush_remote_tlbs(kvm);
	return sp;
}

struct kvm_mmu_page *kvm_shadow_leaf_table(struct kvm_vcpu *vcpu, gva_t gva)
{
	struct kvm_vcpu_mmu *mmu = &vcpu->arch.mmu;
	struct kvm_mmu_page *sp = mmu->top[0];
	u64 spte;

	if (mmu->guest.levels < 4)
		sp = mmu->top[(gva >> 30) & 3];
	while (sp && !sp->gone && sp->level > 1) {
		spte = READ_ONCE(sp->table[spte_index(gva >> PAGE_SHIFT, sp->level)]);
		sp = spte_is_table(spte, sp->level) ? table_page(spte_child(spte)) : NULL;
	}
	return sp;
}

/* ---- taking away -------------------------------------------------------------------------------------- */

static void drop_leaf(struct kvm_zap *zap, struct kvm_mmu_page *sp, u64 *sptep)
{
	gfn_t gfn = kvm_shadow_gfn(sp, sptep - sp->table);
	struct kvm_memory_slot *slot;
	bool found = false;

	slot = kvm_memslot_find(kvm_memslots(zap->kvm, sp->role.as_id), gfn);
	if (slot)
		found = kvm_rmap_remove(kvm_rmap_of(slot, gfn, sp->level), sptep);
	KVM_BUG_ON(!found, zap->kvm);
	zap->leaves[sp->level]++;
}

/* A table that nothing leads to makes no page small. */
static void drop_link(struct kvm_zap *zap, struct kvm_mmu_page *child, u64 *sptep)
{
	kvm_rmap_remove(&child->parents, sptep);
	if (unlikely(child->nx_split) && !child->parents.val)
		kvm_nx_huge_remove(zap->kvm, child);
}

/* An entry of any kind. */
void kvm_shadow_drop(struct kvm_zap *zap, u64 *sptep)
{
	struct kvm_mmu_page *sp = table_page(sptep);
	u64 spte = xchg(sptep, kvm_spte_format.empty);

	if (!spte_present(spte))
		return;
	zap->flush = true;
	if (spte_is_table(spte, sp->level))
		drop_link(zap, table_page(spte_child(spte)), sptep);
	else
		drop_leaf(zap, sp, sptep);
}

/*
 * The table and all that points to it. Tables below stay, for another parent or another time. If
 * vcpus start from it, it goes when they have let go of it.
 */
void kvm_shadow_zap(struct kvm_zap *zap, struct kvm_mmu_page *sp)
{
	struct kvm *kvm = zap->kvm;
	unsigned int i;
	u64 *sptep;

	while ((sptep = kvm_rmap_first(&sp->parents)))
		kvm_shadow_drop(zap, sptep);
	for (i = 0; i < SPTE_PER_TABLE; i++)
		if (READ_ONCE(sp->table[i]) != kvm_spte_format.empty)
			kvm_shadow_drop(zap, &sp->table[i]);

	kvm_track_end(kvm, sp);
	hlist_del_init(&sp->hash_link);
	kvm_mmu_page_unaccount(kvm, sp);
	kvm->stat.mmu_shadow_zapped++;
	sp->gone = true;
	if (sp->users)
		zap->tops = true;
	else
		list_add_tail(&sp->link, &zap->dead);
}

static bool in_slot(const struct kvm_mmu_page *sp, const struct kvm_memory_slot *slot)
{
	if (!slot)
		return true;
	return sp->role.as_id == slot->as_id && !sp->role.direct &&
	       sp->gfn - slot->base_gfn < slot->npages;
}

/* Tables made from the guest's tables in the slot; without one, all. */
void kvm_shadow_zap_slot(struct kvm_zap *zap, const struct kvm_memory_slot *slot)
{
	struct list_head *pages = &zap->kvm->arch.mmu.pages;
	struct kvm_mmu_page *sp, *next;

again:
	list_for_each_entry_safe(sp, next, pages, link) {
		if (!sp->shadow || !in_slot(sp, slot))
			continue;
		kvm_shadow_zap(zap, sp);
		if (need_resched() || rwlock_needbreak(&zap->kvm->mmu_lock)) {
			kvm_zap_pause(zap);
			goto again;
		}
	}
}

/*
 * Guest tables where there was no memory read as nothing. Now that there may be some, look again.
 * Under slots_lock.
 */
void kvm_shadow_zap_homeless(struct kvm *kvm)
{
	struct kvm_mmu_page *sp, *next;
	struct kvm_zap zap;

	if (!READ_ONCE(kvm->arch.mmu.nr_homeless))
		return;
	write_lock(&kvm->mmu_lock);
	kvm_zap_begin(&zap, kvm);
	list_for_each_entry_safe(sp, next, &kvm->arch.mmu.pages, link) {
		if (sp->shadow && !sp->role.direct && !sp->tracked && !sp->unsync)
			kvm_shadow_zap(&zap, sp);
	}
	if (kvm_zap_end(&zap))
		kvm_flush_remote_tlbs(kvm);
	write_unlock(&kvm->mmu_lock);
}
