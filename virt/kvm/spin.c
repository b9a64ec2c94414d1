// SPDX-License-Identifier: GPL-2.0
/*
 * A vcpu that spins waits for what another vcpu is to do, which perhaps has no processor at
 * present. The spinner's own is given to one that could be it. That a vcpu spins is noticed by the
 * processor (pause filter, pause-loop exits); which task runs next is the scheduler's decision.
 */
#include <linux/export.h>
#include <linux/minmax.h>

#include "core.h"

/* So many refusals by the scheduler are enough. */
#define MAX_REFUSALS	3

/* Could this one, if it ran, end the waiting? @kernel: the spinner is in the guest's kernel. */
static bool may_help(struct kvm_vcpu *vcpu, bool kernel)
{
	/* It runs, or has nothing to do. */
	if (!READ_ONCE(vcpu->ready))
		return false;
	/* Who was interrupted in user code holds no lock of the guest's kernel. */
	if (kernel && READ_ONCE(vcpu->preempted) && !READ_ONCE(vcpu->preempted_in_kernel))
		return false;
	/* One that spins itself most likely waits for the same, but not for ever. */
	if (READ_ONCE(vcpu->spinning) && !READ_ONCE(vcpu->passed_over)) {
		WRITE_ONCE(vcpu->passed_over, true);
		return false;
	}
	WRITE_ONCE(vcpu->passed_over, false);
	return true;
}

/* In turns, beginning behind the one who was helped last. */
static void help_another(struct kvm_vcpu *me, bool kernel)
{
	unsigned int n = atomic_read(&me->kvm->online_vcpus), refusals = 0, i, idx;
	unsigned int last = READ_ONCE(me->kvm->last_helped);
	struct kvm_vcpu *vcpu;

	for (i = 1; i <= n && refusals < MAX_REFUSALS; i++) {
		idx = (last + i) % n;
		vcpu = kvm_get_vcpu(me->kvm, idx);
		if (!vcpu || vcpu == me || !may_help(vcpu, kernel))
			continue;
		if (kvm_vcpu_yield_to(vcpu)) {
			WRITE_ONCE(me->kvm->last_helped, idx);
			return;
		}
		refusals++;
	}
}

/* ---- how long a loop may last ------------------------------------------------------------------------ */

/* A small number is a factor, one that would be more than the whole first window is a difference. */
static bool is_factor(const struct kvm_spin_window *w, unsigned int change)
{
	return change < w->first;
}

unsigned int kvm_spin_window_longer(const struct kvm_spin_window *w, unsigned int now)
{
	u64 next;

	if (!w->grow)
		return w->first;
	next = is_factor(w, w->grow) ? (u64)now * w->grow : (u64)now + w->grow;
	return clamp_t(u64, next, w->first, max(w->first, w->most));
}
EXPORT_SYMBOL_GPL(kvm_spin_window_longer);

unsigned int kvm_spin_window_shorter(const struct kvm_spin_window *w, unsigned int now)
{
	if (!w->shrink)
		return w->first;
	if (is_factor(w, w->shrink))
		return max(now / w->shrink, w->first);
	return max(now - min(now, w->shrink), w->first);
}
EXPORT_SYMBOL_GPL(kvm_spin_window_shorter);

/* ---- what is done with one that lasts longer ---------------------------------------------------------- */

void kvm_vcpu_spins(struct kvm_vcpu *vcpu, bool kernel)
{
	kvm_srcu_unlock(vcpu);
	WRITE_ONCE(vcpu->spinning, true);
	help_another(vcpu, kernel);
	WRITE_ONCE(vcpu->spinning, false);
}
EXPORT_SYMBOL_GPL(kvm_vcpu_spins);
