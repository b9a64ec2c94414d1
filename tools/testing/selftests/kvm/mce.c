// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's machine check architecture: its banks, errors that userspace injects, and what comes of
 * them: a log, #MC, a shutdown, CMCI. AMD64 manual, volume 2, chapter 9; Intel SDM volume 3, chapter 16.
 */
#include "tick.h"

#define CTL_P		(1ull << 8)	/* MCG_CAP */
#define CMCI_P		(1ull << 10)
#define SER_P		(1ull << 24)
#define LMCE_P		(1ull << 27)
#define MCIP		(1ull << 2)	/* MCG_STATUS */
#define VAL		(1ull << 63)	/* MCi_STATUS */
#define OVER		(1ull << 62)
#define UC		(1ull << 61)
#define EN		(1ull << 60)
#define PCC		(1ull << 57)
#define SIGNALED	(1ull << 56)
#define CMCI_EN		(1ull << 30)	/* MCi_CTL2 */

#define MSR_FEAT_CTL	0x3a
#define FEAT_LOCKED	(1ull << 0)
#define FEAT_LMCE	(1ull << 20)
#define MSR_MCG_CAP	0x179
#define MSR_MCG_STATUS	0x17a
#define MSR_MCG_CTL	0x17b
#define MSR_MCG_EXT_CTL	0x4d0
#define MSR_CTL(bank)	(0x400 + 4 * (bank))
#define MSR_STATUS(bank) (0x401 + 4 * (bank))
#define MSR_ADDR(bank)	(0x402 + 4 * (bank))
#define MSR_MISC(bank)	(0x403 + 4 * (bank))
#define MSR_CTL2(bank)	(0x280 + (bank))

#define CR4_MCE		(1ull << 6)
#define VECTOR_MC	18
#define APIC_VERSION	0x30
#define APIC_LVT_CMCI	0x2f0
#define VECTOR_CMCI	0xa9
#define BANKS		10
#define BANK		7

/* Tries an access: port 0x11 follows one that was allowed. */
GUEST(access_code, 64,
	"	.globl	reads, writes\n"
	"1:	out	%al, $0x10\n"
	"	jmp	1b\n"
	"reads:	rdmsr\n"
	"2:	out	%al, $0x11\n"
	"	jmp	1b\n"
	"writes: wrmsr\n"
	"	jmp	2b\n");
extern const uint8_t reads[], writes[];

static uint64_t supported(struct guest *g)
{
	uint64_t caps;

	must(ioctl(g->kvm, KVM_X86_GET_MCE_CAP_SUPPORTED, &caps));
	return caps;
}

static int setup(struct guest *g, uint64_t caps)
{
	return ioctl(g->vcpu, KVM_X86_SETUP_MCE, &caps);
}

static struct guest *mce_guest(uint64_t caps)
{
	struct guest *g = guest_new(LONG, access_code);

	must(setup(g, caps | BANKS));
	run_to_out(g, 0x10);
	return g;
}

static int inject(struct guest *g, unsigned int bank, uint64_t status, uint64_t mcg_status, uint64_t addr)
{
	struct kvm_x86_mce mce = { .status = status, .addr = addr, .misc = 0x8c, .mcg_status = mcg_status, .bank = bank };

	return ioctl(g->vcpu, KVM_X86_SET_MCE, &mce);
}

static uint64_t msr(struct guest *g, uint32_t index)
{
	uint64_t value;

	check(vcpu_get_msr(g->vcpu, index, &value));
	return value;
}

static void check_logged(struct guest *g, unsigned int bank, uint64_t status, uint64_t addr)
{
	check_equal(msr(g, MSR_STATUS(bank)), status);
	check_equal(msr(g, MSR_ADDR(bank)), addr);
	check_equal(msr(g, MSR_MISC(bank)), status ? 0x8c : 0);
}

/* The guest's own access; false: #GP */
static bool try(struct guest *g, const uint8_t *what, uint32_t index, uint64_t value)
{
	guest_to_msr(g, what, index, value);
	run_to(g, KVM_EXIT_IO);
	if (g->run->io.port == 0x11)
		return true;
	check_equal(g->run->io.port, REPORT_PORT);
	check_equal(guest_report(g)->vector, VECTOR_GP);
	return false;
}
#define guest_reads(g, index)		try(g, reads, index, 0)
#define guest_writes(g, index, value)	try(g, writes, index, value)

static void set_cr4_mce(struct guest *g)
{
	struct kvm_sregs sregs = vcpu_sregs(g->vcpu);

	sregs.cr4 |= CR4_MCE;
	must(ioctl(g->vcpu, KVM_SET_SREGS, &sregs));
}

