// SPDX-License-Identifier: GPL-2.0
/* The local APIC in x2APIC mode, its changes of mode, the state that userspace reads and writes. */
#include "apic_test.h"

static struct test_apic a;
static struct kvm_lapic_state s __attribute__((aligned(8)));

static u64 peek_msr(u32 offset)
{
	u64 val = 0;

	CHECK(lapic_msr_read(&a.regs, MSR_OF(offset), a.now, &val));
	return val;
}

static bool readable(u32 msr)
{
	u64 val;

	return lapic_msr_read(&a.regs, msr, a.now, &val);
}

static void in_x2apic(u32 id)
{
	struct lapic_config config = plain_config;

	config.id = id;
	apic_new(&a, &config);
	apic_to_x2apic(&a);
	apic_enable(&a);
}

static void test_x2apic_msrs(void)
{
	/* SDM table 11-6: what can be read, what can be written */
	static const char *r = "..xx....x.x..x.xxxxxxxxxxxxxxxxxxxxxxxxxx.......x.xxxxxxxx....x.";
	static const char *w = "........x..x...x........................x.......x.xxxxxxx.....xx";
	u64 val;
	u32 i;

	in_x2apic(0x123);
	for (i = 0; i < 64; i++) {
		CHECK(readable(0x800 + i) == (r[i] == 'x'));
		CHECK(apic_poke_msr(&a, 0x800 + i, i == 0x0f ? 0x1ff : 0) == (w[i] == 'x'));
	}
	for (; i < 256; i++)
		CHECK(!readable(0x800 + i) && !apic_poke_msr(&a, 0x800 + i, 0));
	CHECK(!readable(0x7ff) && !readable(0x900));
	/* No page any more */
	CHECK(!lapic_mmio_read(&a.regs, LAPIC_ID, 4, 0, &val, &a.fx));
	CHECK(!lapic_mmio_write(&a.regs, LAPIC_TPR, 4, 0x20, 0, &a.fx));
	CHECK(peek_msr(LAPIC_ID) == 0x123 && peek_msr(LAPIC_LDR) == 0x00120008);
	CHECK(peek_msr(LAPIC_VERSION) == 0x01050014);

	apic_new(&a, &plain_config);
	CHECK(!readable(0x802) && !apic_poke_msr(&a, 0x808, 0));
}

static void test_reserved_bits(void)
{
	static const struct {
		u32 offset;
		u64 allowed;
	} regs[] = {
		{ LAPIC_TPR, 0xff }, { LAPIC_EOI, 0 }, { LAPIC_SVR, 0x13ff }, { LAPIC_ESR, 0 },
		{ LAPIC_ICR, 0xffffffff000cdfffull }, { LAPIC_LVT_TIMER, 0x710ff },
		{ LAPIC_LVT_THERMAL, 0x117ff }, { LAPIC_LVT_PERF, 0x117ff },
		{ LAPIC_LVT_LINT0, 0x1f7ff }, { LAPIC_LVT_LINT1, 0x1f7ff },
		{ LAPIC_LVT_ERROR, 0x110ff }, { LAPIC_TIMER_INITIAL, 0xffffffff },
		{ LAPIC_TIMER_DIVIDE, 0xb }, { LAPIC_SELF_IPI, 0xff },
	};
	u32 i, bit;

	in_x2apic(5);
	for (i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
		for (bit = 0; bit < 64; bit++)
			CHECK(apic_poke_msr(&a, MSR_OF(regs[i].offset), 1ull << bit) ==
			      (regs[i].allowed >> bit & 1));
	}
}

