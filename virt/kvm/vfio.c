// SPDX-License-Identifier: GPL-2.0
/*
 * The VFIO device: userspace tells which VFIO files (groups or devices) belong to the VM, VFIO is
 * told of the VM for as long, and the VM knows whether one of them reads and writes memory behind
 * the processors' caches. KVM API document, devices/vfio.
 *
 * VFIO is a module that need not be loaded: its functions are looked up by name when there is a
 * file that is VFIO's, and VFIO looks up by name the two functions with which it holds the VM.
 */
#include <linux/file.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "core.h"

struct vfio_member {
	struct list_head list;
	struct file *file;
};

struct vfio_link {
	struct mutex lock;		/* members */
	struct list_head members;	/* struct vfio_member */
};

/* ---- the VM as VFIO holds it ---------------------------------------------------------------- */

/* The names are VFIO's, which warns if it does not find them. */
bool kvm_get_kvm_safe(struct kvm *kvm);
void kvm_put_kvm(struct kvm *kvm);

bool kvm_get_kvm_safe(struct kvm *kvm)
{
	return kvm_get_safe(kvm);
}
EXPORT_SYMBOL_GPL(kvm_get_kvm_safe);

void kvm_put_kvm(struct kvm *kvm)
{
	kvm_put(kvm);
}
EXPORT_SYMBOL_GPL(kvm_put_kvm);

/* ---- VFIO's functions ----------------------------------------------------------------------- */

static bool is_vfio_file(struct file *file)
{
	bool (*is_valid)(struct file *file) = symbol_get(vfio_file_is_valid);
	bool valid;

	if (!is_valid)
		return false;
	valid = is_valid(file);
	symbol_put(vfio_file_is_valid);
	return valid;
}

/* The file holds VFIO, so it is there from here on. */
static void tell_vfio(struct file *file, struct kvm *kvm)
{
	void (*set_kvm)(struct file *file, struct kvm *kvm) = symbol_get(vfio_file_set_kvm);

	if (!set_kvm)
		return;
	set_kvm(file, kvm);
	symbol_put(vfio_file_set_kvm);
}

static bool is_coherent(struct file *file)
{
	bool (*enforced)(struct file *file) = symbol_get(vfio_file_enforced_coherent);
	bool coherent;

	if (!enforced)
		return false;
	coherent = enforced(file);
	symbol_put(vfio_file_enforced_coherent);
	return coherent;
}

/* ---- members -------------------------------------------------------------------------------- */

/* lock held. */
static void update_coherency(struct kvm *kvm, struct vfio_link *link)
{
	struct vfio_member *member;
	bool noncoherent = false;

	list_for_each_entry(member, &link->members, list)
		noncoherent |= !is_coherent(member->file);
	WRITE_ONCE(kvm->noncoherent_dma, noncoherent);
}

static struct vfio_member *find_member(struct vfio_link *link, const struct file *file)
{
	struct vfio_member *member;

	list_for_each_entry(member, &link->members, list)
		if (member->file == file)
			return member;
	return NULL;
}

static int add_file(struct kvm_device *dev, struct file *file)
{
	struct vfio_link *link = dev->private;
	struct vfio_member *member;

	if (!is_vfio_file(file))
		return -EINVAL;
	if (find_member(link, file))
		return -EEXIST;
	member = kzalloc(sizeof(*member), GFP_KERNEL_ACCOUNT);
	if (!member)
		return -ENOMEM;
	member->file = get_file(file);
	list_add_tail(&member->list, &link->members);
	tell_vfio(file, dev->kvm);
	update_coherency(dev->kvm, link);
	return 0;
}

static void drop_member(struct vfio_member *member)
{
	list_del(&member->list);
	tell_vfio(member->file, NULL);
	fput(member->file);
	kfree(member);
}

static int remove_file(struct kvm_device *dev, struct file *file)
{
	struct vfio_link *link = dev->private;
	struct vfio_member *member = find_member(link, file);

	if (!member)
		return -ENOENT;
	drop_member(member);
	update_coherency(dev->kvm, link);
	return 0;
}

/* ---- the device ----------------------------------------------------------------------------- */

static int vfio_has_attr(struct kvm_device *dev, const struct kvm_device_attr *attr)
{
	if (attr->group != KVM_DEV_VFIO_FILE)
		return -ENXIO;
	switch (attr->attr) {
	case KVM_DEV_VFIO_FILE_ADD:
	case KVM_DEV_VFIO_FILE_DEL:
		return 0;
	default:
		return -ENXIO;
	}
}

static int vfio_set_attr(struct kvm_device *dev, const struct kvm_device_attr *attr)
{
	struct vfio_link *link = dev->private;
	struct file *file;
	int r, fd;

	r = vfio_has_attr(dev, attr);
	if (r)
		return r;
	if (get_user(fd, (int __user *)(unsigned long)attr->addr))
		return -EFAULT;
	file = fget(fd);
	if (!file)
		return -EBADF;
	mutex_lock(&link->lock);
	r = attr->attr == KVM_DEV_VFIO_FILE_ADD ? add_file(dev, file) : remove_file(dev, file);
	mutex_unlock(&link->lock);
	fput(file);
	return r;
}

static int vfio_create(struct kvm_device *dev)
{
	struct vfio_link *link = kzalloc(sizeof(*link), GFP_KERNEL_ACCOUNT);

	if (!link)
		return -ENOMEM;
	mutex_init(&link->lock);
	INIT_LIST_HEAD(&link->members);
	dev->private = link;
	return 0;
}

/* Nobody else has the device any more. */
static void vfio_destroy(struct kvm_device *dev)
{
	struct vfio_link *link = dev->private;

	mutex_lock(&link->lock);
	while (!list_empty(&link->members))
		drop_member(list_first_entry(&link->members, struct vfio_member, list));
	update_coherency(dev->kvm, link);
	mutex_unlock(&link->lock);
	kfree(link);
}

const struct kvm_device_ops kvm_vfio_ops = {
	.name = "kvm-vfio",
	.create = vfio_create,
	.destroy = vfio_destroy,
	.set_attr = vfio_set_attr,
	.has_attr = vfio_has_attr,
};
