// SPDX-License-Identifier: GPL-2.0
/*
 * Every request of every kind of descriptor with garbage: random structures, plausible ones with
 * a few bits changed, bad pointers, small numbers; a bounded number of calls from a known seed.
 * Nothing may crash or hang, and afterwards the VM can be torn down and another one runs.
 *
 *     fuzz-ioctl [calls per case] [seed]
 *
 * KVM_RUN is called with immediate_exit only: what a processor does in a state of nonsense is not
 * the question here (and kills some emulated processors).
 */
#include "guest.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>

#define BUFFER	(8 * PAGE)

static unsigned long calls = 20000;
static uint64_t first_seed = 1;

static const unsigned long device_requests[] = {
	KVM_GET_API_VERSION, KVM_CREATE_VM, KVM_GET_MSR_INDEX_LIST, KVM_CHECK_EXTENSION,
	KVM_GET_VCPU_MMAP_SIZE, KVM_GET_SUPPORTED_CPUID, KVM_GET_EMULATED_CPUID,
	KVM_GET_MSR_FEATURE_INDEX_LIST, KVM_GET_MSRS, KVM_X86_GET_MCE_CAP_SUPPORTED,
	KVM_GET_SUPPORTED_HV_CPUID, KVM_GET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR,
};

static const unsigned long vm_requests[] = {
	KVM_CREATE_VCPU, KVM_GET_DIRTY_LOG, KVM_SET_NR_MMU_PAGES, KVM_GET_NR_MMU_PAGES,
	KVM_SET_USER_MEMORY_REGION, KVM_SET_TSS_ADDR, KVM_SET_IDENTITY_MAP_ADDR,
	KVM_SET_USER_MEMORY_REGION2, KVM_CREATE_IRQCHIP, KVM_IRQ_LINE, KVM_IRQ_LINE_STATUS,
	KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, KVM_CREATE_PIT, KVM_CREATE_PIT2, KVM_GET_PIT,
	KVM_SET_PIT, KVM_GET_PIT2, KVM_SET_PIT2, KVM_REGISTER_COALESCED_MMIO,
	KVM_UNREGISTER_COALESCED_MMIO, KVM_SET_GSI_ROUTING, KVM_REINJECT_CONTROL, KVM_IRQFD,
	KVM_SET_BOOT_CPU_ID, KVM_IOEVENTFD, KVM_SET_CLOCK, KVM_GET_CLOCK, KVM_SIGNAL_MSI,
	KVM_CREATE_DEVICE, KVM_CHECK_EXTENSION, KVM_ENABLE_CAP, KVM_CLEAR_DIRTY_LOG,
	KVM_MEMORY_ENCRYPT_OP, KVM_MEMORY_ENCRYPT_REG_REGION, KVM_MEMORY_ENCRYPT_UNREG_REGION,
	KVM_HYPERV_EVENTFD, KVM_SET_PMU_EVENT_FILTER, KVM_X86_SET_MSR_FILTER,
	KVM_RESET_DIRTY_RINGS, KVM_XEN_HVM_CONFIG, KVM_XEN_HVM_GET_ATTR, KVM_XEN_HVM_SET_ATTR,
	KVM_GET_STATS_FD, KVM_SET_TSC_KHZ, KVM_GET_TSC_KHZ, KVM_SET_MEMORY_ATTRIBUTES,
	KVM_CREATE_GUEST_MEMFD, KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR,
};

