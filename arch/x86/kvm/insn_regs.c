// SPDX-License-Identifier: GPL-2.0
/*
 * A vcpu's registers as the emulator's ops, and the instructions that only a hypervisor can answer:
 * CPUID, counters, HLT, hypercalls. What a register may contain is checked by its owner in cpu/; an
 * op only turns the refusal into a fault.
 */
#include <asm/debugreg.h>
#include <asm/trapnr.h>

#include "insn.h"
#include "cpu/cpuid.h"
#include "cpu/regs.h"
#include "mmu/mmu.h"
#include "trace.h"

#define DR7_LOCAL	0x155ul		/* L0 to L3, LE */

static int raise(struct emulator *emu, u8 vector)
{
	emu->fault = (struct emu_fault) { .vector = vector };
	return EMU_FAULT;
}

static int raise_gp(struct emulator *emu)
{
	emu->fault = (struct emu_fault) { .vector = GP_VECTOR, .has_error = true };
	return EMU_FAULT;
}

/* ---- registers ------------------------------------------------------------------------------- */

void kvm_emu_get_segment(struct emulator *emu, enum emu_seg seg, struct emu_segment *val)
{
	vendor(read_segment)(emu_vcpu(emu), (enum kvm_seg)seg, val);
}

int kvm_emu_set_segment(struct emulator *emu, enum emu_seg seg, const struct emu_segment *val)
{
	struct kvm_segment s = {
		.base = val->base,
		.limit = val->limit,
		.selector = val->selector,
		.type = val->attr & EMU_ATTR_TYPE,
		.s = !!(val->attr & EMU_ATTR_S),
		.dpl = (val->attr & EMU_ATTR_DPL) >> EMU_ATTR_DPL_SHIFT,
		.present = !!(val->attr & EMU_ATTR_P),
		.avl = !!(val->attr & EMU_ATTR_AVL),
		.l = !!(val->attr & EMU_ATTR_L),
		.db = !!(val->attr & EMU_ATTR_DB),
		.g = !!(val->attr & EMU_ATTR_G),
		.unusable = !(val->attr & EMU_ATTR_P),
	};

	kvm_x86_ops.set_segment(emu_vcpu(emu), (enum kvm_seg)seg, &s);
	return EMU_DONE;
}

void kvm_emu_get_dt(struct emulator *emu, enum emu_dt which, struct emu_table *val)
{
	struct desc_ptr dt;

	if (which == EMU_GDT)
		kvm_x86_ops.get_gdt(emu_vcpu(emu), &dt);
	else
		kvm_x86_ops.get_idt(emu_vcpu(emu), &dt);
	val->base = dt.address;
	val->limit = dt.size;
}

int kvm_emu_set_dt(struct emulator *emu, enum emu_dt which, const struct emu_table *val)
{
	struct desc_ptr dt = { .size = val->limit, .address = val->base };

	if (which == EMU_GDT)
		kvm_x86_ops.set_gdt(emu_vcpu(emu), &dt);
	else
		kvm_x86_ops.set_idt(emu_vcpu(emu), &dt);
	return EMU_DONE;
}

u64 kvm_emu_get_cr(struct emulator *emu, unsigned int nr)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);

	switch (nr) {
	case 0:
		return kvm_read_cr0(vcpu);
	case 2:
		return vcpu->arch.cr2;
	case 3:
		return kvm_read_cr3(vcpu);
	case 4:
		return kvm_read_cr4(vcpu);
	default:
		return kvm_get_cr8(vcpu);
	}
}

int kvm_emu_set_cr(struct emulator *emu, unsigned int nr, u64 val)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);
	int r = 0;

	trace_kvm_cr(1, nr, val);
	switch (nr) {
	case 0:
		r = kvm_set_cr0(vcpu, val);
		break;
	case 2:
		vcpu->arch.cr2 = val;
		break;
	case 3:
		r = kvm_set_cr3(vcpu, val);
		break;
	case 4:
		r = kvm_set_cr4(vcpu, val);
		break;
	default:
		r = kvm_set_cr8(vcpu, val);
	}
	return r ? raise_gp(emu) : EMU_DONE;
}

/* Debug registers guarded by DR7.GD: the exception is the emulator's to raise. */
static int check_dr_guard(struct emulator *emu)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);

	if (!(vcpu->arch.dr7 & DR7_GD))
		return EMU_DONE;
	emu->fault = (struct emu_fault) { .vector = DB_VECTOR, .address = DR6_BD };
	return EMU_FAULT;
}

int kvm_emu_get_dr(struct emulator *emu, unsigned int nr, u64 *val)
{
	int r = check_dr_guard(emu);

	if (r == EMU_DONE)
		*val = kvm_get_dr(emu_vcpu(emu), nr);
	return r;
}

int kvm_emu_set_dr(struct emulator *emu, unsigned int nr, u64 val)
{
	int r = check_dr_guard(emu);

	if (r != EMU_DONE)
		return r;
	return kvm_set_dr(emu_vcpu(emu), nr, val) ? raise_gp(emu) : EMU_DONE;
}

/* An access that is userspace's to answer has the instruction run twice, as an IN does. */
static int refuse_msr(struct emulator *emu, u32 index, u64 data, bool write, u32 reason)
{
	if (!kvm_msr_to_userspace(emu_vcpu(emu), index, data, write, reason))
		return raise_gp(emu);
	to_emulation(emu)->msr = MSR_ASKED;
	return EMU_PENDING;
}

static bool take_msr_answer(struct emulator *emu)
{
	struct kvm_x86_emulation *em = to_emulation(emu);

	if (em->msr != MSR_ANSWERED)
		return false;
	em->msr = MSR_NOT_ASKED;
	return true;
}

