// SPDX-License-Identifier: GPL-2.0
/*
 * Hypercalls of a Xen guest: the page that it calls, with code of userspace's or made here, the exit to
 * userspace, and the few calls that are frequent enough to be answered here. Number in RAX; arguments in
 * RDI, RSI, RDX, R10, R8, R9, or in EBX, ECX, EDX, ESI, EDI, EBP. Xen's public headers
 * arch-x86/xen-x86_64.h and xen-x86_32.h; Documentation/virt/kvm/x86/xen.rst.
 */
#include <linux/slab.h>
#include <linux/string.h>

#include "../x86.h"
#include "../irqchip/irqchip.h"
#include "../mmu/mmu.h"
#include "../trace.h"
#include "xen.h"

/* ---- the hypercall page ---------------------------------------------------------------------- */

/* A function for each hypercall: number to EAX, the processor's instruction, RET. */
#define FUNCTION_SIZE	32

static int write_made_page(struct kvm_vcpu *vcpu, gpa_t gpa)
{
	u8 code[FUNCTION_SIZE] = { 0xb8 };
	u32 nr;

	kvm_x86_ops.patch_hypercall(vcpu, code + 5);
	code[8] = 0xc3;
	memset(code + 9, 0xcc, sizeof(code) - 9);
	for (nr = 0; nr < PAGE_SIZE / FUNCTION_SIZE; nr++) {
		memcpy(code + 1, &nr, sizeof(nr));
		if (kvm_guest_write(vcpu, gpa + nr * FUNCTION_SIZE, code, sizeof(code)))
			return 1;
	}
	return 0;
}

static int write_given_page(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int nr)
{
	const struct kvm_xen_hvm_config *config = &vcpu->kvm->arch.xen.config;
	bool wide = is_long_mode(vcpu);
	u64 blob = READ_ONCE(*(wide ? &config->blob_addr_64 : &config->blob_addr_32));
	void *page;
	int r;

	if (nr >= READ_ONCE(*(wide ? &config->blob_size_64 : &config->blob_size_32)))
		return 1;
	page = memdup_user((void __user *)(blob + nr * PAGE_SIZE), PAGE_SIZE);
	if (IS_ERR(page))
		return 1;
	r = kvm_guest_write(vcpu, gpa, page, PAGE_SIZE);
	kfree(page);
	return r ? 1 : 0;
}

/* An address, and in the bits below it which page of several the guest wants there. */
int kvm_xen_set_msr(struct kvm_vcpu *vcpu, u64 data)
{
	unsigned int nr = offset_in_page(data);
	gpa_t gpa = data & PAGE_MASK;

	kvm_srcu_unlock(vcpu);
	kvm_xen_set_long_mode(vcpu->kvm, is_long_mode(vcpu));
	kvm_srcu_lock(vcpu);
	if (!kvm_xen_takes_hypercalls(vcpu->kvm))
		return write_given_page(vcpu, gpa, nr);
	return nr ? 1 : write_made_page(vcpu, gpa);
}

/* ---- arguments ------------------------------------------------------------------------------- */

struct xen_call {
	unsigned long nr, arg[6];
	bool wide;			/* made in 64-bit mode */
};

static void fetch_call(struct kvm_vcpu *vcpu, struct xen_call *call)
{
	static const u8 order[2][6] = {
		{ KVM_RBX, KVM_RCX, KVM_RDX, KVM_RSI, KVM_RDI, KVM_RBP },
		{ KVM_RDI, KVM_RSI, KVM_RDX, KVM_R10, KVM_R8, KVM_R9 },
	};
	const unsigned long *regs = vcpu->arch.regs;
	unsigned long mask;
	unsigned int i;

	call->wide = kvm_is_64bit(vcpu);
	mask = call->wide ? ~0ul : U32_MAX;
	call->nr = regs[KVM_RAX] & mask;
	for (i = 0; i < ARRAY_SIZE(call->arg); i++)
		call->arg[i] = regs[order[call->wide][i]] & mask;
}

