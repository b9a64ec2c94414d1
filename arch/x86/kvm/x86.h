/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files common to both vendors offer to each other and to the vendor modules, by file.
 * "1 / 0 / -errno" is the convention of everything that may end a stay in the run loop:
 * go on, go to userspace with run->exit_reason set, or fail KVM_RUN.
 */
#ifndef _KVM_X86_H
#define _KVM_X86_H

#include <linux/compat.h>
#include <linux/kvm_host.h>
#include <asm/svm.h>

/* ---- module parameters (main.c) -------------------------------------------------------------- */

extern bool ignore_msrs, report_ignored_msrs, enable_pmu;
extern bool eager_page_split, tdp_mmu_enabled;
extern unsigned int force_emulation_prefix;
#define FORCED_CLEAR_RF	BIT(1)	/* in force_emulation_prefix */

/* ---- registers ---------------------------------------------------------------------------------- */

static inline void kvm_sync_lazy(struct kvm_vcpu *vcpu, enum kvm_lazy_state what)
{
	if (unlikely(vcpu->arch.stale & BIT(what)))
		kvm_x86_ops.read_lazy(vcpu, what);
}

static inline unsigned long kvm_read_cr0(struct kvm_vcpu *vcpu)
{
	kvm_sync_lazy(vcpu, KVM_LAZY_CR0);
	return vcpu->arch.cr0;
}

static inline unsigned long kvm_read_cr3(struct kvm_vcpu *vcpu)
{
	kvm_sync_lazy(vcpu, KVM_LAZY_CR3);
	return vcpu->arch.cr3;
}

static inline unsigned long kvm_read_cr4(struct kvm_vcpu *vcpu)
{
	kvm_sync_lazy(vcpu, KVM_LAZY_CR4);
	return vcpu->arch.cr4;
}

static inline bool is_protected(struct kvm_vcpu *vcpu)
{
	return kvm_read_cr0(vcpu) & X86_CR0_PE;
}

static inline bool is_paging(struct kvm_vcpu *vcpu)
{
	return kvm_read_cr0(vcpu) & X86_CR0_PG;
}

static inline bool is_long_mode(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.efer & EFER_LMA;
}

/* CS.L with long mode active: 64-bit operands and flat segments. */
bool kvm_is_64bit(struct kvm_vcpu *vcpu);			/* cpu/segments.c */
/* CS base + RIP, truncated to 32 bits outside 64-bit mode. */
unsigned long kvm_linear_rip(struct kvm_vcpu *vcpu);		/* cpu/segments.c */

static inline u64 kvm_edx_eax(struct kvm_vcpu *vcpu)
{
	return (u32)vcpu->arch.regs[KVM_RAX] | (u64)(u32)vcpu->arch.regs[KVM_RDX] << 32;
}

/* Linear address bits in use: 57 with CR4.LA57, else 48. */
static inline bool kvm_is_noncanonical(struct kvm_vcpu *vcpu, u64 la)
{
	unsigned int bits = kvm_read_cr4(vcpu) & X86_CR4_LA57 ? 57 : 48;

	return (u64)((s64)(la << (64 - bits)) >> (64 - bits)) != la;
}

/* ---- cpu/segments.c: segment state and the SREGS ioctls --------------------------------------- */

int kvm_get_sregs(struct kvm_vcpu *vcpu, struct kvm_sregs *sregs);
int kvm_set_sregs(struct kvm_vcpu *vcpu, struct kvm_sregs *sregs);	/* -EINVAL, nothing changed */
int kvm_get_sregs2(struct kvm_vcpu *vcpu, struct kvm_sregs2 *sregs2);
int kvm_set_sregs2(struct kvm_vcpu *vcpu, struct kvm_sregs2 *sregs2);
int kvm_get_regs(struct kvm_vcpu *vcpu, struct kvm_regs *regs);
int kvm_set_regs(struct kvm_vcpu *vcpu, struct kvm_regs *regs);
/* RFLAGS as userspace and the guest should see them (TF hidden while userspace single-steps). */
unsigned long kvm_get_rflags(struct kvm_vcpu *vcpu);
void kvm_set_rflags(struct kvm_vcpu *vcpu, unsigned long rflags);
int kvm_translate(struct kvm_vcpu *vcpu, struct kvm_translation *tr);
/* KVM_CAP_SYNC_REGS: before the first entry of a KVM_RUN, 0 / -EINVAL; after its last exit. */
int kvm_sync_regs_load(struct kvm_vcpu *vcpu);
void kvm_sync_regs_store(struct kvm_vcpu *vcpu);

