// SPDX-License-Identifier: GPL-2.0
/*
 * Statistics: the binary form behind KVM_GET_STATS_FD is well formed and counts, and the folder
 * of a VM in debugfs comes and goes with it.
 */
#include "guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

GUEST(exit_code, 64,
	"1:	out	%al, $0x10\n"
	"	mov	%eax, 0x10000000\n"
	"	hlt\n"
	"	jmp	1b\n");

static size_t read_all(int fd, uint8_t **data)
{
	size_t room = 64 * KiB, length = 0;
	ssize_t now;

	*data = malloc(room);
	while ((now = must(pread(fd, *data + length, room - length, length))) > 0)
		length += now;
	check(length < room);
	return length;
}

static const struct kvm_stats_desc *descriptor(const uint8_t *data, uint32_t index)
{
	const struct kvm_stats_header *head = (const void *)data;

	return (const void *)(data + head->desc_offset +
			      index * (sizeof(struct kvm_stats_desc) + head->name_size));
}

static void check_descriptor(const struct kvm_stats_desc *d, uint32_t name_size, size_t data_size)
{
	uint32_t type = d->flags & KVM_STATS_TYPE_MASK;
	uint32_t unit = d->flags & KVM_STATS_UNIT_MASK;
	uint32_t base = d->flags & KVM_STATS_BASE_MASK;

	check(strnlen(d->name, name_size) > 0);
	check(strnlen(d->name, name_size) < name_size);
	if (type > KVM_STATS_TYPE_MAX || unit > KVM_STATS_UNIT_MAX || base > KVM_STATS_BASE_MAX)
		fail("%s: flags %#x", d->name, d->flags);
	if (d->exponent > 0 && unit != KVM_STATS_UNIT_BYTES && unit != KVM_STATS_UNIT_SECONDS &&
	    base != KVM_STATS_BASE_POW10)
		fail("%s: exponent %d", d->name, d->exponent);
	check(d->size > 0);
	check_equal(d->offset % 8, 0);
	check(d->offset + d->size * 8ull <= data_size);
	if (type == KVM_STATS_TYPE_LINEAR_HIST)
		check(d->bucket_size > 0);
	if (type <= KVM_STATS_TYPE_PEAK)
		check_equal(d->bucket_size, 0);
}

static void check_form(int fd, const char *id_start)
{
	const struct kvm_stats_header *head;
	size_t length, data_size;
	uint8_t *data, *part;

	length = read_all(fd, &data);
	head = (const void *)data;
	check(length > sizeof(*head));
	check_equal(head->flags, 0);
	check(head->num_desc > 0);
	check(head->name_size > 0);
	check(head->id_offset >= sizeof(*head));
	check(head->desc_offset >= head->id_offset + head->name_size);
	check(head->data_offset >= head->desc_offset + head->num_desc *
	      (sizeof(struct kvm_stats_desc) + head->name_size));
	check(length > head->data_offset);
	data_size = length - head->data_offset;
	check(!strncmp((char *)data + head->id_offset, id_start, strlen(id_start)));
	check(strnlen((char *)data + head->id_offset, head->name_size) < head->name_size);
	for (uint32_t i = 0; i < head->num_desc; i++) {
		const struct kvm_stats_desc *d = descriptor(data, i);

		check_descriptor(d, head->name_size, data_size);
		for (uint32_t j = 0; j < i; j++) {
			const struct kvm_stats_desc *other = descriptor(data, j);

			if (!strcmp(d->name, other->name))
				fail("%s is there twice", d->name);
			if (d->offset < other->offset + other->size * 8 &&
			    other->offset < d->offset + d->size * 8)
				fail("%s and %s overlap", d->name, other->name);
		}
	}
	/* Any part by itself, and nothing beyond the end. */
	part = malloc(length);
	for (size_t from = 0; from < length; from += 333) {
		size_t size = length - from < 100 ? length - from : 100;

		check_equal(pread(fd, part, size, from), size);
		if (from + size <= head->data_offset)
			check(!memcmp(part, data + from, size));
	}
	check_equal(pread(fd, part, 100, length), 0);
	check_equal(pread(fd, part, 100, length + 100000), 0);
	free(part);
	free(data);
}

static uint64_t value_of(int fd, const char *name)
{
	const struct kvm_stats_header *head;
	uint64_t value;
	uint8_t *data;

	read_all(fd, &data);
	head = (const void *)data;
	for (uint32_t i = 0; i < head->num_desc; i++) {
		const struct kvm_stats_desc *d = descriptor(data, i);

		if (strcmp(d->name, name))
			continue;
		memcpy(&value, data + head->data_offset + d->offset, 8);
		free(data);
		return value;
	}
	fail("there is no %s", name);
}

