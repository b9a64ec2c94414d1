// SPDX-License-Identifier: GPL-2.0
/*
 * Why an SVM guest came out, and what to do about it. AMD64 APM volume 2, appendix C (exit codes)
 * and sections 15.7 to 15.14 (what each leaves in EXITINFO1 and EXITINFO2).
 */
#include <asm/debugreg.h>
#include <asm/trapnr.h>

#include "svm.h"
#include "../emulate/emulate.h"
#include "../mmu/mmu.h"
#include "../trace.h"

/* EXITINFO1 of MOV CR and MOV DR with decode assists: bit 63, and the register's number. */
#define MOV_REGISTER_KNOWN	BIT_ULL(63)

/* EXITINFO2 of a task switch */
#define TASK_SWITCH_IRET	BIT_ULL(36)
#define TASK_SWITCH_JUMP	BIT_ULL(38)
#define TASK_SWITCH_ERROR_CODE	BIT_ULL(44)

void svm_exit_info(struct kvm_vcpu *vcpu, struct kvm_exit_info *info)
{
	const struct vmcb_control_area *c = &to_svm(vcpu)->vmcb->control;

	info->reason = c->exit_code;
	info->info1 = c->exit_info_1;
	info->info2 = c->exit_info_2;
	info->intr_info = c->exit_int_info;
	info->error_code = c->exit_int_info_err;
}

int svm_skip_insn(struct kvm_vcpu *vcpu)
{
	struct vmcb_control_area *c = &to_svm(vcpu)->vmcb->control;
	int len;

	if (svm_hw.nrips && c->next_rip) {
		vcpu->arch.rip = c->next_rip;
	} else {
		len = kvm_insn_length(vcpu);
		if (unlikely(!len))
			return kvm_emulate_insn(vcpu, 0, KVM_EMULATE_SKIP, NULL, 0);
		vcpu->arch.rip += len;
		if (unlikely(vcpu->arch.rip >> 32) && !kvm_is_64bit(vcpu))
			vcpu->arch.rip = (u32)vcpu->arch.rip;
	}
	c->int_state &= ~SVM_INTERRUPT_SHADOW_MASK;
	return 1;
}

static int inject_ud(struct kvm_vcpu *vcpu)
{
	kvm_queue_exception(vcpu, UD_VECTOR);
	return 1;
}

/* ---- exceptions --------------------------------------------------------------------------------- */

static int handle_db(struct kvm_vcpu *vcpu)
{
	u64 dr6;

	if (svm_nmi_step_done(vcpu))
		return 1;
	dr6 = vcpu->arch.dr6;
	if (vcpu->arch.guest_debug & (KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_HW_BP))
		return kvm_exit_debug(vcpu, DB_VECTOR, dr6);
	kvm_queue_exception_payload(vcpu, DB_VECTOR, dr6 ^ DR6_RESERVED);
	return 1;
}

static int handle_exception(struct kvm_vcpu *vcpu, u8 vector)
{
	switch (vector) {
	case DB_VECTOR:
		return handle_db(vcpu);
	case BP_VECTOR:
		if (vcpu->arch.guest_debug & KVM_GUESTDBG_USE_SW_BP)
			return kvm_exit_debug(vcpu, BP_VECTOR, 0);
		return svm_reflect_exception(vcpu, vector);
	case UD_VECTOR:
		return kvm_emulate_insn(vcpu, 0, KVM_EMULATE_UD, NULL, 0);
	case AC_VECTOR:
		kvm_queue_exception_error(vcpu, AC_VECTOR, 0);
		return 1;
	case MC_VECTOR:
		return 1;	/* the host has had it */
	default:
		return svm_reflect_exception(vcpu, vector);
	}
}

/* ---- control and debug registers ------------------------------------------------------------------- */

static int handle_cr(struct kvm_vcpu *vcpu, u32 code, u64 info)
{
	unsigned int reg = info & SVM_EXITINFO_REG_MASK, cr = code & 0xf;
	bool write = code >= SVM_EXIT_WRITE_CR0;
	unsigned long before = kvm_get_cr8(vcpu);
	int r;

	if (svm_hw.decode_assists && (info & MOV_REGISTER_KNOWN))
		return write ? kvm_mov_to_cr(vcpu, cr, reg) : kvm_mov_from_cr(vcpu, cr, reg);
	/* Which register is in the instruction; it may be LMSW or CLTS, too. */
	r = kvm_emulate_insn(vcpu, 0, 0, NULL, 0);
	return write && cr == 8 ? kvm_tpr_written(vcpu, before, r) : r;
}

