/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The VMX backend's own state. A vcpu's VMCS (SDM 3, chapter 25) is the owner of the guest's segment,
 * descriptor table and system call entry state; it can be reached while the vcpu is loaded. Control
 * fields are kept beside it in struct vmx_controls and written where they change.
 */
#ifndef _KVM_VMX_H
#define _KVM_VMX_H

#include <linux/io.h>
#include <linux/kvm_host.h>

#include "../x86.h"
#include "../irqchip/lapic_regs.h"
#include "entry_args.h"
#include "vmcs.h"

/* What enter.S needs; cold enough to be rewritten only when something changes. */
struct vmx_entry {
	unsigned long *regs;
	unsigned long host_rsp;		/* as the VMCS has it */
	u32 guest_spec;			/* SPEC_CTRL of guest and host */
	u32 host_spec;
	bool spec_open;			/* the guest writes SPEC_CTRL without exits */
	bool launched;
};

static_assert(offsetof(struct vmx_entry, regs) == VMX_ENTRY_REGS);
static_assert(offsetof(struct vmx_entry, host_rsp) == VMX_ENTRY_HOST_RSP);
static_assert(offsetof(struct vmx_entry, guest_spec) == VMX_ENTRY_GUEST_SPEC);
static_assert(offsetof(struct vmx_entry, host_spec) == VMX_ENTRY_HOST_SPEC);
static_assert(offsetof(struct vmx_entry, spec_open) == VMX_ENTRY_SPEC_OPEN);
static_assert(offsetof(struct vmx_entry, launched) == VMX_ENTRY_LAUNCHED);

struct perf_guest_switch_msr;

/* One set of the words that say what exits and what is switched. */
struct vmx_controls {
	u32 pin, cpu, cpu2, exit, entry;
	u64 cpu3;
};

/* What the VMCS's host state holds; compared before it is written. */
struct vmx_host_fields {
	unsigned long cr3, cr4;
	unsigned long fs_base;
	unsigned long gs_base;		/* with TR, GDT, SYSENTER_ESP: of the processor */
};

/*
 * MSRs that no control switches, in the order of vmx_switched_msrs[]; EFER only on processors that have no
 * controls for it, and of it only SCE is the guest's: LME and LMA follow VM entry and exit, and NX, which
 * our tables need, stays set.
 */
enum vmx_switched {
	VMX_STAR, VMX_LSTAR, VMX_SYSCALL_MASK, VMX_TSC_AUX, VMX_EFER, VMX_NR_SWITCHED
};

#define VMX_PERF_MSRS	16			/* perf names no more than this at once */

#define EXIT_WITH_BUS_LOCK	BIT(26)		/* of an exit's reason: SDM 3, 26.9.1 */

struct vcpu_vmx {
	struct kvm_vcpu vcpu;		/* first: allocated by the core */
	struct vmx_entry entry;
	struct vmcs *vmcs;
	u64 vmcs_pa;
	struct list_head loaded_link;	/* of the processor's loaded VMCSs */
	int loaded_cpu;			/* where the VMCS may be cached, or -1 */
	struct vmx_controls controls;	/* as the VMCS has them */
	struct vmx_host_fields host;
	unsigned long *msr_bitmap;	/* the shared default, or the vcpu's own */
	bool spec_ctrl_used;		/* the guest has written it */
	bool passes_tpr;		/* the processor does x2APIC's TPR by itself */
	u64 eptp;
	u16 vpid;			/* 0: none */

	/* the last exit; valid until the next entry */
	u32 exit_reason;
	u32 vectoring;			/* IDT_VECTORING_INFO_FIELD */
	bool entry_failed;		/* VMLAUNCH or VMRESUME itself: see instruction_error */
	u32 instruction_error;

	/* as the VMCS has them */
	unsigned long hw_rip, hw_rsp, hw_rflags;
	const u8 *virtual_tpr;		/* in the local APIC's page; NULL: CR8 exits */
	u8 tpr_threshold;
	bool delivers;			/* the processor, what the local APIC has (apicv.c) */
	u64 eoi_exits[4];
	unsigned long cr4_owned;	/* bits that the guest changes without an exit */
	bool pdptrs_changed;		/* arch.mmu.pdptrs are newer than the VMCS */

