// SPDX-License-Identifier: GPL-2.0
/*
 * kvm-amd.ko: the vendor table, a vcpu's life and its way in and out of the guest. AMD64 APM
 * volume 2, chapter 15.
 */
#define pr_fmt(fmt) "kvm_amd: " fmt

#include <linux/module.h>
#include <asm/mce.h>
#include <asm/spec-ctrl.h>
#include <asm/nospec-branch.h>
#include <trace/events/ipi.h>

#include "svm.h"
#include "../cpu/cpuid.h"
#include "../trace.h"

MODULE_AUTHOR("the project's contributors");
MODULE_DESCRIPTION("KVM for processors with AMD SVM");
MODULE_LICENSE("GPL");

/* ---- loading on a processor ---------------------------------------------------------------------- */

static void svm_vcpu_load(struct kvm_vcpu *vcpu, int cpu)
{
	struct svm_cpu *sc = this_cpu_ptr(&svm_cpu);
	struct vcpu_svm *svm = to_svm(vcpu);

	if (unlikely(vcpu->cpu != cpu)) {
		/* Cached VMCB state and identifiers belong to the processor left behind. */
		svm->asid_generation = 0;
		svm_dirty_all(svm);
	}
	if (unlikely(vcpu->scheduled_out))
		svm_pause_scheduled(svm);
	if (sc->last_vmcb != svm->vmcb) {
		sc->last_vmcb = svm->vmcb;
		indirect_branch_prediction_barrier();
	}
}

static void svm_vcpu_put(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	svm->host_saved = false;
	/* To userspace; a step that was interrupted by the scheduler goes on, or is to be recognized. */
	if (unlikely(svm->nmi_singlestep) && !vcpu->scheduled_out)
		svm_end_nmi_step(vcpu);
	if (svm->tsc_aux_switched) {
		svm->tsc_aux_switched = false;
		wrmsrl(MSR_TSC_AUX, this_cpu_read(svm_cpu.host_tsc_aux));
	}
}

/* The register is the guest's until the vcpu is put, if the guest can see it. Preemption off. */
void svm_load_tsc_aux(struct vcpu_svm *svm)
{
	struct kvm_vcpu *vcpu = &svm->vcpu;

	if (!svm->tsc_aux_switched && svm->tsc_aux == this_cpu_read(svm_cpu.host_tsc_aux))
		return;
	if (!kvm_guest_has(vcpu, X86_FEATURE_RDTSCP) && !kvm_guest_has(vcpu, X86_FEATURE_RDPID))
		return;
	wrmsrl(MSR_TSC_AUX, svm->tsc_aux);
	svm->tsc_aux_switched = true;
}

/* Once after loading: what stays the same for all entries until the vcpu is put. */
static void svm_prepare_entry(struct kvm_vcpu *vcpu)
{
	struct svm_cpu *sc = this_cpu_ptr(&svm_cpu);
	struct vcpu_svm *svm = to_svm(vcpu);
	u64 host_state;

	if (likely(svm->host_saved))
		return;
	svm->host_saved = true;
	vcpu->stat.host_state_reload++;

	host_state = page_to_phys(sc->host_state);
	svm->entry.host_pa = host_state;
	asm volatile("1: vmsave %0\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : : "a" (host_state) : "memory");

	if (boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL) && !svm_hw.v_spec_ctrl)
		svm->entry.host_spec = this_cpu_read(x86_spec_ctrl_current);

	svm_load_tsc_aux(svm);
}

/* ---- entry ------------------------------------------------------------------------------------------ */

static noinstr void cross_over(struct svm_entry *entry)
{
	kvm_context_enter_guest();
	svm_world_switch(entry);
	kvm_context_leave_guest();
}

/* State that common code owns, into the VMCB. */
static __always_inline void fill_vmcb(struct kvm_vcpu *vcpu, struct vcpu_svm *svm)
{
	struct vmcb_save_area *save = &svm->vmcb->save;

	save->rax = vcpu->arch.regs[KVM_RAX];
	save->rsp = vcpu->arch.regs[KVM_RSP];
	save->rip = vcpu->arch.rip;
	save->rflags = vcpu->arch.rflags;
	if (unlikely(save->cr2 != vcpu->arch.cr2)) {
		save->cr2 = vcpu->arch.cr2;
		svm_dirty(svm, SVM_CLEAN_CR2);
	}
	if (unlikely(save->dr6 != vcpu->arch.dr6)) {
		save->dr6 = vcpu->arch.dr6;
		svm_dirty(svm, SVM_CLEAN_DR);
	}
	if (unlikely(svm->v_tpr != vcpu->arch.cr8)) {
		svm->v_tpr = vcpu->arch.cr8;
		svm->vmcb->control.int_ctl &= ~V_TPR_MASK;
		svm->vmcb->control.int_ctl |= svm->v_tpr & V_TPR_MASK;
		svm_dirty(svm, SVM_CLEAN_TPR);
	}
}

