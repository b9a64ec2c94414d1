/* SPDX-License-Identifier: GPL-2.0 */
/* Random instructions of a given form, with registers and memory that suit them. */
#ifndef FUZZ_GENERATE_H
#define FUZZ_GENERATE_H

#include "forms.h"
#include "native.h"

struct test {
	const struct form *form;
	bool is_long;
	bool has_avx;
	u8 bytes[32];
	unsigned int length;
	struct cpu_state state;
};

u64 random64(void);
void random_seed(u64 seed);
unsigned int below(unsigned int n);
/* Fills bytes, state and some of memory; state.fpu comes as it was and is changed if it matters. */
void generate(struct test *t);

#endif
