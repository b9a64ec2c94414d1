// SPDX-License-Identifier: GPL-2.0
/*
 * Integer instructions of later years, most of them with a third operand in VEX.vvvv: BMI1, BMI2,
 * ADX, and the direct stores. The host may lack them, so they are computed; flags that the manuals
 * leave undefined are as processors have been seen to leave them. APM volume 3, chapter 3; SDM
 * volume 2.
 */
#include "opcode.h"

static u64 vvvv(struct emulator *emu)
{
	return emu_get_gpr(emu, emu->insn.vvvv, emu->insn.size);
}

/* SF and ZF of the result, CF as given; OF, AF and PF are cleared. */
static void set_flags(struct emulator *emu, u64 result, bool carry)
{
	u64 flags = 0;

	if (carry)
		flags |= FLAG_CF;
	if (!result)
		flags |= FLAG_ZF;
	if (result >> (8 * emu->insn.size - 1))
		flags |= FLAG_SF;
	emu->next_rflags = (emu->next_rflags & ~FLAG_ARITH) | flags;
}

static int finish(struct emulator *emu, u64 result, bool carry)
{
	emu->dst = result & emu_mask(emu->insn.size);
	set_flags(emu, emu->dst, carry);
	return EMU_DONE;
}

int emu_exec_andn(struct emulator *emu)
{
	return finish(emu, ~vvvv(emu) & emu->src, false);
}

/* BLSR 1, BLSMSK 2, BLSI 3 in ModRM.reg; the destination is vvvv. */
int emu_exec_bls(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 src = emu->src, result;
	bool carry = !src;

	switch (insn->reg & 7) {
	case 1:
		result = src & (src - 1);
		break;
	case 2:
		result = src ^ (src - 1);
		break;
	default:
		result = src & -src;
		carry = src;
		break;
	}
	finish(emu, result, carry);
	emu_set_gpr(emu, insn->vvvv, insn->size, emu->dst);
	return EMU_DONE;
}

int emu_exec_bzhi(struct emulator *emu)
{
	unsigned int bits = 8 * emu->insn.size, index = vvvv(emu) & 0xff;

	if (index >= bits)
		return finish(emu, emu->src, true);
	return finish(emu, emu->src & ((1ull << index) - 1), false);
}

int emu_exec_bextr(struct emulator *emu)
{
	u64 control = vvvv(emu), result;
	unsigned int start = control & 0xff, length = (control >> 8) & 0xff;

	result = start < 64 ? emu->src >> start : 0;
	if (length < 64)
		result &= (1ull << length) - 1;
	return finish(emu, result, false);
}

/* The bits that the mask selects, moved together */
int emu_exec_pext(struct emulator *emu)
{
	u64 mask = emu->src, from = vvvv(emu), bit = 1, result = 0;

	for (; mask; mask &= mask - 1, bit <<= 1) {
		if (from & mask & -mask)
			result |= bit;
	}
	emu->dst = result;
	return EMU_DONE;
}

/* And spread again */
int emu_exec_pdep(struct emulator *emu)
{
	u64 mask = emu->src, from = vvvv(emu), result = 0;

	for (; mask; mask &= mask - 1, from >>= 1) {
		if (from & 1)
			result |= mask & -mask;
	}
	emu->dst = result;
	return EMU_DONE;
}

/* The high half goes to ModRM.reg, and wins if both have the same register. */
int emu_exec_mulx(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 factor = emu_get_gpr(emu, EMU_RDX, insn->size), low, high;

	if (insn->size == 8) {
		asm("mulq %[src]"
		    : "=a" (low), "=d" (high) : "0" (factor), [src] "r" (emu->src) : "cc");
	} else {
		low = factor * emu->src;
		high = low >> 32;
	}
	emu_set_gpr(emu, insn->vvvv, insn->size, low);
	emu->dst = high;
	return EMU_DONE;
}

int emu_exec_rorx(struct emulator *emu)
{
	unsigned int bits = 8 * emu->insn.size, count = emu->insn.imm & (bits - 1);

	emu->dst = count ? emu->src >> count | emu->src << (bits - count) : emu->src;
	return EMU_DONE;
}

/* SHLX with 66, SARX with F3, SHRX with F2 */
int emu_exec_shiftx(struct emulator *emu)
{
	unsigned int size = emu->insn.size, count = vvvv(emu) & (8 * size - 1);

	if (!emu->insn.rep)
		emu->dst = emu->src << count;
	else if (emu->insn.rep == 0xf3)
		emu->dst = (u64)((s64)emu_sign_extend(emu->src, size) >> count);
	else
		emu->dst = emu->src >> count;
	return EMU_DONE;
}

/* ADCX with 66 carries through CF, ADOX with F3 through OF; no other flag changes. */
int emu_exec_adx(struct emulator *emu)
{
	u64 flag = emu->insn.rep ? FLAG_OF : FLAG_CF, mask = emu_mask(emu->insn.size);
	u64 carry = !!(emu->rflags & flag), sum = (emu->dst + emu->src + carry) & mask;

	emu->next_rflags &= ~flag;
	if (sum < emu->dst || (carry && sum == emu->dst))
		emu->next_rflags |= flag;
	emu->dst = sum;
	return EMU_DONE;
}

int emu_exec_movdiri(struct emulator *emu)
{
	emu->dst = emu->src;
	return EMU_DONE;
}

/* 64 bytes to ES:reg, which is as wide as an address and must be a multiple of 64 */
int emu_exec_movdir64b(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 offset = emu_get_gpr(emu, insn->reg, insn->addr_size), linear;
	u8 buf[64];
	int rc;

	rc = emu_linear(emu, insn->seg, insn->ea, sizeof(buf), false, &linear);
	if (rc == EMU_DONE && insn->amd)
		rc = emu_check_alignment(emu, linear, 16);	/* as of vectors */
	if (rc == EMU_DONE)
		rc = emu->ops->read(emu, linear, buf, sizeof(buf), 0);
	if (rc == EMU_DONE)
		rc = emu_linear(emu, EMU_ES, offset, sizeof(buf), true, &linear);
	if (rc != EMU_DONE)
		return rc;
	if (linear & (sizeof(buf) - 1))
		return emu_raise_gp0(emu);
	return emu->ops->write(emu, linear, buf, sizeof(buf), 0);
}
