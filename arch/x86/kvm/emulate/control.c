// SPDX-License-Identifier: GPL-2.0
/*
 * Near transfers of control: jumps, calls, returns and loops; and BOUND. Far ones are in far.c and
 * interrupt.c. APM volume 1, section 3.7; volume 3.
 */
#include "opcode.h"

/* rip for a near transfer: cut to the operand size, within the segment or canonical */
static int set_near_target(struct emulator *emu, u64 target)
{
	target &= emu_mask(emu->insn.size);
	if (emu->mode == EMU_LONG64 ? !emu_canonical(emu, target) :
				      target > emu_segment(emu, EMU_CS)->limit)
		return emu_raise_gp0(emu);

	emu->next_rip = target;
	return EMU_DONE;
}

int emu_exec_jmp(struct emulator *emu)
{
	return set_near_target(emu, emu->next_rip + emu->insn.imm);
}

int emu_exec_jmp_rm(struct emulator *emu)
{
	return set_near_target(emu, emu->src);
}

int emu_exec_jcc(struct emulator *emu)
{
	if (!emu_condition(emu->rflags, emu->insn.opcode))
		return EMU_DONE;
	return emu_exec_jmp(emu);
}

/* LOOPNE E0, LOOPE E1, LOOP E2; the counter is as wide as addresses are. */
int emu_exec_loop(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 count = (emu->gpr[EMU_RCX] - 1) & emu_mask(insn->addr_size);
	bool zf = emu->rflags & FLAG_ZF;
	int rc = EMU_DONE;

	if (count && (insn->opcode == 0xe2 || zf == (insn->opcode == 0xe1)))
		rc = emu_exec_jmp(emu);
	if (rc == EMU_DONE)
		emu_set_gpr(emu, EMU_RCX, insn->addr_size, count);
	return rc;
}

int emu_exec_jcxz(struct emulator *emu)
{
	if (emu_get_gpr(emu, EMU_RCX, emu->insn.addr_size))
		return EMU_DONE;
	return emu_exec_jmp(emu);
}

static int call_near(struct emulator *emu, u64 target)
{
	u64 next = emu->next_rip;
	int rc;

	rc = set_near_target(emu, target);
	if (rc != EMU_DONE)
		return rc;
	return emu_push(emu, &next, 1, emu->insn.size);
}

int emu_exec_call(struct emulator *emu)
{
	return call_near(emu, emu->next_rip + emu->insn.imm);
}

int emu_exec_call_rm(struct emulator *emu)
{
	return call_near(emu, emu->src);
}

/* C2 releases its immediate's number of bytes, C3 none. */
static inline u64 bytes_to_release(const struct emu_insn *insn)
{
	return insn->flags & IMM_MASK ? insn->imm : 0;
}

int emu_exec_ret(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 target;
	int rc;

	rc = emu_stack_read(emu, &target, 1, insn->size);
	if (rc != EMU_DONE)
		return rc;
	rc = set_near_target(emu, target);
	if (rc == EMU_DONE)
		emu_stack_release(emu, insn->size + bytes_to_release(insn));
	return rc;
}

int emu_exec_bound(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int size = insn->size;
	s64 index = (s64)emu_sign_extend(emu->dst, size);
	u64 low, high, next = (insn->ea + size) & emu_mask(insn->addr_size);
	int rc;

	rc = emu_read_value(emu, insn->seg, insn->ea, &low, size);
	if (rc != EMU_DONE)
		return rc;
	if (index < (s64)emu_sign_extend(low, size))
		return emu_raise(emu, VECTOR_BR);
	rc = emu_read_value(emu, insn->seg, next, &high, size);
	if (rc != EMU_DONE)
		return rc;
	return index > (s64)emu_sign_extend(high, size) ? emu_raise(emu, VECTOR_BR) : EMU_DONE;
}
