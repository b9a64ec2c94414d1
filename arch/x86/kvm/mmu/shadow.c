// SPDX-License-Identifier: GPL-2.0
/*
 * A page fault under shadow paging: the guest's tables are walked as the processor would have; what
 * they forbid is the guest's fault, what they allow is installed in ours. Installs only; tables are
 * made and removed in shadow_page.c, writes to the guest's tables are write_track.c's. One vcpu at
 * a time, under mmu_lock for write. APM 2, 5 (paging), 8.4.2 (error code), 15.25 tells what it
 * would be with hardware's help.
 */
#include <linux/export.h>

#include "shadow.h"
#include "../trace.h"

/* How far a fault looks for more to map. */
#define PAGES_AHEAD	7u

/* What one fault has found, and the frame that it ends in. */
struct shadow_fault {
	struct kvm_fault map;
	struct guest_walk w;
	gva_t gva;
	gpa_t gpa;
	u32 access;		/* KVM_ACCESS_* of the page as the guest's tables and mode have it */
	u32 kind;		/* KVM_PF_* of the access itself */
	int guest_leaf;		/* level of the guest's leaf in our counting; without paging 4 */
	bool emulate;		/* the write goes to a table of the guest's */
};

/* ---- rights ------------------------------------------------------------------------------------------- */

static u32 access_of_rights(u64 rights, u64 nx)
{
	return (rights & GPTE_WRITE ? KVM_ACCESS_WRITE : 0) |
	       (rights & GPTE_USER ? KVM_ACCESS_USER : 0) | (nx ? 0 : KVM_ACCESS_FETCH);
}

/* What the guest's entries from the top down to @level allow together. */
static u32 access_above(const struct shadow_fault *f, int level)
{
	u64 all = ~0ull, any = 0;
	int l;

	for (l = f->w.paging->levels; l >= level; l--) {
		if (f->w.paging->levels == 3 && l == 3)
			continue;
		all &= f->w.entry[l];
		any |= f->w.entry[l];
	}
	return access_of_rights(all, any & GPTE_NX);
}

static unsigned int leaf_key(const struct shadow_fault *f)
{
	return (f->w.entry[f->w.leaf] >> GPTE_KEY_SHIFT) & 15;
}

/*
 * Our CR0.WP is always set, so that the processor holds a supervisor to a key that forbids writing,
 * while the guest's CR0.WP does not.
 */
static bool key_stops_supervisor(const struct shadow_fault *f)
{
	return f->w.paging->pke && (f->access & KVM_ACCESS_USER) &&
	       ((f->w.pkru >> 2 * leaf_key(f)) & 2);
}

/*
 * With CR0.WP clear a supervisor writes to what is read-only: while it does, the page is one of the
 * supervisor's, whom users' next access takes it away from. SMEP must not be circumvented by that.
 */
static void write_without_wp(struct shadow_fault *f)
{
	const struct kvm_guest_paging *p = f->w.paging;

	f->emulate = key_stops_supervisor(f);
	if (f->access & KVM_ACCESS_WRITE)
		return;
	f->access |= KVM_ACCESS_WRITE;
	if (!(f->access & KVM_ACCESS_USER))
		return;
	f->access &= ~KVM_ACCESS_USER;
	if (p->smep)
		f->access &= ~KVM_ACCESS_FETCH;
	/* But SMAP and protection keys would be; there is no such entry for them. */
	f->emulate = p->smap || p->pke;
}

/* Of the page itself. Without a dirty bit the first write must fault. */
static void find_access(struct shadow_fault *f)
{
	f->access = access_above(f, f->w.leaf);
	if (f->map.write && !(f->kind & KVM_PF_USER) && !f->w.paging->wp)
		write_without_wp(f);
	if (!(f->w.entry[f->w.leaf] & GPTE_DIRTY) && !f->map.write)
		f->access &= ~KVM_ACCESS_WRITE;
}

static void drop_all(struct kvm_zap *zap, struct kvm_rmap *rmap)
{
	u64 *sptep;

	while ((sptep = kvm_rmap_first(rmap)))
		kvm_shadow_drop(zap, sptep);
}

/* ---- tables ------------------------------------------------------------------------------------------- */

/*
 * Has the guest changed an entry since the walk? Whatever table it is in is tracked by now, or will
 * be compared at the guest's next flush, so that a change from here on is not lost.
 */
