// SPDX-License-Identifier: GPL-2.0
/*
 * How long things live: descriptors closed in any order, inherited, passed on and mapped; what
 * another process may and may not do with them; creation limits; thousands of VMs.
 */
#include "guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

GUEST(count_code, 64,
	"1:	incq	0xa000\n"
	"	out	%al, $0x10\n"
	"	jmp	1b\n");

GUEST(spin_code, 64, INTERRUPTIBLE "1:	incq	0xa000\n	jmp	1b\n");

static void still_runs(struct guest *g)
{
	uint64_t *counter = (uint64_t *)(g->memory + GUEST_DATA);
	uint64_t before = *counter;

	for (int i = 0; i < 10; i++)
		run_to_out(g, 0x10);
	check_equal(*counter, before + 10);
}

static void vcpu_outlives(void)
{
	struct guest *g = guest_new(LONG, count_code);

	still_runs(g);
	close(g->kvm);
	still_runs(g);
	close(g->vm);
	still_runs(g);
	/* The slots still follow the process's memory. */
	must(madvise(g->memory + GUEST_DATA, PAGE, MADV_REMOVE));
	check_equal(g->memory[GUEST_DATA], 0);
	still_runs(g);
}

static void mapping_outlives(void)
{
	struct guest *g = guest_new(LONG, count_code);

	still_runs(g);
	close(g->kvm);
	close(g->vcpu);
	close(g->vm);
	/* Nothing but the mapping of the run page holds the vcpu now. */
	check_equal(g->run->exit_reason, KVM_EXIT_IO);
	g->run->immediate_exit = 1;
	must(munmap(g->run, g->run_size));
}

static void close_orders(void)
{
	static const uint8_t orders[6][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};

	for (int unmap = 0; unmap < 4; unmap++)
		for (int order = 0; order < 6; order++) {
			struct guest *g = guest_new(LONG, count_code);
			int fds[3] = { g->kvm, g->vm, g->vcpu };

			still_runs(g);
			for (int i = 0; i < 3; i++) {
				if (unmap == i)
					must(munmap(g->run, g->run_size));
				must(close(fds[orders[order][i]]));
			}
			if (unmap == 3)
				must(munmap(g->run, g->run_size));
			must(munmap(g->memory, GUEST_MEMORY));
		}
}

static void forked_child(void *data)
{
	struct guest *g = data;
	struct kvm_regs regs;
	uint8_t *area = map_pages(PAGE);
	struct kvm_dirty_log log = { .dirty_bitmap = area };

	/* The VM belongs to the memory of the process that made it. */
	must_fail(ioctl(g->vcpu, KVM_RUN, 0), EIO);
	must_fail(ioctl(g->vcpu, KVM_GET_REGS, &regs), EIO);
	must_fail(ioctl(g->vcpu, _IO(KVMIO, 0xfe), 0), EIO);
	must_fail(ioctl(g->vm, KVM_CREATE_VCPU, 1), EIO);
	must_fail(ioctl(g->vm, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY), EIO);
	must_fail(ioctl(g->vm, KVM_GET_DIRTY_LOG, &log), EIO);
	must_fail(vm_set_slot(g->vm, 1, 0, GUEST_MMIO, PAGE, area), EIO);
	/* The device belongs to nobody. */
	must(ioctl(g->kvm, KVM_CREATE_VM, 0));
}

static void fork_io_error(void)
{
	struct guest *g = guest_new(LONG, count_code);

	still_runs(g);
	in_child(forked_child, g);
	still_runs(g);
}

/* A child that holds the descriptors while the parent closes, and the other way round. */
static void fork_outlives(void)
{
	struct guest *g = guest_new(LONG, count_code);
	int gate[2];
	pid_t pid;
	char byte;

	must(pipe(gate));
	pid = must(fork());
	if (pid == 0) {
		close(gate[1]);
		if (read(gate[0], &byte, 1) < 0)
			_exit(1);
		_exit(ioctl(g->vcpu, KVM_RUN, 0) == -1 && errno == EIO ? 0 : 1);
	}
	close(gate[0]);
	still_runs(g);
	close(g->vcpu);
	close(g->vm);
	close(g->kvm);
	munmap(g->run, g->run_size);
	munmap(g->memory, GUEST_MEMORY);
	close(gate[1]);
	int status;

	must(waitpid(pid, &status, 0));
	check_equal(status, 0);
}

