// SPDX-License-Identifier: GPL-2.0
/*
 * System management mode: its entry by an SMI, the state save area in SMRAM, and RSM. SMRAM is
 * address space 1, which a vcpu sees while KVM_HF_SMM is set. Registers go into the area and come
 * from it as the ones that userspace would read and set (cpu/segments.c), so that RSM checks them
 * all before it changes any. AMD64 APM volume 2, sections 10.2 (SMBASE, the area of processors
 * with long mode), 10.3 (entry, RSM) and 8.5 (priorities); SDM 3, 34.4.1 (the area of those
 * without; what it calls reserved is laid out as emulators do).
 */
#include <linux/unaligned.h>

#include "../irqchip/irqchip.h"
#include "../mmu/mmu.h"
#include "../trace.h"
#include "../x86.h"
#include "cpuid.h"
#include "regs.h"

/* Offsets from SMBASE; those of the area count from its beginning. */
#define SMM_ENTRY		0x8000
#define SMM_AREA		0xfe00
#define SMM_AREA_SIZE		0x200

/* Both formats */
#define AREA_REVISION		0xfc
#define REVISION_32		0x20000		/* SMBASE can be moved */
#define REVISION_64		0x20064

/* With long mode (APM 2, table 10-1); segment registers are 16 bytes each. */
#define AREA64_SEGMENTS		0x00		/* ES, CS, SS, DS, FS, GS */
#define AREA64_GDTR		0x60
#define AREA64_LDTR		0x70
#define AREA64_IDTR		0x80
#define AREA64_TR		0x90
#define AREA64_HALT		0xc9		/* it was halted: RSM goes back to that */
#define AREA64_SHADOW		0xcb		/* reserved */
#define AREA64_EFER		0xd0
#define AREA64_SMBASE		0x100
#define AREA64_CR4		0x148
#define AREA64_CR3		0x150
#define AREA64_CR0		0x158
#define AREA64_DR7		0x160
#define AREA64_DR6		0x168
#define AREA64_RFLAGS		0x170
#define AREA64_RIP		0x178
#define AREA64_GPRS		0x180		/* of 8 bytes each */

/* Without */
#define AREA32_SMBASE		0xf8
#define AREA32_HALT		0x102
#define AREA32_SHADOW		0x11a		/* reserved, and so are the next ones */
#define AREA32_CR4		0x114
#define AREA32_SEGMENTS_HIGH	0x12c		/* DS, FS, GS: attributes, limit, base */
#define AREA32_IDTR		0x154		/* limit, base */
#define AREA32_TR		0x15c
#define AREA32_GDTR		0x170
#define AREA32_LDTR		0x178
#define AREA32_SEGMENTS		0x184		/* ES, CS, SS */
#define AREA32_SELECTORS	0x1a8		/* ES to GS, LDTR, TR: a word of 4 bytes each */
#define AREA32_DR7		0x1c8
#define AREA32_DR6		0x1cc
#define AREA32_GPRS		0x1d0		/* RAX to RDI */
#define AREA32_EIP		0x1f0
#define AREA32_EFLAGS		0x1f4
#define AREA32_CR3		0x1f8
#define AREA32_CR0		0x1fc

/* General registers in the order of their addresses. */
static const u8 gprs_64[] = {
	KVM_R15, KVM_R14, KVM_R13, KVM_R12, KVM_R11, KVM_R10, KVM_R9, KVM_R8,
	KVM_RDI, KVM_RSI, KVM_RBP, KVM_RSP, KVM_RBX, KVM_RDX, KVM_RCX, KVM_RAX,
};

static const u8 gprs_32[] = {
	KVM_RAX, KVM_RCX, KVM_RDX, KVM_RBX, KVM_RSP, KVM_RBP, KVM_RSI, KVM_RDI,
};

/* Everything the area has. */
struct smm_state {
	struct kvm_sregs sregs;
	unsigned long gprs[KVM_NR_GPRS];
	unsigned long rip, rflags, dr6, dr7;
	u32 smbase;
	bool halted;
	u8 shadow;
};

typedef u8 smm_area[SMM_AREA_SIZE];

static bool has_long_mode(struct kvm_vcpu *vcpu)
{
	return kvm_guest_has(vcpu, X86_FEATURE_LM);
}

