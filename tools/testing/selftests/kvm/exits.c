// SPDX-License-Identifier: GPL-2.0
/*
 * Exits that a guest makes seldom or never: of a loop of PAUSEs, each time after a longer one, and
 * those that userspace has its guest do without (KVM_CAP_X86_DISABLE_EXITS), or wants to know of: a
 * lock of the bus, and no interrupt window for too long. SDM 3, 25.6.13, 26.1.3 and 26.2; AMD64
 * manual, volume 2, 15.14.4; KVM API document, 7.13.
 */
#include "guest.h"

#include <pthread.h>
#include <signal.h>

#define DONE_PORT	0x10
#define PAUSES		"400000"
/* So many exits such a loop makes at least, when each is as long as the first ... */
#define MANY		20
/* ... and so many at most, when they grow. */
#define FEW		40
/* A host that is emulated ends each stay in the guest after 10 ms. */
#define OWN_EXITS_PER_S	110

#define MSR_C6_RESIDENCY	0x3fd

GUEST(pause_code, 64,
	"1:	mov	$" PAUSES ", %ecx\n"
	"2:	pause\n"
	"	dec	%ecx\n"
	"	jnz	2b\n"
	"	out	%al, $0x10\n"
	"	jmp	1b\n");
GUEST(halt_code, 64,
	INTERRUPTIBLE
	"1:	hlt\n"
	"	incl	0xa000\n"		/* GUEST_DATA */
	"	jmp	1b\n");
GUEST(mwait_code, 64,
	INTERRUPTIBLE
	"1:	mov	$0xa000, %eax\n"
	"	xor	%ecx, %ecx\n"
	"	xor	%edx, %edx\n"
	"	monitor\n"
	"	incl	0xa000\n"
	"	xor	%eax, %eax\n"
	"	mwait\n"
	"	cmpl	$5, 0xa000\n"
	"	jb	1b\n"
	"	out	%al, $0x10\n");
GUEST(rdmsr_code, 64,
	"	rdmsr\n"
	"	out	%al, $0x10\n");

GUEST(lock_code, 64,
	"1:	incl	0xa03e\n"		/* across two cache lines, without a lock */
	"	lock incl 0xa040\n"		/* within one */
	"	hlt\n"
	"	lock incl 0xa03e\n"
	"	hlt\n"
	"	xchg	%eax, 0xa07d\n"
	"	hlt\n"
	"	jmp	1b\n");
GUEST(window_code, 64,
	"1:	hlt\n"
	"	sti\n"
	"	lock incl 0xa03e\n"		/* in the shadow: the window opens behind it */
	"	cli\n"
	"	jmp	1b\n");
GUEST(ss_code, 64,
	"	mov	$0x10, %eax\n"		/* SELECTOR_DATA */
	"1:	.rept	500\n"
	"	mov	%eax, %ss\n"
	"	.endr\n"
	"	hlt\n"
	"	jmp	1b\n");

static int enable(int vm, uint32_t which, uint64_t value)
{
	struct kvm_enable_cap cap = { .cap = which, .args = { value } };

	return ioctl(vm, KVM_ENABLE_CAP, &cap);
}

/* A VM whose guest does not make these exits, if the host lets userspace choose that. */
static int vm_without(int kvm, uint32_t exits)
{
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0));

	if (!(extension(vm, KVM_CAP_X86_DISABLE_EXITS) & exits))
		skip("these exits are not to be done without on this processor");
	must(enable(vm, KVM_CAP_X86_DISABLE_EXITS, exits));
	return vm;
}

#define guest_without(exits, code) \
	({ \
		int kvm_ = open_kvm(); \
		guest_in_vm(kvm_, vm_without(kvm_, exits), LONG, code); \
	})

/* ---- PAUSE ------------------------------------------------------------------------------------------- */

/* Does a loop of PAUSEs exit, and how much later does it each time? */
static long pause_growth(void)
{
	if (read_number("/sys/module/kvm_intel/parameters/ple_gap") > 0)
		return read_number("/sys/module/kvm_intel/parameters/ple_window_grow");
	if (read_number("/sys/module/kvm_amd/parameters/pause_filter_count") > 0)
		return read_number("/sys/module/kvm_amd/parameters/pause_filter_count_grow");
	skip("PAUSE does not exit on this processor");
}

/* Exits of a loop, without those that come with time. */
static uint64_t loop_exits(struct guest *g)
{
	uint64_t start = now_ns(), before = vcpu_stat(g->vcpu, "exits"), exits, own;

	run_to_out(g, DONE_PORT);
	exits = vcpu_stat(g->vcpu, "exits") - before - 1;
	own = (now_ns() - start) * OWN_EXITS_PER_S / NS_PER_S;
	note("%llu exits, %llu of them with time", (unsigned long long)exits, (unsigned long long)own);
	return exits > own ? exits - own : 0;
}

