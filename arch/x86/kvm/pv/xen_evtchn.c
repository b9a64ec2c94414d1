// SPDX-License-Identifier: GPL-2.0
/*
 * Event channels of a Xen guest, in the layout of two levels: a bit in shared_info for each port, the bit
 * of that word in the vcpu_info of the vcpu that the port is bound to, a byte there that says "look", and
 * an interrupt. Events come from routes of interrupts, from userspace, from timers, and from the guest
 * itself by ports that userspace has had intercepted; the latter's table is owned here. Xen's public
 * headers xen.h and event_channel.h.
 *
 * All of it is the guest's memory, accessed through the owner's mapping: from wherever the owner's address
 * space is in place, without sleeping if the pages are there, and else from a worker.
 */
#include <linux/eventfd.h>
#include <linux/kthread.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../x86.h"
#include "../irqchip/irqchip.h"
#include "xen.h"

/* Of vcpu_info. */
#define INFO_UPCALL		0
#define INFO_SEL_LONG		8
#define INFO_SEL_SHORT		4

/* A port that the guest sends on without userspace seeing it. */
struct xen_outbound {
	u32 port;			/* of the guest, at the other end */
	u32 vcpu_id;			/* may change */
	struct eventfd_ctx *eventfd;	/* instead of a port, or NULL */
	struct list_head removed;	/* off the table */
};

/* ---- bits in user memory --------------------------------------------------------------------- */

static void __user *user_address(struct kvm *kvm, struct kvm_place place)
{
	struct kvm_memory_slot *slot;
	gfn_t gfn;

	if (place.user)
		return (void __user *)place.address;
	gfn = gpa_to_gfn(place.address);
	slot = kvm_memslot_find(kvm_memslots(kvm, 0), gfn);
	if (!kvm_memslot_valid(slot) || (slot->flags & KVM_MEM_READONLY))
		return NULL;
	return (void __user *)(kvm_memslot_hva(slot, gfn) + offset_in_page(place.address));
}

/* 0 when exchanged, 1 when something else was there, -EFAULT. */
static int exchange32(u32 __user *ptr, u32 *old, u32 new)
{
	return __try_cmpxchg_user(ptr, old, new, fault);
}

static int exchange8(u8 __user *ptr, u8 *old, u8 new)
{
	return __try_cmpxchg_user(ptr, old, new, fault);
}

/*
 * 1 if it is this call that has set the bit, 0 if it was set already, -EFAULT. What others change in the
 * word meanwhile is their business a few times; a word that is always changing is taken for no memory.
 */
#define EXCHANGE_TRIES	1000

static int set_user_bit(u32 __user *words, unsigned int bit)
{
	u32 __user *ptr = words + bit / 32;
	u32 old = 0, mask = BIT(bit % 32);
	int r, tries = EXCHANGE_TRIES;

	do {
		if (old & mask)
			return 0;
		r = exchange32(ptr, &old, old | mask);
	} while (r == 1 && --tries);
	return r ? -EFAULT : 1;
}

static int set_user_byte(u8 __user *ptr)
{
	u8 old = 0;
	int r = exchange8(ptr, &old, 1);

	if (r < 0)
		return r;
	return !r;
}

static int test_user_bit(const u32 __user *words, unsigned int bit)
{
	u32 word;

	if (__get_user(word, words + bit / 32))
		return -EFAULT;
	return !!(word & BIT(bit % 32));
}

/* ---- delivery -------------------------------------------------------------------------------- */

/* The vcpu is told of events in a word of bits: 0, or -EFAULT */
static int mark_word(struct kvm_vcpu *vcpu, unsigned int word)
{
	unsigned int sel = READ_ONCE(vcpu->kvm->arch.xen.long_mode) ? INFO_SEL_LONG :
								      INFO_SEL_SHORT;
	u64 kept = READ_ONCE(vcpu->arch.xen.info);
	void __user *info;
	u8 vector;
	int r;

	if (kept == XEN_NOWHERE)
		return -EFAULT;
	info = user_address(vcpu->kvm, kvm_xen_place(kept, 0));
	if (!info || set_user_bit(info + sel, word) < 0)
		return -EFAULT;
	r = set_user_byte(info + INFO_UPCALL);
	if (r <= 0)
		return r;
	vector = READ_ONCE(vcpu->arch.xen.upcall_vector);
	if (vector && kvm_has_lapic(vcpu)) {
		kvm_lapic_raise(vcpu, vector);
	} else {
		kvm_request(vcpu, KVM_REQ_EVENT);
		kvm_vcpu_kick(vcpu);
	}
	return 0;
}

