// SPDX-License-Identifier: GPL-2.0
/*
 * Allocations that fail: each operation is repeated with its first, second, ... allocation made
 * to fail by the kernel's fault injection (/proc/thread-self/fail-nth), until one round runs out
 * of allocations. It may succeed, or fail with the errno of a lack of memory and change nothing.
 * What is lost on the way is kmemleak's to find. Kernels without fault injection skip all of it.
 */
#include "guest.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define MANY_ROUNDS	5000u
#define SIDE_GPA	0x40000000ul
#define SIDE_SIZE	(16 * PAGE)

/* Ports and addresses that nothing answers, and a reach into all of the side slot. */
GUEST(reach_code, 64,
	"1:	mov	$0x10000000, %esi\n"
	"	mov	(%rsi), %eax\n"
	"	mov	%eax, 8(%rsi)\n"
	"	mov	$0x40000000, %edi\n"
	"	mov	$16, %ecx\n"
	"2:	incq	(%rdi)\n"
	"	add	$4096, %rdi\n"
	"	loop	2b\n"
	"	mov	$0x30, %edx\n"
	"	mov	$0xa000, %edi\n"
	"	mov	$16, %ecx\n"
	"	rep insb\n"
	"	cpuid\n"
	"	out	%al, $0x10\n"
	"	jmp	1b\n");

/* A cache that is filled on the way shifts the count, so an allocation may be passed over. */
#define PASSES	3

static int nth = -1;

/* Settings of the two injectors concerned; neither says more than it must. */
static void set_injector(const char *folder)
{
	static const char *const settings[][2] = {
		{ "ignore-gfp-wait", "N" }, { "ignore-gfp-highmem", "N" }, { "cache-filter", "N" },
		{ "min-order", "0" }, { "verbose", "0" },
	};
	char path[100];

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", folder, settings[i][0]);
		write_text(path, settings[i][1]);
	}
}

static void need_faults(void)
{
	nth = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	if (nth < 0)
		skip("no fault injection in this kernel");
	if (access("/sys/kernel/debug/failslab/ignore-gfp-wait", W_OK) ||
	    access("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", W_OK))
		skip("no failslab or no fail_page_alloc in this kernel");
	set_injector("failslab");
	set_injector("fail_page_alloc");
}

static void arm(unsigned int number)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", number);

	check_equal(pwrite(nth, text, length, 0), length);
}

/* True when the failure asked for came to pass. */
static bool disarm(void)
{
	char text[16] = "";

	check(pread(nth, text, sizeof(text) - 1, 0) > 0);
	check_equal(pwrite(nth, "0", 1, 0), 1);
	return strtoul(text, NULL, 10) == 0;
}

struct faulty {
	const char *name;
	unsigned int rounds, failures;
};

/* One call with an allocation failing; false when there was none left to fail. */
#define faulty_call(f, number, result, call) \
	({ \
		bool injected_; \
		int error_; \
		arm(number); \
		errno = 0; \
		(result) = (call); \
		error_ = errno; \
		injected_ = disarm(); \
		check_outcome(f, result, error_, injected_); \
		injected_; \
	})

static void check_outcome(struct faulty *f, long result, int error, bool injected)
{
	if (f->rounds++ > MANY_ROUNDS)
		fail("%s: no end of allocations", f->name);
	if (result >= 0)
		return;
	if (!injected)
		fail("%s: %s without a failing allocation", f->name, strerror(error));
	f->failures++;
	/* Copying to or from a page of the process that cannot be had is a bad address. */
	if (error != ENOMEM && error != EFAULT)
		fail("%s: %s instead of ENOMEM", f->name, strerror(error));
}

static void report(const struct faulty *f)
{
	note("%s: %u rounds, %u of them failed", f->name, f->rounds, f->failures);
}

/* A call is made, and undone or done again, with each of its allocations failing. */
#define repeat_undone(what, call, undo) \
	do { \
		struct faulty f_ = { .name = what }; \
		unsigned int pass_ = 0, number_ = 1; \
		long outcome_; \
		while (pass_ < PASSES) { \
			if (faulty_call(&f_, number_, outcome_, call)) { \
				number_++; \
			} else { \
				pass_++; \
				number_ = 1; \
			} \
			if (outcome_ >= 0) \
				undo; \
		} \
		report(&f_); \
	} while (0)

