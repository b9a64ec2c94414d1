// SPDX-License-Identifier: GPL-2.0
/*
 * State of a vcpu that userspace reads and writes: what goes in comes out and is what the guest
 * sees, nonsense is refused and changes nothing. AMD64 manual, volume 2, chapters 3 and 4 for the
 * registers, 14.1.3 for their values after reset.
 */
#include "guest.h"

#include <linux/kvm_para.h>
#include <sys/mman.h>

GUEST(halt_code, 64, "1:	hlt\n	jmp	1b\n");

struct msr_block {
	struct kvm_msrs head;
	struct kvm_msr_entry entry[300];
};

static void reset_state(void)
{
	int kvm = open_kvm();
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	int vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0));
	struct kvm_regs regs = vcpu_regs(vcpu);
	struct kvm_sregs sregs = vcpu_sregs(vcpu);
	uint64_t value;

	check_equal(regs.rip, 0xfff0);
	check_equal(regs.rflags, 2);
	check_equal(regs.rax | regs.rbx | regs.rcx | regs.rsi | regs.rdi | regs.rsp | regs.rbp, 0);
	check_equal(sregs.cs.base, 0xffff0000);
	check_equal(sregs.cs.selector, 0xf000);
	check_equal(sregs.cs.limit, 0xffff);
	check_equal(sregs.ds.base | sregs.ss.base | sregs.ds.selector | sregs.ss.selector, 0);
	check_equal(sregs.ds.limit, 0xffff);
	check_equal(sregs.idt.base, 0);
	check_equal(sregs.idt.limit, 0xffff);
	check_equal(sregs.cr0, CR0_CD | CR0_NW | CR0_ET);
	check_equal(sregs.cr2 | sregs.cr3 | sregs.cr4 | sregs.cr8 | sregs.efer, 0);
	check_equal(sregs.apic_base & ~0x100ull, 0xfee00800);
	check(vcpu_get_msr(vcpu, MSR_PAT, &value));
	check_equal(value, 0x0007040600070406);
}

GUEST(store_code, 64,
	"	mov	%rax, 0x20000\n"
	"	mov	%rbx, 0x20008\n"
	"	mov	%rcx, 0x20010\n"
	"	mov	%rdx, 0x20018\n"
	"	mov	%rsi, 0x20020\n"
	"	mov	%rdi, 0x20028\n"
	"	mov	%rsp, 0x20030\n"
	"	mov	%rbp, 0x20038\n"
	"	mov	%r8, 0x20040\n"
	"	mov	%r9, 0x20048\n"
	"	mov	%r10, 0x20050\n"
	"	mov	%r11, 0x20058\n"
	"	mov	%r12, 0x20060\n"
	"	mov	%r13, 0x20068\n"
	"	mov	%r14, 0x20070\n"
	"	mov	%r15, 0x20078\n"
	"	not	%rax\n"
	"	not	%rsp\n"
	"	not	%r15\n"
	"	stc\n"
	"	hlt\n");

static void general_registers(void)
{
	struct guest *g = guest_new(LONG, store_code);
	struct kvm_regs regs = vcpu_regs(g->vcpu), back;
	uint64_t *word = (uint64_t *)&regs, seed = 3;

	/* The first 16 fields are the registers in the order the guest stores them. */
	for (int i = 0; i < 16; i++)
		word[i] = random_next(&seed);
	regs.rflags = RFLAGS_FIXED | 0x8d5 | 0x400;
	vcpu_set_regs(g->vcpu, &regs);
	back = vcpu_regs(g->vcpu);
	check(!memcmp(&back, &regs, sizeof(regs)));
	run_to(g, KVM_EXIT_HLT);
	check(!memcmp(g->memory + GUEST_FREE, &regs, 16 * 8));
	back = vcpu_regs(g->vcpu);
	check_equal(back.rax, ~regs.rax);
	check_equal(back.rsp, ~regs.rsp);
	check_equal(back.r15, ~regs.r15);
	check_equal(back.rbp, regs.rbp);
	/* Bit 1 of RFLAGS is always set, asked for or not. */
	regs.rflags = 0;
	vcpu_set_regs(g->vcpu, &regs);
	check_equal(vcpu_regs(g->vcpu).rflags, RFLAGS_FIXED);
}

