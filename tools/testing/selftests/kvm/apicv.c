// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts that the processor delivers and ends by itself (kvm_intel.enable_apicv): without exits,
 * and with an APIC that userspace can save and restore at any time. The same must come out where the
 * model delivers, but for the number of exits. SDM 3, chapter 30.
 */
#include "guest.h"

#define DONE_PORT	0x51
#define HANDLER_PORT	0x52		/* in the handler, before the end of its interrupt */
#define VECTOR_LOW	0x61
#define VECTOR_HIGH	0x71
#define APIC_PPR	0x0a0
#define APIC_ISR	0x100
#define APIC_IRR	0x200
#define ROUNDS		200
#define SOME_EXITS	20		/* the host has interrupts, too */

/* What the guest keeps at GUEST_DATA; the numbers stand in its code. */
struct state {
	uint32_t low, high;		/* 0xa000, 0xa004: interrupts taken */
	uint32_t x2apic;		/* 0xa008: end them by the MSR */
	uint32_t exits;			/* 0xa00c: handlers exit first */
	uint32_t read[4];		/* 0xa010: registers */
};

GUEST(apicv_code, 64,
	"	.globl	apicv_x2apic, apicv_x2apic_rounds, apicv_xapic_rounds, apicv_icr_rounds\n"
	"	.globl	apicv_two, apicv_reads, apicv_low, apicv_high\n"
	"	mov	$0xfee00000, %ebx\n"
	"	movl	$0x1ff, 0xf0(%rbx)\n"
	"	movl	$0, 0x310(%rbx)\n"
	"1:	out	%al, $0x51\n"
	"	jmp	1b\n"
	"apicv_x2apic: mov $0x1b, %ecx\n"
	"	rdmsr\n"
	"	or	$0xc00, %eax\n"
	"	wrmsr\n"
	"	jmp	1b\n"
	"open:	sti\n"
	"	nop\n"
	"	nop\n"
	"	cli\n"
	"	ret\n"
	"send:	mov	$0x83f, %ecx\n"		/* the vector in EAX, to itself */
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	ret\n"
	/* RSI interrupts, one after the other. */
	"apicv_x2apic_rounds: mov $0x61, %eax\n"
	"	call	send\n"
	"	call	open\n"
	"	dec	%esi\n"
	"	jnz	apicv_x2apic_rounds\n"
	"	jmp	1b\n"
	"apicv_xapic_rounds: movl $0x44061, 0x300(%rbx)\n"
	"	call	open\n"
	"	dec	%esi\n"
	"	jnz	apicv_xapic_rounds\n"
	"	jmp	1b\n"
	/* To itself by its id, which the processor does not do. */
	"apicv_icr_rounds: movl $0x4061, 0x300(%rbx)\n"
	"	call	open\n"
	"	dec	%esi\n"
	"	jnz	apicv_icr_rounds\n"
	"	jmp	1b\n"
	/* Two that wait for the same moment. */
	"apicv_two: mov	$0x61, %eax\n"
	"	call	send\n"
	"	mov	$0x71, %eax\n"
	"	call	send\n"
	"	call	open\n"
	"	jmp	1b\n"
	"apicv_reads: mov $0x802, %ecx\n"
	"	rdmsr\n"
	"	mov	%eax, 0xa010\n"
	"	mov	$0x80f, %ecx\n"
	"	rdmsr\n"
	"	mov	%eax, 0xa014\n"
	"	mov	$0x80d, %ecx\n"
	"	rdmsr\n"
	"	mov	%eax, 0xa018\n"
	"	or	%edx, 0xa018\n"
	"	mov	$0x80a, %ecx\n"
	"	rdmsr\n"
	"	mov	%eax, 0xa01c\n"
	"	dec	%esi\n"
	"	jnz	apicv_reads\n"
	"	jmp	1b\n"
	"apicv_low: incl 0xa000\n"
	"	jmp	2f\n"
	"apicv_high: incl 0xa004\n"
	"2:	push	%rax\n"
	"	push	%rcx\n"
	"	push	%rdx\n"
	"	cmpl	$0, 0xa00c\n"
	"	je	3f\n"
	"	out	%al, $0x52\n"
	"3:	cmpl	$0, 0xa008\n"
	"	je	4f\n"
	"	mov	$0x80b, %ecx\n"
	"	xor	%eax, %eax\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	jmp	5f\n"
	"4:	movl	$0, 0xb0(%rbx)\n"
	"5:	pop	%rdx\n"
	"	pop	%rcx\n"
	"	pop	%rax\n"
	"	iretq\n");

extern const uint8_t apicv_x2apic[], apicv_x2apic_rounds[], apicv_xapic_rounds[],
		     apicv_icr_rounds[], apicv_two[], apicv_reads[], apicv_low[], apicv_high[];

static volatile struct state *state_of(struct guest *g)
{
	return (volatile struct state *)(g->memory + GUEST_DATA);
}

static void go_to(struct guest *g, const uint8_t *label, uint64_t rsi)
{
	struct kvm_regs regs;

	guest_complete(g);
	regs = vcpu_regs(g->vcpu);
	regs.rip = guest_address(g, label);
	regs.rsi = rsi;
	vcpu_set_regs(g->vcpu, &regs);
}