static void child_exits_first(void *data)
{
	struct guest *g = data;

	munmap(g->run, g->run_size);
	munmap(g->memory, GUEST_MEMORY);
	close(g->vcpu);
	close(g->vm);
}

static void fork_child_closes(void)
{
	struct guest *g = guest_new(LONG, count_code);

	for (int i = 0; i < 20; i++) {
		in_child(child_exits_first, g);
		still_runs(g);
	}
}

/* The creator dies; a vcpu in the hands of another process is dead too, but closes in peace. */
static void creator_dies(void)
{
	int pair[2], status, fd;
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	pid_t pid;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = must(fork());
	if (pid == 0) {
		struct guest *g = guest_new(LONG, count_code);

		still_runs(g);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &g->vcpu, sizeof(int));
		must(sendmsg(pair[1], &message, 0));
		_exit(0);
	}
	must(waitpid(pid, &status, 0));
	check_equal(status, 0);
	must(recvmsg(pair[0], &message, 0));
	head = CMSG_FIRSTHDR(&message);
	check(head && head->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(head), sizeof(int));
	must_fail(ioctl(fd, KVM_RUN, 0), EIO);
	must(close(fd));
}

/* Descriptors in flight in a socket nobody reads, with everything else closed. */
static void rights_in_flight(void)
{
	struct guest *g = guest_new(LONG, count_code);
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	int pair[2];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &g->vcpu, sizeof(int));
	must(sendmsg(pair[1], &message, 0));
	close(g->vcpu);
	close(g->vm);
	must(recvmsg(pair[0], &message, 0));
	head = CMSG_FIRSTHDR(&message);
	memcpy(&g->vcpu, CMSG_DATA(head), sizeof(int));
	still_runs(g);
	memcpy(CMSG_DATA(head), &g->vcpu, sizeof(int));
	must(sendmsg(pair[1], &message, 0));
	close(g->vcpu);
	close(pair[0]);
	close(pair[1]);
}

static const char *self;

static void exec_child(void *data)
{
	struct guest *g = data;
	char vm[16], vcpu[16];

	fcntl(g->vm, F_SETFD, 0);
	fcntl(g->vcpu, F_SETFD, 0);
	snprintf(vm, sizeof(vm), "%d", g->vm);
	snprintf(vcpu, sizeof(vcpu), "%d", g->vcpu);
	execl(self, self, "--inherited", vm, vcpu, NULL);
	fail("exec: %s", strerror(errno));
}

/* What the program does when the case above starts it anew. */
static int inherited(char **argv)
{
	int vm = atoi(argv[2]), vcpu = atoi(argv[3]);

	if (ioctl(vcpu, KVM_RUN, 0) != -1 || errno != EIO)
		return 1;
	if (ioctl(vm, KVM_CREATE_VCPU, 5) != -1 || errno != EIO)
		return 1;
	return 0;
}

static void exec_inherits(void)
{
	struct guest *g = guest_new(LONG, count_code);

	check(fcntl(g->vm, F_GETFD) & FD_CLOEXEC);
	check(fcntl(g->vcpu, F_GETFD) & FD_CLOEXEC);
	in_child(exec_child, g);
	still_runs(g);
}

static void *run_forever(void *data)
{
	struct guest *g = data;

	for (;;)
		ioctl(g->vcpu, KVM_RUN, 0);
	return NULL;
}

static void killed_while_running(void)
{
	for (int i = 0; i < 20; i++) {
		pid_t pid = must(fork());
		int status;

		if (pid == 0) {
			struct guest *g = guest_new(LONG, spin_code);
			pthread_t thread;

			pthread_create(&thread, NULL, run_forever, g);
			sleep_ms(1000);
		}
		sleep_ms(30 + i);
		kill(pid, SIGKILL);
		must(waitpid(pid, &status, 0));
		check(WIFSIGNALED(status));
	}
}

