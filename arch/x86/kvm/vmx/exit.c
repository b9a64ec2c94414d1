// SPDX-License-Identifier: GPL-2.0
/*
 * Why a VMX guest came out, and what to do about it. SDM 3, appendix C (basic exit reasons) and 28.2
 * (what each leaves in the exit qualification and its neighbours).
 */
#define pr_fmt(fmt) "kvm_intel: " fmt

#include <asm/debugreg.h>
#include <asm/trapnr.h>

#include "vmx.h"
#include "../mmu/mmu.h"
#include "../cpu/regs.h"
#include "../emulate/emulate.h"
#include "../trace.h"

void vmx_exit_info(struct kvm_vcpu *vcpu, struct kvm_exit_info *info)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	*info = (struct kvm_exit_info) { .reason = vmx->exit_reason };
	if (vmx->entry_failed)
		return;
	info->info1 = vmcs_read(EXIT_QUALIFICATION);
	info->info2 = vmx->vectoring;
	if (vmx->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY)
		return;
	info->intr_info = vmcs_read32(VM_EXIT_INTR_INFO);
	if ((info->intr_info & INTR_INFO_VALID_MASK) &&
	    (info->intr_info & INTR_INFO_DELIVER_CODE_MASK))
		info->error_code = vmcs_read32(VM_EXIT_INTR_ERROR_CODE);
}

/* The length is there for every exit that an instruction caused by being executed. */
int vmx_skip_insn(struct kvm_vcpu *vcpu)
{
	vcpu->arch.rip += vmcs_read32(VM_EXIT_INSTRUCTION_LEN);
	if (unlikely(vcpu->arch.rip >> 32) && !kvm_is_64bit(vcpu))
		vcpu->arch.rip = (u32)vcpu->arch.rip;
	vmx_set_interrupt_shadow(vcpu, 0);
	return 1;
}

static int inject_ud(struct kvm_vcpu *vcpu)
{
	kvm_queue_exception(vcpu, UD_VECTOR);
	return 1;
}

/* ---- exceptions --------------------------------------------------------------------------------- */

/* The qualification has a bit for each cause, as DR6 would. */
static int handle_db(struct kvm_vcpu *vcpu, u32 info)
{
	u64 causes = vmcs_read(EXIT_QUALIFICATION);

	/* The exit has reported what was pending; Bochs leaves it there and would report it for ever. */
	vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	if (vcpu->arch.guest_debug & (KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_HW_BP))
		return kvm_exit_debug(vcpu, DB_VECTOR, causes | DR6_RESERVED);
	/* INT1 is an instruction to return behind. */
	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_PRIV_SW_EXCEPTION)
		vmx_skip_insn(vcpu);
	kvm_queue_exception_payload(vcpu, DB_VECTOR, causes);
	return 1;
}

/* Shadow paging: the address is the qualification. */
static int handle_pf(struct kvm_vcpu *vcpu)
{
	return kvm_mmu_guest_fault(vcpu, vmcs_read(EXIT_QUALIFICATION),
				   vmcs_read32(VM_EXIT_INTR_ERROR_CODE), NULL, 0);
}

static int handle_exception(struct kvm_vcpu *vcpu)
{
	u32 info = vmcs_read32(VM_EXIT_INTR_INFO);

	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR)
		return 1;	/* the host has had it */
	if (info & INTR_INFO_UNBLOCK_NMI)
		vmx_block_nmi_again(vcpu);

	if (!vmx_hw.ept && (info & INTR_INFO_VECTOR_MASK) == PF_VECTOR)
		return handle_pf(vcpu);
	if (unlikely(to_vmx(vcpu)->vm86) && (info & INTR_INFO_VECTOR_MASK) != DB_VECTOR &&
	    (info & INTR_INFO_VECTOR_MASK) != MC_VECTOR)
		return vmx_real_exception(vcpu, info);

	switch (info & INTR_INFO_VECTOR_MASK) {
	case DB_VECTOR:
		return handle_db(vcpu, info);
	case BP_VECTOR:
		return kvm_exit_debug(vcpu, BP_VECTOR, 0);
	case UD_VECTOR:
		return kvm_emulate_insn(vcpu, 0, KVM_EMULATE_UD, NULL, 0);
	case AC_VECTOR:
		kvm_queue_exception_error(vcpu, AC_VECTOR, vmcs_read32(VM_EXIT_INTR_ERROR_CODE));
		return 1;
	case MC_VECTOR:
		return 1;	/* the host has had it */
	default:
		return kvm_exit_internal_error(vcpu);
	}
}

/* ---- control and debug registers ------------------------------------------------------------------- */

enum cr_access { MOV_TO_CR, MOV_FROM_CR, CR_CLTS, CR_LMSW };

