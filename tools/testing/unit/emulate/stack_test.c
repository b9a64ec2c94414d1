// SPDX-License-Identifier: GPL-2.0
/* The stack, jumps, calls, returns, interrupts, near and far, in every mode. */
#include "machine.h"

static struct machine m;

#define RUN(...) machine_run(&m, BYTES(__VA_ARGS__))

static bool faults(int rc, u8 vector, u32 error)
{
	return rc == EMU_FAULT && m.emu.fault.vector == vector && m.emu.fault.error == error;
}

static void test_push_pop(void)
{
	group_begin("push and pop");
	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RAX] = 0x1122334455667788;
	CHECK(RUN(0x50) == EMU_DONE && m.gpr[EMU_RSP] == STACK - 8, "push rax");
	CHECK(machine_peek(&m, STACK - 8, 8) == 0x1122334455667788, "push rax");
	m.emu.rip = CODE;
	CHECK(RUN(0x41, 0x58) == EMU_DONE && m.gpr[EMU_R8] == 0x1122334455667788, "pop r8");
	CHECK(m.gpr[EMU_RSP] == STACK, "pop r8");
	m.emu.rip = CODE;
	CHECK(RUN(0x54) == EMU_DONE && machine_peek(&m, STACK - 8, 8) == STACK, "push rsp");
	m.emu.rip = CODE;
	machine_poke(&m, STACK - 8, 0x5000, 8);
	CHECK(RUN(0x5c) == EMU_DONE && m.gpr[EMU_RSP] == 0x5000, "pop rsp");

	machine_reset(&m, EMU_LONG64);
	CHECK(RUN(0x6a, 0xfe) == EMU_DONE && machine_peek(&m, STACK - 8, 8) == -2ull, "push imm8");
	m.emu.rip = CODE;
	CHECK(RUN(0x66, 0x68, 0x34, 0x12) == EMU_DONE && m.gpr[EMU_RSP] == STACK - 10,
	      "push imm16");
	m.emu.rip = CODE;
	m.gpr[EMU_RSP] = STACK;
	machine_poke(&m, STACK, 0xabcd, 8);
	CHECK(RUN(0x8f, 0x44, 0x24, 0x08) == EMU_DONE, "pop [rsp+8]");
	CHECK(machine_peek(&m, STACK + 16, 8) == 0xabcd, "address after the pop");
	m.emu.rip = CODE;
	m.gpr[EMU_RBX] = STACK + 16;
	CHECK(RUN(0xff, 0x33) == EMU_DONE && machine_peek(&m, STACK, 8) == 0xabcd, "push [rbx]");

	machine_reset(&m, EMU_REAL);
	m.seg[EMU_SS].base = 0x10000;
	m.gpr[EMU_RSP] = 0x12340002;
	m.gpr[EMU_RAX] = 0x5678;
	CHECK(RUN(0x50) == EMU_DONE && m.gpr[EMU_RSP] == 0x12340000, "16-bit push");
	CHECK(machine_peek(&m, 0x10000, 2) == 0x5678, "16-bit push");
	m.emu.rip = CODE;
	CHECK(RUN(0x50) == EMU_DONE && m.gpr[EMU_RSP] == 0x1234fffe, "16-bit stack pointer wraps");
	m.emu.rip = CODE;
	m.gpr[EMU_RSP] = 1;
	CHECK(RUN(0x50) == EMU_FAULT && m.emu.fault.vector == 12 && !m.emu.fault.has_error,
	      "push across the end");
	group_end();
}

