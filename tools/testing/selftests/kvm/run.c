// SPDX-License-Identifier: GPL-2.0
/*
 * The exits of KVM_RUN: port I/O, MMIO in every shape an instruction can give it, HLT, SHUTDOWN,
 * FAIL_ENTRY, INTERNAL_ERROR, IRQ_WINDOW_OPEN, DEBUG, and how immediate_exit completes them.
 * Interrupts and exceptions of the guest are in events.c, signals in signal.c.
 */
#include "guest.h"

#define IN	KVM_EXIT_IO_IN
#define OUT	KVM_EXIT_IO_OUT

GUEST(out_code, 16,
	"	mov	$0x12345678, %eax\n"
	"	out	%al, $0x10\n"
	"	out	%ax, $0x20\n"
	"	out	%eax, $0x30\n"
	"	mov	$0xfff8, %dx\n"
	"	out	%al, %dx\n"
	"	out	%ax, %dx\n"
	"	out	%eax, %dx\n"
	"	hlt\n");

static void pio_out(void)
{
	static const struct { uint16_t port; uint8_t size; } wanted[] = {
		{ 0x10, 1 }, { 0x20, 2 }, { 0x30, 4 }, { 0xfff8, 1 }, { 0xfff8, 2 }, { 0xfff8, 4 },
	};
	struct guest *g = guest_new(REAL, out_code);

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		uint32_t mask = wanted[i].size == 4 ? ~0u : (1u << wanted[i].size * 8) - 1;

		check_equal(run_to_out(g, wanted[i].port), 0x12345678 & mask);
		check_equal(g->run->io.size, wanted[i].size);
	}
	run_to(g, KVM_EXIT_HLT);
}

GUEST(in_code, 64,
	"	mov	$-1, %rax\n"
	"	in	$0x10, %al\n"
	"	mov	%rax, 0xa000\n"
	"	mov	$-1, %rax\n"
	"	in	$0x10, %ax\n"
	"	mov	%rax, 0xa008\n"
	"	mov	$-1, %rax\n"
	"	mov	$0x1234, %dx\n"
	"	in	%dx, %eax\n"
	"	mov	%rax, 0xa010\n"
	"	hlt\n");

static void pio_in(void)
{
	struct guest *g = guest_new(LONG, in_code);
	uint64_t *seen = (uint64_t *)(g->memory + GUEST_DATA);

	for (unsigned int size = 1; size <= 4; size *= 2) {
		run_to(g, KVM_EXIT_IO);
		check_pio(g, IN, size == 4 ? 0x1234 : 0x10, size, 1);
		memset(pio_data(g), 0, 8);
		memcpy(pio_data(g), "\x81\x92\xa3\xb4", size);
	}
	run_to(g, KVM_EXIT_HLT);
	check_equal(seen[0], 0xffffffffffffff81);
	check_equal(seen[1], 0xffffffffffff9281);
	check_equal(seen[2], 0x00000000b4a39281);
}

GUEST(outs_code, 64,
	"	mov	$0xa000, %esi\n"
	"	mov	$0x55, %dx\n"
	"	outsb\n"
	"	outsw\n"
	"	outsl\n"
	"	hlt\n"
	"	mov	$300, %ecx\n"
	"	rep outsb\n"
	"	hlt\n"
	"	mov	$300, %ecx\n"
	"	rep outsw\n"
	"	hlt\n"
	"	mov	$300, %ecx\n"
	"	rep outsl\n"
	"	hlt\n"
	"	xor	%ecx, %ecx\n"
	"	rep outsb\n"
	"	hlt\n"
	"	std\n"
	"	mov	$5, %ecx\n"
	"	rep outsb\n"
	"	hlt\n");

/* Takes a string of `count` elements as the guest writes it, in as many exits as it wants. */
static void take_outs(struct guest *g, uint16_t port, uint8_t size, uint32_t count, uint8_t *data)
{
	while (count) {
		uint32_t now;

		run_to(g, KVM_EXIT_IO);
		now = g->run->io.count;
		check(now >= 1 && now <= count);
		check_pio(g, OUT, port, size, now);
		memcpy(data, pio_data(g), now * size);
		data += now * size;
		count -= now;
	}
}

static void fill(uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		bytes[i] = i * 7 + (i >> 8);
}

static void pio_outs(void)
{
	struct guest *g = guest_new(LONG, outs_code);
	uint8_t *source = g->memory + GUEST_DATA;
	static uint8_t data[2200];

	fill(source, 4096);
	take_outs(g, 0x55, 1, 1, data);
	take_outs(g, 0x55, 2, 1, data + 1);
	take_outs(g, 0x55, 4, 1, data + 3);
	run_to(g, KVM_EXIT_HLT);
	check(!memcmp(data, source, 7));
	check_equal(vcpu_regs(g->vcpu).rsi, GUEST_DATA + 7);
}

static void pio_rep_outs(void)
{
	struct guest *g = guest_new(LONG, outs_code);
	uint8_t *source = g->memory + GUEST_DATA;
	static uint8_t data[2200];

	fill(source, 4096);
	take_outs(g, 0x55, 1, 1, data);
	take_outs(g, 0x55, 2, 1, data);
	take_outs(g, 0x55, 4, 1, data);
	run_to(g, KVM_EXIT_HLT);
	source += 7;
	for (unsigned int size = 1; size <= 4; size *= 2) {
		take_outs(g, 0x55, size, 300, data);
		run_to(g, KVM_EXIT_HLT);
		check(!memcmp(data, source, 300 * size));
		source += 300 * size;
		check_equal(vcpu_regs(g->vcpu).rcx, 0);
		check_equal(vcpu_regs(g->vcpu).rsi, source - g->memory);
	}
	run_to(g, KVM_EXIT_HLT);
	take_outs(g, 0x55, 1, 5, data);
	run_to(g, KVM_EXIT_HLT);
	for (int i = 0; i < 5; i++)
		check_equal(data[i], source[-i]);
	check_equal(vcpu_regs(g->vcpu).rsi, source - g->memory - 5);
}

