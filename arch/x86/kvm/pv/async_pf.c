// SPDX-License-Identifier: GPL-2.0
/*
 * Asynchronous page faults as a guest sees them: told by a #PF of a special kind that a page is not
 * there, it runs something else, and an interrupt says when the page has come. Owns the three MSRs
 * and vcpu->arch.apf; the pages are fetched by virt/kvm/async_pf.c. The protocol is described in
 * Documentation/virt/kvm/x86/pv.rst, the structure that guest and host share is in
 * uapi/asm/kvm_para.h.
 *
 * Where the guest cannot be told, because it runs its kernel or has the page's #PF before it already,
 * the vcpu waits; but other than in the host's own page fault, interrupts reach the guest meanwhile.
 */
#include <trace/events/kvm.h>

#include "../x86.h"
#include "../irqchip/irqchip.h"
#include "pv.h"

#define EN_RESERVED	GENMASK_ULL(5, 4)
#define EN_FLAGS	GENMASK_ULL(5, 0)
#define TOKEN_ALL	(~0u)		/* everybody shall look whether his page is there */
#define TOKEN_ID_BITS	12

static bool is_enabled(u64 en_msr)
{
	return (en_msr & KVM_ASYNC_PF_ENABLED) && (en_msr & KVM_ASYNC_PF_DELIVERY_AS_INT);
}

static gpa_t flags_address(struct kvm_vcpu *vcpu)
{
	return (vcpu->arch.apf.en_msr & ~EN_FLAGS) + offsetof(struct kvm_vcpu_pv_apf_data, flags);
}

static gpa_t token_address(struct kvm_vcpu *vcpu)
{
	return (vcpu->arch.apf.en_msr & ~EN_FLAGS) + offsetof(struct kvm_vcpu_pv_apf_data, token);
}

/* ---- "page not present" ---------------------------------------------------------------------- */

/* A guest that can be interrupted now, by an exception of our making or by interrupts while it waits. */
bool kvm_apf_possible(struct kvm_vcpu *vcpu)
{
	return unlikely(is_enabled(vcpu->arch.apf.en_msr)) && kvm_guest_interruptible(vcpu);
}

/* Different from all that are under way in the VM, not 0 and not TOKEN_ALL. */
static u32 new_token(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_apf *a = &vcpu->arch.apf;

	BUILD_BUG_ON(KVM_MAX_VCPU_IDS > BIT(TOKEN_ID_BITS));
	a->sequence++;
	if (a->sequence >= GENMASK(31 - TOKEN_ID_BITS, 0))
		a->sequence = 1;
	return a->sequence << TOKEN_ID_BITS | vcpu->vcpu_id;
}

/* The guest's kernel is told only if it wants to, and not while it has another one to look at. */
static bool may_tell(struct kvm_vcpu *vcpu)
{
	u32 flags;

	if (!(vcpu->arch.apf.en_msr & KVM_ASYNC_PF_SEND_ALWAYS) && !vendor(cpl)(vcpu))
		return false;
	kvm_srcu_lock(vcpu);
	return !kvm_guest_read(vcpu, flags_address(vcpu), &flags, sizeof(flags)) && !flags;
}

static bool tell(struct kvm_vcpu *vcpu, u32 token)
{
	const u32 flags = KVM_PV_REASON_PAGE_NOT_PRESENT;

	if (kvm_guest_write(vcpu, flags_address(vcpu), &flags, sizeof(flags)))
		return false;
	kvm_queue_page_fault(vcpu, 0, token);
	return true;
}

/* Until the page is there, or something else comes up; in either case the guest tries again. */
static void wait(struct kvm_vcpu *vcpu)
{
	kvm_lapic_settle(vcpu);
	vcpu->arch.apf.waiting = true;
	kvm_vcpu_halt(vcpu);
	vcpu->arch.apf.waiting = false;
}

bool kvm_apf_begin(struct kvm_vcpu *vcpu, gfn_t gfn, hva_t hva, bool write)
{
	struct kvm_async_pf *apf;
	u32 token = 0;

	trace_kvm_try_async_get_page(gfn_to_gpa(gfn), gfn);
	if (kvm_async_pf_pending(vcpu, gfn)) {
		trace_kvm_async_pf_repeated_fault(gfn_to_gpa(gfn), gfn);
		wait(vcpu);
		return true;
	}
	if (may_tell(vcpu))
		token = new_token(vcpu);
	apf = kvm_async_pf_start(vcpu, gfn, hva, write, token);
	if (!apf)
		return false;
	if (token && tell(vcpu, token)) {
		trace_kvm_async_pf_not_present(token, gfn_to_gpa(gfn));
		return true;
	}
	apf->token = 0;
	wait(vcpu);
	return true;
}

