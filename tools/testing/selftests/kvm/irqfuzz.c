// SPDX-License-Identifier: GPL-2.0
/*
 * Any register of any interrupt controller or timer, at any offset and width, at any time: two vcpus
 * carry out random accesses to the local APIC (page and MSRs), IOAPIC, PIC and PIT while userspace
 * restores random states, changes routes, moves lines and sends messages. Nobody may be harmed: each
 * ioctl succeeds or fails with an errno of its own, and each exit is one that a guest in trouble makes.
 * irqfuzz [seconds [seed]]
 */
#include "guest.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#define SECONDS		6
#define COMMANDS	128
#define BUFFER(i)	(GUEST_FREE + (i) * 0x2000u)
#define STACK(i)	(GUEST_FREE + 0x10000u + (i) * 0x2000u)
#define APIC		0xfee00000u
#define SMBASE(i)	(0x100000u + (i) * 0x10000u)
#define MSR_SMBASE	0x9e
#define IOAPIC		0xfec00000u

/*
 * RBX to RBP: commands of three words, kind, address, value. R15: the stack, for exceptions to begin
 * with anew; R14: the APIC's EOI.
 */
GUEST(fuzz_code, 64,
	"	.globl	fuzz_trap, fuzz_interrupt, fuzz_nmi\n"
	"1:	mov	%rbx, %r8\n"
	"2:	cmp	%rbp, %r8\n"
	"	jae	3f\n"
	"	mov	(%r8), %rax\n"
	"	mov	8(%r8), %rdi\n"
	"	mov	16(%r8), %rdx\n"
	"	add	$24, %r8\n"
	"	shl	$5, %rax\n"
	"	lea	4f(%rip), %rcx\n"
	"	add	%rcx, %rax\n"
	"	jmp	*%rax\n"
	"3:	out	%al, $0x10\n"
	"	jmp	1b\n"
	"	.balign	32\n"
	"4:	movb	%dl, (%rdi)\n	jmp	2b\n	.balign	32\n"
	"	movw	%dx, (%rdi)\n	jmp	2b\n	.balign	32\n"
	"	movl	%edx, (%rdi)\n	jmp	2b\n	.balign	32\n"
	"	movq	%rdx, (%rdi)\n	jmp	2b\n	.balign	32\n"
	"	movb	(%rdi), %al\n	jmp	2b\n	.balign	32\n"
	"	movw	(%rdi), %ax\n	jmp	2b\n	.balign	32\n"
	"	movl	(%rdi), %eax\n	jmp	2b\n	.balign	32\n"
	"	movq	(%rdi), %rax\n	jmp	2b\n	.balign	32\n"
	"	mov	%edx, %eax\n	mov	%edi, %edx\n	outb	%al, %dx\n	jmp	2b\n	.balign	32\n"
	"	mov	%edx, %eax\n	mov	%edi, %edx\n	outw	%ax, %dx\n	jmp	2b\n	.balign	32\n"
	"	mov	%edx, %eax\n	mov	%edi, %edx\n	outl	%eax, %dx\n	jmp	2b\n	.balign	32\n"
	"	mov	%edi, %edx\n	inb	%dx, %al\n	jmp	2b\n	.balign	32\n"
	"	mov	%edi, %edx\n	inw	%dx, %ax\n	jmp	2b\n	.balign	32\n"
	"	mov	%edi, %edx\n	inl	%dx, %eax\n	jmp	2b\n	.balign	32\n"
	"	mov	%edi, %ecx\n	mov	%edx, %eax\n	shr	$32, %rdx\n	wrmsr\n	jmp	2b\n	.balign	32\n"
	"	mov	%edi, %ecx\n	rdmsr\n	jmp	2b\n	.balign	32\n"
	"	and	$15, %edx\n	mov	%rdx, %cr8\n	jmp	2b\n	.balign	32\n"
	"	sti\n	nop\n	nop\n	cli\n	jmp	2b\n	.balign	32\n"
	"	sti\n	hlt\n	cli\n	jmp	2b\n	.balign	32\n"
	"fuzz_trap: mov	%r15, %rsp\n"
	"	jmp	2b\n"
	"fuzz_interrupt: movl $0, (%r14)\n"
	"	iretq\n"
	"fuzz_nmi: iretq\n");

extern const uint8_t fuzz_trap[], fuzz_interrupt[], fuzz_nmi[];

