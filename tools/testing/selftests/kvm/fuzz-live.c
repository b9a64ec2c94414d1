// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of all kinds of descriptors from several threads while vcpus run: templates of valid
 * calls, half of them with some bits changed. VMs of several kinds follow each other until the time
 * is over. Nothing may crash or hang, and afterwards another VM runs.
 *
 *     fuzz-live [seconds] [seed]
 *
 * In a kernel with fault injection a second case lets allocations fail. What would make a processor
 * run in a state of nonsense is kept from the vcpus that run (it kills some emulated processors)
 * and is for the last one, which does not enter its guest. fuzz-ioctl is its brother with one
 * thread and garbage.
 */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#define RUNNERS		2
#define VCPUS		(RUNNERS + 1)
#define FUZZERS		3
#define BUFFER		(4 * PAGE)
#define SIDE_BASE	0x1000000ull
#define SIDE_PAGES	64
#define SIDE_SIZE	(SIDE_PAGES * PAGE)
#define ROUND_MS	1500
#define IRQ_WORDS	8

static unsigned int seconds = 6;
static uint64_t first_seed = 1;
static bool failing;

/* Runs for ever: memory, ports, devices and the processor's own; waits at the end, or not. */
GUEST(live_code, 64,
	"1:	mov	$0x1000000, %ebx\n"
	"	mov	$64, %ecx\n"
	"2:	mov	%rcx, 0x40(%rbx)\n"
	"	add	$0x1000, %rbx\n"
	"	loop	2b\n"
	"	out	%al, $0x10\n"
	"	in	$0x21, %al\n"
	"	mov	%eax, 0x10000000\n"
	"	mov	0x10000010, %eax\n"
	"	mov	$0xfee00000, %ebx\n"
	"	mov	0x20(%rbx), %eax\n"
	"	movl	$0, 0xb0(%rbx)\n"
	"	movl	$0x40030, 0x300(%rbx)\n"
	"	xor	%eax, %eax\n"
	"	cpuid\n"
	"	mov	$0x10, %ecx\n"
	"	rdmsr\n"
	"	wrmsr\n"
	"	mov	$11, %eax\n"
	"	vmmcall\n"
	"	mov	$0xa000, %edi\n"
	"	mov	$0x30, %edx\n"
	"	mov	$16, %ecx\n"
	"	rep insb\n"
	"	testb	$1, 0xa100\n"
	"	jz	1b\n"
	"	hlt\n"
	"	jmp	1b\n");

GUEST(rest_code, 16, "1:	hlt\n	jmp	1b\n");

struct fuzzed {
	struct guest *g;		/* its vcpu is the first one */
	int vcpu[VCPUS];
	struct kvm_run *run[VCPUS];
	int stats, device, event;
	uint8_t *side;
	struct kvm_sregs good;		/* the vcpus' at the start */
};

struct fuzzer {
	struct fuzzed *target;
	pthread_t thread;
	uint64_t seed;
	uint8_t *buffer;
	int nth;			/* /proc/thread-self/fail-nth, or -1 */
};

static atomic_bool stop;
static atomic_ulong calls_made;

/* ---- numbers and arguments ------------------------------------------------------------------- */

static uint64_t pick(struct fuzzer *f, uint64_t limit)
{
	return (random_next(&f->seed) >> 7) % limit;
}

static uint64_t odd_value(struct fuzzer *f)
{
	static const uint64_t values[] = {
		0, 1, 2, 7, 31, 63, 64, 255, 4095, 4096, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
		0xffffffff, 1ull << 32, 1ull << 47, 1ull << 52, 1ull << 63, -1ull, -4096ull,
		0xfee00000, 0x1000000, 0x10000000, 0xa000,
	};

	return values[pick(f, ARRAY_SIZE(values))];
}

/* Every other time, a few words are not what they should be. */
static void mutate(struct fuzzer *f, size_t size)
{
	if (pick(f, 2))
		return;
	for (uint64_t n = 1 + pick(f, 3); n && size >= 8; n--) {
		uint8_t *at = f->buffer + pick(f, size / 4) * 4;
		uint64_t value = odd_value(f);

		if (pick(f, 2))
			*at ^= 1u << pick(f, 8);
		else
			memcpy(at, &value, pick(f, 2) ? 4 : 8);
	}
}

