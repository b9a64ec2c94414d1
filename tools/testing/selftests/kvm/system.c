// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls of /dev/kvm itself: version, extensions, creation of VMs, lists of MSRs and CPUID
 * leaves; and what every kind of descriptor answers to requests it does not know.
 */
#include "guest.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

GUEST(halt_code, 64, "1:	hlt\n	jmp	1b\n");

static void device_node(void)
{
	struct stat status;

	must(stat("/dev/kvm", &status));
	check(S_ISCHR(status.st_mode));
	check_equal(major(status.st_rdev), 10);
	check_equal(minor(status.st_rdev), 232);
}

static void api_version(void)
{
	int kvm = open_kvm();

	check_equal(must(ioctl(kvm, KVM_GET_API_VERSION, 0)), 12);
	must_fail(ioctl(kvm, KVM_GET_API_VERSION, 1), EINVAL);
}

static void file_operations(void)
{
	int kvm = open_kvm();
	char byte = 0;

	must_fail(read(kvm, &byte, 1), EINVAL);
	must_fail(write(kvm, &byte, 1), EINVAL);
	check(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, kvm, 0) == MAP_FAILED);
	check_equal(errno, ENODEV);
	close(kvm);
	kvm = must(open("/dev/kvm", O_RDONLY | O_CLOEXEC));
	check_equal(must(ioctl(kvm, KVM_GET_API_VERSION, 0)), 12);
	must(ioctl(kvm, KVM_CREATE_VM, 0));
}

static void extensions(void)
{
	static const struct { unsigned long number; const char *name; } basic[] = {
		{ KVM_CAP_USER_MEMORY, "USER_MEMORY" },
		{ KVM_CAP_DESTROY_MEMORY_REGION_WORKS, "DESTROY_MEMORY_REGION_WORKS" },
		{ KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, "JOIN_MEMORY_REGIONS_WORKS" },
		{ KVM_CAP_HLT, "HLT" }, { KVM_CAP_EXT_CPUID, "EXT_CPUID" },
		{ KVM_CAP_SET_TSS_ADDR, "SET_TSS_ADDR" },
		{ KVM_CAP_NOP_IO_DELAY, "NOP_IO_DELAY" }, { KVM_CAP_MP_STATE, "MP_STATE" },
		{ KVM_CAP_SYNC_MMU, "SYNC_MMU" }, { KVM_CAP_USER_NMI, "USER_NMI" },
		{ KVM_CAP_VCPU_EVENTS, "VCPU_EVENTS" }, { KVM_CAP_DEBUGREGS, "DEBUGREGS" },
		{ KVM_CAP_IMMEDIATE_EXIT, "IMMEDIATE_EXIT" },
		{ KVM_CAP_READONLY_MEM, "READONLY_MEM" },
		{ KVM_CAP_CHECK_EXTENSION_VM, "CHECK_EXTENSION_VM" },
		{ KVM_CAP_SYNC_REGS, "SYNC_REGS" }, { KVM_CAP_GET_MSR_FEATURES, "MSR_FEATURES" },
		{ KVM_CAP_XSAVE, "XSAVE" },
		{ KVM_CAP_COALESCED_MMIO, "COALESCED_MMIO" },
		{ KVM_CAP_COALESCED_PIO, "COALESCED_PIO" },
		{ KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, "MANUAL_DIRTY_LOG_PROTECT2" },
	};
	int kvm = open_kvm();
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0));

	for (size_t i = 0; i < ARRAY_SIZE(basic); i++) {
		if (extension(kvm, basic[i].number) <= 0)
			fail("KVM_CAP_%s is missing on the device", basic[i].name);
		if (extension(vm, basic[i].number) <= 0)
			fail("KVM_CAP_%s is missing on the VM", basic[i].name);
	}
	check(extension(kvm, KVM_CAP_NR_VCPUS) >= 1);
	check(extension(kvm, KVM_CAP_MAX_VCPUS) >= extension(kvm, KVM_CAP_NR_VCPUS));
	check(extension(kvm, KVM_CAP_MAX_VCPU_ID) >= extension(kvm, KVM_CAP_MAX_VCPUS));
	check(extension(kvm, KVM_CAP_NR_MEMSLOTS) >= 32764);
}

static void extensions_unknown(void)
{
	static const unsigned long unknown[] = {
		900, 100000, 0x7fffffff, 0x80000000, 0xffffffff, 1ul << 32, -1ul, -1ul << 31,
	};
	int kvm = open_kvm();
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0));

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		check_equal(extension(kvm, unknown[i]), 0);
		check_equal(extension(vm, unknown[i]), 0);
	}
	for (unsigned long number = 0; number < 2000; number++) {
		check(extension(kvm, number) >= 0);
		check(extension(vm, number) >= 0);
	}
}

