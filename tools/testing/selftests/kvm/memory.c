// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory is the process's memory: whatever the kernel or the process does to it (dropping,
 * swapping, merging, moving, protecting, unmapping, forking), the guest sees what the process
 * would see, at once.
 */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25		/* Linux 6.1 */
#endif

#define SLOT	1
#define BASE	0x1000000ull
#define PAGES	1024ull
#define SIZE	(PAGES * PAGE)

/* RBX: address, RCX: pages, RSI: a salt. Each page holds a word made of its address and salt. */
GUEST(pattern_code, 64,
	"1:	mov	%rbx, %rax\n"
	"	xor	%rsi, %rax\n"
	"	mov	%rax, 0x123(%rbx)\n"
	"	add	$0x1000, %rbx\n"
	"	dec	%rcx\n"
	"	jnz	1b\n"
	"	hlt\n"
	"pattern_verify:\n"
	"	xor	%edi, %edi\n"		/* pages that differ */
	"	xor	%r8, %r8\n"		/* pages that are zero */
	"1:	mov	%rbx, %rax\n"
	"	xor	%rsi, %rax\n"
	"	mov	0x123(%rbx), %rdx\n"
	"	test	%rdx, %rdx\n"
	"	jnz	2f\n"
	"	inc	%r8\n"
	"	jmp	3f\n"
	"2:	cmp	%rax, %rdx\n"
	"	je	3f\n"
	"	inc	%rdi\n"
	"3:	add	$0x1000, %rbx\n"
	"	dec	%rcx\n"
	"	jnz	1b\n"
	"	hlt\n");
extern const uint8_t pattern_verify[];

static void start(struct guest *g, uint64_t rip, uint64_t page, uint64_t pages, uint64_t salt)
{
	struct kvm_regs regs = vcpu_regs(g->vcpu);

	regs.rip = rip;
	regs.rbx = BASE + page * PAGE;
	regs.rcx = pages;
	regs.rsi = salt;
	vcpu_set_regs(g->vcpu, &regs);
}

static void write_pattern(struct guest *g, uint64_t page, uint64_t pages, uint64_t salt)
{
	start(g, GUEST_CODE, page, pages, salt);
	run_to(g, KVM_EXIT_HLT);
}

/* The guest finds `zero` empty pages and its pattern in all others. */
static void verify(struct guest *g, uint64_t page, uint64_t pages, uint64_t salt, uint64_t zero)
{
	struct kvm_regs regs;

	start(g, guest_address(g, pattern_verify), page, pages, salt);
	run_to(g, KVM_EXIT_HLT);
	regs = vcpu_regs(g->vcpu);
	if (regs.rdi)
		fail("%llu pages have foreign contents", regs.rdi);
	check_equal(regs.r8, zero);
}

/* The same seen from the process. */
static bool page_holds(const uint8_t *area, uint64_t page, uint64_t salt)
{
	uint64_t word;

	memcpy(&word, area + page * PAGE + 0x123, 8);
	return word == ((BASE + page * PAGE) ^ salt);
}

static struct guest *new_with(void *area, size_t size)
{
	struct guest *g = guest_new(LONG, pattern_code);

	must(vm_set_slot(g->vm, SLOT, 0, BASE, size, area));
	return g;
}

static uint8_t *map_private(size_t size)
{
	uint8_t *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);

	check(area != MAP_FAILED);
	return area;
}

static uint8_t *map_aligned(size_t size)
{
	uint8_t *area = map_private(size + 2 * MiB);

	return (uint8_t *)(((uintptr_t)area + 2 * MiB - 1) & ~(2 * MiB - 1));
}

static void shared_with_process(void)
{
	uint8_t *area = map_private(SIZE);
	struct guest *g = new_with(area, SIZE);

	write_pattern(g, 0, PAGES, 1);
	for (uint64_t page = 0; page < PAGES; page++)
		check(page_holds(area, page, 1));
	memset(area + 5 * PAGE, 0, PAGE);
	verify(g, 0, PAGES, 1, 1);
}

static void dont_need(void)
{
	uint8_t *area = map_private(SIZE);
	struct guest *g = new_with(area, SIZE);

	for (uint64_t round = 0; round < 10; round++) {
		write_pattern(g, 0, PAGES, round);
		must(madvise(area + 100 * PAGE, 50 * PAGE, MADV_DONTNEED));
		verify(g, 0, PAGES, round, 50);
		check_equal(area[120 * PAGE + 0x123], 0);
		must(madvise(area, SIZE, MADV_DONTNEED));
		verify(g, 0, PAGES, round, PAGES);
	}
}

