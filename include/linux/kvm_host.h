/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract between the core (virt/kvm) and an architecture (arch/<arch>/kvm).
 *
 * The core owns file descriptors, memory slots, the I/O buses, halting and statistics. It calls
 * an architecture only through the kvm_arch_*() functions declared at the end of this file.
 * Everything else here is what the core offers to the architecture. A function that does not say
 * otherwise returns 0 or a negative errno.
 *
 * Locks, outermost first (Documentation/virt/kvm/locking.rst has the whole table):
 *   vcpu->mutex, kvm->lock, kvm->slots_lock, kvm->srcu (read), mm's mmap_lock,
 *   kvm->mmu_lock, kvm->mn_lock.
 */
#ifndef _LINUX_KVM_HOST_H
#define _LINUX_KVM_HOST_H

#include <linux/bitops.h>
#include <linux/context_tracking.h>
#include <linux/file.h>
#include <linux/ftrace.h>
#include <linux/instrumentation.h>
#include <linux/interval_tree.h>
#include <linux/irqbypass.h>
#include <linux/irqflags.h>
#include <linux/kvm.h>
#include <linux/kvm_types.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/preempt.h>
#include <linux/rbtree.h>
#include <linux/rcuwait.h>
#include <linux/refcount.h>
#include <linux/rwlock.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/srcu.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <linux/kvm_compat.h>
#include <linux/kvm_stats.h>
#include <asm/kvm_host.h>

/* ---- memory slots (memslot.c) -------------------------------------------------------------- */

#define KVM_MAX_IRQ_ROUTES	4096
#define KVM_USER_MEM_SLOTS	32764
#ifndef KVM_MAX_NR_ADDRESS_SPACES
#define KVM_MAX_NR_ADDRESS_SPACES	1
#endif

/* Internal slot flag, above every flag of the ABI: the slot is going away, see memslot.c. */
#define KVM_MEMSLOT_INVALID	(1u << 31)

/*
 * A range of guest frames backed by user memory. It stands in two indexes, of which one is the
 * readers' and the other is being changed, hence two nodes of each kind. Fields but flags and
 * dirty_bitmap never change while the slot can be found. flags and dirty_bitmap are written
 * under slots_lock and read under kvm->srcu, each reader loading them once.
 */
struct kvm_memory_slot {
	gfn_t base_gfn;
	unsigned long npages;
	hva_t userspace_addr;
	u32 flags;
	u16 id;
	u16 as_id;
	unsigned long *dirty_bitmap;		/* npages bits, or NULL */
	struct kvm_arch_memory_slot arch;
	struct rb_node gfn_node[2];
	struct interval_tree_node hva_node[2];
};

/*
 * One address space's slots as a reader sees them: immutable while active. An inactive version
 * lags behind the active one by at most one edit, which is made up when the next edit needs it.
 */
struct kvm_memslots {
	u64 generation;				/* unique among versions of all address spaces */
	unsigned int node_idx;			/* which node of the slots this version uses */
	struct rb_root gfn_tree;
	struct rb_root_cached hva_tree;
	unsigned long gp_state;			/* SRCU grace period after which nobody reads it */
	struct kvm_memory_slot *late_add;	/* the edit to be made up, slots_lock */
	struct kvm_memory_slot *late_remove;
};

static inline struct kvm_memslots *kvm_memslots(struct kvm *kvm, unsigned int as_id);

/* The slot that holds @gfn, or NULL. Caller holds kvm->srcu or slots_lock. O(log slots). */
struct kvm_memory_slot *kvm_memslot_find(struct kvm_memslots *slots, gfn_t gfn);
/* As above, through the vcpu's last-slot cache; uses the vcpu's current address space. */
static inline struct kvm_memory_slot *kvm_vcpu_memslot(struct kvm_vcpu *vcpu, gfn_t gfn);
struct kvm_memory_slot *kvm_vcpu_memslot_search(struct kvm_vcpu *vcpu, gfn_t gfn);
/* The slot with number @id, or NULL. Caller holds slots_lock. */
struct kvm_memory_slot *kvm_memslot_by_id(struct kvm *kvm, unsigned int as_id, unsigned int id);
/* The first slot with frames at or above @gfn, or NULL; iterate with the slot's end. srcu. */
struct kvm_memory_slot *kvm_memslot_first_from(struct kvm_memslots *slots, gfn_t gfn);

#define kvm_for_each_memslot(slot, slots)						\
	for (slot = kvm_memslot_first_from(slots, 0); slot;				\
	     slot = kvm_memslot_first_from(slots, slot->base_gfn + slot->npages))

int kvm_vm_set_memory_region(struct kvm *kvm, const struct kvm_userspace_memory_region2 *region);
int kvm_memslots_init(struct kvm *kvm);
void kvm_memslots_destroy(struct kvm *kvm);

static inline bool kvm_memslot_valid(const struct kvm_memory_slot *slot)
{
	return slot && !(READ_ONCE(slot->flags) & KVM_MEMSLOT_INVALID);
}

