// SPDX-License-Identifier: GPL-2.0
/*
 * kvmclock: nanoseconds that the VM has been there, which a guest computes from its TSC with the
 * help of a page in its memory, and the time of day at the clock's zero. Owns kvm->arch.clock,
 * vcpu->arch.clock and the four MSRs; the TSC itself is cpu/tsc.c's. The pages' layout is in
 * asm/pvclock-abi.h, the MSRs and ioctls are described in Documentation/virt/kvm/x86/clock.rst.
 *
 * While the host's own time comes from TSCs that are in step, one moment - a reading of the host's
 * TSC and of the clock, taken together - serves all vcpus for good: their pages differ by their
 * TSC offsets only. Otherwise each vcpu has a moment of its own, taken anew now and then.
 */
#include <linux/clocksource_ids.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <asm/pvclock.h>
#include <asm/tsc.h>

#include "../x86.h"
#include "pv.h"
#include "xen.h"

#define CLOCK_FLAGS	(KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC)

/* ---- the host's time ------------------------------------------------------------------------- */

/* All of the host's clocks at once, with interrupts off. */
struct host_moment {
	u64 tsc;
	u64 base;	/* not slewed, as the TSC is not, and with the time that the host slept */
	u64 real;
	bool exact;	/* the clocks are the TSC's: it is constant and the same everywhere */
};

static void host_moment_take(struct host_moment *m)
{
	struct system_time_snapshot snap;

	ktime_get_snapshot(&snap);
	m->exact = snap.cs_id == CSID_X86_TSC && !check_tsc_unstable();
	m->tsc = m->exact ? snap.cycles : rdtsc();
	m->base = ktime_to_ns(ktime_mono_to_any(snap.raw, TK_OFFS_BOOT));
	m->real = ktime_to_ns(snap.real);
}

/* With as many bits in mul as it holds. */
static struct kvm_clock_scale scale_of(u32 khz)
{
	u64 ratio = div_u64((u64)NSEC_PER_MSEC << 32, max(khz, 1u));
	struct kvm_clock_scale scale = { };

	while (ratio > U32_MAX) {
		ratio >>= 1;
		scale.shift++;
	}
	/* Divided again, for the bits that the shift would not bring. */
	while (scale.shift <= 0 && ratio <= U32_MAX / 2 && scale.shift > -10) {
		scale.shift--;
		ratio = div_u64((u64)NSEC_PER_MSEC << (32 - scale.shift), max(khz, 1u));
	}
	scale.mul = ratio;
	return scale;
}

/* Nanoseconds in so many cycles of the TSC, to the bit as the guest computes them. */
static u64 cycles_to_ns(struct kvm_clock_scale scale, u64 cycles)
{
	return pvclock_scale_delta(cycles, scale.mul, scale.shift);
}

/* The clock at that moment. clock->lock is held. */
static u64 clock_at(const struct kvm_vm_clock *clock, const struct host_moment *m)
{
	if (!clock->shared)
		return m->base + clock->offset;
	/* Readings of two processors may be a few cycles apart. */
	return clock->ns + cycles_to_ns(clock->scale, max_t(s64, m->tsc - clock->tsc, 0));
}

static void share_moment(struct kvm_vm_clock *clock, const struct host_moment *m)
{
	clock->ns = m->base + clock->offset;
	clock->tsc = m->tsc;
	clock->shared = true;
}

/*
 * One moment for all vcpus as soon as the host's clock allows it, none any more when the TSC turned
 * out bad. True when pages filled before are out of date. clock->lock is held.
 */
static bool clock_settle(struct kvm_vm_clock *clock, const struct host_moment *m)
{
	if (clock->shared && check_tsc_unstable()) {
		clock->offset = clock_at(clock, m) - m->base;
		clock->shared = false;
		return true;
	}
	if (!clock->shared && m->exact) {
		share_moment(clock, m);
		return true;
	}
	return false;
}