static void test_x2apic_ipi(void)
{
	struct apic_msg *ipi = &a.fx.ipi;

	in_x2apic(5);
	CHECK(apic_poke_msr(&a, MSR_OF(LAPIC_ICR), 0x00012345000050f1ull));
	CHECK(a.fx.todo == LAPIC_DO_IPI && ipi->dest == 0x12345 && ipi->vector == 0xf1);
	CHECK(!ipi->dest8);
	CHECK(peek_msr(LAPIC_ICR) == 0x00012345000040f1ull);

	CHECK(apic_poke_msr(&a, MSR_OF(LAPIC_SELF_IPI), 0x44));
	CHECK(a.fx.todo == LAPIC_DO_IPI && ipi->to == APIC_TO_SELF && ipi->vector == 0x44);
	CHECK(!ipi->level && ipi->assert && ipi->mode == APIC_MSG_FIXED);
	CHECK(peek_msr(LAPIC_ICR) == 0x00012345000040f1ull);
	CHECK(apic_poke_msr(&a, MSR_OF(LAPIC_SELF_IPI), 0x0f) && a.fx.todo == 0);
	CHECK(apic_poke_msr(&a, MSR_OF(LAPIC_SELF_IPI), 0x10) && a.fx.todo == LAPIC_DO_IPI);
	CHECK(apic_poke_msr(&a, MSR_OF(LAPIC_ESR), 0) && peek_msr(LAPIC_ESR) == 0x20);

	apic_send(&a, 0x51, true);
	lapic_acknowledge(&a.regs, 0x51);
	CHECK(apic_poke_msr(&a, MSR_OF(LAPIC_EOI), 0));
	CHECK(a.fx.todo == (LAPIC_DO_EOI | LAPIC_DO_CHECK) && a.fx.eoi.vector == 0x51);
	CHECK(a.fx.eoi.broadcast);
}

static void test_base(void)
{
	struct lapic_config config = plain_config;
	static const u64 of_mode[] = { 0xfee00000, 0xfee00800, 0xfee00c00 };
	/* From, to: by a guest */
	static const bool legal[3][3] = { { true, true, false }, { true, true, true },
					  { true, false, true } };
	u32 from, to, bit;

	for (from = 0; from < 3; from++) {
		for (to = 0; to < 3; to++) {
			apic_new(&a, &plain_config);
			CHECK(lapic_base_write(&a.regs, of_mode[from], true, &a.fx));
			CHECK(lapic_base_write(&a.regs, of_mode[to], false, &a.fx) ==
			      legal[from][to]);
			CHECK(a.regs.base == of_mode[legal[from][to] ? to : from]);
			CHECK(lapic_base_write(&a.regs, of_mode[to], true, &a.fx));
			CHECK(!lapic_base_write(&a.regs, 0xfee00400, true, &a.fx));
		}
	}

	for (bit = 0; bit < 64; bit++) {
		apic_new(&a, &plain_config);
		CHECK(lapic_base_write(&a.regs, 1ull << bit | LAPIC_BASE_ENABLE, false, &a.fx) ==
		      (bit == 8 || (bit >= 10 && bit < 40)));
	}

	config.x2apic = false;
	apic_new(&a, &config);
	CHECK(!lapic_base_write(&a.regs, 0xfee00c00, false, &a.fx));

	/* Registers stay on the way to x2APIC mode, and are lost by disabling. */
	apic_new(&a, &plain_config);
	apic_enable(&a);
	apic_poke(&a, LAPIC_TPR, 0x30);
	apic_poke(&a, LAPIC_ICR2, 0x12000000);
	apic_send(&a, 0x77, false);
	CHECK(apic_poke(&a, LAPIC_TPR, 0x30) == LAPIC_DO_CHECK);
	CHECK(lapic_base_write(&a.regs, 0xfee00800, false, &a.fx) && a.fx.todo == 0);
	apic_to_x2apic(&a);
	CHECK(a.fx.todo & LAPIC_DO_MAP);
	CHECK(peek_msr(LAPIC_TPR) == 0x30 && peek_msr(LAPIC_ICR) >> 32 == 0);
	CHECK(lapic_pending(&a.regs) == 0x77);
	CHECK(lapic_base_write(&a.regs, 0xfee00000, false, &a.fx));
	CHECK(lapic_base_write(&a.regs, 0xfee00800, false, &a.fx));
	CHECK(apic_peek(&a, LAPIC_TPR) == 0 && apic_peek(&a, LAPIC_SVR) == 0xff);
	CHECK(lapic_pending(&a.regs) == -1 && apic_peek(&a, LAPIC_ID) == 0x03000000);
}

