// SPDX-License-Identifier: GPL-2.0
/*
 * The make-believe machine: the emulator's ops on arrays. Memory that is absent or read-only
 * faults, device memory waits for an answer, everything else is recorded.
 */
#include <cpuid.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "machine.h"

#define PF_USER	4u

static struct machine *machine_of(struct emulator *emu)
{
	return (struct machine *)((char *)emu - offsetof(struct machine, emu));
}

/* What the emulator owes its ops; counted only when broken. */
static void demand(bool ok, const char *what)
{
	if (!ok)
		CHECK(false, "%s", what);
}

static int page_fault(struct emulator *emu, u64 linear, bool present, bool write)
{
	emu->fault.vector = 14;
	emu->fault.has_error = true;
	emu->fault.error = present | write << 1 | (emu->cpl == 3 ? PF_USER : 0);
	emu->fault.address = linear;
	return EMU_FAULT;
}

static int locate_in_window(struct machine *m, u64 linear, unsigned int size, bool write,
			    u8 **where)
{
	u64 start = (u64)(unsigned long)m->window, page = linear & ~4095ull;

	*where = m->window + (linear - start);
	for (; page < linear + size; page += 4096) {
		u8 access = m->window_page[(page - start) / 4096];

		if (access == WINDOW_NONE || (access == WINDOW_RO && write))
			return page_fault(&m->emu, page > linear ? page : linear,
					  access == WINDOW_RO, write);
	}
	return EMU_DONE;
}

static int locate(struct machine *m, u64 linear, unsigned int size, bool write, u8 **where)
{
	u64 start = (u64)(unsigned long)m->window, page;

	if (m->window && linear >= start && linear - start < m->window_bytes &&
	    linear - start + size <= m->window_bytes)
		return locate_in_window(m, linear, size, write, where);
	if (linear + size > RAM_BYTES || linear + size < linear)
		return page_fault(&m->emu, linear, false, write);

	for (page = linear / 4096; page <= (linear + size - 1) / 4096; page++) {
		u64 address = page * 4096 > linear ? page * 4096 : linear;

		if (m->absent[page])
			return page_fault(&m->emu, address, false, write);
		if (write && m->readonly[page])
			return page_fault(&m->emu, address, true, true);
	}
	*where = m->ram + linear;
	return EMU_DONE;
}

static bool is_mmio(u64 linear)
{
	return linear >= MMIO_BASE && linear < MMIO_BASE + MMIO_BYTES;
}

static int op_fetch(struct emulator *emu, u64 linear, void *buf, unsigned int size)
{
	struct machine *m = machine_of(emu);
	u8 *where;
	int rc;

	m->fetches++;
	demand(linear / 4096 == (linear + size - 1) / 4096, "a fetch crosses a page");
	rc = locate(m, linear, size, false, &where);
	if (rc == EMU_DONE)
		memcpy(buf, where, size);
	return rc;
}

static int op_read(struct emulator *emu, u64 linear, void *buf, unsigned int size,
		   unsigned int access)
{
	struct machine *m = machine_of(emu);
	u8 *where;
	int rc;

	demand(size && size <= EMU_MAX_ACCESS, "a read is too long");
	if (is_mmio(linear)) {
		if (m->reads >= m->answered)
			return EMU_PENDING;
		memcpy(buf, &m->answers[m->reads++], size > 8 ? 8 : size);
		return EMU_DONE;
	}
	rc = locate(m, linear, size, access & EMU_ACCESS_MODIFY, &where);
	if (rc == EMU_DONE)
		memcpy(buf, where, size);
	else if (access & EMU_ACCESS_SYSTEM)
		emu->fault.error &= ~PF_USER;
	return rc;
}

static int op_write(struct emulator *emu, u64 linear, const void *buf, unsigned int size,
		    unsigned int access)
{
	struct machine *m = machine_of(emu);
	u8 *where;
	int rc;

	demand(size && size <= EMU_MAX_ACCESS, "a write is too long");
	if (is_mmio(linear)) {
		m->mmio_written = 0;
		m->mmio_address = linear;
		m->mmio_writes++;
		memcpy(&m->mmio_written, buf, size > 8 ? 8 : size);
		return EMU_DONE;
	}
	rc = locate(m, linear, size, true, &where);
	if (rc == EMU_DONE)
		memcpy(where, buf, size);
	else if (access & EMU_ACCESS_SYSTEM)
		emu->fault.error &= ~PF_USER;
	return rc;
}

