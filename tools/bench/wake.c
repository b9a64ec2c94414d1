// SPDX-License-Identifier: GPL-2.0
/*
 * Rows about interrupts that come from elsewhere: an irqfd, another vcpu; taken by a vcpu that
 * is about to enter the guest or that sleeps in HLT. The counting host has one processor, so a
 * row with two threads contains the switches between them. Local APIC: AMD APM volume 2,
 * chapter 16.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "bench.h"

#define BATCHES		11
#define LOOPS		100
#define PROFILE_LOOPS	20

#define ICR_FIXED	0x00004030	/* vector 0x30 */
#define ICR_ID_SHIFT	24

#define GSI		24		/* behind the pins of PIC and IOAPIC */
#define MSI_ADDRESS	0xfee00000	/* APIC 0, physical */
#define MSI_DATA	0x00000030	/* edge, fixed, vector 0x30 */
#define OTHER_STACK	0x00007000

struct wake {
	struct vm vm, other;		/* other: a second vcpu or thread of the same machine */
	int irq, answer;		/* eventfds */
	uint32_t loops;
	pthread_t thread;
	int thread_error;
};

/* The local APIC is on, and its ICR addresses one other. */
static int setup_apic(struct vm *vm, uint32_t destination)
{
	int err = vm_write_apic(vm, APIC_SPURIOUS, SPURIOUS_ENABLE);

	return err ? err : vm_write_apic(vm, APIC_ICR_HIGH, destination << ICR_ID_SHIFT);
}

static int setup_irqfd(struct wake *wake)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routing = {
		.head.nr = 1,
		.entry = {
			.gsi = GSI, .type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = MSI_ADDRESS, .data = MSI_DATA },
		},
	};
	struct kvm_irqfd irqfd = { .gsi = GSI };

	wake->irq = eventfd(0, EFD_CLOEXEC);
	if (wake->irq < 0)
		return errno;
	irqfd.fd = wake->irq;
	if (ioctl(wake->vm.fd, KVM_SET_GSI_ROUTING, &routing.head) < 0 ||
	    ioctl(wake->vm.fd, KVM_IRQFD, &irqfd) < 0)
		return errno;
	return 0;
}

static int setup_answer(struct wake *wake)
{
	struct kvm_ioeventfd event = {
		.addr = EVENTFD_PORT, .len = 2, .flags = KVM_IOEVENTFD_FLAG_PIO,
	};

	wake->answer = eventfd(0, EFD_CLOEXEC);
	if (wake->answer < 0)
		return errno;
	event.fd = wake->answer;
	return ioctl(wake->vm.fd, KVM_IOEVENTFD, &event) < 0 ? errno : 0;
}

static int setup_other(struct wake *wake)
{
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	int err;

	wake->other.vcpu = ioctl(wake->vm.fd, KVM_CREATE_VCPU, 1);
	if (wake->other.vcpu < 0)
		return errno;
	err = vm_setup_vcpu(&wake->other);
	if (err)
		return err;
	if (ioctl(wake->other.vcpu, KVM_SET_MP_STATE, &runnable) < 0)
		return errno;
	return setup_apic(&wake->other, 0);
}

static int set_stack(struct vm *vm, uint32_t stack)
{
	struct kvm_regs regs;

	if (ioctl(vm->vcpu, KVM_GET_REGS, &regs) < 0)
		return errno;
	regs.rsp = stack;
	return ioctl(vm->vcpu, KVM_SET_REGS, &regs) < 0 ? errno : 0;
}

static int taken(struct vm *vm, uint32_t wanted)
{
	struct kvm_regs regs;

	if (ioctl(vm->vcpu, KVM_GET_REGS, &regs) < 0)
		return errno;
	return regs.rbp == wanted ? 0 : ERANGE;
}

static void *other_thread(void *data)
{
	struct wake *wake = data;

	wake->thread_error = vm_run_to_end(&wake->other);
	return NULL;
}

/* A pass is a KVM_RUN that ends with an OUT, with and without an interrupt on the way. */
static int time_passes(struct wake *wake, bool interrupt, uint64_t *ticks)
{
	const struct program pass = {
		.entry = guest_take, .rdx = USER_PORT, .rbx = APIC_BASE + APIC_EOI,
	};
	uint64_t one = 1, start;
	uint32_t i;
	int err = vm_load(&wake->vm, &pass, wake->loops + 2);

	if (!err)
		err = vm_run(&wake->vm);
	if (err)
		return err;
	start = now();
	for (i = 0; i < wake->loops; i++) {
		if (interrupt && write(wake->irq, &one, sizeof(one)) != sizeof(one))
			return errno;
		err = vm_run(&wake->vm);
		if (err)
			return err;
		if (wake->vm.run->exit_reason != KVM_EXIT_IO)
			return EPROTO;
	}
	*ticks = now() - start;
	return interrupt ? taken(&wake->vm, wake->loops) : 0;
}

