// SPDX-License-Identifier: GPL-2.0
/*
 * The guest of "shadow": the code that carries out commands, in 64 and in 32 bits, its own view of
 * memory out of the way of the random tables, and a world around it.
 */
#include "shadow.h"

/* RSI: the command. Every path ends at next, with the stack of the beginning. */
#define DISPATCH(width) \
	"	cmp	$0, %eax; je 0f\n" \
	"	cmp	$1, %eax; je 1f\n" \
	"	cmp	$2, %eax; je 2f\n" \
	"	cmp	$3, %eax; je 3f\n" \
	"	cmp	$7, %eax; je 7f\n" \
	"	cmp	$8, %eax; je 8f\n" \
	"	cmp	$10, %eax; je 10f\n" \
	"	cmp	$11, %eax; je 11f\n" \
	"	cmp	$12, %eax; je 12f\n" \
	"	cmp	$13, %eax; je 13f\n" \
	"	cmp	$14, %eax; je 14f\n"
#define EMULATED "	.byte 0x0f, 0x0b, 'k', 'v', 'm'\n"

GUEST(paging64, 64,
	"paging64_next:	add	$48, %rsi\n"
	"paging64_start:	lea	-8(%rbp), %rsp\n"
	"	mov	(%rsi), %eax\n"
	"	mov	8(%rsi), %rdi\n"
	"	mov	16(%rsi), %rbx\n"
	DISPATCH(64)
	"	cmp	$9, %eax; je 9f\n"
	"	cmp	$15, %eax; je 15f\n"
	"	cmp	$16, %eax; je 16f\n"
	"	cmp	$17, %eax; je 17f\n"
	/* as user */
	"	pushq	$0x53\n"
	"	pushq	%r13\n"
	"	pushfq\n"
	"	pushq	$0x4b\n"
	"	pushq	%r12\n"
	"	iretq\n"
	"0:	out	%al, $0xe1\n"
	"	jmp	paging64_start\n"
	"1:	mov	(%rdi), %rax; mov %rax, 24(%rsi); jmp paging64_next\n"
	"2:	mov	%rbx, (%rdi); jmp paging64_next\n"
	"3:	call	*%rdi; jmp paging64_next\n"
	"7:\n" EMULATED "	mov	(%rdi), %rax; mov %rax, 24(%rsi); jmp paging64_next\n"
	"8:\n" EMULATED "	mov	%rbx, (%rdi); jmp paging64_next\n"
	"9:	mov	%rbx, (%rdi,%r14); jmp paging64_next\n"
	"10:	invlpg	(%rdi); jmp paging64_next\n"
	"11:	mov	%cr3, %rax; mov %rax, %cr3; jmp paging64_next\n"
	"12:	mov	%rbx, %cr0; jmp paging64_next\n"
	"13:	mov	%rbx, %cr4; jmp paging64_next\n"
	"14:	mov	$0xc0000080, %ecx; mov %ebx, %eax; xor %edx, %edx; wrmsr; jmp paging64_next\n"
	"15:	push	%rbx; popfq; jmp paging64_next\n"
	"16:	mov	%rsi, %r8; lea (%rbx,%r14), %rsi; add %r14, %rdi\n"
	"	mov	$512, %ecx; cld; rep movsq; mov %r8, %rsi; jmp paging64_next\n"
	"17:	mov	%ebx, %eax; xor %ecx, %ecx; xor %edx, %edx; wrpkru; jmp paging64_next\n"
	/* the page fault's and the user's way back */
	"paging64_fault:	popq	32(%rsi)\n"
	"	mov	%cr2, %rax\n"
	"	mov	%rax, 40(%rsi)\n"
	"	movl	$1, 4(%rsi)\n"
	"	jmp	paging64_next\n"
	"paging64_back:	mov	%rax, 24(%rsi)\n"
	"	jmp	paging64_next\n"
	/* what runs as user */
	"paging64_user:	cmp	$5, %eax; je 5f; cmp $6, %eax; je 6f\n"
	"	mov	(%rdi), %rax; int $0x30\n"
	"5:	mov	%rbx, (%rdi); int $0x30\n"
	"6:	call	*%rdi; int $0x30\n");
extern const uint8_t paging64_start[], paging64_fault[], paging64_back[], paging64_user[];

