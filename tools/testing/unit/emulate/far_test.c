// SPDX-License-Identifier: GPL-2.0
/*
 * Transfers between segments and privilege levels: call gates, interrupts, their returns, the fast
 * system calls, and what LAR and its kin say about descriptors.
 */
#include <string.h>

#include "machine.h"

static struct machine m;

#define RUN(...) machine_run(&m, BYTES(__VA_ARGS__))

static bool faults(int rc, u8 vector, u32 error)
{
	return rc == EMU_FAULT && m.emu.fault.vector == vector && m.emu.fault.error == error;
}

#define PRESENT	(EMU_ATTR_P | EMU_ATTR_S)
#define CODE32	(PRESENT | EMU_ATTR_CODE | EMU_ATTR_WRITE | EMU_ATTR_DB | EMU_ATTR_G)
#define CODE64	(PRESENT | EMU_ATTR_CODE | EMU_ATTR_WRITE | EMU_ATTR_L | EMU_ATTR_G)
#define DATA32	(PRESENT | EMU_ATTR_WRITE | EMU_ATTR_DB | EMU_ATTR_G)
#define DPL3	EMU_ATTR_DPL
#define DPL(n)	((n) << EMU_ATTR_DPL_SHIFT)

#define IDT	0x10000u
#define TSS	0x11000u
#define INNER	0x14000u	/* the top of the stack of level 0 */
#define HANDLER	0x6000u

/* Selectors */
#define K_CODE	0x08
#define K_DATA	0x10
#define U_CODE	0x23
#define U_DATA	0x2b
#define U_CODE64 0x33
#define K_CODE64 0x38
#define GATE	0x40	/* two entries: long mode's are twice as long */
#define CONFORMING 0x50
#define ABSENT	0x58
#define LDT	0x60
#define FREE_TSS 0x70
#define CODE16	0x80
#define EXEC_ONLY 0x88
#define READ_ONLY 0x90

static void gate(u64 linear, u16 selector, u64 offset, u16 access)
{
	machine_poke(&m, linear, (offset & 0xffff) | (u64)selector << 16 | (u64)access << 32 |
		     (offset & 0xffff0000) << 32, 8);
	if (m.efer & 0x400)
		machine_poke(&m, linear + 8, offset >> 32, 8);
}

static void idt_gate(u8 vector, u16 selector, u64 offset, u16 access)
{
	gate(IDT + vector * (m.efer & 0x400 ? 16 : 8), selector, offset, access);
}

#define CALL32	0x8c00u
#define CALL16	0x8400u
#define INT32	0x8e00u
#define TRAP32	0x8f00u
#define INT16	0x8600u
#define GATE3	0x6000u	/* DPL 3 */

static void reset(enum emu_mode mode)
{
	machine_reset(&m, mode);
	machine_descriptor(&m, K_CODE, 0, 0xffffffff, CODE32);
	machine_descriptor(&m, K_DATA, 0, 0xffffffff, DATA32);
	machine_descriptor(&m, U_CODE, 0, 0xffffffff, CODE32 | DPL3);
	machine_descriptor(&m, U_DATA, 0, 0xffffffff, DATA32 | DPL3);
	machine_descriptor(&m, U_CODE64, 0, 0xffffffff, CODE64 | DPL3);
	machine_descriptor(&m, K_CODE64, 0, 0xffffffff, CODE64);
	machine_descriptor(&m, CONFORMING, 0, 0xffffffff, CODE32 | EMU_ATTR_DOWN);
	machine_descriptor(&m, ABSENT, 0, 0xffffffff, CODE32 & ~EMU_ATTR_P);
	machine_descriptor(&m, LDT, 0, 0xff, EMU_ATTR_P | 2);
	machine_descriptor(&m, FREE_TSS, TSS, 0x67, EMU_ATTR_P | 9);
	machine_descriptor(&m, CODE16, 0, 0xffff, (CODE32 & ~(EMU_ATTR_DB | EMU_ATTR_G)));
	machine_descriptor(&m, EXEC_ONLY, 0, 0xfffff, CODE32 & ~EMU_ATTR_WRITE);
	machine_descriptor(&m, READ_ONLY, 0, 0xfff, (DATA32 | DPL3) & ~(EMU_ATTR_WRITE | EMU_ATTR_G));
	m.dt[EMU_IDT] = (struct emu_table){ .base = IDT, .limit = 0xfff };
	m.seg[EMU_TR].base = TSS;
	m.seg[EMU_TR].selector = FREE_TSS;
	m.seg[EMU_TR].limit = 0x67;
	if (mode == EMU_LONG64) {
		machine_poke(&m, TSS + 4, INNER, 8);
		machine_poke(&m, TSS + 0x24, INNER + 0x1000, 8);	/* IST1 */
	} else {
		machine_poke(&m, TSS + 4, INNER, 4);
		machine_poke(&m, TSS + 8, K_DATA, 2);
	}
}

