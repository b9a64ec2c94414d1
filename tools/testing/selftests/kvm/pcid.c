// SPDX-License-Identifier: GPL-2.0
/*
 * Process-context identifiers: CR4.PCIDE and bit 63 of CR3, what INVPCID takes and what it refuses,
 * and what a guest sees of its tables after each kind of flush. With nested paging most of it is
 * the processor's, without it is ours. SDM 3, 2.5 and 4.10; SDM 2, INVPCID.
 */
#include <fcntl.h>
#include "guest.h"

#define PARAMETER	"/sys/module/kvm/parameters/force_emulation_prefix"

#define CR3_NOFLUSH	(1ull << 63)
#define CR3_PCD		(1ull << 4)
#define CR4_PGE		(1ull << 7)
#define CR4_PCIDE	(1ull << 17)
#define PTE_G		(1ull << 8)
#define DONE_PORT	0xe1

/* A second root over the same tables, and the table of the 2 MiB from WINDOW on */
#define OTHER_PML4	0x20000u
#define TABLE		0x21000u
#define WINDOW		0x200000u
#define FIRST		0x201000u	/* pages that WINDOW shows */
#define SECOND		0x202000u
#define UNMAPPED	0x203000u
#define DESCRIPTOR	GUEST_DATA

enum kind { ADDRESS, SPACE, ALL, ALL_BUT_GLOBAL, NR_KINDS };

/* Each with its operands in RBX and RDI, and its result in RAX */
GUEST(pcid_code, 64,
	"pcid_cr3:	mov	%rbx, %cr3\n"
	"	mov	%cr3, %rax\n"
	"	jmp	1f\n"
	"pcid_cr4:	mov	%rbx, %cr4\n"
	"	mov	%cr4, %rax\n"
	"	jmp	1f\n"
	"pcid_forced:	.byte 0x0f, 0x0b, 'k', 'v', 'm'\n"
	"pcid_invpcid:	invpcid	(%rdi), %rbx\n"
	"	jmp	1f\n"
	"pcid_write:	mov	%rbx, (%rdi)\n"
	"	jmp	1f\n"
	"pcid_read:	mov	(%rdi), %rax\n"
	"1:	out	%al, $0xe1\n");
extern const uint8_t pcid_cr3[], pcid_cr4[], pcid_invpcid[], pcid_forced[], pcid_write[],
		     pcid_read[];

GUEST(legacy_code, 32,
	"	mov	%cr4, %eax\n"
	"	or	$0x20000, %eax\n"
	"	mov	%eax, %cr4\n"
	"	out	%al, $0xe1\n");

/* The vector of the exception that came of it, or -1; *result: RAX. */
static int run_at(struct guest *g, const uint8_t *label, uint64_t rbx, uint64_t rdi,
		  uint64_t *result)
{
	struct kvm_regs regs = vcpu_regs(g->vcpu);
	const struct guest_report *report = guest_report(g);
	uint64_t count = report->count;

	regs.rip = guest_address(g, label);
	regs.rbx = rbx;
	regs.rdi = rdi;
	vcpu_set_regs(g->vcpu, &regs);
	run_to(g, KVM_EXIT_IO);
	guest_complete(g);
	if (report->count != count) {
		check_equal(g->run->io.port, REPORT_PORT);
		/* Back to where it was, at its own level. */
		vcpu_set_regs(g->vcpu, &regs);
		return report->vector;
	}
	check_equal(g->run->io.port, DONE_PORT);
	regs = vcpu_regs(g->vcpu);
	if (result)
		*result = regs.rax;
	return -1;
}

static void want_at(const char *file, int line, struct guest *g, const uint8_t *label,
		    uint64_t rbx, uint64_t rdi, int vector)
{
	int got = run_at(g, label, rbx, rdi, NULL);

	if (got != vector)
		fail("%s:%d: vector %d, not %d", file, line, got, vector);
}

#define want(g, label, rbx, rdi, vector) \
	want_at(__FILE__, __LINE__, g, label, rbx, rdi, vector)

