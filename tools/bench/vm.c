// SPDX-License-Identifier: GPL-2.0
/*
 * The measured virtual machine: one vcpu in real mode with 4 GiB segments, half a megabyte of
 * low memory with the programs of guest.S and paging_guest.S in it. Owns creating, loading, running
 * and closing; knows nothing of rows. Documentation/virt/kvm/api.rst describes the ioctls.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "bench.h"

#define MAX_CPUID_ENTRIES	256
#define CPUID_1_ECX_DEADLINE	(1u << 24)
#define INTERRUPT_VECTORS	256

int kvm_fd = -1;

int kvm_open(void)
{
	kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	return kvm_fd < 0 ? errno : 0;
}

bool kvm_has(int cap)
{
	return ioctl(kvm_fd, KVM_CHECK_EXTENSION, cap) > 0;
}

void *memory_map(size_t size, bool huge)
{
	uint8_t *mem = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t start = ((uintptr_t)mem + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);

	if (mem == MAP_FAILED)
		return NULL;
	madvise((void *)start, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	memset((void *)start, 0x5a, size);
	return (void *)start;
}

/* Physical, of something in the image of guest.S and paging_guest.S */
uint64_t guest_address(const uint8_t *in_image)
{
	return GUEST_CODE + (in_image - __start_guest_image);
}

/* All machines use the same low memory, one after the other: it is written once and present. */
static uint8_t *low_memory(void)
{
	static uint8_t *low;
	uint16_t *vector;
	size_t i;

	if (low)
		return low;
	low = memory_map(LOW_SIZE, false);
	if (!low)
		return NULL;
	memset(low, 0, LOW_SIZE);
	memcpy(low + GUEST_CODE, __start_guest_image, __stop_guest_image - __start_guest_image);
	vector = (uint16_t *)low;
	for (i = 0; i < INTERRUPT_VECTORS; i++) {
		vector[2 * i] = guest_address(guest_interrupt);
		vector[2 * i + 1] = 0;
	}
	return low;
}

void vm_init(struct vm *vm)
{
	memset(vm, 0, sizeof(*vm));
	vm->fd = -1;
	vm->vcpu = -1;
}

int vm_create(struct vm *vm)
{
	vm->fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	return vm->fd < 0 ? errno : 0;
}

int vm_set_slot(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa, void *mem,
		uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)mem,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? errno : 0;
}

int vm_add_low_memory(struct vm *vm)
{
	vm->low = low_memory();
	if (!vm->low)
		return ENOMEM;
	return vm_set_slot(vm, 0, 0, 0, vm->low, LOW_SIZE);
}

int vm_create_vcpu(struct vm *vm)
{
	vm->vcpu = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
	return vm->vcpu < 0 ? errno : 0;
}

/* The CPUID a VMM would give: everything supported, so that look-ups cost what they cost. */
static int setup_cpuid(struct vm *vm)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[MAX_CPUID_ENTRIES];
	} table;
	uint32_t i;

	table.head.nent = MAX_CPUID_ENTRIES;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, &table.head) < 0)
		return errno;
	for (i = 0; i < table.head.nent; i++)
		if (table.entries[i].function == 1 && kvm_has(KVM_CAP_TSC_DEADLINE_TIMER))
			table.entries[i].ecx |= CPUID_1_ECX_DEADLINE;
	return ioctl(vm->vcpu, KVM_SET_CPUID2, &table.head) < 0 ? errno : 0;
}

static void flat_segment(struct kvm_segment *segment)
{
	segment->base = 0;
	segment->selector = 0;
	segment->limit = 0xffffffff;
	segment->g = 1;
}

static int setup_segments(struct vm *vm)
{
	struct kvm_sregs sregs;

	if (ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return errno;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	flat_segment(&sregs.ds);
	flat_segment(&sregs.es);
	flat_segment(&sregs.ss);
	return ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) < 0 ? errno : 0;
}

int vm_setup_vcpu(struct vm *vm)
{
	int size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	int err;

	if (size < (int)sizeof(struct kvm_run))
		return size < 0 ? errno : EINVAL;
	vm->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
	if (vm->run == MAP_FAILED) {
		vm->run = NULL;
		return errno;
	}
	vm->run_size = size;
	vm->run->immediate_exit = 0;
	err = setup_cpuid(vm);
	return err ? err : setup_segments(vm);
}

int vm_make(struct vm *vm, bool irqchip)
{
	int err;

	vm_init(vm);
	err = vm_create(vm);
	if (!err && irqchip && ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
		err = errno;
	if (!err)
		err = vm_add_low_memory(vm);
	if (!err)
		err = vm_create_vcpu(vm);
	if (!err)
		err = vm_setup_vcpu(vm);
	if (err)
		vm_close(vm);
	return err;
}

void vm_close(struct vm *vm)
{
	if (vm->run)
		munmap(vm->run, vm->run_size);
	if (vm->vcpu >= 0)
		close(vm->vcpu);
	if (vm->fd >= 0)
		close(vm->fd);
	vm_init(vm);
}

/* An access that went to userspace is completed by the next run: have that behind us. */
static int vm_settle(struct vm *vm)
{
	int ret;

	vm->run->immediate_exit = 1;
	ret = ioctl(vm->vcpu, KVM_RUN, 0);
	vm->run->immediate_exit = 0;
	if (ret < 0)
		return errno == EINTR ? 0 : errno;
	return EIO;
}

int vm_load(struct vm *vm, const struct program *program, uint32_t count)
{
	struct kvm_regs regs = {
		.rip = vm->base + guest_address(program->entry),
		.rsp = vm->base + GUEST_STACK,
		.rflags = 2,
		.rax = program->rax,
		.rbx = program->rbx,
		.rcx = program->rcx,
		.rdx = program->rdx,
		.rsi = program->rsi,
		.rbp = program->rbp,
		.rdi = count,
	};
	int err = vm_settle(vm);

	if (err)
		return err;
	return ioctl(vm->vcpu, KVM_SET_REGS, &regs) < 0 ? errno : 0;
}

int vm_run(struct vm *vm)
{
	return ioctl(vm->vcpu, KVM_RUN, 0) < 0 ? errno : 0;
}

static bool at_end(const struct vm *vm)
{
	return vm->run->exit_reason == KVM_EXIT_IO &&
	       vm->run->io.direction == KVM_EXIT_IO_OUT && vm->run->io.port == END_PORT;
}

/* EPROTO: the guest left for a reason that the row does not expect. */
int vm_run_to_end(struct vm *vm)
{
	int err = vm_run(vm);

	if (err)
		return err;
	return at_end(vm) ? 0 : EPROTO;
}

/* Instructions from entering with a freshly loaded program to its end. */
int vm_time(struct vm *vm, const struct program *program, uint32_t count, uint64_t *ticks)
{
	uint64_t start;
	int err = vm_load(vm, program, count);

	if (err)
		return err;
	start = now();
	err = vm_run(vm);
	*ticks = now() - start;
	if (err)
		return err;
	return at_end(vm) ? 0 : EPROTO;
}

/* By the guest, as the ABI has no other way to one register. */
int vm_write_apic(struct vm *vm, uint32_t offset, uint32_t value)
{
	struct program store = {
		.entry = guest_mmio_write, .rsi = APIC_BASE + offset, .rax = value,
	};
	int err = vm_load(vm, &store, 1);

	return err ? err : vm_run_to_end(vm);
}
