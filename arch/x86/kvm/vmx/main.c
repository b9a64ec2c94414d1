// SPDX-License-Identifier: GPL-2.0
/*
 * kvm-intel.ko: the vendor table, a vcpu's life and its way in and out of the guest. SDM 3,
 * chapters 24 to 29.
 */
#define pr_fmt(fmt) "kvm_intel: " fmt

#include <linux/module.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/idtentry.h>
#include <asm/mce.h>
#include <asm/mmu_context.h>
#include <asm/nospec-branch.h>
#include <asm/perf_event.h>
#include <asm/pgtable.h>
#include <asm/tlbflush.h>
#include <trace/events/ipi.h>

#include "vmx.h"
#include "../cpu/cpuid.h"
#include "../trace.h"

MODULE_AUTHOR("the project's contributors");
MODULE_DESCRIPTION("KVM for processors with Intel VMX");
MODULE_LICENSE("GPL");

/* ---- loading on a processor ---------------------------------------------------------------------- */

static void vmx_vcpu_load(struct kvm_vcpu *vcpu, int cpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (unlikely(vmx_load_vmcs(vmx, cpu))) {
		/* This processor may cache translations from when the vcpu was last here. */
		kvm_request(vcpu, KVM_REQ_TLB_FLUSH);
	}
	if (this_cpu_read(vmx_last_vcpu) != vmx) {
		this_cpu_write(vmx_last_vcpu, vmx);
		indirect_branch_prediction_barrier();
	}
	if (unlikely(vcpu->scheduled_out))
		vmx_pause_scheduled(vmx);
	if (vmx_hw.posted && vmx->inbox)
		vmx_posted_load(vmx, cpu);
}

static void vmx_vcpu_put(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	/* Userspace may change what a halted vcpu cannot have; halts may end at any time. */
	if (!vcpu->scheduled_out)
		vmx_end_halt(vmx);
	if (vmx_hw.posted && vmx->inbox)
		vmx_posted_put(vmx);
	vmx_restore_host(vmx);
}

/* ---- entry ------------------------------------------------------------------------------------------ */

/* Host fields that change while the vcpu stays loaded. Interrupts off. */
static __always_inline void refresh_host(struct vcpu_vmx *vmx)
{
	unsigned long cr3 = __get_current_cr3_fast(), cr4 = cr4_read_shadow();

	if (unlikely(vmx->host.cr3 != cr3)) {
		vmx->host.cr3 = cr3;
		vmcs_write(HOST_CR3, cr3);
	}
	if (unlikely(vmx->host.cr4 != cr4)) {
		vmx->host.cr4 = cr4;
		vmcs_write(HOST_CR4, cr4);
	}
}

/* A guest in real mode runs in virtual-8086 mode with all rights over its flags (realmode.c). */
#define VM86_FLAGS	(X86_EFLAGS_VM | X86_EFLAGS_IOPL)

static noinline void hide_vm86(struct kvm_vcpu *vcpu, struct vcpu_vmx *vmx)
{
	vmx->hw_rflags = (vmx->hw_rflags & ~VM86_FLAGS) | (vcpu->arch.rflags & VM86_FLAGS);
	vcpu->arch.rflags = vmx->hw_rflags;
}

/* State that common code owns, into the VMCS. */
static __always_inline void fill_vmcs(struct kvm_vcpu *vcpu, struct vcpu_vmx *vmx)
{
	if (vmx->hw_rip != vcpu->arch.rip)
		vmcs_write(GUEST_RIP, vcpu->arch.rip);
	if (vmx->hw_rsp != vcpu->arch.regs[KVM_RSP])
		vmcs_write(GUEST_RSP, vcpu->arch.regs[KVM_RSP]);
	if (vmx->hw_rflags != vcpu->arch.rflags)
		vmcs_write(GUEST_RFLAGS, vmx->vm86 ? vcpu->arch.rflags | VM86_FLAGS :
						     vcpu->arch.rflags);
	if (unlikely(vmx->pdptrs_changed))
		vmx_write_pdptrs(vmx);
}

/* And back. */
static __always_inline void read_vmcs(struct kvm_vcpu *vcpu, struct vcpu_vmx *vmx)
{
	vmx->hw_rip = vmcs_read(GUEST_RIP);
	vmx->hw_rsp = vmcs_read(GUEST_RSP);
	vmx->hw_rflags = vmcs_read(GUEST_RFLAGS);
	vcpu->arch.rip = vmx->hw_rip;
	vcpu->arch.regs[KVM_RSP] = vmx->hw_rsp;
	if (unlikely(vmx->vm86))
		hide_vm86(vcpu, vmx);
	else
		vcpu->arch.rflags = vmx->hw_rflags;
	vcpu->arch.stale |= BIT(KVM_LAZY_CR0) | BIT(KVM_LAZY_CR3) | BIT(KVM_LAZY_CR4) |
			    BIT(KVM_LAZY_PDPTRS);
}

