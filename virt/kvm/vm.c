// SPDX-License-Identifier: GPL-2.0
/*
 * A virtual machine: its creation and end, its file descriptor and the ioctls that every
 * architecture has. Each VM file and each vcpu file holds one reference, and so may the kernel
 * for a while; the last one out takes everything down. KVM API document, sections 4.2 and 5.
 */
#include <linux/anon_inodes.h>
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "core.h"

DEFINE_MUTEX(kvm_vm_list_lock);
EXPORT_SYMBOL_GPL(kvm_vm_list_lock);
LIST_HEAD(kvm_vm_list);
EXPORT_SYMBOL_GPL(kvm_vm_list);

static void vm_init_fields(struct kvm *kvm)
{
	rwlock_init(&kvm->mmu_lock);
	mutex_init(&kvm->lock);
	mutex_init(&kvm->slots_lock);
	spin_lock_init(&kvm->mn_lock);
	spin_lock_init(&kvm->coalesced_lock);
	INIT_LIST_HEAD(&kvm->coalesced_zones);
	INIT_LIST_HEAD(&kvm->doorbells);
	INIT_LIST_HEAD(&kvm->devices);
	mutex_init(&kvm->irq_lock);
	spin_lock_init(&kvm->irqfds_lock);
	INIT_LIST_HEAD(&kvm->irqfds);
	mutex_init(&kvm->bypass_lock);
	INIT_LIST_HEAD(&kvm->bypasses);
	mutex_init(&kvm->resampler_lock);
	INIT_LIST_HEAD(&kvm->resamplers);
	INIT_LIST_HEAD(&kvm->vm_list);
	xa_init(&kvm->vcpu_array);
	refcount_set(&kvm->users, 1);
	kvm->max_halt_poll_ns = ~0u;
	kvm->mm = current->mm;
}

static struct kvm *vm_create(unsigned long type)
{
	struct kvm *kvm;
	int r;

	kvm = kvzalloc(sizeof(*kvm), GFP_KERNEL_ACCOUNT);
	if (!kvm)
		return ERR_PTR(-ENOMEM);
	vm_init_fields(kvm);
	mmgrab(kvm->mm);

	r = init_srcu_struct(&kvm->srcu);
	if (r)
		goto err_mm;
	r = kvm_memslots_init(kvm);
	if (r)
		goto err_srcu;
	r = kvm_virtualization_get();
	if (r)
		goto err_memslots;
	r = kvm_arch_vm_create(kvm, type);
	if (r)
		goto err_virtualization;
	r = kvm_mmu_notifier_register(kvm);
	if (r)
		goto err_arch;

	mutex_lock(&kvm_vm_list_lock);
	list_add(&kvm->vm_list, &kvm_vm_list);
	mutex_unlock(&kvm_vm_list_lock);
	return kvm;

err_arch:
	kvm_arch_vm_destroy(kvm);
err_virtualization:
	kvm_virtualization_put();
err_memslots:
	kvm_memslots_destroy(kvm);
err_srcu:
	cleanup_srcu_struct(&kvm->srcu);
err_mm:
	mmdrop(kvm->mm);
	kvfree(kvm);
	return ERR_PTR(r);
}

/* No file and no vcpu thread is left; the mm may be dead or alive. */
static void vm_destroy(struct kvm *kvm)
{
	mutex_lock(&kvm_vm_list_lock);
	list_del(&kvm->vm_list);
	mutex_unlock(&kvm_vm_list_lock);

	kvm_vm_debugfs_remove(kvm);
	kvm_mmu_notifier_unregister(kvm);
	kvm_arch_vm_quiesce(kvm);
	kvm_vcpus_destroy(kvm);
	kvm_coalesced_destroy(kvm);
	kvm_io_buses_destroy(kvm);
	kvm_ioeventfds_destroy(kvm);
	kvm_arch_vm_destroy(kvm);
	kvm_irq_routing_destroy(kvm);
	kvm_memslots_destroy(kvm);
	cleanup_srcu_struct(&kvm->srcu);
	kvm_virtualization_put();
	mmdrop(kvm->mm);
	kvfree(kvm);
}

void kvm_get(struct kvm *kvm)
{
	refcount_inc(&kvm->users);
}
EXPORT_SYMBOL_GPL(kvm_get);

bool kvm_get_safe(struct kvm *kvm)
{
	return refcount_inc_not_zero(&kvm->users);
}
EXPORT_SYMBOL_GPL(kvm_get_safe);

void kvm_put(struct kvm *kvm)
{
	if (refcount_dec_and_test(&kvm->users))
		vm_destroy(kvm);
}
EXPORT_SYMBOL_GPL(kvm_put);

