// SPDX-License-Identifier: GPL-2.0
/*
 * fork SECONDS: the work of a parallel build as the page tables see it. Workers, three for a
 * processor, each fork children without end: of memory that both write afterwards (copy on write),
 * with mappings that come, change their rights and go, with threads, and with an exec of this
 * program. Whoever ends says with its exit status whether all memory was as it must be; faults that
 * must come are counted. Ends with "FORK OK" and what was done, or with a line "FORK FAILED".
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096u
#define PAGES		256u		/* a worker's memory that its children share */
#define MAPPINGS	12u
#define WORKERS		3u		/* for each processor */
#define RIGHT		7		/* exit status of a child that found all right */

struct counts {
	atomic_ulong forks, execs, mappings, faults;
};

static struct counts *counts;		/* of each worker, shared */
static struct counts *mine;

static _Noreturn void fail(const char *what, unsigned long where)
{
	printf("FORK FAILED: %s, %lu (pid %d)\n", what, where, getpid());
	_exit(1);
}

static uint32_t roll(uint64_t *seed, uint32_t sides)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (*seed >> 33) % sides;
}

static uint64_t stamp(unsigned long page, uint64_t version)
{
	return (page + 1) * 0x9e3779b97f4a7c15ull ^ (version + 1) * 0xbf58476d1ce4e5b9ull;
}

/* The first and the last word of each page say whose it is. */
static void write_page(uint64_t *memory, unsigned long page, uint64_t version)
{
	memory[page * PAGE / 8] = stamp(page, version);
	memory[page * PAGE / 8 + PAGE / 8 - 1] = ~stamp(page, version);
}

static void check_page(const uint64_t *memory, unsigned long page, uint64_t version)
{
	if (memory[page * PAGE / 8] != stamp(page, version) ||
	    memory[page * PAGE / 8 + PAGE / 8 - 1] != ~stamp(page, version))
		fail("a page is not as it was written", page);
}

static void *map(size_t pages)
{
	void *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap", errno);
	return memory;
}

/* ---- faults that must come --------------------------------------------------------------------- */

static sigjmp_buf way_out;

static void on_fault(int signal)
{
	(void)signal;
	siglongjmp(way_out, 1);
}

static void must_fault(volatile uint64_t *address, int write)
{
	if (sigsetjmp(way_out, 1)) {
		mine->faults++;
		return;
	}
	if (write)
		*address = 1;
	else
		(void)*address;
	fail("an access that must fault did not", (unsigned long)address);
}

/* ---- what a child does -------------------------------------------------------------------------- */

/* Mappings with rights that change; what is gone or forbidden must fault. */
static void work_on_mappings(uint64_t *seed)
{
	uint64_t *area[MAPPINGS];
	unsigned int size[MAPPINGS], i, page;

	for (i = 0; i < MAPPINGS; i++) {
		size[i] = 1 + roll(seed, 16);
		area[i] = map(size[i]);
		for (page = 0; page < size[i]; page++)
			write_page(area[i], page, i);
		mine->mappings++;
	}
	for (i = 0; i < MAPPINGS; i++) {
		page = roll(seed, size[i]);
		if (mprotect(area[i], size[i] * PAGE, PROT_READ))
			fail("mprotect", errno);
		must_fault(area[i] + page * PAGE / 8, 1);
		check_page(area[i], page, i);
		if (roll(seed, 2) && mprotect(area[i], size[i] * PAGE, PROT_NONE))
			fail("mprotect", errno);
		else if (roll(seed, 2) && madvise(area[i], size[i] * PAGE, MADV_DONTNEED))
			fail("madvise", errno);
		if (mprotect(area[i], size[i] * PAGE, PROT_READ | PROT_WRITE))
			fail("mprotect", errno);
		if (area[i][page * PAGE / 8])
			check_page(area[i], page, i);
		write_page(area[i], page, i + 100);
		check_page(area[i], page, i + 100);
	}
	for (i = 0; i < MAPPINGS; i++) {
		if (munmap(area[i], size[i] * PAGE))
			fail("munmap", errno);
		must_fault(area[i], 0);
	}
}

struct strip {
	uint64_t *memory;
	unsigned int first, step;
};

