// SPDX-License-Identifier: GPL-2.0
/*
 * An 8254: three counters with their modes, latches and ways to be read and written, the gate and
 * output of counter 2 and the refresh bit at port 0x61, and how all that is saved and restored. Not
 * here: locks, timers, the interrupt, what happens to ticks that come too late. Intel 8254
 * datasheet (231164); for port 0x61 the ICH datasheet's "NMI status and control".
 *
 * A counter is not stepped, it is computed from the time that passed since count_load_time. The
 * clock input has no phase: the pulse that loads a counter comes with the write or the gate's edge.
 * A new count that has to wait for the end of a cycle moves count_load_time so that the cycle still
 * ends when it would have.
 */
#include "pit.h"

#define NSEC_PER_SECOND		1000000000ull

#define CONTROL_BCD		0x01
#define CONTROL_MODE(val)	((val) >> 1 & 7)
#define CONTROL_RW(val)		((val) >> 4 & 3)
#define CONTROL_CHANNEL(val)	((val) >> 6)
#define READ_BACK		3	/* in the place of a channel */
#define READ_BACK_NO_COUNT	0x20
#define READ_BACK_NO_STATUS	0x10
#define READ_BACK_CHANNEL(n)	(2u << (n))

#define STATUS_OUT		0x80
#define STATUS_NULL_COUNT	0x40	/* what was written last is not in the counter yet */

#define SPEAKER_GATE		0x01
#define SPEAKER_DATA		0x02
#define SPEAKER_REFRESH		0x10
#define SPEAKER_OUT		0x20
#define REFRESH_TICKS		18

#define GATED_CHANNEL		2
#define MODE_NONE		0xff	/* no control word since power-up */
#define MAX_COUNT		0x10000
#define PIT_FLAGS		(KVM_PIT_FLAGS_HPET_LEGACY | KVM_PIT_FLAGS_SPEAKER_DATA_ON)

/*
 * read_state, write_state and count_latched, as the ABI has them; the first three are also rw_mode.
 */
enum {
	ACCESS_NONE,
	ACCESS_LSB,
	ACCESS_MSB,
	ACCESS_WORD,		/* the low byte of both comes next */
	ACCESS_WORD_HIGH,
};

/*
 * count_load_time of a counter that does not run. They are told apart by range, as userspace moves
 * these times when a machine moves between hosts: real times are a long way off.
 *
 *   NOT_LOADED	waiting for a count, or in modes 1 and 5 for a trigger
 *   HELD	stopped by its gate; in modes 2 and 3 the ticks that it had run are subtracted
 *   OVER	stopped after the terminal count of modes 0 and 4; in saved states also when it runs
 *
 * In modes 0 and 4 the count is not needed again once the counter has begun, and a stopped counter
 * has what is left of it there.
 */
#define NOT_LOADED		(3ll << 61)
#define HELD			(1ll << 62)
#define OVER			(-(1ll << 62))
#define ANY_HELD		(1ll << 61)
#define ANY_NOT_LOADED		(5ll << 60)
#define ANY_OVER		(-(1ll << 61))

static bool not_loaded(const struct kvm_pit_channel_state *ch)
{
	return ch->count_load_time > ANY_NOT_LOADED;
}

static bool held(const struct kvm_pit_channel_state *ch)
{
	return ch->count_load_time > ANY_HELD && !not_loaded(ch);
}

static bool over(const struct kvm_pit_channel_state *ch)
{
	return ch->count_load_time < ANY_OVER;
}

static bool running(const struct kvm_pit_channel_state *ch)
{
	return ch->count_load_time >= ANY_OVER && ch->count_load_time <= ANY_HELD;
}

static u64 scale(u64 val, u64 to, u64 from, u64 round)
{
	return val / from * to + (val % from * to + round) / from;
}

/* The ticks that are complete after so many nanoseconds: rounds towards the past. */
static s64 ticks_of(s64 ns)
{
	if (ns < 0)
		return -(s64)scale(-ns, KVM_PIT_HZ, NSEC_PER_SECOND, NSEC_PER_SECOND - 1);
	return scale(ns, KVM_PIT_HZ, NSEC_PER_SECOND, 0);
}

