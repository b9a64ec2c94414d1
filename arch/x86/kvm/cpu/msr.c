// SPDX-License-Identifier: GPL-2.0
/*
 * Model-specific registers: KVM_GET_MSRS and KVM_SET_MSRS, the lists of indices, and every MSR
 * whose value is kept in memory for both vendors. MSRs that live in a VMCB or VMCS are the vendor's
 * get_msr() and set_msr(), machine check banks mce.c's, the guest's instructions msr_filter.c's. APM 2, appendix A;
 * SDM 4.
 */
#include <linux/nospec.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/mtrr.h>

#include "../irqchip/irqchip.h"
#include "../pv/pv.h"
#include "../pv/xen.h"
#include "../x86.h"
#include "../trace.h"
#include "cpuid.h"
#include "mce.h"
#include "regs.h"

#define MAX_MSRS_PER_IOCTL	256u

/* IA32_MTRRCAP: variable ranges, fixed ranges, write-combining. */
#define MTRR_VARIABLE_RANGES	8
#define MTRR_CAPABILITY		(MTRR_VARIABLE_RANGES | MTRR_CAP_FIX | MTRR_CAP_WC)
#define MTRR_VARIABLE_LAST	MTRRphysMask_MSR(MTRR_VARIABLE_RANGES - 1)

#define HWCR_FFDIS		BIT_ULL(6)
#define HWCR_TLB_CACHE_DIS	BIT_ULL(3)
#define HWCR_INVD_WBINVD	BIT_ULL(8)
#define HWCR_MC_STATUS_WR_EN	BIT_ULL(18)
#define HWCR_TSC_FREQ_SEL	BIT_ULL(24)

/* Whether there are performance counters is not for the guest to decide. */
#define MISC_ENABLE_READ_ONLY	(MSR_IA32_MISC_ENABLE_EMON | MSR_IA32_MISC_ENABLE_BTS_UNAVAIL | \
				 MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL)

#define PAT_AT_RESET		0x0007040600070406ull
#define UCODE_REV_AMD		0x01000065u
#define UCODE_REV_INTEL		0x100000000ull
#define OSVW_KNOWN_ERRATA	3	/* numbers below are known not to matter to a guest */

/* ---- MSRs that are always the same, and swallow what is written to them ---------------------- */

static const struct {
	u32 first, last;
	u64 value;
	bool amd_only;
} constant_msr[] = {
	{ MSR_IA32_P5_MC_ADDR, MSR_IA32_P5_MC_TYPE, 0, false },
	{ MSR_IA32_EBL_CR_POWERON, MSR_IA32_EBL_CR_POWERON, 0, false },
	/* 100 MHz, multiplier 1 */
	{ MSR_EBC_FREQUENCY_ID, MSR_EBC_FREQUENCY_ID, 1 << 24, false },
	{ MSR_IA32_UCODE_WRITE, MSR_IA32_UCODE_WRITE, 0, false },
	{ MSR_FSB_FREQ, MSR_FSB_FREQ, 3, false },			/* 166 MHz */
	/* no second-level cache */
	{ MSR_IA32_BBL_CR_CTL3, MSR_IA32_BBL_CR_CTL3, 0xbe702111, false },
	{ MSR_IA32_PERF_STATUS, MSR_IA32_PERF_STATUS, 1000 | 4ull << 40, false },
	{ MSR_IA32_PERF_CTL, MSR_IA32_PERF_CTL, 0, false },
	{ MSR_K7_EVNTSEL0, MSR_K7_PERFCTR3, 0, true },
	{ MSR_AMD64_SYSCFG, MSR_AMD64_SYSCFG, 0, true },
	{ MSR_AMD64_NB_CFG, MSR_AMD64_NB_CFG, 0, true },
	{ MSR_AMD64_PATCH_LOADER, MSR_AMD64_PATCH_LOADER, 0, true },
	{ MSR_K8_INT_PENDING_MSG, MSR_K8_INT_PENDING_MSG, 0, true },
	{ MSR_FAM10H_MMIO_CONF_BASE, MSR_FAM10H_MMIO_CONF_BASE, 0, true },
	{ MSR_AMD_PERF_CTL, MSR_AMD_PERF_STATUS, 0, true },
	{ MSR_K8_TSEG_ADDR, MSR_K8_TSEG_MASK, 0, true },
	{ MSR_F15H_PERF_CTL, MSR_F15H_PERF_CTR5, 0, true },
	{ MSR_AMD64_DC_CFG, MSR_AMD64_TW_CFG, 0, true },
	{ MSR_AMD64_BU_CFG2, MSR_AMD64_BU_CFG2, 0, true },
};

static bool constant_msr_find(struct kvm_vcpu *vcpu, u32 index, bool host, u64 *value)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(constant_msr); i++) {
		if (index < constant_msr[i].first || index > constant_msr[i].last)
			continue;
		if (constant_msr[i].amd_only && !host && !vcpu->arch.cpuid.vendor_amd)
			return false;
		*value = constant_msr[i].value;
		return true;
	}
	return false;
}

/* ---- APIC base ------------------------------------------------------------------------------- */

#define APIC_BASE_DEFINED	(MSR_IA32_APICBASE_BSP | MSR_IA32_APICBASE_ENABLE)

