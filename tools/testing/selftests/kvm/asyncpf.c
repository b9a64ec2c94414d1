// SPDX-License-Identifier: GPL-2.0
/*
 * Asynchronous page faults: a guest touches pages that do not come until the test says so (by
 * userfaultfd), is told so or not, runs or halts meanwhile, and hears when they have come.
 * Documentation/virt/kvm/x86/pv.rst.
 */
#include "guest.h"

#include <fcntl.h>
#include <linux/kvm_para.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define DONE_PORT	0x51
#define APF_DATA	0x24000ull
#define SLOW_BASE	0x800000ull	/* memory whose pages come late */
#define SLOW_PAGES	512u
#define VECTOR_READY	0xec
#define VECTOR_IPI	0x61
#define MOST_TOLD	64		/* at a time */

#define EN_INT		(KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT)

/* What the guest keeps at GUEST_DATA; the numbers stand in its code. */
struct state {
	uint32_t told, ready;		/* 0xa000, 0xa004: how often */
	uint32_t last_told, last_ready;	/* 0xa008, 0xa00c: tokens */
	uint32_t how, pad;		/* 0xa010: enum how */
	uint64_t spins;			/* 0xa018 */
	uint32_t ipis;			/* 0xa020 */
	uint8_t rest[0xdc];
	uint32_t told_tokens[0x80];	/* 0xa100 */
	uint32_t ready_tokens[0x80];	/* 0xa300 */
};

/* What it does when it is told. */
enum how { RUN, HALT, SKIP, AGAIN };

GUEST(apf_code, 64,
	"	.globl	apf_start, apf_touch, apf_sweep, apf_wait, apf_wrmsr\n"
	"	.globl	apf_fault, apf_ready, apf_ipi\n"
	"1:	out	%al, $0x51\n"
	"	jmp	1b\n"
	"apf_start: mov	$0x1b, %ecx\n"
	"	rdmsr\n"
	"	or	$0xc00, %eax\n"
	"	wrmsr\n"
	"	mov	$0x80f, %ecx\n"
	"	mov	$0x1ff, %eax\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	jmp	1b\n"
	"apf_wrmsr: wrmsr\n"
	"	jmp	1b\n"
	"apf_touch: mov	(%rdi), %eax\n"
	"	jmp	1b\n"
	"apf_sweep: mov	(%rdi), %eax\n"
	"	add	$4096, %rdi\n"
	"	dec	%esi\n"
	"	jnz	apf_sweep\n"
	"	jmp	1b\n"
	/* Until so many have come. */
	"apf_wait: cmp	%esi, 0xa004\n"
	"	jb	apf_wait\n"
	"	jmp	1b\n"
	/* #PF: one of the special kind, or the end of the test. */
	"apf_fault: push %rax\n"
	"	push	%rcx\n"
	"	cmpl	$1, 0x24000\n"
	"	je	2f\n"
	"	ud2\n"
	"2:	movl	$0, 0x24000\n"
	"	mov	%cr2, %rax\n"
	"	mov	%eax, 0xa008\n"
	"	mov	0xa000, %ecx\n"
	"	mov	%eax, 0xa100(, %rcx, 4)\n"
	"	incl	0xa000\n"
	"	mov	0xa010, %ecx\n"
	"	cmp	$1, %ecx\n"
	"	je	4f\n"
	"	cmp	$2, %ecx\n"
	"	je	5f\n"
	"	cmp	$3, %ecx\n"
	"	je	6f\n"
	"	sti\n"
	"3:	incq	0xa018\n"
	"	cmp	%eax, 0xa00c\n"
	"	jne	3b\n"
	"	cli\n"
	"	jmp	7f\n"
	"4:	cmp	%eax, 0xa00c\n"
	"	je	7f\n"
	"	sti\n"
	"	hlt\n"
	"	cli\n"
	"	jmp	4b\n"
	"5:	addq	$2, 24(%rsp)\n"		/* the length of the access */
	"	jmp	7f\n"
	"6:	sti\n"
	"	nop\n"				/* the instruction behind STI cannot be interrupted */
	"	mov	(%rdi), %ecx\n"
	"	cli\n"
	"7:	pop	%rcx\n"
	"	pop	%rax\n"
	"	add	$8, %rsp\n"
	"	iretq\n"
	"apf_ready: push %rax\n"
	"	push	%rcx\n"
	"	push	%rdx\n"
	"	mov	0x24004, %eax\n"
	"	movl	$0, 0x24004\n"
	"	mov	%eax, 0xa00c\n"
	"	mov	0xa004, %ecx\n"
	"	mov	%eax, 0xa300(, %rcx, 4)\n"
	"	incl	0xa004\n"
	"	mov	$0x4b564d07, %ecx\n"
	"	mov	$1, %eax\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"8:	mov	$0x80b, %ecx\n"
	"	xor	%eax, %eax\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	pop	%rdx\n"
	"	pop	%rcx\n"
	"	pop	%rax\n"
	"	iretq\n"
	"apf_ipi: push	%rax\n"
	"	push	%rcx\n"
	"	push	%rdx\n"
	"	incl	0xa020\n"
	"	jmp	8b\n");

