// SPDX-License-Identifier: GPL-2.0
/*
 * The I/O APIC: each feature of the 82093AA, then random work that is saved and restored on the
 * way, and any access of any width at any offset.
 */
#include "apic_test.h"

struct sink {
	u32 count;
	unsigned int pin;
	struct apic_msg msg;
	int answer;
};

static int take(void *ctx, unsigned int pin, const struct apic_msg *msg)
{
	struct sink *sink = ctx;

	sink->count++;
	sink->pin = pin;
	sink->msg = *msg;
	return sink->answer;
}

static struct ioapic io;
static struct sink sink;

static void start(u32 storm_limit, bool eoi_register)
{
	struct ioapic_config config = {
		.deliver = take, .ctx = &sink,
		.storm_limit = storm_limit, .eoi_register = eoi_register,
	};

	sink = (struct sink) { .answer = IOAPIC_DELIVERED };
	memset(&io, 0x5a, sizeof(io));
	ioapic_init(&io, &config);
}

static u32 reg_read(u32 index)
{
	ioapic_write(&io, 0x00, 4, index);
	return ioapic_read(&io, 0x10, 4);
}

static u32 reg_write(u32 index, u32 val)
{
	ioapic_write(&io, 0x00, 4, index);
	return ioapic_write(&io, 0x10, 4, val);
}

static u32 route(unsigned int pin, u64 rte)
{
	u32 result = reg_write(0x11 + pin * 2, rte >> 32);

	return result | reg_write(0x10 + pin * 2, rte);
}

static void end(u8 vector)
{
	ioapic_after_eoi(&io, ioapic_eoi(&io, vector));
}

static void test_registers(void)
{
	start(0, false);
	CHECK(reg_read(0) == 0);
	reg_write(0, 0xffffffff);
	CHECK(reg_read(0) == 0x0f000000);
	CHECK(reg_read(2) == 0x0f000000);
	reg_write(1, 0xffffffff);
	CHECK(reg_read(1) == 0x00170011);
	CHECK(reg_read(0x10) == 0x10000);
	CHECK(reg_read(0x3f) == 0);
	CHECK(reg_read(0x40) == 0 && reg_read(0xff) == 0 && reg_read(3) == 0);

	/* Delivery status and remote IRR are hardware's; reserved bits are not kept. */
	CHECK(route(5, ~0ull) == IOAPIC_ROUTES_CHANGED);
	CHECK(reg_read(0x1a) == 0x1afff);
	CHECK(reg_read(0x1b) == 0xff000000);
	CHECK(route(5, ~0ull) == 0);
	/* Polarity is no part of the route. */
	CHECK(route(5, ~0ull & ~IOAPIC_RTE_LOW_ACTIVE) == 0);

	ioapic_write(&io, 0x00, 1, 0x1234);
	CHECK(ioapic_read(&io, 0x00, 4) == 0x34);
	ioapic_write(&io, 0x00, 4, 0x1b);
	CHECK(ioapic_read(&io, 0x10, 8) == 0xff000000);
	CHECK(ioapic_read(&io, 0x10, 2) == 0);
	CHECK(ioapic_read(&io, 0x14, 4) == 0);

	start(0, true);
	CHECK(reg_read(1) == 0x00170020);
}

static void test_edge(void)
{
	start(0, false);
	CHECK(ioapic_set_line(&io, 4, 0, true) == IOAPIC_IGNORED);
	ioapic_set_line(&io, 4, 0, false);
	CHECK(sink.count == 0);

	CHECK(route(4, 0x0700000000000831ull) == IOAPIC_ROUTES_CHANGED);
	CHECK(ioapic_set_line(&io, 4, 0, true) == IOAPIC_DELIVERED);
	CHECK(sink.count == 1 && sink.pin == 4 && sink.msg.vector == 0x31);
	CHECK(sink.msg.dest == 7 && sink.msg.logical && !sink.msg.level && sink.msg.dest8);
	CHECK(ioapic_set_line(&io, 4, 0, true) == IOAPIC_COALESCED);
	/* Another source of a pin that is asserted makes no edge, nor does one of two that goes. */
	CHECK(ioapic_set_line(&io, 4, 9, true) == IOAPIC_COALESCED);
	ioapic_set_line(&io, 4, 0, false);
	CHECK(ioapic_set_line(&io, 4, 0, true) == IOAPIC_COALESCED);
	ioapic_set_line(&io, 4, 0, false);
	ioapic_set_line(&io, 4, 9, false);
	CHECK(ioapic_set_line(&io, 4, 0, true) == IOAPIC_DELIVERED);
	CHECK(sink.count == 2);
	CHECK(!(reg_read(0x18) & IOAPIC_RTE_REMOTE_IRR));
	CHECK(ioapic_eoi(&io, 0x31) == 0);

	/* What the callback says is what the source hears. */
	ioapic_set_line(&io, 4, 0, false);
	sink.answer = 3;
	CHECK(ioapic_set_line(&io, 4, 0, true) == 3);
	ioapic_set_line(&io, 4, 0, false);
	sink.answer = IOAPIC_COALESCED;
	CHECK(ioapic_set_line(&io, 4, 0, true) == IOAPIC_COALESCED);
	CHECK(sink.count == 4);

	CHECK(ioapic_set_line(&io, 24, 0, true) == IOAPIC_IGNORED);
	CHECK(ioapic_set_line(&io, 3, 64, true) == IOAPIC_IGNORED);
}

