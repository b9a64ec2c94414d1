// SPDX-License-Identifier: GPL-2.0
/*
 * The way of a nested page fault: known MMIO, an entry that only waits for permission to write
 * (fast, without lock), and the full way through slot and host page. Ends in direct.c, which
 * installs the translation, or in the emulator. APM 2, 15.25.6 (error codes).
 */
#include <linux/export.h>
#include <linux/hash.h>
#include <linux/sched/signal.h>

#include "internal.h"
#include "../pv/pv.h"
#include "../trace.h"

/* The entry of the MMIO cache for a frame of an address space; never 0. */
static u64 mmio_key(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	return gfn << 2 | kvm_vcpu_as_id(vcpu) << 1 | 1;
}

static u64 slots_generation(struct kvm_vcpu *vcpu)
{
	return kvm_memslots(vcpu->kvm, kvm_vcpu_as_id(vcpu))->generation;
}

bool kvm_mmu_gfn_is_mmio(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvm_mmio_cache *cache = &vcpu->arch.mmu.mmio;

	return cache->key[hash_64(gfn, KVM_MMIO_CACHE_BITS)] == mmio_key(vcpu, gfn) &&
	       cache->generation == slots_generation(vcpu);
}

void kvm_mmu_remember_mmio(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvm_mmio_cache *cache = &vcpu->arch.mmu.mmio;
	u64 generation = slots_generation(vcpu);

	if (cache->generation != generation) {
		memset(cache->key, 0, sizeof(cache->key));
		cache->generation = generation;
	}
	cache->key[hash_64(gfn, KVM_MMIO_CACHE_BITS)] = mmio_key(vcpu, gfn);
}

/* The entry that translates @gfn or says that nothing does. Under RCU or mmu_lock. */
static u64 *find_entry(struct kvm_mmu_page *root, gfn_t gfn, u64 *spte, int *level)
{
	u64 *table = root->table;
	u64 *sptep;
	int l;

	for (l = root->level; ; l--) {
		sptep = &table[spte_index(gfn, l)];
		*spte = READ_ONCE(*sptep);
		if (!spte_is_table(*spte, l))
			break;
		table = spte_child(*spte);
	}
	*level = l;
	return sptep;
}

/*
 * The entry is there and either allows the access already or may be made writable: no slot's page
 * is looked up, no lock taken. True if the guest can go on.
 */
static bool fault_fast(struct kvm_vcpu *vcpu, gfn_t gfn, bool write)
{
	struct kvm_memory_slot *slot = NULL;
	bool fixed = false;
	u64 *sptep, spte;
	int level;

	rcu_read_lock();
	if (!root_is_current(vcpu))
		goto out;
	sptep = find_entry(vcpu->arch.mmu.root_page, gfn, &spte, &level);
	if (!spte_present(spte))
		goto out;
	if (!write || (spte & SPTE_WRITE)) {
		vcpu->stat.pf_spurious++;
		fixed = true;
		goto out;
	}
	if (!(spte & SPTE_MMU_WRITE))
		goto out;

	slot = kvm_vcpu_memslot(vcpu, gfn);
	if (!kvm_memslot_valid(slot))
		goto out;
	if (!kvm_memslot_logs_dirty(slot))
		slot = NULL;
	else if (level > 1)
		goto out;	/* the log wants small pages */

	/* Whoever changed the entry meanwhile had a reason; the guest faults again if need be. */
	fixed = true;
	if (!try_cmpxchg64(sptep, &spte, spte | SPTE_WRITE | kvm_spte_format.dirty))
		goto out;
	vcpu->stat.pf_fast++;
	/* Not before the entry: see the rules of dirty logging in mmu.rst. */
	if (slot)
		kvm_dirty_log_mark(vcpu, slot, gfn);
out:
	rcu_read_unlock();
	return fixed;
}

/* Another vcpu was faster, or a TLB was behind. The entry may be there and not be executable. */
static noinline bool fetch_is_spurious(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	bool fixed = false;
	int level;
	u64 spte;

	rcu_read_lock();
	if (root_is_current(vcpu)) {
		find_entry(vcpu->arch.mmu.root_page, gfn, &spte, &level);
		fixed = spte_present(spte) && spte_executable(spte);
	}
	rcu_read_unlock();
	vcpu->stat.pf_spurious += fixed;
	return fixed;
}

int kvm_fault_emulate(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int flags, void *insn,
		      int insn_len)
{
	vcpu->stat.pf_emulate++;
	return kvm_emulate_insn(vcpu, gpa, flags, insn, insn_len);
}

