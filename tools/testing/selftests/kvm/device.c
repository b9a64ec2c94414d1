// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_CREATE_DEVICE: what types there are, the life of a device's file, its attributes, and the VFIO
 * device with files that are not VFIO's. With real groups it is tested where the host has some: see
 * "members". KVM API document, sections 4.79 and 4.80.
 */
#include "guest.h"

#include <fcntl.h>
#include <glob.h>
#include <linux/vfio.h>
#include <sys/eventfd.h>

static int create(int vm, uint32_t type, uint32_t flags, int *fd)
{
	struct kvm_create_device args = { .type = type, .fd = -1, .flags = flags };
	int r = ioctl(vm, KVM_CREATE_DEVICE, &args);

	*fd = args.fd;
	return r;
}

static int new_vm(void)
{
	int kvm = open_kvm(), vm;

	NEED(kvm, KVM_CAP_DEVICE_CTRL);
	vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	close(kvm);
	return vm;
}

static int attribute(int device, unsigned long request, uint32_t group, uint64_t number, void *value)
{
	struct kvm_device_attr attr = {
		.group = group, .attr = number, .addr = (uintptr_t)value,
	};

	return ioctl(device, request, &attr);
}

static int member(int device, uint64_t what, int fd)
{
	return attribute(device, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_FILE, what, &fd);
}

static void types(void)
{
	int vm = new_vm(), fd;

	for (uint32_t type = 0; type < KVM_DEV_TYPE_MAX + 3; type++) {
		if (type == KVM_DEV_TYPE_VFIO)
			continue;
		must_fail(create(vm, type, 0, &fd), ENODEV);
		must_fail(create(vm, type, KVM_CREATE_DEVICE_TEST, &fd), ENODEV);
	}
	must_fail(create(vm, ~0u, 0, &fd), ENODEV);
	must_fail(ioctl(vm, KVM_CREATE_DEVICE, (void *)8), EFAULT);
	must(create(vm, KVM_DEV_TYPE_VFIO, KVM_CREATE_DEVICE_TEST, &fd));
	check_equal(fd, -1);
}

/* One at a time for each VM; it ends with its file, and outlives that of the VM. */
static void life(void)
{
	int vm = new_vm(), device, other;

	must(create(vm, KVM_DEV_TYPE_VFIO, 0, &device));
	check(fcntl(device, F_GETFD) & FD_CLOEXEC);
	must_fail(create(vm, KVM_DEV_TYPE_VFIO, 0, &other), EBUSY);
	must(create(vm, KVM_DEV_TYPE_VFIO, KVM_CREATE_DEVICE_TEST, &other));
	close(device);
	must(create(vm, KVM_DEV_TYPE_VFIO, 0, &device));
	close(vm);
	must(attribute(device, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, NULL));
	close(device);
	for (int i = 0; i < 100; i++) {
		vm = new_vm();
		must(create(vm, KVM_DEV_TYPE_VFIO, 0, &device));
		close(i % 2 ? vm : device);
		close(i % 2 ? device : vm);
	}
}

static void another_process(void *data)
{
	must_fail(attribute(*(int *)data, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_FILE,
			    KVM_DEV_VFIO_FILE_ADD, NULL), EIO);
}

static void attributes(void)
{
	int vm = new_vm(), device, event = eventfd(0, 0), closed;

	must(create(vm, KVM_DEV_TYPE_VFIO, 0, &device));
	must(attribute(device, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, NULL));
	must(attribute(device, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_DEL, NULL));
	must_fail(attribute(device, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_FILE, 3, NULL), ENXIO);
	must_fail(attribute(device, KVM_HAS_DEVICE_ATTR, 2, KVM_DEV_VFIO_FILE_ADD, NULL), ENXIO);
	must_fail(attribute(device, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_FILE, 7, &event), ENXIO);
	must_fail(attribute(device, KVM_SET_DEVICE_ATTR, 0, KVM_DEV_VFIO_FILE_ADD, &event), ENXIO);
	must_fail(attribute(device, KVM_GET_DEVICE_ATTR, KVM_DEV_VFIO_FILE,
			    KVM_DEV_VFIO_FILE_ADD, &event), EPERM);
	must_fail(attribute(device, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_FILE,
			    KVM_DEV_VFIO_FILE_ADD, (void *)8), EFAULT);
	must_fail(ioctl(device, KVM_SET_DEVICE_ATTR, (void *)8), EFAULT);
	must_fail(ioctl(device, KVM_CREATE_DEVICE, NULL), ENOTTY);
	in_child(another_process, &device);

	/* Files that are not VFIO's, and none at all. */
	closed = dup(event);
	close(closed);
	must_fail(member(device, KVM_DEV_VFIO_FILE_ADD, closed), EBADF);
	must_fail(member(device, KVM_DEV_VFIO_FILE_DEL, closed), EBADF);
	must_fail(member(device, KVM_DEV_VFIO_FILE_ADD, -1), EBADF);
	must_fail(member(device, KVM_DEV_VFIO_FILE_ADD, event), EINVAL);
	must_fail(member(device, KVM_DEV_VFIO_FILE_ADD, vm), EINVAL);
	must_fail(member(device, KVM_DEV_VFIO_FILE_ADD, device), EINVAL);
	must_fail(member(device, KVM_DEV_VFIO_FILE_DEL, event), ENOENT);
}

/* ---- a group of the host's ---------------------------------------------------------------------- */

static int open_group(void)
{
	glob_t groups;
	int fd = -1;

	if (!glob("/dev/vfio/[0-9]*", 0, NULL, &groups) && groups.gl_pathc)
		fd = open(groups.gl_pathv[0], O_RDWR | O_CLOEXEC);
	if (fd < 0)
		skip("no VFIO group in this host");
	return fd;
}

GUEST(flush_code, 64,
	"1:	wbinvd\n"
	"	out	%al, $0x10\n"
	"	jmp	1b\n");

/* A device of the group holds the VM as long as it is open, and the group is the VM's until told otherwise. */
static void members(void)
{
	int group = open_group(), container, device, unit;
	struct guest *g = guest_new(LONG, flush_code);
	const char *address = getenv("VFIO_DEVICE");

	must(create(g->vm, KVM_DEV_TYPE_VFIO, 0, &device));
	must(member(device, KVM_DEV_VFIO_FILE_ADD, group));
	must_fail(member(device, KVM_DEV_VFIO_FILE_ADD, group), EEXIST);
	run_to_out(g, 0x10);
	must(member(device, KVM_DEV_VFIO_FILE_DEL, group));
	must_fail(member(device, KVM_DEV_VFIO_FILE_DEL, group), ENOENT);
	must(member(device, KVM_DEV_VFIO_FILE_ADD, group));
	run_to_out(g, 0x10);

	container = must(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
	must(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	must(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	if (!address)
		skip("VFIO_DEVICE does not name a device of the group");
	unit = must(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address));
	/* The device is opened with the VM; every file but its own may be closed first. */
	close(device);
	close(g->vcpu);
	close(g->vm);
	close(group);
	close(container);
	close(unit);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "types", types },
		{ "life", life },
		{ "attributes", attributes },
		{ "members", members },
	};

	return RUN_CASES("device", cases);
}
