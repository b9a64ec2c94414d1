// SPDX-License-Identifier: GPL-2.0
/*
 * Paging as a guest sees it, against a walk of the manual's written here: random tables with flags
 * of all kinds, large pages, aliases, tables that map tables, reserved bits; random accesses by
 * supervisor and user, with CR0.WP, SMEP, SMAP, protection keys and EFER.NX on and off; changes of
 * tables followed by INVLPG or a load of CR3. After each access its outcome is compared, after each
 * batch the tables. Without nested paging this tests the shadow MMU, and with instructions that are
 * forced upon the emulator, its walk. AMD64 manual, volume 2, chapter 5 and 8.4.2.
 */
#include <fcntl.h>
#include <pthread.h>
#include "shadow.h"

/* ---- running --------------------------------------------------------------------------------- */

static const char *op_name(enum op op)
{
	static const char *const names[] = { "end", "read", "write", "call", "user read",
		"user write", "user call", "emulated read", "emulated write" };

	return op < ARRAY_SIZE(names) ? names[op] : "?";
}

/* QEMU's own walk, which nested paging has the guest use, leaves P out where a bit is reserved. */
static bool same_error(const struct world *w, const struct command *c, uint32_t wanted)
{
	uint32_t ignore = 0;

	if (w->nested && (wanted & ERROR_RSVD) && c->op < READ_EMULATED && host_is_tcg())
		ignore = ERROR_P;
	return !((c->error ^ wanted) & ~(uint64_t)ignore);
}

/*
 * With nested paging the processor walks, and may set accessed bits on its way to a fault (APM 2,
 * 5.4.2), in data too where that serves as a table: there is no telling these bits.
 */
static uint64_t unsure_bits(const struct world *w, uint64_t gpa)
{
	return w->nested && w->walked[gpa / sizeof(uint32_t)] ? PTE_A | PTE_D : 0;
}

static bool same_value(const struct world *w, const struct command *c, const struct expectation *e)
{
	return !e->reads || e->faults ||
	       !((c->result ^ e->value) & ~unsure_bits(w, e->walk.gpa));
}

static void compare_access(struct world *w, const struct command *c, const struct expectation *e,
			   unsigned int number)
{
	w->accesses++;
	w->faults += e->faults;
	if (c->faulted == e->faults && (!e->faults || (same_error(w, c, e->walk.error) &&
						       c->cr2 == c->address)) &&
	    same_value(w, c, e))
		return;
	fail("%s, access %lu (%u of the batch): %s at %#llx: %s error %#llx cr2 %#llx result %#llx; wanted %s error %#x value %#llx; cr0 %#llx cr4 %#llx efer %#llx flags %#llx gpa %#llx",
	     w->mode->name, w->accesses, number, op_name(c->op), (unsigned long long)c->address,
	     c->faulted ? "fault" : "no fault", (unsigned long long)c->error,
	     (unsigned long long)c->cr2, (unsigned long long)c->result,
	     e->faults ? "fault" : "no fault", e->walk.error, (unsigned long long)e->value,
	     (unsigned long long)w->cr0, (unsigned long long)w->cr4, (unsigned long long)w->efer,
	     (unsigned long long)w->flags, (unsigned long long)e->walk.gpa);
}

static void compare_memory(struct world *w, uint64_t from, uint64_t size)
{
	uint64_t at;

	if (!memcmp(w->model + from, w->g->memory + from, size))
		return;
	for (at = from; at < from + size; at += sizeof(uint32_t)) {
		uint32_t is, want;

		memcpy(&is, w->g->memory + at, sizeof(is));
		memcpy(&want, w->model + at, sizeof(want));
		if ((is ^ want) & ~unsure_bits(w, at))
			fail("%s, after access %lu: at %#llx is %#x, not %#x", w->mode->name,
			     w->accesses, (unsigned long long)at, is, want);
	}
	memcpy(w->model + from, w->g->memory + from, size);
}

static void compare_tables(struct world *w)
{
	compare_memory(w, POOL, POOL_PAGES * PAGE);
	compare_memory(w, DATA, DATA_PAGES * PAGE);
	memcpy(w->model + ROOT, w->g->memory + ROOT, PAGE);
	memset(w->walked, 0, GUEST_MEMORY / sizeof(uint32_t));
}

