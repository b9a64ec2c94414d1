// SPDX-License-Identifier: GPL-2.0
/*
 * x86's ioctls on the three kinds of files, and which capabilities it has. Only the argument is
 * fetched and given back here; what a request means is in the file that owns the state, most of
 * them in cpu/. Documentation/virt/kvm/api.rst has every request with its errors.
 */
#include <linux/cpu.h>
#include <linux/kvm_para.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "cpu/cpuid.h"
#include "cpu/mce.h"
#include "cpu/regs.h"
#include "irqchip/irqchip.h"
#include "mmu/mmu.h"
#include "pv/pv.h"
#include "pv/xen.h"
#include "x86.h"

/* Old behaviour that KVM_CAP_DISABLE_QUIRKS2 knows of in this version of the ABI. */
#define QUIRKS_KNOWN	(KVM_X86_QUIRK_LINT0_REENABLED | KVM_X86_QUIRK_CD_NW_CLEARED | \
			 KVM_X86_QUIRK_LAPIC_MMIO_HOLE | KVM_X86_QUIRK_OUT_7E_INC_RIP | \
			 KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT | KVM_X86_QUIRK_FIX_HYPERCALL_INSN | \
			 KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS | KVM_X86_QUIRK_SLOT_ZAP_ALL)

#define X2APIC_API_KNOWN (KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK)

#define BUS_LOCK_MODES		(KVM_BUS_LOCK_DETECTION_OFF | KVM_BUS_LOCK_DETECTION_EXIT)

/* Hypercalls that userspace can have for itself. */
#define EXIT_HYPERCALLS		BIT(KVM_HC_MAP_GPA_RANGE)

/* The three pages of KVM_SET_TSS_ADDR must end below 4 GiB. */
#define TSS_ADDR_MAX	((unsigned int)-3 * PAGE_SIZE)

/* ---- capabilities ---------------------------------------------------------------------------- */

/* Exits that a VM may do without: what its guest then does by itself must harm nobody else. */
static u32 dispensable_exits(void)
{
	u32 exits = KVM_X86_DISABLE_EXITS_PAUSE;

	/* A thread that idles in the guest would leave its sibling the guest's return predictions. */
	if (boot_cpu_has_bug(X86_BUG_SMT_RSB) && cpu_smt_possible())
		return exits;
	exits |= KVM_X86_DISABLE_EXITS_HLT | KVM_X86_DISABLE_EXITS_CSTATE;
	/* Deep sleep must not stop the timer that ends the guest's turn. */
	if (boot_cpu_has(X86_FEATURE_MWAIT) && boot_cpu_has(X86_FEATURE_ARAT) &&
	    !boot_cpu_has_bug(X86_BUG_MONITOR))
		exits |= KVM_X86_DISABLE_EXITS_MWAIT;
	return exits;
}