static void special_registers(void)
{
	for (enum guest_mode mode = REAL; mode <= LONG; mode++) {
		struct guest *g = guest_new(mode, halt_code);
		struct kvm_sregs first = vcpu_sregs(g->vcpu), second;

		must(ioctl(g->vcpu, KVM_SET_SREGS, &first));
		second = vcpu_sregs(g->vcpu);
		check(!memcmp(&first, &second, sizeof(first)));
		first.cr2 = 0x123456789000;
		first.fs.base = 0x7000000000;
		first.gs.base = 0xffff800000000000;
		first.gs.selector = 0x10;
		first.ldt.base = 0x3000;
		first.ldt.limit = 0x1f;
		first.ldt.selector = 0x38;
		first.ldt.type = 2;
		first.ldt.present = 1;
		first.ldt.unusable = 0;
		first.idt.limit = 0x123;
		first.gdt.base = 0x5000;
		first.cr8 = 4;
		must(ioctl(g->vcpu, KVM_SET_SREGS, &first));
		second = vcpu_sregs(g->vcpu);
		check_equal(second.cr2, first.cr2);
		check_equal(second.fs.base, first.fs.base);
		check_equal(second.gs.base, first.gs.base);
		check_equal(second.gs.selector, 0x10);
		check(!memcmp(&second.ldt, &first.ldt, sizeof(first.ldt)));
		check_equal(second.idt.limit, 0x123);
		check_equal(second.gdt.base, 0x5000);
		check_equal(second.cr8, 4);
		check_equal(second.cr0, first.cr0);
		check_equal(second.efer, first.efer);
	}
}

struct nonsense {
	const char *name;
	enum guest_mode mode;
	uint64_t cr0_set, cr0_clear, cr3_set, cr4_set, cr4_clear, efer_set, efer_clear;
};

