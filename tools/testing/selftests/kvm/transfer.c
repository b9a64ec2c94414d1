// SPDX-License-Identifier: GPL-2.0
/*
 * Transfers of control and segment loads in the emulator, compared with the processor. Then what has no
 * counterpart: faults that QEMU's processor has not, single steps and breakpoints of emulated
 * instructions, and instructions beyond the emulator. comparison.h
 */
#include "comparison.h"

COMPARE(ints, LONG, 64,
	"	mov	$0x9ff5, %esp\n	stc\n	sti\n"
	"	P\n	int	$0x80\n"
	"	P\n	int3\n" END);
COMPARE(user_ints, LONG, 64, USER
	"	P\n	int	$0x80\n"
	"	P\n	int3\n" USER_END);
COMPARE(int_interrupt_stack, LONG, 64,
	"	movb	$1, 0x7804\n	movq	$0x9800, 0x6024\n"
	"	P\n	int	$0x80\n" END);
COMPARE(iret_user, LONG, 64,
	"	pushq	$0x4b\n	pushq	$0xa000\n	pushq	$0x40ed7\n	pushq	$0x43\n"
	"	lea	1f(%rip), %rax\n	push	%rax\n"
	"	P\n	iretq\n"
	"1:	pushf\n	pop	%rbx\n" USER_END);
COMPARE(iret_user32, LONG, 64,
	"	pushq	$0x4b\n	pushq	$0xa000\n	pushq	$2\n	pushq	$0x53\n"
	"	lea	1f(%rip), %rax\n	push	%rax\n"
	"	P\n	iretq\n"
	"	.code32\n1:	mov	%cs, %ebx\n	push	%ebx\n	int	$0x81\n	.code64\n");
COMPARE(iret_same, LONG, 64,
	"	pushq	$0x10\n	pushq	$0x9f00\n	pushq	$0x3246\n	pushq	$8\n"
	"	lea	1f(%rip), %rax\n	push	%rax\n"
	"	P\n	iretq\n"
	"1:	pushf\n	pop	%rbx\n" END);
COMPARE(iret_null_stack, LONG, 64,
	"	pushq	$0\n	pushq	$0x9f00\n	pushq	$2\n	pushq	$8\n"
	"	lea	1f(%rip), %rax\n	push	%rax\n"
	"	P\n	iretq\n"
	"1:	mov	%ss, %ebx\n" END);
COMPARE(iret_bad_cs, LONG, 64,
	"	pushq	$0x10\n	pushq	$0x9f00\n	pushq	$2\n	pushq	$0x10\n	pushq	$0x1000\n"
	"	P\n	iretq\n" END);
COMPARE(iret_bad_stack, LONG, 64,
	"	pushq	$0x10\n	pushq	$0x9f00\n	pushq	$2\n	pushq	$0x43\n	pushq	$0x1000\n"
	"	P\n	iretq\n" END);
COMPARE(iret_inner, LONG, 64, USER
	"	pushq	$0x10\n	pushq	$0x9f00\n	pushq	$2\n	pushq	$8\n	pushq	$0x1000\n"
	"	P\n	iretq\n" USER_END);
COMPARE(iret_nested, LONG, 64,
	"	pushf\n	orl	$0x4000, (%rsp)\n	popf\n	P\n	iretq\n" END);
COMPARE(far_calls, LONG, 64,
	"	movl	$0x4000, 0x9000\n	movl	$8, 0x9004\n"
	"	P\n	lcall	*0x9000\n"
	"	movw	$0x68, 0x9004\n"
	"	P\n	lcall	*0x9000\n"
	"	pushq	$8\n	lea	1f(%rip), %rax\n	push	%rax\n"
	"	P\n	lretq\n"
	"1:\n" END);
COMPARE(far_absent, LONG, 64,
	"	movl	$0x4000, 0x9000\n	movl	$0x70, 0x9004\n"
	"	P\n	ljmp	*0x9000\n" END);
