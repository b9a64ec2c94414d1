// SPDX-License-Identifier: GPL-2.0
/*
 * Comparison with the processor in 32-bit mode, for what 64-bit mode does not have: decimal
 * adjustment, PUSHA, POPA, BOUND, one-byte INC and DEC, 16-bit addresses, 32-bit stacks. The
 * process jumps into compatibility mode and back through Linux's own segments, where the kernel has
 * them.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "machine.h"

#define CODE_BYTES	4096u
#define WINDOW_BYTES	4096u
#define ARITH		0x8d5u
#define FLAG_DF		0x400u

/* Linux's segment selectors for user mode */
#define USER32_CS	0x23
#define USER_CS		0x33
#define USER_DS		0x2b

struct context {
	u64 host_rsp;
	u32 target, target_selector;
	u32 flags_in, flags_out, stack32;
	u32 in[8], out[8];
	u32 scratch[64];
};

enum immediate { NO_IMM, IMM8, IMMZ, IMM16_LEVEL };
enum operand { NO_OPERAND, REG_OR_MEM, MEM_ONLY, ADDRESS16 };

struct template {
	const char *name;
	u8 opcode[2];
	u8 n;
	u8 spread;
	u8 imm;
	u8 operand;
};

static const struct template templates[] = {
	{ "daa", { 0x27 }, 1 },
	{ "das", { 0x2f }, 1 },
	{ "aaa", { 0x37 }, 1 },
	{ "aas", { 0x3f }, 1 },
	{ "aam", { 0xd4 }, 1, 0, IMM8 },
	{ "aad", { 0xd5 }, 1, 0, IMM8 },
	{ "salc", { 0xd6 }, 1 },
	{ "inc, dec", { 0x40 }, 1, 16 },
	{ "push, pop", { 0x50 }, 1, 16 },
	{ "pusha", { 0x60 }, 1 },
	{ "popa", { 0x61 }, 1 },
	{ "push imm", { 0x68 }, 1, 0, IMMZ },
	{ "push imm8", { 0x6a }, 1, 0, IMM8 },
	{ "enter", { 0xc8 }, 1, 0, IMM16_LEVEL },
	{ "leave", { 0xc9 }, 1 },
	{ "bound", { 0x62 }, 1, 0, NO_IMM, MEM_ONLY },
	{ "lea 16", { 0x8d }, 1, 0, NO_IMM, ADDRESS16 },
	{ "add", { 0x00 }, 1, 4, NO_IMM, REG_OR_MEM },
	{ "sbb", { 0x18 }, 1, 4, NO_IMM, REG_OR_MEM },
	{ "mov", { 0x88 }, 1, 4, NO_IMM, REG_OR_MEM },
	{ "alias of group 1", { 0x82 }, 1, 0, IMM8, REG_OR_MEM },
	{ "shift", { 0xd2 }, 1, 2, NO_IMM, REG_OR_MEM },
	{ "cmpxchg8b", { 0x0f, 0xc7 }, 2, 0, NO_IMM, MEM_ONLY },
	{ "movsx", { 0x0f, 0xbe }, 2, 2, NO_IMM, REG_OR_MEM },
	{ "string", { 0xa4 }, 1, 4 },
};

static u8 *code;
static struct context *context;
static u8 *window;
static u8 before[WINDOW_BYTES], natively[WINDOW_BYTES];
static unsigned int at;
static sigjmp_buf escape;
static struct machine m;

static u64 random_state = 0x123456789abcdef1;

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

static void emit(const void *bytes, unsigned int n)
{
	memcpy(code + at, bytes, n);
	at += n;
}

static void emit_byte(u8 byte)
{
	code[at++] = byte;
}

static u32 low_address(const volatile void *p)
{
	return (u32)(unsigned long)p;
}

static void emit_address(const volatile void *p)
{
	u32 address = low_address(p);

	emit(&address, 4);
}

/* In 32-bit code; opcode 8b loads, 89 stores. */
static void emit_mov(u8 opcode, unsigned int reg, const volatile void *where)
{
	emit_byte(opcode);
	emit_byte(reg << 3 | 5);
	emit_address(where);
}

