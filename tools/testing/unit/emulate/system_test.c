// SPDX-License-Identifier: GPL-2.0
/* System instructions and moves of vector registers. */
#include <string.h>

#include "machine.h"

static struct machine m;

#define RUN(...) machine_run(&m, BYTES(__VA_ARGS__))

static bool faults(int rc, u8 vector)
{
	return rc == EMU_FAULT && m.emu.fault.vector == vector;
}

static void test_privilege(void)
{
	static const struct { const char *bytes; u8 n; } privileged[] = {
		{ "\xf4", 1 }, { "\x0f\x06", 2 }, { "\x0f\x08", 2 }, { "\x0f\x09", 2 },
		{ "\x0f\x20\xc0", 3 }, { "\x0f\x22\xc0", 3 }, { "\x0f\x21\xc0", 3 },
		{ "\x0f\x23\xc0", 3 }, { "\x0f\x30", 2 }, { "\x0f\x32", 2 }, { "\x0f\x01\x38", 3 },
		{ "\x0f\x01\x10", 3 }, { "\x0f\x01\x18", 3 }, { "\x0f\x01\xf0", 3 },
		{ "\x0f\x00\xd0", 3 }, { "\x0f\x00\xd8", 3 }, { "\xfa", 1 }, { "\xfb", 1 },
		{ "\x0f\x33", 2 },
	};
	unsigned int i;

	group_begin("privilege");
	for (i = 0; i < sizeof(privileged) / sizeof(privileged[0]); i++) {
		machine_reset(&m, EMU_PROT32);
		m.emu.cpl = 3;
		CHECK(faults(machine_run(&m, privileged[i].bytes, privileged[i].n), 13), "case %u",
		      i);
		CHECK(m.emu.rip == CODE && m.emu.fault.has_error && !m.emu.fault.error, "case %u",
		      i);
	}
	group_end();
}

static void test_registers(void)
{
	group_begin("control, debug and model-specific registers");
	machine_reset(&m, EMU_LONG64);
	m.cr[3] = 0x123456789000;
	CHECK(RUN(0x0f, 0x20, 0xd8) == EMU_DONE && m.gpr[EMU_RAX] == 0x123456789000, "from cr3");
	m.gpr[EMU_R9] = 0x5;
	CHECK(RUN(0x45, 0x0f, 0x22, 0xc1) == EMU_DONE && m.cr[8] == 5, "to cr8");
	CHECK(faults(RUN(0x0f, 0x20, 0xc8), 6), "cr1");
	CHECK(faults(RUN(0x44, 0x0f, 0x20, 0xc8), 6), "cr9");
	CHECK(RUN(0x0f, 0x22, 0x00) == EMU_DONE, "mod is ignored");
	m.dr[7] = 0x400;
	CHECK(RUN(0x0f, 0x21, 0xf8) == EMU_DONE && m.gpr[EMU_RAX] == 0x400, "from dr7");
	CHECK(RUN(0x0f, 0x21, 0xe8) == EMU_DONE && m.gpr[EMU_RAX] == 0x400, "dr5 is dr7");
	m.cr[4] |= 8;
	CHECK(faults(RUN(0x0f, 0x21, 0xe8), 6), "dr5 with CR4.DE");
	CHECK(faults(RUN(0x44, 0x0f, 0x21, 0xc0), 6), "dr8");
	m.gpr[EMU_RAX] = 0x1234;
	CHECK(RUN(0x0f, 0x23, 0xc0) == EMU_DONE && m.dr[0] == 0x1234, "to dr0");

	m.gpr[EMU_RCX] = 0xffffffff00000277;
	m.gpr[EMU_RAX] = 0xffffffff11111111;
	m.gpr[EMU_RDX] = 0xffffffff22222222;
	CHECK(RUN(0x0f, 0x30) == EMU_DONE && m.msr == 0x2222222211111111 && m.msr_index == 0x277,
	      "wrmsr");
	CHECK(RUN(0x0f, 0x32) == EMU_DONE && m.gpr[EMU_RAX] == 0x11111111 &&
	      m.gpr[EMU_RDX] == 0x22222222,
	      "rdmsr");
	m.gpr[EMU_RCX] = 1;
	CHECK(faults(RUN(0x0f, 0x32), 13), "rdmsr of nothing");
	m.tsc = 0x1122334455667788;
	m.tsc_aux = 3;
	CHECK(RUN(0x0f, 0x31) == EMU_DONE && m.gpr[EMU_RDX] == 0x11223344, "rdtsc");
	CHECK(RUN(0x0f, 0x01, 0xf9) == EMU_DONE && m.gpr[EMU_RCX] == 3, "rdtscp");
	CHECK(RUN(0x0f, 0x33) == EMU_DONE && m.gpr[EMU_RDX] == 0x12 && m.gpr[EMU_RAX] == 3,
	      "rdpmc");
	m.gpr[EMU_RAX] = 7;
	CHECK(RUN(0x0f, 0xa2) == EMU_DONE && m.gpr[EMU_RAX] == 0x11110007 &&
	      m.gpr[EMU_RBX] == 0xffffffff,
	      "cpuid");
	m.emu.cpl = 3;
	m.cr[4] |= 4;
	CHECK(faults(RUN(0x0f, 0x31), 13), "rdtsc with CR4.TSD");
	m.emu.cpl = 0;
	CHECK(faults(RUN(0x0f, 0x01, 0xd1), 6), "xsetbv without OSXSAVE");
	m.cr[4] |= 1 << 18;
	m.gpr[EMU_RAX] = 7;
	m.gpr[EMU_RDX] = 0;
	CHECK(RUN(0x0f, 0x01, 0xd1) == EMU_DONE && m.xcr0 == 7, "xsetbv");

	m.cr[0] = 0x80000011 | 8;
	CHECK(RUN(0x0f, 0x06) == EMU_DONE && m.cr[0] == 0x80000011, "clts");
	m.gpr[EMU_RAX] = 0xfffe;
	CHECK(RUN(0x0f, 0x01, 0xf0) == EMU_DONE && m.cr[0] == 0x8000001f, "lmsw cannot clear PE");
	CHECK(RUN(0x48, 0x0f, 0x01, 0xe3) == EMU_DONE && m.gpr[EMU_RBX] == 0x8000001f, "smsw");
	group_end();
}

