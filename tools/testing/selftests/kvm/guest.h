/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Small guests: a VM with one slot of memory at address 0, one vcpu in real, protected or long
 * mode, the code of the test at GUEST_CODE, and checks of the exits it makes. Tables, gates and
 * selectors follow the AMD64 manual, volume 2, chapters 4 and 5; there is no interrupt controller.
 */
#ifndef SELFTEST_GUEST_H
#define SELFTEST_GUEST_H

#include "lib.h"

/* Guest-physical addresses; code in a test's asm uses the same numbers. */
#define GUEST_CODE	0x1000u
#define GUEST_GDT	0x5000u
#define GUEST_TSS	0x6000u
#define GUEST_IDT	0x7000u
#define GUEST_STACK	0xa000u		/* its top */
#define GUEST_DATA	0xa000u		/* a page for the test */
#define GUEST_PML4	0xb000u
#define GUEST_PDPT	0xc000u
#define GUEST_PD	0xd000u		/* four pages: 4 GiB are mapped one to one */
#define GUEST_STUBS	0x12000u
#define GUEST_REPORT	0x14000u
#define GUEST_FREE	0x20000u
#define GUEST_MEMORY	(4 * MiB)
#define GUEST_MMIO	0x10000000u	/* in the map, in no slot */

#define SELECTOR_CODE64	0x08
#define SELECTOR_DATA	0x10
#define SELECTOR_CODE32	0x18
#define SELECTOR_CODE16	0x20
#define SELECTOR_DATA16	0x28
#define SELECTOR_TSS	0x30
#define SELECTOR_USER	0x43		/* code, and the data segment behind it */

#define REPORT_PORT	0xe0		/* a long mode exception was reported */

#define CR0_PE		(1ull << 0)
#define CR0_MP		(1ull << 1)
#define CR0_EM		(1ull << 2)
#define CR0_TS		(1ull << 3)
#define CR0_ET		(1ull << 4)
#define CR0_NE		(1ull << 5)
#define CR0_WP		(1ull << 16)
#define CR0_AM		(1ull << 18)
#define CR0_NW		(1ull << 29)
#define CR0_CD		(1ull << 30)
#define CR0_PG		(1ull << 31)
#define CR4_PAE		(1ull << 5)
#define CR4_OSFXSR	(1ull << 9)
#define CR4_OSXSAVE	(1ull << 18)
#define EFER_SCE	(1ull << 0)
#define EFER_LME	(1ull << 8)
#define EFER_LMA	(1ull << 10)
#define EFER_NX		(1ull << 11)
#define EFER_SVME	(1ull << 12)
#define RFLAGS_FIXED	(1ull << 1)
#define RFLAGS_TF	(1ull << 8)
#define RFLAGS_IF	(1ull << 9)
#define RFLAGS_IOPL	(3ull << 12)
#define RFLAGS_RF	(1ull << 16)

#define PTE_P		(1ull << 0)
#define PTE_W		(1ull << 1)
#define PTE_U		(1ull << 2)
#define PTE_PS		(1ull << 7)

#define MSR_TSC		0x10
#define MSR_APIC_BASE	0x1b
#define MSR_PAT		0x277
#define MSR_EFER	0xc0000080
#define MSR_STAR	0xc0000081
#define MSR_LSTAR	0xc0000082
#define MSR_FS_BASE	0xc0000100
#define MSR_GS_BASE	0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_UNKNOWN	0x4b564dff	/* no manual gives it a meaning */

enum vector { VECTOR_DE = 0, VECTOR_DB = 1, VECTOR_NMI = 2, VECTOR_BP = 3, VECTOR_OF = 4,
	      VECTOR_UD = 6, VECTOR_NM = 7, VECTOR_DF = 8, VECTOR_TS = 10, VECTOR_NP = 11,
	      VECTOR_SS = 12, VECTOR_GP = 13, VECTOR_PF = 14, VECTOR_MF = 16, VECTOR_AC = 17 };

enum guest_mode { REAL, PROTECTED, LONG };

