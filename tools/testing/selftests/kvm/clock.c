// SPDX-License-Identifier: GPL-2.0
/*
 * kvmclock: the page that a guest computes its time from, the time of day, KVM_GET_CLOCK and
 * KVM_SET_CLOCK, and how a stopped guest is told. The guest reads its page as the protocol wants
 * it and hands over what it saw together with its TSC; the arithmetic is done here. And steal time:
 * how long a vcpu waited for a processor; and a TSC of another frequency than the host's.
 */
#include "guest.h"

#include <linux/kvm_para.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#define CLOCK_PAGE	0x20000ull
#define WALL_PAGE	0x21008ull
#define STEAL_PAGE	0x22000ull
#define FLAG_STABLE	1
#define FLAG_STOPPED	2

/* The page in the guest's memory. */
struct clock_page {
	uint32_t version, pad;
	uint64_t tsc, ns;
	uint32_t mul;
	int8_t shift;
	uint8_t flags, rest[2];
};

struct wall_page {
	uint32_t version, sec, nsec;
};

/* What the guest stores at GUEST_DATA. */
struct reading {
	struct clock_page page;
	uint64_t tsc;
};

/* Copies the page, and the TSC, until the version was even and did not change meanwhile. */
GUEST(read_code, 64,
	"1:	mov	0x20000, %r8d\n"
	"	test	$1, %r8d\n"
	"	jnz	1b\n"
	"	lfence\n"
	"	mov	$0x20000, %esi\n"
	"	mov	$0xa000, %edi\n"
	"	mov	$4, %ecx\n"
	"	rep movsq\n"
	"	lfence\n"
	"	rdtsc\n"
	"	mov	%eax, 0xa020\n"
	"	mov	%edx, 0xa024\n"
	"	cmp	0x20000, %r8d\n"
	"	jne	1b\n"
	"	out	%al, $0x10\n"
	"	jmp	1b\n");

/* WRMSR of what EDX:EAX holds to ECX, RDMSR of it, and again. */
GUEST(msr_code, 64,
	"1:	wrmsr\n"
	"	xor	%eax, %eax\n"
	"	xor	%edx, %edx\n"
	"	rdmsr\n"
	"	out	%al, $0x10\n"
	"	jmp	1b\n");

/* Goes round until a word in memory says that it is enough. */
GUEST(spin_code, 64, INTERRUPTIBLE
	"1:	cmpl	$0, 0xa000\n"
	"	je	1b\n"
	"	out	%al, $0x10\n"
	"	jmp	1b\n");

static uint64_t real_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static struct kvm_clock_data get_clock(struct guest *g)
{
	struct kvm_clock_data data;

	memset(&data, 0xff, sizeof(data));
	must(ioctl(g->vm, KVM_GET_CLOCK, &data));
	return data;
}

static int set_clock(struct guest *g, uint64_t clock, uint32_t flags, uint64_t realtime)
{
	struct kvm_clock_data data = { .clock = clock, .flags = flags, .realtime = realtime };

	return ioctl(g->vm, KVM_SET_CLOCK, &data);
}

static uint64_t page_ns(const struct reading *r)
{
	uint64_t delta = r->tsc - r->page.tsc;

	check((int64_t)delta >= 0);
	delta = r->page.shift < 0 ? delta >> -r->page.shift : delta << r->page.shift;
	return r->page.ns + (uint64_t)(((unsigned __int128)delta * r->page.mul) >> 32);
}

static struct reading guest_reading(struct guest *g)
{
	struct reading r;

	run_to_out(g, 0x10);
	memcpy(&r, g->memory + GUEST_DATA, sizeof(r));
	check_equal(r.page.version & 1, 0);
	check_equal(r.page.pad, 0);
	check_equal(r.page.flags & ~(FLAG_STABLE | FLAG_STOPPED), 0);
	return r;
}

static struct guest *clock_guest(uint32_t msr)
{
	struct guest *g = guest_new(LONG, read_code);

	check(vcpu_set_msr(g->vcpu, msr, CLOCK_PAGE | 1));
	return g;
}