static void test_tables(void)
{
	group_begin("descriptor tables");
	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RAX] = DATA;
	machine_poke(&m, DATA, 0x7f, 2);
	machine_poke(&m, DATA + 2, 0xffff800000001000, 8);
	CHECK(RUN(0x0f, 0x01, 0x10) == EMU_DONE && m.dt[EMU_GDT].base == 0xffff800000001000,
	      "lgdt");
	CHECK(RUN(0x0f, 0x01, 0x18) == EMU_DONE && m.dt[EMU_IDT].limit == 0x7f, "lidt");
	machine_poke(&m, DATA + 2, 1ull << 60, 8);
	CHECK(faults(RUN(0x0f, 0x01, 0x18), 13), "base not canonical");
	CHECK(RUN(0x0f, 0x01, 0x00) == EMU_DONE &&
	      machine_peek(&m, DATA + 2, 8) == 0xffff800000001000, "sgdt");
	m.emu.cpl = 3;
	CHECK(RUN(0x0f, 0x01, 0x08) == EMU_DONE, "sidt in user mode");
	m.cr[4] |= 1 << 11;
	CHECK(faults(RUN(0x0f, 0x01, 0x08), 13), "sidt with CR4.UMIP");
	CHECK(faults(RUN(0x0f, 0x00, 0xc8), 13), "str with CR4.UMIP");
	CHECK(faults(RUN(0x0f, 0x01, 0xe0), 13), "smsw with CR4.UMIP");
	m.emu.cpl = 0;
	m.seg[EMU_TR].selector = 0x48;
	CHECK(RUN(0x0f, 0x00, 0xc8) == EMU_DONE && m.gpr[EMU_RAX] == 0x48, "str");
	m.seg[EMU_LDTR].selector = 0x58;
	m.gpr[EMU_RBX] = DATA;
	machine_poke(&m, DATA, ~0ull, 8);
	CHECK(RUN(0x0f, 0x00, 0x03) == EMU_DONE && machine_peek(&m, DATA, 4) == 0xffff0058, "sldt");

	machine_reset(&m, EMU_REAL);
	machine_poke(&m, DATA, 0x1234567803ff, 8);
	m.gpr[EMU_RSI] = DATA;
	CHECK(RUN(0x0f, 0x01, 0x1c) == EMU_DONE && m.dt[EMU_IDT].base == 0x345678, "24-bit base");
	CHECK(RUN(0x66, 0x0f, 0x01, 0x1c) == EMU_DONE && m.dt[EMU_IDT].base == 0x12345678,
	      "32-bit base");
	CHECK(faults(RUN(0x0f, 0x00, 0xd0), 6), "lldt in real mode");
	CHECK(faults(RUN(0x0f, 0x00, 0xc8), 6), "str in real mode");
	group_end();
}