/* From level 0 to level 3, with the segments of a user */
static void become_user(bool wide)
{
	unsigned int i;

	m.emu.cpl = 3;
	for (i = 0; i < 6; i++) {
		m.seg[i].selector = i == EMU_CS ? wide ? U_CODE64 : U_CODE : U_DATA;
		m.seg[i].attr |= DPL3;
	}
}

static void test_call_gates(void)
{
	group_begin("call gates");
	reset(EMU_PROT32);
	gate(GDT + GATE, K_CODE, HANDLER, CALL32);
	CHECK(RUN(0x9a, 0, 0, 0, 0, GATE, 0) == EMU_DONE && m.emu.rip == HANDLER, "same level");
	CHECK(machine_peek(&m, STACK - 8, 8) == ((u64)K_CODE << 32 | (CODE + 7)), "pushed");
	m.emu.rip = CODE;
	CHECK(RUN(0xea, 0, 0, 0, 0, GATE, 0) == EMU_DONE && m.emu.rip == HANDLER, "jmp");
	gate(GDT + GATE, CODE16, 0x12346000, CALL16);
	m.emu.rip = CODE;
	m.gpr[EMU_RSP] = STACK;
	CHECK(RUN(0x9a, 0, 0, 0, 0, GATE, 0) == EMU_DONE && m.emu.rip == 0x6000 &&
	      m.gpr[EMU_RSP] == STACK - 4, "16-bit gate");

	reset(EMU_PROT32);
	become_user(false);
	gate(GDT + GATE, K_CODE, HANDLER, CALL32 | GATE3 | 2);
	machine_poke(&m, STACK, 0x2222222211111111, 8);
	CHECK(RUN(0x9a, 0, 0, 0, 0, GATE | 3, 0) == EMU_DONE && m.emu.rip == HANDLER, "inner level");
	CHECK(m.seg[EMU_CS].selector == K_CODE && m.seg[EMU_SS].selector == K_DATA, "segments");
	CHECK(m.gpr[EMU_RSP] == INNER - 24 && machine_peek(&m, INNER - 4, 4) == U_DATA &&
	      machine_peek(&m, INNER - 8, 4) == STACK, "old stack");
	CHECK(machine_peek(&m, INNER - 16, 8) == 0x2222222211111111, "parameters");
	CHECK(machine_peek(&m, INNER - 24, 8) == ((u64)U_CODE << 32 | (CODE + 7)), "return address");
	CHECK(machine_peek(&m, GDT + K_DATA + 5, 1) & 1, "accessed");

	/* And back: the data segments of the inner level are taken away. */
	m.emu.cpl = 0;
	m.emu.rip = CODE;
	m.seg[EMU_DS].attr &= ~DPL3;
	CHECK(RUN(0xca, 8, 0) == EMU_DONE && m.emu.rip == CODE + 7, "ret to the outer level");
	CHECK(m.gpr[EMU_RSP] == STACK + 8 && m.seg[EMU_SS].selector == U_DATA &&
	      m.seg[EMU_CS].selector == U_CODE, "parameters released on both stacks");
	CHECK(!(m.seg[EMU_DS].attr & EMU_ATTR_P) && !m.seg[EMU_DS].selector, "ds is gone");
	CHECK(m.seg[EMU_ES].selector == U_DATA, "es has stayed");
	group_end();
}

