// SPDX-License-Identifier: GPL-2.0
/*
 * Messages in their three formats, and the look-up of destinations, compared with a straight
 * reading of the manuals for one APIC at a time.
 */
#include <stdlib.h>

#include "apic_test.h"

#define MAX_APICS	400

static struct apic_map_entry apics[MAX_APICS];

void test_msg(void)
{
	struct apic_msg m;

	CHECK(apic_msg_from_msi(&m, 0xfee12000, 0x0031, 0));
	CHECK(m.dest == 0x12 && m.vector == 0x31 && m.mode == APIC_MSG_FIXED);
	CHECK(!m.logical && !m.level && m.assert && m.dest8 && m.to == APIC_TO_DEST);

	/* Redirection hint: one of a logical group, nothing for a physical destination */
	CHECK(apic_msg_from_msi(&m, 0xfee0300c, 0x0031, 0));
	CHECK(m.logical && m.mode == APIC_MSG_LOWEST && m.dest == 3);
	CHECK(apic_msg_from_msi(&m, 0xfee03008, 0x0031, 0));
	CHECK(!m.logical && m.mode == APIC_MSG_FIXED);
	CHECK(apic_msg_from_msi(&m, 0xfee0300c, 0x0431, 0));
	CHECK(m.mode == APIC_MSG_NMI);

	CHECK(apic_msg_from_msi(&m, 0xfee00000, 0xc140, 0));
	CHECK(m.level && m.assert && m.mode == APIC_MSG_LOWEST && m.vector == 0x40);
	/* An IOAPIC of the VMM's leaves the level bit clear: its messages assert all the same. */
	CHECK(apic_msg_from_msi(&m, 0xfee00000, 0x8040, 0));
	CHECK(m.level && m.assert);

	/* Wider destinations */
	CHECK(apic_msg_from_msi(&m, 0x12345600fee78000, 0x31, APIC_MSI_DEST32));
	CHECK(m.dest == 0x12345678);
	CHECK(apic_msg_from_msi(&m, 0x12345600fee78000, 0x31, 0));
	CHECK(m.dest == 0x78);
	CHECK(!apic_msg_from_msi(&m, 0x00000001fee78000, 0x31, APIC_MSI_DEST32));
	CHECK(apic_msg_from_msi(&m, 0xfee01fe0, 0x31, APIC_MSI_DEST15));
	CHECK(m.dest == 0x7f01);
	CHECK(apic_msg_from_msi(&m, 0xfeeff000, 0x31, APIC_MSI_DEST32 | APIC_MSI_NO_DEST8));
	CHECK(m.dest == 0xff && !m.dest8);

	apic_msg_from_redirection(&m, 0x4500000000008952ull, true);
	CHECK(m.dest == 0x45 && m.vector == 0x52 && m.logical && m.level && m.assert);
	CHECK(m.mode == APIC_MSG_LOWEST && m.dest8);
	apic_msg_from_redirection(&m, 0x8400, false);
	CHECK(m.mode == APIC_MSG_NMI && !m.level && !m.dest8);

	apic_msg_from_icr(&m, 0x000c4830, 0x12, false);
	CHECK(m.to == APIC_TO_OTHERS && m.vector == 0x30 && m.logical && m.dest == 0x12 && m.dest8);
	apic_msg_from_icr(&m, 0x00004500, 0x12345, true);
	CHECK(m.mode == APIC_MSG_INIT && m.dest == 0x12345 && !m.dest8 && m.assert);
	apic_msg_from_icr(&m, 0x00008500, 1, false);
	CHECK(m.mode == APIC_MSG_INIT && m.level && !m.assert);
	apic_msg_from_icr(&m, 0x00044041, 1, false);
	CHECK(m.to == APIC_TO_SELF);
	apic_msg_from_icr(&m, 0x00080641, 1, false);
	CHECK(m.to == APIC_TO_ALL && m.mode == APIC_MSG_STARTUP);
}

/* Written without a look at apic_map_matches() */
static bool reference(const struct apic_map_entry *e, const struct apic_msg *m, u32 number,
		      u32 self)
{
	u32 i;

	if (e->match == APIC_MATCH_NONE)
		return false;
	if (m->to != APIC_TO_DEST)
		return m->to == APIC_TO_ALL || (m->to == APIC_TO_SELF) == (number == self);
	if (m->dest == 0xffffffff)
		return true;

	if (e->match == APIC_MATCH_X2APIC) {
		if (m->dest == 0xff && m->dest8)
			return true;
		if (!m->logical)
			return e->id == m->dest;
		for (i = 0; i < 16; i++) {
			if (m->dest >> i & 1 && e->id == (m->dest >> 16) * 16 + i)
				return true;
		}
		return false;
	}

	if (m->dest >= 0x100)
		return false;
	if (m->dest == 0xff)
		return true;
	if (!m->logical)
		return e->id == m->dest;
	if (e->match == APIC_MATCH_FLAT)
		return (e->ldr & m->dest) != 0;
	return e->ldr / 16 == m->dest / 16 && (e->ldr % 16 & m->dest % 16) != 0;
}

