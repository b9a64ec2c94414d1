// SPDX-License-Identifier: GPL-2.0
/*
 * Where AMD's processors and Intel's differ. What is expected of each was seen on processors of both
 * (tools/testing/fuzz); the manuals are cited where they say it. SYSCALL and its relatives are in
 * far_test.c.
 */
#include "machine.h"

#define AC		0x40000ull
#define OSXSAVE		0x40000ull	/* of CR4 */
#define CR0_USER	0x80050033ull	/* AM, NE, MP, PE among them */

static struct machine m;

#define RUN(...) machine_run(&m, BYTES(__VA_ARGS__))

static void reset(bool amd)
{
	machine_reset(&m, EMU_LONG64);
	m.emu.insn.amd = amd;
}

static bool faults(int rc, u8 vector)
{
	return rc == EMU_FAULT && m.emu.fault.vector == vector && m.emu.rip == CODE;
}

/* Near branches with an operand-size prefix (APM 3, 1.2.2): 16 bits, or the prefix is ignored. */
static void test_branches(void)
{
	group_begin("near branches with an operand-size prefix");
	reset(true);
	CHECK(RUN(0x66, 0xeb, 0x10) == EMU_DONE && m.emu.rip == (u16)(CODE + 0x13), "AMD's jump");
	reset(true);
	CHECK(RUN(0x66, 0xe9, 0x10, 0x00) == EMU_DONE && m.emu.rip == (u16)(CODE + 0x14),
	      "its displacement has 16 bits");
	reset(true);
	CHECK(RUN(0x66, 0x48, 0xe9, 0x10, 0, 0, 0) == EMU_DONE && m.emu.rip == CODE + 0x17,
	      "REX.W goes before");
	reset(true);
	CHECK(RUN(0x66, 0xe8, 0x10, 0x00) == EMU_DONE && m.gpr[EMU_RSP] == STACK - 2 &&
	      machine_peek(&m, STACK - 2, 2) == (u16)(CODE + 4), "a call pushes 16 bits");
	reset(true);
	machine_poke(&m, STACK, 0x11112222, 8);
	CHECK(RUN(0x66, 0xc3) == EMU_DONE && m.emu.rip == 0x2222 && m.gpr[EMU_RSP] == STACK + 2,
	      "a return takes 16 bits");
	reset(false);
	CHECK(RUN(0x66, 0xe9, 0x10, 0, 0, 0) == EMU_DONE && m.emu.rip == CODE + 0x16, "Intel's jump");
	reset(false);
	CHECK(RUN(0x66, 0xe8, 0x10, 0, 0, 0) == EMU_DONE && m.gpr[EMU_RSP] == STACK - 8 &&
	      machine_peek(&m, STACK - 8, 8) == CODE + 6, "Intel's call");
	group_end();
}