int kvm_arch_check_extension(struct kvm *kvm, long ext)
{
	switch (ext) {
	case KVM_CAP_HLT:
	case KVM_CAP_IRQCHIP:
	case KVM_CAP_IRQ_INJECT_STATUS:
	case KVM_CAP_IOAPIC_POLARITY_IGNORED:
	case KVM_CAP_PIT:
	case KVM_CAP_PIT2:
	case KVM_CAP_PIT_STATE2:
	case KVM_CAP_REINJECT_CONTROL:
	case KVM_CAP_SPLIT_IRQCHIP:
	case KVM_CAP_TSC_DEADLINE_TIMER:
	case KVM_CAP_X86_MSR_FILTER:
	case KVM_CAP_X86_USER_SPACE_MSR:
	case KVM_CAP_LAST_CPU:
	case KVM_CAP_MMU_SHADOW_CACHE_CONTROL:
	case KVM_CAP_VM_DISABLE_NX_HUGE_PAGES:
	case KVM_CAP_SET_TSS_ADDR:
	case KVM_CAP_SET_IDENTITY_MAP_ADDR:
	case KVM_CAP_SET_BOOT_CPU_ID:
	case KVM_CAP_EXT_CPUID:
	case KVM_CAP_EXT_EMUL_CPUID:
	case KVM_CAP_GET_MSR_FEATURES:
	case KVM_CAP_MSR_PLATFORM_INFO:
	case KVM_CAP_NOP_IO_DELAY:
	case KVM_CAP_CLOCKSOURCE:
	case KVM_CAP_KVMCLOCK_CTRL:
	case KVM_CAP_USER_NMI:
	case KVM_CAP_VCPU_EVENTS:
	case KVM_CAP_INTR_SHADOW:
	case KVM_CAP_EXCEPTION_PAYLOAD:
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT:
	case KVM_CAP_DEBUGREGS:
	case KVM_CAP_SET_GUEST_DEBUG:
	case KVM_CAP_X86_ROBUST_SINGLESTEP:
	case KVM_CAP_XSAVE:
	case KVM_CAP_SREGS2:
	case KVM_CAP_GET_TSC_KHZ:
	case KVM_CAP_VCPU_ATTRIBUTES:
	case KVM_CAP_SYS_ATTRIBUTES:
	case KVM_CAP_DISABLE_QUIRKS:
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE:
	case KVM_CAP_ENABLE_CAP:
	case KVM_CAP_ENFORCE_PV_FEATURE_CPUID:
	case KVM_CAP_ASYNC_PF:
	case KVM_CAP_ASYNC_PF_INT:
	case KVM_CAP_X86_SMM:
	case KVM_CAP_X86_GUEST_MODE:
	case KVM_CAP_PCI_SEGMENT:
		return 1;
	case KVM_CAP_MULTI_ADDRESS_SPACE:
		return KVM_MAX_NR_ADDRESS_SPACES;
	case KVM_CAP_EXIT_HYPERCALL:
		return EXIT_HYPERCALLS;
	case KVM_CAP_XEN_HVM:
		return kvm_xen_offered();
	case KVM_CAP_STEAL_TIME:
		return kvm_steal_time_offered();
	case KVM_CAP_XCRS:
		return boot_cpu_has(X86_FEATURE_XSAVE);
	case KVM_CAP_VAPIC:
		return !kvm_hw.virtual_tpr;
	case KVM_CAP_X86_BUS_LOCK_EXIT:
		return kvm_hw.tells_bus_locks ? BUS_LOCK_MODES : 0;
	case KVM_CAP_X86_NOTIFY_VMEXIT:
		return kvm_hw.notifies;
	case KVM_CAP_TSC_CONTROL:
	case KVM_CAP_VM_TSC_CONTROL:
		return kvm_hw.tsc_ratio_bits != 0;
	case KVM_CAP_PRE_FAULT_MEMORY:
		return kvm_hw.npt;
	case KVM_CAP_SMALLER_MAXPHYADDR:
		/* The processor's own walk goes by its own width. */
		return !kvm_hw.npt;
	case KVM_CAP_DIRTY_LOG_RING:
		/* Without acquire and release: x86 does not reorder stores. */
		return kvm_dirty_ring_max_bytes();
	case KVM_CAP_XSAVE2:
		return kvm_fpu_uabi_size();
	case KVM_CAP_SYNC_REGS:
		return KVM_SYNC_X86_VALID_FIELDS;
	case KVM_CAP_SET_GUEST_DEBUG2:
		return kvm_guest_debug_supported();
	case KVM_CAP_DISABLE_QUIRKS2:
		return QUIRKS_KNOWN;
	case KVM_CAP_X2APIC_API:
		return X2APIC_API_KNOWN;
	case KVM_CAP_X86_APIC_BUS_CYCLES_NS:
		return KVM_APIC_BUS_NS_DEFAULT;
	case KVM_CAP_X86_DISABLE_EXITS:
		return dispensable_exits();
	case KVM_CAP_ADJUST_CLOCK:
		return KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
	case KVM_CAP_MCE:
		return KVM_MCE_BANKS;
	case KVM_CAP_VM_TYPES:
		return BIT(KVM_X86_DEFAULT_VM);
	default:
		return 0;
	}
}

