// SPDX-License-Identifier: GPL-2.0
/*
 * The processors as SVM hosts: detection, the choice of features, enabling and disabling, the
 * address space identifiers. AMD64 APM volume 2, sections 15.4 (enabling), 15.16 (ASIDs), 15.30
 * (MSRs), and CPUID function 0x8000000a in volume 3.
 */
#define pr_fmt(fmt) "kvm_amd: " fmt

#include <linux/module.h>
#include <linux/percpu.h>
#include <asm/cpu_device_id.h>
#include <asm/debugreg.h>
#include <asm/reboot.h>

#include "svm.h"
#include "../mmu/mmu.h"

static bool npt = true;
module_param(npt, bool, 0444);
MODULE_PARM_DESC(npt, "nested paging; without it (0) the MMU shadows the guest's page tables");

static int nested;
module_param(nested, int, 0444);
MODULE_PARM_DESC(nested, "nested virtualization (not available in this version: 0)");

static int nrips = 1;
module_param(nrips, int, 0444);
MODULE_PARM_DESC(nrips, "use the address of the next instruction where the processor saves it");

static int vgif = 1;
module_param(vgif, int, 0444);
MODULE_PARM_DESC(vgif, "virtual GIF, for nested guests (reads as 0 without nested)");

static int vls = 1;
module_param(vls, int, 0444);
MODULE_PARM_DESC(vls, "virtual VMLOAD and VMSAVE, for nested guests (reads as 0 without nested)");

static bool avic;
module_param(avic, bool, 0444);
MODULE_PARM_DESC(avic, "hardware interrupt controller (not available in this version: 0)");

struct svm_features svm_hw;
DEFINE_PER_CPU(struct svm_cpu, svm_cpu);

static const struct x86_cpu_id svm_cpu_ids[] = {
	X86_MATCH_FEATURE(X86_FEATURE_SVM, NULL),
	{ }
};
MODULE_DEVICE_TABLE(x86cpu, svm_cpu_ids);

/* 0, or -EOPNOTSUPP after one line that says why. */
static int check_support(void)
{
	u64 vm_cr;

	if (boot_cpu_data.x86_vendor != X86_VENDOR_AMD &&
	    boot_cpu_data.x86_vendor != X86_VENDOR_HYGON) {
		pr_err("this processor is neither AMD's nor Hygon's\n");
		return -EOPNOTSUPP;
	}
	if (!boot_cpu_has(X86_FEATURE_SVM)) {
		pr_err("this processor has no SVM, or the system hides it\n");
		return -EOPNOTSUPP;
	}
	if (cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT)) {
		pr_err("not possible inside an encrypted guest\n");
		return -EOPNOTSUPP;
	}
	if (!rdmsrl_safe(MSR_VM_CR, &vm_cr) && (vm_cr & SVM_VM_CR_SVM_DIS_MASK)) {
		pr_err("SVM is locked off by the firmware\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

static void choose_features(void)
{
	svm_hw.npt = npt && boot_cpu_has(X86_FEATURE_NPT);
	svm_hw.nrips = nrips && boot_cpu_has(X86_FEATURE_NRIPS);
	svm_hw.decode_assists = boot_cpu_has(X86_FEATURE_DECODEASSISTS);
	svm_hw.flush_by_asid = boot_cpu_has(X86_FEATURE_FLUSHBYASID);
	svm_hw.clean_bits = boot_cpu_has(X86_FEATURE_VMCBCLEAN);
	svm_hw.lbrv = boot_cpu_has(X86_FEATURE_LBRV);
	svm_hw.v_spec_ctrl = boot_cpu_has(X86_FEATURE_V_SPEC_CTRL);
	svm_hw.emulated = boot_cpu_has(X86_FEATURE_HYPERVISOR);
	svm_hw.nr_asids = cpuid_ebx(SVM_CPUID_FUNC);

	/* What tools read from the parameters is what is in use. */
	npt = svm_hw.npt;
	nrips = svm_hw.nrips;
	nested = 0;
	vgif = 0;
	vls = 0;
	avic = false;
	svm_pause_setup();
}

static void free_cpu_pages(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct svm_cpu *sc = per_cpu_ptr(&svm_cpu, cpu);

		if (sc->host_save)
			__free_page(sc->host_save);
		if (sc->host_state)
			__free_page(sc->host_state);
		memset(sc, 0, sizeof(*sc));
	}
}

static int alloc_cpu_pages(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct svm_cpu *sc = per_cpu_ptr(&svm_cpu, cpu);
		int node = cpu_to_node(cpu);

		sc->host_save = alloc_pages_node(node, GFP_KERNEL | __GFP_ZERO, 0);
		sc->host_state = alloc_pages_node(node, GFP_KERNEL | __GFP_ZERO, 0);
		if (!sc->host_save || !sc->host_state) {
			free_cpu_pages();
			return -ENOMEM;
		}
	}
	return 0;
}

