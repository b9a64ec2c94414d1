// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that run on Xen: the hypercall page, hypercalls that userspace answers and those that the kernel
 * does, the pages shared with the guest, events by every way in, and what becomes of wrong arguments and of
 * memory that goes away. Their time is xentime.c's.
 */
#include "xen.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>

/* The same call by the instruction, with 32-bit registers. */
GUEST(narrow_code, 32,
	"	mov	$17, %eax\n"
	"	mov	$1, %ebx\n"
	"	mov	$2, %ecx\n"
	"	mov	$3, %edx\n"
	"	mov	$4, %esi\n"
	"	mov	$5, %edi\n"
	"	mov	$6, %ebp\n"
	"	vmmcall\n"
	"	out	%eax, $0x10\n"
	"	jmp	narrow_code\n");

/* ---- configuration --------------------------------------------------------------------------- */

static void capability(void)
{
	uint32_t always = KVM_XEN_HVM_CONFIG_HYPERCALL_MSR | KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL |
			  KVM_XEN_HVM_CONFIG_SHARED_INFO | KVM_XEN_HVM_CONFIG_EVTCHN_2LEVEL |
			  KVM_XEN_HVM_CONFIG_EVTCHN_SEND | KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE |
			  KVM_XEN_HVM_CONFIG_SHARED_INFO_HVA;
	int flags;

	flags = extension(open_kvm(), KVM_CAP_XEN_HVM);
	check_equal(flags & ~(KVM_XEN_HVM_CONFIG_RUNSTATE | KVM_XEN_HVM_CONFIG_RUNSTATE_UPDATE_FLAG),
		    always);
}

static void bad_config(void)
{
	struct guest *g = guest_new(LONG, xen_code);
	struct kvm_xen_hvm_config c = { .flags = KVM_XEN_HVM_CONFIG_SHARED_INFO, .msr = HC_MSR };

	must_fail(ioctl(g->vm, KVM_XEN_HVM_CONFIG, &c), EINVAL);
	c.flags = 1u << 31;
	must_fail(ioctl(g->vm, KVM_XEN_HVM_CONFIG, &c), EINVAL);
	c.flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL;
	c.blob_size_64 = 1;
	must_fail(ioctl(g->vm, KVM_XEN_HVM_CONFIG, &c), EINVAL);
	c.blob_size_64 = 0;
	c.blob_addr_32 = 8;
	must_fail(ioctl(g->vm, KVM_XEN_HVM_CONFIG, &c), EINVAL);
	must_fail(ioctl(g->vm, KVM_XEN_HVM_CONFIG, (void *)8), EFAULT);
	/* Nothing was configured: the MSR is none. */
	write_page_msr(g, HC_PAGE);
	run_to_exception(g, VECTOR_GP, 0);
}

static void made_page(void)
{
	struct guest *g = xen_guest();
	const uint8_t *page = g->memory + HC_PAGE;

	for (unsigned int i = 0; i < PAGE / 32; i++) {
		check_equal(page[32 * i], 0xb8);
		check_equal(*(uint32_t *)(page + 32 * i + 1), i);
		check_equal(page[32 * i + 5], 0x0f);
		check_equal(page[32 * i + 6], 0x01);
		check_equal(page[32 * i + 8], 0xc3);
	}
	check_equal(get_vm(g, KVM_XEN_ATTR_TYPE_LONG_MODE) & 0xff, 1);
	write_page_msr(g, HC_PAGE + 1);		/* there is but one */
	run_to_exception(g, VECTOR_GP, 0);
}

static void made_page_nowhere(void)
{
	struct guest *g = xen_guest();

	write_page_msr(g, HIGH_PAGE);
	run_to_exception(g, VECTOR_GP, 0);
}

