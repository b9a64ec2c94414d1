// SPDX-License-Identifier: GPL-2.0
/*
 * SSE and AVX moves between vector registers, general registers and memory: those with which
 * drivers touch device memory, and their kin. No arithmetic. The registers are reached through the
 * ops only, so nothing here uses the host's. One function serves an instruction with and without
 * VEX, which adds a third operand, 256 bits, and that what is above the result is cleared. APM
 * volume 4.
 */
#include "opcode.h"

#define MAX_VECTOR	32u

static inline unsigned int vector_size(const struct emu_insn *insn)
{
	return insn->vex && insn->vex_256 ? 32 : 16;
}

static void get_register(struct emulator *emu, unsigned int nr, u8 *val)
{
	emu->ops->get_vector(emu, nr, val, vector_size(&emu->insn));
}

/* val has MAX_VECTOR bytes, zeros behind what is meant. */
static void set_register(struct emulator *emu, unsigned int nr, const u8 *val)
{
	emu->ops->set_vector(emu, nr, val, emu->insn.vex ? MAX_VECTOR : 16);
}

/* The source that is kept where the result has nothing new: vvvv with VEX, else the destination */
static unsigned int merged_register(const struct emu_insn *insn, unsigned int destination)
{
	return insn->vex ? insn->vvvv : destination;
}

/*
 * AMD's processors check the alignment of vectors, too, when they are asked to (APM 2, 8.2.18), of
 * those of 32 bytes as if they were two.
 */
static int operand_linear(struct emulator *emu, unsigned int size, unsigned int align, bool write,
			  u64 *linear)
{
	int rc = emu_operand_linear(emu, size, align, write, linear);

	if (rc != EMU_DONE || !emu->insn.amd)
		return rc;
	return emu_check_alignment(emu, *linear, size > 16 ? 16 : size);
}

/* size bytes of the r/m operand, a vector register's low ones if it is a register */
static int read_operand(struct emulator *emu, u8 *val, unsigned int size, unsigned int align)
{
	u64 linear;
	int rc;

	rc = emu_vector_allowed(emu);
	if (rc != EMU_DONE)
		return rc;
	if (!emu->insn.is_mem) {
		get_register(emu, emu->insn.rm, val);
		return EMU_DONE;
	}
	rc = operand_linear(emu, size, align, false, &linear);
	return rc == EMU_DONE ? emu->ops->read(emu, linear, val, size, 0) : rc;
}

static int write_operand(struct emulator *emu, const u8 *val, unsigned int size, unsigned int align)
{
	u64 linear;
	int rc;

	rc = operand_linear(emu, size, align, true, &linear);
	return rc == EMU_DONE ? emu->ops->write(emu, linear, val, size, 0) : rc;
}

/* Whole registers: MOVUPS, MOVUPD, MOVDQU, LDDQU; aligned MOVAPS, MOVAPD, MOVDQA, MOVNT*. */
static int load(struct emulator *emu, unsigned int align)
{
	u8 val[MAX_VECTOR] = { 0 };
	int rc;

	rc = read_operand(emu, val, vector_size(&emu->insn), align);
	if (rc == EMU_DONE)
		set_register(emu, emu->insn.reg, val);
	return rc;
}

int emu_exec_vec_load(struct emulator *emu)
{
	return load(emu, 1);
}

int emu_exec_vec_load_aligned(struct emulator *emu)
{
	return load(emu, vector_size(&emu->insn));
}

static int store(struct emulator *emu, unsigned int align)
{
	const struct emu_insn *insn = &emu->insn;
	u8 val[MAX_VECTOR] = { 0 };
	int rc;

	rc = emu_vector_allowed(emu);
	if (rc != EMU_DONE)
		return rc;
	get_register(emu, insn->reg, val);
	if (insn->is_mem)
		return write_operand(emu, val, vector_size(insn), align);
	set_register(emu, insn->rm, val);
	return EMU_DONE;
}

int emu_exec_vec_store(struct emulator *emu)
{
	return store(emu, 1);
}

int emu_exec_vec_store_aligned(struct emulator *emu)
{
	return store(emu, vector_size(&emu->insn));
}

/* MOVSS with F3, MOVSD with F2 */
static inline unsigned int scalar_size(const struct emu_insn *insn)
{
	return insn->rep == 0xf3 ? 4 : 8;
}

/* From register to register; VEX.L means nothing. */
static void merge_scalar(struct emulator *emu, unsigned int to, unsigned int from)
{
	u8 val[MAX_VECTOR] = { 0 }, src[16];

	emu->ops->get_vector(emu, merged_register(&emu->insn, to), val, 16);
	emu->ops->get_vector(emu, from, src, 16);
	__builtin_memcpy(val, src, scalar_size(&emu->insn));
	set_register(emu, to, val);
}

