// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that run twice, with and without the prefix that has their instructions emulated. Two runs
 * that end by the same exit with the same state have done the same.
 */
#include "comparison.h"

void set_emulation_prefix(const char *value)
{
	if (!write_text(EMULATION_PREFIX, value))
		skip("no " EMULATION_PREFIX);
}

void write_descriptors(struct guest *g)
{
	static const uint8_t landing[] = {
		0x8c, 0xca,			/* mov %cs, %edx */
		0x49, 0x89, 0xe3,		/* mov %rsp, %r11 */
		0x48, 0xcb,			/* lretq */
	};
	uint64_t *gdt = (uint64_t *)(g->memory + GUEST_GDT);
	struct kvm_sregs sregs = vcpu_sregs(g->vcpu);

	gdt[0x40 / 8] = 0x00affb000000ffff;
	gdt[0x48 / 8] = 0x00cff3000000ffff;
	gdt[0x50 / 8] = 0x00cffb000000ffff;
	gdt[0x58 / 8] = 0xec0000080000ull | LANDING;
	gdt[0x60 / 8] = 0;
	gdt[0x68 / 8] = 0x00af9f000000ffff;		/* conforming */
	gdt[0x70 / 8] = 0x00cf13000000ffff;
	gdt[0x78 / 8] = 0x00008200900000ff;		/* LDT */
	gdt[0x88 / 8] = 0x0000890060000067;		/* TSS */
	memcpy(g->memory + LANDING, landing, sizeof(landing));
	sregs.gdt.limit = 0x9f;
	must(ioctl(g->vcpu, KVM_SET_SREGS, &sregs));
	for (unsigned int vector = 0; vector < 256; vector++)
		if (vector == 3 || vector == 4 || vector >= 0x80)
			g->memory[GUEST_IDT + vector * 16 + 5] = 0xee;
}

/* A trap returns to the next instruction, a fault to its own: that is where a guest ends. */
static bool goes_on(struct guest *g)
{
	uint64_t vector = guest_report(g)->vector;

	if (g->run->exit_reason != KVM_EXIT_IO || g->run->io.port != REPORT_PORT)
		return false;
	return vector == VECTOR_DB || vector == VECTOR_BP || vector == 0x80;
}

static struct guest *run_whole(const struct comparison *c, bool forced)
{
	const uint8_t *code = forced ? c->forced : c->native;
	struct guest *g = guest_new_sized(c->mode, code, forced ? c->forced_end : c->native_end);
	unsigned int exits = 0;

	if (c->mode == LONG)
		write_descriptors(g);
	do {
		check_equal(guest_run(g), 0);
		if (++exits > 100)
			fail("no end");
	} while (goes_on(g));
	return g;
}

#define SAME(field) \
	do { \
		if (a->field != b->field) \
			fail("%s: " #field " is %#llx, natively %#llx", name, \
			     (unsigned long long)b->field, (unsigned long long)a->field); \
	} while (0)

static void same_segment(const char *name, const struct kvm_segment *a, const struct kvm_segment *b)
{
	SAME(selector);
	/* What is behind a null selector in long mode is the processor's own affair. */
	if ((a->unusable || !a->present) && (b->unusable || !b->present))
		return;
	if (!(a->selector & ~3u) && b->unusable)
		return;
	SAME(base);
	SAME(limit);
	SAME(type);
	SAME(present);
	SAME(dpl);
	SAME(db);
	SAME(s);
	SAME(l);
	SAME(g);
}

static void same_system_registers(const struct kvm_sregs *a, const struct kvm_sregs *b)
{
	const char *name = "sregs";

	same_segment("cs", &a->cs, &b->cs);
	same_segment("ds", &a->ds, &b->ds);
	same_segment("es", &a->es, &b->es);
	same_segment("fs", &a->fs, &b->fs);
	same_segment("gs", &a->gs, &b->gs);
	same_segment("ss", &a->ss, &b->ss);
	same_segment("tr", &a->tr, &b->tr);
	same_segment("ldt", &a->ldt, &b->ldt);
	SAME(gdt.base);
	SAME(gdt.limit);
	SAME(idt.base);
	SAME(idt.limit);
	SAME(cr0);
	SAME(cr2);
	SAME(cr3);
	SAME(cr4);
	SAME(cr8);
	SAME(efer);
}

static void same_registers(const struct kvm_regs *a, const struct kvm_regs *b)
{
	static const char *const names[] = {
		"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11",
		"r12", "r13", "r14", "r15", "rip", "rflags",
	};
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (x[i] != y[i])
			fail("%s is %#llx, natively %#llx", names[i], y[i], x[i]);
}

/* RF in the frame of a fault, which QEMU's processor leaves out */
static bool is_resume_flag(const struct guest *a, const struct guest *b, size_t i)
{
	return host_is_tcg() && i % 8 == 2 && (a->memory[i] ^ b->memory[i]) == 1 &&
	       ((i >= 0x9f00 && i < GUEST_STACK) || i == GUEST_REPORT + 0x22);
}

static void same_memory(const struct guest *a, const struct guest *b)
{
	for (size_t i = 0; i < 0x20000; i++)
		if (a->memory[i] != b->memory[i] && (i < GUEST_CODE || i >= LANDING) &&
		    !is_resume_flag(a, b, i))
			fail("byte %#zx is %#x, natively %#x", i, b->memory[i], a->memory[i]);
}

void compare(const struct comparison *c)
{
	struct kvm_sregs sregs[2];
	struct kvm_regs regs[2];
	struct guest *g[2];

	set_emulation_prefix("1");
	for (int i = 0; i < 2; i++) {
		g[i] = run_whole(c, i);
		regs[i] = vcpu_regs(g[i]->vcpu);
		sregs[i] = vcpu_sregs(g[i]->vcpu);
	}
	if (g[0]->run->exit_reason != g[1]->run->exit_reason)
		fail("%s, natively %s", exit_name(g[1]->run->exit_reason),
		     exit_name(g[0]->run->exit_reason));
	for (int i = 0; i < 2; i++)
		if (g[i]->run->exit_reason == KVM_EXIT_IO && g[i]->run->io.port == REPORT_PORT)
			note("%s: vector %llu, error %#llx", i ? "emulated" : "native",
			     (unsigned long long)guest_report(g[i])->vector,
			     (unsigned long long)guest_report(g[i])->error);
	same_registers(&regs[0], &regs[1]);
	same_system_registers(&sregs[0], &sregs[1]);
	same_memory(g[0], g[1]);
}
