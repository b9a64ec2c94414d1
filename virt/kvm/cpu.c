// SPDX-License-Identifier: GPL-2.0
/*
 * Virtualization on the processors of the host: which of them have it switched on.
 *
 * A processor is switched on when a vcpu is first loaded on it, by the processor itself, so that
 * creating a VM disturbs nobody; all are switched off when the last VM goes, and each one when it
 * goes offline, is suspended or the machine reboots (a firmware or a next kernel that starts with
 * virtualization on may hang: with SVM, INIT is blocked while GIF is clear, APM 2 section 15.17).
 */
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/reboot.h>
#include <linux/syscore_ops.h>

#include "core.h"

static DEFINE_PER_CPU(bool, cpu_virtualized);
static struct cpumask virtualized_cpus;	/* superset of the processors with cpu_virtualized */

static DEFINE_MUTEX(virtualization_lock);
static unsigned int nr_users;		/* virtualization_lock */

bool kvm_rebooting;
EXPORT_SYMBOL_GPL(kvm_rebooting);

int kvm_cpu_enable_here(void)
{
	unsigned long flags;
	int r;

	if (likely(__this_cpu_read(cpu_virtualized)))
		return 0;

	local_irq_save(flags);
	r = READ_ONCE(kvm_rebooting) ? -EBUSY : kvm_arch_cpu_enable();
	if (!r) {
		__this_cpu_write(cpu_virtualized, true);
		cpumask_set_cpu(smp_processor_id(), &virtualized_cpus);
	}
	local_irq_restore(flags);
	return r;
}

/* Interrupts off, on the processor concerned. */
static void disable_here(void *unused)
{
	if (!__this_cpu_read(cpu_virtualized))
		return;
	kvm_arch_cpu_disable();
	__this_cpu_write(cpu_virtualized, false);
	cpumask_clear_cpu(smp_processor_id(), &virtualized_cpus);
}

int kvm_virtualization_get(void)
{
	int r = 0;

	mutex_lock(&virtualization_lock);
	/* Try at home first: a VM that could never run is refused at creation. */
	preempt_disable();
	r = kvm_cpu_enable_here();
	preempt_enable();
	if (!r)
		nr_users++;
	mutex_unlock(&virtualization_lock);
	return r;
}

void kvm_virtualization_put(void)
{
	mutex_lock(&virtualization_lock);
	if (!--nr_users) {
		cpus_read_lock();
		on_each_cpu_mask(&virtualized_cpus, disable_here, NULL, true);
		cpus_read_unlock();
	}
	mutex_unlock(&virtualization_lock);
}

/* The last user task has left the processor when this runs, so no vcpu is loaded there. */
static int cpu_going_offline(unsigned int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	disable_here(NULL);
	local_irq_restore(flags);
	return 0;
}

static int suspend_last_cpu(void *unused)
{
	disable_here(NULL);
	return 0;
}

static void shutdown_all_cpus(void *unused)
{
	WRITE_ONCE(kvm_rebooting, true);
	on_each_cpu(disable_here, NULL, true);
}

static const struct syscore_ops cpu_syscore_ops = {
	.suspend = suspend_last_cpu,
	.shutdown = shutdown_all_cpus,
};

static struct syscore cpu_syscore = {
	.ops = &cpu_syscore_ops,
};

int kvm_cpu_module_init(void)
{
	int r;

	r = cpuhp_setup_state_nocalls(CPUHP_AP_KVM_ONLINE, "kvm/cpu:online", NULL,
				      cpu_going_offline);
	if (r)
		return r;
	register_syscore(&cpu_syscore);
	return 0;
}

void kvm_cpu_module_exit(void)
{
	unregister_syscore(&cpu_syscore);
	cpuhp_remove_state_nocalls(CPUHP_AP_KVM_ONLINE);
}
