// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty logging: what is logged and what is not, reading and clearing the log, both ways of
 * enabling it, large pages, and a copy kept up to date by the log of a guest that keeps writing.
 */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#define SLOT	1
#define BASE	0x1000000ull		/* 16 MiB */

/* RBX: address, RCX: pages, RDX: step in bytes. Adds 1 to the first word of each page. */
GUEST(touch_code, 64,
	"1:	incq	(%rbx)\n"
	"	add	%rdx, %rbx\n"
	"	dec	%rcx\n"
	"	jnz	1b\n"
	"	hlt\n"
	"read_start:\n"
	"1:	mov	(%rbx), %rax\n"
	"	add	%rdx, %rbx\n"
	"	dec	%rcx\n"
	"	jnz	1b\n"
	"	hlt\n");
extern const uint8_t read_start[];

static void touch_from(struct guest *g, uint64_t rip, uint64_t address, uint64_t pages,
		       uint64_t step)
{
	struct kvm_regs regs = vcpu_regs(g->vcpu);

	regs.rip = rip;
	regs.rbx = address;
	regs.rcx = pages;
	regs.rdx = step;
	vcpu_set_regs(g->vcpu, &regs);
	run_to(g, KVM_EXIT_HLT);
}

static void write_pages(struct guest *g, uint64_t first, uint64_t pages, uint64_t step)
{
	touch_from(g, GUEST_CODE, BASE + first * PAGE, pages, step * PAGE);
}

static void read_pages(struct guest *g, uint64_t first, uint64_t pages)
{
	touch_from(g, guest_address(g, read_start), BASE + first * PAGE, pages, PAGE);
}

static int get_log(struct guest *g, uint32_t slot, void *bitmap)
{
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

	return ioctl(g->vm, KVM_GET_DIRTY_LOG, &log);
}

static int clear_log(struct guest *g, uint32_t slot, uint64_t first, uint32_t pages, void *bitmap)
{
	struct kvm_clear_dirty_log log = {
		.slot = slot, .first_page = first, .num_pages = pages, .dirty_bitmap = bitmap,
	};

	return ioctl(g->vm, KVM_CLEAR_DIRTY_LOG, &log);
}

static int set_logging(struct guest *g, bool on, void *area, uint64_t size)
{
	return vm_set_slot(g->vm, SLOT, on ? KVM_MEM_LOG_DIRTY_PAGES : 0, BASE, size, area);
}

static bool bit(const uint64_t *bitmap, uint64_t page)
{
	return bitmap[page / 64] >> page % 64 & 1;
}

static void expect_bits(struct guest *g, uint64_t pages, uint64_t first, uint64_t count,
			uint64_t step)
{
	uint64_t bitmap[64];

	check(pages <= 64 * 64);
	memset(bitmap, 0xff, sizeof(bitmap));
	must(get_log(g, SLOT, bitmap));
	for (uint64_t page = 0; page < pages; page++) {
		bool wanted = page >= first && (page - first) % step == 0 &&
			      (page - first) / step < count;

		if (bit(bitmap, page) != wanted)
			fail("page %llu is %s", (unsigned long long)page,
			     wanted ? "not logged" : "logged");
	}
}

static void log_and_again(void)
{
	struct guest *g = guest_new(LONG, touch_code);
	uint8_t *area = map_pages(200 * PAGE);

	must(set_logging(g, true, area, 200 * PAGE));
	expect_bits(g, 200, 0, 0, 1);
	write_pages(g, 0, 200, 1);
	expect_bits(g, 200, 0, 200, 1);
	expect_bits(g, 200, 0, 0, 1);
	write_pages(g, 3, 39, 5);
	expect_bits(g, 200, 3, 39, 5);
	write_pages(g, 199, 1, 1);
	write_pages(g, 199, 1, 1);
	expect_bits(g, 200, 199, 1, 1);
	read_pages(g, 0, 200);
	expect_bits(g, 200, 0, 0, 1);
	check_equal(*(uint64_t *)(area + 199 * PAGE), 3);
}

