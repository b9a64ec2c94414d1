// SPDX-License-Identifier: GPL-2.0
/*
 * Rows about a guest's page tables: switching between two processes, changing an entry,
 * invalidating a page, and a fork. With nested paging these are the processor's and the guest's
 * affair, so the rows are measured where the modules shadow the guest's tables, or when asked for
 * by name. Builds the memory of the small kernel in paging_guest.S: its tables, two processes, and
 * stacks of free frames; layout.h says where. APM 2, 4.8.3 (gates), 5.3 (tables).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "bench.h"

#define BATCHES		9
#define WARM_UP		2		/* more of them, which find tables of ours still to be made */
#define PROFILE_LOOPS	64

#define PTE_PRESENT	0x001ULL
#define PTE_WRITE	0x002ULL
#define PTE_USER	0x004ULL
#define PTE_ACCESSED	0x020ULL
#define PTE_DIRTY	0x040ULL
#define PTE_LARGE	0x080ULL
#define PTE_GLOBAL	0x100ULL
#define PTE_NX		(1ULL << 63)
#define ENTRIES		512
#define LARGE_PAGE	0x200000ULL

/* The kernel's memory, a process's tables, a process's page; as they are after some use */
#define KERNEL_PAGE	(PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_LARGE | PTE_GLOBAL)
#define TABLE		(PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)
#define USER_PAGE	(TABLE | PTE_DIRTY | PTE_NX)

#define CR0_LONG	0x80010033	/* PG, WP, NE, ET, MP, PE */
#define CR4_LONG	0x000000a0	/* PGE, PAE */
#define EFER_LONG	0x00000d00	/* NXE, LMA, LME */

#define GDT_CODE	0x08
#define GDT_DATA	0x10
#define GDT_TSS		0x18
#define GDT_SIZE	0x28
#define IDT_OFFSET	0x800
#define IDT_SIZE	(16 * 15)
#define GATE_INTERRUPT	0x8e00ULL
#define PF_VECTOR	14

#define NR_SPARE_TABLES	16
#define NR_SPARE_PAGES	256

struct paging_row {
	struct row row;
	const uint8_t *entry;
	uint32_t loops;
	/* Is the memory as it must be after @times loops? */
	bool (*holds)(const uint8_t *mem, uint32_t times);
};

static uint64_t *words(uint8_t *mem, uint64_t gpa)
{
	return (uint64_t *)(mem + gpa - HIGH_BASE);
}

static void build_descriptors(uint8_t *mem)
{
	uint64_t *gdt = words(mem, DESCRIPTORS);
	uint64_t *gate = words(mem, DESCRIPTORS + IDT_OFFSET + 16 * PF_VECTOR);
	uint64_t handler = KERNEL_BASE + guest_address(guest_page_fault);

	gdt[GDT_CODE / 8] = 0x00209b0000000000;
	gdt[GDT_DATA / 8] = 0x00cf93000000ffff;
	gate[0] = (handler & 0xffff) | GDT_CODE << 16 | GATE_INTERRUPT << 32 |
		  (handler >> 16 & 0xffff) << 48;
	gate[1] = handler >> 32;
}

/* Large pages for slot 0 and for this slot, below entry 256 of every process's table of level 4. */
static void build_kernel(uint8_t *mem)
{
	uint64_t *l3 = words(mem, KERNEL_TABLES);
	uint64_t *low = words(mem, KERNEL_TABLES + PAGE), *high = words(mem, KERNEL_TABLES + 2 * PAGE);
	uint64_t i;

	l3[0] = (KERNEL_TABLES + PAGE) | TABLE;
	l3[HIGH_BASE >> 30] = (KERNEL_TABLES + 2 * PAGE) | TABLE;
	low[0] = KERNEL_PAGE;
	for (i = 0; i < PAGING_SIZE / LARGE_PAGE; i++)
		high[i] = (HIGH_BASE + i * LARGE_PAGE) | KERNEL_PAGE;
}