static void test_interrupt_flag(void)
{
	group_begin("CLI, STI, HLT and others");
	machine_reset(&m, EMU_LONG64);
	CHECK(RUN(0xfb) == EMU_DONE && m.emu.rflags == 0x202 && m.emu.shadow == EMU_SHADOW_STI,
	      "sti");
	CHECK(RUN(0xfb) == EMU_DONE && !m.emu.shadow, "no shadow when it was on");
	CHECK(RUN(0xfa) == EMU_DONE && m.emu.rflags == 2, "cli");
	CHECK(RUN(0xf4) == EMU_DONE && m.halts == 1, "hlt");
	m.emu.rflags |= 0x10000;
	CHECK(RUN(0x0f, 0x09) == EMU_DONE && m.cache_flushes == 1, "wbinvd");
	CHECK(m.emu.rflags == 2, "RF is cleared");
	m.gpr[EMU_RAX] = 0x5000;
	CHECK(RUN(0x0f, 0x01, 0x38) == EMU_DONE && m.invalidated == 0x5000, "invlpg");
	CHECK(RUN(0x0f, 0x01, 0xd9) == EMU_DONE && m.hypercalls == 1 && m.gpr[EMU_RAX] == 0x1234,
	      "vmmcall");
	CHECK(RUN(0x0f, 0x01, 0xc1) == EMU_DONE && m.hypercalls == 2, "vmcall");

	m.emu.cpl = 3;
	m.cr[4] |= 2;
	CHECK(RUN(0xfb) == EMU_DONE && m.emu.rflags == 0x80002, "sti with CR4.PVI");
	m.emu.rflags |= 1 << 20;
	CHECK(faults(RUN(0xfb), 13), "with VIP pending");
	CHECK(RUN(0xfa) == EMU_DONE && m.emu.rflags == 0x100002, "cli with CR4.PVI");
	machine_reset(&m, EMU_VM86);
	CHECK(faults(RUN(0xfa), 13), "cli in vm86");
	m.cr[4] |= 1;
	CHECK(RUN(0xfb) == EMU_DONE && m.emu.rflags == 0xa0002, "sti with CR4.VME");
	m.emu.rflags |= 0x3000;
	CHECK(RUN(0xfb) == EMU_DONE && m.emu.rflags == 0xa3202, "sti in vm86 at IOPL 3");
	group_end();
}

static void test_waiting_and_others(void)
{
	group_begin("MONITOR, MWAIT, XGETBV, CLAC, STAC, RSM");
	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RAX] = DATA;
	CHECK(RUN(0x0f, 0x01, 0xc8) == EMU_DONE && m.waits == 1, "monitor");
	CHECK(RUN(0x0f, 0x01, 0xc9) == EMU_DONE && m.waits == 2, "mwait");
	m.gpr[EMU_RCX] = 1;
	CHECK(RUN(0x0f, 0x01, 0xc9) == EMU_DONE, "mwait with interrupts as breaks");
	CHECK(faults(RUN(0x0f, 0x01, 0xc8), 13), "monitor with extensions");
	m.gpr[EMU_RCX] = 2;
	CHECK(faults(RUN(0x0f, 0x01, 0xc9), 13), "mwait with extensions");
	m.gpr[EMU_RCX] = 0;
	m.gpr[EMU_RAX] = 1ull << 50;
	CHECK(faults(RUN(0x0f, 0x01, 0xc8), 13), "monitor of no address");
	m.emu.cpl = 3;
	CHECK(faults(RUN(0x0f, 0x01, 0xc8), 6), "monitor at CPL 3");
	CHECK(faults(RUN(0x0f, 0x01, 0xc9), 6), "mwait at CPL 3");
	CHECK(faults(RUN(0x0f, 0x01, 0xca), 6), "clac at CPL 3");
	m.xcr0 = 0x700000007;
	CHECK(faults(RUN(0x0f, 0x01, 0xd0), 6), "xgetbv without OSXSAVE");
	m.cr[4] |= 1 << 18;
	CHECK(RUN(0x0f, 0x01, 0xd0) == EMU_DONE && m.gpr[EMU_RAX] == 7 && m.gpr[EMU_RDX] == 7,
	      "xgetbv at CPL 3");
	CHECK(faults(RUN(0x0f, 0x01, 0xd1), 13), "xsetbv at CPL 3");
	m.emu.cpl = 0;
	CHECK(RUN(0x0f, 0x01, 0xcb) == EMU_DONE && m.emu.rflags == 0x40002, "stac");
	CHECK(RUN(0x0f, 0x01, 0xca) == EMU_DONE && m.emu.rflags == 2, "clac");
	CHECK(faults(RUN(0x0f, 0xaa), 6), "rsm outside system management mode");
	m.no_features = true;
	CHECK(faults(RUN(0x0f, 0x01, 0xcb), 6), "stac without SMAP");
	group_end();
}

