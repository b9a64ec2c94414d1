// SPDX-License-Identifier: GPL-2.0
/*
 * The host's state around entries: the fields that an exit loads, the registers and MSRs that no
 * field holds, and the flush of the first-level data cache. SDM 3, 25.5 (host-state area) and 28.5
 * (what an exit loads, and to which limits); Documentation/admin-guide/hw-vuln/l1tf.rst.
 *
 * What needs the guest's value only while the guest runs is loaded at the first entry after the vcpu
 * was loaded, and the host's comes back when the vcpu is put: in between the processor is in kernel
 * mode, which uses none of it.
 */
#define pr_fmt(fmt) "kvm_intel: " fmt

#include <linux/module.h>
#include <linux/sched/mm.h>
#include <asm/cpu_entry_area.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fsgsbase.h>
#include <asm/hardirq.h>
#include <asm/mmu_context.h>
#include <asm/nospec-branch.h>
#include <asm/spec-ctrl.h>
#include <asm/tlbflush.h>

#include "vmx.h"
#include "../cpu/cpuid.h"

/* ---- the first-level data cache -------------------------------------------------------------------- */

#define L1D_PAGES_ORDER	4	/* more than any cache that is affected */

static const char * const l1d_modes[] = {
	[VMENTER_L1D_FLUSH_AUTO] = "auto",
	[VMENTER_L1D_FLUSH_NEVER] = "never",
	[VMENTER_L1D_FLUSH_COND] = "cond",
	[VMENTER_L1D_FLUSH_ALWAYS] = "always",
	[VMENTER_L1D_FLUSH_EPT_DISABLED] = "EPT disabled",
	[VMENTER_L1D_FLUSH_NOT_REQUIRED] = "not required",
};

static DEFINE_STATIC_KEY_FALSE(l1d_flush);	/* at all */
static DEFINE_STATIC_KEY_FALSE(l1d_flush_cond);
static DEFINE_MUTEX(l1d_lock);
static enum vmx_l1d_flush_state l1d_wanted = VMENTER_L1D_FLUSH_AUTO;
static bool l1d_ready;				/* the processor's need is known */
static void *l1d_pages;				/* to fill the cache with, without the command MSR */

static enum vmx_l1d_flush_state l1d_mode(void)
{
	u64 caps = kvm_hw.host_arch_capabilities;

	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrl(MSR_IA32_ARCH_CAPABILITIES, caps);
	if (!boot_cpu_has_bug(X86_BUG_L1TF) || (caps & ARCH_CAP_SKIP_VMENTRY_L1DFLUSH))
		return VMENTER_L1D_FLUSH_NOT_REQUIRED;
	/* Shadow page tables hold no address of the guest's choice. */
	if (!vmx_hw.ept)
		return VMENTER_L1D_FLUSH_EPT_DISABLED;
	if (l1d_wanted != VMENTER_L1D_FLUSH_AUTO)
		return l1d_wanted;
	switch (l1tf_mitigation) {
	case L1TF_MITIGATION_OFF:
		return VMENTER_L1D_FLUSH_NEVER;
	case L1TF_MITIGATION_FULL:
	case L1TF_MITIGATION_FULL_FORCE:
		return VMENTER_L1D_FLUSH_ALWAYS;
	default:
		return VMENTER_L1D_FLUSH_COND;
	}
}

/* l1d_lock held. */
static int l1d_apply(void)
{
	enum vmx_l1d_flush_state mode = l1d_mode();
	bool flush = mode == VMENTER_L1D_FLUSH_COND || mode == VMENTER_L1D_FLUSH_ALWAYS;

	if (flush && !l1d_pages && !boot_cpu_has(X86_FEATURE_FLUSH_L1D)) {
		l1d_pages = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, L1D_PAGES_ORDER);
		if (!l1d_pages)
			return -ENOMEM;
	}
	/* The kernel shows this in /sys/devices/system/cpu/vulnerabilities. */
	l1tf_vmx_mitigation = mode;
	if (flush)
		static_branch_enable(&l1d_flush);
	else
		static_branch_disable(&l1d_flush);
	if (mode == VMENTER_L1D_FLUSH_COND)
		static_branch_enable(&l1d_flush_cond);
	else
		static_branch_disable(&l1d_flush_cond);
	return 0;
}

