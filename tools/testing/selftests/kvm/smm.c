// SPDX-License-Identifier: GPL-2.0
/*
 * System management mode: SMIs from userspace and from the APIC, the state save areas, SMRAM in an
 * address space of its own, RSM, what waits while the mode lasts, and moving a vcpu that is in it.
 * AMD64 manual, volume 2, chapter 10.
 */
#include "guest.h"

#include <pthread.h>

#define SMRAM		0x400000u	/* guest-physical; in address space 1 only */
#define SMRAM_SIZE	0x30000u
#define MOVED		0x410000u	/* SMBASE that a handler chooses */
#define HANDLER		0x8000
#define AREA		0xfe00
#define MSR_SMI_COUNT	0x34
#define MSR_SMBASE	0x9e
#define LM		(1u << 29)	/* CPUID 0x80000001 EDX */
#define SMM_PORT	0x30
#define GUEST_PORT	0x10
#define MSI_SMI		0x200
#define MSI_NMI		0x400
#define MSI_INIT	0x500

GUEST(loop_code, 64,
	"	mov	$0x1122334455667788, %r15\n"
	"1:	out	%al, $0x10\n"
	"	jmp	1b\n");
GUEST(loop_code_32, 32,
	"	mov	$0x11223344, %edi\n"
	"1:	out	%al, $0x10\n"
	"	jmp	1b\n");
GUEST(read_code, 64,
	"	mov	0x410000, %eax\n"
	"	out	%al, $0x10\n");
GUEST(rsm_code, 64, "	rsm\n");
GUEST(self_code, 64,
	"	mov	$0xfee00300, %ebx\n"
	"	movl	$0x44200, (%rbx)\n"		/* to itself */
	"1:	out	%al, $0x10\n"
	"	jmp	1b\n");
GUEST(halts_code, 64,
	"	cli\n"
	"1:	hlt\n"
	"	jmp	1b\n");
GUEST(halt_code, 64,
	"	cli\n"
	"	hlt\n"
	"	out	%al, $0x10\n");

/* Handlers, entered at CS:8000 of a segment that begins at SMBASE. */
GUEST(plain_handler, 16,
	"	out	%al, $0x30\n"
	"	rsm\n");
GUEST(clobber_handler, 16,
	"	xor	%eax, %eax\n"
	"	xor	%edi, %edi\n"
	"	xor	%esp, %esp\n"
	"	mov	$0x1234, %cx\n"
	"	mov	%cx, %ds\n"
	"	out	%al, $0x30\n"
	"	rsm\n");
GUEST(read_handler, 16,
	"	movl	$0x410000, %ebx\n"
	"	movl	(%ebx), %eax\n"
	"	out	%eax, $0x30\n"
	"	rsm\n");
GUEST(move_handler, 16,
	"	movl	$0x410000, %cs:0xff00\n"
	"	out	%al, $0x30\n"
	"	rsm\n");
GUEST(spoil_handler, 16,
	"	movl	$0x80000000, %cs:0xff58\n"	/* CR0: paging without protection */
	"	rsm\n");

static uint8_t *smram;

static void put_handler(uint32_t base, const uint8_t *code, const uint8_t *end)
{
	memcpy(smram + (base - SMRAM) + HANDLER, code, end - code);
}
#define set_handler(base, code) put_handler(base, code, code##_end)

/* The same memory as ever in both address spaces, and SMRAM in the second one. */
static void prepare_smram(struct guest *g)
{
	NEED(g->kvm, KVM_CAP_X86_SMM);
	check_equal(extension(g->vm, KVM_CAP_MULTI_ADDRESS_SPACE), 2);
	smram = map_pages(SMRAM_SIZE);
	must(vm_set_slot(g->vm, 1 << 16, 0, 0, GUEST_MEMORY, g->memory));
	must(vm_set_slot(g->vm, 1 << 16 | 1, 0, SMRAM, SMRAM_SIZE, smram));
	check(vcpu_set_msr(g->vcpu, MSR_SMBASE, SMRAM));
}

#define new_guest(mode, code, handler) \
	({ \
		struct guest *g_ = guest_new(mode, code); \
		prepare_smram(g_); \
		set_handler(SMRAM, handler); \
		g_; \
	})

