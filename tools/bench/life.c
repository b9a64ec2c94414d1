// SPDX-License-Identifier: GPL-2.0
/*
 * Rows about the life of a machine: creating it, its first run, closing it, and the memory the
 * kernel holds for one that ran once. Closing may sleep, so it is given twice: as time gone by,
 * and as instructions executed, which leaves out what the processor idled (/proc/timer_list).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include "bench.h"

#define LIVES		15
#define IDLE_VMS	64
#define SETTLE_USEC	200000

static const struct row create_vm = {
	"create_vm", "KVM_CREATE_VM", "instructions" };
static const struct row create_irqchip = {
	"create_irqchip", "KVM_CREATE_IRQCHIP", "instructions" };
static const struct row create_vcpu = {
	"create_vcpu", "KVM_CREATE_VCPU", "instructions" };
static const struct row create_vcpu_irqchip = {
	"create_vcpu_irqchip", "KVM_CREATE_VCPU after KVM_CREATE_IRQCHIP", "instructions" };
static const struct row first_run = {
	"first_run", "first KVM_RUN to its exit", "instructions" };
static const struct row close_busy = {
	"close_busy", "close everything, executed", "instructions" };
static const struct row close_elapsed = {
	"close_elapsed", "close everything, elapsed", "ns" };
static const struct row life_busy = {
	"life_busy", "whole life, deferred work included", "instructions" };
static const struct row idle_memory = {
	"idle_memory", "kernel memory of an idle VM that ran once", "KiB" };

struct life {
	struct samples vm, irqchip, vcpu, run, busy, elapsed;
	bool mark;			/* this one is for tools/bench/profile */
};

/* Nanoseconds that processor 0 has idled; on a counting host, time without instructions. */
static int idle_time(uint64_t *idle)
{
	FILE *file = fopen("/proc/timer_list", "r");
	unsigned long long value;
	int err = ENODATA;
	char line[256];

	if (!file)
		return errno;
	while (err && fgets(line, sizeof(line), file))
		if (sscanf(line, " .idle_sleeptime : %llu nsecs", &value) == 1)
			err = 0;
	fclose(file);
	*idle = value;
	return err;
}

static uint64_t step_begin(const struct life *life, const struct row *row)
{
	if (life->mark && row_wanted(row))
		profile_begin(row);
	return now();
}

static void step_end(const struct life *life, const struct row *row, struct samples *samples,
		     uint64_t start)
{
	sample_add(samples, now() - start);
	if (life->mark && row_wanted(row))
		profile_end();
}

static void timed_close(struct vm *vm, struct life *life)
{
	uint64_t before = 0, after = 0, start;
	int err = idle_time(&before);

	start = step_begin(life, &close_busy);
	vm_close(vm);
	step_end(life, &close_busy, &life->elapsed, start);
	if (!err)
		err = idle_time(&after);
	if (!err)
		sample_add(&life->busy, life->elapsed.value[life->elapsed.count - 1] -
					(after - before));
}

static int timed_create(struct vm *vm, struct life *life, bool irqchip)
{
	const struct row *vcpu_row = irqchip ? &create_vcpu_irqchip : &create_vcpu;
	uint64_t start = step_begin(life, &create_vm);
	int err = vm_create(vm);

	step_end(life, &create_vm, &life->vm, start);
	if (err)
		return err;
	if (irqchip) {
		start = step_begin(life, &create_irqchip);
		err = ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0 ? errno : 0;
		step_end(life, &create_irqchip, &life->irqchip, start);
	}
	if (!err)
		err = vm_add_low_memory(vm);
	if (err)
		return err;
	start = step_begin(life, vcpu_row);
	err = vm_create_vcpu(vm);
	step_end(life, vcpu_row, &life->vcpu, start);
	return err;
}

static int timed_run(struct vm *vm, struct life *life)
{
	struct program nothing = { .entry = guest_done };
	uint64_t start;
	int err = vm_setup_vcpu(vm);

	if (!err)
		err = vm_load(vm, &nothing, 0);
	if (err)
		return err;
	start = step_begin(life, &first_run);
	err = vm_run_to_end(vm);
	step_end(life, &first_run, &life->run, start);
	return err;
}