static int set_bus_lock_exits(struct kvm *kvm, u64 mode)
{
	if (!kvm_hw.tells_bus_locks ||
	    (mode != KVM_BUS_LOCK_DETECTION_OFF && mode != KVM_BUS_LOCK_DETECTION_EXIT))
		return -EINVAL;
	WRITE_ONCE(kvm->arch.bus_lock_exits, mode == KVM_BUS_LOCK_DETECTION_EXIT);
	return 0;
}

/* Bits 63:32 are the window, in the processor's own cycles. */
static int set_notify(struct kvm *kvm, u64 arg)
{
	u32 flags = arg;
	int r = -EINVAL;

	if (!kvm_hw.notifies || !(flags & KVM_X86_NOTIFY_VMEXIT_ENABLED) ||
	    flags & ~(KVM_X86_NOTIFY_VMEXIT_ENABLED | KVM_X86_NOTIFY_VMEXIT_USER))
		return -EINVAL;
	mutex_lock(&kvm->lock);
	if (!kvm->created_vcpus) {
		kvm->arch.notify_flags = flags;
		kvm->arch.notify_window = arg >> 32;
		r = 0;
	}
	mutex_unlock(&kvm->lock);
	return r;
}

static int enable_max_vcpu_ids(struct kvm *kvm, u64 ids)
{
	int r = -EINVAL;

	if (!ids || ids > KVM_MAX_VCPU_IDS)
		return -EINVAL;
	mutex_lock(&kvm->lock);
	if (kvm->arch.max_vcpu_ids == ids) {
		r = 0;
	} else if (!kvm->arch.max_vcpu_ids && !kvm->created_vcpus &&
		   kvm->arch.bsp_vcpu_id <= ids) {
		kvm->arch.max_vcpu_ids = ids;
		r = 0;
	}
	mutex_unlock(&kvm->lock);
	return r;
}

static int disable_nx_huge_pages(struct kvm *kvm, u64 arg)
{
	int r = -EINVAL;

	if (arg)
		return -EINVAL;
	/* Who may do this may stop the host, and the right to reboot it is the nearest there is. */
	if (!capable(CAP_SYS_BOOT))
		return -EPERM;
	mutex_lock(&kvm->lock);
	if (!kvm->created_vcpus) {
		kvm->arch.mmu.nx_huge_off = true;
		r = 0;
	}
	mutex_unlock(&kvm->lock);
	return r;
}

static int enable_split_irqchip(struct kvm *kvm, u64 nr_routes)
{
	int r;

	mutex_lock(&kvm->lock);
	r = kvm_irqchip_split(kvm, nr_routes);
	mutex_unlock(&kvm->lock);
	return r;
}

/* Vcpus that are there already go on as before, as the ABI of this version has it. */
static int disable_exits(struct kvm *kvm, u64 exits)
{
	if (exits & ~(u64)dispensable_exits())
		return -EINVAL;
	mutex_lock(&kvm->lock);
	WRITE_ONCE(kvm->arch.exits_disabled, kvm->arch.exits_disabled | exits);
	mutex_unlock(&kvm->lock);
	return 0;
}

static int set_apic_bus_ns(struct kvm *kvm, u64 ns)
{
	int r = 0;

	if (!ns || ns > LAPIC_MAX_BUS_NS)
		return -EINVAL;
	mutex_lock(&kvm->lock);
	if (!kvm_has_irqchip(kvm))
		r = -ENXIO;
	else if (kvm->created_vcpus)
		r = -EINVAL;
	else
		kvm->arch.apic_bus_ns = ns;
	mutex_unlock(&kvm->lock);
	return r;
}

