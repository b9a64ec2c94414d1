// SPDX-License-Identifier: GPL-2.0
/*
 * Events for the guest: exceptions, NMIs and interrupts from the moment they are raised to the
 * moment the vendor is told to inject them, and the VCPU_EVENTS ioctls that save and restore all
 * of it. AMD64 APM volume 2, sections 8.1 (priorities), 8.2 (vectors, double fault), 8.5 and
 * 15.20; KVM API document, sections 4.16, 4.31, 4.32.
 *
 * Not here: how the vendor injects, and interrupt controllers.
 */
#include <asm/debugreg.h>
#include <asm/trapnr.h>

#include "../x86.h"
#include "../irqchip/irqchip.h"
#include "../pv/pv.h"
#include "../pv/xen.h"
#include "regs.h"
#include "../trace.h"

/* ---- exceptions --------------------------------------------------------------------------------- */

enum exception_class { BENIGN, CONTRIBUTORY, PAGE_FAULT };

/* APM 2, table 8-4. */
static enum exception_class class_of(u8 vector)
{
	switch (vector) {
	case DE_VECTOR:
	case TS_VECTOR:
	case NP_VECTOR:
	case SS_VECTOR:
	case GP_VECTOR:
		return CONTRIBUTORY;
	case PF_VECTOR:
		return PAGE_FAULT;
	default:
		return BENIGN;
	}
}

static bool makes_double_fault(u8 first, u8 second)
{
	enum exception_class a = class_of(first), b = class_of(second);

	return (a == CONTRIBUTORY && b == CONTRIBUTORY) || (a == PAGE_FAULT && b != BENIGN);
}

/*
 * Raise @new. Should another exception be on its way already, the two become a double fault, a
 * shutdown, or the later one alone: the instruction will raise the first again.
 */
static void raise_exception(struct kvm_vcpu *vcpu, const struct kvm_exception *new)
{
	struct kvm_exception *ex = &vcpu->arch.exception;

	kvm_request(vcpu, KVM_REQ_EVENT);
	if (ex->pending || ex->injected) {
		if (ex->vector == DF_VECTOR) {
			*ex = (struct kvm_exception) { };
			kvm_request(vcpu, KVM_REQ_TRIPLE_FAULT);
			return;
		}
		if (makes_double_fault(ex->vector, new->vector)) {
			*ex = (struct kvm_exception) {
				.pending = true,
				.vector = DF_VECTOR,
				.has_error_code = true,
			};
			return;
		}
	}
	*ex = *new;
}

void kvm_queue_exception(struct kvm_vcpu *vcpu, u8 vector)
{
	struct kvm_exception ex = { .pending = true, .vector = vector };

	raise_exception(vcpu, &ex);
}
EXPORT_SYMBOL_GPL(kvm_queue_exception);

/* Real mode pushes no error codes (8.4.1): injecting one there would derail the guest. */
static bool has_error_codes(struct kvm_vcpu *vcpu)
{
	return is_protected(vcpu);
}

void kvm_queue_exception_error(struct kvm_vcpu *vcpu, u8 vector, u32 error_code)
{
	struct kvm_exception ex = {
		.pending = true,
		.vector = vector,
		.has_error_code = has_error_codes(vcpu),
		.error_code = error_code,
	};

	raise_exception(vcpu, &ex);
}
EXPORT_SYMBOL_GPL(kvm_queue_exception_error);

void kvm_queue_exception_payload(struct kvm_vcpu *vcpu, u8 vector, u64 payload)
{
	struct kvm_exception ex = {
		.pending = true,
		.vector = vector,
		.has_payload = true,
		.payload = payload,
	};

	raise_exception(vcpu, &ex);
}
EXPORT_SYMBOL_GPL(kvm_queue_exception_payload);

void kvm_queue_page_fault(struct kvm_vcpu *vcpu, u32 error_code, u64 cr2)
{
	struct kvm_exception ex = {
		.pending = true,
		.vector = PF_VECTOR,
		.has_error_code = has_error_codes(vcpu),
		.error_code = error_code,
		.has_payload = true,
		.payload = cr2,
	};

	vcpu->stat.pf_guest++;
	raise_exception(vcpu, &ex);
}
EXPORT_SYMBOL_GPL(kvm_queue_page_fault);

