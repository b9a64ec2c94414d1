// SPDX-License-Identifier: GPL-2.0
/*
 * Contents of a vcpu's VMCS: its first values, control registers, translations. Segments are in
 * segments.c, host state in host.c, events in events.c. SDM 3, chapter 25 (fields), 27.2 and 27.3
 * (what an entry checks), 29 (EPT and VPID), 24.8 (bits that CR0 and CR4 must have).
 */
#include <linux/mm.h>
#include <asm/debugreg.h>
#include <asm/tlbflush.h>

#include "vmx.h"
#include "../cpu/cpuid.h"
#include "../mmu/mmu.h"

/* Bits that the guest changes without an exit: nothing here depends on them. */
#define CR0_GUEST_OWNED	X86_CR0_TS
#define CR4_GUEST_OWNED	(X86_CR4_PVI | X86_CR4_DE | X86_CR4_PCE | X86_CR4_OSFXSR | \
			 X86_CR4_OSXMMEXCPT | X86_CR4_PGE | X86_CR4_TSD | X86_CR4_FSGSBASE)

/* Bits of CR4 that a table of 32-bit entries does without, or must. */
#define CR4_OF_PAGING	(X86_CR4_PAE | X86_CR4_PCIDE | X86_CR4_SMEP | X86_CR4_SMAP | \
			 X86_CR4_PKE | X86_CR4_LA57)

/* ---- life ----------------------------------------------------------------------------------------- */

int vmx_vmcs_create(struct vcpu_vmx *vmx)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	BUILD_BUG_ON(PAGE_SIZE < 4096);
	if (!page)
		return -ENOMEM;
	vmx->vmcs = page_address(page);
	vmx->vmcs_pa = page_to_phys(page);
	vmx->vmcs->revision = vmx_basic_vmcs_revision_id(vmx_hw.basic);
	vmx->loaded_cpu = -1;
	vmx->entry.regs = vmx->vcpu.arch.regs;
	vmx->msr_bitmap = vmx_msr_bitmap_default;
	vmx->vpid = vmx_vpid_alloc();
	vmx->eptp = INVALID_PAGE;
	return 0;
}

void vmx_vmcs_destroy(struct vcpu_vmx *vmx)
{
	vmx_clear_vmcs(vmx);
	vmx_vpid_free(vmx->vpid);
	vmx_msr_bitmap_destroy(vmx);
	vmx_pml_free(vmx);
	free_page((unsigned long)vmx->vmcs);
}

/* Exits that userspace has its guest do without: KVM_CAP_X86_DISABLE_EXITS. */
static void drop_exits(struct vmx_controls *c, u32 disabled)
{
	if (disabled & KVM_X86_DISABLE_EXITS_HLT)
		c->cpu &= ~CPU_BASED_HLT_EXITING;
	if (disabled & KVM_X86_DISABLE_EXITS_MWAIT)
		c->cpu &= ~(CPU_BASED_MWAIT_EXITING | CPU_BASED_MONITOR_EXITING);
	if (disabled & KVM_X86_DISABLE_EXITS_PAUSE)
		c->cpu2 &= ~SECONDARY_EXEC_PAUSE_LOOP_EXITING;
}

static void write_controls(struct vcpu_vmx *vmx)
{
	struct vmx_controls *c = &vmx->controls;

	*c = vmx_hw.controls;
	drop_exits(c, vmx->vcpu.kvm->arch.exits_disabled);
	vmx_apic_reset(vmx);
	if (!vmx->vpid)
		c->cpu2 &= ~SECONDARY_EXEC_ENABLE_VPID;
	if (!vmx->pml_on)
		c->cpu2 &= ~SECONDARY_EXEC_ENABLE_PML;
	if (!vmx->vcpu.kvm->arch.bus_lock_exits)
		c->cpu2 &= ~SECONDARY_EXEC_BUS_LOCK_DETECTION;
	if (!vmx->vcpu.kvm->arch.notify_flags)
		c->cpu2 &= ~SECONDARY_EXEC_NOTIFY_VM_EXITING;
	if (!vmx->vcpu.arch.tsc_ratio)
		c->cpu2 &= ~SECONDARY_EXEC_TSC_SCALING;
	vmcs_write(PIN_BASED_VM_EXEC_CONTROL, c->pin);
	vmcs_write(CPU_BASED_VM_EXEC_CONTROL, c->cpu);
	if (c->cpu & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)
		vmcs_write(SECONDARY_VM_EXEC_CONTROL, c->cpu2);
	if (c->cpu & CPU_BASED_ACTIVATE_TERTIARY_CONTROLS)
		vmcs_write(TERTIARY_VM_EXEC_CONTROL, c->cpu3);
	vmcs_write(VM_EXIT_CONTROLS, c->exit);
	vmcs_write(VM_ENTRY_CONTROLS, c->entry);
}