static int fault_emulate(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code, void *insn,
			 int insn_len)
{
	/* A fault of the guest's table walk says nothing about the instruction's own operand. */
	return kvm_fault_emulate(vcpu, gpa, error_code & KVM_PF_GUEST_TABLE ? 0 : KVM_EMULATE_PF,
				 insn, insn_len);
}

/* The host page could not be had. */
int kvm_fault_no_page(struct kvm_vcpu *vcpu, struct kvm_fault *fault, int error)
{
	struct kvm_run *run = vcpu->run;

	switch (error) {
	case -EAGAIN:
		return 1;
	case -EINTR:
		run->exit_reason = KVM_EXIT_INTR;
		vcpu->stat.signal_exits++;
		return -EINTR;
	case -EHWPOISON:
		/* As if the thread itself had touched the page. */
		send_sig_mceerr(BUS_MCEERR_AR, (void __user *)fault->page.hva, PAGE_SHIFT,
				current);
		return 1;
	case -EFAULT:
		run->exit_reason = KVM_EXIT_MEMORY_FAULT;
		run->memory_fault.flags = 0;
		run->memory_fault.gpa = gfn_to_gpa(fault->gfn);
		run->memory_fault.size = PAGE_SIZE;
		return -EFAULT;
	default:
		return error;
	}
}

/* -EAGAIN: the page comes later, and the guest does something else or waits. */
static int fault_get_page(struct kvm_vcpu *vcpu, struct kvm_fault *fault)
{
	unsigned int flags = KVM_PAGE_INTERRUPTIBLE | (fault->write ? KVM_PAGE_WRITE : 0);
	int r;

	if (!fault->ahead && kvm_apf_possible(vcpu)) {
		r = kvm_guest_page_get(fault->slot, fault->gfn, flags | KVM_PAGE_NOWAIT,
				       &fault->page);
		if (r != -EAGAIN ||
		    kvm_apf_begin(vcpu, fault->gfn, fault->page.hva, fault->write))
			return r;
	}
	return kvm_guest_page_get(fault->slot, fault->gfn, flags, &fault->page);
}

static int fault_map(struct kvm_vcpu *vcpu, struct kvm_fault *fault)
{
	struct kvm *kvm = vcpu->kvm;
	bool mapped = false;
	unsigned long seq;
	int r;

	r = kvm_mmu_make_room(vcpu);
	if (r)
		return r;

	seq = kvm_mmu_notifier_seq(kvm);
	r = fault_get_page(vcpu, fault);
	if (r)
		return kvm_fault_no_page(vcpu, fault, r);

	r = 1;
	read_lock(&kvm->mmu_lock);
	if (root_is_current(vcpu) && !kvm_mmu_notifier_retry(kvm, seq, fault->page.hva)) {
		fault->huge_level = kvm_mmu_fault_level(kvm, fault);
		fault->level = kvm_nx_huge_level(kvm, fault, fault->huge_level);
		r = kvm_direct_map(vcpu, fault);
		mapped = true;
	}
	/* Under the lock: the host must not clean the page before it is noted as dirty. */
	kvm_guest_page_put(&fault->page, mapped && fault->page.writable);
	read_unlock(&kvm->mmu_lock);
	return r;
}

/* A page of ours: no slot, no host mapping that could change. */
static int fault_fixed(struct kvm_vcpu *vcpu, struct kvm_fault *fault, struct page *page)
{
	int r;

	r = kvm_mmu_make_room(vcpu);
	if (r)
		return r;
	fault->page.page = page;
	fault->page.pfn = page_to_pfn(page);
	fault->page.writable = true;
	fault->level = 1;
	r = 1;
	read_lock(&vcpu->kvm->mmu_lock);
	if (root_is_current(vcpu))
		r = kvm_direct_map(vcpu, fault);
	read_unlock(&vcpu->kvm->mmu_lock);
	return r;
}

/* Nobody's memory: userspace's devices, or ours. */
static int fault_no_slot(struct kvm_vcpu *vcpu, struct kvm_fault *fault, gpa_t gpa, u64 error_code,
			 void *insn, int insn_len)
{
	struct page *page = kvm_mmu_fixed_page(vcpu->kvm, fault->gfn);

	if (page)
		return fault_fixed(vcpu, fault, page);
	kvm_mmu_remember_mmio(vcpu, fault->gfn);
	return fault_emulate(vcpu, gpa, error_code, insn, insn_len);
}