COMPARE(far_to_32_and_back, LONG, 64,
	"	lea	1f(%rip), %eax\n	mov	%eax, 0x9000\n	movl	$0x18, 0x9004\n"
	"	lea	2f(%rip), %eax\n	mov	%eax, 0x9010\n	movl	$8, 0x9014\n"
	"	P\n	ljmp	*0x9000\n"
	"	.code32\n1:	mov	$0x12345678, %ebx\n"
	"	P\n	push	%ebx\n"
	"	P\n	ljmp	*0x9010\n"
	"	.code64\n2:\n" END);
COMPARE(gate_call, LONG, 64, USER
	"	movl	$0x58, 0x9004\n	xor	%r10, %r10\n"
	"	P\n	lcall	*0x9000\n" USER_END);
COMPARE(gate_return, LONG, 64, USER
	"	movl	$0x58, 0x9004\n"
	"	lcall	*0x9000\n" USER_END);
COMPARE(ret_outer, LONG, 64,
	"	mov	$0x68, %eax\n	mov	%eax, %ds\n	mov	$0x10, %eax\n	mov	%eax, %es\n"
	"	pushq	$0x4b\n	pushq	$0xa000\n	pushq	$0x1111\n	pushq	$0x43\n"
	"	lea	1f(%rip), %rax\n	push	%rax\n"
	"	P\n	lretq	$8\n"
	"1:	mov	%ds, %ebx\n	mov	%es, %ecx\n" USER_END);
COMPARE(queries, LONG, 64,
	"	mov	$0x9200, %edi\n	xor	%ebx, %ebx\n"
	"1:	mov	$0x5555, %eax\n"
	"	P\n	lar	%ebx, %eax\n	stosl\n	pushf\n	pop	%rax\n	stosb\n"
	"	mov	$0x5555, %eax\n"
	"	P\n	lsl	%ebx, %eax\n	stosl\n	pushf\n	pop	%rax\n	stosb\n"
	"	P\n	verr	%bx\n	pushf\n	pop	%rax\n	stosb\n"
	"	P\n	verw	%bx\n	pushf\n	pop	%rax\n	stosb\n"
	"	inc	%ebx\n	cmp	$0x90, %ebx\n	jne	1b\n" END);
COMPARE(segment_loads, LONG, 64,
	"	mov	$0x4b, %eax\n"
	"	P\n	mov	%eax, %ds\n"
	"	P\n	mov	%eax, %fs\n"
	"	mov	$0x10, %eax\n"
	"	P\n	mov	%eax, %ss\n"
	"	xor	%eax, %eax\n"
	"	P\n	mov	%eax, %ss\n"
	"	P\n	mov	%eax, %gs\n"
	"	mov	$0x78, %eax\n"
	"	P\n	lldt	%ax\n"
	"	mov	$0x88, %eax\n"
	"	P\n	ltr	%ax\n"
	"	P\n	sldt	%ebx\n"
	"	P\n	str	%ecx\n" END);
COMPARE(load_absent, LONG, 64, "	mov	$0x70, %eax\n	P\n	mov	%eax, %es\n" END);
COMPARE(load_beyond, LONG, 64, "	mov	$0xf8, %eax\n	P\n	mov	%eax, %es\n" END);
COMPARE(load_busy_task, LONG, 64, "	mov	$0x30, %eax\n	P\n	ltr	%ax\n" END);
COMPARE(load_user_stack, LONG, 64, "	mov	$0x4b, %eax\n	P\n	mov	%eax, %ss\n" END);
COMPARE(system_call, LONG, 64,
	"	mov	$0xc0000081, %ecx\n	xor	%eax, %eax\n	mov	$0x00430008, %edx\n	wrmsr\n"
	"	inc	%ecx\n	lea	2f(%rip), %eax\n	xor	%edx, %edx\n	wrmsr\n"
	"	mov	$0xc0000084, %ecx\n	mov	$0x201, %eax\n	wrmsr\n" USER
	"	stc\n"
	"	P\n	syscall\n" USER_END
	"2:	mov	%cs, %ebx\n	mov	%ss, %esi\n	pushf\n	pop	%rdi\n" END);
