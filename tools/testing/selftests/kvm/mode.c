// SPDX-License-Identifier: GPL-2.0
/*
 * The guest changes its mode itself: real, protected, long and back, and what it must not do in
 * CR0, CR4, EFER and XCR0. AMD64 manual, volume 2, chapters 3 and 14.
 */
#include "guest.h"

/* From the reset state's real mode to long mode, by the manual's steps, a port write in each. */
GUEST(climb_code, 16,
	"	cli\n"
	"	out	%al, $0x10\n"
	"	lgdtl	%cs:0x1000 + climb_gdt - climb_code\n"
	"	mov	%cr0, %eax\n"
	"	or	$1, %al\n"
	"	mov	%eax, %cr0\n"
	"	ljmpl	$0x18, $0x1000 + climb_32 - climb_code\n"
	"	.code32\n"
	"climb_32:	mov	$0x10, %ax\n"
	"	mov	%ax, %ds\n"
	"	mov	%ax, %es\n"
	"	mov	%ax, %ss\n"
	"	mov	$0xa000, %esp\n"
	"	out	%al, $0x11\n"
	"	mov	%cr4, %eax\n"
	"	or	$0x20, %eax\n"
	"	mov	%eax, %cr4\n"
	"	mov	$0xb000, %eax\n"
	"	mov	%eax, %cr3\n"
	"	mov	$0xc0000080, %ecx\n"
	"	rdmsr\n"
	"	or	$0x100, %eax\n"
	"	wrmsr\n"
	"	mov	%cr0, %eax\n"
	"	or	$0x80000000, %eax\n"
	"	mov	%eax, %cr0\n"
	"	out	%al, $0x12\n"			/* compatibility mode */
	"	ljmp	$0x08, $0x1000 + climb_64 - climb_code\n"
	"	.code64\n"
	"climb_64:	mov	$0x1122334455667788, %rax\n"
	"	out	%al, $0x13\n"
	"	push	%rax\n"
	"	pop	%rbx\n"
	"	pushq	$0x18\n"			/* and down again */
	"	pushq	$0x1000 + descend_32 - climb_code\n"
	"	lretq\n"
	"	.code32\n"
	"descend_32:	out	%al, $0x14\n"
	"	mov	%cr0, %eax\n"
	"	and	$0x7fffffff, %eax\n"
	"	mov	%eax, %cr0\n"
	"	mov	$0xc0000080, %ecx\n"
	"	rdmsr\n"
	"	and	$~0x100, %eax\n"
	"	wrmsr\n"
	"	out	%al, $0x15\n"
	"	ljmp	$0x20, $0x1000 + descend_16 - climb_code\n"
	"	.code16\n"
	"descend_16:	mov	$0x28, %ax\n"
	"	mov	%ax, %ds\n"
	"	mov	%ax, %es\n"
	"	mov	%ax, %ss\n"
	"	mov	%cr0, %eax\n"
	"	and	$0xfe, %al\n"
	"	mov	%eax, %cr0\n"
	"	ljmp	$0, $0x1000 + descend_real - climb_code\n"
	"descend_real:	xor	%ax, %ax\n"
	"	mov	%ax, %ds\n"
	"	mov	%ax, %ss\n"
	"	out	%al, $0x16\n"
	"	mov	0xa000, %cx\n"
	"	hlt\n"
	"climb_gdt:	.word	0x3f\n"
	"	.long	0x5000\n");

static void climb_and_descend(void)
{
	/* A long mode guest for the tables it brings, put into real mode. */
	struct guest *g = guest_new(LONG, climb_code);
	int fresh = must(ioctl(g->vm, KVM_CREATE_VCPU, 1));
	struct kvm_sregs sregs;

	vcpu_set_supported_cpuid(g->kvm, fresh);
	g->vcpu = fresh;
	g->run = vcpu_map_run(g->kvm, fresh, &g->run_size);
	vcpu_set_mode(fresh, REAL);
	*(uint16_t *)(g->memory + GUEST_DATA) = 0x4567;
	for (int round = 0; round < 5; round++) {
		vcpu_set_rip(fresh, GUEST_CODE);
		run_to_out(g, 0x10);
		check_equal(vcpu_sregs(fresh).cr0 & CR0_PE, 0);
		run_to_out(g, 0x11);
		sregs = vcpu_sregs(fresh);
		check_equal(sregs.cr0 & (CR0_PE | CR0_PG), CR0_PE);
		check_equal(sregs.cs.db, 1);
		check_equal(sregs.cs.selector, SELECTOR_CODE32);
		run_to_out(g, 0x12);
		sregs = vcpu_sregs(fresh);
		check_equal(sregs.efer & (EFER_LME | EFER_LMA), EFER_LME | EFER_LMA);
		check_equal(sregs.cs.l, 0);
		check_equal(run_to_out(g, 0x13), 0x88);
		check_equal(vcpu_sregs(fresh).cs.l, 1);
		check_equal(vcpu_regs(fresh).rax, 0x1122334455667788);
		run_to_out(g, 0x14);
		check_equal(vcpu_regs(fresh).rbx, 0x1122334455667788);
		run_to_out(g, 0x15);
		sregs = vcpu_sregs(fresh);
		check_equal(sregs.efer, 0);
		check_equal(sregs.cr0 & (CR0_PE | CR0_PG), CR0_PE);
		run_to_out(g, 0x16);
		check_equal(vcpu_sregs(fresh).cr0 & CR0_PE, 0);
		run_to(g, KVM_EXIT_HLT);
		check_equal(vcpu_regs(fresh).rcx & 0xffff, 0x4567);
	}
}

