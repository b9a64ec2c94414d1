/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the emulator's own files share: the shape of an opcode's table entry, the accessors of
 * operands and of the guest's state, and the functions that the tables name. Callers of the
 * emulator need none of it.
 */
#ifndef EMULATE_OPCODE_H
#define EMULATE_OPCODE_H

#include "emulate.h"

/* A bit of CPUID; reg: 0 EAX, 1 EBX, 2 ECX, 3 EDX */
struct emu_feature {
	u32 leaf;
	unsigned int reg;
	u32 bit;
};

/*
 * One entry of an opcode map. Before exec() runs, the operands that flags name have been loaded
 * into emu->src and emu->dst; after it emu->dst is stored if flags says so. An entry without exec
 * is known by its length only.
 */
struct emu_opcode {
	int (*exec)(struct emulator *emu);
	u32 flags;
	/*
	 * With one of the BY_ flags, a table of struct emu_opcode. Else NULL, or the struct emu_feature
	 * without which the instruction raises #UD.
	 */
	const void *more;
};

#define NEEDS(...)	&(const struct emu_feature){ __VA_ARGS__ }

/* Destination operand */
#define DST_MASK	0x00000007u
#define DST_RM		0x00000001u
#define DST_REG		0x00000002u
#define DST_ACC		0x00000003u
#define DST_OPREG	0x00000004u	/* the register in the opcode's low three bits */

/* Source operand */
#define SRC_MASK	0x00000078u
#define SRC_RM		0x00000008u
#define SRC_REG		0x00000010u
#define SRC_ACC		0x00000018u
#define SRC_IMM		0x00000020u
#define SRC_ONE		0x00000028u
#define SRC_CL		0x00000030u
#define SRC_RM8		0x00000038u	/* r/m of a fixed width, whatever the operand size */
#define SRC_RM16	0x00000040u
#define SRC_RM32	0x00000048u
#define SRC_OPREG	0x00000050u

/* Immediate */
#define IMM_MASK	0x00000780u
#define IMM_8		0x00000080u
#define IMM_S8		0x00000100u	/* sign-extended */
#define IMM_16		0x00000180u
#define IMM_Z		0x00000200u	/* operand size, 4 at most, sign-extended */
#define IMM_V		0x00000280u	/* operand size, 8 too */
#define IMM_OFFSET	0x00000300u	/* an address, which makes the r/m operand */
#define IMM_FAR		0x00000380u	/* selector:offset */
#define IMM_16_8	0x00000400u
#define IMM_8_8		0x00000480u
#define IMM_REL		0x00000500u	/* branch displacement, operand size, 4 at most */

#define MODRM		0x00000800u
#define BYTE		0x00001000u	/* operands are bytes */
#define READ		0x00002000u	/* destination is read */
#define WRITE		0x00004000u	/* destination is written */
#define LOCK		0x00008000u	/* LOCK is allowed if the destination is memory */
#define D64		0x00010000u	/* default operand size is 8 in 64-bit mode */
#define F64		0x00020000u	/* operand size is 8 in 64-bit mode: near branches */
#define NO64		0x00040000u	/* #UD in 64-bit mode */
#define PROT		0x00080000u	/* #UD in real and virtual-8086 mode */
#define CPL0		0x00100000u
#define MEM		0x00200000u	/* #UD with a register */
#define REG		0x00400000u	/* #UD with memory */
#define MAX32		0x00800000u	/* operand size is 4 at most */
#define WORD		0x08000000u	/* operands are 16 bits */
#define DQ		(BYTE | WORD)	/* operands are 32 bits, or 64 with REX.W */
/* Control and debug registers: operand size is 8 in 64-bit mode, else 4; ModRM.mod is taken as 3 */
#define NATIVE		0x10000000u
#define INVALID		0x20000000u	/* #UD */
#define BITBASE		0x80000000u	/* bit string: the source moves the memory operand */
#define UNKNOWN		0x40000000u	/* not even the length is known */

