/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the small VMM share: the guest's memory and how it is entered (linux.c), its
 * serial port (serial.c), and the machine (main.c).
 */
#ifndef VMM_H
#define VMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIB		(1UL << 20)
#define PAGE		4096UL

/* Where the loader puts what it makes itself, all below 640 KiB */
#define GDT_ADDR	0x1000
#define TABLES_ADDR	0x2000		/* page tables, six pages */
#define PARAMS_ADDR	0x10000
#define COMMAND_ADDR	0x20000
#define STACK_ADDR	0x9000
#define LOW_END		0x9fc00
#define KERNEL_ADDR	0x100000

#define CODE_SELECTOR	0x10
#define DATA_SELECTOR	0x18

struct machine {
	uint8_t *memory;
	size_t size;
	int vm;
	int vcpu;
};

struct entry {
	uint64_t rip;
	bool long_mode;
};

void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* linux.c */
struct entry linux_load(struct machine *m, const char *kernel, const char *initrd, const char *command);

enum ending { RUNNING, GOOD_TEXT, BAD_TEXT, RESET };

/* serial.c: the port's eight registers; serial_watch() names texts that end the run, or NULL. */
void serial_watch(const char *good, const char *bad);
enum ending serial_write(struct machine *m, unsigned int reg, uint8_t value);
uint8_t serial_read(struct machine *m, unsigned int reg);

#define SERIAL_PORT	0x3f8
#define SERIAL_IRQ	4

#endif