/* RAX holds the value; the label's instruction loads it, then the guest halts. */
GUEST(control_code, 64,
	"	mov	%rax, %cr0\n"
	"	hlt\n"
	"control_cr3:	mov	%rax, %cr3\n"
	"	hlt\n"
	"control_cr4:	mov	%rax, %cr4\n"
	"	hlt\n"
	"control_xcr0:	xor	%edx, %edx\n"
	"	xor	%ecx, %ecx\n"
	"	xsetbv\n"
	"	hlt\n"
	"control_clts:	clts\n"
	"	hlt\n"
	"control_lmsw:	lmsw	%ax\n"
	"	hlt\n"
	"control_cr8:	mov	%rax, %cr8\n"
	"	hlt\n"
	"control_wbinvd:	wbinvd\n"
	"	invd\n"
	"	invlpg	0xa000\n"
	"	hlt\n"
	"control_smsw:	smsw	%rax\n"
	"	hlt\n");
extern const uint8_t control_cr3[], control_cr4[], control_xcr0[], control_clts[], control_lmsw[],
	control_wbinvd[], control_smsw[];

/* Executes the instruction with the value; true when it was taken, false on #GP(0). */
static bool load(struct guest *g, const uint8_t *instruction, uint64_t value)
{
	struct kvm_regs regs = vcpu_regs(g->vcpu);

	regs.rip = guest_address(g, instruction);
	regs.rax = value;
	regs.rsp = GUEST_STACK;
	vcpu_set_regs(g->vcpu, &regs);
	check_equal(guest_run(g), 0);
	if (g->run->exit_reason == KVM_EXIT_HLT)
		return true;
	check_equal(g->run->exit_reason, KVM_EXIT_IO);
	guest_complete(g);
	if (guest_report(g)->vector != VECTOR_GP || guest_report(g)->error != 0)
		fail("exception %llu error %#llx",
		     (unsigned long long)guest_report(g)->vector,
		     (unsigned long long)guest_report(g)->error);
	return false;
}

/*
 * TCG does not look at reserved bits in the upper halves of control registers, and the kernel's
 * KVM drops them where the processor has no decode assists.
 */
#define TAKES_UPPER_HALVES host_is_tcg()

static void cr0(void)
{
	struct guest *g = guest_new(LONG, control_code);
	uint64_t start = vcpu_sregs(g->vcpu).cr0;

	check(load(g, control_code, start | CR0_TS));
	check_equal(vcpu_sregs(g->vcpu).cr0, start | CR0_TS);
	check(load(g, control_clts, 0));
	check_equal(vcpu_sregs(g->vcpu).cr0, start);
	check(load(g, control_code, start | CR0_CD));
	check_equal(vcpu_sregs(g->vcpu).cr0, start | CR0_CD);
	check(load(g, control_code, start | CR0_CD | CR0_NW));
	check(load(g, control_code, start));
	check(!load(g, control_code, start | CR0_NW));
	check(!load(g, control_code, start & ~CR0_PE));
	if (!TAKES_UPPER_HALVES) {
		check(!load(g, control_code, start | 1ull << 32));
		check(!load(g, control_code, start | 1ull << 63));
	}
	check(load(g, control_code, start & ~CR0_WP));
	check_equal(vcpu_sregs(g->vcpu).cr0, start & ~CR0_WP);
	check(load(g, control_code, start));
	check_equal(vcpu_sregs(g->vcpu).cr0, start);
	check(load(g, control_smsw, 0));
	check_equal(vcpu_regs(g->vcpu).rax & 0xffff, start & 0xffff);
	check(load(g, control_lmsw, CR0_PE | CR0_MP | CR0_TS));
	check_equal(vcpu_sregs(g->vcpu).cr0, (start & ~0xfull) | CR0_PE | CR0_MP | CR0_TS);
	check(load(g, control_lmsw, 0));			/* PE cannot be cleared so */
	check_equal(vcpu_sregs(g->vcpu).cr0 & 0xf, CR0_PE);
}

