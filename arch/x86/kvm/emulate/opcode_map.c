// SPDX-License-Identifier: GPL-2.0
/*
 * The opcode maps: what every opcode's operands are and which function runs it. Entries without a
 * function are known by their length. Nothing but tables. APM volume 3, appendix A; SDM volume 2,
 * appendix A.
 */
#include "opcode.h"

#define EIGHT(first)	[(first) ... (first) + 7]
#define SIXTEEN(first)	[(first) ... (first) + 15]

static const struct emu_opcode group_imm[8] = {
	[0 ... 6] = { emu_exec_alu, MODIFY | LOCK },
	[7] = { emu_exec_alu, READ },
};

static const struct emu_opcode group_pop[8] = {
	[0] = { emu_exec_pop_rm, D64 },
	[1 ... 7] = { NULL, UNKNOWN },	/* XOP */
};

static const struct emu_opcode group_mov8[8] = {
	[0] = { emu_exec_mov, DST_RM | SRC_IMM | IMM_8 | WRITE },
	[1 ... 6] = { NULL, INVALID },
	[7] = { NULL, IMM_8 },		/* XABORT */
};

static const struct emu_opcode group_mov[8] = {
	[0] = { emu_exec_mov, DST_RM | SRC_IMM | IMM_Z | WRITE },
	[1 ... 6] = { NULL, INVALID },
	[7] = { NULL, IMM_Z },		/* XBEGIN */
};

static const struct emu_opcode group_unary8[8] = {
	[0 ... 1] = { emu_exec_test, DST_RM | SRC_IMM | IMM_8 | READ },
	[2] = { emu_exec_not, DST_RM | MODIFY | LOCK },
	[3] = { emu_exec_neg, DST_RM | MODIFY | LOCK },
	[4] = { emu_exec_mul, SRC_RM },
	[5] = { emu_exec_imul, SRC_RM },
	[6] = { emu_exec_div, SRC_RM },
	[7] = { emu_exec_idiv, SRC_RM },
};

static const struct emu_opcode group_unary[8] = {
	[0 ... 1] = { emu_exec_test, DST_RM | SRC_IMM | IMM_Z | READ },
	[2] = { emu_exec_not, DST_RM | MODIFY | LOCK },
	[3] = { emu_exec_neg, DST_RM | MODIFY | LOCK },
	[4] = { emu_exec_mul, SRC_RM },
	[5] = { emu_exec_imul, SRC_RM },
	[6] = { emu_exec_div, SRC_RM },
	[7] = { emu_exec_idiv, SRC_RM },
};

static const struct emu_opcode group_inc8[8] = {
	[0] = { emu_exec_inc, DST_RM | MODIFY | LOCK },
	[1] = { emu_exec_dec, DST_RM | MODIFY | LOCK },
	[2 ... 7] = { NULL, INVALID },
};

static const struct emu_opcode group_inc[8] = {
	[0] = { emu_exec_inc, DST_RM | MODIFY | LOCK },
	[1] = { emu_exec_dec, DST_RM | MODIFY | LOCK },
	[2] = { emu_exec_call_rm, SRC_RM | F64 },
	[3] = { emu_exec_call_far, MEM },
	[4] = { emu_exec_jmp_rm, SRC_RM | F64 },
	[5] = { emu_exec_jmp_far, MEM },
	[6] = { emu_exec_push, SRC_RM | D64 },
	[7] = { NULL, INVALID },
};

/*
 * LES, LDS and BOUND have memory operands; the register forms and 64-bit mode begin VEX and EVEX.
 */
static const struct emu_opcode load_far_or_vex[2] = {
	{ emu_exec_load_far, DST_REG },
	{ NULL, UNKNOWN },
};

static const struct emu_opcode bound_or_evex[2] = {
	{ emu_exec_bound, DST_REG | READ },
	{ NULL, UNKNOWN },
};

static const struct emu_opcode mode_load_far[2] = {
	{ NULL, BY_MOD, load_far_or_vex },
	{ NULL, UNKNOWN },
};

static const struct emu_opcode mode_bound[2] = {
	{ NULL, BY_MOD, bound_or_evex },
	{ NULL, UNKNOWN },
};

static const struct emu_opcode arpl_or_movsxd[2] = {
	{ emu_exec_arpl, PROT | WORD | DST_RM | SRC_REG | MODIFY },
	{ emu_exec_movsx, DST_REG | SRC_RM32 | WRITE },
};

#define ALU_FORMS(first, access, lock)								\
	[(first) + 0] = { emu_exec_alu, MODRM | DST_RM | SRC_REG | BYTE | (access) | (lock) },	\
	[(first) + 1] = { emu_exec_alu, MODRM | DST_RM | SRC_REG | (access) | (lock) },		\
	[(first) + 2] = { emu_exec_alu, MODRM | DST_REG | SRC_RM | BYTE | (access) },		\
	[(first) + 3] = { emu_exec_alu, MODRM | DST_REG | SRC_RM | (access) },			\
	[(first) + 4] = { emu_exec_alu, DST_ACC | SRC_IMM | IMM_8 | BYTE | (access) },		\
	[(first) + 5] = { emu_exec_alu, DST_ACC | SRC_IMM | IMM_Z | (access) }

