// SPDX-License-Identifier: GPL-2.0
/*
 * x87 and AVX by tables of known results: what each format is in a register and in memory, and
 * where the halves of a vector go. Every operand and rounding is the comparison's, in
 * tools/testing/fuzz.
 */
#include <string.h>

#include "machine.h"

static struct machine m;

#define RUN(...) machine_run(&m, BYTES(__VA_ARGS__))

#define X87_NEAREST	0x037f
#define X87_DOWN	0x077f
#define X87_UP		0x0b7f
#define X87_ZERO	0x0f7f
/* Of the status word: inexact, invalid, denormal, overflow, stack, C1 */
#define IE	0x01
#define DE	0x02
#define OE	0x08
#define PE	0x20
#define SF	0x40
#define C1	0x200
#define TOP	0x3800

struct x87_case {
	const char *name;
	u8 bytes[2];		/* ModRM's operand is [rax] */
	u8 memory[10];
	u64 mantissa;
	u16 exponent;
	u16 flags;
	u16 fcw;
};

static const struct x87_case x87_loads[] = {
	{ "fld m32, 1.0", { 0xd9, 0x00 }, { 0, 0, 0x80, 0x3f }, 1ull << 63, 0x3fff },
	{ "fld m32, -0.0", { 0xd9, 0x00 }, { 0, 0, 0, 0x80 }, 0, 0x8000 },
	{ "fld m32, infinity", { 0xd9, 0x00 }, { 0, 0, 0x80, 0x7f }, 1ull << 63, 0x7fff },
	{ "fld m32, denormal", { 0xd9, 0x00 }, { 1 }, 1ull << 63, 0x3fff - 149, DE },
	{ "fld m32, signalling", { 0xd9, 0x00 }, { 1, 0, 0x80, 0x7f },
	  0xc000010000000000, 0x7fff, IE },
	{ "fld m64, 1.5", { 0xdd, 0x00 }, { 0, 0, 0, 0, 0, 0, 0xf8, 0x3f }, 3ull << 62, 0x3fff },
	{ "fld m64, -2.0", { 0xdd, 0x00 }, { 0, 0, 0, 0, 0, 0, 0, 0xc0 }, 1ull << 63, 0xc000 },
	{ "fld m80", { 0xdb, 0x28 }, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x40 },
	  0x0807060504030201, 0x4009 },
	{ "fild m16, -1", { 0xdf, 0x00 }, { 0xff, 0xff }, 1ull << 63, 0xbfff },
	{ "fild m32, 5", { 0xdb, 0x00 }, { 5 }, 5ull << 61, 0x4001 },
	{ "fild m64, 2^62", { 0xdf, 0x28 }, { 0, 0, 0, 0, 0, 0, 0, 0x40 }, 1ull << 63, 0x403d },
	{ "fild m64, 0", { 0xdf, 0x28 }, { 0 }, 0, 0 },
	{ "fbld 12", { 0xdf, 0x20 }, { 0x12 }, 3ull << 62, 0x4002 },
	{ "fbld -1", { 0xdf, 0x20 }, { 1, [9] = 0x80 }, 1ull << 63, 0xbfff },
};