COMPARE(system_return, LONG, 64,
	"	mov	$0xc0000081, %ecx\n	xor	%eax, %eax\n	mov	$0x00430008, %edx\n	wrmsr\n"
	"	lea	1f(%rip), %ecx\n	mov	$0x46, %r11d\n"
	"	mov	$0x9f00, %esp\n"
	"	P\n	sysretl\n"
	"	.code32\n1:	mov	%cs, %ebx\n	mov	%ss, %esi\n	int	$0x81\n	.code64\n");
COMPARE(sysenter_amd, LONG, 64, "	P\n	sysenter\n" END);
COMPARE(flags, LONG, 64,
	"	P\n	sti\n"
	"	P\n	pushf\n	pop	%rbx\n"
	"	P\n	cli\n"
	"	pushq	$0x244ed7\n"
	"	P\n	popfq\n"
	"	P\n	pushf\n	pop	%rcx\n	pushq	$2\n	popf\n" END);
COMPARE(user_cli, LONG, 64, USER "	P\n	cli\n" USER_END);
COMPARE(user_hlt, LONG, 64, USER "	P\n	hlt\n" USER_END);
COMPARE(user_port, LONG, 64,
	"	movw	$0x68, 0x6066\n" USER
	"	P\n	in	$0x20, %al\n" USER_END);
COMPARE(data_not_canonical, LONG, 64,
	"	mov	$1, %ebx\n	shl	$50, %rbx\n	P\n	mov	(%rbx), %eax\n" END);
#define ADDRESS16 \
	"	call	2f\n2:	pop	%ax\n	add	$1f - 2b, %ax\n	push	%ax\n"
COMPARE(real_ints, REAL, 16,
	"	movw	$0x3000, 0x200\n	movw	$0, 0x202\n"
	"	movb	$0xcf, 0x3000\n	sti\n	stc\n"
	"	P\n	int	$0x80\n"
	"	movw	$0x9050, 0x3000\n	movw	$0xf458, 0x3002\n"
	"	pushf\n	push	$0\n" ADDRESS16
	"	P\n	iretw\n"
	"1:	P\n	int	$0x80\n");
COMPARE(real_far, REAL, 16,
	"	movb	$0xcb, 0x3000\n"
	"	P\n	lcall	$0x100, $0x2000\n"
	"	mov	$0x123, %ax\n"
	"	P\n	mov	%ax, %es\n"
	"	P\n	push	%es\n"
	"	P\n	pop	%fs\n"
	"	push	$0\n" ADDRESS16
	"	P\n	lretw\n"
	"1:\n" END);
COMPARE(protected_far, PROTECTED, 32,
	"	movb	$0xcb, 0x4000\n	mov	$0x18, %eax\n"
	"	P\n	lcall	$0x18, $0x4000\n"
	"	mov	$0x10, %eax\n"
	"	P\n	mov	%eax, %ss\n"
	"	P\n	mov	%eax, %es\n"
	"	P\n	lar	%eax, %ebx\n"
	"	P\n	lsl	%eax, %ecx\n"
	"	mov	$0x13, %edx\n	mov	$0x20, %esi\n"
	"	P\n	arpl	%dx, %si\n"
	"	P\n	sgdt	0x9000\n" END);

/* ---- where QEMU's processor is not as the manuals have it ------------------------------------- */

