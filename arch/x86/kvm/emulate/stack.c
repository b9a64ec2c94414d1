// SPDX-License-Identifier: GPL-2.0
/*
 * The stack: pushing and popping in all widths of operand and stack pointer, and the instructions
 * that do it. What one instruction pushes is written by one access, so that it happens whole or not
 * at all. APM volume 1, section 3.7.1 (procedure stack); volume 3 for each instruction.
 */
#include "opcode.h"

/* ENTER with 31 levels pushes 32 values and the frame pointer itself. */
#define MAX_PUSH	33
/* A call gate copies 31 parameters. */
#define MAX_POP		31

/* Width of the stack pointer in bytes */
unsigned int emu_stack_size(struct emulator *emu)
{
	if (emu->mode == EMU_LONG64)
		return 8;
	return emu_segment(emu, EMU_SS)->attr & EMU_ATTR_DB ? 4 : 2;
}

/* Where several pushes cross into another page, the first one that faults is the one to tell of. */
static int probe_pushes(struct emulator *emu, u64 sp, unsigned int count, unsigned int size)
{
	u64 linear;
	int rc;

	while (count--) {
		rc = emu_linear(emu, EMU_SS, sp + count * size, size, true, &linear);
		if (rc == EMU_DONE)
			rc = emu->ops->probe_write(emu, linear, size);
		if (rc != EMU_DONE)
			return rc;
	}
	return EMU_DONE;
}

/* val[0] goes first, to the highest address. */
int emu_push(struct emulator *emu, const u64 *val, unsigned int count, unsigned int size)
{
	unsigned int width = emu_stack_size(emu), total = count * size, i;
	u64 sp = (emu->gpr[EMU_RSP] - total) & emu_mask(width), linear;
	u8 buf[MAX_PUSH * 8];
	int rc;

	for (i = 0; i < count; i++)
		__builtin_memcpy(buf + total - (i + 1) * size, &val[i], size);

	rc = count > 1 ? probe_pushes(emu, sp, count, size) : EMU_DONE;
	if (rc != EMU_DONE)
		return rc;
	rc = emu_linear_unaligned(emu, EMU_SS, sp, total, true, &linear);
	if (rc == EMU_DONE)
		rc = emu_check_alignment(emu, linear, size);
	if (rc == EMU_DONE)
		rc = emu->ops->write(emu, linear, buf, total, 0);
	if (rc == EMU_DONE)
		emu_set_gpr(emu, EMU_RSP, width, sp);
	return rc;
}

/* val[0] is the top of the stack; the stack pointer stays where it is. */
int emu_stack_read(struct emulator *emu, u64 *val, unsigned int count, unsigned int size)
{
	u64 sp = emu->gpr[EMU_RSP] & emu_mask(emu_stack_size(emu)), linear;
	u8 buf[MAX_POP * 8];
	unsigned int i;
	int rc;

	rc = emu_linear_unaligned(emu, EMU_SS, sp, count * size, false, &linear);
	if (rc == EMU_DONE)
		rc = emu_check_alignment(emu, linear, size);
	if (rc == EMU_DONE)
		rc = emu->ops->read(emu, linear, buf, count * size, 0);
	if (rc != EMU_DONE)
		return rc;

	for (i = 0; i < count; i++) {
		val[i] = 0;
		__builtin_memcpy(&val[i], buf + i * size, size);
	}
	return EMU_DONE;
}

void emu_stack_release(struct emulator *emu, u64 bytes)
{
	emu_set_gpr(emu, EMU_RSP, emu_stack_size(emu), emu->gpr[EMU_RSP] + bytes);
}

int emu_exec_push(struct emulator *emu)
{
	return emu_push(emu, &emu->src, 1, emu->insn.size);
}

/* ES, CS, SS, DS in bits 4:3 of the opcode; FS and GS are 0F A0 and A8. */
static inline unsigned int opcode_segment(const struct emu_insn *insn)
{
	unsigned int seg = (insn->opcode >> 3) & 3;

	return insn->map ? EMU_FS + (seg & 1) : seg;
}

int emu_exec_push_seg(struct emulator *emu)
{
	u64 selector = emu_segment(emu, opcode_segment(&emu->insn))->selector;

	return emu_push(emu, &selector, 1, emu->insn.size);
}