static int op_probe_read(struct emulator *emu, u64 linear, unsigned int size)
{
	u8 *where;

	return is_mmio(linear) ? EMU_DONE : locate(machine_of(emu), linear, size, false, &where);
}

static int op_probe_write(struct emulator *emu, u64 linear, unsigned int size)
{
	u8 *where;

	return is_mmio(linear) ? EMU_DONE : locate(machine_of(emu), linear, size, true, &where);
}

static int op_cmpxchg(struct emulator *emu, u64 linear, const void *old, const void *new,
		      unsigned int size)
{
	struct machine *m = machine_of(emu);
	u8 *where;
	int rc;

	if (is_mmio(linear))
		return op_write(emu, linear, new, size, 0);
	rc = locate(m, linear, size, true, &where);
	if (rc != EMU_DONE)
		return rc;
	if (m->lose_races) {
		m->lose_races--;
		where[0]++;
	}
	if (memcmp(where, old, size))
		return EMU_AGAIN;
	memcpy(where, new, size);
	return EMU_DONE;
}

static bool op_checkpoint(struct emulator *emu)
{
	struct machine *m = machine_of(emu);

	memmove(m->answers, m->answers + m->reads, sizeof(m->answers) - m->reads * sizeof(u64));
	m->answered -= m->reads;
	m->reads = 0;
	return ++m->checkpoints == m->stop_after;
}

static int op_pio_in(struct emulator *emu, u16 port, unsigned int size, void *buf,
		     unsigned int count)
{
	struct machine *m = machine_of(emu);

	m->port = port;
	m->pio_size = size;
	m->pio_count = count;
	m->pio_calls++;
	demand(size * count <= sizeof(m->pio_data), "pio_in is too long");
	if (!m->pio_ready)
		return EMU_PENDING;
	memcpy(buf, m->pio_data, size * count);
	return EMU_DONE;
}

static int op_pio_out(struct emulator *emu, u16 port, unsigned int size, const void *buf,
		      unsigned int count)
{
	struct machine *m = machine_of(emu);

	m->port = port;
	m->pio_size = size;
	m->pio_count = count;
	m->pio_calls++;
	demand(size * count <= sizeof(m->pio_data), "pio_out is too long");
	memcpy(m->pio_data, buf, size * count);
	return EMU_DONE;
}

static void op_get_segment(struct emulator *emu, enum emu_seg seg, struct emu_segment *val)
{
	machine_of(emu)->segment_reads++;
	*val = machine_of(emu)->seg[seg];
}

static int op_set_segment(struct emulator *emu, enum emu_seg seg, const struct emu_segment *val)
{
	machine_of(emu)->seg[seg] = *val;
	return EMU_DONE;
}

static void op_get_dt(struct emulator *emu, enum emu_dt which, struct emu_table *val)
{
	*val = machine_of(emu)->dt[which];
}

static int op_set_dt(struct emulator *emu, enum emu_dt which, const struct emu_table *val)
{
	machine_of(emu)->dt[which] = *val;
	return EMU_DONE;
}

static u64 op_get_cr(struct emulator *emu, unsigned int nr)
{
	machine_of(emu)->cr_reads++;
	return machine_of(emu)->cr[nr];
}

static int op_set_cr(struct emulator *emu, unsigned int nr, u64 val)
{
	machine_of(emu)->cr[nr] = val;
	return EMU_DONE;
}

static int op_get_dr(struct emulator *emu, unsigned int nr, u64 *val)
{
	*val = machine_of(emu)->dr[nr];
	return EMU_DONE;
}

static int op_set_dr(struct emulator *emu, unsigned int nr, u64 val)
{
	machine_of(emu)->dr[nr] = val;
	return EMU_DONE;
}

/* SYSENTER_CS, _ESP, _EIP; STAR, LSTAR, CSTAR, SFMASK; KERNEL_GS_BASE */
static u64 *system_msr(struct machine *m, u32 index)
{
	if (index >= 0x174 && index <= 0x176)
		return &m->system_msr[index - 0x174];
	if (index >= 0xc0000081 && index <= 0xc0000084)
		return &m->system_msr[3 + index - 0xc0000081];
	return index == 0xc0000102 ? &m->system_msr[7] : NULL;
}

