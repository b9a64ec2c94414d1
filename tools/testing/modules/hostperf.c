// SPDX-License-Identifier: GPL-2.0
/*
 * A host whose perf wants an MSR to be another while guests run, for tests on emulators, which have no
 * performance counters: with the parameter "on" what perf_guest_get_msrs() returns is replaced by one MSR,
 * which has the value "guest" in the guest and "host" after it. "seen" is its value at the next entry.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <asm/msr.h>
#include <asm/perf_event.h>

static bool on;
static unsigned int msr = MSR_TSC_AUX;
static unsigned long guest, host, seen;
module_param(on, bool, 0644);
module_param(msr, uint, 0444);
module_param(guest, ulong, 0644);
module_param(host, ulong, 0644);
module_param(seen, ulong, 0644);

static struct perf_guest_switch_msr answer;

static int asked(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	*(int **)instance->data = (int *)regs->di;
	return 0;
}
NOKPROBE_SYMBOL(asked);

static int answered(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	if (!READ_ONCE(on))
		return 0;
	seen = __rdmsr(msr);
	answer = (struct perf_guest_switch_msr){ .msr = msr, .host = host, .guest = guest };
	**(int **)instance->data = 1;
	regs_set_return_value(regs, (unsigned long)&answer);
	return 0;
}
NOKPROBE_SYMBOL(answered);

static struct kretprobe probe = {
	.kp.symbol_name = "perf_guest_get_msrs",
	.entry_handler = asked,
	.handler = answered,
	.data_size = sizeof(int *),
};

static int __init hostperf_init(void)
{
	return register_kretprobe(&probe);
}

static void __exit hostperf_exit(void)
{
	unregister_kretprobe(&probe);
}

module_init(hostperf_init);
module_exit(hostperf_exit);
MODULE_DESCRIPTION("performance counters of the host, for tests of KVM");
MODULE_LICENSE("GPL");
