// SPDX-License-Identifier: GPL-2.0
/* The local APIC's registers, feature by feature. */
#include "apic_test.h"

static struct test_apic a;

static void fresh(void)
{
	apic_new(&a, &plain_config);
	apic_enable(&a);
}

static void test_reset(void)
{
	static const u16 lvts[] = { 0x320, 0x330, 0x340, 0x350, 0x360, 0x370 };
	struct lapic_config config = plain_config;
	u32 i;

	config.id = 0x123;
	apic_new(&a, &config);
	CHECK(a.regs.base == 0xfee00800 && lapic_mode(&a.regs) == LAPIC_XAPIC);
	CHECK(apic_peek(&a, LAPIC_ID) == 0x23000000);
	CHECK(apic_peek(&a, LAPIC_VERSION) == 0x01050014);
	CHECK(apic_peek(&a, LAPIC_SVR) == 0xff);
	CHECK(apic_peek(&a, LAPIC_DFR) == 0xffffffff);
	CHECK(apic_peek(&a, LAPIC_LDR) == 0 && apic_peek(&a, LAPIC_TPR) == 0);
	for (i = 0; i < 6; i++)
		CHECK(apic_peek(&a, lvts[i]) == 0x10000);
	CHECK(lapic_pending(&a.regs) == -1 && lapic_highest_irr(&a.regs) == -1);
	CHECK(!lapic_takes_extint(&a.regs));

	config.bsp = true;
	config.cmci = true;
	config.directed_eoi = false;
	config.lint0_extint = true;
	apic_new(&a, &config);
	CHECK(a.regs.base == 0xfee00900);
	CHECK(apic_peek(&a, LAPIC_VERSION) == 0x00060014);
	CHECK(apic_peek(&a, LAPIC_LVT_CMCI) == 0x10000);
	CHECK(apic_peek(&a, LAPIC_LVT_LINT0) == 0x700 && lapic_takes_extint(&a.regs));

	/* A register that comes later is as after a reset, and one that was there stays as it is. */
	config.cmci = false;
	apic_new(&a, &config);
	CHECK(lapic_reg(&a.regs, LAPIC_LVT_CMCI) == 0);
	a.regs.config.cmci = true;
	lapic_config_changed(&a.regs);
	CHECK(apic_peek(&a, LAPIC_VERSION) == 0x00060014 && apic_peek(&a, LAPIC_LVT_CMCI) == 0x10000);
	apic_poke(&a, LAPIC_LVT_CMCI, 0x33);
	lapic_config_changed(&a.regs);
	CHECK(apic_peek(&a, LAPIC_LVT_CMCI) == 0x10033);	/* the APIC is disabled by software */
	apic_poke(&a, LAPIC_SVR, 0x1ff);
	apic_poke(&a, LAPIC_LVT_CMCI, 0x33);
	lapic_config_changed(&a.regs);
	CHECK(apic_peek(&a, LAPIC_LVT_CMCI) == 0x33);

	/* INIT keeps the mode and the id, RESET nothing. */
	apic_new(&a, &plain_config);
	apic_enable(&a);
	apic_send(&a, 0x40, false);
	apic_poke(&a, LAPIC_TPR, 0x20);
	apic_to_x2apic(&a);
	lapic_init_signal(&a.regs);
	CHECK(lapic_mode(&a.regs) == LAPIC_X2APIC);
	CHECK(lapic_reg(&a.regs, LAPIC_ID) == 3 && lapic_reg(&a.regs, LAPIC_LDR) == 8);
	CHECK(lapic_reg(&a.regs, LAPIC_SVR) == 0xff && lapic_reg(&a.regs, LAPIC_TPR) == 0);
	CHECK(lapic_pending(&a.regs) == -1);
	lapic_power_up(&a.regs);
	CHECK(lapic_mode(&a.regs) == LAPIC_XAPIC && apic_peek(&a, LAPIC_ID) == 0x03000000);
}