static int op_get_msr(struct emulator *emu, u32 index, u64 *val)
{
	struct machine *m = machine_of(emu);

	if (index == 0xc0000080) {
		*val = m->efer;
		return EMU_DONE;
	}
	if (index != m->msr_index) {
		emu->fault = (struct emu_fault){ .vector = 13, .has_error = true };
		return EMU_FAULT;
	}
	*val = m->msr;
	return EMU_DONE;
}

static int op_set_msr(struct emulator *emu, u32 index, u64 val)
{
	struct machine *m = machine_of(emu);

	m->msr_index = index;
	m->msr = val;
	return EMU_DONE;
}

static int op_set_xcr(struct emulator *emu, u32 index, u64 val)
{
	(void)index;
	machine_of(emu)->xcr0 = val;
	return EMU_DONE;
}

static u64 op_get_state_msr(struct emulator *emu, u32 index)
{
	struct machine *m = machine_of(emu);

	if (index == 0xc0000080)
		return m->efer;
	return system_msr(m, index) ? *system_msr(m, index) : 0;
}

static int op_set_state_msr(struct emulator *emu, u32 index, u64 val)
{
	*system_msr(machine_of(emu), index) = val;
	return EMU_DONE;
}

static int op_get_xcr(struct emulator *emu, u32 index, u64 *val)
{
	(void)index;
	*val = machine_of(emu)->xcr0;
	return EMU_DONE;
}

static void op_end_local_breakpoints(struct emulator *emu)
{
	machine_of(emu)->dr[7] &= ~0x155ull;
}

/* Leaves that are looked at for features, remembered: the instruction is slow in a guest. */
static void host_cpuid(u32 regs[4])
{
	static struct { u32 leaf, regs[4]; } seen[8];
	unsigned int i;

	for (i = 0; i < 8 && seen[i].leaf; i++) {
		if (seen[i].leaf == regs[0])
			break;
	}
	if (i == 8 || !seen[i].leaf) {
		i &= 7;
		seen[i].leaf = regs[0];
		__cpuid_count(regs[0], regs[2], seen[i].regs[0], seen[i].regs[1], seen[i].regs[2],
			      seen[i].regs[3]);
	}
	memcpy(regs, seen[i].regs, sizeof(seen[i].regs));
}

/* Every feature, or none, or those of the processor */
static int op_cpuid(struct emulator *emu, u32 regs[4])
{
	u32 val;

	if (machine_of(emu)->host_features) {
		host_cpuid(regs);
		return EMU_DONE;
	}
	val = machine_of(emu)->no_features ? 0 : ~0u;
	regs[0] = 0x11110000 + (regs[0] & 0xffff);
	regs[1] = val;
	regs[2] = val;
	regs[3] = val;
	return EMU_DONE;
}

static int op_rdtsc(struct emulator *emu, u64 *tsc, u32 *aux)
{
	*tsc = machine_of(emu)->tsc;
	*aux = machine_of(emu)->tsc_aux;
	return EMU_DONE;
}

static int op_rdpmc(struct emulator *emu, u32 counter, u64 *val)
{
	(void)emu;
	*val = 0x1200000000ull + counter;
	return EMU_DONE;
}

static int op_halt(struct emulator *emu)
{
	machine_of(emu)->halts++;
	return EMU_DONE;
}

static int op_invlpg(struct emulator *emu, u64 linear)
{
	machine_of(emu)->invalidated = linear;
	return EMU_DONE;
}

static int op_flush_tlb(struct emulator *emu)
{
	machine_of(emu)->tlb_flushes++;
	return EMU_DONE;
}

static u32 op_get_pkru(struct emulator *emu)
{
	return machine_of(emu)->pkru;
}

static void op_set_pkru(struct emulator *emu, u32 val)
{
	machine_of(emu)->pkru = val;
}

static int op_wbinvd(struct emulator *emu)
{
	machine_of(emu)->cache_flushes++;
	return EMU_DONE;
}

static int op_mwait(struct emulator *emu)
{
	machine_of(emu)->waits++;
	return EMU_DONE;
}

static int op_leave_smm(struct emulator *emu)
{
	emu->fault = (struct emu_fault){ .vector = 6 };
	return EMU_FAULT;
}

static int op_hypercall(struct emulator *emu)
{
	machine_of(emu)->hypercalls++;
	emu->gpr[EMU_RAX] = 0x1234;
	return EMU_DONE;
}

