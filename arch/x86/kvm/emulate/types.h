/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only place where the emulator meets its surroundings: the fixed-width integer types, from the
 * kernel when it is linked into kvm.ko and from the C library when it is built as a userspace
 * program.
 */
#ifndef EMULATE_TYPES_H
#define EMULATE_TYPES_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef long long s64;
#endif

#endif