/* ---- instructions --------------------------------------------------------------------------------- */

static int handle_ioio(struct kvm_vcpu *vcpu, u32 info, u64 next_rip)
{
	vcpu->stat.io_exits++;
	if (info & SVM_IOIO_STR_MASK)
		return kvm_emulate_insn(vcpu, 0, 0, NULL, 0);
	return kvm_fast_pio(vcpu, info >> 16, (info & SVM_IOIO_SIZE_MASK) >> SVM_IOIO_SIZE_SHIFT,
			    info & SVM_IOIO_TYPE_MASK, next_rip);
}

static int handle_shutdown(struct kvm_vcpu *vcpu)
{
	/* The VMCB is undefined now (15.14.3): give userspace a vcpu it can look at and reset. */
	kvm_vcpu_reset(vcpu, true);
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return 0;
}

static int handle_invalid(struct kvm_vcpu *vcpu, u32 code)
{
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason = code;
	vcpu->run->fail_entry.cpu = vcpu->cpu;
	return 0;
}

static int handle_vintr(struct kvm_vcpu *vcpu)
{
	vcpu->stat.irq_window_exits++;
	svm_close_irq_window(to_svm(vcpu));
	kvm_request(vcpu, KVM_REQ_EVENT);
	return 1;
}

static int handle_npf(struct kvm_vcpu *vcpu, struct vmcb_control_area *c)
{
	bool bytes = svm_hw.decode_assists && c->insn_len;

	return kvm_mmu_page_fault(vcpu, c->exit_info_2, c->exit_info_1,
				  bytes ? c->insn_bytes : NULL, bytes ? c->insn_len : 0);
}

/* The address in EXITINFO2, the error code in EXITINFO1 (15.12.15); nested paging leaves it to the guest. */
static int handle_pf(struct kvm_vcpu *vcpu, struct vmcb_control_area *c)
{
	bool bytes = svm_hw.decode_assists && c->insn_len;

	if (unlikely(svm_hw.npt))
		return svm_reflect_exception(vcpu, PF_VECTOR);
	return kvm_mmu_guest_fault(vcpu, c->exit_info_2, c->exit_info_1,
				   bytes ? c->insn_bytes : NULL, bytes ? c->insn_len : 0);
}

static int handle_invlpg(struct kvm_vcpu *vcpu, u64 linear)
{
	if (!svm_hw.decode_assists)
		return kvm_emulate_insn(vcpu, 0, 0, NULL, 0);
	kvm_mmu_invlpg(vcpu, linear);
	return kvm_skip_insn(vcpu);
}

/* EXITINFO1: the TSS; EXITINFO2: what led to it (15.14.1). INT n and its kin have not run yet. */
static int handle_task_switch(struct kvm_vcpu *vcpu, const struct vmcb_control_area *c)
{
	u32 event = c->exit_int_info, error = c->exit_info_2;
	u32 type = event & SVM_EXITINTINFO_TYPE_MASK;
	u8 vector = event & SVM_EXITINTINFO_VEC_MASK;
	bool has_error = c->exit_info_2 & TASK_SWITCH_ERROR_CODE, by_insn = true;
	enum emu_task_switch why = EMU_TASK_CALL;

	if (c->exit_info_2 & TASK_SWITCH_IRET) {
		why = EMU_TASK_IRET;
	} else if (c->exit_info_2 & TASK_SWITCH_JUMP) {
		why = EMU_TASK_JUMP;
	} else if (event & SVM_EXITINTINFO_VALID) {
		why = EMU_TASK_GATE;
		by_insn = type == SVM_EXITINTINFO_TYPE_SOFT ||
			  (type == SVM_EXITINTINFO_TYPE_EXEPT &&
			   (vector == BP_VECTOR || vector == OF_VECTOR));
	}
	return kvm_emulate_task_switch(vcpu, c->exit_info_1, why, by_insn,
				       has_error ? &error : NULL);
}

