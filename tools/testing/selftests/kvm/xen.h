/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest that runs on Xen, for the programs that test what it gets from the kernel: the layout of what it
 * shares, its code, and how userspace configures it. The numbers are those of Xen's public headers.
 */
#ifndef SELFTEST_XEN_H
#define SELFTEST_XEN_H

#include "guest.h"

#define HC_MSR		0x40000000
#define HC_PAGE		0x30000ull	/* guest-physical addresses */
#define SHARED_PAGE	0x31000ull
#define INFO		0x32000ull
#define TIME		0x32100ull
#define RUNSTATE	0x33000ull
#define HIGH_PAGE	0x20000000ull	/* in a slot of its own, when there is one */

#define UPCALL_VECTOR	0x41		/* of the VM */
#define APIC_VECTOR	0x42		/* of the vcpu */
#define UPCALLS		0xa800		/* counters of the guest */
#define APIC_UPCALLS	0xa808

#define HC_SET_TIMER	15
#define HC_VERSION	17
#define HC_VCPU_OP	24
#define HC_SCHED_OP	29
#define HC_EVTCHN_OP	32
#define SCHEDOP_POLL	3
#define EVTCHNOP_SEND	4
#define SET_SINGLESHOT	8
#define STOP_SINGLESHOT	9
#define INTERDOMAIN	2
#define IPI		5
#define PRIO		KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL
#define UPDATE_FLAG	(1ull << 63)
#define MS		1000000ull

struct vcpu_info {
	uint8_t upcall, mask, pad[6];
	uint64_t sel;
	uint64_t arch[2];
	struct { uint32_t version, pad; uint64_t tsc, ns; uint32_t mul; int8_t shift; uint8_t rest[3]; } time;
};

/*
 * WRMSR of the page's address; hypercalls by the page, whose number and arguments are at GUEST_DATA and the
 * answer behind them; handlers that count and take note as Xen's guests do.
 */
GUEST(xen_code, 64,
	"	mov	0xa000, %eax\n"
	"	mov	0xa008, %rdi\n"
	"	mov	0xa010, %rsi\n"
	"	mov	0xa018, %rdx\n"
	"	mov	0xa020, %r10\n"
	"	mov	0xa028, %r8\n"
	"	mov	0xa030, %r9\n"
	"	mov	%eax, %ecx\n"
	"	shl	$5, %ecx\n"
	"	add	$0x30000, %ecx\n"
	"	call	*%rcx\n"
	"	mov	%rax, 0xa038\n"
	"	out	%al, $0x10\n"
	"	jmp	xen_code\n"
	".globl xen_wrmsr\nxen_wrmsr:\n"
	"	wrmsr\n"
	"	out	%al, $0x10\n"
	"	jmp	xen_wrmsr\n"
	".globl xen_spin\nxen_spin:\n"
	"	sti\n"
	"1:	cmpl	$0, 0xa040\n"
	"	je	1b\n"
	"	cli\n"
	"	out	%al, $0x10\n"
	"	jmp	xen_spin\n"
	".globl xen_halt\nxen_halt:\n"
	"	sti\n"
	"	hlt\n"
	"	cli\n"
	"	out	%al, $0x10\n"
	"	jmp	xen_halt\n"
	".globl xen_window\nxen_window:\n"
	"	sti\n"
	"	nop\n"
	"	nop\n"
	"	cli\n"
	"	out	%al, $0x10\n"
	"	jmp	xen_window\n"
	".globl xen_upcall\nxen_upcall:\n"
	"	incq	0xa800\n"
	"	movb	$0, 0x32000\n"
	"	movl	$1, 0xa040\n"
	"	iretq\n"
	".globl xen_apic\nxen_apic:\n"
	"	incq	0xa808\n"
	"	movb	$0, 0x32000\n"
	"	movl	$1, 0xa040\n"
	"	push	%rax\n"
	"	push	%rdx\n"
	"	push	%rcx\n"
	"	mov	$0x80b, %ecx\n"
	"	xor	%eax, %eax\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	pop	%rcx\n"
	"	pop	%rdx\n"
	"	pop	%rax\n"
	"	iretq\n");

extern const uint8_t xen_wrmsr[], xen_spin[], xen_halt[], xen_window[], xen_upcall[], xen_apic[];

/* ---- help ------------------------------------------------------------------------------------ */

static inline int config(struct guest *g, uint32_t flags)
{
	struct kvm_xen_hvm_config c = { .flags = flags, .msr = HC_MSR };

	return ioctl(g->vm, KVM_XEN_HVM_CONFIG, &c);
}

static inline int set_vm(struct guest *g, uint16_t type, uint64_t value)
{
	struct kvm_xen_hvm_attr a = { .type = type };

	memcpy(&a.u, &value, sizeof(value));
	return ioctl(g->vm, KVM_XEN_HVM_SET_ATTR, &a);
}

static inline uint64_t get_vm(struct guest *g, uint16_t type)
{
	struct kvm_xen_hvm_attr a = { .type = type };

	must(ioctl(g->vm, KVM_XEN_HVM_GET_ATTR, &a));
	return a.u.shared_info.gfn;
}

