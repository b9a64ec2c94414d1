// SPDX-License-Identifier: GPL-2.0
/*
 * Everything at once for a bounded time: two VMs whose guests check their own arithmetic and
 * memory, and beside them signals, forks, execs, changes of slots and logging, madvise, VMs that
 * come and go. The argument is the number of seconds, 10 unless told.
 */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define BASE	0x1000000ull
#define PAGES	256ull
#define SIZE	(PAGES * PAGE)
#define GUESTS	2

static unsigned int seconds = 10;
static const char *self;
static volatile bool stop;

/*
 * Each round writes a salted word to every page of the slot, makes some exits of each kind, and
 * verifies. RSI is the salt; the guest writes the number of bad pages to port 0x11.
 */
GUEST(work_code, 64,
	"1:	inc	%rsi\n"
	"	mov	$0x1000000, %ebx\n"
	"	mov	$256, %ecx\n"
	"2:	mov	%rbx, %rax\n"
	"	xor	%rsi, %rax\n"
	"	mov	%rax, 0x40(%rbx)\n"
	"	add	$0x1000, %rbx\n"
	"	dec	%ecx\n"
	"	jnz	2b\n"
	"	out	%al, $0x10\n"
	"	mov	%eax, 0x10000000\n"
	"	xor	%eax, %eax\n"
	"	cpuid\n"
	"	pause\n"
	"	xor	%edi, %edi\n"
	"	mov	$0x1000000, %ebx\n"
	"	mov	$256, %ecx\n"
	"3:	mov	%rbx, %rax\n"
	"	xor	%rsi, %rax\n"
	"	cmp	%rax, 0x40(%rbx)\n"
	"	je	4f\n"
	"	inc	%edi\n"
	"4:	add	$0x1000, %rbx\n"
	"	dec	%ecx\n"
	"	jnz	3b\n"
	"	mov	%edi, %eax\n"
	"	out	%eax, $0x11\n"
	"	jmp	1b\n");

struct worker {
	struct guest *g;
	uint8_t *area;
	pthread_t thread;
	volatile uint64_t rounds;
	const char *volatile trouble;
};

static struct worker workers[GUESTS];

static void on_signal(int number)
{
}

static const char *check_exit(struct worker *worker)
{
	struct kvm_run *run = worker->g->run;

	if (run->exit_reason == KVM_EXIT_MMIO)
		return run->mmio.phys_addr == GUEST_MMIO ? NULL : "MMIO at a foreign place";
	if (run->exit_reason != KVM_EXIT_IO)
		return "an unexpected exit";
	if (run->io.port == 0x11) {
		if (*(uint32_t *)pio_data(worker->g))
			return "memory lost its contents";
		worker->rounds++;
	}
	return NULL;
}

static void *work(void *data)
{
	struct worker *worker = data;

	while (!stop && !worker->trouble) {
		int error = guest_run(worker->g);

		if (!error)
			worker->trouble = check_exit(worker);
		else if (error != EINTR)
			worker->trouble = strerror(error);
	}
	return NULL;
}

static void pause_us(unsigned int us)
{
	usleep(us * slowness());
}

static void *send_signals(void *data)
{
	uint64_t seed = 1;

	while (!stop) {
		pthread_kill(workers[random_next(&seed) % GUESTS].thread, SIGUSR1);
		pause_us(random_next(&seed) % 2000);
	}
	return NULL;
}

static void *fork_and_exec(void *data)
{
	uint64_t seed = 2;

	while (!stop) {
		bool replace = random_next(&seed) & 1;
		pid_t pid = fork();

		if (pid == 0) {
			if (replace)
				execl(self, self, "--nothing", NULL);
			_exit(0);
		}
		if (pid > 0)
			waitpid(pid, NULL, 0);
		pause_us(1000);
	}
	return NULL;
}

static void *change_slots(void *data)
{
	uint8_t *spare = map_pages(64 * PAGE);
	uint64_t bitmap[PAGES / 64];
	uint64_t seed = 3;

	while (!stop) {
		struct worker *worker = &workers[random_next(&seed) % GUESTS];
		struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bitmap };
		uint32_t slot = 2 + random_next(&seed) % 20;
		uint64_t place = BASE + SIZE + slot * 64 * PAGE;

		vm_set_slot(worker->g->vm, slot, 0, place, 64 * PAGE, spare);
		vm_set_slot(worker->g->vm, slot, 0, place + 64 * MiB, 64 * PAGE, spare);
		vm_set_slot(worker->g->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, BASE, SIZE, worker->area);
		ioctl(worker->g->vm, KVM_GET_DIRTY_LOG, &log);
		vm_set_slot(worker->g->vm, 1, 0, BASE, SIZE, worker->area);
		vm_set_slot(worker->g->vm, slot, 0, 0, 0, NULL);
		pause_us(random_next(&seed) % 3000);
	}
	return NULL;
}

