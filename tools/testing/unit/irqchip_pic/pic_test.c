// SPDX-License-Identifier: GPL-2.0
/*
 * The interrupt controllers against their datasheet, feature by feature; then sequences of random
 * operations, which must come out the same with a save and a restore after every step, and random
 * states and accesses, which must harm nobody.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pic.h"

#define MASTER		KVM_PIC_MASTER_COMMAND
#define SLAVE		KVM_PIC_SLAVE_COMMAND

static unsigned int passed, failed, case_failures;
static struct kvm_pic pic;

#define CHECK(cond)								\
do {										\
	if (!(cond)) {								\
		printf("  %s:%d: %s\n", __FILE__, __LINE__, #cond);		\
		case_failures++;						\
	}									\
} while (0)

#define CHECK_EQ(got, want)							\
do {										\
	unsigned int got_ = (got), want_ = (want);				\
	if (got_ != want_) {							\
		printf("  %s:%d: %s is 0x%x, not 0x%x\n", __FILE__, __LINE__, #got, got_, want_); \
		case_failures++;						\
	}									\
} while (0)

static void out(u16 port, u8 val)
{
	CHECK(kvm_pic_write(&pic, port, val));
}

static u8 in(u16 port)
{
	u8 val = 0;

	CHECK(kvm_pic_read(&pic, port, &val));
	return val;
}

/* Both chips as a BIOS leaves them: vectors 0x08 and 0x70, nothing masked. */
static void init_chip(u16 port, u8 base, u8 icw4)
{
	out(port, 0x11);
	out(port + 1, base);
	out(port + 1, port == MASTER ? 0x04 : 0x02);
	out(port + 1, icw4);
}

static void fresh(void)
{
	kvm_pic_reset(&pic);
	init_chip(MASTER, 0x08, 0x01);
	init_chip(SLAVE, 0x70, 0x01);
}

static void line(unsigned int irq, bool level)
{
	kvm_pic_set_irq(&pic, irq, 0, level);
}

static void pulse(unsigned int irq)
{
	line(irq, true);
	line(irq, false);
}

static u8 irr(u16 port)
{
	out(port, 0x0a);
	return in(port);
}

static u8 isr(u16 port)
{
	out(port, 0x0b);
	return in(port);
}

/* The vector if the processor is interrupted, 0 if not. */
static u8 take(void)
{
	return kvm_pic_output(&pic) ? kvm_pic_acknowledge(&pic) : 0;
}

static void test_edge(void)
{
	fresh();
	CHECK(!kvm_pic_output(&pic));
	line(3, true);
	CHECK(kvm_pic_output(&pic));
	CHECK_EQ(irr(MASTER), 0x08);
	CHECK_EQ(take(), 0x0b);
	CHECK_EQ(irr(MASTER), 0);
	CHECK_EQ(isr(MASTER), 0x08);
	out(MASTER, 0x20);
	CHECK_EQ(isr(MASTER), 0);
	/* Still high, but no new edge. */
	CHECK_EQ(take(), 0);
	line(3, true);
	CHECK_EQ(take(), 0);
	line(3, false);
	line(3, true);
	CHECK_EQ(take(), 0x0b);
	/* An edge while in service waits for the EOI; a pulse is not lost. */
	line(3, false);
	pulse(3);
	CHECK_EQ(take(), 0);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0x0b);
}

static void test_level(void)
{
	fresh();
	out(KVM_PIC_MASTER_ELCR, 0x20);
	line(5, true);
	CHECK_EQ(take(), 0x0d);
	CHECK_EQ(irr(MASTER), 0x20);
	CHECK_EQ(take(), 0);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0x0d);
	line(5, false);
	CHECK_EQ(irr(MASTER), 0);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0);
	/* Gone before the acknowledge: a spurious interrupt, nothing in service. */
	line(5, true);
	CHECK(kvm_pic_output(&pic));
	line(5, false);
	CHECK(!kvm_pic_output(&pic));
	CHECK_EQ(kvm_pic_acknowledge(&pic), 0x0f);
	CHECK_EQ(isr(MASTER), 0);
}

