// SPDX-License-Identifier: GPL-2.0
/*
 * Events: interrupts from userspace (KVM_INTERRUPT, the interrupt window, TPR), NMIs, exceptions
 * injected and of the guest's own making, faults on the way to a handler. AMD64 manual, volume 2,
 * chapter 8.
 */
#include "guest.h"

#include <sys/mman.h>

static void interrupt(struct guest *g, uint32_t vector)
{
	struct kvm_interrupt irq = { .irq = vector };

	must(ioctl(g->vcpu, KVM_INTERRUPT, &irq));
}

/* Runs until the guest can take an interrupt. */
static void open_window(struct guest *g)
{
	g->run->request_interrupt_window = 1;
	run_to(g, KVM_EXIT_IRQ_WINDOW_OPEN);
	g->run->request_interrupt_window = 0;
	check_equal(g->run->ready_for_interrupt_injection, 1);
	check_equal(g->run->if_flag, 1);
}

static void take_report(struct guest *g, unsigned int vector, uint64_t error, uint64_t rip)
{
	run_to_exception(g, vector, error);
	check_equal(guest_report(g)->rip, rip);
}

GUEST(real_code, 16,
	"	xor	%bx, %bx\n"
	"	sti\n"
	"1:	jmp	1b\n"
	"real_handler:\n"
	"	inc	%bx\n"
	"	mov	%sp, %bp\n"
	"	mov	(%bp), %ax\n"
	"	out	%ax, $0x10\n"
	"	mov	4(%bp), %ax\n"
	"	out	%ax, $0x11\n"
	"	iret\n");
extern const uint8_t real_handler[];

static void interrupt_real_mode(void)
{
	struct guest *g = guest_new(REAL, real_code);

	guest_vector16(g, 0x21, 0, guest_address(g, real_handler));
	for (int i = 1; i <= 10; i++) {
		open_window(g);
		interrupt(g, 0x21);
		check_equal(run_to_out(g, 0x10), GUEST_CODE + 3);
		check_equal(g->run->if_flag, 0);
		check_equal(g->run->ready_for_interrupt_injection, 0);
		check_equal(vcpu_regs(g->vcpu).rbx, i);
		check_equal(run_to_out(g, 0x11) & RFLAGS_IF, RFLAGS_IF);
	}
}

GUEST(spin_code, 64, "	sti\n1:	jmp	1b\n");

static void interrupt_long_mode(void)
{
	struct guest *g = guest_new(LONG, spin_code);

	for (unsigned int vector = 0x20; vector < 256; vector++) {
		open_window(g);
		interrupt(g, vector);
		take_report(g, vector, 0, GUEST_CODE + 1);
		check_equal(guest_report(g)->cs, SELECTOR_CODE64);
		/* An exit in which the next instruction faulted sets RF, and the interrupt pushes it. */
		check_equal(guest_report(g)->rflags & ~RFLAGS_RF, RFLAGS_FIXED | RFLAGS_IF);
		check_equal(guest_report(g)->rsp, GUEST_STACK);
		check_equal(g->run->if_flag, 0);
	}
	check_equal(guest_report(g)->count, 256 - 0x20);
}

static void interrupt_bad_arguments(void)
{
	struct guest *g = guest_new(LONG, spin_code);
	struct kvm_interrupt irq = { .irq = 256 };

	must_fail(ioctl(g->vcpu, KVM_INTERRUPT, &irq), EINVAL);
	irq.irq = 0xffffffff;
	must_fail(ioctl(g->vcpu, KVM_INTERRUPT, &irq), EINVAL);
	open_window(g);
	check_equal(guest_report(g)->count, 0);
}

GUEST(halt_code, 64,
	"	sti\n"
	"	hlt\n"
	"	out	%al, $0x10\n"
	"	cli\n"
	"	hlt\n"
	"	out	%al, $0x11\n");

/* STI holds interrupts off for one instruction: the HLT is reached with the window closed. */
static void window_after_sti(void)
{
	struct guest *g = guest_new(LONG, halt_code);

	g->run->request_interrupt_window = 1;
	run_to(g, KVM_EXIT_HLT);
	check_equal(g->run->if_flag, 1);
	run_to(g, KVM_EXIT_IRQ_WINDOW_OPEN);
	g->run->request_interrupt_window = 0;
	interrupt(g, 0x30);
	take_report(g, 0x30, 0, GUEST_CODE + 2);
	run_to_out(g, 0x10);
	run_to(g, KVM_EXIT_HLT);
	check_equal(g->run->if_flag, 0);
	check_equal(g->run->ready_for_interrupt_injection, 0);
	g->run->request_interrupt_window = 1;
	run_to_out(g, 0x11);
}