/* ---- cpu/control_regs.c: writes with every check of the manual ---------------------------------- */
/* 0, or 1 when the write must raise #GP (nothing changed). */

int kvm_set_cr0(struct kvm_vcpu *vcpu, unsigned long cr0);
int kvm_set_cr3(struct kvm_vcpu *vcpu, unsigned long cr3);
int kvm_set_cr4(struct kvm_vcpu *vcpu, unsigned long cr4);
int kvm_set_cr8(struct kvm_vcpu *vcpu, unsigned long cr8);
unsigned long kvm_get_cr8(struct kvm_vcpu *vcpu);
int kvm_set_efer(struct kvm_vcpu *vcpu, u64 efer, bool host);
int kvm_set_xcr(struct kvm_vcpu *vcpu, u32 index, u64 xcr);
/* Whether a set of control registers is one that a processor can be in (SREGS). */
bool kvm_cr0_valid(struct kvm_vcpu *vcpu, unsigned long cr0);
bool kvm_cr4_valid(struct kvm_vcpu *vcpu, unsigned long cr4);
bool kvm_efer_valid(struct kvm_vcpu *vcpu, u64 efer);
/* Load the four PAE page directory pointers that CR3 points to; false when one is invalid. */
bool kvm_load_pdptrs(struct kvm_vcpu *vcpu, unsigned long cr3);

/* ---- cpu/cpuid.c ---------------------------------------------------------------------------------- */

void kvm_cpu_caps_init(void);		/* what we virtualize, from the host's CPUID; once per load */
/* One word of the features offered to guests (KVM_GET_SUPPORTED_CPUID); vendors may change it in
 * init_cpu_caps(). */
extern u32 kvm_cpu_caps[KVM_CPUID_NR_WORDS];
void kvm_cpu_cap_set(unsigned int x86_feature);		/* X86_FEATURE_* */
void kvm_cpu_cap_clear(unsigned int x86_feature);
bool kvm_cpu_cap_has(unsigned int x86_feature);
int kvm_dev_get_cpuid(struct kvm_cpuid2 __user *ucpuid, unsigned int ioctl); /* SUPPORTED, EMULATED */
int kvm_vcpu_set_cpuid(struct kvm_vcpu *vcpu, struct kvm_cpuid __user *ucpuid);	/* KVM_SET_CPUID */
int kvm_vcpu_set_cpuid2(struct kvm_vcpu *vcpu, struct kvm_cpuid2 __user *ucpuid);
int kvm_vcpu_get_cpuid2(struct kvm_vcpu *vcpu, struct kvm_cpuid2 __user *ucpuid);
void kvm_cpuid_vcpu_init(struct kvm_vcpu *vcpu);	/* what holds until userspace sets one */
void kvm_cpuid_free(struct kvm_vcpu *vcpu);
/* Recompute what follows from XCR0, CR4, APIC base (OSXSAVE, OSPKE, APIC, XSAVE sizes, MWAIT). */
void kvm_cpuid_update_runtime(struct kvm_vcpu *vcpu);
struct kvm_cpuid_entry2 *kvm_find_cpuid(struct kvm_vcpu *vcpu, u32 function, u32 index);
/* The CPUID instruction: registers in and out, with the rules for leaves out of range. */
void kvm_cpuid(struct kvm_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
int kvm_emulate_cpuid(struct kvm_vcpu *vcpu);			/* exit handler: 1/0/-errno */

/* ---- cpu/msr.c -------------------------------------------------------------------------------------- */

void kvm_msr_lists_init(void);
int kvm_dev_get_msr_index_list(struct kvm_msr_list __user *list, bool feature);
int kvm_dev_get_feature_msrs(struct kvm_msrs __user *msrs);
long kvm_vcpu_msrs_ioctl(struct kvm_vcpu *vcpu, struct kvm_msrs __user *msrs, bool write);
/* What an access comes to: MSR_GP and MSR_UNKNOWN both are #GP, the latter unless ignore_msrs. */
enum { MSR_OK, MSR_GP, MSR_UNKNOWN };
/* MSR_*. @host: userspace's access, with its wider rights. */
int kvm_get_msr(struct kvm_vcpu *vcpu, u32 index, u64 *data, bool host);
int kvm_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host);
bool kvm_pat_valid(u64 pat);
void kvm_msr_vcpu_init(struct kvm_vcpu *vcpu);
int kvm_mce_setup(struct kvm_vcpu *vcpu, u64 mcg_cap);
void kvm_msr_vcpu_free(struct kvm_vcpu *vcpu);