/* Reserved bits, and x2APIC mode without the APIC (SDM 3, 11.12.5). */
bool kvm_apic_base_valid(struct kvm_vcpu *vcpu, u64 base)
{
	u64 reserved = vcpu->arch.cpuid.gpa_reserved | (GENMASK_ULL(11, 0) & ~APIC_BASE_DEFINED);

	if (kvm_guest_has(vcpu, X86_FEATURE_X2APIC))
		reserved &= ~(u64)X2APIC_ENABLE;
	if (base & reserved)
		return false;
	return !(base & X2APIC_ENABLE) || (base & MSR_IA32_APICBASE_ENABLE);
}

int kvm_set_apic_base(struct kvm_vcpu *vcpu, u64 base, bool host)
{
	u64 old = vcpu->arch.apic_base;

	if (!kvm_apic_base_valid(vcpu, base))
		return 1;
	if (kvm_has_lapic(vcpu)) {
		if (kvm_lapic_set_base(vcpu, base, host))
			return 1;
		if ((old ^ base) & MSR_IA32_APICBASE_ENABLE)
			kvm_cpuid_update_runtime(vcpu);
		return 0;
	}
	/* Into x2APIC mode only from xAPIC mode, out of it only by disabling the APIC. */
	if (!host && ((old ^ base) & X2APIC_ENABLE) &&
	    !(base & X2APIC_ENABLE ? old & MSR_IA32_APICBASE_ENABLE :
				     !(base & MSR_IA32_APICBASE_ENABLE)))
		return 1;
	vcpu->arch.apic_base = base;
	if ((old ^ base) & MSR_IA32_APICBASE_ENABLE)
		kvm_cpuid_update_runtime(vcpu);
	return 0;
}

/* ---- memory types ---------------------------------------------------------------------------- */

/* Types 0, 1, 4, 5, 6, and for the PAT 7 (UC-) too: APM 2, 7.7 and 7.8. */
static bool memory_types_valid(u64 types, unsigned int allowed)
{
	unsigned int i;

	for (i = 0; i < 8; i++, types >>= 8)
		if ((types & 0xff) > 7 || !(allowed & BIT(types & 7)))
			return false;
	return true;
}

#define MTRR_TYPES	(BIT(MTRR_TYPE_UNCACHABLE) | BIT(MTRR_TYPE_WRCOMB) | \
			 BIT(MTRR_TYPE_WRTHROUGH) | BIT(MTRR_TYPE_WRPROT) | BIT(MTRR_TYPE_WRBACK))

bool kvm_pat_valid(u64 pat)
{
	return memory_types_valid(pat, MTRR_TYPES | BIT(7));
}

/* Where an MTRR is kept, or NULL. The index is the guest's: no speculation past the arrays. */
static u64 *mtrr_slot(struct kvm_vcpu *vcpu, u32 index)
{
	u64 *fixed = vcpu->arch.mtrr_fixed, *var = vcpu->arch.mtrr_var;

	switch (index) {
	case MTRRphysBase_MSR(0) ... MTRR_VARIABLE_LAST:
		return &var[array_index_nospec(index - MTRRphysBase_MSR(0),
					       ARRAY_SIZE(vcpu->arch.mtrr_var))];
	case MSR_MTRRfix64K_00000:
		return &fixed[0];
	case MSR_MTRRfix16K_80000 ... MSR_MTRRfix16K_A0000:
		return &fixed[1 + array_index_nospec(index - MSR_MTRRfix16K_80000, 2)];
	case MSR_MTRRfix4K_C0000 ... MSR_MTRRfix4K_F8000:
		return &fixed[3 + array_index_nospec(index - MSR_MTRRfix4K_C0000, 8)];
	case MSR_MTRRdefType:
		return &vcpu->arch.mtrr_def_type;
	default:
		return NULL;
	}
}

static bool mtrr_valid(struct kvm_vcpu *vcpu, u32 index, u64 data)
{
	u64 reserved;

	if (index >= MSR_MTRRfix64K_00000 && index <= MSR_MTRRfix4K_F8000)
		return memory_types_valid(data, MTRR_TYPES);
	if (index == MSR_MTRRdefType)
		return !(data & MTRR_DEF_TYPE_DISABLE) && (data & 0xff) < 8 &&
		       (MTRR_TYPES & BIT(data & 7));

	reserved = vcpu->arch.cpuid.gpa_reserved;
	if (index & 1)
		return !(data & (reserved | MTRR_PHYSMASK_RSVD));
	return !(data & (reserved | MTRR_PHYSBASE_RSVD)) && (data & 0xff) < 8 &&
	       (MTRR_TYPES & BIT(data & 7));
}

static int mtrr_set(struct kvm_vcpu *vcpu, u32 index, u64 data)
{
	if (!mtrr_valid(vcpu, index, data))
		return MSR_GP;
	*mtrr_slot(vcpu, index) = data;
	return MSR_OK;
}

/* ---- speculation control --------------------------------------------------------------------- */

static bool guest_has_ibpb(struct kvm_vcpu *vcpu)
{
	return kvm_guest_has(vcpu, X86_FEATURE_SPEC_CTRL) ||
	       kvm_guest_has(vcpu, X86_FEATURE_AMD_IBPB);
}

