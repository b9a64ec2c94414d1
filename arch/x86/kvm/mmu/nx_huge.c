// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages that nothing is executed from. Some processors take a machine check, which may be the
 * last thing they do, when they fetch an instruction from a page whose size has just changed (iTLB
 * multihit, CVE-2018-12207), and a guest can bring that about. So where the erratum is, huge pages
 * are mapped without execution; a fetch from one has its range mapped by small pages instead, which
 * may be executed. Here are the module parameters, and the list of tables that stand where a huge
 * page could: their oldest are removed after a while, since most code does not run for long and a
 * huge page is the faster one. Installing is the work of direct.c and shadow.c.
 * Documentation/admin-guide/hw-vuln/multihit.rst of the kernel.
 */
#include <linux/cpu.h>
#include <linux/moduleparam.h>
#include <linux/workqueue.h>
#include <asm/spec-ctrl.h>

#include "internal.h"

#define HOUR_MS	(3600u * 1000)

enum nx_mode { NX_AUTO, NX_OFF, NX_FORCE, NX_NEVER };

bool kvm_nx_huge_pages __read_mostly;

/* Written under the module's parameter lock. */
static enum nx_mode nx_mode;
static unsigned int recovery_ratio = 60;
static unsigned int recovery_period_ms;

/* ---- tables in the place of huge pages ---------------------------------------------------------- */

/* In jiffies; 0: none. */
static unsigned long recovery_period(void)
{
	unsigned int ratio = READ_ONCE(recovery_ratio);
	unsigned int ms = READ_ONCE(recovery_period_ms);

	if (!ratio)
		return 0;
	/* Unless said otherwise a page is small for an hour on average. */
	return msecs_to_jiffies(ms ?: HOUR_MS / min(ratio, HOUR_MS / 1000));
}

/* mmu_lock, any side, so that a parameter's change comes either before or after. */
static void schedule_recovery(struct kvm *kvm)
{
	unsigned long period = recovery_period();

	if (period)
		queue_delayed_work(system_unbound_wq, &kvm->arch.mmu.nx_recovery, period);
}

void kvm_nx_huge_add(struct kvm *kvm, struct kvm_mmu_page *sp, unsigned int as_id, gfn_t gfn)
{
	struct kvm_vm_mmu *mmu = &kvm->arch.mmu;
	bool first;

	spin_lock(&mmu->pages_lock);
	first = list_empty(&mmu->nx_splits);
	sp->gfn = level_base(gfn, sp->level + 1);
	sp->as_id = as_id;
	sp->nx_split = true;
	list_add_tail(&sp->split_link, &mmu->nx_splits);
	kvm->stat.nx_lpage_splits++;
	spin_unlock(&mmu->pages_lock);
	if (first)
		schedule_recovery(kvm);
}

void kvm_nx_huge_remove(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	sp->nx_split = false;
	list_del(&sp->split_link);
	kvm->stat.nx_lpage_splits--;
}

/* The next fault in the range maps it whole again, unless it is a fetch. */
static void recover(struct kvm_zap *zap, struct kvm_mmu_page *sp)
{
	struct kvm *kvm = zap->kvm;
	struct kvm_memory_slot *slot = kvm_memslot_find(kvm_memslots(kvm, sp->as_id), sp->gfn);
	struct kvm_mmu_page *root;

	/* The log wants small pages, and takes the table away itself when it ends. */
	if (slot && kvm_memslot_logs_dirty(slot)) {
		kvm_nx_huge_remove(kvm, sp);
		return;
	}
	if (sp->shadow) {
		kvm_shadow_zap(zap, sp);
		return;
	}
	for_each_root(kvm, root, sp->as_id) {
		kvm_zap_range(zap, root, sp->gfn, sp->gfn + level_frames(sp->level + 1), true);
		return;
	}
}

static void recovery_work(struct work_struct *work)
{
	struct kvm *kvm = container_of(to_delayed_work(work), struct kvm, arch.mmu.nx_recovery);
	struct list_head *splits = &kvm->arch.mmu.nx_splits;
	unsigned int ratio = READ_ONCE(recovery_ratio);
	struct kvm_zap zap;
	unsigned long nr;
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	write_lock(&kvm->mmu_lock);
	nr = ratio ? DIV_ROUND_UP(kvm->stat.nx_lpage_splits, ratio) : 0;
	kvm_zap_begin(&zap, kvm);
	for (; nr && !list_empty(splits); nr--) {
		recover(&zap, list_first_entry(splits, struct kvm_mmu_page, split_link));
		if (need_resched() || rwlock_needbreak(&kvm->mmu_lock))
			kvm_zap_pause(&zap);
	}
	if (kvm_zap_end(&zap))
		kvm_flush_remote_tlbs(kvm);
	if (!list_empty(splits))
		schedule_recovery(kvm);
	write_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu, idx);
}

void kvm_nx_huge_vm_init(struct kvm *kvm)
{
	INIT_LIST_HEAD(&kvm->arch.mmu.nx_splits);
	INIT_DELAYED_WORK(&kvm->arch.mmu.nx_recovery, recovery_work);
}

