// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty rings: what is noted and in which order, full rings, entries made free and pages that trap
 * again, the mapping, entries spoilt by userspace, and a copy of memory kept up to date by the rings
 * of two vcpus that keep writing. KVM API document, KVM_CAP_DIRTY_LOG_RING.
 */
#include "guest.h"

#include <pthread.h>
#include <sys/mman.h>

#define SLOT		1
#define BASE		0x1000000ull		/* 16 MiB */
#define ENTRY		sizeof(struct kvm_dirty_gfn)
#define RING_AT		(KVM_DIRTY_LOG_PAGE_OFFSET * PAGE)
#define ENTRIES		1024u			/* four pages */

/* RBX: address, RCX: pages. Adds 1 to the first word of each, RSI times over. */
GUEST(write_code, 64,
	"1:	mov	%rbx, %rdi\n"
	"	mov	%rcx, %rdx\n"
	"2:	incq	(%rdi)\n"
	"	add	$4096, %rdi\n"
	"	dec	%rdx\n"
	"	jnz	2b\n"
	"	dec	%rsi\n"
	"	jnz	1b\n"
	"	hlt\n");

struct ring {
	struct guest *guest;
	struct kvm_dirty_gfn *entries;
	uint32_t next;				/* to be taken */
};

static int enable_ring(int vm, uint32_t capability, uint64_t bytes)
{
	struct kvm_enable_cap cap = { .cap = capability, .args = { bytes } };

	return ioctl(vm, KVM_ENABLE_CAP, &cap);
}

static int ring_vm(int kvm)
{
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0));

	must(enable_ring(vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL, ENTRIES * ENTRY));
	return vm;
}

static struct kvm_dirty_gfn *map_ring(int vcpu, int prot, int flags)
{
	return mmap(NULL, ENTRIES * ENTRY, prot, flags, vcpu, RING_AT);
}

static struct ring *ring_new(void)
{
	struct ring *r = calloc(1, sizeof(*r));
	int kvm = open_kvm();

	check(r);
	r->guest = guest_in_vm(kvm, ring_vm(kvm), LONG, write_code);
	r->entries = map_ring(r->guest->vcpu, PROT_READ | PROT_WRITE, MAP_SHARED);
	check(r->entries != MAP_FAILED);
	return r;
}

static struct kvm_dirty_gfn *ring_head(struct ring *r)
{
	return &r->entries[r->next % ENTRIES];
}

static bool ring_has(struct ring *r)
{
	return __atomic_load_n(&ring_head(r)->flags, __ATOMIC_ACQUIRE) == KVM_DIRTY_GFN_F_DIRTY;
}

/* The next entry, which must be there; it is marked as taken. */
static uint64_t ring_take(struct ring *r, uint32_t slot)
{
	struct kvm_dirty_gfn *entry = ring_head(r);
	uint64_t offset;

	check(ring_has(r));
	check_equal(entry->slot, slot);
	offset = entry->offset;
	__atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
	r->next++;
	return offset;
}

static void log_slot(struct ring *r, void *area, uint64_t size)
{
	must(vm_set_slot(r->guest->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, BASE, size, area));
}

static void begin(struct guest *g, uint64_t page, uint64_t pages, uint64_t times)
{
	struct kvm_regs regs;

	vcpu_set_rip(g->vcpu, GUEST_CODE);
	regs = vcpu_regs(g->vcpu);
	regs.rbx = BASE + page * PAGE;
	regs.rcx = pages;
	regs.rsi = times;
	vcpu_set_regs(g->vcpu, &regs);
}

static void write_pages(struct ring *r, uint64_t page, uint64_t pages)
{
	begin(r->guest, page, pages, 1);
	run_to(r->guest, KVM_EXIT_HLT);
}

static void expect_pages(struct ring *r, uint64_t page, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++)
		check_equal(ring_take(r, SLOT), page + i);
	check(!ring_has(r));
}

static void arguments(void)
{
	int kvm = open_kvm(), vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	uint64_t most = extension(vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL);
	struct kvm_dirty_log log = { .slot = SLOT };
	uint8_t *area = map_pages(4 * PAGE);

	check(most >= ENTRIES * ENTRY);
	check_equal(extension(kvm, KVM_CAP_DIRTY_LOG_RING), most);
	must_fail(ioctl(vm, KVM_RESET_DIRTY_RINGS, 0), EINVAL);
	must_fail(enable_ring(vm, KVM_CAP_DIRTY_LOG_RING, 0), EINVAL);
	must_fail(enable_ring(vm, KVM_CAP_DIRTY_LOG_RING, PAGE / 2), EINVAL);
	must_fail(enable_ring(vm, KVM_CAP_DIRTY_LOG_RING, 3 * PAGE), EINVAL);
	must_fail(enable_ring(vm, KVM_CAP_DIRTY_LOG_RING, 2 * most), E2BIG);
	must_fail(enable_ring(vm, KVM_CAP_DIRTY_LOG_RING, 1ull << 63), E2BIG);
	must(enable_ring(vm, KVM_CAP_DIRTY_LOG_RING, most));
	must_fail(enable_ring(vm, KVM_CAP_DIRTY_LOG_RING, most), EINVAL);
	must(vm_set_slot(vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, BASE, 4 * PAGE, area));
	must_fail(ioctl(vm, KVM_GET_DIRTY_LOG, &log), ENXIO);
	check_equal(ioctl(vm, KVM_RESET_DIRTY_RINGS, 0), 0);

	/* Not with vcpus, nor with bitmaps. */
	vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	must(ioctl(vm, KVM_CREATE_VCPU, 0));
	must_fail(enable_ring(vm, KVM_CAP_DIRTY_LOG_RING, PAGE), EINVAL);
	vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	must(vm_set_slot(vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, BASE, 4 * PAGE, area));
	must_fail(enable_ring(vm, KVM_CAP_DIRTY_LOG_RING, PAGE), EINVAL);
}