static void test_gate_faults(void)
{
	group_begin("call gates, faults");
	reset(EMU_PROT32);
	become_user(false);
	gate(GDT + GATE, K_CODE, HANDLER, CALL32);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, GATE, 0), 13, GATE), "DPL of the gate");
	gate(GDT + GATE, K_CODE, HANDLER, (CALL32 | GATE3) & ~0x8000);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, GATE, 0), 11, GATE), "gate not present");
	gate(GDT + GATE, 0, HANDLER, CALL32 | GATE3);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, GATE, 0), 13, 0), "null target");
	gate(GDT + GATE, K_DATA, HANDLER, CALL32 | GATE3);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, GATE, 0), 13, K_DATA), "target is data");
	gate(GDT + GATE, ABSENT, HANDLER, CALL32 | GATE3);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, GATE, 0), 11, ABSENT), "target not present");
	gate(GDT + GATE, K_CODE, HANDLER, CALL32 | GATE3);
	CHECK(faults(RUN(0xea, 0, 0, 0, 0, GATE, 0), 13, K_CODE), "jmp to an inner level");
	m.seg[EMU_TR].limit = 8;
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, GATE, 0), 10, FREE_TSS), "TSS too short");
	m.seg[EMU_TR].limit = 0x67;
	machine_poke(&m, TSS + 8, 0, 2);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, GATE, 0), 10, 0), "null stack segment");
	machine_poke(&m, TSS + 8, U_DATA, 2);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, GATE, 0), 10, U_DATA & ~3), "stack of another level");
	machine_poke(&m, TSS + 8, K_DATA, 2);
	machine_descriptor(&m, K_DATA, 0, 0xffffffff, DATA32 & ~EMU_ATTR_P);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, GATE, 0), 12, K_DATA), "stack not present");
	machine_descriptor(&m, K_DATA, 0, 0xfff, DATA32 & ~EMU_ATTR_G);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, GATE, 0), 12, K_DATA), "stack too short");
	machine_descriptor(&m, K_DATA, 0, 0xffffffff, DATA32);
	m.readonly[(INNER - 1) / 4096] = true;
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, GATE, 0), 14, 3), "stack read-only");
	CHECK(m.emu.rip == CODE && m.gpr[EMU_RSP] == STACK && m.seg[EMU_CS].selector == U_CODE,
	      "nothing has changed");
	CHECK(RUN(0x9a, 0, 0x60, 0, 0, CONFORMING, 0) == EMU_DONE &&
	      m.seg[EMU_CS].selector == (CONFORMING | 3), "conforming code keeps the level");

	reset(EMU_PROT32);
	machine_descriptor(&m, K_CODE, 0, 0xfff, CODE32 & ~EMU_ATTR_G);
	gate(GDT + GATE, K_CODE, HANDLER, CALL32);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, GATE, 0), 13, 0), "beyond the limit");
	group_end();
}

static void test_gates64(void)
{
	group_begin("call gates and returns, long mode");
	reset(EMU_LONG64);
	become_user(true);
	m.gpr[EMU_RSI] = DATA;
	machine_poke(&m, DATA + 4, GATE | 3, 2);
	gate(GDT + GATE, K_CODE64, 0xffff800000006000, CALL32 | GATE3 | 5);
	CHECK(RUN(0xff, 0x1e) == EMU_DONE && m.emu.rip == 0xffff800000006000, "inner level");
	CHECK(m.seg[EMU_SS].selector == 0 && m.gpr[EMU_RSP] == INNER - 32, "null ss");
	CHECK(machine_peek(&m, INNER - 8, 8) == U_DATA && machine_peek(&m, INNER - 16, 8) == STACK &&
	      machine_peek(&m, INNER - 24, 8) == U_CODE64 &&
	      machine_peek(&m, INNER - 32, 8) == CODE + 2, "no parameters");
	m.emu.cpl = 0;
	m.emu.rip = CODE;
	CHECK(RUN(0x48, 0xcb) == EMU_DONE && m.emu.rip == CODE + 2 && m.gpr[EMU_RSP] == STACK &&
	      m.seg[EMU_SS].selector == U_DATA, "ret to the outer level");

	m.emu.cpl = 3;
	m.emu.rip = CODE;
	gate(GDT + GATE, K_CODE, HANDLER, CALL32 | GATE3);
	CHECK(faults(RUN(0xff, 0x1e), 13, K_CODE), "32-bit target");
	gate(GDT + GATE, K_CODE64, 1ull << 50, CALL32 | GATE3);
	CHECK(faults(RUN(0xff, 0x1e), 13, 0), "offset not canonical");
	gate(GDT + GATE, K_CODE64, HANDLER, CALL32 | GATE3);
	machine_poke(&m, TSS + 4, 1ull << 50, 8);
	CHECK(faults(RUN(0xff, 0x1e), 12, 0), "stack not canonical");
	machine_poke(&m, GDT + GATE + 12, 0x100, 4);
	CHECK(faults(RUN(0xff, 0x1e), 13, GATE), "type in the second half");
	gate(GDT + GATE, K_CODE64, HANDLER, CALL16 | GATE3);
	CHECK(faults(RUN(0xff, 0x1e), 13, GATE), "16-bit gate");
	machine_poke(&m, DATA + 4, FREE_TSS, 2);
	CHECK(faults(RUN(0xff, 0x2e), 13, FREE_TSS), "no tasks");
	group_end();
}

