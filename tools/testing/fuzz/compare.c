// SPDX-License-Identifier: GPL-2.0
/*
 * The differential test: instructions of every form that the emulator executes and user mode may,
 * in 64-bit and in 32-bit mode, run by the processor at hand and by the emulator; registers, flags,
 * memory, vector and x87 state and faults must be the same, bit for bit. Flags that the manuals
 * leave undefined are compared too: where a processor differs from the emulator in nothing else,
 * that is counted as excused, and the manual's sentence is printed.
 *
 *	compare [cases [seed [legacy]]]
 *
 * With "legacy" only what 64-bit mode does not have is compared: for a second machine, where the
 * first has no 32-bit mode.
 *
 * The comparison runs in a child that may do nothing but compute and write.
 */
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forms.h"
#include "generate.h"
#include "model.h"

#define FLAGS_SEEN	(FLAG_ARITH | FLAG_DF | FLAG_AC | FLAG_NT | FLAG_ID)
#define MAX_REPORTS	20u
#define TICK_MS		50
#define TASK_SIZE	0x7ffffffff000ull
#define SEEN_BYTES	(PAGE + DATA_BYTES)

/* What both processes know: should the child die, the parent tells of its last case. */
static struct shared {
	unsigned long cases, failures, excused_cases, unhandled, faults;
	bool done;
	struct test current;
	unsigned long undefined[256];	/* by recipe */
	unsigned long excused[16];	/* by enum excuse */
} *shared;

static struct form forms[2][MAX_FORMS];
static unsigned int form_count[2];
static struct machine machines[2];
static u8 before[SEEN_BYTES], natively[SEEN_BYTES];
static struct test test;
static struct native_result native;
static struct native_features features;

/* What instructions may write: code too */
#define seen		((u8 *)ARENA)

/* ---- comparison ------------------------------------------------------------------------------ */

static bool same_gprs(const struct machine *m)
{
	unsigned int i, n = test.is_long ? EMU_GPR_COUNT : 8;

	for (i = 0; i < n; i++) {
		if (m->gpr[i] != native.state.gpr[i])
			return false;
	}
	return true;
}

/* Not compared: the last x87 instruction and operand, which processors note at different times. */
static bool same_fpu(const struct machine *m)
{
	const struct emu_fpu *a = &m->fpu, *b = &native.state.fpu;
	unsigned int i, n = test.is_long ? 16 : 8;

	if (a->fcw != b->fcw || a->fsw != b->fsw || a->ftw != b->ftw || a->mxcsr != b->mxcsr)
		return false;
	for (i = 0; i < 8; i++) {
		if (memcmp(&a->st[i], &b->st[i], 10))
			return false;
	}
	if (memcmp(a->xmm, b->xmm, n * sizeof(a->xmm[0])))
		return false;
	return !features.avx || !memcmp(m->ymm_high, native.state.ymm_high, n * 16);
}

enum excuse { NO_EXCUSE, EXCUSE_PARTS, EXCUSE_ALIGNMENT, EXCUSE_LIMIT, EXCUSE_MASKED, EXCUSE_MMX,
	      EXCUSE_SELECTOR, EXCUSE_CALL, EXCUSE_REPEAT, EXCUSES };

static const char *const excuse_sentences[EXCUSES] = {
	[EXCUSE_PARTS] = "a fault in a long operand, or in one of two: \"The priority of exceptions within a class "
			 "is implementation-dependent\" (SDM 3, table 6-2), and so is which part "
			 "of it comes first",
	[EXCUSE_ALIGNMENT] = "#AC and another fault: the same sentence",
	[EXCUSE_LIMIT] = "around 4 GiB: \"When the effective limit is FFFFFFFFH (4 GBytes), these "
			 "accesses may or may not cause the indicated exceptions\" (SDM 3, 5.3)",
	[EXCUSE_MASKED] = "a mask of zeros: \"Exceptions associated with addressing memory and "
			  "page faults may still be signaled (implementation dependent)\" (SDM 2, "
			  "MASKMOVQ)",
	[EXCUSE_MMX] = "an MMX store that faults: some processors have moved the top of the x87 "
		       "stack already; the manuals do not say",
	[EXCUSE_SELECTOR] = "\"either a zero-extended value is pushed on the stack or the segment "
			    "selector is written on the stack using a 16-bit move\" (SDM 2, PUSH)",
	[EXCUSE_REPEAT] = "LOOPE or LOOPNE with a repeat prefix, which some processors take for the "
			  "other: \"Use of repeat prefixes [...] with other Intel 64 or IA-32 "
			  "instructions is reserved\" (SDM 2, 2.1.1)",
	[EXCUSE_CALL] = "a CALL to an address that is not canonical has written to the stack "
			"below its pointer on some processors; the manuals do not say",
};

