// SPDX-License-Identifier: GPL-2.0
/*
 * RDMSR and WRMSR as the guest executes them: the registers a system needs, refusals by #GP, and
 * agreement with what KVM_GET_MSRS and KVM_SET_MSRS say. AMD64 manual, volume 2, appendix A.
 */
#include "guest.h"

#define MSR_POWER_CTL	0x1fc

#define GUEST_READ	GUEST_CODE
#define GUEST_WRITE	(GUEST_CODE + 16)

GUEST(msr_code, 64,
	"	rdmsr\n"
	"	hlt\n"
	"	.balign 16\n"
	"	wrmsr\n"
	"	hlt\n");

/* Runs one of the two instructions: true, or false for #GP(0) at it. */
static bool execute(struct guest *g, uint64_t rip, uint32_t index, uint64_t *value)
{
	struct kvm_regs regs;

	vcpu_set_rip(g->vcpu, rip);
	regs = vcpu_regs(g->vcpu);
	regs.rcx = index;
	regs.rax = (uint32_t)*value;
	regs.rdx = *value >> 32;
	regs.rsp = GUEST_STACK;
	vcpu_set_regs(g->vcpu, &regs);
	check_equal(guest_run(g), 0);
	if (g->run->exit_reason == KVM_EXIT_IO) {
		guest_complete(g);
		check_equal(guest_report(g)->vector, VECTOR_GP);
		check_equal(guest_report(g)->error, 0);
		check_equal(guest_report(g)->rip, rip);
		return false;
	}
	check_equal(g->run->exit_reason, KVM_EXIT_HLT);
	regs = vcpu_regs(g->vcpu);
	*value = (uint32_t)regs.rax | regs.rdx << 32;
	return true;
}

static bool guest_rdmsr(struct guest *g, uint32_t index, uint64_t *value)
{
	*value = 0;
	return execute(g, GUEST_READ, index, value);
}

static bool guest_wrmsr(struct guest *g, uint32_t index, uint64_t value)
{
	return execute(g, GUEST_WRITE, index, &value);
}

static uint64_t read_msr(struct guest *g, uint32_t index)
{
	uint64_t value;

	if (!guest_rdmsr(g, index, &value))
		fail("RDMSR of %#x faults", index);
	return value;
}

static void unknown(void)
{
	static const uint32_t indices[] = {
		MSR_UNKNOWN, 0x00000005, 0x00002000, 0x12345678, 0xc0002000, 0xc0010fff,
		0xffffffff,
	};
	struct guest *g = guest_new(LONG, msr_code);
	uint64_t value;

	for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
		if (guest_rdmsr(g, indices[i], &value))
			fail("RDMSR of %#x gives %#llx", indices[i], (unsigned long long)value);
		if (guest_wrmsr(g, indices[i], 0x1234))
			fail("WRMSR of %#x is taken", indices[i]);
	}
}

static void plain_registers(void)
{
	static const uint32_t indices[] = {
		MSR_STAR, MSR_LSTAR, 0xc0000083, MSR_KERNEL_GS_BASE, MSR_FS_BASE, MSR_GS_BASE,
	};
	struct guest *g = guest_new(LONG, msr_code);
	uint64_t value;

	for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
		uint64_t wanted = 0xffff800012340000 + i * 0x1000;

		check(guest_wrmsr(g, indices[i], wanted));
		check_equal(read_msr(g, indices[i]), wanted);
		check(vcpu_get_msr(g->vcpu, indices[i], &value));
		check_equal(value, wanted);
		check(vcpu_set_msr(g->vcpu, indices[i], 0x7000 + i));
		check_equal(read_msr(g, indices[i]), 0x7000 + i);
	}
	check(guest_wrmsr(g, 0xc0000084, 0x47700));
	check_equal(read_msr(g, 0xc0000084), 0x47700);
	check(guest_wrmsr(g, MSR_POWER_CTL, 0x1234));
	check_equal(read_msr(g, MSR_POWER_CTL), 0x1234);
	for (uint32_t index = 0x174; index <= 0x176; index++) {
		check(guest_wrmsr(g, index, 0x1000 + index));
		check_equal(read_msr(g, index), 0x1000 + index);
	}
}

