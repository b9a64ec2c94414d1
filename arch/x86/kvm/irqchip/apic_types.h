/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the APIC models meet their surroundings: integer types, memory functions, and the few
 * operations on words that several threads touch. In kvm.ko they come from the kernel, in the
 * userspace tests from the C library and the compiler.
 *
 * A word given to the bit operations is aligned to eight bytes and has four bytes of slack behind
 * it, because the kernel's bit operations work on longs.
 */
#ifndef KVM_APIC_TYPES_H
#define KVM_APIC_TYPES_H

#ifdef __KERNEL__
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/string.h>
#include <linux/types.h>

#define apic_read_once(x)	READ_ONCE(x)
#define apic_write_once(x, v)	WRITE_ONCE(x, v)

/* These return what the bit or the word was, and are full barriers. */
static inline bool apic_test_and_set(unsigned int bit, u32 *word)
{
	return test_and_set_bit(bit, (unsigned long *)word);
}

static inline bool apic_test_and_clear(unsigned int bit, u32 *word)
{
	return test_and_clear_bit(bit, (unsigned long *)word);
}

static inline u32 apic_exchange(u32 *word, u32 val)
{
	return xchg(word, val);
}
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;
typedef int16_t s16;

#define apic_read_once(x)	__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define apic_write_once(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)

static inline bool apic_test_and_set(unsigned int bit, u32 *word)
{
	return __atomic_fetch_or(word, 1u << bit, __ATOMIC_SEQ_CST) & 1u << bit;
}

static inline bool apic_test_and_clear(unsigned int bit, u32 *word)
{
	return __atomic_fetch_and(word, ~(1u << bit), __ATOMIC_SEQ_CST) & 1u << bit;
}

static inline u32 apic_exchange(u32 *word, u32 val)
{
	return __atomic_exchange_n(word, val, __ATOMIC_SEQ_CST);
}
#endif

/* Number of the highest bit that is set, -1 for none */
static inline int apic_highest_bit(u32 word)
{
	return word ? 31 - __builtin_clz(word) : -1;
}

#endif
