// SPDX-License-Identifier: GPL-2.0
/*
 * Access to guest memory: by the kernel through the owner's user mapping, and by finding the host
 * page behind a guest frame so that the architecture can map it. Every function runs in the
 * owner's address space. Which frames exist is memslot.c's affair, and that a translation made
 * from a page found here stays true is mmu_notifier.c's.
 *
 * Accesses by guest physical address have no specification but the slots: the API document,
 * "KVM_SET_USER_MEMORY_REGION".
 */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/uaccess.h>
#include <linux/kvm_host.h>

/* ---- copies --------------------------------------------------------------------------------- */

/*
 * Slots were checked to lie in user space when they were made, so copies need no access_ok().
 * The usual sizes are a single load or store, as the guest or another process may look on.
 * Return 0 or -EFAULT.
 */
#define USER_LOAD(type, data, from)						\
({										\
	__label__ fault, done;							\
	int __r = -EFAULT;							\
										\
	if (!user_read_access_begin(from, sizeof(type)))			\
		goto done;							\
	unsafe_get_user(*(type *)(data), (const type __user *)(from), fault);	\
	__r = 0;								\
fault:										\
	user_read_access_end();							\
done:										\
	__r;									\
})

#define USER_STORE(type, to, data)						\
({										\
	__label__ fault, done;							\
	int __r = -EFAULT;							\
										\
	if (!user_write_access_begin(to, sizeof(type)))				\
		goto done;							\
	unsafe_put_user(*(const type *)(data), (type __user *)(to), fault);	\
	__r = 0;								\
fault:										\
	user_write_access_end();						\
done:										\
	__r;									\
})

static __always_inline int user_load(void *data, const void __user *from, unsigned int len)
{
	if (len == 8)
		return USER_LOAD(u64, data, from);
	if (len == 4)
		return USER_LOAD(u32, data, from);
	if (len == 2)
		return USER_LOAD(u16, data, from);
	if (len == 1)
		return USER_LOAD(u8, data, from);
	return raw_copy_from_user(data, from, len) ? -EFAULT : 0;
}

static __always_inline int user_store(void __user *to, const void *data, unsigned int len)
{
	if (len == 8)
		return USER_STORE(u64, to, data);
	if (len == 4)
		return USER_STORE(u32, to, data);
	if (len == 2)
		return USER_STORE(u16, to, data);
	if (len == 1)
		return USER_STORE(u8, to, data);
	return raw_copy_to_user(to, data, len) ? -EFAULT : 0;
}

static __always_inline void __user *slot_user_ptr(const struct kvm_memory_slot *slot, gpa_t gpa)
{
	return (void __user *)(kvm_memslot_hva(slot, gpa_to_gfn(gpa)) + offset_in_page(gpa));
}

static __always_inline bool slot_accessible(const struct kvm_memory_slot *slot, u32 refused)
{
	return slot && !(READ_ONCE(slot->flags) & (refused | KVM_MEMSLOT_INVALID));
}

static __always_inline bool within_page(gpa_t gpa, unsigned int len)
{
	return offset_in_page(gpa) + (unsigned long)len <= PAGE_SIZE;
}

/* Of a slot that has gpa's page, within that page. */
static __always_inline int slot_read(struct kvm_memory_slot *slot, gpa_t gpa, void *data,
				     unsigned int len)
{
	if (unlikely(!slot_accessible(slot, 0)))
		return -EFAULT;
	return user_load(data, slot_user_ptr(slot, gpa), len);
}

static __always_inline int slot_write(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot,
				      gpa_t gpa, const void *data, unsigned int len)
{
	if (unlikely(!slot_accessible(slot, KVM_MEM_READONLY) ||
		     user_store(slot_user_ptr(slot, gpa), data, len)))
		return -EFAULT;
	if (unlikely(kvm_memslot_logs_dirty(slot)))
		kvm_dirty_log_mark(vcpu, slot, gpa_to_gfn(gpa));
	return 0;
}

/* With a vcpu its present address space and last-slot cache, without one address space 0. */
static struct kvm_memory_slot *access_slot(struct kvm *kvm, struct kvm_vcpu *vcpu, gpa_t gpa)
{
	if (vcpu)
		return kvm_vcpu_memslot(vcpu, gpa_to_gfn(gpa));
	return kvm_memslot_find(kvm_memslots(kvm, 0), gpa_to_gfn(gpa));
}

