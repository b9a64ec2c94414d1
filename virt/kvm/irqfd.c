// SPDX-License-Identifier: GPL-2.0
/*
 * irqfd: signalling an eventfd raises a line of the VM. Owns what is assigned, from the eventfd's
 * wait queue to the route (irq_routing.c). The ABI is described in the API document, "KVM_IRQFD".
 *
 * Without resampling, a signal is an edge. Whoever signals delivers it there and then if the route
 * allows (with interrupts off, under the lock of the eventfd); otherwise a work item does.
 * With resampling the line stays high until the guest acknowledges the interrupt; then the line
 * goes down, and the resamplefd is signalled so that a device that still wants service asks again.
 *
 * An interrupt of an assigned device comes this way too, by the eventfd of VFIO, unless it is sent past
 * the host (irq_bypass.c).
 *
 * The end of an irqfd has one owner, whoever takes it off kvm->irqfds: a deassignment, the VM's
 * end, or the eventfd's last close. The latter happens under the eventfd's lock, so a work item
 * goes on from there.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/list.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "core.h"

/* A line held high until acknowledged, by all irqfds with resampling of one GSI together. */
struct resampler {
	struct kvm *kvm;
	struct kvm_irq_ack_notifier notifier;
	struct list_head irqfds;	/* readers hold kvm->srcu, changes resampler_lock */
	struct list_head list;		/* kvm->resamplers, resampler_lock */
};

struct irqfd {
	struct kvm *kvm;
	u32 gsi;
	struct eventfd_ctx *eventfd;
	wait_queue_entry_t wait;
	poll_table poll;
	struct list_head list;		/* kvm->irqfds, irqfds_lock; empty: has an owner */
	struct work_struct inject;
	struct work_struct shutdown;

	struct kvm_irq_bypass bypass;
	struct resampler *resampler;	/* or NULL */
	struct eventfd_ctx *resamplefd;
	struct list_head resampler_link;
};

static struct workqueue_struct *irqfd_wq;

/* ---- a signal arrives ----------------------------------------------------------------------- */

static void irqfd_deliver(struct irqfd *irqfd)
{
	struct kvm *kvm = irqfd->kvm;

	if (irqfd->resampler) {
		kvm_set_irq(kvm, KVM_RESAMPLER_IRQ_SOURCE_ID, irqfd->gsi, true, false);
		return;
	}
	kvm_set_irq(kvm, KVM_USERSPACE_IRQ_SOURCE_ID, irqfd->gsi, true, false);
	kvm_set_irq(kvm, KVM_USERSPACE_IRQ_SOURCE_ID, irqfd->gsi, false, false);
}

static void inject_work(struct work_struct *work)
{
	irqfd_deliver(container_of(work, struct irqfd, inject));
}

/* The eventfd's last file was closed. Under its lock, as is everything in irqfd_wake(). */
static void irqfd_orphaned(struct irqfd *irqfd)
{
	struct kvm *kvm = irqfd->kvm;
	unsigned long flags;

	spin_lock_irqsave(&kvm->irqfds_lock, flags);
	if (!list_empty(&irqfd->list)) {
		list_del_init(&irqfd->list);
		queue_work(irqfd_wq, &irqfd->shutdown);
	}
	spin_unlock_irqrestore(&kvm->irqfds_lock, flags);
}

/* Returns whether the signal is used up: nobody who waits after us is told then. */
static int irqfd_wake(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct irqfd *irqfd = container_of(wait, struct irqfd, wait);
	__poll_t events = key_to_poll(key);
	int used = 0;
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(irqfd->eventfd, &count);
		if (irqfd->resampler ||
		    kvm_pulse_irq_fast(irqfd->kvm, KVM_USERSPACE_IRQ_SOURCE_ID,
				       irqfd->gsi) == -EWOULDBLOCK)
			queue_work(irqfd_wq, &irqfd->inject);
		used = 1;
	}
	if (events & EPOLLHUP)
		irqfd_orphaned(irqfd);
	return used;
}

static void irqfd_queue_proc(struct file *file, wait_queue_head_t *head, poll_table *poll)
{
	struct irqfd *irqfd = container_of(poll, struct irqfd, poll);

	add_wait_queue_priority(head, &irqfd->wait);
}

/* ---- resampling ----------------------------------------------------------------------------- */

static void resampler_acked(struct kvm_irq_ack_notifier *notifier)
{
	struct resampler *resampler = container_of(notifier, struct resampler, notifier);
	struct kvm *kvm = resampler->kvm;
	struct irqfd *irqfd;

	kvm_set_irq(kvm, KVM_RESAMPLER_IRQ_SOURCE_ID, notifier->gsi, false, false);
	list_for_each_entry_srcu(irqfd, &resampler->irqfds, resampler_link,
				 srcu_read_lock_held(&kvm->srcu))
		eventfd_signal(irqfd->resamplefd);
}