/* Read first, so that the shared page of zeroes is mapped, then written. */
static void zero_page(void)
{
	uint8_t *area = map_private(SIZE);
	struct guest *g = new_with(area, SIZE);

	verify(g, 0, PAGES, 1, PAGES);
	write_pattern(g, 0, PAGES / 2, 1);
	verify(g, 0, PAGES, 1, PAGES / 2);
	for (uint64_t page = 0; page < PAGES; page++)
		check(page_holds(area, page, 1) == (page < PAGES / 2));
}

static void lazily_freed(void)
{
	uint8_t *area = map_private(SIZE);
	struct guest *g = new_with(area, SIZE);
	struct kvm_regs regs;

	write_pattern(g, 0, PAGES, 3);
	must(madvise(area, SIZE, MADV_FREE));
	/* Old contents or zero, nothing else; what is written after the call stays. */
	start(g, guest_address(g, pattern_verify), 0, PAGES, 3);
	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).rdi, 0);
	write_pattern(g, 0, PAGES / 2, 4);
	madvise(area, SIZE, MADV_PAGEOUT);
	verify(g, 0, PAGES / 2, 4, 0);
	start(g, guest_address(g, pattern_verify), PAGES / 2, PAGES / 2, 3);
	run_to(g, KVM_EXIT_HLT);
	regs = vcpu_regs(g->vcpu);
	check_equal(regs.rdi, 0);
}

static bool have_swap(void)
{
	char text[512];
	int fd = open("/proc/swaps", O_RDONLY);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	if (length <= 0)
		return false;
	text[length] = '\0';
	return strchr(text, '\n') && strchr(text, '\n')[1] == '/';
}

static uint64_t pages_in_core(uint8_t *area, uint64_t pages)
{
	unsigned char *in = malloc(pages);
	uint64_t count = 0;

	must(mincore(area, pages * PAGE, in));
	for (uint64_t i = 0; i < pages; i++)
		count += in[i] & 1;
	free(in);
	return count;
}

static void swapped_out(void)
{
	uint8_t *area = map_private(SIZE);
	struct guest *g = new_with(area, SIZE);

	if (!have_swap())
		skip("no swap");
	for (uint64_t round = 0; round < 5; round++) {
		write_pattern(g, 0, PAGES, round);
		if (madvise(area, SIZE, MADV_PAGEOUT))
			skip("no MADV_PAGEOUT");
		if (!round)
			note("%llu of %llu pages left in memory or on their way",
			     (unsigned long long)pages_in_core(area, PAGES), PAGES);
		verify(g, 0, PAGES, round, 0);
		must(madvise(area, SIZE, MADV_PAGEOUT));
		for (uint64_t page = 0; page < PAGES; page++)
			check(page_holds(area, page, round));
	}
}

/* A line of /proc/meminfo in bytes. */
static uint64_t memory_info(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long long kib = 0;
	char line[128];

	check(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), ": %llu", &kib);
	fclose(file);
	return kib * KiB;
}

/* Takes all memory there is and some of the swap; may be killed for it. */
static void take_memory(void)
{
	uint64_t size = memory_info("MemAvailable") + memory_info("SwapFree") / 4;
	uint8_t *area = map_private(size);
	uint64_t seed = 1;

	write_text("/proc/self/oom_score_adj", "1000");
	for (uint64_t at = 0; at < size; at += PAGE)
		*(uint64_t *)(area + at) = random_next(&seed);
	_exit(0);
}

static void under_pressure(void)
{
	uint8_t *area = map_private(SIZE);
	struct guest *g = new_with(area, SIZE);
	unsigned int rounds = 0;
	pid_t pid;

	if (!have_swap())
		skip("no swap");
	if (memory_info("MemTotal") > 1536 * MiB)
		skip("too much memory to fill");
	write_pattern(g, 0, PAGES, 1);
	pid = must(fork());
	if (pid == 0)
		take_memory();
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		verify(g, 0, PAGES, ++rounds, 0);
		write_pattern(g, 0, PAGES, rounds + 1);
		sleep_ms(100);
	}
	verify(g, 0, PAGES, rounds + 1, 0);
	for (uint64_t page = 0; page < PAGES; page++)
		check(page_holds(area, page, rounds + 1));
}