GUEST(shadow_code, 64,
	"	mov	$0x10, %eax\n"
	"	mov	%eax, %ss\n"
	"	nop\n"
	"	nop\n"
	"	hlt\n");

/*
 * Bochs (2.7) forgets a shadow when a page fault exits, as under shadow paging the first access to a
 * page does: code and stack are to be mapped before there is one. The registers are as before but RIP.
 */
static void map_code_and_stack(struct guest *g)
{
	static const uint8_t code[] = { 0x50, 0x58, 0xe6, 0x12 };	/* push %rax; pop %rax; out %al, $0x12 */
	uint64_t at = GUEST_CODE + PAGE - sizeof(code);

	memcpy(g->memory + at, code, sizeof(code));
	vcpu_set_rip(g->vcpu, at);
	run_to_out(g, 0x12);
	guest_complete(g);
}

static void shadow_from_userspace(void)
{
	struct guest *g = guest_new(LONG, shadow_code);
	struct kvm_vcpu_events events = { 0 };
	struct kvm_regs regs = vcpu_regs(g->vcpu);

	map_code_and_stack(g);
	/* Interrupts enabled, but in the shadow of an instruction userspace claims came before. */
	regs.rip = GUEST_CODE + 7;
	regs.rflags |= RFLAGS_IF;
	vcpu_set_regs(g->vcpu, &regs);
	events.flags = KVM_VCPUEVENT_VALID_SHADOW;
	events.interrupt.shadow = KVM_X86_SHADOW_INT_MOV_SS;
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events));
	open_window(g);
	check(vcpu_regs(g->vcpu).rip > GUEST_CODE + 7);
	must(ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &events));
	check_equal(events.interrupt.shadow, 0);
	interrupt(g, 0x40);
	run_to_exception(g, 0x40, 0);

	/* The other way to be in one, and the instruction that must not be interrupted ends the run. */
	regs.rip = guest_address(g, shadow_code_end) - 1;
	vcpu_set_regs(g->vcpu, &regs);
	events.flags = KVM_VCPUEVENT_VALID_SHADOW;
	events.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events));
	g->run->request_interrupt_window = 1;
	run_to(g, KVM_EXIT_HLT);
}

/* Counts in a loop, and calls every so often, if it is told to. */
GUEST(counter_code, 64,
	"	sti\n"
	"1:	incq	0xa000\n"
	"	testb	$0x3f, 0xa000\n"
	"	jnz	2f\n"
	"	cmpb	$0, 0xa010\n"
	"	je	2f\n"
	"	outb	%al, $0x10\n"
	"2:	cmpq	$200000, 0xa000\n"
	"	jb	1b\n"
	"	hlt\n"
	"counter_handler:\n"
	"	incq	0xa008\n"
	"	iretq\n");
extern const uint8_t counter_handler[];

/* A handler that makes no exit: each injection is taken once, the loop loses nothing. */
static void interrupts_counted(void)
{
	struct guest *g = guest_new(LONG, counter_code);
	uint64_t *data = (uint64_t *)(g->memory + GUEST_DATA);
	uint64_t injected = 0;

	guest_gate(g, 0x50, guest_address(g, counter_handler));
	data[2] = 1;
	for (;;) {
		check_equal(guest_run(g), 0);
		if (g->run->exit_reason == KVM_EXIT_HLT)
			break;
		check_equal(g->run->exit_reason, KVM_EXIT_IO);
		check_equal(g->run->ready_for_interrupt_injection, 1);
		interrupt(g, 0x50);
		injected++;
	}
	check_equal(data[0], 200000);
	check_equal(data[1], injected);
	check_equal(injected, 200000 / 64);
}

/* The same where the end of each handler is waited for: a window behind each interrupt. */
static void interrupts_windowed(void)
{
	struct guest *g = guest_new(LONG, counter_code);
	uint64_t *data = (uint64_t *)(g->memory + GUEST_DATA);
	uint64_t injected;

	guest_gate(g, 0x50, guest_address(g, counter_handler));
	for (injected = 0; injected < 100; injected++) {
		g->run->request_interrupt_window = 1;
		run_to(g, KVM_EXIT_IRQ_WINDOW_OPEN);
		interrupt(g, 0x50);
	}
	g->run->request_interrupt_window = 0;
	run_to(g, KVM_EXIT_HLT);
	check_equal(data[0], 200000);
	check_equal(data[1], injected);
}

GUEST(nmi_code, 64,
	"1:	incq	0xa000\n"
	"	jmp	1b\n");

