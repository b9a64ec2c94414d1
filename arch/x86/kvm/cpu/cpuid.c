// SPDX-License-Identifier: GPL-2.0
/*
 * CPUID: what guests are offered (KVM_GET_SUPPORTED_CPUID), what userspace gave one guest
 * (KVM_SET_CPUID2), and the instruction itself. Owns kvm_cpu_caps and vcpu->arch.cpuid; features
 * that depend on a vendor's hardware are added or taken away by its init_cpu_caps(). The leaves
 * are those of APM 3, appendix E, and SDM 2A, CPUID.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../irqchip/irqchip.h"
#include "../pv/pv.h"
#include "../x86.h"
#include "../trace.h"
#include "cpuid.h"
#include "regs.h"

#define BASIC_MAX_LEAF		0x1fu
#define EXTENDED_BASE		0x80000000u
#define EXTENDED_MAX_LEAF	0x80000021u
#define CENTAUR_BASE		0xc0000000u
#define CENTAUR_MAX_LEAF	0xc0000004u
#define LAST_XFEATURE		63

u32 kvm_cpu_caps[KVM_CPUID_NR_WORDS];

/* Where each word comes from. */
static const struct {
	u32 function, index;
	u8 reg;				/* EAX, EBX, ECX, EDX: 0..3 */
	s8 kernel_word;			/* of boot_cpu_data.x86_capability, -1: not there */
} word_source[KVM_CPUID_NR_WORDS] = {
	[KVM_CPUID_1_ECX]	  = { 1, 0, 2, CPUID_1_ECX },
	[KVM_CPUID_1_EDX]	  = { 1, 0, 3, CPUID_1_EDX },
	[KVM_CPUID_6_EAX]	  = { 6, 0, 0, CPUID_6_EAX },
	[KVM_CPUID_7_0_EBX]	  = { 7, 0, 1, CPUID_7_0_EBX },
	[KVM_CPUID_7_0_ECX]	  = { 7, 0, 2, CPUID_7_ECX },
	[KVM_CPUID_7_0_EDX]	  = { 7, 0, 3, CPUID_7_EDX },
	[KVM_CPUID_7_1_EAX]	  = { 7, 1, 0, CPUID_7_1_EAX },
	[KVM_CPUID_7_1_EDX]	  = { 7, 1, 3, -1 },
	[KVM_CPUID_7_2_EDX]	  = { 7, 2, 3, -1 },
	[KVM_CPUID_D_1_EAX]	  = { 0xd, 1, 0, CPUID_D_1_EAX },
	[KVM_CPUID_8000_0001_ECX] = { 0x80000001, 0, 2, CPUID_8000_0001_ECX },
	[KVM_CPUID_8000_0001_EDX] = { 0x80000001, 0, 3, CPUID_8000_0001_EDX },
	[KVM_CPUID_8000_0007_EDX] = { 0x80000007, 0, 3, -1 },
	[KVM_CPUID_8000_0008_EBX] = { 0x80000008, 0, 1, CPUID_8000_0008_EBX },
	[KVM_CPUID_8000_000A_EDX] = { 0x8000000a, 0, 3, CPUID_8000_000A_EDX },
	[KVM_CPUID_8000_0021_EAX] = { 0x80000021, 0, 0, CPUID_8000_0021_EAX },
};