/* LMSW changes the low four bits, and cannot clear PE. */
static int load_msw(struct kvm_vcpu *vcpu, u16 msw)
{
	unsigned long cr0 = kvm_read_cr0(vcpu);

	cr0 = (cr0 & ~(X86_CR0_MP | X86_CR0_EM | X86_CR0_TS)) | (msw & 0xf);
	trace_kvm_cr(1, 0, cr0);
	if (kvm_set_cr0(vcpu, cr0)) {
		kvm_inject_gp(vcpu, 0);
		return 1;
	}
	return kvm_skip_insn(vcpu);
}

static int handle_cr(struct kvm_vcpu *vcpu)
{
	unsigned long q = vmcs_read(EXIT_QUALIFICATION);
	unsigned int cr = q & 0xf, reg = (q >> 8) & 0xf;

	switch ((enum cr_access)((q >> 4) & 3)) {
	case MOV_TO_CR:
		return kvm_mov_to_cr(vcpu, cr, reg);
	case MOV_FROM_CR:
		return kvm_mov_from_cr(vcpu, cr, reg);
	case CR_CLTS:
		trace_kvm_cr(1, 0, kvm_read_cr0(vcpu) & ~X86_CR0_TS);
		kvm_set_cr0(vcpu, kvm_read_cr0(vcpu) & ~X86_CR0_TS);
		return kvm_skip_insn(vcpu);
	default:
		return load_msw(vcpu, q >> LMSW_SOURCE_DATA_SHIFT);
	}
}

/* The exit comes before the check for accesses that a debugger wants to know of. */
static int stopped_by_gd(struct kvm_vcpu *vcpu)
{
	if (vcpu->arch.guest_debug & KVM_GUESTDBG_USE_HW_BP)
		return kvm_exit_debug(vcpu, DB_VECTOR, DR6_BD | DR6_RESERVED);
	kvm_queue_exception_payload(vcpu, DB_VECTOR, DR6_BD);
	return 1;
}

static int handle_dr(struct kvm_vcpu *vcpu)
{
	unsigned long q = vmcs_read(EXIT_QUALIFICATION);
	unsigned int dr = q & DEBUG_REG_ACCESS_NUM, reg = DEBUG_REG_ACCESS_REG(q);
	unsigned long val;

	if ((dr == 4 || dr == 5) && (kvm_read_cr4(vcpu) & X86_CR4_DE))
		return inject_ud(vcpu);
	if (vcpu->arch.dr7 & DR7_GD)
		return stopped_by_gd(vcpu);
	if (q & TYPE_MOV_FROM_DR) {
		val = kvm_get_dr(vcpu, dr);
		vcpu->arch.regs[reg] = kvm_is_64bit(vcpu) ? val : (u32)val;
		return kvm_skip_insn(vcpu);
	}
	val = vcpu->arch.regs[reg];
	if (!kvm_is_64bit(vcpu))
		val = (u32)val;
	if (kvm_set_dr(vcpu, dr, val)) {
		kvm_inject_gp(vcpu, 0);
		return 1;
	}
	return kvm_skip_insn(vcpu);
}

/* ---- instructions --------------------------------------------------------------------------------- */

#define IO_SIZE		0x7	/* less 1 */
#define IO_IN		BIT(3)
#define IO_STRING	BIT(4)
#define IO_PORT_SHIFT	16

static int handle_io(struct kvm_vcpu *vcpu)
{
	u32 q = vmcs_read(EXIT_QUALIFICATION);

	vcpu->stat.io_exits++;
	if (unlikely(q & IO_STRING))
		return kvm_emulate_insn(vcpu, 0, 0, NULL, 0);
	return kvm_fast_pio(vcpu, q >> IO_PORT_SHIFT, (q & IO_SIZE) + 1, q & IO_IN,
			    vcpu->arch.rip + vmcs_read32(VM_EXIT_INSTRUCTION_LEN));
}

/* ---- memory ----------------------------------------------------------------------------------------- */

static int handle_ept_violation(struct kvm_vcpu *vcpu)
{
	unsigned long q = vmcs_read(EXIT_QUALIFICATION);
	gpa_t gpa = vmcs_read(GUEST_PHYSICAL_ADDRESS);
	u64 error_code = 0;

	if (unlikely(q & INTR_INFO_UNBLOCK_NMI))
		vmx_block_nmi_again(vcpu);
	if (q & EPT_VIOLATION_ACC_WRITE)
		error_code |= KVM_PF_WRITE;
	if (q & EPT_VIOLATION_ACC_INSTR)
		error_code |= KVM_PF_FETCH;
	if (q & EPT_VIOLATION_RWX_MASK)
		error_code |= KVM_PF_PRESENT;
	/* The address is that of a page table of the guest's, unless the bit says otherwise. */
	if (q & EPT_VIOLATION_GVA_IS_VALID)
		error_code |= q & EPT_VIOLATION_GVA_TRANSLATED ? KVM_PF_GUEST_FINAL :
								 KVM_PF_GUEST_TABLE;
	return kvm_mmu_page_fault(vcpu, gpa, error_code, NULL, 0);
}