static void special_registers_nonsense(void)
{
	static const struct nonsense list[] = {
		{ "CR0 bit 32", LONG, .cr0_set = 1ull << 32 },
		{ "CR0 bit 63", REAL, .cr0_set = 1ull << 63 },
		{ "NW without CD", LONG, .cr0_set = CR0_NW, .cr0_clear = CR0_CD },
		{ "PG without PE", REAL, .cr0_set = CR0_PG },
		{ "PG without PE in long mode", LONG, .cr0_clear = CR0_PE },
		{ "CR4 bit 63", LONG, .cr4_set = 1ull << 63 },
		{ "CR4 bit 15", LONG, .cr4_set = 1ull << 15 },
		{ "CR4 bit 31", PROTECTED, .cr4_set = 1ull << 31 },
		{ "CR4.VMXE", LONG, .cr4_set = 1ull << 13 },
		{ "long mode without PAE", LONG, .cr4_clear = CR4_PAE },
		{ "LME and PG without LMA", LONG, .efer_clear = EFER_LMA },
		{ "LMA without LME", LONG, .efer_clear = EFER_LME },
		{ "LMA without PG", LONG, .cr0_clear = CR0_PG },
		{ "EFER bit 63", LONG, .efer_set = 1ull << 63 },
		{ "EFER bit 1", LONG, .efer_set = 1ull << 1 },
		{ "EFER bit 17", REAL, .efer_set = 1ull << 17 },
		{ "CR3 bit 63", LONG, .cr3_set = 1ull << 63 },
		{ "CR3 bit 52", LONG, .cr3_set = 1ull << 52 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		const struct nonsense *bad = &list[i];
		struct guest *g = guest_new(bad->mode, halt_code);
		struct kvm_sregs sregs = vcpu_sregs(g->vcpu), before = sregs, after;

		sregs.cr0 = (sregs.cr0 & ~bad->cr0_clear) | bad->cr0_set;
		sregs.cr3 |= bad->cr3_set;
		sregs.cr4 = (sregs.cr4 & ~bad->cr4_clear) | bad->cr4_set;
		sregs.efer = (sregs.efer & ~bad->efer_clear) | bad->efer_set;
		sregs.cr2 = 0x5555;
		errno = 0;
		if (ioctl(g->vcpu, KVM_SET_SREGS, &sregs) != -1 || errno != EINVAL)
			fail("%s: %s", bad->name, errno ? strerror(errno) : "accepted");
		after = vcpu_sregs(g->vcpu);
		if (memcmp(&before, &after, sizeof(before)))
			fail("%s is refused, but something changed", bad->name);
		run_to(g, KVM_EXIT_HLT);
	}
}

static void apic_base_nonsense(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	struct kvm_sregs sregs = vcpu_sregs(g->vcpu), before = sregs, after;

	sregs.apic_base |= 1;
	must_fail(ioctl(g->vcpu, KVM_SET_SREGS, &sregs), EINVAL);
	sregs.apic_base = before.apic_base | 1ull << 63;
	must_fail(ioctl(g->vcpu, KVM_SET_SREGS, &sregs), EINVAL);
	after = vcpu_sregs(g->vcpu);
	check(!memcmp(&before, &after, sizeof(before)));
}

/* Segments without sense are no error to set; running may fail, the host may not. */
static void segment_nonsense(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	struct kvm_sregs good = vcpu_sregs(g->vcpu), sregs;
	uint64_t seed = 11;

	for (int i = 0; i < 300; i++) {
		struct kvm_segment *segments = &sregs.cs;

		sregs = good;
		for (int s = 0; s < 8; s++) {
			uint64_t bits = random_next(&seed);

			/* TCG gives up, host and all, on a bad TSS (segment 6) at CPL 3. */
			if (bits & 3 || (host_is_tcg() && s >= 5))
				continue;
			segments[s].base = random_next(&seed);
			segments[s].limit = random_next(&seed);
			segments[s].selector = bits >> 8;
			segments[s].type = bits >> 24 & 15;
			segments[s].present = bits >> 28 & 1;
			segments[s].dpl = bits >> 29 & 3;
			segments[s].db = bits >> 31 & 1;
			segments[s].s = bits >> 32 & 1;
			segments[s].l = bits >> 33 & 1;
			segments[s].g = bits >> 34 & 1;
			segments[s].unusable = bits >> 35 & 1;
		}
		if (random_next(&seed) & 1)
			sregs.idt.base = random_next(&seed);
		if (random_next(&seed) & 1)
			sregs.gdt.base = random_next(&seed);
		if (!ioctl(g->vcpu, KVM_SET_SREGS, &sregs)) {
			for (int turn = 0; turn < 3; turn++)
				guest_run(g);
		}
		vcpu_set_mode(g->vcpu, LONG);
	}
	must(ioctl(g->vcpu, KVM_SET_SREGS, &good));
	vcpu_set_mode(g->vcpu, LONG);
	run_to(g, KVM_EXIT_HLT);
}

static void special_registers2(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	struct kvm_sregs2 first, second;
	struct kvm_sregs old = vcpu_sregs(g->vcpu);

	NEED(g->vm, KVM_CAP_SREGS2);
	must(ioctl(g->vcpu, KVM_GET_SREGS2, &first));
	check_equal(first.flags, 0);
	check(!memcmp(&first, &old, offsetof(struct kvm_sregs2, flags)));
	must(ioctl(g->vcpu, KVM_SET_SREGS2, &first));
	must(ioctl(g->vcpu, KVM_GET_SREGS2, &second));
	check(!memcmp(&first, &second, sizeof(first)));
	first.flags = 1u << 31;
	must_fail(ioctl(g->vcpu, KVM_SET_SREGS2, &first), EINVAL);
	/* PDPTRs exist under PAE paging only. */
	first.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	must_fail(ioctl(g->vcpu, KVM_SET_SREGS2, &first), EINVAL);
	run_to(g, KVM_EXIT_HLT);
}

/*
 * The guest uses both units before userspace writes them: the kernel's KVM loses what is written
 * to a unit that is still in its initial state.
 */
GUEST(fpu_code, 64,
	"	movups	0xa000, %xmm0\n"
	"	fld1\n"
	"	hlt\n"
	"	movups	%xmm0, 0x20000\n"
	"	movups	%xmm15, 0x20010\n"
	"	fstpt	0x20020\n"
	"	movups	%xmm0, %xmm7\n"
	"	fld1\n"
	"	hlt\n");

static void fpu_registers(void)
{
	struct guest *g = guest_new(LONG, fpu_code);
	struct kvm_fpu fpu, back;
	uint64_t seed = 9;

	must(ioctl(g->vcpu, KVM_GET_FPU, &fpu));
	check_equal(fpu.fcw, 0x37f);
	memset(g->memory + GUEST_DATA, 0x33, 16);
	run_to(g, KVM_EXIT_HLT);
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < 16; j++)
			fpu.xmm[i][j] = random_next(&seed);
	for (int i = 0; i < 8; i++)
		memcpy(fpu.fpr[i], "\0\0\0\0\0\0\0\x80\x00\x40\0\0\0\0\0", 16);	/* 2.0 */
	fpu.fcw = 0x27f;
	fpu.fsw = 0;
	fpu.ftwx = 0xff;
	must(ioctl(g->vcpu, KVM_SET_FPU, &fpu));
	must(ioctl(g->vcpu, KVM_GET_FPU, &back));
	check(!memcmp(back.xmm, fpu.xmm, sizeof(fpu.xmm)));
	check(!memcmp(back.fpr, fpu.fpr, sizeof(fpu.fpr)));
	check_equal(back.fcw, 0x27f);
	check_equal(back.ftwx, 0xff);
	run_to(g, KVM_EXIT_HLT);
	check(!memcmp(g->memory + 0x20000, fpu.xmm[0], 16));
	check(!memcmp(g->memory + 0x20010, fpu.xmm[15], 16));
	check(!memcmp(g->memory + 0x20020, fpu.fpr[0], 10));
	must(ioctl(g->vcpu, KVM_GET_FPU, &back));
	check(!memcmp(back.xmm[7], fpu.xmm[0], 16));
	check(!memcmp(back.fpr[0], "\0\0\0\0\0\0\0\x80\xff\x3f", 10));		/* 1.0 */
}

/* The host's own registers are its own: heavy use on both sides at once. */
GUEST(fpu_loop_code, 64,
	"	mov	$500, %ecx\n"
	"	movups	0xa000, %xmm3\n"
	"1:	out	%al, $0x10\n"
	"	movups	0xa000, %xmm4\n"
	"	pcmpeqb	%xmm3, %xmm4\n"
	"	pmovmskb %xmm4, %eax\n"
	"	cmp	$0xffff, %eax\n"
	"	jne	2f\n"
	"	dec	%ecx\n"
	"	jnz	1b\n"
	"2:	hlt\n");

