// SPDX-License-Identifier: GPL-2.0
/*
 * The walk of a guest's page tables, mode by mode: translations, rights, reserved bits, accessed
 * and dirty bits, error codes. The expected values come from APM 2, 5.3-5.6 and 8.4.2.
 */
#include <asm/kvm_guest_paging.h>
#include "guest_walk.h"

#define P	GPTE_PRESENT
#define W	GPTE_WRITE
#define U	GPTE_USER
#define A	GPTE_ACCESSED
#define D	GPTE_DIRTY
#define PS	GPTE_LARGE
#define NX	GPTE_NX
#define ALL	(P | W | U)

#define MEMORY	(1 << 20)
static u8 memory[MEMORY];
static unsigned int updates, refuse;

static bool mem_read(void *ctx, u64 gpa, unsigned int size, u64 *entry)
{
	*entry = 0;
	if (gpa + size > MEMORY)
		return false;
	memcpy(entry, memory + gpa, size);
	return true;
}

static int mem_update(void *ctx, u64 gpa, u64 old, u64 new, unsigned int size)
{
	updates++;
	if (refuse) {
		refuse--;
		return 1;
	}
	check(!memcmp(memory + gpa, &old, size));
	memcpy(memory + gpa, &new, size);
	return 0;
}

static const struct guest_walk_ops ops = { mem_read, mem_update };
static struct kvm_guest_paging paging;
static struct guest_walk walk;
static u32 error;

static void reset(int levels)
{
	memset(memory, 0, sizeof(memory));
	paging = (struct kvm_guest_paging) {
		.levels = levels, .pae = levels > 2, .nx = levels > 2, .wp = true, .pse = true,
		.gbpages = true, .amd_reserved = true,
	};
	walk = (struct guest_walk) {
		.paging = &paging, .cr3 = 0x1000, .reserved = ~0ull << 40,
	};
	updates = refuse = 0;
}

static void put(u64 gpa, unsigned int index, u64 entry)
{
	unsigned int size = paging.pae ? 8 : 4;

	memcpy(memory + gpa + index * size, &entry, size);
}

static u64 get(u64 gpa, unsigned int index)
{
	u64 entry = 0;
	unsigned int size = paging.pae ? 8 : 4;

	memcpy(&entry, memory + gpa + index * size, size);
	return entry;
}

static enum guest_walk_result go(u64 la, u32 access)
{
	error = 0;
	return guest_walk_access(&walk, &ops, NULL, la, access, &error);
}

#define gives(la, access, pa)	check(go(la, access) == GUEST_WALK_OK && walk.gpa == (pa))
#define faults(la, access, code) \
	check(go(la, access) == GUEST_WALK_FAULT && error == (code))

/* Tables at 0x1000 (top), 0x2000, ... one a level; la 0 leads through index 0 everywhere. */
static void chain(int levels, u64 leaf)
{
	int i;

	for (i = 1; i < levels; i++)
		put(i * 0x1000, 0, (i + 1) * 0x1000 | ALL);
	put(levels * 0x1000, 0, leaf);
}

