// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's machine check architecture: its banks, KVM_X86_SETUP_MCE, and errors that userspace
 * injects with KVM_X86_SET_MCE. Errors of the host are not seen here. APM 2, chapter 9; SDM 3,
 * chapter 16. Interrupts for errors that are no machine checks (CMCI, 16.5) are Intel's.
 */
#include <linux/nospec.h>
#include <linux/slab.h>
#include <asm/mce.h>

#include "../irqchip/irqchip.h"
#include "../irqchip/lapic_regs.h"
#include "../x86.h"
#include "mce.h"
#include "regs.h"

/* Words of a bank, in the order of the MSRs. */
enum { MCE_CTL, MCE_STATUS, MCE_ADDR, MCE_MISC, MCE_WORDS };

/* Behind the banks' words: a CTL2 for each. */
#define CTL2_WORDS	(KVM_MCE_BANKS * MCE_WORDS)
#define ALL_WORDS	(CTL2_WORDS + KVM_MCE_BANKS)

#define CTL2_BITS	(MCI_CTL2_CMCI_EN | MCI_CTL2_CMCI_THRESHOLD_MASK)

#define HWCR_MC_STATUS_WR_EN	BIT_ULL(18)

/* Ways of software to say "all": Linux leaves out bit 10 for an erratum, AMD guests bit 0. */
#define MCE_CTL_NEARLY_ALL(v)	(((v) | BIT_ULL(10) | 1) == ~0ull)

static unsigned int bank_count(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.mcg_cap & MCG_BANKCNT_MASK;
}

u64 kvm_mce_cap_supported(void)
{
	return MCG_CTL_P | MCG_SER_P | kvm_hw.supported_mce_cap;
}

void kvm_mce_vcpu_init(struct kvm_vcpu *vcpu)
{
	vcpu->arch.mcg_cap = KVM_MCE_BANKS;
}

void kvm_mce_vcpu_free(struct kvm_vcpu *vcpu)
{
	kfree(vcpu->arch.mce_banks);
	vcpu->arch.mce_banks = NULL;
}

/* Few guests write to their banks, so these come with the first write. */
static u64 *mce_banks_get(struct kvm_vcpu *vcpu)
{
	if (!vcpu->arch.mce_banks)
		vcpu->arch.mce_banks = kcalloc(ALL_WORDS, sizeof(u64), GFP_KERNEL_ACCOUNT);
	return vcpu->arch.mce_banks;
}

int kvm_mce_setup(struct kvm_vcpu *vcpu, u64 mcg_cap)
{
	unsigned int banks = mcg_cap & MCG_BANKCNT_MASK, i;
	u64 *bank;

	if (!banks || banks > KVM_MCE_BANKS)
		return -EINVAL;
	if (mcg_cap & ~(kvm_mce_cap_supported() | MCG_BANKCNT_MASK | MCG_EXT_CNT_MASK))
		return -EINVAL;
	bank = mce_banks_get(vcpu);
	if (!bank)
		return -ENOMEM;

	vcpu->arch.mcg_cap = mcg_cap;
	if (mcg_cap & MCG_CTL_P)
		vcpu->arch.mcg_ctl = ~0ull;
	for (i = 0; i < banks; i++)
		bank[i * MCE_WORDS + MCE_CTL] = ~0ull;
	kvm_lapic_reconfigure(vcpu);	/* the LVT of CMCI */
	return 0;
}

static bool is_ctl2(struct kvm_vcpu *vcpu, u32 index)
{
	return index >= MSR_IA32_MC0_CTL2 && index < MSR_IA32_MC0_CTL2 + bank_count(vcpu);
}

/* Index of a bank's MSR in mce_banks; the guest chose it. */
static unsigned int bank_word(struct kvm_vcpu *vcpu, u32 index)
{
	if (is_ctl2(vcpu, index))
		return CTL2_WORDS + array_index_nospec(index - MSR_IA32_MC0_CTL2, KVM_MCE_BANKS);
	return array_index_nospec(index - MSR_IA32_MC0_CTL, CTL2_WORDS);
}

/* ---- MSRs ------------------------------------------------------------------------------------ */

bool kvm_msr_is_mce(struct kvm_vcpu *vcpu, u32 index)
{
	if (index >= MSR_IA32_MCG_CAP && index <= MSR_IA32_MCG_CTL)
		return true;
	if (is_ctl2(vcpu, index))
		return true;
	return index >= MSR_IA32_MC0_CTL &&
	       index < MSR_IA32_MC0_CTL + bank_count(vcpu) * MCE_WORDS;
}

int kvm_mce_get_msr(struct kvm_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	switch (index) {
	case MSR_IA32_MCG_CAP:
		*data = vcpu->arch.mcg_cap;
		return 0;
	case MSR_IA32_MCG_STATUS:
		*data = vcpu->arch.mcg_status;
		return 0;
	case MSR_IA32_MCG_CTL:
		*data = vcpu->arch.mcg_ctl;
		return !host && !(vcpu->arch.mcg_cap & MCG_CTL_P);
	default:
		*data = vcpu->arch.mce_banks ? vcpu->arch.mce_banks[bank_word(vcpu, index)] : 0;
		return !host && is_ctl2(vcpu, index) && !(vcpu->arch.mcg_cap & MCG_CMCI_P);
	}
}

