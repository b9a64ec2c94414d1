// SPDX-License-Identifier: GPL-2.0
/*
 * x87 instructions that move something between a register and memory, or the state of the unit:
 * loads and stores of all formats, the control and status words, the environment. No arithmetic,
 * and no moves from register to register. They work on an image as FXSAVE makes it, so no exception
 * of the guest's can happen here. APM volume 5; volume 1, chapter 6.
 */
#include "opcode.h"

#define FCW_INITIAL	0x037fu
#define ROUND_ZERO	3u
#define MAX_IMAGE	(28u + 8 * 10)

static inline bool is_empty(const struct emu_fpu *fpu, unsigned int st)
{
	return !(fpu->ftw & 1u << ((emu_x87_top(fpu) + st) & 7));
}

/* The stack's top moves, and with it what the image begins with. */
static void turn(struct emu_fpu *fpu, int by)
{
	emu_x87_set_top(fpu, emu_x87_top(fpu) + by);
}

static void push(struct emu_fpu *fpu, struct emu_x87 val)
{
	turn(fpu, -1);
	fpu->st[0] = val;
	fpu->ftw |= 1u << emu_x87_top(fpu);
}

static void pop(struct emu_fpu *fpu)
{
	fpu->ftw &= ~(1u << emu_x87_top(fpu));
	turn(fpu, 1);
}

/* The end of an instruction that is no control instruction */
static void finish(struct emulator *emu, struct emu_fpu *fpu, u16 flags)
{
	const struct emu_insn *insn = &emu->insn;

	fpu->fsw = (fpu->fsw & ~X87_C1) | flags;
	emu_x87_update_summary(fpu);
	fpu->fip = emu->rip;
	fpu->fdp = insn->ea;
	fpu->fop = (insn->opcode & 7) << 8 | insn->mod << 6 | (insn->reg & 7) << 3 | (insn->rm & 7);
	emu->ops->set_fpu(emu, fpu);
}

static inline bool is_unmasked(const struct emu_fpu *fpu, u16 flags)
{
	return flags & ~fpu->fcw & X87_EXCEPTIONS;
}

/* The words of an environment have 16 or 32 bits. */
static inline unsigned int env_word(const struct emulator *emu)
{
	return emu->insn.size == 2 ? 2 : 4;
}

/* Ten bytes are aligned like eight, an environment like its words. */
static int operand(struct emulator *emu, unsigned int size, bool write, u64 *linear)
{
	unsigned int align = size == 10 ? 8 : size > 10 ? env_word(emu) : size;
	int rc;

	rc = emu_linear(emu, emu->insn.seg, emu->insn.ea, size, write, linear);
	return rc == EMU_DONE ? emu_check_alignment(emu, *linear, align) : rc;
}

static int begin_load(struct emulator *emu, struct emu_fpu *fpu, void *buf, unsigned int size)
{
	u64 linear;
	int rc;

	rc = emu_x87_begin(emu, fpu, true);
	if (rc == EMU_DONE)
		rc = operand(emu, size, false, &linear);
	return rc == EMU_DONE ? emu->ops->read(emu, linear, buf, size, 0) : rc;
}

static int write_operand(struct emulator *emu, const void *buf, unsigned int size)
{
	u64 linear;
	int rc;

	rc = operand(emu, size, true, &linear);
	return rc == EMU_DONE ? emu->ops->write(emu, linear, buf, size, 0) : rc;
}

/* What write_operand() would raise */
static int probe_operand(struct emulator *emu, unsigned int size)
{
	u64 linear;
	int rc;

	rc = operand(emu, size, true, &linear);
	return rc == EMU_DONE ? emu->ops->probe_write(emu, linear, size) : rc;
}

static int load(struct emulator *emu, struct emu_fpu *fpu, struct emu_x87 val, u16 flags)
{
	if (!is_empty(fpu, 7)) {
		flags = X87_IE | X87_SF | X87_C1;
		val = emu_x87_indefinite;
	}
	/* That the operand is denormal is told afterwards. */
	if (!is_unmasked(fpu, flags & X87_IE))
		push(fpu, val);
	finish(emu, fpu, flags);
	return EMU_DONE;
}

/* D9 is about 4 bytes, DD about 8. */
static inline unsigned int float_size(const struct emu_insn *insn)
{
	return insn->opcode & 4 ? 8 : 4;
}

int emu_exec_fld(struct emulator *emu)
{
	unsigned int size = float_size(&emu->insn);
	struct emu_x87 val;
	struct emu_fpu fpu;
	u16 flags = 0;
	u64 raw = 0;
	int rc;

	rc = begin_load(emu, &fpu, &raw, size);
	if (rc != EMU_DONE)
		return rc;
	val = emu_x87_from_float(raw, size, &flags);
	return load(emu, &fpu, val, flags);
}