/* The segment registers of a state in the order of their encoding. */
static void list_segments(struct smm_state *s, struct kvm_segment *list[KVM_NR_SEGS])
{
	list[KVM_ES] = &s->sregs.es;
	list[KVM_CS] = &s->sregs.cs;
	list[KVM_SS] = &s->sregs.ss;
	list[KVM_DS] = &s->sregs.ds;
	list[KVM_FS] = &s->sregs.fs;
	list[KVM_GS] = &s->sregs.gs;
	list[KVM_LDTR] = &s->sregs.ldt;
	list[KVM_TR] = &s->sregs.tr;
}

/* ---- segment registers ----------------------------------------------------------------------- */

/* As in the second word of a descriptor, shifted by 8: the limit's bits in between are not used. */
static u16 pack_attributes(const struct kvm_segment *s)
{
	return s->type | s->s << 4 | s->dpl << 5 | (s->present && !s->unusable) << 7 |
	       s->avl << 12 | s->l << 13 | s->db << 14 | s->g << 15;
}

static void unpack_attributes(struct kvm_segment *s, u16 attr)
{
	s->type = attr & 0xf;
	s->s = attr >> 4 & 1;
	s->dpl = attr >> 5 & 3;
	s->present = attr >> 7 & 1;
	s->avl = attr >> 12 & 1;
	s->l = attr >> 13 & 1;
	s->db = attr >> 14 & 1;
	s->g = attr >> 15 & 1;
	s->unusable = !s->present;
	s->padding = 0;
}

static unsigned int segment_offset_64(enum kvm_seg seg)
{
	if (seg == KVM_LDTR)
		return AREA64_LDTR;
	return seg == KVM_TR ? AREA64_TR : AREA64_SEGMENTS + seg * 16;
}

static unsigned int segment_offset_32(enum kvm_seg seg)
{
	if (seg == KVM_LDTR)
		return AREA32_LDTR;
	if (seg == KVM_TR)
		return AREA32_TR;
	return seg < KVM_DS ? AREA32_SEGMENTS + seg * 12 :
			      AREA32_SEGMENTS_HIGH + (seg - KVM_DS) * 12;
}

static unsigned int selector_offset_32(enum kvm_seg seg)
{
	return AREA32_SELECTORS + seg * 4;
}

static void save_segments(struct smm_state *s, u8 *area, bool long_mode)
{
	struct kvm_segment *list[KVM_NR_SEGS];
	enum kvm_seg i;
	u8 *p;

	list_segments(s, list);
	for (i = 0; i < KVM_NR_SEGS; i++) {
		if (long_mode) {
			p = area + segment_offset_64(i);
			put_unaligned_le16(list[i]->selector, p);
			put_unaligned_le16(pack_attributes(list[i]), p + 2);
			put_unaligned_le32(list[i]->limit, p + 4);
			put_unaligned_le64(list[i]->base, p + 8);
		} else {
			p = area + segment_offset_32(i);
			put_unaligned_le32(list[i]->selector, area + selector_offset_32(i));
			put_unaligned_le32(pack_attributes(list[i]) << 8, p);
			put_unaligned_le32(list[i]->limit, p + 4);
			put_unaligned_le32(list[i]->base, p + 8);
		}
	}
}

static void load_segments(struct smm_state *s, const u8 *area, bool long_mode)
{
	struct kvm_segment *list[KVM_NR_SEGS];
	const u8 *p;
	enum kvm_seg i;

	list_segments(s, list);
	for (i = 0; i < KVM_NR_SEGS; i++) {
		if (long_mode) {
			p = area + segment_offset_64(i);
			list[i]->selector = get_unaligned_le16(p);
			unpack_attributes(list[i], get_unaligned_le16(p + 2));
			list[i]->limit = get_unaligned_le32(p + 4);
			list[i]->base = get_unaligned_le64(p + 8);
		} else {
			p = area + segment_offset_32(i);
			list[i]->selector = get_unaligned_le32(area + selector_offset_32(i));
			unpack_attributes(list[i], get_unaligned_le32(p) >> 8);
			list[i]->limit = get_unaligned_le32(p + 4);
			list[i]->base = get_unaligned_le32(p + 8);
		}
	}
}

