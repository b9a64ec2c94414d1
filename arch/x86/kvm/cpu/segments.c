// SPDX-License-Identifier: GPL-2.0
/*
 * General and segment registers as userspace sees them: KVM_GET/SET_REGS, SREGS and SREGS2,
 * KVM_CAP_SYNC_REGS, KVM_TRANSLATE; and the linear address of RIP. The vendor keeps the segment
 * registers. A set of registers that no processor can be in is refused as a whole.
 */
#include "../x86.h"
#include "../emulate/emulate.h"
#include "../mmu/mmu.h"
#include "cpuid.h"
#include "regs.h"

/* ---- where the guest is ---------------------------------------------------------------------- */

bool kvm_is_64bit(struct kvm_vcpu *vcpu)
{
	struct emu_segment cs;

	if (!is_long_mode(vcpu))
		return false;
	vendor(read_segment)(vcpu, KVM_CS, &cs);
	return cs.attr & EMU_ATTR_L;
}
EXPORT_SYMBOL_GPL(kvm_is_64bit);

unsigned long kvm_linear_rip(struct kvm_vcpu *vcpu)
{
	if (kvm_is_64bit(vcpu))
		return vcpu->arch.rip;
	return (u32)(vendor(segment_base)(vcpu, KVM_CS) + vcpu->arch.rip);
}
EXPORT_SYMBOL_GPL(kvm_linear_rip);

/* TF belongs to userspace while it single-steps, and the guest does not see it. */
unsigned long kvm_get_rflags(struct kvm_vcpu *vcpu)
{
	if (vcpu->arch.guest_debug & KVM_GUESTDBG_SINGLESTEP)
		return vcpu->arch.rflags & ~X86_EFLAGS_TF;
	return vcpu->arch.rflags;
}

void kvm_set_rflags(struct kvm_vcpu *vcpu, unsigned long rflags)
{
	rflags |= X86_EFLAGS_FIXED;
	if ((vcpu->arch.guest_debug & KVM_GUESTDBG_SINGLESTEP) &&
	    kvm_linear_rip(vcpu) == vcpu->arch.singlestep_rip)
		rflags |= X86_EFLAGS_TF;
	vcpu->arch.rflags = rflags;
	kvm_request(vcpu, KVM_REQ_EVENT);
}

/* ---- general registers ----------------------------------------------------------------------- */

int kvm_get_regs(struct kvm_vcpu *vcpu, struct kvm_regs *regs)
{
	const unsigned long *r = vcpu->arch.regs;

	*regs = (struct kvm_regs) {
		.rax = r[KVM_RAX], .rbx = r[KVM_RBX], .rcx = r[KVM_RCX], .rdx = r[KVM_RDX],
		.rsi = r[KVM_RSI], .rdi = r[KVM_RDI], .rsp = r[KVM_RSP], .rbp = r[KVM_RBP],
		.r8 = r[KVM_R8], .r9 = r[KVM_R9], .r10 = r[KVM_R10], .r11 = r[KVM_R11],
		.r12 = r[KVM_R12], .r13 = r[KVM_R13], .r14 = r[KVM_R14], .r15 = r[KVM_R15],
		.rip = vcpu->arch.rip,
		.rflags = kvm_get_rflags(vcpu),
	};
	return 0;
}

/* An exception that waits would hit other registers than those it was raised for: it is dropped. */
int kvm_set_regs(struct kvm_vcpu *vcpu, struct kvm_regs *regs)
{
	unsigned long *r = vcpu->arch.regs;

	r[KVM_RAX] = regs->rax;
	r[KVM_RBX] = regs->rbx;
	r[KVM_RCX] = regs->rcx;
	r[KVM_RDX] = regs->rdx;
	r[KVM_RSI] = regs->rsi;
	r[KVM_RDI] = regs->rdi;
	r[KVM_RSP] = regs->rsp;
	r[KVM_RBP] = regs->rbp;
	r[KVM_R8] = regs->r8;
	r[KVM_R9] = regs->r9;
	r[KVM_R10] = regs->r10;
	r[KVM_R11] = regs->r11;
	r[KVM_R12] = regs->r12;
	r[KVM_R13] = regs->r13;
	r[KVM_R14] = regs->r14;
	r[KVM_R15] = regs->r15;
	vcpu->arch.rip = regs->rip;
	kvm_set_rflags(vcpu, regs->rflags);
	vcpu->arch.exception.pending = false;
	return 0;
}