	struct list_head waits_link;	/* posted_device.c, as is the next */
	int waits_on;			/* a processor, or -1 */
	struct lapic_inbox *inbox;	/* with vmx_hw.apicv and a local APIC; common code's */

	bool pml_on;			/* page-modification logging (pml.c) */
	u16 pml_start;			/* first index to be filled, as the VMCS has it */
	u64 *pml_log;

	/* the host's counters (perf.c): what the entry and the exit load, and how many */
	struct vmx_msr_entry perf_guest[VMX_PERF_MSRS], perf_host[VMX_PERF_MSRS];
	unsigned int perf_msrs;
	int perf_count;			/* of what perf answered last */

	bool host_saved;		/* prepare_entry was done since the vcpu was loaded */
	u16 host_fs_sel, host_gs_sel, host_ds_sel, host_es_sel, host_ldt_sel;
	u64 host_debugctl;
	u64 host_kernel_gs_base;
	u64 guest_kernel_gs_base;	/* while not loaded */
	u8 switched_now;		/* bits of enum vmx_switched: the guest's are in the processor */
	u64 switched[VMX_NR_SWITCHED];	/* the guest's */

	unsigned int pause_window;	/* PLE_WINDOW */
	bool l1d_dirty;			/* the host touched secrets since the last flush */
	bool timer_at_once;		/* the timer is set to end this entry immediately */
	bool had_nmi;			/* since the reset */
	u8 soft_length;			/* RIP was moved back by so much for a soft event */

	/* without unrestricted guest (realmode.c) */
	bool vm86;			/* the guest is in real mode, and the processor in virtual-8086 */
	bool state_changed;		/* since state_unfit was found out */
	bool state_unfit;		/* no entry is possible: emulate */
	bool by_hand;			/* nor is it with the event that waits: virtual-8086 mode */
	bool emulated;			/* the last "exit" was none */
	struct kvm_segment real_segment[KVM_NR_SEGS];
	u64 feature_control, mcg_ext_ctl, cstar;	/* MSRs that do nothing here */
};

static inline struct vcpu_vmx *to_vmx(struct kvm_vcpu *vcpu)
{
	return container_of(vcpu, struct vcpu_vmx, vcpu);
}

/*
 * A guest that is halted in the processor goes on: with an event that only a vcpu which runs can be
 * given, or because its state changes (SDM 3, 27.3.1.5 and 27.6.2).
 */
