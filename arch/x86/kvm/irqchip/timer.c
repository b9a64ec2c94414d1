// SPDX-License-Identifier: GPL-2.0
/*
 * The PIT of a VM wired up: host time for its model, its edges as interrupts of GSI 0, its ports and
 * its ioctls. An edge is raised by a work item, since routing takes locks that a timer callback must
 * not. Ticks that the guest has not acknowledged yet are remembered and delivered one by one after
 * its acknowledgements, unless userspace turned that off (KVM_REINJECT_CONTROL). KVM API document,
 * sections on KVM_CREATE_PIT2 and KVM_GET_PIT2.
 */
#include <linux/hrtimer.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "irqchip.h"
#include "pit.h"
#include "../x86.h"

#define PIT_GSI			0
#define MIN_PERIOD_NS		200000	/* as for the local APIC's timer */
/* A guest that stops acknowledging is not flooded when it comes back. */
#define MAX_PENDING_TICKS	1000000

struct kvm_pit_device {
	struct kvm *kvm;
	struct mutex lock;		/* the model, last_edge */
	struct kvm_pit model;
	s64 last_edge;			/* ns, delivered or before the last write */
	struct hrtimer timer;
	struct work_struct work;
	atomic_t pending;		/* ticks not yet acknowledged by the guest */
	bool reinject;
	bool in_service;		/* one tick is on its way: the next waits for the ack */
	struct kvm_irq_ack_notifier ack;
	struct kvm_io_device ports, speaker;
};

static enum hrtimer_restart pit_timer(struct hrtimer *timer)
{
	struct kvm_pit_device *pit = container_of(timer, struct kvm_pit_device, timer);

	atomic_add_unless(&pit->pending, 1, MAX_PENDING_TICKS);
	queue_work(system_highpri_wq, &pit->work);
	return HRTIMER_NORESTART;
}

/* lock held. HPET's legacy mode takes the interrupt away. */
static void arm(struct kvm_pit_device *pit)
{
	s64 edge;
	u64 period;

	if ((pit->model.state.flags & KVM_PIT_FLAGS_HPET_LEGACY) ||
	    !kvm_pit_next_edge(&pit->model, pit->last_edge, MIN_PERIOD_NS, &edge, &period)) {
		hrtimer_cancel(&pit->timer);
		return;
	}
	pit->last_edge = edge;
	hrtimer_start(&pit->timer, ns_to_ktime(edge), HRTIMER_MODE_ABS);
}

/* A new count: what was to come of the old one will not. lock held. */
static void restart(struct kvm_pit_device *pit)
{
	hrtimer_cancel(&pit->timer);
	atomic_set(&pit->pending, 0);
	WRITE_ONCE(pit->in_service, false);
	pit->last_edge = ktime_get_ns();
	arm(pit);
}

static void pit_work(struct work_struct *work)
{
	struct kvm_pit_device *pit = container_of(work, struct kvm_pit_device, work);
	struct kvm *kvm = pit->kvm;
	int ticks;

	mutex_lock(&pit->lock);
	if (!hrtimer_active(&pit->timer))
		arm(pit);
	ticks = atomic_read(&pit->pending);
	if (!ticks || (pit->reinject && READ_ONCE(pit->in_service)))
		ticks = 0;
	else if (pit->reinject)
		WRITE_ONCE(pit->in_service, true);
	else
		atomic_set(&pit->pending, 0);
	mutex_unlock(&pit->lock);

	if (ticks) {
		if (kvm_set_irq(kvm, KVM_PIT_IRQ_SOURCE_ID, PIT_GSI, 1, false) < 0) {
			/* Masked everywhere: nobody counts these ticks, and nobody will acknowledge. */
			WRITE_ONCE(pit->in_service, false);
			atomic_set(&pit->pending, 0);
		}
		kvm_set_irq(kvm, KVM_PIT_IRQ_SOURCE_ID, PIT_GSI, 0, false);
	}
}

