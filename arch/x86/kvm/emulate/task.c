// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware task switches, between 16-bit and 32-bit TSSs in any combination. What comes before the
 * state of the old task is saved is checked in the old task; what is found wrong with the segments
 * of the new one is its own fault, raised at its first instruction. APM volume 2, chapter 12; SDM
 * volume 3, chapter 8, in particular section 8.3.
 */
#include "segment.h"

#define MIN_LIMIT16	0x2bu
#define MIN_LIMIT	0x67u
#define TSS_BYTES	0x68u
#define TSS_ACCESS_BYTE	5u	/* of its descriptor */
#define TSS_T		1u	/* at TSS_TRAP: a debug exception when the task begins */
#define TSS_TRAP	0x64u

/* Where a TSS keeps what; the fields between ip and ldt are as wide as size says. */
struct layout {
	u8 size;
	u8 ip, flags, gpr, seg, ldt;
	u8 segs;	/* ES, CS, SS, DS and, in the wide one, FS, GS */
	u8 cr3;		/* 0: none */
	u8 trap;	/* likewise */
};

static const struct layout layout16 = {
	.size = 2, .ip = 0x0e, .flags = 0x10, .gpr = 0x12, .seg = 0x22, .ldt = 0x2a, .segs = 4,
};

static const struct layout layout32 = {
	.size = 4, .ip = 0x20, .flags = 0x24, .gpr = 0x28, .seg = 0x48, .ldt = 0x60, .segs = 6,
	.cr3 = 0x1c, .trap = TSS_TRAP,
};

struct tss {
	struct emu_descriptor desc;
	const struct layout *layout;
	u8 image[TSS_BYTES];
};

static const struct layout *layout_of(u16 attr)
{
	return attr & TYPE_WIDE ? &layout32 : &layout16;
}

static u64 get(const struct tss *tss, unsigned int offset)
{
	u64 val = 0;

	__builtin_memcpy(&val, tss->image + offset, tss->layout->size);
	return val;
}

static u16 get_selector(const struct tss *tss, unsigned int seg)
{
	const struct layout *l = tss->layout;

	return seg < l->segs ? get(tss, l->seg + seg * l->size) : 0;
}

static void put(struct tss *tss, unsigned int offset, u64 val)
{
	__builtin_memcpy(tss->image + offset, &val, tss->layout->size);
}

/* The other half of a selector's double word stays what it is. */
static void put_selector(struct tss *tss, unsigned int seg, u16 selector)
{
	const struct layout *l = tss->layout;

	__builtin_memcpy(tss->image + l->seg + seg * l->size, &selector, sizeof(selector));
}

/* ---- before the switch ----------------------------------------------------------------------- */

static bool type_fits(const struct emu_descriptor *desc, enum emu_task_switch why)
{
	unsigned int type = emu_system_type(desc), free = type & ~TSS_BUSY;

	if (free != TYPE_TSS && free != TYPE_TSS16)
		return false;
	return (why == EMU_TASK_IRET) == !!(type & TSS_BUSY);
}

static int find_new(struct emulator *emu, u16 selector, enum emu_task_switch why, struct tss *tss)
{
	u8 vector = why == EMU_TASK_IRET ? VECTOR_TS : VECTOR_GP;
	struct emu_descriptor *desc = &tss->desc;
	int rc;

	if (emu_is_null(selector) || (selector & SELECTOR_TI))
		return emu_bad_selector(emu, vector, selector);
	rc = emu_read_descriptor(emu, selector, vector, desc);
	if (rc != EMU_DONE)
		return rc;
	if (!type_fits(desc, why))
		return emu_bad_selector(emu, vector, selector);
	if (!(desc->seg.attr & EMU_ATTR_P))
		return emu_bad_selector(emu, VECTOR_NP, selector);
	tss->layout = layout_of(desc->seg.attr);
	if (desc->seg.limit < (tss->layout == &layout32 ? MIN_LIMIT : MIN_LIMIT16))
		return emu_bad_selector(emu, VECTOR_TS, selector);
	return EMU_DONE;
}