static bool entry_changed(struct kvm_vcpu *vcpu, struct shadow_fault *f, int level)
{
	u64 was = f->w.entry[level], gpa = f->w.entry_gpa[level], now;

	if (f->w.paging->levels == 3 && level == 3)
		return false;
	if (!kvm_walk_reread(vcpu, gpa, f->w.paging->pae ? 8 : 4, &now))
		return true;
	if (likely(now == was))
		return false;
	/* The walk saw accessed and dirty set, or set them where it could; others may set dirty. */
	if ((now ^ was) & ~(GPTE_ACCESSED | GPTE_DIRTY))
		return true;
	if (READ_ONCE(kvm_vcpu_memslot(vcpu, gpa_to_gfn(gpa))->flags) & KVM_MEM_READONLY)
		return false;
	return !(now & GPTE_ACCESSED) || (level == f->w.leaf && (was & ~now & GPTE_DIRTY));
}

/* The table below entry @level on the way to the fault: which frame it is made of, and what it is. */
static gfn_t child_of(struct kvm_vcpu *vcpu, const struct shadow_fault *f, int level,
		      union kvm_mmu_role *role)
{
	*role = vcpu->arch.mmu.mode;
	role->level = level - 1;
	if (level <= f->guest_leaf) {
		role->direct = true;
		role->access = f->access;
		role->key = role->pke ? leaf_key(f) : 0;
		return level_base(f->map.gfn, level);
	}
	role->access = access_above(f, level);
	if (role->guest_levels == 2)
		role->quadrant = (f->gva >> 21) & 1;
	return gpa_to_gfn(f->w.entry[level] & GPTE_ADDRESS);
}

/* The table that *sptep points to or is to point to; NULL if the guest has changed its mind. */
static struct kvm_mmu_page *descend(struct kvm_vcpu *vcpu, struct kvm_zap *zap,
				    struct shadow_fault *f, u64 *sptep, int level)
{
	struct kvm_mmu_page *child;
	union kvm_mmu_role role;
	gfn_t gfn = child_of(vcpu, f, level, &role);
	u64 spte = READ_ONCE(*sptep);
	bool crowded;

	if (spte_is_table(spte, level)) {
		child = table_page(spte_child(spte));
		if (child->gfn == gfn && child->role.word == role.word)
			goto found;
	}
	child = kvm_shadow_table(vcpu, zap, gfn, role);
	if (level >= f->guest_leaf && entry_changed(vcpu, f, level))
		return NULL;
	kvm_shadow_drop(zap, sptep);
	kvm_unsync_refresh(zap, child);
	crowded = kvm_rmap_add(&vcpu->arch.mmu.chunk_cache, &child->parents, sptep);
	WRITE_ONCE(*sptep, kvm_spte_table(child->table));
	if (unlikely(crowded)) {
		drop_all(zap, &child->parents);
		return NULL;
	}
found:
	child->writes = 0;
	if (unlikely(level <= f->map.huge_level && role.direct && !child->nx_split))
		kvm_nx_huge_add(vcpu->kvm, child, role.as_id, gfn);
	return child;
}

/* ---- leaves ------------------------------------------------------------------------------------------- */

static u64 make_leaf(struct shadow_fault *f, struct kvm_zap *zap, int level)
{
	const struct kvm_fault *map = &f->map;
	kvm_pfn_t pfn = level_base(map->page.pfn, level);
	u64 spte = kvm_spte_leaf(zap->kvm, pfn, level, kvm_pfn_is_memory(&map->page, pfn));

	if (map->ahead)
		spte &= ~kvm_spte_format.accessed;
	if (f->access & KVM_ACCESS_USER)
		spte |= kvm_spte_format.user;
	if (!(f->access & KVM_ACCESS_FETCH))
		spte |= kvm_spte_format.nx;
	if (f->w.paging->levels && f->w.paging->pke)
		spte |= f->w.entry[f->w.leaf] & SPTE_PKEY;
	if (!map->page.writable || !(f->access & KVM_ACCESS_WRITE))
		return spte;
	if (!kvm_track_allows_write(zap, map->slot, map->gfn, map->write)) {
		f->emulate = map->write;
		return spte;
	}
	spte |= SPTE_MAY_WRITE;
	if (map->write)
		return spte | SPTE_WRITE | kvm_spte_format.dirty;
	return map->logged ? spte : spte | SPTE_WRITE;
}

