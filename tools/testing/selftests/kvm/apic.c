// SPDX-License-Identifier: GPL-2.0
/*
 * What userspace may choose about local APICs, halting and lines, and what it is told: the clock of
 * the timers, exits that it does without, quirks, the results of lines and messages, the ends of
 * interrupts of its own IOAPIC, TPR reports and the TPR in the guest's memory, vcpus that nobody has
 * started, polling. KVM API document; AMD64 manual, volume 2, chapter 16.
 */
#include "tick.h"

#include <signal.h>

#define APIC_PAGE	APIC
#define VAPIC		0x15000u		/* where the guest's memory has the TPR */
#define ASSERT		(1u << 14)

/* ---- the clock of the timers -------------------------------------------------------------------- */

#define BUS_NS		40			/* 25 MHz */

static void slow_bus(int vm)
{
	must_fail(enable(vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 0), EINVAL);
	must_fail(enable(vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 1ull << 32), EINVAL);
	must(enable(vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, BUS_NS));
}

static void bus_clock(void)
{
	struct guest *g;
	uint64_t start, ns;
	uint32_t count;
	int vm = new_vm();

	NEED(vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS);
	check_equal(extension(vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS), 1);
	must_fail(enable(vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, BUS_NS), ENXIO);

	g = prepared_guest(FULL, slow_bus);
	run_to_out(g, TICK_PORT);
	must_fail(enable(g->vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 1), EINVAL);
	apic_write(g, APIC_DIVIDE, 0xb);
	apic_write(g, APIC_LVT_TIMER, VECTOR_A);
	start = now_ns();
	apic_write(g, APIC_INITIAL, 20000000 / BUS_NS);	/* 20 ms */
	count = 20000000 / BUS_NS - apic_read(g, APIC_CURRENT);
	ns = now_ns() - start;
	check(count * (uint64_t)BUS_NS <= ns + BUS_NS);
	wait_count(g, VECTOR_A, 1);
	check(now_ns() - start >= 19000000);
}

/* ---- exits to do without ------------------------------------------------------------------------- */

static void no_halt_exits(int vm)
{
	int offered = extension(vm, KVM_CAP_X86_DISABLE_EXITS);

	must_fail(enable(vm, KVM_CAP_X86_DISABLE_EXITS, 1ull << 32), EINVAL);
	must_fail(enable(vm, KVM_CAP_X86_DISABLE_EXITS, KVM_X86_DISABLE_VALID_EXITS + 1), EINVAL);
	check(offered & KVM_X86_DISABLE_EXITS_PAUSE);
	if (!(offered & KVM_X86_DISABLE_EXITS_HLT))
		skip("HLT must exit on this processor");
	must(enable(vm, KVM_CAP_X86_DISABLE_EXITS, offered));
}

static void *message_later(void *data)
{
	struct guest *g = data;

	for (int i = 0; i < 5; i++) {
		sleep_ms(20);
		must(send_msi(g, APIC, VECTOR_A));
	}
	return NULL;
}

static void disabled_exits(void)
{
	struct guest *g = prepared_guest(FULL, no_halt_exits);
	pthread_t thread;

	/* Later it is for vcpus to come. */
	must(enable(g->vm, KVM_CAP_X86_DISABLE_EXITS, KVM_X86_DISABLE_EXITS_HLT));
	run_to_out(g, TICK_PORT);
	check_equal(pthread_create(&thread, NULL, message_later, g), 0);
	/* An interrupt of the host's may end a halt as well. */
	while (counted(g, VECTOR_A) < 5)
		guest_do(g, tick_halt, 0, 0, 0, 0);
	pthread_join(thread, NULL);
	check_equal(vcpu_stat(g->vcpu, "halt_exits"), 0);
	/* Its own timer ends a halt as well. */
	apic_write(g, APIC_DIVIDE, 0xb);
	apic_write(g, APIC_LVT_TIMER, VECTOR_B);
	apic_write(g, APIC_INITIAL, 5000000);
	while (!counted(g, VECTOR_B))
		guest_do(g, tick_halt, 0, 0, 0, 0);
	check_equal(counted(g, VECTOR_B), 1);
}

/* ---- quirks ---------------------------------------------------------------------------------------- */

