// SPDX-License-Identifier: GPL-2.0
/*
 * Statistics, as their readers see them: the files of KVM_GET_STATS_FD (API document, section of
 * that name) and /sys/kernel/debug/kvm. Owns both formats and the names of the counters that every
 * architecture has; the counters themselves are members of the VM and of the vcpu, and whoever
 * causes an event counts it.
 */
#include <linux/anon_inodes.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <linux/kvm_host.h>

#include "core.h"

static_assert(offsetof(struct kvm_stat_desc, name) == sizeof(struct kvm_stats_desc));
static_assert(offsetof(struct kvm_stat_desc, bucket_size) ==
	      offsetof(struct kvm_stats_desc, bucket_size));

#define VM(member, type)	KVM_STAT(kvm_vm_stat, #member, generic.member, type, NONE, 0)
#define VCPU(member, type, unit, exp)	\
	KVM_STAT(kvm_vcpu_stat, #member, generic.member, type, unit, exp)

static const struct kvm_stat_desc vm_stats[] = {
	VM(remote_tlb_flush, CUMULATIVE),
	VM(remote_tlb_flush_requests, CUMULATIVE),
};

static const struct kvm_stat_desc vcpu_stats[] = {
	VCPU(halt_successful_poll, CUMULATIVE, NONE, 0),
	VCPU(halt_attempted_poll, CUMULATIVE, NONE, 0),
	VCPU(halt_poll_invalid, CUMULATIVE, NONE, 0),
	VCPU(halt_wakeup, CUMULATIVE, NONE, 0),
	VCPU(halt_poll_success_ns, CUMULATIVE, SECONDS, -9),
	VCPU(halt_poll_fail_ns, CUMULATIVE, SECONDS, -9),
	VCPU(halt_wait_ns, CUMULATIVE, SECONDS, -9),
	VCPU(halt_poll_success_hist, LOG_HIST, SECONDS, -9),
	VCPU(halt_poll_fail_hist, LOG_HIST, SECONDS, -9),
	VCPU(halt_wait_hist, LOG_HIST, SECONDS, -9),
	VCPU(blocking, INSTANT, BOOLEAN, 0),
};

/* ---- KVM_GET_STATS_FD ----------------------------------------------------------------------- */

/* The file is a row of blocks: header, id, descriptors (core, architecture), values. */
enum { BLOCK_HEADER, BLOCK_ID, BLOCK_CORE_DESC, BLOCK_ARCH_DESC, BLOCK_DATA, NR_BLOCKS };

struct stats_file {
	struct kvm *kvm;
	struct kvm_stats_header header;
	struct {
		const void *data;
		size_t size;
	} block[NR_BLOCKS];
};

static void stats_file_block(struct stats_file *sf, int nr, const void *data, size_t size)
{
	sf->block[nr].data = data;
	sf->block[nr].size = size;
}

static void stats_file_descs(struct stats_file *sf, const struct kvm_stat_desc *core,
			     unsigned int nr_core, const struct kvm_stat_desc *arch,
			     unsigned int nr_arch)
{
	struct kvm_stats_header *header = &sf->header;

	header->name_size = KVM_STATS_NAME_SIZE;
	header->num_desc = nr_core + nr_arch;
	header->id_offset = sizeof(*header);
	header->desc_offset = header->id_offset + KVM_STATS_NAME_SIZE;
	header->data_offset = header->desc_offset + header->num_desc * sizeof(*core);
	static_assert(sizeof(*header) % 8 == 0 && KVM_STATS_NAME_SIZE % 8 == 0);

	stats_file_block(sf, BLOCK_HEADER, header, sizeof(*header));
	stats_file_block(sf, BLOCK_CORE_DESC, core, nr_core * sizeof(*core));
	stats_file_block(sf, BLOCK_ARCH_DESC, arch, nr_arch * sizeof(*arch));
}

/* By way of the stack: vcpus come from a cache that user copies may not touch directly. */
static int stats_copy(char __user *to, const void *from, size_t size)
{
	char chunk[128];
	size_t part;

	for (; size; size -= part, to += part, from += part) {
		part = min(size, sizeof(chunk));
		memcpy(chunk, from, part);
		if (copy_to_user(to, chunk, part))
			return -EFAULT;
	}
	return 0;
}

static ssize_t stats_file_read(struct file *file, char __user *buf, size_t count, loff_t *ppos)
{
	struct stats_file *sf = file->private_data;
	loff_t start = 0, pos = *ppos;
	size_t done = 0;
	int i;

	for (i = 0; i < NR_BLOCKS && done < count; start += sf->block[i++].size) {
		size_t skip, part;

		if (pos >= start + sf->block[i].size)
			continue;
		skip = pos - start;
		part = min(count - done, sf->block[i].size - skip);
		if (stats_copy(buf + done, sf->block[i].data + skip, part))
			return -EFAULT;
		done += part;
		pos += part;
	}
	*ppos = pos;
	return done;
}

static int stats_file_release(struct inode *inode, struct file *file)
{
	struct stats_file *sf = file->private_data;

	kvm_put(sf->kvm);
	kfree(sf);
	return 0;
}

/* The owner is the vendor's module: a statistics file may be the VM's last user. */
static struct file_operations stats_fops = {
	.release = stats_file_release,
	.read = stats_file_read,
	.llseek = default_llseek,
};

void kvm_stats_fops_set_owner(struct module *owner)
{
	stats_fops.owner = owner;
}

/* Takes over @sf. */
static int stats_file_install(struct stats_file *sf, struct kvm *kvm, const char *name)
{
	struct file *file;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		kfree(sf);
		return fd;
	}
	file = anon_inode_getfile_fmode(name, &stats_fops, sf, O_RDONLY, FMODE_PREAD);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		kfree(sf);
		return PTR_ERR(file);
	}
	kvm_get(kvm);
	sf->kvm = kvm;
	fd_install(fd, file);
	return fd;
}