/* ---- segment and control registers ----------------------------------------------------------- */

/* What kvm_sregs and kvm_sregs2 begin with. */
struct sregs_common {
	struct kvm_segment cs, ds, es, fs, gs, ss;
	struct kvm_segment tr, ldt;
	struct kvm_dtable gdt, idt;
	__u64 cr0, cr2, cr3, cr4, cr8;
	__u64 efer;
	__u64 apic_base;
};

static_assert(sizeof(struct sregs_common) == offsetof(struct kvm_sregs, interrupt_bitmap));
static_assert(sizeof(struct sregs_common) == offsetof(struct kvm_sregs2, flags));
static_assert(offsetof(struct sregs_common, efer) == offsetof(struct kvm_sregs, efer));
static_assert(offsetof(struct sregs_common, efer) == offsetof(struct kvm_sregs2, efer));

/* Where each segment register is in the structure. */
static const u16 segment_offset[KVM_NR_SEGS] = {
	[KVM_ES] = offsetof(struct sregs_common, es),
	[KVM_CS] = offsetof(struct sregs_common, cs),
	[KVM_SS] = offsetof(struct sregs_common, ss),
	[KVM_DS] = offsetof(struct sregs_common, ds),
	[KVM_FS] = offsetof(struct sregs_common, fs),
	[KVM_GS] = offsetof(struct sregs_common, gs),
	[KVM_LDTR] = offsetof(struct sregs_common, ldt),
	[KVM_TR] = offsetof(struct sregs_common, tr),
};

static void sregs_read(struct kvm_vcpu *vcpu, struct sregs_common *s)
{
	struct desc_ptr dt;
	int i;

	for (i = 0; i < KVM_NR_SEGS; i++)
		vendor(get_segment)(vcpu, i, (void *)s + segment_offset[i]);
	kvm_x86_ops.get_gdt(vcpu, &dt);
	s->gdt.base = dt.address;
	s->gdt.limit = dt.size;
	kvm_x86_ops.get_idt(vcpu, &dt);
	s->idt.base = dt.address;
	s->idt.limit = dt.size;

	s->cr0 = kvm_read_cr0(vcpu);
	s->cr2 = vcpu->arch.cr2;
	s->cr3 = kvm_read_cr3(vcpu);
	s->cr4 = kvm_read_cr4(vcpu);
	s->cr8 = kvm_get_cr8(vcpu);
	s->efer = vcpu->arch.efer;
	s->apic_base = vcpu->arch.apic_base;
}

/* Long mode is active exactly when it is enabled with paging (APM 2, 14.6). */
static bool sregs_mode_valid(struct kvm_vcpu *vcpu, const struct sregs_common *s)
{
	if (!(s->efer & EFER_LME) || !(s->cr0 & X86_CR0_PG))
		return !(s->efer & EFER_LMA) && !s->cs.l;
	return (s->efer & EFER_LMA) && (s->cr4 & X86_CR4_PAE) &&
	       !(s->cr3 & vcpu->arch.cpuid.gpa_reserved);
}

static bool sregs_valid(struct kvm_vcpu *vcpu, const struct sregs_common *s)
{
	return kvm_cr0_valid(vcpu, s->cr0) && kvm_cr4_valid(vcpu, s->cr4) &&
	       kvm_efer_valid(vcpu, s->efer) && sregs_mode_valid(vcpu, s) &&
	       kvm_apic_base_valid(vcpu, s->apic_base);
}

/*
 * Programs that know nothing of KVM_SET_MP_STATE reset the first vcpu by its registers: a halt
 * ends with that.
 */