static void mapping(void)
{
	struct ring *r = ring_new();
	int vcpu = r->guest->vcpu, other;

	check(map_ring(vcpu, PROT_READ | PROT_WRITE, MAP_PRIVATE) == MAP_FAILED);
	check(map_ring(vcpu, PROT_READ | PROT_EXEC, MAP_SHARED) == MAP_FAILED);
	check(map_ring(vcpu, PROT_READ, MAP_SHARED) != MAP_FAILED);
	/* One that begins before the ring and reaches into it. */
	check(mmap(NULL, RING_AT + PAGE, PROT_READ, MAP_PRIVATE, vcpu, 0) == MAP_FAILED);
	for (uint32_t i = 0; i < ENTRIES; i++)
		check_equal(r->entries[i].flags, 0);
	other = must(ioctl(r->guest->vm, KVM_CREATE_VCPU, 1));
	check(map_ring(other, PROT_READ | PROT_WRITE, MAP_SHARED) != r->entries);
}

static void noted_and_again(void)
{
	struct ring *r = ring_new();
	uint8_t *area = map_pages(200 * PAGE);

	log_slot(r, area, 200 * PAGE);
	check(!ring_has(r));
	write_pages(r, 0, 200);
	expect_pages(r, 0, 200);
	/* Taken but not made free: the pages are writable still. */
	write_pages(r, 0, 200);
	check(!ring_has(r));
	check_equal(ioctl(r->guest->vm, KVM_RESET_DIRTY_RINGS, 0), 200);
	check_equal(ioctl(r->guest->vm, KVM_RESET_DIRTY_RINGS, 0), 0);
	write_pages(r, 7, 70);
	expect_pages(r, 7, 70);
	check_equal(ioctl(r->guest->vm, KVM_RESET_DIRTY_RINGS, 0), 70);
	/* Rounds beyond the ring's end. */
	for (unsigned int i = 0; i < 20; i++) {
		write_pages(r, i, 180);
		expect_pages(r, i, 180);
		check_equal(ioctl(r->guest->vm, KVM_RESET_DIRTY_RINGS, 0), 180);
	}
	/* Logging off, and nothing is noted. */
	must(vm_set_slot(r->guest->vm, SLOT, 0, BASE, 200 * PAGE, area));
	write_pages(r, 0, 200);
	check(!ring_has(r));
}

/* KVM's own writes are the vcpu's: here those of its clock. */
static void written_by_kvm(void)
{
	struct ring *r = ring_new();
	uint8_t *area = map_pages(16 * PAGE);

	log_slot(r, area, 16 * PAGE);
	check(vcpu_set_msr(r->guest->vcpu, 0x4b564d01, (BASE + 5 * PAGE) | 1));
	write_pages(r, 3, 1);
	check_equal(ring_take(r, SLOT), 5);
	check_equal(ring_take(r, SLOT), 3);
	check(!ring_has(r));
}

/* All that is there. The page that filled the ring before it was written to comes once more. */
static void take_following(struct ring *r, uint64_t *seen)
{
	uint64_t offset;

	while (ring_has(r)) {
		offset = ring_take(r, SLOT);
		if (*seen && offset == *seen - 1)
			continue;
		check_equal(offset, (*seen)++);
	}
}

static void full(void)
{
	struct ring *r = ring_new();
	struct guest *g = r->guest;
	uint64_t pages = 4 * ENTRIES, seen = 0;
	uint8_t *area = map_pages(pages * PAGE);

	log_slot(r, area, pages * PAGE);
	begin(g, 0, pages, 1);
	for (;;) {
		check_equal(guest_run(g), 0);
		if (g->run->exit_reason == KVM_EXIT_HLT)
			break;
		check_equal(g->run->exit_reason, KVM_EXIT_DIRTY_RING_FULL);
		check(ring_has(r));
		/* It is full until entries are free, whatever userspace has taken. */
		check_equal(guest_run(g), 0);
		check_equal(g->run->exit_reason, KVM_EXIT_DIRTY_RING_FULL);
		take_following(r, &seen);
		check_equal(guest_run(g), 0);
		check_equal(g->run->exit_reason, KVM_EXIT_DIRTY_RING_FULL);
		check(ioctl(g->vm, KVM_RESET_DIRTY_RINGS, 0) > 0);
	}
	take_following(r, &seen);
	check_equal(seen, pages);
}

