// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupt controllers in the kernel as userspace and small guests see them: creation and its
 * order, state read and put back, messages and lines, interprocessor interrupts, start-up of a
 * second vcpu, the timers, halted vcpus. Irqfds and their routes are irqfd.c's. AMD64 manual, volume
 * 2, chapter 16; data sheets of the 82093AA, 8259A and 8254; KVM API document.
 */
#include "tick.h"

#include <signal.h>
#include <sys/mman.h>

#define STARTED_PORT	0x52		/* the second vcpu came up by INIT and STARTUP */
#define STARTED		0x800
#define AP_CODE		0x20		/* page of the real mode code */

GUEST(start_code, 16,
	"	mov	%cs, %ax\n"
	"	mov	%ax, 0x802\n"
	"	incw	0x800\n"
	"	out	%al, $0x52\n"
	"	cli\n"
	"1:	hlt\n"
	"	jmp	1b\n");

/* ---- ioctls ---------------------------------------------------------------------------------------- */

static void creation(void)
{
	int vm = new_vm(), split;

	must(ioctl(vm, KVM_CREATE_VCPU, 0));
	must_fail(ioctl(vm, KVM_CREATE_IRQCHIP, 0), EINVAL);
	must_fail(enable(vm, KVM_CAP_SPLIT_IRQCHIP, 24), EEXIST);
	close(vm);

	vm = new_vm();
	must(ioctl(vm, KVM_CREATE_IRQCHIP, 0));
	must_fail(ioctl(vm, KVM_CREATE_IRQCHIP, 0), EEXIST);
	must_fail(enable(vm, KVM_CAP_SPLIT_IRQCHIP, 24), EEXIST);
	close(vm);

	split = new_vm();
	must_fail(enable(split, KVM_CAP_SPLIT_IRQCHIP, 1u << 20), EINVAL);
	must(enable(split, KVM_CAP_SPLIT_IRQCHIP, 24));
	must_fail(enable(split, KVM_CAP_SPLIT_IRQCHIP, 24), EEXIST);
	must_fail(ioctl(split, KVM_CREATE_IRQCHIP, 0), EEXIST);
	close(split);
}