static void lapic_hole(void)
{
	struct guest *g = ready_guest(FULL);

	/* Other vcpus of the VM may have their APICs there. */
	if (!extension(g->kvm, KVM_CAP_VAPIC))
		skip("the processor's page for accesses to the APIC is seen in x2APIC mode");
	guest_complete(g);
	set_x2apic(g, g->vcpu);
	check_equal(apic_read(g, APIC_TPR), 0xffffffff);
	apic_write(g, APIC_TPR, 0x50);
	must(enable(g->vm, KVM_CAP_DISABLE_QUIRKS2, KVM_X86_QUIRK_LAPIC_MMIO_HOLE));
	guest_complete(g);
	vcpu_set_rip(g->vcpu, guest_address(g, tick_load));
	struct kvm_regs regs = vcpu_regs(g->vcpu);
	regs.rdi = APIC_PAGE + APIC_TPR;
	vcpu_set_regs(g->vcpu, &regs);
	run_to_mmio_read(g, APIC_PAGE + APIC_TPR, 4, 0x1234);
	run_to_out(g, TICK_PORT);
	check_equal(vcpu_regs(g->vcpu).rax, 0x1234);
}

static void no_quirks(int vm)
{
	uint64_t known = extension(vm, KVM_CAP_DISABLE_QUIRKS2);

	check(known & KVM_X86_QUIRK_LINT0_REENABLED);
	check(known & KVM_X86_QUIRK_CD_NW_CLEARED);
	check(known & KVM_X86_QUIRK_LAPIC_MMIO_HOLE);
	check(known & KVM_X86_QUIRK_OUT_7E_INC_RIP);
	check(known & KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT);
	check(known & KVM_X86_QUIRK_FIX_HYPERCALL_INSN);
	check(known & KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS);
	must_fail(enable(vm, KVM_CAP_DISABLE_QUIRKS2, 1ull << 40), EINVAL);
	must(enable(vm, KVM_CAP_DISABLE_QUIRKS2, known));
}

static uint32_t lint0_of(struct guest *g)
{
	struct kvm_lapic_state state;

	must(ioctl(g->vcpu, KVM_GET_LAPIC, &state));
	return *lapic_word(&state, APIC_LVT_LINT0);
}

static void quirks_of_reset(void)
{
	struct guest *g = new_guest(FULL);

	check_equal(lint0_of(g), EXTINT);
	g = prepared_guest(FULL, no_quirks);
	check_equal(lint0_of(g), MASKED);
	run_to_out(g, TICK_PORT);
}

static bool has_mwait(struct guest *g)
{
	struct kvm_cpuid2 *cpuid = cpuid_new(256);

	must(ioctl(g->vcpu, KVM_GET_CPUID2, cpuid));
	return cpuid_find(cpuid, 1, 0)->ecx & 1u << 3;
}

static void mwait_in_cpuid(void)
{
	const uint32_t misc_enable = 0x1a0;
	const uint64_t mwait = 1u << 18;
	struct guest *g = prepared_guest(FULL, no_quirks);
	uint64_t value;

	check(vcpu_get_msr(g->vcpu, misc_enable, &value));
	check(vcpu_set_msr(g->vcpu, misc_enable, value | mwait));
	check(has_mwait(g));
	check(vcpu_set_msr(g->vcpu, misc_enable, value & ~mwait));
	check(!has_mwait(g));

	g = new_guest(FULL);
	check(vcpu_get_msr(g->vcpu, misc_enable, &value));
	check(vcpu_set_msr(g->vcpu, misc_enable, value ^ mwait));
	check(!has_mwait(g));
}

/* ---- results --------------------------------------------------------------------------------------- */