static void test_interrupts32(void)
{
	group_begin("interrupts and IRET, protected mode");
	reset(EMU_PROT32);
	m.emu.rflags = 0x4302;
	idt_gate(0x80, K_CODE, HANDLER, INT32);
	CHECK(RUN(0xcd, 0x80) == EMU_DONE && m.emu.rip == HANDLER && m.emu.rflags == 2, "same level");
	CHECK(m.gpr[EMU_RSP] == STACK - 12 && machine_peek(&m, STACK - 4, 4) == 0x4302 &&
	      machine_peek(&m, STACK - 12, 8) == ((u64)K_CODE << 32 | (CODE + 2)), "frame");
	idt_gate(3, K_CODE, HANDLER, TRAP32);
	m.emu.rip = CODE;
	m.emu.rflags = 0x202;
	CHECK(RUN(0xcc) == EMU_DONE && m.emu.rflags == 0x202, "a trap gate leaves IF");
	idt_gate(4, CODE16, 0x12346000, INT16);
	m.emu.rip = CODE;
	m.emu.rflags = 0x802;
	m.gpr[EMU_RSP] = STACK;
	CHECK(RUN(0xce) == EMU_DONE && m.emu.rip == 0x6000 && m.gpr[EMU_RSP] == STACK - 6,
	      "16-bit gate");

	reset(EMU_PROT32);
	become_user(false);
	m.emu.rflags = 0x202;
	idt_gate(0x80, K_CODE, HANDLER, INT32 | GATE3);
	CHECK(RUN(0xcd, 0x80) == EMU_DONE && m.gpr[EMU_RSP] == INNER - 20 &&
	      m.seg[EMU_SS].selector == K_DATA, "inner level");
	CHECK(machine_peek(&m, INNER - 4, 4) == U_DATA && machine_peek(&m, INNER - 8, 4) == STACK &&
	      machine_peek(&m, INNER - 12, 4) == 0x202, "frame");
	m.emu.cpl = 0;
	m.emu.rip = CODE;
	CHECK(RUN(0xcf) == EMU_DONE && m.emu.rip == CODE + 2 && m.emu.rflags == 0x202 &&
	      m.gpr[EMU_RSP] == STACK && m.seg[EMU_SS].selector == U_DATA, "iret");

	m.emu.cpl = 3;
	m.emu.rip = CODE;
	idt_gate(0x80, K_CODE, HANDLER, INT32);
	CHECK(faults(RUN(0xcd, 0x80), 13, 0x402), "DPL of the gate");
	CHECK(emu_interrupt(&m.emu, 0x80, false, 0) == EMU_DONE && m.emu.rip == HANDLER &&
	      machine_peek(&m, INNER - 20, 4) == CODE, "an event from outside needs no DPL");
	m.emu.rip = CODE;
	m.gpr[EMU_RSP] = STACK;
	become_user(false);
	idt_gate(13, K_CODE, HANDLER, INT32);
	CHECK(emu_interrupt(&m.emu, 13, true, 0x1234) == EMU_DONE &&
	      machine_peek(&m, INNER - 24, 4) == 0x1234, "error code");
	become_user(false);
	idt_gate(13, ABSENT, HANDLER, INT32);
	CHECK(faults(emu_interrupt(&m.emu, 13, true, 0), 11, ABSENT | 1), "EXT");
	idt_gate(0x80, K_CODE, HANDLER, (INT32 | GATE3) & ~0x8000);
	CHECK(faults(RUN(0xcd, 0x80), 11, 0x402), "not present");
	idt_gate(0x80, K_CODE, HANDLER, CALL32 | GATE3);
	CHECK(faults(RUN(0xcd, 0x80), 13, 0x402), "not an interrupt gate");
	m.dt[EMU_IDT].limit = 0x403;
	CHECK(faults(RUN(0xcd, 0x80), 13, 0x402), "beyond the table");

	reset(EMU_PROT32);
	machine_poke(&m, STACK, (u64)U_CODE << 32 | 0x1234, 8);
	machine_poke(&m, STACK + 8, 0x3202, 4);
	machine_poke(&m, STACK + 12, 0x7000, 4);
	machine_poke(&m, STACK + 16, K_DATA, 4);
	CHECK(faults(RUN(0xcf), 13, K_DATA), "stack of another level");
	machine_poke(&m, STACK + 16, 0, 4);
	CHECK(faults(RUN(0xcf), 13, 0), "null stack");
	machine_poke(&m, STACK + 16, U_DATA, 4);
	CHECK(RUN(0xcf) == EMU_DONE && m.emu.rflags == 0x3202 && m.gpr[EMU_RSP] == 0x7000, "iret");
	group_end();
}

