// SPDX-License-Identifier: GPL-2.0
/*
 * Signals and KVM_RUN: how they stop a guest, which of them do (KVM_SET_SIGNAL_MASK), and that a
 * guest stopped at any point goes on as if nothing had been.
 */
#include "guest.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	caught++;
}

static void catch(int number)
{
	struct sigaction action = { .sa_handler = on_signal };

	must(sigaction(number, &action, NULL));
}

static struct timeval in_us(unsigned long us)
{
	return (struct timeval) { .tv_sec = us / 1000000, .tv_usec = us % 1000000 };
}

/* It has to be longer than the way into the guest, or the guest never moves. */
static void timer(unsigned int first_us, unsigned int period_us)
{
	struct itimerval timer = {
		.it_value = in_us(1ul * first_us * slowness()),
		.it_interval = in_us(1ul * period_us * slowness()),
	};

	must(setitimer(ITIMER_REAL, &timer, NULL));
}

struct signal_mask {
	struct kvm_signal_mask head;
	uint64_t set;
};

static void set_mask(struct guest *g, uint64_t set)
{
	struct signal_mask mask = { .head.len = 8 };

	memcpy(mask.head.sigset, &set, 8);
	must(ioctl(g->vcpu, KVM_SET_SIGNAL_MASK, &mask));
}

GUEST(spin_code, 64, INTERRUPTIBLE "1:	incq	0xa000\n	jmp	1b\n");
GUEST(halt_code, 64, "1:	hlt\n	jmp	1b\n");

static void spinning_guest(void)
{
	struct guest *g = guest_new(LONG, spin_code);

	catch(SIGALRM);
	for (int i = 1; i <= 20; i++) {
		timer(20000, 0);
		check_equal(guest_run(g), EINTR);
		check_equal(g->run->exit_reason, KVM_EXIT_INTR);
		check_equal(caught, i);
	}
	check(*(uint64_t *)(g->memory + GUEST_DATA) > 1000);
}

/* Interrupts off makes no difference to the host. */
GUEST(cli_code, 64, "	cli\n1:	jmp	1b\n");

static void spinning_with_interrupts_off(void)
{
	struct guest *g = guest_new(LONG, cli_code);

	catch(SIGALRM);
	timer(20000, 0);
	check_equal(guest_run(g), EINTR);
	check_equal(g->run->exit_reason, KVM_EXIT_INTR);
}

static void pending_before(void)
{
	struct guest *g = guest_new(LONG, spin_code);
	sigset_t usr1;

	/* Blocked by the thread, let through by the mask: taken at once, handler and all. */
	catch(SIGUSR1);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	must(sigprocmask(SIG_BLOCK, &usr1, NULL));
	raise(SIGUSR1);
	set_mask(g, 0);
	check_equal(guest_run(g), EINTR);
	check_equal(g->run->exit_reason, KVM_EXIT_INTR);
	check_equal(caught, 0);		/* still blocked outside of KVM_RUN */
	must(sigprocmask(SIG_UNBLOCK, &usr1, NULL));
	check_equal(caught, 1);
}

static void mask_blocks(void)
{
	struct guest *g = guest_new(LONG, spin_code);

	/* SIGUSR1 is blocked by the mask: only the alarm ends the run. */
	catch(SIGUSR1);
	catch(SIGALRM);
	set_mask(g, 1ull << (SIGUSR1 - 1));
	timer(50000, 0);
	pid_t parent = getpid();
	pid_t pid = must(fork());

	if (pid == 0) {
		sleep_ms(10);
		kill(parent, SIGUSR1);
		_exit(0);
	}
	check_equal(guest_run(g), EINTR);
	check(caught >= 1);
	waitpid(pid, NULL, 0);
	/* The mask goes with a null pointer; then SIGUSR1 ends the run. */
	must(ioctl(g->vcpu, KVM_SET_SIGNAL_MASK, NULL));
	pid = must(fork());
	if (pid == 0) {
		sleep_ms(20);
		kill(parent, SIGUSR1);
		_exit(0);
	}
	check_equal(guest_run(g), EINTR);
	check_equal(g->run->exit_reason, KVM_EXIT_INTR);
}

/* Nobody handles the signal, but the thread blocks it: it ends the call and stays pending. */
static void unhandled(void)
{
	struct guest *g = guest_new(LONG, spin_code);
	pid_t parent = getpid(), pid;
	sigset_t usr1;
	int number;

	signal(SIGUSR1, SIG_DFL);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	must(sigprocmask(SIG_BLOCK, &usr1, NULL));
	set_mask(g, 0);
	for (unsigned int i = 0; i < 3; i++) {
		pid = must(fork());
		if (pid == 0) {
			sleep_ms(20);
			kill(parent, SIGUSR1);
			_exit(0);
		}
		/* The child's end is a signal too, which is ignored. */
		check_equal(guest_run(g), EINTR);
		check_equal(sigwait(&usr1, &number), 0);
		check_equal(number, SIGUSR1);
		waitpid(pid, NULL, 0);
	}
}

