// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that want to run on Xen: what userspace configures of a VM and its vcpus, and reads back to
 * move them. Owns kvm->arch.xen, vcpu->arch.xen and the key that keeps other VMs' paths free of all
 * this. Hypercalls are in xen_hypercall.c, events in xen_evtchn.c, timers in xen_timer.c, a vcpu's states
 * in xen_runstate.c. Documentation/virt/kvm/x86/xen.rst; Xen's public headers.
 *
 * Pages shared with the guest are found anew at each access, through the slots or at userspace's address:
 * nothing is to be done when slots or mappings change.
 */
#include <linux/sched/stat.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../x86.h"
#include "../irqchip/irqchip.h"
#include "xen.h"

#define CONFIG_FLAGS	(KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | KVM_XEN_HVM_CONFIG_EVTCHN_SEND | \
			 KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE)

#define FIRST_VECTOR	16	/* those below are not interrupts' */

/* Of shared_info: time of day, and the upper half of its seconds (xen.h, arch-x86/xen.h). */
#define WALL_LONG	(XEN_SHARED_PENDING + 2 * 64 * 8)
#define WALL_HIGH_LONG	(WALL_LONG + 12)
#define WALL_SHORT	(XEN_SHARED_PENDING + 2 * 32 * 4)
#define WALL_HIGH_SHORT	(WALL_SHORT + 12 + 6 * 4)

#define RUNSTATE_AREA	48	/* its size for 64-bit guests */
#define TIME_INFO_SIZE	32

DEFINE_STATIC_KEY_FALSE(kvm_xen_key);

u32 kvm_xen_offered(void)
{
	u32 flags = KVM_XEN_HVM_CONFIG_HYPERCALL_MSR | KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL |
		    KVM_XEN_HVM_CONFIG_SHARED_INFO | KVM_XEN_HVM_CONFIG_EVTCHN_2LEVEL |
		    KVM_XEN_HVM_CONFIG_EVTCHN_SEND | KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE |
		    KVM_XEN_HVM_CONFIG_SHARED_INFO_HVA;

	if (sched_info_on())
		flags |= KVM_XEN_HVM_CONFIG_RUNSTATE | KVM_XEN_HVM_CONFIG_RUNSTATE_UPDATE_FLAG;
	return flags;
}

/* xen.lock is held. */
static void note_use(struct kvm *kvm)
{
	if (kvm->arch.xen.used)
		return;
	static_branch_inc(&kvm_xen_key);
	WRITE_ONCE(kvm->arch.xen.used, true);
}

/* ---- places ---------------------------------------------------------------------------------- */

/*
 * An address from userspace as it is kept, if there is memory; srcu is held. @none: the value that
 * means no address. 0 / -EINVAL / -EFAULT
 */
static int place_check(struct kvm *kvm, u64 address, u64 none, bool user, unsigned int len, u64 *kept)
{
	u8 probe[XEN_VCPU_INFO_SIZE];
	struct kvm_place place;

	*kept = XEN_NOWHERE;
	if (address == none)
		return 0;
	if (user ? !access_ok((void __user *)address, len) : address & XEN_PLACE_USER)
		return -EINVAL;
	*kept = user ? address | XEN_PLACE_USER : address;
	place = kvm_xen_place(*kept, 0);
	return kvm_place_read(kvm, place, probe, min_t(unsigned int, len, sizeof(probe)));
}

/* Nobody who has read the address before uses it any more. Not with srcu held. */
static void place_changed(struct kvm *kvm)
{
	synchronize_srcu_expedited(&kvm->srcu);
}

/* ---- the VM's -------------------------------------------------------------------------------- */

/* The time of day is written but once: guests have other means to learn that it was changed. */
static int write_wall(struct kvm *kvm)
{
	bool wide = kvm->arch.xen.long_mode;
	u64 kept = kvm->arch.xen.shared_info;
	struct kvm_place high = kvm_xen_place(kept, wide ? WALL_HIGH_LONG : WALL_HIGH_SHORT);
	int idx, r;

	if (kept == XEN_NOWHERE)
		return 0;
	idx = srcu_read_lock(&kvm->srcu);
	r = kvm_clock_write_wall(kvm, kvm_xen_place(kept, wide ? WALL_LONG : WALL_SHORT), &high);
	srcu_read_unlock(&kvm->srcu, idx);
	return r;
}