static void not_the_guest(void)
{
	struct guest *g = guest_new(LONG, touch_code);
	uint8_t *area = map_pages(64 * PAGE);

	/* Mapped before: a page first met under logging may be logged even when it is read. */
	must(set_logging(g, false, area, 64 * PAGE));
	read_pages(g, 0, 64);
	must(set_logging(g, true, area, 64 * PAGE));
	memset(area, 1, 64 * PAGE);		/* the process itself */
	expect_bits(g, 64, 0, 0, 1);
	read_pages(g, 0, 64);
	expect_bits(g, 64, 0, 0, 1);
	write_pages(g, 9, 1, 1);
	expect_bits(g, 64, 9, 1, 1);
}

/* Does the processor log which pages it makes dirty? */
static bool processor_logs(void)
{
	int fd = open("/sys/module/kvm_intel/parameters/pml", O_RDONLY);
	char value = 'N';

	if (fd < 0)
		return false;
	check(read(fd, &value, 1) == 1);
	close(fd);
	return value == 'Y';
}

/* A few pages more than its log has entries, and many times as many: only a full log exits. */
static void without_faults(void)
{
	struct guest *g = guest_new(LONG, touch_code);
	const uint64_t pages = 2048;
	uint8_t *area = map_pages(pages * PAGE);
	uint64_t faults, exits;

	if (!processor_logs())
		skip("the processor keeps no log");
	must(set_logging(g, false, area, pages * PAGE));
	write_pages(g, 0, pages, 1);
	must(set_logging(g, true, area, pages * PAGE));
	expect_bits(g, pages, 0, 0, 1);
	faults = vcpu_stat(g->vcpu, "pf_taken");
	exits = vcpu_stat(g->vcpu, "exits");
	write_pages(g, 0, pages, 1);
	check_equal(vcpu_stat(g->vcpu, "pf_taken"), faults);
	exits = vcpu_stat(g->vcpu, "exits") - exits;
	if (exits < pages / 512 || exits > pages / 64)
		fail("%llu exits", (unsigned long long)exits);
	expect_bits(g, pages, 0, pages, 1);
	write_pages(g, 7, 515, 1);
	expect_bits(g, pages, 7, 515, 1);
	/* A page first met while it is logged: noted when it is written to, not before. */
	must(vm_set_slot(g->vm, SLOT, 0, BASE, 0, NULL));
	must(set_logging(g, true, area, pages * PAGE));
	read_pages(g, 0, 64);
	expect_bits(g, pages, 0, 0, 1);
	faults = vcpu_stat(g->vcpu, "pf_taken");
	write_pages(g, 0, 64, 1);
	check_equal(vcpu_stat(g->vcpu, "pf_taken"), faults);
	expect_bits(g, pages, 0, 64, 1);
}

GUEST(emulated_code, 64,
	"	mov	$0x1002ffc, %edi\n"
	"	mov	$0x10, %dx\n"
	"	mov	$8, %ecx\n"
	"	rep insb\n"			/* page 2, then 3 */
	"	mov	$0x10000000, %esi\n"
	"	mov	$0x1005000, %edi\n"
	"	movsq\n"
	"	mov	$0x100a000, %esp\n"
	"	pushq	0x10000000\n"
	"	hlt\n");

/* Writes that the hypervisor does for the guest are the guest's. */
static void emulated_writes(void)
{
	struct guest *g = guest_new(LONG, emulated_code);
	uint8_t *area = map_pages(64 * PAGE);
	uint64_t bitmap = 0;

	must(set_logging(g, true, area, 64 * PAGE));
	for (;;) {
		check_equal(guest_run(g), 0);
		if (g->run->exit_reason == KVM_EXIT_HLT)
			break;
		if (g->run->exit_reason == KVM_EXIT_IO)
			memset(pio_data(g), 0x11, g->run->io.count);
		else
			memset(g->run->mmio.data, 0x22, 8);
	}
	must(get_log(g, SLOT, &bitmap));
	check_equal(bitmap, 1 << 2 | 1 << 3 | 1 << 5 | 1 << 9);
	check_equal(area[2 * PAGE + 0xffc], 0x11);
	check_equal(area[3 * PAGE + 3], 0x11);
	check_equal(area[5 * PAGE], 0x22);
}