/* A guest may use these as soon as the processor and the kernel have them. */
static const u16 offered_if_present[] = {
	/* the basic set */
	X86_FEATURE_FPU, X86_FEATURE_VME, X86_FEATURE_DE, X86_FEATURE_PSE, X86_FEATURE_TSC,
	X86_FEATURE_MSR, X86_FEATURE_PAE, X86_FEATURE_MCE, X86_FEATURE_CX8, X86_FEATURE_APIC,
	X86_FEATURE_SEP, X86_FEATURE_MTRR, X86_FEATURE_PGE, X86_FEATURE_MCA, X86_FEATURE_CMOV,
	X86_FEATURE_PAT, X86_FEATURE_PSE36, X86_FEATURE_CLFLUSH, X86_FEATURE_SELFSNOOP,
	X86_FEATURE_SYSCALL, X86_FEATURE_NX, X86_FEATURE_LM, X86_FEATURE_GBPAGES,
	X86_FEATURE_RDTSCP, X86_FEATURE_CX16, X86_FEATURE_LAHF_LM, X86_FEATURE_CR8_LEGACY,
	KVM_X86_FEATURE_INVARIANT_TSC,
	/* memory protection and address spaces */
	X86_FEATURE_SMEP, X86_FEATURE_SMAP, X86_FEATURE_UMIP, X86_FEATURE_FSGSBASE,
	X86_FEATURE_PCID, X86_FEATURE_INVPCID,
	/* general instructions */
	X86_FEATURE_MOVBE, X86_FEATURE_POPCNT, X86_FEATURE_ABM, X86_FEATURE_BMI1,
	X86_FEATURE_BMI2, X86_FEATURE_TBM, X86_FEATURE_ADX, X86_FEATURE_ERMS, X86_FEATURE_FSRM,
	X86_FEATURE_FZRM, X86_FEATURE_FSRS, X86_FEATURE_FSRC, X86_FEATURE_RDRAND,
	X86_FEATURE_RDSEED, X86_FEATURE_RDPID, X86_FEATURE_SERIALIZE, X86_FEATURE_MOVDIRI,
	X86_FEATURE_MOVDIR64B, X86_FEATURE_CMPCCXADD, KVM_X86_FEATURE_PREFETCHITI,
	/* caches */
	X86_FEATURE_CLFLUSHOPT, X86_FEATURE_CLWB, X86_FEATURE_CLDEMOTE, X86_FEATURE_CLZERO,
	X86_FEATURE_WBNOINVD, X86_FEATURE_3DNOWPREFETCH, X86_FEATURE_TOPOEXT,
	/* x87 and vectors */
	X86_FEATURE_MMX, X86_FEATURE_FXSR, X86_FEATURE_XMM, X86_FEATURE_XMM2, X86_FEATURE_XMM3,
	X86_FEATURE_SSSE3, X86_FEATURE_XMM4_1, X86_FEATURE_XMM4_2, X86_FEATURE_SSE4A,
	X86_FEATURE_MISALIGNSSE, X86_FEATURE_MMXEXT, X86_FEATURE_FXSR_OPT,
	X86_FEATURE_3DNOWEXT, X86_FEATURE_3DNOW, X86_FEATURE_FDP_EXCPTN_ONLY,
	X86_FEATURE_ZERO_FCS_FDS, X86_FEATURE_XSAVEERPTR, X86_FEATURE_PCLMULQDQ,
	X86_FEATURE_AES, X86_FEATURE_SHA_NI, X86_FEATURE_GFNI, X86_FEATURE_XSAVE,
	X86_FEATURE_XSAVEOPT, X86_FEATURE_XSAVEC, X86_FEATURE_XGETBV1, X86_FEATURE_XSAVES,
	/* transactions */
	X86_FEATURE_HLE, X86_FEATURE_RTM, X86_FEATURE_TSXLDTRK,
	/* speculation: controls, barriers and what the processor need not fear */
	X86_FEATURE_SPEC_CTRL, X86_FEATURE_INTEL_STIBP, X86_FEATURE_SPEC_CTRL_SSBD,
	X86_FEATURE_ARCH_CAPABILITIES, X86_FEATURE_FLUSH_L1D, X86_FEATURE_MD_CLEAR,
	KVM_X86_FEATURE_INTEL_PSFD, KVM_X86_FEATURE_IPRED_CTRL, KVM_X86_FEATURE_RRSBA_CTRL,
	KVM_X86_FEATURE_DDPD_U, KVM_X86_FEATURE_BHI_CTRL, KVM_X86_FEATURE_MCDT_NO,
	X86_FEATURE_AMD_IBPB, X86_FEATURE_AMD_IBRS, X86_FEATURE_AMD_STIBP,
	X86_FEATURE_AMD_STIBP_ALWAYS_ON, X86_FEATURE_AMD_SSBD, X86_FEATURE_AMD_SSB_NO,
	X86_FEATURE_AMD_PSFD, X86_FEATURE_BTC_NO, X86_FEATURE_AMD_IBPB_RET,
	X86_FEATURE_NO_NESTED_DATA_BP, X86_FEATURE_LFENCE_RDTSC, X86_FEATURE_VERW_CLEAR,
	X86_FEATURE_NULL_SEL_CLR_BASE, X86_FEATURE_AUTOIBRS, X86_FEATURE_NO_SMM_CTL_MSR,
	X86_FEATURE_SBPB, X86_FEATURE_IBPB_BRTYPE, X86_FEATURE_SRSO_NO,
	X86_FEATURE_SRSO_USER_KERNEL_NO, X86_FEATURE_OSVW,
};

/* These need XCR0 components besides. */
static const struct {
	u16 feature;
	u64 xfeatures;
} offered_with_xcr0[] = {
	{ X86_FEATURE_AVX, XFEATURE_MASK_YMM },
	{ X86_FEATURE_FMA, XFEATURE_MASK_YMM },
	{ X86_FEATURE_F16C, XFEATURE_MASK_YMM },
	{ X86_FEATURE_XOP, XFEATURE_MASK_YMM },
	{ X86_FEATURE_FMA4, XFEATURE_MASK_YMM },
	{ X86_FEATURE_AVX2, XFEATURE_MASK_YMM },
	{ X86_FEATURE_VAES, XFEATURE_MASK_YMM },
	{ X86_FEATURE_VPCLMULQDQ, XFEATURE_MASK_YMM },
	{ X86_FEATURE_AVX_VNNI, XFEATURE_MASK_YMM },
	{ X86_FEATURE_AVX_IFMA, XFEATURE_MASK_YMM },
	{ KVM_X86_FEATURE_AVX_VNNI_INT8, XFEATURE_MASK_YMM },
	{ KVM_X86_FEATURE_AVX_NE_CONVERT, XFEATURE_MASK_YMM },
	{ KVM_X86_FEATURE_AVX_VNNI_INT16, XFEATURE_MASK_YMM },
	{ X86_FEATURE_AVX512F, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512DQ, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512IFMA, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512PF, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512ER, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512CD, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512BW, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512VL, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512VBMI, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512_VBMI2, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512_VNNI, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512_BITALG, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512_VPOPCNTDQ, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512_4VNNIW, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512_4FMAPS, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512_VP2INTERSECT, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512_FP16, XFEATURE_MASK_AVX512 },
	{ X86_FEATURE_AVX512_BF16, XFEATURE_MASK_AVX512 },
};

/* Bits of leaf 0x80000001 EDX that repeat those of leaf 1 EDX on AMD (APM 3, E.4.2). */
#define AMD_ALIASES	0x0183f3ffu

/* ---- what guests are offered ----------------------------------------------------------------- */

void kvm_cpu_cap_set(unsigned int feature)
{
	int word = kvm_cpuid_word(feature);

	if (word >= 0)
		kvm_cpu_caps[word] |= BIT(feature % 32);
}
EXPORT_SYMBOL_GPL(kvm_cpu_cap_set);

void kvm_cpu_cap_clear(unsigned int feature)
{
	int word = kvm_cpuid_word(feature);

	if (word >= 0)
		kvm_cpu_caps[word] &= ~BIT(feature % 32);
}
EXPORT_SYMBOL_GPL(kvm_cpu_cap_clear);

bool kvm_cpu_cap_has(unsigned int feature)
{
	int word = kvm_cpuid_word(feature);

	return word >= 0 && (kvm_cpu_caps[word] & BIT(feature % 32));
}
EXPORT_SYMBOL_GPL(kvm_cpu_cap_has);

static bool host_has_leaf(u32 function)
{
	return function <= cpuid_eax(function & EXTENDED_BASE);
}

