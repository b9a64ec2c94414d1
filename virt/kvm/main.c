// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/kvm: the system file descriptor, the capabilities every architecture has, and the life of
 * the core as a module. KVM API document, sections 4.1 to 4.5.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/preempt.h>

#include "core.h"

#define CREATE_TRACE_POINTS
#include <trace/events/kvm.h>

EXPORT_TRACEPOINT_SYMBOL_GPL(kvm_userspace_exit);

/* Answers that do not depend on the architecture, 0 for "no". -ENOTTY: not the core's. */
static int generic_extension(struct kvm *kvm, long ext)
{
	switch (ext) {
	case KVM_CAP_BINARY_STATS_FD:
	case KVM_CAP_CHECK_EXTENSION_VM:
	case KVM_CAP_COALESCED_PIO:
	case KVM_CAP_DESTROY_MEMORY_REGION_WORKS:
	case KVM_CAP_DEVICE_CTRL:
	case KVM_CAP_ENABLE_CAP_VM:
	case KVM_CAP_HALT_POLL:
	case KVM_CAP_IMMEDIATE_EXIT:
	case KVM_CAP_INTERNAL_ERROR_DATA:
	case KVM_CAP_IOEVENTFD:
	case KVM_CAP_IOEVENTFD_ANY_LENGTH:
	case KVM_CAP_IOEVENTFD_NO_LENGTH:
	case KVM_CAP_JOIN_MEMORY_REGIONS_WORKS:
	case KVM_CAP_MEMORY_FAULT_INFO:
	case KVM_CAP_MP_STATE:
	case KVM_CAP_READONLY_MEM:
	case KVM_CAP_SYNC_MMU:
	case KVM_CAP_USER_MEMORY2:
	case KVM_CAP_USER_MEMORY:
		return 1;
	case KVM_CAP_COALESCED_MMIO:
		return KVM_COALESCED_MMIO_PAGE_OFFSET;
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		return KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET;
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL:
		return kvm_dirty_ring_max_bytes();
	case KVM_CAP_GUEST_MEMFD:
		/* The files can be made; no VM there is takes them as memory. */
		return !kvm;
	case KVM_CAP_NR_MEMSLOTS:
		return KVM_USER_MEM_SLOTS;
	case KVM_CAP_IRQ_ROUTING:
		return KVM_MAX_IRQ_ROUTES;
	case KVM_CAP_IRQFD:
	case KVM_CAP_IRQFD_RESAMPLE:
	case KVM_CAP_SIGNAL_MSI:
		return kvm_arch_can_route(NULL);
	case KVM_CAP_NR_VCPUS:
		return min_t(unsigned int, num_online_cpus(), KVM_MAX_VCPUS);
	case KVM_CAP_MAX_VCPUS:
		return KVM_MAX_VCPUS;
	case KVM_CAP_MAX_VCPU_ID:
		return KVM_MAX_VCPU_IDS;
	default:
		return -ENOTTY;
	}
}

int kvm_check_extension(struct kvm *kvm, long ext)
{
	int r = generic_extension(kvm, ext);

	return r == -ENOTTY ? kvm_arch_check_extension(kvm, ext) : r;
}

static long dev_ioctl(struct file *file, unsigned int ioctl, unsigned long arg)
{
	switch (ioctl) {
	case KVM_GET_API_VERSION:
		return arg ? -EINVAL : KVM_API_VERSION;
	case KVM_CREATE_VM:
		return kvm_vm_create_fd(arg);
	case KVM_CHECK_EXTENSION:
		return kvm_check_extension(NULL, arg);
	case KVM_GET_VCPU_MMAP_SIZE:
		return arg ? -EINVAL : (KVM_COALESCED_MMIO_PAGE_OFFSET + 1) * PAGE_SIZE;
	default:
		return kvm_arch_dev_ioctl(ioctl, arg);
	}
}

static struct file_operations dev_fops = {
	.unlocked_ioctl = dev_ioctl,
	.compat_ioctl = dev_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice kvm_device = {
	.minor = KVM_MINOR,
	.name = "kvm",
	.fops = &dev_fops,
};

int kvm_init(unsigned int vcpu_size, unsigned int vcpu_align, struct module *owner)
{
	int r;

	r = kvm_vcpu_module_init(vcpu_size, vcpu_align, owner);
	if (r)
		return r;
	r = kvm_host_work_init();
	if (r)
		goto err_vcpu;
	r = kvm_irqfd_module_init();
	if (r)
		goto err_work;
	r = kvm_async_pf_module_init();
	if (r)
		goto err_irqfd;
	r = kvm_cpu_module_init();
	if (r)
		goto err_async_pf;

	/* Here and not with the first VM: it patches the scheduler's code on every processor. */
	preempt_notifier_inc();
	kvm_debugfs_init();

	dev_fops.owner = owner;
	kvm_vm_fops_set_owner(owner);
	kvm_device_fops_set_owner(owner);
	kvm_stats_fops_set_owner(owner);
	kvm_guest_memfd_fops_set_owner(owner);
	/* Last: from here on userspace may come in. */
	r = misc_register(&kvm_device);
	if (r)
		goto err_debugfs;
	return 0;

err_debugfs:
	kvm_debugfs_exit();
	preempt_notifier_dec();
	kvm_cpu_module_exit();
err_async_pf:
	kvm_async_pf_module_exit();
err_irqfd:
	kvm_irqfd_module_exit();
err_work:
	kvm_host_work_exit();
err_vcpu:
	kvm_vcpu_module_exit();
	return r;
}

void kvm_exit(void)
{
	misc_deregister(&kvm_device);
	kvm_debugfs_exit();
	preempt_notifier_dec();
	kvm_cpu_module_exit();
	kvm_async_pf_module_exit();
	kvm_irqfd_module_exit();
	kvm_host_work_exit();
	kvm_vcpu_module_exit();
}