/* The guest's time is between what the VM's clock was before and after it read. */
static void check_agrees(struct guest *g)
{
	/* The TSC's frequency is known to some parts in a million, and pages need not be fresh. */
	uint64_t tolerance = 1000000;
	uint64_t before = get_clock(g).clock;
	struct reading r = guest_reading(g);
	uint64_t after = get_clock(g).clock;

	if (page_ns(&r) + tolerance < before || page_ns(&r) > after + tolerance)
		fail("the guest's clock is %llu, the VM's %llu to %llu",
		     (unsigned long long)page_ns(&r), (unsigned long long)before,
		     (unsigned long long)after);
}

static void offered(void)
{
	struct guest *g = guest_new(LONG, read_code);
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid_supported(g->kvm), KVM_CPUID_FEATURES, 0);

	check(e);
	check(e->eax & (1u << KVM_FEATURE_CLOCKSOURCE));
	check(e->eax & (1u << KVM_FEATURE_CLOCKSOURCE2));
	check(e->eax & (1u << KVM_FEATURE_CLOCKSOURCE_STABLE_BIT));
	check_equal(extension(g->vm, KVM_CAP_CLOCKSOURCE), 1);
	check_equal(extension(g->vm, KVM_CAP_KVMCLOCK_CTRL), 1);
	check_equal(extension(g->vm, KVM_CAP_ADJUST_CLOCK),
		    KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC);
}

static void page_agrees(void)
{
	static const uint32_t msrs[] = { MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW };

	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
		struct guest *g = clock_guest(msrs[i]);

		for (int n = 0; n < 20; n++) {
			check_agrees(g);
			sleep_ms(20);
		}
	}
}

/* Nothing of it is written before the guest wants it, nor after. */
static void page_only_if_wanted(void)
{
	struct guest *g = guest_new(LONG, read_code);
	struct clock_page *page = (struct clock_page *)(g->memory + CLOCK_PAGE);

	run_to_out(g, 0x10);
	check_equal(page->mul, 0);
	check(vcpu_set_msr(g->vcpu, MSR_KVM_SYSTEM_TIME_NEW, CLOCK_PAGE | 1));
	run_to_out(g, 0x10);
	check(page->mul);
	check(page->version);
	check(vcpu_set_msr(g->vcpu, MSR_KVM_SYSTEM_TIME_NEW, CLOCK_PAGE));
	memset(page, 0, sizeof(*page));
	must(set_clock(g, 0, 0, 0));
	run_to_out(g, 0x10);
	check_equal(page->mul, 0);
}

/* A page that was there before goes on from its version, so that no reader takes it for the old. */
static void version_goes_on(void)
{
	struct guest *g = guest_new(LONG, read_code);
	struct clock_page *page = (struct clock_page *)(g->memory + CLOCK_PAGE);

	page->version = 1001;
	check(vcpu_set_msr(g->vcpu, MSR_KVM_SYSTEM_TIME_NEW, CLOCK_PAGE | 1));
	guest_reading(g);
	check(page->version > 1001 && page->version < 1101);
}

static void never_back(void)
{
	struct guest *g = clock_guest(MSR_KVM_SYSTEM_TIME_NEW);
	int processors = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t last = 0;

	for (int i = 0; i < 400; i++) {
		struct reading r;
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(i % processors, &set);
		must(sched_setaffinity(0, sizeof(set), &set));
		r = guest_reading(g);
		if (page_ns(&r) < last)
			fail("the clock went back by %llu ns in round %d",
			     (unsigned long long)(last - page_ns(&r)), i);
		last = page_ns(&r);
	}
	note("stable bit %s on %d processor(s)",
	     ((struct clock_page *)(g->memory + CLOCK_PAGE))->flags & FLAG_STABLE ? "set" : "clear",
	     processors);
}