static long call(struct fuzzer *f, int fd, unsigned long request, unsigned long arg)
{
	char number[16];
	long result;

	atomic_fetch_add_explicit(&calls_made, 1, memory_order_relaxed);
	if (f->nth < 0 || pick(f, 3))
		return ioctl(fd, request, arg);
	snprintf(number, sizeof(number), "%u", 1 + (unsigned int)pick(f, 25));
	if (pwrite(f->nth, number, strlen(number), 0) < 0)
		return -1;
	result = ioctl(fd, request, arg);
	if (pwrite(f->nth, "0", 1, 0) < 0)
		return -1;
	return result;
}

#define CALL(f, fd, request) call(f, fd, request, (uintptr_t)(f)->buffer)
/* The buffer as a structure of zeroes */
#define CLEARED(f, type) ((type *)memset((f)->buffer, 0, BUFFER))

static uint64_t side_page(struct fuzzer *f)
{
	return SIDE_BASE + pick(f, SIDE_PAGES) * PAGE;
}

/* ---- requests of a VM ------------------------------------------------------------------------ */

static void set_slot(struct fuzzer *f)
{
	static const uint32_t flags[] = { 0, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, 3 };
	struct kvm_userspace_memory_region2 *region = CLEARED(f, typeof(*region));

	region->slot = 1 + pick(f, 4);
	region->flags = flags[pick(f, 4)];
	region->guest_phys_addr = pick(f, 2) ? SIDE_BASE : SIDE_BASE + pick(f, 4) * SIDE_SIZE;
	region->memory_size = pick(f, 3) ? SIDE_SIZE : pick(f, SIDE_PAGES) * PAGE;
	region->userspace_addr = (uintptr_t)f->target->side;
	mutate(f, sizeof(*region));
	if (!region->slot)	/* the guest's own */
		return;
	CALL(f, f->target->g->vm,
	     pick(f, 2) ? KVM_SET_USER_MEMORY_REGION : KVM_SET_USER_MEMORY_REGION2);
}

static void dirty_log(struct fuzzer *f)
{
	struct kvm_clear_dirty_log *clear = CLEARED(f, typeof(*clear));
	struct kvm_dirty_log *get = (void *)f->buffer;

	if (pick(f, 2)) {
		get->slot = 1 + pick(f, 4);
		get->dirty_bitmap = f->buffer + PAGE;
		mutate(f, sizeof(*get));
		CALL(f, f->target->g->vm, KVM_GET_DIRTY_LOG);
		return;
	}
	clear->slot = 1 + pick(f, 4);
	clear->num_pages = SIDE_PAGES;
	clear->dirty_bitmap = f->buffer + PAGE;
	memset(f->buffer + PAGE, pick(f, 256), PAGE);
	mutate(f, sizeof(*clear));
	CALL(f, f->target->g->vm, KVM_CLEAR_DIRTY_LOG);
	call(f, f->target->g->vm, KVM_RESET_DIRTY_RINGS, 0);
}

static void interrupt(struct fuzzer *f)
{
	struct kvm_irq_level *line = CLEARED(f, typeof(*line));
	struct kvm_msi *msi = (void *)f->buffer;

	if (pick(f, 2)) {
		line->irq = pick(f, 30);
		line->level = pick(f, 2);
		mutate(f, sizeof(*line));
		CALL(f, f->target->g->vm, pick(f, 2) ? KVM_IRQ_LINE : KVM_IRQ_LINE_STATUS);
		return;
	}
	msi->address_lo = 0xfee00000 | pick(f, 4) << 12;
	msi->data = 0x20 + pick(f, 0xe0);
	mutate(f, sizeof(*msi));
	CALL(f, f->target->g->vm, KVM_SIGNAL_MSI);
}

static void irqchip_state(struct fuzzer *f)
{
	struct kvm_irqchip *chip = CLEARED(f, typeof(*chip));
	int vm = f->target->g->vm;

	switch (pick(f, 4)) {
	case 0:
		CALL(f, vm, KVM_GET_PIT2);
		mutate(f, sizeof(struct kvm_pit_state2));
		CALL(f, vm, KVM_SET_PIT2);
		break;
	case 1:
		CALL(f, vm, pick(f, 2) ? KVM_CREATE_IRQCHIP : KVM_CREATE_PIT2);
		break;
	default:
		chip->chip_id = pick(f, 3);
		CALL(f, vm, KVM_GET_IRQCHIP);
		mutate(f, sizeof(*chip));
		CALL(f, vm, KVM_SET_IRQCHIP);
	}
}

