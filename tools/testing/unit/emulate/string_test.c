// SPDX-License-Identifier: GPL-2.0
/* String instructions: directions, widths, repetition and how it ends, ports. */
#include <string.h>

#include "machine.h"

static struct machine m;

#define RUN(...) machine_run(&m, BYTES(__VA_ARGS__))

static void set_pointers(u64 si, u64 di, u64 cx)
{
	m.gpr[EMU_RSI] = si;
	m.gpr[EMU_RDI] = di;
	m.gpr[EMU_RCX] = cx;
	m.emu.rip = CODE;
}

static void test_moves(void)
{
	unsigned int i;

	group_begin("MOVS, STOS, LODS");
	machine_reset(&m, EMU_LONG64);
	for (i = 0; i < 64; i++)
		m.ram[DATA + i] = i;
	set_pointers(DATA, DATA + 0x100, 7);
	CHECK(RUN(0xa4) == EMU_DONE && m.gpr[EMU_RSI] == DATA + 1 && m.gpr[EMU_RCX] == 7, "movsb");
	set_pointers(DATA, DATA + 0x100, 8);
	CHECK(RUN(0xf3, 0x48, 0xa5) == EMU_DONE, "rep movsq");
	CHECK(!memcmp(m.ram + DATA, m.ram + DATA + 0x100, 64), "rep movsq");
	CHECK(m.gpr[EMU_RSI] == DATA + 64 && m.gpr[EMU_RDI] == DATA + 0x140 && !m.gpr[EMU_RCX],
	      "rep movsq");
	CHECK(m.emu.rip == CODE + 3 && m.checkpoints == 7, "rep movsq");

	set_pointers(DATA + 60, DATA + 0x1fc, 16);
	m.emu.rflags |= 0x400;
	CHECK(RUN(0xf3, 0xa5) == EMU_DONE && m.gpr[EMU_RDI] == DATA + 0x1bc, "backwards");
	CHECK(!memcmp(m.ram + DATA, m.ram + DATA + 0x1c0, 64), "backwards");
	m.emu.rflags &= ~0x400ull;

	set_pointers(0, DATA, 0);
	CHECK(RUN(0xf3, 0xaa) == EMU_DONE && m.gpr[EMU_RDI] == DATA && m.emu.rip == CODE + 2,
	      "zero times");
	set_pointers(0, DATA, 0x100000003);
	m.gpr[EMU_RAX] = 0xabcd;
	CHECK(RUN(0x67, 0xf3, 0x66, 0xab) == EMU_DONE && m.gpr[EMU_RDI] == DATA + 6,
	      "32-bit counter");
	CHECK(machine_peek(&m, DATA, 8) == 0x0706abcdabcdabcd && !m.gpr[EMU_RCX], "rep stosw");
	set_pointers(DATA + 8, 0, 2);
	CHECK(RUN(0xf2, 0xac) == EMU_DONE && m.gpr[EMU_RAX] == 0xab09 &&
	      m.gpr[EMU_RSI] == DATA + 10,
	      "rep lodsb");

	set_pointers(0, DATA, 5000);
	CHECK(RUN(0xf3, 0xaa) == EMU_AGAIN && m.emu.rip == CODE && m.gpr[EMU_RCX] == 5000 - 1024,
	      "stops after a while");
	m.checkpoints = 0;
	m.stop_after = 3;
	CHECK(emu_execute(&m.emu) == EMU_AGAIN && m.gpr[EMU_RCX] == 5000 - 1024 - 3,
	      "stops when asked");
	for (i = 0; emu_execute(&m.emu) == EMU_AGAIN; i++)
		;
	CHECK(i == 3 && m.gpr[EMU_RCX] == 0 && m.gpr[EMU_RDI] == DATA + 5000 &&
	      m.emu.rip == CODE + 2,
	      "and goes on");

	machine_reset(&m, EMU_REAL);
	m.seg[EMU_ES].base = 0x20000;
	m.seg[EMU_FS].base = 0x10000;
	machine_poke(&m, 0x1fffe, 0x1234, 2);
	set_pointers(0xfffe, 0xdead0000 | DATA, 1);
	CHECK(RUN(0x64, 0xa5) == EMU_DONE && machine_peek(&m, 0x20000 + DATA, 2) == 0x1234,
	      "segments");
	CHECK(m.gpr[EMU_RSI] == 0 && m.gpr[EMU_RDI] == (0xdead0000 | (DATA + 2)),
	      "16-bit pointers wrap");
	group_end();
}

