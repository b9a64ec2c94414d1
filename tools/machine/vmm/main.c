// SPDX-License-Identifier: GPL-2.0
/*
 * vmm [-m MIB] [-u TEXT] [-x TEXT] KERNEL [INITRD [COMMAND LINE]]: boots a Linux guest on /dev/kvm with one
 * vcpu, the interrupt controllers and the timer in the kernel, and a serial port; nothing else. It
 * is what runs in hosts where a full VMM would take too long to start. The end is a line of the
 * guest that contains the text of -u (it did its work) or of -x (it did not), or a reset through
 * the keyboard controller.
 *
 * Exit status: 0 if the text of -u was seen, or none was asked for and the guest reset its machine;
 * 1 if the guest ended in another way; 2 if it could not be started.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "vmm.h"

/* Pages that Intel's processors need for guests without paging: below the firmware's place */
#define IDENTITY_ADDR	0xfffbc000UL
#define TSS_ADDR	0xfffbd000UL

#define KEYBOARD_PORT	0x64
#define KEYBOARD_RESET	0xfe
#define CMOS_DATA	0x71

#define CPUID_HYPERVISOR (1U << 31)

#define CR0_PE		(1UL << 0)
#define CR0_ET		(1UL << 4)
#define CR0_PG		(1UL << 31)
#define CR4_PAE		(1UL << 5)
#define EFER_LME	(1UL << 8)
#define EFER_LMA	(1UL << 10)

void fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("vmm: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

static void create_machine(struct machine *m, int kvm)
{
	struct kvm_userspace_memory_region slot = { .memory_size = m->size };
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity = IDENTITY_ADDR;

	m->memory = mmap(NULL, m->size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->memory == MAP_FAILED)
		fail("no memory: %m");
	m->vm = ioctl(kvm, KVM_CREATE_VM, 0UL);
	if (m->vm < 0)
		fail("KVM_CREATE_VM: %m");
	if (ioctl(m->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity) || ioctl(m->vm, KVM_SET_TSS_ADDR, TSS_ADDR))
		fail("KVM_SET_TSS_ADDR: %m");
	if (ioctl(m->vm, KVM_CREATE_IRQCHIP, 0UL) || ioctl(m->vm, KVM_CREATE_PIT2, &pit))
		fail("KVM_CREATE_IRQCHIP: %m");
	slot.userspace_addr = (uintptr_t)m->memory;
	if (ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &slot))
		fail("KVM_SET_USER_MEMORY_REGION: %m");
	m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0UL);
	if (m->vcpu < 0)
		fail("KVM_CREATE_VCPU: %m");
}

static void set_cpuid(struct machine *m, int kvm)
{
	enum { ENTRIES = 256 };
	unsigned int i;
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + ENTRIES * sizeof(cpuid->entries[0]));

	cpuid->nent = ENTRIES;
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid))
		fail("KVM_GET_SUPPORTED_CPUID: %m");
	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 1)
			cpuid->entries[i].ecx |= CPUID_HYPERVISOR;
	if (ioctl(m->vcpu, KVM_SET_CPUID2, cpuid))
		fail("KVM_SET_CPUID2: %m");
	free(cpuid);
}

static void set_registers(struct machine *m, struct entry entry)
{
	struct kvm_regs regs = { .rip = entry.rip, .rsi = PARAMS_ADDR, .rsp = STACK_ADDR, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(m->vcpu, KVM_GET_SREGS, &sregs))
		fail("KVM_GET_SREGS: %m");
	sregs.ds = (struct kvm_segment) {
		.selector = DATA_SELECTOR, .limit = 0xffffffff, .type = 3, .present = 1, .db = 1,
		.s = 1, .g = 1,
	};
	sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
	sregs.cs = sregs.ds;
	sregs.cs.selector = CODE_SELECTOR;
	sregs.cs.type = 11;
	sregs.gdt.base = GDT_ADDR;
	sregs.gdt.limit = 4 * 8 - 1;
	sregs.cr0 = CR0_PE | CR0_ET;
	if (entry.long_mode) {
		sregs.cs.db = 0;
		sregs.cs.l = 1;
		sregs.cr0 |= CR0_PG;
		sregs.cr3 = TABLES_ADDR;
		sregs.cr4 = CR4_PAE;
		sregs.efer = EFER_LME | EFER_LMA;
	}
	if (ioctl(m->vcpu, KVM_SET_SREGS, &sregs) || ioctl(m->vcpu, KVM_SET_REGS, &regs))
		fail("KVM_SET_SREGS: %m");
}

/* How the run ended, if it did. What is not there reads as ones, the clock's registers as zeros. */
static enum ending port_access(struct machine *m, struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	unsigned int reg = run->io.port - SERIAL_PORT;
	enum ending ending;
	uint32_t i;

	for (i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_IN) {
			memset(data, run->io.port == CMOS_DATA ? 0 : 0xff, run->io.size);
			if (reg < 8 && run->io.size == 1)
				*data = serial_read(m, reg);
			continue;
		}
		if (reg < 8 && run->io.size == 1) {
			ending = serial_write(m, reg, *data);
			if (ending)
				return ending;
		}
		if (run->io.port == KEYBOARD_PORT && *data == KEYBOARD_RESET)
			return RESET;
	}
	return RUNNING;
}

static int run_guest(struct machine *m, int kvm, bool wanted)
{
	size_t size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0UL);
	struct kvm_run *run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
	enum ending ending;

	if (run == MAP_FAILED)
		fail("vcpu: %m");
	for (;;) {
		if (ioctl(m->vcpu, KVM_RUN, 0UL)) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			fail("KVM_RUN: %m");
		}
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			ending = port_access(m, run);
			if (ending)
				return ending == GOOD_TEXT || (ending == RESET && !wanted) ? 0 : 1;
			break;
		case KVM_EXIT_MMIO:
			if (!run->mmio.is_write)
				memset(run->mmio.data, 0xff, run->mmio.len);
			break;
		case KVM_EXIT_INTR:
			break;
		default:
			fflush(stdout);
			fprintf(stderr, "vmm: the guest ended with exit reason %u (%#llx)\n", run->exit_reason,
				run->hw.hardware_exit_reason);
			return 1;
		}
	}
}

int main(int argc, char **argv)
{
	struct machine m = { .size = 256 * MIB };
	const char *good = NULL, *bad = NULL;
	int kvm, option;

	while ((option = getopt(argc, argv, "m:u:x:")) != -1) {
		if (option == 'm')
			m.size = strtoul(optarg, NULL, 0) * MIB;
		else if (option == 'u')
			good = optarg;
		else if (option == 'x')
			bad = optarg;
		else
			return 2;
	}
	if (optind >= argc || m.size < 64 * MIB || m.size > 3072 * MIB)
		fail("usage: vmm [-m MIB (64 to 3072)] [-u TEXT] [-x TEXT] KERNEL [INITRD [COMMAND LINE]]");
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		fail("/dev/kvm: %m");
	serial_watch(good, bad);
	create_machine(&m, kvm);
	set_cpuid(&m, kvm);
	set_registers(&m, linux_load(&m, argv[optind], optind + 1 < argc ? argv[optind + 1] : NULL,
				     optind + 2 < argc ? argv[optind + 2] : "console=ttyS0"));
	return run_guest(&m, kvm, good);
}