GUEST(paging32, 32,
	"paging32_next:	add	$48, %esi\n"
	"paging32_start:	lea	-8(%ebp), %esp\n"
	"	mov	(%esi), %eax\n"
	"	mov	8(%esi), %edi\n"
	"	mov	16(%esi), %ebx\n"
	DISPATCH(32)
	"	cmp	$9, %eax; je 9f\n"
	"	cmp	$15, %eax; je 15f\n"
	"	cmp	$16, %eax; je 16f\n"
	"0:	out	%al, $0xe1\n"
	"	jmp	paging32_start\n"
	"1:	mov	(%edi), %eax; mov %eax, 24(%esi); jmp paging32_next\n"
	"2:	mov	%ebx, (%edi); jmp paging32_next\n"
	"3:	call	*%edi; jmp paging32_next\n"
	"7:\n" EMULATED "	mov	(%edi), %eax; mov %eax, 24(%esi); jmp paging32_next\n"
	"8:\n" EMULATED "	mov	%ebx, (%edi); jmp paging32_next\n"
	/* an entry of 8 bytes, or the low half of one, whose upper half is left alone */
	"9:	add	0x1f000(%ebp), %edi\n"
	"	cmpl	$0, 0x1f004(%ebp); je 90f\n"
	"	mov	20(%esi), %eax; mov %eax, 4(%edi)\n"
	"90:	mov	%ebx, (%edi); jmp paging32_next\n"
	"10:	invlpg	(%edi); jmp paging32_next\n"
	"11:	mov	%cr3, %eax; mov %eax, %cr3; jmp paging32_next\n"
	"12:	mov	%ebx, %cr0; jmp paging32_next\n"
	"13:	mov	%ebx, %cr4; jmp paging32_next\n"
	"14:	mov	$0xc0000080, %ecx; mov %ebx, %eax; xor %edx, %edx; wrmsr; jmp paging32_next\n"
	"15:	push	%ebx; popf; jmp paging32_next\n"
	"16:	mov	%esi, %edx; mov %ebx, %esi; add 0x1f000(%ebp), %esi; add 0x1f000(%ebp), %edi\n"
	"	mov	$1024, %ecx; cld; rep movsl; mov %edx, %esi; jmp paging32_next\n"
	"paging32_fault:	popl	32(%esi)\n"
	"	mov	%cr2, %eax\n"
	"	mov	%eax, 40(%esi)\n"
	"	movl	$1, 4(%esi)\n"
	"	jmp	paging32_next\n");
extern const uint8_t paging32_start[], paging32_fault[];

void put_entry(struct world *w, uint64_t at, uint64_t entry)
{
	memcpy(w->g->memory + at, &entry, w->mode->wide ? 8 : 4);
}

/* The guest's view of all its memory, out of the way of the random tables. */
static void make_view(struct world *w)
{
	const uint64_t table = PTE_P | PTE_W | PTE_A, page = table | PTE_D;
	unsigned int levels = w->mode->levels, size = w->mode->wide ? 8 : 4;
	uint64_t at = ROOT, next = VIEW;

	for (unsigned int level = levels; level > 1; level--) {
		unsigned int bits = w->mode->wide ? 9 : 10;
		unsigned int index = w->mode->base >> (12 + bits * (level - 1)) & ((1u << bits) - 1);

		if (level == 2 && w->mode->wide) {
			put_entry(w, at + index * size, next | table);
			put_entry(w, at + (index + 1) * size, (next + PAGE) | table);
			for (unsigned int i = 0; i < 1024; i++)
				put_entry(w, next + i * size, i * PAGE | page);
			return;
		}
		put_entry(w, at + index * size, next | (levels == 3 ? PTE_P : table));
		at = next;
		next += PAGE;
	}
	for (unsigned int i = 0; i < 1024; i++)
		put_entry(w, at + i * size, i * PAGE | page);
}

/* Code and stack of the user's part, at the same place 512 GiB below. */
static uint64_t make_user_view(struct world *w, uint64_t code)
{
	const uint64_t entry = PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
	uint64_t base = BASE64 - (1ull << 39), page = code & ~(PAGE - 1);

	if (w->mode->levels == 5) {
		*(uint64_t *)(w->g->memory + ROOT + 511 * 8) |= PTE_U;
		put_entry(w, VIEW + 510 * 8, 0x2a000 | entry);
	} else {
		put_entry(w, ROOT + 510 * 8, 0x2a000 | entry);
	}
	put_entry(w, 0x2a000, 0x2b000 | entry);
	put_entry(w, 0x2b000, 0x2c000 | entry);
	put_entry(w, 0x2c000 + (page / PAGE) * 8, page | entry);
	put_entry(w, 0x2c000 + (page / PAGE + 1) * 8, (page + PAGE) | entry);
	put_entry(w, 0x2c000 + (USER_STACK / PAGE) * 8, USER_STACK | entry);
	return base;
}

static void fill_memory(struct world *w)
{
	for (unsigned int i = 0; i < DATA_PAGES; i++) {
		uint8_t *page = w->g->memory + DATA + i * PAGE;

		memset(page, 0xc3, PAGE);	/* RET, wherever it is called */
		for (unsigned int at = 0; at < 64; at += 8)
			*(uint64_t *)(page + at) = DATA + i * PAGE + at;
	}
	for (unsigned int i = 0; i < POOL_PAGES * TABLE_ENTRIES; i++)
		put_entry(w, POOL + i / TABLE_ENTRIES * PAGE +
			  i % TABLE_ENTRIES * (w->mode->wide ? 8 : 4), random_entry(w));
	for (unsigned int i = 0; i < ROOT_ENTRIES; i++)
		put_entry(w, ROOT + i * (w->mode->wide ? 8 : 4), w->mode->levels == 3 ?
			  (POOL + i * PAGE) | PTE_P :
			  (POOL + i * PAGE) | PTE_P | PTE_W | PTE_U);
}