/* Is the value one that the word of a bank can take? */
static bool word_takes(struct kvm_vcpu *vcpu, unsigned int word, u64 data, bool host)
{
	if (word >= CTL2_WORDS) {
		if (!(vcpu->arch.mcg_cap & MCG_CMCI_P))
			return host && !data;
		return !(data & ~(u64)CTL2_BITS);
	}
	switch (word % MCE_WORDS) {
	case MCE_CTL:
		return !data || MCE_CTL_NEARLY_ALL(data);
	case MCE_STATUS:
		return host || !data || vcpu->arch.msr_hwcr & HWCR_MC_STATUS_WR_EN;
	default:
		return true;
	}
}

static int bank_set(struct kvm_vcpu *vcpu, unsigned int word, u64 data, bool host)
{
	u64 *bank;

	if (!word_takes(vcpu, word, data, host))
		return 1;
	if (!data && !vcpu->arch.mce_banks)
		return 0;
	bank = mce_banks_get(vcpu);
	if (!bank)
		return 1;
	bank[word] = data;
	return 0;
}

int kvm_mce_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host)
{
	switch (index) {
	case MSR_IA32_MCG_CAP:
		return 1;
	case MSR_IA32_MCG_STATUS:
		vcpu->arch.mcg_status = data;
		return 0;
	case MSR_IA32_MCG_CTL:
		if (!(vcpu->arch.mcg_cap & MCG_CTL_P) && (data || !host))
			return 1;
		if (data && data != ~0ull)
			return 1;
		vcpu->arch.mcg_ctl = data;
		return 0;
	default:
		return bank_set(vcpu, bank_word(vcpu, index), data, host);
	}
}

/* ---- injection ------------------------------------------------------------------------------- */

static void bank_log(u64 *bank, const struct kvm_x86_mce *mce)
{
	bank[MCE_ADDR] = mce->addr;
	bank[MCE_MISC] = mce->misc;
	bank[MCE_STATUS] = mce->status | (bank[MCE_STATUS] & MCI_STATUS_VAL ? MCI_STATUS_OVER : 0);
}

/* Uncorrected, but nobody has to do anything about it now: no machine check (SDM 3, 16.6.3). */
static bool no_action_required(const struct kvm_x86_mce *mce)
{
	return !mce->mcg_status && mce->status & MCI_STATUS_UC &&
	       !(mce->status & (MCI_STATUS_PCC | MCI_STATUS_S | MCI_STATUS_AR));
}

static bool sends_cmci(struct kvm_vcpu *vcpu, unsigned int bank)
{
	return vcpu->arch.mcg_cap & MCG_CMCI_P &&
	       vcpu->arch.mce_banks[CTL2_WORDS + bank] & MCI_CTL2_CMCI_EN;
}

/* Errors in a bank that is switched off are lost; corrected ones never displace others. */
int kvm_mce_inject(struct kvm_vcpu *vcpu, const struct kvm_x86_mce *mce)
{
	unsigned int number;
	u64 *bank;

	if (mce->bank >= bank_count(vcpu) || !(mce->status & MCI_STATUS_VAL))
		return -EINVAL;
	bank = mce_banks_get(vcpu);
	if (!bank)
		return -ENOMEM;
	number = array_index_nospec(mce->bank, KVM_MCE_BANKS);
	bank += number * MCE_WORDS;

	if (no_action_required(mce)) {
		bank_log(bank, mce);
		if (sends_cmci(vcpu, number))
			kvm_lapic_local(vcpu, LAPIC_LVT_CMCI);
		return 0;
	}
	if (!(mce->status & MCI_STATUS_UC)) {
		if (bank[MCE_STATUS] & MCI_STATUS_VAL && bank[MCE_STATUS] & MCI_STATUS_UC)
			bank[MCE_STATUS] |= MCI_STATUS_OVER;
		else
			bank_log(bank, mce);
		return 0;
	}
	if ((vcpu->arch.mcg_cap & MCG_CTL_P) && vcpu->arch.mcg_ctl != ~0ull)
		return 0;
	if (!MCE_CTL_NEARLY_ALL(bank[MCE_CTL]))
		return 0;
	/* A machine check inside a machine check, or one nobody listens to (SDM 3, 16.3.1.2). */
	if ((vcpu->arch.mcg_status & MCG_STATUS_MCIP) || !(kvm_read_cr4(vcpu) & X86_CR4_MCE)) {
		kvm_request(vcpu, KVM_REQ_TRIPLE_FAULT);
		return 0;
	}
	bank_log(bank, mce);
	vcpu->arch.mcg_status = mce->mcg_status;
	kvm_queue_exception(vcpu, MC_VECTOR);
	return 0;
}
