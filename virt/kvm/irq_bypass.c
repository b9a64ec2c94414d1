// SPDX-License-Identifier: GPL-2.0
/*
 * irqbypass: an irqfd whose eventfd a device's interrupt signals (VFIO) meets that interrupt here, and
 * the architecture may have it reach a vcpu past the host and past the eventfd. Owns who has met whom,
 * and sees that it is looked at again when routes change; what a route takes is the architecture's.
 * linux/irqbypass.h.
 *
 * The eventfd works all the time: what the architecture cannot, or can no longer, send past the host
 * comes that way.
 */
#include <linux/list.h>

#include "core.h"

/* Under irqbypass' own lock. */
static int add_producer(struct irq_bypass_consumer *consumer, struct irq_bypass_producer *producer)
{
	struct kvm_irq_bypass *bypass = container_of(consumer, struct kvm_irq_bypass, consumer);
	struct kvm *kvm = bypass->kvm;

	mutex_lock(&kvm->bypass_lock);
	bypass->host_irq = producer->irq;
	list_add_tail(&bypass->list, &kvm->bypasses);
	kvm_arch_bypass_update(kvm, bypass->host_irq, bypass->gsi);
	mutex_unlock(&kvm->bypass_lock);
	return 0;
}

static void del_producer(struct irq_bypass_consumer *consumer, struct irq_bypass_producer *producer)
{
	struct kvm_irq_bypass *bypass = container_of(consumer, struct kvm_irq_bypass, consumer);
	struct kvm *kvm = bypass->kvm;

	mutex_lock(&kvm->bypass_lock);
	list_del(&bypass->list);
	kvm_arch_bypass_end(kvm, bypass->host_irq, bypass->gsi);
	mutex_unlock(&kvm->bypass_lock);
}

/* That it fails, because another VM has the eventfd, is no error: the eventfd does without. */
void kvm_irq_bypass_register(struct kvm_irq_bypass *bypass, struct kvm *kvm, u32 gsi, void *token)
{
	if (!IS_ENABLED(CONFIG_IRQ_BYPASS_MANAGER) || !kvm_arch_can_bypass(kvm))
		return;
	bypass->kvm = kvm;
	bypass->gsi = gsi;
	bypass->consumer.token = token;
	bypass->consumer.add_producer = add_producer;
	bypass->consumer.del_producer = del_producer;
	bypass->registered = !irq_bypass_register_consumer(&bypass->consumer);
}

void kvm_irq_bypass_unregister(struct kvm_irq_bypass *bypass)
{
	if (IS_ENABLED(CONFIG_IRQ_BYPASS_MANAGER) && bypass->registered)
		irq_bypass_unregister_consumer(&bypass->consumer);
}

void kvm_irq_bypass_update(struct kvm *kvm)
{
	struct kvm_irq_bypass *bypass;

	/* Who is added after this look finds what has changed. */
	smp_mb();
	if (list_empty(&kvm->bypasses))
		return;
	mutex_lock(&kvm->bypass_lock);
	list_for_each_entry(bypass, &kvm->bypasses, list)
		kvm_arch_bypass_update(kvm, bypass->host_irq, bypass->gsi);
	mutex_unlock(&kvm->bypass_lock);
}
EXPORT_SYMBOL_GPL(kvm_irq_bypass_update);