/* From ST0, which is popped unless the name says otherwise */
static const struct x87_case x87_stores[] = {
	{ "fst m32, 1.0, no pop", { 0xd9, 0x10 }, { 0, 0, 0x80, 0x3f }, 1ull << 63, 0x3fff },
	{ "fstp m32, 1/3", { 0xd9, 0x18 }, { 0xab, 0xaa, 0xaa, 0x3e },
	  0xaaaaaaaaaaaaaaab, 0x3ffd, PE | C1 },
	{ "fstp m32, 1/3 down", { 0xd9, 0x18 }, { 0xaa, 0xaa, 0xaa, 0x3e },
	  0xaaaaaaaaaaaaaaab, 0x3ffd, PE, X87_DOWN },
	{ "fstp m32, too large", { 0xd9, 0x18 }, { 0, 0, 0x80, 0x7f },
	  1ull << 63, 0x4fff, OE | PE | C1 },
	{ "fstp m64, -2.0", { 0xdd, 0x18 }, { 0, 0, 0, 0, 0, 0, 0, 0xc0 }, 1ull << 63, 0xc000 },
	{ "fstp m80", { 0xdb, 0x38 }, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x40 },
	  0x0807060504030201, 0x4009 },
	{ "fistp m16, 2.5", { 0xdf, 0x18 }, { 2 }, 5ull << 61, 0x4000, PE },
	{ "fistp m16, 2.5 up", { 0xdf, 0x18 }, { 3 }, 5ull << 61, 0x4000, PE | C1, X87_UP },
	{ "fisttp m16, 2.5 up", { 0xdf, 0x08 }, { 2 }, 5ull << 61, 0x4000, PE, X87_UP },
	{ "fistp m16, 40000", { 0xdf, 0x18 }, { 0, 0x80 }, 0x9c40ull << 48, 0x400e, IE },
	{ "fistp m32, 40000", { 0xdb, 0x18 }, { 0x40, 0x9c }, 0x9c40ull << 48, 0x400e },
	{ "fistp m64, -1", { 0xdf, 0x38 }, { 255, 255, 255, 255, 255, 255, 255, 255 },
	  1ull << 63, 0xbfff },
	{ "fbstp 12", { 0xdf, 0x30 }, { 0x12 }, 3ull << 62, 0x4002 },
	{ "fbstp infinity", { 0xdf, 0x30 }, { [7] = 0xc0, 0xff, 0xff }, 1ull << 63, 0x7fff, IE },
};

static void begin_x87(const struct x87_case *c)
{
	machine_reset(&m, EMU_LONG64);
	m.cr[0] = 0x31;
	m.gpr[EMU_RAX] = DATA;
	m.fpu.fcw = c->fcw ? c->fcw : X87_NEAREST;
}

static void test_x87_load(const struct x87_case *c)
{
	begin_x87(c);
	memcpy(m.ram + DATA, c->memory, sizeof(c->memory));
	CHECK(machine_run(&m, c->bytes, 2) == EMU_DONE && m.fpu.st[0].mantissa == c->mantissa &&
	      m.fpu.st[0].exponent == c->exponent && m.fpu.ftw == 0x80 &&
	      m.fpu.fsw == (TOP | c->flags), "%s: %04x %016llx, status %x", c->name,
	      m.fpu.st[0].exponent, m.fpu.st[0].mantissa, m.fpu.fsw);
	m.emu.rip = CODE;
	m.fpu.ftw = 0xff;
	m.fpu.fsw = 0;
	CHECK(machine_run(&m, c->bytes, 2) == EMU_DONE && m.fpu.st[0].mantissa == 3ull << 62 &&
	      m.fpu.st[0].exponent == 0xffff && m.fpu.fsw == (TOP | IE | SF | C1),
	      "%s: no room on the stack", c->name);
}

static void test_x87_store(const struct x87_case *c)
{
	bool pops = !strstr(c->name, "no pop");

	begin_x87(c);
	m.fpu.st[0].mantissa = c->mantissa;
	m.fpu.st[0].exponent = c->exponent;
	m.fpu.ftw = 1;
	CHECK(machine_run(&m, c->bytes, 2) == EMU_DONE && !memcmp(m.ram + DATA, c->memory, 10) &&
	      m.fpu.ftw == !pops && m.fpu.fsw == (c->flags | (pops ? 0x800 : 0)),
	      "%s: %016llx, status %x", c->name, machine_peek(&m, DATA, 8), m.fpu.fsw);

	begin_x87(c);
	machine_poke(&m, DATA, 0x1122334455667788, 8);
	m.fpu.fcw &= ~0x3f;
	CHECK(machine_run(&m, c->bytes, 2) == EMU_DONE && m.fpu.ftw == 0 &&
	      machine_peek(&m, DATA, 8) == 0x1122334455667788 &&
	      m.fpu.fsw == (IE | SF | 0x8080), "%s: nothing to store", c->name);
	CHECK(machine_run(&m, c->bytes, 2) == EMU_FAULT && m.emu.fault.vector == 16,
	      "%s: and that is told by the next one", c->name);
	m.cr[0] |= 8;
	CHECK(machine_run(&m, c->bytes, 2) == EMU_FAULT && m.emu.fault.vector == 7,
	      "%s with CR0.TS", c->name);
}