static uint64_t value_of(struct guest *g, const uint8_t *label, uint64_t rbx, uint64_t rdi)
{
	uint64_t result = 0;

	check_equal(run_at(g, label, rbx, rdi, &result), -1);
	return result;
}

static struct guest *pcid_guest(void)
{
	struct guest *g = guest_new(LONG, pcid_code);

	if (!cpuid_offers(g->kvm, 1, true, 17))
		skip("no PCID on this processor");
	vcpu_set_supported_cpuid(g->kvm, g->vcpu);
	return g;
}

static struct guest *invpcid_guest(void)
{
	struct guest *g = pcid_guest();

	if (!cpuid_offers(g->kvm, 7, false, 10))
		skip("no INVPCID on this processor");
	return g;
}

/* ---- control registers ----------------------------------------------------------------------- */

static void control_registers(void)
{
	struct guest *g = pcid_guest();
	uint64_t cr4 = vcpu_sregs(g->vcpu).cr4;

	/* Without PCIDE bit 63 is reserved; with one of bits 11:0 set PCIDE cannot be. */
	want(g, pcid_cr3, GUEST_PML4 | CR3_NOFLUSH, 0, VECTOR_GP);
	check_equal(value_of(g, pcid_cr3, GUEST_PML4 | CR3_PCD, 0), GUEST_PML4 | CR3_PCD);
	want(g, pcid_cr4, cr4 | CR4_PCIDE, 0, VECTOR_GP);
	check_equal(value_of(g, pcid_cr3, GUEST_PML4, 0), GUEST_PML4);
	check_equal(value_of(g, pcid_cr4, cr4 | CR4_PCIDE, 0), cr4 | CR4_PCIDE);
	check_equal(vcpu_sregs(g->vcpu).cr4, cr4 | CR4_PCIDE);

	check_equal(value_of(g, pcid_cr3, GUEST_PML4 | 5, 0), GUEST_PML4 | 5);
	check_equal(value_of(g, pcid_cr3, GUEST_PML4 | 0xfff | CR3_NOFLUSH, 0),
		    GUEST_PML4 | 0xfff);
	check_equal(vcpu_sregs(g->vcpu).cr3, GUEST_PML4 | 0xfff);
	want(g, pcid_cr3, GUEST_PML4 | 1ull << 62, 0, VECTOR_GP);
	want(g, pcid_cr3, GUEST_PML4 | CR3_NOFLUSH | 1ull << 52, 0, VECTOR_GP);
	check_equal(vcpu_sregs(g->vcpu).cr3, GUEST_PML4 | 0xfff);
	/* Off it goes whatever CR3 has; on again not. */
	check_equal(value_of(g, pcid_cr4, cr4, 0), cr4);
	want(g, pcid_cr4, cr4 | CR4_PCIDE, 0, VECTOR_GP);
}

/* Userspace restores what a guest had. */
static void special_registers(void)
{
	struct guest *g = pcid_guest();
	struct kvm_sregs s = vcpu_sregs(g->vcpu);

	s.cr4 |= CR4_PCIDE;
	s.cr3 = GUEST_PML4 | 7;
	must(ioctl(g->vcpu, KVM_SET_SREGS, &s));
	check_equal(value_of(g, pcid_cr3, GUEST_PML4 | 8 | CR3_NOFLUSH, 0), GUEST_PML4 | 8);
	s.cr3 = GUEST_PML4 | 7 | CR3_NOFLUSH;
	check(ioctl(g->vcpu, KVM_SET_SREGS, &s) == -1 && errno == EINVAL);
	check_equal(vcpu_sregs(g->vcpu).cr3, GUEST_PML4 | 8);
}

static void outside_long_mode(void)
{
	struct guest *g;

	pcid_guest();
	g = guest_new(PROTECTED, legacy_code);
	vcpu_set_supported_cpuid(g->kvm, g->vcpu);
	/* #GP, and there is nobody to take it */
	run_to(g, KVM_EXIT_SHUTDOWN);
}