/* It runs at the pace of the host's. */
static void pace(void)
{
	struct guest *g = clock_guest(MSR_KVM_SYSTEM_TIME_NEW);
	uint64_t host = now_ns(), passed, clock = get_clock(g).clock;
	struct reading first = guest_reading(g), last;
	uint64_t most;

	sleep_ms(1000);
	last = guest_reading(g);
	passed = now_ns() - host;
	clock = get_clock(g).clock - clock;
	most = passed / 200;
	check(clock + most > passed && clock < passed + most);
	check(page_ns(&last) - page_ns(&first) < passed + most);
	check(page_ns(&last) - page_ns(&first) + most > NS_PER_S * slowness());
}

static void clock_starts_at_zero(void)
{
	struct guest *g = guest_new(LONG, read_code);

	check(get_clock(g).clock < 60 * NS_PER_S * slowness());
}

static void set_clock_shows(void)
{
	static const uint64_t values[] = { 1000 * NS_PER_S, 0, 1ull << 60, 5 * NS_PER_S };
	struct guest *g = clock_guest(MSR_KVM_SYSTEM_TIME_NEW);

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct reading r;

		must(set_clock(g, values[i], 0, 0));
		check(get_clock(g).clock - values[i] < 60 * NS_PER_S);
		r = guest_reading(g);
		check(page_ns(&r) - values[i] < 60 * NS_PER_S);
		check_agrees(g);
	}
}

/* The time between the two moments is added, if there is any. */
static void set_clock_realtime(void)
{
	struct guest *g = clock_guest(MSR_KVM_SYSTEM_TIME_NEW);
	uint64_t clock;

	must(set_clock(g, 100 * NS_PER_S, KVM_CLOCK_REALTIME, real_ns() - 1000 * NS_PER_S));
	clock = get_clock(g).clock;
	check(clock >= 1100 * NS_PER_S && clock < 1160 * NS_PER_S);
	must(set_clock(g, 100 * NS_PER_S, KVM_CLOCK_REALTIME, real_ns() + 1000 * NS_PER_S));
	clock = get_clock(g).clock;
	check(clock >= 100 * NS_PER_S && clock < 160 * NS_PER_S);
	check_agrees(g);
}

static void get_clock_flags(void)
{
	struct guest *g = clock_guest(MSR_KVM_SYSTEM_TIME_NEW);
	struct kvm_clock_data data;
	uint64_t before;

	guest_reading(g);
	before = real_ns();
	data = get_clock(g);
	check_equal(data.flags & ~(KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC),
		    0);
	note("flags %#x", data.flags);
	if (data.flags & KVM_CLOCK_REALTIME)
		check(data.realtime >= before && data.realtime <= real_ns());
	if (data.flags & KVM_CLOCK_HOST_TSC)
		check(data.host_tsc && data.host_tsc <= __builtin_ia32_rdtsc());
	/* As it came, it may go back. */
	must(ioctl(g->vm, KVM_SET_CLOCK, &data));
	check_agrees(g);
}

static void bad_arguments(void)
{
	struct guest *g = guest_new(LONG, read_code);
	uint64_t clock = get_clock(g).clock;

	must_fail(set_clock(g, 0, 1, 0), EINVAL);
	must_fail(set_clock(g, 1ull << 60, 1u << 4, 0), EINVAL);
	must_fail(set_clock(g, 1ull << 60, 1u << 31, 0), EINVAL);
	must_fail(ioctl(g->vm, KVM_SET_CLOCK, NULL), EFAULT);
	must_fail(ioctl(g->vm, KVM_GET_CLOCK, NULL), EFAULT);
	check(get_clock(g).clock - clock < 60 * NS_PER_S * slowness());
	must_fail(ioctl(g->vcpu, KVM_KVMCLOCK_CTRL, 0), EINVAL);
}

/* Addresses at which nothing can be written: no clock, and no harm. */
static void bad_addresses(void)
{
	static const uint64_t addresses[] = {
		GUEST_MEMORY, GUEST_MEMORY - 16, 0xfffffffffffff000ull, 0xfffffffffffffff0ull,
		GUEST_MMIO, 1ull << 62,
	};
	struct guest *g = guest_new(LONG, read_code);

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		vcpu_set_msr(g->vcpu, MSR_KVM_SYSTEM_TIME_NEW, addresses[i] | 1);
		run_to_out(g, 0x10);
		vcpu_set_msr(g->vcpu, MSR_KVM_WALL_CLOCK_NEW, addresses[i]);
	}
	check(vcpu_set_msr(g->vcpu, MSR_KVM_SYSTEM_TIME_NEW, CLOCK_PAGE | 1));
	check_agrees(g);
}