int emu_exec_fld80(struct emulator *emu)
{
	struct emu_x87 val = { 0 };
	struct emu_fpu fpu;
	int rc;

	rc = begin_load(emu, &fpu, &val, 10);
	return rc == EMU_DONE ? load(emu, &fpu, val, 0) : rc;
}

/* DB is about 4 bytes, DD about 8, DF about 2, or 8 if ModRM.reg is above 3. */
static unsigned int int_size(const struct emu_insn *insn)
{
	switch (insn->opcode) {
	case 0xdb:
		return 4;
	case 0xdd:
		return 8;
	default:
		return insn->reg & 4 ? 8 : 2;
	}
}

int emu_exec_fild(struct emulator *emu)
{
	unsigned int size = int_size(&emu->insn);
	struct emu_fpu fpu;
	u64 raw = 0;
	int rc;

	rc = begin_load(emu, &fpu, &raw, size);
	if (rc != EMU_DONE)
		return rc;
	return load(emu, &fpu, emu_x87_from_int((s64)emu_sign_extend(raw, size)), 0);
}

int emu_exec_fbld(struct emulator *emu)
{
	struct emu_fpu fpu;
	u8 raw[10];
	int rc;

	rc = begin_load(emu, &fpu, raw, sizeof(raw));
	return rc == EMU_DONE ? load(emu, &fpu, emu_x87_from_bcd(raw), 0) : rc;
}

/*
 * An exception that is not masked keeps the result from memory and the operand on the stack, but
 * for the one that says that the result is not exact. AMD's processors look at the memory all the same.
 */
static int store(struct emulator *emu, struct emu_fpu *fpu, const void *val, unsigned int size,
		 bool pops, u16 flags)
{
	int rc = EMU_DONE;

	if (!is_unmasked(fpu, flags & ~X87_PE)) {
		rc = write_operand(emu, val, size);
		if (rc == EMU_DONE && pops)
			pop(fpu);
	} else {
		if (emu->insn.amd)
			rc = probe_operand(emu, size);
		flags &= ~(X87_PE | X87_C1);
	}
	if (rc != EMU_DONE)
		return rc;
	finish(emu, fpu, flags);
	return EMU_DONE;
}

/* FST is ModRM.reg 2, FSTP 3; FIST and FISTP likewise. */
static inline bool pops(const struct emu_insn *insn)
{
	return (insn->reg & 7) != 2;
}

/* What is to be stored: without a register to store, what stands for a number that is none. */
static int begin_store(struct emulator *emu, struct emu_fpu *fpu, struct emu_x87 *val, u16 *flags)
{
	int rc;

	rc = emu_x87_begin(emu, fpu, true);
	if (rc != EMU_DONE)
		return rc;
	*val = fpu->st[0];
	*flags = 0;
	if (is_empty(fpu, 0)) {
		*val = emu_x87_indefinite;
		*flags = X87_IE | X87_SF;
	}
	return EMU_DONE;
}

int emu_exec_fst(struct emulator *emu)
{
	unsigned int size = float_size(&emu->insn);
	struct emu_x87 val;
	struct emu_fpu fpu;
	u16 flags;
	u64 raw;
	int rc;

	rc = begin_store(emu, &fpu, &val, &flags);
	if (rc != EMU_DONE)
		return rc;
	raw = emu_x87_to_float(&val, size, fpu.fcw, &flags);
	return store(emu, &fpu, &raw, size, pops(&emu->insn), flags);
}

int emu_exec_fst80(struct emulator *emu)
{
	struct emu_x87 val;
	struct emu_fpu fpu;
	u16 flags;
	int rc;

	rc = begin_store(emu, &fpu, &val, &flags);
	return rc == EMU_DONE ? store(emu, &fpu, &val, 10, true, flags) : rc;
}

static inline unsigned int rounding_control(const struct emu_fpu *fpu)
{
	return (fpu->fcw >> 10) & 3;
}

static int store_int(struct emulator *emu, bool truncates)
{
	unsigned int size = int_size(&emu->insn);
	struct emu_x87 val;
	struct emu_fpu fpu;
	u16 flags;
	u64 raw;
	int rc;

	rc = begin_store(emu, &fpu, &val, &flags);
	if (rc != EMU_DONE)
		return rc;
	raw = emu_x87_to_int(&val, size, truncates ? ROUND_ZERO : rounding_control(&fpu), &flags);
	return store(emu, &fpu, &raw, size, pops(&emu->insn), flags);
}

int emu_exec_fist(struct emulator *emu)
{
	return store_int(emu, false);
}

