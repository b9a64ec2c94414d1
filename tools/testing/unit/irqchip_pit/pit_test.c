// SPDX-License-Identifier: GPL-2.0
/*
 * The interval timer against a counter that is stepped clock by clock, in all modes with gates and
 * new counts at any moment; then what the datasheet says of latches, access and status; sequences
 * of random operations, which must come out the same with saves and restores in them; random states
 * and accesses.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pit.h"

#define CH(n)		(KVM_PIT_PORT_DATA + (n))
#define CONTROL		KVM_PIT_PORT_CONTROL
#define SPEAKER		KVM_PIT_PORT_SPEAKER
#define CONTROL_WORD(channel, rw, mode, bcd)	((channel) << 6 | (rw) << 4 | (mode) << 1 | (bcd))

static unsigned int passed, failed, case_failures;
static struct kvm_pit pit;
static s64 now;

#define CHECK(cond)								\
do {										\
	if (!(cond)) {								\
		printf("  %s:%d: %s\n", __FILE__, __LINE__, #cond);		\
		case_failures++;						\
	}									\
} while (0)

#define CHECK_EQ(got, want)							\
do {										\
	long long got_ = (got), want_ = (want);					\
	if (got_ != want_) {							\
		printf("  %s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #got, got_, want_); \
		case_failures++;						\
	}									\
} while (0)

static u64 seed_state;

static unsigned int rnd(unsigned int below)
{
	seed_state ^= seed_state << 13;
	seed_state ^= seed_state >> 7;
	seed_state ^= seed_state << 17;
	return (seed_state >> 11) % below;
}

/*
 * Time goes in ticks. Each step comes a little later in its tick than the one before, so that
 * rounding to nanoseconds decides nothing.
 */
static s64 tick, slack;

static s64 ns_of_ticks(s64 ticks)
{
	return (ticks * 1000000000ll + KVM_PIT_HZ - 1) / KVM_PIT_HZ;
}

static void pass(s64 ticks)
{
	tick += ticks;
	slack += 4;
	now = ns_of_ticks(tick) + slack;
}

static void fresh(void)
{
	tick = 1000000;
	slack = 0;
	kvm_pit_reset(&pit);
	pass(0);
}

static bool out(u16 port, u8 val)
{
	bool rearm;

	CHECK(kvm_pit_write(&pit, port, val, now, &rearm));
	return rearm;
}

static u8 in(u16 port)
{
	u8 val = 0;

	CHECK(kvm_pit_read(&pit, port, now, &val));
	return val;
}

static void write_word(unsigned int channel, u16 val)
{
	out(CH(channel), val);
	out(CH(channel), val >> 8);
}

static u16 read_word(unsigned int channel)
{
	u16 val = in(CH(channel));

	return val | in(CH(channel)) << 8;
}

static void setup(unsigned int channel, unsigned int mode, u16 count)
{
	out(CONTROL, CONTROL_WORD(channel, 3, mode, 0));
	write_word(channel, count);
}

/* ---- a counter as the datasheet draws it ---- */

struct plain {
	int mode, bcd, gate;
	int cr;			/* what was written */
	int ce;			/* what counts */
	int loaded;		/* the count that ce started from */
	int out;
	bool counting;		/* a count was loaded since the control word */
	bool armed;		/* OUT still has to change */
	bool ce_known;		/* the datasheet says what ce is */
};

static int plain_modulus(const struct plain *p)
{
	return p->bcd ? 10000 : 65536;
}

static void plain_load(struct plain *p)
{
	p->loaded = p->cr;
	p->ce = p->mode == 3 ? p->cr & ~1 : p->cr;
	p->counting = true;
	p->ce_known = true;
}

static void plain_program(struct plain *p, int mode, int bcd)
{
	p->mode = mode;
	p->bcd = bcd;
	p->cr = 0;
	p->out = mode != 0;
	p->counting = p->armed = p->ce_known = false;
}

static void plain_write(struct plain *p, int count)
{
	p->cr = count;
	switch (p->mode) {
	case 0:
		p->out = 0;
		p->armed = true;
		plain_load(p);
		break;
	case 4:
		p->out = 1;
		p->armed = true;
		plain_load(p);
		break;
	case 2:
	case 3:
		if (!p->counting)
			plain_load(p);
		else if (!p->gate)
			p->ce_known = false;
		break;
	default:
		if (!p->armed && p->out)
			p->ce_known = false;
	}
}

