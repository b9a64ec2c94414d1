// SPDX-License-Identifier: GPL-2.0
/*
 * Page faults of shadow paging that go to the guest without an exit, where the processor can tell them
 * by the error code (SDM 3, 26.2: the page-fault error-code mask and match). Entries of ours that map
 * nothing are of two kinds. One that is "empty" has a reserved bit set, so that its fault exits, and the
 * guest's entry is looked at. One that is 0 says that the guest's entry is not present either: the guest
 * has its fault at once, with the error code that it must have.
 *
 * A 0 is good as long as nobody writes to the guest's table unseen, so there are none but in tables that
 * are tracked (write_track.c). The write of an entry makes ours empty again before the vcpu that wrote
 * goes on. No processor keeps what is not present or has a reserved bit (SDM 3, 4.10.2.3): none of these
 * changes needs a flush.
 *
 * A guest that maps a page at each fault has its table unsync after the first, and would gain nothing:
 * entries become 0 only after a second fault without that. All of it under mmu_lock for write.
 */
#include "shadow.h"

#define MISSES_ENOUGH	2
#define BATCH		64	/* entries read at once */

/* The table of ours that the processor came to, and where in it. */
static struct kvm_mmu_page *last_table(struct kvm_vcpu *vcpu, gva_t gva, unsigned int *index)
{
	struct kvm_vcpu_mmu *mmu = &vcpu->arch.mmu;
	struct kvm_mmu_page *sp = mmu->top[mmu->guest.levels < 4 ? (gva >> 30) & 3 : 0];
	u64 spte;

	while (sp && !sp->gone) {
		*index = spte_index(gva >> PAGE_SHIFT, sp->level);
		spte = READ_ONCE(sp->table[*index]);
		if (!spte_is_table(spte, sp->level))
			return sp;
		sp = table_page(spte_child(spte));
	}
	return NULL;
}

static void let_pass(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp)
{
	u64 entries[BATCH];
	unsigned int i, k;

	sp->bypassed = true;
	for (i = 0; i < SPTE_PER_TABLE; i += BATCH) {
		if (kvm_guest_read_atomic(vcpu, gfn_to_gpa(sp->gfn) + i * sizeof(u64), entries,
					  sizeof(entries)))
			return;
		for (k = 0; k < BATCH; k++)
			if (!(entries[k] & GPTE_PRESENT) &&
			    READ_ONCE(sp->table[i + k]) == kvm_spte_format.empty)
				WRITE_ONCE(sp->table[i + k], 0);
	}
}

void kvm_bypass_missed(struct kvm_vcpu *vcpu, gva_t gva)
{
	struct kvm *kvm = vcpu->kvm;
	struct kvm_mmu_page *sp;
	unsigned int index;
	u64 entry;

	/* Entries of two levels are not one to one with ours: they always exit. */
	if (!kvm_spte_format.empty || vcpu->arch.mmu.guest.levels < 3)
		return;
	write_lock(&kvm->mmu_lock);
	sp = last_table(vcpu, gva, &index);
	if (!sp || !sp->tracked || READ_ONCE(sp->table[index]) != kvm_spte_format.empty)
		goto out;
	/* There may be no table of ours yet for the one that lacks the entry. */
	if (!kvm_walk_reread(vcpu, gfn_to_gpa(sp->gfn) + index * sizeof(u64), sizeof(entry), &entry) ||
	    (entry & GPTE_PRESENT))
		goto out;
	if (++sp->misses >= MISSES_ENOUGH)
		let_pass(vcpu, sp);
out:
	write_unlock(&kvm->mmu_lock);
}

void kvm_bypass_end(struct kvm_mmu_page *sp)
{
	unsigned int i;

	sp->misses = 0;
	if (!sp->bypassed)
		return;
	sp->bypassed = false;
	for (i = 0; i < SPTE_PER_TABLE; i++)
		if (!READ_ONCE(sp->table[i]))
			WRITE_ONCE(sp->table[i], kvm_spte_format.empty);
}
