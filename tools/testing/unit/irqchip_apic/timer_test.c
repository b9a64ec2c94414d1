// SPDX-License-Identifier: GPL-2.0
/* The local APIC's timer. */
#include "apic_test.h"

static struct test_apic a;

static void fresh(u32 lvt, u32 divide)
{
	apic_new(&a, &plain_config);
	apic_enable(&a);
	apic_poke(&a, LAPIC_LVT_TIMER, lvt);
	apic_poke(&a, LAPIC_TIMER_DIVIDE, divide);
}

static u64 next(enum lapic_clock clock)
{
	u64 when = 0;

	CHECK(lapic_timer_next(&a.regs, &when) == clock);
	return when;
}

static void test_divide(void)
{
	static const u8 bits[] = { 0xb, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa };
	u32 i;

	for (i = 0; i < 8; i++) {
		fresh(0x40, bits[i]);
		CHECK(apic_poke(&a, LAPIC_TIMER_INITIAL, 100) == LAPIC_DO_TIMER);
		CHECK(next(LAPIC_CLOCK_NS) == 1000 + (100ull << i));
		a.now += 30ull << i;
		CHECK(apic_peek(&a, LAPIC_TIMER_CURRENT) == 70);
	}

	/* Another divisor on the way: what is left takes longer. */
	fresh(0x40, 0xb);
	apic_poke(&a, LAPIC_TIMER_INITIAL, 100);
	a.now += 40;
	apic_poke(&a, LAPIC_TIMER_DIVIDE, 0x1);
	CHECK(apic_peek(&a, LAPIC_TIMER_CURRENT) == 60);
	CHECK(next(LAPIC_CLOCK_NS) == 1040 + 240);
	CHECK(apic_peek(&a, LAPIC_TIMER_DIVIDE) == 1);
	apic_poke(&a, LAPIC_TIMER_DIVIDE, ~0u);
	CHECK(apic_peek(&a, LAPIC_TIMER_DIVIDE) == 0xb);
}

static void test_one_shot(void)
{
	fresh(0x40, 0xb);
	CHECK(next(LAPIC_CLOCK_NONE) == 0);
	apic_poke(&a, LAPIC_TIMER_INITIAL, 50);
	CHECK(lapic_timer_expire(&a.regs, 1049, 0) == LAPIC_REFUSED);
	a.now = 1049;
	CHECK(apic_peek(&a, LAPIC_TIMER_CURRENT) == 1);
	CHECK(lapic_timer_expire(&a.regs, 1050, 0) == LAPIC_QUEUED);
	CHECK(lapic_pending(&a.regs) == 0x40);
	CHECK(lapic_timer_expire(&a.regs, 1060, 0) == LAPIC_REFUSED);
	CHECK(next(LAPIC_CLOCK_NONE) == 0);
	a.now = 1070;
	CHECK(apic_peek(&a, LAPIC_TIMER_CURRENT) == 0);
	CHECK(apic_peek(&a, LAPIC_TIMER_INITIAL) == 50);

	/* A new count starts over; 0 stops. */
	apic_poke(&a, LAPIC_TIMER_INITIAL, 50);
	a.now += 20;
	apic_poke(&a, LAPIC_TIMER_INITIAL, 70);
	CHECK(next(LAPIC_CLOCK_NS) == 1160);
	apic_poke(&a, LAPIC_TIMER_INITIAL, 0);
	CHECK(next(LAPIC_CLOCK_NONE) == 0);

	/* The longest count fits, however far the clock is. */
	a.now = ~0ull - 5;
	apic_poke(&a, LAPIC_TIMER_INITIAL, ~0u);
	CHECK(next(LAPIC_CLOCK_NS) == ~0ull);
}

