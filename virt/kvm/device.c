// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that userspace makes within a VM: KVM_CREATE_DEVICE, the file it returns, and the
 * attributes behind that. Owns their life; what an attribute means is the device's. KVM API
 * document, sections 4.79 and 4.80.
 *
 * A device ends with its file, which holds the VM.
 */
#include <linux/anon_inodes.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "core.h"

static const struct kvm_device_ops *const device_types[] = {
	[KVM_DEV_TYPE_VFIO] = &kvm_vfio_ops,
};

static const struct kvm_device_ops *find_type(u32 type)
{
	if (type >= ARRAY_SIZE(device_types))
		return NULL;
	return device_types[array_index_nospec(type, ARRAY_SIZE(device_types))];
}

static long attr_ioctl(struct kvm_device *dev,
		       int (*access)(struct kvm_device *dev, const struct kvm_device_attr *attr),
		       const void __user *argp)
{
	struct kvm_device_attr attr;

	if (!access)
		return -EPERM;
	if (copy_from_user(&attr, argp, sizeof(attr)))
		return -EFAULT;
	return access(dev, &attr);
}

static long device_ioctl(struct file *file, unsigned int ioctl, unsigned long arg)
{
	struct kvm_device *dev = file->private_data;
	void __user *argp = (void __user *)arg;

	if (dev->kvm->mm != current->mm || READ_ONCE(dev->kvm->vm_dead))
		return -EIO;
	switch (ioctl) {
	case KVM_SET_DEVICE_ATTR:
		return attr_ioctl(dev, dev->ops->set_attr, argp);
	case KVM_GET_DEVICE_ATTR:
		return attr_ioctl(dev, dev->ops->get_attr, argp);
	case KVM_HAS_DEVICE_ATTR:
		return attr_ioctl(dev, dev->ops->has_attr, argp);
	default:
		return -ENOTTY;
	}
}

static void device_end(struct kvm_device *dev)
{
	struct kvm *kvm = dev->kvm;

	mutex_lock(&kvm->lock);
	list_del(&dev->list);
	mutex_unlock(&kvm->lock);
	dev->ops->destroy(dev);
	kfree(dev);
}

static int device_release(struct inode *inode, struct file *file)
{
	struct kvm_device *dev = file->private_data;
	struct kvm *kvm = dev->kvm;

	device_end(dev);
	kvm_put(kvm);
	return 0;
}

static struct file_operations device_fops = {
	.release = device_release,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = device_ioctl,
	.llseek = noop_llseek,
};

void kvm_device_fops_set_owner(struct module *owner)
{
	device_fops.owner = owner;
}

/* kvm->lock held. A VM has one of each type at most. */
static bool has_device(struct kvm *kvm, const struct kvm_device_ops *ops)
{
	struct kvm_device *dev;

	list_for_each_entry(dev, &kvm->devices, list)
		if (dev->ops == ops)
			return true;
	return false;
}

static struct kvm_device *device_new(struct kvm *kvm, const struct kvm_device_ops *ops)
{
	struct kvm_device *dev = kzalloc(sizeof(*dev), GFP_KERNEL_ACCOUNT);
	int r;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	dev->ops = ops;
	dev->kvm = kvm;
	mutex_lock(&kvm->lock);
	r = has_device(kvm, ops) ? -EBUSY : ops->create(dev);
	if (!r)
		list_add(&dev->list, &kvm->devices);
	mutex_unlock(&kvm->lock);
	if (!r)
		return dev;
	kfree(dev);
	return ERR_PTR(r);
}

int kvm_device_create(struct kvm *kvm, struct kvm_create_device *args)
{
	const struct kvm_device_ops *ops = find_type(args->type);
	struct kvm_device *dev;
	int fd;

	if (!ops)
		return -ENODEV;
	if (args->flags & KVM_CREATE_DEVICE_TEST)
		return 0;
	dev = device_new(kvm, ops);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	kvm_get(kvm);
	fd = anon_inode_getfd(ops->name, &device_fops, dev, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		device_end(dev);
		kvm_put(kvm);
		return fd;
	}
	args->fd = fd;
	return 0;
}
