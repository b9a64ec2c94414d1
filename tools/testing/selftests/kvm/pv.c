// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest that knows of KVM can ask for, but for clocks (clock.c) and page faults (asyncpf.c):
 * which features are offered and may be withheld, hypercalls and their answers, the MSRs that are
 * values, calls for a halted vcpu, the flush that waits for a preempted one, and interrupts whose end
 * needs no exit. Documentation/virt/kvm/x86/pv.rst.
 */
#include "guest.h"

#include <linux/kvm_para.h>
#include <pthread.h>
#include <time.h>

#define DONE_PORT	0x51
#define STEAL_PAGE	0x22000ull
#define PAIRING		0x23000ull
#define X2APIC_LVT_TIMER 0x832
#define X2APIC_INITIAL	0x838
#define ICR_LOGICAL	0x800u
#define ICR_OTHERS	0xc0000u
#define VECTOR_IPI	0x61
#define COUNTS		0xa000		/* 4 bytes for each vector */

#define FEATURE(name)	(1u << KVM_FEATURE_##name)

/*
 * Does one thing and says that it is done; the test sends it to a label. Interrupts are taken where
 * it halts and in pv_open.
 */
GUEST(pv_code, 64,
	"	.globl	pv_wrmsr, pv_rdmsr, pv_call, pv_halt, pv_start, pv_open\n"
	"	.globl	pv_handler, pv_byte, pv_nap\n"
	"1:	out	%al, $0x51\n"
	"	jmp	1b\n"
	"pv_wrmsr: wrmsr\n"
	"	jmp	1b\n"
	"pv_rdmsr: rdmsr\n"
	"	jmp	1b\n"
	"pv_call: vmmcall\n"
	"	jmp	1b\n"
	"pv_halt: hlt\n"
	"	jmp	1b\n"
	"pv_nap: wrmsr\n"
	"	sti\n"
	"	hlt\n"
	"	cli\n"
	"	jmp	1b\n"
	"pv_byte: movzbl	(%rbx), %eax\n"
	"	jmp	1b\n"
	"pv_open: sti\n"
	"	nop\n"
	"	nop\n"
	"	cli\n"
	"	jmp	1b\n"
	/* The APIC by way of its MSRs, software-enabled. */
	"pv_start: mov	$0x1b, %ecx\n"
	"	rdmsr\n"
	"	or	$0xc00, %eax\n"
	"	wrmsr\n"
	"	mov	$0x80f, %ecx\n"
	"	mov	$0x1ff, %eax\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	jmp	1b\n"
	"pv_handler: push %rax\n"
	"	push	%rcx\n"
	"	push	%rdx\n"
	"	incl	0xa184\n"		/* COUNTS + 4 * VECTOR_IPI */
	"	mov	$0x80b, %ecx\n"
	"	xor	%eax, %eax\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	pop	%rdx\n"
	"	pop	%rcx\n"
	"	pop	%rax\n"
	"	iretq\n");

extern const uint8_t pv_wrmsr[], pv_rdmsr[], pv_call[], pv_halt[], pv_start[], pv_open[],
		     pv_handler[], pv_byte[], pv_nap[];

/* The same call in 32-bit code. */
GUEST(call32_code, 32,
	"1:	vmmcall\n"
	"	out	%al, $0x51\n"
	"	jmp	1b\n");

/* ---- machines -------------------------------------------------------------------------------- */

static struct guest *new_guest(void)
{
	struct guest *g = guest_new(LONG, pv_code);

	guest_gate(g, VECTOR_IPI, guest_address(g, pv_handler));
	return g;
}

static struct kvm_regs start_at(struct guest *g, const uint8_t *label)
{
	struct kvm_regs regs;

	guest_complete(g);
	regs = vcpu_regs(g->vcpu);
	regs.rip = guest_address(g, label);
	return regs;
}