static void test_masked(void)
{
	/* Runs out under the mask: no interrupt, not even when the mask goes. */
	fresh(0x10040, 0xb);
	apic_poke(&a, LAPIC_TIMER_INITIAL, 50);
	CHECK(next(LAPIC_CLOCK_NONE) == 0);
	a.now += 60;
	CHECK(apic_poke(&a, LAPIC_LVT_TIMER, 0x40) == LAPIC_DO_TIMER);
	CHECK(next(LAPIC_CLOCK_NONE) == 0);
	CHECK(lapic_pending(&a.regs) == -1);

	/* The mask goes in time. */
	apic_poke(&a, LAPIC_LVT_TIMER, 0x10040);
	apic_poke(&a, LAPIC_TIMER_INITIAL, 50);
	a.now += 20;
	apic_poke(&a, LAPIC_LVT_TIMER, 0x40);
	CHECK(next(LAPIC_CLOCK_NS) == a.now + 30);

	/* Due before the mask comes */
	a.now += 30;
	CHECK(apic_poke(&a, LAPIC_LVT_TIMER, 0x10040) == (LAPIC_DO_TIMER | LAPIC_DO_CHECK));
	CHECK(lapic_pending(&a.regs) == 0x40);

	/* Periods go on under the mask. */
	fresh(0x30040, 0xb);
	apic_poke(&a, LAPIC_TIMER_INITIAL, 50);
	a.now += 120;
	CHECK(apic_peek(&a, LAPIC_TIMER_CURRENT) == 30);
	apic_poke(&a, LAPIC_LVT_TIMER, 0x20040);
	CHECK(next(LAPIC_CLOCK_NS) == 1150);
	CHECK(lapic_pending(&a.regs) == -1);

	/* Software disable masks. */
	apic_poke(&a, LAPIC_SVR, 0xff);
	CHECK(next(LAPIC_CLOCK_NONE) == 0);
}

static void test_periodic(void)
{
	struct lapic_config config = plain_config;

	fresh(0x20040, 0xb);
	apic_poke(&a, LAPIC_TIMER_INITIAL, 50);
	CHECK(lapic_timer_expire(&a.regs, 1050, 0) == LAPIC_QUEUED);
	CHECK(next(LAPIC_CLOCK_NS) == 1100);
	CHECK(lapic_timer_expire(&a.regs, 1103, 0) == LAPIC_COALESCED);
	CHECK(next(LAPIC_CLOCK_NS) == 1150);
	/* Three periods late: one interrupt, and the phase is kept. */
	lapic_acknowledge(&a.regs, 0x40);
	CHECK(lapic_timer_expire(&a.regs, 1320, 0) == LAPIC_QUEUED);
	CHECK(next(LAPIC_CLOCK_NS) == 1350);
	a.now = 1330;
	CHECK(apic_peek(&a, LAPIC_TIMER_CURRENT) == 20);

	/* To one-shot and back the count goes on. */
	apic_poke(&a, LAPIC_LVT_TIMER, 0x40);
	CHECK(next(LAPIC_CLOCK_NS) == 1350);
	lapic_acknowledge(&a.regs, 0x40);
	CHECK(lapic_timer_expire(&a.regs, 1350, 0) == LAPIC_QUEUED);
	CHECK(next(LAPIC_CLOCK_NONE) == 0);
	a.now = 1360;
	apic_poke(&a, LAPIC_LVT_TIMER, 0x20040);
	CHECK(next(LAPIC_CLOCK_NS) == 1410);

	config.min_period_ns = 200000;
	apic_new(&a, &config);
	apic_enable(&a);
	apic_poke(&a, LAPIC_LVT_TIMER, 0x20040);
	apic_poke(&a, LAPIC_TIMER_INITIAL, 1);
	CHECK(next(LAPIC_CLOCK_NS) == 201000);
	CHECK(apic_peek(&a, LAPIC_TIMER_CURRENT) == 1);
	CHECK(lapic_timer_expire(&a.regs, 201000, 0) == LAPIC_QUEUED);
	CHECK(next(LAPIC_CLOCK_NS) == 401000);

	config.bus_ns = 0;
	apic_new(&a, &config);
	CHECK(a.regs.config.bus_ns == 1);
}