static void test_xapic_registers(void)
{
	struct lapic_config config = plain_config;
	u64 val;

	fresh();
	/* Bits that can be written */
	CHECK(apic_poke(&a, LAPIC_TPR, ~0u) == LAPIC_DO_CHECK);
	CHECK(apic_peek(&a, LAPIC_TPR) == 0xff);
	CHECK(apic_poke(&a, LAPIC_LDR, ~0u) == LAPIC_DO_MAP);
	CHECK(apic_peek(&a, LAPIC_LDR) == 0xff000000);
	CHECK(apic_poke(&a, LAPIC_DFR, 0) == LAPIC_DO_MAP);
	CHECK(apic_peek(&a, LAPIC_DFR) == 0x0fffffff);
	apic_poke(&a, LAPIC_SVR, ~0u);
	CHECK(apic_peek(&a, LAPIC_SVR) == 0x13ff);
	apic_poke(&a, LAPIC_LVT_TIMER, ~0u);
	CHECK(apic_peek(&a, LAPIC_LVT_TIMER) == 0x700ff);
	apic_poke(&a, LAPIC_LVT_PERF, ~0u);
	CHECK(apic_peek(&a, LAPIC_LVT_PERF) == 0x107ff);
	apic_poke(&a, LAPIC_LVT_THERMAL, ~0u);
	CHECK(apic_peek(&a, LAPIC_LVT_THERMAL) == 0x107ff);
	CHECK(apic_poke(&a, LAPIC_LVT_LINT0, ~0u) == LAPIC_DO_LINT0);
	CHECK(apic_peek(&a, LAPIC_LVT_LINT0) == 0x1a7ff);
	apic_poke(&a, LAPIC_LVT_LINT1, ~0u);
	CHECK(apic_peek(&a, LAPIC_LVT_LINT1) == 0x1a7ff);
	apic_poke(&a, LAPIC_LVT_ERROR, ~0u);
	CHECK(apic_peek(&a, LAPIC_LVT_ERROR) == 0x100ff);

	/* Read-only ones */
	CHECK(apic_poke(&a, LAPIC_ID, 0) == 0 && apic_peek(&a, LAPIC_ID) == 0x03000000);
	apic_poke(&a, LAPIC_VERSION, 0);
	CHECK(apic_peek(&a, LAPIC_VERSION) == 0x01050014);
	apic_poke(&a, LAPIC_ISR, ~0u);
	apic_poke(&a, LAPIC_IRR + 0x10, ~0u);
	CHECK(apic_peek(&a, LAPIC_ISR) == 0 && apic_peek(&a, LAPIC_IRR + 0x10) == 0);
	apic_poke(&a, LAPIC_PPR, 0);
	CHECK(apic_peek(&a, LAPIC_PPR) == 0xff);
	CHECK(apic_peek(&a, LAPIC_RRR) == 0);

	/* Widths and alignment */
	apic_poke(&a, LAPIC_LDR, 0x12000000);
	CHECK(lapic_mmio_read(&a.regs, LAPIC_LDR + 3, 1, 0, &val, &a.fx) && val == 0x12);
	CHECK(lapic_mmio_read(&a.regs, LAPIC_LDR + 2, 2, 0, &val, &a.fx) && val == 0x1200);
	CHECK(lapic_mmio_read(&a.regs, LAPIC_LDR, 8, 0, &val, &a.fx) && val == 0x12000000);
	CHECK(lapic_mmio_read(&a.regs, LAPIC_LDR + 4, 4, 0, &val, &a.fx) && val == 0);
	CHECK(lapic_mmio_write(&a.regs, LAPIC_LDR, 1, 0xff, 0, &a.fx) && !a.fx.todo);
	CHECK(lapic_mmio_write(&a.regs, LAPIC_LDR + 2, 4, ~0u, 0, &a.fx) && !a.fx.todo);
	CHECK(lapic_mmio_write(&a.regs, LAPIC_LDR, 8, ~0ull, 0, &a.fx));
	CHECK(apic_peek(&a, LAPIC_LDR) == 0xff000000);

	config.id_writable = true;
	config.directed_eoi = false;
	apic_new(&a, &config);
	CHECK(apic_poke(&a, LAPIC_ID, 0x56ffffff) == LAPIC_DO_MAP);
	CHECK(apic_peek(&a, LAPIC_ID) == 0x56000000);
	CHECK(apic_poke(&a, LAPIC_SVR, ~0u) == LAPIC_DO_MAP);
	CHECK(apic_peek(&a, LAPIC_SVR) == 0x3ff);
}