static void test_long(int levels)
{
	u64 top = 0x1000;

	reset(levels);
	chain(levels, 0x123456000 | ALL);
	gives(0x789, 0, 0x123456789);
	check(get(top, 0) & A);
	check((get(levels * 0x1000, 0) & (A | D)) == A);
	check(updates == levels);
	gives(0x789, KVM_PF_WRITE | KVM_PF_USER, 0x123456789);
	check(get(levels * 0x1000, 0) & D && !(get(top, 0) & D));
	check(updates == levels + 1);
	gives(0x789, KVM_PF_WRITE, 0x123456789);
	check(updates == levels + 1);

	faults(0x1000, 0, 0);
	faults(0x1000, KVM_PF_WRITE | KVM_PF_USER | KVM_PF_FETCH,
	       KVM_PF_WRITE | KVM_PF_USER | KVM_PF_FETCH);
	faults(0x1000, KVM_PF_WRITE | KVM_WALK_IMPLICIT | KVM_PF_USER, KVM_PF_WRITE);
	paging.nx = false;
	faults(0x1000, KVM_PF_FETCH, 0);
	paging.smep = true;
	faults(0x1000, KVM_PF_FETCH, KVM_PF_FETCH);

	/* reserved bits */
	reset(levels);
	chain(levels, 0x5000 | ALL | BIT_ULL(45));
	faults(0, 0, KVM_PF_PRESENT | KVM_PF_RSVD);
	chain(levels, 0x5000 | ALL | NX);
	gives(0, 0, 0x5000);
	paging.nx = false;
	faults(0, KVM_PF_USER, KVM_PF_PRESENT | KVM_PF_RSVD | KVM_PF_USER);
	reset(levels);
	chain(levels, 0x5000 | ALL | GENMASK_ULL(58, 52));
	gives(0, 0, 0x5000);
	put(top, 0, 0x2000 | ALL | PS);
	faults(0, 0, KVM_PF_PRESENT | KVM_PF_RSVD);
	put(top, 0, 0x2000 | ALL | GPTE_GLOBAL);
	faults(0, 0, KVM_PF_PRESENT | KVM_PF_RSVD);
	paging.amd_reserved = false;
	gives(0, 0, 0x5000);

	/* a table outside memory; a loser of every race */
	put(top, 0, 0x7f000000 | ALL);
	check(go(0, 0) == GUEST_WALK_ABORT);
	chain(levels, 0x5000 | ALL);
	refuse = 3;
	gives(0, 0, 0x5000);
	chain(levels, 0x5000 | ALL);
	refuse = ~0u;
	check(go(0, 0) == GUEST_WALK_ABORT);
}

static void test_large(void)
{
	reset(4);
	chain(3, 0x40000000 | BIT_ULL(12) | ALL);
	put(0x2000, 0, 0x40000000 | BIT_ULL(12) | ALL | PS);
	gives(0x12345678, 0, 0x52345678);
	put(0x2000, 0, 0x40000000 | BIT_ULL(13) | ALL | PS);
	faults(0, 0, KVM_PF_PRESENT | KVM_PF_RSVD);
	put(0x2000, 0, 0x40000000 | ALL | PS);
	paging.gbpages = false;
	faults(0, 0, KVM_PF_PRESENT | KVM_PF_RSVD);
	put(0x2000, 0, 0x3000 | ALL);
	put(0x3000, 1, 0x200000 | ALL | PS);
	gives(0x212345, KVM_PF_WRITE, 0x212345);
	check((get(0x3000, 1) & (A | D)) == (A | D));
	put(0x3000, 1, 0x201000 | BIT_ULL(20) | ALL | PS);
	faults(0x212345, 0, KVM_PF_PRESENT | KVM_PF_RSVD);
}

static void test_rights(void)
{
	u32 user = KVM_PF_USER, write = KVM_PF_WRITE, fetch = KVM_PF_FETCH, p = KVM_PF_PRESENT;

	reset(4);
	chain(4, 0x5000 | P);
	gives(0, 0, 0x5000);
	faults(0, user, p | user);
	gives(0, user | KVM_WALK_IMPLICIT, 0x5000);
	faults(0, write, p | write);
	paging.wp = false;
	gives(0, write, 0x5000);
	paging.wp = true;

	chain(4, 0x5000 | P | U | NX);
	gives(0, user, 0x5000);
	faults(0, user | write, p | user | write);
	faults(0, user | fetch, p | user | fetch);
	faults(0, fetch, p | fetch);

	/* one level that forbids is enough */
	chain(4, 0x5000 | ALL);
	put(0x2000, 0, 0x3000 | P | W | NX);
	faults(0, user, p | user);
	faults(0, fetch, p | fetch);
	put(0x2000, 0, 0x3000 | P | U);
	faults(0, write, p | write);

	chain(4, 0x5000 | ALL);
	paging.smep = paging.smap = true;
	faults(0, fetch, p | fetch);
	gives(0, fetch | user, 0x5000);
	faults(0, 0, p);
	faults(0, write, p | write);
	walk.ac = true;
	gives(0, write, 0x5000);
	faults(0, fetch, p | fetch);
	faults(0, KVM_WALK_IMPLICIT, p);
	walk.ac = false;
	gives(0, write | user, 0x5000);

	reset(4);
	paging.pke = true;
	chain(4, 0x5000 | ALL | 5ull << GPTE_KEY_SHIFT);
	gives(0, user | write, 0x5000);
	walk.pkru = 2 << 10;
	gives(0, user, 0x5000);
	faults(0, user | write, p | user | write | KVM_PF_PK);
	faults(0, write, p | write | KVM_PF_PK);
	paging.wp = false;
	gives(0, write, 0x5000);
	walk.pkru = 1 << 10;
	faults(0, 0, p | KVM_PF_PK);
	paging.smap = true;
	faults(0, 0, p | KVM_PF_PK);
	paging.smap = false;
	gives(0, user | fetch, 0x5000);
	chain(4, 0x5000 | P | W | 5ull << GPTE_KEY_SHIFT);
	gives(0, 0, 0x5000);
}

