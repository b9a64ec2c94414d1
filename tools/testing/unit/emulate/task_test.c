// SPDX-License-Identifier: GPL-2.0
/* Task switches: what is saved and loaded where, their checks, and faults in the new task. */
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
#define DATA32	(PRESENT | EMU_ATTR_WRITE | EMU_ATTR_DB | EMU_ATTR_G)
#define DPL3	EMU_ATTR_DPL

#define OLD	0x11000u	/* TSSs */
#define NEW	0x12000u
#define ENTRY	0x6000u		/* of the new task */
#define TOP	0x14000u	/* its stack */

/* Selectors */
#define K_CODE	0x08
#define K_DATA	0x10
#define U_CODE	0x23
#define U_DATA	0x2b
#define OLD_TSS	0x30
#define NEW_TSS	0x38
#define GATE	0x40
#define LDT	0x48
#define ABSENT	0x50

static void new_tss32(void)
{
	unsigned int i;

	machine_descriptor(&m, NEW_TSS, NEW, 0x67, EMU_ATTR_P | 9);
	machine_poke(&m, NEW + 0x1c, 0x5000, 4);
	machine_poke(&m, NEW + 0x20, ENTRY, 4);
	machine_poke(&m, NEW + 0x24, 0x246, 4);
	for (i = 0; i < 8; i++)
		machine_poke(&m, NEW + 0x28 + 4 * i, 0x1000001 * i, 4);
	machine_poke(&m, NEW + 0x38, TOP, 4);
	for (i = 0; i < 6; i++)
		machine_poke(&m, NEW + 0x48 + 4 * i, i == EMU_CS ? K_CODE : K_DATA, 4);
	machine_poke(&m, NEW + 0x60, LDT, 4);
}

static void new_tss16(void)
{
	unsigned int i;

	machine_descriptor(&m, NEW_TSS, NEW, 0x2b, EMU_ATTR_P | 1);
	machine_poke(&m, NEW + 0x0e, ENTRY, 2);
	machine_poke(&m, NEW + 0x10, 0x246, 2);
	for (i = 0; i < 8; i++)
		machine_poke(&m, NEW + 0x12 + 2 * i, 0x101 * i, 2);
	for (i = 0; i < 4; i++)
		machine_poke(&m, NEW + 0x22 + 2 * i, i == EMU_CS ? K_CODE : K_DATA, 2);
	machine_poke(&m, NEW + 0x2a, 0, 2);
}

static void reset(void)
{
	machine_reset(&m, EMU_PROT32);
	machine_descriptor(&m, K_CODE, 0, 0xffffffff, CODE32);
	machine_descriptor(&m, K_DATA, 0, 0xffffffff, DATA32);
	machine_descriptor(&m, U_CODE, 0, 0xffffffff, CODE32 | DPL3);
	machine_descriptor(&m, U_DATA, 0, 0xffffffff, DATA32 | DPL3);
	machine_descriptor(&m, OLD_TSS, OLD, 0x67, EMU_ATTR_P | 0xb);
	machine_descriptor(&m, LDT, 0x4000, 0xff, EMU_ATTR_P | 2);
	machine_descriptor(&m, ABSENT, 0, 0xffffffff, DATA32 & ~EMU_ATTR_P);
	machine_poke(&m, GDT + GATE, (u64)NEW_TSS << 16 | 0xe500ull << 32, 8);
	m.seg[EMU_TR] = (struct emu_segment){ .base = OLD, .limit = 0x67, .selector = OLD_TSS,
					      .attr = EMU_ATTR_P | 0xb };
	m.cr[0] |= 1u << 31;
	m.dr[7] = 0x7ff;
	m.gpr[EMU_RBX] = 0x33333333;
	m.emu.rflags = 0x202;
	new_tss32();
}

static unsigned int access_byte(u16 selector)
{
	return machine_peek(&m, GDT + selector + 5, 1);
}