static void wake_if_reset(struct kvm_vcpu *vcpu, const struct sregs_common *s)
{
	if (vcpu->vcpu_id == vcpu->kvm->arch.bsp_vcpu_id && vcpu->arch.rip == 0xfff0 &&
	    s->cs.selector == 0xf000 && s->cs.base == 0xffff0000 && !(s->cr0 & X86_CR0_PE))
		vcpu->arch.mp_state = KVM_MP_STATE_RUNNABLE;
}

static void sregs_write(struct kvm_vcpu *vcpu, const struct sregs_common *s)
{
	unsigned long old_cr3 = kvm_read_cr3(vcpu);
	struct desc_ptr dt;
	int i;

	kvm_set_apic_base(vcpu, s->apic_base, true);

	dt.address = s->gdt.base;
	dt.size = s->gdt.limit;
	kvm_x86_ops.set_gdt(vcpu, &dt);
	dt.address = s->idt.base;
	dt.size = s->idt.limit;
	kvm_x86_ops.set_idt(vcpu, &dt);

	vcpu->arch.cr2 = s->cr2;
	kvm_set_cr8(vcpu, s->cr8 & 0xf);
	kvm_x86_ops.set_efer(vcpu, s->efer);
	kvm_x86_ops.set_cr0(vcpu, s->cr0);
	kvm_x86_ops.set_cr4(vcpu, s->cr4);
	if (!kvm_hw.npt && old_cr3 != s->cr3)
		kvm_mmu_unload(vcpu);
	kvm_x86_ops.set_cr3(vcpu, s->cr3);
	for (i = 0; i < KVM_NR_SEGS; i++)
		kvm_x86_ops.set_segment(vcpu, i, (const void *)s + segment_offset[i]);

	kvm_mmu_mode_changed(vcpu);
	kvm_request(vcpu, KVM_REQ_TLB_FLUSH_GUEST);
	kvm_cpuid_update_runtime(vcpu);
	wake_if_reset(vcpu, s);
	kvm_request(vcpu, KVM_REQ_EVENT);
}

static bool is_pae_paging(struct kvm_vcpu *vcpu)
{
	return is_paging(vcpu) && (kvm_read_cr4(vcpu) & X86_CR4_PAE) && !is_long_mode(vcpu);
}

/* The vector on its way to the guest, or -1. */
static int pending_vector(struct kvm_vcpu *vcpu)
{
	bool external = vcpu->arch.interrupt.injected && !vcpu->arch.interrupt.soft;

	return external ? vcpu->arch.interrupt.nr : -1;
}

int kvm_get_sregs(struct kvm_vcpu *vcpu, struct kvm_sregs *sregs)
{
	int vector = pending_vector(vcpu);

	memset(sregs, 0, sizeof(*sregs));
	sregs_read(vcpu, (struct sregs_common *)sregs);
	if (vector >= 0)
		sregs->interrupt_bitmap[vector / 64] |= BIT_ULL(vector % 64);
	return 0;
}

int kvm_set_sregs(struct kvm_vcpu *vcpu, struct kvm_sregs *sregs)
{
	struct sregs_common *s = (struct sregs_common *)sregs;
	unsigned int i;

	if (!sregs_valid(vcpu, s))
		return -EINVAL;
	sregs_write(vcpu, s);
	if (is_pae_paging(vcpu))
		kvm_load_pdptrs(vcpu, s->cr3);

	for (i = 0; i < ARRAY_SIZE(sregs->interrupt_bitmap); i++) {
		if (!sregs->interrupt_bitmap[i])
			continue;
		kvm_queue_interrupt(vcpu, i * 64 + __ffs64(sregs->interrupt_bitmap[i]), false);
		break;
	}
	return 0;
}