/* Rows of VEX maps, which have no use for these bits */
#define VEX_V		LOCK		/* vvvv is an operand */
#define VEX_L0		D64		/* #UD with 256 bits */
#define VEX_L1		F64		/* #UD with 128 bits */
#define VEX_W0		NO64		/* #UD with W */
#define VEX_W64		PROT		/* AMD: #UD with W outside 64-bit mode, where Intel ignores it */

/* The entry is a table of entries, chosen by */
#define BY_MASK		0x07000000u
#define BY_REG		0x01000000u	/* ModRM.reg */
#define BY_RM		0x02000000u	/* ModRM.rm */
#define BY_MOD		0x03000000u	/* memory, register */
#define BY_PREFIX	0x04000000u	/* none, 66, f3, f2 */
#define BY_MODE		0x05000000u	/* other modes, 64-bit mode */

#define MODIFY		(READ | WRITE)

/* Returned by exec(): done, and the destination has been stored or is to stay as it is. */
#define EXEC_STORED	0x100

extern const struct emu_opcode emu_map_one[256];
extern const struct emu_opcode emu_map_0f[256];
const struct emu_opcode *emu_map_0f38(u8 opcode);
const struct emu_opcode *emu_map_0f3a(u8 opcode);
const struct emu_opcode *emu_map_vex(u8 map, u8 opcode, bool clash);
extern const struct emu_opcode emu_map_x87[8][2];

/* Values of emu_insn.base and .index that are no register */
#define EMU_BASE_NONE	0xff
#define EMU_BASE_RIP	0xfe

/* RFLAGS */
#define FLAG_CF		0x00000001ul
#define FLAG_FIXED	0x00000002ul
#define FLAG_PF		0x00000004ul
#define FLAG_AF		0x00000010ul
#define FLAG_ZF		0x00000040ul
#define FLAG_SF		0x00000080ul
#define FLAG_TF		0x00000100ul
#define FLAG_IF		0x00000200ul
#define FLAG_DF		0x00000400ul
#define FLAG_OF		0x00000800ul
#define FLAG_IOPL	0x00003000ul
#define FLAG_NT		0x00004000ul
#define FLAG_RF		0x00010000ul
#define FLAG_VM		0x00020000ul
#define FLAG_AC		0x00040000ul
#define FLAG_VIF	0x00080000ul
#define FLAG_VIP	0x00100000ul
#define FLAG_ID		0x00200000ul
#define FLAG_LOADABLE	(FLAG_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF | \
			 FLAG_VM | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID)
#define FLAG_ARITH	(FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

/* Control registers and EFER, as far as instructions look at them */
#define CR0_PE		0x00000001ul
#define CR0_MP		0x00000002ul
#define CR0_EM		0x00000004ul
#define CR0_TS		0x00000008ul
#define CR0_NE		0x00000020ul
#define CR0_AM		0x00040000ul
#define CR0_PG		0x80000000ul
#define CR4_VME		0x00000001ul
#define CR4_PVI		0x00000002ul
#define CR4_TSD		0x00000004ul
#define CR4_DE		0x00000008ul
#define CR4_PCE		0x00000100ul
#define CR4_OSFXSR	0x00000200ul
#define CR4_UMIP	0x00000800ul
#define CR4_LA57	0x00001000ul
#define CR4_FSGSBASE	0x00010000ul
#define CR4_PCIDE	0x00020000ul
#define CR4_OSXSAVE	0x00040000ul
#define CR4_PKE		0x00400000ul
#define EMU_MSR_EFER	0xc0000080u
#define EFER_LMA_BIT	0x00000400ul
#define EFER_FFXSR_BIT	0x00004000ul
#define XCR0_AVX	0x00000006ul	/* SSE and AVX state */

/* Exception vectors */
enum {
	VECTOR_DE = 0, VECTOR_DB = 1, VECTOR_BP = 3, VECTOR_OF = 4, VECTOR_BR = 5, VECTOR_UD = 6,
	VECTOR_NM = 7, VECTOR_TS = 10, VECTOR_NP = 11, VECTOR_SS = 12, VECTOR_GP = 13,
	VECTOR_MF = 16, VECTOR_AC = 17,
};