static bool has_parts(enum preparation p)
{
	return p == ENTER || p == MASKED || p == MMX_STORE || p == FPU_PARTS || p == FPU_IMAGE;
}

/* The kernel reports every page above the process's own as present. */
static bool same_page_fault(const struct emu_fault *f)
{
	u32 unknown = native.cr2 >= TASK_SIZE ? 1 : 0;

	return !((f->error ^ native.error) & ~unknown) && f->address == native.cr2;
}

static bool same_fault(const struct emu_fault *f)
{
	if (f->vector != native.vector)
		return false;
	return f->vector == 14 ? same_page_fault(f) : !f->has_error || f->error == native.error;
}

/* Two faults that are not the same: may that be? */
static enum excuse excuse_fault(const struct emu_fault *f)
{
	enum preparation p = test.form->recipe->preparation;

	if ((has_parts(p) || test.form->op->exec == emu_exec_cmps) && f->vector >= 12 && native.vector >= 12)
		return EXCUSE_PARTS;
	/* Some processors judge by the lower bound before they read the upper, others read both. */
	if (test.form->op->exec == emu_exec_bound && f->vector == 5 && native.vector >= 12)
		return EXCUSE_PARTS;
	if (p == BRANCH && test.is_long && f->vector == 13)
		return EXCUSE_CALL;
	if ((test.state.rflags & FLAG_AC) && (f->vector == 17 || native.vector == 17))
		return EXCUSE_ALIGNMENT;
	if (!test.is_long && f->vector >= 12 && native.vector == 14 && native.cr2 >= 0xffffff00)
		return EXCUSE_LIMIT;
	return NO_EXCUSE;
}

static bool is_repeated_loop(const struct machine *m)
{
	return m->emu.insn.op->exec == emu_exec_loop && m->emu.insn.rep;
}

/* One of them has faulted. */
static enum excuse excuse_one_fault(const struct machine *m)
{
	const struct emu_fault *f = &m->emu.fault;
	enum preparation p = test.form->recipe->preparation;

	if ((p == MASKED || p == MMX_STORE) && !native.stepped && native.vector >= 12 &&
	    native.vector <= 14)
		return EXCUSE_MASKED;
	if (p == PUSH_SEGMENT && native.stepped && (f->vector == 14 || f->vector == 17))
		return EXCUSE_SELECTOR;
	return is_repeated_loop(m) ? EXCUSE_REPEAT : NO_EXCUSE;
}

/* Memory of an instruction that faults: what is no longer stack, what was written of an image */
static enum excuse excuse_memory_of_fault(void)
{
	enum preparation p = test.form->recipe->preparation;
	u64 sp = test.state.gpr[EMU_RSP], bottom = sp - (p == ENTER ? 33 * 8 : 8), i;

	if (p == FPU_PARTS)
		return EXCUSE_PARTS;
	if (p != ENTER && p != BRANCH)
		return NO_EXCUSE;
	for (i = bottom; i < sp; i++) {
		if (i >= ARENA && i < ARENA + SEEN_BYTES)
			natively[i - ARENA] = before[i - ARENA];
	}
	if (memcmp(seen, natively, SEEN_BYTES))
		return NO_EXCUSE;
	return p == ENTER ? EXCUSE_PARTS : EXCUSE_CALL;
}

