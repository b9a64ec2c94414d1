// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of 32-bit processes: the same program as ever, whose system calls enter the kernel by the
 * gate of 32-bit processes, so that no 32-bit libraries are needed. Whatever such a request points
 * to lies below 4 GiB. KVM API document, sections 4.8, 4.19, 4.97 and 4.117.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "guest.h"

#define NR_IOCTL_32	54
#define LOGGED		(16 * MiB)	/* guest-physical */
#define SLOT		1

/* As a 32-bit process has them: pointers of 32 bits, 64-bit words aligned to 4. */
struct dirty_log_32 {
	uint32_t slot, padding;
	uint32_t bitmap, garbage;
};

struct clear_dirty_log_32 {
	uint32_t slot, num_pages;
	uint32_t first_page, first_page_high;
	uint32_t bitmap, garbage;
};

struct msr_filter_32 {
	uint32_t flags;
	struct {
		uint32_t flags, nmsrs, base, bitmap;
	} ranges[16];
};

#define SET_MSR_FILTER_32	_IOW(KVMIO, 0xc6, struct msr_filter_32)

GUEST(touch_code, 64,
	"	incq	(%rbx)\n"
	"	hlt\n");
GUEST(rdmsr_code, 64,
	"	rdmsr\n"
	"	hlt\n");
GUEST(spin_code, 64, INTERRUPTIBLE
	"1:	jmp	1b\n");

static void *low;		/* a page below 4 GiB */

static int ioctl_32(int fd, unsigned long request, unsigned long argument)
{
	long r;

	asm volatile("int $0x80"
		     : "=a" (r)
		     : "0" (NR_IOCTL_32), "b" (fd), "c" (request), "d" (argument)
		     : "memory", "r8", "r9", "r10", "r11");
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

static uint32_t address_32(const void *p)
{
	check_equal((uintptr_t)p >> 32, 0);
	return (uintptr_t)p;
}

static void no_gate(int number)
{
	_exit(1);
}

/* There may be no gate for 32-bit programs: a handler keeps the kernel from reporting the fault. */
static void *prepare(void)
{
	pid_t child;
	int status;

	low = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	check(low != MAP_FAILED);
	child = must(fork());
	if (!child) {
		signal(SIGSEGV, no_gate);
		ioctl_32(-1, 0, 0);
		_exit(errno == EBADF ? 0 : 1);
	}
	must(waitpid(child, &status, 0));
	if (status)
		skip("the host's kernel runs no 32-bit programs");
	return low;
}

static void system_requests(void)
{
	int kvm = open_kvm();
	int vm, vcpu;

	prepare();
	check_equal(must(ioctl_32(kvm, KVM_GET_API_VERSION, 0)), 12);
	check_equal(must(ioctl_32(kvm, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY)), 1);
	check_equal(must(ioctl_32(kvm, KVM_GET_VCPU_MMAP_SIZE, 0)),
		    must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0)));
	vm = must(ioctl_32(kvm, KVM_CREATE_VM, 0));
	vcpu = must(ioctl_32(vm, KVM_CREATE_VCPU, 0));
	must(ioctl_32(vcpu, KVM_GET_REGS, address_32(low)));
	check_equal(((struct kvm_regs *)low)->rip, 0xfff0);
	must_fail(ioctl_32(vcpu, KVM_GET_REGS, 0), EFAULT);
	must_fail(ioctl_32(kvm, _IO(KVMIO, 0xff), 0), EINVAL);
	must_fail(ioctl_32(vm, _IO(KVMIO, 0xff), 0), ENOTTY);
	must_fail(ioctl_32(vcpu, _IO(KVMIO, 0xff), 0), EINVAL);
}

static void runs(void)
{
	struct guest *g = guest_new(LONG, touch_code);

	prepare();
	check_equal(must(ioctl_32(g->vcpu, KVM_RUN, 0)), 0);
	check_equal(g->run->exit_reason, KVM_EXIT_HLT);
}