static void routing(struct fuzzer *f)
{
	struct kvm_irq_routing *table = CLEARED(f, typeof(*table));

	table->nr = pick(f, 60);
	for (uint32_t i = 0; i < table->nr; i++) {
		struct kvm_irq_routing_entry *entry = &table->entries[i];

		entry->gsi = pick(f, 40);
		entry->type = 1 + pick(f, 4);
		if (entry->type == KVM_IRQ_ROUTING_IRQCHIP) {
			entry->u.irqchip.irqchip = pick(f, 3);
			entry->u.irqchip.pin = pick(f, 24);
		} else {
			entry->u.msi.address_lo = 0xfee00000 | pick(f, 4) << 12;
			entry->u.msi.data = pick(f, 256);
		}
	}
	mutate(f, sizeof(*table) + table->nr * sizeof(table->entries[0]));
	CALL(f, f->target->g->vm, KVM_SET_GSI_ROUTING);
}

static void event_fds(struct fuzzer *f)
{
	struct kvm_irqfd *irqfd = CLEARED(f, typeof(*irqfd));
	struct kvm_ioeventfd *io = (void *)f->buffer;
	uint64_t one = 1;

	if (pick(f, 2)) {
		irqfd->fd = f->target->event;
		irqfd->resamplefd = f->target->event;
		irqfd->gsi = pick(f, 30);
		irqfd->flags = pick(f, 4);
		mutate(f, sizeof(*irqfd));
		CALL(f, f->target->g->vm, KVM_IRQFD);
	} else {
		io->fd = f->target->event;
		io->addr = pick(f, 2) ? 0x10 : GUEST_MMIO;
		io->len = pick(f, 2) << pick(f, 4);
		io->flags = pick(f, 8);
		mutate(f, sizeof(*io));
		CALL(f, f->target->g->vm, KVM_IOEVENTFD);
	}
	if (write(f->target->event, &one, sizeof(one)) < 0)
		return;
}

static void zones(struct fuzzer *f)
{
	struct kvm_coalesced_mmio_zone *zone = CLEARED(f, typeof(*zone));

	zone->pio = pick(f, 2);
	zone->addr = zone->pio ? 0x10 : GUEST_MMIO;
	zone->size = 1 + pick(f, 64);
	mutate(f, sizeof(*zone));
	CALL(f, f->target->g->vm,
	     pick(f, 2) ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO);
}

static void vm_clock(struct fuzzer *f)
{
	CLEARED(f, struct kvm_clock_data);
	CALL(f, f->target->g->vm, KVM_GET_CLOCK);
	mutate(f, sizeof(struct kvm_clock_data));
	CALL(f, f->target->g->vm, KVM_SET_CLOCK);
}

static void msr_filter(struct fuzzer *f)
{
	struct kvm_msr_filter *filter = CLEARED(f, typeof(*filter));

	for (uint64_t i = pick(f, KVM_MSR_FILTER_MAX_RANGES); i; i--) {
		struct kvm_msr_filter_range *range = &filter->ranges[i - 1];

		range->flags = 1 + pick(f, 3);
		range->base = pick(f, 2) ? 0 : 0xc0000000;
		range->nmsrs = 1 + pick(f, 1000);
		range->bitmap = f->buffer + PAGE;
	}
	memset(f->buffer + PAGE, pick(f, 2) ? 0xff : pick(f, 256), PAGE);
	mutate(f, sizeof(*filter));
	CALL(f, f->target->g->vm, KVM_X86_SET_MSR_FILTER);
}

static void capability(struct fuzzer *f)
{
	struct kvm_enable_cap *cap = CLEARED(f, typeof(*cap));
	int fd = pick(f, 2) ? f->target->g->vm : f->target->vcpu[pick(f, VCPUS)];

	cap->cap = pick(f, 250);
	cap->args[0] = pick(f, 2) ? pick(f, 16) : odd_value(f);
	mutate(f, sizeof(*cap));
	call(f, f->target->g->vm, KVM_CHECK_EXTENSION, cap->cap);
	CALL(f, fd, KVM_ENABLE_CAP);
}