GUEST(ins_code, 64,
	"	mov	$0x20ff0, %edi\n"
	"	mov	$0x66, %dx\n"
	"	insb\n"
	"	insw\n"
	"	insl\n"
	"	hlt\n"
	"	mov	$1000, %ecx\n"
	"	rep insb\n"
	"	hlt\n"
	"	mov	$1000, %ecx\n"
	"	rep insw\n"
	"	hlt\n"
	"	mov	$1000, %ecx\n"
	"	rep insl\n"
	"	hlt\n"
	"	xor	%ecx, %ecx\n"
	"	rep insl\n"
	"	hlt\n");

static unsigned int give_ins(struct guest *g, uint16_t port, uint8_t size, uint32_t count,
			     const uint8_t *data)
{
	unsigned int exits = 0;

	while (count) {
		uint32_t now;

		run_to(g, KVM_EXIT_IO);
		now = g->run->io.count;
		check(now >= 1 && now <= count);
		check_pio(g, IN, port, size, now);
		memcpy(pio_data(g), data, now * size);
		data += now * size;
		count -= now;
		exits++;
	}
	return exits;
}

static void pio_ins(void)
{
	struct guest *g = guest_new(LONG, ins_code);
	uint8_t *target = g->memory + 0x20ff0;
	static uint8_t data[4000];

	fill(data, sizeof(data));
	give_ins(g, 0x66, 1, 1, data);
	give_ins(g, 0x66, 2, 1, data + 1);
	give_ins(g, 0x66, 4, 1, data + 3);
	run_to(g, KVM_EXIT_HLT);
	check(!memcmp(target, data, 7));
	target += 7;
	for (unsigned int size = 1; size <= 4; size *= 2) {
		unsigned int exits = give_ins(g, 0x66, size, 1000, data);

		run_to(g, KVM_EXIT_HLT);
		check(!memcmp(target, data, 1000 * size));
		target += 1000 * size;
		check_equal(vcpu_regs(g->vcpu).rdi, target - g->memory);
		check_equal(vcpu_regs(g->vcpu).rcx, 0);
		/* Reading ahead is what makes a REP INS bearable; one exit each is too many. */
		check(exits <= 100);
	}
	run_to(g, KVM_EXIT_HLT);
}

GUEST(ins_fault_code, 64,
	"	mov	$0x200000000, %rdi\n"		/* 8 GiB: not mapped */
	"	mov	$0x66, %dx\n"
	"	mov	$3, %ecx\n"
	"	rep insb\n"
	"	hlt\n");

static void pio_ins_fault(void)
{
	struct guest *g = guest_new(LONG, ins_fault_code);
	int error = guest_run(g);

	/* The device may be asked first, but the guest must end with its page fault. */
	while (!error && g->run->exit_reason == KVM_EXIT_IO && g->run->io.port == 0x66)
		error = guest_run(g);
	check_equal(error, 0);
	check_equal(g->run->io.port, REPORT_PORT);
	check_equal(guest_report(g)->vector, VECTOR_PF);
	check_equal(guest_report(g)->cr2, 0x200000000);
}

GUEST(mmio_move_code, 64,
	"	mov	$0x10000000, %ebx\n"
	"	mov	$0x1122334455667788, %rax\n"
	"	mov	%al, (%rbx)\n"
	"	mov	%ax, 2(%rbx)\n"
	"	mov	%eax, 4(%rbx)\n"
	"	mov	%rax, 8(%rbx)\n"
	"	movb	$0x5a, 0x10(%rbx)\n"
	"	movw	$0x5a5b, 0x12(%rbx)\n"
	"	movl	$0x5a5b5c5d, 0x14(%rbx)\n"
	"	movq	$-2, 0x18(%rbx)\n"
	"	mov	%ah, 0x20(%rbx)\n"
	"	movabs	%al, 0x10000021\n"
	"	movnti	%rax, 0x28(%rbx)\n"
	"	hlt\n");

static void mmio_writes(void)
{
	static const struct { uint32_t offset, length; uint64_t value; } wanted[] = {
		{ 0, 1, 0x88 }, { 2, 2, 0x7788 }, { 4, 4, 0x55667788 },
		{ 8, 8, 0x1122334455667788 }, { 0x10, 1, 0x5a }, { 0x12, 2, 0x5a5b },
		{ 0x14, 4, 0x5a5b5c5d }, { 0x18, 8, -2ull }, { 0x20, 1, 0x77 }, { 0x21, 1, 0x88 },
		{ 0x28, 8, 0x1122334455667788 },
	};
	struct guest *g = guest_new(LONG, mmio_move_code);

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		check_equal(run_to_mmio_write(g, GUEST_MMIO + wanted[i].offset, wanted[i].length),
			    wanted[i].value);
	run_to(g, KVM_EXIT_HLT);
}