/* The shared page is another, or its words are in other places. */
static int shared_info_moved(struct kvm *kvm)
{
	kvm_xen_wake_pollers(kvm);
	return write_wall(kvm);
}

void kvm_xen_set_long_mode(struct kvm *kvm, bool long_mode)
{
	struct kvm_vm_xen *x = &kvm->arch.xen;

	mutex_lock(&x->lock);
	if (x->long_mode != long_mode) {
		WRITE_ONCE(x->long_mode, long_mode);
		shared_info_moved(kvm);
	}
	mutex_unlock(&x->lock);
}

static int set_shared_info(struct kvm *kvm, u64 address, bool user)
{
	u64 kept, old = kvm->arch.xen.shared_info;
	int idx, r;

	if (user && offset_in_page(address))
		return -EINVAL;
	if (!user && address != KVM_XEN_INVALID_GFN) {
		if (address > (~XEN_PLACE_USER >> PAGE_SHIFT))
			return -EINVAL;
		address = gfn_to_gpa(address);
	}
	idx = srcu_read_lock(&kvm->srcu);
	r = place_check(kvm, address, user ? 0 : KVM_XEN_INVALID_GFN, user, PAGE_SIZE, &kept);
	srcu_read_unlock(&kvm->srcu, idx);
	if (r)
		return r;
	WRITE_ONCE(kvm->arch.xen.shared_info, kept);
	if (old != XEN_NOWHERE && old != kept)
		place_changed(kvm);
	return shared_info_moved(kvm);
}

static int set_attr(struct kvm *kvm, const struct kvm_xen_hvm_attr *attr)
{
	struct kvm_vm_xen *x = &kvm->arch.xen;

	switch (attr->type) {
	case KVM_XEN_ATTR_TYPE_LONG_MODE:
		WRITE_ONCE(x->long_mode, !!attr->u.long_mode);
		return shared_info_moved(kvm);
	case KVM_XEN_ATTR_TYPE_SHARED_INFO:
		return set_shared_info(kvm, attr->u.shared_info.gfn, false);
	case KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA:
		return set_shared_info(kvm, attr->u.shared_info.hva, true);
	case KVM_XEN_ATTR_TYPE_UPCALL_VECTOR:
		if (attr->u.vector && attr->u.vector < FIRST_VECTOR)
			return -EINVAL;
		WRITE_ONCE(x->upcall_vector, attr->u.vector);
		kvm_request_all(kvm, KVM_REQ_EVENT);
		return 0;
	case KVM_XEN_ATTR_TYPE_XEN_VERSION:
		WRITE_ONCE(x->version, attr->u.xen_version);
		return 0;
	case KVM_XEN_ATTR_TYPE_RUNSTATE_UPDATE_FLAG:
		if (!sched_info_on())
			return -EOPNOTSUPP;
		WRITE_ONCE(x->runstate_update_flag, !!attr->u.runstate_update_flag);
		return 0;
	case KVM_XEN_ATTR_TYPE_EVTCHN:
		return kvm_xen_evtchn_attr(kvm, attr);
	default:
		return -ENOENT;
	}
}

static long vm_set_attr(struct kvm *kvm, const void __user *argp)
{
	struct kvm_xen_hvm_attr attr;
	int r;

	if (copy_from_user(&attr, argp, sizeof(attr)))
		return -EFAULT;
	mutex_lock(&kvm->arch.xen.lock);
	r = set_attr(kvm, &attr);
	if (!r)
		note_use(kvm);
	mutex_unlock(&kvm->arch.xen.lock);
	return r;
}