static void aged(void)
{
	uint8_t *area = map_private(SIZE);
	struct guest *g = new_with(area, SIZE);

	write_pattern(g, 0, PAGES, 8);
	for (int round = 0; round < 5; round++) {
		must(madvise(area, SIZE, MADV_COLD));
		verify(g, 0, PAGES, 8, 0);
	}
}

#define KSM "/sys/kernel/mm/ksm/"

static void merged(void)
{
	uint8_t *area = map_private(SIZE);
	struct guest *g = new_with(area, SIZE);
	long sharing = 0;

	if (read_number(KSM "run") < 0)
		skip("no KSM");
	for (uint64_t page = 0; page < PAGES; page++)
		memset(area + page * PAGE, 0x77, PAGE);
	verify(g, 0, 1, 0x7777777777777777ull ^ BASE, 0);
	must(madvise(area, SIZE, MADV_MERGEABLE));
	if (!write_text(KSM "pages_to_scan", "5000") || !write_text(KSM "sleep_millisecs", "5") ||
	    !write_text(KSM "run", "1"))
		skip("KSM cannot be switched on");
	for (int i = 0; i < 400 && sharing < (long)PAGES / 2; i++) {
		sleep_ms(20);
		sharing = read_number(KSM "pages_sharing");
	}
	if (sharing < (long)PAGES / 2)
		skip("KSM does not merge");
	/* Every second page written by the guest: it alone changes. */
	for (uint64_t page = 0; page < PAGES; page += 2)
		write_pattern(g, page, 1, 5);
	for (uint64_t page = 0; page < PAGES; page++) {
		if (page & 1)
			check(area[page * PAGE + 0x123] == 0x77);
		else
			check(page_holds(area, page, 5));
		check(area[page * PAGE] == 0x77);
	}
	/* And written by the process while the guest reads. */
	memset(area + PAGE, 0x12, PAGE);
	check(area[3 * PAGE] == 0x77);
	verify(g, 1, 1, 0x1212121212121212ull ^ (BASE + PAGE), 0);
	write_text(KSM "run", "2");
}

static void compacted(void)
{
	uint8_t *area = map_private(SIZE);
	struct guest *g = new_with(area, SIZE);

	write_pattern(g, 0, PAGES, 6);
	for (int round = 0; round < 5; round++) {
		/* Holes, so that there is something to compact. */
		for (uint64_t page = 1; page < PAGES; page += 2)
			must(madvise(area + page * PAGE, PAGE, MADV_DONTNEED));
		if (!write_text("/proc/sys/vm/compact_memory", "1"))
			skip("no compaction");
		verify(g, 0, PAGES, 6, PAGES / 2);
		write_pattern(g, 0, PAGES, 6);
		verify(g, 0, PAGES, 6, 0);
	}
}

static void protected(void)
{
	uint8_t *area = map_private(SIZE);
	struct guest *g = new_with(area, SIZE);

	write_pattern(g, 0, 16, 1);
	/* No access at all. */
	must(mprotect(area, 16 * PAGE, PROT_NONE));
	start(g, guest_address(g, pattern_verify), 0, 16, 1);
	check_equal(guest_run(g), EFAULT);
	must(mprotect(area, 16 * PAGE, PROT_READ));
	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).rdi, 0);
	/* Reading only: what the guest could write a moment ago it cannot any more. */
	start(g, GUEST_CODE, 0, 16, 2);
	check_equal(guest_run(g), EFAULT);
	check(page_holds(area, 0, 1));
	must(mprotect(area, 16 * PAGE, PROT_READ | PROT_WRITE));
	run_to(g, KVM_EXIT_HLT);
	verify(g, 0, 16, 2, 0);
}

static void check_memory_fault(struct guest *g, uint64_t address)
{
	if (g->run->exit_reason != KVM_EXIT_MEMORY_FAULT)
		return;
	check(address >= g->run->memory_fault.gpa);
	check(address < g->run->memory_fault.gpa + g->run->memory_fault.size);
}

static void unmapped(void)
{
	uint8_t *area = map_private(SIZE);
	struct guest *g = new_with(area, SIZE);

	write_pattern(g, 0, PAGES, 1);
	must(munmap(area + 7 * PAGE, PAGE));
	start(g, guest_address(g, pattern_verify), 0, PAGES, 1);
	g->run->exit_reason = 0;
	check_equal(guest_run(g), EFAULT);
	check_equal(vcpu_regs(g->vcpu).rbx, BASE + 7 * PAGE);
	check_memory_fault(g, BASE + 7 * PAGE + 0x123);
	/* Something else in its place: that is the guest's now. */
	check(mmap(area + 7 * PAGE, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).r8, 1);
	check_equal(vcpu_regs(g->vcpu).rdi, 0);
}