/* No entry of ours is one that the processor rejects: the tables are broken. */
static int handle_ept_misconfig(struct kvm_vcpu *vcpu)
{
	gpa_t gpa = vmcs_read(GUEST_PHYSICAL_ADDRESS);

	return kvm_mmu_page_fault(vcpu, gpa, KVM_PF_RSVD, NULL, 0);
}

/* ---- task switches ------------------------------------------------------------------------------ */

#define TASK_SWITCH_SOURCE_SHIFT	30

/* For INT n, INT3 and INTO through a task gate the return address is behind them (SDM 3, 28.2.1). */
static int handle_task_switch(struct kvm_vcpu *vcpu)
{
	static const enum emu_task_switch sources[] = {
		EMU_TASK_CALL, EMU_TASK_IRET, EMU_TASK_JUMP, EMU_TASK_GATE,
	};
	unsigned long q = vmcs_read(EXIT_QUALIFICATION);
	enum emu_task_switch why = sources[(q >> TASK_SWITCH_SOURCE_SHIFT) & 3];
	u32 event = to_vmx(vcpu)->vectoring, type = event & VECTORING_INFO_TYPE_MASK, error;
	bool has_error = event & VECTORING_INFO_DELIVER_CODE_MASK, by_insn = true;

	if (why == EMU_TASK_GATE && (event & VECTORING_INFO_VALID_MASK)) {
		by_insn = type == INTR_TYPE_SOFT_INTR || type == INTR_TYPE_SOFT_EXCEPTION ||
			  type == INTR_TYPE_PRIV_SW_EXCEPTION;
		/* One of ours is to be delivered again, and the vcpu behind its instruction. */
		by_insn &= !vcpu->arch.interrupt.injected && !vcpu->arch.exception.injected;
		if (type == INTR_TYPE_NMI_INTR)
			vmx_set_nmi_mask(vcpu, true);
	}
	error = has_error ? vmcs_read32(IDT_VECTORING_ERROR_CODE) : 0;
	return kvm_emulate_task_switch(vcpu, q, why, by_insn, has_error ? &error : NULL);
}

/* ---- the rest ----------------------------------------------------------------------------------------- */

static int handle_failed_entry(struct kvm_vcpu *vcpu, u32 reason)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (READ_ONCE(vmx_dump_invalid_vmcs))
		vmx_dump_vmcs(vcpu);
	else
		pr_warn_ratelimited("the processor refused an entry: reason 0x%x; dump_invalid_vmcs=1 tells more\n",
				    vmx->entry_failed ? vmx->instruction_error : reason);
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason =
		vmx->entry_failed ? vmx->instruction_error : reason;
	vcpu->run->fail_entry.cpu = vcpu->cpu;
	return 0;
}

static int handle_triple_fault(struct kvm_vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return 0;
}

/*
 * The guest went for longer without an interrupt window than it may, and that it exited is all there is to do: the
 * host has its interrupts again. Of a context that is invalid nothing more can be run. SDM 3, 26.2.
 */
static int handle_notify(struct kvm_vcpu *vcpu)
{
	unsigned long q = vmcs_read(EXIT_QUALIFICATION);
	bool invalid = q & NOTIFY_VM_CONTEXT_INVALID;

	vcpu->stat.notify_window_exits++;
	if (q & INTR_INFO_UNBLOCK_NMI)
		vmx_block_nmi_again(vcpu);
	if (!invalid && !(vcpu->kvm->arch.notify_flags & KVM_X86_NOTIFY_VMEXIT_USER))
		return 1;
	vcpu->run->exit_reason = KVM_EXIT_NOTIFY;
	vcpu->run->notify.flags = invalid ? KVM_NOTIFY_CONTEXT_INVALID : 0;
	return 0;
}