const struct emu_opcode emu_map_one[256] = {
	ALU_FORMS(0x00, MODIFY, LOCK),
	ALU_FORMS(0x08, MODIFY, LOCK),
	ALU_FORMS(0x10, MODIFY, LOCK),
	ALU_FORMS(0x18, MODIFY, LOCK),
	ALU_FORMS(0x20, MODIFY, LOCK),
	ALU_FORMS(0x28, MODIFY, LOCK),
	ALU_FORMS(0x30, MODIFY, LOCK),
	ALU_FORMS(0x38, READ, 0),
	[0x06] = { emu_exec_push_seg, NO64 },
	[0x07] = { emu_exec_pop_seg, NO64 },
	[0x0e] = { emu_exec_push_seg, NO64 },
	[0x16] = { emu_exec_push_seg, NO64 },
	[0x17] = { emu_exec_pop_seg, NO64 },
	[0x1e] = { emu_exec_push_seg, NO64 },
	[0x1f] = { emu_exec_pop_seg, NO64 },
	[0x27] = { emu_exec_daa, NO64 },
	[0x2f] = { emu_exec_das, NO64 },
	[0x37] = { emu_exec_aaa, NO64 },
	[0x3f] = { emu_exec_aas, NO64 },

	EIGHT(0x40) = { emu_exec_inc, DST_OPREG | MODIFY },
	EIGHT(0x48) = { emu_exec_dec, DST_OPREG | MODIFY },
	EIGHT(0x50) = { emu_exec_push, SRC_OPREG | D64 },
	EIGHT(0x58) = { emu_exec_pop, DST_OPREG | D64 },
	[0x60] = { emu_exec_pusha, NO64 },
	[0x61] = { emu_exec_popa, NO64 },
	[0x62] = { NULL, MODRM | BY_MODE, mode_bound },
	[0x63] = { NULL, MODRM | BY_MODE, arpl_or_movsxd },
	[0x68] = { emu_exec_push, SRC_IMM | IMM_Z | D64 },
	[0x69] = { emu_exec_imul3, MODRM | DST_REG | SRC_RM | IMM_Z | WRITE },
	[0x6a] = { emu_exec_push, SRC_IMM | IMM_S8 | D64 },
	[0x6b] = { emu_exec_imul3, MODRM | DST_REG | SRC_RM | IMM_S8 | WRITE },
	[0x6c] = { emu_exec_ins, BYTE },
	[0x6d] = { emu_exec_ins, MAX32 },
	[0x6e] = { emu_exec_outs, BYTE },
	[0x6f] = { emu_exec_outs, MAX32 },
	SIXTEEN(0x70) = { emu_exec_jcc, IMM_S8 | F64 },

	[0x80] = { NULL, MODRM | DST_RM | SRC_IMM | IMM_8 | BYTE | BY_REG, group_imm },
	[0x81] = { NULL, MODRM | DST_RM | SRC_IMM | IMM_Z | BY_REG, group_imm },
	[0x82] = { NULL, MODRM | DST_RM | SRC_IMM | IMM_8 | BYTE | NO64 | BY_REG, group_imm },
	[0x83] = { NULL, MODRM | DST_RM | SRC_IMM | IMM_S8 | BY_REG, group_imm },
	[0x84] = { emu_exec_test, MODRM | DST_RM | SRC_REG | BYTE | READ },
	[0x85] = { emu_exec_test, MODRM | DST_RM | SRC_REG | READ },
	[0x86] = { emu_exec_xchg, MODRM | DST_RM | SRC_REG | BYTE | READ | WRITE | LOCK },
	[0x87] = { emu_exec_xchg, MODRM | DST_RM | SRC_REG | READ | WRITE | LOCK },
	[0x88] = { emu_exec_mov, MODRM | DST_RM | SRC_REG | BYTE | WRITE },
	[0x89] = { emu_exec_mov, MODRM | DST_RM | SRC_REG | WRITE },
	[0x8a] = { emu_exec_mov, MODRM | DST_REG | SRC_RM | BYTE | WRITE },
	[0x8b] = { emu_exec_mov, MODRM | DST_REG | SRC_RM | WRITE },
	[0x8c] = { emu_exec_mov_from_seg, MODRM },
	[0x8d] = { emu_exec_lea, MODRM | DST_REG | WRITE | MEM },
	[0x8e] = { emu_exec_mov_to_seg, MODRM | SRC_RM16 },
	[0x8f] = { NULL, MODRM | BY_REG, group_pop },

	EIGHT(0x90) = { emu_exec_xchg_acc, DST_OPREG | READ },
	[0x98] = { emu_exec_cbw, DST_ACC | READ | WRITE },
	[0x99] = { emu_exec_cwd, SRC_ACC },
	[0x9a] = { emu_exec_call_far, IMM_FAR | NO64 },
	[0x9b] = { emu_exec_fwait, 0 },
	[0x9c] = { emu_exec_pushf, D64 },
	[0x9d] = { emu_exec_popf, D64 },
	[0x9e] = { emu_exec_sahf, 0 },
	[0x9f] = { emu_exec_lahf, 0 },
	[0xa0] = { emu_exec_mov, DST_ACC | SRC_RM | IMM_OFFSET | BYTE | WRITE },
	[0xa1] = { emu_exec_mov, DST_ACC | SRC_RM | IMM_OFFSET | WRITE },
	[0xa2] = { emu_exec_mov, DST_RM | SRC_ACC | IMM_OFFSET | BYTE | WRITE },
	[0xa3] = { emu_exec_mov, DST_RM | SRC_ACC | IMM_OFFSET | WRITE },
	[0xa4] = { emu_exec_movs, BYTE },
	[0xa5] = { emu_exec_movs, 0 },
	[0xa6] = { emu_exec_cmps, BYTE },
	[0xa7] = { emu_exec_cmps, 0 },
	[0xa8] = { emu_exec_test, DST_ACC | SRC_IMM | IMM_8 | BYTE | READ },
	[0xa9] = { emu_exec_test, DST_ACC | SRC_IMM | IMM_Z | READ },
	[0xaa] = { emu_exec_stos, BYTE },
	[0xab] = { emu_exec_stos, 0 },
	[0xac] = { emu_exec_lods, BYTE },
	[0xad] = { emu_exec_lods, 0 },
	[0xae] = { emu_exec_scas, BYTE },
	[0xaf] = { emu_exec_scas, 0 },
	EIGHT(0xb0) = { emu_exec_mov, DST_OPREG | SRC_IMM | IMM_8 | BYTE | WRITE },
	EIGHT(0xb8) = { emu_exec_mov, DST_OPREG | SRC_IMM | IMM_V | WRITE },

	[0xc0] = { emu_exec_shift, MODRM | DST_RM | SRC_IMM | IMM_8 | BYTE | MODIFY },
	[0xc1] = { emu_exec_shift, MODRM | DST_RM | SRC_IMM | IMM_8 | MODIFY },
	[0xc2] = { emu_exec_ret, IMM_16 | F64 },
	[0xc3] = { emu_exec_ret, F64 },
	[0xc4] = { NULL, MODRM | BY_MODE, mode_load_far },
	[0xc5] = { NULL, MODRM | BY_MODE, mode_load_far },
	[0xc6] = { NULL, MODRM | BYTE | BY_REG, group_mov8 },
	[0xc7] = { NULL, MODRM | BY_REG, group_mov },
	[0xc8] = { emu_exec_enter, IMM_16_8 | D64 },
	[0xc9] = { emu_exec_leave, D64 },
	[0xca] = { emu_exec_ret_far, IMM_16 },
	[0xcb] = { emu_exec_ret_far, 0 },
	[0xcc] = { emu_exec_int3, 0 },
	[0xcd] = { emu_exec_int, IMM_8 },
	[0xce] = { emu_exec_into, NO64 },
	[0xcf] = { emu_exec_iret, 0 },
	[0xd0] = { emu_exec_shift, MODRM | DST_RM | SRC_ONE | BYTE | MODIFY },
	[0xd1] = { emu_exec_shift, MODRM | DST_RM | SRC_ONE | MODIFY },
	[0xd2] = { emu_exec_shift, MODRM | DST_RM | SRC_CL | BYTE | MODIFY },
	[0xd3] = { emu_exec_shift, MODRM | DST_RM | SRC_CL | MODIFY },
	[0xd4] = { emu_exec_aam, IMM_8 | NO64 },
	[0xd5] = { emu_exec_aad, IMM_8 | NO64 },
	[0xd6] = { emu_exec_salc, NO64 },
	[0xd7] = { emu_exec_xlat, 0 },
	[0xd8] = { NULL, MODRM | BY_MOD, emu_map_x87[0] },
	[0xd9] = { NULL, MODRM | BY_MOD, emu_map_x87[1] },
	[0xda] = { NULL, MODRM | BY_MOD, emu_map_x87[2] },
	[0xdb] = { NULL, MODRM | BY_MOD, emu_map_x87[3] },
	[0xdc] = { NULL, MODRM | BY_MOD, emu_map_x87[4] },
	[0xdd] = { NULL, MODRM | BY_MOD, emu_map_x87[5] },
	[0xde] = { NULL, MODRM | BY_MOD, emu_map_x87[6] },
	[0xdf] = { NULL, MODRM | BY_MOD, emu_map_x87[7] },

	[0xe0 ... 0xe2] = { emu_exec_loop, IMM_S8 | F64 },
	[0xe3] = { emu_exec_jcxz, IMM_S8 | F64 },
	[0xe4] = { emu_exec_in, IMM_8 | BYTE },
	[0xe5] = { emu_exec_in, IMM_8 | MAX32 },
	[0xe6] = { emu_exec_out, IMM_8 | BYTE },
	[0xe7] = { emu_exec_out, IMM_8 | MAX32 },
	[0xe8] = { emu_exec_call, IMM_REL | F64 },
	[0xe9] = { emu_exec_jmp, IMM_REL | F64 },
	[0xea] = { emu_exec_jmp_far, IMM_FAR | NO64 },
	[0xeb] = { emu_exec_jmp, IMM_S8 | F64 },
	[0xec] = { emu_exec_in, BYTE },
	[0xed] = { emu_exec_in, MAX32 },
	[0xee] = { emu_exec_out, BYTE },
	[0xef] = { emu_exec_out, MAX32 },
	[0xf1] = { emu_exec_int1, 0 },
	[0xf4] = { emu_exec_hlt, CPL0 },
	[0xf5] = { emu_exec_flag, 0 },
	[0xf6] = { NULL, MODRM | BYTE | BY_REG, group_unary8 },
	[0xf7] = { NULL, MODRM | BY_REG, group_unary },
	[0xf8 ... 0xf9] = { emu_exec_flag, 0 },
	[0xfa] = { emu_exec_cli, 0 },
	[0xfb] = { emu_exec_sti, 0 },
	[0xfc ... 0xfd] = { emu_exec_flag, 0 },
	[0xfe] = { NULL, MODRM | BYTE | BY_REG, group_inc8 },
	[0xff] = { NULL, MODRM | BY_REG, group_inc },
};