bool kvm_pit_waits(struct kvm *kvm)
{
	struct kvm_pit_device *pit = READ_ONCE(kvm->arch.pit);

	return pit && READ_ONCE(pit->in_service);
}

/* The guest took a tick: the next one may come. */
static void pit_acked(struct kvm_irq_ack_notifier *notifier)
{
	struct kvm_pit_device *pit = container_of(notifier, struct kvm_pit_device, ack);

	if (!READ_ONCE(pit->reinject))
		return;
	WRITE_ONCE(pit->in_service, false);
	if (atomic_dec_if_positive(&pit->pending) > 0)
		queue_work(system_highpri_wq, &pit->work);
}

/* ---- ports ---------------------------------------------------------------------------------------- */

static int pit_read(struct kvm_pit_device *pit, gpa_t port, int len, void *val)
{
	bool ours;

	if (len != 1)
		return -EOPNOTSUPP;
	mutex_lock(&pit->lock);
	ours = kvm_pit_read(&pit->model, port, ktime_get_ns(), val);
	mutex_unlock(&pit->lock);
	return ours ? 0 : -EOPNOTSUPP;
}

static int pit_write(struct kvm_pit_device *pit, gpa_t port, int len, const void *val)
{
	bool ours, rearm = false;

	if (len != 1)
		return -EOPNOTSUPP;
	mutex_lock(&pit->lock);
	ours = kvm_pit_write(&pit->model, port, *(const u8 *)val, ktime_get_ns(), &rearm);
	if (rearm)
		restart(pit);
	mutex_unlock(&pit->lock);
	return ours ? 0 : -EOPNOTSUPP;
}

#define PIT_DEVICE(name)								\
static int name##_read(struct kvm_vcpu *vcpu, struct kvm_io_device *dev, gpa_t addr,	\
		       int len, void *val)						\
{											\
	return pit_read(container_of(dev, struct kvm_pit_device, name), addr, len, val); \
}											\
											\
static int name##_write(struct kvm_vcpu *vcpu, struct kvm_io_device *dev, gpa_t addr,	\
			int len, const void *val)					\
{											\
	return pit_write(container_of(dev, struct kvm_pit_device, name), addr, len, val); \
}											\
											\
static const struct kvm_io_device_ops name##_ops = {					\
	.read = name##_read,								\
	.write = name##_write,								\
};

PIT_DEVICE(ports)
PIT_DEVICE(speaker)

/* ---- life and ioctls ----------------------------------------------------------------------------------- */