/* Fields that stay as they are. */
static void write_constants(struct vcpu_vmx *vmx)
{
	u32 cpu2 = vmx->controls.cpu2;

	vmcs_write(CR3_TARGET_COUNT, 0);
	vmcs_write(VM_EXIT_MSR_STORE_COUNT, 0);
	vmcs_write(VMCS_LINK_POINTER, ~0ul);
	vmcs_write(CR0_GUEST_HOST_MASK, ~CR0_GUEST_OWNED);
	if (vmx_hw.msr_bitmaps)
		vmcs_write(MSR_BITMAP, __pa(vmx->msr_bitmap));
	if (vmx->vpid)
		vmcs_write(VIRTUAL_PROCESSOR_ID, vmx->vpid);
	if (cpu2 & SECONDARY_EXEC_ENABLE_XSAVES)
		vmcs_write(XSS_EXIT_BITMAP, 0);
	if (cpu2 & SECONDARY_EXEC_ENCLS_EXITING)
		vmcs_write(ENCLS_EXITING_BITMAP, ~0ul);
	if (cpu2 & SECONDARY_EXEC_NOTIFY_VM_EXITING)
		vmcs_write(NOTIFY_WINDOW, vmx->vcpu.kvm->arch.notify_window);
	vmx_pause_reset(vmx);
	vmx_perf_reset(vmx);
	if (cpu2 & SECONDARY_EXEC_TSC_SCALING)
		vmcs_write(TSC_MULTIPLIER, vmx->vcpu.arch.tsc_ratio);
	if (vmx_hw.timer)
		vmcs_write(VMX_PREEMPTION_TIMER_VALUE, vmx_hw.timer_period);
}

static void write_guest_constants(struct vcpu_vmx *vmx)
{
	vmcs_write(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, 0);
	vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	vmcs_write(GUEST_IA32_DEBUGCTL, 0);
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	vmcs_write(VM_ENTRY_INSTRUCTION_LEN, 0);
	if (vmx_hw.load_pat)
		vmcs_write(GUEST_IA32_PAT, vmx->vcpu.arch.pat);
}

void vmx_vcpu_reset(struct kvm_vcpu *vcpu, bool init)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	write_controls(vmx);
	write_constants(vmx);
	write_guest_constants(vmx);
	if (!init) {
		vmx_host_fields_init(vmx);
		vmcs_write(GUEST_SYSENTER_CS, 0);
		vmcs_write(GUEST_SYSENTER_ESP, 0);
		vmcs_write(GUEST_SYSENTER_EIP, 0);
		vmcs_write(TSC_OFFSET, vcpu->arch.tsc_offset);
		memset(vmx->switched, 0, sizeof(vmx->switched));
		vmx->entry.guest_spec = vmx->entry.host_spec;
	}
	/* Written at the next entry, whatever they are. */
	vmx->hw_rip = ~vcpu->arch.rip;
	vmx->hw_rsp = ~vcpu->arch.regs[KVM_RSP];
	vmx->hw_rflags = ~vcpu->arch.rflags;
	vmx->timer_at_once = false;
	vmx->had_nmi = false;
	vmx->pdptrs_changed = false;
	vmx->vm86 = false;
	vmx->state_changed = !vmx_hw.unrestricted_guest;
	vmx->state_unfit = false;
	vmx->by_hand = false;
	if (vcpu->arch.mmu.root != INVALID_PAGE)
		vmx_load_root(vcpu, vcpu->arch.mmu.root, vcpu->arch.mmu.root_level);
	vmx_cpuid_changed(vcpu);
	vmx_apic_mode_changed(vcpu);
	vmx_update_exception_intercepts(vcpu);
	vmx_update_msr_intercepts(vcpu);
}

void vmx_set_pin_control(struct vcpu_vmx *vmx, u32 bit, bool on)
{
	u32 value = on ? vmx->controls.pin | bit : vmx->controls.pin & ~bit;

	if (value == vmx->controls.pin)
		return;
	vmx->controls.pin = value;
	vmcs_write(PIN_BASED_VM_EXEC_CONTROL, value);
}