/* Descriptors come and go; what is read from them may be anything. */
static void descriptors(struct fuzzer *f)
{
	struct kvm_create_device *device = CLEARED(f, typeof(*device));
	struct kvm_create_guest_memfd *memfd = (void *)f->buffer;
	int fd = -1;

	switch (pick(f, 4)) {
	case 0:
		fd = call(f, f->target->g->vm, KVM_CREATE_VCPU, 10 + pick(f, 300));
		break;
	case 1:
		fd = call(f, pick(f, 2) ? f->target->g->vm : f->target->vcpu[0],
			  KVM_GET_STATS_FD, 0);
		break;
	case 2:
		device->type = pick(f, 12);
		device->flags = pick(f, 2);
		mutate(f, sizeof(*device));
		if (!CALL(f, f->target->g->vm, KVM_CREATE_DEVICE) && !(device->flags & 1))
			fd = device->fd;
		break;
	default:
		memfd->size = pick(f, 16) * PAGE;
		mutate(f, sizeof(*memfd));
		fd = CALL(f, f->target->g->vm, KVM_CREATE_GUEST_MEMFD);
	}
	if (fd <= 2)
		return;
	if (pread(fd, f->buffer, BUFFER, pick(f, 2000)) < 0)
		CALL(f, fd, KVM_GET_REGS);
	close(fd);
}

static void attributes(struct fuzzer *f)
{
	static const unsigned long requests[] = {
		KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR,
		KVM_XEN_HVM_CONFIG, KVM_XEN_HVM_SET_ATTR, KVM_XEN_HVM_GET_ATTR,
		KVM_SET_MEMORY_ATTRIBUTES, KVM_SET_PMU_EVENT_FILTER, KVM_GET_NR_MMU_PAGES,
		KVM_SET_TSC_KHZ, KVM_GET_TSC_KHZ, KVM_HYPERV_EVENTFD, KVM_MEMORY_ENCRYPT_OP,
	};
	struct kvm_device_attr *attr = CLEARED(f, typeof(*attr));
	const int fds[] = {
		f->target->device, f->target->g->vm, f->target->g->kvm, f->target->vcpu[1],
	};

	attr->group = pick(f, 3);
	attr->attr = pick(f, 4);
	attr->addr = (uintptr_t)f->buffer + PAGE;
	*(uint64_t *)(f->buffer + PAGE) = odd_value(f);
	mutate(f, 64);
	CALL(f, fds[pick(f, ARRAY_SIZE(fds))], requests[pick(f, ARRAY_SIZE(requests))]);
}

static void global(struct fuzzer *f)
{
	static const unsigned long requests[] = {
		KVM_GET_SUPPORTED_CPUID, KVM_GET_EMULATED_CPUID, KVM_GET_MSR_INDEX_LIST,
		KVM_GET_MSR_FEATURE_INDEX_LIST, KVM_GET_MSRS, KVM_X86_GET_MCE_CAP_SUPPORTED,
	};

	*CLEARED(f, uint32_t) = pick(f, 100);
	mutate(f, 16);
	CALL(f, f->target->g->kvm, requests[pick(f, ARRAY_SIZE(requests))]);
}

/* ---- requests of a vcpu ---------------------------------------------------------------------- */

struct pair {
	unsigned long get, set;
	size_t size;
	bool harmless;		/* changed, on a vcpu that runs */
};

/* State that is read is what can be written, changed or not. */
static void state(struct fuzzer *f)
{
	static const struct pair pairs[] = {
		{ KVM_GET_REGS, KVM_SET_REGS, sizeof(struct kvm_regs), false },
		{ KVM_GET_SREGS, KVM_SET_SREGS, sizeof(struct kvm_sregs), false },
		{ KVM_GET_SREGS2, KVM_SET_SREGS2, sizeof(struct kvm_sregs2), false },
		{ KVM_GET_FPU, KVM_SET_FPU, sizeof(struct kvm_fpu), true },
		{ KVM_GET_XSAVE, KVM_SET_XSAVE, sizeof(struct kvm_xsave), true },
		{ KVM_GET_XCRS, KVM_SET_XCRS, sizeof(struct kvm_xcrs), true },
		{ KVM_GET_LAPIC, KVM_SET_LAPIC, sizeof(struct kvm_lapic_state), true },
		{ KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events), false },
		{ KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, sizeof(struct kvm_debugregs), true },
		{ KVM_GET_MP_STATE, KVM_SET_MP_STATE, sizeof(struct kvm_mp_state), true },
	};
	const struct pair *pair = &pairs[pick(f, ARRAY_SIZE(pairs))];
	unsigned int which = pick(f, VCPUS);
	int vcpu = f->target->vcpu[which];

	CLEARED(f, uint8_t);
	if (CALL(f, vcpu, pair->get))
		return;
	if (pick(f, 2))
		return;
	if (pair->harmless || which == RUNNERS)
		mutate(f, pair->size);
	CALL(f, vcpu, pair->set);
}