static void test_x87_control(void)
{
	static const struct x87_case one = { .mantissa = 1ull << 63, .exponent = 0x3fff };

	begin_x87(&one);
	machine_poke(&m, DATA, 0x0f7f, 2);
	CHECK(RUN(0xd9, 0x28) == EMU_DONE && m.fpu.fcw == X87_ZERO, "fldcw");
	CHECK(RUN(0xd9, 0x78, 8) == EMU_DONE && machine_peek(&m, DATA + 8, 2) == X87_ZERO,
	      "fnstcw");
	m.fpu.fsw = 0x3841;
	CHECK(RUN(0xdd, 0x78, 8) == EMU_DONE && machine_peek(&m, DATA + 8, 2) == 0x3841, "fnstsw");
	CHECK(RUN(0xdf, 0xe0) == EMU_DONE && (u16)m.gpr[EMU_RAX] == 0x3841, "fnstsw ax");
	m.gpr[EMU_RAX] = DATA;
	CHECK(RUN(0xdb, 0xe2) == EMU_DONE && m.fpu.fsw == TOP, "fnclex");
	m.fpu.st[0] = (struct emu_x87){ one.mantissa, one.exponent };
	m.fpu.ftw = 0x80;
	CHECK(RUN(0xd9, 0x30) == EMU_DONE && machine_peek(&m, DATA, 4) == 0xffff0f7f &&
	      machine_peek(&m, DATA + 4, 4) == 0xffff3800 &&
	      machine_peek(&m, DATA + 8, 4) == 0xffff3fff, "fnstenv");
	CHECK(RUN(0xdd, 0x30) == EMU_DONE && machine_peek(&m, DATA + 28, 8) == one.mantissa &&
	      m.fpu.fcw == X87_NEAREST && !m.fpu.ftw && !m.fpu.fsw, "fnsave");
	CHECK(RUN(0xdd, 0x20) == EMU_DONE && m.fpu.fcw == X87_ZERO && m.fpu.fsw == TOP &&
	      m.fpu.ftw == 0x80 && m.fpu.st[0].mantissa == one.mantissa, "frstor");
	CHECK(RUN(0xdb, 0xe3) == EMU_DONE && m.fpu.fcw == X87_NEAREST && !m.fpu.ftw, "fninit");
	CHECK(RUN(0xd9, 0x20) == EMU_DONE && m.fpu.fcw == X87_ZERO && m.fpu.ftw == 0x80, "fldenv");
	m.cr[0] = 0x13;
	CHECK(RUN(0x9b) == EMU_DONE, "fwait");
	m.cr[0] |= 8;
	CHECK(RUN(0x9b) == EMU_FAULT && m.emu.fault.vector == 7, "fwait with CR0.MP and TS");
}

static void test_images(void)
{
	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RAX] = DATA;
	memset(m.fpu.xmm[15], 0x77, 16);
	m.fpu.fcw = X87_UP;
	CHECK(RUN(0x48, 0x0f, 0xae, 0x00) == EMU_DONE && machine_peek(&m, DATA, 2) == X87_UP &&
	      machine_peek(&m, DATA + 24, 4) == 0x1f80 && m.ram[DATA + 415] == 0x77 &&
	      !m.ram[DATA + 416], "fxsave");
	memset(m.fpu.xmm[15], 0, 16);
	m.fpu.fcw = X87_NEAREST;
	CHECK(RUN(0x48, 0x0f, 0xae, 0x08) == EMU_DONE && m.fpu.fcw == X87_UP &&
	      m.fpu.xmm[15][15] == 0x77, "fxrstor");
	machine_poke(&m, DATA + 24, 0x10000, 4);
	CHECK(RUN(0x0f, 0xae, 0x08) == EMU_FAULT && m.emu.fault.vector == 13, "MXCSR that is none");
	m.gpr[EMU_RAX] = DATA + 8;
	CHECK(RUN(0x0f, 0xae, 0x00) == EMU_FAULT && m.emu.fault.vector == 13, "not aligned");
	machine_poke(&m, DATA + 8, 0x3f80, 4);
	CHECK(RUN(0x0f, 0xae, 0x10) == EMU_DONE && m.fpu.mxcsr == 0x3f80, "ldmxcsr");
	CHECK(RUN(0x0f, 0xae, 0x58, 8) == EMU_DONE && machine_peek(&m, DATA + 16, 4) == 0x3f80,
	      "stmxcsr");
	machine_poke(&m, DATA + 8, 0x80000000, 4);
	CHECK(RUN(0x0f, 0xae, 0x10) == EMU_FAULT && m.emu.fault.vector == 13,
	      "and one that is none");
}

