// SPDX-License-Identifier: GPL-2.0
/*
 * How long a vcpu of a Xen guest has been running, waiting for a processor, blocked and offline. That it
 * runs or waits is found out here; the other two states are userspace's to enter. Owns the runstate
 * fields of vcpu->arch.xen and the guest's copy of them, whose layout depends on the width of its longs
 * and which may cross a page. Xen's public header vcpu.h.
 */
#include <linux/sched/stat.h>
#include <linux/uaccess.h>

#include "../x86.h"
#include "xen.h"

/* ---- the guest's copy ------------------------------------------------------------------------ */

/* 32-bit guests align 64-bit values to 4 bytes. */
struct area_short {
	u32 state;
	u64 entry_time;
	u64 times[XEN_NR_RUNSTATES];
} __packed __aligned(4);

struct area_long {
	u32 state, pad;
	u64 entry_time;
	u64 times[XEN_NR_RUNSTATES];
};

union area {
	struct area_short narrow;
	struct area_long wide;
};

/* Returns its length. */
static unsigned int fill(struct kvm_vcpu *vcpu, union area *area, bool wide)
{
	const struct kvm_vcpu_xen *x = &vcpu->arch.xen;

	BUILD_BUG_ON(sizeof(area->narrow) != 44 || sizeof(area->wide) != 48);
	if (!wide) {
		area->narrow.state = x->runstate;
		area->narrow.entry_time = x->entry_time;
		memcpy(area->narrow.times, x->times, sizeof(x->times));
		return sizeof(area->narrow);
	}
	area->wide.state = x->runstate;
	area->wide.pad = 0;
	area->wide.entry_time = x->entry_time;
	memcpy(area->wide.times, x->times, sizeof(x->times));
	return sizeof(area->wide);
}

/*
 * Guests that know of the flag read again when they see it, before or after. Should the scheduler come in
 * between, the older copy is written last; but then the state has to change once more before the guest runs.
 */
static void show(struct kvm_vcpu *vcpu)
{
	bool wide = READ_ONCE(vcpu->kvm->arch.xen.long_mode);
	unsigned int offset = wide ? offsetof(struct area_long, entry_time) :
				     offsetof(struct area_short, entry_time);
	u64 where = vcpu->arch.xen.runstate_area;
	struct kvm *kvm = vcpu->kvm;
	unsigned int len;
	union area area;
	u64 entry_time, flagged;

	if (where == XEN_NOWHERE)
		return;
	preempt_disable();
	len = fill(vcpu, &area, wide);
	entry_time = vcpu->arch.xen.entry_time;
	preempt_enable();
	if (!READ_ONCE(kvm->arch.xen.runstate_update_flag)) {
		kvm_vm_guest_write(kvm, where, &area, len);
		return;
	}
	flagged = entry_time | XEN_RUNSTATE_UPDATE;
	if (kvm_vm_guest_write(kvm, where + offset, &flagged, sizeof(flagged)))
		return;
	smp_wmb();
	memcpy((void *)&area + offset, &flagged, sizeof(flagged));
	if (kvm_vm_guest_write(kvm, where, &area, len))
		return;
	smp_wmb();
	kvm_vm_guest_write(kvm, where + offset, &entry_time, sizeof(entry_time));
}

void kvm_xen_runstate_show(struct kvm_vcpu *vcpu)
{
	kvm_srcu_lock(vcpu);
	show(vcpu);
}

/* ---- accounting ------------------------------------------------------------------------------ */

/* The thread's wait for a processor since the last look; another thread brings none. */
static u64 wait_since(struct kvm_vcpu_xen *x)
{
	u64 total = current->sched_info.run_delay;
	u64 wait = x->thread == task_pid(current) && total > x->run_delay ?
		   total - x->run_delay : 0;

	x->thread = task_pid(current);
	x->run_delay = total;
	return wait;
}

/*
 * Up to now, preemption off. The entry time is the sum of all times, always: a clock that was set back
 * makes the present state last until it has caught up.
 */
static void account(struct kvm_vcpu *vcpu, u32 next)
{
	struct kvm_vcpu_xen *x = &vcpu->arch.xen;
	u64 now = kvm_clock_now(vcpu->kvm);
	u64 wait = wait_since(x), time;

	if (now > x->entry_time) {
		time = now - x->entry_time;
		wait = min(wait, time);
		x->times[x->runstate] += time - wait;
		x->times[XEN_RUNNABLE] += wait;
		x->entry_time = now;
	}
	x->runstate = next;
}

