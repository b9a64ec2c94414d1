// SPDX-License-Identifier: GPL-2.0
/*
 * What operands are made of: general registers in all their widths, segment registers and the
 * linear addresses they make, guest memory through the ops; and how faults are raised. It knows no
 * instruction. APM volume 1, chapters 2 and 3 (registers, addresses); volume 2, chapter 4 (segment
 * checks).
 */
#include "opcode.h"

const u64 emu_size_mask[9] = {
	0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff, ~0ull
};

int emu_raise(struct emulator *emu, u8 vector)
{
	emu->fault.vector = vector;
	emu->fault.has_error = false;
	emu->fault.error = 0;
	emu->fault.address = 0;
	return EMU_FAULT;
}

/* Real mode has no error codes. */
int emu_raise_error(struct emulator *emu, u8 vector, u32 error)
{
	emu_raise(emu, vector);
	if (emu->mode != EMU_REAL) {
		emu->fault.has_error = true;
		emu->fault.error = error;
	}
	return EMU_FAULT;
}

/* Without REX, byte registers 4 to 7 are AH, CH, DH, BH. */
static inline bool is_high_byte(const struct emulator *emu, unsigned int nr, unsigned int size)
{
	return size == 1 && (nr & 0xc) == 4 && !emu->insn.rex;
}

u64 emu_get_gpr(struct emulator *emu, unsigned int nr, unsigned int size)
{
	if (is_high_byte(emu, nr, size))
		return (emu->gpr[nr & 3] >> 8) & 0xff;
	return emu->gpr[nr] & emu_mask(size);
}

void emu_set_gpr(struct emulator *emu, unsigned int nr, unsigned int size, u64 val)
{
	unsigned long *reg = &emu->gpr[nr];

	switch (size) {
	case 1:
		if (is_high_byte(emu, nr, size)) {
			reg = &emu->gpr[nr & 3];
			*reg = (*reg & ~0xff00ul) | (val & 0xff) << 8;
		} else {
			*reg = (*reg & ~0xfful) | (val & 0xff);
		}
		break;
	case 2:
		*reg = (*reg & ~0xfffful) | (val & 0xffff);
		break;
	case 4:
		*reg = (u32)val;
		break;
	default:
		*reg = val;
		break;
	}
}

/* Each segment register is asked for once in an instruction at most. */
const struct emu_segment *emu_segment(struct emulator *emu, unsigned int seg)
{
	struct emu_segment *s = &emu->seg[seg];

	if (!(emu->seg_valid & 1u << seg)) {
		emu->ops->get_segment(emu, seg, s);
		emu->seg_valid |= 1u << seg;
	}
	return s;
}

/* An address that is not canonical in 48 bits may be so in 57. */
bool emu_canonical57(struct emulator *emu, u64 linear)
{
	return (u64)((s64)(linear << 7) >> 7) == linear && (emu->ops->get_cr(emu, 4) & CR4_LA57);
}

static int segment_fault(struct emulator *emu, unsigned int seg)
{
	return emu_raise_error(emu, seg == EMU_SS ? VECTOR_SS : VECTOR_GP, 0);
}

static int linear64(struct emulator *emu, unsigned int seg, u64 offset, unsigned int size,
		    u64 *linear)
{
	u64 addr = offset;

	if (seg == EMU_FS || seg == EMU_GS)
		addr += emu_segment(emu, seg)->base;
	if (!emu_canonical(emu, addr) || !emu_canonical(emu, addr + size - 1))
		return segment_fault(emu, seg);

	*linear = addr;
	return EMU_DONE;
}

bool emu_within_limit(const struct emu_segment *s, u64 offset, unsigned int size)
{
	u64 last = offset + size - 1;

	if ((s->attr & (EMU_ATTR_CODE | EMU_ATTR_DOWN)) == EMU_ATTR_DOWN)
		return offset > s->limit && last <= (s->attr & EMU_ATTR_DB ? 0xffffffffu : 0xffffu);
	return last <= s->limit;
}