/* And back. CR0.TS and CR0.MP are the guest's to change without an exit. */
static __always_inline void read_vmcb(struct kvm_vcpu *vcpu, struct vcpu_svm *svm)
{
	const struct vmcb_save_area *save = &svm->vmcb->save;

	vcpu->arch.regs[KVM_RAX] = save->rax;
	vcpu->arch.regs[KVM_RSP] = save->rsp;
	vcpu->arch.rip = save->rip;
	vcpu->arch.rflags = save->rflags;
	vcpu->arch.cr2 = save->cr2;
	if (likely(svm_hw.npt))
		vcpu->arch.cr3 = save->cr3;	/* else it is ours */
	vcpu->arch.dr6 = save->dr6;
	vcpu->arch.cr0 = (vcpu->arch.cr0 & ~SVM_CR0_SELECTIVE_MASK) |
			 (save->cr0 & SVM_CR0_SELECTIVE_MASK);
	if (unlikely((svm->vmcb->control.int_ctl & V_TPR_MASK) != svm->v_tpr))
		svm_take_tpr(vcpu);
}

static __always_inline void renew_asid(struct vcpu_svm *svm)
{
	bool stale = svm->asid_generation != this_cpu_read(svm_cpu.asid_generation);

	if (likely(!stale && !svm->flush_asid))
		return;
	svm->flush_asid = false;
	if (!stale && svm_hw.flush_by_asid)
		svm->vmcb->control.tlb_ctl = TLB_CONTROL_FLUSH_ASID;
	else
		svm_assign_asid(svm);
}

/*
 * Speculative store bypass, on processors where it is not in SPEC_CTRL: is the guest's choice
 * another than the one in force? That is the thread's, or for all the boot command line's.
 */
static __always_inline bool virt_ssbd_differs(const struct vcpu_svm *svm)
{
	bool host;

	if (!static_cpu_has(X86_FEATURE_LS_CFG_SSBD) && !static_cpu_has(X86_FEATURE_VIRT_SSBD))
		return false;
	host = static_cpu_has(X86_FEATURE_SPEC_STORE_BYPASS_DISABLE) || test_thread_flag(TIF_SSBD);
	return host != !!(svm->virt_spec_ctrl & SPEC_CTRL_SSBD);
}

static enum kvm_entry_result svm_enter(struct kvm_vcpu *vcpu, bool must_exit_at_once)
{
	struct vcpu_svm *svm = to_svm(vcpu);
	struct vmcb_control_area *c = &svm->vmcb->control;
	bool switch_ssbd = virt_ssbd_differs(svm);

	fill_vmcb(vcpu, svm);
	renew_asid(svm);
	/* An interrupt to ourselves is taken as soon as the guest's first event is delivered. */
	if (unlikely(must_exit_at_once)) {
		svm_force_interrupt(svm);
		smp_send_reschedule(vcpu->cpu);
	}

	if (unlikely(switch_ssbd))
		x86_spec_ctrl_set_guest(svm->virt_spec_ctrl);
	cross_over(&svm->entry);
	if (unlikely(switch_ssbd))
		x86_spec_ctrl_restore_host(svm->virt_spec_ctrl);

	c->event_inj = 0;
	c->tlb_ctl = TLB_CONTROL_DO_NOTHING;
	c->clean = BIT(SVM_NR_CLEAN) - 1;
	if (unlikely(svm->entry.failed)) {
		svm->entry.failed = false;
		c->exit_code = SVM_EXIT_ERR;
		c->exit_int_info = 0;
		svm_dirty_all(svm);
		return KVM_ENTRY_EXITED;
	}
	read_vmcb(vcpu, svm);
	return KVM_ENTRY_EXITED;
}

static noinline void machine_check(void)
{
	struct pt_regs regs = {
		.cs = 3,	/* from a guest, which is not the kernel: recoverable as a process is */
		.flags = X86_EFLAGS_IF,
	};

	do_machine_check(&regs);
}

/* Interrupts, NMIs and SMIs are pending still and come by themselves; a machine check does not. */
static void svm_handle_host_event(struct kvm_vcpu *vcpu)
{
	if (unlikely(to_svm(vcpu)->vmcb->control.exit_code == SVM_EXIT_EXCP_BASE + MC_VECTOR))
		machine_check();
}

/* ---- life ------------------------------------------------------------------------------------------ */

static int svm_vm_create(struct kvm *kvm)
{
	return 0;
}

static void svm_vm_destroy(struct kvm *kvm)
{
}

static int svm_vcpu_create(struct kvm_vcpu *vcpu)
{
	return svm_vmcb_create(to_svm(vcpu));
}

static void svm_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	svm_vmcb_destroy(to_svm(vcpu));
}

static void svm_cpuid_changed(struct kvm_vcpu *vcpu)
{
	svm_update_msr_intercepts(vcpu);
	svm_update_invpcid_intercept(vcpu);
}

