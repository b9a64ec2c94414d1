// SPDX-License-Identifier: GPL-2.0
/*
 * Integer instructions with results known beforehand: each group of them at least once. RSI points
 * to a quadword of memory. The comparison with the processor (native_test.c) goes for breadth.
 */
#include <string.h>

#include "machine.h"

#define CF 0x001
#define PF 0x004
#define AF 0x010
#define ZF 0x040
#define SF 0x080
#define OF 0x800
#define DF 0x400
#define ALL (CF | PF | AF | ZF | SF | OF | DF)

static struct machine m;

struct state {
	u64 rax, rbx, rcx, rdx, mem;
	u32 flags;
};

struct known {
	const char *name;
	const char *bytes;
	u8 n;
	struct state before, after;
	u32 flags;	/* that are compared */
	u8 mode;
};

#define R(name, bytes, ...) { name, bytes, sizeof(bytes) - 1, __VA_ARGS__ }

static const struct known known_long64[] = {
	R("add carry", "\x48\x01\xd8", { ~0ull, 1 }, { 0, 1, .flags = CF | PF | AF | ZF }, ALL),
	R("add overflow", "\x00\xd8", { 0x7f, 1 }, { 0x80, 1, .flags = SF | OF | AF }, ALL),
	R("add memory", "\x48\x01\x06", { 5, .mem = 7 }, { 5, .mem = 12, .flags = PF }, ALL),
	R("lock add", "\xf0\x01\x06", { 5, .mem = 7 }, { 5, .mem = 12, .flags = PF }, ALL),
	R("add high byte", "\x00\xdc", { 0xff00, 2 }, { 0x100, 2, .flags = CF | AF }, ALL),
	R("add zero-extends", "\x01\xd8", { ~0ull, 2 }, { 1, 2, .flags = CF | AF }, ALL),
	R("adc", "\x11\xd8", { 1, 2, .flags = CF }, { 4, 2 }, ALL),
	R("sbb", "\x19\xd8", { 5, 2, .flags = CF }, { 2, 2 }, ALL),
	R("or imm8", "\x83\x0e\xf0", { .mem = 0x0f }, { .mem = 0xffffffff, .flags = SF | PF },
	  ALL & ~AF),
	R("and", "\x25\x0f\x00\x00\x00", { 0xff }, { 0x0f, .flags = PF }, ALL & ~AF),
	R("sub", "\x2b\x06", { 1, .mem = 2 }, { 0xffffffff, .mem = 2, .flags = CF | PF | AF | SF },
	  ALL),
	R("xor self", "\x31\xc0", { 7 }, { 0, .flags = ZF | PF }, ALL & ~AF),
	R("cmp memory imm", "\x80\x3e\x05", { .mem = 5 }, { .mem = 5, .flags = ZF | PF }, ALL),
	R("test", "\x85\xd8", { 8, 8 }, { 8, 8 }, ALL & ~AF),
	R("test imm", "\xf6\x06\x80", { .mem = 0x80 }, { .mem = 0x80, .flags = SF }, ALL & ~AF),
	R("inc keeps CF", "\xfe\x06", { .mem = 0xff, .flags = CF },
	  { .mem = 0, .flags = CF | PF | AF | ZF }, ALL),
	R("dec", "\x48\xff\xc8", { 0 }, { ~0ull, .flags = PF | AF | SF }, ALL),
	R("not", "\xf7\x16", { .mem = 0x0f, .flags = ALL }, { .mem = 0xfffffff0, .flags = ALL },
	  ALL),
	R("neg", "\xf6\xd8", { 1 }, { 0xff, .flags = CF | PF | AF | SF }, ALL),
	R("mul 8", "\xf6\xe3", { 0x1280, 2 }, { 0x100, 2, .flags = CF | OF }, CF | OF),
	R("mul 64", "\x48\xf7\xe3", { ~0ull, ~0ull },
	  { 1, ~0ull, .rdx = ~0ull - 1, .flags = CF | OF },
	  CF | OF),
	R("mul 32", "\xf7\xe3", { ~0ull, 2, .rdx = ~0ull },
	  { 0xfffffffe, 2, .rdx = 1, .flags = CF | OF }, CF | OF),
	R("imul 16", "\x66\xf7\xeb", { 0xffff, 3 }, { 0xfffd, 3, .rdx = 0xffff }, CF | OF),
	R("imul two", "\x0f\xaf\xc3", { -2, 3 }, { 0xfffffffa, 3 }, CF | OF),
	R("imul three", "\x48\x6b\xc3\xfd", { 0, 7 }, { -21, 7 }, CF | OF),
	R("imul three memory", "\x69\x06\x00\x00\x01\x00", { .mem = 0x10000 },
	  { 0, .mem = 0x10000, .flags = CF | OF }, CF | OF),
	R("div 8", "\xf6\xf3", { 0x105, 2 }, { 0x182, 2 }, 0),
	R("div 64", "\x48\xf7\xf3", { 5, 16, .rdx = 1 }, { 0x1000000000000000, 16, .rdx = 5 }, 0),
	R("idiv", "\xf7\xfb", { 0xfffffff9, 2, .rdx = 0xffffffff },
	  { 0xfffffffd, 2, .rdx = 0xffffffff }, 0),
	R("idiv lowest quotient", "\xf6\xfb", { 0xff80, 1 }, { 0x80, 1 }, 0),
	R("shl", "\xd1\xe0", { 0x80000001 }, { 2, .flags = CF | OF }, ALL & ~AF),
	R("shr cl", "\x48\xd3\xe8", { 0x100, .rcx = 4 }, { 0x10, .rcx = 4 }, ALL & ~(AF | OF)),
	R("sar imm", "\xc0\x3e\x02", { .mem = 0x82 }, { .mem = 0xe0, .flags = CF | SF },
	  ALL & ~(AF | OF)),
	R("shift by zero", "\xd3\xe0", { ~0ull, .flags = ALL }, { 0xffffffff, .flags = ALL }, ALL),
	R("rol", "\xc0\xc0\x04", { 0x12 }, { 0x21, .flags = CF }, ALL & ~OF),
	R("ror 16", "\x66\xc1\xc8\x04", { 0x1234 }, { 0x4123 }, ALL & ~OF),
	R("rcl", "\xd0\xd0", { 0x80, .flags = CF }, { 1, .flags = CF | OF }, ALL),
	R("rcr", "\xd0\xd8", { 1 }, { 0, .flags = CF }, ALL),
	R("shld", "\x0f\xa4\xd8\x08", { 0x11223344, 0xaabbccdd },
	  { 0x223344aa, 0xaabbccdd, .flags = CF | PF },
	  CF | ZF | SF | PF),
	R("shrd cl", "\x48\x0f\xad\x1e", { 0, 0xab, .rcx = 8, .mem = 0x1122 },
	  { 0, 0xab, .rcx = 8, .mem = 0xab00000000000011, .flags = SF | PF }, CF | ZF | SF | PF),
	R("bt", "\x0f\xa3\xd8", { 0x10, 36 }, { 0x10, 36, .flags = CF }, CF),
	R("bts imm", "\x0f\xba\x2e\x21", { .mem = 1 }, { .mem = 3 }, CF),
	R("btr", "\x48\x0f\xb3\x1e", { .rbx = 63, .mem = 1ull << 63 }, { .rbx = 63, .flags = CF },
	  CF),
	R("lock btc", "\xf0\x0f\xbb\x1e", { .rbx = 3 }, { .rbx = 3, .mem = 8 }, CF),
	R("bsf", "\x0f\xbc\xc3", { 9, 0x100 }, { 8, 0x100 }, ZF),
	R("bsf of zero", "\x0f\xbc\xc3", { 9, 0 }, { 9, 0, .flags = ZF }, ZF),
	R("bsr", "\x48\x0f\xbd\x06", { 9, .mem = 1ull << 40 }, { 40, .mem = 1ull << 40 }, ZF),
	R("tzcnt of zero", "\xf3\x0f\xbc\xc3", { 9, 0 }, { 32, 0, .flags = CF }, CF | ZF),
	R("lzcnt", "\xf3\x48\x0f\xbd\xc3", { 9, 1 }, { 63, 1 }, CF | ZF),
	R("popcnt", "\xf3\x0f\xb8\xc3", { 0, 0xf0f0, .flags = ALL }, { 8, 0xf0f0, .flags = DF },
	  ALL),
	R("crc32 byte", "\xf2\x0f\x38\xf0\xc3", { 0, 1 }, { 0xf26b8303, 1 }, ALL),
	R("mov", "\x48\x8b\x06", { 1, .mem = 0x1122334455667788 },
	  { 0x1122334455667788, .mem = 0x1122334455667788 }, ALL),
	R("mov 16 keeps the rest", "\x66\x8b\x06", { ~0ull, .mem = 0x1234 },
	  { 0xffffffffffff1234, .mem = 0x1234 }, ALL),
	R("mov ah", "\xb4\x12", { 0xffff }, { 0x12ff }, ALL),
	R("mov imm to memory", "\x48\xc7\x06\xfe\xff\xff\xff", { .mem = 1 }, { .mem = -2 }, ALL),
	R("movzx", "\x0f\xb6\x06", { ~0ull, .mem = 0xfff0 }, { 0xf0, .mem = 0xfff0 }, ALL),
	R("movzx 16", "\x48\x0f\xb7\xc3", { ~0ull, 0x12345678 }, { 0x5678, 0x12345678 }, ALL),
	R("movsx", "\x48\x0f\xbe\x06", { 0, .mem = 0x80 }, { -128, .mem = 0x80 }, ALL),
	R("movsx 16", "\x0f\xbf\xc3", { 0, 0x8000 }, { 0xffff8000, 0x8000 }, ALL),
	R("movsxd", "\x48\x63\x06", { 0, .mem = 0x80000000 },
	  { 0xffffffff80000000, .mem = 0x80000000 }, ALL),
	R("movbe load", "\x0f\x38\xf0\x06", { 0, .mem = 0x11223344 },
	  { 0x44332211, .mem = 0x11223344 }, ALL),
	R("movbe store", "\x66\x0f\x38\xf1\x06", { 0x1122 }, { 0x1122, .mem = 0x2211 }, ALL),
	R("xchg", "\x48\x87\x1e", { .rbx = 1, .mem = 2 }, { .rbx = 2, .mem = 1 }, ALL),
	R("xchg accumulator", "\x48\x93", { 1, 2 }, { 2, 1 }, ALL),
	R("nop changes nothing", "\x90", { ~0ull }, { ~0ull }, ALL),
	R("xadd", "\x0f\xc1\x1e", { .rbx = 5, .mem = 7 }, { .rbx = 7, .mem = 12, .flags = PF },
	  ALL),
	R("lock xadd", "\xf0\x0f\xc0\x1e", { .rbx = 5, .mem = 7 },
	  { .rbx = 7, .mem = 12, .flags = PF }, ALL),
	R("cmpxchg equal", "\xf0\x0f\xb1\x1e", { 7, 9, .mem = 7 },
	  { 7, 9, .mem = 9, .flags = ZF | PF }, ALL),
	R("cmpxchg unequal", "\x0f\xb1\x1e", { 8, 9, .mem = 7 }, { 7, 9, .mem = 7 }, ALL),
	R("cmpxchg8b equal", "\xf0\x0f\xc7\x0e", { 1, 3, 4, 2, 0x200000001 },
	  { 1, 3, 4, 2, 0x400000003, ZF }, ALL),
	R("cmpxchg8b unequal", "\x0f\xc7\x0e", { 1, 3, 4, 2, 0x700000006 },
	  { 6, 3, 4, 7, 0x700000006 }, ALL),
	R("bswap", "\x0f\xc8", { 0x11223344 }, { 0x44332211 }, ALL),
	R("bswap 64", "\x48\x0f\xc8", { 0x1122334455667788 }, { 0x8877665544332211 }, ALL),
	R("lea", "\x48\x8d\x44\x8b\x10", { 0, 0x1000, 0x20 }, { 0x1090, 0x1000, 0x20 }, ALL),
	R("lea 32", "\x8d\x04\x0b", { 0, ~0ull, 2 }, { 1, ~0ull, 2 }, ALL),
	R("setz", "\x0f\x94\x06", { .mem = 0xff, .flags = ZF }, { .mem = 1, .flags = ZF }, ALL),
	R("setg", "\x0f\x9f\xc0", { 0xff, .flags = SF }, { 0, .flags = SF }, ALL),
	R("cmov taken", "\x48\x0f\x42\xc3", { 1, 2, .flags = CF }, { 2, 2, .flags = CF }, ALL),
	R("cmov not taken clears the top", "\x0f\x42\xc3", { ~0ull, 2 }, { 0xffffffff, 2 }, ALL),
	R("cbw", "\x66\x98", { 0x80 }, { 0xff80 }, ALL),
	R("cdqe", "\x48\x98", { 0x80000000 }, { 0xffffffff80000000 }, ALL),
	R("cdq", "\x99", { 0x80000000 }, { 0x80000000, .rdx = 0xffffffff }, ALL),
	R("cqo", "\x48\x99", { 1, .rdx = 7 }, { 1 }, ALL),
	R("sahf", "\x9e", { 0xff00, .flags = OF }, { 0xff00, .flags = CF | PF | AF | ZF | SF | OF },
	  ALL),
	R("lahf", "\x9f", { 0, .flags = ALL }, { 0xd700, .flags = ALL }, ALL),
	R("cmc", "\xf5", { .flags = CF }, { 0 }, ALL),
	R("stc", "\xf9", { 0 }, { .flags = CF }, ALL),
	R("clc", "\xf8", { .flags = CF }, { 0 }, ALL),
	R("std", "\xfd", { 0 }, { .flags = DF }, ALL),
	R("cld", "\xfc", { .flags = DF }, { 0 }, ALL),
	R("moffs load", "\xa0\x00\x80\x00\x00\x00\x00\x00\x00", { 0, .mem = 0x55 },
	  { 0x55, .mem = 0x55 }, ALL),
	R("moffs store", "\x48\xa3\x00\x80\x00\x00\x00\x00\x00\x00", { 0x77 },
	  { 0x77, .mem = 0x77 }, ALL),
	R("movnti", "\x0f\xc3\x1e", { .rbx = 0x1234 }, { .rbx = 0x1234, .mem = 0x1234 }, ALL),
	R("xlat", "\xd7", { 4, DATA - 4 + 1, .mem = 0x2211 }, { 0x22, DATA - 4 + 1, .mem = 0x2211 },
	  ALL),
	R("prefetch", "\x0f\x18\x06", { 0 }, { 0 }, ALL),
	R("long nop", "\x66\x0f\x1f\x84\x00\x00\x00\x00\x00", { 0 }, { 0 }, ALL),
	R("mfence", "\x0f\xae\xf0", { 0 }, { 0 }, ALL),
	R("pause", "\xf3\x90", { 0 }, { 0 }, ALL),
};

