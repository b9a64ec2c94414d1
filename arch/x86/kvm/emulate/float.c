// SPDX-License-Identifier: GPL-2.0
/*
 * Conversion between the x87's register format and what it has in memory: single and double
 * precision, integers, packed decimal. All four rounding modes; what is inexact, invalid, too
 * large or too small is told by the bits of the status word. No arithmetic, no registers. APM
 * volume 1, sections 6.3 and 6.8; SDM volume 1, chapters 4 and 8.
 */
#include "opcode.h"

#define EXPONENT	0x7fffu
#define SIGN		0x8000u
#define BIAS		16383
#define INTEGER_BIT	(1ull << 63)
#define QUIET_BIT	(1ull << 62)
#define DECIMAL_LIMIT	1000000000000000000ull

enum { ROUND_NEAREST, ROUND_DOWN, ROUND_UP, ROUND_ZERO };

const struct emu_x87 emu_x87_indefinite = { 3ull << 62, SIGN | EXPONENT, { 0 } };

/* A format in memory: how many bits its exponent and its fraction have */
struct format {
	unsigned int exponent, fraction;
};

static const struct format single = { 8, 23 }, dual = { 11, 52 };

static inline const struct format *format_of(unsigned int size)
{
	return size == 4 ? &single : &dual;
}

static inline int bias_of(const struct format *f)
{
	return (1 << (f->exponent - 1)) - 1;
}

static inline u64 max_exponent(const struct format *f)
{
	return (1u << f->exponent) - 1;
}

/* Neither a number nor anything else since the 80387: the integer bit is missing. */
static inline bool is_unsupported(const struct emu_x87 *val)
{
	return (val->exponent & EXPONENT) && !(val->mantissa & INTEGER_BIT);
}

struct emu_x87 emu_x87_from_float(u64 val, unsigned int size, u16 *flags)
{
	const struct format *f = format_of(size);
	u64 exponent = (val >> f->fraction) & max_exponent(f);
	struct emu_x87 result = { val << (63 - f->fraction) & ~INTEGER_BIT };
	u16 sign = (val >> (8 * size - 1)) & 1 ? SIGN : 0;
	unsigned int shift;

	if (exponent == max_exponent(f)) {
		if (result.mantissa && !(result.mantissa & QUIET_BIT))
			*flags |= X87_IE;
		if (result.mantissa)
			result.mantissa |= QUIET_BIT;
		result.mantissa |= INTEGER_BIT;
		result.exponent = sign | EXPONENT;
	} else if (exponent) {
		result.mantissa |= INTEGER_BIT;
		result.exponent = sign | (exponent - bias_of(f) + BIAS);
	} else if (result.mantissa) {
		*flags |= X87_DE;
		shift = __builtin_clzll(result.mantissa);
		result.mantissa <<= shift;
		result.exponent = sign | (1 - bias_of(f) + BIAS - shift);
	} else {
		result.exponent = sign;
	}
	return result;
}

struct emu_x87 emu_x87_from_int(s64 val)
{
	struct emu_x87 result = { val < 0 ? -(u64)val : (u64)val, val < 0 ? SIGN : 0 };
	unsigned int shift;

	if (val) {
		shift = __builtin_clzll(result.mantissa);
		result.mantissa <<= shift;
		result.exponent |= BIAS + 63 - shift;
	}
	return result;
}

/* mantissa without its low bits, rounded; they may be all of it and more. */
static u64 round_off(u64 mantissa, unsigned int bits, bool negative, unsigned int rounding,
		     u16 *flags)
{
	u64 kept = bits < 64 ? mantissa >> bits : 0, rest, half;
	bool up;

	if (!bits)
		return mantissa;
	rest = bits < 64 ? mantissa << (64 - bits) : bits == 64 ? mantissa : mantissa != 0;
	if (!rest)
		return kept;

	half = INTEGER_BIT;
	switch (rounding) {
	case ROUND_NEAREST:
		up = rest > half || (rest == half && (kept & 1));
		break;
	case ROUND_DOWN:
		up = negative;
		break;
	case ROUND_UP:
		up = !negative;
		break;
	default:
		up = false;
		break;
	}
	*flags |= up ? X87_PE | X87_C1 : X87_PE;
	return kept + up;
}

/* Infinity, or the largest number if it is rounded away from that */
static u64 overflow(const struct format *f, bool negative, unsigned int rounding, u16 *flags)
{
	u64 infinity = max_exponent(f) << f->fraction;
	unsigned int outwards = negative ? ROUND_DOWN : ROUND_UP;
	bool to_infinity = rounding == ROUND_NEAREST || rounding == outwards;

	*flags |= to_infinity ? X87_OE | X87_PE | X87_C1 : X87_OE | X87_PE;
	return to_infinity ? infinity : infinity - 1;
}