static void test_bases_and_keys(void)
{
	group_begin("FS and GS bases, RDPID, PKRU, INVPCID");
	machine_reset(&m, EMU_LONG64);
	CHECK(faults(RUN(0xf3, 0x0f, 0xae, 0xc1), 6), "rdfsbase without CR4.FSGSBASE");
	m.cr[4] |= 1 << 16;
	m.emu.cpl = 3;
	m.seg[EMU_FS].base = 0x123456789abc;
	CHECK(RUN(0xf3, 0x0f, 0xae, 0xc1) == EMU_DONE && m.gpr[EMU_RCX] == 0x56789abc, "rdfsbase");
	CHECK(RUN(0xf3, 0x49, 0x0f, 0xae, 0xc1) == EMU_DONE && m.gpr[EMU_R9] == 0x123456789abc,
	      "rdfsbase, 64 bits");
	CHECK(RUN(0xf3, 0x49, 0x0f, 0xae, 0xd9) == EMU_DONE && m.seg[EMU_GS].base == 0x123456789abc,
	      "wrgsbase");
	CHECK(RUN(0xf3, 0x48, 0x0f, 0xae, 0xcb) == EMU_DONE && m.gpr[EMU_RBX] == 0x123456789abc,
	      "rdgsbase");
	m.gpr[EMU_RAX] = 1ull << 47;
	CHECK(RUN(0xf3, 0x0f, 0xae, 0xd0) == EMU_DONE && !m.seg[EMU_FS].base, "wrfsbase, 32 bits");
	CHECK(faults(RUN(0xf3, 0x48, 0x0f, 0xae, 0xd0), 13), "wrfsbase, not canonical");
	CHECK(faults(RUN(0xf3, 0x0f, 0xae, 0x00), 6), "with memory");
	m.emu.mode = EMU_PROT32;
	CHECK(faults(RUN(0xf3, 0x0f, 0xae, 0xc1), 6), "rdfsbase in 32-bit mode");
	m.emu.mode = EMU_LONG64;

	m.tsc_aux = 0x305;
	CHECK(RUN(0xf3, 0x0f, 0xc7, 0xf9) == EMU_DONE && m.gpr[EMU_RCX] == 0x305, "rdpid");
	m.gpr[EMU_RCX] = m.gpr[EMU_RDX] = 0;
	CHECK(faults(RUN(0x0f, 0x01, 0xee), 6), "rdpkru without CR4.PKE");
	m.cr[4] |= 1 << 22;
	m.gpr[EMU_RAX] = 0xffffffff12345678;
	CHECK(RUN(0x0f, 0x01, 0xef) == EMU_DONE && m.pkru == 0x12345678, "wrpkru");
	m.gpr[EMU_RDX] = ~0ul;
	CHECK(RUN(0x0f, 0x01, 0xee) == EMU_DONE && m.gpr[EMU_RAX] == 0x12345678 &&
	      !m.gpr[EMU_RDX], "rdpkru");
	m.gpr[EMU_RDX] = 1;
	CHECK(faults(RUN(0x0f, 0x01, 0xef), 13), "wrpkru with EDX");
	m.gpr[EMU_RCX] = 1;
	CHECK(faults(RUN(0x0f, 0x01, 0xee), 13), "rdpkru with ECX");

	m.gpr[EMU_RAX] = DATA;
	m.gpr[EMU_RCX] = 0;
	CHECK(faults(RUN(0x66, 0x0f, 0x38, 0x82, 0x08), 13), "invpcid at CPL 3");
	m.emu.cpl = 0;
	machine_poke(&m, DATA + 8, 1ull << 50, 8);
	CHECK(faults(RUN(0x66, 0x0f, 0x38, 0x82, 0x08), 13), "an address that is not canonical");
	m.gpr[EMU_RCX] = 1;
	CHECK(RUN(0x66, 0x0f, 0x38, 0x82, 0x08) == EMU_DONE && m.tlb_flushes == 1, "invpcid");
	machine_poke(&m, DATA, 5, 8);
	CHECK(faults(RUN(0x66, 0x0f, 0x38, 0x82, 0x08), 13), "a PCID without CR4.PCIDE");
	m.cr[4] |= 1 << 17;
	CHECK(RUN(0x66, 0x0f, 0x38, 0x82, 0x08) == EMU_DONE && m.tlb_flushes == 2, "and with it");
	machine_poke(&m, DATA, 0x1000, 8);
	CHECK(faults(RUN(0x66, 0x0f, 0x38, 0x82, 0x08), 13), "a PCID that is none");
	m.gpr[EMU_RCX] = 3;
	CHECK(faults(RUN(0x66, 0x0f, 0x38, 0x82, 0x08), 13), "for a kind that wants none, too");
	machine_poke(&m, DATA, 5, 8);
	m.cr[4] &= ~(1 << 17);
	for (u64 kind = 2; kind <= 3; kind++) {
		m.gpr[EMU_RCX] = kind;
		CHECK(RUN(0x66, 0x0f, 0x38, 0x82, 0x08) == EMU_DONE && m.tlb_flushes == kind + 1,
		      "a PCID that is not looked at");
	}
	m.gpr[EMU_RCX] = 4;
	CHECK(faults(RUN(0x66, 0x0f, 0x38, 0x82, 0x08), 13), "a kind that is none");
	m.no_features = true;
	m.gpr[EMU_RCX] = 2;
	CHECK(faults(RUN(0x66, 0x0f, 0x38, 0x82, 0x08), 6), "invpcid that CPUID does not have");
	CHECK(faults(RUN(0xf3, 0x0f, 0xc7, 0xf9), 6), "rdpid that CPUID does not have");
	m.emu.cpl = 3;
	CHECK(faults(RUN(0x66, 0x0f, 0x38, 0x82, 0x08), 6), "invpcid of a program, too");
	group_end();
}