static void test_elcr(void)
{
	fresh();
	out(KVM_PIC_MASTER_ELCR, 0xff);
	out(KVM_PIC_SLAVE_ELCR, 0xff);
	CHECK_EQ(in(KVM_PIC_MASTER_ELCR), 0xf8);
	CHECK_EQ(in(KVM_PIC_SLAVE_ELCR), 0xde);
	/* ICW1 leaves it alone, and a level stays requested through it. */
	line(4, true);
	init_chip(MASTER, 0x08, 0x01);
	CHECK_EQ(in(KVM_PIC_MASTER_ELCR), 0xf8);
	CHECK_EQ(take(), 0x0c);
	/* A line in service that becomes edge-triggered asks once more at most. */
	out(KVM_PIC_MASTER_ELCR, 0);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0x0c);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0);
	/* High already when it becomes level-triggered. */
	out(KVM_PIC_MASTER_ELCR, 0x10);
	CHECK_EQ(take(), 0x0c);
}

static void test_priority(void)
{
	unsigned int i;

	fresh();
	for (i = 8; i-- > 0;)
		if (i != 2)
			line(i, true);
	CHECK_EQ(take(), 0x08);
	CHECK_EQ(take(), 0);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0x09);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0x0b);
	/* A more urgent line interrupts the service of a less urgent one. */
	line(1, false);
	line(1, true);
	CHECK_EQ(take(), 0x09);
	CHECK_EQ(isr(MASTER), 0x0a);
	out(MASTER, 0x20);
	CHECK_EQ(isr(MASTER), 0x08);
	CHECK_EQ(take(), 0);
}

static void test_mask(void)
{
	fresh();
	out(MASTER + 1, 0x08);
	CHECK_EQ(in(MASTER + 1), 0x08);
	CHECK_EQ((unsigned int)kvm_pic_set_irq(&pic, 3, 0, true), -1u);
	CHECK_EQ(take(), 0);
	CHECK_EQ(irr(MASTER), 0x08);
	out(MASTER + 1, 0x00);
	CHECK_EQ(take(), 0x0b);
}

static void test_cascade(void)
{
	fresh();
	pulse(12);
	CHECK_EQ(irr(MASTER), 0x04);
	CHECK_EQ(take(), 0x74);
	CHECK_EQ(isr(MASTER), 0x04);
	CHECK_EQ(isr(SLAVE), 0x10);
	/* More urgent on the slave, but the master serves the slave: waits for the master's EOI. */
	pulse(8);
	CHECK_EQ(take(), 0);
	out(SLAVE, 0x20);
	CHECK_EQ(take(), 0);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0x70);
	/* The other order of the EOIs. */
	pulse(9);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0);
	out(SLAVE, 0x20);
	CHECK_EQ(take(), 0x71);
	out(SLAVE, 0x20);
	out(MASTER, 0x20);
	/* Two at once: both come. */
	pulse(15);
	pulse(14);
	CHECK_EQ(take(), 0x76);
	out(SLAVE, 0x20);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0x77);
	out(SLAVE, 0x20);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0);
	/* IRQ 1 is before the slave, IRQ 3 after it. */
	pulse(3);
	pulse(12);
	pulse(1);
	CHECK_EQ(take(), 0x09);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0x74);
	out(SLAVE, 0x20);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0x0b);
	/* Nobody else drives the cascade. */
	fresh();
	CHECK_EQ((unsigned int)kvm_pic_set_irq(&pic, 2, 0, true), -1u);
	CHECK_EQ(take(), 0);
}

static void test_spurious_slave(void)
{
	fresh();
	pulse(10);
	/* Masked on the slave: its INT falls, and the master's request with it. */
	out(SLAVE + 1, 0x04);
	CHECK(!kvm_pic_output(&pic));
	CHECK_EQ(irr(MASTER), 0);
	CHECK_EQ(kvm_pic_acknowledge(&pic), 0x0f);
	CHECK_EQ(isr(MASTER), 0);
	out(SLAVE + 1, 0x00);
	CHECK_EQ(take(), 0x72);
	/* The master believes in the slave's request, the slave does not: IRQ 15. */
	fresh();
	pic.chip[0].irr = 0x04;
	CHECK_EQ(take(), 0x77);
	CHECK_EQ(isr(MASTER), 0x04);
	CHECK_EQ(isr(SLAVE), 0);
}

