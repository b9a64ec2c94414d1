// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_RUN on x86: the loop around the guest, the requests it serves, a vcpu's power-up state and
 * what kvm_run tells userspace. KVM API document, sections 4.10 and 5; APM 2, 14.1 (reset).
 *
 * The loop is budgeted in instructions: what is not needed at every entry hangs on a bit of
 * vcpu->requests, tested once.
 */
#include <linux/entry-kvm.h>
#include <linux/slab.h>
#include <linux/vtime.h>
#include <asm/debugreg.h>
#include <asm/fpu/sched.h>

#include "x86.h"
#include "mmu/mmu.h"
#include "cpu/cpuid.h"
#include "cpu/regs.h"
#include "irqchip/irqchip.h"
#include "pv/pv.h"
#include "pv/xen.h"
#include "trace.h"

#define SMBASE_AT_RESET	0x30000		/* APM 2, 10.2.1 */

/* ---- requests ------------------------------------------------------------------------------------- */

/* Work that others, or an earlier exit, left for this moment. Events last: they depend on the rest. */
static int serve_requests(struct kvm_vcpu *vcpu)
{
	int r;

	if (kvm_request_test(vcpu, KVM_REQ_VM_DEAD))
		return -EIO;
	kvm_request_take(vcpu, KVM_REQ_OUTSIDE);
	kvm_request_take(vcpu, KVM_REQ_UNHALT);

	if (kvm_request_take(vcpu, KVM_REQ_MMU_ROOT)) {
		r = kvm_mmu_load(vcpu);
		if (r) {
			kvm_request(vcpu, KVM_REQ_MMU_ROOT);
			return r;
		}
	}
	if (kvm_request_take(vcpu, KVM_REQ_DIRTY_LOGGING)) {
		r = kvm_x86_ops.dirty_logging_changed(vcpu);
		if (r) {
			kvm_request(vcpu, KVM_REQ_DIRTY_LOGGING);
			return r;
		}
	}
	/* The guest may have left the wish for a flush in it. */
	if (kvm_request_take(vcpu, KVM_REQ_STEAL_TIME))
		kvm_steal_time_update(vcpu);
	if (!kvm_hw.npt && kvm_request_test(vcpu, KVM_REQ_TLB_FLUSH_GUEST))
		kvm_mmu_sync_guest(vcpu);
	if (kvm_request_take(vcpu, KVM_REQ_TLB_FLUSH)) {
		kvm_request_take(vcpu, KVM_REQ_TLB_FLUSH_GUEST);
		kvm_x86_ops.flush_tlb_all(vcpu);
	}
	if (kvm_request_take(vcpu, KVM_REQ_TLB_FLUSH_GUEST))
		kvm_x86_ops.flush_tlb_guest(vcpu);
	if (kvm_request_take(vcpu, KVM_REQ_TRIPLE_FAULT)) {
		vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
		return 0;
	}
	if (kvm_request_take(vcpu, KVM_REQ_DIRTY_RING) && kvm_dirty_ring_exit(vcpu))
		return 0;
	if (kvm_request_take(vcpu, KVM_REQ_INTERCEPTS))
		kvm_x86_ops.update_msr_intercepts(vcpu);
	if (kvm_request_take(vcpu, KVM_REQ_CLOCK))
		kvm_clock_update(vcpu);
	if (kvm_request_take(vcpu, KVM_REQ_LAPIC_TIMER))
		kvm_lapic_timer_fired(vcpu);
	if (kvm_request_take(vcpu, KVM_REQ_ASYNC_PF))
		kvm_apf_deliver(vcpu);
	if (kvm_request_take(vcpu, KVM_REQ_XEN))
		kvm_xen_serve(vcpu);
	if (kvm_request_take(vcpu, KVM_REQ_REPORT_TPR)) {
		vcpu->run->exit_reason = KVM_EXIT_TPR_ACCESS;
		return 0;
	}
	if (kvm_request_take(vcpu, KVM_REQ_IOAPIC_EOI)) {
		vcpu->run->exit_reason = KVM_EXIT_IOAPIC_EOI;
		vcpu->run->eoi.vector = vcpu->arch.eoi_vector;
		return 0;
	}
	if (kvm_request_take(vcpu, KVM_REQ_NMI))
		kvm_collect_nmis(vcpu);
	if (kvm_request_take(vcpu, KVM_REQ_SMI)) {
		vcpu->arch.smi_pending = true;
		kvm_request(vcpu, KVM_REQ_EVENT);
	}
	if (kvm_request_take(vcpu, KVM_REQ_EVENT)) {
		vcpu->stat.req_event++;
		/* An INIT leaves a vcpu that waits for its STARTUP: nothing to enter for. */
		kvm_lapic_take_signals(vcpu);
		if (unlikely(vcpu->arch.mp_state != KVM_MP_STATE_RUNNABLE))
			return 1;
		return kvm_inject_events(vcpu);
	}
	return 1;
}