/* From the guest's address space, with its kernel's rights. 0 / -XEN_EFAULT */
static long read_linear(struct kvm_vcpu *vcpu, u64 linear, void *data, unsigned int len)
{
	struct kvm_walk_fault fault;
	unsigned int part;
	gpa_t gpa;

	kvm_srcu_lock(vcpu);
	for (; len; len -= part, linear += part, data += part) {
		part = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(linear));
		if (kvm_is_noncanonical(vcpu, linear))
			return -XEN_EFAULT;
		gpa = kvm_walk_gva(vcpu, linear, 0, &fault);
		if (gpa == INVALID_GPA || kvm_guest_read(vcpu, gpa, data, part))
			return -XEN_EFAULT;
	}
	return 0;
}

/* ---- calls that are answered here ------------------------------------------------------------ */

/* Each returns false if userspace is to answer. The layouts are vcpu.h's and sched.h's. */

static bool send(struct kvm_vcpu *vcpu, const struct xen_call *call, long *result)
{
	u32 port;

	if (call->arg[0] != XEN_EVTCHNOP_SEND)
		return false;
	*result = read_linear(vcpu, call->arg[1], &port, sizeof(port));
	return *result || kvm_xen_evtchn_send(vcpu, port, result);
}

/* The guest's arithmetic overflows now and then; Xen takes far-off times for that, and looks again soon. */
#define STRANGE_TIME	BIT_ULL(50)
#define SOON_NS		(100 * NSEC_PER_MSEC)

static bool set_timer(struct kvm_vcpu *vcpu, const struct xen_call *call, long *result)
{
	u64 expires = call->arg[0], now;

	if (!vcpu->arch.xen.timer_port)
		return false;
	if (!call->wide)
		expires |= (u64)call->arg[1] << 32;
	now = kvm_clock_now(vcpu->kvm);
	if ((s64)expires < 0 || (expires > now && expires - now >= STRANGE_TIME))
		expires = now + SOON_NS;
	kvm_xen_timer_set(vcpu, expires);
	*result = 0;
	return true;
}

static long set_singleshot(struct kvm_vcpu *vcpu, const struct xen_call *call)
{
	struct {
		u64 expires;
		u32 flags;
	} args;
	long r;

	r = read_linear(vcpu, call->arg[2], &args, offsetofend(typeof(args), flags));
	if (r)
		return r;
	if ((args.flags & XEN_SINGLESHOT_FUTURE) && args.expires < kvm_clock_now(vcpu->kvm))
		return -XEN_ETIME;
	/* 0 is a time like others, long past. */
	kvm_xen_timer_set(vcpu, max(args.expires, 1ull));
	return 0;
}

static bool vcpu_op(struct kvm_vcpu *vcpu, const struct xen_call *call, long *result)
{
	unsigned long op = call->arg[0];

	if (!vcpu->arch.xen.timer_port ||
	    (op != XEN_VCPUOP_SET_SINGLESHOT && op != XEN_VCPUOP_STOP_SINGLESHOT))
		return false;
	if (call->arg[1] != vcpu->arch.xen.vcpu_id) {
		*result = -XEN_EINVAL;
		return true;
	}
	if (op == XEN_VCPUOP_SET_SINGLESHOT) {
		*result = set_singleshot(vcpu, call);
		return true;
	}
	kvm_xen_timer_set(vcpu, 0);
	*result = 0;
	return true;
}

#define POLL_MAX	128	/* Xen's limit */

/* 0, a Xen error, or -EINTR. */
static int poll_ports(struct kvm_vcpu *vcpu, const struct xen_call *call, long *result)
{
	struct { u32 ports, nr; u32 timeout[2]; } narrow;
	struct { u64 ports; u32 nr, pad; u64 timeout; } wide;
	struct xen_poll poll;
	u32 *ports;
	unsigned int i;
	int r = 0;

	if (call->wide) {
		*result = read_linear(vcpu, call->arg[1], &wide, sizeof(wide));
	} else {
		*result = read_linear(vcpu, call->arg[1], &narrow, sizeof(narrow));
		wide.ports = narrow.ports;
		wide.nr = narrow.nr;
		wide.timeout = narrow.timeout[0] | (u64)narrow.timeout[1] << 32;
	}
	if (*result)
		return 0;
	*result = -XEN_EINVAL;
	if (wide.nr > POLL_MAX)
		return 0;
	ports = kmalloc_array(POLL_MAX, sizeof(*ports), GFP_KERNEL_ACCOUNT);
	if (!ports)
		return -ENOMEM;
	poll = (struct xen_poll) { .ports = ports, .nr = wide.nr, .timeout = wide.timeout };
	if (read_linear(vcpu, wide.ports, ports, wide.nr * sizeof(*ports))) {
		*result = -XEN_EFAULT;
		goto out;
	}
	for (i = 0; i < wide.nr; i++)
		if (!kvm_xen_port_valid(vcpu->kvm, ports[i]))
			goto out;
	r = kvm_xen_poll(vcpu, &poll);
	*result = 0;
out:
	kfree(ports);
	return r;
}