static void cr3(void)
{
	struct guest *g = guest_new(LONG, control_code);
	uint64_t *pml4 = (uint64_t *)(g->memory + GUEST_FREE);

	pml4[0] = GUEST_PDPT | PTE_P | PTE_W | PTE_U;
	check(load(g, control_cr3, GUEST_FREE));
	check_equal(vcpu_sregs(g->vcpu).cr3, GUEST_FREE);
	check(load(g, control_cr3, GUEST_FREE | 0x18));
	check_equal(vcpu_sregs(g->vcpu).cr3, GUEST_FREE | 0x18);
	check(load(g, control_cr3, GUEST_PML4));
	if (!TAKES_UPPER_HALVES) {
		check(!load(g, control_cr3, GUEST_PML4 | 1ull << 62));
		check(!load(g, control_cr3, GUEST_PML4 | 1ull << 52));
	}
	check_equal(vcpu_sregs(g->vcpu).cr3, GUEST_PML4);
}

static void cr4(void)
{
	struct guest *g = guest_new(LONG, control_code);
	uint64_t start = vcpu_sregs(g->vcpu).cr4;

	check(load(g, control_cr4, start | 1 << 7));		/* PGE */
	check_equal(vcpu_sregs(g->vcpu).cr4, start | 1 << 7);
	check(load(g, control_cr4, start | 1 << 2));		/* TSD */
	check(load(g, control_cr4, start));
	check(!load(g, control_cr4, start & ~CR4_PAE));
	if (!TAKES_UPPER_HALVES) {
		check(!load(g, control_cr4, start | 1ull << 63));
		check(!load(g, control_cr4, start | 1ull << 32));
	}
	check(!load(g, control_cr4, start | 1ull << 15));
	check(!load(g, control_cr4, start | 1ull << 13));	/* VMXE */
	check_equal(vcpu_sregs(g->vcpu).cr4, start);
}

static void cr4_follows_cpuid(void)
{
	static const struct { uint32_t leaf, is_ecx, bit; uint64_t cr4; } features[] = {
		{ 1, 1, 26, 1 << 18 },	/* XSAVE, OSXSAVE */
		{ 1, 1, 17, 1 << 17 },	/* PCID */
		{ 7, 0, 7, 1 << 20 },	/* SMEP */
		{ 7, 0, 20, 1 << 21 },	/* SMAP */
		{ 7, 0, 0, 1 << 16 },	/* FSGSBASE */
		{ 7, 1, 16, 1 << 12 },	/* LA57 */
	};
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		struct guest *g = guest_new(LONG, control_code);
		struct kvm_cpuid2 *cpuid = cpuid_supported(g->kvm);
		struct kvm_cpuid_entry2 *leaf = cpuid_find(cpuid, features[i].leaf, 0);
		uint32_t *word;

		if (!leaf)
			continue;
		word = features[i].is_ecx ? &leaf->ecx : &leaf->ebx;
		*word &= ~(1u << features[i].bit);
		must(ioctl(g->vcpu, KVM_SET_CPUID2, cpuid));
		if (load(g, control_cr4, vcpu_sregs(g->vcpu).cr4 | features[i].cr4))
			fail("CR4 takes %#llx without its CPUID bit",
			     (unsigned long long)features[i].cr4);
	}
}

static void xcr0(void)
{
	struct guest *g = guest_new(LONG, control_code);
	struct kvm_sregs sregs = vcpu_sregs(g->vcpu);

	NEED(g->vm, KVM_CAP_XCRS);
	if (host_is_tcg())
		skip("the emulated processor does not intercept XSETBV");
	sregs.cr4 |= CR4_OSXSAVE;
	must(ioctl(g->vcpu, KVM_SET_SREGS, &sregs));
	check(load(g, control_xcr0, 3));
	check(!load(g, control_xcr0, 0));
	check(!load(g, control_xcr0, 2));
	check(!load(g, control_xcr0, 5));
	check(!load(g, control_xcr0, 1 << 30));
}

static void cache_instructions(void)
{
	struct guest *g = guest_new(LONG, control_code);

	memset(g->memory + GUEST_DATA, 0x31, 16);
	check(load(g, control_wbinvd, 0));
	check_equal(g->memory[GUEST_DATA], 0x31);
}