static void run_batch(struct world *w)
{
	static struct expectation expected[2 * BATCH + 2];
	struct command *c = (struct command *)(w->g->memory + w->commands);
	unsigned int n = 0, i;

	memset(c, 0, 2 * (BATCH + 1) * sizeof(*c));
	memset(expected, 0, sizeof(expected));
	w->copies = 0;
	while (n < BATCH) {
		struct command access = { };
		struct expectation e;

		if (chance(w, 6))
			plan_set_entry(w, &c[n++]);
		else if (chance(w, 6))
			plan_control(w, &c[n++]);
		else if (chance(w, 1))
			plan_copy(w, &c[n++]);
		else if (w->stale && chance(w, 10))
			plan_load_cr3(w, &c[n++]);

		bool stale = w->stale;

		if (!plan_access(w, &access, &e))
			continue;
		if (stale) {
			c[n].op = INVLPG;
			c[n++].address = access.address;
		}
		expected[n] = e;
		c[n++] = access;
	}
	execute(w);
	for (i = 0; i < n; i++)
		if (expected[i].is_access)
			compare_access(w, &c[i], &expected[i], i);
	compare_tables(w);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static unsigned long wanted_accesses(void)
{
	const char *text = getenv("ACCESSES");

	return text ? strtoul(text, NULL, 0) : 4000 / slowness();
}

static void random_paging(const struct mode *mode)
{
	unsigned long wanted = wanted_accesses(), done = 0, faults = 0;
	uint64_t seed = 1;
	struct world w;

	/* New tables now and then; the old VM stays, so that there are several. */
	for (; done < wanted; seed++) {
		world_create(&w, mode, seed);
		while (w.accesses < 20000 && done + w.accesses < wanted)
			run_batch(&w);
		done += w.accesses;
		faults += w.faults;
	}
	note("%s: %lu accesses, %lu of them faults", mode->name, done, faults);
}

static const struct mode four_levels_mode = { "4 levels", 4, true, true, BASE64 };
static const struct mode few_bits_mode = { "36 bits of address", 4, true, true, BASE64, 36 };
static const struct mode five_levels_mode = { "5 levels", 5, true, true, BASE64 };
static const struct mode pae_mode = { "PAE", 3, true, false, BASE_PAE };
static const struct mode two_levels_mode = { "2 levels", 2, false, false, BASE32 };

static bool has_five_levels(void)
{
	int kvm = open_kvm();
	struct kvm_cpuid2 *cpuid = cpuid_supported(kvm);
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, 7, 0);
	bool has = e && (e->ecx & 1u << 16);

	free(cpuid);
	close(kvm);
	return has;
}

/* Under nested paging QEMU's processor makes no progress with it. */
static bool runs_pae(void)
{
	return !nested_paging() || !host_is_tcg();
}

static void four_levels(void)
{
	random_paging(&four_levels_mode);
}

static void few_address_bits(void)
{
	int kvm = open_kvm();
	bool offered = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_SMALLER_MAXPHYADDR) == 1;

	close(kvm);
	check(offered || nested_paging());
	if (!offered)
		skip("under nested paging the processor has its own");
	random_paging(&few_bits_mode);
}

static void five_levels(void)
{
	if (!has_five_levels())
		skip("not offered to guests of this processor");
	random_paging(&five_levels_mode);
}

static void pae(void)
{
	if (!runs_pae())
		skip("under nested paging the emulated processor makes no progress with PAE");
	random_paging(&pae_mode);
}

static void two_levels(void)
{
	random_paging(&two_levels_mode);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* Two large pages of the same frames, which are small ones in the host, with different keys. */
static void keys_of_an_alias(void)
{
	const uint64_t flags = PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
	static const uint32_t order[] = { 2, 1, 2, 1 };
	struct command *c;
	struct world w;
	unsigned int i;

	world_create(&w, &four_levels_mode, 1);
	if (!w.keys)
		skip("no protection keys on this processor");
	put_entry(&w, ROOT, POOL | flags);
	put_entry(&w, POOL, (POOL + PAGE) | flags);
	for (i = 1; i <= 2; i++)
		put_entry(&w, POOL + PAGE + i * 8,
			  DATA | PTE_PS | flags | (uint64_t)i << PTE_KEY_SHIFT);
	c = (struct command *)(w.g->memory + w.commands);
	c[0].op = LOAD_CR4;
	c[0].value = w.cr4 | CR4_PKE;
	c[1].op = LOAD_PKRU;
	c[1].value = 1 << 2;		/* no access to what has key 1 */
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		c[2 + i].op = i < 2 ? READ_USER : WRITE_USER;
		c[2 + i].address = order[i] * 2 * MiB;
	}
	execute(&w);
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		check_equal(c[2 + i].faulted, order[i] == 1);
		if (order[i] == 1)
			check_equal(c[2 + i].error, ERROR_P | ERROR_U | ERROR_KEY |
				    (i < 2 ? 0 : ERROR_W));
	}
}

/* ---- two vcpus ------------------------------------------------------------------------------- */