#define FAULTS(name, text) \
	GUEST(name##_code, 64, text "	hlt\n"); \
	extern const uint8_t name##_insn[]

FAULTS(table_base, "	mov	$1, %eax\n	shl	$50, %rax\n	mov	%rax, 0x9002\n"
	FORCED "table_base_insn:	lgdt	0x9000\n");
FAULTS(stack_address, "	mov	$1, %ebp\n	shl	$50, %rbp\n"
	FORCED "stack_address_insn:	mov	(%rbp), %eax\n");
FAULTS(alignment, "	mov	%cr0, %rax\n	or	$0x40000, %eax\n	mov	%rax, %cr0\n" USER
	"	pushf\n	orl	$0x40000, (%rsp)\n	popf\n"
	FORCED "alignment_insn:	mov	%eax, 0x9001\n");

FAULTS(int_denied, USER FORCED "int_denied_insn:	int	$0x40\n");
FAULTS(int_no_gate, "	movq	$0, 0x7800\n" FORCED "int_no_gate_insn:	int	$0x80\n");

static void expect_fault(struct guest *g, unsigned int vector, uint64_t error, const uint8_t *insn)
{
	set_emulation_prefix("1");
	write_descriptors(g);
	run_to_exception(g, vector, error);
	check_equal(guest_report(g)->rip, guest_address(g, insn));
}

static void int_denied(void)
{
	expect_fault(guest_new(LONG, int_denied_code), VECTOR_GP, 0x202, int_denied_insn);
}

static void int_no_gate(void)
{
	expect_fault(guest_new(LONG, int_no_gate_code), VECTOR_GP, 0x402, int_no_gate_insn);
}

static void table_base(void)
{
	expect_fault(guest_new(LONG, table_base_code), VECTOR_GP, 0, table_base_insn);
}

static void stack_address(void)
{
	expect_fault(guest_new(LONG, stack_address_code), VECTOR_SS, 0, stack_address_insn);
}

static void alignment(void)
{
	expect_fault(guest_new(LONG, alignment_code), VECTOR_AC, 0, alignment_insn);
}

/* ---- debugging ------------------------------------------------------------------------------ */

#define FORCED_CASE(name, text) \
	GUEST(name##_code, 64, text "	hlt\n"); \
	extern const uint8_t name##_insn[], name##_next[]

#define DR6_STEP	(1u << 14)
#define CR4_DE		(1ull << 3)
#define DR7_ON		0x401u		/* DR0, on execution */
#define DR7_WRITE4	(DR7_ON | 0xdu << 16)
#define DR7_ACCESS4	(DR7_ON | 0xfu << 16)
#define DR7_PORT	(DR7_ON | 0x2u << 16)

static uint64_t dr6(struct guest *g)
{
	struct kvm_debugregs regs;

	must(ioctl(g->vcpu, KVM_GET_DEBUGREGS, &regs));
	return regs.dr6 & 0xe00f;
}

static void watch(struct guest *g, uint64_t address, uint64_t dr7)
{
	struct kvm_debugregs regs;

	must(ioctl(g->vcpu, KVM_GET_DEBUGREGS, &regs));
	regs.db[0] = address;
	regs.dr7 = dr7;
	must(ioctl(g->vcpu, KVM_SET_DEBUGREGS, &regs));
}

/* The next thing is a debug exception at a label, for the cause given. */
static void expect_debug(struct guest *g, const uint8_t *label, uint64_t cause)
{
	run_to_exception(g, VECTOR_DB, 0);
	check_equal(guest_report(g)->rip, guest_address(g, label));
	check_equal(dr6(g), cause);
}

#define SET_TF "	pushf\n	orl	$0x100, (%rsp)\n	popf\n"

FORCED_CASE(step, SET_TF FORCED "	mov	$5, %ebx\nstep_next:	nop\n");

static void single_step(void)
{
	struct guest *g = guest_new(LONG, step_code);

	set_emulation_prefix("1");
	expect_debug(g, step_next, DR6_STEP);
	check_equal(vcpu_regs(g->vcpu).rbx, 5);
}

FORCED_CASE(step_string,
	"	mov	$3, %ecx\n	mov	$0xa000, %edi\n" SET_TF
	FORCED "step_string_insn:	rep stosb\n");

static void single_step_string(void)
{
	struct guest *g = guest_new(LONG, step_string_code);

	set_emulation_prefix("1");
	expect_debug(g, step_string_insn, DR6_STEP);
	check_equal(vcpu_regs(g->vcpu).rcx, 2);
}

FORCED_CASE(step_stack,
	"	mov	%ss, %ecx\n" SET_TF
	FORCED "	mov	%ecx, %ss\n	mov	$5, %ebx\nstep_stack_next:	nop\n");

static void single_step_after_stack(void)
{
	struct guest *g = guest_new(LONG, step_stack_code);

	set_emulation_prefix("1");
	expect_debug(g, step_stack_next, DR6_STEP);
}

static void single_step_by_userspace(void)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};
	struct guest *g = guest_new(LONG, step_code);

	set_emulation_prefix("1");
	must(ioctl(g->vcpu, KVM_SET_GUEST_DEBUG, &debug));
	for (unsigned int i = 0; vcpu_regs(g->vcpu).rbx != 5; i++) {
		check(i < 10);
		run_to(g, KVM_EXIT_DEBUG);
	}
	check_equal(g->run->debug.arch.pc, guest_address(g, step_next));
	check_equal(g->run->debug.arch.dr6 & 0xe00f, DR6_STEP);
}

