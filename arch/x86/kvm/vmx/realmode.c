// SPDX-License-Identifier: GPL-2.0
/*
 * Real mode and unpaged protected mode on processors without unrestricted guests, where CR0.PE and
 * CR0.PG must be set in VMX operation (SDM 3, 24.8). A guest in real mode runs in virtual-8086 mode
 * (SDM 3, chapter 21) on a task state segment of ours whose redirection bitmap sends INT n through
 * the guest's own vectors; an unpaged guest runs on a page table that maps each address to itself.
 *
 * Register states that fit neither, nor any protected mode (limits beyond 64 KiB, the moments between
 * a write of CR0.PE and the far jump), are left to the emulator, instruction by instruction, until
 * they fit again. Their events, and all of real mode, are delivered in software as well.
 */
#include <asm/desc.h>
#include <asm/trapnr.h>

#include "vmx.h"
#include "../mmu/mmu.h"

#define VM86_RIGHTS	0xf3		/* data, accessed, writable, DPL 3, present */
#define VM86_LIMIT	0xffff

#define TSS_REDIRECTION	0x68		/* 32 bytes: a bit for each vector */
#define TSS_IO_BITMAP	(TSS_REDIRECTION + 32)
#define TSS_LIMIT	(TSS_IO_BITMAP + 65536 / 8)
#define TSS_IO_BASE	0x66		/* where the bitmap begins */

#define IDENTITY_PDE	0xe7u		/* present, writable, user, accessed, dirty, 4 MiB */

/* Where userspace does not say: below the firmware's place. */
#define DEFAULT_TSS	(VMX_EPT_IDENTITY_PAGETABLE_ADDR + PAGE_SIZE)

#define EMULATE_AT_ONCE	128		/* instructions, before the rest of the kernel is looked at */

/* ---- pages in guest memory ------------------------------------------------------------------------ */

static struct page *fixed_page(struct kvm *kvm, enum kvm_fixed_use use)
{
	return kvm->arch.mmu.fixed[use].page;
}

static void fill_tss(struct kvm *kvm)
{
	u8 *first = page_address(fixed_page(kvm, KVM_FIXED_TSS));
	u8 *last = page_address(fixed_page(kvm, KVM_FIXED_TSS + 2));

	*(u16 *)(first + TSS_IO_BASE) = TSS_IO_BITMAP;
	last[TSS_LIMIT & ~PAGE_MASK] = 0xff;
}

static void fill_identity(struct kvm *kvm)
{
	u32 *table = page_address(fixed_page(kvm, KVM_FIXED_IDENTITY));
	unsigned int i;

	for (i = 0; i < PAGE_SIZE / sizeof(*table); i++)
		table[i] = i << 22 | IDENTITY_PDE;
}

/* slots_lock held. */
static int place_tss(struct kvm *kvm, gpa_t addr)
{
	unsigned int i;
	int r;

	for (i = 0; i < 3; i++) {
		r = kvm_mmu_fix_page(kvm, KVM_FIXED_TSS + i, gpa_to_gfn(addr) + i);
		if (r)
			return r;
	}
	fill_tss(kvm);
	return 0;
}

static int place_identity(struct kvm *kvm, gpa_t addr)
{
	int r = kvm_mmu_fix_page(kvm, KVM_FIXED_IDENTITY, gpa_to_gfn(addr));

	if (!r)
		fill_identity(kvm);
	return r;
}

int vmx_set_tss_addr(struct kvm *kvm, unsigned int addr)
{
	int r = 0;

	/* Three pages that end at 4 GiB at the latest. */
	if (addr > -3u * (unsigned int)PAGE_SIZE)
		return -EINVAL;
	if (vmx_hw.unrestricted_guest)
		return 0;
	mutex_lock(&kvm->slots_lock);
	r = place_tss(kvm, addr & PAGE_MASK);
	mutex_unlock(&kvm->slots_lock);
	return r;
}

int vmx_set_identity_map_addr(struct kvm *kvm, u64 addr)
{
	int r;

	if (vmx_hw.unrestricted_guest)
		return 0;
	mutex_lock(&kvm->slots_lock);
	r = place_identity(kvm, (addr ? addr : VMX_EPT_IDENTITY_PAGETABLE_ADDR) & PAGE_MASK);
	mutex_unlock(&kvm->slots_lock);
	return r;
}

/* Before a vcpu is there. */
int vmx_real_prepare(struct kvm *kvm)
{
	int r = 0;

	if (vmx_hw.unrestricted_guest)
		return 0;
	mutex_lock(&kvm->slots_lock);
	if (!fixed_page(kvm, KVM_FIXED_IDENTITY))
		r = place_identity(kvm, VMX_EPT_IDENTITY_PAGETABLE_ADDR);
	if (!r && !fixed_page(kvm, KVM_FIXED_TSS))
		r = place_tss(kvm, DEFAULT_TSS);
	mutex_unlock(&kvm->slots_lock);
	return r;
}