static void test_call_and_return(void)
{
	group_begin("tasks: CALL and IRET");
	reset();
	machine_poke(&m, OLD + 0x48, 0xffff0000, 4);
	CHECK(RUN(0x9a, 0, 0, 0, 0, NEW_TSS, 0) == EMU_DONE && m.emu.rip == ENTRY, "call");
	CHECK(m.emu.rflags == 0x4246, "NT is set");
	CHECK(m.gpr[EMU_RAX] == 0 && m.gpr[EMU_RBX] == 0x3000003 && m.gpr[EMU_RSP] == TOP &&
	      m.gpr[EMU_RDI] == 0x7000007, "registers");
	CHECK(m.seg[EMU_TR].base == NEW && m.seg[EMU_TR].selector == NEW_TSS &&
	      (m.seg[EMU_TR].attr & 0xf) == 0xb, "TR");
	CHECK(m.seg[EMU_LDTR].base == 0x4000 && m.cr[3] == 0x5000 && (m.cr[0] & 8), "LDTR, CR3, TS");
	CHECK(m.dr[7] == 0x6aa, "local breakpoints have ended");
	CHECK(m.seg[EMU_FS].selector == K_DATA && m.seg[EMU_FS].attr == (DATA32 | 1), "segments");
	CHECK(machine_peek(&m, NEW, 2) == OLD_TSS, "link");
	CHECK(access_byte(NEW_TSS) == 0x8b && access_byte(OLD_TSS) == 0x8b, "both are busy");
	CHECK(machine_peek(&m, OLD + 0x20, 4) == CODE + 7 && machine_peek(&m, OLD + 0x24, 4) == 0x202 &&
	      machine_peek(&m, OLD + 0x34, 4) == 0x33333333 &&
	      machine_peek(&m, OLD + 0x38, 4) == STACK, "old registers");
	CHECK(machine_peek(&m, OLD + 0x48, 4) == 0xffff0010, "half a double word is not touched");
	CHECK(!machine_peek(&m, OLD + 0x1c, 4) && !machine_peek(&m, OLD + 0x60, 4),
	      "CR3 and LDT are not saved");

	m.gpr[EMU_RBX] = 0x55;
	CHECK(RUN(0xcf) == EMU_DONE && m.emu.rip == CODE + 7 && m.emu.rflags == 0x202, "iret");
	CHECK(m.gpr[EMU_RBX] == 0x33333333 && m.seg[EMU_TR].selector == OLD_TSS, "iret");
	CHECK(access_byte(NEW_TSS) == 0x89 && access_byte(OLD_TSS) == 0x8b, "free again");
	CHECK(machine_peek(&m, NEW + 0x24, 4) == 0x246 && machine_peek(&m, NEW + 0x34, 4) == 0x55 &&
	      machine_peek(&m, NEW + 0x20, 4) == ENTRY + 1, "saved without NT");
	group_end();
}