static void nmi(void)
{
	struct guest *g = guest_new(LONG, nmi_code);
	struct kvm_vcpu_events events;

	must(ioctl(g->vcpu, KVM_NMI, 0));
	take_report(g, VECTOR_NMI, 0, GUEST_CODE);
	must(ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &events));
	check_equal(events.nmi.masked, 1);
	/* A second one waits for the IRET of the first, a third is lost. */
	for (int i = 0; i < 5; i++)
		must(ioctl(g->vcpu, KVM_NMI, 0));
	run_to_exception(g, VECTOR_NMI, 0);
	check(guest_report(g)->rip < GUEST_CODE + 16);
	check_equal(guest_report(g)->count, 2);
	/* Interrupts are off, but the guest goes on; a window opens never, an NMI always. */
	for (int i = 3; i < 20; i++) {
		must(ioctl(g->vcpu, KVM_NMI, 0));
		run_to_exception(g, VECTOR_NMI, 0);
		check_equal(guest_report(g)->count, i);
	}
}

GUEST(nmi_nested_code, 64,
	"	hlt\n"
	"1:	jmp	1b\n"
	"nmi_handler:\n"
	"	out	%al, $0x10\n"
	"	int	$0x80\n"		/* its IRET unblocks NMIs within this handler */
	"	out	%al, $0x11\n"
	"	iretq\n"
	"nmi_software:\n"
	"	out	%al, $0x12\n"
	"	iretq\n");
extern const uint8_t nmi_handler[], nmi_software[];

static void nmi_unblocked_by_any_iret(void)
{
	struct guest *g = guest_new(LONG, nmi_nested_code);

	guest_gate(g, VECTOR_NMI, guest_address(g, nmi_handler));
	guest_gate(g, 0x80, guest_address(g, nmi_software));
	run_to(g, KVM_EXIT_HLT);
	must(ioctl(g->vcpu, KVM_NMI, 0));
	run_to_out(g, 0x10);
	must(ioctl(g->vcpu, KVM_NMI, 0));
	run_to_out(g, 0x12);
	/* The IRET from vector 0x80 lets the second NMI in before the first has ended. */
	run_to_out(g, 0x10);
	run_to_out(g, 0x12);
	run_to_out(g, 0x11);
	run_to_out(g, 0x11);
}

GUEST(nmi_halt_code, 64, "	hlt\n	out	%al, $0x10\n");

static void nmi_and_interrupt_together(void)
{
	struct guest *g = guest_new(LONG, spin_code);

	open_window(g);
	interrupt(g, 0x60);
	must(ioctl(g->vcpu, KVM_NMI, 0));
	/* Both arrive, whichever first, and the frames nest. */
	run_to(g, KVM_EXIT_IO);
	uint64_t first = guest_report(g)->vector;

	run_to(g, KVM_EXIT_IO);
	check_equal(first + guest_report(g)->vector, 0x60 + VECTOR_NMI);
	check_equal(guest_report(g)->count, 2);
	open_window(g);
	check_equal(vcpu_regs(g->vcpu).rsp, GUEST_STACK);
	check_equal(guest_report(g)->count, 2);
}

static void nmi_masked_by_userspace(void)
{
	struct guest *g = guest_new(LONG, nmi_halt_code);
	struct kvm_vcpu_events events = { 0 };

	events.nmi.masked = 1;
	events.nmi.pending = 1;
	events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events));
	run_to(g, KVM_EXIT_HLT);
	run_to_out(g, 0x10);
	check_equal(guest_report(g)->count, 0);
	events.nmi.masked = 0;
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events));
	run_to_exception(g, VECTOR_NMI, 0);
}

/*
 * An NMI that must wait for one instruction: KVM may step over that with TF, of which the guest
 * must never learn.
 */
GUEST(nmi_step_code, 64,
	"step_hlt:	hlt\n"
	"step_hlt_end:	nop\n"
	"step_cpuid:	cpuid\n"
	"step_cpuid_end: nop\n"
	"step_pushf:	pushf\n"
	"step_pushf_end: pop	%rax\n"
	"	out	%eax, $0x10\n"
	"step_popf:	popf\n"
	"step_popf_end:	nop\n"
	"step_nop:	nop\n"
	"step_nop_end:	nop\n"
	"step_int:	int	$0x40\n"
	"step_int_end:	nop\n"
	"step_int3:	int3\n"
	"step_int3_end:	nop\n"
	"step_fault:	mov	(%rdi), %eax\n"
	"1:	jmp	1b\n"
	"step_iret:	mov	16(%rsp), %eax\n"
	"	out	%eax, $0x10\n"
	"	orq	$0x100, 16(%rsp)\n"
	"	iretq\n");