/* The same page with other rights. Whoever has fewer than before must not go on with the old ones. */
static void change_leaf(struct kvm_vcpu *vcpu, struct kvm_zap *zap, u64 *sptep, u64 old, u64 new)
{
	const u64 write = SPTE_WRITE | SPTE_MAY_WRITE, nx = kvm_spte_format.nx;

	if (!((old ^ new) & ~(kvm_spte_format.accessed | kvm_spte_format.dirty))) {
		vcpu->stat.pf_spurious++;
		return;
	}
	xchg(sptep, new);
	vcpu->stat.pf_fixed++;
	if ((old & ~new & write) || (new & ~old & nx) ||
	    ((old ^ new) & (kvm_spte_format.user | SPTE_PKEY)))
		zap->flush = true;
}

static void install(struct kvm_vcpu *vcpu, struct kvm_zap *zap, struct shadow_fault *f,
		    struct kvm_mmu_page *sp, unsigned int index)
{
	u64 *sptep = &sp->table[index], old = READ_ONCE(*sptep), new;
	gfn_t gfn = level_base(f->map.gfn, sp->level);
	struct kvm_memory_slot *slot = f->map.slot;
	struct kvm_rmap *rmap;

	new = make_leaf(f, zap, sp->level);
	if (spte_is_leaf(old, sp->level) && spte_pfn(old) == spte_pfn(new) &&
	    kvm_shadow_gfn(sp, index) == gfn) {
		change_leaf(vcpu, zap, sptep, old, new);
	} else {
		kvm_shadow_drop(zap, sptep);
		if (sp->gfns)
			sp->gfns[index] = gfn;
		rmap = kvm_rmap_of(slot, gfn, sp->level);
		xchg(sptep, new);
		count_leaves(vcpu->kvm, sp->level, 1);
		vcpu->stat.pf_fixed += !f->map.ahead;
		if (unlikely(kvm_rmap_add(&vcpu->arch.mmu.chunk_cache, rmap, sptep)))
			drop_all(zap, rmap);
	}
	/* After the entry, see dirty_log rules in mmu.rst. */
	if (f->map.logged && (new & SPTE_WRITE))
		kvm_dirty_log_mark(vcpu, slot, f->map.gfn);
}

/* Entries that follow @index in the table, are empty, and translate to frames of the slot. */
static unsigned int empty_behind(const struct shadow_fault *f, const struct kvm_mmu_page *sp,
				 unsigned int index)
{
	const struct kvm_memory_slot *slot = f->map.slot;
	gfn_t left = slot->base_gfn + slot->npages - 1 - f->map.gfn;
	unsigned int most = min3(left, SPTE_PER_TABLE - 1 - index, PAGES_AHEAD), n = 0;

	while (n < most && !spte_present(READ_ONCE(sp->table[index + 1 + n])))
		n++;
	return n;
}

/*
 * In a direct table the pages that follow have the same rights, and are likely to be touched next:
 * map those that the host need not bring in. A fault costs as much as three of them.
 */
static void map_ahead(struct kvm_vcpu *vcpu, struct kvm_zap *zap, struct shadow_fault *f,
		      struct kvm_mmu_page *sp, unsigned int index)
{
	const struct kvm_fault touched = f->map;
	struct page *pages[PAGES_AHEAD];
	struct kvm_fault *map = &f->map;
	struct kvm *kvm = vcpu->kvm;
	unsigned int i, n;
	unsigned long seq;

	n = touched.page.writable ? empty_behind(f, sp, index) : 0;
	if (!n)
		return;
	seq = kvm_mmu_notifier_seq(kvm);
	n = kvm_guest_pages_present(map->slot, map->gfn + 1, n, pages);
	map->write = false;
	map->ahead = true;
	for (i = 0; i < n; i++) {
		map->gfn++;
		map->page.hva += PAGE_SIZE;
		map->page.page = pages[i];
		map->page.pfn = page_to_pfn(pages[i]);
		if (!vcpu->arch.mmu.chunk_cache.nr ||
		    kvm_mmu_notifier_retry(kvm, seq, map->page.hva)) {
			kvm_guest_page_put(&map->page, false);
			continue;
		}
		install(vcpu, zap, f, sp, index + 1 + i);
		kvm_guest_page_put(&map->page, true);
	}
	f->map = touched;
}

/* ---- the fault ---------------------------------------------------------------------------------------- */

/* Tables of the guest's in a range keep it small: some of its pages must be read-only. */
static int leaf_level(struct kvm *kvm, struct shadow_fault *f, int top_level)
{
	const struct kvm_memory_slot *slot = f->map.slot;
	int level = min3(f->guest_leaf, top_level, kvm_mmu_fault_level(kvm, &f->map));

	while (level > 1 && kvm_track_any(slot, f->map.gfn, level))
		level--;
	return level;
}

/*
 * Somebody executes in the range: a large leaf in the place of the table would only take turns with
 * it, for ever if an instruction reads its own page.
 */