/* The bits of SPEC_CTRL that the guest's CPUID speaks of. */
static u64 spec_ctrl_allowed(struct kvm_vcpu *vcpu)
{
	u64 bits = 0;

	if (kvm_guest_has(vcpu, X86_FEATURE_SPEC_CTRL) ||
	    kvm_guest_has(vcpu, X86_FEATURE_AMD_IBRS))
		bits |= SPEC_CTRL_IBRS | SPEC_CTRL_STIBP;
	if (kvm_guest_has(vcpu, X86_FEATURE_INTEL_STIBP) ||
	    kvm_guest_has(vcpu, X86_FEATURE_AMD_STIBP))
		bits |= SPEC_CTRL_STIBP;
	if (kvm_guest_has(vcpu, X86_FEATURE_SPEC_CTRL_SSBD) ||
	    kvm_guest_has(vcpu, X86_FEATURE_AMD_SSBD))
		bits |= SPEC_CTRL_SSBD;
	if (kvm_guest_has(vcpu, X86_FEATURE_AMD_PSFD) ||
	    kvm_guest_has(vcpu, KVM_X86_FEATURE_INTEL_PSFD))
		bits |= BIT_ULL(7);
	if (kvm_guest_has(vcpu, KVM_X86_FEATURE_IPRED_CTRL))
		bits |= BIT_ULL(3) | BIT_ULL(4);
	if (kvm_guest_has(vcpu, KVM_X86_FEATURE_RRSBA_CTRL))
		bits |= BIT_ULL(5) | SPEC_CTRL_RRSBA_DIS_S;
	if (kvm_guest_has(vcpu, KVM_X86_FEATURE_BHI_CTRL))
		bits |= SPEC_CTRL_BHI_DIS_S;
	return bits;
}

static bool spec_ctrl_offered(void)
{
	return kvm_cpu_cap_has(X86_FEATURE_SPEC_CTRL) || kvm_cpu_cap_has(X86_FEATURE_AMD_IBRS) ||
	       kvm_cpu_cap_has(X86_FEATURE_AMD_STIBP) || kvm_cpu_cap_has(X86_FEATURE_AMD_SSBD);
}

static int spec_ctrl_set(struct kvm_vcpu *vcpu, u64 data, bool host)
{
	u64 allowed = spec_ctrl_allowed(vcpu);

	if (!spec_ctrl_offered() || (!host && !allowed) || (data & ~allowed))
		return MSR_GP;
	if (kvm_x86_ops.set_msr(vcpu, MSR_IA32_SPEC_CTRL, data, host))
		return MSR_GP;
	vcpu->arch.spec_ctrl = data;
	return MSR_OK;
}

/* Commands act at once and on this processor, where the guest is about to run. */
static int pred_cmd_set(struct kvm_vcpu *vcpu, u64 data, bool host)
{
	u64 allowed = 0;

	if (boot_cpu_has(X86_FEATURE_IBPB) && (host || guest_has_ibpb(vcpu)))
		allowed |= PRED_CMD_IBPB;
	if (kvm_cpu_cap_has(X86_FEATURE_SBPB) && (host || kvm_guest_has(vcpu, X86_FEATURE_SBPB)))
		allowed |= PRED_CMD_SBPB;
	if (!allowed || (data & ~allowed))
		return MSR_GP;
	if (data)
		wrmsrl(MSR_IA32_PRED_CMD, data);
	return MSR_OK;
}