static void test_eoi(void)
{
	fresh();
	pulse(6);
	CHECK_EQ(take(), 0x0e);
	pulse(4);
	CHECK_EQ(take(), 0x0c);
	CHECK_EQ(kvm_pic_take_eoi(&pic), 0);
	/* Specific: not the most urgent one. */
	out(MASTER, 0x66);
	CHECK_EQ(isr(MASTER), 0x10);
	CHECK_EQ(kvm_pic_take_eoi(&pic), 0x40);
	CHECK_EQ(kvm_pic_take_eoi(&pic), 0);
	out(MASTER, 0x40);
	CHECK_EQ(isr(MASTER), 0x10);
	out(MASTER, 0x20);
	CHECK_EQ(kvm_pic_take_eoi(&pic), 0x10);
	out(MASTER, 0x20);
	CHECK_EQ(kvm_pic_take_eoi(&pic), 0);
	/* Both chips, the cascade is not told. */
	pulse(11);
	CHECK_EQ(take(), 0x73);
	out(SLAVE, 0x63);
	out(MASTER, 0x62);
	CHECK_EQ(kvm_pic_take_eoi(&pic), 0x0800);
	CHECK_EQ(isr(MASTER), 0);
	/* What is in service when the chip is initialized. */
	pulse(1);
	CHECK_EQ(take(), 0x09);
	out(MASTER, 0x11);
	CHECK_EQ(kvm_pic_take_eoi(&pic), 0x0002);
}

static void test_auto_eoi(void)
{
	fresh();
	init_chip(MASTER, 0x20, 0x03);
	pulse(5);
	CHECK_EQ(take(), 0x25);
	CHECK_EQ(isr(MASTER), 0);
	CHECK_EQ(kvm_pic_take_eoi(&pic), 0x20);
	pulse(5);
	pulse(12);
	CHECK_EQ(take(), 0x74);
	CHECK_EQ(isr(MASTER), 0);
	CHECK_EQ(isr(SLAVE), 0x10);
	CHECK_EQ(take(), 0x25);
	/* Without rotation the priorities stay. */
	pulse(0);
	pulse(7);
	CHECK_EQ(take(), 0x20);
	pulse(0);
	CHECK_EQ(take(), 0x20);
	CHECK_EQ(take(), 0x27);
	/* Rotating: whoever was served comes last. */
	out(MASTER, 0x80);
	pulse(0);
	CHECK_EQ(take(), 0x20);
	pulse(0);
	pulse(7);
	CHECK_EQ(take(), 0x27);
	CHECK_EQ(take(), 0x20);
	out(MASTER, 0x00);
	pulse(1);
	CHECK_EQ(take(), 0x21);
	pulse(7);
	pulse(1);
	CHECK_EQ(take(), 0x21);
	CHECK_EQ(take(), 0x27);
	/* The slave with automatic EOI: two of its requests in a row. */
	init_chip(SLAVE, 0x70, 0x03);
	pulse(8);
	pulse(9);
	CHECK_EQ(take(), 0x70);
	CHECK_EQ(take(), 0x71);
	CHECK_EQ(take(), 0);
}

static void test_rotation(void)
{
	fresh();
	/* The datasheet's example: 4 and 6 in service, rotate on EOI, 4 is the lowest then. */
	pulse(6);
	take();
	pulse(4);
	take();
	out(MASTER, 0xa0);
	CHECK_EQ(isr(MASTER), 0x40);
	CHECK_EQ(pic.chip[0].priority_add, 5);
	pulse(4);
	CHECK_EQ(take(), 0);
	pulse(5);
	CHECK_EQ(take(), 0x0d);
	out(MASTER, 0x20);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0x0c);
	out(MASTER, 0x20);
	/* Nothing in service: nothing rotates. */
	out(MASTER, 0xa0);
	CHECK_EQ(pic.chip[0].priority_add, 5);
	/* Set priority: 3 lowest, then 4 is the highest. */
	out(MASTER, 0xc3);
	pulse(3);
	pulse(4);
	pulse(0);
	CHECK_EQ(take(), 0x0c);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0x08);
	/* Rotate on specific EOI. */
	out(MASTER, 0xe0);
	CHECK_EQ(isr(MASTER), 0);
	CHECK_EQ(pic.chip[0].priority_add, 1);
	pulse(0);
	CHECK_EQ(take(), 0x0b);
	/* ICW1 puts IR7 last again. */
	init_chip(MASTER, 0x08, 0x01);
	CHECK_EQ(pic.chip[0].priority_add, 0);
}