static void op_get_vector(struct emulator *emu, unsigned int nr, void *val, unsigned int size)
{
	struct machine *m = machine_of(emu);

	demand(nr < 16 && (size == 16 || size == 32), "a vector register that is none");
	memcpy(val, m->fpu.xmm[nr], 16);
	if (size == 32)
		memcpy((u8 *)val + 16, m->ymm_high[nr], 16);
}

static void op_set_vector(struct emulator *emu, unsigned int nr, const void *val, unsigned int size)
{
	struct machine *m = machine_of(emu);

	demand(nr < 16 && (size == 16 || size == 32), "a vector register that is none");
	memcpy(m->fpu.xmm[nr], val, 16);
	if (size == 32)
		memcpy(m->ymm_high[nr], (const u8 *)val + 16, 16);
}

static void op_get_fpu(struct emulator *emu, struct emu_fpu *fpu)
{
	*fpu = machine_of(emu)->fpu;
}

static void op_set_fpu(struct emulator *emu, const struct emu_fpu *fpu)
{
	struct machine *m = machine_of(emu);

	demand(!(fpu->mxcsr & ~m->fpu.mxcsr_mask) && fpu->mxcsr_mask == m->fpu.mxcsr_mask,
	       "an MXCSR that faults");
	m->fpu = *fpu;
}

static u64 op_get_xcr0(struct emulator *emu)
{
	return machine_of(emu)->xcr0;
}

static const struct emu_ops machine_ops = {
	.fetch = op_fetch,
	.read = op_read,
	.write = op_write,
	.probe_read = op_probe_read,
	.probe_write = op_probe_write,
	.cmpxchg = op_cmpxchg,
	.checkpoint = op_checkpoint,
	.pio_in = op_pio_in,
	.pio_out = op_pio_out,
	.get_segment = op_get_segment,
	.set_segment = op_set_segment,
	.get_dt = op_get_dt,
	.set_dt = op_set_dt,
	.get_cr = op_get_cr,
	.set_cr = op_set_cr,
	.get_dr = op_get_dr,
	.set_dr = op_set_dr,
	.get_msr = op_get_msr,
	.set_msr = op_set_msr,
	.get_state_msr = op_get_state_msr,
	.set_state_msr = op_set_state_msr,
	.get_xcr = op_get_xcr,
	.set_xcr = op_set_xcr,
	.end_local_breakpoints = op_end_local_breakpoints,
	.cpuid = op_cpuid,
	.rdtsc = op_rdtsc,
	.rdpmc = op_rdpmc,
	.halt = op_halt,
	.invlpg = op_invlpg,
	.flush_tlb = op_flush_tlb,
	.get_pkru = op_get_pkru,
	.set_pkru = op_set_pkru,
	.wbinvd = op_wbinvd,
	.mwait = op_mwait,
	.leave_smm = op_leave_smm,
	.hypercall = op_hypercall,
	.get_vector = op_get_vector,
	.set_vector = op_set_vector,
	.get_fpu = op_get_fpu,
	.set_fpu = op_set_fpu,
	.get_xcr0 = op_get_xcr0,
};

static void reset_segments(struct machine *m, enum emu_mode mode)
{
	bool real = mode == EMU_REAL || mode == EMU_VM86;
	bool wide = mode == EMU_PROT32 || mode == EMU_LONG64;
	unsigned int i, dpl = mode == EMU_VM86 ? 3 : 0;

	for (i = 0; i < 6; i++) {
		struct emu_segment *s = &m->seg[i];

		s->limit = wide ? 0xffffffff : 0xffff;
		s->selector = real ? 0 : i == EMU_CS ? 0x08 : 0x10;
		s->attr = EMU_ATTR_P | EMU_ATTR_S | EMU_ATTR_WRITE | EMU_ATTR_ACCESSED |
			  dpl << EMU_ATTR_DPL_SHIFT;
		if (wide)
			s->attr |= EMU_ATTR_G | EMU_ATTR_DB;
		if (i == EMU_CS && !real)
			s->attr |= EMU_ATTR_CODE;
	}
	if (mode == EMU_LONG64)
		m->seg[EMU_CS].attr = (m->seg[EMU_CS].attr & ~EMU_ATTR_DB) | EMU_ATTR_L;
	m->seg[EMU_TR].attr = EMU_ATTR_P | 0xb;
	m->seg[EMU_TR].limit = 0x67;
}