int kvm_vm_stats_fd(struct kvm *kvm)
{
	struct stats_file *sf = kzalloc(sizeof(*sf), GFP_KERNEL_ACCOUNT);

	if (!sf)
		return -ENOMEM;
	stats_file_descs(sf, vm_stats, ARRAY_SIZE(vm_stats), kvm_arch_vm_stats,
			 kvm_arch_nr_vm_stats);
	stats_file_block(sf, BLOCK_ID, kvm->stats_id, sizeof(kvm->stats_id));
	stats_file_block(sf, BLOCK_DATA, &kvm->stat, sizeof(kvm->stat));
	return stats_file_install(sf, kvm, "kvm-vm-stats");
}

int kvm_vcpu_stats_fd(struct kvm_vcpu *vcpu)
{
	struct stats_file *sf = kzalloc(sizeof(*sf), GFP_KERNEL_ACCOUNT);

	if (!sf)
		return -ENOMEM;
	stats_file_descs(sf, vcpu_stats, ARRAY_SIZE(vcpu_stats), kvm_arch_vcpu_stats,
			 kvm_arch_nr_vcpu_stats);
	stats_file_block(sf, BLOCK_ID, vcpu->stats_id, sizeof(vcpu->stats_id));
	stats_file_block(sf, BLOCK_DATA, &vcpu->stat, sizeof(vcpu->stat));
	return stats_file_install(sf, vcpu->kvm, "kvm-vcpu-stats");
}

/* ---- debugfs: values ------------------------------------------------------------------------ */

static u64 *stat_value(void *stats, const struct kvm_stat_desc *desc)
{
	return stats + desc->offset;
}

static bool desc_within(const struct kvm_stat_desc *desc, const struct kvm_stat_desc *table,
			unsigned int nr)
{
	return desc >= table && desc < table + nr;
}

static bool desc_is_vm(const struct kvm_stat_desc *desc)
{
	return desc_within(desc, vm_stats, ARRAY_SIZE(vm_stats)) ||
	       desc_within(desc, kvm_arch_vm_stats, kvm_arch_nr_vm_stats);
}

static bool desc_clearable(const struct kvm_stat_desc *desc)
{
	return (desc->flags & KVM_STATS_TYPE_MASK) == KVM_STATS_TYPE_CUMULATIVE;
}

static u64 vm_sum(struct kvm *kvm, const struct kvm_stat_desc *desc)
{
	struct kvm_vcpu *vcpu;
	u64 sum = 0;
	int i;

	if (desc_is_vm(desc))
		return READ_ONCE(*stat_value(&kvm->stat, desc));
	kvm_for_each_vcpu(i, vcpu, kvm)
		sum += READ_ONCE(*stat_value(&vcpu->stat, desc));
	return sum;
}

