// SPDX-License-Identifier: GPL-2.0
/*
 * Page faults that shadow paging spares the guest, and that nothing else comes of it: neighbours
 * mapped along with a page, writes that only the dirty log stands against, and entries that the
 * guest write-protected; and faults of the guest's own that need no exit.
 */
#include <sys/mman.h>
#include "guest.h"

#define SLOT	1
#define BASE	0x1000000ull		/* 16 MiB; the guest has large pages there */
#define PAGES	64ull

/* A table of small pages for the 2 MiB from WINDOW on, all of them in the guest's own memory */
#define TABLE	0x21000u
#define WINDOW	0x200000u
#define OTHER	0x210000u
#define PTE_A	(1ull << 5)
#define PTE_D	(1ull << 6)

/* RBX: address, RCX: pages; or RDI: address of an entry, RBX: its value, RSI: the page's address */
GUEST(fault_code, 64,
	"fault_read:	mov	(%rbx), %rax\n"
	"	add	$0x1000, %rbx\n"
	"	dec	%rcx\n"
	"	jnz	fault_read\n"
	"	hlt\n"
	"fault_write:	mov	%rcx, (%rbx)\n"
	"	add	$0x1000, %rbx\n"
	"	dec	%rcx\n"
	"	jnz	fault_write\n"
	"	hlt\n"
	"fault_change:	mov	%rbx, (%rdi)\n"
	"	invlpg	(%rsi)\n"
	"	mov	(%rsi), %rax\n"
	"	hlt\n"
	"fault_map:	mov	%rbx, (%rdi)\n"
	"	mov	(%rsi), %rax\n"
	"	hlt\n"
	/* RCX times, all but the last of which are skipped by the handler */
	"fault_again:	mov	(%rbx), %rax\n"
	"	dec	%rcx\n"
	"	jnz	fault_again\n"
	"	hlt\n"
	"fault_handler:	incq	0xa000\n"		/* GUEST_DATA */
	"	addq	$3, 8(%rsp)\n"
	"	add	$8, %rsp\n"
	"	iretq\n");
extern const uint8_t fault_read[], fault_write[], fault_change[], fault_map[], fault_again[], fault_handler[];

static struct guest *new_guest(void)
{
	if (nested_paging())
		skip("not with nested paging");
	return guest_new(LONG, fault_code);
}

static void go_to(struct guest *g, const uint8_t *label, uint64_t rbx, uint64_t rcx)
{
	struct kvm_regs regs = vcpu_regs(g->vcpu);

	regs.rip = guest_address(g, label);
	regs.rbx = rbx;
	regs.rcx = rcx;
	vcpu_set_regs(g->vcpu, &regs);
}

static void touch(struct guest *g, const uint8_t *label, uint64_t page, uint64_t pages)
{
	go_to(g, label, BASE + page * PAGE, pages);
	run_to(g, KVM_EXIT_HLT);
}

static uint64_t faults(struct guest *g)
{
	return vcpu_stat(g->vcpu, "pf_taken");
}

/* Of the host's, none of which are there yet */
static uint8_t *small_pages(uint64_t pages)
{
	uint8_t *area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(area != MAP_FAILED);
	madvise(area, pages * PAGE, MADV_NOHUGEPAGE);
	return area;
}

/* ---- neighbours ------------------------------------------------------------------------------ */

static void mapped_along(void)
{
	struct guest *g = new_guest();
	uint8_t *area = small_pages(PAGES);
	uint64_t before;

	memset(area, 1, PAGES * PAGE);
	must(vm_set_slot(g->vm, SLOT, 0, BASE, PAGES * PAGE, area));
	touch(g, fault_read, 0, 1);
	before = faults(g);
	touch(g, fault_read, 0, PAGES);
	check(faults(g) - before <= PAGES / 4);
	/* Writable as well, and these very pages */
	before = faults(g);
	touch(g, fault_write, 0, PAGES);
	check(faults(g) - before <= PAGES / 4);
	for (uint64_t i = 0; i < PAGES; i++)
		check_equal(*(uint64_t *)(area + i * PAGE), PAGES - i);
}

static void absent_pages(void)
{
	struct guest *g = new_guest();
	uint8_t *area = small_pages(PAGES);
	uint8_t there[PAGES];

	area[0] = area[PAGE] = area[3 * PAGE] = 1;
	must(vm_set_slot(g->vm, SLOT, 0, BASE, PAGES * PAGE, area));
	touch(g, fault_read, 0, 1);
	must(mincore(area, PAGES * PAGE, there));
	for (uint64_t i = 0; i < PAGES; i++)
		check_equal(there[i] & 1, i < 2 || i == 3);
}