static void given_page(void)
{
	struct guest *g = guest_new(LONG, xen_code);
	uint8_t *blob = map_pages(2 * PAGE);
	struct kvm_xen_hvm_config c = {
		.msr = HC_MSR, .blob_addr_64 = (uintptr_t)blob, .blob_size_64 = 2,
	};

	memset(blob, 0x5a, PAGE);
	memset(blob + PAGE, 0xa5, PAGE);
	must(ioctl(g->vm, KVM_XEN_HVM_CONFIG, &c));
	write_page_msr(g, HC_PAGE);
	run_to_out(g, 0x10);
	check(!memcmp(g->memory + HC_PAGE, blob, PAGE));
	write_page_msr(g, HC_PAGE + 1);
	run_to_out(g, 0x10);
	check(!memcmp(g->memory + HC_PAGE, blob + PAGE, PAGE));
	munmap(blob, 2 * PAGE);
	write_page_msr(g, HC_PAGE);
	run_to_exception(g, VECTOR_GP, 0);
}

static void given_page_beyond(void)
{
	struct guest *g = guest_new(LONG, xen_code);
	struct kvm_xen_hvm_config c = {
		.msr = HC_MSR, .blob_addr_64 = (uintptr_t)map_pages(PAGE), .blob_size_64 = 1,
	};

	must(ioctl(g->vm, KVM_XEN_HVM_CONFIG, &c));
	write_page_msr(g, HC_PAGE + 1);
	run_to_exception(g, VECTOR_GP, 0);
}

/* ---- hypercalls ------------------------------------------------------------------------------ */

static void hypercall_exit(void)
{
	struct guest *g = xen_guest();
	struct kvm_run *run = g->run;

	begin_call(g, 17, 0x1111, 0x2222, 0x3333333333333333);
	run_to(g, KVM_EXIT_XEN);
	check_equal(run->xen.type, KVM_EXIT_XEN_HCALL);
	check_equal(run->xen.u.hcall.longmode, 1);
	check_equal(run->xen.u.hcall.cpl, 0);
	check_equal(run->xen.u.hcall.input, 17);
	check_equal(run->xen.u.hcall.params[0], 0x1111);
	check_equal(run->xen.u.hcall.params[1], 0x2222);
	check_equal(run->xen.u.hcall.params[2], 0x3333333333333333);
	check_equal(run->xen.u.hcall.params[3], 0x1234);
	check_equal(run->xen.u.hcall.params[4], 0x5678);
	check_equal(run->xen.u.hcall.params[5], 0xfedcba9876543210);
	run->xen.u.hcall.result = 0xcafef00dfbfbffff;
	run_to_out(g, 0x10);
	check_equal(*word(g, GUEST_DATA + 56), 0xcafef00dfbfbffff);

	/* A vcpu moved elsewhere meanwhile stays there, with its registers. */
	begin_call(g, 17, 1, 2, 3);
	run_to(g, KVM_EXIT_XEN);
	run->xen.u.hcall.result = 77;
	vcpu_set_rip(g->vcpu, guest_address(g, xen_window));
	run_to_out(g, 0x10);
	check(vcpu_regs(g->vcpu).rax != 77);
}

static void hypercall_narrow(void)
{
	struct guest *g = guest_new(PROTECTED, narrow_code);
	struct kvm_run *run = g->run;

	must(config(g, KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL));
	run_to(g, KVM_EXIT_XEN);
	check_equal(run->xen.u.hcall.longmode, 0);
	check_equal(run->xen.u.hcall.input, 17);
	for (unsigned int i = 0; i < 6; i++)
		check_equal(run->xen.u.hcall.params[i], i + 1);
	run->xen.u.hcall.result = -3;
	check_equal(run_to_out(g, 0x10), (uint32_t)-3);
}

static void hypercall_user(void)
{
	struct guest *g = xen_guest();

	must(set_vm(g, KVM_XEN_ATTR_TYPE_XEN_VERSION, 0x40011));
	check_equal(call(g, HC_VERSION, 0, 0, 0), 0x40011);
	begin_call(g, HC_VERSION, 0, 0, 0);
	guest_to_user(g);
	run_to(g, KVM_EXIT_XEN);
	check_equal(g->run->xen.u.hcall.cpl, 3);
}