static bool access_allowed(const struct emu_segment *s, bool write)
{
	if (!(s->attr & EMU_ATTR_P))
		return false;
	if (write)
		return (s->attr & (EMU_ATTR_CODE | EMU_ATTR_WRITE)) == EMU_ATTR_WRITE;
	return (s->attr & (EMU_ATTR_CODE | EMU_ATTR_WRITE)) != EMU_ATTR_CODE;
}

/* Whatever its alignment */
__attribute__((__noinline__))
int emu_linear_unaligned(struct emulator *emu, unsigned int seg, u64 offset, unsigned int size,
			 bool write, u64 *linear)
{
	const struct emu_segment *s;

	if (emu->mode == EMU_LONG64)
		return linear64(emu, seg, offset, size, linear);

	s = emu_segment(emu, seg);
	if (emu_protected(emu) && !access_allowed(s, write))
		return segment_fault(emu, seg);
	if (!emu_within_limit(s, offset, size))
		return segment_fault(emu, seg);

	*linear = (u32)(s->base + offset);
	return EMU_DONE;
}

/*
 * #AC, where EFLAGS.AC and CR0.AM ask for it. What has no size that is a power of two, or is a
 * vector, is checked by those who know its parts.
 */
int emu_check_alignment(struct emulator *emu, u64 linear, unsigned int align)
{
	if (!(emu->rflags & FLAG_AC) || emu->cpl != 3 || !(linear & (align - 1)) ||
	    !(emu->ops->get_cr(emu, 0) & CR0_AM))
		return EMU_DONE;
	return emu_raise_error(emu, VECTOR_AC, 0);
}

/* Half the canonical addresses of 48 bits */
#define CANONICAL_HALF	(1ull << 47)

int emu_linear(struct emulator *emu, unsigned int seg, u64 offset, unsigned int size, bool write,
	       u64 *linear)
{
	int rc;

	/* What nearly every access of a 64-bit guest is: flat, and canonical from end to end */
	if (emu->mode == EMU_LONG64 && seg < EMU_FS && !(emu->rflags & FLAG_AC) &&
	    offset + CANONICAL_HALF <= 2 * CANONICAL_HALF - size) {
		*linear = offset;
		return EMU_DONE;
	}
	rc = emu_linear_unaligned(emu, seg, offset, size, write, linear);
	if (rc != EMU_DONE || !(emu->rflags & FLAG_AC) || size > 8 || (size & (size - 1)))
		return rc;
	return emu_check_alignment(emu, *linear, size);
}

int emu_read_mem(struct emulator *emu, unsigned int seg, u64 offset, void *buf, unsigned int size)
{
	u64 linear;
	int rc;

	rc = emu_linear(emu, seg, offset, size, false, &linear);
	if (rc != EMU_DONE)
		return rc;
	return emu->ops->read(emu, linear, buf, size, 0);
}

int emu_write_mem(struct emulator *emu, unsigned int seg, u64 offset, const void *buf,
		  unsigned int size)
{
	u64 linear;
	int rc;

	rc = emu_linear(emu, seg, offset, size, true, &linear);
	if (rc != EMU_DONE)
		return rc;
	return emu->ops->write(emu, linear, buf, size, 0);
}

int emu_read_value(struct emulator *emu, unsigned int seg, u64 offset, u64 *val, unsigned int size)
{
	*val = 0;
	return emu_read_mem(emu, seg, offset, val, size);
}

/* Does the guest's CPUID have this bit? reg: 0 EAX, 1 EBX, 2 ECX, 3 EDX. */
int emu_has_feature(struct emulator *emu, u32 leaf, unsigned int reg, u32 bit, bool *has)
{
	u32 regs[4] = { leaf, 0, 0, 0 };
	int rc;

	rc = emu->ops->cpuid(emu, regs);
	*has = regs[reg] & bit;
	return rc;
}

/* #UD without it */
int emu_require(struct emulator *emu, u32 leaf, unsigned int reg, u32 bit)
{
	bool has;
	int rc;

	rc = emu_has_feature(emu, leaf, reg, bit, &has);
	if (rc != EMU_DONE)
		return rc;
	return has ? EMU_DONE : emu_raise(emu, VECTOR_UD);
}
