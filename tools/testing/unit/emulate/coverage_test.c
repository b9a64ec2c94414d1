// SPDX-License-Identifier: GPL-2.0
/*
 * No row of the opcode maps without a test: what user mode may execute is compared with the
 * processor (tools/testing/fuzz), which sees to it that all of it is; everything else must have been
 * run by the tests before this one.
 */
#include "forms.h"
#include "machine.h"

static struct form forms[MAX_FORMS];
static struct machine m;

/* Real mode: a segment register and perhaps another one from memory at DS:BX or from the stack */
static const struct {
	const char *name;
	u8 bytes[3];
	u8 n, seg;
	bool from_stack;
} loads[] = {
	{ "pop es", { 0x07 }, 1, EMU_ES, true },
	{ "pop ss", { 0x17 }, 1, EMU_SS, true },
	{ "pop ds", { 0x1f }, 1, EMU_DS, true },
	{ "pop fs", { 0x0f, 0xa1 }, 2, EMU_FS, true },
	{ "pop gs", { 0x0f, 0xa9 }, 2, EMU_GS, true },
	{ "les", { 0xc4, 0x0f }, 2, EMU_ES },
	{ "lds", { 0xc5, 0x0f }, 2, EMU_DS },
	{ "lss", { 0x0f, 0xb2, 0x0f }, 3, EMU_SS },
	{ "lfs", { 0x0f, 0xb4, 0x0f }, 3, EMU_FS },
	{ "lgs", { 0x0f, 0xb5, 0x0f }, 3, EMU_GS },
	{ "call far", { 0xff, 0x1f }, 2, EMU_CS },
	{ "jmp far", { 0xff, 0x2f }, 2, EMU_CS },
};

static void test_segment_loads(void)
{
	unsigned int i;

	group_begin("segments from memory, real mode");
	for (i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		machine_reset(&m, EMU_REAL);
		m.gpr[EMU_RBX] = DATA;
		machine_poke(&m, DATA, 0x12345678, 4);
		machine_poke(&m, STACK, 0x1234, 2);
		CHECK(machine_run(&m, loads[i].bytes, loads[i].n) == EMU_DONE &&
		      m.seg[loads[i].seg].selector == 0x1234 &&
		      m.seg[loads[i].seg].base == 0x12340, "%s", loads[i].name);
		if (loads[i].seg == EMU_CS)
			CHECK(m.emu.rip == 0x5678, "%s, offset", loads[i].name);
		else if (loads[i].from_stack)
			CHECK((u16)m.gpr[EMU_RSP] == STACK + 2, "%s, SP", loads[i].name);
		else
			CHECK((u16)m.gpr[EMU_RCX] == 0x5678, "%s, offset", loads[i].name);
	}
	group_end();
}

static void test_int1(void)
{
	group_begin("INT1, real mode");
	machine_reset(&m, EMU_REAL);
	machine_poke(&m, 4, 0x01000200, 4);
	CHECK(machine_run(&m, BYTES(0xf1)) == EMU_DONE && m.emu.rip == 0x200 &&
	      m.seg[EMU_CS].selector == 0x100 && machine_peek(&m, STACK - 6, 2) == CODE + 1,
	      "through vector 1");
	group_end();
}

void test_coverage(void)
{
	unsigned int mode, n, i;

	test_segment_loads();
	test_int1();
	group_begin("no opcode without a test");
	for (mode = EMU_REAL; mode <= EMU_LONG64; mode++) {
		n = find_forms(mode, forms);
		CHECK(n && n < MAX_FORMS, "forms in mode %u: %u", mode, n);
		for (i = 0; i < n; i++) {
			if (forms[i].recipe && forms[i].recipe->exec)
				continue;
			CHECK(machine_has_run(forms[i].op), "never run: mode %u, map %u, opcode %02x%s",
			      mode, forms[i].map, forms[i].opcode, forms[i].is_mem ? ", memory" : "");
		}
	}
	group_end();
}
