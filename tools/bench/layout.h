/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where things lie in the measured guest's physical address space and on its ports. Shared by
 * guest.S and the C files, so only numbers.
 */
#ifndef BENCH_LAYOUT_H
#define BENCH_LAYOUT_H

#define LOW_SIZE	0x00080000	/* slot 0, from address 0: vectors, code, stack */
#define GUEST_CODE	0x00001000
#define GUEST_STACK	0x00008000
#define HIGH_BASE	0x40000000	/* slot 1, in the rows about memory */
#define MMIO_BASE	0xd0000000	/* nothing there: userspace answers */
#define MMIO_EVENTFD	0xd0001000
#define APIC_BASE	0xfee00000

/* The rows about page tables: long mode, all physical memory at KERNEL_BASE, slot 1 at HIGH_BASE */
#define KERNEL_BASE	0xffff800000000000
#define USER_BASE	0x00400000	/* linear, of a process */
#define PROCESS_PAGES	1000
#define PROCESS_TABLES	0x3000		/* from its table of level 4 to the two of level 1 */
#define SWITCH_PAGES	16
#define CHANGE_PAGES	64

/* Physical, in slot 1 */
#define PAGING_SIZE	0x01000000
#define DESCRIPTORS	0x40000000
#define KERNEL_TABLES	0x40001000
#define PROCESS_A	0x40010000
#define PROCESS_B	0x40020000
#define FREE_TABLES	0x40030000	/* a stack: how many, and the addresses */
#define FREE_PAGES	0x40031000
#define PAGE_COUNTS	0x40040000	/* 4 bytes for each page of the slot: processes that map it */
#define SPARE_TABLES	0x40050000
#define PAGES_A		0x40100000
#define PAGES_B		0x40500000
#define SPARE_PAGES	0x40900000

#define END_PORT	0xf4
#define USER_PORT	0x510
#define EVENTFD_PORT	0x520

#endif
