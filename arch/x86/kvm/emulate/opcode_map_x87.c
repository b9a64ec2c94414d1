// SPDX-License-Identifier: GPL-2.0
/*
 * The opcodes D8 to DF: by ModRM.reg with a memory operand; without, the few that are no
 * arithmetic, by ModRM.reg and ModRM.rm. Nothing but tables. APM volume 3, appendix A.2.7; SDM
 * volume 2, section A.5.
 */
#include "opcode.h"

#define ARITHMETIC	{ NULL, 0 }

static const struct emu_opcode memory_d9[8] = {
	[0] = { emu_exec_fld, 0 },
	[1] = { NULL, INVALID },
	[2 ... 3] = { emu_exec_fst, 0 },
	[4] = { emu_exec_fldenv, 0 },
	[5] = { emu_exec_fldcw, 0 },
	[6] = { emu_exec_fnstenv, 0 },
	[7] = { emu_exec_fnstcw, 0 },
};

static const struct emu_opcode memory_db[8] = {
	[0] = { emu_exec_fild, 0 },
	[1] = { emu_exec_fisttp, 0, NEEDS(FEATURE_SSE3) },
	[2 ... 3] = { emu_exec_fist, 0 },
	[4] = { NULL, INVALID },
	[5] = { emu_exec_fld80, 0 },
	[6] = { NULL, INVALID },
	[7] = { emu_exec_fst80, 0 },
};

static const struct emu_opcode memory_dd[8] = {
	[0] = { emu_exec_fld, 0 },
	[1] = { emu_exec_fisttp, 0, NEEDS(FEATURE_SSE3) },
	[2 ... 3] = { emu_exec_fst, 0 },
	[4] = { emu_exec_frstor, 0 },
	[5] = { NULL, INVALID },
	[6] = { emu_exec_fnsave, 0 },
	[7] = { emu_exec_fnstsw, 0 },
};

static const struct emu_opcode memory_df[8] = {
	[0] = { emu_exec_fild, 0 },
	[1] = { emu_exec_fisttp, 0, NEEDS(FEATURE_SSE3) },
	[2 ... 3] = { emu_exec_fist, 0 },
	[4] = { emu_exec_fbld, 0 },
	[5] = { emu_exec_fild, 0 },
	[6] = { emu_exec_fbstp, 0 },
	[7] = { emu_exec_fist, 0 },
};

static const struct emu_opcode rm_d9_2[8] = {
	[0] = { emu_exec_fnop, 0 },
	[1 ... 7] = { NULL, INVALID },
};

static const struct emu_opcode rm_db_4[8] = {
	[0 ... 1] = { emu_exec_fnop, 0 },	/* FNENI, FNDISI */
	[2] = { emu_exec_fnclex, 0 },
	[3] = { emu_exec_fninit, 0 },
	[4] = { emu_exec_fnop, 0 },		/* FNSETPM */
	[5 ... 7] = { NULL, INVALID },
};

static const struct emu_opcode rm_df_4[8] = {
	[0] = { emu_exec_fnstsw, 0 },
	[1 ... 7] = { NULL, INVALID },
};

static const struct emu_opcode register_d9[8] = { [2] = { NULL, BY_RM, rm_d9_2 } };
static const struct emu_opcode register_db[8] = { [4] = { NULL, BY_RM, rm_db_4 } };
static const struct emu_opcode register_df[8] = { [4] = { NULL, BY_RM, rm_df_4 } };

const struct emu_opcode emu_map_x87[8][2] = {
	{ ARITHMETIC, ARITHMETIC },					/* D8 */
	{ { NULL, BY_REG, memory_d9 }, { NULL, BY_REG, register_d9 } },
	{ ARITHMETIC, ARITHMETIC },					/* DA */
	{ { NULL, BY_REG, memory_db }, { NULL, BY_REG, register_db } },
	{ ARITHMETIC, ARITHMETIC },					/* DC */
	{ { NULL, BY_REG, memory_dd }, ARITHMETIC },
	{ ARITHMETIC, ARITHMETIC },					/* DE */
	{ { NULL, BY_REG, memory_df }, { NULL, BY_REG, register_df } },
};