/* Five tables from @l4 on, in the order of their levels. */
static void build_process(uint8_t *mem, uint64_t l4, uint64_t pages)
{
	uint32_t *counts = (uint32_t *)words(mem, PAGE_COUNTS);
	uint64_t *l1 = words(mem, l4 + PROCESS_TABLES);
	uint64_t *l2 = words(mem, l4 + 2 * PAGE);
	uint64_t i;

	words(mem, l4)[0] = (l4 + PAGE) | TABLE;
	words(mem, l4)[ENTRIES / 2] = KERNEL_TABLES | TABLE;
	words(mem, l4 + PAGE)[0] = (l4 + 2 * PAGE) | TABLE;
	for (i = 0; i < 2; i++)
		l2[USER_BASE / LARGE_PAGE + i] = (l4 + PROCESS_TABLES + i * PAGE) | TABLE;
	for (i = 0; i < PROCESS_PAGES; i++) {
		l1[i] = (pages + i * PAGE) | USER_PAGE;
		counts[(pages - HIGH_BASE) / PAGE + i] = 1;
	}
}

static void build_stack(uint8_t *mem, uint64_t stack, uint64_t frames, uint64_t nr)
{
	uint64_t i;

	words(mem, stack)[0] = nr;
	for (i = 0; i < nr; i++)
		words(mem, stack)[i + 1] = frames + i * PAGE;
}

static void build_memory(uint8_t *mem)
{
	memset(mem, 0, PAGING_SIZE);
	build_descriptors(mem);
	build_kernel(mem);
	build_process(mem, PROCESS_A, PAGES_A);
	build_process(mem, PROCESS_B, PAGES_B);
	build_stack(mem, FREE_TABLES, SPARE_TABLES, NR_SPARE_TABLES);
	build_stack(mem, FREE_PAGES, SPARE_PAGES, NR_SPARE_PAGES);
}

/* Pages that had 1 added to their first byte so many times */
static bool pages_hold(const uint8_t *mem, uint64_t pages, uint32_t nr, uint32_t times)
{
	uint32_t i;

	for (i = 0; i < nr; i++)
		if (mem[pages - HIGH_BASE + i * PAGE] != (uint8_t)times)
			return false;
	return true;
}

static bool switch_holds(const uint8_t *mem, uint32_t times)
{
	return pages_hold(mem, PAGES_A, SWITCH_PAGES, times / 2) &&
	       pages_hold(mem, PAGES_B, SWITCH_PAGES, times / 2);
}

/* The parent has its own pages, to itself, and the children have left nothing behind. */
static bool fork_holds(const uint8_t *mem, uint32_t times)
{
	uint64_t first = (PAGES_A - HIGH_BASE) / PAGE, i;
	const uint32_t *counts = (const uint32_t *)(mem + PAGE_COUNTS - HIGH_BASE);

	for (i = 0; i < PROCESS_PAGES; i++)
		if (counts[first + i] != 1)
			return false;
	return *(const uint64_t *)(mem + FREE_TABLES - HIGH_BASE) == NR_SPARE_TABLES &&
	       *(const uint64_t *)(mem + FREE_PAGES - HIGH_BASE) == NR_SPARE_PAGES &&
	       pages_hold(mem, PAGES_A, PROCESS_PAGES, times);
}

static const struct paging_row rows[] = {
	{ { "switch", "context switch, 16 pages touched", "instructions" },
	  guest_switch, 400, switch_holds },
	{ { "pte_write", "page-table write, INVLPG, access", "instructions" },
	  guest_change, 512, NULL },
	{ { "invlpg", "INVLPG, access", "instructions" },
	  guest_invlpg, 512, NULL },
	{ { "fork", "fork and exit, process of 1,000 pages", "instructions" },
	  guest_fork, 1, fork_holds },
};

