// SPDX-License-Identifier: GPL-2.0
/*
 * Execution of a decoded instruction: privilege check, operands in, the opcode's function, operand
 * out, commit. The functions themselves are in the files named after what they operate on. Nothing
 * architectural changes before the last step that can fail, so a pending instruction is simply run
 * again. APM volume 3, chapter 1 (operands).
 */
#include "opcode.h"

static int load_rm(struct emulator *emu, u64 *val, unsigned int size)
{
	struct emu_insn *insn = &emu->insn;

	if (insn->is_mem)
		return emu_read_value(emu, insn->seg, insn->ea, val, size);
	*val = emu_get_gpr(emu, insn->rm, size);
	return EMU_DONE;
}

static inline unsigned int opcode_register(const struct emu_insn *insn)
{
	return (insn->opcode & 7) | (insn->rex & 1) << 3;
}

static int load_src(struct emulator *emu)
{
	struct emu_insn *insn = &emu->insn;

	switch (insn->flags & SRC_MASK) {
	case SRC_RM:
		return load_rm(emu, &emu->src, insn->size);
	case SRC_REG:
		emu->src = emu_get_gpr(emu, insn->reg, insn->size);
		break;
	case SRC_ACC:
		emu->src = emu_get_gpr(emu, EMU_RAX, insn->size);
		break;
	case SRC_IMM:
		emu->src = insn->imm & emu_mask(insn->size);
		break;
	case SRC_ONE:
		emu->src = 1;
		break;
	case SRC_CL:
		emu->src = emu->gpr[EMU_RCX] & 0xff;
		break;
	case SRC_RM8:
		return load_rm(emu, &emu->src, 1);
	case SRC_RM16:
		return load_rm(emu, &emu->src, 2);
	case SRC_RM32:
		/* MOVSXD to a 16-bit register has no use for more; AMD's processors read it. */
		return load_rm(emu, &emu->src, insn->size == 2 && !insn->amd ? 2 : 4);
	case SRC_OPREG:
		emu->src = emu_get_gpr(emu, opcode_register(insn), insn->size);
		break;
	}
	return EMU_DONE;
}

static inline unsigned int dst_register(const struct emu_insn *insn)
{
	switch (insn->flags & DST_MASK) {
	case DST_RM:
		return insn->rm;
	case DST_REG:
		return insn->reg;
	case DST_OPREG:
		return opcode_register(insn);
	default:
		return EMU_RAX;
	}
}

static inline bool dst_is_mem(const struct emu_insn *insn)
{
	return insn->is_mem && (insn->flags & DST_MASK) == DST_RM;
}

/* Bit string instructions reach beyond their operand by a signed bit number in a register. */
static u64 dst_offset(const struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	s64 bit;

	if (!(insn->flags & BITBASE))
		return insn->ea;
	bit = (s64)emu_sign_extend(emu->src, insn->size);
	return (insn->ea + (u64)(bit >> 3 & -(s64)insn->size)) & emu_mask(insn->addr_size);
}

/*
 * For memory, the address is checked as for what is going to happen to it, and kept for the store.
 */
static int load_dst(struct emulator *emu)
{
	struct emu_insn *insn = &emu->insn;
	bool write = insn->flags & WRITE;
	int rc;

	if (!dst_is_mem(insn)) {
		if (insn->flags & READ)
			emu->dst = emu_get_gpr(emu, dst_register(insn), insn->size);
		return EMU_DONE;
	}

	rc = emu_linear(emu, insn->seg, dst_offset(emu), insn->size, write, &emu->dst_linear);
	if (rc != EMU_DONE || !(insn->flags & READ))
		return rc;

	emu->dst = 0;
	rc = emu->ops->read(emu, emu->dst_linear, &emu->dst, insn->size,
			    write ? EMU_ACCESS_MODIFY : 0);
	emu->dst_old = emu->dst;
	return rc;
}

int emu_store_dst(struct emulator *emu)
{
	struct emu_insn *insn = &emu->insn;

	if (!dst_is_mem(insn)) {
		emu_set_gpr(emu, dst_register(insn), insn->size, emu->dst);
		return EMU_DONE;
	}
	if (insn->lock)
		return emu->ops->cmpxchg(emu, emu->dst_linear, &emu->dst_old, &emu->dst,
					 insn->size);
	return emu->ops->write(emu, emu->dst_linear, &emu->dst, insn->size, 0);
}

/* Exchange and its relatives: the destination wins when both are the same register. */
int emu_store_dst_and_reg(struct emulator *emu, u64 reg_val)
{
	struct emu_insn *insn = &emu->insn;
	int rc;

	if (!insn->is_mem)
		emu_set_gpr(emu, insn->reg, insn->size, reg_val);
	rc = emu_store_dst(emu);
	if (rc != EMU_DONE)
		return rc;
	if (insn->is_mem)
		emu_set_gpr(emu, insn->reg, insn->size, reg_val);
	return EXEC_STORED;
}

/* For instructions whose r/m operand has a size of its own. */
int emu_store_rm(struct emulator *emu, u64 val, unsigned int size)
{
	struct emu_insn *insn = &emu->insn;

	if (insn->is_mem)
		return emu_write_mem(emu, insn->seg, insn->ea, &val, size);
	emu_set_gpr(emu, insn->rm, size, val);
	return EMU_DONE;
}

inline void emu_begin(struct emulator *emu, unsigned int length)
{
	emu->next_rflags = emu->rflags & ~FLAG_RF;
	emu->next_rip = emu->rip + length;
	if (emu->mode != EMU_LONG64)
		emu->next_rip = (u32)emu->next_rip;
	emu->shadow = 0;
	emu->nmi_unblocked = false;
	emu->trap = 0;
	emu->ext = 0;
}

inline int emu_finish(struct emulator *emu, int rc)
{
	if (rc == EMU_DONE) {
		emu->rip = emu->next_rip;
		emu->rflags = emu->next_rflags;
	}
	return rc;
}

int emu_execute(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	const struct emu_feature *needs = insn->op->more;
	u32 flags = insn->flags;
	int rc;

	emu_begin(emu, insn->length);
	/* An instruction that is not there raises #UD, whatever its operands or privileges would. */
	if (needs) {
		rc = emu_require(emu, needs->leaf, needs->reg, needs->bit);
		if (rc != EMU_DONE)
			return rc;
	}
	if ((flags & CPL0) && emu->cpl)
		return emu_raise_gp0(emu);

	rc = load_src(emu);
	if (rc != EMU_DONE)
		return rc;

	if (flags & DST_MASK) {
		rc = load_dst(emu);
		if (rc != EMU_DONE)
			return rc;
	}

	rc = insn->op->exec(emu);
	if (rc == EMU_DONE && (flags & WRITE))
		rc = emu_store_dst(emu);
	return emu_finish(emu, rc == EXEC_STORED ? EMU_DONE : rc);
}