static const struct known known_prot32[] = {
	R("inc short form", "\x40", { 0xffff }, { 0x10000, .flags = PF | AF }, ALL, EMU_PROT32),
	R("dec short form", "\x66\x48", { 0x10000 }, { 0x1ffff, .flags = PF | AF | SF }, ALL,
	  EMU_PROT32),
	R("daa", "\x27", { 0x9a }, { 0, .flags = CF | AF | ZF | PF }, ALL, EMU_PROT32),
	R("daa plain", "\x27", { 0x15, .flags = AF }, { 0x1b, .flags = AF | PF }, ALL, EMU_PROT32),
	R("das", "\x2f", { 0x05, .flags = AF }, { 0xff, .flags = CF | AF | SF | PF }, ALL,
	  EMU_PROT32),
	R("aaa", "\x37", { 0x000f }, { 0x0105, .flags = CF | AF }, CF | AF, EMU_PROT32),
	R("aas", "\x3f", { 0x0100, .flags = AF }, { 0xff0a, .flags = CF | AF }, CF | AF,
	  EMU_PROT32),
	R("aam", "\xd4\x0a", { 0x3f }, { 0x0603, .flags = PF }, SF | ZF | PF, EMU_PROT32),
	R("aad", "\xd5\x0a", { 0x0603 }, { 0x3f, .flags = PF }, SF | ZF | PF, EMU_PROT32),
	R("salc", "\xd6", { 0x1200, .flags = CF }, { 0x12ff, .flags = CF }, ALL, EMU_PROT32),
	R("alias of group 1", "\x82\xc0\x05", { 1 }, { 6, .flags = PF }, ALL, EMU_PROT32),
	R("bound within", "\x62\x06", { 5, .mem = 0x900000001 }, { 5, .mem = 0x900000001 }, ALL,
	  EMU_PROT32),
};