static const struct emu_opcode group_0f00[8] = {
	[0 ... 1] = { emu_exec_store_selector, 0 },
	[2] = { emu_exec_lldt, SRC_RM16 | CPL0 },
	[3] = { emu_exec_ltr, SRC_RM16 | CPL0 },
	[4 ... 5] = { emu_exec_verr, SRC_RM16 },
	[6 ... 7] = { NULL, INVALID },
};

static const struct emu_opcode group_vmcall[8] = { [1] = { emu_exec_hypercall, 0 } };
static const struct emu_opcode group_xsetbv[8] = {
	[0] = { emu_exec_xgetbv, 0 },
	[1] = { emu_exec_xsetbv, 0 },
};

static const struct emu_opcode group_vmmcall[8] = { [1] = { emu_exec_hypercall, 0 } };
static const struct emu_opcode group_rdtscp[8] = {
	[0] = { emu_exec_swapgs, 0 },
	[1] = { emu_exec_rdtscp, 0, NEEDS(FEATURE_RDTSCP) },
};

static const struct emu_opcode group_monitor[8] = {
	[0] = { emu_exec_monitor, 0 },
	[1] = { emu_exec_mwait, 0 },
	[2 ... 3] = { emu_exec_ac_flag, 0 },
};

static const struct emu_opcode prefix_rdpkru[4] = {
	{ emu_exec_rdpkru, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 },
};