enum kind { STORE, LOAD = 4, OUT = 8, IN = 11, WRMSR = 14, RDMSR, CR8, WINDOW, HALT };

struct command {
	uint64_t kind, address, value;
};

struct machine {
	struct guest guest[2];
	struct kvm_cpuid2 *cpuid;
	pthread_t thread[2];
	uint64_t seed, accesses[2], calls;
	bool stop;
};

static unsigned int seconds = SECONDS;
static uint64_t first_seed;

static uint64_t pick(uint64_t *seed, uint64_t below)
{
	return random_next(seed) % below;
}

/* Small, large, few bits or any. */
static uint64_t value(uint64_t *seed)
{
	switch (pick(seed, 5)) {
	case 0:
		return pick(seed, 512);
	case 1:
		return ~0ull << pick(seed, 64);
	case 2:
		return 1ull << pick(seed, 64);
	default:
		return random_next(seed);
	}
}

/* ---- what a guest does ----------------------------------------------------------------------------- */

static const uint16_t ports[] = {
	0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61,
};

static uint64_t memory_address(uint64_t *seed)
{
	switch (pick(seed, 4)) {
	case 0:
		return IOAPIC + (pick(seed, 4) ? (pick(seed, 2) ? 0 : 0x10) : pick(seed, 0x100));
	case 1:
		return APIC + pick(seed, 0x1000);
	default:
		return APIC + pick(seed, 0x40) * 16;
	}
}

static uint32_t msr_number(uint64_t *seed)
{
	switch (pick(seed, 16)) {
	case 0:
		return 0x1b;
	case 1:
		return 0x6e0;
	default:
		return 0x800 + pick(seed, pick(seed, 8) ? 0x40 : 0x100);
	}
}

static struct command command(uint64_t *seed)
{
	struct command c = { .value = value(seed) };

	switch (pick(seed, 16)) {
	case 0 ... 6:
		c.kind = STORE + pick(seed, 4);
		if (pick(seed, 4))
			c.kind = STORE + 2;
		c.address = memory_address(seed);
		break;
	case 7:
		c.kind = LOAD + pick(seed, 4);
		c.address = memory_address(seed);
		break;
	case 8 ... 10:
		c.kind = pick(seed, 4) ? OUT : OUT + pick(seed, 3);
		c.address = ports[pick(seed, ARRAY_SIZE(ports))];
		break;
	case 11:
		c.kind = pick(seed, 4) ? IN : IN + pick(seed, 3);
		c.address = ports[pick(seed, ARRAY_SIZE(ports))];
		break;
	case 12:
	case 13:
		c.kind = pick(seed, 4) ? WRMSR : RDMSR;
		c.address = msr_number(seed);
		break;
	case 14:
		c.kind = CR8;
		break;
	default:
		c.kind = pick(seed, 20) ? WINDOW : HALT;
	}
	return c;
}

static void fill(struct guest *g, int i, uint64_t *seed)
{
	struct command *commands = (struct command *)(g->memory + BUFFER(i));

	for (unsigned int n = 0; n < COMMANDS; n++)
		commands[n] = command(seed);
}

/* A vcpu that got lost, to the beginning: the interrupt controllers stay as they are. */
static void start(struct guest *g, int i)
{
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	struct kvm_vcpu_events events;
	struct kvm_regs regs;

	guest_complete(g);
	must(ioctl(g->vcpu, KVM_SET_MP_STATE, &runnable));
	must(ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &events));
	events.exception.injected = events.interrupt.injected = 0;
	/* Nor is it in a handler whose save area somebody has scribbled over. */
	memset(&events.smi, 0, sizeof(events.smi));
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events));
	vcpu_set_mode(g->vcpu, LONG);
	regs = (struct kvm_regs) {
		.rip = GUEST_CODE, .rflags = RFLAGS_FIXED, .rsp = STACK(i), .r15 = STACK(i),
		.r14 = APIC + 0xb0, .rbx = BUFFER(i),
		.rbp = BUFFER(i) + COMMANDS * sizeof(struct command),
	};
	vcpu_set_regs(g->vcpu, &regs);
}

/* ---- what userspace does --------------------------------------------------------------------------- */

static void scribble(void *data, size_t size, uint64_t *seed)
{
	uint8_t *bytes = data;

	if (!pick(seed, 4)) {
		for (size_t i = 0; i < size; i++)
			bytes[i] = random_next(seed);
		return;
	}
	for (uint64_t n = pick(seed, 8); n; n--)
		bytes[pick(seed, size)] = random_next(seed);
}