static struct guest *new_guest(void)
{
	struct guest *g = guest_new(LONG, exit_code);

	NEED(g->vm, KVM_CAP_BINARY_STATS_FD);
	return g;
}

static void form_of_vm(void)
{
	struct guest *g = new_guest();
	char id[32];

	snprintf(id, sizeof(id), "kvm-%d", getpid());
	check_form(must(ioctl(g->vm, KVM_GET_STATS_FD, NULL)), id);
}

static void form_of_vcpu(void)
{
	struct guest *g = new_guest();
	char id[32];

	snprintf(id, sizeof(id), "kvm-%d/vcpu-0", getpid());
	check_form(must(ioctl(g->vcpu, KVM_GET_STATS_FD, NULL)), id);
	snprintf(id, sizeof(id), "kvm-%d/vcpu-5", getpid());
	check_form(must(ioctl(must(ioctl(g->vm, KVM_CREATE_VCPU, 5)), KVM_GET_STATS_FD, NULL)),
		   id);
}

static void counting(void)
{
	struct guest *g = new_guest();
	int fd = must(ioctl(g->vcpu, KVM_GET_STATS_FD, NULL));
	uint64_t exits, io;

	run_to_out(g, 0x10);
	exits = value_of(fd, "exits");
	io = value_of(fd, "io_exits");
	for (int i = 0; i < 50; i++) {
		run_to_mmio_write(g, GUEST_MMIO, 4);
		run_to(g, KVM_EXIT_HLT);
		run_to_out(g, 0x10);
	}
	check(value_of(fd, "exits") >= exits + 150);
	check(value_of(fd, "exits") < exits + 10000);
	check_equal(value_of(fd, "io_exits"), io + 50);
	check(value_of(fd, "mmio_exits") >= 50);
	check(value_of(fd, "halt_exits") >= 50);
	value_of(fd, "halt_wait_ns");
	value_of(fd, "halt_wakeup");
	value_of(must(ioctl(g->vm, KVM_GET_STATS_FD, NULL)), "remote_tlb_flush");
}

static void outlives(void)
{
	struct guest *g = new_guest();
	int vcpu = must(ioctl(g->vcpu, KVM_GET_STATS_FD, NULL));
	int vm = must(ioctl(g->vm, KVM_GET_STATS_FD, NULL));
	uint8_t byte;

	check(fcntl(vm, F_GETFD) & FD_CLOEXEC);
	run_to_out(g, 0x10);
	must(munmap(g->run, g->run_size));
	close(g->vcpu);
	close(g->vm);
	close(g->kvm);
	check(value_of(vcpu, "exits") >= 1);
	value_of(vm, "remote_tlb_flush");
	must_fail(write(vm, "x", 1), EBADF);
	must_fail(pread(vm, (void *)-4096l, 100, 0), EFAULT);
	check_equal(pread(vm, &byte, 0, 0), 0);
	close(vm);
	value_of(vcpu, "exits");
}

#define DEBUGFS "/sys/kernel/debug/kvm"

static void debugfs(void)
{
	struct guest *g = guest_new(LONG, exit_code);
	struct stat status;
	char path[96];
	long exits;

	if (stat(DEBUGFS, &status))
		skip("no debugfs");
	snprintf(path, sizeof(path), DEBUGFS "/%d-%d", getpid(), g->vm);
	must(stat(path, &status));
	check(S_ISDIR(status.st_mode));
	snprintf(path, sizeof(path), DEBUGFS "/%d-%d/vcpu0", getpid(), g->vm);
	must(stat(path, &status));
	check(S_ISDIR(status.st_mode));
	snprintf(path, sizeof(path), DEBUGFS "/%d-%d/exits", getpid(), g->vm);
	exits = read_number(path);
	check(exits >= 0);
	for (int i = 0; i < 10; i++) {
		run_to_out(g, 0x10);
		run_to_mmio_write(g, GUEST_MMIO, 4);
		run_to(g, KVM_EXIT_HLT);
	}
	check(read_number(path) >= exits + 30);
	check(read_number(DEBUGFS "/exits") >= read_number(path));
	/* Cleared by writing zero. */
	check(write_text(path, "0\n"));
	check(read_number(path) < exits + 30);
	must(munmap(g->run, g->run_size));
	close(g->vcpu);
	close(g->vm);
	snprintf(path, sizeof(path), DEBUGFS "/%d-%d", getpid(), g->vm);
	must_fail(stat(path, &status), ENOENT);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "form of a VM's statistics", form_of_vm },
		{ "form of a vcpu's statistics", form_of_vcpu },
		{ "exits are counted", counting },
		{ "statistics outlive the other descriptors", outlives },
		{ "debugfs", debugfs },
	};

	return RUN_CASES("stats", cases);
}