extern const uint8_t step_hlt[], step_hlt_end[], step_cpuid[], step_cpuid_end[], step_pushf[],
		     step_pushf_end[], step_popf[], step_popf_end[], step_nop[], step_nop_end[], step_int[],
		     step_int_end[], step_int3[], step_int3_end[], step_fault[], step_iret[];

/* At @code, in the shadow of STI, with an NMI pending. */
static struct guest *guest_with_nmi(const uint8_t *code, uint64_t rflags)
{
	struct guest *g = guest_new(LONG, nmi_step_code);
	struct kvm_vcpu_events events = { .flags = KVM_VCPUEVENT_VALID_SHADOW };
	struct kvm_regs regs = vcpu_regs(g->vcpu);

	map_code_and_stack(g);
	regs.rip = guest_address(g, code);
	regs.rflags |= rflags;
	regs.rdi = 0x8000000000 - 8;
	regs.rsp -= 8;
	memset(g->memory + regs.rsp, 0, 8);
	g->memory[regs.rsp + 1] = RFLAGS_TF >> 8;
	vcpu_set_regs(g->vcpu, &regs);
	events.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events));
	must(ioctl(g->vcpu, KVM_NMI, 0));
	return g;
}

/* The NMI and @vector, whichever comes first: an emulated processor's may be an instruction late. */
static void take_both(const uint8_t *code, unsigned int vector, const uint8_t *where)
{
	struct guest *g = guest_with_nmi(code, 0);
	uint64_t seen = 0;

	for (int i = 0; i < 2; i++) {
		run_to(g, KVM_EXIT_IO);
		check_equal(guest_report(g)->rflags & RFLAGS_TF, 0);
		seen |= 1ull << (guest_report(g)->vector & 63);
		if (guest_report(g)->vector == vector)
			check_equal(guest_report(g)->rip, guest_address(g, where));
	}
	check_equal(seen, 1ull << VECTOR_NMI | 1ull << (vector & 63));
	/* Out of both handlers: Bochs' next guest would find its NMIs blocked. */
	run_to(g, KVM_EXIT_IO);
}

static void nmi_after_one_instruction(void)
{
	struct guest *g = guest_with_nmi(step_hlt, 0);

	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).rflags & RFLAGS_TF, 0);
	run_to_exception(g, VECTOR_NMI, 0);
	check_equal(guest_report(g)->rip, guest_address(g, step_hlt_end));
	check_equal(guest_report(g)->rflags & RFLAGS_TF, 0);
	run_to_out(g, 0x10);

	g = guest_with_nmi(step_cpuid, 0);
	run_to_exception(g, VECTOR_NMI, 0);
	check_equal(guest_report(g)->rip, guest_address(g, step_cpuid_end));
	check_equal(guest_report(g)->rflags & RFLAGS_TF, 0);
	run_to_out(g, 0x10);

	/* What PUSHF pushed comes out at port 0x10. */
	g = guest_with_nmi(step_pushf, 0);
	for (int i = 0; i < 2; i++) {
		must(ioctl(g->vcpu, KVM_RUN, 0));
		check_equal(g->run->exit_reason, KVM_EXIT_IO);
		if (g->run->io.port == 0x10)
			check_equal(*(uint32_t *)pio_data(g) & RFLAGS_TF, 0);
		else
			check_equal(guest_report(g)->rflags & RFLAGS_TF, 0);
	}
	check_equal(guest_report(g)->count, 1);
	run_to(g, KVM_EXIT_IO);

	take_both(step_int, 0x40, step_int_end);
	take_both(step_int3, VECTOR_BP, step_int3_end);
	take_both(step_fault, VECTOR_PF, step_fault);
}

/* The guest's own TF stays what the guest makes it. */
static void nmi_and_own_steps(void)
{
	struct guest *g = guest_with_nmi(step_popf, 0);

	for (int i = 0; i < 2; i++) {
		run_to(g, KVM_EXIT_IO);
		if (guest_report(g)->rip == guest_address(g, step_popf_end))
			check_equal(guest_report(g)->rflags & RFLAGS_TF, RFLAGS_TF);
		if (guest_report(g)->vector == VECTOR_DB)
			check_equal(guest_report(g)->rip, guest_address(g, step_popf_end) + 1);
	}
	check_equal(guest_report(g)->count, 2);

	/* The NMI comes as soon as the trap is under way. */
	g = guest_with_nmi(step_nop, RFLAGS_TF);
	run_to_exception(g, VECTOR_NMI, 0);
	check_equal(guest_report(g)->rflags & RFLAGS_TF, 0);
	run_to_exception(g, VECTOR_DB, 0);
	check_equal(guest_report(g)->rip, guest_address(g, step_nop_end));

	/* An NMI waits for the IRET of another, and that sets TF. */
	g = guest_new(LONG, nmi_step_code);
	vcpu_set_rip(g->vcpu, guest_address(g, step_nop));
	guest_gate(g, VECTOR_NMI, guest_address(g, step_iret));
	must(ioctl(g->vcpu, KVM_NMI, 0));
	check_equal(run_to_out(g, 0x10) & RFLAGS_TF, 0);
	must(ioctl(g->vcpu, KVM_NMI, 0));
	check_equal(run_to_out(g, 0x10) & RFLAGS_TF, RFLAGS_TF);
	run_to_exception(g, VECTOR_DB, 0);
}