/* All descriptors closed by one thread while another is inside KVM_RUN. */
static void closed_while_running(void)
{
	struct guest *g = guest_new(LONG, spin_code);
	volatile uint64_t *counter = (uint64_t *)(g->memory + GUEST_DATA);
	pthread_t thread;
	uint64_t before;

	pthread_create(&thread, NULL, run_forever, g);
	while (!*counter)
		sleep_ms(1);
	close(g->vm);
	close(g->kvm);
	close(g->vcpu);
	before = *counter;
	for (int i = 0; i < 1000 && *counter == before; i++)
		sleep_ms(1);
	check(*counter != before);
}

static void vcpu_ids(void)
{
	int kvm = open_kvm();
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	int top = extension(vm, KVM_CAP_MAX_VCPU_ID);
	int fd;

	must(ioctl(vm, KVM_CREATE_VCPU, 0));
	must_fail(ioctl(vm, KVM_CREATE_VCPU, 0), EEXIST);
	must_fail(ioctl(vm, KVM_CREATE_VCPU, top), EINVAL);
	must_fail(ioctl(vm, KVM_CREATE_VCPU, top + 1), EINVAL);
	must_fail(ioctl(vm, KVM_CREATE_VCPU, -1), EINVAL);
	must_fail(ioctl(vm, KVM_CREATE_VCPU, 1ul << 31), EINVAL);
	must_fail(ioctl(vm, KVM_CREATE_VCPU, 1ul << 32), EINVAL);
	fd = must(ioctl(vm, KVM_CREATE_VCPU, 7));
	must_fail(ioctl(vm, KVM_CREATE_VCPU, 7), EEXIST);
	close(fd);
	/* A vcpu cannot be taken out of its VM. */
	must_fail(ioctl(vm, KVM_CREATE_VCPU, 7), EEXIST);
}

static void many_vcpus(void)
{
	int kvm = open_kvm();
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	int count = extension(vm, KVM_CAP_MAX_VCPUS);
	struct kvm_regs regs = { .rip = 0 };
	int first = -1;

	if (count > 256)
		count = 256;
	for (int i = count - 1; i >= 0; i--) {
		int fd = must(ioctl(vm, KVM_CREATE_VCPU, i));

		regs.rax = i;
		vcpu_set_regs(fd, &regs);
		check_equal(vcpu_regs(fd).rax, i);
		if (first < 0)
			first = fd;
		else
			close(fd);
	}
	check_equal(vcpu_regs(first).rax, count - 1);
}

static void mappings(void)
{
	struct guest *g = guest_new(LONG, count_code);
	long pages = g->run_size / PAGE;
	volatile uint8_t *area;

	area = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, g->vcpu, 0);
	check(area != MAP_FAILED);
	run_to_out(g, 0x10);
	check_equal(((struct kvm_run *)area)->exit_reason, KVM_EXIT_IO);
	munmap((void *)area, PAGE);
	/* Every page of the size reported is there, each can be had alone. */
	for (long i = 0; i < pages; i++) {
		area = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu, i * PAGE);
		check(area != MAP_FAILED);
		area[0] = area[0];
		munmap((void *)area, PAGE);
	}
	check(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, g->vcpu, 1) == MAP_FAILED);
	area = mmap(NULL, g->run_size, PROT_READ, MAP_SHARED, g->vcpu, 0);
	check(area != MAP_FAILED);
	check(area[0] == ((uint8_t *)g->run)[0]);
}

static void *beyond;

static void touch_beyond(void)
{
	struct guest *g = guest_new(LONG, count_code);
	volatile uint8_t *area;

	area = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, g->vcpu, 1000 * PAGE);
	if (area == MAP_FAILED)
		return;
	beyond = (void *)area;
	pid_t pid = must(fork());
	int status;

	if (pid == 0) {
		(void)area[0];
		_exit(0);
	}
	must(waitpid(pid, &status, 0));
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	still_runs(g);
}