/* A call that needs no memory to succeed. */
#define repeat_sure(call, redo) \
	do { \
		unsigned int number_ = 1; \
		long outcome_; \
		bool more_; \
		do { \
			arm(number_++); \
			outcome_ = (call); \
			more_ = disarm(); \
			check_equal(outcome_, 0); \
			redo; \
		} while (more_); \
	} while (0)

#define repeat_call(what, call) repeat_undone(what, call, (void)0)
#define repeat_open(what, call) repeat_undone(what, call, must(close(outcome_)))

static void create_vm(void)
{
	int kvm;

	need_faults();
	kvm = open_kvm();
	repeat_open("KVM_CREATE_VM", ioctl(kvm, KVM_CREATE_VM, 0));
}

/* A vcpu stays until its VM goes, so each round has a VM of its own. */
static bool create_vcpu_failing(int kvm, struct faulty *f, unsigned int number)
{
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	bool injected;
	long vcpu;

	injected = faulty_call(f, number, vcpu, ioctl(vm, KVM_CREATE_VCPU, 0));
	/* A failed one leaves its number and its place free. */
	if (vcpu < 0)
		vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0));
	vcpu_set_mode(vcpu, REAL);
	must(close(vcpu));
	must(close(vm));
	return injected;
}

static void create_vcpu(void)
{
	struct faulty f = { .name = "KVM_CREATE_VCPU" };
	unsigned int number;
	int kvm;

	need_faults();
	kvm = open_kvm();
	for (unsigned int pass = 0; pass < PASSES; pass++)
		for (number = 1; create_vcpu_failing(kvm, &f, number); )
			number++;
	report(&f);
}

static void slots(void)
{
	uint8_t *memory;
	int kvm, vm;

	need_faults();
	kvm = open_kvm();
	vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	memory = map_pages(SIDE_SIZE);
	repeat_undone("create a slot", vm_set_slot(vm, 1, 0, SIDE_GPA, SIDE_SIZE, memory),
		      must(vm_set_slot(vm, 1, 0, SIDE_GPA, 0, memory)));
	repeat_undone("create a logged slot",
		      vm_set_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SIDE_GPA, SIDE_SIZE, memory),
		      must(vm_set_slot(vm, 1, 0, SIDE_GPA, 0, memory)));
	must(vm_set_slot(vm, 1, 0, SIDE_GPA, SIDE_SIZE, memory));
	repeat_undone("log a slot",
		      vm_set_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SIDE_GPA, SIDE_SIZE, memory),
		      must(vm_set_slot(vm, 1, 0, SIDE_GPA, SIDE_SIZE, memory)));
	repeat_undone("move a slot",
		      vm_set_slot(vm, 1, 0, SIDE_GPA + 2 * MiB, SIDE_SIZE, memory),
		      must(vm_set_slot(vm, 1, 0, SIDE_GPA, SIDE_SIZE, memory)));
	repeat_undone("move and log a slot",
		      vm_set_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SIDE_GPA + 2 * MiB, SIDE_SIZE,
				  memory),
		      must(vm_set_slot(vm, 1, 0, SIDE_GPA, SIDE_SIZE, memory)));
	repeat_sure(vm_set_slot(vm, 1, 0, SIDE_GPA, 0, memory),
		    must(vm_set_slot(vm, 1, 0, SIDE_GPA, SIDE_SIZE, memory)));
}

static struct guest *reaching_guest(uint8_t **side)
{
	struct guest *g = guest_new(LONG, reach_code);

	*side = map_pages(SIDE_SIZE);
	must(vm_set_slot(g->vm, 1, 0, SIDE_GPA, SIDE_SIZE, *side));
	return g;
}

static void drop_guest(struct guest *g, uint8_t *side)
{
	must(munmap(g->run, g->run_size));
	must(munmap(g->memory, GUEST_MEMORY));
	must(munmap(side, SIDE_SIZE));
	must(close(g->vcpu));
	must(close(g->vm));
	must(close(g->kvm));
	free(g);
}

