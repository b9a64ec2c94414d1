// SPDX-License-Identifier: GPL-2.0
/*
 * Halting: what a vcpu thread does while its guest has nothing to do. It first polls for a while,
 * because a wake-up that comes soon is cheaper to meet awake, and then sleeps. How long it polls
 * adapts to how long recent halts lasted. KVM API document, KVM_CAP_HALT_POLL; the parameters are
 * described in Documentation/virt/kvm/parameters.rst.
 */
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>

#include "core.h"
#include <trace/events/kvm.h>

unsigned int halt_poll_ns = KVM_HALT_POLL_NS_DEFAULT;
module_param(halt_poll_ns, uint, 0644);
MODULE_PARM_DESC(halt_poll_ns, "longest time in ns that a halted vcpu polls before it sleeps (0: never)");

unsigned int halt_poll_ns_grow = 2;
module_param(halt_poll_ns_grow, uint, 0644);
MODULE_PARM_DESC(halt_poll_ns_grow, "factor by which the polling time grows (0: it does not)");

unsigned int halt_poll_ns_grow_start = 10000;
module_param(halt_poll_ns_grow_start, uint, 0644);
MODULE_PARM_DESC(halt_poll_ns_grow_start, "first polling time in ns when it grows from 0");

unsigned int halt_poll_ns_shrink = 2;
module_param(halt_poll_ns_shrink, uint, 0644);
MODULE_PARM_DESC(halt_poll_ns_shrink, "divisor by which the polling time shrinks (0: to 0 at once)");

/* The VM's own limit, if it has set one, else the module's. */
unsigned int kvm_vm_max_halt_poll_ns(struct kvm *kvm)
{
	unsigned int own = READ_ONCE(kvm->max_halt_poll_ns);

	return own == ~0u ? READ_ONCE(halt_poll_ns) : own;
}

static bool should_resume(struct kvm_vcpu *vcpu)
{
	bool r;

	kvm_srcu_lock(vcpu);
	r = kvm_arch_vcpu_runnable(vcpu) || kvm_request_test(vcpu, KVM_REQ_UNHALT) ||
	    kvm_request_test(vcpu, KVM_REQ_VM_DEAD) || signal_pending(current);
	kvm_srcu_unlock(vcpu);
	return r;
}

/* Polling is for an idle processor: it must not keep another task, or another vcpu, from it. */
static bool may_poll(ktime_t deadline)
{
	return single_task_running() && !need_resched() && ktime_before(ktime_get(), deadline);
}

/* True when the reason to go on came while polling. */
static bool poll_for_event(struct kvm_vcpu *vcpu, ktime_t start)
{
	ktime_t deadline = ktime_add_ns(start, vcpu->halt_poll_ns);

	vcpu->stat.generic.halt_attempted_poll++;
	do {
		if (should_resume(vcpu)) {
			vcpu->stat.generic.halt_successful_poll++;
			return true;
		}
		cpu_relax();
	} while (may_poll(deadline));
	return false;
}

static bool sleep_for_event(struct kvm_vcpu *vcpu)
{
	bool slept = false;

	vcpu->stat.generic.blocking = 1;
	prepare_to_rcuwait(&vcpu->wait);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (should_resume(vcpu))
			break;
		slept = true;
		schedule();
	}
	finish_rcuwait(&vcpu->wait);
	vcpu->stat.generic.blocking = 0;
	return slept;
}

static void grow_polling(struct kvm_vcpu *vcpu, unsigned int limit)
{
	u64 next = vcpu->halt_poll_ns;

	if (!halt_poll_ns_grow)
		return;
	next = max_t(u64, next * halt_poll_ns_grow, halt_poll_ns_grow_start);
	vcpu->halt_poll_ns = min_t(u64, next, limit);
}

static void shrink_polling(struct kvm_vcpu *vcpu)
{
	unsigned int next = halt_poll_ns_shrink ? vcpu->halt_poll_ns / halt_poll_ns_shrink : 0;

	/* Below the first step it costs more than it can gain. */
	vcpu->halt_poll_ns = next < halt_poll_ns_grow_start ? 0 : next;
}

/* A halt took @ns: was the polling time long enough, or too long? */
static void adapt_polling(struct kvm_vcpu *vcpu, u64 ns)
{
	unsigned int limit = kvm_vm_max_halt_poll_ns(vcpu->kvm);
	unsigned int old = vcpu->halt_poll_ns;

	if (!limit)
		vcpu->halt_poll_ns = 0;
	else if (ns > limit)
		shrink_polling(vcpu);
	else if (ns > old)
		grow_polling(vcpu, limit);
	vcpu->halt_poll_ns = min(vcpu->halt_poll_ns, limit);
	if (vcpu->halt_poll_ns != old)
		trace_kvm_halt_poll_ns(vcpu->halt_poll_ns > old, vcpu->vcpu_id,
				       vcpu->halt_poll_ns, old);
}

static void count_interval(u64 *sum, u64 *hist, u64 ns)
{
	*sum += ns;
	hist[min_t(unsigned int, ns ? ilog2(ns) + 1 : 0, HALT_POLL_HIST_COUNT - 1)]++;
}

void kvm_vcpu_halt(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_stat_generic *stat = &vcpu->stat.generic;
	bool polls = vcpu->halt_poll_ns && kvm_arch_vcpu_polls(vcpu);
	ktime_t start = ktime_get(), polled;
	bool slept = false;
	u64 ns;

	if (polls && poll_for_event(vcpu, start)) {
		ns = ktime_to_ns(ktime_sub(ktime_get(), start));
		count_interval(&stat->halt_poll_success_ns, stat->halt_poll_success_hist, ns);
	} else {
		polled = ktime_get();
		if (polls)
			count_interval(&stat->halt_poll_fail_ns, stat->halt_poll_fail_hist,
				       ktime_to_ns(ktime_sub(polled, start)));
		slept = sleep_for_event(vcpu);
		ns = ktime_to_ns(ktime_sub(ktime_get(), polled));
		count_interval(&stat->halt_wait_ns, stat->halt_wait_hist, ns);
		ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	}
	adapt_polling(vcpu, ns);
	trace_kvm_vcpu_wakeup(ns, slept, true);
}
EXPORT_SYMBOL_GPL(kvm_vcpu_halt);