void vmx_set_cpu_control(struct vcpu_vmx *vmx, u32 bit, bool on)
{
	u32 value = on ? vmx->controls.cpu | bit : vmx->controls.cpu & ~bit;

	if (value == vmx->controls.cpu)
		return;
	vmx->controls.cpu = value;
	vmcs_write(CPU_BASED_VM_EXEC_CONTROL, value);
}

/* Only where the processor has the control at all. */
void vmx_set_cpu2_control(struct vcpu_vmx *vmx, u32 bit, bool on)
{
	u32 value = on ? vmx->controls.cpu2 | bit : vmx->controls.cpu2 & ~bit;

	if (!(vmx_hw.controls.cpu2 & bit) || value == vmx->controls.cpu2)
		return;
	vmx->controls.cpu2 = value;
	vmcs_write(SECONDARY_VM_EXEC_CONTROL, value);
}

/* ---- control registers ------------------------------------------------------------------------- */

static bool pae_paging(struct kvm_vcpu *vcpu)
{
	return (vcpu->arch.cr0 & X86_CR0_PG) && (vcpu->arch.cr4 & X86_CR4_PAE) &&
	       !(vcpu->arch.efer & EFER_LMA);
}

/* The guest's own paging is off, and the processor's on a table of ours (realmode.c). */
static bool on_identity(struct kvm_vcpu *vcpu)
{
	return vmx_hw.ept && !vmx_hw.unrestricted_guest && !(vcpu->arch.cr0 & X86_CR0_PG);
}

static void write_cr4(struct kvm_vcpu *vcpu)
{
	/* A machine check with CR4.MCE clear shuts the processor down, the host's too. */
	unsigned long hw = vcpu->arch.cr4 | vmx_hw.cr4_fixed0 | (cr4_read_shadow() & X86_CR4_MCE);

	if (!vmx_hw.ept)
		hw = kvm_shadow_cr4(vcpu, hw);
	if (on_identity(vcpu)) {
		hw &= ~CR4_OF_PAGING;
		hw |= X86_CR4_PSE;
	}
	if (to_vmx(vcpu)->vm86)
		hw |= X86_CR4_VME;
	vmcs_write(GUEST_CR4, hw);
	vmcs_write(CR4_READ_SHADOW, vcpu->arch.cr4);
}

/* CR0 has changed: whose tables the processor walks, and in what format. */
static void paging_changed(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	bool identity = on_identity(vcpu);

	kvm_sync_lazy(vcpu, KVM_LAZY_CR4);
	if (!vmx_hw.ept) {
		write_cr4(vcpu);
		return;
	}
	vmcs_write(GUEST_CR3, identity ? vmx_identity_cr3(vcpu->kvm) : vcpu->arch.cr3);
	write_cr4(vcpu);
	vmx_set_cpu_control(vmx, CPU_BASED_CR3_LOAD_EXITING | CPU_BASED_CR3_STORE_EXITING,
			    identity);
}

void vmx_set_cr0(struct kvm_vcpu *vcpu, unsigned long cr0)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	unsigned long must = vmx_hw.cr0_fixed0;

	/* An unrestricted guest may do without protection and paging. */
	if (vmx_hw.unrestricted_guest)
		must &= ~(X86_CR0_PE | X86_CR0_PG);
	else
		must |= X86_CR0_PE | X86_CR0_PG;
	/* Our tables are read-only for all where the guest's are. */
	if (!vmx_hw.ept)
		must |= X86_CR0_WP;
	vmx_real_mode_changed(vcpu, cr0 & X86_CR0_PE);
	vcpu->arch.cr0 = cr0;
	vcpu->arch.stale &= ~BIT(KVM_LAZY_CR0);
	if (!vmx_hw.unrestricted_guest)
		paging_changed(vcpu);
	vmcs_write(GUEST_CR0, (cr0 & ~(X86_CR0_CD | X86_CR0_NW)) | must);
	vmcs_write(CR0_READ_SHADOW, cr0);
	if (pae_paging(vcpu))
		vmx->pdptrs_changed = true;
}

void vmx_set_cr3(struct kvm_vcpu *vcpu, unsigned long cr3)
{
	vcpu->arch.cr3 = cr3;
	vcpu->arch.stale &= ~BIT(KVM_LAZY_CR3);
	if (vmx_hw.ept && !on_identity(vcpu))
		vmcs_write(GUEST_CR3, cr3);
	if (pae_paging(vcpu))
		to_vmx(vcpu)->pdptrs_changed = true;
}

