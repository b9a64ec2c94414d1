// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty ring: each vcpu notes the pages it writes in a ring that userspace has mapped, and exits
 * when the ring is nearly full. Its cost is that of the writes, not of the memory's size. Owns the
 * rings, their mapping and KVM_RESET_DIRTY_RINGS. That a write to a clean page is noticed at all is
 * the architecture's part (kvm_arch_dirty_protect()). KVM API document, KVM_CAP_DIRTY_LOG_RING.
 *
 * A ring has one writer, whoever holds vcpu->mutex, and one that frees entries, under slots_lock.
 * The two meet in the flags of an entry and in dirty_ring_freed. Entries are in memory that
 * userspace can write to: nothing that is read from there is trusted.
 */
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>
#include <linux/kvm_host.h>

#include "core.h"

#define MAX_ENTRIES		65536u
/* Room for what one exit may write after the ring was found full; KVM_RUN does not begin then. */
#define RESERVED_ENTRIES	64u

int kvm_dirty_ring_max_bytes(void)
{
	return KVM_DIRTY_LOG_PAGE_OFFSET ? MAX_ENTRIES * sizeof(struct kvm_dirty_gfn) : 0;
}

int kvm_dirty_ring_enable(struct kvm *kvm, u64 bytes)
{
	struct kvm_memory_slot *slot;
	bool logged = false;
	int r = -EINVAL;

	if (!kvm_dirty_ring_max_bytes() || !is_power_of_2(bytes) || bytes < PAGE_SIZE ||
	    bytes <= RESERVED_ENTRIES * sizeof(struct kvm_dirty_gfn))
		return -EINVAL;
	if (bytes > kvm_dirty_ring_max_bytes())
		return -E2BIG;
	mutex_lock(&kvm->lock);
	mutex_lock(&kvm->slots_lock);
	/* Slots that are logged by now have bitmaps, and vcpus no rings. */
	kvm_for_each_memslot(slot, kvm_memslots(kvm, 0))
		logged |= slot->dirty_bitmap != NULL;
	if (!kvm->dirty_ring_entries && !kvm->created_vcpus && !logged) {
		kvm->dirty_ring_entries = bytes / sizeof(struct kvm_dirty_gfn);
		r = 0;
	}
	mutex_unlock(&kvm->slots_lock);
	mutex_unlock(&kvm->lock);
	return r;
}