static void plain_gate(struct plain *p, int gate)
{
	if (p->gate == gate)
		return;
	p->gate = gate;
	if (p->mode == 2 || p->mode == 3) {
		p->out = 1;
		if (gate && p->counting)
			plain_load(p);
	} else if (p->mode == 1 || p->mode == 5) {
		if (!gate)
			return;
		p->out = p->mode == 5;
		p->armed = true;
		plain_load(p);
	} else if (!gate && p->mode == 4) {
		p->out = 1;
	}
}

static void plain_count_down(struct plain *p)
{
	p->ce = (p->ce + plain_modulus(p) - 1) % plain_modulus(p);
}

static void plain_square(struct plain *p)
{
	if (p->out && (p->loaded & 1) && p->ce) {
		p->ce -= 2;
		return;
	}
	if (!(p->out && (p->loaded & 1)))
		p->ce -= 2;
	if (p->ce > 0)
		return;
	p->out = !p->out;
	plain_load(p);
}

static void plain_clock(struct plain *p)
{
	if (!p->counting || (!p->gate && p->mode != 1 && p->mode != 5))
		return;

	switch (p->mode) {
	case 0:
	case 1:
		plain_count_down(p);
		if (p->armed && !p->ce) {
			p->out = 1;
			p->armed = false;
		}
		break;
	case 2:
		if (p->ce == 1) {
			plain_load(p);
			p->out = 1;
		} else if (--p->ce == 1) {
			p->out = 0;
		}
		break;
	case 3:
		plain_square(p);
		break;
	default:
		plain_count_down(p);
		p->out = 1;
		if (p->armed && !p->ce) {
			p->out = 0;
			p->armed = false;
		}
	}
}

static int to_bcd(int val)
{
	return val % 10 | val / 10 % 10 << 4 | val / 100 % 10 << 8 | val / 1000 << 12;
}

static int plain_read(const struct plain *p)
{
	return p->bcd ? to_bcd(p->ce % 10000) : p->ce & 0xffff;
}

static u16 latched(unsigned int channel)
{
	out(CONTROL, channel << 6);
	return read_word(channel);
}

/* A count that the comparison covers: see recount_square_wave() for what it does not. */
static int new_count(const struct plain *p)
{
	int count = 2 + rnd(rnd(3) ? 12 : 300);

	if (p->mode != 3 || !p->counting)
		return count;
	count = (count & ~1) | (p->loaded & 1);
	if (!p->out && count < p->loaded)
		count = p->loaded;
	return count < 2 ? 3 : count;
}

static void compare(const struct plain *p, unsigned int channel)
{
	if (kvm_pit_out(&pit, channel, now) == p->out &&
	    (!p->ce_known || latched(channel) == plain_read(p)))
		return;
	printf("  mode %d bcd %d gate %d cr %d: OUT %d, not %d; counter %x, not %x\n",
	       p->mode, p->bcd, p->gate, p->cr, kvm_pit_out(&pit, channel, now), p->out,
	       latched(channel), plain_read(p));
	case_failures++;
}

static void program_both(struct plain *p, unsigned int channel, int mode, int bcd)
{
	plain_program(p, mode, bcd);
	out(CONTROL, CONTROL_WORD(channel, 3, mode, bcd));
}

static void write_both(struct plain *p, unsigned int channel)
{
	int count = new_count(p);

	/* Nothing comes between the halves, so that the stepped counter can do without them. */
	write_word(channel, p->bcd ? to_bcd(count) : count);
	plain_write(p, count);
}

/* Channel 2, whose gate can be worked, in one mode. */
static void compare_mode(int mode, unsigned int rounds)
{
	struct plain p = { 0 };
	unsigned int round, i;

	for (round = 0; round < rounds && !case_failures; round++) {
		fresh();
		p = (struct plain){ 0 };
		out(SPEAKER, 0);
		program_both(&p, 2, mode, rnd(4) == 0);
		for (i = 0; i < 150 && !case_failures; i++) {
			unsigned int steps = rnd(rnd(3) ? 6 : 200);

			pass(steps);
			while (steps--)
				plain_clock(&p);
			compare(&p, 2);
			switch (rnd(8)) {
			case 0:
			case 1:
				plain_gate(&p, !p.gate);
				out(SPEAKER, p.gate);
				break;
			case 2:
				write_both(&p, 2);
				break;
			case 3:
				if (!rnd(4))
					program_both(&p, 2, mode, rnd(4) == 0);
			}
			compare(&p, 2);
		}
	}
}

static unsigned int random_rounds;

static void test_mode0(void) { compare_mode(0, random_rounds / 4); }
static void test_mode1(void) { compare_mode(1, random_rounds / 4); }
static void test_mode2(void) { compare_mode(2, random_rounds / 4); }
static void test_mode3(void) { compare_mode(3, random_rounds / 4); }
static void test_mode4(void) { compare_mode(4, random_rounds / 4); }
static void test_mode5(void) { compare_mode(5, random_rounds / 4); }