static void inject(struct guest *g, uint8_t vector, int error)
{
	struct kvm_vcpu_events events = { 0 };

	events.exception.injected = 1;
	events.exception.nr = vector;
	if (error >= 0) {
		events.exception.has_error_code = 1;
		events.exception.error_code = error;
	}
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events));
}

static void injected_exceptions(void)
{
	struct guest *g = guest_new(LONG, nmi_code);
	struct kvm_sregs sregs;

	inject(g, VECTOR_UD, -1);
	take_report(g, VECTOR_UD, 0, GUEST_CODE);
	vcpu_set_mode(g->vcpu, LONG);
	inject(g, VECTOR_GP, 0x1238);
	take_report(g, VECTOR_GP, 0x1238, GUEST_CODE);
	vcpu_set_mode(g->vcpu, LONG);
	sregs = vcpu_sregs(g->vcpu);
	sregs.cr2 = 0x7654321000;
	must(ioctl(g->vcpu, KVM_SET_SREGS, &sregs));
	inject(g, VECTOR_PF, 6);
	take_report(g, VECTOR_PF, 6, GUEST_CODE);
	check_equal(guest_report(g)->cr2, 0x7654321000);
	vcpu_set_mode(g->vcpu, LONG);
	inject(g, VECTOR_DF, 0);
	take_report(g, VECTOR_DF, 0, GUEST_CODE);
	vcpu_set_mode(g->vcpu, LONG);
	inject(g, VECTOR_NP, 0x50);
	take_report(g, VECTOR_NP, 0x50, GUEST_CODE);
	check_equal(guest_report(g)->count, 5);
}

GUEST(faults_code, 64,
	"fault_ud:	ud2\n"
	"fault_gp:	mov	$0x1238, %eax\n"
	"fault_gp_at:	mov	%eax, %ds\n"
	"fault_gp_canonical:\n"
	"	movabs	0x8000000000000000, %al\n"
	"fault_pf_read:	movabs	0x200000000, %al\n"
	"fault_pf_write: movabs	%al, 0x200001234\n"
	"fault_pf_fetch: movabs	$0x200005000, %rax\n"
	"	jmp	*%rax\n"
	"fault_de:	xor	%ecx, %ecx\n"
	"fault_de_at:	div	%ecx\n"
	"fault_nm:	mov	%cr0, %rax\n"
	"	or	$8, %al\n"
	"	mov	%rax, %cr0\n"
	"fault_nm_at:	fld1\n"
	"fault_int:	int	$0x77\n"
	"fault_bp:	int3\n");

#define LABEL(name) extern const uint8_t name[]
LABEL(fault_ud); LABEL(fault_gp); LABEL(fault_gp_at); LABEL(fault_gp_canonical);
LABEL(fault_pf_read); LABEL(fault_pf_write); LABEL(fault_pf_fetch); LABEL(fault_de);
LABEL(fault_de_at); LABEL(fault_nm); LABEL(fault_nm_at); LABEL(fault_int); LABEL(fault_bp);

static void own_exceptions(void)
{
	const struct {
		const uint8_t *start, *at;
		uint8_t vector;
		uint16_t error, skip;
		uint64_t cr2;
	} list[] = {
		{ fault_ud, fault_ud, VECTOR_UD, 0 },
		{ fault_gp, fault_gp_at, VECTOR_GP, 0x1238 },
		{ fault_gp_canonical, fault_gp_canonical, VECTOR_GP, 0 },
		{ fault_pf_read, fault_pf_read, VECTOR_PF, 0, 0, 0x200000000 },
		{ fault_pf_write, fault_pf_write, VECTOR_PF, 2, 0, 0x200001234 },
		{ fault_de, fault_de_at, VECTOR_DE, 0 },
		{ fault_nm, fault_nm_at, VECTOR_NM, 0 },
		{ fault_int, fault_int, 0x77, 0, 2 },
		{ fault_bp, fault_bp, VECTOR_BP, 0, 1 },
	};
	struct guest *g = guest_new(LONG, faults_code);

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		vcpu_set_mode(g->vcpu, LONG);
		vcpu_set_rip(g->vcpu, guest_address(g, list[i].start));
		take_report(g, list[i].vector, list[i].error,
			    guest_address(g, list[i].at) + list[i].skip);
		if (list[i].vector == VECTOR_PF)
			check_equal(guest_report(g)->cr2, list[i].cr2);
	}
	vcpu_set_mode(g->vcpu, LONG);
	vcpu_set_rip(g->vcpu, guest_address(g, fault_pf_fetch));
	run_to(g, KVM_EXIT_IO);
	check_equal(guest_report(g)->vector, VECTOR_PF);
	check_equal(guest_report(g)->cr2, 0x200005000);
	check_equal(guest_report(g)->rip, 0x200005000);
}