void machine_reset(struct machine *m, enum emu_mode mode)
{
	memset(m, 0, sizeof(*m));
	m->emu.ops = &machine_ops;
	m->emu.insn.amd = true;
	m->emu.gpr = m->gpr;
	m->emu.mode = mode;
	m->emu.cpl = mode == EMU_VM86 ? 3 : 0;
	m->emu.rip = CODE;
	m->emu.rflags = 2 | (mode == EMU_VM86 ? 1 << 17 : 0);
	m->gpr[EMU_RSP] = STACK;
	m->cr[0] = mode == EMU_REAL ? 0 : 1;
	m->cr[4] = 0x200;
	m->xcr0 = 7;
	m->fpu.fcw = 0x37f;
	m->fpu.mxcsr = 0x1f80;
	m->fpu.mxcsr_mask = 0xffff;
	m->efer = mode == EMU_LONG64 ? 0x500 : 0;
	m->dt[EMU_GDT] = (struct emu_table){ .base = GDT, .limit = 0xff };
	m->dt[EMU_IDT] = (struct emu_table){ .base = 0, .limit = 0x3ff };
	reset_segments(m, mode);
}

/* The rest of the page is filled with something that an overrun would stumble over: HLT. */
void machine_code(struct machine *m, const void *bytes, unsigned int n)
{
	u64 linear = m->emu.rip + (m->emu.mode == EMU_LONG64 ? 0 : m->seg[EMU_CS].base);

	memset(m->ram + linear, 0xf4, 32);
	memcpy(m->ram + linear, bytes, n);
}

int machine_decode(struct machine *m, const void *bytes, unsigned int n)
{
	machine_code(m, bytes, n);
	m->emu.insn.available = 0;
	m->emu.seg_valid = 0;
	return emu_decode(&m->emu);
}

#define MAX_SEEN	1024u

static const struct emu_opcode *seen[MAX_SEEN];

static void note_execution(const struct emu_opcode *op)
{
	unsigned int i;

	for (i = 0; i < MAX_SEEN && seen[i] && seen[i] != op; i++)
		;
	if (i < MAX_SEEN)
		seen[i] = op;
}

bool machine_has_run(const struct emu_opcode *op)
{
	unsigned int i;

	for (i = 0; i < MAX_SEEN && seen[i]; i++) {
		if (seen[i] == op)
			return true;
	}
	return false;
}

int machine_run(struct machine *m, const void *bytes, unsigned int n)
{
	int rc = machine_decode(m, bytes, n);

	if (rc == EMU_DONE)
		note_execution(m->emu.insn.op);
	m->reads = 0;
	return rc == EMU_DONE ? emu_execute(&m->emu) : rc;
}

u64 machine_peek(const struct machine *m, u64 linear, unsigned int size)
{
	u64 val = 0;

	memcpy(&val, m->ram + linear, size);
	return val;
}

void machine_poke(struct machine *m, u64 linear, u64 val, unsigned int size)
{
	memcpy(m->ram + linear, &val, size);
}

void machine_descriptor(struct machine *m, u16 selector, u32 base, u32 limit, u16 attr)
{
	u64 raw;

	if (attr & EMU_ATTR_G)
		limit >>= 12;
	raw = (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)(attr & 0xff) << 40;
	raw |= (u64)(limit >> 16 & 0xf) << 48 | (u64)(attr >> 8 & 0xf) << 52;
	raw |= (u64)(base >> 24) << 56;
	machine_poke(m, GDT + (selector & ~7u), raw, 8);
}

static const char *group;
static unsigned int group_cases, group_failures;
static unsigned long passed, failed, skipped;

void group_begin(const char *name)
{
	group = name;
	group_cases = 0;
	group_failures = 0;
}

void group_end(void)
{
	printf("%-4s %s: %u cases\n", group_failures ? "FAIL" : "ok", group, group_cases);
	passed += group_cases - group_failures;
	failed += group_failures;
	fflush(stdout);
}

void group_skip(const char *name, const char *why)
{
	printf("skip %s: %s\n", name, why);
	skipped++;
}

bool check_case(bool ok, const char *file, int line, const char *format, ...)
{
	const char *slash = strrchr(file, '/');
	va_list args;

	group_cases++;
	if (ok)
		return true;
	if (++group_failures > 20)
		return false;

	printf("%s:%d: %s: ", slash ? slash + 1 : file, line, group);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	return false;
}

unsigned int group_failed(void)
{
	return group_failures;
}

int report(void)
{
	printf("%lu passed, %lu failed, %lu skipped\n", passed, failed, skipped);
	return failed != 0;
}