static bool is_split(const struct kvm_mmu_page *sp, unsigned int index)
{
	u64 spte = READ_ONCE(sp->table[index]);

	return spte_is_table(spte, sp->level) && table_page(spte_child(spte))->nx_split;
}

static void shadow_map(struct kvm_vcpu *vcpu, struct kvm_zap *zap, struct shadow_fault *f)
{
	struct kvm_vcpu_mmu *mmu = &vcpu->arch.mmu;
	bool legacy = f->w.paging->levels < 4;
	struct kvm_mmu_page *sp = mmu->top[legacy ? (f->gva >> 30) & 3 : 0];
	unsigned int index;
	bool first;
	int leaf;

	if (!sp || sp->gone)
		return;
	f->map.huge_level = leaf_level(vcpu->kvm, f, sp->level);
	leaf = kvm_nx_huge_level(vcpu->kvm, &f->map, f->map.huge_level);
	for (;;) {
		index = spte_index(f->gva >> PAGE_SHIFT, sp->level);
		if (sp->level <= leaf && !is_split(sp, index))
			break;
		sp = descend(vcpu, zap, f, &sp->table[index], sp->level);
		if (!sp)
			return;
	}
	leaf = sp->level;
	/* The way down may have made tables of this very range. */
	if (leaf > 1 && kvm_track_any(f->map.slot, f->map.gfn, leaf))
		return;
	if (!sp->role.direct && entry_changed(vcpu, f, leaf))
		return;
	first = !spte_present(READ_ONCE(sp->table[index]));
	install(vcpu, zap, f, sp, index);
	if (first && leaf == 1 && sp->role.direct && !f->emulate)
		map_ahead(vcpu, zap, f, sp, index);
}

static int fault_map(struct kvm_vcpu *vcpu, struct shadow_fault *f)
{
	struct kvm_fault *map = &f->map;
	struct kvm *kvm = vcpu->kvm;
	bool mapped = false;
	struct kvm_zap zap;
	unsigned long seq;
	int r;

	r = kvm_shadow_make_room(vcpu);
	if (r)
		return r;
	seq = kvm_mmu_notifier_seq(kvm);
	r = kvm_guest_page_get(map->slot, map->gfn,
			       KVM_PAGE_INTERRUPTIBLE | (map->write ? KVM_PAGE_WRITE : 0),
			       &map->page);
	if (r)
		return kvm_fault_no_page(vcpu, map, r);

	write_lock(&kvm->mmu_lock);
	kvm_zap_begin(&zap, kvm);
	if (!kvm_request_test(vcpu, KVM_REQ_MMU_ROOT) &&
	    !kvm_mmu_notifier_retry(kvm, seq, map->page.hva)) {
		shadow_map(vcpu, &zap, f);
		mapped = true;
	}
	if (kvm_zap_end(&zap))
		kvm_flush_remote_tlbs(kvm);
	/* Under the lock: the host must not clean the page before it is noted as dirty. */
	kvm_guest_page_put(&map->page, mapped && map->page.writable);
	write_unlock(&kvm->mmu_lock);
	return 1;
}

/* What the guest's tables say. False: they forbid it, and the guest has its fault. */
static bool find_page(struct kvm_vcpu *vcpu, struct shadow_fault *f)
{
	u32 error;

	f->w.paging = &vcpu->arch.mmu.guest;
	if (!f->w.paging->levels) {
		f->gpa = f->gva;
		f->access = KVM_ACCESS_ALL;
		f->guest_leaf = KVM_MAX_HUGE_LEVEL + 1;
		return true;
	}
	switch (kvm_walk_for_fault(vcpu, f->gva, f->kind, &f->w, &error)) {
	case GUEST_WALK_OK:
		f->gpa = f->w.gpa;
		f->guest_leaf = f->w.leaf;
		find_access(f);
		return true;
	case GUEST_WALK_FAULT:
		kvm_queue_page_fault(vcpu, error, f->gva);
		if (!(error & KVM_PF_PRESENT))
			kvm_bypass_missed(vcpu, f->gva);
		return false;
	default:
		/* A table where there is no memory has no entries. */
		kvm_queue_page_fault(vcpu, f->kind & (KVM_PF_WRITE | KVM_PF_USER), f->gva);
		return false;
	}
}

/*
 * Only the dirty log stands against the write: neither the guest's tables nor the host's page have
 * to be looked at. What the guest forbids in other ways faults again, and is looked at then.
 */