/* With its APIC on. */
static struct guest *apic_guest(void)
{
	struct guest *g = new_guest();
	struct kvm_regs regs;

	guest_with_irqchip(g, LONG);
	regs = start_at(g, pv_start);
	vcpu_set_regs(g->vcpu, &regs);
	run_to_out(g, DONE_PORT);
	memset(g->memory + COUNTS, 0, PAGE);
	return g;
}

static uint32_t counted(struct guest *g)
{
	return __atomic_load_n((uint32_t *)(g->memory + COUNTS) + VECTOR_IPI, __ATOMIC_RELAXED);
}

static void set_call(struct guest *g, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2,
		     uint64_t a3)
{
	struct kvm_regs regs = start_at(g, pv_call);

	regs.rax = nr;
	regs.rbx = a0;
	regs.rcx = a1;
	regs.rdx = a2;
	regs.rsi = a3;
	vcpu_set_regs(g->vcpu, &regs);
}

static int64_t hypercall(struct guest *g, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2,
			 uint64_t a3)
{
	set_call(g, nr, a0, a1, a2, a3);
	run_to_out(g, DONE_PORT);
	return vcpu_regs(g->vcpu).rax;
}

static void set_msr_access(struct guest *g, const uint8_t *label, uint32_t msr, uint64_t value)
{
	struct kvm_regs regs = start_at(g, label);

	regs.rcx = msr;
	regs.rax = (uint32_t)value;
	regs.rdx = value >> 32;
	vcpu_set_regs(g->vcpu, &regs);
}

static void guest_wrmsr(struct guest *g, uint32_t msr, uint64_t value)
{
	set_msr_access(g, pv_wrmsr, msr, value);
	run_to_out(g, DONE_PORT);
}

static uint64_t guest_rdmsr(struct guest *g, uint32_t msr)
{
	struct kvm_regs regs;

	set_msr_access(g, pv_rdmsr, msr, 0);
	run_to_out(g, DONE_PORT);
	regs = vcpu_regs(g->vcpu);
	return (uint32_t)regs.rax | regs.rdx << 32;
}

static void refused(struct guest *g, const uint8_t *label, uint32_t msr, uint64_t value)
{
	set_msr_access(g, label, msr, value);
	run_to_exception(g, VECTOR_GP, 0);
}

static int enable(int fd, uint32_t cap, uint64_t value)
{
	struct kvm_enable_cap args = { .cap = cap, .args = { value } };

	return ioctl(fd, KVM_ENABLE_CAP, &args);
}

/* Only what is named may be used; the leaves are @distance behind their usual place. */
static void allow_only(struct guest *g, uint32_t features, uint32_t distance)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(g->kvm);

	NEED(g->kvm, KVM_CAP_ENFORCE_PV_FEATURE_CPUID);
	cpuid_find(cpuid, KVM_CPUID_FEATURES, 0)->eax = features;
	cpuid_find(cpuid, KVM_CPUID_FEATURES, 0)->function += distance;
	cpuid_find(cpuid, KVM_CPUID_SIGNATURE, 0)->function += distance;
	must(ioctl(g->vcpu, KVM_SET_CPUID2, cpuid));
	must(enable(g->vcpu, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1));
	free(cpuid);
}

/* ---- features -------------------------------------------------------------------------------- */

static void offered(void)
{
	int kvm = open_kvm();
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid_supported(kvm), KVM_CPUID_FEATURES, 0);
	uint32_t wanted = FEATURE(NOP_IO_DELAY) | FEATURE(PV_UNHALT) | FEATURE(PV_SEND_IPI) |
			  FEATURE(POLL_CONTROL) | FEATURE(PV_SCHED_YIELD);

	check(e);
	check_equal(e->eax & wanted, wanted);
	/* What there is not, and what only userspace can offer. */
	check_equal(e->eax & (FEATURE(MMU_OP) | FEATURE(MSI_EXT_DEST_ID) |
			      FEATURE(HC_MAP_GPA_RANGE)), 0);
	if (extension(kvm, KVM_CAP_STEAL_TIME))
		check(e->eax & FEATURE(PV_TLB_FLUSH));
	check_equal(extension(kvm, KVM_CAP_EXIT_HYPERCALL), 1u << KVM_HC_MAP_GPA_RANGE);
}