static void test_entries(void)
{
	struct apic_map_entry e;

	apic_new(&a, &plain_config);
	lapic_map_entry(&a.regs, &e);
	CHECK(e.match == APIC_MATCH_FLAT && e.id == 3 && e.ldr == 0 && !e.enabled);
	apic_enable(&a);
	apic_poke(&a, LAPIC_DFR, 0x0fffffff);
	apic_poke(&a, LAPIC_LDR, 0x21000000);
	lapic_map_entry(&a.regs, &e);
	CHECK(e.match == APIC_MATCH_CLUSTER && e.id == 3 && e.ldr == 0x21 && e.enabled);
	in_x2apic(0x1234);
	lapic_map_entry(&a.regs, &e);
	CHECK(e.match == APIC_MATCH_X2APIC && e.id == 0x1234 && e.ldr == 0x1230010);
	lapic_base_write(&a.regs, 0, false, &a.fx);
	lapic_map_entry(&a.regs, &e);
	CHECK(e.match == APIC_MATCH_NONE);
}

static void test_ids_in_state(void)
{
	u32 *image = (u32 *)s.regs;

	in_x2apic(0x45);
	lapic_get_state(&a.regs, &s, false, 0);
	CHECK(image[LAPIC_ID / 4] == 0x45000000);
	lapic_get_state(&a.regs, &s, true, 0);
	CHECK(image[LAPIC_ID / 4] == 0x45);
	/* An x2APIC's id and LDR cannot be set. */
	image[LAPIC_ID / 4] = 0x99;
	image[LAPIC_LDR / 4] = 0x99;
	CHECK(lapic_set_state(&a.regs, &s, 0) ==
	      (LAPIC_DO_MAP | LAPIC_DO_CHECK | LAPIC_DO_TIMER | LAPIC_DO_LINT0));
	CHECK(peek_msr(LAPIC_ID) == 0x45 && peek_msr(LAPIC_LDR) == 0x40020);

	/* Both halves of a 64-bit ICR */
	apic_poke_msr(&a, MSR_OF(LAPIC_ICR), 0x123456780000c0f1ull);
	lapic_get_state(&a.regs, &s, true, 0);
	CHECK(image[LAPIC_ICR / 4] == 0xc0f1 && image[LAPIC_ICR2 / 4] == 0x12345678);
	lapic_set_state(&a.regs, &s, 0);
	CHECK(peek_msr(LAPIC_ICR) == 0x123456780000c0f1ull);

	/* ... which the processor writes as one word; the image is the same. */
	a.regs.wide_icr = true;
	lapic_set_state(&a.regs, &s, 0);
	CHECK(peek_msr(LAPIC_ICR) == 0x123456780000c0f1ull);
	a.regs.page[LAPIC_ICR / 4] = 0x40f2;
	a.regs.page[LAPIC_ICR_WIDE_HIGH / 4] = 0x9a;
	CHECK(peek_msr(LAPIC_ICR) == 0x9a000040f2ull);
	lapic_get_state(&a.regs, &s, true, 0);
	CHECK(image[LAPIC_ICR / 4] == 0x40f2 && image[LAPIC_ICR2 / 4] == 0x9a);
	CHECK(image[LAPIC_ICR_WIDE_HIGH / 4] == 0);
	apic_poke_msr(&a, MSR_OF(LAPIC_ICR), 0x7000040f3ull);
	CHECK(a.regs.page[LAPIC_ICR_WIDE_HIGH / 4] == 7);

	apic_new(&a, &plain_config);
	lapic_get_state(&a.regs, &s, false, 0);
	CHECK(image[LAPIC_ID / 4] == 0x03000000);
	image[LAPIC_ID / 4] = 0x56ffffff;
	lapic_set_state(&a.regs, &s, 0);
	CHECK(apic_peek(&a, LAPIC_ID) == 0x56000000);
}

