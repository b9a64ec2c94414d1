// SPDX-License-Identifier: GPL-2.0
/*
 * Model-specific registers under SVM: the permission map that says which of them the guest reaches
 * without an exit (AMD64 APM volume 2, section 15.11), and the registers whose guest value is kept
 * in the VMCB or by this backend. All other MSRs are common code's (cpu/msr.c).
 *
 * All vcpus share one map, in which the registers that VMLOAD and VMSAVE switch are open; a vcpu
 * gets a map of its own when it opens another one, or when userspace filters MSRs.
 */
#include <linux/gfp.h>
#include <asm/spec-ctrl.h>

#include "svm.h"
#include "../cpu/cpuid.h"

#define MSRPM_ORDER	1	/* two pages */

unsigned long *svm_msrpm_default;
static unsigned long *msrpm_closed;	/* for want of memory: everything exits */

/* Registers that are the guest's own while it runs. */
static const u32 open_msrs[] = {
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK,
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_IA32_SYSENTER_CS,
};

/* The first of the two bits of an MSR, or -1 if the map does not cover it (it then exits). */
static int msrpm_bit(u32 msr)
{
	static const u32 first[] = { 0, 0xc0000000, 0xc0010000 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(first); i++)
		if (msr >= first[i] && msr - first[i] < 0x2000)
			return i * 0x4000 + 2 * (msr - first[i]);
	return -1;
}

static void msrpm_set(unsigned long *map, u32 msr, bool read, bool write)
{
	int bit = msrpm_bit(msr);

	if (bit < 0)
		return;
	__assign_bit(bit, map, !read);
	__assign_bit(bit + 1, map, !write);
}

/* As far as the filter lets the guest. */
static void msrpm_open(struct vcpu_svm *svm, u32 msr, bool read, bool write)
{
	msrpm_set(svm->msrpm, msr, read && kvm_msr_allowed(&svm->vcpu, msr, KVM_MSR_FILTER_READ),
		  write && kvm_msr_allowed(&svm->vcpu, msr, KVM_MSR_FILTER_WRITE));
}

static unsigned long *msrpm_alloc(gfp_t gfp)
{
	return (unsigned long *)__get_free_pages(gfp, MSRPM_ORDER);
}

int svm_msrpm_init(void)
{
	unsigned int i;

	svm_msrpm_default = msrpm_alloc(GFP_KERNEL);
	msrpm_closed = msrpm_alloc(GFP_KERNEL);
	if (!svm_msrpm_default || !msrpm_closed) {
		svm_msrpm_exit();
		return -ENOMEM;
	}
	memset(msrpm_closed, 0xff, PAGE_SIZE << MSRPM_ORDER);
	memset(svm_msrpm_default, 0xff, PAGE_SIZE << MSRPM_ORDER);
	for (i = 0; i < ARRAY_SIZE(open_msrs); i++)
		msrpm_set(svm_msrpm_default, open_msrs[i], true, true);
	return 0;
}

void svm_msrpm_exit(void)
{
	free_pages((unsigned long)svm_msrpm_default, MSRPM_ORDER);
	free_pages((unsigned long)msrpm_closed, MSRPM_ORDER);
}

static bool msrpm_is_own(struct vcpu_svm *svm)
{
	return svm->msrpm != svm_msrpm_default && svm->msrpm != msrpm_closed;
}

static void msrpm_use(struct vcpu_svm *svm, unsigned long *map)
{
	svm->msrpm = map;
	svm->vmcb->control.msrpm_base_pa = __pa(map);
	svm_dirty(svm, SVM_CLEAN_PERM_MAPS);
}

void svm_msrpm_destroy(struct vcpu_svm *svm)
{
	if (msrpm_is_own(svm))
		free_pages((unsigned long)svm->msrpm, MSRPM_ORDER);
	svm->msrpm = svm_msrpm_default;
}

/* A map of the vcpu's own. Without memory for it the guest goes on with exits. */
static bool msrpm_own(struct vcpu_svm *svm)
{
	unsigned long *map;

	if (msrpm_is_own(svm))
		return true;
	map = msrpm_alloc(GFP_KERNEL_ACCOUNT);
	if (!map)
		return false;
	memcpy(map, svm->msrpm, PAGE_SIZE << MSRPM_ORDER);
	msrpm_use(svm, map);
	return true;
}

