// SPDX-License-Identifier: GPL-2.0
/*
 * PAUSE-loop exits: the processor takes PAUSEs that follow each other within PLE_GAP cycles for a loop,
 * and exits from one that has lasted for PLE_WINDOW cycles, in kernel mode only. SDM 3, 25.6.13
 * and 26.1.3. What an exit is good for is virt/kvm/spin.c's to say.
 */
#include <linux/moduleparam.h>

#include "vmx.h"
#include "../trace.h"

static unsigned int gap = 128;
module_param_named(ple_gap, gap, uint, 0444);
MODULE_PARM_DESC(ple_gap,
		 "cycles between two PAUSEs up to which they are one loop (0: PAUSE never exits)");

static struct kvm_spin_window window = { .first = 4096, .grow = 2, .most = UINT_MAX };
module_param_named(ple_window, window.first, uint, 0444);
MODULE_PARM_DESC(ple_window, "cycles that a loop of PAUSEs may take before it exits, at first");
module_param_named(ple_window_grow, window.grow, uint, 0444);
MODULE_PARM_DESC(ple_window_grow, "how much more each time, a factor, or cycles (0: as at first)");
module_param_named(ple_window_shrink, window.shrink, uint, 0444);
MODULE_PARM_DESC(ple_window_shrink,
		 "how much less when the vcpu was scheduled, a divisor, or cycles (0: as at first)");
module_param_named(ple_window_max, window.most, uint, 0444);
MODULE_PARM_DESC(ple_window_max, "cycles that it may become");

bool vmx_pause_wanted(void)
{
	return gap;
}

void vmx_pause_settle(bool on)
{
	if (on)
		return;
	gap = 0;
	window = (struct kvm_spin_window) { };
}

void vmx_pause_reset(struct vcpu_vmx *vmx)
{
	vmx->pause_window = window.first;
	if (!(vmx->controls.cpu2 & SECONDARY_EXEC_PAUSE_LOOP_EXITING))
		return;
	vmcs_write(PLE_GAP, gap);
	vmcs_write(PLE_WINDOW, vmx->pause_window);
}

static void set_window(struct vcpu_vmx *vmx, unsigned int new)
{
	unsigned int old = vmx->pause_window;

	if (new == old)
		return;
	vmx->pause_window = new;
	vmcs_write(PLE_WINDOW, new);
	trace_kvm_ple_window_update(vmx->vcpu.vcpu_id, new, old);
}

void vmx_pause_scheduled(struct vcpu_vmx *vmx)
{
	set_window(vmx, kvm_spin_window_shorter(&window, vmx->pause_window));
}

int vmx_handle_pause(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	set_window(vmx, kvm_spin_window_longer(&window, vmx->pause_window));
	/* The processor has looked at the level by then: it exits at 0 only. */
	kvm_vcpu_spins(vcpu, true);
	return kvm_skip_insn(vcpu);
}