static void gate32(struct guest *g, unsigned int vector, uint32_t handler)
{
	uint32_t *gate = (uint32_t *)(g->memory + GUEST_IDT) + vector * 2;

	gate[0] = (handler & 0xffff) | SELECTOR_CODE32 << 16;
	gate[1] = (handler & 0xffff0000) | 0x8e00;
}

static void set_gates(struct world *w)
{
	struct guest *g = w->g;
	uint64_t base = w->mode->base;

	if (base != BASE64) {
		gate32(g, VECTOR_PF, base + guest_address(g, paging32_fault));
		return;
	}
	guest_gate(g, VECTOR_PF, base + guest_address(g, paging64_fault));
	guest_gate(g, 0x30, base + guest_address(g, paging64_back));
	g->memory[GUEST_IDT + 0x30 * 16 + 5] |= 0x60;	/* for users */
	*(uint64_t *)(g->memory + GUEST_TSS + 4) = base + GUEST_STACK - 8;
	*(uint64_t *)(g->memory + GUEST_GDT + 0x48) = 0x00affb000000ffffull;
	*(uint64_t *)(g->memory + GUEST_GDT + 0x50) = 0x00cff3000000ffffull;
}

void restrict_cpuid(struct world *w)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(w->g->kvm);
	struct kvm_cpuid_entry2 *e;

	e = cpuid_find(cpuid, 7, 0);
	w->smep = e && (e->ebx & 1u << 7);
	w->smap = e && (e->ebx & 1u << 20);
	w->keys = w->mode->user && e && (e->ecx & 1u << 3);
	e = cpuid_find(cpuid, 0x80000001, 0);
	check(e);
	e->edx &= ~(1u << 26);		/* 1 GiB pages */
	e = cpuid_find(cpuid, 0x80000008, 0);
	check(e);
	if (w->mode->address_bits)
		e->eax = (e->eax & ~0xffu) | w->mode->address_bits;
	w->reserved = PTE_FRAME & ~((1ull << (e->eax & 0xff)) - 1);
	must(ioctl(w->g->vcpu, KVM_SET_CPUID2, cpuid));
	free(cpuid);
}

void set_registers(struct world *w)
{
	const bool wide = w->mode->base == BASE64;
	uint64_t base = w->mode->base;
	struct kvm_sregs s = vcpu_sregs(w->g->vcpu);
	struct kvm_regs regs = { .rflags = RFLAGS_FIXED };

	w->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	w->cr4 = (w->mode->wide ? CR4_PAE : 0) | (w->mode->levels == 5 ? CR4_LA57 : 0);
	w->efer = wide ? EFER_LME | EFER_LMA | EFER_NX : w->mode->wide ? EFER_NX : 0;
	w->flags = RFLAGS_FIXED;
	s.cr0 = w->cr0;
	s.cr3 = ROOT;
	s.cr4 = w->cr4;
	s.efer = w->efer;
	s.gdt.base = base + GUEST_GDT;
	s.gdt.limit = 0x5f;
	s.idt.base = base + GUEST_IDT;
	s.tr.base = base + GUEST_TSS;
	must(ioctl(w->g->vcpu, KVM_SET_SREGS, &s));

	regs.rbp = base + w->stack;
	regs.rsi = base + w->commands;
	regs.rip = base + guest_address(w->g, wide ? paging64_start : paging32_start);
	if (wide) {
		uint64_t code = guest_address(w->g, paging64_user);

		regs.r12 = make_user_view(w, code) + code;
		regs.r13 = BASE64 - (1ull << 39) + USER_STACK + PAGE;
		regs.r14 = base;
	} else {
		/* Where memory begins, and whether entries have two halves */
		*(uint32_t *)(w->g->memory + w->stack + 0x1f000) = base;
		*(uint32_t *)(w->g->memory + w->stack + 0x1f004) = w->mode->wide;
	}
	vcpu_set_regs(w->g->vcpu, &regs);
}

void world_create(struct world *w, const struct mode *mode, uint64_t seed)
{
	*w = (struct world) {
		.mode = mode, .seed = seed, .commands = COMMANDS, .stack = GUEST_STACK,
	};
	w->nested = nested_paging();
	w->emulated = read_number("/sys/module/kvm/parameters/force_emulation_prefix") > 0;
	w->g = mode->base == BASE64 ? guest_new(LONG, paging64) : guest_new(PROTECTED, paging32);
	restrict_cpuid(w);
	fill_memory(w);
	make_view(w);
	set_gates(w);
	set_registers(w);
	w->model = malloc(GUEST_MEMORY);
	w->walked = calloc(GUEST_MEMORY / sizeof(uint32_t), 1);
	check(w->model && w->walked);
	memcpy(w->model, w->g->memory, GUEST_MEMORY);
	memcpy(w->pdpt, w->model + ROOT, sizeof(w->pdpt));
}

void execute(struct world *w)
{
	struct kvm_regs regs;

	run_to_out(w->g, DONE_PORT);
	regs = vcpu_regs(w->g->vcpu);
	regs.rsi = w->mode->base + w->commands;
	vcpu_set_regs(w->g->vcpu, &regs);
}