static u32 host_reg(u32 function, u32 index, unsigned int reg)
{
	u32 r[4];

	if (!host_has_leaf(function) || (function == 7 && index > cpuid_eax(7)))
		return 0;
	cpuid_count(function, index, &r[0], &r[1], &r[2], &r[3]);
	return r[reg];
}

static bool host_is_amd(void)
{
	return boot_cpu_data.x86_vendor == X86_VENDOR_AMD ||
	       boot_cpu_data.x86_vendor == X86_VENDOR_HYGON;
}

/* MSR_IA32_SPEC_CTRL and PRED_CMD have two names in CPUID, AMD's and Intel's: offer both. */
static void offer_speculation_controls(void)
{
	if (boot_cpu_has(X86_FEATURE_IBRS) && boot_cpu_has(X86_FEATURE_IBPB))
		kvm_cpu_cap_set(X86_FEATURE_SPEC_CTRL);
	if (boot_cpu_has(X86_FEATURE_STIBP)) {
		kvm_cpu_cap_set(X86_FEATURE_INTEL_STIBP);
		kvm_cpu_cap_set(X86_FEATURE_AMD_STIBP);
	}
	if (boot_cpu_has(X86_FEATURE_IBRS))
		kvm_cpu_cap_set(X86_FEATURE_AMD_IBRS);
	if (boot_cpu_has(X86_FEATURE_IBPB))
		kvm_cpu_cap_set(X86_FEATURE_AMD_IBPB);
	if (boot_cpu_has(X86_FEATURE_SPEC_CTRL_SSBD) || boot_cpu_has(X86_FEATURE_AMD_SSBD)) {
		kvm_cpu_cap_set(X86_FEATURE_SPEC_CTRL_SSBD);
		kvm_cpu_cap_set(X86_FEATURE_AMD_SSBD);
	}
	if (!boot_cpu_has_bug(X86_BUG_SPEC_STORE_BYPASS))
		kvm_cpu_cap_set(X86_FEATURE_AMD_SSB_NO);
}

/* Features that the kernel's view of the processor, or the MMU, says more about than CPUID. */
static void offer_exceptions(const u32 *host)
{
	/* The kernel clears LA57 when it does not use it itself; CR4.PKE it must have set. */
	if (host_reg(7, 0, 2) & BIT(X86_FEATURE_LA57 % 32))
		kvm_cpu_cap_set(X86_FEATURE_LA57);
	if (boot_cpu_has(X86_FEATURE_OSPKE))
		kvm_cpu_cap_set(X86_FEATURE_PKU);

	if (host_is_amd())
		kvm_cpu_caps[KVM_CPUID_8000_0001_EDX] |=
			host[KVM_CPUID_8000_0001_EDX] & kvm_cpu_caps[KVM_CPUID_1_EDX] & AMD_ALIASES;
	if (boot_cpu_has(X86_FEATURE_LFENCE_RDTSC))
		kvm_cpu_cap_set(X86_FEATURE_LFENCE_RDTSC);
	if (host_is_amd()) {
		kvm_cpu_cap_set(X86_FEATURE_NO_SMM_CTL_MSR);
		if (!boot_cpu_has_bug(X86_BUG_NULL_SEG))
			kvm_cpu_cap_set(X86_FEATURE_NULL_SEL_CLR_BASE);
	}
	if (!kvm_hw.supported_xcr0) {
		kvm_cpu_cap_clear(X86_FEATURE_XSAVE);
		kvm_cpu_caps[KVM_CPUID_D_1_EAX] = 0;
	}
}

void kvm_cpu_caps_init(void)
{
	u32 host[KVM_CPUID_NR_WORDS];
	unsigned int i;
	int word;

	memset(kvm_cpu_caps, 0, sizeof(kvm_cpu_caps));

	/* What the kernel switched off stays off for guests. */
	for (i = 0; i < KVM_CPUID_NR_WORDS; i++) {
		host[i] = host_reg(word_source[i].function, word_source[i].index,
				   word_source[i].reg);
		if (word_source[i].kernel_word >= 0)
			host[i] &= boot_cpu_data.x86_capability[word_source[i].kernel_word];
	}

	for (i = 0; i < ARRAY_SIZE(offered_if_present); i++) {
		word = kvm_cpuid_word(offered_if_present[i]);
		kvm_cpu_caps[word] |= host[word] & BIT(offered_if_present[i] % 32);
	}
	for (i = 0; i < ARRAY_SIZE(offered_with_xcr0); i++) {
		if (offered_with_xcr0[i].xfeatures & ~kvm_hw.supported_xcr0)
			continue;
		word = kvm_cpuid_word(offered_with_xcr0[i].feature);
		kvm_cpu_caps[word] |= host[word] & BIT(offered_with_xcr0[i].feature % 32);
	}

	offer_exceptions(host);
	offer_speculation_controls();

	/* Made by software. */
	kvm_cpu_cap_set(X86_FEATURE_HYPERVISOR);
	/* Of the local APIC in the kernel: VMMs that have their own take it away. */
	kvm_cpu_cap_set(X86_FEATURE_X2APIC);
	kvm_cpu_cap_set(X86_FEATURE_TSC_ADJUST);
	kvm_cpu_cap_set(X86_FEATURE_ARAT);
}

/* ---- KVM_GET_SUPPORTED_CPUID ----------------------------------------------------------------- */

struct cpuid_list {
	struct kvm_cpuid_entry2 *entries;
	unsigned int nent, max;
	bool overflow;
	struct kvm_cpuid_entry2 excess;	/* where entries go for which there is no room */
};

static struct kvm_cpuid_entry2 *leaf_add(struct cpuid_list *list, u32 function, u32 index,
					 bool indexed)
{
	struct kvm_cpuid_entry2 *e = &list->excess;

	if (list->nent < list->max)
		e = &list->entries[list->nent++];
	else
		list->overflow = true;
	memset(e, 0, sizeof(*e));
	e->function = function;
	e->index = index;
	if (indexed)
		e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	return e;
}