static void test_alignment(void)
{
	group_begin("alignment checks");
	machine_reset(&m, EMU_LONG64);
	m.emu.cpl = 3;
	m.cr[0] |= 1 << 18;
	m.gpr[EMU_RBX] = DATA + 2;
	CHECK(RUN(0x8b, 0x03) == EMU_DONE, "without RFLAGS.AC");
	m.emu.rflags |= 1 << 18;
	CHECK(faults(RUN(0x8b, 0x03), 17) && m.emu.fault.has_error && !m.emu.fault.error, "mov");
	CHECK(faults(RUN(0x01, 0x03), 17), "add to memory");
	CHECK(RUN(0x66, 0x8b, 0x03) == EMU_DONE, "aligned word");
	m.gpr[EMU_RSP] = STACK - 4;
	CHECK(faults(RUN(0x50), 17), "push");
	CHECK(faults(RUN(0x58), 17), "pop");
	m.gpr[EMU_RBX] = 1ull << 50 | 1;
	CHECK(faults(RUN(0x8b, 0x03), 13), "canonical form comes first");
	m.gpr[EMU_RBX] = 0x7ffff0001;
	CHECK(faults(RUN(0x8b, 0x03), 17), "and page faults after it");
	m.emu.cpl = 0;
	m.gpr[EMU_RBX] = DATA + 2;
	CHECK(RUN(0x8b, 0x03) == EMU_DONE, "CPL 0");
	m.emu.cpl = 3;
	m.cr[0] = 1;
	CHECK(RUN(0x8b, 0x03) == EMU_DONE, "without CR0.AM");

	machine_reset(&m, EMU_PROT32);
	m.emu.cpl = 3;
	m.cr[0] |= 1 << 18;
	m.emu.rflags |= 1 << 18;
	m.gpr[EMU_RSP] = STACK - 2;
	CHECK(RUN(0x66, 0x60) == EMU_DONE, "pusha of words");
	m.gpr[EMU_RSP] = STACK - 2;
	CHECK(faults(RUN(0x60), 17), "pusha");
	group_end();
}

