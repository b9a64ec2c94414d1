// SPDX-License-Identifier: GPL-2.0
/*
 * The emulator as a user program's processor: flat segments at privilege level 3 as Linux has them,
 * the arena as memory and nothing else. What executes generated cases beside it must look the same.
 */
#include <string.h>

#include "model.h"

void model_prepare(struct machine *m, bool is_long, const struct native_features *features)
{
	unsigned int i;

	machine_reset(m, is_long ? EMU_LONG64 : EMU_PROT32);
	m->emu.cpl = 3;
	m->host_features = true;
	m->emu.insn.amd = features->amd;
	m->window = (u8 *)ARENA;
	m->window_bytes = ARENA_PAGES * PAGE;
	m->window_page[3] = WINDOW_NONE;
	m->window_page[4] = WINDOW_RO;
	m->window_page[5] = WINDOW_NONE;
	memset(m->absent, true, sizeof(m->absent));
	m->cr[0] = 0x80050033;
	m->cr[4] = features->avx ? 0x40600 : 0x600;
	for (i = 0; i < 6; i++) {
		m->seg[i].attr |= EMU_ATTR_DPL;
		m->seg[i].selector = i == EMU_CS ? is_long ? 0x33 : 0x23 : i < EMU_FS ? 0x2b : 0;
	}
	m->seg[EMU_GS].base = GS_BASE;
	m->seg[EMU_TR].attr = 0;
	m->fpu.mxcsr_mask = features->mxcsr_mask;
}

int model_run(struct machine *m, const struct test *t)
{
	unsigned int i;
	u32 mxcsr_mask;
	int rc;

	for (i = 0; i < EMU_GPR_COUNT; i++)
		m->gpr[i] = t->state.gpr[i];
	m->emu.rip = t->state.rip;
	m->emu.rflags = t->state.rflags | FLAG_TF;
	mxcsr_mask = m->fpu.mxcsr_mask;
	m->fpu = t->state.fpu;
	m->fpu.mxcsr_mask = mxcsr_mask;
	memcpy(m->ymm_high, t->state.ymm_high, sizeof(m->ymm_high));
	memcpy(m->emu.insn.bytes, t->bytes, EMU_MAX_LENGTH);
	m->emu.insn.available = EMU_MAX_LENGTH;
	m->emu.seg_valid = 0;
	rc = emu_decode(&m->emu);
	if (rc == EMU_DONE)
		do
			rc = emu_execute(&m->emu);
		while (rc == EMU_AGAIN);
	return rc;
}
