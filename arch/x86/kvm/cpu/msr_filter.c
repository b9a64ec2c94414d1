// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's way to its MSRs: the filter with which userspace takes accesses away from the kernel
 * or forbids them, RDMSR and WRMSR themselves, and the exits that hand an access to userspace. What
 * the registers hold is msr.c's. KVM API document, KVM_X86_SET_MSR_FILTER and
 * KVM_CAP_X86_USER_SPACE_MSR; the instructions: AMD64 APM volume 3, SDM volume 2.
 *
 * A filter is one block of memory that never changes; a new one replaces it, and the vcpus are made
 * to look at their intercepts again. Readers are in RCU sections.
 */
#include <linux/bitops.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "regs.h"
#include "../trace.h"
#include "../x86.h"

/* The local APIC's registers in x2APIC mode are beyond the filter: intercepts may not reach them. */
#define X2APIC_FIRST	0x800
#define X2APIC_LAST	0x8ff

struct filter_range {
	u32 first, count;
	u32 directions;			/* KVM_MSR_FILTER_READ, _WRITE: which accesses it is about */
	const unsigned long *allowed;	/* a bit for each MSR */
};

struct kvm_msr_filter_table {
	struct rcu_head rcu;
	bool otherwise;			/* of MSRs that no range is about */
	unsigned int nr;
	struct filter_range range[KVM_MSR_FILTER_MAX_RANGES];
	unsigned long bits[];
};

static bool table_allows(const struct kvm_msr_filter_table *table, u32 index, u32 direction)
{
	const struct filter_range *r;

	for (r = table->range; r < table->range + table->nr; r++)
		if (index - r->first < r->count && (r->directions & direction))
			return test_bit(index - r->first, r->allowed);
	return table->otherwise;
}

bool kvm_msr_allowed(struct kvm_vcpu *vcpu, u32 index, u32 direction)
{
	const struct kvm_msr_filter_table *table;
	bool allowed = true;

	if (index >= X2APIC_FIRST && index <= X2APIC_LAST)
		return true;
	rcu_read_lock();
	table = rcu_dereference(vcpu->kvm->arch.msr_filter);
	if (table)
		allowed = table_allows(table, index, direction);
	rcu_read_unlock();
	return allowed;
}
EXPORT_SYMBOL_GPL(kvm_msr_allowed);

/* ---- setting it ------------------------------------------------------------------------------ */

/* Longs of the bitmap of @n MSRs. */
static size_t range_longs(u32 n)
{
	return DIV_ROUND_UP((size_t)n, BITS_PER_LONG);
}

/* How many longs all the bitmaps take, or -EINVAL. */
static long filter_longs(const struct kvm_msr_filter *given)
{
	const struct kvm_msr_filter_range *r;
	long longs = 0;

	if (given->flags & ~KVM_MSR_FILTER_VALID_MASK)
		return -EINVAL;
	for (r = given->ranges; r < given->ranges + KVM_MSR_FILTER_MAX_RANGES; r++) {
		if (!r->nmsrs)
			continue;
		if (r->flags & ~KVM_MSR_FILTER_RANGE_VALID_MASK ||
		    range_longs(r->nmsrs) * sizeof(long) > KVM_MSR_FILTER_MAX_BITMAP_SIZE)
			return -EINVAL;
		longs += range_longs(r->nmsrs);
	}
	/* To deny everything without naming anything can only be a mistake. */
	if (!longs && given->flags & KVM_MSR_FILTER_DEFAULT_DENY)
		return -EINVAL;
	return longs;
}

static int fill_table(struct kvm_msr_filter_table *table, const struct kvm_msr_filter *given)
{
	const struct kvm_msr_filter_range *r;
	unsigned long *bits = table->bits;
	size_t size;

	for (r = given->ranges; r < given->ranges + KVM_MSR_FILTER_MAX_RANGES; r++) {
		if (!r->nmsrs)
			continue;
		size = range_longs(r->nmsrs) * sizeof(long);
		if (copy_from_user(bits, (void __user *)r->bitmap, size))
			return -EFAULT;
		table->range[table->nr++] = (struct filter_range) {
			.first = r->base,
			.count = r->nmsrs,
			.directions = r->flags,
			.allowed = bits,
		};
		bits += range_longs(r->nmsrs);
	}
	return 0;
}

/* The table for what userspace gave, NULL for a filter that denies nothing, or an error. */
static struct kvm_msr_filter_table *make_table(const struct kvm_msr_filter *given)
{
	struct kvm_msr_filter_table *table;
	long longs = filter_longs(given);
	int r;

	if (longs <= 0)
		return ERR_PTR(longs);
	table = kvzalloc(struct_size(table, bits, longs), GFP_KERNEL_ACCOUNT);
	if (!table)
		return ERR_PTR(-ENOMEM);
	table->otherwise = !(given->flags & KVM_MSR_FILTER_DEFAULT_DENY);
	r = fill_table(table, given);
	if (r) {
		kvfree(table);
		return ERR_PTR(r);
	}
	return table;
}

static int filter_set(struct kvm *kvm, const struct kvm_msr_filter *given)
{
	struct kvm_msr_filter_table *new, *old;

	new = make_table(given);
	if (IS_ERR(new))
		return PTR_ERR(new);
	mutex_lock(&kvm->lock);
	old = rcu_replace_pointer(kvm->arch.msr_filter, new, lockdep_is_held(&kvm->lock));
	kvm_request_all(kvm, KVM_REQ_INTERCEPTS);
	mutex_unlock(&kvm->lock);
	if (old)
		kvfree_rcu_mightsleep(old);
	return 0;
}