static void test_jump_and_gate(void)
{
	u32 error = 0x1234;

	group_begin("tasks: JMP, gates, events");
	reset();
	CHECK(RUN(0xea, 0, 0, 0, 0, NEW_TSS, 0) == EMU_DONE && m.emu.rip == ENTRY &&
	      m.emu.rflags == 0x246, "jmp");
	CHECK(access_byte(OLD_TSS) == 0x89 && access_byte(NEW_TSS) == 0x8b, "the old one is free");
	CHECK(!machine_peek(&m, NEW, 2), "no link");
	reset();
	CHECK(RUN(0x9a, 0, 0, 0, 0, GATE, 0) == EMU_DONE && m.emu.rip == ENTRY, "task gate");
	reset();
	m.dt[EMU_IDT] = (struct emu_table){ .base = 0x10000, .limit = 0x7ff };
	machine_poke(&m, 0x10000 + 8 * 13, (u64)NEW_TSS << 16 | 0x8500ull << 32, 8);
	CHECK(emu_interrupt(&m.emu, 13, true, 0x18) == EMU_DONE && m.emu.rip == ENTRY &&
	      m.gpr[EMU_RSP] == TOP - 4 && machine_peek(&m, TOP - 4, 4) == 0x18, "event");
	CHECK(machine_peek(&m, OLD + 0x20, 4) == CODE && machine_peek(&m, NEW, 2) == OLD_TSS, "event");
	reset();
	CHECK(emu_task_switch(&m.emu, NEW_TSS, EMU_TASK_GATE, 0, true, &error) == EMU_DONE &&
	      machine_peek(&m, TOP - 4, 4) == error, "what an exit asks for");
	reset();
	CHECK(emu_task_switch(&m.emu, NEW_TSS, EMU_TASK_JUMP, 5, false, NULL) == EMU_DONE &&
	      machine_peek(&m, OLD + 0x20, 4) == CODE + 5, "behind the instruction");
	reset();
	machine_poke(&m, NEW + 0x64, 1, 2);
	CHECK(RUN(0x9a, 0, 0, 0, 0, NEW_TSS, 0) == EMU_DONE && m.emu.trap == EMU_TRAP_TASK, "T");
	group_end();
}

static void test_narrow(void)
{
	group_begin("tasks: 16-bit TSS, virtual-8086 mode");
	reset();
	new_tss16();
	m.seg[EMU_FS].selector = 0x99;
	CHECK(RUN(0x9a, 0, 0, 0, 0, NEW_TSS, 0) == EMU_DONE && m.emu.rip == ENTRY &&
	      m.emu.rflags == 0x4246, "into one");
	CHECK(m.gpr[EMU_RBX] == 0xffff0303 && m.seg[EMU_SS].selector == K_DATA &&
	      !m.seg[EMU_FS].selector && !m.seg[EMU_LDTR].selector && !m.cr[3], "registers");
	CHECK(machine_peek(&m, OLD + 0x58, 2) == 0x99, "fs was saved");
	m.seg[EMU_FS].selector = K_DATA;
	machine_poke(&m, OLD + 0x58, K_DATA, 2);
	CHECK(RUN(0xcf) == EMU_DONE && m.emu.rip == CODE + 7 && m.gpr[EMU_RBX] == 0x33333333, "back");
	CHECK(machine_peek(&m, NEW + 0x0e, 2) == ENTRY + 1 && machine_peek(&m, NEW + 0x18, 2) == 0x303,
	      "saved in 16 bits");

	reset();
	machine_poke(&m, NEW + 0x24, 0x20202, 4);
	machine_poke(&m, NEW + 0x54, 0x1234, 4);
	machine_poke(&m, NEW + 0x4c, 0x300, 4);
	CHECK(RUN(0xea, 0, 0, 0, 0, NEW_TSS, 0) == EMU_DONE && m.emu.rflags == 0x20202, "vm86");
	CHECK(m.seg[EMU_DS].base == 0x12340 && m.seg[EMU_CS].base == 0x3000 &&
	      m.seg[EMU_CS].attr == 0xf3, "segments of vm86");
	group_end();
}

