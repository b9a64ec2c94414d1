// SPDX-License-Identifier: GPL-2.0
/*
 * Every form of instruction that the emulator knows and user code may execute, emulated by the
 * kernel because ud2 and "kvm" stand in front of it: in a guest at privilege level 3, in 64-bit and
 * in 32-bit mode, with TF set, so that each case ends in an exception. What must come out is what
 * the same emulator makes of the case in userspace, which tools/testing/fuzz compares with
 * processors; so this is about all that the kernel has around it: registers, memory, page faults,
 * vector state, debug exceptions. It sets the parameter kvm.force_emulation_prefix meanwhile.
 */
#include <sys/mman.h>

#include "emulate_cases.h"
#include "guest.h"

#define PREFIX		"\x0f\x0bkvm"
#define PREFIX_BYTES	5u
#define PARAMETER	"/sys/module/kvm/parameters/force_emulation_prefix"
#define GUEST_PT	0x16000u
#define ARENA_SLOT	1
#define CR4_OSXMMEXCPT	(1ull << 10)
#define FLAGS_SEEN	0x244cd5ull		/* arithmetic, DF, NT, AC, ID */
#define ROUNDS		2
#define MAX_ROUNDS	4096u			/* of a string instruction */
#define YMM_OFFSET	576
#define XSTATE_BV	512
#define PF_PRESENT	1u

#define arena		((uint8_t *)CASE_ARENA)
#define case_data	((uint8_t *)CASE_DATA)

static struct guest *g;
static struct kvm_sregs user;
static struct kvm_xsave initial;
static struct emulate_result expected, got;
static uint8_t before[CASE_DATA_BYTES], wanted[CASE_DATA_BYTES];
static unsigned int executed;
static bool has_avx;

/* ---- the guest ------------------------------------------------------------------------------- */

/* Exceptions have a stack of their own: the tested instruction has the stack pointer. */
static void use_own_stack(void)
{
	*(uint64_t *)(g->memory + GUEST_TSS + 0x24) = GUEST_STACK;
	*(uint16_t *)(g->memory + GUEST_TSS + 0x66) = 0xffff;	/* no port is allowed */
	for (unsigned int vector = 0; vector < 32; vector++)
		g->memory[GUEST_IDT + vector * 16 + 4] = 1;
}

/* What user code can reach is the arena; the first 2 MiB are the kernel's, all else is absent. */
static void map_arena(void)
{
	uint64_t *pt = (uint64_t *)(g->memory + GUEST_PT);
	uint64_t *pd = (uint64_t *)(g->memory + GUEST_PD);

	if (mmap(arena, CASE_PAGES * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != arena)
		fail("no memory at %#lx", CASE_ARENA);
	memset(arena, 0, CASE_PAGES * PAGE);
	must(vm_set_slot(g->vm, ARENA_SLOT, 0, CASE_ARENA, CASE_PAGES * PAGE, arena));
	memset(pd, 0, 4 * PAGE);
	pd[0] = PTE_P | PTE_W | PTE_PS;
	guest_map_4k(g, GUEST_PT, CASE_ARENA);
	memset(pt + CASE_PAGES, 0, PAGE - CASE_PAGES * sizeof(*pt));
	pt[CASE_HOLE] = pt[CASE_HOLE2] = 0;
	pt[CASE_CONST] &= ~PTE_W;
}

static void user_segments(bool is_long)
{
	struct kvm_segment *data[] = { &user.ds, &user.es, &user.ss, &user.fs, &user.gs };

	for (unsigned int i = 0; i < ARRAY_SIZE(data); i++) {
		data[i]->dpl = 3;
		data[i]->selector = i < 3 ? 0x2b : 0;
	}
	user.gs.base = CASE_GS_BASE;
	user.cs.dpl = 3;
	user.cs.selector = is_long ? 0x33 : 0x23;
	user.cs.l = is_long;
	user.cs.db = !is_long;
}

GUEST(nothing_code, 64, "hlt");

static void new_guest(bool is_long)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = 7 };

	if (read_number(PARAMETER) < 0)
		skip("there is no parameter kvm.force_emulation_prefix");
	check(write_text(PARAMETER, "1"));
	g = guest_new(LONG, nothing_code);
	use_own_stack();
	map_arena();
	user = vcpu_sregs(g->vcpu);
	user.cr0 |= CR0_NE | CR0_MP | CR0_WP | CR0_AM;
	user.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	must(ioctl(g->vcpu, KVM_SET_SREGS, &user));
	has_avx = !ioctl(g->vcpu, KVM_SET_XCRS, &xcrs);
	user_segments(is_long);
	must(ioctl(g->vcpu, KVM_GET_XSAVE, &initial));
}