static void test_pae(void)
{
	reset(3);
	walk.cr3 = 0x1020;
	put(0x1020, 3, 0x2000 | P);
	put(0x2000, 511, 0x3000 | ALL);
	put(0x3000, 511, 0xfedcba000 | ALL);
	gives(0xfffffabc, KVM_PF_WRITE | KVM_PF_USER, 0xfedcbaabc);
	gives(0xffffffff00000000 | 0xfffffabc, 0, 0xfedcbaabc);
	check(get(0x1020, 3) == (0x2000 | P));
	put(0x1020, 3, 0x2000 | ALL);
	faults(0xfffffabc, 0, KVM_PF_PRESENT | KVM_PF_RSVD);
	put(0x1020, 3, 0x2000 | P);
	put(0x3000, 511, 0xfedcba000 | ALL | BIT_ULL(52));
	faults(0xfffffabc, 0, KVM_PF_PRESENT | KVM_PF_RSVD);
	put(0x2000, 511, 0x200000 | ALL | PS);
	gives(0xfffffabc, 0, 0x3ffabc);
	put(0x2000, 511, 0x200000 | ALL | PS | BIT_ULL(16));
	faults(0xfffffabc, 0, KVM_PF_PRESENT | KVM_PF_RSVD);
	walk.cr3 = 0x1000;
	faults(0, 0, 0);
}

static void test_legacy(void)
{
	reset(2);
	put(0x1000, 1023, 0x2000 | ALL);
	put(0x2000, 1023, 0xabcde000 | ALL);
	gives(0xfffff123, KVM_PF_WRITE, 0xabcde123);
	check(get(0x2000, 1023) == (0xabcde000 | ALL | A | D));
	put(0x1000, 1, 0x00c00000 | ALL | PS);
	gives(0x7fffff, 0, 0xffffff);
	put(0x1000, 1, 0x00c00000 | 0x12 << 13 | ALL | PS);
	gives(0x7fffff, 0, 0x1200ffffffull);
	put(0x1000, 1, 0x00c00000 | BIT_ULL(21) | ALL | PS);
	faults(0x7fffff, 0, KVM_PF_PRESENT | KVM_PF_RSVD);
	walk.reserved = ~0ull << 36;
	put(0x1000, 1, 0x00c00000 | 0x12 << 13 | ALL | PS);
	faults(0x7fffff, 0, KVM_PF_PRESENT | KVM_PF_RSVD);
	paging.pse = false;
	put(0x1000, 1, 0x2000 | ALL | PS);
	put(0x2000, 0, 0x77000 | ALL);
	gives(0x400001, 0, 0x77001);
	faults(0x401001, KVM_PF_FETCH, 0);
}

int main(void)
{
	test_long(4);
	test_long(5);
	test_large();
	test_rights();
	test_pae();
	test_legacy();
	puts("ok - walk of the guest's tables");
	return 0;
}
