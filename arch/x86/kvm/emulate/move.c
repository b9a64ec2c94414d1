// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions that move data between registers and memory or rearrange it, without arithmetic: MOV
 * and its relatives, XCHG, CMPXCHG8B/16B, LEA, far pointer loads, conditional moves and sets, sign
 * extension, and the flags that are set or moved one by one. APM volume 3, chapter 3.
 */
#include "opcode.h"

int emu_exec_nop(struct emulator *emu)
{
	(void)emu;
	return EMU_DONE;
}

/* Of a register: AMD's processors refuse it (APM 3, PREFETCH), Intel's do nothing either. */
int emu_exec_prefetch(struct emulator *emu)
{
	return emu->insn.amd && emu->insn.mod == 3 ? emu_raise(emu, VECTOR_UD) : EMU_DONE;
}

/* Nothing in a cache can be told from memory here; the address is checked as for a load. */
int emu_exec_clflush(struct emulator *emu)
{
	u64 linear;
	int rc;

	rc = emu_linear(emu, emu->insn.seg, emu->insn.ea, 1, false, &linear);
	return rc == EMU_DONE ? emu->ops->probe_read(emu, linear, 1) : rc;
}

int emu_exec_mov(struct emulator *emu)
{
	emu->dst = emu->src;
	return EMU_DONE;
}

int emu_exec_movsx(struct emulator *emu)
{
	unsigned int size;

	switch (emu->insn.flags & SRC_MASK) {
	case SRC_RM8:
		size = 1;
		break;
	case SRC_RM16:
		size = 2;
		break;
	default:
		size = 4;
		break;
	}
	emu->dst = emu_sign_extend(emu->src, size);
	return EMU_DONE;
}

/* To memory 16 bits always, to a register the operand size. */
int emu_exec_mov_from_seg(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int seg = insn->reg & 7;

	if (seg > EMU_GS)
		return emu_raise(emu, VECTOR_UD);
	return emu_store_rm(emu, emu_segment(emu, seg)->selector, insn->is_mem ? 2 : insn->size);
}

int emu_exec_mov_to_seg(struct emulator *emu)
{
	unsigned int seg = emu->insn.reg & 7;
	int rc;

	if (seg > EMU_GS || seg == EMU_CS)
		return emu_raise(emu, VECTOR_UD);

	rc = emu_load_segment(emu, seg, emu->src);
	if (rc == EMU_DONE && seg == EMU_SS)
		emu->shadow = EMU_SHADOW_SS;
	return rc;
}

static u64 reverse_bytes(u64 val, unsigned int size)
{
	return __builtin_bswap64(val) >> (64 - 8 * size);
}

int emu_exec_movbe(struct emulator *emu)
{
	emu->dst = reverse_bytes(emu->src, emu->insn.size);
	return EMU_DONE;
}

/* Of 16 bits the result is undefined; processors give zero. */
int emu_exec_bswap(struct emulator *emu)
{
	unsigned int size = emu->insn.size;

	emu->dst = size == 2 ? 0 : reverse_bytes(emu->dst, size);
	return EMU_DONE;
}

/* With memory it is locked, prefix or not. */
int emu_exec_xchg(struct emulator *emu)
{
	u64 old = emu->dst;

	emu->insn.lock = emu->insn.is_mem;
	emu->dst = emu->src;
	return emu_store_dst_and_reg(emu, old);
}

/* 90 to 97; 90 itself is NOP unless REX.B makes it R8; Intel's take F3 for PAUSE even then. */
int emu_exec_xchg_acc(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 acc;

	if (insn->opcode == 0x90 && (!(insn->rex & 1) || (insn->rep == 0xf3 && !insn->amd)))
		return EMU_DONE;

	acc = emu_get_gpr(emu, EMU_RAX, insn->size);
	emu_set_gpr(emu, EMU_RAX, insn->size, emu->dst);
	emu->dst = acc;
	return emu_store_dst(emu);
}

/* size is that of one half: 4 or 8. */
static int compare_exchange_pair(struct emulator *emu, unsigned int size)
{
	const struct emu_insn *insn = &emu->insn;
	u64 old[2] = { 0, 0 }, new[2], low, high, linear;
	void *old_high = (u8 *)old + size, *new_high = (u8 *)new + size;
	int rc;

	rc = emu_operand_linear(emu, 2 * size, size == 8 ? 16 : 1, true, &linear);
	if (rc != EMU_DONE)
		return rc;
	rc = emu->ops->read(emu, linear, old, 2 * size, EMU_ACCESS_MODIFY);
	if (rc != EMU_DONE)
		return rc;

	low = old[0] & emu_mask(size);
	high = 0;
	__builtin_memcpy(&high, old_high, size);
	if (low != emu_get_gpr(emu, EMU_RAX, size) || high != emu_get_gpr(emu, EMU_RDX, size)) {
		emu_set_gpr(emu, EMU_RAX, size, low);
		emu_set_gpr(emu, EMU_RDX, size, high);
		emu->next_rflags &= ~FLAG_ZF;
		return EMU_DONE;
	}

	new[0] = emu->gpr[EMU_RBX];
	high = emu->gpr[EMU_RCX];
	__builtin_memcpy(new_high, &high, size);
	if (insn->lock)
		rc = emu->ops->cmpxchg(emu, linear, old, new, 2 * size);
	else
		rc = emu->ops->write(emu, linear, new, 2 * size, 0);
	emu->next_rflags |= FLAG_ZF;
	return rc;
}

