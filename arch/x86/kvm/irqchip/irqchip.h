/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The interrupt controllers as the rest of x86 sees them: the models (lapic_regs, ioapic, pic, pit)
 * wired to vcpus, timers, buses and ioctls by lapic.c, lapic_hw.c, chips.c and timer.c.
 */
#ifndef _KVM_X86_IRQCHIP_H
#define _KVM_X86_IRQCHIP_H

#include <linux/hrtimer.h>
#include <linux/kvm_host.h>

#include "ioapic.h"
#include "lapic_regs.h"
#include "pic.h"

/* ---- lapic.c ------------------------------------------------------------------------------------ */

/* A local APIC and its wires. The model's header says who may call what. */
struct kvm_lapic {
	struct lapic_regs regs;
	struct kvm_vcpu *vcpu;
	struct hrtimer timer;
	unsigned long signals;		/* KVM_LAPIC_*, set by anybody, atomic */
	u8 sipi_vector;			/* valid with KVM_LAPIC_STARTUP */
	bool has_inbox;			/* the processor could deliver interrupts by itself */
	bool posted;			/* and fetches them from the inbox */
	bool given;			/* and does while it runs the guest (lapic_hw.c) */
};

/* Period of the timer's input clock, unless userspace chose another: 1 GHz. */
#define KVM_APIC_BUS_NS_DEFAULT	1

#define KVM_LAPIC_INIT		0	/* bits of signals */
#define KVM_LAPIC_STARTUP	1

static inline bool kvm_has_lapic(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.lapic;
}

int kvm_lapic_create(struct kvm_vcpu *vcpu);
void kvm_lapic_destroy(struct kvm_vcpu *vcpu);
void kvm_lapic_reset(struct kvm_vcpu *vcpu, bool init);
void kvm_lapic_reconfigure(struct kvm_vcpu *vcpu);	/* CPUID or the machine check features are others */
void kvm_lapic_vm_init(struct kvm *kvm);
void kvm_lapic_vm_destroy(struct kvm *kvm);
/* Who has which id may have changed. Sleeps. */
void kvm_lapic_update_map(struct kvm *kvm);

/*
 * Deliver a message. Any context but NMI. @sender: NULL for devices. Returns how many took it, 0
 * when it merged with one pending, -1 when nobody was there.
 */
int kvm_lapic_send(struct kvm *kvm, struct kvm_vcpu *sender, const struct apic_msg *msg);
struct kvm_vcpu *kvm_lapic_find(struct kvm *kvm, u32 id);	/* by its APIC's id, or NULL */
/* The vcpu that the message is for if that is one alone, and enabled by software; or NULL. */
struct kvm_vcpu *kvm_lapic_only_target(struct kvm *kvm, const struct apic_msg *msg);

/* Owner only from here on. Access functions return true when the APIC was meant. */
bool kvm_lapic_mmio(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int len, void *data, bool write);
int kvm_lapic_get_msr(struct kvm_vcpu *vcpu, u32 msr, u64 *data);	/* 0; 1: #GP */
int kvm_lapic_set_msr(struct kvm_vcpu *vcpu, u32 msr, u64 data);
int kvm_lapic_set_base(struct kvm_vcpu *vcpu, u64 base, bool host);	/* 0; 1: #GP */
void kvm_lapic_set_cr8(struct kvm_vcpu *vcpu, u8 cr8);
u8 kvm_lapic_get_cr8(struct kvm_vcpu *vcpu);
/* The TPR class below which an interrupt that waits for nothing else is let through; 0: there is none. */
u8 kvm_lapic_tpr_threshold(struct kvm_vcpu *vcpu);
int kvm_lapic_get_state(struct kvm_vcpu *vcpu, struct kvm_lapic_state *state);
int kvm_lapic_set_state(struct kvm_vcpu *vcpu, const struct kvm_lapic_state *state);
/*
 * The TPR that a patched guest keeps in its memory (KVM_SET_VAPIC_ADDR): around each entry, while an
 * address is set. May sleep.
 */
void kvm_lapic_to_vapic(struct kvm_vcpu *vcpu);
void kvm_lapic_from_vapic(struct kvm_vcpu *vcpu);
void kvm_lapic_timer_fired(struct kvm_vcpu *vcpu);	/* KVM_REQ_LAPIC_TIMER */
void kvm_lapic_raise(struct kvm_vcpu *vcpu, u8 vector);	/* an edge, from the host itself */
/* A source of the APIC's own has something to say; lvt: LAPIC_LVT_*. */
void kvm_lapic_local(struct kvm_vcpu *vcpu, u32 lvt);
/* INIT and STARTUP that came in, applied to the vcpu; true when there was one. */
bool kvm_lapic_take_signals(struct kvm_vcpu *vcpu);
/* What a register access asks for (lapic_regs.h). */
void kvm_lapic_carry_out(struct kvm_vcpu *vcpu, const struct lapic_effects *fx);
/* The vendor has to look again at what the processor does of this APIC. */
void kvm_lapic_mode_changed(struct kvm_vcpu *vcpu);

/*
 * Something is in service whose end nobody but the APIC needs to know of, with nothing waiting behind
 * it. End it: its vector, or -1.
 */
