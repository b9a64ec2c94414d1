// SPDX-License-Identifier: GPL-2.0
/*
 * Far transfers of control: JMP, CALL and RET to another code segment, straight or through a call
 * gate, with a change of privilege level and of stack or without. A TSS or a task gate leads on to
 * task.c. APM volume 2, section 4.11 and chapter 12; APM volume 3, CALL (Far), JMP (Far), RET (Far).
 */
#include "segment.h"

/* Where a TSS keeps the stacks of the inner levels and, in long mode, the interrupt stacks */
#define TSS16_STACKS	2u
#define TSS_STACKS	4u
#define TSS64_IST	0x24u

/* SS and rSP, 31 parameters, CS and rIP */
#define MAX_GATE_FRAME	35u

/* ---- code segments and where to go in them --------------------------------------------------- */

/* The null selector, and everything that is not code; the caller looks at the privilege level. */
int emu_check_code(struct emulator *emu, u16 selector, u8 vector, struct emu_target *target)
{
	u16 attr;
	int rc;

	if (emu_is_null(selector))
		return emu_raise_error(emu, vector, emu->ext);
	rc = emu_read_descriptor(emu, selector, vector, &target->cs);
	if (rc != EMU_DONE)
		return rc;
	attr = target->cs.seg.attr;
	if ((attr & (EMU_ATTR_S | EMU_ATTR_CODE)) != (EMU_ATTR_S | EMU_ATTR_CODE))
		return emu_bad_selector(emu, vector, selector);
	return EMU_DONE;
}

bool emu_is_64bit_code(struct emulator *emu, const struct emu_target *target)
{
	return (target->cs.seg.attr & EMU_ATTR_L) && emu_long_mode(emu);
}

int emu_check_rip(struct emulator *emu, const struct emu_target *target)
{
	if (emu_is_64bit_code(emu, target) ? !emu_canonical(emu, target->rip) :
					     target->rip > target->cs.seg.limit)
		return emu_raise_error(emu, VECTOR_GP, emu->ext);
	return EMU_DONE;
}

/* Checks that come last for every code segment: presence, and L with D. */
static int check_present(struct emulator *emu, const struct emu_target *target)
{
	const struct emu_segment *cs = &target->cs.seg;

	if (!(cs->attr & EMU_ATTR_P))
		return emu_bad_selector(emu, VECTOR_NP, cs->selector);
	if ((cs->attr & EMU_ATTR_L) && (cs->attr & EMU_ATTR_DB) && emu_long_mode(emu))
		return emu_bad_selector(emu, VECTOR_GP, cs->selector);
	return emu_check_rip(emu, target);
}

int emu_commit_target(struct emulator *emu, struct emu_target *target)
{
	int rc;

	if (emu_protected(emu))
		target->cs.seg.selector = (target->cs.seg.selector & ~3u) | target->cpl;
	rc = emu_commit_segment(emu, EMU_CS, &target->cs);
	if (rc == EMU_DONE)
		emu->next_rip = target->rip;
	return rc;
}

static int real_target(struct emulator *emu, u16 selector, struct emu_target *target)
{
	emu_real_segment(emu, EMU_CS, selector, &target->cs);
	target->cpl = emu->cpl;
	return emu_check_rip(emu, target);
}

/* JMP and CALL to a code segment of the same level, or a conforming one of an inner level. */
static int check_direct(struct emulator *emu, struct emu_target *target)
{
	const struct emu_segment *cs = &target->cs.seg;
	unsigned int dpl = emu_dpl(&target->cs);

	if (!(cs->attr & EMU_ATTR_CODE))
		return emu_bad_selector(emu, VECTOR_GP, cs->selector);
	if (emu_is_conforming(cs->attr) ? dpl > emu->cpl :
					  dpl != emu->cpl || (cs->selector & 3u) > emu->cpl)
		return emu_bad_selector(emu, VECTOR_GP, cs->selector);
	target->cpl = emu->cpl;
	return check_present(emu, target);
}

/* ---- inner stacks ---------------------------------------------------------------------------- */