/* Bits of the page fault's error code in each case, with pages of 4 KiB set up here. */
GUEST(protection_code, 64,
	"	mov	%cr0, %rax\n"
	"	or	$0x10000, %eax\n"
	"	mov	%rax, %cr0\n"
	"prot_write:	movb	$1, 0x300000\n"
	"	hlt\n");
LABEL(prot_write);

static void protection_fault(void)
{
	struct guest *g = guest_new(LONG, protection_code);
	uint64_t *table = (uint64_t *)(g->memory + GUEST_FREE);

	guest_map_4k(g, GUEST_FREE, 0x200000);
	table[0x100] &= ~PTE_W;
	take_report(g, VECTOR_PF, 3, guest_address(g, prot_write));
	check_equal(guest_report(g)->cr2, 0x300000);
	/* Repaired by the process, the instruction succeeds when the handler returns. */
	table[0x100] |= PTE_W;
	run_to(g, KVM_EXIT_HLT);
	check_equal(g->memory[0x300000], 1);
	check_equal(table[0x100] & 0x60, 0x60);		/* accessed, dirty */
}

/*
 * The software interrupt first makes TSS, tables and stack known to nested paging: TCG forgets
 * what it was delivering when the delivery makes a nested page fault, or when the exception came
 * from the hypervisor, as every page fault does without nested paging.
 */
GUEST(double_code, 64,
	"	int	$0x80\n"
	"	movabs	0x200000000, %al\n"
	"	hlt\n");

static void double_fault(void)
{
	struct guest *g = guest_new(LONG, double_code);
	uint64_t *idt = (uint64_t *)(g->memory + GUEST_IDT);

	if (host_is_tcg() && !nested_paging())
		skip("the emulated processor forgets what it delivers");
	run_to_exception(g, 0x80, 0);
	idt[VECTOR_PF * 2] = 0;		/* no gate: #GP while #PF is delivered */
	run_to_exception(g, VECTOR_DF, 0);
	check_equal(guest_report(g)->count, 2);
	idt[VECTOR_DF * 2] = 0;
	vcpu_set_mode(g->vcpu, LONG);
	run_to_exception(g, 0x80, 0);
	run_to(g, KVM_EXIT_SHUTDOWN);
}

static void double_fault_by_stack(void)
{
	struct guest *g = guest_new(LONG, double_code);
	struct kvm_regs regs;

	/* #PF when the frame of #PF is pushed, then again for #DF: shutdown. */
	run_to_exception(g, 0x80, 0);
	guest_complete(g);
	regs = vcpu_regs(g->vcpu);
	regs.rip = GUEST_CODE + 2;
	regs.rsp = 0x300000000;
	vcpu_set_regs(g->vcpu, &regs);
	run_to(g, KVM_EXIT_SHUTDOWN);
}

/* The #PF of pushing the frame has a stack of its own: the guest gets that, not the interrupt again. */
static void interrupt_by_a_bad_stack(void)
{
	struct guest *g = guest_new(LONG, spin_code);
	uint64_t *idt = (uint64_t *)(g->memory + GUEST_IDT), stack = GUEST_STACK - 0x800;
	struct kvm_regs regs;

	idt[VECTOR_PF * 2] |= 1ull << 32;
	memcpy(g->memory + GUEST_TSS + 0x24, &stack, 8);
	open_window(g);
	regs = vcpu_regs(g->vcpu);
	regs.rsp = 0x300000000;
	vcpu_set_regs(g->vcpu, &regs);
	interrupt(g, 0x44);
	run_to_exception(g, VECTOR_PF, 2);
	check_equal(guest_report(g)->cr2, 0x300000000 - 8);
	check_equal(guest_report(g)->rip, regs.rip);
}