static void vm_clear(struct kvm *kvm, const struct kvm_stat_desc *desc)
{
	struct kvm_vcpu *vcpu;
	int i;

	if (desc_is_vm(desc)) {
		WRITE_ONCE(*stat_value(&kvm->stat, desc), 0);
		return;
	}
	kvm_for_each_vcpu(i, vcpu, kvm)
		WRITE_ONCE(*stat_value(&vcpu->stat, desc), 0);
}

/* ---- debugfs: files ------------------------------------------------------------------------- */

static struct dentry *kvm_dir;
/* Directories of VMs: whether they have their files, and dir_vm() while one is used. */
static DEFINE_MUTEX(vm_dirs_lock);
/* That of debugfs with one difference, see vm_dir_permission(). */
static struct inode_operations vm_dir_iops;

/* The VM of a directory, NULL in kvm_dir and when the VM is being destroyed. */
static struct kvm *dir_vm(struct dentry *dir)
{
	return READ_ONCE(d_inode(dir)->i_private);
}

static bool file_is_global(struct file *file)
{
	return file->f_path.dentry->d_parent == kvm_dir;
}

/*
 * A VM does not go while one of its files is in use: debugfs_remove() waits for that, and comes
 * before anything of the VM is taken down.
 */
static int stat_get(struct file *file, const struct kvm_stat_desc *desc, u64 *val)
{
	struct kvm *kvm;

	*val = 0;
	if (!file_is_global(file)) {
		kvm = dir_vm(file->f_path.dentry->d_parent);
		if (!kvm)
			return -ENODEV;
		*val = vm_sum(kvm, desc);
		return 0;
	}
	mutex_lock(&kvm_vm_list_lock);
	list_for_each_entry(kvm, &kvm_vm_list, vm_list)
		*val += vm_sum(kvm, desc);
	mutex_unlock(&kvm_vm_list_lock);
	return 0;
}

static ssize_t stat_read(struct file *file, char __user *buf, size_t count, loff_t *ppos)
{
	const struct kvm_stat_desc *desc = file_inode(file)->i_private;
	char text[24];
	u64 val;
	int r;

	r = stat_get(file, desc, &val);
	if (r)
		return r;
	r = scnprintf(text, sizeof(text), "%llu\n", val);
	return simple_read_from_buffer(buf, count, ppos, text, r);
}

/* Writing 0 begins to count anew. */
static ssize_t stat_write(struct file *file, const char __user *buf, size_t count, loff_t *ppos)
{
	const struct kvm_stat_desc *desc = file_inode(file)->i_private;
	struct kvm *kvm;
	u64 val;
	int r;

	r = kstrtou64_from_user(buf, count, 0, &val);
	if (r)
		return r;
	if (val)
		return -EINVAL;
	if (!desc_clearable(desc))
		return -EACCES;
	if (!file_is_global(file)) {
		kvm = dir_vm(file->f_path.dentry->d_parent);
		if (!kvm)
			return -ENODEV;
		vm_clear(kvm, desc);
		return count;
	}
	mutex_lock(&kvm_vm_list_lock);
	list_for_each_entry(kvm, &kvm_vm_list, vm_list)
		vm_clear(kvm, desc);
	mutex_unlock(&kvm_vm_list_lock);
	return count;
}

static const struct file_operations stat_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.read = stat_read,
	.write = stat_write,
	.llseek = default_llseek,
};

static void create_files(struct dentry *dir, const struct kvm_stat_desc *desc, unsigned int nr)
{
	umode_t mode;

	for (; nr; nr--, desc++) {
		/* One number a file: histograms are for KVM_GET_STATS_FD. */
		if (desc->size != 1)
			continue;
		mode = desc_clearable(desc) ? 0644 : 0444;
		debugfs_create_file(desc->name, mode, dir, (void *)desc, &stat_fops);
	}
}

static void create_all_files(struct dentry *dir)
{
	create_files(dir, vm_stats, ARRAY_SIZE(vm_stats));
	create_files(dir, kvm_arch_vm_stats, kvm_arch_nr_vm_stats);
	create_files(dir, vcpu_stats, ARRAY_SIZE(vcpu_stats));
	create_files(dir, kvm_arch_vcpu_stats, kvm_arch_nr_vcpu_stats);
}

/* ---- debugfs: directories of VMs ------------------------------------------------------------ */

