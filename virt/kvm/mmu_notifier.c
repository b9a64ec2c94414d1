// SPDX-License-Identifier: GPL-2.0
/*
 * Follows the owner's address space: when the kernel changes or ages a user mapping, the guest's
 * translations of it go or are aged too. Owns the invalidation count that page faults test before
 * they install what they found; how translations are dropped is the architecture's affair.
 * The kernel's side is described in include/linux/mmu_notifier.h.
 *
 * A fault reads a sequence number, resolves the user address, and under mmu_lock asks whether an
 * invalidation is in progress or has ended since. Why no invalidation is missed:
 *  - If the notifier takes mmu_lock after the fault has installed its translation, it drops the
 *    translation.
 *  - If it takes mmu_lock before the fault does, it was counted before that, and the fault sees
 *    the count; or, when it has ended already, a newer sequence number; or a number that was new
 *    when the fault began, and then the fault saw the user mapping after its change, because the
 *    number is released after the change and acquired before the look-up.
 *  - If it takes no mmu_lock, because it found no slot, it read an index in which the fault's slot
 *    did not stand yet. Counting is a critical section of mn_lock, and so is publishing an index
 *    (memslot.c). Reading the index comes after counting, so the publisher's section came after
 *    it, and a fault that uses the published index sees the count. That is why each invalidation
 *    is counted, whether or not it meets a slot.
 */
#include <linux/export.h>
#include <linux/mmu_notifier.h>
#include <linux/kvm_host.h>
#include <trace/events/kvm.h>

static struct kvm *notifier_kvm(struct mmu_notifier *mn)
{
	return container_of(mn, struct kvm, mmu_notifier);
}

/* ---- the faults' side ----------------------------------------------------------------------- */

unsigned long kvm_mmu_notifier_seq(struct kvm *kvm)
{
	unsigned long seq = READ_ONCE(kvm->mn_seq);

	/* Orders the slot look-up before the count, and the number before the user page tables. */
	smp_rmb();
	return seq;
}
EXPORT_SYMBOL_GPL(kvm_mmu_notifier_seq);

/*
 * The range is that of all invalidations in progress together. It may be read half from one set of
 * them and half from a later one; then the former has ended, and the sequence number, read last,
 * tells.
 */
bool kvm_mmu_notifier_retry(struct kvm *kvm, unsigned long seq, hva_t hva)
{
	smp_rmb();	/* a slot looked up after the sequence number: as above */
	if (unlikely(READ_ONCE(kvm->mn_in_progress)) &&
	    hva >= READ_ONCE(kvm->mn_range_start) && hva < READ_ONCE(kvm->mn_range_end))
		return true;
	smp_rmb();	/* an invalidation ends by raising the number, then lowering the count */
	return READ_ONCE(kvm->mn_seq) != seq;
}
EXPORT_SYMBOL_GPL(kvm_mmu_notifier_retry);

/* ---- from user addresses to guest frames ---------------------------------------------------- */

typedef bool (*gfn_range_fn)(struct kvm *kvm, struct kvm_gfn_range *range);

struct hva_walk {
	struct kvm *kvm;
	gfn_range_fn fn;
	hva_t start, end;
	bool may_block;
};

static struct kvm_memory_slot *hva_node_slot(struct interval_tree_node *node, unsigned int idx)
{
	return container_of(node - idx, struct kvm_memory_slot, hva_node[0]);
}

static bool walk_slot(struct hva_walk *walk, struct kvm_memory_slot *slot)
{
	hva_t slot_end = slot->userspace_addr + (slot->npages << PAGE_SHIFT);
	hva_t start = max(walk->start, slot->userspace_addr);
	hva_t end = min(walk->end, slot_end);
	struct kvm_gfn_range range = {
		.slot = slot,
		.start = slot->base_gfn + ((start - slot->userspace_addr) >> PAGE_SHIFT),
		.end = slot->base_gfn + (PAGE_ALIGN(end - slot->userspace_addr) >> PAGE_SHIFT),
		.may_block = walk->may_block,
	};

	return walk->fn(walk->kvm, &range);
}

static bool hva_range_has_slot(struct kvm *kvm, hva_t start, hva_t end)
{
	unsigned int as_id;

	for (as_id = 0; as_id < KVM_MAX_NR_ADDRESS_SPACES; as_id++)
		if (interval_tree_iter_first(&kvm_memslots(kvm, as_id)->hva_tree, start, end - 1))
			return true;
	return false;
}

static bool walk_address_space(struct hva_walk *walk, unsigned int as_id)
{
	struct kvm_memslots *slots = kvm_memslots(walk->kvm, as_id);
	struct interval_tree_node *node;
	bool any = false;

	for (node = interval_tree_iter_first(&slots->hva_tree, walk->start, walk->end - 1); node;
	     node = interval_tree_iter_next(node, walk->start, walk->end - 1))
		any |= walk_slot(walk, hva_node_slot(node, slots->node_idx));
	return any;
}