static bool guest_has_spec_ctrl(struct kvm_vcpu *vcpu)
{
	return kvm_guest_has(vcpu, X86_FEATURE_SPEC_CTRL) ||
	       kvm_guest_has(vcpu, X86_FEATURE_AMD_STIBP) ||
	       kvm_guest_has(vcpu, X86_FEATURE_AMD_IBRS) ||
	       kvm_guest_has(vcpu, X86_FEATURE_AMD_SSBD);
}

/* From the first write on the guest has SPEC_CTRL to itself: kernels write it at every turn. */
static void open_spec_ctrl(struct vcpu_svm *svm)
{
	if (!msrpm_own(svm))
		return;
	svm->spec_ctrl_used = true;
	msrpm_open(svm, MSR_IA32_SPEC_CTRL, true, true);
	svm_dirty(svm, SVM_CLEAN_PERM_MAPS);
	if (!svm_hw.v_spec_ctrl)
		svm->entry.spec_open = true;
}

/* The map anew, for a filter that came or changed or went. */
static void filter_map(struct vcpu_svm *svm)
{
	unsigned int i;

	if (!kvm_msr_filtered(&svm->vcpu) && !msrpm_is_own(svm)) {
		if (svm->msrpm != svm_msrpm_default)
			msrpm_use(svm, svm_msrpm_default);
		return;
	}
	if (!msrpm_own(svm)) {
		msrpm_use(svm, msrpm_closed);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(open_msrs); i++)
		msrpm_open(svm, open_msrs[i], true, true);
	if (svm->spec_ctrl_used)
		msrpm_open(svm, MSR_IA32_SPEC_CTRL, true, true);
	svm_dirty(svm, SVM_CLEAN_PERM_MAPS);
}

void svm_update_msr_intercepts(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	filter_map(svm);
	/* Writing PRED_CMD has no state, so it can be open from the start. */
	if ((kvm_guest_has(vcpu, X86_FEATURE_SPEC_CTRL) ||
	     kvm_guest_has(vcpu, X86_FEATURE_AMD_IBPB)) &&
	    boot_cpu_has(X86_FEATURE_IBPB) && msrpm_own(svm))
		msrpm_open(svm, MSR_IA32_PRED_CMD, false, true);
}

/* SYSENTER's registers have 64 bits with VMLOAD; AMD processors ignore the upper ones on use. */
bool svm_has_msr(u32 index)
{
	switch (index) {
	case MSR_STAR:
	case MSR_LSTAR:
	case MSR_CSTAR:
	case MSR_SYSCALL_MASK:
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS_BASE:
	case MSR_IA32_SYSENTER_CS:
	case MSR_IA32_SYSENTER_EIP:
	case MSR_IA32_SYSENTER_ESP:
	case MSR_IA32_DEBUGCTLMSR:
	case MSR_VM_CR:
	case MSR_VM_HSAVE_PA:
		return true;
	case MSR_TSC_AUX:
		return boot_cpu_has(X86_FEATURE_RDTSCP) || boot_cpu_has(X86_FEATURE_RDPID);
	case MSR_IA32_SPEC_CTRL:
		return boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL);
	case MSR_AMD64_VIRT_SPEC_CTRL:
		return boot_cpu_has(X86_FEATURE_VIRT_SSBD);
	default:
		return false;
	}
}

static u64 *save_area_msr(struct vcpu_svm *svm, u32 index)
{
	struct vmcb_save_area *save = &svm->vmcb->save;

	switch (index) {
	case MSR_STAR:
		return &save->star;
	case MSR_LSTAR:
		return &save->lstar;
	case MSR_CSTAR:
		return &save->cstar;
	case MSR_SYSCALL_MASK:
		return &save->sfmask;
	case MSR_FS_BASE:
		return &save->fs.base;
	case MSR_GS_BASE:
		return &save->gs.base;
	case MSR_KERNEL_GS_BASE:
		return &save->kernel_gs_base;
	case MSR_IA32_SYSENTER_CS:
		return &save->sysenter_cs;
	case MSR_IA32_SYSENTER_EIP:
		return &save->sysenter_eip;
	case MSR_IA32_SYSENTER_ESP:
		return &save->sysenter_esp;
	default:
		return NULL;
	}
}

