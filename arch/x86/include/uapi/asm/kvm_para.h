/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPI_ASM_X86_KVM_PARA_H
#define _UAPI_ASM_X86_KVM_PARA_H

/*
 * What an x86 guest and its host say to each other: the CPUID leaves by which the guest knows
 * its host, the MSRs by which it asks for services, and the memory these share.
 */

#include <linux/types.h>

/* ======================================== CPUID ========================================= */

/* EBX, ECX and EDX of this leaf are the signature, EAX is the highest leaf. */
#define KVM_CPUID_SIGNATURE		0x40000000
#define KVM_SIGNATURE			"KVMKVMKVM\0\0\0"

/* EAX of this leaf has a bit for each feature, EDX for each hint. */
#define KVM_CPUID_FEATURES		0x40000001

#define KVM_FEATURE_CLOCKSOURCE		0	/* the clock MSRs 0x11 and 0x12, out of use */
#define KVM_FEATURE_NOP_IO_DELAY	1	/* no need for delays after port I/O */
#define KVM_FEATURE_MMU_OP		2	/* KVM_HC_MMU_OP, gone */
#define KVM_FEATURE_CLOCKSOURCE2	3	/* the clock MSRs ..._NEW */
#define KVM_FEATURE_ASYNC_PF		4	/* MSR_KVM_ASYNC_PF_EN */
#define KVM_FEATURE_STEAL_TIME		5	/* MSR_KVM_STEAL_TIME */
#define KVM_FEATURE_PV_EOI		6	/* MSR_KVM_PV_EOI_EN */
#define KVM_FEATURE_PV_UNHALT		7	/* KVM_HC_KICK_CPU */
#define KVM_FEATURE_PV_TLB_FLUSH	9	/* KVM_VCPU_FLUSH_TLB */
#define KVM_FEATURE_ASYNC_PF_VMEXIT	10	/* ..._DELIVERY_AS_PF_VMEXIT */
#define KVM_FEATURE_PV_SEND_IPI		11	/* KVM_HC_SEND_IPI */
#define KVM_FEATURE_POLL_CONTROL	12	/* MSR_KVM_POLL_CONTROL */
#define KVM_FEATURE_PV_SCHED_YIELD	13	/* KVM_HC_SCHED_YIELD */
#define KVM_FEATURE_ASYNC_PF_INT	14	/* MSR_KVM_ASYNC_PF_INT and _ACK */
#define KVM_FEATURE_MSI_EXT_DEST_ID	15	/* 15-bit destinations in MSIs */
#define KVM_FEATURE_HC_MAP_GPA_RANGE	16	/* KVM_HC_MAP_GPA_RANGE */
#define KVM_FEATURE_MIGRATION_CONTROL	17	/* MSR_KVM_MIGRATION_CONTROL */
#define KVM_FEATURE_CLOCKSOURCE_STABLE_BIT 24	/* flags of the clock page are meant */

#define KVM_HINTS_REALTIME		0	/* vcpus are never preempted for long */

/* ========================================= MSRs ========================================= */

/* Old clock. */
#define MSR_KVM_WALL_CLOCK		0x11
#define MSR_KVM_SYSTEM_TIME		0x12

/* KVM's own, of which there may be 256 from 0x4b564d00 on. */
#define MSR_KVM_WALL_CLOCK_NEW		0x4b564d00	/* where to put the time of day */
#define MSR_KVM_SYSTEM_TIME_NEW		0x4b564d01	/* where to keep the clock page */
#define MSR_KVM_ASYNC_PF_EN		0x4b564d02	/* kvm_vcpu_pv_apf_data, KVM_ASYNC_PF_* */
#define MSR_KVM_STEAL_TIME		0x4b564d03	/* kvm_steal_time */
#define MSR_KVM_PV_EOI_EN		0x4b564d04	/* 4 bytes, KVM_PV_EOI_* */
#define MSR_KVM_POLL_CONTROL		0x4b564d05	/* bit 0: the host polls on halts */
#define MSR_KVM_ASYNC_PF_INT		0x4b564d06	/* vector of "page ready" */
#define MSR_KVM_ASYNC_PF_ACK		0x4b564d07	/* 1: token was taken */
#define MSR_KVM_MIGRATION_CONTROL	0x4b564d08	/* KVM_MIGRATION_READY */

/* Bit 0 of those that hold an address. */
#define KVM_MSR_ENABLED			1

/* ========================================= time ========================================= */

