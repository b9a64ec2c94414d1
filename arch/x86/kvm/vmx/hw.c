// SPDX-License-Identifier: GPL-2.0
/*
 * The processors as VMX hosts: entering and leaving VMX operation, which VMCS each of them holds,
 * and the identifiers of guests' translations. SDM 3, 24.7 and 24.8 (VMX operation), 25.1 and 25.11
 * (a VMCS is cached by the processor it was loaded on until it is cleared there), 29.4 (VPIDs).
 */
#define pr_fmt(fmt) "kvm_intel: " fmt

#include <linux/cpu.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <asm/mce.h>
#include <asm/perf_event.h>
#include <asm/reboot.h>
#include <asm/spec-ctrl.h>
#include <asm/tlbflush.h>

#include "vmx.h"
#include "../mmu/mmu.h"

#define TSC_RATIO_BITS	48	/* fraction of the TSC multiplier: SDM 3, 26.6.5 */

static DEFINE_PER_CPU(struct vmcs *, vmxon_region);
/* What this processor may cache; changed on it, interrupts off. */
static DEFINE_PER_CPU(struct list_head, loaded_vmcss);
static DEFINE_PER_CPU(struct vcpu_vmx *, current_vmx);
DEFINE_PER_CPU(struct vcpu_vmx *, vmx_last_vcpu);

/* ---- failures of instructions ----------------------------------------------------------------------- */

void vmx_read_failed(unsigned long field)
{
	if (!READ_ONCE(kvm_rebooting))
		pr_err_ratelimited("VMREAD of field 0x%lx failed\n", field);
}

void vmx_write_failed(unsigned long field, unsigned long value)
{
	if (!READ_ONCE(kvm_rebooting))
		pr_err_ratelimited("VMWRITE of field 0x%lx, value 0x%lx failed\n", field, value);
}

void vmx_insn_failed(const char *insn, u64 operand)
{
	if (!READ_ONCE(kvm_rebooting))
		pr_err_ratelimited("%s of 0x%llx failed\n", insn, operand);
}

/* ---- VMCSs ---------------------------------------------------------------------------------------------- */

/* On the processor that caches it, interrupts off. */
static void clear_here(void *data)
{
	struct vcpu_vmx *vmx = data;

	if (vmx->loaded_cpu != smp_processor_id())
		return;
	vmx_vmclear(vmx->vmcs_pa);
	if (this_cpu_read(current_vmx) == vmx)
		this_cpu_write(current_vmx, NULL);
	list_del(&vmx->loaded_link);
	vmx->entry.launched = false;
	/* Another processor that sees -1 must find the rest done. */
	smp_store_release(&vmx->loaded_cpu, -1);
}

void vmx_clear_vmcs(struct vcpu_vmx *vmx)
{
	int cpu = READ_ONCE(vmx->loaded_cpu);

	/* A processor that goes offline clears what it has. */
	if (cpu >= 0)
		smp_call_function_single(cpu, clear_here, vmx, 1);
}

bool vmx_load_vmcs(struct vcpu_vmx *vmx, int cpu)
{
	bool elsewhere = smp_load_acquire(&vmx->loaded_cpu) != cpu;
	unsigned long flags;

	if (elsewhere) {
		vmx_clear_vmcs(vmx);
		local_irq_save(flags);
		/* Makes a VMCS of fresh memory, too (SDM 3, 25.11.3). */
		vmx_vmclear(vmx->vmcs_pa);
		list_add(&vmx->loaded_link, this_cpu_ptr(&loaded_vmcss));
		vmx->loaded_cpu = cpu;
		local_irq_restore(flags);
	}
	if (this_cpu_read(current_vmx) != vmx) {
		this_cpu_write(current_vmx, vmx);
		vmx_vmptrld(vmx->vmcs_pa);
	}
	return elsewhere;
}

static void clear_all_here(void)
{
	struct vcpu_vmx *vmx, *next;

	list_for_each_entry_safe(vmx, next, this_cpu_ptr(&loaded_vmcss), loaded_link)
		clear_here(vmx);
}

/* ---- VMX operation ---------------------------------------------------------------------------------------- */

int vmx_cpu_enable(void)
{
	int r;

	if (cr4_read_shadow() & X86_CR4_VMXE) {
		pr_err_ratelimited("processor %d: VMX is in use by somebody else\n",
				   smp_processor_id());
		return -EBUSY;
	}
	r = vmx_check_cpu();
	if (r)
		return r;

	/* Processor trace stops in VMX operation on processors that cannot do both. */
	intel_pt_handle_vmx(1);
	cr4_set_bits(X86_CR4_VMXE);
	r = vmx_vmxon(__pa(this_cpu_read(vmxon_region)));
	if (r) {
		pr_err_ratelimited("processor %d: VMXON failed\n", smp_processor_id());
		cr4_clear_bits(X86_CR4_VMXE);
		intel_pt_handle_vmx(0);
		return r;
	}
	/* Translations of an earlier use of this processor. */
	if (vmx_hw.ept)
		vmx_invept(vmx_hw.ept_caps & VMX_EPT_EXTENT_GLOBAL_BIT ? VMX_EPT_EXTENT_GLOBAL :
			   VMX_EPT_EXTENT_CONTEXT, 0);
	return 0;
}