static void moved_away(void)
{
	uint8_t *area = map_private(SIZE), *target = map_private(SIZE);
	struct guest *g = new_with(area, SIZE);
	uint8_t *moved;

	write_pattern(g, 0, PAGES, 1);
	moved = mremap(area, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	check(moved == target);
	start(g, GUEST_CODE, 0, PAGES, 2);
	check_equal(guest_run(g), EFAULT);
	check(page_holds(moved, 0, 1));
	/* Back again, or the slot moved after it: both find the contents. */
	must(vm_set_slot(g->vm, SLOT, 0, 0, 0, NULL));
	must(vm_set_slot(g->vm, SLOT, 0, BASE, SIZE, moved));
	verify(g, 0, PAGES, 1, 0);
	check(mremap(moved, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, area) == area);
	must(vm_set_slot(g->vm, SLOT, 0, 0, 0, NULL));
	must(vm_set_slot(g->vm, SLOT, 0, BASE, SIZE, area));
	verify(g, 0, PAGES, 1, 0);
}

/* Two mappings exchange their places under the slot. */
static void replaced(void)
{
	uint8_t *area = map_private(SIZE);
	struct guest *g = new_with(area, SIZE);
	uint8_t *other;

	for (uint64_t round = 0; round < 20; round++) {
		write_pattern(g, 0, PAGES, round);
		other = map_private(SIZE);
		memcpy(other, area, SIZE / 2);
		check(mremap(other, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, area) == area);
		verify(g, 0, PAGES, round, PAGES / 2);
	}
}

static void forked(void)
{
	uint8_t *area = map_private(SIZE);
	struct guest *g = new_with(area, SIZE);
	int gate[2], status;
	pid_t pid;
	char byte = 0;

	write_pattern(g, 0, PAGES, 1);
	must(pipe(gate));
	pid = must(fork());
	if (pid == 0) {
		/* The child's copy is of the moment of the fork, whatever the guest writes. */
		close(gate[1]);
		if (read(gate[0], &byte, 1) != 0)
			_exit(1);
		for (uint64_t page = 0; page < PAGES; page++)
			if (!page_holds(area, page, 1))
				_exit(1);
		_exit(0);
	}
	close(gate[0]);
	write_pattern(g, 0, PAGES, 2);
	verify(g, 0, PAGES, 2, 0);
	for (uint64_t page = 0; page < PAGES; page++)
		check(page_holds(area, page, 2));
	close(gate[1]);
	must(waitpid(pid, &status, 0));
	check_equal(status, 0);
}

static int new_file(size_t size)
{
	char name[] = "/tmp/kvm-selftest-XXXXXX";
	int fd = mkstemp(name);

	if (fd < 0)
		skip("no file in /tmp");
	unlink(name);
	must(ftruncate(fd, size));
	return fd;
}

static void on_file(int fd)
{
	uint8_t *area = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint8_t *other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct guest *g;
	uint64_t word;

	check(area != MAP_FAILED && other != MAP_FAILED);
	g = new_with(area, SIZE);
	write_pattern(g, 0, PAGES, 1);
	for (uint64_t page = 0; page < PAGES; page++)
		check(page_holds(other, page, 1));
	word = (BASE + 9 * PAGE) ^ 2;
	check_equal(pwrite(fd, &word, 8, 9 * PAGE + 0x123), 8);
	verify(g, 9, 1, 2, 0);
	write_pattern(g, 9, 1, 3);
	check_equal(pread(fd, &word, 8, 9 * PAGE + 0x123), 8);
	check_equal(word, (BASE + 9 * PAGE) ^ 3);
	if (!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100 * PAGE, 20 * PAGE))
		verify(g, 100, 40, 1, 20);
	/* Cut short: beyond the end there is nothing to run on. */
	must(ftruncate(fd, 512 * PAGE));
	start(g, guest_address(g, pattern_verify), 500, 20, 1);
	check_equal(guest_run(g), EFAULT);
	check_equal(vcpu_regs(g->vcpu).rbx, BASE + 512 * PAGE);
	must(ftruncate(fd, SIZE));
	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).r8, 8);
}