static const struct emu_opcode prefix_wrpkru[4] = {
	{ emu_exec_wrpkru, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 },
};

static const struct emu_opcode group_pkru[8] = {
	[6] = { NULL, BY_PREFIX, prefix_rdpkru },
	[7] = { NULL, BY_PREFIX, prefix_wrpkru },
};

static const struct emu_opcode mod_0f01[8][2] = {
	{ { emu_exec_store_dt, 0 }, { NULL, BY_RM, group_vmcall } },
	{ { emu_exec_store_dt, 0 }, { NULL, BY_RM, group_monitor } },
	{ { emu_exec_load_dt, CPL0 }, { NULL, BY_RM, group_xsetbv } },
	{ { emu_exec_load_dt, CPL0 }, { NULL, BY_RM, group_vmmcall } },
	{ { NULL, 0 }, { NULL, 0 } },
	{ { NULL, 0 }, { NULL, BY_RM, group_pkru } },	/* RSTORSSP, ... */
	{ { NULL, 0 }, { NULL, 0 } },
	{ { emu_exec_invlpg, CPL0 }, { NULL, BY_RM, group_rdtscp } },
};

static const struct emu_opcode group_0f01[8] = {
	{ NULL, BY_MOD, mod_0f01[0] },
	{ NULL, BY_MOD, mod_0f01[1] },
	{ NULL, BY_MOD, mod_0f01[2] },
	{ NULL, BY_MOD, mod_0f01[3] },
	{ emu_exec_smsw, 0 },
	{ NULL, BY_MOD, mod_0f01[5] },
	{ emu_exec_lmsw, SRC_RM16 | CPL0 },
	{ NULL, BY_MOD, mod_0f01[7] },
};

/* Fences and cache line flushes order and flush nothing that a guest could tell from here. */
static const struct emu_opcode mem_or_fence[2] = { { NULL, 0 }, { emu_exec_nop, 0 } };
static const struct emu_opcode clflush_or_sfence[2] = {
	{ emu_exec_clflush, 0 }, { emu_exec_nop, 0 },
};

static const struct emu_opcode clflushopt_or_other[2] = { { emu_exec_clflush, 0 }, { NULL, 0 } };

static const struct emu_opcode prefix_fence[4] = {
	{ NULL, BY_MOD, mem_or_fence }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 },
};

static const struct emu_opcode prefix_clflush[4] = {
	{ NULL, BY_MOD, clflush_or_sfence }, { NULL, BY_MOD, clflushopt_or_other },
	{ NULL, 0 }, { NULL, 0 },
};

/* With F3: RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE */
#define FPU_IMAGE(name)									\
static const struct emu_opcode mod_##name[2] = { { emu_exec_##name, 0 }, { NULL, 0 } };		\
static const struct emu_opcode prefix_##name[4] = {						\
	{ NULL, BY_MOD, mod_##name }, { NULL, 0 },						\
	{ emu_exec_fsgs_base, REG | DQ, NEEDS(FEATURE_FSGSBASE) }, { NULL, 0 },						\
}