/*
 * Call @fn for the guest frames of a user range, in every slot that has some of it; mmu_lock is
 * not touched when none has. If @flush, and any call asked for it, TLBs are flushed under the
 * same hold of mmu_lock, so that nobody sees entries gone which a TLB still has. Returns whether
 * any call returned true.
 */
static bool walk_hva_range(struct kvm *kvm, hva_t start, hva_t end, gfn_range_fn fn,
			   bool may_block, bool flush)
{
	struct hva_walk walk = {
		.kvm = kvm, .fn = fn, .start = start, .end = end, .may_block = may_block,
	};
	unsigned int as_id;
	bool any = false;
	int idx;

	if (start >= end)
		return false;
	idx = srcu_read_lock(&kvm->srcu);
	if (hva_range_has_slot(kvm, start, end)) {
		write_lock(&kvm->mmu_lock);
		for (as_id = 0; as_id < KVM_MAX_NR_ADDRESS_SPACES; as_id++)
			any |= walk_address_space(&walk, as_id);
		if (any && flush)
			kvm_flush_remote_tlbs(kvm);
		write_unlock(&kvm->mmu_lock);
	}
	srcu_read_unlock(&kvm->srcu, idx);
	return any;
}

/* ---- the kernel's side ---------------------------------------------------------------------- */

static int notify_range_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct kvm *kvm = notifier_kvm(mn);

	trace_kvm_unmap_hva_range(range->start, range->end);
	spin_lock(&kvm->mn_lock);
	if (!kvm->mn_in_progress) {
		WRITE_ONCE(kvm->mn_range_start, range->start);
		WRITE_ONCE(kvm->mn_range_end, range->end);
	} else {
		WRITE_ONCE(kvm->mn_range_start, min(kvm->mn_range_start, range->start));
		WRITE_ONCE(kvm->mn_range_end, max(kvm->mn_range_end, range->end));
	}
	/* The range may be read without the lock by whoever sees the count. */
	smp_store_release(&kvm->mn_in_progress, kvm->mn_in_progress + 1);
	spin_unlock(&kvm->mn_lock);

	walk_hva_range(kvm, range->start, range->end, kvm_arch_unmap_gfn_range,
		       mmu_notifier_range_blockable(range), true);
	return 0;
}

static void notify_range_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct kvm *kvm = notifier_kvm(mn);

	spin_lock(&kvm->mn_lock);
	/* After the change of the user mapping, and before the count: see the readers above. */
	smp_store_release(&kvm->mn_seq, kvm->mn_seq + 1);
	smp_store_release(&kvm->mn_in_progress, kvm->mn_in_progress - 1);
	spin_unlock(&kvm->mn_lock);
}

static int notify_clear_flush_young(struct mmu_notifier *mn, struct mm_struct *mm,
				    unsigned long start, unsigned long end)
{
	trace_kvm_age_hva(start, end);
	return walk_hva_range(notifier_kvm(mn), start, end, kvm_arch_age_gfn_range, false, true);
}

/* Without a flush a page in use may look idle once, until its TLB entries are replaced. */
static int notify_clear_young(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long start,
			      unsigned long end)
{
	trace_kvm_age_hva(start, end);
	return walk_hva_range(notifier_kvm(mn), start, end, kvm_arch_age_gfn_range, false, false);
}

static int notify_test_young(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long address)
{
	trace_kvm_test_age_hva(address);
	return walk_hva_range(notifier_kvm(mn), address, address + 1, kvm_arch_test_age_gfn_range,
			      false, false);
}

/*
 * The address space dies, or the notifier is being unregistered. Files keep the VM alive beyond
 * the former, but nobody of another address space can run its vcpus.
 */
static void notify_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct kvm *kvm = notifier_kvm(mn);
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	kvm_arch_mmu_release(kvm);
	srcu_read_unlock(&kvm->srcu, idx);
}

static const struct mmu_notifier_ops notifier_ops = {
	.invalidate_range_start = notify_range_start,
	.invalidate_range_end = notify_range_end,
	.clear_flush_young = notify_clear_flush_young,
	.clear_young = notify_clear_young,
	.test_young = notify_test_young,
	.release = notify_release,
};

/* The locks and slots of @kvm are initialized. */
int kvm_mmu_notifier_register(struct kvm *kvm)
{
	kvm->mmu_notifier.ops = &notifier_ops;
	return mmu_notifier_register(&kvm->mmu_notifier, kvm->mm);
}

/* No call of the notifier is running or comes any more on return. */
void kvm_mmu_notifier_unregister(struct kvm *kvm)
{
	mmu_notifier_unregister(&kvm->mmu_notifier, kvm->mm);
}
