/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The SVM backend's own state. A vcpu's VMCB (AMD64 APM volume 2, appendix B) is the owner of the
 * guest's segment, descriptor table, system call and intercept state; it is written where the
 * state changes, with the clean bit of its group cleared.
 */
#ifndef _KVM_SVM_H
#define _KVM_SVM_H

#include <linux/io.h>
#include <linux/kvm_host.h>
#include <asm/svm.h>

#include "../x86.h"
#include "entry_args.h"

/* What enter.S needs; cold enough to be rewritten only when something changes. */
struct svm_entry {
	unsigned long *regs;
	u64 vmcb_pa;
	u64 host_pa;		/* this processor's page for VMSAVE of host state */
	u32 guest_spec;		/* SPEC_CTRL of guest and host */
	u32 host_spec;
	bool spec_open;		/* the guest writes SPEC_CTRL without exits */
	bool failed;		/* result: the world switch did not happen */
	const u32 *int_state;	/* the VMCB's: for processors that forget it, see enter.S */
};

static_assert(offsetof(struct svm_entry, regs) == SVM_ENTRY_REGS);
static_assert(offsetof(struct svm_entry, vmcb_pa) == SVM_ENTRY_VMCB_PA);
static_assert(offsetof(struct svm_entry, host_pa) == SVM_ENTRY_HOST_PA);
static_assert(offsetof(struct svm_entry, guest_spec) == SVM_ENTRY_GUEST_SPEC);
static_assert(offsetof(struct svm_entry, host_spec) == SVM_ENTRY_HOST_SPEC);
static_assert(offsetof(struct svm_entry, spec_open) == SVM_ENTRY_SPEC_OPEN);
static_assert(offsetof(struct svm_entry, failed) == SVM_ENTRY_FAILED);
static_assert(offsetof(struct svm_entry, int_state) == SVM_ENTRY_INT_STATE);
static_assert(BIT(SVM_ENTRY_SHADOW_BIT) == SVM_INTERRUPT_SHADOW_MASK);

/* VMCB clean bits (15.15.3): a set bit lets the processor use its cached copy of the group. */
enum svm_clean {
	SVM_CLEAN_INTERCEPTS,	/* intercept vectors, TSC offset, pause filter */
	SVM_CLEAN_PERM_MAPS,	/* I/O and MSR permission map addresses */
	SVM_CLEAN_ASID,
	SVM_CLEAN_TPR,		/* the virtual interrupt controls in int_ctl */
	SVM_CLEAN_NP,		/* nested paging: nCR3, g_pat */
	SVM_CLEAN_CR,		/* CR0, CR3, CR4, EFER */
	SVM_CLEAN_DR,		/* DR6, DR7 */
	SVM_CLEAN_DT,		/* GDT, IDT */
	SVM_CLEAN_SEG,		/* CS, DS, SS, ES, CPL */
	SVM_CLEAN_CR2,
	SVM_CLEAN_LBR,		/* debug control, last branch records */
	SVM_CLEAN_AVIC,
	SVM_NR_CLEAN
};

struct vcpu_svm {
	struct kvm_vcpu vcpu;	/* first: allocated by the core */
	struct vmcb *vmcb;
	struct svm_entry entry;
	unsigned long *msrpm;	/* the shared default, or the vcpu's own */

	u64 asid_generation;	/* of the processor it was loaded on; 0: none */
	bool flush_asid;	/* flush at next entry */
	bool host_saved;	/* VMSAVE of host state was done since the vcpu was loaded */
	bool tsc_aux_switched;

	/* NMI blocking, 15.21.8 does not exist without vNMI: blocked from injection to IRET's end */
	bool nmi_blocked;
	bool nmi_iret_pending;	/* the IRET was intercepted and is about to run */
	bool nmi_singlestep;	/* TF is ours, to see an instruction complete */
	bool nmi_stepped;	/* it was, until the last exit */
	unsigned long nmi_iret_rip, nmi_step_rflags, nmi_step_dr6;

