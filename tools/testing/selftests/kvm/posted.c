// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts for a vcpu that another processor of the host is just running, halting or leaving. None
 * may be lost: whoever sends one waits for it. Where the processor fetches them by itself
 * (kvm_intel.enable_apicv, SDM 3, 30.6) they come without exits. With tools/testing/modules/irqpost.c
 * some are a device's, posted by an IOMMU.
 */
#include "guest.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>

#include "../../modules/irqpost.h"

#define DONE_PORT	0x51
#define VECTOR_MESSAGE	0x61
#define VECTOR_LEVEL	0x71
#define MSI_ADDRESS	0xfee00000u
#define PIN		20		/* of the IOAPIC, and its GSI */
#define GSI		40		/* of messages */
#define ROUNDS		200

/* What the guest keeps at GUEST_DATA; the numbers stand in its code. */
struct state {
	uint32_t messages, levels;	/* 0xa000, 0xa004: taken */
	uint32_t stop;			/* 0xa008 */
	uint32_t x2apic;		/* 0xa00c */
};

GUEST(posted_code, 64,
	"	.globl	posted_x2apic, posted_spin, posted_halt, posted_short, posted_message, posted_level\n"
	"	.globl	posted_nothing\n"
	"	mov	$0xfee00000, %ebx\n"
	"	movl	$0x1ff, 0xf0(%rbx)\n"
	"1:	cli\n"
	"	out	%al, $0x51\n"
	"	jmp	1b\n"
	"posted_x2apic: mov $0x1b, %ecx\n"
	"	rdmsr\n"
	"	or	$0xc00, %eax\n"
	"	wrmsr\n"
	"	jmp	1b\n"
	"posted_spin: sti\n"
	"2:	cmpl	$0, 0xa008\n"
	"	je	2b\n"
	"	jmp	1b\n"
	"posted_halt: cli\n"
	"	cmpl	$0, 0xa008\n"
	"	jne	1b\n"
	"	sti\n"
	"	hlt\n"
	"	jmp	posted_halt\n"
	"posted_short: sti\n"
	"	mov	$200, %ecx\n"
	"3:	dec	%ecx\n"
	"	jnz	3b\n"
	"	jmp	1b\n"
	"posted_message: lock incl 0xa000\n"
	"	jmp	4f\n"
	"posted_nothing: jmp 4f\n"
	"posted_level: lock incl 0xa004\n"
	"4:\n"
	GUEST_END_INTERRUPT("0xa00c"));

extern const uint8_t posted_x2apic[], posted_spin[], posted_halt[], posted_short[],
		     posted_message[], posted_level[], posted_nothing[];

static volatile struct state *state_of(struct guest *g)
{
	return (volatile struct state *)(g->memory + GUEST_DATA);
}