static void test_special_mask(void)
{
	fresh();
	pulse(1);
	CHECK_EQ(take(), 0x09);
	out(MASTER + 1, 0x02);
	pulse(6);
	CHECK_EQ(take(), 0);
	out(MASTER, 0x68);
	CHECK_EQ(take(), 0x0e);
	/* Not found by a non-specific EOI while masked. */
	out(MASTER, 0x20);
	CHECK_EQ(isr(MASTER), 0x02);
	out(MASTER, 0x20);
	CHECK_EQ(isr(MASTER), 0x02);
	out(MASTER, 0x61);
	CHECK_EQ(isr(MASTER), 0);
	/* ESMM 0 leaves the mode, ESMM 1 SMM 0 ends it. */
	out(MASTER, 0x28);
	CHECK_EQ(pic.chip[0].special_mask, 1);
	out(MASTER, 0x48);
	CHECK_EQ(pic.chip[0].special_mask, 0);
	out(MASTER, 0x68);
	init_chip(MASTER, 0x08, 0x01);
	CHECK_EQ(pic.chip[0].special_mask, 0);
}

static void test_special_fully_nested(void)
{
	fresh();
	init_chip(MASTER, 0x08, 0x11);
	pulse(12);
	CHECK_EQ(take(), 0x74);
	pulse(3);
	CHECK_EQ(take(), 0);
	pulse(14);
	CHECK_EQ(take(), 0);
	pulse(9);
	CHECK_EQ(take(), 0x71);
	CHECK_EQ(isr(SLAVE), 0x12);
	CHECK_EQ(isr(MASTER), 0x04);
	/* The driver ends the slave's, and the master's when the slave serves nothing. */
	out(SLAVE, 0x20);
	CHECK_EQ(take(), 0);
	out(SLAVE, 0x20);
	CHECK_EQ(take(), 0x76);
	out(SLAVE, 0x20);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0x0b);
	/* Only the cascade line: another line in service blocks itself. */
	pulse(3);
	CHECK_EQ(take(), 0);
}

static void test_poll(void)
{
	fresh();
	out(MASTER, 0x0c);
	CHECK_EQ(in(MASTER) & 0x80, 0);
	/* Only one read polls. */
	pulse(4);
	out(MASTER, 0x0a);
	CHECK_EQ(in(MASTER), 0x10);
	out(MASTER, 0x0c);
	CHECK_EQ(in(MASTER), 0x84);
	CHECK_EQ(in(MASTER), 0);
	CHECK_EQ(isr(MASTER), 0x10);
	CHECK(!kvm_pic_output(&pic));
	/* An OCW3 without RR leaves the choice between IRR and ISR. */
	out(MASTER, 0x08);
	CHECK_EQ(in(MASTER), 0x10);
	/* The other address polls as well. */
	pulse(1);
	out(MASTER, 0x0e);
	CHECK_EQ(in(MASTER + 1), 0x81);
	CHECK_EQ(in(MASTER + 1), 0);
	CHECK_EQ(in(MASTER), 0);
	out(MASTER, 0x20);
	out(MASTER, 0x20);
	/* Through the cascade: first the master, then the slave. */
	pulse(13);
	pulse(11);
	out(MASTER, 0x0c);
	CHECK_EQ(in(MASTER), 0x82);
	out(SLAVE, 0x0c);
	CHECK_EQ(in(SLAVE), 0x83);
	out(SLAVE, 0x20);
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0x75);
	/* ICW1 forgets a poll. */
	out(MASTER, 0x0c);
	init_chip(MASTER, 0x08, 0x01);
	CHECK_EQ(in(MASTER + 1), 0);
}

