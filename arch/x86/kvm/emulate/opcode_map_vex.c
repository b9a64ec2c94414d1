// SPDX-License-Identifier: GPL-2.0
/*
 * The opcode maps behind a VEX prefix: moves of vector registers, and integer instructions with
 * three operands. A row without a function is vector arithmetic, known by its length. Nothing but
 * tables. SDM volume 2, appendix A; APM volumes 3 and 4.
 */
#include "opcode.h"

#define INVALID_ROW	{ NULL, INVALID }
/* By mandatory prefix: none, 66, F3, F2. Two that are often alone: */
#define ONLY_NONE(...)	{ { __VA_ARGS__ }, INVALID_ROW, INVALID_ROW, INVALID_ROW }
#define ONLY_66(...)	{ INVALID_ROW, { __VA_ARGS__ }, INVALID_ROW, INVALID_ROW }
#define NONE_AND_66(...) { { __VA_ARGS__ }, { __VA_ARGS__ }, INVALID_ROW, INVALID_ROW }

static const struct emu_opcode load_scalar[2] = {
	{ emu_exec_vec_load_scalar, 0 }, { emu_exec_vec_load_scalar, VEX_V },
};

static const struct emu_opcode store_scalar[2] = {
	{ emu_exec_vec_store_scalar, 0 }, { emu_exec_vec_store_scalar, VEX_V },
};

static const struct emu_opcode prefix_10[4] = {
	{ emu_exec_vec_load, 0 }, { emu_exec_vec_load, 0 },
	{ NULL, BY_MOD, load_scalar }, { NULL, BY_MOD, load_scalar },
};

static const struct emu_opcode prefix_11[4] = {
	{ emu_exec_vec_store, 0 }, { emu_exec_vec_store, 0 },
	{ NULL, BY_MOD, store_scalar }, { NULL, BY_MOD, store_scalar },
};

static const struct emu_opcode prefix_12[4] = {
	{ emu_exec_vec_load_half, VEX_V | VEX_L0 },
	{ emu_exec_vec_load_half, VEX_V | VEX_L0 | MEM },
	{ emu_exec_vec_load_dup, 0 }, { emu_exec_vec_load_dup, 0 },
};

static const struct emu_opcode prefix_16[4] = {
	{ emu_exec_vec_load_half, VEX_V | VEX_L0 },
	{ emu_exec_vec_load_half, VEX_V | VEX_L0 | MEM },
	{ emu_exec_vec_load_dup, 0 }, INVALID_ROW,
};

static const struct emu_opcode prefix_store_half[4] =
	NONE_AND_66(emu_exec_vec_store_half, VEX_L0 | MEM);
static const struct emu_opcode prefix_28[4] = NONE_AND_66(emu_exec_vec_load_aligned, 0);
static const struct emu_opcode prefix_29[4] = NONE_AND_66(emu_exec_vec_store_aligned, 0);
static const struct emu_opcode prefix_2b[4] = NONE_AND_66(emu_exec_vec_store_aligned, MEM);
static const struct emu_opcode prefix_6e[4] = ONLY_66(emu_exec_vec_from_gpr, VEX_L0);

static const struct emu_opcode prefix_6f[4] = {
	INVALID_ROW, { emu_exec_vec_load_aligned, 0 }, { emu_exec_vec_load, 0 }, INVALID_ROW,
};

static const struct emu_opcode prefix_7e[4] = {
	INVALID_ROW, { emu_exec_vec_to_gpr, VEX_L0 }, { emu_exec_vec_load_q, VEX_L0 }, INVALID_ROW,
};

static const struct emu_opcode prefix_7f[4] = {
	INVALID_ROW, { emu_exec_vec_store_aligned, 0 }, { emu_exec_vec_store, 0 }, INVALID_ROW,
};

static const struct emu_opcode prefix_ldmxcsr[4] = ONLY_NONE(emu_exec_ldmxcsr, VEX_L0 | MEM);
static const struct emu_opcode prefix_stmxcsr[4] = ONLY_NONE(emu_exec_stmxcsr, VEX_L0 | MEM);

static const struct emu_opcode group_ae[8] = {
	[0 ... 1] = INVALID_ROW,
	[2] = { NULL, BY_PREFIX, prefix_ldmxcsr },
	[3] = { NULL, BY_PREFIX, prefix_stmxcsr },
	[4 ... 7] = INVALID_ROW,
};

static const struct emu_opcode prefix_c4[4] =
	ONLY_66(emu_exec_vec_insert, VEX_V | VEX_L0);
