// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_IOEVENTFD: which writes of a guest, to ports and to addresses, signal which eventfd and go on
 * without an exit; what may be assigned beside what; taking away, also from a running guest; the
 * life of eventfds; many of them; bad arguments.
 */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define PORT	0x510
#define BELL	(GUEST_MMIO + 0x200)

#define PIO	KVM_IOEVENTFD_FLAG_PIO
#define MATCH	KVM_IOEVENTFD_FLAG_DATAMATCH
#define REMOVE	KVM_IOEVENTFD_FLAG_DEASSIGN

static int new_event(void)
{
	return must(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/* How often it was signalled since the last time. */
static uint64_t signals(int event)
{
	uint64_t count = 0;

	if (read(event, &count, sizeof(count)) != sizeof(count))
		check_equal(errno, EAGAIN);
	return count;
}

static int set(struct guest *g, int event, uint64_t address, uint32_t length, uint32_t flags,
	       uint64_t value)
{
	struct kvm_ioeventfd args = {
		.fd = event, .addr = address, .len = length, .flags = flags, .datamatch = value,
	};

	return ioctl(g->vm, KVM_IOEVENTFD, &args);
}

static struct guest *new_guest_sized(const uint8_t *code, const uint8_t *end)
{
	struct guest *g = guest_new_sized(LONG, code, end);

	NEED(g->kvm, KVM_CAP_IOEVENTFD);
	return g;
}
#define new_guest(code) new_guest_sized(code, code##_end)

/* Run the guest's code from its beginning to its HLT; nothing else may exit. */
static void run_again(struct guest *g)
{
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	run_to(g, KVM_EXIT_HLT);
}

/* ---- widths and values ---------------------------------------------------------------------- */

GUEST(port_code, 64,
	"	mov	$0x510, %edx\n"
	"	mov	$0x11223344, %eax\n"
	"	out	%al, %dx\n"
	"	out	%ax, %dx\n"
	"	out	%eax, %dx\n"
	"	hlt\n");

static void port_widths(void)
{
	struct guest *g = new_guest(port_code);
	int event[3];

	for (int i = 0; i < 3; i++) {
		event[i] = new_event();
		must(set(g, event[i], PORT, 1 << i, PIO, 0));
	}
	run_to(g, KVM_EXIT_HLT);
	for (int i = 0; i < 3; i++)
		check_equal(signals(event[i]), 1);
	/* Without the middle one its writes are userspace's. */
	must(set(g, event[1], PORT, 2, PIO | REMOVE, 0));
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	check_equal(run_to_out(g, PORT), 0x3344);
	check_equal(g->run->io.size, 2);
	run_to(g, KVM_EXIT_HLT);
	check_equal(signals(event[0]), 1);
	check_equal(signals(event[1]), 0);
	check_equal(signals(event[2]), 1);
}

GUEST(port_others_code, 64,
	"	mov	$0x50f, %edx\n"
	"	out	%ax, %dx\n"		/* half on it */
	"	mov	$0x510, %edx\n"
	"	in	%dx, %ax\n"
	"	mov	$0x511, %edx\n"
	"	out	%al, %dx\n"
	"	mov	$0x510, %edx\n"
	"	mov	$0xa000, %esi\n"
	"	mov	$3, %ecx\n"
	"	rep outsw\n"
	"	hlt\n");

static void port_others(void)
{
	struct guest *g = new_guest(port_others_code);
	int event = new_event();
	uint64_t count;

	must(set(g, event, PORT, 2, PIO, 0));
	/* The same number as an address is something else. */
	must(set(g, event, PORT, 2, 0, 0));
	run_to(g, KVM_EXIT_IO);
	check_pio(g, KVM_EXIT_IO_OUT, PORT - 1, 2, 1);
	run_to(g, KVM_EXIT_IO);
	check_pio(g, KVM_EXIT_IO_IN, PORT, 2, 1);
	run_to(g, KVM_EXIT_IO);
	check_pio(g, KVM_EXIT_IO_OUT, PORT + 1, 1, 1);
	check_equal(signals(event), 0);
	run_to(g, KVM_EXIT_HLT);
	count = signals(event);
	check_equal(count, 3);
}

GUEST(address_code, 64,
	"	mov	$0x10000200, %ebx\n"
	"	mov	$0x1122334455667788, %rax\n"
	"	mov	%al, (%rbx)\n"
	"	mov	%ax, (%rbx)\n"
	"	mov	%eax, (%rbx)\n"
	"	mov	%rax, (%rbx)\n"
	"	hlt\n");

static void address_widths(void)
{
	struct guest *g = new_guest(address_code);
	int event[4];

	for (int i = 0; i < 4; i++) {
		event[i] = new_event();
		must(set(g, event[i], BELL, 1 << i, 0, 0));
	}
	run_to(g, KVM_EXIT_HLT);
	for (int i = 0; i < 4; i++)
		check_equal(signals(event[i]), 1);
	must(set(g, event[3], BELL, 8, REMOVE, 0));
	must(set(g, event[0], BELL, 1, REMOVE, 0));
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	check_equal(run_to_mmio_write(g, BELL, 1), 0x88);
	check_equal(run_to_mmio_write(g, BELL, 8), 0x1122334455667788);
	run_to(g, KVM_EXIT_HLT);
	check_equal(signals(event[0]) + signals(event[3]), 0);
	check_equal(signals(event[1]), 1);
	check_equal(signals(event[2]), 1);
}

static void address_values(void)
{
	static const uint64_t value[] = { 0x88, 0x7788, 0x55667788, 0x1122334455667788 };
	struct guest *g = new_guest(address_code);
	int right[4], wrong[4];

	for (int i = 0; i < 4; i++) {
		right[i] = new_event();
		wrong[i] = new_event();
		must(set(g, right[i], BELL, 1 << i, MATCH, value[i]));
		must(set(g, wrong[i], BELL, 1 << i, MATCH, value[i] + 1));
		/* A value too wide for the write is never written. */
		if (i < 3)
			must(set(g, wrong[i], BELL, 1 << i, MATCH, value[i] | 1ull << 40));
	}
	run_to(g, KVM_EXIT_HLT);
	for (int i = 0; i < 4; i++) {
		check_equal(signals(right[i]), 1);
		check_equal(signals(wrong[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		must(set(g, right[i], BELL, 1 << i, MATCH | REMOVE, value[i]));
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	for (int i = 0; i < 4; i++)
		check_equal(run_to_mmio_write(g, BELL, 1 << i), value[i]);
	run_to(g, KVM_EXIT_HLT);
	for (int i = 0; i < 4; i++)
		check_equal(signals(wrong[i]), 0);
}

GUEST(queues_code, 64,
	"	mov	$0x510, %edx\n"
	"	xor	%eax, %eax\n"
	"1:	out	%ax, %dx\n"
	"	inc	%eax\n"
	"	cmp	$64, %eax\n"
	"	jne	1b\n"
	"	hlt\n");

/* As a virtio device of old has them: one port, the number of the queue is the value. */
static void port_values(void)
{
	struct guest *g = new_guest(queues_code);
	int event[64];

	for (unsigned int i = 0; i < 64; i++) {
		event[i] = new_event();
		must(set(g, event[i], PORT, 2, PIO | MATCH, i));
	}
	run_to(g, KVM_EXIT_HLT);
	for (unsigned int i = 0; i < 64; i++)
		check_equal(signals(event[i]), 1);
	must(set(g, event[17], PORT, 2, PIO | MATCH | REMOVE, 17));
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	check_equal(run_to_out(g, PORT), 17);
	run_to(g, KVM_EXIT_HLT);
	for (unsigned int i = 0; i < 64; i++)
		check_equal(signals(event[i]), i != 17);
}

/* ---- no length ------------------------------------------------------------------------------ */

static void any_port_width(void)
{
	struct guest *g = new_guest(port_code);
	int event = new_event();

	NEED(g->kvm, KVM_CAP_IOEVENTFD_ANY_LENGTH);
	must(set(g, event, PORT, 0, PIO, 0));
	run_to(g, KVM_EXIT_HLT);
	check_equal(signals(event), 3);
	must(set(g, event, PORT, 0, PIO | REMOVE, 0));
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	check_equal(run_to_out(g, PORT), 0x44);
	check_equal(signals(event), 0);
}

static void any_address_width(void)
{
	struct guest *g = new_guest(address_code);
	int event = new_event();

	NEED(g->kvm, KVM_CAP_IOEVENTFD_NO_LENGTH);
	must(set(g, event, BELL, 0, 0, 0));
	run_to(g, KVM_EXIT_HLT);
	check_equal(signals(event), 4);
	run_again(g);
	check_equal(signals(event), 4);
	must(set(g, event, BELL, 0, REMOVE, 0));
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	check_equal(run_to_mmio_write(g, BELL, 1), 0x88);
	check_equal(signals(event), 0);
}

GUEST(stores_code, 64,
	"	mov	$0x10000200, %ebx\n"
	"	mov	$0x87654321, %eax\n"
	"	stc\n"
	"	movb	$7, (%rbx)\n"
	"	movl	$7, (%rbx)\n"
	"	movabs	%eax, 0x10000200\n"
	"	mov	%ss, %ecx\n"
	"	mov	%ecx, %ss\n"
	"	mov	%r8w, -0x20(%rbx)\n"	/* elsewhere */
	"	movl	$0x33, 0x10000200\n"
	"	mov	%eax, -1(%rbx)\n"		/* begins before it */
	"	mov	%eax, 1(%rbx)\n"		/* or behind it */
	"	mov	(%rbx), %ecx\n"
	"	setc	%dl\n"
	"	hlt\n");

/* What was not written to just that address is nobody's; registers are as after any store. */
static void any_width_others(void)
{
	struct guest *g = new_guest(stores_code);
	int event = new_event();

	NEED(g->kvm, KVM_CAP_IOEVENTFD_NO_LENGTH);
	must(set(g, event, BELL, 0, 0, 0));
	run_to_mmio_write(g, BELL - 0x20, 2);
	check_equal(signals(event), 3);
	check_equal(run_to_mmio_write(g, BELL - 1, 4), 0x87654321);
	check_equal(run_to_mmio_write(g, BELL + 1, 4), 0x87654321);
	run_to_mmio_read(g, BELL, 4, 0x5a5a);
	run_to(g, KVM_EXIT_HLT);
	check_equal(signals(event), 1);
	check_equal(vcpu_regs(g->vcpu).rcx, 0x5a5a);
	check_equal(vcpu_regs(g->vcpu).rdx & 0xff, 1);
}

GUEST(step_code, 64,
	"	mov	$0x10000200, %ebx\n"
	"	mov	%eax, (%rbx)\n"
	"	nop\n"
	"	hlt\n");

static void any_width_stepped(void)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};
	struct guest *g = new_guest(step_code);
	int event = new_event();

	NEED(g->kvm, KVM_CAP_IOEVENTFD_NO_LENGTH);
	NEED(g->kvm, KVM_CAP_SET_GUEST_DEBUG);
	must(set(g, event, BELL, 0, 0, 0));
	must(ioctl(g->vcpu, KVM_SET_GUEST_DEBUG, &debug));
	run_to(g, KVM_EXIT_DEBUG);
	check_equal(g->run->debug.arch.pc, GUEST_CODE + 5);
	check_equal(signals(event), 0);
	run_to(g, KVM_EXIT_DEBUG);
	check_equal(g->run->debug.arch.pc, GUEST_CODE + 7);
	check_equal(signals(event), 1);
	debug.control = 0;
	must(ioctl(g->vcpu, KVM_SET_GUEST_DEBUG, &debug));
	run_to(g, KVM_EXIT_HLT);
	check_equal(signals(event), 0);
}

/* ---- what goes beside what ------------------------------------------------------------------ */

static void collisions(void)
{
	struct guest *g = new_guest(port_code);
	int a = new_event(), b = new_event();

	NEED(g->kvm, KVM_CAP_IOEVENTFD_ANY_LENGTH);
	must(set(g, a, PORT, 2, PIO | MATCH, 1));
	must_fail(set(g, a, PORT, 2, PIO | MATCH, 1), EEXIST);
	must_fail(set(g, b, PORT, 2, PIO | MATCH, 1), EEXIST);
	must_fail(set(g, b, PORT, 2, PIO, 0), EEXIST);
	must_fail(set(g, b, PORT, 0, PIO, 0), EEXIST);
	must(set(g, b, PORT, 2, PIO | MATCH, 2));
	must(set(g, b, PORT, 2, PIO | MATCH, ~0ull));
	must(set(g, b, PORT, 4, PIO, 0));
	must_fail(set(g, a, PORT, 4, PIO, 0), EEXIST);
	must_fail(set(g, a, PORT, 4, PIO | MATCH, 5), EEXIST);
	must_fail(set(g, a, PORT, 0, PIO, 0), EEXIST);
	must(set(g, b, PORT + 1, 0, PIO, 0));
	must_fail(set(g, a, PORT + 1, 1, PIO, 0), EEXIST);
	must_fail(set(g, a, PORT + 1, 1, PIO | MATCH, 0), EEXIST);
	must_fail(set(g, a, PORT + 1, 0, PIO, 0), EEXIST);
	/* One eventfd may stand for many. */
	must(set(g, b, BELL, 0, 0, 0));
	must(set(g, b, BELL + 4, 4, 0, 0));
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	check_equal(run_to_out(g, PORT), 0x44);
	check_equal(run_to_out(g, PORT), 0x3344);
	run_to(g, KVM_EXIT_HLT);
	check_equal(signals(a), 0);
	check_equal(signals(b), 1);
}

static void remove_what(void)
{
	struct guest *g = new_guest(port_code);
	int a = new_event(), b = new_event();

	must_fail(set(g, a, PORT, 2, PIO | REMOVE, 0), ENOENT);
	must(set(g, a, PORT, 2, PIO, 0));
	must(set(g, a, PORT, 4, PIO | MATCH, 7));
	must_fail(set(g, b, PORT, 2, PIO | REMOVE, 0), ENOENT);
	must_fail(set(g, a, PORT, 2, REMOVE, 0), ENOENT);
	must_fail(set(g, a, PORT, 1, PIO | REMOVE, 0), ENOENT);
	must_fail(set(g, a, PORT, 0, PIO | REMOVE, 0), ENOENT);
	must_fail(set(g, a, PORT, 3, PIO | REMOVE, 0), ENOENT);
	must_fail(set(g, a, PORT, 16, PIO | REMOVE, 0), ENOENT);
	must_fail(set(g, a, PORT + 1, 2, PIO | REMOVE, 0), ENOENT);
	must_fail(set(g, a, PORT, 2, PIO | MATCH | REMOVE, 0), ENOENT);
	must_fail(set(g, a, PORT, 4, PIO | REMOVE, 7), ENOENT);
	must_fail(set(g, a, PORT, 4, PIO | MATCH | REMOVE, 8), ENOENT);
	must(set(g, a, PORT, 4, PIO | MATCH | REMOVE, 7));
	must_fail(set(g, a, PORT, 4, PIO | MATCH | REMOVE, 7), ENOENT);
	must(set(g, a, PORT, 2, PIO | REMOVE, 0));
	must_fail(set(g, a, PORT, 2, PIO | REMOVE, 0), ENOENT);
	check_equal(run_to_out(g, PORT), 0x44);
	/* The place is free again. */
	must(set(g, b, PORT, 0, PIO, 0));
	run_again(g);
	check_equal(signals(b), 3);
}

static void bad_arguments(void)
{
	struct guest *g = new_guest(port_code);
	int event = new_event(), null = must(open("/dev/null", O_RDWR | O_CLOEXEC));

	must_fail(ioctl(g->vm, KVM_IOEVENTFD, NULL), EFAULT);
	must_fail(set(g, event, PORT, 3, PIO, 0), EINVAL);
	must_fail(set(g, event, PORT, 5, PIO, 0), EINVAL);
	must_fail(set(g, event, BELL, 16, 0, 0), EINVAL);
	must_fail(set(g, event, BELL, 0x80000000, 0, 0), EINVAL);
	must_fail(set(g, event, BELL, 0xffffffff, 0, 0), EINVAL);
	must_fail(set(g, event, ~0ull, 1, 0, 0), EINVAL);
	must_fail(set(g, event, ~0ull - 2, 4, 0, 0), EINVAL);
	must_fail(set(g, event, ~0ull - 7, 8, 0, 0), EINVAL);
	must_fail(set(g, event, BELL, 4, 1 << 5, 0), EINVAL);
	must_fail(set(g, event, BELL, 4, 0x80000000, 0), EINVAL);
	must_fail(set(g, event, BELL, 0, MATCH, 0), EINVAL);
	must_fail(set(g, event, PORT, 0, PIO | MATCH, 0), EINVAL);
	must_fail(set(g, -1, PORT, 2, PIO, 0), EBADF);
	must_fail(set(g, 1000, PORT, 2, PIO, 0), EBADF);
	must_fail(set(g, null, PORT, 2, PIO, 0), EINVAL);
	must_fail(set(g, g->vm, PORT, 2, PIO, 0), EINVAL);
	must_fail(set(g, -1, PORT, 2, PIO | REMOVE, 0), EBADF);
	must_fail(set(g, null, PORT, 2, PIO | REMOVE, 0), EINVAL);
	/* Far away, but valid. */
	must(set(g, event, ~0ull - 8, 8, 0, 0));
	must(set(g, event, 0x123456, 2, PIO, 0));
	check_equal(run_to_out(g, PORT), 0x44);
	check_equal(signals(event), 0);
}

/* ---- beside other devices, in numbers, while the guest runs --------------------------------- */

static void among_coalesced(void)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = BELL - 0x100, .size = 0x200 };
	struct guest *g = new_guest(address_code);
	struct kvm_coalesced_mmio_ring *ring;
	int event = new_event();

	NEED(g->kvm, KVM_CAP_COALESCED_MMIO);
	ring = (void *)((uint8_t *)g->run + extension(g->kvm, KVM_CAP_COALESCED_MMIO) * PAGE);
	must(ioctl(g->vm, KVM_REGISTER_COALESCED_MMIO, &zone));
	must(set(g, event, BELL + 0x1000, 4, 0, 0));
	run_to(g, KVM_EXIT_HLT);
	check_equal(ring->last, 4);
	check_equal(signals(event), 0);
}

#define MANY	1100

GUEST(many_code, 64,
	"	mov	$0x10001000, %ebx\n"
	"	mov	$1100, %ecx\n"
	"1:	mov	%ecx, (%rbx)\n"
	"	add	$8, %ebx\n"
	"	dec	%ecx\n"
	"	jnz	1b\n"
	"	hlt\n");

/* More than there may be devices of other kinds; and these find their place all the same. */
static void many(void)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = GUEST_MMIO + 0x100000, .size = 16 };
	struct guest *g = new_guest(many_code);
	int event = new_event(), odd = new_event();

	for (unsigned int i = 0; i < MANY; i++)
		must(set(g, i % 2 ? odd : event, GUEST_MMIO + 0x1000 + i * 8, 4, 0, 0));
	must(ioctl(g->vm, KVM_REGISTER_COALESCED_MMIO, &zone));
	run_to(g, KVM_EXIT_HLT);
	check_equal(signals(event), MANY / 2);
	check_equal(signals(odd), MANY / 2);
	for (unsigned int i = 0; i < MANY; i += 100)
		must(set(g, i % 2 ? odd : event, GUEST_MMIO + 0x1000 + i * 8, 4, REMOVE, 0));
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	for (unsigned int i = 0; i < MANY; i += 100)
		check_equal(run_to_mmio_write(g, GUEST_MMIO + 0x1000 + i * 8, 4), MANY - i);
	run_to(g, KVM_EXIT_HLT);
	check_equal(signals(event), MANY / 2 - MANY / 100);
}