GUEST(mmio_read_code, 64,
	"	mov	$0x10000000, %ebx\n"
	"	mov	$0xa000, %edi\n"
	"	mov	$-1, %rax\n"
	"	mov	(%rbx), %al\n"
	"	stosq\n"
	"	mov	$-1, %rax\n"
	"	mov	(%rbx), %ax\n"
	"	stosq\n"
	"	mov	$-1, %rax\n"
	"	mov	(%rbx), %eax\n"
	"	stosq\n"
	"	mov	(%rbx), %rax\n"
	"	stosq\n"
	"	movzbl	(%rbx), %eax\n"
	"	stosq\n"
	"	movzwl	(%rbx), %eax\n"
	"	stosq\n"
	"	movsbq	(%rbx), %rax\n"
	"	stosq\n"
	"	movswl	(%rbx), %eax\n"
	"	stosq\n"
	"	movslq	(%rbx), %rax\n"
	"	stosq\n"
	"	movabs	0x10000000, %eax\n"
	"	stosq\n"
	"	hlt\n");

static void mmio_reads(void)
{
	static const struct { uint32_t length; uint64_t seen; } wanted[] = {
		{ 1, 0xffffffffffffff81 }, { 2, 0xffffffffffff9281 }, { 4, 0xb4a39281 },
		{ 8, 0xf8e7d6c5b4a39281 }, { 1, 0x81 }, { 2, 0x9281 },
		{ 1, 0xffffffffffffff81 }, { 2, 0xffff9281 }, { 4, 0xffffffffb4a39281 },
		{ 4, 0xb4a39281 },
	};
	struct guest *g = guest_new(LONG, mmio_read_code);
	uint64_t *seen = (uint64_t *)(g->memory + GUEST_DATA);

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		run_to_mmio_read(g, GUEST_MMIO, wanted[i].length, 0xf8e7d6c5b4a39281);
	run_to(g, KVM_EXIT_HLT);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		check_equal(seen[i], wanted[i].seen);
}

GUEST(mmio_cross_code, 64,
	"	mov	$0x1122334455667788, %rax\n"
	"	mov	%rax, 0x10000ffd\n"
	"	mov	%eax, 0x10000fff\n"
	"	mov	%ax, 0x10000fff\n"
	"	mov	0x10000ffc, %rbx\n"
	"	hlt\n");

static void mmio_page_crossing(void)
{
	struct guest *g = guest_new(LONG, mmio_cross_code);

	check_equal(run_to_mmio_write(g, GUEST_MMIO + 0xffd, 3), 0x667788);
	check_equal(run_to_mmio_write(g, GUEST_MMIO + 0x1000, 5), 0x1122334455);
	check_equal(run_to_mmio_write(g, GUEST_MMIO + 0xfff, 1), 0x88);
	check_equal(run_to_mmio_write(g, GUEST_MMIO + 0x1000, 3), 0x556677);
	check_equal(run_to_mmio_write(g, GUEST_MMIO + 0xfff, 1), 0x88);
	check_equal(run_to_mmio_write(g, GUEST_MMIO + 0x1000, 1), 0x77);
	run_to_mmio_read(g, GUEST_MMIO + 0xffc, 4, 0x44332211);
	run_to_mmio_read(g, GUEST_MMIO + 0x1000, 4, 0x88776655);
	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).rbx, 0x8877665544332211);
}

GUEST(mmio_border_code, 64,
	"	mov	$0x1122334455667788, %rax\n"
	"	mov	%rax, 0x3ffffb\n"
	"	mov	0x3ffffb, %rbx\n"
	"	mov	0x10000ffc, %rcx\n"
	"	mov	%rax, 0x10000ffc\n"
	"	hlt\n");

static void mmio_slot_borders(void)
{
	struct guest *g = guest_new(LONG, mmio_border_code);
	uint8_t *page = map_pages(PAGE);

	/* Memory below and hole above at 4 MiB; hole below and memory above at the second page. */
	must(vm_set_slot(g->vm, 1, 0, GUEST_MMIO + PAGE, PAGE, page));
	check_equal(run_to_mmio_write(g, 0x400000, 3), 0x112233);
	run_to_mmio_read(g, 0x400000, 3, 0xccbbaa);
	memcpy(page, "\xf0\xf1\xf2\xf3", 4);
	run_to_mmio_read(g, GUEST_MMIO + 0xffc, 4, 0x03020100);
	check_equal(run_to_mmio_write(g, GUEST_MMIO + 0xffc, 4), 0x55667788);
	run_to(g, KVM_EXIT_HLT);
	check(!memcmp(g->memory + 0x3ffffb, "\x88\x77\x66\x55\x44", 5));
	check(!memcmp(page, "\x44\x33\x22\x11", 4));
	check_equal(vcpu_regs(g->vcpu).rbx, 0xccbbaa4455667788);
	check_equal(vcpu_regs(g->vcpu).rcx, 0xf3f2f1f003020100);
}

GUEST(mmio_alu_code, 64,
	"	mov	$0x10000000, %ebx\n"
	"	mov	$0x0f, %eax\n"
	"	cmp	%eax, (%rbx)\n"		/* 1: read */
	"	setb	0xa000\n"
	"	testb	$0x80, (%rbx)\n"	/* 2: read */
	"	setnz	0xa001\n"
	"	cmpb	$5, (%rbx)\n"		/* 3: read */
	"	sete	0xa002\n"
	"	add	(%rbx), %eax\n"		/* 4: read */
	"	mov	%eax, 0xa004\n"
	"	addl	$1, (%rbx)\n"		/* 5: read, write */
	"	orb	$0x40, (%rbx)\n"	/* 6 */
	"	andl	$0xff, (%rbx)\n"	/* 7 */
	"	xorw	$0xffff, (%rbx)\n"	/* 8 */
	"	subl	%eax, (%rbx)\n"		/* 9 */
	"	incl	(%rbx)\n"		/* 10 */
	"	decw	(%rbx)\n"		/* 11 */
	"	notl	(%rbx)\n"		/* 12 */
	"	negl	(%rbx)\n"		/* 13 */
	"	shll	$4, (%rbx)\n"		/* 14 */
	"	lock addl $1, (%rbx)\n"		/* 15 */
	"	mov	$0xabcd, %ecx\n"
	"	xchg	%ecx, (%rbx)\n"		/* 16 */
	"	btsl	$3, (%rbx)\n"		/* 17 */
	"	hlt\n");