/* Nobody runs, and parameters do not find the VM any more. */
void kvm_nx_huge_vm_destroy(struct kvm *kvm)
{
	cancel_delayed_work_sync(&kvm->arch.mmu.nx_recovery);
}

/* ---- parameters --------------------------------------------------------------------------------- */

static bool wants_nx(enum nx_mode mode)
{
	if (mode == NX_AUTO)
		return boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT) && !cpu_mitigations_off();
	return mode == NX_FORCE;
}

/* kvm_vm_list_lock. What was mapped under the other rule goes; nothing more is mapped under it. */
static void switch_nx(bool on)
{
	struct kvm *kvm;
	int idx;

	/* For /sys/devices/system/cpu/vulnerabilities/itlb_multihit */
	itlb_multihit_kvm_mitigation = on;
	if (on == kvm_nx_huge_pages)
		return;
	WRITE_ONCE(kvm_nx_huge_pages, on);
	list_for_each_entry(kvm, &kvm_vm_list, vm_list) {
		idx = srcu_read_lock(&kvm->srcu);
		kvm_arch_mmu_release(kvm);
		srcu_read_unlock(&kvm->srcu, idx);
	}
}

void kvm_nx_huge_module_init(void)
{
	mutex_lock(&kvm_vm_list_lock);
	switch_nx(wants_nx(nx_mode));
	mutex_unlock(&kvm_vm_list_lock);
}

static int parse_mode(const char *val, enum nx_mode *mode)
{
	bool on;

	if (sysfs_streq(val, "auto"))
		*mode = NX_AUTO;
	else if (sysfs_streq(val, "force"))
		*mode = NX_FORCE;
	else if (sysfs_streq(val, "never"))
		*mode = NX_NEVER;
	else if (kstrtobool(val, &on))
		return -EINVAL;
	else
		*mode = on ? NX_FORCE : NX_OFF;
	return 0;
}

static int set_nx_huge_pages(const char *val, const struct kernel_param *kp)
{
	enum nx_mode mode;
	int r;

	if (nx_mode == NX_NEVER)
		return -EPERM;
	r = parse_mode(val, &mode);
	if (r)
		return r;
	mutex_lock(&kvm_vm_list_lock);
	if (mode == NX_NEVER && !list_empty(&kvm_vm_list)) {
		r = -EBUSY;
	} else {
		nx_mode = mode;
		switch_nx(wants_nx(mode));
	}
	mutex_unlock(&kvm_vm_list_lock);
	return r;
}

static int get_nx_huge_pages(char *buffer, const struct kernel_param *kp)
{
	if (nx_mode == NX_NEVER)
		return sysfs_emit(buffer, "never\n");
	return sysfs_emit(buffer, "%c\n", wants_nx(nx_mode) ? 'Y' : 'N');
}

/* Works under way wait for the time that was right when they began. */
static void reschedule(struct kvm *kvm)
{
	unsigned long period = recovery_period();

	write_lock(&kvm->mmu_lock);
	if (period && !list_empty(&kvm->arch.mmu.nx_splits))
		mod_delayed_work(system_unbound_wq, &kvm->arch.mmu.nx_recovery, period);
	write_unlock(&kvm->mmu_lock);
}

static int set_recovery(const char *val, const struct kernel_param *kp)
{
	struct kvm *kvm;
	int r;

	if (nx_mode == NX_NEVER)
		return -EPERM;
	r = param_set_uint(val, kp);
	if (r)
		return r;
	mutex_lock(&kvm_vm_list_lock);
	list_for_each_entry(kvm, &kvm_vm_list, vm_list)
		reschedule(kvm);
	mutex_unlock(&kvm_vm_list_lock);
	return 0;
}

static const struct kernel_param_ops nx_huge_pages_ops = {
	.set = set_nx_huge_pages,
	.get = get_nx_huge_pages,
};

static const struct kernel_param_ops recovery_ops = {
	.set = set_recovery,
	.get = param_get_uint,
};

module_param_cb(nx_huge_pages, &nx_huge_pages_ops, NULL, 0644);
__MODULE_PARM_TYPE(nx_huge_pages, "bool");
MODULE_PARM_DESC(nx_huge_pages,
		 "no execution from huge pages: auto (where the processor needs it), force, off, never");

module_param_cb(nx_huge_pages_recovery_ratio, &recovery_ops, &recovery_ratio, 0644);
__MODULE_PARM_TYPE(nx_huge_pages_recovery_ratio, "uint");
MODULE_PARM_DESC(nx_huge_pages_recovery_ratio,
		 "one part in so many of the huge pages split is recovered each period (0: none)");

module_param_cb(nx_huge_pages_recovery_period_ms, &recovery_ops, &recovery_period_ms, 0644);
__MODULE_PARM_TYPE(nx_huge_pages_recovery_period_ms, "uint");
MODULE_PARM_DESC(nx_huge_pages_recovery_period_ms,
		 "recovery period in ms (0: an hour divided by the ratio)");