u64 vmx_identity_cr3(struct kvm *kvm)
{
	return gfn_to_gpa(kvm->arch.mmu.fixed[KVM_FIXED_IDENTITY].gfn);
}

/* ---- virtual-8086 mode ------------------------------------------------------------------------------ */

/* The register's part that the mode does not know of, @s, is remembered. */
void vmx_vm86_set_segment(struct vcpu_vmx *vmx, enum kvm_seg seg, const struct kvm_segment *s)
{
	vmx->real_segment[seg] = *s;
	if (seg == KVM_TR)
		return;
	vmcs_write(GUEST_ES_BASE + 2 * seg, s->base);
	vmcs_write(GUEST_ES_SELECTOR + 2 * seg, s->selector);
	vmcs_write(GUEST_ES_LIMIT + 2 * seg, VM86_LIMIT);
	vmcs_write(GUEST_ES_AR_BYTES + 2 * seg, VM86_RIGHTS);
}

void vmx_vm86_get_segment(struct vcpu_vmx *vmx, enum kvm_seg seg, struct kvm_segment *s)
{
	*s = vmx->real_segment[seg];
	if (seg == KVM_TR)
		return;
	s->base = vmcs_read(GUEST_ES_BASE + 2 * seg);
	s->selector = vmcs_read32(GUEST_ES_SELECTOR + 2 * seg);
}

static void load_tss(struct vcpu_vmx *vmx)
{
	struct kvm *kvm = vmx->vcpu.kvm;

	vmcs_write(GUEST_TR_BASE, gfn_to_gpa(kvm->arch.mmu.fixed[KVM_FIXED_TSS].gfn));
	vmcs_write(GUEST_TR_SELECTOR, 0);
	vmcs_write(GUEST_TR_LIMIT, TSS_LIMIT);
	vmcs_write(GUEST_TR_AR_BYTES, VMX_AR_P_MASK | VMX_AR_TYPE_BUSY_32_TSS);
}

static bool vm86_has(enum kvm_seg seg)
{
	return seg <= KVM_GS || seg == KVM_TR;
}

static void enter_vm86(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct kvm_segment s[KVM_NR_SEGS];
	enum kvm_seg seg;

	for (seg = 0; seg < KVM_NR_SEGS; seg++)
		vmx_get_segment(vcpu, seg, &s[seg]);
	vmx->vm86 = true;
	for (seg = 0; seg < KVM_NR_SEGS; seg++)
		if (vm86_has(seg))
			vmx_vm86_set_segment(vmx, seg, &s[seg]);
	load_tss(vmx);
	vmx->hw_rflags = ~vcpu->arch.rflags;
	vmx_update_exception_intercepts(vcpu);
}

static void leave_vm86(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct kvm_segment s;
	enum kvm_seg seg;

	for (seg = 0; seg < KVM_NR_SEGS; seg++) {
		if (!vm86_has(seg))
			continue;
		vmx_vm86_get_segment(vmx, seg, &s);
		vmx->vm86 = false;
		vmx_set_segment(vcpu, seg, &s);
		vmx->vm86 = true;
	}
	vmx->vm86 = false;
	vmx->hw_rflags = ~vcpu->arch.rflags;
	vmx_update_exception_intercepts(vcpu);
}

/* CR0.PE is about to become @protected. */
void vmx_real_mode_changed(struct kvm_vcpu *vcpu, bool protected)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (vmx_hw.unrestricted_guest)
		return;
	vmx->state_changed = true;
	if (protected && vmx->vm86)
		leave_vm86(vcpu);
	else if (!protected && !vmx->vm86)
		enter_vm86(vcpu);
}

/* ---- which states the processor takes (SDM 3, 27.3.1.2) ------------------------------------------------ */

static bool fits_vm86(const struct kvm_segment *s)
{
	return s->base == (u64)s->selector << 4 && s->limit == VM86_LIMIT;
}

static bool valid_vm86(const struct kvm_segment *s)
{
	enum kvm_seg seg;

	for (seg = KVM_ES; seg <= KVM_GS; seg++)
		if (!fits_vm86(&s[seg]))
			return false;
	return true;
}

static bool valid_code(const struct kvm_segment *cs, const struct kvm_segment *ss)
{
	if (cs->unusable || !cs->s || !cs->present || !(cs->type & 8))
		return false;
	/* Conforming code may be more privileged than the stack. */
	return cs->type & 4 ? cs->dpl <= ss->dpl : cs->dpl == ss->dpl;
}

