// SPDX-License-Identifier: GPL-2.0
/*
 * Roots: the top tables that vcpus run on, one for each address space of a VM, shared by its vcpus,
 * made when the first one needs it and torn down with the VM. A root carries no count of users:
 * replacing all roots changes the VM's generation, and a vcpu touches its root only after it saw,
 * under mmu_lock or RCU, that its own generation is the VM's.
 */
#include <linux/export.h>
#include <linux/list.h>

#include "internal.h"

void kvm_mmu_vm_init(struct kvm *kvm)
{
	struct kvm_vm_mmu *mmu = &kvm->arch.mmu;

	INIT_LIST_HEAD(&mmu->roots);
	INIT_LIST_HEAD(&mmu->pages);
	INIT_LIST_HEAD(&mmu->unsync);
	spin_lock_init(&mmu->pages_lock);
	mmu->generation = 1;
	kvm_nx_huge_vm_init(kvm);
}

/*
 * Every root goes. Vcpus leave the guest before the tables are taken apart, which happens in
 * steps; nothing is added meanwhile, since nobody finds these roots any more.
 */
void kvm_arch_mmu_release(struct kvm *kvm)
{
	struct kvm_mmu_page *root, *next;
	struct kvm_zap zap;
	LIST_HEAD(old);

	write_lock(&kvm->mmu_lock);
	kvm_zap_begin(&zap, kvm);
	kvm_shadow_zap_slot(&zap, NULL);
	if (kvm_zap_end(&zap))
		kvm_flush_remote_tlbs(kvm);
	list_splice_init(&kvm->arch.mmu.roots, &old);
	if (list_empty(&old))
		goto unlock;
	WRITE_ONCE(kvm->arch.mmu.generation, kvm->arch.mmu.generation + 1);
	kvm_request_all(kvm, KVM_REQ_MMU_ROOT);

	kvm_zap_begin(&zap, kvm);
	list_for_each_entry_safe(root, next, &old, link) {
		/* Interrupted when yet other roots were replaced: go on where it stopped. */
		while (!kvm_zap_range(&zap, root, 0, level_frames(root->level + 1), true))
			;
		kvm_mmu_page_unaccount(kvm, root);
		list_add_tail(&root->link, &zap.dead);
	}
	kvm_zap_end(&zap);
unlock:
	write_unlock(&kvm->mmu_lock);
}

void kvm_mmu_vm_destroy(struct kvm *kvm)
{
	kvm_nx_huge_vm_destroy(kvm);
	kvm_arch_mmu_release(kvm);
	kvfree(kvm->arch.mmu.hash);
}

int kvm_mmu_vcpu_create(struct kvm_vcpu *vcpu)
{
	kvm_mmu_unload(vcpu);
	return kvm_hw.npt ? 0 : kvm_shadow_vcpu_create(vcpu);
}

void kvm_mmu_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	if (!kvm_hw.npt)
		kvm_shadow_vcpu_destroy(vcpu);
	kvm_mmu_cache_free(&vcpu->arch.mmu.table_cache, &vcpu->arch.mmu.header_cache);
}

void kvm_mmu_unload(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_mmu *mmu = &vcpu->arch.mmu;

	mmu->root = INVALID_PAGE;
	mmu->root_page = NULL;
	mmu->generation = 0;
	kvm_request(vcpu, KVM_REQ_MMU_ROOT);
}
EXPORT_SYMBOL_GPL(kvm_mmu_unload);

/* mmu_lock for write; the caches hold a table. */
static struct kvm_mmu_page *find_or_make_root(struct kvm_vcpu *vcpu)
{
	struct kvm_vm_mmu *vm_mmu = &vcpu->kvm->arch.mmu;
	struct kvm_mmu_page *root;

	for_each_root(vcpu->kvm, root, kvm_vcpu_as_id(vcpu))
		return root;

	root = kvm_mmu_page_take(&vcpu->arch.mmu.table_cache, &vcpu->arch.mmu.header_cache,
				 kvm_spte_format.root_level);
	root->as_id = kvm_vcpu_as_id(vcpu);
	kvm_mmu_page_account(vcpu->kvm, root, &vm_mmu->roots);
	return root;
}

int kvm_mmu_load(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_mmu *mmu = &vcpu->arch.mmu;
	struct kvm *kvm = vcpu->kvm;
	int r;

	if (!kvm_hw.npt)
		return kvm_shadow_load(vcpu);
	r = kvm_mmu_cache_fill(&mmu->table_cache, &mmu->header_cache, 1);
	if (r)
		return r;

	write_lock(&kvm->mmu_lock);
	mmu->root_page = find_or_make_root(vcpu);
	mmu->root = __pa(mmu->root_page->table) | kvm_spte_format.encrypted;
	mmu->root_level = mmu->root_page->level;
	mmu->generation = kvm->arch.mmu.generation;
	write_unlock(&kvm->mmu_lock);

	kvm_x86_ops.load_root(vcpu, mmu->root, mmu->root_level);
	/* The page may have been the root of other translations under the same tag. */
	kvm_x86_ops.flush_tlb_all(vcpu);
	return 0;
}

/* MMIO caches compare the generation themselves, 64 bits that never come round. */
void kvm_arch_memslots_updated(struct kvm *kvm, u64 generation)
{
	kvm_mmu_default_limit(kvm);
	kvm_shadow_zap_homeless(kvm);
}

void kvm_mmu_mode_changed(struct kvm_vcpu *vcpu)
{
	struct kvm_guest_paging *guest = &vcpu->arch.mmu.guest;
	unsigned long cr0 = kvm_read_cr0(vcpu);
	unsigned long cr4 = kvm_read_cr4(vcpu);
	u64 efer = vcpu->arch.efer;
	bool amd = boot_cpu_data.x86_vendor == X86_VENDOR_AMD ||
		   boot_cpu_data.x86_vendor == X86_VENDOR_HYGON;

	*guest = (struct kvm_guest_paging) {
		.pae = cr4 & X86_CR4_PAE,
		.nx = (efer & EFER_NX) && (cr4 & X86_CR4_PAE),
		.wp = cr0 & X86_CR0_WP,
		.pse = cr4 & X86_CR4_PSE,
		.smep = cr4 & X86_CR4_SMEP,
		.smap = cr4 & X86_CR4_SMAP,
		.pke = (cr4 & X86_CR4_PKE) && (efer & EFER_LMA),
		/* With nested paging it is the processor that walks, whatever the guest's CPUID. */
		.gbpages = boot_cpu_has(X86_FEATURE_GBPAGES),
		.amd_reserved = amd,
	};
	if (!(cr0 & X86_CR0_PG))
		guest->levels = 0;
	else if (efer & EFER_LMA)
		guest->levels = cr4 & X86_CR4_LA57 ? 5 : 4;
	else
		guest->levels = cr4 & X86_CR4_PAE ? 3 : 2;
	if (!kvm_hw.npt)
		kvm_shadow_mode_changed(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_mmu_mode_changed);