extern const uint8_t apf_start[], apf_touch[], apf_sweep[], apf_wait[], apf_wrmsr[], apf_fault[],
		     apf_ready[], apf_ipi[];

struct slow_guest {
	struct guest *g;
	uint8_t *memory;
	int uffd;
	pthread_t thread;
	bool done;
	int error;			/* of KVM_RUN, if the thread is to take one */
};

/* ---- machines -------------------------------------------------------------------------------- */

static volatile struct state *state_of(struct slow_guest *s)
{
	return (volatile struct state *)(s->g->memory + GUEST_DATA);
}

static struct guest *new_guest(void)
{
	struct guest *g = guest_new(LONG, apf_code);
	struct kvm_regs regs;

	guest_with_irqchip(g, LONG);
	NEED(g->vm, KVM_CAP_ASYNC_PF_INT);
	guest_gate(g, VECTOR_PF, guest_address(g, apf_fault));
	guest_gate(g, VECTOR_READY, guest_address(g, apf_ready));
	guest_gate(g, VECTOR_IPI, guest_address(g, apf_ipi));
	regs = vcpu_regs(g->vcpu);
	regs.rip = guest_address(g, apf_start);
	vcpu_set_regs(g->vcpu, &regs);
	run_to_out(g, DONE_PORT);
	memset(g->memory + GUEST_DATA, 0, PAGE);
	return g;
}

static uint8_t *slow_memory(void)
{
	uint8_t *memory = mmap(NULL, SLOW_PAGES * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(memory != MAP_FAILED);
	madvise(memory, SLOW_PAGES * PAGE, MADV_NOHUGEPAGE);
	return memory;
}

static int catch_faults(void *memory)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)memory, SLOW_PAGES * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int uffd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (uffd < 0)
		skip("no userfaultfd");
	must(ioctl(uffd, UFFDIO_API, &api));
	must(ioctl(uffd, UFFDIO_REGISTER, &reg));
	return uffd;
}

/* It does as told by @how, and is told under the conditions in @enable. */
static struct slow_guest *slow_guest(uint64_t enable, enum how how)
{
	struct slow_guest *s = calloc(1, sizeof(*s));