static void smi(struct guest *g)
{
	must(ioctl(g->vcpu, KVM_SMI, 0));
}

static struct kvm_vcpu_events events(struct guest *g)
{
	struct kvm_vcpu_events ev;

	must(ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &ev));
	check(ev.flags & KVM_VCPUEVENT_VALID_SMM);
	return ev;
}

static uint64_t area64(uint32_t base, unsigned int offset)
{
	uint64_t val;

	memcpy(&val, smram + (base - SMRAM) + AREA + offset, 8);
	return val;
}

static uint32_t area32(uint32_t base, unsigned int offset)
{
	return area64(base, offset);
}

static void check_in_smm(struct guest *g, uint32_t base)
{
	struct kvm_sregs sregs = vcpu_sregs(g->vcpu);

	check(g->run->flags & KVM_RUN_X86_SMM);
	check_equal(events(g).smi.smm, 1);
	check_equal(sregs.cs.base, base);
	check_equal(sregs.cs.selector, base >> 4 & 0xffff);
	check_equal(sregs.cs.limit, 0xffffffff);
	check_equal(sregs.ds.limit, 0xffffffff);
	check_equal(sregs.cr0 & (CR0_PE | CR0_PG | CR0_EM | CR0_TS), 0);
	check_equal(sregs.cr4, 0);
	check_equal(sregs.efer & (EFER_LME | EFER_LMA), 0);
	check_equal(vcpu_regs(g->vcpu).rflags & (RFLAGS_IF | RFLAGS_TF | RFLAGS_IOPL), 0);
}

/* ---- in and out ------------------------------------------------------------------------------ */

static void long_mode(void)
{
	struct guest *g = new_guest(LONG, loop_code, clobber_handler);
	struct kvm_sregs sregs;
	struct kvm_regs regs, back;

	run_to_out(g, GUEST_PORT);
	guest_complete(g);
	sregs = vcpu_sregs(g->vcpu);
	regs = vcpu_regs(g->vcpu);
	check_equal(g->run->flags & KVM_RUN_X86_SMM, 0);

	smi(g);
	run_to_out(g, SMM_PORT);
	check_in_smm(g, SMRAM);
	check_equal(area64(SMRAM, 0x178), regs.rip);
	check_equal(area64(SMRAM, 0x170), regs.rflags);
	check_equal(area64(SMRAM, 0x180), 0x1122334455667788);
	check_equal(area64(SMRAM, 0x1d8), regs.rsp);
	check_equal(area64(SMRAM, 0x158), sregs.cr0);
	check_equal(area64(SMRAM, 0x150), sregs.cr3);
	check_equal(area64(SMRAM, 0x148), sregs.cr4);
	check_equal(area64(SMRAM, 0xd0), sregs.efer);
	check_equal(area32(SMRAM, 0x100), SMRAM);
	check_equal(area32(SMRAM, 0xfc), 0x20064);
	check_equal(area32(SMRAM, 0x10) & 0xffff, SELECTOR_CODE64);
	check_equal(area64(SMRAM, 0x68), sregs.gdt.base);
	check_equal(area64(SMRAM, 0x88), sregs.idt.base);

	run_to_out(g, GUEST_PORT);
	guest_complete(g);
	check_equal(g->run->flags & KVM_RUN_X86_SMM, 0);
	back = vcpu_regs(g->vcpu);
	check_equal(memcmp(&back, &regs, sizeof(regs)), 0);
	check_equal(vcpu_sregs(g->vcpu).cr0, sregs.cr0);
	check_equal(vcpu_sregs(g->vcpu).efer, sregs.efer);
	check_equal(vcpu_sregs(g->vcpu).ds.selector, sregs.ds.selector);
	check_equal(vcpu_sregs(g->vcpu).ds.limit, sregs.ds.limit);
	check_equal(vcpu_sregs(g->vcpu).cs.l, 1);
}

