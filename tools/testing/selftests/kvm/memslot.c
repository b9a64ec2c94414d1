// SPDX-License-Identifier: GPL-2.0
/*
 * Memory slots: create, delete, move, change flags; what is refused; read-only memory; as many
 * slots as promised; and that a running guest sees every change when the ioctl has returned.
 */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#define SLOT_BASE	0x800000ull	/* 8 MiB: above slot 0 */

GUEST(halt_code, 64, "1:	hlt\n	jmp	1b\n");

/* Reads 8 bytes from where RBX points, then writes there what RCX holds. */
GUEST(poke_code, 64,
	"1:	mov	(%rbx), %rax\n"
	"	hlt\n"
	"	mov	%rcx, (%rbx)\n"
	"	hlt\n"
	"	jmp	1b\n");

static void point_at(struct guest *g, uint64_t address, uint64_t value)
{
	struct kvm_regs regs = vcpu_regs(g->vcpu);

	regs.rip = GUEST_CODE;
	regs.rbx = address;
	regs.rcx = value;
	vcpu_set_regs(g->vcpu, &regs);
}

static uint64_t guest_read(struct guest *g, uint64_t address)
{
	point_at(g, address, 0);
	run_to(g, KVM_EXIT_HLT);
	return vcpu_regs(g->vcpu).rax;
}

static void guest_write(struct guest *g, uint64_t address, uint64_t value)
{
	point_at(g, address, value);
	run_to(g, KVM_EXIT_HLT);
	run_to(g, KVM_EXIT_HLT);
}

static void expect_hole(struct guest *g, uint64_t address)
{
	point_at(g, address, 0);
	run_to_mmio_read(g, address, 8, 0);
	guest_complete(g);
}

static void create_and_delete(void)
{
	struct guest *g = guest_new(LONG, poke_code);
	uint64_t *area = map_pages(2 * MiB);

	expect_hole(g, SLOT_BASE);
	for (int i = 0; i < 50; i++) {
		must(vm_set_slot(g->vm, 1, 0, SLOT_BASE, 2 * MiB, area));
		area[0] = i;
		check_equal(guest_read(g, SLOT_BASE), i);
		guest_write(g, SLOT_BASE + 2 * MiB - 8, i + 7);
		check_equal(area[2 * MiB / 8 - 1], i + 7);
		expect_hole(g, SLOT_BASE + 2 * MiB);
		must(vm_set_slot(g->vm, 1, 0, SLOT_BASE, 0, area));
		expect_hole(g, SLOT_BASE);
		expect_hole(g, SLOT_BASE + 2 * MiB - 8);
	}
	must_fail(vm_set_slot(g->vm, 1, 0, SLOT_BASE, 0, area), EINVAL);
}

static void move(void)
{
	struct guest *g = guest_new(LONG, poke_code);
	uint64_t *area = map_pages(4 * PAGE);

	area[0] = 0x1111;
	must(vm_set_slot(g->vm, 1, 0, SLOT_BASE, 4 * PAGE, area));
	check_equal(guest_read(g, SLOT_BASE), 0x1111);
	must(vm_set_slot(g->vm, 1, 0, SLOT_BASE + 0x100000, 4 * PAGE, area));
	expect_hole(g, SLOT_BASE);
	check_equal(guest_read(g, SLOT_BASE + 0x100000), 0x1111);
	/* By one page: overlaps its own old place, which is fine. */
	must(vm_set_slot(g->vm, 1, 0, SLOT_BASE + 0x101000, 4 * PAGE, area));
	expect_hole(g, SLOT_BASE + 0x100000);
	check_equal(guest_read(g, SLOT_BASE + 0x101000), 0x1111);
	must_fail(vm_set_slot(g->vm, 1, 0, PAGE, 4 * PAGE, area), EEXIST);
	check_equal(guest_read(g, SLOT_BASE + 0x101000), 0x1111);
}