static void test_vectors(void)
{
	struct lapic_eoi eoi;
	u32 v;

	fresh();
	for (v = 16; v < 256; v++)
		CHECK(apic_send(&a, v, v & 1) == LAPIC_QUEUED);
	CHECK(apic_send(&a, 77, true) == LAPIC_COALESCED);
	CHECK(apic_peek(&a, LAPIC_IRR) == 0xffff0000);
	CHECK(apic_peek(&a, LAPIC_TMR + 0x70) == 0xaaaaaaaa);
	for (v = 255; v >= 32; v -= 16) {
		CHECK(lapic_pending(&a.regs) == (int)v);
		lapic_acknowledge(&a.regs, v);
		CHECK(lapic_highest_isr(&a.regs) == (int)v);
		CHECK(lapic_processor_priority(&a.regs) == (v & 0xf0));
		/* The same class has to wait. */
		CHECK(lapic_pending(&a.regs) == -1);
		eoi = lapic_end_of_interrupt(&a.regs);
		CHECK(eoi.vector == (int)v && eoi.broadcast);
		while (lapic_highest_irr(&a.regs) >= (int)(v & 0xf0)) {
			lapic_acknowledge(&a.regs, lapic_highest_irr(&a.regs));
			eoi = lapic_end_of_interrupt(&a.regs);
			CHECK(eoi.broadcast == (eoi.vector & 1));
		}
	}
	eoi = lapic_end_of_interrupt(&a.regs);
	CHECK(eoi.vector == -1 && !eoi.broadcast);

	/* Nesting */
	fresh();
	apic_send(&a, 0x30, false);
	lapic_acknowledge(&a.regs, 0x30);
	apic_send(&a, 0x80, false);
	CHECK(lapic_pending(&a.regs) == 0x80);
	lapic_acknowledge(&a.regs, 0x80);
	apic_send(&a, 0x30, false);
	CHECK(apic_peek(&a, LAPIC_PPR) == 0x80);
	CHECK(lapic_end_of_interrupt(&a.regs).vector == 0x80);
	CHECK(apic_peek(&a, LAPIC_PPR) == 0x30 && lapic_pending(&a.regs) == -1);
	CHECK(apic_poke(&a, LAPIC_EOI, 0) == (LAPIC_DO_EOI | LAPIC_DO_CHECK));
	CHECK(a.fx.eoi.vector == 0x30 && !a.fx.eoi.broadcast);
	CHECK(lapic_pending(&a.regs) == 0x30);

	/* The last trigger counts. */
	apic_send(&a, 0x30, true);
	CHECK(apic_peek(&a, LAPIC_TMR + 0x10) == 1u << 16);
	apic_send(&a, 0x30, false);
	CHECK(apic_peek(&a, LAPIC_TMR + 0x10) == 0);

	/* Broadcasts can be suppressed. */
	fresh();
	apic_poke(&a, LAPIC_SVR, 0x11ff);
	apic_send(&a, 0x31, true);
	lapic_acknowledge(&a.regs, 0x31);
	eoi = lapic_end_of_interrupt(&a.regs);
	CHECK(eoi.vector == 0x31 && !eoi.broadcast);
}