/* See wait_for_ports(): the bit is set. */
static void wake_poller(struct kvm_vcpu *vcpu)
{
	smp_mb();
	if (!READ_ONCE(vcpu->arch.xen.polling))
		return;
	WRITE_ONCE(vcpu->arch.xen.poll_event, true);
	kvm_vcpu_wake(vcpu);
}

void kvm_xen_wake_pollers(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, kvm)
		wake_poller(vcpu);
}

static int raise(struct kvm_vcpu *vcpu, u32 port)
{
	struct kvm *kvm = vcpu->kvm;
	bool wide = READ_ONCE(kvm->arch.xen.long_mode);
	u64 kept = READ_ONCE(kvm->arch.xen.shared_info);
	unsigned int word = port / (wide ? 64 : 32);
	u32 __user *pending, *mask;
	int r;

	if (kept == XEN_NOWHERE || READ_ONCE(vcpu->arch.xen.info) == XEN_NOWHERE ||
	    !kvm_xen_port_valid(kvm, port))
		return -EINVAL;
	pending = user_address(kvm, kvm_xen_place(kept, XEN_SHARED_PENDING));
	if (!pending)
		return -EFAULT;
	mask = pending + (wide ? 64 * 2 : 32);
	r = set_user_bit(pending, port);
	if (r <= 0)
		return r;
	r = test_user_bit(mask, port);
	if (r > 0) {
		wake_poller(vcpu);
		return -1;
	}
	/* From here on nobody else will tell the vcpu; let it do so itself if this cannot. */
	if (r < 0 || mark_word(vcpu, word)) {
		set_bit(word, (unsigned long *)&vcpu->arch.xen.pending_sel);
		kvm_request(vcpu, KVM_REQ_XEN);
		kvm_vcpu_kick(vcpu);
	}
	wake_poller(vcpu);
	return 1;
}

/* A worker has no address space of its own, and others may have the wrong one. */
static int raise_from_elsewhere(struct kvm_vcpu *vcpu, u32 port)
{
	struct mm_struct *mm = vcpu->kvm->mm;
	int r;

	if (!(current->flags & PF_KTHREAD) || current->mm || !mmget_not_zero(mm))
		return -EFAULT;
	kthread_use_mm(mm);
	r = raise(vcpu, port);
	kthread_unuse_mm(mm);
	mmput(mm);
	return r;
}

int kvm_xen_evtchn_raise(struct kvm *kvm, u32 port, u32 vcpu_id, bool may_sleep)
{
	struct kvm_vcpu *vcpu;
	int r;

	vcpu = vcpu_id <= INT_MAX ? kvm_vcpu_by_id(kvm, vcpu_id) : NULL;
	if (!vcpu)
		return -EINVAL;
	if (may_sleep)
		return current->mm == kvm->mm ? raise(vcpu, port) : raise_from_elsewhere(vcpu, port);
	if (!in_task() || current->mm != kvm->mm)
		return -EWOULDBLOCK;
	pagefault_disable();
	r = raise(vcpu, port);
	pagefault_enable();
	return r == -EFAULT ? -EWOULDBLOCK : r;
}

bool kvm_xen_evtchn_pending(struct kvm_vcpu *vcpu, u32 port)
{
	u64 kept = READ_ONCE(vcpu->kvm->arch.xen.shared_info);
	u32 __user *pending;

	if (kept == XEN_NOWHERE)
		return true;
	pending = user_address(vcpu->kvm, kvm_xen_place(kept, XEN_SHARED_PENDING));
	return !pending || test_user_bit(pending, port) != 0;
}

/* What still fails is tried again when there is reason to. */
void kvm_xen_evtchn_settle(struct kvm_vcpu *vcpu)
{
	u64 words = xchg(&vcpu->arch.xen.pending_sel, 0);
	unsigned int word;

	for (word = 0; word < 64; word++)
		if ((words & BIT_ULL(word)) && mark_word(vcpu, word))
			set_bit(word, (unsigned long *)&vcpu->arch.xen.pending_sel);
}