/* Do all vcpus see the same counter? clock->lock is held. */
static bool tscs_in_step(struct kvm *kvm)
{
	struct kvm_vm_clock *clock = &kvm->arch.clock;
	struct kvm_vcpu *vcpu, *first = kvm_get_vcpu(kvm, 0);
	int i;

	if (!first)
		return false;
	if (!clock->step_known) {
		clock->step_known = true;
		clock->in_step = true;
		kvm_for_each_vcpu(i, vcpu, kvm)
			clock->in_step &= READ_ONCE(vcpu->arch.tsc_offset) ==
					  READ_ONCE(first->arch.tsc_offset) &&
					  READ_ONCE(vcpu->arch.tsc_ratio) ==
					  READ_ONCE(first->arch.tsc_ratio);
	}
	return clock->in_step;
}

/* ---- the guest's pages ----------------------------------------------------------------------- */

static bool own_page_wanted(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.clock.msr & KVM_MSR_ENABLED;
}

static struct kvm_place own_page(struct kvm_vcpu *vcpu)
{
	return (struct kvm_place) { .address = vcpu->arch.clock.msr & ~(u64)KVM_MSR_ENABLED };
}

static bool page_wanted(struct kvm_vcpu *vcpu)
{
	return own_page_wanted(vcpu) || kvm_xen_has_clock(vcpu);
}

/* What the page shows when the host's TSC is @host_tsc. */
static u64 page_reading(struct kvm_vcpu *vcpu, u64 host_tsc)
{
	struct kvm_vcpu_clock *c = &vcpu->arch.clock;
	s64 cycles = kvm_scale_tsc(vcpu, host_tsc) - kvm_scale_tsc(vcpu, c->tsc);

	return c->ns + cycles_to_ns(c->scale, max_t(s64, cycles, 0));
}

/*
 * A moment of this vcpu's own, not before what the guest has seen; clock->lock is held. Numbers of
 * a clock that userspace set anew, or of another counter, do not bind it.
 */
static void take_own_moment(struct kvm_vcpu *vcpu, const struct host_moment *m)
{
	struct kvm_vm_clock *clock = &vcpu->kvm->arch.clock;
	struct kvm_vcpu_clock *c = &vcpu->arch.clock;

	if (c->generation != clock->generation)
		c->seen = 0;
	else if (c->cpu == smp_processor_id() && c->tsc_offset == vcpu->arch.tsc_offset)
		c->seen = max(c->seen, page_reading(vcpu, m->tsc));
	c->tsc = m->tsc;
	c->ns = max(clock_at(clock, m), c->seen);
}

/* Interrupts are off. True when the pages of other vcpus are to change as well. */
static bool fill_page(struct kvm_vcpu *vcpu, struct pvclock_vcpu_time_info *page)
{
	struct kvm_vm_clock *clock = &vcpu->kvm->arch.clock;
	struct kvm_vcpu_clock *c = &vcpu->arch.clock;
	struct host_moment m;
	bool changed;

	raw_spin_lock(&clock->lock);
	host_moment_take(&m);
	changed = clock_settle(clock, &m);
	if (clock->shared) {
		c->tsc = clock->tsc;
		c->ns = clock->ns;
		if (tscs_in_step(vcpu->kvm))
			page->flags |= PVCLOCK_TSC_STABLE_BIT;
	} else {
		take_own_moment(vcpu, &m);
	}
	c->generation = clock->generation;
	raw_spin_unlock(&clock->lock);

	c->cpu = smp_processor_id();
	c->written = m.tsc;
	c->shared = clock->shared;
	c->tsc_offset = vcpu->arch.tsc_offset;
	page->tsc_timestamp = kvm_scale_tsc(vcpu, c->tsc) + c->tsc_offset;
	page->system_time = c->ns;
	page->tsc_to_system_mul = c->scale.mul;
	page->tsc_shift = c->scale.shift;
	return changed;
}

