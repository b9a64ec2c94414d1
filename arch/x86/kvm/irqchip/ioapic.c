// SPDX-License-Identifier: GPL-2.0
/*
 * The I/O APIC: Intel's 82093AA datasheet (chapter 3; redirection: 3.2.4), with the
 * EOI register of its version 0x20 successors where wanted. Owns the redirection table and the
 * state of the pins. Does not know who gets its messages (a callback), who hears of EOIs, and how
 * long a storming line is held back; it only says that it should be.
 *
 * Polarity is stored and otherwise ignored: a line is asserted when a source says so. Messages are
 * accepted or refused at once, so that the delivery status is always idle. An edge on a masked pin
 * shows in the irr of the saved state but is not delivered when the mask goes (3.2.4, bit 16).
 */
#include "ioapic.h"

/* Offsets in the window */
#define SELECT		0x00
#define DATA		0x10
#define EOI		0x40

/* Registers behind DATA */
#define REG_ID		0x00
#define REG_VERSION	0x01
#define REG_ARBITRATION	0x02
#define REG_TABLE	0x10

#define ID_SHIFT	24
#define ID_MASK		0xf
#define VERSION_82093AA	0x11u
#define VERSION_EOI	0x20u

#define RTE_WRITABLE	(IOAPIC_RTE_VECTOR | IOAPIC_RTE_MODE | IOAPIC_RTE_LOGICAL | \
			 IOAPIC_RTE_LOW_ACTIVE | IOAPIC_RTE_LEVEL | IOAPIC_RTE_MASKED | \
			 IOAPIC_RTE_DEST)
#define RTE_ROUTE	(RTE_WRITABLE & ~IOAPIC_RTE_LOW_ACTIVE)

static unsigned int rte_mode(u64 rte)
{
	return (rte & IOAPIC_RTE_MODE) >> 8;
}

/* Only what carries a vector is ever acknowledged by an EOI; the rest are edges. */
static bool rte_is_level(u64 rte)
{
	return rte & IOAPIC_RTE_LEVEL && rte_mode(rte) <= APIC_MSG_LOWEST;
}

static bool rte_is_deliverable(u64 rte)
{
	return !(rte & IOAPIC_RTE_MASKED) && rte_mode(rte) != APIC_MSG_RESERVED &&
	       rte_mode(rte) != APIC_MSG_STARTUP;
}

static u32 level_triggered(const struct ioapic *io)
{
	u32 pins = 0, pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if (rte_is_level(io->rte[pin]))
			pins |= 1u << pin;
	}
	return pins;
}

void ioapic_reset(struct ioapic *io)
{
	unsigned int pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		io->rte[pin] = IOAPIC_RTE_MASKED;
		io->storm[pin] = 0;
	}
	io->base_address = IOAPIC_DEFAULT_BASE;
	io->ioregsel = 0;
	io->id = 0;
	io->edges = 0;
	io->delayed = 0;
}

void ioapic_init(struct ioapic *io, const struct ioapic_config *config)
{
	memset(io, 0, sizeof(*io));
	io->config = *config;
	ioapic_reset(io);
}

/* A pin has an edge to tell of, or is asserted. */
static int deliver(struct ioapic *io, unsigned int pin)
{
	u64 *rte = &io->rte[pin];
	struct apic_msg msg;
	int status;

	if (!rte_is_deliverable(*rte))
		return IOAPIC_IGNORED;
	if (*rte & IOAPIC_RTE_REMOTE_IRR)
		return IOAPIC_COALESCED;

	apic_msg_from_redirection(&msg, *rte, !io->config.no_dest8);
	status = io->config.deliver(io->config.ctx, pin, &msg);
	if (status < 0)
		return IOAPIC_IGNORED;

	if (rte_is_level(*rte))
		*rte |= IOAPIC_RTE_REMOTE_IRR;
	io->edges &= ~(1u << pin);
	return status;
}