static void emit_prologue(void)
{
	unsigned int i;

	at = 0;
	/* 64-bit: save registers and the stack pointer, jump far */
	emit("\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57\x48\x89\x24\x25", 14);
	emit_address(&context->host_rsp);
	emit("\xff\x2c\x25", 3);
	emit_address(&context->target);
	context->target = low_address(code + at);
	context->target_selector = USER32_CS;
	/* 32-bit: DS and ES, flags, registers */
	emit("\xb8\x2b\x00\x00\x00\x8e\xd8\x8e\xc0\xbc", 10);
	emit_address(&context->scratch[60]);
	emit("\xff\x35", 2);
	emit_address(&context->flags_in);
	emit_byte(0x9d);
	for (i = 0; i < 8; i++)
		emit_mov(0x8b, i, &context->in[i]);
}

static void emit_epilogue(void)
{
	static const u8 selector[2] = { USER_CS, 0 };
	unsigned int i;

	for (i = 0; i < 8; i++)
		emit_mov(0x89, i, &context->out[i]);
	emit_byte(0xbc);
	emit_address(&context->scratch[60]);
	emit("\x9c\x8f\x05", 3);
	emit_address(&context->flags_out);
	emit_byte(0xea);
	emit_address(code + at + 6);
	emit(selector, 2);
	/* 64-bit again */
	emit("\x48\x8b\x24\x25", 4);
	emit_address(&context->host_rsp);
	emit("\xfc\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 12);
}

static void on_fault(int sig)
{
	siglongjmp(escape, sig);
}

static int run_native(void)
{
	int sig = sigsetjmp(escape, 1);

	if (!sig)
		((void (*)(void))code)();
	return sig;
}

static bool prepare(void)
{
	static u8 signal_stack[65536];
	static const int signals[] = { SIGFPE, SIGSEGV, SIGILL, SIGBUS };
	stack_t stack = { .ss_sp = signal_stack, .ss_size = sizeof(signal_stack) };
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK | SA_NODEFER };
	unsigned int i;
	u8 *memory;

	memory = mmap(NULL, 2 * CODE_BYTES + WINDOW_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	code = memory;
	context = (struct context *)(memory + CODE_BYTES);
	window = memory + 2 * CODE_BYTES;

	sigaltstack(&stack, NULL);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);

	context->flags_in = 0x202;
	emit_prologue();
	emit_epilogue();
	return run_native() == 0;
}

static u32 window_address(void)
{
	return low_address(window) + WINDOW_BYTES / 2 - 64 + below(128);
}

static void random_state_before(void)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		context->in[i] = random64() >> below(64);
	if (below(2))
		context->in[EMU_RAX] = below(0x10000);
	context->in[EMU_RCX] = below(40);
	context->in[EMU_RSP] = window_address();
	context->in[EMU_RBP] = window_address();
	context->in[EMU_RSI] = window_address();
	context->in[EMU_RDI] = window_address();
	context->flags_in = 0x202 | (random64() & (ARITH | FLAG_DF));
	for (i = 0; i < WINDOW_BYTES; i++)
		window[i] = random64() >> 40;
	memcpy(before, window, WINDOW_BYTES);
}

/* [ESI + disp8], or an address by itself, or a register */
static void emit_operand(const struct template *t)
{
	unsigned int reg = t->opcode[1] == 0xc7 ? 1 : below(8);
	u32 address = window_address();

	if (t->operand == REG_OR_MEM && below(2)) {
		emit_byte(0xc0 | reg << 3 | below(8));
	} else if (below(2)) {
		emit_byte(0x46 | reg << 3);
		emit_byte(below(256));
	} else {
		emit_byte(0x05 | reg << 3);
		emit(&address, 4);
	}
}

static void emit_address16_operand(void)
{
	u8 modrm = below(192);
	u16 disp = random64();

	emit_byte(modrm);
	if (modrm >> 6 == 2 || (modrm & 0xc7) == 6)
		emit(&disp, 2);
	else if (modrm >> 6 == 1)
		emit(&disp, 1);
}