/* Exits that are not worth a place among the frequent ones. */
static int handle_rare(struct kvm_vcpu *vcpu, u32 reason)
{
	if (unlikely(to_vmx(vcpu)->entry_failed || (reason & VMX_EXIT_REASONS_FAILED_VMENTRY)))
		return handle_failed_entry(vcpu, reason);

	switch (reason) {
	case EXIT_REASON_EXCEPTION_NMI:
		return handle_exception(vcpu);
	case EXIT_REASON_TRIPLE_FAULT:
		return handle_triple_fault(vcpu);
	case EXIT_REASON_INTERRUPT_WINDOW:
		return vmx_take_irq_window(vcpu);
	case EXIT_REASON_NMI_WINDOW:
		return vmx_take_nmi_window(vcpu);
	case EXIT_REASON_CR_ACCESS:
		return handle_cr(vcpu);
	case EXIT_REASON_DR_ACCESS:
		return handle_dr(vcpu);
	case EXIT_REASON_APIC_ACCESS:
		return vmx_handle_apic_access(vcpu);
	case EXIT_REASON_APIC_WRITE:
		return vmx_handle_apic_write(vcpu);
	case EXIT_REASON_EOI_INDUCED:
		return vmx_handle_eoi(vcpu);
	case EXIT_REASON_NOTIFY:
		return handle_notify(vcpu);
	case EXIT_REASON_BUS_LOCK:
		vcpu->arch.bus_locked = true;
		return 1;
	case EXIT_REASON_TPR_BELOW_THRESHOLD:
		kvm_request(vcpu, KVM_REQ_EVENT);
		return 1;
	case EXIT_REASON_PREEMPTION_TIMER:
		return 1;	/* the host's interrupts have been looked at by now */
	case EXIT_REASON_EPT_MISCONFIG:
		return handle_ept_misconfig(vcpu);
	case EXIT_REASON_PML_FULL:
		return vmx_handle_pml_full(vcpu);
	case EXIT_REASON_RDPMC:
		return kvm_emulate_rdpmc(vcpu);
	case EXIT_REASON_INVD:
	case EXIT_REASON_WBINVD:
		return kvm_emulate_invd(vcpu);
	case EXIT_REASON_PAUSE_INSTRUCTION:
		return vmx_handle_pause(vcpu);
	case EXIT_REASON_INVLPG:
		kvm_mmu_invlpg(vcpu, vmcs_read(EXIT_QUALIFICATION));
		return kvm_skip_insn(vcpu);
	case EXIT_REASON_INVPCID:
		return kvm_emulate_insn(vcpu, 0, 0, NULL, 0);
	case EXIT_REASON_TASK_SWITCH:
		return handle_task_switch(vcpu);
	case EXIT_REASON_MONITOR_INSTRUCTION:
	case EXIT_REASON_MWAIT_INSTRUCTION:
		return kvm_emulate_mwait(vcpu);
	case EXIT_REASON_XSETBV:
		return kvm_emulate_xsetbv(vcpu);
	case EXIT_REASON_VMCLEAR:
	case EXIT_REASON_VMLAUNCH:
	case EXIT_REASON_VMPTRLD:
	case EXIT_REASON_VMPTRST:
	case EXIT_REASON_VMREAD:
	case EXIT_REASON_VMRESUME:
	case EXIT_REASON_VMWRITE:
	case EXIT_REASON_VMOFF:
	case EXIT_REASON_VMON:
	case EXIT_REASON_INVEPT:
	case EXIT_REASON_INVVPID:
	case EXIT_REASON_VMFUNC:
	case EXIT_REASON_ENCLS:
		return inject_ud(vcpu);
	default:
		return kvm_exit_internal_error(vcpu);
	}
}

static int handle(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	u32 reason = vmx->exit_reason;

	if (unlikely(vmx->emulated)) {
		vmx->emulated = false;
		return vmx_emulate_unfit(vcpu);
	}
	trace_kvm_exit(vcpu, KVM_ISA_VMX);
	if (likely(!vmx->entry_failed))
		vmx_recover_events(vcpu);

	switch (reason) {
	case EXIT_REASON_EPT_VIOLATION:
		vmx->l1d_dirty = true;
		return handle_ept_violation(vcpu);
	case EXIT_REASON_IO_INSTRUCTION:
		vmx->l1d_dirty = true;
		return handle_io(vcpu);
	case EXIT_REASON_MSR_READ:
		return kvm_emulate_rdmsr(vcpu);
	case EXIT_REASON_MSR_WRITE:
		return kvm_emulate_wrmsr(vcpu);
	case EXIT_REASON_CPUID:
		return kvm_emulate_cpuid(vcpu);
	case EXIT_REASON_EXTERNAL_INTERRUPT:
		vcpu->stat.irq_exits++;
		return 1;
	case EXIT_REASON_HLT:
		return kvm_emulate_halt(vcpu);
	case EXIT_REASON_VMCALL:
		return kvm_emulate_hypercall(vcpu);
	default:
		vmx->l1d_dirty = true;
		return handle_rare(vcpu, reason);
	}
}

/* Userspace slows down who locks the bus: it hears of it at once, with another exit if there is one. */
int vmx_handle_exit(struct kvm_vcpu *vcpu)
{
	int r = handle(vcpu);

	if (likely(!vcpu->arch.bus_locked) || r <= 0)
		return r;
	vcpu->run->exit_reason = KVM_EXIT_X86_BUS_LOCK;
	return 0;
}