/* kvm->lock held. */
int kvm_pit_create(struct kvm *kvm, u32 flags)
{
	struct kvm_pit_device *pit;
	int r;

	if (flags & ~KVM_PIT_SPEAKER_DUMMY)
		return -EINVAL;
	if (kvm->arch.pit)
		return -EEXIST;
	if (!kvm->arch.irqchips)
		return -ENOENT;
	pit = kzalloc(sizeof(*pit), GFP_KERNEL_ACCOUNT);
	if (!pit)
		return -ENOMEM;
	pit->kvm = kvm;
	mutex_init(&pit->lock);
	hrtimer_init(&pit->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	pit->timer.function = pit_timer;
	INIT_WORK(&pit->work, pit_work);
	pit->reinject = true;
	kvm_pit_reset(&pit->model);
	pit->ports.ops = &ports_ops;
	pit->speaker.ops = &speaker_ops;

	mutex_lock(&kvm->slots_lock);
	r = kvm_io_bus_register(kvm, KVM_PIO_BUS, KVM_PIT_PORT_DATA, 4, &pit->ports);
	if (!r && (flags & KVM_PIT_SPEAKER_DUMMY)) {
		r = kvm_io_bus_register(kvm, KVM_PIO_BUS, KVM_PIT_PORT_SPEAKER, 1, &pit->speaker);
		if (r)
			kvm_io_bus_unregister(kvm, KVM_PIO_BUS, &pit->ports);
	}
	mutex_unlock(&kvm->slots_lock);
	if (r) {
		synchronize_srcu(&kvm->srcu);
		kfree(pit);
		return r;
	}

	pit->ack.gsi = PIT_GSI;
	pit->ack.acked = pit_acked;
	kvm_irq_ack_register(kvm, &pit->ack);
	kvm->arch.pit = pit;
	mutex_lock(&pit->lock);
	restart(pit);
	mutex_unlock(&pit->lock);
	return 0;
}

/* The VM is going: nobody reaches the ports any more. */
void kvm_pit_stop(struct kvm *kvm)
{
	struct kvm_pit_device *pit = kvm->arch.pit;

	if (!pit)
		return;
	kvm_irq_ack_unregister(kvm, &pit->ack);
	hrtimer_cancel(&pit->timer);
	/* The work may arm the timer once more, and the timer queue the work. */
	do {
		cancel_work_sync(&pit->work);
	} while (hrtimer_cancel(&pit->timer));
	cancel_work_sync(&pit->work);
}

/* Stopped, and its ports off the bus. */
void kvm_pit_destroy(struct kvm *kvm)
{
	kfree(kvm->arch.pit);
	kvm->arch.pit = NULL;
}

static long get_state(struct kvm_pit_device *pit, void __user *argp, size_t size)
{
	struct kvm_pit_state2 state = { };

	mutex_lock(&pit->lock);
	kvm_pit_get_state(&pit->model, ktime_get_ns(), &state);
	mutex_unlock(&pit->lock);
	return copy_to_user(argp, &state, size) ? -EFAULT : 0;
}

static long set_state(struct kvm_pit_device *pit, void __user *argp, size_t size)
{
	struct kvm_pit_state2 state = { };

	if (copy_from_user(&state, argp, size))
		return -EFAULT;
	mutex_lock(&pit->lock);
	kvm_pit_set_state(&pit->model, ktime_get_ns(), &state);
	restart(pit);
	mutex_unlock(&pit->lock);
	return 0;
}

static long create_ioctl(struct kvm *kvm, void __user *argp)
{
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };
	long r;

	if (argp && copy_from_user(&config, argp, sizeof(config)))
		return -EFAULT;
	mutex_lock(&kvm->lock);
	r = kvm_pit_create(kvm, config.flags);
	mutex_unlock(&kvm->lock);
	return r;
}

static long reinject_ioctl(struct kvm_pit_device *pit, void __user *argp)
{
	struct kvm_reinject_control control;

	if (copy_from_user(&control, argp, sizeof(control)))
		return -EFAULT;
	mutex_lock(&pit->lock);
	WRITE_ONCE(pit->reinject, control.pit_reinject);
	WRITE_ONCE(pit->in_service, false);
	atomic_set(&pit->pending, 0);
	mutex_unlock(&pit->lock);
	return 0;
}

long kvm_pit_ioctl(struct kvm *kvm, unsigned int ioctl, void __user *argp)
{
	struct kvm_pit_device *pit;

	switch (ioctl) {
	case KVM_CREATE_PIT:
		return create_ioctl(kvm, NULL);
	case KVM_CREATE_PIT2:
		return create_ioctl(kvm, argp);
	case KVM_GET_PIT:
	case KVM_SET_PIT:
	case KVM_GET_PIT2:
	case KVM_SET_PIT2:
	case KVM_REINJECT_CONTROL:
		break;
	default:
		return -ENOTTY;
	}

	mutex_lock(&kvm->lock);
	pit = kvm->arch.pit;
	mutex_unlock(&kvm->lock);
	if (!pit)
		return -ENXIO;
	switch (ioctl) {
	case KVM_GET_PIT:
		return get_state(pit, argp, sizeof(struct kvm_pit_state));
	case KVM_SET_PIT:
		return set_state(pit, argp, sizeof(struct kvm_pit_state));
	case KVM_GET_PIT2:
		return get_state(pit, argp, sizeof(struct kvm_pit_state2));
	case KVM_SET_PIT2:
		return set_state(pit, argp, sizeof(struct kvm_pit_state2));
	default:
		return reinject_ioctl(pit, argp);
	}
}