static void banks(void)
{
	struct guest *g = guest_new(LONG, access_code);
	uint64_t caps = supported(g), value;

	NEED(g->kvm, KVM_CAP_MCE);
	check_equal(extension(g->kvm, KVM_CAP_MCE), 32);
	check_equal(caps & (CTL_P | SER_P), CTL_P | SER_P);
	check_equal(caps & ~(CTL_P | SER_P | CMCI_P | LMCE_P), 0);
	must_fail(setup(g, CTL_P), EINVAL);
	must_fail(setup(g, CTL_P | 33), EINVAL);
	must_fail(setup(g, BANKS | 1ull << 63), EINVAL);

	must(setup(g, caps | BANKS));
	check_equal(msr(g, MSR_MCG_CAP), caps | BANKS);
	check_equal(msr(g, MSR_MCG_STATUS), 0);
	check_equal(msr(g, MSR_MCG_CTL), ~0ull);
	for (int i = 0; i < BANKS; i++) {
		check_equal(msr(g, MSR_CTL(i)), ~0ull);
		check_logged(g, i, 0, 0);
	}
	check(!vcpu_get_msr(g->vcpu, MSR_CTL(BANKS), &value));
	check(!vcpu_get_msr(g->vcpu, MSR_CTL2(BANKS), &value));
	/* What a VMM that moves the vcpu does. */
	check(vcpu_set_msr(g->vcpu, MSR_STATUS(BANK), VAL | EN | 0x136));
	check(vcpu_set_msr(g->vcpu, MSR_ADDR(BANK), 0x1234567000));
	check(vcpu_set_msr(g->vcpu, MSR_MISC(BANK), 0x8c));
	check(vcpu_set_msr(g->vcpu, MSR_MCG_STATUS, 5));
	check_logged(g, BANK, VAL | EN | 0x136, 0x1234567000);
	check_equal(msr(g, MSR_MCG_STATUS), 5);
	check(!vcpu_set_msr(g->vcpu, MSR_MCG_CAP, caps | BANKS));

	must_fail(inject(g, BANKS, VAL, 0, 0), EINVAL);
	must_fail(inject(g, ~0u, VAL, 0, 0), EINVAL);
	must_fail(inject(g, BANK, ~VAL, 0, 0), EINVAL);
}

static void guest_accesses(void)
{
	struct guest *g = mce_guest(CTL_P | SER_P);

	check(guest_reads(g, MSR_MCG_CAP));
	check_equal(vcpu_regs(g->vcpu).rax, CTL_P | SER_P | BANKS);
	check(guest_writes(g, MSR_MCG_CTL, 0));
	check(guest_writes(g, MSR_MCG_CTL, ~0ull));
	check(!guest_writes(g, MSR_MCG_CTL, 1));
	check(guest_writes(g, MSR_CTL(BANK), 0));
	check(guest_writes(g, MSR_CTL(BANK), ~0ull));
	check(guest_writes(g, MSR_CTL(BANK), ~(1ull << 10)));
	check(!guest_writes(g, MSR_CTL(BANK), 6));
	check_equal(msr(g, MSR_CTL(BANK)), ~(1ull << 10));
	check(guest_writes(g, MSR_STATUS(BANK), 0));
	check(!guest_writes(g, MSR_STATUS(BANK), VAL));
	check(guest_writes(g, MSR_ADDR(BANK), 0x1234));
	check(guest_reads(g, MSR_ADDR(BANK)));
	check_equal(vcpu_regs(g->vcpu).rax, 0x1234);
	check(!guest_writes(g, MSR_MCG_CAP, 0));
	check(!guest_reads(g, MSR_CTL(BANKS)));
	/* CMCI was not asked for. */
	check(!guest_reads(g, MSR_CTL2(BANK)));
	check(!guest_writes(g, MSR_CTL2(BANK), 0));
	check_equal(msr(g, MSR_CTL2(BANK)), 0);
	check(vcpu_set_msr(g->vcpu, MSR_CTL2(BANK), 0));
	check(!vcpu_set_msr(g->vcpu, MSR_CTL2(BANK), CMCI_EN));

	must(setup(g, BANKS));
	check(!guest_reads(g, MSR_MCG_CTL));
	check(!guest_writes(g, MSR_MCG_CTL, ~0ull));
}

static void corrected(void)
{
	struct guest *g = mce_guest(CTL_P);

	check(vcpu_set_msr(g->vcpu, MSR_MCG_STATUS, MCIP));
	must(inject(g, BANK, VAL | EN | 1, 0, 0x1000));
	check_logged(g, BANK, VAL | EN | 1, 0x1000);
	must(inject(g, BANK, VAL | EN | 2, 0, 0x2000));
	check_logged(g, BANK, VAL | OVER | EN | 2, 0x2000);
	/* Of an uncorrected one it leaves all but the news that there was more. */
	check(vcpu_set_msr(g->vcpu, MSR_STATUS(BANK), VAL | UC | 3));
	must(inject(g, BANK, VAL | EN | 4, 0, 0x3000));
	check_logged(g, BANK, VAL | OVER | UC | 3, 0x2000);
	/* The machine check that the guest is about is still that. */
	check_equal(msr(g, MSR_MCG_STATUS), MCIP);
	run_to_out(g, 0x10);
}