/* An address made with rSP is made with the rSP after the pop. */
static int pop_to_memory(struct emulator *emu, u64 val)
{
	const struct emu_insn *insn = &emu->insn;
	u64 ea = insn->ea;
	int rc;

	if (insn->base == EMU_RSP)
		ea = (ea + insn->size) & emu_mask(insn->addr_size);
	rc = emu_write_mem(emu, insn->seg, ea, &val, insn->size);
	if (rc == EMU_DONE)
		emu_stack_release(emu, insn->size);
	return rc;
}

int emu_exec_pop(struct emulator *emu)
{
	int rc;

	rc = emu_stack_read(emu, &emu->dst, 1, emu->insn.size);
	if (rc != EMU_DONE)
		return rc;
	emu_stack_release(emu, emu->insn.size);
	return emu_store_dst(emu);
}

/* 8F /0: the stack is read before anybody looks at where the value goes. */
int emu_exec_pop_rm(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 val;
	int rc;

	rc = emu_stack_read(emu, &val, 1, insn->size);
	if (rc != EMU_DONE)
		return rc;
	if (insn->is_mem)
		return pop_to_memory(emu, val);
	emu_stack_release(emu, insn->size);
	emu_set_gpr(emu, insn->rm, insn->size, val);
	return EMU_DONE;
}

int emu_exec_pop_seg(struct emulator *emu)
{
	unsigned int seg = opcode_segment(&emu->insn), width = emu_stack_size(emu);
	u64 sp = emu->gpr[EMU_RSP] + emu->insn.size, val;
	int rc;

	rc = emu_stack_read(emu, &val, 1, emu->insn.size);
	if (rc != EMU_DONE)
		return rc;
	rc = emu_load_segment(emu, seg, val);
	if (rc != EMU_DONE)
		return rc;

	emu_set_gpr(emu, EMU_RSP, width, sp);
	if (seg == EMU_SS)
		emu->shadow = EMU_SHADOW_SS;
	return EMU_DONE;
}

int emu_exec_pusha(struct emulator *emu)
{
	u64 val[8];
	unsigned int i;

	for (i = 0; i < 8; i++)
		val[i] = emu->gpr[i];
	return emu_push(emu, val, 8, emu->insn.size);
}

int emu_exec_popa(struct emulator *emu)
{
	unsigned int size = emu->insn.size, i;
	u64 val[8];
	int rc;

	rc = emu_stack_read(emu, val, 8, size);
	if (rc != EMU_DONE)
		return rc;

	for (i = 0; i < 8; i++) {
		if (i != EMU_RSP)
			emu_set_gpr(emu, i, size, val[7 - i]);
	}
	emu_stack_release(emu, 8 * size);
	return EMU_DONE;
}

/*
 * Virtual-8086 mode below IOPL 3: 1 if the virtual interrupt flag stands in for IF (CR4.VME, 16-bit
 * operands), 0 if the real one is used, -1 if the monitor is to be asked by #GP.
 */
static int virtual_if(struct emulator *emu)
{
	if (emu->mode != EMU_VM86 || emu_iopl(emu) == 3)
		return 0;
	if (emu->insn.size == 2 && (emu->ops->get_cr(emu, 4) & CR4_VME))
		return 1;
	return -1;
}

int emu_exec_pushf(struct emulator *emu)
{
	u64 val = emu->rflags & ~(FLAG_VM | FLAG_RF);
	int vif = virtual_if(emu);

	if (vif < 0)
		return emu_raise_gp0(emu);
	if (vif) {
		val = (val & ~FLAG_IF) | FLAG_IOPL;
		if (emu->rflags & FLAG_VIF)
			val |= FLAG_IF;
	}
	return emu_push(emu, &val, 1, emu->insn.size);
}

/* The flags that POPF and IRET may change here */
u64 emu_flags_writable(const struct emulator *emu, unsigned int size)
{
	u64 mask = FLAG_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;

	if (size > 2)
		mask |= FLAG_AC | FLAG_ID;
	if (emu->mode == EMU_REAL || emu->cpl <= emu_iopl(emu))
		mask |= FLAG_IF;
	if (emu->mode == EMU_REAL || !emu->cpl)
		mask |= FLAG_IOPL;
	return mask;
}