	bool virq_armed;	/* the interrupt being injected is the virtual interrupt */
	bool irq_window;	/* a dummy virtual interrupt is pending to tell us of IF */
	u64 spec_ctrl, virt_spec_ctrl;
	bool spec_ctrl_used;	/* the guest has written it: it is open, as far as the filter allows */
	u64 tsc_aux;
	u64 sysenter_esp, sysenter_eip;
	u64 vm_cr, vm_hsave_pa, osvw_length, osvw_status;
	u32 v_tpr;		/* last written to int_ctl */
};

static inline struct vcpu_svm *to_svm(struct kvm_vcpu *vcpu)
{
	return container_of(vcpu, struct vcpu_svm, vcpu);
}

static inline void svm_dirty(struct vcpu_svm *svm, enum svm_clean group)
{
	svm->vmcb->control.clean &= ~BIT(group);
}

static inline void svm_dirty_all(struct vcpu_svm *svm)
{
	svm->vmcb->control.clean = 0;
}

/* @bit: INTERCEPT_* of asm/svm.h, counted over all words; exceptions follow the offset. */
static inline void svm_intercept(struct vcpu_svm *svm, unsigned int bit)
{
	svm->vmcb->control.intercepts[bit / 32] |= BIT(bit % 32);
	svm_dirty(svm, SVM_CLEAN_INTERCEPTS);
}

static inline void svm_no_intercept(struct vcpu_svm *svm, unsigned int bit)
{
	svm->vmcb->control.intercepts[bit / 32] &= ~BIT(bit % 32);
	svm_dirty(svm, SVM_CLEAN_INTERCEPTS);
}

static inline bool svm_intercepts(const struct vcpu_svm *svm, unsigned int bit)
{
	return svm->vmcb->control.intercepts[bit / 32] & BIT(bit % 32);
}

/* Choices made at load, from parameters and CPUID 0x8000000a. */
struct svm_features {
	bool npt, nrips, vgif, vls, decode_assists, flush_by_asid, pause_filter, v_spec_ctrl, lbrv;
	bool clean_bits;
	bool emulated;		/* the processor may be one of QEMU's */
	u32 nr_asids;
};
extern struct svm_features svm_hw;

/* hw.c: per processor */
struct svm_cpu {
	u64 asid_generation;
	u32 next_asid, max_asid;
	struct page *host_save;		/* VM_HSAVE_PA: VMRUN's own */
	struct page *host_state;	/* VMSAVE of the host */
	struct vmcb *last_vmcb;		/* whose branch predictions may linger */
	u64 host_tsc_aux;
};
DECLARE_PER_CPU(struct svm_cpu, svm_cpu);
int svm_hw_setup(void);
void svm_hw_teardown(void);
int svm_cpu_enable(void);
void svm_cpu_disable(void);
void svm_assign_asid(struct vcpu_svm *svm);

/* pause.c: vcpus that spin */
void svm_pause_setup(void);
void svm_pause_init(struct vcpu_svm *svm);	/* with the fresh intercepts of one that may exit */
void svm_pause_scheduled(struct vcpu_svm *svm);	/* the vcpu has a processor again */
int svm_handle_pause(struct kvm_vcpu *vcpu);

/* main.c */
void svm_load_tsc_aux(struct vcpu_svm *svm);