GUEST(accessed_code, 64,
	"	andb	$0x9f, 0xd040\n"	/* accessed and dirty of the entry for 16 MiB */
	"	mov	%cr3, %rax\n"
	"	mov	%rax, %cr3\n"
	"	hlt\n"
	"	incq	0x1000000\n"
	"	hlt\n");

/* The processor's own writes, of accessed bits into the guest's page tables, count too. */
static void page_table_writes(void)
{
	struct guest *g = guest_new(LONG, accessed_code);
	uint8_t *area = map_pages(64 * PAGE);
	uint64_t *pd = (uint64_t *)(g->memory + GUEST_PD);
	uint64_t bitmap[GUEST_MEMORY / PAGE / 64];

	/* Without accessed bits in EPT, Bochs (2.7, 3.0) writes the guest's past EPT, permitted or not. */
	if (host_is_bochs() && nested_paging() &&
	    module_parameter_off("/sys/module/kvm_intel/parameters/eptad"))
		skip("an emulated processor that does not ask");
	check_equal(GUEST_PD + BASE / (2 * MiB) * 8, 0xd040);
	must(vm_set_slot(g->vm, SLOT, 0, BASE, 64 * PAGE, area));
	must(vm_set_slot(g->vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, GUEST_MEMORY, g->memory));
	run_to(g, KVM_EXIT_HLT);
	must(get_log(g, 0, bitmap));
	check(bit(bitmap, GUEST_PD / PAGE));
	check_equal(pd[BASE / (2 * MiB)] & 0x60, 0);
	run_to(g, KVM_EXIT_HLT);
	must(get_log(g, 0, bitmap));
	check_equal(pd[BASE / (2 * MiB)] & 0x60, 0x60);
	check(bit(bitmap, GUEST_PD / PAGE));
	check(!bit(bitmap, GUEST_FREE / PAGE));
}

static void bad_arguments(void)
{
	struct guest *g = guest_new(LONG, touch_code);
	uint8_t *area = map_pages(200 * PAGE);
	uint64_t bitmap[64] = { 0 };
	int slots = extension(g->vm, KVM_CAP_NR_MEMSLOTS);

	must_fail(get_log(g, SLOT, bitmap), ENOENT);
	must_fail(get_log(g, 0, bitmap), ENOENT);
	must_fail(get_log(g, slots, bitmap), EINVAL);
	must_fail(get_log(g, 0xffff, bitmap), EINVAL);
	must_fail(get_log(g, 0x7fff0000, bitmap), EINVAL);
	must_fail(clear_log(g, SLOT, 0, 64, bitmap), ENOENT);
	must(set_logging(g, true, area, 200 * PAGE));
	must_fail(get_log(g, SLOT, NULL), EFAULT);
	must_fail(get_log(g, SLOT, (void *)-4096l), EFAULT);
	must_fail(clear_log(g, SLOT, 1, 64, bitmap), EINVAL);
	must_fail(clear_log(g, SLOT, 0, 63, bitmap), EINVAL);
	must_fail(clear_log(g, SLOT, 64, 100, bitmap), EINVAL);
	must_fail(clear_log(g, SLOT, 256, 64, bitmap), EINVAL);
	must_fail(clear_log(g, SLOT, -64ull, 64, bitmap), EINVAL);
	must_fail(clear_log(g, SLOT, 0, 256, bitmap), EINVAL);
	must_fail(clear_log(g, slots, 0, 64, bitmap), EINVAL);
	must_fail(clear_log(g, SLOT, 0, 64, NULL), EFAULT);
	must(clear_log(g, SLOT, 0, 64, bitmap));
	must(clear_log(g, SLOT, 192, 8, bitmap));
	must(clear_log(g, SLOT, 0, 200, bitmap));
	write_pages(g, 5, 1, 1);
	expect_bits(g, 200, 5, 1, 1);
}

