// SPDX-License-Identifier: GPL-2.0
/*
 * Finding the local APICs that a message is for, without asking each of them: tables from physical
 * and logical ids to entries, built once whenever an id, an LDR or a mode changes. Guests that mix
 * modes, give an id or a logical bit to two APICs, or several bits to one, are served by comparing
 * all entries, as are broadcasts. SDM volume 3, 11.6.2 and 11.12.10; APM volume 2, 16.6.1, 16.14.
 * Owns no memory; who replaces a map, and when the old one goes, is the caller's affair.
 */
#include "apic_map.h"

#define NO_ENTRY	0xffffu

/* Ids beyond this one are compared one by one. */
#define MAX_TABLE_ID	0xffffu

/* 16 clusters of 4 in xAPIC cluster mode; 8 bits in flat mode */
#define LOGICAL_SLOTS	64
#define CLUSTER_MEMBERS	4

struct apic_map {
	u32 count;
	u32 ids;			/* length of physical */
	u32 kinds;			/* a bit for each enum apic_match that occurs */
	bool physical_ok;		/* physical is the whole truth */
	bool logical_ok;		/* so is logical, for xAPIC modes */
	u16 logical[LOGICAL_SLOTS];
	u16 *physical;
	struct apic_map_entry entries[];
};

#define KIND(match)	(1u << (match))
#define XAPIC_KINDS	(KIND(APIC_MATCH_FLAT) | KIND(APIC_MATCH_CLUSTER))

static u32 physical_ids(const struct apic_map_entry *entries, u32 count)
{
	u32 max = 0, i;

	for (i = 0; i < count; i++) {
		if (entries[i].match == APIC_MATCH_NONE || entries[i].id > MAX_TABLE_ID)
			continue;
		if (entries[i].id > max)
			max = entries[i].id;
	}
	return max + 1;
}

size_t apic_map_size(const struct apic_map_entry *entries, u32 count)
{
	return sizeof(struct apic_map) + count * sizeof(*entries) +
	       physical_ids(entries, count) * sizeof(u16);
}

static void add_physical(struct apic_map *map, u32 number)
{
	u32 id = map->entries[number].id;

	if (id >= map->ids || map->physical[id] != NO_ENTRY)
		map->physical_ok = false;
	else
		map->physical[id] = number;
}

/* Which slot does an xAPIC's LDR stand for? -1: none, it cannot be addressed; -2: several */
static int logical_slot(const struct apic_map_entry *entry)
{
	u32 members = entry->ldr & 0xff, slot = 0;

	if (entry->match == APIC_MATCH_CLUSTER) {
		slot = (members >> 4) * CLUSTER_MEMBERS;
		members &= 0xf;
	}
	if (!members)
		return -1;
	if (members & (members - 1))
		return -2;
	return slot + apic_highest_bit(members);
}

static void add_logical(struct apic_map *map, u32 number)
{
	int slot;

	if (!(KIND(map->entries[number].match) & XAPIC_KINDS))
		return;

	slot = logical_slot(&map->entries[number]);
	if (slot == -1)
		return;
	if (slot < 0 || map->logical[slot] != NO_ENTRY)
		map->logical_ok = false;
	else
		map->logical[slot] = number;
}

struct apic_map *apic_map_build(void *memory, const struct apic_map_entry *entries, u32 count)
{
	struct apic_map *map = memory;
	u32 i;

	map->count = count;
	map->ids = physical_ids(entries, count);
	map->kinds = 0;
	map->physical_ok = true;
	map->logical_ok = true;
	map->physical = (u16 *)(map->entries + count);
	memcpy(map->entries, entries, count * sizeof(*entries));
	/* All ones is NO_ENTRY. */
	memset(map->physical, 0xff, map->ids * sizeof(u16));
	memset(map->logical, 0xff, sizeof(map->logical));

	for (i = 0; i < count; i++) {
		if (entries[i].match == APIC_MATCH_NONE)
			continue;
		map->kinds |= KIND(entries[i].match);
		add_physical(map, i);
		add_logical(map, i);
	}
	return map;
}

/* Everybody is meant, whatever the modes are. */
static bool is_broadcast(const struct apic_msg *msg)
{
	return msg->dest == APIC_BROADCAST32 || (msg->dest == APIC_BROADCAST8 && msg->dest8);
}

static bool matches_xapic(const struct apic_map_entry *entry, const struct apic_msg *msg)
{
	if (msg->dest == APIC_BROADCAST8)
		return true;
	if (msg->dest > APIC_BROADCAST8)
		return false;
	if (!msg->logical)
		return msg->dest == entry->id;
	if (entry->match == APIC_MATCH_FLAT)
		return msg->dest & entry->ldr;
	return !((msg->dest ^ entry->ldr) & 0xf0) && msg->dest & entry->ldr & 0xf;
}

static bool matches_x2apic(const struct apic_map_entry *entry, const struct apic_msg *msg)
{
	if (!msg->logical)
		return msg->dest == entry->id;
	return !((msg->dest ^ entry->ldr) >> 16) && msg->dest & entry->ldr & 0xffff;
}

bool apic_map_matches(const struct apic_map_entry *entry, const struct apic_msg *msg)
{
	if (entry->match == APIC_MATCH_NONE)
		return false;
	if (is_broadcast(msg))
		return true;
	if (entry->match == APIC_MATCH_X2APIC)
		return matches_x2apic(entry, msg);
	return matches_xapic(entry, msg);
}