int kvm_dirty_ring_create(struct kvm_vcpu *vcpu)
{
	struct kvm *kvm = vcpu->kvm;

	if (!kvm->dirty_ring_entries)
		return 0;
	vcpu->dirty_ring = __vmalloc_array(kvm->dirty_ring_entries, sizeof(*vcpu->dirty_ring),
					   GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	return vcpu->dirty_ring ? 0 : -ENOMEM;
}

void kvm_dirty_ring_destroy(struct kvm_vcpu *vcpu)
{
	vfree(vcpu->dirty_ring);
}

/* The ring's pages in a vcpu's mapping: the first, and how many. */
static unsigned long ring_pages(struct kvm *kvm)
{
	return kvm->dirty_ring_entries * sizeof(struct kvm_dirty_gfn) / PAGE_SIZE;
}

struct page *kvm_dirty_ring_page(struct kvm_vcpu *vcpu, pgoff_t pgoff)
{
	pgoff_t index = pgoff - KVM_DIRTY_LOG_PAGE_OFFSET;

	if (!vcpu->dirty_ring || index >= ring_pages(vcpu->kvm))
		return NULL;
	return vmalloc_to_page((void *)vcpu->dirty_ring + index * PAGE_SIZE);
}

bool kvm_dirty_ring_maps(struct kvm_vcpu *vcpu, pgoff_t first, unsigned long npages)
{
	return vcpu->dirty_ring && first + npages > KVM_DIRTY_LOG_PAGE_OFFSET &&
	       first < KVM_DIRTY_LOG_PAGE_OFFSET + ring_pages(vcpu->kvm);
}

/* ---- the vcpu's side ------------------------------------------------------------------------- */

static u32 entries_used(struct kvm_vcpu *vcpu)
{
	return vcpu->dirty_ring_next - smp_load_acquire(&vcpu->dirty_ring_freed);
}

bool kvm_dirty_ring_full(struct kvm_vcpu *vcpu)
{
	return vcpu->dirty_ring &&
	       entries_used(vcpu) >= vcpu->kvm->dirty_ring_entries - RESERVED_ENTRIES;
}

u32 kvm_dirty_ring_room(struct kvm_vcpu *vcpu)
{
	u32 most = vcpu->kvm->dirty_ring_entries - RESERVED_ENTRIES, used = entries_used(vcpu);

	return used < most ? most - used : 0;
}
EXPORT_SYMBOL_GPL(kvm_dirty_ring_room);

static struct kvm_dirty_gfn *ring_entry(struct kvm_vcpu *vcpu, u32 index)
{
	return &vcpu->dirty_ring[index & (vcpu->kvm->dirty_ring_entries - 1)];
}

/*
 * The page is what the last entry is about, and userspace has not taken that entry: it will look
 * at the page after this write. The barrier is between the write and the look at the flags.
 */
static bool noted_just_now(struct kvm_vcpu *vcpu, u32 slot, u64 offset)
{
	struct kvm_dirty_gfn *last = ring_entry(vcpu, vcpu->dirty_ring_next - 1);

	if (vcpu->dirty_ring_last_slot != slot || vcpu->dirty_ring_last_offset != offset)
		return false;
	smp_mb();
	return READ_ONCE(last->flags) == KVM_DIRTY_GFN_F_DIRTY;
}

/*
 * A ring without any room is one that userspace has been told of and has filled up with further
 * calls: it is not told again.
 */
static void note_page(struct kvm_vcpu *vcpu, u32 number, u64 offset)
{
	struct kvm_dirty_gfn *entry;

	if (noted_just_now(vcpu, number, offset) ||
	    entries_used(vcpu) >= vcpu->kvm->dirty_ring_entries)
		return;
	entry = ring_entry(vcpu, vcpu->dirty_ring_next);
	entry->slot = number;
	entry->offset = offset;
	/* Userspace takes an entry whose flag it sees. */
	smp_store_release(&entry->flags, KVM_DIRTY_GFN_F_DIRTY);
	vcpu->dirty_ring_last_slot = number;
	vcpu->dirty_ring_last_offset = offset;
	vcpu->dirty_ring_next++;
	if (kvm_dirty_ring_full(vcpu))
		kvm_request(vcpu, KVM_REQ_DIRTY_RING);
}

/* A write in the name of a VM is that of the vcpu whose thread does it, if it is the VM's. */
static struct kvm_vcpu *writing_vcpu(struct kvm_memory_slot *slot, gfn_t gfn)
{
	struct kvm_vcpu *vcpu = kvm_running_vcpu();

	if (!vcpu || kvm_memslot_find(kvm_memslots(vcpu->kvm, slot->as_id), gfn) != slot)
		return NULL;
	return vcpu;
}

void kvm_dirty_ring_mark(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot, gfn_t gfn)
{
	/* What is written when the thread is scheduled out must not come in between. */
	preempt_disable();
	if (!vcpu)
		vcpu = writing_vcpu(slot, gfn);
	if (vcpu && vcpu->dirty_ring)
		note_page(vcpu, slot->as_id << 16 | slot->id, gfn - slot->base_gfn);
	preempt_enable();
}

bool kvm_dirty_ring_exit(struct kvm_vcpu *vcpu)
{
	if (!kvm_dirty_ring_full(vcpu))
		return false;
	kvm_request(vcpu, KVM_REQ_DIRTY_RING);
	vcpu->run->exit_reason = KVM_EXIT_DIRTY_RING_FULL;
	return true;
}

/* ---- KVM_RESET_DIRTY_RINGS ------------------------------------------------------------------- */

/* Pages of one slot that are to trap again, collected from entries that follow each other. */
struct reset_batch {
	u32 slot;
	u64 offset;		/* of the mask's first bit */
	unsigned long mask;
};

static void protect_batch(struct kvm *kvm, const struct reset_batch *batch)
{
	u32 as_id = batch->slot >> 16, id = (u16)batch->slot;
	unsigned long mask = batch->mask;
	struct kvm_memory_slot *slot;

	if (!mask || as_id >= KVM_MAX_NR_ADDRESS_SPACES || id >= KVM_USER_MEM_SLOTS)
		return;
	slot = kvm_memslot_by_id(kvm, as_id, id);
	/* The slot may have gone or shrunk since, and the entry is only what userspace left of it. */
	if (!slot || batch->offset >= slot->npages)
		return;
	if (slot->npages - batch->offset < BITS_PER_LONG)
		mask &= BIT(slot->npages - batch->offset) - 1;
	write_lock(&kvm->mmu_lock);
	kvm_arch_dirty_protect(kvm, slot, batch->offset, mask);
	write_unlock(&kvm->mmu_lock);
}

static bool add_to_batch(struct reset_batch *batch, u32 slot, u64 offset)
{
	if (!batch->mask || batch->slot != slot || offset < batch->offset ||
	    offset - batch->offset >= BITS_PER_LONG)
		return false;
	batch->mask |= BIT(offset - batch->offset);
	return true;
}

static unsigned int reset_ring(struct kvm *kvm, struct kvm_vcpu *vcpu)
{
	u32 next = vcpu->dirty_ring_freed, count = 0, slot;
	struct reset_batch batch = { };
	struct kvm_dirty_gfn *entry;
	u64 offset;

	for (; count < kvm->dirty_ring_entries; count++, next++) {
		entry = ring_entry(vcpu, next);
		if (!(smp_load_acquire(&entry->flags) & KVM_DIRTY_GFN_F_RESET))
			break;
		slot = READ_ONCE(entry->slot);
		offset = READ_ONCE(entry->offset);
		WRITE_ONCE(entry->flags, 0);
		if (!add_to_batch(&batch, slot, offset)) {
			protect_batch(kvm, &batch);
			batch = (struct reset_batch) { .slot = slot, .offset = offset, .mask = 1 };
			cond_resched();
		}
	}
	protect_batch(kvm, &batch);
	/* Entries are free once their flags are 0. */
	smp_store_release(&vcpu->dirty_ring_freed, next);
	return count;
}

int kvm_vm_reset_dirty_rings(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned int sum = 0;
	int i;

	if (!kvm->dirty_ring_entries)
		return -EINVAL;
	mutex_lock(&kvm->slots_lock);
	kvm_for_each_vcpu(i, vcpu, kvm)
		sum += reset_ring(kvm, vcpu);
	if (sum)
		kvm_flush_remote_tlbs(kvm);
	mutex_unlock(&kvm->slots_lock);
	return sum;
}
