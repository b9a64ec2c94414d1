// SPDX-License-Identifier: GPL-2.0
/*
 * What the processor does of the local APIC for the guest: CR8 and the TPR without exits, and accesses
 * to its page known as such without a walk of our tables. SDM 3, chapter 30. The registers are those
 * of the common model, whose page is the one the processor is given.
 */
#include "vmx.h"
#include "../irqchip/irqchip.h"
#include "../mmu/mmu.h"

#define CR8_EXITING	(CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING)

static_assert(VMX_X2APIC_TPR == LAPIC_MSR_FIRST + LAPIC_TPR / 16);
static_assert(VMX_X2APIC_EOI == LAPIC_MSR_FIRST + LAPIC_EOI / 16);
static_assert(VMX_X2APIC_ICR == LAPIC_MSR_FIRST + LAPIC_ICR / 16);
static_assert(VMX_X2APIC_SELF == LAPIC_MSR_FIRST + LAPIC_SELF_IPI / 16);

/* Before a vcpu is there: the page whose accesses the processor reports. */
int vmx_apic_prepare(struct kvm *kvm)
{
	int r;

	if (!vmx_hw.apic_accesses || !kvm_has_irqchip(kvm))
		return 0;
	mutex_lock(&kvm->slots_lock);
	r = kvm_mmu_fix_page(kvm, KVM_FIXED_APIC, gpa_to_gfn(LAPIC_DEFAULT_BASE));
	mutex_unlock(&kvm->slots_lock);
	return r;
}

void vmx_apic_reset(struct vcpu_vmx *vmx)
{
	struct kvm_lapic *apic = vmx->vcpu.arch.lapic;
	struct vmx_controls *c = &vmx->controls;

	vmx->virtual_tpr = NULL;
	vmx->passes_tpr = false;
	if (!apic || !vmx_hw.tpr_shadow)
		return;
	vmx->virtual_tpr = (u8 *)&apic->regs.page[LAPIC_TPR / 4];
	vmx->tpr_threshold = 0;
	c->cpu = (c->cpu & ~CR8_EXITING) | CPU_BASED_TPR_SHADOW;
	vmcs_write(VIRTUAL_APIC_PAGE_ADDR, __pa(apic->regs.page));
	vmcs_write(TPR_THRESHOLD, 0);
	if (vmx_hw.apic_accesses)
		vmcs_write(APIC_ACCESS_ADDR,
			   page_to_phys(vmx->vcpu.kvm->arch.mmu.fixed[KVM_FIXED_APIC].page));
	vmx_apicv_reset(vmx);
}

static void set_mode_controls(struct vcpu_vmx *vmx, u32 bits)
{
	u32 mask = SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES |
		   SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE | SECONDARY_EXEC_APIC_REGISTER_VIRT |
		   SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;
	u32 value = (vmx->controls.cpu2 & ~mask) | bits;

	if (value == vmx->controls.cpu2)
		return;
	vmx->controls.cpu2 = value;
	vmcs_write(SECONDARY_VM_EXEC_CONTROL, value);
}

/*
 * APIC base MSR: enabled or not, xAPIC or x2APIC, and where the page is; or what keeps the processor
 * from delivering. Registers of an xAPIC are not its to write: the model wants to know what they were.
 */
void vmx_apic_mode_changed(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	u64 base = vcpu->arch.apic_base;
	bool xapic;
	u32 bits = 0;

	if (!vmx->virtual_tpr)
		return;
	vmx->passes_tpr = (base & MSR_IA32_APICBASE_ENABLE) && (base & X2APIC_ENABLE) &&
			  vmx_hw.x2apic_mode;
	xapic = vmx_hw.apic_accesses && (base & MSR_IA32_APICBASE_ENABLE) &&
		!(base & X2APIC_ENABLE) && (base & PAGE_MASK) == LAPIC_DEFAULT_BASE;
	if (vmx_hw.apicv) {
		WRITE_ONCE(vmx->delivers, (vmx->passes_tpr || xapic) && vmx_apicv_fits(vcpu));
		smp_mb();	/* vmx_notify_posted() */
		kvm_lapic_give(vcpu, vmx->delivers);
	}
	vmx_update_msr_intercepts(vcpu);

	if (vmx->passes_tpr)
		bits = SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
	else if (xapic)
		bits = SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	if (vmx->delivers)
		bits |= SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;
	if (vmx->delivers && vmx->passes_tpr)
		bits |= SECONDARY_EXEC_APIC_REGISTER_VIRT;
	set_mode_controls(vmx, bits);
	if (vmx_hw.posted)
		vmx_set_pin_control(vmx, PIN_BASED_POSTED_INTR, vmx->delivers);
	vmx_ipi_switch(vmx, vmx->delivers);
}

/* The guest writes its TPR without exits: have it come out when the first that waits could go in. */
void vmx_update_tpr_threshold(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	u8 threshold;

	if (!vmx->virtual_tpr)
		return;
	threshold = vcpu->arch.tpr_blocks ? kvm_lapic_tpr_threshold(vcpu) : 0;
	if (threshold == vmx->tpr_threshold)
		return;
	vmx->tpr_threshold = threshold;
	vmcs_write(TPR_THRESHOLD, threshold);
}

int vmx_handle_apic_access(struct kvm_vcpu *vcpu)
{
	u32 offset = vmcs_read(EXIT_QUALIFICATION) & APIC_ACCESS_OFFSET;

	return kvm_emulate_insn(vcpu, (vcpu->arch.apic_base & PAGE_MASK) + offset, KVM_EMULATE_PF,
				NULL, 0);
}
