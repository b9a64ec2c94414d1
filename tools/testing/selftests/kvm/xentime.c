// SPDX-License-Identifier: GPL-2.0
/*
 * The time of guests that run on Xen: timers, polling, runstates; and all of Xen's interface at once.
 */
#include "xen.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

/* ---- timers and polling ---------------------------------------------------------------------- */

static uint64_t clock_now(struct guest *g)
{
	struct kvm_clock_data data = { 0 };

	must(ioctl(g->vm, KVM_GET_CLOCK, &data));
	return data.clock;
}

static int set_timer(struct guest *g, uint32_t port, uint32_t priority, uint64_t expires)
{
	struct kvm_xen_vcpu_attr a = {
		.type = KVM_XEN_VCPU_ATTR_TYPE_TIMER,
		.u.timer = { .port = port, .priority = priority, .expires_ns = expires },
	};

	return ioctl(g->vcpu, KVM_XEN_VCPU_SET_ATTR, &a);
}

static uint64_t timer_expires(struct guest *g)
{
	struct kvm_xen_vcpu_attr a = { .type = KVM_XEN_VCPU_ATTR_TYPE_TIMER };

	must(ioctl(g->vcpu, KVM_XEN_VCPU_GET_ATTR, &a));
	check_equal(a.u.timer.priority, PRIO);
	return a.u.timer.expires_ns;
}

/* In HLT until the port's event. */
static void wait_for_event(struct guest *g, uint32_t port, uint64_t count)
{
	go_to(g, xen_halt);
	run_to_out(g, 0x10);
	check_event(g, port, count);
}

static void timer_attribute(void)
{
	struct guest *g = xen_guest();
	uint64_t when;

	must_fail(set_timer(g, 7, 1, 0), EINVAL);
	when = clock_now(g) + 20 * MS;
	must(set_timer(g, 7, PRIO, when));
	check_equal(timer_expires(g), when);
	wait_for_event(g, 7, 1);
	check(clock_now(g) >= when);
	check_equal(timer_expires(g), 0);
	must(set_timer(g, 7, PRIO, 1));		/* past */
	wait_for_event(g, 7, 2);
	/* One that ran out while nobody looked. */
	must(set_timer(g, 7, PRIO, clock_now(g) + MS));
	sleep_ms(20);
	check_equal(timer_expires(g), 0);
	check_event(g, 7, 3);
	must(set_timer(g, 7, PRIO, ~0ull));
	check_equal(timer_expires(g), ~0ull);
	must(set_timer(g, 0, 0, 0));
	check_equal(timer_expires(g), 0);
}

static void timer_calls(void)
{
	struct guest *g = xen_guest();
	volatile uint64_t *args = word(g, GUEST_DATA + 0x100);
	uint64_t when, now;

	begin_call(g, HC_SET_TIMER, 1, 0, 0);
	run_to(g, KVM_EXIT_XEN);
	must(set_timer(g, 7, PRIO, 0));
	when = clock_now(g) + 10 * MS;
	check_equal(call(g, HC_SET_TIMER, when, 0, 0), 0);
	wait_for_event(g, 7, 1);
	check(clock_now(g) >= when);
	check_equal(call(g, HC_SET_TIMER, clock_now(g) + 1000000 * MS, 0, 0), 0);
	check(timer_expires(g));
	check_equal(call(g, HC_SET_TIMER, 0, 0, 0), 0);
	check_equal(timer_expires(g), 0);
	now = clock_now(g);
	check_equal(call(g, HC_SET_TIMER, 1ull << 63, 0, 0), 0);
	check(timer_expires(g) >= now + 100 * MS);
	check(timer_expires(g) < now + 10000 * MS);

	must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_ID, 3));
	check_equal(get_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_ID) & 0xffffffff, 3);
	args[0] = clock_now(g) + 10 * MS;
	args[1] = 0;
	check_equal(call(g, HC_VCPU_OP, SET_SINGLESHOT, 0, GUEST_DATA + 0x100), -EINVAL);
	check_equal(call(g, HC_VCPU_OP, SET_SINGLESHOT, 3, GUEST_DATA + 0x100), 0);
	wait_for_event(g, 7, 2);
	args[0] = 1;
	args[1] = 1;
	check_equal(call(g, HC_VCPU_OP, SET_SINGLESHOT, 3, GUEST_DATA + 0x100), -ETIME);
	check_equal(call(g, HC_VCPU_OP, SET_SINGLESHOT, 3, 1ull << 62), -EFAULT);
	args[0] = clock_now(g) + 1000000 * MS;
	check_equal(call(g, HC_VCPU_OP, SET_SINGLESHOT, 3, GUEST_DATA + 0x100), 0);
	check(timer_expires(g));
	check_equal(call(g, HC_VCPU_OP, STOP_SINGLESHOT, 3, 0), 0);
	check_equal(timer_expires(g), 0);
	begin_call(g, HC_VCPU_OP, 1, 3, 0);
	run_to(g, KVM_EXIT_XEN);
}