/* A load from memory clears the rest of the register, a move between registers keeps it. */
int emu_exec_vec_load_scalar(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u8 val[MAX_VECTOR] = { 0 };
	int rc;

	if (insn->is_mem) {
		rc = read_operand(emu, val, scalar_size(insn), 1);
		if (rc == EMU_DONE)
			set_register(emu, insn->reg, val);
		return rc;
	}
	rc = emu_vector_allowed(emu);
	if (rc == EMU_DONE)
		merge_scalar(emu, insn->reg, insn->rm);
	return rc;
}

int emu_exec_vec_store_scalar(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u8 val[MAX_VECTOR];
	int rc;

	rc = emu_vector_allowed(emu);
	if (rc != EMU_DONE)
		return rc;
	if (insn->is_mem) {
		get_register(emu, insn->reg, val);
		return write_operand(emu, val, scalar_size(insn), 1);
	}
	merge_scalar(emu, insn->rm, insn->reg);
	return EMU_DONE;
}

/* 12 and 13 move the low half, 16 and 17 the high one. */
static inline unsigned int half(const struct emu_insn *insn)
{
	return insn->opcode & 4 ? 8 : 0;
}

/* Between registers the halves change places: MOVHLPS 12, MOVLHPS 16. */
int emu_exec_vec_load_half(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int to = half(insn);
	u8 val[MAX_VECTOR] = { 0 }, src[MAX_VECTOR];
	int rc;

	rc = read_operand(emu, src, 8, 1);
	if (rc != EMU_DONE)
		return rc;
	get_register(emu, merged_register(insn, insn->reg), val);
	__builtin_memcpy(val + to, insn->is_mem ? src : src + (8 - to), 8);
	set_register(emu, insn->reg, val);
	return EMU_DONE;
}

int emu_exec_vec_store_half(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u8 val[MAX_VECTOR];
	int rc;

	rc = emu_vector_allowed(emu);
	if (rc != EMU_DONE)
		return rc;
	get_register(emu, insn->reg, val);
	return write_operand(emu, val + half(insn), 8, 1);
}

/*
 * MOVDDUP (F2) doubles the even quadwords, MOVSLDUP (F3 12) the even doublewords, MOVSHDUP (F3 16)
 * the odd ones. MOVDDUP of 128 bits reads no more than it needs.
 */
int emu_exec_vec_load_dup(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int n = insn->rep == 0xf2 ? 8 : 4, odd = half(insn) ? n : 0;
	unsigned int size = vector_size(insn);
	unsigned int i, align = insn->rep == 0xf2 || insn->vex ? 1 : 16;
	u8 val[MAX_VECTOR] = { 0 }, src[MAX_VECTOR];
	int rc;

	rc = read_operand(emu, src, insn->rep == 0xf2 && size == 16 ? 8 : size, align);
	if (rc != EMU_DONE)
		return rc;
	for (i = 0; i < size; i += 2 * n) {
		__builtin_memcpy(val + i, src + i + odd, n);
		__builtin_memcpy(val + i + n, src + i + odd, n);
	}
	set_register(emu, insn->reg, val);
	return EMU_DONE;
}

/* MOVQ clears what is above, between registers too. */
int emu_exec_vec_load_q(struct emulator *emu)
{
	u8 val[MAX_VECTOR] = { 0 };
	int rc;

	rc = read_operand(emu, val, 8, 1);
	if (rc != EMU_DONE)
		return rc;
	__builtin_memset(val + 8, 0, sizeof(val) - 8);
	set_register(emu, emu->insn.reg, val);
	return EMU_DONE;
}

int emu_exec_vec_store_q(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u8 val[MAX_VECTOR] = { 0 };
	int rc;

	rc = emu_vector_allowed(emu);
	if (rc != EMU_DONE)
		return rc;
	get_register(emu, insn->reg, val);
	if (insn->is_mem)
		return write_operand(emu, val, 8, 1);
	__builtin_memset(val + 8, 0, sizeof(val) - 8);
	set_register(emu, insn->rm, val);
	return EMU_DONE;
}

/* MOVD and MOVQ with a general register or memory: 4 bytes, 8 with W in 64-bit mode */
static inline unsigned int gpr_size(const struct emulator *emu)
{
	return emu->mode == EMU_LONG64 && (emu->insn.rex & 8) ? 8 : 4;
}

