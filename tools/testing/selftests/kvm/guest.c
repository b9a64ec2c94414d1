// SPDX-License-Identifier: GPL-2.0
/*
 * Sets up small guests and checks their exits; see guest.h. The initial state of each mode and the
 * tables in guest memory are made here, the guest's code comes from the test.
 */
#include "guest.h"

#include <stdarg.h>
#include <sys/mman.h>

/*
 * Long mode handlers for all 256 vectors, 16 bytes each: they leave the exception at GUEST_REPORT,
 * tell the test by a write to REPORT_PORT, and return.
 */
GUEST(guest_stubs, 64,
	"	.set vector, 0\n"
	"	.rept 256\n"
	"	.balign 16\n"
	"	.set error, vector == 8 || (vector >= 10 && vector <= 14)\n"
	"	.if !(error || vector == 17 || vector == 21)\n"
	"	pushq	$0\n"
	"	.endif\n"
	"	pushq	$vector\n"
	"	jmp	1f\n"
	"	.set vector, vector + 1\n"
	"	.endr\n"
	"	.balign	16\n"
	"1:	push	%rax\n"
	"	mov	8(%rsp), %rax\n"
	"	mov	%rax, 0x14000\n"
	"	mov	16(%rsp), %rax\n"
	"	mov	%rax, 0x14008\n"
	"	mov	24(%rsp), %rax\n"
	"	mov	%rax, 0x14010\n"
	"	mov	32(%rsp), %rax\n"
	"	mov	%rax, 0x14018\n"
	"	mov	40(%rsp), %rax\n"
	"	mov	%rax, 0x14020\n"
	"	mov	48(%rsp), %rax\n"
	"	mov	%rax, 0x14028\n"
	"	mov	%cr2, %rax\n"
	"	mov	%rax, 0x14030\n"
	"	incq	0x14038\n"
	"	out	%al, $0xe0\n"
	"	pop	%rax\n"
	"	add	$16, %rsp\n"
	"	iretq\n");

#define STUB_BYTES	16

static const uint64_t gdt[] = {
	[SELECTOR_CODE64 / 8] = 0x00af9b000000ffffull,
	[SELECTOR_DATA / 8] = 0x00cf93000000ffffull,
	[SELECTOR_CODE32 / 8] = 0x00cf9b000000ffffull,
	[SELECTOR_CODE16 / 8] = 0x00009b000000ffffull,
	[SELECTOR_DATA16 / 8] = 0x000093000000ffffull,
	[SELECTOR_TSS / 8] = 0x00008b0000000067ull | (uint64_t)GUEST_TSS << 16,
	[SELECTOR_TSS / 8 + 1] = 0,
	[SELECTOR_USER / 8] = 0x00affb000000ffffull,
	[SELECTOR_USER / 8 + 1] = 0x00cff3000000ffffull,
};

static void write_tables(struct guest *g)
{
	uint64_t *pml4 = (uint64_t *)(g->memory + GUEST_PML4);
	uint64_t *pdpt = (uint64_t *)(g->memory + GUEST_PDPT);
	uint64_t *pd = (uint64_t *)(g->memory + GUEST_PD);

	pml4[0] = GUEST_PDPT | PTE_P | PTE_W | PTE_U;
	for (unsigned int i = 0; i < 4; i++)
		pdpt[i] = (GUEST_PD + i * PAGE) | PTE_P | PTE_W | PTE_U;
	for (uint64_t i = 0; i < 4 * 512; i++)
		pd[i] = i * 2 * MiB | PTE_P | PTE_W | PTE_U | PTE_PS;
	memcpy(g->memory + GUEST_GDT, gdt, sizeof(gdt));
	memcpy(g->memory + GUEST_STUBS, guest_stubs, guest_stubs_end - guest_stubs);
	*(uint64_t *)(g->memory + GUEST_TSS + 4) = GUEST_STACK;		/* RSP0 */
	for (unsigned int vector = 0; vector < 256; vector++)
		guest_gate(g, vector, GUEST_STUBS + vector * STUB_BYTES);
}