static bool valid_stack(const struct kvm_segment *ss, const struct kvm_segment *cs)
{
	if (((ss->selector ^ cs->selector) & 3) || ss->dpl != (ss->selector & 3))
		return false;
	return ss->unusable || (ss->s && ss->present && (ss->type == 3 || ss->type == 7));
}

static bool valid_data(const struct kvm_segment *s)
{
	if (s->unusable)
		return true;
	if (!s->s || !s->present || (s->type & 10) == 8)
		return false;
	return s->type > 11 || s->dpl >= (s->selector & 3);
}

static bool valid_system(const struct kvm_segment *tr, const struct kvm_segment *ldt)
{
	if (tr->unusable || !tr->present || tr->s || (tr->selector & 4) ||
	    (tr->type != 3 && tr->type != 11))
		return false;
	return ldt->unusable ||
	       (ldt->present && !ldt->s && ldt->type == 2 && !(ldt->selector & 4));
}

static bool valid_state(struct kvm_vcpu *vcpu)
{
	struct kvm_segment s[KVM_NR_SEGS];
	enum kvm_seg seg;

	for (seg = 0; seg < KVM_NR_SEGS; seg++)
		vmx_get_segment(vcpu, seg, &s[seg]);
	if (to_vmx(vcpu)->vm86 || (vcpu->arch.rflags & X86_EFLAGS_VM))
		return valid_vm86(s);
	return valid_code(&s[KVM_CS], &s[KVM_SS]) && valid_stack(&s[KVM_SS], &s[KVM_CS]) &&
	       valid_data(&s[KVM_DS]) && valid_data(&s[KVM_ES]) && valid_data(&s[KVM_FS]) &&
	       valid_data(&s[KVM_GS]) && valid_system(&s[KVM_TR], &s[KVM_LDTR]);
}

/* Must the emulator take over? Segments or CR0 may have been written since the last time. */
bool vmx_state_unfit(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (vmx->state_changed) {
		vmx->state_changed = false;
		vmx->state_unfit = !valid_state(vcpu);
	}
	return vmx->state_unfit || vmx->by_hand;
}

/* ---- events --------------------------------------------------------------------------------------------- */

/*
 * What was to be injected goes through the guest's tables in software: the processor would use those
 * of virtual-8086 mode, or is not to be entered.
 */
static int deliver_event(struct kvm_vcpu *vcpu)
{
	struct kvm_exception *ex = &vcpu->arch.exception;
	int r;

	/* With it goes the step back before a software event. */
	vmx_cancel_injection(vcpu);
	if (ex->injected) {
		r = kvm_emulate_event(vcpu, ex->vector, ex->has_error_code && is_protected(vcpu),
				      ex->error_code);
	} else if (vcpu->arch.nmi_injected) {
		r = kvm_emulate_event(vcpu, NMI_VECTOR, false, 0);
		if (!vcpu->arch.nmi_injected)
			vmx_set_nmi_mask(vcpu, true);
	} else {
		r = kvm_emulate_event(vcpu, vcpu->arch.interrupt.nr, false, 0);
	}
	/* It raised another, which takes its place. */
	vcpu->arch.delivery_cut = ex->pending;
	/* It could not be delivered, and still waits. */
	if (r <= 0)
		kvm_request(vcpu, KVM_REQ_EVENT);
	return r;
}

int vmx_emulate_unfit(struct kvm_vcpu *vcpu)
{
	int n, r = 1;

	if (kvm_event_in_delivery(vcpu))
		r = deliver_event(vcpu);
	for (n = 0; n < EMULATE_AT_ONCE && r > 0 && vmx_state_unfit(vcpu); n++) {
		/* Events, timers, signals and whatever else wants the run loop. */
		if (kvm_request_pending(vcpu) || signal_pending(current) ||
		    vcpu->arch.mp_state != KVM_MP_STATE_RUNNABLE || vmx_look_for_windows(vcpu))
			break;
		r = kvm_emulate_insn(vcpu, 0, 0, NULL, 0);
	}
	return r;
}

/* Every exception of virtual-8086 mode exits: most are the guest's own, of real mode. */
int vmx_real_exception(struct kvm_vcpu *vcpu, u32 info)
{
	u8 vector = info & INTR_INFO_VECTOR_MASK;

	switch (vector) {
	case GP_VECTOR:
	case SS_VECTOR:
		/* An instruction that is privileged there, or one that raises it here as well. */
		return kvm_emulate_insn(vcpu, 0, 0, NULL, 0);
	case BP_VECTOR:
	case OF_VECTOR:
		vmx_skip_insn(vcpu);
		break;
	}
	kvm_queue_exception(vcpu, vector);
	return 1;
}