static void set_registers(const struct emulate_state *s)
{
	const uint64_t *r = s->gpr;
	struct kvm_regs regs = {
		.rax = r[0], .rcx = r[1], .rdx = r[2], .rbx = r[3], .rsp = r[4], .rbp = r[5],
		.rsi = r[6], .rdi = r[7], .r8 = r[8], .r9 = r[9], .r10 = r[10], .r11 = r[11],
		.r12 = r[12], .r13 = r[13], .r14 = r[14], .r15 = r[15],
		.rip = s->rip - PREFIX_BYTES, .rflags = s->rflags,
	};

	must(ioctl(g->vcpu, KVM_SET_SREGS, &user));
	vcpu_set_regs(g->vcpu, &regs);
}

static void set_vectors(const struct emulate_state *s)
{
	struct kvm_xsave xsave = initial;
	uint8_t *image = (uint8_t *)xsave.region;

	memcpy(image, s->fpu, 28);
	memcpy(image + 32, s->fpu + 32, 464 - 32);
	*(uint64_t *)(image + XSTATE_BV) = has_avx ? 7 : 3;
	if (has_avx)
		memcpy(image + YMM_OFFSET, s->ymm_high, sizeof(s->ymm_high));
	must(ioctl(g->vcpu, KVM_SET_XSAVE, &xsave));
}

/* The handler waits with everything in its place but RAX, which is on top of its stack. */
static void take_registers(struct emulate_state *s)
{
	const struct guest_report *report = guest_report(g);
	struct kvm_regs regs = vcpu_regs(g->vcpu);

	check(regs.rsp < GUEST_STACK);
	memcpy(s->gpr, (uint64_t[]) {
		*(uint64_t *)(g->memory + regs.rsp), regs.rcx, regs.rdx, regs.rbx, report->rsp,
		regs.rbp, regs.rsi, regs.rdi, regs.r8, regs.r9, regs.r10, regs.r11, regs.r12,
		regs.r13, regs.r14, regs.r15 }, sizeof(s->gpr));
	s->rip = report->rip;
	s->rflags = report->rflags;
}

static void take_vectors(struct emulate_state *s)
{
	struct kvm_xsave xsave;
	uint8_t *image = (uint8_t *)xsave.region;

	must(ioctl(g->vcpu, KVM_GET_XSAVE, &xsave));
	memcpy(s->fpu, image, sizeof(s->fpu));
	memcpy(s->ymm_high, image + YMM_OFFSET, sizeof(s->ymm_high));
}

/* Until an exception other than that between two rounds of a string instruction */
static bool run_case(const struct emulate_case *c)
{
	const struct guest_report *report = guest_report(g);
	struct emulate_state state = c->state;
	unsigned int rounds = 0;

	memcpy(arena + CASE_RIP - CASE_ARENA - PREFIX_BYTES, PREFIX, PREFIX_BYTES);
	memcpy(arena + CASE_RIP - CASE_ARENA, c->bytes, sizeof(c->bytes));
	set_vectors(&state);
	executed++;
	do {
		set_registers(&state);
		check_equal(guest_run(g), 0);
		if (g->run->exit_reason != KVM_EXIT_IO || g->run->io.port != REPORT_PORT)
			return false;
		guest_complete(g);
		take_registers(&state);
	} while (c->repeats && report->vector == VECTOR_DB && report->rip == CASE_RIP &&
		 ++rounds < MAX_ROUNDS);
	got.done = report->vector == VECTOR_DB;
	got.vector = report->vector;
	got.error = report->error;
	got.cr2 = report->cr2;
	got.state = state;
	take_vectors(&got.state);
	return true;
}

/* ---- comparison ------------------------------------------------------------------------------ */

static bool same_fault(void)
{
	uint32_t unknown = expected.cr2 < 2 * MiB ? PF_PRESENT : 0;

	if (expected.vector != got.vector || (expected.error ^ got.error) & ~unknown)
		return false;
	return expected.vector != VECTOR_PF || expected.cr2 == got.cr2;
}

/* Control, status, tags, MXCSR, registers; of x87 ones ten bytes. */
static bool same_vectors(void)
{
	const uint8_t *a = expected.state.fpu, *b = got.state.fpu;
	unsigned int i;

	if (memcmp(a, b, 5) || memcmp(a + 24, b + 24, 4) || memcmp(a + 160, b + 160, 256))
		return false;
	for (i = 0; i < 8; i++) {
		if (memcmp(a + 32 + 16 * i, b + 32 + 16 * i, 10))
			return false;
	}
	return !has_avx || !memcmp(expected.state.ymm_high, got.state.ymm_high, 256);
}

