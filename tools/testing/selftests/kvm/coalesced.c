// SPDX-License-Identifier: GPL-2.0
/*
 * Coalesced MMIO and PIO: writes to registered zones are collected in a ring beside the run page
 * instead of ending KVM_RUN; the ring's contents, its end, zones' borders, bad arguments.
 */
#include "guest.h"

#define PAGE_SIZE	PAGE	/* for KVM_COALESCED_MMIO_MAX */
#define ZONE	(GUEST_MMIO + 0x100)
#define ZONE_SIZE 0x100u

static struct kvm_coalesced_mmio_ring *ring_of(struct guest *g)
{
	int page = extension(g->kvm, KVM_CAP_COALESCED_MMIO);

	if (!page)
		skip("no KVM_CAP_COALESCED_MMIO");
	check((page + 1) * PAGE <= g->run_size);
	return (void *)((uint8_t *)g->run + page * PAGE);
}

static int set_zone(struct guest *g, unsigned long request, uint64_t address, uint32_t size,
		    uint32_t pio)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = address, .size = size, .pio = pio };

	return ioctl(g->vm, request, &zone);
}

static int add_zone(struct guest *g, uint64_t address, uint32_t size, uint32_t pio)
{
	return set_zone(g, KVM_REGISTER_COALESCED_MMIO, address, size, pio);
}

static int remove_zone(struct guest *g, uint64_t address, uint32_t size, uint32_t pio)
{
	return set_zone(g, KVM_UNREGISTER_COALESCED_MMIO, address, size, pio);
}

static void check_entry(struct kvm_coalesced_mmio_ring *ring, uint32_t index, uint64_t address,
			uint32_t length, uint64_t value, uint32_t pio)
{
	struct kvm_coalesced_mmio *entry = &ring->coalesced_mmio[index];
	uint64_t data = 0;

	check_equal(entry->phys_addr, address);
	check_equal(entry->len, length);
	check_equal(entry->pio, pio);
	memcpy(&data, entry->data, length);
	check_equal(data, value);
}

GUEST(write_code, 64,
	"	mov	$0x10000100, %ebx\n"
	"	mov	$0x1122334455667788, %rax\n"
	"	mov	%al, (%rbx)\n"
	"	mov	%ax, 2(%rbx)\n"
	"	mov	%eax, 4(%rbx)\n"
	"	mov	%rax, 0xf8(%rbx)\n"
	"	hlt\n"
	"	mov	(%rbx), %eax\n"			/* reads are never collected */
	"	mov	%eax, 0x100(%rbx)\n"		/* behind the zone */
	"	mov	%eax, -4(%rbx)\n"		/* before it */
	"	mov	%eax, 0xfe(%rbx)\n"		/* half in it */
	"	hlt\n");

static void contents(void)
{
	struct guest *g = guest_new(LONG, write_code);
	struct kvm_coalesced_mmio_ring *ring = ring_of(g);

	must(add_zone(g, ZONE, ZONE_SIZE, 0));
	check_equal(ring->first, 0);
	check_equal(ring->last, 0);
	run_to(g, KVM_EXIT_HLT);
	check_equal(ring->first, 0);
	check_equal(ring->last, 4);
	check_entry(ring, 0, ZONE, 1, 0x88, 0);
	check_entry(ring, 1, ZONE + 2, 2, 0x7788, 0);
	check_entry(ring, 2, ZONE + 4, 4, 0x55667788, 0);
	check_entry(ring, 3, ZONE + 0xf8, 8, 0x1122334455667788, 0);
	ring->first = ring->last;
	run_to_mmio_read(g, ZONE, 4, 0x99);
	check_equal(run_to_mmio_write(g, ZONE + 0x100, 4), 0x99);
	check_equal(run_to_mmio_write(g, ZONE - 4, 4), 0x99);
	check_equal(run_to_mmio_write(g, ZONE + 0xfe, 4), 0x99);
	run_to(g, KVM_EXIT_HLT);
	check_equal(ring->last, 4);
}

static void removed(void)
{
	struct guest *g = guest_new(LONG, write_code);
	struct kvm_coalesced_mmio_ring *ring = ring_of(g);

	must(add_zone(g, ZONE, ZONE_SIZE, 0));
	must(remove_zone(g, ZONE, ZONE_SIZE, 0));
	check_equal(run_to_mmio_write(g, ZONE, 1), 0x88);
	must(add_zone(g, ZONE, 4, 0));
	check_equal(run_to_mmio_write(g, ZONE + 4, 4), 0x55667788);
	check_equal(ring->last, 1);
	check_entry(ring, 0, ZONE + 2, 2, 0x7788, 0);
	/* Removing what was never there is no error. */
	must(remove_zone(g, 0x123456000, 16, 0));
}

GUEST(fill_code, 64,
	"	xor	%eax, %eax\n"
	"1:	inc	%eax\n"
	"	mov	%eax, 0x10000100\n"
	"	jmp	1b\n");

static void full(void)
{
	struct guest *g = guest_new(LONG, fill_code);
	struct kvm_coalesced_mmio_ring *ring = ring_of(g);
	uint32_t room = KVM_COALESCED_MMIO_MAX;
	uint64_t next = 1;

	must(add_zone(g, ZONE, ZONE_SIZE, 0));
	for (int round = 0; round < 5; round++) {
		/* One place stays empty; what does not fit is an exit. */
		uint64_t value = run_to_mmio_write(g, ZONE, 4);

		check_equal(value, next + room - 1);
		while (ring->first != ring->last) {
			check_entry(ring, ring->first, ZONE, 4, next++, 0);
			ring->first = (ring->first + 1) % room;
		}
		check_equal(next, value);
		next++;
	}
	/* Three taken out: three go in before the next exit. */
	run_to_mmio_write(g, ZONE, 4);
	ring->first = (ring->first + 3) % room;
	next = run_to_mmio_write(g, ZONE, 4);
	ring->first = (ring->first + 3) % room;
	check_equal(run_to_mmio_write(g, ZONE, 4), next + 4);
}

