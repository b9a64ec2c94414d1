// SPDX-License-Identifier: GPL-2.0
/*
 * What the processor's VMX offers and what of it is used: the capability MSRs turned into control
 * words, the module parameters that choose among them, and the refusal of processors on which the
 * firmware has locked VMX off. SDM 3, appendix A (capability MSRs), 24.7 and table 4-2 of volume 4
 * (IA32_FEATURE_CONTROL).
 */
#define pr_fmt(fmt) "kvm_intel: " fmt

#include <linux/dmi.h>
#include <linux/module.h>
#include <asm/cpu_device_id.h>
#include <asm/cpufeature.h>

#include "vmx.h"

static bool ept = true;
module_param(ept, bool, 0444);
MODULE_PARM_DESC(ept, "extended page tables (0: shadow page tables)");

static bool eptad = true;
module_param(eptad, bool, 0444);
MODULE_PARM_DESC(eptad, "accessed and dirty bits in extended page tables");

static bool pml = true;
module_param(pml, bool, 0444);
MODULE_PARM_DESC(pml, "the processor logs pages that it makes dirty (needs eptad)");

static bool vpid = true;
module_param(vpid, bool, 0444);
MODULE_PARM_DESC(vpid, "tag the guest's translations, so that entries and exits keep them");

static bool unrestricted_guest = true;
module_param(unrestricted_guest, bool, 0444);
MODULE_PARM_DESC(unrestricted_guest, "real mode and unpaged guests run as they are");

static bool flexpriority = true;
module_param(flexpriority, bool, 0444);
MODULE_PARM_DESC(flexpriority, "the local APIC's page is one the processor knows");

static bool enable_apicv = true;
module_param(enable_apicv, bool, 0444);
MODULE_PARM_DESC(enable_apicv, "the processor delivers interrupts and ends them by itself");

static bool enable_ipiv = true;
module_param(enable_ipiv, bool, 0444);
MODULE_PARM_DESC(enable_ipiv, "the processor sends interrupts from vcpu to vcpu by itself");

static bool preemption_timer = true;
module_param(preemption_timer, bool, 0444);
MODULE_PARM_DESC(preemption_timer, "the VMX preemption timer ends a guest's stay");

static bool emulate_invalid_guest_state = true;
module_param(emulate_invalid_guest_state, bool, 0444);
MODULE_PARM_DESC(emulate_invalid_guest_state,
		 "without unrestricted guest: emulate what the processor refuses (always so: Y)");

static bool allow_smaller_maxphyaddr;
module_param(allow_smaller_maxphyaddr, bool, 0444);
MODULE_PARM_DESC(allow_smaller_maxphyaddr,
		 "guests whose addresses are narrower see the faults of that (Y without ept, else N)");

static bool nested;
module_param(nested, bool, 0444);
MODULE_PARM_DESC(nested, "nested virtualization (not available in this version: N)");

static bool bypass_guest_pf = true;
module_param(bypass_guest_pf, bool, 0444);
MODULE_PARM_DESC(bypass_guest_pf,
		 "shadow paging: let guests have faults of pages that are not present without exits");

bool vmx_dump_invalid_vmcs;
module_param_named(dump_invalid_vmcs, vmx_dump_invalid_vmcs, bool, 0644);
MODULE_PARM_DESC(dump_invalid_vmcs, "log the VMCS when the processor refuses an entry");

static bool error_on_inconsistent_vmcs_config = true;
module_param(error_on_inconsistent_vmcs_config, bool, 0444);
MODULE_PARM_DESC(error_on_inconsistent_vmcs_config,
		 "refuse a processor whose entry and exit controls do not match");

struct vmx_features vmx_hw;

/* A guest that exits for no other reason comes out so often: 100 times a second. */
#define TIMER_PERIOD_HZ	100

/* ---- detection -------------------------------------------------------------------------------------- */

static const struct x86_cpu_id vmx_cpu_ids[] = {
	X86_MATCH_FEATURE(X86_FEATURE_VMX, NULL),
	{ }
};
MODULE_DEVICE_TABLE(x86cpu, vmx_cpu_ids);