static void msrs(struct fuzzer *f)
{
	static const uint32_t live[] = {
		MSR_TSC, 0x3b, MSR_PAT, 0x6e0, 0x1a0, 0x200, 0x2ff, MSR_KERNEL_GS_BASE, MSR_STAR,
		0x4b564d00, 0x4b564d01, 0x4b564d02, 0x4b564d03, 0x4b564d04, 0x4b564d05, 0x4b564d06,
		0x808, 0x80b, 0x838,
	};
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[8];
	} *set = (void *)CLEARED(f, uint8_t);
	unsigned int which = pick(f, VCPUS);

	set->head.nmsrs = pick(f, 9);
	for (uint32_t i = 0; i < set->head.nmsrs; i++) {
		set->entry[i].index = live[pick(f, ARRAY_SIZE(live))];
		/* Where KVM may write on its own, it is not on the guest's code. */
		set->entry[i].data = pick(f, 3) ? side_page(f) | pick(f, 64) : 0;
		if (which == RUNNERS && !pick(f, 2)) {
			set->entry[i].index = 0xc0000080 + pick(f, 8);
			set->entry[i].data = odd_value(f);
		}
	}
	if (which == RUNNERS)
		mutate(f, sizeof(*set));
	CALL(f, f->target->vcpu[which], pick(f, 3) ? KVM_SET_MSRS : KVM_GET_MSRS);
}

static void vcpu_event(struct fuzzer *f)
{
	static const unsigned long plain[] = {
		KVM_NMI, KVM_SMI, KVM_KVMCLOCK_CTRL, KVM_GET_TSC_KHZ,
	};
	static const unsigned long numbers[] = {
		KVM_INTERRUPT, KVM_TPR_ACCESS_REPORTING, KVM_SET_VAPIC_ADDR, KVM_TRANSLATE,
		KVM_X86_SETUP_MCE, KVM_X86_SET_MCE, KVM_SET_GUEST_DEBUG, KVM_GET_CPUID2,
		KVM_GET_NESTED_STATE, KVM_PRE_FAULT_MEMORY, KVM_GET_DEVICE_ATTR,
		KVM_XEN_VCPU_SET_ATTR, KVM_XEN_VCPU_GET_ATTR, KVM_GET_XSAVE2,
	};
	int vcpu = f->target->vcpu[pick(f, VCPUS)];

	if (!pick(f, 3)) {
		call(f, vcpu, plain[pick(f, ARRAY_SIZE(plain))], 0);
		return;
	}
	*CLEARED(f, uint32_t) = pick(f, 256);
	((uint32_t *)f->buffer)[2] = pick(f, 2) ? 0 : odd_value(f);
	mutate(f, 64);
	CALL(f, vcpu, numbers[pick(f, ARRAY_SIZE(numbers))]);
}

static void cpuid(struct fuzzer *f)
{
	struct kvm_cpuid2 *table = CLEARED(f, typeof(*table));

	table->nent = (BUFFER - sizeof(*table)) / sizeof(table->entries[0]);
	if (CALL(f, f->target->g->kvm, KVM_GET_SUPPORTED_CPUID))
		return;
	mutate(f, sizeof(*table) + table->nent * sizeof(table->entries[0]));
	CALL(f, f->target->vcpu[pick(f, VCPUS)], KVM_SET_CPUID2);
}