static void poll_arguments(struct guest *g, uint32_t port, uint32_t nr, uint64_t timeout)
{
	*word(g, GUEST_DATA + 0x100) = GUEST_DATA + 0x180;
	*word(g, GUEST_DATA + 0x108) = nr;
	*word(g, GUEST_DATA + 0x110) = timeout;
	*word(g, GUEST_DATA + 0x180) = port;
}

static int64_t poll_port(struct guest *g, uint32_t port, uint32_t nr, uint64_t timeout)
{
	poll_arguments(g, port, nr, timeout);
	return call(g, HC_SCHED_OP, SCHEDOP_POLL, GUEST_DATA + 0x100, 0);
}

static void poll_event(void)
{
	struct guest *g = xen_guest();
	uint64_t when;

	pending(g)[0] = 1 << 5;
	check_equal(poll_port(g, 5, 1, 0), 0);
	pending(g)[0] = 0;
	when = clock_now(g) + 20 * MS;
	check_equal(poll_port(g, 5, 1, when), 0);
	check(clock_now(g) >= when);
	check_equal(poll_port(g, 5, 1, 1), 0);		/* past */
	check_equal(poll_port(g, 0, 0, clock_now(g) + MS), 0);

	/* A timer's event on a masked port ends it; there is no upcall. */
	mask(g)[0] = 1 << 5;
	must(set_timer(g, 5, PRIO, clock_now(g) + 20 * MS));
	check_equal(poll_port(g, 5, 1, 0), 0);
	check_equal(pending(g)[0], 1 << 5);
	check_equal(upcalls(g), 0);

	check_equal(poll_port(g, 4096, 1, 0), -EINVAL);
	check_equal(poll_port(g, 5, 129, 0), -EINVAL);
	*word(g, GUEST_DATA + 0x108) = 1;
	*word(g, GUEST_DATA + 0x100) = 1ull << 62;
	check_equal(call(g, HC_SCHED_OP, SCHEDOP_POLL, GUEST_DATA + 0x100, 0), -EFAULT);
	check_equal(call(g, HC_SCHED_OP, SCHEDOP_POLL, 1ull << 62, 0), -EFAULT);
	begin_call(g, HC_SCHED_OP, 2, 0, 0);
	run_to(g, KVM_EXIT_XEN);
}

static void *send_later(void *arg)
{
	sleep_ms(30);
	must(send_event(arg, 6));
	return NULL;
}

static void poll_other_thread(void)
{
	struct guest *g = xen_guest();
	pthread_t thread;

	for (int i = 0; i < 3; i++) {
		mask(g)[0] = i & 1 ? 1 << 6 : 0;
		pending(g)[0] = 0;
		check(!pthread_create(&thread, NULL, send_later, g));
		check_equal(poll_port(g, 6, 1, 0), 0);
		check_equal(pending(g)[0], 1 << 6);
		check(!pthread_join(thread, NULL));
	}
}

#define SECOND_PAGE	(SHARED_PAGE + 0x5000)

/* The event is in another page, which becomes the shared one while the guest waits; or there is none. */
static void *move_later(void *arg)
{
	struct guest *g = arg;

	sleep_ms(30);
	must(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO, SECOND_PAGE / PAGE));
	return NULL;
}

static void *remove_later(void *arg)
{
	sleep_ms(30);
	must(set_vm(arg, KVM_XEN_ATTR_TYPE_SHARED_INFO, KVM_XEN_INVALID_GFN));
	return NULL;
}

static void poll_moved(void)
{
	struct guest *g = xen_guest();
	pthread_t thread;

	memset(g->memory + SECOND_PAGE, 0, PAGE);
	*word(g, SECOND_PAGE + 2048) = 1 << 6;
	check(!pthread_create(&thread, NULL, move_later, g));
	check_equal(poll_port(g, 6, 1, 0), 0);
	check(!pthread_join(thread, NULL));

	must(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO, SHARED_PAGE / PAGE));
	check(!pthread_create(&thread, NULL, remove_later, g));
	check_equal(poll_port(g, 6, 1, 0), 0);
	check(!pthread_join(thread, NULL));
}

static void nothing(int number)
{
}

