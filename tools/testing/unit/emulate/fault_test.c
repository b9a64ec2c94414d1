// SPDX-License-Identifier: GPL-2.0
/*
 * Faults and restarting: limits, canonical addresses, division, prefixes that are not allowed, the
 * length limit; and that an instruction that waits, loses a race or faults has changed nothing.
 */
#include <string.h>

#include "machine.h"

static struct machine m;

#define RUN(...) machine_run(&m, BYTES(__VA_ARGS__))

static bool faults(int rc, u8 vector)
{
	return rc == EMU_FAULT && m.emu.fault.vector == vector && m.emu.rip == CODE;
}

static int read_at(u64 address)
{
	m.gpr[EMU_RBX] = address;
	m.emu.rip = CODE;
	return RUN(0x8b, 0x03);
}

static int write_at(u64 address)
{
	m.gpr[EMU_RBX] = address;
	m.emu.rip = CODE;
	return RUN(0x89, 0x03);
}

static void test_limits(void)
{
	group_begin("segment limits and types");
	machine_reset(&m, EMU_PROT32);
	m.seg[EMU_DS].limit = 0x8003;
	CHECK(read_at(0x8000) == EMU_DONE, "last");
	CHECK(faults(read_at(0x8001), 13) && m.emu.fault.has_error && !m.emu.fault.error, "beyond");
	CHECK(faults(read_at(0xfffffffe), 13), "around the end");
	m.seg[EMU_DS].attr |= EMU_ATTR_DOWN;
	CHECK(faults(read_at(0x8003), 13), "expand-down");
	CHECK(read_at(0x8004) == EMU_DONE, "expand-down");
	m.seg[EMU_DS].limit = 0xf000;
	m.seg[EMU_DS].attr &= ~EMU_ATTR_DB;
	CHECK(read_at(0xfffc) == EMU_DONE, "16-bit expand-down");
	CHECK(faults(read_at(0xfffd), 13), "16-bit expand-down");
	m.seg[EMU_DS].attr = EMU_ATTR_P | EMU_ATTR_S;
	m.seg[EMU_DS].limit = 0xffffffff;
	CHECK(read_at(DATA) == EMU_DONE && faults(write_at(DATA), 13), "read-only");
	m.seg[EMU_DS].attr |= EMU_ATTR_CODE;
	CHECK(faults(read_at(DATA), 13), "execute-only");
	m.seg[EMU_DS].attr |= EMU_ATTR_WRITE;
	CHECK(read_at(DATA) == EMU_DONE && faults(write_at(DATA), 13), "code");
	m.seg[EMU_DS].attr = 0;
	CHECK(faults(read_at(DATA), 13), "null");
	m.seg[EMU_SS].limit = 0xfff;
	m.emu.rip = CODE;
	CHECK(faults(RUN(0x36, 0x8b, 0x03), 12) && m.emu.fault.has_error, "stack");
	CHECK(RUN(0x8b, 0x45, 0x00) == EMU_DONE, "stack by default, in range");
	m.emu.rip = CODE;
	m.gpr[EMU_RBP] = 0x1000;
	CHECK(faults(RUN(0x8b, 0x45, 0x00), 12), "stack by default");
	m.gpr[EMU_RSP] = 0x2000;
	CHECK(faults(RUN(0x50), 12), "push");
	CHECK(faults(RUN(0x58), 12), "pop");
	m.seg[EMU_CS].limit = CODE + 1;
	CHECK(faults(RUN(0xb8, 1, 2, 3, 4), 13), "instruction across the limit");
	CHECK(RUN(0x31, 0xc0) == EMU_DONE, "instruction up to the limit");

	machine_reset(&m, EMU_REAL);
	m.gpr[EMU_RBX] = 0xffff;
	CHECK(faults(RUN(0x8b, 0x07), 13) && !m.emu.fault.has_error, "real mode, word at ffff");
	CHECK(RUN(0x8a, 0x07) == EMU_DONE, "real mode, byte at ffff");
	m.emu.rip = CODE;
	m.seg[EMU_DS].limit = 0xffffffff;
	m.gpr[EMU_RBX] = 0x20000;
	CHECK(RUN(0x67, 0x8b, 0x03) == EMU_DONE, "real mode with a big segment");
	m.emu.rip = CODE;
	m.gpr[EMU_RBP] = 0xffff;
	CHECK(faults(RUN(0x8b, 0x46, 0x00), 12), "real mode, stack");
	group_end();
}

