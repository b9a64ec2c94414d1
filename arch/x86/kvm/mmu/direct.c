// SPDX-License-Identifier: GPL-2.0
/*
 * The tree for two-dimensional paging, where guest physical addresses are translated and the guest
 * keeps its own tables: installs what a fault resolved. Faults of several vcpus run at once under
 * the read side of mmu_lock; each change of an entry is a cmpxchg, and who loses lets the guest
 * fault again. Nothing is removed here but a leaf in favour of another one. APM 2, 15.25.
 */
#include <linux/ioport.h>

#include "internal.h"

bool kvm_mmu_split_leaf(struct kvm *kvm, u64 *sptep, u64 huge, int level, struct kvm_mmu_page *sp)
{
	unsigned int i;

	for (i = 0; i < SPTE_PER_TABLE; i++)
		sp->table[i] = kvm_spte_split(huge, level, i);

	/*
	 * No flush: a processor that still caches the large page has the same translation with the
	 * same rights, or without that to execute, and whoever takes rights away flushes for itself.
	 */
	sp->parent = sptep;
	if (!try_cmpxchg64(sptep, &huge, kvm_spte_table(sp->table)))
		return false;
	kvm_mmu_page_account(kvm, sp, &kvm->arch.mmu.pages);
	count_leaves(kvm, level, -1);
	count_leaves(kvm, level - 1, SPTE_PER_TABLE);
	return true;
}

/* Put a table into the place of an empty entry or of a leaf that is too large. */
static bool direct_grow(struct kvm_vcpu *vcpu, const struct kvm_fault *fault, u64 *sptep, u64 old,
			int level)
{
	struct kvm_mmu_cache *tables = &vcpu->arch.mmu.table_cache;
	struct kvm_mmu_cache *headers = &vcpu->arch.mmu.header_cache;
	struct kvm_mmu_page *sp = kvm_mmu_page_take(tables, headers, level - 1);
	struct kvm *kvm = vcpu->kvm;

	if (spte_present(old)) {
		if (kvm_mmu_split_leaf(kvm, sptep, old, level, sp))
			goto grown;
	} else {
		sp->parent = sptep;
		if (try_cmpxchg64(sptep, &old, kvm_spte_table(sp->table))) {
			kvm_mmu_page_account(kvm, sp, &kvm->arch.mmu.pages);
			goto grown;
		}
	}
	kvm_mmu_page_give_back(tables, headers, sp);
	return false;

grown:
	if (unlikely(level <= fault->huge_level))
		kvm_nx_huge_add(kvm, sp, kvm_vcpu_as_id(vcpu), fault->gfn);
	return true;
}

/* A pfn without struct page may still be memory, as with a device of persistent memory. */
bool kvm_pfn_is_memory(const struct kvm_guest_page *page, kvm_pfn_t pfn)
{
	return page->page || !kvm_spte_format.memory || page_is_ram(pfn);
}

static u64 direct_leaf(const struct kvm *kvm, const struct kvm_fault *fault, int level)
{
	kvm_pfn_t pfn = level_base(fault->page.pfn, level);
	u64 spte = kvm_spte_leaf(kvm, pfn, level, kvm_pfn_is_memory(&fault->page, pfn));

	if (!fault->page.writable)
		return spte;
	spte |= SPTE_HOST_WRITE | SPTE_MMU_WRITE;
	/* Dirty from the start where nobody wants to know: the processor has less to do, and to log. */
	if (fault->write || !fault->logged)
		return spte | SPTE_WRITE | kvm_spte_format.dirty;
	return kvm_processor_logs() ? spte | SPTE_WRITE : spte;
}

/* 1: done, or lost against another vcpu, which comes to the same. */
static int direct_install(struct kvm_vcpu *vcpu, struct kvm_fault *fault, u64 *sptep, u64 old,
			  int level)
{
	u64 new = direct_leaf(vcpu->kvm, fault, level);
	bool replaces = spte_present(old);

	if (replaces && spte_pfn(old) == spte_pfn(new) && (!fault->write || (old & SPTE_WRITE))) {
		vcpu->stat.pf_spurious++;
		return 1;
	}
	if (!try_cmpxchg64(sptep, &old, new))
		return 1;

	vcpu->stat.pf_fixed++;
	if (!replaces)
		count_leaves(vcpu->kvm, level, 1);
	else if (spte_pfn(old) != spte_pfn(new))
		kvm_flush_remote_tlbs(vcpu->kvm);
	/* After the entry, see dirty_log rules in mmu.rst. */
	if (fault->logged && fault->write)
		kvm_dirty_log_mark(vcpu, fault->slot, fault->gfn);
	return 1;
}

/* mmu_lock for read, root current. Goes down to fault->level, or further where tables are. */
int kvm_direct_map(struct kvm_vcpu *vcpu, struct kvm_fault *fault)
{
	struct kvm_mmu_page *root = vcpu->arch.mmu.root_page;
	u64 *table = root->table;
	int level = root->level;
	u64 *sptep, spte;

	for (;;) {
		sptep = &table[spte_index(fault->gfn, level)];
		spte = READ_ONCE(*sptep);
		if (level <= fault->level && !spte_is_table(spte, level))
			return direct_install(vcpu, fault, sptep, spte, level);
		if (!spte_is_table(spte, level)) {
			if (!direct_grow(vcpu, fault, sptep, spte, level))
				return 1;
			spte = READ_ONCE(*sptep);
		}
		table = spte_child(spte);
		level--;
	}
}
