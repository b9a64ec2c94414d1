// SPDX-License-Identifier: GPL-2.0
/*
 * Model-specific registers under VMX: the bitmap that says which of them the guest reaches without
 * an exit (SDM 3, 25.6.9), and the registers whose guest value is in the VMCS or kept by this
 * backend. All other MSRs are common code's (cpu/msr.c).
 *
 * All vcpus share one bitmap, in which the registers that entries and exits switch are open; a vcpu
 * gets one of its own when it opens another register, or when userspace filters MSRs.
 */
#include <linux/gfp.h>
#include <asm/mce.h>
#include <asm/spec-ctrl.h>

#include "vmx.h"
#include "../cpu/cpuid.h"
#include "../irqchip/irqchip.h"

unsigned long *vmx_msr_bitmap_default;

/* Registers that are the guest's own while it runs. */
static const u32 open_msrs[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

/* Four parts of 1 KiB: reads of low and high registers, then writes. -1: not covered, exits. */
static int bitmap_bit(u32 msr, bool write)
{
	int part = write ? 0x4000 : 0;

	if (msr < 0x2000)
		return part + msr;
	if (msr >= 0xc0000000 && msr < 0xc0002000)
		return part + 0x2000 + (msr - 0xc0000000);
	return -1;
}

static void map_set(unsigned long *map, u32 msr, bool read, bool write)
{
	__assign_bit(bitmap_bit(msr, false), map, !read);
	__assign_bit(bitmap_bit(msr, true), map, !write);
}

int vmx_msr_init(void)
{
	unsigned int i;

	vmx_msr_bitmap_default = (unsigned long *)__get_free_page(GFP_KERNEL);
	if (!vmx_msr_bitmap_default)
		return -ENOMEM;
	memset(vmx_msr_bitmap_default, 0xff, PAGE_SIZE);
	for (i = 0; i < ARRAY_SIZE(open_msrs); i++)
		map_set(vmx_msr_bitmap_default, open_msrs[i], true, true);
	map_set(vmx_msr_bitmap_default, MSR_IA32_TSC, true, false);
	return 0;
}

void vmx_msr_exit(void)
{
	free_page((unsigned long)vmx_msr_bitmap_default);
}

void vmx_msr_bitmap_destroy(struct vcpu_vmx *vmx)
{
	if (vmx->msr_bitmap != vmx_msr_bitmap_default)
		free_page((unsigned long)vmx->msr_bitmap);
	vmx->msr_bitmap = vmx_msr_bitmap_default;
}

static bool bitmap_own(struct vcpu_vmx *vmx)
{
	unsigned long *map;

	if (vmx->msr_bitmap != vmx_msr_bitmap_default)
		return true;
	map = (unsigned long *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!map)
		return false;
	memcpy(map, vmx_msr_bitmap_default, PAGE_SIZE);
	vmx->msr_bitmap = map;
	vmcs_write(MSR_BITMAP, __pa(map));
	return true;
}

/* As far as userspace's filter lets the guest. */
static void pass(struct vcpu_vmx *vmx, u32 msr, bool read, bool write)
{
	map_set(vmx->msr_bitmap, msr,
		   read && kvm_msr_allowed(&vmx->vcpu, msr, KVM_MSR_FILTER_READ),
		   write && kvm_msr_allowed(&vmx->vcpu, msr, KVM_MSR_FILTER_WRITE));
}

static bool guest_has_spec_ctrl(struct kvm_vcpu *vcpu)
{
	return kvm_guest_has(vcpu, X86_FEATURE_SPEC_CTRL) ||
	       kvm_guest_has(vcpu, X86_FEATURE_INTEL_STIBP) ||
	       kvm_guest_has(vcpu, X86_FEATURE_SPEC_CTRL_SSBD);
}

/* Commands have no state, so they can be open from the start. */
static bool passes_ibpb(struct kvm_vcpu *vcpu)
{
	return kvm_guest_has(vcpu, X86_FEATURE_SPEC_CTRL) && boot_cpu_has(X86_FEATURE_IBPB);
}

static bool passes_l1d_flush(struct kvm_vcpu *vcpu)
{
	return kvm_guest_has(vcpu, X86_FEATURE_FLUSH_L1D) && boot_cpu_has(X86_FEATURE_FLUSH_L1D);
}

/* How long the processor has slept. Userspace wants no exits for them (KVM_X86_DISABLE_EXITS_CSTATE). */
static const u32 residencies[] = {
	MSR_CORE_C1_RES, MSR_CORE_C3_RESIDENCY, MSR_CORE_C6_RESIDENCY, MSR_CORE_C7_RESIDENCY,
};

static bool passes_residencies(struct kvm_vcpu *vcpu)
{
	return vcpu->kvm->arch.exits_disabled & KVM_X86_DISABLE_EXITS_CSTATE;
}

/*
 * What the processor does of an x2APIC: the TPR, or nearly all reads, and the ends of interrupts. It
 * would also do reads of registers that do not exist.
 */
static void pass_x2apic(struct vcpu_vmx *vmx)
{
	bool open = vmx->passes_tpr && vmx->delivers;
	u32 msr;

	for (msr = LAPIC_MSR_FIRST; vmx_hw.apicv && msr <= VMX_X2APIC_SELF; msr++)
		pass(vmx, msr, open && kvm_lapic_reads_page(&vmx->vcpu, msr),
		     open && (msr == VMX_X2APIC_EOI || msr == VMX_X2APIC_SELF ||
			      (msr == VMX_X2APIC_ICR && vmx_hw.ipiv)));
	pass(vmx, VMX_X2APIC_TPR, vmx->passes_tpr, vmx->passes_tpr);
}

/*
 * The bitmap anew: the guest's CPUID, its use of SPEC_CTRL, the mode of its APIC or userspace's filter
 * has changed. Without memory for a bitmap of its own the vcpu goes on with an exit for each access.
 */
void vmx_update_msr_intercepts(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	bool ibpb = passes_ibpb(vcpu), l1d = passes_l1d_flush(vcpu), sleep = passes_residencies(vcpu);
	unsigned int i;

	if (!vmx_hw.msr_bitmaps)
		return;
	if (vmx->msr_bitmap == vmx_msr_bitmap_default && !kvm_msr_filtered(vcpu) && !ibpb &&
	    !l1d && !sleep && !vmx->spec_ctrl_used && !vmx->passes_tpr) {
		vmx_set_cpu_control(vmx, CPU_BASED_USE_MSR_BITMAPS, true);
		return;
	}
	if (!bitmap_own(vmx)) {
		vmx->entry.spec_open = false;
		vmx_set_cpu_control(vmx, CPU_BASED_USE_MSR_BITMAPS, false);
		return;
	}
	vmx_set_cpu_control(vmx, CPU_BASED_USE_MSR_BITMAPS, true);
	for (i = 0; i < ARRAY_SIZE(open_msrs); i++)
		pass(vmx, open_msrs[i], true, true);
	pass(vmx, MSR_IA32_TSC, true, false);
	pass(vmx, MSR_IA32_PRED_CMD, false, ibpb);
	pass(vmx, MSR_IA32_FLUSH_CMD, false, l1d);
	pass(vmx, MSR_IA32_SPEC_CTRL, vmx->spec_ctrl_used, vmx->spec_ctrl_used);
	for (i = 0; i < ARRAY_SIZE(residencies); i++)
		pass(vmx, residencies[i], sleep, false);
	pass_x2apic(vmx);
	vmx->entry.spec_open = vmx->spec_ctrl_used;
}

bool vmx_has_msr(u32 index)
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
	case MSR_IA32_FEAT_CTL:
	case MSR_IA32_MCG_EXT_CTL:
		return true;
	case MSR_TSC_AUX:
		return boot_cpu_has(X86_FEATURE_RDTSCP) || boot_cpu_has(X86_FEATURE_RDPID);
	case MSR_IA32_SPEC_CTRL:
		return boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL);
	default:
		return false;
	}
}

