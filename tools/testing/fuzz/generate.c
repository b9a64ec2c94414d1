// SPDX-License-Identifier: GPL-2.0
/*
 * The generator: encodes an instruction of a form with random operands and prefixes, and makes
 * registers and memory fit, so that it mostly does something and sometimes faults: addresses at the
 * end of a page, in one that is absent or read-only, or not canonical; numbers at which carries,
 * signs, overflows and roundings happen; stacks of x87 registers full and empty.
 */
#include <string.h>

#include "generate.h"

#define ARITH	0x8d5ull

static u64 random_state = 0x9e3779b97f4a7c15;

void random_seed(u64 seed)
{
	random_state = seed * 0x9e3779b97f4a7c15 | 1;
}

u64 random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1d;
}

unsigned int below(unsigned int n)
{
	return (random64() >> 32) % n;
}

static u64 interesting(void)
{
	static const u64 corners[] = {
		0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
		0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
		0x100000000, 31, 32, 63,
	};
	u64 val = random64();

	switch (below(4)) {
	case 0:
		return corners[below(sizeof(corners) / sizeof(corners[0]))];
	case 1:
		return val >> below(64);
	case 2:
		return (u64)((s64)val >> below(64));
	default:
		return val;
	}
}

static unsigned int one_of(unsigned int bits)
{
	unsigned int n;

	do {
		n = below(8);
	} while (!(bits >> n & 1));
	return n;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Where an operand is: most often around the boundary of two good pages */
static u64 operand_address(void)
{
	u64 address;

	switch (below(24)) {
	case 0:
		address = HOLE_PAGE - 64 + below(72);
		break;
	case 1:
		address = CONST_PAGE + below(PAGE - 512);
		break;
	case 2:
		address = CONST_PAGE - 32 + below(64);
		break;
	default:
		address = DATA_PAGES + PAGE - 128 + below(192);
		break;
	}
	return below(2) ? address & ~63ull : address;
}

static bool is_data(u64 address, unsigned int size)
{
	return address >= DATA_PAGES && address + size <= DATA_PAGES + DATA_BYTES;
}

/* What memory has at an address that is good; elsewhere nothing happens. */
static void poke(u64 address, const void *val, unsigned int size)
{
	if (is_data(address, size))
		memcpy((void *)address, val, size);
}

static u64 peek(u64 address, unsigned int size)
{
	u64 val = 0;

	if (is_data(address, size))
		memcpy(&val, (void *)address, size);
	return val;
}

static u64 float_bits(void)
{
	u64 special = below(3) ? below(0x800) : below(2) * 0x7ff;
	u64 exponent = below(2) ? 0x3ff - 70 + below(140) : special;
	u64 fraction = interesting() & 0xfffffffffffff;

	return exponent << 52 | fraction | (u64)below(2) << 63;
}

static u64 single_bits(void)
{
	u64 exponent = below(2) ? 0x7f - 40 + below(80) : below(3) ? below(0x100) : below(2) * 0xff;

	return exponent << 23 | (interesting() & 0x7fffff) | (u64)below(2) << 31;
}

static struct emu_x87 extended(void)
{
	struct emu_x87 val = { 0 };

	val.mantissa = interesting();
	if (below(8))
		val.mantissa |= 1ull << 63;
	switch (below(5)) {
	case 0:
		val.exponent = random64();
		break;
	case 1:
		val.exponent = below(2) * 0x7fff | below(2) << 15;
		break;
	case 2:
		val.exponent = (0x3fff - 1080 + below(64) + below(2) * 2080) | below(2) << 15;
		break;
	case 3:
		val.exponent = (0x3fff - 155 + below(28) + below(2) * 270) | below(2) << 15;
		break;
	default:
		val.exponent = (0x3fff - 4 + below(72)) | below(2) << 15;
		break;
	}
	return val;
}

static void fill_operand(const struct test *t, u64 address)
{
	struct emu_x87 wide = extended();
	u64 val = below(3) ? interesting() : below(2) ? float_bits() : single_bits();
	unsigned int i;

	if (t->form->recipe->preparation < FPU_STATE) {
		poke(address, &val, 8);
		return;
	}
	if (below(2))
		poke(address, &wide, 10);
	else
		poke(address, &val, 8);
	if (t->form->op->exec == emu_exec_fbld) {
		for (i = 0; i < 9; i++) {
			u8 digits = below(10) << 4 | below(10);

			poke(address + i, &digits, 1);
		}
	}
}

/* ---- encoding -------------------------------------------------------------------------------- */

struct encoding {
	struct test *t;
	unsigned int at;
	u8 rex;			/* or the bits of VEX */
	bool small, short_address, gs;
	unsigned int imm;	/* bytes that follow ModRM's operand */
	unsigned int reg;
	u64 target;		/* of the memory operand */
};

static void emit(struct encoding *e, const void *bytes, unsigned int n)
{
	memcpy(e->t->bytes + e->at, bytes, n);
	e->at += n;
}

static void emit_byte(struct encoding *e, u8 byte)
{
	e->t->bytes[e->at++] = byte;
}

static u64 *gpr(struct encoding *e, unsigned int nr)
{
	return &e->t->state.gpr[nr];
}

/* 16-bit addresses reach nothing here: only LEA has a use for them. */
static void emit_address16(struct encoding *e)
{
	unsigned int mod = below(3), rm = below(8);
	u16 disp = random64();

	emit_byte(e, mod << 6 | e->reg << 3 | rm);
	emit(e, &disp, mod == 0 ? rm == 6 ? 2 : 0 : mod);
}

static void emit_sib(struct encoding *e, unsigned int mod, unsigned int base, s32 disp)
{
	unsigned int index = below(8), scale = below(4);
	u64 goal = e->target - (s64)disp;

	emit_byte(e, mod << 6 | e->reg << 3 | 4);
	emit_byte(e, scale << 6 | index << 3 | base);
	base |= (e->rex & 1) << 3;
	index |= (e->rex & 2) << 2;
	if (index == EMU_RSP) {
		*gpr(e, base) = goal;
	} else if (index == base) {
		*gpr(e, base) = goal / (1 + (1u << scale));
	} else {
		if (e->short_address || !e->t->is_long)
			*gpr(e, index) = (u32)*gpr(e, index);
		*gpr(e, base) = goal - (*gpr(e, index) << scale);
	}
}

/* ModRM, SIB and displacement for an address; the registers are made to fit. */
static void emit_memory(struct encoding *e)
{
	unsigned int base = below(8), mod = below(3);
	s32 disp = 0;

	if (below(10) == 0) {
		emit_byte(e, e->reg << 3 | 5);
		disp = e->target;
		if (e->t->is_long)
			disp = e->target - (CODE_PAGE + PAGE / 2 + e->at + 4 + e->imm);
		emit(e, &disp, 4);
		return;
	}
	if (mod == 0 && base == EMU_RBP)
		mod = 1;
	if (mod == 1)
		disp = (s8)below(256);
	else if (mod == 2)
		disp = (s32)random64();

	if (base == EMU_RSP || below(2)) {
		emit_sib(e, mod, base, disp);
	} else {
		emit_byte(e, mod << 6 | e->reg << 3 | base);
		*gpr(e, base | (e->rex & 1) << 3) = e->target - (s64)disp;
	}
	if (mod)
		emit(e, &disp, mod == 1 ? 1 : 4);
}

static void emit_prefixes(struct encoding *e, unsigned int mandatory)
{
	static const u8 bytes[4] = { 0, 0x66, 0xf3, 0xf2 };
	static const u8 segments[4] = { 0x26, 0x2e, 0x36, 0x3e };
	const struct form *f = e->t->form;
	bool lockable = f->is_mem && (f->flags & LOCK) && (f->flags & DST_MASK || f->map == 1);

	if (below(12) == 0)
		emit_byte(e, segments[below(4)]);
	if (e->gs)
		emit_byte(e, 0x65);
	if (e->small && mandatory != 1)
		emit_byte(e, 0x66);
	if (e->short_address)
		emit_byte(e, 0x67);
	/* Across lines of the cache a locked access may not be allowed. */
	if (lockable && !(e->target & 7) ? below(3) == 0 : below(200) == 0)
		emit_byte(e, 0xf0);
	if (mandatory)
		emit_byte(e, bytes[mandatory]);
	if (f->recipe->preparation == STRING && !mandatory && below(3))
		emit_byte(e, 0xf2 + below(2));
	if (e->rex)
		emit_byte(e, e->rex);
}

static void emit_vex(struct encoding *e, unsigned int pp)
{
	const struct form *f = e->t->form;
	unsigned int vvvv = f->vvvv & 2 ? below(e->t->is_long ? 16 : 8) : 0;
	unsigned int l = one_of(f->l), w = one_of(f->w);

	if (below(100) == 0)
		emit_byte(e, below(2) ? 0x66 : 0xf3);
	if (below(60) == 0)
		vvvv = 1;
	e->rex = (e->rex & 7) | w << 3;
	if (f->map == 1 && !(e->rex & 0xb) && below(2)) {
		emit_byte(e, 0xc5);
		emit_byte(e, (~e->rex & 4) << 5 | (15 - vvvv) << 3 | l << 2 | pp);
		return;
	}
	emit_byte(e, 0xc4);
	emit_byte(e, (~e->rex & 7) << 5 | f->map);
	emit_byte(e, w << 7 | (15 - vvvv) << 3 | l << 2 | pp);
}

static unsigned int immediate_size(const struct encoding *e)
{
	const struct form *f = e->t->form;
	bool wide = e->rex & 8;

	switch (f->flags & IMM_MASK) {
	case IMM_8:
	case IMM_S8:
		return 1;
	case IMM_16:
	case IMM_8_8:
		return 2;
	case IMM_16_8:
		return 3;
	case IMM_Z:
		return e->small && !wide ? 2 : 4;
	case IMM_REL:
		return e->small && !e->t->is_long ? 2 : 4;
	case IMM_V:
		return wide ? 8 : e->small ? 2 : 4;
	case IMM_OFFSET:
		return e->short_address ? e->t->is_long ? 4 : 2 : e->t->is_long ? 8 : 4;
	default:
		return 0;
	}
}

static void emit_immediate(struct encoding *e)
{
	const struct form *f = e->t->form;
	u64 imm = interesting();

	if ((f->flags & IMM_MASK) == IMM_16_8)
		imm = below(256) | below(below(4) ? 4 : 32) << 16;
	if ((f->flags & IMM_MASK) == IMM_OFFSET)
		imm = e->target;
	if ((f->flags & IMM_MASK) == IMM_REL)
		imm = (s64)below(1024) - 512;
	emit(e, &imm, e->imm);
}

/* ---- registers ------------------------------------------------------------------------------- */

static void random_fpu(struct test *t)
{
	struct emu_fpu *fpu = &t->state.fpu;
	unsigned int i;

	fpu->fcw = 0x40 | (random64() & 0xf00) | (below(3) ? 0x3f : random64() & 0x3f);
	fpu->fsw = (random64() & 0x4700) | below(8) << 11;
	fpu->ftw = below(3) ? random64() : below(2) ? 0xff : 0;
	/* Exceptions that nobody has masked are pending. */
	if (below(10) == 0)
		fpu->fsw |= random64() & 0x7f;
	if (fpu->fsw & ~fpu->fcw & 0x3f)
		fpu->fsw |= 0x8080;
	fpu->fop = 0;
	fpu->fip = 0;
	fpu->fdp = 0;
	for (i = 0; i < 8; i++)
		fpu->st[i] = extended();
	for (i = 0; i < 16; i++) {
		u64 val[4] = { random64(), random64(), random64(), random64() };

		memcpy(fpu->xmm[i], val, 16);
		memcpy(t->state.ymm_high[i], val + 2, 16);
	}
	fpu->mxcsr = 0x1f80 | (random64() & 0x603f);
}

static void random_registers(struct test *t)
{
	unsigned int i;

	for (i = 0; i < EMU_GPR_COUNT; i++)
		t->state.gpr[i] = interesting();
	t->state.rflags = 0x202 | (random64() & (ARITH | FLAG_DF));
	if (below(16) == 0)
		t->state.rflags |= FLAG_AC;
	t->state.rip = CODE_PAGE + PAGE / 2;
	if (t->form->recipe->preparation >= MASKED)
		random_fpu(t);
}

/* An image that can be loaded, most often */
static void prepare_image(struct test *t, u64 address)
{
	struct emu_fpu image = t->state.fpu;
	unsigned int i;

	image.fcw = random64();
	image.fsw = random64();
	image.ftw = random64();
	image.fip = image.fdp = 0;
	image.mxcsr = below(10) ? 0x1f80 : random64();
	for (i = 0; i < 8; i++)
		image.st[i] = extended();
	poke(address, &image, sizeof(image));
}

static void prepare_pair(struct test *t, u64 address)
{
	unsigned int half = t->bytes[0] & 8 && t->is_long ? 8 : 4;

	if (below(2)) {
		t->state.gpr[EMU_RAX] = peek(address, half);
		t->state.gpr[EMU_RDX] = peek(address + half, half);
	}
}

/* Before the instruction is encoded: registers that ModRM's operand may take over again */
static void prepare_before(struct encoding *e)
{
	struct test *t = e->t;
	u64 *r = t->state.gpr;

	switch (t->form->recipe->preparation) {
	case STRING:
		r[EMU_RSI] = operand_address();
		r[EMU_RDI] = operand_address();
		r[EMU_RCX] = below(8);
		break;
	case STACK:
	case BRANCH:
	case NEAR_RETURN:
	case ENTER:
	case POP_ALL:
	case PUSH_SEGMENT:
		r[EMU_RSP] = operand_address();
		r[EMU_RBP] = operand_address();
		break;
	case XLAT:
		r[EMU_RBX] = operand_address();
		break;
	case MASKED:
	case MMX_STORE:
		r[EMU_RDI] = operand_address();
		break;
	case COUNTER:
		r[EMU_RCX] = below(3);
		break;
	case BIT_STRING:
		for (unsigned int i = 0; i < EMU_GPR_COUNT; i++)
			r[i] = below(2) ? below(4096) : -(u64)below(4096);
		break;
	default:
		break;
	}
}

static void put_word(u64 address, u64 val)
{
	poke(address, &val, 8);
}

static u64 code_address(void)
{
	return below(40) ? CODE_PAGE + below(PAGE) : interesting();
}

/* After it: what depends on where the operand has come to be */
static void prepare_after(struct encoding *e)
{
	struct test *t = e->t;
	u64 *r = t->state.gpr;
	u32 bounds[2];

	switch (t->form->recipe->preparation) {
	case COMPARED:
		if (t->form->is_mem && below(2))
			r[EMU_RAX] = peek(e->target, 8);
		break;
	case COMPARED_PAIR:
		prepare_pair(t, e->target);
		break;
	case DIVISION:
		if (below(2))
			r[EMU_RDX] = below(3) ? below(100) : -1ull;
		if (below(4) == 0)
			r[EMU_RAX] = below(0x1000);
		break;
	case BRANCH:
		if (t->form->is_mem)
			put_word(e->target, code_address());
		else
			r[t->bytes[e->at - 1] & 7] = code_address();
		break;
	case NEAR_RETURN:
		put_word(r[EMU_RSP], code_address());
		break;
	case BOUNDS:
		bounds[0] = below(100);
		bounds[1] = bounds[0] + below(100);
		poke(e->target, bounds, 8);
		r[e->reg] = below(300);
		break;
	case BLOCK64:
		r[e->reg | (e->rex & 4) << 1] = operand_address();
		break;
	case FPU_IMAGE:
		prepare_image(t, e->target);
		break;
	case FPU_CONTROL:
		bounds[0] = below(4) ? 0x1f80 | (random64() & 0x603f) : random64();
		poke(e->target, bounds, 4);
		break;
	default:
		break;
	}
}

static bool reaches_memory(const struct form *f)
{
	return f->is_mem && f->op->exec != emu_exec_lea && f->op->exec != emu_exec_nop;
}

static void encode_operand(struct encoding *e)
{
	const struct form *f = e->t->form;

	e->reg = one_of(f->regs);
	if (!f->is_mem) {
		emit_byte(e, 0xc0 | e->reg << 3 | one_of(f->rms));
		return;
	}
	if (e->short_address && !e->t->is_long)
		emit_address16(e);
	else
		emit_memory(e);
}

static void encode(struct encoding *e)
{
	const struct form *f = e->t->form;
	unsigned int mandatory = one_of(f->prefixes);
	bool sized = !(f->prefixes & ~1u) || (f->prefixes & 2);

	e->small = !f->vex && (mandatory == 1 || (sized && below(5) == 0));
	if (e->t->is_long && (f->vex || below(2)))
		e->rex = 0x40 | below(16);
	if (f->vex)
		emit_vex(e, mandatory);
	else
		emit_prefixes(e, mandatory);
	if (!f->vex && f->map)
		emit_byte(e, 0x0f);
	if (!f->vex && f->map > 1)
		emit_byte(e, f->map == 2 ? 0x38 : 0x3a);
	emit_byte(e, f->opcode);

	e->imm = immediate_size(e);
	if (f->flags & MODRM)
		encode_operand(e);
	prepare_after(e);
	emit_immediate(e);
}

void generate(struct test *t)
{
	const struct form *f = t->form;
	struct encoding e = { .t = t, .target = operand_address() };

	memset(t->bytes, 0x90, sizeof(t->bytes));
	random_registers(t);
	prepare_before(&e);
	fill_operand(t, e.target);
	if (t->is_long && reaches_memory(f) && below(100) == 0)
		e.target = below(2) ? 0x800000000000ull - below(80) : random64() | 1ull << 63;
	if (!f->vex && t->is_long && f->is_mem && below(16) == 0) {
		e.gs = true;
		e.target -= GS_BASE;
	}
	e.short_address = t->is_long || !reaches_memory(f) ? below(12) == 0 : below(400) == 0;
	encode(&e);
	t->length = e.at;
	if (!t->is_long) {
		for (unsigned int i = 0; i < EMU_GPR_COUNT; i++)
			t->state.gpr[i] = i < 8 ? (u32)t->state.gpr[i] : 0;
	}
}