static void on_processor(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* The processor fetches. */
static bool fetches(void)
{
	char line[2048];
	bool has = false;
	FILE *f = fopen("/proc/cpuinfo", "r");

	while (f && fgets(line, sizeof(line), f))
		has |= !strncmp(line, "vmx flags", 9) && strstr(line, " posted_intr");
	if (f)
		fclose(f);
	return has && processor_delivers();
}

/* ... and another one is there to send. */
static bool posts(void)
{
	return fetches() && sysconf(_SC_NPROCESSORS_ONLN) > 1;
}

static void go_to(struct guest *g, const uint8_t *label)
{
	guest_complete(g);
	vcpu_set_rip(g->vcpu, guest_address(g, label));
}

static struct guest *new_guest(bool x2apic)
{
	struct guest *g = guest_new(LONG, posted_code);

	guest_with_irqchip(g, LONG);
	guest_gate(g, VECTOR_MESSAGE, guest_address(g, posted_message));
	guest_gate(g, VECTOR_LEVEL, guest_address(g, posted_level));
	/* Bochs (3.0) delivers this when a notification finds that the host has fetched all. */
	guest_gate(g, 255, guest_address(g, posted_nothing));
	memset(g->memory + GUEST_DATA, 0, PAGE);
	run_to_out(g, DONE_PORT);
	if (x2apic) {
		go_to(g, posted_x2apic);
		run_to_out(g, DONE_PORT);
		state_of(g)->x2apic = 1;
	}
	return g;
}

static void *run_until_done(void *arg)
{
	struct guest *g = arg;

	on_processor(1);
	run_to_out(g, DONE_PORT);
	return NULL;
}

static int device = -1;			/* sends the messages, if it is open */
static int device_event;

static void send(struct guest *g)
{
	struct kvm_msi msi = { .address_lo = MSI_ADDRESS, .data = VECTOR_MESSAGE };

	if (device >= 0)
		check_equal(ioctl(device, IRQPOST_FIRE), fetches());
	else
		must(ioctl(g->vm, KVM_SIGNAL_MSI, &msi));
}

static void wait_for(volatile uint32_t *count, uint32_t wanted)
{
	uint64_t end = now_ns() + 20 * NS_PER_S;

	while (*count != wanted) {
		if (now_ns() > end)
			fail("%u interrupts have come, not %u", *count, wanted);
		sched_yield();
	}
}

static void send_all(struct guest *g, uint32_t rounds)
{
	uint32_t before = state_of(g)->messages, i;

	for (i = 1; i <= rounds; i++) {
		send(g);
		wait_for(&state_of(g)->messages, before + i);
	}
}

/* The exits that it took. */
static uint64_t messages_to(struct guest *g, const uint8_t *label)
{
	uint64_t before = vcpu_stat(g->vcpu, "exits");
	pthread_t thread;

	on_processor(0);
	go_to(g, label);
	check(!pthread_create(&thread, NULL, run_until_done, g));
	send_all(g, ROUNDS);
	state_of(g)->stop = 1;
	send(g);
	pthread_join(thread, NULL);
	return vcpu_stat(g->vcpu, "exits") - before;
}

static void running(bool x2apic)
{
	uint64_t exits = messages_to(new_guest(x2apic), posted_spin);

	note("%u rounds: %llu exits", ROUNDS, (unsigned long long)exits);
	/* The host has interrupts, too, and stays in the guest are limited. */
	if (posts())
		check(exits < ROUNDS / 2);
}

static void running_xapic(void)
{
	running(false);
}

static void running_x2apic(void)
{
	running(true);
}

static void halted(void)
{
	messages_to(new_guest(true), posted_halt);
}

/*
 * The end of a level-triggered interrupt is waited for, whatever else has arrived without an exit
 * since the vcpu was entered.
 */
static void levels(void)
{
	struct guest *g = new_guest(false);
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_irqfd irqfd = { .gsi = PIN, .flags = KVM_IRQFD_FLAG_RESAMPLE };
	struct pollfd ended = { .events = POLLIN };
	uint64_t one = 1;
	pthread_t thread;

	must(ioctl(g->vm, KVM_GET_IRQCHIP, &chip));
	chip.chip.ioapic.redirtbl[PIN].bits = VECTOR_LEVEL | 1u << 15;
	must(ioctl(g->vm, KVM_SET_IRQCHIP, &chip));
	irqfd.fd = must(eventfd(0, 0));
	irqfd.resamplefd = must(eventfd(0, 0));
	ended.fd = irqfd.resamplefd;
	must(ioctl(g->vm, KVM_IRQFD, &irqfd));

	on_processor(0);
	go_to(g, posted_spin);
	check(!pthread_create(&thread, NULL, run_until_done, g));
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		send(g);
		check_equal(write(irqfd.fd, &one, 8), 8);
		check_equal(poll(&ended, 1, 20000), 1);
		check_equal(read(irqfd.resamplefd, &one, 8), 8);
		one = 1;
		wait_for(&state_of(g)->levels, i);
		wait_for(&state_of(g)->messages, i);
	}
	state_of(g)->stop = 1;
	pthread_join(thread, NULL);
}

static void *send_many(void *arg)
{
	on_processor(1);
	send_all(arg, ROUNDS);
	state_of(arg)->stop = 1;
	return NULL;
}

/* What is sent while the processor is told to deliver no more, or again, waits and comes. */
static void block_and_let_in(struct guest *g)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_BLOCKIRQ };
	pthread_t thread;

	on_processor(0);
	check(!pthread_create(&thread, NULL, send_many, g));
	while (!state_of(g)->stop) {
		must(ioctl(g->vcpu, KVM_SET_GUEST_DEBUG, &debug));
		go_to(g, posted_short);
		run_to_out(g, DONE_PORT);
		must(ioctl(g->vcpu, KVM_SET_GUEST_DEBUG, &(struct kvm_guest_debug){ 0 }));
		go_to(g, posted_short);
		run_to_out(g, DONE_PORT);
	}
	pthread_join(thread, NULL);
	check_equal(state_of(g)->messages, ROUNDS);
}

static void debugger(void)
{
	block_and_let_in(new_guest(true));
}

/* Userspace looks at the APIC between any two of them. */
static void saved(void)
{
	struct guest *g = new_guest(true);
	struct kvm_lapic_state lapic;
	pthread_t thread;

	on_processor(0);
	check(!pthread_create(&thread, NULL, send_many, g));
	while (!state_of(g)->stop) {
		go_to(g, posted_short);
		run_to_out(g, DONE_PORT);
		must(ioctl(g->vcpu, KVM_GET_LAPIC, &lapic));
	}
	pthread_join(thread, NULL);
	check_equal(state_of(g)->messages, ROUNDS);
}

/* ---- a device whose interrupts are posted ----------------------------------------------------- */

static void route(struct guest *g, unsigned int nr, uint32_t address, uint32_t data)
{
	struct kvm_irq_routing *table = calloc(1, sizeof(*table) + sizeof(table->entries[0]));

	table->nr = nr;
	table->entries[0].gsi = GSI;
	table->entries[0].type = KVM_IRQ_ROUTING_MSI;
	table->entries[0].u.msi.address_lo = address;
	table->entries[0].u.msi.data = data;
	must(ioctl(g->vm, KVM_SET_GSI_ROUTING, table));
	free(table);
}

