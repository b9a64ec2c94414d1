/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Xen's interface for HVM guests, as far as it is offered: numbers and layouts of it, and what the
 * files xen*.c do for each other and for the rest of x86. The interface is described in Xen's public
 * headers (xen.h, vcpu.h, sched.h, event_channel.h), the ABI in Documentation/virt/kvm/x86/xen.rst.
 */
#ifndef _KVM_PV_XEN_H
#define _KVM_PV_XEN_H

#include <linux/jump_label.h>
#include <linux/kvm_host.h>

#include "pv.h"

/* ---- Xen's numbers --------------------------------------------------------------------------- */

#define XEN_HC_SET_TIMER_OP		15
#define XEN_HC_XEN_VERSION		17
#define XEN_HC_VCPU_OP			24
#define XEN_HC_SCHED_OP			29
#define XEN_HC_EVENT_CHANNEL_OP		32

#define XEN_VERSION_CMD_VERSION		0
#define XEN_VCPUOP_SET_SINGLESHOT	8
#define XEN_VCPUOP_STOP_SINGLESHOT	9
#define XEN_SINGLESHOT_FUTURE		BIT(0)	/* refuse what is past already */
#define XEN_SCHEDOP_YIELD		0
#define XEN_SCHEDOP_POLL		3
#define XEN_EVTCHNOP_SEND		4
#define XEN_EVTCHN_INTERDOMAIN		2	/* what a port is, as EVTCHNOP_status has it */
#define XEN_EVTCHN_IPI			5

#define XEN_EPERM			1
#define XEN_EFAULT			14
#define XEN_EINVAL			22
#define XEN_ETIME			62

enum xen_runstate { XEN_RUNNING, XEN_RUNNABLE, XEN_BLOCKED, XEN_OFFLINE, XEN_NR_RUNSTATES };
#define XEN_RUNSTATE_UPDATE		BIT_ULL(63)	/* in the entry time: a change is under way */

/* shared_info begins with 32 vcpu_info of 64 bytes; the rest of it consists of guest's longs. */
#define XEN_VCPU_INFO_SIZE		64
#define XEN_VCPU_INFO_TIME		32
#define XEN_SHARED_PENDING		(32 * XEN_VCPU_INFO_SIZE)

/* ---- places that are shared ------------------------------------------------------------------ */

/* As kept in kvm->arch.xen and vcpu->arch.xen: an address, the guest's or with the bit userspace's. */
#define XEN_NOWHERE			(~0ull)
#define XEN_PLACE_USER			BIT_ULL(63)

static inline struct kvm_place kvm_xen_place(u64 kept, unsigned int offset)
{
	return (struct kvm_place) {
		.address = (kept & ~XEN_PLACE_USER) + offset,
		.user = kept & XEN_PLACE_USER,
	};
}

/* ---- is there any such guest? ---------------------------------------------------------------- */

DECLARE_STATIC_KEY_FALSE(kvm_xen_key);

static inline bool kvm_xen_used(struct kvm *kvm)
{
	return static_branch_unlikely(&kvm_xen_key) && READ_ONCE(kvm->arch.xen.used);
}

/* ---- xen.c ----------------------------------------------------------------------------------- */

void kvm_xen_vm_init(struct kvm *kvm);
void kvm_xen_vm_destroy(struct kvm *kvm);
void kvm_xen_vcpu_init(struct kvm_vcpu *vcpu);
void kvm_xen_vcpu_destroy(struct kvm_vcpu *vcpu);
u32 kvm_xen_offered(void);				/* KVM_CAP_XEN_HVM */
/* KVM_XEN_HVM_CONFIG, _GET_ATTR, _SET_ATTR, _EVTCHN_SEND */
long kvm_xen_vm_ioctl(struct kvm *kvm, unsigned int ioctl, void __user *argp);
/* KVM_XEN_VCPU_GET_ATTR, _SET_ATTR; the vcpu is loaded and its srcu held. */
long kvm_xen_vcpu_ioctl(struct kvm_vcpu *vcpu, unsigned int ioctl, void __user *argp);
/* The guest has shown whether its longs have 64 bits. */
void kvm_xen_set_long_mode(struct kvm *kvm, bool long_mode);

/* KVM_REQ_XEN, and its making: at the begin of KVM_RUN, when the thread gets a processor and loses it. */
void kvm_xen_serve(struct kvm_vcpu *vcpu);
void kvm_xen_run_begins(struct kvm_vcpu *vcpu);

/* The clock pages of the guest's that Xen's interface has: how many, and where. */
unsigned int kvm_xen_clock_places(struct kvm_vcpu *vcpu, struct kvm_place place[2]);
static inline bool kvm_xen_has_clock(struct kvm_vcpu *vcpu)
{
	return static_branch_unlikely(&kvm_xen_key) &&
	       (vcpu->arch.xen.info & vcpu->arch.xen.time_info) != XEN_NOWHERE;
}

/* ---- xen_hypercall.c ------------------------------------------------------------------------- */