/* ---- cpu/msr_filter.c ------------------------------------------------------------------------------- */

int kvm_msr_filter_set(struct kvm *kvm, const struct kvm_msr_filter __user *arg);
/* The filter of a 32-bit process, whose pointers are smaller. */
struct kvm_msr_filter_compat {
	u32 flags;
	struct {
		u32 flags, nmsrs, base;
		compat_uptr_t bitmap;
	} ranges[KVM_MSR_FILTER_MAX_RANGES];
};
#define KVM_X86_SET_MSR_FILTER_COMPAT	_IOW(KVMIO, 0xc6, struct kvm_msr_filter_compat)
int kvm_msr_filter_set_compat(struct kvm *kvm, const void __user *arg);
void kvm_msr_filter_destroy(struct kvm *kvm);
/* True if userspace's filter lets the guest access it: @direction KVM_MSR_FILTER_READ or _WRITE. */
bool kvm_msr_allowed(struct kvm_vcpu *vcpu, u32 index, u32 direction);
static inline bool kvm_msr_filtered(struct kvm_vcpu *vcpu)
{
	return rcu_access_pointer(vcpu->kvm->arch.msr_filter);
}

/* The guest's access: 0, or the KVM_MSR_EXIT_REASON_* for which it is refused, with nothing done. */
u32 kvm_guest_rdmsr(struct kvm_vcpu *vcpu, u32 index, u64 *data);
u32 kvm_guest_wrmsr(struct kvm_vcpu *vcpu, u32 index, u64 data);
/* Fill kvm_run for an access refused for @reason; false if userspace has not asked for those. */
bool kvm_msr_to_userspace(struct kvm_vcpu *vcpu, u32 index, u64 data, bool write, u32 reason);
int kvm_emulate_rdmsr(struct kvm_vcpu *vcpu);			/* exit handlers: 1/0/-errno */
int kvm_emulate_wrmsr(struct kvm_vcpu *vcpu);

/* ---- cpu/tsc.c ---------------------------------------------------------------------------------------- */

void kvm_tsc_vm_init(struct kvm *kvm);
void kvm_tsc_vcpu_init(struct kvm_vcpu *vcpu);
u64 kvm_guest_tsc(struct kvm_vcpu *vcpu);			/* now */
u64 kvm_scale_tsc(const struct kvm_vcpu *vcpu, u64 host);	/* without the offset, at a host TSC */
void kvm_tsc_write(struct kvm_vcpu *vcpu, u64 tsc, bool host);	/* synchronises vcpus written alike */
void kvm_tsc_set_offset(struct kvm_vcpu *vcpu, u64 offset);
void kvm_tsc_vcpu_load(struct kvm_vcpu *vcpu, int cpu);		/* a host TSC that went backwards */
void kvm_tsc_vcpu_put(struct kvm_vcpu *vcpu);
bool kvm_tsc_khz_valid(u32 khz);				/* can be had */
int kvm_set_tsc_khz(struct kvm_vcpu *vcpu, u32 khz);		/* 0 / -EINVAL */