static bool matches(const struct apic_dest *dest, u32 number)
{
	const struct apic_map_entry *entry = &dest->map->entries[number];

	switch (dest->msg->to) {
	case APIC_TO_DEST:
		return apic_map_matches(entry, dest->msg);
	case APIC_TO_OTHERS:
		return number != dest->self && entry->match != APIC_MATCH_NONE;
	default:
		return entry->match != APIC_MATCH_NONE;
	}
}

static void add_dest(struct apic_dest *dest, u32 number)
{
	if (number != NO_ENTRY)
		dest->entry[dest->count++] = number;
}

static void find_id(const struct apic_map *map, u32 id, struct apic_dest *dest)
{
	if (id < map->ids)
		add_dest(dest, map->physical[id]);
}

/* False: the table does not know, compare all. */
static bool find_physical(const struct apic_map *map, const struct apic_msg *msg,
			  struct apic_dest *dest)
{
	if (!map->physical_ok)
		return false;
	/* To xAPICs 0xff is everybody and no id has more than eight bits. */
	if (map->kinds & XAPIC_KINDS && msg->dest == APIC_BROADCAST8)
		return false;

	find_id(map, msg->dest, dest);
	return true;
}

/* The logical id of an x2APIC is made from its physical one. */
static bool find_cluster_x2apic(const struct apic_map *map, const struct apic_msg *msg,
				struct apic_dest *dest)
{
	u32 first = (msg->dest >> 16) * 16, members = msg->dest & 0xffff;

	if (!map->physical_ok)
		return false;

	for (; members; members &= members - 1)
		find_id(map, first + __builtin_ctz(members), dest);
	return true;
}

static bool find_logical(const struct apic_map *map, const struct apic_msg *msg,
			 struct apic_dest *dest)
{
	u32 slot = 0, members = msg->dest & 0xff;

	if (map->kinds == KIND(APIC_MATCH_X2APIC))
		return find_cluster_x2apic(map, msg, dest);
	if (!map->logical_ok || msg->dest == APIC_BROADCAST8)
		return false;
	/* Both xAPIC modes, or one and x2APIC: a destination means several things. */
	if (map->kinds & (map->kinds - 1))
		return false;
	if (msg->dest > APIC_BROADCAST8)
		return true;

	if (map->kinds == KIND(APIC_MATCH_CLUSTER)) {
		slot = (members >> 4) * CLUSTER_MEMBERS;
		members &= 0xf;
	}
	for (; members; members &= members - 1)
		add_dest(dest, map->logical[slot + __builtin_ctz(members)]);
	return true;
}

void apic_map_find(const struct apic_map *map, const struct apic_msg *msg, u32 self,
		   struct apic_dest *dest)
{
	dest->map = map;
	dest->msg = msg;
	dest->self = self;
	dest->next = 0;
	dest->count = 0;
	dest->scan = false;

	if (msg->to == APIC_TO_SELF) {
		if (self < map->count && map->entries[self].match != APIC_MATCH_NONE)
			add_dest(dest, self);
		return;
	}
	if (msg->to != APIC_TO_DEST || is_broadcast(msg))
		dest->scan = true;
	else if (msg->logical)
		dest->scan = !find_logical(map, msg, dest);
	else
		dest->scan = !find_physical(map, msg, dest);
}

/* The next destination, or -1 */
int apic_dest_next(struct apic_dest *dest)
{
	if (!dest->scan)
		return dest->next < dest->count ? dest->entry[dest->next++] : -1;

	while (dest->next < dest->map->count) {
		if (matches(dest, dest->next++))
			return dest->next - 1;
	}
	return -1;
}

static int next_enabled(struct apic_dest *dest)
{
	int number;

	do {
		number = apic_dest_next(dest);
	} while (number >= 0 && !dest->map->entries[number].enabled);
	return number;
}

int apic_map_only(const struct apic_map *map, const struct apic_msg *msg)
{
	struct apic_dest dest;
	int number;

	apic_map_find(map, msg, APIC_NOBODY, &dest);
	number = apic_dest_next(&dest);
	if (number < 0 || !map->entries[number].enabled || apic_dest_next(&dest) >= 0)
		return -1;
	return number;
}

static int choose_by_vector(struct apic_dest *dest, u8 vector)
{
	u32 count = 0, skip;
	int number;

	while (next_enabled(dest) >= 0)
		count++;
	if (!count)
		return -1;

	dest->next = 0;
	skip = vector % count;
	do {
		number = next_enabled(dest);
	} while (skip--);
	return number;
}

int apic_map_lowest(const struct apic_map *map, const struct apic_msg *msg, u32 self,
		    apic_priority_fn *priority, void *ctx)
{
	struct apic_dest dest;
	u32 value, best = 0;
	int number, chosen = -1;

	apic_map_find(map, msg, self, &dest);
	if (!priority)
		return choose_by_vector(&dest, msg->vector);

	while ((number = next_enabled(&dest)) >= 0) {
		value = priority(ctx, number);
		if (chosen >= 0 && value >= best)
			continue;
		chosen = number;
		best = value;
	}
	return chosen;
}