static void refused(void)
{
	struct guest *g = guest_new(LONG, poke_code);
	uint8_t *area = map_pages(16 * PAGE);
	int slots = extension(g->vm, KVM_CAP_NR_MEMSLOTS);
	const struct {
		uint32_t slot, flags;
		uint64_t gpa, size;
		const void *hva;
	} bad[] = {
		{ 1, 0, SLOT_BASE, PAGE + 1, area },
		{ 1, 0, SLOT_BASE, 1, area },
		{ 1, 0, SLOT_BASE + 8, PAGE, area },
		{ 1, 0, SLOT_BASE, PAGE, area + 1 },
		{ 1, 0, SLOT_BASE, PAGE, area + 512 },
		{ 1, 0, -PAGE, 2 * PAGE, area },
		{ 1, 0, -2 * PAGE, -PAGE, area },
		{ 1, 0, SLOT_BASE, -PAGE, area },
		{ 1, 0, SLOT_BASE, PAGE, (void *)-PAGE },
		{ 1, 0, SLOT_BASE, PAGE, (void *)0x8000000000000000 },
		{ 1, 0, SLOT_BASE, 2 * PAGE, (void *)0x7ffffffff000 },
		{ 1, 0, SLOT_BASE, PAGE << 31, area },
		{ 1, 1u << 31, SLOT_BASE, PAGE, area },
		{ 1, 1u << 3, SLOT_BASE, PAGE, area },
		{ slots, 0, SLOT_BASE, PAGE, area },
		{ 0xffff, 0, SLOT_BASE, PAGE, area },
		{ 1, 0, SLOT_BASE, 0, area },
		{ 1 | 0x7fff0000, 0, SLOT_BASE, PAGE, area },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		errno = 0;
		if (vm_set_slot(g->vm, bad[i].slot, bad[i].flags, bad[i].gpa, bad[i].size,
				bad[i].hva) != -1 || errno != EINVAL)
			fail("bad slot number %zu of the list: %s instead of EINVAL", i,
			     strerror(errno));
	}
	expect_hole(g, SLOT_BASE);
	must(vm_set_slot(g->vm, slots - 1, 0, SLOT_BASE, PAGE, area));
	check_equal(guest_read(g, SLOT_BASE), 0);
}

static void overlap(void)
{
	struct guest *g = guest_new(LONG, poke_code);
	uint64_t *area = map_pages(16 * PAGE);

	must(vm_set_slot(g->vm, 5, 0, SLOT_BASE, 4 * PAGE, area));
	area[0] = 0x5555;
	must_fail(vm_set_slot(g->vm, 6, 0, SLOT_BASE, 4 * PAGE, area), EEXIST);
	must_fail(vm_set_slot(g->vm, 6, 0, SLOT_BASE + 3 * PAGE, PAGE, area), EEXIST);
	must_fail(vm_set_slot(g->vm, 6, 0, SLOT_BASE - PAGE, 2 * PAGE, area), EEXIST);
	must_fail(vm_set_slot(g->vm, 6, 0, SLOT_BASE - PAGE, 6 * PAGE, area), EEXIST);
	must_fail(vm_set_slot(g->vm, 6, 0, SLOT_BASE + PAGE, PAGE, area), EEXIST);
	must(vm_set_slot(g->vm, 6, 0, SLOT_BASE - PAGE, PAGE, area));
	must(vm_set_slot(g->vm, 7, 0, SLOT_BASE + 4 * PAGE, PAGE, area));
	/* One page of the process seen at three places. */
	check_equal(guest_read(g, SLOT_BASE), 0x5555);
	guest_write(g, SLOT_BASE - PAGE, 0x6666);
	check_equal(guest_read(g, SLOT_BASE + 4 * PAGE), 0x6666);
	check_equal(guest_read(g, SLOT_BASE), 0x6666);
}

