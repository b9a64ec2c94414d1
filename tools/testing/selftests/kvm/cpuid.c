// SPDX-License-Identifier: GPL-2.0
/*
 * CPUID as the guest sees it: exactly what userspace set, the rules for leaves it did not set, and
 * the few bits that follow the guest's own control registers. AMD64 manual, volume 3, appendix E.
 */
#include "guest.h"

GUEST(cpuid_code, 64,
	"1:	cpuid\n"
	"	hlt\n"
	"	jmp	1b\n");

struct answer {
	uint32_t eax, ebx, ecx, edx;
};

static struct answer ask(struct guest *g, uint64_t leaf, uint64_t subleaf)
{
	struct kvm_regs regs = vcpu_regs(g->vcpu);

	regs.rip = GUEST_CODE;
	regs.rax = leaf;
	regs.rcx = subleaf;
	regs.rbx = regs.rdx = -1ull;
	vcpu_set_regs(g->vcpu, &regs);
	run_to(g, KVM_EXIT_HLT);
	regs = vcpu_regs(g->vcpu);
	check_equal((regs.rax | regs.rbx | regs.rcx | regs.rdx) >> 32, 0);
	return (struct answer) { regs.rax, regs.rbx, regs.rcx, regs.rdx };
}

static void check_answer(struct guest *g, uint32_t leaf, uint32_t subleaf, struct answer wanted)
{
	struct answer got = ask(g, leaf, subleaf);

	if (memcmp(&got, &wanted, sizeof(got)))
		fail("leaf %#x.%u: %08x %08x %08x %08x, not %08x %08x %08x %08x", leaf, subleaf,
		     got.eax, got.ebx, got.ecx, got.edx,
		     wanted.eax, wanted.ebx, wanted.ecx, wanted.edx);
}

/* Leaves whose answer depends on the vcpu's state as well; looked at one by one below. */
static bool depends_on_state(uint32_t leaf, uint32_t subleaf)
{
	return leaf == 1 || leaf == 7 || leaf == 0xd || leaf == 0x19;
}

static void supported_as_set(void)
{
	struct guest *g = guest_new(LONG, cpuid_code);
	struct kvm_cpuid2 *cpuid = cpuid_supported(g->kvm);
	unsigned int compared = 0;

	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (depends_on_state(e->function, e->index))
			continue;
		check_answer(g, e->function, e->index,
			     (struct answer) { e->eax, e->ebx, e->ecx, e->edx });
		compared++;
	}
	check(compared > 5);
}

static struct kvm_cpuid_entry2 entry(uint32_t leaf, uint32_t subleaf, bool indexed, uint32_t seed)
{
	return (struct kvm_cpuid_entry2) {
		.function = leaf, .index = subleaf,
		.flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
		.eax = seed, .ebx = seed + 1, .ecx = seed + 2, .edx = seed + 3,
	};
}

static struct answer answer(uint32_t seed)
{
	return (struct answer) { seed, seed + 1, seed + 2, seed + 3 };
}

static void set(struct guest *g, const struct kvm_cpuid_entry2 *entries, uint32_t count)
{
	struct kvm_cpuid2 *cpuid = cpuid_new(count);

	memcpy(cpuid->entries, entries, count * sizeof(entries[0]));
	must(ioctl(g->vcpu, KVM_SET_CPUID2, cpuid));
	free(cpuid);
}

static void with_vendor(struct kvm_cpuid_entry2 *leaf, const char *vendor)
{
	memcpy(&leaf->ebx, vendor, 4);
	memcpy(&leaf->edx, vendor + 4, 4);
	memcpy(&leaf->ecx, vendor + 8, 4);
}