static inline bool kvm_memslot_logs_dirty(const struct kvm_memory_slot *slot)
{
	return READ_ONCE(slot->flags) & KVM_MEM_LOG_DIRTY_PAGES;
}

static inline hva_t kvm_memslot_hva(const struct kvm_memory_slot *slot, gfn_t gfn)
{
	/* The guest chose gfn: a mispredicted range check must not lead out of the slot. */
	gfn_t offset = array_index_nospec(gfn - slot->base_gfn, slot->npages);

	return slot->userspace_addr + (offset << PAGE_SHIFT);
}

/* ---- guest memory (guest_memory.c) --------------------------------------------------------- */

/*
 * Copy between a kernel buffer and guest memory. @len may cross pages and slots. Return 0, or
 * -EFAULT when any byte is not backed by a slot (or, for writes, lies in a read-only slot) or the
 * user memory cannot be accessed. May sleep unless named _atomic. Writes mark pages dirty.
 * The caller holds kvm->srcu: with a vcpu, by kvm_srcu_lock().
 */
int kvm_guest_read(struct kvm_vcpu *vcpu, gpa_t gpa, void *data, unsigned int len);
int kvm_guest_write(struct kvm_vcpu *vcpu, gpa_t gpa, const void *data, unsigned int len);
/* Sixteen bytes that lie in one page. */
int kvm_guest_read_pair(struct kvm_vcpu *vcpu, gpa_t gpa, u64 data[2]);
/* As kvm_guest_read(), never sleeping: pages not present give -EFAULT. */
int kvm_guest_read_atomic(struct kvm_vcpu *vcpu, gpa_t gpa, void *data, unsigned int len);
/* The same without a vcpu, in address space 0. */
int kvm_vm_guest_read(struct kvm *kvm, gpa_t gpa, void *data, unsigned int len);
int kvm_vm_guest_write(struct kvm *kvm, gpa_t gpa, const void *data, unsigned int len);
/*
 * Compare-and-exchange of a naturally aligned 1, 2, 4 or 8 byte guest location. Returns 0 when
 * exchanged, 1 when the memory held another value (*old then holds it), -EFAULT as above.
 */
int kvm_guest_cmpxchg(struct kvm_vcpu *vcpu, gpa_t gpa, u64 *old, u64 new, unsigned int size);
/* The hva of a gfn; KVM_HVA_BAD when there is none. *writable, if not NULL, says if slot allows writes. */
#define KVM_HVA_BAD	((hva_t)-PAGE_SIZE)
hva_t kvm_vcpu_gfn_to_hva(struct kvm_vcpu *vcpu, gfn_t gfn, bool *writable);

/* Outcome of resolving a gfn to a host page. */
struct kvm_guest_page {
	kvm_pfn_t pfn;
	struct page *page;	/* referenced, or NULL for a pfn without struct page to hold */
	bool writable;		/* the host mapping allows writes */
	hva_t hva;
};

#define KVM_PAGE_WRITE		BIT(0)	/* the access writes */
#define KVM_PAGE_ATOMIC		BIT(1)	/* do not sleep; -EAGAIN if it would be needed */
#define KVM_PAGE_INTERRUPTIBLE	BIT(2)	/* -EINTR when a signal is pending */
#define KVM_PAGE_NOWAIT		BIT(3)	/* fault it in, but -EAGAIN instead of waiting for it */
/*
 * Resolve @gfn of @slot. Returns 0; -EFAULT (no memory there), -EHWPOISON (page is poisoned; the
 * caller reports *out.hva), -EINTR, -EAGAIN. A read-only slot resolves only without KVM_PAGE_WRITE.
 * For a read access *writable is true when the page can be mapped writable for nothing.
 * May sleep. Handles VM_PFNMAP/VM_IO areas. The caller ends with kvm_guest_page_put().
 */
int kvm_guest_page_get(struct kvm_memory_slot *slot, gfn_t gfn, unsigned int flags,
		       struct kvm_guest_page *out);
/*
 * How many of @nr frames from @gfn on, all in @slot, the host has present and writable, and their
 * pages, which the caller puts. Does not sleep.
 */
unsigned int kvm_guest_pages_present(struct kvm_memory_slot *slot, gfn_t gfn, unsigned int nr,
				     struct page **pages);
/* @dirty: a writable mapping of it was installed, or the kernel wrote to it. */
void kvm_guest_page_put(struct kvm_guest_page *page, bool dirty);
/* log2 of the host mapping's size at @hva (12, 21, 30); the caller holds IRQs or mmu_lock so that
 * the notifier's invalidation of that mapping cannot complete meanwhile. */
int kvm_host_mapping_shift(struct mm_struct *mm, hva_t hva);

/* ---- asynchronous page faults (async_pf.c) --------------------------------------------------- */

/* A page that a worker fetches. All but the first two members are fixed, and the token the owner's. */
struct kvm_async_pf {
	struct list_head link;		/* pending or done */
	struct kvm_vcpu *vcpu;		/* NULL: it does not care any more */
	struct work_struct work;
	refcount_t refs;
	struct mm_struct *mm;
	gfn_t gfn;
	hva_t hva;
	bool write;
	u32 token;			/* the architecture's */
};

