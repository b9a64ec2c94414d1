/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world switch: SDM 3, chapters 27 (VM entries) and 28 (VM exits).
 *
 * The processor itself switches control and segment registers, RIP, RSP and RFLAGS. Left to this
 * code are the other general registers and the speculation controls. Interrupts are off; an NMI
 * between two instructions here finds the host's stack and segments in place.
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/segment.h>
#include <asm/unwind_hints.h>

#include "entry_args.h"

/* Byte offset of a general register in the array, by its number in ModRM. */
#define GPR(n)	((n) * 8)

#define HOST_RSP_FIELD	0x6c14

	.section .noinstr.text, "ax"

/*
 * int vmx_world_switch(struct vmx_entry *entry)
 *
 * 0 after an exit. 1 when VMLAUNCH or VMRESUME failed, so that there was neither entry nor exit.
 */
SYM_FUNC_START(vmx_world_switch)
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi

	/* Where the exit finds its stack; nearly always as the last time. */
	cmp	%rsp, VMX_ENTRY_HOST_RSP(%rdi)
	je	1f
	mov	%rsp, VMX_ENTRY_HOST_RSP(%rdi)
	mov	$HOST_RSP_FIELD, %eax
	vmwrite	%rsp, %rax
1:
	/* Guest's speculation control, if it differs. Both are 0 where the MSR is not ours to set. */
	mov	VMX_ENTRY_GUEST_SPEC(%rdi), %eax
	cmp	VMX_ENTRY_HOST_SPEC(%rdi), %eax
	je	2f
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	xor	%edx, %edx
	wrmsr
2:
	/* Kept in CF, which neither the loads below nor VERW change. */
	movzbl	VMX_ENTRY_LAUNCHED(%rdi), %eax
	bt	$0, %eax

	mov	VMX_ENTRY_REGS(%rdi), %rax
	mov	GPR(1)(%rax), %rcx
	mov	GPR(2)(%rax), %rdx
	mov	GPR(3)(%rax), %rbx
	mov	GPR(5)(%rax), %rbp
	mov	GPR(6)(%rax), %rsi
	mov	GPR(7)(%rax), %rdi
	mov	GPR(8)(%rax), %r8
	mov	GPR(9)(%rax), %r9
	mov	GPR(10)(%rax), %r10
	mov	GPR(11)(%rax), %r11
	mov	GPR(12)(%rax), %r12
	mov	GPR(13)(%rax), %r13
	mov	GPR(14)(%rax), %r14
	mov	GPR(15)(%rax), %r15
	mov	GPR(0)(%rax), %rax

	/* Buffers the guest could sample (MDS, TAA, RFDS); changes ZF only. */
	CLEAR_CPU_BUFFERS

	UNWIND_HINT_SAVE
	jnc	.Llaunch
3:	vmresume
	jmp	.Lfailed
.Llaunch:
4:	vmlaunch
	jmp	.Lfailed

/* HOST_RIP: the processor comes here from the guest, with RSP as it was at the entry. */
SYM_INNER_LABEL_ALIGN(vmx_exit_landing, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ANNOTATE_NOENDBR
	push	%rax
	mov	8(%rsp), %rax
	mov	VMX_ENTRY_REGS(%rax), %rax
	pop	GPR(0)(%rax)
	mov	%rcx, GPR(1)(%rax)
	mov	%rdx, GPR(2)(%rax)
	mov	%rbx, GPR(3)(%rax)
	mov	%rbp, GPR(5)(%rax)
	mov	%rsi, GPR(6)(%rax)
	mov	%rdi, GPR(7)(%rax)
	mov	%r8, GPR(8)(%rax)
	mov	%r9, GPR(9)(%rax)
	mov	%r10, GPR(10)(%rax)
	mov	%r11, GPR(11)(%rax)
	mov	%r12, GPR(12)(%rax)
	mov	%r13, GPR(13)(%rax)
	mov	%r14, GPR(14)(%rax)
	mov	%r15, GPR(15)(%rax)
	xor	%ebx, %ebx

.Lback:
	pop	%rdi

	/* The guest's return predictions must not steer the host. */
	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT,\
			   X86_FEATURE_RSB_VMEXIT_LITE

	/* Before any return: the host's speculation control, after noting a value the guest wrote. */
	cmpb	$0, VMX_ENTRY_SPEC_OPEN(%rdi)
	je	5f
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	rdmsr
	mov	%eax, VMX_ENTRY_GUEST_SPEC(%rdi)
5:	mov	VMX_ENTRY_HOST_SPEC(%rdi), %eax
	cmp	VMX_ENTRY_GUEST_SPEC(%rdi), %eax
	je	6f
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	xor	%edx, %edx
	wrmsr
	/* The compare may be mispredicted by a guest's training: nothing below runs ahead of it. */
6:	lfence

	UNTRAIN_RET_VM
	CLEAR_BRANCH_HISTORY_VMEXIT

	/* No value of the guest's is left for speculation to use. rbp, r12 to r15 are reloaded. */
	mov	%ebx, %eax
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d

	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	RET

	/* The structure was refused, or (#UD) VMX is off: the machine reboots. */
.Lfailed:
	mov	$1, %ebx
	jmp	.Lback

	_ASM_EXTABLE(3b, .Lfailed)
	_ASM_EXTABLE(4b, .Lfailed)
SYM_FUNC_END(vmx_world_switch)

/*
 * void vmx_call_gate(unsigned long handler)
 *
 * Enter a handler of the host's interrupt table as if its event had happened here: the frame the
 * processor would have made, from which the handler returns with IRET.
 */
SYM_FUNC_START(vmx_call_gate)
	push	%rbp
	mov	%rsp, %rbp
	and	$~0xf, %rsp
	push	$__KERNEL_DS
	push	%rbp
	pushf
	push	$__KERNEL_CS
	CALL_NOSPEC rdi
	/* Where IRET has put it already. */
	mov	%rbp, %rsp
	pop	%rbp
	RET
SYM_FUNC_END(vmx_call_gate)
