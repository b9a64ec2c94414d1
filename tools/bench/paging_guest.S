/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's half of the rows about page tables: a kernel of a few pages in long mode that
 * switches between two processes, changes entries, and forks. What it does to its tables, and in
 * which order, is what an operating system does. Owns the code; paging.c builds the memory that
 * layout.h describes. R15 holds KERNEL_BASE, by which all physical memory can be reached, and R14
 * the address bits of an entry. Everything runs with the rights of the supervisor and CR0.WP set.
 */
#include "layout.h"

#define ENTRY_PRESENT	0x01
#define ENTRY_WRITE	0x02
#define ENTRY_ACCESSED	0x20
#define ENTRY_DIRTY	0x40
#define TABLE_BITS	0x07		/* present, writable, user */
#define WRITE_FAULT	0x03		/* error code: a supervisor's write, the page is there */

/* Where the entries for USER_BASE are in the tables of level 4, 3 and 2. */
#define USER_L4		0
#define USER_L3		0
#define USER_L2		(8 * (USER_BASE >> 21))

/* The number of pages that the last table maps, and what a child does. */
#define LAST_PAGES	(PROCESS_PAGES - 512)
#define READ_STEP	(5 * 4096)
#define READ_PAGES	(PROCESS_PAGES / 5)
#define WRITE_STEP	(10 * 4096)
#define WRITE_PAGES	(PROCESS_PAGES / 10)

	.section guest_image, "a"
	.code64

	.macro	program name
	.globl	\name
\name:
	.endm

	.macro	begin
	movabsq	$KERNEL_BASE, %r15
	movabsq	$0x000ffffffffff000, %r14
	.endm

/* From and to a stack of free frames: RAX. RCX is used. */
	.macro	take pool
	movq	\pool(%r15), %rcx
	decq	%rcx
	movq	%rcx, \pool(%r15)
	movq	\pool + 8(%r15, %rcx, 8), %rax
	.endm

	.macro	give pool
	movq	\pool(%r15), %rcx
	movq	%rax, \pool + 8(%r15, %rcx, 8)
	incq	%rcx
	movq	%rcx, \pool(%r15)
	.endm

/* How many processes map the frame of an entry; \reg becomes an offset to (R15). */
	.macro	counter reg
	andq	%r14, \reg
	shrq	$10, \reg
	.endm
#define COUNT	(PAGE_COUNTS - (HIGH_BASE >> 10))

/* To the byte at RSI: for every emulator a read, then a write, as INC is not. AL is used. */
	.macro	add_one
	movb	(%rsi), %al
	incb	%al
	movb	%al, (%rsi)
	.endm

/* EDI: switches */
program guest_switch
	begin
	movl	$PROCESS_A, %r12d
	movl	$PROCESS_B, %r13d
1:	movq	%r12, %cr3
	movl	$USER_BASE, %esi
	movl	$SWITCH_PAGES, %ecx
2:	add_one
	addq	$4096, %rsi
	decl	%ecx
	jnz	2b
	xchgq	%r12, %r13
	decl	%edi
	jnz	1b
	jmp	guest_done

/*
 * EDI: changes, even. A page is protected as in a fork and read, then replaced by another that may
 * be written, as after a fault on a copy-on-write page, and written.
 */
program guest_change
	begin
1:	movl	$USER_BASE, %esi
	leaq	PROCESS_A + PROCESS_TABLES(%r15), %rdx
	movl	$CHANGE_PAGES, %ebx
2:	movq	(%rdx), %rax
	andb	$~ENTRY_WRITE, %al
	movq	%rax, (%rdx)
	invlpg	(%rsi)
	movb	(%rsi), %cl
	xorq	$(PAGES_A ^ PAGES_B), %rax
	orb	$ENTRY_WRITE, %al
	movq	%rax, (%rdx)
	invlpg	(%rsi)
	movb	%cl, (%rsi)
	addq	$8, %rdx
	addq	$4096, %rsi
	subl	$2, %edi
	jz	guest_done
	decl	%ebx
	jnz	2b
	jmp	1b

/* EDI: how often */
program guest_invlpg
1:	movl	$USER_BASE, %esi
	movl	$CHANGE_PAGES, %ebx
2:	invlpg	(%rsi)
	movb	(%rsi), %al
	addq	$4096, %rsi
	decl	%edi
	jz	guest_done
	decl	%ebx
	jnz	2b
	jmp	1b

/* EDI: how often a process forks, its child lives and ends, and it uses all of its pages again */
program guest_fork
	begin
	movl	%edi, %ebp
1:	call	fork
	movq	%r12, %cr3
	movl	$USER_BASE, %esi
	movl	$READ_PAGES, %ecx
2:	movb	(%rsi), %al
	addq	$READ_STEP, %rsi
	decl	%ecx
	jnz	2b
	movl	$USER_BASE, %esi
	movl	$WRITE_PAGES, %ecx
3:	add_one
	addq	$WRITE_STEP, %rsi
	decl	%ecx
	jnz	3b
	call	end_process
	movl	$USER_BASE, %esi
	movl	$PROCESS_PAGES, %ecx
4:	add_one
	addq	$4096, %rsi
	decl	%ecx
	jnz	4b
	decl	%ebp
	jnz	1b
	jmp	guest_done

/* RAX: an empty table. RCX, RDI are used. */
new_table:
	take	FREE_TABLES
	pushq	%rax
	leaq	(%r15, %rax), %rdi
	xorl	%eax, %eax
	movl	$512, %ecx
	rep stosq
	popq	%rax
	ret

