// SPDX-License-Identifier: GPL-2.0
/*
 * IPIs that the processor sends by itself: a fixed interrupt to one physical id goes from the sender's
 * ICR straight into the receiver's posted-interrupt descriptor, which a table of the VM's finds by the
 * id, and the processor that the descriptor names is notified. An id that the table does not have, and
 * any other message, exits behind the write. SDM 3, 30.1.6 (IPI virtualization), 30.4.3.2 and 30.5
 * (which writes), 27.2.1.1 (what an entry demands).
 *
 * The table has whom the map of the VM's local APICs has for that id alone, if it is enabled by
 * software: a message to a disabled one is dropped, which only the model does.
 */
#include <linux/slab.h>

#include "vmx.h"
#include "../irqchip/irqchip.h"

#define VALID	BIT_ULL(0)

#define MAX_IDS	65536u		/* the last index has 16 bits */

static unsigned int table_size(const struct kvm *kvm)
{
	return min(kvm->arch.max_vcpu_ids, MAX_IDS);
}

/*
 * Before a vcpu is there. Descriptors have to say at any time where their vcpu is, as with an IOMMU
 * (posted_device.c).
 */
int vmx_ipi_prepare(struct kvm *kvm)
{
	int r = 0;

	if (!vmx_hw.ipiv || !kvm_has_irqchip(kvm))
		return 0;
	mutex_lock(&kvm->slots_lock);
	if (!kvm->arch.ipi_targets) {
		kvm->arch.ipi_targets = kcalloc(table_size(kvm), sizeof(u64), GFP_KERNEL_ACCOUNT);
		if (kvm->arch.ipi_targets)
			WRITE_ONCE(kvm->arch.hw_posts, true);
		else
			r = -ENOMEM;
	}
	mutex_unlock(&kvm->slots_lock);
	return r;
}

/* With an inbox. */
void vmx_ipi_reset(struct vcpu_vmx *vmx)
{
	struct kvm *kvm = vmx->vcpu.kvm;

	if (!vmx_hw.ipiv)
		return;
	vmcs_write(PID_POINTER_TABLE, __pa(kvm->arch.ipi_targets));
	vmcs_write(LAST_PID_POINTER_INDEX, table_size(kvm) - 1);
}

void vmx_ipi_switch(struct vcpu_vmx *vmx, bool on)
{
	u64 value = on ? TERTIARY_EXEC_IPI_VIRT : 0;

	if (!vmx_hw.ipiv || value == vmx->controls.cpu3)
		return;
	vmx->controls.cpu3 = value;
	vmcs_write(TERTIARY_VM_EXEC_CONTROL, value);
}

/* An xAPIC's id may be any of 8 bits, an x2APIC's is that of its vcpu. */
static unsigned int ids_in_use(struct kvm *kvm)
{
	unsigned int ids = 256;
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, kvm)
		ids = max_t(unsigned int, ids, vcpu->vcpu_id + 1);
	return min(ids, table_size(kvm));
}

/* A vcpu that is no target any more may still be sent what is on its way. */
void vmx_ipi_map_changed(struct kvm *kvm)
{
	struct apic_msg msg = { .mode = APIC_MSG_FIXED };
	u64 *targets = kvm->arch.ipi_targets, target;
	unsigned int ids = ids_in_use(kvm);
	struct kvm_vcpu *vcpu;

	if (!targets)
		return;
	for (msg.dest = 0; msg.dest < ids; msg.dest++) {
		vcpu = kvm_lapic_only_target(kvm, &msg);
		target = vcpu ? __pa(to_vmx(vcpu)->inbox) | VALID : 0;
		if (targets[msg.dest] != target)
			WRITE_ONCE(targets[msg.dest], target);
	}
}