struct kvm_vcpu_async_pf {
	struct list_head pending, done;
	unsigned int nr;		/* in both; the owner's */
};

/*
 * Owner only. start: fetch the page; NULL if that cannot be had. KVM_REQ_ASYNC_PF is set, and the
 * vcpu kicked, when it is there; it stays in the list of those done until it is retired.
 */
struct kvm_async_pf *kvm_async_pf_start(struct kvm_vcpu *vcpu, gfn_t gfn, hva_t hva, bool write,
					u32 token);
bool kvm_async_pf_pending(struct kvm_vcpu *vcpu, gfn_t gfn);
struct kvm_async_pf *kvm_async_pf_first_done(struct kvm_vcpu *vcpu);
void kvm_async_pf_retire(struct kvm_vcpu *vcpu, struct kvm_async_pf *apf);
void kvm_async_pf_forget(struct kvm_vcpu *vcpu);	/* all of them */

/* ---- dirty log (dirty_log.c) --------------------------------------------------------------- */

/* Note that @gfn of @slot was written. Cheap when the slot is not logged; slot may be NULL. */
void kvm_dirty_log_mark(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot, gfn_t gfn);
int kvm_dirty_log_create(struct kvm *kvm, struct kvm_memory_slot *slot);
void kvm_dirty_log_free(struct kvm_memory_slot *slot);
int kvm_vm_get_dirty_log(struct kvm *kvm, struct kvm_dirty_log *log);
int kvm_vm_clear_dirty_log(struct kvm *kvm, struct kvm_clear_dirty_log *log);

/* ---- dirty ring (dirty_ring.c) ------------------------------------------------------------- */

/* Note that @gfn of a logged slot was written by @vcpu, or by the vcpu of this thread if NULL. */
void kvm_dirty_ring_mark(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot, gfn_t gfn);
int kvm_dirty_ring_max_bytes(void);
/* KVM_REQ_DIRTY_RING: true, with kvm_run filled, if the ring has no room for another entry. */
bool kvm_dirty_ring_exit(struct kvm_vcpu *vcpu);
/* So many pages may be noted until the vcpu's ring counts as full. */
u32 kvm_dirty_ring_room(struct kvm_vcpu *vcpu);

/* ---- mmu notifier (mmu_notifier.c) --------------------------------------------------------- */

/* A range of guest frames of one slot, as handed to the architecture under mmu_lock (write). */
struct kvm_gfn_range {
	struct kvm_memory_slot *slot;
	gfn_t start, end;
	bool may_block;		/* mmu_lock may be dropped to reschedule */
};

int kvm_mmu_notifier_register(struct kvm *kvm);
void kvm_mmu_notifier_unregister(struct kvm *kvm);
/*
 * For a fault: take kvm_mmu_notifier_seq() before resolving the hva, and ask
 * kvm_mmu_notifier_retry() under mmu_lock (either side) before installing the translation;
 * true means that the host mapping may have changed: start over.
 */
unsigned long kvm_mmu_notifier_seq(struct kvm *kvm);
bool kvm_mmu_notifier_retry(struct kvm *kvm, unsigned long seq, hva_t hva);

/* ---- I/O bus (io_bus.c) -------------------------------------------------------------------- */

enum kvm_bus { KVM_PIO_BUS, KVM_MMIO_BUS, KVM_FAST_MMIO_BUS, KVM_NR_BUSES };

struct kvm_io_device;

/*
 * read/write return 0 when the device took the access, -EOPNOTSUPP when it leaves it to the next
 * device or to userspace. Called under kvm->srcu, in process context. release() drops the device
 * once no reader can see it.
 */
struct kvm_io_device_ops {
	bool uncounted;		/* something else bounds their number: not part of NR_IOBUS_DEVS */
	int (*read)(struct kvm_vcpu *vcpu, struct kvm_io_device *dev, gpa_t addr, int len, void *val);
	int (*write)(struct kvm_vcpu *vcpu, struct kvm_io_device *dev, gpa_t addr, int len,
		     const void *val);
	void (*release)(struct kvm_io_device *dev);
};

struct kvm_io_device {
	const struct kvm_io_device_ops *ops;
};

struct kvm_io_bus;
struct kvm_irq_routes;

/* Return 0 when a device took it, -EOPNOTSUPP when none did. Binary search; lock-free; caller holds srcu. */
int kvm_io_bus_read(struct kvm_vcpu *vcpu, enum kvm_bus bus, gpa_t addr, int len, void *val);
int kvm_io_bus_write(struct kvm_vcpu *vcpu, enum kvm_bus bus, gpa_t addr, int len, const void *val);
/* Caller holds slots_lock. -ENOSPC over the limit, -ENOMEM. */
int kvm_io_bus_register(struct kvm *kvm, enum kvm_bus bus, gpa_t addr, u64 len,
			struct kvm_io_device *dev);
