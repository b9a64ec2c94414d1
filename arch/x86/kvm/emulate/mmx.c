// SPDX-License-Identifier: GPL-2.0
/*
 * MMX moves between its registers, general registers, XMM registers and memory. The registers are
 * the mantissas of x87's, which every MMX instruction marks as used from the first to the last. APM
 * volume 5; volume 1, section 5.4 (MMX and x87).
 */
#include "opcode.h"

/* Physical register nr in an image whose first one is the top of the x87 stack */
static struct emu_x87 *physical(struct emu_fpu *fpu, unsigned int nr)
{
	return &fpu->st[(nr - emu_x87_top(fpu)) & 7];
}

static u64 get_mmx(struct emu_fpu *fpu, unsigned int nr)
{
	return physical(fpu, nr & 7)->mantissa;
}

static void set_mmx(struct emu_fpu *fpu, unsigned int nr, u64 val)
{
	struct emu_x87 *reg = physical(fpu, nr & 7);

	reg->mantissa = val;
	reg->exponent = 0xffff;
}

/* The stack begins at register 0 again, and holds eight values. */
static void commit(struct emulator *emu, struct emu_fpu *fpu)
{
	emu_x87_set_top(fpu, 0);
	fpu->ftw = 0xff;
	emu->ops->set_fpu(emu, fpu);
}

/* MOVD and MOVQ with a general register or memory: 4 bytes, 8 with REX.W */
static inline unsigned int gpr_size(const struct emu_insn *insn)
{
	return insn->rex & 8 ? 8 : 4;
}

static int load(struct emulator *emu, unsigned int size, bool from_gpr)
{
	const struct emu_insn *insn = &emu->insn;
	struct emu_fpu fpu;
	u64 val;
	int rc;

	rc = emu_mmx_begin(emu, &fpu);
	if (rc != EMU_DONE)
		return rc;
	if (insn->is_mem) {
		rc = emu_read_value(emu, insn->seg, insn->ea, &val, size);
		if (rc != EMU_DONE)
			return rc;
	} else {
		val = from_gpr ? emu_get_gpr(emu, insn->rm, size) : get_mmx(&fpu, insn->rm);
	}
	set_mmx(&fpu, insn->reg, val);
	commit(emu, &fpu);
	return EMU_DONE;
}

int emu_exec_mmx_load(struct emulator *emu)
{
	return load(emu, 8, false);
}

int emu_exec_mmx_from_gpr(struct emulator *emu)
{
	return load(emu, gpr_size(&emu->insn), true);
}

static int store(struct emulator *emu, unsigned int size, bool to_gpr)
{
	const struct emu_insn *insn = &emu->insn;
	struct emu_fpu fpu;
	u64 val;
	int rc;

	rc = emu_mmx_begin(emu, &fpu);
	if (rc != EMU_DONE)
		return rc;
	val = get_mmx(&fpu, insn->reg);
	if (insn->is_mem || to_gpr) {
		rc = emu_store_rm(emu, val, size);
		if (rc != EMU_DONE)
			return rc;
	} else {
		set_mmx(&fpu, insn->rm, val);
	}
	commit(emu, &fpu);
	return EMU_DONE;
}

int emu_exec_mmx_store(struct emulator *emu)
{
	return store(emu, 8, false);
}

int emu_exec_mmx_to_gpr(struct emulator *emu)
{
	return store(emu, gpr_size(&emu->insn), true);
}

/* MOVDQ2Q and MOVQ2DQ belong to both register files. */
static int begin_both(struct emulator *emu, struct emu_fpu *fpu)
{
	int rc = emu_vector_allowed(emu);

	return rc == EMU_DONE ? emu_mmx_begin(emu, fpu) : rc;
}

/* MOVDQ2Q */
int emu_exec_mmx_from_vec(struct emulator *emu)
{
	struct emu_fpu fpu;
	u64 val[2];
	int rc;

	rc = begin_both(emu, &fpu);
	if (rc != EMU_DONE)
		return rc;
	emu->ops->get_vector(emu, emu->insn.rm, val, sizeof(val));
	set_mmx(&fpu, emu->insn.reg, val[0]);
	commit(emu, &fpu);
	return EMU_DONE;
}

/* MOVQ2DQ */
int emu_exec_mmx_to_vec(struct emulator *emu)
{
	u64 val[2] = { 0, 0 };
	struct emu_fpu fpu;
	int rc;

	rc = begin_both(emu, &fpu);
	if (rc != EMU_DONE)
		return rc;
	val[0] = get_mmx(&fpu, emu->insn.rm);
	commit(emu, &fpu);
	emu->ops->set_vector(emu, emu->insn.reg, val, sizeof(val));
	return EMU_DONE;
}

int emu_exec_mmx_maskmov(struct emulator *emu)
{
	struct emu_fpu fpu;
	u64 val, mask;
	int rc;

	rc = emu_mmx_begin(emu, &fpu);
	if (rc != EMU_DONE)
		return rc;
	val = get_mmx(&fpu, emu->insn.reg);
	mask = get_mmx(&fpu, emu->insn.rm);
	rc = emu_maskmov(emu, (u8 *)&val, (u8 *)&mask, 8);
	if (rc == EMU_DONE)
		commit(emu, &fpu);
	return rc;
}

/* PINSRW */
int emu_exec_mmx_insert(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int shift = (insn->imm & 3) * 16;
	u64 val, word = emu->gpr[insn->rm] & 0xffff;
	struct emu_fpu fpu;
	int rc;

	rc = emu_mmx_begin(emu, &fpu);
	if (rc == EMU_DONE && insn->is_mem)
		rc = emu_read_value(emu, insn->seg, insn->ea, &word, 2);
	if (rc != EMU_DONE)
		return rc;
	val = get_mmx(&fpu, insn->reg) & ~(0xffffull << shift);
	set_mmx(&fpu, insn->reg, val | word << shift);
	commit(emu, &fpu);
	return EMU_DONE;
}

/* PEXTRW */
int emu_exec_mmx_extract(struct emulator *emu)
{
	unsigned int shift = (emu->insn.imm & 3) * 16;
	struct emu_fpu fpu;
	int rc;

	rc = emu_mmx_begin(emu, &fpu);
	if (rc != EMU_DONE)
		return rc;
	emu_set_gpr(emu, emu->insn.reg, 8, (get_mmx(&fpu, emu->insn.rm) >> shift) & 0xffff);
	commit(emu, &fpu);
	return EMU_DONE;
}

int emu_exec_emms(struct emulator *emu)
{
	struct emu_fpu fpu;
	int rc;

	rc = emu_mmx_begin(emu, &fpu);
	if (rc != EMU_DONE)
		return rc;
	emu_x87_set_top(&fpu, 0);
	fpu.ftw = 0;
	emu->ops->set_fpu(emu, &fpu);
	return EMU_DONE;
}