static bool fault_logged(struct kvm_vcpu *vcpu, gva_t gva, bool user)
{
	const u64 wanted = SPTE_PRESENT | SPTE_MAY_WRITE | (user ? kvm_spte_format.user : 0);
	struct kvm *kvm = vcpu->kvm;
	struct kvm_memory_slot *slot;
	struct kvm_mmu_page *sp;
	bool fixed = false;
	u64 *sptep, spte;
	gfn_t gfn;

	write_lock(&kvm->mmu_lock);
	if (kvm_request_test(vcpu, KVM_REQ_MMU_ROOT))
		goto out;
	sp = kvm_shadow_leaf_table(vcpu, gva);
	if (!sp)
		goto out;
	sptep = &sp->table[spte_index(gva >> PAGE_SHIFT, 1)];
	spte = READ_ONCE(*sptep);
	if ((spte & (wanted | SPTE_WRITE)) != wanted)
		goto out;
	gfn = kvm_shadow_gfn(sp, sptep - sp->table);
	slot = kvm_vcpu_memslot(vcpu, gfn);
	if (!kvm_memslot_valid(slot))
		goto out;
	atomic64_or(SPTE_WRITE | kvm_spte_format.dirty, (atomic64_t *)sptep);
	vcpu->stat.pf_fast++;
	fixed = true;
	/* After the entry, see dirty_log rules in mmu.rst. */
	kvm_dirty_log_mark(vcpu, slot, gfn);
out:
	write_unlock(&kvm->mmu_lock);
	return fixed;
}

/* Accesses by the processor itself, to a descriptor table or a stack of an inner level. */
static u32 kind_of_access(struct kvm_vcpu *vcpu, u64 error_code)
{
	u32 kind = error_code & (KVM_PF_WRITE | KVM_PF_USER | KVM_PF_FETCH);

	if (!(kind & KVM_PF_USER) && vendor(cpl)(vcpu) == 3)
		kind |= KVM_WALK_IMPLICIT;
	return kind;
}

/* The write was the processor's own, of an event's frame: there is no instruction to emulate. */
static bool is_delivering(const struct kvm_vcpu *vcpu)
{
	return vcpu->arch.exception.injected || vcpu->arch.interrupt.injected ||
	       vcpu->arch.nmi_injected;
}

int kvm_mmu_guest_fault(struct kvm_vcpu *vcpu, gva_t gva, u64 error_code, void *insn,
			int insn_len)
{
	struct shadow_fault f = {
		.gva = gva,
		.map.write = error_code & KVM_PF_WRITE,
		.map.exec = error_code & KVM_PF_FETCH,
	};
	struct kvm_fault *map = &f.map;
	int r;

	trace_kvm_page_fault(vcpu, gva, error_code);
	vcpu->stat.pf_taken++;
	kvm_srcu_lock(vcpu);
	/* No entry of ours but an empty one has a reserved bit set: the tables are broken. */
	if (KVM_BUG_ON((error_code & KVM_PF_RSVD) && !kvm_spte_format.empty, vcpu->kvm))
		return -EIO;

	if (map->write && (error_code & KVM_PF_PRESENT) &&
	    READ_ONCE(vcpu->kvm->nr_logged_slots) &&
	    fault_logged(vcpu, gva, error_code & KVM_PF_USER))
		return 1;
	f.kind = kind_of_access(vcpu, error_code);
	if (!find_page(vcpu, &f))
		return 1;
	map->gfn = gpa_to_gfn(f.gpa);
	map->slot = kvm_vcpu_memslot(vcpu, map->gfn);
	if (!map->slot) {
		kvm_mmu_remember_mmio(vcpu, map->gfn);
		return kvm_fault_emulate(vcpu, f.gpa, KVM_EMULATE_PF, insn, insn_len);
	}
	if (!kvm_memslot_valid(map->slot))
		return 1;
	if (f.emulate || (map->write && (READ_ONCE(map->slot->flags) & KVM_MEM_READONLY)))
		return kvm_fault_emulate(vcpu, f.gpa, KVM_EMULATE_PF, insn, insn_len);

	map->logged = kvm_memslot_logs_dirty(map->slot);
	r = fault_map(vcpu, &f);
	if (r != 1 || !f.emulate)
		return r;
	if (is_delivering(vcpu)) {
		kvm_mmu_release_table(vcpu, map->gfn);
		return 1;
	}
	return kvm_fault_emulate(vcpu, f.gpa, KVM_EMULATE_PF | KVM_EMULATE_TABLE, insn, insn_len);
}
EXPORT_SYMBOL_GPL(kvm_mmu_guest_fault);