void kvm_io_bus_unregister(struct kvm *kvm, enum kvm_bus bus, struct kvm_io_device *dev);
void kvm_io_buses_destroy(struct kvm *kvm);

/* ---- coalesced I/O (coalesced_mmio.c) ------------------------------------------------------ */

int kvm_coalesced_register(struct kvm *kvm, const struct kvm_coalesced_mmio_zone *zone);
int kvm_coalesced_unregister(struct kvm *kvm, const struct kvm_coalesced_mmio_zone *zone);
void kvm_coalesced_destroy(struct kvm *kvm);
/* The ring page for a fault in a vcpu mapping, allocated by the first call; NULL: no memory. */
struct page *kvm_coalesced_ring_page(struct kvm *kvm);

/* ---- interrupt routing (irq_routing.c) -------------------------------------------------------- */

#ifndef KVM_NR_IRQCHIPS
#define KVM_NR_IRQCHIPS		1
#endif
#ifndef KVM_IRQCHIP_PINS
#define KVM_IRQCHIP_PINS	24	/* of the controller that has most */
#endif

/* Who holds a level-triggered line high; it is high while one of them does. */
#define KVM_USERSPACE_IRQ_SOURCE_ID	0
#define KVM_RESAMPLER_IRQ_SOURCE_ID	1	/* irqfds */
#define KVM_PIT_IRQ_SOURCE_ID		2	/* the timer on the board */

/*
 * Where a GSI leads. Both functions are called in a read section of kvm->srcu and return the number
 * of vcpus reached, 0 when the interrupt merged with one that is still pending, or -1 when it is
 * masked.
 */
struct kvm_irq_route {
	struct kvm_irq_routing_entry entry;	/* as userspace gave it; u is the architecture's */
	/* In process context. A message ignores @level false. */
	int (*deliver)(struct kvm *kvm, const struct kvm_irq_route *route, unsigned int source,
		       bool level, bool line_status);
	/*
	 * An edge, in any context but NMI, interrupts off, spinlocks held. -EWOULDBLOCK: do it with
	 * deliver(). NULL: always so.
	 */
	int (*deliver_fast)(struct kvm *kvm, const struct kvm_irq_route *route);
};

/* The routes of @gsi, next to each other; NULL and *nr 0 if there are none. Caller holds srcu. */
const struct kvm_irq_route *kvm_irq_routes_find(struct kvm *kvm, u32 gsi, unsigned int *nr);
u32 kvm_irq_nr_gsis(struct kvm *kvm);	/* one above the highest GSI with a route; srcu */
/*
 * Set what a source makes of a line. Process context. Returns the number of vcpus reached, 0 or -1
 * as above; the best of several routes.
 */
int kvm_set_irq(struct kvm *kvm, unsigned int source, u32 gsi, bool level, bool line_status);
/* An edge, in any context but NMI; -EWOULDBLOCK when only kvm_set_irq() will do. */
int kvm_pulse_irq_fast(struct kvm *kvm, unsigned int source, u32 gsi);
/* KVM_SIGNAL_MSI: as kvm_set_irq(), or -EINVAL. */
int kvm_irq_inject_msi(struct kvm *kvm, const struct kvm_msi *msi);
/* Replace all routes. -EINVAL, -ENOMEM: nothing changed. May sleep; not in a read section. */
int kvm_irq_routing_set(struct kvm *kvm, const struct kvm_irq_routing_entry *entries,
			unsigned int nr);

/* Somebody who wants to know that the guest has acknowledged an interrupt of the line. */
struct kvm_irq_ack_notifier {
	struct hlist_node link;
	u32 gsi;
	void (*acked)(struct kvm_irq_ack_notifier *notifier);	/* process context; may set lines */
};

void kvm_irq_ack_register(struct kvm *kvm, struct kvm_irq_ack_notifier *notifier);
void kvm_irq_ack_unregister(struct kvm *kvm, struct kvm_irq_ack_notifier *notifier);
/* An interrupt of the pin was acknowledged; the caller holds no lock that setting a line takes. */
void kvm_irq_acked(struct kvm *kvm, unsigned int chip, unsigned int pin);
void kvm_irq_acked_gsi(struct kvm *kvm, u32 gsi);	/* as above, of a line that is no pin */

/* ---- VM (vm.c) ------------------------------------------------------------------------------ */

struct kvm {
	struct mm_struct *mm;
	rwlock_t mmu_lock;		/* translations; see the architecture's mmu */
	struct mutex lock;		/* vcpu creation, VM-wide configuration */
	struct mutex slots_lock;	/* slots, buses */
	struct srcu_struct srcu;	/* readers of slots, buses, routing */
	refcount_t users;		/* one for each VM or vcpu file, and for users of the kernel */

	/* memslot.c: [as][0/1] */
	struct kvm_memslots memslots[KVM_MAX_NR_ADDRESS_SPACES][2];
	struct kvm_memslots __rcu *active_memslots[KVM_MAX_NR_ADDRESS_SPACES];
	struct xarray memslot_ids[KVM_MAX_NR_ADDRESS_SPACES];	/* slots_lock */
	u64 nr_slot_pages;					/* slots_lock */
	unsigned int nr_logged_slots;	/* that have or get a dirty log; written under slots_lock */