static void version(void)
{
	struct guest *g = xen_guest();

	begin_call(g, HC_VERSION, 0, 0, 0);
	run_to(g, KVM_EXIT_XEN);
	must(set_vm(g, KVM_XEN_ATTR_TYPE_XEN_VERSION, 0x40011));
	check_equal(get_vm(g, KVM_XEN_ATTR_TYPE_XEN_VERSION) & 0xffffffff, 0x40011);
	check_equal(call(g, HC_VERSION, 0, 0, 0), 0x40011);
	begin_call(g, HC_VERSION, 1, 0, 0);
	run_to(g, KVM_EXIT_XEN);
}

/* ---- shared pages ---------------------------------------------------------------------------- */

static void check_wall(struct guest *g, uint64_t offset, uint64_t high)
{
	volatile uint32_t *wall = (volatile uint32_t *)(g->memory + SHARED_PAGE + offset);
	struct kvm_clock_data data = { 0 };
	int64_t seconds = time(NULL);

	must(ioctl(g->vm, KVM_GET_CLOCK, &data));
	seconds -= data.clock / NS_PER_S;
	check(wall[0] && !(wall[0] & 1));
	if (llabs(seconds - wall[1]) > 2)
		fail("the time of day is %u, not %lld", wall[1], (long long)seconds);
	check(wall[2] < NS_PER_S);
	check_equal(*(volatile uint32_t *)(g->memory + SHARED_PAGE + high), 0);
}

static void wall_clock(void)
{
	struct guest *g = xen_guest();

	check_wall(g, 0xc00, 0xc0c);
	memset(g->memory + SHARED_PAGE, 0, PAGE);
	memset(g->memory + SHARED_PAGE + 0x924, 0xff, 4);
	must(set_vm(g, KVM_XEN_ATTR_TYPE_LONG_MODE, 0));
	check_equal(get_vm(g, KVM_XEN_ATTR_TYPE_LONG_MODE) & 0xff, 0);
	check_wall(g, 0x900, 0x924);
	check_equal(*word(g, SHARED_PAGE + 0xc00), 0);
	must(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO, KVM_XEN_INVALID_GFN));
	check_equal(get_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO), KVM_XEN_INVALID_GFN);
	memset(g->memory + SHARED_PAGE, 0, PAGE);
	must(set_vm(g, KVM_XEN_ATTR_TYPE_LONG_MODE, 1));
	check_equal(*word(g, SHARED_PAGE + 0xc00), 0);
	must(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, (uintptr_t)g->memory + SHARED_PAGE));
	check_wall(g, 0xc00, 0xc0c);
	check_equal(get_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA), (uintptr_t)g->memory + SHARED_PAGE);
	check_equal(get_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO), KVM_XEN_INVALID_GFN);
	must(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, 0));
	check_equal(get_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA), 0);
}

static void time_pages(void)
{
	struct guest *g = xen_guest();
	volatile uint32_t *page = (volatile uint32_t *)(g->memory + TIME);

	must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, TIME));
	check_equal(get_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO), TIME);
	upcalls(g);
	check(page[0] && !(page[0] & 1));
	check(info(g)->time.version && !(info(g)->time.version & 1));
	check_equal(info(g)->time.mul, page[6]);
	check_equal(info(g)->time.ns, *(volatile uint64_t *)(page + 4));
	/* Whatever the host's clock is, it may not be called stable. */
	must(config(g, KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE));
	must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, TIME));
	upcalls(g);
	check_equal(((volatile uint8_t *)page)[29] & 1, 0);
	must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, KVM_XEN_INVALID_GPA));
	check_equal(get_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO), KVM_XEN_INVALID_GPA);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void upcall_by_userspace(void)
{
	struct guest *g = xen_guest();

	check_equal(upcalls(g), 0);
	info(g)->upcall = 1;
	check_equal(upcalls(g), 1);
	check_equal(upcalls(g), 1);
	must(set_vm(g, KVM_XEN_ATTR_TYPE_UPCALL_VECTOR, 0));
	info(g)->upcall = 1;
	check_equal(upcalls(g), 1);
	must(set_vm(g, KVM_XEN_ATTR_TYPE_UPCALL_VECTOR, UPCALL_VECTOR));
	check_equal(get_vm(g, KVM_XEN_ATTR_TYPE_UPCALL_VECTOR) & 0xff, UPCALL_VECTOR);
	check_equal(upcalls(g), 2);
}