static void test_many(void)
{
	unsigned int i;

	group_begin("PUSHA, POPA, ENTER, LEAVE");
	machine_reset(&m, EMU_PROT32);
	for (i = 0; i < 8; i++)
		m.gpr[i] = i == EMU_RSP ? STACK : 0x100 + i;
	CHECK(RUN(0x60) == EMU_DONE && m.gpr[EMU_RSP] == STACK - 32, "pusha");
	for (i = 0; i < 8; i++)
		CHECK(machine_peek(&m, STACK - 4 * (i + 1),
				   4) == (i == EMU_RSP ? STACK : 0x100 + i),
		      "pusha %u", i);
	for (i = 0; i < 8; i++)
		machine_poke(&m, STACK - 4 * (i + 1), 0x200 + i, 4);
	m.emu.rip = CODE;
	CHECK(RUN(0x61) == EMU_DONE && m.gpr[EMU_RSP] == STACK, "popa");
	for (i = 0; i < 8; i++)
		CHECK(i == EMU_RSP || m.gpr[i] == 0x200 + i, "popa %u", i);

	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RBP] = 0xbb;
	CHECK(RUN(0xc8, 0x20, 0x00, 0x00) == EMU_DONE, "enter");
	CHECK(m.gpr[EMU_RBP] == STACK - 8 && m.gpr[EMU_RSP] == STACK - 0x28, "enter");
	CHECK(machine_peek(&m, STACK - 8, 8) == 0xbb, "enter");
	m.emu.rip = CODE;
	CHECK(RUN(0xc9) == EMU_DONE && m.gpr[EMU_RSP] == STACK && m.gpr[EMU_RBP] == 0xbb, "leave");

	m.emu.rip = CODE;
	m.gpr[EMU_RBP] = STACK + 0x40;
	machine_poke(&m, STACK + 0x38, 0x1111, 8);
	machine_poke(&m, STACK + 0x30, 0x2222, 8);
	CHECK(RUN(0xc8, 0x10, 0x00, 0x03) == EMU_DONE, "enter, three levels");
	CHECK(machine_peek(&m, STACK - 16, 8) == 0x1111 &&
	      machine_peek(&m, STACK - 24, 8) == 0x2222 &&
	      machine_peek(&m, STACK - 32, 8) == STACK - 8, "enter, three levels");
	CHECK(m.gpr[EMU_RSP] == STACK - 0x30 && m.gpr[EMU_RBP] == STACK - 8, "enter, three levels");
	group_end();
}

static void test_flags(void)
{
	group_begin("PUSHF and POPF");
	machine_reset(&m, EMU_LONG64);
	m.emu.rflags = 0x10ad7;
	CHECK(RUN(0x9c) == EMU_DONE && machine_peek(&m, STACK - 8, 8) == 0xad7, "RF is not pushed");
	m.emu.rip = CODE;
	machine_poke(&m, STACK - 8, ~0ull, 8);
	CHECK(RUN(0x9d) == EMU_DONE && m.emu.rflags == 0x247fd7, "popf at CPL 0: %llx",
	      m.emu.rflags);

	machine_reset(&m, EMU_LONG64);
	m.emu.cpl = 3;
	machine_poke(&m, STACK, ~0ull, 8);
	CHECK(RUN(0x9d) == EMU_DONE && m.emu.rflags == 0x244dd7, "popf at CPL 3: %llx",
	      m.emu.rflags);
	m.emu.rip = CODE;
	m.emu.rflags = 0x1002;
	m.emu.cpl = 1;
	m.gpr[EMU_RSP] = STACK;
	CHECK(RUN(0x66, 0x9d) == EMU_DONE && m.emu.rflags == 0x5fd7, "popf at IOPL: %llx",
	      m.emu.rflags);

	machine_reset(&m, EMU_VM86);
	CHECK(faults(RUN(0x9c), 13, 0), "pushf in vm86 below IOPL 3");
	CHECK(faults(RUN(0x9d), 13, 0), "popf in vm86 below IOPL 3");
	m.cr[4] |= 1;
	m.emu.rflags |= 1 << 19;
	CHECK(RUN(0x9c) == EMU_DONE && machine_peek(&m, STACK - 2, 2) == 0x3202, "pushf with VME");
	m.emu.rip = CODE;
	machine_poke(&m, STACK - 2, 0x0001, 2);
	CHECK(RUN(0x9d) == EMU_DONE && m.emu.rflags == 0x20003, "popf with VME: %llx",
	      m.emu.rflags);
	m.emu.rip = CODE;
	m.emu.rflags |= 1 << 20;
	m.gpr[EMU_RSP] = STACK;
	machine_poke(&m, STACK, 0x0200, 2);
	CHECK(faults(RUN(0x9d), 13, 0), "popf with VIP");
	group_end();
}

