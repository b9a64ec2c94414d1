// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts of devices that the IOMMU posts to a vcpu: it puts the vector into the descriptor and sends
 * the notification that the descriptor names; processors do the same with IPIs (ipi.c). So the descriptor
 * has to say where the vcpu runs, that
 * nobody needs to be notified when it does not, or, for one that waits for an interrupt, how it is woken.
 * VT-d specification, 5.2 (hardware) and 5.2.5 (what software does when it schedules a vcpu).
 *
 * A vcpu that waits is on a list of the processor on which it went to sleep, whose handler for the
 * wake-up vector looks through that list. The list's lock is taken with a run queue's held; its owner
 * takes that of any other run queue to wake a vcpu. It does no harm: a processor takes its own list's in
 * the scheduler, with interrupts off, and the handler runs on none but that one.
 */
#include <linux/irq.h>
#include <linux/percpu.h>
#include <linux/rcuwait.h>
#include <asm/apic.h>
#include <asm/irq_remapping.h>
#include <asm/irq.h>
#include <asm/posted_intr.h>

#include "vmx.h"
#include "../irqchip/irqchip.h"

struct waiting_vcpus {
	raw_spinlock_t lock;		/* interrupts off */
	struct list_head list;		/* vcpu_vmx.waits_link */
};

static DEFINE_PER_CPU(struct waiting_vcpus, waiting);

/* Where the processor looks for the id of a destination depends on its mode: VT-d, 9.11. */
static u32 destination(int cpu)
{
	u32 id = per_cpu(x86_cpu_to_apicid, cpu);

	return x2apic_enabled() ? id : id << 8 & 0xff00;
}

/* The IOMMU changes the bit for news meanwhile. */
static bool set_control(struct pi_desc *desc, u8 vector, u32 ndst)
{
	struct pi_desc new;
	u64 old = READ_ONCE(desc->control);

	do {
		new.control = old;
		new.notifications &= ~BIT(POSTED_INTR_SN);
		new.nv = vector;
		new.ndst = ndst;
		if (new.control == old)
			return false;
	} while (!try_cmpxchg64(&desc->control, &old, new.control));
	return true;
}

/* ---- waiting ------------------------------------------------------------------------------------ */

static void stop_waiting(struct vcpu_vmx *vmx)
{
	struct waiting_vcpus *w = per_cpu_ptr(&waiting, vmx->waits_on);
	unsigned long flags;

	raw_spin_lock_irqsave(&w->lock, flags);
	list_del(&vmx->waits_link);
	raw_spin_unlock_irqrestore(&w->lock, flags);
	vmx->waits_on = -1;
}

/* By the scheduler, perhaps. What came before the vector was written gets its wake-up here. */
static void start_waiting(struct vcpu_vmx *vmx)
{
	struct pi_desc *desc = vmx_descriptor(vmx);
	struct waiting_vcpus *w = this_cpu_ptr(&waiting);
	unsigned long flags;

	local_irq_save(flags);
	raw_spin_lock_nested(&w->lock, SINGLE_DEPTH_NESTING);
	list_add_tail(&vmx->waits_link, &w->list);
	raw_spin_unlock(&w->lock);
	vmx->waits_on = smp_processor_id();
	set_control(desc, POSTED_INTR_WAKEUP_VECTOR, destination(vmx->waits_on));
	smp_mb();
	if (pi_test_on(desc))
		__apic_send_IPI_self(POSTED_INTR_WAKEUP_VECTOR);
	local_irq_restore(flags);
}

static void wake_here(bool all)
{
	struct waiting_vcpus *w = this_cpu_ptr(&waiting);
	struct vcpu_vmx *vmx;
	unsigned long flags;

	raw_spin_lock_irqsave(&w->lock, flags);
	list_for_each_entry(vmx, &w->list, waits_link)
		if (all || pi_test_on(vmx_descriptor(vmx)))
			kvm_vcpu_wake(&vmx->vcpu);
	raw_spin_unlock_irqrestore(&w->lock, flags);
}

static void wakeup_handler(void)
{
	wake_here(false);
}

/* The processor goes offline: they go to sleep again on another. */
void vmx_posted_cpu_disable(void)
{
	if (vmx_hw.posted)
		wake_here(true);
}

/* One that an interrupt would not wake need not hear of it. */
static bool waits_for_interrupt(struct kvm_vcpu *vcpu)
{
	return rcuwait_active(&vcpu->wait) && (vcpu->arch.rflags & X86_EFLAGS_IF) &&
	       (vcpu->arch.mp_state == KVM_MP_STATE_HALTED ||
		vcpu->arch.mp_state == KVM_MP_STATE_RUNNABLE);
}

/* ---- on a processor and off it ------------------------------------------------------------------ */

void vmx_posted_load(struct vcpu_vmx *vmx, int cpu)
{
	struct pi_desc *desc = vmx_descriptor(vmx);

	if (unlikely(vmx->waits_on >= 0))
		stop_waiting(vmx);
	/* What came while notifications were suppressed is no news yet. */
	if (set_control(desc, POSTED_INTR_VECTOR, destination(cpu)) && !pi_is_pir_empty(desc))
		pi_set_on(desc);
}

void vmx_posted_put(struct vcpu_vmx *vmx)
{
	if (likely(!READ_ONCE(vmx->vcpu.kvm->arch.hw_posts)))
		return;
	if (waits_for_interrupt(&vmx->vcpu))
		start_waiting(vmx);
	else
		pi_set_sn(vmx_descriptor(vmx));
}

/* ---- devices ------------------------------------------------------------------------------------ */

/* Those that sleep already do so again with the descriptor set. */
static void begin(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	int i;

	if (kvm->arch.hw_posts)
		return;
	WRITE_ONCE(kvm->arch.hw_posts, true);
	kvm_for_each_vcpu(i, vcpu, kvm)
		kvm_vcpu_wake(vcpu);
}

/* Where the host's interrupt controller cannot, or for no vcpu, the interrupt is the host's. */
void vmx_post_device(struct kvm *kvm, int host_irq, struct kvm_vcpu *vcpu, u8 vector)
{
	struct vcpu_data data = { .vector = vector };

	if (vcpu) {
		begin(kvm);
		data.pi_desc_addr = __pa(vmx_descriptor(to_vmx(vcpu)));
		if (!irq_set_vcpu_affinity(host_irq, &data))
			return;
	}
	irq_set_vcpu_affinity(host_irq, NULL);
}

void vmx_posted_setup(void)
{
	int cpu;

	kvm_hw.posts_devices = vmx_hw.posted;
	if (!vmx_hw.posted)
		return;
	for_each_possible_cpu(cpu) {
		raw_spin_lock_init(&per_cpu(waiting, cpu).lock);
		INIT_LIST_HEAD(&per_cpu(waiting, cpu).list);
	}
	kvm_set_posted_intr_wakeup_handler(wakeup_handler);
}

void vmx_posted_teardown(void)
{
	if (vmx_hw.posted)
		kvm_set_posted_intr_wakeup_handler(NULL);
}
