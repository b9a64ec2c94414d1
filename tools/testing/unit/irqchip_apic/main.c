// SPDX-License-Identifier: GPL-2.0
/* Runs all tests of the APICs, and holds what they share. */
#include <stdio.h>
#include <stdlib.h>

#include "apic_test.h"

static unsigned long passed, failed;
static u64 state;

void check_case(bool ok, const char *file, int line, const char *what)
{
	if (ok) {
		passed++;
		return;
	}
	failed++;
	if (failed <= 50)
		printf("%s:%d: failed: %s\n", file, line, what);
}

void random_seed(u64 seed)
{
	state = seed * 0x9e3779b97f4a7c15ull + 1;
}

u64 random_bits(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

u32 random_below(u32 n)
{
	return (random_bits() >> 20) % n;
}

u64 random_value(void)
{
	switch (random_below(6)) {
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return 1ull << random_below(64);
	case 3:
		return random_bits() & random_bits() & random_bits();
	case 4:
		return random_below(256);
	default:
		return random_bits();
	}
}

const struct lapic_config plain_config = {
	.id = 3,
	.reserved_base = ~0xffffffffffull,
	.bus_ns = 1,
	.x2apic = true,
	.tsc_deadline = true,
	.directed_eoi = true,
};

void apic_new(struct test_apic *a, const struct lapic_config *config)
{
	memset(a, 0xa5, sizeof(*a));
	a->now = 1000;
	lapic_init(&a->regs, a->page, config);
}

u32 apic_poke(struct test_apic *a, u32 offset, u32 val)
{
	if (!lapic_mmio_write(&a->regs, offset, 4, val, a->now, &a->fx))
		return ~0u;
	return a->fx.todo;
}

u32 apic_peek(struct test_apic *a, u32 offset)
{
	u64 val = 0;

	CHECK(lapic_mmio_read(&a->regs, offset, 4, a->now, &val, &a->fx));
	return val;
}

bool apic_poke_msr(struct test_apic *a, u32 msr, u64 val)
{
	return lapic_msr_write(&a->regs, msr, val, a->now, &a->fx);
}

void apic_enable(struct test_apic *a)
{
	if (lapic_mode(&a->regs) == LAPIC_X2APIC)
		apic_poke_msr(a, MSR_OF(LAPIC_SVR), 0x1ff);
	else
		apic_poke(a, LAPIC_SVR, 0x1ff);
}

void apic_to_x2apic(struct test_apic *a)
{
	CHECK(lapic_base_write(&a->regs, 0xfee00c00, false, &a->fx));
}

enum lapic_result apic_send(struct test_apic *a, u8 vector, bool level)
{
	struct apic_msg msg = { .vector = vector, .level = level, .assert = true };

	return lapic_accept(&a->regs, &msg);
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 200;

	random_seed(argc > 2 ? strtoull(argv[2], NULL, 0) : 1);
	test_msg();
	test_map(rounds);
	test_ioapic();
	test_ioapic_random(rounds);
	test_lapic();
	test_lapic_modes();
	test_timer();
	test_delivery();
	test_lapic_random(rounds);
	test_threads();
	printf("%lu passed, %lu failed, 0 skipped\n", passed, failed);
	return failed != 0;
}
