// SPDX-License-Identifier: GPL-2.0
/*
 * The virtual machine control block: its initial contents and the guest state that lives in it.
 * AMD64 APM volume 2, appendix B (layout), sections 15.5.1 (consistency checks), 15.13
 * (intercepts), 15.15 (caching) and 15.25 (nested paging).
 */
#include <linux/slab.h>
#include <asm/debugreg.h>

#include "svm.h"
#include "../cpu/cpuid.h"
#include "../emulate/emulate.h"
#include "../mmu/mmu.h"

struct page *svm_iopm;

/* Intercepts every guest has, beside those that follow from its state. */
static const u8 base_intercepts[] = {
	INTERCEPT_INTR, INTERCEPT_NMI, INTERCEPT_SMI, INTERCEPT_INIT,
	INTERCEPT_SELECTIVE_CR0, INTERCEPT_CR4_WRITE,
	INTERCEPT_RDPMC, INTERCEPT_CPUID, INTERCEPT_INVD, INTERCEPT_HLT, INTERCEPT_RSM,
	INTERCEPT_INVLPGA, INTERCEPT_IOIO_PROT, INTERCEPT_MSR_PROT, INTERCEPT_TASK_SWITCH,
	INTERCEPT_SHUTDOWN,
	INTERCEPT_VMRUN, INTERCEPT_VMMCALL, INTERCEPT_VMLOAD, INTERCEPT_VMSAVE,
	INTERCEPT_STGI, INTERCEPT_CLGI, INTERCEPT_SKINIT,
	INTERCEPT_WBINVD, INTERCEPT_MONITOR, INTERCEPT_MWAIT, INTERCEPT_XSETBV, INTERCEPT_RDPRU,
};

/* Without nested paging the guest's translations are ours to follow. */
static const u8 shadow_intercepts[] = {
	INTERCEPT_CR3_READ, INTERCEPT_CR3_WRITE, INTERCEPT_INVLPG,
};

static void init_control(struct vcpu_svm *svm)
{
	u32 exits_disabled = svm->vcpu.kvm->arch.exits_disabled;
	struct vmcb_control_area *c = &svm->vmcb->control;
	unsigned int i;

	memset(c->intercepts, 0, sizeof(c->intercepts));
	for (i = 0; i < ARRAY_SIZE(base_intercepts); i++)
		svm_intercept(svm, base_intercepts[i]);
	/* All sixteen debug registers, read and write: rarely used, and switched lazily. */
	c->intercepts[INTERCEPT_DR] = ~0u;

	if (exits_disabled & KVM_X86_DISABLE_EXITS_HLT)
		svm_no_intercept(svm, INTERCEPT_HLT);
	if (exits_disabled & KVM_X86_DISABLE_EXITS_MWAIT) {
		svm_no_intercept(svm, INTERCEPT_MONITOR);
		svm_no_intercept(svm, INTERCEPT_MWAIT);
	}
	if (svm_hw.pause_filter && !(exits_disabled & KVM_X86_DISABLE_EXITS_PAUSE))
		svm_pause_init(svm);

	c->iopm_base_pa = page_to_phys(svm_iopm);
	c->msrpm_base_pa = __pa(svm->msrpm);
	c->int_ctl = V_INTR_MASKING_MASK;
	c->int_state = 0;
	c->event_inj = 0;
	c->nested_ctl = svm_hw.npt ? SVM_NESTED_CTL_NP_ENABLE : 0;
	for (i = 0; !svm_hw.npt && i < ARRAY_SIZE(shadow_intercepts); i++)
		svm_intercept(svm, shadow_intercepts[i]);
	c->virt_ext = 0;
	c->tsc_offset = svm->vcpu.arch.tsc_offset;
	c->asid = 0;
	svm->asid_generation = 0;
	svm->v_tpr = 0;
	svm->virq_armed = false;
	svm->irq_window = false;
	svm->nmi_blocked = false;
	svm->nmi_iret_pending = false;
	svm->nmi_singlestep = false;
	svm_dirty_all(svm);
}

