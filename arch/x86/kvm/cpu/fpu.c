// SPDX-License-Identifier: GPL-2.0
/*
 * x87, SSE and extended state. The registers live in the kernel's guest fpstate and are swapped by
 * it around KVM_RUN; XCR0, IA32_XSS and PKRU are switched here around each entry, and only where
 * they differ. Also the ioctls for all of it. APM 1, 11.5; APM 2, 11.5; SDM 1, chapter 13.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>
#include <asm/pkru.h>

#include <trace/events/kvm.h>

#include "../x86.h"
#include "cpuid.h"
#include "regs.h"

#define XSTATE_LEAF		0xd
#define XSTATE_LEGACY_SIZE	(512 + 64)	/* FXSAVE image and XSAVE header */
#define XSTATE_ALIGN		64
#define XCOMP_BV_COMPACTED	BIT_ULL(63)
#define FCW_DEFAULT		0x37f
#define MXCSR_INIT		0x1f80u

/*
 * Components that guests may be given. AMX's need IA32_XFD, which is not virtualized; MPX's are
 * gone from newer processors, and the kernel does not use them.
 */
#define XCR0_KNOWN		(XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM | \
				 XFEATURE_MASK_AVX512 | XFEATURE_MASK_PKRU)

static struct {
	u32 size, offset;
	bool aligned;
} component[64];

/* ---- the processor --------------------------------------------------------------------------- */

void kvm_fpu_hw_init(void)
{
	u32 ebx, ecx, edx;
	unsigned int i;

	kvm_hw.supported_xcr0 = 0;
	kvm_hw.supported_xss = 0;
	if (!boot_cpu_has(X86_FEATURE_XSAVE))
		return;

	for (i = 2; i < ARRAY_SIZE(component) - 1; i++) {
		cpuid_count(XSTATE_LEAF, i, &component[i].size, &ebx, &ecx, &edx);
		component[i].offset = ebx;
		component[i].aligned = ecx & BIT(1);
	}
	kvm_hw.host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	if (boot_cpu_has(X86_FEATURE_XSAVES))
		rdmsrl(MSR_IA32_XSS, kvm_hw.host_xss);
	kvm_hw.supported_xcr0 = kvm_hw.host_xcr0 & XCR0_KNOWN;
}

/* Bytes of an XSAVE area with these components (SDM 1, 13.4). */
u32 kvm_xstate_size(u64 xfeatures, bool compacted)
{
	u32 size = XSTATE_LEGACY_SIZE, offset;
	unsigned int i;

	xfeatures &= ~(u64)XFEATURE_MASK_FPSSE;
	while (xfeatures) {
		i = __ffs64(xfeatures);
		xfeatures &= xfeatures - 1;
		if (!compacted)
			offset = component[i].offset;
		else
			offset = component[i].aligned ? ALIGN(size, XSTATE_ALIGN) : size;
		size = max(size, offset + component[i].size);
	}
	return size;
}

int kvm_fpu_uabi_size(void)
{
	u64 components = kvm_hw.supported_xcr0 & xstate_get_guest_group_perm();

	return max_t(u32, kvm_xstate_size(components, false), sizeof(struct kvm_xsave));
}

/* ---- life of a vcpu's state ------------------------------------------------------------------ */

int kvm_fpu_vcpu_create(struct kvm_vcpu *vcpu)
{
	return fpu_alloc_guest_fpstate(&vcpu->arch.guest_fpu) ? 0 : -ENOMEM;
}

void kvm_fpu_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	if (vcpu->arch.guest_fpu.fpstate)
		fpu_free_guest_fpstate(&vcpu->arch.guest_fpu);
}

/* INIT changes none of it; at power-up the kernel has initialized the registers. */
void kvm_fpu_reset(struct kvm_vcpu *vcpu, bool init)
{
	if (init)
		return;
	vcpu->arch.xcr0 = XFEATURE_MASK_FP;
	vcpu->arch.ia32_xss = 0;
	vcpu->arch.pkru = 0;
}

void kvm_fpu_load(struct kvm_vcpu *vcpu)
{
	if (vcpu->arch.fpu_loaded)
		return;
	fpu_swap_kvm_fpstate(&vcpu->arch.guest_fpu, true);
	trace_kvm_fpu(1);
	vcpu->arch.host_pkru = read_pkru();
	vcpu->arch.fpu_loaded = true;
}

