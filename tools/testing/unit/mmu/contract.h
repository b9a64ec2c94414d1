/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel and the core as the MMU's files see them, played by the test: locks only say whether
 * they are held, grace periods end when the test says so, and slots are a short array.
 */
#ifndef TEST_CONTRACT_H
#define TEST_CONTRACT_H

/* The real headers behind these are left out; what is needed of them follows. */
#define _LINUX_KVM_HOST_H
#define _ASM_X86_KVM_HOST_H
#define _KVM_X86_H

#include <linux/kvm_types.h>
#include <asm/kvm_guest_paging.h>

#define PAGE_SHIFT	12
#define PAGE_SIZE	4096ul
#define BITS_PER_LONG	64
#define __user
#define __read_mostly
#define EXPORT_SYMBOL_GPL(x)
#define READ_ONCE(x)	(*(volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define min(a, b)	((a) < (b) ? (a) : (b))
#define max(a, b)	((a) > (b) ? (a) : (b))
#define round_up(x, y)	((((x) - 1) | ((y) - 1)) + 1)
#define container_of(ptr, type, member)	((type *)((char *)(ptr) - offsetof(type, member)))
#define __ffs(x)	__builtin_ctzl(x)
#define __fls(x)	(63 - __builtin_clzl(x))
#define smp_processor_id() 0

/* ---- atomics ---- */

typedef struct { s64 counter; } atomic64_t;
typedef atomic64_t atomic_long_t;
#define atomic64_add(n, v)	((v)->counter += (n))
#define atomic64_and(n, v)	((v)->counter &= (n))
#define atomic_long_inc(v)	((v)->counter++)
#define atomic_long_dec(v)	((v)->counter--)
#define atomic_long_read(v)	((v)->counter)
#define xchg(p, v)		test_remove(p, v)	/* all that the MMU uses it for */
u64 test_remove(u64 *p, u64 new);