static int time_irqfd(struct wake *wake, double *each)
{
	uint64_t empty, whole;
	int err = time_passes(wake, false, &empty);

	if (!err)
		err = time_passes(wake, true, &whole);
	if (!err)
		*each = (double)(int64_t)(whole - empty) / wake->loops;
	return err;
}

/* This thread is the device, the other one the vcpu, which is halted whenever this one writes. */
static int time_irqfd_wake(struct wake *wake, double *each)
{
	const struct program wait = {
		.entry = guest_wait, .rdx = EVENTFD_PORT, .rbx = APIC_BASE + APIC_EOI,
	};
	uint64_t one = 1, start = 0, answers;
	uint32_t i;
	int err;

	wake->other = wake->vm;
	err = vm_load(&wake->other, &wait, wake->loops + 1);
	if (!err)
		err = pthread_create(&wake->thread, NULL, other_thread, wake);
	if (err)
		return err;
	for (i = 0; i <= wake->loops && !err; i++) {
		if (i == 1)
			start = now();
		if (write(wake->irq, &one, sizeof(one)) != sizeof(one) ||
		    read(wake->answer, &answers, sizeof(answers)) != sizeof(answers))
			err = errno;
	}
	*each = (double)(now() - start) / wake->loops;
	pthread_join(wake->thread, NULL);
	if (!err)
		err = wake->thread_error;
	return err ? err : taken(&wake->vm, wake->loops + 1);
}

static int time_ipi_wake(struct wake *wake, double *each)
{
	const struct program ping = {
		.entry = guest_ping, .rsi = APIC_BASE + APIC_ICR, .rax = ICR_FIXED,
		.rbx = APIC_BASE + APIC_EOI,
	};
	const struct program pong = {
		.entry = guest_pong, .rsi = APIC_BASE + APIC_ICR, .rax = ICR_FIXED,
		.rbx = APIC_BASE + APIC_EOI,
	};
	uint64_t ticks = 0;
	int err = vm_load(&wake->other, &pong, wake->loops);

	if (!err)
		err = set_stack(&wake->other, OTHER_STACK);
	if (!err)
		err = pthread_create(&wake->thread, NULL, other_thread, wake);
	if (err)
		return err;
	err = vm_time(&wake->vm, &ping, wake->loops, &ticks);
	pthread_join(wake->thread, NULL);
	*each = (double)ticks / (2 * wake->loops);
	if (!err)
		err = wake->thread_error;
	if (!err)
		err = taken(&wake->vm, wake->loops);
	return err ? err : taken(&wake->other, wake->loops);
}

static int setup_irqfd_wake(struct wake *wake)
{
	int err = setup_irqfd(wake);

	return err ? err : setup_answer(wake);
}

static const struct wake_row {
	struct row row;
	int (*setup)(struct wake *wake);
	int (*time)(struct wake *wake, double *each);
} rows[] = {
	{ { "irqfd", "irqfd (MSI), interrupt taken and ended", "instructions" },
	  setup_irqfd, time_irqfd },
	{ { "irqfd_wake", "irqfd wakes a halted vcpu, ioeventfd answers", "instructions" },
	  setup_irqfd_wake, time_irqfd_wake },
	{ { "ipi_wake", "IPI wakes a halted vcpu", "instructions" },
	  setup_other, time_ipi_wake },
};

static int measure(const struct wake_row *row, struct wake *wake, struct samples *samples)
{
	uint32_t batches = profiling() ? 1 : BATCHES;
	double each;
	uint32_t i;
	int err;

	wake->loops = profiling() ? PROFILE_LOOPS : LOOPS;
	err = row->time(wake, &each);	/* not counted */
	profile_begin(&row->row);
	for (i = 0; i < batches && !err; i++) {
		err = row->time(wake, &each);
		sample_add(samples, each);
	}
	profile_end();
	return err;
}

static int wake_make(struct wake *wake)
{
	int err;

	*wake = (struct wake) { .irq = -1, .answer = -1 };
	vm_init(&wake->other);
	err = vm_make(&wake->vm, true);
	return err ? err : setup_apic(&wake->vm, 1);
}

static void wake_close(struct wake *wake)
{
	if (wake->irq >= 0)
		close(wake->irq);
	if (wake->answer >= 0)
		close(wake->answer);
	if (wake->other.vcpu != wake->vm.vcpu)
		vm_close(&wake->other);
	vm_close(&wake->vm);
}

static void measure_row(const struct wake_row *row)
{
	struct samples samples = { .count = 0 };
	struct wake wake;
	int err = wake_make(&wake);

	if (!err)
		err = row->setup(&wake);
	if (!err)
		err = measure(row, &wake, &samples);
	wake_close(&wake);
	if (err)
		row_error(&row->row, err);
	else
		row_report(&row->row, &samples);
}

void wake_measure(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (row_wanted(&rows[i].row))
			measure_row(&rows[i]);
}