/* The guest takes nothing meanwhile: what is sent twice is merged. */
static void results(void)
{
	struct guest *g = ready_guest(FULL);

	check_equal(send_msi(g, APIC, VECTOR_A), 1);
	check_equal(send_msi(g, APIC, VECTOR_A), 0);
	check_equal(send_msi(g, APIC, VECTOR_B), 1);
	must_fail(ioctl(g->vm, KVM_SIGNAL_MSI, &(struct kvm_msi){ .flags = 2 }), EINVAL);
	tick(g);
	check_equal(counted(g, VECTOR_A), 1);

	/* Edges at a pin of the IOAPIC. */
	check_equal(set_line_status(g, PIN, 1), -1);		/* masked */
	set_line(g, PIN, 0);
	program_pin(g, PIN, VECTOR_C);
	check_equal(set_line_status(g, PIN, 1), 1);
	check_equal(set_line_status(g, PIN, 1), 0);		/* it is high already */
	set_line(g, PIN, 0);
	check_equal(set_line_status(g, PIN, 1), 0);		/* the first waits still */
	tick(g);
	check_equal(counted(g, VECTOR_C), 1);
	set_line(g, PIN, 0);

	/* A level, until its end. */
	*word(g, EOI_KIND) = EOI_NONE;
	program_pin(g, PIN, VECTOR_C | LEVEL);
	check_equal(set_line_status(g, PIN, 1), 1);
	check_equal(set_line_status(g, PIN, 1), 0);
	tick(g);
	check_equal(set_line_status(g, PIN, 1), 0);
	set_line(g, PIN, 0);
	apic_write(g, APIC_EOI, 0);
	check_equal(set_line_status(g, PIN, 1), 1);
	tick(g);
	check_equal(counted(g, VECTOR_C), 3);
	/* A line that leads nowhere. */
	check_equal(set_line_status(g, 1000, 1), -1);
}

/* To two vcpus: one merges it, the other does not. */
static void results_of_two(void)
{
	struct guest *g = ready_guest(FULL);
	struct second *s = second_new(g);
	struct kvm_lapic_state state;

	must(ioctl(s->guest.vcpu, KVM_GET_LAPIC, &state));
	*lapic_word(&state, APIC_SVR) = 0x1ff;
	must(ioctl(s->guest.vcpu, KVM_SET_LAPIC, &state));
	check_equal(send_msi(g, APIC | 0xff << 12, VECTOR_A), 2);
	check_equal(send_msi(g, APIC | 0xff << 12, VECTOR_A), 0);
	tick(g);
	check_equal(send_msi(g, APIC | 0xff << 12, VECTOR_A), 1);
	tick(g);
	check_equal(counted(g, VECTOR_A), 2);
}

/* ---- an IOAPIC of userspace's ----------------------------------------------------------------------- */

static void routed_ends(void)
{
	struct guest *g = new_guest(SPLIT);
	struct kvm_irq_routing_entry route = {
		.gsi = 4, .type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = APIC, .data = LEVEL | ASSERT | VECTOR_A },
	};

	run_to_out(g, TICK_PORT);
	/* Before there is a route, and to a vector that is none of a pin's: nobody waits. */
	check_equal(send_msi(g, APIC, LEVEL | ASSERT | VECTOR_A), 1);
	tick(g);
	check_equal(counted(g, VECTOR_A), 1);
	must(set_entry(g->vm, route));
	check_equal(send_msi(g, APIC, LEVEL | ASSERT | VECTOR_B), 1);
	tick(g);
	check_equal(counted(g, VECTOR_B), 1);
	check_equal(send_msi(g, APIC, LEVEL | ASSERT | VECTOR_A), 1);
	run_to(g, KVM_EXIT_IOAPIC_EOI);
	check_equal(g->run->eoi.vector, VECTOR_A);
	tick(g);
	/* An edge has no end, and a line beyond the pins belongs to no IOAPIC. */
	check_equal(send_msi(g, APIC, VECTOR_A), 1);
	tick(g);
	check_equal(counted(g, VECTOR_A), 3);
	route.gsi = 24;
	must(set_entry(g->vm, route));
	set_line(g, 24, 1);
	tick(g);
	check_equal(counted(g, VECTOR_A), 4);
}

/* ---- the task priority ------------------------------------------------------------------------------ */