int kvm_msr_filter_set(struct kvm *kvm, const struct kvm_msr_filter __user *arg)
{
	struct kvm_msr_filter given;

	if (copy_from_user(&given, arg, sizeof(given)))
		return -EFAULT;
	return filter_set(kvm, &given);
}

int kvm_msr_filter_set_compat(struct kvm *kvm, const void __user *arg)
{
	struct kvm_msr_filter_compat compat;
	struct kvm_msr_filter given = { };
	unsigned int i;

	if (copy_from_user(&compat, arg, sizeof(compat)))
		return -EFAULT;
	given.flags = compat.flags;
	for (i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++)
		given.ranges[i] = (struct kvm_msr_filter_range) {
			.flags = compat.ranges[i].flags,
			.nmsrs = compat.ranges[i].nmsrs,
			.base = compat.ranges[i].base,
			.bitmap = (__force u8 *)compat_ptr(compat.ranges[i].bitmap),
		};
	return filter_set(kvm, &given);
}

void kvm_msr_filter_destroy(struct kvm *kvm)
{
	kvfree(rcu_dereference_protected(kvm->arch.msr_filter, true));
}

/* ---- RDMSR, WRMSR ---------------------------------------------------------------------------- */

static u32 denial(int result)
{
	switch (result) {
	case MSR_OK:
		return 0;
	case MSR_UNKNOWN:
		return KVM_MSR_EXIT_REASON_UNKNOWN;
	default:
		return KVM_MSR_EXIT_REASON_INVAL;
	}
}

u32 kvm_guest_rdmsr(struct kvm_vcpu *vcpu, u32 index, u64 *data)
{
	if (unlikely(kvm_msr_filtered(vcpu)) &&
	    !kvm_msr_allowed(vcpu, index, KVM_MSR_FILTER_READ))
		return KVM_MSR_EXIT_REASON_FILTER;
	return denial(kvm_get_msr(vcpu, index, data, false));
}

u32 kvm_guest_wrmsr(struct kvm_vcpu *vcpu, u32 index, u64 data)
{
	if (unlikely(kvm_msr_filtered(vcpu)) &&
	    !kvm_msr_allowed(vcpu, index, KVM_MSR_FILTER_WRITE))
		return KVM_MSR_EXIT_REASON_FILTER;
	return denial(kvm_set_msr(vcpu, index, data, false));
}

bool kvm_msr_to_userspace(struct kvm_vcpu *vcpu, u32 index, u64 data, bool write, u32 reason)
{
	struct kvm_run *run = vcpu->run;

	if (!(READ_ONCE(vcpu->kvm->arch.user_space_msrs) & reason))
		return false;
	run->exit_reason = write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;
	memset(&run->msr, 0, sizeof(run->msr));
	run->msr.reason = reason;
	run->msr.index = index;
	run->msr.data = data;
	return true;
}

static int end_rdmsr(struct kvm_vcpu *vcpu, u64 data)
{
	vcpu->arch.regs[KVM_RAX] = (u32)data;
	vcpu->arch.regs[KVM_RDX] = data >> 32;
	return kvm_skip_insn(vcpu);
}

static int refuse_access(struct kvm_vcpu *vcpu)
{
	kvm_inject_gp(vcpu, 0);
	return 1;
}

/* Userspace has answered. */
static int complete_rdmsr(struct kvm_vcpu *vcpu)
{
	return vcpu->run->msr.error ? refuse_access(vcpu) : end_rdmsr(vcpu, vcpu->run->msr.data);
}

static int complete_wrmsr(struct kvm_vcpu *vcpu)
{
	return vcpu->run->msr.error ? refuse_access(vcpu) : kvm_skip_insn(vcpu);
}

int kvm_emulate_rdmsr(struct kvm_vcpu *vcpu)
{
	u32 index = vcpu->arch.regs[KVM_RCX];
	u64 data = 0;
	u32 reason;

	reason = kvm_guest_rdmsr(vcpu, index, &data);
	if (likely(!reason)) {
		trace_kvm_msr(false, index, data, false);
		return end_rdmsr(vcpu, data);
	}
	if (kvm_msr_to_userspace(vcpu, index, 0, false, reason)) {
		vcpu->arch.complete_io = complete_rdmsr;
		return 0;
	}
	trace_kvm_msr(false, index, 0, true);
	return refuse_access(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_emulate_rdmsr);

int kvm_emulate_wrmsr(struct kvm_vcpu *vcpu)
{
	u32 index = vcpu->arch.regs[KVM_RCX];
	u64 data = kvm_edx_eax(vcpu);
	u32 reason;

	reason = kvm_guest_wrmsr(vcpu, index, data);
	if (likely(!reason)) {
		trace_kvm_msr(true, index, data, false);
		return kvm_skip_insn(vcpu);
	}
	if (kvm_msr_to_userspace(vcpu, index, data, true, reason)) {
		vcpu->arch.complete_io = complete_wrmsr;
		return 0;
	}
	trace_kvm_msr(true, index, data, true);
	return refuse_access(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_emulate_wrmsr);