static void emit_instruction(const struct template *t)
{
	bool small = below(4) == 0;
	u8 opcode[2] = { t->opcode[0], t->opcode[1] };
	u32 imm = random64();

	if (t->spread)
		opcode[t->n - 1] += below(t->spread);
	if (small)
		emit_byte(0x66);
	if (t->operand == ADDRESS16)
		emit_byte(0x67);
	if (opcode[0] >= 0xa4 && opcode[0] <= 0xa7 && below(2))
		emit_byte(0xf2 + below(2));
	emit(opcode, t->n);

	if (t->operand == ADDRESS16)
		emit_address16_operand();
	else if (t->operand)
		emit_operand(t);
	if (t->imm == IMM16_LEVEL)
		imm = below(256) | below(6) << 16;
	if (t->imm)
		emit(&imm, t->imm == IMM8 ? 1 : t->imm == IMM16_LEVEL ? 3 : small ? 2 : 4);
}

static int run_emulated(u32 rip, unsigned int n)
{
	unsigned int i;
	int rc;

	for (i = 0; i < 8; i++)
		m.gpr[i] = context->in[i];
	m.emu.rip = rip;
	m.emu.rflags = context->flags_in;
	memcpy(m.emu.insn.bytes, code + (rip - low_address(code)), n);
	m.emu.insn.available = n;
	rc = emu_decode(&m.emu);
	return rc == EMU_DONE ? emu_execute(&m.emu) : rc;
}

static bool same_result(int sig, int rc, u32 end)
{
	unsigned int i;
	u8 vector = m.emu.fault.vector;

	if (sig)
		return rc == EMU_FAULT && (sig == SIGFPE ? vector == 0 : sig == SIGSEGV);
	for (i = 0; i < 8; i++) {
		if (m.gpr[i] != context->out[i])
			return false;
	}
	return rc == EMU_DONE && m.emu.rip == end &&
	       !((m.emu.rflags ^ context->flags_out) & (ARITH | FLAG_DF)) &&
	       !memcmp(window, natively, WINDOW_BYTES);
}

static void describe(const struct template *t, const u8 *bytes, unsigned int n)
{
	unsigned int i;

	printf("  %s:", t->name);
	for (i = 0; i < n; i++)
		printf(" %02x", bytes[i]);
	printf("\n  flags %x -> %x, emulated %llx\n", context->flags_in, context->flags_out,
	       m.emu.rflags);
	for (i = 0; i < 8; i++) {
		if (context->out[i] != m.gpr[i])
			printf("  register %u: %x -> %x, emulated %lx\n", i, context->in[i],
			       context->out[i],
			       m.gpr[i]);
	}
}

static void compare_one(const struct template *t)
{
	unsigned int start, n;
	int sig, rc;
	u8 bytes[16];

	random_state_before();
	emit_prologue();
	start = at;
	emit_instruction(t);
	n = at - start;
	emit_epilogue();
	memcpy(bytes, code + start, n);

	sig = run_native();
	memcpy(natively, window, WINDOW_BYTES);
	memcpy(window, before, WINDOW_BYTES);
	rc = run_emulated(low_address(code + start), n);
	if (!CHECK(same_result(sig, rc, low_address(code + start + n)),
		   "signal %d, result %d, fault %u",
		   sig, rc, m.emu.fault.vector))
		describe(t, bytes, n);
	CHECK(emu_insn_length(bytes, n, EMU_PROT32) == n, "length");
}

void test_native32(unsigned long cases)
{
	const unsigned int kinds = sizeof(templates) / sizeof(templates[0]);
	unsigned long i;

	if (!prepare()) {
		group_skip("comparison with the processor, 32-bit mode",
			   "no way into 32-bit mode here");
		return;
	}

	group_begin("comparison with the processor, 32-bit mode");
	machine_reset(&m, EMU_PROT32);
	m.emu.cpl = 3;
	m.seg[EMU_CS].selector = USER32_CS;
	m.window = window;
	m.window_bytes = WINDOW_BYTES;
	for (i = 0; i < cases; i++)
		compare_one(&templates[i % kinds]);
	group_end();
}