static void test_canonical(void)
{
	group_begin("canonical addresses");
	machine_reset(&m, EMU_LONG64);
	CHECK(faults(read_at(1ull << 47), 13), "data");
	CHECK(faults(read_at((1ull << 47) - 2), 13), "data across the edge");
	CHECK(faults(write_at(0xffff7fffffffffff), 13), "upper edge");
	m.gpr[EMU_RBP] = 1ull << 63;
	CHECK(faults(RUN(0x8b, 0x45, 0x00), 12), "stack");
	m.gpr[EMU_RSP] = 1ull << 47;
	CHECK(faults(RUN(0x58), 12), "pop");
	m.seg[EMU_GS].base = 0xffff800000000000;
	m.gpr[EMU_RBX] = -0x800000000000ull - 1;
	CHECK(faults(RUN(0x65, 0x8b, 0x03), 13), "with the base of GS");
	m.cr[4] |= 1 << 12;
	CHECK(read_at(1ull << 47) == EMU_FAULT && m.emu.fault.vector == 14, "with 5 levels");
	CHECK(faults(read_at(1ull << 56), 13), "with 5 levels");
	m.emu.rip = CODE;
	m.seg[EMU_GS].base = DATA;
	m.gpr[EMU_RBX] = 8;
	machine_poke(&m, DATA + 8, 0x77, 1);
	CHECK(RUN(0x65, 0x8b, 0x03) == EMU_DONE && m.gpr[EMU_RAX] == 0x77, "base of GS");
	m.emu.rip = CODE;
	m.seg[EMU_DS].base = DATA;
	m.gpr[EMU_RBX] = DATA;
	CHECK(RUN(0x8b, 0x03) == EMU_DONE, "base of DS ignored");
	m.emu.rip = 1ull << 57;
	m.emu.insn.available = 0;
	m.emu.seg_valid = 0;
	CHECK(emu_decode(&m.emu) == EMU_FAULT && m.emu.fault.vector == 13, "rip");
	group_end();
}

static void test_division(void)
{
	group_begin("division");
	machine_reset(&m, EMU_LONG64);
	CHECK(faults(RUN(0xf7, 0xf3), 0), "by zero");
	CHECK(faults(RUN(0x48, 0xf7, 0xfb), 0), "by zero, signed");
	m.gpr[EMU_RBX] = 1;
	m.gpr[EMU_RDX] = 1;
	CHECK(faults(RUN(0x48, 0xf7, 0xf3), 0), "overflow");
	m.gpr[EMU_RAX] = 1ull << 63;
	m.gpr[EMU_RDX] = ~0ull;
	m.gpr[EMU_RBX] = ~0ull;
	CHECK(faults(RUN(0x48, 0xf7, 0xfb), 0), "lowest by -1");
	m.gpr[EMU_RDX] = 1ull << 63;
	m.gpr[EMU_RAX] = 0;
	m.gpr[EMU_RBX] = 1ull << 63;
	CHECK(faults(RUN(0x48, 0xf7, 0xfb), 0), "lowest by lowest");
	m.gpr[EMU_RAX] = 0x80;
	m.gpr[EMU_RBX] = 1;
	CHECK(faults(RUN(0xf6, 0xfb), 0), "byte");
	CHECK(m.gpr[EMU_RAX] == 0x80 && !m.emu.fault.has_error, "nothing changed");
	m.emu.mode = EMU_PROT32;
	CHECK(faults(RUN(0xd4, 0x00), 0), "aam 0");
	group_end();
}

/*
 * In the kernel a quotient that does not fit, and is not noticed, would be the host's own #DE. So:
 * byte dividends by divisors at the edges, and quotients of 64 bits on either side of what
 * fits.
 */
