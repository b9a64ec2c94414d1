// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's time stamp counter: the host's plus an offset. Owns arch.tsc_offset and what decides
 * on it: writes by userspace, which are made to agree between the vcpus of a VM, and host counters
 * that step back. A guest counter of another frequency than the host's is not provided. APM 2,
 * 15.30.5; SDM 3, 18.17.
 */
#include <asm/tsc.h>

#include "../pv/pv.h"
#include "../x86.h"
#include "../trace.h"
#include "regs.h"

/* Frequencies that differ by less are the same: what calibration can tell apart. */
#define TSC_TOLERANCE_PPM	250

void kvm_tsc_vm_init(struct kvm *kvm)
{
	raw_spin_lock_init(&kvm->arch.tsc_lock);
	kvm->arch.default_tsc_khz = tsc_khz;
}

u64 kvm_guest_tsc(struct kvm_vcpu *vcpu)
{
	return rdtsc() + vcpu->arch.tsc_offset;
}

void kvm_tsc_set_offset(struct kvm_vcpu *vcpu, u64 offset)
{
	trace_kvm_write_tsc_offset(vcpu->vcpu_id, vcpu->arch.tsc_offset, offset);
	vcpu->arch.tsc_offset = offset;
	kvm_x86_ops.write_tsc_offset(vcpu, offset);
	kvm_clock_tsc_changed(vcpu);
}

/*
 * Does a write of @tsc mean "the same as the other vcpus"? Userspace writes them one after the
 * other, so that values within a second of what the VM's counter shows now are taken for it. A
 * zero joins a running VM. What vcpu creation wrote does not bind userspace's first write.
 */
static bool tsc_write_joins(struct kvm *kvm, u64 tsc, u64 now, bool created)
{
	s64 distance = tsc - (now + kvm->arch.tsc_offset);

	if (!kvm->arch.tsc_generation || check_tsc_unstable())
		return false;
	if (!tsc)
		return true;
	return !created && kvm->arch.tsc_user_set &&
	       abs(distance) < (s64)kvm->arch.default_tsc_khz * MSEC_PER_SEC;
}

static void tsc_synchronize(struct kvm_vcpu *vcpu, u64 tsc, bool created)
{
	struct kvm_arch *ka = &vcpu->kvm->arch;
	unsigned long flags;
	u64 now, offset;

	raw_spin_lock_irqsave(&ka->tsc_lock, flags);
	now = rdtsc();
	if (!tsc_write_joins(vcpu->kvm, tsc, now, created)) {
		ka->tsc_offset = tsc - now;
		ka->tsc_generation++;
	}
	if (!created)
		ka->tsc_user_set = true;
	offset = ka->tsc_offset;
	raw_spin_unlock_irqrestore(&ka->tsc_lock, flags);

	kvm_tsc_set_offset(vcpu, offset);
}

void kvm_tsc_vcpu_init(struct kvm_vcpu *vcpu)
{
	vcpu->arch.tsc_khz = vcpu->kvm->arch.default_tsc_khz;
	tsc_synchronize(vcpu, 0, true);
}

void kvm_tsc_write(struct kvm_vcpu *vcpu, u64 tsc, bool host)
{
	u64 delta;

	if (host) {
		tsc_synchronize(vcpu, tsc, false);
		return;
	}
	/* The guest's own write also shows in TSC_ADJUST (SDM 3, 18.17.3). */
	delta = tsc - kvm_guest_tsc(vcpu);
	vcpu->arch.ia32_tsc_adjust += delta;
	kvm_tsc_set_offset(vcpu, vcpu->arch.tsc_offset + delta);
}

/*
 * Another processor's counter, or this one's after a suspend, may be behind what the guest has
 * seen: the guest's must not step back.
 */
void kvm_tsc_vcpu_load(struct kvm_vcpu *vcpu, int cpu)
{
	u64 now = rdtsc();

	if (likely(now >= vcpu->arch.last_host_tsc))
		return;
	kvm_clock_host_tsc_lost(vcpu->kvm);
	kvm_tsc_set_offset(vcpu, vcpu->arch.tsc_offset + vcpu->arch.last_host_tsc - now);
}

void kvm_tsc_vcpu_put(struct kvm_vcpu *vcpu)
{
	vcpu->arch.last_host_tsc = rdtsc();
}

bool kvm_tsc_khz_valid(u32 khz)
{
	u64 tolerance = div_u64((u64)tsc_khz * TSC_TOLERANCE_PPM, 1000000);

	return khz >= tsc_khz - tolerance && khz <= tsc_khz + tolerance;
}

int kvm_set_tsc_khz(struct kvm_vcpu *vcpu, u32 khz)
{
	if (!khz)
		khz = tsc_khz;
	if (!kvm_tsc_khz_valid(khz))
		return -EINVAL;
	vcpu->arch.tsc_khz = khz;
	return 0;
}