static void stopped(void)
{
	struct guest *g = clock_guest(MSR_KVM_SYSTEM_TIME_NEW);
	struct clock_page *page = (struct clock_page *)(g->memory + CLOCK_PAGE);

	check(!(guest_reading(g).page.flags & FLAG_STOPPED));
	must(ioctl(g->vcpu, KVM_KVMCLOCK_CTRL, 0));
	check(guest_reading(g).page.flags & FLAG_STOPPED);
	/* It stays until the guest takes it away, and then it stays away. */
	must(set_clock(g, NS_PER_S, 0, 0));
	check(guest_reading(g).page.flags & FLAG_STOPPED);
	page->flags &= ~FLAG_STOPPED;
	must(set_clock(g, NS_PER_S, 0, 0));
	check(!(guest_reading(g).page.flags & FLAG_STOPPED));
}

static void wall_clock(void)
{
	static const uint32_t msrs[] = { MSR_KVM_WALL_CLOCK, MSR_KVM_WALL_CLOCK_NEW };
	struct guest *g = guest_new(LONG, msr_code);
	struct wall_page *wall = (struct wall_page *)(g->memory + WALL_PAGE);

	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
		struct kvm_regs regs = vcpu_regs(g->vcpu);
		int64_t ahead;

		memset(wall, 0, sizeof(*wall));
		regs.rip = GUEST_CODE;
		regs.rax = WALL_PAGE;
		regs.rdx = 0;
		regs.rcx = msrs[i];
		vcpu_set_regs(g->vcpu, &regs);
		run_to_out(g, 0x10);
		check_equal(vcpu_regs(g->vcpu).rax, WALL_PAGE);
		check(wall->version && !(wall->version & 1));
		check(wall->nsec < NS_PER_S);
		ahead = wall->sec * NS_PER_S + wall->nsec + get_clock(g).clock - real_ns();
		check(ahead > -1000000000ll * slowness() && ahead < 1000000000ll * slowness());
	}
}

static void msr_from_guest(void)
{
	struct guest *g = guest_new(LONG, msr_code);
	struct kvm_regs regs = vcpu_regs(g->vcpu);
	struct clock_page *page = (struct clock_page *)(g->memory + CLOCK_PAGE);
	uint64_t value;

	regs.rax = CLOCK_PAGE | 1;
	regs.rdx = 0;
	regs.rcx = MSR_KVM_SYSTEM_TIME_NEW;
	vcpu_set_regs(g->vcpu, &regs);
	run_to_out(g, 0x10);
	check_equal(vcpu_regs(g->vcpu).rax, CLOCK_PAGE | 1);
	check(page->mul);
	check(vcpu_get_msr(g->vcpu, MSR_KVM_SYSTEM_TIME_NEW, &value));
	check_equal(value, CLOCK_PAGE | 1);
	check(vcpu_get_msr(g->vcpu, MSR_KVM_SYSTEM_TIME, &value));
	check_equal(value, CLOCK_PAGE | 1);
}

/* The page follows when the guest's TSC is set. */
static void tsc_moves(void)
{
	static const uint64_t values[] = { 1ull << 40, 12345, 1ull << 50 };
	struct guest *g = clock_guest(MSR_KVM_SYSTEM_TIME_NEW);

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		check_agrees(g);
		check(vcpu_set_msr(g->vcpu, MSR_TSC, values[i]));
		check_agrees(g);
	}
}

static void *set_again(void *data)
{
	struct guest *g = data;

	for (unsigned int i = 0; i < 200; i++) {
		must(set_clock(g, i & 1 ? 1ull << 50 : 0, 0, 0));
		sched_yield();
	}
	return NULL;
}