static int flush_cmd_set(struct kvm_vcpu *vcpu, u64 data, bool host)
{
	if (!boot_cpu_has(X86_FEATURE_FLUSH_L1D) || (data & ~L1D_FLUSH) ||
	    (!host && !kvm_guest_has(vcpu, X86_FEATURE_FLUSH_L1D)))
		return MSR_GP;
	if (data)
		wrmsrl(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
	return MSR_OK;
}

/* ---- feature MSRs: what the processor can do, read from /dev/kvm ----------------------------- */

static const u32 feature_msrs[] = {
	MSR_IA32_UCODE_REV, MSR_IA32_ARCH_CAPABILITIES, MSR_AMD64_DE_CFG, MSR_PLATFORM_INFO,
	MSR_IA32_VMX_BASIC, MSR_IA32_VMX_TRUE_PINBASED_CTLS, MSR_IA32_VMX_PINBASED_CTLS,
	MSR_IA32_VMX_TRUE_PROCBASED_CTLS, MSR_IA32_VMX_PROCBASED_CTLS,
	MSR_IA32_VMX_TRUE_EXIT_CTLS, MSR_IA32_VMX_EXIT_CTLS,
	MSR_IA32_VMX_TRUE_ENTRY_CTLS, MSR_IA32_VMX_ENTRY_CTLS, MSR_IA32_VMX_MISC,
	MSR_IA32_VMX_CR0_FIXED0, MSR_IA32_VMX_CR0_FIXED1, MSR_IA32_VMX_CR4_FIXED0,
	MSR_IA32_VMX_CR4_FIXED1, MSR_IA32_VMX_VMCS_ENUM, MSR_IA32_VMX_PROCBASED_CTLS2,
	MSR_IA32_VMX_EPT_VPID_CAP, MSR_IA32_VMX_VMFUNC,
};

static bool host_is_amd(void)
{
	return boot_cpu_data.x86_vendor == X86_VENDOR_AMD ||
	       boot_cpu_data.x86_vendor == X86_VENDOR_HYGON;
}

static u64 de_cfg_supported(void)
{
	return boot_cpu_has(X86_FEATURE_LFENCE_RDTSC) ? MSR_AMD64_DE_CFG_LFENCE_SERIALIZE : 0;
}

static int feature_msr_get(u32 index, u64 *data)
{
	switch (index) {
	case MSR_IA32_UCODE_REV:
		return rdmsrl_safe(index, data) ? 1 : 0;
	case MSR_IA32_ARCH_CAPABILITIES:
		*data = kvm_hw.host_arch_capabilities;
		return !kvm_cpu_cap_has(X86_FEATURE_ARCH_CAPABILITIES);
	case MSR_AMD64_DE_CFG:
		*data = de_cfg_supported();
		return !host_is_amd();
	case MSR_PLATFORM_INFO:
		*data = MSR_PLATFORM_INFO_CPUID_FAULT;
		return 0;
	default:
		return kvm_x86_ops.get_feature_msr ? kvm_x86_ops.get_feature_msr(index, data) : 1;
	}
}

/* ---- reading --------------------------------------------------------------------------------- */

static int amd_msr_get(struct kvm_vcpu *vcpu, u32 index, u64 *data)
{
	switch (index) {
	case MSR_K7_HWCR:
		*data = vcpu->arch.msr_hwcr;
		return MSR_OK;
	case MSR_AMD64_DE_CFG:
		*data = vcpu->arch.msr_de_cfg;
		return MSR_OK;
	case MSR_AMD64_OSVW_ID_LENGTH:
		*data = vcpu->arch.osvw_length;
		return MSR_OK;
	case MSR_AMD64_OSVW_STATUS:
		*data = vcpu->arch.osvw_status;
		return MSR_OK;
	default:
		return MSR_UNKNOWN;
	}
}

/* MSRs that a guest has only with a feature; userspace reads them in any case. */
static int gated_msr_get(struct kvm_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	bool allowed = host;

	switch (index) {
	case MSR_IA32_TSC_ADJUST:
		allowed |= kvm_guest_has(vcpu, X86_FEATURE_TSC_ADJUST);
		*data = vcpu->arch.ia32_tsc_adjust;
		break;
	case MSR_TSC_AUX:
		allowed |= kvm_guest_has(vcpu, X86_FEATURE_RDTSCP) ||
			   kvm_guest_has(vcpu, X86_FEATURE_RDPID);
		*data = vcpu->arch.tsc_aux;
		break;
	case MSR_IA32_XSS:
		allowed |= kvm_guest_has(vcpu, X86_FEATURE_XSAVES);
		*data = vcpu->arch.ia32_xss;
		break;
	case MSR_IA32_ARCH_CAPABILITIES:
		allowed |= kvm_guest_has(vcpu, X86_FEATURE_ARCH_CAPABILITIES);
		*data = vcpu->arch.arch_capabilities;
		break;
	case MSR_PLATFORM_INFO:
		allowed |= !vcpu->kvm->arch.platform_info_hidden;
		*data = vcpu->arch.msr_platform_info;
		break;
	case MSR_IA32_SPEC_CTRL:
		allowed |= spec_ctrl_allowed(vcpu) != 0;
		*data = vcpu->arch.spec_ctrl;
		if (allowed && kvm_x86_ops.get_msr(vcpu, index, data, host))
			*data = vcpu->arch.spec_ctrl;
		break;
	case MSR_SMI_COUNT:
		allowed = true;
		*data = vcpu->arch.smi_count;
		break;
	default:	/* MSR_IA32_SMBASE */
		allowed |= kvm_in_smm(vcpu);
		*data = vcpu->arch.smbase;
		break;
	}
	return allowed ? MSR_OK : MSR_GP;
}

static int other_msr_get(struct kvm_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	u64 *mtrr = mtrr_slot(vcpu, index);

	if (mtrr) {
		*data = *mtrr;
		return MSR_OK;
	}
	if (kvm_msr_is_mce(vcpu, index))
		return kvm_mce_get_msr(vcpu, index, data, host);
	if (kvm_is_pv_msr(index))
		return kvm_pv_get_msr(vcpu, index, data, host) ? MSR_GP : MSR_OK;
	if (constant_msr_find(vcpu, index, host, data))
		return MSR_OK;
	return MSR_UNKNOWN;
}

/* Registers of the local APIC: those of x2APIC mode, and the deadline of its timer. */
static bool is_apic_msr(u32 index)
{
	return index - LAPIC_MSR_FIRST <= LAPIC_MSR_LAST - LAPIC_MSR_FIRST ||
	       index == MSR_IA32_TSC_DEADLINE;
}

/* The list of MSRs is the same for all VMs: userspace reads and writes back what has no APIC, too. */
static bool is_apic_msr_without_apic(struct kvm_vcpu *vcpu, u32 index, bool host)
{
	return host && index == MSR_IA32_TSC_DEADLINE && !kvm_has_lapic(vcpu);
}

static int msr_get(struct kvm_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	switch (index) {
	case MSR_IA32_TSC:
		*data = kvm_guest_tsc(vcpu);
		return MSR_OK;
	case MSR_IA32_APICBASE:
		*data = vcpu->arch.apic_base;
		return MSR_OK;
	case MSR_EFER:
		*data = vcpu->arch.efer;
		return MSR_OK;
	case MSR_IA32_CR_PAT:
		*data = vcpu->arch.pat;
		return MSR_OK;
	case MSR_MTRRcap:
		*data = MTRR_CAPABILITY;
		return MSR_OK;
	case MSR_IA32_UCODE_REV:
		*data = vcpu->arch.microcode_version;
		return MSR_OK;
	case MSR_IA32_MISC_ENABLE:
		*data = vcpu->arch.ia32_misc_enable;
		return MSR_OK;
	case MSR_MISC_FEATURES_ENABLES:
		*data = vcpu->arch.msr_misc_features_enables;
		return MSR_OK;
	case MSR_IA32_POWER_CTL:
		*data = vcpu->arch.power_ctl;
		return MSR_OK;
	case MSR_IA32_TSC_ADJUST:
	case MSR_TSC_AUX:
	case MSR_IA32_XSS:
	case MSR_IA32_ARCH_CAPABILITIES:
	case MSR_PLATFORM_INFO:
	case MSR_IA32_SPEC_CTRL:
	case MSR_IA32_SMBASE:
	case MSR_SMI_COUNT:
		return gated_msr_get(vcpu, index, data, host);
	case MSR_K7_HWCR:
	case MSR_AMD64_DE_CFG:
	case MSR_AMD64_OSVW_ID_LENGTH:
	case MSR_AMD64_OSVW_STATUS:
		return amd_msr_get(vcpu, index, data);
	}
	if (is_apic_msr_without_apic(vcpu, index, host)) {
		*data = 0;
		return MSR_OK;
	}
	if (is_apic_msr(index))
		return kvm_lapic_get_msr(vcpu, index, data) ? MSR_GP : MSR_OK;
	if (!kvm_x86_ops.get_msr(vcpu, index, data, host))
		return MSR_OK;
	return other_msr_get(vcpu, index, data, host);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int amd_msr_set(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host)
{
	switch (index) {
	case MSR_K7_HWCR:
		/* Switches of caches and of instructions that guests' old kernels press in vain. */
		data &= ~(HWCR_FFDIS | HWCR_TLB_CACHE_DIS | HWCR_INVD_WBINVD);
		if (data & ~(HWCR_MC_STATUS_WR_EN | HWCR_TSC_FREQ_SEL))
			return MSR_GP;
		vcpu->arch.msr_hwcr = data;
		return MSR_OK;
	case MSR_AMD64_DE_CFG:
		if (data & ~de_cfg_supported())
			return MSR_GP;
		vcpu->arch.msr_de_cfg = data;
		return MSR_OK;
	case MSR_AMD64_OSVW_ID_LENGTH:
		if (!host)
			return MSR_GP;
		vcpu->arch.osvw_length = data;
		return MSR_OK;
	default:
		if (!host)
			return MSR_GP;
		vcpu->arch.osvw_status = data;
		return MSR_OK;
	}
}

static int misc_enable_set(struct kvm_vcpu *vcpu, u64 data, bool host)
{
	u64 changed = vcpu->arch.ia32_misc_enable ^ data;

	if (!host && (changed & MISC_ENABLE_READ_ONLY))
		return MSR_GP;
	vcpu->arch.ia32_misc_enable = data;
	if (changed & MSR_IA32_MISC_ENABLE_MWAIT)
		kvm_cpuid_update_runtime(vcpu);
	return MSR_OK;
}

static int tsc_adjust_set(struct kvm_vcpu *vcpu, u64 data, bool host)
{
	if (!host && !kvm_guest_has(vcpu, X86_FEATURE_TSC_ADJUST))
		return MSR_GP;
	/* Userspace writes the counter itself besides. */
	if (!host)
		kvm_tsc_set_offset(vcpu, vcpu->arch.tsc_offset + data -
					 vcpu->arch.ia32_tsc_adjust);
	vcpu->arch.ia32_tsc_adjust = data;
	return MSR_OK;
}

static int tsc_aux_set(struct kvm_vcpu *vcpu, u64 data, bool host)
{
	if (!kvm_guest_has(vcpu, X86_FEATURE_RDTSCP) && !kvm_guest_has(vcpu, X86_FEATURE_RDPID) &&
	    (!host || data))
		return MSR_GP;
	if (data >> 32 && !vcpu->arch.cpuid.vendor_amd)
		return MSR_GP;
	vcpu->arch.tsc_aux = (u32)data;
	kvm_x86_ops.set_msr(vcpu, MSR_TSC_AUX, (u32)data, host);
	return MSR_OK;
}

static int misc_features_set(struct kvm_vcpu *vcpu, u64 data)
{
	if (data & ~MSR_MISC_FEATURES_ENABLES_CPUID_FAULT)
		return MSR_GP;
	if (data && !(vcpu->arch.msr_platform_info & MSR_PLATFORM_INFO_CPUID_FAULT))
		return MSR_GP;
	vcpu->arch.msr_misc_features_enables = data;
	return MSR_OK;
}

static int platform_info_set(struct kvm_vcpu *vcpu, u64 data, bool host)
{
	if (!host)
		return MSR_GP;
	if (!(data & MSR_PLATFORM_INFO_CPUID_FAULT) && vcpu->arch.msr_misc_features_enables)
		return MSR_GP;
	vcpu->arch.msr_platform_info = data;
	return MSR_OK;
}

static int xss_set(struct kvm_vcpu *vcpu, u64 data, bool host)
{
	if (!host && !kvm_guest_has(vcpu, X86_FEATURE_XSAVES))
		return MSR_GP;
	if (data & ~vcpu->arch.cpuid.xss_allowed)
		return MSR_GP;
	vcpu->arch.ia32_xss = data;
	kvm_cpuid_update_runtime(vcpu);
	return MSR_OK;
}

static int pat_set(struct kvm_vcpu *vcpu, u64 data, bool host)
{
	if (!kvm_pat_valid(data))
		return MSR_GP;
	vcpu->arch.pat = data;
	kvm_x86_ops.set_msr(vcpu, MSR_IA32_CR_PAT, data, host);
	return MSR_OK;
}

/* The vendor's, once what the processor would refuse is sorted out (APM 2, 5.3.1). */
static int vendor_msr_set(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host)
{
	switch (index) {
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS_BASE:
	case MSR_LSTAR:
	case MSR_CSTAR:
		if (kvm_is_noncanonical(vcpu, data))
			return MSR_GP;
		break;
	case MSR_IA32_SYSENTER_EIP:
	case MSR_IA32_SYSENTER_ESP:
		/* AMD ignores the upper half, Intel wants it canonical: what both store is. */
		if (kvm_is_noncanonical(vcpu, data))
			data = (u64)((s64)(data << 16) >> 16);
		break;
	}
	if (!kvm_x86_ops.set_msr(vcpu, index, data, host))
		return MSR_OK;
	return kvm_x86_ops.has_msr(index) ? MSR_GP : MSR_UNKNOWN;
}

static int other_msr_set(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host)
{
	u64 ignored;

	if (mtrr_slot(vcpu, index))
		return mtrr_set(vcpu, index, data);
	if (kvm_msr_is_mce(vcpu, index))
		return kvm_mce_set_msr(vcpu, index, data, host);
	if (kvm_is_pv_msr(index))
		return kvm_pv_set_msr(vcpu, index, data, host) ? MSR_GP : MSR_OK;
	if (constant_msr_find(vcpu, index, host, &ignored))
		return MSR_OK;
	return MSR_UNKNOWN;
}

static int host_only_msr_set(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host)
{
	switch (index) {
	case MSR_IA32_UCODE_REV:
		if (host)
			vcpu->arch.microcode_version = data;
		return MSR_OK;		/* a guest writes 0 before it reads: no effect */
	case MSR_IA32_ARCH_CAPABILITIES:
		if (!host)
			return MSR_GP;
		vcpu->arch.arch_capabilities = data;
		return MSR_OK;
	case MSR_MTRRcap:
		return host && data == MTRR_CAPABILITY ? MSR_OK : MSR_GP;
	case MSR_SMI_COUNT:
		if (!host)
			return MSR_GP;
		vcpu->arch.smi_count = data;
		return MSR_OK;
	default:
		if (!host)
			return MSR_GP;
		vcpu->arch.smbase = (u32)data;
		return MSR_OK;
	}
}

static int msr_set(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host)
{
	int r;

	switch (index) {
	case MSR_IA32_TSC:
		kvm_tsc_write(vcpu, data, host);
		return MSR_OK;
	case MSR_IA32_APICBASE:
		return kvm_set_apic_base(vcpu, data, host);
	case MSR_EFER:
		return kvm_set_efer(vcpu, data, host);
	case MSR_IA32_CR_PAT:
		return pat_set(vcpu, data, host);
	case MSR_IA32_TSC_ADJUST:
		return tsc_adjust_set(vcpu, data, host);
	case MSR_TSC_AUX:
		return tsc_aux_set(vcpu, data, host);
	case MSR_IA32_SPEC_CTRL:
		return spec_ctrl_set(vcpu, data, host);
	case MSR_IA32_PRED_CMD:
		return pred_cmd_set(vcpu, data, host);
	case MSR_IA32_FLUSH_CMD:
		return flush_cmd_set(vcpu, data, host);
	case MSR_IA32_XSS:
		return xss_set(vcpu, data, host);
	case MSR_IA32_MISC_ENABLE:
		return misc_enable_set(vcpu, data, host);
	case MSR_MISC_FEATURES_ENABLES:
		return misc_features_set(vcpu, data);
	case MSR_IA32_POWER_CTL:
		vcpu->arch.power_ctl = data;	/* how idle states are entered: not the guest's affair */
		return MSR_OK;
	case MSR_PLATFORM_INFO:
		return platform_info_set(vcpu, data, host);
	case MSR_IA32_UCODE_REV:
	case MSR_IA32_ARCH_CAPABILITIES:
	case MSR_MTRRcap:
	case MSR_IA32_SMBASE:
	case MSR_SMI_COUNT:
		return host_only_msr_set(vcpu, index, data, host);
	case MSR_K7_HWCR:
	case MSR_AMD64_DE_CFG:
	case MSR_AMD64_OSVW_ID_LENGTH:
	case MSR_AMD64_OSVW_STATUS:
		return amd_msr_set(vcpu, index, data, host);
	}
	if (is_apic_msr_without_apic(vcpu, index, host))
		return MSR_OK;
	if (is_apic_msr(index))
		return kvm_lapic_set_msr(vcpu, index, data) ? MSR_GP : MSR_OK;
	r = vendor_msr_set(vcpu, index, data, host);
	return r == MSR_UNKNOWN ? other_msr_set(vcpu, index, data, host) : r;
}

/* ---- accesses -------------------------------------------------------------------------------- */

/* An MSR that nobody knows, with the parameter ignore_msrs: reads 0, swallows writes. */
static noinline int msr_unknown(u32 index, u64 data, bool write)
{
	if (!ignore_msrs)
		return MSR_UNKNOWN;
	if (report_ignored_msrs)
		pr_info_ratelimited("kvm: ignored %s 0x%x data 0x%llx\n",
				    write ? "wrmsr" : "rdmsr", index, data);
	return 0;
}

int kvm_get_msr(struct kvm_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	int r = msr_get(vcpu, index, data, host);

	if (likely(r != MSR_UNKNOWN))
		return r;
	*data = 0;
	return msr_unknown(index, 0, false);
}

int kvm_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host)
{
	int r;

	/* Its number is userspace's choice. */
	if (!host && kvm_xen_is_msr(vcpu->kvm, index))
		return kvm_xen_set_msr(vcpu, data) ? MSR_GP : MSR_OK;
	r = msr_set(vcpu, index, data, host);
	return likely(r != MSR_UNKNOWN) ? r : msr_unknown(index, data, true);
}

/* ---- life of a vcpu -------------------------------------------------------------------------- */

void kvm_msr_vcpu_init(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_arch *arch = &vcpu->arch;

	arch->pat = PAT_AT_RESET;
	arch->ia32_misc_enable = MSR_IA32_MISC_ENABLE_FAST_STRING |
				 MSR_IA32_MISC_ENABLE_BTS_UNAVAIL |
				 MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL;
	arch->microcode_version = host_is_amd() ? UCODE_REV_AMD : UCODE_REV_INTEL;
	arch->arch_capabilities = kvm_hw.host_arch_capabilities;
	arch->msr_platform_info = MSR_PLATFORM_INFO_CPUID_FAULT;
	arch->msr_de_cfg = de_cfg_supported();
	arch->osvw_length = OSVW_KNOWN_ERRATA;
	kvm_mce_vcpu_init(vcpu);
}

void kvm_msr_vcpu_free(struct kvm_vcpu *vcpu)
{
	kvm_mce_vcpu_free(vcpu);
}

/* ---- lists ----------------------------------------------------------------------------------- */

/* MSRs that are a vcpu's state beside SREGS and FPU: ours, then what a vendor may have. */
static const u32 common_msrs[] = {
	MSR_IA32_TSC, MSR_IA32_TSC_ADJUST, MSR_TSC_AUX, MSR_EFER, MSR_IA32_CR_PAT, MSR_IA32_XSS,
	MSR_IA32_MISC_ENABLE, MSR_MISC_FEATURES_ENABLES, MSR_PLATFORM_INFO, MSR_IA32_POWER_CTL,
	MSR_IA32_UCODE_REV, MSR_IA32_ARCH_CAPABILITIES, MSR_IA32_SPEC_CTRL,
	MSR_IA32_MCG_STATUS, MSR_IA32_MCG_CTL,
	MSR_IA32_TSC_DEADLINE, MSR_IA32_SMBASE, MSR_SMI_COUNT,
	MSR_MTRRdefType, MSR_MTRRfix64K_00000, MSR_MTRRfix16K_80000, MSR_MTRRfix16K_A0000,
	MSR_MTRRfix4K_C0000, MSR_MTRRfix4K_C8000, MSR_MTRRfix4K_D0000, MSR_MTRRfix4K_D8000,
	MSR_MTRRfix4K_E0000, MSR_MTRRfix4K_E8000, MSR_MTRRfix4K_F0000, MSR_MTRRfix4K_F8000,
	MTRRphysBase_MSR(0), MTRRphysMask_MSR(0), MTRRphysBase_MSR(1), MTRRphysMask_MSR(1),
	MTRRphysBase_MSR(2), MTRRphysMask_MSR(2), MTRRphysBase_MSR(3), MTRRphysMask_MSR(3),
	MTRRphysBase_MSR(4), MTRRphysMask_MSR(4), MTRRphysBase_MSR(5), MTRRphysMask_MSR(5),
	MTRRphysBase_MSR(6), MTRRphysMask_MSR(6), MTRRphysBase_MSR(7), MTRRphysMask_MSR(7),
	MSR_K7_HWCR, MSR_AMD64_DE_CFG, MSR_AMD64_OSVW_ID_LENGTH, MSR_AMD64_OSVW_STATUS,
	MSR_KVM_SYSTEM_TIME, MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_WALL_CLOCK_NEW,
	MSR_KVM_STEAL_TIME, MSR_KVM_PV_EOI_EN, MSR_KVM_POLL_CONTROL, MSR_KVM_MIGRATION_CONTROL,
	MSR_KVM_ASYNC_PF_INT, MSR_KVM_ASYNC_PF_EN, MSR_KVM_ASYNC_PF_ACK,
};

static const u32 vendor_msrs[] = {
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_KERNEL_GS_BASE,
	MSR_VM_CR, MSR_VM_HSAVE_PA, MSR_AMD64_TSC_RATIO, MSR_AMD64_VIRT_SPEC_CTRL,
	MSR_IA32_DEBUGCTLMSR, MSR_IA32_FEAT_CTL, MSR_IA32_MCG_EXT_CTL, MSR_IA32_BNDCFGS,
	MSR_IA32_TSX_CTRL, MSR_IA32_UMWAIT_CONTROL,
};

static u32 msr_list[ARRAY_SIZE(common_msrs) + ARRAY_SIZE(vendor_msrs)];
static u32 feature_list[ARRAY_SIZE(feature_msrs)];
static unsigned int msr_list_len, feature_list_len;

static bool common_msr_exists(u32 index)
{
	switch (index) {
	case MSR_TSC_AUX:
		return kvm_cpu_cap_has(X86_FEATURE_RDTSCP) || kvm_cpu_cap_has(X86_FEATURE_RDPID);
	case MSR_IA32_XSS:
		return kvm_hw.supported_xss;
	case MSR_IA32_ARCH_CAPABILITIES:
		return kvm_cpu_cap_has(X86_FEATURE_ARCH_CAPABILITIES);
	case MSR_IA32_SPEC_CTRL:
		return spec_ctrl_offered();
	case MSR_KVM_STEAL_TIME:
		return kvm_steal_time_offered();
	case MSR_K7_HWCR:
	case MSR_AMD64_DE_CFG:
	case MSR_AMD64_OSVW_ID_LENGTH:
	case MSR_AMD64_OSVW_STATUS:
		return host_is_amd();
	default:
		return true;
	}
}

void kvm_msr_lists_init(void)
{
	unsigned int i;
	u64 data;

	msr_list_len = 0;
	feature_list_len = 0;
	for (i = 0; i < ARRAY_SIZE(common_msrs); i++)
		if (common_msr_exists(common_msrs[i]))
			msr_list[msr_list_len++] = common_msrs[i];
	for (i = 0; i < ARRAY_SIZE(vendor_msrs); i++)
		if (kvm_x86_ops.has_msr(vendor_msrs[i]))
			msr_list[msr_list_len++] = vendor_msrs[i];
	for (i = 0; i < ARRAY_SIZE(feature_msrs); i++)
		if (!feature_msr_get(feature_msrs[i], &data))
			feature_list[feature_list_len++] = feature_msrs[i];
}

int kvm_dev_get_msr_index_list(struct kvm_msr_list __user *list, bool feature)
{
	const u32 *indices = feature ? feature_list : msr_list;
	u32 len = feature ? feature_list_len : msr_list_len;
	u32 room;

	if (get_user(room, &list->nmsrs) || put_user(len, &list->nmsrs))
		return -EFAULT;
	if (room < len)
		return -E2BIG;
	return copy_to_user(list->indices, indices, len * sizeof(*indices)) ? -EFAULT : 0;
}

/* ---- KVM_GET_MSRS, KVM_SET_MSRS -------------------------------------------------------------- */

static int vcpu_msr_access(struct kvm_vcpu *vcpu, struct kvm_msr_entry *e, bool write)
{
	if (!vcpu)
		return feature_msr_get(e->index, &e->data);
	return write ? kvm_set_msr(vcpu, e->index, e->data, true) :
		       kvm_get_msr(vcpu, e->index, &e->data, true);
}

/* How many were done until one failed; @vcpu NULL: feature MSRs. */
static long msrs_ioctl(struct kvm_vcpu *vcpu, struct kvm_msrs __user *umsrs, bool write)
{
	struct kvm_msr_entry *entries;
	struct kvm_msrs head;
	size_t size;
	u32 done;

	if (copy_from_user(&head, umsrs, sizeof(head)))
		return -EFAULT;
	if (head.nmsrs >= MAX_MSRS_PER_IOCTL)
		return -E2BIG;
	if (!head.nmsrs)
		return 0;
	size = head.nmsrs * sizeof(*entries);
	entries = memdup_user(umsrs->entries, size);
	if (IS_ERR(entries))
		return PTR_ERR(entries);

	for (done = 0; done < head.nmsrs; done++)
		if (vcpu_msr_access(vcpu, &entries[done], write))
			break;
	if (!write && copy_to_user(umsrs->entries, entries, size)) {
		kfree(entries);
		return -EFAULT;
	}
	kfree(entries);
	return done;
}

int kvm_dev_get_feature_msrs(struct kvm_msrs __user *msrs)
{
	return msrs_ioctl(NULL, msrs, false);
}

long kvm_vcpu_msrs_ioctl(struct kvm_vcpu *vcpu, struct kvm_msrs __user *msrs, bool write)
{
	return msrs_ioctl(vcpu, msrs, write);
}