static void vm_types(void)
{
	int kvm = open_kvm();
	int types = extension(kvm, KVM_CAP_VM_TYPES);
	int vm;

	for (unsigned long type = 1; type < 32; type++)
		if (!(types & 1 << type))
			must_fail(ioctl(kvm, KVM_CREATE_VM, type), EINVAL);
	must_fail(ioctl(kvm, KVM_CREATE_VM, 32), EINVAL);
	must_fail(ioctl(kvm, KVM_CREATE_VM, 1ul << 31), EINVAL);
	must_fail(ioctl(kvm, KVM_CREATE_VM, 1ul << 32), EINVAL);
	must_fail(ioctl(kvm, KVM_CREATE_VM, -1ul), EINVAL);
	vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	check(fcntl(vm, F_GETFD) & FD_CLOEXEC);
}

static void mmap_size(void)
{
	int kvm = open_kvm();
	long size = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));

	must_fail(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 1), EINVAL);
	check(size >= (long)sizeof(struct kvm_run));
	check_equal(size % PAGE, 0);
	check(size >= (long)(PAGE * (extension(kvm, KVM_CAP_COALESCED_MMIO) + 1)));
}

static struct kvm_msr_list *list_new(uint32_t count)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + count * sizeof(list->indices[0]));

	check(list);
	list->nmsrs = count;
	return list;
}

static bool listed(const struct kvm_msr_list *list, uint32_t index)
{
	for (uint32_t i = 0; i < list->nmsrs; i++)
		if (list->indices[i] == index)
			return true;
	return false;
}

/* The list of a request: the count when there is no room, then the list itself. */
static struct kvm_msr_list *list_get(int kvm, unsigned long request)
{
	struct kvm_msr_list *list = list_new(0);
	uint32_t count;

	if (ioctl(kvm, request, list)) {
		check_equal(errno, E2BIG);
		check(list->nmsrs > 0);
	}
	count = list->nmsrs;
	if (count) {
		list = list_new(count);
		list->nmsrs = count - 1;
		list->indices[0] = 0xdeadbeef;
		must_fail(ioctl(kvm, request, list), E2BIG);
		check_equal(list->nmsrs, count);
	}
	list = list_new(count + 10);
	list->indices[count] = 0xdeadbeef;
	must(ioctl(kvm, request, list));
	check_equal(list->nmsrs, count);
	check_equal(list->indices[count], 0xdeadbeef);
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t j = i + 1; j < count; j++)
			check(list->indices[i] != list->indices[j]);
	return list;
}

static void msr_index_list(void)
{
	static const uint32_t basic[] = {
		0x174, 0x175, 0x176, MSR_STAR, MSR_TSC, MSR_LSTAR, 0xc0000083, 0xc0000084,
		MSR_KERNEL_GS_BASE,
	};
	struct guest *g = guest_new(LONG, halt_code);
	struct kvm_msr_list *list = list_get(g->kvm, KVM_GET_MSR_INDEX_LIST);

	must_fail(ioctl(g->kvm, KVM_GET_MSR_INDEX_LIST, NULL), EFAULT);
	for (size_t i = 0; i < ARRAY_SIZE(basic); i++)
		if (!listed(list, basic[i]))
			fail("MSR %#x is not in the list", basic[i]);
	for (uint32_t i = 0; i < list->nmsrs; i++) {
		uint64_t value;

		if (!vcpu_get_msr(g->vcpu, list->indices[i], &value))
			fail("MSR %#x cannot be read", list->indices[i]);
	}
}

static void msr_feature_list(void)
{
	int kvm = open_kvm();
	struct kvm_msr_list *list;
	struct { struct kvm_msrs head; struct kvm_msr_entry entry[2]; } msrs = { { 0 } };

	NEED(kvm, KVM_CAP_GET_MSR_FEATURES);
	list = list_get(kvm, KVM_GET_MSR_FEATURE_INDEX_LIST);
	must_fail(ioctl(kvm, KVM_GET_MSR_FEATURE_INDEX_LIST, NULL), EFAULT);
	for (uint32_t i = 0; i < list->nmsrs; i++) {
		msrs.head.nmsrs = 1;
		msrs.entry[0].index = list->indices[i];
		check_equal(must(ioctl(kvm, KVM_GET_MSRS, &msrs)), 1);
	}
	/* The device's KVM_GET_MSRS knows feature MSRs only, and stops at the first other. */
	msrs.head.nmsrs = 1;
	msrs.entry[0].index = MSR_UNKNOWN;
	check_equal(must(ioctl(kvm, KVM_GET_MSRS, &msrs)), 0);
	msrs.head.nmsrs = 0;
	check_equal(must(ioctl(kvm, KVM_GET_MSRS, &msrs)), 0);
	must_fail(ioctl(kvm, KVM_GET_MSRS, NULL), EFAULT);
}