/* The first nanosecond at which so many ticks are complete. */
static s64 ns_of(s64 ticks)
{
	return scale(ticks, NSEC_PER_SECOND, KVM_PIT_HZ, KVM_PIT_HZ - 1);
}

static bool is_periodic(const struct kvm_pit_channel_state *ch)
{
	return ch->mode == 2 || ch->mode == 3;
}

/* Modes in which the gate lets the counter count, against those in which its edge starts it. */
static bool is_software_started(const struct kvm_pit_channel_state *ch)
{
	return ch->mode == 0 || ch->mode == 4;
}

static bool is_triggered(const struct kvm_pit_channel_state *ch)
{
	return ch->mode == 1 || ch->mode == 5;
}

/* Where the counter wraps. */
static s64 modulus(const struct kvm_pit_channel_state *ch)
{
	return ch->bcd ? 10000 : MAX_COUNT;
}

/* The datasheet forbids a count of 1 in the periodic modes; it works as 2. */
static s64 cycle(const struct kvm_pit_channel_state *ch)
{
	return ch->count < 2 ? 2 : ch->count;
}

/* Ticks that OUT stays high in a cycle of mode 3. */
static s64 high_half(const struct kvm_pit_channel_state *ch)
{
	return (cycle(ch) + 1) / 2;
}

/* Ticks since the load; negative while a cycle of the count before this one has still to end. */
static s64 elapsed_ticks(const struct kvm_pit_channel_state *ch, s64 now)
{
	if (over(ch))
		return 2 * modulus(ch);
	if (held(ch))
		return is_periodic(ch) ? HELD - ch->count_load_time : 0;
	return ticks_of(now - ch->count_load_time);
}

static s64 position_in_cycle(const struct kvm_pit_channel_state *ch, s64 ticks)
{
	s64 position = ticks % cycle(ch);

	return position < 0 ? position + cycle(ch) : position;
}

/* What the counting element holds, before it is brought into two bytes. */
static s64 counter_value(const struct kvm_pit_channel_state *ch, s64 ticks)
{
	s64 position;

	if (not_loaded(ch))
		return 0;

	switch (ch->mode) {
	case 2:
		return ticks < 0 ? -ticks : cycle(ch) - position_in_cycle(ch, ticks);
	case 3:
		/* Counts by two, twice in a cycle, and starts from an even number. */
		position = ticks < 0 ? ticks : position_in_cycle(ch, ticks);
		if (position >= high_half(ch))
			position -= high_half(ch);
		return (cycle(ch) & ~1ll) - 2 * position;
	default:
		return ch->count - ticks;
	}
}

static u16 read_counter(const struct kvm_pit_channel_state *ch, s64 now)
{
	s64 val = counter_value(ch, elapsed_ticks(ch, now)) % modulus(ch);

	if (val < 0)
		val += modulus(ch);
	if (!ch->bcd)
		return val;
	return val % 10 | val / 10 % 10 << 4 | val / 100 % 10 << 8 | val / 1000 << 12;
}

static bool channel_out(const struct kvm_pit_channel_state *ch, s64 now)
{
	s64 ticks;

	if (not_loaded(ch))
		return ch->mode != 0;

	ticks = elapsed_ticks(ch, now);
	switch (ch->mode) {
	case 0:
	case 1:
		return ticks >= ch->count;
	case 2:
		return held(ch) || counter_value(ch, ticks) != 1;
	case 3:
		return held(ch) || ticks < 0 || position_in_cycle(ch, ticks) < high_half(ch);
	default:
		return ticks != ch->count;
	}
}

bool kvm_pit_out(const struct kvm_pit *pit, unsigned int channel, s64 now)
{
	return channel_out(&pit->state.channels[channel], now);
}

/* Lets a counter begin; in modes 2 and 3 this is also what the gate's rising edge does. */
static void start(struct kvm_pit_channel_state *ch, s64 now)
{
	ch->count_load_time = ch->gate ? now : HELD;
}

/* Has the terminal count of a one-shot passed, so that OUT will not change any more? */
static bool has_ended(const struct kvm_pit_channel_state *ch, s64 now)
{
	return elapsed_ticks(ch, now) >= ch->count + (ch->mode >= 4);
}