static noinline int read_pages(struct kvm *kvm, struct kvm_vcpu *vcpu, gpa_t gpa, void *data,
			       unsigned int len)
{
	while (len) {
		unsigned int part = min_t(unsigned long, len, PAGE_SIZE - offset_in_page(gpa));

		if (slot_read(access_slot(kvm, vcpu, gpa), gpa, data, part))
			return -EFAULT;
		gpa += part;
		data += part;
		len -= part;
	}
	return 0;
}

static noinline int write_pages(struct kvm *kvm, struct kvm_vcpu *vcpu, gpa_t gpa,
				const void *data, unsigned int len)
{
	while (len) {
		unsigned int part = min_t(unsigned long, len, PAGE_SIZE - offset_in_page(gpa));

		if (slot_write(vcpu, access_slot(kvm, vcpu, gpa), gpa, data, part))
			return -EFAULT;
		gpa += part;
		data += part;
		len -= part;
	}
	return 0;
}

int kvm_guest_read(struct kvm_vcpu *vcpu, gpa_t gpa, void *data, unsigned int len)
{
	if (unlikely(!within_page(gpa, len)))
		return read_pages(vcpu->kvm, vcpu, gpa, data, len);
	return slot_read(kvm_vcpu_memslot(vcpu, gpa_to_gfn(gpa)), gpa, data, len);
}
EXPORT_SYMBOL_GPL(kvm_guest_read);

int kvm_guest_read_pair(struct kvm_vcpu *vcpu, gpa_t gpa, u64 data[2])
{
	struct kvm_memory_slot *slot = kvm_vcpu_memslot(vcpu, gpa_to_gfn(gpa));
	const u64 __user *from;
	int r = -EFAULT;

	if (unlikely(!slot_accessible(slot, 0)))
		return r;
	from = slot_user_ptr(slot, gpa);
	if (!user_read_access_begin(from, 2 * sizeof(u64)))
		return r;
	unsafe_get_user(data[0], from, fault);
	unsafe_get_user(data[1], from + 1, fault);
	r = 0;
fault:
	user_read_access_end();
	return r;
}
EXPORT_SYMBOL_GPL(kvm_guest_read_pair);

int kvm_guest_write(struct kvm_vcpu *vcpu, gpa_t gpa, const void *data, unsigned int len)
{
	if (unlikely(!within_page(gpa, len)))
		return write_pages(vcpu->kvm, vcpu, gpa, data, len);
	return slot_write(vcpu, kvm_vcpu_memslot(vcpu, gpa_to_gfn(gpa)), gpa, data, len);
}
EXPORT_SYMBOL_GPL(kvm_guest_write);

int kvm_guest_read_atomic(struct kvm_vcpu *vcpu, gpa_t gpa, void *data, unsigned int len)
{
	int r;

	pagefault_disable();
	r = kvm_guest_read(vcpu, gpa, data, len);
	pagefault_enable();
	return r;
}
EXPORT_SYMBOL_GPL(kvm_guest_read_atomic);

int kvm_vm_guest_read(struct kvm *kvm, gpa_t gpa, void *data, unsigned int len)
{
	return read_pages(kvm, NULL, gpa, data, len);
}
EXPORT_SYMBOL_GPL(kvm_vm_guest_read);

int kvm_vm_guest_write(struct kvm *kvm, gpa_t gpa, const void *data, unsigned int len)
{
	return write_pages(kvm, NULL, gpa, data, len);
}
EXPORT_SYMBOL_GPL(kvm_vm_guest_write);

#define USER_CMPXCHG(type, ptr, old, new)						\
({											\
	type __old = *(old);								\
	int __r = __try_cmpxchg_user((type __user *)(ptr), &__old, (type)(new), fault);	\
											\
	*(old) = __old;									\
	__r;										\
})

static int user_cmpxchg8(void __user *ptr, u64 *old, u64 new)
{
	return USER_CMPXCHG(u8, ptr, old, new);
}

static int user_cmpxchg16(void __user *ptr, u64 *old, u64 new)
{
	return USER_CMPXCHG(u16, ptr, old, new);
}

static int user_cmpxchg32(void __user *ptr, u64 *old, u64 new)
{
	return USER_CMPXCHG(u32, ptr, old, new);
}

static int user_cmpxchg64(void __user *ptr, u64 *old, u64 new)
{
	return USER_CMPXCHG(u64, ptr, old, new);
}