void ioapic_service(struct ioapic *io, u32 pins)
{
	u32 waiting, pin;

	io->delayed &= ~pins;
	waiting = pins & (io->edges | (io->high & level_triggered(io)));
	for (; waiting; waiting &= waiting - 1) {
		pin = __builtin_ctz(waiting);
		deliver(io, pin);
	}
}

static int raise_line(struct ioapic *io, unsigned int pin)
{
	u32 bit = 1u << pin;
	bool was_high = io->high & bit;

	io->high |= bit;
	if (!rte_is_level(io->rte[pin])) {
		if (was_high)
			return IOAPIC_COALESCED;
		io->edges |= bit;
	}
	return io->delayed & bit ? IOAPIC_COALESCED : deliver(io, pin);
}

static void lower_line(struct ioapic *io, unsigned int pin)
{
	u32 bit = 1u << pin;

	io->high &= ~bit;
	io->edges &= ~bit;
	io->delayed &= ~bit;
}

/* The pin is asserted as long as one of its sources asserts it. */
int ioapic_set_line(struct ioapic *io, unsigned int pin, unsigned int source, bool level)
{
	if (pin >= IOAPIC_PINS || source >= IOAPIC_SOURCES)
		return IOAPIC_IGNORED;

	if (level) {
		io->lines[pin] |= 1ull << source;
		return raise_line(io, pin);
	}

	io->lines[pin] &= ~(1ull << source);
	if (!io->lines[pin])
		lower_line(io, pin);
	return IOAPIC_DELIVERED;
}

void ioapic_drop_source(struct ioapic *io, unsigned int source)
{
	unsigned int pin;

	if (source >= IOAPIC_SOURCES)
		return;
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if (io->lines[pin] & 1ull << source)
			ioapic_set_line(io, pin, source, false);
	}
}

u32 ioapic_level_pins(const struct ioapic *io, u8 vector)
{
	u32 pins = 0, pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if (rte_is_level(io->rte[pin]) && (u8)io->rte[pin] == vector)
			pins |= 1u << pin;
	}
	return pins;
}

u32 ioapic_eoi(struct ioapic *io, u8 vector)
{
	u32 pins = 0, pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if (!(io->rte[pin] & IOAPIC_RTE_REMOTE_IRR) || (u8)io->rte[pin] != vector)
			continue;
		io->rte[pin] &= ~IOAPIC_RTE_REMOTE_IRR;
		pins |= 1u << pin;
	}
	return pins;
}

/*
 * A guest that ends an interrupt without quieting its device would get it again before its next
 * instruction, for ever. Only pins whose interrupt has not been delivered meanwhile can be held.
 */
static bool is_storm(struct ioapic *io, unsigned int pin)
{
	if (!io->config.storm_limit || ++io->storm[pin] < io->config.storm_limit)
		return false;
	if (!rte_is_deliverable(io->rte[pin]) || io->rte[pin] & IOAPIC_RTE_REMOTE_IRR)
		return false;
	io->storm[pin] = 0;
	return true;
}

u32 ioapic_after_eoi(struct ioapic *io, u32 pins)
{
	u32 asserted = io->high & level_triggered(io), delay = 0, pin;

	for (pins &= IOAPIC_EOI_PINS; pins; pins &= pins - 1) {
		pin = __builtin_ctz(pins);
		if (!(asserted & 1u << pin))
			io->storm[pin] = 0;
		else if (is_storm(io, pin))
			delay |= 1u << pin;
		else
			deliver(io, pin);
	}
	io->delayed |= delay;
	return delay;
}

/* Only level-triggered interrupts in flight can have the remote IRR set: edges have no EOI. */
static u64 rte_settle(u64 rte)
{
	return rte_is_level(rte) ? rte : rte & ~IOAPIC_RTE_REMOTE_IRR;
}

