// SPDX-License-Identifier: GPL-2.0
/*
 * Transfers of control: jumps, calls, returns and loops, near and far, software interrupts and
 * IRET. Far ones at the same privilege level only; an interrupt in protected or virtual-8086 mode
 * is left to the caller to deliver. APM volume 1, section 3.7; volume 2, section 8.6 (real-mode
 * interrupts); volume 3.
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

/* Checks a far target; the caller commits desc, then rip. */
static int check_far_target(struct emulator *emu, u16 selector, u64 offset, bool is_return,
			    struct emu_descriptor *desc)
{
	bool to_64bit;
	int rc;

	rc = emu_read_code_segment(emu, selector, is_return, desc);
	if (rc != EMU_DONE)
		return rc;

	to_64bit = (desc->seg.attr & EMU_ATTR_L) && emu_long_mode(emu);
	if (to_64bit ? !emu_canonical(emu, offset) : offset > desc->seg.limit)
		return emu_raise_gp0(emu);
	return EMU_DONE;
}

static int commit_far_target(struct emulator *emu, struct emu_descriptor *desc, u64 offset)
{
	int rc;

	rc = emu_commit_segment(emu, EMU_CS, desc);
	if (rc == EMU_DONE)
		emu->next_rip = offset;
	return rc;
}

/* selector:offset from the instruction or, with ModRM, from memory */
static int far_operand(struct emulator *emu, u16 *selector, u64 *offset)
{
	const struct emu_insn *insn = &emu->insn;
	u8 buf[10];
	int rc;

	if (!insn->is_mem) {
		*selector = insn->imm2;
		*offset = insn->imm;
		return EMU_DONE;
	}

	rc = emu_read_mem(emu, insn->seg, insn->ea, buf, insn->size + 2);
	if (rc != EMU_DONE)
		return rc;
	*offset = 0;
	__builtin_memcpy(offset, buf, insn->size);
	__builtin_memcpy(selector, buf + insn->size, 2);
	return EMU_DONE;
}

int emu_exec_jmp_far(struct emulator *emu)
{
	struct emu_descriptor desc;
	u16 selector;
	u64 offset;
	int rc;

	rc = far_operand(emu, &selector, &offset);
	if (rc != EMU_DONE)
		return rc;
	rc = check_far_target(emu, selector, offset, false, &desc);
	if (rc != EMU_DONE)
		return rc;
	return commit_far_target(emu, &desc, offset);
}

int emu_exec_call_far(struct emulator *emu)
{
	struct emu_descriptor desc;
	u64 frame[2], offset;
	u16 selector;
	int rc;

	rc = far_operand(emu, &selector, &offset);
	if (rc != EMU_DONE)
		return rc;
	rc = check_far_target(emu, selector, offset, false, &desc);
	if (rc != EMU_DONE)
		return rc;

	frame[0] = emu_segment(emu, EMU_CS)->selector;
	frame[1] = emu->next_rip;
	rc = emu_push(emu, frame, 2, emu->insn.size);
	if (rc != EMU_DONE)
		return rc;
	return commit_far_target(emu, &desc, offset);
}

int emu_exec_ret_far(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	struct emu_descriptor desc;
	u64 frame[2];
	int rc;

	rc = emu_stack_read(emu, frame, 2, insn->size);
	if (rc != EMU_DONE)
		return rc;
	rc = check_far_target(emu, frame[1], frame[0], true, &desc);
	if (rc != EMU_DONE)
		return rc;
	rc = commit_far_target(emu, &desc, frame[0]);
	if (rc == EMU_DONE)
		emu_stack_release(emu, 2 * insn->size + bytes_to_release(insn));
	return rc;
}

static void iret_flags(struct emulator *emu, u64 image)
{
	unsigned int size = emu->insn.size;
	u64 mask = emu_flags_writable(emu, size);

	if (size > 2)
		mask |= FLAG_RF;
	emu->next_rflags = (emu->next_rflags & ~mask) | (image & mask);
	emu->nmi_unblocked = true;
}

/* In 64-bit mode the frame always has SS:RSP, and SS may be null. */
static int iret64(struct emulator *emu)
{
	unsigned int size = emu->insn.size;
	struct emu_descriptor cs, ss;
	u64 frame[5];
	int rc;

	rc = emu_stack_read(emu, frame, 5, size);
	if (rc != EMU_DONE)
		return rc;
	rc = check_far_target(emu, frame[1], frame[0], true, &cs);
	if (rc != EMU_DONE)
		return rc;
	rc = emu_read_data_segment(emu, EMU_SS, frame[4], &ss);
	if (rc != EMU_DONE)
		return rc;

	rc = emu_commit_segment(emu, EMU_SS, &ss);
	if (rc == EMU_DONE)
		rc = commit_far_target(emu, &cs, frame[0]);
	if (rc != EMU_DONE)
		return rc;
	emu->gpr[EMU_RSP] = frame[3];
	iret_flags(emu, frame[2]);
	return EMU_DONE;
}

