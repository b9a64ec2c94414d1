// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's timer: one-shot, periodic, TSC deadline. SDM volume 3, 11.5.4; APM volume 2,
 * 16.4.1. It has no time source: it is asked when it goes off next, and told that it has. Its
 * registers are part of the APIC's page; lapic_regs.c decides who may write what.
 *
 * The current count is never stored. While the timer runs there is a time at which the count will
 * have reached zero; everything else follows from that and from the time that is passed in.
 */
#include "lapic_regs.h"

static u32 timer_mode(const struct lapic_regs *l)
{
	return lapic_reg(l, LAPIC_LVT_TIMER) & LAPIC_LVT_TIMER_MODE;
}

static bool mode_counts(u32 mode)
{
	return mode == LAPIC_LVT_ONE_SHOT || mode == LAPIC_LVT_PERIODIC;
}

/* Nanoseconds of one count: the divisor is 2, 4 ... 128, 1 for bits 3, 1 and 0 from 000 to 111. */
static u64 timer_unit(const struct lapic_regs *l)
{
	u32 divide = lapic_reg(l, LAPIC_TIMER_DIVIDE);
	u32 shift = ((divide & 3) | (divide >> 1 & 4)) + 1;

	return (u64)l->config.bus_ns << (shift & 7);
}

/* Never 0 while the timer runs */
static u64 timer_period(const struct lapic_regs *l)
{
	u64 period = lapic_reg(l, LAPIC_TIMER_INITIAL) * timer_unit(l);

	return period < l->config.min_period_ns ? l->config.min_period_ns : period;
}

static void timer_start(struct lapic_regs *l, u64 ns, u32 count)
{
	u64 delay = count * timer_unit(l);

	if (timer_mode(l) == LAPIC_LVT_PERIODIC && count == lapic_reg(l, LAPIC_TIMER_INITIAL))
		delay = timer_period(l);
	l->running = true;
	l->expiry = ns + delay < ns ? ~0ull : ns + delay;
}

static void timer_stop(struct lapic_regs *l)
{
	l->running = false;
	l->deadline = 0;
	lapic_set_reg(l, LAPIC_TIMER_INITIAL, 0);
}

/* Rounded up: a timer that runs never shows 0. */
u32 lapic_timer_current(const struct lapic_regs *l, u64 ns)
{
	u32 initial = lapic_reg(l, LAPIC_TIMER_INITIAL);
	u64 left, period, count, unit = timer_unit(l);

	if (!l->running)
		return 0;
	if (ns >= l->expiry && timer_mode(l) != LAPIC_LVT_PERIODIC)
		return 0;

	if (ns < l->expiry) {
		left = l->expiry - ns;
	} else {
		period = timer_period(l);
		left = period - (ns - l->expiry) % period;
	}
	count = left / unit + !!(left % unit);
	return count < initial ? count : initial;
}

/* One-shot and periodic. Periods that have passed unnoticed are one interrupt. */
enum lapic_result lapic_timer_run(struct lapic_regs *l, u64 ns)
{
	u64 period;

	if (!l->running || ns < l->expiry)
		return LAPIC_REFUSED;

	if (timer_mode(l) == LAPIC_LVT_PERIODIC) {
		period = timer_period(l);
		l->expiry = ns + (period - (ns - l->expiry) % period);
	} else {
		l->running = false;
	}
	return lapic_local(l, LAPIC_LVT_TIMER);
}

/*
 * While the LVT is masked nobody needs to come for one-shot and periodic timers; what they have
 * missed is made up for when the LVT, or a register of the timer, is written.
 */
enum lapic_clock lapic_timer_next(const struct lapic_regs *l, u64 *when)
{
	u32 lvt = lapic_reg(l, LAPIC_LVT_TIMER);

	if (l->deadline) {
		*when = l->deadline;
		return LAPIC_CLOCK_TSC;
	}
	if (!l->running || lvt & LAPIC_LVT_MASKED)
		return LAPIC_CLOCK_NONE;
	*when = l->expiry;
	return LAPIC_CLOCK_NS;
}

/* May come early, late or for nothing. */
enum lapic_result lapic_timer_expire(struct lapic_regs *l, u64 ns, u64 tsc)
{
	if (!l->deadline)
		return lapic_timer_run(l, ns);
	if (tsc < l->deadline)
		return LAPIC_REFUSED;
	l->deadline = 0;
	return lapic_local(l, LAPIC_LVT_TIMER);
}

u64 lapic_deadline_read(const struct lapic_regs *l)
{
	return l->deadline;
}

/* Without effect in the other modes: SDM 11.5.4.1. */
u32 lapic_deadline_write(struct lapic_regs *l, u64 tsc)
{
	if (timer_mode(l) != LAPIC_LVT_DEADLINE)
		return 0;
	l->deadline = tsc;
	return LAPIC_DO_TIMER;
}

static void timer_initial_write(struct lapic_regs *l, u32 count, u64 ns)
{
	if (!mode_counts(timer_mode(l)))
		return;
	lapic_set_reg(l, LAPIC_TIMER_INITIAL, count);
	l->running = false;
	if (count)
		timer_start(l, ns, count);
}

/* The count goes on from where it is, at another speed. */
static void timer_divide_write(struct lapic_regs *l, u32 divide, u64 ns)
{
	u32 count = lapic_timer_current(l, ns);

	lapic_set_reg(l, LAPIC_TIMER_DIVIDE, divide & LAPIC_DIVIDE_BITS);
	if (l->running)
		timer_start(l, ns, count);
}

/*
 * Between one-shot and periodic the count goes on; a periodic timer whose count has run out is
 * loaded anew. All other changes of mode disarm.
 */
void lapic_timer_mode_changed(struct lapic_regs *l, u32 old, u64 ns)
{
	u32 new = timer_mode(l), initial;

	if (old != new && !(mode_counts(old) && mode_counts(new)))
		timer_stop(l);
	initial = lapic_reg(l, LAPIC_TIMER_INITIAL);
	if (new == LAPIC_LVT_PERIODIC && !l->running && initial)
		timer_start(l, ns, initial);
}

u32 lapic_timer_write(struct lapic_regs *l, u32 offset, u32 val, u64 ns)
{
	u32 todo = LAPIC_DO_TIMER;

	if (lapic_timer_run(l, ns) == LAPIC_QUEUED)
		todo |= LAPIC_DO_CHECK;
	if (offset == LAPIC_TIMER_INITIAL)
		timer_initial_write(l, val, ns);
	else
		timer_divide_write(l, val, ns);
	return todo;
}

void lapic_timer_restore(struct lapic_regs *l, u32 current_count, u64 ns)
{
	u32 initial = lapic_reg(l, LAPIC_TIMER_INITIAL);

	l->running = false;
	if (timer_mode(l) != LAPIC_LVT_DEADLINE)
		l->deadline = 0;
	if (!mode_counts(timer_mode(l)))
		initial = 0;
	lapic_set_reg(l, LAPIC_TIMER_INITIAL, initial);

	if (current_count > initial)
		current_count = initial;
	/* Others round down; a periodic timer runs all the same. */
	if (!current_count && timer_mode(l) == LAPIC_LVT_PERIODIC)
		current_count = initial;
	if (current_count)
		timer_start(l, ns, current_count);
}