static void run_page_operations(void)
{
	struct guest *g = guest_new(LONG, count_code);
	struct kvm_run *moved;

	must(madvise(g->run, PAGE, MADV_DONTNEED));
	still_runs(g);
	must(mprotect(g->run, PAGE, PROT_READ));
	run_to_out(g, 0x10);
	must(mprotect(g->run, PAGE, PROT_READ | PROT_WRITE));
	moved = mremap(g->run, g->run_size, g->run_size, MREMAP_MAYMOVE | MREMAP_FIXED,
		       (uint8_t *)map_pages(g->run_size));
	check(moved != MAP_FAILED);
	g->run = moved;
	still_runs(g);
	/* Without any mapping the vcpu runs as well; nobody sees why it stops. */
	munmap(g->run, g->run_size);
	must(ioctl(g->vcpu, KVM_RUN, 0));
	g->run = vcpu_map_run(g->kvm, g->vcpu, &g->run_size);
	check_equal(g->run->exit_reason, KVM_EXIT_IO);
	still_runs(g);
}

static void link_name(int fd, char *name, size_t size)
{
	char path[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = must(readlink(path, name, size - 1));
	name[length] = '\0';
}

static void names(void)
{
	int kvm = open_kvm();
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	char name[64];

	link_name(kvm, name, sizeof(name));
	check(!strcmp(name, "/dev/kvm"));
	link_name(vm, name, sizeof(name));
	check(!strcmp(name, "anon_inode:kvm-vm"));
	link_name(must(ioctl(vm, KVM_CREATE_VCPU, 0)), name, sizeof(name));
	check(!strcmp(name, "anon_inode:kvm-vcpu:0"));
	link_name(must(ioctl(vm, KVM_CREATE_VCPU, 12)), name, sizeof(name));
	check(!strcmp(name, "anon_inode:kvm-vcpu:12"));
}

static void thousand_vms(void)
{
	int kvm = open_kvm();
	uint8_t *memory = map_pages(PAGE);

	for (unsigned int i = 0; i < 1000 / slowness(); i++) {
		int vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
		int vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0));

		must(vm_set_slot(vm, 0, 0, 0, PAGE, memory));
		close(i & 1 ? vm : vcpu);
		close(i & 1 ? vcpu : vm);
	}
}

static void hundred_vms_at_once(void)
{
	struct guest *guests[100];

	for (int i = 0; i < 100; i++)
		guests[i] = guest_new(LONG, count_code);
	for (int i = 0; i < 100; i++)
		still_runs(guests[i]);
	for (int i = 0; i < 100; i += 2) {
		close(guests[i]->vcpu);
		close(guests[i]->vm);
		munmap(guests[i]->run, guests[i]->run_size);
	}
	for (int i = 1; i < 100; i += 2)
		still_runs(guests[i]);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "a vcpu outlives the VM's and the device's descriptors", vcpu_outlives },
		{ "a mapping outlives all descriptors", mapping_outlives },
		{ "closing in every order", close_orders },
		{ "a forked child gets EIO", fork_io_error },
		{ "a forked child outlives the parent's descriptors", fork_outlives },
		{ "a forked child closes its copies", fork_child_closes },
		{ "the creator dies, its vcpu was passed on", creator_dies },
		{ "descriptors in flight in a socket", rights_in_flight },
		{ "descriptors inherited over exec", exec_inherits },
		{ "killed while running", killed_while_running },
		{ "all descriptors closed while running", closed_while_running },
		{ "vcpu ids", vcpu_ids },
		{ "many vcpus, top down", many_vcpus },
		{ "mappings of a vcpu", mappings },
		{ "a mapping beyond the end", touch_beyond },
		{ "memory operations on the run page", run_page_operations },
		{ "names of descriptors", names },
		{ "1000 VMs one after the other", thousand_vms, 300 },
		{ "100 VMs at once", hundred_vms_at_once, 120 },
	};

	self = argv[0];
	if (argc == 4 && !strcmp(argv[1], "--inherited"))
		return inherited(argv);
	return RUN_CASES("lifetime", cases);
}
