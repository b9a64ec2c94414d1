// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts and exceptions on their way into the guest, and IRET: INT n and its kin, and what a
 * caller has delivered by emu_interrupt(). Through the vector table of real mode, the gates of
 * protected and long mode, or either, as virtual-8086 mode decides. APM volume 2, sections 8.5 to
 * 8.9 and 12.2; APM volume 3, INT, IRET; SDM volume 3, section 21.3 (virtual-8086 extensions).
 */
#include "segment.h"

#define IDT_ERROR	2u	/* in an error code: a vector, not a selector */

/* Offsets in a 32-bit TSS */
#define TSS_IOMAP_BASE	0x66u
#define REDIRECT_BYTES	32u	/* the bitmap ends where the I/O map begins */

/* GS, FS, DS, ES of virtual-8086 mode, SS, rSP, RFLAGS, CS, rIP, error code */
#define MAX_FRAME	10u

/* ---- real mode, and virtual-8086 mode by itself ---------------------------------------------- */

/* A selector:offset pair for each vector */
static int enter_by_table(struct emulator *emu, u64 table, u8 vector, u64 flags)
{
	u64 frame[3] = { flags, emu_segment(emu, EMU_CS)->selector, emu->next_rip };
	struct emu_target target;
	u16 entry[2] = { 0, 0 };
	unsigned int access = emu->mode == EMU_REAL ? EMU_ACCESS_SYSTEM : 0;
	int rc;

	rc = emu->ops->read(emu, (u32)(table + 4u * vector), entry, sizeof(entry), access);
	if (rc != EMU_DONE)
		return rc;
	rc = emu_check_return(emu, entry[1], entry[0], &target);
	if (rc == EMU_DONE)
		rc = emu_push(emu, frame, 3, 2);
	if (rc != EMU_DONE)
		return rc;
	return emu_commit_target(emu, &target);
}

static int real_interrupt(struct emulator *emu, u8 vector)
{
	struct emu_table idt;
	int rc;

	emu->ops->get_dt(emu, EMU_IDT, &idt);
	if (4u * vector + 3 > idt.limit)
		return emu_raise_gp0(emu);
	rc = enter_by_table(emu, idt.base, vector, emu->next_rflags);
	if (rc == EMU_DONE)
		emu->next_rflags &= ~(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF);
	return rc;
}

/* The program's own handler, at the table that a real machine has at address 0 */
static int virtual_interrupt(struct emulator *emu, u8 vector)
{
	u64 flags = emu->next_rflags, interrupt_flag = FLAG_IF;
	int rc;

	if (emu_iopl(emu) < 3) {
		interrupt_flag = FLAG_VIF;
		flags = (flags & ~FLAG_IF) | FLAG_IOPL;
		if (emu->rflags & FLAG_VIF)
			flags |= FLAG_IF;
	}
	rc = enter_by_table(emu, 0, vector, flags);
	if (rc == EMU_DONE)
		emu->next_rflags &= ~(interrupt_flag | FLAG_TF);
	return rc;
}

/* CR4.VME: a clear bit for the vector in the TSS leaves it to the program. */
static int is_redirected(struct emulator *emu, u8 vector, bool *redirected)
{
	struct emu_segment tr;
	u16 base = 0;
	u32 byte;
	u8 bits = 0;
	int rc;

	emu->ops->get_segment(emu, EMU_TR, &tr);
	if (!(tr.attr & TYPE_WIDE) || tr.limit < TSS_IOMAP_BASE + 1)
		return emu_raise_gp0(emu);
	rc = emu->ops->read(emu, tr.base + TSS_IOMAP_BASE, &base, sizeof(base), EMU_ACCESS_SYSTEM);
	if (rc != EMU_DONE)
		return rc;
	byte = (u32)base - REDIRECT_BYTES + vector / 8;
	if (base < REDIRECT_BYTES || byte > tr.limit)
		return emu_raise_gp0(emu);
	rc = emu->ops->read(emu, tr.base + byte, &bits, 1, EMU_ACCESS_SYSTEM);
	*redirected = !(bits >> (vector & 7) & 1);
	return rc;
}

/* ---- gates ----------------------------------------------------------------------------------- */

struct event {
	u8 vector;
	enum emu_event kind;
	bool has_error;
	u32 error;
};