static int vcpu_pid_get(void *data, u64 *val)
{
	struct kvm_vcpu *vcpu = data;

	read_lock(&vcpu->pid_lock);
	*val = pid_nr(vcpu->pid);
	read_unlock(&vcpu->pid_lock);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(vcpu_pid_fops, vcpu_pid_get, NULL, "%llu\n");

static void vcpu_dir_create(struct kvm_vcpu *vcpu)
{
	char name[16];

	snprintf(name, sizeof(name), "vcpu%d", vcpu->vcpu_id);
	vcpu->debugfs = debugfs_create_dir(name, vcpu->kvm->debugfs);
	debugfs_create_file_unsafe("pid", 0444, vcpu->debugfs, vcpu, &vcpu_pid_fops);
}

/* Whether the files exist is kept in the inode's generation, which debugfs does not use. */
static bool vm_dir_filled(struct dentry *dir)
{
	return READ_ONCE(d_inode(dir)->i_generation);
}

static void vm_dir_fill(struct inode *inode)
{
	struct kvm_vcpu *vcpu;
	struct kvm *kvm;
	int i;

	mutex_lock(&vm_dirs_lock);
	kvm = inode->i_private;
	if (kvm && !inode->i_generation) {
		WRITE_ONCE(inode->i_generation, 1);
		create_all_files(kvm->debugfs);
		kvm_for_each_vcpu(i, vcpu, kvm)
			vcpu_dir_create(vcpu);
	}
	mutex_unlock(&vm_dirs_lock);
}

/*
 * Some sixty files cost more than all the rest of a VM's creation, and nobody looks at most VMs.
 * So the files of a directory are made when somebody first looks into it, and every look, be it
 * a path's way through or the directory's opening, begins by asking for permission, before the
 * directory is locked.
 */
static int vm_dir_permission(struct mnt_idmap *idmap, struct inode *inode, int mask)
{
	int r = generic_permission(idmap, inode, mask);

	if (r || READ_ONCE(inode->i_generation))
		return r;
	if (mask & MAY_NOT_BLOCK)
		return -ECHILD;
	vm_dir_fill(inode);
	return 0;
}

void kvm_vm_debugfs_create(struct kvm *kvm, int fd)
{
	struct dentry *dir, *old;
	struct inode *inode;
	char name[32];

	snprintf(name, sizeof(name), "%d-%d", task_pid_nr(current), fd);
	/* A VM whose vcpus outlive its file may have the name still. */
	old = debugfs_lookup(name, kvm_dir);
	if (old) {
		dput(old);
		return;
	}
	dir = debugfs_create_dir(name, kvm_dir);
	if (IS_ERR(dir))
		return;

	mutex_lock(&vm_dirs_lock);
	kvm->debugfs = dir;
	inode = d_inode(dir);
	inode->i_private = kvm;
	spin_lock(&inode->i_lock);
	inode->i_op = &vm_dir_iops;
	inode->i_opflags &= ~IOP_FASTPERM;
	spin_unlock(&inode->i_lock);
	mutex_unlock(&vm_dirs_lock);
}

void kvm_vm_debugfs_remove(struct kvm *kvm)
{
	if (!kvm->debugfs)
		return;
	mutex_lock(&vm_dirs_lock);
	WRITE_ONCE(d_inode(kvm->debugfs)->i_private, NULL);
	mutex_unlock(&vm_dirs_lock);
	debugfs_remove(kvm->debugfs);
	kvm->debugfs = NULL;
}

/* The vcpu is online: if the directory gets its files after this look, it finds the vcpu. */
void kvm_vcpu_debugfs_create(struct kvm_vcpu *vcpu)
{
	struct kvm *kvm = vcpu->kvm;

	mutex_lock(&vm_dirs_lock);
	if (kvm->debugfs && vm_dir_filled(kvm->debugfs) && !vcpu->debugfs)
		vcpu_dir_create(vcpu);
	mutex_unlock(&vm_dirs_lock);
}

void kvm_debugfs_init(void)
{
	kvm_dir = debugfs_create_dir("kvm", NULL);
	if (IS_ERR(kvm_dir))
		return;
	vm_dir_iops = *d_inode(kvm_dir)->i_op;
	vm_dir_iops.permission = vm_dir_permission;
	create_all_files(kvm_dir);
}

void kvm_debugfs_exit(void)
{
	debugfs_remove(kvm_dir);
}