/* ---- the upcall that is an interrupt of the VM's --------------------------------------------- */

static int read_upcall(struct kvm_vcpu *vcpu, u8 *upcall)
{
	u64 kept = READ_ONCE(vcpu->arch.xen.info);

	if (kept == XEN_NOWHERE)
		return -EFAULT;
	return kvm_place_read(vcpu->kvm, kvm_xen_place(kept, INFO_UPCALL), upcall, sizeof(*upcall));
}

/*
 * May be asked when nothing may sleep. Should the page have gone just now, it is looked for once more. One
 * that the guest is about to be given does not wait: the byte is set until the guest's handler clears it,
 * and what sets it again asks for a look.
 */
bool __kvm_xen_upcall_waits(struct kvm_vcpu *vcpu)
{
	const struct kvm_interrupt_event *given = &vcpu->arch.interrupt;
	struct kvm *kvm = vcpu->kvm;
	u8 vector = READ_ONCE(kvm->arch.xen.upcall_vector), upcall = 0;
	int idx, r;

	if (!vector || !READ_ONCE(vcpu->arch.xen.info_present))
		return false;
	if (given->injected && given->nr == vector)
		return false;
	idx = srcu_read_lock(&kvm->srcu);
	pagefault_disable();
	r = read_upcall(vcpu, &upcall);
	pagefault_enable();
	srcu_read_unlock(&kvm->srcu, idx);
	if (r)
		kvm_request(vcpu, KVM_REQ_EVENT);
	return upcall;
}

void kvm_xen_upcall_look(struct kvm_vcpu *vcpu)
{
	u8 upcall;

	if (!kvm_xen_used(vcpu->kvm) || !READ_ONCE(vcpu->kvm->arch.xen.upcall_vector))
		return;
	kvm_srcu_lock(vcpu);
	WRITE_ONCE(vcpu->arch.xen.info_present, !read_upcall(vcpu, &upcall));
}

/* ---- routes ---------------------------------------------------------------------------------- */

static int route_deliver(struct kvm *kvm, const struct kvm_irq_route *route, unsigned int source,
			 bool level, bool line_status)
{
	const struct kvm_irq_routing_xen_evtchn *e = &route->entry.u.xen_evtchn;

	if (!level)
		return -1;
	return max(kvm_xen_evtchn_raise(kvm, e->port, e->vcpu, true), -1);
}

static int route_deliver_fast(struct kvm *kvm, const struct kvm_irq_route *route)
{
	const struct kvm_irq_routing_xen_evtchn *e = &route->entry.u.xen_evtchn;
	int r = kvm_xen_evtchn_raise(kvm, e->port, e->vcpu, false);

	return r == -EWOULDBLOCK ? r : max(r, -1);
}

/* The vcpu need not be there yet. */
int kvm_xen_route_resolve(struct kvm *kvm, struct kvm_irq_route *route)
{
	const struct kvm_irq_routing_xen_evtchn *e = &route->entry.u.xen_evtchn;

	if (!kvm_xen_port_valid(kvm, e->port) ||
	    e->priority != KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL)
		return -EINVAL;
	route->deliver = route_deliver;
	route->deliver_fast = route_deliver_fast;
	return 0;
}

/* ---- ports that the guest sends on ----------------------------------------------------------- */

bool kvm_xen_evtchn_send(struct kvm_vcpu *vcpu, u32 port, long *result)
{
	const struct xen_outbound *out;
	int r;

	kvm_srcu_lock(vcpu);
	out = xa_load(&vcpu->kvm->arch.xen.outbound, port);
	if (!out)
		return false;
	if (out->eventfd) {
		eventfd_signal(out->eventfd);
		*result = 0;
		return true;
	}
	r = kvm_xen_evtchn_raise(vcpu->kvm, out->port, READ_ONCE(out->vcpu_id), true);
	*result = r < -1 ? -XEN_EINVAL : 0;
	return true;
}