static void mmio_rmw(struct guest *g, uint32_t length, uint64_t old, uint64_t wanted)
{
	uint64_t data;

	run_to_mmio_read(g, GUEST_MMIO, length, old);
	data = run_to_mmio_write(g, GUEST_MMIO, length);
	check_equal(data, wanted);
}

static void mmio_alu(void)
{
	struct guest *g = guest_new(LONG, mmio_alu_code);
	uint8_t *seen = g->memory + GUEST_DATA;

	run_to_mmio_read(g, GUEST_MMIO, 4, 0x0e);
	run_to_mmio_read(g, GUEST_MMIO, 1, 0x80);
	run_to_mmio_read(g, GUEST_MMIO, 1, 5);
	run_to_mmio_read(g, GUEST_MMIO, 4, 0x100);
	mmio_rmw(g, 4, 0xffffffff, 0);
	mmio_rmw(g, 1, 0x01, 0x41);
	mmio_rmw(g, 4, 0x1234, 0x34);
	mmio_rmw(g, 2, 0x00ff, 0xff00);
	mmio_rmw(g, 4, 0x110, 0x1);
	mmio_rmw(g, 4, 0x7fffffff, 0x80000000);
	mmio_rmw(g, 2, 0, 0xffff);
	mmio_rmw(g, 4, 0xf0f0f0f0, 0x0f0f0f0f);
	mmio_rmw(g, 4, 1, 0xffffffff);
	mmio_rmw(g, 4, 0x12345678, 0x23456780);
	mmio_rmw(g, 4, 41, 42);
	mmio_rmw(g, 4, 0x55, 0xabcd);
	mmio_rmw(g, 4, 1, 9);
	run_to(g, KVM_EXIT_HLT);
	check_equal(seen[0], 1);
	check_equal(seen[1], 1);
	check_equal(seen[2], 1);
	check_equal(*(uint32_t *)(seen + 4), 0x10f);
	check_equal(vcpu_regs(g->vcpu).rcx, 0x55);
}

GUEST(mmio_string_code, 64,
	"	mov	$0x10000000, %edi\n"
	"	mov	$0xa000, %esi\n"
	"	mov	$3, %ecx\n"
	"	rep movsl\n"
	"	mov	$0x10000100, %esi\n"
	"	mov	$0xa100, %edi\n"
	"	mov	$3, %ecx\n"
	"	rep movsw\n"
	"	mov	$0x10000200, %edi\n"
	"	mov	$0x1122334455667788, %rax\n"
	"	mov	$2, %ecx\n"
	"	rep stosq\n"
	"	mov	$0x10000300, %esi\n"
	"	lodsb\n"
	"	mov	%al, 0xa200\n"
	"	mov	$0x10000400, %edi\n"
	"	mov	$0x42, %al\n"
	"	mov	$10, %ecx\n"
	"	repne scasb\n"
	"	mov	%ecx, 0xa204\n"
	"	mov	$0x10000500, %esi\n"
	"	mov	$0x10000600, %edi\n"
	"	movsb\n"
	"	hlt\n");

static void mmio_strings(void)
{
	struct guest *g = guest_new(LONG, mmio_string_code);
	uint32_t *source = (uint32_t *)(g->memory + GUEST_DATA);

	for (uint32_t i = 0; i < 3; i++)
		source[i] = 0x11111111 * (i + 1);
	for (uint32_t i = 0; i < 3; i++)
		check_equal(run_to_mmio_write(g, GUEST_MMIO + i * 4, 4), source[i]);
	for (uint32_t i = 0; i < 3; i++)
		run_to_mmio_read(g, GUEST_MMIO + 0x100 + i * 2, 2, 0xa0b0 + i);
	for (uint32_t i = 0; i < 2; i++)
		check_equal(run_to_mmio_write(g, GUEST_MMIO + 0x200 + i * 8, 8),
			    0x1122334455667788);
	run_to_mmio_read(g, GUEST_MMIO + 0x300, 1, 0x77);
	run_to_mmio_read(g, GUEST_MMIO + 0x400, 1, 0x40);
	run_to_mmio_read(g, GUEST_MMIO + 0x401, 1, 0x41);
	run_to_mmio_read(g, GUEST_MMIO + 0x402, 1, 0x42);
	run_to_mmio_read(g, GUEST_MMIO + 0x500, 1, 0x99);
	check_equal(run_to_mmio_write(g, GUEST_MMIO + 0x600, 1), 0x99);
	run_to(g, KVM_EXIT_HLT);
	for (uint32_t i = 0; i < 3; i++)
		check_equal(*(uint16_t *)(g->memory + 0xa100 + i * 2), 0xa0b0 + i);
	check_equal(g->memory[0xa200], 0x77);
	check_equal(*(uint32_t *)(g->memory + 0xa204), 7);
}