/* Guest code in a test's own file: assembled for the width, never run by the host. */
#define GUEST(name, bits, text) \
	extern const uint8_t name[], name##_end[]; \
	asm(".pushsection .rodata\n.code" #bits "\n" \
	    ".globl " #name ", " #name "_end\n" #name ":\n" \
	    text "\n" #name "_end:\n.code64\n.popsection\n")

/*
 * For the code of handlers, in 64 bits: ends the interrupt by the MSR if the word at @x2apic is not 0, else
 * by the page, whose address RBX has, and returns. Registers stay as they are.
 */
#define GUEST_END_INTERRUPT(x2apic) \
	"	cmpl	$0, " x2apic "\n" \
	"	jne	9f\n" \
	"	movl	$0, 0xb0(%rbx)\n" \
	"	iretq\n" \
	"9:	push	%rax\n" \
	"	push	%rcx\n" \
	"	push	%rdx\n" \
	"	mov	$0x80b, %ecx\n" \
	"	xor	%eax, %eax\n" \
	"	xor	%edx, %edx\n" \
	"	wrmsr\n" \
	"	pop	%rdx\n" \
	"	pop	%rcx\n" \
	"	pop	%rax\n" \
	"	iretq\n"

/*
 * Begins guest code that stays in the guest until the host interrupts it. The host does that whatever
 * the guest's flag says, but Bochs 2.7 delivers it nothing while a guest is entered with the flag clear.
 */
#define INTERRUPTIBLE	"	sti\n"

struct guest {
	int kvm, vm, vcpu;
	struct kvm_run *run;
	size_t run_size;
	uint8_t *memory;		/* GUEST_MEMORY bytes at guest-physical 0, slot 0 */
	const uint8_t *code;
};

/* What the library's long mode handlers store at GUEST_REPORT before they write REPORT_PORT. */
struct guest_report {
	uint64_t vector, error, rip, cs, rflags, rsp, cr2, count;
};

struct guest *guest_new_sized(enum guest_mode mode, const uint8_t *code, const uint8_t *end);
#define guest_new(mode, code) guest_new_sized(mode, code, code##_end)
/* The same in a VM that was prepared for it, and has no vcpu yet. */
struct guest *guest_in_vm_sized(int kvm, int vm, enum guest_mode mode, const uint8_t *code,
				const uint8_t *end);
#define guest_in_vm(kvm, vm, mode, code) guest_in_vm_sized(kvm, vm, mode, code, code##_end)
void guest_load_sized(struct guest *g, const uint8_t *code, const uint8_t *end);
#define guest_load(g, code) guest_load_sized(g, code, code##_end)
/* Where a label of the loaded code is in the guest. */
uint64_t guest_address(const struct guest *g, const uint8_t *label);

void vcpu_set_mode(int vcpu, enum guest_mode mode);
void vcpu_set_supported_cpuid(int kvm, int vcpu);
struct kvm_run *vcpu_map_run(int kvm, int vcpu, size_t *size);
int vm_set_slot(int vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size,
		const void *hva);
struct kvm_cpuid2 *cpuid_new(uint32_t entries);
struct kvm_cpuid2 *cpuid_supported(int kvm);
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t subleaf);
/* May a guest have the feature? A bit of EBX, or of ECX, in subleaf 0. */
bool cpuid_offers(int kvm, uint32_t leaf, bool ecx, unsigned int bit);

void guest_gate(struct guest *g, unsigned int vector, uint64_t handler);
void guest_vector16(struct guest *g, unsigned int vector, uint16_t segment, uint16_t offset);
struct guest_report *guest_report(struct guest *g);
void guest_map_4k(struct guest *g, uint64_t table, uint64_t base);

/* The same guest in a VM that has interrupt controllers in the kernel. */
void guest_with_irqchip(struct guest *g, enum guest_mode mode);
/* Long mode at privilege level 3, with the right to use ports; GUEST_DATA and the like as before. */
void guest_to_user(struct guest *g);

struct kvm_regs vcpu_regs(int vcpu);
void vcpu_set_regs(int vcpu, const struct kvm_regs *regs);
void vcpu_set_rip(int vcpu, uint64_t rip);
/* The guest goes on at the label, with an MSR's number and value where RDMSR and WRMSR want them. */
void guest_to_msr(struct guest *g, const uint8_t *label, uint32_t msr, uint64_t value);
struct kvm_sregs vcpu_sregs(int vcpu);
bool vcpu_get_msr(int vcpu, uint32_t index, uint64_t *value);
bool vcpu_set_msr(int vcpu, uint32_t index, uint64_t value);
uint64_t vcpu_stat(int vcpu, const char *name);

const char *exit_name(uint32_t reason);
/* KVM_RUN once: 0, or the errno. */
int guest_run(struct guest *g);
/* Completes what the last exit left open without running guest code. */
void guest_complete(struct guest *g);

void run_to_at(const char *file, int line, struct guest *g, uint32_t reason);
uint32_t run_to_out_at(const char *file, int line, struct guest *g, uint16_t port);
uint64_t run_to_mmio_at(const char *file, int line, struct guest *g, bool write, uint64_t address,
			uint32_t length);
void run_to_exception_at(const char *file, int line, struct guest *g, unsigned int vector,
			 uint64_t error);
void check_pio_at(const char *file, int line, struct guest *g, uint8_t direction, uint16_t port,
		  uint8_t size, uint32_t count);

/* Run until an exit that must be the one named. */
#define run_to(g, reason) run_to_at(__FILE__, __LINE__, g, reason)
/* ... an OUT of one value, which is returned ... */
#define run_to_out(g, port) run_to_out_at(__FILE__, __LINE__, g, port)
#define run_to_mmio_write(g, address, length) \
	run_to_mmio_at(__FILE__, __LINE__, g, true, address, length)
/* ... an MMIO read; the answer is what the guest will find. */
#define run_to_mmio_read(g, address, length, answer) \
	do { \
		uint64_t answer_ = (answer); \
		run_to_mmio_at(__FILE__, __LINE__, g, false, address, length); \
		memcpy((g)->run->mmio.data, &answer_, 8); \
	} while (0)
#define run_to_exception(g, vector, error) \
	run_to_exception_at(__FILE__, __LINE__, g, vector, error)
/* The exit at hand is a PIO of this shape. */
#define check_pio(g, direction, port, size, count) \
	check_pio_at(__FILE__, __LINE__, g, direction, port, size, count)
void *pio_data(struct guest *g);

#endif