static void event_send(void)
{
	struct guest *g = xen_guest();

	for (uint32_t port = 1; port < 4096; port = port * 2 + 1) {
		static uint64_t count;

		must(send_event(g, port));
		check_event(g, port, ++count);
	}
	must_fail(send_event(g, 0), EINVAL);
	must_fail(send_event(g, 4096), EINVAL);
}

/* However the host disturbs the vcpu: nothing is delivered a second time, or in a handler. */
static void event_often(void)
{
	struct guest *g = xen_guest();

	for (uint64_t i = 1; i <= 10000 / slowness(); i++) {
		pending(g)[1] = 0;
		must(send_event(g, 67));
		check_equal(upcalls(g), i);
	}
}

static void event_masks(void)
{
	struct guest *g = xen_guest();

	mask(g)[1] = 1ull << 3;
	must(send_event(g, 67));
	check_equal(upcalls(g), 0);
	check_equal(pending(g)[1], 1ull << 3);
	check_equal(info(g)->sel, 0);
	/* Pending before: no more than that. */
	mask(g)[1] = 0;
	must(send_event(g, 67));
	check_equal(upcalls(g), 0);
	pending(g)[1] = 0;
	must(send_event(g, 67));
	check_event(g, 67, 1);
}

static void event_narrow(void)
{
	struct guest *g = xen_guest();
	volatile uint32_t *p = (volatile uint32_t *)(g->memory + SHARED_PAGE + 2048);

	must(set_vm(g, KVM_XEN_ATTR_TYPE_LONG_MODE, 0));
	must(send_event(g, 67));
	check_equal(upcalls(g), 1);
	check_equal(p[2], 1u << 3);
	check_equal(*(volatile uint32_t *)(g->memory + INFO + 4), 1u << 2);
	must_fail(send_event(g, 1024), EINVAL);
	p[32 + 31] = 1u << 31;		/* the mask */
	must(send_event(g, 1023));
	check_equal(upcalls(g), 1);
	check_equal(p[31], 1u << 31);
}

static void event_vector(void)
{
	struct guest *g = xen_guest();
	uint64_t base = 0;

	check(vcpu_get_msr(g->vcpu, MSR_APIC_BASE, &base));
	check(vcpu_set_msr(g->vcpu, MSR_APIC_BASE, base | 0xc00));
	check(vcpu_set_msr(g->vcpu, 0x80f, 0x1ff));
	must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR, APIC_VECTOR));
	check_equal(get_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR) & 0xff, APIC_VECTOR);
	must(set_vm(g, KVM_XEN_ATTR_TYPE_UPCALL_VECTOR, 0));
	must(send_event(g, 9));
	check_event(g, 9, 0);
	check_equal(*word(g, APIC_UPCALLS), 1);
	must(send_event(g, 10));
	must(send_event(g, 11));
	check_equal(upcalls(g), 0);
	check_equal(*word(g, APIC_UPCALLS), 2);
}

static void route(struct guest *g, uint32_t port, uint32_t vcpu)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} table = {
		.head.nr = 1,
		.entry = {
			.gsi = 40, .type = KVM_IRQ_ROUTING_XEN_EVTCHN,
			.u.xen_evtchn = { .port = port, .vcpu = vcpu, .priority = PRIO },
		},
	};

	must(ioctl(g->vm, KVM_SET_GSI_ROUTING, &table));
}