/* A processor without long mode has another area. */
static void legacy_mode(void)
{
	struct guest *g = new_guest(PROTECTED, loop_code_32, clobber_handler);
	struct kvm_cpuid2 *cpuid = cpuid_supported(g->kvm);
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	cpuid_find(cpuid, 0x80000001, 0)->edx &= ~LM;
	must(ioctl(g->vcpu, KVM_SET_CPUID2, cpuid));
	run_to_out(g, GUEST_PORT);
	guest_complete(g);
	sregs = vcpu_sregs(g->vcpu);
	regs = vcpu_regs(g->vcpu);

	smi(g);
	run_to_out(g, SMM_PORT);
	check_in_smm(g, SMRAM);
	check_equal(area32(SMRAM, 0xfc), 0x20000);
	check_equal(area32(SMRAM, 0xf8), SMRAM);
	check_equal(area64(SMRAM, 0x1f8) & 0xffffffff, sregs.cr3);
	check_equal(area64(SMRAM, 0x1f8) >> 32, sregs.cr0);
	check_equal(area32(SMRAM, 0x1f0), regs.rip);
	check_equal(area32(SMRAM, 0x1ec), 0x11223344);
	check_equal(area32(SMRAM, 0x1ac), sregs.cs.selector);

	run_to_out(g, GUEST_PORT);
	guest_complete(g);
	check_equal(vcpu_regs(g->vcpu).rip, regs.rip);
	check_equal(vcpu_regs(g->vcpu).rdi, 0x11223344);
	check_equal(vcpu_sregs(g->vcpu).cr0, sregs.cr0);
	check_equal(vcpu_sregs(g->vcpu).cs.db, 1);
}

static void real_mode(void)
{
	struct guest *g = new_guest(REAL, plain_handler, plain_handler);

	/* The same code outside: RSM is an invalid instruction, with a vector at 0:0. */
	run_to_out(g, SMM_PORT);
	check_equal(g->run->flags & KVM_RUN_X86_SMM, 0);
	smi(g);
	run_to_out(g, SMM_PORT);
	check_in_smm(g, SMRAM);
}

static void rsm_outside(void)
{
	struct guest *g = new_guest(LONG, rsm_code, plain_handler);

	run_to_exception(g, VECTOR_UD, 0);
}

static void rsm_to_nowhere(void)
{
	struct guest *g = new_guest(LONG, loop_code, spoil_handler);

	run_to_out(g, GUEST_PORT);
	smi(g);
	run_to(g, KVM_EXIT_SHUTDOWN);
}

static void no_smram(void)
{
	struct guest *g = new_guest(LONG, loop_code, plain_handler);

	check(vcpu_set_msr(g->vcpu, MSR_SMBASE, 0x80000000));
	run_to_out(g, GUEST_PORT);
	smi(g);
	run_to(g, KVM_EXIT_SHUTDOWN);
}

static void moved_base(void)
{
	struct guest *g = new_guest(LONG, loop_code, move_handler);
	uint64_t val;

	set_handler(MOVED, plain_handler);
	run_to_out(g, GUEST_PORT);
	smi(g);
	run_to_out(g, SMM_PORT);
	check_in_smm(g, SMRAM);
	run_to_out(g, GUEST_PORT);
	check(vcpu_get_msr(g->vcpu, MSR_SMBASE, &val));
	check_equal(val, MOVED);
	smi(g);
	run_to_out(g, SMM_PORT);
	check_in_smm(g, MOVED);
	run_to_out(g, GUEST_PORT);
	check(vcpu_get_msr(g->vcpu, MSR_SMI_COUNT, &val));
	check_equal(val, 2);
}

/* SMRAM is where nothing is to everybody else. */
static void own_memory(void)
{
	struct guest *g = new_guest(LONG, read_code, read_handler);

	memcpy(smram + 0x10000, "smm!", 4);
	smi(g);
	check_equal(run_to_out(g, SMM_PORT), 0x216d6d73);
	run_to_mmio_read(g, 0x410000, 4, 7);
	check_equal(run_to_out(g, GUEST_PORT), 7);
	smi(g);
	check_equal(run_to_out(g, SMM_PORT), 0x216d6d73);
}

/* ---- what waits ------------------------------------------------------------------------------ */

