// SPDX-License-Identifier: GPL-2.0
/*
 * Runs single instructions in this process. A signal frame, as the kernel makes them, is filled
 * with the wanted state and the trap flag, and given to rt_sigreturn: the processor executes one
 * instruction and traps, or faults, and the signal's handler finds everything in the frame that the
 * kernel makes then. With Linux's own selectors a frame leads into 32-bit mode as well. SDM volume
 * 1, section 13.4 (layout of XSAVE areas).
 */
#include <asm/prctl.h>
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "native.h"

#define USER32_CS	0x23ull
#define USER_CS		0x33ull
#define USER_DS		0x2bull
#define RFLAGS_TF	0x100ull
#define MAX_AREA	16384u
#define XSTATE_AVX	4u
#define VECTOR_DB	1
#define SIGNATURE_HYGON_EBX 0x6f677948u

/* What rt_sigreturn reads, from where the stack pointer is */
static struct {
	ucontext_t uc;
	u8 area[MAX_AREA] __attribute__((aligned(64)));
} template;

static struct native_features has;
static unsigned int ymm_offset;
static bool captured;
static void *resume_rip, *resume_rsp;
static struct {
	const struct cpu_state *in;
	struct native_result *out;
	bool repeats;
	u64 start;
} run;

static const int gpr_of[EMU_GPR_COUNT] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15
};

static void take_state(const ucontext_t *uc, struct cpu_state *s)
{
	const u8 *area = (const u8 *)uc->uc_mcontext.fpregs;
	const greg_t *g = uc->uc_mcontext.gregs;
	unsigned int i;

	for (i = 0; i < EMU_GPR_COUNT; i++)
		s->gpr[i] = g[gpr_of[i]];
	s->rip = g[REG_RIP];
	s->rflags = g[REG_EFL];
	memcpy(&s->fpu, area, sizeof(s->fpu));
	if (has.avx)
		memcpy(s->ymm_high, area + ymm_offset, sizeof(s->ymm_high));
}

static void put_state(bool is_long, const struct cpu_state *s)
{
	greg_t *g = template.uc.uc_mcontext.gregs;
	unsigned int i;
	u8 keep[48];

	for (i = 0; i < EMU_GPR_COUNT; i++)
		g[gpr_of[i]] = s->gpr[i];
	g[REG_RIP] = s->rip;
	g[REG_EFL] = s->rflags | RFLAGS_TF;
	/* CS, GS, FS, SS */
	g[REG_CSGSFS] = (is_long ? USER_CS : USER32_CS) | USER_DS << 48;

	/* The end of the legacy area is the kernel's. */
	memcpy(keep, template.area + 464, sizeof(keep));
	memcpy(template.area, &s->fpu, sizeof(s->fpu));
	memcpy(template.area + 464, keep, sizeof(keep));
	if (has.avx)
		memcpy(template.area + ymm_offset, s->ymm_high, sizeof(s->ymm_high));
	template.area[512] |= has.avx ? 3 | XSTATE_AVX : 3;
}

__attribute__((__used__)) static void on_signal(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *g = uc->uc_mcontext.gregs;

	(void)info;
	if (sig == SIGUSR1) {
		template.uc = *uc;
		memcpy(template.area, uc->uc_mcontext.fpregs, MAX_AREA / 2);
		template.uc.uc_mcontext.fpregs = (void *)template.area;
		sigemptyset(&template.uc.uc_sigmask);
		captured = true;
		return;
	}

	/* A fault of this program's own */
	if (!run.out) {
		signal(sig, SIG_DFL);
		return;
	}
	run.out->vector = g[REG_TRAPNO];
	run.out->stepped = sig == SIGTRAP && g[REG_TRAPNO] == VECTOR_DB;
	/* A repeated instruction traps after each iteration. */
	if (run.out->stepped && run.repeats && (u64)g[REG_RIP] == run.start)
		return;
	run.out->error = g[REG_ERR];
	run.out->cr2 = g[REG_CR2];
	take_state(uc, &run.out->state);
	run.out = NULL;
	asm volatile("mov %0, %%rsp\n\tjmp *%1" : : "r" (resume_rsp), "r" (resume_rip));
	__builtin_unreachable();
}

/*
 * Alignment checks are on if the tested code had them on, until they are switched off here. NT is off
 * as well when the next code begins: not every kernel leaves it alone on the way there.
 */