static void *interrupt_it(void *arg)
{
	sleep_ms(50);
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

/* A signal is told to userspace; the guest knows nothing of it and goes on waiting. */
static void poll_signal(void)
{
	struct guest *g = xen_guest();
	pthread_t thread, self = pthread_self();
	struct sigaction action = { .sa_handler = nothing };

	must(sigaction(SIGUSR1, &action, NULL));
	poll_arguments(g, 6, 1, 0);
	begin_call(g, HC_SCHED_OP, SCHEDOP_POLL, GUEST_DATA + 0x100, 0);
	check(!pthread_create(&thread, NULL, interrupt_it, &self));
	check_equal(guest_run(g), EINTR);
	check(!pthread_join(thread, NULL));
	check(!pthread_create(&thread, NULL, send_later, g));
	run_to_out(g, 0x10);
	check_equal(*word(g, GUEST_DATA + 56), 0);
	check_equal(pending(g)[0], 1 << 6);
	check(!pthread_join(thread, NULL));
}

/* ---- runstates ------------------------------------------------------------------------------- */

/* The guest's copy, for 64 bits or 32. */
static void check_area(struct guest *g, uint64_t address, bool wide, const struct kvm_xen_vcpu_attr *a)
{
	const uint8_t *area = g->memory + address;
	uint64_t times[5];

	memcpy(times, area + (wide ? 8 : 4), sizeof(times));
	check_equal(*(uint32_t *)area, a->u.runstate.state);
	check_equal(times[0], a->u.runstate.state_entry_time);
	check_equal(times[1], a->u.runstate.time_running);
	check_equal(times[2], a->u.runstate.time_runnable);
	check_equal(times[3], a->u.runstate.time_blocked);
	check_equal(times[4], a->u.runstate.time_offline);
	check_equal(area[wide ? 48 : 44], 0xa5);
	check_equal(times[0], times[1] + times[2] + times[3] + times[4]);
}

/* A vcpu whose thread loses its processor before KVM_RUN is back is found waiting for one. */
static struct kvm_xen_vcpu_attr runstate_of_running(struct guest *g)
{
	struct kvm_xen_vcpu_attr a;
	unsigned int tries = 0;

	do {
		upcalls(g);
		a = runstate(g);
	} while (a.u.runstate.state == 1 && ++tries < 100);
	check_equal(a.u.runstate.state, 0);
	return a;
}

static void runstate_area(void)
{
	struct guest *g = xen_guest();
	struct kvm_xen_vcpu_attr a;

	need_runstate(g);
	for (uint64_t at = RUNSTATE + PAGE - 60; at < RUNSTATE + PAGE + 4; at++) {
		for (unsigned int kind = 0; kind < 4; kind++) {
			memset(g->memory + RUNSTATE, 0xa5, 2 * PAGE);
			must(set_vm(g, KVM_XEN_ATTR_TYPE_LONG_MODE, kind & 1));
			must(set_vm(g, KVM_XEN_ATTR_TYPE_RUNSTATE_UPDATE_FLAG, kind >> 1));
			must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, at));
			a = runstate(g);
			check_area(g, at, kind & 1, &a);
		}
	}
	check_equal(get_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR), RUNSTATE + PAGE + 3);
	a = runstate_of_running(g);
	check_area(g, RUNSTATE + PAGE + 3, true, &a);
	must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, KVM_XEN_INVALID_GPA));
	check_equal(get_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR), KVM_XEN_INVALID_GPA);
}

static void runstate_times(void)
{
	struct guest *g = xen_guest();
	struct kvm_xen_vcpu_attr a, b;

	need_runstate(g);
	must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, RUNSTATE));
	memset(g->memory + RUNSTATE, 0xa5, PAGE);
	for (uint64_t state = 1; state < 4; state++) {
		a = runstate(g);
		must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT, state));
		check_equal(get_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT), state);
		sleep_ms(5);
		b = runstate_of_running(g);
		check((&b.u.runstate.time_running)[state] > (&a.u.runstate.time_running)[state]);
		check_area(g, RUNSTATE, true, &b);
	}
	must_fail(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT, 4), EINVAL);

	a = (struct kvm_xen_vcpu_attr) { .type = KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA };
	a.u.runstate.state = 2;
	a.u.runstate.state_entry_time = 60;
	a.u.runstate.time_running = 10;
	a.u.runstate.time_blocked = 20;
	a.u.runstate.time_offline = 30;
	must(ioctl(g->vcpu, KVM_XEN_VCPU_SET_ATTR, &a));
	b = runstate(g);
	check(!memcmp(&a.u.runstate, &b.u.runstate, sizeof(a.u.runstate)));
	a.u.runstate.time_running++;
	must_fail(ioctl(g->vcpu, KVM_XEN_VCPU_SET_ATTR, &a), EINVAL);
	a.u.runstate.state_entry_time++;
	a.u.runstate.state = 4;
	must_fail(ioctl(g->vcpu, KVM_XEN_VCPU_SET_ATTR, &a), EINVAL);

	a.type = KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADJUST;
	must_fail(ioctl(g->vcpu, KVM_XEN_VCPU_SET_ATTR, &a), EINVAL);
	a.u.runstate.state = -1;
	must(ioctl(g->vcpu, KVM_XEN_VCPU_SET_ATTR, &a));
	b = runstate(g);
	check_equal(b.u.runstate.state, 2);
	check_equal(b.u.runstate.state_entry_time, 121);
	check_equal(b.u.runstate.time_running, 21);
	check_area(g, RUNSTATE, true, &b);
	must_fail(ioctl(g->vcpu, KVM_XEN_VCPU_GET_ATTR, &a), EINVAL);
}