/* Every rise of OUT0 is foretold, and nothing else is. */
static void test_edges(void)
{
	static const int modes[] = { 0, 2, 3, 4 };
	struct plain p;
	unsigned int round, i;
	s64 edge, since;
	u64 period;

	for (round = 0; round < random_rounds / 4 && !case_failures; round++) {
		fresh();
		p = (struct plain){ .gate = 1 };
		program_both(&p, 0, modes[round % 4], 0);
		CHECK(!kvm_pit_next_edge(&pit, now, 0, &edge, &period));
		for (i = 0; i < 150 && !case_failures; i++) {
			bool rose, foretold;
			int before = p.out;

			since = now;
			pass(1);
			plain_clock(&p);
			rose = p.out && !before;
			foretold = kvm_pit_next_edge(&pit, since, 0, &edge, &period) && edge <= now;
			if (rose != foretold || (rose && now - edge > slack)) {
				printf("  mode %d count %d: rose %d, foretold %d\n", p.mode, p.cr,
				       rose, foretold);
				case_failures++;
			}
			if (i == 0 || !rnd(60))
				write_both(&p, 0);
			compare(&p, 0);
		}
	}
}

static void test_period(void)
{
	s64 edge, first, load;
	u64 period;
	unsigned int i;

	fresh();
	CHECK(!kvm_pit_next_edge(&pit, now, 0, &edge, &period));
	setup(0, 2, 11932);
	load = now;
	CHECK(kvm_pit_next_edge(&pit, now, 0, &first, &period));
	CHECK_EQ(period, 11932ll * 1000000000 / KVM_PIT_HZ);
	CHECK_EQ(first, load + ns_of_ticks(11932));
	/* A thousand edges later nothing has drifted. */
	for (i = 1, edge = first; i < 1000; i++)
		CHECK(kvm_pit_next_edge(&pit, edge, 0, &edge, &period));
	CHECK_EQ(edge, load + ns_of_ticks(11932000));
	CHECK(kvm_pit_next_edge(&pit, edge - 1, 0, &first, &period));
	CHECK_EQ(first, edge);

	/* Too fast for the owner: every fourth edge. */
	setup(0, 3, 64);
	load = now;
	CHECK(kvm_pit_next_edge(&pit, now, 200000, &edge, &period));
	CHECK_EQ(edge, load + ns_of_ticks(256));
	CHECK(period >= 200000 && period < 260000);
	setup(0, 2, 1);
	CHECK(kvm_pit_next_edge(&pit, now, 200000, &edge, &period));
	CHECK(period >= 200000 && period < 202000);
	CHECK(kvm_pit_next_edge(&pit, now, 0xffffffff, &edge, &period));
	CHECK(period >= 0xffffffff && period < 0x100000000ll + 2000);

	/* One-shots, and modes that the gate of channel 0 never triggers. */
	setup(0, 0, 0);
	CHECK(kvm_pit_next_edge(&pit, now, 0, &edge, &period));
	CHECK_EQ(edge, now + ns_of_ticks(65536));
	CHECK_EQ(period, 0);
	CHECK(!kvm_pit_next_edge(&pit, edge, 0, &edge, &period));
	setup(0, 4, 10);
	CHECK(kvm_pit_next_edge(&pit, now, 0, &edge, &period));
	CHECK_EQ(edge, now + ns_of_ticks(11));
	setup(0, 1, 10);
	CHECK(!kvm_pit_next_edge(&pit, now, 0, &edge, &period));

	/* The HPET has taken over. */
	setup(0, 2, 1000);
	pit.state.flags |= KVM_PIT_FLAGS_HPET_LEGACY;
	CHECK(!kvm_pit_next_edge(&pit, now, 0, &edge, &period));
}

/* Counts that the comparison leaves out. */
static void test_odd_counts(void)
{
	s64 edge, load;
	u64 period;

	/* 1 is forbidden in modes 2 and 3 and works as 2. */
	fresh();
	setup(0, 2, 1);
	CHECK(kvm_pit_out(&pit, 0, now));
	pass(1);
	CHECK(!kvm_pit_out(&pit, 0, now));
	pass(1);
	CHECK(kvm_pit_out(&pit, 0, now));
	/* A low half that is longer than all of the new one ends early, not at once. */
	setup(0, 3, 1000);
	pass(600);
	write_word(0, 100);
	load = now;
	CHECK(!kvm_pit_out(&pit, 0, now));
	CHECK(kvm_pit_next_edge(&pit, now, 0, &edge, &period));
	CHECK(edge > load + ns_of_ticks(48) && edge <= load + ns_of_ticks(50));
	pass(50);
	CHECK(kvm_pit_out(&pit, 0, now));
	pass(50);
	CHECK(!kvm_pit_out(&pit, 0, now));
}