static void test_priority(void)
{
	fresh();
	apic_send(&a, 0x45, false);
	apic_poke(&a, LAPIC_TPR, 0x3f);
	CHECK(lapic_pending(&a.regs) == 0x45 && apic_peek(&a, LAPIC_PPR) == 0x3f);
	CHECK(!lapic_blocked_by_tpr(&a.regs));
	apic_poke(&a, LAPIC_TPR, 0x40);
	CHECK(lapic_pending(&a.regs) == -1 && lapic_blocked_by_tpr(&a.regs));
	lapic_cr8_write(&a.regs, 3);
	CHECK(apic_peek(&a, LAPIC_TPR) == 0x30 && lapic_pending(&a.regs) == 0x45);
	lapic_cr8_write(&a.regs, 0x54);
	CHECK(lapic_cr8_read(&a.regs) == 4);

	/* PPR: the task's when its class is not lower, else the class in service */
	lapic_cr8_write(&a.regs, 0);
	lapic_acknowledge(&a.regs, 0x45);
	CHECK(apic_peek(&a, LAPIC_PPR) == 0x40);
	apic_poke(&a, LAPIC_TPR, 0x4c);
	CHECK(apic_peek(&a, LAPIC_PPR) == 0x4c);
	apic_poke(&a, LAPIC_TPR, 0x3c);
	CHECK(apic_peek(&a, LAPIC_PPR) == 0x40);

	/* Arbitration */
	CHECK(apic_peek(&a, LAPIC_APR) == ((0x3 & 0x4) << 4));
	apic_poke(&a, LAPIC_TPR, 0x6c);
	CHECK(apic_peek(&a, LAPIC_APR) == 0x6c);
	apic_send(&a, 0x75, false);
	CHECK(apic_peek(&a, LAPIC_APR) == 0x70);
}

static void test_disabled(void)
{
	struct apic_msg m = { .assert = true };

	fresh();
	apic_poke(&a, LAPIC_LVT_LINT0, 0x41);
	apic_send(&a, 0x50, false);
	CHECK(apic_poke(&a, LAPIC_SVR, 0xff) == (LAPIC_DO_MAP | LAPIC_DO_TIMER | LAPIC_DO_LINT0));
	CHECK(apic_peek(&a, LAPIC_LVT_LINT0) == 0x10041);
	apic_poke(&a, LAPIC_LVT_LINT0, 0x41);
	CHECK(apic_peek(&a, LAPIC_LVT_LINT0) == 0x10041);
	CHECK(apic_send(&a, 0x51, false) == LAPIC_REFUSED);
	/* What was there before is still delivered. */
	CHECK(lapic_pending(&a.regs) == 0x50);

	m.mode = APIC_MSG_NMI;
	CHECK(lapic_accept(&a.regs, &m) == LAPIC_GOT_NMI);
	m.mode = APIC_MSG_SMI;
	CHECK(lapic_accept(&a.regs, &m) == LAPIC_GOT_SMI);
	m.mode = APIC_MSG_INIT;
	CHECK(lapic_accept(&a.regs, &m) == LAPIC_GOT_INIT);
	m.assert = false;
	m.level = true;
	CHECK(lapic_accept(&a.regs, &m) == LAPIC_REFUSED);
	m.assert = true;
	m.mode = APIC_MSG_STARTUP;
	CHECK(lapic_accept(&a.regs, &m) == LAPIC_GOT_STARTUP);
	m.mode = APIC_MSG_EXTINT;
	CHECK(lapic_accept(&a.regs, &m) == LAPIC_GOT_EXTINT);
	m.mode = APIC_MSG_RESERVED;
	CHECK(lapic_accept(&a.regs, &m) == LAPIC_REFUSED);

	/* By its base MSR */
	CHECK(lapic_base_write(&a.regs, 0xfee00000, false, &a.fx));
	m.mode = APIC_MSG_NMI;
	CHECK(lapic_accept(&a.regs, &m) == LAPIC_REFUSED);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_LINT1) == LAPIC_REFUSED);
	CHECK(lapic_takes_extint(&a.regs) && lapic_pending(&a.regs) == -1);
}