static void pause_loop(void)
{
	struct guest *g = guest_new(LONG, pause_code);
	long grow = pause_growth();
	uint64_t exits = loop_exits(g);

	if (!grow) {
		check(exits >= MANY);
		check(loop_exits(g) >= MANY);
	} else {
		check(exits <= FEW);
		check(loop_exits(g) <= FEW);
	}
}

static void no_pause_exits(void)
{
	struct guest *g = guest_without(KVM_X86_DISABLE_EXITS_PAUSE, pause_code);

	if (pause_growth())
		note("they would be too few to be missed");
	check(loop_exits(g) < MANY);
}

/* ---- HLT --------------------------------------------------------------------------------------------- */

static void *signal_later(void *data)
{
	sleep_ms(50);
	pthread_kill(*(pthread_t *)data, SIGUSR1);
	return NULL;
}

static void nothing(int signal)
{
}

/* Run until a signal finds the guest halted. */
static void run_to_halt(struct guest *g)
{
	struct sigaction action = { .sa_handler = nothing };
	pthread_t thread, self = pthread_self();

	must(sigaction(SIGUSR1, &action, NULL));
	check_equal(pthread_create(&thread, NULL, signal_later, &self), 0);
	check_equal(guest_run(g), EINTR);
	pthread_join(thread, NULL);
	check_equal(vcpu_stat(g->vcpu, "halt_exits"), 0);
}

/* What userspace does to a vcpu that is halted ends the halt. */
static void halt_without_exit(void)
{
	struct guest *g = guest_without(KVM_X86_DISABLE_EXITS_HLT, halt_code);
	struct kvm_vcpu_events ev;

	run_to_halt(g);
	must(ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &ev));
	ev.flags = 0;
	ev.exception.injected = 1;
	ev.exception.nr = VECTOR_UD;
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &ev));
	run_to_exception(g, VECTOR_UD, 0);

	vcpu_set_rip(g->vcpu, GUEST_CODE);
	run_to_halt(g);
	must(ioctl(g->vcpu, KVM_NMI));
	run_to_exception(g, VECTOR_NMI, 0);

	/* Level 3, and an instruction's shadow. */
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	run_to_halt(g);
	guest_to_user(g);
	must(ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &ev));
	ev.flags = KVM_VCPUEVENT_VALID_SHADOW;
	ev.interrupt.shadow = KVM_X86_SHADOW_INT_MOV_SS;
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &ev));
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	run_to_exception(g, VECTOR_GP, 0);
}

/* ---- MWAIT and what it leads to ------------------------------------------------------------------------ */

static void mwait_without_exit(void)
{
	struct guest *g = guest_without(KVM_X86_DISABLE_EXITS_MWAIT, mwait_code);

	run_to_out(g, DONE_PORT);
	check_equal(*(uint32_t *)(g->memory + GUEST_DATA), 5);
}

/* An exit would bring the access to userspace; the processor may not have the register. */
static void residency_without_exit(void)
{
	struct guest *g;
	uint32_t reason;

	if (read_number("/sys/module/kvm_intel/parameters/ple_gap") < 0)
		skip("it is a register of Intel's");
	g = guest_new(LONG, rdmsr_code);
	for (int without = 0; without < 2; without++) {
		if (without)
			g = guest_without(KVM_X86_DISABLE_EXITS_CSTATE, rdmsr_code);
		must(enable(g->vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_VALID_MASK));
		struct kvm_regs regs = vcpu_regs(g->vcpu);
		regs.rcx = MSR_C6_RESIDENCY;
		vcpu_set_regs(g->vcpu, &regs);
		check_equal(guest_run(g), 0);
		reason = g->run->exit_reason;
		if (!without)
			check_equal(reason, KVM_EXIT_X86_RDMSR);
		else if (reason != KVM_EXIT_IO)
			fail("exit %s", exit_name(reason));
		else if (g->run->io.port == REPORT_PORT)
			check_equal(guest_report(g)->vector, VECTOR_GP);
		else
			check_equal(g->run->io.port, DONE_PORT);
	}
}

/* ---- locks of the bus ------------------------------------------------------------------------------ */

static struct guest *lock_guest(uint64_t mode, const uint8_t *code, const uint8_t *end)
{
	int kvm = open_kvm(), vm = must(ioctl(kvm, KVM_CREATE_VM, 0));