static struct resampler *resampler_find(struct kvm *kvm, u32 gsi)
{
	struct resampler *resampler;

	list_for_each_entry(resampler, &kvm->resamplers, list)
		if (resampler->notifier.gsi == gsi)
			return resampler;
	return NULL;
}

static struct resampler *resampler_create(struct kvm *kvm, u32 gsi)
{
	struct resampler *resampler = kzalloc(sizeof(*resampler), GFP_KERNEL_ACCOUNT);

	if (!resampler)
		return NULL;
	resampler->kvm = kvm;
	resampler->notifier.gsi = gsi;
	resampler->notifier.acked = resampler_acked;
	INIT_LIST_HEAD(&resampler->irqfds);
	list_add(&resampler->list, &kvm->resamplers);
	kvm_irq_ack_register(kvm, &resampler->notifier);
	return resampler;
}

static int resampler_join(struct irqfd *irqfd)
{
	struct kvm *kvm = irqfd->kvm;
	struct resampler *resampler;

	mutex_lock(&kvm->resampler_lock);
	resampler = resampler_find(kvm, irqfd->gsi);
	if (!resampler)
		resampler = resampler_create(kvm, irqfd->gsi);
	if (resampler) {
		irqfd->resampler = resampler;
		list_add_rcu(&irqfd->resampler_link, &resampler->irqfds);
	}
	mutex_unlock(&kvm->resampler_lock);
	return resampler ? 0 : -ENOMEM;
}

static void resampler_leave(struct irqfd *irqfd)
{
	struct resampler *resampler = irqfd->resampler;
	struct kvm *kvm = irqfd->kvm;

	mutex_lock(&kvm->resampler_lock);
	list_del_rcu(&irqfd->resampler_link);
	if (list_empty(&resampler->irqfds)) {
		list_del(&resampler->list);
		/* Waits for those who are reading the list of irqfds, too. */
		kvm_irq_ack_unregister(kvm, &resampler->notifier);
		kvm_set_irq(kvm, KVM_RESAMPLER_IRQ_SOURCE_ID, irqfd->gsi, false, false);
		kfree(resampler);
	} else {
		synchronize_srcu_expedited(&kvm->srcu);
	}
	mutex_unlock(&kvm->resampler_lock);
}

/* ---- the end of an irqfd -------------------------------------------------------------------- */

static void irqfd_free(struct irqfd *irqfd)
{
	if (irqfd->resamplefd)
		eventfd_ctx_put(irqfd->resamplefd);
	eventfd_ctx_put(irqfd->eventfd);
	kfree(irqfd);
}

/* The caller took it off kvm->irqfds. */
static void irqfd_shutdown(struct irqfd *irqfd)
{
	u64 count;

	kvm_irq_bypass_unregister(&irqfd->bypass);
	eventfd_ctx_remove_wait_queue(irqfd->eventfd, &irqfd->wait, &count);
	/* A signal that came before the end is delivered. */
	if (cancel_work_sync(&irqfd->inject))
		irqfd_deliver(irqfd);
	if (irqfd->resampler)
		resampler_leave(irqfd);
	irqfd_free(irqfd);
}

static void shutdown_work(struct work_struct *work)
{
	irqfd_shutdown(container_of(work, struct irqfd, shutdown));
}

static void shutdown_list(struct list_head *list)
{
	struct irqfd *irqfd;

	while (!list_empty(list)) {
		irqfd = list_first_entry(list, struct irqfd, list);
		list_del_init(&irqfd->list);
		irqfd_shutdown(irqfd);
	}
}

/* ---- assign and deassign, under kvm->lock --------------------------------------------------- */

static struct irqfd *irqfd_create(struct kvm *kvm, const struct kvm_irqfd *args, struct file *file)
{
	struct irqfd *irqfd;
	int r;

	irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	if (!irqfd)
		return ERR_PTR(-ENOMEM);
	irqfd->kvm = kvm;
	irqfd->gsi = args->gsi;
	INIT_LIST_HEAD(&irqfd->list);
	INIT_WORK(&irqfd->inject, inject_work);
	INIT_WORK(&irqfd->shutdown, shutdown_work);
	init_waitqueue_func_entry(&irqfd->wait, irqfd_wake);
	init_poll_funcptr(&irqfd->poll, irqfd_queue_proc);