static u32 rte_write(struct ioapic *io, unsigned int pin, u64 val)
{
	u64 old = io->rte[pin], new;
	u32 bit = 1u << pin;

	new = rte_settle((val & RTE_WRITABLE) | (old & IOAPIC_RTE_REMOTE_IRR));
	io->rte[pin] = new;

	/* What happened under the mask, or under the other trigger mode, was no edge. */
	if ((old & ~new & IOAPIC_RTE_MASKED) || rte_is_level(old) != rte_is_level(new))
		io->edges &= ~bit;
	if (io->high & bit && rte_is_level(new) && !(io->delayed & bit))
		deliver(io, pin);
	return (old ^ new) & RTE_ROUTE ? IOAPIC_ROUTES_CHANGED : 0;
}

static u32 register_read(const struct ioapic *io)
{
	u32 index = io->ioregsel, pin = (index - REG_TABLE) / 2;

	switch (index) {
	case REG_ID:
	case REG_ARBITRATION:
		return (u32)io->id << ID_SHIFT;
	case REG_VERSION:
		return (IOAPIC_PINS - 1) << 16 |
		       (io->config.eoi_register ? VERSION_EOI : VERSION_82093AA);
	}
	if (index < REG_TABLE || pin >= IOAPIC_PINS)
		return 0;
	return index & 1 ? io->rte[pin] >> 32 : io->rte[pin];
}

static u32 register_write(struct ioapic *io, u32 val)
{
	u32 index = io->ioregsel, pin = (index - REG_TABLE) / 2;

	if (index == REG_ID)
		io->id = val >> ID_SHIFT & ID_MASK;
	if (index < REG_TABLE || pin >= IOAPIC_PINS)
		return 0;
	if (index & 1)
		return rte_write(io, pin, (u32)io->rte[pin] | (u64)val << 32);
	return rte_write(io, pin, (io->rte[pin] & ~0xffffffffull) | val);
}

static u64 length_mask(unsigned int len)
{
	return len < 8 ? (1ull << len * 8) - 1 : ~0ull;
}

/* Registers are 32 bits wide; narrower accesses see or set the low part, the rest is zero. */
u64 ioapic_read(const struct ioapic *io, u32 offset, unsigned int len)
{
	switch (offset) {
	case SELECT:
		return io->ioregsel & length_mask(len);
	case DATA:
		return register_read(io) & length_mask(len);
	default:
		return 0;
	}
}

u32 ioapic_write(struct ioapic *io, u32 offset, unsigned int len, u64 val)
{
	val &= length_mask(len);
	switch (offset) {
	case SELECT:
		io->ioregsel = val;
		return 0;
	case DATA:
		return register_write(io, val);
	case EOI:
		return io->config.eoi_register ? ioapic_eoi(io, val) : 0;
	default:
		return 0;
	}
}

void ioapic_get_state(const struct ioapic *io, struct kvm_ioapic_state *state)
{
	u32 level = level_triggered(io), pin;

	memset(state, 0, sizeof(*state));
	state->base_address = io->base_address;
	state->ioregsel = io->ioregsel;
	state->id = io->id;
	state->irr = (io->high & level) | (io->edges & ~level);
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		state->redirtbl[pin].bits = io->rte[pin];
}

/*
 * The sources of a pin are no part of the saved state: a level-triggered pin is asserted if its
 * image says so, until one of its sources lowers it and no other holds it.
 */
void ioapic_set_state(struct ioapic *io, const struct kvm_ioapic_state *state)
{
	u32 level, pin, high = 0;

	io->base_address = state->base_address;
	io->ioregsel = state->ioregsel;
	io->id = state->id & ID_MASK;
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		io->rte[pin] = rte_settle(state->redirtbl[pin].bits &
					  (RTE_WRITABLE | IOAPIC_RTE_REMOTE_IRR));
		io->storm[pin] = 0;
		if (io->lines[pin])
			high |= 1u << pin;
	}

	level = level_triggered(io);
	io->high = (high & ~level) | (state->irr & IOAPIC_EOI_PINS);
	io->edges = state->irr & IOAPIC_EOI_PINS & ~level;
	io->delayed = 0;
	ioapic_service(io, IOAPIC_EOI_PINS);
}
