// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions that ask what a selector would be good for, without loading it: LAR, LSL, VERR,
 * VERW; and ARPL. They answer in ZF and fault for nothing but memory. APM volume 3; APM volume 2,
 * section 4.12.
 */
#include "segment.h"

/* Of the upper half of a descriptor: type, S, DPL, P, AVL, L, D/B, G */
#define ACCESS_RIGHTS	0x00f0ff00u

#define ONE(type)	(1u << (type))

/* System descriptors that have rights, and those that have a limit; in long mode fewer exist. */
#define TSS_TYPES	(ONE(TYPE_TSS) | ONE(TYPE_TSS | TSS_BUSY))
#define TSS16_TYPES	(ONE(TYPE_TSS16) | ONE(TYPE_TSS16 | TSS_BUSY))
#define LIMIT_TYPES	(ONE(TYPE_LDT) | TSS_TYPES)
#define RIGHTS_TYPES	(LIMIT_TYPES | ONE(TYPE_CALL))
#define LEGACY_LIMITS	(LIMIT_TYPES | TSS16_TYPES)
#define LEGACY_RIGHTS	(RIGHTS_TYPES | TSS16_TYPES | ONE(TYPE_CALL16) | ONE(TYPE_TASK))

/* True in *visible if there is a descriptor and the privilege level may look at it. */
static int look(struct emulator *emu, struct emu_descriptor *desc, bool *visible)
{
	u16 selector = emu->src;
	int rc;

	*visible = false;
	if (emu_is_null(selector) || !emu_find_descriptor(emu, selector, &desc->linear))
		return EMU_DONE;
	rc = emu_fetch_descriptor(emu, selector, desc);
	if (rc != EMU_DONE)
		return rc;
	*visible = (desc->seg.attr & EMU_ATTR_S && emu_is_conforming(desc->seg.attr)) ||
		   (emu_dpl(desc) >= emu->cpl && emu_dpl(desc) >= (selector & 3u));
	return EMU_DONE;
}

static void answer(struct emulator *emu, bool yes)
{
	emu->next_rflags = yes ? emu->next_rflags | FLAG_ZF : emu->next_rflags & ~FLAG_ZF;
}

static bool has_type(struct emulator *emu, const struct emu_descriptor *desc, u32 legacy, u32 wide)
{
	unsigned int type = emu_system_type(desc);

	return type == TYPE_NONE || ((emu_long_mode(emu) ? wide : legacy) & ONE(type));
}

/* LAR 0F 02, LSL 0F 03 */
int emu_exec_lar(struct emulator *emu)
{
	bool limit = emu->insn.opcode & 1;
	struct emu_descriptor desc = { .raw = 0 };
	bool ok;
	int rc;

	rc = look(emu, &desc, &ok);
	if (rc != EMU_DONE)
		return rc;
	if (limit) {
		ok = ok && has_type(emu, &desc, LEGACY_LIMITS, LIMIT_TYPES);
		emu->dst = desc.seg.limit;
	} else {
		ok = ok && has_type(emu, &desc, LEGACY_RIGHTS, RIGHTS_TYPES);
		emu->dst = desc.raw >> 32 & ACCESS_RIGHTS;
	}
	answer(emu, ok);
	return ok ? EMU_DONE : EXEC_STORED;
}

/* VERR 0F 00 /4, VERW /5 */
int emu_exec_verr(struct emulator *emu)
{
	struct emu_descriptor desc = { .raw = 0 };
	u16 attr;
	bool ok;
	int rc;

	rc = look(emu, &desc, &ok);
	if (rc != EMU_DONE)
		return rc;
	attr = desc.seg.attr;
	if (emu->insn.reg & 1)
		ok = ok && (attr & (EMU_ATTR_S | EMU_ATTR_CODE | EMU_ATTR_WRITE)) ==
			   (EMU_ATTR_S | EMU_ATTR_WRITE);
	else
		ok = ok && (attr & EMU_ATTR_S) &&
		     (attr & (EMU_ATTR_CODE | EMU_ATTR_WRITE)) != EMU_ATTR_CODE;
	answer(emu, ok);
	return EMU_DONE;
}

int emu_exec_arpl(struct emulator *emu)
{
	unsigned int wanted = emu->src & 3;
	bool raised = (emu->dst & 3) < wanted;

	if (raised)
		emu->dst = (emu->dst & ~3ull) | wanted;
	answer(emu, raised);
	return raised ? EMU_DONE : EXEC_STORED;
}