	/* mmu_notifier.c */
	struct mmu_notifier mmu_notifier;
	spinlock_t mn_lock;		/* the four fields below */
	unsigned long mn_seq;
	unsigned long mn_in_progress;
	hva_t mn_range_start, mn_range_end;

	/* vcpu.c: vcpu_array by index; entries are complete when online_vcpus covers them */
	struct xarray vcpu_array;
	int created_vcpus;		/* lock */
	unsigned int last_helped;	/* index, a hint: spin.c */
	atomic_t online_vcpus;

	struct kvm_io_bus __rcu *buses[KVM_NR_BUSES];

	/* coalesced_mmio.c */
	struct page *coalesced_page;		/* set once, by cmpxchg */
	spinlock_t coalesced_lock;		/* writers of the ring */
	struct list_head coalesced_zones;	/* slots_lock */

	struct list_head doorbells;		/* ioeventfd.c, slots_lock */

	/* irq_routing.c: readers hold srcu */
	struct mutex irq_lock;			/* changes of the two */
	struct kvm_irq_routes __rcu *irq_routes;
	struct hlist_head ack_notifiers;

	/* irqfd.c */
	spinlock_t irqfds_lock;		/* taken under an eventfd's lock */
	struct list_head irqfds;		/* irqfds_lock */
	bool irqfds_used;			/* there has been one; kvm->lock */
	struct mutex bypass_lock;
	struct list_head bypasses;		/* irq_bypass.c; bypass_lock */
	struct mutex resampler_lock;
	struct list_head resamplers;		/* resampler_lock */

	struct list_head devices;		/* device.c; lock */
	bool noncoherent_dma;			/* a device goes behind the caches: vfio.c */

	u64 manual_dirty_log_protect;		/* KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 flags, lock */
	u32 dirty_ring_entries;			/* of each vcpu's ring, 0: bitmaps; kvm->lock */
	unsigned int max_halt_poll_ns;		/* KVM_CAP_HALT_POLL; ~0u: the module's parameter */
	bool vm_bugged;				/* an invariant broke: every ioctl gives -EIO */
	bool vm_dead;

	char stats_id[KVM_STATS_NAME_SIZE];
	struct kvm_vm_stat stat;
	struct dentry *debugfs;
	struct list_head vm_list;		/* kvm_vm_list_lock */
	struct kvm_arch arch;
};

extern struct mutex kvm_vm_list_lock;
extern struct list_head kvm_vm_list;

void kvm_get(struct kvm *kvm);		/* caller already holds a reference */
bool kvm_get_safe(struct kvm *kvm);	/* false when the VM is being destroyed */
void kvm_put(struct kvm *kvm);		/* may destroy the VM; may sleep */
struct kvm *kvm_from_file(struct file *file);	/* the VM of a VM file, or NULL; no reference taken */

/* An invariant of our own broke: no vcpu of the VM enters the guest again. */
void kvm_vm_bugged(struct kvm *kvm);
#define KVM_BUG_ON(cond, kvm)						\
({									\
	bool __broken = !!(cond);					\
	if (unlikely(__broken) && !(kvm)->vm_bugged)			\
		kvm_vm_bugged(kvm);					\
	unlikely(__broken);						\
})

static inline struct kvm_memslots *kvm_memslots(struct kvm *kvm, unsigned int as_id)
{
	return srcu_dereference_check(kvm->active_memslots[as_id], &kvm->srcu,
				      lockdep_is_held(&kvm->slots_lock) ||
				      !refcount_read(&kvm->users));
}

/* ---- vcpu (vcpu.c, halt.c) ------------------------------------------------------------------ */

enum kvm_vcpu_mode {
	KVM_VCPU_OUTSIDE,	/* not in the guest, will look at requests before it enters */
	KVM_VCPU_ENTERING,	/* in the guest or past its last look: needs an IPI to notice */
	KVM_VCPU_EXITING,	/* was kicked; on its way out */
};

/* Bits of vcpu->requests that the core defines; an architecture's start at KVM_REQ_ARCH_BASE. */
#define KVM_REQ_TLB_FLUSH	0
#define KVM_REQ_VM_DEAD		1
#define KVM_REQ_UNHALT		2
#define KVM_REQ_OUTSIDE		3	/* no work: just be out of the guest for a moment */
#define KVM_REQ_DIRTY_RING	4	/* the dirty ring is full, or was */
#define KVM_REQ_ASYNC_PF	5	/* a page is there: kvm_async_pf_first_done() */
#define KVM_REQ_ARCH_BASE	8