static void test_near(void)
{
	group_begin("near transfers");
	machine_reset(&m, EMU_LONG64);
	CHECK(RUN(0xeb, 0xfe) == EMU_DONE && m.emu.rip == CODE, "jmp to itself");
	CHECK(RUN(0xe8, 0x10, 0, 0, 0) == EMU_DONE && m.emu.rip == CODE + 0x15, "call");
	CHECK(machine_peek(&m, STACK - 8, 8) == CODE + 5, "call pushes");
	CHECK(RUN(0xc2, 0x10, 0x00) == EMU_DONE && m.emu.rip == CODE + 5 &&
	      m.gpr[EMU_RSP] == STACK + 0x10,
	      "ret");
	m.emu.rip = CODE;
	m.gpr[EMU_RAX] = 0x1800;
	CHECK(RUN(0xff, 0xe0) == EMU_DONE && m.emu.rip == 0x1800, "jmp rax");
	CHECK(RUN(0xff, 0xd0) == EMU_DONE && m.emu.rip == 0x1800, "call rax");
	m.emu.rip = CODE;
	m.gpr[EMU_RAX] = 1ull << 47;
	CHECK(faults(RUN(0xff, 0xe0), 13, 0), "not canonical");
	CHECK(faults(RUN(0xff, 0xd0), 13, 0), "not canonical");
	m.cr[4] |= 1 << 12;
	CHECK(RUN(0xff, 0xe0) == EMU_DONE && m.emu.rip == 1ull << 47, "canonical with 5 levels");

	machine_reset(&m, EMU_LONG64);
	CHECK(RUN(0x74, 0x10) == EMU_DONE && m.emu.rip == CODE + 2, "jz not taken");
	m.emu.rflags |= 0x40;
	CHECK(RUN(0x0f, 0x84, 0x00, 0x01, 0, 0) == EMU_DONE && m.emu.rip == CODE + 0x108,
	      "jz taken");
	m.emu.rip = CODE;
	m.gpr[EMU_RCX] = 2;
	CHECK(RUN(0xe2, 0xfe) == EMU_DONE && m.emu.rip == CODE && m.gpr[EMU_RCX] == 1, "loop");
	CHECK(RUN(0xe2, 0xfe) == EMU_DONE && m.emu.rip == CODE + 2 && !m.gpr[EMU_RCX], "loop ends");
	CHECK(RUN(0xe3, 0x10) == EMU_DONE && m.emu.rip == CODE + 0x14, "jrcxz");
	m.emu.rip = CODE;
	m.gpr[EMU_RCX] = 0x100000002;
	m.emu.rflags = 2;
	CHECK(RUN(0x67, 0xe0, 0xfd) == EMU_DONE && m.emu.rip == CODE && m.gpr[EMU_RCX] == 1,
	      "loopne, ecx");
	CHECK(RUN(0xe1, 0xfe) == EMU_DONE && m.emu.rip == CODE + 2, "loope without ZF");

	machine_reset(&m, EMU_REAL);
	m.emu.rip = 0xfff0;
	CHECK(RUN(0xe9, 0x20, 0x00) == EMU_DONE && m.emu.rip == 0x13, "ip wraps in 16-bit jumps");
	m.emu.rip = CODE;
	CHECK(faults(RUN(0x66, 0xe9, 0, 0, 1, 0), 13, 0), "beyond the limit");
	CHECK(!m.emu.fault.has_error, "no error code in real mode");
	group_end();
}