GUEST(port_code, 64,
	"1:	mov	$0x42, %al\n"
	"	out	%al, $0x70\n"
	"	mov	$0x1234, %ax\n"
	"	out	%ax, $0x70\n"
	"	mov	$0x12345678, %eax\n"
	"	out	%eax, $0x70\n"
	"	in	$0x70, %al\n"
	"	out	%al, $0x74\n"
	"	hlt\n");

static void ports(void)
{
	struct guest *g = guest_new(LONG, port_code);
	struct kvm_coalesced_mmio_ring *ring = ring_of(g);

	NEED(g->kvm, KVM_CAP_COALESCED_PIO);
	must(add_zone(g, 0x70, 4, 1));
	run_to(g, KVM_EXIT_IO);
	check_pio(g, KVM_EXIT_IO_IN, 0x70, 1, 1);
	check_equal(ring->last, 3);
	check_entry(ring, 0, 0x70, 1, 0x42, 1);
	check_entry(ring, 1, 0x70, 2, 0x1234, 1);
	check_entry(ring, 2, 0x70, 4, 0x12345678, 1);
	run_to_out(g, 0x74);
	run_to(g, KVM_EXIT_HLT);
	/* The same numbers as MMIO are another zone; removing that leaves this. */
	must(remove_zone(g, 0x70, 4, 0));
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	run_to(g, KVM_EXIT_IO);
	check_pio(g, KVM_EXIT_IO_IN, 0x70, 1, 1);
	check_equal(ring->last, 6);
	guest_complete(g);
	must(remove_zone(g, 0x70, 4, 1));
	vcpu_set_rip(g->vcpu, GUEST_CODE);
	check_equal(run_to_out(g, 0x70), 0x42);
}

static void many_zones(void)
{
	struct guest *g = guest_new(LONG, write_code);
	struct kvm_coalesced_mmio_ring *ring = ring_of(g);
	int added = 0;

	for (; added < 5000; added++)
		if (add_zone(g, GUEST_MMIO + 0x100000 + added * 0x1000ull, 16, 0))
			break;
	if (added < 5000)
		check(errno == ENOSPC);
	check(added >= 100);
	must(remove_zone(g, GUEST_MMIO + 0x100000, 16, 0));
	must(add_zone(g, ZONE, ZONE_SIZE, 0));
	run_to(g, KVM_EXIT_HLT);
	check_equal(ring->last, 4);
}

static void bad_arguments(void)
{
	struct guest *g = guest_new(LONG, write_code);

	ring_of(g);
	must_fail(ioctl(g->vm, KVM_REGISTER_COALESCED_MMIO, NULL), EFAULT);
	must_fail(add_zone(g, ZONE, ZONE_SIZE, 2), EINVAL);
	must_fail(add_zone(g, ZONE, ZONE_SIZE, 0xffffffff), EINVAL);
	must_fail(remove_zone(g, ZONE, ZONE_SIZE, 2), EINVAL);
	run_to_mmio_write(g, ZONE, 1);
}

GUEST(bounded_code, 64,
	"	mov	$400, %ecx\n"
	"1:	mov	%ecx, 0x10000100\n"
	"	dec	%ecx\n"
	"	jnz	1b\n"
	"	hlt\n");

/*
 * The ring is the process's to destroy, and writes may be lost then. With an end in place that no
 * index reaches the ring is never full, so this guest stops by itself.
 */
static void garbage_in_ring(void)
{
	static const uint32_t garbage[] = { 0xffffffff, 0x80000000, 169, 170, 171, 1000, 65536 };
	struct guest *g = guest_new(LONG, bounded_code);
	struct kvm_coalesced_mmio_ring *ring = ring_of(g);

	must(add_zone(g, ZONE, ZONE_SIZE, 0));
	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++)
		for (size_t j = 0; j < ARRAY_SIZE(garbage); j++) {
			ring->first = garbage[i];
			ring->last = garbage[j];
			check_equal(guest_run(g), 0);
			if (g->run->exit_reason == KVM_EXIT_MMIO)
				guest_complete(g);
			else
				check_equal(g->run->exit_reason, KVM_EXIT_HLT);
			/* An end that is no index takes nothing in and is left alone. */
			if (garbage[j] >= KVM_COALESCED_MMIO_MAX) {
				check_equal(g->run->exit_reason, KVM_EXIT_MMIO);
				check_equal(ring->last, garbage[j]);
			}
			vcpu_set_rip(g->vcpu, GUEST_CODE);
		}
	ring->first = ring->last = 0;
	run_to_mmio_write(g, ZONE, 4);
	check_equal(ring->last, KVM_COALESCED_MMIO_MAX - 1);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "contents of the ring, borders of the zone", contents },
		{ "zones removed and added again", removed },
		{ "the ring full", full },
		{ "ports", ports },
		{ "many zones", many_zones },
		{ "bad arguments", bad_arguments },
		{ "garbage in the ring", garbage_in_ring },
	};

	return RUN_CASES("coalesced", cases);
}