static const unsigned long vcpu_requests[] = {
	KVM_RUN, KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS, KVM_TRANSLATE,
	KVM_INTERRUPT, KVM_GET_MSRS, KVM_SET_MSRS, KVM_SET_CPUID, KVM_SET_SIGNAL_MASK,
	KVM_GET_FPU, KVM_SET_FPU, KVM_GET_LAPIC, KVM_SET_LAPIC, KVM_SET_CPUID2, KVM_GET_CPUID2,
	KVM_TPR_ACCESS_REPORTING, KVM_SET_VAPIC_ADDR, KVM_GET_MP_STATE, KVM_SET_MP_STATE,
	KVM_NMI, KVM_SET_GUEST_DEBUG, KVM_X86_SETUP_MCE, KVM_X86_GET_MCE_CAP_SUPPORTED,
	KVM_X86_SET_MCE, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, KVM_GET_DEBUGREGS,
	KVM_SET_DEBUGREGS, KVM_ENABLE_CAP, KVM_GET_XSAVE, KVM_SET_XSAVE, KVM_GET_XSAVE2,
	KVM_GET_XCRS, KVM_SET_XCRS, KVM_SET_TSC_KHZ, KVM_GET_TSC_KHZ, KVM_KVMCLOCK_CTRL,
	KVM_GET_DEVICE_ATTR, KVM_SET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR, KVM_GET_NESTED_STATE,
	KVM_SET_NESTED_STATE, KVM_GET_SUPPORTED_HV_CPUID, KVM_XEN_VCPU_GET_ATTR,
	KVM_XEN_VCPU_SET_ATTR, KVM_GET_SREGS2, KVM_SET_SREGS2, KVM_GET_STATS_FD, KVM_SMI,
	KVM_PRE_FAULT_MEMORY,
};

GUEST(halt_code, 64, "1:	hlt\n	jmp	1b\n");

static uint8_t *buffer, *edge;
static uint64_t seed;

static void on_alarm(int number)
{
}

static uint64_t interesting(void)
{
	static const uint64_t values[] = {
		0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 255, 256, 4095, 4096, 4097, 0x7fff,
		0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32,
		1ull << 47, 1ull << 48, 1ull << 63, -1ull, -2ull, -4096ull, 0xfee00000,
		0xc0000080, 0x1b, 0x10, 0x4b564d00, 0x40000000,
	};

	return values[random_next(&seed) % ARRAY_SIZE(values)];
}

/* A structure: zeroes, or what was there before, with some words changed. */
static void fill_buffer(size_t size)
{
	size_t words = size / 4 + 8;
	uint64_t kind = random_next(&seed) % 4;

	if (words > BUFFER / 4)
		words = BUFFER / 4;
	if (kind == 0)
		memset(buffer, 0, BUFFER);
	if (kind == 1)
		for (size_t i = 0; i < words; i++)
			((uint32_t *)buffer)[i] = random_next(&seed);
	for (uint64_t n = random_next(&seed) % 6; n; n--) {
		size_t at = random_next(&seed) % words;
		uint64_t value = interesting();

		memcpy(buffer + at * 4, &value, at * 4 + 8 <= BUFFER ? 8 : 4);
	}
	/* Counted arrays start with their count: mostly a small one. */
	if (random_next(&seed) & 1)
		*(uint32_t *)buffer = random_next(&seed) % 20;
	/* An address of this process somewhere, so that some calls get further. */
	if (random_next(&seed) & 1) {
		uint64_t address = (uintptr_t)edge;
		size_t at = random_next(&seed) % (words / 2 + 1);

		if (at * 8 + 8 <= BUFFER)
			memcpy(buffer + at * 8, &address, 8);
	}
}

static unsigned long argument(unsigned long request)
{
	size_t size = _IOC_SIZE(request);

	switch (random_next(&seed) % 8) {
	case 0:
		return interesting();
	case 1:
		return (uintptr_t)edge + PAGE - random_next(&seed) % (size + 16);
	case 2:
		return random_next(&seed) % 64;
	default:
		fill_buffer(size);
		return (uintptr_t)buffer;
	}
}

static unsigned long pick(const unsigned long *requests, size_t count)
{
	uint64_t bits = random_next(&seed);

	if (bits % 10)
		return requests[(bits >> 8) % count];
	/* A request nobody defined, or a known number with another size or direction. */
	return _IOC(bits >> 8 & 3, bits & 0x80 ? KVMIO : bits >> 16 & 0xff, bits >> 24 & 0xff,
		    bits >> 32 & 0xfff);
}

/* These give descriptors, which are of no use here. */
static void discard(unsigned long request, long result)
{
	struct kvm_create_device *device = (void *)buffer;

	if (request == KVM_CREATE_VM || request == KVM_CREATE_VCPU ||
	    request == KVM_GET_STATS_FD || request == KVM_CREATE_GUEST_MEMFD)
		close(result);
	if (request == KVM_CREATE_DEVICE && !(device->flags & KVM_CREATE_DEVICE_TEST) &&
	    device->fd > 10)
		close(device->fd);
}