static inline int set_vcpu(struct guest *g, uint16_t type, uint64_t value)
{
	struct kvm_xen_vcpu_attr a = { .type = type };

	memcpy(&a.u, &value, sizeof(value));
	return ioctl(g->vcpu, KVM_XEN_VCPU_SET_ATTR, &a);
}

static inline uint64_t get_vcpu(struct guest *g, uint16_t type)
{
	struct kvm_xen_vcpu_attr a = { .type = type };

	must(ioctl(g->vcpu, KVM_XEN_VCPU_GET_ATTR, &a));
	return a.u.gpa;
}

static inline struct kvm_xen_vcpu_attr runstate(struct guest *g)
{
	struct kvm_xen_vcpu_attr a = { .type = KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA };

	must(ioctl(g->vcpu, KVM_XEN_VCPU_GET_ATTR, &a));
	return a;
}

static inline volatile uint64_t *word(struct guest *g, uint64_t address)
{
	return (volatile uint64_t *)(g->memory + address);
}

static inline volatile struct vcpu_info *info(struct guest *g)
{
	return (volatile struct vcpu_info *)(g->memory + INFO);
}

static inline volatile uint64_t *pending(struct guest *g)
{
	return word(g, SHARED_PAGE + 2048);
}

static inline volatile uint64_t *mask(struct guest *g)
{
	return word(g, SHARED_PAGE + 2048 + 512);
}

static inline int send_event(struct guest *g, uint32_t port)
{
	struct kvm_irq_routing_xen_evtchn e = { .port = port, .priority = PRIO };

	return ioctl(g->vm, KVM_XEN_HVM_EVTCHN_SEND, &e);
}

static inline void go_to(struct guest *g, const uint8_t *label)
{
	guest_complete(g);
	vcpu_set_rip(g->vcpu, guest_address(g, label));
}

static inline void write_page_msr(struct guest *g, uint64_t value)
{
	struct kvm_regs regs;

	go_to(g, xen_wrmsr);
	regs = vcpu_regs(g->vcpu);
	regs.rcx = HC_MSR;
	regs.rax = (uint32_t)value;
	regs.rdx = value >> 32;
	vcpu_set_regs(g->vcpu, &regs);
}

/* Up to the exit, or the answer. */
static inline void begin_call(struct guest *g, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	go_to(g, xen_code);
	*word(g, GUEST_DATA) = nr;
	*word(g, GUEST_DATA + 8) = a0;
	*word(g, GUEST_DATA + 16) = a1;
	*word(g, GUEST_DATA + 24) = a2;
	*word(g, GUEST_DATA + 32) = 0x1234;
	*word(g, GUEST_DATA + 40) = 0x5678;
	*word(g, GUEST_DATA + 48) = 0xfedcba9876543210;
}

static inline int64_t call(struct guest *g, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	begin_call(g, nr, a0, a1, a2);
	run_to_out(g, 0x10);
	return *word(g, GUEST_DATA + 56);
}

/* With interrupt controllers, a hypercall page, and all that is shared in its place. */
static inline struct guest *xen_guest(void)
{
	struct guest *g = guest_new(LONG, xen_code);

	NEED(g->kvm, KVM_CAP_XEN_HVM);
	guest_with_irqchip(g, LONG);
	guest_load(g, xen_code);
	guest_gate(g, UPCALL_VECTOR, guest_address(g, xen_upcall));
	guest_gate(g, APIC_VECTOR, guest_address(g, xen_apic));
	must(config(g, KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | KVM_XEN_HVM_CONFIG_EVTCHN_SEND));
	write_page_msr(g, HC_PAGE);
	run_to_out(g, 0x10);
	must(set_vm(g, KVM_XEN_ATTR_TYPE_SHARED_INFO, SHARED_PAGE / PAGE));
	must(set_vcpu(g, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, INFO));
	must(set_vm(g, KVM_XEN_ATTR_TYPE_UPCALL_VECTOR, UPCALL_VECTOR));
	return g;
}

/* Interrupts are let through for a moment: how many upcalls there have been. */
static inline uint64_t upcalls(struct guest *g)
{
	go_to(g, xen_window);
	run_to_out(g, 0x10);
	return *word(g, UPCALLS);
}

static inline void check_event(struct guest *g, uint32_t port, uint64_t count)
{
	check_equal(upcalls(g), count);
	check_equal(pending(g)[port / 64], 1ull << port % 64);
	check_equal(info(g)->sel, 1ull << port / 64);
	check_equal(info(g)->upcall, 0);
	pending(g)[port / 64] = 0;
	info(g)->sel = 0;
}

static inline int outbound(struct guest *g, uint32_t flags, uint32_t type, uint32_t send_port, uint32_t port,
		    uint32_t vcpu)
{
	struct kvm_xen_hvm_attr a = {
		.type = KVM_XEN_ATTR_TYPE_EVTCHN,
		.u.evtchn = { .send_port = send_port, .type = type, .flags = flags,
			      .deliver.port = { .port = port, .vcpu = vcpu, .priority = PRIO } },
	};

	return ioctl(g->vm, KVM_XEN_HVM_SET_ATTR, &a);
}

static inline void need_runstate(struct guest *g)
{
	if (!(extension(g->kvm, KVM_CAP_XEN_HVM) & KVM_XEN_HVM_CONFIG_RUNSTATE))
		skip("the host does not count waits");
}

#endif