FPU_IMAGE(fxsave);
FPU_IMAGE(fxrstor);
FPU_IMAGE(ldmxcsr);
FPU_IMAGE(stmxcsr);

static const struct emu_opcode group_0fae[8] = {
	[0] = { NULL, BY_PREFIX, prefix_fxsave },
	[1] = { NULL, BY_PREFIX, prefix_fxrstor },
	[2] = { NULL, BY_PREFIX, prefix_ldmxcsr },
	[3] = { NULL, BY_PREFIX, prefix_stmxcsr },
	[5 ... 6] = { NULL, BY_PREFIX, prefix_fence },
	[7] = { NULL, BY_PREFIX, prefix_clflush },
};

static const struct emu_opcode group_bt[8] = {
	[0 ... 3] = { NULL, INVALID },
	[4] = { emu_exec_bt, READ },
	[5 ... 7] = { emu_exec_bt, MODIFY | LOCK },
};

static const struct emu_opcode cmpxchg8b_or_rd[2] = {
	{ emu_exec_cmpxchg8b, LOCK },
	{ NULL, INVALID },
};

/* RDSEED but for F3 */
static const struct emu_opcode prefix_rdpid[4] = {
	{ NULL, 0 }, { NULL, 0 }, { emu_exec_rdpid, 0, NEEDS(FEATURE_RDPID) }, { NULL, 0 },
};

static const struct emu_opcode mod_rdpid[2] = { { NULL, 0 }, { NULL, BY_PREFIX, prefix_rdpid } };

static const struct emu_opcode group_0fc7[8] = {
	[0] = { NULL, INVALID },
	[1] = { NULL, BY_MOD, cmpxchg8b_or_rd },
	[2] = { NULL, INVALID },
	[7] = { NULL, BY_MOD, mod_rdpid },
};

static const struct emu_opcode prefix_popcnt[4] = {
	{ NULL, INVALID }, { NULL, INVALID },
	{ emu_exec_popcnt, DST_REG | SRC_RM, NEEDS(FEATURE_POPCNT) }, { NULL, INVALID },
};

static const struct emu_opcode prefix_bsf[4] = {
	{ emu_exec_bsf, DST_REG | SRC_RM }, { emu_exec_bsf, DST_REG | SRC_RM },
	{ emu_exec_tzcnt, DST_REG | SRC_RM }, { emu_exec_bsf, DST_REG | SRC_RM },
};

static const struct emu_opcode prefix_bsr[4] = {
	{ emu_exec_bsr, DST_REG | SRC_RM }, { emu_exec_bsr, DST_REG | SRC_RM },
	{ emu_exec_lzcnt, DST_REG | SRC_RM }, { emu_exec_bsr, DST_REG | SRC_RM },
};

/* EXTRQ and INSERTQ have two immediates, VMREAD none. */
static const struct emu_opcode prefix_0f78[4] = {
	{ NULL, 0 }, { NULL, IMM_8_8 }, { NULL, 0 }, { NULL, IMM_8_8 },
};

/* SSE moves, by mandatory prefix: none, 66, F3, F2 */
static const struct emu_opcode prefix_0f10[4] = {
	{ emu_exec_vec_load, 0 }, { emu_exec_vec_load, 0 },
	{ emu_exec_vec_load_scalar, 0 }, { emu_exec_vec_load_scalar, 0 },
};

static const struct emu_opcode prefix_0f11[4] = {
	{ emu_exec_vec_store, 0 }, { emu_exec_vec_store, 0 },
	{ emu_exec_vec_store_scalar, 0 }, { emu_exec_vec_store_scalar, 0 },
};

static const struct emu_opcode prefix_0f12[4] = {
	{ emu_exec_vec_load_half, 0 }, { emu_exec_vec_load_half, MEM },
	{ emu_exec_vec_load_dup, 0 }, { emu_exec_vec_load_dup, 0 },
};

static const struct emu_opcode prefix_0f16[4] = {
	{ emu_exec_vec_load_half, 0 }, { emu_exec_vec_load_half, MEM },
	{ emu_exec_vec_load_dup, 0 }, { NULL, INVALID },
};

static const struct emu_opcode prefix_store_half[4] = {
	{ emu_exec_vec_store_half, MEM }, { emu_exec_vec_store_half, MEM },
	{ NULL, INVALID }, { NULL, INVALID },
};

static const struct emu_opcode prefix_0f28[4] = {
	{ emu_exec_vec_load_aligned, 0 }, { emu_exec_vec_load_aligned, 0 },
	{ NULL, INVALID }, { NULL, INVALID },
};

static const struct emu_opcode prefix_0f29[4] = {
	{ emu_exec_vec_store_aligned, 0 }, { emu_exec_vec_store_aligned, 0 },
	{ NULL, INVALID }, { NULL, INVALID },
};

/* F3 and F2 are AMD's scalar MOVNT */
static const struct emu_opcode prefix_0f2b[4] = {
	{ emu_exec_vec_store_aligned, MEM }, { emu_exec_vec_store_aligned, MEM },
	{ NULL, 0 }, { NULL, 0 },
};