/* An edge under the mask shows in the saved irr as long as the line stays, and is no interrupt. */
static void test_masked_edge(void)
{
	struct kvm_ioapic_state s;

	start(0, false);
	route(4, 0x10031);
	CHECK(ioapic_set_line(&io, 4, 0, true) == IOAPIC_IGNORED);
	ioapic_get_state(&io, &s);
	CHECK(s.irr == 1u << 4);
	route(4, 0x00031);
	CHECK(sink.count == 0);
	ioapic_get_state(&io, &s);
	CHECK(s.irr == 0);
	ioapic_set_line(&io, 4, 0, false);
	CHECK(ioapic_set_line(&io, 4, 0, true) == IOAPIC_DELIVERED);

	/* Another vector under the mask changes nothing. */
	ioapic_set_line(&io, 4, 0, false);
	route(4, 0x10031);
	ioapic_set_line(&io, 4, 0, true);
	route(4, 0x10032);
	ioapic_get_state(&io, &s);
	CHECK(s.irr == 1u << 4);
	ioapic_service(&io, ~0u);
	route(4, 0x31);
	sink.count = 0;
	ioapic_service(&io, ~0u);
	CHECK(sink.count == 0);

	/* One that nobody took is tried again. */
	ioapic_set_line(&io, 4, 0, false);
	sink.answer = IOAPIC_IGNORED;
	CHECK(ioapic_set_line(&io, 4, 0, true) == IOAPIC_IGNORED);
	route(4, 0x32);
	sink.answer = IOAPIC_DELIVERED;
	sink.count = 0;
	ioapic_service(&io, ~0u);
	CHECK(sink.count == 1);
	ioapic_service(&io, ~0u);
	CHECK(sink.count == 1);
}

static void test_level(void)
{
	start(0, false);
	route(10, 0x8041);
	CHECK(ioapic_level_pins(&io, 0x41) == 1u << 10);
	CHECK(ioapic_set_line(&io, 10, 0, true) == IOAPIC_DELIVERED);
	CHECK(sink.msg.level && sink.msg.vector == 0x41);
	CHECK(reg_read(0x24) == 0xc041);
	CHECK(ioapic_set_line(&io, 10, 1, true) == IOAPIC_COALESCED);
	CHECK(sink.count == 1);

	CHECK(ioapic_eoi(&io, 0x40) == 0);
	CHECK(ioapic_eoi(&io, 0x41) == 1u << 10);
	CHECK(reg_read(0x24) == 0x8041);
	CHECK(ioapic_after_eoi(&io, 1u << 10) == 0);
	CHECK(sink.count == 2 && reg_read(0x24) == 0xc041);

	/* One source goes, the other still asserts. */
	ioapic_set_line(&io, 10, 0, false);
	end(0x41);
	CHECK(sink.count == 3);
	ioapic_set_line(&io, 10, 1, false);
	end(0x41);
	CHECK(sink.count == 3 && reg_read(0x24) == 0x8041);

	ioapic_set_line(&io, 10, 1, true);
	ioapic_set_line(&io, 10, 2, true);
	ioapic_drop_source(&io, 1);
	end(0x41);
	CHECK(sink.count == 5);
	ioapic_drop_source(&io, 2);
	end(0x41);
	CHECK(sink.count == 5);

	/* Asserted under the mask: delivered when it goes; released under it: not. */
	route(10, 0x18041);
	CHECK(ioapic_set_line(&io, 10, 0, true) == IOAPIC_IGNORED);
	route(10, 0x8041);
	CHECK(sink.count == 6);
	end(0x41);
	CHECK(sink.count == 7);
	route(10, 0x18041);
	CHECK(reg_read(0x24) == 0x1c041);
	ioapic_set_line(&io, 10, 0, false);
	end(0x41);
	route(10, 0x8041);
	CHECK(sink.count == 7);

	/* Refused by all APICs: no EOI will come, so none is waited for. */
	sink.answer = IOAPIC_IGNORED;
	CHECK(ioapic_set_line(&io, 10, 0, true) == IOAPIC_IGNORED);
	CHECK(reg_read(0x24) == 0x8041);
	sink.answer = IOAPIC_DELIVERED;
	ioapic_service(&io, 1u << 10);
	CHECK(reg_read(0x24) == 0xc041);

	/* Two pins with one vector end together. */
	route(11, 0x8041);
	ioapic_set_line(&io, 11, 0, true);
	CHECK(ioapic_eoi(&io, 0x41) == (3u << 10));
}