static void test_lvt(void)
{
	struct lapic_config config = plain_config;

	fresh();
	CHECK(lapic_local(&a.regs, LAPIC_LVT_LINT1) == LAPIC_REFUSED);
	apic_poke(&a, LAPIC_LVT_LINT1, 0x400);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_LINT1) == LAPIC_GOT_NMI);
	apic_poke(&a, LAPIC_LVT_LINT1, 0x500);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_LINT1) == LAPIC_GOT_INIT);
	apic_poke(&a, LAPIC_LVT_LINT1, 0x100);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_LINT1) == LAPIC_REFUSED);
	apic_poke(&a, LAPIC_LVT_LINT1, 0x8061);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_LINT1) == LAPIC_QUEUED);
	CHECK(apic_peek(&a, LAPIC_LVT_LINT1) == 0x8061 && apic_peek(&a, LAPIC_TMR + 0x30) == 0);
	apic_poke(&a, LAPIC_LVT_THERMAL, 0x200);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_THERMAL) == LAPIC_GOT_SMI);
	apic_poke(&a, LAPIC_LVT_THERMAL, 0x700);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_THERMAL) == LAPIC_REFUSED);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_CMCI) == LAPIC_REFUSED);
	CHECK(lapic_local(&a.regs, 0xfff0) == LAPIC_REFUSED);

	apic_poke(&a, LAPIC_LVT_LINT0, 0x700);
	CHECK(lapic_takes_extint(&a.regs));
	CHECK(lapic_local(&a.regs, LAPIC_LVT_LINT0) == LAPIC_GOT_EXTINT);
	apic_poke(&a, LAPIC_LVT_LINT0, 0x10700);
	CHECK(!lapic_takes_extint(&a.regs));

	/* A level on LINT0 waits for its EOI. */
	fresh();
	apic_poke(&a, LAPIC_LVT_LINT0, 0x8062);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_LINT0) == LAPIC_QUEUED);
	CHECK(apic_peek(&a, LAPIC_LVT_LINT0) == 0xc062);
	CHECK(apic_peek(&a, LAPIC_TMR + 0x30) == 1u << 2);
	lapic_acknowledge(&a.regs, 0x62);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_LINT0) == LAPIC_COALESCED);
	apic_poke(&a, LAPIC_LVT_LINT0, 0x8062);
	CHECK(apic_peek(&a, LAPIC_LVT_LINT0) == 0xc062);
	lapic_end_of_interrupt(&a.regs);
	CHECK(apic_peek(&a, LAPIC_LVT_LINT0) == 0x8062);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_LINT0) == LAPIC_QUEUED);
	apic_poke(&a, LAPIC_LVT_LINT0, 0x62);
	CHECK(apic_peek(&a, LAPIC_LVT_LINT0) == 0x62);

	apic_poke(&a, LAPIC_LVT_PERF, 0x400);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_PERF) == LAPIC_GOT_NMI);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_PERF) == LAPIC_GOT_NMI);
	config.perf_masks = true;
	apic_new(&a, &config);
	apic_enable(&a);
	apic_poke(&a, LAPIC_LVT_PERF, 0x63);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_PERF) == LAPIC_QUEUED);
	CHECK(apic_peek(&a, LAPIC_LVT_PERF) == 0x10063);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_PERF) == LAPIC_REFUSED);
}