/* ---- cpu/fpu.c ------------------------------------------------------------------------------------------ */

int kvm_fpu_vcpu_create(struct kvm_vcpu *vcpu);
void kvm_fpu_vcpu_destroy(struct kvm_vcpu *vcpu);
void kvm_fpu_reset(struct kvm_vcpu *vcpu, bool init);
void kvm_fpu_load(struct kvm_vcpu *vcpu);	/* userspace's out, guest's in; around KVM_RUN */
void kvm_fpu_put(struct kvm_vcpu *vcpu);
/* XCR0, XSS, PKRU around the entry, interrupts off. Cheap when nothing differs. */
void kvm_fpu_enter(struct kvm_vcpu *vcpu);
void kvm_fpu_leave(struct kvm_vcpu *vcpu);
int kvm_get_fpu(struct kvm_vcpu *vcpu, struct kvm_fpu *fpu);
int kvm_set_fpu(struct kvm_vcpu *vcpu, struct kvm_fpu *fpu);
long kvm_vcpu_xsave_ioctl(struct kvm_vcpu *vcpu, unsigned int ioctl, void __user *arg);
int kvm_get_xcrs(struct kvm_vcpu *vcpu, struct kvm_xcrs *xcrs);
int kvm_set_xcrs(struct kvm_vcpu *vcpu, struct kvm_xcrs *xcrs);
u32 kvm_xstate_size(u64 xfeatures, bool compacted);
int kvm_fpu_uabi_size(void);	/* KVM_CAP_XSAVE2 */

/* ---- cpu/debug.c ---------------------------------------------------------------------------------------- */

int kvm_get_debugregs(struct kvm_vcpu *vcpu, struct kvm_debugregs *d);
int kvm_set_debugregs(struct kvm_vcpu *vcpu, struct kvm_debugregs *d);
int kvm_set_guest_debug(struct kvm_vcpu *vcpu, struct kvm_guest_debug *d);
int kvm_set_dr(struct kvm_vcpu *vcpu, int dr, unsigned long val);	/* 0 / 1: #GP */
unsigned long kvm_get_dr(struct kvm_vcpu *vcpu, int dr);
u32 kvm_guest_debug_supported(void);			/* KVM_CAP_SET_GUEST_DEBUG2 */
void kvm_debug_reset(struct kvm_vcpu *vcpu);		/* kvm_update_dr7() is to follow */
void kvm_update_dr7(struct kvm_vcpu *vcpu);
void kvm_debug_enter(struct kvm_vcpu *vcpu);	/* around enter(), interrupts off */
void kvm_debug_leave(struct kvm_vcpu *vcpu);
/* Debug exceptions that an emulated instruction brought about, bits of DR6: 1, or 0 for an exit. */
int kvm_debug_report(struct kvm_vcpu *vcpu, u32 causes);
#define KVM_BP_CODE	BIT(0)
#define KVM_BP_READ	BIT(3)
#define KVM_BP_WRITE	(BIT(1) | BIT(3))
#define KVM_BP_IO	BIT(2)
/* Which breakpoints in use an access hits, as in DR6. Only with KVM_DEBUGREG_BP. */
u32 kvm_debug_match(struct kvm_vcpu *vcpu, unsigned long address, unsigned int size,
		    unsigned int kinds);
/* An instruction was skipped or emulated while it should single-step: 1, or 0 for KVM_EXIT_DEBUG. */
int kvm_debug_after_skip(struct kvm_vcpu *vcpu, unsigned long rflags_before);

/* ---- cpu/events.c ---------------------------------------------------------------------------------------- */

