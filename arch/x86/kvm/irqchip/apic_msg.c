// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupt messages: what the formats of MSI (SDM volume 3, 11.11), of the IOAPIC's redirection
 * entries (82093AA, 3.2.4) and of the interrupt command register (SDM volume 3, 11.6.1; APM volume
 * 2, 16.5) have in common. Knows nothing of who receives them.
 */
#include "apic_msg.h"

/* Address of an MSI */
#define MSI_LOGICAL		(1u << 2)
#define MSI_REDIRECT		(1u << 3)
#define MSI_DEST15_SHIFT	5
#define MSI_DEST15_MASK		0x7fu
#define MSI_DEST_SHIFT		12

/* Data of an MSI; the low half of an ICR and of a redirection entry begins alike. */
#define DATA_MODE_SHIFT		8
#define DATA_LOGICAL		(1u << 11)
#define DATA_ASSERT		(1u << 14)
#define DATA_LEVEL		(1u << 15)

#define ICR_TO_SHIFT		18
#define RTE_DEST_SHIFT		56

/*
 * False: bits that are reserved are set. Where ids have 32 bits, the upper half of the address
 * holds 31:8 of the destination in place.
 */
bool apic_msg_from_msi(struct apic_msg *msg, u64 address, u32 data, unsigned int flags)
{
	u32 low = address, high = address >> 32;
	bool redirect = low & MSI_REDIRECT;

	*msg = (struct apic_msg) {
		.dest = low >> MSI_DEST_SHIFT & 0xff,
		.mode = data >> DATA_MODE_SHIFT & 7,
		.vector = data,
		.logical = low & MSI_LOGICAL,
		.level = data & DATA_LEVEL,
		/*
		 * A message is sent when a line is asserted, never when it is deasserted: an
		 * IOAPIC in the VMM leaves bit 14 clear in its level-triggered messages.
		 */
		.assert = true,
		.dest8 = !(flags & APIC_MSI_NO_DEST8),
	};

	if (flags & APIC_MSI_DEST15)
		msg->dest |= (low >> MSI_DEST15_SHIFT & MSI_DEST15_MASK) << 8;
	if (flags & APIC_MSI_DEST32) {
		if (high & 0xff)
			return false;
		msg->dest |= high;
	}

	/* The redirection hint asks for one of a group; a physical destination is no group. */
	if (redirect && msg->logical && msg->mode == APIC_MSG_FIXED)
		msg->mode = APIC_MSG_LOWEST;
	return true;
}

/* SMI, NMI, INIT and ExtINT are edges, whatever the entry says. */
void apic_msg_from_redirection(struct apic_msg *msg, u64 entry, bool dest8)
{
	*msg = (struct apic_msg) {
		.dest = entry >> RTE_DEST_SHIFT,
		.mode = entry >> DATA_MODE_SHIFT & 7,
		.vector = entry,
		.logical = entry & DATA_LOGICAL,
		.level = entry & DATA_LEVEL,
		.assert = true,
		.dest8 = dest8,
	};
	if (!apic_msg_has_vector(msg))
		msg->level = false;
}

/* dest is what the mode's register has: eight bits, or 32. */
void apic_msg_from_icr(struct apic_msg *msg, u32 low, u32 dest, bool x2apic)
{
	*msg = (struct apic_msg) {
		.dest = dest,
		.mode = low >> DATA_MODE_SHIFT & 7,
		.vector = low,
		.to = low >> ICR_TO_SHIFT & 3,
		.logical = low & DATA_LOGICAL,
		.level = low & DATA_LEVEL,
		.assert = !(low & DATA_LEVEL) || low & DATA_ASSERT,
		.dest8 = !x2apic,
	};
}