static void not_canonical(void)
{
	static const uint32_t indices[] = {
		MSR_LSTAR, 0xc0000083, MSR_KERNEL_GS_BASE,
	};
	struct guest *g = guest_new(LONG, msr_code);

	if (host_is_tcg())
		skip("the emulated processor itself takes such addresses");
	for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
		check(guest_wrmsr(g, indices[i], 0x1000));
		check(!guest_wrmsr(g, indices[i], 0x8000000000000000));
		check(!guest_wrmsr(g, indices[i], 0x0200000000000000));
		check_equal(read_msr(g, indices[i]), 0x1000);
	}
}

static void efer(void)
{
	struct guest *g = guest_new(LONG, msr_code);
	uint64_t start = EFER_LME | EFER_LMA | EFER_SCE;

	check_equal(read_msr(g, MSR_EFER), start);
	check(guest_wrmsr(g, MSR_EFER, EFER_LME | EFER_LMA));
	check_equal(read_msr(g, MSR_EFER), EFER_LME | EFER_LMA);
	check_equal(vcpu_sregs(g->vcpu).efer, EFER_LME | EFER_LMA);
	check(guest_wrmsr(g, MSR_EFER, start | EFER_NX));
	check_equal(read_msr(g, MSR_EFER), start | EFER_NX);
	/* LMA is the processor's to change: writes of it are ignored. */
	check(guest_wrmsr(g, MSR_EFER, EFER_LME | EFER_SCE));
	check_equal(read_msr(g, MSR_EFER), start);
	check(!guest_wrmsr(g, MSR_EFER, EFER_LMA));		/* LME cannot go under paging */
	check(!guest_wrmsr(g, MSR_EFER, start | 1ull << 63));
	check(!guest_wrmsr(g, MSR_EFER, start | 2));
	check(!guest_wrmsr(g, MSR_EFER, start | 1 << 16));
	check_equal(read_msr(g, MSR_EFER), start);
}

static void efer_follows_cpuid(void)
{
	struct guest *g = guest_new(LONG, msr_code);
	struct kvm_cpuid2 *cpuid = cpuid_supported(g->kvm);
	struct kvm_cpuid_entry2 *extended = cpuid_find(cpuid, 0x80000001, 0);

	extended->edx &= ~(1u << 20);				/* NX */
	extended->ecx &= ~(1u << 2);				/* SVM */
	must(ioctl(g->vcpu, KVM_SET_CPUID2, cpuid));
	check(!guest_wrmsr(g, MSR_EFER, EFER_LME | EFER_LMA | EFER_NX));
	check(!guest_wrmsr(g, MSR_EFER, EFER_LME | EFER_LMA | EFER_SVME));
	check(guest_wrmsr(g, MSR_EFER, EFER_LME | EFER_LMA | EFER_SCE));
}

static void page_attributes(void)
{
	struct guest *g = guest_new(LONG, msr_code);

	check_equal(read_msr(g, MSR_PAT), 0x0007040600070406);
	check(guest_wrmsr(g, MSR_PAT, 0x0001050600070406));
	check_equal(read_msr(g, MSR_PAT), 0x0001050600070406);
	check(!guest_wrmsr(g, MSR_PAT, 2));
	check(!guest_wrmsr(g, MSR_PAT, 0x0300000000000000));
	check(!guest_wrmsr(g, MSR_PAT, 0x0800000000000000));
	check_equal(read_msr(g, MSR_PAT), 0x0001050600070406);
}

static void apic_base(void)
{
	struct guest *g = guest_new(LONG, msr_code);

	check_equal(read_msr(g, MSR_APIC_BASE), 0xfee00900);	/* enabled, boot processor */
	check(!guest_wrmsr(g, MSR_APIC_BASE, 0xfee00901));
	check(!guest_wrmsr(g, MSR_APIC_BASE, 1ull << 63 | 0xfee00900));
	check_equal(read_msr(g, MSR_APIC_BASE), vcpu_sregs(g->vcpu).apic_base);
}

GUEST(tsc_code, 64,
	"	rdtsc\n"
	"	shl	$32, %rdx\n"
	"	lea	(%rdx, %rax), %rbx\n"
	"	mov	$0x10, %ecx\n"
	"	rdmsr\n"
	"	shl	$32, %rdx\n"
	"	lea	(%rdx, %rax), %rsi\n"
	"	rdtsc\n"
	"	shl	$32, %rdx\n"
	"	lea	(%rdx, %rax), %rdi\n"
	"	hlt\n");