static void mask_arguments(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	struct signal_mask mask = { .head.len = 8 };
	uint8_t *edge = map_pages(PAGE);

	mask.head.len = 4;
	must_fail(ioctl(g->vcpu, KVM_SET_SIGNAL_MASK, &mask), EINVAL);
	mask.head.len = 0;
	must_fail(ioctl(g->vcpu, KVM_SET_SIGNAL_MASK, &mask), EINVAL);
	mask.head.len = 128;
	must_fail(ioctl(g->vcpu, KVM_SET_SIGNAL_MASK, &mask), EINVAL);
	mask.head.len = 0xffffffff;
	must_fail(ioctl(g->vcpu, KVM_SET_SIGNAL_MASK, &mask), EINVAL);
	must_fail(ioctl(g->vcpu, KVM_SET_SIGNAL_MASK, -4096l), EFAULT);
	mask.head.len = 8;
	memcpy(edge + PAGE - 4, &mask.head.len, 4);
	must(ioctl(g->vcpu, KVM_SET_SIGNAL_MASK, &mask));
	/* A full mask: SIGKILL and SIGSTOP cannot be blocked, the rest is. */
	set_mask(g, -1ull);
	run_to(g, KVM_EXIT_HLT);
	must(ioctl(g->vcpu, KVM_SET_SIGNAL_MASK, NULL));
	run_to(g, KVM_EXIT_HLT);
}

/*
 * The guest mixes a checksum with memory traffic, calls, string operations, port reads and CPUID;
 * the host computes the same. Storms of signals must not change it.
 */
#define ROUNDS 200000

GUEST(checksum_code, 64,
	"	mov	$200000, %ecx\n"
	"	mov	$1, %rax\n"
	"	xor	%r8, %r8\n"
	"1:	mov	%rax, %rdx\n"
	"	imul	$31, %rax, %rax\n"
	"	add	%rcx, %rax\n"
	"	mov	%ecx, %edi\n"
	"	and	$0xff8, %edi\n"
	"	xor	%rax, 0x20000(%rdi)\n"
	"	push	%rax\n"
	"	call	2f\n"
	"	pop	%rdx\n"
	"	xor	%rdx, %r8\n"
	"	rol	$7, %r8\n"
	"	test	$0x3ff, %ecx\n"
	"	jnz	3f\n"
	"	push	%rax\n"
	"	push	%rcx\n"
	"	xor	%eax, %eax\n"
	"	cpuid\n"
	"	in	$0x10, %al\n"
	"	movzbl	%al, %eax\n"
	"	add	%rax, %r8\n"
	"	pop	%rcx\n"
	"	pop	%rax\n"
	"3:	dec	%ecx\n"
	"	jnz	1b\n"
	"	mov	%r8, 0xa000\n"
	"4:	hlt\n"
	"	jmp	4b\n"
	"2:	add	$3, %rax\n"
	"	ret\n");

static uint64_t checksum(void)
{
	uint64_t a = 1, sum = 0;

	for (uint64_t i = ROUNDS; i; i--) {
		a = a * 31 + i;
		sum ^= a;
		sum = sum << 7 | sum >> 57;
		a += 3;
		if (!(i & 0x3ff))
			sum += (i >> 10) & 0xff;
	}
	return sum;
}

static unsigned int run_checksum(struct guest *g)
{
	unsigned int interrupted = 0;
	uint64_t left = ROUNDS;

	for (;;) {
		int error = guest_run(g);

		if (error == EINTR) {
			check_equal(g->run->exit_reason, KVM_EXIT_INTR);
			interrupted++;
			continue;
		}
		check_equal(error, 0);
		if (g->run->exit_reason == KVM_EXIT_HLT)
			break;
		check_equal(g->run->exit_reason, KVM_EXIT_IO);
		left = left & ~0x3ffull ? left & ~0x3ffull : left;
		*(uint8_t *)pio_data(g) = left >> 10;
		left--;
	}
	check_equal(*(uint64_t *)(g->memory + GUEST_DATA), checksum());
	return interrupted;
}

static void storm(void)
{
	struct guest *g = guest_new(LONG, checksum_code);
	unsigned int interrupted = 0;

	catch(SIGALRM);
	for (int i = 0; i < 5; i++) {
		vcpu_set_mode(g->vcpu, LONG);
		timer(300, 300 + i * 100);
		interrupted += run_checksum(g);
		timer(0, 0);
	}
	check(interrupted > 5);
}