static void tpr_reports(void)
{
	struct kvm_tpr_access_ctl control = { .enabled = 1 };
	struct guest *g = ready_guest(FULL);
	uint64_t store = guest_address(g, tick_store), load = guest_address(g, tick_load);
	struct kvm_regs regs;

	NEED(g->kvm, KVM_CAP_VAPIC);
	must(ioctl(g->vcpu, KVM_TPR_ACCESS_REPORTING, &control));
	guest_complete(g);
	regs = vcpu_regs(g->vcpu);
	regs.rdi = APIC_PAGE + APIC_TPR;
	regs.rax = 0x20;
	regs.rip = store;
	vcpu_set_regs(g->vcpu, &regs);
	run_to(g, KVM_EXIT_TPR_ACCESS);
	check_equal(g->run->tpr_access.rip, store);
	check_equal(g->run->tpr_access.is_write, 1);
	run_to_out(g, TICK_PORT);

	guest_complete(g);
	regs.rip = load;
	vcpu_set_regs(g->vcpu, &regs);
	run_to(g, KVM_EXIT_TPR_ACCESS);
	check_equal(g->run->tpr_access.rip, load);
	check_equal(g->run->tpr_access.is_write, 0);
	run_to_out(g, TICK_PORT);
	check_equal(vcpu_regs(g->vcpu).rax, 0x20);

	control.enabled = 0;
	must(ioctl(g->vcpu, KVM_TPR_ACCESS_REPORTING, &control));
	apic_write(g, APIC_TPR, 0x30);
	check_equal(apic_read(g, APIC_TPR), 0x30);
}

/* A guest patched by its VMM keeps TPR in memory, where it also finds what it compares it with. */
static void tpr_in_memory(void)
{
	struct kvm_vapic_addr address = { VAPIC };
	struct guest *g = ready_guest(FULL), *none = guest_new(LONG, tick_guest);

	NEED(g->kvm, KVM_CAP_VAPIC);
	must_fail(ioctl(none->vcpu, KVM_SET_VAPIC_ADDR, &address), EINVAL);
	must(ioctl(g->vcpu, KVM_SET_VAPIC_ADDR, &address));
	apic_write(g, APIC_TPR, 0x60);
	tick(g);
	check_equal(*word(g, VAPIC) & 0xff, 0x60);
	check_equal(send_msi(g, APIC, VECTOR_A), 1);
	tick(g);
	check_equal(counted(g, VECTOR_A), 0);
	check_equal(*word(g, VAPIC) >> 24, VECTOR_A);
	/* The guest lowers it there; its next exit brings the interrupt. */
	guest_do(g, tick_store, 0x40 | VECTOR_A << 24, VAPIC, 0, 0);
	tick(g);
	check_equal(counted(g, VECTOR_A), 1);
	check_equal(apic_read(g, APIC_TPR), 0x40);
	address.vapic_addr = GUEST_MMIO;
	must_fail(ioctl(g->vcpu, KVM_SET_VAPIC_ADDR, &address), EINVAL);
	address.vapic_addr = 0;
	must(ioctl(g->vcpu, KVM_SET_VAPIC_ADDR, &address));
	tick(g);
}

/* TPR through CR8 and through the page, against interrupts that wait behind it. */
static void tpr_and_cr8(void)
{
	struct guest *g = ready_guest(FULL);

	for (unsigned int i = 0; i < 200; i++) {
		guest_do(g, tick_cr8, 6, 0, 0, 0);
		check_equal(send_msi(g, APIC, VECTOR_A), 1);
		check_equal(send_msi(g, APIC, VECTOR_B), 1);
		tick(g);
		check_equal(counted(g, VECTOR_A), i);
		check_equal(counted(g, VECTOR_B), i);
		check_equal(apic_read(g, APIC_TPR), 0x60);
		guest_do(g, tick_cr8, 5, 0, 0, 0);
		tick(g);
		check_equal(counted(g, VECTOR_A), i);
		check_equal(counted(g, VECTOR_B), i + 1);
		if (i % 2)
			apic_write(g, APIC_TPR, 0);
		else
			guest_do(g, tick_cr8, 0, 0, 0, 0);
		tick(g);
		check_equal(counted(g, VECTOR_A), i + 1);
		check_equal(vcpu_sregs(g->vcpu).cr8, 0);
	}
}

/* ---- vcpus that wait ---------------------------------------------------------------------------------- */

static void nothing(int number)
{
	/* Nothing to do: KVM_RUN comes back. */
}

