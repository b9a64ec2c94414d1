// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC under random work: saving and restoring on the way must not show; no access of any
 * width at any offset, and no image, may break what always holds; and no message that another
 * thread sends may be lost or come twice.
 */
#include <pthread.h>

#include "apic_test.h"

struct step {
	u32 what, offset, len;
	u64 val;
};

static const u16 registers[] = {
	LAPIC_ID, LAPIC_VERSION, LAPIC_TPR, LAPIC_APR, LAPIC_PPR, LAPIC_EOI, LAPIC_RRR, LAPIC_LDR,
	LAPIC_DFR, LAPIC_SVR, LAPIC_ISR, LAPIC_TMR, LAPIC_IRR, LAPIC_ESR, LAPIC_LVT_CMCI, LAPIC_ICR,
	LAPIC_ICR2, LAPIC_LVT_TIMER, LAPIC_LVT_THERMAL, LAPIC_LVT_PERF, LAPIC_LVT_LINT0,
	LAPIC_LVT_LINT1, LAPIC_LVT_ERROR, LAPIC_TIMER_INITIAL, LAPIC_TIMER_CURRENT,
	LAPIC_TIMER_DIVIDE, LAPIC_SELF_IPI,
};

static struct step some_step(void)
{
	struct step s = {
		.what = random_below(20), .len = 1u << random_below(4), .val = random_value(),
	};

	s.offset = registers[random_below(sizeof(registers) / sizeof(registers[0]))];
	if (!random_below(4))
		s.offset = random_below(0x1000);
	if (random_below(3))
		s.len = 4;
	/* Small counts expire while the test runs, and enabled APICs do more. */
	if (s.offset == LAPIC_TIMER_INITIAL)
		s.val &= 0x3ff;
	if (s.offset == LAPIC_SVR && random_below(4))
		s.val |= 0x100;
	return s;
}

static u64 base_value(u64 val)
{
	return (val & 1 ? 0xfee00000 : val & 0xfffff000) | (val & 6 ? 0x800 : 0) |
	       (val & 0x18 ? 0 : 0x400);
}

static u64 run_local(struct test_apic *a, const struct step *s)
{
	int vector;

	switch (s->what) {
	case 8:
		return lapic_local(&a->regs, registers[s->val % 27]);
	case 9:
		vector = lapic_pending(&a->regs);
		if (vector >= 0)
			lapic_acknowledge(&a->regs, vector);
		return vector;
	case 10:
		return lapic_end_of_interrupt(&a->regs).vector;
	case 11:
		return lapic_timer_expire(&a->regs, a->now, a->now);
	case 12:
		return lapic_deadline_write(&a->regs, s->val);
	case 13:
		lapic_cr8_write(&a->regs, s->val);
		return lapic_cr8_read(&a->regs);
	case 14:
		if (s->val % 8)
			return 0;
		return lapic_base_write(&a->regs, base_value(s->val >> 8), false, &a->fx);
	case 15:
		if (s->val % 32 == 0)
			lapic_init_signal(&a->regs);
		return 0;
	default:
		return lapic_pending(&a->regs);
	}
}

static u64 run_step(struct test_apic *a, const struct step *s)
{
	struct apic_msg msg = {
		.vector = s->val, .mode = s->val >> 8 & 7, .level = s->val >> 11 & 1,
		.assert = s->val >> 12 & 3,
	};
	u64 val = 0, result;

	a->fx = (struct lapic_effects) { 0 };
	switch (s->what) {
	case 0:
	case 1:
		result = lapic_mmio_read(&a->regs, s->offset, s->len, a->now, &val, &a->fx);
		break;
	case 2:
	case 3:
		result = lapic_mmio_write(&a->regs, s->offset, s->len, s->val, a->now, &a->fx);
		break;
	case 4:
		result = lapic_msr_read(&a->regs, 0x800 + s->offset / 16, a->now, &val);
		break;
	case 5:
		result = lapic_msr_write(&a->regs, 0x800 + s->offset / 16, s->val, a->now, &a->fx);
		break;
	case 6:
	case 7:
		result = lapic_accept(&a->regs, &msg);
		break;
	default:
		result = run_local(a, s);
	}
	return result << 48 ^ val << 8 ^ a->fx.todo ^ (u64)(u16)a->fx.eoi.vector << 20 ^
	       (u64)a->fx.ipi.dest << 13;
}

static bool same_state(const struct test_apic *a, const struct test_apic *b)
{
	struct kvm_lapic_state s[2] __attribute__((aligned(8)));
	u64 when[2] = { 0, 0 };

	lapic_get_state(&a->regs, &s[0], true, a->now);
	lapic_get_state(&b->regs, &s[1], true, b->now);
	return !memcmp(&s[0], &s[1], sizeof(s[0])) && a->regs.base == b->regs.base &&
	       lapic_timer_next(&a->regs, &when[0]) == lapic_timer_next(&b->regs, &when[1]) &&
	       when[0] == when[1];
}

/* As a VMM does it: the base, the registers, the MSR of the deadline. */
static void move(struct test_apic *a, const struct lapic_config *config, bool wide)
{
	struct kvm_lapic_state s __attribute__((aligned(8)));
	u64 now = a->now, base = a->regs.base, deadline = lapic_deadline_read(&a->regs);

	/* An id that 24 bits of shifting would lose is moved in full. */
	lapic_get_state(&a->regs, &s, wide, now);
	apic_new(a, config);
	a->now = now;
	CHECK(lapic_base_write(&a->regs, base, true, &a->fx));
	lapic_set_state(&a->regs, &s, now);
	lapic_deadline_write(&a->regs, deadline);
}

