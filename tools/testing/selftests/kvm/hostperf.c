// SPDX-License-Identifier: GPL-2.0
/*
 * MSRs that the host's perf has changed while guests run, its counters' on a real machine: by the entry
 * and back by the exit (SDM 3, 27.4 and 28.6). tools/testing/modules/hostperf.c is the perf that wants it.
 */
#include "guest.h"

#define MSR_TSC_AUX	0xc0000103
#define GUESTS_OWN	0x55
#define PARAMETERS	"/sys/module/hostperf/parameters/"

/* The CPUID exit is one more entry before userspace is back. */
GUEST(aux_code, 64,
	"1:	cpuid\n"
	"	rdtscp\n"
	"	mov	%ecx, %eax\n"
	"	out	%eax, $0x10\n"
	"	jmp	1b\n");

static void set(const char *path, const char *value)
{
	if (!write_text(path, value))
		skip("the module hostperf is not loaded");
}

static void loaded(void)
{
	struct guest *g;

	set(PARAMETERS "on", "N");
	g = guest_new(LONG, aux_code);
	if (!vcpu_set_msr(g->vcpu, MSR_TSC_AUX, GUESTS_OWN))
		skip("no RDTSCP");
	check_equal(run_to_out(g, 0x10), GUESTS_OWN);

	set(PARAMETERS "guest", "4660");
	set(PARAMETERS "host", "119");
	set(PARAMETERS "on", "Y");
	for (int i = 0; i < 3; i++) {
		check_equal(run_to_out(g, 0x10), 4660);
		check_equal(read_number(PARAMETERS "seen"), 119);
	}
	/* Nothing to be changed is not the same as nothing that has been. */
	set(PARAMETERS "guest", "119");
	check_equal(run_to_out(g, 0x10), GUESTS_OWN);
	set(PARAMETERS "guest", "4661");
	check_equal(run_to_out(g, 0x10), 4661);
	set(PARAMETERS "on", "N");
	check_equal(run_to_out(g, 0x10), GUESTS_OWN);
	check_equal(run_to_out(g, 0x10), GUESTS_OWN);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "an MSR is changed for the guest", loaded },
	};

	return RUN_CASES("hostperf", cases);
}