/* No reading is half of one setting and half of another. */
static void set_while_reading(void)
{
	struct guest *g = clock_guest(MSR_KVM_SYSTEM_TIME_NEW);
	pthread_t thread;
	unsigned int high = 0, low = 0;

	guest_reading(g);
	check(!pthread_create(&thread, NULL, set_again, g));
	for (int i = 0; i < 2000; i++) {
		struct reading r = guest_reading(g);
		uint64_t ns = page_ns(&r);

		if (ns >= 1ull << 50)
			high++;
		else
			low++;
		check((ns & ~(1ull << 50)) < 300 * NS_PER_S * slowness());
	}
	pthread_join(thread, NULL);
	note("%u readings of one value, %u of the other", high, low);
}

static struct guest *steal_guest(void)
{
	struct guest *g = guest_new(LONG, spin_code);

	NEED(g->vm, KVM_CAP_STEAL_TIME);
	return g;
}

/* It is set again when the scheduler comes between the guest's exit and the end of KVM_RUN. */
static void check_not_preempted(struct guest *g)
{
	const struct kvm_steal_time *st = (struct kvm_steal_time *)(g->memory + STEAL_PAGE);

	for (int i = 0; st->preempted && i < 50; i++)
		run_to_out(g, 0x10);
	check_equal(st->preempted, 0);
}

static void steal_msr(void)
{
	struct guest *g = steal_guest();
	struct kvm_steal_time *st = (struct kvm_steal_time *)(g->memory + STEAL_PAGE);
	uint64_t value;

	for (unsigned int bit = 1; bit < 6; bit++)
		check(!vcpu_set_msr(g->vcpu, MSR_KVM_STEAL_TIME, STEAL_PAGE | 1ull << bit | 1));
	check(vcpu_get_msr(g->vcpu, MSR_KVM_STEAL_TIME, &value));
	check_equal(value, 0);
	/* The sum and the version go on from what is there. */
	st->steal = 1ull << 50;
	st->version = 7;
	st->preempted = 1;
	*(uint32_t *)(g->memory + GUEST_DATA) = 1;
	check(vcpu_set_msr(g->vcpu, MSR_KVM_STEAL_TIME, STEAL_PAGE | 1));
	check(vcpu_get_msr(g->vcpu, MSR_KVM_STEAL_TIME, &value));
	check_equal(value, STEAL_PAGE | 1);
	run_to_out(g, 0x10);
	check_equal(st->version & 1, 0);
	check(st->version > 7);
	check_not_preempted(g);
	check(st->steal >= 1ull << 50 && st->steal < (1ull << 50) + 60 * NS_PER_S);
	/* Where nothing can be written there is no steal time, and no harm. */
	vcpu_set_msr(g->vcpu, MSR_KVM_STEAL_TIME, GUEST_MEMORY | 1);
	run_to_out(g, 0x10);
	check(vcpu_set_msr(g->vcpu, MSR_KVM_STEAL_TIME, 0));
	run_to_out(g, 0x10);
}

/* On the vcpu's own processor: while this runs, the vcpu does not. */
static void *take_turns(void *data)
{
	struct guest *g = data;
	volatile struct kvm_steal_time *st = (void *)(g->memory + STEAL_PAGE);
	uint64_t end = now_ns() + NS_PER_S * slowness();
	unsigned long seen = 0;

	while (now_ns() < end)
		seen += st->preempted == KVM_VCPU_PREEMPTED;
	*(volatile uint32_t *)(g->memory + GUEST_DATA) = 1;
	return (void *)seen;
}

static uint64_t waited_ns(void)
{
	unsigned long long ran, waited;
	FILE *f = fopen("/proc/thread-self/schedstat", "r");

	if (!f || fscanf(f, "%llu %llu", &ran, &waited) != 2)
		skip("the host does not tell how long a thread waited");
	fclose(f);
	return waited;
}

