/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which word of struct kvm_guest_cpuid a CPU feature is in, resolved by the compiler. X86_FEATURE_*
 * numbers work where the kernel keeps the CPUID word as the processor reports it. Words that the
 * kernel scatters or does not keep have numbers of their own here, beyond those of the kernel.
 */
#ifndef _KVM_X86_CPU_CPUID_H
#define _KVM_X86_CPU_CPUID_H

#include <linux/kvm_host.h>
#include <asm/cpufeatures.h>

#define KVM_OWN_FEATURES	(64 * 32)
#define KVM_OWN_FEATURE(word, bit) (KVM_OWN_FEATURES + (word) * 32 + (bit))

#define KVM_X86_FEATURE_INVARIANT_TSC	KVM_OWN_FEATURE(KVM_CPUID_8000_0007_EDX, 8)
#define KVM_X86_FEATURE_AVX_VNNI_INT8	KVM_OWN_FEATURE(KVM_CPUID_7_1_EDX, 4)
#define KVM_X86_FEATURE_AVX_NE_CONVERT	KVM_OWN_FEATURE(KVM_CPUID_7_1_EDX, 5)
#define KVM_X86_FEATURE_AVX_VNNI_INT16	KVM_OWN_FEATURE(KVM_CPUID_7_1_EDX, 10)
#define KVM_X86_FEATURE_PREFETCHITI	KVM_OWN_FEATURE(KVM_CPUID_7_1_EDX, 14)
#define KVM_X86_FEATURE_INTEL_PSFD	KVM_OWN_FEATURE(KVM_CPUID_7_2_EDX, 0)
#define KVM_X86_FEATURE_IPRED_CTRL	KVM_OWN_FEATURE(KVM_CPUID_7_2_EDX, 1)
#define KVM_X86_FEATURE_RRSBA_CTRL	KVM_OWN_FEATURE(KVM_CPUID_7_2_EDX, 2)
#define KVM_X86_FEATURE_DDPD_U		KVM_OWN_FEATURE(KVM_CPUID_7_2_EDX, 3)
#define KVM_X86_FEATURE_BHI_CTRL	KVM_OWN_FEATURE(KVM_CPUID_7_2_EDX, 4)
#define KVM_X86_FEATURE_MCDT_NO		KVM_OWN_FEATURE(KVM_CPUID_7_2_EDX, 5)

/* The word that holds a feature, or -1: no guest can be asked for it. */
static __always_inline int kvm_cpuid_word(unsigned int feature)
{
	if (feature >= KVM_OWN_FEATURES)
		return feature / 32 - KVM_OWN_FEATURES / 32;

	switch (feature / 32) {
	case CPUID_1_EDX:		return KVM_CPUID_1_EDX;
	case CPUID_1_ECX:		return KVM_CPUID_1_ECX;
	case CPUID_6_EAX:		return KVM_CPUID_6_EAX;
	case CPUID_7_0_EBX:		return KVM_CPUID_7_0_EBX;
	case CPUID_7_ECX:		return KVM_CPUID_7_0_ECX;
	case CPUID_7_EDX:		return KVM_CPUID_7_0_EDX;
	case CPUID_7_1_EAX:		return KVM_CPUID_7_1_EAX;
	case CPUID_D_1_EAX:		return KVM_CPUID_D_1_EAX;
	case CPUID_8000_0001_ECX:	return KVM_CPUID_8000_0001_ECX;
	case CPUID_8000_0001_EDX:	return KVM_CPUID_8000_0001_EDX;
	case CPUID_8000_0008_EBX:	return KVM_CPUID_8000_0008_EBX;
	case CPUID_8000_000A_EDX:	return KVM_CPUID_8000_000A_EDX;
	case CPUID_8000_0021_EAX:	return KVM_CPUID_8000_0021_EAX;
	default:			return -1;
	}
}

/* Does the CPUID that userspace gave the guest have @feature, a constant? */
static __always_inline bool kvm_guest_has(struct kvm_vcpu *vcpu, unsigned int feature)
{
	BUILD_BUG_ON(!__builtin_constant_p(feature) || kvm_cpuid_word(feature) < 0);

	return vcpu->arch.cpuid.words[kvm_cpuid_word(feature)] & BIT(feature % 32);
}

#endif