void guest_gate(struct guest *g, unsigned int vector, uint64_t handler)
{
	uint64_t *gate = (uint64_t *)(g->memory + GUEST_IDT) + vector * 2;

	gate[0] = (handler & 0xffff) | SELECTOR_CODE64 << 16 | 0x8e0000000000ull |
		  (handler & 0xffff0000) << 32;
	gate[1] = handler >> 32;
}

void guest_vector16(struct guest *g, unsigned int vector, uint16_t segment, uint16_t offset)
{
	uint16_t *entry = (uint16_t *)g->memory + vector * 2;

	entry[0] = offset;
	entry[1] = segment;
}

struct guest_report *guest_report(struct guest *g)
{
	return (struct guest_report *)(g->memory + GUEST_REPORT);
}

/* Maps the 2 MiB at base by pages of 4 KiB, one to one, with the table at the address given. */
void guest_map_4k(struct guest *g, uint64_t table, uint64_t base)
{
	uint64_t *pt = (uint64_t *)(g->memory + table);
	uint64_t *pd = (uint64_t *)(g->memory + GUEST_PD);

	for (uint64_t i = 0; i < 512; i++)
		pt[i] = (base + i * PAGE) | PTE_P | PTE_W | PTE_U;
	pd[base / (2 * MiB)] = table | PTE_P | PTE_W | PTE_U;
}

uint64_t guest_address(const struct guest *g, const uint8_t *label)
{
	return GUEST_CODE + (label - g->code);
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type, bool is_long, bool big)
{
	return (struct kvm_segment) {
		.limit = 0xffffffff, .selector = selector, .type = type, .present = 1, .s = 1,
		.db = big, .l = is_long, .g = 1,
	};
}

static void set_flat(struct kvm_sregs *sregs, enum guest_mode mode)
{
	struct kvm_segment data = flat_segment(SELECTOR_DATA, 3, false, true);

	sregs->cs = mode == LONG ? flat_segment(SELECTOR_CODE64, 11, true, false) :
				   flat_segment(SELECTOR_CODE32, 11, false, true);
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
	sregs->tr = (struct kvm_segment) {
		.base = GUEST_TSS, .limit = 0x67, .selector = SELECTOR_TSS, .type = 11,
		.present = 1,
	};
	sregs->gdt.base = GUEST_GDT;
	sregs->gdt.limit = sizeof(gdt) - 1;
	sregs->idt.base = GUEST_IDT;
	sregs->idt.limit = PAGE - 1;
	sregs->cr0 = CR0_PE | CR0_ET | CR0_NE;
	if (mode == PROTECTED)
		return;
	sregs->cr3 = GUEST_PML4;
	sregs->cr4 = CR4_PAE | CR4_OSFXSR;
	sregs->cr0 |= CR0_PG | CR0_WP | CR0_MP;
	sregs->efer = EFER_LME | EFER_LMA | EFER_SCE;
}

void vcpu_set_mode(int vcpu, enum guest_mode mode)
{
	struct kvm_sregs sregs = vcpu_sregs(vcpu);
	struct kvm_regs regs = {
		.rip = GUEST_CODE, .rsp = GUEST_STACK, .rflags = RFLAGS_FIXED,
	};

	if (mode == REAL) {
		sregs.cs.base = 0;
		sregs.cs.selector = 0;
	} else {
		set_flat(&sregs, mode);
	}
	must(ioctl(vcpu, KVM_SET_SREGS, &sregs));
	vcpu_set_regs(vcpu, &regs);
}

struct kvm_cpuid2 *cpuid_new(uint32_t entries)
{
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) + entries * sizeof(cpuid->entries[0]));
	check(cpuid);
	cpuid->nent = entries;
	return cpuid;
}

struct kvm_cpuid2 *cpuid_supported(int kvm)
{
	struct kvm_cpuid2 *cpuid = cpuid_new(256);

	must(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid));
	return cpuid;
}

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t subleaf)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		if (entry->function != leaf)
			continue;
		if (!(entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || entry->index == subleaf)
			return entry;
	}
	return NULL;
}

bool cpuid_offers(int kvm, uint32_t leaf, bool ecx, unsigned int bit)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(kvm);
	const struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, leaf, 0);
	bool offered = e && ((ecx ? e->ecx : e->ebx) & 1u << bit);

	free(cpuid);
	return offered;
}