static const struct emu_opcode prefix_0f6e[4] = {
	{ emu_exec_mmx_from_gpr, 0 }, { emu_exec_vec_from_gpr, 0 },
	{ NULL, INVALID }, { NULL, INVALID },
};

static const struct emu_opcode prefix_0f6f[4] = {
	{ emu_exec_mmx_load, 0 }, { emu_exec_vec_load_aligned, 0 },
	{ emu_exec_vec_load, 0 }, { NULL, INVALID },
};

static const struct emu_opcode prefix_0f7e[4] = {
	{ emu_exec_mmx_to_gpr, 0 }, { emu_exec_vec_to_gpr, 0 },
	{ emu_exec_vec_load_q, 0 }, { NULL, INVALID },
};

static const struct emu_opcode prefix_0f7f[4] = {
	{ emu_exec_mmx_store, 0 }, { emu_exec_vec_store_aligned, 0 },
	{ emu_exec_vec_store, 0 }, { NULL, INVALID },
};

static const struct emu_opcode prefix_0fc3[4] = {
	{ emu_exec_mov, DST_RM | SRC_REG | WRITE | MEM | DQ }, { NULL, INVALID },
	{ NULL, INVALID }, { NULL, INVALID },
};

static const struct emu_opcode prefix_0fd6[4] = {
	{ NULL, INVALID }, { emu_exec_vec_store_q, 0 },
	{ emu_exec_mmx_to_vec, REG }, { emu_exec_mmx_from_vec, REG },
};

static const struct emu_opcode prefix_0f77[4] = {
	{ emu_exec_emms, 0 }, { NULL, INVALID }, { NULL, INVALID }, { NULL, INVALID },
};

static const struct emu_opcode prefix_0fc4[4] = {
	{ emu_exec_mmx_insert, 0 }, { emu_exec_vec_insert, 0 },
	{ NULL, INVALID }, { NULL, INVALID },
};

static const struct emu_opcode prefix_0fc5[4] = {
	{ emu_exec_mmx_extract, REG }, { emu_exec_vec_extract_word, REG },
	{ NULL, INVALID }, { NULL, INVALID },
};

static const struct emu_opcode prefix_0ff7[4] = {
	{ emu_exec_mmx_maskmov, REG }, { emu_exec_vec_maskmov, REG },
	{ NULL, INVALID }, { NULL, INVALID },
};

static const struct emu_opcode prefix_0fe7[4] = {
	{ emu_exec_mmx_store, MEM }, { emu_exec_vec_store_aligned, MEM },
	{ NULL, INVALID }, { NULL, INVALID },
};

static const struct emu_opcode prefix_0ff0[4] = {
	{ NULL, INVALID }, { NULL, INVALID }, { NULL, INVALID }, { emu_exec_vec_load, MEM },
};