static void steal_grows(void)
{
	struct guest *g = steal_guest();
	struct kvm_steal_time *st = (struct kvm_steal_time *)(g->memory + STEAL_PAGE);
	uint64_t before, outer;
	pthread_t thread;
	cpu_set_t set;
	void *seen;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	must(sched_setaffinity(0, sizeof(set), &set));
	check(vcpu_set_msr(g->vcpu, MSR_KVM_STEAL_TIME, STEAL_PAGE | 1));
	*(uint32_t *)(g->memory + GUEST_DATA) = 1;
	run_to_out(g, 0x10);
	*(uint32_t *)(g->memory + GUEST_DATA) = 0;
	outer = waited_ns();
	before = st->steal;
	check(!pthread_create(&thread, NULL, take_turns, g));
	run_to_out(g, 0x10);
	outer = waited_ns() - outer;
	pthread_join(thread, &seen);
	/* What is left is the wait since the last entry. */
	run_to_out(g, 0x10);
	note("the thread waited %llu us, %llu us stolen", (unsigned long long)outer / 1000,
	     (unsigned long long)(st->steal - before) / 1000);
	check(st->steal - before > NS_PER_S / 10);
	check(st->steal - before + NS_PER_S / 10 * slowness() > outer);
	check(st->steal - before < outer + NS_PER_S / 10 * slowness());
	check(seen);
	check_not_preempted(g);
}

/* ---- a TSC of another frequency than the host's -------------------------------------------------- */

/* R8 and R9: the TSC before and after a loop */
GUEST(count_code, 64,
	"1:	rdtsc\n	shl	$32, %rdx\n	or	%rdx, %rax\n	mov	%rax, %r8\n"
	"	mov	$20000, %ecx\n"
	"2:	dec	%ecx\n	jnz	2b\n"
	"	rdtsc\n	shl	$32, %rdx\n	or	%rdx, %rax\n	mov	%rax, %r9\n"
	"	out	%al, $0x10\n"
	"	jmp	1b\n");

static struct guest *scaled(struct guest *g)
{
	NEED(g->vm, KVM_CAP_VM_TSC_CONTROL);
	NEED(g->kvm, KVM_CAP_TSC_CONTROL);
	return g;
}

static int frequency(int fd)
{
	return must(ioctl(fd, KVM_GET_TSC_KHZ, 0));
}

static uint64_t loop_cycles(struct guest *g)
{
	uint64_t least = -1ull;

	for (int i = 0; i < 10; i++) {
		struct kvm_regs regs;

		run_to_out(g, 0x10);
		regs = vcpu_regs(g->vcpu);
		check(regs.r9 > regs.r8);
		if (regs.r9 - regs.r8 < least)
			least = regs.r9 - regs.r8;
	}
	return least;
}

static void frequency_counts(void)
{
	struct guest *g = scaled(guest_new(LONG, count_code));
	uint64_t khz = frequency(g->vcpu), cycles = loop_cycles(g), last = 0;
	static const int percent[] = { 200, 50, 325, 100 };

	for (size_t i = 0; i < ARRAY_SIZE(percent); i++) {
		uint64_t wanted = cycles * percent[i] / 100, got;

		must(ioctl(g->vcpu, KVM_SET_TSC_KHZ, khz * percent[i] / 100));
		check_equal(frequency(g->vcpu), khz * percent[i] / 100);
		got = loop_cycles(g);
		if (got < wanted * 9 / 10 || got > wanted * 11 / 10)
			fail("%llu cycles at %d%%, not %llu", (unsigned long long)got, percent[i],
			     (unsigned long long)wanted);
		/* It goes on from where it was, and the register is what the guest reads. */
		check(vcpu_regs(g->vcpu).r8 > last);
		check(vcpu_get_msr(g->vcpu, 0x10, &last));
		check(last > vcpu_regs(g->vcpu).r9);
		check(last - vcpu_regs(g->vcpu).r9 < 5 * khz * 1000 * slowness());
	}
}