int kvm_arch_vm_enable_cap(struct kvm *kvm, struct kvm_enable_cap *cap)
{
	u64 arg = cap->args[0];

	if (cap->flags)
		return -EINVAL;

	switch (cap->cap) {
	case KVM_CAP_DISABLE_QUIRKS:
		WRITE_ONCE(kvm->arch.disabled_quirks, arg);
		return 0;
	case KVM_CAP_DISABLE_QUIRKS2:
		if (arg & ~(u64)QUIRKS_KNOWN)
			return -EINVAL;
		WRITE_ONCE(kvm->arch.disabled_quirks, arg);
		return 0;
	case KVM_CAP_MSR_PLATFORM_INFO:
		WRITE_ONCE(kvm->arch.platform_info_hidden, !arg);
		return 0;
	case KVM_CAP_EXCEPTION_PAYLOAD:
		WRITE_ONCE(kvm->arch.exception_payload_enabled, arg);
		return 0;
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT:
		WRITE_ONCE(kvm->arch.triple_fault_event, arg);
		return 0;
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE:
		if (arg & ~1ull)
			return -EINVAL;
		WRITE_ONCE(kvm->arch.exit_on_emulation_error, arg);
		return 0;
	case KVM_CAP_X86_USER_SPACE_MSR:
		if (arg & ~(u64)KVM_MSR_EXIT_REASON_VALID_MASK)
			return -EINVAL;
		WRITE_ONCE(kvm->arch.user_space_msrs, arg);
		return 0;
	case KVM_CAP_MAX_VCPU_ID:
		return enable_max_vcpu_ids(kvm, arg);
	case KVM_CAP_VM_DISABLE_NX_HUGE_PAGES:
		return disable_nx_huge_pages(kvm, arg);
	case KVM_CAP_SPLIT_IRQCHIP:
		return enable_split_irqchip(kvm, arg);
	case KVM_CAP_X86_APIC_BUS_CYCLES_NS:
		return set_apic_bus_ns(kvm, arg);
	case KVM_CAP_X86_DISABLE_EXITS:
		return disable_exits(kvm, arg);
	case KVM_CAP_X86_BUS_LOCK_EXIT:
		return set_bus_lock_exits(kvm, arg);
	case KVM_CAP_X86_NOTIFY_VMEXIT:
		return set_notify(kvm, arg);
	case KVM_CAP_EXIT_HYPERCALL:
		if (arg & ~(u64)EXIT_HYPERCALLS)
			return -EINVAL;
		WRITE_ONCE(kvm->arch.exit_hypercalls, arg);
		return 0;
	case KVM_CAP_X2APIC_API:
		if (arg & ~(u64)X2APIC_API_KNOWN)
			return -EINVAL;
		WRITE_ONCE(kvm->arch.x2apic_api, kvm->arch.x2apic_api | arg);
		return 0;
	default:
		return -EINVAL;
	}
}

/* ---- attributes ------------------------------------------------------------------------------ */

static long dev_attr(unsigned int ioctl, void __user *argp)
{
	struct kvm_device_attr attr;

	if (copy_from_user(&attr, argp, sizeof(attr)))
		return -EFAULT;
	if (attr.flags)
		return -EINVAL;
	if (attr.group != KVM_X86_GRP_SYSTEM || attr.attr != KVM_X86_XCOMP_GUEST_SUPP)
		return -ENXIO;
	if (ioctl == KVM_HAS_DEVICE_ATTR)
		return 0;
	return put_user(kvm_hw.supported_xcr0, (u64 __user *)attr.addr);
}

static long vcpu_attr(struct kvm_vcpu *vcpu, unsigned int ioctl, void __user *argp)
{
	struct kvm_device_attr attr;
	u64 offset;

	if (copy_from_user(&attr, argp, sizeof(attr)))
		return -EFAULT;
	if (attr.flags)
		return -EINVAL;
	if (attr.group != KVM_VCPU_TSC_CTRL || attr.attr != KVM_VCPU_TSC_OFFSET)
		return -ENXIO;

	switch (ioctl) {
	case KVM_HAS_DEVICE_ATTR:
		return 0;
	case KVM_GET_DEVICE_ATTR:
		return put_user(vcpu->arch.tsc_offset, (u64 __user *)attr.addr);
	default:
		if (get_user(offset, (u64 __user *)attr.addr))
			return -EFAULT;
		kvm_tsc_set_offset(vcpu, offset);
		return 0;
	}
}