#define SHARED_PAGES	4u
#define SHARED_CHOICES	3u
#define ROUNDS		4u

static bool stop;

/* One of two tables below the same entry, in each one of two pages, or none, for each address. */
static uint64_t shared_entry(struct world *w, unsigned int table, unsigned int page)
{
	unsigned int choice = roll(w, SHARED_CHOICES);

	if (choice == SHARED_CHOICES - 1)
		return 0;
	return (DATA + (table * 2 * SHARED_PAGES + page * 2 + choice) * PAGE) | PTE_P | PTE_W |
	       (chance(w, 50) ? PTE_A : 0) | (chance(w, 50) ? PTE_D : 0);
}

static uint64_t shared_table(struct world *w)
{
	return (POOL + (2 + roll(w, 2)) * PAGE) | PTE_P | PTE_W | (chance(w, 50) ? PTE_A : 0);
}

/* What the second vcpu changes: number 0 is the entry of level 2, the others are the pages'. */
#define SHARED_ENTRIES	(1 + 2 * SHARED_PAGES)

static uint64_t shared_at(const struct world *w, unsigned int i)
{
	unsigned int size = w->mode->wide ? 8 : 4;

	if (!i)
		return w->mode->levels == 2 ? ROOT : POOL + PAGE;
	i--;
	return POOL + (2 + i / SHARED_PAGES) * PAGE + i % SHARED_PAGES * size;
}

static uint64_t shared_value(struct world *w, unsigned int i)
{
	if (!i)
		return shared_table(w);
	return shared_entry(w, (i - 1) / SHARED_PAGES, (i - 1) % SHARED_PAGES);
}

static void make_shared_tables(struct world *w)
{
	static const uint32_t tables[] = { [3] = POOL + PAGE, [4] = POOL, [5] = POOL + 4 * PAGE };
	uint64_t at = ROOT;

	memset(w->g->memory + POOL, 0, 5 * PAGE);
	for (unsigned int level = w->mode->levels; level > 2; level--) {
		bool pointer = level == 3 && w->mode->levels == 3;

		put_entry(w, at, tables[level] | (pointer ? PTE_P : PTE_P | PTE_W | PTE_A));
		at = tables[level];
	}
	for (unsigned int i = 0; i < SHARED_ENTRIES; i++)
		put_entry(w, shared_at(w, i), shared_value(w, i));
	memcpy(w->pdpt, w->g->memory + ROOT, sizeof(w->pdpt));
}

/* Nothing but the accessed bit is anybody else's to change. */
static void compare_shared(const struct world *w, const uint64_t *last)
{
	for (unsigned int i = 0; i < SHARED_ENTRIES; i++) {
		uint64_t entry = 0;

		memcpy(&entry, w->g->memory + shared_at(w, i), w->mode->wide ? 8 : 4);
		if (last[i] != ~0ull)
			check_equal(entry & ~(last[i] & PTE_P ? PTE_A : 0), last[i] & ~PTE_A);
	}
}

static void *change_tables(void *data)
{
	struct world *w = data;
	struct command *c = (struct command *)(w->g->memory + w->commands);
	uint64_t last[SHARED_ENTRIES];
	unsigned int i, n;

	memset(last, -1, sizeof(last));
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		memset(c, 0, (BATCH + 1) * sizeof(*c));
		for (n = 0; n < BATCH; n++) {
			i = chance(w, 10) ? 0 : 1 + roll(w, SHARED_ENTRIES - 1);
			c[n].op = SET_ENTRY;
			c[n].address = shared_at(w, i);
			c[n].value = last[i] = shared_value(w, i);
		}
		execute(w);
		compare_shared(w, last);
	}
	return NULL;
}

/* What an address may show while it changes: one of its four pages, or that there is none. */
static void compare_shared_read(const struct command *c)
{
	unsigned int page = (c->result - DATA) / PAGE;

	if (c->faulted) {
		check_equal(c->error, 0);
		check_equal(c->cr2, c->address);
		return;
	}
	check(page < 4 * SHARED_PAGES && c->result % PAGE == 0);
	check_equal(page / 2 % SHARED_PAGES, c->address / PAGE);
}

/* Each address after an INVLPG. */
static void look(struct world *w, bool settled)
{
	struct command *c = (struct command *)(w->g->memory + w->commands);
	const struct access read = { };
	unsigned int i;
	struct walk r;

	memset(c, 0, (BATCH + 1) * sizeof(*c));
	for (i = 0; i < BATCH; i += 2) {
		c[i].op = INVLPG;
		c[i + 1].op = READ;
		c[i].address = c[i + 1].address = roll(w, SHARED_PAGES) * PAGE;
	}
	execute(w);
	if (settled)
		memcpy(w->model, w->g->memory, GUEST_MEMORY);
	for (i = 1; i < BATCH; i += 2) {
		w->accesses++;
		w->faults += c[i].faulted;
		compare_shared_read(&c[i]);
		if (!settled)
			continue;
		check_equal(c[i].faulted, !reference(w, c[i].address, read, &r));
		if (!c[i].faulted)
			check_equal(c[i].result, r.gpa);
	}
}