int kvm_place_read(struct kvm *kvm, struct kvm_place from, void *data, unsigned int len)
{
	if (!from.user)
		return kvm_vm_guest_read(kvm, from.address, data, len);
	return copy_from_user(data, (void __user *)from.address, len) ? -EFAULT : 0;
}

int kvm_place_write(struct kvm *kvm, struct kvm_place to, const void *data, unsigned int len)
{
	if (!to.user)
		return kvm_vm_guest_write(kvm, to.address, data, len);
	return copy_to_user((void __user *)to.address, data, len) ? -EFAULT : 0;
}

/*
 * What begins with a version is written, and then goes on to the next one, which is even. Readers look
 * at the version before and after, and other vcpus may be reading: it is odd while the rest changes.
 * A guest that gave an address where there is no memory gets no clock.
 */
static int write_versioned(struct kvm *kvm, struct kvm_place at, void *data, unsigned int len)
{
	u32 *version = data;

	if (kvm_place_write(kvm, at, version, sizeof(*version)))
		return -EFAULT;
	smp_wmb();
	if (kvm_place_write(kvm, at, data, len))
		return -EFAULT;
	smp_wmb();
	++*version;
	return kvm_place_write(kvm, at, version, sizeof(*version));
}

/* The version goes on from what is there, which may be another host's; so does a flag. */
static void write_page(struct kvm_vcpu *vcpu, struct kvm_place at,
		       const struct pvclock_vcpu_time_info *reading, bool stopped)
{
	struct pvclock_vcpu_time_info page, old;

	if (kvm_place_read(vcpu->kvm, at, &old, sizeof(old)))
		return;
	page = *reading;
	page.version = (old.version + 1) | 1;
	page.flags |= old.flags & PVCLOCK_GUEST_STOPPED;
	if (stopped)
		page.flags |= PVCLOCK_GUEST_STOPPED;
	write_versioned(vcpu->kvm, at, &page, sizeof(page));
}

static void write_xen_pages(struct kvm_vcpu *vcpu, struct pvclock_vcpu_time_info *reading)
{
	struct kvm_place place[2];
	unsigned int i, n = kvm_xen_clock_places(vcpu, place);

	if (READ_ONCE(vcpu->kvm->arch.xen.config.flags) & KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE)
		reading->flags &= ~PVCLOCK_TSC_STABLE_BIT;
	for (i = 0; i < n; i++)
		write_page(vcpu, place[i], reading, false);
}

void kvm_clock_update(struct kvm_vcpu *vcpu)
{
	struct pvclock_vcpu_time_info reading = { };
	unsigned long flags;
	bool changed;

	if (!page_wanted(vcpu))
		return;
	kvm_srcu_lock(vcpu);
	local_irq_save(flags);
	changed = fill_page(vcpu, &reading);
	local_irq_restore(flags);

	if (own_page_wanted(vcpu)) {
		write_page(vcpu, own_page(vcpu), &reading, vcpu->arch.clock.stopped);
		vcpu->arch.clock.stopped = false;
	}
	if (kvm_xen_has_clock(vcpu))
		write_xen_pages(vcpu, &reading);
	if (changed)
		kvm_request_all(vcpu->kvm, KVM_REQ_CLOCK);
}

int kvm_clock_write_wall(struct kvm *kvm, struct kvm_place at, const struct kvm_place *high)
{
	struct kvm_vm_clock *clock = &kvm->arch.clock;
	struct pvclock_wall_clock wall;
	struct host_moment m;
	unsigned long flags;
	u32 nsec, sec_high;
	u64 sec;

	if (kvm_place_read(kvm, at, &wall.version, sizeof(wall.version)))
		return -EFAULT;
	raw_spin_lock_irqsave(&clock->lock, flags);
	host_moment_take(&m);
	m.real -= clock_at(clock, &m);
	raw_spin_unlock_irqrestore(&clock->lock, flags);

	sec = div_u64_rem(m.real, NSEC_PER_SEC, &nsec);
	wall.version = (wall.version + 1) | 1;
	wall.sec = sec;
	wall.nsec = nsec;
	sec_high = upper_32_bits(sec);
	if (high && kvm_place_write(kvm, *high, &sec_high, sizeof(sec_high)))
		return -EFAULT;
	return write_versioned(kvm, at, &wall, sizeof(wall));
}