static void fpu_kept_apart(void)
{
	struct guest *g = guest_new(LONG, fpu_loop_code);
	uint64_t host[2] = { 0x0123456789abcdef, 0xfedcba9876543210 }, back[2];

	memset(g->memory + GUEST_DATA, 0x5a, 16);
	for (int i = 0; i < 500; i++) {
		int result;

		host[0] += i;
		asm volatile("movups %[host], %%xmm3\n\t"
			     "movups %[host], %%xmm13\n\t"
			     "syscall\n\t"
			     "movups %%xmm3, %[back]\n\t"
			     "pxor %%xmm13, %%xmm3\n\t"
			     : [back] "=m" (back), "=a" (result)
			     : [host] "m" (host), "a" (16), "D" (g->vcpu), "S" (KVM_RUN), "d" (0)
			     : "rcx", "r11", "xmm3", "xmm13", "memory");
		check_equal(result, 0);
		check_equal(g->run->exit_reason, KVM_EXIT_IO);
		check(!memcmp(host, back, sizeof(host)));
	}
	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).rcx, 0);
}

static void xsave(void)
{
	struct guest *g = guest_new(LONG, fpu_code);
	struct kvm_xsave *first, *second;
	uint32_t *mxcsr;
	struct kvm_fpu fpu;

	NEED(g->vm, KVM_CAP_XSAVE);
	first = calloc(4, PAGE);
	second = calloc(4, PAGE);
	memset(g->memory + GUEST_DATA, 0x33, 16);
	run_to(g, KVM_EXIT_HLT);
	must(ioctl(g->vcpu, KVM_GET_FPU, &fpu));
	for (int i = 0; i < 256; i++)
		fpu.xmm[i / 16][i % 16] = i;
	must(ioctl(g->vcpu, KVM_SET_FPU, &fpu));
	must(ioctl(g->vcpu, KVM_GET_XSAVE, first));
	check(!memcmp((uint8_t *)first->region + 160, fpu.xmm, 256));
	must(ioctl(g->vcpu, KVM_SET_XSAVE, first));
	must(ioctl(g->vcpu, KVM_GET_XSAVE, second));
	check(!memcmp(first, second, sizeof(*first)));
	((uint8_t *)first->region)[160] = 0x99;
	must(ioctl(g->vcpu, KVM_SET_XSAVE, first));
	run_to(g, KVM_EXIT_HLT);
	check_equal(g->memory[0x20000], 0x99);
	check_equal(g->memory[0x20001], 1);
	mxcsr = &first->region[6];
	check_equal(*mxcsr, 0x1f80);
	*mxcsr = 0xffff0000;
	must_fail(ioctl(g->vcpu, KVM_SET_XSAVE, first), EINVAL);
	*mxcsr = 0x1f80;
	if (extension(g->vm, KVM_CAP_XCRS)) {
		first->region[128 + 1] |= 1u << 30;		/* XSTATE_BV bit 62 */
		must_fail(ioctl(g->vcpu, KVM_SET_XSAVE, first), EINVAL);
		first->region[128 + 1] &= ~(1u << 30);
	}
	must(ioctl(g->vcpu, KVM_SET_XSAVE, first));
}

static void xsave2(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	int size = extension(g->vm, KVM_CAP_XSAVE2);
	uint8_t *first, *second;
	uint8_t *area;

	if (!size)
		skip("no KVM_CAP_XSAVE2");
	check(size >= (int)sizeof(struct kvm_xsave));
	/* The buffer ends where the size says, and an unmapped page follows. */
	area = map_pages(8 * PAGE);
	must(munmap(area + 7 * PAGE, PAGE));
	check(size <= (int)(7 * PAGE));
	first = area + 7 * PAGE - size;
	second = calloc(1, size);
	must(ioctl(g->vcpu, KVM_GET_XSAVE2, first));
	must(ioctl(g->vcpu, KVM_SET_XSAVE, first));
	must(ioctl(g->vcpu, KVM_GET_XSAVE2, second));
	check(!memcmp(first, second, size));
	must_fail(ioctl(g->vcpu, KVM_GET_XSAVE2, area + 7 * PAGE), EFAULT);
}