/*
 * A wait that a signal ends is begun again by the same instruction; its end is a time of the guest's clock,
 * which does not move. 1: answered; 0: userspace's; or an errno, -EINTR among them.
 */
static int sched_op(struct kvm_vcpu *vcpu, const struct xen_call *call, long *result)
{
	int r;

	if (!kvm_has_lapic(vcpu) || !(READ_ONCE(vcpu->kvm->arch.xen.config.flags) &
				      KVM_XEN_HVM_CONFIG_EVTCHN_SEND))
		return 0;
	switch (call->arg[0]) {
	case XEN_SCHEDOP_POLL:
		r = poll_ports(vcpu, call, result);
		return r ? r : 1;
	case XEN_SCHEDOP_YIELD:
		kvm_vcpu_spins(vcpu, true);
		*result = 0;
		return 1;
	default:
		return 0;
	}
}

static int answer(struct kvm_vcpu *vcpu, const struct xen_call *call, long *result)
{
	u32 version = READ_ONCE(vcpu->kvm->arch.xen.version);

	switch (call->nr) {
	case XEN_HC_XEN_VERSION:
		if (call->arg[0] != XEN_VERSION_CMD_VERSION || !version)
			return 0;
		*result = version;
		return 1;
	case XEN_HC_EVENT_CHANNEL_OP:
		return send(vcpu, call, result);
	case XEN_HC_SCHED_OP:
		return sched_op(vcpu, call, result);
	case XEN_HC_SET_TIMER_OP:
		return set_timer(vcpu, call, result);
	case XEN_HC_VCPU_OP:
		return vcpu_op(vcpu, call, result);
	default:
		return 0;
	}
}

/* ---- the exit -------------------------------------------------------------------------------- */

static void set_result(struct kvm_vcpu *vcpu, u64 result, bool wide)
{
	vcpu->arch.regs[KVM_RAX] = wide ? result : (u32)result;
}

/* A vcpu that userspace moved elsewhere is left there. */
static int complete_call(struct kvm_vcpu *vcpu)
{
	if (kvm_linear_rip(vcpu) != vcpu->arch.xen.hypercall_rip)
		return 1;
	set_result(vcpu, vcpu->run->xen.u.hcall.result, vcpu->run->xen.u.hcall.longmode);
	return kvm_skip_insn(vcpu);
}

static int hand_over(struct kvm_vcpu *vcpu, const struct xen_call *call, int cpl)
{
	struct kvm_run *run = vcpu->run;
	unsigned int i;

	run->exit_reason = KVM_EXIT_XEN;
	run->xen.type = KVM_EXIT_XEN_HCALL;
	run->xen.u.hcall.longmode = call->wide;
	run->xen.u.hcall.cpl = cpl;
	run->xen.u.hcall.input = call->nr;
	run->xen.u.hcall.result = 0;
	for (i = 0; i < ARRAY_SIZE(call->arg); i++)
		run->xen.u.hcall.params[i] = call->arg[i];
	vcpu->arch.xen.hypercall_rip = kvm_linear_rip(vcpu);
	vcpu->arch.complete_io = complete_call;
	return 0;
}

int kvm_xen_hypercall(struct kvm_vcpu *vcpu)
{
	int cpl = vendor(cpl)(vcpu), r = 0;
	struct xen_call call;
	long result;

	fetch_call(vcpu, &call);
	trace_kvm_xen_hypercall(cpl, call.nr, call.arg);
	vcpu->stat.hypercalls++;
	if (!cpl)
		r = answer(vcpu, &call, &result);
	if (!r)
		return hand_over(vcpu, &call, cpl);
	/* The run loop finds out what has come up. */
	if (r == -EINTR)
		return 1;
	if (r < 0)
		return r;
	set_result(vcpu, result, call.wide);
	return kvm_skip_insn(vcpu);
}