static void cpuid_list(int kvm, unsigned long request)
{
	struct kvm_cpuid2 *cpuid = cpuid_new(256);
	uint32_t count;

	must_fail(ioctl(kvm, request, NULL), EFAULT);
	cpuid->nent = 0;
	must_fail(ioctl(kvm, request, cpuid), E2BIG);
	cpuid->nent = 256;
	must(ioctl(kvm, request, cpuid));
	count = cpuid->nent;
	check(count > 0 && count < 256);
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < 3; j++)
			check_equal(cpuid->entries[i].padding[j], 0);
	/* The kernel's KVM wants room for one more than it gives with KVM_GET_EMULATED_CPUID. */
	if (request == KVM_GET_SUPPORTED_CPUID) {
		cpuid->nent = count - 1;
		must_fail(ioctl(kvm, request, cpuid), E2BIG);
		cpuid->nent = count;
		must(ioctl(kvm, request, cpuid));
		check_equal(cpuid->nent, count);
	}
	/* More room than entries can ever be is no error; the count is cut to what is there. */
	free(cpuid);
	cpuid = cpuid_new(70000);
	must(ioctl(kvm, request, cpuid));
	check_equal(cpuid->nent, count);
}

static void supported_cpuid(void)
{
	int kvm = open_kvm();
	struct kvm_cpuid2 *cpuid;
	struct kvm_cpuid_entry2 *entry;

	cpuid_list(kvm, KVM_GET_SUPPORTED_CPUID);
	cpuid = cpuid_supported(kvm);
	entry = cpuid_find(cpuid, 0, 0);
	check(entry && entry->eax >= 1);
	entry = cpuid_find(cpuid, 1, 0);
	check(entry && (entry->edx & 1 << 15));			/* CMOV */
	entry = cpuid_find(cpuid, 0x80000001, 0);
	check(entry && (entry->edx & 1 << 29));			/* long mode */
	entry = cpuid_find(cpuid, 0x40000000, 0);
	check(entry && !memcmp(&entry->ebx, "KVMKVMKVM\0\0\0", 12));
	check(cpuid_find(cpuid, 0x40000001, 0));
	check(cpuid_find(cpuid, 0x80000008, 0));
}

static void emulated_cpuid(void)
{
	int kvm = open_kvm();

	NEED(kvm, KVM_CAP_EXT_EMUL_CPUID);
	cpuid_list(kvm, KVM_GET_EMULATED_CPUID);
}

static void unknown_requests(void)
{
	static const unsigned long unknown[] = {
		_IO(KVMIO, 0xfe), _IOW(KVMIO, 0xfe, uint64_t), _IOWR(KVMIO, 0xff, char[200]),
		_IO(0x11, 0x01),
	};
	struct guest *g = guest_new(LONG, halt_code);
	uint8_t buffer[256] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		must_fail(ioctl(g->kvm, unknown[i], buffer), EINVAL);
		must_fail(ioctl(g->vm, unknown[i], buffer), ENOTTY);
		/* A request of another type gets another answer on a vcpu, see below. */
		if (i < 3)
			must_fail(ioctl(g->vcpu, unknown[i], buffer), EINVAL);
	}
	must_fail(ioctl(g->vcpu, _IO(0x11, 0x01), buffer), EINVAL);
	/* Requests of the wrong kind of descriptor. */
	must_fail(ioctl(g->kvm, KVM_RUN, 0), EINVAL);
	must_fail(ioctl(g->kvm, KVM_CREATE_VCPU, 0), EINVAL);
	must_fail(ioctl(g->vm, KVM_RUN, 0), ENOTTY);
	must_fail(ioctl(g->vm, KVM_CREATE_VM, 0), ENOTTY);
	must_fail(ioctl(g->vm, KVM_GET_API_VERSION, 0), ENOTTY);
	must_fail(ioctl(g->vcpu, KVM_CREATE_VCPU, 1), EINVAL);
	must_fail(ioctl(g->vcpu, KVM_GET_API_VERSION, 0), EINVAL);
	run_to(g, KVM_EXIT_HLT);
}

