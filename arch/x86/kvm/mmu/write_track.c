// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's own tables, as memory that it writes to. A table of ours is either "tracked": every
 * entry that maps the guest's table is read-only, and each write is emulated and takes effect on
 * our entries at once; or, at level 1 only, "unsync": the guest writes freely, and our entries are
 * compared with the guest's when it must flush its TLB for the change to count: INVLPG, a load of
 * CR3, or a flush. Documentation/virt/kvm/mmu.rst draws the states. APM 2, 5.5.2; SDM 3, 4.10.4.
 */
#include <linux/moduleparam.h>
#include <linux/sched.h>

#include "shadow.h"

static bool oos_shadow = true;
module_param(oos_shadow, bool, 0644);
MODULE_PARM_DESC(oos_shadow,
		 "shadow paging: let guests write page tables of the lowest level without exits");

/* Emulated writes without a fault that uses the table, after which it is no table any more. */
#define WRITES_OF_NO_TABLE	6
/* Tables compared under one hold of mmu_lock, and with one flush. */
#define SYNC_BATCH		32

static struct kvm_memory_slot *slot_of(struct kvm *kvm, const struct kvm_mmu_page *sp)
{
	return kvm_memslot_find(kvm_memslots(kvm, sp->role.as_id), sp->gfn);
}

static u32 *tables_in(const struct kvm_memory_slot *slot, gfn_t gfn, int level)
{
	unsigned int shift = (level - 1) * SPTE_INDEX_BITS;

	return &slot->arch.tables[level - 1][(gfn >> shift) - (slot->base_gfn >> shift)];
}

static void count_table(struct kvm_memory_slot *slot, gfn_t gfn, int n)
{
	int level;

	for (level = 1; level <= KVM_MAX_HUGE_LEVEL; level++) {
		u32 *count = tables_in(slot, gfn, level);

		WRITE_ONCE(*count, *count + n);
	}
}

/* Is any frame of the page of that size a table of the guest's which must not be written unseen? */
bool kvm_track_any(const struct kvm_memory_slot *slot, gfn_t gfn, int level)
{
	return *tables_in(slot, gfn, level);
}

/* ---- tracked and not ---------------------------------------------------------------------------------- */

/* From now on writes to the guest's table are seen, once TLBs are flushed if *flush says so. */
void kvm_track_begin(struct kvm *kvm, struct kvm_mmu_page *sp, bool *flush)
{
	struct kvm_memory_slot *slot = slot_of(kvm, sp);

	if (!slot) {
		kvm->arch.mmu.nr_homeless++;
		return;
	}
	sp->tracked = true;
	sp->writes = 0;
	WRITE_ONCE(kvm->arch.mmu.nr_tracked, kvm->arch.mmu.nr_tracked + 1);
	count_table(slot, sp->gfn, 1);
	/*
	 * An entry without SPTE_WRITE may still be writable in some TLB, if the dirty log took the
	 * bit away and has not flushed yet. SPTE_MAY_WRITE is only taken away here.
	 */
	*flush |= kvm_rmap_clear_range(kvm, slot, sp->gfn, sp->gfn + 1,
				       SPTE_WRITE | SPTE_MAY_WRITE, false);
}

static void stop_tracking(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	struct kvm_memory_slot *slot = slot_of(kvm, sp);

	sp->tracked = false;
	WRITE_ONCE(kvm->arch.mmu.nr_tracked, kvm->arch.mmu.nr_tracked - 1);
	if (!KVM_BUG_ON(!slot, kvm))
		count_table(slot, sp->gfn, -1);
}

static void stop_unsync(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	sp->unsync = false;
	list_del(&sp->unsync_link);
	WRITE_ONCE(kvm->arch.mmu.nr_unsync, kvm->arch.mmu.nr_unsync - 1);
}

/* The table goes. */
void kvm_track_end(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	if (sp->tracked)
		stop_tracking(kvm, sp);
	else if (sp->unsync)
		stop_unsync(kvm, sp);
	else if (!sp->role.direct)
		kvm->arch.mmu.nr_homeless--;
}

static void start_unsync(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	kvm_bypass_end(sp);
	stop_tracking(kvm, sp);
	sp->unsync = true;
	list_add_tail(&sp->unsync_link, &kvm->arch.mmu.unsync);
	WRITE_ONCE(kvm->arch.mmu.nr_unsync, kvm->arch.mmu.nr_unsync + 1);
	kvm->stat.mmu_unsync++;
}

