/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every form of instruction that the emulator executes, found by asking its decoder, and how those
 * that user mode may execute are to be tried.
 */
#ifndef FUZZ_FORMS_H
#define FUZZ_FORMS_H

#include "opcode.h"

#define MAX_FORMS	4096u

struct form {
	const struct emu_opcode *op;
	const struct recipe *recipe;	/* NULL: not for user mode */
	u32 flags;
	u8 vex, map, opcode;
	bool is_mem;
	u8 prefixes;		/* bit 0: none, then 66, F3, F2 */
	u8 regs, rms;		/* bits of ModRM.reg and ModRM.rm */
	u8 l, w;		/* bits of VEX.L and W */
	u8 vvvv;		/* bits: no third operand, a third operand */
	unsigned long tried;
};

/* What has to be prepared beside ModRM's operand */
enum preparation {
	PLAIN, STRING, STACK, XLAT, BIT_STRING, COMPARED, COMPARED_PAIR, DIVISION, COUNTER, BRANCH,
	NEAR_RETURN, BOUNDS, ENTER, POP_ALL, PUSH_SEGMENT, BLOCK64, MASKED, FPU_STATE, MMX_STORE,
	FPU_PARTS, FPU_IMAGE, FPU_CONTROL,
};

struct recipe {
	int (*exec)(struct emulator *emu);
	enum preparation preparation;
	const char *name;
	/* Flags that the manuals leave undefined and that may differ, with their words */
	u64 undefined;
	const char *sentence;
};

extern const struct recipe recipes[];
extern const unsigned int recipe_count;
const struct recipe *recipe_of(const struct emu_opcode *op, u32 flags);

unsigned int find_forms(enum emu_mode mode, struct form *forms);

#endif
