// SPDX-License-Identifier: GPL-2.0
/*
 * MSRs that userspace takes from the kernel or keeps from the guest: KVM_X86_SET_MSR_FILTER and
 * KVM_CAP_X86_USER_SPACE_MSR, with instructions that the processor executes, that exit, and that the
 * emulator does. KVM API document, sections 4.97, 7.21 and 7.22.
 */
#include <sys/mman.h>

#include "guest.h"

/* RDMSR and WRMSR, then the same behind the prefix that has them emulated. */
#define GUEST_READ	GUEST_CODE
#define GUEST_WRITE	(GUEST_CODE + 16)
#define EMULATED	32

GUEST(filter_code, 64,
	"	rdmsr\n"
	"	hlt\n"
	"	.balign 16\n"
	"	wrmsr\n"
	"	hlt\n"
	"	.balign 16\n"
	"	ud2\n"
	"	.ascii \"kvm\"\n"
	"	rdmsr\n"
	"	hlt\n"
	"	.balign 16\n"
	"	ud2\n"
	"	.ascii \"kvm\"\n"
	"	wrmsr\n"
	"	hlt\n");

#define MSR_TSC_DEADLINE	0x6e0

#define ALL_REASONS	KVM_MSR_EXIT_REASON_VALID_MASK
#define BOTH		KVM_MSR_FILTER_RANGE_VALID_MASK
#define VALUE		0x123456789abcull

static void set_reasons(struct guest *g, uint64_t mask)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR, .args = { mask } };

	must(ioctl(g->vm, KVM_ENABLE_CAP, &cap));
}

/* Which MSRs a filter with one range says what of; @nmsrs 0: no range. */
static int set_filter(struct guest *g, uint32_t flags, uint32_t directions, uint32_t base, uint32_t nmsrs,
		      void *bitmap)
{
	struct kvm_msr_filter filter = { .flags = flags };

	filter.ranges[3] = (struct kvm_msr_filter_range) {
		.flags = directions, .base = base, .nmsrs = nmsrs, .bitmap = bitmap,
	};
	return ioctl(g->vm, KVM_X86_SET_MSR_FILTER, &filter);
}

static void start(struct guest *g, uint64_t rip, uint32_t index, uint64_t value)
{
	struct kvm_regs regs;

	vcpu_set_rip(g->vcpu, rip);
	regs = vcpu_regs(g->vcpu);
	regs.rcx = index;
	regs.rax = (uint32_t)value;
	regs.rdx = value >> 32;
	regs.rsp = GUEST_STACK;
	vcpu_set_regs(g->vcpu, &regs);
}

static uint64_t result(struct guest *g)
{
	struct kvm_regs regs;

	check_equal(guest_run(g), 0);
	check_equal(g->run->exit_reason, KVM_EXIT_HLT);
	regs = vcpu_regs(g->vcpu);
	return (uint32_t)regs.rax | regs.rdx << 32;
}

static void faults(struct guest *g)
{
	check_equal(guest_run(g), 0);
	check_equal(g->run->exit_reason, KVM_EXIT_IO);
	guest_complete(g);
	check_equal(guest_report(g)->vector, VECTOR_GP);
	check_equal(guest_report(g)->error, 0);
}

/* The access comes to userspace, which has not been given anything but what it needs. */
static void asks(struct guest *g, uint32_t exit, uint32_t reason, uint32_t index, uint64_t value)
{
	check_equal(guest_run(g), 0);
	check_equal(g->run->exit_reason, exit);
	check_equal(g->run->msr.reason, reason);
	check_equal(g->run->msr.index, index);
	check_equal(g->run->msr.error, 0);
	if (exit == KVM_EXIT_X86_WRMSR)
		check_equal(g->run->msr.data, value);
}

/* Four ends of an access that is userspace's: a value, a refusal; a write, a refusal. */
static void answers(struct guest *g, uint32_t reason, uint32_t index, uint64_t way)
{
	start(g, GUEST_READ + way, index, 0);
	asks(g, KVM_EXIT_X86_RDMSR, reason, index, 0);
	g->run->msr.data = VALUE;
	check_equal(result(g), VALUE);
	start(g, GUEST_READ + way, index, 0);
	asks(g, KVM_EXIT_X86_RDMSR, reason, index, 0);
	g->run->msr.error = 1;
	faults(g);
	start(g, GUEST_WRITE + way, index, VALUE);
	asks(g, KVM_EXIT_X86_WRMSR, reason, index, VALUE);
	check_equal(result(g), VALUE);
	start(g, GUEST_WRITE + way, index, VALUE);
	asks(g, KVM_EXIT_X86_WRMSR, reason, index, VALUE);
	g->run->msr.error = 0x80;
	faults(g);
}