/* The size is part of a request's number: another size is another request. */
static void wrong_sizes(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	uint8_t buffer[4096] = { 0 };

	must_fail(ioctl(g->vcpu, _IOR(KVMIO, 0x81, char[8]), buffer), EINVAL);
	must_fail(ioctl(g->vcpu, _IOW(KVMIO, 0x84, char[8]), buffer), EINVAL);
	must_fail(ioctl(g->vm, _IOW(KVMIO, 0x46, char[8]), buffer), ENOTTY);
	must_fail(ioctl(g->kvm, _IOWR(KVMIO, 0x05, char[16]), buffer), EINVAL);
	run_to(g, KVM_EXIT_HLT);
}

static void bad_pointers(void)
{
	static const unsigned long vcpu_requests[] = {
		KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS, KVM_GET_FPU,
		KVM_SET_FPU, KVM_GET_MSRS, KVM_SET_MSRS, KVM_SET_CPUID, KVM_SET_CPUID2,
		KVM_GET_CPUID2, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, KVM_GET_DEBUGREGS,
		KVM_SET_DEBUGREGS, KVM_GET_XSAVE, KVM_SET_XSAVE, KVM_GET_XCRS, KVM_SET_XCRS,
		KVM_GET_MP_STATE, KVM_SET_MP_STATE, KVM_TRANSLATE, KVM_INTERRUPT,
		KVM_SET_GUEST_DEBUG, KVM_GET_SREGS2, KVM_SET_SREGS2,
	};
	static const unsigned long vm_requests[] = {
		KVM_SET_USER_MEMORY_REGION, KVM_SET_USER_MEMORY_REGION2, KVM_GET_DIRTY_LOG,
		KVM_REGISTER_COALESCED_MMIO, KVM_UNREGISTER_COALESCED_MMIO, KVM_ENABLE_CAP,
	};
	struct guest *g = guest_new(LONG, halt_code);
	uint8_t *edge = map_pages(2 * PAGE);

	must(munmap(edge + PAGE, PAGE));
	for (size_t i = 0; i < ARRAY_SIZE(vcpu_requests); i++) {
		must_fail(ioctl(g->vcpu, vcpu_requests[i], NULL), EFAULT);
		must_fail(ioctl(g->vcpu, vcpu_requests[i], -1ul << 47), EFAULT);
		must_fail(ioctl(g->vcpu, vcpu_requests[i], edge + PAGE - 3), EFAULT);
	}
	for (size_t i = 0; i < ARRAY_SIZE(vm_requests); i++) {
		must_fail(ioctl(g->vm, vm_requests[i], NULL), EFAULT);
		must_fail(ioctl(g->vm, vm_requests[i], -4096l), EFAULT);
	}
	run_to(g, KVM_EXIT_HLT);
}

static void vm_addresses(void)
{
	int kvm = open_kvm();
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	uint64_t address = 0xfffbc000;

	must(ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000));
	must_fail(ioctl(vm, KVM_SET_TSS_ADDR, -1ul), EINVAL);
	must_fail(ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, NULL), EFAULT);
	must(ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &address));
	must(ioctl(vm, KVM_CREATE_VCPU, 0));
	must_fail(ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &address), EINVAL);
}

static void descriptors_exhausted(void)
{
	int kvm = open_kvm();
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	struct rlimit limit = { .rlim_cur = 64, .rlim_max = 64 };
	int top = 0;
	int fd;

	/* All descriptors are taken; creation fails and leaves nothing behind. */
	must(setrlimit(RLIMIT_NOFILE, &limit));
	while ((fd = dup(kvm)) >= 0)
		top = fd;
	must_fail(ioctl(kvm, KVM_CREATE_VM, 0), EMFILE);
	must_fail(ioctl(vm, KVM_CREATE_VCPU, 0), EMFILE);
	close(top);
	must(ioctl(vm, KVM_CREATE_VCPU, 0));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "device node", device_node },
		{ "API version", api_version },
		{ "read, write, mmap, open for reading", file_operations },
		{ "extensions everybody needs", extensions },
		{ "unknown extensions", extensions_unknown },
		{ "types of VM", vm_types },
		{ "size of the vcpu mapping", mmap_size },
		{ "KVM_GET_MSR_INDEX_LIST", msr_index_list },
		{ "KVM_GET_MSR_FEATURE_INDEX_LIST and its MSRs", msr_feature_list },
		{ "KVM_GET_SUPPORTED_CPUID", supported_cpuid },
		{ "KVM_GET_EMULATED_CPUID", emulated_cpuid },
		{ "unknown requests", unknown_requests },
		{ "requests of a wrong size", wrong_sizes },
		{ "bad pointers", bad_pointers },
		{ "KVM_SET_TSS_ADDR, KVM_SET_IDENTITY_MAP_ADDR", vm_addresses },
		{ "no descriptor left", descriptors_exhausted },
	};

	return RUN_CASES("system", cases);
}