/* ---- /dev/kvm -------------------------------------------------------------------------------- */

long kvm_arch_dev_ioctl(unsigned int ioctl, unsigned long arg)
{
	void __user *argp = (void __user *)arg;

	switch (ioctl) {
	case KVM_GET_MSR_INDEX_LIST:
		return kvm_dev_get_msr_index_list(argp, false);
	case KVM_GET_MSR_FEATURE_INDEX_LIST:
		return kvm_dev_get_msr_index_list(argp, true);
	case KVM_GET_MSRS:
		return kvm_dev_get_feature_msrs(argp);
	case KVM_GET_SUPPORTED_CPUID:
	case KVM_GET_EMULATED_CPUID:
		return kvm_dev_get_cpuid(argp, ioctl);
	case KVM_X86_GET_MCE_CAP_SUPPORTED:
		return put_user(kvm_mce_cap_supported(), (u64 __user *)argp);
	case KVM_GET_DEVICE_ATTR:
	case KVM_HAS_DEVICE_ATTR:
		return dev_attr(ioctl, argp);
	default:
		return -EINVAL;
	}
}

/* ---- VM -------------------------------------------------------------------------------------- */

static long set_identity_map_addr(struct kvm *kvm, u64 __user *argp)
{
	long r = -EINVAL;
	u64 addr;

	if (get_user(addr, argp))
		return -EFAULT;
	mutex_lock(&kvm->lock);
	if (!kvm->created_vcpus)
		r = kvm_x86_ops.set_identity_map_addr(kvm, addr);
	mutex_unlock(&kvm->lock);
	return r;
}

static long set_boot_cpu_id(struct kvm *kvm, unsigned long id)
{
	long r = 0;

	mutex_lock(&kvm->lock);
	if (kvm->created_vcpus)
		r = -EBUSY;
	else if (id > KVM_MAX_VCPU_IDS || (kvm->arch.max_vcpu_ids && id >= kvm->arch.max_vcpu_ids))
		r = -EINVAL;
	else
		kvm->arch.bsp_vcpu_id = id;
	mutex_unlock(&kvm->lock);
	return r;
}

static long set_nr_mmu_pages(struct kvm *kvm, unsigned long nr)
{
	long r;

	mutex_lock(&kvm->slots_lock);
	r = kvm_mmu_set_nr_pages(kvm, nr);
	mutex_unlock(&kvm->slots_lock);
	return r;
}

/* The frequency of vcpus to come. */
static long vm_set_tsc_khz(struct kvm *kvm, unsigned long khz)
{
	long r = -EINVAL;

	if (khz != (u32)khz)
		return -EINVAL;
	mutex_lock(&kvm->lock);
	if (!kvm->created_vcpus && (!khz || kvm_tsc_khz_valid(khz))) {
		if (khz)
			kvm->arch.default_tsc_khz = khz;
		r = 0;
	}
	mutex_unlock(&kvm->lock);
	return r;
}

static long vm_get_clock(struct kvm *kvm, void __user *argp)
{
	struct kvm_clock_data data;

	kvm_clock_get(kvm, &data);
	return copy_to_user(argp, &data, sizeof(data)) ? -EFAULT : 0;
}

static long vm_set_clock(struct kvm *kvm, const void __user *argp)
{
	struct kvm_clock_data data;

	if (copy_from_user(&data, argp, sizeof(data)))
		return -EFAULT;
	return kvm_clock_set(kvm, &data);
}