struct gate {
	u64 offset;
	u16 selector;
	u8 type;
	u8 dpl;
	u8 ist;
	bool present;
};

static int bad_vector(struct emulator *emu, u8 fault, u8 vector)
{
	return emu_raise_error(emu, fault, vector * 8u | IDT_ERROR | emu->ext);
}

static int read_gate(struct emulator *emu, u8 vector, struct gate *gate)
{
	unsigned int bytes = emu_long_mode(emu) ? 16 : 8;
	struct emu_table idt;
	u64 raw[2] = { 0, 0 };
	int rc;

	emu->ops->get_dt(emu, EMU_IDT, &idt);
	if (vector * bytes + bytes - 1 > idt.limit)
		return bad_vector(emu, VECTOR_GP, vector);
	rc = emu->ops->read(emu, idt.base + vector * bytes, raw, bytes, EMU_ACCESS_SYSTEM);
	gate->selector = raw[0] >> 16;
	gate->offset = (raw[0] & 0xffff) | (raw[0] >> 32 & 0xffff0000u) | raw[1] << 32;
	gate->type = raw[0] >> 40 & 0x1f;
	gate->dpl = raw[0] >> 45 & 3;
	gate->present = raw[0] >> 47 & 1;
	gate->ist = bytes == 16 ? raw[0] >> 32 & 7 : 0;
	return rc;
}

static bool is_interrupt_gate(const struct gate *gate)
{
	return (gate->type | TYPE_WIDE) == TYPE_INT;
}

static bool gate_exists(struct emulator *emu, const struct gate *gate)
{
	switch (gate->type) {
	case TYPE_INT:
	case TYPE_TRAP:
		return true;
	case TYPE_INT16:
	case TYPE_TRAP16:
	case TYPE_TASK:
		return !emu_long_mode(emu);
	default:
		return false;
	}
}

static int check_event_gate(struct emulator *emu, const struct event *event,
			    const struct gate *gate)
{
	if (!gate_exists(emu, gate) || (event->kind == EMU_EVENT_SOFT && gate->dpl < emu->cpl))
		return bad_vector(emu, VECTOR_GP, event->vector);
	if (!gate->present)
		return bad_vector(emu, VECTOR_NP, event->vector);
	return EMU_DONE;
}

static int check_handler(struct emulator *emu, const struct gate *gate, struct emu_target *target)
{
	unsigned int dpl;
	u16 attr;
	int rc;

	target->rip = gate->offset;
	if (!(gate->type & TYPE_WIDE))
		target->rip &= 0xffff;
	rc = emu_check_code(emu, gate->selector, VECTOR_GP, target);
	if (rc != EMU_DONE)
		return rc;
	attr = target->cs.seg.attr;
	dpl = emu_dpl(&target->cs);
	target->cpl = emu_is_conforming(attr) ? emu->cpl : dpl;
	/* From virtual-8086 mode there is a way to level 0 only. */
	if (dpl > emu->cpl || (emu->mode == EMU_VM86 && target->cpl))
		return emu_bad_selector(emu, VECTOR_GP, gate->selector);
	if (emu_long_mode(emu) && (attr & (EMU_ATTR_L | EMU_ATTR_DB)) != EMU_ATTR_L)
		return emu_bad_selector(emu, VECTOR_GP, gate->selector);
	if (!(attr & EMU_ATTR_P))
		return emu_bad_selector(emu, VECTOR_NP, gate->selector);
	return emu_check_rip(emu, target);
}