static const uint32_t msrs[] = {
	MSR_KVM_SYSTEM_TIME, MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_WALL_CLOCK_NEW,
	MSR_KVM_STEAL_TIME, MSR_KVM_POLL_CONTROL,
};

static void withheld(void)
{
	struct guest *g = new_guest();
	uint64_t value;

	allow_only(g, 0, 0);
	run_to_out(g, DONE_PORT);
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
		refused(g, pv_rdmsr, msrs[i], 0);
		refused(g, pv_wrmsr, msrs[i], 0);
		/* Userspace reads and writes them all the same. */
		check(vcpu_get_msr(g->vcpu, msrs[i], &value));
		check(vcpu_set_msr(g->vcpu, msrs[i], value));
	}
	check_equal(hypercall(g, KVM_HC_KICK_CPU, 0, 0, 0, 0), -KVM_ENOSYS);
	check_equal(hypercall(g, KVM_HC_SEND_IPI, 0, 0, 0, 0), -KVM_ENOSYS);
	check_equal(hypercall(g, KVM_HC_SCHED_YIELD, 0, 0, 0, 0), -KVM_ENOSYS);
}

static void allowed_one_by_one(void)
{
	for (uint32_t distance = 0; distance <= 0x100; distance += 0x100) {
		struct guest *g = new_guest();

		allow_only(g, FEATURE(POLL_CONTROL) | FEATURE(PV_SCHED_YIELD), distance);
		run_to_out(g, DONE_PORT);
		check_equal(guest_rdmsr(g, MSR_KVM_POLL_CONTROL), 1);
		guest_wrmsr(g, MSR_KVM_POLL_CONTROL, 0);
		check_equal(hypercall(g, KVM_HC_SCHED_YIELD, 0, 0, 0, 0), 0);
		refused(g, pv_rdmsr, MSR_KVM_STEAL_TIME, 0);
		check_equal(hypercall(g, KVM_HC_KICK_CPU, 0, 0, 0, 0), -KVM_ENOSYS);
		must(enable(g->vcpu, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 0));
		check_equal(hypercall(g, KVM_HC_KICK_CPU, 0, 0, 0, 0), 0);
	}
}

static void bad_capabilities(void)
{
	struct guest *g = new_guest();
	struct kvm_enable_cap args = { .cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .flags = 1 };

	must_fail(ioctl(g->vcpu, KVM_ENABLE_CAP, &args), EINVAL);
	must_fail(ioctl(g->vcpu, KVM_ENABLE_CAP, NULL), EFAULT);
	must_fail(enable(g->vcpu, KVM_CAP_EXIT_HYPERCALL, 0), EINVAL);
	must_fail(enable(g->vm, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1), EINVAL);
	must_fail(enable(g->vm, KVM_CAP_EXIT_HYPERCALL, 1), EINVAL);
	must_fail(enable(g->vm, KVM_CAP_EXIT_HYPERCALL, ~0ull), EINVAL);
	must_fail(enable(g->vm, KVM_CAP_EXIT_HYPERCALL, 1u << KVM_HC_SEND_IPI), EINVAL);
	must(enable(g->vm, KVM_CAP_EXIT_HYPERCALL, 0));
}

