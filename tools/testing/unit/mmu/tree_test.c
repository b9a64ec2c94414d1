// SPDX-License-Identifier: GPL-2.0
/*
 * The tree of translations against a plain model: one array says what each frame of a slot is
 * mapped to. Random faults, removals, dirty logging by protection and by the processor, ageing and
 * reclaim, with lost races and breaks in between; after each the whole tree, its statistics and its
 * memory are compared.
 */
#include "internal.h"

#define FRAMES		(4 * 512 + 300)
#define BASE_GFN	(3 * 512 + 100)
#define HOST_ADDR	(0x7f0000000000ul + BASE_GFN * PAGE_SIZE)	/* aligned like the gfn */
#define HOST_PFN	0x1000000ul
#define STEPS		20000

unsigned int fail_cmpxchg, want_resched;
long secondary_pagetables, live_objects;
struct mutex kvm_vm_list_lock;
LIST_HEAD(kvm_vm_list);
bool eager_page_split;

static struct kvm vm;
static struct kvm_vcpu vcpu;
static struct kvm_memory_slot slot;
static struct shrinker *the_shrinker;
static struct rcu_head *rcu_waiting;
static struct page small_page, large_page = { .compound = true };
static bool host_huge[FRAMES / 512 + 2];	/* by (gfn >> 9) - (BASE_GFN >> 9) */
static bool dirty[FRAMES];
static bool must_flush;			/* an entry was removed since the last flush */

/* ---- what the contract header declares ---- */

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	check(!must_flush);
	head->func = func;
	head->next = rcu_waiting;
	rcu_waiting = head;
}

void rcu_barrier(void)
{
	while (rcu_waiting) {
		struct rcu_head *head = rcu_waiting;

		rcu_waiting = head->next;
		head->func(head);
	}
}

int kvm_rmap_module_init(void)
{
	return 0;
}

int kvm_rmap_slot_create(struct kvm_memory_slot *slot)
{
	return 0;
}

bool kvm_rmap_clear_range(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t start, gfn_t end,
			  u64 bits, bool may_yield)
{
	return false;
}

bool kvm_rmap_test_range(struct kvm_memory_slot *slot, gfn_t start, gfn_t end, u64 bits)
{
	return false;
}

int kvm_shadow_load(struct kvm_vcpu *vcpu)
{
	return 0;
}

int kvm_shadow_vcpu_create(struct kvm_vcpu *vcpu)
{
	return 0;
}

void kvm_rmap_module_exit(void) { }
void kvm_rmap_slot_free(struct kvm_memory_slot *slot) { }
void kvm_rmap_zap_range(struct kvm_zap *zap, struct kvm_memory_slot *slot, gfn_t start, gfn_t end,
			bool may_yield) { }
void kvm_rmap_collapse(struct kvm_zap *zap, struct kvm_memory_slot *slot) { }
void kvm_shadow_mode_changed(struct kvm_vcpu *vcpu) { }
void kvm_shadow_vcpu_destroy(struct kvm_vcpu *vcpu) { }
void kvm_shadow_zap(struct kvm_zap *zap, struct kvm_mmu_page *sp) { }
void kvm_shadow_zap_slot(struct kvm_zap *zap, const struct kvm_memory_slot *slot) { }
void kvm_shadow_zap_homeless(struct kvm *kvm) { }

unsigned long get_zeroed_page(int gfp)
{
	char *page = aligned_alloc(PAGE_SIZE, 2 * PAGE_SIZE);

	live_objects++;
	return (unsigned long)memset(page, 0, 2 * PAGE_SIZE);
}

void free_page(unsigned long page)
{
	live_objects--;
	free((void *)page);
}

struct kmem_cache *test_cache(size_t size)
{
	struct kmem_cache *cache = malloc(sizeof(*cache));

	cache->size = size;
	return cache;
}

void *kmem_cache_zalloc(struct kmem_cache *cache, int gfp)
{
	live_objects++;
	return calloc(1, cache->size);
}

void kmem_cache_free(struct kmem_cache *cache, void *obj)
{
	live_objects--;
	free(obj);
}

struct shrinker *shrinker_alloc(int flags, const char *name)
{
	the_shrinker = calloc(1, sizeof(*the_shrinker));
	return the_shrinker;
}

void lock_dropped(void)
{
	check(!must_flush);
}

