/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Instructions for the emulator in the kernel, and what comes of them, from the generator and the
 * model of tools/testing/fuzz. They know nothing of guests, and the test nothing of them, because
 * both name the manuals' bits.
 */
#ifndef SELFTEST_EMULATE_CASES_H
#define SELFTEST_EMULATE_CASES_H

#include <stdbool.h>
#include <stdint.h>

/* As native.h has it: the address where instructions see memory, page by page */
#define CASE_ARENA	0x20000000ul
#define CASE_PAGES	6
#define CASE_RIP	(CASE_ARENA + 2048)
#define CASE_DATA	(CASE_ARENA + 4096)
#define CASE_DATA_BYTES	8192ul
#define CASE_HOLE	3	/* pages: absent, read-only, absent */
#define CASE_CONST	4
#define CASE_HOLE2	5
#define CASE_GS_BASE	0x1000ul

/* Registers of user code, before or after */
struct emulate_state {
	uint64_t gpr[16];		/* by their number in ModRM */
	uint64_t rip, rflags;
	uint8_t fpu[512];		/* an FXSAVE64 image */
	uint8_t ymm_high[256];
};

struct emulate_case {
	const char *name;
	uint8_t bytes[15];
	unsigned int length;
	bool repeats;			/* a string instruction */
	struct emulate_state state;
};

struct emulate_result {
	bool done;			/* no fault */
	uint8_t vector;
	uint32_t error;
	uint64_t cr2;
	struct emulate_state state;
};

/* is_long: 64-bit mode, else 32-bit mode. Gives the number of forms. */
unsigned int emulate_cases_prepare(bool is_long, bool is_amd, bool has_avx, uint32_t mxcsr_mask);
/* The next case of a form; data in the arena changes. False: the form is not for user mode. */
bool emulate_case_next(unsigned int form, struct emulate_case *c);
/* Runs that case in the model, with memory as it is. False: the emulator does not know it. */
bool emulate_case_run(struct emulate_result *r);

#endif