bool kvm_lapic_quiet_service(struct kvm_vcpu *vcpu);
int kvm_lapic_end_interrupt(struct kvm_vcpu *vcpu);

/* Is an interrupt waiting that the priorities let through, from the APIC or from the PIC? */
bool kvm_irq_waiting(struct kvm_vcpu *vcpu);
/* One waits that a lower TPR would let through. */
bool kvm_irq_blocked_by_tpr(struct kvm_vcpu *vcpu);
/* Take it: its vector, now in service; -1 when it went away. */
int kvm_irq_take(struct kvm_vcpu *vcpu);

/* ---- lapic_hw.c: APICs whose interrupts the processor delivers ---------------------------------- */

/* What the processor has to know when it gets the registers. */
struct kvm_lapic_handover {
	u8 requested, in_service;	/* the highest vectors; 0: none */
	u64 eoi_exits[4];		/* by vector: somebody waits for its end */
};

/*
 * Vectors are accepted in @inbox from now on; nobody sends yet. With @posted the vendor is told of
 * those whose end nobody waits for, instead of a request and a kick.
 */
void kvm_lapic_divert(struct kvm_vcpu *vcpu, struct lapic_inbox *inbox, bool posted, bool wide_icr);
/* From the next entry on the processor does, or does not, deliver what waits. */
void kvm_lapic_give(struct kvm_vcpu *vcpu, bool given);
/*
 * Right before an entry of a vcpu whose APIC is given, unless it is away already with no news in the
 * inbox. Any context.
 */
void kvm_lapic_hand_over(struct kvm_vcpu *vcpu, struct kvm_lapic_handover *handover);
/* The processor tells of the end of an interrupt, or of a write to a register. */
void kvm_lapic_hw_ended(struct kvm_vcpu *vcpu, u8 vector);
void kvm_lapic_hw_written(struct kvm_vcpu *vcpu, u32 offset);
/* Reading the MSR is reading the page. */
bool kvm_lapic_reads_page(struct kvm_vcpu *vcpu, u32 msr);
/* Does an interrupt end a halt? */
bool kvm_irq_wakes(struct kvm_vcpu *vcpu);

void kvm_lapic_come_home(struct kvm_vcpu *vcpu);

/*
 * What is in service is as it would be if the guest had no way past the model: comes before anything
 * that looks at the APIC. May sleep, but not where the processor delivers.
 */
static inline void kvm_lapic_settle(struct kvm_vcpu *vcpu)
{
	if (unlikely(vcpu->arch.apic_away))
		kvm_lapic_come_home(vcpu);
}

/* ---- chips.c: PIC, IOAPIC, routing -------------------------------------------------------------- */

struct kvm_irqchips;

static inline bool kvm_has_irqchip(struct kvm *kvm)
{
	return kvm->arch.irqchip_mode != KVM_IRQCHIP_NONE;
}

int kvm_irqchip_create(struct kvm *kvm);
int kvm_irqchip_split(struct kvm *kvm, u64 nr_routes);
void kvm_irqchip_quiesce(struct kvm *kvm);	/* no timer and no work raises a line any more */
void kvm_irqchip_destroy(struct kvm *kvm);
long kvm_irqchip_ioctl(struct kvm *kvm, unsigned int ioctl, unsigned long arg);
/* The PIC asks for attention, and its vector. */
bool kvm_pic_asserted(struct kvm *kvm);
int kvm_pic_take(struct kvm *kvm);
/* A line's level from one source. Results as kvm_lapic_send(). */
int kvm_pic_line(struct kvm *kvm, unsigned int line, unsigned int source, bool level);
void kvm_ioapic_retry(struct kvm *kvm);	/* deliver what waits: local APICs have changed */
int kvm_ioapic_line(struct kvm *kvm, unsigned int pin, unsigned int source, bool level);
/* What a route sends as a message; false: it sends none. */
bool kvm_msi_decode(struct kvm *kvm, const struct kvm_irq_route *route, struct apic_msg *msg);
/* Split: does a pin of userspace's IOAPIC wait for the end of this vector's interrupts? */
bool kvm_userspace_pin_has(struct kvm_vcpu *vcpu, u8 vector);
/* An APIC has ended a level-triggered interrupt. */
void kvm_irqchip_eoi(struct kvm_vcpu *vcpu, u8 vector);
/* ... or an edge-triggered one, for which only the PIT waits. */
void kvm_irqchip_edge_eoi(struct kvm_vcpu *vcpu, u8 vector);
/* Vectors for whose end it waits at present, added to a bitmap. Any context. */
void kvm_irqchip_edge_vectors(struct kvm *kvm, unsigned long *vectors);

/* ---- timer.c: PIT -------------------------------------------------------------------------------- */

int kvm_pit_create(struct kvm *kvm, u32 flags);
/* A tick is on its way, and the next one waits for the guest to end its interrupt. */
bool kvm_pit_waits(struct kvm *kvm);
void kvm_pit_stop(struct kvm *kvm);
void kvm_pit_destroy(struct kvm *kvm);
long kvm_pit_ioctl(struct kvm *kvm, unsigned int ioctl, void __user *argp);

#endif