void kvm_emu_end_local_breakpoints(struct emulator *emu)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);

	if (!(vcpu->arch.dr7 & DR7_LOCAL))
		return;
	vcpu->arch.dr7 &= ~DR7_LOCAL;
	kvm_update_dr7(vcpu);
}

int kvm_emu_get_msr(struct emulator *emu, u32 index, u64 *val)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);
	u32 reason;

	if (take_msr_answer(emu)) {
		*val = vcpu->run->msr.data;
		return vcpu->run->msr.error ? raise_gp(emu) : EMU_DONE;
	}
	reason = kvm_guest_rdmsr(vcpu, index, val);
	return reason ? refuse_msr(emu, index, 0, false, reason) : EMU_DONE;
}

int kvm_emu_set_msr(struct emulator *emu, u32 index, u64 val)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);
	u32 reason;

	if (take_msr_answer(emu))
		return vcpu->run->msr.error ? raise_gp(emu) : EMU_DONE;
	reason = kvm_guest_wrmsr(vcpu, index, val);
	return reason ? refuse_msr(emu, index, val, true, reason) : EMU_DONE;
}

/* Neither filters nor userspace have a say here. */
u64 kvm_emu_get_state_msr(struct emulator *emu, u32 index)
{
	u64 val = 0;

	if (kvm_get_msr(emu_vcpu(emu), index, &val, true))
		return 0;
	return val;
}

int kvm_emu_set_state_msr(struct emulator *emu, u32 index, u64 val)
{
	return kvm_set_msr(emu_vcpu(emu), index, val, true) ? raise_gp(emu) : EMU_DONE;
}

/* XCR0, and by number 1 those of its components that are not in their initial state: all, perhaps. */
int kvm_emu_get_xcr(struct emulator *emu, u32 index, u64 *val)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);

	if (index > 1 || (index && !kvm_guest_has(vcpu, X86_FEATURE_XGETBV1)))
		return raise_gp(emu);
	*val = vcpu->arch.xcr0;
	return EMU_DONE;
}

int kvm_emu_set_xcr(struct emulator *emu, u32 index, u64 val)
{
	return kvm_set_xcr(emu_vcpu(emu), index, val) ? raise_gp(emu) : EMU_DONE;
}

/* While the vcpu is out of the guest it is here: cpu/fpu.c. */
u32 kvm_emu_get_pkru(struct emulator *emu)
{
	return emu_vcpu(emu)->arch.pkru;
}

void kvm_emu_set_pkru(struct emulator *emu, u32 val)
{
	emu_vcpu(emu)->arch.pkru = val;
}

/* ---- instructions that are the hypervisor's -------------------------------------------------- */

int kvm_emu_cpuid(struct emulator *emu, u32 regs[4])
{
	kvm_cpuid(emu_vcpu(emu), &regs[0], &regs[1], &regs[2], &regs[3]);
	return EMU_DONE;
}

int kvm_emu_rdtsc(struct emulator *emu, u64 *tsc, u32 *aux)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);
	u64 val = 0;

	*tsc = kvm_guest_tsc(vcpu);
	if (kvm_get_msr(vcpu, MSR_TSC_AUX, &val, true))
		val = 0;
	*aux = val;
	return EMU_DONE;
}

int kvm_emu_rdpmc(struct emulator *emu, u32 counter, u64 *val)
{
	return raise_gp(emu);
}

int kvm_emu_halt(struct emulator *emu)
{
	to_emulation(emu)->halt = true;
	return EMU_DONE;
}

int kvm_emu_invlpg(struct emulator *emu, u64 linear)
{
	kvm_mmu_invlpg(emu_vcpu(emu), linear);
	return EMU_DONE;
}

int kvm_emu_flush_tlb(struct emulator *emu)
{
	kvm_request(emu_vcpu(emu), KVM_REQ_TLB_FLUSH_GUEST);
	return EMU_DONE;
}

int kvm_emu_wbinvd(struct emulator *emu)
{
	return EMU_DONE;
}

int kvm_emu_mwait(struct emulator *emu)
{
	return kvm_mwait_exists(emu_vcpu(emu)) ? EMU_DONE : raise(emu, UD_VECTOR);
}

int kvm_emu_leave_smm(struct emulator *emu)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);
	struct kvm_smm_resume resume;

	if (!kvm_in_smm(vcpu))
		return raise(emu, UD_VECTOR);
	if (kvm_smm_leave(vcpu, &resume)) {
		kvm_request(vcpu, KVM_REQ_TRIPLE_FAULT);
		return EMU_DONE;
	}
	emu->next_rip = resume.rip;
	emu->next_rflags = resume.rflags;
	emu->shadow = (resume.shadow & KVM_X86_SHADOW_INT_STI ? EMU_SHADOW_STI : 0) |
		      (resume.shadow & KVM_X86_SHADOW_INT_MOV_SS ? EMU_SHADOW_SS : 0);
	to_emulation(emu)->halt = resume.halted;
	return EMU_DONE;
}

/* Either vendor's instruction, most often the wrong one: make it the right one for next time. */
int kvm_emu_hypercall(struct emulator *emu)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);
	u64 linear = kvm_linear_rip(vcpu);
	u8 insn[3];
	int r;

	if (vcpu->kvm->arch.disabled_quirks & KVM_X86_QUIRK_FIX_HYPERCALL_INSN)
		return raise(emu, UD_VECTOR);
	kvm_x86_ops.patch_hypercall(vcpu, insn);
	/* The write faults as the guest's own would; the instruction then runs again. */
	r = kvm_emu_write(emu, linear, insn, sizeof(insn), 0);
	return r == EMU_DONE ? EMU_AGAIN : r;
}