static void test_rearm(void)
{
	fresh();
	CHECK(out(CONTROL, CONTROL_WORD(0, 3, 2, 0)));
	CHECK(!out(CH(0), 0x10));
	CHECK(out(CH(0), 0));
	CHECK(!out(CONTROL, 0x00));
	CHECK(!out(CONTROL, 0xc2));
	CHECK(!out(CONTROL, CONTROL_WORD(1, 3, 2, 0)));
	CHECK(!out(CONTROL, CONTROL_WORD(2, 1, 2, 0)));
	CHECK(!out(CH(2), 5));
	CHECK(!out(SPEAKER, 1));
	CHECK(out(CONTROL, CONTROL_WORD(0, 3, 0, 0)));
	/* Mode 0: half a count stops the counter. */
	CHECK(out(CH(0), 0x10));
	CHECK(out(CH(0), 0));
}

static void test_access(void)
{
	fresh();
	/* Only one byte of the count; the other is 0. */
	out(CONTROL, CONTROL_WORD(0, 1, 2, 0));
	out(CH(0), 0x40);
	CHECK_EQ(pit.state.channels[0].count, 0x40);
	CHECK_EQ(in(CH(0)), 0x40);
	pass(1);
	CHECK_EQ(in(CH(0)), 0x3f);
	CHECK_EQ(in(CH(0)), 0x3f);
	out(CONTROL, CONTROL_WORD(0, 2, 2, 0));
	out(CH(0), 0x12);
	CHECK_EQ(pit.state.channels[0].count, 0x1200);
	pass(1);
	CHECK_EQ(in(CH(0)), 0x11);
	/* Both: reads and writes have a flip-flop each. */
	out(CONTROL, CONTROL_WORD(0, 3, 2, 0));
	out(CH(0), 0x34);
	CHECK_EQ(in(CH(0)), 0x00);
	out(CH(0), 0x12);
	CHECK_EQ(pit.state.channels[0].count, 0x1234);
	CHECK_EQ(in(CH(0)), 0x12);
	pass(0x35);
	CHECK_EQ(in(CH(0)), 0xff);
	CHECK_EQ(in(CH(0)), 0x11);
	/* 0 is the largest count. */
	setup(1, 2, 0);
	CHECK_EQ(pit.state.channels[1].count, 0x10000);
	CHECK_EQ(read_word(1), 0);
	pass(1);
	CHECK_EQ(read_word(1), 0xffff);
	/* Modes 6 and 7 are 2 and 3. */
	out(CONTROL, CONTROL_WORD(0, 3, 6, 0));
	CHECK_EQ(pit.state.channels[0].mode, 2);
	out(CONTROL, CONTROL_WORD(0, 3, 7, 0));
	CHECK_EQ(pit.state.channels[0].mode, 3);
	/* Not programmed yet: a count goes nowhere. */
	fresh();
	write_word(0, 1000);
	CHECK_EQ(pit.state.channels[0].count, 0x10000);
	CHECK_EQ(in(CONTROL), 0xff);
}

static void test_bcd(void)
{
	fresh();
	out(CONTROL, CONTROL_WORD(0, 3, 2, 1));
	write_word(0, 0x1000);
	CHECK_EQ(read_word(0), 0x1000);
	pass(1);
	CHECK_EQ(read_word(0), 0x0999);
	pass(998);
	CHECK_EQ(read_word(0), 0x0001);
	CHECK(!kvm_pit_out(&pit, 0, now));
	pass(1);
	CHECK_EQ(read_word(0), 0x1000);
	out(CONTROL, CONTROL_WORD(0, 3, 0, 1));
	write_word(0, 0);
	pass(1);
	CHECK_EQ(read_word(0), 0x9999);
	pass(9998);
	CHECK(!kvm_pit_out(&pit, 0, now));
	pass(1);
	CHECK(kvm_pit_out(&pit, 0, now));
	CHECK_EQ(read_word(0), 0);
	pass(1);
	CHECK_EQ(read_word(0), 0x9999);
}