static void interrupt_without_gate(void)
{
	struct guest *g = guest_new(LONG, spin_code);
	uint64_t *idt = (uint64_t *)(g->memory + GUEST_IDT);

	idt[0x44 * 2] = 0;
	open_window(g);
	interrupt(g, 0x44);
	/* The error code names the gate: index, IDT, external. */
	run_to(g, KVM_EXIT_IO);
	check_equal(guest_report(g)->vector, VECTOR_GP);
	if (!host_is_tcg())		/* which computes another index in long mode */
		check_equal(guest_report(g)->error & ~1ull, 0x44 * 8 | 2);
}

GUEST(task_priority_code, 64,
	"	mov	%cr8, %rax\n"
	"	out	%al, $0x10\n"
	"	mov	$9, %eax\n"
	"	mov	%rax, %cr8\n"
	"	out	%al, $0x11\n"
	"	mov	$3, %eax\n"
	"	mov	%rax, %cr8\n"
	"	mov	%cr8, %rax\n"
	"	out	%al, $0x12\n"
	"	mov	$0x10, %eax\n"
	"	mov	%rax, %cr8\n"
	"	hlt\n");

static void task_priority(void)
{
	struct guest *g = guest_new(LONG, task_priority_code);

	g->run->cr8 = 5;
	check_equal(run_to_out(g, 0x10), 5);
	check_equal(g->run->cr8, 5);
	/* Raised: nobody needs to know at once. Lowered: userspace may have something waiting. */
	run_to_out(g, 0x11);
	check_equal(g->run->cr8, 9);
	check_equal(vcpu_sregs(g->vcpu).cr8, 9);
	run_to(g, KVM_EXIT_SET_TPR);
	check_equal(g->run->cr8, 3);
	check_equal(run_to_out(g, 0x12), 3);
	run_to_exception(g, VECTOR_GP, 0);
}

GUEST(trap_code, 64,
	"	pushf\n"
	"	orl	$0x100, (%rsp)\n"
	"	popf\n"
	"	nop\n"
	"trap_first:	nop\n"
	"trap_second:	hlt\n");
LABEL(trap_first); LABEL(trap_second);

static void trap_flag(void)
{
	struct guest *g = guest_new(LONG, trap_code);

	take_report(g, VECTOR_DB, 0, guest_address(g, trap_first));
	take_report(g, VECTOR_DB, 0, guest_address(g, trap_second));
	run_to(g, KVM_EXIT_HLT);
}

/*
 * The path to the handler is not in the nested page tables: IDT, GDT, TSS and stack are dropped
 * from the process's page tables (the shared memory keeps its contents) before every event, which
 * must arrive once, with the right frame.
 */
static void drop_memory(struct guest *g)
{
	must(madvise(g->memory, GUEST_MEMORY, MADV_DONTNEED));
}

static void redelivered_interrupts(void)
{
	struct guest *g = guest_new(LONG, spin_code);

	for (int i = 1; i <= 100; i++) {
		open_window(g);
		interrupt(g, 0x70);
		drop_memory(g);
		take_report(g, 0x70, 0, GUEST_CODE + 1);
		check_equal(guest_report(g)->count, i);
		check_equal(guest_report(g)->rsp, GUEST_STACK);
	}
}

static void redelivered_nmis(void)
{
	struct guest *g = guest_new(LONG, nmi_code);

	for (int i = 1; i <= 100; i++) {
		must(ioctl(g->vcpu, KVM_NMI, 0));
		drop_memory(g);
		run_to_exception(g, VECTOR_NMI, 0);
		check_equal(guest_report(g)->count, i);
		check_equal(guest_report(g)->rsp, GUEST_STACK);
	}
}

static void redelivered_injections(void)
{
	struct guest *g = guest_new(LONG, nmi_code);

	for (int i = 1; i <= 100; i++) {
		vcpu_set_mode(g->vcpu, LONG);
		inject(g, VECTOR_GP, 8 * i);
		drop_memory(g);
		take_report(g, VECTOR_GP, 8 * i, GUEST_CODE);
		check_equal(guest_report(g)->count, i);
	}
}

GUEST(software_code, 64,
	"1:	hlt\n"
	"	int	$0x80\n"
	"software_next:	hlt\n"
	"	ud2\n"
	"	hlt\n");
LABEL(software_next);

static void redelivered_software_interrupts(void)
{
	struct guest *g = guest_new(LONG, software_code);

	/* The gate, the TSS and the frame each on a page that is not there. */
	for (int i = 1; i <= 50; i++) {
		vcpu_set_mode(g->vcpu, LONG);
		run_to(g, KVM_EXIT_HLT);
		drop_memory(g);
		take_report(g, 0x80, 0, guest_address(g, software_next));
		check_equal(guest_report(g)->count, 2 * i - 1);
		run_to(g, KVM_EXIT_HLT);
		drop_memory(g);
		take_report(g, VECTOR_UD, 0, guest_address(g, software_next) + 1);
		check_equal(guest_report(g)->count, 2 * i);
		check_equal(guest_report(g)->rsp, GUEST_STACK);
	}
}