static void changes_refused(void)
{
	struct guest *g = guest_new(LONG, poke_code);
	uint64_t *area = map_pages(16 * PAGE);

	must(vm_set_slot(g->vm, 1, 0, SLOT_BASE, 4 * PAGE, area));
	must_fail(vm_set_slot(g->vm, 1, 0, SLOT_BASE, 8 * PAGE, area), EINVAL);
	must_fail(vm_set_slot(g->vm, 1, 0, SLOT_BASE, PAGE, area), EINVAL);
	must_fail(vm_set_slot(g->vm, 1, 0, SLOT_BASE, 4 * PAGE, area + 512), EINVAL);
	must_fail(vm_set_slot(g->vm, 1, KVM_MEM_READONLY, SLOT_BASE, 4 * PAGE, area), EINVAL);
	/* The same again is nothing new. */
	must(vm_set_slot(g->vm, 1, 0, SLOT_BASE, 4 * PAGE, area));
	must(vm_set_slot(g->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT_BASE, 4 * PAGE, area));
	must(vm_set_slot(g->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT_BASE, 4 * PAGE, area));
	guest_write(g, SLOT_BASE, 3);
	must(vm_set_slot(g->vm, 1, 0, SLOT_BASE, 4 * PAGE, area));
	check_equal(guest_read(g, SLOT_BASE), 3);
}

static void read_only(void)
{
	struct guest *g = guest_new(LONG, poke_code);
	uint64_t *area = map_pages(2 * PAGE);

	NEED(g->vm, KVM_CAP_READONLY_MEM);
	area[0] = 0x1234;
	must(vm_set_slot(g->vm, 1, KVM_MEM_READONLY, SLOT_BASE, 2 * PAGE, area));
	check_equal(guest_read(g, SLOT_BASE), 0x1234);
	for (int i = 0; i < 3; i++) {
		point_at(g, SLOT_BASE, 0x9999 + i);
		run_to(g, KVM_EXIT_HLT);
		check_equal(vcpu_regs(g->vcpu).rax, 0x1234);
		check_equal(run_to_mmio_write(g, SLOT_BASE, 8), 0x9999 + i);
		run_to(g, KVM_EXIT_HLT);
		check_equal(area[0], 0x1234);
	}
	/* A page never touched yet, written first. */
	point_at(g, SLOT_BASE + PAGE, 1);
	vcpu_set_rip(g->vcpu, GUEST_CODE + 4);
	check_equal(run_to_mmio_write(g, SLOT_BASE + PAGE, 8), 1);
	run_to(g, KVM_EXIT_HLT);
	/* The process changes it, the guest sees that. */
	area[0] = 0x4321;
	check_equal(guest_read(g, SLOT_BASE), 0x4321);
}

GUEST(rmw_code, 64,
	"	addl	$1, 0x800000\n"
	"	hlt\n");

static void read_only_modified(void)
{
	struct guest *g = guest_new(LONG, rmw_code);
	uint32_t *area = map_pages(PAGE);

	NEED(g->vm, KVM_CAP_READONLY_MEM);
	area[0] = 41;
	must(vm_set_slot(g->vm, 1, KVM_MEM_READONLY, SLOT_BASE, PAGE, area));
	check_equal(run_to_mmio_write(g, SLOT_BASE, 4), 42);
	run_to(g, KVM_EXIT_HLT);
	check_equal(area[0], 41);
}

/* Memory the process may only read serves a read-only slot, and reads of a writable one. */
static void read_only_mapping(void)
{
	struct guest *g = guest_new(LONG, poke_code);
	uint64_t *area = map_pages(PAGE);

	area[0] = 77;
	must(mprotect(area, PAGE, PROT_READ));
	must(vm_set_slot(g->vm, 1, 0, SLOT_BASE, PAGE, area));
	check_equal(guest_read(g, SLOT_BASE), 77);
	point_at(g, SLOT_BASE, 5);
	run_to(g, KVM_EXIT_HLT);
	check_equal(guest_run(g), EFAULT);
	check_equal(area[0], 77);
	must(mprotect(area, PAGE, PROT_READ | PROT_WRITE));
	run_to(g, KVM_EXIT_HLT);
	check_equal(area[0], 5);
}