static void test_latch(void)
{
	fresh();
	setup(0, 2, 1000);
	pass(100);
	out(CONTROL, 0x00);
	pass(100);
	/* A second latch is ignored until the first was read. */
	out(CONTROL, 0x00);
	CHECK_EQ(in(CH(0)), 900 & 0xff);
	out(CONTROL, 0x00);
	CHECK_EQ(in(CH(0)), 900 >> 8);
	CHECK_EQ(read_word(0), 800);
	/* The count goes on meanwhile, and writing is possible between the bytes. */
	out(CONTROL, 0x00);
	CHECK_EQ(in(CH(0)), 800 & 0xff);
	write_word(0, 500);
	CHECK_EQ(in(CH(0)), 800 >> 8);
	/* A control word drops the latch. */
	out(CONTROL, 0x00);
	setup(0, 2, 77);
	CHECK_EQ(read_word(0), 77);
	/* One byte only. */
	out(CONTROL, CONTROL_WORD(1, 2, 2, 0));
	out(CH(1), 0x20);
	out(CONTROL, 0x40);
	pass(1);
	CHECK_EQ(in(CH(1)), 0x20);
	CHECK_EQ(in(CH(1)), 0x1f);
}

static void test_read_back(void)
{
	fresh();
	setup(0, 2, 1000);
	setup(1, 3, 500);
	out(CONTROL, CONTROL_WORD(2, 1, 0, 1));
	pass(10);
	/* Counts of 0 and 1 only. */
	out(CONTROL, 0xd6);
	pass(10);
	CHECK_EQ(read_word(0), 990);
	CHECK_EQ(read_word(1), 480);
	CHECK_EQ(read_word(0), 980);
	/* Status of all; the first wins. */
	out(CONTROL, 0xee);
	out(CH(2), 5);
	out(CONTROL, 0xe8);
	CHECK_EQ(in(CH(0)), 0xb4);
	CHECK_EQ(in(CH(1)), 0xb6);
	CHECK_EQ(in(CH(2)), 0x51);
	CHECK_EQ(read_word(0), 980);
	/* Status and count together: status comes first. */
	out(CONTROL, 0xc2);
	pass(7);
	CHECK_EQ(in(CH(0)), 0xb4);
	CHECK_EQ(read_word(0), 980);
	CHECK_EQ(read_word(0), 973);
	/* A control word drops a latched status. */
	out(CONTROL, 0xe2);
	setup(0, 2, 0x4321);
	CHECK_EQ(read_word(0), 0x4321);
	/* OUT follows the square wave. */
	pass(250);
	out(CONTROL, 0xe4);
	CHECK_EQ(in(CH(1)), 0x36);
}

static u8 status(unsigned int channel)
{
	out(CONTROL, 0xe0 | 2 << channel);
	return in(CH(channel));
}

static void test_null_count(void)
{
	fresh();
	out(CONTROL, CONTROL_WORD(0, 3, 2, 0));
	CHECK_EQ(status(0) & 0x40, 0x40);
	out(CH(0), 100);
	CHECK_EQ(status(0) & 0x40, 0x40);
	out(CH(0), 0);
	CHECK_EQ(status(0) & 0x40, 0);
	pass(30);
	write_word(0, 50);
	CHECK_EQ(status(0) & 0x40, 0x40);
	pass(69);
	CHECK_EQ(status(0) & 0x40, 0x40);
	pass(1);
	CHECK_EQ(status(0) & 0x40, 0);
	/* Waiting for the gate's trigger. */
	setup(2, 1, 100);
	CHECK_EQ(status(2), 0xf2);
	out(SPEAKER, 1);
	CHECK_EQ(status(2), 0x32);
	pass(100);
	CHECK_EQ(status(2), 0xb2);
	/* Stopped by the gate is not null. */
	setup(2, 0, 100);
	out(SPEAKER, 0);
	CHECK_EQ(status(2), 0x30);
}

static void test_speaker(void)
{
	unsigned int i, toggles = 0;
	u8 before;

	fresh();
	setup(2, 3, 100);
	CHECK_EQ(in(SPEAKER) & 0x2f, 0x20);
	out(SPEAKER, 0xff);
	CHECK_EQ(in(SPEAKER) & 0xef, 0x23);
	CHECK(pit.state.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON);
	pass(50);
	CHECK_EQ(in(SPEAKER) & 0xef, 0x03);
	out(SPEAKER, 0x02);
	CHECK_EQ(in(SPEAKER) & 0xef, 0x22);
	out(SPEAKER, 0x01);
	CHECK_EQ(in(SPEAKER) & 0xef, 0x21);
	CHECK(!(pit.state.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON));
	/* The way a boot loader measures its processor: mode 0, then wait for OUT2. */
	out(SPEAKER, 0x01);
	setup(2, 0, 59659);
	pass(59658);
	CHECK_EQ(in(SPEAKER) & 0x20, 0);
	pass(1);
	CHECK_EQ(in(SPEAKER) & 0x20, 0x20);
	/* Refresh, 15 microseconds a turn. */
	before = in(SPEAKER) & 0x10;
	slack = 0;
	for (i = 0; i < 1800; i++) {
		slack -= 4;
		pass(1);
		toggles += (in(SPEAKER) & 0x10) != before;
		before = in(SPEAKER) & 0x10;
	}
	CHECK(toggles >= 99 && toggles <= 101);
}