/* vmcb.c */
int svm_vmcb_create(struct vcpu_svm *svm);
void svm_vmcb_destroy(struct vcpu_svm *svm);
void svm_vcpu_reset(struct kvm_vcpu *vcpu, bool init);
extern struct page *svm_iopm;
void svm_set_cr0(struct kvm_vcpu *vcpu, unsigned long cr0);
void svm_set_cr3(struct kvm_vcpu *vcpu, unsigned long cr3);
void svm_set_cr4(struct kvm_vcpu *vcpu, unsigned long cr4);
void svm_update_invpcid_intercept(struct kvm_vcpu *vcpu);
void svm_set_efer(struct kvm_vcpu *vcpu, u64 efer);
void svm_set_dr7(struct kvm_vcpu *vcpu, unsigned long dr7);
void svm_sync_debug_regs(struct kvm_vcpu *vcpu);
void svm_read_segment(struct kvm_vcpu *vcpu, enum kvm_seg seg, struct emu_segment *s);
void svm_get_segment(struct kvm_vcpu *vcpu, enum kvm_seg seg, struct kvm_segment *s);
void svm_set_segment(struct kvm_vcpu *vcpu, enum kvm_seg seg, const struct kvm_segment *s);
unsigned long svm_segment_base(struct kvm_vcpu *vcpu, enum kvm_seg seg);
int svm_cpl(struct kvm_vcpu *vcpu);
void svm_get_gdt(struct kvm_vcpu *vcpu, struct desc_ptr *dt);
void svm_set_gdt(struct kvm_vcpu *vcpu, const struct desc_ptr *dt);
void svm_get_idt(struct kvm_vcpu *vcpu, struct desc_ptr *dt);
void svm_set_idt(struct kvm_vcpu *vcpu, const struct desc_ptr *dt);
void svm_load_root(struct kvm_vcpu *vcpu, hpa_t root, int level);
void svm_flush_tlb_all(struct kvm_vcpu *vcpu);
void svm_flush_tlb_page(struct kvm_vcpu *vcpu, gva_t gva);
void svm_write_tsc_offset(struct kvm_vcpu *vcpu, u64 offset);

/* msrpm.c */
int svm_msrpm_init(void);
void svm_msrpm_exit(void);
extern unsigned long *svm_msrpm_default;
void svm_msrpm_destroy(struct vcpu_svm *svm);
void svm_update_msr_intercepts(struct kvm_vcpu *vcpu);
int svm_get_msr(struct kvm_vcpu *vcpu, u32 index, u64 *data, bool host);
int svm_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host);
bool svm_has_msr(u32 index);
int svm_get_feature_msr(u32 index, u64 *data);

/* events.c */
void svm_inject_exception(struct kvm_vcpu *vcpu);
void svm_inject_interrupt(struct kvm_vcpu *vcpu, bool reinjected);
void svm_inject_nmi(struct kvm_vcpu *vcpu);
void svm_force_interrupt(struct vcpu_svm *svm);	/* into EVENTINJ, if it is the virtual interrupt */
void svm_cancel_injection(struct kvm_vcpu *vcpu);
void svm_recover_events(struct kvm_vcpu *vcpu);	/* after an exit: EXITINTINFO back to arch */
bool svm_interrupt_allowed(struct kvm_vcpu *vcpu);
bool svm_nmi_allowed(struct kvm_vcpu *vcpu);
void svm_open_irq_window(struct kvm_vcpu *vcpu);
void svm_close_irq_window(struct vcpu_svm *svm);
void svm_open_nmi_window(struct kvm_vcpu *vcpu);
u32 svm_interrupt_shadow(struct kvm_vcpu *vcpu);
void svm_set_interrupt_shadow(struct kvm_vcpu *vcpu, u32 mask);
bool svm_get_nmi_mask(struct kvm_vcpu *vcpu);
void svm_set_nmi_mask(struct kvm_vcpu *vcpu, bool blocked);
void svm_update_exception_intercepts(struct kvm_vcpu *vcpu);
void svm_update_cr8_intercept(struct kvm_vcpu *vcpu);
void svm_take_tpr(struct kvm_vcpu *vcpu);	/* V_TPR is not what was last written there */
int svm_handle_iret(struct kvm_vcpu *vcpu);
void svm_end_nmi_step(struct kvm_vcpu *vcpu);
bool svm_nmi_step_done(struct kvm_vcpu *vcpu);	/* #DB was the NMI window's */

int svm_reflect_exception(struct kvm_vcpu *vcpu, u8 vector);

/* exit.c */
int svm_handle_exit(struct kvm_vcpu *vcpu);
void svm_exit_info(struct kvm_vcpu *vcpu, struct kvm_exit_info *info);
int svm_skip_insn(struct kvm_vcpu *vcpu);

/* enter.S */
void svm_world_switch(struct svm_entry *entry);

#endif
