// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts that come from outside of the VM: KVM_SET_GSI_ROUTING, KVM_SIGNAL_MSI, KVM_IRQFD with
 * and without resampling. Messages and pins as edges and levels, routes that change, eventfds that
 * end, bad arguments. The guest has a local APIC and an IOAPIC in the kernel; AMD64 manual, volume
 * 2, chapter 16, and the 82093AA's data sheet.
 */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define TICK_PORT	0x510		/* the guest was ready for interrupts */
#define BELL_PORT	0x70
#define COUNTS		GUEST_DATA	/* interrupts taken, 4 bytes for each of two vectors */
#define VECTOR_A	0x51
#define VECTOR_B	0x61
#define MSI_ADDRESS	0xfee00000u
#define GSI		100		/* of messages */
#define PIN		20		/* of the IOAPIC, and its GSI */

#define REMOVE		KVM_IRQFD_FLAG_DEASSIGN
#define RESAMPLE	KVM_IRQFD_FLAG_RESAMPLE

/* Switches its APIC on; from then on takes interrupts only between two exits. */
GUEST(tick_code, 64,
	"	mov	$0xfee00000, %ebx\n"
	"	movl	$0x1ff, 0xf0(%rbx)\n"
	"	mov	$0x510, %edx\n"
	"1:	sti\n"
	"	nop\n"
	"	nop\n"
	"	cli\n"
	"	out	%al, %dx\n"
	"	jmp	1b\n"
	"	.globl	tick_a, tick_b, tick_bell\n"
	"tick_bell:\n"			/* rings until it has had a hundred interrupts */
	"	out	%al, $0x70\n"
	"	sti\n"
	"	nop\n"
	"	nop\n"
	"	cli\n"
	"	cmpl	$100, 0xa000\n"
	"	jb	tick_bell\n"
	"	jmp	1b\n"
	"tick_a: incl	0xa000\n"
	"	jmp	2f\n"
	"tick_b: incl	0xa004\n"
	"2:	movl	$0, 0xb0(%rbx)\n"
	"	iretq\n");

extern const uint8_t tick_a[], tick_b[], tick_bell[];

