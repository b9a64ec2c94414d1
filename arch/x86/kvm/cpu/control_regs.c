// SPDX-License-Identifier: GPL-2.0
/*
 * Writes to CR0, CR3, CR4, CR8, EFER and XCR0: which values and transitions the processor takes,
 * and what follows from them (mode of the MMU, flushes, bits in CPUID). The vendor only stores
 * what was found good here. APM 2, chapters 3, 5 and 14.7; SDM 3, 2.5 and 4.1.2; SDM 1, 13.3.
 */
#include "../irqchip/irqchip.h"
#include "../x86.h"
#include "cpuid.h"
#include "regs.h"

#define CR0_DEFINED	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | \
			 X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | \
			 X86_CR0_PG)

/* Page directory pointers: what must be zero in a present one (APM 2, 5.2.3). */
#define PDPTE_RESERVED	(GENMASK_ULL(2, 1) | GENMASK_ULL(8, 5))

/* Writes that make the processor read the four pointers again (SDM 3, 4.4.1). */
#define CR0_RELOADS_PDPTRS	(X86_CR0_PG | X86_CR0_CD | X86_CR0_NW)
#define CR4_RELOADS_PDPTRS	(X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PSE | X86_CR4_SMEP)

/* Changes of CR4 after which old translations must not be used (SDM 3, 4.10.4.1). */
#define CR4_FLUSHES	(X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PSE | X86_CR4_PCIDE | \
			 X86_CR4_LA57 | X86_CR4_SMEP)
#define CR4_OF_WALKS	(X86_CR4_PAE | X86_CR4_PSE | X86_CR4_LA57 | X86_CR4_SMEP | \
			 X86_CR4_SMAP | X86_CR4_PKE)

/* ---- PAE ------------------------------------------------------------------------------------- */

bool kvm_load_pdptrs(struct kvm_vcpu *vcpu, unsigned long cr3)
{
	u64 reserved = PDPTE_RESERVED | vcpu->arch.cpuid.gpa_reserved;
	u64 pdptr[4];
	unsigned int i;

	if (kvm_guest_read(vcpu, cr3 & 0xffffffe0, pdptr, sizeof(pdptr)))
		return false;
	for (i = 0; i < ARRAY_SIZE(pdptr); i++)
		if ((pdptr[i] & 1) && (pdptr[i] & reserved))
			return false;
	/* Shadow paging starts from these, also when CR3 is the same as before. */
	if (!kvm_hw.npt && memcmp(vcpu->arch.mmu.pdptrs, pdptr, sizeof(pdptr)))
		kvm_mmu_unload(vcpu);
	memcpy(vcpu->arch.mmu.pdptrs, pdptr, sizeof(pdptr));
	vcpu->arch.stale &= ~BIT(KVM_LAZY_PDPTRS);
	return true;
}

/* ---- CR0 ------------------------------------------------------------------------------------- */

bool kvm_cr0_valid(struct kvm_vcpu *vcpu, unsigned long cr0)
{
	if (cr0 >> 32)
		return false;
	if ((cr0 & X86_CR0_NW) && !(cr0 & X86_CR0_CD))
		return false;
	return !(cr0 & X86_CR0_PG) || (cr0 & X86_CR0_PE);
}

/* May paging be switched on with EFER and CR4 as they are? */
static bool paging_can_start(struct kvm_vcpu *vcpu)
{
	struct kvm_segment cs;

	if (!(vcpu->arch.efer & EFER_LME))
		return true;
	if (!(kvm_read_cr4(vcpu) & X86_CR4_PAE))
		return false;
	vendor(get_segment)(vcpu, KVM_CS, &cs);
	return !cs.l;
}

static bool paging_can_end(struct kvm_vcpu *vcpu)
{
	return !(kvm_read_cr4(vcpu) & X86_CR4_PCIDE) && !kvm_is_64bit(vcpu);
}