/* NT: a return from a task, which long mode does not have. */
static int nested_task_return(struct emulator *emu)
{
	return emu_long_mode(emu) ? emu_raise_gp0(emu) : EMU_UNHANDLED;
}

int emu_exec_iret(struct emulator *emu)
{
	unsigned int size = emu->insn.size;
	struct emu_descriptor desc;
	u64 frame[3];
	int rc;

	if (emu->mode == EMU_VM86 && emu_iopl(emu) < 3)
		return emu->ops->get_cr(emu, 4) & CR4_VME ? EMU_UNHANDLED : emu_raise_gp0(emu);
	if (emu_protected(emu) && (emu->rflags & FLAG_NT))
		return nested_task_return(emu);
	if (emu->mode == EMU_LONG64)
		return iret64(emu);

	rc = emu_stack_read(emu, frame, 3, size);
	if (rc != EMU_DONE)
		return rc;
	if (emu_protected(emu) && size == 4 && (frame[2] & FLAG_VM) && !emu->cpl)
		return EMU_UNHANDLED;
	rc = check_far_target(emu, frame[1], frame[0], true, &desc);
	if (rc != EMU_DONE)
		return rc;
	rc = commit_far_target(emu, &desc, frame[0]);
	if (rc != EMU_DONE)
		return rc;

	emu_stack_release(emu, 3 * size);
	iret_flags(emu, frame[2]);
	return EMU_DONE;
}

/* Real mode: through the vector table, a selector:offset pair for each vector. */
static int real_interrupt(struct emulator *emu, u8 vector)
{
	struct emu_descriptor desc;
	struct emu_table idt;
	u16 entry[2] = { 0, 0 };
	u64 frame[3];
	int rc;

	emu->ops->get_dt(emu, EMU_IDT, &idt);
	if (4u * vector + 3 > idt.limit)
		return emu_raise_gp0(emu);
	rc = emu->ops->read(emu, (u32)(idt.base + 4u * vector), entry, sizeof(entry),
			    EMU_ACCESS_SYSTEM);
	if (rc != EMU_DONE)
		return rc;
	rc = check_far_target(emu, entry[1], entry[0], false, &desc);
	if (rc != EMU_DONE)
		return rc;

	frame[0] = emu->rflags;
	frame[1] = emu_segment(emu, EMU_CS)->selector;
	frame[2] = emu->next_rip;
	rc = emu_push(emu, frame, 3, 2);
	if (rc != EMU_DONE)
		return rc;
	emu->next_rflags &= ~(FLAG_IF | FLAG_TF | FLAG_AC);
	return commit_far_target(emu, &desc, entry[0]);
}

static int interrupt(struct emulator *emu, u8 vector, enum emu_soft_int_kind kind)
{
	if (emu->mode == EMU_REAL)
		return real_interrupt(emu, vector);

	emu->soft_int.vector = vector;
	emu->soft_int.kind = kind;
	return EMU_SOFT_INT;
}

/*
 * INT n in virtual-8086 mode belongs to the monitor below IOPL 3, or to VME's redirection bitmap.
 */
int emu_exec_int(struct emulator *emu)
{
	if (emu->mode == EMU_VM86) {
		if (emu->ops->get_cr(emu, 4) & CR4_VME)
			return EMU_UNHANDLED;
		if (emu_iopl(emu) < 3)
			return emu_raise_gp0(emu);
	}
	return interrupt(emu, emu->insn.imm, EMU_INT_N);
}

int emu_exec_int3(struct emulator *emu)
{
	return interrupt(emu, VECTOR_BP, EMU_INT3);
}

int emu_exec_into(struct emulator *emu)
{
	if (!(emu->rflags & FLAG_OF))
		return EMU_DONE;
	return interrupt(emu, VECTOR_OF, EMU_INTO);
}

int emu_exec_int1(struct emulator *emu)
{
	return interrupt(emu, VECTOR_DB, EMU_INT1);
}

int emu_exec_bound(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int size = insn->size;
	s64 index = (s64)emu_sign_extend(emu->dst, size), low, high;
	u64 val;
	int rc;

	rc = emu_read_value(emu, insn->seg, insn->ea, &val, 2 * size);
	if (rc != EMU_DONE)
		return rc;

	low = (s64)emu_sign_extend(val, size);
	high = (s64)emu_sign_extend(val >> (8 * size), size);
	return index < low || index > high ? emu_raise(emu, VECTOR_BR) : EMU_DONE;
}