static int l1d_param_set(const char *val, const struct kernel_param *kp)
{
	int i, r = 0;

	for (i = VMENTER_L1D_FLUSH_AUTO; i <= VMENTER_L1D_FLUSH_ALWAYS; i++)
		if (sysfs_streq(val, l1d_modes[i]))
			break;
	if (i > VMENTER_L1D_FLUSH_ALWAYS)
		return -EINVAL;
	mutex_lock(&l1d_lock);
	l1d_wanted = i;
	if (l1d_ready)
		r = l1d_apply();
	mutex_unlock(&l1d_lock);
	return r;
}

static int l1d_param_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n", l1d_modes[l1tf_vmx_mitigation]);
}

static const struct kernel_param_ops l1d_param_ops = {
	.set = l1d_param_set,
	.get = l1d_param_get,
};
module_param_cb(vmentry_l1d_flush, &l1d_param_ops, NULL, 0644);
MODULE_PARM_DESC(vmentry_l1d_flush, "flush the first-level data cache before entries: never, cond, always");

int vmx_l1d_setup(void)
{
	int r;

	mutex_lock(&l1d_lock);
	r = l1d_apply();
	l1d_ready = !r;
	mutex_unlock(&l1d_lock);
	return r;
}

void vmx_l1d_teardown(void)
{
	mutex_lock(&l1d_lock);
	l1d_ready = false;
	l1tf_vmx_mitigation = VMENTER_L1D_FLUSH_AUTO;
	static_branch_disable(&l1d_flush);
	static_branch_disable(&l1d_flush_cond);
	free_pages((unsigned long)l1d_pages, L1D_PAGES_ORDER);
	l1d_pages = NULL;
	mutex_unlock(&l1d_lock);
}