static void round_trip(int vm, uint32_t id)
{
	struct kvm_irqchip before = { .chip_id = id }, after = { .chip_id = id };

	must(ioctl(vm, KVM_GET_IRQCHIP, &before));
	if (id == KVM_IRQCHIP_IOAPIC) {
		for (unsigned int i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
			before.chip.ioapic.redirtbl[i].bits = MASKED | (0x30 + i);
		before.chip.ioapic.ioregsel = 0x12;
	} else {
		before.chip.pic.irq_base = 0x30 + 8 * id;
		before.chip.pic.imr = 0xfe;
	}
	must(ioctl(vm, KVM_SET_IRQCHIP, &before));
	must(ioctl(vm, KVM_GET_IRQCHIP, &after));
	if (memcmp(&before, &after, sizeof(before)))
		fail("chip %u is not what was set", id);
}

static void chip_state(void)
{
	struct kvm_irqchip chip = { .chip_id = 3 };
	int vm = new_vm(), kvm = open_kvm();

	must_fail(ioctl(vm, KVM_GET_IRQCHIP, &chip), ENXIO);
	must_fail(ioctl(vm, KVM_SET_IRQCHIP, &chip), ENXIO);
	must(ioctl(vm, KVM_CREATE_IRQCHIP, 0));
	must_fail(ioctl(vm, KVM_GET_IRQCHIP, &chip), EINVAL);
	must_fail(ioctl(vm, KVM_SET_IRQCHIP, &chip), EINVAL);
	must_fail(ioctl(vm, KVM_GET_IRQCHIP, (void *)8), EFAULT);
	for (uint32_t id = 0; id < 3; id++)
		round_trip(vm, id);

	vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	must(enable(vm, KVM_CAP_SPLIT_IRQCHIP, 24));
	chip.chip_id = 0;
	must_fail(ioctl(vm, KVM_GET_IRQCHIP, &chip), ENXIO);
	must_fail(ioctl(vm, KVM_SET_IRQCHIP, &chip), ENXIO);
}

static void lapic_state(void)
{
	struct guest *g = ready_guest(FULL);
	struct kvm_lapic_state before, after;
	struct guest *none = guest_new(LONG, tick_guest);

	must_fail(ioctl(none->vcpu, KVM_GET_LAPIC, &before), EINVAL);
	must(ioctl(g->vcpu, KVM_GET_LAPIC, &before));
	check_equal(*lapic_word(&before, APIC_SVR), 0x1ff);
	*lapic_word(&before, APIC_TPR) = 0x50;
	*lapic_word(&before, APIC_LVT_LINT0) = MASKED | EXTINT;
	/* What cannot be pending: vectors 0 to 15. And one that can. */
	*lapic_word(&before, APIC_IRR) = 0xffff;
	*lapic_word(&before, APIC_IRR + 0x10 * (VECTOR_B / 32)) |= 1u << VECTOR_B % 32;
	must(ioctl(g->vcpu, KVM_SET_LAPIC, &before));
	must(ioctl(g->vcpu, KVM_GET_LAPIC, &after));
	check_equal(*lapic_word(&after, APIC_TPR), 0x50);
	check_equal(*lapic_word(&after, APIC_LVT_LINT0), MASKED | EXTINT);
	tick(g);
	check_equal(counted(g, VECTOR_B), 1);

	memset(&before, 0xff, sizeof(before));
	*lapic_word(&before, 0x20) = 0;
	if (!ioctl(g->vcpu, KVM_SET_LAPIC, &before))
		must(ioctl(g->vcpu, KVM_GET_LAPIC, &after));
	memset(&before, 0, sizeof(before));
	must(ioctl(g->vcpu, KVM_SET_LAPIC, &before));
	guest_complete(g);
}

static void pit_state(void)
{
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct kvm_pit_state2 state, after;
	struct kvm_pit_state old;
	struct kvm_reinject_control control = { 0 };
	int vm = new_vm();

	must_fail(ioctl(vm, KVM_CREATE_PIT2, &config), ENOENT);
	must_fail(ioctl(vm, KVM_GET_PIT2, &state), ENXIO);
	must_fail(ioctl(vm, KVM_REINJECT_CONTROL, &control), ENXIO);
	must(ioctl(vm, KVM_CREATE_IRQCHIP, 0));
	must_fail(ioctl(vm, KVM_SET_PIT2, &state), ENXIO);
	must(ioctl(vm, KVM_CREATE_PIT2, &config));
	must_fail(ioctl(vm, KVM_CREATE_PIT2, &config), EEXIST);
	must_fail(ioctl(vm, KVM_CREATE_PIT, 0), EEXIST);
	must(ioctl(vm, KVM_REINJECT_CONTROL, &control));

	must(ioctl(vm, KVM_GET_PIT2, &state));
	state.channels[0].mode = 2;
	state.channels[0].count = 0x4321;
	state.channels[2].mode = 3;
	state.channels[2].count = 0x1000;
	must(ioctl(vm, KVM_SET_PIT2, &state));
	must(ioctl(vm, KVM_GET_PIT2, &after));
	check_equal(after.channels[0].mode, 2);
	check_equal(after.channels[0].count, 0x4321);
	check_equal(after.channels[2].mode, 3);
	check_equal(after.channels[2].count, 0x1000);
	must(ioctl(vm, KVM_GET_PIT, &old));
	check_equal(old.channels[0].count, 0x4321);
	must(ioctl(vm, KVM_SET_PIT, &old));
	memset(&state, 0xff, sizeof(state));
	if (!ioctl(vm, KVM_SET_PIT2, &state))
		must(ioctl(vm, KVM_GET_PIT2, &after));
}

static void line_arguments(void)
{
	struct kvm_irq_level line = { .irq = PIN, .level = 1 };
	int vm = new_vm();

	must_fail(ioctl(vm, KVM_IRQ_LINE, &line), ENXIO);
	must_fail(ioctl(vm, KVM_IRQ_LINE_STATUS, &line), ENXIO);
	must(ioctl(vm, KVM_CREATE_IRQCHIP, 0));
	must_fail(ioctl(vm, KVM_IRQ_LINE, (void *)8), EFAULT);
	for (unsigned int i = 0; i < 64; i++) {
		line.irq = i < 32 ? i : 1u << (i - 32);
		must(ioctl(vm, KVM_IRQ_LINE, &line));
		line.level = !line.level;
	}
}

static void bad_tables(void)
{
	struct kvm_irq_routing_entry entry = { .gsi = 1, .type = KVM_IRQ_ROUTING_IRQCHIP };
	struct kvm_irq_routing head = { .nr = 1, .flags = 1 };
	struct guest *g;
	int vm = new_vm();

	must_fail(set_entry(vm, entry), EINVAL);
	close(vm);
	g = ready_guest(FULL);
	vm = g->vm;
	must_fail(ioctl(vm, KVM_SET_GSI_ROUTING, &head), EINVAL);
	head = (struct kvm_irq_routing) { .nr = 1u << 30 };
	must_fail(ioctl(vm, KVM_SET_GSI_ROUTING, &head), EINVAL);
	entry.u.irqchip.pin = 8;
	must_fail(set_entry(vm, entry), EINVAL);
	entry.u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
	entry.u.irqchip.pin = KVM_IOAPIC_NUM_PINS;
	must_fail(set_entry(vm, entry), EINVAL);
	entry.u.irqchip.irqchip = 3;
	entry.u.irqchip.pin = 0;
	must_fail(set_entry(vm, entry), EINVAL);
	entry.u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
	entry.type = 77;
	must_fail(set_entry(vm, entry), EINVAL);
	entry.type = KVM_IRQ_ROUTING_IRQCHIP;
	entry.gsi = 1u << 20;
	must_fail(set_entry(vm, entry), EINVAL);

	/* The table from before is in force. */
	program_pin(g, PIN, VECTOR_A);
	set_line(g, PIN, 1);
	tick(g);
	check_equal(counted(g, VECTOR_A), 1);
}

/* ---- messages and lines ------------------------------------------------------------------------ */

static void messages(void)
{
	struct guest *g = ready_guest(FULL);

	check_equal(must(send_msi(g, APIC, VECTOR_A)), 1);
	must(send_msi(g, APIC, VECTOR_A));			/* one with the first */
	tick(g);
	check_equal(counted(g, VECTOR_A), 1);
	must(send_msi(g, APIC | 0xff << 12, VECTOR_B));		/* to everybody */
	tick(g);
	check_equal(counted(g, VECTOR_B), 1);
	check_equal(send_msi(g, APIC | 7 << 12, VECTOR_B), 0);	/* to nobody */
	tick(g);
	check_equal(counted(g, VECTOR_B), 1);

	guest_complete(g);
	set_x2apic(g, g->vcpu);
	check_equal(must(send_msi(g, APIC, VECTOR_A)), 1);
	tick(g);
	check_equal(counted(g, VECTOR_A), 2);
	guest_wrmsr(g, MSR_X2APIC + 0x3f, VECTOR_C);		/* SELF IPI */
	tick(g);
	check_equal(counted(g, VECTOR_C), 1);
	guest_wrmsr(g, MSR_X2APIC + APIC_ICR / 16, ICR_SELF | VECTOR_C);
	tick(g);
	check_equal(counted(g, VECTOR_C), 2);
}

static void priorities(void)
{
	struct guest *g = ready_guest(FULL);

	apic_write(g, APIC_TPR, 0x60);
	must(send_msi(g, APIC, VECTOR_A));
	must(send_msi(g, APIC, VECTOR_B));
	tick(g);
	check_equal(counted(g, VECTOR_A) + counted(g, VECTOR_B), 0);
	must(send_msi(g, APIC, VECTOR_C));
	tick(g);
	check_equal(counted(g, VECTOR_C), 1);
	apic_write(g, APIC_TPR, 0x50);
	tick(g);
	check_equal(counted(g, VECTOR_B), 1);
	check_equal(counted(g, VECTOR_A), 0);
	guest_do(g, tick_cr8, 4, 0, 0, 0);
	tick(g);
	check_equal(counted(g, VECTOR_A), 1);
	check_equal(apic_read(g, APIC_TPR), 0x40);

	/* One in service holds back what is not above it. */
	*word(g, EOI_KIND) = EOI_NONE;
	must(send_msi(g, APIC, VECTOR_B));
	tick(g);
	must(send_msi(g, APIC, VECTOR_A));
	must(send_msi(g, APIC, VECTOR_B));
	tick(g);
	check_equal(counted(g, VECTOR_A), 1);
	check_equal(counted(g, VECTOR_B), 2);
	*word(g, EOI_KIND) = EOI_XAPIC;
	apic_write(g, APIC_EOI, 0);
	tick(g);
	check_equal(counted(g, VECTOR_A), 2);
	check_equal(counted(g, VECTOR_B), 3);
}

static void self_ipi(void)
{
	struct guest *g = ready_guest(FULL);

	for (unsigned int i = 1; i <= 100; i++) {
		apic_write(g, APIC_ICR, ICR_SELF | VECTOR_A);
		tick(g);
		check_equal(counted(g, VECTOR_A), i);
	}
	apic_write(g, APIC_ICR2, 0);
	apic_write(g, APIC_ICR, VECTOR_B);
	tick(g);
	check_equal(counted(g, VECTOR_B), 1);
	apic_write(g, APIC_ICR, ICR_NMI);
	tick(g);
	check_equal(counted(g, VECTOR_NMI), 1);
}

static void level_pin(void)
{
	struct guest *g = ready_guest(FULL);
	uint32_t before;

	*word(g, EOI_KIND) = EOI_NONE;
	program_pin(g, PIN, VECTOR_A | LEVEL);
	check_equal(set_line_status(g, PIN, 1), 1);
	tick(g);
	check_equal(counted(g, VECTOR_A), 1);
	apic_write(g, APIC_EOI, 0);
	tick(g);
	check_equal(counted(g, VECTOR_A), 2);		/* asserted still */
	tick(g);
	check_equal(counted(g, VECTOR_A), 2);
	check_equal(set_line_status(g, PIN, 0), 1);
	apic_write(g, APIC_EOI, 0);
	tick(g);
	before = counted(g, VECTOR_A);
	tick(g);
	check_equal(counted(g, VECTOR_A), before);
	check_equal(before, 2);
}

static void edge_pin(void)
{
	struct guest *g = ready_guest(FULL);

	program_pin(g, PIN, VECTOR_A);
	for (unsigned int i = 1; i <= 10; i++) {
		set_line(g, PIN, 1);
		tick(g);
		check_equal(counted(g, VECTOR_A), i);
		set_line(g, PIN, 0);
	}
	/* A masked pin's edge is lost with a level of zero. */
	program_pin(g, PIN, VECTOR_B | MASKED);
	set_line(g, PIN, 1);
	set_line(g, PIN, 0);
	program_pin(g, PIN, VECTOR_B);
	tick(g);
	check_equal(counted(g, VECTOR_A), 10);
}

static void init_pic(struct guest *g)
{
	guest_out(g, 0x20, 0x11);
	guest_out(g, 0x21, 0x30);
	guest_out(g, 0x21, 0x04);
	guest_out(g, 0x21, 0x01);
	guest_out(g, 0x21, 0x00);
}

static void from_pic(void)
{
	struct guest *g = ready_guest(FULL);

	*word(g, EOI_KIND) = EOI_PIC;
	init_pic(g);
	apic_write(g, APIC_LVT_LINT0, EXTINT);
	for (unsigned int i = 1; i <= 5; i++) {
		set_line(g, 5, 1);
		tick(g);
		check_equal(counted(g, 0x35), i);
		set_line(g, 5, 0);
	}
	apic_write(g, APIC_LVT_LINT0, EXTINT | MASKED);
	set_line(g, 5, 1);
	tick(g);
	check_equal(counted(g, 0x35), 5);
	apic_write(g, APIC_LVT_LINT0, EXTINT);
	must(send_msi(g, APIC, VECTOR_A));		/* for one that does not look at once */
	tick(g);
	check_equal(counted(g, 0x35), 6);
}

/* Without a chip of its own userspace ends what an IOAPIC of its own began. */
static void split(void)
{
	struct guest *g = new_guest(SPLIT);
	struct kvm_irq_routing_entry route = {
		.gsi = 4, .type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = APIC, .data = LEVEL | VECTOR_A },
	};

	must(set_entry(g->vm, route));
	run_to_out(g, TICK_PORT);
	must(send_msi(g, APIC, VECTOR_B));
	tick(g);
	check_equal(counted(g, VECTOR_B), 1);
	set_line(g, 4, 1);
	for (int i = 0; i < 2; i++) {
		check_equal(guest_run(g), 0);
		if (g->run->exit_reason == KVM_EXIT_IOAPIC_EOI)
			break;
	}
	check_equal(g->run->exit_reason, KVM_EXIT_IOAPIC_EOI);
	check_equal(g->run->eoi.vector, VECTOR_A);
	check_equal(counted(g, VECTOR_A), 1);
	tick(g);
	check_equal(counted(g, VECTOR_A), 1);
	/* The ports of chips that are userspace's come to it. */
	guest_complete(g);
	vcpu_set_rip(g->vcpu, guest_address(g, tick_out));
	struct kvm_regs regs = vcpu_regs(g->vcpu);
	regs.rdx = 0x20;
	vcpu_set_regs(g->vcpu, &regs);
	run_to_out(g, 0x20);
}

