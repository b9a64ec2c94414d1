/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Address types of the hypervisor, shared by every file of it.
 *
 * gva: guest virtual, gpa/gfn: guest physical address and frame, hva: virtual address in the
 * process that owns the VM, hpa: host physical, pfn: host page frame. A gfn or pfn is the
 * address shifted right by PAGE_SHIFT.
 */
#ifndef _LINUX_KVM_TYPES_H
#define _LINUX_KVM_TYPES_H

#include <linux/types.h>

typedef unsigned long	gva_t;
typedef u64		gpa_t;
typedef u64		gfn_t;
typedef unsigned long	hva_t;
typedef u64		hpa_t;
typedef u64		kvm_pfn_t;

#define INVALID_GPA	(~(gpa_t)0)
#define INVALID_PAGE	(~(hpa_t)0)

struct kvm;
struct kvm_vcpu;
struct kvm_memory_slot;

static inline gpa_t gfn_to_gpa(gfn_t gfn)
{
	return (gpa_t)gfn << 12;
}

static inline gfn_t gpa_to_gfn(gpa_t gpa)
{
	return (gfn_t)(gpa >> 12);
}

#endif