/* The last vcpu never enters its guest: all that KVM_RUN does before and after */
static void run_idle(struct fuzzer *f)
{
	struct kvm_run *run = f->target->run[RUNNERS];

	run->immediate_exit = 1;
	run->kvm_valid_regs = pick(f, 16);
	run->kvm_dirty_regs = pick(f, 8);
	((uint8_t *)run)[pick(f, PAGE)] ^= 1u << pick(f, 8);
	run->immediate_exit = 1;
	call(f, f->target->vcpu[RUNNERS], KVM_RUN, 0);
}

/* Memory and mappings change under the guest. */
static void memory(struct fuzzer *f)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_COLD, MADV_PAGEOUT, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
	};
	uint64_t first = pick(f, SIDE_PAGES), pages = 1 + pick(f, SIDE_PAGES - first);
	void *mapping;

	if (pick(f, 2)) {
		madvise(f->target->side + first * PAGE, pages * PAGE,
			advice[pick(f, ARRAY_SIZE(advice))]);
		return;
	}
	mapping = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       f->target->vcpu[pick(f, VCPUS)], pick(f, 80) * PAGE);
	if (mapping != MAP_FAILED)
		munmap(mapping, pages * PAGE);
}

static void *fuzz(void *data)
{
	static void (*const kinds[])(struct fuzzer *) = {
		set_slot, dirty_log, interrupt, irqchip_state, routing, event_fds, zones, vm_clock,
		msr_filter, capability, descriptors, attributes, global, state, state, msrs,
		vcpu_event, vcpu_event, cpuid, run_idle, memory,
	};
	struct fuzzer *f = data;

	f->nth = failing ? open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC) : -1;
	while (!stop)
		kinds[pick(f, ARRAY_SIZE(kinds))](f);
	if (f->nth >= 0)
		close(f->nth);
	return NULL;
}

/* ---- the VM they are about ------------------------------------------------------------------- */

struct runner {
	struct fuzzed *target;
	pthread_t thread;
	unsigned int which;
};

static void on_signal(int number)
{
}

/* Whatever the others have made of it, the vcpu runs its code again, if they have left it able. */
static void set_right(struct fuzzed *t, int vcpu)
{
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs = { .rip = GUEST_CODE, .rsp = GUEST_STACK, .rflags = RFLAGS_FIXED };
	struct kvm_vcpu_events events = { .flags = KVM_VCPUEVENT_VALID_SMM };

	ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events);
	ioctl(vcpu, KVM_SET_MP_STATE, &runnable);
	ioctl(vcpu, KVM_SET_SREGS, &t->good);
	ioctl(vcpu, KVM_SET_REGS, &regs);
}

static bool is_usual(uint32_t reason)
{
	return reason == KVM_EXIT_IO || reason == KVM_EXIT_MMIO || reason == KVM_EXIT_HLT ||
	       reason == KVM_EXIT_HYPERCALL;
}

static void *run_vcpu(void *data)
{
	struct runner *r = data;
	struct kvm_run *run = r->target->run[r->which];
	int vcpu = r->target->vcpu[r->which];

	while (!stop) {
		if (ioctl(vcpu, KVM_RUN, 0) ? errno == EINTR : is_usual(run->exit_reason))
			continue;
		set_right(r->target, vcpu);
	}
	return NULL;
}

static struct fuzzed *new_target(uint64_t *seed)
{
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_VFIO };
	struct fuzzed *t = calloc(1, sizeof(*t));
	struct guest *g = guest_new(LONG, live_code);
	size_t size;

	check(t);
	t->g = g;
	if (random_next(seed) & 0x100)
		guest_with_irqchip(g, LONG);
	g->memory[GUEST_DATA + 0x100] = random_next(seed) >> 8 & 1;	/* whether it waits */
	t->good = vcpu_sregs(g->vcpu);
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	t->vcpu[0] = g->vcpu;
	t->run[0] = g->run;
	for (int i = 1; i < VCPUS; i++) {
		t->vcpu[i] = must(ioctl(g->vm, KVM_CREATE_VCPU, i));
		t->run[i] = vcpu_map_run(g->kvm, t->vcpu[i], &size);
		vcpu_set_supported_cpuid(g->kvm, t->vcpu[i]);
		set_right(t, t->vcpu[i]);
	}
	t->side = mmap(NULL, SIDE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(t->side != MAP_FAILED);
	must(vm_set_slot(g->vm, 1, 0, SIDE_BASE, SIDE_SIZE, t->side));
	t->stats = ioctl(g->vm, KVM_GET_STATS_FD, 0);
	t->device = ioctl(g->vm, KVM_CREATE_DEVICE, &device) ? -1 : (int)device.fd;
	t->event = must(eventfd(0, EFD_NONBLOCK));
	return t;
}