void native_handler(int sig, siginfo_t *info, void *context);
asm(".pushsection .text\n"
    ".globl native_handler\n"
    "native_handler:\n"
    "pushfq\n"
    "andq $~0x44000, (%rsp)\n"
    "popfq\n"
    "jmp on_signal\n"
    ".popsection\n");

static bool prepare_signals(void)
{
	static u8 signal_stack[4 * MAX_AREA] __attribute__((aligned(64)));
	static const int signals[] = { SIGFPE, SIGSEGV, SIGILL, SIGBUS, SIGTRAP, SIGUSR1 };
	stack_t stack = { .ss_sp = signal_stack, .ss_size = sizeof(signal_stack) };
	struct sigaction action = {
		.sa_sigaction = native_handler, .sa_flags = SA_ONSTACK | SA_NODEFER | SA_SIGINFO
	};
	unsigned int i;

	if (sigaltstack(&stack, NULL))
		return false;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	raise(SIGUSR1);
	return captured;
}

static bool prepare_arena(void)
{
	void *arena = mmap((void *)ARENA, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);

	if (arena != (void *)ARENA)
		return false;
	memset(arena, 0, ARENA_PAGES * PAGE);
	return !mprotect((void *)HOLE_PAGE, PAGE, PROT_NONE) &&
	       !mprotect((void *)CONST_PAGE, PAGE, PROT_READ) &&
	       !mprotect((void *)(CONST_PAGE + PAGE), PAGE, PROT_NONE);
}

/* INC ECX, which in 64-bit mode is a prefix of NOP */
static void try_mode(bool is_long, u64 rsp, struct native_result *out)
{
	struct cpu_state in;

	memcpy((void *)CODE_PAGE, "\x41\x90\x90", 3);
	take_state(&template.uc, &in);
	in.rip = CODE_PAGE;
	in.rflags = 0x202;
	in.gpr[EMU_RCX] = 7;
	in.gpr[EMU_RSP] = rsp;
	native_run(is_long, false, &in, out);
}

/* Is there a 32-bit code segment, and does a frame lead into it? */
static bool try_mode32(void)
{
	struct native_result out;

	try_mode(false, DATA_PAGES + PAGE, &out);
	return out.stepped && out.state.gpr[EMU_RCX] == 8;
}

/* A processor takes any; some hypervisors that have guests without its help (PVM) do not. */
static bool try_any_rsp(void)
{
	struct native_result out;

	try_mode(true, 1ull << 62, &out);
	return out.stepped;
}

bool native_prepare(struct native_features *features)
{
	unsigned int eax, ebx, ecx, edx;

	__cpuid(0, eax, ebx, ecx, edx);
	has.amd = ebx == signature_AMD_ebx || ebx == SIGNATURE_HYGON_EBX;
	__cpuid(1, eax, ebx, ecx, edx);
	if ((ecx >> 27 & 1) && (ecx >> 28 & 1)) {
		__cpuid_count(0xd, 2, eax, ebx, ecx, edx);
		has.avx = eax >= 256 && ebx + 256 <= MAX_AREA / 2;
		ymm_offset = ebx;
	}
	if (!prepare_arena() || !prepare_signals())
		return false;
	has.mxcsr_mask = ((struct emu_fpu *)template.area)->mxcsr_mask;
	syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE);
	/* 64-bit mode ignores them, 32-bit mode needs them. */
	asm volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r" ((u32)USER_DS));
	has.mode32 = try_mode32();
	has.any_rsp = try_any_rsp();
	*features = has;
	return true;
}

__attribute__((__noinline__))
void native_run(bool is_long, bool repeats, const struct cpu_state *in, struct native_result *out)
{
	run.in = in;
	run.out = out;
	run.repeats = repeats;
	run.start = in->rip;
	put_state(is_long, in);
	asm volatile("sub $128, %%rsp\n\tpush %%rbp\n\tpush %%rbx\n\t"
		     "mov %%rsp, %[rsp]\n\tlea 1f(%%rip), %%rax\n\tmov %%rax, %[rip]\n\t"
		     "mov %[frame], %%rsp\n\tmov %[call], %%eax\n\tsyscall\n"
		     "1:\tpop %%rbx\n\tpop %%rbp\n\tadd $128, %%rsp"
		     : [rsp] "=m" (resume_rsp), [rip] "=m" (resume_rip)
		     : [frame] "r" (&template.uc), [call] "i" (SYS_rt_sigreturn)
		     : "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
		       "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
		       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
		       "xmm15");
}
