// SPDX-License-Identifier: GPL-2.0
/*
 * The end of an interrupt without an exit: a word in the guest's memory says that the interrupt being
 * handled may be ended by clearing the word's bit, in place of the write to the local APIC. Owns
 * MSR_KVM_PV_EOI_EN and vcpu->arch.pv_eoi. Documentation/virt/kvm/x86/pv.rst describes the protocol.
 *
 * The bit is set, "armed", when an interrupt is delivered whose end concerns nobody else and has no
 * other waiting behind it. Whether the guest has cleared it meanwhile is looked up only when that
 * matters ("settled"): before interrupts are looked at, before the APIC is accessed, before the vcpu
 * halts, and before userspace sees its state. Nothing is armed after that until the vcpu is about to
 * enter the guest again, so what userspace saves is complete, and the word it saves is 0.
 */
#include "../trace.h"
#include "../x86.h"
#include "../irqchip/irqchip.h"
#include "pv.h"

static gpa_t word_address(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.pv_eoi.msr & ~(u64)KVM_MSR_ENABLED;
}

void kvm_pv_eoi_take(struct kvm_vcpu *vcpu)
{
	u32 word;

	vcpu->arch.apic_away = false;
	kvm_srcu_lock(vcpu);
	/* A guest whose word went away has to end its interrupt by a write. */
	if (kvm_guest_read(vcpu, word_address(vcpu), &word, sizeof(word)))
		return;
	if (word & KVM_PV_EOI_MASK) {
		word &= ~(u32)KVM_PV_EOI_MASK;
		kvm_guest_write(vcpu, word_address(vcpu), &word, sizeof(word));
	} else {
		trace_kvm_pv_eoi(vcpu->vcpu_id, kvm_lapic_end_interrupt(vcpu));
	}
}

/* The interrupts of this moment are delivered. */
void kvm_pv_eoi_arm(struct kvm_vcpu *vcpu)
{
	const u32 word = KVM_PV_EOI_ENABLED;

	/* A TPR kept in memory has to show what is in service. */
	if (!kvm_has_lapic(vcpu) || vcpu->arch.vapic_addr || !kvm_lapic_quiet_service(vcpu))
		return;
	kvm_srcu_lock(vcpu);
	if (!kvm_guest_write(vcpu, word_address(vcpu), &word, sizeof(word)))
		vcpu->arch.apic_away = true;
}

/* 0, or 1: #GP */
int kvm_pv_eoi_set_msr(struct kvm_vcpu *vcpu, u64 data)
{
	if (data & (sizeof(u32) - 1) & ~(u64)KVM_MSR_ENABLED)
		return 1;
	kvm_lapic_settle(vcpu);
	vcpu->arch.pv_eoi.msr = data;
	/* A processor that delivers interrupts by itself ends them by itself. */
	vcpu->arch.pv_eoi.wanted = (data & KVM_MSR_ENABLED) && kvm_has_lapic(vcpu) &&
				   !vcpu->arch.lapic->has_inbox;
	return 0;
}
