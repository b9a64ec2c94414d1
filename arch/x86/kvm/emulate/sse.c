// SPDX-License-Identifier: GPL-2.0
/*
 * MMX, SSE and SSE2 moves between vector registers, general registers and memory: those with which
 * drivers touch device memory. No arithmetic. The registers are reached through the ops only, so
 * nothing here uses the host's. APM volumes 4 and 5; volume 2, section 11.4 (availability).
 */
#include "opcode.h"

static int vector_allowed(struct emulator *emu, bool xmm)
{
	u64 cr0 = emu->ops->get_cr(emu, 0);

	if (cr0 & CR0_EM)
		return emu_raise(emu, VECTOR_UD);
	if (xmm && !(emu->ops->get_cr(emu, 4) & CR4_OSFXSR))
		return emu_raise(emu, VECTOR_UD);
	if (cr0 & CR0_TS)
		return emu_raise(emu, VECTOR_NM);
	return EMU_DONE;
}

static int operand_linear(struct emulator *emu, unsigned int size, bool write, bool aligned,
			  u64 *linear)
{
	const struct emu_insn *insn = &emu->insn;
	int rc;

	rc = emu_linear(emu, insn->seg, insn->ea, size, write, linear);
	if (rc == EMU_DONE && aligned && (*linear & (size - 1)))
		return emu_raise_gp0(emu);
	return rc;
}

/* size bytes of the r/m operand, a vector register's low ones if it is a register */
static int read_operand(struct emulator *emu, u8 *val, unsigned int size, bool aligned)
{
	u64 linear;
	int rc;

	rc = vector_allowed(emu, true);
	if (rc != EMU_DONE)
		return rc;
	if (!emu->insn.is_mem) {
		emu->ops->get_xmm(emu, emu->insn.rm, val);
		return EMU_DONE;
	}

	rc = operand_linear(emu, size, false, aligned, &linear);
	if (rc != EMU_DONE)
		return rc;
	return emu->ops->read(emu, linear, val, size, 0);
}

static int write_operand(struct emulator *emu, const u8 *val, unsigned int size, bool aligned)
{
	u64 linear;
	int rc;

	rc = operand_linear(emu, size, true, aligned, &linear);
	if (rc != EMU_DONE)
		return rc;
	return emu->ops->write(emu, linear, val, size, 0);
}

static int load(struct emulator *emu, bool aligned)
{
	u8 val[16];
	int rc;

	rc = read_operand(emu, val, sizeof(val), aligned);
	if (rc == EMU_DONE)
		emu->ops->set_xmm(emu, emu->insn.reg, val);
	return rc;
}

int emu_exec_xmm_load(struct emulator *emu)
{
	return load(emu, false);
}

int emu_exec_xmm_load_aligned(struct emulator *emu)
{
	return load(emu, true);
}

static int store(struct emulator *emu, bool aligned)
{
	const struct emu_insn *insn = &emu->insn;
	u8 val[16];
	int rc;

	rc = vector_allowed(emu, true);
	if (rc != EMU_DONE)
		return rc;

	emu->ops->get_xmm(emu, insn->reg, val);
	if (insn->is_mem)
		return write_operand(emu, val, sizeof(val), aligned);
	emu->ops->set_xmm(emu, insn->rm, val);
	return EMU_DONE;
}

int emu_exec_xmm_store(struct emulator *emu)
{
	return store(emu, false);
}

int emu_exec_xmm_store_aligned(struct emulator *emu)
{
	return store(emu, true);
}

/* MOVSS with F3, MOVSD with F2 */
static inline unsigned int scalar_size(const struct emu_insn *insn)
{
	return insn->rep == 0xf3 ? 4 : 8;
}

/* A load from memory clears the rest of the register, a move between registers keeps it. */
int emu_exec_xmm_load_scalar(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int size = scalar_size(insn);
	u8 val[16] = { 0 }, src[16];
	int rc;

	rc = read_operand(emu, src, size, false);
	if (rc != EMU_DONE)
		return rc;

	if (!insn->is_mem)
		emu->ops->get_xmm(emu, insn->reg, val);
	__builtin_memcpy(val, src, size);
	emu->ops->set_xmm(emu, insn->reg, val);
	return EMU_DONE;
}

int emu_exec_xmm_store_scalar(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int size = scalar_size(insn);
	u8 val[16], src[16];
	int rc;

	rc = vector_allowed(emu, true);
	if (rc != EMU_DONE)
		return rc;

	emu->ops->get_xmm(emu, insn->reg, src);
	if (insn->is_mem)
		return write_operand(emu, src, size, false);
	emu->ops->get_xmm(emu, insn->rm, val);
	__builtin_memcpy(val, src, size);
	emu->ops->set_xmm(emu, insn->rm, val);
	return EMU_DONE;
}