static void event_route(void)
{
	struct guest *g = xen_guest();
	struct kvm_irqfd irqfd = { .fd = must(eventfd(0, EFD_NONBLOCK)), .gsi = 40 };
	struct kvm_irq_level line = { .irq = 40, .level = 1 };

	route(g, 70, 0);
	must(ioctl(g->vm, KVM_IRQ_LINE, &line));
	check_event(g, 70, 1);
	line.level = 0;
	must(ioctl(g->vm, KVM_IRQ_LINE, &line));
	check_equal(upcalls(g), 1);
	must(ioctl(g->vm, KVM_IRQFD, &irqfd));
	must(eventfd_write(irqfd.fd, 1));
	check_event(g, 70, 2);
	route(g, 70, 5);		/* a vcpu that is not there */
	must(eventfd_write(irqfd.fd, 1));
	check_equal(upcalls(g), 2);
	check_equal(pending(g)[1], 0);
}

static void bad_routes(void)
{
	struct guest *g = xen_guest();
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} table = {
		.head.nr = 1,
		.entry = { .gsi = 40, .type = KVM_IRQ_ROUTING_XEN_EVTCHN,
			   .u.xen_evtchn = { .port = 4096, .priority = PRIO } },
	};

	must_fail(ioctl(g->vm, KVM_SET_GSI_ROUTING, &table), EINVAL);
	table.entry.u.xen_evtchn.port = 1;
	table.entry.u.xen_evtchn.priority = 0;
	must_fail(ioctl(g->vm, KVM_SET_GSI_ROUTING, &table), EINVAL);
	table.entry.u.xen_evtchn.priority = PRIO;
	table.entry.flags = 1;
	must_fail(ioctl(g->vm, KVM_SET_GSI_ROUTING, &table), EINVAL);
}

/* Another process signals: it has not the memory, so a worker does it. */
static void signal_it(void *data)
{
	must(eventfd_write(*(int *)data, 1));
}

static void event_from_elsewhere(void)
{
	struct guest *g = xen_guest();
	struct kvm_irqfd irqfd = { .fd = must(eventfd(0, 0)), .gsi = 40 };

	route(g, 70, 0);
	must(ioctl(g->vm, KVM_IRQFD, &irqfd));
	in_child(signal_it, &irqfd.fd);
	for (int i = 0; i < 1000 && !info(g)->upcall; i++)
		sleep_ms(1);
	check_event(g, 70, 1);
}

static void page_absent(void)
{
	struct guest *g = xen_guest();
	struct kvm_irqfd irqfd = { .fd = must(eventfd(0, 0)), .gsi = 40 };

	route(g, 70, 0);
	must(ioctl(g->vm, KVM_IRQFD, &irqfd));
	must(madvise(g->memory + SHARED_PAGE, 2 * PAGE, MADV_DONTNEED));
	must(eventfd_write(irqfd.fd, 1));
	for (int i = 0; i < 1000 && !info(g)->upcall; i++)
		sleep_ms(1);
	check_event(g, 70, 1);
}

static void *signal_thread(void *arg)
{
	struct guest *g = arg;

	for (int i = 0; i < 200; i++) {
		must(send_event(g, 5));
		usleep(200);
		pending(g)[0] = 0;
	}
	return NULL;
}

/* Events to a vcpu that halts: none is slept through. */
static void event_halted(void)
{
	struct guest *g = xen_guest();
	uint64_t before;
	pthread_t thread;

	for (int i = 0; i < 50; i++) {
		before = *word(g, UPCALLS);
		pending(g)[0] = 0;
		must(send_event(g, 5));
		go_to(g, xen_halt);
		run_to_out(g, 0x10);
		check_equal(*word(g, UPCALLS), before + 1);
	}
	check(!pthread_create(&thread, NULL, signal_thread, g));
	*word(g, GUEST_DATA + 64) = 0;
	go_to(g, xen_spin);
	run_to_out(g, 0x10);
	check(!pthread_join(thread, NULL));
}

