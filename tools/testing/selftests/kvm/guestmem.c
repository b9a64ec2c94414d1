// SPDX-License-Identifier: GPL-2.0
/*
 * Memory ahead of its use and memory that userspace does not see: KVM_PRE_FAULT_MEMORY,
 * KVM_CREATE_GUEST_MEMFD, KVM_SET_MEMORY_ATTRIBUTES, and what is said of memory that is not there
 * (KVM_EXIT_MEMORY_FAULT). KVM API document, sections 4.140 to 4.143 and 5.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "guest.h"

#define SLOT	1
#define BASE	0x10000000ull
#define PAGES	64ul

/* RBX: address, RCX: pages. Reads a word of each. */
GUEST(read_code, 64,
	"1:	mov	(%rbx), %rax\n"
	"	add	$4096, %rbx\n"
	"	dec	%rcx\n"
	"	jnz	1b\n"
	"	hlt\n");

static struct guest *reader(void *area)
{
	struct guest *g = guest_new(LONG, read_code);
	struct kvm_regs regs = vcpu_regs(g->vcpu);

	must(vm_set_slot(g->vm, SLOT, 0, BASE, PAGES * PAGE, area));
	regs.rbx = BASE;
	regs.rcx = PAGES;
	vcpu_set_regs(g->vcpu, &regs);
	return g;
}

/* ---- ahead ----------------------------------------------------------------------------------- */

static void need_ahead(struct guest *g)
{
	struct kvm_pre_fault_memory range = { .gpa = BASE, .size = PAGE };

	if (nested_paging()) {
		check_equal(extension(g->vm, KVM_CAP_PRE_FAULT_MEMORY), 1);
		return;
	}
	check_equal(extension(g->vm, KVM_CAP_PRE_FAULT_MEMORY), 0);
	must_fail(ioctl(g->vcpu, KVM_PRE_FAULT_MEMORY, &range), EOPNOTSUPP);
	check_equal(range.size, PAGE);
	skip("shadow paging");
}

static void ahead(void)
{
	struct kvm_pre_fault_memory range = { .gpa = BASE, .size = PAGES * PAGE };
	void *area = map_pages(PAGES * PAGE);
	struct guest *g = reader(area);
	uint64_t before;

	need_ahead(g);
	memset(area, 1, PAGES * PAGE);
	while (range.size)
		must(ioctl(g->vcpu, KVM_PRE_FAULT_MEMORY, &range));
	check_equal(range.gpa, BASE + PAGES * PAGE);

	/* Those of the code and the tables remain, which are few. */
	before = vcpu_stat(g->vcpu, "pf_taken");
	run_to(g, KVM_EXIT_HLT);
	check(vcpu_stat(g->vcpu, "pf_taken") - before < 16);
}

static void ahead_of_the_end(void)
{
	struct kvm_pre_fault_memory range = { .gpa = BASE + (PAGES - 1) * PAGE, .size = 3 * PAGE };
	struct guest *g = reader(map_pages(PAGES * PAGE));

	need_ahead(g);
	/* What can be done is done, and what stands against the rest is told then. */
	must(ioctl(g->vcpu, KVM_PRE_FAULT_MEMORY, &range));
	check_equal(range.gpa, BASE + PAGES * PAGE);
	check_equal(range.size, 2 * PAGE);
	must_fail(ioctl(g->vcpu, KVM_PRE_FAULT_MEMORY, &range), ENOENT);
	check_equal(range.size, 2 * PAGE);
	range.gpa = 1ull << 60;
	must_fail(ioctl(g->vcpu, KVM_PRE_FAULT_MEMORY, &range), ENOENT);
}

static void ahead_bad_arguments(void)
{
	struct kvm_pre_fault_memory range = { .gpa = BASE, .size = PAGE, .flags = 1 };
	struct guest *g = reader(map_pages(PAGES * PAGE));

	must_fail(ioctl(g->vcpu, KVM_PRE_FAULT_MEMORY, &range), EINVAL);
	range.flags = 0;
	range.size = 0;
	must_fail(ioctl(g->vcpu, KVM_PRE_FAULT_MEMORY, &range), EINVAL);
	range.size = PAGE + 1;
	must_fail(ioctl(g->vcpu, KVM_PRE_FAULT_MEMORY, &range), EINVAL);
	range.size = PAGE;
	range.gpa = BASE + 8;
	must_fail(ioctl(g->vcpu, KVM_PRE_FAULT_MEMORY, &range), EINVAL);
	range.gpa = -PAGE;
	range.size = 2 * PAGE;
	must_fail(ioctl(g->vcpu, KVM_PRE_FAULT_MEMORY, &range), EINVAL);
	must_fail(ioctl(g->vcpu, KVM_PRE_FAULT_MEMORY, NULL), EFAULT);
}

/* ---- gone ------------------------------------------------------------------------------------ */