/* A controller of userspace's may inject only what the local APIC lets through. */
static void split_window(void)
{
	struct guest *g = ready_guest(SPLIT);

	apic_write(g, APIC_LVT_LINT0, EXTINT | MASKED);
	vcpu_set_rip(g->vcpu, vcpu_regs(g->vcpu).rip);
	check_equal(g->run->ready_for_interrupt_injection, 0);
	g->run->request_interrupt_window = 1;
	for (int i = 0; i < 4; i++) {
		run_to_out(g, TICK_PORT);
		check_equal(g->run->ready_for_interrupt_injection, 0);
	}
	g->run->request_interrupt_window = 0;
	apic_write(g, APIC_LVT_LINT0, EXTINT);
	g->run->request_interrupt_window = 1;
	run_to(g, KVM_EXIT_IRQ_WINDOW_OPEN);
	check_equal(g->run->ready_for_interrupt_injection, 1);
	g->run->request_interrupt_window = 0;
	*word(g, EOI_KIND) = EOI_NONE;
	must(ioctl(g->vcpu, KVM_INTERRUPT, &(struct kvm_interrupt){ VECTOR_C }));
	tick(g);
	check_equal(counted(g, VECTOR_C), 1);
}

/* ---- timers ---------------------------------------------------------------------------------------- */

