// SPDX-License-Identifier: GPL-2.0
/*
 * Loading segment registers: descriptors, their checks, the accessed bit. Transfers that change the
 * privilege level or go through a gate are not done here (EMU_UNHANDLED). APM volume 2, chapter 4,
 * in particular sections 4.7 and 4.9 to 4.11; SDM volume 3, chapter 5.
 */
#include "opcode.h"

#define DESCRIPTOR_BYTES	8u
#define ACCESS_BYTE		5u	/* where in a descriptor type, S, DPL and P are */

#define SYSTEM_TYPE		(EMU_ATTR_S | EMU_ATTR_TYPE)
#define TYPE_LDT		0x2
#define TYPE_TSS16		0x1
#define TYPE_TSS		0x9
#define TYPE_TSS_BUSY_BIT	0x2

static inline u32 selector_error(u16 selector)
{
	return selector & 0xfffcu;
}

static int bad_selector(struct emulator *emu, u8 vector, u16 selector)
{
	return emu_raise_error(emu, vector, selector_error(selector));
}

bool emu_long_mode(struct emulator *emu)
{
	u64 efer = 0;

	if (emu->mode == EMU_LONG64)
		return true;
	if (!emu_protected(emu))
		return false;
	return emu->ops->get_msr(emu, EMU_MSR_EFER, &efer) == EMU_DONE && (efer & EFER_LMA_BIT);
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

/* The selector must not be null. */
int emu_read_descriptor(struct emulator *emu, u16 selector, struct emu_descriptor *desc)
{
	struct emu_segment ldt;
	struct emu_table table;
	u32 offset = selector & 0xfff8u;
	u64 raw = 0;
	int rc;

	if (selector & 4) {
		emu->ops->get_segment(emu, EMU_LDTR, &ldt);
		table.base = ldt.base;
		table.limit = ldt.limit > 0xffff ? 0xffff : ldt.limit;
		if (!(ldt.attr & EMU_ATTR_P))
			return bad_selector(emu, VECTOR_GP, selector);
	} else {
		emu->ops->get_dt(emu, EMU_GDT, &table);
	}
	if (offset + DESCRIPTOR_BYTES - 1 > table.limit)
		return bad_selector(emu, VECTOR_GP, selector);

	desc->linear = table.base + offset;
	desc->in_memory = true;
	rc = emu->ops->read(emu, desc->linear, &raw, DESCRIPTOR_BYTES, EMU_ACCESS_SYSTEM);
	if (rc == EMU_DONE)
		unpack(&desc->seg, selector, raw);
	return rc;
}

/* Real and virtual-8086 mode: the rest of the hidden part stays as it is. */
static void real_segment(struct emulator *emu, unsigned int seg, u16 selector,
			 struct emu_descriptor *desc)
{
	desc->seg = *emu_segment(emu, seg);
	desc->seg.selector = selector;
	desc->seg.base = (u64)selector << 4;
	desc->in_memory = false;
}

static inline unsigned int dpl(const struct emu_descriptor *desc)
{
	return (desc->seg.attr & EMU_ATTR_DPL) >> EMU_ATTR_DPL_SHIFT;
}

/*
 * The target of a far transfer at the same privilege level. A far return comes from an inner level.
 */
int emu_read_code_segment(struct emulator *emu, u16 selector, bool is_return,
			  struct emu_descriptor *desc)
{
	unsigned int rpl = selector & 3;
	u16 attr;
	int rc;

	if (!emu_protected(emu)) {
		real_segment(emu, EMU_CS, selector, desc);
		return EMU_DONE;
	}
	if (!selector_error(selector))
		return emu_raise_gp0(emu);
	if (is_return && rpl != emu->cpl)
		return rpl > emu->cpl ? EMU_UNHANDLED : bad_selector(emu, VECTOR_GP, selector);

	rc = emu_read_descriptor(emu, selector, desc);
	if (rc != EMU_DONE)
		return rc;

	attr = desc->seg.attr;
	if (!(attr & EMU_ATTR_S))
		return is_return ? bad_selector(emu, VECTOR_GP, selector) : EMU_UNHANDLED;
	if (!(attr & EMU_ATTR_CODE))
		return bad_selector(emu, VECTOR_GP, selector);
	if (attr & EMU_ATTR_DOWN ? dpl(desc) > emu->cpl : dpl(desc) != emu->cpl || rpl > emu->cpl)
		return bad_selector(emu, VECTOR_GP, selector);
	if (!(attr & EMU_ATTR_P))
		return bad_selector(emu, VECTOR_NP, selector);
	if ((attr & EMU_ATTR_L) && (attr & EMU_ATTR_DB) && emu_long_mode(emu))
		return bad_selector(emu, VECTOR_GP, selector);

	desc->seg.selector = selector_error(selector) | emu->cpl;
	return EMU_DONE;
}

/* A null selector: for SS in 64-bit mode outside CPL 3 only. */
static int null_segment(struct emulator *emu, unsigned int seg, u16 selector,
			struct emu_descriptor *desc)
{
	if (seg == EMU_SS &&
	    (emu->mode != EMU_LONG64 || emu->cpl == 3 || (selector & 3) != emu->cpl))
		return emu_raise_gp0(emu);

	desc->in_memory = false;
	desc->seg.base = 0;
	desc->seg.limit = 0;
	desc->seg.selector = selector;
	desc->seg.attr = seg == EMU_SS ? emu->cpl << EMU_ATTR_DPL_SHIFT : 0;
	return EMU_DONE;
}

static bool stack_segment_fits(const struct emulator *emu, const struct emu_descriptor *desc)
{
	u16 type = desc->seg.attr & (EMU_ATTR_S | EMU_ATTR_CODE | EMU_ATTR_WRITE);

	return type == (EMU_ATTR_S | EMU_ATTR_WRITE) && dpl(desc) == emu->cpl &&
	       (desc->seg.selector & 3) == emu->cpl;
}

static bool data_segment_fits(const struct emulator *emu, const struct emu_descriptor *desc)
{
	u16 attr = desc->seg.attr;

	if (!(attr & EMU_ATTR_S))
		return false;
	if ((attr & (EMU_ATTR_CODE | EMU_ATTR_WRITE)) == EMU_ATTR_CODE)
		return false;
	if ((attr & (EMU_ATTR_CODE | EMU_ATTR_DOWN)) == (EMU_ATTR_CODE | EMU_ATTR_DOWN))
		return true;
	return dpl(desc) >= emu->cpl && dpl(desc) >= (desc->seg.selector & 3u);
}

int emu_read_data_segment(struct emulator *emu, unsigned int seg, u16 selector,
			  struct emu_descriptor *desc)
{
	int rc;

	if (!emu_protected(emu)) {
		real_segment(emu, seg, selector, desc);
		return EMU_DONE;
	}
	if (!selector_error(selector))
		return null_segment(emu, seg, selector, desc);

	rc = emu_read_descriptor(emu, selector, desc);
	if (rc != EMU_DONE)
		return rc;

	if (seg == EMU_SS ? !stack_segment_fits(emu, desc) : !data_segment_fits(emu, desc))
		return bad_selector(emu, VECTOR_GP, selector);
	if (!(desc->seg.attr & EMU_ATTR_P))
		return bad_selector(emu, seg == EMU_SS ? VECTOR_SS : VECTOR_NP, selector);
	return EMU_DONE;
}

/* What the processor sets in a descriptor that it loads */
static inline u16 in_use_bit(unsigned int seg)
{
	switch (seg) {
	case EMU_TR:
		return TYPE_TSS_BUSY_BIT;
	case EMU_LDTR:
		return 0;
	default:
		return EMU_ATTR_ACCESSED;
	}
}

/* After the last check: mark the descriptor, then load the register. */
int emu_commit_segment(struct emulator *emu, unsigned int seg, struct emu_descriptor *desc)
{
	u16 mark = in_use_bit(seg);
	u8 access;
	int rc;

	if (desc->in_memory && (desc->seg.attr & mark) != mark) {
		desc->seg.attr |= mark;
		access = desc->seg.attr;
		rc = emu->ops->write(emu, desc->linear + ACCESS_BYTE, &access, 1,
				     EMU_ACCESS_SYSTEM);
		if (rc != EMU_DONE)
			return rc;
	}

	rc = emu->ops->set_segment(emu, seg, &desc->seg);
	if (rc == EMU_DONE)
		emu->seg_valid &= ~(1u << seg);
	return rc;
}

int emu_load_segment(struct emulator *emu, unsigned int seg, u16 selector)
{
	struct emu_descriptor desc;
	int rc;

	rc = emu_read_data_segment(emu, seg, selector, &desc);
	if (rc != EMU_DONE)
		return rc;
	return emu_commit_segment(emu, seg, &desc);
}

static int load_system_segment(struct emulator *emu, unsigned int seg, struct emu_descriptor *desc)
{
	u32 upper = 0;
	int rc;

	if (emu_long_mode(emu)) {
		rc = emu->ops->read(emu, desc->linear + DESCRIPTOR_BYTES, &upper, sizeof(upper),
				    EMU_ACCESS_SYSTEM);
		if (rc != EMU_DONE)
			return rc;
		desc->seg.base |= (u64)upper << 32;
		if (!emu_canonical(emu, desc->seg.base))
			return bad_selector(emu, VECTOR_GP, desc->seg.selector);
	}
	return emu_commit_segment(emu, seg, desc);
}

int emu_exec_lldt(struct emulator *emu)
{
	u16 selector = emu->src;
	struct emu_descriptor desc = { .seg = { .selector = selector } };
	int rc;

	if (!selector_error(selector))
		return emu_commit_segment(emu, EMU_LDTR, &desc);
	if (selector & 4)
		return bad_selector(emu, VECTOR_GP, selector);

	rc = emu_read_descriptor(emu, selector, &desc);
	if (rc != EMU_DONE)
		return rc;
	if ((desc.seg.attr & SYSTEM_TYPE) != TYPE_LDT)
		return bad_selector(emu, VECTOR_GP, selector);
	if (!(desc.seg.attr & EMU_ATTR_P))
		return bad_selector(emu, VECTOR_NP, selector);
	return load_system_segment(emu, EMU_LDTR, &desc);
}

int emu_exec_ltr(struct emulator *emu)
{
	u16 selector = emu->src, type;
	struct emu_descriptor desc;
	int rc;

	if (!selector_error(selector))
		return emu_raise_gp0(emu);
	if (selector & 4)
		return bad_selector(emu, VECTOR_GP, selector);

	rc = emu_read_descriptor(emu, selector, &desc);
	if (rc != EMU_DONE)
		return rc;
	type = desc.seg.attr & SYSTEM_TYPE;
	if (type != TYPE_TSS && (type != TYPE_TSS16 || emu_long_mode(emu)))
		return bad_selector(emu, VECTOR_GP, selector);
	if (!(desc.seg.attr & EMU_ATTR_P))
		return bad_selector(emu, VECTOR_NP, selector);
	return load_system_segment(emu, EMU_TR, &desc);
}