static void frequency_bad(void)
{
	struct guest *g = scaled(guest_new(LONG, count_code));
	int khz = frequency(g->vcpu);

	must_fail(ioctl(g->vcpu, KVM_SET_TSC_KHZ, 1ull << 32), EINVAL);
	must_fail(ioctl(g->vm, KVM_SET_TSC_KHZ, khz * 2), EINVAL);
	check_equal(frequency(g->vcpu), khz);
	check_equal(frequency(g->vm), khz);
	must(ioctl(g->vcpu, KVM_SET_TSC_KHZ, 1));
	run_to_out(g, 0x10);
	must(ioctl(g->vcpu, KVM_SET_TSC_KHZ, 0));
	check_equal(frequency(g->vcpu), khz);
}

/* The VM's is that of vcpus to come; they are in step, and stay so if userspace writes them alike. */
static void frequency_of_vm(void)
{
	struct guest *g = scaled(guest_new(LONG, count_code));
	int vm = must(ioctl(g->kvm, KVM_CREATE_VM, 0));
	struct kvm_device_attr attr = { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET };
	uint64_t offset[3], tsc;
	int khz = frequency(g->vcpu), vcpu[3];

	must(ioctl(vm, KVM_SET_TSC_KHZ, khz * 2));
	check_equal(frequency(vm), khz * 2);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3; i++) {
			if (!round)
				vcpu[i] = must(ioctl(vm, KVM_CREATE_VCPU, i));
			if (round == 1)
				check(vcpu_set_msr(vcpu[i], 0x10, 1000000000ull * khz));
			if (round == 2)
				must(ioctl(vcpu[i], KVM_SET_TSC_KHZ, khz * 3));
			check_equal(frequency(vcpu[i]), khz * (2 + round / 2));
			attr.addr = (uintptr_t)&offset[i];
			must(ioctl(vcpu[i], KVM_GET_DEVICE_ATTR, &attr));
			check_equal(offset[i], offset[0]);
		}
		if (!round)
			continue;
		check(vcpu_get_msr(vcpu[2], 0x10, &tsc));
		check(tsc >= 1000000000ull * khz);
		check(tsc < 1000000000ull * khz + 60000ull * khz * slowness());
	}
}

static void frequency_of_clock(void)
{
	struct guest *g = scaled(guest_new(LONG, read_code));
	int khz = frequency(g->vcpu);
	uint32_t mul;

	check(vcpu_set_msr(g->vcpu, MSR_KVM_SYSTEM_TIME_NEW, CLOCK_PAGE | 1));
	mul = guest_reading(g).page.mul;
	must(ioctl(g->vcpu, KVM_SET_TSC_KHZ, khz / 3));
	for (int i = 0; i < 20; i++) {
		check(guest_reading(g).page.mul != mul);
		check_agrees(g);
		sleep_ms(20);
	}
	check(vcpu_set_msr(g->vcpu, 0x10, 1ull << 40));
	check_agrees(g);
	must(ioctl(g->vcpu, KVM_SET_TSC_KHZ, 0));
	check_equal(guest_reading(g).page.mul, mul);
	check_agrees(g);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "what is offered", offered },
		{ "the page agrees with KVM_GET_CLOCK", page_agrees },
		{ "written only if wanted", page_only_if_wanted },
		{ "the version goes on", version_goes_on },
		{ "never back, on all processors", never_back },
		{ "the pace", pace },
		{ "a new VM's clock", clock_starts_at_zero },
		{ "KVM_SET_CLOCK", set_clock_shows },
		{ "KVM_SET_CLOCK with the time of day", set_clock_realtime },
		{ "what KVM_GET_CLOCK says", get_clock_flags },
		{ "bad arguments", bad_arguments },
		{ "bad addresses", bad_addresses },
		{ "a stopped guest is told", stopped },
		{ "the time of day", wall_clock },
		{ "the MSR in the guest", msr_from_guest },
		{ "the TSC is set", tsc_moves },
		{ "set while the guest reads", set_while_reading },
		{ "steal time: the MSR", steal_msr },
		{ "steal time grows with the wait", steal_grows },
		{ "another frequency: the TSC", frequency_counts },
		{ "another frequency: bad arguments", frequency_bad },
		{ "another frequency: of a VM", frequency_of_vm },
		{ "another frequency: the page", frequency_of_clock },
	};

	return RUN_CASES("clock", cases);
}