/* ---- the way into the guest ------------------------------------------------------------------------ */

/* Something came up after the requests were served: undo what was prepared, look again. */
static int call_off_entry(struct kvm_vcpu *vcpu)
{
	WRITE_ONCE(vcpu->mode, KVM_VCPU_OUTSIDE);
	local_irq_enable();
	preempt_enable();
	kvm_x86_ops.cancel_injection(vcpu);
	kvm_request(vcpu, KVM_REQ_EVENT);
	return 1;
}

/* The time since the entry belongs to the guest, and so does a tick that ended it. */
static __always_inline void account_guest_time_end(void)
{
	if (unlikely(vtime_accounting_enabled_this_cpu())) {
		local_irq_disable();
		vtime_account_guest_exit();
		local_irq_enable();
	} else {
		vtime_account_guest_exit();
	}
}

/* Registers that the kernel keeps in the processor between entries. Interrupts off. */
static __always_inline void load_processor_state(struct kvm_vcpu *vcpu)
{
	if (unlikely(test_thread_flag(TIF_NEED_FPU_LOAD)))
		switch_fpu_return();
	kvm_fpu_enter(vcpu);
	if (unlikely(vcpu->arch.switch_db_regs))
		kvm_debug_enter(vcpu);
}

static int enter_guest(struct kvm_vcpu *vcpu)
{
	int r;

	if (unlikely(kvm_request_pending(vcpu))) {
		r = serve_requests(vcpu);
		if (r <= 0)
			return r;
		if (unlikely(vcpu->arch.mp_state != KVM_MP_STATE_RUNNABLE))
			return 1;
	}
	if (unlikely(vcpu->arch.vapic_addr)) {
		kvm_srcu_lock(vcpu);
		kvm_lapic_to_vapic(vcpu);
	}
	kvm_srcu_unlock(vcpu);

	preempt_disable();
	vendor(prepare_entry)(vcpu);
	local_irq_disable();

	/* The store comes before the loads below; vcpu.c explains the agreement. */
	smp_store_mb(vcpu->mode, KVM_VCPU_ENTERING);
	if (unlikely(kvm_request_pending(vcpu) || xfer_to_guest_mode_work_pending()))
		return call_off_entry(vcpu);

	load_processor_state(vcpu);
	trace_kvm_entry(vcpu, vcpu->arch.must_exit);
	vtime_account_guest_enter();
	/*
	 * Only after an interrupt, so that a tick in the guest is a quiescent state: guests that exit
	 * for other reasons are seen by the scheduler's ticks in between.
	 */
	if (vcpu->arch.note_quiescent) {
		vcpu->arch.note_quiescent = false;
		rcu_virt_note_context_switch();
	}

	vendor(enter)(vcpu, vcpu->arch.must_exit);
	if (unlikely(vcpu->arch.must_exit)) {
		vcpu->arch.must_exit = false;
		kvm_request(vcpu, KVM_REQ_EVENT);
	}

	kvm_fpu_leave(vcpu);
	if (unlikely(vcpu->arch.switch_db_regs || hw_breakpoint_active()))
		kvm_debug_leave(vcpu);
	vendor(handle_host_event)(vcpu);
	WRITE_ONCE(vcpu->mode, KVM_VCPU_OUTSIDE);
	vcpu->stat.exits++;

	/* What ended the stay, if it was an interrupt, is taken here. */
	local_irq_enable();
	account_guest_time_end();
	preempt_enable();

	if (unlikely(vcpu->arch.vapic_addr))
		kvm_lapic_from_vapic(vcpu);
	return vendor(handle_exit)(vcpu);
}

