// SPDX-License-Identifier: GPL-2.0
/*
 * Decimal adjustment: DAA, DAS, AAA, AAS, AAM, AAD. They do not exist in 64-bit mode, so no host
 * can be asked and they are computed as APM volume 3 describes; flags undefined there are as
 * processors have been seen to leave them.
 */
#include "opcode.h"

/* SF, ZF and PF of a byte; the other arithmetic flags are given. */
static u64 byte_flags(u8 val)
{
	u64 flags = 0;

	if (!__builtin_parity(val))
		flags |= FLAG_PF;
	if (!val)
		flags |= FLAG_ZF;
	if (val & 0x80)
		flags |= FLAG_SF;
	return flags;
}

static void set_arith(struct emulator *emu, u8 al, u64 others)
{
	emu->next_rflags = (emu->next_rflags & ~FLAG_ARITH) | byte_flags(al) | others;
}

static int adjust_packed(struct emulator *emu, int sign)
{
	u8 old = emu->gpr[EMU_RAX], al = old;
	u64 flags = 0;

	if ((old & 0xf) > 9 || (emu->rflags & FLAG_AF)) {
		al += sign * 6;
		flags |= FLAG_AF;
		/* Only the subtraction keeps a borrow out of the low digit's adjustment. */
		if (sign < 0 && old < 6)
			flags |= FLAG_CF;
	}
	if (old > 0x99 || (emu->rflags & FLAG_CF)) {
		al += sign * 0x60;
		flags |= FLAG_CF;
	}

	emu_set_gpr(emu, EMU_RAX, 1, al);
	set_arith(emu, al, flags);
	return EMU_DONE;
}

int emu_exec_daa(struct emulator *emu)
{
	return adjust_packed(emu, 1);
}

int emu_exec_das(struct emulator *emu)
{
	return adjust_packed(emu, -1);
}

static int adjust_unpacked(struct emulator *emu, int sign)
{
	u16 ax = emu->gpr[EMU_RAX];
	u64 flags = 0;

	if ((ax & 0xf) > 9 || (emu->rflags & FLAG_AF)) {
		ax += sign * 0x106;
		flags = FLAG_AF | FLAG_CF;
	}
	ax &= 0xff0f;

	emu_set_gpr(emu, EMU_RAX, 2, ax);
	set_arith(emu, ax, flags);
	return EMU_DONE;
}

int emu_exec_aaa(struct emulator *emu)
{
	return adjust_unpacked(emu, 1);
}

int emu_exec_aas(struct emulator *emu)
{
	return adjust_unpacked(emu, -1);
}

int emu_exec_aam(struct emulator *emu)
{
	u8 base = emu->insn.imm, al = emu->gpr[EMU_RAX];

	if (!base)
		return emu_raise(emu, VECTOR_DE);

	emu_set_gpr(emu, EMU_RAX, 2, (u64)(al / base) << 8 | al % base);
	set_arith(emu, al % base, 0);
	return EMU_DONE;
}

/* The flags that are undefined are those of the addition of bytes that it contains. */
int emu_exec_aad(struct emulator *emu)
{
	u8 al = emu->gpr[EMU_RAX], ah = emu->gpr[EMU_RAX] >> 8;
	u8 addend = ah * (u8)emu->insn.imm, sum = al + addend;
	u64 flags = 0;

	if (sum < al)
		flags |= FLAG_CF;
	if ((al ^ addend ^ sum) & 0x10)
		flags |= FLAG_AF;
	if ((al ^ sum) & (addend ^ sum) & 0x80)
		flags |= FLAG_OF;

	emu_set_gpr(emu, EMU_RAX, 2, sum);
	set_arith(emu, sum, flags);
	return EMU_DONE;
}
