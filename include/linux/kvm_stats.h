/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Statistics of VMs and vcpus: the counters that every architecture has, and the tables that
 * describe counters to the readers (virt/kvm/stats.c). A counter is a 64-bit member of struct
 * kvm_vm_stat or struct kvm_vcpu_stat; its name, once published, is ABI. Counters are written
 * without locks by whoever causes the event and read by anybody.
 */
#ifndef _LINUX_KVM_STATS_H
#define _LINUX_KVM_STATS_H

#include <linux/kvm.h>
#include <linux/stddef.h>
#include <linux/types.h>

#define KVM_STATS_NAME_SIZE	48
#define HALT_POLL_HIST_COUNT	32	/* bucket n: 2^(n-1) to 2^n - 1 ns, the last one open */

struct kvm_vm_stat_generic {
	/* flushes of every vcpu's TLB: those that interrupted one, and all of them */
	u64 remote_tlb_flush, remote_tlb_flush_requests;
};

struct kvm_vcpu_stat_generic {
	u64 halt_successful_poll, halt_attempted_poll, halt_poll_invalid, halt_wakeup;
	u64 halt_poll_success_ns, halt_poll_fail_ns, halt_wait_ns;
	u64 blocking;			/* it sleeps at this moment */
	u64 halt_wait_hist[HALT_POLL_HIST_COUNT];
	u64 halt_poll_fail_hist[HALT_POLL_HIST_COUNT];
	u64 halt_poll_success_hist[HALT_POLL_HIST_COUNT];
};

/* A descriptor exactly as the statistics file shows it: struct kvm_stats_desc and the name. */
struct kvm_stat_desc {
	u32 flags;
	s16 exponent;
	u16 size;			/* values */
	u32 offset;			/* bytes, in the structure described */
	u32 bucket_size;
	char name[KVM_STATS_NAME_SIZE];
};

#define KVM_STAT(container, label, member, type, unit, exp)			\
{										\
	.flags = KVM_STATS_TYPE_##type | KVM_STATS_UNIT_##unit |		\
		 KVM_STATS_BASE_POW10,						\
	.exponent = exp,							\
	.size = sizeof_field(struct container, member) / sizeof(u64),		\
	.offset = offsetof(struct container, member),				\
	.name = label,								\
}

/* The architecture's part of each structure. */
extern const struct kvm_stat_desc kvm_arch_vm_stats[];
extern const unsigned int kvm_arch_nr_vm_stats;
extern const struct kvm_stat_desc kvm_arch_vcpu_stats[];
extern const unsigned int kvm_arch_nr_vcpu_stats;

#endif