long kvm_arch_vm_ioctl(struct kvm *kvm, unsigned int ioctl, unsigned long arg)
{
	switch (ioctl) {
	case KVM_SET_TSS_ADDR:
		if (arg > TSS_ADDR_MAX)
			return -EINVAL;
		return kvm_x86_ops.set_tss_addr(kvm, arg);
	case KVM_SET_IDENTITY_MAP_ADDR:
		return set_identity_map_addr(kvm, (u64 __user *)arg);
	case KVM_SET_BOOT_CPU_ID:
		return set_boot_cpu_id(kvm, arg);
	case KVM_SET_NR_MMU_PAGES:
		return set_nr_mmu_pages(kvm, arg);
	case KVM_GET_NR_MMU_PAGES:
		return min_t(unsigned long, READ_ONCE(kvm->arch.mmu.max_pages), INT_MAX);
	case KVM_SET_TSC_KHZ:
		return vm_set_tsc_khz(kvm, arg);
	case KVM_GET_TSC_KHZ:
		return READ_ONCE(kvm->arch.default_tsc_khz);
	case KVM_GET_CLOCK:
		return vm_get_clock(kvm, (void __user *)arg);
	case KVM_X86_SET_MSR_FILTER:
		return kvm_msr_filter_set(kvm, (void __user *)arg);
	case KVM_X86_SET_MSR_FILTER_COMPAT:
		return in_compat_syscall() ? kvm_msr_filter_set_compat(kvm, (void __user *)arg) :
					     -ENOTTY;
	case KVM_SET_CLOCK:
		return vm_set_clock(kvm, (void __user *)arg);
	case KVM_XEN_HVM_CONFIG:
	case KVM_XEN_HVM_GET_ATTR:
	case KVM_XEN_HVM_SET_ATTR:
	case KVM_XEN_HVM_EVTCHN_SEND:
		return kvm_xen_vm_ioctl(kvm, ioctl, (void __user *)arg);
	default:
		return kvm_irqchip_ioctl(kvm, ioctl, arg);
	}
}

/* ---- vcpu ------------------------------------------------------------------------------------ */

static int get_mp_state(struct kvm_vcpu *vcpu, struct kvm_mp_state *state)
{
	/* An INIT or STARTUP under way has no place of its own in what is saved: obey it now. */
	kvm_lapic_take_signals(vcpu);
	if (vcpu->arch.mp_state == KVM_MP_STATE_HALTED)
		kvm_take_unhalt(vcpu);
	state->mp_state = vcpu->arch.mp_state;
	return 0;
}

/* The states other than running are those of a local APIC in the kernel. */
static bool mp_state_valid(struct kvm_vcpu *vcpu, u32 state)
{
	switch (state) {
	case KVM_MP_STATE_RUNNABLE:
		return true;
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_HALTED:
		return kvm_has_lapic(vcpu);
	case KVM_MP_STATE_INIT_RECEIVED:
	case KVM_MP_STATE_SIPI_RECEIVED:
		/* In system management mode an INIT waits. */
		return kvm_has_lapic(vcpu) && !kvm_in_smm(vcpu) && !kvm_smi_waiting(vcpu);
	default:
		return false;
	}
}

static int set_mp_state(struct kvm_vcpu *vcpu, const struct kvm_mp_state *state)
{
	if (!mp_state_valid(vcpu, state->mp_state))
		return -EINVAL;
	if (state->mp_state == KVM_MP_STATE_SIPI_RECEIVED) {
		/* It has been received and waits to be obeyed. */
		vcpu->arch.mp_state = KVM_MP_STATE_INIT_RECEIVED;
		set_bit(KVM_LAPIC_STARTUP, &vcpu->arch.lapic->signals);
	} else {
		vcpu->arch.mp_state = state->mp_state;
	}
	WRITE_ONCE(vcpu->arch.pv.unhalted, false);
	kvm_request(vcpu, KVM_REQ_EVENT);
	return 0;
}