static const struct known known_real[] = {
	R("mov real", "\xb8\x34\x12", { 0xffff0000 }, { 0xffff1234 }, ALL, EMU_REAL),
	R("add 32 in real mode", "\x66\x03\x04", { 1, .mem = 0x10000 }, { 0x10001, .mem = 0x10000 },
	  ALL,
	  EMU_REAL),
	R("32-bit address in real mode", "\x67\x8b\x06", { 1, .mem = 0x4321 },
	  { 0x4321, .mem = 0x4321 }, ALL,
	  EMU_REAL),
	R("mov vm86", "\x88\x04", { 0x12 }, { 0x12, .mem = 0x12 }, ALL, EMU_VM86),
	R("mov prot16", "\xc7\x04\x22\x11", { 0 }, { .mem = 0x1122 }, ALL, EMU_PROT16),
};

static void load_state(const struct state *s)
{
	m.gpr[EMU_RAX] = s->rax;
	m.gpr[EMU_RBX] = s->rbx;
	m.gpr[EMU_RCX] = s->rcx;
	m.gpr[EMU_RDX] = s->rdx;
	m.gpr[EMU_RSI] = DATA;
	m.emu.rflags |= s->flags;
	machine_poke(&m, DATA, s->mem, 8);
}

static void run_known(const struct known *k, enum emu_mode mode)
{
	const struct state *want = &k->after;
	u64 mem;
	int rc;

	machine_reset(&m, mode);
	load_state(&k->before);
	rc = machine_run(&m, k->bytes, k->n);
	mem = machine_peek(&m, DATA, 8);

	if (!CHECK(rc == EMU_DONE, "%s: result %d, vector %u", k->name, rc, m.emu.fault.vector))
		return;
	CHECK(m.emu.rip == (u64)CODE + k->n, "%s: rip %llx", k->name, m.emu.rip);
	CHECK(m.gpr[EMU_RAX] == want->rax && m.gpr[EMU_RBX] == want->rbx &&
	      m.gpr[EMU_RCX] == want->rcx && m.gpr[EMU_RDX] == want->rdx,
	      "%s: rax %lx rbx %lx rcx %lx rdx %lx", k->name, m.gpr[EMU_RAX], m.gpr[EMU_RBX],
	      m.gpr[EMU_RCX], m.gpr[EMU_RDX]);
	CHECK(mem == want->mem, "%s: memory %llx", k->name, mem);
	CHECK(!((m.emu.rflags ^ want->flags) & k->flags), "%s: flags %llx, not %x", k->name,
	      m.emu.rflags, want->flags);
}

