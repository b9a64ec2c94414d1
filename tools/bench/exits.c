// SPDX-License-Identifier: GPL-2.0
/*
 * Rows about exits: those answered in the kernel, where one KVM_RUN covers a whole loop of the
 * guest, and full round trips to userspace, where each pass of the loop is a KVM_RUN of its own.
 * Rows that need an in-kernel device are in devices.c.
 */
#include <cpuid.h>
#include <errno.h>
#include <string.h>

#include "bench.h"

#define BATCHES		15
#define LOOPS		400
#define PROFILE_LOOPS	20

#define MSR_APIC_BASE	0x1b
#define MSR_PAT		0x277
#define PAT_LOW		0x00070406	/* what it is after reset (APM 2, 7.8.1) */
#define PAT_HIGH	0x00070406
#define NO_HYPERCALL	0x7fff

struct exit_row {
	struct row row;
	struct program program;
	uint32_t user_exit;		/* 0: handled in the kernel */
};

static struct exit_row exits[] = {
	{ { "cpuid", "CPUID exit", "instructions" },
	  { .entry = guest_cpuid, .rbp = 0 }, 0 },
	{ { "cpuid_80000008", "CPUID exit, leaf 0x80000008", "instructions" },
	  { .entry = guest_cpuid, .rbp = 0x80000008 }, 0 },
	{ { "hypercall", "unknown hypercall", "instructions" },
	  { .entry = guest_vmmcall, .rbp = NO_HYPERCALL }, 0 },
	{ { "rdmsr", "RDMSR (APIC base)", "instructions" },
	  { .entry = guest_rdmsr, .rcx = MSR_APIC_BASE }, 0 },
	{ { "wrmsr", "WRMSR (PAT)", "instructions" },
	  { .entry = guest_wrmsr, .rcx = MSR_PAT, .rax = PAT_LOW, .rdx = PAT_HIGH }, 0 },
	{ { "user_out", "user: OUT", "instructions" },
	  { .entry = guest_out, .rdx = USER_PORT }, KVM_EXIT_IO },
	{ { "user_in", "user: IN", "instructions" },
	  { .entry = guest_in, .rdx = USER_PORT }, KVM_EXIT_IO },
	{ { "user_mmio_write", "user: MMIO write", "instructions" },
	  { .entry = guest_mmio_write, .rsi = MMIO_BASE }, KVM_EXIT_MMIO },
	{ { "user_mmio_read", "user: MMIO read", "instructions" },
	  { .entry = guest_mmio_read, .rsi = MMIO_BASE }, KVM_EXIT_MMIO },
	{ { "user_hlt", "user: HLT", "instructions" },
	  { .entry = guest_hlt }, KVM_EXIT_HLT },
};

/* One KVM_RUN for the loop; what entering and the final exit cost is taken off. */
static int time_kernel(struct vm *vm, const struct exit_row *exit, uint32_t loops, double *each)
{
	struct program nothing = { .entry = guest_done };
	uint64_t empty, whole;
	int err = vm_time(vm, &nothing, 0, &empty);

	if (!err)
		err = vm_time(vm, &exit->program, loops, &whole);
	if (!err)
		*each = (double)(int64_t)(whole - empty) / loops;
	return err;
}

static int time_user(struct vm *vm, const struct exit_row *exit, uint32_t loops, double *each)
{
	uint64_t start;
	uint32_t i;
	int err = vm_load(vm, &exit->program, loops + 2);

	if (!err)
		err = vm_run(vm);
	if (err)
		return err;
	start = now();
	for (i = 0; i < loops; i++) {
		err = vm_run(vm);
		if (err)
			return err;
		if (vm->run->exit_reason != exit->user_exit)
			return EPROTO;
	}
	*each = (double)(now() - start) / loops;
	return 0;
}

static int time_exit(struct vm *vm, const struct exit_row *exit, uint32_t loops, double *each)
{
	if (exit->user_exit)
		return time_user(vm, exit, loops, each);
	return time_kernel(vm, exit, loops, each);
}

static void measure(struct vm *vm, const struct exit_row *exit)
{
	uint32_t loops = profiling() ? PROFILE_LOOPS : LOOPS;
	uint32_t batches = profiling() ? 1 : BATCHES;
	struct samples samples = { .count = 0 };
	double each;
	uint32_t i;
	int err = time_exit(vm, exit, loops, &each);	/* not counted: caches fill */

	profile_begin(&exit->row);
	for (i = 0; i < batches && !err; i++) {
		err = time_exit(vm, exit, loops, &each);
		sample_add(&samples, each);
	}
	profile_end();
	if (err)
		row_error(&exit->row, err);
	else
		row_report(&exit->row, &samples);
}

static bool is_intel(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(0, &eax, &ebx, &ecx, &edx) && ebx == signature_INTEL_ebx;
}

void exits_measure(void)
{
	const struct exit_row *exit;
	struct vm vm;
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(exits); i++)
		if (exits[i].program.entry == guest_vmmcall && is_intel())
			exits[i].program.entry = guest_vmcall;

	for (i = 0; i < ARRAY_SIZE(exits); i++) {
		exit = &exits[i];
		if (!row_wanted(&exit->row))
			continue;
		err = vm_make(&vm, false);
		if (err) {
			row_error(&exit->row, err);
			continue;
		}
		measure(&vm, exit);
		vm_close(&vm);
	}
}