static noinstr void l1d_flush_now(void)
{
	unsigned long i, size = PAGE_SIZE << L1D_PAGES_ORDER;
	u32 leaf = 0;

	if (static_cpu_has(X86_FEATURE_FLUSH_L1D)) {
		native_wrmsrl(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
		return;
	}
	/* Once for the translations, once for the lines. */
	for (i = 0; i < size; i += PAGE_SIZE)
		asm volatile("movzbl (%0), %%eax" : : "r" (l1d_pages + i) : "eax");
	asm volatile("cpuid" : "+a" (leaf) : : "ebx", "ecx", "edx", "memory");
	for (i = 0; i < size; i += 64)
		asm volatile("movzbl (%0), %%eax" : : "r" (l1d_pages + i) : "eax");
	asm volatile("lfence" ::: "memory");
}

/* In conditional mode only after code ran that handles others' secrets: userspace, interrupts. */
noinstr void vmx_l1d_flush(struct vcpu_vmx *vmx)
{
	if (!static_branch_unlikely(&l1d_flush)) {
		if (static_branch_unlikely(&mmio_stale_data_clear))
			x86_clear_cpu_buffers();
		return;
	}
	if (static_branch_likely(&l1d_flush_cond)) {
		bool dirty = vmx->l1d_dirty || kvm_get_cpu_l1tf_flush_l1d();

		vmx->l1d_dirty = false;
		kvm_clear_cpu_l1tf_flush_l1d();
		if (!dirty)
			return;
	}
	vmx->vcpu.stat.l1d_flush++;
	l1d_flush_now();
}

/* ---- MSRs that no control switches ------------------------------------------------------------------- */

static const u32 vmx_switched_msrs[VMX_NR_SWITCHED] = {
	[VMX_STAR] = MSR_STAR,
	[VMX_LSTAR] = MSR_LSTAR,
	[VMX_SYSCALL_MASK] = MSR_SYSCALL_MASK,
	[VMX_TSC_AUX] = MSR_TSC_AUX,
	[VMX_EFER] = MSR_EFER,
};

/* The host's never change while it runs. */
struct host_msrs {
	bool known;
	u64 value[VMX_NR_SWITCHED];
};
static DEFINE_PER_CPU(struct host_msrs, host_msrs);

static bool has_tsc_aux(void)
{
	return boot_cpu_has(X86_FEATURE_RDTSCP) || boot_cpu_has(X86_FEATURE_RDPID);
}

static void learn_host_msrs(struct host_msrs *hm)
{
	enum vmx_switched i;

	for (i = 0; i < VMX_NR_SWITCHED; i++)
		if (i != VMX_TSC_AUX || has_tsc_aux())
			rdmsrl(vmx_switched_msrs[i], hm->value[i]);
	hm->known = true;
}

/* Which of them this guest can see the value of, now. */
static u32 switched_needed(struct kvm_vcpu *vcpu)
{
	u32 needed = 0;

	if ((vcpu->arch.efer & (EFER_SCE | EFER_LMA)) == (EFER_SCE | EFER_LMA))
		needed |= BIT(VMX_STAR) | BIT(VMX_LSTAR) | BIT(VMX_SYSCALL_MASK);
	if (kvm_guest_has(vcpu, X86_FEATURE_RDTSCP) || kvm_guest_has(vcpu, X86_FEATURE_RDPID))
		needed |= BIT(VMX_TSC_AUX);
	if (!vmx_hw.load_efer && (vcpu->arch.efer & EFER_LMA))
		needed |= BIT(VMX_EFER);
	return needed;
}

static void load_switched(struct vcpu_vmx *vmx)
{
	struct host_msrs *hm = this_cpu_ptr(&host_msrs);
	u32 needed = switched_needed(&vmx->vcpu);
	enum vmx_switched i;

	if (unlikely(!hm->known))
		learn_host_msrs(hm);
	for (i = 0; i < VMX_NR_SWITCHED; i++) {
		if (!(needed & BIT(i)) || (vmx->switched_now & BIT(i)) ||
		    vmx->switched[i] == hm->value[i])
			continue;
		wrmsrl(vmx_switched_msrs[i], vmx->switched[i]);
		vmx->switched_now |= BIT(i);
	}
}

static void restore_switched(struct vcpu_vmx *vmx)
{
	const struct host_msrs *hm = this_cpu_ptr(&host_msrs);
	enum vmx_switched i;

	if (!vmx->switched_now)
		return;
	for (i = 0; i < VMX_NR_SWITCHED; i++)
		if (vmx->switched_now & BIT(i))
			wrmsrl(vmx_switched_msrs[i], hm->value[i]);
	vmx->switched_now = 0;
}

void vmx_set_switched(struct vcpu_vmx *vmx, enum vmx_switched which, u64 value)
{
	preempt_disable();
	vmx->switched[which] = value;
	if (vmx->switched_now & BIT(which))
		wrmsrl(vmx_switched_msrs[which], value);
	else if (vmx->host_saved)
		load_switched(vmx);
	preempt_enable();
}

/* EFER or CPUID changed: more of them may be visible now. */
void vmx_update_switched(struct vcpu_vmx *vmx)
{
	preempt_disable();
	if (vmx->host_saved)
		load_switched(vmx);
	preempt_enable();
}

/* ---- host-state fields ------------------------------------------------------------------------------------ */

/* What is the same on all processors and never changes. */
void vmx_host_fields_init(struct vcpu_vmx *vmx)
{
	struct desc_ptr idt;
	u32 low, high;
	u64 pat;

	vmcs_write(HOST_CR0, read_cr0() & ~X86_CR0_TS);
	vmcs_write(HOST_CS_SELECTOR, __KERNEL_CS);
	vmcs_write(HOST_SS_SELECTOR, __KERNEL_DS);
	vmcs_write(HOST_DS_SELECTOR, 0);
	vmcs_write(HOST_ES_SELECTOR, 0);
	vmcs_write(HOST_FS_SELECTOR, 0);
	vmcs_write(HOST_GS_SELECTOR, 0);
	vmcs_write(HOST_TR_SELECTOR, GDT_ENTRY_TSS * 8);
	store_idt(&idt);
	vmcs_write(HOST_IDTR_BASE, idt.address);
	vmcs_write(HOST_RIP, (unsigned long)vmx_exit_landing);
	rdmsr(MSR_IA32_SYSENTER_CS, low, high);
	vmcs_write(HOST_IA32_SYSENTER_CS, low);
	rdmsr(MSR_IA32_SYSENTER_EIP, low, high);
	vmcs_write(HOST_IA32_SYSENTER_EIP, low | (u64)high << 32);
	if (vmx_hw.load_efer)
		vmcs_write(HOST_IA32_EFER, kvm_hw.host_efer);
	if (vmx_hw.load_pat) {
		rdmsrl(MSR_IA32_CR_PAT, pat);
		vmcs_write(HOST_IA32_PAT, pat);
	}
	vmx->host = (struct vmx_host_fields) { };
	vmcs_write(HOST_CR3, 0);
	vmcs_write(HOST_CR4, 0);
	vmcs_write(HOST_FS_BASE, 0);
}

/* What belongs to the processor the vcpu was moved to. */
static void set_processor_fields(struct vcpu_vmx *vmx, unsigned long gs_base)
{
	unsigned int cpu = smp_processor_id();
	u64 sysenter_esp;

	vmx->host.gs_base = gs_base;
	vmcs_write(HOST_GS_BASE, gs_base);
	vmcs_write(HOST_TR_BASE, (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss);
	vmcs_write(HOST_GDTR_BASE, (unsigned long)get_cpu_gdt_ro(cpu));
	rdmsrl(MSR_IA32_SYSENTER_ESP, sysenter_esp);
	vmcs_write(HOST_IA32_SYSENTER_ESP, sysenter_esp);
}

static u16 read_ldt_selector(void)
{
	u16 selector;

	asm("sldt %0" : "=g" (selector));
	return selector;
}

/* Once after the vcpu was loaded: what stays the same for all entries until it is put. */
static noinline void save_host(struct vcpu_vmx *vmx)
{
	unsigned long gs_base = per_cpu_offset(smp_processor_id());

	vmx->host_saved = true;
	vmx->vcpu.stat.host_state_reload++;

	/* An exit loads null selectors, or such with RPL 0: what differs comes back at the put. */
	current_save_fsgs();
	savesegment(fs, vmx->host_fs_sel);
	savesegment(gs, vmx->host_gs_sel);
	savesegment(ds, vmx->host_ds_sel);
	savesegment(es, vmx->host_es_sel);
	vmx->host_ldt_sel = read_ldt_selector();
	vmx->host_kernel_gs_base = current->thread.gsbase;

	if (vmx->host.gs_base != gs_base)
		set_processor_fields(vmx, gs_base);
	if (vmx->host.fs_base != current->thread.fsbase) {
		vmx->host.fs_base = current->thread.fsbase;
		vmcs_write(HOST_FS_BASE, vmx->host.fs_base);
	}
	wrmsrl(MSR_KERNEL_GS_BASE, vmx->guest_kernel_gs_base);
	rdmsrl(MSR_IA32_DEBUGCTLMSR, vmx->host_debugctl);
	load_switched(vmx);
	if (boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL))
		vmx->entry.host_spec = this_cpu_read(x86_spec_ctrl_current);
	vmx->l1d_dirty = true;
}

void vmx_prepare_entry(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (unlikely(!vmx->host_saved))
		save_host(vmx);
	/* A device has posted: an APIC that the processor does not deliver for is the model's. */
	if (vmx_hw.posted && !vmx->delivers && vmx->inbox && unlikely(vmx_has_news(vmx)))
		kvm_request(vcpu, KVM_REQ_EVENT);
}

/* The vcpu is put; preemption off. */
void vmx_restore_host(struct vcpu_vmx *vmx)
{
	if (!vmx->host_saved)
		return;
	vmx->host_saved = false;

	restore_switched(vmx);
	rdmsrl(MSR_KERNEL_GS_BASE, vmx->guest_kernel_gs_base);
	if (unlikely(vmx->host_ldt_sel))
		asm volatile("lldt %0" : : "r" (vmx->host_ldt_sel));
	/* Loading a selector clobbers the base, which comes after it. */
	if (unlikely(vmx->host_fs_sel)) {
		loadsegment(fs, vmx->host_fs_sel);
		wrmsrl(MSR_FS_BASE, vmx->host.fs_base);
	}
	if (unlikely(vmx->host_gs_sel))
		load_gs_index(vmx->host_gs_sel);
	if (unlikely(vmx->host_ds_sel | vmx->host_es_sel)) {
		loadsegment(ds, vmx->host_ds_sel);
		loadsegment(es, vmx->host_es_sel);
	}
	wrmsrl(MSR_KERNEL_GS_BASE, vmx->host_kernel_gs_base);
	/* An exit sets limits that are not the host's: TR's too small, GDTR's too large. */
	invalidate_tss_limit();
	load_fixmap_gdt(raw_smp_processor_id());
}