GUEST(mmio_sse_code, 64,
	"	movups	0xa000, %xmm0\n"
	"	movups	%xmm0, 0x10000000\n"
	"	movups	0x10000010, %xmm1\n"
	"	movups	%xmm1, 0xa010\n"
	"	movaps	%xmm0, 0x10000020\n"
	"	movdqa	0x10000030, %xmm2\n"
	"	movups	%xmm2, 0xa020\n"
	"	hlt\n");

static void mmio_sse(void)
{
	struct guest *g = guest_new(LONG, mmio_sse_code);
	uint64_t *data = (uint64_t *)(g->memory + GUEST_DATA);

	data[0] = 0x0706050403020100;
	data[1] = 0x0f0e0d0c0b0a0908;
	check_equal(run_to_mmio_write(g, GUEST_MMIO, 8), data[0]);
	check_equal(run_to_mmio_write(g, GUEST_MMIO + 8, 8), data[1]);
	run_to_mmio_read(g, GUEST_MMIO + 0x10, 8, 0x1111);
	run_to_mmio_read(g, GUEST_MMIO + 0x18, 8, 0x2222);
	check_equal(run_to_mmio_write(g, GUEST_MMIO + 0x20, 8), data[0]);
	check_equal(run_to_mmio_write(g, GUEST_MMIO + 0x28, 8), data[1]);
	run_to_mmio_read(g, GUEST_MMIO + 0x30, 8, 0x3333);
	run_to_mmio_read(g, GUEST_MMIO + 0x38, 8, 0x4444);
	run_to(g, KVM_EXIT_HLT);
	for (uint64_t i = 2; i < 6; i++)
		check_equal(data[i], 0x1111 * (i - 1));
}

GUEST(mmio_x87_code, 64,
	"	fninit\n"
	"mmio_x87_insn:	flds	0x10000000\n"
	"	fldl	0x10000008\n"
	"	faddp\n"
	"	fistpl	0xa000\n"
	"	hlt\n");
extern const uint8_t mmio_x87_insn[];

/* FLD m32 is userspace's own when that wants to know what the emulator cannot do. */
static void mmio_x87(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = { 1 } };
	struct guest *g = guest_new(LONG, mmio_x87_code);

	run_to_mmio_read(g, GUEST_MMIO, 4, 0x42280000);			/* 42.0 */
	run_to_mmio_read(g, GUEST_MMIO + 8, 8, 0x4059000000000000);	/* 100.0 */
	run_to(g, KVM_EXIT_HLT);
	check_equal(*(uint32_t *)(g->memory + GUEST_DATA), 142);

	g = guest_new(LONG, mmio_x87_code);
	must(ioctl(g->vm, KVM_ENABLE_CAP, &cap));
	run_to(g, KVM_EXIT_INTERNAL_ERROR);
	check_equal(g->run->emulation_failure.suberror, KVM_INTERNAL_ERROR_EMULATION);
	check_equal(vcpu_regs(g->vcpu).rip, guest_address(g, mmio_x87_insn));
	vcpu_set_rip(g->vcpu, guest_address(g, mmio_x87_insn) + 7);
	run_to_mmio_read(g, GUEST_MMIO + 8, 8, 0x4059000000000000);
}

GUEST(mmio_stack_code, 64,
	"	mov	$0x10000800, %esp\n"
	"	push	%rax\n"
	"	pop	%rbx\n"
	"	pushq	$0x77\n"
	"	mov	$0xa000, %esp\n"
	"	pushq	0x10000000\n"
	"	pop	%rcx\n"
	"	hlt\n");

static void mmio_stack(void)
{
	struct guest *g = guest_new(LONG, mmio_stack_code);
	struct kvm_regs regs = vcpu_regs(g->vcpu);

	regs.rax = 0x1234;
	vcpu_set_regs(g->vcpu, &regs);
	check_equal(run_to_mmio_write(g, GUEST_MMIO + 0x7f8, 8), 0x1234);
	run_to_mmio_read(g, GUEST_MMIO + 0x7f8, 8, 0x5678);
	check_equal(run_to_mmio_write(g, GUEST_MMIO + 0x7f8, 8), 0x77);
	run_to_mmio_read(g, GUEST_MMIO, 8, 0x9abc);
	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).rbx, 0x5678);
	check_equal(vcpu_regs(g->vcpu).rcx, 0x9abc);
}

GUEST(mmio_real_code, 16,
	"	mov	$0xd000, %ax\n"
	"	mov	%ax, %ds\n"
	"	mov	%ax, %es\n"
	"	movb	$0x12, 0x10\n"
	"	mov	0x20, %cx\n"
	"	addr32 movl $0x11223344, 0x30\n"
	"	xor	%di, %di\n"
	"	cld\n"
	"	stosw\n"
	"	mov	%cx, %cs:0x3000\n"
	"	hlt\n");

static void mmio_real_mode(void)
{
	struct guest *g = guest_new(REAL, mmio_real_code);

	must(vm_set_slot(g->vm, 0, 0, 0, 0, NULL));
	must(vm_set_slot(g->vm, 0, 0, 0, 0xd0000, g->memory));
	check_equal(run_to_mmio_write(g, 0xd0010, 1), 0x12);
	run_to_mmio_read(g, 0xd0020, 2, 0xbeef);
	check_equal(run_to_mmio_write(g, 0xd0030, 4), 0x11223344);
	check_equal(run_to_mmio_write(g, 0xd0000, 2), 0xd000);
	run_to(g, KVM_EXIT_HLT);
	check_equal(*(uint16_t *)(g->memory + 0x3000), 0xbeef);
}