FORCED_CASE(data,
	FORCED "	mov	0xa008, %eax\n"
	FORCED "	mov	%al, 0xa00c\n"
	FORCED "	mov	%eax, 0xa00a\ndata_next:	mov	$1, %edx\n"
	FORCED "	mov	0xa00b, %al\ndata_insn:	nop\n");

static void data_breakpoints(void)
{
	struct guest *g = guest_new(LONG, data_code);

	set_emulation_prefix("1");
	watch(g, GUEST_DATA + 8, DR7_WRITE4);
	expect_debug(g, data_next, 1);
	watch(g, GUEST_DATA + 8, DR7_ACCESS4);
	expect_debug(g, data_insn, 1);
}

static void data_breakpoint_of_userspace(void)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
		.arch.debugreg = { [0] = GUEST_DATA + 8, [7] = DR7_WRITE4 },
	};
	struct guest *g = guest_new(LONG, data_code);

	set_emulation_prefix("1");
	must(ioctl(g->vcpu, KVM_SET_GUEST_DEBUG, &debug));
	run_to(g, KVM_EXIT_DEBUG);
	check_equal(g->run->debug.arch.pc, guest_address(g, data_next));
	check_equal(g->run->debug.arch.dr6 & 0xe00f, 1);
}

FORCED_CASE(code, FORCED "code_insn:	mov	$5, %ebx\n	out	%al, $0x10\n");

static void code_breakpoint(void)
{
	struct guest *g = guest_new(LONG, code_code);

	set_emulation_prefix("2");
	watch(g, guest_address(g, code_insn), DR7_ON);
	expect_debug(g, code_insn, 1);
	check_equal(vcpu_regs(g->vcpu).rbx, 0);
	watch(g, 0, 0x400);
	run_to_out(g, 0x10);
	check_equal(vcpu_regs(g->vcpu).rbx, 5);
}

FORCED_CASE(port,
	"	out	%al, $0x20\nport_insn:	nop\n"
	FORCED "	out	%al, $0x20\nport_next:	nop\n");

static void port_breakpoints(void)
{
	struct guest *g = guest_new(LONG, port_code);
	struct kvm_sregs sregs = vcpu_sregs(g->vcpu);

	set_emulation_prefix("1");
	sregs.cr4 |= CR4_DE;
	must(ioctl(g->vcpu, KVM_SET_SREGS, &sregs));
	watch(g, 0x20, DR7_PORT);
	run_to_out(g, 0x20);
	expect_debug(g, port_insn, 1);
	run_to_out(g, 0x20);
	expect_debug(g, port_next, 1);
}

/* ---- beyond the emulator ------------------------------------------------------------------- */

/* Of 3DNow!, which no processor of today has */
FORCED_CASE(failure, FORCED "failure_insn:	.byte 0x0f, 0x0f, 0xc1, 0x9e\nfailure_next:\n");

static void check_failure(struct guest *g)
{
	struct kvm_run *run = g->run;

	check_equal(run->emulation_failure.suberror, KVM_INTERNAL_ERROR_EMULATION);
	check(run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES);
	check(run->emulation_failure.ndata >= 3);
	check(run->emulation_failure.insn_size >= 4);
	check(!memcmp(run->emulation_failure.insn_bytes, failure_insn, 4));
	check_equal(vcpu_regs(g->vcpu).rip, guest_address(g, failure_insn));
}

static void failure(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = { 1 } };
	struct guest *g = guest_new(LONG, failure_code);

	set_emulation_prefix("1");
	run_to(g, KVM_EXIT_INTERNAL_ERROR);
	check_failure(g);

	g = guest_new(LONG, failure_code);
	must(ioctl(g->vm, KVM_ENABLE_CAP, &cap));
	run_to(g, KVM_EXIT_INTERNAL_ERROR);
	check_failure(g);
	vcpu_set_rip(g->vcpu, guest_address(g, failure_next));
	run_to(g, KVM_EXIT_HLT);
}