int emu_exec_vec_from_gpr(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 val[MAX_VECTOR / 8] = { 0 };
	int rc;

	rc = emu_vector_allowed(emu);
	if (rc != EMU_DONE)
		return rc;
	if (insn->is_mem) {
		rc = emu_read_value(emu, insn->seg, insn->ea, &val[0], gpr_size(emu));
		if (rc != EMU_DONE)
			return rc;
	} else {
		val[0] = emu_get_gpr(emu, insn->rm, gpr_size(emu));
	}
	set_register(emu, insn->reg, (u8 *)val);
	return EMU_DONE;
}

int emu_exec_vec_to_gpr(struct emulator *emu)
{
	u64 val[MAX_VECTOR / 8];
	int rc;

	rc = emu_vector_allowed(emu);
	if (rc != EMU_DONE)
		return rc;
	get_register(emu, emu->insn.reg, (u8 *)val);
	return emu_store_rm(emu, val[0], gpr_size(emu));
}

/*
 * An element into a register: PINSRW 0F C4, PINSRB 0F 3A 20, PINSRD and PINSRQ 22; half a register:
 * VINSERTF128 18, VINSERTI128 38.
 */
static unsigned int element_size(const struct emulator *emu)
{
	switch (emu->insn.opcode) {
	case 0x14:
	case 0x20:
		return 1;
	case 0x15:
	case 0xc4:
	case 0xc5:
		return 2;
	case 0x17:
		return 4;
	case 0x18 ... 0x19:
	case 0x38 ... 0x39:
		return 16;
	default:
		return gpr_size(emu);
	}
}

int emu_exec_vec_insert(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int size = element_size(emu);
	u8 val[MAX_VECTOR] = { 0 }, src[MAX_VECTOR];
	u64 reg = emu->gpr[insn->rm];
	int rc;

	rc = read_operand(emu, src, size, 1);
	if (rc != EMU_DONE)
		return rc;
	if (!insn->is_mem && size < 16)
		__builtin_memcpy(src, &reg, sizeof(reg));
	get_register(emu, merged_register(insn, insn->reg), val);
	__builtin_memcpy(val + (insn->imm * size & (vector_size(insn) - 1)), src, size);
	set_register(emu, insn->reg, val);
	return EMU_DONE;
}

/*
 * And out of it: PEXTRB 14, PEXTRW 15, PEXTRD and PEXTRQ 16, EXTRACTPS 17, VEXTRACTF128 19,
 * VEXTRACTI128 39. A general register is filled with zeros.
 */
int emu_exec_vec_extract(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int size = element_size(emu);
	u8 val[MAX_VECTOR], result[MAX_VECTOR] = { 0 };
	u64 reg = 0;
	int rc;

	rc = emu_vector_allowed(emu);
	if (rc != EMU_DONE)
		return rc;
	get_register(emu, insn->reg, val);
	__builtin_memcpy(result, val + (insn->imm * size & (vector_size(insn) - 1)), size);
	if (insn->is_mem)
		return write_operand(emu, result, size, 1);
	__builtin_memcpy(&reg, result, sizeof(reg));
	if (size < 16)
		emu_set_gpr(emu, insn->rm, 8, reg);
	else
		set_register(emu, insn->rm, result);
	return EMU_DONE;
}

/* PEXTRW 0F C5, whose operands are the other way round */
int emu_exec_vec_extract_word(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u16 val[MAX_VECTOR / 2];
	int rc;

	rc = emu_vector_allowed(emu);
	if (rc != EMU_DONE)
		return rc;
	get_register(emu, insn->rm, (u8 *)val);
	emu_set_gpr(emu, insn->reg, 8, val[insn->imm & 7]);
	return EMU_DONE;
}

/* VBROADCASTSS 18, SD 19, F128 1A, VPBROADCASTD 58, Q 59, VBROADCASTI128 5A, B 78, W 79 */
static unsigned int broadcast_size(u8 opcode)
{
	switch (opcode) {
	case 0x18:
	case 0x58:
		return 4;
	case 0x19:
	case 0x59:
		return 8;
	case 0x78:
		return 1;
	case 0x79:
		return 2;
	default:
		return 16;
	}
}

int emu_exec_vec_broadcast(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int size = broadcast_size(insn->opcode), i;
	u8 val[MAX_VECTOR] = { 0 }, src[MAX_VECTOR];
	int rc;

	/* What has no memory operand of floating point came with AVX2. */
	if (!insn->is_mem || insn->opcode >= 0x58) {
		rc = emu_require(emu, FEATURE_AVX2);
		if (rc != EMU_DONE)
			return rc;
	}
	rc = read_operand(emu, src, size, 1);
	if (rc != EMU_DONE)
		return rc;
	for (i = 0; i < vector_size(insn); i += size)
		__builtin_memcpy(val + i, src, size);
	set_register(emu, insn->reg, val);
	return EMU_DONE;
}

