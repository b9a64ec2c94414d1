// SPDX-License-Identifier: GPL-2.0
/*
 * Where vcpus start under shadow paging: one table of level 4 or 5, or four of level 2 below a page
 * with PAE's four pointers for guests outside long mode, whether they page or not. The tables are
 * found by the guest's CR3 and mode among all others (shadow_page.c), so an address space that was
 * in use before is as it was left. A vcpu holds a reference on each it starts from. APM 2, 5.2.3
 * (the four pointers), 5.3.
 */
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/mem_encrypt.h>
#include <linux/set_memory.h>

#include "../cpu/cpuid.h"
#include "shadow.h"

#define NR_TOPS	4

static bool is_legacy(const union kvm_mmu_role mode)
{
	return mode.guest_levels < 4;
}

/* What the guest's tables start from: nothing without paging. */
static void find_keys(struct kvm_vcpu *vcpu, u64 key[NR_TOPS])
{
	unsigned int levels = vcpu->arch.mmu.mode.guest_levels;
	unsigned int i;

	memset(key, 0, NR_TOPS * sizeof(*key));
	if (levels == 3) {
		kvm_sync_lazy(vcpu, KVM_LAZY_PDPTRS);
		memcpy(key, vcpu->arch.mmu.pdptrs, sizeof(vcpu->arch.mmu.pdptrs));
		return;
	}
	for (i = 0; levels && i < (levels > 3 ? 1 : NR_TOPS); i++)
		key[i] = kvm_read_cr3(vcpu) & PAGE_MASK & ~vcpu->arch.cpuid.gpa_reserved;
}

static bool tops_fit(struct kvm_vcpu *vcpu, const u64 key[NR_TOPS])
{
	struct kvm_vcpu_mmu *mmu = &vcpu->arch.mmu;
	unsigned int i;

	if (mmu->top_mode.word != mmu->mode.word || mmu->root == INVALID_PAGE ||
	    memcmp(mmu->top_key, key, sizeof(mmu->top_key)))
		return false;
	for (i = 0; i < NR_TOPS; i++)
		if (mmu->top[i] && mmu->top[i]->gone)
			return false;
	return true;
}

static union kvm_mmu_role top_role(const struct kvm_vcpu *vcpu)
{
	union kvm_mmu_role role = vcpu->arch.mmu.mode;

	role.access = KVM_ACCESS_ALL;
	role.level = is_legacy(role) ? 2 : role.guest_levels;
	return role;
}

static struct kvm_mmu_page *make_top(struct kvm_vcpu *vcpu, struct kvm_zap *zap, unsigned int i,
				     u64 key)
{
	union kvm_mmu_role role = top_role(vcpu);
	gfn_t gfn = gpa_to_gfn(key & SPTE_ADDRESS);

	if (!role.guest_levels) {
		role.direct = true;
		gfn = i * level_frames(3);
	} else if (role.guest_levels == 2) {
		role.quadrant = i;
	} else if (role.guest_levels == 3 && !(key & _PAGE_PRESENT)) {
		return NULL;
	}
	return kvm_shadow_table(vcpu, zap, gfn, role);
}

static void let_go(struct kvm_mmu_page *sp)
{
	if (sp && !--sp->users && sp->gone)
		kvm_mmu_page_free_rcu(sp);
}

/* mmu_lock for write. The new ones are held before the old ones are let go. */
static void replace_tops(struct kvm_vcpu *vcpu, const u64 key[NR_TOPS])
{
	struct kvm_vcpu_mmu *mmu = &vcpu->arch.mmu;
	struct kvm_mmu_page *new[NR_TOPS] = { };
	unsigned int i, nr = is_legacy(mmu->mode) ? NR_TOPS : 1;
	struct kvm_zap zap;

	kvm_zap_begin(&zap, vcpu->kvm);
	for (i = 0; i < nr; i++) {
		new[i] = make_top(vcpu, &zap, i, key[i]);
		if (new[i])
			new[i]->users++;
	}
	for (i = 0; i < NR_TOPS; i++) {
		let_go(mmu->top[i]);
		mmu->top[i] = new[i];
	}
	if (kvm_zap_end(&zap))
		kvm_flush_remote_tlbs(vcpu->kvm);
	mmu->top_mode = mmu->mode;
	memcpy(mmu->top_key, key, sizeof(mmu->top_key));
}

/*
 * The guest goes on in another address space whose table is there already, the usual reason to be
 * here: nothing has to be made.
 */