static void time_stamp_counter(void)
{
	struct guest *g = guest_new(LONG, tsc_code);
	struct kvm_regs regs;
	uint64_t value;

	run_to(g, KVM_EXIT_HLT);
	regs = vcpu_regs(g->vcpu);
	check(regs.rbx < regs.rsi && regs.rsi < regs.rdi);
	check(vcpu_get_msr(g->vcpu, MSR_TSC, &value));
	check(value > regs.rdi);
	/* Set by userspace: goes on from there. */
	check(vcpu_set_msr(g->vcpu, MSR_TSC, 1ull << 50));
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	run_to(g, KVM_EXIT_HLT);
	regs = vcpu_regs(g->vcpu);
	check(regs.rbx >= 1ull << 50 && regs.rbx < (1ull << 50) + (1ull << 40));
	check(regs.rbx < regs.rsi && regs.rsi < regs.rdi);
	check(vcpu_get_msr(g->vcpu, MSR_TSC, &value));
	check(value > regs.rdi);
}

static void time_stamp_counter_written(void)
{
	struct guest *g = guest_new(LONG, msr_code);
	uint64_t value;

	check(guest_wrmsr(g, MSR_TSC, 1ull << 52));
	value = read_msr(g, MSR_TSC);
	check(value >= 1ull << 52 && value < (1ull << 52) + (1ull << 40));
	check(vcpu_get_msr(g->vcpu, MSR_TSC, &value));
	check(value >= 1ull << 52 && value < (1ull << 52) + (1ull << 40));
}

GUEST(syscall_code, 64,
	"	mov	$0xc0000082, %ecx\n"
	"	mov	$0x1100, %eax\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	mov	$0xc0000081, %ecx\n"
	"	xor	%eax, %eax\n"
	"	mov	$0x00100008, %edx\n"
	"	wrmsr\n"
	"	mov	$0xc0000102, %ecx\n"
	"	mov	$0x5000, %eax\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	syscall\n"
	"syscall_next:	hlt\n"
	"	.org	syscall_code + 0x100\n"
	"	swapgs\n"
	"	mov	%rcx, %rbx\n"
	"	mov	$0xc0000101, %ecx\n"
	"	rdmsr\n"
	"	hlt\n");
extern const uint8_t syscall_next[];

/* The registers are the ones the guest's instructions use, not only stored numbers. */
static void system_call(void)
{
	struct guest *g = guest_new(LONG, syscall_code);
	struct kvm_regs regs;

	run_to(g, KVM_EXIT_HLT);
	regs = vcpu_regs(g->vcpu);
	check(regs.rip > GUEST_CODE + 0x100);
	check_equal(regs.rbx, guest_address(g, syscall_next));
	check_equal(regs.rax, 0x5000);
	check_equal(vcpu_sregs(g->vcpu).cs.selector, 8);
}

/* Each vcpu of a VM, and each VM, has registers of its own. */
static void apart(void)
{
	struct guest *guests[4];
	uint64_t value;

	for (uint64_t i = 0; i < 4; i++) {
		guests[i] = guest_new(LONG, msr_code);
		check(guest_wrmsr(guests[i], MSR_LSTAR, 0x1000 * i));
		check(guest_wrmsr(guests[i], MSR_KERNEL_GS_BASE, 0x2000 * i));
		check(guest_wrmsr(guests[i], 0x176, 0x3000 * i));
	}
	for (uint64_t i = 0; i < 4; i++) {
		int second = must(ioctl(guests[i]->vm, KVM_CREATE_VCPU, 1));

		check_equal(read_msr(guests[i], MSR_LSTAR), 0x1000 * i);
		check_equal(read_msr(guests[i], MSR_KERNEL_GS_BASE), 0x2000 * i);
		check_equal(read_msr(guests[i], 0x176), 0x3000 * i);
		vcpu_set_supported_cpuid(guests[i]->kvm, second);
		check(vcpu_get_msr(second, MSR_LSTAR, &value));
		check_equal(value, 0);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "unknown registers", unknown },
		{ "plain registers", plain_registers },
		{ "addresses that are not canonical", not_canonical },
		{ "EFER", efer },
		{ "EFER follows CPUID", efer_follows_cpuid },
		{ "PAT", page_attributes },
		{ "APIC base", apic_base },
		{ "TSC", time_stamp_counter },
		{ "TSC written by the guest", time_stamp_counter_written },
		{ "SYSCALL and SWAPGS use them", system_call },
		{ "every vcpu has its own", apart },
	};

	return RUN_CASES("msr", cases);
}
