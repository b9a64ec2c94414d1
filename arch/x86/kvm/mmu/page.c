// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of table pages: caches filled before a lock is taken, accounting to the VM and to the
 * kernel's secondary page tables, freeing by RCU, and the shrinker. Does not know what entries
 * mean; linking into the tree is direct.c's work, removal zap.c's.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/vmstat.h>

#include "internal.h"

/* Tables are cheap to keep and dear to build again: ask for them late. */
#define KVM_MMU_SHRINK_SEEKS	(10 * DEFAULT_SEEKS)
/* Below this no vcpu is sure to get through one instruction's pages. */
#define KVM_MMU_MIN_PAGES	64ul
/* Shadow paging: so many frames of the guest allow one table, unless userspace says otherwise. */
#define KVM_MMU_FRAMES_PER_PAGE	50

static struct kmem_cache *kvm_mmu_page_slab;
static struct shrinker *kvm_mmu_shrinker;
static atomic_long_t kvm_mmu_total_pages;

/* Make sure that @n tables can be taken without allocating. May sleep. */
int kvm_mmu_cache_fill(struct kvm_mmu_cache *tables, struct kvm_mmu_cache *headers, int n)
{
	while (tables->nr < n) {
		void *table = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);

		if (!table)
			return -ENOMEM;
		tables->obj[tables->nr++] = table;
	}
	while (headers->nr < n) {
		struct kvm_mmu_page *sp = kmem_cache_zalloc(kvm_mmu_page_slab, GFP_KERNEL_ACCOUNT);

		if (!sp)
			return -ENOMEM;
		headers->obj[headers->nr++] = sp;
	}
	return 0;
}

void kvm_mmu_cache_free(struct kvm_mmu_cache *tables, struct kvm_mmu_cache *headers)
{
	while (tables->nr)
		free_page((unsigned long)tables->obj[--tables->nr]);
	while (headers->nr)
		kmem_cache_free(kvm_mmu_page_slab, headers->obj[--headers->nr]);
}

struct kvm_mmu_page *kvm_mmu_page_take(struct kvm_mmu_cache *tables,
				       struct kvm_mmu_cache *headers, int level)
{
	struct kvm_mmu_page *sp = headers->obj[--headers->nr];

	*sp = (struct kvm_mmu_page) { };
	sp->table = tables->obj[--tables->nr];
	sp->level = level;
	set_page_private(virt_to_page(sp->table), (unsigned long)sp);
	return sp;
}

/* Of a table that never got into the tree. It may hold entries; the cache holds empty tables. */
void kvm_mmu_page_give_back(struct kvm_mmu_cache *tables, struct kvm_mmu_cache *headers,
			    struct kvm_mmu_page *sp)
{
	clear_page(sp->table);
	set_page_private(virt_to_page(sp->table), 0);
	tables->obj[tables->nr++] = sp->table;
	headers->obj[headers->nr++] = sp;
}

/* @list is the VM's roots or pages. mmu_lock, any side; for write with the roots. */
void kvm_mmu_page_account(struct kvm *kvm, struct kvm_mmu_page *sp, struct list_head *list)
{
	spin_lock(&kvm->arch.mmu.pages_lock);
	list_add_tail(&sp->link, list);
	kvm->arch.mmu.nr_pages++;
	spin_unlock(&kvm->arch.mmu.pages_lock);
	atomic_long_inc(&kvm_mmu_total_pages);
	mod_lruvec_page_state(virt_to_page(sp->table), NR_SECONDARY_PAGETABLE, 1);
}

/* mmu_lock for write. Leaves sp->link dangling. */
void kvm_mmu_page_unaccount(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	list_del(&sp->link);
	if (unlikely(sp->nx_split))
		kvm_nx_huge_remove(kvm, sp);
	kvm->arch.mmu.nr_pages--;
	atomic_long_dec(&kvm_mmu_total_pages);
	mod_lruvec_page_state(virt_to_page(sp->table), NR_SECONDARY_PAGETABLE, -1);
}

static void mmu_page_free(struct rcu_head *head)
{
	struct kvm_mmu_page *sp = container_of(head, struct kvm_mmu_page, rcu);

	set_page_private(virt_to_page(sp->table), 0);
	free_page((unsigned long)sp->table);
	if (sp->gfns)
		free_page((unsigned long)sp->gfns);
	kmem_cache_free(kvm_mmu_page_slab, sp);
}