static void extended_control_registers(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	struct kvm_xcrs xcrs, back;

	NEED(g->vm, KVM_CAP_XCRS);
	memset(&xcrs, 0xff, sizeof(xcrs));
	must(ioctl(g->vcpu, KVM_GET_XCRS, &xcrs));
	check_equal(xcrs.nr_xcrs, 1);
	check_equal(xcrs.flags, 0);
	check_equal(xcrs.xcrs[0].xcr, 0);
	check_equal(xcrs.xcrs[0].value, 1);
	must(ioctl(g->vcpu, KVM_SET_XCRS, &xcrs));
	xcrs.xcrs[0].value = 3;
	must(ioctl(g->vcpu, KVM_SET_XCRS, &xcrs));
	xcrs.xcrs[0].value = 2;
	must_fail(ioctl(g->vcpu, KVM_SET_XCRS, &xcrs), EINVAL);
	xcrs.xcrs[0].value = 0;
	must_fail(ioctl(g->vcpu, KVM_SET_XCRS, &xcrs), EINVAL);
	xcrs.xcrs[0].value = 5;
	must_fail(ioctl(g->vcpu, KVM_SET_XCRS, &xcrs), EINVAL);
	xcrs.xcrs[0].value = 1 | 1ull << 62;
	must_fail(ioctl(g->vcpu, KVM_SET_XCRS, &xcrs), EINVAL);
	xcrs.xcrs[0].value = 1;
	xcrs.flags = 1;
	must_fail(ioctl(g->vcpu, KVM_SET_XCRS, &xcrs), EINVAL);
	xcrs.flags = 0;
	xcrs.nr_xcrs = KVM_MAX_XCRS + 1;
	must_fail(ioctl(g->vcpu, KVM_SET_XCRS, &xcrs), EINVAL);
	must(ioctl(g->vcpu, KVM_GET_XCRS, &back));
	check_equal(back.xcrs[0].value, 3);
}

static void msr_round_trip(void)
{
	static const uint32_t plain[] = {
		0x174, 0x175, 0x176, MSR_STAR, MSR_LSTAR, 0xc0000083, 0xc0000084,
		MSR_KERNEL_GS_BASE, MSR_FS_BASE, MSR_GS_BASE,
	};
	struct guest *g = guest_new(LONG, halt_code);
	struct msr_block msrs = { .head.nmsrs = ARRAY_SIZE(plain) };
	uint64_t value;

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		msrs.entry[i] = (struct kvm_msr_entry) { .index = plain[i],
							 .data = 0x1000 * (i + 1) };
	msrs.entry[3].data = 0x0023001000000000;
	check_equal(must(ioctl(g->vcpu, KVM_SET_MSRS, &msrs)), ARRAY_SIZE(plain));
	run_to(g, KVM_EXIT_HLT);
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		check(vcpu_get_msr(g->vcpu, plain[i], &value));
		check_equal(value, msrs.entry[i].data);
	}
	check(vcpu_set_msr(g->vcpu, MSR_PAT, 0x0000000000000006));
	check(vcpu_get_msr(g->vcpu, MSR_PAT, &value));
	check_equal(value, 6);
}

static void msr_partial(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	struct msr_block msrs = { .head.nmsrs = 3 };
	uint64_t value;

	msrs.entry[0] = (struct kvm_msr_entry) { .index = MSR_KERNEL_GS_BASE, .data = 0x7777 };
	msrs.entry[1] = (struct kvm_msr_entry) { .index = MSR_UNKNOWN, .data = 1 };
	msrs.entry[2] = (struct kvm_msr_entry) { .index = MSR_LSTAR, .data = 0x8888 };
	check_equal(must(ioctl(g->vcpu, KVM_SET_MSRS, &msrs)), 1);
	check(vcpu_get_msr(g->vcpu, MSR_KERNEL_GS_BASE, &value));
	check_equal(value, 0x7777);
	check(vcpu_get_msr(g->vcpu, MSR_LSTAR, &value));
	check_equal(value, 0);
	msrs.entry[0].data = 0;
	check_equal(must(ioctl(g->vcpu, KVM_GET_MSRS, &msrs)), 1);
	check_equal(msrs.entry[0].data, 0x7777);
	check_equal(msrs.entry[2].data, 0x8888);
	msrs.head.nmsrs = 0;
	check_equal(must(ioctl(g->vcpu, KVM_GET_MSRS, &msrs)), 0);
	msrs.head.nmsrs = 256;
	must_fail(ioctl(g->vcpu, KVM_GET_MSRS, &msrs), E2BIG);
	msrs.head.nmsrs = 0xffffffff;
	must_fail(ioctl(g->vcpu, KVM_SET_MSRS, &msrs), E2BIG);
}

static void msr_nonsense(void)
{
	static const struct { uint32_t index; uint64_t value; } bad[] = {
		{ MSR_LSTAR, 0x8000000000000000 }, { 0xc0000083, 0x0200000000000000 },
		{ MSR_KERNEL_GS_BASE, 0x1234567890abcdef }, { MSR_FS_BASE, 1ull << 63 },
		{ MSR_PAT, 2 }, { MSR_PAT, 8 }, { MSR_PAT, 0xff00000000000000 },
		{ MSR_EFER, 1ull << 63 }, { MSR_EFER, 2 },
	};
	struct guest *g = guest_new(LONG, halt_code);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t before, after;

		check(vcpu_get_msr(g->vcpu, bad[i].index, &before));
		if (vcpu_set_msr(g->vcpu, bad[i].index, bad[i].value))
			fail("MSR %#x takes %#llx", bad[i].index,
			     (unsigned long long)bad[i].value);
		check(vcpu_get_msr(g->vcpu, bad[i].index, &after));
		check_equal(after, before);
	}
	run_to(g, KVM_EXIT_HLT);
}