/* How guests end an interrupt at an IOAPIC without EOI register: edge and back */
static void test_trigger_switch(void)
{
	start(0, false);
	route(9, 0x8060);
	ioapic_set_line(&io, 9, 0, true);
	route(9, 0x10060);
	CHECK(reg_read(0x22) == 0x10060);
	CHECK(sink.count == 1);
	route(9, 0x8060);
	CHECK(sink.count == 2 && reg_read(0x22) == 0xc060);
	ioapic_set_line(&io, 9, 0, false);
	route(9, 0x0060);
	route(9, 0x8060);
	CHECK(sink.count == 2);
}

static void test_eoi_register(void)
{
	start(0, true);
	route(9, 0x8060);
	ioapic_set_line(&io, 9, 0, true);
	CHECK(ioapic_write(&io, 0x40, 4, 0x61) == 0);
	CHECK(ioapic_write(&io, 0x40, 4, 0x60) == 1u << 9);
	CHECK(reg_read(0x22) == 0x8060);

	start(0, false);
	route(9, 0x8060);
	ioapic_set_line(&io, 9, 0, true);
	CHECK(ioapic_write(&io, 0x40, 4, 0x60) == 0);
	CHECK(reg_read(0x22) == 0xc060);
}

static void test_modes(void)
{
	static const u8 mode[] = { APIC_MSG_SMI, APIC_MSG_NMI, APIC_MSG_INIT, APIC_MSG_EXTINT };
	u32 i;

	for (i = 0; i < 4; i++) {
		start(0, false);
		/* Level-triggered on paper, an edge in truth: there is no EOI for it. */
		route(2, 0x8000u | mode[i] << 8);
		CHECK(ioapic_set_line(&io, 2, 0, true) == IOAPIC_DELIVERED);
		CHECK(sink.msg.mode == mode[i] && !sink.msg.level);
		CHECK(!(reg_read(0x14) & IOAPIC_RTE_REMOTE_IRR));
		CHECK(ioapic_set_line(&io, 2, 0, true) == IOAPIC_COALESCED);
		CHECK(sink.count == 1 && ioapic_level_pins(&io, 0) == 0);
	}
	start(0, false);
	route(2, 0x0300);
	CHECK(ioapic_set_line(&io, 2, 0, true) == IOAPIC_IGNORED);
	route(3, 0x0600);
	CHECK(ioapic_set_line(&io, 3, 0, true) == IOAPIC_IGNORED);
	CHECK(sink.count == 0);
	route(4, 0x0131);
	CHECK(ioapic_set_line(&io, 4, 0, true) == IOAPIC_DELIVERED);
	CHECK(sink.msg.mode == APIC_MSG_LOWEST);
}