const struct emu_opcode emu_map_0f[256] = {
	[0x00] = { NULL, MODRM | PROT | BY_REG, group_0f00 },
	[0x01] = { NULL, MODRM | BY_REG, group_0f01 },
	[0x02 ... 0x03] = { emu_exec_lar, MODRM | PROT | DST_REG | SRC_RM16 | WRITE },
	[0x04] = { NULL, INVALID },
	[0x05] = { emu_exec_syscall, 0 },
	[0x06] = { emu_exec_clts, CPL0 },
	[0x07] = { emu_exec_sysret, 0 },
	[0x08 ... 0x09] = { emu_exec_wbinvd, CPL0 },
	[0x0a ... 0x0c] = { NULL, INVALID },
	[0x0d] = { emu_exec_prefetch, MODRM },
	[0x0f] = { NULL, MODRM | IMM_8 },	/* 3DNow! */
	[0x10] = { NULL, MODRM | BY_PREFIX, prefix_0f10 },
	[0x11] = { NULL, MODRM | BY_PREFIX, prefix_0f11 },
	[0x12] = { NULL, MODRM | BY_PREFIX, prefix_0f12 },
	[0x13] = { NULL, MODRM | BY_PREFIX, prefix_store_half },
	[0x14 ... 0x15] = { NULL, MODRM },
	[0x16] = { NULL, MODRM | BY_PREFIX, prefix_0f16 },
	[0x17] = { NULL, MODRM | BY_PREFIX, prefix_store_half },
	EIGHT(0x18) = { emu_exec_nop, MODRM },
	[0x20] = { emu_exec_mov_from_cr, MODRM | NATIVE | CPL0 },
	[0x21] = { emu_exec_mov_from_dr, MODRM | NATIVE | CPL0 },
	[0x22] = { emu_exec_mov_to_cr, MODRM | NATIVE | CPL0 | SRC_RM },
	[0x23] = { emu_exec_mov_to_dr, MODRM | NATIVE | CPL0 | SRC_RM },
	[0x24 ... 0x27] = { NULL, INVALID },
	[0x28] = { NULL, MODRM | BY_PREFIX, prefix_0f28 },
	[0x29] = { NULL, MODRM | BY_PREFIX, prefix_0f29 },
	[0x2a] = { NULL, MODRM },
	[0x2b] = { NULL, MODRM | BY_PREFIX, prefix_0f2b },
	[0x2c ... 0x2f] = { NULL, MODRM },
	[0x30] = { emu_exec_wrmsr, CPL0 },
	[0x31] = { emu_exec_rdtsc, 0 },
	[0x32] = { emu_exec_rdmsr, CPL0 },
	[0x33] = { emu_exec_rdpmc, 0 },
	[0x34] = { emu_exec_sysenter, 0 },
	[0x35] = { emu_exec_sysexit, 0 },
	[0x36] = { NULL, INVALID },
	[0x39] = { NULL, INVALID },
	[0x3b ... 0x3f] = { NULL, INVALID },
	SIXTEEN(0x40) = { emu_exec_cmovcc, MODRM | DST_REG | SRC_RM | READ | WRITE },
	[0x50 ... 0x6d] = { NULL, MODRM },
	[0x6e] = { NULL, MODRM | BY_PREFIX, prefix_0f6e },
	[0x6f] = { NULL, MODRM | BY_PREFIX, prefix_0f6f },
	[0x70 ... 0x73] = { NULL, MODRM | IMM_8 },
	[0x74 ... 0x76] = { NULL, MODRM },
	[0x77] = { NULL, BY_PREFIX, prefix_0f77 },
	[0x78] = { NULL, MODRM | BY_PREFIX, prefix_0f78 },
	[0x79 ... 0x7d] = { NULL, MODRM },
	[0x7e] = { NULL, MODRM | BY_PREFIX, prefix_0f7e },
	[0x7f] = { NULL, MODRM | BY_PREFIX, prefix_0f7f },

	SIXTEEN(0x80) = { emu_exec_jcc, IMM_REL | F64 },
	SIXTEEN(0x90) = { emu_exec_setcc, MODRM | DST_RM | BYTE | WRITE },
	[0xa0] = { emu_exec_push_seg, D64 },
	[0xa1] = { emu_exec_pop_seg, D64 },
	[0xa2] = { emu_exec_cpuid, 0 },
	[0xa3] = { emu_exec_bt, MODRM | DST_RM | SRC_REG | READ | BITBASE },
	[0xa4] = { emu_exec_shld, MODRM | DST_RM | SRC_REG | IMM_8 | MODIFY },
	[0xa5] = { emu_exec_shld, MODRM | DST_RM | SRC_REG | MODIFY },
	[0xa6 ... 0xa7] = { NULL, INVALID },
	[0xa8] = { emu_exec_push_seg, D64 },
	[0xa9] = { emu_exec_pop_seg, D64 },
	[0xaa] = { emu_exec_rsm, 0 },
	[0xab] = { emu_exec_bt, MODRM | DST_RM | SRC_REG | MODIFY | LOCK | BITBASE },
	[0xac] = { emu_exec_shrd, MODRM | DST_RM | SRC_REG | IMM_8 | MODIFY },
	[0xad] = { emu_exec_shrd, MODRM | DST_RM | SRC_REG | MODIFY },
	[0xae] = { NULL, MODRM | BY_REG, group_0fae },
	[0xaf] = { emu_exec_imul2, MODRM | DST_REG | SRC_RM | READ | WRITE },
	[0xb0] = { emu_exec_cmpxchg, MODRM | DST_RM | SRC_REG | BYTE | MODIFY | LOCK },
	[0xb1] = { emu_exec_cmpxchg, MODRM | DST_RM | SRC_REG | MODIFY | LOCK },
	[0xb2] = { emu_exec_load_far, MODRM | DST_REG | MEM },
	[0xb3] = { emu_exec_bt, MODRM | DST_RM | SRC_REG | MODIFY | LOCK | BITBASE },
	[0xb4 ... 0xb5] = { emu_exec_load_far, MODRM | DST_REG | MEM },
	[0xb6] = { emu_exec_mov, MODRM | DST_REG | SRC_RM8 | WRITE },
	[0xb7] = { emu_exec_mov, MODRM | DST_REG | SRC_RM16 | WRITE },
	[0xb8] = { NULL, MODRM | BY_PREFIX, prefix_popcnt },
	[0xb9] = { NULL, MODRM | INVALID },
	[0xba] = { NULL, MODRM | DST_RM | SRC_IMM | IMM_8 | BY_REG, group_bt },
	[0xbb] = { emu_exec_bt, MODRM | DST_RM | SRC_REG | MODIFY | LOCK | BITBASE },
	[0xbc] = { NULL, MODRM | BY_PREFIX, prefix_bsf },
	[0xbd] = { NULL, MODRM | BY_PREFIX, prefix_bsr },
	[0xbe] = { emu_exec_movsx, MODRM | DST_REG | SRC_RM8 | WRITE },
	[0xbf] = { emu_exec_movsx, MODRM | DST_REG | SRC_RM16 | WRITE },

	[0xc0] = { emu_exec_xadd, MODRM | DST_RM | SRC_REG | BYTE | MODIFY | LOCK },
	[0xc1] = { emu_exec_xadd, MODRM | DST_RM | SRC_REG | MODIFY | LOCK },
	[0xc2] = { NULL, MODRM | IMM_8 },
	[0xc3] = { NULL, MODRM | BY_PREFIX, prefix_0fc3 },
	[0xc4] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_0fc4 },
	[0xc5] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_0fc5 },
	[0xc6] = { NULL, MODRM | IMM_8 },
	[0xc7] = { NULL, MODRM | BY_REG, group_0fc7 },
	EIGHT(0xc8) = { emu_exec_bswap, DST_OPREG | MODIFY },
	[0xd0 ... 0xd5] = { NULL, MODRM },
	[0xd6] = { NULL, MODRM | BY_PREFIX, prefix_0fd6 },
	[0xd7 ... 0xe6] = { NULL, MODRM },
	[0xe7] = { NULL, MODRM | BY_PREFIX, prefix_0fe7 },
	[0xe8 ... 0xef] = { NULL, MODRM },
	[0xf0] = { NULL, MODRM | BY_PREFIX, prefix_0ff0 },
	[0xf1 ... 0xf6] = { NULL, MODRM },
	[0xf7] = { NULL, MODRM | BY_PREFIX, prefix_0ff7 },
	[0xf8 ... 0xfe] = { NULL, MODRM },
	[0xff] = { NULL, MODRM | INVALID },
};

