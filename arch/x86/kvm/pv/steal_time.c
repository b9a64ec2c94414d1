// SPDX-License-Identifier: GPL-2.0
/*
 * Steal time: how long a vcpu that wanted to run had to wait for a processor, and whether it waits
 * now, in a structure in the guest's memory. Owns MSR_KVM_STEAL_TIME and vcpu->arch.steal; the
 * scheduler counts, per thread. The structure is in uapi/asm/kvm_para.h.
 */
#include <linux/sched/stat.h>
#include <linux/uaccess.h>

#include "../trace.h"
#include "../x86.h"
#include "pv.h"

static bool steal_wanted(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.steal.msr & KVM_MSR_ENABLED;
}

static gpa_t steal_address(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.steal.msr & KVM_STEAL_VALID_BITS;
}

/* The wait since the last look. A thread that runs the vcpu for the first time brings none. */
static u64 new_delay(struct kvm_vcpu_steal *steal)
{
	u64 now = current->sched_info.run_delay;
	u64 delay = 0;

	if (steal->thread == task_pid(current) && now > steal->run_delay)
		delay = now - steal->run_delay;
	steal->thread = task_pid(current);
	steal->run_delay = now;
	return delay;
}

/*
 * The vcpu runs again, and takes the byte that says that it did not. Other vcpus may leave a wish for
 * a flush there meanwhile, once: a byte that keeps changing is taken for such a wish.
 */
static void take_preempted(struct kvm_vcpu *vcpu, gpa_t gpa, u64 seen)
{
	const u8 running = 0;
	bool flush;
	int r, tries = 4;

	do
		r = kvm_guest_cmpxchg(vcpu, gpa, &seen, running, sizeof(running));
	while (r == 1 && --tries);
	if (r == 1)
		kvm_guest_write(vcpu, gpa, &running, sizeof(running));
	flush = (r || (seen & KVM_VCPU_FLUSH_TLB)) && kvm_pv_has(vcpu, KVM_FEATURE_PV_TLB_FLUSH);
	trace_kvm_pv_tlb_flush(vcpu->vcpu_id, flush);
	if (flush)
		kvm_request(vcpu, KVM_REQ_TLB_FLUSH_GUEST);
}

/* The vcpu is running again. The sum is the guest's, so that it goes on after a migration. */
void kvm_steal_time_update(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_steal *steal = &vcpu->arch.steal;
	gpa_t gpa = steal_address(vcpu);
	struct kvm_steal_time st;

	if (!steal_wanted(vcpu))
		return;
	kvm_srcu_lock(vcpu);
	if (kvm_guest_read(vcpu, gpa, &st, sizeof(st)))
		return;
	st.version = (st.version + 1) | 1;
	if (kvm_guest_write(vcpu, gpa + offsetof(struct kvm_steal_time, version), &st.version,
			    sizeof(st.version)))
		return;
	smp_wmb();
	if (st.preempted)
		take_preempted(vcpu, gpa + offsetof(struct kvm_steal_time, preempted),
			       st.preempted);
	/* Not before: the byte would be written again, over a wish for a flush that is still in it. */
	steal->reported_preempted = false;
	st.steal += new_delay(steal);
	/* What follows is not the host's, or not the host's alone. */
	if (kvm_guest_write(vcpu, gpa, &st, offsetof(struct kvm_steal_time, preempted)))
		return;
	smp_wmb();
	st.version++;
	kvm_guest_write(vcpu, gpa + offsetof(struct kvm_steal_time, version), &st.version,
			sizeof(st.version));
}

/* Most loads are those of KVM_RUN, with nothing to tell. */
void kvm_steal_time_load(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_steal *steal = &vcpu->arch.steal;

	if (likely(!steal_wanted(vcpu)))
		return;
	if (steal->reported_preempted || current->sched_info.run_delay != steal->run_delay)
		kvm_request(vcpu, KVM_REQ_STEAL_TIME);
}

/*
 * The scheduler takes the processor away: its locks are held, nothing may sleep. A page that is not
 * there keeps its old word, which makes the guest spin a little longer.
 */
void kvm_steal_time_put(struct kvm_vcpu *vcpu)
{
	const u8 preempted = KVM_VCPU_PREEMPTED;
	struct kvm *kvm = vcpu->kvm;
	int idx;

	if (likely(!steal_wanted(vcpu)) || !vcpu->preempted || vcpu->arch.steal.reported_preempted)
		return;
	/* What this interrupts may be about to change the vcpu's own hold and its last slot. */
	idx = srcu_read_lock(&kvm->srcu);
	pagefault_disable();
	if (!kvm_vm_guest_write(kvm, steal_address(vcpu) +
				     offsetof(struct kvm_steal_time, preempted),
				&preempted, sizeof(preempted))) {
		vcpu->arch.steal.reported_preempted = true;
		vcpu->stat.preemption_reported++;
	}
	pagefault_enable();
	srcu_read_unlock(&kvm->srcu, idx);
}

bool kvm_steal_time_offered(void)
{
	return sched_info_on();
}

/* 0, or 1: #GP */
int kvm_steal_time_set_msr(struct kvm_vcpu *vcpu, u64 data)
{
	struct kvm_vcpu_steal *steal = &vcpu->arch.steal;

	if (!kvm_steal_time_offered() || (data & KVM_STEAL_RESERVED_MASK))
		return 1;
	steal->msr = data;
	if (steal_wanted(vcpu)) {
		new_delay(steal);
		kvm_request(vcpu, KVM_REQ_STEAL_TIME);
	}
	return 0;
}