GUEST(mmio_loop_code, 64,
	"	mov	$1000, %ecx\n"
	"1:	mov	%ecx, 0x10000040\n"
	"	mov	0x10000044, %eax\n"
	"	add	%rax, %rbx\n"
	"	dec	%ecx\n"
	"	jnz	1b\n"
	"	hlt\n");

static void mmio_repeated(void)
{
	struct guest *g = guest_new(LONG, mmio_loop_code);
	uint8_t *page = map_pages(PAGE);

	for (uint64_t i = 1000; i > 500; i--) {
		check_equal(run_to_mmio_write(g, GUEST_MMIO + 0x40, 4), i);
		run_to_mmio_read(g, GUEST_MMIO + 0x44, 4, i);
	}
	guest_complete(g);
	/* What was MMIO a moment ago becomes memory: nothing may remember it as MMIO. */
	must(vm_set_slot(g->vm, 1, 0, GUEST_MMIO, PAGE, page));
	*(uint32_t *)(page + 0x44) = 1;
	run_to(g, KVM_EXIT_HLT);
	check_equal(*(uint32_t *)(page + 0x40), 1);
	check_equal(vcpu_regs(g->vcpu).rbx, (1000 * 1001 - 500 * 501) / 2 + 500);
}

GUEST(halt_code, 64,
	"	hlt\n"
	"	mov	$7, %eax\n"
	"	hlt\n"
	"	jmp	.-1\n");

static void halt(void)
{
	struct guest *g = guest_new(LONG, halt_code);

	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).rip, GUEST_CODE + 1);
	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).rax, 7);
	for (int i = 0; i < 100; i++)
		run_to(g, KVM_EXIT_HLT);
}

GUEST(triple_code, 64,
	"	lidt	limit(%rip)\n"
	"	ud2\n"
	"	hlt\n"
	"limit:	.word	0\n"
	"	.quad	0\n");

static void shutdown_triple_fault(void)
{
	struct guest *g = guest_new(LONG, triple_code);

	run_to(g, KVM_EXIT_SHUTDOWN);
	/* A VM in shutdown is not dead: a reset from userspace brings it back. */
	guest_load(g, halt_code);
	vcpu_set_mode(g->vcpu, LONG);
	run_to(g, KVM_EXIT_HLT);
}

static void fail_entry(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	struct kvm_sregs sregs = vcpu_sregs(g->vcpu);
	int error;

	/* Both L and D in a 64-bit code segment: VMRUN must not take it (volume 2, 15.5.1). */
	sregs.cs.db = 1;
	if (ioctl(g->vcpu, KVM_SET_SREGS, &sregs)) {
		check_equal(errno, EINVAL);
		skip("KVM_SET_SREGS refuses the state");
	}
	error = guest_run(g);
	check_equal(error, 0);
	if (g->run->exit_reason == KVM_EXIT_HLT)
		skip("the processor takes the state");
	check_equal(g->run->exit_reason, KVM_EXIT_FAIL_ENTRY);
	vcpu_set_mode(g->vcpu, LONG);
	run_to(g, KVM_EXIT_HLT);
}

GUEST(fetch_code, 64,
	"	mov	$0x10000000, %eax\n"
	"	jmp	*%rax\n");

static void internal_error(void)
{
	struct guest *g = guest_new(LONG, fetch_code);

	run_to(g, KVM_EXIT_INTERNAL_ERROR);
	check_equal(g->run->internal.suberror, KVM_INTERNAL_ERROR_EMULATION);
	check(g->run->internal.ndata <= ARRAY_SIZE(g->run->internal.data));
	check_equal(vcpu_regs(g->vcpu).rip, GUEST_MMIO);
	guest_load(g, halt_code);
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	run_to(g, KVM_EXIT_HLT);
}

GUEST(window_code, 64,
	"	mov	$100, %ecx\n"
	"1:	dec	%ecx\n"
	"	jnz	1b\n"
	"	sti\n"
	"	nop\n"
	"2:	jmp	2b\n");

static void irq_window(void)
{
	struct guest *g = guest_new(LONG, window_code);

	g->run->request_interrupt_window = 1;
	run_to(g, KVM_EXIT_IRQ_WINDOW_OPEN);
	check_equal(g->run->if_flag, 1);
	check_equal(g->run->ready_for_interrupt_injection, 1);
	check_equal(vcpu_regs(g->vcpu).rcx, 0);
	/* Open already: at once again. */
	run_to(g, KVM_EXIT_IRQ_WINDOW_OPEN);
}

GUEST(immediate_code, 64,
	"	in	$0x10, %al\n"
	"	mov	0x10000000, %ebx\n"
	"	mov	%ebx, 0x10000008\n"
	"	addl	$1, 0x10000010\n"
	"	out	%al, $0x20\n"
	"	hlt\n");

static void immediate_exit(void)
{
	struct guest *g = guest_new(LONG, immediate_code);

	NEED(g->kvm, KVM_CAP_IMMEDIATE_EXIT);
	guest_complete(g);
	check_equal(vcpu_regs(g->vcpu).rip, GUEST_CODE);
	run_to(g, KVM_EXIT_IO);
	*(uint8_t *)pio_data(g) = 0x42;
	guest_complete(g);
	check_equal(vcpu_regs(g->vcpu).rax, 0x42);
	check_equal(vcpu_regs(g->vcpu).rip, GUEST_CODE + 2);
	guest_complete(g);
	check_equal(vcpu_regs(g->vcpu).rip, GUEST_CODE + 2);
	run_to_mmio_read(g, GUEST_MMIO, 4, 0x99);
	guest_complete(g);
	check_equal(vcpu_regs(g->vcpu).rbx, 0x99);
	check_equal(run_to_mmio_write(g, GUEST_MMIO + 8, 4), 0x99);
	guest_complete(g);
	run_to_mmio_read(g, GUEST_MMIO + 0x10, 4, 6);
	/* The second half of a read-modify-write is an exit of its own, even so. */
	g->run->immediate_exit = 1;
	run_to(g, KVM_EXIT_MMIO);
	check_equal(g->run->mmio.is_write, 1);
	check_equal(g->run->mmio.data[0], 7);
	check_equal(guest_run(g), EINTR);
	g->run->immediate_exit = 0;
	check_equal(run_to_out(g, 0x20), 0x42);
	guest_complete(g);
	run_to(g, KVM_EXIT_HLT);
}