/* The VMCS field of an MSR, or 0. */
static unsigned long msr_field(u32 index)
{
	switch (index) {
	case MSR_FS_BASE:
		return GUEST_FS_BASE;
	case MSR_GS_BASE:
		return GUEST_GS_BASE;
	case MSR_IA32_SYSENTER_CS:
		return GUEST_SYSENTER_CS;
	case MSR_IA32_SYSENTER_EIP:
		return GUEST_SYSENTER_EIP;
	case MSR_IA32_SYSENTER_ESP:
		return GUEST_SYSENTER_ESP;
	default:
		return 0;
	}
}

static int switched_index(u32 index)
{
	switch (index) {
	case MSR_STAR:
		return VMX_STAR;
	case MSR_LSTAR:
		return VMX_LSTAR;
	case MSR_SYSCALL_MASK:
		return VMX_SYSCALL_MASK;
	case MSR_TSC_AUX:
		return VMX_TSC_AUX;
	default:
		return -1;
	}
}

/* SWAPGS changes it without an exit: while the vcpu has the processor, the register is the value. */
static u64 read_kernel_gs_base(struct vcpu_vmx *vmx)
{
	u64 value;

	preempt_disable();
	if (vmx->host_saved)
		rdmsrl(MSR_KERNEL_GS_BASE, vmx->guest_kernel_gs_base);
	value = vmx->guest_kernel_gs_base;
	preempt_enable();
	return value;
}

static void write_kernel_gs_base(struct vcpu_vmx *vmx, u64 value)
{
	preempt_disable();
	vmx->guest_kernel_gs_base = value;
	if (vmx->host_saved)
		wrmsrl(MSR_KERNEL_GS_BASE, value);
	preempt_enable();
}