static int new_event(void)
{
	return must(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

static void signal_event(int event)
{
	uint64_t one = 1;

	check_equal(write(event, &one, sizeof(one)), sizeof(one));
}

static uint64_t signals(int event)
{
	uint64_t count = 0;

	if (read(event, &count, sizeof(count)) != sizeof(count))
		check_equal(errno, EAGAIN);
	return count;
}

static uint32_t *counts(struct guest *g)
{
	return (uint32_t *)(g->memory + COUNTS);
}

/* A guest as the library makes it, in a VM that has interrupt controllers. */
static struct guest *new_guest(void)
{
	struct guest *g = guest_new(LONG, tick_code);

	NEED(g->kvm, KVM_CAP_IRQCHIP);
	NEED(g->kvm, KVM_CAP_IRQFD);
	munmap(g->run, g->run_size);
	close(g->vcpu);
	close(g->vm);
	g->vm = must(ioctl(g->kvm, KVM_CREATE_VM, 0));
	must(ioctl(g->vm, KVM_CREATE_IRQCHIP, 0));
	must(vm_set_slot(g->vm, 0, 0, 0, GUEST_MEMORY, g->memory));
	g->vcpu = must(ioctl(g->vm, KVM_CREATE_VCPU, 0));
	g->run = vcpu_map_run(g->kvm, g->vcpu, &g->run_size);
	vcpu_set_supported_cpuid(g->kvm, g->vcpu);
	vcpu_set_mode(g->vcpu, LONG);
	guest_gate(g, VECTOR_A, guest_address(g, tick_a));
	guest_gate(g, VECTOR_B, guest_address(g, tick_b));
	memset(counts(g), 0, 8);
	run_to_out(g, TICK_PORT);
	return g;
}

/* Let the guest take what is there; how many of the vector came. */
static uint32_t take(struct guest *g, int vector)
{
	uint32_t *count = &counts(g)[vector == VECTOR_B], before = *count;

	run_to_out(g, TICK_PORT);
	run_to_out(g, TICK_PORT);
	return *count - before;
}

/* The same for what may take a moment to come. */
static void wait_for_one(struct guest *g, int vector)
{
	uint64_t end = now_ns() + 5 * NS_PER_S;
	uint32_t taken;

	while (!(taken = take(g, vector)))
		if (now_ns() > end)
			fail("no interrupt arrived");
		else
			sleep_ms(1);
	check_equal(taken, 1);
}

static void none_comes(struct guest *g)
{
	sleep_ms(5);
	check_equal(take(g, VECTOR_A) + take(g, VECTOR_B), 0);
}

/* ---- requests ------------------------------------------------------------------------------- */

static int set_irqfd(struct guest *g, int event, uint32_t gsi, uint32_t flags, int resample)
{
	struct kvm_irqfd args = {
		.fd = event, .gsi = gsi, .flags = flags, .resamplefd = resample,
	};

	return ioctl(g->vm, KVM_IRQFD, &args);
}

static struct kvm_irq_routing_entry msi_route(uint32_t gsi, uint32_t vector)
{
	return (struct kvm_irq_routing_entry) {
		.gsi = gsi, .type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = MSI_ADDRESS, .data = vector },
	};
}

static struct kvm_irq_routing_entry pin_route(uint32_t gsi, uint32_t chip, uint32_t pin)
{
	return (struct kvm_irq_routing_entry) {
		.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

struct routing {
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry entry[4];
};

static int set_routes(struct guest *g, uint32_t nr, struct kvm_irq_routing_entry a,
		      struct kvm_irq_routing_entry b)
{
	struct routing routing = { .head.nr = nr, .entry = { a, b } };

	return ioctl(g->vm, KVM_SET_GSI_ROUTING, &routing);
}

static int set_route(struct guest *g, struct kvm_irq_routing_entry entry)
{
	return set_routes(g, 1, entry, entry);
}

static void program_pin(struct guest *g, unsigned int pin, uint8_t vector, bool level)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	must(ioctl(g->vm, KVM_GET_IRQCHIP, &chip));
	chip.chip.ioapic.redirtbl[pin].bits = vector | (level ? 1u << 15 : 0);
	must(ioctl(g->vm, KVM_SET_IRQCHIP, &chip));
}

/* ---- messages ------------------------------------------------------------------------------- */

static void messages(void)
{
	struct guest *g = new_guest();
	struct kvm_msi msi = { .address_lo = MSI_ADDRESS, .data = VECTOR_A };
	int event = new_event();

	must(set_route(g, msi_route(GSI, VECTOR_A)));
	must(set_irqfd(g, event, GSI, 0, 0));
	for (int i = 0; i < 10; i++) {
		signal_event(event);
		wait_for_one(g, VECTOR_A);
	}
	none_comes(g);
	/* Two before the guest looks are one interrupt. */
	signal_event(event);
	signal_event(event);
	wait_for_one(g, VECTOR_A);
	none_comes(g);
	/* The VM has read the eventfd. */
	check_equal(signals(event), 0);

	NEED(g->kvm, KVM_CAP_SIGNAL_MSI);
	check_equal(must(ioctl(g->vm, KVM_SIGNAL_MSI, &msi)), 1);
	check_equal(take(g, VECTOR_A), 1);
	must(ioctl(g->vm, KVM_SIGNAL_MSI, &msi));
	must(ioctl(g->vm, KVM_SIGNAL_MSI, &msi));
	check_equal(take(g, VECTOR_A), 1);
}

static void signalled_before(void)
{
	struct guest *g = new_guest();
	int event = new_event();

	must(set_route(g, msi_route(GSI, VECTOR_A)));
	signal_event(event);
	must(set_irqfd(g, event, GSI, 0, 0));
	wait_for_one(g, VECTOR_A);
	none_comes(g);
}

static void removed(void)
{
	struct guest *g = new_guest();
	int event = new_event(), other = new_event();

	must(set_routes(g, 2, msi_route(GSI, VECTOR_A), msi_route(GSI + 1, VECTOR_B)));
	must(set_irqfd(g, event, GSI, 0, 0));
	must(set_irqfd(g, other, GSI + 1, 0, 0));
	/* Neither there nor an error. */
	must(set_irqfd(g, event, GSI + 1, REMOVE, 0));
	must(set_irqfd(g, new_event(), GSI, REMOVE, 0));
	signal_event(event);
	wait_for_one(g, VECTOR_A);
	/* What was signalled before the end still arrives. */
	signal_event(event);
	must(set_irqfd(g, event, GSI, REMOVE, 0));
	check_equal(take(g, VECTOR_A), 1);
	signal_event(event);
	none_comes(g);
	check_equal(signals(event), 1);
	signal_event(other);
	wait_for_one(g, VECTOR_B);
	/* It may be another line's now. */
	must(set_irqfd(g, event, GSI + 1, 0, 0));
	signal_event(event);
	wait_for_one(g, VECTOR_B);
}

static void rerouted(void)
{
	struct guest *g = new_guest();
	int event = new_event();

	must(set_irqfd(g, event, GSI, 0, 0));
	signal_event(event);
	none_comes(g);
	must(set_route(g, msi_route(GSI, VECTOR_A)));
	signal_event(event);
	wait_for_one(g, VECTOR_A);
	must(set_route(g, msi_route(GSI, VECTOR_B)));
	signal_event(event);
	wait_for_one(g, VECTOR_B);
	check_equal(take(g, VECTOR_A), 0);
	must(set_route(g, msi_route(GSI + 1, VECTOR_A)));
	signal_event(event);
	none_comes(g);
	must(set_routes(g, 0, msi_route(0, 0), msi_route(0, 0)));
	signal_event(event);
	none_comes(g);
	program_pin(g, PIN, VECTOR_A, false);
	must(set_route(g, pin_route(GSI, KVM_IRQCHIP_IOAPIC, PIN)));
	signal_event(event);
	wait_for_one(g, VECTOR_A);
}

/* The guest writes, the eventfd is signalled, the guest is interrupted: without an exit. */
static void from_ioeventfd(void)
{
	struct guest *g = new_guest();
	int event = new_event();
	struct kvm_ioeventfd bell = {
		.addr = BELL_PORT, .len = 1, .fd = event, .flags = KVM_IOEVENTFD_FLAG_PIO,
	};

	NEED(g->kvm, KVM_CAP_IOEVENTFD);
	must(set_route(g, msi_route(GSI, VECTOR_A)));
	must(set_irqfd(g, event, GSI, 0, 0));
	must(ioctl(g->vm, KVM_IOEVENTFD, &bell));
	guest_complete(g);
	vcpu_set_rip(g->vcpu, guest_address(g, tick_bell));
	run_to_out(g, TICK_PORT);
	check_equal(counts(g)[0], 100);
	check_equal(signals(event), 0);
	none_comes(g);
}

/* ---- pins ----------------------------------------------------------------------------------- */

static void edge_pin(void)
{
	struct guest *g = new_guest();
	int event = new_event();

	program_pin(g, PIN, VECTOR_A, false);
	must(set_irqfd(g, event, PIN, 0, 0));
	for (int i = 0; i < 10; i++) {
		signal_event(event);
		wait_for_one(g, VECTOR_A);
	}
	none_comes(g);
	must(set_irqfd(g, event, PIN, REMOVE, 0));
	signal_event(event);
	none_comes(g);
}

static void resampled(void)
{
	struct guest *g = new_guest();
	int event = new_event(), again = new_event();

	NEED(g->kvm, KVM_CAP_IRQFD_RESAMPLE);
	program_pin(g, PIN, VECTOR_A, true);
	must(set_irqfd(g, event, PIN, RESAMPLE, again));
	none_comes(g);
	check_equal(signals(again), 0);
	for (int i = 0; i < 10; i++) {
		signal_event(event);
		wait_for_one(g, VECTOR_A);
		check_equal(signals(again), 1);
		/* The acknowledgement has lowered the line. */
		none_comes(g);
		check_equal(signals(again), 0);
	}
	must(set_irqfd(g, event, PIN, REMOVE, 0));
	signal_event(event);
	none_comes(g);
	check_equal(signals(again), 0);
}

static void resampled_together(void)
{
	struct guest *g = new_guest();
	int event[3], again[3];

	NEED(g->kvm, KVM_CAP_IRQFD_RESAMPLE);
	program_pin(g, PIN, VECTOR_A, true);
	for (int i = 0; i < 3; i++) {
		event[i] = new_event();
		again[i] = new_event();
		must(set_irqfd(g, event[i], PIN, RESAMPLE, again[i]));
	}
	signal_event(event[1]);
	wait_for_one(g, VECTOR_A);
	for (int i = 0; i < 3; i++)
		check_equal(signals(again[i]), 1);
	/* One goes, then one ends by itself; the others stay. */
	must(set_irqfd(g, event[1], PIN, REMOVE, 0));
	close(event[0]);
	sleep_ms(20);
	signal_event(event[2]);
	wait_for_one(g, VECTOR_A);
	check_equal(signals(again[0]), 0);
	check_equal(signals(again[1]), 0);
	check_equal(signals(again[2]), 1);
	/* Userspace's own hold on the line is a separate one. */
	must(ioctl(g->vm, KVM_IRQ_LINE, &(struct kvm_irq_level) { .irq = PIN, .level = 1 }));
	check(take(g, VECTOR_A) > 0);
	check(signals(again[2]) > 0);
	must(ioctl(g->vm, KVM_IRQ_LINE, &(struct kvm_irq_level) { .irq = PIN, .level = 0 }));
	take(g, VECTOR_A);
	signals(again[2]);
	none_comes(g);
	/* The last one lets go of the line even when nobody has acknowledged. */
	signal_event(event[2]);
	sleep_ms(20);
	must(set_irqfd(g, event[2], PIN, REMOVE, 0));
	check(take(g, VECTOR_A) <= 1);
	none_comes(g);
}

/* ---- the end of eventfds and of the VM ------------------------------------------------------ */

static void closed(void)
{
	struct guest *g = new_guest();
	int event;

	must(set_route(g, msi_route(GSI, VECTOR_A)));
	for (int i = 0; i < 200; i++) {
		event = new_event();
		must(set_irqfd(g, event, GSI, 0, 0));
		if (i % 3 == 0)
			signal_event(event);
		close(event);
	}
	take(g, VECTOR_A);
	event = new_event();
	must(set_irqfd(g, event, GSI, 0, 0));
	signal_event(event);
	wait_for_one(g, VECTOR_A);
}

static void vm_closed(void)
{
	struct guest *g = new_guest();
	int event[8];

	must(set_route(g, msi_route(GSI, VECTOR_A)));
	for (int i = 0; i < 8; i++) {
		event[i] = new_event();
		must(set_irqfd(g, event[i], GSI, i % 2 ? RESAMPLE : 0, event[0]));
		signal_event(event[i]);
	}
	close(event[7]);
	close(g->vm);
	for (int i = 0; i < 7; i++)
		signal_event(event[i]);
	for (int i = 1; i < 7; i++)
		check_equal(signals(event[i]), 1);
	run_to_out(g, TICK_PORT);
}

/* ---- bad arguments -------------------------------------------------------------------------- */

static void bad_irqfds(void)
{
	struct guest *plain = guest_new(LONG, tick_code);
	struct guest *g = new_guest();
	int event = new_event(), again = new_event(), null = must(open("/dev/null", O_RDWR));

	must_fail(set_irqfd(plain, event, GSI, 0, 0), EINVAL);
	must_fail(set_irqfd(plain, event, GSI, RESAMPLE, again), EINVAL);
	must_fail(ioctl(g->vm, KVM_IRQFD, NULL), EFAULT);
	must_fail(set_irqfd(g, event, GSI, 4, 0), EINVAL);
	must_fail(set_irqfd(g, event, GSI, 0x80000000, 0), EINVAL);
	must_fail(set_irqfd(g, -1, GSI, 0, 0), EBADF);
	must_fail(set_irqfd(g, 1000, GSI, 0, 0), EBADF);
	must_fail(set_irqfd(g, null, GSI, 0, 0), EINVAL);
	must_fail(set_irqfd(g, event, GSI, RESAMPLE, -1), EBADF);
	must_fail(set_irqfd(g, event, GSI, RESAMPLE, null), EINVAL);
	must_fail(set_irqfd(g, -1, GSI, REMOVE, 0), EBADF);
	must_fail(set_irqfd(g, null, GSI, REMOVE, 0), EINVAL);
	must(set_irqfd(g, event, GSI, 0, 0));
	must_fail(set_irqfd(g, event, GSI, 0, 0), EBUSY);
	must_fail(set_irqfd(g, event, GSI + 1, 0, 0), EBUSY);
	must_fail(set_irqfd(g, event, GSI, RESAMPLE, again), EBUSY);
	must(set_irqfd(g, again, 0xffffffff, 0, 0));
	signal_event(again);
	must(set_route(g, msi_route(GSI, VECTOR_A)));
	signal_event(event);
	wait_for_one(g, VECTOR_A);
}

static void bad_routes(void)
{
	struct guest *plain = guest_new(LONG, tick_code);
	struct guest *g = new_guest();
	struct kvm_irq_routing_entry good = msi_route(GSI, VECTOR_A), bad;
	struct kvm_irq_routing head = { };
	static const uint32_t types[] = { 0, KVM_IRQ_ROUTING_S390_ADAPTER, 6, 0xffffffff };
	int event = new_event();

	must_fail(set_route(plain, good), EINVAL);
	must(set_route(g, good));
	must_fail(ioctl(g->vm, KVM_SET_GSI_ROUTING, NULL), EFAULT);
	head.nr = extension(g->kvm, KVM_CAP_IRQ_ROUTING) + 1;
	must_fail(ioctl(g->vm, KVM_SET_GSI_ROUTING, &head), EINVAL);
	head = (struct kvm_irq_routing) { .flags = 1 };
	must_fail(ioctl(g->vm, KVM_SET_GSI_ROUTING, &head), EINVAL);

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		bad = msi_route(GSI + 1, VECTOR_B);
		bad.type = types[i];
		must_fail(set_routes(g, 2, bad, bad), EINVAL);
	}
	bad = good;
	bad.flags = 2;
	must_fail(set_route(g, bad), EINVAL);
	bad = pin_route(1, KVM_IRQCHIP_IOAPIC, 1);
	bad.flags = KVM_MSI_VALID_DEVID;
	must_fail(set_route(g, bad), EINVAL);
	bad = msi_route(4096, VECTOR_B);
	must_fail(set_route(g, bad), EINVAL);
	bad = msi_route(0xffffffff, VECTOR_B);
	must_fail(set_route(g, bad), EINVAL);
	must_fail(set_route(g, pin_route(1, KVM_IRQCHIP_IOAPIC, 24)), EINVAL);
	must_fail(set_route(g, pin_route(1, KVM_IRQCHIP_IOAPIC, 0xffffffff)), EINVAL);
	must_fail(set_route(g, pin_route(1, KVM_IRQCHIP_PIC_MASTER, 8)), EINVAL);
	must_fail(set_route(g, pin_route(1, KVM_IRQCHIP_PIC_SLAVE, 8)), EINVAL);
	must_fail(set_route(g, pin_route(1, KVM_NR_IRQCHIPS, 0)), EINVAL);
	must_fail(set_route(g, pin_route(1, 0xffffffff, 0)), EINVAL);
	/* A line with more than one message, or with two pins of a controller. */
	must_fail(set_routes(g, 2, good, good), EINVAL);
	must_fail(set_routes(g, 2, msi_route(5, 1), pin_route(5, KVM_IRQCHIP_IOAPIC, 5)), EINVAL);
	must_fail(set_routes(g, 2, pin_route(5, KVM_IRQCHIP_IOAPIC, 5), msi_route(5, 1)), EINVAL);
	must_fail(set_routes(g, 2, pin_route(5, KVM_IRQCHIP_IOAPIC, 5),
			     pin_route(5, KVM_IRQCHIP_IOAPIC, 6)), EINVAL);

	/* After all that the good one is in force. */
	must(set_irqfd(g, event, GSI, 0, 0));
	signal_event(event);
	wait_for_one(g, VECTOR_A);
	must(set_routes(g, 2, pin_route(5, KVM_IRQCHIP_IOAPIC, 5),
			pin_route(5, KVM_IRQCHIP_PIC_MASTER, 5)));
	must(set_routes(g, 2, msi_route(4095, VECTOR_B), good));
	signal_event(event);
	wait_for_one(g, VECTOR_A);
}

static void bad_messages(void)
{
	struct guest *plain = guest_new(LONG, tick_code);
	struct kvm_msi msi = { .address_lo = MSI_ADDRESS, .data = VECTOR_A };
	struct guest *g = new_guest();

	NEED(g->kvm, KVM_CAP_SIGNAL_MSI);
	must_fail(ioctl(plain->vm, KVM_SIGNAL_MSI, &msi), EINVAL);
	must_fail(ioctl(g->vm, KVM_SIGNAL_MSI, NULL), EFAULT);
	msi.flags = 2;
	must_fail(ioctl(g->vm, KVM_SIGNAL_MSI, &msi), EINVAL);
	msi.flags = 0;
	must(ioctl(g->vm, KVM_SIGNAL_MSI, &msi));
	check_equal(take(g, VECTOR_A), 1);
}

/* ---- all at once ---------------------------------------------------------------------------- */

struct storm {
	struct guest *g;
	int event[4], again;
	bool stop;
};

static void *storm_of_signals(void *data)
{
	struct storm *storm = data;

	for (unsigned int i = 0; !__atomic_load_n(&storm->stop, __ATOMIC_RELAXED); i++)
		signal_event(storm->event[i % 4]);
	return NULL;
}

static void *storm_of_irqfds(void *data)
{
	struct storm *storm = data;
	struct guest *g = storm->g;

	for (unsigned int i = 0; !__atomic_load_n(&storm->stop, __ATOMIC_RELAXED); i++) {
		int event = new_event(), again = i % 2 ? storm->again : 0;
		uint32_t flags = i % 2 ? RESAMPLE : 0;

		must(set_irqfd(g, storm->event[3], PIN, flags, again));
		must(set_irqfd(g, event, PIN, flags, again));
		signal_event(event);
		close(event);
		must(set_irqfd(g, storm->event[3], PIN, REMOVE, 0));
	}
	return NULL;
}

static void storms(void)
{
	struct storm storm = { .g = new_guest(), .again = new_event() };
	struct guest *g = storm.g;
	uint64_t end = now_ns() + 3 * NS_PER_S;
	pthread_t signaller, assigner;

	program_pin(g, PIN, VECTOR_B, true);
	for (int i = 0; i < 4; i++)
		storm.event[i] = new_event();
	for (int i = 0; i < 3; i++)
		must(set_irqfd(g, storm.event[i], GSI + i, 0, 0));
	check_equal(pthread_create(&signaller, NULL, storm_of_signals, &storm), 0);
	check_equal(pthread_create(&assigner, NULL, storm_of_irqfds, &storm), 0);
	for (unsigned int i = 0; now_ns() < end; i++) {
		must(set_routes(g, 2, msi_route(GSI + i % 3, VECTOR_A),
				pin_route(PIN, KVM_IRQCHIP_IOAPIC, PIN)));
		take(g, VECTOR_A);
	}
	__atomic_store_n(&storm.stop, true, __ATOMIC_RELAXED);
	pthread_join(signaller, NULL);
	pthread_join(assigner, NULL);
	check(counts(g)[0] > 0);

	/* And nothing is out of order. */
	must(set_route(g, msi_route(GSI, VECTOR_A)));
	while (take(g, VECTOR_A) + take(g, VECTOR_B))
		continue;
	signal_event(storm.event[0]);
	wait_for_one(g, VECTOR_A);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "messages", messages },
		{ "an eventfd signalled before", signalled_before },
		{ "irqfds removed", removed },
		{ "routes changed", rerouted },
		{ "from ioeventfd to irqfd", from_ioeventfd },
		{ "edges at a pin", edge_pin },
		{ "resampling", resampled },
		{ "resampling, several at a pin", resampled_together },
		{ "eventfds closed", closed },
		{ "the VM closed", vm_closed },
		{ "bad arguments of KVM_IRQFD", bad_irqfds },
		{ "bad arguments of KVM_SET_GSI_ROUTING", bad_routes },
		{ "bad arguments of KVM_SIGNAL_MSI", bad_messages },
		{ "signals, assignments and routes at once", storms },
	};

	return RUN_CASES("irqfd", cases);
}