static int read_tss(struct emulator *emu, u32 offset, void *buf, unsigned int size)
{
	struct emu_segment tr;

	emu->ops->get_segment(emu, EMU_TR, &tr);
	if (!(tr.attr & EMU_ATTR_P) || offset + size - 1 > tr.limit)
		return emu_bad_selector(emu, VECTOR_TS, tr.selector);
	return emu->ops->read(emu, tr.base + offset, buf, size, EMU_ACCESS_SYSTEM);
}

/* Long mode has a null SS, and interrupt stacks for every level. */
static int inner_stack64(struct emulator *emu, unsigned int cpl, unsigned int ist,
			 struct emu_stack *stack)
{
	u32 offset = ist ? TSS64_IST + 8 * (ist - 1) : TSS_STACKS + 8 * cpl;

	emu_null_segment(EMU_SS, cpl, cpl, &stack->ss);
	stack->sp = 0;
	return read_tss(emu, offset, &stack->sp, 8);
}

static bool tss_is_wide(struct emulator *emu)
{
	struct emu_segment tr;

	emu->ops->get_segment(emu, EMU_TR, &tr);
	return tr.attr & TYPE_WIDE;
}

int emu_inner_stack(struct emulator *emu, unsigned int cpl, unsigned int ist,
		    struct emu_stack *stack)
{
	u32 pair[2] = { 0, 0 };
	u16 narrow[2] = { 0, 0 }, selector;
	int rc;

	if (emu_long_mode(emu))
		return inner_stack64(emu, cpl, ist, stack);
	if (tss_is_wide(emu)) {
		rc = read_tss(emu, TSS_STACKS + 8 * cpl, pair, 6);
		selector = pair[1];
		stack->sp = pair[0];
	} else {
		rc = read_tss(emu, TSS16_STACKS + 4 * cpl, narrow, 4);
		selector = narrow[1];
		stack->sp = narrow[0];
	}
	if (rc != EMU_DONE)
		return rc;
	if (emu_is_null(selector))
		return emu_raise_error(emu, VECTOR_TS, emu->ext);
	return emu_read_stack_segment(emu, selector, cpl, VECTOR_TS, &stack->ss);
}

static bool fits_inner(struct emulator *emu, const struct emu_stack *stack, u64 sp,
		       unsigned int size)
{
	if (emu_long_mode(emu))
		return emu_canonical(emu, sp) && emu_canonical(emu, sp + size - 1);
	return emu_within_limit(&stack->ss.seg, sp, size);
}

static u64 inner_mask(struct emulator *emu, const struct emu_stack *stack)
{
	if (emu_long_mode(emu))
		return emu_mask(8);
	return emu_mask(stack->ss.seg.attr & EMU_ATTR_DB ? 4 : 2);
}

/* val[0] goes first, to the highest address. Nothing is committed but what is below the stack. */
int emu_push_inner(struct emulator *emu, struct emu_stack *stack, const u64 *val,
		   unsigned int count, unsigned int size)
{
	unsigned int total = count * size, i;
	u64 mask = inner_mask(emu, stack), sp = (stack->sp - total) & mask, linear;
	u8 buf[MAX_GATE_FRAME * 8];
	int rc;

	if (!fits_inner(emu, stack, sp, total))
		return emu_bad_selector(emu, VECTOR_SS, stack->ss.seg.selector);
	for (i = 0; i < count; i++)
		__builtin_memcpy(buf + total - (i + 1) * size, &val[i], size);

	linear = emu_long_mode(emu) ? sp : (u32)(stack->ss.seg.base + sp);
	rc = emu->ops->write(emu, linear, buf, total, EMU_ACCESS_SYSTEM);
	stack->sp = (stack->sp & ~mask) | sp;
	return rc;
}

/* The last step of a transfer to an inner level */
int emu_commit_inner(struct emulator *emu, struct emu_stack *stack, struct emu_target *target)
{
	int rc;

	rc = emu_mark_segment(emu, EMU_SS, &stack->ss);
	if (rc == EMU_DONE)
		rc = emu_commit_target(emu, target);
	if (rc == EMU_DONE)
		rc = emu_set_segment(emu, EMU_SS, &stack->ss);
	if (rc == EMU_DONE)
		emu->gpr[EMU_RSP] = stack->sp;
	return rc;
}

/* ---- call gates ------------------------------------------------------------------------------ */