int emu_exec_cmpxchg8b(struct emulator *emu)
{
	int rc;

	if (emu->insn.size != 8)
		return compare_exchange_pair(emu, 4);

	rc = emu_require(emu, FEATURE_CMPXCHG16B);
	return rc == EMU_DONE ? compare_exchange_pair(emu, 8) : rc;
}

int emu_exec_lea(struct emulator *emu)
{
	emu->dst = emu->insn.ea;
	return EMU_DONE;
}

/* LES C4, LDS C5, LSS 0F B2, LFS 0F B4, LGS 0F B5 */
int emu_exec_load_far(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int seg;
	u64 offset, selector;
	u8 buf[10];
	int rc;

	switch (insn->opcode) {
	case 0xc4:
		seg = EMU_ES;
		break;
	case 0xc5:
		seg = EMU_DS;
		break;
	default:
		seg = insn->opcode & 7;
		break;
	}

	rc = emu_read_mem(emu, insn->seg, insn->ea, buf, insn->size + 2);
	if (rc != EMU_DONE)
		return rc;
	offset = 0;
	selector = 0;
	__builtin_memcpy(&offset, buf, insn->size);
	__builtin_memcpy(&selector, buf + insn->size, 2);

	rc = emu_load_segment(emu, seg, selector);
	if (rc == EMU_DONE)
		emu_set_gpr(emu, insn->reg, insn->size, offset);
	return rc;
}

int emu_exec_setcc(struct emulator *emu)
{
	emu->dst = emu_condition(emu->rflags, emu->insn.opcode);
	return EMU_DONE;
}

int emu_exec_cmovcc(struct emulator *emu)
{
	if (emu_condition(emu->rflags, emu->insn.opcode))
		emu->dst = emu->src;
	return EMU_DONE;
}

int emu_exec_cbw(struct emulator *emu)
{
	emu->dst = emu_sign_extend(emu->dst, emu->insn.size / 2);
	return EMU_DONE;
}

int emu_exec_cwd(struct emulator *emu)
{
	unsigned int size = emu->insn.size;

	emu_set_gpr(emu, EMU_RDX, size, emu->src >> (8 * size - 1) ? ~0ull : 0);
	return EMU_DONE;
}

int emu_exec_xlat(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 offset = emu->gpr[EMU_RBX] + (emu->gpr[EMU_RAX] & 0xff), val;
	int rc;

	rc = emu_read_value(emu, insn->seg, offset & emu_mask(insn->addr_size), &val, 1);
	if (rc == EMU_DONE)
		emu_set_gpr(emu, EMU_RAX, 1, val);
	return rc;
}

int emu_exec_salc(struct emulator *emu)
{
	emu_set_gpr(emu, EMU_RAX, 1, emu->rflags & FLAG_CF ? 0xff : 0);
	return EMU_DONE;
}

#define FLAGS_IN_AH (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF)

int emu_exec_sahf(struct emulator *emu)
{
	u64 ah = emu->gpr[EMU_RAX] >> 8;

	emu->next_rflags = (emu->next_rflags & ~FLAGS_IN_AH) | (ah & FLAGS_IN_AH);
	return EMU_DONE;
}

int emu_exec_lahf(struct emulator *emu)
{
	u64 ah = (emu->rflags & FLAGS_IN_AH) | FLAG_FIXED;
	u64 ax = (emu->gpr[EMU_RAX] & 0xff) | ah << 8;

	emu_set_gpr(emu, EMU_RAX, 2, ax);
	return EMU_DONE;
}

/* CMC F5, CLC F8, STC F9, CLD FC, STD FD */
int emu_exec_flag(struct emulator *emu)
{
	u8 opcode = emu->insn.opcode;
	u64 flag = opcode < 0xfc ? FLAG_CF : FLAG_DF;

	if (opcode == 0xf5)
		emu->next_rflags ^= flag;
	else if (opcode & 1)
		emu->next_rflags |= flag;
	else
		emu->next_rflags &= ~flag;
	return EMU_DONE;
}