static void unmapped_hva(void)
{
	struct guest *g = guest_new(LONG, poke_code);
	uint64_t *area = map_pages(4 * PAGE);

	/* No memory behind the slot when it is made: only its use fails, and only until then. */
	must(munmap(area, 4 * PAGE));
	must(vm_set_slot(g->vm, 1, 0, SLOT_BASE, 4 * PAGE, area));
	point_at(g, SLOT_BASE, 0);
	check_equal(guest_run(g), EFAULT);
	check_equal(guest_run(g), EFAULT);
	check(mmap(area, 4 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == area);
	area[0] = 9;
	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).rax, 9);
}

static void code_in_a_hole(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	uint8_t *area = map_pages(PAGE);

	vcpu_set_rip(g->vcpu, SLOT_BASE);
	run_to(g, KVM_EXIT_INTERNAL_ERROR);
	must(vm_set_slot(g->vm, 1, KVM_MEM_READONLY, SLOT_BASE, PAGE, area));
	area[0] = 0xf4;
	vcpu_set_rip(g->vcpu, SLOT_BASE);
	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).rip, SLOT_BASE + 1);
}

static void address_spaces(void)
{
	struct guest *g = guest_new(LONG, poke_code);
	uint8_t *area = map_pages(PAGE);
	int spaces = extension(g->vm, KVM_CAP_MULTI_ADDRESS_SPACE);

	if (spaces < 1)
		spaces = 1;
	must_fail(vm_set_slot(g->vm, 1 | spaces << 16, 0, SLOT_BASE, PAGE, area), EINVAL);
	must_fail(vm_set_slot(g->vm, 1 | 0xffffu << 16, 0, SLOT_BASE, PAGE, area), EINVAL);
	if (spaces < 2)
		skip("one address space");
	/* The second is for system management mode: not seen here, not in conflict. */
	must(vm_set_slot(g->vm, 1 | 1 << 16, 0, SLOT_BASE, PAGE, area));
	expect_hole(g, SLOT_BASE);
	must(vm_set_slot(g->vm, 1, 0, SLOT_BASE, PAGE, area));
	check_equal(guest_read(g, SLOT_BASE), 0);
	must(vm_set_slot(g->vm, 1 | 1 << 16, 0, SLOT_BASE, 0, area));
	check_equal(guest_read(g, SLOT_BASE), 0);
}

static void region2(void)
{
	struct guest *g = guest_new(LONG, poke_code);
	uint64_t *area = map_pages(PAGE);
	struct kvm_userspace_memory_region2 region = {
		.slot = 1, .guest_phys_addr = SLOT_BASE, .memory_size = PAGE,
		.userspace_addr = (uintptr_t)area,
	};

	NEED(g->vm, KVM_CAP_USER_MEMORY2);
	must(ioctl(g->vm, KVM_SET_USER_MEMORY_REGION2, &region));
	area[0] = 0x2222;
	check_equal(guest_read(g, SLOT_BASE), 0x2222);
	region.flags = 1u << 31;
	must_fail(ioctl(g->vm, KVM_SET_USER_MEMORY_REGION2, &region), EINVAL);
	/* Guest-private memory is not for the default type of VM, nor for the old ioctl. */
	region.slot = 2;
	region.guest_phys_addr += PAGE;
	region.flags = KVM_MEM_GUEST_MEMFD;
	region.guest_memfd = -1;
	must_fail(ioctl(g->vm, KVM_SET_USER_MEMORY_REGION2, &region), EINVAL);
	region.guest_memfd = g->kvm;
	must_fail(ioctl(g->vm, KVM_SET_USER_MEMORY_REGION2, &region), EINVAL);
	must_fail(vm_set_slot(g->vm, 2, KVM_MEM_GUEST_MEMFD, SLOT_BASE + PAGE, PAGE, area),
		  EINVAL);
	check_equal(guest_read(g, SLOT_BASE), 0x2222);
}

