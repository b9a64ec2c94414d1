// SPDX-License-Identifier: GPL-2.0
/*
 * Debug registers: the guest's own, and KVM_SET_GUEST_DEBUG, by which userspace borrows them.
 * arch.db, dr6 and dr7 are the guest's; arch.effective_db and what set_dr7() is told are in use.
 * The breakpoints share the processor with the host's: DR0-3 are loaded at entry only when one of
 * them is enabled or the guest accesses them freely (KVM_DEBUGREG_LOADED, set by the vendor), and
 * the host's come back after the exit. APM 2, 13.1; SDM 3, 18.2.
 */
#include <asm/debugreg.h>

#include "../x86.h"
#include "cpuid.h"
#include "regs.h"
#include "../irqchip/irqchip.h"

#define DR6_TRAPS	(DR_TRAP_BITS | DR6_BD | DR_STEP | DR_SWITCH)
#define DR6_RTM		BIT(16)
#define DR6_ONES	DR6_RESERVED	/* bits that read as 1: all but traps and bit 12 */
#define DR7_ENABLES	0xfful
#define DR7_DEFINED	0xffff23fful

#define GUEST_DEBUG_SUPPORTED \
	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP | \
	 KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP | \
	 KVM_GUESTDBG_BLOCKIRQ)

u32 kvm_guest_debug_supported(void)
{
	return GUEST_DEBUG_SUPPORTED;
}

/* Bits of DR6 that are 1 when nothing happened: bit 16 falls with RTM, where that exists. */
static unsigned long dr6_normal(struct kvm_vcpu *vcpu, unsigned long val)
{
	unsigned long volatile_bits = DR6_TRAPS;

	if (kvm_guest_has(vcpu, X86_FEATURE_RTM))
		volatile_bits |= DR6_RTM;
	return (val & volatile_bits) | (DR6_ONES & ~volatile_bits);
}

/* What is in use changed: userspace's breakpoints hide the guest's. */
static void update_effective_db(struct kvm_vcpu *vcpu, const u64 *debugreg)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vcpu->arch.effective_db); i++)
		vcpu->arch.effective_db[i] = debugreg ? debugreg[i] : vcpu->arch.db[i];
}

/* Userspace's breakpoints take the place of the guest's. */
static unsigned long effective_dr7(struct kvm_vcpu *vcpu)
{
	if (vcpu->arch.guest_debug & KVM_GUESTDBG_USE_HW_BP)
		return vcpu->arch.guest_debug_dr7;
	return vcpu->arch.dr7;
}

void kvm_update_dr7(struct kvm_vcpu *vcpu)
{
	unsigned long dr7 = effective_dr7(vcpu);

	kvm_x86_ops.set_dr7(vcpu, dr7);

	vcpu->arch.switch_db_regs &= ~KVM_DEBUGREG_BP;
	if (dr7 & DR7_ENABLES)
		vcpu->arch.switch_db_regs |= KVM_DEBUGREG_BP;
}

int kvm_set_dr(struct kvm_vcpu *vcpu, int dr, unsigned long val)
{
	switch (dr) {
	case 0 ... 3:
		vcpu->arch.db[dr] = val;
		if (!(vcpu->arch.guest_debug & KVM_GUESTDBG_USE_HW_BP))
			vcpu->arch.effective_db[dr] = val;
		return 0;
	case 4:
	case 6:
		if (val >> 32)
			return 1;
		vcpu->arch.dr6 = dr6_normal(vcpu, val);
		return 0;
	default:
		if (val >> 32)
			return 1;
		vcpu->arch.dr7 = (val & DR7_DEFINED) | DR7_FIXED_1;
		kvm_update_dr7(vcpu);
		return 0;
	}
}
EXPORT_SYMBOL_GPL(kvm_set_dr);

unsigned long kvm_get_dr(struct kvm_vcpu *vcpu, int dr)
{
	switch (dr) {
	case 0 ... 3:
		return vcpu->arch.db[dr];
	case 4:
	case 6:
		return vcpu->arch.dr6;
	default:
		return vcpu->arch.dr7;
	}
}
EXPORT_SYMBOL_GPL(kvm_get_dr);

/* As after power-up and INIT (APM 2, 14.1.3). */
void kvm_debug_reset(struct kvm_vcpu *vcpu)
{
	memset(vcpu->arch.db, 0, sizeof(vcpu->arch.db));
	if (!(vcpu->arch.guest_debug & KVM_GUESTDBG_USE_HW_BP))
		update_effective_db(vcpu, NULL);
	vcpu->arch.dr6 = DR6_ONES;
	vcpu->arch.dr7 = DR7_FIXED_1;
}

/* ---- around the entry ------------------------------------------------------------------------ */

void kvm_debug_enter(struct kvm_vcpu *vcpu)
{
	if (likely(!vcpu->arch.switch_db_regs))
		return;
	set_debugreg(DR7_FIXED_1, 7);
	set_debugreg(vcpu->arch.effective_db[0], 0);
	set_debugreg(vcpu->arch.effective_db[1], 1);
	set_debugreg(vcpu->arch.effective_db[2], 2);
	set_debugreg(vcpu->arch.effective_db[3], 3);
}

void kvm_debug_leave(struct kvm_vcpu *vcpu)
{
	if (unlikely(vcpu->arch.switch_db_regs & KVM_DEBUGREG_LOADED)) {
		kvm_x86_ops.sync_debug_regs(vcpu);
		vcpu->arch.switch_db_regs &= ~KVM_DEBUGREG_LOADED;
		if (!(vcpu->arch.guest_debug & KVM_GUESTDBG_USE_HW_BP))
			update_effective_db(vcpu, NULL);
		kvm_update_dr7(vcpu);
	}
	/* The exit left DR7 disabled; the guest's DR0-3 may stay where the host uses none. */
	if (unlikely(hw_breakpoint_active()))
		hw_breakpoint_restore();
}