/*
 * A trap flag that is set while an instruction's shadow blocks events: the processor insists on
 * knowing that the single step is still to be reported (SDM 3, 27.3.1.5). Otherwise there is none:
 * an exit comes before its instruction has run. (Bochs notes one all the same, and would report it
 * for ever.)
 */
static noinline void tell_of_single_step(struct kvm_vcpu *vcpu)
{
	u32 shadow = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO) &
		     (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS);
	unsigned long pending = vmcs_read(GUEST_PENDING_DBG_EXCEPTIONS);

	if (!shadow)
		vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, pending & ~DR_STEP);
	else if (!(vmcs_read(GUEST_IA32_DEBUGCTL) & DEBUGCTLMSR_BTF))
		vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, pending | DR_STEP);
}

/*
 * The register is the guest's between entry and exit, and an exit leaves it as it is; the processor
 * shows #DB causes to exits without it.
 */
static noinstr void cross_over(struct vcpu_vmx *vmx)
{
	struct kvm_vcpu *vcpu = &vmx->vcpu;
	u32 info;

	kvm_context_enter_guest();
	vmx_l1d_flush(vmx);
	if (unlikely(vcpu->arch.cr2 != native_read_cr2()))
		native_write_cr2(vcpu->arch.cr2);
	vmx->entry_failed = vmx_world_switch(&vmx->entry);
	vcpu->arch.cr2 = native_read_cr2();
	kvm_context_leave_guest();

	instrumentation_begin();
	if (unlikely(vmx->entry_failed)) {
		vmx->exit_reason = EXIT_REASON_UNDEFINED;
		goto out;
	}
	vmx->exit_reason = vmcs_read32(VM_EXIT_REASON);
	/* Of the instruction that exited for something else. */
	if (unlikely(vmx->exit_reason & EXIT_WITH_BUS_LOCK)) {
		vmx->exit_reason &= ~EXIT_WITH_BUS_LOCK;
		vcpu->arch.bus_locked = true;
	}
	vmx->entry.launched |= !(vmx->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY);
	if (likely(vmx->exit_reason != EXIT_REASON_EXCEPTION_NMI))
		goto out;

	/* NMIs are blocked until the handler's IRET: nothing that may fault comes before it. */
	info = vmcs_read32(VM_EXIT_INTR_INFO);
	if ((info & (INTR_INFO_INTR_TYPE_MASK | INTR_INFO_VALID_MASK)) ==
	    (INTR_TYPE_NMI_INTR | INTR_INFO_VALID_MASK))
		vmx_call_gate((unsigned long)asm_exc_nmi_kvm_vmx);
out:
	instrumentation_end();
}

static void arm_timer(struct vcpu_vmx *vmx, bool at_once)
{
	if (likely(vmx->timer_at_once == at_once))
		return;
	vmx->timer_at_once = at_once;
	vmcs_write(VMX_PREEMPTION_TIMER_VALUE, at_once ? 0 : vmx_hw.timer_period);
}

/* Of the guest's own counters perf finds that there are none. Asked at each entry: there is not much to spend. */
static __always_inline void switch_perf(struct vcpu_vmx *vmx)
{
	const struct perf_guest_switch_msr *msrs = perf_guest_get_msrs(&vmx->perf_count, empty_zero_page);

	if (unlikely(msrs || vmx->perf_msrs))
		vmx_perf_load(vmx, msrs);
}