/* A call whose arguments may be bad: these are the errors that it may say so with. */
static void call(int fd, unsigned long request, void *argument)
{
	if (ioctl(fd, request, argument) >= 0)
		return;
	if (errno != EINVAL && errno != ENXIO && errno != EINTR && errno != EBUSY)
		fail("request %#lx: %s", request, strerror(errno));
}

static void restore_vcpu(struct guest *g, uint64_t *seed)
{
	struct kvm_vcpu_events events;
	struct kvm_lapic_state lapic;
	struct kvm_mp_state state;
	uint64_t base;

	switch (pick(seed, 6)) {
	case 0:
		must(ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &events));
		scribble(&events, sizeof(events), seed);
		events.flags &= KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW |
				KVM_VCPUEVENT_VALID_SIPI_VECTOR;
		events.exception.injected = 0;
		call(g->vcpu, KVM_SET_VCPU_EVENTS, &events);
		return;
	case 1:
		state.mp_state = pick(seed, 6);
		call(g->vcpu, KVM_SET_MP_STATE, &state);
		return;
	case 2:
		base = APIC | value(seed);
		if (pick(seed, 2))
			base = APIC | pick(seed, 16) << 8;
		vcpu_set_msr(g->vcpu, 0x1b, base);
		return;
	default:
		must(ioctl(g->vcpu, KVM_GET_LAPIC, &lapic));
		scribble(&lapic, sizeof(lapic), seed);
		call(g->vcpu, KVM_SET_LAPIC, &lapic);
	}
}

static void change_routes(int vm, uint64_t *seed)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[64];
	} table = { .head.nr = pick(seed, 64) };

	for (uint32_t i = 0; i < table.head.nr; i++) {
		struct kvm_irq_routing_entry *e = &table.entry[i];

		e->gsi = i;
		e->type = pick(seed, 2) ? KVM_IRQ_ROUTING_MSI : KVM_IRQ_ROUTING_IRQCHIP;
		if (e->type == KVM_IRQ_ROUTING_MSI) {
			e->u.msi.address_lo = APIC | pick(seed, 4) << 12;
			e->u.msi.data = random_next(seed);
		} else {
			e->u.irqchip.irqchip = pick(seed, 3);
			e->u.irqchip.pin = pick(seed, e->u.irqchip.irqchip == 2 ? 24 : 8);
		}
	}
	call(vm, KVM_SET_GSI_ROUTING, &table);
}

static void disturb(int vm, uint64_t *seed)
{
	struct kvm_irqchip chip = { .chip_id = pick(seed, 3) };
	struct kvm_reinject_control control = { .pit_reinject = pick(seed, 2) };
	struct kvm_irq_level level = { .irq = pick(seed, 32), .level = pick(seed, 2) };
	struct kvm_msi msi = { .address_lo = APIC | (uint32_t)value(seed), .data = value(seed) };
	struct kvm_pit_state2 pit;

	switch (pick(seed, 12)) {
	case 0:
		must(ioctl(vm, KVM_GET_IRQCHIP, &chip));
		scribble(&chip.chip, sizeof(chip.chip), seed);
		call(vm, KVM_SET_IRQCHIP, &chip);
		return;
	case 1:
		must(ioctl(vm, KVM_GET_PIT2, &pit));
		scribble(&pit, sizeof(pit), seed);
		call(vm, KVM_SET_PIT2, &pit);
		return;
	case 2:
		change_routes(vm, seed);
		return;
	case 3:
		call(vm, KVM_REINJECT_CONTROL, &control);
		return;
	case 4 ... 6:
		call(vm, KVM_SIGNAL_MSI, &msi);
		return;
	default:
		call(vm, KVM_IRQ_LINE_STATUS, &level);
	}
}

/* ---- the machine -------------------------------------------------------------------------------------- */