static struct irqpost_state state_of_device(void)
{
	struct irqpost_state state;

	must(ioctl(device, IRQPOST_STATE, &state));
	return state;
}

static void with_device(struct guest *g)
{
	struct kvm_irqfd irqfd = { .gsi = GSI };

	device = open("/dev/irqpost", O_RDWR);
	if (device < 0)
		skip("the module irqpost is not loaded");
	device_event = must(eventfd(0, 0));
	irqfd.fd = device_event;
	route(g, 1, MSI_ADDRESS, VECTOR_MESSAGE);
	must(ioctl(g->vm, KVM_IRQFD, &irqfd));
	check(!state_of_device().posted);
	must(ioctl(device, IRQPOST_ATTACH, &device_event));
	check_equal(state_of_device().posted, fetches());
}

static void device_running(void)
{
	struct guest *g = new_guest(true);
	uint64_t exits;

	with_device(g);
	exits = messages_to(g, posted_spin);
	note("%u rounds: %llu exits", ROUNDS, (unsigned long long)exits);
	if (posts())
		check(exits < ROUNDS / 2);
	must(ioctl(device, IRQPOST_DETACH));
	check(!state_of_device().posted);
}

/* One that is asleep is woken by a vector of its own. */
static void device_halted(void)
{
	struct guest *g = new_guest(true);
	pthread_t thread;

	with_device(g);
	on_processor(0);
	go_to(g, posted_halt);
	check(!pthread_create(&thread, NULL, run_until_done, g));
	send_all(g, ROUNDS);
	for (uint32_t i = 0; i < 5; i++) {
		sleep_ms(20);
		if (fetches())
			check_equal(state_of_device().notification, 0xf1);
		send_all(g, 1);
	}
	state_of(g)->stop = 1;
	send(g);
	pthread_join(thread, NULL);
}

/* One that is not running at all finds what came meanwhile. */
static void device_outside(void)
{
	struct guest *g = new_guest(true);

	with_device(g);
	for (uint32_t i = 1; i <= 20; i++) {
		/* It was put before anybody posted, at first. */
		if (fetches() && i > 1)
			check(state_of_device().suppressed);
		send(g);
		go_to(g, posted_short);
		run_to_out(g, DONE_PORT);
		check_equal(state_of(g)->messages, i);
		if (fetches())
			check_equal(state_of_device().notification, 0xf2);
	}
}

static void device_debugger(void)
{
	struct guest *g = new_guest(true);

	with_device(g);
	block_and_let_in(g);
}

/* Only what has one destination and is a plain edge can be posted. */
static void device_routes(void)
{
	struct guest *g = new_guest(false);
	struct kvm_irqfd irqfd = { .gsi = GSI, .flags = KVM_IRQFD_FLAG_DEASSIGN };

	with_device(g);
	irqfd.fd = device_event;
	route(g, 1, MSI_ADDRESS, VECTOR_LEVEL);
	check_equal(state_of_device().vector, fetches() ? VECTOR_LEVEL : 0);
	route(g, 1, MSI_ADDRESS, 0x400);		/* NMI */
	check(!state_of_device().posted);
	route(g, 1, MSI_ADDRESS, VECTOR_MESSAGE | 0xc000);	/* level-triggered */
	check(!state_of_device().posted);
	route(g, 1, MSI_ADDRESS | 5 << 12, VECTOR_MESSAGE);	/* nobody */
	check(!state_of_device().posted);
	route(g, 0, 0, 0);
	check(!state_of_device().posted);
	route(g, 1, MSI_ADDRESS | 0xff << 12, VECTOR_MESSAGE);	/* everybody */
	check_equal(state_of_device().posted, fetches());
	must(ioctl(g->vm, KVM_CREATE_VCPU, 1));
	check(!state_of_device().posted);
	route(g, 1, MSI_ADDRESS, VECTOR_MESSAGE);
	check_equal(state_of_device().posted, fetches());
	must(ioctl(g->vm, KVM_IRQFD, &irqfd));
	check(!state_of_device().posted);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "to an xAPIC that runs", running_xapic, 60 },
		{ "to an x2APIC that runs", running_x2apic, 60 },
		{ "to a vcpu that halts", halted, 60 },
		{ "levels among them", levels, 60 },
		{ "a debugger holds interrupts back", debugger, 60 },
		{ "userspace looks", saved, 60 },
		{ "a device's, to a vcpu that runs", device_running, 60 },
		{ "a device's, to a vcpu that halts", device_halted, 60 },
		{ "a device's, to a vcpu that is outside", device_outside, 60 },
		{ "a device's, held back by a debugger", device_debugger, 60 },
		{ "a device's, by routes of all kinds", device_routes, 60 },
	};

	return RUN_CASES("posted", cases);
}