static void value_msrs(void)
{
	struct guest *g = new_guest();

	run_to_out(g, DONE_PORT);
	check_equal(guest_rdmsr(g, MSR_KVM_POLL_CONTROL), 1);
	guest_wrmsr(g, MSR_KVM_POLL_CONTROL, 0);
	check_equal(guest_rdmsr(g, MSR_KVM_POLL_CONTROL), 0);
	check_equal(guest_rdmsr(g, MSR_KVM_MIGRATION_CONTROL), KVM_MIGRATION_READY);
	guest_wrmsr(g, MSR_KVM_MIGRATION_CONTROL, 0);
	check_equal(guest_rdmsr(g, MSR_KVM_MIGRATION_CONTROL), 0);
	for (unsigned int bit = 1; bit < 64; bit += 7) {
		refused(g, pv_wrmsr, MSR_KVM_POLL_CONTROL, 1ull << bit);
		refused(g, pv_wrmsr, MSR_KVM_MIGRATION_CONTROL, 1ull << bit);
		check(!vcpu_set_msr(g->vcpu, MSR_KVM_POLL_CONTROL, 1ull << bit));
	}
	check_equal(guest_rdmsr(g, MSR_KVM_POLL_CONTROL), 0);
	/* No MSR of the range that has no meaning. */
	refused(g, pv_rdmsr, MSR_KVM_MIGRATION_CONTROL + 1, 0);
	refused(g, pv_wrmsr, MSR_KVM_MIGRATION_CONTROL + 1, 0);
}

static void saved(void)
{
	int kvm = open_kvm();
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + 4 * 2000);
	static const uint32_t wanted[] = {
		MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_STEAL_TIME,
		MSR_KVM_POLL_CONTROL, MSR_KVM_MIGRATION_CONTROL,
	};

	list->nmsrs = 2000;
	must(ioctl(kvm, KVM_GET_MSR_INDEX_LIST, list));
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		uint32_t at = 0;

		while (at < list->nmsrs && list->indices[at] != wanted[i])
			at++;
		if (at == list->nmsrs)
			fail("MSR %#x is not in the list", wanted[i]);
	}
}

/* ---- hypercalls ------------------------------------------------------------------------------ */

static void unknown_calls(void)
{
	static const uint64_t numbers[] = { 0, 2, 3, 4, 6, 7, 8, 13, 1000, 1ull << 32, ~0ull };
	struct guest *g = new_guest();

	run_to_out(g, DONE_PORT);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		check_equal(hypercall(g, numbers[i], ~0ull, ~0ull, ~0ull, ~0ull), -KVM_ENOSYS);
	check_equal(hypercall(g, KVM_HC_VAPIC_POLL_IRQ, 0, 0, 0, 0), 0);
	check_equal(hypercall(g, KVM_HC_MAP_GPA_RANGE, 0, 1, 0, 0), -KVM_ENOSYS);
}

/* Outside 64-bit mode all registers have 32 bits, the answer's too. */
static void truncated(void)
{
	struct guest *g = guest_new(PROTECTED, call32_code);
	struct kvm_regs regs;

	for (uint64_t nr = KVM_HC_VAPIC_POLL_IRQ; nr <= KVM_HC_MMU_OP; nr++) {
		regs = vcpu_regs(g->vcpu);
		regs.rip = GUEST_CODE;
		regs.rax = 1ull << 40 | nr;
		vcpu_set_regs(g->vcpu, &regs);
		run_to_out(g, DONE_PORT);
		check_equal(vcpu_regs(g->vcpu).rax,
			    nr == KVM_HC_VAPIC_POLL_IRQ ? 0 : (uint32_t)-KVM_ENOSYS);
		guest_complete(g);
	}
}

static void privileged(void)
{
	struct guest *g = new_guest();

	run_to_out(g, DONE_PORT);
	guest_complete(g);
	guest_to_user(g);
	check_equal(hypercall(g, KVM_HC_VAPIC_POLL_IRQ, 0, 0, 0, 0), -KVM_EPERM);
	check_equal(hypercall(g, KVM_HC_KICK_CPU, 0, 0, 0, 0), -KVM_EPERM);
	check_equal(hypercall(g, 1000, 0, 0, 0, 0), -KVM_EPERM);
}