static void machine_new(struct machine *m)
{
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct guest *g = guest_new(LONG, fuzz_code);

	NEED(g->kvm, KVM_CAP_IRQCHIP);
	m->cpuid = cpuid_supported(g->kvm);
	cpuid_find(m->cpuid, 1, 0)->ecx |= 1u << 24;
	for (unsigned int vector = 0; vector < 256; vector++)
		guest_gate(g, vector, guest_address(g, vector < 32 ? fuzz_trap : fuzz_interrupt));
	guest_gate(g, VECTOR_NMI, guest_address(g, fuzz_nmi));
	g->vm = must(ioctl(g->kvm, KVM_CREATE_VM, 0));
	must(ioctl(g->vm, KVM_CREATE_IRQCHIP, 0));
	must(ioctl(g->vm, KVM_CREATE_PIT2, &config));
	must(vm_set_slot(g->vm, 0, 0, 0, GUEST_MEMORY, g->memory));
	must(vm_set_slot(g->vm, 1 << 16, 0, 0, GUEST_MEMORY, g->memory));
	for (int i = 0; i < 2; i++) {
		m->guest[i] = *g;
		m->guest[i].vcpu = must(ioctl(g->vm, KVM_CREATE_VCPU, i));
		m->guest[i].run = vcpu_map_run(g->kvm, m->guest[i].vcpu, &m->guest[i].run_size);
		must(ioctl(m->guest[i].vcpu, KVM_SET_CPUID2, m->cpuid));
		/* Of an SMI nothing comes but RSM. */
		check(vcpu_set_msr(m->guest[i].vcpu, MSR_SMBASE, SMBASE(i)));
		memcpy(g->memory + SMBASE(i) + 0x8000, "\x0f\xaa", 2);
		start(&m->guest[i], i);
	}
}

static void on_alarm(int number)
{
	/* Nothing to do: KVM_RUN comes back. */
}

static void run_fuzzed(struct machine *m, int i)
{
	uint64_t seed = m->seed * 3 + i + 1;
	struct guest *g = &m->guest[i];
	int error;

	fill(g, i, &seed);
	while (!__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) {
		error = guest_run(g);
		if (error && error != EINTR && error != EAGAIN)
			fail("KVM_RUN: %s, exit %s", strerror(error), exit_name(g->run->exit_reason));
		if (!error && g->run->exit_reason == KVM_EXIT_FAIL_ENTRY)
			fail("the processor refused the guest");
		if (!error && g->run->exit_reason == KVM_EXIT_IO &&
		    g->run->io.direction == KVM_EXIT_IO_OUT && g->run->io.port == 0x10) {
			m->accesses[i] += COMMANDS;
			fill(g, i, &seed);
			if (!pick(&seed, 4))
				restore_vcpu(g, &seed);
			continue;
		}
		/* An access that only userspace answers, or the guest is lost, or it sleeps. */
		if (error || (g->run->exit_reason != KVM_EXIT_IO && g->run->exit_reason != KVM_EXIT_MMIO)) {
			start(g, i);
			fill(g, i, &seed);
		}
	}
}

static void *first(void *data)
{
	run_fuzzed(data, 0);
	return NULL;
}

static void *second(void *data)
{
	run_fuzzed(data, 1);
	return NULL;
}

static void fuzz(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct machine m = { .seed = first_seed };
	uint64_t seed = first_seed, until;

	machine_new(&m);
	must(sigaction(SIGUSR1, &action, NULL));
	check_equal(pthread_create(&m.thread[0], NULL, first, &m), 0);
	check_equal(pthread_create(&m.thread[1], NULL, second, &m), 0);
	until = now_ns() + seconds * NS_PER_S;
	while (now_ns() < until) {
		for (int n = 0; n < 20; n++, m.calls++)
			disturb(m.guest[0].vm, &seed);
		usleep(1000);
		/* Who sleeps for ever, or drowns in interrupts, begins anew. */
		if (!(m.calls % 400)) {
			pthread_kill(m.thread[0], SIGUSR1);
			pthread_kill(m.thread[1], SIGUSR1);
		}
	}
	__atomic_store_n(&m.stop, true, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++) {
		m.guest[i].run->immediate_exit = 1;
		pthread_kill(m.thread[i], SIGUSR1);
		pthread_join(m.thread[i], NULL);
	}
	note("seed %llu: %llu and %llu accesses, %llu calls", (unsigned long long)first_seed,
	     (unsigned long long)m.accesses[0], (unsigned long long)m.accesses[1],
	     (unsigned long long)m.calls);
	check(m.accesses[0] > 0 && m.accesses[1] > 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "any access at any time", fuzz, 3600 },
	};

	first_seed = now_ns();
	if (argc > 1)
		seconds = strtoul(argv[1], NULL, 0);
	if (argc > 2)
		first_seed = strtoull(argv[2], NULL, 0);
	return run_cases("irqfuzz", cases, ARRAY_SIZE(cases), 1, argv);
}