/* interrupt.c: SOFT are INT n, INT3 and INTO, which the gate must allow */
enum emu_event { EMU_EVENT_SOFT, EMU_EVENT_HARD };

/* execute.c: before and after; length is the instruction's */
void emu_begin(struct emulator *emu, unsigned int length);
int emu_finish(struct emulator *emu, int rc);

/* execute.c: storing the operands that the opcode's entry names */
int emu_store_dst(struct emulator *emu);
int emu_store_dst_and_reg(struct emulator *emu, u64 reg_val);
int emu_store_rm(struct emulator *emu, u64 val, unsigned int size);

/* operand.c: faults, registers, addresses, memory */
int emu_raise(struct emulator *emu, u8 vector);
int emu_raise_error(struct emulator *emu, u8 vector, u32 error);
u64 emu_get_gpr(struct emulator *emu, unsigned int nr, unsigned int size);
void emu_set_gpr(struct emulator *emu, unsigned int nr, unsigned int size, u64 val);
const struct emu_segment *emu_segment(struct emulator *emu, unsigned int seg);
bool emu_canonical57(struct emulator *emu, u64 linear);
int emu_linear(struct emulator *emu, unsigned int seg, u64 offset, unsigned int size, bool write,
	       u64 *linear);
int emu_linear_unaligned(struct emulator *emu, unsigned int seg, u64 offset, unsigned int size,
			 bool write, u64 *linear);
int emu_check_alignment(struct emulator *emu, u64 linear, unsigned int align);
bool emu_within_limit(const struct emu_segment *s, u64 offset, unsigned int size);
int emu_read_mem(struct emulator *emu, unsigned int seg, u64 offset, void *buf, unsigned int size);
int emu_write_mem(struct emulator *emu, unsigned int seg, u64 offset, const void *buf,
		  unsigned int size);
int emu_read_value(struct emulator *emu, unsigned int seg, u64 offset, u64 *val, unsigned int size);
int emu_has_feature(struct emulator *emu, u32 leaf, unsigned int reg, u32 bit, bool *has);
int emu_require(struct emulator *emu, u32 leaf, unsigned int reg, u32 bit);

/* Bits of CPUID for NEEDS(), emu_has_feature() and emu_require(): leaf, register, bit */
#define FEATURE_SSE3		1, 2, 1u << 0
#define FEATURE_CMPXCHG16B	1, 2, 1u << 13
#define FEATURE_SSE41		1, 2, 1u << 19
#define FEATURE_CRC32		1, 2, 1u << 20	/* SSE4.2 */
#define FEATURE_MOVBE		1, 2, 1u << 22
#define FEATURE_POPCNT		1, 2, 1u << 23
#define FEATURE_FSGSBASE	7, 1, 1u << 0
#define FEATURE_BMI1		7, 1, 1u << 3
#define FEATURE_AVX2		7, 1, 1u << 5
#define FEATURE_BMI2		7, 1, 1u << 8
#define FEATURE_INVPCID		7, 1, 1u << 10
#define FEATURE_ADX		7, 1, 1u << 19
#define FEATURE_RDPID		7, 2, 1u << 22
#define FEATURE_MOVDIRI		7, 2, 1u << 27
#define FEATURE_MOVDIR64B	7, 2, 1u << 28
#define FEATURE_LZCNT		0x80000001, 2, 1u << 5
#define FEATURE_CR8_LEGACY	0x80000001, 2, 1u << 4
#define FEATURE_RDTSCP		0x80000001, 3, 1u << 27

/* Ones in as many bytes */
extern const u64 emu_size_mask[9];

static inline u64 emu_mask(unsigned int size)
{
	return emu_size_mask[size];
}