static const u8 pattern[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

struct vector_case {
	const char *name;
	const char *bytes;
	u8 n;
	u8 moved;	/* bytes */
	u8 from, to;	/* where in the source and in the destination */
	bool aligned, clears;
};

#define V(name, bytes, ...) { name, bytes, sizeof(bytes) - 1, __VA_ARGS__ }

/* xmm1 from [rax] */
static const struct vector_case vector_loads[] = {
	V("movups", "\x0f\x10\x08", 16),
	V("movupd", "\x66\x0f\x10\x08", 16),
	V("movaps", "\x0f\x28\x08", 16, .aligned = true),
	V("movapd", "\x66\x0f\x28\x08", 16, .aligned = true),
	V("movdqa", "\x66\x0f\x6f\x08", 16, .aligned = true),
	V("movdqu", "\xf3\x0f\x6f\x08", 16),
	V("lddqu", "\xf2\x0f\xf0\x08", 16),
	V("movntdqa", "\x66\x0f\x38\x2a\x08", 16, .aligned = true),
	V("movss", "\xf3\x0f\x10\x08", 4, .clears = true),
	V("movsd", "\xf2\x0f\x10\x08", 8, .clears = true),
	V("movq", "\xf3\x0f\x7e\x08", 8, .clears = true),
	V("movd", "\x66\x0f\x6e\x08", 4, .clears = true),
	V("movq from gpr", "\x66\x48\x0f\x6e\x08", 8, .clears = true),
	V("movlps", "\x0f\x12\x08", 8),
	V("movhps", "\x0f\x16\x08", 8, 0, 8),
	V("movhpd", "\x66\x0f\x16\x08", 8, 0, 8),
};

/* [rax] from xmm1 */
static const struct vector_case vector_stores[] = {
	V("movups", "\x0f\x11\x08", 16),
	V("movaps", "\x0f\x29\x08", 16, .aligned = true),
	V("movntps", "\x0f\x2b\x08", 16, .aligned = true),
	V("movntdq", "\x66\x0f\xe7\x08", 16, .aligned = true),
	V("movdqa", "\x66\x0f\x7f\x08", 16, .aligned = true),
	V("movdqu", "\xf3\x0f\x7f\x08", 16),
	V("movss", "\xf3\x0f\x11\x08", 4),
	V("movsd", "\xf2\x0f\x11\x08", 8),
	V("movq", "\x66\x0f\xd6\x08", 8),
	V("movd", "\x66\x0f\x7e\x08", 4),
	V("movlps", "\x0f\x13\x08", 8),
	V("movhps", "\x0f\x17\x08", 8, 8, 0),
};

static void test_vector_load(const struct vector_case *c)
{
	unsigned int i;
	u8 want[16];

	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RAX] = DATA;
	memcpy(m.ram + DATA, pattern, 16);
	memset(m.fpu.xmm[1], 0xee, 16);
	memset(want, c->clears ? 0 : 0xee, 16);
	memcpy(want + c->to, pattern + c->from, c->moved);
	CHECK(machine_run(&m, c->bytes, c->n) == EMU_DONE && !memcmp(m.fpu.xmm[1], want, 16), "%s",
	      c->name);

	m.emu.rip = CODE;
	m.gpr[EMU_RAX] = DATA + 1;
	i = machine_run(&m, c->bytes, c->n);
	CHECK(c->aligned ? faults(i, 13) : i == EMU_DONE, "%s unaligned", c->name);
	m.emu.rip = CODE;
	m.cr[0] |= 8;
	CHECK(faults(machine_run(&m, c->bytes, c->n), 7), "%s with CR0.TS", c->name);
	m.cr[0] |= 4;
	CHECK(faults(machine_run(&m, c->bytes, c->n), 6), "%s with CR0.EM", c->name);
	m.cr[0] = 1;
	m.cr[4] = 0;
	CHECK(faults(machine_run(&m, c->bytes, c->n), 6), "%s without CR4.OSFXSR", c->name);
}