static int get_attr(const struct kvm_vm_xen *x, struct kvm_xen_hvm_attr *attr)
{
	u64 shared = x->shared_info;

	switch (attr->type) {
	case KVM_XEN_ATTR_TYPE_LONG_MODE:
		attr->u.long_mode = x->long_mode;
		return 0;
	case KVM_XEN_ATTR_TYPE_SHARED_INFO:
		attr->u.shared_info.gfn = shared & XEN_PLACE_USER ? KVM_XEN_INVALID_GFN :
								    gpa_to_gfn(shared);
		return 0;
	case KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA:
		if (shared != XEN_NOWHERE && (shared & XEN_PLACE_USER))
			attr->u.shared_info.hva = shared & ~XEN_PLACE_USER;
		return 0;
	case KVM_XEN_ATTR_TYPE_UPCALL_VECTOR:
		attr->u.vector = x->upcall_vector;
		return 0;
	case KVM_XEN_ATTR_TYPE_XEN_VERSION:
		attr->u.xen_version = x->version;
		return 0;
	case KVM_XEN_ATTR_TYPE_RUNSTATE_UPDATE_FLAG:
		if (!sched_info_on())
			return -EOPNOTSUPP;
		attr->u.runstate_update_flag = x->runstate_update_flag;
		return 0;
	default:
		return -ENOENT;
	}
}

static long vm_get_attr(struct kvm *kvm, void __user *argp)
{
	struct kvm_xen_hvm_attr attr = { };
	int r;

	if (copy_from_user(&attr.type, argp, sizeof(attr.type)))
		return -EFAULT;
	mutex_lock(&kvm->arch.xen.lock);
	r = get_attr(&kvm->arch.xen, &attr);
	mutex_unlock(&kvm->arch.xen.lock);
	if (r)
		return r;
	return copy_to_user(argp, &attr, sizeof(attr)) ? -EFAULT : 0;
}

static long configure(struct kvm *kvm, const void __user *argp)
{
	struct kvm_xen_hvm_config config;

	if (copy_from_user(&config, argp, sizeof(config)))
		return -EFAULT;
	if (config.flags & ~CONFIG_FLAGS)
		return -EINVAL;
	/* The page is made here then. */
	if ((config.flags & KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL) &&
	    (config.blob_addr_32 || config.blob_addr_64 || config.blob_size_32 ||
	     config.blob_size_64))
		return -EINVAL;
	mutex_lock(&kvm->arch.xen.lock);
	kvm->arch.xen.config = config;
	note_use(kvm);
	mutex_unlock(&kvm->arch.xen.lock);
	return 0;
}

static long send_event(struct kvm *kvm, const void __user *argp)
{
	struct kvm_irq_routing_xen_evtchn e;
	int idx, r;

	if (copy_from_user(&e, argp, sizeof(e)))
		return -EFAULT;
	if (!e.port || e.priority != KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL)
		return -EINVAL;
	idx = srcu_read_lock(&kvm->srcu);
	r = kvm_xen_evtchn_raise(kvm, e.port, e.vcpu, true);
	srcu_read_unlock(&kvm->srcu, idx);
	return r < -1 ? r : 0;
}

long kvm_xen_vm_ioctl(struct kvm *kvm, unsigned int ioctl, void __user *argp)
{
	switch (ioctl) {
	case KVM_XEN_HVM_CONFIG:
		return configure(kvm, argp);
	case KVM_XEN_HVM_SET_ATTR:
		return vm_set_attr(kvm, argp);
	case KVM_XEN_HVM_GET_ATTR:
		return vm_get_attr(kvm, argp);
	default:
		return send_event(kvm, argp);
	}
}

/* ---- a vcpu's -------------------------------------------------------------------------------- */

/* The memory was found to be there; those who deliver may still look at the old one. */
static void vcpu_place_set(struct kvm_vcpu *vcpu, u64 *where, u64 kept)
{
	u64 old = *where;

	WRITE_ONCE(*where, kept);
	if (old == XEN_NOWHERE || old == kept)
		return;
	kvm_srcu_unlock(vcpu);
	place_changed(vcpu->kvm);
	kvm_srcu_lock(vcpu);
}