/* The emulator writes all of a pushed selector, as AMD's processors do. */
static enum excuse excuse_selector(const struct machine *m)
{
	u64 sp = native.state.gpr[EMU_RSP], i;

	if (test.form->recipe->preparation != PUSH_SEGMENT)
		return NO_EXCUSE;
	for (i = sp + 2; i < sp + m->emu.insn.size; i++) {
		if (i >= ARENA && i < ARENA + SEEN_BYTES &&
		    natively[i - ARENA] == before[i - ARENA] && !seen[i - ARENA])
			seen[i - ARENA] = natively[i - ARENA];
	}
	return memcmp(seen, natively, SEEN_BYTES) ? NO_EXCUSE : EXCUSE_SELECTOR;
}

/* True if all is the same, but for what excuse says. */
static bool same_faults(const struct machine *m, int rc, enum excuse *excuse)
{
	const struct emu_fault *f = &m->emu.fault;

	if (rc != EMU_FAULT || native.stepped) {
		*excuse = excuse_one_fault(m);
		return *excuse;
	}
	if (m->emu.rip != native.state.rip)
		return false;
	/* A POPA that faults half way has changed registers on some processors. */
	if (!same_gprs(m)) {
		if (test.form->recipe->preparation != POP_ALL)
			return false;
		*excuse = EXCUSE_PARTS;
	}
	if (!same_fault(f)) {
		*excuse = excuse_fault(f);
		if (!*excuse)
			return false;
	}
	if (!same_fpu(m)) {
		if (test.form->recipe->preparation != MMX_STORE)
			return false;
		*excuse = EXCUSE_MMX;
	}
	if (!memcmp(seen, natively, SEEN_BYTES))
		return true;
	*excuse = excuse_memory_of_fault();
	return *excuse;
}

static bool same_results(const struct machine *m, enum excuse *excuse)
{
	if (!same_gprs(m) || !same_fpu(m))
		return false;
	if (m->emu.rip != native.state.rip) {
		*excuse = is_repeated_loop(m) ? EXCUSE_REPEAT : NO_EXCUSE;
		return *excuse;
	}
	if (!memcmp(seen, natively, SEEN_BYTES))
		return true;
	*excuse = excuse_selector(m);
	return *excuse;
}

static void describe(const struct machine *m, int rc)
{
	unsigned int i, shown = 0;

	printf("%s, %s-bit mode:", test.form->recipe->name, test.is_long ? "64" : "32");
	for (i = 0; i < test.length; i++)
		printf(" %02x", test.bytes[i]);
	printf("\n  processor: %s %u, error %x, cr2 %llx, rip %llx\n",
	       native.stepped ? "done" : "fault", native.stepped ? 0 : native.vector, native.error,
	       native.cr2, native.state.rip);
	printf("  emulator: result %d, fault %u, error %x, address %llx, rip %llx\n", rc,
	       m->emu.fault.vector, m->emu.fault.error, m->emu.fault.address, m->emu.rip);
	printf("  flags %llx -> %llx, emulated %llx\n", test.state.rflags, native.state.rflags,
	       m->emu.rflags);
	for (i = 0; i < EMU_GPR_COUNT; i++) {
		if (m->gpr[i] != native.state.gpr[i])
			printf("  register %u: %llx -> %llx, emulated %lx\n", i, test.state.gpr[i],
			       native.state.gpr[i], m->gpr[i]);
	}
	for (i = 0; i < SEEN_BYTES && shown < 16; i++) {
		if (natively[i] != seen[i]) {
			printf("  memory %lx: %x -> %x, emulated %x\n", ARENA + i, before[i],
			       natively[i], seen[i]);
			shown++;
		}
	}
	if (same_fpu(m))
		return;
	printf("  fcw %x fsw %x ftw %x mxcsr %x -> %x %x %x %x, emulated %x %x %x %x\n",
	       test.state.fpu.fcw, test.state.fpu.fsw, test.state.fpu.ftw, test.state.fpu.mxcsr,
	       native.state.fpu.fcw, native.state.fpu.fsw, native.state.fpu.ftw,
	       native.state.fpu.mxcsr, m->fpu.fcw, m->fpu.fsw, m->fpu.ftw, m->fpu.mxcsr);
	for (i = 0; i < 8; i++)
		printf("  st%u %04x %016llx -> %04x %016llx, emulated %04x %016llx\n", i,
		       test.state.fpu.st[i].exponent, test.state.fpu.st[i].mantissa,
		       native.state.fpu.st[i].exponent, native.state.fpu.st[i].mantissa,
		       m->fpu.st[i].exponent, m->fpu.st[i].mantissa);
}

