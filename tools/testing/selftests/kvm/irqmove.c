// SPDX-License-Identifier: GPL-2.0
/*
 * A running guest of two vcpus is moved into a fresh VM, again and again, in the middle of its
 * interrupts: IPIs in both directions, NMIs, timers of both kinds, edges and levels at the IOAPIC, a
 * PIT behind a PIC. None may be lost: everything waits for something that must come. None may be
 * doubled: whoever takes one compares with what was sent. KVM API document, the ioctls that get and
 * set the state of a vcpu and of the controllers.
 */
#include "tick.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>

#define MOVES		60u
#define ACK_PORT	0x60		/* the guest quiets the device behind the level */
#define EDGE_PIN	5
#define LEVEL_PIN	20
#define VECTOR_EDGE	0x71
#define VECTOR_LEVEL	0x72
#define VECTOR_PIT	0x30
#define VECTOR_T0	0x61
#define VECTOR_T1	0x62
#define IOAPIC_ONE_CPU(id) ((uint64_t)(id) << 56)

/* At GUEST_DATA; the offsets are also the guest's. */
struct counts {
	uint64_t ping_sent, ping_taken, pong_taken, errors;	/* 0x00 */
	uint64_t t0_armed, t0_taken, t1_armed, t1_taken;	/* 0x20 */
	uint64_t edge_sent, edge_taken, level_raised, level_taken; /* 0x40 */
	uint64_t pit_taken, nmi_sent, nmi_taken, x2apic;	/* 0x60 */
	uint64_t twice;						/* 0x80 */
};

/*
 * An interrupt that comes where interrupts are disabled is QEMU's doing (7.2): it delivers one that
 * VMRUN injects twice when its thread is disturbed. The handler that it disturbs is that of the first.
 */
#define ENTER(name) \
	name ":	testb	$2, 17(%rsp)\n" \
	"	jz	twice\n" \
	"	call	save\n"