static void leaves_and_subleaves(void)
{
	struct guest *g = guest_new(REAL, cpuid_code);
	struct kvm_cpuid_entry2 list[] = {
		entry(0, 0, false, 0x16), entry(2, 0, false, 0x2000), entry(4, 0, true, 0x4000),
		entry(4, 1, true, 0x4100), entry(4, 3, true, 0x4300), entry(6, 0, false, 0x6000),
		entry(0x80000000, 0, false, 0x80000004), entry(0x80000001, 0, false, 0),
		entry(0x80000002, 0, false, 0x1000), entry(0x80000004, 0, false, 0x3000),
		entry(0x40000000, 0, false, 0x7000), entry(0xc0000000, 0, false, 0xc0000001),
		entry(0xc0000001, 0, false, 0x9000),
	};

	with_vendor(&list[0], "AuthcAMDenti");
	guest_load(g, cpuid_code);
	list[7].eax = list[7].ebx = list[7].ecx = 0;
	list[7].edx = 1 << 29;
	set(g, list, ARRAY_SIZE(list));
	vcpu_set_mode(g->vcpu, REAL);
	check_answer(g, 2, 0, answer(0x2000));
	check_answer(g, 2, 77, answer(0x2000));		/* the subleaf means nothing here */
	check_answer(g, 4, 0, answer(0x4000));
	check_answer(g, 4, 1, answer(0x4100));
	check_answer(g, 4, 3, answer(0x4300));
	check_answer(g, 4, 2, (struct answer) { 0 });
	check_answer(g, 6, 0, answer(0x6000));
	check_answer(g, 5, 0, (struct answer) { 0 });	/* not set, but within the range */
	check_answer(g, 0x80000002, 0, answer(0x1000));
	check_answer(g, 0x80000003, 0, (struct answer) { 0 });
	check_answer(g, 0x40000000, 0, answer(0x7000));
	check_answer(g, 0x40000001, 0, (struct answer) { 0 });
}

static void amd_out_of_range(void)
{
	static const uint32_t outside[] = {
		0x17, 0x7fffffff, 0x80000005, 0x8fffffff, 0x20000000, 0xffffffff,
	};
	struct guest *g = guest_new(REAL, cpuid_code);
	struct kvm_cpuid_entry2 list[] = {
		entry(0, 0, false, 0x16), entry(0x16, 0, false, 0x5000),
		entry(0x80000000, 0, false, 0x80000004),
	};

	with_vendor(&list[0], "AuthenticAMD");
	set(g, list, ARRAY_SIZE(list));
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
		check_answer(g, outside[i], 0, (struct answer) { 0 });
}

static void intel_out_of_range(void)
{
	struct guest *g = guest_new(REAL, cpuid_code);
	struct kvm_cpuid_entry2 list[] = {
		entry(0, 0, false, 0x16), entry(0x16, 0, false, 0x5000),
		entry(0x80000000, 0, false, 0x80000004),
	};

	/* On such a processor a leaf beyond the range reads as the highest basic leaf. */
	with_vendor(&list[0], "GenuntelineI");
	set(g, list, ARRAY_SIZE(list));
	check_answer(g, 0x17, 0, answer(0x5000));
	check_answer(g, 0x80000005, 0, answer(0x5000));
	check_answer(g, 0x15, 0, (struct answer) { 0 });
}

static void nothing_set(void)
{
	struct guest *g = guest_new(REAL, cpuid_code);

	set(g, NULL, 0);
	check_answer(g, 0, 0, (struct answer) { 0 });
	check_answer(g, 1, 0, (struct answer) { 0 });
	check_answer(g, 0x80000001, 0, (struct answer) { 0 });
	check_answer(g, 0x40000000, 0, (struct answer) { 0 });
}

static void feature_leaf(void)
{
	struct guest *g = guest_new(LONG, cpuid_code);
	struct kvm_cpuid2 *cpuid = cpuid_supported(g->kvm);
	struct kvm_cpuid_entry2 *one = cpuid_find(cpuid, 1, 0);
	struct kvm_sregs sregs = vcpu_sregs(g->vcpu);
	struct answer got;

	one->ebx = 0x05080900;
	must(ioctl(g->vcpu, KVM_SET_CPUID2, cpuid));
	got = ask(g, 1, 0);
	check_equal(got.eax, one->eax);
	check_equal(got.ebx, one->ebx);
	check_equal(got.ecx & 1 << 27, 0);
	check_equal(got.ecx & ~(1u << 27), one->ecx & ~(1u << 27));
	/* The APIC is enabled, or its bit would be clear. */
	check_equal(got.edx, one->edx | (one->edx & 1 << 9));
	if (!(one->ecx & 1 << 26))
		skip("no XSAVE");
	sregs.cr4 |= CR4_OSXSAVE;
	must(ioctl(g->vcpu, KVM_SET_SREGS, &sregs));
	check_equal(ask(g, 1, 0).ecx & 1 << 27, 1 << 27);
	sregs.cr4 &= ~CR4_OSXSAVE;
	must(ioctl(g->vcpu, KVM_SET_SREGS, &sregs));
	check_equal(ask(g, 1, 0).ecx & 1 << 27, 0);
}

GUEST(osxsave_code, 64,
	"	mov	%cr4, %rax\n"
	"	or	$0x40000, %eax\n"
	"	mov	%rax, %cr4\n"
	"	mov	$1, %eax\n"
	"	cpuid\n"
	"	hlt\n"
	"	mov	%cr4, %rax\n"
	"	and	$~0x40000, %eax\n"
	"	mov	%rax, %cr4\n"
	"	mov	$1, %eax\n"
	"	cpuid\n"
	"	hlt\n");