static void test_storm(void)
{
	struct kvm_ioapic_state s;
	u32 i, delay = 0;

	start(10, false);
	route(10, 0x8041);
	ioapic_set_line(&io, 10, 0, true);
	for (i = 0; i < 9; i++)
		delay |= ioapic_after_eoi(&io, ioapic_eoi(&io, 0x41));
	CHECK(delay == 0 && sink.count == 10);
	CHECK(ioapic_after_eoi(&io, ioapic_eoi(&io, 0x41)) == 1u << 10);
	CHECK(sink.count == 10);
	/* Nothing gets past the delay. */
	CHECK(ioapic_set_line(&io, 10, 0, true) == IOAPIC_COALESCED);
	route(10, 0x8042);
	CHECK(sink.count == 10);
	ioapic_service(&io, 1u << 10);
	CHECK(sink.count == 11);

	/* The count starts again, and a line that goes down ends it. */
	for (i = 0; i < 9; i++)
		CHECK(!ioapic_after_eoi(&io, ioapic_eoi(&io, 0x42)));
	ioapic_set_line(&io, 10, 0, false);
	CHECK(!ioapic_after_eoi(&io, ioapic_eoi(&io, 0x42)));
	ioapic_set_line(&io, 10, 0, true);
	for (i = 0; i < 9; i++)
		CHECK(!ioapic_after_eoi(&io, ioapic_eoi(&io, 0x42)));
	CHECK(ioapic_after_eoi(&io, ioapic_eoi(&io, 0x42)) == 1u << 10);
	/* Lowered while it waits: nothing is left to deliver. */
	ioapic_set_line(&io, 10, 0, false);
	i = sink.count;
	ioapic_service(&io, 1u << 10);
	CHECK(sink.count == i);
	CHECK(ioapic_set_line(&io, 10, 0, true) == IOAPIC_DELIVERED);

	/* Delivered again before the EOI's last step: that one cannot be held. */
	start(1, false);
	route(10, 0x8041);
	ioapic_set_line(&io, 10, 0, true);
	CHECK(ioapic_eoi(&io, 0x41) == 1u << 10);
	ioapic_set_line(&io, 10, 0, false);
	ioapic_set_line(&io, 10, 0, true);
	CHECK(ioapic_after_eoi(&io, 1u << 10) == 0 && sink.count == 2);
	/* Restoring ends a delay. */
	CHECK(ioapic_after_eoi(&io, ioapic_eoi(&io, 0x41)) == 1u << 10);
	ioapic_get_state(&io, &s);
	ioapic_set_state(&io, &s);
	CHECK(sink.count == 3 && io.delayed == 0);
}

static void test_state(void)
{
	struct kvm_ioapic_state s, again;
	u32 pin;

	CHECK(sizeof(s) == 216);
	start(0, false);
	route(10, 0x8041);
	route(11, 0x18042);
	reg_write(0, 0x05000000);
	ioapic_set_line(&io, 10, 0, true);
	ioapic_set_line(&io, 11, 0, true);
	ioapic_get_state(&io, &s);
	CHECK(s.base_address == 0xfec00000 && s.id == 5 && s.ioregsel == 0 && s.pad == 0);
	CHECK(s.irr == 3u << 10);
	CHECK(s.redirtbl[10].fields.remote_irr && s.redirtbl[10].fields.vector == 0x41);
	CHECK(s.redirtbl[11].fields.mask && !s.redirtbl[11].fields.remote_irr);

	/* Into a fresh one: the level is still known, the EOI brings the interrupt again. */
	start(0, false);
	ioapic_set_state(&io, &s);
	ioapic_get_state(&io, &again);
	CHECK(!memcmp(&s, &again, sizeof(s)));
	CHECK(sink.count == 0);
	end(0x41);
	CHECK(sink.count == 1);
	ioapic_set_line(&io, 10, 0, false);
	end(0x41);
	CHECK(sink.count == 1);

	/* Asserted, unmasked and not yet delivered: now it is. */
	s.redirtbl[10].bits &= ~IOAPIC_RTE_REMOTE_IRR;
	ioapic_set_state(&io, &s);
	CHECK(sink.count == 2 && io.rte[10] & IOAPIC_RTE_REMOTE_IRR);
	s.redirtbl[4].bits = 0x31;
	s.redirtbl[10].bits |= IOAPIC_RTE_REMOTE_IRR;
	s.irr |= 1u << 4;
	ioapic_set_state(&io, &s);
	CHECK(sink.count == 3 && sink.pin == 4);
	ioapic_get_state(&io, &again);
	CHECK(again.irr == 3u << 10);

	memset(&s, 0xff, sizeof(s));
	s.base_address = 0x123000;
	ioapic_set_state(&io, &s);
	ioapic_get_state(&io, &s);
	CHECK(s.base_address == 0x123000);
	CHECK(s.id == 15 && s.ioregsel == 0xff && s.irr == 0xffffff);
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		CHECK(s.redirtbl[pin].bits == 0xff0000000001afffull);
}