static void test_deadline(void)
{
	struct lapic_config config = plain_config;

	fresh(0x40, 0xb);
	CHECK(lapic_deadline_write(&a.regs, 5000) == 0);
	CHECK(lapic_deadline_read(&a.regs) == 0);
	apic_poke(&a, LAPIC_TIMER_INITIAL, 50);
	apic_poke(&a, LAPIC_LVT_TIMER, 0x40040);
	CHECK(next(LAPIC_CLOCK_NONE) == 0);
	CHECK(apic_peek(&a, LAPIC_TIMER_CURRENT) == 0);

	CHECK(lapic_deadline_write(&a.regs, 5000) == LAPIC_DO_TIMER);
	CHECK(lapic_deadline_read(&a.regs) == 5000);
	CHECK(next(LAPIC_CLOCK_TSC) == 5000);
	apic_poke(&a, LAPIC_TIMER_INITIAL, 50);
	CHECK(apic_peek(&a, LAPIC_TIMER_INITIAL) == 0);
	CHECK(next(LAPIC_CLOCK_TSC) == 5000);
	CHECK(lapic_timer_expire(&a.regs, ~0ull, 4999) == LAPIC_REFUSED);
	CHECK(lapic_timer_expire(&a.regs, 0, 5000) == LAPIC_QUEUED);
	CHECK(lapic_deadline_read(&a.regs) == 0);
	CHECK(lapic_timer_expire(&a.regs, 0, 6000) == LAPIC_REFUSED);

	lapic_deadline_write(&a.regs, 7000);
	lapic_deadline_write(&a.regs, 0);
	CHECK(next(LAPIC_CLOCK_NONE) == 0);

	/* Masked it goes off unheard; another mode disarms it. */
	lapic_acknowledge(&a.regs, 0x40);
	lapic_end_of_interrupt(&a.regs);
	lapic_deadline_write(&a.regs, 7000);
	apic_poke(&a, LAPIC_LVT_TIMER, 0x50040);
	CHECK(lapic_timer_expire(&a.regs, 0, 7000) == LAPIC_REFUSED);
	CHECK(lapic_deadline_read(&a.regs) == 0 && lapic_pending(&a.regs) == -1);
	lapic_deadline_write(&a.regs, 8000);
	apic_poke(&a, LAPIC_LVT_TIMER, 0x40);
	CHECK(next(LAPIC_CLOCK_NONE) == 0);
	apic_poke(&a, LAPIC_LVT_TIMER, 0x60040);
	apic_poke(&a, LAPIC_TIMER_INITIAL, 50);
	CHECK(lapic_deadline_write(&a.regs, 8000) == 0);
	CHECK(next(LAPIC_CLOCK_NONE) == 0);

	config.tsc_deadline = false;
	apic_new(&a, &config);
	apic_enable(&a);
	apic_poke(&a, LAPIC_LVT_TIMER, 0x40040);
	CHECK(apic_peek(&a, LAPIC_LVT_TIMER) == 0x40);
	CHECK(lapic_deadline_write(&a.regs, 5000) == 0);
	apic_to_x2apic(&a);
	CHECK(!apic_poke_msr(&a, MSR_OF(LAPIC_LVT_TIMER), 0x40040));
}

static void test_saved(void)
{
	struct kvm_lapic_state s __attribute__((aligned(8)));
	u32 *image = (u32 *)s.regs;
	struct test_apic b;

	fresh(0x40, 0x0);
	apic_poke(&a, LAPIC_TIMER_INITIAL, 100);
	a.now += 60;
	lapic_get_state(&a.regs, &s, false, a.now);
	CHECK(image[LAPIC_TIMER_CURRENT / 4] == 70);
	apic_new(&b, &plain_config);
	lapic_set_state(&b.regs, &s, 500000);
	b.now = 500000;
	CHECK(apic_peek(&b, LAPIC_TIMER_CURRENT) == 70);
	CHECK(lapic_timer_expire(&b.regs, 500139, 0) == LAPIC_REFUSED);
	CHECK(lapic_timer_expire(&b.regs, 500140, 0) == LAPIC_QUEUED);

	/* Saved when it was due: in the image it has gone off; here it still will. */
	lapic_get_state(&a.regs, &s, false, 1200);
	CHECK(image[(LAPIC_IRR + 0x20) / 4] == 1);
	CHECK(image[LAPIC_TIMER_CURRENT / 4] == 0);
	CHECK(lapic_pending(&a.regs) == -1);
	CHECK(lapic_timer_expire(&a.regs, 1200, 0) == LAPIC_QUEUED);

	/* Periodic, by somebody who rounds down */
	image[LAPIC_LVT_TIMER / 4] = 0x20040;
	lapic_set_state(&b.regs, &s, 500000);
	CHECK(b.regs.running && b.regs.expiry == 500200);
	image[LAPIC_TIMER_CURRENT / 4] = 4000;
	lapic_set_state(&b.regs, &s, 500000);
	CHECK(b.regs.running && b.regs.expiry == 500200);
}

void test_timer(void)
{
	test_divide();
	test_one_shot();
	test_masked();
	test_periodic();
	test_deadline();
	test_saved();
}
