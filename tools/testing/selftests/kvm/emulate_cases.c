// SPDX-License-Identifier: GPL-2.0
/* Cases for the test "emulate", by the generator and the model that meet processors in fuzz/. */
#include <string.h>

#include "emulate_cases.h"
#include "model.h"

_Static_assert(CASE_ARENA == ARENA && CASE_PAGES == ARENA_PAGES && CASE_DATA == DATA_PAGES &&
	       CASE_DATA_BYTES == DATA_BYTES && CASE_GS_BASE == GS_BASE, "the generator's memory");

static struct form forms[MAX_FORMS];
static struct machine model;
static struct test test;

unsigned int emulate_cases_prepare(bool is_long, bool is_amd, bool has_avx, uint32_t mxcsr_mask)
{
	struct native_features features = {
		.amd = is_amd,
		.avx = has_avx,
		.mxcsr_mask = mxcsr_mask,
	};

	model_prepare(&model, is_long, &features);
	test.is_long = is_long;
	test.has_avx = has_avx;
	test.state.fpu = model.fpu;
	return find_forms(is_long ? EMU_LONG64 : EMU_PROT32, forms);
}

static void give_state(const struct cpu_state *from, struct emulate_state *to)
{
	memcpy(to->gpr, from->gpr, sizeof(to->gpr));
	to->rip = from->rip;
	to->rflags = from->rflags | FLAG_TF;
	memcpy(to->fpu, &from->fpu, sizeof(to->fpu));
	memcpy(to->ymm_high, from->ymm_high, sizeof(to->ymm_high));
}

bool emulate_case_next(unsigned int form, struct emulate_case *c)
{
	if (!forms[form].recipe)
		return false;
	test.form = &forms[form];
	generate(&test);
	c->name = test.form->recipe->name;
	memcpy(c->bytes, test.bytes, sizeof(c->bytes));
	c->length = test.length;
	c->repeats = test.form->recipe->preparation == STRING;
	give_state(&test.state, &c->state);
	return true;
}

bool emulate_case_run(struct emulate_result *r)
{
	struct cpu_state state;
	unsigned int i;
	int rc;

	rc = model_run(&model, &test);
	if (rc != EMU_DONE && rc != EMU_FAULT)
		return false;
	r->done = rc == EMU_DONE;
	r->vector = model.emu.fault.vector;
	r->error = model.emu.fault.has_error ? model.emu.fault.error : 0;
	r->cr2 = model.emu.fault.address;
	for (i = 0; i < EMU_GPR_COUNT; i++)
		state.gpr[i] = model.gpr[i];
	state.rip = model.emu.rip;
	state.rflags = model.emu.rflags;
	state.fpu = model.fpu;
	memcpy(state.ymm_high, model.ymm_high, sizeof(state.ymm_high));
	give_state(&state, &r->state);
	return true;
}