static bool byte_division_right(u16 ax, u8 divisor, bool is_signed)
{
	int q = 0, r = 0, rc;
	bool fits = false;

	m.gpr[EMU_RAX] = ax;
	m.gpr[EMU_RBX] = divisor;
	m.emu.rip = CODE;
	rc = is_signed ? RUN(0xf6, 0xfb) : RUN(0xf6, 0xf3);

	if (divisor && is_signed) {
		q = (s16)ax / (s8)divisor;
		r = (s16)ax % (s8)divisor;
		fits = q == (s8)q;
	} else if (divisor) {
		q = ax / divisor;
		r = ax % divisor;
		fits = q <= 0xff;
	}
	if (!fits)
		return faults(rc, 0) && m.gpr[EMU_RAX] == ax;
	return rc == EMU_DONE && m.gpr[EMU_RAX] == ((u64)(r & 0xff) << 8 | (q & 0xff));
}

static bool wide_division_right(s64 quotient, int beyond, s64 divisor)
{
	__int128 q = (__int128)quotient + beyond, dividend = q * divisor;
	bool fits = q == (s64)q;
	int rc;

	m.gpr[EMU_RAX] = (u64)dividend;
	m.gpr[EMU_RDX] = (u64)(dividend >> 64);
	m.gpr[EMU_RBX] = divisor;
	m.emu.rip = CODE;
	rc = RUN(0x48, 0xf7, 0xfb);
	return fits ? rc == EMU_DONE && m.gpr[EMU_RAX] == (u64)q : faults(rc, 0);
}

static void test_division_edges(void)
{
	static const u8 divisors[] = { 0, 1, 2, 3, 0x7f, 0x80, 0x81, 0xfe, 0xff };
	static const s64 wide[] = { 1, -1, 2, -2, 3, -3, 10, -10, 0x7fffffffffffffff,
				    -0x7fffffffffffffff, -0x7fffffffffffffff - 1, 0x100000000 };
	unsigned int i, ax;
	int beyond;

	group_begin("division at the edges");
	machine_reset(&m, EMU_LONG64);
	for (i = 0; i < sizeof(divisors); i++) {
		for (ax = 0; ax < 0x10000; ax += 3)
			CHECK(byte_division_right(ax, divisors[i], true) &&
			      byte_division_right(ax, divisors[i], false),
			      "%x / %x", ax, divisors[i]);
	}
	for (i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
		for (beyond = -2; beyond <= 2; beyond++)
			CHECK(wide_division_right(0x7fffffffffffffff, beyond, wide[i]) &&
			      wide_division_right(-0x7fffffffffffffff - 1, beyond, wide[i]),
			      "quotient at the edge %+d, divisor %llx", beyond, wide[i]);
	}
	group_end();
}

/* NOP after some operand-size prefixes */
static int run_padded(unsigned int prefixes)
{
	u8 bytes[16];

	memset(bytes, 0x66, sizeof(bytes));
	bytes[prefixes] = 0x90;
	return machine_run(&m, bytes, prefixes + 1);
}

static void test_invalid(void)
{
	group_begin("invalid opcodes and the length limit");
	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RBX] = DATA;
	CHECK(faults(RUN(0xf0, 0x89, 0x03), 6), "lock mov");
	CHECK(faults(RUN(0xf0, 0x01, 0xc3), 6), "lock add to a register");
	CHECK(faults(RUN(0xf0, 0x03, 0x03), 6), "lock add from memory");
	CHECK(faults(RUN(0xf0, 0x39, 0x03), 6), "lock cmp");
	CHECK(faults(RUN(0xf0, 0x83, 0x3b, 0x01), 6), "lock cmp imm");
	CHECK(faults(RUN(0xf0, 0x90), 6), "lock nop");
	CHECK(faults(RUN(0xf0, 0x0f, 0xa3, 0x03), 6), "lock bt");
	CHECK(faults(RUN(0xf0, 0xd1, 0x23), 6), "lock shl");
	CHECK(faults(RUN(0xf0, 0xf6, 0x23), 6), "lock mul");
	CHECK(RUN(0xf0, 0xf6, 0x13) == EMU_DONE, "lock not");
	m.emu.rip = CODE;
	CHECK(RUN(0xf0, 0x86, 0x03) == EMU_DONE, "lock xchg");
	m.emu.rip = CODE;
	CHECK(faults(RUN(0x0f, 0x0b), 6), "ud2");
	CHECK(faults(RUN(0x0f, 0xff, 0xc0), 6), "ud0");
	CHECK(faults(RUN(0x06), 6), "push es in 64-bit mode");
	CHECK(faults(RUN(0xea, 1, 2, 3, 4, 5, 6), 6), "jmp far in 64-bit mode");
	CHECK(faults(RUN(0xd5, 0x0a), 6), "aad in 64-bit mode");
	CHECK(faults(RUN(0x8d, 0xc0), 6), "lea of a register");
	CHECK(faults(RUN(0xff, 0xf8), 6), "ff /7");
	CHECK(faults(RUN(0xff, 0xe8), 6), "jmp far to a register");
	CHECK(faults(RUN(0xfe, 0xd0), 6), "fe /2");
	CHECK(faults(RUN(0x0f, 0xc7, 0xc8), 6), "cmpxchg8b of a register");
	CHECK(faults(RUN(0x0f, 0xba, 0xc0, 1), 6), "0f ba /0");
	CHECK(faults(run_padded(15), 13), "16 bytes");
	CHECK(run_padded(14) == EMU_DONE, "15 bytes");
	CHECK(RUN(0xd9, 0xe8) == EMU_UNHANDLED, "x87");
	CHECK(RUN(0x0f, 0x58, 0xc1) == EMU_UNHANDLED, "addps");
	CHECK(RUN(0xc5, 0xf8, 0x77) == EMU_UNHANDLED, "vzeroupper");
	machine_reset(&m, EMU_REAL);
	CHECK(faults(RUN(0xf0, 0x89, 0x07), 6), "lock mov");
	CHECK(faults(RUN(0x63, 0xc0), 6), "arpl");
	group_end();
}

