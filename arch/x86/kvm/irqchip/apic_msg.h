/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The message that a source of interrupts (MSI, IOAPIC, another processor) sends to local APICs.
 * See apic_msg.c.
 */
#ifndef KVM_APIC_MSG_H
#define KVM_APIC_MSG_H

#include "apic_types.h"

/* Delivery mode, with the numbers that ICR, MSI data, redirection entries and LVTs share */
enum apic_msg_mode {
	APIC_MSG_FIXED		= 0,
	APIC_MSG_LOWEST		= 1,
	APIC_MSG_SMI		= 2,
	APIC_MSG_RESERVED	= 3,	/* remote read, of which nothing is left */
	APIC_MSG_NMI		= 4,
	APIC_MSG_INIT		= 5,
	APIC_MSG_STARTUP	= 6,
	APIC_MSG_EXTINT		= 7,
};

/* Shorthand, with ICR's numbers */
enum apic_msg_to {
	APIC_TO_DEST	= 0,
	APIC_TO_SELF	= 1,
	APIC_TO_ALL	= 2,
	APIC_TO_OTHERS	= 3,
};

#define APIC_BROADCAST8		0xffu
#define APIC_BROADCAST32	0xffffffffu

/*
 * An APIC in xAPIC mode takes dest 0xff for everybody. For one in x2APIC mode that is an ordinary
 * destination, unless dest8 says that the source had no more than eight bits to write it in.
 */
struct apic_msg {
	u32 dest;
	u8 mode;		/* enum apic_msg_mode */
	u8 vector;
	u8 to;			/* enum apic_msg_to */
	bool logical;
	bool level;		/* level-triggered */
	bool watched;		/* its sender waits for its end although it is an edge */
	bool assert;		/* a level-triggered message that does not assert says nothing */
	bool dest8;
};

/* How the destination of an MSI is to be read */
#define APIC_MSI_DEST32		(1u << 0)	/* KVM_X2APIC_API_USE_32BIT_IDS */
#define APIC_MSI_DEST15		(1u << 1)	/* KVM_FEATURE_MSI_EXT_DEST_ID */
#define APIC_MSI_NO_DEST8	(1u << 2)	/* KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK */

bool apic_msg_from_msi(struct apic_msg *msg, u64 address, u32 data, unsigned int flags);
void apic_msg_from_redirection(struct apic_msg *msg, u64 entry, bool dest8);
void apic_msg_from_icr(struct apic_msg *msg, u32 low, u32 dest, bool x2apic);

static inline bool apic_msg_watched(const struct apic_msg *msg)
{
	return msg->level || msg->watched;
}

/* Needs a vector, and goes through the IRR of who receives it. */
static inline bool apic_msg_has_vector(const struct apic_msg *msg)
{
	return msg->mode <= APIC_MSG_LOWEST;
}

#endif