static u32 some_ldr(u32 match, u32 id, u32 style)
{
	if (match == APIC_MATCH_X2APIC)
		return id / 16 << 16 | 1u << id % 16;
	if (style > 1)
		return random_below(2) ? random_below(256) : id % 4 << 4 | 1u << id % 4;
	if (match == APIC_MATCH_FLAT)
		return id < 8 ? 1u << id : 0;
	return id < 60 ? id / 4 << 4 | 1u << id % 4 : 0;
}

/*
 * Style 0: all alike, as sane guests do it; 1: modes mixed; 2: ids and LDRs as they come; 3:
 * likewise, but all in one mode
 */
static void make_apics(u32 count, u32 style)
{
	u32 match = 1 + random_below(3), i;

	for (i = 0; i < count; i++) {
		if (style == 1 || style == 2)
			match = random_below(8) ? 1 + random_below(3) : APIC_MATCH_NONE;
		apics[i].match = match;
		apics[i].enabled = random_below(4) != 0;
		apics[i].id = style > 1 && !random_below(4) ? random_below(70000) : i;
		if (match == APIC_MATCH_FLAT || match == APIC_MATCH_CLUSTER)
			apics[i].id &= 0xff;
		apics[i].ldr = some_ldr(match, apics[i].id, style);
	}
}

static struct apic_msg some_msg(u32 count)
{
	struct apic_msg m = { .assert = true, .vector = random_below(256) };

	m.logical = random_below(2);
	m.dest8 = random_below(2);
	m.to = random_below(4) ? APIC_TO_DEST : random_below(4);
	switch (random_below(5)) {
	case 0:
		m.dest = random_below(count + 2);
		break;
	case 1:
		m.dest = random_below(256);
		break;
	case 2:
		m.dest = random_below(24) << 16 | random_below(0x10000);
		break;
	case 3:
		m.dest = 0xff;
		break;
	default:
		m.dest = random_below(3) ? apics[random_below(count)].id : ~0u;
	}
	return m;
}

static u32 busy_priority(void *ctx, u32 entry)
{
	const u32 *priority = ctx;

	return priority[entry];
}

static void check_lowest(const struct apic_map *map, const struct apic_msg *m, u32 count, u32 self)
{
	u32 priority[MAX_APICS], i, lowest = ~0u, candidates = 0;
	int chosen;

	for (i = 0; i < count; i++) {
		priority[i] = random_below(200);
		if (!apics[i].enabled || !reference(&apics[i], m, i, self))
			continue;
		candidates++;
		if (priority[i] < lowest)
			lowest = priority[i];
	}

	chosen = apic_map_lowest(map, m, self, busy_priority, priority);
	CHECK((chosen >= 0) == (candidates > 0));
	if (chosen >= 0)
		CHECK(priority[chosen] == lowest && apics[chosen].enabled &&
		      reference(&apics[chosen], m, chosen, self));

	chosen = apic_map_lowest(map, m, self, NULL, NULL);
	CHECK((chosen >= 0) == (candidates > 0));
	if (chosen >= 0)
		CHECK(apics[chosen].enabled && reference(&apics[chosen], m, chosen, self));
	CHECK(chosen == apic_map_lowest(map, m, self, NULL, NULL));
}

static void compare(const struct apic_map *map, const struct apic_msg *m, u32 count, u32 self)
{
	bool found[MAX_APICS] = { false }, twice = false, same = true;
	struct apic_dest dest;
	u32 i;
	int n;

	apic_map_find(map, m, self, &dest);
	while ((n = apic_dest_next(&dest)) >= 0) {
		twice |= found[n];
		found[n] = true;
	}
	for (i = 0; i < count; i++)
		same &= found[i] == reference(&apics[i], m, i, self) &&
			(m->to || found[i] == apic_map_matches(&apics[i], m));
	CHECK(same);
	CHECK(!twice);
}

static void random_map(u32 count, u32 style)
{
	struct apic_map *map;
	struct apic_msg m;
	void *memory;
	u32 self, i;

	make_apics(count, style);
	memory = malloc(apic_map_size(apics, count));
	map = apic_map_build(memory, apics, count);
	for (i = 0; i < 200; i++) {
		m = some_msg(count);
		self = random_below(8) ? random_below(count) : APIC_NOBODY;
		compare(map, &m, count, self);
		check_lowest(map, &m, count, self);
	}
	free(memory);
}

