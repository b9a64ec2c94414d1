// SPDX-License-Identifier: GPL-2.0
/*
 * Integer arithmetic: the eight ALU operations, TEST, INC, DEC, NOT, NEG, multiplication, division,
 * XADD, CMPXCHG, and the conditions that Jcc, SETcc and CMOVcc share. Results and flags, the
 * undefined ones included, come from the host processor executing the same instruction on the
 * operands' width. APM volume 3, chapter 3; SDM volume 2.
 */
#include "opcode.h"

enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

#define TWO_OPERANDS(name, d, s, ax)							\
	asm(FLAGS_IN name " %[src], %[dst]" FLAGS_OUT					\
	    : [dst] "+r" (d), "+&a" (ax) : [src] "r" (s) : "cc")

#define ONE_OPERAND(name, d, ax)							\
	asm(FLAGS_IN name " %[dst]" FLAGS_OUT : [dst] "+r" (d), "+&a" (ax) : : "cc")

/* One function for each width: dst = dst op src, with flags in and out in ax. */
#define ALU_OF_WIDTH(type)								\
static u64 alu_##type(unsigned int op, u64 dst, u64 src, u32 *flags)			\
{											\
	type d = dst, s = src;								\
	u32 ax = *flags;								\
											\
	switch (op) {									\
	case ALU_ADD:									\
		TWO_OPERANDS("add", d, s, ax);						\
		break;									\
	case ALU_OR:									\
		TWO_OPERANDS("or", d, s, ax);						\
		break;									\
	case ALU_ADC:									\
		TWO_OPERANDS("adc", d, s, ax);						\
		break;									\
	case ALU_SBB:									\
		TWO_OPERANDS("sbb", d, s, ax);						\
		break;									\
	case ALU_AND:									\
		TWO_OPERANDS("and", d, s, ax);						\
		break;									\
	case ALU_XOR:									\
		TWO_OPERANDS("xor", d, s, ax);						\
		break;									\
	default:									\
		TWO_OPERANDS("sub", d, s, ax);						\
		break;									\
	}										\
	*flags = ax;									\
	return d;									\
}

ALU_OF_WIDTH(u8)
ALU_OF_WIDTH(u16)
ALU_OF_WIDTH(u32)
ALU_OF_WIDTH(u64)

static u64 alu(struct emulator *emu, unsigned int op, u64 dst, u64 src)
{
	u32 flags = emu_pack_flags(emu->rflags);
	u64 result;

	switch (emu->insn.size) {
	case 1:
		result = alu_u8(op, dst, src, &flags);
		break;
	case 2:
		result = alu_u16(op, dst, src, &flags);
		break;
	case 4:
		result = alu_u32(op, dst, src, &flags);
		break;
	default:
		result = alu_u64(op, dst, src, &flags);
		break;
	}
	emu->next_rflags = emu_unpack_flags(emu->next_rflags, flags);
	return result;
}

/* The operation is in the opcode, or in ModRM.reg of the forms with an immediate. */
int emu_exec_alu(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int op = insn->opcode < 0x40 ? insn->opcode >> 3 : insn->reg & 7;

	emu->dst = alu(emu, op, emu->dst, emu->src);
	return EMU_DONE;
}

int emu_exec_test(struct emulator *emu)
{
	alu(emu, ALU_AND, emu->dst, emu->src);
	return EMU_DONE;
}

void emu_compare(struct emulator *emu, u64 a, u64 b)
{
	alu(emu, ALU_CMP, a, b);
}

/* INC and DEC leave CF alone. */
static int add_one(struct emulator *emu, unsigned int op)
{
	emu->dst = alu(emu, op, emu->dst, 1);
	emu->next_rflags = (emu->next_rflags & ~FLAG_CF) | (emu->rflags & FLAG_CF);
	return EMU_DONE;
}

int emu_exec_inc(struct emulator *emu)
{
	return add_one(emu, ALU_ADD);
}

int emu_exec_dec(struct emulator *emu)
{
	return add_one(emu, ALU_SUB);
}