int emu_exec_fisttp(struct emulator *emu)
{
	return store_int(emu, true);
}

int emu_exec_fbstp(struct emulator *emu)
{
	struct emu_x87 val;
	struct emu_fpu fpu;
	u8 raw[10];
	u16 flags;
	int rc;

	rc = begin_store(emu, &fpu, &val, &flags);
	if (rc != EMU_DONE)
		return rc;
	emu_x87_to_bcd(&val, raw, rounding_control(&fpu), &flags);
	return store(emu, &fpu, raw, sizeof(raw), true, flags);
}

/* ---- control --------------------------------------------------------------------------------- */

int emu_exec_fldcw(struct emulator *emu)
{
	struct emu_fpu fpu;
	u16 fcw;
	int rc;

	rc = begin_load(emu, &fpu, &fcw, sizeof(fcw));
	if (rc != EMU_DONE)
		return rc;
	emu_x87_set_control(&fpu, fcw);
	emu->ops->set_fpu(emu, &fpu);
	return EMU_DONE;
}

int emu_exec_fnstcw(struct emulator *emu)
{
	struct emu_fpu fpu;
	int rc;

	rc = emu_x87_begin(emu, &fpu, false);
	return rc == EMU_DONE ? emu_store_rm(emu, fpu.fcw, 2) : rc;
}

/* To memory, or to AX, which has the place of the r/m operand */
int emu_exec_fnstsw(struct emulator *emu)
{
	struct emu_fpu fpu;
	int rc;

	rc = emu_x87_begin(emu, &fpu, false);
	if (rc != EMU_DONE)
		return rc;
	if (emu->insn.is_mem)
		return emu_store_rm(emu, fpu.fsw, 2);
	emu_set_gpr(emu, EMU_RAX, 2, fpu.fsw);
	return EMU_DONE;
}

static void initialize(struct emu_fpu *fpu)
{
	emu_x87_set_top(fpu, 0);
	fpu->fcw = FCW_INITIAL;
	fpu->fsw = 0;
	fpu->ftw = 0;
	fpu->fop = 0;
	fpu->fip = 0;
	fpu->fdp = 0;
}

static void clear_exceptions(struct emu_fpu *fpu)
{
	fpu->fsw &= ~(X87_EXCEPTIONS | X87_SF | X87_ES | X87_B);
}

static int change(struct emulator *emu, void (*how)(struct emu_fpu *fpu))
{
	struct emu_fpu fpu;
	int rc;

	rc = emu_x87_begin(emu, &fpu, false);
	if (rc != EMU_DONE)
		return rc;
	how(&fpu);
	emu->ops->set_fpu(emu, &fpu);
	return EMU_DONE;
}

int emu_exec_fninit(struct emulator *emu)
{
	return change(emu, initialize);
}

int emu_exec_fnclex(struct emulator *emu)
{
	return change(emu, clear_exceptions);
}

/* FNOP; and FNENI, FNDISI, FNSETPM, which have done nothing since the 80387 and do not wait. */
int emu_exec_fnop(struct emulator *emu)
{
	struct emu_fpu fpu;

	return emu_x87_begin(emu, &fpu, emu->insn.opcode == 0xd9);
}