static void apic_timer(void)
{
	struct guest *g = new_guest(FULL);
	struct kvm_cpuid2 *cpuid = cpuid_supported(g->kvm);
	uint64_t start, tsc, deadline;

	/* A VMM that has asked for the capability adds this bit. */
	cpuid_find(cpuid, 1, 0)->ecx |= 1u << 24;
	must(ioctl(g->vcpu, KVM_SET_CPUID2, cpuid));
	run_to_out(g, TICK_PORT);
	apic_write(g, APIC_DIVIDE, 0xb);
	apic_write(g, APIC_LVT_TIMER, VECTOR_A);
	start = now_ns();
	apic_write(g, APIC_INITIAL, 20000000);		/* 20 ms */
	check(apic_read(g, APIC_CURRENT) <= 20000000);
	wait_count(g, VECTOR_A, 1);
	check(now_ns() - start >= 19000000);
	sleep_ms(40);
	tick(g);
	check_equal(counted(g, VECTOR_A), 1);
	check_equal(apic_read(g, APIC_CURRENT), 0);

	apic_write(g, APIC_LVT_TIMER, VECTOR_B | TIMER_PERIODIC);
	apic_write(g, APIC_INITIAL, 5000000);
	wait_count(g, VECTOR_B, 5);
	apic_write(g, APIC_INITIAL, 0);
	tick(g);
	start = counted(g, VECTOR_B);
	sleep_ms(30);
	tick(g);
	check_equal(counted(g, VECTOR_B), start);

	if (!extension(g->kvm, KVM_CAP_TSC_DEADLINE_TIMER))
		return;
	apic_write(g, APIC_LVT_TIMER, VECTOR_C | TIMER_DEADLINE);
	check(vcpu_get_msr(g->vcpu, MSR_TSC, &tsc));
	tsc += 20ull * must(ioctl(g->vcpu, KVM_GET_TSC_KHZ, 0));
	guest_wrmsr(g, MSR_DEADLINE, tsc);
	tick(g);
	wait_count(g, VECTOR_C, 1);
	check(vcpu_get_msr(g->vcpu, MSR_TSC, &deadline));
	check(deadline >= tsc);
	guest_wrmsr(g, MSR_DEADLINE, 1);		/* long ago */
	tick(g);
	tick(g);
	check_equal(counted(g, VECTOR_C), 2);
	tick(g);
	check_equal(counted(g, VECTOR_C), 2);
	guest_wrmsr(g, MSR_DEADLINE, ~0ull >> 2);
	sleep_ms(10);
	tick(g);
	check_equal(counted(g, VECTOR_C), 2);
}