static void free_target(struct fuzzed *t, bool vm_first)
{
	if (vm_first)
		close(t->g->vm);
	for (int i = 0; i < VCPUS; i++) {
		munmap(t->run[i], t->g->run_size);
		close(t->vcpu[i]);
	}
	if (!vm_first)
		close(t->g->vm);
	if (t->device >= 0)
		close(t->device);
	close(t->stats);
	close(t->event);
	close(t->g->kvm);
	munmap(t->side, SIDE_SIZE);
	munmap(t->g->memory, GUEST_MEMORY);
	free(t->g);
	free(t);
}

static void join(pthread_t thread)
{
	while (pthread_tryjoin_np(thread, NULL)) {
		pthread_kill(thread, SIGUSR1);
		sleep_ms(2);
	}
}

static void one_round(uint64_t number)
{
	uint64_t seed = first_seed * 0x9e3779b97f4a7c15ull + number, end;
	struct fuzzed *t = new_target(&seed);
	struct runner runners[RUNNERS];
	struct fuzzer fuzzers[FUZZERS];

	stop = false;
	for (int i = 0; i < RUNNERS; i++) {
		runners[i] = (struct runner){ .target = t, .which = i };
		must(pthread_create(&runners[i].thread, NULL, run_vcpu, &runners[i]) ? -1 : 0);
	}
	for (int i = 0; i < FUZZERS; i++) {
		fuzzers[i] = (struct fuzzer){
			.target = t, .seed = seed + i + 1, .buffer = map_pages(BUFFER),
		};
		must(pthread_create(&fuzzers[i].thread, NULL, fuzz, &fuzzers[i]) ? -1 : 0);
	}
	end = now_ns() + ROUND_MS * 1000000ull * slowness();
	while (now_ns() < end) {
		usleep(5000 * slowness());
		for (int i = 0; i < RUNNERS; i++)
			pthread_kill(runners[i].thread, SIGUSR1);
		for (int i = 0; i < FUZZERS; i++)	/* calls that wait */
			pthread_kill(fuzzers[i].thread, SIGUSR1);
	}
	stop = true;
	for (int i = 0; i < RUNNERS; i++)
		join(runners[i].thread);
	for (int i = 0; i < FUZZERS; i++) {
		join(fuzzers[i].thread);
		munmap(fuzzers[i].buffer, BUFFER);
	}
	free_target(t, seed & 1);
}

static void live(void)
{
	struct rlimit limit = { .rlim_cur = 4096, .rlim_max = 4096 };
	struct sigaction action = { .sa_handler = on_signal };
	uint64_t number = 0, end = now_ns() + seconds * NS_PER_S;
	struct guest *g;

	setrlimit(RLIMIT_NOFILE, &limit);
	sigaction(SIGUSR1, &action, NULL);
	do {
		one_round(number++);
	} while (now_ns() < end);
	note("%llu VMs, %lu calls, seed %llu", (unsigned long long)number, calls_made,
	     (unsigned long long)first_seed);
	g = guest_new(REAL, rest_code);
	for (int i = 0; i < 10; i++)
		run_to(g, KVM_EXIT_HLT);
}

static void live_without_memory(void)
{
	if (access("/proc/thread-self/fail-nth", W_OK))
		skip("no fault injection in this kernel");
	write_text("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	write_text("/sys/kernel/debug/failslab/verbose", "0");
	write_text("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	write_text("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	failing = true;
	live();
}

int main(int argc, char **argv)
{
	static struct test_case cases[] = {
		{ "requests from several threads while vcpus run", live },
		{ "the same, and allocations fail", live_without_memory },
	};

	if (argc > 1)
		seconds = strtoul(argv[1], NULL, 0);
	if (argc > 2)
		first_seed = strtoull(argv[2], NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cases[i].seconds = 3 * seconds + 60;
	return run_cases("fuzz-live", cases, ARRAY_SIZE(cases), 1, argv);
}