static void memory_fault(void)
{
	void *area = map_pages(PAGES * PAGE);
	struct kvm_pre_fault_memory range = { .gpa = BASE + 4 * PAGE, .size = PAGE };
	struct guest *g = reader(area);

	check_equal(extension(g->vm, KVM_CAP_MEMORY_FAULT_INFO), 1);
	must(munmap((char *)area + 4 * PAGE, PAGE));
	check_equal(guest_run(g), EFAULT);
	check_equal(g->run->exit_reason, KVM_EXIT_MEMORY_FAULT);
	check_equal(g->run->memory_fault.gpa, BASE + 4 * PAGE);
	check_equal(g->run->memory_fault.size, PAGE);
	check_equal(g->run->memory_fault.flags, 0);
	if (nested_paging())
		must_fail(ioctl(g->vcpu, KVM_PRE_FAULT_MEMORY, &range), EFAULT);
}

/* ---- files of memory ------------------------------------------------------------------------- */

static int new_memfd(int vm, uint64_t size, uint64_t flags)
{
	struct kvm_create_guest_memfd args = { .size = size, .flags = flags };

	return ioctl(vm, KVM_CREATE_GUEST_MEMFD, &args);
}

static int new_vm(void)
{
	int kvm = open_kvm();

	NEED(kvm, KVM_CAP_GUEST_MEMFD);
	return must(ioctl(kvm, KVM_CREATE_VM, 0));
}

static void memfd(void)
{
	int vm = new_vm();
	int fd = must(new_memfd(vm, 4 * PAGE, 0));
	struct stat st;
	char byte = 1;

	must(fstat(fd, &st));
	check_equal(st.st_size, 4 * PAGE);
	must_fail(read(fd, &byte, 1), EINVAL);
	must_fail(write(fd, &byte, 1), EINVAL);
	check(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	must_fail(ftruncate(fd, PAGE), EINVAL);

	must(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4 * PAGE));
	must(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, PAGE, PAGE));
	must(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 8 * PAGE, PAGE));
	must_fail(fallocate(fd, 0, 0, PAGE), EOPNOTSUPP);
	must_fail(fallocate(fd, FALLOC_FL_KEEP_SIZE, 4 * PAGE, PAGE), EINVAL);
	must_fail(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100), EINVAL);
	must_fail(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 100, PAGE), EINVAL);
	/* The file outlives the VM. */
	close(vm);
	must(fallocate(fd, FALLOC_FL_KEEP_SIZE, PAGE, PAGE));
}

static void memfd_bad_arguments(void)
{
	int vm = new_vm();

	must_fail(new_memfd(vm, 0, 0), EINVAL);
	must_fail(new_memfd(vm, PAGE + 1, 0), EINVAL);
	must_fail(new_memfd(vm, -PAGE, 0), EINVAL);
	for (unsigned int bit = 0; bit < 64; bit++)
		must_fail(new_memfd(vm, PAGE, 1ull << bit), EINVAL);
	must_fail(ioctl(vm, KVM_CREATE_GUEST_MEMFD, NULL), EFAULT);
}

/* No VM there is keeps memory from its userspace. */
static void no_private_memory(void)
{
	struct kvm_memory_attributes attributes = { .address = BASE, .size = PAGE };
	struct kvm_userspace_memory_region2 region = {
		.slot = SLOT, .flags = KVM_MEM_GUEST_MEMFD, .guest_phys_addr = BASE,
		.memory_size = PAGE,
	};
	int vm = new_vm();

	check_equal(extension(vm, KVM_CAP_GUEST_MEMFD), 0);
	check_equal(extension(vm, KVM_CAP_MEMORY_ATTRIBUTES), 0);
	region.userspace_addr = (uintptr_t)map_pages(PAGE);
	region.guest_memfd = must(new_memfd(vm, PAGE, 0));
	must_fail(ioctl(vm, KVM_SET_USER_MEMORY_REGION2, &region), EINVAL);
	region.flags = 0;
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION2, &region));

	must(ioctl(vm, KVM_SET_MEMORY_ATTRIBUTES, &attributes));
	attributes.attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE;
	must_fail(ioctl(vm, KVM_SET_MEMORY_ATTRIBUTES, &attributes), EINVAL);
	attributes.attributes = 0;
	attributes.flags = 1;
	must_fail(ioctl(vm, KVM_SET_MEMORY_ATTRIBUTES, &attributes), EINVAL);
	attributes.flags = 0;
	attributes.size = 0;
	must_fail(ioctl(vm, KVM_SET_MEMORY_ATTRIBUTES, &attributes), EINVAL);
	attributes.size = PAGE;
	attributes.address = BASE + 1;
	must_fail(ioctl(vm, KVM_SET_MEMORY_ATTRIBUTES, &attributes), EINVAL);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "pages that are mapped ahead do not fault", ahead },
		{ "a range that ends beyond the slot", ahead_of_the_end },
		{ "mapping ahead: bad arguments", ahead_bad_arguments },
		{ "memory that is gone", memory_fault },
		{ "guest_memfd", memfd },
		{ "guest_memfd: bad arguments", memfd_bad_arguments },
		{ "private memory is not offered", no_private_memory },
	};

	return RUN_CASES("guestmem", cases);
}