/* A frame that is not known as MMIO. */
static noinline int fault_frame(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code, void *insn,
				int insn_len)
{
	struct kvm_fault fault = {
		.gfn = gpa_to_gfn(gpa),
		.write = error_code & KVM_PF_WRITE,
		.exec = error_code & KVM_PF_FETCH,
	};

	/*
	 * Without the present bit there is no entry that could be fixed; but some processors leave
	 * it out when the access was a fetch.
	 */
	if (unlikely(fault.exec)) {
		if (fetch_is_spurious(vcpu, fault.gfn))
			return 1;
	} else if ((error_code & KVM_PF_PRESENT) && fault_fast(vcpu, fault.gfn, fault.write)) {
		return 1;
	}

	fault.slot = kvm_vcpu_memslot(vcpu, fault.gfn);
	if (!fault.slot)
		return fault_no_slot(vcpu, &fault, gpa, error_code, insn, insn_len);
	if (!kvm_memslot_valid(fault.slot))
		return 1;
	if (fault.write && (READ_ONCE(fault.slot->flags) & KVM_MEM_READONLY))
		return fault_emulate(vcpu, gpa, error_code, insn, insn_len);

	fault.logged = kvm_memslot_logs_dirty(fault.slot);
	return fault_map(vcpu, &fault);
}

int kvm_mmu_page_fault(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code, void *insn, int insn_len)
{
	gfn_t gfn = gpa_to_gfn(gpa);

	trace_kvm_page_fault(vcpu, gpa, error_code);
	vcpu->stat.pf_taken++;
	kvm_srcu_lock(vcpu);
	/* No entry of ours has a reserved bit set: the tables are broken, not the guest. */
	if (KVM_BUG_ON(error_code & KVM_PF_RSVD, vcpu->kvm))
		return -EIO;

	/* Addresses that our tables are too narrow for are nobody's memory. */
	if (kvm_mmu_gfn_is_mmio(vcpu, gfn) ||
	    gfn >= level_frames(kvm_spte_format.root_level + 1))
		return fault_emulate(vcpu, gpa, error_code, insn, insn_len);
	return fault_frame(vcpu, gpa, error_code, insn, insn_len);
}
EXPORT_SYMBOL_GPL(kvm_mmu_page_fault);

/* ---- KVM_PRE_FAULT_MEMORY ---------------------------------------------------------------------- */

/* Bytes from @gpa to the end of the page that maps it, or 0. */
static s64 mapped_ahead(struct kvm_vcpu *vcpu, gpa_t gpa)
{
	gfn_t gfn = gpa_to_gfn(gpa);
	s64 bytes = 0;
	u64 spte;
	int level;

	rcu_read_lock();
	if (root_is_current(vcpu)) {
		find_entry(vcpu->arch.mmu.root_page, gfn, &spte, &level);
		if (spte_present(spte))
			bytes = gfn_to_gpa(level_base(gfn, level) + level_frames(level)) - gpa;
	}
	rcu_read_unlock();
	return bytes;
}

static int load_root_ahead(struct kvm_vcpu *vcpu)
{
	int r;

	if (!kvm_request_take(vcpu, KVM_REQ_MMU_ROOT))
		return 0;
	r = kvm_mmu_load(vcpu);
	if (r)
		kvm_request(vcpu, KVM_REQ_MMU_ROOT);
	return r;
}

s64 kvm_arch_vcpu_pre_fault(struct kvm_vcpu *vcpu, gpa_t gpa)
{
	struct kvm_fault fault = { .gfn = gpa_to_gfn(gpa), .ahead = true };
	s64 r;

	/* Shadow paging maps what the guest's own tables map. */
	if (!kvm_hw.npt)
		return -EOPNOTSUPP;
	if (fault.gfn >= level_frames(kvm_spte_format.root_level + 1))
		return -ENOENT;
	for (;;) {
		r = load_root_ahead(vcpu);
		if (r < 0)
			return r;
		kvm_srcu_lock(vcpu);
		r = mapped_ahead(vcpu, gpa);
		if (r)
			return r;
		fault.slot = kvm_vcpu_memslot(vcpu, fault.gfn);
		if (!fault.slot)
			return -ENOENT;
		if (!kvm_memslot_valid(fault.slot))
			return -EAGAIN;
		fault.logged = kvm_memslot_logs_dirty(fault.slot);
		r = fault_map(vcpu, &fault);
		if (r < 0)
			return r;
		/* The host has changed its mind meanwhile, or it was a broken page. */
		if (signal_pending(current))
			return -EINTR;
		kvm_srcu_unlock(vcpu);
		cond_resched();
	}
}