static void test_interrupts64(void)
{
	group_begin("interrupts and IRET, long mode");
	reset(EMU_LONG64);
	m.emu.rflags = 0x202;
	m.gpr[EMU_RSP] = STACK - 3;
	idt_gate(0x80, K_CODE64, 0xffff800000006000, INT32);
	CHECK(RUN(0xcd, 0x80) == EMU_DONE && m.emu.rip == 0xffff800000006000 && m.emu.rflags == 2,
	      "same level");
	CHECK(m.gpr[EMU_RSP] == STACK - 0x10 - 40 && machine_peek(&m, STACK - 0x18, 8) == 0x10 &&
	      machine_peek(&m, STACK - 0x20, 8) == STACK - 3, "aligned, with SS:RSP");
	m.emu.rip = CODE;
	CHECK(RUN(0x48, 0xcf) == EMU_DONE && m.gpr[EMU_RSP] == STACK - 3 && m.emu.rip == CODE + 2,
	      "iretq");

	become_user(true);
	m.emu.rip = CODE;
	idt_gate(0x80, K_CODE64, HANDLER, INT32 | GATE3 | 1);
	CHECK(RUN(0xcd, 0x80) == EMU_DONE && m.gpr[EMU_RSP] == INNER + 0x1000 - 40 &&
	      m.seg[EMU_SS].selector == 0, "interrupt stack");
	become_user(true);
	m.emu.rip = CODE;
	idt_gate(0x80, K_CODE, HANDLER, INT32 | GATE3);
	CHECK(faults(RUN(0xcd, 0x80), 13, K_CODE), "32-bit handler");
	idt_gate(0x80, K_CODE64, HANDLER, INT16 | GATE3);
	CHECK(faults(RUN(0xcd, 0x80), 13, 0x402), "16-bit gate");
	m.emu.rflags |= 1 << 14;
	CHECK(faults(RUN(0x48, 0xcf), 13, 0), "iret with NT");

	/* From 64-bit mode to a 32-bit user */
	reset(EMU_LONG64);
	machine_poke(&m, STACK, 0x5000, 8);
	machine_poke(&m, STACK + 8, U_CODE, 8);
	machine_poke(&m, STACK + 16, 0x20202, 8);
	machine_poke(&m, STACK + 24, 0x7000, 8);
	machine_poke(&m, STACK + 32, U_DATA, 8);
	CHECK(RUN(0x48, 0xcf) == EMU_DONE && m.emu.rip == 0x5000 && m.emu.rflags == 0x202 &&
	      m.seg[EMU_CS].selector == U_CODE, "to compatibility mode, VM ignored");
	group_end();
}

static void test_vm86(void)
{
	group_begin("virtual-8086 mode");
	reset(EMU_VM86);
	CHECK(faults(RUN(0xcd, 0x10), 13, 0), "int below IOPL 3");
	CHECK(faults(RUN(0xcf), 13, 0), "iret below IOPL 3");
	m.seg[EMU_DS].selector = 0x111;
	m.seg[EMU_GS].selector = 0x444;
	m.seg[EMU_SS].selector = 0x555;
	idt_gate(3, K_CODE, HANDLER, INT32 | GATE3);
	CHECK(RUN(0xcc) == EMU_DONE && m.emu.rip == HANDLER && m.emu.rflags == 2, "int3");
	CHECK(m.gpr[EMU_RSP] == INNER - 36 && machine_peek(&m, INNER - 4, 4) == 0x444 &&
	      machine_peek(&m, INNER - 12, 4) == 0x111 && machine_peek(&m, INNER - 20, 4) == 0x555 &&
	      machine_peek(&m, INNER - 28, 4) == 0x20002, "frame");
	CHECK(!m.seg[EMU_DS].selector && m.seg[EMU_CS].selector == K_CODE, "segments");
	m.emu.mode = EMU_PROT32;
	m.emu.cpl = 0;
	m.emu.rip = CODE;
	CHECK(RUN(0xcf) == EMU_DONE && m.emu.rip == CODE + 1 && m.emu.rflags == 0x20002, "iret");
	CHECK(m.seg[EMU_DS].selector == 0x111 && m.seg[EMU_DS].base == 0x1110 &&
	      m.seg[EMU_SS].base == 0x5550 && m.gpr[EMU_RSP] == STACK &&
	      m.seg[EMU_CS].attr == 0xf3, "segments");

	reset(EMU_VM86);
	m.emu.rflags |= 0x3200;
	idt_gate(0x10, U_CODE, HANDLER, INT32 | GATE3);
	CHECK(faults(RUN(0xcd, 0x10), 13, U_CODE & ~3), "a handler of level 3");
	idt_gate(0x10, K_CODE, HANDLER, INT32 | GATE3);
	CHECK(RUN(0xcd, 0x10) == EMU_DONE && m.emu.rip == HANDLER, "int at IOPL 3");

	reset(EMU_VM86);
	m.cr[4] |= 1;
	m.emu.rflags |= 1 << 19;
	m.seg[EMU_TR].limit = 0x100;
	machine_poke(&m, TSS + 0x66, 0x88, 2);
	machine_poke(&m, 0x40, 0x00202000, 4);
	CHECK(RUN(0xcd, 0x10) == EMU_DONE && m.emu.rip == 0x2000 && m.seg[EMU_CS].base == 0x200,
	      "redirected");
	CHECK(machine_peek(&m, STACK - 2, 2) == 0x3202 && m.emu.rflags == 0x20002,
	      "VIF is pushed as IF, and cleared");
	m.seg[EMU_CS].base = 0;
	m.emu.rip = CODE;
	CHECK(RUN(0xcf) == EMU_DONE && m.emu.rip == CODE + 2 && m.emu.rflags == 0xa0002, "iret");
	m.emu.rip = CODE;
	machine_poke(&m, TSS + 0x68 + 2, 1, 1);
	CHECK(faults(RUN(0xcd, 0x10), 13, 0), "not redirected");
	group_end();
}