/* Is it the MSR that makes the hypercall page? Then the guest's write: 0, or 1: #GP */
static inline bool kvm_xen_is_msr(struct kvm *kvm, u32 index)
{
	return kvm_xen_used(kvm) && index && index == READ_ONCE(kvm->arch.xen.config.msr);
}

int kvm_xen_set_msr(struct kvm_vcpu *vcpu, u64 data);

static inline bool kvm_xen_takes_hypercalls(struct kvm *kvm)
{
	return kvm_xen_used(kvm) && (READ_ONCE(kvm->arch.xen.config.flags) &
				     KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL);
}

int kvm_xen_hypercall(struct kvm_vcpu *vcpu);		/* exit handler: 1/0/-errno */

/* ---- xen_timer.c ----------------------------------------------------------------------------- */

void kvm_xen_timers_init(struct kvm_vcpu *vcpu);
void kvm_xen_timers_stop(struct kvm_vcpu *vcpu);
/* At that time of the guest's clock the timer's port gets an event; 0: never. Owner. */
void kvm_xen_timer_set(struct kvm_vcpu *vcpu, u64 expires);
void kvm_xen_timer_fired(struct kvm_vcpu *vcpu);
/* Wait as SCHEDOP_poll does: 0, a Xen error, or -EINTR: begin again after what has come up. */
struct xen_poll {
	u32 *ports;
	unsigned int nr;
	u64 timeout;			/* of the guest's clock; 0: none */
};
int kvm_xen_poll(struct kvm_vcpu *vcpu, const struct xen_poll *poll);

/* ---- xen_evtchn.c ---------------------------------------------------------------------------- */

static inline bool kvm_xen_port_valid(struct kvm *kvm, u32 port)
{
	return port < (READ_ONCE(kvm->arch.xen.long_mode) ? 64 * 64 : 32 * 32);
}

/*
 * An event on a port, for the vcpu with that id; caller holds srcu. 1; 0: it was pending already; -1:
 * masked; -EINVAL, -EFAULT. Without @may_sleep any context but NMI, and -EWOULDBLOCK.
 */
int kvm_xen_evtchn_raise(struct kvm *kvm, u32 port, u32 vcpu_id, bool may_sleep);
/* Is an event pending there? True if nobody can tell. Owner. */
bool kvm_xen_evtchn_pending(struct kvm_vcpu *vcpu, u32 port);
/* Pending bits are elsewhere now: vcpus that wait for one look there. Any context. */
void kvm_xen_wake_pollers(struct kvm *kvm);
/* Events that could not be told to the vcpu where they came up. Owner. */
void kvm_xen_evtchn_settle(struct kvm_vcpu *vcpu);
int kvm_xen_evtchn_attr(struct kvm *kvm, const struct kvm_xen_hvm_attr *attr);
void kvm_xen_evtchn_forget_all(struct kvm *kvm);	/* ports that are intercepted; may sleep */
/* The guest sends on one: false if that is userspace's affair. Owner. */
bool kvm_xen_evtchn_send(struct kvm_vcpu *vcpu, u32 port, long *result);
int kvm_xen_route_resolve(struct kvm *kvm, struct kvm_irq_route *route);

/* Is the VM's vector to be delivered? What is asked goes on in the guest's memory: see there. */
bool __kvm_xen_upcall_waits(struct kvm_vcpu *vcpu);
void kvm_xen_upcall_look(struct kvm_vcpu *vcpu);	/* before it; owner, may sleep */

static inline bool kvm_xen_upcall_waits(struct kvm_vcpu *vcpu)
{
	return static_branch_unlikely(&kvm_xen_key) && __kvm_xen_upcall_waits(vcpu);
}

/* ---- xen_runstate.c -------------------------------------------------------------------------- */

void kvm_xen_runstate_change(struct kvm_vcpu *vcpu, u32 state);	/* owner, may sleep */
void kvm_xen_runstate_show(struct kvm_vcpu *vcpu);		/* write the guest's copy */
int kvm_xen_runstate_set(struct kvm_vcpu *vcpu, const struct kvm_xen_vcpu_attr *attr);
void kvm_xen_runstate_get(struct kvm_vcpu *vcpu, struct kvm_xen_vcpu_attr *attr);
/* The thread gets a processor, or loses it: the scheduler's locks may be held. */
void __kvm_xen_load(struct kvm_vcpu *vcpu);
void __kvm_xen_put(struct kvm_vcpu *vcpu);

static inline void kvm_xen_load(struct kvm_vcpu *vcpu)
{
	if (kvm_xen_used(vcpu->kvm))
		__kvm_xen_load(vcpu);
}

static inline void kvm_xen_put(struct kvm_vcpu *vcpu)
{
	if (kvm_xen_used(vcpu->kvm))
		__kvm_xen_put(vcpu);
}

/* Something that ends a halt, other than interrupts. */
static inline bool kvm_xen_has_reason(struct kvm_vcpu *vcpu)
{
	return static_branch_unlikely(&kvm_xen_key) &&
	       (kvm_request_test(vcpu, KVM_REQ_XEN) ||
		(READ_ONCE(vcpu->arch.xen.polling) && READ_ONCE(vcpu->arch.xen.poll_event)));
}

#endif