/* ---- AVX ------------------------------------------------------------------------------------- */

/*
 * Sources and results as strings of digits, one for four bytes: 0 is zero, 1 to 8 memory from
 * [rax], a to h ymm1, A to H ymm2, which is the operand in vvvv.
 */
struct avx_case {
	const char *name;
	u8 bytes[6], n;
	const char *result;	/* in ymm1, or in memory */
	bool store, aligned;
};

static const struct avx_case avx[] = {
	{ "vmovups xmm", { 0xc5, 0xf8, 0x10, 0x08 }, 4, "12340000" },
	{ "vmovups ymm", { 0xc5, 0xfc, 0x10, 0x08 }, 4, "12345678" },
	{ "vmovaps ymm", { 0xc5, 0xfc, 0x28, 0x08 }, 4, "12345678", .aligned = true },
	{ "vmovdqu ymm", { 0xc5, 0xfe, 0x6f, 0x08 }, 4, "12345678" },
	{ "vmovdqa xmm", { 0xc5, 0xf9, 0x6f, 0x08 }, 4, "12340000", .aligned = true },
	{ "vlddqu ymm", { 0xc5, 0xff, 0xf0, 0x08 }, 4, "12345678" },
	{ "vmovntdqa ymm", { 0xc4, 0xe2, 0x7d, 0x2a, 0x08 }, 5, "12345678", .aligned = true },
	{ "vmovss", { 0xc5, 0xfa, 0x10, 0x08 }, 4, "10000000" },
	{ "vmovsd", { 0xc5, 0xfb, 0x10, 0x08 }, 4, "12000000" },
	{ "vmovd", { 0xc5, 0xf9, 0x6e, 0x08 }, 4, "10000000" },
	{ "vmovq", { 0xc5, 0xfa, 0x7e, 0x08 }, 4, "12000000" },
	{ "vmovlps", { 0xc5, 0xe8, 0x12, 0x08 }, 4, "12CD0000" },
	{ "vmovhps", { 0xc5, 0xe8, 0x16, 0x08 }, 4, "AB120000" },
	{ "vmovddup ymm", { 0xc5, 0xff, 0x12, 0x08 }, 4, "12125656" },
	{ "vmovsldup ymm", { 0xc5, 0xfe, 0x12, 0x08 }, 4, "11335577" },
	{ "vmovshdup ymm", { 0xc5, 0xfe, 0x16, 0x08 }, 4, "22446688" },
	{ "vbroadcastss ymm", { 0xc4, 0xe2, 0x7d, 0x18, 0x08 }, 5, "11111111" },
	{ "vbroadcastsd ymm", { 0xc4, 0xe2, 0x7d, 0x19, 0x08 }, 5, "12121212" },
	{ "vbroadcastf128", { 0xc4, 0xe2, 0x7d, 0x1a, 0x08 }, 5, "12341234" },
	{ "vpbroadcastd xmm", { 0xc4, 0xe2, 0x79, 0x58, 0x08 }, 5, "11110000" },
	{ "vinsertf128 1", { 0xc4, 0xe3, 0x6d, 0x18, 0x08, 1 }, 6, "ABCD1234" },
	{ "vinserti128 0", { 0xc4, 0xe3, 0x6d, 0x38, 0x08, 0 }, 6, "1234EFGH" },
	{ "vpinsrd 2", { 0xc4, 0xe3, 0x69, 0x22, 0x08, 2 }, 6, "AB1D0000" },
	{ "vmaskmovps ymm", { 0xc4, 0xe2, 0x6d, 0x2c, 0x08 }, 5, "00005678" },
	{ "vmovups from xmm", { 0xc5, 0xf8, 0x11, 0x08 }, 4, "abcd5678", true },
	{ "vmovups from ymm", { 0xc5, 0xfc, 0x11, 0x08 }, 4, "abcdefgh", true },
	{ "vmovaps from ymm", { 0xc5, 0xfc, 0x29, 0x08 }, 4, "abcdefgh", true, .aligned = true },
	{ "vmovntps from ymm", { 0xc5, 0xfc, 0x2b, 0x08 }, 4, "abcdefgh", true, .aligned = true },
	{ "vmovntdq from ymm", { 0xc5, 0xfd, 0xe7, 0x08 }, 4, "abcdefgh", true, .aligned = true },
	{ "vmovdqu from xmm", { 0xc5, 0xfa, 0x7f, 0x08 }, 4, "abcd5678", true },
	{ "vmovss to memory", { 0xc5, 0xfa, 0x11, 0x08 }, 4, "a2345678", true },
	{ "vmovq to memory", { 0xc5, 0xf9, 0xd6, 0x08 }, 4, "ab345678", true },
	{ "vmovhpd to memory", { 0xc5, 0xf9, 0x17, 0x08 }, 4, "cd345678", true },
	{ "vextractf128 1", { 0xc4, 0xe3, 0x7d, 0x19, 0x08, 1 }, 6, "efgh5678", true },
	{ "vpextrd 3", { 0xc4, 0xe3, 0x79, 0x16, 0x08, 3 }, 6, "d2345678", true },
	{ "vmaskmovps to memory", { 0xc4, 0xe2, 0x6d, 0x2e, 0x08 }, 5, "1234efgh", true },
};