void vcpu_set_supported_cpuid(int kvm, int vcpu)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(kvm);

	must(ioctl(vcpu, KVM_SET_CPUID2, cpuid));
	free(cpuid);
}

struct kvm_run *vcpu_map_run(int kvm, int vcpu, size_t *size)
{
	struct kvm_run *run;

	*size = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	run = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		fail("mmap of the vcpu: %s", strerror(errno));
	return run;
}

int vm_set_slot(int vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size,
		const void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	return ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

void guest_load_sized(struct guest *g, const uint8_t *code, const uint8_t *end)
{
	check(end - code <= GUEST_GDT - GUEST_CODE);
	memcpy(g->memory + GUEST_CODE, code, end - code);
	g->code = code;
}

/* A signal may come in between, as the kernel waits for other users of the address space. */
static int create_vm(int kvm)
{
	int vm;

	do
		vm = ioctl(kvm, KVM_CREATE_VM, 0);
	while (vm < 0 && errno == EINTR);
	return must(vm);
}

struct guest *guest_in_vm_sized(int kvm, int vm, enum guest_mode mode, const uint8_t *code,
				const uint8_t *end)
{
	struct guest *g = calloc(1, sizeof(*g));

	check(g);
	g->kvm = kvm;
	g->vm = vm;
	g->memory = map_pages(GUEST_MEMORY);
	must(vm_set_slot(g->vm, 0, 0, 0, GUEST_MEMORY, g->memory));
	g->vcpu = must(ioctl(g->vm, KVM_CREATE_VCPU, 0));
	g->run = vcpu_map_run(g->kvm, g->vcpu, &g->run_size);
	vcpu_set_supported_cpuid(g->kvm, g->vcpu);
	if (mode != REAL)
		write_tables(g);
	vcpu_set_mode(g->vcpu, mode);
	guest_load_sized(g, code, end);
	return g;
}

struct guest *guest_new_sized(enum guest_mode mode, const uint8_t *code, const uint8_t *end)
{
	int kvm = open_kvm();

	return guest_in_vm_sized(kvm, create_vm(kvm), mode, code, end);
}

void guest_with_irqchip(struct guest *g, enum guest_mode mode)
{
	NEED(g->kvm, KVM_CAP_IRQCHIP);
	munmap(g->run, g->run_size);
	close(g->vcpu);
	close(g->vm);
	g->vm = create_vm(g->kvm);
	must(ioctl(g->vm, KVM_CREATE_IRQCHIP, 0));
	must(vm_set_slot(g->vm, 0, 0, 0, GUEST_MEMORY, g->memory));
	g->vcpu = must(ioctl(g->vm, KVM_CREATE_VCPU, 0));
	g->run = vcpu_map_run(g->kvm, g->vcpu, &g->run_size);
	vcpu_set_supported_cpuid(g->kvm, g->vcpu);
	vcpu_set_mode(g->vcpu, mode);
}

void guest_to_user(struct guest *g)
{
	struct kvm_sregs sregs = vcpu_sregs(g->vcpu);
	struct kvm_regs regs = vcpu_regs(g->vcpu);

	sregs.cs.selector = SELECTOR_USER;
	sregs.cs.dpl = 3;
	sregs.ss.selector = SELECTOR_USER + 8;
	sregs.ss.dpl = 3;
	must(ioctl(g->vcpu, KVM_SET_SREGS, &sregs));
	regs.rflags |= RFLAGS_IOPL;
	/* Not the stack that the processor takes for handlers. */
	regs.rsp = GUEST_STACK - PAGE / 2;
	vcpu_set_regs(g->vcpu, &regs);
}

struct kvm_regs vcpu_regs(int vcpu)
{
	struct kvm_regs regs;

	must(ioctl(vcpu, KVM_GET_REGS, &regs));
	return regs;
}

void vcpu_set_regs(int vcpu, const struct kvm_regs *regs)
{
	must(ioctl(vcpu, KVM_SET_REGS, regs));
}

void vcpu_set_rip(int vcpu, uint64_t rip)
{
	struct kvm_regs regs = vcpu_regs(vcpu);

	regs.rip = rip;
	vcpu_set_regs(vcpu, &regs);
}

struct kvm_sregs vcpu_sregs(int vcpu)
{
	struct kvm_sregs sregs;

	must(ioctl(vcpu, KVM_GET_SREGS, &sregs));
	return sregs;
}

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

bool vcpu_get_msr(int vcpu, uint32_t index, uint64_t *value)
{
	struct one_msr msr = { .head.nmsrs = 1, .entry.index = index };

	if (must(ioctl(vcpu, KVM_GET_MSRS, &msr)) != 1)
		return false;
	*value = msr.entry.data;
	return true;
}

bool vcpu_set_msr(int vcpu, uint32_t index, uint64_t value)
{
	struct one_msr msr = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };

	return must(ioctl(vcpu, KVM_SET_MSRS, &msr)) == 1;
}

