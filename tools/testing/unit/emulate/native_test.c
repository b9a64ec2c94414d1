// SPDX-License-Identifier: GPL-2.0
/*
 * Comparison with the processor: random instructions on random registers, flags and memory are
 * executed by it, in this process, and by the emulator; what comes out must be the same, bit for
 * bit, faults included.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "machine.h"

#define CODE_BYTES	4096u
#define WINDOW_BYTES	8192u

#define ARITH	0x8d5u
#define FLAG_DF	0x400u
#define FLAG_OF	0x800u

/* In the page after the code, where the code finds it without a register. */
struct context {
	u64 host_rsp;
	u64 flags_in, flags_out;
	u64 in[EMU_GPR_COUNT], out[EMU_GPR_COUNT];
};

enum immediate { NO_IMM, IMM8, IMMZ, IMMV, IMM16_LEVEL };

#define F_MODRM		0x01
#define F_MEM_ONLY	0x02	/* memory operand wanted */
#define F_REG_ONLY	0x04
#define F_LOCK		0x08	/* LOCK possible with memory */
#define F_BITBASE	0x10	/* register operand is a small bit number */
#define F_STRING	0x20
#define F_STACK		0x40	/* RSP and RBP point into the window */
#define F_NO66		0x80
#define F_XLAT		0x100

struct template {
	const char *name;
	u8 opcode[4];
	u8 n;
	s8 reg;			/* ModRM.reg, -1: any */
	u8 imm;
	u16 flags;
	u8 spread;		/* this many opcodes from this one on */
	u8 prefix;		/* mandatory */
	u32 undefined;		/* flags that are not compared */
};