/* The same, filled with what the processor says. */
static struct kvm_cpuid_entry2 *leaf_add_host(struct cpuid_list *list, u32 function, u32 index,
					      bool indexed)
{
	struct kvm_cpuid_entry2 *e = leaf_add(list, function, index, indexed);

	cpuid_count(function, index, &e->eax, &e->ebx, &e->ecx, &e->edx);
	return e;
}

/* Subleaves 0, 1, ... as long as EAX[4:0], the type of cache, is not zero (APM 3, E.4.15). */
static void leaf_add_caches(struct cpuid_list *list, u32 function)
{
	struct kvm_cpuid_entry2 *e;
	u32 index = 0;

	do
		e = leaf_add_host(list, function, index++, true);
	while ((e->eax & 0x1f) && index < 32);
}

static void leaf_add_xsave(struct cpuid_list *list)
{
	u64 all = kvm_hw.supported_xcr0 | kvm_hw.supported_xss;
	struct kvm_cpuid_entry2 *e = leaf_add(list, 0xd, 0, true);
	unsigned int i;

	e->eax = kvm_hw.supported_xcr0;
	e->ebx = kvm_xstate_size(kvm_hw.supported_xcr0, false);
	e->ecx = e->ebx;
	e->edx = kvm_hw.supported_xcr0 >> 32;
	if (!kvm_hw.supported_xcr0) {
		e->ebx = 0;
		e->ecx = 0;
		return;
	}

	e = leaf_add(list, 0xd, 1, true);
	e->eax = kvm_cpu_caps[KVM_CPUID_D_1_EAX];
	if (kvm_cpu_cap_has(X86_FEATURE_XSAVEC) || kvm_cpu_cap_has(X86_FEATURE_XSAVES))
		e->ebx = kvm_xstate_size(all, true);
	e->ecx = kvm_hw.supported_xss;
	e->edx = kvm_hw.supported_xss >> 32;

	for (i = 2; i <= LAST_XFEATURE; i++) {
		if (!(all & BIT_ULL(i)))
			continue;
		e = leaf_add_host(list, 0xd, i, true);
		e->edx = 0;
	}
}

static void leaf_add_features(struct cpuid_list *list)
{
	struct kvm_cpuid_entry2 *e = leaf_add(list, 7, 0, true);
	u32 max = host_has_leaf(7) ? min(cpuid_eax(7), 2u) : 0;

	e->eax = max;
	e->ebx = kvm_cpu_caps[KVM_CPUID_7_0_EBX];
	e->ecx = kvm_cpu_caps[KVM_CPUID_7_0_ECX];
	e->edx = kvm_cpu_caps[KVM_CPUID_7_0_EDX];
	if (max >= 1) {
		e = leaf_add(list, 7, 1, true);
		e->eax = kvm_cpu_caps[KVM_CPUID_7_1_EAX];
		e->edx = kvm_cpu_caps[KVM_CPUID_7_1_EDX];
	}
	if (max >= 2) {
		e = leaf_add(list, 7, 2, true);
		e->edx = kvm_cpu_caps[KVM_CPUID_7_2_EDX];
	}
}

static void leaf_add_basic(struct cpuid_list *list, u32 function)
{
	struct kvm_cpuid_entry2 *e;

	switch (function) {
	case 1:
		e = leaf_add_host(list, 1, 0, false);
		e->ebx &= 0xffff;	/* brand and CLFLUSH size; the rest is topology */
		e->ecx = kvm_cpu_caps[KVM_CPUID_1_ECX];
		e->edx = kvm_cpu_caps[KVM_CPUID_1_EDX];
		break;
	case 2:
		leaf_add_host(list, 2, 0, false);
		break;
	case 4:
		leaf_add_caches(list, 4);
		break;
	case 6:
		e = leaf_add(list, 6, 0, false);
		e->eax = kvm_cpu_caps[KVM_CPUID_6_EAX];
		break;
	case 7:
		leaf_add_features(list);
		break;
	case 0xd:
		leaf_add_xsave(list);
		break;
	case 0xb:
	case 0xf:
	case 0x10:
	case 0x12:
	case 0x14:
	case 0x17:
	case 0x18:
	case 0x1d:
	case 0x1e:
	case 0x1f:
		/* Topology is userspace's; resource control, SGX, PT and AMX are not offered. */
		leaf_add(list, function, 0, true);
		break;
	default:
		leaf_add(list, function, 0, false);
		break;
	}
}

/* Address sizes: without two-dimensional paging the tables are the host's own. */
static void fill_address_sizes(struct kvm_cpuid_entry2 *e)
{
	u32 phys = kvm_hw.npt ? kvm_hw.host_phys_bits : boot_cpu_data.x86_phys_bits;
	u32 virt = max((e->eax >> 8) & 0xff, 48u);
	u32 guest_phys = 0;

	if (!phys)
		phys = e->eax & 0xff;
	if (!kvm_cpu_cap_has(X86_FEATURE_LA57))
		virt = 48;
	if (kvm_hw.npt && kvm_hw.max_tdp_level == 4 && phys > 48)
		guest_phys = 48;	/* four levels map no more */
	e->eax = phys | virt << 8 | guest_phys << 16;
	e->ebx = kvm_cpu_caps[KVM_CPUID_8000_0008_EBX];
	e->ecx = 0;
	e->edx = 0;
}

