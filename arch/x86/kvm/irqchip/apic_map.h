/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which of a VM's local APICs does a message go to? See apic_map.c.
 */
#ifndef KVM_APIC_MAP_H
#define KVM_APIC_MAP_H

#include "apic_msg.h"

/* How an APIC compares destinations */
enum apic_match {
	APIC_MATCH_NONE,	/* there is none, or it is disabled by its base MSR */
	APIC_MATCH_FLAT,
	APIC_MATCH_CLUSTER,
	APIC_MATCH_X2APIC,
};

struct apic_map_entry {
	u32 id;			/* 8 bits in xAPIC mode */
	u32 ldr;		/* in xAPIC mode the byte that is 31:24 of the register */
	u8 match;		/* enum apic_match */
	bool enabled;		/* by software too: takes part in lowest priority arbitration */
};

#define APIC_MAP_MAX_ENTRIES	0xfffeu

/* Destinations of one logical message at most, as long as it is not for everybody */
#define APIC_DEST_MAX		16

/*
 * The destinations of one message, by number of their entry. Valid as long as map and message are.
 */
struct apic_dest {
	const struct apic_map *map;
	const struct apic_msg *msg;
	u32 self;		/* entry of the sender, or APIC_NOBODY */
	u32 next;		/* where apic_dest_next() goes on */
	bool scan;		/* compare all entries; otherwise those listed are it */
	u8 count;
	u16 entry[APIC_DEST_MAX];
};

#define APIC_NOBODY		0xffffffffu

/*
 * A map is built in memory that the caller brings, zeroed or not, and never changes after that.
 * Number i of entries is what look-ups return for that APIC.
 */
size_t apic_map_size(const struct apic_map_entry *entries, u32 count);
struct apic_map *apic_map_build(void *memory, const struct apic_map_entry *entries, u32 count);

void apic_map_find(const struct apic_map *map, const struct apic_msg *msg, u32 self,
		   struct apic_dest *dest);
int apic_dest_next(struct apic_dest *dest);

/* The entry that the message is for if it is for one alone, and that is enabled; or -1. */
int apic_map_only(const struct apic_map *map, const struct apic_msg *msg);

/*
 * Who gets a lowest priority message: an entry, or -1. With a priority function the enabled
 * destination with the smallest value, the first of several; the owner may put a count of earlier
 * deliveries below the priority to spread them. Without one, the vector chooses among the enabled
 * destinations, always the same as long as they are.
 */
typedef u32 apic_priority_fn(void *ctx, u32 entry);
int apic_map_lowest(const struct apic_map *map, const struct apic_msg *msg, u32 self,
		    apic_priority_fn *priority, void *ctx);

/* How one APIC compares: the rule that all of the above is a short cut for */
bool apic_map_matches(const struct apic_map_entry *entry, const struct apic_msg *msg);

#endif
