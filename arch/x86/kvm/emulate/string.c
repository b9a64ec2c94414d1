// SPDX-License-Identifier: GPL-2.0
/*
 * String instructions, alone and repeated. A repeated one commits its registers after each
 * iteration, so that it can stop anywhere and be started again at the same rip. INS and OUTS move
 * as many elements at once as fit. APM volume 3, section 1.2.6 (repeat prefixes) and chapter 3;
 * volume 1, section 3.3.
 */
#include "opcode.h"

/* How long a repeated instruction may keep the caller waiting */
#define MAX_ITERATIONS	1024

#define PAGE_BYTES	4096u

static inline u64 source_offset(struct emulator *emu)
{
	return emu_get_gpr(emu, EMU_RSI, emu->insn.addr_size);
}

static inline u64 dest_offset(struct emulator *emu)
{
	return emu_get_gpr(emu, EMU_RDI, emu->insn.addr_size);
}

static void advance(struct emulator *emu, unsigned int reg, unsigned int elements)
{
	const struct emu_insn *insn = &emu->insn;
	u64 step = (u64)elements * insn->size;

	if (emu->rflags & FLAG_DF)
		step = -step;
	emu_set_gpr(emu, reg, insn->addr_size, emu->gpr[reg] + step);
}

static int movs_once(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 linear, val;
	int rc;

	rc = emu_linear(emu, EMU_ES, dest_offset(emu), insn->size, true, &linear);
	if (rc != EMU_DONE)
		return rc;
	rc = emu_read_value(emu, insn->seg, source_offset(emu), &val, insn->size);
	if (rc != EMU_DONE)
		return rc;
	rc = emu->ops->write(emu, linear, &val, insn->size, 0);
	if (rc != EMU_DONE)
		return rc;

	advance(emu, EMU_RSI, 1);
	advance(emu, EMU_RDI, 1);
	return EMU_DONE;
}

static int cmps_once(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 a, b;
	int rc;

	rc = emu_read_value(emu, EMU_ES, dest_offset(emu), &b, insn->size);
	if (rc != EMU_DONE)
		return rc;
	rc = emu_read_value(emu, insn->seg, source_offset(emu), &a, insn->size);
	if (rc != EMU_DONE)
		return rc;

	emu_compare(emu, a, b);
	advance(emu, EMU_RSI, 1);
	advance(emu, EMU_RDI, 1);
	return EMU_DONE;
}

static int stos_once(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 val = emu->gpr[EMU_RAX];
	int rc;

	rc = emu_write_mem(emu, EMU_ES, dest_offset(emu), &val, insn->size);
	if (rc == EMU_DONE)
		advance(emu, EMU_RDI, 1);
	return rc;
}

static int lods_once(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 val;
	int rc;

	rc = emu_read_value(emu, insn->seg, source_offset(emu), &val, insn->size);
	if (rc != EMU_DONE)
		return rc;

	emu_set_gpr(emu, EMU_RAX, insn->size, val);
	advance(emu, EMU_RSI, 1);
	return EMU_DONE;
}

static int scas_once(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 val;
	int rc;

	rc = emu_read_value(emu, EMU_ES, dest_offset(emu), &val, insn->size);
	if (rc != EMU_DONE)
		return rc;

	emu_compare(emu, emu_get_gpr(emu, EMU_RAX, insn->size), val);
	advance(emu, EMU_RDI, 1);
	return EMU_DONE;
}

static inline u64 repeat_count(struct emulator *emu)
{
	return emu_get_gpr(emu, EMU_RCX, emu->insn.addr_size);
}

static void commit_iteration(struct emulator *emu, u64 count)
{
	emu_set_gpr(emu, EMU_RCX, emu->insn.addr_size, count);
	emu->rflags = (emu->rflags & ~FLAG_ARITH) | (emu->next_rflags & FLAG_ARITH);
}

/* REPE goes on while ZF is set, REPNE while it is clear; only comparisons ask. */
static bool comparison_ends(const struct emulator *emu)
{
	return !(emu->rflags & FLAG_ZF) == (emu->insn.rep == 0xf3);
}

static int repeat(struct emulator *emu, int (*once)(struct emulator *emu), bool compares)
{
	unsigned int budget = MAX_ITERATIONS;
	u64 count;
	int rc;

	if (!emu->insn.rep)
		return once(emu);

	count = repeat_count(emu);
	while (count) {
		rc = once(emu);
		if (rc != EMU_DONE)
			return rc;

		commit_iteration(emu, --count);
		if (!count || (compares && comparison_ends(emu)))
			break;
		if (emu->ops->checkpoint(emu) || !--budget)
			return EMU_AGAIN;
	}
	return EMU_DONE;
}