/* In an emergency, a processor with SVM on must have GIF set, or it is deaf to INIT (15.17). */
static void emergency_disable(void)
{
	u64 efer;

	rdmsrl(MSR_EFER, efer);
	if (!(efer & EFER_SVME))
		return;
	asm volatile("1: stgi\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     ::: "memory");
	wrmsrl(MSR_EFER, efer & ~EFER_SVME);
}

int svm_cpu_enable(void)
{
	struct svm_cpu *sc = this_cpu_ptr(&svm_cpu);
	u64 efer;

	rdmsrl(MSR_EFER, efer);
	if (efer & EFER_SVME) {
		pr_err_ratelimited("processor %d: SVM is in use by somebody else\n",
				   smp_processor_id());
		return -EBUSY;
	}
	wrmsrl(MSR_EFER, efer | EFER_SVME);
	wrmsrl(MSR_VM_HSAVE_PA, page_to_phys(sc->host_save));

	sc->asid_generation++;			/* what vcpus remember from before is void */
	sc->max_asid = svm_hw.nr_asids - 1;
	sc->next_asid = sc->max_asid + 1;	/* the first vcpu starts a generation and flushes */
	sc->last_vmcb = NULL;
	sc->host_tsc_aux = 0;
	if (boot_cpu_has(X86_FEATURE_RDTSCP) || boot_cpu_has(X86_FEATURE_RDPID))
		rdmsrl(MSR_TSC_AUX, sc->host_tsc_aux);
	return 0;
}

void svm_cpu_disable(void)
{
	u64 efer;

	wrmsrl(MSR_VM_HSAVE_PA, 0);
	rdmsrl(MSR_EFER, efer);
	wrmsrl(MSR_EFER, efer & ~EFER_SVME);
}

/*
 * Give the vcpu an address space identifier that no translation of this processor carries. When
 * they run out all translations go and the count starts again (15.16.1).
 */
void svm_assign_asid(struct vcpu_svm *svm)
{
	struct svm_cpu *sc = this_cpu_ptr(&svm_cpu);
	struct vmcb_control_area *c = &svm->vmcb->control;

	if (sc->next_asid > sc->max_asid) {
		sc->asid_generation++;
		sc->next_asid = 1;
		c->tlb_ctl = TLB_CONTROL_FLUSH_ALL_ASID;
	}
	svm->asid_generation = sc->asid_generation;
	c->asid = sc->next_asid++;
	svm_dirty(svm, SVM_CLEAN_ASID);
}

static void configure_mmu(void)
{
	int max_huge = boot_cpu_has(X86_FEATURE_GBPAGES) ? 3 : 2;
	int levels = pgtable_l5_enabled() ? 5 : 4;

	kvm_hw.npt = svm_hw.npt;
	kvm_hw.max_tdp_level = levels;
	if (svm_hw.npt)
		kvm_mmu_configure_npt(levels, max_huge);
	else
		kvm_mmu_configure_shadow(max_huge, false);
}

int svm_hw_setup(void)
{
	int r;

	r = check_support();
	if (r)
		return r;
	choose_features();
	if (svm_hw.nr_asids < 2) {
		pr_err("the processor offers no address space identifiers\n");
		return -EOPNOTSUPP;
	}
	r = alloc_cpu_pages();
	if (r)
		return r;
	r = svm_msrpm_init();
	if (r)
		goto err_pages;

	/* Two words beyond the 64 K ports: accesses that wrap (15.10.1). */
	svm_iopm = alloc_pages(GFP_KERNEL | __GFP_ZERO, 2);
	r = -ENOMEM;
	if (!svm_iopm)
		goto err_msrpm;
	memset(page_address(svm_iopm), 0xff, 4 * PAGE_SIZE);

	configure_mmu();
	kvm_hw.nrips = svm_hw.nrips;
	kvm_hw.has_decode_assists = svm_hw.decode_assists;
	cpu_emergency_register_virt_callback(emergency_disable);
	return 0;

err_msrpm:
	svm_msrpm_exit();
err_pages:
	free_cpu_pages();
	return r;
}

void svm_hw_teardown(void)
{
	cpu_emergency_unregister_virt_callback(emergency_disable);
	__free_pages(svm_iopm, 2);
	svm_msrpm_exit();
	free_cpu_pages();
}