/* ---- "page ready" ---------------------------------------------------------------------------- */

/* False: the guest has not acknowledged the last one. When it does, this is tried again. */
static bool announce(struct kvm_vcpu *vcpu, u32 token, gfn_t gfn)
{
	struct kvm_vcpu_apf *a = &vcpu->arch.apf;
	u32 old;

	if (a->unacknowledged)
		return false;
	kvm_srcu_lock(vcpu);
	/* One that is there may be another host's. */
	if (kvm_guest_read(vcpu, token_address(vcpu), &old, sizeof(old)) || old ||
	    kvm_guest_write(vcpu, token_address(vcpu), &token, sizeof(token)))
		return false;
	a->unacknowledged = true;
	kvm_lapic_raise(vcpu, a->int_msr & KVM_ASYNC_PF_VEC_MASK);
	trace_kvm_async_pf_ready(token, gfn_to_gpa(gfn));
	return true;
}

void kvm_apf_deliver(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_apf *a = &vcpu->arch.apf;
	struct kvm_async_pf *apf;

	if (!is_enabled(a->en_msr))
		return;
	if (a->wake_all) {
		if (!announce(vcpu, TOKEN_ALL, 0))
			return;
		a->wake_all = false;
	}
	while ((apf = kvm_async_pf_first_done(vcpu)) != NULL) {
		if (apf->token && !announce(vcpu, apf->token, apf->gfn))
			return;
		kvm_async_pf_retire(vcpu, apf);
	}
}

/* ---- MSRs ------------------------------------------------------------------------------------ */

static int set_enable(struct kvm_vcpu *vcpu, u64 data, bool host)
{
	struct kvm_vcpu_apf *a = &vcpu->arch.apf;

	if ((data & EN_RESERVED) ||
	    ((data & KVM_ASYNC_PF_DELIVERY_AS_PF_VMEXIT) &&
	     !kvm_pv_has(vcpu, KVM_FEATURE_ASYNC_PF_VMEXIT)) ||
	    ((data & KVM_ASYNC_PF_DELIVERY_AS_INT) &&
	     !kvm_pv_has(vcpu, KVM_FEATURE_ASYNC_PF_INT)))
		return 1;
	a->en_msr = data;
	if (!is_enabled(data)) {
		kvm_apf_reset(vcpu);
		return 0;
	}
	/* What waits for pages may have gone to sleep on the host that the guest comes from. */
	if (host) {
		a->wake_all = true;
		kvm_request(vcpu, KVM_REQ_ASYNC_PF);
	}
	return 0;
}

u64 kvm_apf_get_msr(struct kvm_vcpu *vcpu, u32 index)
{
	switch (index) {
	case MSR_KVM_ASYNC_PF_EN:
		return vcpu->arch.apf.en_msr;
	case MSR_KVM_ASYNC_PF_INT:
		return vcpu->arch.apf.int_msr;
	default:
		return 0;
	}
}

/* 0, or 1: #GP. Without a local APIC there is no way to say "ready". */
int kvm_apf_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host)
{
	if (!kvm_has_lapic(vcpu))
		return data != 0;

	switch (index) {
	case MSR_KVM_ASYNC_PF_EN:
		return set_enable(vcpu, data, host);
	case MSR_KVM_ASYNC_PF_INT:
		if (data & ~(u64)KVM_ASYNC_PF_VEC_MASK)
			return 1;
		vcpu->arch.apf.int_msr = data;
		return 0;
	default:
		if (data & 1) {
			vcpu->arch.apf.unacknowledged = false;
			kvm_request(vcpu, KVM_REQ_ASYNC_PF);
		}
		return 0;
	}
}

/* The guest is not told of anything any more; addresses and vector stay. */
void kvm_apf_reset(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_apf *a = &vcpu->arch.apf;

	kvm_async_pf_forget(vcpu);
	a->unacknowledged = false;
	a->wake_all = false;
}