/* 0, or -EOPNOTSUPP after one line that says why. */
static int check_support(void)
{
	u64 lock;

	if (!cpu_has(&boot_cpu_data, X86_FEATURE_VMX)) {
		/* The kernel hides the feature when the firmware has locked it. */
		if ((cpuid_ecx(1) & BIT(X86_FEATURE_VMX % 32)) &&
		    !rdmsrl_safe(MSR_IA32_FEAT_CTL, &lock) && (lock & FEAT_CTL_LOCKED))
			pr_err("VMX is locked off by the firmware (IA32_FEATURE_CONTROL 0x%llx)\n",
			       lock);
		else
			pr_err("this processor has no VMX, or the system hides it\n");
		return -EOPNOTSUPP;
	}
	if (rdmsrl_safe(MSR_IA32_FEAT_CTL, &lock) || !(lock & FEAT_CTL_LOCKED) ||
	    !(lock & FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX)) {
		pr_err("VMX is not enabled by the firmware (IA32_FEATURE_CONTROL 0x%llx)\n", lock);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* ---- controls ---------------------------------------------------------------------------------------- */

struct control_word {
	const char *name;
	u32 msr;
	u32 required, optional;
};

/*
 * The low half of a capability MSR has the bits that must be set, the high half those that may be.
 * -EOPNOTSUPP after one line when something is missing that nothing works without.
 */
static int choose_word(const struct control_word *w, u32 *value)
{
	u32 must, may;

	rdmsr(w->msr, must, may);
	if (w->required & ~may) {
		pr_err("the processor lacks %s controls 0x%x\n", w->name, w->required & ~may);
		return -EOPNOTSUPP;
	}
	*value = ((w->required | w->optional) & may) | must;
	return 0;
}

/* Since bit 55 of the basic MSR there are MSRs that tell which default settings can be changed. */
static u32 true_msr(u32 msr, u32 exact)
{
	return vmx_hw.basic & VMX_BASIC_TRUE_CTLS ? exact : msr;
}

static int choose_first_words(struct vmx_controls *c)
{
	struct control_word pin = {
		.name = "pin-based",
		.msr = true_msr(MSR_IA32_VMX_PINBASED_CTLS, MSR_IA32_VMX_TRUE_PINBASED_CTLS),
		.required = PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING,
		.optional = PIN_BASED_VIRTUAL_NMIS,
	};
	struct control_word cpu = {
		.name = "processor-based",
		.msr = true_msr(MSR_IA32_VMX_PROCBASED_CTLS, MSR_IA32_VMX_TRUE_PROCBASED_CTLS),
		.required = CPU_BASED_HLT_EXITING | CPU_BASED_USE_TSC_OFFSETTING |
			    CPU_BASED_MWAIT_EXITING | CPU_BASED_MONITOR_EXITING |
			    CPU_BASED_RDPMC_EXITING | CPU_BASED_MOV_DR_EXITING |
			    CPU_BASED_UNCOND_IO_EXITING | CPU_BASED_CR8_LOAD_EXITING |
			    CPU_BASED_CR8_STORE_EXITING,
		.optional = CPU_BASED_USE_MSR_BITMAPS | CPU_BASED_ACTIVATE_SECONDARY_CONTROLS |
			    CPU_BASED_TPR_SHADOW,
	};
	int r;

	if (preemption_timer)
		pin.optional |= PIN_BASED_VMX_PREEMPTION_TIMER;
	if (enable_apicv)
		pin.optional |= PIN_BASED_POSTED_INTR;
	if (enable_apicv && enable_ipiv)
		cpu.optional |= CPU_BASED_ACTIVATE_TERTIARY_CONTROLS;
	r = choose_word(&pin, &c->pin);
	if (r)
		return r;
	r = choose_word(&cpu, &c->cpu);
	if (r)
		return r;
	/* Set by default on processors that cannot clear them; EPT makes them unnecessary. */
	c->cpu &= ~(CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_NMI_WINDOW_EXITING);
	/* Chosen for a vcpu with a local APIC. */
	vmx_hw.tpr_shadow = c->cpu & CPU_BASED_TPR_SHADOW;
	c->cpu &= ~CPU_BASED_TPR_SHADOW;
	return 0;
}

#define APICV_CONTROLS	(SECONDARY_EXEC_APIC_REGISTER_VIRT | SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)

static int choose_second_word(struct vmx_controls *c)
{
	struct control_word cpu2 = {
		.name = "secondary processor-based",
		.msr = MSR_IA32_VMX_PROCBASED_CTLS2,
		.optional = SECONDARY_EXEC_WBINVD_EXITING | SECONDARY_EXEC_ENABLE_RDTSCP |
			    SECONDARY_EXEC_ENABLE_INVPCID | SECONDARY_EXEC_ENABLE_XSAVES |
			    SECONDARY_EXEC_ENCLS_EXITING,
	};

	c->cpu2 = 0;
	if (!(c->cpu & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS))
		return 0;
	if (ept)
		cpu2.optional |= SECONDARY_EXEC_ENABLE_EPT;
	if (ept && unrestricted_guest)
		cpu2.optional |= SECONDARY_EXEC_UNRESTRICTED_GUEST;
	if (ept && eptad && pml)
		cpu2.optional |= SECONDARY_EXEC_ENABLE_PML;
	if (vpid)
		cpu2.optional |= SECONDARY_EXEC_ENABLE_VPID;
	if (flexpriority && vmx_hw.tpr_shadow)
		cpu2.optional |= SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES |
				 SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
	if (flexpriority && vmx_hw.tpr_shadow && enable_apicv)
		cpu2.optional |= APICV_CONTROLS;
	cpu2.optional |= SECONDARY_EXEC_TSC_SCALING | SECONDARY_EXEC_BUS_LOCK_DETECTION |
			 SECONDARY_EXEC_NOTIFY_VM_EXITING;
	if (vmx_pause_wanted())
		cpu2.optional |= SECONDARY_EXEC_PAUSE_LOOP_EXITING;
	return choose_word(&cpu2, &c->cpu2);
}

/* An MSR is switched when both the entry and the exit do it. */
static int match_pair(struct vmx_controls *c, u32 entry, u32 exit, bool *both)
{
	bool on_entry = c->entry & entry, on_exit = c->exit & exit;

	*both = on_entry && on_exit;
	if (on_entry == on_exit)
		return 0;
	if (error_on_inconsistent_vmcs_config) {
		pr_err("entry control 0x%x and exit control 0x%x do not match\n", entry, exit);
		return -EIO;
	}
	c->entry &= ~entry;
	c->exit &= ~exit;
	return 0;
}

static int choose_transitions(struct vmx_controls *c)
{
	struct control_word exit = {
		.name = "exit",
		.msr = true_msr(MSR_IA32_VMX_EXIT_CTLS, MSR_IA32_VMX_TRUE_EXIT_CTLS),
		.required = VM_EXIT_HOST_ADDR_SPACE_SIZE,
		.optional = VM_EXIT_LOAD_IA32_EFER | VM_EXIT_LOAD_IA32_PAT |
			    VM_EXIT_PT_CONCEAL_PIP | VM_EXIT_SAVE_DEBUG_CONTROLS,
	};
	struct control_word entry = {
		.name = "entry",
		.msr = true_msr(MSR_IA32_VMX_ENTRY_CTLS, MSR_IA32_VMX_TRUE_ENTRY_CTLS),
		.required = VM_ENTRY_LOAD_DEBUG_CONTROLS,
		.optional = VM_ENTRY_LOAD_IA32_EFER | VM_ENTRY_LOAD_IA32_PAT |
			    VM_ENTRY_PT_CONCEAL_PIP | VM_ENTRY_IA32E_MODE,
	};
	int r;

	if (c->pin & PIN_BASED_POSTED_INTR)
		exit.optional |= VM_EXIT_ACK_INTR_ON_EXIT;
	r = choose_word(&exit, &c->exit);
	if (r)
		return r;
	r = choose_word(&entry, &c->entry);
	if (r)
		return r;
	c->entry &= ~VM_ENTRY_IA32E_MODE;	/* as EFER.LMA */
	r = match_pair(c, VM_ENTRY_LOAD_IA32_EFER, VM_EXIT_LOAD_IA32_EFER, &vmx_hw.load_efer);
	if (r)
		return r;
	return match_pair(c, VM_ENTRY_LOAD_IA32_PAT, VM_EXIT_LOAD_IA32_PAT, &vmx_hw.load_pat);
}

static int choose_controls(struct vmx_controls *c)
{
	int r;

	r = choose_first_words(c);
	if (r)
		return r;
	r = choose_second_word(c);
	if (r)
		return r;
	return choose_transitions(c);
}

/* ---- features ----------------------------------------------------------------------------------------- */

/* Any processor has these; some have no choice. */
#define CONTROLS_OF_SHADOW_PAGING \
	(CPU_BASED_CR3_LOAD_EXITING | CPU_BASED_CR3_STORE_EXITING | CPU_BASED_INVLPG_EXITING)
#define EPT_NEEDED	(VMX_EPT_PAGE_WALK_4_BIT | VMX_EPTP_WB_BIT | VMX_EPT_INVEPT_BIT)
#define EPT_EXTENTS	(VMX_EPT_EXTENT_CONTEXT_BIT | VMX_EPT_EXTENT_GLOBAL_BIT)
#define VPID_EXTENTS	(VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT | VMX_VPID_EXTENT_GLOBAL_CONTEXT_BIT)

/* It takes the numbers of the processors that it emulates, so that its BIOS is all that tells. */
static bool on_bochs(void)
{
	const char *version = dmi_get_system_info(DMI_BIOS_VERSION);

	return version && strstarts(version, "Bochs ");
}

/* Paging controls are of use only with the ways to invalidate what they cache. */
static void choose_paging(struct vmx_controls *c)
{
	u64 caps = 0;

	if (c->cpu2 & (SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_ENABLE_VPID))
		rdmsrl(MSR_IA32_VMX_EPT_VPID_CAP, caps);
	vmx_hw.ept_caps = (u32)caps;
	vmx_hw.vpid_caps = caps >> 32;

	if ((vmx_hw.ept_caps & EPT_NEEDED) != EPT_NEEDED || !(vmx_hw.ept_caps & EPT_EXTENTS))
		c->cpu2 &= ~(SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_UNRESTRICTED_GUEST);
	if (!(vmx_hw.vpid_caps & VMX_VPID_INVVPID_BIT) || !(vmx_hw.vpid_caps & VPID_EXTENTS))
		c->cpu2 &= ~SECONDARY_EXEC_ENABLE_VPID;

	vmx_hw.ept = c->cpu2 & SECONDARY_EXEC_ENABLE_EPT;
	vmx_hw.vpid = c->cpu2 & SECONDARY_EXEC_ENABLE_VPID;
	vmx_hw.unrestricted_guest = c->cpu2 & SECONDARY_EXEC_UNRESTRICTED_GUEST;
	/* Both are chosen when the mode of a vcpu's APIC is known; the page is in our tables. */
	vmx_hw.apic_accesses = vmx_hw.ept && (c->cpu2 & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES);
	/* An entry that maps nothing must have a reserved bit to set. */
	vmx_hw.bypass_guest_pf = bypass_guest_pf && !vmx_hw.ept && boot_cpu_data.x86_phys_bits < 52;
	vmx_hw.x2apic_mode = c->cpu2 & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
	vmx_hw.bochs = on_bochs();
	/* A guest in virtual-8086 mode has its interrupts delivered by us (realmode.c). */
	vmx_hw.apicv = vmx_hw.apic_accesses && vmx_hw.x2apic_mode && vmx_hw.unrestricted_guest &&
		       (c->cpu & CPU_BASED_USE_MSR_BITMAPS) &&
		       (c->cpu2 & APICV_CONTROLS) == APICV_CONTROLS;
	c->cpu2 &= ~(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES |
		     SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE | APICV_CONTROLS);
	vmx_hw.ept_ad = vmx_hw.ept && eptad && (vmx_hw.ept_caps & VMX_EPT_AD_BIT);
	/* Switched on for a vcpu while a slot is logged. */
	if (!vmx_hw.ept_ad)
		c->cpu2 &= ~SECONDARY_EXEC_ENABLE_PML;
	vmx_hw.pml = c->cpu2 & SECONDARY_EXEC_ENABLE_PML;
	vmx_hw.ept_levels = pgtable_l5_enabled() && (vmx_hw.ept_caps & VMX_EPT_PAGE_WALK_5_BIT) ?
			    5 : 4;
	if (vmx_hw.ept)
		c->cpu &= ~CONTROLS_OF_SHADOW_PAGING;
	else
		c->cpu |= CONTROLS_OF_SHADOW_PAGING;
}

/*
 * The MSR has those that may be set; none must be. They are chosen when the processor delivers, for
 * what it sends is posted.
 */
static void choose_third_word(struct vmx_controls *c)
{
	u64 may = 0;

	if (c->cpu & CPU_BASED_ACTIVATE_TERTIARY_CONTROLS)
		rdmsrl(MSR_IA32_VMX_PROCBASED_CTLS3, may);
	vmx_hw.ipiv = vmx_hw.posted && (may & TERTIARY_EXEC_IPI_VIRT);
	c->cpu3 = 0;
	if (!vmx_hw.ipiv)
		c->cpu &= ~CPU_BASED_ACTIVATE_TERTIARY_CONTROLS;
}

/* Without an interrupt table there is no handler to call. */
static void choose_posting(struct vmx_controls *c)
{
	vmx_hw.posted = vmx_hw.apicv && (c->pin & PIN_BASED_POSTED_INTR) &&
			(c->exit & VM_EXIT_ACK_INTR_ON_EXIT) &&
			!cpu_feature_enabled(X86_FEATURE_FRED);
	choose_third_word(c);
	/* The former is chosen when the processor delivers. */
	c->pin &= ~PIN_BASED_POSTED_INTR;
	if (!vmx_hw.posted)
		c->exit &= ~VM_EXIT_ACK_INTR_ON_EXIT;
}

static void choose_timer(struct vmx_controls *c)
{
	u64 ticks;

	vmx_hw.timer_shift = vmx_misc_preemption_timer_rate(vmx_hw.misc);
	ticks = div_u64((u64)tsc_khz * 1000, TIMER_PERIOD_HZ) >> vmx_hw.timer_shift;
	vmx_hw.timer = (c->pin & PIN_BASED_VMX_PREEMPTION_TIMER) && ticks;
	vmx_hw.timer_period = min_t(u64, ticks, U32_MAX);
	if (!vmx_hw.timer)
		c->pin &= ~PIN_BASED_VMX_PREEMPTION_TIMER;
}

/* What tools read from the parameters is what is in use. */
static void settle_parameters(void)
{
	ept = vmx_hw.ept;
	eptad = vmx_hw.ept_ad;
	pml = vmx_hw.pml;
	bypass_guest_pf = vmx_hw.bypass_guest_pf;
	vpid = vmx_hw.vpid;
	unrestricted_guest = vmx_hw.unrestricted_guest;
	preemption_timer = vmx_hw.timer;
	flexpriority = vmx_hw.apic_accesses;
	enable_apicv = vmx_hw.apicv;
	enable_ipiv = vmx_hw.ipiv;
	nested = false;
	allow_smaller_maxphyaddr = !vmx_hw.ept;
	emulate_invalid_guest_state = true;
	vmx_pause_settle(vmx_hw.controls.cpu2 & SECONDARY_EXEC_PAUSE_LOOP_EXITING);
}

int vmx_caps_init(void)
{
	struct vmx_controls *c = &vmx_hw.controls;
	int r;

	r = check_support();
	if (r)
		return r;
	rdmsrl(MSR_IA32_VMX_BASIC, vmx_hw.basic);
	rdmsrl(MSR_IA32_VMX_MISC, vmx_hw.misc);
	rdmsrl(MSR_IA32_VMX_CR0_FIXED0, vmx_hw.cr0_fixed0);
	rdmsrl(MSR_IA32_VMX_CR0_FIXED1, vmx_hw.cr0_fixed1);
	rdmsrl(MSR_IA32_VMX_CR4_FIXED0, vmx_hw.cr4_fixed0);
	rdmsrl(MSR_IA32_VMX_CR4_FIXED1, vmx_hw.cr4_fixed1);
	r = choose_controls(c);
	if (r)
		return r;
	choose_paging(c);
	choose_posting(c);
	choose_timer(c);
	vmx_hw.virtual_nmis = c->pin & PIN_BASED_VIRTUAL_NMIS;
	vmx_hw.msr_bitmaps = c->cpu & CPU_BASED_USE_MSR_BITMAPS;
	settle_parameters();

	if (!vmx_hw.virtual_nmis) {
		pr_err("this version needs virtual NMIs\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Processors of one machine are alike, but for firmware that forgets one. */
int vmx_check_cpu(void)
{
	u64 basic, lock;

	if (rdmsrl_safe(MSR_IA32_FEAT_CTL, &lock) || !(lock & FEAT_CTL_LOCKED) ||
	    !(lock & FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX) ||
	    rdmsrl_safe(MSR_IA32_VMX_BASIC, &basic) || basic != vmx_hw.basic) {
		pr_err_ratelimited("processor %d: VMX is locked off or differs from the others'\n",
				   smp_processor_id());
		return -EOPNOTSUPP;
	}
	return 0;
}