/* ---- comparing ------------------------------------------------------------------------------------------ */

/* Where the guest has the entry from which ours number @index of a level 1 table is made. */
static gpa_t guest_entry_gpa(const struct kvm_mmu_page *sp, unsigned int index)
{
	gpa_t gpa = gfn_to_gpa(sp->gfn);

	if (sp->role.guest_levels > 2)
		return gpa + index * sizeof(u64);
	return gpa + (sp->role.quadrant * SPTE_PER_TABLE + index) * sizeof(u32);
}

static bool read_guest_entry(struct kvm *kvm, const struct kvm_mmu_page *sp, unsigned int index,
			     u64 *entry)
{
	unsigned int size = sp->role.guest_levels > 2 ? sizeof(u64) : sizeof(u32);
	int r;

	*entry = 0;
	pagefault_disable();
	r = kvm_vm_guest_read(kvm, guest_entry_gpa(sp, index), entry, size);
	pagefault_enable();
	return !r;
}

/* Does the guest's entry still say what ours does, writing aside? */
static bool entry_holds(const struct kvm_mmu_page *sp, unsigned int index, u64 spte, u64 entry)
{
	bool user = entry & GPTE_USER, nx = entry & GPTE_NX;
	u32 above = sp->role.access;

	if ((entry & (GPTE_PRESENT | GPTE_ACCESSED)) != (GPTE_PRESENT | GPTE_ACCESSED))
		return false;
	if ((entry & GPTE_ADDRESS) >> PAGE_SHIFT != sp->gfns[index])
		return false;
	if (sp->role.guest_levels == 3 && (entry & GPTE_PAE_RESERVED))
		return false;
	if (!!(spte & kvm_spte_format.user) != (user && (above & KVM_ACCESS_USER)))
		return false;
	if (sp->role.nx && nx && !(spte & kvm_spte_format.nx))
		return false;
	if (!sp->role.nx && nx)
		return false;
	return !sp->role.pke || !((spte ^ entry) & SPTE_PKEY);
}

static void sync_entry(struct kvm_zap *zap, struct kvm_mmu_page *sp, unsigned int index)
{
	const u64 may_write = SPTE_WRITE | SPTE_MAY_WRITE, written = GPTE_WRITE | GPTE_DIRTY;
	u64 *sptep = &sp->table[index], spte = READ_ONCE(*sptep), entry;

	if (!spte_present(spte))
		return;
	if (!read_guest_entry(zap->kvm, sp, index, &entry) ||
	    !entry_holds(sp, index, spte, entry)) {
		kvm_shadow_drop(zap, sptep);
	} else if ((spte & may_write) && (entry & written) != written) {
		/* As after a fork: the page is read on, and often by more than one process. */
		spte_clear_bits(sptep, may_write);
		zap->flush = true;
	}
}

static void sync_table(struct kvm_zap *zap, struct kvm_mmu_page *sp)
{
	unsigned int i;

	for (i = 0; i < SPTE_PER_TABLE; i++)
		sync_entry(zap, sp, i);
}

/*
 * A table is about to be reachable from somewhere. Flushes of the guest's that concerned this path
 * could not find it before.
 */
void kvm_unsync_refresh(struct kvm_zap *zap, struct kvm_mmu_page *sp)
{
	if (sp->unsync)
		sync_table(zap, sp);
}

/* Up to @n tables from the list become tracked again. */
static void sync_some(struct kvm_zap *zap, unsigned long n)
{
	struct kvm_mmu_page *sp, *batch[SYNC_BATCH];
	struct kvm *kvm = zap->kvm;
	unsigned int i, nr = 0;
	bool flush = false;

	while (nr < min(n, SYNC_BATCH) && !list_empty(&kvm->arch.mmu.unsync)) {
		sp = list_first_entry(&kvm->arch.mmu.unsync, struct kvm_mmu_page, unsync_link);
		stop_unsync(kvm, sp);
		kvm_track_begin(kvm, sp, &flush);
		batch[nr++] = sp;
	}
	/* First nobody writes any more, then it is read. */
	if (flush)
		kvm_flush_remote_tlbs(kvm);
	for (i = 0; i < nr; i++)
		sync_table(zap, batch[i]);
}

/*
 * Who flushes looks at the count without mmu_lock, and goes on when it is 0. It must not be while
 * tables are being compared, though none is unsync any more: another vcpu's flush waits for the end.
 */