/* Adds up the first word of every second page: RBX from, RCX how many. */
GUEST(sum_code, 64,
	"	xor	%eax, %eax\n"
	"1:	add	(%rbx), %rax\n"
	"	add	$0x2000, %rbx\n"
	"	dec	%rcx\n"
	"	jnz	1b\n"
	"	hlt\n");

static void every_slot(void)
{
	struct guest *g = guest_new(LONG, sum_code);
	uint64_t base = 16 * MiB, sum = 0, seed = 5;
	uint32_t count = 32763 / slowness();	/* and slot 0 */
	uint8_t *area = map_pages(count * PAGE);

	/* Spread over the addresses in an order of their own, holes between. */
	for (uint32_t i = 0; i < count; i++) {
		uint32_t n = i * 7919ull % count;

		*(uint64_t *)(area + n * PAGE) = random_next(&seed) >> 16;
		sum += *(uint64_t *)(area + n * PAGE);
		must(vm_set_slot(g->vm, i + 1, 0, base + n * 2 * PAGE, PAGE, area + n * PAGE));
	}
	must_fail(vm_set_slot(g->vm, 1, 0, base + 2 * PAGE, PAGE, area), EEXIST);
	must_fail(vm_set_slot(g->vm, 9, KVM_MEM_LOG_DIRTY_PAGES, base, PAGE, area), EINVAL);
	point_at(g, base, count);
	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).rax, sum);
	guest_load(g, poke_code);
	for (uint32_t n = 0; n < count; n += 1111)
		expect_hole(g, base + n * 2 * PAGE + PAGE);
	/* Every second one goes again. */
	for (uint32_t i = 0; i < count; i += 2)
		must(vm_set_slot(g->vm, i + 1, 0, 0, 0, NULL));
	for (uint32_t i = 0; i < count; i += 997) {
		uint64_t n = i * 7919ull % count;

		if (i & 1)
			check_equal(guest_read(g, base + n * 2 * PAGE),
				    *(uint64_t *)(area + n * PAGE));
		else
			expect_hole(g, base + n * 2 * PAGE);
	}
}

/*
 * A guest that copies a word from the slot and counts, in a thread of its own; holes read as
 * HOLE. When the ioctl has returned and the count has moved on by two, the copy must be new.
 */
#define HOLE	0xdeaddeaddeaddeadull

GUEST(watch_code, 64, INTERRUPTIBLE
	"1:	mov	0x800000, %rax\n"
	"	mov	%rax, 0xa000\n"
	"	incq	0xa008\n"
	"	jmp	1b\n");

struct watcher {
	struct guest *g;
	volatile bool stop;
	pthread_t thread;
	int error;
};

static void on_signal(int number)
{
}

static void *watch(void *data)
{
	struct watcher *watcher = data;
	struct guest *g = watcher->g;
	uint64_t hole = HOLE;

	while (!watcher->stop) {
		int error = guest_run(g);

		if (error && error != EINTR) {
			watcher->error = error;
			break;
		}
		if (!error && g->run->exit_reason != KVM_EXIT_MMIO) {
			watcher->error = g->run->exit_reason + 1000;
			break;
		}
		if (!error)
			memcpy(g->run->mmio.data, &hole, 8);
	}
	return NULL;
}

static void start_watching(struct watcher *watcher)
{
	struct sigaction action = { .sa_handler = on_signal };

	watcher->g = guest_new(LONG, watch_code);
	sigaction(SIGUSR1, &action, NULL);
	must(pthread_create(&watcher->thread, NULL, watch, watcher));
}

static void stop_watching(struct watcher *watcher)
{
	watcher->stop = true;
	pthread_kill(watcher->thread, SIGUSR1);
	pthread_join(watcher->thread, NULL);
	check_equal(watcher->error, 0);
}

static void seen_now(struct watcher *watcher, uint64_t wanted)
{
	volatile uint64_t *data = (uint64_t *)(watcher->g->memory + GUEST_DATA);
	uint64_t count = data[1];
	uint64_t end = now_ns() + 20 * NS_PER_S;

	while (data[1] < count + 2) {
		check_equal(watcher->error, 0);
		if (now_ns() > end)
			fail("the guest does not move");
		sched_yield();
	}
	check_equal(data[0], wanted);
}

