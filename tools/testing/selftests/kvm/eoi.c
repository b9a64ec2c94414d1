// SPDX-License-Identifier: GPL-2.0
/*
 * The end of an interrupt without an exit: a guest that ends its interrupts by the shared word where
 * it may, and by a write to its APIC where it must, counts both. Documentation/virt/kvm/x86/pv.rst.
 */
#include "guest.h"

#include <linux/kvm_para.h>

#define DONE_PORT	0x51
#define HANDLER_PORT	0x52		/* in the handler, before the end of its interrupt */
#define EOI_WORD	0x25000ull
#define VECTOR_LOW	0x61
#define VECTOR_HIGH	0x71
#define APIC_ISR	0x100
#define MSI_LEVEL	0xc000u		/* level-triggered, asserted */
#define ROUNDS		200

/* What the guest keeps at GUEST_DATA; the numbers stand in its code. */
struct state {
	uint32_t silent, written;	/* 0xa000, 0xa004: how interrupts were ended */
	uint32_t low, high;		/* 0xa008, 0xa00c: interrupts taken */
	uint32_t exits;			/* 0xa010: the low one's handler exits first */
	uint32_t nests;			/* 0xa014: ... is interrupted by the high one first */
};

GUEST(eoi_code, 64,
	"	.globl	eoi_start, eoi_rounds, eoi_two, eoi_open, eoi_wrmsr\n"
	"	.globl	eoi_low, eoi_high\n"
	"1:	out	%al, $0x51\n"
	"	jmp	1b\n"
	"eoi_start: mov	$0x1b, %ecx\n"
	"	rdmsr\n"
	"	or	$0xc00, %eax\n"
	"	wrmsr\n"
	"	mov	$0x80f, %ecx\n"
	"	mov	$0x1ff, %eax\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	jmp	1b\n"
	"eoi_wrmsr: wrmsr\n"
	"	jmp	1b\n"
	"send:	mov	$0x83f, %ecx\n"		/* the vector in EAX, to itself */
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	ret\n"
	/* RSI interrupts, one after the other. */
	"eoi_rounds: mov $0x61, %eax\n"
	"	call	send\n"
	"	sti\n"
	"	nop\n"
	"	nop\n"
	"	cli\n"
	"	dec	%esi\n"
	"	jnz	eoi_rounds\n"
	"	jmp	1b\n"
	/* Two that wait for the same moment. */
	"eoi_two: mov	$0x61, %eax\n"
	"	call	send\n"
	"	mov	$0x71, %eax\n"
	"	call	send\n"
	"eoi_open: sti\n"
	"	nop\n"
	"	nop\n"
	"	cli\n"
	"	jmp	1b\n"
	"eoi_low: push	%rax\n"
	"	push	%rcx\n"
	"	push	%rdx\n"
	"	incl	0xa008\n"
	"	cmpl	$0, 0xa010\n"
	"	je	2f\n"
	"	out	%al, $0x52\n"
	"2:	cmpl	$0, 0xa014\n"
	"	je	3f\n"
	"	mov	$0x71, %eax\n"
	"	call	send\n"
	"	sti\n"
	"	nop\n"
	"	nop\n"
	"	cli\n"
	"3:	btrl	$0, 0x25000\n"
	"	jc	4f\n"
	"	incl	0xa004\n"
	"	mov	$0x80b, %ecx\n"
	"	xor	%eax, %eax\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	jmp	5f\n"
	"4:	incl	0xa000\n"
	"5:	pop	%rdx\n"
	"	pop	%rcx\n"
	"	pop	%rax\n"
	"	iretq\n"
	"eoi_high: push	%rax\n"
	"	push	%rcx\n"
	"	push	%rdx\n"
	"	incl	0xa00c\n"
	"	jmp	3b\n");

extern const uint8_t eoi_start[], eoi_rounds[], eoi_two[], eoi_open[], eoi_wrmsr[], eoi_low[],
		     eoi_high[];

static volatile struct state *state_of(struct guest *g)
{
	return (volatile struct state *)(g->memory + GUEST_DATA);
}

static uint32_t *eoi_word(struct guest *g)
{
	return (uint32_t *)(g->memory + EOI_WORD);
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

static void do_task(struct guest *g, const uint8_t *label, uint64_t rsi)
{
	go_to(g, label, rsi);
	run_to_out(g, DONE_PORT);
}

static struct guest *eoi_guest(bool enabled)
{
	struct guest *g = guest_new(LONG, eoi_code);

	guest_with_irqchip(g, LONG);
	guest_gate(g, VECTOR_LOW, guest_address(g, eoi_low));
	guest_gate(g, VECTOR_HIGH, guest_address(g, eoi_high));
	run_to_out(g, DONE_PORT);
	do_task(g, eoi_start, 0);
	memset(g->memory + GUEST_DATA, 0, PAGE);
	if (enabled)
		check(vcpu_set_msr(g->vcpu, MSR_KVM_PV_EOI_EN, EOI_WORD | KVM_MSR_ENABLED));
	return g;
}

static struct kvm_lapic_state lapic_of(struct guest *g)
{
	struct kvm_lapic_state lapic;

	must(ioctl(g->vcpu, KVM_GET_LAPIC, &lapic));
	return lapic;
}

static bool in_service(struct guest *g, unsigned int vector)
{
	struct kvm_lapic_state lapic = lapic_of(g);

	return lapic.regs[APIC_ISR + vector / 32 * 16 + vector % 32 / 8] >> vector % 8 & 1;
}

static void check_idle(struct guest *g)
{
	check(!in_service(g, VECTOR_LOW));
	check(!in_service(g, VECTOR_HIGH));
	check_equal(*eoi_word(g), 0);
}

/* A processor that delivers interrupts by itself ends them by itself, too, and wants them written. */
static void check_ends(struct guest *g, uint32_t written, uint32_t silent)
{
	if (processor_delivers()) {
		written += silent;
		silent = 0;
	}
	check_equal(state_of(g)->written, written);
	check_equal(state_of(g)->silent, silent);
}

static void offered(void)
{
	int kvm = open_kvm();
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid_supported(kvm), KVM_CPUID_FEATURES, 0);

	check(e);
	check(e->eax & (1u << KVM_FEATURE_PV_EOI));
}