uint64_t vcpu_stat(int vcpu, const char *name)
{
	int fd = must(ioctl(vcpu, KVM_GET_STATS_FD, 0));
	struct kvm_stats_header head;
	struct kvm_stats_desc *d;
	uint64_t value;
	size_t size;

	check_equal(pread(fd, &head, sizeof(head), 0), sizeof(head));
	size = sizeof(*d) + head.name_size;
	d = malloc(size);
	check(d);
	for (uint32_t i = 0; i < head.num_desc; i++) {
		check_equal(pread(fd, d, size, head.desc_offset + i * size), size);
		if (strcmp(d->name, name))
			continue;
		check_equal(pread(fd, &value, sizeof(value), head.data_offset + d->offset),
			    sizeof(value));
		free(d);
		close(fd);
		return value;
	}
	fail("there is no statistic %s", name);
}

const char *exit_name(uint32_t reason)
{
	static const char *const names[] = {
		[KVM_EXIT_UNKNOWN] = "UNKNOWN", [KVM_EXIT_EXCEPTION] = "EXCEPTION",
		[KVM_EXIT_IO] = "IO", [KVM_EXIT_HYPERCALL] = "HYPERCALL",
		[KVM_EXIT_DEBUG] = "DEBUG", [KVM_EXIT_HLT] = "HLT", [KVM_EXIT_MMIO] = "MMIO",
		[KVM_EXIT_IRQ_WINDOW_OPEN] = "IRQ_WINDOW_OPEN",
		[KVM_EXIT_SHUTDOWN] = "SHUTDOWN", [KVM_EXIT_FAIL_ENTRY] = "FAIL_ENTRY",
		[KVM_EXIT_INTR] = "INTR", [KVM_EXIT_SET_TPR] = "SET_TPR",
		[KVM_EXIT_INTERNAL_ERROR] = "INTERNAL_ERROR",
		[KVM_EXIT_SYSTEM_EVENT] = "SYSTEM_EVENT", [KVM_EXIT_X86_RDMSR] = "X86_RDMSR",
		[KVM_EXIT_X86_BUS_LOCK] = "X86_BUS_LOCK", [KVM_EXIT_NOTIFY] = "NOTIFY",
		[KVM_EXIT_X86_WRMSR] = "X86_WRMSR", [KVM_EXIT_MEMORY_FAULT] = "MEMORY_FAULT",
	};

	if (reason >= ARRAY_SIZE(names) || !names[reason])
		return "?";
	return names[reason];
}

void guest_to_msr(struct guest *g, const uint8_t *label, uint32_t msr, uint64_t value)
{
	struct kvm_regs regs;

	guest_complete(g);
	regs = vcpu_regs(g->vcpu);
	regs.rip = guest_address(g, label);
	regs.rcx = msr;
	regs.rax = (uint32_t)value;
	regs.rdx = value >> 32;
	vcpu_set_regs(g->vcpu, &regs);
}

int guest_run(struct guest *g)
{
	return ioctl(g->vcpu, KVM_RUN, 0) ? errno : 0;
}

void guest_complete(struct guest *g)
{
	g->run->immediate_exit = 1;
	check_equal(guest_run(g), EINTR);
	g->run->immediate_exit = 0;
}

