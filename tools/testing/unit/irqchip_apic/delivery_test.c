// SPDX-License-Identifier: GPL-2.0
/* A local APIC whose interrupts the processor delivers: what the processor does is done by hand here. */
#include "apic_test.h"

static struct test_apic a;
static struct lapic_inbox inbox;

static u32 *word_of(u32 base, u8 vector)
{
	return &a.page[(base + vector / 32 * 16) / 4];
}

/* The processor takes a vector. */
static void deliver(u8 vector)
{
	*word_of(LAPIC_IRR, vector) &= ~(1u << vector % 32);
	*word_of(LAPIC_ISR, vector) |= 1u << vector % 32;
}

static void fresh(void)
{
	memset(&inbox, 0, sizeof(inbox));
	apic_new(&a, &plain_config);
	lapic_divert(&a.regs, &inbox);
	apic_enable(&a);
}

/* Nothing changes in IRR until the owner says so. */
static void test_inbox(void)
{
	fresh();
	CHECK(apic_send(&a, 0x41, false) == LAPIC_QUEUED);
	CHECK(apic_send(&a, 0x41, false) == LAPIC_COALESCED);
	CHECK(apic_send(&a, 0x43, true) == LAPIC_QUEUED);
	CHECK(apic_send(&a, 0x43, true) == LAPIC_COALESCED);
	CHECK(apic_send(&a, 0xf0, false) == LAPIC_JOINED);
	CHECK(inbox.bits[2] == 1u << 1 && inbox.bits[7] == 1u << 16 && inbox.news == 1);
	CHECK(inbox.watched[2] == 1u << 3 && inbox.watched_news == 1);
	CHECK(lapic_highest_requested(&a.regs) == -1 && lapic_pending(&a.regs) == -1);
	CHECK(lapic_level_triggered(&a.regs, 0x43));

	CHECK(lapic_fetch(&a.regs) == ((1u << 2) | (1u << 7)));
	CHECK(lapic_fetch(&a.regs) == 0 && !inbox.news && !inbox.watched_news);
	CHECK(lapic_highest_requested(&a.regs) == 0xf0);
	CHECK(*word_of(LAPIC_IRR, 0x41) == ((1u << 1) | (1u << 3)));
	lapic_reclaim(&a.regs, (1u << 2) | (1u << 7));
	CHECK(lapic_pending(&a.regs) == 0xf0);
	lapic_acknowledge(&a.regs, 0xf0);
	lapic_end_of_interrupt(&a.regs);
	CHECK(lapic_pending(&a.regs) == 0x43);
}

/* The end of an edge is waited for, too; what else is in the words of the descriptor stays. */
static void test_watched(void)
{
	struct apic_msg msg = { .vector = 0x52, .assert = true, .watched = true };

	fresh();
	inbox.news = 0xf20002;
	inbox.destination = 7;
	CHECK(lapic_accept(&a.regs, &msg) == LAPIC_QUEUED);
	CHECK(!inbox.bits[2] && !(inbox.news & LAPIC_INBOX_NEWS));
	CHECK(apic_send(&a, 0x52, false) == LAPIC_QUEUED && inbox.news == 0xf20003);
	CHECK(lapic_fetch(&a.regs) == 1u << 2);
	CHECK(*word_of(LAPIC_IRR, 0x52) == 1u << 18);
	CHECK(inbox.news == 0xf20002 && inbox.destination == 7);
	/* Without news nobody looks: its sender is not done. */
	inbox.bits[3] = 1;
	CHECK(!lapic_fetch(&a.regs) && inbox.bits[3] == 1);
}

/* What waits is the processor's to deliver, and what it did shows when the registers come back. */
static void test_given(void)
{
	struct lapic_eoi eoi;

	fresh();
	apic_send(&a, 0x51, false);
	apic_send(&a, 0x63, true);
	lapic_fetch(&a.regs);
	lapic_give(&a.regs);
	CHECK(lapic_pending(&a.regs) == -1 && lapic_highest_requested(&a.regs) == 0x63);
	CHECK(lapic_deliverable(&a.regs));

	deliver(0x63);
	lapic_take_back(&a.regs);
	CHECK(lapic_highest_isr(&a.regs) == 0x63 && lapic_processor_priority(&a.regs) == 0x60);
	CHECK(!lapic_deliverable(&a.regs) && lapic_pending(&a.regs) == -1);

	*word_of(LAPIC_ISR, 0x63) = 0;
	lapic_take_back(&a.regs);
	eoi = lapic_ended(&a.regs, 0x63);
	CHECK(eoi.vector == 0x63 && eoi.broadcast);
	CHECK(!lapic_ended(&a.regs, 0x51).broadcast);
	CHECK(lapic_deliverable(&a.regs) && lapic_highest_isr(&a.regs) == -1);

	apic_poke(&a, LAPIC_TPR, 0x50);
	CHECK(!lapic_deliverable(&a.regs));
	apic_poke(&a, LAPIC_TPR, 0);
	lapic_reclaim(&a.regs, LAPIC_ALL_WORDS);
	CHECK(lapic_pending(&a.regs) == 0x51);
}

/* A timer that is due shows in the image, and neither the inbox nor the registers change. */
static void test_image(void)
{
	static struct kvm_lapic_state image __attribute__((aligned(8)));

	fresh();
	apic_poke(&a, LAPIC_LVT_TIMER, 0x71);
	apic_poke(&a, LAPIC_TIMER_DIVIDE, 0xb);
	apic_poke(&a, LAPIC_TIMER_INITIAL, 1000);
	lapic_get_state(&a.regs, &image, true, a.now + 2000);
	CHECK(image.regs[LAPIC_IRR + 0x71 / 32 * 16 + 0x71 % 32 / 8] == 1 << 0x71 % 8);
	CHECK(!inbox.news && lapic_highest_requested(&a.regs) == -1);
}

/* Reads that are those of memory, and the registers of which that is not true, or that are none. */
static void test_msrs(void)
{
	static const u32 memory[] = { LAPIC_ID, LAPIC_TPR, LAPIC_PPR, LAPIC_SVR, LAPIC_ISR + 0x70,
				      LAPIC_ESR, LAPIC_LVT_ERROR, LAPIC_TIMER_INITIAL };
	static const u32 other[] = { LAPIC_ICR, LAPIC_TIMER_CURRENT, LAPIC_EOI, LAPIC_DFR,
				     LAPIC_ICR2, LAPIC_SELF_IPI, LAPIC_LVT_CMCI, 0x010 };
	u32 i;

	fresh();
	CHECK(!lapic_msr_in_page(&a.regs, MSR_OF(LAPIC_ID)));
	apic_to_x2apic(&a);
	for (i = 0; i < sizeof(memory) / sizeof(memory[0]); i++)
		CHECK(lapic_msr_in_page(&a.regs, MSR_OF(memory[i])));
	for (i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		CHECK(!lapic_msr_in_page(&a.regs, MSR_OF(other[i])));
}

void test_delivery(void)
{
	test_inbox();
	test_watched();
	test_given();
	test_image();
	test_msrs();
}