/* Sleep until something may have changed what the vcpu waits for. 1, or -errno. */
static int wait_once(struct kvm_vcpu *vcpu)
{
	if (kvm_request_test(vcpu, KVM_REQ_VM_DEAD))
		return -EIO;
	if (signal_pending(current)) {
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		vcpu->stat.signal_exits++;
		return -EINTR;
	}
	kvm_vcpu_halt(vcpu);
	if (kvm_request_take(vcpu, KVM_REQ_ASYNC_PF))
		kvm_apf_deliver(vcpu);
	if (kvm_request_take(vcpu, KVM_REQ_XEN))
		kvm_xen_serve(vcpu);
	kvm_lapic_take_signals(vcpu);
	return 1;
}

/* Halted, or waiting for a STARTUP: 1 when the vcpu can run, or -errno. */
static int wait_until_runnable(struct kvm_vcpu *vcpu)
{
	int r;

	kvm_lapic_settle(vcpu);
	while (vcpu->arch.mp_state != KVM_MP_STATE_RUNNABLE) {
		r = wait_once(vcpu);
		if (r <= 0)
			return r;
		if (vcpu->arch.mp_state == KVM_MP_STATE_HALTED && kvm_arch_vcpu_runnable(vcpu)) {
			vcpu->arch.mp_state = KVM_MP_STATE_RUNNABLE;
			vcpu->arch.smi_in_halt = kvm_smi_waiting(vcpu);
			WRITE_ONCE(vcpu->arch.pv.unhalted, false);
			kvm_request(vcpu, KVM_REQ_EVENT);
		}
	}
	return 1;
}

/* Nobody has sent it an INIT yet. When one comes userspace is to call again, as the ABI has it. */
static int wait_for_init(struct kvm_vcpu *vcpu)
{
	int r;

	while (vcpu->arch.mp_state == KVM_MP_STATE_UNINITIALIZED) {
		r = wait_once(vcpu);
		if (r <= 0)
			return r;
	}
	return -EAGAIN;
}

static int run_loop(struct kvm_vcpu *vcpu)
{
	int r;

	vcpu->run->exit_reason = KVM_EXIT_UNKNOWN;
	vcpu->arch.note_quiescent = true;
	if (READ_ONCE(vcpu->run->request_interrupt_window))
		kvm_request(vcpu, KVM_REQ_EVENT);
	if (kvm_xen_used(vcpu->kvm))
		kvm_xen_run_begins(vcpu);
	for (;;) {
		if (unlikely(__xfer_to_guest_mode_work_pending())) {
			vcpu->arch.note_quiescent = true;
			r = kvm_serve_host(vcpu);
			if (r)
				return r;
		}
		if (unlikely(vcpu->arch.mp_state != KVM_MP_STATE_RUNNABLE)) {
			r = wait_until_runnable(vcpu);
			if (r <= 0)
				return r;
		}
		r = enter_guest(vcpu);
		if (r <= 0)
			return r;
		if (unlikely(READ_ONCE(vcpu->run->request_interrupt_window)) &&
		    kvm_interrupt_ready(vcpu)) {
			vcpu->run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
			vcpu->stat.request_irq_exits++;
			return 0;
		}
	}
}

/* ---- KVM_RUN ------------------------------------------------------------------------------------------ */