static void leaf_add_extended(struct cpuid_list *list, u32 function)
{
	struct kvm_cpuid_entry2 *e;

	switch (function) {
	case 0x80000001:
		e = leaf_add_host(list, function, 0, false);
		e->ecx = kvm_cpu_caps[KVM_CPUID_8000_0001_ECX];
		e->edx = kvm_cpu_caps[KVM_CPUID_8000_0001_EDX];
		break;
	case 0x80000002:
	case 0x80000003:
	case 0x80000004:
	case 0x80000005:
	case 0x80000006:
	case 0x80000019:
		leaf_add_host(list, function, 0, false);
		break;
	case 0x80000007:
		e = leaf_add(list, function, 0, false);
		e->edx = kvm_cpu_caps[KVM_CPUID_8000_0007_EDX];
		break;
	case 0x80000008:
		e = leaf_add_host(list, function, 0, false);
		fill_address_sizes(e);
		break;
	case 0x8000001a:
		e = leaf_add_host(list, function, 0, false);
		e->eax &= 7;		/* FP128, MOVU, FP256 */
		e->ebx = 0;
		e->ecx = 0;
		e->edx = 0;
		break;
	case 0x8000001d:
		if (kvm_cpu_cap_has(X86_FEATURE_TOPOEXT))
			leaf_add_caches(list, function);
		else
			leaf_add(list, function, 0, true);
		break;
	case 0x80000021:
		e = leaf_add(list, function, 0, false);
		e->eax = kvm_cpu_caps[KVM_CPUID_8000_0021_EAX];
		if (host_has_leaf(function))
			e->ecx = cpuid_ecx(function) & 6;	/* TSA_SQ_NO, TSA_L1_NO */
		break;
	default:
		leaf_add(list, function, 0, false);
		break;
	}
}

static void leaf_add_hypervisor(struct cpuid_list *list)
{
	struct kvm_cpuid_entry2 *e = leaf_add(list, KVM_CPUID_SIGNATURE, 0, false);

	e->eax = KVM_CPUID_FEATURES;
	memcpy(&e->ebx, KVM_SIGNATURE, 4);
	memcpy(&e->ecx, &KVM_SIGNATURE[4], 4);
	memcpy(&e->edx, &KVM_SIGNATURE[8], 4);

	e = leaf_add(list, KVM_CPUID_FEATURES, 0, false);
	e->eax = kvm_pv_features();
}

static void leaf_add_centaur(struct cpuid_list *list)
{
	struct kvm_cpuid_entry2 *e;
	u32 max, function;

	if (boot_cpu_data.x86_vendor != X86_VENDOR_CENTAUR &&
	    boot_cpu_data.x86_vendor != X86_VENDOR_ZHAOXIN)
		return;
	max = cpuid_eax(CENTAUR_BASE);
	if (max < CENTAUR_BASE)
		return;
	e = leaf_add(list, CENTAUR_BASE, 0, false);
	e->eax = min(max, CENTAUR_MAX_LEAF);
	for (function = CENTAUR_BASE + 1; function <= e->eax; function++)
		leaf_add(list, function, 0, false)->edx = function == CENTAUR_BASE + 1 ?
			boot_cpu_data.x86_capability[CPUID_C000_0001_EDX] : 0;
}

static void list_supported(struct cpuid_list *list)
{
	struct kvm_cpuid_entry2 *e;
	u32 function, max;

	e = leaf_add_host(list, 0, 0, false);
	max = min(e->eax, BASIC_MAX_LEAF);
	e->eax = max;
	for (function = 1; function <= max; function++)
		leaf_add_basic(list, function);

	leaf_add_hypervisor(list);

	e = leaf_add_host(list, EXTENDED_BASE, 0, false);
	max = min(e->eax, EXTENDED_MAX_LEAF);
	if (host_is_amd() && kvm_cpu_caps[KVM_CPUID_8000_0021_EAX] && max >= 0x80000008)
		max = EXTENDED_MAX_LEAF;
	e->eax = max;
	for (function = EXTENDED_BASE + 1; function <= max; function++)
		leaf_add_extended(list, function);

	leaf_add_centaur(list);
}

/* Instructions that run only because #UD is emulated. */
static void list_emulated(struct cpuid_list *list)
{
	leaf_add(list, 0, 0, false)->eax = 7;
	leaf_add(list, 1, 0, false)->ecx = BIT(X86_FEATURE_MOVBE % 32);
	leaf_add(list, 7, 0, true);
}

/* Entries that come in for KVM_GET_EMULATED_CPUID must have zero pads. */
static bool pads_clear(const struct kvm_cpuid_entry2 __user *entries, unsigned int nent)
{
	u32 pad[3];
	unsigned int i;

	for (i = 0; i < nent; i++)
		if (copy_from_user(pad, entries[i].padding, sizeof(pad)) ||
		    pad[0] || pad[1] || pad[2])
			return false;
	return true;
}

int kvm_dev_get_cpuid(struct kvm_cpuid2 __user *ucpuid, unsigned int ioctl)
{
	struct cpuid_list list = {};
	struct kvm_cpuid2 head;
	int r = 0;

	if (copy_from_user(&head, ucpuid, sizeof(head)))
		return -EFAULT;
	if (!head.nent)
		return -E2BIG;
	list.max = min_t(u32, head.nent, KVM_MAX_CPUID_ENTRIES);
	if (ioctl == KVM_GET_EMULATED_CPUID && !pads_clear(ucpuid->entries, list.max))
		return -EINVAL;

	list.entries = kvcalloc(list.max, sizeof(*list.entries), GFP_KERNEL_ACCOUNT);
	if (!list.entries)
		return -ENOMEM;
	if (ioctl == KVM_GET_EMULATED_CPUID)
		list_emulated(&list);
	else
		list_supported(&list);

	head.nent = list.nent;
	if (list.overflow)
		r = -E2BIG;
	else if (copy_to_user(ucpuid->entries, list.entries, list.nent * sizeof(*list.entries)) ||
		 copy_to_user(ucpuid, &head, sizeof(head)))
		r = -EFAULT;
	kvfree(list.entries);
	return r;
}

/* ---- a guest's CPUID ------------------------------------------------------------------------- */

static struct kvm_cpuid_entry2 *cpuid_lookup(struct kvm_guest_cpuid *c, u32 function, u32 index)
{
	struct kvm_cpuid_entry2 *e, *end = c->entries + c->nent;
	unsigned int first;

	if (function < ARRAY_SIZE(c->basic))
		first = c->basic[function];
	else if (function - EXTENDED_BASE < ARRAY_SIZE(c->extended))
		first = c->extended[function - EXTENDED_BASE];
	else
		first = c->nent ? 1 : 0;
	if (!first)
		return NULL;