u64 test_remove(u64 *p, u64 new)
{
	u64 old = *p;

	*p = new;
	must_flush |= spte_present(old);
	return old;
}

void kvm_flush_remote_tlbs(struct kvm *kvm)
{
	must_flush = false;
}

bool kvm_request_all(struct kvm *kvm, unsigned int req)
{
	vcpu.requests |= BIT(req);
	return false;
}

int kvm_host_mapping_shift(void *mm, hva_t hva)
{
	gfn_t gfn = BASE_GFN + ((hva - HOST_ADDR) >> PAGE_SHIFT);

	return host_huge[(gfn >> 9) - (BASE_GFN >> 9)] ? 21 : 12;
}

void kvm_dirty_log_mark(struct kvm_vcpu *v, struct kvm_memory_slot *s, gfn_t gfn)
{
	dirty[gfn - BASE_GFN] = true;
}

static void load_root(struct kvm_vcpu *v, hpa_t root, int level)
{
}

static void flush_tlb_all(struct kvm_vcpu *v)
{
}

struct kvm_test_ops kvm_x86_ops = { load_root, flush_tlb_all };

/* Pages of all sizes may be executed. */
bool kvm_nx_huge_pages;
void kvm_nx_huge_module_init(void) { }
void kvm_nx_huge_vm_init(struct kvm *kvm) { }
void kvm_nx_huge_vm_destroy(struct kvm *kvm) { }
void kvm_nx_huge_remove(struct kvm *kvm, struct kvm_mmu_page *sp) { }

void kvm_nx_huge_add(struct kvm *kvm, struct kvm_mmu_page *sp, unsigned int as_id, gfn_t gfn)
{
	fprintf(stderr, "a page of its own for code, although none was fetched\n");
	abort();
}

/* ---- the model ---- */

struct state { bool mapped, write, unseen, young; int level; };	/* unseen: the next write */

static u64 *look_up(gfn_t gfn, int *level)
{
	u64 *table = vcpu.arch.mmu.root_page->table;
	int l;

	for (l = 4; ; l--) {
		u64 *sptep = &table[spte_index(gfn, l)];

		*level = l;
		if (!spte_is_table(*sptep, l))
			return sptep;
		table = spte_child(*sptep);
	}
}

static struct state state_of(unsigned int i)
{
	struct state s = { };
	u64 spte;

	if (vcpu.arch.mmu.generation != vm.arch.mmu.generation)
		return s;
	spte = *look_up(BASE_GFN + i, &s.level);
	s.mapped = spte_present(spte);
	if (!s.mapped)
		return s;
	check(spte_pfn(spte) == level_base(HOST_PFN + BASE_GFN + i, s.level));
	check(!(spte & SPTE_WRITE) || (spte & SPTE_MMU_WRITE));
	check(!(spte & SPTE_MMU_WRITE) || (spte & SPTE_HOST_WRITE));
	s.write = spte & SPTE_WRITE;
	s.unseen = s.write && (s.level > 1 || (spte & kvm_spte_format.log));
	s.young = spte & kvm_spte_format.accessed;
	return s;
}

/* Leaves and tables below a table are as many as the statistics say. */
static void count_tree(const u64 *table, int level, long *leaves, long *tables)
{
	int i;

	++*tables;
	for (i = 0; i < SPTE_PER_TABLE; i++) {
		if (spte_is_table(table[i], level)) {
			struct kvm_mmu_page *sp = table_page(spte_child(table[i]));

			check(sp->parent == &table[i] && sp->level == level - 1);
			count_tree(sp->table, level - 1, leaves, tables);
		} else if (spte_present(table[i])) {
			leaves[level]++;
		}
	}
}

static void check_tree(void)
{
	long leaves[6] = { }, tables = 0;

	check(!must_flush);
	check(!vm.mmu_lock.writer && !vm.mmu_lock.readers);
	if (!list_empty(&vm.arch.mmu.roots))
		count_tree(list_first_entry(&vm.arch.mmu.roots, struct kvm_mmu_page, link)->table,
			   4, leaves, &tables);
	check(vm.stat.pages_4k.counter == leaves[1] && vm.stat.pages_2m.counter == leaves[2]);
	check(vm.stat.pages_1g.counter == leaves[3] && !leaves[4]);
	check(vm.arch.mmu.nr_pages == tables && secondary_pagetables == tables);
}

/* ---- operations ---- */