static const struct emu_opcode prefix_382a[4] = {
	{ NULL, INVALID }, { emu_exec_vec_load_aligned, MEM }, { NULL, INVALID }, { NULL, INVALID },
};

static const struct emu_opcode prefix_3882[4] = {
	{ NULL, INVALID }, { emu_exec_invpcid, MEM | CPL0, NEEDS(FEATURE_INVPCID) },
	{ NULL, INVALID }, { NULL, INVALID },
};

static const struct emu_opcode prefix_38f0[4] = {
	{ emu_exec_movbe, DST_REG | SRC_RM | WRITE | MEM, NEEDS(FEATURE_MOVBE) },
	{ emu_exec_movbe, DST_REG | SRC_RM | WRITE | MEM, NEEDS(FEATURE_MOVBE) },
	{ NULL, INVALID },
	{ emu_exec_crc32, SRC_RM8, NEEDS(FEATURE_CRC32) },
};

static const struct emu_opcode prefix_38f1[4] = {
	{ emu_exec_movbe, DST_RM | SRC_REG | WRITE | MEM, NEEDS(FEATURE_MOVBE) },
	{ emu_exec_movbe, DST_RM | SRC_REG | WRITE | MEM, NEEDS(FEATURE_MOVBE) },
	{ NULL, INVALID },
	{ emu_exec_crc32, SRC_RM, NEEDS(FEATURE_CRC32) },
};

static const struct emu_opcode prefix_38f6[4] = {
	{ NULL, 0 },	/* WRSS */
	{ emu_exec_adx, DST_REG | SRC_RM | READ | WRITE | DQ, NEEDS(FEATURE_ADX) },
	{ emu_exec_adx, DST_REG | SRC_RM | READ | WRITE | DQ, NEEDS(FEATURE_ADX) },
	{ NULL, INVALID },
};

static const struct emu_opcode prefix_38f8[4] = {
	{ NULL, INVALID }, { emu_exec_movdir64b, MEM, NEEDS(FEATURE_MOVDIR64B) },
	{ NULL, 0 }, { NULL, 0 },	/* ENQCMDS, ENQCMD */
};

static const struct emu_opcode prefix_38f9[4] = {
	{ emu_exec_movdiri, DST_RM | SRC_REG | WRITE | MEM | DQ, NEEDS(FEATURE_MOVDIRI) },
	{ NULL, INVALID }, { NULL, INVALID }, { NULL, INVALID },
};

static const struct emu_opcode map_0f38[256] = {
	[0x2a] = { NULL, MODRM | BY_PREFIX, prefix_382a },
	[0x82] = { NULL, MODRM | BY_PREFIX, prefix_3882 },
	[0xf0] = { NULL, MODRM | BY_PREFIX, prefix_38f0 },
	[0xf1] = { NULL, MODRM | BY_PREFIX, prefix_38f1 },
	[0xf6] = { NULL, MODRM | BY_PREFIX, prefix_38f6 },
	[0xf8] = { NULL, MODRM | BY_PREFIX, prefix_38f8 },
	[0xf9] = { NULL, MODRM | BY_PREFIX, prefix_38f9 },
};

static const struct emu_opcode prefix_extract[4] = {
	{ NULL, INVALID }, { emu_exec_vec_extract, 0 }, { NULL, INVALID }, { NULL, INVALID },
};

static const struct emu_opcode prefix_insert[4] = {
	{ NULL, INVALID }, { emu_exec_vec_insert, 0 }, { NULL, INVALID }, { NULL, INVALID },
};

static const struct emu_opcode map_0f3a[256] = {
	[0x14 ... 0x17] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_extract },
	[0x20] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_insert },
	[0x22] = { NULL, MODRM | IMM_8 | BY_PREFIX, prefix_insert },
};

/* Vector arithmetic, unless they are listed */
static const struct emu_opcode unlisted_38 = { NULL, MODRM };
static const struct emu_opcode unlisted_3a = { NULL, MODRM | IMM_8 };

const struct emu_opcode *emu_map_0f38(u8 opcode)
{
	return map_0f38[opcode].flags ? &map_0f38[opcode] : &unlisted_38;
}

const struct emu_opcode *emu_map_0f3a(u8 opcode)
{
	return map_0f3a[opcode].flags ? &map_0f3a[opcode] : &unlisted_3a;
}