static void test_system_calls(void)
{
	group_begin("SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS");
	reset(EMU_LONG64);
	become_user(true);
	m.system_msr[3] = 0x00230010ull << 32 | 0x7000;
	m.system_msr[4] = 0xffff800000001000;
	m.system_msr[5] = 0xffff800000002000;
	m.system_msr[6] = 0x200;
	m.emu.rflags = 0x10246;
	CHECK(faults(RUN(0x0f, 0x05), 6, 0), "without EFER.SCE");
	m.efer |= 1;
	CHECK(RUN(0x0f, 0x05) == EMU_DONE && m.emu.rip == 0xffff800000001000, "syscall");
	CHECK(m.gpr[EMU_RCX] == CODE + 2 && m.gpr[EMU_R11] == 0x246 && m.emu.rflags == 0x46,
	      "return address and flags");
	CHECK(m.seg[EMU_CS].selector == 0x10 && m.seg[EMU_CS].attr == 0xa9b &&
	      m.seg[EMU_SS].selector == 0x18 && m.seg[EMU_SS].attr == 0xc93, "segments");
	m.emu.rip = CODE;
	CHECK(faults(RUN(0x48, 0x0f, 0x07), 13, 0), "sysret at CPL 3");
	m.emu.cpl = 0;
	CHECK(RUN(0x48, 0x0f, 0x07) == EMU_DONE && m.emu.rip == CODE + 2 && m.emu.rflags == 0x246 &&
	      m.seg[EMU_CS].selector == 0x33 && m.seg[EMU_SS].selector == 0x2b &&
	      m.seg[EMU_CS].attr == 0xafb, "sysretq");
	m.emu.rip = CODE;
	CHECK(RUN(0x0f, 0x07) == EMU_DONE && m.seg[EMU_CS].selector == 0x23 &&
	      m.seg[EMU_CS].attr == 0xcfb, "sysretl");
	m.emu.rip = CODE;
	m.gpr[EMU_RCX] = 1ull << 50;
	CHECK(RUN(0x48, 0x0f, 0x07) == EMU_DONE, "AMD's return anywhere");
	m.emu.rip = CODE;
	m.emu.insn.amd = false;
	CHECK(faults(RUN(0x48, 0x0f, 0x07), 13, 0), "Intel's do not");
	m.emu.mode = EMU_PROT32;
	CHECK(faults(RUN(0x0f, 0x05), 6, 0), "Intel's know it in 64-bit mode only");
	m.emu.insn.amd = true;
	CHECK(RUN(0x0f, 0x05) == EMU_DONE && m.emu.rip == 0xffff800000002000, "compatibility mode");

	reset(EMU_PROT32);
	m.efer |= 1;
	m.system_msr[3] = 0x00230010ull << 32 | 0x7000;
	m.emu.rflags = 0x202;
	CHECK(RUN(0x0f, 0x05) == EMU_DONE && m.emu.rip == 0x7000 && m.gpr[EMU_RCX] == CODE + 2 &&
	      m.emu.rflags == 2 && m.seg[EMU_CS].attr == 0xc9b, "legacy mode");

	m.emu.rip = CODE;
	CHECK(faults(RUN(0x0f, 0x34), 13, 0), "sysenter without a selector");
	m.system_msr[0] = 0x0b;
	m.system_msr[1] = 0x8800;
	m.system_msr[2] = 0x7700;
	CHECK(RUN(0x0f, 0x34) == EMU_DONE && m.emu.rip == 0x7700 && m.gpr[EMU_RSP] == 0x8800 &&
	      m.seg[EMU_CS].selector == 8 && m.seg[EMU_SS].selector == 0x10, "sysenter");
	m.emu.rip = CODE;
	m.gpr[EMU_RDX] = 0x5500;
	m.gpr[EMU_RCX] = 0x6600;
	CHECK(RUN(0x0f, 0x35) == EMU_DONE && m.emu.rip == 0x5500 && m.gpr[EMU_RSP] == 0x6600 &&
	      m.seg[EMU_CS].selector == 0x1b && m.seg[EMU_SS].selector == 0x23, "sysexit");
	m.emu.rip = CODE;
	m.no_features = true;
	CHECK(faults(RUN(0x0f, 0x34), 6, 0), "without the feature");
	m.no_features = false;
	m.emu.cpl = 3;
	CHECK(faults(RUN(0x0f, 0x35), 13, 0), "sysexit at CPL 3");

	reset(EMU_LONG64);
	m.system_msr[0] = 8;
	CHECK(faults(RUN(0x0f, 0x34), 6, 0), "AMD's know no sysenter in long mode");
	m.emu.insn.amd = false;
	m.system_msr[2] = 0xffff800000001000;
	CHECK(RUN(0x0f, 0x34) == EMU_DONE && m.emu.rip == 0xffff800000001000 &&
	      m.seg[EMU_CS].attr == 0xa9b, "Intel's do");
	m.emu.rip = CODE;
	m.gpr[EMU_RDX] = 1ull << 50;
	CHECK(faults(RUN(0x48, 0x0f, 0x35), 13, 0), "sysexit to nowhere");
	m.gpr[EMU_RDX] = 0x1000;
	CHECK(RUN(0x48, 0x0f, 0x35) == EMU_DONE && m.seg[EMU_CS].selector == 0x2b, "sysexitq");

	m.emu.rip = CODE;
	m.seg[EMU_GS].base = 0x1111;
	m.system_msr[7] = 0x2222;
	CHECK(RUN(0x0f, 0x01, 0xf8) == EMU_DONE && m.seg[EMU_GS].base == 0x2222 &&
	      m.system_msr[7] == 0x1111, "swapgs");
	m.emu.cpl = 3;
	CHECK(faults(RUN(0x0f, 0x01, 0xf8), 13, 0), "swapgs at CPL 3");
	m.emu.mode = EMU_PROT32;
	CHECK(faults(RUN(0x0f, 0x01, 0xf8), 6, 0), "swapgs outside 64-bit mode");
	reset(EMU_REAL);
	CHECK(faults(RUN(0x0f, 0x34), 13, 0), "sysenter in real mode");
	CHECK(faults(RUN(0x0f, 0x05), 6, 0), "syscall in real mode");
	group_end();
}