static void changed_by_another(const struct mode *mode)
{
	unsigned long wanted = wanted_accesses() / 4;
	struct world first, second;
	struct guest other;
	pthread_t thread;

	world_create(&first, mode, 1);
	make_shared_tables(&first);
	set_registers(&first);
	other = *first.g;
	other.vcpu = must(ioctl(other.vm, KVM_CREATE_VCPU, 1));
	other.run = vcpu_map_run(other.kvm, other.vcpu, &other.run_size);
	second = first;
	second.g = &other;
	second.seed = 2;
	second.commands = SECOND_COMMANDS;
	second.stack = SECOND_STACK;
	restrict_cpuid(&second);
	vcpu_set_mode(other.vcpu, mode->base == BASE64 ? LONG : PROTECTED);
	set_registers(&second);

	for (unsigned int round = 1; round <= ROUNDS; round++) {
		__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
		check(!pthread_create(&thread, NULL, change_tables, &second));
		do {
			look(&first, false);
		} while (first.accesses < wanted / ROUNDS * round);
		__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
		check(!pthread_join(thread, NULL));
		look(&first, true);
	}
	note("%s: %lu accesses, %lu of them faults", mode->name, first.accesses, first.faults);
}

static void two_vcpus(void)
{
	changed_by_another(&four_levels_mode);
	if (has_five_levels())
		changed_by_another(&five_levels_mode);
	if (runs_pae())
		changed_by_another(&pae_mode);
	changed_by_another(&two_levels_mode);
}

/* ---- few tables ------------------------------------------------------------------------------ */

#define FEW_TABLES	64u

/* The limit moves and the host is short of memory, again and again. */
static void *take_tables(void *data)
{
	const struct world *w = data;
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	unsigned int i;

	if (fd >= 0)
		check_equal(write(fd, "4", 1), 1);	/* without a line in the log each time */
	for (i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
		must(ioctl(w->g->vm, KVM_SET_NR_MMU_PAGES, FEW_TABLES * (1 + i % 3)));
		if (fd >= 0 && i % 4 == 0)
			check_equal(write(fd, "2", 1), 1);
		usleep(20000);
	}
	close(fd);
	return NULL;
}

/* The guest sees nothing of its tables being thrown away under it. */
static void few_tables(void)
{
	unsigned long wanted = wanted_accesses() < 600 ? 600 : 3000;
	pthread_t thread;
	struct world w;

	world_create(&w, &four_levels_mode, 7);
	check(ioctl(w.g->vm, KVM_SET_NR_MMU_PAGES, FEW_TABLES - 1) == -1 && errno == EINVAL);
	must(ioctl(w.g->vm, KVM_SET_NR_MMU_PAGES, FEW_TABLES));
	check_equal(ioctl(w.g->vm, KVM_GET_NR_MMU_PAGES, 0), FEW_TABLES);
	while (w.accesses < wanted)
		run_batch(&w);
	note("%llu tables were recycled under the limit",
	     (unsigned long long)vcpu_stat(w.g->vm, "mmu_recycled"));
	check(w.nested || vcpu_stat(w.g->vm, "mmu_recycled") > 0);

	__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
	check(!pthread_create(&thread, NULL, take_tables, &w));
	while (w.accesses < 2 * wanted)
		run_batch(&w);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	check(!pthread_join(thread, NULL));
	note("%llu with the shrinker", (unsigned long long)vcpu_stat(w.g->vm, "mmu_recycled"));
}

static const struct test_case cases[] = {
	{ "random tables of 4 levels, supervisor and user", four_levels, 60 },
	{ "random tables for a processor with fewer address bits", few_address_bits, 60 },
	{ "random tables of 5 levels, supervisor and user", five_levels, 60 },
	{ "random tables of PAE", pae, 60 },
	{ "random tables of 2 levels, with pages of 4 MiB", two_levels, 60 },
	{ "large pages of the same frames with different keys", keys_of_an_alias },
	{ "tables changed by another vcpu", two_vcpus, 60 },
	{ "tables recycled under a small limit and for the shrinker", few_tables, 60 },
};

int main(int argc, char **argv)
{
	return RUN_CASES("shadow", cases);
}
