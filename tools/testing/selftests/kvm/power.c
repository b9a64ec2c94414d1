// SPDX-License-Identifier: GPL-2.0
/*
 * Processors of the host that go away and come back under running vcpus, one at a time and all
 * together in a suspended host. With "--spin N" it does no test: it runs vcpus on N threads until
 * the host itself ends, for the test of the host's reboot.
 */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>

#define ONLINE		"/sys/devices/system/cpu/cpu1/online"
#define SLEEP_TEST	"/sys/power/pm_test"
#define SLEEP_TEST_DELAY "/sys/module/suspend/parameters/pm_test_delay"
#define ROUNDS		10

/* Counts, and now and then tells. */
GUEST(count_code, 64,
	"1:	incq	0xa000\n"
	"	testw	$0xfff, 0xa000\n"
	"	jnz	1b\n"
	"	cpuid\n"
	"	out	%al, $0x10\n"
	"	jmp	1b\n");

/* Reads a page of its own over and over and stops when it finds another one's. */
GUEST(own_code, 64,
	"1:	mov	0x20000, %rax\n"
	"	mov	$1000, %ecx\n"
	"2:	cmp	%rax, 0x20000\n"
	"	jne	3f\n"
	"	loop	2b\n"
	"	out	%al, $0x10\n"
	"	jmp	1b\n"
	"3:	out	%al, $0x11\n"
	"	jmp	3b\n");

struct runner {
	struct guest *guest;
	pthread_t thread;
	bool stop;
};

static void *run_on(void *data)
{
	struct runner *runner = data;
	struct guest *g = runner->guest;

	while (!__atomic_load_n(&runner->stop, __ATOMIC_RELAXED)) {
		int error = guest_run(g);

		/* Freezing a thread looks like a signal to it. */
		if (error == EINTR)
			continue;
		check_equal(error, 0);
		check_pio(g, KVM_EXIT_IO_OUT, 0x10, 1, 1);
	}
	return NULL;
}

static struct runner *runners_start(unsigned int count)
{
	struct runner *runners = calloc(count, sizeof(*runners));

	check(runners);
	for (unsigned int i = 0; i < count; i++) {
		runners[i].guest = guest_new(LONG, count_code);
		check(!pthread_create(&runners[i].thread, NULL, run_on, &runners[i]));
	}
	return runners;
}

static void runners_stop(struct runner *runners, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		__atomic_store_n(&runners[i].stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < count; i++)
		pthread_join(runners[i].thread, NULL);
}

static uint64_t counter(const struct runner *runner)
{
	return __atomic_load_n((uint64_t *)(runner->guest->memory + GUEST_DATA), __ATOMIC_RELAXED);
}

/* The case's time limit is the end of a guest that stands still. */
static void all_advance(const struct runner *runners, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		uint64_t before = counter(&runners[i]);

		while (counter(&runners[i]) < before + 5000)
			sleep_ms(5);
	}
}

static void switch_processor(bool on)
{
	if (!write_text(ONLINE, on ? "1" : "0"))
		fail("%s: %s", ONLINE, strerror(errno));
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must(sched_setaffinity(0, sizeof(set), &set));
}

static void need_second_processor(void)
{
	if (read_number(ONLINE) != 1)
		skip("no second processor that could be switched off");
}

static void off_while_running(void)
{
	struct runner *runners;

	need_second_processor();
	runners = runners_start(3);
	all_advance(runners, 3);
	for (int i = 0; i < ROUNDS; i++) {
		switch_processor(false);
		all_advance(runners, 3);
		switch_processor(true);
		all_advance(runners, 3);
	}
	runners_stop(runners, 3);
}

static void stays_itself(struct guest *g)
{
	for (int i = 0; i < 20; i++)
		run_to_out(g, 0x10);
}

/* What the processor knew of the vcpus is worth nothing when it comes back. */
static void off_while_idle(void)
{
	struct guest *guests[4];

	need_second_processor();
	pin(1);
	for (unsigned int i = 0; i < ARRAY_SIZE(guests); i++) {
		guests[i] = guest_new(LONG, own_code);
		*(uint64_t *)(guests[i]->memory + GUEST_FREE) = i;
		stays_itself(guests[i]);
	}
	for (unsigned int round = 0; round < ROUNDS; round++) {
		pin(0);
		switch_processor(false);
		switch_processor(true);
		pin(1);
		/* Each time another one is the first to be back. */
		for (unsigned int i = 0; i < 2 * ARRAY_SIZE(guests); i++) {
			unsigned int which = (round + i) % ARRAY_SIZE(guests);

			stays_itself(guests[which]);
			check_equal(vcpu_regs(guests[which]->vcpu).rax, which);
		}
	}
}

static void created_while_off(void)
{
	struct guest *g;

	need_second_processor();
	switch_processor(false);
	g = guest_new(LONG, count_code);
	run_to_out(g, 0x10);
	switch_processor(true);
	pin(1);
	run_to_out(g, 0x10);
	/* The last VM ends while the processor it ran on is away. */
	pin(0);
	switch_processor(false);
	close(g->vcpu);
	close(g->vm);
	switch_processor(true);
	g = guest_new(LONG, count_code);
	pin(1);
	run_to_out(g, 0x10);
}

/*
 * As far down as the kernel's own test of it goes: all processors but one off, that one's
 * virtualization off, but no firmware that might not wake the host again.
 */
static void host_sleeps(void)
{
	struct runner *runners;

	if (!write_text(SLEEP_TEST, "core"))
		skip("the kernel has no test of suspending");
	write_text(SLEEP_TEST_DELAY, "1");
	runners = runners_start(3);
	for (int i = 0; i < 2; i++) {
		all_advance(runners, 3);
		if (!write_text("/sys/power/state", "mem"))
			fail("suspending the host: %s", strerror(errno));
		all_advance(runners, 3);
	}
	write_text(SLEEP_TEST, "none");
	runners_stop(runners, 3);
}

static int spin(const char *number)
{
	unsigned long count = strtoul(number, NULL, 10);
	struct runner *runners = runners_start(count);

	all_advance(runners, count);
	printf("spinning\n");
	fflush(stdout);
	pause();
	return 1;
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "a processor goes and comes back under vcpus", off_while_running, 120 },
		{ "vcpus that were idle meanwhile", off_while_idle },
		{ "a VM made and ended with a processor off", created_while_off },
		{ "the host sleeps under vcpus", host_sleeps },
	};

	if (argc == 3 && !strcmp(argv[1], "--spin"))
		return spin(argv[2]);
	return RUN_CASES("power", cases);
}