/* 12 and 13 move the low half, 16 and 17 the high one. */
static inline unsigned int half(const struct emu_insn *insn)
{
	return insn->opcode & 4 ? 8 : 0;
}

/* Between registers the halves change places: MOVHLPS 12, MOVLHPS 16. */
int emu_exec_xmm_load_half(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int to = half(insn);
	u8 val[16], src[16];
	int rc;

	rc = read_operand(emu, src, 8, false);
	if (rc != EMU_DONE)
		return rc;

	emu->ops->get_xmm(emu, insn->reg, val);
	__builtin_memcpy(val + to, insn->is_mem ? src : src + (8 - to), 8);
	emu->ops->set_xmm(emu, insn->reg, val);
	return EMU_DONE;
}

int emu_exec_xmm_store_half(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u8 val[16];
	int rc;

	rc = vector_allowed(emu, true);
	if (rc != EMU_DONE)
		return rc;
	emu->ops->get_xmm(emu, insn->reg, val);
	return write_operand(emu, val + half(insn), 8, false);
}

/* MOVQ clears the upper half, between registers too. */
int emu_exec_xmm_load_q(struct emulator *emu)
{
	u8 val[16];
	int rc;

	rc = read_operand(emu, val, 8, false);
	if (rc != EMU_DONE)
		return rc;
	__builtin_memset(val + 8, 0, 8);
	emu->ops->set_xmm(emu, emu->insn.reg, val);
	return EMU_DONE;
}

int emu_exec_xmm_store_q(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u8 val[16];
	int rc;

	rc = vector_allowed(emu, true);
	if (rc != EMU_DONE)
		return rc;

	emu->ops->get_xmm(emu, insn->reg, val);
	if (insn->is_mem)
		return write_operand(emu, val, 8, false);
	__builtin_memset(val + 8, 0, 8);
	emu->ops->set_xmm(emu, insn->rm, val);
	return EMU_DONE;
}

/* MOVD and MOVQ from and to a general register or memory: 4 bytes, 8 with REX.W */
static inline unsigned int gpr_size(const struct emu_insn *insn)
{
	return insn->rex & 8 ? 8 : 4;
}

static int read_gpr_or_mem(struct emulator *emu, bool xmm, u64 *val)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int size = gpr_size(insn);
	int rc;

	rc = vector_allowed(emu, xmm);
	if (rc != EMU_DONE)
		return rc;
	if (insn->is_mem)
		return emu_read_value(emu, insn->seg, insn->ea, val, size);
	*val = emu_get_gpr(emu, insn->rm, size);
	return EMU_DONE;
}

int emu_exec_xmm_from_gpr(struct emulator *emu)
{
	u64 val[2] = { 0, 0 };
	int rc;

	rc = read_gpr_or_mem(emu, true, &val[0]);
	if (rc == EMU_DONE)
		emu->ops->set_xmm(emu, emu->insn.reg, val);
	return rc;
}

int emu_exec_xmm_to_gpr(struct emulator *emu)
{
	u64 val[2];
	int rc;

	rc = vector_allowed(emu, true);
	if (rc != EMU_DONE)
		return rc;
	emu->ops->get_xmm(emu, emu->insn.reg, val);
	return emu_store_rm(emu, val[0], gpr_size(&emu->insn));
}

int emu_exec_mmx_from_gpr(struct emulator *emu)
{
	u64 val;
	int rc;

	rc = read_gpr_or_mem(emu, false, &val);
	if (rc == EMU_DONE)
		emu->ops->set_mmx(emu, emu->insn.reg & 7, &val);
	return rc;
}

int emu_exec_mmx_to_gpr(struct emulator *emu)
{
	u64 val;
	int rc;

	rc = vector_allowed(emu, false);
	if (rc != EMU_DONE)
		return rc;
	emu->ops->get_mmx(emu, emu->insn.reg & 7, &val);
	return emu_store_rm(emu, val, gpr_size(&emu->insn));
}

int emu_exec_mmx_load(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 val;
	int rc;

	rc = vector_allowed(emu, false);
	if (rc != EMU_DONE)
		return rc;
	if (insn->is_mem) {
		rc = emu_read_value(emu, insn->seg, insn->ea, &val, 8);
		if (rc != EMU_DONE)
			return rc;
	} else {
		emu->ops->get_mmx(emu, insn->rm & 7, &val);
	}
	emu->ops->set_mmx(emu, insn->reg & 7, &val);
	return EMU_DONE;
}

int emu_exec_mmx_store(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 val;
	int rc;

	rc = vector_allowed(emu, false);
	if (rc != EMU_DONE)
		return rc;
	emu->ops->get_mmx(emu, insn->reg & 7, &val);
	if (insn->is_mem)
		return emu_write_mem(emu, insn->seg, insn->ea, &val, 8);
	emu->ops->set_mmx(emu, insn->rm & 7, &val);
	return EMU_DONE;
}