static void file_shared(void)
{
	on_file(new_file(SIZE));
}

static void memfd_shared(void)
{
	int fd = must(memfd_create("guest", MFD_CLOEXEC));

	must(ftruncate(fd, SIZE));
	on_file(fd);
}

static void file_private(void)
{
	int fd = new_file(SIZE);
	uint8_t *shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint8_t *area = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	struct guest *g;

	check(area != MAP_FAILED && shared != MAP_FAILED);
	g = new_with(shared, SIZE);
	write_pattern(g, 0, PAGES, 1);
	must(vm_set_slot(g->vm, SLOT, 0, 0, 0, NULL));
	must(vm_set_slot(g->vm, SLOT, 0, BASE, SIZE, area));
	verify(g, 0, PAGES, 1, 0);
	/* Writes make copies; the file keeps what it had. */
	write_pattern(g, 0, PAGES / 2, 2);
	verify(g, 0, PAGES / 2, 2, 0);
	for (uint64_t page = 0; page < PAGES; page++)
		check(page_holds(shared, page, 1));
	must(madvise(area, SIZE, MADV_DONTNEED));
	verify(g, 0, PAGES, 1, 0);
}

static void hugetlb(void)
{
	size_t size = 4 * 2 * MiB;
	uint8_t *area;
	struct guest *g;

	area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB,
		    -1, 0);
	if (area == MAP_FAILED)
		skip("no huge pages set aside");
	g = new_with(area, size);
	write_pattern(g, 0, size / PAGE, 1);
	verify(g, 0, size / PAGE, 1, 0);
	for (uint64_t page = 0; page < size / PAGE; page++)
		check(page_holds(area, page, 1));
	must(madvise(area + 2 * MiB, 2 * MiB, MADV_DONTNEED));
	verify(g, 0, size / PAGE, 1, 512);
	/* A slot that starts and ends inside of large pages. */
	must(vm_set_slot(g->vm, SLOT, 0, 0, 0, NULL));
	must(vm_set_slot(g->vm, SLOT, 0, BASE, size - 3 * PAGE, area + PAGE));
	write_pattern(g, 0, size / PAGE - 3, 2);
	verify(g, 0, size / PAGE - 3, 2, 0);
	for (uint64_t page = 0; page < size / PAGE - 3; page++)
		check(page_holds(area + PAGE, page, 2));
}

static void transparent_huge(void)
{
	size_t size = 8 * MiB;
	uint8_t *area = map_aligned(size);
	struct guest *g = new_with(area, size);

	if (madvise(area, size, MADV_HUGEPAGE))
		skip("no transparent huge pages");
	memset(area, 0, size);
	write_pattern(g, 0, size / PAGE, 1);
	verify(g, 0, size / PAGE, 1, 0);
	/* Split in the middle, by dropping and by protecting one page. */
	must(madvise(area + 300 * PAGE, PAGE, MADV_DONTNEED));
	must(mprotect(area + 900 * PAGE, PAGE, PROT_READ));
	verify(g, 0, size / PAGE, 1, 1);
	start(g, GUEST_CODE, 900, 1, 2);
	check_equal(guest_run(g), EFAULT);
	must(mprotect(area + 900 * PAGE, PAGE, PROT_READ | PROT_WRITE));
	run_to(g, KVM_EXIT_HLT);
	write_pattern(g, 0, size / PAGE, 3);
	verify(g, 0, size / PAGE, 3, 0);
	if (!madvise(area, size, MADV_COLLAPSE))
		verify(g, 0, size / PAGE, 3, 0);
	/* The slot's offset within 2 MiB differs from the mapping's: small pages must do. */
	must(vm_set_slot(g->vm, SLOT, 0, 0, 0, NULL));
	must(vm_set_slot(g->vm, SLOT, 0, BASE, size - PAGE, area + PAGE));
	write_pattern(g, 0, size / PAGE - 1, 4);
	verify(g, 0, size / PAGE - 1, 4, 0);
	for (uint64_t page = 0; page < size / PAGE - 1; page++)
		check(page_holds(area + PAGE, page, 4));
}

/* Under a guest that runs all the time. */
struct runner {
	struct guest *g;
	volatile bool stop;
	volatile uint64_t rounds, faults;
	const char *volatile trouble;
	pthread_t thread;
};

static void on_signal(int number)
{
}