static void msr_list_written_back(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + 4 * 2000);
	uint64_t value;

	list->nmsrs = 2000;
	must(ioctl(g->kvm, KVM_GET_MSR_INDEX_LIST, list));
	for (uint32_t i = 0; i < list->nmsrs; i++) {
		if (!vcpu_get_msr(g->vcpu, list->indices[i], &value))
			fail("MSR %#x cannot be read", list->indices[i]);
		/* The kernel's KVM takes the first only with an interrupt controller of its own. */
		if (list->indices[i] == MSR_KVM_ASYNC_PF_INT ||
		    list->indices[i] == MSR_KVM_ASYNC_PF_ACK)
			continue;
		if (!vcpu_set_msr(g->vcpu, list->indices[i], value))
			fail("MSR %#x does not take back %#llx", list->indices[i],
			     (unsigned long long)value);
	}
	run_to(g, KVM_EXIT_HLT);
}

static void cpuid_round_trip(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	struct kvm_cpuid2 *set = cpuid_supported(g->kvm), *get = cpuid_new(256);
	uint32_t count = set->nent;

	must(ioctl(g->vcpu, KVM_SET_CPUID2, set));
	must(ioctl(g->vcpu, KVM_GET_CPUID2, get));
	check_equal(get->nent, count);
	for (uint32_t i = 0; i < count; i++) {
		check_equal(get->entries[i].function, set->entries[i].function);
		check_equal(get->entries[i].index, set->entries[i].index);
	}
	get->nent = count - 1;
	must_fail(ioctl(g->vcpu, KVM_GET_CPUID2, get), E2BIG);
	get->nent = 0;
	must_fail(ioctl(g->vcpu, KVM_GET_CPUID2, get), E2BIG);
	set->nent = 257;
	must_fail(ioctl(g->vcpu, KVM_SET_CPUID2, set), E2BIG);
	set->nent = 0xffffffff;
	must_fail(ioctl(g->vcpu, KVM_SET_CPUID2, set), E2BIG);
	set->nent = count;
	must(ioctl(g->vcpu, KVM_SET_CPUID2, set));
	run_to(g, KVM_EXIT_HLT);
	/* Once it has run, a processor does not change its kind. */
	must(ioctl(g->vcpu, KVM_SET_CPUID2, set));
	cpuid_find(set, 1, 0)->eax ^= 0x10;
	must_fail(ioctl(g->vcpu, KVM_SET_CPUID2, set), EINVAL);
}

static void cpuid_old(void)
{
	struct guest *g = guest_new(REAL, halt_code);
	struct kvm_cpuid *old = calloc(1, sizeof(*old) + 4 * sizeof(old->entries[0]));
	struct kvm_cpuid2 *get = cpuid_new(256);

	old->nent = 2;
	old->entries[0] = (struct kvm_cpuid_entry) { .function = 0, .eax = 1, .ebx = 0x11 };
	old->entries[1] = (struct kvm_cpuid_entry) { .function = 1, .eax = 0x22, .edx = 0x33 };
	must(ioctl(g->vcpu, KVM_SET_CPUID, old));
	must(ioctl(g->vcpu, KVM_GET_CPUID2, get));
	check_equal(get->nent, 2);
	check_equal(get->entries[0].ebx, 0x11);
	check_equal(get->entries[0].flags, 0);
	check_equal(get->entries[1].eax, 0x22);
	old->nent = 257;
	must_fail(ioctl(g->vcpu, KVM_SET_CPUID, old), E2BIG);
	get->nent = 0;
	must(ioctl(g->vcpu, KVM_SET_CPUID2, get));
	get->nent = 256;
	must(ioctl(g->vcpu, KVM_GET_CPUID2, get));
	check_equal(get->nent, 0);
}

static void vcpu_events(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	struct kvm_vcpu_events events, back;

	NEED(g->vm, KVM_CAP_VCPU_EVENTS);
	must(ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &events));
	check_equal(events.exception.injected | events.interrupt.injected | events.nmi.injected |
		    events.nmi.pending | events.nmi.masked | events.interrupt.shadow, 0);
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events));
	events.flags = 1u << 31;
	must_fail(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events), EINVAL);
	memset(&events, 0, sizeof(events));
	events.exception.injected = 1;
	events.exception.nr = 32;
	must_fail(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events), EINVAL);
	events.exception.nr = VECTOR_NMI;
	must_fail(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events), EINVAL);
	memset(&events, 0, sizeof(events));
	events.nmi.masked = 1;
	events.flags = KVM_VCPUEVENT_VALID_SHADOW;
	events.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	events.exception.injected = 1;
	events.exception.nr = VECTOR_GP;
	events.exception.has_error_code = 1;
	events.exception.error_code = 0x18;
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events));
	must(ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &back));
	check_equal(back.nmi.masked, 1);
	check(back.interrupt.shadow != 0);
	check_equal(back.exception.nr, VECTOR_GP);
	check_equal(back.exception.has_error_code, 1);
	check_equal(back.exception.error_code, 0x18);
	/* An interrupt on its way. */
	memset(&events, 0, sizeof(events));
	events.interrupt.injected = 1;
	events.interrupt.nr = 0x55;
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events));
	must(ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &back));
	check_equal(back.exception.injected, 0);
	check_equal(back.interrupt.injected, 1);
	check_equal(back.interrupt.nr, 0x55);
	check_equal(back.interrupt.soft, 0);
	run_to_exception(g, 0x55, 0);
}