struct call_gate {
	u16 selector;
	u8 size;	/* of what a CALL pushes */
	u8 params;
};

/* The gate's own checks are done. Fills target but for what its code segment says. */
static int open_gate(struct emulator *emu, const struct emu_descriptor *desc,
		     struct call_gate *gate, struct emu_target *target)
{
	u64 raw = desc->raw, upper;
	int rc;

	gate->selector = raw >> 16;
	gate->params = (raw >> 32) & 0x1f;
	gate->size = emu_system_type(desc) & TYPE_WIDE ? 4 : 2;
	target->rip = raw & 0xffff;
	if (gate->size == 4)
		target->rip |= raw >> 32 & 0xffff0000u;
	if (!emu_long_mode(emu))
		return EMU_DONE;

	rc = emu_read_upper(emu, desc, &upper);
	if (rc != EMU_DONE)
		return rc;
	if (upper >> 32 & EMU_GATE_TYPE)
		return emu_bad_selector(emu, VECTOR_GP, desc->seg.selector);
	gate->size = 8;
	gate->params = 0;
	target->rip |= upper << 32;
	return EMU_DONE;
}

static int check_gate(struct emulator *emu, const struct emu_descriptor *desc)
{
	u16 selector = desc->seg.selector;
	unsigned int dpl = emu_dpl(desc);

	if (dpl < emu->cpl || dpl < (selector & 3u))
		return emu_bad_selector(emu, VECTOR_GP, selector);
	if (!(desc->seg.attr & EMU_ATTR_P))
		return emu_bad_selector(emu, VECTOR_NP, selector);
	return EMU_DONE;
}

/* The code segment that a call gate names: in long mode it must be 64-bit code. */
static int check_gate_target(struct emulator *emu, u16 selector, bool is_jump,
			     struct emu_target *target)
{
	unsigned int dpl;
	u16 attr;
	int rc;

	rc = emu_check_code(emu, selector, VECTOR_GP, target);
	if (rc != EMU_DONE)
		return rc;

	dpl = emu_dpl(&target->cs);
	attr = target->cs.seg.attr;
	if (dpl > emu->cpl || (is_jump && !emu_is_conforming(attr) && dpl != emu->cpl))
		return emu_bad_selector(emu, VECTOR_GP, selector);
	if (emu_long_mode(emu) && (attr & (EMU_ATTR_L | EMU_ATTR_DB)) != EMU_ATTR_L)
		return emu_bad_selector(emu, VECTOR_GP, selector);
	target->cpl = emu_is_conforming(attr) ? emu->cpl : dpl;
	return check_present(emu, target);
}

/* CS and rIP behind the instruction, for a CALL that stays on its stack */
static int push_return(struct emulator *emu, struct emu_target *target, unsigned int size)
{
	u64 frame[2] = { emu_segment(emu, EMU_CS)->selector, emu->next_rip };
	int rc;

	/* This may fault, and rSP must not have moved then. */
	rc = emu_mark_segment(emu, EMU_CS, &target->cs);
	return rc == EMU_DONE ? emu_push(emu, frame, 2, size) : rc;
}

/* To an inner level: the old stack, its topmost words, and the return address */
static int call_inner(struct emulator *emu, const struct call_gate *gate, struct emu_target *target)
{
	u64 frame[MAX_GATE_FRAME], param[31];
	unsigned int count = 0, i;
	struct emu_stack stack;
	int rc;

	rc = emu_inner_stack(emu, target->cpl, 0, &stack);
	if (rc == EMU_DONE && gate->params)
		rc = emu_stack_read(emu, param, gate->params, gate->size);
	if (rc != EMU_DONE)
		return rc;

	frame[count++] = emu_segment(emu, EMU_SS)->selector;
	frame[count++] = emu->gpr[EMU_RSP];
	for (i = gate->params; i; i--)
		frame[count++] = param[i - 1];
	frame[count++] = emu_segment(emu, EMU_CS)->selector;
	frame[count++] = emu->next_rip;
	rc = emu_push_inner(emu, &stack, frame, count, gate->size);
	if (rc != EMU_DONE)
		return rc;
	return emu_commit_inner(emu, &stack, target);
}