static void nmi_waits(void)
{
	struct guest *g = new_guest(LONG, loop_code, plain_handler);

	run_to_out(g, GUEST_PORT);
	check_equal(events(g).nmi.masked, 0);
	smi(g);
	check_equal(events(g).smi.pending, 1);
	run_to_out(g, SMM_PORT);
	check_equal(events(g).smi.pending, 0);
	check_equal(events(g).nmi.masked, 1);
	check_equal(events(g).smi.smm_inside_nmi, 0);
	must(ioctl(g->vcpu, KVM_NMI, 0));
	run_to_exception(g, VECTOR_NMI, 0);
	check_equal(g->run->flags & KVM_RUN_X86_SMM, 0);

	/* And now from within its handler. */
	check_equal(events(g).nmi.masked, 1);
	smi(g);
	run_to_out(g, SMM_PORT);
	check_equal(events(g).smi.smm_inside_nmi, 1);
	run_to_out(g, GUEST_PORT);
	check_equal(events(g).nmi.masked, 0);
}

static void smi_waits(void)
{
	struct guest *g = new_guest(LONG, loop_code, plain_handler);
	uint64_t val;

	run_to_out(g, GUEST_PORT);
	smi(g);
	run_to_out(g, SMM_PORT);
	/* Two that come meanwhile are one. */
	smi(g);
	smi(g);
	check_equal(events(g).smi.pending, 1);
	run_to_out(g, SMM_PORT);
	check_equal(events(g).smi.pending, 0);
	run_to_out(g, GUEST_PORT);
	run_to_out(g, GUEST_PORT);
	check(vcpu_get_msr(g->vcpu, MSR_SMI_COUNT, &val));
	check_equal(val, 2);
}

/* ---- with a local APIC ----------------------------------------------------------------------- */

static struct guest *with_apic_sized(const uint8_t *code, const uint8_t *end)
{
	struct guest *g = guest_new_sized(LONG, code, end);

	guest_with_irqchip(g, LONG);
	prepare_smram(g);
	set_handler(SMRAM, plain_handler);
	return g;
}
#define with_apic(code) with_apic_sized(code, code##_end)

static void smi_to_itself(void)
{
	struct guest *g = with_apic(self_code);

	run_to_out(g, SMM_PORT);
	check_in_smm(g, SMRAM);
	run_to_out(g, GUEST_PORT);
	check_equal(g->run->flags & KVM_RUN_X86_SMM, 0);
}

struct message {
	struct guest *g;
	uint32_t data, id;
};

static void *send_later(void *arg)
{
	struct message *m = arg;
	struct kvm_msi msi = { .address_lo = 0xfee00000 | m->id << 12, .data = m->data };

	sleep_ms(30);
	ioctl(m->g->vm, KVM_SIGNAL_MSI, &msi);
	return NULL;
}

static void run_while_sending(struct guest *g, uint32_t id, uint32_t data, void (*run)(struct guest *g))
{
	struct message m = { g, data, id };
	pthread_t thread;

	check_equal(pthread_create(&thread, NULL, send_later, &m), 0);
	run(g);
	pthread_join(thread, NULL);
}

static void run_to_handler(struct guest *g)
{
	run_to_out(g, SMM_PORT);
}

static void run_to_nmi(struct guest *g)
{
	run_to_exception(g, VECTOR_NMI, 0);
}

/* RSM goes back to where the HLT is waiting. */
static void halted(void)
{
	struct guest *g = with_apic(halt_code);

	run_while_sending(g, 0, MSI_SMI, run_to_handler);
	check_in_smm(g, SMRAM);
	check_equal(area64(SMRAM, 0xc8) >> 8 & 0xff, 1);
	run_while_sending(g, 0, MSI_NMI, run_to_nmi);
	check_equal(guest_report(g)->rip, GUEST_CODE + 2);
	run_to_out(g, GUEST_PORT);
}

