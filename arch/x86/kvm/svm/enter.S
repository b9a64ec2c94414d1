/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world switch: AMD64 APM volume 2, sections 15.5 (VMRUN) and 15.6 (#VMEXIT).
 *
 * VMRUN itself saves and loads what the two worlds cannot share for an instant: control registers,
 * RIP, RSP, RAX, RFLAGS, the segment registers other than FS and GS, GDTR and IDTR. VMLOAD and
 * VMSAVE move the rest of the segment state and the system call MSRs. Left to this code are the
 * other general registers and the speculation controls.
 *
 * GIF is clear from before the first guest value is loaded until the last host value is back, so
 * that neither an interrupt nor an NMI can come in between; physical interrupts that arrive in the
 * guest end it, because IF is set at VMRUN (15.21.1).
 */
#include <linux/linkage.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>

#include "entry_args.h"

/* Byte offset of a general register in the array, by its number in ModRM. */
#define GPR(n)	((n) * 8)

	.section .noinstr.text, "ax"

/*
 * void svm_world_switch(struct svm_entry *entry)
 *
 * Interrupts off. Sets entry->failed when virtualization turned out to be disabled.
 */
SYM_FUNC_START(svm_world_switch)
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi

1:	clgi
	/* Well before VMRUN: in the shadow of STI it would hand the shadow to the guest. */
	sti

	/* Guest's speculation control, if it differs. Both are 0 where the MSR is not ours to set. */
	mov	SVM_ENTRY_GUEST_SPEC(%rdi), %eax
	cmp	SVM_ENTRY_HOST_SPEC(%rdi), %eax
	je	2f
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	xor	%edx, %edx
	wrmsr
2:
	mov	SVM_ENTRY_VMCB_PA(%rdi), %rax
3:	vmload	%rax

	/*
	 * QEMU's emulation does not load the interrupt shadow of the VMCB, so that a guest that was
	 * disturbed between its STI and HLT would sleep through the interrupt it waits for. There the
	 * shadow of an STI of ours stands in. CF keeps the answer: neither MOV nor VERW changes it.
	 */
	ALTERNATIVE "jmp .Lloads_shadow", "", X86_FEATURE_HYPERVISOR
	mov	SVM_ENTRY_INT_STATE(%rdi), %rsi
	btl	$SVM_ENTRY_SHADOW_BIT, (%rsi)
.Lloads_shadow:
	mov	SVM_ENTRY_REGS(%rdi), %rsi
	mov	GPR(1)(%rsi), %rcx
	mov	GPR(2)(%rsi), %rdx
	mov	GPR(3)(%rsi), %rbx
	mov	GPR(5)(%rsi), %rbp
	mov	GPR(7)(%rsi), %rdi
	mov	GPR(8)(%rsi), %r8
	mov	GPR(9)(%rsi), %r9
	mov	GPR(10)(%rsi), %r10
	mov	GPR(11)(%rsi), %r11
	mov	GPR(12)(%rsi), %r12
	mov	GPR(13)(%rsi), %r13
	mov	GPR(14)(%rsi), %r14
	mov	GPR(15)(%rsi), %r15
	mov	GPR(6)(%rsi), %rsi

	/* Buffers the guest could sample (TSA); changes flags only. */
	VM_CLEAR_CPU_BUFFERS

	ALTERNATIVE "", "jc .Lin_shadow", X86_FEATURE_HYPERVISOR
4:	vmrun	%rax
.Lexited:
	cli
5:	vmsave	%rax

	pop	%rax
	push	%rax
	mov	SVM_ENTRY_REGS(%rax), %rax
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

	pop	%rdi
	mov	SVM_ENTRY_HOST_PA(%rdi), %rax
6:	vmload	%rax

	/* The guest's return predictions must not steer the host. */
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT

	/* Before any return: the host's speculation control, after noting a value the guest wrote. */
	cmpb	$0, SVM_ENTRY_SPEC_OPEN(%rdi)
	je	7f
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	rdmsr
	mov	%eax, SVM_ENTRY_GUEST_SPEC(%rdi)
7:	mov	SVM_ENTRY_HOST_SPEC(%rdi), %eax
	cmp	SVM_ENTRY_GUEST_SPEC(%rdi), %eax
	je	8f
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	xor	%edx, %edx
	wrmsr
	/* The compare may be mispredicted by a guest's training: nothing below runs ahead of it. */
8:	lfence

	UNTRAIN_RET_VM

	/* No value of the guest's is left for speculation to use. rbx, rbp, r12 to r15 are reloaded. */
	xor	%eax, %eax
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d

9:	stgi
.Lout:
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	RET

.Lin_shadow:
	/* IF is set already: without an emulator's kindness this STI has no effect at all. */
	sti
10:	vmrun	%rax
	jmp	.Lexited

	/*
	 * #UD: EFER.SVME went away under us (an emergency reboot, a lying firmware). At VMRUN the
	 * guest's registers are loaded but its segments' hidden state is as VMLOAD left it, so that
	 * the host's comes back from its own page as far as the instruction still exists.
	 */
.Lno_clgi:
	pop	%rdi
	movb	$1, SVM_ENTRY_FAILED(%rdi)
	jmp	.Lout

.Lno_vmrun:
	cli
	mov	(%rsp), %rdi
	movb	$1, SVM_ENTRY_FAILED(%rdi)
	pop	%rdi
	mov	SVM_ENTRY_HOST_PA(%rdi), %rax
	jmp	6b

	_ASM_EXTABLE(1b, .Lno_clgi)
	_ASM_EXTABLE(3b, .Lno_vmrun)
	_ASM_EXTABLE(4b, .Lno_vmrun)
	_ASM_EXTABLE(10b, .Lno_vmrun)
	_ASM_EXTABLE(5b, .Lno_vmrun)
	_ASM_EXTABLE(6b, 8b)
	_ASM_EXTABLE(9b, .Lout)
SYM_FUNC_END(svm_world_switch)