/* A child of process A: R12, R13 and RBX are its tables of level 4, 3 and 2. */
fork:
	call	new_table
	movq	%rax, %r12
	leaq	PROCESS_A + 2048(%r15), %rsi
	leaq	2048(%r15, %r12), %rdi
	movl	$256, %ecx
	rep movsq
	call	new_table
	movq	%rax, %r13
	orb	$TABLE_BITS, %al
	movq	%rax, USER_L4(%r15, %r12)
	call	new_table
	movq	%rax, %rbx
	orb	$TABLE_BITS, %al
	movq	%rax, USER_L3(%r15, %r13)
	call	new_table
	leaq	(%r15, %rax), %rdi
	orb	$TABLE_BITS, %al
	movq	%rax, USER_L2(%r15, %rbx)
	leaq	PROCESS_A + PROCESS_TABLES(%r15), %rsi
	movl	$512, %ecx
	call	copy_entries
	call	new_table
	leaq	(%r15, %rax), %rdi
	orb	$TABLE_BITS, %al
	movq	%rax, USER_L2 + 8(%r15, %rbx)
	leaq	PROCESS_A + PROCESS_TABLES + 4096(%r15), %rsi
	movl	$LAST_PAGES, %ecx
	call	copy_entries
	movq	%cr3, %rax
	movq	%rax, %cr3
	ret

/* ECX entries from RSI to RDI: nobody may write any more, the child has accessed nothing yet. */
copy_entries:
1:	movq	(%rsi), %rax
	testb	$ENTRY_WRITE, %al
	jz	2f
	lock andb $~ENTRY_WRITE, (%rsi)
	andb	$~ENTRY_WRITE, %al
2:	andb	$~ENTRY_ACCESSED, %al
	movq	%rax, %rdx
	counter	%rdx
	incl	COUNT(%r15, %rdx)
	movq	%rax, (%rdi)
	addq	$8, %rsi
	addq	$8, %rdi
	decl	%ecx
	jnz	1b
	ret

/* The child goes, entries first, then its tables, and process A goes on. */
end_process:
	movq	USER_L2(%r15, %rbx), %rsi
	movl	$512, %edx
	call	drop_entries
	movq	%rsi, %r8
	movq	USER_L2 + 8(%r15, %rbx), %rsi
	movl	$LAST_PAGES, %edx
	call	drop_entries
	movq	%rsi, %r9
	movq	$0, USER_L2(%r15, %rbx)
	movq	$0, USER_L2 + 8(%r15, %rbx)
	movq	$0, USER_L3(%r15, %r13)
	movq	$0, USER_L4(%r15, %r12)
	movl	$PROCESS_A, %eax
	movq	%rax, %cr3
	.irp	table, %r8, %r9, %rbx, %r13, %r12
	movq	\table, %rax
	give	FREE_TABLES
	.endr
	ret

/* EDX entries of the table that the entry RSI points to, which becomes its address. */
drop_entries:
	andq	%r14, %rsi
	leaq	(%r15, %rsi), %rdi
1:	movq	(%rdi), %rax
	movq	$0, (%rdi)
	movq	%rax, %rcx
	counter	%rcx
	decl	COUNT(%r15, %rcx)
	jnz	2f
	andq	%r14, %rax
	give	FREE_PAGES
2:	addq	$8, %rdi
	decl	%edx
	jnz	1b
	ret

/* RDX: from an entry that points to a table to its entry for the address RSI; RCX is used */
	.macro	down shift
	andq	%r14, %rdx
	movq	%rsi, %rcx
	shrq	$\shift, %rcx
	andl	$511, %ecx
	addq	%r15, %rdx
	leaq	(%rdx, %rcx, 8), %rdx
	.endm

	.macro	follow shift
	down	\shift
	movq	(%rdx), %rdx
	testb	$ENTRY_PRESENT, %dl
	jz	unexpected
	.endm

/* A write to a copy-on-write page. Whatever else it is ends the guest with a triple fault. */
program guest_page_fault
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	cmpl	$WRITE_FAULT, 40(%rsp)
	jne	unexpected
	movq	%cr2, %rsi
	movq	%cr3, %rdx
	follow	39
	follow	30
	follow	21
	down	12
	movq	(%rdx), %rax
	movq	%rax, %rcx
	counter	%rcx
	cmpl	$1, COUNT(%r15, %rcx)
	jne	copy_page
	orb	$ENTRY_WRITE | ENTRY_ACCESSED | ENTRY_DIRTY, %al
	movq	%rax, (%rdx)
fault_done:
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$8, %rsp
	iretq

/* RAX: the entry, at RDX; RCX: where its counter is; RSI: the address */
copy_page:
	decl	COUNT(%r15, %rcx)
	pushq	%rax
	take	FREE_PAGES
	leaq	(%r15, %rax), %rdi
	movq	%rax, %rcx
	counter	%rcx
	movl	$1, COUNT(%r15, %rcx)
	xchgq	%rax, (%rsp)
	pushq	%rsi
	movq	%rax, %rsi
	andq	%r14, %rsi
	addq	%r15, %rsi
	movl	$512, %ecx
	rep movsq
	popq	%rsi
	movq	$0, (%rdx)
	invlpg	(%rsi)
	/* the bits of the old entry with the address of the new page */
	movq	%r14, %rcx
	notq	%rcx
	andq	%rcx, %rax
	popq	%rcx
	orq	%rcx, %rax
	orb	$ENTRY_WRITE | ENTRY_ACCESSED | ENTRY_DIRTY, %al
	movq	%rax, (%rdx)
	jmp	fault_done

unexpected:
	ud2

	.section .note.GNU-stack, "", @progbits
