/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the measuring program share: the counter, the measured virtual machine
 * (vm.c), collecting and reporting figures (main.c), and the groups of rows.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>

#include "layout.h"

#define PAGE		4096UL
#define HUGE_PAGE	(2UL << 20)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* On a counting host (see README.md) one tick of the TSC is one instruction. */
static inline uint64_t now(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* The section that all programs of the guest are in; the linker names its ends. */
extern const uint8_t __start_guest_image[], __stop_guest_image[];

extern const uint8_t guest_done[], guest_cpuid[], guest_vmmcall[],
	guest_vmcall[], guest_rdmsr[], guest_wrmsr[], guest_out[], guest_in[], guest_mmio_write[],
	guest_mmio_read[], guest_hlt[], guest_touch_read[], guest_touch_write[], guest_self_ipi[],
	guest_deadline[], guest_take[], guest_wait[], guest_ping[], guest_pong[],
	guest_interrupt[], guest_switch[], guest_change[], guest_invlpg[], guest_fork[],
	guest_page_fault[];

/* vm.c: functions that return int give 0 or an errno */

struct vm {
	int fd;
	int vcpu;
	struct kvm_run *run;
	size_t run_size;
	uint8_t *low;			/* slot 0 */
	uint64_t base;			/* its linear address */
};

struct program {
	const uint8_t *entry;
	uint64_t rax, rbx, rcx, rdx, rsi, rbp;
};

extern int kvm_fd;

int kvm_open(void);
bool kvm_has(int cap);
void vm_init(struct vm *vm);
int vm_create(struct vm *vm);
int vm_add_low_memory(struct vm *vm);
int vm_set_slot(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa, void *mem,
		uint64_t size);
int vm_create_vcpu(struct vm *vm);
int vm_setup_vcpu(struct vm *vm);
int vm_make(struct vm *vm, bool irqchip);
void vm_close(struct vm *vm);
int vm_load(struct vm *vm, const struct program *program, uint32_t count);
int vm_run(struct vm *vm);
int vm_run_to_end(struct vm *vm);
int vm_time(struct vm *vm, const struct program *program, uint32_t count, uint64_t *ticks);
int vm_write_apic(struct vm *vm, uint32_t offset, uint32_t value);
void *memory_map(size_t size, bool huge);
uint64_t guest_address(const uint8_t *in_image);

/* Registers of the local APIC, from APIC_BASE on (AMD APM volume 2, 16.3.2) */
#define APIC_EOI	0x0b0
#define APIC_SPURIOUS	0x0f0
#define APIC_ICR	0x300
#define APIC_ICR_HIGH	0x310
#define SPURIOUS_ENABLE	0x1ff

/* main.c */

#define MAX_SAMPLES	64

struct samples {
	double value[MAX_SAMPLES];
	size_t count;
};

struct row {
	const char *id;
	const char *label;
	const char *unit;
};

bool row_wanted(const struct row *row);
bool rows_by_name(void);		/* those with --only, and --list */
void sample_add(struct samples *samples, double value);
void row_report(const struct row *row, const struct samples *samples);
void row_skip(const struct row *row, const char *reason);
void row_error(const struct row *row, int error);
void profile_begin(const struct row *row);
void profile_end(void);
bool profiling(void);

/* the groups of rows */

void exits_measure(void);
void devices_measure(void);
void wake_measure(void);
void memory_measure(void);
void paging_measure(void);
void life_measure(void);

#endif