static int find_old(struct emulator *emu, struct tss *tss)
{
	struct emu_descriptor *desc = &tss->desc;

	emu->ops->get_segment(emu, EMU_TR, &desc->seg);
	tss->layout = layout_of(desc->seg.attr);
	if (!(desc->seg.attr & EMU_ATTR_P) || desc->seg.limit < tss->layout->ldt - 1u)
		return emu_bad_selector(emu, VECTOR_TS, desc->seg.selector);
	if (!emu_find_descriptor(emu, desc->seg.selector & ~SELECTOR_TI, &desc->linear))
		return emu_bad_selector(emu, VECTOR_TS, desc->seg.selector);
	return EMU_DONE;
}

/* All that is going to be written is read so first, and faults before anything has happened. */
static int read_images(struct emulator *emu, struct tss *old, struct tss *new)
{
	const unsigned int modify = EMU_ACCESS_SYSTEM | EMU_ACCESS_MODIFY;
	unsigned int bytes = new->layout == &layout32 ? MIN_LIMIT + 1 : MIN_LIMIT16 + 1;
	const struct layout *l = old->layout;
	u8 access;
	int rc;

	rc = emu->ops->read(emu, old->desc.seg.base + l->ip, old->image + l->ip, l->ldt - l->ip,
			    modify);
	if (rc == EMU_DONE)
		rc = emu->ops->read(emu, new->desc.seg.base, new->image, bytes, modify);
	if (rc == EMU_DONE)
		rc = emu->ops->read(emu, old->desc.linear + TSS_ACCESS_BYTE, &access, 1, modify);
	if (rc == EMU_DONE)
		rc = emu->ops->read(emu, new->desc.linear + TSS_ACCESS_BYTE, &access, 1, modify);
	return rc;
}

/* ---- the old task ---------------------------------------------------------------------------- */

static int set_busy(struct emulator *emu, const struct emu_descriptor *desc, bool busy)
{
	u64 linear = desc->linear + TSS_ACCESS_BYTE;
	u8 access = 0;
	int rc;

	rc = emu->ops->read(emu, linear, &access, 1, EMU_ACCESS_SYSTEM);
	if (rc != EMU_DONE)
		return rc;
	access = busy ? access | TSS_BUSY : access & ~TSS_BUSY;
	return emu->ops->write(emu, linear, &access, 1, EMU_ACCESS_SYSTEM);
}

static int save_old(struct emulator *emu, struct tss *tss, enum emu_task_switch why)
{
	const struct layout *l = tss->layout;
	u64 flags = emu->next_rflags;
	unsigned int i;

	if (why == EMU_TASK_IRET)
		flags &= ~FLAG_NT;
	put(tss, l->ip, emu->next_rip);
	put(tss, l->flags, flags);
	for (i = 0; i < 8; i++)
		put(tss, l->gpr + i * l->size, emu->gpr[i]);
	for (i = 0; i < l->segs; i++)
		put_selector(tss, i, emu_segment(emu, i)->selector);
	return emu->ops->write(emu, tss->desc.seg.base + l->ip, tss->image + l->ip, l->ldt - l->ip,
			       EMU_ACCESS_SYSTEM);
}

static int leave_old(struct emulator *emu, struct tss *old, struct tss *new,
		     enum emu_task_switch why)
{
	bool nested = why == EMU_TASK_CALL || why == EMU_TASK_GATE;
	u16 link = old->desc.seg.selector;
	int rc = EMU_DONE;

	if (!nested)
		rc = set_busy(emu, &old->desc, false);
	if (rc == EMU_DONE && why != EMU_TASK_IRET)
		rc = set_busy(emu, &new->desc, true);
	if (rc == EMU_DONE)
		rc = save_old(emu, old, why);
	if (rc == EMU_DONE && nested)
		rc = emu->ops->write(emu, new->desc.seg.base, &link, sizeof(link),
				     EMU_ACCESS_SYSTEM);
	return rc;
}

/* ---- the new task ---------------------------------------------------------------------------- */