static void running_delete_and_move(void)
{
	struct watcher watcher = { 0 };
	uint64_t *area = map_pages(8 * PAGE);
	int vm;

	for (uint64_t i = 0; i < 8; i++)
		area[i * 512] = i + 100;
	start_watching(&watcher);
	vm = watcher.g->vm;
	for (int round = 0; round < 30; round++) {
		seen_now(&watcher, HOLE);
		must(vm_set_slot(vm, 1, 0, SLOT_BASE, 8 * PAGE, area));
		seen_now(&watcher, 100);
		must(vm_set_slot(vm, 1, 0, SLOT_BASE - 3 * PAGE, 8 * PAGE, area));
		seen_now(&watcher, 103);
		must(vm_set_slot(vm, 1, 0, SLOT_BASE + PAGE, 8 * PAGE, area));
		seen_now(&watcher, HOLE);
		must(vm_set_slot(vm, 2, KVM_MEM_READONLY, SLOT_BASE, PAGE, area + 512 * 5));
		seen_now(&watcher, 105);
		must(vm_set_slot(vm, 2, 0, 0, 0, NULL));
		must(vm_set_slot(vm, 1, 0, 0, 0, NULL));
	}
	stop_watching(&watcher);
}

static void running_flags(void)
{
	struct watcher watcher = { 0 };
	uint64_t *area = map_pages(8 * PAGE);
	int vm;

	area[0] = 1;
	start_watching(&watcher);
	vm = watcher.g->vm;
	must(vm_set_slot(vm, 1, 0, SLOT_BASE, 8 * PAGE, area));
	for (int round = 0; round < 100; round++) {
		must(vm_set_slot(vm, 1, round & 1 ? 0 : KVM_MEM_LOG_DIRTY_PAGES, SLOT_BASE,
				 8 * PAGE, area));
		area[0] = round;
		seen_now(&watcher, round);
	}
	stop_watching(&watcher);
}

/*
 * Slot 0 holds the guest's own code and page tables. Its flags change under a running guest; then
 * it is taken away, after which the guest can do nothing sensible but must be stoppable.
 */
static void running_floor(void)
{
	struct watcher watcher = { 0 };
	uint64_t *area = map_pages(PAGE);
	struct guest *g;

	start_watching(&watcher);
	g = watcher.g;
	area[0] = 4;
	must(vm_set_slot(g->vm, 1, 0, SLOT_BASE, PAGE, area));
	for (int round = 0; round < 20; round++) {
		must(vm_set_slot(g->vm, 0, round & 1 ? 0 : KVM_MEM_LOG_DIRTY_PAGES, 0,
				 GUEST_MEMORY, g->memory));
		seen_now(&watcher, 4);
	}
	must(vm_set_slot(g->vm, 0, 0, 0, 0, NULL));
	sleep_ms(200);
	watcher.stop = true;
	pthread_kill(watcher.thread, SIGUSR1);
	pthread_join(watcher.thread, NULL);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "create and delete", create_and_delete },
		{ "move", move },
		{ "bad regions", refused },
		{ "overlaps, and one page seen three times", overlap },
		{ "changes that are and are not possible", changes_refused },
		{ "read-only slot", read_only },
		{ "read-modify-write in a read-only slot", read_only_modified },
		{ "read-only mapping in a writable slot", read_only_mapping },
		{ "no memory behind the slot", unmapped_hva },
		{ "code in a hole, then in read-only memory", code_in_a_hole },
		{ "address spaces", address_spaces },
		{ "KVM_SET_USER_MEMORY_REGION2", region2 },
		{ "32,764 slots", every_slot, 300 },
		{ "a running guest sees deletion and moving at once", running_delete_and_move,
		  120 },
		{ "a running guest sees changes of flags", running_flags, 120 },
		{ "the slot under a running guest's feet", running_floor, 120 },
	};

	return RUN_CASES("memslot", cases);
}