static void transparent(void)
{
	struct lapic_config config = plain_config;
	static struct test_apic a, b;
	u32 n, differ = 0;
	struct step s;
	u64 ra, rb;

	config.id = random_below(2) ? random_below(8) : random_below(5000);
	config.cmci = random_below(2);
	config.id_writable = random_below(2);
	config.perf_masks = random_below(2);
	config.lint0_extint = random_below(2);
	config.bsp = random_below(2);
	apic_new(&a, &config);
	apic_new(&b, &config);
	apic_enable(&a);
	apic_enable(&b);

	for (n = 0; n < 1000; n++) {
		s = some_step();
		ra = run_step(&a, &s);
		rb = run_step(&b, &s);
		differ += ra != rb;
		/* A multiple of all divisors: parts of a count are not saved. */
		a.now += random_below(4) * 128;
		b.now = a.now;
		/* A timer that is due has gone off in the image, so it does in the other one. */
		if (lapic_mode(&a.regs) != LAPIC_DISABLED && !a.regs.deadline) {
			lapic_timer_expire(&a.regs, a.now, a.now);
			lapic_timer_expire(&b.regs, b.now, b.now);
		}
		if (!random_below(4))
			move(&b, &config, random_below(2));
		differ += !same_state(&a, &b);
	}
	CHECK(differ == 0);
}

/* What must hold after anything that anybody does */
static bool is_sane(struct test_apic *a)
{
	struct lapic_regs *l = &a->regs;
	u32 word, *irr, *isr, first;
	int pending = lapic_pending(l);

	for (word = 0; word < 8; word++) {
		irr = &l->page[(LAPIC_IRR + word * 16) / 4];
		isr = &l->page[(LAPIC_ISR + word * 16) / 4];
		first = word ? ~0u : 0xffff0000;
		if (*irr & first && !(l->irr_words >> word & 1))
			return false;
		if (!(*isr & first) != !(l->isr_words >> word & 1))
			return false;
	}
	if (pending >= 0 && (pending < 16 || pending >> 4 <= lapic_processor_priority(l) >> 4))
		return false;
	if (l->running && (l->deadline || !lapic_reg(l, LAPIC_TIMER_INITIAL)))
		return false;
	return lapic_mode(l) != LAPIC_INVALID && !(lapic_reg(l, LAPIC_ICR) & LAPIC_ICR_BUSY);
}

static void fuzz(void)
{
	struct kvm_lapic_state image __attribute__((aligned(8)));
	struct lapic_config config = plain_config;
	static struct test_apic a;
	bool sane = true;
	struct step s;
	u32 i, n;

	config.bus_ns = random_value();
	config.min_period_ns = random_below(2) * 200000;
	apic_new(&a, &config);
	apic_enable(&a);
	for (n = 0; n < 2000; n++) {
		s = some_step();
		s.len = random_below(9);
		s.val = random_value();
		if (!random_below(8))
			s.offset = random_value();
		a.now = random_below(16) ? a.now + random_below(100000) : random_value();
		run_step(&a, &s);
		sane &= is_sane(&a);
		if (n % 100)
			continue;
		for (i = 0; i < sizeof(image); i++)
			image.regs[i] = random_value();
		lapic_set_state(&a.regs, &image, a.now);
		sane &= is_sane(&a);
	}
	CHECK(sane);
}

void test_lapic_random(unsigned long rounds)
{
	unsigned long i;

	for (i = 0; i < rounds; i++) {
		transparent();
		fuzz();
	}
}

/* ---- several threads ---- */

#define SENDERS		3
#define MESSAGES	20000

static struct test_apic shared;
static u32 queued[SENDERS];
static u32 finished;

/* Each has vectors of its own; what merges with one that is pending is not counted. */
static void *sender(void *arg)
{
	u32 number = (u32)(uintptr_t)arg, i;

	for (i = 0; i < MESSAGES; i++)
		queued[number] += apic_send(&shared, 32 + (i * 7 % 70) * SENDERS + number, i & 1) !=
				  LAPIC_COALESCED;
	__atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void send_and_take(struct lapic_inbox *inbox)
{
	pthread_t thread[SENDERS];
	u32 taken = 0, sent = 0;
	uintptr_t i;
	int vector;
	bool last;

	memset(queued, 0, sizeof(queued));
	finished = 0;
	apic_new(&shared, &plain_config);
	if (inbox)
		lapic_divert(&shared.regs, inbox);
	apic_enable(&shared);
	for (i = 0; i < SENDERS; i++)
		pthread_create(&thread[i], NULL, sender, (void *)i);
	do {
		last = __atomic_load_n(&finished, __ATOMIC_SEQ_CST) == SENDERS;
		if (inbox)
			lapic_reclaim(&shared.regs, lapic_fetch(&shared.regs));
		while ((vector = lapic_pending(&shared.regs)) >= 0) {
			lapic_acknowledge(&shared.regs, vector);
			lapic_end_of_interrupt(&shared.regs);
			taken++;
		}
	} while (!last);
	for (i = 0; i < SENDERS; i++) {
		pthread_join(thread[i], NULL);
		sent += queued[i];
	}
	CHECK(taken == sent && sent >= SENDERS);
}

void test_threads(void)
{
	static struct lapic_inbox inbox;

	send_and_take(NULL);
	send_and_take(&inbox);
}
