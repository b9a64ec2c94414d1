// SPDX-License-Identifier: GPL-2.0
/*
 * Page-modification logging: while a slot has a dirty log, the processor writes the address of every
 * page whose leaf it makes dirty into a log of 512 entries, which it fills from the start index down
 * to 0, and exits when there is no room. SDM 3, 29.3.6; 25.3 tells of the bit that an exit has in
 * common with those for EPT violations. What leaves look like meanwhile is told in mmu/track.c.
 *
 * The log is emptied at every exit, with interrupts off, before others can find the vcpu out of the
 * guest. So whoever has seen it outside, or has waited for it, sees all its writes marked.
 */
#include <linux/gfp.h>

#include "vmx.h"

#define PML_ENTRIES	(PAGE_SIZE / sizeof(u64))

/* A ring must not be given more than it has room for: its owner is told when it is full. */
void vmx_pml_arm(struct vcpu_vmx *vmx)
{
	u32 room = PML_ENTRIES;
	u16 start;

	if (vmx->vcpu.dirty_ring)
		room = clamp_t(u32, kvm_dirty_ring_room(&vmx->vcpu), 1, PML_ENTRIES);
	start = room - 1;
	if (start == vmx->pml_start)
		return;
	vmx->pml_start = start;
	vmcs_write(GUEST_PML_INDEX, start);
}

/* Frames of slots that are not logged are there, too. */
void vmx_pml_drain(struct vcpu_vmx *vmx)
{
	struct kvm_vcpu *vcpu = &vmx->vcpu;
	u16 i = vmx->pml_start, next = vmcs_read32(GUEST_PML_INDEX);

	if (likely(next == i))
		return;
	kvm_srcu_lock(vcpu);
	for (; i != next; i--) {
		gfn_t gfn = gpa_to_gfn(vmx->pml_log[i]);

		kvm_dirty_log_mark(vcpu, kvm_vcpu_memslot(vcpu, gfn), gfn);
	}
	vmcs_write(GUEST_PML_INDEX, vmx->pml_start);
}

/* The write has not been done: it comes again. */
int vmx_handle_pml_full(struct kvm_vcpu *vcpu)
{
	if (vmcs_read(EXIT_QUALIFICATION) & INTR_INFO_UNBLOCK_NMI)
		vmx_block_nmi_again(vcpu);
	return 1;
}

int vmx_dirty_logging_changed(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	bool on = READ_ONCE(vcpu->kvm->nr_logged_slots);

	if (on && !vmx->pml_log) {
		vmx->pml_log = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!vmx->pml_log)
			return -ENOMEM;
		vmx->pml_start = PML_ENTRIES - 1;
		vmcs_write(PML_ADDRESS, __pa(vmx->pml_log));
		vmcs_write(GUEST_PML_INDEX, vmx->pml_start);
	}
	vmx->pml_on = on;
	vmx_set_cpu2_control(vmx, SECONDARY_EXEC_ENABLE_PML, on);
	return 0;
}

void vmx_pml_free(struct vcpu_vmx *vmx)
{
	free_page((unsigned long)vmx->pml_log);
}