void svm_vcpu_reset(struct kvm_vcpu *vcpu, bool init)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	/* After a shutdown nothing in the save area can be relied on (15.14.3). */
	memset(&svm->vmcb->save, 0, sizeof(svm->vmcb->save));
	init_control(svm);
	svm->vmcb->save.g_pat = vcpu->arch.pat;
	if (!init) {
		svm->spec_ctrl = 0;
		svm->virt_spec_ctrl = 0;
		svm->tsc_aux = 0;
		svm->sysenter_esp = 0;
		svm->sysenter_eip = 0;
		svm->entry.guest_spec = svm->entry.host_spec;
	}
	if (vcpu->arch.mmu.root != INVALID_PAGE)
		svm_load_root(vcpu, vcpu->arch.mmu.root, vcpu->arch.mmu.root_level);
	svm_update_exception_intercepts(vcpu);
	svm_update_msr_intercepts(vcpu);
	svm_update_invpcid_intercept(vcpu);
	svm_update_cr8_intercept(vcpu);
}

/* By itself it heeds neither the guest's CPUID nor, without nested paging, the guest's CR4.PCIDE. */
void svm_update_invpcid_intercept(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	if (!boot_cpu_has(X86_FEATURE_INVPCID))
		return;
	if (svm_hw.npt && kvm_guest_has(vcpu, X86_FEATURE_INVPCID))
		svm_no_intercept(svm, INTERCEPT_INVPCID);
	else
		svm_intercept(svm, INTERCEPT_INVPCID);
}

int svm_vmcb_create(struct vcpu_svm *svm)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (!page)
		return -ENOMEM;
	svm->vmcb = page_address(page);
	svm->msrpm = svm_msrpm_default;
	svm->entry.regs = svm->vcpu.arch.regs;
	svm->entry.vmcb_pa = page_to_phys(page);
	svm->entry.int_state = &svm->vmcb->control.int_state;
	return 0;
}

void svm_vmcb_destroy(struct vcpu_svm *svm)
{
	int cpu;

	/* A processor may remember it as the last one it ran: another vcpu could get the page. */
	for_each_online_cpu(cpu)
		cmpxchg(per_cpu_ptr(&svm_cpu.last_vmcb, cpu), svm->vmcb, NULL);
	svm_msrpm_destroy(svm);
	free_page((unsigned long)svm->vmcb);
}

/* ---- control registers ------------------------------------------------------------------------- */

void svm_set_cr0(struct kvm_vcpu *vcpu, unsigned long cr0)
{
	struct vcpu_svm *svm = to_svm(vcpu);
	unsigned long hw = cr0;

	if (vcpu->arch.efer & EFER_LME) {
		u64 efer = vcpu->arch.efer & ~EFER_LMA;

		if (cr0 & X86_CR0_PG)
			efer |= EFER_LMA;
		if (efer != vcpu->arch.efer)
			svm_set_efer(vcpu, efer);
	}
	vcpu->arch.cr0 = cr0;

	/* Our tables are in force also while the guest does not page, and read-only for all. */
	if (!svm_hw.npt)
		hw |= X86_CR0_PG | X86_CR0_WP;
	/* Guests that set CD by mistake would crawl; the quirk gives them a cache all the same. */
	if (!(vcpu->kvm->arch.disabled_quirks & KVM_X86_QUIRK_CD_NW_CLEARED))
		hw &= ~(X86_CR0_CD | X86_CR0_NW);
	svm->vmcb->save.cr0 = hw;
	svm_dirty(svm, SVM_CLEAN_CR);

	/* As long as the processor's CR0 is not the guest's, the guest must not see it. */
	if (hw != cr0) {
		svm_intercept(svm, INTERCEPT_CR0_READ);
		svm_intercept(svm, INTERCEPT_CR0_WRITE);
	} else {
		svm_no_intercept(svm, INTERCEPT_CR0_READ);
		svm_no_intercept(svm, INTERCEPT_CR0_WRITE);
	}
	/* What CR4 and EFER must be depends on paging then. */
	if (!svm_hw.npt) {
		svm_set_cr4(vcpu, vcpu->arch.cr4);
		svm_set_efer(vcpu, vcpu->arch.efer);
	}
}

void svm_set_cr3(struct kvm_vcpu *vcpu, unsigned long cr3)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	vcpu->arch.cr3 = cr3;
	if (!svm_hw.npt)
		return;
	svm->vmcb->save.cr3 = cr3;
	svm_dirty(svm, SVM_CLEAN_CR);
}