void kvm_fpu_put(struct kvm_vcpu *vcpu)
{
	if (!vcpu->arch.fpu_loaded)
		return;
	fpu_swap_kvm_fpstate(&vcpu->arch.guest_fpu, false);
	trace_kvm_fpu(0);
	vcpu->arch.fpu_loaded = false;
	vcpu->stat.fpu_reload++;
}

/* ---- around the entry ------------------------------------------------------------------------ */

static __always_inline bool guest_reads_pkru(struct kvm_vcpu *vcpu)
{
	return cpu_feature_enabled(X86_FEATURE_OSPKE) &&
	       ((vcpu->arch.xcr0 & XFEATURE_MASK_PKRU) || (vcpu->arch.cr4 & X86_CR4_PKE));
}

void kvm_fpu_enter(struct kvm_vcpu *vcpu)
{
	if (vcpu->arch.cr4 & X86_CR4_OSXSAVE) {
		if (unlikely(vcpu->arch.xcr0 != kvm_hw.host_xcr0))
			xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->arch.xcr0);
		if (unlikely(vcpu->arch.ia32_xss != kvm_hw.host_xss) &&
		    kvm_guest_has(vcpu, X86_FEATURE_XSAVES))
			wrmsrl(MSR_IA32_XSS, vcpu->arch.ia32_xss);
	}
	if (guest_reads_pkru(vcpu) && vcpu->arch.pkru != vcpu->arch.host_pkru)
		wrpkru(vcpu->arch.pkru);
}

/*
 * XSETBV is intercepted, but not every emulated processor honours that: what the guest has written
 * shows in the register. Values that it may not write are not kept.
 */
static noinline void xcr0_changed_behind(struct kvm_vcpu *vcpu, u64 now)
{
	if (now != vcpu->arch.xcr0)
		kvm_set_xcr(vcpu, XCR_XFEATURE_ENABLED_MASK, now);
	xsetbv(XCR_XFEATURE_ENABLED_MASK, kvm_hw.host_xcr0);
}

void kvm_fpu_leave(struct kvm_vcpu *vcpu)
{
	u64 xcr0;

	if (guest_reads_pkru(vcpu)) {
		vcpu->arch.pkru = rdpkru();
		if (vcpu->arch.pkru != vcpu->arch.host_pkru)
			wrpkru(vcpu->arch.host_pkru);
	}
	if (!(vcpu->arch.cr4 & X86_CR4_OSXSAVE))
		return;
	xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	if (unlikely(xcr0 != kvm_hw.host_xcr0))
		xcr0_changed_behind(vcpu, xcr0);
	else if (unlikely(xcr0 != vcpu->arch.xcr0))
		kvm_set_xcr(vcpu, XCR_XFEATURE_ENABLED_MASK, xcr0);
	if (unlikely(vcpu->arch.ia32_xss != kvm_hw.host_xss) &&
	    kvm_guest_has(vcpu, X86_FEATURE_XSAVES))
		wrmsrl(MSR_IA32_XSS, kvm_hw.host_xss);
}

/* ---- KVM_GET_FPU, KVM_SET_FPU ---------------------------------------------------------------- */

static struct xregs_state *guest_xregs(struct kvm_vcpu *vcpu)
{
	return &vcpu->arch.guest_fpu.fpstate->regs.xsave;
}

/* XSAVE leaves components alone that are in their initial state: which are not? */
static u64 components_in_memory(struct kvm_vcpu *vcpu)
{
	if (!boot_cpu_has(X86_FEATURE_XSAVE))
		return XFEATURE_MASK_FPSSE;
	return guest_xregs(vcpu)->header.xfeatures;
}

int kvm_get_fpu(struct kvm_vcpu *vcpu, struct kvm_fpu *fpu)
{
	struct fxregs_state *fx = &guest_xregs(vcpu)->i387;
	u64 valid = components_in_memory(vcpu);

	BUILD_BUG_ON(sizeof(fpu->fpr) != sizeof(fx->st_space));
	BUILD_BUG_ON(sizeof(fpu->xmm) != sizeof(fx->xmm_space));

	memset(fpu, 0, sizeof(*fpu));
	fpu->fcw = FCW_DEFAULT;
	fpu->mxcsr = MXCSR_INIT;
	if (valid & XFEATURE_MASK_FP) {
		memcpy(fpu->fpr, fx->st_space, sizeof(fpu->fpr));
		fpu->fcw = fx->cwd;
		fpu->fsw = fx->swd;
		fpu->ftwx = fx->twd;
		fpu->last_opcode = fx->fop;
		fpu->last_ip = fx->rip;
		fpu->last_dp = fx->rdp;
	}
	if (valid & XFEATURE_MASK_SSE) {
		memcpy(fpu->xmm, fx->xmm_space, sizeof(fpu->xmm));
		fpu->mxcsr = fx->mxcsr;
	}
	return 0;
}