void test_ioapic(void)
{
	test_registers();
	test_edge();
	test_masked_edge();
	test_level();
	test_trigger_switch();
	test_eoi_register();
	test_modes();
	test_storm();
	test_state();
}

/* ---- random work ---- */

struct step {
	u32 what, pin, source, offset, len;
	u64 val;
	int answer;
};

static struct step some_step(void)
{
	struct step s = {
		.what = random_below(8), .pin = random_below(25), .source = random_below(3),
		.offset = random_below(4) ? random_below(2) * 0x10 : random_below(0x100),
		.len = 1u << random_below(4), .val = random_value(),
		.answer = (int)random_below(3) - 1,
	};

	if (random_below(2))
		s.pin = random_below(4);
	return s;
}

static u64 run_step(struct ioapic *chip, struct sink *out, const struct step *s)
{
	u64 result = 0;

	out->answer = s->answer;
	switch (s->what) {
	case 0:
	case 1:
	case 2:
		return ioapic_set_line(chip, s->pin, s->source, s->val & 1);
	case 3:
		/* Few vectors and modes, so that things meet */
		ioapic_write(chip, 0, 4, 0x10 + s->pin * 2);
		return ioapic_write(chip, 0x10, 4, 0x40 + (s->val & 0x18003));
	case 4:
		result = ioapic_eoi(chip, 0x40 + (s->val & 3));
		return result << 32 | ioapic_after_eoi(chip, result);
	case 5:
		ioapic_service(chip, ~0u);
		return 0;
	case 6:
		return ioapic_read(chip, s->offset, s->len);
	default:
		return ioapic_write(chip, s->offset, s->len, s->val);
	}
}

/* Two of them do the same; one is moved into a new body every few steps. */
static void transparent(void)
{
	struct sink out[2] = { { 0 }, { 0 } };
	struct kvm_ioapic_state a, b;
	struct ioapic chip[2], fresh;
	struct ioapic_config config = { .deliver = take };
	u32 i, n, differ = 0;
	struct step s;

	for (i = 0; i < 2; i++) {
		config.ctx = &out[i];
		ioapic_init(&chip[i], &config);
	}
	for (n = 0; n < 500; n++) {
		s = some_step();
		differ += run_step(&chip[0], &out[0], &s) != run_step(&chip[1], &out[1], &s);
		/* What was refused before is offered again by restoring, so let both do it. */
		out[0].answer = out[1].answer = IOAPIC_DELIVERED;
		ioapic_service(&chip[0], ~0u);
		ioapic_service(&chip[1], ~0u);
		ioapic_get_state(&chip[0], &a);
		ioapic_get_state(&chip[1], &b);
		differ += memcmp(&a, &b, sizeof(a)) != 0;
		differ += out[0].count != out[1].count ||
			  memcmp(&out[0].msg, &out[1].msg, sizeof(struct apic_msg)) != 0;
		if (random_below(4))
			continue;
		ioapic_init(&fresh, &config);
		memcpy(fresh.lines, chip[1].lines, sizeof(fresh.lines));
		ioapic_set_state(&fresh, &b);
		chip[1] = fresh;
	}
	CHECK(differ == 0);
}

/* What must hold after anything that anybody does */
static bool is_sane(const struct ioapic *chip)
{
	u32 pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if (chip->rte[pin] & 0x00fffffffffe1000ull)
			return false;
		if (chip->rte[pin] & IOAPIC_RTE_REMOTE_IRR && !(chip->rte[pin] & IOAPIC_RTE_LEVEL))
			return false;
	}
	return !((chip->high | chip->edges | chip->delayed) >> IOAPIC_PINS) &&
	       !(chip->delayed & ~chip->high) && chip->id < 16;
}

static void fuzz(void)
{
	struct kvm_ioapic_state state;
	u8 *bytes = (u8 *)&state;
	bool sane = true;
	struct step s;
	u32 i, n;

	start(1 + random_below(4), random_below(2));
	for (n = 0; n < 2000; n++) {
		s = some_step();
		s.len = random_below(9);
		run_step(&io, &sink, &s);
		sane &= is_sane(&io);
		if (n % 100)
			continue;
		for (i = 0; i < sizeof(state); i++)
			bytes[i] = random_value();
		ioapic_set_state(&io, &state);
		sane &= is_sane(&io);
	}
	CHECK(sane);
}

void test_ioapic_random(unsigned long rounds)
{
	unsigned long i;

	for (i = 0; i < rounds; i++) {
		transparent();
		fuzz();
	}
}