static void sync_begin(struct kvm *kvm)
{
	WRITE_ONCE(kvm->arch.mmu.nr_unsync, kvm->arch.mmu.nr_unsync + 1);
}

static void sync_end(struct kvm *kvm)
{
	smp_store_release(&kvm->arch.mmu.nr_unsync, kvm->arch.mmu.nr_unsync - 1);
}

/* The guest flushes: whatever it wrote before counts from here on. */
void kvm_mmu_sync_guest(struct kvm_vcpu *vcpu)
{
	struct kvm *kvm = vcpu->kvm;
	unsigned long left;
	struct kvm_zap zap;

	if (likely(!READ_ONCE(kvm->arch.mmu.nr_unsync)))
		return;
	kvm_srcu_lock(vcpu);
	write_lock(&kvm->mmu_lock);
	kvm_zap_begin(&zap, kvm);
	/* Tables that become unsync meanwhile are not waited for. */
	left = kvm->arch.mmu.nr_unsync;
	sync_begin(kvm);
	for (; left; left -= min(left, SYNC_BATCH)) {
		sync_some(&zap, left);
		if (left > SYNC_BATCH)
			kvm_zap_pause(&zap);
	}
	sync_end(kvm);
	if (kvm_zap_end(&zap))
		kvm_flush_remote_tlbs(kvm);
	write_unlock(&kvm->mmu_lock);
}

/* All tables of ours that stand for this one of the guest are tracked. */
void kvm_unsync_end(struct kvm_zap *zap, gfn_t gfn)
{
	struct kvm *kvm = zap->kvm;
	struct kvm_mmu_page *sp;
	bool flush;

	if (!kvm->arch.mmu.nr_unsync)
		return;
	sync_begin(kvm);
	for_each_shadow_of(sp, kvm, gfn) {
		if (!sp->unsync)
			continue;
		flush = false;
		stop_unsync(kvm, sp);
		kvm_track_begin(kvm, sp, &flush);
		if (flush)
			kvm_flush_remote_tlbs(kvm);
		sync_table(zap, sp);
	}
	sync_end(kvm);
}

/* ---- INVLPG ------------------------------------------------------------------------------------------------ */

/*
 * A global page is flushed from every address space, so that each table made from the same guest's
 * table is looked at.
 */
static void sync_page(struct kvm_vcpu *vcpu, gva_t gva)
{
	struct kvm *kvm = vcpu->kvm;
	struct kvm_mmu_page *sp, *other;
	struct kvm_zap zap;

	kvm_srcu_lock(vcpu);
	write_lock(&kvm->mmu_lock);
	kvm_zap_begin(&zap, kvm);
	sp = kvm_shadow_leaf_table(vcpu, gva);
	if (sp && !sp->role.direct) {
		for_each_shadow_of(other, kvm, sp->gfn)
			if (other->unsync && other->role.quadrant == sp->role.quadrant)
				sync_entry(&zap, other, spte_index(gva >> PAGE_SHIFT, 1));
	}
	if (kvm_zap_end(&zap))
		kvm_flush_remote_tlbs(kvm);
	write_unlock(&kvm->mmu_lock);
}

void kvm_mmu_invlpg(struct kvm_vcpu *vcpu, gva_t gva)
{
	vcpu->stat.invlpg++;
	if (!kvm_hw.npt && READ_ONCE(vcpu->kvm->arch.mmu.nr_unsync))
		sync_page(vcpu, gva);
	kvm_x86_ops.flush_tlb_page(vcpu, gva);
}
EXPORT_SYMBOL_GPL(kvm_mmu_invlpg);

/* ---- writes -------------------------------------------------------------------------------------------------- */

/* No vcpu and no table leads to it, and it is none that an address space starts with. */
static bool is_forgotten(const struct kvm_mmu_page *sp)
{
	unsigned int top = sp->role.guest_levels > 3 ? sp->role.guest_levels : 2;

	return !sp->users && !sp->parents.val && sp->level < top;
}

/* Those that nobody uses give way to a write. */
static void zap_forgotten(struct kvm_zap *zap, gfn_t gfn)
{
	struct kvm_mmu_page *sp;
	struct hlist_node *next;

	hlist_for_each_entry_safe(sp, next, kvm_shadow_bucket(zap->kvm, gfn), hash_link)
		if (sp->gfn == gfn && !sp->role.direct && is_forgotten(sp))
			kvm_shadow_zap(zap, sp);
}

/*
 * May an entry that maps @gfn be writable? @write: one is wanted for a write that is under way. If
 * not, the write is to be emulated.
 */