static void machine_check(void)
{
	struct guest *g = mce_guest(CTL_P | SER_P);

	set_cr4_mce(g);
	must(inject(g, BANK, VAL | UC | EN | SIGNALED | 1, MCIP | 1, 0x5000));
	run_to_exception(g, VECTOR_MC, 0);
	check_logged(g, BANK, VAL | UC | EN | SIGNALED | 1, 0x5000);
	check_equal(msr(g, MSR_MCG_STATUS), MCIP | 1);

	/* A second one, inside of it. */
	must(inject(g, 1, VAL | UC | EN | PCC, MCIP, 0x6000));
	run_to(g, KVM_EXIT_SHUTDOWN);
}

static void not_listening(void)
{
	struct guest *g = mce_guest(CTL_P);

	must(inject(g, BANK, VAL | UC | EN | PCC, MCIP, 0x5000));
	run_to(g, KVM_EXIT_SHUTDOWN);
}

static void switched_off(void)
{
	struct guest *g = mce_guest(CTL_P);

	set_cr4_mce(g);
	check(vcpu_set_msr(g->vcpu, MSR_MCG_CTL, 0));
	must(inject(g, BANK, VAL | UC | EN | PCC, MCIP, 0x5000));
	run_to_out(g, 0x10);
	check_logged(g, BANK, 0, 0);
	check(vcpu_set_msr(g->vcpu, MSR_MCG_CTL, ~0ull));
	check(vcpu_set_msr(g->vcpu, MSR_CTL(BANK), 0));
	must(inject(g, BANK, VAL | UC | EN | PCC, MCIP, 0x5000));
	run_to_out(g, 0x10);
	check_logged(g, BANK, 0, 0);
	must(inject(g, BANK - 1, VAL | UC | EN | PCC, MCIP, 0x5000));
	run_to_exception(g, VECTOR_MC, 0);
}

static void no_action(void)
{
	struct guest *g = mce_guest(CTL_P | SER_P);

	/* CR4.MCE is clear, and a machine check under way: neither is of interest. */
	check(vcpu_set_msr(g->vcpu, MSR_MCG_STATUS, MCIP));
	must(inject(g, BANK, VAL | UC | EN | 1, 0, 0x5000));
	check_logged(g, BANK, VAL | UC | EN | 1, 0x5000);
	run_to_out(g, 0x10);
	must(inject(g, BANK, VAL | UC | EN | 2, 0, 0x6000));
	check_logged(g, BANK, VAL | OVER | UC | EN | 2, 0x6000);
	run_to_out(g, 0x10);
	check_equal(msr(g, MSR_MCG_STATUS), MCIP);
}

/* ---- CMCI ------------------------------------------------------------------------------------------- */

static void need(struct guest *g, uint64_t cap, const char *name)
{
	if (!(supported(g) & cap))
		skip("%s is not offered", name);
}

static uint32_t saved_lvt(struct guest *g)
{
	struct kvm_lapic_state state;

	must(ioctl(g->vcpu, KVM_GET_LAPIC, &state));
	return *lapic_word(&state, APIC_LVT_CMCI);
}

static void ucna(struct guest *g, uint64_t addr)
{
	must(inject(g, BANK, VAL | UC | EN | 0x10090, 0, addr));
	tick(g);
	check_equal(msr(g, MSR_ADDR(BANK)), addr);
}

static void cmci_register(void)
{
	struct guest *g = ready_guest(FULL);
	struct kvm_lapic_state state;

	need(g, CMCI_P, "CMCI");
	check_equal(apic_read(g, APIC_VERSION) >> 16 & 0xff, 5);
	check_equal(apic_read(g, APIC_LVT_CMCI), 0);
	check_equal(saved_lvt(g), 0);

	must(setup(g, CTL_P | CMCI_P | BANKS));
	check_equal(apic_read(g, APIC_VERSION) >> 16 & 0xff, 6);
	check_equal(apic_read(g, APIC_LVT_CMCI), MASKED);
	apic_write(g, APIC_LVT_CMCI, VECTOR_CMCI);
	check_equal(apic_read(g, APIC_LVT_CMCI), VECTOR_CMCI);
	check_equal(saved_lvt(g), VECTOR_CMCI);
	must(ioctl(g->vcpu, KVM_GET_LAPIC, &state));
	*lapic_word(&state, APIC_LVT_CMCI) = VECTOR_CMCI + 1;
	must(ioctl(g->vcpu, KVM_SET_LAPIC, &state));
	check_equal(apic_read(g, APIC_LVT_CMCI), VECTOR_CMCI + 1);
	/* The same feature again changes nothing. */
	must(setup(g, CTL_P | CMCI_P | BANKS));
	check_equal(apic_read(g, APIC_LVT_CMCI), VECTOR_CMCI + 1);
}