static void test_compares(void)
{
	group_begin("CMPS and SCAS");
	machine_reset(&m, EMU_LONG64);
	memcpy(m.ram + DATA, "abcdefgh", 8);
	memcpy(m.ram + DATA + 0x10, "abcdXfgh", 8);
	set_pointers(DATA, DATA + 0x10, 8);
	CHECK(RUN(0xf3, 0xa6) == EMU_DONE && m.gpr[EMU_RCX] == 3 && m.gpr[EMU_RSI] == DATA + 5,
	      "repe cmpsb");
	CHECK(!(m.emu.rflags & 0x40), "repe cmpsb");
	set_pointers(DATA, DATA + 0x10, 4);
	CHECK(RUN(0xf3, 0xa6) == EMU_DONE && m.gpr[EMU_RCX] == 0 && (m.emu.rflags & 0x40),
	      "all equal");
	m.gpr[EMU_RAX] = 'c';
	set_pointers(0, DATA, 8);
	CHECK(RUN(0xf2, 0xae) == EMU_DONE && m.gpr[EMU_RCX] == 5 && m.gpr[EMU_RDI] == DATA + 3,
	      "repne scasb");
	CHECK(m.emu.rflags & 0x40, "repne scasb");
	m.gpr[EMU_RAX] = 'a';
	set_pointers(0, DATA, 8);
	CHECK(RUN(0xf3, 0xae) == EMU_DONE && m.gpr[EMU_RCX] == 6, "repe scasb");
	set_pointers(DATA, DATA + 0x10, 0);
	m.emu.rflags = 0x42;
	CHECK(RUN(0xf3, 0xa6) == EMU_DONE && m.emu.rflags == 0x42, "zero times leaves the flags");
	CHECK(RUN(0xa7) == EMU_DONE && (m.emu.rflags & 0x40), "cmpsd");
	group_end();
}

static void test_ports(void)
{
	unsigned int i;

	group_begin("ports");
	machine_reset(&m, EMU_REAL);
	m.gpr[EMU_RDX] = 0x3f8;
	m.gpr[EMU_RAX] = 0x11223344;
	CHECK(RUN(0xee) == EMU_DONE && m.port == 0x3f8 && m.pio_size == 1 && m.pio_data[0] == 0x44,
	      "out dx");
	CHECK(RUN(0x66, 0xe7, 0x80) == EMU_DONE && m.port == 0x80 && m.pio_size == 4, "out imm");
	CHECK(RUN(0xed) == EMU_PENDING && m.gpr[EMU_RAX] == 0x11223344, "in waits");
	i = m.emu.rip;
	m.pio_ready = true;
	memcpy(m.pio_data, "\xaa\xbb\xcc\xdd", 4);
	CHECK(emu_execute(&m.emu) == EMU_DONE && m.gpr[EMU_RAX] == 0x1122bbaa && m.emu.rip == i + 1,
	      "in ax");
	CHECK(RUN(0xe4, 0x60) == EMU_DONE && m.port == 0x60 && m.gpr[EMU_RAX] == 0x1122bbaa,
	      "in al");
	CHECK(RUN(0x66, 0xed) == EMU_DONE && m.gpr[EMU_RAX] == 0xddccbbaa, "in eax");

	for (i = 0; i < 1024; i++)
		m.pio_data[i] = i * 7;
	m.seg[EMU_ES].base = 0;
	m.pio_calls = 0;
	set_pointers(0, DATA, 256);
	CHECK(RUN(0xf3, 0x6d) == EMU_DONE && m.pio_calls == 1 && m.pio_count == 256, "rep insw");
	CHECK(m.gpr[EMU_RDI] == DATA + 512 && !(m.gpr[EMU_RCX] & 0xffff), "rep insw");
	CHECK(!memcmp(m.ram + DATA, m.pio_data, 512), "rep insw");
	set_pointers(0, DATA + 0xff0, 256);
	CHECK(RUN(0xf3, 0x6c) == EMU_AGAIN && m.pio_count == 16 && m.gpr[EMU_RCX] == 240,
	      "to the page's end");
	CHECK(emu_execute(&m.emu) == EMU_DONE && m.gpr[EMU_RCX] == 0 && m.pio_count == 240,
	      "and on");
	set_pointers(0, DATA + 0xfff, 2);
	CHECK(RUN(0xf3, 0x6d) == EMU_AGAIN && m.pio_count == 1, "across pages one by one");
	m.emu.rflags |= 0x400;
	set_pointers(0, DATA, 4);
	CHECK(RUN(0xf3, 0x6c) == EMU_AGAIN && m.pio_count == 1 && m.gpr[EMU_RDI] == DATA - 1,
	      "backwards");
	m.emu.rflags &= ~0x400ull;

	m.pio_calls = 0;
	m.readonly[DATA / 4096] = true;
	set_pointers(0, DATA, 4);
	CHECK(RUN(0xf3, 0x6c) == EMU_FAULT && m.emu.fault.vector == 14 && !m.pio_calls,
	      "no port is read for nothing");
	m.pio_ready = false;
	set_pointers(0, 0x4000, 4);
	CHECK(RUN(0xf3, 0x6c) == EMU_PENDING && m.gpr[EMU_RCX] == 4 && m.gpr[EMU_RDI] == 0x4000,
	      "ins waits");

	set_pointers(DATA, 0, 2000);
	memset(m.ram + DATA, 0x5a, 4096);
	m.pio_calls = 0;
	CHECK(RUN(0xf3, 0x6e) == EMU_AGAIN && m.pio_count == 1024 && m.gpr[EMU_RCX] == 976,
	      "rep outsb");
	CHECK(emu_execute(&m.emu) == EMU_DONE && m.pio_count == 976 && m.pio_calls == 2,
	      "rep outsb");
	CHECK(m.pio_data[0] == 0x5a && m.gpr[EMU_RSI] == DATA + 2000, "rep outsb");
	set_pointers(DATA, 0, 5);
	CHECK(RUN(0x6f) == EMU_DONE && m.pio_count == 1 && m.gpr[EMU_RCX] == 5, "outsw");
	set_pointers(DATA, 0, 0);
	CHECK(RUN(0xf3, 0x6f) == EMU_DONE && m.gpr[EMU_RSI] == DATA, "zero times");

	machine_reset(&m, EMU_LONG64);
	CHECK(RUN(0x48, 0xef) == EMU_DONE && m.pio_size == 4, "REX.W makes no 64-bit port");
	set_pointers(DATA, 0, 0);
	CHECK(RUN(0x48, 0x6f) == EMU_DONE && m.pio_size == 4 && m.gpr[EMU_RSI] == DATA + 4,
	      "nor outsq");
	group_end();
}