static void *init_later(void *data)
{
	struct guest *g = data;
	struct kvm_msi msi = { .address_lo = APIC | 1 << 12, .data = 5 << 8 };

	sleep_ms(50);
	must(ioctl(g->vm, KVM_SIGNAL_MSI, &msi));
	return NULL;
}

static void uninitialized(void)
{
	struct sigaction action = { .sa_handler = nothing };
	struct guest *g = ready_guest(FULL);
	struct second *s = second_new(g);
	pthread_t thread;

	must(sigaction(SIGALRM, &action, NULL));
	check_equal(mp_state(s->guest.vcpu), KVM_MP_STATE_UNINITIALIZED);
	s->guest.run->immediate_exit = 1;
	check_equal(guest_run(&s->guest), EINTR);
	s->guest.run->immediate_exit = 0;
	alarm(1);
	check_equal(guest_run(&s->guest), EINTR);
	check_equal(s->guest.run->exit_reason, KVM_EXIT_INTR);
	check_equal(mp_state(s->guest.vcpu), KVM_MP_STATE_UNINITIALIZED);
	check_equal(pthread_create(&thread, NULL, init_later, g), 0);
	check_equal(guest_run(&s->guest), EAGAIN);
	pthread_join(thread, NULL);
	check_equal(mp_state(s->guest.vcpu), KVM_MP_STATE_INIT_RECEIVED);
	alarm(1);
	check_equal(guest_run(&s->guest), EINTR);
}

/* ---- polling ------------------------------------------------------------------------------------------- */

static void *messages_fast(void *data)
{
	struct guest *g = data;

	for (unsigned int i = 0; i < 200; i++) {
		uint64_t until = now_ns() + 300000;

		while (now_ns() < until)
			sched_yield();
		if (send_msi(g, APIC, VECTOR_A) < 0)
			break;
		while (counted(g, VECTOR_A) <= i)
			sched_yield();
	}
	return NULL;
}

static void halts(struct guest *g, uint64_t *attempts, uint64_t *successes)
{
	uint64_t a = vcpu_stat(g->vcpu, "halt_attempted_poll");
	uint64_t b = vcpu_stat(g->vcpu, "halt_successful_poll");
	pthread_t thread;

	*word(g, COUNTS + 4 * VECTOR_A) = 0;
	check_equal(pthread_create(&thread, NULL, messages_fast, g), 0);
	while (counted(g, VECTOR_A) < 200)
		guest_do(g, tick_halt, 0, 0, 0, 0);
	pthread_join(thread, NULL);
	*attempts = vcpu_stat(g->vcpu, "halt_attempted_poll") - a;
	*successes = vcpu_stat(g->vcpu, "halt_successful_poll") - b;
}

/* The VM's own limit counts, from its next halt on: none, and one that is longer than these halts. */
static void polling(void)
{
	struct guest *g = ready_guest(FULL);
	uint64_t attempts, successes;

	NEED(g->vm, KVM_CAP_HALT_POLL);
	must(enable(g->vm, KVM_CAP_HALT_POLL, 0));
	halts(g, &attempts, &successes);
	check(attempts <= 1);
	must(enable(g->vm, KVM_CAP_HALT_POLL, 50000000));
	halts(g, &attempts, &successes);
	note("%llu halts of 200 polled, %llu of them with success",
	     (unsigned long long)attempts, (unsigned long long)successes);
	check(attempts > 20);
	check(successes <= attempts);
	must(enable(g->vm, KVM_CAP_HALT_POLL, 0));
	halts(g, &attempts, &successes);
	check(attempts <= 1);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "the clock of the timer", bus_clock },
		{ "exits that are done without", disabled_exits },
		{ "the page of an APIC in x2APIC mode", lapic_hole },
		{ "LINT0 after reset", quirks_of_reset },
		{ "MWAIT in CPUID", mwait_in_cpuid },
		{ "results of lines and messages", results },
		{ "results of a message for two", results_of_two },
		{ "ends of routed interrupts", routed_ends },
		{ "reports of TPR accesses", tpr_reports },
		{ "TPR in memory", tpr_in_memory },
		{ "TPR and CR8", tpr_and_cr8 },
		{ "a vcpu that nobody started", uninitialized },
		{ "polling", polling },
	};

	return RUN_CASES("apic", cases);
}