/* MXCSR is not taken: programs leave it zero, which would unmask every exception. */
int kvm_set_fpu(struct kvm_vcpu *vcpu, struct kvm_fpu *fpu)
{
	struct xregs_state *xregs = guest_xregs(vcpu);
	struct fxregs_state *fx = &xregs->i387;

	if (boot_cpu_has(X86_FEATURE_XSAVE)) {
		if (!(xregs->header.xfeatures & XFEATURE_MASK_SSE) &&
		    (xregs->header.xcomp_bv & XCOMP_BV_COMPACTED))
			fx->mxcsr = MXCSR_INIT;
		xregs->header.xfeatures |= XFEATURE_MASK_FPSSE;
	}
	memcpy(fx->st_space, fpu->fpr, sizeof(fpu->fpr));
	memcpy(fx->xmm_space, fpu->xmm, sizeof(fpu->xmm));
	fx->cwd = fpu->fcw;
	fx->swd = fpu->fsw;
	fx->twd = fpu->ftwx;
	fx->fop = fpu->last_opcode;
	fx->rip = fpu->last_ip;
	fx->rdp = fpu->last_dp;
	return 0;
}

/* ---- KVM_GET_XSAVE and its kin --------------------------------------------------------------- */

static long get_xsave(struct kvm_vcpu *vcpu, void __user *arg, unsigned int size)
{
	u64 components = vcpu->arch.cpuid.xcr0_allowed | XFEATURE_MASK_FPSSE;
	void *buf = kvzalloc(size, GFP_KERNEL_ACCOUNT);
	long r;

	if (!buf)
		return -ENOMEM;
	fpu_copy_guest_fpstate_to_uabi(&vcpu->arch.guest_fpu, buf, size, components,
				       vcpu->arch.pkru);
	r = copy_to_user(arg, buf, size) ? -EFAULT : 0;
	kvfree(buf);
	return r;
}

static long set_xsave(struct kvm_vcpu *vcpu, void __user *arg, unsigned int size)
{
	void *buf = vmemdup_user(arg, size);
	long r;

	if (IS_ERR(buf))
		return PTR_ERR(buf);
	r = fpu_copy_uabi_to_guest_fpstate(&vcpu->arch.guest_fpu, buf, kvm_hw.supported_xcr0,
					   &vcpu->arch.pkru);
	kvfree(buf);
	return r;
}

long kvm_vcpu_xsave_ioctl(struct kvm_vcpu *vcpu, unsigned int ioctl, void __user *arg)
{
	unsigned int size = vcpu->arch.guest_fpu.uabi_size;

	switch (ioctl) {
	case KVM_GET_XSAVE:
		if (size > sizeof(struct kvm_xsave))
			return -EINVAL;
		return get_xsave(vcpu, arg, sizeof(struct kvm_xsave));
	case KVM_GET_XSAVE2:
		return get_xsave(vcpu, arg, size);
	default:
		return set_xsave(vcpu, arg, size);
	}
}

int kvm_get_xcrs(struct kvm_vcpu *vcpu, struct kvm_xcrs *xcrs)
{
	memset(xcrs, 0, sizeof(*xcrs));
	if (!boot_cpu_has(X86_FEATURE_XSAVE))
		return 0;
	xcrs->nr_xcrs = 1;
	xcrs->xcrs[0].xcr = XCR_XFEATURE_ENABLED_MASK;
	xcrs->xcrs[0].value = vcpu->arch.xcr0;
	return 0;
}

int kvm_set_xcrs(struct kvm_vcpu *vcpu, struct kvm_xcrs *xcrs)
{
	unsigned int i;

	if (!boot_cpu_has(X86_FEATURE_XSAVE) || xcrs->nr_xcrs > KVM_MAX_XCRS || xcrs->flags)
		return -EINVAL;
	for (i = 0; i < xcrs->nr_xcrs; i++)
		if (xcrs->xcrs[i].xcr == XCR_XFEATURE_ENABLED_MASK)
			return kvm_set_xcr(vcpu, XCR_XFEATURE_ENABLED_MASK, xcrs->xcrs[i].value) ?
				-EINVAL : 0;
	return 0;
}