GUEST(move_code, 64,
	"	.globl	move_first, move_second, on_ping, on_pong, on_t0, on_t1, on_edge, on_level\n"
	"	.globl	on_pit, on_nmi\n"
	"move_first:\n"
	"	call	enable\n"
	"	mov	$0x61, %eax\n"			/* one-shot */
	"	mov	$0x32, %ecx\n"
	"	call	write\n"
	"	mov	$0xb, %eax\n"
	"	mov	$0x3e, %ecx\n"
	"	call	write\n"
	"	mov	$0x700, %eax\n"			/* LINT0: the PIC */
	"	mov	$0x35, %ecx\n"
	"	call	write\n"
	"	mov	$0x11, %al\n"
	"	out	%al, $0x20\n"
	"	mov	$0x30, %al\n"
	"	out	%al, $0x21\n"
	"	mov	$0x04, %al\n"
	"	out	%al, $0x21\n"
	"	mov	$0x01, %al\n"
	"	out	%al, $0x21\n"
	"	mov	$0xfe, %al\n"
	"	out	%al, $0x21\n"
	"	mov	$0x34, %al\n"
	"	out	%al, $0x43\n"
	"	xor	%eax, %eax\n"
	"	out	%al, $0x40\n"
	"	mov	$0x10, %al\n"
	"	out	%al, $0x40\n"
	"	call	arm0\n"
	"1:	mov	0xa000, %rax\n"
	"	cmp	0xa010, %rax\n"
	"	jne	2f\n"
	"	incq	0xa000\n"
	"	mov	$0x4081, %eax\n"		/* PING */
	"	mov	$1, %edx\n"
	"	call	send\n"
	"2:	mov	0xa068, %rax\n"
	"	cmp	0xa070, %rax\n"
	"	jne	3f\n"
	"	incq	0xa068\n"
	"	mov	$0x4400, %eax\n"		/* an NMI */
	"	mov	$1, %edx\n"
	"	call	send\n"
	"3:	mov	0xa000, %rax\n"
	"	cmp	0xa010, %rax\n"
	"	je	1b\n"
	"	sti\n"
	"	hlt\n"
	"	cli\n"
	"	jmp	1b\n"

	"move_second:\n"
	"	call	enable\n"
	"	mov	$0x40062, %eax\n"		/* TSC deadline */
	"	mov	$0x32, %ecx\n"
	"	call	write\n"
	"	call	arm1\n"
	"1:	sti\n"
	"	hlt\n"
	"	jmp	1b\n"

	/* EAX to register ECX of the APIC; EDX is lost. */
	"write:	cmpq	$0, 0xa078\n"
	"	jne	1f\n"
	"	shl	$4, %ecx\n"
	"	mov	$0xfee00000, %edx\n"
	"	mov	%eax, (%rdx, %rcx)\n"
	"	ret\n"
	"1:	add	$0x800, %ecx\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	ret\n"
	"enable: mov	$0x1ff, %eax\n"
	"	mov	$0xf, %ecx\n"
	"	jmp	write\n"
	"end:	xor	%eax, %eax\n"
	"	mov	$0xb, %ecx\n"
	"	jmp	write\n"
	/* ICR EAX to APIC id EDX */
	"send:	cmpq	$0, 0xa078\n"
	"	jne	1f\n"
	"	mov	$0xfee00000, %ecx\n"
	"	shl	$24, %edx\n"
	"	mov	%edx, 0x310(%rcx)\n"
	"	mov	%eax, 0x300(%rcx)\n"
	"	ret\n"
	"1:	mov	$0x830, %ecx\n"
	"	wrmsr\n"
	"	ret\n"
	"arm0:	incq	0xa020\n"
	"	mov	$300000, %eax\n"
	"	mov	$0x38, %ecx\n"
	"	jmp	write\n"
	"arm1:	incq	0xa030\n"
	"	rdtsc\n"
	"	add	$400000, %eax\n"
	"	adc	$0, %edx\n"
	"	mov	$0x6e0, %ecx\n"
	"	wrmsr\n"
	"	ret\n"

	"save:	xchg	%rax, (%rsp)\n"
	"	push	%rcx\n"
	"	push	%rdx\n"
	"	jmp	*%rax\n"
	"done:	call	end\n"
	"bare:	pop	%rdx\n"
	"	pop	%rcx\n"
	"	pop	%rax\n"
	"	iretq\n"

	ENTER("on_ping")
	"	incq	0xa008\n"
	"	call	end\n"
	"	mov	$0x4082, %eax\n"
	"	xor	%edx, %edx\n"
	"	call	send\n"
	"	jmp	bare\n"
	ENTER("on_pong")
	"	incq	0xa010\n"
	"	jmp	done\n"
	ENTER("on_t0")
	"	incq	0xa028\n"
	"	mov	0xa028, %rax\n"
	"	cmp	0xa020, %rax\n"
	"	je	1f\n"
	"	lock incq 0xa018\n"
	"1:	call	arm0\n"
	"	jmp	done\n"
	ENTER("on_t1")
	"	incq	0xa038\n"
	"	mov	0xa038, %rax\n"
	"	cmp	0xa030, %rax\n"
	"	je	1f\n"
	"	lock incq 0xa018\n"
	"1:	call	arm1\n"
	"	jmp	done\n"
	ENTER("on_edge")
	"	incq	0xa048\n"
	"	jmp	done\n"
	ENTER("on_level")
	"	out	%al, $0x60\n"
	"	incq	0xa058\n"
	"	jmp	done\n"
	ENTER("on_pit")
	"	incq	0xa060\n"
	"	mov	$0x20, %al\n"
	"	out	%al, $0x20\n"
	"	jmp	bare\n"
	"twice:	lock incq 0xa080\n"
	"	iretq\n"
	"on_nmi: incq	0xa070\n"
	"	iretq\n");

extern const uint8_t move_first[], move_second[], on_ping[], on_pong[], on_t0[], on_t1[], on_edge[],
		     on_level[], on_pit[], on_nmi[];

struct machine {
	struct guest *g;		/* its memory and code; the rest of it is unused */
	struct counts *counts;
	struct kvm_cpuid2 *cpuid;
	int vm, vcpu[2];
	struct kvm_run *run[2];
	size_t run_size;

	pthread_t thread[2], device;
	pthread_mutex_t lock;		/* the device's hold on vm */
	bool pause, stop;
	sem_t parked, resume[2];
};

#define MAX_MSRS	200

struct vcpu_image {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_mp_state mp_state;
	struct kvm_vcpu_events events;
	struct kvm_lapic_state lapic;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[MAX_MSRS];
	} msrs;
};

struct image {
	struct vcpu_image vcpu[2];
	struct kvm_irqchip chip[3];
	struct kvm_pit_state2 pit;
};

/* ---- a machine ---------------------------------------------------------------------------------- */

static void make_vm(struct machine *m)
{
	struct kvm_pit_config config = { 0 };

	m->vm = must(ioctl(m->g->kvm, KVM_CREATE_VM, 0));
	must(ioctl(m->vm, KVM_CREATE_IRQCHIP, 0));
	must(ioctl(m->vm, KVM_CREATE_PIT2, &config));
	must(vm_set_slot(m->vm, 0, 0, 0, GUEST_MEMORY, m->g->memory));
	for (int i = 0; i < 2; i++) {
		m->vcpu[i] = must(ioctl(m->vm, KVM_CREATE_VCPU, i));
		m->run[i] = vcpu_map_run(m->g->kvm, m->vcpu[i], &m->run_size);
		must(ioctl(m->vcpu[i], KVM_SET_CPUID2, m->cpuid));
	}
}

