// SPDX-License-Identifier: GPL-2.0
/*
 * Local APICs whose interrupts the processor delivers, and ends, while it runs the guest (SDM 3,
 * chapter 30). What arrives waits in an inbox, for nobody else may touch the registers meanwhile.
 * With the APIC handed over at an entry, IRR and ISR are the processor's, and the model's pending
 * interrupts are none. The APIC comes home when somebody looks at it, so that all of the model works
 * on it as ever, and is handed over again at the next entry.
 *
 * Sometimes the processor must not deliver: the model does then, and only fetches what arrives.
 */
#include "irqchip.h"
#include "../x86.h"
#include "../pv/pv.h"

void kvm_lapic_divert(struct kvm_vcpu *vcpu, struct lapic_inbox *inbox, bool posted, bool wide_icr)
{
	struct kvm_lapic *apic = vcpu->arch.lapic;

	lapic_divert(&apic->regs, inbox);
	apic->regs.wide_icr = wide_icr;
	apic->has_inbox = true;
	apic->posted = posted;
	vcpu->arch.apic_away = true;
}
EXPORT_SYMBOL_GPL(kvm_lapic_divert);

/* One that is not given is always away, so that what arrives is fetched before anybody looks. */
void kvm_lapic_give(struct kvm_vcpu *vcpu, bool given)
{
	struct kvm_lapic *apic = vcpu->arch.lapic;

	if (apic->given == given)
		return;
	kvm_lapic_settle(vcpu);
	apic->given = given;
	vcpu->arch.apic_away = !given;
	if (given)
		lapic_give(&apic->regs);
	else
		lapic_reclaim(&apic->regs, LAPIC_ALL_WORDS);
	kvm_request(vcpu, KVM_REQ_EVENT);
}
EXPORT_SYMBOL_GPL(kvm_lapic_give);

void kvm_lapic_come_home(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic *apic = vcpu->arch.lapic;
	u32 words;

	if (!apic->has_inbox) {
		kvm_pv_eoi_take(vcpu);
		return;
	}
	words = lapic_fetch(&apic->regs);
	if (!apic->given) {
		lapic_reclaim(&apic->regs, words);
		return;
	}
	vcpu->arch.apic_away = false;
	lapic_take_back(&apic->regs);
}

/* The end of a level-triggered interrupt concerns an IOAPIC; TMR has those since they arrived. */
void kvm_lapic_hand_over(struct kvm_vcpu *vcpu, struct kvm_lapic_handover *handover)
{
	struct lapic_regs *l = &vcpu->arch.lapic->regs;
	u32 tmr = LAPIC_TMR;
	unsigned int i;

	kvm_lapic_settle(vcpu);
	lapic_fetch(l);
	lapic_give(l);
	handover->requested = max(lapic_highest_requested(l), 0);
	handover->in_service = max(lapic_highest_isr(l), 0);
	for (i = 0; i < ARRAY_SIZE(handover->eoi_exits); i++, tmr += 0x20)
		handover->eoi_exits[i] = lapic_reg(l, tmr) |
					 (u64)lapic_reg(l, tmr + 0x10) << 32;
	kvm_irqchip_edge_vectors(vcpu->kvm, (unsigned long *)handover->eoi_exits);
	vcpu->arch.apic_away = true;
}
EXPORT_SYMBOL_GPL(kvm_lapic_hand_over);

void kvm_lapic_hw_ended(struct kvm_vcpu *vcpu, u8 vector)
{
	struct lapic_effects fx = { .todo = LAPIC_DO_EOI | LAPIC_DO_CHECK };

	kvm_lapic_settle(vcpu);
	fx.eoi = lapic_ended(&vcpu->arch.lapic->regs, vector);
	kvm_lapic_carry_out(vcpu, &fx);
}
EXPORT_SYMBOL_GPL(kvm_lapic_hw_ended);

/* The value is in the page already. An IPI that the processor does not send by itself. */
void kvm_lapic_hw_written(struct kvm_vcpu *vcpu, u32 offset)
{
	struct lapic_regs *l = &vcpu->arch.lapic->regs;
	struct lapic_effects fx = { };

	kvm_lapic_settle(vcpu);
	switch (offset) {
	case LAPIC_ICR:
		if (!lapic_mmio_write(l, offset, 4, lapic_reg(l, offset), 0, &fx))
			lapic_msr_write(l, LAPIC_MSR_FIRST + offset / 16, lapic_reg(l, offset) |
					(u64)lapic_reg(l, LAPIC_ICR_WIDE_HIGH) << 32, 0, &fx);
		break;
	case LAPIC_SELF_IPI:
		lapic_msr_write(l, LAPIC_MSR_FIRST + offset / 16, lapic_reg(l, offset) & 0xff, 0,
				&fx);
		break;
	default:
		return;
	}
	kvm_lapic_carry_out(vcpu, &fx);
}
EXPORT_SYMBOL_GPL(kvm_lapic_hw_written);

bool kvm_lapic_reads_page(struct kvm_vcpu *vcpu, u32 msr)
{
	return lapic_msr_in_page(&vcpu->arch.lapic->regs, msr);
}
EXPORT_SYMBOL_GPL(kvm_lapic_reads_page);

bool kvm_irq_wakes(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic *apic = vcpu->arch.lapic;

	if (apic->has_inbox) {
		kvm_lapic_settle(vcpu);
		if (apic->given) {
			lapic_fetch(&apic->regs);
			if (lapic_deliverable(&apic->regs))
				return true;
		}
	}
	return kvm_irq_waiting(vcpu);
}