static int64_t real_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void clock_pairing(void)
{
	struct guest *g = new_guest();
	struct kvm_clock_pairing *pair = (void *)(g->memory + PAIRING);
	int64_t before, ns, answer;
	uint64_t tsc;

	run_to_out(g, DONE_PORT);
	memset(pair, 0xff, sizeof(*pair));
	before = real_ns();
	check(vcpu_set_msr(g->vcpu, MSR_TSC, 1ull << 50));
	answer = hypercall(g, KVM_HC_CLOCK_PAIRING, PAIRING, KVM_CLOCK_PAIRING_WALLCLOCK, 0, 0);
	if (answer == -KVM_EOPNOTSUPP)
		skip("the host's clock is not the TSC");
	check_equal(answer, 0);
	check(vcpu_get_msr(g->vcpu, MSR_TSC, &tsc));
	ns = pair->sec * NS_PER_S + pair->nsec;
	check(ns >= before && ns <= real_ns());
	check(pair->tsc >= 1ull << 50 && pair->tsc <= tsc);
	check_equal(pair->flags, 0);
	for (size_t i = 0; i < ARRAY_SIZE(pair->pad); i++)
		check_equal(pair->pad[i], 0);
	check_equal(hypercall(g, KVM_HC_CLOCK_PAIRING, PAIRING, 1, 0, 0), -KVM_EOPNOTSUPP);
	check_equal(hypercall(g, KVM_HC_CLOCK_PAIRING, GUEST_MEMORY, 0, 0, 0), -KVM_EFAULT);
	check_equal(hypercall(g, KVM_HC_CLOCK_PAIRING, ~0ull - 8, 0, 0, 0), -KVM_EFAULT);
}

static void map_gpa_range(void)
{
	struct guest *g = new_guest();
	struct kvm_run *run = g->run;

	run_to_out(g, DONE_PORT);
	must(enable(g->vm, KVM_CAP_EXIT_HYPERCALL, 1u << KVM_HC_MAP_GPA_RANGE));
	check_equal(hypercall(g, KVM_HC_MAP_GPA_RANGE, 0x1001, 1, 0, 0), -KVM_EINVAL);
	check_equal(hypercall(g, KVM_HC_MAP_GPA_RANGE, 0x1000, 0, 0, 0), -KVM_EINVAL);
	check_equal(hypercall(g, KVM_HC_MAP_GPA_RANGE, 0x1000, ~0ull, 0, 0), -KVM_EINVAL);

	set_call(g, KVM_HC_MAP_GPA_RANGE, 0x5000, 3, KVM_MAP_GPA_RANGE_ENCRYPTED, 77);
	run_to(g, KVM_EXIT_HYPERCALL);
	check_equal(run->hypercall.nr, KVM_HC_MAP_GPA_RANGE);
	check_equal(run->hypercall.args[0], 0x5000);
	check_equal(run->hypercall.args[1], 3);
	check_equal(run->hypercall.args[2], KVM_MAP_GPA_RANGE_ENCRYPTED);
	check_equal(run->hypercall.flags, KVM_EXIT_HYPERCALL_LONG_MODE);
	check_equal(run->hypercall.ret, 0);
	run->hypercall.ret = 0x123456789abcull;
	run_to_out(g, DONE_PORT);
	check_equal(vcpu_regs(g->vcpu).rax, 0x123456789abcull);

	must(enable(g->vm, KVM_CAP_EXIT_HYPERCALL, 0));
	check_equal(hypercall(g, KVM_HC_MAP_GPA_RANGE, 0x5000, 3, 0, 0), -KVM_ENOSYS);
}

/* ---- a second vcpu, which halts -------------------------------------------------------------- */

struct sleeper {
	struct guest guest;
	pthread_t thread;
	unsigned int outs;
};