static enum kvm_entry_result vmx_enter(struct kvm_vcpu *vcpu, bool must_exit_at_once)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (unlikely(!vmx_hw.unrestricted_guest) &&
	    (vmx->state_changed | vmx->state_unfit | vmx->by_hand) && vmx_state_unfit(vcpu)) {
		vmx->emulated = true;
		vmx->exit_reason = EXIT_REASON_UNDEFINED;
		return KVM_ENTRY_EXITED;
	}
	if (vmx->delivers && (!vcpu->arch.apic_away || vmx_has_news(vmx)))
		vmx_apicv_hand_over(vmx);
	refresh_host(vmx);
	fill_vmcs(vcpu, vmx);
	if (unlikely(vcpu->arch.rflags & X86_EFLAGS_TF))
		tell_of_single_step(vcpu);
	if (vmx_hw.timer)
		arm_timer(vmx, must_exit_at_once);
	else if (unlikely(must_exit_at_once))
		smp_send_reschedule(vcpu->cpu);

	if (unlikely(vmx->pml_on))
		vmx_pml_arm(vmx);
	switch_perf(vmx);

	cross_over(vmx);

	if (unlikely(vmx->host_debugctl))
		update_debugctlmsr(vmx->host_debugctl);
	if (unlikely(vmx->pml_on))
		vmx_pml_drain(vmx);
	if (unlikely(vmx->entry_failed)) {
		vmx->instruction_error = vmcs_read32(VM_INSTRUCTION_ERROR);
		vmx_perf_undo(vmx);
		return KVM_ENTRY_EXITED;
	}
	vmx->soft_length = 0;
	vmx->vectoring = vmcs_read32(IDT_VECTORING_INFO_FIELD);
	if (vmx->virtual_tpr)
		vcpu->arch.cr8 = *vmx->virtual_tpr >> 4;
	read_vmcs(vcpu, vmx);
	return KVM_ENTRY_EXITED;
}

/*
 * Interrupts are pending still and come by themselves, unless the processor has acknowledged them; a
 * machine check does not.
 */
static void vmx_handle_host_event(struct kvm_vcpu *vcpu)
{
	struct pt_regs regs = {
		.cs = 3,	/* from a guest, which is not the kernel: recoverable as a process is */
		.flags = X86_EFLAGS_IF,
	};
	u32 reason = to_vmx(vcpu)->exit_reason;
	u32 info;

	if (likely(reason != EXIT_REASON_EXCEPTION_NMI)) {
		if (reason == EXIT_REASON_EXTERNAL_INTERRUPT && vmx_hw.posted)
			vmx_call_host_handler();
		if (unlikely((u16)reason == EXIT_REASON_MCE_DURING_VMENTRY))
			do_machine_check(&regs);
		return;
	}
	info = vmcs_read32(VM_EXIT_INTR_INFO);
	if ((info & (INTR_INFO_INTR_TYPE_MASK | INTR_INFO_VECTOR_MASK)) ==
	    (INTR_TYPE_HARD_EXCEPTION | MC_VECTOR))
		do_machine_check(&regs);
}

/* ---- life ------------------------------------------------------------------------------------------ */

static int vmx_vm_create(struct kvm *kvm)
{
	return 0;
}

static void vmx_vm_destroy(struct kvm *kvm)
{
	kfree(kvm->arch.ipi_targets);
}

static int vmx_vcpu_create(struct kvm_vcpu *vcpu)
{
	int r;

	r = vmx_apic_prepare(vcpu->kvm);
	if (r)
		return r;
	r = vmx_real_prepare(vcpu->kvm);
	if (r)
		return r;
	r = vmx_ipi_prepare(vcpu->kvm);
	if (r)
		return r;
	/* Slots may be logged already. */
	if (vmx_hw.pml)
		kvm_request(vcpu, KVM_REQ_DIRTY_LOGGING);
	r = vmx_apicv_create(to_vmx(vcpu));
	if (r)
		return r;
	r = vmx_vmcs_create(to_vmx(vcpu));
	if (r)
		vmx_apicv_destroy(to_vmx(vcpu));
	return r;
}

static void vmx_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	int cpu;

	/* A processor may remember it as the last one it ran: another vcpu could get the memory. */
	for_each_online_cpu(cpu)
		cmpxchg(per_cpu_ptr(&vmx_last_vcpu, cpu), vmx, NULL);
	vmx_vmcs_destroy(vmx);
	vmx_apicv_destroy(vmx);
}

static void vmx_init_cpu_caps(void)
{
	u32 cpu2 = vmx_hw.controls.cpu2;

	if (!(cpu2 & SECONDARY_EXEC_ENABLE_RDTSCP)) {
		kvm_cpu_cap_clear(X86_FEATURE_RDTSCP);
		kvm_cpu_cap_clear(X86_FEATURE_RDPID);
	}
	if (!(cpu2 & SECONDARY_EXEC_ENABLE_INVPCID))
		kvm_cpu_cap_clear(X86_FEATURE_INVPCID);
	if (!(cpu2 & SECONDARY_EXEC_ENABLE_XSAVES))
		kvm_cpu_cap_clear(X86_FEATURE_XSAVES);
}

