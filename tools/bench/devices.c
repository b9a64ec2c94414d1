// SPDX-License-Identifier: GPL-2.0
/*
 * Rows about devices in the kernel: eventfds behind a port or an address, and the local APIC of
 * an in-kernel interrupt controller (AMD APM volume 2, chapter 16). Rows whose capability is
 * missing are reported as such.
 */
#include <errno.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "bench.h"

#define BATCHES		15
#define LOOPS		200
#define PROFILE_LOOPS	20

#define APIC_TIMER	0x320

#define ICR_FIXED	0x00004030	/* vector 0x30 */
#define ICR_SELF	0x00044030
#define ICR_NOBODY	0x7f000000	/* an APIC id that no vcpu has */
#define TIMER_DEADLINE	0x00040031	/* vector 0x31 */
#define MSR_APIC_BASE	0x1b
#define MSR_DEADLINE	0x6e0
#define MSR_X2APIC_EOI	0x80b
#define APIC_BASE_X2	0xfee00d00	/* enabled, x2APIC, bootstrap processor */

enum kind { PIO_EVENT, MMIO_EVENT, APIC, APIC_X2, INTERRUPT };

struct device_row {
	struct row row;
	enum kind kind;
	int cap;
	struct program program;
};

static const struct device_row rows[] = {
	{ { "pio_ioeventfd", "PIO to an ioeventfd", "instructions" },
	  PIO_EVENT, KVM_CAP_IOEVENTFD,
	  { .entry = guest_out, .rdx = EVENTFD_PORT } },
	{ { "mmio_ioeventfd", "MMIO to an ioeventfd", "instructions" },
	  MMIO_EVENT, KVM_CAP_IOEVENTFD,
	  { .entry = guest_mmio_write, .rsi = MMIO_EVENTFD } },
	{ { "apic_eoi", "APIC EOI", "instructions" },
	  APIC, KVM_CAP_IRQCHIP,
	  { .entry = guest_mmio_write, .rsi = APIC_BASE + APIC_EOI } },
	{ { "apic_icr", "APIC ICR write, nobody addressed", "instructions" },
	  APIC, KVM_CAP_IRQCHIP,
	  { .entry = guest_mmio_write, .rsi = APIC_BASE + APIC_ICR, .rax = ICR_FIXED } },
	{ { "x2apic_eoi", "x2APIC EOI", "instructions" },
	  APIC_X2, KVM_CAP_IRQCHIP,
	  { .entry = guest_wrmsr, .rcx = MSR_X2APIC_EOI } },
	{ { "self_ipi", "self IPI, STI, NOP", "instructions" },
	  INTERRUPT, KVM_CAP_IRQCHIP,
	  { .entry = guest_self_ipi, .rsi = APIC_BASE + APIC_ICR, .rax = ICR_SELF,
	    .rbx = APIC_BASE + APIC_EOI } },
	{ { "tsc_deadline", "TSC-deadline timer, armed and taken", "instructions" },
	  INTERRUPT, KVM_CAP_TSC_DEADLINE_TIMER,
	  { .entry = guest_deadline, .rcx = MSR_DEADLINE, .rbx = APIC_BASE + APIC_EOI } },
};

static int add_eventfd(struct vm *vm, const struct device_row *row)
{
	bool pio = row->kind == PIO_EVENT;
	struct kvm_ioeventfd event = {
		.addr = pio ? EVENTFD_PORT : MMIO_EVENTFD,
		.len = pio ? 2 : 4,
		.flags = pio ? KVM_IOEVENTFD_FLAG_PIO : 0,
	};
	int err = 0;

	event.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event.fd < 0)
		return errno;
	if (ioctl(vm->fd, KVM_IOEVENTFD, &event) < 0)
		err = errno;
	close(event.fd);		/* the VM holds the eventfd itself */
	return err;
}

static int enable_x2apic(struct vm *vm)
{
	struct program store = {
		.entry = guest_wrmsr, .rcx = MSR_APIC_BASE, .rax = APIC_BASE_X2,
	};
	int err = vm_load(vm, &store, 1);

	return err ? err : vm_run_to_end(vm);
}

static int prepare(struct vm *vm, const struct device_row *row)
{
	int err;

	if (row->kind == PIO_EVENT || row->kind == MMIO_EVENT)
		return add_eventfd(vm, row);
	err = vm_write_apic(vm, APIC_SPURIOUS, SPURIOUS_ENABLE);
	if (!err)
		err = vm_write_apic(vm, APIC_ICR_HIGH, ICR_NOBODY);
	if (!err)
		err = vm_write_apic(vm, APIC_TIMER, TIMER_DEADLINE);
	if (!err && row->kind == APIC_X2)
		err = enable_x2apic(vm);
	return err;
}

static int interrupts_taken(struct vm *vm, uint32_t *taken)
{
	struct kvm_regs regs;

	if (ioctl(vm->vcpu, KVM_GET_REGS, &regs) < 0)
		return errno;
	*taken = regs.rbp;
	return 0;
}

static int time_device(struct vm *vm, const struct device_row *row, uint32_t loops, double *each)
{
	struct program nothing = { .entry = guest_done };
	uint64_t empty, whole;
	uint32_t taken = 0;
	int err = vm_time(vm, &nothing, 0, &empty);

	if (!err)
		err = vm_time(vm, &row->program, loops, &whole);
	if (!err && row->kind == INTERRUPT)
		err = interrupts_taken(vm, &taken);
	if (err)
		return err;
	*each = (double)(int64_t)(whole - empty) / loops;
	return row->kind == INTERRUPT && taken != loops ? ERANGE : 0;
}

static int measure(struct vm *vm, const struct device_row *row, struct samples *samples)
{
	uint32_t loops = profiling() ? PROFILE_LOOPS : LOOPS;
	uint32_t batches = profiling() ? 1 : BATCHES;
	double each;
	uint32_t i;
	int err = prepare(vm, row);

	if (!err)
		err = time_device(vm, row, loops, &each);	/* not counted */
	profile_begin(&row->row);
	for (i = 0; i < batches && !err; i++) {
		err = time_device(vm, row, loops, &each);
		sample_add(samples, each);
	}
	profile_end();
	return err;
}

static void measure_row(const struct device_row *row)
{
	struct samples samples = { .count = 0 };
	struct vm vm;
	int err;

	if (!kvm_has(row->cap)) {
		row_skip(&row->row, "capability missing");
		return;
	}
	err = vm_make(&vm, row->kind >= APIC);
	if (!err) {
		err = measure(&vm, row, &samples);
		vm_close(&vm);
	}
	if (err)
		row_error(&row->row, err);
	else
		row_report(&row->row, &samples);
}

void devices_measure(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (row_wanted(&rows[i].row))
			measure_row(&rows[i]);
}