void kvm_inject_gp(struct kvm_vcpu *vcpu, u32 error_code)
{
	kvm_queue_exception_error(vcpu, GP_VECTOR, error_code);
}
EXPORT_SYMBOL_GPL(kvm_inject_gp);

void kvm_requeue_exception(struct kvm_vcpu *vcpu, u8 vector, bool has_error, u32 error_code)
{
	vcpu->arch.exception = (struct kvm_exception) {
		.injected = true,
		.vector = vector,
		.has_error_code = has_error,
		.error_code = has_error ? error_code : 0,
	};
	kvm_request(vcpu, KVM_REQ_EVENT);
}
EXPORT_SYMBOL_GPL(kvm_requeue_exception);

/*
 * What an exception leaves in registers: CR2 of a page fault, DR6 of a debug exception. A DR6
 * payload has a set bit for each cause, also where DR6 itself reports by a cleared one.
 */
void kvm_deliver_exception_payload(struct kvm_vcpu *vcpu, struct kvm_exception *ex)
{
	unsigned long dr6;

	if (!ex->has_payload)
		return;
	if (ex->vector == PF_VECTOR) {
		vcpu->arch.cr2 = ex->payload;
	} else if (ex->vector == DB_VECTOR) {
		dr6 = vcpu->arch.dr6 & ~(DR_TRAP_BITS | DR_STEP | DR_SWITCH | DR_BUS_LOCK);
		dr6 |= DR6_RESERVED;
		dr6 |= ex->payload & ~DR6_RESERVED;
		dr6 &= ~(ex->payload & DR6_RESERVED);
		vcpu->arch.dr6 = dr6;
	}
	ex->has_payload = false;
	ex->payload = 0;
}

/* Exceptions that report an instruction which did not complete push RF set (3.1.6, 13.1.3). */
static bool is_fault(u8 vector)
{
	switch (vector) {
	case DB_VECTOR:
	case BP_VECTOR:
	case OF_VECTOR:
	case DF_VECTOR:
	case MC_VECTOR:
		return false;
	default:
		return true;
	}
}

static void inject_exception(struct kvm_vcpu *vcpu, bool reinjected)
{
	struct kvm_exception *ex = &vcpu->arch.exception;

	if (!reinjected) {
		kvm_deliver_exception_payload(vcpu, ex);
		if (is_fault(ex->vector))
			vcpu->arch.rflags |= X86_EFLAGS_RF;
		/* A debug exception switches the trap on debug register accesses off (13.1.1.4). */
		if (ex->vector == DB_VECTOR && (vcpu->arch.dr7 & DR7_GD)) {
			vcpu->arch.dr7 &= ~DR7_GD;
			kvm_update_dr7(vcpu);
		}
		ex->pending = false;
		ex->injected = true;
	}
	trace_kvm_inj_exception(ex->vector, ex->has_error_code, ex->error_code, reinjected);
	kvm_x86_ops.inject_exception(vcpu);
}

/* ---- NMIs and interrupts -------------------------------------------------------------------------- */