static bool same_state(void)
{
	const struct emulate_state *a = &expected.state, *b = &got.state;

	return !memcmp(a->gpr, b->gpr, sizeof(a->gpr)) && a->rip == b->rip &&
	       !((a->rflags ^ b->rflags) & FLAGS_SEEN) && same_vectors();
}

static bool same_outcome(void)
{
	return expected.done == got.done && (expected.done || same_fault()) && same_state() &&
	       !memcmp(wanted, case_data, CASE_DATA_BYTES);
}

static void describe(const struct emulate_case *c)
{
	const struct emulate_state *a = &expected.state, *b = &got.state;
	char text[64] = "";
	unsigned int i;

	for (i = 0; i < c->length; i++)
		sprintf(text + 3 * i, "%02x ", c->bytes[i]);
	note("%s %s: vector %u %u, error %x %x, cr2 %lx %lx, rip %lx %lx, flags %lx %lx", c->name,
	     text, expected.done ? VECTOR_DB : expected.vector, got.vector, expected.error,
	     got.error, expected.cr2, got.cr2, a->rip, b->rip, a->rflags, b->rflags);
	for (i = 0; i < 16; i++) {
		if (a->gpr[i] != b->gpr[i])
			note("  register %u: %lx %lx", i, a->gpr[i], b->gpr[i]);
	}
	if (!same_vectors())
		note("  x87 %08x %08x, tags %02x %02x, mxcsr %x %x", *(uint32_t *)a->fpu,
		     *(uint32_t *)b->fpu, a->fpu[4], b->fpu[4], *(uint32_t *)(a->fpu + 24),
		     *(uint32_t *)(b->fpu + 24));
	for (i = 0; i < CASE_DATA_BYTES; i++) {
		if (wanted[i] != case_data[i]) {
			note("  memory %lx: %x, wanted %x", CASE_DATA + i, case_data[i], wanted[i]);
			break;
		}
	}
}

/* ---- cases ----------------------------------------------------------------------------------- */

static bool test_case(const struct emulate_case *c)
{
	memcpy(before, case_data, CASE_DATA_BYTES);
	if (!emulate_case_run(&expected)) {
		memcpy(case_data, before, CASE_DATA_BYTES);
		return true;
	}
	memcpy(wanted, case_data, CASE_DATA_BYTES);
	memcpy(case_data, before, CASE_DATA_BYTES);
	if (!run_case(c)) {
		note("%s: exit %s", c->name, exit_name(g->run->exit_reason));
		return false;
	}
	if (same_outcome())
		return true;
	describe(c);
	return false;
}

/* Whose rules the guest's processor follows, by what it is told */
static bool is_amd(void)
{
	uint32_t ebx = cpuid_find(cpuid_supported(g->kvm), 0, 0)->ebx;

	return ebx == 0x68747541 || ebx == 0x6f677948;		/* AuthenticAMD, HygonGenuine */
}

static void test_forms(bool is_long)
{
	unsigned int forms, form, round, wrong = 0;
	struct emulate_case c;
	uint32_t mxcsr_mask;

	new_guest(is_long);
	mxcsr_mask = initial.region[7] ? initial.region[7] : 0xffbf;
	forms = emulate_cases_prepare(is_long, is_amd(), has_avx, mxcsr_mask);
	for (round = 0; round < ROUNDS; round++) {
		for (form = 0; form < forms && wrong < 20; form++) {
			if (emulate_case_next(form, &c))
				wrong += !test_case(&c);
		}
	}
	note("%u instructions of %u forms", executed, forms);
	check_equal(wrong, 0);
	check(executed > 1000);
	check(vcpu_stat(g->vcpu, "insn_emulation") >= executed);
}

static void test_long(void)
{
	test_forms(true);
}

static void test_compatible(void)
{
	test_forms(false);
}

static const struct test_case cases[] = {
	{ "every form of instruction in 64-bit mode, emulated", test_long, 120 },
	{ "every form of instruction in 32-bit mode, emulated", test_compatible, 120 },
};

int main(int argc, char **argv)
{
	long parameter = read_number(PARAMETER);
	int status = RUN_CASES("emulate", cases);

	if (parameter == 0)
		write_text(PARAMETER, "0");
	return status;
}