/* Of ymm2 the upper half is negative: a mask. */
static u32 word_of(char digit)
{
	if (digit >= 'a')
		return 0x61000000u + digit;
	if (digit >= 'A')
		return (digit >= 'E' ? 0x80000000u : 0x41000000u) + digit;
	return digit == '0' ? 0 : 0x31000000u + digit;
}

static void spell(u8 *to, const char *digits)
{
	unsigned int i;
	u32 val;

	for (i = 0; i < 8 && digits[i]; i++) {
		val = word_of(digits[i]);
		memcpy(to + 4 * i, &val, 4);
	}
}

static void begin_avx(u64 address)
{
	machine_reset(&m, EMU_LONG64);
	m.cr[4] = 0x40200;
	m.gpr[EMU_RAX] = address;
	spell(m.ram + address, "12345678");
	spell(m.fpu.xmm[1], "abcd");
	spell(m.ymm_high[1], "efgh");
	spell(m.fpu.xmm[2], "ABCD");
	spell(m.ymm_high[2], "EFGH");
}

static void test_avx_case(const struct avx_case *c)
{
	u8 want[32], got[32];
	int rc;

	spell(want, c->result);
	begin_avx(DATA);
	rc = machine_run(&m, c->bytes, c->n);
	memcpy(got, c->store ? m.ram + DATA : m.fpu.xmm[1], 16);
	memcpy(got + 16, c->store ? m.ram + DATA + 16 : m.ymm_high[1], 16);
	CHECK(rc == EMU_DONE && !memcmp(got, want, 32), "%s", c->name);

	begin_avx(DATA + 1);
	rc = machine_run(&m, c->bytes, c->n);
	CHECK(c->aligned ? rc == EMU_FAULT && m.emu.fault.vector == 13 : rc == EMU_DONE,
	      "%s not aligned", c->name);
	begin_avx(DATA);
	m.xcr0 = 3;
	rc = machine_run(&m, c->bytes, c->n);
	CHECK(rc == EMU_FAULT && m.emu.fault.vector == 6, "%s without XCR0's bit", c->name);
	m.xcr0 = 7;
	m.cr[0] |= 8;
	rc = machine_run(&m, c->bytes, c->n);
	CHECK(rc == EMU_FAULT && m.emu.fault.vector == 7, "%s with CR0.TS", c->name);
	m.cr[0] = 1;
	m.gpr[EMU_RAX] = MMIO_BASE;
	if (c->store) {
		rc = machine_run(&m, c->bytes, c->n);
		CHECK(rc == EMU_DONE && m.mmio_writes, "%s to a device", c->name);
	} else {
		rc = machine_run(&m, c->bytes, c->n);
		CHECK(rc == EMU_PENDING, "%s from a device", c->name);
	}
}

#define EACH(table, test)							\
	do {									\
		unsigned int i_;						\
										\
		for (i_ = 0; i_ < sizeof(table) / sizeof((table)[0]); i_++)	\
			test(&(table)[i_]);					\
	} while (0)

void test_x87_and_avx(void)
{
	group_begin("x87 loads");
	EACH(x87_loads, test_x87_load);
	group_end();
	group_begin("x87 stores");
	EACH(x87_stores, test_x87_store);
	group_end();
	group_begin("x87 control and environment");
	test_x87_control();
	group_end();
	group_begin("FXSAVE, FXRSTOR, MXCSR");
	test_images();
	group_end();
	group_begin("AVX");
	EACH(avx, test_avx_case);
	group_end();
}