static inline u64 emu_sign_extend(u64 val, unsigned int size)
{
	unsigned int shift = 64 - 8 * size;

	return (u64)((s64)(val << shift) >> shift);
}

static inline bool emu_canonical(struct emulator *emu, u64 linear)
{
	return (u64)((s64)(linear << 16) >> 16) == linear || emu_canonical57(emu, linear);
}

static inline bool emu_protected(const struct emulator *emu)
{
	return emu->mode >= EMU_PROT16;
}

static inline unsigned int emu_iopl(const struct emulator *emu)
{
	return (emu->rflags & FLAG_IOPL) >> 12;
}

static inline int emu_raise_gp0(struct emulator *emu)
{
	return emu_raise_error(emu, VECTOR_GP, 0);
}

/* segment.c, with more in segment.h */
int emu_load_segment(struct emulator *emu, unsigned int seg, u16 selector);

/* task.c; rip and rflags are the new task's as soon as there is no way back */
int emu_switch_task(struct emulator *emu, u16 selector, enum emu_task_switch why, bool has_error,
		    u32 error);

/* stack.c */
unsigned int emu_stack_size(struct emulator *emu);
int emu_push(struct emulator *emu, const u64 *val, unsigned int count, unsigned int size);
int emu_stack_read(struct emulator *emu, u64 *val, unsigned int count, unsigned int size);
void emu_stack_release(struct emulator *emu, u64 bytes);
u64 emu_flags_writable(const struct emulator *emu, unsigned int size);
int emu_check_virtual_flags(struct emulator *emu, u64 image);
void emu_set_virtual_flags(struct emulator *emu, u64 image);

/* alu.c */
bool emu_condition(u64 rflags, unsigned int code);
void emu_compare(struct emulator *emu, u64 a, u64 b);

/* alu.c, bits.c: flags go through the host's own instructions */
#define FLAGS_IN	"addb $0x7f, %%al\n\tsahf\n\t"
#define FLAGS_OUT	"\n\tseto %%al\n\tlahf"

/* AH as SAHF takes it, AL = OF */
static inline u32 emu_pack_flags(u64 rflags)
{
	return (rflags & 0xff) << 8 | ((rflags >> 11) & 1);
}

static inline u64 emu_unpack_flags(u64 rflags, u32 ax)
{
	return (rflags & ~FLAG_ARITH) | ((ax >> 8) & FLAG_ARITH & 0xff) | (u64)(ax & 1) << 11;
}

/* fpu.c: who may use the FPU, and its state as a whole */
void emu_x87_set_top(struct emu_fpu *fpu, unsigned int to);
void emu_x87_update_summary(struct emu_fpu *fpu);
void emu_x87_set_control(struct emu_fpu *fpu, u16 fcw);
int emu_x87_pending(struct emulator *emu, struct emu_fpu *fpu);
int emu_x87_begin(struct emulator *emu, struct emu_fpu *fpu, bool waits);
int emu_mmx_begin(struct emulator *emu, struct emu_fpu *fpu);
int emu_vector_allowed(struct emulator *emu);
int emu_operand_linear(struct emulator *emu, unsigned int size, unsigned int align, bool write,
		       u64 *linear);

/* sse.c */
int emu_maskmov(struct emulator *emu, const u8 *val, const u8 *mask, unsigned int bytes);
int emu_store_masked(struct emulator *emu, u64 offset, const u8 *val, const u8 *mask,
		     unsigned int bytes, unsigned int size);

/* float.c: x87 formats; flags are those of the status word */
#define X87_IE		0x0001u
#define X87_DE		0x0002u
#define X87_ZE		0x0004u
#define X87_OE		0x0008u
#define X87_UE		0x0010u
#define X87_PE		0x0020u
#define X87_EXCEPTIONS	0x003fu
#define X87_SF		0x0040u
#define X87_ES		0x0080u
#define X87_C1		0x0200u
#define X87_TOP		0x3800u
#define X87_TOP_SHIFT	11
#define X87_B		0x8000u