/* Fields of kvm_run that accompany every exit. */
static void tell_userspace(struct kvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->if_flag = !!(vcpu->arch.rflags & X86_EFLAGS_IF);
	run->cr8 = kvm_get_cr8(vcpu);
	run->apic_base = vcpu->arch.apic_base;
	run->flags = kvm_in_smm(vcpu) ? KVM_RUN_X86_SMM : 0;
	if (unlikely(vcpu->arch.bus_locked)) {
		run->flags |= KVM_RUN_X86_BUS_LOCK;
		vcpu->arch.bus_locked = false;
	}
	/* With all controllers in the kernel nothing is ever to be injected by userspace. */
	run->ready_for_interrupt_injection =
		vcpu->kvm->arch.irqchip_mode == KVM_IRQCHIP_KERNEL || kvm_interrupt_ready(vcpu);
	if (unlikely(run->kvm_valid_regs))
		kvm_sync_regs_store(vcpu);
}

static int complete_io(struct kvm_vcpu *vcpu)
{
	int (*complete)(struct kvm_vcpu *vcpu) = vcpu->arch.complete_io;

	if (!complete)
		return 1;
	vcpu->arch.complete_io = NULL;
	return complete(vcpu);
}

static int run_vcpu(struct kvm_vcpu *vcpu)
{
	int r;

	if (unlikely(vcpu->run->kvm_valid_regs | vcpu->run->kvm_dirty_regs)) {
		r = kvm_sync_regs_load(vcpu);
		if (r)
			return r;
	}
	if (!kvm_has_lapic(vcpu) && kvm_set_cr8(vcpu, vcpu->run->cr8))
		return -EINVAL;
	r = complete_io(vcpu);
	if (r <= 0)
		return r;
	if (!vcpu->wants_to_run)
		return -EINTR;
	if (unlikely(vcpu->arch.mp_state == KVM_MP_STATE_UNINITIALIZED))
		return wait_for_init(vcpu);
	return run_loop(vcpu);
}

int kvm_arch_vcpu_run(struct kvm_vcpu *vcpu)
{
	int r;

	kvm_fpu_load(vcpu);
	r = run_vcpu(vcpu);
	kvm_lapic_settle(vcpu);
	kvm_srcu_unlock(vcpu);
	kvm_fpu_put(vcpu);
	tell_userspace(vcpu);
	return r;
}

/* ---- the vcpu's life ------------------------------------------------------------------------------------ */

void kvm_arch_vcpu_load(struct kvm_vcpu *vcpu, int cpu)
{
	vendor(vcpu_load)(vcpu, cpu);
	kvm_clock_vcpu_load(vcpu, cpu);
	kvm_steal_time_load(vcpu);
	kvm_xen_load(vcpu);
	kvm_tsc_vcpu_load(vcpu, cpu);
}

void kvm_arch_vcpu_put(struct kvm_vcpu *vcpu)
{
	kvm_steal_time_put(vcpu);
	kvm_xen_put(vcpu);
	vendor(vcpu_put)(vcpu);
	kvm_tsc_vcpu_put(vcpu);
}

/* A reason to go on for a vcpu that has nothing to do, or nothing that it can do. */
static bool has_reason(struct kvm_vcpu *vcpu)
{
	/* A deadline that is nanoseconds away asks again instead of arming a timer. */
	while (kvm_request_take(vcpu, KVM_REQ_LAPIC_TIMER))
		kvm_lapic_timer_fired(vcpu);
	return kvm_vcpu_has_events(vcpu) ||
	       (READ_ONCE(vcpu->arch.lapic->signals) && !kvm_in_smm(vcpu)) ||
	       kvm_request_test(vcpu, KVM_REQ_ASYNC_PF) || kvm_xen_has_reason(vcpu) ||
	       ((vcpu->arch.rflags & X86_EFLAGS_IF) && kvm_irq_wakes(vcpu));
}

bool kvm_arch_vcpu_in_kernel(struct kvm_vcpu *vcpu)
{
	return !vendor(cpl)(vcpu);
}