/* An element is meant if the highest bit of its mask is set. */
static inline bool is_chosen(const u8 *mask, unsigned int element, unsigned int size)
{
	return mask[element + size - 1] & 0x80;
}

static int element_linear(struct emulator *emu, u64 offset, unsigned int size, bool write,
			  u64 *linear)
{
	offset &= emu_mask(emu->insn.addr_size);
	return emu_linear_unaligned(emu, emu->insn.seg, offset, size, write, linear);
}

/* All that is chosen is checked before any of it is written; what is not may be anywhere. */
int emu_store_masked(struct emulator *emu, u64 offset, const u8 *val, const u8 *mask,
		     unsigned int bytes, unsigned int size)
{
	bool checked = false;
	unsigned int i;
	u64 linear;
	int rc;

	do {
		checked = !checked;
		for (i = 0; i < bytes; i += size) {
			if (!is_chosen(mask, i, size))
				continue;
			rc = element_linear(emu, offset + i, size, true, &linear);
			if (rc == EMU_DONE && checked)
				rc = emu->ops->probe_write(emu, linear, size);
			else if (rc == EMU_DONE)
				rc = emu->ops->write(emu, linear, val + i, size, 0);
			if (rc != EMU_DONE)
				return rc;
		}
	} while (checked);
	return EMU_DONE;
}

/* MASKMOVQ and MASKMOVDQU write bytes to DS:rDI, which must be aligned if anything must. */
int emu_maskmov(struct emulator *emu, const u8 *val, const u8 *mask, unsigned int bytes)
{
	u64 offset = emu_get_gpr(emu, EMU_RDI, emu->insn.addr_size), linear;
	int rc;

	if (emu->rflags & FLAG_AC) {
		rc = element_linear(emu, offset, bytes, true, &linear);
		if (rc == EMU_DONE)
			rc = emu_check_alignment(emu, linear, 8);
		if (rc != EMU_DONE)
			return rc;
	}
	return emu_store_masked(emu, offset, val, mask, bytes, 1);
}

int emu_exec_vec_maskmov(struct emulator *emu)
{
	u8 val[MAX_VECTOR], mask[MAX_VECTOR];
	int rc;

	rc = emu_vector_allowed(emu);
	if (rc != EMU_DONE)
		return rc;
	get_register(emu, emu->insn.reg, val);
	get_register(emu, emu->insn.rm, mask);
	return emu_maskmov(emu, val, mask, 16);
}

/* VMASKMOVPS 2C and 2E, VMASKMOVPD 2D and 2F; VPMASKMOVD and VPMASKMOVQ 8C and 8E */
static int begin_masked(struct emulator *emu, u8 *mask, unsigned int *size)
{
	const struct emu_insn *insn = &emu->insn;
	int rc;

	rc = emu_vector_allowed(emu);
	if (rc == EMU_DONE && insn->opcode >= 0x80)
		rc = emu_require(emu, FEATURE_AVX2);
	if (rc != EMU_DONE)
		return rc;
	*size = insn->opcode >= 0x80 ? insn->rex & 8 ? 8 : 4 : insn->opcode & 1 ? 8 : 4;
	get_register(emu, insn->vvvv, mask);
	return EMU_DONE;
}

int emu_exec_vec_load_masked(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u8 val[MAX_VECTOR] = { 0 }, mask[MAX_VECTOR];
	unsigned int size, i;
	u64 linear;
	int rc;

	rc = begin_masked(emu, mask, &size);
	if (rc != EMU_DONE)
		return rc;
	for (i = 0; i < vector_size(insn); i += size) {
		if (!is_chosen(mask, i, size))
			continue;
		rc = element_linear(emu, insn->ea + i, size, false, &linear);
		if (rc == EMU_DONE)
			rc = emu->ops->read(emu, linear, val + i, size, 0);
		if (rc != EMU_DONE)
			return rc;
	}
	set_register(emu, insn->reg, val);
	return EMU_DONE;
}

int emu_exec_vec_store_masked(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u8 val[MAX_VECTOR], mask[MAX_VECTOR];
	unsigned int size;
	int rc;

	rc = begin_masked(emu, mask, &size);
	if (rc != EMU_DONE)
		return rc;
	get_register(emu, insn->reg, val);
	return emu_store_masked(emu, insn->ea, val, mask, vector_size(insn), size);
}