/* ---- when pages change ----------------------------------------------------------------------- */

/* A vcpu with a moment of its own gets a new one on another processor, and once a second. */
void kvm_clock_vcpu_load(struct kvm_vcpu *vcpu, int cpu)
{
	struct kvm_vcpu_clock *c = &vcpu->arch.clock;

	if (likely(!page_wanted(vcpu)))
		return;
	if (c->shared) {
		if (unlikely(check_tsc_unstable()))
			kvm_request(vcpu, KVM_REQ_CLOCK);
		return;
	}
	if (c->cpu == cpu && rdtsc() - c->written < (u64)tsc_khz * MSEC_PER_SEC)
		return;
	if (c->generation == READ_ONCE(vcpu->kvm->arch.clock.generation) &&
	    c->tsc_offset == vcpu->arch.tsc_offset)
		c->seen = max(c->seen, page_reading(vcpu, vcpu->arch.last_host_tsc));
	kvm_request(vcpu, KVM_REQ_CLOCK);
}

void kvm_clock_tsc_changed(struct kvm_vcpu *vcpu)
{
	struct kvm_vm_clock *clock = &vcpu->kvm->arch.clock;
	struct kvm_vcpu *other;
	unsigned long flags;
	int i;

	vcpu->arch.clock.scale = vcpu->arch.tsc_ratio ? scale_of(vcpu->arch.tsc_khz) : clock->scale;
	raw_spin_lock_irqsave(&clock->lock, flags);
	clock->step_known = false;
	raw_spin_unlock_irqrestore(&clock->lock, flags);

	if (!READ_ONCE(clock->used))
		return;
	kvm_request(vcpu, KVM_REQ_CLOCK);
	kvm_for_each_vcpu(i, other, vcpu->kvm) {
		if (other == vcpu)
			continue;
		kvm_request(other, KVM_REQ_CLOCK);
		kvm_vcpu_kick(other);
	}
}

void kvm_clock_host_tsc_lost(struct kvm *kvm)
{
	struct kvm_vm_clock *clock = &kvm->arch.clock;
	struct host_moment m;
	unsigned long flags;

	raw_spin_lock_irqsave(&clock->lock, flags);
	if (clock->shared) {
		clock->shared = false;
		host_moment_take(&m);
		clock_settle(clock, &m);
		clock->generation++;
	}
	raw_spin_unlock_irqrestore(&clock->lock, flags);
}

/* ---- MSRs ------------------------------------------------------------------------------------ */

u64 kvm_clock_get_msr(struct kvm_vcpu *vcpu, u32 index)
{
	if (index == MSR_KVM_SYSTEM_TIME || index == MSR_KVM_SYSTEM_TIME_NEW)
		return vcpu->arch.clock.msr;
	return READ_ONCE(vcpu->kvm->arch.clock.wall_msr);
}

void kvm_clock_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 data)
{
	struct kvm_vm_clock *clock = &vcpu->kvm->arch.clock;

	if (index != MSR_KVM_SYSTEM_TIME && index != MSR_KVM_SYSTEM_TIME_NEW) {
		WRITE_ONCE(clock->wall_msr, data);
		if (data) {
			kvm_srcu_lock(vcpu);
			kvm_clock_write_wall(vcpu->kvm, (struct kvm_place) { .address = data },
					     NULL);
		}
		return;
	}
	vcpu->arch.clock.msr = data;
	if (own_page_wanted(vcpu))
		kvm_clock_page_added(vcpu);
}