/* Sixteen bits of flags for a virtual-8086 program whose IF is VIF */
int emu_check_virtual_flags(struct emulator *emu, u64 image)
{
	if ((image & FLAG_TF) || ((image & FLAG_IF) && (emu->rflags & FLAG_VIP)))
		return emu_raise_gp0(emu);
	return EMU_DONE;
}

void emu_set_virtual_flags(struct emulator *emu, u64 image)
{
	u64 mask = emu_flags_writable(emu, 2) & ~FLAG_IF;

	emu->next_rflags = (emu->next_rflags & ~(mask | FLAG_VIF)) | (image & mask);
	if (image & FLAG_IF)
		emu->next_rflags |= FLAG_VIF;
}

static int popf_virtual(struct emulator *emu, u64 val)
{
	int rc = emu_check_virtual_flags(emu, val);

	if (rc != EMU_DONE)
		return rc;
	emu_set_virtual_flags(emu, val);
	emu_stack_release(emu, 2);
	return EMU_DONE;
}

int emu_exec_popf(struct emulator *emu)
{
	unsigned int size = emu->insn.size;
	u64 mask = emu_flags_writable(emu, size), val;
	int vif = virtual_if(emu), rc;

	if (vif < 0)
		return emu_raise_gp0(emu);
	rc = emu_stack_read(emu, &val, 1, size);
	if (rc != EMU_DONE)
		return rc;
	if (vif)
		return popf_virtual(emu, val);

	emu->next_rflags = (emu->next_rflags & ~mask) | (val & mask);
	emu_stack_release(emu, size);
	return EMU_DONE;
}

/*
 * One of the enclosing frames' pointers. The stack may hold it in bytes that this ENTER has pushed
 * itself, which are not in memory yet.
 */
static int enclosing_frame(struct emulator *emu, const u64 *pushed, unsigned int count, u64 *val)
{
	unsigned int size = emu->insn.size, i;
	u64 mask = emu_mask(emu_stack_size(emu));
	u64 offset = (emu->gpr[EMU_RBP] - (u64)count * size) & mask;
	int rc;

	rc = emu_read_value(emu, EMU_SS, offset, val, size);
	if (rc != EMU_DONE)
		return rc;

	for (i = 0; i < size; i++) {
		u64 below = (emu->gpr[EMU_RSP] - (offset + i)) & mask;
		u64 slot = (below - 1) / size;

		if (below && slot < count)
			((u8 *)val)[i] = pushed[slot] >> 8 * ((slot + 1) * size - below);
	}
	return EMU_DONE;
}

int emu_exec_enter(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int level = insn->imm2 & 31, width = emu_stack_size(emu), count;
	u64 frame = (emu->gpr[EMU_RSP] - insn->size) & emu_mask(width);
	u64 val[MAX_PUSH], top, linear;
	int rc;

	val[0] = emu->gpr[EMU_RBP];
	for (count = 1; count < level; count++) {
		rc = enclosing_frame(emu, val, count, &val[count]);
		if (rc != EMU_DONE)
			return rc;
	}
	if (level)
		val[count++] = frame;

	/* The new top of the stack must be writable too. */
	top = (emu->gpr[EMU_RSP] - count * insn->size - insn->imm) & emu_mask(width);
	rc = emu_linear(emu, EMU_SS, top, insn->size, true, &linear);
	if (rc == EMU_DONE)
		rc = emu->ops->probe_write(emu, linear, insn->size);
	if (rc != EMU_DONE)
		return rc;
	rc = emu_push(emu, val, count, insn->size);
	if (rc != EMU_DONE)
		return rc;
	emu_set_gpr(emu, EMU_RBP, insn->size, frame);
	emu_set_gpr(emu, EMU_RSP, width, emu->gpr[EMU_RSP] - insn->imm);
	return EMU_DONE;
}

int emu_exec_leave(struct emulator *emu)
{
	unsigned int size = emu->insn.size, width = emu_stack_size(emu);
	u64 sp = emu->gpr[EMU_RBP] & emu_mask(width), val;
	int rc;

	rc = emu_read_value(emu, EMU_SS, sp, &val, size);
	if (rc != EMU_DONE)
		return rc;

	emu_set_gpr(emu, EMU_RSP, width, sp + size);
	emu_set_gpr(emu, EMU_RBP, size, val);
	return EMU_DONE;
}