static void test_errors(void)
{
	u64 val;

	fresh();
	CHECK(apic_send(&a, 15, false) == LAPIC_REFUSED);
	CHECK(apic_peek(&a, LAPIC_ESR) == 0);
	apic_poke(&a, LAPIC_ESR, 0x1234);
	CHECK(apic_peek(&a, LAPIC_ESR) == 0x40);
	apic_poke(&a, LAPIC_ESR, 0);
	CHECK(apic_peek(&a, LAPIC_ESR) == 0);

	CHECK(apic_poke(&a, LAPIC_ICR, 0x400f) == 0);
	CHECK(apic_poke(&a, LAPIC_ICR, 0x4010) == LAPIC_DO_IPI);
	lapic_mmio_read(&a.regs, 0x290, 4, 0, &val, &a.fx);
	apic_poke(&a, LAPIC_ESR, 0);
	CHECK(apic_peek(&a, LAPIC_ESR) == 0xa0);

	/* With an interrupt, and with one whose own vector is bad */
	apic_poke(&a, LAPIC_LVT_ERROR, 0xfe);
	CHECK(apic_poke(&a, 0x000, 0) == LAPIC_DO_CHECK);
	CHECK(lapic_pending(&a.regs) == 0xfe);
	lapic_acknowledge(&a.regs, 0xfe);
	lapic_end_of_interrupt(&a.regs);
	CHECK(apic_send(&a, 3, false) == LAPIC_QUEUED);
	CHECK(lapic_pending(&a.regs) == 0xfe);
	lapic_mmio_read(&a.regs, 0xff0, 4, 0, &val, &a.fx);
	CHECK(val == 0 && a.fx.todo == 0);
	apic_poke(&a, LAPIC_ESR, 0);
	apic_poke(&a, LAPIC_LVT_ERROR, 0x08);
	apic_poke(&a, LAPIC_SELF_IPI, 0x40);
	apic_poke(&a, LAPIC_ESR, 0);
	CHECK(apic_peek(&a, LAPIC_ESR) == 0xc0);
	apic_poke(&a, LAPIC_LVT_LINT0, 0x8002);
	CHECK(lapic_local(&a.regs, LAPIC_LVT_LINT0) == LAPIC_REFUSED);
	CHECK(apic_peek(&a, LAPIC_LVT_LINT0) == 0x8002);
}

static void test_icr(void)
{
	struct apic_msg *ipi = &a.fx.ipi;

	fresh();
	CHECK(apic_poke(&a, LAPIC_ICR2, 0x12345678) == 0);
	CHECK(apic_peek(&a, LAPIC_ICR2) == 0x12000000);
	CHECK(apic_poke(&a, LAPIC_ICR, 0x000048f1) == LAPIC_DO_IPI);
	CHECK(ipi->dest == 0x12 && ipi->vector == 0xf1 && ipi->logical && ipi->dest8);
	CHECK(apic_peek(&a, LAPIC_ICR2) == 0x12000000);
	/* Idle at once; reserved bits are kept. */
	apic_poke(&a, LAPIC_ICR, 0xfff33031);
	CHECK(apic_peek(&a, LAPIC_ICR) == 0xfff32031);
	CHECK(apic_poke(&a, LAPIC_ICR, 0x4608) == LAPIC_DO_IPI && ipi->mode == APIC_MSG_STARTUP);
	CHECK(apic_poke(&a, LAPIC_ICR, 0xc500) == LAPIC_DO_IPI && ipi->mode == APIC_MSG_INIT);
	CHECK(apic_poke(&a, LAPIC_ICR, 0x8500) == 0);
	CHECK(apic_poke(&a, LAPIC_ICR, 0x4340) == 0);
	CHECK(apic_poke(&a, LAPIC_ICR, 0xc4041) == LAPIC_DO_IPI && ipi->to == APIC_TO_OTHERS);
	CHECK(lapic_icr_write(&a.regs, 0x4041, 0x34, ipi) == LAPIC_DO_IPI && ipi->dest == 0x34);
	CHECK(apic_peek(&a, LAPIC_ICR2) == 0x34000000);
}

void test_lapic(void)
{
	test_reset();
	test_xapic_registers();
	test_vectors();
	test_priority();
	test_disabled();
	test_lvt();
	test_errors();
	test_icr();
}
