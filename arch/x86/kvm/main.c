// SPDX-License-Identifier: GPL-2.0
/*
 * kvm.ko on x86: module parameters, the vendor module's way in, what the processor offers, and the
 * frame of a VM's life.
 */
#define pr_fmt(fmt) "kvm: " fmt

#include <linux/module.h>
#include <asm/fpu/xcr.h>

#include "x86.h"
#include "cpu/cpuid.h"
#include "cpu/regs.h"
#include "irqchip/irqchip.h"
#include "mmu/mmu.h"
#include "pv/pv.h"
#include "pv/xen.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

MODULE_AUTHOR("the project's contributors");
MODULE_DESCRIPTION("KVM: the core and the code common to x86 processors");
MODULE_LICENSE("GPL");

EXPORT_TRACEPOINT_SYMBOL_GPL(kvm_exit);
EXPORT_TRACEPOINT_SYMBOL_GPL(kvm_inj_virq);
EXPORT_TRACEPOINT_SYMBOL_GPL(kvm_cr);
EXPORT_TRACEPOINT_SYMBOL_GPL(kvm_ple_window_update);

/* ---- parameters ------------------------------------------------------------------------------------- */

bool ignore_msrs;
module_param(ignore_msrs, bool, 0644);
MODULE_PARM_DESC(ignore_msrs, "unknown MSRs read as 0 and swallow writes instead of raising #GP");

bool report_ignored_msrs = true;
module_param(report_ignored_msrs, bool, 0644);
MODULE_PARM_DESC(report_ignored_msrs, "log accesses that ignore_msrs let pass");

bool enable_pmu;
module_param(enable_pmu, bool, 0444);
MODULE_PARM_DESC(enable_pmu, "virtual performance counters (not available in this version: N)");

unsigned int force_emulation_prefix;
module_param(force_emulation_prefix, uint, 0644);
MODULE_PARM_DESC(force_emulation_prefix,
		 "emulate an instruction behind ud2; .ascii \"kvm\" (for tests; 0: no; 2: with RF clear)");

bool tdp_mmu_enabled = true;
module_param_named(tdp_mmu, tdp_mmu_enabled, bool, 0444);
MODULE_PARM_DESC(tdp_mmu, "nested paging faults run concurrently (Y wherever there is nested paging)");

bool eager_page_split = true;
module_param(eager_page_split, bool, 0644);
MODULE_PARM_DESC(eager_page_split, "split huge pages when dirty logging starts, not at the first write");

/* ---- the vendor module -------------------------------------------------------------------------------- */

struct kvm_x86_ops kvm_x86_ops __read_mostly;
EXPORT_SYMBOL_GPL(kvm_x86_ops);
struct kvm_x86_hw kvm_hw __read_mostly;
EXPORT_SYMBOL_GPL(kvm_hw);

static DEFINE_MUTEX(vendor_lock);

#define KVM_X86_DEFINE_HOT(op)	\
	DEFINE_STATIC_CALL_NULL(kvm_x86_hot_##op, *((struct kvm_x86_ops *)NULL)->op);
KVM_X86_HOT_OPS(KVM_X86_DEFINE_HOT)

static void patch_hot_calls(void)
{
#define KVM_X86_UPDATE_HOT(op)	static_call_update(kvm_x86_hot_##op, kvm_x86_ops.op);
	KVM_X86_HOT_OPS(KVM_X86_UPDATE_HOT)
#undef KVM_X86_UPDATE_HOT
}

/* Parameters that tools read to learn what there is say so, whatever was asked for. */
static void settle_parameters(void)
{
	enable_pmu = false;
	tdp_mmu_enabled = kvm_hw.npt;
}

static void read_hardware(void)
{
	rdmsrl_safe(MSR_EFER, &kvm_hw.host_efer);
	kvm_hw.host_phys_bits = boot_cpu_data.x86_phys_bits;
	kvm_hw.shadow_phys_bits = boot_cpu_data.x86_phys_bits;
	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrl(MSR_IA32_ARCH_CAPABILITIES, kvm_hw.host_arch_capabilities);
	kvm_fpu_hw_init();
}

static int vendor_init(const struct kvm_x86_ops *ops, struct module *owner)
{
	int r;

	if (kvm_x86_ops.name) {
		pr_err("%s is loaded already\n", kvm_x86_ops.name);
		return -EEXIST;
	}
	if (!boot_cpu_has(X86_FEATURE_FPU) || !boot_cpu_has(X86_FEATURE_FXSR)) {
		pr_err("a processor without FXSAVE cannot run guests\n");
		return -EOPNOTSUPP;
	}
	r = kvm_mmu_module_init();
	if (r)
		return r;

	kvm_x86_ops = *ops;
	patch_hot_calls();
	settle_parameters();
	read_hardware();
	kvm_cpu_caps_init();
	kvm_x86_ops.init_cpu_caps();
	kvm_msr_lists_init();

	r = kvm_init(ops->vcpu_size, ops->vcpu_align, owner);
	if (r) {
		kvm_x86_ops = (struct kvm_x86_ops) { };
		kvm_mmu_module_exit();
	}
	return r;
}

int kvm_x86_vendor_init(const struct kvm_x86_ops *ops, struct module *owner)
{
	int r;

	mutex_lock(&vendor_lock);
	r = vendor_init(ops, owner);
	mutex_unlock(&vendor_lock);
	return r;
}
EXPORT_SYMBOL_GPL(kvm_x86_vendor_init);

void kvm_x86_vendor_exit(void)
{
	mutex_lock(&vendor_lock);
	kvm_exit();
	kvm_mmu_module_exit();
	kvm_x86_ops = (struct kvm_x86_ops) { };
	mutex_unlock(&vendor_lock);
}
EXPORT_SYMBOL_GPL(kvm_x86_vendor_exit);

int kvm_arch_cpu_enable(void)
{
	return kvm_x86_ops.cpu_enable();
}

void kvm_arch_cpu_disable(void)
{
	kvm_x86_ops.cpu_disable();
}

/* ---- a VM's life ----------------------------------------------------------------------------------------- */

int kvm_arch_vm_create(struct kvm *kvm, unsigned long type)
{
	if (type != KVM_X86_DEFAULT_VM)
		return -EINVAL;
	kvm->arch.vm_type = type;
	kvm_mmu_vm_init(kvm);
	kvm_tsc_vm_init(kvm);
	kvm_pv_vm_init(kvm);
	kvm_xen_vm_init(kvm);
	kvm_lapic_vm_init(kvm);
	return kvm_x86_ops.vm_create(kvm);
}

void kvm_arch_vm_quiesce(struct kvm *kvm)
{
	kvm_irqchip_quiesce(kvm);
}

void kvm_arch_vm_destroy(struct kvm *kvm)
{
	kvm_irqchip_destroy(kvm);
	kvm_lapic_vm_destroy(kvm);
	kvm_mmu_vm_destroy(kvm);
	kvm_mmu_free_fixed_pages(kvm);
	kvm_msr_filter_destroy(kvm);
	kvm_xen_vm_destroy(kvm);
	kvm_x86_ops.vm_destroy(kvm);
}