/* Requests whose argument is one structure of fixed size, which its number tells. */
union vcpu_arg {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_sregs2 sregs2;
	struct kvm_fpu fpu;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	struct kvm_translation translation;
	struct kvm_guest_debug guest_debug;
	struct kvm_interrupt interrupt;
	struct kvm_x86_mce mce;
	struct kvm_enable_cap enable_cap;
	u64 value;
};

static int vcpu_arg_handle(struct kvm_vcpu *vcpu, unsigned int ioctl, union vcpu_arg *a)
{
	switch (ioctl) {
	case KVM_GET_REGS:
		return kvm_get_regs(vcpu, &a->regs);
	case KVM_SET_REGS:
		return kvm_set_regs(vcpu, &a->regs);
	case KVM_GET_SREGS:
		return kvm_get_sregs(vcpu, &a->sregs);
	case KVM_SET_SREGS:
		return kvm_set_sregs(vcpu, &a->sregs);
	case KVM_GET_SREGS2:
		return kvm_get_sregs2(vcpu, &a->sregs2);
	case KVM_SET_SREGS2:
		return kvm_set_sregs2(vcpu, &a->sregs2);
	case KVM_GET_FPU:
		return kvm_get_fpu(vcpu, &a->fpu);
	case KVM_SET_FPU:
		return kvm_set_fpu(vcpu, &a->fpu);
	case KVM_GET_XCRS:
		return kvm_get_xcrs(vcpu, &a->xcrs);
	case KVM_SET_XCRS:
		return kvm_set_xcrs(vcpu, &a->xcrs);
	case KVM_GET_DEBUGREGS:
		return kvm_get_debugregs(vcpu, &a->debugregs);
	case KVM_SET_DEBUGREGS:
		return kvm_set_debugregs(vcpu, &a->debugregs);
	case KVM_GET_VCPU_EVENTS:
		return kvm_get_vcpu_events(vcpu, &a->events);
	case KVM_SET_VCPU_EVENTS:
		return kvm_set_vcpu_events(vcpu, &a->events);
	case KVM_GET_MP_STATE:
		return get_mp_state(vcpu, &a->mp_state);
	case KVM_SET_MP_STATE:
		return set_mp_state(vcpu, &a->mp_state);
	case KVM_TRANSLATE:
		return kvm_translate(vcpu, &a->translation);
	case KVM_SET_GUEST_DEBUG:
		return kvm_set_guest_debug(vcpu, &a->guest_debug);
	case KVM_INTERRUPT:
		return kvm_vcpu_interrupt(vcpu, &a->interrupt);
	case KVM_X86_SETUP_MCE:
		return kvm_mce_setup(vcpu, a->value);
	case KVM_X86_SET_MCE:
		return kvm_mce_inject(vcpu, &a->mce);
	case KVM_ENABLE_CAP:
		return kvm_pv_enable_cap(vcpu, &a->enable_cap);
	default:
		return -EINVAL;
	}
}

static long vcpu_arg_ioctl(struct kvm_vcpu *vcpu, unsigned int ioctl, void __user *argp)
{
	unsigned int size = _IOC_SIZE(ioctl);
	union vcpu_arg a;
	int r;

	if (size > sizeof(a))
		return -EINVAL;
	if ((_IOC_DIR(ioctl) & _IOC_WRITE) && copy_from_user(&a, argp, size))
		return -EFAULT;

	r = vcpu_arg_handle(vcpu, ioctl, &a);
	if (r)
		return r;
	if ((_IOC_DIR(ioctl) & _IOC_READ) && copy_to_user(argp, &a, size))
		return -EFAULT;
	return 0;
}

static long vcpu_set_tsc_khz(struct kvm_vcpu *vcpu, unsigned long khz)
{
	return khz == (u32)khz ? kvm_set_tsc_khz(vcpu, khz) : -EINVAL;
}