struct kvm_vcpu {
	struct kvm *kvm;
	struct kvm_run *run;
	int cpu;			/* processor whose state holds this vcpu, -1 if none */
	int vcpu_id;			/* userspace's number */
	int vcpu_idx;			/* dense index */
	unsigned long requests;		/* pending work, atomic bit operations */
	int mode;			/* enum kvm_vcpu_mode */
	int srcu_idx;
	bool srcu_held;
	bool scheduled_out;		/* between the preempt notifiers */
	bool preempted;			/* and it was not a voluntary sleep */
	bool preempted_in_kernel;	/* the guest's */
	bool spinning, passed_over;	/* spin.c */
	bool ready;			/* halted, woken, not yet run */
	bool sigset_active;
	bool wants_to_run;		/* in KVM_RUN and immediate_exit was clear */
	unsigned int halt_poll_ns;
	struct kvm_vcpu_async_pf async_pf;

	struct preempt_notifier preempt_notifier;
	struct mutex mutex;		/* held by every vcpu ioctl but the asynchronous ones */
	struct rcuwait wait;
	struct pid *pid;		/* thread that last ran it; pid_lock */
	rwlock_t pid_lock;
	sigset_t sigset;

	/* last slot found, valid for that generation */
	struct kvm_memory_slot *last_slot;
	u64 last_slot_gen;

	/* dirty_ring.c: entries are counted, and found at the count modulo the ring's size */
	struct kvm_dirty_gfn *dirty_ring;	/* NULL: dirty bitmaps */
	u32 dirty_ring_next;			/* to be written */
	u32 dirty_ring_freed;			/* oldest that is not free; slots_lock */
	u32 dirty_ring_last_slot;
	u64 dirty_ring_last_offset;

	struct kvm_vcpu_stat stat;
	char stats_id[KVM_STATS_NAME_SIZE];
	struct dentry *debugfs;
	struct kvm_vcpu_arch arch;
};

/* The address space that the vcpu's accesses go to at present. */
static inline unsigned int kvm_vcpu_as_id(struct kvm_vcpu *vcpu)
{
	return kvm_arch_vcpu_as_id(vcpu);
}

/*
 * A generation belongs to one version of one address space. If the cached one is the active
 * version's, the cached slot is in that version and lives as long as it has readers, as which
 * the caller counts.
 */
static inline struct kvm_memory_slot *kvm_vcpu_memslot(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvm_memslots *slots = kvm_memslots(vcpu->kvm, kvm_vcpu_as_id(vcpu));

	if (likely(vcpu->last_slot_gen == slots->generation &&
		   gfn - vcpu->last_slot->base_gfn < vcpu->last_slot->npages))
		return vcpu->last_slot;
	return kvm_vcpu_memslot_search(vcpu, gfn);
}

static inline struct kvm_vcpu *kvm_get_vcpu(struct kvm *kvm, int idx)
{
	if (idx < 0 || idx >= atomic_read(&kvm->online_vcpus))
		return NULL;
	smp_rmb();	/* pairs with the release of online_vcpus in vcpu creation */
	return xa_load(&kvm->vcpu_array, idx);
}

#define kvm_for_each_vcpu(idx, vcpu, kvm)						\
	for (idx = 0; (vcpu = kvm_get_vcpu(kvm, idx)) != NULL; idx++)

struct kvm_vcpu *kvm_vcpu_by_id(struct kvm *kvm, int id);
struct kvm_vcpu *kvm_running_vcpu(void);	/* this processor's loaded vcpu, or NULL */
void kvm_vcpu_load(struct kvm_vcpu *vcpu);
void kvm_vcpu_put(struct kvm_vcpu *vcpu);

/* Wake the vcpu if it is halted; true if it was. */
bool kvm_vcpu_wake(struct kvm_vcpu *vcpu);
/* Make the vcpu look at its requests soon: wake it, or IPI it out of the guest. */
void kvm_vcpu_kick(struct kvm_vcpu *vcpu);
/* Give the processor to that vcpu's thread, if that is possible; true if it was. May sleep. */
bool kvm_vcpu_yield_to(struct kvm_vcpu *target);
/* Block until kvm_arch_vcpu_runnable(), a signal or a request, polling first. Releases srcu. */
void kvm_vcpu_halt(struct kvm_vcpu *vcpu);
/*
 * How long a vcpu may spin before it exits, in the processor's unit. Each exit grows it, up to the most,
 * since there was nobody to wait for; each time that the scheduler gives the vcpu a processor again it
 * shrinks, down to the first. A change below "first" multiplies or divides, another is added or
 * subtracted, and 0 goes back to the first.
 */
struct kvm_spin_window {
	unsigned int first, grow, shrink, most;
};
unsigned int kvm_spin_window_longer(const struct kvm_spin_window *w, unsigned int now);
unsigned int kvm_spin_window_shorter(const struct kvm_spin_window *w, unsigned int now);
/* The vcpu waits for another one in a loop, @kernel: of the guest's kernel. Releases srcu; may sleep. */
void kvm_vcpu_spins(struct kvm_vcpu *vcpu, bool kernel);
/* Do what the host wants done before the guest is entered (see host_work.c). 0; -EINTR with
 * run->exit_reason set when a signal is pending. Releases srcu; may sleep. */
int kvm_serve_host(struct kvm_vcpu *vcpu);
/* Set a request in every vcpu, IPI those in the guest, and wait until none of them is in the
 * guest with the old state. Returns whether an IPI was sent. */