GUEST(step_code, 64,
	"	nop\n"				/* 0 */
	"	mov	$5, %eax\n"		/* 1 */
	"	out	%al, $0x10\n"		/* 6 */
	"	cpuid\n"			/* 8 */
	"	mov	%eax, 0x10000000\n"	/* 10 */
	"	nop\n"				/* 17 */
	"	hlt\n");			/* 18 */

static void set_debug(struct guest *g, uint32_t control, uint64_t breakpoint, uint64_t dr7)
{
	struct kvm_guest_debug debug = { .control = control };

	debug.arch.debugreg[0] = breakpoint;
	debug.arch.debugreg[7] = dr7;
	must(ioctl(g->vcpu, KVM_SET_GUEST_DEBUG, &debug));
}

static void debug_single_step(void)
{
	static const uint64_t stops[] = { 1, 6, 8, 10, 17, 18 };
	struct guest *g = guest_new(LONG, step_code);
	uint64_t last = GUEST_CODE;

	NEED(g->kvm, KVM_CAP_SET_GUEST_DEBUG);
	for (size_t i = 0; i < ARRAY_SIZE(stops); i++) {
		set_debug(g, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP, 0, 0);
		if (stops[i] == 8)
			run_to_out(g, 0x10);
		if (stops[i] == 17) {
			run_to_mmio_write(g, GUEST_MMIO, 4);
			set_debug(g, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP, 0, 0);
		}
		run_to(g, KVM_EXIT_DEBUG);
		/* Bochs takes an entry with TF set for a step. */
		if (g->run->debug.arch.pc == last)
			run_to(g, KVM_EXIT_DEBUG);
		last = g->run->debug.arch.pc;
		/* The kernel's KVM does not stop behind an instruction that wrote to MMIO. */
		if (stops[i] == 17 && g->run->debug.arch.pc == GUEST_CODE + 18)
			i++;
		check_equal(g->run->debug.arch.exception, VECTOR_DB);
		check_equal(g->run->debug.arch.pc, GUEST_CODE + stops[i]);
		check_equal(g->run->debug.arch.dr6 & (1 << 14), 1 << 14);
	}
	check_equal(vcpu_regs(g->vcpu).rflags & RFLAGS_TF, 0);
	set_debug(g, 0, 0, 0);
	run_to(g, KVM_EXIT_HLT);
}

static void debug_hardware_breakpoint(void)
{
	struct guest *g = guest_new(LONG, step_code);

	NEED(g->kvm, KVM_CAP_SET_GUEST_DEBUG);
	if (host_is_tcg())
		skip("the emulated processor ignores DR7 of a VMCB");
	set_debug(g, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP, GUEST_CODE + 1, 0x402);
	run_to(g, KVM_EXIT_DEBUG);
	check_equal(g->run->debug.arch.exception, VECTOR_DB);
	check_equal(g->run->debug.arch.pc, GUEST_CODE + 1);
	check_equal(g->run->debug.arch.dr6 & 0xf, 1);
	set_debug(g, 0, 0, 0);
	run_to_out(g, 0x10);
}

GUEST(watch_code, 64,
	"	movl	$1, 0xa010\n"
	"	movl	$1, 0xa000\n"
	"1:	nop\n"
	"	hlt\n");

static void debug_watchpoint(void)
{
	struct guest *g = guest_new(LONG, watch_code);

	NEED(g->kvm, KVM_CAP_SET_GUEST_DEBUG);
	if (host_is_tcg())
		skip("the emulated processor ignores DR7 of a VMCB");
	/* DR7: G0, a write of four bytes. */
	set_debug(g, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP, GUEST_DATA, 0xd0402);
	run_to(g, KVM_EXIT_DEBUG);
	check_equal(g->run->debug.arch.pc, GUEST_CODE + 22);
	check_equal(g->run->debug.arch.dr6 & 0xf, 1);
	run_to(g, KVM_EXIT_HLT);
}

GUEST(software_code, 64,
	"	nop\n"
	"	int3\n"
	"	hlt\n");

static void debug_software_breakpoint(void)
{
	struct guest *g = guest_new(LONG, software_code);

	NEED(g->kvm, KVM_CAP_SET_GUEST_DEBUG);
	if (host_is_tcg())
		skip("the emulated processor ignores the intercept of INT3");
	set_debug(g, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP, 0, 0);
	run_to(g, KVM_EXIT_DEBUG);
	check_equal(g->run->debug.arch.exception, VECTOR_BP);
	check_equal(g->run->debug.arch.pc, GUEST_CODE + 1);
	check_equal(guest_report(g)->count, 0);
	/* Without the request it is the guest's own. */
	set_debug(g, 0, 0, 0);
	run_to_exception(g, VECTOR_BP, 0);
	check_equal(guest_report(g)->rip, GUEST_CODE + 2);
}