/* Userspace can write what it wants to: nobody but it suffers. */
static void spoilt(void)
{
	struct ring *r = ring_new();
	uint8_t *area = map_pages(ENTRIES * PAGE);
	uint64_t seed = 1;

	log_slot(r, area, ENTRIES * PAGE);
	for (unsigned int round = 0; round < 50; round++) {
		begin(r->guest, 0, ENTRIES, 1);
		guest_run(r->guest);
		for (uint32_t i = 0; i < ENTRIES; i++) {
			uint64_t value = random_next(&seed);

			r->entries[i].flags = value & 0xf ? KVM_DIRTY_GFN_F_RESET : value >> 8;
			r->entries[i].slot = value & 0x10 ? SLOT : value >> 32;
			r->entries[i].offset = value & 0x20 ? value >> 44 : random_next(&seed);
		}
		check(ioctl(r->guest->vm, KVM_RESET_DIRTY_RINGS, 0) >= 0);
	}
	must(vm_set_slot(r->guest->vm, SLOT, 0, BASE, 0, NULL));
	r->entries[r->next % ENTRIES].flags = KVM_DIRTY_GFN_F_RESET;
	check(ioctl(r->guest->vm, KVM_RESET_DIRTY_RINGS, 0) >= 0);
}

/* ---- a copy kept up to date ------------------------------------------------------------------ */

#define COPY_PAGES	512u
#define VCPUS		2u

struct writer {
	struct ring ring;
	struct guest guest;
	pthread_t thread;
	bool stop, stopped;
};

/* Each writes all pages over and over; a full ring waits for the collector. */
static void *write_on(void *data)
{
	struct writer *w = data;

	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		begin(&w->guest, 0, COPY_PAGES, 3);
		do {
			check_equal(guest_run(&w->guest), 0);
			if (w->guest.run->exit_reason == KVM_EXIT_DIRTY_RING_FULL)
				sleep_ms(1);
		} while (w->guest.run->exit_reason != KVM_EXIT_HLT &&
			 !__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE));
	}
	__atomic_store_n(&w->stopped, true, __ATOMIC_RELEASE);
	return NULL;
}

static void collect(int vm, struct writer *writers, uint8_t *area, uint8_t *copy)
{
	static uint8_t due[COPY_PAGES];

	/* Free, that is trapping again, before they are copied. */
	for (unsigned int i = 0; i < VCPUS; i++)
		while (ring_has(&writers[i].ring)) {
			uint64_t page = ring_take(&writers[i].ring, SLOT);

			check(page < COPY_PAGES);
			due[page] = 1;
		}
	check(ioctl(vm, KVM_RESET_DIRTY_RINGS, 0) >= 0);
	for (unsigned int page = 0; page < COPY_PAGES; page++) {
		if (due[page])
			memcpy(copy + page * PAGE, area + page * PAGE, 8);
		due[page] = 0;
	}
}

static void copied(void)
{
	uint8_t *area = map_pages(COPY_PAGES * PAGE), *copy = map_pages(COPY_PAGES * PAGE);
	struct ring *r = ring_new();
	struct writer writers[VCPUS] = { { .ring = *r, .guest = *r->guest } };
	int vm = r->guest->vm;

	writers[1].guest = *r->guest;
	writers[1].guest.vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 1));
	writers[1].guest.run = vcpu_map_run(r->guest->kvm, writers[1].guest.vcpu,
					    &writers[1].guest.run_size);
	writers[1].ring.entries = map_ring(writers[1].guest.vcpu, PROT_READ | PROT_WRITE, MAP_SHARED);
	check(writers[1].ring.entries != MAP_FAILED);
	vcpu_set_supported_cpuid(r->guest->kvm, writers[1].guest.vcpu);
	vcpu_set_mode(writers[1].guest.vcpu, LONG);
	log_slot(r, area, COPY_PAGES * PAGE);
	for (unsigned int i = 0; i < VCPUS; i++)
		check_equal(pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
	for (unsigned int round = 0; round < 200; round++) {
		collect(vm, writers, area, copy);
		sleep_ms(5);
	}
	for (unsigned int i = 0; i < VCPUS; i++) {
		__atomic_store_n(&writers[i].stop, true, __ATOMIC_RELEASE);
		while (!__atomic_load_n(&writers[i].stopped, __ATOMIC_ACQUIRE)) {
			collect(vm, writers, area, copy);
			sleep_ms(1);
		}
		pthread_join(writers[i].thread, NULL);
	}
	collect(vm, writers, area, copy);
	check_equal(memcmp(area, copy, COPY_PAGES * PAGE), 0);
	check(*(uint64_t *)area >= 3 * VCPUS);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "arguments", arguments },
		{ "the mapping", mapping },
		{ "what is noted, and noted again", noted_and_again },
		{ "writes of KVM's own", written_by_kvm },
		{ "full rings", full },
		{ "entries that userspace has spoilt", spoilt },
		{ "a copy kept up to date", copied },
	};

	return RUN_CASES("dirty_ring", cases);
}