static void test_far_real(void)
{
	group_begin("far transfers and interrupts, real mode");
	machine_reset(&m, EMU_REAL);
	m.seg[EMU_CS].selector = 0x20;
	m.seg[EMU_CS].base = 0x200;
	m.emu.rip = 0x100;
	CHECK(RUN(0x9a, 0x34, 0x00, 0x00, 0x01) == EMU_DONE, "call far");
	CHECK(m.emu.rip == 0x34 && m.seg[EMU_CS].selector == 0x100 && m.seg[EMU_CS].base == 0x1000,
	      "call far");
	CHECK(machine_peek(&m, STACK - 4, 4) == 0x00200105, "call far pushes");
	CHECK(RUN(0xcb) == EMU_DONE && m.emu.rip == 0x105 && m.seg[EMU_CS].base == 0x200,
	      "ret far");
	m.gpr[EMU_RSI] = DATA;
	machine_poke(&m, DATA, 0x03000042, 4);
	CHECK(RUN(0xff, 0x2c) == EMU_DONE && m.emu.rip == 0x42 && m.seg[EMU_CS].base == 0x3000,
	      "jmp far");

	m.emu.rip = 0x100;
	m.emu.rflags = 0x302;
	machine_poke(&m, 0x40, 0xf0001234, 4);
	CHECK(RUN(0xcd, 0x10) == EMU_DONE && m.emu.rip == 0x1234 && m.seg[EMU_CS].base == 0xf0000,
	      "int");
	CHECK(m.emu.rflags == 2, "int clears IF and TF");
	CHECK(machine_peek(&m, STACK - 6, 2) == 0x102 && machine_peek(&m, STACK - 4, 2) == 0x300 &&
	      machine_peek(&m, STACK - 2, 2) == 0x302, "int pushes");
	m.seg[EMU_CS].base = 0x3000;
	CHECK(RUN(0xcf) == EMU_DONE && m.emu.rip == 0x102 && m.emu.rflags == 0x302 &&
	      m.seg[EMU_CS].selector == 0x300 && m.emu.nmi_unblocked, "iret");
	CHECK(RUN(0xce) == EMU_DONE && m.emu.rip == 0x103, "into without overflow");
	m.dt[EMU_IDT].limit = 0x42;
	CHECK(faults(RUN(0xcd, 0x10), 13, 0), "beyond the vector table");
	m.gpr[EMU_RDI] = DATA;
	CHECK(RUN(0xc4, 0x1d) == EMU_DONE && m.seg[EMU_ES].selector == 0x300 &&
	      m.gpr[EMU_RBX] == 0x42, "les");
	group_end();
}

#define PRESENT	(EMU_ATTR_P | EMU_ATTR_S)
#define CODE32	(PRESENT | EMU_ATTR_CODE | EMU_ATTR_WRITE | EMU_ATTR_DB | EMU_ATTR_G)
#define DATA32	(PRESENT | EMU_ATTR_WRITE | EMU_ATTR_DB | EMU_ATTR_G)
#define CODE64	(PRESENT | EMU_ATTR_CODE | EMU_ATTR_WRITE | EMU_ATTR_L | EMU_ATTR_G)
#define DPL3	EMU_ATTR_DPL

static void descriptors(void)
{
	machine_descriptor(&m, 0x08, 0, 0xffffffff, CODE32);
	machine_descriptor(&m, 0x10, 0, 0xffffffff, DATA32);
	machine_descriptor(&m, 0x18, 0x100, 0xffff, CODE32 & ~EMU_ATTR_G);
	machine_descriptor(&m, 0x20, 0, 0xffffffff, CODE32 | DPL3);
	machine_descriptor(&m, 0x28, 0, 0xffffffff, DATA32 | DPL3);
	machine_descriptor(&m, 0x30, 0, 0xffffffff, CODE32 & ~EMU_ATTR_P);
	machine_descriptor(&m, 0x38, 0, 0xffffffff, DATA32 & ~EMU_ATTR_P);
	machine_descriptor(&m, 0x40, 0, 0xffffffff, CODE64);
	machine_descriptor(&m, 0x48, 0x3000, 0x67, EMU_ATTR_P | 0x9);
	machine_descriptor(&m, 0x50, 0, 0, 0);
	machine_descriptor(&m, 0x58, 0x4000, 0xff, EMU_ATTR_P | 0x2);
	machine_descriptor(&m, 0x60, 0, 0, 0);
	machine_descriptor(&m, 0x68, 0x12345678, 0xfff, CODE32 & ~(EMU_ATTR_WRITE | EMU_ATTR_G));
	machine_descriptor(&m, 0x70, 0, 0xffffffff, CODE32 | EMU_ATTR_DOWN);
	machine_descriptor(&m, 0x78, 0, 0, EMU_ATTR_P | 0xc);
}