static void test_init(void)
{
	fresh();
	out(MASTER + 1, 0xff);
	out(MASTER, 0x0b);
	line(3, true);
	out(MASTER, 0x11);
	CHECK_EQ(in(MASTER + 1), 0);
	CHECK_EQ(in(MASTER), 0);
	/* Not ready until the last word; edges are seen meanwhile. */
	pulse(4);
	CHECK(!kvm_pic_output(&pic));
	out(MASTER + 1, 0x57);
	CHECK(!kvm_pic_output(&pic));
	out(MASTER + 1, 0x04);
	CHECK(!kvm_pic_output(&pic));
	out(MASTER + 1, 0x01);
	CHECK_EQ(take(), 0x54);
	/* IRQ 3 was high all the time: an edge is needed. */
	out(MASTER, 0x20);
	CHECK_EQ(take(), 0);
	/* The status read is IRR again, and nothing rotates. */
	fresh();
	out(KVM_PIC_MASTER_ELCR, 0x08);
	line(3, true);
	out(MASTER, 0x80);
	out(MASTER, 0x0b);
	CHECK_EQ(in(MASTER), 0);
	init_chip(MASTER, 0x08, 0x03);
	CHECK_EQ(in(MASTER), 0x08);
	CHECK_EQ(take(), 0x0b);
	CHECK_EQ(pic.chip[0].priority_add, 0);
	/* Without ICW4 its functions are off. */
	fresh();
	init_chip(MASTER, 0x08, 0x13);
	out(MASTER, 0x10);
	out(MASTER + 1, 0x30);
	out(MASTER + 1, 0x04);
	out(MASTER + 1, 0x80);
	CHECK_EQ(in(MASTER + 1), 0x80);
	CHECK_EQ(pic.chip[0].auto_eoi, 0);
	CHECK_EQ(pic.chip[0].special_fully_nested_mode, 0);
	/* Single: no ICW3. */
	out(MASTER, 0x13);
	out(MASTER + 1, 0x40);
	out(MASTER + 1, 0x03);
	out(MASTER + 1, 0x7f);
	CHECK_EQ(in(MASTER + 1), 0x7f);
	CHECK_EQ(pic.chip[0].auto_eoi, 1);
	out(MASTER, 0x12);
	out(MASTER + 1, 0x40);
	out(MASTER + 1, 0x7e);
	CHECK_EQ(in(MASTER + 1), 0x7e);
	/* The master is initialized while the slave requests: the request is not lost. */
	fresh();
	pulse(14);
	init_chip(MASTER, 0x08, 0x01);
	CHECK_EQ(take(), 0x76);
	/* The slave is: its requests are gone. */
	fresh();
	pulse(14);
	init_chip(SLAVE, 0x70, 0x01);
	CHECK_EQ(take(), 0);
}

static void test_sources(void)
{
	fresh();
	CHECK_EQ((unsigned int)kvm_pic_set_irq(&pic, 3, 0, true), 1);
	CHECK_EQ((unsigned int)kvm_pic_set_irq(&pic, 3, 5, true), 0);
	CHECK_EQ(take(), 0x0b);
	out(MASTER, 0x20);
	/* One lets go, the other holds: no edge to come. */
	kvm_pic_set_irq(&pic, 3, 0, false);
	kvm_pic_set_irq(&pic, 3, 0, true);
	CHECK_EQ(take(), 0);
	kvm_pic_set_irq(&pic, 3, 0, false);
	CHECK_EQ((unsigned int)kvm_pic_set_irq(&pic, 3, 5, false), 1);
	CHECK_EQ((unsigned int)kvm_pic_set_irq(&pic, 3, 63, true), 1);
	CHECK_EQ(take(), 0x0b);
	out(KVM_PIC_SLAVE_ELCR, 0x02);
	kvm_pic_set_irq(&pic, 9, 1, true);
	kvm_pic_set_irq(&pic, 9, 2, true);
	kvm_pic_set_irq(&pic, 9, 1, false);
	CHECK_EQ(irr(SLAVE), 0x02);
	kvm_pic_set_irq(&pic, 9, 2, false);
	CHECK_EQ(irr(SLAVE), 0);
	CHECK_EQ((unsigned int)kvm_pic_set_irq(&pic, 16, 0, true), -1u);
	CHECK_EQ((unsigned int)kvm_pic_set_irq(&pic, 1, 64, true), -1u);
}

static void test_ports(void)
{
	unsigned int port, known = 0;
	u8 val;

	fresh();
	for (port = 0; port < 0x10000; port++) {
		bool r = kvm_pic_read(&pic, port, &val), w = kvm_pic_write(&pic, port, 0);

		CHECK_EQ(r, w);
		known += r;
	}
	CHECK_EQ(known, 6);
}