static inline unsigned int emu_x87_top(const struct emu_fpu *fpu)
{
	return (fpu->fsw & X87_TOP) >> X87_TOP_SHIFT;
}

extern const struct emu_x87 emu_x87_indefinite;
struct emu_x87 emu_x87_from_float(u64 val, unsigned int size, u16 *flags);
struct emu_x87 emu_x87_from_int(s64 val);
u64 emu_x87_to_float(const struct emu_x87 *val, unsigned int size, u16 fcw, u16 *flags);
u64 emu_x87_to_int(const struct emu_x87 *val, unsigned int size, unsigned int rounding, u16 *flags);
struct emu_x87 emu_x87_from_bcd(const u8 bcd[10]);
void emu_x87_to_bcd(const struct emu_x87 *val, u8 bcd[10], unsigned int rounding, u16 *flags);

/* io.c */
int emu_io_allowed(struct emulator *emu, u16 port, unsigned int size);

/* What the tables run, by file */
int emu_exec_alu(struct emulator *emu);
int emu_exec_test(struct emulator *emu);
int emu_exec_inc(struct emulator *emu);
int emu_exec_dec(struct emulator *emu);
int emu_exec_not(struct emulator *emu);
int emu_exec_neg(struct emulator *emu);
int emu_exec_mul(struct emulator *emu);
int emu_exec_imul(struct emulator *emu);
int emu_exec_imul2(struct emulator *emu);
int emu_exec_imul3(struct emulator *emu);
int emu_exec_div(struct emulator *emu);
int emu_exec_idiv(struct emulator *emu);
int emu_exec_xadd(struct emulator *emu);
int emu_exec_cmpxchg(struct emulator *emu);

int emu_exec_daa(struct emulator *emu);
int emu_exec_das(struct emulator *emu);
int emu_exec_aaa(struct emulator *emu);
int emu_exec_aas(struct emulator *emu);
int emu_exec_aam(struct emulator *emu);
int emu_exec_aad(struct emulator *emu);

int emu_exec_shift(struct emulator *emu);
int emu_exec_shld(struct emulator *emu);
int emu_exec_shrd(struct emulator *emu);
int emu_exec_bt(struct emulator *emu);
int emu_exec_bsf(struct emulator *emu);
int emu_exec_bsr(struct emulator *emu);
int emu_exec_tzcnt(struct emulator *emu);
int emu_exec_lzcnt(struct emulator *emu);
int emu_exec_popcnt(struct emulator *emu);
int emu_exec_crc32(struct emulator *emu);

int emu_exec_nop(struct emulator *emu);
int emu_exec_prefetch(struct emulator *emu);
int emu_exec_clflush(struct emulator *emu);
int emu_exec_mov(struct emulator *emu);
int emu_exec_mov_from_seg(struct emulator *emu);
int emu_exec_mov_to_seg(struct emulator *emu);
int emu_exec_movsx(struct emulator *emu);
int emu_exec_movbe(struct emulator *emu);
int emu_exec_xchg(struct emulator *emu);
int emu_exec_xchg_acc(struct emulator *emu);
int emu_exec_cmpxchg8b(struct emulator *emu);
int emu_exec_bswap(struct emulator *emu);
int emu_exec_lea(struct emulator *emu);
int emu_exec_load_far(struct emulator *emu);
int emu_exec_setcc(struct emulator *emu);
int emu_exec_cmovcc(struct emulator *emu);
int emu_exec_cbw(struct emulator *emu);
int emu_exec_cwd(struct emulator *emu);
int emu_exec_xlat(struct emulator *emu);
int emu_exec_salc(struct emulator *emu);
int emu_exec_sahf(struct emulator *emu);
int emu_exec_lahf(struct emulator *emu);
int emu_exec_flag(struct emulator *emu);

int emu_exec_movs(struct emulator *emu);
int emu_exec_cmps(struct emulator *emu);
int emu_exec_stos(struct emulator *emu);
int emu_exec_lods(struct emulator *emu);
int emu_exec_scas(struct emulator *emu);
int emu_exec_ins(struct emulator *emu);
int emu_exec_outs(struct emulator *emu);