/* Whatever goes wrong, registers, flags and memory are as before. */
static void test_nothing_changes(void)
{
	static const struct { const char *name, *bytes; u8 n; } cases[] = {
		{ "add", "\x48\x01\x03", 3 },
		{ "xchg", "\x48\x87\x03", 3 },
		{ "xadd", "\x0f\xc1\x03", 3 },
		{ "cmpxchg", "\x0f\xb1\x03", 3 },
		{ "pop", "\x8f\x03", 2 },
		{ "push", "\xff\x33", 2 },
		{ "inc", "\xff\x03", 2 },
		{ "shl", "\xd1\x23", 2 },
		{ "shld", "\x0f\xa4\x03\x03", 4 },
		{ "movs", "\xa5", 1 },
		{ "stos", "\xab", 1 },
		{ "setz", "\x0f\x94\x03", 3 },
		{ "cmpxchg8b", "\x0f\xc7\x0b", 3 },
		{ "call", "\xff\x13", 2 },
		{ "mov", "\x89\x03", 2 },
		{ "bts", "\x0f\xab\x13", 3 },
		{ "not", "\xf6\x13", 2 },
		{ "lock inc", "\xf0\xff\x03", 3 },
		{ "movbe", "\x0f\x38\xf1\x03", 4 },
		{ "sgdt", "\x0f\x01\x03", 3 },
	};
	static struct machine before;
	unsigned int i;

	group_begin("a fault changes nothing");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		machine_reset(&m, EMU_LONG64);
		m.emu.rflags = 0x8d7;
		m.gpr[EMU_RBX] = DATA;
		m.gpr[EMU_RSI] = DATA;
		m.gpr[EMU_RDI] = DATA;
		m.gpr[EMU_RAX] = 0x1111;
		m.gpr[EMU_RDX] = 5;
		m.absent[DATA / 4096] = true;
		machine_code(&m, cases[i].bytes, cases[i].n);
		before = m;
		CHECK(faults(machine_run(&m, cases[i].bytes, cases[i].n), 14), "%s", cases[i].name);
		CHECK(m.emu.fault.address == DATA, "%s: cr2 %llx", cases[i].name,
		      m.emu.fault.address);
		CHECK(!memcmp(m.gpr, before.gpr, sizeof(m.gpr)) &&
		      m.emu.rflags == before.emu.rflags &&
		      !memcmp(m.ram, before.ram, sizeof(m.ram)), "%s", cases[i].name);

		if (!strcmp(cases[i].name, "push") || !strcmp(cases[i].name, "call"))
			continue;
		m = before;
		m.absent[DATA / 4096] = false;
		m.readonly[DATA / 4096] = true;
		machine_run(&m, cases[i].bytes, cases[i].n);
		CHECK(faults(EMU_FAULT, 14) && m.emu.fault.error == 3, "%s: read-only",
		      cases[i].name);
		CHECK(!memcmp(m.gpr, before.gpr, sizeof(m.gpr)) &&
		      m.emu.rflags == before.emu.rflags,
		      "%s: read-only", cases[i].name);
	}
	group_end();
}