	check(s);
	s->g = new_guest();
	s->memory = slow_memory();
	s->uffd = catch_faults(s->memory);
	must(vm_set_slot(s->g->vm, 1, 0, SLOW_BASE, SLOW_PAGES * PAGE, s->memory));
	check(vcpu_set_msr(s->g->vcpu, MSR_KVM_ASYNC_PF_INT, VECTOR_READY));
	check(vcpu_set_msr(s->g->vcpu, MSR_KVM_ASYNC_PF_EN, APF_DATA | enable));
	/* Userspace's write may come from another host: the guest is to look after all its pages. */
	guest_complete(s->g);
	if (enable) {
		struct kvm_regs regs = vcpu_regs(s->g->vcpu);

		regs.rip = guest_address(s->g, apf_wait);
		regs.rsi = 1;
		regs.rflags |= RFLAGS_IF;
		vcpu_set_regs(s->g->vcpu, &regs);
		run_to_out(s->g, DONE_PORT);
		check_equal(state_of(s)->last_ready, ~0u);
	}
	memset(s->g->memory + GUEST_DATA, 0, PAGE);
	state_of(s)->how = how;
	return s;
}

/* The page comes, and is full of its number. */
static void bring(struct slow_guest *s, unsigned int page)
{
	static uint8_t content[PAGE] __attribute__((aligned(PAGE)));
	struct uffdio_copy copy = {
		.dst = (uintptr_t)s->memory + page * PAGE, .src = (uintptr_t)content, .len = PAGE,
	};

	memset(content, page, PAGE);
	if (ioctl(s->uffd, UFFDIO_COPY, &copy) && errno != EEXIST)
		fail("UFFDIO_COPY: %s", strerror(errno));
}

static void set_task(struct slow_guest *s, const uint8_t *label, bool user, uint64_t rflags,
		     unsigned int page, uint64_t count)
{
	struct kvm_regs regs;

	guest_complete(s->g);
	if (user)
		guest_to_user(s->g);
	regs = vcpu_regs(s->g->vcpu);
	regs.rip = guest_address(s->g, label);
	regs.rdi = SLOW_BASE + page * PAGE;
	regs.rsi = count;
	regs.rflags = (regs.rflags & ~RFLAGS_IF) | rflags;
	vcpu_set_regs(s->g->vcpu, &regs);
}

static void *run_task(void *data)
{
	struct slow_guest *s = data;

	run_to_out(s->g, DONE_PORT);
	__atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void start(struct slow_guest *s)
{
	s->done = false;
	check_equal(pthread_create(&s->thread, NULL, run_task, s), 0);
}

static bool is_done(struct slow_guest *s)
{
	return __atomic_load_n(&s->done, __ATOMIC_ACQUIRE);
}

static void finish(struct slow_guest *s)
{
	pthread_join(s->thread, NULL);
	check(is_done(s));
}

#define wait_until(condition) \
	do { \
		for (unsigned int i_ = 0; !(condition); i_++) { \
			if (i_ == 4000) \
				fail("%s does not come true", #condition); \
			sleep_ms(5); \
		} \
	} while (0)

static void send_ipi(struct slow_guest *s)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = VECTOR_IPI };

	check_equal(must(ioctl(s->g->vm, KVM_SIGNAL_MSI, &msi)), 1);
}

/* ---- what there is --------------------------------------------------------------------------- */

static void offered(void)
{
	int kvm = open_kvm();
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid_supported(kvm), KVM_CPUID_FEATURES, 0);

	check(e);
	check(e->eax & (1u << KVM_FEATURE_ASYNC_PF));
	check(e->eax & (1u << KVM_FEATURE_ASYNC_PF_INT));
	/* There are no nested guests. */
	check(!(e->eax & (1u << KVM_FEATURE_ASYNC_PF_VMEXIT)));
	check_equal(extension(kvm, KVM_CAP_ASYNC_PF), 1);
	check_equal(extension(kvm, KVM_CAP_ASYNC_PF_INT), 1);
}

static void refused(struct guest *g, uint32_t msr, uint64_t value)
{
	guest_to_msr(g, apf_wrmsr, msr, value);
	run_to_exception(g, VECTOR_GP, 0);
	check(!vcpu_set_msr(g->vcpu, msr, value));
}