int emu_exec_push(struct emulator *emu);
int emu_exec_push_seg(struct emulator *emu);
int emu_exec_pop(struct emulator *emu);
int emu_exec_pop_rm(struct emulator *emu);
int emu_exec_pop_seg(struct emulator *emu);
int emu_exec_pusha(struct emulator *emu);
int emu_exec_popa(struct emulator *emu);
int emu_exec_pushf(struct emulator *emu);
int emu_exec_popf(struct emulator *emu);
int emu_exec_enter(struct emulator *emu);
int emu_exec_leave(struct emulator *emu);

int emu_exec_jmp(struct emulator *emu);
int emu_exec_jmp_rm(struct emulator *emu);
int emu_exec_jcc(struct emulator *emu);
int emu_exec_loop(struct emulator *emu);
int emu_exec_call(struct emulator *emu);
int emu_exec_call_rm(struct emulator *emu);
int emu_exec_ret(struct emulator *emu);
int emu_exec_jmp_far(struct emulator *emu);
int emu_exec_call_far(struct emulator *emu);
int emu_exec_ret_far(struct emulator *emu);
int emu_exec_iret(struct emulator *emu);
int emu_exec_int(struct emulator *emu);
int emu_exec_int3(struct emulator *emu);
int emu_exec_into(struct emulator *emu);
int emu_exec_int1(struct emulator *emu);
int emu_exec_jcxz(struct emulator *emu);
int emu_exec_bound(struct emulator *emu);

int emu_exec_syscall(struct emulator *emu);
int emu_exec_sysret(struct emulator *emu);
int emu_exec_sysenter(struct emulator *emu);
int emu_exec_sysexit(struct emulator *emu);
int emu_exec_swapgs(struct emulator *emu);

int emu_exec_lar(struct emulator *emu);
int emu_exec_verr(struct emulator *emu);
int emu_exec_arpl(struct emulator *emu);

int emu_exec_in(struct emulator *emu);
int emu_exec_out(struct emulator *emu);

int emu_exec_hlt(struct emulator *emu);
int emu_exec_cli(struct emulator *emu);
int emu_exec_sti(struct emulator *emu);
int emu_exec_mov_from_cr(struct emulator *emu);
int emu_exec_mov_to_cr(struct emulator *emu);
int emu_exec_mov_from_dr(struct emulator *emu);
int emu_exec_mov_to_dr(struct emulator *emu);
int emu_exec_store_dt(struct emulator *emu);
int emu_exec_load_dt(struct emulator *emu);
int emu_exec_store_selector(struct emulator *emu);
int emu_exec_lldt(struct emulator *emu);
int emu_exec_ltr(struct emulator *emu);
int emu_exec_smsw(struct emulator *emu);
int emu_exec_lmsw(struct emulator *emu);
int emu_exec_clts(struct emulator *emu);
int emu_exec_invlpg(struct emulator *emu);
int emu_exec_invpcid(struct emulator *emu);
int emu_exec_fsgs_base(struct emulator *emu);
int emu_exec_wbinvd(struct emulator *emu);
int emu_exec_rdmsr(struct emulator *emu);
int emu_exec_wrmsr(struct emulator *emu);
int emu_exec_rdtsc(struct emulator *emu);
int emu_exec_rdtscp(struct emulator *emu);
int emu_exec_rdpid(struct emulator *emu);
int emu_exec_rdpkru(struct emulator *emu);
int emu_exec_wrpkru(struct emulator *emu);
int emu_exec_rdpmc(struct emulator *emu);
int emu_exec_cpuid(struct emulator *emu);
int emu_exec_hypercall(struct emulator *emu);
int emu_exec_xgetbv(struct emulator *emu);
int emu_exec_xsetbv(struct emulator *emu);
int emu_exec_monitor(struct emulator *emu);
int emu_exec_mwait(struct emulator *emu);
int emu_exec_ac_flag(struct emulator *emu);
int emu_exec_rsm(struct emulator *emu);