static void closed(void)
{
	struct guest *g = new_guest(port_code);
	int event = new_event(), copy = must(dup(event)), other = new_event();

	must(set(g, event, PORT, 1, PIO, 0));
	must(set(g, other, PORT, 2, PIO, 0));
	must(set(g, other, PORT, 4, PIO, 0));
	/* The VM has its own hold on both, and other descriptors of an eventfd are as good. */
	close(event);
	close(other);
	run_to(g, KVM_EXIT_HLT);
	check_equal(signals(copy), 1);
	must(set(g, copy, PORT, 1, PIO | REMOVE, 0));
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	check_equal(run_to_out(g, PORT), 0x44);
	close(g->vcpu);
	munmap(g->run, g->run_size);
	close(g->vm);
	check_equal(signals(copy), 0);
}

GUEST(endless_code, 64,
	"	mov	$0x10000200, %ebx\n"
	"	mov	$0x510, %edx\n"
	"1:	mov	%eax, (%rbx)\n"
	"	out	%ax, %dx\n"
	"	inc	%rcx\n"
	"	jmp	1b\n");

struct runner {
	struct guest *g;
	bool stop;
	uint64_t exits;
};

static void *run_endlessly(void *data)
{
	struct runner *runner = data;
	struct guest *g = runner->g;

	while (!__atomic_load_n(&runner->stop, __ATOMIC_RELAXED)) {
		check_equal(guest_run(g), 0);
		check(g->run->exit_reason == KVM_EXIT_MMIO || g->run->exit_reason == KVM_EXIT_IO);
		__atomic_fetch_add(&runner->exits, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void wait_for_signal(int event)
{
	while (!signals(event))
		sleep_ms(1);
}

static void while_running(void)
{
	static const uint32_t length[] = { 4, 0 };
	struct runner runner = { .g = new_guest(endless_code) };
	struct guest *g = runner.g;
	int event = new_event(), ports = new_event();
	pthread_t thread;

	NEED(g->kvm, KVM_CAP_IOEVENTFD_NO_LENGTH);
	check_equal(pthread_create(&thread, NULL, run_endlessly, &runner), 0);
	for (int round = 0; round < 40; round++) {
		uint32_t len = length[round % 2];

		must(set(g, event, BELL, len, 0, 0));
		must(set(g, ports, PORT, 2, PIO | MATCH, round % 3));
		must(set(g, ports, PORT, 2, PIO | MATCH, 0x1234));
		wait_for_signal(event);
		must(set(g, event, BELL, len, REMOVE, 0));
		must(set(g, ports, PORT, 2, PIO | MATCH | REMOVE, round % 3));
		must(set(g, ports, PORT, 2, PIO | MATCH | REMOVE, 0x1234));
		/* When the call has returned nothing arrives any more. */
		signals(event);
		signals(ports);
		sleep_ms(2);
		check_equal(signals(event), 0);
		check_equal(signals(ports), 0);
	}
	__atomic_store_n(&runner.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	check(runner.exits > 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "widths of a port", port_widths },
		{ "other accesses to ports", port_others },
		{ "widths of an address", address_widths },
		{ "values at an address", address_values },
		{ "values at a port", port_values },
		{ "a port, any width", any_port_width },
		{ "an address, any width", any_address_width },
		{ "other accesses to an address of any width", any_width_others },
		{ "single-step over an address of any width", any_width_stepped },
		{ "collisions", collisions },
		{ "removing what is there and what is not", remove_what },
		{ "bad arguments", bad_arguments },
		{ "beside a coalesced zone", among_coalesced },
		{ "more than a thousand", many },
		{ "eventfds closed", closed },
		{ "while the guest runs", while_running },
	};

	return RUN_CASES("ioeventfd", cases);
}