/* The pages move to a slot that goes away and comes back. */
static void slots_change(void)
{
	struct guest *g = xen_guest();
	uint8_t *high = map_pages(4 * PAGE), *other = map_pages(4 * PAGE);

	must(vm_set_slot(g->vm, 1, 0, HIGH_PAGE, 4 * PAGE, high));
	must(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO, HIGH_PAGE / PAGE));
	must(send_event(g, 3));
	check_equal(*(uint64_t *)(high + 2048), 1ull << 3);
	check_equal(upcalls(g), 1);
	must(vm_set_slot(g->vm, 1, 0, HIGH_PAGE, 0, high));
	must_fail(send_event(g, 4), EFAULT);
	must(vm_set_slot(g->vm, 1, 0, HIGH_PAGE, 4 * PAGE, other));
	must(send_event(g, 4));
	check_equal(*(uint64_t *)(other + 2048), 1ull << 4);
	check_equal(upcalls(g), 2);
	must(vm_set_slot(g->vm, 1, 0, HIGH_PAGE, 0, high));
	must(vm_set_slot(g->vm, 1, KVM_MEM_READONLY, HIGH_PAGE, 4 * PAGE, high));
	must_fail(send_event(g, 5), EFAULT);
	munmap(other, 4 * PAGE);

	/* vcpu_info goes: the event is kept until it is back. */
	must(vm_set_slot(g->vm, 1, 0, HIGH_PAGE, 0, high));
	must(vm_set_slot(g->vm, 1, 0, HIGH_PAGE, 4 * PAGE, high));
	must(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO, SHARED_PAGE / PAGE));
	must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, HIGH_PAGE));
	must(vm_set_slot(g->vm, 1, 0, HIGH_PAGE, 0, high));
	must(send_event(g, 6));
	check_equal(upcalls(g), 2);
	must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, INFO));
	info(g)->sel = 0;
	check_event(g, 6, 3);
}

static void by_user_address(void)
{
	struct guest *g = xen_guest();

	must(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, (uintptr_t)g->memory + SHARED_PAGE));
	must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA, (uintptr_t)g->memory + INFO));
	check_equal(get_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA), (uintptr_t)g->memory + INFO);
	check_equal(get_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO), KVM_XEN_INVALID_GPA);
	must(send_event(g, 100));
	check_event(g, 100, 1);
	check(info(g)->time.version);
	must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA, 0));
	must_fail(send_event(g, 100), EINVAL);
	check_equal(get_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA), 0);
}

/* ---- ports that the guest sends on ----------------------------------------------------------- */

static int64_t guest_sends(struct guest *g, uint32_t port)
{
	*word(g, GUEST_DATA + 0x100) = port;
	return call(g, HC_EVTCHN_OP, EVTCHNOP_SEND, GUEST_DATA + 0x100, 0);
}

static void send_to_port(void)
{
	struct guest *g = xen_guest();

	begin_call(g, HC_EVTCHN_OP, EVTCHNOP_SEND, GUEST_DATA + 0x100, 0);
	*word(g, GUEST_DATA + 0x100) = 20;
	run_to(g, KVM_EXIT_XEN);
	must(outbound(g, 0, INTERDOMAIN, 20, 30, 0));
	check_equal(guest_sends(g, 20), 0);
	check_event(g, 30, 1);
	must(outbound(g, 0, IPI, 21, 21, 0));
	check_equal(guest_sends(g, 21), 0);
	check_event(g, 21, 2);
	must(outbound(g, KVM_XEN_EVTCHN_UPDATE, IPI, 21, 21, 9));
	check_equal(guest_sends(g, 21), -EINVAL);
	must(outbound(g, KVM_XEN_EVTCHN_UPDATE, IPI, 21, 21, 0));
	check_equal(guest_sends(g, 21), 0);
	check_event(g, 21, 3);
	check_equal(call(g, HC_EVTCHN_OP, EVTCHNOP_SEND, 1ull << 62, 0), -EFAULT);
	must(outbound(g, KVM_XEN_EVTCHN_DEASSIGN, IPI, 21, 0, 0));
	must_fail(outbound(g, KVM_XEN_EVTCHN_DEASSIGN, IPI, 21, 0, 0), ENOENT);
	must(outbound(g, KVM_XEN_EVTCHN_RESET, 0, 0, 0, 0));
	begin_call(g, HC_EVTCHN_OP, EVTCHNOP_SEND, GUEST_DATA + 0x100, 0);
	*word(g, GUEST_DATA + 0x100) = 20;
	run_to(g, KVM_EXIT_XEN);
}