static void msr_values(void)
{
	struct guest *g = new_guest();
	uint64_t value;

	for (unsigned int bit = 4; bit <= 5; bit++)
		refused(g, MSR_KVM_ASYNC_PF_EN, APF_DATA | 1ull << bit);
	for (unsigned int bit = 8; bit < 64; bit += 5)
		refused(g, MSR_KVM_ASYNC_PF_INT, 1ull << bit);
	check(vcpu_set_msr(g->vcpu, MSR_KVM_ASYNC_PF_INT, VECTOR_READY));
	check(vcpu_get_msr(g->vcpu, MSR_KVM_ASYNC_PF_INT, &value));
	check_equal(value, VECTOR_READY);
	check(vcpu_set_msr(g->vcpu, MSR_KVM_ASYNC_PF_EN, APF_DATA | EN_INT));
	check(vcpu_get_msr(g->vcpu, MSR_KVM_ASYNC_PF_EN, &value));
	check_equal(value, APF_DATA | EN_INT);
	check(vcpu_set_msr(g->vcpu, MSR_KVM_ASYNC_PF_ACK, 1));
	check(vcpu_get_msr(g->vcpu, MSR_KVM_ASYNC_PF_ACK, &value));
	check_equal(value, 0);
	/* Addresses where nothing can be written harm nobody. */
	check(vcpu_set_msr(g->vcpu, MSR_KVM_ASYNC_PF_EN, ~0x3full | EN_INT));
	guest_complete(g);
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	run_to_out(g, DONE_PORT);
}

static void without_apic(void)
{
	static const uint32_t msrs[] = {
		MSR_KVM_ASYNC_PF_EN, MSR_KVM_ASYNC_PF_INT, MSR_KVM_ASYNC_PF_ACK,
	};
	struct guest *g = guest_new(LONG, apf_code);

	run_to_out(g, DONE_PORT);
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
		refused(g, msrs[i], 1);
		check(vcpu_set_msr(g->vcpu, msrs[i], 0));
	}
}

/* ---- one page -------------------------------------------------------------------------------- */

static void check_told(struct slow_guest *s, uint32_t times)
{
	volatile struct state *st = state_of(s);

	check_equal(st->told, times);
	check_equal(st->ready, times);
	check_equal(st->last_ready, st->last_told);
	check_equal(*(uint64_t *)(s->g->memory + APF_DATA), 0);
}

static void told(uint64_t enable, enum how how, bool user)
{
	struct slow_guest *s = slow_guest(enable, how);
	volatile struct state *st = state_of(s);
	uint64_t spins;

	set_task(s, apf_touch, user, RFLAGS_IF, 7, 0);
	start(s);
	wait_until(st->told == 1);
	spins = st->spins;
	if (how == RUN)
		wait_until(st->spins > spins + 1000);
	else
		sleep_ms(100);
	send_ipi(s);
	wait_until(st->ipis == 1);
	check(!is_done(s));
	check_equal(st->ready, 0);
	bring(s, 7);
	finish(s);
	check_told(s, 1);
	check_equal(vcpu_regs(s->g->vcpu).rax, 0x07070707);
}

static void told_runs(void)
{
	told(EN_INT, RUN, true);
}

static void told_halts(void)
{
	told(EN_INT, HALT, true);
}

static void told_kernel(void)
{
	told(EN_INT | KVM_ASYNC_PF_SEND_ALWAYS, HALT, false);
}

/* It has to wait, but takes interrupts in the meantime; nothing is said in the end. */
static void kernel_waits(void)
{
	struct slow_guest *s = slow_guest(EN_INT, RUN);
	volatile struct state *st = state_of(s);

	set_task(s, apf_touch, false, RFLAGS_IF, 3, 0);
	start(s);
	sleep_ms(50);
	for (uint32_t i = 1; i <= 5; i++) {
		send_ipi(s);
		wait_until(st->ipis == i);
	}
	check(!is_done(s));
	bring(s, 3);
	finish(s);
	check_equal(st->told, 0);
	check_equal(st->ready, 0);
	check_equal(vcpu_regs(s->g->vcpu).rax, 0x03030303);
}