void kvm_queue_exception(struct kvm_vcpu *vcpu, u8 vector);
void kvm_queue_exception_error(struct kvm_vcpu *vcpu, u8 vector, u32 error_code);
void kvm_queue_exception_payload(struct kvm_vcpu *vcpu, u8 vector, u64 payload);
void kvm_queue_page_fault(struct kvm_vcpu *vcpu, u32 error_code, u64 cr2);
/* An exception whose delivery was cut short by an exit: deliver it again as it was. */
void kvm_requeue_exception(struct kvm_vcpu *vcpu, u8 vector, bool has_error, u32 error_code);
void kvm_queue_interrupt(struct kvm_vcpu *vcpu, u8 vector, bool soft);
void kvm_deliver_exception_payload(struct kvm_vcpu *vcpu, struct kvm_exception *ex);
void kvm_inject_gp(struct kvm_vcpu *vcpu, u32 error_code);
void kvm_queue_nmi(struct kvm_vcpu *vcpu);	/* any context */
void kvm_collect_nmis(struct kvm_vcpu *vcpu);	/* KVM_REQ_NMI, or before NMI state is looked at */
void kvm_clear_injected(struct kvm_vcpu *vcpu);	/* delivery of the last entry's event is complete */

static inline bool kvm_event_in_delivery(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.exception.injected || vcpu->arch.interrupt.injected ||
	       vcpu->arch.nmi_injected;
}

/* Before entry: hand the most important event to the vendor, open windows. 1/0/-errno */
int kvm_inject_events(struct kvm_vcpu *vcpu);
bool kvm_vcpu_has_events(struct kvm_vcpu *vcpu);
/* Nothing is on its way to the guest, and it has interrupts enabled. */
bool kvm_guest_interruptible(struct kvm_vcpu *vcpu);
bool kvm_interrupt_ready(struct kvm_vcpu *vcpu);	/* userspace may KVM_INTERRUPT now */
int kvm_get_vcpu_events(struct kvm_vcpu *vcpu, struct kvm_vcpu_events *ev);
int kvm_set_vcpu_events(struct kvm_vcpu *vcpu, struct kvm_vcpu_events *ev);
int kvm_vcpu_interrupt(struct kvm_vcpu *vcpu, struct kvm_interrupt *irq);	/* KVM_INTERRUPT */

/* ---- cpu/smm.c ------------------------------------------------------------------------------------------- */

static inline bool kvm_in_smm(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.hflags & KVM_HF_SMM;
}

/* One that can be taken; owner. */
static inline bool kvm_smi_waiting(struct kvm_vcpu *vcpu)
{
	return (vcpu->arch.smi_pending || kvm_request_test(vcpu, KVM_REQ_SMI)) &&
	       !kvm_in_smm(vcpu);
}

struct kvm_smm_resume {
	unsigned long rip, rflags;
	u8 shadow;			/* KVM_X86_SHADOW_INT_* */
	bool halted;
};

void kvm_queue_smi(struct kvm_vcpu *vcpu);	/* any context */
bool kvm_smm_take_smi(struct kvm_vcpu *vcpu);
int kvm_smm_leave(struct kvm_vcpu *vcpu, struct kvm_smm_resume *resume);	/* 0 / 1: shutdown */
void kvm_smm_set(struct kvm_vcpu *vcpu, bool in);	/* the mode alone, no registers */
void kvm_smm_save_events(struct kvm_vcpu *vcpu, struct kvm_vcpu_events *ev);
void kvm_smm_restore_events(struct kvm_vcpu *vcpu, const struct kvm_vcpu_events *ev);

/* ---- exit.c: exits that both vendors have -------------------------------------------------------------- */