/* vcpu_info and the clock's page do not cross a page; words in them are changed by locked accesses. */
static int set_place(struct kvm_vcpu *vcpu, u64 *where, u64 address, bool user, unsigned int len)
{
	u64 none = user ? 0 : KVM_XEN_INVALID_GPA;
	u64 kept;
	int r;

	if (address != none && (offset_in_page(address) + len > PAGE_SIZE ||
				!IS_ALIGNED(address, sizeof(u32))))
		return -EINVAL;
	r = place_check(vcpu->kvm, address, none, user, len, &kept);
	if (r)
		return r;
	vcpu_place_set(vcpu, where, kept);
	if (kept != XEN_NOWHERE) {
		kvm_clock_page_added(vcpu);
		kvm_request(vcpu, KVM_REQ_XEN);
	}
	return 0;
}

static int set_runstate_area(struct kvm_vcpu *vcpu, u64 address)
{
	u64 kept;
	int r;

	if (!sched_info_on())
		return -EOPNOTSUPP;
	r = place_check(vcpu->kvm, address, KVM_XEN_INVALID_GPA, false, RUNSTATE_AREA, &kept);
	if (r)
		return r;
	vcpu_place_set(vcpu, &vcpu->arch.xen.runstate_area, kept);
	kvm_xen_runstate_show(vcpu);
	return 0;
}

static int set_timer(struct kvm_vcpu *vcpu, const struct kvm_xen_vcpu_attr *attr)
{
	u32 port = attr->u.timer.port;

	if (port && attr->u.timer.priority != KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL)
		return -EINVAL;
	kvm_xen_timer_set(vcpu, 0);
	vcpu->arch.xen.timer_port = port;
	if (port)
		kvm_xen_timer_set(vcpu, attr->u.timer.expires_ns);
	return 0;
}

static int vcpu_set_attr(struct kvm_vcpu *vcpu, const struct kvm_xen_vcpu_attr *attr)
{
	struct kvm_vcpu_xen *x = &vcpu->arch.xen;

	switch (attr->type) {
	case KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO:
		return set_place(vcpu, &x->info, attr->u.gpa, false, XEN_VCPU_INFO_SIZE);
	case KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA:
		return set_place(vcpu, &x->info, attr->u.hva, true, XEN_VCPU_INFO_SIZE);
	case KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO:
		return set_place(vcpu, &x->time_info, attr->u.gpa, false, TIME_INFO_SIZE);
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR:
		return set_runstate_area(vcpu, attr->u.gpa);
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT:
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA:
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADJUST:
		return sched_info_on() ? kvm_xen_runstate_set(vcpu, attr) : -EOPNOTSUPP;
	case KVM_XEN_VCPU_ATTR_TYPE_VCPU_ID:
		if (attr->u.vcpu_id >= KVM_MAX_VCPUS)
			return -EINVAL;
		x->vcpu_id = attr->u.vcpu_id;
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_TIMER:
		return set_timer(vcpu, attr);
	case KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR:
		if (attr->u.vector && attr->u.vector < FIRST_VECTOR)
			return -EINVAL;
		WRITE_ONCE(x->upcall_vector, attr->u.vector);
		return 0;
	default:
		return -ENOENT;
	}
}

static u64 gpa_of(u64 kept)
{
	return kept & XEN_PLACE_USER ? KVM_XEN_INVALID_GPA : kept;
}

/* A time that has come while nobody looked is past for whom the timer is given to. */
static void get_timer(struct kvm_vcpu *vcpu, struct kvm_xen_vcpu_attr *attr)
{
	if (READ_ONCE(vcpu->arch.xen.timer_fired))
		kvm_xen_timer_fired(vcpu);
	attr->u.timer.port = vcpu->arch.xen.timer_port;
	attr->u.timer.priority = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL;
	attr->u.timer.expires_ns = vcpu->arch.xen.timer_expires;
}

static int vcpu_get_attr(struct kvm_vcpu *vcpu, struct kvm_xen_vcpu_attr *attr)
{
	struct kvm_vcpu_xen *x = &vcpu->arch.xen;

	switch (attr->type) {
	case KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO:
		attr->u.gpa = gpa_of(x->info);
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA:
		if (x->info != XEN_NOWHERE && (x->info & XEN_PLACE_USER))
			attr->u.hva = x->info & ~XEN_PLACE_USER;
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO:
		attr->u.gpa = gpa_of(x->time_info);
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR:
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT:
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA:
		if (!sched_info_on())
			return -EOPNOTSUPP;
		if (attr->type == KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR)
			attr->u.gpa = gpa_of(x->runstate_area);
		else
			kvm_xen_runstate_get(vcpu, attr);
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_VCPU_ID:
		attr->u.vcpu_id = x->vcpu_id;
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_TIMER:
		get_timer(vcpu, attr);
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR:
		attr->u.vector = x->upcall_vector;
		return 0;
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADJUST:
		return -EINVAL;
	default:
		return -ENOENT;
	}
}