/* Kept by the host, 64-byte aligned; version is odd while it changes. */
struct kvm_steal_time {
	__u64 steal;		/* nanoseconds the vcpu was kept from running */
	__u32 version;
	__u32 flags;		/* 0 */
	__u8  preempted;	/* KVM_VCPU_* */
	__u8  u8_pad[3];
	__u32 pad[11];
};

#define KVM_VCPU_PREEMPTED		(1 << 0)	/* the host sets and clears it */
#define KVM_VCPU_FLUSH_TLB		(1 << 1)	/* a guest's wish for the next entry */

#define KVM_STEAL_ALIGNMENT_BITS	5
#define KVM_STEAL_VALID_BITS		((-1ULL << (KVM_STEAL_ALIGNMENT_BITS + 1)))
#define KVM_STEAL_RESERVED_MASK		(((1 << KVM_STEAL_ALIGNMENT_BITS) - 1) << 1)

/* Filled by KVM_HC_CLOCK_PAIRING: the host's clock and the guest's TSC at the same moment. */
struct kvm_clock_pairing {
	__s64 sec;
	__s64 nsec;
	__u64 tsc;		/* guest's cycles */
	__u32 flags;		/* 0 */
	__u32 pad[9];
};

#define KVM_CLOCK_PAIRING_WALLCLOCK	0	/* the host's CLOCK_REALTIME */

/* =============================== asynchronous page faults =============================== */

/* Low bits of MSR_KVM_ASYNC_PF_EN. */
#define KVM_ASYNC_PF_ENABLED			(1 << 0)
#define KVM_ASYNC_PF_SEND_ALWAYS		(1 << 1)	/* at privilege level 0 too */
#define KVM_ASYNC_PF_DELIVERY_AS_PF_VMEXIT	(1 << 2)	/* to a nested hypervisor too */
#define KVM_ASYNC_PF_DELIVERY_AS_INT		(1 << 3)	/* "page ready" interrupts */

/* The vector in MSR_KVM_ASYNC_PF_INT. */
#define KVM_ASYNC_PF_VEC_MASK			0xffUL

/* The guest clears what it has seen. */
struct kvm_vcpu_pv_apf_data {
	__u32 flags;		/* "page not present": 1 while its #PF is delivered */
	__u32 token;		/* "page ready": which one */
	__u8  pad[56];
};

#define KVM_PV_REASON_PAGE_NOT_PRESENT		1
#define KVM_PV_REASON_PAGE_READY		2

/* ==================================== end of interrupt ================================== */

/* The shared word: set by the host where the guest may skip the write to the APIC. */
#define KVM_PV_EOI_BIT			0
#define KVM_PV_EOI_MASK			(0x1 << KVM_PV_EOI_BIT)
#define KVM_PV_EOI_ENABLED		KVM_PV_EOI_MASK
#define KVM_PV_EOI_DISABLED		0x0

/* ================================== migration, encryption =============================== */

/* MSR_KVM_MIGRATION_CONTROL: the guest keeps its host informed of encrypted pages. */
#define KVM_MIGRATION_READY		(1 << 0)

/* Third argument of KVM_HC_MAP_GPA_RANGE: page size and what the pages become. */
#define KVM_MAP_GPA_RANGE_PAGE_SZ_4K	0
#define KVM_MAP_GPA_RANGE_PAGE_SZ_2M	(1 << 0)
#define KVM_MAP_GPA_RANGE_PAGE_SZ_1G	(1 << 1)
#define KVM_MAP_GPA_RANGE_ENC_STAT(n)	((n) << 4)
#define KVM_MAP_GPA_RANGE_ENCRYPTED	KVM_MAP_GPA_RANGE_ENC_STAT(1)
#define KVM_MAP_GPA_RANGE_DECRYPTED	KVM_MAP_GPA_RANGE_ENC_STAT(0)

/* ================================ paravirtual page tables =============================== */

/* KVM_HC_MMU_OP no longer exists; its names do. */
#define KVM_MAX_MMU_OP_BATCH		32

#define KVM_MMU_OP_WRITE_PTE		1
#define KVM_MMU_OP_FLUSH_TLB		2
#define KVM_MMU_OP_RELEASE_PT		3

struct kvm_mmu_op_header {
	__u32 op;		/* KVM_MMU_OP_* */
	__u32 pad;
};

struct kvm_mmu_op_write_pte {
	struct kvm_mmu_op_header header;
	__u64 pte_phys;
	__u64 pte_val;
};

struct kvm_mmu_op_flush_tlb {
	struct kvm_mmu_op_header header;
};

struct kvm_mmu_op_release_pt {
	struct kvm_mmu_op_header header;
	__u64 pt_phys;
};

#endif /* _UAPI_ASM_X86_KVM_PARA_H */
