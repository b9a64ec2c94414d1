// SPDX-License-Identifier: GPL-2.0
/*
 * load DISK: what a guest does while it is migrated. Workers write pages of memory, one writes
 * blocks of the disk, and each looks at what it wrote before it writes it again: contents depend on the
 * number of the page and on how often it was written, so that an old page is found as well as a
 * wrong one. After a round over all pages the worker says so: "load: NAME ROUND". The clock
 * must not go back. Any error ends in a line "LOAD FAILED".
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096u
#define WORDS		(PAGE / sizeof(uint64_t))
#define MEMORY_PAGES	2048u
#define DISK_PAGES	256u
#define PAUSE_NS	2000000		/* between bursts: the migration must be able to catch up */
#define BURST		32u

static void fail(const char *name, const char *what, unsigned int page)
{
	printf("LOAD FAILED: %s: %s, page %u\n", name, what, page);
	exit(1);
}

static void fill(uint64_t *words, uint64_t page, uint64_t version)
{
	uint64_t x = (page + 1) * 0x9e3779b97f4a7c15ull ^ (version + 1) * 0xbf58476d1ce4e5b9ull;
	unsigned int i;

	for (i = 0; i < WORDS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		words[i] = x;
	}
}

static void check_clock(const char *name)
{
	static struct timespec last;
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	if (t.tv_sec < last.tv_sec || (t.tv_sec == last.tv_sec && t.tv_nsec < last.tv_nsec))
		fail(name, "the clock went back", 0);
	last = t;
}

static void take_breath(const char *name, unsigned int page)
{
	struct timespec pause = { .tv_nsec = PAUSE_NS };

	if (page % BURST)
		return;
	check_clock(name);
	nanosleep(&pause, NULL);
}

static void *map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("memory", "there is not enough", 0);
	return memory;
}

static void work_on_memory(const char *name)
{
	uint64_t *pages = map((size_t)MEMORY_PAGES * PAGE), *wanted = map(PAGE), version;
	unsigned int i;

	for (version = 0; ; version++) {
		for (i = 0; i < MEMORY_PAGES; i++) {
			uint64_t *page = pages + i * WORDS;

			if (version) {
				fill(wanted, i, version - 1);
				if (memcmp(page, wanted, PAGE))
					fail(name, "memory is not what was written", i);
			}
			fill(page, i, version);
			take_breath(name, i);
		}
		printf("load: %s %llu\n", name, (unsigned long long)version);
	}
}

static void work_on_disk(const char *path)
{
	uint64_t *page = map(PAGE), *wanted = map(PAGE), version;
	int fd = open(path, O_RDWR | O_DIRECT);
	unsigned int i;

	if (fd < 0)
		fail("disk", "it does not open", 0);
	for (version = 0; ; version++) {
		for (i = 0; i < DISK_PAGES; i++) {
			if (version) {
				fill(wanted, i, version - 1);
				if (pread(fd, page, PAGE, (off_t)i * PAGE) != PAGE)
					fail("disk", "reading", i);
				if (memcmp(page, wanted, PAGE))
					fail("disk", "it is not what was written", i);
			}
			fill(page, i, version);
			if (pwrite(fd, page, PAGE, (off_t)i * PAGE) != PAGE)
				fail("disk", "writing", i);
			take_breath("disk", i);
		}
		printf("load: disk %llu\n", (unsigned long long)version);
	}
}

int main(int argc, char **argv)
{
	char name[24];
	int i, cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (argc != 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!fork())
		work_on_disk(argv[1]);
	for (i = 0; i < cpus; i++) {
		snprintf(name, sizeof(name), "memory%d", i);
		if (!fork())
			work_on_memory(name);
	}
	wait(NULL);		/* nobody ends who has not failed */
	return 1;
}