int kvm_guest_cmpxchg(struct kvm_vcpu *vcpu, gpa_t gpa, u64 *old, u64 new, unsigned int size)
{
	struct kvm_memory_slot *slot = access_slot(vcpu->kvm, vcpu, gpa);
	void __user *ptr;
	int r = -EFAULT;

	if (!slot_accessible(slot, KVM_MEM_READONLY) || (gpa & (size - 1)))
		return -EFAULT;
	ptr = slot_user_ptr(slot, gpa);
	switch (size) {
	case 1:
		r = user_cmpxchg8(ptr, old, new);
		break;
	case 2:
		r = user_cmpxchg16(ptr, old, new);
		break;
	case 4:
		r = user_cmpxchg32(ptr, old, new);
		break;
	case 8:
		r = user_cmpxchg64(ptr, old, new);
		break;
	}
	if (!r && kvm_memslot_logs_dirty(slot))
		kvm_dirty_log_mark(vcpu, slot, gpa_to_gfn(gpa));
	return r;
}
EXPORT_SYMBOL_GPL(kvm_guest_cmpxchg);

hva_t kvm_vcpu_gfn_to_hva(struct kvm_vcpu *vcpu, gfn_t gfn, bool *writable)
{
	struct kvm_memory_slot *slot = kvm_vcpu_memslot(vcpu, gfn);

	if (!kvm_memslot_valid(slot))
		return KVM_HVA_BAD;
	if (writable)
		*writable = !(slot->flags & KVM_MEM_READONLY);
	return kvm_memslot_hva(slot, gfn);
}
EXPORT_SYMBOL_GPL(kvm_vcpu_gfn_to_hva);

/* ---- host pages ----------------------------------------------------------------------------- */

static bool page_found(struct kvm_guest_page *out, struct page *page, bool writable)
{
	out->page = page;
	out->pfn = page_to_pfn(page);
	out->writable = writable;
	return true;
}

/* Present in the host's page table already; a writable entry serves a read just as well. */
static bool page_get_present(struct kvm_guest_page *out, bool write, bool slot_writable)
{
	struct page *page;

	if (slot_writable && get_user_page_fast_only(out->hva, FOLL_WRITE, &page))
		return page_found(out, page, true);
	if (!write && get_user_page_fast_only(out->hva, 0, &page))
		return page_found(out, page, false);
	return false;
}

/*
 * Fault the page in. 0, -EINTR, -EHWPOISON, -EAGAIN: it would have to be waited for, or -EFAULT: no
 * ordinary memory, or no such access.
 */
static int page_get_fault(struct kvm_guest_page *out, unsigned int flags, bool slot_writable)
{
	/* A NUMA hint in the host's entry must be taken: nothing else makes the guest take it. */
	unsigned int gup = FOLL_HWPOISON | FOLL_HONOR_NUMA_FAULT;
	bool write = flags & KVM_PAGE_WRITE;
	struct page *page, *better;
	long r;

	if (write)
		gup |= FOLL_WRITE;
	if (flags & KVM_PAGE_INTERRUPTIBLE)
		gup |= FOLL_INTERRUPTIBLE;
	if (flags & KVM_PAGE_NOWAIT)
		gup |= FOLL_NOWAIT;
	r = get_user_pages_unlocked(out->hva, 1, &page, gup);
	if (!r && (flags & KVM_PAGE_NOWAIT))
		return -EAGAIN;
	if (r != 1)
		return r == -EINTR || r == -EHWPOISON ? r : -EFAULT;

	page_found(out, page, write);
	if (!write && slot_writable && get_user_page_fast_only(out->hva, FOLL_WRITE, &better)) {
		put_page(page);
		page_found(out, better, true);
	}
	return 0;
}

/*
 * Device memory and other mappings without struct page, or with one that nobody may hold. No
 * reference is taken: the mmu notifier alone says how long the pfn may be used.
 */
static int pfnmap_get(struct kvm_guest_page *out, bool write, bool slot_writable)
{
	struct follow_pfnmap_args args = { .address = out->hva };
	unsigned int fault_flags = write ? FAULT_FLAG_WRITE : 0;
	bool unlocked = false;
	int r;

	args.vma = vma_lookup(current->mm, out->hva);
	if (!args.vma || !(args.vma->vm_flags & (VM_IO | VM_PFNMAP)))
		return -EFAULT;
	r = follow_pfnmap_start(&args);
	if (!r && write && !args.writable) {
		follow_pfnmap_end(&args);
		r = -EFAULT;
	}
	if (r) {
		r = fixup_user_fault(current->mm, out->hva, fault_flags, &unlocked);
		if (r)
			return r;
		if (unlocked)
			return -EAGAIN;
		r = follow_pfnmap_start(&args);
		if (r)
			return r;
	}
	out->pfn = args.pfn;
	out->page = NULL;
	out->writable = args.writable && slot_writable;
	r = write && !args.writable ? -EFAULT : 0;
	follow_pfnmap_end(&args);
	return r;
}