bool kvm_track_allows_write(struct kvm_zap *zap, struct kvm_memory_slot *slot, gfn_t gfn,
			    bool write)
{
	struct kvm *kvm = zap->kvm;
	struct kvm_mmu_page *sp;

	if (!*tables_in(slot, gfn, 1))
		return true;
	if (!write)
		return false;
	zap_forgotten(zap, gfn);
	for_each_shadow_of(sp, kvm, gfn)
		if (sp->tracked && (sp->level > 1 || !READ_ONCE(oos_shadow)))
			return false;
	for_each_shadow_of(sp, kvm, gfn)
		if (sp->tracked)
			start_unsync(kvm, sp);
	return true;
}

/* The entries of ours that were made from guest entries in bytes @start to @end of the table. */
static void drop_written(struct kvm_zap *zap, struct kvm_mmu_page *sp, unsigned int start,
			 unsigned int end)
{
	unsigned int first = start / sizeof(u64), last = (end - 1) / sizeof(u64), base;

	if (sp->role.guest_levels == 2) {
		/* A guest's directory entry is two of ours, and a table of ours is part of its. */
		unsigned int each = sp->level == 2 ? 2 : 1;

		first = start / sizeof(u32) * each;
		last = (end - 1) / sizeof(u32) * each + each - 1;
		base = sp->role.quadrant * SPTE_PER_TABLE;
		if (last < base || first >= base + SPTE_PER_TABLE)
			return;
		first = max(first, base) - base;
		last = min(last - base, SPTE_PER_TABLE - 1);
	}
	for (; first <= last; first++)
		if (READ_ONCE(sp->table[first]) != kvm_spte_format.empty)
			kvm_shadow_drop(zap, &sp->table[first]);
}

static bool is_no_table(struct kvm_mmu_page *sp)
{
	if (is_forgotten(sp))
		return true;
	return !sp->users && ++sp->writes > WRITES_OF_NO_TABLE;
}

static void table_written(struct kvm_zap *zap, gpa_t gpa, unsigned int len)
{
	gfn_t gfn = gpa_to_gfn(gpa);
	struct kvm_mmu_page *sp;
	struct hlist_node *next;

	zap->kvm->stat.mmu_pte_write++;
	hlist_for_each_entry_safe(sp, next, kvm_shadow_bucket(zap->kvm, gfn), hash_link) {
		if (sp->gfn != gfn || !sp->tracked)
			continue;
		if (is_no_table(sp)) {
			zap->kvm->stat.mmu_flooded++;
			kvm_shadow_zap(zap, sp);
			continue;
		}
		drop_written(zap, sp, offset_in_page(gpa), offset_in_page(gpa) + len);
	}
}

void kvm_mmu_guest_wrote(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int len)
{
	struct kvm *kvm = vcpu->kvm;
	struct kvm_memory_slot *slot;
	struct kvm_zap zap;

	if (likely(!READ_ONCE(kvm->arch.mmu.nr_tracked)))
		return;
	/* The write comes before the look: who begins to track counts first and reads afterwards. */
	smp_mb();
	slot = kvm_vcpu_memslot(vcpu, gpa_to_gfn(gpa));
	if (!slot || !READ_ONCE(*tables_in(slot, gpa_to_gfn(gpa), 1)))
		return;

	write_lock(&kvm->mmu_lock);
	kvm_zap_begin(&zap, kvm);
	table_written(&zap, gpa, len);
	if (kvm_zap_end(&zap))
		kvm_flush_remote_tlbs(kvm);
	write_unlock(&kvm->mmu_lock);
}

bool kvm_mmu_release_table(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvm *kvm = vcpu->kvm;
	struct kvm_mmu_page *sp;
	struct hlist_node *next;
	struct kvm_zap zap;
	bool any = false;

	if (!READ_ONCE(kvm->arch.mmu.nr_tracked))
		return false;
	kvm_srcu_lock(vcpu);
	write_lock(&kvm->mmu_lock);
	kvm_zap_begin(&zap, kvm);
	hlist_for_each_entry_safe(sp, next, kvm_shadow_bucket(kvm, gfn), hash_link) {
		if (sp->gfn != gfn || !sp->tracked)
			continue;
		kvm_shadow_zap(&zap, sp);
		any = true;
	}
	if (kvm_zap_end(&zap))
		kvm_flush_remote_tlbs(kvm);
	write_unlock(&kvm->mmu_lock);
	return any;
}