static void protected_pages(void)
{
	struct guest *g = new_guest();
	uint8_t *area = small_pages(PAGES);

	memset(area, 1, PAGES * PAGE);
	must(mprotect(area + PAGE, PAGE, PROT_READ));
	must(vm_set_slot(g->vm, SLOT, 0, BASE, PAGES * PAGE, area));
	touch(g, fault_write, 0, 1);
	touch(g, fault_read, 1, 1);
	go_to(g, fault_write, BASE + PAGE, 1);
	check_equal(guest_run(g), EFAULT);
	check_equal(area[PAGE], 1);
}

static void end_of_slot(void)
{
	struct guest *g = new_guest();
	uint8_t *area = small_pages(PAGES);

	memset(area, 1, PAGES * PAGE);
	must(vm_set_slot(g->vm, SLOT, 0, BASE, 4 * PAGE, area));
	touch(g, fault_read, 2, 1);
	go_to(g, fault_read, BASE + 3 * PAGE, 2);
	run_to_mmio_read(g, BASE + 4 * PAGE, 8, 0);
}

/* The notifier finds those that nobody touched, too. */
static void taken_away(void)
{
	struct guest *g = new_guest();
	uint8_t *area = small_pages(PAGES);

	memset(area, 1, PAGES * PAGE);
	must(vm_set_slot(g->vm, SLOT, 0, BASE, PAGES * PAGE, area));
	touch(g, fault_read, 0, 1);
	must(madvise(area + PAGE, 7 * PAGE, MADV_DONTNEED));
	touch(g, fault_read, 1, 1);
	check_equal(vcpu_regs(g->vcpu).rax, 0);
	must(munmap(area + 2 * PAGE, PAGE));
	go_to(g, fault_read, BASE + 2 * PAGE, 1);
	check_equal(guest_run(g), EFAULT);
}

/* ---- the dirty log --------------------------------------------------------------------------- */

static void logged_writes(void)
{
	struct guest *g = new_guest();
	uint8_t *area = small_pages(PAGES);
	uint64_t bitmap, before;
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = &bitmap };

	memset(area, 1, PAGES * PAGE);
	must(vm_set_slot(g->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, BASE, PAGES * PAGE, area));
	touch(g, fault_write, 0, PAGES);
	for (int i = 0; i < 3; i++) {
		must(ioctl(g->vm, KVM_GET_DIRTY_LOG, &log));
		check_equal(bitmap, ~0ull);
		before = vcpu_stat(g->vcpu, "pf_fast");
		touch(g, fault_write, 0, PAGES);
		check(vcpu_stat(g->vcpu, "pf_fast") - before >= PAGES - 4);
	}
	must(ioctl(g->vm, KVM_GET_DIRTY_LOG, &log));
	touch(g, fault_write, 5, 2);
	must(ioctl(g->vm, KVM_GET_DIRTY_LOG, &log));
	check_equal(bitmap, 3ull << 5);
}

/* Below a table of the guest's, where the write is to be the user's, who may not */
static void logged_supervisor(void)
{
	struct guest *g = new_guest();
	uint64_t *table = (uint64_t *)(g->memory + TABLE);

	guest_map_4k(g, TABLE, WINDOW);
	table[0] &= ~PTE_U;
	must(vm_set_slot(g->vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, GUEST_MEMORY, g->memory));
	go_to(g, fault_write, WINDOW, 1);
	run_to(g, KVM_EXIT_HLT);
	must(vm_set_slot(g->vm, 0, 0, 0, GUEST_MEMORY, g->memory));
	must(vm_set_slot(g->vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, GUEST_MEMORY, g->memory));
	guest_to_user(g);
	go_to(g, fault_write, WINDOW, 2);
	run_to_exception(g, VECTOR_PF, 7);
	check_equal(*(uint64_t *)(g->memory + WINDOW), 1);
}

/* ---- entries that lose a right --------------------------------------------------------------- */

static uint64_t change(struct guest *g, uint64_t entry)
{
	struct kvm_regs regs = vcpu_regs(g->vcpu);

	regs.rip = guest_address(g, fault_change);
	regs.rdi = TABLE;
	regs.rbx = entry;
	regs.rsi = WINDOW;
	vcpu_set_regs(g->vcpu, &regs);
	run_to(g, KVM_EXIT_HLT);
	return vcpu_regs(g->vcpu).rax;
}