static void test_ports(void)
{
	unsigned int port, known = 0;
	bool rearm;
	u8 val;

	fresh();
	for (port = 0; port < 0x10000; port++) {
		bool r = kvm_pit_read(&pit, port, now, &val);

		CHECK_EQ(r, kvm_pit_write(&pit, port, 0, now, &rearm));
		known += r;
	}
	CHECK_EQ(known, 5);
}

/* ---- saving and restoring ---- */

static void restore(s64 shift)
{
	struct kvm_pit_state2 s;
	unsigned int i;

	kvm_pit_get_state(&pit, now, &s);
	for (i = 0; i < 3; i++)
		s.channels[i].count_load_time += shift;
	now += shift;
	kvm_pit_set_state(&pit, now, &s);
}

/* A host with another clock, to which userspace has moved the times. */
static void test_other_clock(void)
{
	static const s64 shifts[] = { 0, 86400000000000ll, 400000000000000000ll };
	s64 edge;
	u64 period;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		fresh();
		setup(0, 2, 1000);
		out(SPEAKER, 1);
		setup(2, 0, 500);
		pass(100);
		out(SPEAKER, 0);
		pass(100);
		restore(shifts[i]);
		CHECK_EQ(latched(0), 800);
		CHECK_EQ(latched(2), 400);
		CHECK(kvm_pit_next_edge(&pit, now, 0, &edge, &period));
		CHECK(edge > now + ns_of_ticks(799) && edge < now + ns_of_ticks(801));
		out(SPEAKER, 1);
		CHECK(!kvm_pit_out(&pit, 2, now + ns_of_ticks(399)));
		CHECK(kvm_pit_out(&pit, 2, now + ns_of_ticks(400)));
		/* Waiting for a count, in the state of reset. */
		fresh();
		restore(shifts[i]);
		CHECK(!kvm_pit_next_edge(&pit, now, 0, &edge, &period));
		CHECK_EQ(pit.state.channels[0].mode, 0xff);
		out(CONTROL, CONTROL_WORD(0, 3, 0, 0));
		restore(shifts[i]);
		CHECK(!kvm_pit_out(&pit, 0, now));
		CHECK(!kvm_pit_next_edge(&pit, now, 0, &edge, &period));
	}
}

static void test_one_shot_on_the_way(void)
{
	struct kvm_pit_state2 s;
	s64 edge;
	u64 period;
	int mode;

	for (mode = 0; mode <= 4; mode += 4) {
		/* Ran out after it was saved: its edge is still to come, once. */
		fresh();
		setup(0, mode, 1000);
		pass(500);
		kvm_pit_get_state(&pit, now, &s);
		pass(100000);
		kvm_pit_set_state(&pit, now, &s);
		CHECK(kvm_pit_next_edge(&pit, now, 0, &edge, &period));
		CHECK_EQ(edge, now + 1);
		CHECK(!kvm_pit_next_edge(&pit, edge, 0, &edge, &period));
		/* Ran out before: not again. */
		kvm_pit_get_state(&pit, now + 1, &s);
		pass(100);
		kvm_pit_set_state(&pit, now, &s);
		CHECK(!kvm_pit_next_edge(&pit, now, 0, &edge, &period));
		CHECK(kvm_pit_out(&pit, 0, now));
	}

	/* Where in a tick it was is kept, too. */
	fresh();
	setup(0, 0, 1000);
	pass(1500);
	now += 600;
	kvm_pit_get_state(&pit, now, &s);
	kvm_pit_set_state(&pit, now, &s);
	CHECK_EQ(latched(0), 65536 - 500);
	now += 300;
	CHECK_EQ(latched(0), 65536 - 501);
}