/*
 * A number other than zero, its mantissa normalized, its exponent that of the format. One that is
 * tiny even after rounding with all bits loses some of them; that it underflows is told if some
 * were not zero, or if somebody wants to know.
 */
static u64 pack(const struct format *f, u64 mantissa, int exponent, bool negative, u16 fcw,
		u16 *flags)
{
	unsigned int drop = 63 - f->fraction, rounding = (fcw >> 10) & 3;
	u16 rounded = 0;
	u64 kept;
	bool tiny;

	kept = round_off(mantissa, drop, negative, rounding, &rounded);
	tiny = exponent < 1 && !(exponent == 0 && kept >> (f->fraction + 1));
	if (exponent < 1) {
		rounded = 0;
		kept = round_off(mantissa, drop + 1 - exponent, negative, rounding, &rounded);
		if (tiny && ((rounded & X87_PE) || !(fcw & X87_UE)))
			rounded |= X87_UE;
		*flags |= rounded;
		return kept;
	}

	/* The integer bit adds one to the exponent, and so does a carry beyond it. */
	kept += (u64)(exponent - 1) << f->fraction;
	if (exponent >= (int)max_exponent(f) || kept >> f->fraction >= max_exponent(f))
		return overflow(f, negative, rounding, flags);
	*flags |= rounded;
	return kept;
}

u64 emu_x87_to_float(const struct emu_x87 *val, unsigned int size, u16 fcw, u16 *flags)
{
	const struct format *f = format_of(size);
	int exponent = val->exponent & EXPONENT;
	bool negative = val->exponent & SIGN;
	u64 sign = (u64)negative << (8 * size - 1), mantissa = val->mantissa, fraction;
	unsigned int shift;

	if (is_unsupported(val)) {
		*flags |= X87_IE;
		return (1ull << (8 * size - 1)) | max_exponent(f) << f->fraction |
		       1ull << (f->fraction - 1);
	}
	if (exponent == EXPONENT) {
		fraction = (mantissa & ~INTEGER_BIT) >> (63 - f->fraction);
		if (mantissa != INTEGER_BIT) {
			if (!(mantissa & QUIET_BIT))
				*flags |= X87_IE;
			fraction |= 1ull << (f->fraction - 1);
		}
		return sign | max_exponent(f) << f->fraction | fraction;
	}
	if (!mantissa)
		return sign;

	shift = __builtin_clzll(mantissa);
	exponent = (exponent ? exponent : 1) - (int)shift - BIAS + bias_of(f);
	return sign | pack(f, mantissa << shift, exponent, negative, fcw, flags);
}

/* The magnitude of the integer; false if it has more than 64 bits or is none. */
static bool to_magnitude(const struct emu_x87 *val, unsigned int rounding, u64 *magnitude,
			 u16 *flags)
{
	int exponent = (val->exponent & EXPONENT) - BIAS;
	unsigned int drop = exponent < -1 ? 65 : 63 - exponent;

	if (is_unsupported(val) || exponent > 63)
		return false;
	*magnitude = round_off(val->mantissa, drop, val->exponent & SIGN, rounding, flags);
	return true;
}

u64 emu_x87_to_int(const struct emu_x87 *val, unsigned int size, unsigned int rounding, u16 *flags)
{
	bool negative = val->exponent & SIGN;
	u64 limit = 1ull << (8 * size - 1), magnitude;

	if (!to_magnitude(val, rounding, &magnitude, flags) || magnitude > limit ||
	    (magnitude == limit && !negative)) {
		*flags = (*flags & X87_SF) | X87_IE;
		return limit;
	}
	return negative ? -magnitude : magnitude;
}

struct emu_x87 emu_x87_from_bcd(const u8 bcd[10])
{
	struct emu_x87 result;
	unsigned int i;
	s64 val = 0;

	for (i = 9; i-- > 0;)
		val = val * 100 + (bcd[i] >> 4) * 10 + (bcd[i] & 0xf);
	result = emu_x87_from_int(val);
	if (bcd[9] & 0x80)
		result.exponent |= SIGN;
	return result;
}

void emu_x87_to_bcd(const struct emu_x87 *val, u8 bcd[10], unsigned int rounding, u16 *flags)
{
	static const u8 indefinite[10] = { 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff };
	unsigned int i;
	u64 magnitude;

	if (!to_magnitude(val, rounding, &magnitude, flags) || magnitude >= DECIMAL_LIMIT) {
		*flags = (*flags & X87_SF) | X87_IE;
		__builtin_memcpy(bcd, indefinite, sizeof(indefinite));
		return;
	}
	for (i = 0; i < 9; i++, magnitude /= 100)
		bcd[i] = magnitude / 10 % 10 << 4 | magnitude % 10;
	bcd[9] = val->exponent & SIGN ? 0x80 : 0;
}