/* The exits that it took. */
static uint64_t do_task(struct guest *g, const uint8_t *label, uint64_t rsi)
{
	uint64_t before = vcpu_stat(g->vcpu, "exits");

	go_to(g, label, rsi);
	run_to_out(g, DONE_PORT);
	return vcpu_stat(g->vcpu, "exits") - before;
}

static struct guest *apic_guest(bool x2apic)
{
	struct guest *g = guest_new(LONG, apicv_code);

	guest_with_irqchip(g, LONG);
	guest_gate(g, VECTOR_LOW, guest_address(g, apicv_low));
	guest_gate(g, VECTOR_HIGH, guest_address(g, apicv_high));
	run_to_out(g, DONE_PORT);
	memset(g->memory + GUEST_DATA, 0, PAGE);
	state_of(g)->x2apic = x2apic;
	if (x2apic)
		do_task(g, apicv_x2apic, 0);
	return g;
}

static struct kvm_lapic_state lapic_of(struct guest *g)
{
	struct kvm_lapic_state lapic;

	must(ioctl(g->vcpu, KVM_GET_LAPIC, &lapic));
	return lapic;
}

static bool has_vector(const struct kvm_lapic_state *lapic, unsigned int base, unsigned int vector)
{
	return lapic->regs[base + vector / 32 * 16 + vector % 32 / 8] >> vector % 8 & 1;
}

static void check_idle(struct guest *g)
{
	struct kvm_lapic_state lapic = lapic_of(g);

	for (unsigned int vector = 16; vector < 256; vector++) {
		check(!has_vector(&lapic, APIC_ISR, vector));
		check(!has_vector(&lapic, APIC_IRR, vector));
	}
	check_equal(lapic.regs[APIC_PPR], 0);
}

static void check_exits(uint64_t exits)
{
	note("%u rounds: %llu exits", ROUNDS, (unsigned long long)exits);
	if (processor_delivers())
		check(exits <= SOME_EXITS);
}

static void x2apic(void)
{
	struct guest *g = apic_guest(true);

	check_exits(do_task(g, apicv_x2apic_rounds, ROUNDS));
	check_equal(state_of(g)->low, ROUNDS);
	check_idle(g);
}

static void xapic(void)
{
	struct guest *g = apic_guest(false);

	check_exits(do_task(g, apicv_xapic_rounds, ROUNDS));
	check_equal(state_of(g)->low, ROUNDS);
	check_idle(g);
}

static void xapic_icr(void)
{
	struct guest *g = apic_guest(false);

	do_task(g, apicv_icr_rounds, ROUNDS);
	check_equal(state_of(g)->low, ROUNDS);
	check_idle(g);
}

static void reads(void)
{
	struct guest *g = apic_guest(true);

	check_exits(do_task(g, apicv_reads, ROUNDS));
	check_equal(state_of(g)->read[0], 0);
	check_equal(state_of(g)->read[1], 0x1ff);
	check_equal(state_of(g)->read[2], 1);
	check_equal(state_of(g)->read[3], 0);
}

/* Userspace may at any time see, and write back, what waits and what is in service. */
static void saved_in_handler(void)
{
	struct guest *g = apic_guest(true);
	struct kvm_lapic_state lapic;

	state_of(g)->exits = 1;
	for (uint32_t i = 1; i <= 10; i++) {
		go_to(g, apicv_two, 0);
		run_to_out(g, HANDLER_PORT);
		lapic = lapic_of(g);
		check(has_vector(&lapic, APIC_ISR, VECTOR_HIGH));
		check(has_vector(&lapic, APIC_IRR, VECTOR_LOW));
		check(!has_vector(&lapic, APIC_ISR, VECTOR_LOW));
		check(!has_vector(&lapic, APIC_IRR, VECTOR_HIGH));
		check_equal(lapic.regs[APIC_PPR], VECTOR_HIGH & 0xf0);
		must(ioctl(g->vcpu, KVM_SET_LAPIC, &lapic));
		run_to_out(g, HANDLER_PORT);
		lapic = lapic_of(g);
		check(has_vector(&lapic, APIC_ISR, VECTOR_LOW));
		run_to_out(g, DONE_PORT);
		check_equal(state_of(g)->high, i);
		check_equal(state_of(g)->low, i);
		check_idle(g);
	}
}

/* What waits stays when the processor is told to deliver no more, and when it is told to again. */
static void debugger(void)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_BLOCKIRQ };
	struct guest *g = apic_guest(true);

	for (uint32_t i = 0; i < 10; i++) {
		must(ioctl(g->vcpu, KVM_SET_GUEST_DEBUG, &debug));
		do_task(g, apicv_two, 0);
		check_equal(state_of(g)->low, i);
		check_equal(state_of(g)->high, i);
		must(ioctl(g->vcpu, KVM_SET_GUEST_DEBUG, &(struct kvm_guest_debug){ 0 }));
		/* Two more, which merge with those. */
		do_task(g, apicv_two, 0);
		check_equal(state_of(g)->low, i + 1);
		check_equal(state_of(g)->high, i + 1);
		check_idle(g);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "interrupts of an x2APIC", x2apic },
		{ "interrupts of an xAPIC", xapic },
		{ "an xAPIC's message to itself by its id", xapic_icr },
		{ "registers of an x2APIC", reads },
		{ "saved in the handler", saved_in_handler },
		{ "a debugger holds interrupts back", debugger },
	};

	return RUN_CASES("apicv", cases);
}