int emu_exec_not(struct emulator *emu)
{
	emu->dst = ~emu->dst;
	return EMU_DONE;
}

int emu_exec_neg(struct emulator *emu)
{
	emu->dst = alu(emu, ALU_SUB, 0, emu->dst);
	return EMU_DONE;
}

int emu_exec_xadd(struct emulator *emu)
{
	u64 old = emu->dst;

	emu->dst = alu(emu, ALU_ADD, emu->dst, emu->src);
	return emu_store_dst_and_reg(emu, old);
}

/*
 * Where the comparison fails the processor writes the old value back; nobody can see that in
 * memory, and from here it could undo somebody else's write, so it is left out.
 */
int emu_exec_cmpxchg(struct emulator *emu)
{
	unsigned int size = emu->insn.size;
	u64 acc = emu_get_gpr(emu, EMU_RAX, size);

	alu(emu, ALU_CMP, acc, emu->dst);
	if (acc == emu->dst) {
		emu->dst = emu->src;
		return EMU_DONE;
	}

	emu_set_gpr(emu, EMU_RAX, size, emu->dst);
	return EXEC_STORED;
}

/*
 * MUL, IMUL, DIV and IDIV work on rDX:rAX, and the flags come and go through RAX too: the low half
 * waits in another register.
 */
enum { WIDE_MUL, WIDE_IMUL, WIDE_DIV, WIDE_IDIV };

#define WIDE(name, s, low, high, ax)							\
	asm(FLAGS_IN "mov %[lo], %%rax\n\t" name " %[src]\n\tmov %%rax, %[lo]" FLAGS_OUT	\
	    : [lo] "+r" (low), "+d" (high), "+&a" (ax) : [src] "r" (s) : "cc")

#define WIDE_OF_WIDTH(type)								\
static void wide_##type(unsigned int op, u64 src, u64 *lo, u64 *hi, u32 *flags)		\
{											\
	u64 low = *lo, high = *hi;							\
	type s = src;									\
	u32 ax = *flags;								\
											\
	switch (op) {									\
	case WIDE_MUL:									\
		WIDE("mul", s, low, high, ax);						\
		break;									\
	case WIDE_IMUL:									\
		WIDE("imul", s, low, high, ax);						\
		break;									\
	case WIDE_DIV:									\
		WIDE("div", s, low, high, ax);						\
		break;									\
	default:									\
		WIDE("idiv", s, low, high, ax);						\
		break;									\
	}										\
	*lo = low;									\
	*hi = high;									\
	*flags = ax;									\
}

WIDE_OF_WIDTH(u8)
WIDE_OF_WIDTH(u16)
WIDE_OF_WIDTH(u32)
WIDE_OF_WIDTH(u64)

static int wide(struct emulator *emu, unsigned int op)
{
	unsigned int size = emu->insn.size;
	u64 lo = emu->gpr[EMU_RAX], hi = emu->gpr[EMU_RDX];
	u32 flags = emu_pack_flags(emu->rflags);

	switch (size) {
	case 1:
		wide_u8(op, emu->src, &lo, &hi, &flags);
		emu_set_gpr(emu, EMU_RAX, 2, lo);
		break;
	case 2:
		wide_u16(op, emu->src, &lo, &hi, &flags);
		break;
	case 4:
		wide_u32(op, emu->src, &lo, &hi, &flags);
		break;
	default:
		wide_u64(op, emu->src, &lo, &hi, &flags);
		break;
	}
	if (size > 1) {
		emu_set_gpr(emu, EMU_RAX, size, lo);
		emu_set_gpr(emu, EMU_RDX, size, hi);
	}
	emu->next_rflags = emu_unpack_flags(emu->next_rflags, flags);
	return EMU_DONE;
}

int emu_exec_mul(struct emulator *emu)
{
	return wide(emu, WIDE_MUL);
}

int emu_exec_imul(struct emulator *emu)
{
	return wide(emu, WIDE_IMUL);
}