static void *sleeper_run(void *data)
{
	struct sleeper *s = data;

	run_to_out(&s->guest, DONE_PORT);
	__atomic_store_n(&s->outs, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* It has its APIC on and is about to halt, with interrupts enabled or not. */
static struct sleeper *sleeper_new(struct guest *g, uint64_t rflags)
{
	struct sleeper *s = calloc(1, sizeof(*s));
	struct kvm_mp_state state = { KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs;

	check(s);
	s->guest = *g;
	s->guest.vcpu = must(ioctl(g->vm, KVM_CREATE_VCPU, 1));
	s->guest.run = vcpu_map_run(g->kvm, s->guest.vcpu, &s->guest.run_size);
	vcpu_set_supported_cpuid(g->kvm, s->guest.vcpu);
	vcpu_set_mode(s->guest.vcpu, LONG);
	must(ioctl(s->guest.vcpu, KVM_SET_MP_STATE, &state));
	regs = vcpu_regs(s->guest.vcpu);
	regs.rip = guest_address(g, pv_start);
	regs.rsp = GUEST_STACK - PAGE / 2;
	vcpu_set_regs(s->guest.vcpu, &regs);
	run_to_out(&s->guest, DONE_PORT);
	regs = start_at(&s->guest, pv_halt);
	regs.rflags |= rflags;
	vcpu_set_regs(s->guest.vcpu, &regs);
	return s;
}

static void sleeper_start(struct sleeper *s)
{
	check_equal(pthread_create(&s->thread, NULL, sleeper_run, s), 0);
}

static bool sleeper_up(struct sleeper *s, unsigned int ms)
{
	for (unsigned int i = 0; i < ms / 5; i++) {
		if (__atomic_load_n(&s->outs, __ATOMIC_ACQUIRE))
			return true;
		sleep_ms(5);
	}
	return __atomic_load_n(&s->outs, __ATOMIC_ACQUIRE);
}

static void kick_wakes(void)
{
	struct guest *g = apic_guest();
	struct sleeper *s = sleeper_new(g, 0);

	sleeper_start(s);
	check(!sleeper_up(s, 100));
	check_equal(hypercall(g, KVM_HC_KICK_CPU, 0, 7, 0, 0), 0);
	check(!sleeper_up(s, 50));
	check_equal(hypercall(g, KVM_HC_KICK_CPU, 0, 1, 0, 0), 0);
	check(sleeper_up(s, 10000));
	pthread_join(s->thread, NULL);
}

/* One that comes before the halt is not lost, and serves one halt. */
static void kick_remembered(void)
{
	struct guest *g = apic_guest();
	struct sleeper *s = sleeper_new(g, 0);
	struct kvm_regs regs;

	check_equal(hypercall(g, KVM_HC_KICK_CPU, 0, 1, 0, 0), 0);
	sleeper_start(s);
	check(sleeper_up(s, 10000));
	pthread_join(s->thread, NULL);
	s->outs = 0;
	regs = start_at(&s->guest, pv_halt);
	vcpu_set_regs(s->guest.vcpu, &regs);
	sleeper_start(s);
	check(!sleeper_up(s, 100));
	check_equal(hypercall(g, KVM_HC_KICK_CPU, 0, 1, 0, 0), 0);
	check(sleeper_up(s, 10000));
	pthread_join(s->thread, NULL);
}

/* Saved as halted it would sleep for ever where it is restored. */
static void kick_in_mp_state(void)
{
	struct guest *g = apic_guest();
	struct sleeper *s = sleeper_new(g, 0);
	struct kvm_mp_state state = { KVM_MP_STATE_HALTED };

	must(ioctl(s->guest.vcpu, KVM_SET_MP_STATE, &state));
	must(ioctl(s->guest.vcpu, KVM_GET_MP_STATE, &state));
	check_equal(state.mp_state, KVM_MP_STATE_HALTED);
	check_equal(hypercall(g, KVM_HC_KICK_CPU, 0, 1, 0, 0), 0);
	must(ioctl(s->guest.vcpu, KVM_GET_MP_STATE, &state));
	check_equal(state.mp_state, KVM_MP_STATE_RUNNABLE);
	must(ioctl(s->guest.vcpu, KVM_GET_MP_STATE, &state));
	check_equal(state.mp_state, KVM_MP_STATE_RUNNABLE);
}

static void send_ipi(void)
{
	struct guest *g = apic_guest();
	struct sleeper *s = sleeper_new(g, RFLAGS_IF);
	struct kvm_regs regs;

	sleeper_start(s);
	check(!sleeper_up(s, 50));
	check_equal(hypercall(g, KVM_HC_SEND_IPI, 1ull << 63, 1, 0xffffff00, VECTOR_IPI), 0);
	check_equal(hypercall(g, KVM_HC_SEND_IPI, 0, 0, 0, VECTOR_IPI), 0);
	check_equal(hypercall(g, KVM_HC_SEND_IPI, ~0ull, ~0ull, 2, VECTOR_IPI), 0);
	check_equal(hypercall(g, KVM_HC_SEND_IPI, 3, 0, 0, ICR_OTHERS | VECTOR_IPI), -KVM_EINVAL);
	check_equal(hypercall(g, KVM_HC_SEND_IPI, 3, 0, 0, ICR_LOGICAL | VECTOR_IPI), -KVM_EINVAL);
	check(!sleeper_up(s, 50));
	check_equal(counted(g), 0);
	check_equal(hypercall(g, KVM_HC_SEND_IPI, ~0ull, ~0ull, 0, VECTOR_IPI), 2);
	check(sleeper_up(s, 10000));
	pthread_join(s->thread, NULL);
	check_equal(counted(g), 1);
	regs = start_at(g, pv_open);
	vcpu_set_regs(g->vcpu, &regs);
	run_to_out(g, DONE_PORT);
	check_equal(counted(g), 2);
}

static void send_ipi_without_apic(void)
{
	struct guest *g = new_guest();

	run_to_out(g, DONE_PORT);
	check_equal(hypercall(g, KVM_HC_SEND_IPI, 1, 0, 0, VECTOR_IPI), -KVM_EOPNOTSUPP);
	check_equal(hypercall(g, KVM_HC_KICK_CPU, 0, 0, 0, 0), 0);
	check_equal(hypercall(g, KVM_HC_SCHED_YIELD, 0, 0, 0, 0), 0);
}

static void sched_yield_call(void)
{
	struct guest *g = apic_guest();
	uint64_t before = vcpu_stat(g->vcpu, "directed_yield_attempted");

	sleeper_new(g, 0);
	for (uint64_t id = 0; id < 4; id++)
		check_equal(hypercall(g, KVM_HC_SCHED_YIELD, id, 0, 0, 0), 0);
	check_equal(hypercall(g, KVM_HC_SCHED_YIELD, ~0ull, 0, 0, 0), 0);
	check_equal(vcpu_stat(g->vcpu, "directed_yield_attempted") - before, 5);
}

/* Five milliseconds of the APIC timer, which counts every second nanosecond. */
#define NAP_COUNT	2500000ull
#define NAPS		6

/*
 * Polling goes on for as long as the guest wants it. Each halt lasts, because the timer is started
 * just before it, and however slow the host is it is shorter than the limit: from the second halt on
 * there is a time to poll for.
 */
static void poll_control(void)
{
	struct guest *g = apic_guest();
	uint64_t attempts, waited;

	NEED(g->vm, KVM_CAP_HALT_POLL);
	must(enable(g->vm, KVM_CAP_HALT_POLL, NS_PER_S));
	guest_wrmsr(g, X2APIC_LVT_TIMER, VECTOR_IPI);
	for (unsigned int polls = 0; polls < 2; polls++) {
		guest_wrmsr(g, MSR_KVM_POLL_CONTROL, polls);
		attempts = vcpu_stat(g->vcpu, "halt_attempted_poll");
		waited = vcpu_stat(g->vcpu, "halt_wait_ns");
		for (unsigned int i = 0; i < NAPS; i++) {
			set_msr_access(g, pv_nap, X2APIC_INITIAL, NAP_COUNT * slowness());
			run_to_out(g, DONE_PORT);
		}
		attempts = vcpu_stat(g->vcpu, "halt_attempted_poll") - attempts;
		waited = vcpu_stat(g->vcpu, "halt_wait_ns") - waited;
		if (polls)
			check(attempts);
		else
			check(!attempts && waited);
	}
	check_equal(counted(g), 2 * NAPS);
}

/* ---- the flush that waits for a preempted vcpu ----------------------------------------------- */

/* What the guest itself sees: outside it the byte may say that the thread had to wait just now. */
static uint8_t preempted_in_guest(struct guest *g)
{
	struct kvm_regs regs = start_at(g, pv_byte);

	regs.rbx = STEAL_PAGE + offsetof(struct kvm_steal_time, preempted);
	vcpu_set_regs(g->vcpu, &regs);
	run_to_out(g, DONE_PORT);
	return vcpu_regs(g->vcpu).rax;
}

/* How many flushes a vcpu makes that finds @left in its byte */
static uint64_t flushes_for(struct guest *g, uint8_t left)
{
	struct kvm_steal_time *st = (struct kvm_steal_time *)(g->memory + STEAL_PAGE);
	uint64_t before = vcpu_stat(g->vcpu, "tlb_flush");

	st->preempted = left;
	st->u8_pad[0] = 0x55;
	check(vcpu_set_msr(g->vcpu, MSR_KVM_STEAL_TIME, STEAL_PAGE | 1));
	check_equal(preempted_in_guest(g), 0);
	check_equal(st->u8_pad[0], 0x55);
	return vcpu_stat(g->vcpu, "tlb_flush") - before;
}

/*
 * A host that is short of time or memory may flush for reasons of its own, or preempt the thread
 * between the two writes, which says so in the byte: such rounds are made again.
 */
static void flush_wish(void)
{
	struct guest *g = new_guest();
	static const uint8_t left[] = { 0, KVM_VCPU_PREEMPTED,
					KVM_VCPU_PREEMPTED | KVM_VCPU_FLUSH_TLB };

	NEED(g->vm, KVM_CAP_STEAL_TIME);
	run_to_out(g, DONE_PORT);
	preempted_in_guest(g);
	for (unsigned int round = 0; round < 5; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
			uint64_t wanted = !!(left[i] & KVM_VCPU_FLUSH_TLB), got;
			unsigned int tries = 20;

			do
				got = flushes_for(g, left[i]);
			while (got != wanted && --tries);
			check_equal(got, wanted);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "what is offered", offered },
		{ "all features withheld", withheld },
		{ "features allowed one by one", allowed_one_by_one },
		{ "bad capabilities", bad_capabilities },
		{ "MSRs that are values", value_msrs },
		{ "MSRs are in the list", saved },
		{ "unknown hypercalls", unknown_calls },
		{ "hypercalls outside 64-bit mode", truncated },
		{ "hypercalls of user mode", privileged },
		{ "CLOCK_PAIRING", clock_pairing },
		{ "MAP_GPA_RANGE", map_gpa_range },
		{ "KICK_CPU wakes a halted vcpu", kick_wakes },
		{ "KICK_CPU before the halt", kick_remembered },
		{ "KICK_CPU shows in the MP state", kick_in_mp_state },
		{ "SEND_IPI", send_ipi },
		{ "SEND_IPI without an APIC", send_ipi_without_apic },
		{ "SCHED_YIELD", sched_yield_call },
		{ "poll control", poll_control },
		{ "the flush for a preempted vcpu", flush_wish },
	};

	return RUN_CASES("pv", cases);
}