static void start_pit(struct guest *g)
{
	guest_out(g, 0x43, 0x34);
	guest_out(g, 0x40, 0x00);
	guest_out(g, 0x40, 0x10);			/* 3.4 ms */
}

static void pit_to_pic(void)
{
	struct guest *g = new_guest(FULL);

	must(ioctl(g->vm, KVM_CREATE_PIT2, &(struct kvm_pit_config){ 0 }));
	run_to_out(g, TICK_PORT);
	*word(g, EOI_KIND) = EOI_PIC;
	init_pic(g);
	apic_write(g, APIC_LVT_LINT0, EXTINT);
	start_pit(g);
	wait_count(g, 0x30, 10);
}

static void pit_to_ioapic(void)
{
	struct guest *g = new_guest(FULL);

	must(ioctl(g->vm, KVM_CREATE_PIT2, &(struct kvm_pit_config){ 0 }));
	run_to_out(g, TICK_PORT);
	apic_write(g, APIC_LVT_LINT0, EXTINT | MASKED);
	program_pin(g, 0, VECTOR_A);
	start_pit(g);
	wait_count(g, VECTOR_A, 10);
}

/* ---- halted and several vcpus ----------------------------------------------------------------------- */

static void *send_later(void *data)
{
	struct guest *g = data;

	for (int i = 0; i < 10; i++) {
		sleep_ms(10);
		must(send_msi(g, APIC, VECTOR_A));
	}
	return NULL;
}