struct sender {
	pthread_t target;
	volatile bool stop;
};

static void *send_signals(void *data)
{
	struct sender *sender = data;

	while (!sender->stop) {
		pthread_kill(sender->target, SIGUSR1);
		sleep_ms(1);
	}
	return NULL;
}

static void storm_by_thread(void)
{
	struct guest *g = guest_new(LONG, checksum_code);
	struct sender sender = { .target = pthread_self() };
	pthread_t thread;

	catch(SIGUSR1);
	must(pthread_create(&thread, NULL, send_signals, &sender));
	run_checksum(g);
	sender.stop = true;
	pthread_join(thread, NULL);
	check(caught > 1);
}

static void stop_and_continue(void)
{
	struct guest *g;
	int status;
	pid_t pid;

	pid = must(fork());
	if (pid == 0) {
		g = guest_new(LONG, checksum_code);
		/* KVM_RUN shows a stop to its caller as EINTR, and goes on when called again. */
		for (int i = 0; i < 10; i++) {
			vcpu_set_mode(g->vcpu, LONG);
			run_checksum(g);
		}
		_exit(0);
	}
	sleep_ms(20);
	for (int i = 0; i < 20; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
		kill(pid, SIGSTOP);
		sleep_ms(5);
		kill(pid, SIGCONT);
		sleep_ms(10);
		status = -1;
	}
	if (status == -1)
		must(waitpid(pid, &status, 0));
	check_equal(status, 0);
}

GUEST(io_code, 64,
	"1:	in	$0x10, %eax\n"
	"	add	%rax, %rbx\n"
	"	mov	0x10000000, %eax\n"
	"	add	%rax, %rbx\n"
	"	addl	$1, 0x10000004\n"
	"	dec	%ecx\n"
	"	jnz	1b\n"
	"2:	hlt\n"
	"	jmp	2b\n");

/* No I/O is lost and none is done twice, whatever comes between. */
static void storm_with_io(void)
{
	struct guest *g = guest_new(LONG, io_code);
	uint64_t sum = 0, cell = 0, turns = 0, reads = 0, wanted = 20000 / slowness();
	struct kvm_regs regs = vcpu_regs(g->vcpu);

	regs.rcx = wanted;
	vcpu_set_regs(g->vcpu, &regs);
	catch(SIGALRM);
	timer(200, 200);
	for (;;) {
		int error = guest_run(g);

		if (error == EINTR)
			continue;
		check_equal(error, 0);
		if (g->run->exit_reason == KVM_EXIT_HLT)
			break;
		if (g->run->exit_reason == KVM_EXIT_IO) {
			uint32_t value = ++turns;

			memcpy(pio_data(g), &value, 4);
			sum += value;
			continue;
		}
		check_equal(g->run->exit_reason, KVM_EXIT_MMIO);
		if (g->run->mmio.is_write) {
			check_equal(g->run->mmio.phys_addr, GUEST_MMIO + 4);
			memcpy(&cell, g->run->mmio.data, 4);
		} else if (g->run->mmio.phys_addr == GUEST_MMIO) {
			uint32_t value = ++reads * 3;

			memcpy(g->run->mmio.data, &value, 4);
			sum += value;
		} else {
			memcpy(g->run->mmio.data, &cell, 4);
		}
	}
	timer(0, 0);
	check_equal(turns, wanted);
	check_equal(reads, wanted);
	check_equal(cell, wanted);
	check_equal(vcpu_regs(g->vcpu).rbx, sum);
}

static void fatal_signal(void)
{
	int status;
	pid_t pid = must(fork());

	if (pid == 0) {
		struct guest *g = guest_new(LONG, spin_code);

		signal(SIGTERM, SIG_DFL);
		guest_run(g);
		_exit(0);
	}
	sleep_ms(100);
	kill(pid, SIGTERM);
	must(waitpid(pid, &status, 0));
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "a signal stops a spinning guest", spinning_guest },
		{ "... with interrupts off", spinning_with_interrupts_off },
		{ "a signal pending before KVM_RUN, let through by the mask", pending_before },
		{ "KVM_SET_SIGNAL_MASK blocks and unblocks", mask_blocks },
		{ "a blocked signal that would end the process", unhandled },
		{ "KVM_SET_SIGNAL_MASK with bad arguments", mask_arguments },
		{ "a checksum under a storm of timer signals", storm },
		{ "a checksum under signals from a thread", storm_by_thread },
		{ "SIGSTOP and SIGCONT", stop_and_continue },
		{ "I/O under a storm of signals", storm_with_io },
		{ "a fatal signal", fatal_signal },
	};

	return RUN_CASES("signal", cases);
}