static void send_to_eventfd(void)
{
	struct guest *g = xen_guest();
	struct kvm_xen_hvm_attr a = {
		.type = KVM_XEN_ATTR_TYPE_EVTCHN,
		.u.evtchn = { .send_port = 20, .type = INTERDOMAIN,
			      .deliver.eventfd.fd = must(eventfd(0, EFD_NONBLOCK)) },
	};
	eventfd_t value;

	must(ioctl(g->vm, KVM_XEN_HVM_SET_ATTR, &a));
	check_equal(guest_sends(g, 20), 0);
	must(eventfd_read(a.u.evtchn.deliver.eventfd.fd, &value));
	check_equal(value, 1);
	must_fail(outbound(g, KVM_XEN_EVTCHN_UPDATE, INTERDOMAIN, 20, 5, 0), EINVAL);
	/* The VM's end lets go of it. */
}

static void bad_outbound(void)
{
	struct guest *g = xen_guest();
	struct kvm_xen_hvm_attr a = {
		.type = KVM_XEN_ATTR_TYPE_EVTCHN,
		.u.evtchn = { .send_port = 20, .type = INTERDOMAIN, .deliver.eventfd.fd = -1 },
	};

	must_fail(ioctl(g->vm, KVM_XEN_HVM_SET_ATTR, &a), EBADF);
	must_fail(outbound(g, 0, 4, 20, 30, 0), EINVAL);
	must_fail(outbound(g, 0, IPI, 20, 30, 0), EINVAL);
	must_fail(outbound(g, 0, INTERDOMAIN, 0, 30, 0), EINVAL);
	must_fail(outbound(g, 0, INTERDOMAIN, 4096, 30, 0), EINVAL);
	must_fail(outbound(g, 0, INTERDOMAIN, 20, 4096, 0), EINVAL);
	must_fail(outbound(g, 3, INTERDOMAIN, 20, 30, 0), EINVAL);
	must_fail(outbound(g, 8, INTERDOMAIN, 20, 30, 0), EINVAL);
	must_fail(outbound(g, KVM_XEN_EVTCHN_UPDATE, INTERDOMAIN, 20, 30, 0), ENOENT);
	must(outbound(g, 0, INTERDOMAIN, 20, 30, 0));
	must_fail(outbound(g, 0, INTERDOMAIN, 20, 30, 0), EEXIST);
	must_fail(outbound(g, KVM_XEN_EVTCHN_UPDATE, INTERDOMAIN, 20, 31, 0), EINVAL);
}

/* ---- wrong arguments ------------------------------------------------------------------------- */