static int through_gate(struct emulator *emu, const struct emu_descriptor *desc, bool is_jump)
{
	struct emu_target target;
	struct call_gate gate;
	int rc;

	rc = check_gate(emu, desc);
	if (rc == EMU_DONE)
		rc = open_gate(emu, desc, &gate, &target);
	if (rc == EMU_DONE)
		rc = check_gate_target(emu, gate.selector, is_jump, &target);
	if (rc != EMU_DONE)
		return rc;

	if (!is_jump && target.cpl < emu->cpl)
		return call_inner(emu, &gate, &target);
	rc = is_jump ? EMU_DONE : push_return(emu, &target, gate.size);
	return rc == EMU_DONE ? emu_commit_target(emu, &target) : rc;
}

static int through_task_gate(struct emulator *emu, const struct emu_descriptor *desc,
			     enum emu_task_switch why)
{
	int rc = check_gate(emu, desc);

	return rc == EMU_DONE ? emu_switch_task(emu, desc->raw >> 16, why, false, 0) : rc;
}

static int to_task(struct emulator *emu, const struct emu_descriptor *desc,
		   enum emu_task_switch why)
{
	u16 selector = desc->seg.selector;

	if (emu_dpl(desc) < emu->cpl || emu_dpl(desc) < (selector & 3u))
		return emu_bad_selector(emu, VECTOR_GP, selector);
	return emu_switch_task(emu, selector, why, false, 0);
}

/* What JMP and CALL find that is not a code segment. Long mode has the 64-bit call gate only. */
static int through_system(struct emulator *emu, const struct emu_descriptor *desc, bool is_jump)
{
	enum emu_task_switch why = is_jump ? EMU_TASK_JUMP : EMU_TASK_CALL;
	unsigned int type = emu_system_type(desc);

	if (type == TYPE_CALL)
		return through_gate(emu, desc, is_jump);
	if (emu_long_mode(emu))
		return emu_bad_selector(emu, VECTOR_GP, desc->seg.selector);
	switch (type) {
	case TYPE_CALL16:
		return through_gate(emu, desc, is_jump);
	case TYPE_TASK:
		return through_task_gate(emu, desc, why);
	case TYPE_TSS16:
	case TYPE_TSS:
		return to_task(emu, desc, why);
	default:
		return emu_bad_selector(emu, VECTOR_GP, desc->seg.selector);
	}
}

/* ---- JMP and CALL ---------------------------------------------------------------------------- */

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

static int transfer(struct emulator *emu, bool is_jump)
{
	struct emu_target target;
	u16 selector = 0;
	int rc;

	rc = far_operand(emu, &selector, &target.rip);
	if (rc != EMU_DONE)
		return rc;
	if (!emu_protected(emu)) {
		rc = real_target(emu, selector, &target);
	} else {
		if (emu_is_null(selector))
			return emu_raise_gp0(emu);
		rc = emu_read_descriptor(emu, selector, VECTOR_GP, &target.cs);
		if (rc != EMU_DONE)
			return rc;
		if (!(target.cs.seg.attr & EMU_ATTR_S))
			return through_system(emu, &target.cs, is_jump);
		rc = check_direct(emu, &target);
	}
	if (rc == EMU_DONE && !is_jump)
		rc = push_return(emu, &target, emu->insn.size);
	return rc == EMU_DONE ? emu_commit_target(emu, &target) : rc;
}

int emu_exec_jmp_far(struct emulator *emu)
{
	return transfer(emu, true);
}

int emu_exec_call_far(struct emulator *emu)
{
	return transfer(emu, false);
}

/* ---- returning ------------------------------------------------------------------------------- */

/* The code segment of a return: never an inner one. RPL says to which level. */
int emu_check_return(struct emulator *emu, u16 selector, u64 rip, struct emu_target *target)
{
	unsigned int rpl = selector & 3, dpl;
	int rc;

	target->rip = rip;
	if (!emu_protected(emu))
		return real_target(emu, selector, target);
	rc = emu_check_code(emu, selector, VECTOR_GP, target);
	if (rc != EMU_DONE)
		return rc;
	dpl = emu_dpl(&target->cs);
	if (rpl < emu->cpl || (emu_is_conforming(target->cs.seg.attr) ? dpl > rpl : dpl != rpl))
		return emu_bad_selector(emu, VECTOR_GP, selector);
	target->cpl = rpl;
	return check_present(emu, target);
}