static void halted(void)
{
	struct guest *g = ready_guest(FULL);
	pthread_t thread;

	check_equal(pthread_create(&thread, NULL, send_later, g), 0);
	for (unsigned int i = 1; i <= 10; i++) {
		guest_do(g, tick_halt, 0, 0, 0, 0);
		check_equal(counted(g, VECTOR_A), i);
	}
	pthread_join(thread, NULL);

	/* Its own timer wakes it as well. */
	apic_write(g, APIC_DIVIDE, 0xb);
	apic_write(g, APIC_LVT_TIMER, VECTOR_B);
	apic_write(g, APIC_INITIAL, 30000000);
	guest_do(g, tick_halt, 0, 0, 0, 0);
	check_equal(counted(g, VECTOR_B), 1);
	/* And an NMI. */
	must(set_mp_state(g->vcpu, KVM_MP_STATE_HALTED));
	check_equal(mp_state(g->vcpu), KVM_MP_STATE_HALTED);
	must(ioctl(g->vcpu, KVM_NMI, 0));
	tick(g);
	check_equal(counted(g, VECTOR_NMI), 1);
	check_equal(mp_state(g->vcpu), KVM_MP_STATE_RUNNABLE);
}

static void power_states(void)
{
	struct guest *g = new_guest(FULL);
	struct second *s = second_new(g);
	static const uint32_t states[] = {
		KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_HALTED, KVM_MP_STATE_UNINITIALIZED,
		KVM_MP_STATE_INIT_RECEIVED,
	};

	check_equal(mp_state(g->vcpu), KVM_MP_STATE_RUNNABLE);
	check_equal(mp_state(s->guest.vcpu), KVM_MP_STATE_UNINITIALIZED);
	for (unsigned int i = 0; i < ARRAY_SIZE(states); i++) {
		must(set_mp_state(s->guest.vcpu, states[i]));
		check_equal(mp_state(s->guest.vcpu), states[i]);
	}
	must_fail(set_mp_state(s->guest.vcpu, 77), EINVAL);

	/* INIT and STARTUP that have come are not forgotten when the state is read. */
	run_to_out(g, TICK_PORT);
	apic_write(g, APIC_ICR2, 1u << 24);
	apic_write(g, APIC_ICR, ICR_INIT);
	check_equal(mp_state(s->guest.vcpu), KVM_MP_STATE_INIT_RECEIVED);
	apic_write(g, APIC_ICR2, 1u << 24);
	apic_write(g, APIC_ICR, ICR_STARTUP | AP_CODE);
	if (mp_state(s->guest.vcpu) == KVM_MP_STATE_RUNNABLE)
		check_equal(vcpu_sregs(s->guest.vcpu).cs.base, AP_CODE * PAGE);
	else
		check_equal(mp_state(s->guest.vcpu), KVM_MP_STATE_SIPI_RECEIVED);
}

