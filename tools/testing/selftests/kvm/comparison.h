/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Instructions in the emulator, compared with the processor: each guest runs twice, once as it is and
 * once with its marked instructions behind the prefix that has them emulated; exits, registers and
 * memory must be the same. Needs kvm.force_emulation_prefix; who has set it resets it in the end.
 */
#ifndef SELFTEST_COMPARISON_H
#define SELFTEST_COMPARISON_H

#include "guest.h"

#define EMULATION_PREFIX "/sys/module/kvm/parameters/force_emulation_prefix"

#define LANDING		0x4000u		/* where the call gate leads */

struct comparison {
	enum guest_mode mode;
	const uint8_t *native, *native_end, *forced, *forced_end;
};

#define FORCED ".byte 0x0f, 0x0b, 0x6b, 0x76, 0x6d\n"

/*
 * A case, which becomes a function. P marks the next instruction; it takes as much room where it does
 * nothing.
 */
#define COMPARE(name, mode, bits, text) \
	GUEST(name##_native, bits, ".macro P\n.skip 5, 0x90\n.endm\n" text ".purgem P\n"); \
	GUEST(name##_forced, bits, ".macro P\n" FORCED ".endm\n" text ".purgem P\n"); \
	static void name(void) \
	{ \
		compare(&(struct comparison) { \
			mode, name##_native, name##_native_end, name##_forced, name##_forced_end, \
		}); \
	} \
	struct comparison

#define END "	out	%al, $0x10\n	hlt\n"
/* To user mode, to the label 1 */
#define USER \
	"	pushq	$0x4b\n	pushq	$0xa000\n	pushq	$2\n	pushq	$0x43\n" \
	"	lea	1f(%rip), %rax\n	push	%rax\n	xor	%eax, %eax\n	iretq\n1:\n"
/* The end in user mode, where a port is out of reach */
#define USER_END "	int	$0x81\n"

/* Writes EMULATION_PREFIX; without such a parameter the case is skipped. */
void set_emulation_prefix(const char *value);

/* Descriptors of user code, a gate and what else cases in long mode refer to. */
void write_descriptors(struct guest *g);

void compare(const struct comparison *c);

#endif