static void debug_registers(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	struct kvm_debugregs debug, back;

	NEED(g->vm, KVM_CAP_DEBUGREGS);
	must(ioctl(g->vcpu, KVM_GET_DEBUGREGS, &debug));
	check_equal(debug.dr6, 0xffff0ff0);
	check_equal(debug.dr7, 0x400);
	check_equal(debug.db[0] | debug.db[1] | debug.db[2] | debug.db[3], 0);
	for (uint64_t i = 0; i < 4; i++)
		debug.db[i] = 0x1000 * (i + 5);
	debug.dr7 = 0x400 | 0x0;
	must(ioctl(g->vcpu, KVM_SET_DEBUGREGS, &debug));
	must(ioctl(g->vcpu, KVM_GET_DEBUGREGS, &back));
	check(!memcmp(&back, &debug, sizeof(debug)));
	debug.flags = 1;
	must_fail(ioctl(g->vcpu, KVM_SET_DEBUGREGS, &debug), EINVAL);
	debug.flags = 0;
	debug.dr6 = 1ull << 32;
	must_fail(ioctl(g->vcpu, KVM_SET_DEBUGREGS, &debug), EINVAL);
	debug.dr6 = 0xffff0ff0;
	debug.dr7 = 1ull << 33;
	must_fail(ioctl(g->vcpu, KVM_SET_DEBUGREGS, &debug), EINVAL);
	must(ioctl(g->vcpu, KVM_GET_DEBUGREGS, &debug));
	check(!memcmp(&back, &debug, sizeof(debug)));
	run_to(g, KVM_EXIT_HLT);
}

static void mp_state(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	struct kvm_mp_state state;

	NEED(g->vm, KVM_CAP_MP_STATE);
	must(ioctl(g->vcpu, KVM_GET_MP_STATE, &state));
	check_equal(state.mp_state, KVM_MP_STATE_RUNNABLE);
	must(ioctl(g->vcpu, KVM_SET_MP_STATE, &state));
	state.mp_state = 99;
	must_fail(ioctl(g->vcpu, KVM_SET_MP_STATE, &state), EINVAL);
	state.mp_state = 0xffffffff;
	must_fail(ioctl(g->vcpu, KVM_SET_MP_STATE, &state), EINVAL);
	/* Without an interrupt controller in the kernel nobody could send the INIT or SIPI. */
	state.mp_state = KVM_MP_STATE_INIT_RECEIVED;
	must_fail(ioctl(g->vcpu, KVM_SET_MP_STATE, &state), EINVAL);
	must(ioctl(g->vcpu, KVM_GET_MP_STATE, &state));
	check_equal(state.mp_state, KVM_MP_STATE_RUNNABLE);
	run_to(g, KVM_EXIT_HLT);
}

static void tsc_frequency(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	int khz;

	NEED(g->vm, KVM_CAP_GET_TSC_KHZ);
	khz = must(ioctl(g->vcpu, KVM_GET_TSC_KHZ, 0));
	check(khz > 1000);
	must(ioctl(g->vcpu, KVM_SET_TSC_KHZ, khz));
	check_equal(must(ioctl(g->vcpu, KVM_GET_TSC_KHZ, 0)), khz);
	must(ioctl(g->vcpu, KVM_SET_TSC_KHZ, 0));
	check_equal(must(ioctl(g->vcpu, KVM_GET_TSC_KHZ, 0)), khz);
	run_to(g, KVM_EXIT_HLT);
}

GUEST(sync_code, 64,
	"1:	add	$1, %rbx\n"
	"	out	%al, $0x10\n"
	"	jmp	1b\n");

static void synced_registers(void)
{
	struct guest *g = guest_new(LONG, sync_code);
	int fields = extension(g->vm, KVM_CAP_SYNC_REGS);
	struct kvm_sync_regs *shared = &g->run->s.regs;
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (!(fields & KVM_SYNC_X86_REGS))
		skip("no KVM_CAP_SYNC_REGS");
	g->run->kvm_valid_regs = fields;
	run_to_out(g, 0x10);
	regs = vcpu_regs(g->vcpu);
	sregs = vcpu_sregs(g->vcpu);
	check(!memcmp(&shared->regs, &regs, sizeof(regs)));
	check(!memcmp(&shared->sregs, &sregs, sizeof(sregs)));
	check_equal(regs.rbx, 1);
	shared->regs.rbx = 1000;
	g->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	run_to_out(g, 0x10);
	check_equal(shared->regs.rbx, 1001);
	check_equal(vcpu_regs(g->vcpu).rbx, 1001);
	check_equal(g->run->kvm_dirty_regs, 0);
	/* Not marked dirty: not taken. */
	shared->regs.rbx = 5;
	run_to_out(g, 0x10);
	check_equal(shared->regs.rbx, 1002);
	/* Not marked valid: not given. */
	g->run->kvm_valid_regs = 0;
	shared->regs.rbx = 6;
	run_to_out(g, 0x10);
	check_equal(shared->regs.rbx, 6);
	check_equal(vcpu_regs(g->vcpu).rbx, 1003);
	shared->sregs = sregs;
	shared->sregs.cr4 |= 1ull << 63;
	g->run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
	must_fail(ioctl(g->vcpu, KVM_RUN, 0), EINVAL);
	g->run->kvm_dirty_regs = 0;
	run_to_out(g, 0x10);
}