static void startup(void)
{
	struct guest *g = new_guest(FULL);
	struct second *s = second_new(g);
	uint16_t *started = (uint16_t *)(g->memory + STARTED);

	memcpy(g->memory + AP_CODE * PAGE, start_code, start_code_end - start_code);
	run_to_out(g, TICK_PORT);
	second_start(s);
	/* A STARTUP without an INIT, to a vcpu that was never started. */
	sleep_ms(10);
	for (unsigned int i = 1; i <= 5; i++) {
		apic_write(g, APIC_ICR2, 1u << 24);
		apic_write(g, APIC_ICR, ICR_INIT);
		sleep_ms(5);
		apic_write(g, APIC_ICR, ICR_STARTUP | AP_CODE);
		wait_outs(s, i);
		apic_write(g, APIC_ICR, ICR_STARTUP | AP_CODE);	/* not heard */
		check_equal(started[0], i);
		check_equal(started[1], AP_CODE << 8);
	}
	sleep_ms(10);
	check_equal(started[0], 5);
	/* All but itself, and without a pause. */
	apic_write(g, APIC_ICR, ICR_OTHERS | ICR_INIT);
	apic_write(g, APIC_ICR, ICR_OTHERS | ICR_STARTUP | AP_CODE);
	wait_outs(s, 6);
	second_stop(s);
}