static void enable_manual(struct guest *g, uint64_t flags)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = { flags },
	};

	NEED(g->vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
	if ((extension(g->vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) & flags) != flags)
		skip("not with these flags");
	must(ioctl(g->vm, KVM_ENABLE_CAP, &cap));
}

static void manual_clear(void)
{
	struct guest *g = guest_new(LONG, touch_code);
	uint8_t *area = map_pages(256 * PAGE);
	uint64_t bitmap[4] = { 0 };

	enable_manual(g, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	must(set_logging(g, true, area, 256 * PAGE));
	expect_bits(g, 256, 0, 0, 1);
	write_pages(g, 60, 10, 1);
	/* Reading does not clear. */
	expect_bits(g, 256, 60, 10, 1);
	expect_bits(g, 256, 60, 10, 1);
	/* Of 60 to 69, all but 60 are cleared; bits of pages that are not dirty do no harm. */
	bitmap[0] = 0xe000000000000000;
	bitmap[1] = 0xffff;
	must(clear_log(g, SLOT, 0, 128, bitmap));
	memset(bitmap, 0, sizeof(bitmap));
	must(get_log(g, SLOT, bitmap));
	check_equal(bitmap[0], 1ull << 60);
	check_equal(bitmap[1] | bitmap[2] | bitmap[3], 0);
	write_pages(g, 60, 2, 1);
	memset(bitmap, 0, sizeof(bitmap));
	must(get_log(g, SLOT, bitmap));
	check_equal(bitmap[0], 3ull << 60);
	/* Clearing at an offset: the bitmap starts with the first page. */
	write_pages(g, 130, 1, 1);
	bitmap[0] = 1 << 2;
	must(clear_log(g, SLOT, 128, 64, bitmap));
	must(get_log(g, SLOT, bitmap));
	check_equal(bitmap[0], 3ull << 60);
	check_equal(bitmap[2], 0);
}

static void initially_set(void)
{
	struct guest *g = guest_new(LONG, touch_code);
	uint8_t *area = map_pages(256 * PAGE);
	uint64_t bitmap[4];

	enable_manual(g, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
	must(set_logging(g, false, area, 256 * PAGE));
	write_pages(g, 0, 256, 1);
	must(set_logging(g, true, area, 256 * PAGE));
	expect_bits(g, 256, 0, 256, 1);
	memset(bitmap, 0xff, sizeof(bitmap));
	must(clear_log(g, SLOT, 64, 64, bitmap));
	memset(bitmap, 0, sizeof(bitmap));
	must(get_log(g, SLOT, bitmap));
	check_equal(bitmap[0], -1ull);
	check_equal(bitmap[1], 0);
	check_equal(bitmap[2], -1ull);
	write_pages(g, 70, 1, 1);
	must(get_log(g, SLOT, bitmap));
	check_equal(bitmap[1], 1 << 6);
	must(set_logging(g, false, area, 256 * PAGE));
	must_fail(get_log(g, SLOT, bitmap), ENOENT);
	/* On again: all set again. */
	must(set_logging(g, true, area, 256 * PAGE));
	expect_bits(g, 256, 0, 256, 1);
}

static uint8_t *map_huge(size_t size)
{
	uint8_t *area = mmap(NULL, size + 2 * MiB, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(area != MAP_FAILED);
	area = (uint8_t *)(((uintptr_t)area + 2 * MiB - 1) & ~(2 * MiB - 1));
	madvise(area, size, MADV_HUGEPAGE);
	memset(area, 0, size);
	return area;
}

static void huge_pages(void)
{
	struct guest *g = guest_new(LONG, touch_code);
	uint8_t *area = map_huge(8 * MiB);

	for (int round = 0; round < 3; round++) {
		must(set_logging(g, false, area, 8 * MiB));
		write_pages(g, 0, 2048, 1);
		must(set_logging(g, true, area, 8 * MiB));
		expect_bits(g, 2048, 0, 0, 1);
		write_pages(g, 777, 1, 1);
		expect_bits(g, 2048, 777, 1, 1);
		write_pages(g, 1, 4, 512);
		expect_bits(g, 2048, 1, 4, 512);
		write_pages(g, 0, 2048, 1);
		expect_bits(g, 2048, 0, 2048, 1);
	}
	check_equal(*(uint64_t *)(area + 777 * PAGE), 9);
	check_equal(*(uint64_t *)(area + 778 * PAGE), 6);
	/* With large pages again after logging has ended, nothing is lost. */
	must(set_logging(g, false, area, 8 * MiB));
	write_pages(g, 0, 2048, 1);
	check_equal(*(uint64_t *)(area + 778 * PAGE), 7);
}

static void huge_pages_manual(void)
{
	struct guest *g = guest_new(LONG, touch_code);
	uint8_t *area = map_huge(4 * MiB);
	uint64_t bitmap[16];

	enable_manual(g, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
	must(set_logging(g, false, area, 4 * MiB));
	write_pages(g, 0, 1024, 1);
	must(set_logging(g, true, area, 4 * MiB));
	write_pages(g, 0, 1024, 1);
	memset(bitmap, 0xff, sizeof(bitmap));
	/* 64 pages in the middle of a large page. */
	must(clear_log(g, SLOT, 192, 64, bitmap));
	write_pages(g, 200, 1, 1);
	must(get_log(g, SLOT, bitmap));
	for (int i = 0; i < 16; i++)
		check_equal(bitmap[i], i == 3 ? 1ull << 8 : -1ull);
	memset(bitmap, 0xff, sizeof(bitmap));
	must(clear_log(g, SLOT, 0, 1024, bitmap));
	/* What was large has been split. */
	if (nested_paging())
		check_equal(vcpu_stat(g->vm, "pages_2m"), 0);
	write_pages(g, 600, 3, 1);
	expect_bits(g, 1024, 600, 3, 1);
	check_equal(*(uint64_t *)(area + 200 * PAGE), 3);
}

/* Writes a page and says so, in memory that is not logged, then spins. */
GUEST(telling_code, 64, INTERRUPTIBLE
	"	xor	%ecx, %ecx\n"
	"1:	mov	%rcx, %rbx\n"
	"	shl	$12, %rbx\n"
	"	incq	0x1000000(%rbx)\n"
	"	inc	%rcx\n"
	"	mov	%rcx, 0x20000\n"	/* GUEST_FREE */
	"2:	pause\n"
	"	cmp	%rcx, 0x20008\n"
	"	jb	2b\n"
	"	jmp	1b\n");

struct writer {
	struct guest *g;
	volatile bool stop;
};

static void on_signal(int number)
{
}

static void *run_writer(void *data)
{
	struct writer *writer = data;

	while (!writer->stop)
		if (guest_run(writer->g) != EINTR)
			fail("the writing guest stopped");
	return NULL;
}

/* What a guest that goes on running has said to be written is in the log. */
static void log_of_running(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct writer writer = { .g = guest_new(LONG, telling_code) };
	volatile uint64_t *words = (uint64_t *)(writer.g->memory + GUEST_FREE);
	uint8_t *area = map_pages(64 * PAGE);
	pthread_t thread;

	check_equal(GUEST_FREE, 0x20000);
	sigaction(SIGUSR1, &action, NULL);
	must(set_logging(writer.g, true, area, 64 * PAGE));
	must(pthread_create(&thread, NULL, run_writer, &writer));
	for (uint64_t page = 0; page < 20; page++) {
		while (words[0] != page + 1)
			sleep_ms(1);
		expect_bits(writer.g, 64, page, 1, 1);
		expect_bits(writer.g, 64, 0, 0, 1);
		words[1] = page + 1;
	}
	writer.stop = true;
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
}

/*
 * As in a migration: while the guest writes all over its memory, dirty pages are copied. When it
 * is stopped and the rest copied, the copy equals the original.
 */
#define COPY_PAGES 512

GUEST(random_code, 64, INTERRUPTIBLE
	"	mov	$88172645463325252, %rax\n"
	"1:	mov	%rax, %rcx\n"		/* xorshift */
	"	shl	$13, %rcx\n"
	"	xor	%rcx, %rax\n"
	"	mov	%rax, %rcx\n"
	"	shr	$7, %rcx\n"
	"	xor	%rcx, %rax\n"
	"	mov	%rax, %rcx\n"
	"	shl	$17, %rcx\n"
	"	xor	%rcx, %rax\n"
	"	mov	%eax, %ebx\n"
	"	and	$0x1ffff8, %ebx\n"
	"	add	%rax, 0x1000000(%rbx)\n"
	"	jmp	1b\n");

static void copy_dirty(const uint64_t *bitmap, uint8_t *copy, const uint8_t *area)
{
	for (uint64_t page = 0; page < COPY_PAGES; page++)
		if (bit(bitmap, page))
			memcpy(copy + page * PAGE, area + page * PAGE, PAGE);
}

static void migrate(uint64_t manual, uint8_t *area)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct writer writer = { .g = guest_new(LONG, random_code) };
	uint8_t *copy = map_pages(COPY_PAGES * PAGE);
	uint64_t bitmap[COPY_PAGES / 64];
	uint64_t end;
	pthread_t thread;

	if (manual)
		enable_manual(writer.g, manual);
	sigaction(SIGUSR1, &action, NULL);
	must(set_logging(writer.g, false, area, COPY_PAGES * PAGE));
	must(pthread_create(&thread, NULL, run_writer, &writer));
	sleep_ms(50);
	must(set_logging(writer.g, true, area, COPY_PAGES * PAGE));
	memset(bitmap, 0xff, sizeof(bitmap));
	copy_dirty(bitmap, copy, area);
	end = now_ns() + 2 * NS_PER_S;
	while (now_ns() < end) {
		must(get_log(writer.g, SLOT, bitmap));
		if (manual)
			must(clear_log(writer.g, SLOT, 0, COPY_PAGES, bitmap));
		copy_dirty(bitmap, copy, area);
		sleep_ms(5);
	}
	writer.stop = true;
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	must(get_log(writer.g, SLOT, bitmap));
	copy_dirty(bitmap, copy, area);
	check(!memcmp(copy, area, COPY_PAGES * PAGE));
	check(vcpu_regs(writer.g->vcpu).rax != 88172645463325252);
}

static void migrate_small_pages(void)
{
	migrate(0, map_pages(COPY_PAGES * PAGE));
}

static void migrate_huge_pages(void)
{
	migrate(0, map_huge(COPY_PAGES * PAGE));
}

static void migrate_manual(void)
{
	migrate(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE, map_pages(COPY_PAGES * PAGE));
}

static void migrate_manual_huge(void)
{
	migrate(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET,
		map_huge(COPY_PAGES * PAGE));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "pages written are logged, once each", log_and_again },
		{ "the process's own writes are not", not_the_guest },
		{ "writes without faults", without_faults },
		{ "writes by emulation are", emulated_writes },
		{ "the processor's writes to page tables are", page_table_writes },
		{ "bad arguments", bad_arguments },
		{ "cleared by hand", manual_clear },
		{ "all set at first", initially_set },
		{ "large pages", huge_pages },
		{ "large pages, cleared by hand", huge_pages_manual },
		{ "of a guest that goes on running", log_of_running },
		{ "a running guest copied", migrate_small_pages },
		{ "... from large pages", migrate_huge_pages },
		{ "... cleared by hand", migrate_manual },
		{ "... all set at first, from large pages", migrate_manual_huge },
	};

	return RUN_CASES("dirty", cases);
}