static void describe_exit(struct guest *g, char *text, size_t size)
{
	struct kvm_run *run = g->run;
	struct guest_report *report = guest_report(g);
	int used;

	used = snprintf(text, size, "exit %s (%u) at rip %#llx", exit_name(run->exit_reason),
			run->exit_reason, vcpu_regs(g->vcpu).rip);
	text += used;
	size -= used;
	if (run->exit_reason == KVM_EXIT_IO && run->io.port == REPORT_PORT)
		snprintf(text, size, ", exception %llu error %#llx at %#llx cr2 %#llx",
			 (unsigned long long)report->vector, (unsigned long long)report->error,
			 (unsigned long long)report->rip, (unsigned long long)report->cr2);
	else if (run->exit_reason == KVM_EXIT_IO)
		snprintf(text, size, ", %s port %#x size %u count %u",
			 run->io.direction == KVM_EXIT_IO_OUT ? "out" : "in", run->io.port,
			 run->io.size, run->io.count);
	else if (run->exit_reason == KVM_EXIT_MMIO)
		snprintf(text, size, ", %s of %u at %#llx", run->mmio.is_write ? "write" : "read",
			 run->mmio.len, run->mmio.phys_addr);
	else if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		snprintf(text, size, ", suberror %u", run->internal.suberror);
	else if (run->exit_reason == KVM_EXIT_FAIL_ENTRY)
		snprintf(text, size, ", hardware reason %#llx",
			 run->fail_entry.hardware_entry_failure_reason);
}

void run_to_at(const char *file, int line, struct guest *g, uint32_t reason)
{
	int error = guest_run(g);
	char text[200];

	if (error)
		fail_at(file, line, "KVM_RUN: %s, wanted exit %s", strerror(error),
			exit_name(reason));
	if (g->run->exit_reason == reason)
		return;
	describe_exit(g, text, sizeof(text));
	fail_at(file, line, "%s, wanted %s", text, exit_name(reason));
}

void *pio_data(struct guest *g)
{
	return (uint8_t *)g->run + g->run->io.data_offset;
}

void check_pio_at(const char *file, int line, struct guest *g, uint8_t direction, uint16_t port,
		  uint8_t size, uint32_t count)
{
	struct kvm_run *run = g->run;
	char text[200];

	if (run->io.data_offset + run->io.size * run->io.count > g->run_size)
		fail_at(file, line, "PIO data outside the mapping");
	if (run->io.direction == direction && run->io.port == port && run->io.size == size &&
	    run->io.count == count)
		return;
	describe_exit(g, text, sizeof(text));
	fail_at(file, line, "%s, wanted %s port %#x size %u count %u", text,
		direction == KVM_EXIT_IO_OUT ? "out" : "in", port, size, count);
}

uint32_t run_to_out_at(const char *file, int line, struct guest *g, uint16_t port)
{
	uint32_t value = 0;

	run_to_at(file, line, g, KVM_EXIT_IO);
	check_pio_at(file, line, g, KVM_EXIT_IO_OUT, port, g->run->io.size, 1);
	memcpy(&value, pio_data(g), g->run->io.size);
	return value;
}

uint64_t run_to_mmio_at(const char *file, int line, struct guest *g, bool write, uint64_t address,
			uint32_t length)
{
	struct kvm_run *run = g->run;
	uint64_t data = 0;
	char text[200];

	run_to_at(file, line, g, KVM_EXIT_MMIO);
	if (run->mmio.is_write != write || run->mmio.phys_addr != address ||
	    run->mmio.len != length) {
		describe_exit(g, text, sizeof(text));
		fail_at(file, line, "%s, wanted %s of %u at %#llx", text,
			write ? "write" : "read", length, (unsigned long long)address);
	}
	memcpy(&data, run->mmio.data, length);
	return data;
}

void run_to_exception_at(const char *file, int line, struct guest *g, unsigned int vector,
			 uint64_t error)
{
	struct guest_report *report = guest_report(g);
	char text[200];

	run_to_out_at(file, line, g, REPORT_PORT);
	if (report->vector == vector && report->error == error)
		return;
	describe_exit(g, text, sizeof(text));
	fail_at(file, line, "%s, wanted exception %u error %#llx", text, vector,
		(unsigned long long)error);
}
