// SPDX-License-Identifier: GPL-2.0
/*
 * Which paravirtual services there are, which of them a guest may use, and the way of their MSRs to
 * the files that own what is behind them. Owns the two MSRs that are no more than a value: whether
 * the host polls on halts, and whether the VM may be moved. CPUID leaf 0x40000001 and the MSRs are
 * described in Documentation/virt/kvm/x86/pv.rst.
 */
#include "../x86.h"
#include "pv.h"

/* EAX of the leaf, as offered by KVM_GET_SUPPORTED_CPUID. */
u32 kvm_pv_features(void)
{
	u32 features = BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_NOP_IO_DELAY) |
		       BIT(KVM_FEATURE_CLOCKSOURCE2) | BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT) |
		       BIT(KVM_FEATURE_ASYNC_PF) | BIT(KVM_FEATURE_ASYNC_PF_INT) |
		       BIT(KVM_FEATURE_PV_EOI) | BIT(KVM_FEATURE_PV_UNHALT) |
		       BIT(KVM_FEATURE_PV_SEND_IPI) | BIT(KVM_FEATURE_POLL_CONTROL) |
		       BIT(KVM_FEATURE_PV_SCHED_YIELD) | BIT(KVM_FEATURE_MIGRATION_CONTROL);

	/* The wish for a flush is left in the structure of steal time. */
	if (kvm_steal_time_offered())
		features |= BIT(KVM_FEATURE_STEAL_TIME) | BIT(KVM_FEATURE_PV_TLB_FLUSH);
	return features;
}

int kvm_pv_enable_cap(struct kvm_vcpu *vcpu, const struct kvm_enable_cap *cap)
{
	if (cap->flags || cap->cap != KVM_CAP_ENFORCE_PV_FEATURE_CPUID)
		return -EINVAL;
	vcpu->arch.pv.enforced = cap->args[0];
	return 0;
}

/* The feature that an MSR comes with; -1: it is none of these. */
static int msr_feature(u32 index)
{
	switch (index) {
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_WALL_CLOCK:
		return KVM_FEATURE_CLOCKSOURCE;
	case MSR_KVM_SYSTEM_TIME_NEW:
	case MSR_KVM_WALL_CLOCK_NEW:
		return KVM_FEATURE_CLOCKSOURCE2;
	case MSR_KVM_STEAL_TIME:
		return KVM_FEATURE_STEAL_TIME;
	case MSR_KVM_ASYNC_PF_EN:
		return KVM_FEATURE_ASYNC_PF;
	case MSR_KVM_ASYNC_PF_INT:
	case MSR_KVM_ASYNC_PF_ACK:
		return KVM_FEATURE_ASYNC_PF_INT;
	case MSR_KVM_PV_EOI_EN:
		return KVM_FEATURE_PV_EOI;
	case MSR_KVM_POLL_CONTROL:
		return KVM_FEATURE_POLL_CONTROL;
	case MSR_KVM_MIGRATION_CONTROL:
		return KVM_FEATURE_MIGRATION_CONTROL;
	default:
		return -1;
	}
}

bool kvm_is_pv_msr(u32 index)
{
	return msr_feature(index) >= 0;
}

int kvm_pv_get_msr(struct kvm_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	if (!host && !kvm_pv_has(vcpu, msr_feature(index)))
		return 1;

	switch (index) {
	case MSR_KVM_STEAL_TIME:
		*data = vcpu->arch.steal.msr;
		return 0;
	case MSR_KVM_ASYNC_PF_EN:
	case MSR_KVM_ASYNC_PF_INT:
	case MSR_KVM_ASYNC_PF_ACK:
		*data = kvm_apf_get_msr(vcpu, index);
		return 0;
	case MSR_KVM_PV_EOI_EN:
		*data = vcpu->arch.pv_eoi.msr;
		return 0;
	case MSR_KVM_POLL_CONTROL:
		*data = vcpu->arch.pv.poll_control;
		return 0;
	case MSR_KVM_MIGRATION_CONTROL:
		*data = READ_ONCE(vcpu->kvm->arch.migration_control);
		return 0;
	default:
		*data = kvm_clock_get_msr(vcpu, index);
		return 0;
	}
}

int kvm_pv_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host)
{
	if (!host && !kvm_pv_has(vcpu, msr_feature(index)))
		return 1;

	switch (index) {
	case MSR_KVM_STEAL_TIME:
		return kvm_steal_time_set_msr(vcpu, data);
	case MSR_KVM_ASYNC_PF_EN:
	case MSR_KVM_ASYNC_PF_INT:
	case MSR_KVM_ASYNC_PF_ACK:
		return kvm_apf_set_msr(vcpu, index, data, host);
	case MSR_KVM_PV_EOI_EN:
		return kvm_pv_eoi_set_msr(vcpu, data);
	case MSR_KVM_POLL_CONTROL:
		if (data & ~KVM_POLL_CONTROL_HOST)
			return 1;
		vcpu->arch.pv.poll_control = data;
		return 0;
	case MSR_KVM_MIGRATION_CONTROL:
		if (data & ~(u64)KVM_MIGRATION_READY)
			return 1;
		WRITE_ONCE(vcpu->kvm->arch.migration_control, data);
		return 0;
	default:
		kvm_clock_set_msr(vcpu, index, data);
		return 0;
	}
}

/* A guest that polls itself does not want the host to do it once more; pages take their time. */
bool kvm_arch_vcpu_polls(struct kvm_vcpu *vcpu)
{
	return (vcpu->arch.pv.poll_control & KVM_POLL_CONTROL_HOST) && !vcpu->arch.apf.waiting;
}

/* No guest's memory is encrypted: all may be moved, unless the guest says otherwise. */
void kvm_pv_vm_init(struct kvm *kvm)
{
	kvm->arch.migration_control = KVM_MIGRATION_READY;
	kvm_clock_vm_init(kvm);
}

void kvm_pv_vcpu_init(struct kvm_vcpu *vcpu)
{
	vcpu->arch.pv.poll_control = KVM_POLL_CONTROL_HOST;
}

/* RESET and INIT: what the guest's kernel shared with the host is its memory again. */
void kvm_pv_reset(struct kvm_vcpu *vcpu)
{
	vcpu->arch.clock.msr = 0;
	vcpu->arch.steal.msr = 0;
	vcpu->arch.pv_eoi = (struct kvm_vcpu_pv_eoi) { };
	kvm_apf_reset(vcpu);
	vcpu->arch.apf.en_msr = 0;
	vcpu->arch.apf.int_msr = 0;
	WRITE_ONCE(vcpu->arch.pv.unhalted, false);
}
