/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An entry of the tables that the processor walks for a guest ("spte"): its bits and what they
 * promise. Owns the format, knows nothing of slots, faults or locks.
 *
 * AMD nested page tables use the long-mode format (APM 2, 5.3 and 15.25); Intel's EPT differs in
 * the places named in struct kvm_spte_format (SDM 3, 29.3). In both, bit 0 says that the entry can
 * be used at all, bit 1 allows writes, bit 7 makes an entry above the last level a leaf, bits
 * 12..51 hold the address, and bits 52..56 are for software.
 *
 * Promises:
 *   SPTE_WRITE implies SPTE_MMU_WRITE implies SPTE_HOST_WRITE.
 *   SPTE_HOST_WRITE: when the entry was made the host's own mapping allowed writes, and the slot
 *     too. The mmu notifier removes the entry before that stops being true.
 *   SPTE_MMU_WRITE: nothing but the dirty log stands against writing, so a write fault may set
 *     SPTE_WRITE with one cmpxchg and no lock.
 *   SPTE_WRITE without the dirty bit, in a 4 KiB leaf where the processor logs writes: the next
 *     write to the page is noted. In any other leaf that allows writes the dirty bit means nothing.
 */
#ifndef _KVM_X86_MMU_SPTE_H
#define _KVM_X86_MMU_SPTE_H

#include <linux/bits.h>
#include <linux/kvm_types.h>
#include <asm/kvm_host.h>

#define SPTE_PRESENT	BIT_ULL(0)
#define SPTE_WRITE	BIT_ULL(1)
#define SPTE_HUGE	BIT_ULL(7)
#define SPTE_ADDRESS	GENMASK_ULL(51, 12)
#define SPTE_HOST_WRITE	BIT_ULL(52)
#define SPTE_MMU_WRITE	BIT_ULL(53)
#define SPTE_SOFT_ACCESSED BIT_ULL(54)	/* where the processor keeps no accessed bit */
/*
 * Leaves of shadow paging have this in place of the two: nothing but the dirty log stands against
 * writing. PAE reserves bits 52..62 outside long mode.
 */
#define SPTE_MAY_WRITE	BIT_ULL(9)
#define SPTE_EMPTY	BIT_ULL(10)	/* and SPTE_PRESENT: maps nothing; kvm_spte_format.empty */
#define SPTE_PKEY	GENMASK_ULL(62, 59)	/* the guest's protection key there, in long mode */

#define SPTE_PER_TABLE	512
#define SPTE_INDEX_BITS	9

struct kvm_spte_format {
	u64 table;		/* bits of every entry that points to a table */
	u64 leaf;		/* bits of every leaf */
	u64 accessed, dirty;	/* set by the processor */
	u64 log;		/* taken from a 4 KiB leaf, the next write is noted: SPTE_WRITE or dirty */
	u64 memory;		/* bits of a leaf that maps memory and no device's registers */
	u64 user;		/* of a leaf of shadow paging */
	u64 nx, exec;		/* a leaf may be executed that lacks the one and has the other */
	u64 empty;		/* of shadow paging: an entry that maps nothing (bypass.c), or 0 */
	u64 encrypted;		/* address bit of encrypted memory, or 0 */
	u8 root_level;
	u8 max_huge_level;
};

/* Written when a vendor module loads, before any VM exists. */
extern struct kvm_spte_format kvm_spte_format;

/* Executable, unless it is a huge page and those of the VM are not. */
u64 kvm_spte_leaf(const struct kvm *kvm, kvm_pfn_t pfn, int level, bool is_memory);
u64 kvm_spte_table(void *table);
/* What entry @index of a table must be that takes the place of the leaf @huge at @level. */
u64 kvm_spte_split(u64 huge, int level, unsigned int index);

/* Page-modification logging: the processor keeps a list of leaves that it makes dirty. */
static inline bool kvm_processor_logs(void)
{
	return kvm_spte_format.log != SPTE_WRITE;
}

/* What the dirty log takes from a leaf. A list of large pages would not say which part was written. */
static inline u64 spte_log_bit(int level)
{
	return level == 1 ? kvm_spte_format.log : SPTE_WRITE;
}

static inline bool spte_present(u64 spte)
{
	return (spte & (SPTE_PRESENT | SPTE_EMPTY)) == SPTE_PRESENT;
}

static inline bool spte_is_leaf(u64 spte, int level)
{
	return spte_present(spte) && (level == 1 || (spte & SPTE_HUGE));
}

static inline bool spte_is_table(u64 spte, int level)
{
	return level > 1 && (spte & (SPTE_PRESENT | SPTE_HUGE | SPTE_EMPTY)) == SPTE_PRESENT;
}

static inline bool spte_executable(u64 leaf)
{
	return (leaf & (kvm_spte_format.nx | kvm_spte_format.exec)) == kvm_spte_format.exec;
}

static inline hpa_t spte_address(u64 spte)
{
	return spte & SPTE_ADDRESS & ~kvm_spte_format.encrypted;
}

static inline kvm_pfn_t spte_pfn(u64 spte)
{
	return spte_address(spte) >> PAGE_SHIFT;
}

static inline u64 *spte_child(u64 spte)
{
	return __va(spte_address(spte));
}

/* Guest frames that one entry at @level stands for. */
static inline gfn_t level_frames(int level)
{
	return 1ull << ((level - 1) * SPTE_INDEX_BITS);
}

static inline gfn_t level_base(gfn_t gfn, int level)
{
	return gfn & ~(level_frames(level) - 1);
}

static inline unsigned int spte_index(gfn_t gfn, int level)
{
	return (gfn >> ((level - 1) * SPTE_INDEX_BITS)) & (SPTE_PER_TABLE - 1);
}

static inline void spte_clear_bits(u64 *sptep, u64 bits)
{
	atomic64_and(~bits, (atomic64_t *)sptep);
}

#endif