GUEST(user_failure_code, 64, USER FORCED
	"user_failure_insn:	.byte 0x0f, 0x0f, 0xc1, 0x9e\n" USER_END);
extern const uint8_t user_failure_insn[];

/* A user program of the guest's must not be able to stop the guest, unless userspace wants that. */
static void failure_of_user_code(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = { 1 } };
	struct guest *g = guest_new(LONG, user_failure_code);

	set_emulation_prefix("1");
	write_descriptors(g);
	run_to_exception(g, VECTOR_UD, 0);
	check_equal(guest_report(g)->rip, guest_address(g, user_failure_insn));

	g = guest_new(LONG, user_failure_code);
	write_descriptors(g);
	must(ioctl(g->vm, KVM_ENABLE_CAP, &cap));
	run_to(g, KVM_EXIT_INTERNAL_ERROR);
	check_equal(g->run->emulation_failure.suberror, KVM_INTERNAL_ERROR_EMULATION);
}

static void parameter_off(void)
{
	struct guest *g = guest_new(LONG, code_code);

	set_emulation_prefix("0");
	run_to_exception(g, VECTOR_UD, 0);
	check_equal(guest_report(g)->rip, GUEST_CODE);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "INT n, INT3, INT1", ints },
		{ "INT n and INT3 of user code", user_ints },
		{ "an interrupt stack", int_interrupt_stack },
		{ "IRET to user code", iret_user },
		{ "IRET to 32-bit user code", iret_user32 },
		{ "IRET within a level", iret_same },
		{ "IRET with a null stack", iret_null_stack },
		{ "IRET to a data segment", iret_bad_cs },
		{ "IRET with another level's stack", iret_bad_stack },
		{ "IRET to an inner level", iret_inner },
		{ "IRET of a task in long mode", iret_nested },
		{ "far CALL, RET", far_calls },
		{ "far JMP to an absent segment", far_absent },
		{ "far JMP to 32-bit code and back", far_to_32_and_back },
		{ "CALL through a gate", gate_call },
		{ "RET from a gate", gate_return },
		{ "RET to an outer level", ret_outer },
		{ "LAR, LSL, VERR, VERW", queries },
		{ "loads of segment registers", segment_loads },
		{ "a segment that is not present", load_absent },
		{ "a selector beyond the table", load_beyond },
		{ "LTR of a busy task", load_busy_task },
		{ "a stack of another level", load_user_stack },
		{ "SYSCALL", system_call },
		{ "SYSRET to 32-bit code", system_return },
		{ "SYSENTER in long mode", sysenter_amd },
		{ "STI, CLI, PUSHF, POPF", flags },
		{ "CLI of user code", user_cli },
		{ "HLT of user code", user_hlt },
		{ "a port denied", user_port },
		{ "a data address not canonical", data_not_canonical },
		{ "INT n and IRET in real mode", real_ints },
		{ "far transfers in real mode", real_far },
		{ "far transfers in protected mode", protected_far },
		{ "INT n that user code may not", int_denied },
		{ "INT n without a gate", int_no_gate },
		{ "LGDT, not canonical", table_base },
		{ "a stack address not canonical", stack_address },
		{ "an alignment check", alignment },
		{ "a single step", single_step },
		{ "a single step of a string instruction", single_step_string },
		{ "no single step behind MOV SS", single_step_after_stack },
		{ "a single step by userspace", single_step_by_userspace },
		{ "breakpoints on data", data_breakpoints },
		{ "userspace's breakpoint on data", data_breakpoint_of_userspace },
		{ "a breakpoint on an emulated instruction", code_breakpoint },
		{ "breakpoints on ports", port_breakpoints },
		{ "an instruction beyond the emulator", failure },
		{ "user code's instruction beyond the emulator", failure_of_user_code },
		{ "the prefix without the parameter", parameter_off },
	};
	int status = RUN_CASES("transfer", cases);

	write_text(EMULATION_PREFIX, "0");
	return status;
}