/* Readers of the table have gone. */
static void outbound_free(struct xen_outbound *out)
{
	if (out->eventfd)
		eventfd_ctx_put(out->eventfd);
	kfree(out);
}

static int outbound_fill(struct kvm *kvm, const struct kvm_xen_hvm_attr *attr,
			 struct xen_outbound *out)
{
	u32 port = attr->u.evtchn.deliver.port.port;
	u32 type = attr->u.evtchn.type;

	if (type != XEN_EVTCHN_IPI && type != XEN_EVTCHN_INTERDOMAIN)
		return -EINVAL;
	/* One of an IPI leads to where it comes from. */
	if (type == XEN_EVTCHN_IPI && port != attr->u.evtchn.send_port)
		return -EINVAL;
	if (!port) {
		out->eventfd = eventfd_ctx_fdget(attr->u.evtchn.deliver.eventfd.fd);
		return PTR_ERR_OR_ZERO(out->eventfd);
	}
	if (!kvm_xen_port_valid(kvm, port) || attr->u.evtchn.deliver.port.priority !=
					      KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL)
		return -EINVAL;
	out->port = port;
	out->vcpu_id = attr->u.evtchn.deliver.port.vcpu;
	return 0;
}

static int outbound_add(struct kvm *kvm, const struct kvm_xen_hvm_attr *attr)
{
	struct xen_outbound *out;
	int r;

	out = kzalloc(sizeof(*out), GFP_KERNEL_ACCOUNT);
	if (!out)
		return -ENOMEM;
	r = outbound_fill(kvm, attr, out);
	if (r) {
		kfree(out);
		return r;
	}
	r = xa_insert(&kvm->arch.xen.outbound, attr->u.evtchn.send_port, out, GFP_KERNEL_ACCOUNT);
	if (r)
		outbound_free(out);
	return r == -EBUSY ? -EEXIST : r;
}

/* Only the vcpu, which the guest binds anew at will, may change. */
static int outbound_update(struct kvm *kvm, const struct kvm_xen_hvm_attr *attr)
{
	struct xen_outbound *out = xa_load(&kvm->arch.xen.outbound, attr->u.evtchn.send_port);

	if (!out)
		return -ENOENT;
	if (!out->port || out->port != attr->u.evtchn.deliver.port.port ||
	    attr->u.evtchn.deliver.port.priority != KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL)
		return -EINVAL;
	WRITE_ONCE(out->vcpu_id, attr->u.evtchn.deliver.port.vcpu);
	return 0;
}

static int outbound_remove(struct kvm *kvm, u32 send_port)
{
	struct xen_outbound *out = xa_erase(&kvm->arch.xen.outbound, send_port);

	if (!out)
		return -ENOENT;
	synchronize_srcu_expedited(&kvm->srcu);
	outbound_free(out);
	return 0;
}

/* xen.lock is held. */
int kvm_xen_evtchn_attr(struct kvm *kvm, const struct kvm_xen_hvm_attr *attr)
{
	u32 port = attr->u.evtchn.send_port;

	if (attr->u.evtchn.flags == KVM_XEN_EVTCHN_RESET) {
		kvm_xen_evtchn_forget_all(kvm);
		return 0;
	}
	if (!port || !kvm_xen_port_valid(kvm, port))
		return -EINVAL;
	switch (attr->u.evtchn.flags) {
	case 0:
		return outbound_add(kvm, attr);
	case KVM_XEN_EVTCHN_UPDATE:
		return outbound_update(kvm, attr);
	case KVM_XEN_EVTCHN_DEASSIGN:
		return outbound_remove(kvm, port);
	default:
		return -EINVAL;
	}
}

/* xen.lock is held, or the VM nobody's any more. Readers are waited for but once. */
void kvm_xen_evtchn_forget_all(struct kvm *kvm)
{
	struct xarray *table = &kvm->arch.xen.outbound;
	struct xen_outbound *out, *next;
	unsigned long port;
	LIST_HEAD(removed);

	xa_for_each(table, port, out) {
		xa_erase(table, port);
		list_add(&out->removed, &removed);
	}
	if (list_empty(&removed))
		return;
	synchronize_srcu_expedited(&kvm->srcu);
	list_for_each_entry_safe(out, next, &removed, removed)
		outbound_free(out);
}
