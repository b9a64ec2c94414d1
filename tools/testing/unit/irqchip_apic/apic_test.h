/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of the APICs share: counting, random numbers, an APIC with its page. */
#ifndef UNIT_APIC_TEST_H
#define UNIT_APIC_TEST_H

#include "ioapic.h"
#include "lapic_regs.h"

void check_case(bool ok, const char *file, int line, const char *what);
#define CHECK(ok) check_case(ok, __FILE__, __LINE__, #ok)

void random_seed(u64 seed);
u64 random_bits(void);
u32 random_below(u32 n);
/* Mostly few bits set, zeros, ones, and now and then anything */
u64 random_value(void);

struct test_apic {
	struct lapic_regs regs;
	struct lapic_effects fx;
	u64 now;
	u32 page[KVM_APIC_REG_SIZE / 4] __attribute__((aligned(64)));
};

extern const struct lapic_config plain_config;

void apic_new(struct test_apic *a, const struct lapic_config *config);
/* Enabled by software, with the spurious vector 0xff */
void apic_enable(struct test_apic *a);
void apic_to_x2apic(struct test_apic *a);
u32 apic_peek(struct test_apic *a, u32 offset);
u32 apic_poke(struct test_apic *a, u32 offset, u32 val);
bool apic_poke_msr(struct test_apic *a, u32 msr, u64 val);
enum lapic_result apic_send(struct test_apic *a, u8 vector, bool level);

#define MSR_OF(offset)	(0x800 + (offset) / 16)

void test_msg(void);
void test_map(unsigned long rounds);
void test_ioapic(void);
void test_ioapic_random(unsigned long rounds);
void test_lapic(void);
void test_lapic_modes(void);
void test_timer(void);
void test_delivery(void);
void test_lapic_random(unsigned long rounds);
void test_threads(void);

#endif
