// SPDX-License-Identifier: GPL-2.0
/*
 * Several vcpus of one VM, without an interrupt controller in the kernel: in threads of their own,
 * in different modes, handed from thread to thread, with their memory changing under all of them.
 */
#include "guest.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#define VCPUS	4
#define TURNS	50000ull
#define BASE	0x1000000ull

struct processor {
	struct guest g;			/* a view of the VM with this vcpu */
	pthread_t thread;
	volatile bool stop;
	volatile uint64_t runs;
	int error;
	uint32_t exit;
};

static struct processor processors[VCPUS];

static void on_signal(int number)
{
}

/* The vcpus of one VM; the first is the guest's own. All start at the same code. */
static struct guest *create(const uint8_t *code, const uint8_t *end)
{
	struct guest *g = guest_new_sized(LONG, code, end);
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < VCPUS; i++) {
		struct guest *view = &processors[i].g;
		struct kvm_regs regs;

		*view = *g;
		if (i) {
			view->vcpu = must(ioctl(g->vm, KVM_CREATE_VCPU, i));
			view->run = vcpu_map_run(g->kvm, view->vcpu, &view->run_size);
			vcpu_set_supported_cpuid(g->kvm, view->vcpu);
			vcpu_set_mode(view->vcpu, LONG);
		}
		regs = vcpu_regs(view->vcpu);
		regs.rdi = i;
		regs.rsp = GUEST_STACK - i * 0x400;
		vcpu_set_regs(view->vcpu, &regs);
	}
	return g;
}

/* Runs the vcpu until it makes an exit or is told to stop. */
static void *run(void *data)
{
	struct processor *p = data;

	for (;;) {
		int error = guest_run(&p->g);

		p->runs++;
		if (error == EINTR) {
			if (p->stop)
				return NULL;
			continue;
		}
		p->error = error;
		p->exit = p->g.run->exit_reason;
		return NULL;
	}
}

static void start_all(void)
{
	for (int i = 0; i < VCPUS; i++)
		must(pthread_create(&processors[i].thread, NULL, run, &processors[i]));
}

static void stop_all(void)
{
	for (int i = 0; i < VCPUS; i++) {
		processors[i].stop = true;
		while (pthread_tryjoin_np(processors[i].thread, NULL)) {
			pthread_kill(processors[i].thread, SIGUSR1);
			sleep_ms(1);
		}
		check_equal(processors[i].error, 0);
		check_equal(processors[i].exit, 0);
	}
}

static void join_all(uint32_t exit)
{
	for (int i = 0; i < VCPUS; i++) {
		must(pthread_join(processors[i].thread, NULL));
		check_equal(processors[i].error, 0);
		check_equal(processors[i].exit, exit);
	}
}

GUEST(count_code, 64,
	"	mov	$50000, %ecx\n"
	"1:	lock incq 0xa000\n"
	"	mov	$1, %eax\n"		/* a spin lock around a plain increment */
	"2:	xchg	%eax, 0xa040\n"
	"	test	%eax, %eax\n"
	"	jz	3f\n"
	"	pause\n"
	"	jmp	2b\n"
	"3:	incq	0xa080\n"
	"	movl	$0, 0xa040\n"
	"	dec	%ecx\n"
	"	jnz	1b\n"
	"	hlt\n");

static void shared_counters(void)
{
	struct guest *g = create(count_code, count_code_end);

	start_all();
	join_all(KVM_EXIT_HLT);
	check_equal(*(uint64_t *)(g->memory + 0xa000), VCPUS * TURNS);
	check_equal(*(uint64_t *)(g->memory + 0xa080), VCPUS * TURNS);
}

GUEST(real_code, 16,
	"1:	incl	0x3000\n"
	"	jmp	1b\n");
GUEST(long_code, 64,
	"1:	incq	0xa000(, %rdi, 8)\n"
	"	jmp	1b\n");