/* An interrupt whose delivery userspace sees and moves to another vcpu state: not lost. */
static void interrupt_saved(void)
{
	struct guest *g = guest_new(LONG, spin_code);
	struct kvm_vcpu_events events;

	open_window(g);
	interrupt(g, 0x33);
	must(ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &events));
	check_equal(events.interrupt.injected, 1);
	check_equal(events.interrupt.nr, 0x33);
	guest_complete(g);
	must(ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &events));
	check_equal(events.interrupt.injected, 1);
	check_equal(guest_report(g)->count, 0);
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events));
	run_to_exception(g, 0x33, 0);
	check_equal(guest_report(g)->count, 1);
}

GUEST(unfit_code, 64,
	"	nop\n"
	"	out	%eax, $0x10\n"
	"	sti\n"
	"	nop\n"
	"unfit_window:	out	%eax, $0x11\n"
	"unfit_fault:	ud2\n");
extern const uint8_t unfit_window[], unfit_fault[];

/*
 * A descriptor table in FS, by no way that a guest has. VMX refuses the entry; without unrestricted
 * guests the kernel is to emulate such states, and their events with them.
 */
static void events_of_unfit_states(void)
{
	struct guest *g = guest_new(LONG, unfit_code);
	struct kvm_sregs sregs = vcpu_sregs(g->vcpu);

	sregs.fs.s = 0;
	sregs.fs.type = 2;
	sregs.fs.present = 1;
	sregs.fs.unusable = 0;
	must(ioctl(g->vcpu, KVM_SET_SREGS, &sregs));
	must(ioctl(g->vcpu, KVM_NMI, 0));
	must(ioctl(g->vcpu, KVM_RUN, 0));
	if (g->run->exit_reason == KVM_EXIT_FAIL_ENTRY)
		skip("the processor refuses the state");
	check_equal(g->run->exit_reason, KVM_EXIT_IO);
	check_equal(guest_report(g)->vector, VECTOR_NMI);
	run_to_out(g, 0x10);
	open_window(g);
	interrupt(g, 0x40);
	take_report(g, 0x40, 0, guest_address(g, unfit_window));
	run_to_out(g, 0x11);
	take_report(g, VECTOR_UD, 0, guest_address(g, unfit_fault));
	check_equal(guest_report(g)->count, 3);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "KVM_INTERRUPT in real mode", interrupt_real_mode },
		{ "KVM_INTERRUPT in long mode, every vector", interrupt_long_mode },
		{ "KVM_INTERRUPT with bad arguments", interrupt_bad_arguments },
		{ "the window opens after the shadow of STI", window_after_sti },
		{ "a shadow set by userspace", shadow_from_userspace },
		{ "interrupts are neither lost nor doubled", interrupts_counted },
		{ "interrupts behind windows are neither lost nor doubled", interrupts_windowed },
		{ "NMI, and one more while it is handled", nmi },
		{ "NMIs unblocked by any IRET", nmi_unblocked_by_any_iret },
		{ "NMI and interrupt together", nmi_and_interrupt_together },
		{ "NMIs masked by userspace", nmi_masked_by_userspace },
		{ "an NMI waits for one instruction", nmi_after_one_instruction },
		{ "an NMI waits where the guest steps itself", nmi_and_own_steps },
		{ "exceptions injected by userspace", injected_exceptions },
		{ "exceptions of the guest's own", own_exceptions },
		{ "page fault by protection, repaired", protection_fault },
		{ "double and triple fault", double_fault },
		{ "triple fault by a bad stack", double_fault_by_stack },
		{ "an interrupt whose frame cannot be pushed", interrupt_by_a_bad_stack },
		{ "interrupt without a gate", interrupt_without_gate },
		{ "CR8 and KVM_EXIT_SET_TPR", task_priority },
		{ "the guest's trap flag", trap_flag },
		{ "interrupts with nothing mapped", redelivered_interrupts },
		{ "NMIs with nothing mapped", redelivered_nmis },
		{ "injected exceptions with nothing mapped", redelivered_injections },
		{ "software interrupts and faults with nothing mapped",
		  redelivered_software_interrupts },
		{ "an interrupt saved and restored", interrupt_saved },
		{ "events of states that no processor enters", events_of_unfit_states },
	};

	return RUN_CASES("events", cases);
}