/* The dividend's halves, each as wide as the divisor */
static void dividend(struct emulator *emu, u64 *hi, u64 *lo)
{
	unsigned int size = emu->insn.size;

	*lo = emu->gpr[EMU_RAX] & emu_mask(size);
	*hi = (size == 1 ? emu->gpr[EMU_RAX] >> 8 : emu->gpr[EMU_RDX]) & emu_mask(size);
}

int emu_exec_div(struct emulator *emu)
{
	u64 hi, lo;

	dividend(emu, &hi, &lo);
	if (hi >= emu->src)
		return emu_raise(emu, VECTOR_DE);
	return wide(emu, WIDE_DIV);
}

/*
 * With magnitudes D and d and operands of n bits, the quotient fits if D < 2^(n-1) * d, or, when it
 * is negative and may be one larger, if D < 2^(n-1) * d + d.
 */
static bool signed_quotient_fits(u64 hi, u64 lo, u64 divisor, unsigned int size)
{
	unsigned int sign = 8 * size - 1;
	bool dividend_negative = hi >> sign, divisor_negative = divisor >> sign;
	u64 mask = emu_mask(size), bound_hi, bound_lo;

	if (dividend_negative) {
		lo = -lo & mask;
		hi = (~hi + !lo) & mask;
	}
	if (divisor_negative)
		divisor = -divisor & mask;

	bound_hi = divisor >> 1;
	bound_lo = (divisor << sign) & mask;
	if (dividend_negative != divisor_negative) {
		bound_lo = (bound_lo + divisor) & mask;
		bound_hi += bound_lo < divisor;
	}
	return hi < bound_hi || (hi == bound_hi && lo < bound_lo);
}

int emu_exec_idiv(struct emulator *emu)
{
	u64 hi, lo;

	dividend(emu, &hi, &lo);
	if (!signed_quotient_fits(hi, lo, emu->src, emu->insn.size))
		return emu_raise(emu, VECTOR_DE);
	return wide(emu, WIDE_IDIV);
}

#define IMUL_OF_WIDTH(type)								\
static u64 imul_##type(u64 dst, u64 src, u32 *flags)					\
{											\
	type d = dst, s = src;								\
	u32 ax = *flags;								\
											\
	TWO_OPERANDS("imul", d, s, ax);							\
	*flags = ax;									\
	return d;									\
}

IMUL_OF_WIDTH(u16)
IMUL_OF_WIDTH(u32)
IMUL_OF_WIDTH(u64)

static int imul(struct emulator *emu, u64 a, u64 b)
{
	u32 flags = emu_pack_flags(emu->rflags);

	switch (emu->insn.size) {
	case 2:
		emu->dst = imul_u16(a, b, &flags);
		break;
	case 4:
		emu->dst = imul_u32(a, b, &flags);
		break;
	default:
		emu->dst = imul_u64(a, b, &flags);
		break;
	}
	emu->next_rflags = emu_unpack_flags(emu->next_rflags, flags);
	return EMU_DONE;
}

int emu_exec_imul2(struct emulator *emu)
{
	return imul(emu, emu->dst, emu->src);
}

int emu_exec_imul3(struct emulator *emu)
{
	return imul(emu, emu->src, emu->insn.imm);
}

/* Condition codes 0 to 15 in the order of the opcodes; odd ones negate. */
bool emu_condition(u64 rflags, unsigned int code)
{
	bool less = !(rflags & FLAG_SF) != !(rflags & FLAG_OF);
	bool met;

	switch ((code >> 1) & 7) {
	case 0:
		met = rflags & FLAG_OF;
		break;
	case 1:
		met = rflags & FLAG_CF;
		break;
	case 2:
		met = rflags & FLAG_ZF;
		break;
	case 3:
		met = rflags & (FLAG_CF | FLAG_ZF);
		break;
	case 4:
		met = rflags & FLAG_SF;
		break;
	case 5:
		met = rflags & FLAG_PF;
		break;
	case 6:
		met = less;
		break;
	default:
		met = less || (rflags & FLAG_ZF);
		break;
	}
	return met != (code & 1);
}