bool vmx_cr4_valid(struct kvm_vcpu *vcpu, unsigned long cr4)
{
	return !(cr4 & X86_CR4_VMXE) && !(cr4 & ~vmx_hw.cr4_fixed1);
}

void vmx_set_cr4(struct kvm_vcpu *vcpu, unsigned long cr4)
{
	vcpu->arch.cr4 = cr4;
	vcpu->arch.stale &= ~BIT(KVM_LAZY_CR4);
	write_cr4(vcpu);
	if (pae_paging(vcpu))
		to_vmx(vcpu)->pdptrs_changed = true;
}

void vmx_set_efer(struct kvm_vcpu *vcpu, u64 efer)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	u32 entry = vmx->controls.entry & ~VM_ENTRY_IA32E_MODE;

	vcpu->arch.efer = efer;
	if (efer & EFER_LMA)
		entry |= VM_ENTRY_IA32E_MODE;
	if (entry != vmx->controls.entry) {
		vmx->controls.entry = entry;
		vmcs_write(VM_ENTRY_CONTROLS, entry);
	}
	/* With CR0.PG always set, LME alone would mean long mode, and an entry is refused. */
	if (!vmx_hw.unrestricted_guest && !(efer & EFER_LMA))
		efer &= ~EFER_LME;
	/* Our own tables have NX bits. */
	if (!vmx_hw.ept)
		efer |= EFER_NX;
	if (vmx_hw.load_efer)
		vmcs_write(GUEST_IA32_EFER, efer);
	else
		vmx_set_switched(vmx, VMX_EFER, (kvm_hw.host_efer & ~EFER_SCE) | (efer & EFER_SCE));
	vmx_update_switched(vmx);
}

void vmx_read_lazy(struct kvm_vcpu *vcpu, enum kvm_lazy_state what)
{
	struct kvm_vcpu_arch *arch = &vcpu->arch;
	unsigned long owned;

	arch->stale &= ~BIT(what);
	switch (what) {
	case KVM_LAZY_CR0:
		arch->cr0 = (arch->cr0 & ~CR0_GUEST_OWNED) |
			    (vmcs_read(GUEST_CR0) & CR0_GUEST_OWNED);
		break;
	case KVM_LAZY_CR3:
		if (vmx_hw.ept && !on_identity(vcpu))
			arch->cr3 = vmcs_read(GUEST_CR3);
		break;
	case KVM_LAZY_CR4:
		owned = to_vmx(vcpu)->cr4_owned;
		arch->cr4 = (arch->cr4 & ~owned) | (vmcs_read(GUEST_CR4) & owned);
		break;
	case KVM_LAZY_PDPTRS:
		if (!vmx_hw.ept || !pae_paging(vcpu))
			break;
		arch->mmu.pdptrs[0] = vmcs_read(GUEST_PDPTR0);
		arch->mmu.pdptrs[1] = vmcs_read(GUEST_PDPTR1);
		arch->mmu.pdptrs[2] = vmcs_read(GUEST_PDPTR2);
		arch->mmu.pdptrs[3] = vmcs_read(GUEST_PDPTR3);
		break;
	}
}

/* With EPT an entry takes them from here, and the guest's own writes of CR3 update them. */
void vmx_write_pdptrs(struct vcpu_vmx *vmx)
{
	struct kvm_vcpu *vcpu = &vmx->vcpu;
	const u64 *pdptrs = vcpu->arch.mmu.pdptrs;

	vmx->pdptrs_changed = false;
	if (!vmx_hw.ept || !pae_paging(vcpu) || (vcpu->arch.stale & BIT(KVM_LAZY_PDPTRS)))
		return;
	vmcs_write(GUEST_PDPTR0, pdptrs[0]);
	vmcs_write(GUEST_PDPTR1, pdptrs[1]);
	vmcs_write(GUEST_PDPTR2, pdptrs[2]);
	vmcs_write(GUEST_PDPTR3, pdptrs[3]);
}

/* ---- debug registers ----------------------------------------------------------------------------- */

void vmx_set_dr7(struct kvm_vcpu *vcpu, unsigned long dr7)
{
	vmcs_write(GUEST_DR7, dr7);
}