static inline void vmx_end_halt(struct vcpu_vmx *vmx)
{
	if (unlikely(!(vmx->controls.cpu & CPU_BASED_HLT_EXITING)))
		vmcs_write(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
}

/* ---- caps.c: what the processor offers and what of it is used ------------------------------------ */

struct vmx_features {
	u64 basic, misc;
	struct vmx_controls controls;	/* of a new vcpu */
	u64 ept_caps, vpid_caps;
	bool ept, ept_ad, pml, unrestricted_guest, vpid, virtual_nmis, timer, msr_bitmaps;
	bool load_efer, load_pat, tpr_shadow, apic_accesses, x2apic_mode;
	bool apicv;			/* delivers interrupts */
	bool posted;			/* fetches them by itself, and acknowledges the host's at exits */
	bool ipiv;			/* sends IPIs by itself */
	bool bypass_guest_pf;
	bool bochs;			/* has its own mind of some details */
	int ept_levels;
	u8 timer_shift;			/* TSC ticks of a timer tick, as a power of two */
	u32 timer_period;		/* armed at every entry */
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
};
extern struct vmx_features vmx_hw;

extern bool vmx_dump_invalid_vmcs;

int vmx_caps_init(void);
int vmx_check_cpu(void);		/* this processor offers what the first one did */

/* ---- hw.c: processors as VMX hosts -------------------------------------------------------------------- */

int vmx_hw_setup(void);
void vmx_hw_teardown(void);
int vmx_cpu_enable(void);
void vmx_cpu_disable(void);
/* Make the vcpu's VMCS the current one of this processor; preemption off. True: it was elsewhere. */
bool vmx_load_vmcs(struct vcpu_vmx *vmx, int cpu);
/* Take it from whatever processor caches it. Sleeps not, interrupts on. */
void vmx_clear_vmcs(struct vcpu_vmx *vmx);
/* Whose branch predictions may linger on this processor. */
DECLARE_PER_CPU(struct vcpu_vmx *, vmx_last_vcpu);
u16 vmx_vpid_alloc(void);
void vmx_vpid_free(u16 vpid);

/* ---- vmcs.c: contents of the VMCS ------------------------------------------------------------------------ */

int vmx_vmcs_create(struct vcpu_vmx *vmx);
void vmx_vmcs_destroy(struct vcpu_vmx *vmx);
void vmx_vcpu_reset(struct kvm_vcpu *vcpu, bool init);
void vmx_set_pin_control(struct vcpu_vmx *vmx, u32 bit, bool on);
void vmx_set_cpu_control(struct vcpu_vmx *vmx, u32 bit, bool on);
void vmx_set_cpu2_control(struct vcpu_vmx *vmx, u32 bit, bool on);
void vmx_set_cr0(struct kvm_vcpu *vcpu, unsigned long cr0);
void vmx_set_cr3(struct kvm_vcpu *vcpu, unsigned long cr3);
void vmx_set_cr4(struct kvm_vcpu *vcpu, unsigned long cr4);
bool vmx_cr4_valid(struct kvm_vcpu *vcpu, unsigned long cr4);
void vmx_set_efer(struct kvm_vcpu *vcpu, u64 efer);
void vmx_read_lazy(struct kvm_vcpu *vcpu, enum kvm_lazy_state what);
void vmx_write_pdptrs(struct vcpu_vmx *vmx);
void vmx_set_dr7(struct kvm_vcpu *vcpu, unsigned long dr7);
void vmx_sync_debug_regs(struct kvm_vcpu *vcpu);
void vmx_load_root(struct kvm_vcpu *vcpu, hpa_t root, int level);
void vmx_flush_tlb_all(struct kvm_vcpu *vcpu);
void vmx_flush_tlb_guest(struct kvm_vcpu *vcpu);
void vmx_flush_tlb_page(struct kvm_vcpu *vcpu, gva_t gva);
void vmx_write_tsc_offset(struct kvm_vcpu *vcpu, u64 offset);
void vmx_write_tsc_ratio(struct kvm_vcpu *vcpu);
void vmx_cpuid_changed(struct kvm_vcpu *vcpu);

/* ---- apic.c: what the processor does of the local APIC ------------------------------------------------- */

int vmx_apic_prepare(struct kvm *kvm);
void vmx_apic_reset(struct vcpu_vmx *vmx);	/* with fresh controls */
void vmx_apic_mode_changed(struct kvm_vcpu *vcpu);
void vmx_update_tpr_threshold(struct kvm_vcpu *vcpu);
int vmx_handle_apic_access(struct kvm_vcpu *vcpu);

/* ---- pause.c: vcpus that spin ----------------------------------------------------------------------------- */

bool vmx_pause_wanted(void);
void vmx_pause_settle(bool on);		/* the processor has it, and it is wanted */
void vmx_pause_reset(struct vcpu_vmx *vmx);		/* with fresh controls */
void vmx_pause_scheduled(struct vcpu_vmx *vmx);	/* the vcpu has a processor again */
int vmx_handle_pause(struct kvm_vcpu *vcpu);

/* ---- perf.c: the host's performance counters ------------------------------------------------------------ */

void vmx_perf_reset(struct vcpu_vmx *vmx);	/* a fresh VMCS */
/* Right before an entry, and after one that failed. Interrupts off. */
void vmx_perf_load(struct vcpu_vmx *vmx, const struct perf_guest_switch_msr *msrs);
void vmx_perf_undo(struct vcpu_vmx *vmx);

/* ---- pml.c: pages that the processor has made dirty ---------------------------------------------------- */

int vmx_dirty_logging_changed(struct kvm_vcpu *vcpu);
/* Around an entry with the log on. Interrupts off. */
void vmx_pml_arm(struct vcpu_vmx *vmx);
void vmx_pml_drain(struct vcpu_vmx *vmx);
int vmx_handle_pml_full(struct kvm_vcpu *vcpu);
void vmx_pml_free(struct vcpu_vmx *vmx);

/* ---- apicv.c: interrupts that the processor delivers ---------------------------------------------------- */

int vmx_apicv_create(struct vcpu_vmx *vmx);
void vmx_apicv_destroy(struct vcpu_vmx *vmx);
void vmx_apicv_reset(struct vcpu_vmx *vmx);
bool vmx_apicv_fits(struct kvm_vcpu *vcpu);	/* the APIC's mode and what userspace wants allow it */
void vmx_apicv_hand_over(struct vcpu_vmx *vmx);	/* interrupts off */
void vmx_apicv_name_event(struct vcpu_vmx *vmx);
int vmx_handle_eoi(struct kvm_vcpu *vcpu);
int vmx_handle_apic_write(struct kvm_vcpu *vcpu);

/* ---- posted.c: interrupts that the processor fetches ---------------------------------------------------- */

void vmx_posted_reset(struct vcpu_vmx *vmx);
void vmx_notify_posted(struct kvm_vcpu *vcpu);
void vmx_call_host_handler(void);

/* The inbox, in the eyes of the processor and of the IOMMU */
static inline struct pi_desc *vmx_descriptor(struct vcpu_vmx *vmx)
{
	return (struct pi_desc *)vmx->inbox;
}

static inline bool vmx_has_news(struct vcpu_vmx *vmx)
{
	return READ_ONCE(vmx->inbox->news) & LAPIC_INBOX_NEWS;
}

/* ---- posted_device.c: those that an IOMMU posts --------------------------------------------------------- */

void vmx_posted_setup(void);
void vmx_posted_teardown(void);
void vmx_posted_cpu_disable(void);
/* With vmx_hw.posted and an inbox. Preemption off. */
void vmx_posted_load(struct vcpu_vmx *vmx, int cpu);
void vmx_posted_put(struct vcpu_vmx *vmx);
void vmx_post_device(struct kvm *kvm, int host_irq, struct kvm_vcpu *vcpu, u8 vector);

/* ---- ipi.c: those that another vcpu's processor posts ---------------------------------------------------- */

int vmx_ipi_prepare(struct kvm *kvm);
void vmx_ipi_reset(struct vcpu_vmx *vmx);
void vmx_ipi_switch(struct vcpu_vmx *vmx, bool on);
void vmx_ipi_map_changed(struct kvm *kvm);

/* ---- segments.c -------------------------------------------------------------------------------------------- */

void vmx_read_segment(struct kvm_vcpu *vcpu, enum kvm_seg seg, struct emu_segment *s);
void vmx_get_segment(struct kvm_vcpu *vcpu, enum kvm_seg seg, struct kvm_segment *s);
void vmx_set_segment(struct kvm_vcpu *vcpu, enum kvm_seg seg, const struct kvm_segment *s);
unsigned long vmx_segment_base(struct kvm_vcpu *vcpu, enum kvm_seg seg);
int vmx_cpl(struct kvm_vcpu *vcpu);
void vmx_get_gdt(struct kvm_vcpu *vcpu, struct desc_ptr *dt);
void vmx_set_gdt(struct kvm_vcpu *vcpu, const struct desc_ptr *dt);
void vmx_get_idt(struct kvm_vcpu *vcpu, struct desc_ptr *dt);
void vmx_set_idt(struct kvm_vcpu *vcpu, const struct desc_ptr *dt);

/* ---- realmode.c: without unrestricted guest --------------------------------------------------------------- */

int vmx_set_tss_addr(struct kvm *kvm, unsigned int addr);
int vmx_set_identity_map_addr(struct kvm *kvm, u64 addr);
int vmx_real_prepare(struct kvm *kvm);
u64 vmx_identity_cr3(struct kvm *kvm);
void vmx_vm86_set_segment(struct vcpu_vmx *vmx, enum kvm_seg seg, const struct kvm_segment *s);
void vmx_vm86_get_segment(struct vcpu_vmx *vmx, enum kvm_seg seg, struct kvm_segment *s);
void vmx_real_mode_changed(struct kvm_vcpu *vcpu, bool protected);
bool vmx_state_unfit(struct kvm_vcpu *vcpu);
int vmx_emulate_unfit(struct kvm_vcpu *vcpu);
int vmx_real_exception(struct kvm_vcpu *vcpu, u32 info);

/* ---- host.c: the host's state around entries ------------------------------------------------------------ */

void vmx_host_fields_init(struct vcpu_vmx *vmx);
void vmx_prepare_entry(struct kvm_vcpu *vcpu);
void vmx_restore_host(struct vcpu_vmx *vmx);
void vmx_set_switched(struct vcpu_vmx *vmx, enum vmx_switched which, u64 value);
void vmx_update_switched(struct vcpu_vmx *vmx);
int vmx_l1d_setup(void);
void vmx_l1d_teardown(void);
void vmx_l1d_flush(struct vcpu_vmx *vmx);

/* ---- msr.c --------------------------------------------------------------------------------------------------- */

int vmx_msr_init(void);
void vmx_msr_exit(void);
extern unsigned long *vmx_msr_bitmap_default;
void vmx_msr_bitmap_destroy(struct vcpu_vmx *vmx);
void vmx_update_msr_intercepts(struct kvm_vcpu *vcpu);
#define VMX_X2APIC_TPR	0x808		/* passed on as passes_tpr says */
#define VMX_X2APIC_EOI	0x80b		/* these as delivers says */
#define VMX_X2APIC_ICR	0x830		/* with vmx_hw.ipiv */
#define VMX_X2APIC_SELF	0x83f
int vmx_get_msr(struct kvm_vcpu *vcpu, u32 index, u64 *data, bool host);
int vmx_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host);
bool vmx_has_msr(u32 index);
int vmx_get_feature_msr(u32 index, u64 *data);