static void judge(const struct machine *m, int rc)
{
	const struct recipe *recipe = test.form->recipe;
	bool done = native.stepped && rc == EMU_DONE;
	u64 wrong_flags = done ? (m->emu.rflags ^ native.state.rflags) & FLAGS_SEEN : 0;
	enum excuse excuse = NO_EXCUSE;
	bool same = done ? same_results(m, &excuse) : same_faults(m, rc, &excuse);

	if (!same || (wrong_flags & ~recipe->undefined)) {
		if (shared->failures++ < MAX_REPORTS) {
			describe(m, rc);
			fflush(stdout);
		}
		return;
	}
	if (wrong_flags)
		shared->undefined[recipe - recipes]++;
	if (excuse)
		shared->excused[excuse]++;
	shared->excused_cases += wrong_flags || excuse;
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void mutate_memory(void)
{
	unsigned int i;
	u64 val;

	for (i = 0; i < 8; i++) {
		val = random64() >> below(64);
		memcpy((u8 *)DATA_PAGES + PAGE - 160 + below(320), &val, 8);
	}
}

static void compare_one(struct form *form, bool is_long)
{
	struct machine *m = &machines[is_long];
	bool repeats;
	int rc;

	mutate_memory();
	test.form = form;
	test.is_long = is_long;
	test.has_avx = features.avx;
	generate(&test);
	if (is_long && !features.any_rsp)
		test.state.gpr[EMU_RSP] = (s64)(test.state.gpr[EMU_RSP] << 16) >> 16;
	/* rt_sigreturn leaves it as the last instruction has left it. */
	test.state.rflags |= native.state.rflags & FLAG_ID;
	shared->current = test;
	memcpy((void *)test.state.rip, test.bytes, sizeof(test.bytes));
	memcpy(before, seen, SEEN_BYTES);

	repeats = form->recipe->preparation == STRING;
	native_run(is_long, repeats, &test.state, &native);
	memcpy(natively, seen, SEEN_BYTES);
	memcpy(seen, before, SEEN_BYTES);
	rc = model_run(m, &test);
	form->tried++;
	shared->cases++;
	shared->faults += !native.stepped;
	if (rc == EMU_UNHANDLED) {
		shared->unhandled++;
		return;
	}
	judge(m, rc);
}

static unsigned int collect(bool is_long)
{
	struct form *list = forms[is_long];
	unsigned int n = find_forms(is_long ? EMU_LONG64 : EMU_PROT32, list), i, kept = 0;

	for (i = 0; i < n; i++) {
		if (list[i].recipe)
			list[kept++] = list[i];
	}
	return kept;
}

static bool only_legacy;

static bool is_in_long_mode(const struct recipe *recipe)
{
	unsigned int i;

	for (i = 0; i < form_count[1]; i++) {
		if (forms[1][i].recipe == recipe)
			return true;
	}
	return false;
}

/* Leave what 64-bit mode does not have: all else can be compared on a machine that has nothing else. */
static void keep_legacy(void)
{
	unsigned int i, kept = 0;

	for (i = 0; i < form_count[0]; i++) {
		if (!is_in_long_mode(forms[0][i].recipe))
			forms[0][kept++] = forms[0][i];
	}
	form_count[0] = kept;
	form_count[1] = 0;
}

/* A recipe that no form has, or a form that was never tried, is a hole in the test. */
static unsigned int count_holes(unsigned long cases)
{
	unsigned int i, mode, holes = 0;

	for (i = 0; i < recipe_count; i++) {
		unsigned long tried = 0;
		bool elsewhere = only_legacy;	/* in a mode that this machine does not have */

		for (mode = 0; mode < 2; mode++) {
			for (struct form *f = forms[mode]; f < forms[mode] + form_count[mode]; f++) {
				if (f->recipe != &recipes[i])
					continue;
				tried += f->tried;
				elsewhere |= !mode && !features.mode32;
			}
		}
		if (!tried && !elsewhere && cases > 2 * MAX_FORMS) {
			printf("never tried: %s\n", recipes[i].name);
			holes++;
		}
	}
	for (mode = !features.mode32; mode < 2; mode++) {
		for (i = 0; i < form_count[mode] && cases > 2 * MAX_FORMS; i++)
			holes += !forms[mode][i].tried;
	}
	return holes;
}

static int run_cases(unsigned long cases)
{
	unsigned long i, round;
	unsigned int holes;

	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	for (i = 0, round = 0; i < cases; round++) {
		if (features.mode32)
			compare_one(&forms[0][round % form_count[0]], false), i++;
		if (form_count[1])
			compare_one(&forms[1][round % form_count[1]], true), i++;
	}
	holes = count_holes(cases);
	printf("%u forms in 64-bit mode, %u in 32-bit mode, %u of them never tried\n",
	       form_count[1], features.mode32 ? form_count[0] : 0, holes);
	shared->failures += holes;
	shared->done = true;
	fflush(stdout);
	return syscall(SYS_exit, 0);
}

static void explain_death(int status)
{
	unsigned int i;

	printf("the child ended with status %x in case %lu:", status, shared->cases);
	for (i = 0; i < shared->current.length; i++)
		printf(" %02x", shared->current.bytes[i]);
	printf("\n");
}

static int conclude(int status)
{
	unsigned int i;

	if (!shared->done) {
		explain_death(status);
		shared->failures++;
	}
	for (i = 0; i < recipe_count; i++) {
		if (shared->undefined[i])
			printf("excused %lu cases: \"%s\"\n", shared->undefined[i],
			       recipes[i].sentence);
	}
	for (i = 1; i < EXCUSES; i++) {
		if (shared->excused[i])
			printf("excused %lu cases: %s\n", shared->excused[i], excuse_sentences[i]);
	}
	printf("%lu cases, %lu of them faults, %lu not covered, %lu excused, ", shared->cases,
	       shared->faults, shared->unhandled, shared->excused_cases);
	printf("%lu unexplained differences\n", shared->failures);
	printf("%lu passed, %lu failed, 0 skipped\n", shared->cases - shared->unhandled,
	       shared->failures);
	return shared->failures != 0;
}

/* A long run says now and then how far it is. */
static void wait_for(pid_t pid, int *status)
{
	unsigned int ticks = 0;

	while (!waitpid(pid, status, WNOHANG)) {
		usleep(TICK_MS * 1000);
		if (++ticks % (60 * 1000 / TICK_MS) == 0)
			fprintf(stderr, "%lu cases, %lu differences\n", shared->cases, shared->failures);
	}
}

int main(int argc, char **argv)
{
	unsigned long cases = argc > 1 ? strtoul(argv[1], NULL, 0) : 200000;
	static char buffer[1 << 16];
	int status;
	pid_t pid;

	only_legacy = argc > 3 && !strcmp(argv[3], "legacy");
	random_seed(argc > 2 ? strtoul(argv[2], NULL, 0) : 1);
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED || !native_prepare(&features) || (only_legacy && !features.mode32)) {
		printf("no way to single-step here, or no 32-bit mode\n0 passed, 0 failed, 1 skipped\n");
		return 0;
	}
	form_count[0] = collect(false);
	form_count[1] = collect(true);
	if (only_legacy)
		keep_legacy();
	model_prepare(&machines[0], false, &features);
	model_prepare(&machines[1], true, &features);
	test.state.fpu = machines[1].fpu;

	fflush(stdout);
	pid = fork();
	if (!pid)
		return run_cases(cases);
	wait_for(pid, &status);
	return conclude(status);
}
