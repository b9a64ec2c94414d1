/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One 82093AA I/O APIC as a state machine. See ioapic.c.
 *
 * There is no locking here: whoever owns a struct ioapic serializes all calls. The deliver function
 * is called from within them and must not call back.
 */
#ifndef KVM_IOAPIC_H
#define KVM_IOAPIC_H

#include <asm/kvm.h>

#include "apic_msg.h"

#define IOAPIC_PINS		KVM_IOAPIC_NUM_PINS
#define IOAPIC_DEFAULT_BASE	0xfec00000u
#define IOAPIC_WINDOW		0x100u		/* bytes of registers at base_address */
#define IOAPIC_SOURCES		64

/* A redirection entry */
#define IOAPIC_RTE_VECTOR	0xffull
#define IOAPIC_RTE_MODE		(7ull << 8)
#define IOAPIC_RTE_LOGICAL	(1ull << 11)
#define IOAPIC_RTE_BUSY		(1ull << 12)
#define IOAPIC_RTE_LOW_ACTIVE	(1ull << 13)
#define IOAPIC_RTE_REMOTE_IRR	(1ull << 14)
#define IOAPIC_RTE_LEVEL	(1ull << 15)
#define IOAPIC_RTE_MASKED	(1ull << 16)
#define IOAPIC_RTE_DEST		(0xffull << 56)

/*
 * What has become of an interrupt, as KVM_IRQ_LINE_STATUS reports it; a larger number says how many
 * processors have got it.
 */
enum ioapic_status {
	IOAPIC_IGNORED = -1,		/* masked, or nobody took it */
	IOAPIC_COALESCED = 0,		/* an earlier one is still pending */
	IOAPIC_DELIVERED = 1,
};

typedef int ioapic_deliver_fn(void *ctx, unsigned int pin, const struct apic_msg *msg);

struct ioapic_config {
	ioapic_deliver_fn *deliver;	/* returns an enum ioapic_status */
	void *ctx;
	bool eoi_register;		/* version 0x20 instead of 0x11 */
	bool no_dest8;			/* dest 0xff is not everybody for an x2APIC */
	u32 storm_limit;		/* deliveries on EOI in a row before a delay, 0: no limit */
};

struct ioapic {
	struct ioapic_config config;
	u64 base_address;
	u64 rte[IOAPIC_PINS];
	u64 lines[IOAPIC_PINS];		/* sources that assert the pin, a bit each */
	u32 high;			/* pins that are asserted */
	u32 edges;			/* edge-triggered pins whose edge has not been delivered */
	u32 delayed;			/* pins that wait for ioapic_service() */
	u32 storm[IOAPIC_PINS];		/* deliveries on EOI while the pin stayed asserted */
	u8 ioregsel;
	u8 id;
};

/* ioapic_write() returns pins that got an EOI, to be treated as ioapic_eoi()'s, and a flag. */
#define IOAPIC_EOI_PINS		((1u << IOAPIC_PINS) - 1)
#define IOAPIC_ROUTES_CHANGED	(1u << 31)	/* vector, destination, trigger or mask of a pin */

void ioapic_init(struct ioapic *io, const struct ioapic_config *config);
void ioapic_reset(struct ioapic *io);

/* Any offset, any length from 1 to 8 */
u64 ioapic_read(const struct ioapic *io, u32 offset, unsigned int len);
u32 ioapic_write(struct ioapic *io, u32 offset, unsigned int len, u64 val);

int ioapic_set_line(struct ioapic *io, unsigned int pin, unsigned int source, bool level);
void ioapic_drop_source(struct ioapic *io, unsigned int source);

/*
 * An EOI has three steps. ioapic_eoi() tells whose interrupt has ended; the owner tells those who
 * want to know, and they may lower their lines; ioapic_after_eoi() delivers what is still asserted,
 * and returns pins that storm: for those the owner calls ioapic_service() some time later.
 */
u32 ioapic_eoi(struct ioapic *io, u8 vector);
u32 ioapic_after_eoi(struct ioapic *io, u32 pins);

/* Deliver what is asserted and waits: after a delay, or when APICs that refused have changed. */
void ioapic_service(struct ioapic *io, u32 pins);

/* Pins with this vector whose interrupts end with an EOI */
u32 ioapic_level_pins(const struct ioapic *io, u8 vector);

void ioapic_get_state(const struct ioapic *io, struct kvm_ioapic_state *state);
void ioapic_set_state(struct ioapic *io, const struct kvm_ioapic_state *state);

#endif