/* Exits that are not worth a place among the frequent ones. */
static int handle_rare(struct kvm_vcpu *vcpu, u32 code, struct vmcb_control_area *c)
{
	switch (code) {
	case SVM_EXIT_EXCP_BASE ... SVM_EXIT_LAST_EXCP:
		return handle_exception(vcpu, code - SVM_EXIT_EXCP_BASE);
	case SVM_EXIT_READ_CR0:
	case SVM_EXIT_READ_CR3:
	case SVM_EXIT_READ_CR4:
	case SVM_EXIT_WRITE_CR0:
	case SVM_EXIT_WRITE_CR3:
	case SVM_EXIT_WRITE_CR4:
	case SVM_EXIT_WRITE_CR8:
		return handle_cr(vcpu, code, c->exit_info_1);
	case SVM_EXIT_CR0_SEL_WRITE:
	case SVM_EXIT_READ_DR0 ... SVM_EXIT_READ_DR7:
	case SVM_EXIT_WRITE_DR0 ... SVM_EXIT_WRITE_DR7:
	case SVM_EXIT_PUSHF:
	case SVM_EXIT_POPF:
	case SVM_EXIT_SWINT:
	case SVM_EXIT_RSM:
		return kvm_emulate_insn(vcpu, 0, 0, NULL, 0);
	case SVM_EXIT_NMI:
	case SVM_EXIT_SMI:
	case SVM_EXIT_INIT:
		return 1;	/* the host takes them when GIF is set again */
	case SVM_EXIT_VINTR:
		return handle_vintr(vcpu);
	case SVM_EXIT_IRET:
		return svm_handle_iret(vcpu);
	case SVM_EXIT_INVLPG:
		return handle_invlpg(vcpu, c->exit_info_1);
	case SVM_EXIT_INVPCID:
		return kvm_emulate_insn(vcpu, 0, 0, NULL, 0);
	case SVM_EXIT_TASK_SWITCH:
		return handle_task_switch(vcpu, c);
	case SVM_EXIT_RDPMC:
		return kvm_emulate_rdpmc(vcpu);
	case SVM_EXIT_INVD:
	case SVM_EXIT_WBINVD:
		return kvm_emulate_invd(vcpu);
	case SVM_EXIT_PAUSE:
		return svm_handle_pause(vcpu);
	case SVM_EXIT_MONITOR:
	case SVM_EXIT_MWAIT:
		return kvm_emulate_mwait(vcpu);
	case SVM_EXIT_XSETBV:
		return kvm_emulate_xsetbv(vcpu);
	case SVM_EXIT_SHUTDOWN:
		return handle_shutdown(vcpu);
	case SVM_EXIT_INVLPGA:
	case SVM_EXIT_VMRUN:
	case SVM_EXIT_VMLOAD:
	case SVM_EXIT_VMSAVE:
	case SVM_EXIT_STGI:
	case SVM_EXIT_CLGI:
	case SVM_EXIT_SKINIT:
	case SVM_EXIT_RDPRU:
		return inject_ud(vcpu);
	case (u32)SVM_EXIT_ERR:
		return handle_invalid(vcpu, code);
	default:
		return kvm_exit_internal_error(vcpu);
	}
}

int svm_handle_exit(struct kvm_vcpu *vcpu)
{
	struct vmcb_control_area *c = &to_svm(vcpu)->vmcb->control;
	u32 code = c->exit_code;

	trace_kvm_exit(vcpu, KVM_ISA_SVM);
	svm_recover_events(vcpu);

	switch (code) {
	case SVM_EXIT_NPF:
		return handle_npf(vcpu, c);
	case SVM_EXIT_EXCP_BASE + PF_VECTOR:
		return handle_pf(vcpu, c);
	case SVM_EXIT_IOIO:
		return handle_ioio(vcpu, c->exit_info_1, c->exit_info_2);
	case SVM_EXIT_MSR:
		return c->exit_info_1 ? kvm_emulate_wrmsr(vcpu) : kvm_emulate_rdmsr(vcpu);
	case SVM_EXIT_CPUID:
		return kvm_emulate_cpuid(vcpu);
	case SVM_EXIT_INTR:
		vcpu->stat.irq_exits++;
		return 1;
	case SVM_EXIT_HLT:
		return kvm_emulate_halt(vcpu);
	case SVM_EXIT_VMMCALL:
		return kvm_emulate_hypercall(vcpu);
	default:
		return handle_rare(vcpu, code, c);
	}
}