static bool svm_cr4_valid(struct kvm_vcpu *vcpu, unsigned long cr4)
{
	return true;
}

/* Nothing is read lazily: the VMCB is memory. */
static void svm_read_lazy(struct kvm_vcpu *vcpu, enum kvm_lazy_state what)
{
	vcpu->arch.stale &= ~BIT(what);
}

/* Only VMX needs pages of guest memory for these. */
static int svm_set_tss_addr(struct kvm *kvm, unsigned int addr)
{
	return 0;
}

static int svm_set_identity_map_addr(struct kvm *kvm, u64 addr)
{
	return 0;
}

static void svm_init_cpu_caps(void)
{
	if (boot_cpu_has(X86_FEATURE_VIRT_SSBD) || boot_cpu_has(X86_FEATURE_LS_CFG_SSBD))
		kvm_cpu_cap_set(X86_FEATURE_VIRT_SSBD);
}

static void svm_patch_hypercall(struct kvm_vcpu *vcpu, u8 insn[3])
{
	insn[0] = 0x0f;
	insn[1] = 0x01;
	insn[2] = 0xd9;		/* VMMCALL */
}

static const struct kvm_x86_ops svm_ops = {
	.name = "kvm_amd",
	.vcpu_size = sizeof(struct vcpu_svm),
	.vcpu_align = __alignof__(struct vcpu_svm),

	.cpu_enable = svm_cpu_enable,
	.cpu_disable = svm_cpu_disable,

	.vm_create = svm_vm_create,
	.vm_destroy = svm_vm_destroy,
	.vcpu_create = svm_vcpu_create,
	.vcpu_destroy = svm_vcpu_destroy,
	.vcpu_reset = svm_vcpu_reset,
	.vcpu_load = svm_vcpu_load,
	.vcpu_put = svm_vcpu_put,

	.prepare_entry = svm_prepare_entry,
	.enter = svm_enter,
	.handle_exit = svm_handle_exit,
	.handle_host_event = svm_handle_host_event,
	.exit_info = svm_exit_info,
	.skip_insn = svm_skip_insn,

	.get_segment = svm_get_segment,
	.read_segment = svm_read_segment,
	.set_segment = svm_set_segment,
	.segment_base = svm_segment_base,
	.cpl = svm_cpl,
	.get_gdt = svm_get_gdt,
	.set_gdt = svm_set_gdt,
	.get_idt = svm_get_idt,
	.set_idt = svm_set_idt,

	.set_cr0 = svm_set_cr0,
	.set_cr3 = svm_set_cr3,
	.set_cr4 = svm_set_cr4,
	.set_efer = svm_set_efer,
	.set_dr7 = svm_set_dr7,
	.sync_debug_regs = svm_sync_debug_regs,
	.read_lazy = svm_read_lazy,
	.cr4_valid = svm_cr4_valid,

	.get_msr = svm_get_msr,
	.set_msr = svm_set_msr,
	.has_msr = svm_has_msr,
	.get_feature_msr = svm_get_feature_msr,
	.update_msr_intercepts = svm_update_msr_intercepts,

	.inject_exception = svm_inject_exception,
	.inject_interrupt = svm_inject_interrupt,
	.inject_nmi = svm_inject_nmi,
	.cancel_injection = svm_cancel_injection,
	.interrupt_allowed = svm_interrupt_allowed,
	.nmi_allowed = svm_nmi_allowed,
	.open_irq_window = svm_open_irq_window,
	.open_nmi_window = svm_open_nmi_window,
	.interrupt_shadow = svm_interrupt_shadow,
	.set_interrupt_shadow = svm_set_interrupt_shadow,
	.get_nmi_mask = svm_get_nmi_mask,
	.set_nmi_mask = svm_set_nmi_mask,
	.update_exception_intercepts = svm_update_exception_intercepts,
	.update_cr8_intercept = svm_update_cr8_intercept,

	.flush_tlb_all = svm_flush_tlb_all,
	.flush_tlb_guest = svm_flush_tlb_all,
	.flush_tlb_page = svm_flush_tlb_page,
	.load_root = svm_load_root,

	.write_tsc_offset = svm_write_tsc_offset,
	.cpuid_changed = svm_cpuid_changed,
	.init_cpu_caps = svm_init_cpu_caps,
	.set_tss_addr = svm_set_tss_addr,
	.set_identity_map_addr = svm_set_identity_map_addr,
	.patch_hypercall = svm_patch_hypercall,
};

static int __init svm_init(void)
{
	int r;

	r = svm_hw_setup();
	if (r)
		return r;
	r = kvm_x86_vendor_init(&svm_ops, THIS_MODULE);
	if (r)
		svm_hw_teardown();
	return r;
}
module_init(svm_init);

static void __exit svm_exit(void)
{
	kvm_x86_vendor_exit();
	svm_hw_teardown();
}
module_exit(svm_exit);