static void without_cpuid(void)
{
	struct guest *g = invpcid_guest();
	struct kvm_cpuid2 *cpuid = cpuid_supported(g->kvm);
	uint64_t cr4 = vcpu_sregs(g->vcpu).cr4;

	cpuid_find(cpuid, 1, 0)->ecx &= ~(1u << 17);
	cpuid_find(cpuid, 7, 0)->ebx &= ~(1u << 10);
	must(ioctl(g->vcpu, KVM_SET_CPUID2, cpuid));
	free(cpuid);
	want(g, pcid_cr4, cr4 | CR4_PCIDE, 0, VECTOR_GP);
	want(g, pcid_invpcid, ALL, DESCRIPTOR, VECTOR_UD);
}

/* ---- INVPCID --------------------------------------------------------------------------------- */

static void set_descriptor(struct guest *g, uint64_t space, uint64_t address)
{
	uint64_t *descriptor = (uint64_t *)(g->memory + DESCRIPTOR);

	descriptor[0] = space;
	descriptor[1] = address;
}

static void check_operands(struct guest *g, const uint8_t *insn)
{
	uint64_t cr4 = vcpu_sregs(g->vcpu).cr4 & ~CR4_PCIDE;

	check_equal(value_of(g, pcid_cr4, cr4, 0), cr4);
	for (uint64_t kind = 0; kind < NR_KINDS; kind++) {
		set_descriptor(g, 0, WINDOW);
		want(g, insn, kind, DESCRIPTOR, -1);
		set_descriptor(g, 3, WINDOW);
		want(g, insn, kind, DESCRIPTOR, kind < ALL ? VECTOR_GP : -1);
	}
	check_equal(value_of(g, pcid_cr4, cr4 | CR4_PCIDE, 0), cr4 | CR4_PCIDE);
	for (uint64_t kind = 0; kind < NR_KINDS; kind++) {
		set_descriptor(g, 0xfff, WINDOW);
		want(g, insn, kind, DESCRIPTOR, -1);
		set_descriptor(g, 0x1000, WINDOW);
		want(g, insn, kind, DESCRIPTOR, VECTOR_GP);
		set_descriptor(g, 1ull << 63, WINDOW);
		want(g, insn, kind, DESCRIPTOR, VECTOR_GP);
		set_descriptor(g, 3, 1ull << 60);
		want(g, insn, kind, DESCRIPTOR, kind == ADDRESS ? VECTOR_GP : -1);
	}
	set_descriptor(g, 0, 0);
	want(g, insn, NR_KINDS, DESCRIPTOR, VECTOR_GP);
	/* Bochs reads half of the register here. */
	if (insn == pcid_forced)
		want(g, insn, 1ull << 32, DESCRIPTOR, VECTOR_GP);
	want(g, insn, ALL, UNMAPPED, VECTOR_PF);
	check_equal(guest_report(g)->error, 0);
	check_equal(guest_report(g)->cr2, UNMAPPED);
}

static void unmap(struct guest *g)
{
	guest_map_4k(g, TABLE, WINDOW);
	((uint64_t *)(g->memory + TABLE))[(UNMAPPED - WINDOW) / PAGE] = 0;
}

static void operands(void)
{
	struct guest *g = invpcid_guest();

	unmap(g);
	check_operands(g, pcid_invpcid);
	guest_to_user(g);
	want(g, pcid_invpcid, ALL, DESCRIPTOR, VECTOR_GP);
}

static void operands_emulated(void)
{
	struct guest *g = invpcid_guest();
	int fd = open(PARAMETER, O_RDWR);

	if (fd < 0)
		skip("there is no parameter kvm.force_emulation_prefix");
	check_equal(write(fd, "1", 1), 1);
	unmap(g);
	check_operands(g, pcid_forced);
	check_equal(pwrite(fd, "0", 1, 0), 1);
	close(fd);
}

/* ---- what a flush does ----------------------------------------------------------------------- */

struct spaces {
	struct guest *g;
	uint64_t flags;			/* of the entry that changes */
	bool second;			/* which page it is to show */
	unsigned int here;		/* the space that the guest is in */
};

static uint64_t root_of(unsigned int space)
{
	return (space == 1 ? GUEST_PML4 : OTHER_PML4) | space;
}