/* Every access to a debug register exits, so that none is ever newer in hardware. */
void vmx_sync_debug_regs(struct kvm_vcpu *vcpu)
{
}

/* ---- translations --------------------------------------------------------------------------------- */

void vmx_load_root(struct kvm_vcpu *vcpu, hpa_t root, int level)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	u64 eptp = root | VMX_EPTP_MT_WB | (level == 5 ? VMX_EPTP_PWL_5 : VMX_EPTP_PWL_4);

	if (!vmx_hw.ept) {
		vmcs_write(GUEST_CR3, root);
		return;
	}
	if (vmx_hw.ept_ad)
		eptp |= VMX_EPTP_AD_ENABLE_BIT;
	vmx->eptp = eptp;
	vmcs_write(EPT_POINTER, eptp);
	/* Pointers of PAE paging that userspace set come with a new root. */
	vmx->pdptrs_changed = true;
}

static void invalidate_linear(struct vcpu_vmx *vmx)
{
	/* An entry without a VPID does it by itself. */
	if (!vmx->vpid)
		return;
	if (vmx_hw.vpid_caps & VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT)
		vmx_invvpid(VMX_VPID_EXTENT_SINGLE_CONTEXT, vmx->vpid, 0);
	else
		vmx_invvpid(VMX_VPID_EXTENT_ALL_CONTEXT, 0, 0);
}

/* Both kinds: translations combined from the guest's tables and ours go with ours. */
void vmx_flush_tlb_all(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	vcpu->stat.tlb_flush++;
	invalidate_linear(vmx);
	if (!vmx_hw.ept || vmx->eptp == INVALID_PAGE)
		return;
	if (vmx_hw.ept_caps & VMX_EPT_EXTENT_CONTEXT_BIT)
		vmx_invept(VMX_EPT_EXTENT_CONTEXT, vmx->eptp);
	else
		vmx_invept(VMX_EPT_EXTENT_GLOBAL, 0);
}

void vmx_flush_tlb_guest(struct kvm_vcpu *vcpu)
{
	vcpu->stat.tlb_flush++;
	invalidate_linear(to_vmx(vcpu));
}

void vmx_flush_tlb_page(struct kvm_vcpu *vcpu, gva_t gva)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (vmx->vpid && (vmx_hw.vpid_caps & VMX_VPID_EXTENT_INDIVIDUAL_ADDR_BIT))
		vmx_invvpid(VMX_VPID_EXTENT_INDIVIDUAL_ADDR, vmx->vpid, gva);
	else
		invalidate_linear(vmx);
}

/* ---- time and features ------------------------------------------------------------------------------ */

void vmx_write_tsc_offset(struct kvm_vcpu *vcpu, u64 offset)
{
	vmcs_write(TSC_OFFSET, offset);
}

void vmx_write_tsc_ratio(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	vmx_set_cpu2_control(vmx, SECONDARY_EXEC_TSC_SCALING, vcpu->arch.tsc_ratio);
	if (vcpu->arch.tsc_ratio)
		vmcs_write(TSC_MULTIPLIER, vcpu->arch.tsc_ratio);
}

/* Instructions that raise #UD unless a control lets the guest have them; bits of CR4 that exist. */
void vmx_cpuid_changed(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	kvm_sync_lazy(vcpu, KVM_LAZY_CR4);
	vmx->cr4_owned = CR4_GUEST_OWNED & ~vcpu->arch.cpuid.cr4_reserved;
	/* A change of it flushes translations. */
	if (!vmx_hw.ept)
		vmx->cr4_owned &= ~X86_CR4_PGE;
	vmcs_write(CR4_GUEST_HOST_MASK, ~vmx->cr4_owned);
	vmx_set_cpu2_control(vmx, SECONDARY_EXEC_ENABLE_RDTSCP,
			     kvm_guest_has(vcpu, X86_FEATURE_RDTSCP) ||
			     kvm_guest_has(vcpu, X86_FEATURE_RDPID));
	vmx_set_cpu2_control(vmx, SECONDARY_EXEC_ENABLE_INVPCID,
			     kvm_guest_has(vcpu, X86_FEATURE_INVPCID));
	vmx_set_cpu2_control(vmx, SECONDARY_EXEC_ENABLE_XSAVES,
			     kvm_guest_has(vcpu, X86_FEATURE_XSAVES));
	vmx_update_msr_intercepts(vcpu);
	vmx_update_switched(vmx);
}
