// SPDX-License-Identifier: GPL-2.0
/*
 * Memory slots: which guest frames exist and which user memory backs them. Owns the indexes by
 * frame, by user address and by slot number, and every change to them; neither the memory itself
 * (guest_memory.c) nor what the architecture built from a slot. The ABI is described in the API
 * document, "KVM_SET_USER_MEMORY_REGION".
 *
 * An address space has two versions of its indexes. Readers use the active one and never wait;
 * an edit changes the other one and makes it the active one. What is then the inactive version
 * still has readers until a grace period has passed, so the same edit reaches it late, when the
 * next edit needs it: creating a slot waits for nobody unless it follows closely on another edit.
 *
 * A slot goes away in steps, since it must be found by user address as long as there are
 * translations of it, or the notifier would miss them:
 *   1. flag it INVALID and wait for readers: no new translations, and nobody works on one;
 *   2. let the architecture drop the translations;
 *   3. publish a version without it, or with its successor if it is moved;
 *   4. free it when that version's predecessor has no readers.
 */
#include <linux/err.h>
#include <linux/export.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/kvm_host.h>

/* The width of a page number in dirty log ioctls is the ABI's reason for a limit. */
#define MAX_SLOT_PAGES	((1UL << 31) - 1)

/* ---- look-up -------------------------------------------------------------------------------- */

static struct kvm_memory_slot *gfn_node_slot(struct rb_node *node, unsigned int idx)
{
	return container_of(node - idx, struct kvm_memory_slot, gfn_node[0]);
}

struct kvm_memory_slot *kvm_memslot_find(struct kvm_memslots *slots, gfn_t gfn)
{
	struct rb_node *node = slots->gfn_tree.rb_node;
	unsigned int idx = slots->node_idx;

	while (node) {
		struct kvm_memory_slot *slot = gfn_node_slot(node, idx);

		if (gfn < slot->base_gfn)
			node = node->rb_left;
		else if (gfn - slot->base_gfn >= slot->npages)
			node = node->rb_right;
		else
			return slot;
	}
	return NULL;
}
EXPORT_SYMBOL_GPL(kvm_memslot_find);

struct kvm_memory_slot *kvm_vcpu_memslot_search(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvm_memslots *slots = kvm_memslots(vcpu->kvm, kvm_vcpu_as_id(vcpu));
	struct kvm_memory_slot *slot = kvm_memslot_find(slots, gfn);

	if (slot) {
		vcpu->last_slot = slot;
		vcpu->last_slot_gen = slots->generation;
	}
	return slot;
}
EXPORT_SYMBOL_GPL(kvm_vcpu_memslot_search);

struct kvm_memory_slot *kvm_memslot_first_from(struct kvm_memslots *slots, gfn_t gfn)
{
	struct rb_node *node = slots->gfn_tree.rb_node;
	struct kvm_memory_slot *best = NULL;
	unsigned int idx = slots->node_idx;