int emu_exec_fwait(struct emulator *emu)
{
	struct emu_fpu fpu;
	u64 cr0 = emu->ops->get_cr(emu, 0);

	if ((cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
		return emu_raise(emu, VECTOR_NM);
	return emu_x87_pending(emu, &fpu);
}

/* ---- the environment ------------------------------------------------------------------------- */

/* Seven words: control, status, tags, instruction and data pointer with their selectors */
enum { ENV_FCW, ENV_FSW, ENV_FTW, ENV_IP, ENV_CS, ENV_DP, ENV_DS, ENV_WORDS };

/* Real mode has no selectors, but addresses in their place. */
static inline bool env_is_real(const struct emulator *emu)
{
	return !emu_protected(emu);
}

/* Two bits a register: valid, zero, special, empty */
static u16 full_tags(const struct emu_fpu *fpu)
{
	unsigned int i, tag;
	u16 tags = 0;

	for (i = 0; i < 8; i++) {
		const struct emu_x87 *val = &fpu->st[(i - emu_x87_top(fpu)) & 7];
		unsigned int exponent = val->exponent & 0x7fff;

		if (!(fpu->ftw & 1u << i))
			tag = 3;
		else if (!exponent && !val->mantissa)
			tag = 1;
		else
			tag = !exponent || exponent == 0x7fff || !(val->mantissa >> 63) ? 2 : 0;
		tags |= tag << 2 * i;
	}
	return tags;
}

static unsigned int put_environment(const struct emulator *emu, const struct emu_fpu *fpu, u8 *buf)
{
	unsigned int word = env_word(emu), i;
	u32 env[ENV_WORDS] = {
		[ENV_FCW] = 0xffff0000 | fpu->fcw,
		[ENV_FSW] = 0xffff0000 | fpu->fsw,
		[ENV_FTW] = 0xffff0000 | full_tags(fpu),
		[ENV_IP] = fpu->fip,
		[ENV_CS] = (u32)fpu->fop << 16,
		[ENV_DP] = fpu->fdp,
		[ENV_DS] = 0xffff0000,
	};

	if (env_is_real(emu)) {
		env[ENV_IP] = 0xffff0000 | (fpu->fip & 0xffff);
		env[ENV_CS] = ((fpu->fip >> 4) & 0xffff000) | fpu->fop;
		env[ENV_DP] = 0xffff0000 | (fpu->fdp & 0xffff);
		env[ENV_DS] = (fpu->fdp >> 4) & 0xffff000;
	}
	for (i = 0; i < ENV_WORDS; i++)
		__builtin_memcpy(buf + i * word, &env[i], word);
	return ENV_WORDS * word;
}

static unsigned int take_environment(const struct emulator *emu, struct emu_fpu *fpu, const u8 *buf)
{
	unsigned int word = env_word(emu), i;
	u32 env[ENV_WORDS] = { 0 };

	for (i = 0; i < ENV_WORDS; i++)
		__builtin_memcpy(&env[i], buf + i * word, word);
	emu_x87_set_top(fpu, (env[ENV_FSW] & X87_TOP) >> X87_TOP_SHIFT);
	fpu->fsw = env[ENV_FSW];
	emu_x87_set_control(fpu, env[ENV_FCW]);
	fpu->ftw = 0;
	for (i = 0; i < 8; i++) {
		if (((env[ENV_FTW] >> 2 * i) & 3) != 3)
			fpu->ftw |= 1u << i;
	}

	fpu->fop = 0;
	if (env_is_real(emu)) {
		fpu->fop = env[ENV_CS] & 0x7ff;
		fpu->fip = (env[ENV_IP] & 0xffff) | (env[ENV_CS] & 0xffff000) << 4;
		fpu->fdp = (env[ENV_DP] & 0xffff) | (env[ENV_DS] & 0xffff000) << 4;
		return ENV_WORDS * word;
	}
	if (word == 4)
		fpu->fop = (env[ENV_CS] >> 16) & 0x7ff;
	fpu->fip = env[ENV_IP];
	fpu->fdp = env[ENV_DP];
	return ENV_WORDS * word;
}

/* The environment, and for FNSAVE and FRSTOR ST0 to ST7 of ten bytes each behind it */
static int store_image(struct emulator *emu, bool with_registers)
{
	struct emu_fpu fpu;
	unsigned int size, i;
	u8 buf[MAX_IMAGE];
	int rc;

	rc = emu_x87_begin(emu, &fpu, false);
	if (rc != EMU_DONE)
		return rc;
	size = put_environment(emu, &fpu, buf);
	for (i = 0; with_registers && i < 8; i++, size += 10)
		__builtin_memcpy(buf + size, &fpu.st[i], 10);
	rc = write_operand(emu, buf, size);
	if (rc != EMU_DONE)
		return rc;
	/* From now on every exception is masked. */
	if (with_registers)
		initialize(&fpu);
	else
		emu_x87_set_control(&fpu, fpu.fcw | X87_EXCEPTIONS);
	emu->ops->set_fpu(emu, &fpu);
	return EMU_DONE;
}

int emu_exec_fnstenv(struct emulator *emu)
{
	return store_image(emu, false);
}

int emu_exec_fnsave(struct emulator *emu)
{
	return store_image(emu, true);
}

static int load_image(struct emulator *emu, bool with_registers)
{
	struct emu_fpu fpu;
	unsigned int size, i;
	u8 buf[MAX_IMAGE];
	int rc;

	rc = begin_load(emu, &fpu, buf, ENV_WORDS * env_word(emu) + (with_registers ? 8 * 10 : 0));
	if (rc != EMU_DONE)
		return rc;
	size = take_environment(emu, &fpu, buf);
	for (i = 0; with_registers && i < 8; i++, size += 10)
		__builtin_memcpy(&fpu.st[i], buf + size, 10);
	emu->ops->set_fpu(emu, &fpu);
	return EMU_DONE;
}

int emu_exec_fldenv(struct emulator *emu)
{
	return load_image(emu, false);
}

int emu_exec_frstor(struct emulator *emu)
{
	return load_image(emu, true);
}
