// SPDX-License-Identifier: GPL-2.0
/*
 * kvm-bench: how many instructions the operations of /dev/kvm cost. Owns the command line,
 * the statistics over samples and the two output formats; the rows themselves are measured by
 * exits.c, devices.c, wake.c, memory.c, paging.c and life.c. README.md describes the method.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/utsname.h>

#include "bench.h"

static struct {
	const char *only;		/* comma-separated ids, or NULL for all */
	bool tsv;
	bool list;
	bool profile;
} options;

#define ROW_SECONDS	5
#define RETRY_SECONDS	1

static unsigned int errors, rows_wanted;

static bool in_list(const char *list, const char *id)
{
	size_t length = strlen(id);

	while (list) {
		if (!strncmp(list, id, length) && (!list[length] || list[length] == ','))
			return true;
		list = strchr(list, ',');
		if (list)
			list++;
	}
	return false;
}

/*
 * A guest that never leaves is interrupted, and the row fails with EINTR. Should the signal come
 * between two runs, the next one does the work. A profiled host waits for its tracer, not for
 * the clock.
 */
static void watchdog(int signal)
{
	(void)signal;
	alarm(RETRY_SECONDS);
}

static void start_watchdog(void)
{
	struct sigaction action = { .sa_handler = watchdog };

	sigaction(SIGALRM, &action, NULL);
}

bool row_wanted(const struct row *row)
{
	if (options.list) {
		printf("%-22s %s\n", row->id, row->label);
		return false;
	}
	if (options.only && !in_list(options.only, row->id))
		return false;
	rows_wanted++;
	if (!options.profile)
		alarm(ROW_SECONDS);
	return true;
}

bool rows_by_name(void)
{
	return options.only || options.list;
}

bool profiling(void)
{
	return options.profile;
}

/* tools/bench/profile reads these lines and answers each with one line. */
static void profile_mark(const char *what, const char *id)
{
	char answer[16];

	printf("PROFILE %s %s\n", what, id);
	fflush(stdout);
	if (!fgets(answer, sizeof(answer), stdin))
		exit(1);
}

/*
 * Functions of their own, not inlined and not merged for being the same: tools/bench/profile finds
 * their addresses in its trace.
 */
__attribute__((noinline)) static void profile_starts(void)
{
	__asm__ volatile("# start");
}

__attribute__((noinline)) static void profile_stops(void)
{
	__asm__ volatile("# stop");
}

void profile_begin(const struct row *row)
{
	if (!options.profile)
		return;
	profile_mark("begin", row->id);
	profile_starts();
}

void profile_end(void)
{
	if (!options.profile)
		return;
	profile_stops();
	profile_mark("end", "");
}

void sample_add(struct samples *samples, double value)
{
	if (samples->count < MAX_SAMPLES)
		samples->value[samples->count++] = value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void row_report(const struct row *row, const struct samples *samples)
{
	double sorted[MAX_SAMPLES];
	size_t n = samples->count;

	if (!n) {
		row_error(row, ENODATA);
		return;
	}
	memcpy(sorted, samples->value, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), compare);
	if (options.tsv)
		printf("%s\t%s\t%.1f\t%.1f\t%.1f\t%s\n", row->id, row->label, sorted[n / 2],
		       sorted[0], sorted[n - 1], row->unit);
	else
		printf("%-48s %12.1f  (%.1f to %.1f) %s\n", row->label, sorted[n / 2], sorted[0],
		       sorted[n - 1], row->unit);
	fflush(stdout);
}

static void row_nothing(const struct row *row, const char *mark, const char *reason)
{
	if (options.tsv)
		printf("%s\t%s\t%s\t-\t-\t%s\t%s\n", row->id, row->label, mark, row->unit,
		       reason);
	else
		printf("%-48s %12s  (%s)\n", row->label, mark, reason);
	fflush(stdout);
}

void row_skip(const struct row *row, const char *reason)
{
	row_nothing(row, "-", reason);
}

static const char *error_text(int error)
{
	switch (error) {
	case EPROTO:
		return "unexpected exit";
	case EINTR:
		return "no exit in time";
	case ERANGE:
		return "wrong result";
	default:
		return strerror(error);
	}
}

void row_error(const struct row *row, int error)
{
	errors++;
	row_nothing(row, "error", error_text(error));
}

/* Which modules were measured: those built outside the kernel tree are marked so. */
static void describe_host(void)
{
	char taint[16] = "";
	struct utsname name;
	FILE *file = fopen("/sys/module/kvm/taint", "r");

	if (file) {
		if (!fgets(taint, sizeof(taint), file))
			taint[0] = 0;
		fclose(file);
	}
	uname(&name);
	printf("# kernel %s, kvm.ko built %s the kernel tree\n", name.release,
	       strchr(taint, 'O') ? "outside" : "in");
}

static int usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: kvm-bench [--tsv] [--only ID[,ID...]] [--list] [--profile]\n"
		"  --tsv      id, label, median, least, most, unit, separated by tabs\n"
		"  --only     measure these rows only\n"
		"  --list     print the rows' ids\n"
		"  --profile  run each row a few times between two marks, for tools/bench/profile\n");
	return status;
}

static bool parse(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--tsv"))
			options.tsv = true;
		else if (!strcmp(argv[i], "--list"))
			options.list = true;
		else if (!strcmp(argv[i], "--profile"))
			options.profile = true;
		else if (!strcmp(argv[i], "--only") && i + 1 < argc)
			options.only = argv[++i];
		else
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	int err;

	if (argc == 2 && !strcmp(argv[1], "--help"))
		return usage(0);
	if (!parse(argc, argv))
		return usage(2);
	if (!options.list) {
		err = kvm_open();
		if (err) {
			fprintf(stderr, "kvm-bench: /dev/kvm: %s\n", strerror(err));
			return 1;
		}
		start_watchdog();
		describe_host();
	}
	exits_measure();
	devices_measure();
	wake_measure();
	memory_measure();
	paging_measure();
	life_measure();
	if (!options.list && !rows_wanted) {
		fprintf(stderr, "kvm-bench: no row is named %s\n", options.only);
		return 2;
	}
	return errors ? 1 : 0;
}