static void different_modes(void)
{
	struct guest *g = create(long_code, long_code_end);
	volatile uint32_t *real = (uint32_t *)(g->memory + 0x3000);
	volatile uint64_t *counters = (uint64_t *)(g->memory + GUEST_DATA);
	struct processor *odd = &processors[3];
	int fresh = must(ioctl(g->vm, KVM_CREATE_VCPU, VCPUS));

	/* The last one stays as it was created and gets its real mode from there. */
	memcpy(g->memory + 0x2000, real_code, real_code_end - real_code);
	odd->g.vcpu = fresh;
	odd->g.run = vcpu_map_run(g->kvm, fresh, &odd->g.run_size);
	vcpu_set_mode(fresh, REAL);
	vcpu_set_rip(fresh, 0x2000);
	start_all();
	for (int i = 0; i < 2000; i++) {
		if (*real > 1000 && counters[0] > 1000 && counters[1] > 1000 &&
		    counters[2] > 1000)
			break;
		sleep_ms(5);
	}
	stop_all();
	check(*real > 1000 && counters[0] > 1000 && counters[1] > 1000 && counters[2] > 1000);
	check_equal(vcpu_sregs(fresh).cr0 & CR0_PE, 0);
	check_equal(vcpu_sregs(g->vcpu).cs.l, 1);
}

static void *run_one_turn(void *data)
{
	struct guest *g = data;

	return (void *)(intptr_t)guest_run(g);
}

GUEST(out_code, 64,
	"1:	incq	%rbx\n"
	"	out	%al, $0x10\n"
	"	jmp	1b\n");

static void handed_over(void)
{
	struct guest *g = guest_new(LONG, out_code);

	for (uint64_t i = 1; i <= 200; i++) {
		pthread_t thread;
		void *result;

		must(pthread_create(&thread, NULL, run_one_turn, g));
		must(pthread_join(thread, &result));
		check(!result);
		check_equal(g->run->exit_reason, KVM_EXIT_IO);
		check_equal(vcpu_regs(g->vcpu).rbx, i);
	}
}

/* Two threads with one vcpu: one at a time, and both come back. */
static void contended(void)
{
	struct guest *g = create(long_code, long_code_end);
	struct processor *first = &processors[0], *second = &processors[1];
	struct kvm_regs regs;

	second->g = first->g;
	must(pthread_create(&first->thread, NULL, run, first));
	sleep_ms(20);
	must(pthread_create(&second->thread, NULL, run, second));
	sleep_ms(50);
	first->stop = second->stop = true;
	for (int joined = 0; joined < 2; joined++) {
		struct processor *p = joined ? second : first;

		while (pthread_tryjoin_np(p->thread, NULL)) {
			pthread_kill(first->thread, SIGUSR1);
			if (joined)
				pthread_kill(second->thread, SIGUSR1);
			sleep_ms(1);
		}
		check_equal(p->error, 0);
	}
	regs = vcpu_regs(g->vcpu);
	check(regs.rip >= GUEST_CODE && regs.rip < GUEST_CODE + 16);
}

GUEST(follow_code, 64,
	"1:	mov	0x1000000, %rax\n"
	"	mov	%rax, 0xa000(, %rdi, 8)\n"
	"	incq	0xa100(, %rdi, 8)\n"
	"	jmp	1b\n");

static void wait_turns(struct guest *g, uint64_t turns)
{
	volatile uint64_t *count = (uint64_t *)(g->memory + 0xa100);
	uint64_t before[VCPUS];
	uint64_t end = now_ns() + 20 * NS_PER_S;

	for (int i = 0; i < VCPUS; i++)
		before[i] = count[i];
	for (int i = 0; i < VCPUS; i++)
		while (count[i] < before[i] + turns) {
			if (now_ns() > end)
				fail("vcpu %d does not move", i);
			sleep_ms(1);
		}
}

