// SPDX-License-Identifier: GPL-2.0
/*
 * The pause filter: the processor counts PAUSEs that follow each other within a number of cycles, and
 * exits when so many have run. APM 2, 15.14.4. What an exit is good for is virt/kvm/spin.c's to say.
 */
#include <linux/moduleparam.h>

#include "svm.h"
#include "../trace.h"

static unsigned short thresh = 128;
module_param_named(pause_filter_thresh, thresh, ushort, 0444);
MODULE_PARM_DESC(pause_filter_thresh, "cycles between two PAUSEs up to which they are one loop");

static struct kvm_spin_window count = { .first = 3000, .grow = 2, .most = U16_MAX };
module_param_named(pause_filter_count, count.first, uint, 0444);
MODULE_PARM_DESC(pause_filter_count,
		 "PAUSEs of a loop before it exits, at first (0: PAUSE never exits)");
module_param_named(pause_filter_count_grow, count.grow, uint, 0444);
MODULE_PARM_DESC(pause_filter_count_grow,
		 "how many more each time, a factor, or PAUSEs (0: as at first)");
module_param_named(pause_filter_count_shrink, count.shrink, uint, 0444);
MODULE_PARM_DESC(pause_filter_count_shrink,
		 "how many less when the vcpu was scheduled, a divisor, or PAUSEs (0: as at first)");
module_param_named(pause_filter_count_max, count.most, uint, 0444);
MODULE_PARM_DESC(pause_filter_count_max, "PAUSEs that it may become");

void svm_pause_setup(void)
{
	/* What tools read from the parameters is what is in use, in fields of 16 bits. */
	count.first = min(count.first, U16_MAX);
	count.most = min(count.most, U16_MAX);
	svm_hw.pause_filter = boot_cpu_has(X86_FEATURE_PAUSEFILTER) && count.first;
	if (!svm_hw.pause_filter)
		count = (struct kvm_spin_window) { };
	if (!boot_cpu_has(X86_FEATURE_PFTHRESHOLD))
		thresh = 0;
}

void svm_pause_init(struct vcpu_svm *svm)
{
	struct vmcb_control_area *c = &svm->vmcb->control;

	c->pause_filter_count = count.first;
	c->pause_filter_thresh = thresh;
	svm_intercept(svm, INTERCEPT_PAUSE);
}

static void set_count(struct vcpu_svm *svm, u16 new)
{
	struct vmcb_control_area *c = &svm->vmcb->control;
	u16 old = c->pause_filter_count;

	if (new == old)
		return;
	c->pause_filter_count = new;
	svm_dirty(svm, SVM_CLEAN_INTERCEPTS);
	trace_kvm_ple_window_update(svm->vcpu.vcpu_id, new, old);
}

void svm_pause_scheduled(struct vcpu_svm *svm)
{
	if (svm_intercepts(svm, INTERCEPT_PAUSE))
		set_count(svm, kvm_spin_window_shorter(&count, svm->vmcb->control.pause_filter_count));
}

int svm_handle_pause(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	set_count(svm, kvm_spin_window_longer(&count, svm->vmcb->control.pause_filter_count));
	kvm_vcpu_spins(vcpu, !svm_cpl(vcpu));
	return kvm_skip_insn(vcpu);
}