static bool reached_end(const struct kvm_run *run)
{
	if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT)
		return true;
	check(run->exit_reason == KVM_EXIT_IO || run->exit_reason == KVM_EXIT_MMIO);
	return false;
}

/*
 * Runs a new guest to its OUT with the given allocation of one KVM_RUN after the other failing;
 * a KVM_RUN that failed can be made again. False when no allocation was left to fail.
 */
static bool run_with_fault(struct faulty *f, unsigned int number)
{
	bool injected = false;
	struct guest *g;
	uint8_t *side;
	long result;

	g = reaching_guest(&side);
	for (int i = 0; ; i++) {
		if (i > 100)
			fail("%s: the guest does not get on", f->name);
		if (injected)
			result = must(ioctl(g->vcpu, KVM_RUN, 0));
		else
			injected = faulty_call(f, number, result, ioctl(g->vcpu, KVM_RUN, 0));
		if (!result && reached_end(g->run))
			break;
	}
	for (size_t i = 0; i < SIDE_SIZE; i += PAGE)
		check_equal(side[i], 1);
	drop_guest(g, side);
	return injected;
}

static void run(void)
{
	struct faulty f = { .name = "KVM_RUN" };
	unsigned int number = 1;

	need_faults();
	while (run_with_fault(&f, number))
		number++;
	report(&f);
}

static void reach_end(struct guest *g)
{
	for (int i = 0; i < 100; i++) {
		must(ioctl(g->vcpu, KVM_RUN, 0));
		if (reached_end(g->run))
			return;
	}
	fail("the guest does not get on");
}

static int get_supported(int kvm, struct kvm_cpuid2 *cpuid)
{
	cpuid->nent = 256;
	return ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
}

static void vcpu_state(void)
{
	static union {
		struct kvm_regs regs;
		struct kvm_sregs sregs;
		struct kvm_fpu fpu;
		struct kvm_xsave xsave;
		struct kvm_xcrs xcrs;
		struct kvm_vcpu_events events;
		struct kvm_debugregs debug;
		struct { struct kvm_msrs head; struct kvm_msr_entry entry[4]; } msrs;
	} u;
	struct kvm_cpuid2 *cpuid;
	struct guest *g;
	uint8_t *side;

	need_faults();
	g = reaching_guest(&side);
	reach_end(g);
	cpuid = cpuid_supported(g->kvm);
	repeat_call("KVM_GET_SUPPORTED_CPUID", get_supported(g->kvm, cpuid));
	repeat_call("KVM_SET_CPUID2", ioctl(g->vcpu, KVM_SET_CPUID2, cpuid));
	repeat_call("KVM_GET_REGS", ioctl(g->vcpu, KVM_GET_REGS, &u.regs));
	repeat_call("KVM_SET_REGS", ioctl(g->vcpu, KVM_SET_REGS, &u.regs));
	repeat_call("KVM_GET_SREGS", ioctl(g->vcpu, KVM_GET_SREGS, &u.sregs));
	repeat_call("KVM_SET_SREGS", ioctl(g->vcpu, KVM_SET_SREGS, &u.sregs));
	repeat_call("KVM_GET_FPU", ioctl(g->vcpu, KVM_GET_FPU, &u.fpu));
	repeat_call("KVM_SET_FPU", ioctl(g->vcpu, KVM_SET_FPU, &u.fpu));
	repeat_call("KVM_GET_XSAVE", ioctl(g->vcpu, KVM_GET_XSAVE, &u.xsave));
	repeat_call("KVM_SET_XSAVE", ioctl(g->vcpu, KVM_SET_XSAVE, &u.xsave));
	repeat_call("KVM_GET_VCPU_EVENTS", ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &u.events));
	repeat_call("KVM_SET_VCPU_EVENTS", ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &u.events));
	repeat_call("KVM_GET_DEBUGREGS", ioctl(g->vcpu, KVM_GET_DEBUGREGS, &u.debug));
	repeat_call("KVM_SET_DEBUGREGS", ioctl(g->vcpu, KVM_SET_DEBUGREGS, &u.debug));
	memset(&u.msrs, 0, sizeof(u.msrs));
	u.msrs.head.nmsrs = 2;
	u.msrs.entry[0].index = MSR_STAR;
	u.msrs.entry[1].index = MSR_LSTAR;
	repeat_call("KVM_GET_MSRS", ioctl(g->vcpu, KVM_GET_MSRS, &u.msrs));
	repeat_call("KVM_SET_MSRS", ioctl(g->vcpu, KVM_SET_MSRS, &u.msrs));
	reach_end(g);
}