static void drop_vm(struct machine *m)
{
	for (int i = 0; i < 2; i++) {
		must(munmap(m->run[i], m->run_size));
		must(close(m->vcpu[i]));
	}
	must(close(m->vm));
}

static void power_on(struct machine *m, bool x2apic)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs;
	uint64_t base;

	for (int i = 0; i < 2; i++) {
		vcpu_set_mode(m->vcpu[i], LONG);
		regs = vcpu_regs(m->vcpu[i]);
		regs.rip = guest_address(m->g, i ? move_second : move_first);
		if (i)
			regs.rsp = AP_STACK;
		vcpu_set_regs(m->vcpu[i], &regs);
		must(ioctl(m->vcpu[i], KVM_SET_MP_STATE, &runnable));
		if (!x2apic)
			continue;
		check(vcpu_get_msr(m->vcpu[i], MSR_APIC_BASE, &base));
		check(vcpu_set_msr(m->vcpu[i], MSR_APIC_BASE, base | BASE_EXTD));
	}
	must(ioctl(m->vm, KVM_GET_IRQCHIP, &chip));
	chip.chip.ioapic.redirtbl[EDGE_PIN].bits = VECTOR_EDGE | IOAPIC_ONE_CPU(1);
	chip.chip.ioapic.redirtbl[LEVEL_PIN].bits = VECTOR_LEVEL | LEVEL | IOAPIC_ONE_CPU(0);
	must(ioctl(m->vm, KVM_SET_IRQCHIP, &chip));
}

static struct machine *machine_new(bool x2apic)
{
	static const struct { unsigned int vector; const uint8_t *handler; } gates[] = {
		{ PING, on_ping }, { PONG, on_pong }, { VECTOR_T0, on_t0 }, { VECTOR_T1, on_t1 },
		{ VECTOR_EDGE, on_edge }, { VECTOR_LEVEL, on_level }, { VECTOR_PIT, on_pit },
		{ VECTOR_NMI, on_nmi },
	};
	struct machine *m = calloc(1, sizeof(*m));

	check(m);
	m->g = guest_new(LONG, move_code);
	NEED(m->g->kvm, KVM_CAP_IRQCHIP);
	m->counts = (struct counts *)(m->g->memory + GUEST_DATA);
	m->counts->x2apic = x2apic;
	for (size_t i = 0; i < ARRAY_SIZE(gates); i++)
		guest_gate(m->g, gates[i].vector, guest_address(m->g, gates[i].handler));
	m->cpuid = cpuid_supported(m->g->kvm);
	cpuid_find(m->cpuid, 1, 0)->ecx |= 1u << 24;
	pthread_mutex_init(&m->lock, NULL);
	sem_init(&m->parked, 0, 0);
	sem_init(&m->resume[0], 0, 0);
	sem_init(&m->resume[1], 0, 0);
	make_vm(m);
	power_on(m, x2apic);
	return m;
}

/* ---- its threads ---------------------------------------------------------------------------------- */

static void line(struct machine *m, uint32_t gsi, uint32_t level)
{
	must(ioctl(m->vm, KVM_IRQ_LINE, &(struct kvm_irq_level){ .irq = gsi, .level = level }));
}

static void out_of_kvm(int number)
{
	/* Nothing to do: KVM_RUN comes back. */
}

static void run_vcpu(struct machine *m, int i)
{
	struct kvm_run *run;

	while (!__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) {
		run = m->run[i];
		if (ioctl(m->vcpu[i], KVM_RUN, 0)) {
			check(errno == EINTR);
			if (!__atomic_load_n(&m->pause, __ATOMIC_ACQUIRE))
				continue;
			sem_post(&m->parked);
			while (sem_wait(&m->resume[i]))
				;
			continue;
		}
		check_equal(run->exit_reason, KVM_EXIT_IO);
		if (run->io.port == REPORT_PORT)
			fail("vcpu %d: exception %llu, error %#llx, at code + %#llx, stack %#llx", i,
			     (unsigned long long)guest_report(m->g)->vector,
			     (unsigned long long)guest_report(m->g)->error,
			     (unsigned long long)guest_report(m->g)->rip - GUEST_CODE,
			     (unsigned long long)guest_report(m->g)->rsp);
		check_equal(run->io.port, ACK_PORT);
		line(m, LEVEL_PIN, 0);
	}
}

