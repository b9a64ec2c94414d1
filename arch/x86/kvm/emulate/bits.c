// SPDX-License-Identifier: GPL-2.0
/*
 * Shifts, rotates, bit tests, bit scans and counts, CRC32. Like alu.c it has the host processor
 * execute the same instruction, which answers what the manuals leave undefined. APM volume 3,
 * chapter 3.
 */
#include "opcode.h"

#define SHIFT(name, d, count, ax)							\
	asm(FLAGS_IN name " %%cl, %[dst]" FLAGS_OUT					\
	    : [dst] "+r" (d), "+&a" (ax) : "c" (count) : "cc")

#define SHIFT_OF_WIDTH(type)								\
static u64 shift_##type(unsigned int op, u64 dst, u8 count, u32 *flags)			\
{											\
	type d = dst;									\
	u32 ax = *flags;								\
											\
	switch (op) {									\
	case 0:										\
		SHIFT("rol", d, count, ax);						\
		break;									\
	case 1:										\
		SHIFT("ror", d, count, ax);						\
		break;									\
	case 2:										\
		SHIFT("rcl", d, count, ax);						\
		break;									\
	case 3:										\
		SHIFT("rcr", d, count, ax);						\
		break;									\
	case 5:										\
		SHIFT("shr", d, count, ax);						\
		break;									\
	case 7:										\
		SHIFT("sar", d, count, ax);						\
		break;									\
	default:									\
		SHIFT("shl", d, count, ax);						\
		break;									\
	}										\
	*flags = ax;									\
	return d;									\
}

SHIFT_OF_WIDTH(u8)
SHIFT_OF_WIDTH(u16)
SHIFT_OF_WIDTH(u32)
SHIFT_OF_WIDTH(u64)

int emu_exec_shift(struct emulator *emu)
{
	u32 flags = emu_pack_flags(emu->rflags);
	unsigned int op = emu->insn.reg & 7;

	switch (emu->insn.size) {
	case 1:
		emu->dst = shift_u8(op, emu->dst, emu->src, &flags);
		break;
	case 2:
		emu->dst = shift_u16(op, emu->dst, emu->src, &flags);
		break;
	case 4:
		emu->dst = shift_u32(op, emu->dst, emu->src, &flags);
		break;
	default:
		emu->dst = shift_u64(op, emu->dst, emu->src, &flags);
		break;
	}
	emu->next_rflags = emu_unpack_flags(emu->next_rflags, flags);
	return EMU_DONE;
}

#define SHIFT_DOUBLE(name, d, s, count, ax)						\
	asm(FLAGS_IN name " %%cl, %[src], %[dst]" FLAGS_OUT				\
	    : [dst] "+r" (d), "+&a" (ax) : [src] "r" (s), "c" (count) : "cc")

#define SHIFT_DOUBLE_OF_WIDTH(type)							\
static u64 shift_double_##type(bool left, u64 dst, u64 src, u8 count, u32 *flags)	\
{											\
	type d = dst, s = src;								\
	u32 ax = *flags;								\
											\
	if (left)									\
		SHIFT_DOUBLE("shld", d, s, count, ax);					\
	else										\
		SHIFT_DOUBLE("shrd", d, s, count, ax);					\
	*flags = ax;									\
	return d;									\
}

SHIFT_DOUBLE_OF_WIDTH(u16)
SHIFT_DOUBLE_OF_WIDTH(u32)
SHIFT_DOUBLE_OF_WIDTH(u64)

static int shift_double(struct emulator *emu, bool left)
{
	const struct emu_insn *insn = &emu->insn;
	u32 flags = emu_pack_flags(emu->rflags);
	u8 count = insn->flags & IMM_MASK ? insn->imm : emu->gpr[EMU_RCX];

	switch (insn->size) {
	case 2:
		emu->dst = shift_double_u16(left, emu->dst, emu->src, count, &flags);
		break;
	case 4:
		emu->dst = shift_double_u32(left, emu->dst, emu->src, count, &flags);
		break;
	default:
		emu->dst = shift_double_u64(left, emu->dst, emu->src, count, &flags);
		break;
	}
	emu->next_rflags = emu_unpack_flags(emu->next_rflags, flags);
	return EMU_DONE;
}

int emu_exec_shld(struct emulator *emu)
{
	return shift_double(emu, true);
}

int emu_exec_shrd(struct emulator *emu)
{
	return shift_double(emu, false);
}

