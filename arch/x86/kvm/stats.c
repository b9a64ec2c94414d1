// SPDX-License-Identifier: GPL-2.0
/*
 * The names and kinds of x86's statistics. The counters are members of struct kvm_vm_stat and
 * struct kvm_vcpu_stat; who increments them owns their meaning. How they reach readers is in
 * virt/kvm/stats.c, the format in the API document, "KVM_GET_STATS_FD".
 */
#include <linux/kernel.h>
#include <linux/kvm_host.h>

#define VM(member, type)	KVM_STAT(kvm_vm_stat, #member, member, type, NONE, 0)
#define VCPU(member)		KVM_STAT(kvm_vcpu_stat, #member, member, CUMULATIVE, NONE, 0)

const struct kvm_stat_desc kvm_arch_vm_stats[] = {
	VM(mmu_shadow_zapped, CUMULATIVE),
	VM(mmu_pte_write, CUMULATIVE),
	VM(mmu_pde_zapped, CUMULATIVE),
	VM(mmu_flooded, CUMULATIVE),
	VM(mmu_recycled, CUMULATIVE),
	VM(mmu_cache_miss, CUMULATIVE),
	VM(mmu_unsync, INSTANT),
	VM(pages_4k, INSTANT),
	VM(pages_2m, INSTANT),
	VM(pages_1g, INSTANT),
	VM(nx_lpage_splits, INSTANT),
	VM(max_mmu_page_hash_collisions, PEAK),
	VM(max_mmu_rmap_size, PEAK),
};
const unsigned int kvm_arch_nr_vm_stats = ARRAY_SIZE(kvm_arch_vm_stats);

const struct kvm_stat_desc kvm_arch_vcpu_stats[] = {
	VCPU(exits),
	VCPU(io_exits),
	VCPU(mmio_exits),
	VCPU(halt_exits),
	VCPU(irq_exits),
	VCPU(signal_exits),
	VCPU(request_irq_exits),
	VCPU(irq_window_exits),
	VCPU(nmi_window_exits),
	VCPU(notify_window_exits),
	VCPU(pf_taken),
	VCPU(pf_fixed),
	VCPU(pf_emulate),
	VCPU(pf_spurious),
	VCPU(pf_fast),
	VCPU(pf_mmio_spte_created),
	VCPU(pf_guest),
	VCPU(tlb_flush),
	VCPU(invlpg),
	VCPU(l1d_flush),
	VCPU(host_state_reload),
	VCPU(fpu_reload),
	VCPU(insn_emulation),
	VCPU(insn_emulation_fail),
	VCPU(hypercalls),
	VCPU(irq_injections),
	VCPU(nmi_injections),
	VCPU(req_event),
	VCPU(nested_run),
	VCPU(directed_yield_attempted),
	VCPU(directed_yield_successful),
	VCPU(preemption_reported),
	VCPU(preemption_other),
	KVM_STAT(kvm_vcpu_stat, "guest_mode", guest_mode, INSTANT, BOOLEAN, 0),
};
const unsigned int kvm_arch_nr_vcpu_stats = ARRAY_SIZE(kvm_arch_vcpu_stats);
