// SPDX-License-Identifier: GPL-2.0
/*
 * A device and an IOMMU for tests of irqbypass: /dev/irqpost has an interrupt that signals an eventfd, or
 * is posted as VT-d's hardware does it (VT-d specification, 5.2.3) when whoever consumes the eventfd has
 * told the interrupt's controller where. No emulated host has such hardware.
 */
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/irq.h>
#include <linux/irqbypass.h>
#include <linux/irqdesc.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/apic.h>
#include <asm/irq_remapping.h>
#include <asm/posted_intr.h>

#include "irqpost.h"

struct irqpost {
	struct mutex lock;
	int irq;
	struct eventfd_ctx *eventfd;	/* lock; NULL: not attached */
	struct irq_bypass_producer producer;

	raw_spinlock_t target_lock;
	struct pi_desc *target;		/* target_lock; NULL: the eventfd */
	u32 vector, changes;
};

static int set_affinity(struct irq_data *data, void *info)
{
	struct irqpost *post = irq_data_get_irq_chip_data(data);
	struct vcpu_data *vcpu = info;
	unsigned long flags;

	raw_spin_lock_irqsave(&post->target_lock, flags);
	post->changes++;
	post->target = vcpu ? phys_to_virt(vcpu->pi_desc_addr) : NULL;
	post->vector = vcpu ? vcpu->vector : 0;
	raw_spin_unlock_irqrestore(&post->target_lock, flags);
	return 0;
}

static void nothing(struct irq_data *data)
{
}

static struct irq_chip irqpost_chip = {
	.name = "irqpost",
	.irq_mask = nothing,
	.irq_unmask = nothing,
	.irq_set_vcpu_affinity = set_affinity,
};

/* A notification goes where the descriptor says. */
static void notify(u64 control)
{
	struct pi_desc d = { .control = control };
	u32 id = x2apic_enabled() ? d.ndst : d.ndst >> 8 & 0xff;
	int cpu;

	for_each_online_cpu(cpu) {
		if (per_cpu(x86_cpu_to_apicid, cpu) == id)
			__apic_send_IPI_mask(cpumask_of(cpu), d.nv);
	}
}

/* The vector, then the news, unless there is some already or it is not wanted: one atomic operation. */
static void post(struct pi_desc *d, u32 vector)
{
	u64 old, new;

	pi_test_and_set_pir(vector, d);
	old = READ_ONCE(d->control);
	do {
		if (old & (BIT(POSTED_INTR_ON) | BIT(POSTED_INTR_SN)))
			return;
		new = old | BIT(POSTED_INTR_ON);
	} while (!try_cmpxchg64(&d->control, &old, new));
	notify(new);
}

static long fire(struct irqpost *p)
{
	unsigned long flags;
	bool posted;

	raw_spin_lock_irqsave(&p->target_lock, flags);
	posted = p->target;
	if (posted)
		post(p->target, p->vector);
	raw_spin_unlock_irqrestore(&p->target_lock, flags);
	if (!posted && p->eventfd)
		eventfd_signal(p->eventfd);
	return posted;
}

static void detach(struct irqpost *p)
{
	if (!p->eventfd)
		return;
	irq_bypass_unregister_producer(&p->producer);
	eventfd_ctx_put(p->eventfd);
	p->eventfd = NULL;
}

static long attach(struct irqpost *p, int __user *arg)
{
	int fd, r;

	if (get_user(fd, arg))
		return -EFAULT;
	if (p->eventfd)
		return -EBUSY;
	p->eventfd = eventfd_ctx_fdget(fd);
	if (IS_ERR(p->eventfd)) {
		r = PTR_ERR(p->eventfd);
		p->eventfd = NULL;
		return r;
	}
	p->producer = (struct irq_bypass_producer) { .token = p->eventfd, .irq = p->irq };
	r = irq_bypass_register_producer(&p->producer);
	if (r) {
		eventfd_ctx_put(p->eventfd);
		p->eventfd = NULL;
	}
	return r;
}

static long tell_state(struct irqpost *p, struct irqpost_state __user *arg)
{
	struct irqpost_state state = { };
	unsigned long flags;

	raw_spin_lock_irqsave(&p->target_lock, flags);
	state.posted = !!p->target;
	state.vector = p->vector;
	state.changes = p->changes;
	if (p->target) {
		state.suppressed = pi_test_sn(p->target);
		state.notification = p->target->nv;
	}
	raw_spin_unlock_irqrestore(&p->target_lock, flags);
	return copy_to_user(arg, &state, sizeof(state)) ? -EFAULT : 0;
}

static long irqpost_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct irqpost *p = file->private_data;
	long r = 0;

	mutex_lock(&p->lock);
	switch (cmd) {
	case IRQPOST_ATTACH:
		r = attach(p, (int __user *)arg);
		break;
	case IRQPOST_DETACH:
		detach(p);
		break;
	case IRQPOST_FIRE:
		r = fire(p);
		break;
	case IRQPOST_STATE:
		r = tell_state(p, (struct irqpost_state __user *)arg);
		break;
	default:
		r = -ENOTTY;
	}
	mutex_unlock(&p->lock);
	return r;
}

static int irqpost_open(struct inode *inode, struct file *file)
{
	struct irqpost *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		return -ENOMEM;
	mutex_init(&p->lock);
	raw_spin_lock_init(&p->target_lock);
	p->irq = irq_alloc_desc(NUMA_NO_NODE);
	if (p->irq < 0) {
		kfree(p);
		return -ENOSPC;
	}
	irq_set_chip_and_handler(p->irq, &irqpost_chip, handle_simple_irq);
	irq_set_chip_data(p->irq, p);
	file->private_data = p;
	return 0;
}

static int irqpost_release(struct inode *inode, struct file *file)
{
	struct irqpost *p = file->private_data;

	detach(p);
	irq_free_desc(p->irq);
	kfree(p);
	return 0;
}

static const struct file_operations irqpost_fops = {
	.owner = THIS_MODULE,
	.open = irqpost_open,
	.release = irqpost_release,
	.unlocked_ioctl = irqpost_ioctl,
};

static struct miscdevice irqpost_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "irqpost",
	.fops = &irqpost_fops,
};
module_misc_device(irqpost_device);

MODULE_DESCRIPTION("a device and an IOMMU that posts its interrupts, for tests");
MODULE_LICENSE("GPL");