/* ---- the two formats ------------------------------------------------------------------------- */

static void put64(u8 *area, unsigned int offset, u64 val)
{
	put_unaligned_le64(val, area + offset);
}

static u64 get64(const u8 *area, unsigned int offset)
{
	return get_unaligned_le64(area + offset);
}

static void put32(u8 *area, unsigned int offset, u32 val)
{
	put_unaligned_le32(val, area + offset);
}

static u32 get32(const u8 *area, unsigned int offset)
{
	return get_unaligned_le32(area + offset);
}

static void save_64(const struct smm_state *s, u8 *area)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gprs_64); i++)
		put64(area, AREA64_GPRS + 8 * i, s->gprs[gprs_64[i]]);
	put32(area, AREA64_GDTR + 4, s->sregs.gdt.limit);
	put64(area, AREA64_GDTR + 8, s->sregs.gdt.base);
	put32(area, AREA64_IDTR + 4, s->sregs.idt.limit);
	put64(area, AREA64_IDTR + 8, s->sregs.idt.base);
	area[AREA64_HALT] = s->halted;
	area[AREA64_SHADOW] = s->shadow;
	put64(area, AREA64_EFER, s->sregs.efer);
	put32(area, AREA_REVISION, REVISION_64);
	put32(area, AREA64_SMBASE, s->smbase);
	put64(area, AREA64_CR4, s->sregs.cr4);
	put64(area, AREA64_CR3, s->sregs.cr3);
	put64(area, AREA64_CR0, s->sregs.cr0);
	put64(area, AREA64_DR7, s->dr7);
	put64(area, AREA64_DR6, s->dr6);
	put64(area, AREA64_RFLAGS, s->rflags);
	put64(area, AREA64_RIP, s->rip);
}

static void load_64(struct smm_state *s, const u8 *area)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gprs_64); i++)
		s->gprs[gprs_64[i]] = get64(area, AREA64_GPRS + 8 * i);
	s->sregs.gdt.limit = get32(area, AREA64_GDTR + 4);
	s->sregs.gdt.base = get64(area, AREA64_GDTR + 8);
	s->sregs.idt.limit = get32(area, AREA64_IDTR + 4);
	s->sregs.idt.base = get64(area, AREA64_IDTR + 8);
	s->halted = area[AREA64_HALT];
	s->shadow = area[AREA64_SHADOW];
	s->sregs.efer = get64(area, AREA64_EFER);
	s->smbase = get32(area, AREA64_SMBASE);
	s->sregs.cr4 = get64(area, AREA64_CR4);
	s->sregs.cr3 = get64(area, AREA64_CR3);
	s->sregs.cr0 = get64(area, AREA64_CR0);
	s->dr7 = (u32)get64(area, AREA64_DR7);
	s->dr6 = (u32)get64(area, AREA64_DR6);
	s->rflags = get64(area, AREA64_RFLAGS);
	s->rip = get64(area, AREA64_RIP);
}

static void save_32(const struct smm_state *s, u8 *area)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gprs_32); i++)
		put32(area, AREA32_GPRS + 4 * i, s->gprs[gprs_32[i]]);
	put32(area, AREA32_GDTR, s->sregs.gdt.limit);
	put32(area, AREA32_GDTR + 4, s->sregs.gdt.base);
	put32(area, AREA32_IDTR, s->sregs.idt.limit);
	put32(area, AREA32_IDTR + 4, s->sregs.idt.base);
	area[AREA32_HALT] = s->halted;
	area[AREA32_SHADOW] = s->shadow;
	put32(area, AREA_REVISION, REVISION_32);
	put32(area, AREA32_SMBASE, s->smbase);
	put32(area, AREA32_CR4, s->sregs.cr4);
	put32(area, AREA32_CR3, s->sregs.cr3);
	put32(area, AREA32_CR0, s->sregs.cr0);
	put32(area, AREA32_DR7, s->dr7);
	put32(area, AREA32_DR6, s->dr6);
	put32(area, AREA32_EFLAGS, s->rflags);
	put32(area, AREA32_EIP, s->rip);
}

