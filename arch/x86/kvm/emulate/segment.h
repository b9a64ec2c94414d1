/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Descriptors and what is done with them, for the files that load segment registers and transfer
 * control: segment.c, far.c, interrupt.c, task.c, query.c. APM volume 2, chapter 4.
 */
#ifndef EMULATE_SEGMENT_H
#define EMULATE_SEGMENT_H

#include "opcode.h"

#define SELECTOR_TI	4u

/* Types of system descriptors (APM 2, tables 4-5 and 4-6); bit 3 is set for the 32-bit ones */
enum emu_system_type {
	TYPE_TSS16 = 1, TYPE_LDT = 2, TYPE_CALL16 = 4, TYPE_TASK = 5, TYPE_INT16 = 6,
	TYPE_TRAP16 = 7, TYPE_TSS = 9, TYPE_CALL = 12, TYPE_INT = 14, TYPE_TRAP = 15,
	TYPE_NONE = 0xff,	/* not a system descriptor */
};
#define TYPE_WIDE	8u
#define TSS_BUSY	2u
/* In the second half of a long mode descriptor these bits must be 0. */
#define EMU_GATE_TYPE	0x1f00u

struct emu_descriptor {
	struct emu_segment seg;
	u64 raw;
	u64 linear;	/* of the descriptor itself, if it is in memory */
	bool in_memory;
};

static inline bool emu_is_null(u16 selector)
{
	return !(selector & 0xfffcu);
}

static inline unsigned int emu_dpl(const struct emu_descriptor *desc)
{
	return (desc->seg.attr & EMU_ATTR_DPL) >> EMU_ATTR_DPL_SHIFT;
}

static inline bool emu_is_conforming(u16 attr)
{
	return (attr & (EMU_ATTR_CODE | EMU_ATTR_DOWN)) == (EMU_ATTR_CODE | EMU_ATTR_DOWN);
}

static inline unsigned int emu_system_type(const struct emu_descriptor *desc)
{
	return desc->seg.attr & EMU_ATTR_S ? TYPE_NONE : desc->seg.attr & EMU_ATTR_TYPE;
}

int emu_bad_selector(struct emulator *emu, u8 vector, u16 selector);
bool emu_long_mode(struct emulator *emu);
bool emu_find_descriptor(struct emulator *emu, u16 selector, u64 *linear);
int emu_fetch_descriptor(struct emulator *emu, u16 selector, struct emu_descriptor *desc);
int emu_read_descriptor(struct emulator *emu, u16 selector, u8 vector, struct emu_descriptor *desc);
int emu_read_upper(struct emulator *emu, const struct emu_descriptor *desc, u64 *upper);
int emu_read_data_segment(struct emulator *emu, u16 selector, u8 vector,
			  struct emu_descriptor *desc);
int emu_read_stack_segment(struct emulator *emu, u16 selector, unsigned int cpl, u8 vector,
			   struct emu_descriptor *desc);
void emu_real_segment(struct emulator *emu, unsigned int seg, u16 selector,
		      struct emu_descriptor *desc);
void emu_null_segment(unsigned int seg, u16 selector, unsigned int cpl, struct emu_descriptor *desc);
int emu_mark_segment(struct emulator *emu, unsigned int seg, struct emu_descriptor *desc);
int emu_set_segment(struct emulator *emu, unsigned int seg, const struct emu_descriptor *desc);
int emu_commit_segment(struct emulator *emu, unsigned int seg, struct emu_descriptor *desc);

/* far.c: a code segment and a place in it, checked, on its way to CS:rIP */
struct emu_target {
	struct emu_descriptor cs;
	u64 rip;
	u8 cpl;
};

bool emu_is_64bit_code(struct emulator *emu, const struct emu_target *target);
int emu_check_code(struct emulator *emu, u16 selector, u8 vector, struct emu_target *target);
int emu_check_rip(struct emulator *emu, const struct emu_target *target);
int emu_commit_target(struct emulator *emu, struct emu_target *target);
int emu_check_return(struct emulator *emu, u16 selector, u64 rip, struct emu_target *target);
int emu_check_return_stack(struct emulator *emu, const struct emu_target *target, u16 selector,
			   struct emu_descriptor *ss);
int emu_commit_return(struct emulator *emu, struct emu_target *target, struct emu_descriptor *ss,
		      u64 sp);

/* A stack other than the one in use */
struct emu_stack {
	struct emu_descriptor ss;
	u64 sp;
};

int emu_inner_stack(struct emulator *emu, unsigned int cpl, unsigned int ist,
		    struct emu_stack *stack);
int emu_push_inner(struct emulator *emu, struct emu_stack *stack, const u64 *val,
		   unsigned int count, unsigned int size);
int emu_commit_inner(struct emulator *emu, struct emu_stack *stack, struct emu_target *target);

/* task.c: registers of virtual-8086 mode */
int emu_set_vm86_segment(struct emulator *emu, unsigned int seg, u16 selector);

#endif