void svm_set_cr4(struct kvm_vcpu *vcpu, unsigned long cr4)
{
	struct vcpu_svm *svm = to_svm(vcpu);
	/* A machine check with CR4.MCE clear shuts the processor down, the host's too. */
	unsigned long hw = cr4 | (cr4_read_shadow() & X86_CR4_MCE);

	if (!svm_hw.npt)
		hw = kvm_shadow_cr4(vcpu, hw);
	vcpu->arch.cr4 = cr4;
	svm->vmcb->save.cr4 = hw;
	svm_dirty(svm, SVM_CLEAN_CR);
	if (hw != cr4)
		svm_intercept(svm, INTERCEPT_CR4_READ);
	else
		svm_no_intercept(svm, INTERCEPT_CR4_READ);
}

void svm_set_efer(struct kvm_vcpu *vcpu, u64 efer)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	vcpu->arch.efer = efer;
	svm->vmcb->save.efer = efer | EFER_SVME;	/* VMRUN insists (15.5.1) */
	if (!svm_hw.npt) {
		/* With CR0.PG always set, LME alone would mean long mode. */
		if (!(efer & EFER_LMA))
			svm->vmcb->save.efer &= ~EFER_LME;
		svm->vmcb->save.efer |= EFER_NX;
	}
	svm_dirty(svm, SVM_CLEAN_CR);
}

/* ---- debug registers ----------------------------------------------------------------------------- */

void svm_set_dr7(struct kvm_vcpu *vcpu, unsigned long dr7)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	if (svm->vmcb->save.dr7 == dr7)
		return;
	svm->vmcb->save.dr7 = dr7;
	svm_dirty(svm, SVM_CLEAN_DR);
}

/* Every access to a debug register exits, so DR0 to DR3 are never newer in hardware. */
void svm_sync_debug_regs(struct kvm_vcpu *vcpu)
{
	vcpu->arch.dr6 = to_svm(vcpu)->vmcb->save.dr6;
}

/* ---- segments ------------------------------------------------------------------------------------- */

/* All of them but the granularity, which is what the limit says. */
#define SEGMENT_ATTRIBUTES	(EMU_ATTR_TYPE | EMU_ATTR_S | EMU_ATTR_DPL | EMU_ATTR_P |	\
				 EMU_ATTR_AVL | EMU_ATTR_L | EMU_ATTR_DB)
#define TSS_BUSY		2	/* bit of the type */

static struct vmcb_seg *vmcb_segment(struct kvm_vcpu *vcpu, enum kvm_seg seg)
{
	struct vmcb_save_area *save = &to_svm(vcpu)->vmcb->save;

	switch (seg) {
	case KVM_LDTR:
		return &save->ldtr;
	case KVM_TR:
		return &save->tr;
	default:
		/* ES, CS, SS, DS, FS, GS: in the order of the encoding. */
		return &save->es + seg;
	}
}

unsigned long svm_segment_base(struct kvm_vcpu *vcpu, enum kvm_seg seg)
{
	return vmcb_segment(vcpu, seg)->base;
}

int svm_cpl(struct kvm_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->save.cpl;
}

/*
 * The attribute word is that of a descriptor without the limit's bits between. What processors
 * leave undefined there is made definite, so that saved state can be loaded on any other.
 */
void svm_read_segment(struct kvm_vcpu *vcpu, enum kvm_seg seg, struct emu_segment *s)
{
	const struct vmcb_seg *hw = vmcb_segment(vcpu, seg);
	u16 attr = hw->attrib & SEGMENT_ATTRIBUTES;

	if (hw->limit > 0xfffff)
		attr |= EMU_ATTR_G;
	switch (seg) {
	case KVM_TR:
		attr |= TSS_BUSY;	/* a loaded one is, whatever the processor kept */
		break;
	case KVM_SS:
		if (!(attr & EMU_ATTR_P))
			attr &= ~EMU_ATTR_DB;
		attr &= ~EMU_ATTR_DPL;
		attr |= to_svm(vcpu)->vmcb->save.cpl << EMU_ATTR_DPL_SHIFT;
		break;
	case KVM_ES:
	case KVM_DS:
	case KVM_FS:
	case KVM_GS:
		if (attr & EMU_ATTR_P)
			attr |= EMU_ATTR_ACCESSED;	/* loaded means that */
		break;
	default:
		break;
	}
	s->base = hw->base;
	s->limit = hw->limit;
	s->selector = hw->selector;
	s->attr = attr;
}