static void *run_patterns(void *data)
{
	struct runner *runner = data;
	struct guest *g = runner->g;

	for (uint64_t salt = 1; !runner->stop; salt++)
		for (int part = 0; part < 2; part++) {
			start(g, part ? guest_address(g, pattern_verify) : GUEST_CODE, 0, PAGES,
			      salt);
			for (;;) {
				int error = guest_run(g);

				if (error == EFAULT)
					runner->faults++;
				else if (error && error != EINTR)
					runner->trouble = "an unexpected error";
				else if (!error && g->run->exit_reason == KVM_EXIT_HLT)
					break;
				else if (!error)
					runner->trouble = "an unexpected exit";
				if (runner->stop || runner->trouble)
					return NULL;
			}
			if (part && (vcpu_regs(g->vcpu).rdi || vcpu_regs(g->vcpu).r8))
				runner->trouble = "contents lost";
			runner->rounds++;
		}
	return NULL;
}

static void start_runner(struct runner *runner, void *area)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &action, NULL);
	runner->g = new_with(area, SIZE);
	must(pthread_create(&runner->thread, NULL, run_patterns, runner));
}

static void stop_runner(struct runner *runner)
{
	/* On a slow host it may not have come far yet. */
	while (runner->rounds <= 2 && !runner->trouble)
		sleep_ms(1);
	runner->stop = true;
	pthread_kill(runner->thread, SIGUSR1);
	pthread_join(runner->thread, NULL);
	if (runner->trouble)
		fail("%s", runner->trouble);
}

static void running_disturbed(void)
{
	uint8_t *area = map_private(SIZE);
	struct runner runner = { 0 };
	uint64_t end = now_ns() + 4 * NS_PER_S;
	uint64_t seed = 4;

	start_runner(&runner, area);
	/* Nothing here may change a byte: page out, make cold, protect and unprotect, compact. */
	while (now_ns() < end) {
		uint64_t page = random_next(&seed) % (PAGES - 64);

		madvise(area + page * PAGE, 64 * PAGE, MADV_PAGEOUT);
		madvise(area, SIZE, MADV_COLD);
		mprotect(area + page * PAGE, 64 * PAGE, PROT_READ);
		mprotect(area + page * PAGE, 64 * PAGE, PROT_READ | PROT_WRITE);
		if (!(seed & 7))
			write_text("/proc/sys/vm/compact_memory", "1");
		sleep_ms(2);
	}
	stop_runner(&runner);
}

static void running_forked(void)
{
	uint8_t *area = map_private(SIZE);
	struct runner runner = { 0 };

	start_runner(&runner, area);
	for (int i = 0; i < 40; i++) {
		pid_t pid = must(fork());

		if (pid == 0) {
			memset(area, i, SIZE);
			_exit(0);
		}
		must(waitpid(pid, NULL, 0));
		sleep_ms(5);
	}
	stop_runner(&runner);
	check_equal(runner.faults, 0);
}

static void running_unmapped(void)
{
	uint8_t *area = map_private(SIZE);
	struct runner runner = { 0 };

	start_runner(&runner, area);
	for (int i = 0; i < 1000 && runner.rounds < 3; i++)
		sleep_ms(5);
	must(munmap(area, SIZE));
	for (int i = 0; i < 1000 && !runner.faults; i++)
		sleep_ms(5);
	check(runner.faults > 0);
	stop_runner(&runner);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "seen alike by process and guest", shared_with_process },
		{ "MADV_DONTNEED", dont_need },
		{ "the page of zeroes", zero_page },
		{ "MADV_FREE", lazily_freed },
		{ "swapping", swapped_out },
		{ "swapping under pressure", under_pressure, 300 },
		{ "ageing", aged },
		{ "merging (KSM)", merged },
		{ "compaction", compacted, 120 },
		{ "mprotect", protected },
		{ "munmap", unmapped },
		{ "mremap", moved_away },
		{ "mappings replaced", replaced },
		{ "fork, copy on write", forked },
		{ "file, shared mapping", file_shared },
		{ "memfd", memfd_shared },
		{ "file, private mapping", file_private },
		{ "hugetlbfs", hugetlb },
		{ "transparent huge pages", transparent_huge },
		{ "disturbed while running", running_disturbed, 120 },
		{ "forked while running", running_forked, 120 },
		{ "unmapped while running", running_unmapped },
	};

	return RUN_CASES("memory", cases);
}