/* Hashing spreads vectors evenly, and look-ups do not compare all entries. */
static void large_map(void)
{
	struct apic_msg m = { .assert = true, .logical = true, .dest = 18u << 16 | 0xfff };
	u32 hits[MAX_APICS] = { 0 }, i;
	struct apic_dest dest;
	struct apic_map *map;
	void *memory;
	int n, lo = 256, hi = 0;

	for (i = 0; i < 300; i++)
		apics[i] = (struct apic_map_entry) {
			.id = i, .ldr = i / 16 << 16 | 1u << i % 16,
			.match = APIC_MATCH_X2APIC, .enabled = true,
		};
	memory = malloc(apic_map_size(apics, 300));
	map = apic_map_build(memory, apics, 300);

	apic_map_find(map, &m, APIC_NOBODY, &dest);
	CHECK(!dest.scan && dest.count == 12);
	for (i = 0; i < 256; i++) {
		m.vector = i;
		n = apic_map_lowest(map, &m, APIC_NOBODY, NULL, NULL);
		CHECK(n >= 288 && n < 300);
		hits[n]++;
	}
	for (i = 288; i < 300; i++) {
		lo = (int)hits[i] < lo ? (int)hits[i] : lo;
		hi = (int)hits[i] > hi ? (int)hits[i] : hi;
	}
	CHECK(hi - lo <= 1);

	m = (struct apic_msg) { .assert = true, .dest = 299 };
	apic_map_find(map, &m, APIC_NOBODY, &dest);
	CHECK(!dest.scan && dest.count == 1 && dest.entry[0] == 299);
	m.dest = 255;
	m.dest8 = false;
	apic_map_find(map, &m, APIC_NOBODY, &dest);
	CHECK(!dest.scan && dest.count == 1 && dest.entry[0] == 255);
	m.dest8 = true;
	for (i = 0, apic_map_find(map, &m, APIC_NOBODY, &dest); apic_dest_next(&dest) >= 0; i++)
		;
	CHECK(i == 300);
	free(memory);
}

static void small_maps(void)
{
	struct apic_msg m = { .assert = true, .logical = true, .dest = 0x05 };
	struct apic_dest dest;
	struct apic_map *map;
	void *memory;
	u32 i;

	for (i = 0; i < 4; i++)
		apics[i] = (struct apic_map_entry) {
			.id = i, .ldr = 1u << i, .match = APIC_MATCH_FLAT, .enabled = true,
		};
	memory = malloc(apic_map_size(apics, 4));
	map = apic_map_build(memory, apics, 4);
	apic_map_find(map, &m, APIC_NOBODY, &dest);
	CHECK(!dest.scan && dest.count == 2 && dest.entry[0] == 0 && dest.entry[1] == 2);
	CHECK(apic_map_only(map, &m) == -1);
	m.dest = 0x04;
	CHECK(apic_map_only(map, &m) == 2);
	m = (struct apic_msg) { .assert = true, .dest = 3 };
	CHECK(apic_map_only(map, &m) == 3);
	m.dest = 4;
	CHECK(apic_map_only(map, &m) == -1);
	m.dest = APIC_BROADCAST8;
	CHECK(apic_map_only(map, &m) == -1);
	m.dest = 3;
	apics[3].enabled = false;
	map = apic_map_build(memory, apics, 4);
	CHECK(apic_map_only(map, &m) == -1);
	apics[3].enabled = true;
	apics[1].id = 3;
	map = apic_map_build(memory, apics, 4);
	CHECK(apic_map_only(map, &m) == -1);
	m = (struct apic_msg) { .assert = true, .logical = true, .dest = 0x05 };

	for (i = 0; i < 4; i++) {
		apics[i].match = APIC_MATCH_CLUSTER;
		apics[i].ldr = 0x20 | 1u << i;
	}
	map = apic_map_build(memory, apics, 4);
	apic_map_find(map, &m, APIC_NOBODY, &dest);
	CHECK(!dest.scan && dest.count == 0);
	m.dest = 0x2c;
	apic_map_find(map, &m, APIC_NOBODY, &dest);
	CHECK(!dest.scan && dest.count == 2 && dest.entry[0] == 2 && dest.entry[1] == 3);

	/* No id makes a map large. */
	apics[3].id = ~0u;
	CHECK(apic_map_size(apics, 4) < 1000);

	map = apic_map_build(memory, apics, 0);
	apic_map_find(map, &m, 7, &dest);
	CHECK(apic_dest_next(&dest) == -1);
	CHECK(apic_map_lowest(map, &m, 7, NULL, NULL) == -1);
	free(memory);
}

void test_map(unsigned long rounds)
{
	unsigned long i;

	small_maps();
	large_map();
	for (i = 0; i < rounds; i++) {
		random_map(1 + random_below(20), i % 4);
		if (i % 8 == 0)
			random_map(300, i / 8 % 4);
	}
}
