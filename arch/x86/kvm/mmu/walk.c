// SPDX-License-Identifier: GPL-2.0
/*
 * Translates linear addresses of the guest for the emulator and for KVM_TRANSLATE: joins the pure
 * walk of guest_walk.h to a vcpu's registers and memory. Under nested paging the processor reads
 * PAE's page directory pointers from memory, not from registers, and so does this; under shadow
 * paging they are registers.
 */
#include <linux/export.h>
#include <linux/uaccess.h>

#include "shadow.h"

/* Hot: four of these make a translation. An aligned entry never crosses a page. */
static __always_inline bool walk_read(void *ctx, u64 gpa, unsigned int size, u64 *entry)
{
	struct kvm_vcpu *vcpu = ctx;
	struct kvm_memory_slot *slot = kvm_vcpu_memslot(vcpu, gpa_to_gfn(gpa));
	hva_t hva;
	u32 small;

	if (unlikely(!kvm_memslot_valid(slot)))
		return false;
	hva = kvm_memslot_hva(slot, gpa_to_gfn(gpa)) + offset_in_page(gpa);
	if (likely(size == sizeof(u64)))
		return !__get_user(*entry, (u64 __user *)hva);
	if (__get_user(small, (u32 __user *)hva))
		return false;
	*entry = small;
	return true;
}

/* Bits that cannot be set in read-only memory are not set, as with a table in a ROM. */
static int walk_update(void *ctx, u64 gpa, u64 old, u64 new, unsigned int size)
{
	struct kvm_vcpu *vcpu = ctx;
	struct kvm_memory_slot *slot;
	int r;

	r = kvm_guest_cmpxchg(vcpu, gpa, &old, new, size);
	if (likely(r >= 0))
		return r;
	slot = kvm_vcpu_memslot(vcpu, gpa_to_gfn(gpa));
	return slot && (READ_ONCE(slot->flags) & KVM_MEM_READONLY) ? 0 : r;
}

static const struct guest_walk_ops walk_ops = {
	.read = walk_read,
	.update = walk_update,
};

static __always_inline void walk_begin(struct guest_walk *w, struct kvm_vcpu *vcpu)
{
	w->paging = &vcpu->arch.mmu.guest;
	w->pdptrs = kvm_hw.npt ? NULL : vcpu->arch.mmu.pdptrs;
	w->cr3 = kvm_read_cr3(vcpu);
	w->reserved = vcpu->arch.cpuid.gpa_reserved;
	w->pkru = vcpu->arch.pkru;
	w->ac = vcpu->arch.rflags & X86_EFLAGS_AC;
}

/* For a fault of shadow paging; levels is not 0. */
enum guest_walk_result kvm_walk_for_fault(struct kvm_vcpu *vcpu, gva_t gva, u32 access,
					  struct guest_walk *w, u32 *error)
{
	walk_begin(w, vcpu);
	return guest_walk_access(w, &walk_ops, vcpu, gva, access, error);
}

bool kvm_walk_reread(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int size, u64 *entry)
{
	bool ok;

	pagefault_disable();
	ok = walk_read(vcpu, gpa, size, entry);
	pagefault_enable();
	return ok;
}

static noinline gpa_t walk_paged(struct kvm_vcpu *vcpu, gva_t gva, u32 access,
				 struct kvm_walk_fault *fault)
{
	enum guest_walk_result r;
	struct guest_walk w;

	walk_begin(&w, vcpu);
	r = guest_walk_access(&w, &walk_ops, vcpu, gva, access, &fault->error_code);
	if (likely(r == GUEST_WALK_OK))
		return w.gpa;
	fault->cr2 = gva;
	fault->nested_abort = r == GUEST_WALK_ABORT;
	return INVALID_GPA;
}

gpa_t kvm_walk_gva(struct kvm_vcpu *vcpu, gva_t gva, u32 access, struct kvm_walk_fault *fault)
{
	return vcpu->arch.mmu.guest.levels ? walk_paged(vcpu, gva, access, fault) : gva;
}
EXPORT_SYMBOL_GPL(kvm_walk_gva);

gpa_t kvm_walk_gva_peek(struct kvm_vcpu *vcpu, gva_t gva)
{
	struct guest_walk w;
	u32 error;

	if (!vcpu->arch.mmu.guest.levels)
		return gva;

	walk_begin(&w, vcpu);
	if (guest_walk_down(&w, &walk_ops, vcpu, gva, &error) != GUEST_WALK_OK)
		return INVALID_GPA;
	return w.gpa;
}
EXPORT_SYMBOL_GPL(kvm_walk_gva_peek);