/* Stops a counter in modes 0 and 4, with what is left of the count. */
static void hold_one_shot(struct kvm_pit_channel_state *ch, s64 now)
{
	s64 left = (ch->count - elapsed_ticks(ch, now)) % modulus(ch);
	bool ended = elapsed_ticks(ch, now) >= ch->count;

	if (left <= 0)
		left += modulus(ch);
	ch->count = left;
	ch->count_load_time = ended ? OVER : HELD;
}

static void resume_one_shot(struct kvm_pit_channel_state *ch, s64 now)
{
	if (over(ch))
		ch->count_load_time = now - ns_of(2 * modulus(ch));
	else
		ch->count_load_time = now;
}

static void gate_falls(struct kvm_pit_channel_state *ch, s64 now)
{
	s64 ticks;

	if (!running(ch))
		return;
	if (is_software_started(ch)) {
		hold_one_shot(ch, now);
	} else if (is_periodic(ch)) {
		ticks = elapsed_ticks(ch, now);
		ch->count_load_time = HELD - (ticks < 0 ? ticks : position_in_cycle(ch, ticks));
	}
}

static void gate_rises(struct kvm_pit_channel_state *ch, s64 now)
{
	if (is_triggered(ch))
		start(ch, now);
	else if (not_loaded(ch))
		return;
	else if (is_periodic(ch))
		start(ch, now);
	else
		resume_one_shot(ch, now);
}

static void set_gate(struct kvm_pit_channel_state *ch, bool gate, s64 now)
{
	if (ch->gate == gate)
		return;
	ch->gate = gate;
	if (gate)
		gate_rises(ch, now);
	else
		gate_falls(ch, now);
}

/*
 * A new count in mode 3 is loaded when the half that runs has ended. If that is the high one, the
 * new low half follows. If it is the low one, a new cycle follows, and the low half is that of the
 * new count already: it becomes shorter when more was left of it than the new one has.
 */
static void recount_square_wave(struct kvm_pit_channel_state *ch, u32 count, s64 now)
{
	s64 ticks = elapsed_ticks(ch, now), base = ch->count_load_time, position, low;

	if (ticks >= 0) {
		position = position_in_cycle(ch, ticks);
		base += ns_of(ticks - position);
	} else {
		position = 0;
	}

	if (position < high_half(ch)) {
		base += ns_of(high_half(ch));
		ch->count = count;
		ch->count_load_time = base - ns_of(high_half(ch));
		return;
	}

	position = cycle(ch) - position;
	base += ns_of(cycle(ch));
	ch->count = count;
	low = cycle(ch) - high_half(ch);
	if (position > low)
		base -= ns_of(position - low);
	ch->count_load_time = base - ns_of(cycle(ch));
}

/* A new count while the counter runs in a mode that does not take it at once. */
static void recount_running(struct kvm_pit_channel_state *ch, u32 count, s64 now)
{
	s64 ticks = elapsed_ticks(ch, now);

	if (ch->mode == 3) {
		recount_square_wave(ch, count, now);
		return;
	}

	if (ch->mode == 2) {
		ticks -= position_in_cycle(ch, ticks);
		if (ticks >= 0)
			ch->count_load_time += ns_of(ticks + cycle(ch));
	} else if (has_ended(ch, now)) {
		ch->count_load_time = NOT_LOADED;
	} else {
		ch->count_load_time += ns_of(ch->count) - ns_of(count);
	}
	ch->count = count;
}

static u32 from_bcd(u16 val)
{
	return (val >> 12) * 1000 + (val >> 8 & 0xf) * 100 + (val >> 4 & 0xf) * 10 + (val & 0xf);
}

/* 0 is the largest count. Digits above 9, which the datasheet does not define, go no further. */
static u32 limit_count(const struct kvm_pit_channel_state *ch, u32 count)
{
	return count && count < modulus(ch) ? count : modulus(ch);
}