void kvm_queue_nmi(struct kvm_vcpu *vcpu)
{
	atomic_inc(&vcpu->arch.nmi_queued);
	kvm_request(vcpu, KVM_REQ_NMI);
	kvm_vcpu_kick(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_queue_nmi);

/* A processor holds one NMI pending, and while it handles one no more than that (8.2.3). */
void kvm_collect_nmis(struct kvm_vcpu *vcpu)
{
	bool busy = vcpu->arch.nmi_injected || kvm_x86_ops.get_nmi_mask(vcpu);
	unsigned int limit = busy ? 1 : 2;

	vcpu->arch.nmi_pending = min_t(unsigned int, limit, vcpu->arch.nmi_pending +
				       atomic_xchg(&vcpu->arch.nmi_queued, 0));
	kvm_request(vcpu, KVM_REQ_EVENT);
}

void kvm_queue_interrupt(struct kvm_vcpu *vcpu, u8 vector, bool soft)
{
	vcpu->arch.interrupt = (struct kvm_interrupt_event) {
		.injected = true,
		.soft = soft,
		.nr = vector,
	};
	kvm_request(vcpu, KVM_REQ_EVENT);
}
EXPORT_SYMBOL_GPL(kvm_queue_interrupt);

int kvm_vcpu_interrupt(struct kvm_vcpu *vcpu, struct kvm_interrupt *irq)
{
	if (irq->irq >= 256)
		return -EINVAL;
	if (vcpu->kvm->arch.irqchip_mode == KVM_IRQCHIP_KERNEL)
		return -ENXIO;
	kvm_queue_interrupt(vcpu, irq->irq, false);
	return 0;
}

/* ---- injection ------------------------------------------------------------------------------------- */

void kvm_clear_injected(struct kvm_vcpu *vcpu)
{
	vcpu->arch.exception.injected = false;
	vcpu->arch.interrupt.injected = false;
	vcpu->arch.nmi_injected = false;
}
EXPORT_SYMBOL_GPL(kvm_clear_injected);

/*
 * An event whose delivery has begun goes first, as it was. True if there was one. An exception that
 * this delivery raised takes the place of an interrupt or NMI, as on the processor (8.2.9); one that
 * userspace gives while another exception is pending is not lost by that.
 */
static bool inject_again(struct kvm_vcpu *vcpu)
{
	bool cut = vcpu->arch.delivery_cut;

	vcpu->arch.delivery_cut = false;
	if (vcpu->arch.exception.injected)
		inject_exception(vcpu, true);
	else if (cut && vcpu->arch.exception.pending)
		return false;
	else if (vcpu->arch.nmi_injected)
		kvm_x86_ops.inject_nmi(vcpu);
	else if (vcpu->arch.interrupt.injected)
		kvm_x86_ops.inject_interrupt(vcpu, true);
	else
		return false;
	return true;
}

/* The guest may write CR8 without an exit as long as nothing waits for that. */
static void watch_tpr(struct kvm_vcpu *vcpu)
{
	bool blocks = kvm_irq_blocked_by_tpr(vcpu);

	if (likely(!blocks && !vcpu->arch.tpr_blocks))
		return;
	vcpu->arch.tpr_blocks = blocks;
	kvm_x86_ops.update_cr8_intercept(vcpu);
}

/* What the controllers have to say next. */
static void inject_waiting(struct kvm_vcpu *vcpu)
{
	int vector = kvm_irq_take(vcpu);

	if (vector < 0)
		return;
	vcpu->arch.interrupt = (struct kvm_interrupt_event) { .injected = true, .nr = vector };
	kvm_x86_ops.inject_interrupt(vcpu, false);
}

/* A PIC of userspace's has no way in but LINT0, when there is a local APIC. */
static bool userspace_may_inject(struct kvm_vcpu *vcpu)
{
	if (!kvm_has_lapic(vcpu))
		return true;
	return vcpu->kvm->arch.irqchip_mode == KVM_IRQCHIP_SPLIT &&
	       lapic_takes_extint(&vcpu->arch.lapic->regs);
}

static bool userspace_wants_window(struct kvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->run->request_interrupt_window) && userspace_may_inject(vcpu);
}

