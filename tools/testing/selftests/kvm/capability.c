// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_ENABLE_CAP on VMs and vcpus: what is unknown, what has bad flags or arguments, and the few
 * capabilities whose effect a small guest can see.
 */
#include "guest.h"

GUEST(halt_code, 64, "1:	hlt\n	jmp	1b\n");

static int enable(int fd, uint32_t capability, uint32_t flags, uint64_t argument)
{
	struct kvm_enable_cap cap = { .cap = capability, .flags = flags, .args = { argument } };

	return ioctl(fd, KVM_ENABLE_CAP, &cap);
}

static void vm_unknown(void)
{
	struct guest *g = guest_new(LONG, halt_code);

	must_fail(enable(g->vm, 0, 0, 0), EINVAL);
	must_fail(enable(g->vm, KVM_CAP_USER_MEMORY, 0, 0), EINVAL);
	must_fail(enable(g->vm, 5000, 0, 0), EINVAL);
	must_fail(enable(g->vm, 0xffffffff, 0, 0), EINVAL);
	run_to(g, KVM_EXIT_HLT);
}

static void vm_flags(void)
{
	static const uint32_t known[] = {
		KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_CAP_X86_DISABLE_EXITS, KVM_CAP_HALT_POLL,
		KVM_CAP_EXCEPTION_PAYLOAD, KVM_CAP_X86_USER_SPACE_MSR,
	};
	struct guest *g = guest_new(LONG, halt_code);

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		must_fail(enable(g->vm, known[i], 1, 0), EINVAL);
		must_fail(enable(g->vm, known[i], 0x80000000, 0), EINVAL);
	}
	run_to(g, KVM_EXIT_HLT);
}

static void vm_bad_arguments(void)
{
	struct guest *g = guest_new(LONG, halt_code);

	NEED(g->vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
	must_fail(enable(g->vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0, 4), EINVAL);
	must_fail(enable(g->vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0, 2), EINVAL);
	must(enable(g->vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0, 1));
	must(enable(g->vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0, 0));
}

static void vcpu_unknown(void)
{
	struct guest *g = guest_new(LONG, halt_code);

	must_fail(enable(g->vcpu, 0, 0, 0), EINVAL);
	must_fail(enable(g->vcpu, KVM_CAP_USER_MEMORY, 0, 0), EINVAL);
	must_fail(enable(g->vcpu, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0, 1), EINVAL);
	must_fail(enable(g->vcpu, 5000, 0, 0), EINVAL);
	must_fail(enable(g->vcpu, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1, 1), EINVAL);
	must_fail(ioctl(g->vcpu, KVM_ENABLE_CAP, NULL), EFAULT);
	run_to(g, KVM_EXIT_HLT);
}

static void halt_polling(void)
{
	struct guest *g = guest_new(LONG, halt_code);

	NEED(g->vm, KVM_CAP_HALT_POLL);
	must(enable(g->vm, KVM_CAP_HALT_POLL, 0, 50000));
	must_fail(enable(g->vm, KVM_CAP_HALT_POLL, 0, 1ull << 32), EINVAL);
	run_to(g, KVM_EXIT_HLT);
}

GUEST(msr_code, 64,
	"	mov	$0x4b564dff, %ecx\n"
	"	rdmsr\n"
	"	mov	%eax, %ebx\n"
	"	mov	$0x12345678, %eax\n"
	"	mov	$0x9abcdef0, %edx\n"
	"	wrmsr\n"
	"	hlt\n");

static void user_space_msr(void)
{
	struct guest *g = guest_new(LONG, msr_code);
	struct kvm_run *run = g->run;

	NEED(g->vm, KVM_CAP_X86_USER_SPACE_MSR);
	must_fail(enable(g->vm, KVM_CAP_X86_USER_SPACE_MSR, 0, 1 << 10), EINVAL);
	must(enable(g->vm, KVM_CAP_X86_USER_SPACE_MSR, 0,
		    KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_INVAL));
	run_to(g, KVM_EXIT_X86_RDMSR);
	check_equal(run->msr.index, MSR_UNKNOWN);
	check_equal(run->msr.reason, KVM_MSR_EXIT_REASON_UNKNOWN);
	run->msr.data = 0x77;
	run->msr.error = 0;
	run_to(g, KVM_EXIT_X86_WRMSR);
	check_equal(vcpu_regs(g->vcpu).rbx, 0x77);
	check_equal(run->msr.data, 0x9abcdef012345678);
	run->msr.error = 1;
	run_to_exception(g, VECTOR_GP, 0);
}

GUEST(ud_code, 64, "	ud2\n	hlt\n");

static void exception_payload(void)
{
	struct guest *g = guest_new(LONG, ud_code);
	struct kvm_vcpu_events events;

	NEED(g->vm, KVM_CAP_EXCEPTION_PAYLOAD);
	/* Not enabled: the flag is not known. */
	must(ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &events));
	check(!(events.flags & KVM_VCPUEVENT_VALID_PAYLOAD));
	events.flags = KVM_VCPUEVENT_VALID_PAYLOAD;
	must_fail(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events), EINVAL);
	must(enable(g->vm, KVM_CAP_EXCEPTION_PAYLOAD, 0, 1));
	must(ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &events));
	check(events.flags & KVM_VCPUEVENT_VALID_PAYLOAD);
	memset(&events, 0, sizeof(events));
	events.flags = KVM_VCPUEVENT_VALID_PAYLOAD;
	events.exception.pending = 1;
	events.exception.nr = VECTOR_PF;
	events.exception.has_error_code = 1;
	events.exception.error_code = 4;
	events.exception_has_payload = 1;
	events.exception_payload = 0xabcd123;
	must(ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &events));
	run_to_exception(g, VECTOR_PF, 4);
	check_equal(guest_report(g)->cr2, 0xabcd123);
}