int kvm_get_sregs2(struct kvm_vcpu *vcpu, struct kvm_sregs2 *sregs2)
{
	memset(sregs2, 0, sizeof(*sregs2));
	sregs_read(vcpu, (struct sregs_common *)sregs2);
	if (is_pae_paging(vcpu)) {
		kvm_sync_lazy(vcpu, KVM_LAZY_PDPTRS);
		memcpy(sregs2->pdptrs, vcpu->arch.mmu.pdptrs, sizeof(sregs2->pdptrs));
		sregs2->flags |= KVM_SREGS2_FLAGS_PDPTRS_VALID;
	}
	return 0;
}

int kvm_set_sregs2(struct kvm_vcpu *vcpu, struct kvm_sregs2 *sregs2)
{
	struct sregs_common *s = (struct sregs_common *)sregs2;
	bool pae = (s->cr0 & X86_CR0_PG) && (s->cr4 & X86_CR4_PAE) && !(s->efer & EFER_LMA);
	bool pdptrs_valid = sregs2->flags & KVM_SREGS2_FLAGS_PDPTRS_VALID;

	if (sregs2->flags & ~KVM_SREGS2_FLAGS_PDPTRS_VALID || (pdptrs_valid && !pae))
		return -EINVAL;
	if (!sregs_valid(vcpu, s))
		return -EINVAL;
	sregs_write(vcpu, s);
	if (pdptrs_valid) {
		memcpy(vcpu->arch.mmu.pdptrs, sregs2->pdptrs, sizeof(sregs2->pdptrs));
		vcpu->arch.stale &= ~BIT(KVM_LAZY_PDPTRS);
		kvm_mmu_unload(vcpu);
	} else if (pae) {
		kvm_load_pdptrs(vcpu, s->cr3);
	}
	return 0;
}

int kvm_translate(struct kvm_vcpu *vcpu, struct kvm_translation *tr)
{
	gpa_t gpa = kvm_walk_gva_peek(vcpu, tr->linear_address);

	tr->physical_address = gpa;
	tr->valid = gpa != INVALID_GPA;
	tr->writeable = 1;
	tr->usermode = 0;
	return 0;
}

/* ---- KVM_CAP_SYNC_REGS ----------------------------------------------------------------------- */

/* Before the entry: what userspace changed in the run page, copied before it is checked. */
int kvm_sync_regs_load(struct kvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u64 dirty = READ_ONCE(run->kvm_dirty_regs);
	union {
		struct kvm_regs regs;
		struct kvm_sregs sregs;
		struct kvm_vcpu_events events;
	} copy;

	if ((READ_ONCE(run->kvm_valid_regs) | dirty) & ~KVM_SYNC_X86_VALID_FIELDS)
		return -EINVAL;
	if (likely(!dirty))
		return 0;
	if (dirty & KVM_SYNC_X86_REGS) {
		copy.regs = run->s.regs.regs;
		kvm_set_regs(vcpu, &copy.regs);
		run->kvm_dirty_regs &= ~KVM_SYNC_X86_REGS;
	}
	if (dirty & KVM_SYNC_X86_SREGS) {
		copy.sregs = run->s.regs.sregs;
		barrier_data(&copy);
		if (kvm_set_sregs(vcpu, &copy.sregs))
			return -EINVAL;
		run->kvm_dirty_regs &= ~KVM_SYNC_X86_SREGS;
	}
	if (dirty & KVM_SYNC_X86_EVENTS) {
		copy.events = run->s.regs.events;
		barrier_data(&copy);
		if (kvm_set_vcpu_events(vcpu, &copy.events))
			return -EINVAL;
		run->kvm_dirty_regs &= ~KVM_SYNC_X86_EVENTS;
	}
	return 0;
}

/* After the exit: what userspace wants to find there. */
void kvm_sync_regs_store(struct kvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u64 wanted = READ_ONCE(run->kvm_valid_regs);

	if (wanted & KVM_SYNC_X86_REGS)
		kvm_get_regs(vcpu, &run->s.regs.regs);
	if (wanted & KVM_SYNC_X86_SREGS)
		kvm_get_sregs(vcpu, &run->s.regs.sregs);
	if (wanted & KVM_SYNC_X86_EVENTS)
		kvm_get_vcpu_events(vcpu, &run->s.regs.events);
}
