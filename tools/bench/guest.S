/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's half of most measurements: loops of a few real-mode instructions, copied with those
 * of paging_guest.S as one image to GUEST_CODE. Owns the code the guest executes; register values,
 * the stack and the interrupt vectors are set up by vm.c. Each loop counts down EDI and then falls
 * to guest_done, which reports through an OUT to END_PORT. Segments have a 4 GiB limit ("unreal"
 * mode, AMD APM volume 2, section 4.7), so that a 32-bit address reaches MMIO and all of memory.
 */
#include "layout.h"

	.section guest_image, "a"
	.code16

	.macro	program name
	.globl	\name
\name:
	.endm

/* EBP: the leaf */
program guest_cpuid
1:	movl	%ebp, %eax
	cpuid
	decl	%edi
	jnz	1b
	jmp	guest_done

/* EBP: the number of the hypercall; the answer comes back in EAX */
program guest_vmmcall
1:	movl	%ebp, %eax
	vmmcall
	decl	%edi
	jnz	1b
	jmp	guest_done

program guest_vmcall
1:	movl	%ebp, %eax
	vmcall
	decl	%edi
	jnz	1b
	jmp	guest_done

/* ECX: the MSR */
program guest_rdmsr
1:	rdmsr
	decl	%edi
	jnz	1b
	jmp	guest_done

/* ECX: the MSR, EDX:EAX: the value */
program guest_wrmsr
1:	wrmsr
	decl	%edi
	jnz	1b
	jmp	guest_done

/* DX: the port */
program guest_out
1:	outw	%ax, (%dx)
	decl	%edi
	jnz	1b
	jmp	guest_done

program guest_in
1:	inw	(%dx), %ax
	decl	%edi
	jnz	1b
	jmp	guest_done

/* ESI: the address */
program guest_mmio_write
1:	movl	%eax, (%esi)
	decl	%edi
	jnz	1b
	jmp	guest_done

program guest_mmio_read
1:	movl	(%esi), %eax
	decl	%edi
	jnz	1b
	jmp	guest_done

program guest_hlt
1:	hlt
	decl	%edi
	jnz	1b
	jmp	guest_done

/* ESI: the first address, EBX: the distance to the next */
program guest_touch_read
1:	movb	(%esi), %al
	addl	%ebx, %esi
	decl	%edi
	jnz	1b
	jmp	guest_done

program guest_touch_write
1:	movb	%al, (%esi)
	addl	%ebx, %esi
	decl	%edi
	jnz	1b
	jmp	guest_done

/* ESI: the APIC's ICR, EAX: what to write there, EBX: the APIC's EOI, EBP: interrupts taken */
program guest_self_ipi
1:	movl	%eax, (%esi)
	sti
	nop
	cli
	decl	%edi
	jnz	1b
	jmp	guest_done

/* ECX: IA32_TSC_DEADLINE, EBX: the APIC's EOI, EBP: interrupts taken */
program guest_deadline
1:	rdtsc
	wrmsr
	sti
	nop
	cli
	decl	%edi
	jnz	1b
	jmp	guest_done

/* DX: the port that ends a pass; EBX: the APIC's EOI, EBP: interrupts taken */
program guest_take
1:	sti
	nop
	cli
	outw	%ax, (%dx)
	decl	%edi
	jnz	1b
	jmp	guest_done

/* The same, asleep until the interrupt comes */
program guest_wait
1:	sti
	hlt
	cli
	outw	%ax, (%dx)
	decl	%edi
	jnz	1b
	jmp	guest_done

/* ESI: the APIC's ICR, EAX: what to write there; EBX and EBP as above. One vcpu begins ... */
program guest_ping
1:	movl	%eax, (%esi)
	sti
	hlt
	cli
	decl	%edi
	jnz	1b
	jmp	guest_done

/* ... and another answers. */
program guest_pong
1:	sti
	hlt
	cli
	movl	%eax, (%esi)
	decl	%edi
	jnz	1b
	jmp	guest_done

program guest_interrupt
	incl	%ebp
	movl	%eax, (%ebx)
	iretw

program guest_done
1:	outb	%al, $END_PORT
	jmp	1b

	.section .note.GNU-stack, "", @progbits
