// SPDX-License-Identifier: GPL-2.0
/*
 * clock host FILE, clock guest FILE SECONDS: how far the clocks of a guest and of its host drift
 * apart while the guest is busy. Both map the same page (ivshmem) and put time stamps there;
 * a stamp that one side finds is older than the moment it is found, which bounds the difference
 * of the clocks from both sides without an exit and without knowing how long anything takes:
 *
 *	lower = max(host's stamp - guest's time when it is read) <= host - guest
 *	upper = min(host's time when it is read - guest's stamp) >= host - guest
 *
 * This is done before and after the busy time. The drift is at most what the two intervals allow.
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

#define NS_PER_S	1000000000ll
#define NS_PER_MS	1000000ll
#define WINDOW		(2 * NS_PER_S)
#define PAUSE_NS	50000
#define PATIENCE	(300 * NS_PER_S)

enum phase { STARTING, BEFORE, BUSY, AFTER, DONE, JUDGED };

struct shared {
	volatile uint64_t phase;		/* the guest moves it, but for JUDGED */
	volatile int64_t guest_stamp, host_stamp;
	volatile int64_t lower[2];		/* the guest's result of the two windows */
	volatile int64_t failed;		/* the host's verdict */
};

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void pause_ns(long ns)
{
	struct timespec t = { .tv_nsec = ns };

	nanosleep(&t, NULL);
}

static struct shared *map_shared(const char *path)
{
	int fd = open(path, O_RDWR);
	void *page = fd < 0 ? MAP_FAILED :
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (page == MAP_FAILED) {
		perror(path);
		exit(1);
	}
	return page;
}

static int64_t guest_window(struct shared *shared)
{
	int64_t end = now() + WINDOW, lower = INT64_MIN, stamp;

	while (now() < end) {
		shared->guest_stamp = now();
		stamp = shared->host_stamp;
		if (stamp && stamp - now() > lower)
			lower = stamp - now();
		pause_ns(PAUSE_NS);
	}
	shared->guest_stamp = 0;
	return lower;
}

static void work(int64_t end)
{
	volatile uint64_t sum = 0;
	uint64_t i;

	while (now() < end) {
		for (i = 0; i < 100000; i++)
			sum += i * i;
		pause_ns(PAUSE_NS);
	}
	exit(0);
}

static void be_busy(int64_t seconds)
{
	int64_t end = now() + seconds * NS_PER_S;
	long i, cpus = sysconf(_SC_NPROCESSORS_ONLN);

	for (i = 0; i < cpus; i++)
		if (!fork())
			work(end);
	while (wait(NULL) > 0)
		;
}

static int run_guest(struct shared *shared, int64_t seconds)
{
	int64_t end;

	shared->phase = BEFORE;
	shared->lower[0] = guest_window(shared);
	shared->phase = BUSY;
	be_busy(seconds);
	shared->phase = AFTER;
	shared->lower[1] = guest_window(shared);
	shared->phase = DONE;
	end = now() + PATIENCE;
	while (shared->phase != JUDGED && now() < end)
		pause_ns(NS_PER_MS);
	return shared->phase != JUDGED || shared->failed;
}

/* One window; INT64_MAX when the guest did not come to its end in time. */
static int64_t host_window(struct shared *shared, enum phase phase)
{
	int64_t end = now() + PATIENCE, upper = INT64_MAX, stamp;

	while (shared->phase < phase && now() < end)
		pause_ns(NS_PER_MS);
	while (shared->phase == phase && now() < end) {
		shared->host_stamp = now();
		stamp = shared->guest_stamp;
		if (stamp && now() - stamp < upper)
			upper = now() - stamp;
		pause_ns(PAUSE_NS);
	}
	shared->host_stamp = 0;
	return upper;
}

static double us(int64_t ns)
{
	return ns / 1000.0;
}

static int run_host(struct shared *shared)
{
	int64_t upper[2], forward, backward, most;

	upper[0] = host_window(shared, BEFORE);
	upper[1] = host_window(shared, AFTER);
	while (shared->phase < DONE)
		pause_ns(NS_PER_MS);
	forward = upper[1] - shared->lower[0];
	backward = upper[0] - shared->lower[1];
	most = forward > backward ? forward : backward;
	printf("clock: known within %.0f us before and %.0f us after; drift at most %.0f us\n",
	       us(upper[0] - shared->lower[0]), us(upper[1] - shared->lower[1]), us(most));
	shared->failed = most >= NS_PER_MS;
	shared->phase = JUDGED;
	return shared->failed;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "host"))
		return run_host(map_shared(argv[2]));
	if (argc == 4 && !strcmp(argv[1], "guest"))
		return run_guest(map_shared(argv[2]), atoi(argv[3]));
	fprintf(stderr, "clock host FILE | clock guest FILE SECONDS\n");
	return 2;
}