int svm_get_msr(struct kvm_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	struct vcpu_svm *svm = to_svm(vcpu);
	u64 *saved = save_area_msr(svm, index);

	if (saved) {
		*data = *saved;
		return 0;
	}
	switch (index) {
	case MSR_IA32_DEBUGCTLMSR:
		*data = svm->vmcb->save.dbgctl;
		return 0;
	case MSR_TSC_AUX:
		if (!host && !kvm_guest_has(vcpu, X86_FEATURE_RDTSCP) &&
		    !kvm_guest_has(vcpu, X86_FEATURE_RDPID))
			return 1;
		*data = svm->tsc_aux;
		return 0;
	case MSR_IA32_SPEC_CTRL:
		if (!host && !guest_has_spec_ctrl(vcpu))
			return 1;
		*data = svm_hw.v_spec_ctrl ? svm->vmcb->save.spec_ctrl : svm->entry.guest_spec;
		return 0;
	case MSR_AMD64_VIRT_SPEC_CTRL:
		if (!host && !kvm_guest_has(vcpu, X86_FEATURE_VIRT_SSBD))
			return 1;
		*data = svm->virt_spec_ctrl;
		return 0;
	case MSR_VM_CR:
		*data = svm->vm_cr;
		return 0;
	case MSR_VM_HSAVE_PA:
		*data = svm->vm_hsave_pa;
		return 0;
	default:
		return 1;
	}
}

/* Common code has checked the bits against the guest's CPUID. */
static int set_spec_ctrl(struct kvm_vcpu *vcpu, u64 data)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	if (!boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL))
		return data != 0;
	if (svm_hw.v_spec_ctrl)
		svm->vmcb->save.spec_ctrl = data;
	else
		svm->entry.guest_spec = data;
	if (data)
		open_spec_ctrl(svm);
	return 0;
}

static int set_tsc_aux(struct kvm_vcpu *vcpu, u64 data, bool host)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	if (!host && !kvm_guest_has(vcpu, X86_FEATURE_RDTSCP) &&
	    !kvm_guest_has(vcpu, X86_FEATURE_RDPID))
		return 1;
	/* The upper half is reserved, and does not exist on some processors. */
	if (data >> 32)
		return 1;
	preempt_disable();
	svm->tsc_aux = data;
	if (svm->host_saved)
		svm_load_tsc_aux(svm);
	preempt_enable();
	return 0;
}

#define DEBUGCTL_DEFINED	0x3full	/* APM 2, 13.1.1.6 */

/* The guest has it to itself where the processor switches it (15.23); elsewhere writes vanish. */
static int set_debugctl(struct kvm_vcpu *vcpu, u64 data)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	if (data & ~DEBUGCTL_DEFINED)
		return 1;
	if (!svm_hw.lbrv)
		return 0;
	svm->vmcb->save.dbgctl = data;
	svm->vmcb->control.virt_ext = data ? LBR_CTL_ENABLE_MASK : 0;
	svm_dirty(svm, SVM_CLEAN_LBR);
	return 0;
}

int svm_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host)
{
	struct vcpu_svm *svm = to_svm(vcpu);
	u64 *saved = save_area_msr(svm, index);

	if (saved) {
		*saved = data;
		return 0;
	}
	switch (index) {
	case MSR_IA32_CR_PAT:
		svm->vmcb->save.g_pat = data;
		svm_dirty(svm, SVM_CLEAN_NP);
		return 0;
	case MSR_IA32_DEBUGCTLMSR:
		return set_debugctl(vcpu, data);
	case MSR_TSC_AUX:
		return set_tsc_aux(vcpu, data, host);
	case MSR_IA32_SPEC_CTRL:
		return set_spec_ctrl(vcpu, data);
	case MSR_AMD64_VIRT_SPEC_CTRL:
		if ((!host && !kvm_guest_has(vcpu, X86_FEATURE_VIRT_SSBD)) ||
		    (data & ~(u64)SPEC_CTRL_SSBD))
			return 1;
		svm->virt_spec_ctrl = data;
		return 0;
	case MSR_VM_CR:
		/* SVM is not offered to guests: the only value is the one it has. */
		return data != svm->vm_cr;
	case MSR_VM_HSAVE_PA:
		return data != svm->vm_hsave_pa;
	default:
		return 1;
	}
}

int svm_get_feature_msr(u32 index, u64 *data)
{
	return 1;	/* SVM has none; what else AMD has is common code's */
}
