// SPDX-License-Identifier: GPL-2.0
/*
 * migrate COUNT FOLDER QEMU-COMMAND...: boot a guest that runs "load" and move it COUNT times from one QEMU
 * to the next on this host. After each time the guest must get on with its work, and after the
 * last every worker must finish two rounds: all that was written before is then read again.
 * FOLDER holds the sockets and "serial", where every QEMU appends what the guest says. QMP is spoken
 * as far as this needs it: one command, one line of answer. TIME_FACTOR in the environment multiplies
 * the time limits.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BOOT_SECONDS	300
#define MOVE_SECONDS	200
#define ROUND_SECONDS	200
#define QUIT_SECONDS	60
#define MAX_ARGS	80
#define TRACE_LINES	300
#define WORKERS		3		/* the disk's and two of memory */

struct qemu {
	pid_t pid;
	int status;			/* once it has ended */
	FILE *in, *out;			/* of its QMP socket */
};

static const char *folder;
static char **command;
static char answer[65536];

static void __attribute__((noreturn)) die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("migrate: ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	fflush(stdout);
	kill(0, SIGTERM);		/* the QEMUs too; this process has other plans */
	while (wait(NULL) > 0)
		;
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double deadline(int seconds)
{
	const char *factor = getenv("TIME_FACTOR");

	return now() + seconds * (factor ? atof(factor) : 1);
}

static void sleep_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static bool has_ended(struct qemu *qemu)
{
	return waitpid(qemu->pid, &qemu->status, WNOHANG) > 0;
}

/* Sends a command, leaves the answer in "answer"; events that come in between are dropped. */
static void qmp(struct qemu *qemu, const char *text)
{
	fprintf(qemu->out, "%s\n", text);
	fflush(qemu->out);
	do {
		if (!fgets(answer, sizeof(answer), qemu->in))
			die("QEMU hung up at %s", text);
	} while (strstr(answer, "\"event\""));
	if (!strstr(answer, "\"return\""))
		die("%s: %s", text, answer);
}

/* False: QEMU has gone before it took a command. */
static bool qmp_open(struct qemu *qemu, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	double end = deadline(QUIT_SECONDS);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	while (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		if (now() > end)
			die("QEMU does not start: %s", strerror(errno));
		if (has_ended(qemu)) {
			close(fd);
			return false;
		}
		sleep_ms(50);
	}
	qemu->in = fdopen(fd, "r");
	qemu->out = fdopen(dup(fd), "w");
	fprintf(qemu->out, "{\"execute\":\"qmp_capabilities\"}\n");
	fflush(qemu->out);
	while (fgets(answer, sizeof(answer), qemu->in))
		if (strstr(answer, "\"return\""))	/* and not the greeting or an event */
			return true;
	fclose(qemu->in);
	fclose(qemu->out);
	while (!has_ended(qemu) && now() < end)
		sleep_ms(50);
	return false;
}

/*
 * With a dirty ring QEMU 7.2 may abort by itself as it starts: the thread that empties the rings looks once
 * a second, at vcpus too that are being created (QEMU 8.0 leaves those out).
 */
static bool aborted_over_its_ring(const struct qemu *qemu)
{
	const char *ring = getenv("RING");

	return ring && *ring && WIFSIGNALED(qemu->status) && WTERMSIG(qemu->status) == SIGABRT;
}

static struct qemu start(unsigned int number, bool incoming)
{
	static char qmp_arg[128], path[100], in[100];
	char *args[MAX_ARGS];
	struct qemu qemu = { };
	int n = 0, tries = 0;

	while (command[n] && n < MAX_ARGS - 5) {
		args[n] = command[n];
		n++;
	}
	snprintf(path, sizeof(path), "%s/qmp%u", folder, number);
	snprintf(qmp_arg, sizeof(qmp_arg), "unix:%s,server=on,wait=off", path);
	snprintf(in, sizeof(in), "unix:%s/in%u", folder, number);
	args[n++] = "-qmp";
	args[n++] = qmp_arg;
	if (incoming) {
		args[n++] = "-incoming";
		args[n++] = in;
	}
	args[n] = NULL;
	do {
		fflush(stdout);
		qemu.pid = fork();
		if (!qemu.pid) {
			signal(SIGTERM, SIG_DFL);
			execvp(args[0], args);
			die("%s: %s", args[0], strerror(errno));
		}
		if (qmp_open(&qemu, path))
			return qemu;
	} while (aborted_over_its_ring(&qemu) && ++tries < 5);
	die("QEMU ended as it started, with status %#x", qemu.status);
}

static void stop(struct qemu *qemu)
{
	double end = deadline(QUIT_SECONDS);
	int status;

	qmp(qemu, "{\"execute\":\"quit\"}");
	fclose(qemu->in);
	fclose(qemu->out);
	while (!waitpid(qemu->pid, &status, WNOHANG)) {
		if (now() > end)
			die("the old QEMU does not end");
		sleep_ms(20);
	}
	if (status)
		die("the old QEMU ended with status %#x", status);
}

/* How many rounds each worker has said to have finished; -1: none yet */
static void read_rounds(long *rounds)
{
	static const char *const names[WORKERS] = { "disk", "memory0", "memory1" };
	char line[512], path[128], name[16];
	long round;
	FILE *f;
	int i;

	for (i = 0; i < WORKERS; i++)
		rounds[i] = -1;
	snprintf(path, sizeof(path), "%s/serial", folder);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, "FAILED") || strstr(line, "Kernel panic") || strstr(line, "BUG:") ||
		    strstr(line, "soft lockup") || strstr(line, "I/O error"))
			die("the guest says: %s", line);
		if (sscanf(line, "load: %15s %ld", name, &round) != 2)
			continue;
		for (i = 0; i < WORKERS; i++)
			if (!strcmp(name, names[i]))
				rounds[i] = round;
	}
	if (f)
		fclose(f);
}