#define ROUNDS	1000u

static void ping_pong(bool x2apic)
{
	struct guest *g = ready_guest(FULL);
	struct second *s = second_new(g);
	uint32_t rounds = ROUNDS / slowness();
	struct kvm_regs regs;

	if (!rounds)
		rounds = 1;
	guest_complete(g);
	vcpu_set_mode(s->guest.vcpu, LONG);
	if (x2apic) {
		set_x2apic(g, g->vcpu);
		set_x2apic(g, s->guest.vcpu);
	}
	regs = vcpu_regs(s->guest.vcpu);
	regs.rip = guest_address(g, tick_pong);
	regs.rsp = AP_STACK;
	regs.rbx = APIC;
	vcpu_set_regs(s->guest.vcpu, &regs);
	must(set_mp_state(s->guest.vcpu, KVM_MP_STATE_RUNNABLE));
	second_start(s);
	wait_outs(s, 1);

	regs = vcpu_regs(g->vcpu);
	regs.rsi = rounds;
	regs.rip = guest_address(g, tick_ping);
	regs.rflags = RFLAGS_FIXED;
	vcpu_set_regs(g->vcpu, &regs);
	run_to_out(g, TICK_PORT);
	tick(g);
	check_equal(counted(g, PING), rounds);
	check_equal(counted(g, PONG), rounds);
	second_stop_halted(s);
}

static void ping_pong_xapic(void)
{
	ping_pong(false);
}

static void ping_pong_x2apic(void)
{
	ping_pong(true);
}

/* An NMI for one that sleeps with interrupts disabled, by a message between processors. */
static void nmi_ipi(void)
{
	struct guest *g = ready_guest(FULL);
	struct second *s = second_new(g);
	struct kvm_regs regs;

	vcpu_set_mode(s->guest.vcpu, LONG);
	regs = vcpu_regs(s->guest.vcpu);
	regs.rip = guest_address(g, tick_pong);
	regs.rsp = AP_STACK;
	vcpu_set_regs(s->guest.vcpu, &regs);
	must(set_mp_state(s->guest.vcpu, KVM_MP_STATE_RUNNABLE));
	second_start(s);
	wait_outs(s, 1);
	for (unsigned int i = 1; i <= 20; i++) {
		apic_write(g, APIC_ICR2, 1u << 24);
		apic_write(g, APIC_ICR, ICR_NMI);
		while (counted(g, VECTOR_NMI) < i)
			sleep_ms(1);
	}
	sleep_ms(10);
	check_equal(counted(g, VECTOR_NMI), 20);
	second_stop(s);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "creation and its order", creation },
		{ "state of PIC and IOAPIC", chip_state },
		{ "state of the local APIC", lapic_state },
		{ "state of the PIT", pit_state },
		{ "arguments of KVM_IRQ_LINE", line_arguments },
		{ "routing tables that are not", bad_tables },
		{ "messages", messages },
		{ "priorities", priorities },
		{ "interrupts to oneself", self_ipi },
		{ "a level at a pin", level_pin },
		{ "edges at a pin", edge_pin },
		{ "the PIC through LINT0", from_pic },
		{ "an IOAPIC of userspace's", split },
		{ "a PIC of userspace's", split_window },
		{ "the APIC's timer", apic_timer },
		{ "the PIT through the PIC", pit_to_pic, 20 },
		{ "the PIT through the IOAPIC", pit_to_ioapic, 20 },
		{ "interrupts wake", halted, 20 },
		{ "power states", power_states },
		{ "INIT and STARTUP", startup, 20 },
		{ "interrupts between vcpus, xAPIC", ping_pong_xapic },
		{ "interrupts between vcpus, x2APIC", ping_pong_x2apic },
		{ "NMIs between vcpus", nmi_ipi, 20 },
	};

	return RUN_CASES("irqchip", cases);
}