static void *run_first(void *data)
{
	run_vcpu(data, 0);
	return NULL;
}

static void *run_second(void *data)
{
	run_vcpu(data, 1);
	return NULL;
}

/* One edge and one level at a time: the next when the guest has had the last. */
static void *run_device(void *data)
{
	struct machine *m = data;
	struct counts *c = m->counts;

	while (!__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) {
		pthread_mutex_lock(&m->lock);
		if (__atomic_load_n(&c->edge_taken, __ATOMIC_ACQUIRE) == c->edge_sent) {
			c->edge_sent++;
			line(m, EDGE_PIN, 1);
			line(m, EDGE_PIN, 0);
		}
		if (__atomic_load_n(&c->level_taken, __ATOMIC_ACQUIRE) == c->level_raised) {
			c->level_raised++;
			line(m, LEVEL_PIN, 1);
		}
		pthread_mutex_unlock(&m->lock);
		usleep(200);
	}
	return NULL;
}

static void park(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	__atomic_store_n(&m->pause, true, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++) {
		m->run[i]->immediate_exit = 1;
		pthread_kill(m->thread[i], SIGUSR1);
	}
	for (int i = 0; i < 2; i++)
		while (sem_wait(&m->parked))
			;
}

static void go_on(struct machine *m)
{
	__atomic_store_n(&m->pause, false, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++) {
		m->run[i]->immediate_exit = 0;
		sem_post(&m->resume[i]);
	}
	pthread_mutex_unlock(&m->lock);
}

/* ---- moving ------------------------------------------------------------------------------------------ */

/* As a VMM does it: what moves is what the list names, the timer's deadline for one. */
static void list_msrs(int kvm, struct vcpu_image *v)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + MAX_MSRS * sizeof(list->indices[0]));

	list->nmsrs = MAX_MSRS;
	must(ioctl(kvm, KVM_GET_MSR_INDEX_LIST, list));
	v->msrs.head.nmsrs = list->nmsrs;
	for (uint32_t i = 0; i < list->nmsrs; i++)
		v->msrs.entry[i].index = list->indices[i];
	free(list);
}

static void save_vcpu(int vcpu, struct vcpu_image *v)
{
	must(ioctl(vcpu, KVM_GET_MP_STATE, &v->mp_state));
	v->regs = vcpu_regs(vcpu);
	v->sregs = vcpu_sregs(vcpu);
	check_equal(must(ioctl(vcpu, KVM_GET_MSRS, &v->msrs)), v->msrs.head.nmsrs);
	must(ioctl(vcpu, KVM_GET_LAPIC, &v->lapic));
	must(ioctl(vcpu, KVM_GET_VCPU_EVENTS, &v->events));
}

static void load_vcpu(int vcpu, const struct vcpu_image *v)
{
	must(ioctl(vcpu, KVM_SET_SREGS, &v->sregs));
	must(ioctl(vcpu, KVM_SET_LAPIC, &v->lapic));
	vcpu_set_regs(vcpu, &v->regs);
	check_equal(must(ioctl(vcpu, KVM_SET_MSRS, &v->msrs)), v->msrs.head.nmsrs);
	must(ioctl(vcpu, KVM_SET_VCPU_EVENTS, &v->events));
	must(ioctl(vcpu, KVM_SET_MP_STATE, &v->mp_state));
}

static void save_chips(struct machine *m, struct image *image)
{
	for (uint32_t i = 0; i < 3; i++) {
		image->chip[i].chip_id = i;
		must(ioctl(m->vm, KVM_GET_IRQCHIP, &image->chip[i]));
	}
	must(ioctl(m->vm, KVM_GET_PIT2, &image->pit));
}

static void load_chips(struct machine *m, const struct image *image)
{
	for (uint32_t i = 0; i < 3; i++)
		must(ioctl(m->vm, KVM_SET_IRQCHIP, &image->chip[i]));
	must(ioctl(m->vm, KVM_SET_PIT2, &image->pit));
}

/* Some VMMs restore the chips first, some the vcpus. */
static void move(struct machine *m, bool chips_first)
{
	struct image image;

	for (int i = 0; i < 2; i++) {
		list_msrs(m->g->kvm, &image.vcpu[i]);
		save_vcpu(m->vcpu[i], &image.vcpu[i]);
	}
	save_chips(m, &image);
	drop_vm(m);
	make_vm(m);
	if (chips_first)
		load_chips(m, &image);
	for (int i = 0; i < 2; i++)
		load_vcpu(m->vcpu[i], &image.vcpu[i]);
	if (!chips_first)
		load_chips(m, &image);
}