static void test_permission(void)
{
	bool allowed;
	unsigned int i;

	group_begin("I/O permission");
	machine_reset(&m, EMU_PROT32);
	m.emu.cpl = 3;
	m.seg[EMU_TR].base = 0x3000;
	m.gpr[EMU_RDX] = 0x61;
	machine_poke(&m, 0x3066, 0x68, 2);
	CHECK(RUN(0xee) == EMU_FAULT && m.emu.fault.vector == 13 && m.emu.fault.has_error,
	      "no bitmap");
	m.emu.rflags |= 0x3000;
	CHECK(RUN(0xee) == EMU_DONE, "IOPL 3");
	m.emu.rflags = 2;
	m.seg[EMU_TR].limit = 0x67 + 0x20;
	machine_poke(&m, 0x3066, 0x68, 2);
	machine_poke(&m, 0x3068 + 0x60 / 8, 0xfd, 1);
	machine_poke(&m, 0x3068 + 0x68 / 8, 0x80, 1);
	for (i = 0x60; i < 0x68; i++) {
		m.gpr[EMU_RDX] = i;
		allowed = i == 0x61;
		CHECK((RUN(0xee) == EMU_DONE) == allowed, "port %x", i);
	}
	m.gpr[EMU_RDX] = 0x68;
	CHECK(RUN(0xef) == EMU_DONE, "four ports");
	m.gpr[EMU_RDX] = 0x6c;
	CHECK(RUN(0xef) == EMU_FAULT, "the last of four ports");
	m.gpr[EMU_RDX] = 0x70;
	CHECK(RUN(0x66, 0xef) == EMU_DONE, "two ports");
	m.gpr[EMU_RDX] = 0xf8;
	CHECK(RUN(0xee) == EMU_FAULT, "the bitmap ends");
	m.gpr[EMU_RDX] = 0xffff;
	CHECK(RUN(0xf3, 0x6e) == EMU_FAULT, "outs asks too");
	m.emu.rflags |= 0x3000;
	m.emu.mode = EMU_VM86;
	CHECK(RUN(0xee) == EMU_FAULT, "IOPL does not count in vm86");
	group_end();
}

void test_string(void)
{
	test_moves();
	test_compares();
	test_ports();
	test_permission();
}