static void vmx_patch_hypercall(struct kvm_vcpu *vcpu, u8 insn[3])
{
	insn[0] = 0x0f;
	insn[1] = 0x01;
	insn[2] = 0xc1;		/* VMCALL */
}

static const struct kvm_x86_ops vmx_ops = {
	.name = "kvm_intel",
	.vcpu_size = sizeof(struct vcpu_vmx),
	.vcpu_align = __alignof__(struct vcpu_vmx),

	.cpu_enable = vmx_cpu_enable,
	.cpu_disable = vmx_cpu_disable,

	.vm_create = vmx_vm_create,
	.vm_destroy = vmx_vm_destroy,
	.vcpu_create = vmx_vcpu_create,
	.vcpu_destroy = vmx_vcpu_destroy,
	.vcpu_reset = vmx_vcpu_reset,
	.vcpu_load = vmx_vcpu_load,
	.vcpu_put = vmx_vcpu_put,

	.prepare_entry = vmx_prepare_entry,
	.enter = vmx_enter,
	.handle_exit = vmx_handle_exit,
	.handle_host_event = vmx_handle_host_event,
	.exit_info = vmx_exit_info,
	.skip_insn = vmx_skip_insn,

	.get_segment = vmx_get_segment,
	.read_segment = vmx_read_segment,
	.set_segment = vmx_set_segment,
	.segment_base = vmx_segment_base,
	.cpl = vmx_cpl,
	.get_gdt = vmx_get_gdt,
	.set_gdt = vmx_set_gdt,
	.get_idt = vmx_get_idt,
	.set_idt = vmx_set_idt,

	.set_cr0 = vmx_set_cr0,
	.set_cr3 = vmx_set_cr3,
	.set_cr4 = vmx_set_cr4,
	.set_efer = vmx_set_efer,
	.set_dr7 = vmx_set_dr7,
	.sync_debug_regs = vmx_sync_debug_regs,
	.read_lazy = vmx_read_lazy,
	.cr4_valid = vmx_cr4_valid,

	.get_msr = vmx_get_msr,
	.set_msr = vmx_set_msr,
	.has_msr = vmx_has_msr,
	.get_feature_msr = vmx_get_feature_msr,
	.update_msr_intercepts = vmx_update_msr_intercepts,

	.inject_exception = vmx_inject_exception,
	.inject_interrupt = vmx_inject_interrupt,
	.inject_nmi = vmx_inject_nmi,
	.cancel_injection = vmx_cancel_injection,
	.interrupt_allowed = vmx_interrupt_allowed,
	.nmi_allowed = vmx_nmi_allowed,
	.open_irq_window = vmx_open_irq_window,
	.open_nmi_window = vmx_open_nmi_window,
	.interrupt_shadow = vmx_interrupt_shadow,
	.set_interrupt_shadow = vmx_set_interrupt_shadow,
	.get_nmi_mask = vmx_get_nmi_mask,
	.set_nmi_mask = vmx_set_nmi_mask,
	.update_exception_intercepts = vmx_update_exception_intercepts,
	.update_cr8_intercept = vmx_update_tpr_threshold,
	.apic_mode_changed = vmx_apic_mode_changed,
	.apic_map_changed = vmx_ipi_map_changed,
	.notify_posted = vmx_notify_posted,
	.post_device = vmx_post_device,

	.flush_tlb_all = vmx_flush_tlb_all,
	.flush_tlb_guest = vmx_flush_tlb_guest,
	.flush_tlb_page = vmx_flush_tlb_page,
	.load_root = vmx_load_root,
	.dirty_logging_changed = vmx_dirty_logging_changed,

	.write_tsc_offset = vmx_write_tsc_offset,
	.write_tsc_ratio = vmx_write_tsc_ratio,
	.cpuid_changed = vmx_cpuid_changed,
	.init_cpu_caps = vmx_init_cpu_caps,
	.set_tss_addr = vmx_set_tss_addr,
	.set_identity_map_addr = vmx_set_identity_map_addr,
	.patch_hypercall = vmx_patch_hypercall,
};

static int __init vmx_init(void)
{
	int r;

	r = vmx_hw_setup();
	if (r)
		return r;
	r = kvm_x86_vendor_init(&vmx_ops, THIS_MODULE);
	if (r)
		vmx_hw_teardown();
	return r;
}
module_init(vmx_init);

static void __exit vmx_exit(void)
{
	kvm_x86_vendor_exit();
	vmx_hw_teardown();
}
module_exit(vmx_exit);
