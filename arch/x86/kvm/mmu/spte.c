// SPDX-License-Identifier: GPL-2.0
/*
 * Makes entries of the processor's tables in the format chosen by the vendor module. What the bits
 * promise is told in spte.h; who may change an entry and how, in Documentation/virt/kvm/mmu.rst.
 * APM 2, 5.3 (formats) and 15.25 (every nested entry must be a user entry).
 */
#include <linux/export.h>
#include <linux/mem_encrypt.h>

#include "internal.h"

struct kvm_spte_format kvm_spte_format __read_mostly;

/* Reserved where the processor cannot do without execution. */
static u64 nx_bit(void)
{
	return boot_cpu_has(X86_FEATURE_NX) ? _PAGE_NX : 0;
}

void kvm_mmu_configure_npt(int root_level, int max_huge_level)
{
	kvm_spte_format = (struct kvm_spte_format) {
		.table = SPTE_PRESENT | SPTE_WRITE | _PAGE_USER | _PAGE_ACCESSED | sme_me_mask,
		.leaf = SPTE_PRESENT | _PAGE_USER,
		.accessed = _PAGE_ACCESSED,
		.dirty = _PAGE_DIRTY,
		.log = SPTE_WRITE,
		.nx = nx_bit(),
		.memory = sme_me_mask,
		.encrypted = sme_me_mask,
		.root_level = root_level,
		.max_huge_level = max_huge_level,
	};
}
EXPORT_SYMBOL_GPL(kvm_mmu_configure_npt);

void kvm_mmu_configure_shadow(int max_huge_level, bool bypass)
{
	kvm_spte_format = (struct kvm_spte_format) {
		.table = SPTE_PRESENT | SPTE_WRITE | _PAGE_USER | _PAGE_ACCESSED | sme_me_mask,
		.leaf = SPTE_PRESENT,
		.accessed = _PAGE_ACCESSED,
		.dirty = _PAGE_DIRTY,
		.log = SPTE_WRITE,
		.user = _PAGE_USER,
		.nx = nx_bit(),
		.memory = sme_me_mask,
		.encrypted = sme_me_mask,
		.empty = bypass ? SPTE_PRESENT | SPTE_EMPTY | SPTE_ADDRESS : 0,
		.root_level = KVM_PT_LEVELS,
		.max_huge_level = max_huge_level,
	};
}
EXPORT_SYMBOL_GPL(kvm_mmu_configure_shadow);

u64 kvm_spte_leaf(const struct kvm *kvm, kvm_pfn_t pfn, int level, bool is_memory)
{
	u64 spte = (pfn << PAGE_SHIFT) | kvm_spte_format.leaf | kvm_spte_format.accessed;

	if (level > 1) {
		spte |= SPTE_HUGE;
		if (kvm_nx_huge_in_force(kvm))
			spte = (spte & ~kvm_spte_format.exec) | kvm_spte_format.nx;
	}
	/* Devices' registers are neither cached nor encrypted. */
	if (is_memory)
		spte |= kvm_spte_format.memory;
	return spte;
}

u64 kvm_spte_table(void *table)
{
	return __pa(table) | kvm_spte_format.table;
}

u64 kvm_spte_split(u64 huge, int level, unsigned int index)
{
	u64 child = huge + ((u64)index << PAGE_SHIFT) * level_frames(level - 1);

	if (level > 2)
		return child;
	return (child & ~(SPTE_HUGE | kvm_spte_format.nx)) | kvm_spte_format.exec;
}