/* The same at CPL 3, where each must be refused. */
GUEST(user_code, 64,
	"	pushq	$0x4b\n"
	"	pushq	$0xa000\n"
	"	pushq	$2\n"
	"	pushq	$0x43\n"
	"	pushq	%rbx\n"
	"	iretq\n"
	"user_cr0:	mov	%rax, %cr0\n"
	"user_cr3:	mov	%cr3, %rax\n"
	"user_hlt:	hlt\n"
	"user_rdmsr:	rdmsr\n"
	"user_wrmsr:	wrmsr\n"
	"user_cli:	cli\n"
	"user_out:	out	%al, $0x10\n"
	"user_in:	in	$0x10, %al\n"
	"user_outs:	outsb\n"
	"user_lgdt:	lgdt	0xa000\n"
	"user_clts:	clts\n"
	"user_invlpg:	invlpg	0xa000\n"
	"user_wbinvd:	wbinvd\n"
	"user_cr8:	mov	%rax, %cr8\n");
extern const uint8_t user_cr0[], user_cr3[], user_hlt[], user_rdmsr[], user_wrmsr[],
	user_cli[], user_out[], user_in[], user_outs[], user_lgdt[], user_clts[], user_invlpg[],
	user_wbinvd[], user_cr8[];

static void user_mode(void)
{
	const uint8_t *const list[] = {
		user_cr0, user_cr3, user_hlt, user_rdmsr, user_wrmsr, user_cli, user_out, user_in,
		user_outs, user_lgdt, user_clts, user_invlpg, user_wbinvd, user_cr8,
	};
	struct guest *g = guest_new(LONG, user_code);
	uint64_t *gdt = (uint64_t *)(g->memory + GUEST_GDT);
	struct kvm_sregs sregs;

	gdt[0x48 / 8] = 0x00cff3000000ffff;		/* data, DPL 3 */
	gdt[0x40 / 8] = 0x00affb000000ffff;		/* 64-bit code, DPL 3 */
	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		struct kvm_regs regs;

		vcpu_set_mode(g->vcpu, LONG);
		sregs = vcpu_sregs(g->vcpu);
		sregs.gdt.limit = 0x4f;
		sregs.tr.limit = 0x67;		/* no map that allows ports */
		memset(g->memory + sregs.tr.base + 0x66, 0xff, 2);
		must(ioctl(g->vcpu, KVM_SET_SREGS, &sregs));
		regs = vcpu_regs(g->vcpu);
		regs.rbx = guest_address(g, list[i]);
		vcpu_set_regs(g->vcpu, &regs);
		run_to_exception(g, VECTOR_GP, 0);
		check_equal(guest_report(g)->rip, guest_address(g, list[i]));
		check_equal(guest_report(g)->cs, 0x43);
		check_equal(guest_report(g)->count, i + 1);
	}
}

/* ---- SYSCALL ------------------------------------------------------------------------------ */

GUEST(syscall_code, 64,
	"	syscall\n"
	"syscall_target:\n"
	"	out	%al, $0x10\n");
extern const uint8_t syscall_target[];

/* What EFER.SCE forbids is #UD, whatever the host has in its own EFER (SDM 2, SYSCALL). */
static void syscall_enable(void)
{
	struct guest *g = guest_new(LONG, syscall_code);
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vcpu_set_msr(g->vcpu, 0xc0000081, 0x08ull << 32 | 0x18ull << 48);	/* STAR */
	vcpu_set_msr(g->vcpu, 0xc0000082, guest_address(g, syscall_target));	/* LSTAR */
	for (unsigned int i = 0; i < 6; i++) {
		vcpu_set_mode(g->vcpu, LONG);
		sregs = vcpu_sregs(g->vcpu);
		sregs.efer = (sregs.efer & ~1ull) | (i & 1);
		must(ioctl(g->vcpu, KVM_SET_SREGS, &sregs));
		if (!(i & 1)) {
			run_to_exception(g, VECTOR_UD, 0);
			check_equal(guest_report(g)->rip, GUEST_CODE);
			continue;
		}
		run_to_out(g, 0x10);
		regs = vcpu_regs(g->vcpu);
		check_equal(regs.rcx, guest_address(g, syscall_target));
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "real, protected, compatibility, long, and back", climb_and_descend },
		{ "CR0", cr0 },
		{ "CR3", cr3 },
		{ "CR4", cr4 },
		{ "CR4 follows CPUID", cr4_follows_cpuid },
		{ "XCR0", xcr0 },
		{ "WBINVD, INVD, INVLPG", cache_instructions },
		{ "privileged instructions at CPL 3", user_mode },
		{ "SYSCALL as EFER.SCE allows", syscall_enable },
	};

	return RUN_CASES("mode", cases);
}
