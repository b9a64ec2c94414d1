// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's time stamp counter: the host's, times a ratio where the processor can do that and the
 * guest's has another frequency, plus an offset. Owns arch.tsc_ratio, arch.tsc_offset and what decides
 * on the latter: writes by userspace, which are made to agree between the vcpus of a VM, and host
 * counters that step back. APM 2, 15.30.5; SDM 3, 18.17 and 26.6.5.
 */
#include <asm/tsc.h>

#include "../pv/pv.h"
#include "../x86.h"
#include "../trace.h"
#include "regs.h"

/* Frequencies that differ by less are the same: what calibration can tell apart. */
#define TSC_TOLERANCE_PPM	250

/* What gives a vcpu another counter: its creation, a write by userspace, a change of the frequency */
enum tsc_writer { TSC_BY_CREATION, TSC_BY_USER, TSC_BY_FREQUENCY };

void kvm_tsc_vm_init(struct kvm *kvm)
{
	raw_spin_lock_init(&kvm->arch.tsc_lock);
	kvm->arch.default_tsc_khz = tsc_khz;
}

u64 kvm_scale_tsc(const struct kvm_vcpu *vcpu, u64 host)
{
	if (likely(!vcpu->arch.tsc_ratio))
		return host;
	return mul_u64_u64_shr(host, vcpu->arch.tsc_ratio, kvm_hw.tsc_ratio_bits);
}

u64 kvm_guest_tsc(struct kvm_vcpu *vcpu)
{
	return kvm_scale_tsc(vcpu, rdtsc()) + vcpu->arch.tsc_offset;
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
 * zero joins a running VM. What vcpu creation wrote does not bind userspace's first write. Counters
 * of another ratio are never the same.
 */
static bool tsc_write_joins(struct kvm_vcpu *vcpu, u64 tsc, u64 now, enum tsc_writer writer)
{
	const struct kvm_arch *ka = &vcpu->kvm->arch;
	s64 distance = tsc - (now + ka->tsc_offset);

	if (!ka->tsc_generation || check_tsc_unstable() || ka->tsc_ratio != vcpu->arch.tsc_ratio)
		return false;
	if (!tsc)
		return true;
	if (writer == TSC_BY_CREATION || (writer == TSC_BY_USER && !ka->tsc_user_set))
		return false;
	return abs(distance) < (s64)vcpu->arch.tsc_khz * MSEC_PER_SEC;
}

static void tsc_synchronize(struct kvm_vcpu *vcpu, u64 tsc, enum tsc_writer writer)
{
	struct kvm_arch *ka = &vcpu->kvm->arch;
	unsigned long flags;
	u64 now, offset;

	raw_spin_lock_irqsave(&ka->tsc_lock, flags);
	now = kvm_scale_tsc(vcpu, rdtsc());
	if (!tsc_write_joins(vcpu, tsc, now, writer)) {
		ka->tsc_offset = tsc - now;
		ka->tsc_ratio = vcpu->arch.tsc_ratio;
		ka->tsc_generation++;
	}
	if (writer == TSC_BY_USER)
		ka->tsc_user_set = true;
	offset = ka->tsc_offset;
	raw_spin_unlock_irqrestore(&ka->tsc_lock, flags);

	kvm_tsc_set_offset(vcpu, offset);
}

/*
 * What makes the host's frequency @khz; false when the processor cannot. The ratio is 1 for frequencies
 * that are as good as the host's.
 */
static bool find_ratio(u32 khz, u64 *ratio)
{
	u64 tolerance = div_u64((u64)tsc_khz * TSC_TOLERANCE_PPM, 1000000);
	unsigned int bits = kvm_hw.tsc_ratio_bits;

	*ratio = 0;
	if (khz >= tsc_khz - tolerance && khz <= tsc_khz + tolerance)
		return true;
	if (!bits || khz >> (64 - bits) >= tsc_khz)
		return false;
	*ratio = mul_u64_u64_div_u64(1ull << bits, khz, tsc_khz);
	return *ratio;
}

/* The vendor reads the ratio when it makes the vcpu's state. */
void kvm_tsc_vcpu_init(struct kvm_vcpu *vcpu)
{
	vcpu->arch.tsc_khz = vcpu->kvm->arch.default_tsc_khz;
	find_ratio(vcpu->arch.tsc_khz, &vcpu->arch.tsc_ratio);
	tsc_synchronize(vcpu, 0, TSC_BY_CREATION);
}

void kvm_tsc_write(struct kvm_vcpu *vcpu, u64 tsc, bool host)
{
	u64 delta;

	if (host) {
		tsc_synchronize(vcpu, tsc, TSC_BY_USER);
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
	kvm_tsc_set_offset(vcpu, vcpu->arch.tsc_offset + kvm_scale_tsc(vcpu, vcpu->arch.last_host_tsc) -
				 kvm_scale_tsc(vcpu, now));
}

void kvm_tsc_vcpu_put(struct kvm_vcpu *vcpu)
{
	vcpu->arch.last_host_tsc = rdtsc();
}

bool kvm_tsc_khz_valid(u32 khz)
{
	u64 ratio;

	return find_ratio(khz, &ratio);
}

/* The guest's counter goes on from what it shows, and all vcpus of the new frequency are the same. */
int kvm_set_tsc_khz(struct kvm_vcpu *vcpu, u32 khz)
{
	u64 ratio, tsc;

	if (!khz)
		khz = tsc_khz;
	if (!find_ratio(khz, &ratio))
		return -EINVAL;
	vcpu->arch.tsc_khz = khz;
	if (ratio == vcpu->arch.tsc_ratio)
		return 0;
	tsc = kvm_guest_tsc(vcpu);
	vcpu->arch.tsc_ratio = ratio;
	kvm_x86_ops.write_tsc_ratio(vcpu);
	tsc_synchronize(vcpu, tsc, TSC_BY_FREQUENCY);
	return 0;
}