static void test_foreign_state(void)
{
	struct kvm_pic_state s;

	/* The slave requests, the master was saved by somebody who pulses the cascade line. */
	fresh();
	pulse(12);
	kvm_pic_get_state(&pic, KVM_IRQCHIP_PIC_SLAVE, &s);
	CHECK_EQ(s.elcr_mask, 0xde);
	fresh();
	kvm_pic_set_state(&pic, KVM_IRQCHIP_PIC_SLAVE, &s);
	CHECK_EQ(take(), 0x74);

	fresh();
	kvm_pic_get_state(&pic, KVM_IRQCHIP_PIC_MASTER, &s);
	s.irr = 0x04;
	pulse(12);
	kvm_pic_set_state(&pic, KVM_IRQCHIP_PIC_MASTER, &s);
	CHECK_EQ(take(), 0x74);

	/* A level-triggered line requests if it is high, whatever IRR says. */
	fresh();
	kvm_pic_get_state(&pic, KVM_IRQCHIP_PIC_MASTER, &s);
	s.elcr = 0x30;
	s.irr = 0x10;
	s.last_irr = 0x20;
	kvm_pic_set_state(&pic, KVM_IRQCHIP_PIC_MASTER, &s);
	CHECK_EQ(irr(MASTER), 0x20);

	memset(&s, 0xff, sizeof(s));
	kvm_pic_set_state(&pic, KVM_IRQCHIP_PIC_MASTER, &s);
	kvm_pic_set_state(&pic, KVM_IRQCHIP_PIC_SLAVE, &s);
	kvm_pic_get_state(&pic, KVM_IRQCHIP_PIC_MASTER, &s);
	CHECK_EQ(s.elcr, 0xf8);
	CHECK_EQ(s.elcr_mask, 0xf8);
	CHECK_EQ(s.irq_base, 0xf8);
	CHECK_EQ(s.priority_add, 7);
	CHECK_EQ(s.init_state, 0);
	CHECK_EQ(s.poll, 1);
}

/* ---- random operations ---- */

static u64 seed_state;

static unsigned int rnd(unsigned int below)
{
	seed_state ^= seed_state << 13;
	seed_state ^= seed_state >> 7;
	seed_state ^= seed_state << 17;
	return (seed_state >> 11) % below;
}

struct op {
	u8 kind, val, source;
	u16 port;
};

static const u16 ports[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1 };

static struct op random_op(void)
{
	struct op op = { rnd(8), rnd(256), rnd(3), ports[rnd(6)] };

	/* ICW1 now and then only, or little else would be seen. */
	if ((op.port == MASTER || op.port == SLAVE) && rnd(8))
		op.val &= ~0x10;
	return op;
}

/* What the outside sees of an operation. */
static unsigned int apply(struct kvm_pic *p, struct op op)
{
	unsigned int seen = 0;
	u8 val = 0;

	switch (op.kind) {
	case 0:
	case 1:
	case 2:
		seen = kvm_pic_set_irq(p, op.val & 15, op.source, op.val >> 7) + 1;
		break;
	case 3:
		kvm_pic_read(p, op.port, &val);
		seen = val;
		break;
	case 4:
	case 5:
		kvm_pic_write(p, op.port, op.val);
		break;
	default:
		if (kvm_pic_output(p) || op.val < 16)
			seen = kvm_pic_acknowledge(p);
	}
	return seen | kvm_pic_output(p) << 8 | (unsigned int)kvm_pic_take_eoi(p) << 16;
}

/* Moves the chips into another object; only the parties that hold lines are still the same. */
static void move(struct kvm_pic *p, bool slave_first)
{
	struct kvm_pic next;
	struct kvm_pic_state s[2];
	unsigned int i;

	for (i = 0; i < 2; i++)
		kvm_pic_get_state(p, i, &s[i]);
	if (rnd(2)) {
		kvm_pic_reset(&next);
	} else {
		/* Not a fresh one, but one in some other state. */
		next = *p;
		for (i = 0; i < 20; i++)
			apply(&next, random_op());
		kvm_pic_take_eoi(&next);
	}
	memcpy(next.sources, p->sources, sizeof(next.sources));
	for (i = 0; i < 2; i++)
		kvm_pic_set_state(&next, i ^ slave_first, &s[i ^ slave_first]);
	*p = next;
}