static long set_vapic_addr(struct kvm_vcpu *vcpu, void __user *argp)
{
	struct kvm_vapic_addr va;
	u32 probe;

	if (!kvm_has_lapic(vcpu))
		return -EINVAL;
	if (copy_from_user(&va, argp, sizeof(va)))
		return -EFAULT;
	if (va.vapic_addr && kvm_guest_read(vcpu, va.vapic_addr, &probe, sizeof(probe)))
		return -EINVAL;
	vcpu->arch.vapic_addr = va.vapic_addr;
	kvm_lapic_mode_changed(vcpu);
	return 0;
}

static long tpr_access_reporting(struct kvm_vcpu *vcpu, void __user *argp)
{
	struct kvm_tpr_access_ctl ctl;

	if (copy_from_user(&ctl, argp, sizeof(ctl)))
		return -EFAULT;
	if (ctl.flags)
		return -EINVAL;
	vcpu->arch.report_tpr = ctl.enabled;
	return copy_to_user(argp, &ctl, sizeof(ctl)) ? -EFAULT : 0;
}

static long lapic_ioctl(struct kvm_vcpu *vcpu, bool set, void __user *argp)
{
	struct kvm_lapic_state *state;
	long r;

	if (!kvm_has_lapic(vcpu))
		return -EINVAL;
	state = kzalloc(sizeof(*state), GFP_KERNEL_ACCOUNT);
	if (!state)
		return -ENOMEM;
	if (set) {
		r = -EFAULT;
		if (!copy_from_user(state, argp, sizeof(*state)))
			r = kvm_lapic_set_state(vcpu, state);
	} else {
		r = kvm_lapic_get_state(vcpu, state);
		if (!r && copy_to_user(argp, state, sizeof(*state)))
			r = -EFAULT;
	}
	kfree(state);
	return r;
}

long kvm_arch_vcpu_ioctl(struct kvm_vcpu *vcpu, unsigned int ioctl, unsigned long arg)
{
	void __user *argp = (void __user *)arg;

	switch (ioctl) {
	case KVM_NMI:
		kvm_queue_nmi(vcpu);
		return 0;
	case KVM_SMI:
		kvm_queue_smi(vcpu);
		return 0;
	case KVM_KVMCLOCK_CTRL:
		return kvm_clock_guest_stopped(vcpu);
	case KVM_GET_LAPIC:
	case KVM_SET_LAPIC:
		return lapic_ioctl(vcpu, ioctl == KVM_SET_LAPIC, argp);
	case KVM_SET_VAPIC_ADDR:
		return set_vapic_addr(vcpu, argp);
	case KVM_TPR_ACCESS_REPORTING:
		return tpr_access_reporting(vcpu, argp);
	case KVM_GET_MSRS:
		return kvm_vcpu_msrs_ioctl(vcpu, argp, false);
	case KVM_SET_MSRS:
		return kvm_vcpu_msrs_ioctl(vcpu, argp, true);
	case KVM_GET_XSAVE:
	case KVM_GET_XSAVE2:
	case KVM_SET_XSAVE:
		return kvm_vcpu_xsave_ioctl(vcpu, ioctl, argp);
	case KVM_SET_CPUID:
		return kvm_vcpu_set_cpuid(vcpu, argp);
	case KVM_SET_CPUID2:
		return kvm_vcpu_set_cpuid2(vcpu, argp);
	case KVM_GET_CPUID2:
		return kvm_vcpu_get_cpuid2(vcpu, argp);
	case KVM_SET_TSC_KHZ:
		return vcpu_set_tsc_khz(vcpu, arg);
	case KVM_GET_TSC_KHZ:
		return vcpu->arch.tsc_khz;
	case KVM_HAS_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		return vcpu_attr(vcpu, ioctl, argp);
	case KVM_XEN_VCPU_GET_ATTR:
	case KVM_XEN_VCPU_SET_ATTR:
		return kvm_xen_vcpu_ioctl(vcpu, ioctl, argp);
	default:
		return vcpu_arg_ioctl(vcpu, ioctl, argp);
	}
}