static void test_segment_loads(void)
{
	group_begin("segment register loads");
	machine_reset(&m, EMU_PROT32);
	descriptors();
	m.gpr[EMU_RAX] = 0x28;
	CHECK(RUN(0x8e, 0xd8) == EMU_DONE && m.seg[EMU_DS].selector == 0x28, "ds");
	CHECK(m.seg[EMU_DS].limit == 0xffffffff && m.seg[EMU_DS].attr == (DATA32 | DPL3 | 1), "ds");
	CHECK(machine_peek(&m, GDT + 0x2d, 1) == 0xf3, "accessed bit");
	m.gpr[EMU_RAX] = 0;
	CHECK(RUN(0x8e, 0xe0) == EMU_DONE && !(m.seg[EMU_FS].attr & EMU_ATTR_P), "null");
	CHECK(faults(RUN(0x8e, 0xd0), 13, 0), "null ss");
	CHECK(faults(RUN(0x8e, 0xc8), 6, 0), "cs");
	CHECK(faults(RUN(0x8e, 0xf0), 6, 0), "no such register");
	m.gpr[EMU_RAX] = 0x10;
	CHECK(RUN(0x8e, 0xd0) == EMU_DONE && m.emu.shadow == EMU_SHADOW_SS,
	      "ss shadows interrupts");
	m.gpr[EMU_RAX] = 0x28;
	CHECK(faults(RUN(0x8e, 0xd0), 13, 0x28), "ss of another DPL");
	m.gpr[EMU_RAX] = 0x38;
	CHECK(faults(RUN(0x8e, 0xd8), 11, 0x38), "ds not present");
	CHECK(faults(RUN(0x8e, 0xd0), 12, 0x38), "ss not present");
	m.gpr[EMU_RAX] = 0x13;
	CHECK(faults(RUN(0x8e, 0xc0), 13, 0x10), "RPL beyond DPL");
	m.gpr[EMU_RAX] = 0x68;
	CHECK(faults(RUN(0x8e, 0xd8), 13, 0x68), "execute-only");
	m.gpr[EMU_RAX] = 0x73;
	CHECK(RUN(0x8e, 0xd8) == EMU_DONE, "conforming code");
	m.gpr[EMU_RAX] = 0x48;
	CHECK(faults(RUN(0x8e, 0xd8), 13, 0x48), "a TSS");
	m.gpr[EMU_RAX] = 0x100;
	CHECK(faults(RUN(0x8e, 0xd8), 13, 0x100), "beyond the table");
	m.gpr[EMU_RAX] = 0x14;
	CHECK(faults(RUN(0x8e, 0xd8), 13, 0x14), "no LDT");
	m.gpr[EMU_RAX] = 0x58;
	CHECK(RUN(0x0f, 0x00, 0xd0) == EMU_DONE && m.seg[EMU_LDTR].base == 0x4000, "lldt");
	machine_poke(&m, 0x4008, machine_peek(&m, GDT + 0x28, 8), 8);
	m.gpr[EMU_RAX] = 0x0f;
	CHECK(RUN(0x8e, 0xd8) == EMU_DONE && m.seg[EMU_DS].selector == 0x0f, "from the LDT");
	CHECK(RUN(0x8c, 0xdb) == EMU_DONE && m.gpr[EMU_RBX] == 0x0f, "mov ebx, ds");
	m.gpr[EMU_RAX] = 0x48;
	CHECK(RUN(0x0f, 0x00, 0xd8) == EMU_DONE && m.seg[EMU_TR].base == 0x3000, "ltr");
	CHECK(machine_peek(&m, GDT + 0x4d, 1) == 0x8b && (m.seg[EMU_TR].attr & 0xf) == 0xb, "busy");
	CHECK(faults(RUN(0x0f, 0x00, 0xd8), 13, 0x48), "busy already");

	machine_reset(&m, EMU_LONG64);
	descriptors();
	machine_poke(&m, GDT + 0x50, 0xffff8000, 4);
	m.gpr[EMU_RAX] = 0x48;
	CHECK(RUN(0x0f, 0x00, 0xd8) == EMU_DONE && m.seg[EMU_TR].base == 0xffff800000003000,
	      "64-bit ltr");
	m.gpr[EMU_RAX] = 0;
	CHECK(RUN(0x8e, 0xd0) == EMU_DONE && m.seg[EMU_SS].selector == 0, "null ss in 64-bit mode");
	machine_reset(&m, EMU_REAL);
	m.gpr[EMU_RAX] = 0xb800;
	CHECK(RUN(0x8e, 0xc0) == EMU_DONE && m.seg[EMU_ES].base == 0xb8000, "real mode");
	machine_poke(&m, STACK, 0x1234, 2);
	CHECK(RUN(0x1f) == EMU_DONE && m.seg[EMU_DS].base == 0x12340 && m.gpr[EMU_RSP] == STACK + 2,
	      "pop ds");
	CHECK(RUN(0x06) == EMU_DONE && machine_peek(&m, STACK, 2) == 0xb800, "push es");
	group_end();
}