int kvm_skip_insn(struct kvm_vcpu *vcpu);	/* with single-step; 1/0/-errno */
int kvm_halted(struct kvm_vcpu *vcpu);		/* HLT is done: wait, here or in userspace; 1/0 */
int kvm_emulate_halt(struct kvm_vcpu *vcpu);
int kvm_emulate_xsetbv(struct kvm_vcpu *vcpu);
int kvm_emulate_invd(struct kvm_vcpu *vcpu);
int kvm_emulate_rdpmc(struct kvm_vcpu *vcpu);
int kvm_emulate_mwait(struct kvm_vcpu *vcpu);
bool kvm_mwait_exists(struct kvm_vcpu *vcpu);	/* or is let through */
/* MOV to and from a control register, exit handlers; @r: what a write of CR8 has come to so far. */
int kvm_mov_to_cr(struct kvm_vcpu *vcpu, unsigned int cr, unsigned int reg);
int kvm_mov_from_cr(struct kvm_vcpu *vcpu, unsigned int cr, unsigned int reg);
int kvm_tpr_written(struct kvm_vcpu *vcpu, unsigned long before, int r);
int kvm_exit_debug(struct kvm_vcpu *vcpu, u8 vector, u64 dr6);	/* KVM_EXIT_DEBUG; returns 0 */
/* IN/OUT without string; @next_rip is where the guest goes on (0: decode to find out). */
int kvm_fast_pio(struct kvm_vcpu *vcpu, u16 port, int size, bool in, unsigned long next_rip);
/* Fill kvm_run for KVM_EXIT_IO; the data of an OUT is in, of an IN comes into, arch.pio_data. */
void kvm_prepare_pio_exit(struct kvm_vcpu *vcpu, u16 port, int size, bool in, u32 count);
void kvm_prepare_internal_error(struct kvm_vcpu *vcpu, u32 suberror, const u64 *data, int nr);
int kvm_exit_internal_error(struct kvm_vcpu *vcpu);	/* unexpected exit: reason and data; returns 0 */

/* ---- insn.c: the emulator joined to the vcpu ------------------------------------------------------------- */

#define KVM_EMULATE_UD		BIT(0)	/* exit was #UD: only emulate what we claim, else #UD */
#define KVM_EMULATE_SKIP	BIT(1)	/* only advance RIP */
#define KVM_EMULATE_PF		BIT(2)	/* exit was a fault at @gpa: the memory operand is known */
#define KVM_EMULATE_TABLE	BIT(3)	/* @gpa is in a table of the guest's that must not be written unseen */
/*
 * Emulate the instruction at RIP. @gpa: of the faulting access with KVM_EMULATE_PF. @bytes, @n:
 * instruction bytes known from hardware, or NULL, 0. 1/0/-errno
 */
int kvm_emulate_insn(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int flags, const void *bytes, int n);
/*
 * An exit for a task switch. @why: 0 CALL, 1 IRET, 2 JMP, 3 a task gate of the IDT, as in a VMX exit
 * qualification. @by_insn: RIP is that of the instruction that did it, not of an event's victim.
 * @error: what the event pushes, or NULL. The event itself is over then. 1/0/-errno
 */
int kvm_emulate_task_switch(struct kvm_vcpu *vcpu, u16 selector, unsigned int why, bool by_insn,
			    const u32 *error);
/* Deliver an event in software, where the processor cannot (real mode of old VMX). 1/0/-errno */
int kvm_emulate_event(struct kvm_vcpu *vcpu, u8 vector, bool has_error, u32 error);
void kvm_emulation_free(struct kvm_vcpu *vcpu);
/* Length of the instruction at RIP, 0 when it cannot be fetched (then a fault may be queued). */
int kvm_insn_length(struct kvm_vcpu *vcpu);
/* Where the instruction began whose access to a device is being made. */
unsigned long kvm_insn_start(struct kvm_vcpu *vcpu);

/* ---- run.c ---------------------------------------------------------------------------------------------- */

void kvm_vcpu_reset(struct kvm_vcpu *vcpu, bool init);

/* ---- pv/ (for the rest of it see pv/pv.h) ----------------------------------------------------------------- */

int kvm_emulate_hypercall(struct kvm_vcpu *vcpu);	/* exit handler: 1/0/-errno */

/* A halted vcpu that somebody has called runs on, without an interrupt. */
static inline void kvm_take_unhalt(struct kvm_vcpu *vcpu)
{
	if (likely(!READ_ONCE(vcpu->arch.pv.unhalted)))
		return;
	WRITE_ONCE(vcpu->arch.pv.unhalted, false);
	vcpu->arch.mp_state = KVM_MP_STATE_RUNNABLE;
}

#endif