static void arguments(void)
{
	struct guest *g = guest_new(LONG, filter_code);
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR, .args = { ALL_REASONS + 1 } };
	static uint8_t bitmap[KVM_MSR_FILTER_MAX_BITMAP_SIZE];

	check(ioctl(g->vm, KVM_CHECK_EXTENSION, KVM_CAP_X86_USER_SPACE_MSR) > 0);
	check(ioctl(g->vm, KVM_CHECK_EXTENSION, KVM_CAP_X86_MSR_FILTER) > 0);
	must_fail(ioctl(g->vm, KVM_ENABLE_CAP, &cap), EINVAL);

	must(set_filter(g, 0, 0, 0, 0, NULL));
	must_fail(set_filter(g, KVM_MSR_FILTER_DEFAULT_DENY, 0, 0, 0, NULL), EINVAL);
	must_fail(set_filter(g, 2, BOTH, 0x10, 8, bitmap), EINVAL);
	must_fail(set_filter(g, 0, BOTH + 1, 0x10, 8, bitmap), EINVAL);
	must_fail(set_filter(g, 0, BOTH, 0x10, 8 * sizeof(bitmap) + 1, bitmap), EINVAL);
	must_fail(set_filter(g, 0, BOTH, 0x10, ~0u, bitmap), EINVAL);
	must_fail(set_filter(g, 0, BOTH, 0x10, 8, NULL), EFAULT);
	must_fail(ioctl(g->vm, KVM_X86_SET_MSR_FILTER, NULL), EFAULT);
	must(set_filter(g, KVM_MSR_FILTER_DEFAULT_DENY, BOTH, 0x10, 8 * sizeof(bitmap), bitmap));
	must(set_filter(g, 0, 0, 0, 0, NULL));
}

static void reasons(void)
{
	struct guest *g = guest_new(LONG, filter_code);

	/* Nobody wants to hear of them. */
	start(g, GUEST_READ, MSR_UNKNOWN, 0);
	faults(g);
	set_reasons(g, KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_FILTER);
	start(g, GUEST_READ, MSR_UNKNOWN, 0);
	faults(g);
	set_reasons(g, KVM_MSR_EXIT_REASON_UNKNOWN);
	answers(g, KVM_MSR_EXIT_REASON_UNKNOWN, MSR_UNKNOWN, 0);
	/* An MSR that is known, and a value it does not take. */
	start(g, GUEST_WRITE, MSR_EFER, ~0ull);
	faults(g);
	set_reasons(g, KVM_MSR_EXIT_REASON_INVAL);
	start(g, GUEST_WRITE, MSR_EFER, ~0ull);
	asks(g, KVM_EXIT_X86_WRMSR, KVM_MSR_EXIT_REASON_INVAL, MSR_EFER, ~0ull);
	check_equal(result(g), ~0ull);
	set_reasons(g, 0);
	start(g, GUEST_WRITE, MSR_EFER, ~0ull);
	faults(g);
}

/* One that the processor switches, one in memory, one of neither kind. */
static const uint32_t filtered[] = { MSR_FS_BASE, MSR_STAR, MSR_TSC_DEADLINE, MSR_PAT, 0x9999 };

static void denied(uint64_t way)
{
	struct guest *g = guest_new(LONG, filter_code);
	uint64_t bitmap[1];

	for (size_t i = 0; i < ARRAY_SIZE(filtered); i++) {
		uint32_t index = filtered[i];

		bitmap[0] = ~(1ull << 5);
		must(set_filter(g, 0, BOTH, index - 5, 64, bitmap));
		set_reasons(g, 0);
		start(g, GUEST_READ + way, index, 0);
		faults(g);
		start(g, GUEST_WRITE + way, index, VALUE);
		faults(g);
		set_reasons(g, KVM_MSR_EXIT_REASON_FILTER);
		answers(g, KVM_MSR_EXIT_REASON_FILTER, index, way);
	}
	/* A bit behind the range's last says nothing; userspace's own access is not filtered. */
	bitmap[0] = 0;
	must(set_filter(g, 0, BOTH, MSR_FS_BASE - 5, 5, bitmap));
	start(g, GUEST_WRITE + way, MSR_FS_BASE, 0x5000);
	check_equal(result(g), 0x5000);
	must(set_filter(g, 0, BOTH, MSR_FS_BASE, 1, bitmap));
	check(vcpu_set_msr(g->vcpu, MSR_FS_BASE, 0x6000));
	start(g, GUEST_READ + way, MSR_FS_BASE, 0);
	asks(g, KVM_EXIT_X86_RDMSR, KVM_MSR_EXIT_REASON_FILTER, MSR_FS_BASE, 0);
	check_equal(result(g), 0);
	/* And when the filter goes, the guest's own way is open again. */
	must(set_filter(g, 0, 0, 0, 0, NULL));
	start(g, GUEST_READ + way, MSR_FS_BASE, 0);
	check_equal(result(g), 0x6000);
}