static void fault(unsigned int i, bool write)
{
	struct kvm_fault f = {
		.gfn = BASE_GFN + i, .write = write, .slot = &slot,
		.logged = slot.flags & KVM_MEM_LOG_DIRTY_PAGES,
		.page = {
			.pfn = HOST_PFN + BASE_GFN + i, .writable = true,
			.hva = HOST_ADDR + i * PAGE_SIZE,
			.page = host_huge[((BASE_GFN + i) >> 9) - (BASE_GFN >> 9)] ?
				&large_page : &small_page,
		},
	};
	struct state before = state_of(i);
	unsigned int lost = fail_cmpxchg;

	if (vcpu.arch.mmu.generation != vm.arch.mmu.generation)
		check(!kvm_mmu_load(&vcpu));
	check(!kvm_mmu_make_room(&vcpu));
	read_lock(&vm.mmu_lock);
	f.level = kvm_mmu_fault_level(&vm, &f);
	check(f.level == 1 || !f.logged);
	check(kvm_direct_map(&vcpu, &f) == 1);
	read_unlock(&vm.mmu_lock);
	if (fail_cmpxchg != lost)
		return;
	check(state_of(i).mapped && (!write || state_of(i).write));
	if (f.logged && !write && !before.mapped)
		check(!state_of(i).unseen);
	/* Where the leaf is writable by now the write is done again, and noted if it must be. */
	if (f.logged && write)
		check((dirty[i] || !state_of(i).unseen) && state_of(i).level == 1);
}

static void unmap(unsigned int i, unsigned int n)
{
	struct kvm_gfn_range range = {
		.slot = &slot, .start = BASE_GFN + i, .end = BASE_GFN + i + n, .may_block = true,
	};
	bool before[2] = { i && state_of(i - 1).mapped, i + n < FRAMES && state_of(i + n).mapped };
	int level[2] = {
		i ? state_of(i - 1).level : 0, i + n < FRAMES ? state_of(i + n).level : 0
	};
	unsigned int k;

	write_lock(&vm.mmu_lock);
	if (kvm_arch_unmap_gfn_range(&vm, &range))
		kvm_flush_remote_tlbs(&vm);
	write_unlock(&vm.mmu_lock);
	check(!must_flush);
	for (k = i; k < i + n; k++)
		check(!state_of(k).mapped);
	if (before[0] && level[0] == 1)
		check(state_of(i - 1).mapped);
	if (before[1] && level[1] == 1)
		check(state_of(i + n).mapped);
}

static void protect(unsigned int i, unsigned long mask)
{
	unsigned int k;

	i &= ~63u;
	if (FRAMES - i < 64)
		mask &= (1ul << (FRAMES - i)) - 1;
	write_lock(&vm.mmu_lock);
	kvm_arch_dirty_protect(&vm, &slot, i, mask);
	write_unlock(&vm.mmu_lock);
	for (k = 0; k < 64; k++) {
		if (!(mask & BIT(k)))
			continue;
		dirty[i + k] = false;
		check(!state_of(i + k).unseen);
	}
}

/* A write without a fault, by a processor that logs which leaves it makes dirty. */
static void written(unsigned int i)
{
	u64 *sptep;
	int level;

	if (!state_of(i).write)
		return;
	sptep = look_up(BASE_GFN + i, &level);
	if (kvm_processor_logs() && level == 1 && !(*sptep & kvm_spte_format.dirty))
		dirty[i] = true;
	*sptep |= kvm_spte_format.dirty;
}

static void age(unsigned int i)
{
	struct kvm_gfn_range range = {
		.slot = &slot, .start = BASE_GFN + i, .end = BASE_GFN + i + 1,
	};
	bool young = state_of(i).young;

	write_lock(&vm.mmu_lock);
	check(kvm_arch_test_age_gfn_range(&vm, &range) == young);
	check(kvm_arch_age_gfn_range(&vm, &range) == young);
	check(!kvm_arch_test_age_gfn_range(&vm, &range));
	write_unlock(&vm.mmu_lock);
}