static void event_flags(struct emulator *emu, const struct gate *gate)
{
	emu->next_rflags &= ~(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
	if (is_interrupt_gate(gate))
		emu->next_rflags &= ~FLAG_IF;
}

/* RFLAGS, CS, rIP and the error code, which every frame ends with */
static unsigned int frame_end(struct emulator *emu, const struct event *event, u64 *frame)
{
	frame[0] = emu->next_rflags;
	frame[1] = emu_segment(emu, EMU_CS)->selector;
	frame[2] = emu->next_rip;
	frame[3] = event->error;
	return event->has_error ? 4 : 3;
}

/* The data segments of virtual-8086 mode mean nothing to the handler: they are pushed. */
static unsigned int push_vm86_segments(struct emulator *emu, u64 *frame)
{
	frame[0] = emu_segment(emu, EMU_GS)->selector;
	frame[1] = emu_segment(emu, EMU_FS)->selector;
	frame[2] = emu_segment(emu, EMU_DS)->selector;
	frame[3] = emu_segment(emu, EMU_ES)->selector;
	return 4;
}

static int clear_data_segments(struct emulator *emu)
{
	static const u8 data[] = { EMU_ES, EMU_DS, EMU_FS, EMU_GS };
	struct emu_descriptor desc;
	unsigned int i;
	int rc = EMU_DONE;

	for (i = 0; i < sizeof(data) && rc == EMU_DONE; i++) {
		emu_null_segment(data[i], 0, 0, &desc);
		rc = emu_set_segment(emu, data[i], &desc);
	}
	return rc;
}

/* To another stack: that of an inner level, or one of long mode's interrupt stacks */
static int enter_inner(struct emulator *emu, const struct event *event, const struct gate *gate,
		       struct emu_target *target, unsigned int size)
{
	u64 frame[MAX_FRAME];
	unsigned int count = 0;
	struct emu_stack stack;
	int rc;

	rc = emu_inner_stack(emu, target->cpl, gate->ist, &stack);
	if (rc != EMU_DONE)
		return rc;
	if (emu->mode == EMU_VM86)
		count = push_vm86_segments(emu, frame);
	frame[count++] = emu_segment(emu, EMU_SS)->selector;
	frame[count++] = emu->gpr[EMU_RSP];
	count += frame_end(emu, event, frame + count);
	if (size == 8)
		stack.sp &= ~15ull;
	rc = emu_push_inner(emu, &stack, frame, count, size);
	if (rc == EMU_DONE)
		rc = emu_commit_inner(emu, &stack, target);
	if (rc == EMU_DONE && emu->mode == EMU_VM86)
		rc = clear_data_segments(emu);
	return rc;
}

/* The same level in long mode: the stack that is in use, aligned, and SS:rSP on it */
static int enter_same64(struct emulator *emu, const struct event *event, struct emu_target *target)
{
	u64 frame[MAX_FRAME];
	struct emu_stack stack = { .sp = emu->gpr[EMU_RSP] & ~15ull };
	unsigned int count;
	int rc;

	frame[0] = emu_segment(emu, EMU_SS)->selector;
	frame[1] = emu->gpr[EMU_RSP];
	count = 2 + frame_end(emu, event, frame + 2);
	stack.ss.seg = *emu_segment(emu, EMU_SS);
	stack.ss.in_memory = false;
	rc = emu_push_inner(emu, &stack, frame, count, 8);
	if (rc != EMU_DONE)
		return rc;
	rc = emu_commit_target(emu, target);
	if (rc == EMU_DONE)
		emu->gpr[EMU_RSP] = stack.sp;
	return rc;
}

static int enter_same(struct emulator *emu, const struct event *event, struct emu_target *target,
		      unsigned int size)
{
	u64 frame[MAX_FRAME];
	unsigned int count;
	int rc;

	if (size == 8)
		return enter_same64(emu, event, target);
	count = frame_end(emu, event, frame);
	rc = emu_mark_segment(emu, EMU_CS, &target->cs);
	if (rc == EMU_DONE)
		rc = emu_push(emu, frame, count, size);
	if (rc != EMU_DONE)
		return rc;
	return emu_commit_target(emu, target);
}

static int protected_event(struct emulator *emu, const struct event *event)
{
	struct gate gate = { .present = false };
	struct emu_target target;
	unsigned int size;
	int rc;

	rc = read_gate(emu, event->vector, &gate);
	if (rc == EMU_DONE)
		rc = check_event_gate(emu, event, &gate);
	if (rc != EMU_DONE)
		return rc;
	if (gate.type == TYPE_TASK)
		return emu_switch_task(emu, gate.selector, EMU_TASK_GATE, event->has_error,
				       event->error);
	rc = check_handler(emu, &gate, &target);
	if (rc != EMU_DONE)
		return rc;

	size = emu_long_mode(emu) ? 8 : gate.type & TYPE_WIDE ? 4 : 2;
	if (target.cpl < emu->cpl || gate.ist)
		rc = enter_inner(emu, event, &gate, &target, size);
	else
		rc = enter_same(emu, event, &target, size);
	if (rc == EMU_DONE)
		event_flags(emu, &gate);
	return rc;
}

/* ---- INT n and its kin, and events from outside ---------------------------------------------- */

static int interrupt(struct emulator *emu, u8 vector, enum emu_event kind)
{
	struct event event = { .vector = vector, .kind = kind };

	/* INT1 is an event from outside in all but name. */
	emu->ext = kind != EMU_EVENT_SOFT;
	return emu->mode == EMU_REAL ? real_interrupt(emu, vector) : protected_event(emu, &event);
}

int emu_interrupt(struct emulator *emu, u8 vector, bool has_error, u32 error)
{
	struct event event = { vector, EMU_EVENT_HARD, has_error, error };
	int rc;

	emu_begin(emu, 0);
	emu->next_rflags = emu->rflags;
	emu->seg_valid = 0;
	emu->ext = 1;
	rc = emu->mode == EMU_REAL ? real_interrupt(emu, vector) : protected_event(emu, &event);
	return emu_finish(emu, rc);
}

/*
 * In virtual-8086 mode INT n belongs to the monitor below IOPL 3, unless VME's redirection bitmap
 * gives it to the program.
 */
int emu_exec_int(struct emulator *emu)
{
	u8 vector = emu->insn.imm;
	bool redirected = false;
	int rc;

	if (emu->mode == EMU_VM86) {
		if (emu->ops->get_cr(emu, 4) & CR4_VME) {
			rc = is_redirected(emu, vector, &redirected);
			if (rc != EMU_DONE)
				return rc;
		}
		if (redirected)
			return virtual_interrupt(emu, vector);
		if (emu_iopl(emu) < 3)
			return emu_raise_gp0(emu);
	}
	return interrupt(emu, vector, EMU_EVENT_SOFT);
}

int emu_exec_int3(struct emulator *emu)
{
	return interrupt(emu, VECTOR_BP, EMU_EVENT_SOFT);
}

int emu_exec_into(struct emulator *emu)
{
	if (!(emu->rflags & FLAG_OF))
		return EMU_DONE;
	return interrupt(emu, VECTOR_OF, EMU_EVENT_SOFT);
}

int emu_exec_int1(struct emulator *emu)
{
	return interrupt(emu, VECTOR_DB, EMU_EVENT_HARD);
}

/* ---- IRET ------------------------------------------------------------------------------------ */

/* By the level that returns, not the one returned to */
static void iret_flags(struct emulator *emu, u64 image)
{
	unsigned int size = emu->insn.size;
	u64 mask = emu_flags_writable(emu, size);

	if (size > 2) {
		mask |= FLAG_RF;
		if (emu_protected(emu) && !emu->cpl)
			mask |= FLAG_VIF | FLAG_VIP;
	}
	emu->next_rflags = (emu->next_rflags & ~mask) | (image & mask);
	emu->nmi_unblocked = true;
}

/* Within a level: rIP, CS and RFLAGS are all that is on the stack. */
static int iret_same(struct emulator *emu, struct emu_target *target, u64 flags)
{
	int rc = emu_commit_target(emu, target);

	if (rc != EMU_DONE)
		return rc;
	emu_stack_release(emu, 3 * emu->insn.size);
	iret_flags(emu, flags);
	return EMU_DONE;
}

/* Real mode, and virtual-8086 mode at IOPL 3 */
static int iret_real(struct emulator *emu)
{
	struct emu_target target;
	u64 frame[3];
	int rc;

	rc = emu_stack_read(emu, frame, 3, emu->insn.size);
	if (rc == EMU_DONE)
		rc = emu_check_return(emu, frame[1], frame[0], &target);
	return rc == EMU_DONE ? iret_same(emu, &target, frame[2]) : rc;
}

/* Virtual-8086 mode below IOPL 3 with VME: IF of the image is the virtual one. */
static int iret_virtual(struct emulator *emu)
{
	struct emu_target target;
	u64 frame[3];
	int rc;

	if (emu->insn.size != 2 || !(emu->ops->get_cr(emu, 4) & CR4_VME))
		return emu_raise_gp0(emu);
	rc = emu_stack_read(emu, frame, 3, 2);
	if (rc == EMU_DONE)
		rc = emu_check_return(emu, frame[1], frame[0], &target);
	if (rc == EMU_DONE)
		rc = emu_check_virtual_flags(emu, frame[2]);
	if (rc == EMU_DONE)
		rc = emu_commit_target(emu, &target);
	if (rc != EMU_DONE)
		return rc;
	emu_set_virtual_flags(emu, frame[2]);
	emu_stack_release(emu, 6);
	emu->nmi_unblocked = true;
	return EMU_DONE;
}

/* The frame of an interrupted virtual-8086 program: rIP, CS, RFLAGS, rSP, SS, ES, DS, FS, GS */
static int iret_to_vm86(struct emulator *emu)
{
	static const u8 order[] = { EMU_SS, EMU_ES, EMU_DS, EMU_FS, EMU_GS };
	unsigned int i;
	u64 frame[9];
	int rc;

	rc = emu_stack_read(emu, frame, 9, 4);
	if (rc != EMU_DONE)
		return rc;
	if (frame[0] > 0xffff)
		return emu_raise_gp0(emu);
	rc = emu_set_vm86_segment(emu, EMU_CS, frame[1]);
	for (i = 0; i < sizeof(order) && rc == EMU_DONE; i++)
		rc = emu_set_vm86_segment(emu, order[i], frame[4 + i]);
	if (rc != EMU_DONE)
		return rc;

	emu->next_rip = frame[0];
	emu_set_gpr(emu, EMU_RSP, 4, frame[3]);
	iret_flags(emu, frame[2]);
	emu->next_rflags |= FLAG_VM;
	return EMU_DONE;
}

/* To an outer level, or in 64-bit mode: SS:rSP are in the frame as well. */
static int iret_stack(struct emulator *emu, struct emu_target *target)
{
	struct emu_descriptor ss;
	u64 frame[5];
	int rc;

	rc = emu_stack_read(emu, frame, 5, emu->insn.size);
	if (rc == EMU_DONE)
		rc = emu_check_return_stack(emu, target, frame[4], &ss);
	if (rc == EMU_DONE)
		rc = emu_commit_return(emu, target, &ss, frame[3]);
	if (rc == EMU_DONE)
		iret_flags(emu, frame[2]);
	return rc;
}

static int iret_protected(struct emulator *emu)
{
	unsigned int size = emu->insn.size;
	struct emu_target target;
	u64 frame[3];
	int rc;

	rc = emu_stack_read(emu, frame, 3, size);
	if (rc != EMU_DONE)
		return rc;
	if (size == 4 && (frame[2] & FLAG_VM) && !emu->cpl && !emu_long_mode(emu))
		return iret_to_vm86(emu);
	rc = emu_check_return(emu, frame[1], frame[0], &target);
	if (rc != EMU_DONE)
		return rc;
	if (emu->mode == EMU_LONG64 || target.cpl > emu->cpl)
		return iret_stack(emu, &target);
	return iret_same(emu, &target, frame[2]);
}

/* NT: the task that was interrupted by this one is in the TSS. Long mode has no tasks. */
static int iret_task(struct emulator *emu)
{
	struct emu_segment tr;
	u16 link = 0;
	int rc;

	if (emu_long_mode(emu))
		return emu_raise_gp0(emu);
	emu->ops->get_segment(emu, EMU_TR, &tr);
	if (!(tr.attr & EMU_ATTR_P) || tr.limit < 1)
		return emu_bad_selector(emu, VECTOR_TS, tr.selector);
	rc = emu->ops->read(emu, tr.base, &link, sizeof(link), EMU_ACCESS_SYSTEM);
	if (rc == EMU_DONE)
		rc = emu_switch_task(emu, link, EMU_TASK_IRET, false, 0);
	if (rc == EMU_DONE)
		emu->nmi_unblocked = true;
	return rc;
}

int emu_exec_iret(struct emulator *emu)
{
	if (emu->mode == EMU_VM86 && emu_iopl(emu) < 3)
		return iret_virtual(emu);
	if (!emu_protected(emu))
		return iret_real(emu);
	return emu->rflags & FLAG_NT ? iret_task(emu) : iret_protected(emu);
}
