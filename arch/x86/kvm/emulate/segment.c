// SPDX-License-Identifier: GPL-2.0
/*
 * Segment registers: descriptors, where they are, their checks, the accessed and busy bits; LLDT and
 * LTR. What transfers of control make of code segments is in far.c. APM volume 2, chapter 4, in
 * particular sections 4.7 and 4.9 to 4.11; SDM volume 3, chapter 5.
 */
#include "segment.h"

#define DESCRIPTOR_BYTES	8u
#define ACCESS_BYTE		5u	/* where in a descriptor type, S, DPL and P are */

int emu_bad_selector(struct emulator *emu, u8 vector, u16 selector)
{
	return emu_raise_error(emu, vector, (selector & 0xfffcu) | emu->ext);
}

bool emu_long_mode(struct emulator *emu)
{
	if (emu->mode == EMU_LONG64)
		return true;
	if (!emu_protected(emu))
		return false;
	return emu->ops->get_state_msr(emu, EMU_MSR_EFER) & EFER_LMA_BIT;
}

static void unpack(struct emu_segment *seg, u16 selector, u64 raw)
{
	u32 low = raw, high = raw >> 32;

	seg->selector = selector;
	seg->base = low >> 16 | (high & 0xff) << 16 | (high & 0xff000000u);
	seg->limit = (low & 0xffff) | (high & 0xf0000);
	seg->attr = ((high >> 8) & 0xff) | ((high >> 12) & 0xf00);
	if (seg->attr & EMU_ATTR_G)
		seg->limit = seg->limit << 12 | 0xfff;
}

/* Where the descriptor is. The selector must not be null. */
bool emu_find_descriptor(struct emulator *emu, u16 selector, u64 *linear)
{
	struct emu_segment ldt;
	struct emu_table table;
	u32 offset = selector & 0xfff8u;

	if (selector & SELECTOR_TI) {
		emu->ops->get_segment(emu, EMU_LDTR, &ldt);
		if (!(ldt.attr & EMU_ATTR_P))
			return false;
		table.base = ldt.base;
		table.limit = ldt.limit > 0xffff ? 0xffff : ldt.limit;
	} else {
		emu->ops->get_dt(emu, EMU_GDT, &table);
	}
	*linear = table.base + offset;
	return offset + DESCRIPTOR_BYTES - 1 <= table.limit;
}

int emu_fetch_descriptor(struct emulator *emu, u16 selector, struct emu_descriptor *desc)
{
	int rc;

	desc->raw = 0;
	desc->in_memory = true;
	rc = emu->ops->read(emu, desc->linear, &desc->raw, DESCRIPTOR_BYTES, EMU_ACCESS_SYSTEM);
	if (rc == EMU_DONE)
		unpack(&desc->seg, selector, desc->raw);
	return rc;
}

int emu_read_descriptor(struct emulator *emu, u16 selector, u8 vector, struct emu_descriptor *desc)
{
	if (!emu_find_descriptor(emu, selector, &desc->linear))
		return emu_bad_selector(emu, vector, selector);
	return emu_fetch_descriptor(emu, selector, desc);
}

/* The second half that system descriptors have in long mode */
int emu_read_upper(struct emulator *emu, const struct emu_descriptor *desc, u64 *upper)
{
	*upper = 0;
	return emu->ops->read(emu, desc->linear + DESCRIPTOR_BYTES, upper, sizeof(*upper),
			      EMU_ACCESS_SYSTEM);
}

/* Real and virtual-8086 mode: the rest of the hidden part stays as it is. */
void emu_real_segment(struct emulator *emu, unsigned int seg, u16 selector,
		      struct emu_descriptor *desc)
{
	desc->seg = *emu_segment(emu, seg);
	desc->seg.selector = selector;
	desc->seg.base = (u64)selector << 4;
	desc->in_memory = false;
}

/* As the processor marks a segment register that nothing may be reached through. */
void emu_null_segment(unsigned int seg, u16 selector, unsigned int cpl, struct emu_descriptor *desc)
{
	desc->in_memory = false;
	desc->seg.base = 0;
	desc->seg.limit = 0;
	desc->seg.selector = selector;
	desc->seg.attr = seg == EMU_SS ? cpl << EMU_ATTR_DPL_SHIFT : 0;
}

/* A stack segment for a privilege level. The selector must not be null. */
int emu_read_stack_segment(struct emulator *emu, u16 selector, unsigned int cpl, u8 vector,
			   struct emu_descriptor *desc)
{
	u16 kind;
	int rc;

	if ((selector & 3u) != cpl)
		return emu_bad_selector(emu, vector, selector);
	rc = emu_read_descriptor(emu, selector, vector, desc);
	if (rc != EMU_DONE)
		return rc;

	kind = desc->seg.attr & (EMU_ATTR_S | EMU_ATTR_CODE | EMU_ATTR_WRITE);
	if (kind != (EMU_ATTR_S | EMU_ATTR_WRITE) || emu_dpl(desc) != cpl)
		return emu_bad_selector(emu, vector, selector);
	if (!(desc->seg.attr & EMU_ATTR_P))
		return emu_bad_selector(emu, VECTOR_SS, selector);
	return EMU_DONE;
}

/* For SS a null selector is good in 64-bit mode outside CPL 3 only. */
static int load_null(struct emulator *emu, unsigned int seg, u16 selector,
		     struct emu_descriptor *desc)
{
	if (seg == EMU_SS &&
	    (emu->mode != EMU_LONG64 || emu->cpl == 3 || (selector & 3) != emu->cpl))
		return emu_raise_gp0(emu);
	emu_null_segment(seg, selector, emu->cpl, desc);
	return EMU_DONE;
}