static const struct template templates[] = {
	{ "alu rm8,r8", { 0x00 }, 1, -1, NO_IMM, F_MODRM, 0 },
	{ "alu rm,r", { 0x01 }, 1, -1, NO_IMM, F_MODRM, 0 },
	{ "alu r8,rm8", { 0x02 }, 1, -1, NO_IMM, F_MODRM, 0 },
	{ "alu r,rm", { 0x03 }, 1, -1, NO_IMM, F_MODRM, 0 },
	{ "alu al,imm", { 0x04 }, 1, -1, IMM8, 0, 0 },
	{ "alu rax,imm", { 0x05 }, 1, -1, IMMZ, 0, 0 },
	{ "alu rm8,imm8", { 0x80 }, 1, -1, IMM8, F_MODRM },
	{ "alu rm,immz", { 0x81 }, 1, -1, IMMZ, F_MODRM },
	{ "alu rm,imm8", { 0x83 }, 1, -1, IMM8, F_MODRM },
	{ "lock alu", { 0x01 }, 1, -1, NO_IMM, F_MODRM | F_LOCK | F_MEM_ONLY },
	{ "test rm8,r8", { 0x84 }, 1, -1, NO_IMM, F_MODRM, 2 },
	{ "test al,imm", { 0xa8 }, 1, -1, IMM8 },
	{ "test rax,imm", { 0xa9 }, 1, -1, IMMZ },
	{ "test rm8,imm", { 0xf6 }, 1, 0, IMM8, F_MODRM },
	{ "test rm,imm", { 0xf7 }, 1, 0, IMMZ, F_MODRM },
	{ "not", { 0xf6 }, 1, 2, NO_IMM, F_MODRM, 2 },
	{ "neg", { 0xf6 }, 1, 3, NO_IMM, F_MODRM, 2 },
	{ "mul", { 0xf6 }, 1, 4, NO_IMM, F_MODRM, 2 },
	{ "imul", { 0xf6 }, 1, 5, NO_IMM, F_MODRM, 2 },
	{ "div", { 0xf6 }, 1, 6, NO_IMM, F_MODRM, 2 },
	{ "idiv", { 0xf6 }, 1, 7, NO_IMM, F_MODRM, 2 },
	{ "imul r,rm", { 0x0f, 0xaf }, 2, -1, NO_IMM, F_MODRM },
	{ "imul r,rm,imm8", { 0x6b }, 1, -1, IMM8, F_MODRM },
	{ "imul r,rm,immz", { 0x69 }, 1, -1, IMMZ, F_MODRM },
	{ "inc", { 0xfe }, 1, 0, NO_IMM, F_MODRM, 2 },
	{ "dec", { 0xfe }, 1, 1, NO_IMM, F_MODRM, 2 },
	/* Rotations by an immediate and by CL leave different overflow flags on some processors. */
	{ "shift imm", { 0xc0 }, 1, -1, IMM8, F_MODRM, 2, 0, FLAG_OF },
	{ "shift one", { 0xd0 }, 1, -1, NO_IMM, F_MODRM, 2 },
	{ "shift cl", { 0xd2 }, 1, -1, NO_IMM, F_MODRM, 2 },
	{ "shld imm", { 0x0f, 0xa4 }, 2, -1, IMM8, F_MODRM },
	{ "shld cl", { 0x0f, 0xa5 }, 2, -1, NO_IMM, F_MODRM },
	{ "shrd imm", { 0x0f, 0xac }, 2, -1, IMM8, F_MODRM },
	{ "shrd cl", { 0x0f, 0xad }, 2, -1, NO_IMM, F_MODRM },
	{ "bt", { 0x0f, 0xa3 }, 2, -1, NO_IMM, F_MODRM | F_BITBASE },
	{ "bts", { 0x0f, 0xab }, 2, -1, NO_IMM, F_MODRM | F_BITBASE },
	{ "btr", { 0x0f, 0xb3 }, 2, -1, NO_IMM, F_MODRM | F_BITBASE },
	{ "btc", { 0x0f, 0xbb }, 2, -1, NO_IMM, F_MODRM | F_BITBASE },
	{ "bt imm", { 0x0f, 0xba }, 2, 4, IMM8, F_MODRM },
	{ "bts imm", { 0x0f, 0xba }, 2, 5, IMM8, F_MODRM },
	{ "btr imm", { 0x0f, 0xba }, 2, 6, IMM8, F_MODRM },
	{ "btc imm", { 0x0f, 0xba }, 2, 7, IMM8, F_MODRM },
	{ "bsf", { 0x0f, 0xbc }, 2, -1, NO_IMM, F_MODRM },
	{ "bsr", { 0x0f, 0xbd }, 2, -1, NO_IMM, F_MODRM },
	{ "tzcnt", { 0x0f, 0xbc }, 2, -1, NO_IMM, F_MODRM, 0, 0xf3 },
	{ "lzcnt", { 0x0f, 0xbd }, 2, -1, NO_IMM, F_MODRM, 0, 0xf3 },
	{ "popcnt", { 0x0f, 0xb8 }, 2, -1, NO_IMM, F_MODRM, 0, 0xf3 },
	{ "crc32", { 0x0f, 0x38, 0xf0 }, 3, -1, NO_IMM, F_MODRM | F_NO66, 2, 0xf2 },
	{ "movbe load", { 0x0f, 0x38, 0xf0 }, 3, -1, NO_IMM, F_MODRM | F_MEM_ONLY },
	{ "movbe store", { 0x0f, 0x38, 0xf1 }, 3, -1, NO_IMM, F_MODRM | F_MEM_ONLY },
	{ "mov", { 0x88 }, 1, -1, NO_IMM, F_MODRM, 4 },
	{ "mov rm8,imm", { 0xc6 }, 1, 0, IMM8, F_MODRM },
	{ "mov rm,imm", { 0xc7 }, 1, 0, IMMZ, F_MODRM },
	{ "mov r8,imm", { 0xb0 }, 1, -1, IMM8, 0, 8 },
	{ "mov r,imm", { 0xb8 }, 1, -1, IMMV, 0, 8 },
	{ "movzx", { 0x0f, 0xb6 }, 2, -1, NO_IMM, F_MODRM, 2 },
	{ "movsx", { 0x0f, 0xbe }, 2, -1, NO_IMM, F_MODRM, 2 },
	{ "movsxd", { 0x63 }, 1, -1, NO_IMM, F_MODRM },
	{ "xchg", { 0x86 }, 1, -1, NO_IMM, F_MODRM, 2 },
	{ "xchg rax", { 0x90 }, 1, -1, NO_IMM, 0, 8 },
	{ "xadd", { 0x0f, 0xc0 }, 2, -1, NO_IMM, F_MODRM, 2 },
	{ "cmpxchg", { 0x0f, 0xb0 }, 2, -1, NO_IMM, F_MODRM, 2 },
	{ "cmpxchg8b", { 0x0f, 0xc7 }, 2, 1, NO_IMM, F_MODRM | F_MEM_ONLY },
	{ "bswap", { 0x0f, 0xc8 }, 2, -1, NO_IMM, F_NO66, 8 },
	{ "lea", { 0x8d }, 1, -1, NO_IMM, F_MODRM | F_MEM_ONLY },
	{ "setcc", { 0x0f, 0x90 }, 2, -1, NO_IMM, F_MODRM, 16 },
	{ "cmovcc", { 0x0f, 0x40 }, 2, -1, NO_IMM, F_MODRM, 16 },
	{ "cbw", { 0x98 }, 1, -1, NO_IMM, 0, 2 },
	{ "sahf", { 0x9e }, 1, -1, NO_IMM, 0, 2 },
	{ "cmc", { 0xf5 }, 1 },
	{ "clc", { 0xf8 }, 1, -1, NO_IMM, 0, 2 },
	{ "cld", { 0xfc }, 1, -1, NO_IMM, 0, 2 },
	{ "xlat", { 0xd7 }, 1, -1, NO_IMM, F_XLAT },
	{ "movs", { 0xa4 }, 1, -1, NO_IMM, F_STRING, 2 },
	{ "cmps", { 0xa6 }, 1, -1, NO_IMM, F_STRING, 2 },
	{ "stos", { 0xaa }, 1, -1, NO_IMM, F_STRING, 2 },
	{ "lods", { 0xac }, 1, -1, NO_IMM, F_STRING, 2 },
	{ "scas", { 0xae }, 1, -1, NO_IMM, F_STRING, 2 },
	{ "push", { 0x50 }, 1, -1, NO_IMM, F_STACK, 8 },
	{ "pop", { 0x58 }, 1, -1, NO_IMM, F_STACK, 8 },
	{ "push imm8", { 0x6a }, 1, -1, IMM8, F_STACK },
	{ "push imm", { 0x68 }, 1, -1, IMMZ, F_STACK },
	{ "push rm", { 0xff }, 1, 6, NO_IMM, F_STACK | F_MODRM | F_REG_ONLY },
	{ "enter", { 0xc8 }, 1, -1, IMM16_LEVEL, F_STACK },
	{ "leave", { 0xc9 }, 1, -1, NO_IMM, F_STACK },
	{ "movnti", { 0x0f, 0xc3 }, 2, -1, NO_IMM, F_MODRM | F_MEM_ONLY | F_NO66 },
	{ "nop", { 0x0f, 0x1f }, 2, -1, NO_IMM, F_MODRM },
};