static void debug_bad_arguments(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	struct kvm_guest_debug debug = { .control = 0 };

	must_fail(ioctl(g->vcpu, KVM_SET_GUEST_DEBUG, NULL), EFAULT);
	must(ioctl(g->vcpu, KVM_SET_GUEST_DEBUG, &debug));
	/* Both injections of one ioctl cannot be; nor may one join a pending exception. */
	debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_DB;
	must(ioctl(g->vcpu, KVM_SET_GUEST_DEBUG, &debug));
	must_fail(ioctl(g->vcpu, KVM_SET_GUEST_DEBUG, &debug), EBUSY);
	run_to_exception(g, VECTOR_DB, 0);
}

static void bad_arguments(void)
{
	struct guest *g = guest_new(LONG, halt_code);

	must_fail(ioctl(g->vcpu, KVM_RUN, 1), EINVAL);
	must_fail(ioctl(g->vcpu, KVM_RUN, g->run), EINVAL);
	g->run->kvm_valid_regs = 1ull << 31;
	must_fail(ioctl(g->vcpu, KVM_RUN, 0), EINVAL);
	g->run->kvm_valid_regs = 0;
	g->run->kvm_dirty_regs = 1ull << 31;
	must_fail(ioctl(g->vcpu, KVM_RUN, 0), EINVAL);
	g->run->kvm_dirty_regs = 0;
	run_to(g, KVM_EXIT_HLT);
}

/* Userspace may scribble over the run page at any time; it only hurts itself. */
static void run_page_scribbled(void)
{
	struct guest *g = guest_new(LONG, immediate_code);
	uint64_t seed = 1;

	for (int round = 0; round < 200; round++) {
		uint64_t *words = (uint64_t *)g->run;

		vcpu_set_mode(g->vcpu, LONG);
		for (int i = 0; i < 4; i++) {
			guest_run(g);
			for (size_t n = 0; n < sizeof(*g->run) / 8; n++)
				words[n] = random_next(&seed);
			g->run->kvm_valid_regs = 0;
			g->run->kvm_dirty_regs = 0;
			g->run->request_interrupt_window = 0;
			g->run->immediate_exit = random_next(&seed) & 1;
		}
		g->run->immediate_exit = 1;
		while (guest_run(g) != EINTR)
			;
	}
	g->run->immediate_exit = 0;
	g->run->cr8 = 0;
	guest_load(g, halt_code);
	vcpu_set_mode(g->vcpu, LONG);
	run_to(g, KVM_EXIT_HLT);
}

GUEST(nops_code, 64,
	"	nop\n"
	"	nop\n"
	"	nop\n"
	"	nop\n"
	"	hlt\n");

/* What comes from outside waits while a debugger says so, also over steps. */
static void debug_blocks_events(void)
{
	struct guest *g = guest_new(LONG, nops_code);
	struct kvm_vcpu_events events;

	set_debug(g, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_BLOCKIRQ, 0, 0);
	must(ioctl(g->vcpu, KVM_NMI, 0));
	for (unsigned int i = 1; i <= 3; i++) {
		run_to(g, KVM_EXIT_DEBUG);
		check_equal(vcpu_regs(g->vcpu).rip, GUEST_CODE + i);
	}
	must(ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &events));
	check_equal(events.nmi.pending, 1);
	set_debug(g, 0, 0, 0);
	run_to_exception(g, VECTOR_NMI, 0);
	check_equal(guest_report(g)->rip, GUEST_CODE + 3);
	run_to(g, KVM_EXIT_HLT);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "OUT of 1, 2 and 4 bytes", pio_out },
		{ "IN of 1, 2 and 4 bytes", pio_in },
		{ "OUTS of 1, 2 and 4 bytes", pio_outs },
		{ "REP OUTS, both directions, count 0", pio_rep_outs },
		{ "INS and REP INS", pio_ins },
		{ "REP INS to an unmapped page", pio_ins_fault },
		{ "MMIO writes of all widths", mmio_writes },
		{ "MMIO reads, with zero and sign extension", mmio_reads },
		{ "MMIO across a page border", mmio_page_crossing },
		{ "MMIO at the border of a slot", mmio_slot_borders },
		{ "MMIO by arithmetic, read-modify-write, exchange", mmio_alu },
		{ "MMIO by string instructions", mmio_strings },
		{ "MMIO of 16 bytes", mmio_sse },
		{ "MMIO by x87 loads, and one left to userspace", mmio_x87 },
		{ "MMIO by PUSH and POP", mmio_stack },
		{ "MMIO in real mode", mmio_real_mode },
		{ "MMIO a thousand times, then memory in its place", mmio_repeated },
		{ "HLT", halt },
		{ "SHUTDOWN by triple fault, and reset", shutdown_triple_fault },
		{ "FAIL_ENTRY", fail_entry },
		{ "INTERNAL_ERROR on a fetch from MMIO", internal_error },
		{ "IRQ_WINDOW_OPEN", irq_window },
		{ "immediate_exit completes what is open", immediate_exit },
		{ "DEBUG by single step", debug_single_step },
		{ "DEBUG by single step, with events blocked", debug_blocks_events },
		{ "DEBUG by hardware breakpoint", debug_hardware_breakpoint },
		{ "DEBUG by watchpoint", debug_watchpoint },
		{ "DEBUG by software breakpoint", debug_software_breakpoint },
		{ "KVM_SET_GUEST_DEBUG with bad arguments", debug_bad_arguments },
		{ "KVM_RUN with bad arguments", bad_arguments },
		{ "garbage in the run page", run_page_scribbled },
	};

	return RUN_CASES("run", cases);
}