static void bad_attributes(void)
{
	struct guest *g = xen_guest();
	struct kvm_xen_hvm_attr vm = { .type = 0x1234 };
	struct kvm_xen_vcpu_attr vcpu = { .type = 0x1234 };
	const uint16_t gpas[] = { KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO };
	struct kvm_irq_routing_xen_evtchn e = { .port = 1 };

	must_fail(ioctl(g->vm, KVM_XEN_HVM_SET_ATTR, &vm), ENOENT);
	must_fail(ioctl(g->vm, KVM_XEN_HVM_GET_ATTR, &vm), ENOENT);
	must_fail(ioctl(g->vcpu, KVM_XEN_VCPU_SET_ATTR, &vcpu), ENOENT);
	must_fail(ioctl(g->vcpu, KVM_XEN_VCPU_GET_ATTR, &vcpu), ENOENT);
	must_fail(ioctl(g->vm, KVM_XEN_HVM_SET_ATTR, (void *)8), EFAULT);
	must_fail(ioctl(g->vm, KVM_XEN_HVM_GET_ATTR, (void *)8), EFAULT);
	must_fail(ioctl(g->vcpu, KVM_XEN_VCPU_SET_ATTR, (void *)8), EFAULT);
	must_fail(ioctl(g->vcpu, KVM_XEN_VCPU_GET_ATTR, (void *)8), EFAULT);
	must_fail(ioctl(g->vm, KVM_XEN_HVM_EVTCHN_SEND, (void *)8), EFAULT);
	must_fail(ioctl(g->vm, KVM_XEN_HVM_EVTCHN_SEND, &e), EINVAL);
	e.priority = PRIO;
	e.vcpu = 1;
	must_fail(ioctl(g->vm, KVM_XEN_HVM_EVTCHN_SEND, &e), EINVAL);
	e.vcpu = ~0u;
	must_fail(ioctl(g->vm, KVM_XEN_HVM_EVTCHN_SEND, &e), EINVAL);

	must_fail(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO, HIGH_PAGE / PAGE), EFAULT);
	must_fail(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO, 1ull << 60), EINVAL);
	must_fail(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, PAGE + 8), EINVAL);
	must_fail(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, 16 * PAGE), EFAULT);
	must_fail(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, 0xffffffff81000000), EINVAL);
	must_fail(set_vm(g, KVM_XEN_ATTR_TYPE_UPCALL_VECTOR, 15), EINVAL);
	check_equal(get_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO), SHARED_PAGE / PAGE);

	for (unsigned int i = 0; i < 2; i++) {
		must_fail(set_vcpu(g, gpas[i], HIGH_PAGE), EFAULT);
		must_fail(set_vcpu(g, gpas[i], INFO + PAGE - 16), EINVAL);
		must_fail(set_vcpu(g, gpas[i], INFO + 2), EINVAL);
		must_fail(set_vcpu(g, gpas[i], 1ull << 63 | (uintptr_t)g->memory), EINVAL);
	}
	must_fail(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA, 16 * PAGE), EFAULT);
	must_fail(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA, 0xffffffff81000000), EINVAL);
	must_fail(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR, 15), EINVAL);
	must_fail(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_ID, 1024), EINVAL);
	check_equal(get_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO), INFO);
	need_runstate(g);
	must_fail(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, HIGH_PAGE), EFAULT);
	must_fail(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, GUEST_MEMORY - 8), EFAULT);
	check_equal(get_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR), KVM_XEN_INVALID_GPA);
}

static const struct test_case cases[] = {
	{ "what is offered", capability },
	{ "wrong configurations are refused", bad_config },
	{ "the hypercall page is made", made_page },
	{ "... not where there is no memory", made_page_nowhere },
	{ "the hypercall page is userspace's", given_page },
	{ "... not beyond what it gave", given_page_beyond },
	{ "a hypercall exits and goes on", hypercall_exit },
	{ "... of a 32-bit guest", hypercall_narrow },
	{ "... of privilege level 3 always", hypercall_user },
	{ "XENVER_version", version },
	{ "the time of day in shared_info", wall_clock },
	{ "clock pages", time_pages },
	{ "an upcall that userspace asks for", upcall_by_userspace },
	{ "KVM_XEN_HVM_EVTCHN_SEND", event_send },
	{ "events one after another", event_often, 60 },
	{ "masked and merged events", event_masks },
	{ "events of a 32-bit guest", event_narrow },
	{ "an upcall through the local APIC", event_vector },
	{ "events by routes and irqfds", event_route },
	{ "wrong routes are refused", bad_routes },
	{ "an irqfd signalled by another process", event_from_elsewhere },
	{ "an irqfd while the page is not there", page_absent },
	{ "events to a vcpu that halts", event_halted },
	{ "slots that go away", slots_change },
	{ "pages by userspace's address", by_user_address },
	{ "EVTCHNOP_send to a port", send_to_port },
	{ "EVTCHNOP_send to an eventfd", send_to_eventfd },
	{ "wrong ports are refused", bad_outbound },
	{ "wrong attributes are refused", bad_attributes },
};

int main(int argc, char **argv)
{
	return RUN_CASES("xen", cases);
}