/* An exit when the guest locks the bus: only where the processor has one, which AMD's has not. */
static void bus_lock_exit(void)
{
	struct guest *g = guest_new(LONG, halt_code);
	int modes = extension(g->vm, KVM_CAP_X86_BUS_LOCK_EXIT);

	check_equal(extension(g->kvm, KVM_CAP_X86_BUS_LOCK_EXIT), modes);
	if (!modes) {
		for (uint64_t mode = 0; mode < 4; mode++)
			must_fail(enable(g->vm, KVM_CAP_X86_BUS_LOCK_EXIT, 0, mode), EINVAL);
	} else {
		check_equal(modes, KVM_BUS_LOCK_DETECTION_OFF | KVM_BUS_LOCK_DETECTION_EXIT);
		must_fail(enable(g->vm, KVM_CAP_X86_BUS_LOCK_EXIT, 0, 4), EINVAL);
		must_fail(enable(g->vm, KVM_CAP_X86_BUS_LOCK_EXIT, 0, modes), EINVAL);
		must(enable(g->vm, KVM_CAP_X86_BUS_LOCK_EXIT, 0, KVM_BUS_LOCK_DETECTION_EXIT));
	}
	must_fail(enable(g->vm, KVM_CAP_X86_BUS_LOCK_EXIT, 1, KVM_BUS_LOCK_DETECTION_EXIT), EINVAL);
	must_fail(enable(g->vcpu, KVM_CAP_X86_BUS_LOCK_EXIT, 0, KVM_BUS_LOCK_DETECTION_EXIT), EINVAL);
	run_to(g, KVM_EXIT_HLT);
	check(!(g->run->flags & KVM_RUN_X86_BUS_LOCK));
}

/* An exit when the guest has no interrupt window for too long: likewise. */
static void notify_exit(void)
{
	int kvm = open_kvm(), vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	bool offered = extension(vm, KVM_CAP_X86_NOTIFY_VMEXIT);
	const uint64_t window = 1ull << 32;

	check_equal(extension(kvm, KVM_CAP_X86_NOTIFY_VMEXIT), offered);
	must_fail(enable(vm, KVM_CAP_X86_NOTIFY_VMEXIT, 0, window), EINVAL);
	must_fail(enable(vm, KVM_CAP_X86_NOTIFY_VMEXIT, 0, window | KVM_X86_NOTIFY_VMEXIT_USER), EINVAL);
	must_fail(enable(vm, KVM_CAP_X86_NOTIFY_VMEXIT, 0, window | KVM_X86_NOTIFY_VMEXIT_ENABLED | 4), EINVAL);
	if (!offered) {
		must_fail(enable(vm, KVM_CAP_X86_NOTIFY_VMEXIT, 0, window | KVM_X86_NOTIFY_VMEXIT_ENABLED), EINVAL);
		return;
	}
	must(enable(vm, KVM_CAP_X86_NOTIFY_VMEXIT, 0, window | KVM_X86_NOTIFY_VMEXIT_ENABLED));
	must(ioctl(vm, KVM_CREATE_VCPU, 0));
	must_fail(enable(vm, KVM_CAP_X86_NOTIFY_VMEXIT, 0, window | KVM_X86_NOTIFY_VMEXIT_ENABLED), EINVAL);
}