	NEED(vm, KVM_CAP_X86_BUS_LOCK_EXIT);
	must(enable(vm, KVM_CAP_X86_BUS_LOCK_EXIT, mode));
	return guest_in_vm_sized(kvm, vm, LONG, code, end);
}

static void run_to_plain_halt(struct guest *g)
{
	run_to(g, KVM_EXIT_HLT);
	check(!(g->run->flags & KVM_RUN_X86_BUS_LOCK));
}

static void bus_locks(void)
{
	struct guest *g = lock_guest(KVM_BUS_LOCK_DETECTION_EXIT, lock_code, lock_code_end);

	for (uint32_t i = 1; i <= 3; i++) {
		run_to_plain_halt(g);
		for (int n = 0; n < 2; n++) {
			run_to(g, KVM_EXIT_X86_BUS_LOCK);
			check(g->run->flags & KVM_RUN_X86_BUS_LOCK);
			run_to_plain_halt(g);
		}
		/* Behind the instruction, which is done once. */
		check_equal(*(uint16_t *)(g->memory + 0xa03e), 2 * i);
	}
	g = lock_guest(KVM_BUS_LOCK_DETECTION_OFF, lock_code, lock_code_end);
	for (int n = 0; n < 3; n++)
		run_to_plain_halt(g);
}

static void bus_lock_and_window(void)
{
	struct guest *g = lock_guest(KVM_BUS_LOCK_DETECTION_EXIT, window_code, window_code_end);
	uint64_t windows;

	for (int n = 0; n < 3; n++) {
		run_to_plain_halt(g);
		g->run->request_interrupt_window = 1;
		windows = vcpu_stat(g->vcpu, "irq_window_exits");
		/* One exit of the processor's, of which userspace has to know two things. */
		run_to(g, KVM_EXIT_X86_BUS_LOCK);
		check(g->run->flags & KVM_RUN_X86_BUS_LOCK);
		check_equal(g->run->ready_for_interrupt_injection, 1);
		check_equal(vcpu_stat(g->vcpu, "irq_window_exits"), windows + 1);
		run_to(g, KVM_EXIT_IRQ_WINDOW_OPEN);
		check(!(g->run->flags & KVM_RUN_X86_BUS_LOCK));
		g->run->request_interrupt_window = 0;
	}
	run_to_plain_halt(g);
	run_to(g, KVM_EXIT_X86_BUS_LOCK);
}

/* ---- no interrupt window ---------------------------------------------------------------------------- */

static struct guest *notify_guest(uint64_t flags, uint64_t window)
{
	int kvm = open_kvm(), vm = must(ioctl(kvm, KVM_CREATE_VM, 0));

	NEED(vm, KVM_CAP_X86_NOTIFY_VMEXIT);
	must(enable(vm, KVM_CAP_X86_NOTIFY_VMEXIT, window << 32 | KVM_X86_NOTIFY_VMEXIT_ENABLED | flags));
	return guest_in_vm(kvm, vm, LONG, ss_code);
}

/*
 * A processor may let each of a row of MOV SS hold interrupts off, and the one that these cases are
 * made for does.
 */
static void notified(void)
{
	struct guest *g = notify_guest(KVM_X86_NOTIFY_VMEXIT_USER, 100);
	unsigned int told = 0;

	for (;; told++) {
		must(guest_run(g));
		if (g->run->exit_reason != KVM_EXIT_NOTIFY)
			break;
		check_equal(g->run->notify.flags, 0);
	}
	check_equal(g->run->exit_reason, KVM_EXIT_HLT);
	check(told >= 3 && told <= 5);
	check_equal(vcpu_stat(g->vcpu, "notify_window_exits"), told);

	g = notify_guest(KVM_X86_NOTIFY_VMEXIT_USER, 1000);
	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_stat(g->vcpu, "notify_window_exits"), 0);
}

static void not_notified(void)
{
	struct guest *g = notify_guest(0, 100);

	for (int n = 1; n <= 3; n++) {
		run_to(g, KVM_EXIT_HLT);
		check(vcpu_stat(g->vcpu, "notify_window_exits") >= 3u * n);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "a loop of PAUSEs exits later each time", pause_loop },
		{ "PAUSE without exits", no_pause_exits },
		{ "HLT without exits", halt_without_exit },
		{ "MWAIT without exits", mwait_without_exit },
		{ "residencies in C-states without exits", residency_without_exit },
		{ "a lock of the bus", bus_locks },
		{ "... and the interrupt window behind it", bus_lock_and_window },
		{ "no interrupt window, and userspace is told", notified },
		{ "... or is not", not_notified },
	};

	return RUN_CASES("exits", cases);
}