int emu_exec_movs(struct emulator *emu)
{
	return repeat(emu, movs_once, false);
}

int emu_exec_cmps(struct emulator *emu)
{
	return repeat(emu, cmps_once, true);
}

int emu_exec_stos(struct emulator *emu)
{
	return repeat(emu, stos_once, false);
}

int emu_exec_lods(struct emulator *emu)
{
	return repeat(emu, lods_once, false);
}

int emu_exec_scas(struct emulator *emu)
{
	return repeat(emu, scas_once, true);
}

/*
 * How many elements at offset can be moved at once: as many as wanted and as lie in one page,
 * upwards, without wrapping and within the segment, and one if each is to be trapped; at least one,
 * whose check then says what is wrong with it.
 */
static int batch(struct emulator *emu, unsigned int seg, u64 offset, bool write, u64 *elements,
		 u64 *linear)
{
	const struct emu_insn *insn = &emu->insn;
	u64 size = insn->size, n = EMU_MAX_BATCH / size, room;
	int rc;

	rc = emu_linear(emu, seg, offset, size, write, linear);
	if (rc != EMU_DONE)
		return rc;

	if (emu->rflags & (FLAG_DF | FLAG_TF))
		n = 1;
	if (n > *elements)
		n = *elements;
	room = PAGE_BYTES - (*linear & (PAGE_BYTES - 1));
	if (n > room / size)
		n = room / size;
	room = emu_mask(insn->addr_size) - offset;
	if (n > room / size)
		n = room / size;
	if (n <= 1) {
		*elements = 1;
		return EMU_DONE;
	}

	*elements = n;
	if (emu_linear_unaligned(emu, seg, offset, n * size, write, linear) == EMU_DONE)
		return EMU_DONE;
	*elements = 1;
	return emu_linear(emu, seg, offset, size, write, linear);
}

static u64 elements_left(struct emulator *emu)
{
	return emu->insn.rep ? repeat_count(emu) : 1;
}

static int commit_batch(struct emulator *emu, unsigned int reg, u64 left, u64 moved)
{
	advance(emu, reg, moved);
	if (!emu->insn.rep)
		return EMU_DONE;

	commit_iteration(emu, left - moved);
	if (left == moved)
		return EMU_DONE;
	emu->ops->checkpoint(emu);
	return EMU_AGAIN;
}

/*
 * A port cannot be read a second time, so make sure first that the data can be put where it
 * belongs.
 */
int emu_exec_ins(struct emulator *emu)
{
	u16 port = emu->gpr[EMU_RDX];
	u64 left = elements_left(emu), n = left, linear;
	unsigned int size = emu->insn.size;
	int rc;

	rc = emu_io_allowed(emu, port, size);
	if (rc != EMU_DONE || !left)
		return rc;
	rc = batch(emu, EMU_ES, dest_offset(emu), true, &n, &linear);
	if (rc != EMU_DONE)
		return rc;
	rc = emu->ops->probe_write(emu, linear, n * size);
	if (rc != EMU_DONE)
		return rc;
	rc = emu->ops->pio_in(emu, port, size, emu->batch, n);
	if (rc != EMU_DONE)
		return rc;
	rc = emu->ops->write(emu, linear, emu->batch, n * size, 0);
	if (rc != EMU_DONE)
		return rc;
	return commit_batch(emu, EMU_RDI, left, n);
}

int emu_exec_outs(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u16 port = emu->gpr[EMU_RDX];
	u64 left = elements_left(emu), n = left, linear;
	int rc;

	rc = emu_io_allowed(emu, port, insn->size);
	if (rc != EMU_DONE || !left)
		return rc;
	rc = batch(emu, insn->seg, source_offset(emu), false, &n, &linear);
	if (rc != EMU_DONE)
		return rc;
	rc = emu->ops->read(emu, linear, emu->batch, n * insn->size, 0);
	if (rc != EMU_DONE)
		return rc;
	rc = emu->ops->pio_out(emu, port, insn->size, emu->batch, n);
	if (rc != EMU_DONE)
		return rc;
	return commit_batch(emu, EMU_RSI, left, n);
}