/* What the guest was at when it stopped working */
static void show(struct qemu *qemu, const char *monitor_command)
{
	char text[256];
	char *at;

	snprintf(text, sizeof(text), "{\"execute\":\"human-monitor-command\",\"arguments\":"
		 "{\"command-line\":\"%s\"}}", monitor_command);
	qmp(qemu, text);
	for (at = strtok(answer, "\\"); at; at = strtok(NULL, "\\"))
		printf("%s\n", *at == 'r' || *at == 'n' ? at + 1 : at);
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return;
	fputs(text, f);
	fclose(f);
}

/* What the modules do for it meanwhile */
static void show_trace(void)
{
	FILE *f;
	char line[512];
	int lines = 0;

	write_text("/sys/kernel/tracing/events/kvm/enable", "1");
	sleep_ms(1000);
	write_text("/sys/kernel/tracing/tracing_on", "0");
	f = fopen("/sys/kernel/tracing/trace", "r");
	while (f && lines++ < TRACE_LINES && fgets(line, sizeof(line), f))
		fputs(line, stdout);
	if (f)
		fclose(f);
}

static void wait_for_rounds(struct qemu *qemu, const long *from, long more, bool all, int seconds)
{
	double end = deadline(seconds);
	long rounds[WORKERS];
	int i, done;

	for (;;) {
		read_rounds(rounds);
		for (i = done = 0; i < WORKERS; i++)
			done += rounds[i] >= from[i] + more;
		if (all ? done == WORKERS : done)
			return;
		if (now() > end) {
			show_trace();
			show(qemu, "info lapic 0");
			show(qemu, "info lapic 1");
			show(qemu, "info registers -a");
			die("the guest does not get on: rounds %ld %ld %ld", rounds[0], rounds[1],
			    rounds[2]);
		}
		sleep_ms(100);
	}
}

static void move(struct qemu *from, unsigned int number)
{
	struct qemu to = start(number, true);
	double begin = now(), end = deadline(MOVE_SECONDS);
	const char *downtime;
	char text[256];

	qmp(from, "{\"execute\":\"migrate-set-parameters\",\"arguments\":"
	    "{\"downtime-limit\":1000,\"max-bandwidth\":1073741824}}");
	snprintf(text, sizeof(text), "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:%s/in%u\"}}",
		 folder, number);
	qmp(from, text);
	for (;;) {
		qmp(from, "{\"execute\":\"query-migrate\"}");
		if (strstr(answer, "\"status\": \"completed\""))
			break;
		if (strstr(answer, "\"failed\"") || strstr(answer, "\"cancelled\"") || now() > end)
			die("migration %u: %s", number, answer);
		sleep_ms(100);
	}
	downtime = strstr(answer, "\"downtime\":");
	printf("migration %u: %.1f s, %ld ms of them down\n", number, now() - begin,
	       downtime ? atol(downtime + 11) : -1);
	for (;;) {
		qmp(&to, "{\"execute\":\"query-status\"}");
		if (strstr(answer, "\"status\": \"running\""))
			break;
		if (now() > end)
			die("the new QEMU does not run: %s", answer);
		sleep_ms(20);
	}
	stop(from);
	*from = to;
}

int main(int argc, char **argv)
{
	long rounds[WORKERS] = { -1, -1, -1 };
	unsigned int i, count;
	struct qemu qemu;

	if (argc < 4)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	setpgid(0, 0);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	count = atoi(argv[1]);
	folder = argv[2];
	command = argv + 3;
	qemu = start(0, false);
	wait_for_rounds(&qemu, rounds, 1, true, BOOT_SECONDS);
	for (i = 1; i <= count; i++) {
		read_rounds(rounds);
		move(&qemu, i);
		wait_for_rounds(&qemu, rounds, 1, false, ROUND_SECONDS);
	}
	read_rounds(rounds);
	wait_for_rounds(&qemu, rounds, 2, true, ROUND_SECONDS);
	read_rounds(rounds);
	printf("rounds of disk, memory0, memory1: %ld %ld %ld\n", rounds[0], rounds[1], rounds[2]);
	stop(&qemu);
	printf("MIGRATION OK\n");
	return 0;
}