/* ---- events.c ------------------------------------------------------------------------------------------------ */

void vmx_inject_exception(struct kvm_vcpu *vcpu);
void vmx_inject_interrupt(struct kvm_vcpu *vcpu, bool reinjected);
void vmx_inject_nmi(struct kvm_vcpu *vcpu);
void vmx_cancel_injection(struct kvm_vcpu *vcpu);
void vmx_recover_events(struct kvm_vcpu *vcpu);	/* after an exit: what delivery was cut short */
bool vmx_interrupt_allowed(struct kvm_vcpu *vcpu);
bool vmx_nmi_allowed(struct kvm_vcpu *vcpu);
void vmx_open_irq_window(struct kvm_vcpu *vcpu);
void vmx_open_nmi_window(struct kvm_vcpu *vcpu);
int vmx_take_irq_window(struct kvm_vcpu *vcpu);
int vmx_take_nmi_window(struct kvm_vcpu *vcpu);
bool vmx_look_for_windows(struct kvm_vcpu *vcpu);
u32 vmx_interrupt_shadow(struct kvm_vcpu *vcpu);
void vmx_set_interrupt_shadow(struct kvm_vcpu *vcpu, u32 mask);
bool vmx_get_nmi_mask(struct kvm_vcpu *vcpu);
void vmx_set_nmi_mask(struct kvm_vcpu *vcpu, bool blocked);
/* The exit ended NMI blocking by an IRET that will run again: block again. */
void vmx_block_nmi_again(struct kvm_vcpu *vcpu);
void vmx_update_exception_intercepts(struct kvm_vcpu *vcpu);

/* ---- exit.c --------------------------------------------------------------------------------------------------- */

int vmx_handle_exit(struct kvm_vcpu *vcpu);
void vmx_exit_info(struct kvm_vcpu *vcpu, struct kvm_exit_info *info);
int vmx_skip_insn(struct kvm_vcpu *vcpu);

/* ---- dump.c --------------------------------------------------------------------------------------------------- */

void vmx_dump_vmcs(struct kvm_vcpu *vcpu);

/* ---- enter.S -------------------------------------------------------------------------------------------------- */

int vmx_world_switch(struct vmx_entry *entry);
void vmx_call_gate(unsigned long handler);
extern void vmx_exit_landing(void);

#endif