int emu_set_vm86_segment(struct emulator *emu, unsigned int seg, u16 selector)
{
	struct emu_descriptor desc = { .in_memory = false };

	desc.seg.selector = selector;
	desc.seg.base = (u64)selector << 4;
	desc.seg.limit = 0xffff;
	desc.seg.attr = EMU_ATTR_P | EMU_ATTR_DPL | EMU_ATTR_S | EMU_ATTR_WRITE |
			EMU_ATTR_ACCESSED;
	return emu_set_segment(emu, seg, &desc);
}

static void load_registers(struct emulator *emu, const struct tss *tss, bool nested)
{
	const struct layout *l = tss->layout;
	u64 flags = (get(tss, l->flags) & FLAG_LOADABLE) | FLAG_FIXED;
	unsigned int i;

	/* A 16-bit task finds ones in the upper halves, as on the first processors with any. */
	for (i = 0; i < 8; i++)
		emu->gpr[i] = get(tss, l->gpr + i * l->size) | (l->size == 2 ? 0xffff0000u : 0);
	if (nested)
		flags |= FLAG_NT;
	emu->next_rip = get(tss, l->ip);
	emu->next_rflags = flags;
	/* From here on this is the instruction that faults. */
	emu->rip = emu->next_rip;
	emu->rflags = flags;
}

/* TR, CR0.TS, CR3 and the debug registers' local enables */
static int load_system(struct emulator *emu, struct tss *tss)
{
	u64 cr0 = emu->ops->get_cr(emu, 0);
	int rc;

	tss->desc.seg.attr |= TSS_BUSY;
	rc = emu_set_segment(emu, EMU_TR, &tss->desc);
	if (rc == EMU_DONE && !(cr0 & CR0_TS))
		rc = emu->ops->set_cr(emu, 0, cr0 | CR0_TS);
	if (rc == EMU_DONE && tss->layout->cr3 && (cr0 & CR0_PG))
		rc = emu->ops->set_cr(emu, 3, get(tss, tss->layout->cr3));
	emu->ops->end_local_breakpoints(emu);
	return rc;
}

/* The selectors are in place before the first descriptor is read: a fault finds them there. */
static int load_selectors(struct emulator *emu, const struct tss *tss)
{
	bool vm86 = emu->rflags & FLAG_VM;
	struct emu_descriptor desc;
	unsigned int seg;
	u16 selector;
	int rc = EMU_DONE;

	emu->cpl = vm86 ? 3 : get_selector(tss, EMU_CS) & 3;
	for (seg = EMU_ES; seg <= EMU_GS && rc == EMU_DONE; seg++) {
		selector = get_selector(tss, seg);
		if (vm86) {
			rc = emu_set_vm86_segment(emu, seg, selector);
			continue;
		}
		emu_null_segment(seg, selector, emu->cpl, &desc);
		rc = emu_set_segment(emu, seg, &desc);
	}
	emu_null_segment(EMU_LDTR, get(tss, tss->layout->ldt), 0, &desc);
	return rc == EMU_DONE ? emu_set_segment(emu, EMU_LDTR, &desc) : rc;
}

static int load_ldt(struct emulator *emu, u16 selector)
{
	struct emu_descriptor desc;
	int rc;

	if (emu_is_null(selector))
		return EMU_DONE;
	if (selector & SELECTOR_TI)
		return emu_bad_selector(emu, VECTOR_TS, selector);
	rc = emu_read_descriptor(emu, selector, VECTOR_TS, &desc);
	if (rc != EMU_DONE)
		return rc;
	if (emu_system_type(&desc) != TYPE_LDT || !(desc.seg.attr & EMU_ATTR_P))
		return emu_bad_selector(emu, VECTOR_TS, selector);
	return emu_set_segment(emu, EMU_LDTR, &desc);
}