/* What is there on every processor, and has a value of which there is one. */
static void answers(void)
{
	static const struct {
		uint32_t capability;
		int value;
	} known[] = {
		{ KVM_CAP_ENABLE_CAP, 1 },
		{ KVM_CAP_ENABLE_CAP_VM, 1 },
		{ KVM_CAP_CHECK_EXTENSION_VM, 1 },
		{ KVM_CAP_INTERNAL_ERROR_DATA, 1 },
		{ KVM_CAP_INTR_SHADOW, 1 },
		{ KVM_CAP_IRQ_INJECT_STATUS, 1 },
		{ KVM_CAP_LAST_CPU, 1 },
		{ KVM_CAP_MMU_SHADOW_CACHE_CONTROL, 1 },
		{ KVM_CAP_MSR_PLATFORM_INFO, 1 },
		{ KVM_CAP_IOAPIC_POLARITY_IGNORED, 1 },
		{ KVM_CAP_PCI_SEGMENT, 1 },
		{ KVM_CAP_PIT, 1 },
		{ KVM_CAP_PIT2, 1 },
		{ KVM_CAP_PIT_STATE2, 1 },
		{ KVM_CAP_REINJECT_CONTROL, 1 },
		{ KVM_CAP_SET_BOOT_CPU_ID, 1 },
		{ KVM_CAP_SET_IDENTITY_MAP_ADDR, 1 },
		{ KVM_CAP_SYS_ATTRIBUTES, 1 },
		{ KVM_CAP_VCPU_ATTRIBUTES, 1 },
		{ KVM_CAP_X86_ROBUST_SINGLESTEP, 1 },
		{ KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1 },
		{ KVM_CAP_X86_GUEST_MODE, 1 },
		{ KVM_CAP_DISABLE_QUIRKS, 1 },
		{ KVM_CAP_MCE, 32 },
		{ KVM_CAP_SET_GUEST_DEBUG2,
		  KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP |
		  KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP |
		  KVM_GUESTDBG_BLOCKIRQ },
	};
	struct guest *g = guest_new(LONG, halt_code);

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (extension(g->kvm, known[i].capability) != known[i].value ||
		    extension(g->vm, known[i].capability) != known[i].value)
			fail("capability %u is %d", known[i].capability,
			     extension(g->vm, known[i].capability));
	}
	/* There are no nested guests. */
	run_to(g, KVM_EXIT_HLT);
	check_equal(g->run->flags & KVM_RUN_X86_GUEST_MODE, 0);
}

/* Tools ask this parameter whether there is nested paging. */
static void tdp_mmu(void)
{
	check_equal(!module_parameter_off("/sys/module/kvm/parameters/tdp_mmu"), nested_paging());
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "answers of KVM_CHECK_EXTENSION", answers },
		{ "unknown capabilities of a VM", vm_unknown },
		{ "flags of a VM's capability", vm_flags },
		{ "bad arguments of a VM's capability", vm_bad_arguments },
		{ "unknown capabilities of a vcpu", vcpu_unknown },
		{ "KVM_CAP_HALT_POLL", halt_polling },
		{ "KVM_CAP_X86_USER_SPACE_MSR", user_space_msr },
		{ "KVM_CAP_EXCEPTION_PAYLOAD", exception_payload },
		{ "KVM_CAP_X86_BUS_LOCK_EXIT", bus_lock_exit },
		{ "KVM_CAP_X86_NOTIFY_VMEXIT", notify_exit },
		{ "tdp_mmu reads as the guests are paged", tdp_mmu },
	};

	return RUN_CASES("capability", cases);
}