static void cmci(void)
{
	struct guest *g = ready_guest(FULL);

	need(g, CMCI_P, "CMCI");
	must(setup(g, CTL_P | SER_P | CMCI_P | BANKS));
	apic_write(g, APIC_LVT_CMCI, VECTOR_CMCI);
	ucna(g, 0x1000);
	check_equal(counted(g, VECTOR_CMCI), 0);

	guest_wrmsr(g, MSR_CTL2(BANK), CMCI_EN | 1);
	check_equal(msr(g, MSR_CTL2(BANK)), CMCI_EN | 1);
	ucna(g, 0x2000);
	check_equal(counted(g, VECTOR_CMCI), 1);
	guest_wrmsr(g, MSR_CTL2(BANK), 0);
	ucna(g, 0x3000);
	check_equal(counted(g, VECTOR_CMCI), 1);

	guest_wrmsr(g, MSR_CTL2(BANK), CMCI_EN);
	apic_write(g, APIC_LVT_CMCI, MASKED | VECTOR_CMCI);
	ucna(g, 0x4000);
	check_equal(counted(g, VECTOR_CMCI), 1);
	set_x2apic(g, g->vcpu);
	guest_wrmsr(g, MSR_X2APIC + APIC_LVT_CMCI / 16, VECTOR_B);
	check_equal(msr(g, MSR_X2APIC + APIC_LVT_CMCI / 16), VECTOR_B);
	ucna(g, 0x5000);
	check_equal(counted(g, VECTOR_B), 1);
	check_equal(counted(g, VECTOR_CMCI), 1);
	/* Another bank has a switch of its own. */
	must(inject(g, BANK - 1, VAL | UC | EN, 0, 0));
	tick(g);
	check_equal(counted(g, VECTOR_B), 1);
}

static void cmci_bits(void)
{
	struct guest *g = mce_guest(CTL_P);

	need(g, CMCI_P, "CMCI");
	must(setup(g, CTL_P | CMCI_P | BANKS));
	check(guest_writes(g, MSR_CTL2(0), CMCI_EN | 0x7fff));
	check(!guest_writes(g, MSR_CTL2(0), 1 << 15));
	check(!guest_writes(g, MSR_CTL2(0), 1 << 29));
	check(!guest_writes(g, MSR_CTL2(BANKS), CMCI_EN));
	check(guest_reads(g, MSR_CTL2(0)));
	check_equal(vcpu_regs(g->vcpu).rax, CMCI_EN | 0x7fff);
	/* No interrupt controller in the kernel: the error is logged. */
	must(inject(g, 0, VAL | UC | EN, 0, 0x1000));
	check_logged(g, 0, VAL | UC | EN, 0x1000);
	run_to_out(g, 0x10);
}

/* ---- machine checks of one processor ------------------------------------------------------------------ */

static void local(void)
{
	struct guest *g = mce_guest(CTL_P | SER_P);

	need(g, LMCE_P, "LMCE");
	check(!vcpu_set_msr(g->vcpu, MSR_FEAT_CTL, FEAT_LOCKED | FEAT_LMCE));
	must(setup(g, CTL_P | SER_P | LMCE_P | BANKS));
	check(!guest_reads(g, MSR_MCG_EXT_CTL));
	check(!guest_writes(g, MSR_MCG_EXT_CTL, 1));
	check(guest_writes(g, MSR_FEAT_CTL, FEAT_LOCKED | FEAT_LMCE));
	check(!guest_writes(g, MSR_FEAT_CTL, FEAT_LOCKED));
	check(guest_writes(g, MSR_MCG_EXT_CTL, 1));
	check(!guest_writes(g, MSR_MCG_EXT_CTL, 2));
	check(guest_reads(g, MSR_MCG_EXT_CTL));
	check_equal(vcpu_regs(g->vcpu).rax, 1);
	check_equal(msr(g, MSR_MCG_EXT_CTL), 1);
}

static const struct test_case cases[] = {
	{ "banks as userspace sees them", banks },
	{ "what the guest may write", guest_accesses },
	{ "corrected errors are logged", corrected },
	{ "an uncorrected one is a machine check", machine_check },
	{ "... and the end of who does not listen", not_listening },
	{ "errors of banks that are off are lost", switched_off },
	{ "those that need no action are logged", no_action },
	{ "the LVT register of CMCI", cmci_register },
	{ "CMCI", cmci },
	{ "the bits that switch CMCI", cmci_bits },
	{ "local machine checks", local },
};

int main(int argc, char **argv)
{
	return RUN_CASES("mce", cases);
}