static void load_count(struct kvm_pit_channel_state *ch, u16 val, s64 now)
{
	u32 count = limit_count(ch, ch->bcd ? from_bcd(val) : val);

	if (!is_software_started(ch) && running(ch)) {
		recount_running(ch, count, now);
		return;
	}

	ch->count = count;
	if (is_software_started(ch) || (is_periodic(ch) && not_loaded(ch)))
		start(ch, now);
}

/* True when the counter did something else than take half of its count. */
static bool write_count(struct kvm_pit_channel_state *ch, u8 val, s64 now)
{
	switch (ch->write_state) {
	case ACCESS_LSB:
		load_count(ch, val, now);
		return true;
	case ACCESS_MSB:
		load_count(ch, val << 8, now);
		return true;
	case ACCESS_WORD:
		ch->write_latch = val;
		ch->write_state = ACCESS_WORD_HIGH;
		/* Mode 0: half of a new count stops the old one and lowers OUT. */
		if (ch->mode != 0)
			return false;
		ch->count_load_time = NOT_LOADED;
		return true;
	case ACCESS_WORD_HIGH:
		ch->write_state = ACCESS_WORD;
		load_count(ch, ch->write_latch | val << 8, now);
		return true;
	default:
		return false;
	}
}

static void latch_count(struct kvm_pit_channel_state *ch, s64 now)
{
	if (ch->count_latched != ACCESS_NONE)
		return;
	ch->latched_count = read_counter(ch, now);
	ch->count_latched = ch->rw_mode;
}

static u8 status_of(const struct kvm_pit_channel_state *ch, s64 now)
{
	u8 status = ch->rw_mode << 4 | (ch->mode & 7) << 1 | ch->bcd;

	if (channel_out(ch, now))
		status |= STATUS_OUT;
	if (not_loaded(ch) || (running(ch) && !is_triggered(ch) && elapsed_ticks(ch, now) < 0))
		status |= STATUS_NULL_COUNT;
	return status;
}

static void latch_status(struct kvm_pit_channel_state *ch, s64 now)
{
	if (ch->status_latched)
		return;
	ch->status = status_of(ch, now);
	ch->status_latched = 1;
}

static void read_back(struct kvm_pit *pit, u8 val, s64 now)
{
	unsigned int i;

	for (i = 0; i < KVM_PIT_CHANNELS; i++) {
		struct kvm_pit_channel_state *ch = &pit->state.channels[i];

		if (!(val & READ_BACK_CHANNEL(i)))
			continue;
		if (!(val & READ_BACK_NO_COUNT))
			latch_count(ch, now);
		if (!(val & READ_BACK_NO_STATUS))
			latch_status(ch, now);
	}
}

/* Clears the count, too: that is what an early trigger of modes 1 and 5 begins with. */
static void program(struct kvm_pit_channel_state *ch, u8 val)
{
	u8 mode = CONTROL_MODE(val);

	/* The upper bit of the mode is not looked at in modes 2 and 3. */
	ch->mode = mode > 5 ? mode & 3 : mode;
	ch->bcd = val & CONTROL_BCD;
	ch->count = modulus(ch);
	ch->rw_mode = CONTROL_RW(val);
	ch->read_state = ch->rw_mode;
	ch->write_state = ch->rw_mode;
	ch->count_latched = ACCESS_NONE;
	ch->status_latched = 0;
	ch->count_load_time = NOT_LOADED;
}

/* True when channel 0 has a new program. */
static bool write_control(struct kvm_pit *pit, u8 val, s64 now)
{
	unsigned int channel = CONTROL_CHANNEL(val);

	if (channel == READ_BACK) {
		read_back(pit, val, now);
		return false;
	}
	if (CONTROL_RW(val) == ACCESS_NONE) {
		latch_count(&pit->state.channels[channel], now);
		return false;
	}
	program(&pit->state.channels[channel], val);
	return channel == 0;
}