static void test_foreign_state(void)
{
	struct kvm_pit_state2 s = { 0 };
	s64 edge;
	u64 period;
	unsigned int i;

	/* Counters that nobody has moved to this host's clock: they tick at once. */
	fresh();
	setup(0, 2, 1000);
	setup(2, 3, 1000);
	kvm_pit_get_state(&pit, now, &s);
	kvm_pit_set_state(&pit, 5, &s);
	CHECK(kvm_pit_next_edge(&pit, 5, 0, &edge, &period));
	CHECK_EQ(edge, 5 + ns_of_ticks(1000));

	/* Stopped by its gate only in our reading. */
	memset(&s, 0, sizeof(s));
	for (i = 0; i < 3; i++)
		s.channels[i] = (struct kvm_pit_channel_state){
			.count = 1000, .mode = 0, .rw_mode = 3, .read_state = 3, .write_state = 3,
		};
	kvm_pit_set_state(&pit, ns_of_ticks(300), &s);
	CHECK_EQ(pit.state.channels[0].gate, 1);
	now = ns_of_ticks(900);
	CHECK_EQ(latched(1), 100);
	CHECK_EQ(latched(2), 700);

	/* Stopped in ways that these modes do not stop: see the ranges of count_load_time. */
	memset(&s, 0, sizeof(s));
	s.channels[0].mode = 6;
	s.channels[1].mode = 1;
	s.channels[1].count_load_time = 1ll << 62;
	s.channels[2].mode = 2;
	s.channels[2].count = 3;
	s.channels[2].count_load_time = -(1ll << 62);
	kvm_pit_set_state(&pit, now, &s);
	CHECK_EQ(pit.state.channels[0].mode, 0xff);
	CHECK_EQ(latched(0), 0);
	CHECK_EQ(status(0) & 0x40, 0x40);
	CHECK(kvm_pit_out(&pit, 1, now));
	CHECK(kvm_pit_out(&pit, 2, now));
	s.channels[2].mode = 5;
	s.channels[2].count = 1;
	s.channels[2].count_load_time = 1ll << 62;
	kvm_pit_set_state(&pit, now, &s);
	CHECK_EQ(status(2) & 0x40, 0x40);

	memset(&s, 0xff, sizeof(s));
	kvm_pit_set_state(&pit, now, &s);
	kvm_pit_get_state(&pit, now, &s);
	CHECK_EQ(s.flags, KVM_PIT_FLAGS_HPET_LEGACY | KVM_PIT_FLAGS_SPEAKER_DATA_ON);
	CHECK_EQ(s.reserved[0], 0);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(s.channels[i].mode, 0xff);
		CHECK_EQ(s.channels[i].count, 10000);
		CHECK_EQ(s.channels[i].bcd, 1);
		CHECK(s.channels[i].rw_mode <= 3 && s.channels[i].read_state <= 4);
	}
}

struct op {
	u8 kind, val;
	u16 port;
};

static struct op random_op(void)
{
	static const u16 ports[] = { 0x40, 0x41, 0x42, 0x42, 0x43, 0x43, 0x61, 0x61 };
	struct op op = { rnd(5), rnd(256), ports[rnd(8)] };

	if (op.port < 0x43 && rnd(2))
		op.val = rnd(4);
	return op;
}

/* What the outside sees of an operation. */
static unsigned int apply(struct kvm_pit *p, struct op op, s64 when)
{
	unsigned int seen = 0, i;
	bool rearm = false;
	u8 val = 0;

	if (op.kind < 2)
		kvm_pit_write(p, op.port, op.val, when, &rearm);
	else if (op.kind < 4)
		kvm_pit_read(p, op.port, when, &val);
	for (i = 0; i < 3; i++)
		seen |= kvm_pit_out(p, i, when) << i;
	return seen | val << 8 | rearm << 16;
}

static bool same_edge(const struct kvm_pit *a, const struct kvm_pit *b)
{
	s64 edge_a = 0, edge_b = 0;
	u64 period_a = 0, period_b = 0;
	bool have_a = kvm_pit_next_edge(a, now, 0, &edge_a, &period_a);
	bool have_b = kvm_pit_next_edge(b, now, 0, &edge_b, &period_b);

	return have_a == have_b && llabs(edge_a - edge_b) <= 4 && period_a == period_b;
}

static void test_save_restore(void)
{
	unsigned int round, i;

	for (round = 0; round < random_rounds && !case_failures; round++) {
		struct kvm_pit a, b;
		struct kvm_pit_state2 s;

		fresh();
		a = b = pit;
		for (i = 0; i < 150 && !case_failures; i++) {
			struct op op = random_op();

			pass(rnd(3) ? rnd(8) : rnd(3) ? rnd(2000) : rnd(150000));
			CHECK_EQ(apply(&a, op, now), apply(&b, op, now));
			CHECK(same_edge(&a, &b));
			if (rnd(3))
				continue;
			kvm_pit_get_state(&b, now, &s);
			memset(&b, 0x5a, sizeof(b));
			kvm_pit_set_state(&b, now, &s);
			CHECK(same_edge(&a, &b));
		}
	}
}

