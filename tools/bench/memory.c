// SPDX-License-Identifier: GPL-2.0
/*
 * Rows about guest memory: the first touch of pages that the host already has, and dirty
 * logging. The memory is slot 1; removing and adding the slot makes its pages untouched again.
 * All figures are per 4 KiB page.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "bench.h"

#define BATCHES		9
#define SMALL_PAGES	2048UL			/* 8 MiB */
#define LARGE_PAGES	16384UL			/* 64 MiB, in huge pages */
#define PROFILE_PAGES	64UL

struct area {
	uint8_t *mem;
	unsigned long pages;
};

static const struct row fault_small = {
	"npf_4k", "nested page fault, 4 KiB, memory present", "instructions/page" };
static const struct row fault_huge = {
	"npf_huge", "same with huge pages", "instructions/page" };
static const struct row dirty_on = {
	"dirty_on", "switching dirty logging on", "instructions/page" };
static const struct row dirty_write = {
	"dirty_write", "first write to a page under dirty logging", "instructions/page" };
static const struct row dirty_get = {
	"dirty_get", "KVM_GET_DIRTY_LOG, all pages dirty", "instructions/page" };

static int area_set(struct vm *vm, const struct area *area, uint32_t flags)
{
	return vm_set_slot(vm, 1, flags, HIGH_BASE, area->mem, area->pages * PAGE);
}

static int area_remove(struct vm *vm, const struct area *area)
{
	return vm_set_slot(vm, 1, 0, HIGH_BASE, area->mem, 0);
}

/* A slot without mappings, with everything else that the vcpu needs mapped. */
static int area_renew(struct vm *vm, const struct area *area)
{
	struct program nothing = { .entry = guest_done };
	uint64_t ticks;
	int err = area_remove(vm, area);

	if (!err)
		err = area_set(vm, area, 0);
	if (!err)
		err = vm_time(vm, &nothing, 0, &ticks);
	return err;
}

static int touch(struct vm *vm, const struct area *area, const uint8_t *entry, double *each)
{
	struct program program = { .entry = entry, .rsi = HIGH_BASE, .rbx = PAGE };
	uint64_t ticks;
	int err = vm_time(vm, &program, area->pages, &ticks);

	*each = (double)ticks / area->pages;
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

static void measure_faults(struct vm *vm, const struct area *area, const struct row *row)
{
	struct samples samples = { .count = 0 };
	double each = 0;
	int err = area_set(vm, area, 0);
	int i;

	for (i = 0; i < BATCHES && !err; i++) {
		err = area_renew(vm, area);
		if (err)
			break;
		if (i == BATCHES - 1)
			profile_begin(row);
		err = touch(vm, area, guest_touch_read, &each);
		if (i == BATCHES - 1)
			profile_end();
		sample_add(&samples, each);
	}
	report(row, &samples, err);
	area_remove(vm, area);
}

struct dirty {
	struct samples on, write, get;
	bool mark;			/* this pass is for tools/bench/profile */
};

static void mark_begin(const struct dirty *dirty, const struct row *row)
{
	if (dirty->mark && row_wanted(row))
		profile_begin(row);
}

static void mark_end(const struct dirty *dirty, const struct row *row)
{
	if (dirty->mark && row_wanted(row))
		profile_end();
}

static int timed_set(struct vm *vm, const struct area *area, struct dirty *dirty)
{
	uint64_t start;
	int err;

	mark_begin(dirty, &dirty_on);
	start = now();
	err = area_set(vm, area, KVM_MEM_LOG_DIRTY_PAGES);
	sample_add(&dirty->on, (double)(now() - start) / area->pages);
	mark_end(dirty, &dirty_on);
	return err;
}

static int timed_write(struct vm *vm, const struct area *area, struct dirty *dirty)
{
	double each;
	int err;

	mark_begin(dirty, &dirty_write);
	err = touch(vm, area, guest_touch_write, &each);
	mark_end(dirty, &dirty_write);
	if (!err)
		sample_add(&dirty->write, each);
	return err;
}

static int timed_get(struct vm *vm, const struct area *area, struct dirty *dirty)
{
	static uint64_t bitmap[SMALL_PAGES / 64];
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bitmap };
	uint64_t start;
	unsigned long i;
	int err;

	memset(bitmap, 0, sizeof(bitmap));
	mark_begin(dirty, &dirty_get);
	start = now();
	err = ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log) < 0 ? errno : 0;
	sample_add(&dirty->get, (double)(now() - start) / area->pages);
	mark_end(dirty, &dirty_get);
	for (i = 0; i < area->pages / 64 && !err; i++)
		if (bitmap[i] != ~0ULL)
			err = ERANGE;
	return err;
}

static int dirty_pass(struct vm *vm, const struct area *area, struct dirty *dirty)
{
	double each;
	int err = area_renew(vm, area);

	if (!err)
		err = touch(vm, area, guest_touch_write, &each);
	if (!err)
		err = timed_set(vm, area, dirty);
	if (!err)
		err = timed_write(vm, area, dirty);
	if (!err)
		err = timed_get(vm, area, dirty);
	return err;
}

static void measure_dirty(struct vm *vm, const struct area *area)
{
	struct dirty dirty;
	int err = area_set(vm, area, 0);
	int i;

	memset(&dirty, 0, sizeof(dirty));
	for (i = 0; i < BATCHES && !err; i++) {
		dirty.mark = profiling() && i == BATCHES - 1;
		err = dirty_pass(vm, area, &dirty);
	}
	report(&dirty_on, &dirty.on, err);
	report(&dirty_write, &dirty.write, err);
	report(&dirty_get, &dirty.get, err);
	area_remove(vm, area);
}

/* How much of this process is in huge pages, in bytes. */
static unsigned long huge_bytes(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	unsigned long kib = 0;
	char line[128];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "AnonHugePages: %lu kB", &kib) == 1)
			break;
	fclose(file);
	return kib << 10;
}

static void with_vm(const struct row *row, const struct area *area)
{
	struct vm vm;
	int err = vm_make(&vm, false);

	if (err) {
		row_error(row, err);
		return;
	}
	if (row == &dirty_write)
		measure_dirty(&vm, area);
	else
		measure_faults(&vm, area, row);
	vm_close(&vm);
}

static void with_area(const struct row *row, bool huge)
{
	struct area area = { .pages = huge ? LARGE_PAGES : SMALL_PAGES };

	if (profiling() && !huge)
		area.pages = PROFILE_PAGES;
	area.mem = memory_map(area.pages * PAGE, huge);
	if (!area.mem)
		row_error(row, ENOMEM);
	else if (huge && huge_bytes() < area.pages * PAGE)
		row_skip(row, "the host has no huge pages to give");
	else
		with_vm(row, &area);
	if (area.mem)
		munmap(area.mem, area.pages * PAGE);
}

void memory_measure(void)
{
	bool dirty;

	if (row_wanted(&fault_small))
		with_area(&fault_small, false);
	if (row_wanted(&fault_huge))
		with_area(&fault_huge, true);
	/* one pass gives all three */
	dirty = row_wanted(&dirty_on);
	dirty |= row_wanted(&dirty_write);
	dirty |= row_wanted(&dirty_get);
	if (dirty)
		with_area(&dirty_write, false);
}
