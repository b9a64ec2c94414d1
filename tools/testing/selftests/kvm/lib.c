// SPDX-License-Identifier: GPL-2.0
/*
 * The runner of test cases and small helpers; see lib.h. It knows nothing about guests (guest.c)
 * and prints what run-all reads: a line a case and a closing tally.
 */
#include "lib.h"

#include <cpuid.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

enum { CASE_PASSED = 0, CASE_FAILED = 1, CASE_SKIPPED = 4 };

#define CASE_SECONDS	60

static char *skip_reason;		/* shared with the case's process */
static int reporter = STDOUT_FILENO;

static void print_line(const char *prefix, const char *format, va_list args)
{
	char text[600];
	int length;

	length = snprintf(text, sizeof(text), "%s", prefix);
	length += vsnprintf(text + length, sizeof(text) - length - 2, format, args);
	if (length > (int)sizeof(text) - 2)
		length = sizeof(text) - 2;
	text[length++] = '\n';
	if (write(reporter, text, length) < 0)
		_exit(CASE_FAILED);
}

void fail_at(const char *file, int line, const char *format, ...)
{
	const char *base = strrchr(file, '/');
	char prefix[80];
	va_list args;

	snprintf(prefix, sizeof(prefix), "#   %s:%d: ", base ? base + 1 : file, line);
	va_start(args, format);
	print_line(prefix, format, args);
	va_end(args);
	_exit(CASE_FAILED);
}

void skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(skip_reason, PAGE, format, args);
	va_end(args);
	_exit(CASE_SKIPPED);
}

void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("#   ", format, args);
	va_end(args);
}

unsigned int slowness(void)
{
	const char *text = getenv("TIME_FACTOR");
	unsigned long factor = text ? strtoul(text, NULL, 10) : 1;

	return factor >= 1 && factor <= 1000 ? factor : 1;
}

static void on_limit(int number)
{
	/* Nothing to do: waitpid() comes back. */
}

/* The time limit is the runner's own, because some cases use the child's alarm. */
static int run_case(const struct test_case *test)
{
	unsigned int limit = (test->seconds ? test->seconds : CASE_SECONDS) * slowness();
	struct sigaction action = { .sa_handler = on_limit };
	bool late = false;
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return CASE_FAILED;
	if (pid == 0) {
		setpgid(0, 0);
		test->body();
		_exit(CASE_PASSED);
	}
	setpgid(pid, pid);
	sigaction(SIGALRM, &action, NULL);
	alarm(limit);
	while (waitpid(pid, &status, 0) < 0) {
		late = true;
		kill(-pid, SIGKILL);
	}
	alarm(0);
	kill(-pid, SIGKILL);			/* what the case left behind */
	if (late)
		note("no end after %u seconds", limit);
	else if (WIFEXITED(status))
		return WEXITSTATUS(status);
	else
		note("killed by signal %d", WTERMSIG(status));
	return CASE_FAILED;
}

static bool selected(size_t number, int argc, char **argv)
{
	if (argc < 2)
		return true;
	for (int i = 1; i < argc; i++)
		if (strtoul(argv[i], NULL, 10) == number)
			return true;
	return false;
}

int run_cases(const char *program, const struct test_case *cases, size_t count,
	      int argc, char **argv)
{
	unsigned int passed = 0, failed = 0, skipped = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	skip_reason = map_pages(PAGE);
	for (size_t i = 0; i < count; i++) {
		if (!selected(i + 1, argc, argv))
			continue;
		skip_reason[0] = '\0';
		switch (run_case(&cases[i])) {
		case CASE_PASSED:
			printf("ok %zu - %s: %s\n", i + 1, program, cases[i].name);
			passed++;
			break;
		case CASE_SKIPPED:
			printf("ok %zu - %s: %s # SKIP %s\n", i + 1, program, cases[i].name,
			       skip_reason);
			skipped++;
			break;
		default:
			printf("not ok %zu - %s: %s\n", i + 1, program, cases[i].name);
			failed++;
		}
	}
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed ? 1 : 0;
}

int open_kvm(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail("/dev/kvm: %s", strerror(errno));
	return fd;
}

int extension(int fd, unsigned long capability)
{
	return must(ioctl(fd, KVM_CHECK_EXTENSION, capability));
}

void need_extension(int fd, unsigned long capability, const char *name)
{
	if (!extension(fd, capability))
		skip("no %s", name);
}

void *map_pages(size_t size)
{
	void *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		fail("no memory for %zu bytes", size);
	return area;
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

void sleep_ms(unsigned int ms)
{
	uint64_t end = now_ns() + ms * 1000000ull * slowness();
	struct timespec until = { end / NS_PER_S, end % NS_PER_S };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

long read_number(const char *path)
{
	char text[64];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return -1;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length <= 0)
		return -1;
	text[length] = '\0';
	return strtol(text, NULL, 0);
}

bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return done;
}

uint64_t random_next(uint64_t *seed)
{
	/* Vigna's splitmix64: short, and the same on every machine. */
	uint64_t z = *seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

bool host_is_tcg(void)
{
	unsigned int eax, signature[3];

	__cpuid(0x40000000, eax, signature[0], signature[1], signature[2]);
	return !memcmp(signature, "TCGTCGTCGTCG", sizeof(signature));
}

bool host_is_bochs(void)
{
	char version[64] = "";
	FILE *f = fopen("/sys/class/dmi/id/bios_version", "r");

	if (f && !fgets(version, sizeof(version), f))
		version[0] = 0;
	if (f)
		fclose(f);
	return !strncmp(version, "Bochs ", 6);
}

/* The first letter, or the one given for a module that is not loaded. */
static char parameter(const char *path, char missing)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char value;

	if (fd < 0)
		return missing;
	if (read(fd, &value, 1) != 1)
		value = missing;
	close(fd);
	return value;
}

bool module_parameter_off(const char *path)
{
	char value = parameter(path, 'Y');

	return value == 'N' || value == '0';
}

bool nested_paging(void)
{
	return !module_parameter_off("/sys/module/kvm_amd/parameters/npt") &&
	       !module_parameter_off("/sys/module/kvm_intel/parameters/ept");
}

bool processor_delivers(void)
{
	return parameter("/sys/module/kvm_intel/parameters/enable_apicv", 'N') == 'Y';
}

bool processor_sends(void)
{
	return parameter("/sys/module/kvm_intel/parameters/enable_ipiv", 'N') == 'Y';
}

void in_child(void (*body)(void *data), void *data)
{
	int status;
	pid_t pid = must(fork());

	if (pid == 0) {
		body(data);
		_exit(CASE_PASSED);
	}
	must(waitpid(pid, &status, 0));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail("the child process ended with status %#x", status);
}