static void test_cmpxchg16b(void)
{
	u64 pair[2] = { 1, 2 };

	group_begin("CMPXCHG16B");
	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RSI] = DATA;
	m.gpr[EMU_RAX] = 1;
	m.gpr[EMU_RDX] = 2;
	m.gpr[EMU_RBX] = 3;
	m.gpr[EMU_RCX] = 4;
	memcpy(m.ram + DATA, pair, 16);
	CHECK(machine_run(&m, BYTES(0xf0, 0x48, 0x0f, 0xc7, 0x0e)) == EMU_DONE, "runs");
	CHECK(machine_peek(&m, DATA, 8) == 3 && machine_peek(&m, DATA + 8, 8) == 4, "exchanges");
	CHECK(m.emu.rflags & ZF, "ZF");

	m.emu.rip = CODE;
	CHECK(machine_run(&m, BYTES(0x48, 0x0f, 0xc7, 0x0e)) == EMU_DONE, "runs");
	CHECK(m.gpr[EMU_RAX] == 3 && m.gpr[EMU_RDX] == 4 && !(m.emu.rflags & ZF), "compares");

	m.emu.rip = CODE;
	m.gpr[EMU_RSI] = DATA + 8;
	CHECK(machine_run(&m, BYTES(0x48, 0x0f, 0xc7, 0x0e)) == EMU_FAULT &&
	      m.emu.fault.vector == 13,
	      "alignment");
	group_end();
}

