/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a guest that knows of KVM gets beside a processor; Documentation/virt/kvm/x86/clock.rst and
 * pv.rst.
 */
#ifndef _KVM_PV_H
#define _KVM_PV_H

#include <linux/kvm_host.h>

/* ---- async_pf.c ------------------------------------------------------------------------------ */

/* A fault that would have to wait need not be waited for. */
bool kvm_apf_possible(struct kvm_vcpu *vcpu);
/* Of such a fault: the guest is told, or has waited; it faults again if need be. False: neither. */
bool kvm_apf_begin(struct kvm_vcpu *vcpu, gfn_t gfn, hva_t hva, bool write);
void kvm_apf_deliver(struct kvm_vcpu *vcpu);		/* KVM_REQ_ASYNC_PF */
u64 kvm_apf_get_msr(struct kvm_vcpu *vcpu, u32 index);
int kvm_apf_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host);
void kvm_apf_reset(struct kvm_vcpu *vcpu);

/* ---- features.c ------------------------------------------------------------------------------ */

u32 kvm_pv_features(void);		/* what is offered: EAX of CPUID leaf KVM_CPUID_FEATURES */
int kvm_pv_enable_cap(struct kvm_vcpu *vcpu, const struct kvm_enable_cap *cap);

/* May the guest use it? @feature is KVM_FEATURE_*. */
static inline bool kvm_pv_has(struct kvm_vcpu *vcpu, unsigned int feature)
{
	return !vcpu->arch.pv.enforced || (vcpu->arch.cpuid.pv_features & BIT(feature));
}

bool kvm_is_pv_msr(u32 index);
/* 0, or 1: #GP. @index is one that kvm_is_pv_msr() knows. */
int kvm_pv_get_msr(struct kvm_vcpu *vcpu, u32 index, u64 *data, bool host);
int kvm_pv_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host);

void kvm_pv_vm_init(struct kvm *kvm);
void kvm_pv_vcpu_init(struct kvm_vcpu *vcpu);
void kvm_pv_reset(struct kvm_vcpu *vcpu);

/* ---- places in memory that guest and host share ---------------------------------------------- */

struct kvm_place {
	u64 address;		/* of the guest's, in address space 0 */
	bool user;		/* of the owner's instead, in user space */
};

/* ---- clock.c --------------------------------------------------------------------------------- */

void kvm_clock_vm_init(struct kvm *kvm);
void kvm_clock_vcpu_load(struct kvm_vcpu *vcpu, int cpu);	/* before kvm_tsc_vcpu_load() */
void kvm_clock_update(struct kvm_vcpu *vcpu);			/* KVM_REQ_CLOCK */
/* The vcpu's offset to the host's TSC changed, or the vcpu is new. Preemption may be off. */
void kvm_clock_tsc_changed(struct kvm_vcpu *vcpu);
/* The host's TSC is behind what it was: a moment kept from before means nothing. */
void kvm_clock_host_tsc_lost(struct kvm *kvm);

u64 kvm_clock_get_msr(struct kvm_vcpu *vcpu, u32 index);
void kvm_clock_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 data);

void kvm_clock_get(struct kvm *kvm, struct kvm_clock_data *data);	/* KVM_GET_CLOCK */
int kvm_clock_set(struct kvm *kvm, const struct kvm_clock_data *data);	/* KVM_SET_CLOCK */
int kvm_clock_guest_stopped(struct kvm_vcpu *vcpu);			/* KVM_KVMCLOCK_CTRL */
u64 kvm_clock_now(struct kvm *kvm);	/* any context */
/* Somebody but the MSR has given the vcpu a page. Owner. */
void kvm_clock_page_added(struct kvm_vcpu *vcpu);
/*
 * The time of day when the clock was 0, at @at; bits 63:32 of its seconds at @high. 0 / -EFAULT. srcu.
 */
int kvm_clock_write_wall(struct kvm *kvm, struct kvm_place at, const struct kvm_place *high);
/* Copies; may sleep unless page faults are disabled. 0 / -EFAULT. srcu. */
int kvm_place_read(struct kvm *kvm, struct kvm_place from, void *data, unsigned int len);
int kvm_place_write(struct kvm *kvm, struct kvm_place to, const void *data, unsigned int len);
/* The time of day and the guest's TSC at one moment; false: the host's clock is not the TSC. */
bool kvm_clock_pair(struct kvm_vcpu *vcpu, struct kvm_clock_pairing *pairing);

/* ---- eoi.c ----------------------------------------------------------------------------------- */

void kvm_pv_eoi_take(struct kvm_vcpu *vcpu);
void kvm_pv_eoi_arm(struct kvm_vcpu *vcpu);
int kvm_pv_eoi_set_msr(struct kvm_vcpu *vcpu, u64 data);

static inline bool kvm_pv_eoi_wanted(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.pv_eoi.wanted;
}

/* ---- steal_time.c ---------------------------------------------------------------------------- */

bool kvm_steal_time_offered(void);
void kvm_steal_time_update(struct kvm_vcpu *vcpu);	/* KVM_REQ_STEAL_TIME */
void kvm_steal_time_load(struct kvm_vcpu *vcpu);
void kvm_steal_time_put(struct kvm_vcpu *vcpu);		/* the scheduler's locks may be held */
int kvm_steal_time_set_msr(struct kvm_vcpu *vcpu, u64 data);

#endif