/* BT 0, BTS 1, BTR 2, BTC 3: in the opcode's bits 4:3, or in ModRM.reg of the group. */
int emu_exec_bt(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int op = (insn->opcode == 0xba ? insn->reg : insn->opcode >> 3) & 3;
	u64 bit = 1ull << (emu->src & (8 * insn->size - 1));

	emu->next_rflags &= ~FLAG_CF;
	if (emu->dst & bit)
		emu->next_rflags |= FLAG_CF;

	if (op == 1)
		emu->dst |= bit;
	else if (op == 2)
		emu->dst &= ~bit;
	else if (op == 3)
		emu->dst ^= bit;
	return EMU_DONE;
}

#define SCAN(name, type, s, d, ax)							\
do {											\
	type src = s, dst = d;								\
											\
	asm(FLAGS_IN name " %[src], %[dst]" FLAGS_OUT					\
	    : [dst] "+r" (dst), "+&a" (ax) : [src] "r" (src) : "cc");			\
	d = dst;									\
} while (0)

/* A source of zero leaves the destination as it is, whole. */
static int scan_end(struct emulator *emu, u64 result, u32 flags)
{
	if (emu->src)
		emu_set_gpr(emu, emu->insn.reg, emu->insn.size, result);
	emu->next_rflags = emu_unpack_flags(emu->next_rflags, flags);
	return EMU_DONE;
}

int emu_exec_bsf(struct emulator *emu)
{
	u32 flags = emu_pack_flags(emu->rflags);
	u64 result = 0;

	switch (emu->insn.size) {
	case 2:
		SCAN("bsf", u16, emu->src, result, flags);
		break;
	case 4:
		SCAN("bsf", u32, emu->src, result, flags);
		break;
	default:
		SCAN("bsf", u64, emu->src, result, flags);
		break;
	}
	return scan_end(emu, result, flags);
}

int emu_exec_bsr(struct emulator *emu)
{
	u32 flags = emu_pack_flags(emu->rflags);
	u64 result = 0;

	switch (emu->insn.size) {
	case 2:
		SCAN("bsr", u16, emu->src, result, flags);
		break;
	case 4:
		SCAN("bsr", u32, emu->src, result, flags);
		break;
	default:
		SCAN("bsr", u64, emu->src, result, flags);
		break;
	}
	return scan_end(emu, result, flags);
}

/* Counts that the host may lack: computed, with the flags that real processors give. */
static int count_end(struct emulator *emu, u64 result)
{
	emu_set_gpr(emu, emu->insn.reg, emu->insn.size, result);
	emu->next_rflags &= ~FLAG_ARITH;
	return EMU_DONE;
}

static int count_zeros(struct emulator *emu, u64 result)
{
	count_end(emu, result);
	if (!emu->src)
		emu->next_rflags |= FLAG_CF;
	if (!result)
		emu->next_rflags |= FLAG_ZF;
	return EMU_DONE;
}

/* Where the guest's CPUID lacks the instruction, the prefix means nothing. */
int emu_exec_tzcnt(struct emulator *emu)
{
	unsigned int bits = 8 * emu->insn.size;
	bool has;
	int rc;

	rc = emu_has_feature(emu, FEATURE_BMI1, &has);
	if (rc != EMU_DONE)
		return rc;
	if (!has)
		return emu_exec_bsf(emu);
	return count_zeros(emu, emu->src ? (unsigned int)__builtin_ctzll(emu->src) : bits);
}

int emu_exec_lzcnt(struct emulator *emu)
{
	unsigned int bits = 8 * emu->insn.size;
	bool has;
	int rc;

	rc = emu_has_feature(emu, FEATURE_LZCNT, &has);
	if (rc != EMU_DONE)
		return rc;
	if (!has)
		return emu_exec_bsr(emu);
	if (emu->src)
		bits -= 64 - (unsigned int)__builtin_clzll(emu->src);
	return count_zeros(emu, bits);
}

int emu_exec_popcnt(struct emulator *emu)
{
	u64 left = emu->src, count = 0;

	for (; left; left &= left - 1)
		count++;
	count_end(emu, count);
	if (!count)
		emu->next_rflags |= FLAG_ZF;
	return EMU_DONE;
}

/* CRC-32C, reflected polynomial */
int emu_exec_crc32(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int bits = (insn->flags & SRC_MASK) == SRC_RM8 ? 8 : 8 * insn->size;
	u32 crc = emu->gpr[insn->reg];
	u64 data = emu->src;

	for (; bits; bits--, data >>= 1)
		crc = crc >> 1 ^ ((crc ^ data) & 1 ? 0x82f63b78u : 0);
	emu_set_gpr(emu, insn->reg, 4, crc);
	return EMU_DONE;
}