/* Bit strings reach before and behind their operand. */
static void test_bit_strings(void)
{
	static const s64 bits[] = { 0, 7, 8, 31, 32, 63, 64, 100, 1000, -1, -8, -33, -64, -1000 };
	unsigned int i;

	group_begin("bit strings");
	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		u64 byte = DATA + (bits[i] >> 3);

		machine_reset(&m, EMU_LONG64);
		m.gpr[EMU_RSI] = DATA;
		m.gpr[EMU_RBX] = bits[i];
		machine_run(&m, BYTES(0x48, 0x0f, 0xab, 0x1e));
		CHECK(machine_peek(&m, byte, 1) == 1u << (bits[i] & 7), "bit %lld", bits[i]);
		m.emu.rip = CODE;
		machine_run(&m, BYTES(0x0f, 0xb3, 0x1e));
		CHECK(machine_peek(&m, byte, 1) == 0 && (m.emu.rflags & CF), "bit %lld", bits[i]);
	}
	group_end();
}

/* Each with a memory operand at RBX */
static const struct {
	const char *name;
	u8 bytes[8];
	unsigned int length;
} of_features[] = {
	{ "popcnt", { 0xf3, 0x0f, 0xb8, 0x03 }, 4 },
	{ "movbe", { 0x0f, 0x38, 0xf0, 0x03 }, 4 },
	{ "movbe to memory", { 0x0f, 0x38, 0xf1, 0x03 }, 4 },
	{ "crc32 of a byte", { 0xf2, 0x0f, 0x38, 0xf0, 0x03 }, 5 },
	{ "crc32", { 0xf2, 0x0f, 0x38, 0xf1, 0x03 }, 5 },
	{ "adcx", { 0x66, 0x0f, 0x38, 0xf6, 0x03 }, 5 },
	{ "adox", { 0xf3, 0x0f, 0x38, 0xf6, 0x03 }, 5 },
	{ "movdiri", { 0x0f, 0x38, 0xf9, 0x03 }, 4 },
	{ "movdir64b", { 0x66, 0x0f, 0x38, 0xf8, 0x03 }, 5 },
	{ "invpcid", { 0x66, 0x0f, 0x38, 0x82, 0x03 }, 5 },
	{ "fisttp", { 0xdb, 0x0b }, 2 },
	{ "andn", { 0xc4, 0xe2, 0x70, 0xf2, 0x03 }, 5 },
	{ "blsr", { 0xc4, 0xe2, 0x70, 0xf3, 0x0b }, 5 },
	{ "bextr", { 0xc4, 0xe2, 0x70, 0xf7, 0x03 }, 5 },
	{ "bzhi", { 0xc4, 0xe2, 0x70, 0xf5, 0x03 }, 5 },
	{ "pext", { 0xc4, 0xe2, 0x72, 0xf5, 0x03 }, 5 },
	{ "pdep", { 0xc4, 0xe2, 0x73, 0xf5, 0x03 }, 5 },
	{ "mulx", { 0xc4, 0xe2, 0x73, 0xf6, 0x03 }, 5 },
	{ "shlx", { 0xc4, 0xe2, 0x71, 0xf7, 0x03 }, 5 },
	{ "sarx", { 0xc4, 0xe2, 0x72, 0xf7, 0x03 }, 5 },
	{ "shrx", { 0xc4, 0xe2, 0x73, 0xf7, 0x03 }, 5 },
	{ "rorx", { 0xc4, 0xe3, 0x7b, 0xf0, 0x03, 0x01 }, 6 },
};