	irqfd->eventfd = eventfd_ctx_fileget(file);
	if (IS_ERR(irqfd->eventfd)) {
		r = PTR_ERR(irqfd->eventfd);
		goto err_free;
	}
	if (args->flags & KVM_IRQFD_FLAG_RESAMPLE) {
		irqfd->resamplefd = eventfd_ctx_fdget(args->resamplefd);
		if (IS_ERR(irqfd->resamplefd)) {
			r = PTR_ERR(irqfd->resamplefd);
			goto err_eventfd;
		}
	}
	return irqfd;

err_eventfd:
	eventfd_ctx_put(irqfd->eventfd);
err_free:
	kfree(irqfd);
	return ERR_PTR(r);
}

/* An eventfd raises one line of a VM. */
static bool eventfd_in_use(struct kvm *kvm, const struct eventfd_ctx *eventfd)
{
	struct irqfd *irqfd;
	bool found = false;

	spin_lock_irq(&kvm->irqfds_lock);
	list_for_each_entry(irqfd, &kvm->irqfds, list)
		found |= irqfd->eventfd == eventfd;
	spin_unlock_irq(&kvm->irqfds_lock);
	return found;
}

/* The caller's hold on @file keeps the eventfd from ending meanwhile. */
static int assign_locked(struct kvm *kvm, const struct kvm_irqfd *args, struct file *file)
{
	struct irqfd *irqfd = irqfd_create(kvm, args, file);
	int r;

	if (IS_ERR(irqfd))
		return PTR_ERR(irqfd);
	r = -EBUSY;
	if (eventfd_in_use(kvm, irqfd->eventfd))
		goto err;
	if (irqfd->resamplefd) {
		r = resampler_join(irqfd);
		if (r)
			goto err;
	}

	kvm->irqfds_used = true;
	spin_lock_irq(&kvm->irqfds_lock);
	list_add_tail(&irqfd->list, &kvm->irqfds);
	spin_unlock_irq(&kvm->irqfds_lock);
	/* From here on signals arrive; one may be there already. */
	if (vfs_poll(file, &irqfd->poll) & EPOLLIN)
		queue_work(irqfd_wq, &irqfd->inject);
	kvm_irq_bypass_register(&irqfd->bypass, kvm, irqfd->gsi, irqfd->eventfd);
	return 0;

err:
	irqfd_free(irqfd);
	return r;
}

static int irqfd_assign(struct kvm *kvm, const struct kvm_irqfd *args)
{
	struct fd f;
	int r;

	if (!kvm_arch_can_route(kvm) ||
	    ((args->flags & KVM_IRQFD_FLAG_RESAMPLE) && !kvm_arch_can_resample(kvm)))
		return -EINVAL;
	f = fdget(args->fd);
	if (!fd_file(f))
		return -EBADF;
	mutex_lock(&kvm->lock);
	r = assign_locked(kvm, args, fd_file(f));
	mutex_unlock(&kvm->lock);
	fdput(f);
	return r;
}

/* That there is no such irqfd is no error. */
static int irqfd_deassign(struct kvm *kvm, const struct kvm_irqfd *args)
{
	struct eventfd_ctx *eventfd = eventfd_ctx_fdget(args->fd);
	struct irqfd *irqfd, *next;
	LIST_HEAD(ended);

	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);
	mutex_lock(&kvm->lock);
	spin_lock_irq(&kvm->irqfds_lock);
	list_for_each_entry_safe(irqfd, next, &kvm->irqfds, list)
		if (irqfd->eventfd == eventfd && irqfd->gsi == args->gsi)
			list_move(&irqfd->list, &ended);
	spin_unlock_irq(&kvm->irqfds_lock);
	shutdown_list(&ended);
	mutex_unlock(&kvm->lock);
	eventfd_ctx_put(eventfd);
	return 0;
}

/* ---- the rest of the core ------------------------------------------------------------------- */

int kvm_irqfd_set(struct kvm *kvm, const struct kvm_irqfd *args)
{
	if (args->flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return -EINVAL;
	return args->flags & KVM_IRQFD_FLAG_DEASSIGN ? irqfd_deassign(kvm, args) :
						       irqfd_assign(kvm, args);
}

/* The VM's file is closed, so none is assigned any more; vcpus may be running. */
void kvm_irqfds_release(struct kvm *kvm)
{
	LIST_HEAD(ended);

	if (!kvm->irqfds_used)
		return;
	spin_lock_irq(&kvm->irqfds_lock);
	list_splice_init(&kvm->irqfds, &ended);
	spin_unlock_irq(&kvm->irqfds_lock);
	shutdown_list(&ended);
	/* Those whose eventfd ended first. */
	flush_workqueue(irqfd_wq);
}

int kvm_irqfd_module_init(void)
{
	irqfd_wq = alloc_workqueue("kvm-irqfd", 0, 0);
	return irqfd_wq ? 0 : -ENOMEM;
}

void kvm_irqfd_module_exit(void)
{
	destroy_workqueue(irqfd_wq);
}