static int live(struct life *life, bool irqchip)
{
	struct vm vm;
	int err;

	vm_init(&vm);
	err = timed_create(&vm, life, irqchip);
	if (!err)
		err = timed_run(&vm, life);
	if (err)
		vm_close(&vm);
	else
		timed_close(&vm, life);
	return err;
}

static int live_often(struct life *life, bool irqchip, bool mark)
{
	unsigned int i;
	int err = 0;

	memset(life, 0, sizeof(*life));
	for (i = 0; i < LIVES && !err; i++) {
		life->mark = mark && profiling() && i == LIVES - 1;
		err = live(life, irqchip);
	}
	return err;
}

static void report(const struct row *row, const struct samples *samples, int err)
{
	if (!row_wanted(row))
		return;
	if (err)
		row_error(row, err);
	else
		row_report(row, samples);
}

/* What the kernel does later on behalf of dead machines counts as well. */
static void measure_whole(void)
{
	static struct life life;
	struct samples samples = { .count = 0 };
	uint64_t before, after, start, elapsed;
	int err = idle_time(&before);

	start = now();
	if (!err)
		err = live_often(&life, false, false);
	usleep(SETTLE_USEC);
	elapsed = now() - start;
	if (!err)
		err = idle_time(&after);
	if (!err)
		sample_add(&samples, (double)(elapsed - (after - before)) / LIVES);
	if (err)
		row_error(&life_busy, err);
	else
		row_report(&life_busy, &samples);
}

static unsigned long free_kib(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long kib = 0;
	char line[128];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemFree: %lu kB", &kib) == 1)
			break;
	fclose(file);
	return kib;
}

static int idle_vms(struct vm *vms, unsigned int count)
{
	struct program nothing = { .entry = guest_done };
	uint64_t ticks;
	unsigned int i;
	int err = 0;

	for (i = 0; i < count && !err; i++) {
		err = vm_make(&vms[i], false);
		if (!err)
			err = vm_time(&vms[i], &nothing, 0, &ticks);
	}
	usleep(SETTLE_USEC);
	return err;
}

/* The first half fills whatever earlier rows left half-empty in the kernel's allocators. */
static void measure_memory(void)
{
	static struct vm vms[2 * IDLE_VMS];
	struct samples samples = { .count = 0 };
	unsigned long before;
	unsigned int i;
	int err;

	for (i = 0; i < 2 * IDLE_VMS; i++)
		vm_init(&vms[i]);
	err = idle_vms(vms, IDLE_VMS);
	before = free_kib();
	if (!err)
		err = idle_vms(vms + IDLE_VMS, IDLE_VMS);
	sample_add(&samples, ((double)before - free_kib()) / IDLE_VMS);
	for (i = 0; i < 2 * IDLE_VMS; i++)
		vm_close(&vms[i]);
	report(&idle_memory, &samples, err);
}

static void measure_steps(void)
{
	static struct life life;
	int err = live_often(&life, false, true);

	report(&create_vm, &life.vm, err);
	report(&create_vcpu, &life.vcpu, err);
	report(&first_run, &life.run, err);
	report(&close_busy, &life.busy, err);
	report(&close_elapsed, &life.elapsed, err);
}

static void skip(const struct row *row)
{
	if (row_wanted(row))
		row_skip(row, "capability missing");
}

static void measure_irqchip(void)
{
	static struct life life;
	int err;

	if (!kvm_has(KVM_CAP_IRQCHIP)) {
		skip(&create_irqchip);
		skip(&create_vcpu_irqchip);
		return;
	}
	err = live_often(&life, true, true);
	report(&create_irqchip, &life.irqchip, err);
	report(&create_vcpu_irqchip, &life.vcpu, err);
}

static bool any_wanted(const struct row *const *rows, size_t count)
{
	bool any = false;
	size_t i;

	for (i = 0; i < count; i++)
		any |= row_wanted(rows[i]);
	return any;
}

void life_measure(void)
{
	static const struct row *const steps[] = {
		&create_vm, &create_vcpu, &first_run, &close_busy, &close_elapsed,
	};
	static const struct row *const irqchip[] = { &create_irqchip, &create_vcpu_irqchip };

	if (any_wanted(steps, ARRAY_SIZE(steps)))
		measure_steps();
	if (any_wanted(irqchip, ARRAY_SIZE(irqchip)))
		measure_irqchip();
	if (row_wanted(&life_busy))
		measure_whole();
	if (row_wanted(&idle_memory))
		measure_memory();
}