	for (e = c->entries + first - 1; e < end; e++)
		if (e->function == function &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index))
			return e;
	return NULL;
}

struct kvm_cpuid_entry2 *kvm_find_cpuid(struct kvm_vcpu *vcpu, u32 function, u32 index)
{
	return cpuid_lookup(&vcpu->arch.cpuid, function, index);
}

static void cpuid_build_index(struct kvm_guest_cpuid *c)
{
	unsigned int i, slot;
	u16 *first;

	for (i = 0; i < c->nent; i++) {
		if (c->entries[i].function < ARRAY_SIZE(c->basic)) {
			slot = c->entries[i].function;
			first = c->basic;
		} else if (c->entries[i].function - EXTENDED_BASE < ARRAY_SIZE(c->extended)) {
			slot = c->entries[i].function - EXTENDED_BASE;
			first = c->extended;
		} else {
			continue;
		}
		if (!first[slot])
			first[slot] = i + 1;
	}
}

static u32 entry_reg(const struct kvm_cpuid_entry2 *e, unsigned int reg)
{
	switch (reg) {
	case 0:
		return e->eax;
	case 1:
		return e->ebx;
	case 2:
		return e->ecx;
	default:
		return e->edx;
	}
}

static void assign_bit32(u32 *word, unsigned int feature, bool value)
{
	*word &= ~BIT(feature % 32);
	if (value)
		*word |= BIT(feature % 32);
}

/*
 * The leaf after the one with KVM's signature, which has its usual place unless userspace shows the
 * guest another hypervisor there.
 */
static struct kvm_cpuid_entry2 *cpuid_pv_leaf(struct kvm_guest_cpuid *c)
{
	struct kvm_cpuid_entry2 *e, *end = c->entries + c->nent;

	for (e = c->entries; e < end; e++) {
		if ((e->function & ~0xff00u) != KVM_CPUID_SIGNATURE ||
		    memcmp(&e->ebx, KVM_SIGNATURE, 4) || memcmp(&e->ecx, &KVM_SIGNATURE[4], 4) ||
		    memcmp(&e->edx, &KVM_SIGNATURE[8], 4))
			continue;
		return cpuid_lookup(c, e->function + (KVM_CPUID_FEATURES - KVM_CPUID_SIGNATURE), 0);
	}
	return NULL;
}

/* The bits and sizes that follow the guest's own registers, and the VM's configuration. */
static void cpuid_apply_runtime(struct kvm_vcpu *vcpu, struct kvm_guest_cpuid *c)
{
	unsigned long cr4 = kvm_read_cr4(vcpu);
	struct kvm_cpuid_entry2 *e;
	u64 xfeatures = vcpu->arch.xcr0;

	e = cpuid_lookup(c, 1, 0);
	if (e) {
		if (e->ecx & BIT(X86_FEATURE_XSAVE % 32))
			assign_bit32(&e->ecx, X86_FEATURE_OSXSAVE, cr4 & X86_CR4_OSXSAVE);
		assign_bit32(&e->edx, X86_FEATURE_APIC,
			     vcpu->arch.apic_base & MSR_IA32_APICBASE_ENABLE);
		if (vcpu->kvm->arch.disabled_quirks & KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT)
			assign_bit32(&e->ecx, X86_FEATURE_MWAIT,
				     vcpu->arch.ia32_misc_enable & MSR_IA32_MISC_ENABLE_MWAIT);
	}

	/* A halt that does not exit is not ended by a call. */
	e = cpuid_pv_leaf(c);
	if (e && (READ_ONCE(vcpu->kvm->arch.exits_disabled) & KVM_X86_DISABLE_EXITS_HLT))
		e->eax &= ~BIT(KVM_FEATURE_PV_UNHALT);

	e = cpuid_lookup(c, 7, 0);
	if (e && e->ecx & BIT(X86_FEATURE_PKU % 32))
		assign_bit32(&e->ecx, X86_FEATURE_OSPKE, cr4 & X86_CR4_PKE);

	e = cpuid_lookup(c, 0xd, 0);
	if (e)
		e->ebx = kvm_xstate_size(xfeatures, false);
	e = cpuid_lookup(c, 0xd, 1);
	if (e && e->eax & (BIT(X86_FEATURE_XSAVES % 32) | BIT(X86_FEATURE_XSAVEC % 32)))
		e->ebx = kvm_xstate_size(xfeatures | vcpu->arch.ia32_xss, true);
}

static void cpuid_build_words(struct kvm_guest_cpuid *c)
{
	struct kvm_cpuid_entry2 *e;
	unsigned int i;

	for (i = 0; i < KVM_CPUID_NR_WORDS; i++) {
		e = cpuid_lookup(c, word_source[i].function, word_source[i].index);
		c->words[i] = e ? entry_reg(e, word_source[i].reg) : 0;
	}
}

/* Bits of CR4 that exist only with a feature of the guest's CPUID (SDM 3, 2.5; APM 2, 3.1.3). */
static const struct {
	u64 bits;
	u16 feature;
} cr4_needs[] = {
	{ X86_CR4_VME | X86_CR4_PVI, X86_FEATURE_VME },
	{ X86_CR4_TSD, X86_FEATURE_TSC },
	{ X86_CR4_DE, X86_FEATURE_DE },
	{ X86_CR4_PSE, X86_FEATURE_PSE },
	{ X86_CR4_PAE, X86_FEATURE_PAE },
	{ X86_CR4_MCE, X86_FEATURE_MCE },
	{ X86_CR4_PGE, X86_FEATURE_PGE },
	{ X86_CR4_OSFXSR, X86_FEATURE_FXSR },
	{ X86_CR4_OSXMMEXCPT, X86_FEATURE_XMM },
	{ X86_CR4_UMIP, X86_FEATURE_UMIP },
	{ X86_CR4_LA57, X86_FEATURE_LA57 },
	{ X86_CR4_FSGSBASE, X86_FEATURE_FSGSBASE },
	{ X86_CR4_PCIDE, X86_FEATURE_PCID },
	{ X86_CR4_OSXSAVE, X86_FEATURE_XSAVE },
	{ X86_CR4_SMEP, X86_FEATURE_SMEP },
	{ X86_CR4_SMAP, X86_FEATURE_SMAP },
	{ X86_CR4_PKE, X86_FEATURE_PKU },
};