static int load_code(struct emulator *emu, u16 selector)
{
	struct emu_target target;
	unsigned int rpl = selector & 3, dpl;
	int rc;

	rc = emu_check_code(emu, selector, VECTOR_TS, &target);
	if (rc != EMU_DONE)
		return rc;
	dpl = emu_dpl(&target.cs);
	if (emu_is_conforming(target.cs.seg.attr) ? dpl > rpl : dpl != rpl)
		return emu_bad_selector(emu, VECTOR_TS, selector);
	if (!(target.cs.seg.attr & EMU_ATTR_P))
		return emu_bad_selector(emu, VECTOR_NP, selector);
	rc = emu_commit_segment(emu, EMU_CS, &target.cs);
	emu->mode = target.cs.seg.attr & EMU_ATTR_DB ? EMU_PROT32 : EMU_PROT16;
	return rc;
}

static int load_stack(struct emulator *emu, u16 selector)
{
	struct emu_descriptor desc;
	int rc;

	if (emu_is_null(selector))
		return emu_bad_selector(emu, VECTOR_TS, selector);
	rc = emu_read_stack_segment(emu, selector, emu->cpl, VECTOR_TS, &desc);
	return rc == EMU_DONE ? emu_commit_segment(emu, EMU_SS, &desc) : rc;
}

static int load_data(struct emulator *emu, unsigned int seg, u16 selector)
{
	struct emu_descriptor desc;
	int rc;

	if (emu_is_null(selector))
		return EMU_DONE;
	rc = emu_read_data_segment(emu, selector, VECTOR_TS, &desc);
	return rc == EMU_DONE ? emu_commit_segment(emu, seg, &desc) : rc;
}

static int load_segments(struct emulator *emu, const struct tss *tss)
{
	static const u8 data[] = { EMU_ES, EMU_DS, EMU_FS, EMU_GS };
	unsigned int i;
	int rc;

	rc = load_ldt(emu, get(tss, tss->layout->ldt));
	if (emu->rflags & FLAG_VM) {
		emu->mode = EMU_VM86;
		return rc;
	}
	if (rc == EMU_DONE)
		rc = load_code(emu, get_selector(tss, EMU_CS));
	if (rc == EMU_DONE)
		rc = load_stack(emu, get_selector(tss, EMU_SS));
	for (i = 0; i < sizeof(data) && rc == EMU_DONE; i++)
		rc = load_data(emu, data[i], get_selector(tss, data[i]));
	return rc;
}

static int enter_new(struct emulator *emu, struct tss *tss, bool nested)
{
	int rc;

	load_registers(emu, tss, nested);
	emu->seg_valid = 0;
	rc = load_system(emu, tss);
	if (rc == EMU_DONE)
		rc = load_selectors(emu, tss);
	if (rc == EMU_DONE)
		rc = load_segments(emu, tss);
	if (rc != EMU_DONE)
		return rc;
	if (emu->next_rip > emu_segment(emu, EMU_CS)->limit)
		return emu_raise_error(emu, VECTOR_GP, emu->ext);
	return EMU_DONE;
}

int emu_switch_task(struct emulator *emu, u16 selector, enum emu_task_switch why, bool has_error,
		    u32 error)
{
	bool nested = why == EMU_TASK_CALL || why == EMU_TASK_GATE;
	struct tss old, new;
	u64 val = error;
	int rc;

	rc = find_new(emu, selector, why, &new);
	if (rc == EMU_DONE)
		rc = find_old(emu, &old);
	if (rc == EMU_DONE)
		rc = read_images(emu, &old, &new);
	if (rc == EMU_DONE)
		rc = leave_old(emu, &old, &new, why);
	if (rc == EMU_DONE)
		rc = enter_new(emu, &new, nested);
	if (rc == EMU_DONE && has_error)
		rc = emu_push(emu, &val, 1, new.layout->size);
	if (rc == EMU_DONE && new.layout->trap && (new.image[new.layout->trap] & TSS_T))
		emu->trap |= EMU_TRAP_TASK;
	return rc;
}

int emu_task_switch(struct emulator *emu, u16 selector, enum emu_task_switch why,
		    unsigned int length, bool external, const u32 *error)
{
	emu_begin(emu, length);
	emu->seg_valid = 0;
	emu->ext = external;
	return emu_finish(emu, emu_switch_task(emu, selector, why, error, error ? *error : 0));
}