int kvm_set_cr0(struct kvm_vcpu *vcpu, unsigned long cr0)
{
	unsigned long old = kvm_read_cr0(vcpu), changed;

	if (!kvm_cr0_valid(vcpu, cr0))
		return 1;
	cr0 = (cr0 & CR0_DEFINED) | X86_CR0_ET;
	changed = old ^ cr0;
	if ((changed & X86_CR0_PG) &&
	    !(cr0 & X86_CR0_PG ? paging_can_start(vcpu) : paging_can_end(vcpu)))
		return 1;
	if ((cr0 & X86_CR0_PG) && !(vcpu->arch.efer & EFER_LME) &&
	    (kvm_read_cr4(vcpu) & X86_CR4_PAE) && (changed & CR0_RELOADS_PDPTRS) &&
	    !kvm_load_pdptrs(vcpu, kvm_read_cr3(vcpu)))
		return 1;

	/* Long mode begins and ends with paging. */
	if ((changed & X86_CR0_PG) && (vcpu->arch.efer & EFER_LME))
		kvm_x86_ops.set_efer(vcpu, cr0 & X86_CR0_PG ? vcpu->arch.efer | EFER_LMA :
							     vcpu->arch.efer & ~EFER_LMA);
	kvm_x86_ops.set_cr0(vcpu, cr0);

	if (changed & (X86_CR0_PG | X86_CR0_WP))
		kvm_mmu_mode_changed(vcpu);
	if (changed & X86_CR0_PG)
		kvm_request(vcpu, KVM_REQ_TLB_FLUSH_GUEST);
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_set_cr0);

/* ---- CR3 ------------------------------------------------------------------------------------- */

int kvm_set_cr3(struct kvm_vcpu *vcpu, unsigned long cr3)
{
	bool flush = true;

	if (kvm_read_cr4(vcpu) & X86_CR4_PCIDE) {
		flush = !(cr3 & X86_CR3_PCID_NOFLUSH);
		cr3 &= ~X86_CR3_PCID_NOFLUSH;
	}
	if (is_long_mode(vcpu)) {
		if (cr3 & vcpu->arch.cpuid.gpa_reserved)
			return 1;
	} else if (is_paging(vcpu) && (kvm_read_cr4(vcpu) & X86_CR4_PAE)) {
		if (!kvm_load_pdptrs(vcpu, cr3))
			return 1;
	}

	/*
	 * Shadow tables are shared by address spaces, so that one whose TLB entries the guest keeps may
	 * find some that another used before the guest's tables changed.
	 */
	if (!kvm_hw.npt && cr3 != kvm_read_cr3(vcpu)) {
		kvm_mmu_unload(vcpu);
		flush = true;
	}
	kvm_x86_ops.set_cr3(vcpu, cr3);
	if (flush)
		kvm_request(vcpu, KVM_REQ_TLB_FLUSH_GUEST);
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_set_cr3);

/* ---- CR4 ------------------------------------------------------------------------------------- */

bool kvm_cr4_valid(struct kvm_vcpu *vcpu, unsigned long cr4)
{
	if (cr4 & (kvm_hw.cr4_reserved | vcpu->arch.cpuid.cr4_reserved))
		return false;
	return !kvm_x86_ops.cr4_valid || kvm_x86_ops.cr4_valid(vcpu, cr4);
}

static bool cr4_transition_valid(struct kvm_vcpu *vcpu, unsigned long old, unsigned long cr4)
{
	unsigned long changed = old ^ cr4;

	if (is_long_mode(vcpu)) {
		if (!(cr4 & X86_CR4_PAE) || (changed & X86_CR4_LA57))
			return false;
	} else if (is_paging(vcpu) && (cr4 & X86_CR4_PAE) && (changed & CR4_RELOADS_PDPTRS)) {
		if (!kvm_load_pdptrs(vcpu, kvm_read_cr3(vcpu)))
			return false;
	}
	if (changed & cr4 & X86_CR4_PCIDE)
		return is_long_mode(vcpu) && !(kvm_read_cr3(vcpu) & X86_CR3_PCID_MASK);
	return true;
}

int kvm_set_cr4(struct kvm_vcpu *vcpu, unsigned long cr4)
{
	unsigned long old = kvm_read_cr4(vcpu), changed = old ^ cr4;

	if (!kvm_cr4_valid(vcpu, cr4) || !cr4_transition_valid(vcpu, old, cr4))
		return 1;

	kvm_x86_ops.set_cr4(vcpu, cr4);

	if (changed & CR4_OF_WALKS)
		kvm_mmu_mode_changed(vcpu);
	if (changed & CR4_FLUSHES)
		kvm_request(vcpu, KVM_REQ_TLB_FLUSH_GUEST);
	if (changed & (X86_CR4_OSXSAVE | X86_CR4_PKE))
		kvm_cpuid_update_runtime(vcpu);
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_set_cr4);

/* ---- CR8 ------------------------------------------------------------------------------------- */

