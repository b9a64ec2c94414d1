// SPDX-License-Identifier: GPL-2.0
/*
 * The format of Intel's extended page tables, for spte.c. SDM 3, 29.3.2 (entries) and 29.3.7 (memory
 * types).
 */
#include <linux/export.h>
#include <asm/memtype.h>
#include <asm/vmx.h>

#include "internal.h"

/*
 * Memory is write-back whatever the guest's PAT says, since devices are coherent with it; registers
 * of devices are uncached. Without bits that the processor sets, a bit of ours says that a page was
 * accessed when the entry was made.
 */
void kvm_mmu_configure_ept(int root_level, int max_huge_level, bool ad, bool pml)
{
	kvm_spte_format = (struct kvm_spte_format) {
		.table = VMX_EPT_RWX_MASK,
		.leaf = VMX_EPT_READABLE_MASK | VMX_EPT_EXECUTABLE_MASK,
		.accessed = ad ? VMX_EPT_ACCESS_BIT : SPTE_SOFT_ACCESSED,
		.dirty = ad ? VMX_EPT_DIRTY_BIT : 0,
		.log = pml ? VMX_EPT_DIRTY_BIT : SPTE_WRITE,
		.exec = VMX_EPT_EXECUTABLE_MASK,
		.memory = VMX_EPTP_MT_WB << VMX_EPT_MT_EPTE_SHIFT | VMX_EPT_IPAT_BIT,
		.root_level = root_level,
		.max_huge_level = max_huge_level,
	};
}
EXPORT_SYMBOL_GPL(kvm_mmu_configure_ept);