void kvm_mmu_page_free_rcu(struct kvm_mmu_page *sp)
{
	call_rcu(&sp->rcu, mmu_page_free);
}

/* Before a fault takes tables: stay below the limit that userspace set, and fill the caches. */
int kvm_mmu_make_room(struct kvm_vcpu *vcpu)
{
	struct kvm_vm_mmu *mmu = &vcpu->kvm->arch.mmu;
	unsigned long max = READ_ONCE(mmu->max_pages);

	if (unlikely(max) && READ_ONCE(mmu->nr_pages) >= max)
		kvm_zap_oldest(vcpu->kvm, max / 4);
	return kvm_mmu_cache_fill(&vcpu->arch.mmu.table_cache, &vcpu->arch.mmu.header_cache,
				  kvm_spte_format.root_level);
}

int kvm_mmu_set_nr_pages(struct kvm *kvm, unsigned long nr)
{
	unsigned long used;

	if (nr < KVM_MMU_MIN_PAGES)
		return -EINVAL;

	WRITE_ONCE(kvm->arch.mmu.max_pages, nr);
	kvm->arch.mmu.max_pages_set = true;
	used = READ_ONCE(kvm->arch.mmu.nr_pages);
	if (used > nr)
		kvm_zap_oldest(kvm, used - nr);
	return 0;
}

/*
 * A guest can make shadow tables without end, and those it no longer uses are kept: without a limit
 * of userspace's they may take a part of what the guest has. Under slots_lock.
 */
void kvm_mmu_default_limit(struct kvm *kvm)
{
	unsigned long nr = kvm->nr_slot_pages / KVM_MMU_FRAMES_PER_PAGE;

	if (!kvm_hw.npt && !kvm->arch.mmu.max_pages_set)
		WRITE_ONCE(kvm->arch.mmu.max_pages, max(nr, KVM_MMU_MIN_PAGES));
}

static unsigned long mmu_shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	long pages = atomic_long_read(&kvm_mmu_total_pages);

	return pages > 0 ? pages : SHRINK_EMPTY;
}

/*
 * Takes from one VM at a time, each in its turn. The list's mutex keeps the VM alive; it is only
 * tried, since whoever waits for memory may hold it.
 */
static unsigned long mmu_shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	unsigned long freed = 0;
	struct kvm *kvm, *found = NULL;

	if (!mutex_trylock(&kvm_vm_list_lock))
		return SHRINK_STOP;

	list_for_each_entry(kvm, &kvm_vm_list, vm_list) {
		if (!READ_ONCE(kvm->arch.mmu.nr_pages))
			continue;
		found = kvm;
		break;
	}
	if (found) {
		list_move_tail(&found->vm_list, &kvm_vm_list);
		freed = kvm_zap_oldest(found, sc->nr_to_scan);
	}
	mutex_unlock(&kvm_vm_list_lock);
	return freed ? freed : SHRINK_STOP;
}

int kvm_mmu_module_init(void)
{
	kvm_mmu_page_slab = KMEM_CACHE(kvm_mmu_page, 0);
	if (!kvm_mmu_page_slab)
		return -ENOMEM;

	if (kvm_rmap_module_init())
		goto err_slab;
	kvm_mmu_shrinker = shrinker_alloc(0, "x86-kvm-mmu");
	if (!kvm_mmu_shrinker)
		goto err_rmap;
	kvm_mmu_shrinker->count_objects = mmu_shrink_count;
	kvm_mmu_shrinker->scan_objects = mmu_shrink_scan;
	kvm_mmu_shrinker->seeks = KVM_MMU_SHRINK_SEEKS;
	shrinker_register(kvm_mmu_shrinker);
	kvm_nx_huge_module_init();
	return 0;

err_rmap:
	kvm_rmap_module_exit();
err_slab:
	kmem_cache_destroy(kvm_mmu_page_slab);
	return -ENOMEM;
}

void kvm_mmu_module_exit(void)
{
	shrinker_free(kvm_mmu_shrinker);
	rcu_barrier();		/* tables on their way to mmu_page_free() */
	kvm_rmap_module_exit();
	kmem_cache_destroy(kvm_mmu_page_slab);
}