static const struct emu_opcode prefix_c5[4] = ONLY_66(emu_exec_vec_extract_word, REG | VEX_L0);
static const struct emu_opcode prefix_d6[4] = ONLY_66(emu_exec_vec_store_q, VEX_L0);
static const struct emu_opcode prefix_e7[4] = ONLY_66(emu_exec_vec_store_aligned, MEM);

static const struct emu_opcode prefix_f0[4] = {
	INVALID_ROW, INVALID_ROW, INVALID_ROW, { emu_exec_vec_load, MEM },
};

static const struct emu_opcode prefix_f7[4] = ONLY_66(emu_exec_vec_maskmov, REG | VEX_L0);

static const struct emu_opcode map_0f[256] = {
	[0x10] = { NULL, MODRM | BY_PREFIX, prefix_10 },
	[0x11] = { NULL, MODRM | BY_PREFIX, prefix_11 },
	[0x12] = { NULL, MODRM | BY_PREFIX, prefix_12 },
	[0x13] = { NULL, MODRM | BY_PREFIX, prefix_store_half },
	[0x16] = { NULL, MODRM | BY_PREFIX, prefix_16 },
	[0x17] = { NULL, MODRM | BY_PREFIX, prefix_store_half },
	[0x28] = { NULL, MODRM | BY_PREFIX, prefix_28 },
	[0x29] = { NULL, MODRM | BY_PREFIX, prefix_29 },
	[0x2b] = { NULL, MODRM | BY_PREFIX, prefix_2b },
	[0x6e] = { NULL, MODRM | BY_PREFIX, prefix_6e },
	[0x6f] = { NULL, MODRM | BY_PREFIX, prefix_6f },
	[0x70 ... 0x73] = { NULL, MODRM | IMM_8 | VEX_V },
	[0x77] = { NULL, VEX_V },
	[0x7e] = { NULL, MODRM | BY_PREFIX, prefix_7e },
	[0x7f] = { NULL, MODRM | BY_PREFIX, prefix_7f },
	[0xae] = { NULL, MODRM | BY_REG, group_ae },
	[0xc2] = { NULL, MODRM | IMM_8 | VEX_V },
	[0xc4] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_c4 },
	[0xc5] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_c5 },
	[0xc6] = { NULL, MODRM | IMM_8 | VEX_V },
	[0xd6] = { NULL, MODRM | BY_PREFIX, prefix_d6 },
	[0xe7] = { NULL, MODRM | BY_PREFIX, prefix_e7 },
	[0xf0] = { NULL, MODRM | BY_PREFIX, prefix_f0 },
	[0xf7] = { NULL, MODRM | BY_PREFIX, prefix_f7 },
};

static const struct emu_opcode prefix_broadcast[4] = ONLY_66(emu_exec_vec_broadcast, VEX_W0);
static const struct emu_opcode prefix_broadcast_256[4] =
	ONLY_66(emu_exec_vec_broadcast, VEX_W0 | VEX_L1);
static const struct emu_opcode prefix_broadcast_half[4] =
	ONLY_66(emu_exec_vec_broadcast, VEX_W0 | VEX_L1 | MEM);
static const struct emu_opcode prefix_382a[4] = ONLY_66(emu_exec_vec_load_aligned, MEM);
static const struct emu_opcode prefix_maskmov_load[4] =
	ONLY_66(emu_exec_vec_load_masked, VEX_V | VEX_W0 | MEM);
static const struct emu_opcode prefix_maskmov_store[4] =
	ONLY_66(emu_exec_vec_store_masked, VEX_V | VEX_W0 | MEM);
static const struct emu_opcode prefix_388c[4] = ONLY_66(emu_exec_vec_load_masked, VEX_V | MEM);
static const struct emu_opcode prefix_388e[4] = ONLY_66(emu_exec_vec_store_masked, VEX_V | MEM);

#define INTEGER		(SRC_RM | VEX_V | VEX_L0)
#define INTEGER_3	(INTEGER | DST_REG | WRITE)
#define BMI1(exec, flags) { exec, flags, NEEDS(FEATURE_BMI1) }
#define BMI2(exec, flags) { exec, flags, NEEDS(FEATURE_BMI2) }

static const struct emu_opcode prefix_38f2[4] = {
	BMI1(emu_exec_andn, INTEGER_3), INVALID_ROW, INVALID_ROW, INVALID_ROW,
};
static const struct emu_opcode prefix_38f3[4] = {
	BMI1(emu_exec_bls, INTEGER), INVALID_ROW, INVALID_ROW, INVALID_ROW,
};

static const struct emu_opcode group_38f3[8] = {
	[0] = INVALID_ROW,
	[1 ... 3] = { NULL, BY_PREFIX, prefix_38f3 },
	[4 ... 7] = INVALID_ROW,
};