/* Supply the answer to one more read each time the instruction waits. */
static unsigned int run_answering(const void *bytes, unsigned int n, u64 first)
{
	unsigned int waits = 0;
	int rc = machine_run(&m, bytes, n);

	while (rc == EMU_PENDING && waits < 100) {
		CHECK(m.emu.rip == CODE, "rip stays");
		m.answers[m.answered++] = first + waits++;
		m.reads = 0;
		rc = emu_execute(&m.emu);
	}
	CHECK(rc == EMU_DONE, "ends with %d", rc);
	return waits;
}

static void test_waiting(void)
{
	unsigned int i;

	group_begin("waiting for device memory");
	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RBX] = MMIO_BASE + 8;
	CHECK(run_answering(BYTES(0x8b, 0x03), 0x1234) == 1 && m.gpr[EMU_RAX] == 0x1234, "mov");

	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RBX] = MMIO_BASE;
	m.gpr[EMU_RAX] = 1;
	CHECK(RUN(0x48, 0x01, 0x03) == EMU_PENDING && m.emu.rflags == 2 && !m.mmio_writes,
	      "add waits");
	CHECK(run_answering(BYTES(0x48, 0x01, 0x03), ~0ull) == 1, "add");
	CHECK(m.mmio_writes == 1 && m.mmio_written == 0 && (m.emu.rflags & 0x41) == 0x41, "add");

	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RSI] = MMIO_BASE;
	m.gpr[EMU_RDI] = MMIO_BASE + 0x800;
	CHECK(run_answering(BYTES(0xa7), 7) == 2 && !(m.emu.rflags & 1), "cmps reads twice");

	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RSI] = MMIO_BASE;
	m.gpr[EMU_RDI] = DATA;
	m.gpr[EMU_RCX] = 10;
	CHECK(run_answering(BYTES(0xf3, 0xa5), 100) == 10, "rep movs waits for each");
	for (i = 0; i < 10; i++)
		CHECK(machine_peek(&m, DATA + 4 * i, 4) == 100 + i, "rep movs, %u", i);
	CHECK(m.gpr[EMU_RCX] == 0 && m.gpr[EMU_RSI] == MMIO_BASE + 40, "rep movs");

	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RBX] = MMIO_BASE;
	CHECK(run_answering(BYTES(0xff, 0x33), 55) == 1 && m.gpr[EMU_RSP] == STACK - 8 &&
	      machine_peek(&m, STACK - 8, 8) == 55, "push");

	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RBX] = DATA;
	m.gpr[EMU_RAX] = 1;
	m.lose_races = 1;
	CHECK(RUN(0xf0, 0x48, 0x01, 0x03) == EMU_AGAIN && m.emu.rip == CODE && m.emu.rflags == 2,
	      "a lost race");
	CHECK(emu_execute(&m.emu) == EMU_DONE && machine_peek(&m, DATA, 8) == 2, "is run again");
	m.emu.rip = CODE;
	m.lose_races = 1;
	CHECK(RUN(0x48, 0x87, 0x03) == EMU_AGAIN && m.gpr[EMU_RAX] == 1, "xchg is locked");

	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RDI] = DATA;
	m.gpr[EMU_RCX] = 0x1000;
	m.absent[DATA / 4096 + 1] = true;
	CHECK(RUN(0xf3, 0x48, 0xab) == EMU_FAULT && m.emu.fault.address == DATA + 0x1000,
	      "rep stos faults");
	CHECK(m.gpr[EMU_RDI] == DATA + 0x1000 && m.gpr[EMU_RCX] == 0x1000 - 0x200 &&
	      m.emu.rip == CODE,
	      "where it is");
	group_end();
}

void test_faults(void)
{
	test_limits();
	test_canonical();
	test_division();
	test_division_edges();
	test_invalid();
	test_nothing_changes();
}

void test_restart(void)
{
	test_waiting();
}