/* SS of a return that loads one. It may be null where 64-bit code inside CPL 3 is returned to. */
int emu_check_return_stack(struct emulator *emu, const struct emu_target *target, u16 selector,
			   struct emu_descriptor *ss)
{
	if (!emu_is_null(selector))
		return emu_read_stack_segment(emu, selector, target->cpl, VECTOR_GP, ss);
	if (!emu_is_64bit_code(emu, target) || target->cpl == 3 || (selector & 3) != target->cpl)
		return emu_raise_gp0(emu);
	emu_null_segment(EMU_SS, selector, target->cpl, ss);
	return EMU_DONE;
}

/* What an outer level may not reach is taken out of the data segment registers. */
static int drop_inner_segments(struct emulator *emu, unsigned int cpl)
{
	static const u8 data[] = { EMU_ES, EMU_DS, EMU_FS, EMU_GS };
	struct emu_descriptor desc;
	unsigned int i;
	int rc;

	for (i = 0; i < sizeof(data); i++) {
		desc.seg = *emu_segment(emu, data[i]);
		if (!(desc.seg.attr & EMU_ATTR_P) || emu_is_conforming(desc.seg.attr) ||
		    emu_dpl(&desc) >= cpl)
			continue;
		emu_null_segment(data[i], 0, cpl, &desc);
		rc = emu_set_segment(emu, data[i], &desc);
		if (rc != EMU_DONE)
			return rc;
	}
	return EMU_DONE;
}

/* rSP as wide as the stack segment that it is for */
static void set_return_sp(struct emulator *emu, const struct emu_target *target,
			  const struct emu_descriptor *ss, u64 sp)
{
	if (emu_is_64bit_code(emu, target))
		emu->gpr[EMU_RSP] = sp;
	else
		emu_set_gpr(emu, EMU_RSP, ss->seg.attr & EMU_ATTR_DB ? 4 : 2, sp);
}

int emu_commit_return(struct emulator *emu, struct emu_target *target, struct emu_descriptor *ss,
		      u64 sp)
{
	int rc;

	rc = emu_mark_segment(emu, EMU_SS, ss);
	if (rc == EMU_DONE)
		rc = emu_commit_target(emu, target);
	if (rc == EMU_DONE)
		rc = emu_set_segment(emu, EMU_SS, ss);
	if (rc == EMU_DONE && target->cpl > emu->cpl)
		rc = drop_inner_segments(emu, target->cpl);
	if (rc == EMU_DONE)
		set_return_sp(emu, target, ss, sp);
	return rc;
}

/* Behind the parameters on the inner stack is the outer one, which has the same parameters. */
static int return_outer(struct emulator *emu, struct emu_target *target, unsigned int params)
{
	unsigned int size = emu->insn.size, width = emu_stack_size(emu);
	u64 sp = (emu->gpr[EMU_RSP] + 2 * size + params) & emu_mask(width), outer[2] = { 0, 0 };
	struct emu_descriptor ss;
	int rc;

	rc = emu_read_value(emu, EMU_SS, sp, &outer[0], size);
	if (rc == EMU_DONE)
		rc = emu_read_value(emu, EMU_SS, (sp + size) & emu_mask(width), &outer[1], size);
	if (rc == EMU_DONE)
		rc = emu_check_return_stack(emu, target, outer[1], &ss);
	if (rc != EMU_DONE)
		return rc;
	return emu_commit_return(emu, target, &ss, outer[0] + params);
}

int emu_exec_ret_far(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int params = insn->flags & IMM_MASK ? insn->imm : 0;
	struct emu_target target;
	u64 frame[2];
	int rc;

	rc = emu_stack_read(emu, frame, 2, insn->size);
	if (rc == EMU_DONE)
		rc = emu_check_return(emu, frame[1], frame[0], &target);
	if (rc != EMU_DONE)
		return rc;
	if (target.cpl > emu->cpl)
		return return_outer(emu, &target, params);

	rc = emu_commit_target(emu, &target);
	if (rc == EMU_DONE)
		emu_stack_release(emu, 2 * insn->size + params);
	return rc;
}