static u8 *code;			/* CODE_BYTES of instructions */
static struct context *context;		/* right behind */
static u8 *window;			/* memory operands */
static u8 before[WINDOW_BYTES], natively[WINDOW_BYTES];
static unsigned int at;			/* where in code */
static sigjmp_buf escape;
static struct machine m;

static u64 random_state = 0x9e3779b97f4a7c15;

static u64 random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1d;
}

static unsigned int below(unsigned int n)
{
	return (random64() >> 32) % n;
}

/* Numbers at which carries, signs and overflows happen are more likely. */
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

static void emit(const void *bytes, unsigned int n)
{
	memcpy(code + at, bytes, n);
	at += n;
}

static void emit_byte(u8 byte)
{
	code[at++] = byte;
}

/* A 32-bit distance from the end of the instruction being emitted to something near. */
static void emit_relative(const void *target)
{
	s32 rel = (const u8 *)target - (code + at + 4);

	emit(&rel, 4);
}

/* MOV between a register and the context; opcode 8b loads, 89 stores. */
static void emit_mov(u8 opcode, unsigned int reg, const void *where)
{
	emit_byte(0x48 | (reg >> 3) << 2);
	emit_byte(opcode);
	emit_byte(0x05 | (reg & 7) << 3);
	emit_relative(where);
}