static void test_real_events(void)
{
	group_begin("events of real mode");
	reset(EMU_REAL);
	machine_poke(&m, IDT + 13 * 4, 0x00200034, 4);
	m.emu.rflags = 0x50302;		/* AC, RF, IF, TF */
	m.emu.rip = 0x1234;
	m.gpr[EMU_RSP] = 0x8000;
	CHECK(emu_interrupt(&m.emu, 13, false, 0) == EMU_DONE && m.seg[EMU_CS].base == 0x200 &&
	      m.emu.rip == 0x34 && m.emu.rflags == 2, "through the table");
	CHECK(m.gpr[EMU_RSP] == 0x7ffa &&
	      machine_peek(&m, m.seg[EMU_SS].base + 0x7ffa, 2) == 0x1234 &&
	      machine_peek(&m, m.seg[EMU_SS].base + 0x7ffe, 2) == 0x302, "the frame");
	m.dt[EMU_IDT].limit = 13 * 4 + 2;
	CHECK(faults(emu_interrupt(&m.emu, 13, false, 0), 13, 0), "beyond the table");
	group_end();
}

static bool zf(void)
{
	return m.emu.rflags & 0x40;
}

static void test_queries(void)
{
	group_begin("LAR, LSL, VERR, VERW, ARPL");
	reset(EMU_PROT32);
	m.gpr[EMU_RBX] = K_CODE;
	CHECK(RUN(0x0f, 0x02, 0xc3) == EMU_DONE && zf() && m.gpr[EMU_RAX] == 0xc09a00, "lar");
	CHECK(RUN(0x0f, 0x03, 0xc3) == EMU_DONE && zf() && m.gpr[EMU_RAX] == 0xffffffff, "lsl");
	CHECK(RUN(0x66, 0x0f, 0x02, 0xc3) == EMU_DONE && m.gpr[EMU_RAX] == 0xffff9a00, "lar 16");
	m.gpr[EMU_RAX] = 0x1234;
	m.gpr[EMU_RBX] = 0;
	CHECK(RUN(0x0f, 0x02, 0xc3) == EMU_DONE && !zf() && m.gpr[EMU_RAX] == 0x1234, "null");
	m.gpr[EMU_RBX] = 0x100;
	CHECK(RUN(0x0f, 0x03, 0xc3) == EMU_DONE && !zf(), "beyond the table");
	m.gpr[EMU_RBX] = 0x0c;
	CHECK(RUN(0x0f, 0x03, 0xc3) == EMU_DONE && !zf(), "no LDT");
	m.gpr[EMU_RBX] = FREE_TSS;
	CHECK(RUN(0x0f, 0x03, 0xc3) == EMU_DONE && zf() && m.gpr[EMU_RAX] == 0x67, "lsl of a TSS");
	gate(GDT + GATE, K_CODE, HANDLER, CALL32 | GATE3);
	m.gpr[EMU_RBX] = GATE;
	CHECK(RUN(0x0f, 0x02, 0xc3) == EMU_DONE && zf() && (m.gpr[EMU_RAX] & 0xff00) == 0xec00,
	      "lar of a gate");
	CHECK(RUN(0x0f, 0x03, 0xc3) == EMU_DONE && !zf(), "a gate has no limit");
	idt_gate(0, 0, 0, 0);
	gate(GDT + GATE, K_CODE, HANDLER, INT32);
	CHECK(RUN(0x0f, 0x02, 0xc3) == EMU_DONE && !zf(), "an interrupt gate");
	m.gpr[EMU_RBX] = K_CODE | 3;
	CHECK(RUN(0x0f, 0x02, 0xc3) == EMU_DONE && !zf(), "RPL");
	m.gpr[EMU_RBX] = CONFORMING | 3;
	CHECK(RUN(0x0f, 0x02, 0xc3) == EMU_DONE && zf(), "conforming");

	m.gpr[EMU_RBX] = K_DATA;
	CHECK(RUN(0x0f, 0x00, 0xe3) == EMU_DONE && zf(), "verr data");
	CHECK(RUN(0x0f, 0x00, 0xeb) == EMU_DONE && zf(), "verw data");
	m.gpr[EMU_RBX] = READ_ONLY;
	CHECK(RUN(0x0f, 0x00, 0xe3) == EMU_DONE && zf(), "verr read-only");
	CHECK(RUN(0x0f, 0x00, 0xeb) == EMU_DONE && !zf(), "verw read-only");
	m.gpr[EMU_RBX] = K_CODE;
	CHECK(RUN(0x0f, 0x00, 0xe3) == EMU_DONE && zf(), "verr code");
	CHECK(RUN(0x0f, 0x00, 0xeb) == EMU_DONE && !zf(), "verw code");
	m.gpr[EMU_RBX] = EXEC_ONLY;
	CHECK(RUN(0x0f, 0x00, 0xe3) == EMU_DONE && !zf(), "verr execute-only");
	m.gpr[EMU_RBX] = LDT;
	CHECK(RUN(0x0f, 0x00, 0xe3) == EMU_DONE && !zf(), "verr of a system segment");
	become_user(false);
	m.gpr[EMU_RBX] = K_DATA;
	CHECK(RUN(0x0f, 0x00, 0xe3) == EMU_DONE && !zf(), "verr of an inner level");

	m.gpr[EMU_RAX] = 0x10;
	m.gpr[EMU_RBX] = 0x23;
	CHECK(RUN(0x63, 0xd8) == EMU_DONE && zf() && m.gpr[EMU_RAX] == 0x13, "arpl");
	m.gpr[EMU_RBX] = 0x22;
	CHECK(RUN(0x63, 0xd8) == EMU_DONE && !zf() && m.gpr[EMU_RAX] == 0x13, "arpl changes nothing");

	reset(EMU_LONG64);
	m.gpr[EMU_RBX] = K_CODE64;
	CHECK(RUN(0x48, 0x0f, 0x02, 0xc3) == EMU_DONE && zf() && m.gpr[EMU_RAX] == 0xa09a00,
	      "64-bit lar");
	machine_descriptor(&m, FREE_TSS, TSS, 0x67, EMU_ATTR_P | 1);
	m.gpr[EMU_RBX] = FREE_TSS;
	CHECK(RUN(0x0f, 0x02, 0xc3) == EMU_DONE && !zf(), "no 16-bit TSS in long mode");
	reset(EMU_REAL);
	CHECK(faults(RUN(0x0f, 0x02, 0xc3), 6, 0), "lar in real mode");
	CHECK(faults(RUN(0x63, 0xd8), 6, 0), "arpl in real mode");
	group_end();
}

void test_transfers(void)
{
	test_call_gates();
	test_gate_faults();
	test_gates64();
	test_interrupts32();
	test_interrupts64();
	test_vm86();
	test_real_events();
	test_system_calls();
	test_queries();
}