bool kvm_arch_vcpu_runnable(struct kvm_vcpu *vcpu)
{
	switch (vcpu->arch.mp_state) {
	case KVM_MP_STATE_RUNNABLE:
		return likely(!vcpu->arch.apf.waiting && !vcpu->arch.xen.polling) ||
		       has_reason(vcpu);
	case KVM_MP_STATE_HALTED:
		return has_reason(vcpu) || READ_ONCE(vcpu->arch.pv.unhalted);
	default:
		return READ_ONCE(vcpu->arch.lapic->signals);
	}
}

/* Segment registers after reset: real mode, with the first instruction 16 bytes below 4 GiB. */
static void reset_segments(struct kvm_vcpu *vcpu)
{
	struct desc_ptr table = { .size = 0xffff };
	struct kvm_segment s = { .limit = 0xffff, .present = 1, .s = 1, .type = 3 };
	enum kvm_seg seg;

	for (seg = KVM_ES; seg <= KVM_GS; seg++) {
		if (seg != KVM_CS)
			kvm_x86_ops.set_segment(vcpu, seg, &s);
	}
	s.selector = 0xf000;
	s.base = 0xffff0000;
	s.type = 11;
	kvm_x86_ops.set_segment(vcpu, KVM_CS, &s);

	s = (struct kvm_segment) { .limit = 0xffff, .present = 1, .type = 2 };
	kvm_x86_ops.set_segment(vcpu, KVM_LDTR, &s);
	s.type = 11;
	kvm_x86_ops.set_segment(vcpu, KVM_TR, &s);
	kvm_x86_ops.set_gdt(vcpu, &table);
	kvm_x86_ops.set_idt(vcpu, &table);
}

/* Family, model and stepping, as after the built-in self test. */
static unsigned long reset_edx(struct kvm_vcpu *vcpu)
{
	struct kvm_cpuid_entry2 *e = kvm_find_cpuid(vcpu, 1, 0);

	return e ? e->eax : 0x600;
}

/* APM 2, table 14-1. INIT leaves caches, FPU, MTRRs and most MSRs alone. */
void kvm_vcpu_reset(struct kvm_vcpu *vcpu, bool init)
{
	unsigned long cr0 = X86_CR0_ET | X86_CR0_CD | X86_CR0_NW;

	if (init)
		cr0 = X86_CR0_ET | (kvm_read_cr0(vcpu) & (X86_CR0_CD | X86_CR0_NW));

	memset(vcpu->arch.regs, 0, sizeof(vcpu->arch.regs));
	vcpu->arch.regs[KVM_RDX] = reset_edx(vcpu);
	vcpu->arch.rip = 0xfff0;
	vcpu->arch.rflags = X86_EFLAGS_FIXED;
	vcpu->arch.cr2 = 0;
	vcpu->arch.cr8 = 0;
	vcpu->arch.stale = 0;
	vcpu->arch.exception = (struct kvm_exception) { };
	vcpu->arch.interrupt = (struct kvm_interrupt_event) { };
	vcpu->arch.nmi_pending = 0;
	vcpu->arch.nmi_injected = false;
	atomic_set(&vcpu->arch.nmi_queued, 0);
	if (kvm_in_smm(vcpu))
		kvm_smm_set(vcpu, false);
	vcpu->arch.smi_in_halt = false;
	if (!init) {
		vcpu->arch.smi_pending = false;
		vcpu->arch.smbase = SMBASE_AT_RESET;
	}
	vcpu->arch.must_exit = false;

	kvm_lapic_reset(vcpu, init);
	kvm_pv_reset(vcpu);
	kvm_fpu_reset(vcpu, init);
	kvm_debug_reset(vcpu);
	kvm_x86_ops.vcpu_reset(vcpu, init);
	/* The vendor fills its structure from scratch: everything is set, also what did not change. */
	kvm_x86_ops.set_efer(vcpu, 0);
	kvm_x86_ops.set_cr3(vcpu, 0);
	kvm_x86_ops.set_cr4(vcpu, 0);
	kvm_x86_ops.set_cr0(vcpu, cr0);
	reset_segments(vcpu);
	kvm_update_dr7(vcpu);
	kvm_mmu_mode_changed(vcpu);
	kvm_cpuid_update_runtime(vcpu);
	kvm_request(vcpu, KVM_REQ_TLB_FLUSH);
	kvm_request(vcpu, KVM_REQ_EVENT);
}
EXPORT_SYMBOL_GPL(kvm_vcpu_reset);