static void test_save_restore(unsigned int rounds)
{
	unsigned int round, i;

	for (round = 0; round < rounds && !case_failures; round++) {
		struct kvm_pic a, b;

		fresh();
		a = pic;
		b = pic;
		for (i = 0; i < 200 && !case_failures; i++) {
			struct op op = random_op();

			CHECK_EQ(apply(&a, op), apply(&b, op));
			if (!rnd(4))
				move(&b, rnd(2));
			CHECK(!memcmp(&a, &b, sizeof(a)));
		}
	}
}

/* The priority rules once more, as a list of lines to look at in turn. */
static bool plain_output(const struct kvm_pic_state *s)
{
	unsigned int i;

	for (i = 0; i < 8; i++) {
		unsigned int l = (s->priority_add + i) % 8;
		bool masked = s->imr >> l & 1;
		bool served = (s->isr >> l & 1) && !(s->special_mask && masked);
		bool again = l == 2 && s->special_fully_nested_mode;

		if (served && !again)
			return false;
		if ((s->irr >> l & 1) && !masked)
			return s->init_state == 0;
		if (served)
			return false;
	}
	return false;
}

static void test_fuzz(unsigned int rounds)
{
	unsigned int round, i, irqs, vector;

	for (round = 0; round < rounds && !case_failures; round++) {
		struct kvm_pic_state s;

		kvm_pic_reset(&pic);
		for (i = 0; i < 300; i++) {
			if (!rnd(16)) {
				for (irqs = 0; irqs < sizeof(s); irqs++)
					((u8 *)&s)[irqs] = rnd(4) ? rnd(256) : rnd(4);
				kvm_pic_set_state(&pic, rnd(2), &s);
			}
			apply(&pic, random_op());
			CHECK_EQ(kvm_pic_output(&pic), plain_output(&pic.chip[0]));
			CHECK(!(pic.chip[0].elcr & ~0xf8) && !(pic.chip[1].elcr & ~0xde));
		}

		/* Whatever it was, initialization and a drained controller bring it to order. */
		for (i = 0; i < 16; i++)
			for (irqs = 0; irqs < 3; irqs++)
				kvm_pic_set_irq(&pic, i, irqs, false);
		out(KVM_PIC_MASTER_ELCR, 0);
		out(KVM_PIC_SLAVE_ELCR, 0);
		init_chip(MASTER, 0x20, 0x01);
		init_chip(SLAVE, 0x28, 0x01);
		CHECK_EQ(take(), 0);
		for (i = 0; i < 16; i++) {
			pulse(i);
			vector = take();
			CHECK_EQ(vector, i == 2 ? 0 : 0x20 + i);
			out(SLAVE, 0x20);
			out(MASTER, 0x20);
		}
	}
}

static void end_case(const char *name)
{
	printf("%s - pic: %s\n", case_failures ? "not ok" : "ok", name);
	if (case_failures)
		failed++;
	else
		passed++;
	case_failures = 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{ "edge-triggered lines", test_edge },
		{ "level-triggered lines", test_level },
		{ "edge/level control registers", test_elcr },
		{ "fixed priority", test_priority },
		{ "mask", test_mask },
		{ "cascade", test_cascade },
		{ "spurious interrupt through the cascade", test_spurious_slave },
		{ "specific and non-specific EOI", test_eoi },
		{ "automatic EOI", test_auto_eoi },
		{ "rotation", test_rotation },
		{ "special mask mode", test_special_mask },
		{ "special fully nested mode", test_special_fully_nested },
		{ "poll", test_poll },
		{ "initialization", test_init },
		{ "several sources of a line", test_sources },
		{ "ports", test_ports },
		{ "states from elsewhere", test_foreign_state },
	};
	unsigned int rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 2000, i;

	seed_state = 0x9e3779b97f4a7c15ull ^ (argc > 2 ? strtoull(argv[2], NULL, 0) : 1);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cases[i].run();
		end_case(cases[i].name);
	}
	test_save_restore(rounds);
	end_case("save and restore at any point");
	test_fuzz(rounds);
	end_case("random states and accesses");
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed != 0;
}