static s64 random_time(void)
{
	static const s64 interesting[] = {
		0, 1, -1, 1ll << 61, (1ll << 61) - 1, -(1ll << 61), 1ll << 62, -(1ll << 62),
		3ll << 61, 5ll << 60, (5ll << 60) + 1, (-1ull >> 1), (s64)(1ull << 63),
	};
	u64 any = (u64)rnd(1u << 31) << 33 ^ (u64)rnd(1u << 31) << 11 ^ rnd(1u << 31);

	switch (rnd(4)) {
	case 0:
		return interesting[rnd(13)];
	case 1:
		return any;
	case 2:
		return now - rnd(1u << 31);
	default:
		return now + rnd(100000000);
	}
}

static void random_state(struct kvm_pit_state2 *s)
{
	static const u32 counts[] = { 0, 1, 2, 3, 0xffff, 0x10000, 0x10001, 0xffffffff };
	unsigned int i;

	for (i = 0; i < sizeof(*s); i++)
		((u8 *)s)[i] = rnd(256);
	if (rnd(2))
		s->flags = 0;
	for (i = 0; i < 3; i++) {
		struct kvm_pit_channel_state *ch = &s->channels[i];

		ch->count_load_time = random_time();
		if (rnd(2))
			ch->count = counts[rnd(8)];
		if (rnd(4))
			ch->mode = rnd(7);
		if (rnd(4))
			ch->rw_mode = rnd(4);
		if (rnd(4))
			ch->read_state = rnd(5);
		if (rnd(4))
			ch->write_state = rnd(5);
		ch->gate = rnd(3);
		ch->bcd = rnd(3);
	}
}

static void test_fuzz(void)
{
	unsigned int round, i;
	u32 least;
	s64 edge;
	u64 period;

	for (round = 0; round < random_rounds && !case_failures; round++) {
		struct kvm_pit_state2 s;

		fresh();
		now = rnd(4) ? (s64)rnd(1u << 31) << rnd(30) : rnd(1000);
		for (i = 0; i < 200; i++) {
			if (!rnd(8)) {
				random_state(&s);
				kvm_pit_set_state(&pit, now, &s);
			}
			if (!rnd(8))
				kvm_pit_get_state(&pit, now, &s);
			apply(&pit, random_op(), now);
			least = rnd(2) ? 0 : rnd(1u << 31);
			if (kvm_pit_next_edge(&pit, now, least, &edge, &period)) {
				CHECK(edge > now);
				CHECK(!period || period >= least);
				CHECK(edge - now <= 200000000ll + 3 * (s64)least);
			}
			now += (s64)rnd(1u << 31) << rnd(8);
		}

		/* Whatever it was, a program brings it to order. */
		pit.state.flags = 0;
		setup(0, 2, 100);
		CHECK(kvm_pit_next_edge(&pit, now, 0, &edge, &period));
		CHECK_EQ(edge, now + ns_of_ticks(100));
	}
}

static void end_case(const char *name)
{
	printf("%s - pit: %s\n", case_failures ? "not ok" : "ok", name);
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
		{ "mode 0 against a stepped counter", test_mode0 },
		{ "mode 1 against a stepped counter", test_mode1 },
		{ "mode 2 against a stepped counter", test_mode2 },
		{ "mode 3 against a stepped counter", test_mode3 },
		{ "mode 4 against a stepped counter", test_mode4 },
		{ "mode 5 against a stepped counter", test_mode5 },
		{ "rising edges of OUT0", test_edges },
		{ "periods, one-shots, the shortest period, HPET", test_period },
		{ "counts of 1, long halves", test_odd_counts },
		{ "when the timer is to be armed anew", test_rearm },
		{ "access by byte and word", test_access },
		{ "decimal counting", test_bcd },
		{ "latch command", test_latch },
		{ "read-back command", test_read_back },
		{ "null count", test_null_count },
		{ "port 0x61", test_speaker },
		{ "ports", test_ports },
		{ "restored under another clock", test_other_clock },
		{ "one-shots that run out while saved", test_one_shot_on_the_way },
		{ "states from elsewhere", test_foreign_state },
		{ "save and restore at any point", test_save_restore },
		{ "random states and accesses", test_fuzz },
	};
	unsigned int i;

	random_rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 2000;
	seed_state = 0x9e3779b97f4a7c15ull ^ (argc > 2 ? strtoull(argv[2], NULL, 0) : 1);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cases[i].run();
		end_case(cases[i].name);
	}
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed != 0;
}