static void osxsave_by_guest(void)
{
	struct guest *g = guest_new(LONG, osxsave_code);
	struct kvm_cpuid2 *cpuid = cpuid_supported(g->kvm);

	if (!(cpuid_find(cpuid, 1, 0)->ecx & 1 << 26))
		skip("no XSAVE");
	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).rcx & 1 << 27, 1 << 27);
	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).rcx & 1 << 27, 0);
}

static void xsave_leaf(void)
{
	struct guest *g = guest_new(LONG, cpuid_code);
	struct kvm_cpuid2 *cpuid = cpuid_supported(g->kvm);
	struct kvm_cpuid_entry2 *leaf = cpuid_find(cpuid, 0xd, 0);
	struct answer got;

	if (!leaf)
		skip("no XSAVE");
	got = ask(g, 0xd, 0);
	check_equal(got.eax, leaf->eax);
	check_equal(got.edx, leaf->edx);
	check_equal(got.ecx, leaf->ecx);
	/* EBX follows XCR0: the legacy area and the header for x87 alone. */
	check_equal(got.ebx, 576);
}

GUEST(ud_code, 64,
	"	xor	%ecx, %ecx\n"
	"	xgetbv\n"
	"	hlt\n"
	"ud_rdtscp:	rdtscp\n"
	"	hlt\n"
	"ud_vmrun:	vmrun	%rax\n"
	"	hlt\n");
extern const uint8_t ud_rdtscp[], ud_vmrun[];

/* What is not in the guest's CPUID and can be told apart by the hypervisor raises #UD. */
static void missing_instructions(void)
{
	struct guest *g = guest_new(LONG, ud_code);
	struct kvm_cpuid2 *cpuid = cpuid_supported(g->kvm);
	struct kvm_cpuid_entry2 *extended = cpuid_find(cpuid, 0x80000001, 0);

	cpuid_find(cpuid, 1, 0)->ecx &= ~(1u << 26);
	extended->edx &= ~(1u << 27);			/* RDTSCP */
	extended->ecx &= ~(1u << 2);			/* SVM */
	must(ioctl(g->vcpu, KVM_SET_CPUID2, cpuid));
	run_to_exception(g, VECTOR_UD, 0);
	vcpu_set_mode(g->vcpu, LONG);
	vcpu_set_rip(g->vcpu, guest_address(g, ud_vmrun));
	run_to_exception(g, VECTOR_UD, 0);
	if (host_is_tcg())		/* which knows no intercept of RDTSCP */
		return;
	vcpu_set_mode(g->vcpu, LONG);
	vcpu_set_rip(g->vcpu, guest_address(g, ud_rdtscp));
	run_to_exception(g, VECTOR_UD, 0);
}

/* A hundred leaves in an order of no use, each asked many times. */
static void many_leaves(void)
{
	struct guest *g = guest_new(LONG, cpuid_code);
	struct kvm_cpuid2 *cpuid = cpuid_supported(g->kvm);
	uint32_t have = cpuid->nent, room = 256 - have;
	struct kvm_cpuid2 *full = cpuid_new(256);

	memcpy(full->entries, cpuid->entries, have * sizeof(cpuid->entries[0]));
	for (uint32_t i = 0; i < room; i++)
		full->entries[have + i] = entry(0x40000100 + (i * 37 % room), 0, false, i);
	must(ioctl(g->vcpu, KVM_SET_CPUID2, full));
	for (uint32_t i = 0; i < room; i++)
		check_answer(g, 0x40000100 + (i * 37 % room), 0, answer(i));
	check_answer(g, 0x80000000, 0, (struct answer) {
		cpuid_find(cpuid, 0x80000000, 0)->eax, cpuid_find(cpuid, 0x80000000, 0)->ebx,
		cpuid_find(cpuid, 0x80000000, 0)->ecx, cpuid_find(cpuid, 0x80000000, 0)->edx });
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "every supported leaf as it was set", supported_as_set },
		{ "leaves with and without subleaves", leaves_and_subleaves },
		{ "beyond the range, AMD", amd_out_of_range },
		{ "beyond the range, Intel", intel_out_of_range },
		{ "nothing set", nothing_set },
		{ "leaf 1", feature_leaf },
		{ "OSXSAVE follows the guest's CR4", osxsave_by_guest },
		{ "leaf 0xd", xsave_leaf },
		{ "instructions that are not there", missing_instructions },
		{ "256 entries", many_leaves },
	};

	return RUN_CASES("cpuid", cases);
}