/* The page behind an address is exchanged: afterwards no vcpu sees the old one. */
static void page_exchanged(void)
{
	struct guest *g = create(follow_code, follow_code_end);
	volatile uint64_t *seen = (uint64_t *)(g->memory + 0xa000);
	uint8_t *area = map_pages(PAGE);

	must(vm_set_slot(g->vm, 1, 0, BASE, PAGE, area));
	start_all();
	for (uint64_t round = 1; round <= 30; round++) {
		uint64_t *fresh = map_pages(PAGE);

		*fresh = round;
		check(mremap(fresh, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area) == area);
		wait_turns(g, 2);
		for (int i = 0; i < VCPUS; i++)
			check_equal(seen[i], round);
	}
	stop_all();
}

GUEST(dirty_code, 64,
	"1:	mov	%rdi, %rbx\n"
	"	shl	$18, %rbx\n"
	"	mov	$64, %ecx\n"
	"2:	incq	0x1000000(%rbx)\n"
	"	add	$0x1000, %rbx\n"
	"	dec	%ecx\n"
	"	jnz	2b\n"
	"	incq	0xa100(, %rdi, 8)\n"
	"	jmp	1b\n");

/* Each vcpu writes 64 pages of its own; the log has them all, again after each reading. */
static void logged(void)
{
	struct guest *g = create(dirty_code, dirty_code_end);
	uint8_t *area = map_pages(VCPUS * 64 * PAGE);
	uint64_t bitmap[VCPUS];
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bitmap };

	must(vm_set_slot(g->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, BASE, VCPUS * 64 * PAGE, area));
	start_all();
	for (int round = 0; round < 30; round++) {
		must(ioctl(g->vm, KVM_GET_DIRTY_LOG, &log));
		wait_turns(g, 2);
		must(ioctl(g->vm, KVM_GET_DIRTY_LOG, &log));
		for (int i = 0; i < VCPUS; i++)
			check_equal(bitmap[i], -1ull);
	}
	stop_all();
	must(ioctl(g->vm, KVM_GET_DIRTY_LOG, &log));
	must(ioctl(g->vm, KVM_GET_DIRTY_LOG, &log));
	for (int i = 0; i < VCPUS; i++)
		check_equal(bitmap[i], 0);
}

/* Requests to a vcpu that is inside KVM_RUN wait until it comes out, and then succeed. */
static void request_waits(void)
{
	struct guest *g = create(long_code, long_code_end);
	struct processor *p = &processors[0];
	struct kvm_regs regs;

	must(pthread_create(&p->thread, NULL, run, p));
	while (!*(volatile uint64_t *)(g->memory + GUEST_DATA))
		sleep_ms(1);
	/* Another thread brings it out, again and again. */
	for (int i = 0; i < 20; i++) {
		pthread_kill(p->thread, SIGUSR1);
		must(ioctl(processors[1].g.vcpu, KVM_GET_REGS, &regs));
	}
	p->stop = true;
	while (pthread_tryjoin_np(p->thread, NULL)) {
		pthread_kill(p->thread, SIGUSR1);
		sleep_ms(1);
	}
	check(vcpu_regs(g->vcpu).rip >= GUEST_CODE);
	/* What needs no vcpu's lock works beside a running one. */
	p->stop = false;
	must(pthread_create(&p->thread, NULL, run, p));
	check(extension(g->vm, KVM_CAP_USER_MEMORY) > 0);
	must(ioctl(g->vm, KVM_CREATE_VCPU, 9));
	p->stop = true;
	while (pthread_tryjoin_np(p->thread, NULL)) {
		pthread_kill(p->thread, SIGUSR1);
		sleep_ms(1);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "counters shared by four vcpus", shared_counters },
		{ "vcpus in different modes", different_modes },
		{ "a vcpu handed from thread to thread", handed_over },
		{ "two threads with one vcpu", contended },
		{ "a page exchanged under four vcpus", page_exchanged },
		{ "dirty logging of four vcpus", logged },
		{ "requests beside a running vcpu", request_waits },
	};

	return RUN_CASES("vcpus", cases);
}
