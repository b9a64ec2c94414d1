// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of the kernel's own in guest memory, at places that no slot covers: what VMX wants to find
 * there (SDM 3, 30.4, the APIC-access page; and page table and TSS of guests that run in real mode
 * or unpaged on processors that cannot do so). The guest's processor reaches them through the
 * tables; the emulator does not, and userspace neither sees nor saves them.
 */
#include <linux/export.h>
#include <linux/gfp.h>

#include "internal.h"

/* slots_lock held. A new page is zero. 0 / -ENOMEM */
int kvm_mmu_fix_page(struct kvm *kvm, enum kvm_fixed_use use, gfn_t gfn)
{
	struct kvm_fixed_page *fixed = &kvm->arch.mmu.fixed[use];
	struct page *page;

	if (!fixed->page) {
		page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!page)
			return -ENOMEM;
		WRITE_ONCE(fixed->gfn, gfn);
		smp_store_release(&fixed->page, page);
		return 0;
	}
	if (fixed->gfn != gfn) {
		WRITE_ONCE(fixed->gfn, gfn);
		/* The old place is nobody's again. */
		kvm_arch_mmu_release(kvm);
	}
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_mmu_fix_page);

struct page *kvm_mmu_fixed_page(struct kvm *kvm, gfn_t gfn)
{
	const struct kvm_fixed_page *fixed = kvm->arch.mmu.fixed;
	struct page *page;
	unsigned int i;

	for (i = 0; i < KVM_NR_FIXED_PAGES; i++) {
		page = smp_load_acquire(&fixed[i].page);
		if (page && READ_ONCE(fixed[i].gfn) == gfn)
			return page;
	}
	return NULL;
}

/* Nobody runs, and the tables are gone. */
void kvm_mmu_free_fixed_pages(struct kvm *kvm)
{
	struct kvm_fixed_page *fixed = kvm->arch.mmu.fixed;
	unsigned int i;

	for (i = 0; i < KVM_NR_FIXED_PAGES; i++)
		if (fixed[i].page)
			__free_page(fixed[i].page);
}