static long vcpu_get(struct kvm_vcpu *vcpu, void __user *argp)
{
	struct kvm_xen_vcpu_attr attr = { };
	int r;

	if (copy_from_user(&attr.type, argp, sizeof(attr.type)))
		return -EFAULT;
	r = vcpu_get_attr(vcpu, &attr);
	if (r)
		return r;
	return copy_to_user(argp, &attr, sizeof(attr)) ? -EFAULT : 0;
}

long kvm_xen_vcpu_ioctl(struct kvm_vcpu *vcpu, unsigned int ioctl, void __user *argp)
{
	struct kvm_vm_xen *x = &vcpu->kvm->arch.xen;
	struct kvm_xen_vcpu_attr attr;
	int r;

	if (ioctl == KVM_XEN_VCPU_GET_ATTR)
		return vcpu_get(vcpu, argp);
	if (copy_from_user(&attr, argp, sizeof(attr)))
		return -EFAULT;
	r = vcpu_set_attr(vcpu, &attr);
	if (!r && !READ_ONCE(x->used)) {
		/* Others may wait with the lock held for readers of srcu. */
		kvm_srcu_unlock(vcpu);
		mutex_lock(&x->lock);
		note_use(vcpu->kvm);
		mutex_unlock(&x->lock);
	}
	return r;
}

unsigned int kvm_xen_clock_places(struct kvm_vcpu *vcpu, struct kvm_place place[2])
{
	const struct kvm_vcpu_xen *x = &vcpu->arch.xen;
	unsigned int n = 0;

	if (x->info != XEN_NOWHERE)
		place[n++] = kvm_xen_place(x->info, XEN_VCPU_INFO_TIME);
	if (x->time_info != XEN_NOWHERE)
		place[n++] = kvm_xen_place(x->time_info, 0);
	return n;
}

/* ---- running --------------------------------------------------------------------------------- */

void kvm_xen_serve(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_xen *x = &vcpu->arch.xen;

	kvm_srcu_lock(vcpu);
	if (READ_ONCE(x->timer_fired))
		kvm_xen_timer_fired(vcpu);
	if (READ_ONCE(x->pending_sel))
		kvm_xen_evtchn_settle(vcpu);
	if (vcpu->wants_to_run)
		kvm_xen_runstate_change(vcpu, XEN_RUNNING);
}

/* Userspace may have written to what it shares with the guest, and has taken its time. */
void kvm_xen_run_begins(struct kvm_vcpu *vcpu)
{
	kvm_request(vcpu, KVM_REQ_XEN);
	kvm_request(vcpu, KVM_REQ_EVENT);
}

/* ---- life ------------------------------------------------------------------------------------ */

void kvm_xen_vm_init(struct kvm *kvm)
{
	struct kvm_vm_xen *x = &kvm->arch.xen;

	mutex_init(&x->lock);
	x->shared_info = XEN_NOWHERE;
	xa_init(&x->outbound);
}

/* Nobody else knows the VM. */
void kvm_xen_vm_destroy(struct kvm *kvm)
{
	kvm_xen_evtchn_forget_all(kvm);
	if (kvm->arch.xen.used)
		static_branch_dec(&kvm_xen_key);
}

void kvm_xen_vcpu_init(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_xen *x = &vcpu->arch.xen;

	x->info = XEN_NOWHERE;
	x->time_info = XEN_NOWHERE;
	x->runstate_area = XEN_NOWHERE;
	x->vcpu_id = vcpu->vcpu_id;
	kvm_xen_timers_init(vcpu);
}

void kvm_xen_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	kvm_xen_timers_stop(vcpu);
}