static void vm_state(void)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = GUEST_MMIO + PAGE, .size = PAGE };
	static uint64_t bitmap[SIDE_SIZE / PAGE];
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bitmap };
	struct guest *g;
	uint8_t *side;

	need_faults();
	g = reaching_guest(&side);
	repeat_open("KVM_GET_STATS_FD of the VM", ioctl(g->vm, KVM_GET_STATS_FD, 0));
	repeat_open("KVM_GET_STATS_FD of the vcpu", ioctl(g->vcpu, KVM_GET_STATS_FD, 0));
	if (extension(g->kvm, KVM_CAP_COALESCED_MMIO)) {
		repeat_undone("KVM_REGISTER_COALESCED_MMIO",
			      ioctl(g->vm, KVM_REGISTER_COALESCED_MMIO, &zone),
			      must(ioctl(g->vm, KVM_UNREGISTER_COALESCED_MMIO, &zone)));
		must(ioctl(g->vm, KVM_REGISTER_COALESCED_MMIO, &zone));
		repeat_sure(ioctl(g->vm, KVM_UNREGISTER_COALESCED_MMIO, &zone),
			    must(ioctl(g->vm, KVM_REGISTER_COALESCED_MMIO, &zone)));
	}
	reach_end(g);
	repeat_undone("logging a slot with mappings",
		      vm_set_slot(g->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SIDE_GPA, SIDE_SIZE, side),
		      must(vm_set_slot(g->vm, 1, 0, SIDE_GPA, SIDE_SIZE, side)));
	must(vm_set_slot(g->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SIDE_GPA, SIDE_SIZE, side));
	repeat_call("KVM_GET_DIRTY_LOG", ioctl(g->vm, KVM_GET_DIRTY_LOG, &log));
	reach_end(g);
	must(ioctl(g->vm, KVM_GET_DIRTY_LOG, &log));
	check_equal(bitmap[0], (1 << (SIDE_SIZE / PAGE)) - 1);
}

/* What can be made once is made in a VM of its own each time: an operation on a VM without vcpus. */
static bool once_failing(int kvm, struct faulty *f, unsigned int number, int (*make)(int vm))
{
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	bool injected;
	long result;

	injected = faulty_call(f, number, result, make(vm));
	/* A failed one leaves nothing behind that would be in the way. */
	if (result < 0)
		must(make(vm));
	must(close(vm));
	return injected;
}

static void repeat_once(int kvm, const char *name, int (*make)(int vm))
{
	struct faulty f = { .name = name };
	unsigned int number;

	for (unsigned int pass = 0; pass < PASSES; pass++)
		for (number = 1; once_failing(kvm, &f, number, make); )
			number++;
	report(&f);
}

static int make_irqchip(int vm)
{
	return ioctl(vm, KVM_CREATE_IRQCHIP, 0);
}

/* The controllers are there from the first try on. */
static int make_pit(int vm)
{
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };

	if (ioctl(vm, KVM_CREATE_IRQCHIP, 0) && errno != EEXIST)
		return -1;
	return ioctl(vm, KVM_CREATE_PIT2, &config);
}

static int make_vcpu(int vm)
{
	int fd;

	if (ioctl(vm, KVM_CREATE_IRQCHIP, 0) && errno != EEXIST)
		return -1;
	fd = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (fd >= 0)
		must(close(fd));
	return fd < 0 ? -1 : 0;
}

static void make_controllers(void)
{
	int kvm;

	need_faults();
	kvm = open_kvm();
	NEED(kvm, KVM_CAP_IRQCHIP);
	repeat_once(kvm, "KVM_CREATE_IRQCHIP", make_irqchip);
	repeat_once(kvm, "KVM_CREATE_PIT2", make_pit);
	repeat_once(kvm, "KVM_CREATE_VCPU with a local APIC", make_vcpu);
}