/* Few processors tie these old bits to CPUID, and userspace may leave the leaves out. */
#define CR4_ALWAYS	(X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | \
			 X86_CR4_PAE | X86_CR4_MCE | X86_CR4_PGE | X86_CR4_PCE | \
			 X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT)

static u64 cpuid_cr4_reserved(const struct kvm_guest_cpuid *c)
{
	u64 allowed = CR4_ALWAYS;
	unsigned int i;
	u32 guest;

	for (i = 0; i < ARRAY_SIZE(cr4_needs); i++) {
		guest = c->words[kvm_cpuid_word(cr4_needs[i].feature)];
		if (kvm_cpu_cap_has(cr4_needs[i].feature) &&
		    (!c->nent || guest & BIT(cr4_needs[i].feature % 32)))
			allowed |= cr4_needs[i].bits;
	}
	return ~allowed;
}

static bool vendor_string_is(const struct kvm_cpuid_entry2 *e, const char *name)
{
	return !memcmp(&e->ebx, name, 4) && !memcmp(&e->edx, name + 4, 4) &&
	       !memcmp(&e->ecx, name + 8, 4);
}

/* Everything that is kept ready because somebody asks for it often. */
static void cpuid_digest(struct kvm_guest_cpuid *c)
{
	struct kvm_cpuid_entry2 *e;

	cpuid_build_index(c);
	cpuid_build_words(c);

	e = cpuid_lookup(c, 0, 0);
	c->max_basic = e ? e->eax : 0;
	c->vendor_amd = e && (vendor_string_is(e, "AuthenticAMD") ||
			      vendor_string_is(e, "HygonGenuine"));
	e = cpuid_lookup(c, EXTENDED_BASE, 0);
	c->max_extended = e ? e->eax : 0;

	e = c->max_extended >= 0x80000008 ? cpuid_lookup(c, 0x80000008, 0) : NULL;
	c->maxphyaddr = e ? clamp_t(u32, e->eax & 0xff, 32, 52) : 36;
	c->gpa_reserved = GENMASK_ULL(63, c->maxphyaddr);

	e = cpuid_lookup(c, 0xd, 0);
	c->xcr0_allowed = e ? (e->eax | (u64)e->edx << 32) & kvm_hw.supported_xcr0 : 0;
	e = cpuid_lookup(c, 0xd, 1);
	c->xss_allowed = e ? (e->ecx | (u64)e->edx << 32) & kvm_hw.supported_xss : 0;
	c->cr4_reserved = cpuid_cr4_reserved(c);
	e = cpuid_pv_leaf(c);
	c->pv_features = e ? e->eax : 0;
}

void kvm_cpuid_vcpu_init(struct kvm_vcpu *vcpu)
{
	cpuid_digest(&vcpu->arch.cpuid);
}

void kvm_cpuid_free(struct kvm_vcpu *vcpu)
{
	kvfree(vcpu->arch.cpuid.entries);
	vcpu->arch.cpuid.entries = NULL;
	vcpu->arch.cpuid.nent = 0;
}

void kvm_cpuid_update_runtime(struct kvm_vcpu *vcpu)
{
	struct kvm_guest_cpuid *c = &vcpu->arch.cpuid;
	struct kvm_cpuid_entry2 *e;

	if (!c->nent)
		return;
	cpuid_apply_runtime(vcpu, c);
	e = cpuid_lookup(c, 1, 0);
	if (e) {
		c->words[KVM_CPUID_1_ECX] = e->ecx;
		c->words[KVM_CPUID_1_EDX] = e->edx;
	}
	e = cpuid_lookup(c, 7, 0);
	if (e)
		c->words[KVM_CPUID_7_0_ECX] = e->ecx;
}

static bool same_entries(const struct kvm_guest_cpuid *a, const struct kvm_guest_cpuid *b)
{
	const struct kvm_cpuid_entry2 *x = a->entries, *y = b->entries;
	unsigned int i;

	if (a->nent != b->nent)
		return false;
	for (i = 0; i < a->nent; i++, x++, y++)
		if (x->function != y->function || x->index != y->index || x->flags != y->flags ||
		    x->eax != y->eax || x->ebx != y->ebx || x->ecx != y->ecx || x->edx != y->edx)
			return false;
	return true;
}

static bool address_sizes_valid(struct kvm_guest_cpuid *c)
{
	struct kvm_cpuid_entry2 *e = cpuid_lookup(c, 0x80000008, 0);
	u32 virt = e ? (e->eax >> 8) & 0xff : 0;

	return !virt || virt == 48 || virt == 57;
}

/*
 * Make @entries, @nent the guest's CPUID; takes the array in any case. After the first KVM_RUN
 * only what is there already is accepted: the MMU and the MSRs were set up by it.
 */
static int cpuid_install(struct kvm_vcpu *vcpu, struct kvm_cpuid_entry2 *entries, u32 nent)
{
	struct kvm_guest_cpuid *new;
	int r = 0;

	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new) {
		kvfree(entries);
		return -ENOMEM;
	}
	new->entries = entries;
	new->nent = nent;
	cpuid_build_index(new);
	cpuid_apply_runtime(vcpu, new);

	if (vcpu->pid) {
		if (!same_entries(new, &vcpu->arch.cpuid))
			r = -EINVAL;
		goto free;
	}
	if (!address_sizes_valid(new)) {
		r = -EINVAL;
		goto free;
	}

	cpuid_digest(new);
	swap(*new, vcpu->arch.cpuid);
	if (kvm_x86_ops.cpuid_changed)
		kvm_x86_ops.cpuid_changed(vcpu);
	kvm_lapic_reconfigure(vcpu);
	kvm_mmu_mode_changed(vcpu);