static void *write_strip(void *data)
{
	struct strip *s = data;
	unsigned int page;

	for (page = s->first; page < PAGES; page += s->step)
		write_page(s->memory, page, 3000 + s->first);
	return NULL;
}

/* Two threads write the shared pages side by side: copies are made on both processors. */
static void work_with_thread(uint64_t *memory)
{
	struct strip strip[2] = { { memory, 0, 2 }, { memory, 1, 2 } };
	pthread_t thread;
	unsigned int page;

	if (pthread_create(&thread, NULL, write_strip, &strip[0]))
		fail("pthread_create", 0);
	write_strip(&strip[1]);
	pthread_join(thread, NULL);
	for (page = 0; page < PAGES; page++)
		check_page(memory, page, 3000 + page % 2);
}

static void child(uint64_t *memory, uint64_t version, uint64_t seed)
{
	unsigned int i, page;
	char text[32];

	for (i = 0; i < PAGES; i += 1 + roll(&seed, 4))
		check_page(memory, i, version);
	for (i = 0; i < PAGES / 4; i++) {
		page = roll(&seed, PAGES);
		write_page(memory, page, version + 1000);
		check_page(memory, page, version + 1000);
	}
	switch (roll(&seed, 4)) {
	case 0:
		snprintf(text, sizeof(text), "%llu", (unsigned long long)seed);
		mine->execs++;
		execl("/proc/self/exe", "fork", "-", text, NULL);
		fail("exec", errno);
	case 1:
		work_with_thread(memory);
		break;
	default:
		work_on_mappings(&seed);
	}
	_exit(RIGHT);
}

/* What is executed: memory of a new program, its heap and its stack. */
static int executed(const char *text)
{
	uint64_t seed = strtoull(text, NULL, 10);
	uint64_t *memory = map(64);
	unsigned int page;

	for (page = 0; page < 64; page++)
		if (memory[page * PAGE / 8])
			fail("new memory is not empty", page);
	for (page = 0; page < 64; page++)
		write_page(memory, page, seed);
	for (page = 0; page < 64; page++)
		check_page(memory, page, seed);
	return RIGHT;
}

/* ---- workers -------------------------------------------------------------------------------------- */

static void reap(unsigned int *children)
{
	int status;

	if (wait(&status) < 0)
		fail("wait", errno);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != RIGHT)
		fail("a child ended with status", status);
	(*children)--;
}

static void worker(unsigned int number, time_t end)
{
	uint64_t *memory = map(PAGES), version = 0, seed = number;
	unsigned int children = 0, page;

	mine = &counts[number];
	for (page = 0; page < PAGES; page++)
		write_page(memory, page, 0);
	while (time(NULL) < end) {
		pid_t pid;

		seed += 0x9e3779b97f4a7c15ull;
		pid = fork();
		if (pid < 0)
			fail("fork", errno);
		if (!pid)
			child(memory, version, seed);
		mine->forks++;
		children++;
		/* While the child looks at the old version, a new one is written. */
		version++;
		for (page = 0; page < PAGES; page++) {
			check_page(memory, page, version - 1);
			write_page(memory, page, version);
		}
		while (children > 2)
			reap(&children);
	}
	while (children)
		reap(&children);
	_exit(RIGHT);
}

int main(int argc, char **argv)
{
	unsigned int i, workers = WORKERS * sysconf(_SC_NPROCESSORS_ONLN), left;
	struct sigaction action = { .sa_handler = on_fault };
	unsigned long forks = 0, execs = 0, mappings = 0, faults = 0;
	time_t end;

	if (argc == 3)
		return executed(argv[2]);
	if (argc != 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGSEGV, &action, NULL);
	counts = mmap(NULL, workers * sizeof(*counts), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		fail("mmap", errno);
	end = time(NULL) + atoi(argv[1]);
	for (i = 0; i < workers; i++)
		if (!fork())
			worker(i, end);
	for (left = workers; left; )
		reap(&left);
	for (i = 0; i < workers; i++) {
		forks += counts[i].forks;
		execs += counts[i].execs;
		mappings += counts[i].mappings;
		faults += counts[i].faults;
	}
	printf("FORK OK: %u workers, %lu processes, %lu execs, %lu mappings, %lu faults\n", workers,
	       forks, execs, mappings, faults);
	return 0;
}
