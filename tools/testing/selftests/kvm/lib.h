/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every test program needs that is not about guests: cases and their report, checks that
 * explain themselves, small wrappers of system calls. Each case runs in a process of its own, so
 * that it may fail at any depth, hang or crash without harming the next.
 */
#ifndef SELFTEST_LIB_H
#define SELFTEST_LIB_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/kvm.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define PAGE		4096ul
#define KiB		1024ul
#define MiB		(1024ul * KiB)
#define GiB		(1024ul * MiB)
#define NS_PER_S	1000000000ull

struct test_case {
	const char *name;
	void (*body)(void);
	unsigned int seconds;		/* time limit, 0 for the usual one */
};

/* Runs the cases, those whose number is given as an argument or all; returns main()'s status. */
int run_cases(const char *program, const struct test_case *cases, size_t count,
	      int argc, char **argv);
#define RUN_CASES(program, cases) run_cases(program, cases, ARRAY_SIZE(cases), argc, argv)

void fail_at(const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
void skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define fail(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)

#define check(condition) \
	do { \
		if (!(condition)) \
			fail("%s is false", #condition); \
	} while (0)

#define check_equal(value, wanted) \
	do { \
		unsigned long long value_ = (unsigned long long)(value); \
		unsigned long long wanted_ = (unsigned long long)(wanted); \
		if (value_ != wanted_) \
			fail("%s is %#llx, not %#llx", #value, value_, wanted_); \
	} while (0)

/* A system call that must succeed; its value is the call's. */
#define must(call) \
	({ \
		long result_ = (long)(call); \
		if (result_ == -1) \
			fail("%s: %s", #call, strerror(errno)); \
		result_; \
	})

/* A system call that must fail with the errno named. */
#define must_fail(call, error) \
	do { \
		errno = 0; \
		long result_ = (long)(call); \
		if (result_ != -1) \
			fail("%s gives %ld instead of %s", #call, result_, #error); \
		if (errno != (error)) \
			fail("%s: %s instead of %s", #call, strerror(errno), #error); \
	} while (0)

/*
 * How many times slower than usual the host is, such as one with a kernel full of checks: time
 * limits and sleeps are multiplied by it, and long tests do so much less. TIME_FACTOR in the
 * environment.
 */
unsigned int slowness(void);

int open_kvm(void);
int extension(int fd, unsigned long capability);
void need_extension(int fd, unsigned long capability, const char *name);
#define NEED(fd, capability) need_extension(fd, capability, #capability)

void *map_pages(size_t size);
uint64_t now_ns(void);
void sleep_ms(unsigned int ms);		/* of a usual host: see slowness() */
long read_number(const char *path);		/* -1 when the file is not there */
bool write_text(const char *path, const char *text);
uint64_t random_next(uint64_t *seed);
/* The host itself is emulated by QEMU's TCG, whose processor has gaps. */
bool host_is_tcg(void);
/* ... or by Bochs. */
bool host_is_bochs(void);
/* The file of a module's parameter says N or 0. */
bool module_parameter_off(const char *path);
/* The loaded module uses nested paging (and not shadow page tables). */
bool nested_paging(void);
/* ... lets the processor deliver and end the interrupts of local APICs. */
bool processor_delivers(void);
bool processor_sends(void);		/* IPIs to other vcpus */
/* Runs the body in a child process and checks that it ends with status 0. */
void in_child(void (*body)(void *data), void *data);

#endif
