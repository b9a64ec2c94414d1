// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts that one vcpu sends another by its ICR: to one that runs, that halts and that is not in
 * the guest at all, and those that nobody gets. Where the processor sends them (kvm_intel.enable_ipiv,
 * SDM 3, 30.1.6) there are no exits; else the same must come out.
 */
#include "guest.h"

#include <pthread.h>

#define DONE_PORT	0x51
#define VECTOR		0x61
#define ROUNDS		200
#define SOME_EXITS	20		/* the host has interrupts, too */
#define NOBODY		9u
#define EVERYBODY	0xffffffffu
#define ICR_FIXED	0x4000u
#define APIC_ID		0x020
#define APIC_ICR	0x300
#define APIC_ICR2	0x310
#define SECOND_STACK	(GUEST_STACK - PAGE / 2)

/* What the guest keeps at GUEST_DATA; the numbers stand in its code. */
struct state {
	uint32_t taken;			/* 0xa000 */
	uint32_t x2apic;		/* 0xa004 */
	uint32_t read[2];		/* 0xa008: ICR */
};

GUEST(ipi_code, 64,
	"	.globl	ipi_x2apic, ipi_send, ipi_read, ipi_halt, ipi_spin, ipi_off, ipi_on, ipi_handler\n"
	"	mov	$0xfee00000, %ebx\n"
	"ipi_on: movl	$0x1ff, 0xf0(%rbx)\n"
	"1:	cli\n"
	"	out	%al, $0x51\n"
	"	jmp	1b\n"
	"ipi_off: movl	$0xff, 0xf0(%rbx)\n"
	"	jmp	1b\n"
	"ipi_x2apic: mov $0x1b, %ecx\n"
	"	rdmsr\n"
	"	or	$0xc00, %eax\n"
	"	wrmsr\n"
	"	jmp	1b\n"
	/* RSI times, to RDX, the low half in RDI. */
	"ipi_send: cmpl	$0, 0xa004\n"
	"	je	2f\n"
	"	mov	$0x830, %ecx\n"
	"	mov	%edi, %eax\n"
	"	wrmsr\n"
	"	jmp	3f\n"
	"2:	mov	%edx, %eax\n"
	"	shl	$24, %eax\n"
	"	mov	%eax, 0x310(%rbx)\n"
	"	mov	%edi, 0x300(%rbx)\n"
	"3:	dec	%esi\n"
	"	jnz	ipi_send\n"
	"	jmp	1b\n"
	"ipi_read: mov	$0x830, %ecx\n"
	"	rdmsr\n"
	"	mov	%eax, 0xa008\n"
	"	mov	%edx, 0xa00c\n"
	"	jmp	1b\n"
	"ipi_halt: sti\n"
	"	hlt\n"
	"	jmp	1b\n"
	"ipi_spin: sti\n"
	"4:	cmpl	%esi, 0xa000\n"
	"	jne	4b\n"
	"	jmp	1b\n"
	"ipi_handler: lock incl 0xa000\n"
	GUEST_END_INTERRUPT("0xa004"));

extern const uint8_t ipi_x2apic[], ipi_send[], ipi_read[], ipi_halt[], ipi_spin[], ipi_off[], ipi_on[],
		     ipi_handler[];

static volatile struct state *state_of(struct guest *g)
{
	return (volatile struct state *)(g->memory + GUEST_DATA);
}

static void go_to(struct guest *g, const uint8_t *label)
{
	guest_complete(g);
	vcpu_set_rip(g->vcpu, guest_address(g, label));
}

static void do_task(struct guest *g, const uint8_t *label)
{
	go_to(g, label);
	run_to_out(g, DONE_PORT);
}

/* The exits that it took. */
static uint64_t send(struct guest *g, uint32_t dest, uint32_t low, uint64_t rounds)
{
	uint64_t before = vcpu_stat(g->vcpu, "exits");
	struct kvm_regs regs;

	go_to(g, ipi_send);
	regs = vcpu_regs(g->vcpu);
	regs.rsi = rounds;
	regs.rdx = dest;
	regs.rdi = low;
	vcpu_set_regs(g->vcpu, &regs);
	run_to_out(g, DONE_PORT);
	return vcpu_stat(g->vcpu, "exits") - before;
}

/* Two vcpus of one VM, with the ids 0 and 1. */
static struct guest *two_vcpus(bool x2apic, struct guest *second)
{
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct guest *g = guest_new(LONG, ipi_code);
	struct kvm_regs regs;