static void check_counts(const struct counts *c)
{
	check_equal(c->errors, 0);
	check(!c->twice || host_is_tcg());
	check(c->ping_taken <= c->ping_sent && c->ping_sent - c->ping_taken <= 1);
	check(c->pong_taken <= c->ping_taken && c->ping_taken - c->pong_taken <= 1);
	check(c->nmi_taken <= c->nmi_sent && c->nmi_sent - c->nmi_taken <= 1);
	check(c->t0_taken <= c->t0_armed && c->t0_armed - c->t0_taken <= 1);
	check(c->t1_taken <= c->t1_armed && c->t1_armed - c->t1_taken <= 1);
	check(c->edge_taken <= c->edge_sent);
	check(c->level_taken <= c->level_raised);
}

static bool goes_on(const struct counts *old, struct counts *now)
{
	volatile struct counts *c = now;

	return c->ping_taken > old->ping_taken && c->pong_taken > old->pong_taken &&
	       c->nmi_taken > old->nmi_taken && c->t0_taken > old->t0_taken &&
	       c->t1_taken > old->t1_taken && c->edge_taken > old->edge_taken &&
	       c->level_taken > old->level_taken && c->pit_taken > old->pit_taken;
}

/* Everything must come once more than it had. */
static void wait_for_all(struct machine *m, const struct counts *old, unsigned int moves)
{
	uint64_t until = now_ns() + 10 * NS_PER_S * slowness();
	const struct counts *c = m->counts;

	while (!goes_on(old, m->counts)) {
		if (now_ns() < until) {
			usleep(500);
			continue;
		}
		fail("lost after %u moves: ping %+lld pong %+lld nmi %+lld timers %+lld %+lld "
		     "edge %+lld level %+lld pit %+lld", moves,
		     (long long)(c->ping_taken - old->ping_taken),
		     (long long)(c->pong_taken - old->pong_taken),
		     (long long)(c->nmi_taken - old->nmi_taken),
		     (long long)(c->t0_taken - old->t0_taken),
		     (long long)(c->t1_taken - old->t1_taken),
		     (long long)(c->edge_taken - old->edge_taken),
		     (long long)(c->level_taken - old->level_taken),
		     (long long)(c->pit_taken - old->pit_taken));
	}
}

static void wait_above_zero(const uint64_t *count)
{
	while (!__atomic_load_n(count, __ATOMIC_ACQUIRE))
		usleep(500);
}

static void moving(bool x2apic)
{
	struct sigaction action = { .sa_handler = out_of_kvm };
	struct machine *m = machine_new(x2apic);
	unsigned int moves = MOVES / slowness() + 1;
	uint64_t seed = now_ns();
	struct counts old = { 0 };

	must(sigaction(SIGUSR1, &action, NULL));
	/* What comes before an APIC is enabled is lost: each begins when the next is ready. */
	check_equal(pthread_create(&m->thread[1], NULL, run_second, m), 0);
	wait_above_zero(&m->counts->t1_taken);
	check_equal(pthread_create(&m->thread[0], NULL, run_first, m), 0);
	wait_above_zero(&m->counts->t0_taken);
	check_equal(pthread_create(&m->device, NULL, run_device, m), 0);
	for (unsigned int i = 0; i < moves; i++) {
		wait_for_all(m, &old, i);
		usleep(random_next(&seed) % 3000);
		park(m);
		check_counts(m->counts);
		move(m, i % 2);
		old = *m->counts;
		go_on(m);
	}
	wait_for_all(m, &old, moves);
	park(m);
	check_counts(m->counts);
	note("%u moves, %llu IPIs, %llu timers, %llu edges, %llu levels, %llu NMIs, %llu PIT ticks, %llu "
	     "doubled by the emulator", moves,
	     (unsigned long long)(m->counts->ping_taken + m->counts->pong_taken),
	     (unsigned long long)(m->counts->t0_taken + m->counts->t1_taken),
	     (unsigned long long)m->counts->edge_taken, (unsigned long long)m->counts->level_taken,
	     (unsigned long long)m->counts->nmi_taken, (unsigned long long)m->counts->pit_taken,
	     (unsigned long long)m->counts->twice);
}

static void moving_xapic(void)
{
	moving(false);
}

static void moving_x2apic(void)
{
	moving(true);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "moved while interrupts are under way, xAPIC", moving_xapic, 60 },
		{ "moved while interrupts are under way, x2APIC", moving_x2apic, 60 },
	};

	return RUN_CASES("irqmove", cases);
}
