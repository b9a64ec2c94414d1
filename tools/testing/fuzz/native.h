/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One instruction on the processor at hand, in user mode: state in, one single step, state out.
 */
#ifndef FUZZ_NATIVE_H
#define FUZZ_NATIVE_H

#include "emulate.h"

/*
 * Memory that instructions see, at an address that 32-bit code can name: a page of code, two of
 * data, one that is absent, one that is read-only, one that is absent.
 */
#define ARENA		0x20000000ul
#define PAGE		4096ul
#define CODE_PAGE	ARENA
#define DATA_PAGES	(ARENA + PAGE)
#define DATA_BYTES	(2 * PAGE)
#define HOLE_PAGE	(ARENA + 3 * PAGE)
#define CONST_PAGE	(ARENA + 4 * PAGE)
#define ARENA_PAGES	6

#define GS_BASE		0x1000ul

struct cpu_state {
	u64 gpr[EMU_GPR_COUNT];
	u64 rip, rflags;
	struct emu_fpu fpu;
	u8 ymm_high[16][16];
};

struct native_result {
	bool stepped;		/* it came to its end: no fault */
	u8 vector;
	u32 error;
	u64 cr2;
	struct cpu_state state;
};

struct native_features {
	bool avx, mode32;
	bool amd;		/* AMD's or Hygon's */
	bool any_rsp;		/* 64-bit code may have a stack pointer that is not canonical */
	u32 mxcsr_mask;
};

bool native_prepare(struct native_features *features);
/* is_long: 64-bit mode, else 32-bit mode. Repeated instructions are stepped to their end. */
void native_run(bool is_long, bool repeats, const struct cpu_state *in, struct native_result *out);

#endif