static void load_32(struct smm_state *s, const u8 *area)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gprs_32); i++)
		s->gprs[gprs_32[i]] = get32(area, AREA32_GPRS + 4 * i);
	s->sregs.gdt.limit = get32(area, AREA32_GDTR);
	s->sregs.gdt.base = get32(area, AREA32_GDTR + 4);
	s->sregs.idt.limit = get32(area, AREA32_IDTR);
	s->sregs.idt.base = get32(area, AREA32_IDTR + 4);
	s->halted = area[AREA32_HALT];
	s->shadow = area[AREA32_SHADOW];
	s->sregs.efer = 0;
	s->smbase = get32(area, AREA32_SMBASE);
	s->sregs.cr4 = get32(area, AREA32_CR4);
	s->sregs.cr3 = get32(area, AREA32_CR3);
	s->sregs.cr0 = get32(area, AREA32_CR0);
	s->dr7 = get32(area, AREA32_DR7);
	s->dr6 = get32(area, AREA32_DR6);
	s->rflags = get32(area, AREA32_EFLAGS);
	s->rip = get32(area, AREA32_EIP);
}

/* ---- in and out ------------------------------------------------------------------------------ */

void kvm_smm_set(struct kvm_vcpu *vcpu, bool in)
{
	trace_kvm_smm_transition(vcpu->vcpu_id, vcpu->arch.smbase, in);
	vcpu->arch.hflags &= ~(KVM_HF_SMM | KVM_HF_SMM_INSIDE_NMI);
	if (in)
		vcpu->arch.hflags |= KVM_HF_SMM;
	/* Other slots: another root, and what was blocked or let go has its turn. */
	kvm_mmu_unload(vcpu);
	kvm_mmu_mode_changed(vcpu);
	kvm_request(vcpu, KVM_REQ_EVENT);
}

/* Real mode without its limits (APM 2, 10.2.2 and table 10-2). */
static void make_entry_state(struct kvm_vcpu *vcpu, struct kvm_sregs *sregs)
{
	struct kvm_segment flat = { .limit = 0xffffffff, .type = 3, .present = 1, .s = 1, .g = 1 };

	sregs->es = sregs->ss = sregs->ds = sregs->fs = sregs->gs = flat;
	sregs->cs = flat;
	sregs->cs.selector = (vcpu->arch.smbase >> 4) & 0xffff;
	sregs->cs.base = vcpu->arch.smbase;
	sregs->cr0 &= ~(u64)(X86_CR0_PE | X86_CR0_EM | X86_CR0_TS | X86_CR0_PG);
	sregs->cr4 = 0;
	sregs->efer = 0;
	sregs->idt = (struct kvm_dtable) { };
}

/* Where no memory is at SMBASE there is nothing to come back to: the processor shuts down. */
static void enter_smm(struct kvm_vcpu *vcpu)
{
	bool nmis_masked = kvm_x86_ops.get_nmi_mask(vcpu);
	bool long_mode = has_long_mode(vcpu);
	struct smm_state s = { };
	smm_area area = { };

	kvm_get_sregs(vcpu, &s.sregs);
	memcpy(s.gprs, vcpu->arch.regs, sizeof(s.gprs));
	s.rip = vcpu->arch.rip;
	s.rflags = kvm_get_rflags(vcpu);
	s.dr6 = vcpu->arch.dr6;
	s.dr7 = vcpu->arch.dr7;
	s.smbase = vcpu->arch.smbase;
	s.halted = vcpu->arch.smi_in_halt;
	s.shadow = vendor(interrupt_shadow)(vcpu);
	if (long_mode)
		save_64(&s, area);
	else
		save_32(&s, area);
	save_segments(&s, area, long_mode);

	vcpu->arch.smi_count++;
	vcpu->arch.smi_in_halt = false;
	kvm_smm_set(vcpu, true);
	kvm_srcu_lock(vcpu);
	make_entry_state(vcpu, &s.sregs);
	if (kvm_guest_write(vcpu, vcpu->arch.smbase + SMM_AREA, area, sizeof(area)) ||
	    kvm_set_sregs(vcpu, &s.sregs)) {
		kvm_request(vcpu, KVM_REQ_TRIPLE_FAULT);
		return;
	}
	if (nmis_masked)
		vcpu->arch.hflags |= KVM_HF_SMM_INSIDE_NMI;
	else
		kvm_x86_ops.set_nmi_mask(vcpu, true);
	vendor(set_interrupt_shadow)(vcpu, 0);
	vcpu->arch.rip = SMM_ENTRY;
	kvm_set_rflags(vcpu, 0);
	kvm_set_dr(vcpu, 7, 0);
}