void kvm_clock_page_added(struct kvm_vcpu *vcpu)
{
	WRITE_ONCE(vcpu->kvm->arch.clock.used, true);
	kvm_request(vcpu, KVM_REQ_CLOCK);
}

/* ---- ioctls ---------------------------------------------------------------------------------- */

void kvm_clock_get(struct kvm *kvm, struct kvm_clock_data *data)
{
	struct kvm_vm_clock *clock = &kvm->arch.clock;
	struct host_moment m;
	unsigned long flags;
	bool changed;

	memset(data, 0, sizeof(*data));
	raw_spin_lock_irqsave(&clock->lock, flags);
	host_moment_take(&m);
	changed = clock_settle(clock, &m);
	data->clock = clock_at(clock, &m);
	if (m.exact) {
		data->flags = KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
		data->realtime = m.real;
		data->host_tsc = m.tsc;
		if (tscs_in_step(kvm))
			data->flags |= KVM_CLOCK_TSC_STABLE;
	}
	raw_spin_unlock_irqrestore(&clock->lock, flags);

	if (changed && READ_ONCE(clock->used))
		kvm_request_all(kvm, KVM_REQ_CLOCK);
}

/* What KVM_GET_CLOCK gave may come back as it is; time that passed since is added if told when. */
int kvm_clock_set(struct kvm *kvm, const struct kvm_clock_data *data)
{
	struct kvm_vm_clock *clock = &kvm->arch.clock;
	struct host_moment m;
	unsigned long flags;
	u64 value = data->clock;

	if (data->flags & ~(u32)CLOCK_FLAGS)
		return -EINVAL;

	raw_spin_lock_irqsave(&clock->lock, flags);
	host_moment_take(&m);
	if ((data->flags & KVM_CLOCK_REALTIME) && m.real > data->realtime)
		value += m.real - data->realtime;
	clock->offset = value - m.base;
	clock->shared = false;
	clock_settle(clock, &m);
	clock->generation++;
	raw_spin_unlock_irqrestore(&clock->lock, flags);

	if (READ_ONCE(clock->used))
		kvm_request_all(kvm, KVM_REQ_CLOCK);
	return 0;
}

u64 kvm_clock_now(struct kvm *kvm)
{
	struct kvm_vm_clock *clock = &kvm->arch.clock;
	struct host_moment m;
	unsigned long flags;
	u64 now;

	raw_spin_lock_irqsave(&clock->lock, flags);
	host_moment_take(&m);
	now = clock_at(clock, &m);
	raw_spin_unlock_irqrestore(&clock->lock, flags);
	return now;
}

bool kvm_clock_pair(struct kvm_vcpu *vcpu, struct kvm_clock_pairing *pairing)
{
	struct host_moment m;
	unsigned long flags;
	u32 nsec;

	local_irq_save(flags);
	host_moment_take(&m);
	local_irq_restore(flags);
	if (!m.exact)
		return false;
	pairing->sec = div_u64_rem(m.real, NSEC_PER_SEC, &nsec);
	pairing->nsec = nsec;
	pairing->tsc = kvm_scale_tsc(vcpu, m.tsc) + vcpu->arch.tsc_offset;
	return true;
}

int kvm_clock_guest_stopped(struct kvm_vcpu *vcpu)
{
	if (!own_page_wanted(vcpu))
		return -EINVAL;
	vcpu->arch.clock.stopped = true;
	kvm_request(vcpu, KVM_REQ_CLOCK);
	return 0;
}

/* ---- a VM's life ----------------------------------------------------------------------------- */

void kvm_clock_vm_init(struct kvm *kvm)
{
	struct kvm_vm_clock *clock = &kvm->arch.clock;

	raw_spin_lock_init(&clock->lock);
	clock->scale = scale_of(tsc_khz);
	clock->offset = -(u64)ktime_to_ns(ktime_mono_to_any(ktime_get_raw(), TK_OFFS_BOOT));
}
