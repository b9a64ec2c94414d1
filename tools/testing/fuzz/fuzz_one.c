// SPDX-License-Identifier: GPL-2.0
/*
 * The fuzzer's target: an input is a machine's state, an instruction and memory for it to find. The
 * emulator may do what it likes with that but for what its contract says, for which the machine's
 * ops watch too, and what the sanitizers forbid.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "opcode.h"
#include "fuzz_one.h"

#define MAX_ROUNDS	16u

/* Behind it: the instruction, then memory at DATA and on the stack */
struct header {
	u8 mode, switches, length;
	u8 gpr[EMU_GPR_COUNT];
	u8 flags[3];
	u8 fpu;
};

#define INTEL		0x80	/* bit of length */

/* Bits of switches */
enum {
	TASK_SWITCHED = 1, NO_SSE = 2, NO_AVX = 4, USER = 8, NO_ANSWER = 16, LIMITS = 32, RACE = 64,
	NO_FEATURES = 128,
};

static struct machine m;

static struct {
	unsigned long gpr[EMU_GPR_COUNT];
	u64 rip, rflags;
	struct emu_fpu fpu;
} saved;

static void demand(bool ok, const char *what)
{
	if (ok && !group_failed())
		return;
	fprintf(stderr, "broken contract: %s\n", what);
	abort();
}

/* A byte says what a register has: something to address memory with, or a number. */
static u64 expand(u8 byte)
{
	static const u64 places[8] = {
		DATA, STACK, DATA + 0xff8, MMIO_BASE, 0x7ffffffffff8, 0xfffc, 0xfffffffc, GDT
	};

	switch (byte >> 6) {
	case 0:
		return byte;
	case 1:
		return places[byte & 7] + ((byte >> 3) & 7);
	case 2:
		return (u64)(s64)(s8)byte << (byte & 0x38);
	default:
		return (byte & 0x3full) * 0x0102040810204081;
	}
}

static void prepare_segments(bool odd)
{
	unsigned int i;

	for (i = 0; odd && i < 6; i++) {
		if (i != EMU_CS)
			m.seg[i].limit = 0x8fff - i;
		if (i == EMU_ES)
			m.seg[i].attr |= EMU_ATTR_DOWN;
		m.seg[i].base = i == EMU_CS ? 0 : i * 16;
	}
	for (i = 1; i < 8; i++)
		machine_descriptor(&m, i * 8, i * 0x100, 0xfffff, 0xc00 | 0x80 | (i * 0x25 & 0x7f));
}

static void prepare(const struct header *h, const u8 *rest, size_t size)
{
	unsigned int i, n = h->length % (EMU_MAX_LENGTH + 1);

	machine_reset(&m, h->mode % (EMU_LONG64 + 1));
	for (i = 0; i < EMU_GPR_COUNT; i++)
		m.gpr[i] = expand(h->gpr[i]);
	m.emu.rflags = (m.emu.rflags & FLAG_VM) | 2 | h->flags[0] | (h->flags[1] & 0x7f) << 8 |
		       (h->flags[2] & 0x3c) << 16;
	if (h->switches & USER || m.emu.mode == EMU_VM86)
		m.emu.cpl = 3;
	m.cr[0] |= 0x40020 | (h->switches & TASK_SWITCHED ? 8 : 0);
	m.cr[4] = (h->switches & NO_SSE ? 0 : CR4_OSFXSR) |
		  (h->switches & NO_AVX ? 0 : CR4_OSXSAVE);
	m.no_features = h->switches & NO_FEATURES;
	m.emu.insn.amd = !(h->length & INTEL);
	m.answered = h->switches & NO_ANSWER ? h->fpu & 3 : MAX_READS;
	m.lose_races = !!(h->switches & RACE);
	m.fpu.fsw = (h->fpu & 7) << 11;
	m.fpu.ftw = h->fpu;
	m.pio_ready = true;
	m.readonly[6] = true;
	m.absent[7] = true;
	prepare_segments(h->switches & LIMITS);

	if (n > size)
		n = size;
	memcpy(m.ram + CODE, rest, n);
	rest += n;
	size -= n;
	for (i = 0; i < 8 && size; i++)
		memcpy(&m.fpu.st[i], rest, size < 10 ? size : 10);
	memcpy(m.ram + DATA, rest, size < 2048 ? size : 2048);
	memcpy(m.ram + STACK, rest, size < 2048 ? size : 2048);
}

static bool same_state(void)
{
	return !memcmp(m.gpr, saved.gpr, sizeof(m.gpr)) && m.emu.rip == saved.rip &&
	       m.emu.rflags == saved.rflags && !memcmp(&m.fpu, &saved.fpu, sizeof(m.fpu));
}

static void check_result(int rc)
{
	switch (rc) {
	case EMU_DONE:
	case EMU_AGAIN:
		break;
	case EMU_PENDING:
	case EMU_UNHANDLED:
		demand(m.checkpoints || same_state(), "who waits has changed nothing");
		break;
	case EMU_FAULT:
		demand(m.emu.fault.vector < 32 && m.emu.rip == saved.rip, "a fault's vector, rip");
		demand(m.checkpoints || same_state(), "a fault changes nothing");
		break;
	default:
		demand(false, "a result that is none");
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	const struct header *h = (const struct header *)data;
	unsigned int length, rounds = MAX_ROUNDS;
	int rc;

	if (size < sizeof(*h) + 1)
		return 0;
	prepare(h, data + sizeof(*h), size - sizeof(*h));
	memcpy(saved.gpr, m.gpr, sizeof(saved.gpr));
	saved.rip = m.emu.rip;
	saved.rflags = m.emu.rflags;
	saved.fpu = m.fpu;
	rc = emu_decode(&m.emu);
	demand(rc != EMU_AGAIN && rc != EMU_PENDING, "a decoder's result");
	if (rc != EMU_DONE) {
		check_result(rc);
		return 0;
	}
	length = emu_insn_length(m.ram + CODE, EMU_MAX_LENGTH, m.emu.mode, m.emu.insn.amd);
	demand(m.emu.insn.length <= EMU_MAX_LENGTH && length == m.emu.insn.length, "one length");
	do {
		m.reads = 0;
		rc = emu_execute(&m.emu);
	} while (rc == EMU_AGAIN && --rounds);
	check_result(rc);
	return 0;
}