static void write_protected(void)
{
	const uint64_t entry = WINDOW | PTE_P | PTE_U | PTE_A;
	struct guest *g = new_guest();
	uint64_t *table = (uint64_t *)(g->memory + TABLE), before;

	guest_map_4k(g, TABLE, WINDOW);
	*(uint64_t *)(g->memory + WINDOW) = 11;
	*(uint64_t *)(g->memory + OTHER) = 22;
	/* The first of these has its table written, the second installs what is then changed. */
	check_equal(change(g, entry | PTE_W | PTE_D), 11);
	check_equal(change(g, entry | PTE_W | PTE_D), 11);
	before = faults(g);
	check_equal(change(g, entry), 11);
	check_equal(faults(g), before);
	go_to(g, fault_write, WINDOW, 1);
	run_to_exception(g, VECTOR_PF, 3);
	check_equal(*(uint64_t *)(g->memory + WINDOW), 11);

	/* The write that is allowed again sets the dirty bit. */
	check_equal(change(g, entry | PTE_W | PTE_D), 11);
	check_equal(change(g, entry | PTE_W), 11);
	check(!(table[0] & PTE_D));
	go_to(g, fault_write, WINDOW, 1);
	run_to(g, KVM_EXIT_HLT);
	check(table[0] & PTE_D);
	check_equal(*(uint64_t *)(g->memory + WINDOW), 1);

	/* Another page without the right to write */
	check_equal(change(g, (entry ^ WINDOW) | OTHER), 22);
	check_equal(change(g, entry), 1);
}

/* ---- the guest's own faults -------------------------------------------------------------------- */

#define TIMES		1000
/* A host that is emulated ends each stay in the guest after 10 ms. */
#define OWN_EXITS_PER_S	110

static uint64_t *count_of(struct guest *g)
{
	return (uint64_t *)(g->memory + GUEST_DATA);
}

/* Faults one after another, each of which the guest's handler gets. */
static void fault_often(struct guest *g, uint64_t address)
{
	bool bypassed = read_number("/sys/module/kvm_intel/parameters/ple_gap") >= 0 &&
			!module_parameter_off("/sys/module/kvm_intel/parameters/bypass_guest_pf");
	uint64_t exits = vcpu_stat(g->vcpu, "exits"), start = now_ns(), most;

	*count_of(g) = 0;
	go_to(g, fault_again, address, TIMES);
	run_to(g, KVM_EXIT_HLT);
	check_equal(*count_of(g), TIMES);
	exits = vcpu_stat(g->vcpu, "exits") - exits;
	most = 20 + (now_ns() - start) * OWN_EXITS_PER_S / NS_PER_S;
	note("%llu exits for %u faults", (unsigned long long)exits, TIMES);
	if (bypassed)
		check(exits < most);
	else
		check(exits >= TIMES);
}

/* The entry is written, and the page is there at once: nothing had to be flushed. */
static uint64_t map_and_read(struct guest *g, uint64_t entry, uint64_t value, uint64_t address)
{
	struct kvm_regs regs;

	*count_of(g) = 0;
	go_to(g, fault_map, value, 0);
	regs = vcpu_regs(g->vcpu);
	regs.rdi = entry;
	regs.rsi = address;
	vcpu_set_regs(g->vcpu, &regs);
	run_to(g, KVM_EXIT_HLT);
	check_equal(*count_of(g), 0);
	return vcpu_regs(g->vcpu).rax;
}

static void own_faults(void)
{
	struct guest *g = new_guest();
	uint64_t *pt = (uint64_t *)(g->memory + TABLE), *pd = (uint64_t *)(g->memory + GUEST_PD);
	uint64_t at = OTHER + 2 * MiB;

	guest_gate(g, VECTOR_PF, guest_address(g, fault_handler));
	guest_map_4k(g, TABLE, WINDOW);
	*(uint64_t *)(g->memory + OTHER) = 0x1234;
	pt[(OTHER - WINDOW) / PAGE] = 0;
	pd[WINDOW / (2 * MiB) + 1] = 0;
	/* Tables of the last level, and of the one above it */
	go_to(g, fault_read, WINDOW, 1);
	run_to(g, KVM_EXIT_HLT);
	fault_often(g, OTHER);
	fault_often(g, at);
	check_equal(map_and_read(g, TABLE + (OTHER - WINDOW) / PAGE * 8, OTHER | PTE_P | PTE_W, OTHER), 0x1234);
	check_equal(map_and_read(g, GUEST_PD + (WINDOW / (2 * MiB) + 1) * 8, TABLE | PTE_P | PTE_W, at), 0x1234);
	/* Not so fast where the guest has begun to write. */
	pt[(OTHER - WINDOW) / PAGE + 1] = 0;
	go_to(g, fault_again, OTHER + PAGE, 3);
	run_to(g, KVM_EXIT_HLT);
	check_equal(*count_of(g), 3);
	check_equal(map_and_read(g, TABLE + ((OTHER - WINDOW) / PAGE + 1) * 8, OTHER | PTE_P | PTE_W, OTHER + PAGE),
		    0x1234);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "neighbours are mapped along", mapped_along },
		{ "... but not brought in", absent_pages },
		{ "... nor what the host write-protects", protected_pages },
		{ "... nor beyond the slot", end_of_slot },
		{ "... and go when the host takes them", taken_away },
		{ "the first write under the dirty log", logged_writes },
		{ "... by whom the guest's tables allow it", logged_supervisor },
		{ "write-protected by the guest, and read", write_protected },
		{ "faults of the guest's own", own_faults },
	};

	return RUN_CASES("pagefaults", cases);
}