static void msr_values(void)
{
	struct guest *g = eoi_guest(false);
	struct kvm_regs regs;
	uint64_t value;

	go_to(g, eoi_wrmsr, 0);
	regs = vcpu_regs(g->vcpu);
	regs.rcx = MSR_KVM_PV_EOI_EN;
	regs.rax = EOI_WORD | 2;
	regs.rdx = 0;
	vcpu_set_regs(g->vcpu, &regs);
	run_to_exception(g, VECTOR_GP, 0);
	check(!vcpu_set_msr(g->vcpu, MSR_KVM_PV_EOI_EN, EOI_WORD | 3));
	check(vcpu_set_msr(g->vcpu, MSR_KVM_PV_EOI_EN, EOI_WORD | 5));
	check(vcpu_get_msr(g->vcpu, MSR_KVM_PV_EOI_EN, &value));
	check_equal(value, EOI_WORD | 5);
	/* Where there is no memory, interrupts end as ever. */
	check(vcpu_set_msr(g->vcpu, MSR_KVM_PV_EOI_EN, GUEST_MEMORY | 1));
	go_to(g, eoi_rounds, 5);
	run_to_out(g, DONE_PORT);
	check_equal(state_of(g)->written, 5);
	check_idle(g);
}

/* Every interrupt is ended by the word, which saves an exit each. */
static void silent(void)
{
	struct guest *g;
	uint64_t before, with, without;

	if (processor_delivers())
		skip("the processor ends interrupts without exits");
	g = eoi_guest(false);
	before = vcpu_stat(g->vcpu, "exits");
	do_task(g, eoi_rounds, ROUNDS);
	without = vcpu_stat(g->vcpu, "exits") - before;
	check_equal(state_of(g)->written, ROUNDS);
	check_equal(state_of(g)->silent, 0);

	check(vcpu_set_msr(g->vcpu, MSR_KVM_PV_EOI_EN, EOI_WORD | KVM_MSR_ENABLED));
	before = vcpu_stat(g->vcpu, "exits");
	do_task(g, eoi_rounds, ROUNDS);
	with = vcpu_stat(g->vcpu, "exits") - before;
	note("%u interrupts: %llu exits, with the word %llu", ROUNDS, (unsigned long long)without,
	     (unsigned long long)with);
	check_equal(state_of(g)->written, ROUNDS);
	check_equal(state_of(g)->silent, ROUNDS);
	check(with + ROUNDS * 9 / 10 <= without);
	check_idle(g);

	check(vcpu_set_msr(g->vcpu, MSR_KVM_PV_EOI_EN, 0));
	do_task(g, eoi_rounds, 3);
	check_equal(state_of(g)->written, ROUNDS + 3);
}

/* The end of one behind which another waits has to be seen. */
static void one_waits(void)
{
	struct guest *g = eoi_guest(true);

	for (uint32_t i = 1; i <= 20; i++) {
		do_task(g, eoi_two, 0);
		check_equal(state_of(g)->low, i);
		check_equal(state_of(g)->high, i);
		check_ends(g, i, i);
		check_idle(g);
	}
}

static void level_triggered(void)
{
	struct guest *g = eoi_guest(true);
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = VECTOR_LOW | MSI_LEVEL };

	must(ioctl(g->vm, KVM_SIGNAL_MSI, &msi));
	do_task(g, eoi_open, 0);
	check_equal(state_of(g)->low, 1);
	check_equal(state_of(g)->written, 1);
	check_equal(state_of(g)->silent, 0);
	check_idle(g);
}

/* An interrupt in the handler: the word is the inner one's, the outer one's end is written. */
static void nested(void)
{
	struct guest *g = eoi_guest(true);

	state_of(g)->nests = 1;
	do_task(g, eoi_rounds, 20);
	check_equal(state_of(g)->low, 20);
	check_equal(state_of(g)->high, 20);
	check_equal(state_of(g)->written + state_of(g)->silent, 40);
	check(processor_delivers() || state_of(g)->silent >= 20);
	check_idle(g);
}

/* Userspace sees an APIC and a word that can be moved: what is in service is there, the word is 0. */
static void saved_in_handler(void)
{
	struct guest *g = eoi_guest(true);
	struct kvm_lapic_state lapic;

	state_of(g)->exits = 1;
	go_to(g, eoi_rounds, 1);
	run_to_out(g, HANDLER_PORT);
	check(in_service(g, VECTOR_LOW));
	check_equal(*eoi_word(g), 0);
	lapic = lapic_of(g);
	must(ioctl(g->vcpu, KVM_SET_LAPIC, &lapic));
	run_to_out(g, DONE_PORT);
	check_equal(state_of(g)->written + state_of(g)->silent, 1);
	check_idle(g);
	state_of(g)->exits = 0;
	state_of(g)->written = 0;
	state_of(g)->silent = 0;
	do_task(g, eoi_rounds, 10);
	check_ends(g, 0, 10);
	check_idle(g);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "what is offered", offered },
		{ "values of the MSR", msr_values },
		{ "an end without an exit", silent },
		{ "another one waits", one_waits },
		{ "level-triggered", level_triggered },
		{ "nested", nested },
		{ "saved in the handler", saved_in_handler },
	};

	return RUN_CASES("eoi", cases);
}