void svm_get_segment(struct kvm_vcpu *vcpu, enum kvm_seg seg, struct kvm_segment *s)
{
	struct emu_segment read;

	svm_read_segment(vcpu, seg, &read);
	s->base = read.base;
	s->limit = read.limit;
	s->selector = read.selector;
	s->type = read.attr & EMU_ATTR_TYPE;
	s->s = !!(read.attr & EMU_ATTR_S);
	s->dpl = (read.attr & EMU_ATTR_DPL) >> EMU_ATTR_DPL_SHIFT;
	s->present = !!(read.attr & EMU_ATTR_P);
	s->avl = !!(read.attr & EMU_ATTR_AVL);
	s->l = !!(read.attr & EMU_ATTR_L);
	s->db = !!(read.attr & EMU_ATTR_DB);
	s->g = !!(read.attr & EMU_ATTR_G);
	s->unusable = !s->present;
	s->padding = 0;
}

void svm_set_segment(struct kvm_vcpu *vcpu, enum kvm_seg seg, const struct kvm_segment *s)
{
	struct vmcb_seg *hw = vmcb_segment(vcpu, seg);
	struct vcpu_svm *svm = to_svm(vcpu);
	u16 attr;

	attr = (s->type & SVM_SELECTOR_TYPE_MASK) |
	       (s->s & 1) << SVM_SELECTOR_S_SHIFT |
	       (s->dpl & 3) << SVM_SELECTOR_DPL_SHIFT |
	       ((s->present & 1) && !s->unusable) << SVM_SELECTOR_P_SHIFT |
	       (s->avl & 1) << SVM_SELECTOR_AVL_SHIFT |
	       (s->l & 1) << SVM_SELECTOR_L_SHIFT |
	       (s->db & 1) << SVM_SELECTOR_DB_SHIFT |
	       (s->g & 1) << SVM_SELECTOR_G_SHIFT;

	hw->base = s->base;
	hw->limit = s->limit;
	hw->selector = s->selector;
	hw->attrib = attr;
	/* SS.DPL is where the ABI carries the current privilege level. */
	if (seg == KVM_SS)
		svm->vmcb->save.cpl = s->dpl & 3;
	svm_dirty(svm, SVM_CLEAN_SEG);
}

static void get_table(const struct vmcb_seg *hw, struct desc_ptr *dt)
{
	dt->size = hw->limit;
	dt->address = hw->base;
}

static void set_table(struct vcpu_svm *svm, struct vmcb_seg *hw, const struct desc_ptr *dt)
{
	hw->limit = dt->size;
	hw->base = dt->address;
	svm_dirty(svm, SVM_CLEAN_DT);
}

void svm_get_gdt(struct kvm_vcpu *vcpu, struct desc_ptr *dt)
{
	get_table(&to_svm(vcpu)->vmcb->save.gdtr, dt);
}

void svm_set_gdt(struct kvm_vcpu *vcpu, const struct desc_ptr *dt)
{
	set_table(to_svm(vcpu), &to_svm(vcpu)->vmcb->save.gdtr, dt);
}

void svm_get_idt(struct kvm_vcpu *vcpu, struct desc_ptr *dt)
{
	get_table(&to_svm(vcpu)->vmcb->save.idtr, dt);
}

void svm_set_idt(struct kvm_vcpu *vcpu, const struct desc_ptr *dt)
{
	set_table(to_svm(vcpu), &to_svm(vcpu)->vmcb->save.idtr, dt);
}

/* ---- translations --------------------------------------------------------------------------------- */

void svm_load_root(struct kvm_vcpu *vcpu, hpa_t root, int level)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	if (svm_hw.npt) {
		svm->vmcb->control.nested_cr3 = root;
		svm_dirty(svm, SVM_CLEAN_NP);
	} else {
		svm->vmcb->save.cr3 = root;
		svm_dirty(svm, SVM_CLEAN_CR);
	}
	svm_flush_tlb_all(vcpu);
}

/* Takes effect at the next entry: by ASID where the processor can, else with a fresh one. */
void svm_flush_tlb_all(struct kvm_vcpu *vcpu)
{
	to_svm(vcpu)->flush_asid = true;
	vcpu->stat.tlb_flush++;
}

void svm_flush_tlb_page(struct kvm_vcpu *vcpu, gva_t gva)
{
	u32 asid = to_svm(vcpu)->vmcb->control.asid;

	asm volatile("invlpga %%rax, %%ecx" : : "a" (gva), "c" (asid));
}

void svm_write_tsc_offset(struct kvm_vcpu *vcpu, u64 offset)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	svm->vmcb->control.tsc_offset = offset;
	svm_dirty(svm, SVM_CLEAN_INTERCEPTS);
}
