// SPDX-License-Identifier: GPL-2.0
/*
 * The host's performance counters while a guest runs. What perf wants their MSRs to hold meanwhile (nothing is to
 * count that excludes guests, and no PEBS record is to be written: its address would be the guest's) is loaded by the
 * entry, and what they held by the exit, so that no NMI comes in between. SDM 3, 25.7.2, 25.8.2, 27.4 and 28.6.
 *
 * VM-entry and VM-exit controls that load IA32_PERF_GLOBAL_CTRL alone are not used: the areas do the same for all of
 * these MSRs, and some processors' exits load a wrong value with that control.
 */
#include <asm/perf_event.h>

#include "vmx.h"

void vmx_perf_reset(struct vcpu_vmx *vmx)
{
	vmx->perf_msrs = 0;
	vmcs_write(VM_ENTRY_MSR_LOAD_COUNT, 0);
	vmcs_write(VM_EXIT_MSR_LOAD_COUNT, 0);
	vmcs_write(VM_ENTRY_MSR_LOAD_ADDR, __pa(vmx->perf_guest));
	vmcs_write(VM_EXIT_MSR_LOAD_ADDR, __pa(vmx->perf_host));
}

static unsigned int fill_areas(struct vcpu_vmx *vmx, const struct perf_guest_switch_msr *msrs, int count)
{
	unsigned int used = 0;
	int i;

	for (i = 0; i < count && used < VMX_PERF_MSRS; i++) {
		if (msrs[i].host == msrs[i].guest)
			continue;
		/* A record may be on its way: PEBS is to be off for a while before the guest runs. */
		if (msrs[i].msr == MSR_IA32_PEBS_ENABLE)
			wrmsrl(MSR_IA32_PEBS_ENABLE, msrs[i].guest);
		vmx->perf_guest[used] = (struct vmx_msr_entry){ msrs[i].msr, 0, msrs[i].guest };
		vmx->perf_host[used] = (struct vmx_msr_entry){ msrs[i].msr, 0, msrs[i].host };
		used++;
	}
	return used;
}

void vmx_perf_load(struct vcpu_vmx *vmx, const struct perf_guest_switch_msr *msrs)
{
	unsigned int used = 0;

	if (msrs)
		used = fill_areas(vmx, msrs, vmx->perf_count);
	if (used == vmx->perf_msrs)
		return;
	vmx->perf_msrs = used;
	vmcs_write(VM_ENTRY_MSR_LOAD_COUNT, used);
	vmcs_write(VM_EXIT_MSR_LOAD_COUNT, used);
}

/* The entry failed before it loaded anything. */
void vmx_perf_undo(struct vcpu_vmx *vmx)
{
	unsigned int i;

	for (i = 0; i < vmx->perf_msrs; i++)
		wrmsrl(vmx->perf_host[i].index, vmx->perf_host[i].value);
}