static void denied_to_processor(void)
{
	denied(0);
}

static void directions(void)
{
	struct guest *g = guest_new(LONG, filter_code);
	uint64_t none = 0, all = ~0ull;

	set_reasons(g, KVM_MSR_EXIT_REASON_FILTER);
	must(set_filter(g, 0, KVM_MSR_FILTER_WRITE, MSR_FS_BASE, 2, &none));
	start(g, GUEST_READ, MSR_FS_BASE, 0);
	result(g);
	start(g, GUEST_WRITE, MSR_FS_BASE, VALUE);
	asks(g, KVM_EXIT_X86_WRMSR, KVM_MSR_EXIT_REASON_FILTER, MSR_FS_BASE, VALUE);
	must(set_filter(g, 0, KVM_MSR_FILTER_READ, MSR_FS_BASE, 2, &none));
	result(g);
	start(g, GUEST_WRITE, MSR_FS_BASE, VALUE);
	check_equal(result(g), VALUE);
	start(g, GUEST_READ, MSR_FS_BASE, 0);
	asks(g, KVM_EXIT_X86_RDMSR, KVM_MSR_EXIT_REASON_FILTER, MSR_FS_BASE, 0);
	result(g);

	/* All but what is named; never the registers of the x2APIC. */
	must(set_filter(g, KVM_MSR_FILTER_DEFAULT_DENY, KVM_MSR_FILTER_READ, MSR_FS_BASE, 1, &all));
	start(g, GUEST_READ, MSR_FS_BASE, 0);
	check_equal(result(g), VALUE);
	start(g, GUEST_WRITE, MSR_FS_BASE, 0);
	asks(g, KVM_EXIT_X86_WRMSR, KVM_MSR_EXIT_REASON_FILTER, MSR_FS_BASE, 0);
	result(g);
	start(g, GUEST_READ, MSR_EFER, 0);
	asks(g, KVM_EXIT_X86_RDMSR, KVM_MSR_EXIT_REASON_FILTER, MSR_EFER, 0);
	result(g);
	start(g, GUEST_READ, 0x802, 0);
	faults(g);
}

/* A vcpu that comes after the filter is under it as well. */
static void later_vcpu(void)
{
	struct guest *g = guest_new(LONG, filter_code), second = *g;
	size_t size = must(ioctl(g->kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	uint64_t none = 0;

	set_reasons(g, KVM_MSR_EXIT_REASON_FILTER);
	must(set_filter(g, 0, BOTH, MSR_FS_BASE, 1, &none));
	second.vcpu = must(ioctl(g->vm, KVM_CREATE_VCPU, 1));
	second.run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, second.vcpu, 0);
	check(second.run != MAP_FAILED);
	vcpu_set_supported_cpuid(g->kvm, second.vcpu);
	vcpu_set_mode(second.vcpu, LONG);
	answers(&second, KVM_MSR_EXIT_REASON_FILTER, MSR_FS_BASE, 0);
}

static void denied_to_emulator(void)
{
	static const char file[] = "/sys/module/kvm/parameters/force_emulation_prefix";
	char old[24];

	snprintf(old, sizeof(old), "%ld", read_number(file));
	check(write_text(file, "1"));
	denied(EMULATED);
	check(write_text(file, old));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "arguments", arguments },
		{ "accesses that nobody knows or that are refused", reasons },
		{ "denied, executed by the processor", denied_to_processor },
		{ "reads and writes apart, and all but some", directions },
		{ "a vcpu that comes later", later_vcpu },
		{ "denied, executed by the emulator", denied_to_emulator },
	};

	return RUN_CASES("msr_filter", cases);
}