int kvm_inject_events(struct kvm_vcpu *vcpu)
{
	bool busy;

	kvm_lapic_settle(vcpu);
	kvm_xen_upcall_look(vcpu);
	busy = inject_again(vcpu);
	vcpu->arch.must_exit = false;
	if (vcpu->arch.exception.pending) {
		if (!busy)
			inject_exception(vcpu, false);
		else
			vcpu->arch.must_exit = true;
		busy = true;
	}
	/* A debugger steps through code, not through handlers: the rest waits until it has done. */
	if (unlikely(vcpu->arch.guest_debug & KVM_GUESTDBG_BLOCKIRQ))
		return 1;
	if (unlikely(kvm_smi_waiting(vcpu))) {
		if (busy)
			vcpu->arch.must_exit = true;
		else if (kvm_smm_take_smi(vcpu))
			return 1;
	}
	if (vcpu->arch.nmi_pending) {
		if (!busy && kvm_x86_ops.nmi_allowed(vcpu)) {
			vcpu->arch.nmi_pending--;
			vcpu->arch.nmi_injected = true;
			kvm_x86_ops.inject_nmi(vcpu);
			busy = true;
		} else if (busy) {
			vcpu->arch.must_exit = true;
		}
		if (vcpu->arch.nmi_pending && !vcpu->arch.must_exit)
			kvm_x86_ops.open_nmi_window(vcpu);
	}
	if (kvm_irq_waiting(vcpu)) {
		if (!busy && vendor(interrupt_allowed)(vcpu))
			inject_waiting(vcpu);
		/* There may be another behind it. */
		if (kvm_irq_waiting(vcpu))
			kvm_x86_ops.open_irq_window(vcpu);
	}
	if (userspace_wants_window(vcpu))
		kvm_x86_ops.open_irq_window(vcpu);
	watch_tpr(vcpu);
	if (kvm_pv_eoi_wanted(vcpu))
		kvm_pv_eoi_arm(vcpu);
	return 1;
}

bool kvm_guest_interruptible(struct kvm_vcpu *vcpu)
{
	return !vcpu->arch.exception.pending && !kvm_event_in_delivery(vcpu) &&
	       vendor(interrupt_allowed)(vcpu);
}

bool kvm_interrupt_ready(struct kvm_vcpu *vcpu)
{
	return kvm_guest_interruptible(vcpu) && userspace_may_inject(vcpu);
}

bool kvm_vcpu_has_events(struct kvm_vcpu *vcpu)
{
	if (vcpu->arch.exception.pending || kvm_event_in_delivery(vcpu))
		return true;
	if (kvm_smi_waiting(vcpu))
		return true;
	/* One that is blocked wakes nobody. */
	return (vcpu->arch.nmi_pending || atomic_read(&vcpu->arch.nmi_queued)) &&
	       !kvm_x86_ops.get_nmi_mask(vcpu);
}

/* ---- save and restore -------------------------------------------------------------------------------- */

static void save_exception(struct kvm_vcpu *vcpu, struct kvm_vcpu_events *ev)
{
	struct kvm_exception *ex = &vcpu->arch.exception;
	bool soft = ex->vector == BP_VECTOR || ex->vector == OF_VECTOR;

	/*
	 * Without the payload capability userspace knows only one kind of exception in flight, whose
	 * side effects have happened.
	 */
	if (!vcpu->kvm->arch.exception_payload_enabled && ex->pending)
		kvm_deliver_exception_payload(vcpu, ex);

	/* INT3 and INTO are raised again by the instruction itself. */
	if (!soft && vcpu->kvm->arch.exception_payload_enabled) {
		ev->exception.injected = ex->injected;
		ev->exception.pending = ex->pending;
	} else if (!soft) {
		ev->exception.injected = ex->injected || ex->pending;
	}
	ev->exception.nr = ex->vector;
	ev->exception.has_error_code = ex->has_error_code;
	ev->exception.error_code = ex->error_code;
	ev->exception_has_payload = ex->has_payload;
	ev->exception_payload = ex->payload;
}

int kvm_get_vcpu_events(struct kvm_vcpu *vcpu, struct kvm_vcpu_events *ev)
{
	memset(ev, 0, sizeof(*ev));
	kvm_collect_nmis(vcpu);
	save_exception(vcpu, ev);

	ev->interrupt.injected = vcpu->arch.interrupt.injected && !vcpu->arch.interrupt.soft;
	ev->interrupt.nr = vcpu->arch.interrupt.nr;
	ev->interrupt.shadow = kvm_x86_ops.interrupt_shadow(vcpu);

	ev->nmi.injected = vcpu->arch.nmi_injected;
	ev->nmi.pending = vcpu->arch.nmi_pending;
	ev->nmi.masked = kvm_x86_ops.get_nmi_mask(vcpu);

	ev->flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	if (vcpu->kvm->arch.exception_payload_enabled)
		ev->flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	if (vcpu->kvm->arch.triple_fault_event) {
		ev->triple_fault.pending = kvm_request_test(vcpu, KVM_REQ_TRIPLE_FAULT);
		ev->flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	}
	kvm_smm_save_events(vcpu, ev);
	return 0;
}