void kvm_xen_runstate_change(struct kvm_vcpu *vcpu, u32 state)
{
	preempt_disable();
	account(vcpu, state);
	preempt_enable();
	kvm_xen_runstate_show(vcpu);
}

void __kvm_xen_load(struct kvm_vcpu *vcpu)
{
	if (vcpu->arch.xen.runstate != XEN_RUNNING && vcpu->wants_to_run)
		kvm_request(vcpu, KVM_REQ_XEN);
}

/* Taken away by the scheduler. A page that is not there learns of it the next time. */
void __kvm_xen_put(struct kvm_vcpu *vcpu)
{
	int idx;

	if (!vcpu->preempted || vcpu->arch.xen.runstate != XEN_RUNNING || !sched_info_on())
		return;
	/* What this interrupts may be about to change the vcpu's own hold. */
	idx = srcu_read_lock(&vcpu->kvm->srcu);
	pagefault_disable();
	account(vcpu, XEN_RUNNABLE);
	show(vcpu);
	pagefault_enable();
	srcu_read_unlock(&vcpu->kvm->srcu, idx);
}

/* ---- attributes ------------------------------------------------------------------------------ */

static void fetch_times(const struct kvm_xen_vcpu_attr *attr, u64 times[XEN_NR_RUNSTATES])
{
	times[XEN_RUNNING] = attr->u.runstate.time_running;
	times[XEN_RUNNABLE] = attr->u.runstate.time_runnable;
	times[XEN_BLOCKED] = attr->u.runstate.time_blocked;
	times[XEN_OFFLINE] = attr->u.runstate.time_offline;
}

static bool adds_up(const struct kvm_xen_vcpu_attr *attr, const u64 times[XEN_NR_RUNSTATES])
{
	return attr->u.runstate.state_entry_time == times[XEN_RUNNING] + times[XEN_RUNNABLE] +
						    times[XEN_BLOCKED] + times[XEN_OFFLINE];
}

/* As another host has left it, to the last nanosecond. */
static int set_data(struct kvm_vcpu *vcpu, const struct kvm_xen_vcpu_attr *attr)
{
	struct kvm_vcpu_xen *x = &vcpu->arch.xen;
	u64 times[XEN_NR_RUNSTATES];

	fetch_times(attr, times);
	if (attr->u.runstate.state >= XEN_NR_RUNSTATES || !adds_up(attr, times))
		return -EINVAL;
	x->runstate = attr->u.runstate.state;
	x->entry_time = attr->u.runstate.state_entry_time;
	memcpy(x->times, times, sizeof(times));
	wait_since(x);
	kvm_xen_runstate_show(vcpu);
	return 0;
}

static int adjust(struct kvm_vcpu *vcpu, const struct kvm_xen_vcpu_attr *attr)
{
	struct kvm_vcpu_xen *x = &vcpu->arch.xen;
	u64 state = attr->u.runstate.state;
	u64 times[XEN_NR_RUNSTATES];
	unsigned int i;

	fetch_times(attr, times);
	if ((state >= XEN_NR_RUNSTATES && state != (u64)-1) || !adds_up(attr, times))
		return -EINVAL;
	for (i = 0; i < XEN_NR_RUNSTATES; i++)
		x->times[i] += times[i];
	x->entry_time += attr->u.runstate.state_entry_time;
	if (state == (u64)-1)
		kvm_xen_runstate_show(vcpu);
	else
		kvm_xen_runstate_change(vcpu, state);
	return 0;
}

int kvm_xen_runstate_set(struct kvm_vcpu *vcpu, const struct kvm_xen_vcpu_attr *attr)
{
	switch (attr->type) {
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA:
		return set_data(vcpu, attr);
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADJUST:
		return adjust(vcpu, attr);
	default:
		if (attr->u.runstate.state >= XEN_NR_RUNSTATES)
			return -EINVAL;
		kvm_xen_runstate_change(vcpu, attr->u.runstate.state);
		return 0;
	}
}

void kvm_xen_runstate_get(struct kvm_vcpu *vcpu, struct kvm_xen_vcpu_attr *attr)
{
	const struct kvm_vcpu_xen *x = &vcpu->arch.xen;

	attr->u.runstate.state = x->runstate;
	if (attr->type == KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT)
		return;
	attr->u.runstate.state_entry_time = x->entry_time;
	attr->u.runstate.time_running = x->times[XEN_RUNNING];
	attr->u.runstate.time_runnable = x->times[XEN_RUNNABLE];
	attr->u.runstate.time_blocked = x->times[XEN_BLOCKED];
	attr->u.runstate.time_offline = x->times[XEN_OFFLINE];
}