static int set_irqfd(int vm, int event, int resample, uint32_t flags)
{
	struct kvm_irqfd args = {
		.fd = event, .gsi = 20, .flags = flags, .resamplefd = resample,
	};

	return ioctl(vm, KVM_IRQFD, &args);
}

static int set_doorbell(int vm, int event, uint32_t flags)
{
	struct kvm_ioeventfd args = { .addr = GUEST_MMIO, .len = 4, .fd = event, .flags = flags };

	return ioctl(vm, KVM_IOEVENTFD, &args);
}

static int make_device(int vm)
{
	struct kvm_create_device args = { .type = KVM_DEV_TYPE_VFIO };

	return ioctl(vm, KVM_CREATE_DEVICE, &args) ? -1 : (int)args.fd;
}

static void controllers(void)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[2];
	} table = {
		.head.nr = 2,
		.entry = {
			{ .gsi = 20, .type = KVM_IRQ_ROUTING_IRQCHIP,
			  .u.irqchip = { KVM_IRQCHIP_IOAPIC, 20 } },
			{ .gsi = 100, .type = KVM_IRQ_ROUTING_MSI,
			  .u.msi = { .address_lo = 0xfee00000, .data = 0x51 } },
		},
	};
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	int kvm, vm, vcpu, event = eventfd(0, 0), resample = eventfd(0, 0);
	struct kvm_lapic_state lapic;
	struct kvm_pit_state2 pit;

	need_faults();
	kvm = open_kvm();
	NEED(kvm, KVM_CAP_IRQCHIP);
	vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	must(make_pit(vm));
	vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0));
	repeat_call("KVM_SET_GSI_ROUTING", ioctl(vm, KVM_SET_GSI_ROUTING, &table));
	repeat_undone("KVM_IRQFD", set_irqfd(vm, event, 0, 0),
		      must(set_irqfd(vm, event, 0, KVM_IRQFD_FLAG_DEASSIGN)));
	repeat_undone("KVM_IRQFD with resampling",
		      set_irqfd(vm, event, resample, KVM_IRQFD_FLAG_RESAMPLE),
		      must(set_irqfd(vm, event, 0, KVM_IRQFD_FLAG_DEASSIGN)));
	must(set_irqfd(vm, event, 0, 0));
	repeat_sure(set_irqfd(vm, event, 0, KVM_IRQFD_FLAG_DEASSIGN),
		    must(set_irqfd(vm, event, 0, 0)));
	repeat_undone("KVM_IOEVENTFD", set_doorbell(vm, event, 0),
		      must(set_doorbell(vm, event, KVM_IOEVENTFD_FLAG_DEASSIGN)));
	must(set_doorbell(vm, event, 0));
	repeat_sure(set_doorbell(vm, event, KVM_IOEVENTFD_FLAG_DEASSIGN),
		    must(set_doorbell(vm, event, 0)));
	repeat_call("KVM_GET_IRQCHIP", ioctl(vm, KVM_GET_IRQCHIP, &chip));
	repeat_call("KVM_SET_IRQCHIP", ioctl(vm, KVM_SET_IRQCHIP, &chip));
	repeat_call("KVM_GET_LAPIC", ioctl(vcpu, KVM_GET_LAPIC, &lapic));
	repeat_call("KVM_SET_LAPIC", ioctl(vcpu, KVM_SET_LAPIC, &lapic));
	repeat_call("KVM_GET_PIT2", ioctl(vm, KVM_GET_PIT2, &pit));
	repeat_call("KVM_SET_PIT2", ioctl(vm, KVM_SET_PIT2, &pit));
	repeat_open("KVM_CREATE_DEVICE", make_device(vm));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "creating a VM", create_vm, 120 },
		{ "creating a vcpu", create_vcpu, 120 },
		{ "memory slots", slots, 120 },
		{ "running", run, 300 },
		{ "the state of a vcpu", vcpu_state, 120 },
		{ "the state of a VM", vm_state, 120 },
		{ "making interrupt controllers", make_controllers, 300 },
		{ "interrupt controllers and event wiring", controllers, 120 },
	};

	return RUN_CASES("faults", cases);
}