bool kvm_request_all(struct kvm *kvm, unsigned int req);
/* All translations of the VM that any processor may cache are gone on return or before the vcpu
 * enters the guest again. Callable under mmu_lock. */
void kvm_flush_remote_tlbs(struct kvm *kvm);

static inline void kvm_request(struct kvm_vcpu *vcpu, unsigned int req)
{
	smp_wmb();	/* data the request speaks of comes first; pairs with kvm_request_take() */
	set_bit(req, &vcpu->requests);
}

static inline bool kvm_request_pending(struct kvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->requests);
}

static inline bool kvm_request_test(struct kvm_vcpu *vcpu, unsigned int req)
{
	return READ_ONCE(vcpu->requests) & BIT(req);
}

/* Test and clear. */
static inline bool kvm_request_take(struct kvm_vcpu *vcpu, unsigned int req)
{
	if (!kvm_request_test(vcpu, req))
		return false;
	clear_bit(req, &vcpu->requests);
	smp_mb__after_atomic();
	return true;
}

/*
 * The vcpu's hold on slots, buses and routing. It is taken when one of them is first needed
 * (by who looks at slots, and by the I/O bus), kept while the vcpu is out of the guest, and let go
 * before it enters the guest, sleeps or returns to userspace. Both are idempotent; owner only.
 */
static inline void kvm_srcu_lock(struct kvm_vcpu *vcpu)
{
	if (!vcpu->srcu_held) {
		vcpu->srcu_idx = srcu_read_lock(&vcpu->kvm->srcu);
		__release(&vcpu->kvm->srcu);	/* sparse cannot follow srcu_held */
		vcpu->srcu_held = true;
	}
}

static inline void kvm_srcu_unlock(struct kvm_vcpu *vcpu)
{
	if (vcpu->srcu_held) {
		vcpu->srcu_held = false;
		__acquire(&vcpu->kvm->srcu);
		srcu_read_unlock(&vcpu->kvm->srcu, vcpu->srcu_idx);
	}
}

/* ---- accounting of the stay in the guest (used by the architecture around its world switch) ---- */

/* Interrupts are off; to lockdep and the context tracking the guest is like user mode. */
static __always_inline void kvm_context_enter_guest(void)
{
	instrumentation_begin();
	trace_hardirqs_on_prepare();
	lockdep_hardirqs_on_prepare();
	instrumentation_end();
	context_tracking_guest_enter();
	lockdep_hardirqs_on(CALLER_ADDR0);
}

static __always_inline void kvm_context_leave_guest(void)
{
	lockdep_hardirqs_off(CALLER_ADDR0);
	context_tracking_guest_exit();
	instrumentation_begin();
	trace_hardirqs_off_finish();
	instrumentation_end();
}

/* ---- module (main.c), virtualization of processors (cpu.c) ---------------------------------- */

/* Called by the vendor's module once per load. @vcpu_size >= sizeof(struct kvm_vcpu). */
int kvm_init(unsigned int vcpu_size, unsigned int vcpu_align, struct module *owner);
void kvm_exit(void);
/* First VM / last VM: keep the hotplug and suspend hooks armed. */
int kvm_virtualization_get(void);
void kvm_virtualization_put(void);
/* Make sure this processor has virtualization enabled; preemption off. */
int kvm_cpu_enable_here(void);
extern bool kvm_rebooting;

extern unsigned int halt_poll_ns, halt_poll_ns_grow, halt_poll_ns_grow_start, halt_poll_ns_shrink;

/* ---- what an architecture provides ---------------------------------------------------------- */

/* Enable or disable virtualization on this processor; interrupts off. */
int kvm_arch_cpu_enable(void);
void kvm_arch_cpu_disable(void);

/* System-wide ioctls the core does not know; -EINVAL for unknown. */
long kvm_arch_dev_ioctl(unsigned int ioctl, unsigned long arg);
/* Value of a capability the core does not know. @kvm is NULL for the system fd. */
int kvm_arch_check_extension(struct kvm *kvm, long ext);

int kvm_arch_vm_create(struct kvm *kvm, unsigned long type);
/* The VM is going: on return nothing of the architecture's own (timers, work) touches a vcpu again. */
void kvm_arch_vm_quiesce(struct kvm *kvm);
/* All vcpus, slots and users are gone when this is called, the mmu_notifier too. */
void kvm_arch_vm_destroy(struct kvm *kvm);
long kvm_arch_vm_ioctl(struct kvm *kvm, unsigned int ioctl, unsigned long arg);
int kvm_arch_vm_enable_cap(struct kvm *kvm, struct kvm_enable_cap *cap);