/* What is found before anything has changed: in the old task */
static void test_early_faults(void)
{
	group_begin("tasks: faults of the old task");
	reset();
	machine_descriptor(&m, NEW_TSS, NEW, 0x66, EMU_ATTR_P | 9);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, NEW_TSS, 0), 10, NEW_TSS), "limit");
	machine_descriptor(&m, NEW_TSS, NEW, 0x67, 9);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, NEW_TSS, 0), 11, NEW_TSS), "not present");
	machine_descriptor(&m, NEW_TSS, NEW, 0x67, EMU_ATTR_P | 0xb);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, NEW_TSS, 0), 13, NEW_TSS), "busy");
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, GATE, 0), 13, NEW_TSS), "busy, through a gate");
	machine_descriptor(&m, NEW_TSS, NEW, 0x67, EMU_ATTR_P | 9);
	m.emu.rflags |= 1 << 14;
	machine_poke(&m, OLD, NEW_TSS, 2);
	CHECK(faults(RUN(0xcf), 10, NEW_TSS), "iret to a task that is not busy");
	machine_poke(&m, OLD, 0x0c, 2);
	CHECK(faults(RUN(0xcf), 10, 0x0c), "iret to a local descriptor");
	m.emu.rflags = 0x202;
	m.emu.cpl = 3;
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, NEW_TSS, 0), 13, NEW_TSS), "DPL");
	m.emu.cpl = 0;
	machine_poke(&m, GDT + GATE, (u64)NEW_TSS << 16 | 0x6500ull << 32, 8);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, GATE, 0), 11, GATE), "gate not present");
	machine_poke(&m, GDT + GATE, (u64)K_DATA << 16 | 0xe500ull << 32, 8);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, GATE, 0), 13, K_DATA), "gate to something else");
	m.readonly[OLD / 4096] = true;
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, NEW_TSS, 0), 14, 3), "old TSS read-only");
	m.readonly[OLD / 4096] = false;
	m.absent[NEW / 4096] = true;
	CHECK(RUN(0x9a, 0, 0, 0, 0, NEW_TSS, 0) == EMU_FAULT && m.emu.fault.vector == 14, "absent");
	CHECK(m.emu.rip == CODE && m.seg[EMU_TR].selector == OLD_TSS &&
	      access_byte(NEW_TSS) == 0x89 && !machine_peek(&m, OLD + 0x20, 4), "nothing has changed");
	group_end();
}

struct late_fault {
	const char *name;
	u16 offset, val;
	u8 vector;
	u32 error;
};

/* Wrong contents of the new TSS are found by the new task. */
static void test_late_faults(void)
{
	static const struct late_fault cases[] = {
		{ "LDT is something else", 0x60, K_DATA, 10, K_DATA },
		{ "LDT in itself", 0x60, 0x0c, 10, 0x0c },
		{ "null cs", 0x4c, 0, 10, 0 },
		{ "cs is data", 0x4c, K_DATA, 10, K_DATA },
		{ "cs beyond the table", 0x4c, 0x100, 10, 0x100 },
		{ "cs of another level", 0x4c, K_CODE | 3, 10, K_CODE },
		{ "null ss", 0x50, 0, 10, 0 },
		{ "ss is code", 0x50, K_CODE, 10, K_CODE },
		{ "ss of another level", 0x50, U_DATA, 10, U_DATA & ~3 },
		{ "ss not present", 0x50, ABSENT, 12, ABSENT },
		{ "ds not present", 0x54, ABSENT, 11, ABSENT },
		{ "gs is a TSS", 0x5c, OLD_TSS, 10, OLD_TSS },
	};
	unsigned int i;

	group_begin("tasks: faults of the new task");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct late_fault *c = &cases[i];

		reset();
		machine_poke(&m, NEW + c->offset, c->val, 2);
		CHECK(faults(RUN(0x9a, 0, 0, 0, 0, NEW_TSS, 0), c->vector, c->error), "%s", c->name);
		CHECK(m.emu.rip == ENTRY && m.emu.rflags == 0x4246 && m.gpr[EMU_RSP] == TOP &&
		      m.seg[EMU_TR].selector == NEW_TSS, "%s: in the new task", c->name);
	}
	reset();
	machine_descriptor(&m, K_CODE, 0, ENTRY - 1, CODE32 & ~EMU_ATTR_G);
	CHECK(faults(RUN(0x9a, 0, 0, 0, 0, NEW_TSS, 0), 13, 0) && m.emu.rip == ENTRY, "EIP");
	group_end();
}

void test_tasks(void)
{
	test_call_and_return();
	test_jump_and_gate();
	test_narrow();
	test_early_faults();
	test_late_faults();
}
