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

#define END_PORT	0xf4
#define USER_PORT	0x510
#define EVENTFD_PORT	0x520

#endif