static bool guest_has_tsc_aux(struct kvm_vcpu *vcpu)
{
	return kvm_guest_has(vcpu, X86_FEATURE_RDTSCP) || kvm_guest_has(vcpu, X86_FEATURE_RDPID);
}

/* Machine checks of this processor alone: the firmware has the last word (SDM 3, 16.3.1.5). */
static bool has_lmce(struct vcpu_vmx *vmx)
{
	return vmx->feature_control & FEAT_CTL_LMCE_ENABLED;
}

int vmx_get_msr(struct kvm_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	unsigned long field = msr_field(index);
	int which = switched_index(index);

	if (field) {
		*data = vmcs_read(field);
		return 0;
	}
	if (which >= 0) {
		if (which == VMX_TSC_AUX && !host && !guest_has_tsc_aux(vcpu))
			return 1;
		*data = vmx->switched[which];
		return 0;
	}
	switch (index) {
	case MSR_KERNEL_GS_BASE:
		*data = read_kernel_gs_base(vmx);
		return 0;
	case MSR_CSTAR:
		*data = vmx->cstar;
		return 0;
	case MSR_IA32_DEBUGCTLMSR:
		*data = vmcs_read(GUEST_IA32_DEBUGCTL);
		return 0;
	case MSR_IA32_SPEC_CTRL:
		if (!host && !guest_has_spec_ctrl(vcpu))
			return 1;
		*data = vmx->entry.guest_spec;
		return 0;
	case MSR_IA32_FEAT_CTL:
		*data = vmx->feature_control;
		return 0;
	case MSR_IA32_MCG_EXT_CTL:
		*data = vmx->mcg_ext_ctl;
		return !host && !has_lmce(vmx);
	default:
		return 1;
	}
}

/* Common code has checked the bits against the guest's CPUID. */
static int set_spec_ctrl(struct kvm_vcpu *vcpu, u64 data)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (!boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL))
		return data != 0;
	vmx->entry.guest_spec = data;
	/* From now on the guest has it to itself: kernels write it at every turn. */
	if (data && !vmx->spec_ctrl_used) {
		vmx->spec_ctrl_used = true;
		vmx_update_msr_intercepts(vcpu);
	}
	return 0;
}

/* Branch records are not offered, so that switching them on has no effect. */
static int set_debugctl(struct kvm_vcpu *vcpu, u64 data)
{
	if (data & ~(u64)(DEBUGCTLMSR_LBR | DEBUGCTLMSR_BTF))
		return 1;
	vmcs_write(GUEST_IA32_DEBUGCTL, data & DEBUGCTLMSR_BTF);
	return 0;
}

/* What a firmware sets and locks. The guest has no VMX or SGX to enable. */
static int set_feature_control(struct vcpu_vmx *vmx, u64 data, bool host)
{
	u64 known = FEAT_CTL_LOCKED;

	if (vmx->vcpu.arch.mcg_cap & MCG_LMCE_P)
		known |= FEAT_CTL_LMCE_ENABLED;
	if (data & ~known)
		return 1;
	if (!host && (vmx->feature_control & FEAT_CTL_LOCKED))
		return 1;
	vmx->feature_control = data;
	return 0;
}

int vmx_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	unsigned long field = msr_field(index);
	int which = switched_index(index);

	if (field) {
		vmcs_write(field, data);
		return 0;
	}
	if (which >= 0) {
		if (which == VMX_TSC_AUX && ((!host && !guest_has_tsc_aux(vcpu)) || data >> 32))
			return 1;
		vmx_set_switched(vmx, which, data);
		return 0;
	}
	switch (index) {
	case MSR_KERNEL_GS_BASE:
		write_kernel_gs_base(vmx, data);
		return 0;
	case MSR_CSTAR:
		vmx->cstar = data;
		return 0;
	case MSR_IA32_CR_PAT:
		if (vmx_hw.load_pat)
			vmcs_write(GUEST_IA32_PAT, data);
		return 0;
	case MSR_IA32_DEBUGCTLMSR:
		return set_debugctl(vcpu, data);
	case MSR_IA32_SPEC_CTRL:
		return set_spec_ctrl(vcpu, data);
	case MSR_IA32_FEAT_CTL:
		return set_feature_control(vmx, data, host);
	case MSR_IA32_MCG_EXT_CTL:
		if ((!host && !has_lmce(vmx)) || data & ~(u64)MCG_EXT_CTL_LMCE_EN)
			return 1;
		vmx->mcg_ext_ctl = data;
		return 0;
	default:
		return 1;
	}
}

int vmx_get_feature_msr(u32 index, u64 *data)
{
	return 1;	/* nested virtualization, which they describe, is not offered */
}