static void fuzz_fd(struct guest *g, int fd, const unsigned long *requests, size_t count)
{
	for (unsigned long i = 0; i < calls; i++) {
		unsigned long request = pick(requests, count);
		unsigned long arg = argument(request);
		long result;

		g->run->immediate_exit = 1;
		if (request == KVM_RUN && random_next(&seed) & 1)
			g->run->kvm_dirty_regs = random_next(&seed) & 7;
		result = ioctl(fd, request, arg);
		if (result >= 0)
			discard(request, result);
	}
}

static void another_runs(void)
{
	struct itimerval never = { 0 };
	struct guest *g;

	must(setitimer(ITIMER_REAL, &never, NULL));
	g = guest_new(LONG, halt_code);
	for (int i = 0; i < 10; i++)
		run_to(g, KVM_EXIT_HLT);
}

/* Calls that wait are interrupted; descriptors kept by mistake must not be all. */
static void prepare(void)
{
	struct timeval period = {
		.tv_sec = slowness() * 20 / 1000, .tv_usec = slowness() * 20 % 1000 * 1000,
	};
	struct itimerval timer = { .it_value = period, .it_interval = period };
	struct sigaction action = { .sa_handler = on_alarm };
	struct rlimit limit = { .rlim_cur = 4096, .rlim_max = 4096 };

	setrlimit(RLIMIT_NOFILE, &limit);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	buffer = map_pages(BUFFER);
	edge = map_pages(2 * PAGE);
	must(munmap(edge + PAGE, PAGE));
}

static void fuzz_device(void)
{
	struct guest *g = guest_new(LONG, halt_code);

	prepare();
	seed = first_seed;
	fuzz_fd(g, g->kvm, device_requests, ARRAY_SIZE(device_requests));
	another_runs();
	g->run->immediate_exit = 0;
	g->run->kvm_dirty_regs = 0;
	run_to(g, KVM_EXIT_HLT);
}

static void fuzz_vm(void)
{
	for (int round = 0; round < 4; round++) {
		struct guest *g = guest_new(LONG, halt_code);

		if (!round)
			prepare();
		seed = first_seed + 100 + round;
		fuzz_fd(g, g->vm, vm_requests, ARRAY_SIZE(vm_requests));
		close(g->vm);
		close(g->vcpu);
		munmap(g->run, g->run_size);
	}
	another_runs();
}

static void fuzz_vcpu(void)
{
	for (int round = 0; round < 4; round++) {
		struct guest *g = guest_new(LONG, halt_code);

		if (!round)
			prepare();
		seed = first_seed + 200 + round;
		fuzz_fd(g, g->vcpu, vcpu_requests, ARRAY_SIZE(vcpu_requests));
		munmap(g->run, g->run_size);
		close(g->vm);
		close(g->vcpu);
	}
	another_runs();
}

/* All three in turns on one VM, which changes under each other's feet. */
static void fuzz_all(void)
{
	unsigned long total = calls;

	prepare();
	for (int round = 0; round < 4; round++) {
		struct guest *g = guest_new(LONG, halt_code);

		seed = first_seed + 300 + round;
		calls = 20;
		for (unsigned long done = 0; done < total; done += 60) {
			fuzz_fd(g, g->kvm, device_requests, ARRAY_SIZE(device_requests));
			fuzz_fd(g, g->vm, vm_requests, ARRAY_SIZE(vm_requests));
			fuzz_fd(g, g->vcpu, vcpu_requests, ARRAY_SIZE(vcpu_requests));
		}
		munmap(g->run, g->run_size);
		close(g->vcpu);
		close(g->vm);
	}
	another_runs();
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "requests of the device", fuzz_device, 300 },
		{ "requests of a VM", fuzz_vm, 300 },
		{ "requests of a vcpu", fuzz_vcpu, 300 },
		{ "requests of all three in turns", fuzz_all, 300 },
	};

	calls = calls / slowness() + 1;
	if (argc > 1)
		calls = strtoul(argv[1], NULL, 0);
	if (argc > 2)
		first_seed = strtoull(argv[2], NULL, 0);
	return run_cases("fuzz-ioctl", cases, ARRAY_SIZE(cases), 1, argv);
}