	guest_with_irqchip(g, LONG);
	guest_gate(g, VECTOR, guest_address(g, ipi_handler));
	memset(g->memory + GUEST_DATA, 0, PAGE);
	*second = *g;
	second->vcpu = must(ioctl(g->vm, KVM_CREATE_VCPU, 1));
	second->run = vcpu_map_run(g->kvm, second->vcpu, &second->run_size);
	vcpu_set_supported_cpuid(g->kvm, second->vcpu);
	vcpu_set_mode(second->vcpu, LONG);
	must(ioctl(second->vcpu, KVM_SET_MP_STATE, &runnable));
	regs = vcpu_regs(second->vcpu);
	regs.rsp = SECOND_STACK;
	vcpu_set_regs(second->vcpu, &regs);
	run_to_out(g, DONE_PORT);
	run_to_out(second, DONE_PORT);
	if (x2apic) {
		do_task(g, ipi_x2apic);
		do_task(second, ipi_x2apic);
		state_of(g)->x2apic = 1;
	}
	return g;
}

static void *run_until_done(void *arg)
{
	run_to_out(arg, DONE_PORT);
	return NULL;
}

static void in_thread(struct guest *g, const uint8_t *label, uint64_t rsi, pthread_t *thread)
{
	struct kvm_regs regs;

	go_to(g, label);
	regs = vcpu_regs(g->vcpu);
	regs.rsi = rsi;
	vcpu_set_regs(g->vcpu, &regs);
	check(!pthread_create(thread, NULL, run_until_done, g));
}

static uint32_t lapic_word(struct guest *g, unsigned int offset)
{
	struct kvm_lapic_state lapic;
	uint32_t word;

	must(ioctl(g->vcpu, KVM_GET_LAPIC, &lapic));
	memcpy(&word, lapic.regs + offset, sizeof(word));
	return word;
}

/* The receiver is not in the guest: all but the first find the vector waiting already. */
static void to_one_outside(bool x2apic)
{
	struct guest second, *g = two_vcpus(x2apic, &second);
	struct kvm_lapic_state lapic;
	uint64_t exits = send(g, 1, ICR_FIXED | VECTOR, ROUNDS);

	note("%u IPIs: %llu exits", ROUNDS, (unsigned long long)exits);
	if (processor_sends())
		check(exits <= SOME_EXITS + (x2apic ? 0 : ROUNDS));	/* of an xAPIC ICR2 exits */
	check_equal(state_of(g)->taken, 0);
	do_task(&second, ipi_halt);
	check_equal(state_of(g)->taken, 1);
	check_equal(lapic_word(g, APIC_ICR), ICR_FIXED | VECTOR);
	check_equal(lapic_word(g, APIC_ICR + 4), 0);
	check_equal(lapic_word(g, APIC_ICR2), x2apic ? 1 : 1 << 24);

	/* What is restored is what is read. */
	must(ioctl(g->vcpu, KVM_GET_LAPIC, &lapic));
	send(g, NOBODY, ICR_FIXED | (VECTOR + 1), 1);
	must(ioctl(g->vcpu, KVM_SET_LAPIC, &lapic));
	if (!x2apic)
		return;
	do_task(g, ipi_read);
	check_equal(state_of(g)->read[0], ICR_FIXED | VECTOR);
	check_equal(state_of(g)->read[1], 1);
}

static void x2apic_to_one_outside(void)
{
	to_one_outside(true);
}

static void xapic_to_one_outside(void)
{
	to_one_outside(false);
}

/* It sleeps, is about to, or has just been woken by something else. */
static void to_one_halted(void)
{
	struct guest second, *g = two_vcpus(true, &second);
	pthread_t thread;

	for (uint32_t i = 0; i < 40; i++) {
		in_thread(&second, ipi_halt, 0, &thread);
		if (i & 1)
			sleep_ms(5);
		send(g, 1, ICR_FIXED | VECTOR, 1);
		check(!pthread_join(thread, NULL));
		check_equal(state_of(g)->taken, i + 1);
	}
}

static void to_one_that_runs(bool x2apic)
{
	struct guest second, *g = two_vcpus(x2apic, &second);
	pthread_t thread;

	for (uint32_t i = 0; i < 40; i++) {
		in_thread(&second, ipi_spin, i + 1, &thread);
		if (i & 1)
			sleep_ms(2);
		send(g, 1, ICR_FIXED | VECTOR, 1);
		check(!pthread_join(thread, NULL));
	}
	check_equal(state_of(g)->taken, 40);
}