/* Userspace owns single steps, or breakpoints, or both; the rest is the guest's. */
static bool userspace_debugs(struct kvm_vcpu *vcpu, u32 causes)
{
	u32 debug = vcpu->arch.guest_debug;

	return ((causes & DR_STEP) && (debug & KVM_GUESTDBG_SINGLESTEP)) ||
	       ((causes & DR_TRAP_BITS) && (debug & KVM_GUESTDBG_USE_HW_BP));
}

int kvm_debug_report(struct kvm_vcpu *vcpu, u32 causes)
{
	struct kvm_run *run = vcpu->run;

	if (!userspace_debugs(vcpu, causes)) {
		kvm_queue_exception_payload(vcpu, DB_VECTOR, causes);
		return 1;
	}
	run->exit_reason = KVM_EXIT_DEBUG;
	run->debug.arch.exception = DB_VECTOR;
	run->debug.arch.pc = kvm_linear_rip(vcpu);
	run->debug.arch.dr6 = causes | DR6_ONES;
	run->debug.arch.dr7 = effective_dr7(vcpu);
	return 0;
}

int kvm_debug_after_skip(struct kvm_vcpu *vcpu, unsigned long rflags_before)
{
	return rflags_before & X86_EFLAGS_TF ? kvm_debug_report(vcpu, DR_STEP) : 1;
}

/* ---- breakpoints of emulated instructions ---------------------------------------------------- */

/* DR7: two bits of kind and two of length for each register (APM 2, 13.1.1.4) */
static unsigned int breakpoint_kind(unsigned long dr7, unsigned int nr)
{
	return dr7 >> (DR_CONTROL_SHIFT + nr * DR_CONTROL_SIZE) & 3;
}

static unsigned int breakpoint_length(unsigned long dr7, unsigned int nr)
{
	static const u8 length[] = { 1, 2, 8, 4 };

	return length[dr7 >> (DR_CONTROL_SHIFT + nr * DR_CONTROL_SIZE + 2) & 3];
}

static bool breakpoint_enabled(unsigned long dr7, unsigned int nr)
{
	return dr7 >> (nr * DR_ENABLE_SIZE) & 3;
}

/* @kinds: the values of DR7's R/W fields that the access is one of, as a bit mask. */
u32 kvm_debug_match(struct kvm_vcpu *vcpu, unsigned long address, unsigned int size,
		    unsigned int kinds)
{
	unsigned long dr7 = effective_dr7(vcpu), start;
	unsigned int i, length;
	u32 hits = 0;

	for (i = 0; i < ARRAY_SIZE(vcpu->arch.effective_db); i++) {
		if (!breakpoint_enabled(dr7, i) || !(BIT(breakpoint_kind(dr7, i)) & kinds))
			continue;
		length = breakpoint_length(dr7, i);
		start = vcpu->arch.effective_db[i] & -(unsigned long)length;
		if (address - start < length || start - address < size)
			hits |= BIT(i);
	}
	return hits;
}

/* ---- ioctls ---------------------------------------------------------------------------------- */

int kvm_get_debugregs(struct kvm_vcpu *vcpu, struct kvm_debugregs *d)
{
	unsigned int i;

	memset(d, 0, sizeof(*d));
	for (i = 0; i < ARRAY_SIZE(d->db); i++)
		d->db[i] = vcpu->arch.db[i];
	d->dr6 = vcpu->arch.dr6;
	d->dr7 = vcpu->arch.dr7;
	return 0;
}

int kvm_set_debugregs(struct kvm_vcpu *vcpu, struct kvm_debugregs *d)
{
	int i;

	if (d->flags || d->dr6 >> 32 || d->dr7 >> 32)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(d->db); i++)
		kvm_set_dr(vcpu, i, d->db[i]);
	kvm_set_dr(vcpu, 6, d->dr6);
	kvm_set_dr(vcpu, 7, d->dr7);
	return 0;
}

int kvm_set_guest_debug(struct kvm_vcpu *vcpu, struct kvm_guest_debug *d)
{
	unsigned long rflags = kvm_get_rflags(vcpu);
	u32 control = d->control;

	if (control & ~GUEST_DEBUG_SUPPORTED)
		return -EINVAL;
	if (control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP)) {
		if (vcpu->arch.exception.pending || vcpu->arch.exception.injected)
			return -EBUSY;
		kvm_queue_exception(vcpu, control & KVM_GUESTDBG_INJECT_DB ? DB_VECTOR :
									      BP_VECTOR);
	}

	vcpu->arch.guest_debug = control & KVM_GUESTDBG_ENABLE ? control : 0;
	if (vcpu->arch.guest_debug & KVM_GUESTDBG_USE_HW_BP) {
		update_effective_db(vcpu, d->arch.debugreg);
		vcpu->arch.guest_debug_dr7 = (u32)d->arch.debugreg[7];
	} else {
		update_effective_db(vcpu, NULL);
	}
	kvm_update_dr7(vcpu);

	if (vcpu->arch.guest_debug & KVM_GUESTDBG_SINGLESTEP)
		vcpu->arch.singlestep_rip = kvm_linear_rip(vcpu);
	kvm_set_rflags(vcpu, rflags);
	kvm_x86_ops.update_exception_intercepts(vcpu);
	kvm_lapic_mode_changed(vcpu);
	return 0;
}