/* @id is below KVM_MAX_VCPU_IDS and unique; kvm->lock held. */
int kvm_arch_vcpu_precreate(struct kvm *kvm, unsigned int id);
int kvm_arch_vcpu_create(struct kvm_vcpu *vcpu);
void kvm_arch_vcpu_postcreate(struct kvm_vcpu *vcpu);
void kvm_arch_vcpu_destroy(struct kvm_vcpu *vcpu);
/* The vcpu is loaded; -EINVAL for unknown. */
long kvm_arch_vcpu_ioctl(struct kvm_vcpu *vcpu, unsigned int ioctl, unsigned long arg);
/* The part of KVM_RUN below signal masks and pid bookkeeping. Returns 0 (see run->exit_reason) or errno. */
int kvm_arch_vcpu_run(struct kvm_vcpu *vcpu);
/*
 * Make @gpa ready to be read by the guest. Bytes that are now, from it on, or an errno: -ENOENT, no
 * memory is there; -EOPNOTSUPP, that cannot be done ahead. The vcpu is loaded; takes srcu.
 */
s64 kvm_arch_vcpu_pre_fault(struct kvm_vcpu *vcpu, gpa_t gpa);
/* Preemption off. load: @cpu now holds the vcpu's state; put: it must be saved as far as needed. */
void kvm_arch_vcpu_load(struct kvm_vcpu *vcpu, int cpu);
void kvm_arch_vcpu_put(struct kvm_vcpu *vcpu);
/* An event is there that ends a halt. Any context that holds srcu or owns the vcpu. */
bool kvm_arch_vcpu_runnable(struct kvm_vcpu *vcpu);
/* False: the vcpu is to sleep at once when it halts. */
bool kvm_arch_vcpu_polls(struct kvm_vcpu *vcpu);
/* The guest is at its most privileged level; the vcpu is loaded. */
bool kvm_arch_vcpu_in_kernel(struct kvm_vcpu *vcpu);
/* Page @pgoff of the vcpu mapping beyond kvm_run and the coalesced ring, or NULL. */
struct page *kvm_arch_vcpu_page(struct kvm_vcpu *vcpu, pgoff_t pgoff);

/*
 * Slots. create: a new slot, not yet visible; may allocate slot->arch. free: nobody sees it.
 * zap: @slot is marked invalid and no reader uses it as valid: drop every translation of it.
 * changed: flags of a visible slot went from @old_flags to slot->flags, readers have seen them.
 * updated: the set of slots changed to @generation (MMIO caches of older ones are void).
 * All under slots_lock, may sleep.
 */
int kvm_arch_memslot_create(struct kvm *kvm, struct kvm_memory_slot *slot);
void kvm_arch_memslot_free(struct kvm *kvm, struct kvm_memory_slot *slot);
void kvm_arch_memslot_zap(struct kvm *kvm, struct kvm_memory_slot *slot);
void kvm_arch_memslot_changed(struct kvm *kvm, struct kvm_memory_slot *slot, u32 old_flags);
void kvm_arch_memslots_updated(struct kvm *kvm, u64 generation);

/* Under mmu_lock (write). Return whether a TLB flush is needed / the pages were young. */
bool kvm_arch_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range);
bool kvm_arch_age_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range);
bool kvm_arch_test_age_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range);
/* The address space is going away: drop every translation. May be called more than once. */
void kvm_arch_mmu_release(struct kvm *kvm);
/*
 * The first slot is about to be logged, or the last one no longer is: kvm->nr_logged_slots has the new
 * number. Caller holds slots_lock.
 */
void kvm_arch_dirty_logging_changed(struct kvm *kvm);
/* Writes that processors have noted for themselves are to be marked by now. Caller holds slots_lock. */
void kvm_arch_dirty_log_sync(struct kvm *kvm);
/* Userspace is about to clear dirty bits in this range of the slot. Caller holds slots_lock. */
void kvm_arch_dirty_clear(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t offset, u64 npages);
/*
 * Make pages of a slot trap their next write: those whose bit in @mask is set, bit 0 being
 * slot->base_gfn + @offset. Caller holds mmu_lock (write) and flushes TLBs afterwards.
 */
void kvm_arch_dirty_protect(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t offset,
			    unsigned long mask);

/*
 * Interrupt controllers. can_route: the VM has some in the kernel that lines lead to; with NULL,
 * whether a VM can have them at all. can_resample: they tell when a pin's interrupt ends.
 */
bool kvm_arch_can_route(struct kvm *kvm);
bool kvm_arch_can_resample(struct kvm *kvm);
/* Check route->entry, 0 or -EINVAL; fill in deliver and deliver_fast. */
int kvm_arch_route_resolve(struct kvm *kvm, struct kvm_irq_route *route);
/* Readers may see other routes or other ack notifiers from now on. */
void kvm_arch_routing_changed(struct kvm *kvm);

/*
 * An interrupt of a device that signals an irqfd of this GSI may reach a vcpu past the host. Update
 * comes when the two meet and after changes of routes, end when they part.
 */
void kvm_irq_bypass_update(struct kvm *kvm);	/* destinations have changed */
bool kvm_arch_can_bypass(struct kvm *kvm);
void kvm_arch_bypass_update(struct kvm *kvm, int host_irq, u32 gsi);
void kvm_arch_bypass_end(struct kvm *kvm, int host_irq, u32 gsi);

#endif