static void dirty_log(void)
{
	struct guest *g = guest_new(LONG, touch_code);
	struct clear_dirty_log_32 *clear;
	struct kvm_regs regs;
	struct dirty_log_32 *get;
	uint64_t *bitmap;

	prepare();
	must(vm_set_slot(g->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, LOGGED, 64 * PAGE, map_pages(64 * PAGE)));
	regs = vcpu_regs(g->vcpu);
	regs.rbx = LOGGED + 5 * PAGE;
	vcpu_set_regs(g->vcpu, &regs);
	run_to(g, KVM_EXIT_HLT);

	/* What is above the pointer is not the caller's to clear. */
	get = low;
	bitmap = (uint64_t *)low + 64;
	*bitmap = 0;
	*get = (struct dirty_log_32) { .slot = SLOT, .bitmap = address_32(bitmap), .garbage = ~0u };
	must(ioctl_32(g->vm, KVM_GET_DIRTY_LOG, address_32(get)));
	check_equal(*bitmap, 1ull << 5);

	clear = low;
	*bitmap = ~0ull;
	*clear = (struct clear_dirty_log_32) {
		.slot = SLOT, .num_pages = 64, .bitmap = address_32(bitmap), .garbage = 0x80000000,
	};
	must(ioctl_32(g->vm, KVM_CLEAR_DIRTY_LOG, address_32(clear)));
	clear->first_page = 1;
	must_fail(ioctl_32(g->vm, KVM_CLEAR_DIRTY_LOG, address_32(clear)), EINVAL);
}

static void on_alarm(int signal)
{
}

static void signal_mask(void)
{
	struct guest *g = guest_new(LONG, spin_code);
	struct {
		uint32_t len;
		uint32_t set[2];
	} *mask = prepare();
	sigset_t blocked;

	signal(SIGALRM, on_alarm);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGALRM);
	must(sigprocmask(SIG_BLOCK, &blocked, NULL));

	mask->len = 4;
	must_fail(ioctl_32(g->vcpu, KVM_SET_SIGNAL_MASK, address_32(mask)), EINVAL);
	/* All but SIGALRM: the thread has it blocked, the vcpu is ended by it. */
	mask->len = 8;
	mask->set[0] = ~(1u << (SIGALRM - 1));
	mask->set[1] = ~0u;
	must(ioctl_32(g->vcpu, KVM_SET_SIGNAL_MASK, address_32(mask)));
	raise(SIGALRM);
	check_equal(guest_run(g), EINTR);
	check_equal(g->run->exit_reason, KVM_EXIT_INTR);
	must(ioctl_32(g->vcpu, KVM_SET_SIGNAL_MASK, 0));
}

static void msr_filter(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR,
				      .args = { KVM_MSR_EXIT_REASON_FILTER } };
	struct guest *g = guest_new(LONG, rdmsr_code);
	struct msr_filter_32 *filter = prepare();
	uint8_t *bitmap = (uint8_t *)low + 2048;
	struct kvm_regs regs;

	must(ioctl(g->vm, KVM_ENABLE_CAP, &cap));
	regs = vcpu_regs(g->vcpu);
	regs.rcx = MSR_PAT;
	vcpu_set_regs(g->vcpu, &regs);

	*bitmap = 0;
	filter->ranges[15].flags = KVM_MSR_FILTER_READ;
	filter->ranges[15].base = MSR_PAT;
	filter->ranges[15].nmsrs = 1;
	filter->ranges[15].bitmap = address_32(bitmap);
	must(ioctl_32(g->vm, SET_MSR_FILTER_32, address_32(filter)));
	run_to(g, KVM_EXIT_X86_RDMSR);
	check_equal(g->run->msr.index, MSR_PAT);

	filter->flags = 2;
	must_fail(ioctl_32(g->vm, SET_MSR_FILTER_32, address_32(filter)), EINVAL);
	/* The number of 32-bit processes is none of 64-bit ones. */
	must_fail(ioctl(g->vm, SET_MSR_FILTER_32, filter), ENOTTY);
}

static void device(void)
{
	struct kvm_create_device *create = prepare();
	struct kvm_device_attr *attr = low;
	int kvm = open_kvm(), vm, fd;

	NEED(kvm, KVM_CAP_DEVICE_CTRL);
	vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	*create = (struct kvm_create_device) { .type = KVM_DEV_TYPE_VFIO };
	must(ioctl_32(vm, KVM_CREATE_DEVICE, address_32(create)));
	fd = create->fd;
	*attr = (struct kvm_device_attr) { .group = KVM_DEV_VFIO_FILE, .attr = KVM_DEV_VFIO_FILE_ADD };
	must(ioctl_32(fd, KVM_HAS_DEVICE_ATTR, address_32(attr)));
	attr->group = 77;
	must_fail(ioctl_32(fd, KVM_HAS_DEVICE_ATTR, address_32(attr)), ENXIO);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "requests of /dev/kvm, VMs and vcpus", system_requests },
		{ "a guest runs", runs },
		{ "dirty log: pointers of 32 bits", dirty_log },
		{ "signal mask", signal_mask },
		{ "MSR filter: a layout of its own", msr_filter },
		{ "devices", device },
	};

	return RUN_CASES("compat", cases);
}