bool kvm_pit_write(struct kvm_pit *pit, u16 port, u8 val, s64 now, bool *rearm)
{
	struct kvm_pit_channel_state *channels = pit->state.channels;

	*rearm = false;
	switch (port) {
	case KVM_PIT_PORT_DATA:
		*rearm = write_count(&channels[0], val, now);
		return true;
	case KVM_PIT_PORT_DATA + 1:
	case KVM_PIT_PORT_DATA + 2:
		write_count(&channels[port - KVM_PIT_PORT_DATA], val, now);
		return true;
	case KVM_PIT_PORT_CONTROL:
		*rearm = write_control(pit, val, now);
		return true;
	case KVM_PIT_PORT_SPEAKER:
		pit->state.flags &= ~KVM_PIT_FLAGS_SPEAKER_DATA_ON;
		if (val & SPEAKER_DATA)
			pit->state.flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
		set_gate(&channels[GATED_CHANNEL], val & SPEAKER_GATE, now);
		return true;
	default:
		return false;
	}
}

static u8 read_latched_count(struct kvm_pit_channel_state *ch)
{
	u8 part = ch->count_latched;

	ch->count_latched = part == ACCESS_WORD ? ACCESS_MSB : ACCESS_NONE;
	return part == ACCESS_MSB ? ch->latched_count >> 8 : ch->latched_count;
}

static u8 read_count(struct kvm_pit_channel_state *ch, s64 now)
{
	if (ch->status_latched) {
		ch->status_latched = 0;
		return ch->status;
	}
	if (ch->count_latched != ACCESS_NONE)
		return read_latched_count(ch);

	switch (ch->read_state) {
	case ACCESS_MSB:
		return read_counter(ch, now) >> 8;
	case ACCESS_WORD:
		ch->read_state = ACCESS_WORD_HIGH;
		return read_counter(ch, now);
	case ACCESS_WORD_HIGH:
		ch->read_state = ACCESS_WORD;
		return read_counter(ch, now) >> 8;
	default:
		return read_counter(ch, now);
	}
}

static u8 read_speaker(const struct kvm_pit *pit, s64 now)
{
	const struct kvm_pit_channel_state *ch = &pit->state.channels[GATED_CHANNEL];
	u8 val = ch->gate ? SPEAKER_GATE : 0;

	if (pit->state.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON)
		val |= SPEAKER_DATA;
	if (ticks_of(now) / REFRESH_TICKS & 1)
		val |= SPEAKER_REFRESH;
	if (channel_out(ch, now))
		val |= SPEAKER_OUT;
	return val;
}

bool kvm_pit_read(struct kvm_pit *pit, u16 port, s64 now, u8 *val)
{
	switch (port) {
	case KVM_PIT_PORT_DATA:
	case KVM_PIT_PORT_DATA + 1:
	case KVM_PIT_PORT_DATA + 2:
		*val = read_count(&pit->state.channels[port - KVM_PIT_PORT_DATA], now);
		return true;
	case KVM_PIT_PORT_CONTROL:
		*val = 0xff;
		return true;
	case KVM_PIT_PORT_SPEAKER:
		*val = read_speaker(pit, now);
		return true;
	default:
		return false;
	}
}

/*
 * The ticks between two edges that are reported: as many cycles as the shortest period allowed
 * takes.
 */
static s64 reported_cycle(const struct kvm_pit_channel_state *ch, u32 min_period)
{
	s64 least = scale(min_period, KVM_PIT_HZ, NSEC_PER_SECOND, NSEC_PER_SECOND - 1);
	s64 cycles = (least + cycle(ch) - 1) / cycle(ch);

	return cycle(ch) * (cycles ? cycles : 1);
}

bool kvm_pit_next_edge(const struct kvm_pit *pit, s64 since, u32 min_period,
		       s64 *edge, u64 *period)
{
	const struct kvm_pit_channel_state *ch = &pit->state.channels[0];
	s64 ticks, step, next;

	if (pit->state.flags & KVM_PIT_FLAGS_HPET_LEGACY || !running(ch) || ch->mode > 5)
		return false;

	ticks = elapsed_ticks(ch, since);
	if (is_periodic(ch)) {
		step = reported_cycle(ch, min_period);
		next = ticks < 0 ? 0 : (ticks / step + 1) * step;
		/* OUT rises when the cycle before ends in mode 2, and is high already in mode 3. */
		if (ticks < 0 && ch->mode == 3)
			next = step;
		*period = scale(step, NSEC_PER_SECOND, KVM_PIT_HZ, 0);
	} else {
		next = ch->count + (ch->mode >= 4);
		if (ticks >= next)
			return false;
		*period = 0;
	}
	*edge = ch->count_load_time + ns_of(next);
	return true;
}

