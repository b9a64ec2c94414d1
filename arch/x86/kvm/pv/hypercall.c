// SPDX-License-Identifier: GPL-2.0
/*
 * Hypercalls of KVM's own interface: VMCALL or VMMCALL with the number in RAX, arguments in RBX, RCX,
 * RDX and RSI, the answer in RAX. Documentation/virt/kvm/x86/pv.rst describes each of them. Hypercalls
 * of other interfaces are not here.
 */
#include <linux/kvm_para.h>

#include "../x86.h"
#include "../irqchip/irqchip.h"
#include "../trace.h"
#include "pv.h"
#include "xen.h"

struct hypercall {
	unsigned long nr, arg[4];
	bool wide;		/* made in 64-bit mode; else all of it has 32 bits */
};

/* Most of a destination field, a shorthand, a logical destination: the bit map says who is meant. */
#define IPI_ICR_INVALID		(APIC_DEST_ALLBUT | APIC_DEST_LOGICAL)

/* ---- who gets the processor ------------------------------------------------------------------ */

/* A vcpu waits for somebody who has been preempted: that one should run instead. */
static void yield_to_vcpu(struct kvm_vcpu *vcpu, struct kvm_vcpu *target)
{
	vcpu->stat.directed_yield_attempted++;
	if (target && target != vcpu && READ_ONCE(target->ready) && kvm_vcpu_yield_to(target))
		vcpu->stat.directed_yield_successful++;
}

/* The vcpu's halt, that of now or the next one, is over. */
static void unhalt(struct kvm_vcpu *vcpu, struct kvm_vcpu *target)
{
	if (!target)
		return;
	WRITE_ONCE(target->arch.pv.unhalted, true);
	kvm_vcpu_wake(target);
	yield_to_vcpu(vcpu, target);
}

/* ---- interprocessor interrupts --------------------------------------------------------------- */

/* To each vcpu with a bit in the map, whose first bit is for APIC id @first: how many got it. */
static long send_ipi(struct kvm_vcpu *vcpu, const struct hypercall *call)
{
	unsigned long map[2] = { call->arg[0], call->arg[1] };
	u32 first = call->arg[2], icr = call->arg[3];
	struct apic_msg msg;
	unsigned int bit;
	long reached = 0;

	if (!kvm_has_lapic(vcpu))
		return -KVM_EOPNOTSUPP;
	if (icr & IPI_ICR_INVALID)
		return -KVM_EINVAL;

	if (!call->wide) {
		map[0] |= map[1] << 32;
		map[1] = 0;
	}
	for_each_set_bit(bit, map, 2 * BITS_PER_LONG) {
		apic_msg_from_icr(&msg, icr, first + bit, true);
		if (msg.assert && kvm_lapic_send(vcpu->kvm, vcpu, &msg) > 0)
			reached++;
	}
	return reached;
}

/* ---- the host's clock ------------------------------------------------------------------------ */

static long pair_clocks(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned long clock)
{
	struct kvm_clock_pairing pairing = { };

	if (clock != KVM_CLOCK_PAIRING_WALLCLOCK || !kvm_clock_pair(vcpu, &pairing))
		return -KVM_EOPNOTSUPP;
	kvm_srcu_lock(vcpu);
	return kvm_guest_write(vcpu, gpa, &pairing, sizeof(pairing)) ? -KVM_EFAULT : 0;
}

/* ---- hypercalls for userspace ---------------------------------------------------------------- */

static void set_result(struct kvm_vcpu *vcpu, unsigned long result, bool wide)
{
	vcpu->arch.regs[KVM_RAX] = wide ? result : (u32)result;
}

static int complete_hypercall(struct kvm_vcpu *vcpu)
{
	set_result(vcpu, vcpu->run->hypercall.ret,
		   vcpu->run->hypercall.flags & KVM_EXIT_HYPERCALL_LONG_MODE);
	return kvm_skip_insn(vcpu);
}

/* 0 when userspace is to answer, or the answer. */
static long map_gpa_range(struct kvm_vcpu *vcpu, const struct hypercall *call)
{
	struct kvm_run *run = vcpu->run;
	u64 gpa = call->arg[0], frame = gpa >> PAGE_SHIFT, frames = call->arg[1];

	if (!kvm_pv_has(vcpu, KVM_FEATURE_HC_MAP_GPA_RANGE) ||
	    !(READ_ONCE(vcpu->kvm->arch.exit_hypercalls) & BIT(KVM_HC_MAP_GPA_RANGE)))
		return -KVM_ENOSYS;
	if (offset_in_page(gpa) || !frames || frame + frames < frame)
		return -KVM_EINVAL;

	run->exit_reason = KVM_EXIT_HYPERCALL;
	run->hypercall.nr = KVM_HC_MAP_GPA_RANGE;
	run->hypercall.ret = 0;
	run->hypercall.args[0] = gpa;
	run->hypercall.args[1] = frames;
	run->hypercall.args[2] = call->arg[2];
	run->hypercall.flags = call->wide ? KVM_EXIT_HYPERCALL_LONG_MODE : 0;
	vcpu->arch.complete_io = complete_hypercall;
	return 0;
}

/* ---- the exit -------------------------------------------------------------------------------- */

static long carry_out(struct kvm_vcpu *vcpu, const struct hypercall *call)
{
	switch (call->nr) {
	case KVM_HC_VAPIC_POLL_IRQ:
		return 0;	/* the exit was the point of it */
	case KVM_HC_KICK_CPU:
		if (!kvm_pv_has(vcpu, KVM_FEATURE_PV_UNHALT))
			return -KVM_ENOSYS;
		unhalt(vcpu, kvm_lapic_find(vcpu->kvm, call->arg[1]));
		return 0;
	case KVM_HC_SCHED_YIELD:
		if (!kvm_pv_has(vcpu, KVM_FEATURE_PV_SCHED_YIELD))
			return -KVM_ENOSYS;
		yield_to_vcpu(vcpu, kvm_lapic_find(vcpu->kvm, call->arg[0]));
		return 0;
	case KVM_HC_SEND_IPI:
		if (!kvm_pv_has(vcpu, KVM_FEATURE_PV_SEND_IPI))
			return -KVM_ENOSYS;
		return send_ipi(vcpu, call);
	case KVM_HC_CLOCK_PAIRING:
		return pair_clocks(vcpu, call->arg[0], call->arg[1]);
	case KVM_HC_MAP_GPA_RANGE:
		return map_gpa_range(vcpu, call);
	default:
		return -KVM_ENOSYS;
	}
}

int kvm_emulate_hypercall(struct kvm_vcpu *vcpu)
{
	const unsigned long *regs = vcpu->arch.regs;
	bool wide = kvm_is_64bit(vcpu);
	unsigned long mask = wide ? ~0ul : U32_MAX;
	struct hypercall call = {
		.nr = regs[KVM_RAX] & mask,
		.arg = { regs[KVM_RBX] & mask, regs[KVM_RCX] & mask, regs[KVM_RDX] & mask,
			 regs[KVM_RSI] & mask },
		.wide = wide,
	};
	long result = -KVM_EPERM;

	if (kvm_xen_takes_hypercalls(vcpu->kvm))
		return kvm_xen_hypercall(vcpu);
	trace_kvm_hypercall(call.nr, call.arg[0], call.arg[1], call.arg[2], call.arg[3]);
	vcpu->stat.hypercalls++;
	if (!vendor(cpl)(vcpu))
		result = carry_out(vcpu, &call);
	if (vcpu->arch.complete_io)
		return 0;
	set_result(vcpu, result, wide);
	return kvm_skip_insn(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_emulate_hypercall);