static bool switch_top(struct kvm_vcpu *vcpu, const u64 key[NR_TOPS])
{
	struct kvm_vcpu_mmu *mmu = &vcpu->arch.mmu;
	struct kvm *kvm = vcpu->kvm;
	struct kvm_mmu_page *sp;

	if (is_legacy(mmu->mode) || mmu->top_mode.word != mmu->mode.word ||
	    !READ_ONCE(kvm->arch.mmu.hash))
		return false;
	write_lock(&kvm->mmu_lock);
	sp = kvm_shadow_find(kvm, gpa_to_gfn(key[0] & SPTE_ADDRESS), top_role(vcpu));
	if (sp) {
		sp->users++;
		let_go(mmu->top[0]);
		mmu->top[0] = sp;
		mmu->top_key[0] = key[0];
	}
	write_unlock(&kvm->mmu_lock);
	return sp;
}

static void point_to_tops(struct kvm_vcpu_mmu *mmu)
{
	unsigned int i;

	mmu->root_level = mmu->top_mode.guest_levels;
	mmu->root = __pa(mmu->top[0] ? mmu->top[0]->table : NULL) | kvm_spte_format.encrypted;
	if (!is_legacy(mmu->top_mode))
		return;
	for (i = 0; i < NR_TOPS; i++)
		WRITE_ONCE(mmu->legacy_root[i], mmu->top[i] ? __pa(mmu->top[i]->table) |
			   _PAGE_PRESENT | kvm_spte_format.encrypted : 0);
	mmu->root_level = 3;
	mmu->root = __pa(mmu->legacy_root);
}

int kvm_shadow_load(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_mmu *mmu = &vcpu->arch.mmu;
	struct kvm *kvm = vcpu->kvm;
	u64 key[NR_TOPS];
	int r;

	find_keys(vcpu, key);
	if (switch_top(vcpu, key))
		goto found;
	r = kvm_shadow_make_room(vcpu);
	if (r)
		return r;
	kvm_srcu_lock(vcpu);
	write_lock(&kvm->mmu_lock);
	if (tops_fit(vcpu, key)) {
		write_unlock(&kvm->mmu_lock);
		return 0;
	}
	replace_tops(vcpu, key);
	write_unlock(&kvm->mmu_lock);
found:
	point_to_tops(mmu);
	kvm_x86_ops.load_root(vcpu, mmu->root, mmu->root_level);
	kvm_x86_ops.flush_tlb_all(vcpu);
	return 0;
}

/* Tables of ours that were made in another mode mean something else. */
void kvm_shadow_mode_changed(struct kvm_vcpu *vcpu)
{
	struct kvm_guest_paging *guest = &vcpu->arch.mmu.guest;
	union kvm_mmu_role mode = { .as_id = kvm_vcpu_as_id(vcpu) };

	guest->gbpages = kvm_guest_has(vcpu, X86_FEATURE_GBPAGES);
	if (guest->levels) {
		mode.guest_levels = guest->levels;
		mode.pse = !guest->pae && guest->pse;
		mode.nx = guest->nx;
		mode.wp = guest->wp;
		mode.smep = !guest->wp && guest->smep;
		mode.smap = !guest->wp && guest->smap;
		mode.pke = guest->pke;
	}
	if (mode.word == vcpu->arch.mmu.mode.word)
		return;
	vcpu->arch.mmu.mode = mode;
	kvm_mmu_unload(vcpu);
}

/* The processor's CR3 has 32 bits outside long mode. */
int kvm_shadow_vcpu_create(struct kvm_vcpu *vcpu)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_DMA32 | __GFP_ZERO);

	if (!page)
		return -ENOMEM;
	/* Nor has it the bit that says that a page is encrypted. */
	if (sme_me_mask && set_memory_decrypted((unsigned long)page_address(page), 1)) {
		__free_page(page);
		return -ENOMEM;
	}
	vcpu->arch.mmu.legacy_root = page_address(page);
	return 0;
}

void kvm_shadow_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_mmu *mmu = &vcpu->arch.mmu;
	unsigned int i;

	write_lock(&vcpu->kvm->mmu_lock);
	for (i = 0; i < NR_TOPS; i++) {
		let_go(mmu->top[i]);
		mmu->top[i] = NULL;
	}
	write_unlock(&vcpu->kvm->mmu_lock);
	kvm_rmap_cache_free(&mmu->chunk_cache);
	/* A page that cannot be encrypted again must not be used for anything else. */
	if (!sme_me_mask || !set_memory_encrypted((unsigned long)mmu->legacy_root, 1))
		free_page((unsigned long)mmu->legacy_root);
}

/*
 * Our tables have 8-byte entries whatever the guest's have; while it has none, all pages are users'
 * pages without keys; and process-context identifiers are kept by flushing.
 */
unsigned long kvm_shadow_cr4(struct kvm_vcpu *vcpu, unsigned long cr4)
{
	cr4 = (cr4 | X86_CR4_PAE) & ~X86_CR4_PCIDE;
	if (!(vcpu->arch.cr0 & X86_CR0_PG))
		cr4 &= ~(X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_PKE);
	return cr4;
}
EXPORT_SYMBOL_GPL(kvm_shadow_cr4);