void vmx_cpu_disable(void)
{
	vmx_posted_cpu_disable();
	clear_all_here();
	vmx_vmxoff();
	cr4_clear_bits(X86_CR4_VMXE);
	intel_pt_handle_vmx(0);
}

/*
 * A crash or an emergency restart: a processor in VMX operation ignores INIT, and what it caches of
 * a VMCS must not be written back into the next kernel's memory. Nothing here may rely on locks.
 */
static void emergency_disable(void)
{
	struct vcpu_vmx *vmx;

	WRITE_ONCE(kvm_rebooting, true);
	if (!(__read_cr4() & X86_CR4_VMXE))
		return;
	list_for_each_entry(vmx, this_cpu_ptr(&loaded_vmcss), loaded_link)
		vmx_vmclear(vmx->vmcs_pa);
	vmx_vmxoff();
	cr4_clear_bits(X86_CR4_VMXE);
}

/* ---- VPIDs ---------------------------------------------------------------------------------------------------- */

/* 0 is the host's. A vcpu that gets none runs with it, and loses its translations at every exit. */
static DECLARE_BITMAP(vpids, VMX_NR_VPIDS);

u16 vmx_vpid_alloc(void)
{
	unsigned long vpid;

	if (!vmx_hw.vpid)
		return 0;
	do {
		vpid = find_next_zero_bit(vpids, VMX_NR_VPIDS, 1);
		if (vpid >= VMX_NR_VPIDS)
			return 0;
	} while (test_and_set_bit(vpid, vpids));
	return vpid;
}

void vmx_vpid_free(u16 vpid)
{
	if (vpid)
		clear_bit(vpid, vpids);
}

/* ---- module ------------------------------------------------------------------------------------------------------ */

static void free_vmxon_regions(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		free_page((unsigned long)per_cpu(vmxon_region, cpu));
		per_cpu(vmxon_region, cpu) = NULL;
	}
}

static int alloc_vmxon_regions(void)
{
	struct page *page;
	int cpu;

	for_each_possible_cpu(cpu) {
		INIT_LIST_HEAD(&per_cpu(loaded_vmcss, cpu));
		page = alloc_pages_node(cpu_to_node(cpu), GFP_KERNEL | __GFP_ZERO, 0);
		if (!page) {
			free_vmxon_regions();
			return -ENOMEM;
		}
		per_cpu(vmxon_region, cpu) = page_address(page);
		per_cpu(vmxon_region, cpu)->revision = vmx_basic_vmcs_revision_id(vmx_hw.basic);
	}
	return 0;
}

static int max_huge_level(void)
{
	if (!vmx_hw.ept)
		return boot_cpu_has(X86_FEATURE_GBPAGES) ? 3 : 2;
	if (vmx_hw.ept_caps & VMX_EPT_1GB_PAGE_BIT)
		return 3;
	return vmx_hw.ept_caps & VMX_EPT_2MB_PAGE_BIT ? 2 : 1;
}

int vmx_hw_setup(void)
{
	int r;

	r = vmx_caps_init();
	if (r)
		return r;
	r = alloc_vmxon_regions();
	if (r)
		return r;
	r = vmx_msr_init();
	if (r)
		goto err_regions;
	r = vmx_l1d_setup();
	if (r)
		goto err_msr;

	if (vmx_hw.ept)
		kvm_mmu_configure_ept(vmx_hw.ept_levels, max_huge_level(), vmx_hw.ept_ad,
				      vmx_hw.pml);
	else
		kvm_mmu_configure_shadow(max_huge_level(), vmx_hw.bypass_guest_pf);
	kvm_hw.npt = vmx_hw.ept;
	kvm_hw.max_tdp_level = vmx_hw.ept_levels;
	kvm_hw.tells_bus_locks = vmx_hw.controls.cpu2 & SECONDARY_EXEC_BUS_LOCK_DETECTION;
	kvm_hw.notifies = vmx_hw.controls.cpu2 & SECONDARY_EXEC_NOTIFY_VM_EXITING;
	kvm_hw.tsc_ratio_bits = vmx_hw.controls.cpu2 & SECONDARY_EXEC_TSC_SCALING ? TSC_RATIO_BITS : 0;
	kvm_hw.nrips = true;
	kvm_hw.supported_mce_cap = MCG_CMCI_P | MCG_LMCE_P;
	kvm_hw.virtual_tpr = vmx_hw.apic_accesses;
	kvm_hw.has_decode_assists = false;
	vmx_posted_setup();
	set_bit(0, vpids);
	cpu_emergency_register_virt_callback(emergency_disable);
	return 0;

err_msr:
	vmx_msr_exit();
err_regions:
	free_vmxon_regions();
	return r;
}

void vmx_hw_teardown(void)
{
	cpu_emergency_unregister_virt_callback(emergency_disable);
	vmx_posted_teardown();
	vmx_l1d_teardown();
	vmx_msr_exit();
	free_vmxon_regions();
}