/* The area may change whenever a fault drops mmap_lock; then it is looked at anew. */
static int page_get_pfnmap(struct kvm_guest_page *out, unsigned int flags, bool slot_writable)
{
	int r;

	do {
		if ((flags & KVM_PAGE_INTERRUPTIBLE) && signal_pending(current))
			return -EINTR;
		if (mmap_read_lock_killable(current->mm))
			return -EINTR;
		r = pfnmap_get(out, flags & KVM_PAGE_WRITE, slot_writable);
		mmap_read_unlock(current->mm);
		cond_resched();
	} while (r == -EAGAIN);
	return r == -EINTR || r == -EHWPOISON ? r : r ? -EFAULT : 0;
}

int kvm_guest_page_get(struct kvm_memory_slot *slot, gfn_t gfn, unsigned int flags,
		       struct kvm_guest_page *out)
{
	bool slot_writable = !(READ_ONCE(slot->flags) & KVM_MEM_READONLY);
	bool write = flags & KVM_PAGE_WRITE;
	int r;

	/*
	 * Whether the slot is INVALID matters only when the caller finds it: its end waits for
	 * those who found it valid.
	 */
	if (write && !slot_writable)
		return -EFAULT;
	out->hva = kvm_memslot_hva(slot, gfn);
	if (page_get_present(out, write, slot_writable))
		return 0;
	if (flags & KVM_PAGE_ATOMIC)
		return -EAGAIN;
	r = page_get_fault(out, flags, slot_writable);
	if (r == -EFAULT)
		r = page_get_pfnmap(out, flags, slot_writable);
	return r;
}
EXPORT_SYMBOL_GPL(kvm_guest_page_get);

unsigned int kvm_guest_pages_present(struct kvm_memory_slot *slot, gfn_t gfn, unsigned int nr,
				     struct page **pages)
{
	int got;

	if (READ_ONCE(slot->flags) & KVM_MEM_READONLY)
		return 0;
	got = get_user_pages_fast_only(kvm_memslot_hva(slot, gfn), nr, FOLL_WRITE, pages);
	return max(got, 0);
}

/*
 * For a page mapped into the guest, called under mmu_lock between kvm_mmu_notifier_retry() and
 * the lock's release: write-back that wants to clean the page must invalidate the mapping first,
 * and so waits for us; the host's entry was made writable and the filesystem told when the page
 * was looked up, so the flag alone is what is left to set. For a page the kernel wrote to, called
 * with nothing but the reference held: the flag may then outlive a concurrent cleaning, which
 * costs one more write-back and loses nothing. The look-up itself marked the page accessed.
 */
void kvm_guest_page_put(struct kvm_guest_page *page, bool dirty)
{
	if (!page->page)
		return;
	/* Reserved pages belong to the kernel or a driver, which do not write them back. */
	if (dirty && !PageReserved(page->page) && !PageDirty(page->page))
		SetPageDirty(page->page);
	put_page(page->page);
	page->page = NULL;
}
EXPORT_SYMBOL_GPL(kvm_guest_page_put);

/*
 * Interrupts are kept off during the walk, so that the tables are not freed meanwhile: whoever
 * frees one interrupts or waits for every processor first. Entries are read once, since they may
 * change between two looks.
 */
static int host_mapping_shift(struct mm_struct *mm, hva_t hva)
{
	pgd_t *pgdp, pgd;
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;

	pgdp = pgd_offset(mm, hva);
	pgd = pgdp_get(pgdp);
	if (pgd_none(pgd))
		return PAGE_SHIFT;
	p4dp = p4d_offset_lockless(pgdp, pgd, hva);
	p4d = p4dp_get(p4dp);
	if (p4d_none(p4d) || !p4d_present(p4d))
		return PAGE_SHIFT;
	pudp = pud_offset_lockless(p4dp, p4d, hva);
	pud = pudp_get(pudp);
	if (pud_none(pud) || !pud_present(pud))
		return PAGE_SHIFT;
	if (pud_leaf(pud))
		return PUD_SHIFT;
	pmdp = pmd_offset_lockless(pudp, pud, hva);
	pmd = pmdp_get_lockless(pmdp);
	if (pmd_none(pmd) || !pmd_present(pmd))
		return PAGE_SHIFT;
	return pmd_leaf(pmd) ? PMD_SHIFT : PAGE_SHIFT;
}

int kvm_host_mapping_shift(struct mm_struct *mm, hva_t hva)
{
	unsigned long flags;
	int shift;

	local_irq_save(flags);
	shift = host_mapping_shift(mm, hva);
	local_irq_restore(flags);
	return shift;
}
EXPORT_SYMBOL_GPL(kvm_host_mapping_shift);