/* The processor halts by itself, until anything happens. */
static void halted_without_exit(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_DISABLE_EXITS,
				      .args = { KVM_X86_DISABLE_EXITS_HLT } };
	struct guest *g = with_apic(halts_code);
	size_t size;

	if (!(extension(g->vm, KVM_CAP_X86_DISABLE_EXITS) & KVM_X86_DISABLE_EXITS_HLT))
		skip("HLT must exit on this processor");
	must(ioctl(g->vm, KVM_ENABLE_CAP, &cap));
	/* It is for vcpus to come. */
	g->vcpu = must(ioctl(g->vm, KVM_CREATE_VCPU, 1));
	g->run = vcpu_map_run(g->kvm, g->vcpu, &size);
	vcpu_set_supported_cpuid(g->kvm, g->vcpu);
	vcpu_set_mode(g->vcpu, LONG);
	check(vcpu_set_msr(g->vcpu, MSR_SMBASE, SMRAM));
	must(ioctl(g->vcpu, KVM_SET_MP_STATE, &(struct kvm_mp_state){ KVM_MP_STATE_RUNNABLE }));
	run_while_sending(g, 1, MSI_SMI, run_to_handler);
	check_in_smm(g, SMRAM);
	run_while_sending(g, 1, MSI_NMI, run_to_nmi);
	check_equal(vcpu_stat(g->vcpu, "halt_exits"), 0);
}

static void init_waits(void)
{
	struct guest *g = with_apic(self_code);
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = MSI_INIT };
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_INIT_RECEIVED };
	struct kvm_vcpu_events ev;

	run_to_out(g, SMM_PORT);
	must(ioctl(g->vm, KVM_SIGNAL_MSI, &msi));
	check_equal(events(g).smi.latched_init, 1);
	guest_complete(g);
	check(g->run->flags & KVM_RUN_X86_SMM);
	must_fail(ioctl(g->vcpu, KVM_SET_MP_STATE, &state), EINVAL);
	ev = events(g);
	ev.smi.latched_init = 0;
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &ev));
	check_equal(events(g).smi.latched_init, 0);
	run_to_out(g, GUEST_PORT);
}

/* ---- moving ---------------------------------------------------------------------------------- */

static void moved_vcpu(void)
{
	struct guest *g = new_guest(LONG, loop_code, clobber_handler);
	struct kvm_vcpu_events ev;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	size_t size;

	run_to_out(g, GUEST_PORT);
	smi(g);
	run_to_out(g, SMM_PORT);
	guest_complete(g);
	sregs = vcpu_sregs(g->vcpu);
	regs = vcpu_regs(g->vcpu);
	ev = events(g);

	g->vcpu = must(ioctl(g->vm, KVM_CREATE_VCPU, 1));
	g->run = vcpu_map_run(g->kvm, g->vcpu, &size);
	vcpu_set_supported_cpuid(g->kvm, g->vcpu);
	vcpu_set_regs(g->vcpu, &regs);
	must(ioctl(g->vcpu, KVM_SET_SREGS, &sregs));
	check(vcpu_set_msr(g->vcpu, MSR_SMBASE, SMRAM));
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &ev));
	check_equal(events(g).smi.smm, 1);
	run_to_out(g, GUEST_PORT);
	check_equal(g->run->flags & KVM_RUN_X86_SMM, 0);
	check_equal(vcpu_regs(g->vcpu).r15, 0x1122334455667788);
	check_equal(vcpu_sregs(g->vcpu).cs.l, 1);
	check_equal(events(g).nmi.masked, 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "from long mode and back", long_mode },
		{ "from protected mode of a processor without long mode", legacy_mode },
		{ "from real mode", real_mode },
		{ "RSM outside of it", rsm_outside },
		{ "RSM to a state that does not exist", rsm_to_nowhere },
		{ "no memory at SMBASE", no_smram },
		{ "a handler moves SMBASE", moved_base },
		{ "SMRAM is seen in the mode only", own_memory },
		{ "an NMI waits for its end", nmi_waits },
		{ "another SMI waits for its end", smi_waits },
		{ "an APIC's SMI", smi_to_itself },
		{ "from a halt and back", halted },
		{ "from a halt that makes no exit", halted_without_exit },
		{ "an INIT waits for its end", init_waits },
		{ "a vcpu moves while it is in it", moved_vcpu },
	};

	return RUN_CASES("smm", cases);
}