static bool data_segment_fits(const struct emulator *emu, const struct emu_descriptor *desc)
{
	u16 attr = desc->seg.attr;

	if (!(attr & EMU_ATTR_S))
		return false;
	if ((attr & (EMU_ATTR_CODE | EMU_ATTR_WRITE)) == EMU_ATTR_CODE)
		return false;
	if (emu_is_conforming(attr))
		return true;
	return emu_dpl(desc) >= emu->cpl && emu_dpl(desc) >= (desc->seg.selector & 3u);
}

/* @vector: what is raised for a descriptor that does not fit. The selector must not be null. */
int emu_read_data_segment(struct emulator *emu, u16 selector, u8 vector,
			  struct emu_descriptor *desc)
{
	int rc;

	rc = emu_read_descriptor(emu, selector, vector, desc);
	if (rc != EMU_DONE)
		return rc;
	if (!data_segment_fits(emu, desc))
		return emu_bad_selector(emu, vector, selector);
	if (!(desc->seg.attr & EMU_ATTR_P))
		return emu_bad_selector(emu, VECTOR_NP, selector);
	return EMU_DONE;
}

/* What the processor sets in a descriptor that it loads */
static inline u16 in_use_bit(unsigned int seg)
{
	switch (seg) {
	case EMU_TR:
		return TSS_BUSY;
	case EMU_LDTR:
		return 0;
	default:
		return EMU_ATTR_ACCESSED;
	}
}

/* After the last check of all: tell the descriptor that it is in use. */
int emu_mark_segment(struct emulator *emu, unsigned int seg, struct emu_descriptor *desc)
{
	u16 mark = in_use_bit(seg);
	u8 access;

	if (!desc->in_memory || (desc->seg.attr & mark) == mark)
		return EMU_DONE;
	desc->seg.attr |= mark;
	access = desc->seg.attr;
	return emu->ops->write(emu, desc->linear + ACCESS_BYTE, &access, 1, EMU_ACCESS_SYSTEM);
}

int emu_set_segment(struct emulator *emu, unsigned int seg, const struct emu_descriptor *desc)
{
	emu->seg_valid &= ~(1u << seg);
	return emu->ops->set_segment(emu, seg, &desc->seg);
}

int emu_commit_segment(struct emulator *emu, unsigned int seg, struct emu_descriptor *desc)
{
	int rc;

	rc = emu_mark_segment(emu, seg, desc);
	return rc == EMU_DONE ? emu_set_segment(emu, seg, desc) : rc;
}

/* What MOV, POP and the far loads do */
int emu_load_segment(struct emulator *emu, unsigned int seg, u16 selector)
{
	struct emu_descriptor desc;
	int rc = EMU_DONE;

	if (!emu_protected(emu))
		emu_real_segment(emu, seg, selector, &desc);
	else if (emu_is_null(selector))
		rc = load_null(emu, seg, selector, &desc);
	else if (seg == EMU_SS)
		rc = emu_read_stack_segment(emu, selector, emu->cpl, VECTOR_GP, &desc);
	else
		rc = emu_read_data_segment(emu, selector, VECTOR_GP, &desc);
	if (rc != EMU_DONE)
		return rc;
	return emu_commit_segment(emu, seg, &desc);
}

static int load_system_segment(struct emulator *emu, unsigned int seg, struct emu_descriptor *desc)
{
	u64 upper;
	int rc;

	if (emu_long_mode(emu)) {
		rc = emu_read_upper(emu, desc, &upper);
		if (rc != EMU_DONE)
			return rc;
		desc->seg.base |= upper << 32;
		if ((upper >> 32 & EMU_GATE_TYPE) || !emu_canonical(emu, desc->seg.base))
			return emu_bad_selector(emu, VECTOR_GP, desc->seg.selector);
	}
	return emu_commit_segment(emu, seg, desc);
}

int emu_exec_lldt(struct emulator *emu)
{
	u16 selector = emu->src;
	struct emu_descriptor desc = { .seg = { .selector = selector } };
	int rc;

	if (emu_is_null(selector))
		return emu_commit_segment(emu, EMU_LDTR, &desc);
	if (selector & SELECTOR_TI)
		return emu_bad_selector(emu, VECTOR_GP, selector);

	rc = emu_read_descriptor(emu, selector, VECTOR_GP, &desc);
	if (rc != EMU_DONE)
		return rc;
	if (emu_system_type(&desc) != TYPE_LDT)
		return emu_bad_selector(emu, VECTOR_GP, selector);
	if (!(desc.seg.attr & EMU_ATTR_P))
		return emu_bad_selector(emu, VECTOR_NP, selector);
	return load_system_segment(emu, EMU_LDTR, &desc);
}

int emu_exec_ltr(struct emulator *emu)
{
	u16 selector = emu->src;
	struct emu_descriptor desc;
	unsigned int type;
	int rc;

	if (emu_is_null(selector))
		return emu_raise_gp0(emu);
	if (selector & SELECTOR_TI)
		return emu_bad_selector(emu, VECTOR_GP, selector);

	rc = emu_read_descriptor(emu, selector, VECTOR_GP, &desc);
	if (rc != EMU_DONE)
		return rc;
	type = emu_system_type(&desc);
	if (type != TYPE_TSS && (type != TYPE_TSS16 || emu_long_mode(emu)))
		return emu_bad_selector(emu, VECTOR_GP, selector);
	if (!(desc.seg.attr & EMU_ATTR_P))
		return emu_bad_selector(emu, VECTOR_NP, selector);
	return load_system_segment(emu, EMU_TR, &desc);
}