extern unsigned int fail_cmpxchg;	/* that many cmpxchg lose */
static inline bool try_cmpxchg64(u64 *p, u64 *old, u64 new)
{
	if (fail_cmpxchg) {
		fail_cmpxchg--;
		return false;
	}
	return __atomic_compare_exchange_n(p, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* ---- lists ---- */

struct list_head { struct list_head *next, *prev; };
#define LIST_HEAD(name)	struct list_head name = { &name, &name }
static inline void INIT_LIST_HEAD(struct list_head *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list_head *l) { return l->next == l; }
static inline void list_add_tail(struct list_head *n, struct list_head *l)
{
	n->prev = l->prev;
	n->next = l;
	l->prev->next = n;
	l->prev = n;
}
static inline void list_del(struct list_head *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
}
static inline void list_move_tail(struct list_head *n, struct list_head *l)
{
	list_del(n);
	list_add_tail(n, l);
}
static inline void list_splice_init(struct list_head *from, struct list_head *to)
{
	while (!list_empty(from))
		list_move_tail(from->next, to);
}
#define list_first_entry(l, type, member) container_of((l)->next, type, member)
#define list_for_each_entry(pos, l, member)					\
	for (pos = container_of((l)->next, __typeof__(*pos), member);		\
	     &pos->member != (l);						\
	     pos = container_of(pos->member.next, __typeof__(*pos), member))
#define list_for_each_entry_safe(pos, n, l, member)				\
	for (pos = container_of((l)->next, __typeof__(*pos), member),		\
	     n = container_of(pos->member.next, __typeof__(*pos), member);	\
	     &pos->member != (l);						\
	     pos = n, n = container_of(n->member.next, __typeof__(*n), member))

struct hlist_node { struct hlist_node *next, **pprev; };
struct hlist_head { struct hlist_node *first; };

/* ---- locks, scheduling, RCU ---- */

typedef struct { int readers; bool writer; } rwlock_t;
typedef struct { bool held; } spinlock_t;
struct mutex { bool held; };
#define spin_lock_init(l)	((void)(l))
#define spin_lock(l)		check(!(l)->held && ((l)->held = true))
#define spin_unlock(l)		((l)->held = false)
#define mutex_trylock(l)	(!(l)->held && ((l)->held = true))
#define mutex_unlock(l)		((l)->held = false)
#define read_lock(l)		((l)->readers++)
#define read_unlock(l)		((l)->readers--)
#define write_lock(l)		check(!(l)->writer && ((l)->writer = true))
#define write_unlock(l)		check((l)->writer && !((l)->writer = false))
extern unsigned int want_resched;	/* that many times the processor is wanted */
#define need_resched()		(want_resched && want_resched--)
#define rwlock_needbreak(l)	false
#define cond_resched()		((void)0)
void lock_dropped(void);
#define cond_resched_rwlock_write(l)	\
	do { write_unlock(l); lock_dropped(); write_lock(l); } while (0)

struct srcu_struct { int readers; };
#define srcu_read_lock(s)	((s)->readers++)
#define srcu_read_unlock(s, i)	((void)(i), (s)->readers--)

struct rcu_head { struct rcu_head *next; void (*func)(struct rcu_head *head); };
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
void rcu_barrier(void);

/* ---- memory ---- */

/* A page is followed by what the kernel would keep in its struct page. */
struct page { unsigned long private; bool compound; };
#define virt_to_page(p)		((struct page *)((char *)(p) + PAGE_SIZE))
#define page_private(p)		((p)->private)
#define set_page_private(p, v)	((p)->private = (v))
#define PageCompound(p)		((p)->compound)
#define __va(x)			((void *)(unsigned long)(x))
#define __pa(x)			((u64)(unsigned long)(x))
#define GFP_KERNEL_ACCOUNT	0
#define NR_SECONDARY_PAGETABLE	0
#define mod_lruvec_page_state(page, item, n)	((void)(page), secondary_pagetables += (n))
extern long secondary_pagetables, live_objects;
unsigned long get_zeroed_page(int gfp);
void free_page(unsigned long page);
#define clear_page(p)		memset(p, 0, PAGE_SIZE)
struct kmem_cache { size_t size; };
#define KMEM_CACHE(type, flags)	test_cache(sizeof(struct type))
struct kmem_cache *test_cache(size_t size);
void *kmem_cache_zalloc(struct kmem_cache *cache, int gfp);
void kmem_cache_free(struct kmem_cache *cache, void *obj);
#define kmem_cache_destroy(c)	free(c)
struct shrink_control { unsigned long nr_to_scan; };
struct shrinker {
	unsigned long (*count_objects)(struct shrinker *s, struct shrink_control *sc);
	unsigned long (*scan_objects)(struct shrinker *s, struct shrink_control *sc);
	int seeks;
};
#define DEFAULT_SEEKS	2
#define SHRINK_STOP	(~0ul)
#define SHRINK_EMPTY	(~0ul - 1)
struct shrinker *shrinker_alloc(int flags, const char *name);
#define shrinker_register(s)	((void)(s))
#define shrinker_free(s)	free(s)

/* ---- processor ---- */

#define _PAGE_NX	BIT_ULL(63)
#define _PAGE_USER	BIT_ULL(2)
#define _PAGE_ACCESSED	BIT_ULL(5)
#define _PAGE_DIRTY	BIT_ULL(6)
#define sme_me_mask	0ull
#define X86_CR0_WP	BIT(16)
#define X86_CR0_PG	BIT(31)
#define X86_CR4_PSE	BIT(4)
#define X86_CR4_PAE	BIT(5)
#define X86_CR4_LA57	BIT(12)
#define X86_CR4_SMEP	BIT(20)
#define X86_CR4_SMAP	BIT(21)
#define X86_CR4_PKE	BIT(22)
#define EFER_LMA	BIT(10)
#define EFER_NX		BIT(11)
#define X86_VENDOR_AMD	2
#define X86_VENDOR_HYGON 9
#define X86_FEATURE_GBPAGES 0
#define boot_cpu_has(f)	true
static const struct { int x86_vendor; } boot_cpu_data = { X86_VENDOR_AMD };
#define page_is_ram(pfn) true

/* ---- the core ---- */

struct delayed_work { int unused; };

#include <mmu_structures.h>

#define KVM_MEM_LOG_DIRTY_PAGES	1u
#define KVM_MEM_READONLY	2u
#define KVM_MEMSLOT_INVALID	BIT(31)
#define KVM_DIRTY_LOG_INITIALLY_SET 2
#define KVM_REQ_TLB_FLUSH	0
#define KVM_REQ_OUTSIDE		3
#define KVM_REQ_MMU_ROOT	11
#define KVM_REQ_DIRTY_LOGGING	21

struct kvm_memory_slot {
	gfn_t base_gfn;
	unsigned long npages;
	hva_t userspace_addr;
	u32 flags;
	u16 as_id;
	unsigned long *dirty_bitmap;
	struct kvm_arch_memory_slot arch;
};
#define kvm_memslot_hva(slot, gfn) \
	((slot)->userspace_addr + (((gfn) - (slot)->base_gfn) << PAGE_SHIFT))

struct kvm_gfn_range {
	struct kvm_memory_slot *slot;
	gfn_t start, end;
	bool may_block;
};

struct kvm_guest_page {
	kvm_pfn_t pfn;
	struct page *page;
	bool writable;
	hva_t hva;
};

struct kvm_vm_stat { atomic64_t pages_4k, pages_2m, pages_1g; u64 mmu_recycled, nx_lpage_splits; };
struct kvm_arch { struct kvm_vm_mmu mmu; };
struct kvm {
	void *mm;
	rwlock_t mmu_lock;
	struct srcu_struct srcu;
	u64 nr_slot_pages;
	u64 manual_dirty_log_protect;
	struct kvm_vm_stat stat;
	struct list_head vm_list;
	struct kvm_arch arch;
};
struct kvm_vcpu {
	struct kvm *kvm;
	unsigned long requests;
	struct { u64 pf_spurious, pf_fixed; } stat;
	struct { struct kvm_vcpu_mmu mmu; unsigned long cr0, cr4; u64 efer; } arch;
};

/* Shadow paging, which is tested in the emulated host, is not there. */
static const struct { bool npt; } kvm_hw = { true };
#define kvfree(p)		((void)(p))
#define for_each_set_bit(bit, mask, n)	\
	for (bit = 0; bit < (n); bit++) if (!(*(mask) >> bit & 1)) {} else

extern struct mutex kvm_vm_list_lock;
extern struct list_head kvm_vm_list;
extern bool eager_page_split;
#define kvm_read_cr0(vcpu)	((vcpu)->arch.cr0)
#define kvm_read_cr4(vcpu)	((vcpu)->arch.cr4)
#define kvm_vcpu_as_id(vcpu)	0
#define kvm_request(vcpu, req)	((vcpu)->requests |= BIT(req))
void kvm_flush_remote_tlbs(struct kvm *kvm);
bool kvm_request_all(struct kvm *kvm, unsigned int req);
int kvm_host_mapping_shift(void *mm, hva_t hva);
void kvm_dirty_log_mark(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot, gfn_t gfn);
struct kvm_test_ops {
	void (*load_root)(struct kvm_vcpu *vcpu, hpa_t root, int level);
	void (*flush_tlb_all)(struct kvm_vcpu *vcpu);
};
extern struct kvm_test_ops kvm_x86_ops;

int kvm_arch_memslot_create(struct kvm *kvm, struct kvm_memory_slot *slot);
void kvm_arch_memslot_free(struct kvm *kvm, struct kvm_memory_slot *slot);
void kvm_arch_memslot_zap(struct kvm *kvm, struct kvm_memory_slot *slot);
void kvm_arch_memslot_changed(struct kvm *kvm, struct kvm_memory_slot *slot, u32 old_flags);
void kvm_arch_memslots_updated(struct kvm *kvm, u64 generation);
bool kvm_arch_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range);
bool kvm_arch_age_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range);
bool kvm_arch_test_age_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range);
void kvm_arch_mmu_release(struct kvm *kvm);
void kvm_arch_dirty_logging_changed(struct kvm *kvm);
void kvm_arch_dirty_log_sync(struct kvm *kvm);
void kvm_arch_dirty_protect(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t offset,
			    unsigned long mask);

#endif