free:
	kvfree(new->entries);
	kfree(new);
	return r;
}

int kvm_vcpu_set_cpuid(struct kvm_vcpu *vcpu, struct kvm_cpuid __user *ucpuid)
{
	struct kvm_cpuid_entry2 *entries = NULL;
	struct kvm_cpuid_entry old;
	struct kvm_cpuid head;
	u32 i;

	if (copy_from_user(&head, ucpuid, sizeof(head)))
		return -EFAULT;
	if (head.nent > KVM_MAX_CPUID_ENTRIES)
		return -E2BIG;
	if (head.nent) {
		entries = kvcalloc(head.nent, sizeof(*entries), GFP_KERNEL_ACCOUNT);
		if (!entries)
			return -ENOMEM;
	}
	for (i = 0; i < head.nent; i++) {
		if (copy_from_user(&old, &ucpuid->entries[i], sizeof(old))) {
			kvfree(entries);
			return -EFAULT;
		}
		entries[i] = (struct kvm_cpuid_entry2) {
			.function = old.function,
			.eax = old.eax, .ebx = old.ebx, .ecx = old.ecx, .edx = old.edx,
		};
	}
	return cpuid_install(vcpu, entries, head.nent);
}

int kvm_vcpu_set_cpuid2(struct kvm_vcpu *vcpu, struct kvm_cpuid2 __user *ucpuid)
{
	struct kvm_cpuid_entry2 *entries = NULL;
	struct kvm_cpuid2 head;

	if (copy_from_user(&head, ucpuid, sizeof(head)))
		return -EFAULT;
	if (head.nent > KVM_MAX_CPUID_ENTRIES)
		return -E2BIG;
	if (head.nent) {
		entries = vmemdup_user(ucpuid->entries, head.nent * sizeof(*entries));
		if (IS_ERR(entries))
			return PTR_ERR(entries);
	}
	return cpuid_install(vcpu, entries, head.nent);
}

int kvm_vcpu_get_cpuid2(struct kvm_vcpu *vcpu, struct kvm_cpuid2 __user *ucpuid)
{
	const struct kvm_guest_cpuid *c = &vcpu->arch.cpuid;
	struct kvm_cpuid2 head;

	if (copy_from_user(&head, ucpuid, sizeof(head)))
		return -EFAULT;
	if (head.nent < c->nent)
		return -E2BIG;
	head.nent = c->nent;
	if (c->nent && copy_to_user(ucpuid->entries, c->entries, c->nent * sizeof(*c->entries)))
		return -EFAULT;
	return copy_to_user(ucpuid, &head, sizeof(head)) ? -EFAULT : 0;
}

/* ---- the instruction ------------------------------------------------------------------------- */

/* The highest leaf of the range that @function is in, 0 when the guest has no such range. */
static u32 range_max(struct kvm_guest_cpuid *c, u32 function)
{
	struct kvm_cpuid_entry2 *e;

	switch (function >> 28) {
	case 4:			/* hypervisors, in steps of 0x100 */
		e = cpuid_lookup(c, function & 0xffffff00, 0);
		break;
	case 8:
		return c->max_extended;
	case 0xc:
		e = cpuid_lookup(c, CENTAUR_BASE, 0);
		break;
	default:
		return c->max_basic;
	}
	return e ? e->eax : 0;
}

/* A leaf that is not there: zeros from AMD, the highest basic leaf's data from Intel (SDM 2A). */
static noinline struct kvm_cpuid_entry2 *cpuid_out_of_range(struct kvm_guest_cpuid *c,
							     u32 function, u32 index)
{
	if (c->vendor_amd || function <= range_max(c, function))
		return NULL;
	return cpuid_lookup(c, c->max_basic, index);
}

/* Topology leaves have no last subleaf: ECX[7:0] and EDX are valid for every one (SDM 2A). */
static void cpuid_topology(struct kvm_guest_cpuid *c, u32 function, u32 index, u32 *ecx, u32 *edx)
{
	struct kvm_cpuid_entry2 *e = cpuid_lookup(c, function, 1);

	if (!e)
		return;
	*ecx = index & 0xff;
	*edx = e->edx;
}

void kvm_cpuid(struct kvm_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	struct kvm_guest_cpuid *c = &vcpu->arch.cpuid;
	u32 function = *eax, index = *ecx;
	struct kvm_cpuid_entry2 *e = cpuid_lookup(c, function, index);
	bool found = e;

	if (unlikely(!e))
		e = cpuid_out_of_range(c, function, index);
	if (likely(e)) {
		*eax = e->eax;
		*ebx = e->ebx;
		*ecx = e->ecx;
		*edx = e->edx;
	} else {
		*eax = 0;
		*ebx = 0;
		*ecx = 0;
		*edx = 0;
		if (function == 0xb || function == 0x1f)
			cpuid_topology(c, function, index, ecx, edx);
	}
	trace_kvm_cpuid(function, index, *eax, *ebx, *ecx, *edx, found, !found && e);
}

int kvm_emulate_cpuid(struct kvm_vcpu *vcpu)
{
	unsigned long *regs = vcpu->arch.regs;
	u32 eax, ebx, ecx, edx;

	if (unlikely(vcpu->arch.msr_misc_features_enables &
		     MSR_MISC_FEATURES_ENABLES_CPUID_FAULT) && vendor(cpl)(vcpu)) {
		kvm_inject_gp(vcpu, 0);
		return 1;
	}
	eax = regs[KVM_RAX];
	ecx = regs[KVM_RCX];
	kvm_cpuid(vcpu, &eax, &ebx, &ecx, &edx);
	regs[KVM_RAX] = eax;
	regs[KVM_RBX] = ebx;
	regs[KVM_RCX] = ecx;
	regs[KVM_RDX] = edx;
	return kvm_skip_insn(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_emulate_cpuid);
