/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a guest's own paging is set up: what a walk of its tables depends on besides CR3. Apart from
 * asm/kvm_host.h because the walk is tested in userspace. APM 2, 5.1.
 */
#ifndef _ASM_X86_KVM_GUEST_PAGING_H
#define _ASM_X86_KVM_GUEST_PAGING_H

#include <linux/types.h>

#define KVM_PT_LEVELS	5

/* Recomputed by kvm_mmu_mode_changed(). */
struct kvm_guest_paging {
	u8 levels;		/* 0: paging off, 2, 3, 4, 5 */
	bool pae;		/* 8-byte entries */
	bool nx, wp, pse, smep, smap, pke;
	bool gbpages;		/* there are 1 GiB pages */
	bool amd_reserved;	/* bit 8 is reserved in entries above level 2 that are no leaf */
};

/* Page fault error code bits (APM 2, 8.4.2) and those that nested page faults add (15.25.6). */
#define KVM_PF_PRESENT		BIT_ULL(0)
#define KVM_PF_WRITE		BIT_ULL(1)
#define KVM_PF_USER		BIT_ULL(2)
#define KVM_PF_RSVD		BIT_ULL(3)
#define KVM_PF_FETCH		BIT_ULL(4)
#define KVM_PF_PK		BIT_ULL(5)
#define KVM_PF_GUEST_FINAL	BIT_ULL(32)	/* of the final guest physical address */
#define KVM_PF_GUEST_TABLE	BIT_ULL(33)	/* of a guest page table walk */

/*
 * With an access to walk for: the processor's own, to a descriptor table or the like. It has
 * supervisor rights whatever the CPL, and EFLAGS.AC does not excuse it from SMAP.
 */
#define KVM_WALK_IMPLICIT	BIT(31)

#endif