static const struct emu_opcode prefix_38f5[4] = {
	BMI2(emu_exec_bzhi, INTEGER_3), INVALID_ROW,
	BMI2(emu_exec_pext, INTEGER_3), BMI2(emu_exec_pdep, INTEGER_3),
};

static const struct emu_opcode prefix_38f6[4] = {
	INVALID_ROW, INVALID_ROW, INVALID_ROW, BMI2(emu_exec_mulx, INTEGER_3),
};

static const struct emu_opcode prefix_38f7[4] = {
	BMI1(emu_exec_bextr, INTEGER_3), BMI2(emu_exec_shiftx, INTEGER_3),
	BMI2(emu_exec_shiftx, INTEGER_3), BMI2(emu_exec_shiftx, INTEGER_3),
};

static const struct emu_opcode map_0f38[256] = {
	[0x18] = { NULL, MODRM | BY_PREFIX, prefix_broadcast },
	[0x19] = { NULL, MODRM | BY_PREFIX, prefix_broadcast_256 },
	[0x1a] = { NULL, MODRM | BY_PREFIX, prefix_broadcast_half },
	[0x2a] = { NULL, MODRM | BY_PREFIX, prefix_382a },
	[0x2c ... 0x2d] = { NULL, MODRM | BY_PREFIX, prefix_maskmov_load },
	[0x2e ... 0x2f] = { NULL, MODRM | BY_PREFIX, prefix_maskmov_store },
	[0x58 ... 0x59] = { NULL, MODRM | BY_PREFIX, prefix_broadcast },
	[0x5a] = { NULL, MODRM | BY_PREFIX, prefix_broadcast_half },
	[0x78 ... 0x79] = { NULL, MODRM | BY_PREFIX, prefix_broadcast },
	[0x8c] = { NULL, MODRM | BY_PREFIX, prefix_388c },
	[0x8e] = { NULL, MODRM | BY_PREFIX, prefix_388e },
	[0xf2] = { NULL, MODRM | BY_PREFIX, prefix_38f2 },
	[0xf3] = { NULL, MODRM | BY_REG, group_38f3 },
	[0xf5] = { NULL, MODRM | BY_PREFIX, prefix_38f5 },
	[0xf6] = { NULL, MODRM | BY_PREFIX, prefix_38f6 },
	[0xf7] = { NULL, MODRM | BY_PREFIX, prefix_38f7 },
};

static const struct emu_opcode prefix_extract[4] = ONLY_66(emu_exec_vec_extract, VEX_L0);
static const struct emu_opcode prefix_insert[4] = ONLY_66(emu_exec_vec_insert, VEX_V | VEX_L0);
static const struct emu_opcode prefix_extract_dq[4] = ONLY_66(emu_exec_vec_extract, VEX_L0 | VEX_W64);
static const struct emu_opcode prefix_insert_dq[4] =
	ONLY_66(emu_exec_vec_insert, VEX_V | VEX_L0 | VEX_W64);
static const struct emu_opcode prefix_insert_half[4] =
	ONLY_66(emu_exec_vec_insert, VEX_V | VEX_W0 | VEX_L1);
static const struct emu_opcode prefix_extract_half[4] =
	ONLY_66(emu_exec_vec_extract, VEX_W0 | VEX_L1);

static const struct emu_opcode prefix_3af0[4] = {
	INVALID_ROW, INVALID_ROW, INVALID_ROW, BMI2(emu_exec_rorx, SRC_RM | DST_REG | WRITE | VEX_L0),
};

static const struct emu_opcode map_0f3a[256] = {
	[0x14 ... 0x15] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_extract },
	[0x16] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_extract_dq },
	[0x17] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_extract },
	[0x18] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_insert_half },
	[0x19] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_extract_half },
	[0x20] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_insert },
	[0x22] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_insert_dq },
	[0x38] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_insert_half },
	[0x39] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_extract_half },
	[0xf0] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_3af0 },
};

static inline bool is_listed(const struct emu_opcode *op)
{
	return op->exec || op->flags;
}

/* clash: there is a prefix that VEX does not go with. */
const struct emu_opcode *emu_map_vex(u8 map, u8 opcode, bool clash)
{
	static const struct emu_opcode *const maps[] = { NULL, map_0f, map_0f38, map_0f3a };
	static const struct emu_opcode invalid = INVALID_ROW;
	static const struct emu_opcode other = { NULL, MODRM | VEX_V };
	static const struct emu_opcode other_3a = { NULL, MODRM | IMM_8 | VEX_V };

	if (clash || map < 1 || map > 3)
		return &invalid;
	if (is_listed(&maps[map][opcode]))
		return &maps[map][opcode];
	return map == 3 ? &other_3a : &other;
}