/* Those who cannot be told, or do not want to, or have interrupts disabled. */
static void not_told(void)
{
	static const struct {
		uint64_t enable, rflags;
	} kinds[] = {
		{ 0, RFLAGS_IF }, { KVM_ASYNC_PF_ENABLED, RFLAGS_IF }, { EN_INT, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct slow_guest *s = slow_guest(0, RUN);

		check(vcpu_set_msr(s->g->vcpu, MSR_KVM_ASYNC_PF_EN, APF_DATA | kinds[i].enable));
		set_task(s, apf_touch, true, kinds[i].rflags, 5, 0);
		start(s);
		sleep_ms(50);
		check(!is_done(s));
		bring(s, 5);
		finish(s);
		check_equal(state_of(s)->told, 0);
		check_equal(vcpu_regs(s->g->vcpu).rax, 0x05050505);
	}
}

/* The page that the guest was told of is touched again: it is not told twice. */
static void touched_again(void)
{
	struct slow_guest *s = slow_guest(EN_INT | KVM_ASYNC_PF_SEND_ALWAYS, AGAIN);
	volatile struct state *st = state_of(s);

	set_task(s, apf_touch, true, RFLAGS_IF, 9, 0);
	start(s);
	wait_until(st->told == 1);
	sleep_ms(50);
	send_ipi(s);
	wait_until(st->ipis == 1);
	check(!is_done(s));
	check_equal(st->told, 1);
	bring(s, 9);
	finish(s);
	check_equal(st->told, 1);
	check_equal(vcpu_regs(s->g->vcpu).rax, 0x09090909);
}

/* ---- many pages ------------------------------------------------------------------------------ */

static bool listed(volatile uint32_t *tokens, uint32_t count, uint32_t token)
{
	for (uint32_t i = 0; i < count; i++)
		if (tokens[i] == token)
			return true;
	return false;
}

static void many(void)
{
	struct slow_guest *s = slow_guest(EN_INT, SKIP);
	volatile struct state *st = state_of(s);

	set_task(s, apf_sweep, true, RFLAGS_IF, 0, MOST_TOLD + 20);
	start(s);
	/* With so many under way the next is waited for. */
	wait_until(st->told == MOST_TOLD);
	sleep_ms(50);
	check(!is_done(s));
	check_equal(st->told, MOST_TOLD);
	for (unsigned int page = MOST_TOLD + 20; page-- > 0; )
		bring(s, page);
	finish(s);
	set_task(s, apf_wait, true, RFLAGS_IF, 0, st->told);
	start(s);
	finish(s);
	check_equal(st->ready, st->told);
	for (uint32_t i = 0; i < st->told; i++) {
		check(st->told_tokens[i] && st->told_tokens[i] != ~0u);
		check(!listed(st->told_tokens, i, st->told_tokens[i]));
		check(listed(st->ready_tokens, st->ready, st->told_tokens[i]));
	}
}

/* Memory that was really swapped out, if the host can do that. */
static void swapped(void)
{
	struct slow_guest *s = calloc(1, sizeof(*s));
	volatile struct state *st;

	check(s);
	s->g = new_guest();
	s->memory = slow_memory();
	st = state_of(s);
	st->how = HALT;
	must(vm_set_slot(s->g->vm, 1, 0, SLOW_BASE, SLOW_PAGES * PAGE, s->memory));
	check(vcpu_set_msr(s->g->vcpu, MSR_KVM_ASYNC_PF_INT, VECTOR_READY));
	check(vcpu_set_msr(s->g->vcpu, MSR_KVM_ASYNC_PF_EN, APF_DATA | EN_INT));
	for (unsigned int round = 0; round < 3; round++) {
		memset(s->memory, round + 1, SLOW_PAGES * PAGE);
		madvise(s->memory, SLOW_PAGES * PAGE, MADV_PAGEOUT);
		st->told = 0;
		st->ready = 0;
		for (unsigned int page = 0; page < SLOW_PAGES; page += 8) {
			set_task(s, apf_touch, true, RFLAGS_IF, page, 0);
			run_to_out(s->g, DONE_PORT);
			check_equal(vcpu_regs(s->g->vcpu).rax, 0x01010101u * (round + 1));
		}
		note("told %u times, ready %u times", st->told, st->ready);
	}
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* Some pages under way, and the guest does something else. */
static struct slow_guest *outstanding(void)
{
	struct slow_guest *s = slow_guest(EN_INT, SKIP);

	set_task(s, apf_sweep, true, RFLAGS_IF, 0, 20);
	run_to_out(s->g, DONE_PORT);
	check_equal(state_of(s)->told, 20);
	return s;
}

static void disabled_meanwhile(void)
{
	struct slow_guest *s = outstanding();

	check(vcpu_set_msr(s->g->vcpu, MSR_KVM_ASYNC_PF_EN, 0));
	for (unsigned int page = 0; page < 20; page++)
		bring(s, page);
	sleep_ms(50);
	run_to_out(s->g, DONE_PORT);
	check_equal(state_of(s)->ready, 0);
	/* And from the start again. */
	check(vcpu_set_msr(s->g->vcpu, MSR_KVM_ASYNC_PF_EN, APF_DATA | EN_INT));
	set_task(s, apf_wait, true, RFLAGS_IF, 0, 1);
	run_to_out(s->g, DONE_PORT);
	check_equal(state_of(s)->last_ready, ~0u);
}

/* The VM goes; nobody waits for its pages, which come later or never. */
static void close_all(struct slow_guest *s)
{
	munmap(s->g->run, s->g->run_size);
	close(s->g->vcpu);
	close(s->g->vm);
}

static void destroyed_meanwhile(void)
{
	struct slow_guest *s = outstanding();

	close_all(s);
	for (unsigned int page = 0; page < 20; page++)
		bring(s, page);
	s = outstanding();
	close_all(s);
	close(s->uffd);
}

static void die(void *data)
{
	outstanding();
	_exit(0);
}

static void killed_meanwhile(void)
{
	for (int i = 0; i < 10; i++)
		in_child(die, NULL);
}

static void *run_until_signal(void *data)
{
	struct slow_guest *s = data;

	s->error = guest_run(s->g);
	__atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void on_signal(int number)
{
	/* Nothing to do: KVM_RUN comes back. */
}

/* A waiting vcpu hears signals, as any. */
static void signalled(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct slow_guest *s = slow_guest(EN_INT, RUN);

	must(sigaction(SIGUSR1, &action, NULL));
	for (int i = 0; i < 3; i++) {
		if (!i)
			set_task(s, apf_touch, false, RFLAGS_IF, 11, 0);
		s->done = false;
		check_equal(pthread_create(&s->thread, NULL, run_until_signal, s), 0);
		sleep_ms(50);
		check(!is_done(s));
		pthread_kill(s->thread, SIGUSR1);
		pthread_join(s->thread, NULL);
		check_equal(s->error, EINTR);
	}
	bring(s, 11);
	run_to_out(s->g, DONE_PORT);
	check_equal(vcpu_regs(s->g->vcpu).rax, 0x0b0b0b0b);
	check_equal(state_of(s)->told, 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "what is offered", offered },
		{ "values of the MSRs", msr_values },
		{ "without an APIC", without_apic },
		{ "told, the guest runs meanwhile", told_runs },
		{ "told, the guest halts meanwhile", told_halts },
		{ "told in the guest's kernel", told_kernel },
		{ "the guest's kernel waits and takes interrupts", kernel_waits },
		{ "guests that are not told", not_told },
		{ "told once of a page", touched_again },
		{ "many pages", many },
		{ "swapped pages", swapped },
		{ "switched off meanwhile", disabled_meanwhile },
		{ "the VM goes meanwhile", destroyed_meanwhile },
		{ "the process dies meanwhile", killed_meanwhile },
		{ "signals", signalled },
	};

	return RUN_CASES("asyncpf", cases);
}