void kvm_pit_reset(struct kvm_pit *pit)
{
	unsigned int i;

	*pit = (struct kvm_pit){};
	for (i = 0; i < KVM_PIT_CHANNELS; i++) {
		struct kvm_pit_channel_state *ch = &pit->state.channels[i];

		ch->mode = MODE_NONE;
		ch->count = MAX_COUNT;
		ch->count_load_time = NOT_LOADED;
		ch->gate = i != GATED_CHANNEL;
	}
}

void kvm_pit_get_state(const struct kvm_pit *pit, s64 now, struct kvm_pit_state2 *state)
{
	struct kvm_pit_channel_state *ch = &state->channels[0];
	s64 ticks, phase;

	*state = pit->state;
	if (!is_software_started(ch) || !running(ch) || !has_ended(ch, now))
		return;

	/* Whoever restores this must know that the interrupt has been there. */
	ticks = elapsed_ticks(ch, now);
	phase = now - ch->count_load_time - ns_of(ticks);
	hold_one_shot(ch, now);
	ch->count_load_time = OVER - phase;
}

static void sanitize_access(struct kvm_pit_channel_state *ch)
{
	if (ch->rw_mode > ACCESS_WORD)
		ch->rw_mode = ACCESS_NONE;
	if (ch->count_latched > ACCESS_WORD)
		ch->count_latched = ACCESS_NONE;
	if (ch->read_state > ACCESS_WORD_HIGH)
		ch->read_state = ch->rw_mode;
	if (ch->write_state > ACCESS_WORD_HIGH)
		ch->write_state = ch->rw_mode;
	ch->status_latched = !!ch->status_latched;
	ch->bcd = !!ch->bcd;
	ch->count = limit_count(ch, ch->count);
	if (ch->mode > 5) {
		ch->mode = MODE_NONE;
		ch->count_load_time = NOT_LOADED;
	}
}

static void restart(struct kvm_pit_channel_state *ch, s64 now)
{
	if (is_triggered(ch))
		ch->count_load_time = NOT_LOADED;
	else
		start(ch, now);
}

/*
 * Makes the load time one that the mode and the gate allow. Times from another host, or from a KVM
 * that does not stop counters at their gate, may be none of those.
 */
static void restore_time(struct kvm_pit_channel_state *ch, s64 now)
{
	s64 phase;

	if (not_loaded(ch))
		return;
	if (running(ch)) {
		if (ch->count_load_time > now + ns_of(MAX_COUNT))
			restart(ch, now);
		else if (!ch->gate)
			gate_falls(ch, now);
		return;
	}

	if (!is_software_started(ch)) {
		if (ch->gate || is_triggered(ch) || over(ch))
			restart(ch, now);
	} else if (ch->gate) {
		phase = over(ch) ? (u64)(OVER - ch->count_load_time) % ns_of(1) : 0;
		resume_one_shot(ch, now);
		ch->count_load_time -= phase;
	}
}

/* A one-shot that ran out since its state was taken: nobody has seen its edge. */
static void catch_up(struct kvm_pit_channel_state *ch, const struct kvm_pit_channel_state *saved,
		     s64 now)
{
	if (over(saved) || !running(ch) || is_periodic(ch) || !has_ended(ch, now))
		return;
	ch->count_load_time = now + 1 - ns_of(ch->count + (ch->mode >= 4));
}

void kvm_pit_set_state(struct kvm_pit *pit, s64 now, const struct kvm_pit_state2 *state)
{
	unsigned int i;

	*pit = (struct kvm_pit){ .state.flags = state->flags & PIT_FLAGS };
	for (i = 0; i < KVM_PIT_CHANNELS; i++) {
		struct kvm_pit_channel_state *ch = &pit->state.channels[i];

		*ch = state->channels[i];
		ch->gate = i != GATED_CHANNEL || ch->gate;
		sanitize_access(ch);
		restore_time(ch, now);
	}
	catch_up(&pit->state.channels[0], &state->channels[0], now);
}