/* An SMI waits, and the guest is between two instructions: true if it goes in. */
bool kvm_smm_take_smi(struct kvm_vcpu *vcpu)
{
	if (likely(!vcpu->arch.smi_pending) || kvm_in_smm(vcpu))
		return false;
	vcpu->arch.smi_pending = false;
	enter_smm(vcpu);
	return true;
}

void kvm_queue_smi(struct kvm_vcpu *vcpu)
{
	kvm_request(vcpu, KVM_REQ_SMI);
	kvm_vcpu_kick(vcpu);
}

/*
 * RSM. The guest is in the state that the area has when this returns 0, but for what the caller is
 * to set: RIP, RFLAGS, shadow, and whether it is halted. 1: no such state, the processor shuts
 * down.
 */
int kvm_smm_leave(struct kvm_vcpu *vcpu, struct kvm_smm_resume *resume)
{
	bool inside_nmi = vcpu->arch.hflags & KVM_HF_SMM_INSIDE_NMI;
	bool long_mode = has_long_mode(vcpu);
	struct smm_state s = { };
	smm_area area;

	if (kvm_guest_read(vcpu, vcpu->arch.smbase + SMM_AREA, area, sizeof(area)))
		return 1;
	kvm_get_sregs(vcpu, &s.sregs);
	memcpy(s.gprs, vcpu->arch.regs, sizeof(s.gprs));
	if (long_mode)
		load_64(&s, area);
	else
		load_32(&s, area);
	load_segments(&s, area, long_mode);

	kvm_smm_set(vcpu, false);
	if (kvm_set_sregs(vcpu, &s.sregs))
		return 1;
	if (!inside_nmi)
		kvm_x86_ops.set_nmi_mask(vcpu, false);
	memcpy(vcpu->arch.regs, s.gprs, sizeof(s.gprs));
	kvm_set_dr(vcpu, 6, s.dr6);
	kvm_set_dr(vcpu, 7, s.dr7);
	vcpu->arch.smbase = s.smbase;
	*resume = (struct kvm_smm_resume) {
		.rip = s.rip,
		.rflags = s.rflags | X86_EFLAGS_FIXED,
		.shadow = s.shadow,
		.halted = s.halted,
	};
	return 0;
}

/* ---- KVM_GET/SET_VCPU_EVENTS ----------------------------------------------------------------- */

void kvm_smm_save_events(struct kvm_vcpu *vcpu, struct kvm_vcpu_events *ev)
{
	ev->smi.smm = kvm_in_smm(vcpu);
	ev->smi.pending = vcpu->arch.smi_pending || kvm_request_test(vcpu, KVM_REQ_SMI);
	ev->smi.smm_inside_nmi = !!(vcpu->arch.hflags & KVM_HF_SMM_INSIDE_NMI);
	ev->smi.latched_init = kvm_has_lapic(vcpu) &&
			       test_bit(KVM_LAPIC_INIT, &vcpu->arch.lapic->signals);
	ev->flags |= KVM_VCPUEVENT_VALID_SMM;
}

void kvm_smm_restore_events(struct kvm_vcpu *vcpu, const struct kvm_vcpu_events *ev)
{
	if (!!ev->smi.smm != kvm_in_smm(vcpu))
		kvm_smm_set(vcpu, ev->smi.smm);
	kvm_request_take(vcpu, KVM_REQ_SMI);
	vcpu->arch.smi_pending = ev->smi.pending;
	if (!ev->smi.smm)
		return;
	vcpu->arch.hflags &= ~KVM_HF_SMM_INSIDE_NMI;
	if (ev->smi.smm_inside_nmi)
		vcpu->arch.hflags |= KVM_HF_SMM_INSIDE_NMI;
	if (!kvm_has_lapic(vcpu))
		return;
	if (ev->smi.latched_init)
		set_bit(KVM_LAPIC_INIT, &vcpu->arch.lapic->signals);
	else
		clear_bit(KVM_LAPIC_INIT, &vcpu->arch.lapic->signals);
}