static void test_vectors_in_state(void)
{
	u32 *image = (u32 *)s.regs;

	/* Illegal vectors come out as they went in, and do nothing. */
	apic_new(&a, &plain_config);
	apic_enable(&a);
	lapic_get_state(&a.regs, &s, false, 0);
	image[LAPIC_IRR / 4] = 0xffff;
	image[LAPIC_ISR / 4] = 0xffff;
	lapic_set_state(&a.regs, &s, 0);
	CHECK(lapic_pending(&a.regs) == -1 && lapic_highest_irr(&a.regs) == -1);
	CHECK(lapic_highest_isr(&a.regs) == -1 && apic_peek(&a, LAPIC_PPR) == 0);
	CHECK(lapic_end_of_interrupt(&a.regs).vector == -1);
	lapic_get_state(&a.regs, &s, false, 0);
	CHECK(image[LAPIC_IRR / 4] == 0xffff && image[LAPIC_ISR / 4] == 0xffff);

	image[LAPIC_IRR / 4] |= 1u << 20;
	image[(LAPIC_IRR + 0x50) / 4] = 1u << 3;
	image[(LAPIC_ISR + 0x20) / 4] = 1u << 1;
	image[(LAPIC_TMR + 0x20) / 4] = 1u << 1;
	lapic_set_state(&a.regs, &s, 0);
	CHECK(lapic_pending(&a.regs) == 5 * 32 + 3);
	CHECK(lapic_highest_isr(&a.regs) == 2 * 32 + 1);
	lapic_get_state(&a.regs, &s, false, 0);
	CHECK(image[LAPIC_PPR / 4] == 0x40 && image[LAPIC_APR / 4] == 0xa0);
	CHECK(lapic_end_of_interrupt(&a.regs).broadcast);
	lapic_acknowledge(&a.regs, 5 * 32 + 3);
	lapic_end_of_interrupt(&a.regs);
	CHECK(lapic_pending(&a.regs) == 20);
}

static void test_garbage_state(void)
{
	u32 *image = (u32 *)s.regs, i;

	apic_new(&a, &plain_config);
	memset(&s, 0xff, sizeof(s));
	lapic_set_state(&a.regs, &s, 0);
	lapic_get_state(&a.regs, &s, false, 0);
	CHECK(image[LAPIC_ID / 4] == 0xff000000 && image[LAPIC_VERSION / 4] == 0x01050014);
	CHECK(image[LAPIC_TPR / 4] == 0xff && image[LAPIC_SVR / 4] == 0x13ff);
	CHECK(image[LAPIC_LVT_TIMER / 4] == 0x700ff && image[LAPIC_LVT_LINT0 / 4] == 0x1e7ff);
	CHECK(image[LAPIC_LVT_CMCI / 4] == 0 && image[LAPIC_TIMER_DIVIDE / 4] == 0xb);
	CHECK(image[LAPIC_ICR / 4] == 0xffffefff && image[LAPIC_ICR2 / 4] == 0xff000000);
	for (i = 0; i < 8; i++)
		CHECK(image[(LAPIC_IRR + i * 16) / 4] == ~0u);
	CHECK(image[0] == 0 && image[LAPIC_SELF_IPI / 4] == 0 && image[0x2a0 / 4] == 0);
}

void test_lapic_modes(void)
{
	test_x2apic_msrs();
	test_reserved_bits();
	test_x2apic_ipi();
	test_base();
	test_entries();
	test_ids_in_state();
	test_vectors_in_state();
	test_garbage_state();
}