void kvm_vm_bugged(struct kvm *kvm)
{
	pr_err_ratelimited("kvm: VM of process %d broke an internal invariant and is stopped\n",
			   current->tgid);
	kvm->vm_bugged = true;
	kvm->vm_dead = true;
	kvm_request_all(kvm, KVM_REQ_VM_DEAD);
}
EXPORT_SYMBOL_GPL(kvm_vm_bugged);

static int vm_enable_cap(struct kvm *kvm, struct kvm_enable_cap *cap)
{
	u64 allowed = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET;

	switch (cap->cap) {
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		/* INITIALLY_SET means something only together with the manual protection. */
		if (!(cap->args[0] & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE))
			allowed = 0;
		if (cap->flags || (cap->args[0] & ~allowed))
			return -EINVAL;
		WRITE_ONCE(kvm->manual_dirty_log_protect, cap->args[0]);
		return 0;
	case KVM_CAP_DIRTY_LOG_RING:
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL:
		return cap->flags ? -EINVAL : kvm_dirty_ring_enable(kvm, cap->args[0]);
	case KVM_CAP_HALT_POLL:
		if (cap->flags || cap->args[0] != (unsigned int)cap->args[0])
			return -EINVAL;
		WRITE_ONCE(kvm->max_halt_poll_ns, cap->args[0]);
		return 0;
	default:
		return kvm_arch_vm_enable_cap(kvm, cap);
	}
}

static long vm_set_memory_region(struct kvm *kvm, unsigned int ioctl, void __user *argp)
{
	struct kvm_userspace_memory_region2 region = { };
	size_t size = sizeof(struct kvm_userspace_memory_region);

	/* The newer structure starts with the older one. */
	if (ioctl == KVM_SET_USER_MEMORY_REGION2)
		size = sizeof(region);
	if (copy_from_user(&region, argp, size))
		return -EFAULT;
	return kvm_vm_set_memory_region(kvm, &region);
}

static long vm_coalesced(struct kvm *kvm, bool add, void __user *argp)
{
	struct kvm_coalesced_mmio_zone zone;

	if (copy_from_user(&zone, argp, sizeof(zone)))
		return -EFAULT;
	return add ? kvm_coalesced_register(kvm, &zone) : kvm_coalesced_unregister(kvm, &zone);
}

static long vm_ioeventfd(struct kvm *kvm, void __user *argp)
{
	struct kvm_ioeventfd args;

	if (copy_from_user(&args, argp, sizeof(args)))
		return -EFAULT;
	return kvm_ioeventfd_set(kvm, &args);
}

static long vm_irqfd(struct kvm *kvm, void __user *argp)
{
	struct kvm_irqfd args;

	if (copy_from_user(&args, argp, sizeof(args)))
		return -EFAULT;
	return kvm_irqfd_set(kvm, &args);
}

static long vm_set_gsi_routing(struct kvm *kvm, struct kvm_irq_routing __user *argp)
{
	struct kvm_irq_routing_entry *entries = NULL;
	struct kvm_irq_routing routing;
	int r;

	if (copy_from_user(&routing, argp, sizeof(routing)))
		return -EFAULT;
	if (!kvm_arch_can_route(kvm) || routing.nr > KVM_MAX_IRQ_ROUTES || routing.flags)
		return -EINVAL;
	if (routing.nr) {
		entries = vmemdup_array_user(argp->entries, routing.nr, sizeof(*entries));
		if (IS_ERR(entries))
			return PTR_ERR(entries);
	}
	r = kvm_irq_routing_set(kvm, entries, routing.nr);
	kvfree(entries);
	return r;
}

static long vm_signal_msi(struct kvm *kvm, void __user *argp)
{
	struct kvm_msi msi;

	if (copy_from_user(&msi, argp, sizeof(msi)))
		return -EFAULT;
	return kvm_irq_inject_msi(kvm, &msi);
}

static long vm_create_device(struct kvm *kvm, void __user *argp)
{
	struct kvm_create_device args;
	long r;

	if (copy_from_user(&args, argp, sizeof(args)))
		return -EFAULT;
	r = kvm_device_create(kvm, &args);
	if (r)
		return r;
	return copy_to_user(argp, &args, sizeof(args)) ? -EFAULT : 0;
}

/* What a 32-bit process calls a pointer is the low half of the field, which is a u64 to it as well. */
static void __user *bitmap_of_caller(u64 field)
{
	return in_compat_syscall() ? compat_ptr(field) : u64_to_user_ptr(field);
}

