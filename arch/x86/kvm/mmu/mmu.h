/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the MMU offers to the rest of x86. Internal things are in mmu/internal.h.
 */
#ifndef _KVM_X86_MMU_H
#define _KVM_X86_MMU_H

#include <linux/kvm_host.h>

int kvm_mmu_module_init(void);		/* slab caches, shrinker */
void kvm_mmu_module_exit(void);
/* By the vendor at load, before any VM: two-dimensional paging, entries in the AMD format. */
void kvm_mmu_configure_npt(int root_level, int max_huge_level);
/* The same in Intel's format; @ad: the processor sets accessed and dirty bits; @pml: and logs it. */
void kvm_mmu_configure_ept(int root_level, int max_huge_level, bool ad, bool pml);
/*
 * The same without two-dimensional paging: the processor walks tables of ours for the guest's.
 * @bypass: a data access to what is not present faults in the guest without an exit. The highest
 * address bits of an entry must be reserved then.
 */
void kvm_mmu_configure_shadow(int max_huge_level, bool bypass);

void kvm_mmu_vm_init(struct kvm *kvm);
void kvm_mmu_vm_destroy(struct kvm *kvm);	/* nobody runs; slots still there */
int kvm_mmu_vcpu_create(struct kvm_vcpu *vcpu);
void kvm_mmu_vcpu_destroy(struct kvm_vcpu *vcpu);

/* The guest's paging mode may have changed: CR0, CR4 or EFER. Cheap. */
void kvm_mmu_mode_changed(struct kvm_vcpu *vcpu);

/* Shadow paging: what the processor's CR4 is to be when the guest's is @cr4 */
unsigned long kvm_shadow_cr4(struct kvm_vcpu *vcpu, unsigned long cr4);
/* Drop the root; the next entry loads one (KVM_REQ_MMU_ROOT). */
void kvm_mmu_unload(struct kvm_vcpu *vcpu);
/* KVM_REQ_MMU_ROOT: make arch.mmu.root valid and hand it to the vendor. 0 / -errno. Sleeps. */
int kvm_mmu_load(struct kvm_vcpu *vcpu);

/*
 * A nested page fault exit: @error_code as the hardware gave it. Maps the page, or emulates the
 * instruction for MMIO. @insn, @insn_len: instruction bytes from hardware or NULL, 0.
 * 1: enter the guest again; 0: to userspace; negative errno.
 */
int kvm_mmu_page_fault(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code, void *insn, int insn_len);

/*
 * Shadow paging: a page fault of the guest at linear address @gva. Mends our tables, or gives the
 * fault to the guest, or emulates. As above otherwise.
 */
int kvm_mmu_guest_fault(struct kvm_vcpu *vcpu, gva_t gva, u64 error_code, void *insn,
			int insn_len);
/* KVM_REQ_TLB_FLUSH_GUEST: before the flush. */
void kvm_mmu_sync_guest(struct kvm_vcpu *vcpu);
void kvm_mmu_invlpg(struct kvm_vcpu *vcpu, gva_t gva);
/* After the emulator wrote to guest memory within a page. */
void kvm_mmu_guest_wrote(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int len);
/*
 * The guest writes a table of its own with an instruction beyond the emulator: let it. False if
 * the frame is no such table.
 */
bool kvm_mmu_release_table(struct kvm_vcpu *vcpu, gfn_t gfn);

/* Is this gfn known to be MMIO (vcpu's cache)? For the emulator's fast path. */
bool kvm_mmu_gfn_is_mmio(struct kvm_vcpu *vcpu, gfn_t gfn);
void kvm_mmu_remember_mmio(struct kvm_vcpu *vcpu, gfn_t gfn);

/* ---- walk.c: the guest's own page tables ----------------------------------------------------- */

struct kvm_walk_fault {
	u32 error_code;		/* for #PF */
	u64 cr2;
	bool nested_abort;	/* a table entry is not in memory: not the guest's fault to take */
};

/*
 * Translate a linear address as the processor would for an access of kind @access (KVM_PF_WRITE,
 * _USER, _FETCH bits, KVM_WALK_IMPLICIT) and set A/D bits. Returns the gpa, or INVALID_GPA with
 * *fault filled.
 * Without paging the gpa is the address itself. May sleep.
 */
gpa_t kvm_walk_gva(struct kvm_vcpu *vcpu, gva_t gva, u32 access, struct kvm_walk_fault *fault);
/* The same without side effects and permission checks (KVM_TRANSLATE, debugging). */
gpa_t kvm_walk_gva_peek(struct kvm_vcpu *vcpu, gva_t gva);

/* fixed.c: put a zeroed page of ours at @gfn, or move it there. 0 / -ENOMEM */
int kvm_mmu_fix_page(struct kvm *kvm, enum kvm_fixed_use use, gfn_t gfn);
void kvm_mmu_free_fixed_pages(struct kvm *kvm);	/* after kvm_mmu_vm_destroy() */

/* KVM_SET_NR_MMU_PAGES / GET. 0 / -EINVAL */
int kvm_mmu_set_nr_pages(struct kvm *kvm, unsigned long nr);

#endif