static int enter_long_mode(struct vm *vm)
{
	struct kvm_sregs sregs;

	if (ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return errno;
	sregs.cr0 = CR0_LONG;
	sregs.cr3 = PROCESS_A;
	sregs.cr4 = CR4_LONG;
	sregs.efer = EFER_LONG;
	sregs.cs = (struct kvm_segment){ .selector = GDT_CODE, .limit = 0xffffffff, .type = 11,
					 .present = 1, .s = 1, .l = 1, .g = 1 };
	sregs.ds = (struct kvm_segment){ .selector = GDT_DATA, .limit = 0xffffffff, .type = 3,
					 .present = 1, .s = 1, .db = 1, .g = 1 };
	sregs.es = sregs.ds;
	sregs.ss = sregs.ds;
	/* Never used, but there must be one (SDM 3, 26.3.1.2). */
	sregs.tr = (struct kvm_segment){ .selector = GDT_TSS, .limit = 0x67, .type = 11,
					 .present = 1 };
	sregs.gdt.base = KERNEL_BASE + DESCRIPTORS;
	sregs.gdt.limit = GDT_SIZE - 1;
	sregs.idt.base = KERNEL_BASE + DESCRIPTORS + IDT_OFFSET;
	sregs.idt.limit = IDT_SIZE - 1;
	vm->base = KERNEL_BASE;
	return ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) < 0 ? errno : 0;
}

static int time_once(struct vm *vm, const struct paging_row *row, uint32_t loops, double *each)
{
	struct program nothing = { .entry = guest_done }, program = { .entry = row->entry };
	uint64_t empty, whole;
	int err = vm_time(vm, &nothing, 0, &empty);

	if (!err)
		err = vm_time(vm, &program, loops, &whole);
	if (!err)
		*each = (double)(int64_t)(whole - empty) / loops;
	return err;
}

static void measure(struct vm *vm, const uint8_t *mem, const struct paging_row *row)
{
	uint32_t loops = profiling() && row->loops > PROFILE_LOOPS ? PROFILE_LOOPS : row->loops;
	uint32_t batches = profiling() ? 1 : BATCHES;
	struct samples samples = { .count = 0 };
	double each;
	uint32_t i;
	int err = 0;

	for (i = 0; i < WARM_UP && !err; i++)
		err = time_once(vm, row, loops, &each);
	profile_begin(&row->row);
	for (i = 0; i < batches && !err; i++) {
		err = time_once(vm, row, loops, &each);
		sample_add(&samples, each);
	}
	profile_end();
	if (!err && row->holds && !row->holds(mem, (WARM_UP + batches) * loops))
		err = ERANGE;
	if (err)
		row_error(&row->row, err);
	else
		row_report(&row->row, &samples);
}

static int measure_with(uint8_t *mem, const struct paging_row *row)
{
	struct vm vm;
	int err = vm_make(&vm, false);

	if (err)
		return err;
	build_memory(mem);
	err = vm_set_slot(&vm, 1, 0, HIGH_BASE, mem, PAGING_SIZE);
	if (!err)
		err = enter_long_mode(&vm);
	if (!err)
		measure(&vm, mem, row);
	vm_close(&vm);
	return err;
}

static bool is_off(const char *parameter)
{
	FILE *file = fopen(parameter, "r");
	int value;

	if (!file)
		return false;
	value = fgetc(file);
	fclose(file);
	return value == 'N' || value == '0';
}

static bool shadow_paging(void)
{
	return is_off("/sys/module/kvm_amd/parameters/npt") ||
	       is_off("/sys/module/kvm_intel/parameters/ept");
}

void paging_measure(void)
{
	uint8_t *mem;
	size_t i;
	int err;

	if (!rows_by_name() && !shadow_paging())
		return;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!row_wanted(&rows[i].row))
			continue;
		mem = memory_map(PAGING_SIZE, false);
		err = mem ? measure_with(mem, &rows[i]) : ENOMEM;
		if (err)
			row_error(&rows[i].row, err);
		if (mem)
			munmap(mem, PAGING_SIZE);
	}
}