	while (node) {
		struct kvm_memory_slot *slot = gfn_node_slot(node, idx);

		if (slot->base_gfn + slot->npages > gfn) {
			best = slot;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return best;
}
EXPORT_SYMBOL_GPL(kvm_memslot_first_from);

struct kvm_memory_slot *kvm_memslot_by_id(struct kvm *kvm, unsigned int as_id, unsigned int id)
{
	return xa_load(&kvm->memslot_ids[as_id], id);
}
EXPORT_SYMBOL_GPL(kvm_memslot_by_id);

/* ---- the two versions ----------------------------------------------------------------------- */

static void memslot_insert(struct kvm_memslots *slots, struct kvm_memory_slot *slot)
{
	struct rb_node **link = &slots->gfn_tree.rb_node, *parent = NULL;
	unsigned int idx = slots->node_idx;

	while (*link) {
		parent = *link;
		link = slot->base_gfn < gfn_node_slot(parent, idx)->base_gfn ?
		       &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&slot->gfn_node[idx], parent, link);
	rb_insert_color(&slot->gfn_node[idx], &slots->gfn_tree);

	slot->hva_node[idx].start = slot->userspace_addr;
	slot->hva_node[idx].last = slot->userspace_addr + (slot->npages << PAGE_SHIFT) - 1;
	interval_tree_insert(&slot->hva_node[idx], &slots->hva_tree);
}

static void memslot_remove(struct kvm_memslots *slots, struct kvm_memory_slot *slot)
{
	rb_erase(&slot->gfn_node[slots->node_idx], &slots->gfn_tree);
	interval_tree_remove(&slot->hva_node[slots->node_idx], &slots->hva_tree);
}

static void memslot_free(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	kvm_arch_memslot_free(kvm, slot);
	kvm_dirty_log_free(slot);
	kfree(slot);
}

/* The inactive version, without readers and equal to the active one. May wait for readers. */
static struct kvm_memslots *memslots_editable(struct kvm *kvm, unsigned int as_id)
{
	struct kvm_memslots *active = kvm_memslots(kvm, as_id);
	struct kvm_memslots *slots = &kvm->memslots[as_id][!active->node_idx];

	if (!slots->late_add && !slots->late_remove)
		return slots;
	if (!poll_state_synchronize_srcu(&kvm->srcu, slots->gp_state))
		synchronize_srcu_expedited(&kvm->srcu);
	if (slots->late_remove) {
		memslot_remove(slots, slots->late_remove);
		memslot_free(kvm, slots->late_remove);
	}
	if (slots->late_add)
		memslot_insert(slots, slots->late_add);
	slots->late_add = NULL;
	slots->late_remove = NULL;
	return slots;
}

static u64 memslots_next_generation(struct kvm *kvm)
{
	u64 generation = 0;
	unsigned int as_id;

	for (as_id = 0; as_id < KVM_MAX_NR_ADDRESS_SPACES; as_id++)
		generation = max(generation, kvm_memslots(kvm, as_id)->generation);
	return generation + 1;
}

/*
 * Publish a version with one slot less, one more, or one in another's place. @remove has no
 * translations; it is freed when its last readers are gone.
 */
static void memslots_edit(struct kvm *kvm, unsigned int as_id, struct kvm_memory_slot *remove,
			  struct kvm_memory_slot *add)
{
	struct kvm_memslots *next = memslots_editable(kvm, as_id);
	struct kvm_memslots *prev = kvm_memslots(kvm, as_id);

	if (remove)
		memslot_remove(next, remove);
	if (add)
		memslot_insert(next, add);
	next->generation = memslots_next_generation(kvm);

	/* The notifier counts an invalidation under mn_lock before it reads the index. */
	spin_lock(&kvm->mn_lock);
	rcu_assign_pointer(kvm->active_memslots[as_id], next);
	spin_unlock(&kvm->mn_lock);

	prev->late_remove = remove;
	prev->late_add = add;
	prev->gp_state = get_state_synchronize_srcu(&kvm->srcu);
	kvm_arch_memslots_updated(kvm, next->generation);
}

int kvm_memslots_init(struct kvm *kvm)
{
	unsigned int as_id, idx;

	for (as_id = 0; as_id < KVM_MAX_NR_ADDRESS_SPACES; as_id++) {
		for (idx = 0; idx < 2; idx++) {
			kvm->memslots[as_id][idx].node_idx = idx;
			kvm->memslots[as_id][idx].gfn_tree = RB_ROOT;
			kvm->memslots[as_id][idx].hva_tree = RB_ROOT_CACHED;
		}
		kvm->memslots[as_id][0].generation = as_id + 1;
		rcu_assign_pointer(kvm->active_memslots[as_id], &kvm->memslots[as_id][0]);
		xa_init(&kvm->memslot_ids[as_id]);
	}
	return 0;
}

/* Nobody reads any more: the indexes can go without being taken apart. */
void kvm_memslots_destroy(struct kvm *kvm)
{
	struct kvm_memory_slot *slot;
	unsigned int as_id, idx;
	unsigned long id;

	for (as_id = 0; as_id < KVM_MAX_NR_ADDRESS_SPACES; as_id++) {
		for (idx = 0; idx < 2; idx++) {
			slot = kvm->memslots[as_id][idx].late_remove;
			if (slot)
				memslot_free(kvm, slot);
		}
		xa_for_each(&kvm->memslot_ids[as_id], id, slot)
			memslot_free(kvm, slot);
		xa_destroy(&kvm->memslot_ids[as_id]);
	}
}

/* ---- changes -------------------------------------------------------------------------------- */

static bool memslots_overlap(struct kvm *kvm, unsigned int as_id, gfn_t gfn, unsigned long npages,
			     const struct kvm_memory_slot *except)
{
	struct kvm_memslots *slots = kvm_memslots(kvm, as_id);
	struct kvm_memory_slot *slot = kvm_memslot_first_from(slots, gfn);

	if (slot && slot == except)
		slot = kvm_memslot_first_from(slots, slot->base_gfn + slot->npages);
	return slot && slot->base_gfn < gfn + npages;
}

static struct kvm_memory_slot *memslot_alloc(struct kvm *kvm, const struct kvm_memory_slot *like)
{
	struct kvm_memory_slot *slot;
	int r;

	slot = kzalloc(sizeof(*slot), GFP_KERNEL_ACCOUNT);
	if (!slot)
		return ERR_PTR(-ENOMEM);
	slot->base_gfn = like->base_gfn;
	slot->npages = like->npages;
	slot->userspace_addr = like->userspace_addr;
	slot->flags = like->flags;
	slot->id = like->id;
	slot->as_id = like->as_id;
	r = kvm_arch_memslot_create(kvm, slot);
	if (r) {
		kfree(slot);
		return ERR_PTR(r);
	}
	return slot;
}

/* Before anybody sees that a slot is logged, and after nobody does. */
static void logging_begins(struct kvm *kvm)
{
	WRITE_ONCE(kvm->nr_logged_slots, kvm->nr_logged_slots + 1);
	if (kvm->nr_logged_slots == 1)
		kvm_arch_dirty_logging_changed(kvm);
}

static void logging_ends(struct kvm *kvm)
{
	WRITE_ONCE(kvm->nr_logged_slots, kvm->nr_logged_slots - 1);
	if (!kvm->nr_logged_slots)
		kvm_arch_dirty_logging_changed(kvm);
}

static int memslot_create(struct kvm *kvm, const struct kvm_memory_slot *like)
{
	struct kvm_memory_slot *slot;
	int r;

	if (memslots_overlap(kvm, like->as_id, like->base_gfn, like->npages, NULL))
		return -EEXIST;
	slot = memslot_alloc(kvm, like);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	r = 0;
	if (slot->flags & KVM_MEM_LOG_DIRTY_PAGES)
		r = kvm_dirty_log_create(kvm, slot);
	if (!r)
		r = xa_err(xa_store(&kvm->memslot_ids[slot->as_id], slot->id, slot,
				    GFP_KERNEL_ACCOUNT));
	if (r) {
		memslot_free(kvm, slot);
		return r;
	}
	kvm->nr_slot_pages += slot->npages;
	if (slot->flags & KVM_MEM_LOG_DIRTY_PAGES)
		logging_begins(kvm);
	memslots_edit(kvm, slot->as_id, NULL, slot);
	return 0;
}

/* Steps 1 and 2 of a slot's end. */
static void memslot_invalidate(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	WRITE_ONCE(slot->flags, slot->flags | KVM_MEMSLOT_INVALID);
	synchronize_srcu_expedited(&kvm->srcu);
	kvm_arch_memslot_zap(kvm, slot);
}

static void memslot_delete(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	memslot_invalidate(kvm, slot);
	xa_erase(&kvm->memslot_ids[slot->as_id], slot->id);
	kvm->nr_slot_pages -= slot->npages;
	if (slot->flags & KVM_MEM_LOG_DIRTY_PAGES)
		logging_ends(kvm);
	memslots_edit(kvm, slot->as_id, slot, NULL);
}

/* @like: the slot as it is to be; the dirty log goes with it. */
static int memslot_move(struct kvm *kvm, struct kvm_memory_slot *old,
			const struct kvm_memory_slot *like)
{
	struct kvm_memory_slot *slot;
	int r = 0;

	if (memslots_overlap(kvm, like->as_id, like->base_gfn, like->npages, old))
		return -EEXIST;
	slot = memslot_alloc(kvm, like);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	if ((slot->flags & KVM_MEM_LOG_DIRTY_PAGES) && !old->dirty_bitmap)
		r = kvm_dirty_log_create(kvm, slot);
	if (r) {
		memslot_free(kvm, slot);
		return r;
	}

	if (slot->flags & KVM_MEM_LOG_DIRTY_PAGES)
		logging_begins(kvm);
	memslot_invalidate(kvm, old);
	if (old->flags & KVM_MEM_LOG_DIRTY_PAGES)
		logging_ends(kvm);
	if ((slot->flags & KVM_MEM_LOG_DIRTY_PAGES) && old->dirty_bitmap)
		swap(slot->dirty_bitmap, old->dirty_bitmap);
	/* Replacing an entry allocates nothing. */
	xa_store(&kvm->memslot_ids[slot->as_id], slot->id, slot, GFP_KERNEL_ACCOUNT);
	memslots_edit(kvm, slot->as_id, old, slot);
	return 0;
}

/* The dirty log is switched on or off, in place. */
static int memslot_change_flags(struct kvm *kvm, struct kvm_memory_slot *slot, u32 flags)
{
	u32 old_flags = slot->flags;
	int r;

	if (flags & KVM_MEM_LOG_DIRTY_PAGES) {
		r = kvm_dirty_log_create(kvm, slot);
		if (r)
			return r;
		logging_begins(kvm);
	}
	/* Whoever sees the flag sees the bitmap, and nobody uses the bitmap without the flag. */
	smp_store_release(&slot->flags, flags);
	synchronize_srcu_expedited(&kvm->srcu);
	kvm_arch_memslot_changed(kvm, slot, old_flags);
	if (!(flags & KVM_MEM_LOG_DIRTY_PAGES)) {
		logging_ends(kvm);
		kvm_dirty_log_free(slot);
	}
	return 0;
}

/* Bring slot like->id to the state @like; no pages: delete it. Caller holds slots_lock. */
static int memslot_set(struct kvm *kvm, const struct kvm_memory_slot *like)
{
	struct kvm_memory_slot *slot = kvm_memslot_by_id(kvm, like->as_id, like->id);

	if (!like->npages) {
		if (!slot)
			return -EINVAL;
		memslot_delete(kvm, slot);
		return 0;
	}
	if (!slot)
		return memslot_create(kvm, like);
	if (like->npages != slot->npages || like->userspace_addr != slot->userspace_addr ||
	    ((like->flags ^ slot->flags) & KVM_MEM_READONLY))
		return -EINVAL;
	if (like->base_gfn != slot->base_gfn)
		return memslot_move(kvm, slot, like);
	if (like->flags != slot->flags)
		return memslot_change_flags(kvm, slot, like->flags);
	return 0;
}

static bool region_valid(const struct kvm_userspace_memory_region2 *region)
{
	unsigned long hva = region->userspace_addr;
	unsigned long untagged = untagged_addr(hva);

	if (region->flags & ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY))
		return false;
	if (region->slot >> 16 >= KVM_MAX_NR_ADDRESS_SPACES ||
	    (u16)region->slot >= KVM_USER_MEM_SLOTS)
		return false;
	if (!PAGE_ALIGNED(region->guest_phys_addr | region->memory_size | region->userspace_addr))
		return false;
	if (region->memory_size >> PAGE_SHIFT > MAX_SLOT_PAGES ||
	    region->guest_phys_addr + region->memory_size < region->guest_phys_addr)
		return false;
	return hva == region->userspace_addr && hva == untagged &&
	       access_ok((void __user *)hva, region->memory_size);
}

int kvm_vm_set_memory_region(struct kvm *kvm, const struct kvm_userspace_memory_region2 *region)
{
	struct kvm_memory_slot like = {
		.base_gfn = gpa_to_gfn(region->guest_phys_addr),
		.npages = region->memory_size >> PAGE_SHIFT,
		.userspace_addr = region->userspace_addr,
		.flags = region->flags,
		.id = region->slot,
		.as_id = region->slot >> 16,
	};
	int r;

	if (!region_valid(region))
		return -EINVAL;
	mutex_lock(&kvm->slots_lock);
	r = memslot_set(kvm, &like);
	mutex_unlock(&kvm->slots_lock);
	return r;
}