static void test_encodings(void)
{
	enum emu_mode mode;

	group_begin("encodings that mean something to one of them");
	for (mode = EMU_REAL; mode <= EMU_LONG64; mode++) {
		machine_reset(&m, mode);
		CHECK(RUN(0x0f, 0x0d, 0x00) == EMU_DONE, "prefetch");
		m.emu.rip = CODE;
		CHECK(faults(RUN(0x0f, 0x0d, 0xc0), 6), "prefetch of a register");
		m.emu.insn.amd = false;
		CHECK(RUN(0x0f, 0x0d, 0xc0) == EMU_DONE, "does nothing with Intel's");
	}

	machine_reset(&m, EMU_PROT32);
	m.cr[4] |= OSXSAVE;
	m.xcr0 = 7;
	CHECK(faults(RUN(0xc4, 0xe3, 0xf9, 0x16, 0x03, 1), 6), "VPEXTRQ outside 64-bit mode");
	CHECK(faults(RUN(0xc4, 0xe3, 0xf9, 0x22, 0xc3, 1), 6), "VPINSRQ there");
	CHECK(RUN(0xc4, 0xe3, 0x79, 0x22, 0xc3, 1) == EMU_DONE, "VPINSRD there");
	m.emu.rip = CODE;
	m.emu.insn.amd = false;
	CHECK(RUN(0xc4, 0xe3, 0xf9, 0x22, 0xc3, 1) == EMU_DONE, "is VPINSRQ, too, with Intel's");
	reset(true);
	m.cr[4] |= OSXSAVE;
	m.xcr0 = 7;
	CHECK(RUN(0xc4, 0xe3, 0xf9, 0x22, 0xc3, 1) == EMU_DONE, "in 64-bit mode both have it");

	reset(true);
	m.gpr[EMU_RAX] = 1;
	m.gpr[EMU_R8] = 2;
	CHECK(RUN(0xf3, 0x49, 0x90) == EMU_DONE && m.gpr[EMU_RAX] == 2 && m.gpr[EMU_R8] == 1,
	      "F3 with REX.B is an exchange");
	reset(false);
	m.gpr[EMU_RAX] = 1;
	m.gpr[EMU_R8] = 2;
	CHECK(RUN(0xf3, 0x49, 0x90) == EMU_DONE && m.gpr[EMU_RAX] == 1, "or PAUSE");

	/* MOV CRn in APM 3 */
	reset(true);
	m.cr[8] = 5;
	CHECK(RUN(0xf0, 0x0f, 0x20, 0xc3) == EMU_DONE && m.gpr[EMU_RBX] == 5, "LOCK MOV CR0 is CR8");
	m.emu.rip = CODE;
	m.gpr[EMU_RBX] = 7;
	CHECK(RUN(0xf0, 0x0f, 0x22, 0xc3) == EMU_DONE && m.cr[8] == 7, "and is written");
	m.emu.rip = CODE;
	CHECK(faults(RUN(0xf0, 0x0f, 0x20, 0xdb), 6), "LOCK MOV CR3");
	CHECK(faults(RUN(0xf0, 0x0f, 0x21, 0xc3), 6), "LOCK MOV DR0");
	m.emu.cpl = 3;
	CHECK(faults(RUN(0xf0, 0x0f, 0x20, 0xc3), 13), "at CPL 3");
	m.emu.cpl = 0;
	m.no_features = true;
	CHECK(faults(RUN(0xf0, 0x0f, 0x20, 0xc3), 6), "without the feature");
	reset(false);
	CHECK(faults(RUN(0xf0, 0x0f, 0x20, 0xc3), 6), "Intel's have no such thing");
	group_end();
}

static void with_alignment_checks(bool amd)
{
	reset(amd);
	m.emu.cpl = 3;
	m.cr[0] = CR0_USER;
	m.cr[4] |= 0x40000;
	m.emu.rflags |= AC;
	m.gpr[EMU_RBX] = DATA + 8;
}

static void test_operands(void)
{
	group_begin("which memory is looked at, and how");
	/* #AC in APM 2, 8.2.18; which instructions Intel's check is left to the processor. */
	with_alignment_checks(true);
	CHECK(faults(RUN(0x0f, 0x10, 0x03), 17), "movups");
	CHECK(faults(RUN(0x0f, 0x11, 0x03), 17), "movups to memory");
	m.gpr[EMU_RBX] = DATA + 16;
	CHECK(RUN(0x0f, 0x10, 0x03) == EMU_DONE, "aligned");
	m.emu.rip = CODE;
	CHECK(RUN(0xc5, 0xfc, 0x10, 0x03) == EMU_DONE, "32 bytes like two of 16");
	with_alignment_checks(false);
	CHECK(RUN(0x0f, 0x10, 0x03) == EMU_DONE, "Intel's movups");

	/* MOVSXD to 16 bits at the end of what is there */
	reset(true);
	m.absent[(DATA + 0x1000) >> 12] = true;
	m.gpr[EMU_RBX] = DATA + 0xffe;
	CHECK(faults(RUN(0x66, 0x63, 0x03), 14), "AMD's movsxd reads 32 bits");
	m.emu.insn.amd = false;
	CHECK(RUN(0x66, 0x63, 0x03) == EMU_DONE, "Intel's reads what it needs");

	/* FST of a number that is too large, where that is not masked */
	reset(true);
	m.fpu.fcw = 0x337;
	m.fpu.ftw = 0x80;
	m.fpu.fsw = 7 << 11;
	m.fpu.st[0].mantissa = 1ull << 63;
	m.fpu.st[0].exponent = 0x7000;
	m.absent[DATA >> 12] = true;
	m.gpr[EMU_RBX] = DATA;
	CHECK(faults(RUN(0xd9, 0x13), 14) && m.fpu.fsw == 7 << 11, "AMD's fst faults first");
	m.emu.insn.amd = false;
	CHECK(RUN(0xd9, 0x13) == EMU_DONE && (m.fpu.fsw & 8), "Intel's stores nothing");
	group_end();
}

void test_vendors(void)
{
	test_branches();
	test_encodings();
	test_operands();
}