static volatile bool busy_stop;

static void *be_busy(void *arg)
{
	while (!busy_stop)
		sched_yield();
	return NULL;
}

/* Waits for a processor are counted as such, also when the guest itself is interrupted. */
static void runstate_waits(void)
{
	struct guest *g = xen_guest();
	struct kvm_xen_vcpu_attr a, b;
	pthread_t thread;
	cpu_set_t one;

	need_runstate(g);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	must(sched_setaffinity(0, sizeof(one), &one));
	must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, RUNSTATE));
	memset(g->memory + RUNSTATE, 0xa5, PAGE);
	upcalls(g);
	a = runstate(g);
	check(!pthread_create(&thread, NULL, be_busy, NULL));
	for (int i = 0; i < 200; i++)
		upcalls(g);
	must(set_timer(g, 7, PRIO, clock_now(g) + 100 * MS));
	*word(g, GUEST_DATA + 64) = 0;
	go_to(g, xen_spin);
	run_to_out(g, 0x10);
	busy_stop = true;
	check(!pthread_join(thread, NULL));
	b = runstate(g);
	check(b.u.runstate.time_runnable > a.u.runstate.time_runnable);
	check(b.u.runstate.time_running > a.u.runstate.time_running);
	check_area(g, RUNSTATE, true, &b);
}

/* ---- all at once ----------------------------------------------------------------------------- */

static volatile bool storm_stop;

static void *juggle(void *arg)
{
	struct guest *g = arg;

	while (!storm_stop) {
		must(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO, KVM_XEN_INVALID_GFN));
		must(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO, SHARED_PAGE / PAGE));
		must(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, (uintptr_t)g->memory + SHARED_PAGE));
		outbound(g, 0, IPI, 20, 20, 0);
		outbound(g, KVM_XEN_EVTCHN_RESET, 0, 0, 0, 0);
	}
	return NULL;
}

static void *storm(void *arg)
{
	struct guest *g = arg;

	for (uint32_t port = 1; !storm_stop; port = port % 100 + 1) {
		send_event(g, port);
		pending(g)[0] = 0;
		pending(g)[1] = 0;
	}
	return NULL;
}

static void races(void)
{
	struct guest *g = xen_guest();
	pthread_t threads[2];
	uint64_t end = now_ns() + 2 * NS_PER_S;

	check(!pthread_create(&threads[0], NULL, juggle, g));
	check(!pthread_create(&threads[1], NULL, storm, g));
	must(set_timer(g, 7, PRIO, 0));
	while (now_ns() < end) {
		upcalls(g);
		must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, KVM_XEN_INVALID_GPA));
		must(set_timer(g, 7, PRIO, clock_now(g) + 50000));
		must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, INFO));
		poll_port(g, 99, 1, clock_now(g) + MS);
	}
	storm_stop = true;
	check(!pthread_join(threads[0], NULL));
	check(!pthread_join(threads[1], NULL));
	must(set_timer(g, 7, PRIO, clock_now(g) + NS_PER_S));	/* and the VM goes */
}

static const struct test_case cases[] = {
	{ "the timer as an attribute", timer_attribute },
	{ "the timer's hypercalls", timer_calls },
	{ "SCHEDOP_poll", poll_event },
	{ "... ended by another thread", poll_other_thread },
	{ "... interrupted by a signal", poll_signal },
	{ "... when the shared page is another", poll_moved },
	{ "the runstate area everywhere in a page", runstate_area },
	{ "runstate times", runstate_times },
	{ "waits for a processor", runstate_waits },
	{ "everything at once", races },
};

int main(int argc, char **argv)
{
	return RUN_CASES("xentime", cases);
}