static void to_running_x2apic(void)
{
	to_one_that_runs(true);
}

static void to_running_xapic(void)
{
	to_one_that_runs(false);
}

/* Has the second vcpu anything to take? */
static uint32_t taken_by(struct guest *second)
{
	uint32_t before = state_of(second)->taken;
	pthread_t thread;

	in_thread(second, ipi_spin, before + 1, &thread);
	sleep_ms(20);
	if (state_of(second)->taken == before)
		state_of(second)->taken = before + 1;	/* lets it go */
	else
		before--;
	check(!pthread_join(thread, NULL));
	return state_of(second)->taken - before - 1;
}

/* Everybody, groups and nobody are for the model to find out. */
static void other_destinations(void)
{
	struct guest second, *g = two_vcpus(true, &second);

	send(g, NOBODY, ICR_FIXED | VECTOR, 1);
	check_equal(taken_by(&second), 0);
	send(g, 4096, ICR_FIXED | VECTOR, 1);
	check_equal(taken_by(&second), 0);
	send(g, 2, ICR_FIXED | 0x800 | VECTOR, 1);	/* logical: bit 1 of cluster 0 */
	check_equal(taken_by(&second), 1);
	send(g, 0, ICR_FIXED | 0xc0000 | VECTOR, 1);	/* all but itself */
	check_equal(taken_by(&second), 1);
	send(g, EVERYBODY, ICR_FIXED | VECTOR, 1);
	check_equal(taken_by(&second), 1);
	check_equal(taken_by(g), 1);
	/* A vector that is none is an error of the sender's. */
	send(g, 1, ICR_FIXED | 5, 1);
	check_equal(taken_by(&second), 0);
}

static void reserved_bits(void)
{
	struct guest second, *g = two_vcpus(true, &second);
	struct kvm_regs regs;

	for (unsigned int bit = 13; bit < 32; bit++) {
		if (bit != 13 && bit != 16 && bit != 17 && bit < 20)
			continue;
		go_to(g, ipi_send);
		regs = vcpu_regs(g->vcpu);
		regs.rsi = 1;
		regs.rdx = 1;
		regs.rdi = ICR_FIXED | VECTOR | 1u << bit;
		vcpu_set_regs(g->vcpu, &regs);
		run_to_exception(g, VECTOR_GP, 0);
		regs.rsp = GUEST_STACK;
		guest_complete(g);
		vcpu_set_regs(g->vcpu, &regs);
	}
	check_equal(taken_by(&second), 0);
}

/* One that software has disabled takes nothing, and keeps nothing for later. */
static void disabled(void)
{
	struct guest second, *g = two_vcpus(false, &second);

	send(g, 1, ICR_FIXED | VECTOR, 1);
	check_equal(taken_by(&second), 1);
	do_task(&second, ipi_off);
	send(g, 1, ICR_FIXED | VECTOR, ROUNDS);
	do_task(&second, ipi_on);
	check_equal(taken_by(&second), 0);
	send(g, 1, ICR_FIXED | VECTOR, 1);
	check_equal(taken_by(&second), 1);
}

/* Userspace may give an xAPIC another id. */
static void other_id(void)
{
	struct guest second, *g = two_vcpus(false, &second);
	struct kvm_lapic_state lapic;

	send(g, 1, ICR_FIXED | VECTOR, 1);
	check_equal(taken_by(&second), 1);
	must(ioctl(second.vcpu, KVM_GET_LAPIC, &lapic));
	lapic.regs[APIC_ID + 3] = 5;
	must(ioctl(second.vcpu, KVM_SET_LAPIC, &lapic));
	send(g, 1, ICR_FIXED | VECTOR, 1);
	check_equal(taken_by(&second), 0);
	send(g, 5, ICR_FIXED | VECTOR, 1);
	check_equal(taken_by(&second), 1);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "to a vcpu outside the guest, x2APIC", x2apic_to_one_outside },
		{ "to a vcpu outside the guest, xAPIC", xapic_to_one_outside },
		{ "to a vcpu that halts", to_one_halted },
		{ "to a vcpu that runs, x2APIC", to_running_x2apic },
		{ "to a vcpu that runs, xAPIC", to_running_xapic },
		{ "to groups, everybody and nobody", other_destinations },
		{ "with reserved bits", reserved_bits },
		{ "to a disabled APIC", disabled },
		{ "to an APIC with another id", other_id },
	};

	return RUN_CASES("ipi", cases);
}