static long vm_dirty_log(struct kvm *kvm, unsigned int ioctl, void __user *argp)
{
	union {
		struct kvm_dirty_log get;
		struct kvm_clear_dirty_log clear;
	} log;

	if (ioctl == KVM_GET_DIRTY_LOG) {
		if (copy_from_user(&log.get, argp, sizeof(log.get)))
			return -EFAULT;
		log.get.dirty_bitmap = bitmap_of_caller(log.get.padding2);
		return kvm_vm_get_dirty_log(kvm, &log.get);
	}
	if (copy_from_user(&log.clear, argp, sizeof(log.clear)))
		return -EFAULT;
	log.clear.dirty_bitmap = bitmap_of_caller(log.clear.padding2);
	return kvm_vm_clear_dirty_log(kvm, &log.clear);
}

static long vm_create_guest_memfd(void __user *argp)
{
	struct kvm_create_guest_memfd args;

	if (copy_from_user(&args, argp, sizeof(args)))
		return -EFAULT;
	return kvm_guest_memfd_create(&args);
}

/* The one attribute of this version of the ABI is for VMs that there are not; none is none. */
static long vm_set_memory_attributes(void __user *argp)
{
	struct kvm_memory_attributes args;

	if (copy_from_user(&args, argp, sizeof(args)))
		return -EFAULT;
	if (args.flags || args.attributes || !args.size ||
	    args.address + args.size < args.address || !PAGE_ALIGNED(args.address | args.size))
		return -EINVAL;
	return 0;
}

static long vm_ioctl(struct file *file, unsigned int ioctl, unsigned long arg)
{
	void __user *argp = (void __user *)arg;
	struct kvm *kvm = file->private_data;
	struct kvm_enable_cap cap;

	if (kvm->mm != current->mm || READ_ONCE(kvm->vm_dead))
		return -EIO;

	switch (ioctl) {
	case KVM_CREATE_VCPU:
		return kvm_vcpu_create_fd(kvm, arg);
	case KVM_ENABLE_CAP:
		if (copy_from_user(&cap, argp, sizeof(cap)))
			return -EFAULT;
		return vm_enable_cap(kvm, &cap);
	case KVM_SET_USER_MEMORY_REGION:
	case KVM_SET_USER_MEMORY_REGION2:
		return vm_set_memory_region(kvm, ioctl, argp);
	case KVM_CREATE_GUEST_MEMFD:
		return vm_create_guest_memfd(argp);
	case KVM_SET_MEMORY_ATTRIBUTES:
		return vm_set_memory_attributes(argp);
	case KVM_GET_DIRTY_LOG:
	case KVM_CLEAR_DIRTY_LOG:
		return vm_dirty_log(kvm, ioctl, argp);
	case KVM_RESET_DIRTY_RINGS:
		return kvm_vm_reset_dirty_rings(kvm);
	case KVM_REGISTER_COALESCED_MMIO:
		return vm_coalesced(kvm, true, argp);
	case KVM_UNREGISTER_COALESCED_MMIO:
		return vm_coalesced(kvm, false, argp);
	case KVM_IOEVENTFD:
		return vm_ioeventfd(kvm, argp);
	case KVM_CHECK_EXTENSION:
		return kvm_check_extension(kvm, arg);
	case KVM_IRQFD:
		return vm_irqfd(kvm, argp);
	case KVM_SET_GSI_ROUTING:
		return vm_set_gsi_routing(kvm, argp);
	case KVM_SIGNAL_MSI:
		return vm_signal_msi(kvm, argp);
	case KVM_CREATE_DEVICE:
		return vm_create_device(kvm, argp);
	case KVM_GET_STATS_FD:
		return kvm_vm_stats_fd(kvm);
	default:
		return kvm_arch_vm_ioctl(kvm, ioctl, arg);
	}
}

static int vm_release(struct inode *inode, struct file *file)
{
	struct kvm *kvm = file->private_data;

	kvm_irqfds_release(kvm);
	kvm_put(kvm);
	return 0;
}

static struct file_operations vm_fops = {
	.release = vm_release,
	.unlocked_ioctl = vm_ioctl,
	.compat_ioctl = vm_ioctl,
	.llseek = noop_llseek,
};

void kvm_vm_fops_set_owner(struct module *owner)
{
	vm_fops.owner = owner;
}

struct kvm *kvm_from_file(struct file *file)
{
	return file && file->f_op == &vm_fops ? file->private_data : NULL;
}
EXPORT_SYMBOL_GPL(kvm_from_file);

int kvm_vm_create_fd(unsigned long type)
{
	struct file *file;
	struct kvm *kvm;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;

	kvm = vm_create(type);
	if (IS_ERR(kvm)) {
		put_unused_fd(fd);
		return PTR_ERR(kvm);
	}
	file = anon_inode_getfile("kvm-vm", &vm_fops, kvm, O_RDWR);
	if (IS_ERR(file)) {
		kvm_put(kvm);
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	snprintf(kvm->stats_id, sizeof(kvm->stats_id), "kvm-%d", task_pid_nr(current));
	kvm_vm_debugfs_create(kvm, fd);
	fd_install(fd, file);
	return fd;
}