static void switch_log(bool on)
{
	u32 old = slot.flags;
	unsigned int k;

	slot.flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0;
	slot.dirty_bitmap = on ? (unsigned long *)dirty : NULL;	/* that there is one matters */
	if (on)
		memset(dirty, vm.manual_dirty_log_protect ? 1 : 0, sizeof(dirty));
	kvm_arch_memslot_changed(&vm, &slot, old);
	if (!on || vm.manual_dirty_log_protect)
		return;
	for (k = 0; k < FRAMES; k++) {
		check(dirty[k] || !state_of(k).unseen);
		check(!eager_page_split || !state_of(k).mapped || state_of(k).level == 1);
	}
}

/* What can be written without anybody's notice is in the log. */
static void check_log(void)
{
	unsigned int k;

	if (!(slot.flags & KVM_MEM_LOG_DIRTY_PAGES))
		return;
	for (k = 0; k < FRAMES; k++)
		check(dirty[k] || !state_of(k).unseen);
}

static void step(void)
{
	unsigned int i = rand() % FRAMES, n = 1 + rand() % (FRAMES - i);
	struct shrink_control sc = { .nr_to_scan = 2 };
	bool log = slot.flags & KVM_MEM_LOG_DIRTY_PAGES;

	fail_cmpxchg = rand() % 8 ? 0 : rand() % 4;
	want_resched = rand() % 4 ? 0 : rand() % 200;
	switch (rand() % 64) {
	case 0:
		unmap(i, n);
		break;
	case 1:
		kvm_arch_memslot_zap(&vm, &slot);
		check(!state_of(i).mapped);
		break;
	case 2:
		fail_cmpxchg = 0;
		switch_log(!log);
		break;
	case 3:
		the_shrinker->scan_objects(the_shrinker, &sc);
		break;
	case 4:
		kvm_arch_mmu_release(&vm);
		check(vm.arch.mmu.nr_pages == 0);
		break;
	case 5:
		host_huge[i >> 9] = !host_huge[i >> 9];
		unmap(0, FRAMES);
		break;
	case 6:
		rcu_barrier();
		break;
	case 7:
		eager_page_split = !eager_page_split;
		break;
	case 8 ... 11:
		unmap(i, 1);
		break;
	case 12 ... 15:
		age(i);
		break;
	case 16 ... 23:
		protect(i, (unsigned long)rand() << 33 ^ rand());
		break;
	case 24 ... 31:
		written(i);
		break;
	default:
		fault(i, rand() & 1);
	}
	fail_cmpxchg = want_resched = 0;
}

static void run(unsigned int seed, bool initially_set)
{
	unsigned int i;

	srand(seed);
	memset(&vm, 0, sizeof(vm));
	memset(&vcpu, 0, sizeof(vcpu));
	memset(host_huge, 0, sizeof(host_huge));
	vm.manual_dirty_log_protect = initially_set ? KVM_DIRTY_LOG_INITIALLY_SET : 0;
	slot = (struct kvm_memory_slot) {
		.base_gfn = BASE_GFN, .npages = FRAMES, .userspace_addr = HOST_ADDR,
	};
	vcpu.kvm = &vm;
	kvm_mmu_vm_init(&vm);
	list_add_tail(&vm.vm_list, &kvm_vm_list);
	check(!kvm_arch_memslot_create(&vm, &slot) && slot.arch.max_level == 3);
	check(kvm_mmu_slot_level(&slot, BASE_GFN) == 1);
	check(kvm_mmu_slot_level(&slot, 4 * 512) == 2);
	check(kvm_mmu_slot_level(&slot, BASE_GFN + FRAMES - 1) == 1);
	check(!kvm_mmu_vcpu_create(&vcpu));
	check(!kvm_mmu_load(&vcpu));
	check(kvm_mmu_set_nr_pages(&vm, 1) == -EINVAL);

	for (i = 0; i < STEPS; i++) {
		step();
		if (i % 16)
			continue;
		check_tree();
		check_log();
	}
	kvm_mmu_vcpu_destroy(&vcpu);
	kvm_mmu_vm_destroy(&vm);
	list_del(&vm.vm_list);
	check_tree();
}

int main(void)
{
	unsigned int seed;

	check(!kvm_mmu_module_init());
	kvm_mmu_configure_npt(4, 3);
	for (seed = 1; seed <= 16; seed++) {
		kvm_spte_format.log = seed & 2 ? kvm_spte_format.dirty : SPTE_WRITE;
		run(seed, seed & 1);
	}
	kvm_mmu_module_exit();
	check(!live_objects && !secondary_pagetables);
	puts("ok - tree of translations");
	return 0;
}