static void emit_prologue(void)
{
	unsigned int i;

	at = 0;
	emit("\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10);
	emit_mov(0x89, EMU_RSP, &context->host_rsp);
	emit("\xff\x35", 2);
	emit_relative(&context->flags_in);
	emit_byte(0x9d);
	for (i = 0; i < EMU_GPR_COUNT; i++)
		emit_mov(0x8b, i, &context->in[i]);
}

static void emit_epilogue(void)
{
	unsigned int i;

	for (i = 0; i < EMU_GPR_COUNT; i++)
		emit_mov(0x89, i, &context->out[i]);
	emit_mov(0x8b, EMU_RSP, &context->host_rsp);
	emit_byte(0x9c);
	emit("\x8f\x05", 2);
	emit_relative(&context->flags_out);
	emit_byte(0xfc);
	emit("\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 11);
}

static void on_fault(int sig)
{
	siglongjmp(escape, sig);
}

/* The handlers need a stack of their own: the tested instruction has the stack pointer. */
static bool prepare(void)
{
	static u8 signal_stack[65536];
	static const int signals[] = { SIGFPE, SIGSEGV, SIGILL, SIGBUS };
	stack_t stack = { .ss_sp = signal_stack, .ss_size = sizeof(signal_stack) };
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK | SA_NODEFER };
	unsigned int i;
	u8 *memory;

	memory = mmap(NULL, 2 * CODE_BYTES + WINDOW_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	code = memory;
	context = (struct context *)(memory + CODE_BYTES);
	window = memory + 2 * CODE_BYTES;

	sigaltstack(&stack, NULL);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	return true;
}

static u64 window_address(void)
{
	return (u64)(unsigned long)window + WINDOW_BYTES / 2 - 64 + below(128);
}

/* ModRM, SIB and displacement for an address in the window; the registers are made to fit. */
static void emit_memory(unsigned int reg, unsigned int index_bit, unsigned int base_bit,
			unsigned int trailing)
{
	u64 target = window_address();
	unsigned int base = below(8), index, scale, mod = below(3);
	s32 disp = 0;

	if (below(10) == 0) {
		emit_byte(reg << 3 | 5);
		disp = target - (u64)(unsigned long)(code + at + 4 + trailing);
		emit(&disp, 4);
		return;
	}
	if (mod == 0 && base == 5)
		mod = 1;
	if (mod == 1)
		disp = (s8)below(256);
	else if (mod == 2)
		disp = (s32)random64();

	if (base == 4 || below(2)) {
		index = below(8);
		scale = below(4);
		emit_byte(mod << 6 | reg << 3 | 4);
		emit_byte(scale << 6 | index << 3 | base);
		base |= base_bit << 3;
		index |= index_bit << 3;
		if (index == base && index != 4) {
			/* base + base * 2^scale: only a multiple will do */
			context->in[base] = (target - disp) / (1 + (1u << scale));
		} else {
			context->in[base] = target - disp;
			if (index != 4)
				context->in[base] -= context->in[index] << scale;
		}
	} else {
		emit_byte(mod << 6 | reg << 3 | base);
		context->in[base | base_bit << 3] = target - disp;
	}
	if (mod)
		emit(&disp, mod == 1 ? 1 : 4);
}

static void random_registers(const struct template *t)
{
	unsigned int i;

	for (i = 0; i < EMU_GPR_COUNT; i++)
		context->in[i] = interesting();
	context->flags_in = 0x202 | (random64() & (ARITH | FLAG_DF));

	if (t->flags & F_BITBASE) {
		for (i = 0; i < EMU_GPR_COUNT; i++)
			context->in[i] = below(2) ? below(4096) : -(u64)below(4096);
	}
	if (t->flags & F_STRING) {
		context->in[EMU_RSI] = window_address();
		context->in[EMU_RDI] = window_address();
		context->in[EMU_RCX] = below(40);
	}
	if (t->flags & F_STACK) {
		context->in[EMU_RSP] = window_address();
		context->in[EMU_RBP] = window_address();
	}
	if (t->flags & F_XLAT)
		context->in[EMU_RBX] = window_address();
}

static unsigned int immediate_size(const struct template *t, u8 rex, bool small)
{
	switch (t->imm) {
	case IMM8:
		return 1;
	case IMMZ:
		return small && !(rex & 8) ? 2 : 4;
	case IMMV:
		return rex & 8 ? 8 : small ? 2 : 4;
	case IMM16_LEVEL:
		return 3;
	default:
		return 0;
	}
}

static void emit_immediate(const struct template *t, unsigned int size)
{
	u64 imm = interesting();

	if (t->imm == IMM16_LEVEL)
		imm = below(256) | below(8) << 16;
	emit(&imm, size);
}

/*
 * True if it would reach out of the window, because its address and its bit number share a
 * register.
 */
static bool emit_instruction(const struct template *t)
{
	bool small = !(t->flags & F_NO66) && below(4) == 0;
	u8 rex = below(2) ? 0x40 | below(16) : 0;
	unsigned int imm = immediate_size(t, rex, small), reg = 0;
	u8 opcode[4];
	bool mem;

	memcpy(opcode, t->opcode, sizeof(opcode));
	if (t->spread)
		opcode[t->n - 1] += below(t->spread);
	if (t->name[0] == 'a' || !strcmp(t->name, "lock alu"))
		opcode[0] += t->flags & F_LOCK ? below(7) * 8 : opcode[0] < 8 ? below(8) * 8 : 0;

	if (small)
		emit_byte(0x66);
	if (t->flags & F_LOCK)
		emit_byte(0xf0);
	if (t->prefix)
		emit_byte(t->prefix);
	if ((t->flags & F_STRING) && below(3))
		emit_byte(0xf2 + below(2));
	if (rex)
		emit_byte(rex);
	emit(opcode, t->n);

	if (t->flags & F_MODRM) {
		reg = t->reg < 0 ? below(8) : (u8)t->reg;
		mem = t->flags & F_MEM_ONLY || (!(t->flags & F_REG_ONLY) && below(2));
		if (mem)
			emit_memory(reg, rex >> 1 & 1, rex & 1, imm);
		else
			emit_byte(0xc0 | reg << 3 | below(8));
	}
	if (imm)
		emit_immediate(t, imm);
	return (t->flags & F_BITBASE) && context->in[reg | (rex & 4) << 1] + 4096 > 8192;
}

/* 0, or the signal that ended it */
static int run_native(void)
{
	int sig = sigsetjmp(escape, 1);

	if (!sig)
		((void (*)(void))code)();
	return sig;
}

static int run_emulated(u64 rip, unsigned int n)
{
	unsigned int i;
	int rc;

	for (i = 0; i < EMU_GPR_COUNT; i++)
		m.gpr[i] = context->in[i];
	m.emu.rip = rip;
	m.emu.rflags = context->flags_in;
	memcpy(m.emu.insn.bytes, code + (rip - (u64)(unsigned long)code), n);
	m.emu.insn.available = n;
	rc = emu_decode(&m.emu);
	while (rc == EMU_DONE || rc == EMU_AGAIN) {
		rc = emu_execute(&m.emu);
		if (rc == EMU_DONE)
			break;
	}
	return rc;
}

static void describe(const struct template *t, const u8 *bytes, unsigned int n)
{
	unsigned int i;

	printf("  %s:", t->name);
	for (i = 0; i < n; i++)
		printf(" %02x", bytes[i]);
	printf("\n  flags %llx -> %llx, emulated %llx\n", context->flags_in, context->flags_out,
	       m.emu.rflags);
	for (i = 0; i < EMU_GPR_COUNT; i++) {
		if (context->out[i] != m.gpr[i])
			printf("  register %u: %llx -> %llx, emulated %lx\n", i, context->in[i],
			       context->out[i], m.gpr[i]);
	}
	for (i = 0; i < WINDOW_BYTES; i++) {
		if (natively[i] != window[i])
			printf("  memory %u: %x -> %x, emulated %x\n", i, before[i], natively[i],
			       window[i]);
	}
}

static int signal_of(u8 vector)
{
	return vector == 0 ? SIGFPE : vector == 6 ? SIGILL : SIGSEGV;
}

static bool same_result(const struct template *t, int sig, int rc, unsigned int n, u64 rip)
{
	u64 flags = (ARITH | FLAG_DF) & ~t->undefined;

	if (sig)
		return rc == EMU_FAULT && signal_of(m.emu.fault.vector) == sig &&
		       m.emu.rip == rip && !memcmp(m.gpr, context->in, sizeof(m.gpr));
	return rc == EMU_DONE && m.emu.rip == rip + n &&
	       !memcmp(m.gpr, context->out, sizeof(m.gpr)) &&
	       !((m.emu.rflags ^ context->flags_out) & flags) &&
	       !memcmp(window, natively, WINDOW_BYTES);
}

static void compare_one(const struct template *t)
{
	unsigned int start, n, i;
	u8 bytes[16];
	int sig, rc;
	bool far;
	u64 rip;

	for (i = 0; i < WINDOW_BYTES; i += 8) {
		u64 val = interesting();

		memcpy(window + i, &val, 8);
	}
	memcpy(before, window, WINDOW_BYTES);

	do {
		random_registers(t);
		emit_prologue();
		start = at;
		far = emit_instruction(t);
	} while (far);
	n = at - start;
	emit_epilogue();
	memcpy(bytes, code + start, n);
	rip = (u64)(unsigned long)(code + start);

	sig = run_native();
	memcpy(natively, window, WINDOW_BYTES);
	memcpy(window, before, WINDOW_BYTES);
	rc = run_emulated(rip, n);

	if (!CHECK(same_result(t, sig, rc, n, rip), "signal %d, result %d, fault %u", sig, rc,
		   m.emu.fault.vector))
		describe(t, bytes, n);
	CHECK(emu_insn_length(bytes, n, EMU_LONG64) == n, "length");
}

void test_native(unsigned long cases)
{
	const unsigned int kinds = sizeof(templates) / sizeof(templates[0]);
	unsigned long i;

	if (!prepare()) {
		group_skip("comparison with the processor", "no executable memory");
		return;
	}

	group_begin("comparison with the processor");
	machine_reset(&m, EMU_LONG64);
	m.window = window;
	m.window_bytes = WINDOW_BYTES;
	for (i = 0; i < cases; i++)
		compare_one(&templates[i % kinds]);
	group_end();
}