static bool events_valid(struct kvm_vcpu *vcpu, const struct kvm_vcpu_events *ev)
{
	u32 known = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |
		    KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM;
	bool pending = false;

	if (vcpu->kvm->arch.exception_payload_enabled)
		known |= KVM_VCPUEVENT_VALID_PAYLOAD;
	if (vcpu->kvm->arch.triple_fault_event)
		known |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	if (ev->flags & ~known)
		return false;
	if (ev->flags & KVM_VCPUEVENT_VALID_PAYLOAD)
		pending = ev->exception.pending;
	if ((ev->exception.injected || pending) &&
	    (ev->exception.nr > 31 || ev->exception.nr == NMI_VECTOR))
		return false;
	/* A processor that waits for its STARTUP is in no mode. */
	return !(ev->flags & KVM_VCPUEVENT_VALID_SMM) || !(ev->smi.smm || ev->smi.pending) ||
	       vcpu->arch.mp_state != KVM_MP_STATE_INIT_RECEIVED;
}

static void restore_exception(struct kvm_vcpu *vcpu, const struct kvm_vcpu_events *ev)
{
	struct kvm_exception ex = {
		.injected = ev->exception.injected,
		.vector = ev->exception.nr,
		.has_error_code = ev->exception.has_error_code,
		.error_code = ev->exception.error_code,
	};

	if (ev->flags & KVM_VCPUEVENT_VALID_PAYLOAD) {
		ex.pending = ev->exception.pending;
		if (ex.pending)
			ex.injected = false;
		ex.has_payload = ev->exception_has_payload;
		ex.payload = ev->exception_payload;
	}
	vcpu->arch.exception = ex;
}

int kvm_set_vcpu_events(struct kvm_vcpu *vcpu, struct kvm_vcpu_events *ev)
{
	if (!events_valid(vcpu, ev))
		return -EINVAL;

	restore_exception(vcpu, ev);
	vcpu->arch.interrupt.injected = ev->interrupt.injected;
	vcpu->arch.interrupt.nr = ev->interrupt.nr;
	vcpu->arch.interrupt.soft = false;
	if (ev->flags & KVM_VCPUEVENT_VALID_SHADOW)
		kvm_x86_ops.set_interrupt_shadow(vcpu, ev->interrupt.shadow);

	vcpu->arch.nmi_injected = ev->nmi.injected;
	if (ev->flags & KVM_VCPUEVENT_VALID_NMI_PENDING) {
		vcpu->arch.nmi_pending = 0;
		atomic_set(&vcpu->arch.nmi_queued, ev->nmi.pending);
	}
	kvm_x86_ops.set_nmi_mask(vcpu, ev->nmi.masked);
	if (ev->flags & KVM_VCPUEVENT_VALID_NMI_PENDING)
		kvm_collect_nmis(vcpu);
	if ((ev->flags & KVM_VCPUEVENT_VALID_SIPI_VECTOR) && kvm_has_lapic(vcpu))
		vcpu->arch.lapic->sipi_vector = ev->sipi_vector;

	if (ev->flags & KVM_VCPUEVENT_VALID_SMM)
		kvm_smm_restore_events(vcpu, ev);
	if (ev->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT) {
		if (ev->triple_fault.pending)
			kvm_request(vcpu, KVM_REQ_TRIPLE_FAULT);
		else
			kvm_request_take(vcpu, KVM_REQ_TRIPLE_FAULT);
	}
	kvm_request(vcpu, KVM_REQ_EVENT);
	return 0;
}