static void test_vector_store(const struct vector_case *c)
{
	int rc;

	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RAX] = DATA;
	memcpy(m.fpu.xmm[1], pattern, 16);
	rc = machine_run(&m, c->bytes, c->n);
	CHECK(rc == EMU_DONE && !memcmp(m.ram + DATA, pattern + c->from, c->moved) &&
	      !m.ram[DATA + c->moved], "%s", c->name);
	m.emu.rip = CODE;
	m.gpr[EMU_RAX] = DATA + 8;
	rc = machine_run(&m, c->bytes, c->n);
	CHECK(c->aligned ? faults(rc, 13) : rc == EMU_DONE, "%s unaligned", c->name);
}

static void test_vector_registers(void)
{
	memcpy(m.fpu.xmm[9], pattern, 16);
	memset(m.fpu.xmm[1], 0xee, 16);
	CHECK(RUN(0x41, 0x0f, 0x12, 0xc9) == EMU_DONE && !memcmp(m.fpu.xmm[1], pattern + 8, 8) &&
	      m.fpu.xmm[1][8] == 0xee, "movhlps");
	CHECK(RUN(0x41, 0x0f, 0x16, 0xc9) == EMU_DONE && !memcmp(m.fpu.xmm[1] + 8, pattern, 8),
	      "movlhps");
	memset(m.fpu.xmm[1], 0xee, 16);
	CHECK(RUN(0xf3, 0x41, 0x0f, 0x10, 0xc9) == EMU_DONE && !memcmp(m.fpu.xmm[1], pattern, 4) &&
	      m.fpu.xmm[1][4] == 0xee, "movss between registers merges");
	CHECK(RUN(0x41, 0x0f, 0x28, 0xc9) == EMU_DONE && !memcmp(m.fpu.xmm[1], pattern, 16),
	      "movaps");
	CHECK(RUN(0x66, 0x48, 0x0f, 0x7e, 0xcb) == EMU_DONE && m.gpr[EMU_RBX] == 0x0807060504030201,
	      "to rbx");
	CHECK(faults(RUN(0x66, 0x0f, 0x12, 0xc1), 6), "movlpd between registers");
	CHECK(faults(RUN(0x0f, 0x2b, 0xc1), 6), "movntps to a register");

	m.gpr[EMU_RAX] = DATA;
	m.gpr[EMU_RBX] = 0x12345678;
	CHECK(RUN(0x0f, 0x6e, 0xdb) == EMU_DONE && m.fpu.st[3].mantissa == 0x12345678,
	      "movd to mm3");
	CHECK(RUN(0x0f, 0x7f, 0x18) == EMU_DONE && machine_peek(&m, DATA, 8) == 0x12345678,
	      "movq from mm3");
	machine_poke(&m, DATA, 0x99, 8);
	CHECK(RUN(0x0f, 0x6f, 0x20) == EMU_DONE && m.fpu.st[4].mantissa == 0x99, "movq to mm4");
	CHECK(RUN(0x0f, 0x6f, 0xec) == EMU_DONE && m.fpu.st[5].mantissa == 0x99,
	      "between registers");
	CHECK(RUN(0x48, 0x0f, 0x7e, 0xeb) == EMU_DONE && m.gpr[EMU_RBX] == 0x99, "from mm5");
	CHECK(RUN(0x0f, 0xe7, 0x18) == EMU_DONE && machine_peek(&m, DATA, 8) == 0x12345678,
	      "movntq");
}

void test_vector(void)
{
	unsigned int i;

	group_begin("vector loads");
	for (i = 0; i < sizeof(vector_loads) / sizeof(vector_loads[0]); i++)
		test_vector_load(&vector_loads[i]);
	group_end();

	group_begin("vector stores");
	for (i = 0; i < sizeof(vector_stores) / sizeof(vector_stores[0]); i++)
		test_vector_store(&vector_stores[i]);
	group_end();

	group_begin("vector registers");
	machine_reset(&m, EMU_LONG64);
	test_vector_registers();
	group_end();
}

void test_system(void)
{
	test_privilege();
	test_registers();
	test_tables();
	test_interrupt_flag();
	test_waiting_and_others();
	test_bases_and_keys();
	test_alignment();
}