static void *disturb_memory(void *data)
{
	uint64_t seed = 4;

	while (!stop) {
		struct worker *worker = &workers[random_next(&seed) % GUESTS];
		uint64_t page = random_next(&seed) % (PAGES - 16);

		/* Only what keeps the contents. */
		madvise(worker->area + page * PAGE, 16 * PAGE, MADV_PAGEOUT);
		madvise(worker->area, SIZE, MADV_COLD);
		madvise(worker->g->memory, GUEST_MEMORY, MADV_DONTNEED);	/* shared memory */
		madvise(worker->area, SIZE, random_next(&seed) & 1 ? MADV_HUGEPAGE :
								     MADV_NOHUGEPAGE);
		pause_us(random_next(&seed) % 3000);
	}
	return NULL;
}

GUEST(brief_code, 64, "	hlt\n");

static void *come_and_go(void *data)
{
	while (!stop) {
		struct guest *g = guest_new(LONG, brief_code);

		if (guest_run(g) == 0 && g->run->exit_reason != KVM_EXIT_HLT)
			fail("a brief guest made another exit");
		munmap(g->run, g->run_size);
		munmap(g->memory, GUEST_MEMORY);
		close(g->vm);
		close(g->vcpu);
		close(g->kvm);
		free(g);
		pause_us(2000);
	}
	return NULL;
}

static void *read_state(void *data)
{
	uint64_t seed = 6;

	while (!stop) {
		int vm = workers[random_next(&seed) % GUESTS].g->vm;
		int fd = ioctl(vm, KVM_CREATE_VCPU, 1 + random_next(&seed) % 500);

		if (fd >= 0) {
			vcpu_regs(fd);
			close(fd);
		}
		fd = ioctl(vm, KVM_GET_STATS_FD, 0);
		if (fd >= 0)
			close(fd);
		pause_us(random_next(&seed) % 5000);
	}
	return NULL;
}

static bool all_went_round(void)
{
	for (int i = 0; i < GUESTS; i++)
		if (!workers[i].rounds)
			return false;
	return true;
}

static void everything(void)
{
	void *(*const disturbers[])(void *) = {
		send_signals, fork_and_exec, change_slots, disturb_memory, come_and_go, read_state,
	};
	pthread_t threads[ARRAY_SIZE(disturbers)];
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < GUESTS; i++) {
		workers[i].g = guest_new(LONG, work_code);
		workers[i].area = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		check(workers[i].area != MAP_FAILED);
		must(vm_set_slot(workers[i].g->vm, 1, 0, BASE, SIZE, workers[i].area));
		must(pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(disturbers); i++)
		must(pthread_create(&threads[i], NULL, disturbers[i], NULL));
	/* A slow host takes longer until every guest has been through its memory once. */
	for (unsigned int i = 0; i < seconds * 10 || (i < seconds * 30 && !all_went_round()); i++) {
		sleep_ms(100);
		for (int w = 0; w < GUESTS; w++)
			if (workers[w].trouble)
				fail("guest %d: %s", w, workers[w].trouble);
	}
	stop = true;
	for (size_t i = 0; i < ARRAY_SIZE(disturbers); i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < GUESTS; i++) {
		while (pthread_tryjoin_np(workers[i].thread, NULL)) {
			pthread_kill(workers[i].thread, SIGUSR1);
			sleep_ms(1);
		}
		if (workers[i].trouble)
			fail("guest %d: %s", i, workers[i].trouble);
		note("guest %d: %llu rounds", i, (unsigned long long)workers[i].rounds);
		check(workers[i].rounds > 0);
	}
}

/* Whole processes killed in the middle of it. */
static void killed(void)
{
	unsigned int saved = seconds;

	seconds = 100;
	for (unsigned int i = 0; i < saved / 2 + 1; i++) {
		pid_t pid = must(fork());
		int status;

		if (pid == 0) {
			everything();
			_exit(0);
		}
		sleep_ms(300 + i * 50);
		kill(pid, SIGKILL);
		must(waitpid(pid, &status, 0));
		check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
}

int main(int argc, char **argv)
{
	static struct test_case cases[] = {
		{ "everything at once", everything },
		{ "everything at once, killed", killed },
	};

	self = argv[0];
	if (argc == 2 && !strcmp(argv[1], "--nothing"))
		return 0;
	if (argc == 2)
		seconds = strtoul(argv[1], NULL, 10);
	cases[0].seconds = cases[1].seconds = 4 * seconds + 60;
	return run_cases("stress", cases, ARRAY_SIZE(cases), 1, argv);
}