static void go_to(struct spaces *s, unsigned int space, uint64_t noflush)
{
	s->here = space;
	check_equal(value_of(s->g, pcid_cr3, root_of(space) | noflush, 0), root_of(space));
}

/* The guest itself changes what WINDOW is to show. */
static void change(struct spaces *s)
{
	s->second = !s->second;
	want(s->g, pcid_write, (s->second ? SECOND : FIRST) | s->flags, TABLE, -1);
}

static void invalidate(struct spaces *s, enum kind kind, unsigned int space)
{
	set_descriptor(s->g, space, WINDOW);
	want(s->g, pcid_invpcid, kind, DESCRIPTOR, -1);
}

static void look(struct spaces *s)
{
	check_equal(value_of(s->g, pcid_read, 0, WINDOW), s->second ? SECOND : FIRST);
}

static void spaces_create(struct spaces *s, uint64_t flags)
{
	struct guest *g = invpcid_guest();
	uint64_t cr4 = vcpu_sregs(g->vcpu).cr4 | CR4_PCIDE | CR4_PGE;

	*s = (struct spaces) {
		.g = g, .flags = PTE_P | PTE_W | PTE_U | flags, .second = true,
	};
	guest_map_4k(g, TABLE, WINDOW);
	memcpy(g->memory + OTHER_PML4, g->memory + GUEST_PML4, PAGE);
	*(uint64_t *)(g->memory + FIRST) = FIRST;
	*(uint64_t *)(g->memory + SECOND) = SECOND;
	change(s);
	check_equal(value_of(g, pcid_cr4, cr4, 0), cr4);
	go_to(s, 1, 0);
	look(s);
}

static void flushes(void)
{
	struct spaces s;
	unsigned int round;
	enum kind kind;

	spaces_create(&s, 0);
	/* A load of CR3 flushes its own space, wherever the change was made. */
	for (round = 0; round < 4; round++) {
		change(&s);
		go_to(&s, s.here, 0);
		look(&s);
		go_to(&s, 3 - s.here, 0);
		look(&s);
	}
	/* Nothing of a space is there once it has been flushed, though another has used the table. */
	for (round = 0; round < 4; round++) {
		invalidate(&s, SPACE, 3 - s.here);
		look(&s);
		change(&s);
		go_to(&s, 3 - s.here, CR3_NOFLUSH);
		look(&s);
		invalidate(&s, ADDRESS, 3 - s.here);
		change(&s);
		invalidate(&s, ADDRESS, s.here);
		look(&s);
	}
	/* Each kind, for this space and for the other */
	for (kind = ADDRESS; kind < NR_KINDS; kind++) {
		for (round = 0; round < 4; round++) {
			look(&s);
			change(&s);
			invalidate(&s, kind, 3 - s.here);
			invalidate(&s, kind, s.here);
			look(&s);
			go_to(&s, 3 - s.here, CR3_NOFLUSH);
			look(&s);
		}
	}
}

static void global_pages(void)
{
	struct spaces s;
	uint64_t cr4;

	spaces_create(&s, PTE_G);
	for (unsigned int round = 0; round < 3; round++) {
		change(&s);
		invalidate(&s, ALL, 0);
		look(&s);
		go_to(&s, 3 - s.here, CR3_NOFLUSH);
		look(&s);
	}
	cr4 = vcpu_sregs(s.g->vcpu).cr4;
	change(&s);
	want(s.g, pcid_cr4, cr4 & ~CR4_PGE, 0, -1);
	look(&s);
	change(&s);
	want(s.g, pcid_cr4, cr4 & ~(CR4_PGE | CR4_PCIDE), 0, -1);
	look(&s);
}

static const struct test_case cases[] = {
	{ "CR4.PCIDE, and bit 63 of CR3", control_registers },
	{ "as userspace sets them", special_registers },
	{ "no PCIDE outside long mode", outside_long_mode },
	{ "neither without its CPUID bit", without_cpuid },
	{ "what INVPCID takes and refuses", operands },
	{ "the same, emulated", operands_emulated },
	{ "what a guest sees after a flush", flushes },
	{ "and of global pages", global_pages },
};

int main(int argc, char **argv)
{
	return RUN_CASES("pcid", cases);
}