int kvm_arch_vcpu_precreate(struct kvm *kvm, unsigned int id)
{
	/* A limit that userspace set for this VM. */
	if (kvm->arch.max_vcpu_ids && id >= kvm->arch.max_vcpu_ids)
		return -EINVAL;
	if (!kvm->arch.max_vcpu_ids)
		kvm->arch.max_vcpu_ids = KVM_MAX_VCPU_IDS;
	return 0;
}

int kvm_arch_vcpu_create(struct kvm_vcpu *vcpu)
{
	struct page *page;
	int r;

	/* A filter that came while the vcpu was not among the others yet. */
	kvm_request(vcpu, KVM_REQ_INTERCEPTS);
	vcpu->arch.mp_state = KVM_MP_STATE_RUNNABLE;
	vcpu->arch.apic_base = APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE;
	if (vcpu->vcpu_id == vcpu->kvm->arch.bsp_vcpu_id)
		vcpu->arch.apic_base |= MSR_IA32_APICBASE_BSP;

	page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!page)
		return -ENOMEM;
	vcpu->arch.pio_data = page_address(page);
	r = kvm_fpu_vcpu_create(vcpu);
	if (r)
		goto err_pio;
	r = kvm_mmu_vcpu_create(vcpu);
	if (r)
		goto err_fpu;
	r = kvm_x86_ops.vcpu_create(vcpu);
	if (r)
		goto err_mmu;

	kvm_msr_vcpu_init(vcpu);
	kvm_pv_vcpu_init(vcpu);
	kvm_xen_vcpu_init(vcpu);
	kvm_cpuid_vcpu_init(vcpu);
	if (kvm_has_irqchip(vcpu->kvm)) {
		r = kvm_lapic_create(vcpu);
		if (r)
			goto err_vendor;
		/* All but the first wait for INIT and STARTUP. */
		if (vcpu->vcpu_id != vcpu->kvm->arch.bsp_vcpu_id)
			vcpu->arch.mp_state = KVM_MP_STATE_UNINITIALIZED;
	}
	kvm_vcpu_load(vcpu);
	kvm_vcpu_reset(vcpu, false);
	kvm_tsc_vcpu_init(vcpu);
	kvm_vcpu_put(vcpu);
	return 0;

err_vendor:
	kvm_x86_ops.vcpu_destroy(vcpu);
err_mmu:
	kvm_mmu_vcpu_destroy(vcpu);
err_fpu:
	kvm_fpu_vcpu_destroy(vcpu);
err_pio:
	free_page((unsigned long)vcpu->arch.pio_data);
	return r;
}

void kvm_arch_vcpu_postcreate(struct kvm_vcpu *vcpu)
{
	kvm_clock_tsc_changed(vcpu);
	if (kvm_has_lapic(vcpu))
		kvm_lapic_update_map(vcpu->kvm);
}

void kvm_arch_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	kvm_xen_vcpu_destroy(vcpu);
	kvm_lapic_destroy(vcpu);
	kvm_x86_ops.vcpu_destroy(vcpu);
	kvm_emulation_free(vcpu);
	kvm_mmu_vcpu_destroy(vcpu);
	kvm_msr_vcpu_free(vcpu);
	kvm_cpuid_free(vcpu);
	kvm_fpu_vcpu_destroy(vcpu);
	free_page((unsigned long)vcpu->arch.pio_data);
}