/* An operand that faults is not looked at before the instruction exists. */
static void test_missing_before_operands(void)
{
	unsigned int i;

	group_begin("#UD before faults of the operand");
	for (i = 0; i < sizeof(of_features) / sizeof(of_features[0]); i++) {
		machine_reset(&m, EMU_LONG64);
		m.gpr[EMU_RBX] = DATA;
		m.absent[DATA >> 12] = true;
		CHECK(machine_run(&m, of_features[i].bytes, of_features[i].length) == EMU_FAULT &&
		      m.emu.fault.vector == 14, "%s", of_features[i].name);
		m.no_features = true;
		CHECK(machine_run(&m, of_features[i].bytes, of_features[i].length) == EMU_FAULT &&
		      m.emu.fault.vector == 6, "%s that is denied", of_features[i].name);
	}
	group_end();
}

static void test_missing_features(void)
{
	group_begin("instructions that CPUID denies");
	machine_reset(&m, EMU_LONG64);
	m.no_features = true;
	m.gpr[EMU_RBX] = 0x100;
	CHECK(machine_run(&m, BYTES(0xf3, 0x0f, 0xbd, 0xc3)) == EMU_DONE, "lzcnt runs");
	CHECK(m.gpr[EMU_RAX] == 8, "as bsr");
	m.emu.rip = CODE;
	CHECK(machine_run(&m, BYTES(0xf3, 0x0f, 0xb8, 0xc3)) == EMU_FAULT &&
	      m.emu.fault.vector == 6,
	      "popcnt");
	CHECK(machine_run(&m, BYTES(0x0f, 0x38, 0xf0, 0x03)) == EMU_FAULT &&
	      m.emu.fault.vector == 6,
	      "movbe");
	CHECK(machine_run(&m, BYTES(0xf2, 0x0f, 0x38, 0xf0, 0xc3)) == EMU_FAULT &&
	      m.emu.fault.vector == 6, "crc32");
	CHECK(machine_run(&m, BYTES(0x0f, 0x01, 0xf9)) == EMU_FAULT && m.emu.fault.vector == 6,
	      "rdtscp");

	/* To a segment of code */
	machine_reset(&m, EMU_PROT32);
	CHECK(machine_run(&m, BYTES(0x2e, 0x0f, 0x38, 0xf9, 0x03)) == EMU_FAULT &&
	      m.emu.fault.vector == 13, "movdiri to code");
	m.no_features = true;
	CHECK(machine_run(&m, BYTES(0x2e, 0x0f, 0x38, 0xf9, 0x03)) == EMU_FAULT &&
	      m.emu.fault.vector == 6, "and where there is none");
	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RBX] = DATA;
	m.gpr[EMU_RAX] = 0x1122334455667788;
	CHECK(machine_run(&m, BYTES(0x48, 0x0f, 0x38, 0xf9, 0x03)) == EMU_DONE &&
	      machine_peek(&m, DATA, 8) == 0x1122334455667788, "it stores 64 bits");
	group_end();
}

void test_integer(void)
{
	unsigned int i;

	group_begin("integer, 64-bit mode");
	for (i = 0; i < sizeof(known_long64) / sizeof(known_long64[0]); i++)
		run_known(&known_long64[i], EMU_LONG64);
	group_end();

	group_begin("integer, 32-bit mode");
	for (i = 0; i < sizeof(known_prot32) / sizeof(known_prot32[0]); i++)
		run_known(&known_prot32[i], known_prot32[i].mode);
	group_end();

	group_begin("integer, 16-bit modes");
	for (i = 0; i < sizeof(known_real) / sizeof(known_real[0]); i++)
		run_known(&known_real[i], known_real[i].mode);
	group_end();

	test_cmpxchg16b();
	test_bit_strings();
	test_missing_features();
	test_missing_before_operands();
}
