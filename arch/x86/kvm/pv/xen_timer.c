// SPDX-License-Identifier: GPL-2.0
/*
 * A Xen guest's waiting for time: the singleshot timer of a vcpu, which ends in an event on a port of
 * userspace's choice, and SCHEDOP_poll, which waits for events or a time. Both go by the guest's clock
 * and sleep by the host's. Xen's public headers vcpu.h and sched.h.
 */
#include "../x86.h"
#include "xen.h"

/* When the host's clock shows what the guest's clock does at @expires, or so; 0: it is past. */
static ktime_t host_time(struct kvm_vcpu *vcpu, u64 expires)
{
	u64 guest = kvm_clock_now(vcpu->kvm);
	u64 now = ktime_get_ns();

	if (expires <= guest)
		return 0;
	return ns_to_ktime(min_t(u64, now + min_t(u64, expires - guest, KTIME_MAX), KTIME_MAX));
}

/* ---- the timer ------------------------------------------------------------------------------- */

static enum hrtimer_restart timer_callback(struct hrtimer *timer)
{
	struct kvm_vcpu *vcpu = container_of(timer, struct kvm_vcpu, arch.xen.timer);

	WRITE_ONCE(vcpu->arch.xen.timer_fired, true);
	kvm_request(vcpu, KVM_REQ_XEN);
	kvm_vcpu_kick(vcpu);
	return HRTIMER_NORESTART;
}

void kvm_xen_timer_set(struct kvm_vcpu *vcpu, u64 expires)
{
	struct kvm_vcpu_xen *x = &vcpu->arch.xen;
	ktime_t when;

	hrtimer_cancel(&x->timer);
	WRITE_ONCE(x->timer_fired, false);
	x->timer_expires = expires;
	if (!expires)
		return;
	when = host_time(vcpu, expires);
	if (when) {
		hrtimer_start(&x->timer, when, HRTIMER_MODE_ABS);
	} else {
		WRITE_ONCE(x->timer_fired, true);
		kvm_request(vcpu, KVM_REQ_XEN);
	}
}

/* The host's clock may run a little faster than the guest's, which is not slewed. */
void kvm_xen_timer_fired(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_xen *x = &vcpu->arch.xen;
	u64 expires = x->timer_expires;

	if (expires > kvm_clock_now(vcpu->kvm)) {
		kvm_xen_timer_set(vcpu, expires);
		return;
	}
	WRITE_ONCE(x->timer_fired, false);
	x->timer_expires = 0;
	if (x->timer_port)
		kvm_xen_evtchn_raise(vcpu->kvm, x->timer_port, vcpu->vcpu_id, true);
}

/* ---- polling --------------------------------------------------------------------------------- */

static enum hrtimer_restart poll_callback(struct hrtimer *timer)
{
	struct kvm_vcpu *vcpu = container_of(timer, struct kvm_vcpu, arch.xen.poll_timer);

	WRITE_ONCE(vcpu->arch.xen.poll_timeout, true);
	WRITE_ONCE(vcpu->arch.xen.poll_event, true);
	kvm_vcpu_wake(vcpu);
	return HRTIMER_NORESTART;
}

static bool any_pending(struct kvm_vcpu *vcpu, const struct xen_poll *poll)
{
	unsigned int i;

	kvm_srcu_lock(vcpu);
	for (i = 0; i < poll->nr; i++)
		if (kvm_xen_evtchn_pending(vcpu, poll->ports[i]))
			return true;
	return false;
}

/*
 * The event of somebody who looks whether the vcpu polls, having set its bit, is seen by who looks for
 * bits having said that it polls; the barriers are here and in xen_evtchn.c.
 */
static int wait_for_ports(struct kvm_vcpu *vcpu, const struct xen_poll *poll)
{
	struct kvm_vcpu_xen *x = &vcpu->arch.xen;

	for (;;) {
		WRITE_ONCE(x->poll_event, false);
		smp_mb();
		if (READ_ONCE(x->poll_timeout) || any_pending(vcpu, poll))
			return 0;
		if (signal_pending(current) || kvm_request_test(vcpu, KVM_REQ_VM_DEAD))
			return -EINTR;
		kvm_vcpu_halt(vcpu);
		if (kvm_request_take(vcpu, KVM_REQ_XEN))
			kvm_xen_serve(vcpu);
		/* An interrupt for the guest: the event it polls for may be waiting behind it. */
		if (!READ_ONCE(x->poll_event) && kvm_arch_vcpu_runnable(vcpu))
			return 0;
	}
}

int kvm_xen_poll(struct kvm_vcpu *vcpu, const struct xen_poll *poll)
{
	struct kvm_vcpu_xen *x = &vcpu->arch.xen;
	ktime_t when = 0;
	int r;

	WRITE_ONCE(x->poll_timeout, false);
	if (poll->timeout) {
		when = host_time(vcpu, poll->timeout);
		if (!when)
			return 0;
	}
	WRITE_ONCE(x->polling, true);
	if (when)
		hrtimer_start(&x->poll_timer, when, HRTIMER_MODE_ABS);
	r = wait_for_ports(vcpu, poll);
	if (when)
		hrtimer_cancel(&x->poll_timer);
	WRITE_ONCE(x->polling, false);
	WRITE_ONCE(x->poll_event, false);
	return r;
}

/* ---- life ------------------------------------------------------------------------------------ */

void kvm_xen_timers_init(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_xen *x = &vcpu->arch.xen;

	hrtimer_init(&x->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	x->timer.function = timer_callback;
	hrtimer_init(&x->poll_timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	x->poll_timer.function = poll_callback;
}

void kvm_xen_timers_stop(struct kvm_vcpu *vcpu)
{
	hrtimer_cancel(&vcpu->arch.xen.timer);
	hrtimer_cancel(&vcpu->arch.xen.poll_timer);
}