int emu_exec_vec_load(struct emulator *emu);
int emu_exec_vec_load_aligned(struct emulator *emu);
int emu_exec_vec_store(struct emulator *emu);
int emu_exec_vec_store_aligned(struct emulator *emu);
int emu_exec_vec_load_scalar(struct emulator *emu);
int emu_exec_vec_store_scalar(struct emulator *emu);
int emu_exec_vec_load_half(struct emulator *emu);
int emu_exec_vec_store_half(struct emulator *emu);
int emu_exec_vec_load_dup(struct emulator *emu);
int emu_exec_vec_load_q(struct emulator *emu);
int emu_exec_vec_store_q(struct emulator *emu);
int emu_exec_vec_from_gpr(struct emulator *emu);
int emu_exec_vec_to_gpr(struct emulator *emu);
int emu_exec_vec_broadcast(struct emulator *emu);
int emu_exec_vec_load_masked(struct emulator *emu);
int emu_exec_vec_store_masked(struct emulator *emu);
int emu_exec_vec_maskmov(struct emulator *emu);
int emu_exec_vec_insert(struct emulator *emu);
int emu_exec_vec_extract(struct emulator *emu);
int emu_exec_vec_extract_word(struct emulator *emu);

int emu_exec_mmx_load(struct emulator *emu);
int emu_exec_mmx_store(struct emulator *emu);
int emu_exec_mmx_from_gpr(struct emulator *emu);
int emu_exec_mmx_to_gpr(struct emulator *emu);
int emu_exec_mmx_from_vec(struct emulator *emu);
int emu_exec_mmx_to_vec(struct emulator *emu);
int emu_exec_mmx_maskmov(struct emulator *emu);
int emu_exec_mmx_insert(struct emulator *emu);
int emu_exec_mmx_extract(struct emulator *emu);
int emu_exec_emms(struct emulator *emu);

int emu_exec_fxsave(struct emulator *emu);
int emu_exec_fxrstor(struct emulator *emu);
int emu_exec_ldmxcsr(struct emulator *emu);
int emu_exec_stmxcsr(struct emulator *emu);

int emu_exec_fld(struct emulator *emu);
int emu_exec_fld80(struct emulator *emu);
int emu_exec_fild(struct emulator *emu);
int emu_exec_fbld(struct emulator *emu);
int emu_exec_fst(struct emulator *emu);
int emu_exec_fst80(struct emulator *emu);
int emu_exec_fist(struct emulator *emu);
int emu_exec_fisttp(struct emulator *emu);
int emu_exec_fbstp(struct emulator *emu);
int emu_exec_fldcw(struct emulator *emu);
int emu_exec_fnstcw(struct emulator *emu);
int emu_exec_fnstsw(struct emulator *emu);
int emu_exec_fldenv(struct emulator *emu);
int emu_exec_fnstenv(struct emulator *emu);
int emu_exec_frstor(struct emulator *emu);
int emu_exec_fnsave(struct emulator *emu);
int emu_exec_fninit(struct emulator *emu);
int emu_exec_fnclex(struct emulator *emu);
int emu_exec_fnop(struct emulator *emu);
int emu_exec_fwait(struct emulator *emu);

int emu_exec_andn(struct emulator *emu);
int emu_exec_bls(struct emulator *emu);
int emu_exec_bzhi(struct emulator *emu);
int emu_exec_bextr(struct emulator *emu);
int emu_exec_pext(struct emulator *emu);
int emu_exec_pdep(struct emulator *emu);
int emu_exec_mulx(struct emulator *emu);
int emu_exec_rorx(struct emulator *emu);
int emu_exec_shiftx(struct emulator *emu);
int emu_exec_adx(struct emulator *emu);
int emu_exec_movdiri(struct emulator *emu);
int emu_exec_movdir64b(struct emulator *emu);

#endif
