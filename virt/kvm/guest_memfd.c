// SPDX-License-Identifier: GPL-2.0
/*
 * guest_memfd: files of memory that userspace can size, fill with zeros and punch holes into, but
 * neither map nor read. What they are for, memory that a VM keeps from its userspace, needs a type
 * of VM that there is not: no slot takes them. KVM API document, section 4.142.
 */
#include <linux/anon_inodes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/module.h>
#include <linux/pagemap.h>

#include "core.h"

static int fill_page(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_grab_folio(mapping, index);

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	if (!folio_test_uptodate(folio)) {
		folio_zero_range(folio, 0, folio_size(folio));
		folio_mark_uptodate(folio);
	}
	folio_unlock(folio);
	folio_put(folio);
	return 0;
}

static long fill(struct inode *inode, loff_t offset, loff_t len)
{
	struct address_space *mapping = inode->i_mapping;
	pgoff_t index, end = (offset + len) >> PAGE_SHIFT;
	long r = 0;

	if (offset + len > i_size_read(inode))
		return -EINVAL;
	filemap_invalidate_lock_shared(mapping);
	for (index = offset >> PAGE_SHIFT; index < end && !r; index++) {
		r = signal_pending(current) ? -EINTR : fill_page(mapping, index);
		cond_resched();
	}
	filemap_invalidate_unlock_shared(mapping);
	return r;
}

static long punch_hole(struct inode *inode, loff_t offset, loff_t len)
{
	filemap_invalidate_lock(inode->i_mapping);
	truncate_inode_pages_range(inode->i_mapping, offset, offset + len - 1);
	filemap_invalidate_unlock(inode->i_mapping);
	return 0;
}

/* The size never changes, and holes are whole pages. */
static long memfd_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);

	if (!(mode & FALLOC_FL_KEEP_SIZE) ||
	    mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	if (!PAGE_ALIGNED(offset) || !PAGE_ALIGNED(len))
		return -EINVAL;
	return mode & FALLOC_FL_PUNCH_HOLE ? punch_hole(inode, offset, len) :
					     fill(inode, offset, len);
}

static struct file_operations memfd_fops = {
	.fallocate = memfd_fallocate,
};

void kvm_guest_memfd_fops_set_owner(struct module *owner)
{
	memfd_fops.owner = owner;
}

static int memfd_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	return -EINVAL;
}

static const struct inode_operations memfd_iops = {
	.setattr = memfd_setattr,
};

static const struct address_space_operations memfd_aops = {
	.dirty_folio = noop_dirty_folio,
};

/* The memory is nobody's to write out or to take back. */
static void prepare_inode(struct inode *inode, loff_t size)
{
	inode->i_op = &memfd_iops;
	inode->i_mode |= S_IFREG;
	inode->i_size = size;
	inode->i_mapping->a_ops = &memfd_aops;
	mapping_set_gfp_mask(inode->i_mapping, GFP_HIGHUSER);
	mapping_set_inaccessible(inode->i_mapping);
}

int kvm_guest_memfd_create(const struct kvm_create_guest_memfd *args)
{
	struct file *file;
	int fd;

	if (args->flags || !args->size || !PAGE_ALIGNED(args->size) || (loff_t)args->size < 0)
		return -EINVAL;
	fd = get_unused_fd_flags(0);
	if (fd < 0)
		return fd;
	file = anon_inode_create_getfile("[kvm-gmem]", &memfd_fops, NULL, O_RDWR, NULL);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	file->f_flags |= O_LARGEFILE;
	prepare_inode(file_inode(file), args->size);
	fd_install(fd, file);
	return fd;
}