static void test_far_protected(void)
{
	group_begin("far transfers, protected mode");
	machine_reset(&m, EMU_PROT32);
	descriptors();
	CHECK(RUN(0xea, 0x00, 0x20, 0, 0, 0x18, 0) == EMU_DONE && m.emu.rip == 0x2000, "jmp far");
	CHECK(m.seg[EMU_CS].selector == 0x18 && m.seg[EMU_CS].base == 0x100 &&
	      m.seg[EMU_CS].limit == 0xffff, "jmp far");
	m.emu.rip = CODE;
	CHECK(faults(RUN(0xea, 0, 0, 1, 0, 0x18, 0), 13, 0), "beyond the limit");
	CHECK(faults(RUN(0xea, 0, 0, 0, 0, 0x00, 0), 13, 0), "null");
	CHECK(faults(RUN(0xea, 0, 0, 0, 0, 0x10, 0), 13, 0x10), "data");
	CHECK(faults(RUN(0xea, 0, 0, 0, 0, 0x20, 0), 13, 0x20), "outer level");
	CHECK(faults(RUN(0xea, 0, 0, 0, 0, 0x30, 0), 11, 0x30), "not present");
	CHECK(faults(RUN(0xea, 0, 0, 0, 0, 0x58, 0), 13, 0x58), "an LDT");
	CHECK(m.emu.rip == CODE && m.seg[EMU_CS].selector == 0x18, "nothing has changed");
	CHECK(RUN(0x9a, 0x00, 0x30, 0, 0, 0x08, 0) == EMU_DONE && m.emu.rip == 0x3000, "call far");
	CHECK(machine_peek(&m, STACK - 8, 8) == 0x1800001007, "call far pushes");
	CHECK(RUN(0xca, 0x04, 0x00) == EMU_DONE && m.emu.rip == CODE + 7 &&
	      m.gpr[EMU_RSP] == STACK + 4,
	      "ret far");
	m.gpr[EMU_RSP] = STACK;
	m.emu.rip = CODE;
	machine_poke(&m, STACK, 0x0800002000, 8);
	machine_poke(&m, STACK + 8, 0x10246, 4);
	CHECK(RUN(0xcf) == EMU_DONE && m.emu.rip == 0x2000 && m.emu.rflags == 0x10246,
	      "iret restores RF");
	CHECK(m.gpr[EMU_RSP] == STACK + 12, "iret");
	m.gpr[EMU_RSI] = DATA;
	m.gpr[EMU_RAX] = 10;
	machine_poke(&m, DATA, 0x900000001, 8);
	CHECK(faults(RUN(0x62, 0x06), 5, 0), "bound");

	machine_reset(&m, EMU_PROT32);
	descriptors();
	m.efer = 0x500;
	CHECK(RUN(0xea, 0x00, 0x20, 0, 0, 0x40, 0) == EMU_DONE && (m.seg[EMU_CS].attr & EMU_ATTR_L),
	      "into 64-bit mode");

	machine_reset(&m, EMU_LONG64);
	descriptors();
	m.gpr[EMU_RSI] = DATA;
	machine_poke(&m, DATA, 0x0800002000, 8);
	CHECK(RUN(0xff, 0x2e) == EMU_DONE && m.emu.rip == 0x2000 && m.seg[EMU_CS].selector == 8,
	      "out of 64-bit mode");
	m.emu.rip = CODE;
	machine_poke(&m, STACK, 0xffff800000001000, 8);
	machine_poke(&m, STACK + 8, 0x40, 8);
	machine_poke(&m, STACK + 16, 0x202, 8);
	machine_poke(&m, STACK + 24, 0x7000, 8);
	machine_poke(&m, STACK + 32, 0x10, 8);
	CHECK(RUN(0x48, 0xcf) == EMU_DONE && m.emu.rip == 0xffff800000001000 &&
	      m.gpr[EMU_RSP] == 0x7000 &&
	      m.emu.rflags == 0x202 && m.seg[EMU_SS].selector == 0x10, "iretq");
	m.emu.rip = CODE;
	m.gpr[EMU_RSP] = STACK;
	machine_poke(&m, STACK, 1ull << 50, 8);
	CHECK(faults(RUN(0x48, 0xcf), 13, 0), "iretq to a bad address");
	group_end();
}

void test_stack_and_control(void)
{
	test_push_pop();
	test_many();
	test_flags();
	test_near();
	test_far_real();
	test_segment_loads();
	test_far_protected();
}