int kvm_set_cr8(struct kvm_vcpu *vcpu, unsigned long cr8)
{
	if (cr8 & ~0xful)
		return 1;
	if (kvm_has_lapic(vcpu))
		kvm_lapic_set_cr8(vcpu, cr8);
	vcpu->arch.cr8 = cr8;
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_set_cr8);

unsigned long kvm_get_cr8(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.cr8;
}
EXPORT_SYMBOL_GPL(kvm_get_cr8);

/* ---- EFER ------------------------------------------------------------------------------------ */

/* Bits that this processor's guests can have at all. */
static u64 efer_offered(void)
{
	u64 bits = EFER_SCE;

	if (kvm_cpu_cap_has(X86_FEATURE_LM))
		bits |= EFER_LME | EFER_LMA;
	if (kvm_cpu_cap_has(X86_FEATURE_NX))
		bits |= EFER_NX;
	if (kvm_cpu_cap_has(X86_FEATURE_FXSR_OPT))
		bits |= EFER_FFXSR;
	if (kvm_cpu_cap_has(X86_FEATURE_AUTOIBRS))
		bits |= EFER_AUTOIBRS;
	if (kvm_cpu_cap_has(X86_FEATURE_SVM))
		bits |= EFER_SVME;
	return bits & ~kvm_hw.efer_reserved;
}

bool kvm_efer_valid(struct kvm_vcpu *vcpu, u64 efer)
{
	return !(efer & ~efer_offered());
}

/* And what its CPUID lets this guest write. */
static bool efer_guest_may_write(struct kvm_vcpu *vcpu, u64 efer)
{
	if ((efer & (EFER_LME | EFER_LMA)) && !kvm_guest_has(vcpu, X86_FEATURE_LM))
		return false;
	if ((efer & EFER_NX) && !kvm_guest_has(vcpu, X86_FEATURE_NX))
		return false;
	if ((efer & EFER_FFXSR) && !kvm_guest_has(vcpu, X86_FEATURE_FXSR_OPT))
		return false;
	if ((efer & EFER_AUTOIBRS) && !kvm_guest_has(vcpu, X86_FEATURE_AUTOIBRS))
		return false;
	if ((efer & EFER_SVME) && !kvm_guest_has(vcpu, X86_FEATURE_SVM))
		return false;
	return !is_paging(vcpu) || !((efer ^ vcpu->arch.efer) & EFER_LME);
}

int kvm_set_efer(struct kvm_vcpu *vcpu, u64 efer, bool host)
{
	u64 old = vcpu->arch.efer;

	if (!kvm_efer_valid(vcpu, efer) || (!host && !efer_guest_may_write(vcpu, efer)))
		return 1;
	efer = (efer & ~(u64)EFER_LMA) | (old & EFER_LMA);
	kvm_x86_ops.set_efer(vcpu, efer);
	if ((old ^ efer) & (EFER_NX | EFER_LME))
		kvm_mmu_mode_changed(vcpu);
	return 0;
}

/* ---- XCR0 ------------------------------------------------------------------------------------ */

/* Components that come and go together (SDM 1, 13.3). */
static bool all_or_none(u64 value, u64 group)
{
	return !(value & group) || (value & group) == group;
}

int kvm_set_xcr(struct kvm_vcpu *vcpu, u32 index, u64 xcr)
{
	u64 allowed = vcpu->arch.cpuid.xcr0_allowed | XFEATURE_MASK_FP;

	if (index != XCR_XFEATURE_ENABLED_MASK)
		return 1;
	if (!(xcr & XFEATURE_MASK_FP) || (xcr & ~allowed))
		return 1;
	if ((xcr & XFEATURE_MASK_YMM) && !(xcr & XFEATURE_MASK_SSE))
		return 1;
	if ((xcr & XFEATURE_MASK_AVX512) && !(xcr & XFEATURE_MASK_YMM))
		return 1;
	if (!all_or_none(xcr, XFEATURE_MASK_AVX512) || !all_or_none(xcr, XFEATURE_MASK_XTILE) ||
	    !all_or_none(xcr, XFEATURE_MASK_BNDREGS | XFEATURE_MASK_BNDCSR))
		return 1;

	if (vcpu->arch.xcr0 != xcr) {
		vcpu->arch.xcr0 = xcr;
		kvm_cpuid_update_runtime(vcpu);
	}
	return 0;
}