static void translate(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	struct kvm_translation translation = { .linear_address = 0x1234567 };

	must(ioctl(g->vcpu, KVM_TRANSLATE, &translation));
	check_equal(translation.valid, 1);
	check_equal(translation.physical_address, 0x1234567);
	translation.linear_address = 0x200000000;
	must(ioctl(g->vcpu, KVM_TRANSLATE, &translation));
	check_equal(translation.valid, 0);
	vcpu_set_mode(g->vcpu, LONG);
	run_to(g, KVM_EXIT_HLT);
}

/* Everything read from one vcpu and put into another in QEMU's order goes on where it was. */
GUEST(migrate_code, 64,
	"	movups	0xa000, %xmm5\n"
	"	mov	$0x1234, %r9d\n"
	"1:	out	%al, $0x10\n"
	"	add	$1, %r9\n"
	"	movups	%xmm5, 0xa010\n"
	"	jmp	1b\n");

static void moved_to_another_vm(void)
{
	struct guest *from = guest_new(LONG, migrate_code);
	struct guest *to = guest_new(REAL, halt_code);
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xsave xsave;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debug;

	memset(from->memory + GUEST_DATA, 0x77, 16);
	run_to_out(from, 0x10);
	run_to_out(from, 0x10);
	guest_complete(from);
	regs = vcpu_regs(from->vcpu);
	sregs = vcpu_sregs(from->vcpu);
	must(ioctl(from->vcpu, KVM_GET_XSAVE, &xsave));
	must(ioctl(from->vcpu, KVM_GET_VCPU_EVENTS, &events));
	must(ioctl(from->vcpu, KVM_GET_DEBUGREGS, &debug));
	memcpy(to->memory, from->memory, GUEST_MEMORY);
	vcpu_set_regs(to->vcpu, &regs);
	must(ioctl(to->vcpu, KVM_SET_XSAVE, &xsave));
	must(ioctl(to->vcpu, KVM_SET_SREGS, &sregs));
	must(ioctl(to->vcpu, KVM_SET_VCPU_EVENTS, &events));
	must(ioctl(to->vcpu, KVM_SET_DEBUGREGS, &debug));
	memset(to->memory + GUEST_DATA, 0, 32);
	run_to_out(to, 0x10);
	check_equal(vcpu_regs(to->vcpu).r9, 0x1236);
	check_equal(to->memory[GUEST_DATA + 0x1f], 0x77);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "after reset", reset_state },
		{ "KVM_SET_REGS", general_registers },
		{ "KVM_SET_SREGS", special_registers },
		{ "KVM_SET_SREGS with nonsense in control registers", special_registers_nonsense },
		{ "KVM_SET_SREGS with a bad APIC base", apic_base_nonsense },
		{ "KVM_SET_SREGS with nonsense in segments", segment_nonsense },
		{ "KVM_SET_SREGS2", special_registers2 },
		{ "KVM_SET_FPU", fpu_registers },
		{ "FPU of host and guest kept apart", fpu_kept_apart },
		{ "KVM_SET_XSAVE", xsave },
		{ "KVM_GET_XSAVE2", xsave2 },
		{ "KVM_SET_XCRS", extended_control_registers },
		{ "KVM_SET_MSRS", msr_round_trip },
		{ "KVM_SET_MSRS stops at an unknown MSR", msr_partial },
		{ "KVM_SET_MSRS with nonsense", msr_nonsense },
		{ "every MSR of the list read and written back", msr_list_written_back },
		{ "KVM_SET_CPUID2", cpuid_round_trip },
		{ "KVM_SET_CPUID", cpuid_old },
		{ "KVM_SET_VCPU_EVENTS", vcpu_events },
		{ "KVM_SET_DEBUGREGS", debug_registers },
		{ "KVM_SET_MP_STATE", mp_state },
		{ "KVM_SET_TSC_KHZ", tsc_frequency },
		{ "KVM_CAP_SYNC_REGS", synced_registers },
		{ "KVM_TRANSLATE", translate },
		{ "a vcpu moved to another VM", moved_to_another_vm },
	};

	return RUN_CASES("state", cases);
}
