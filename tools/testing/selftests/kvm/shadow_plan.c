// SPDX-License-Identifier: GPL-2.0
/*
 * What "shadow" asks of its guest, at random, and what the manual says will come of it: a walk of
 * the tables as the model of memory has them. AMD64 manual, volume 2, chapter 5 and 8.4.2.
 */
#include "shadow.h"

/* ---- the reference ------------------------------------------------------------------------- */

/* Memory whose contents the model knows at any time. */
static bool is_modelled(uint64_t gpa)
{
	return (gpa >= POOL && gpa < POOL + POOL_PAGES * PAGE) ||
	       (gpa >= DATA && gpa < DATA + DATA_PAGES * PAGE);
}

static uint64_t model_entry(const struct world *w, uint64_t at)
{
	uint64_t entry = 0;

	memcpy(&entry, w->model + at, w->mode->wide ? 8 : 4);
	return entry;
}

static bool is_large(const struct world *w, uint64_t entry, unsigned int level)
{
	if (!(entry & PTE_PS) || level == 1)
		return false;
	if (!w->mode->wide)
		return w->pse;
	return level == 2;		/* pages of 1 GiB are not offered to these guests */
}

static bool is_reserved(const struct world *w, uint64_t entry, unsigned int level)
{
	if (!w->mode->wide)
		return is_large(w, entry, level) && (entry & 0x3fe000);
	if (entry & w->reserved)
		return true;
	if ((entry & PTE_NX) && !(w->efer & EFER_NX))
		return true;
	if (w->mode->levels == 3 && (entry & 0x7ff0000000000000ull))
		return true;
	if (level > 2 && (entry & PTE_PS))
		return true;
	return is_large(w, entry, level) && (entry & 0x1fe000);
}

/* Keys are about data of users' pages, whoever accesses it. */
static bool key_forbids(const struct world *w, uint64_t entry, struct access a)
{
	uint32_t rights = w->pkru >> (entry >> PTE_KEY_SHIFT & 15) * 2;

	if (!(w->cr4 & CR4_PKE) || a.fetch)
		return false;
	return (rights & 1) || (a.write && (rights & 2) && (a.user || (w->cr0 & CR0_WP)));
}

bool reference(struct world *w, uint64_t address, struct access a, struct walk *r)
{
	unsigned int bits = w->mode->wide ? 9 : 10, size = w->mode->wide ? 8 : 4;
	bool writable = true, user = true, runs = true;
	unsigned int level = w->mode->levels;
	uint64_t table = ROOT, entry;

	r->marked = false;
	r->error = (a.write ? ERROR_W : 0) | (a.user ? ERROR_U : 0);
	if (a.fetch && ((w->efer & EFER_NX) || (w->cr4 & CR4_SMEP)))
		r->error |= ERROR_FETCH;
	for (;; level--) {
		unsigned int index = address >> (12 + bits * (level - 1)) & ((1u << bits) - 1);
		bool pointer = w->mode->levels == 3 && level == 3;

		r->entry_at[level] = table + index * size;
		entry = pointer ? w->pdpt[index & 3] : model_entry(w, r->entry_at[level]);
		w->walked[r->entry_at[level] / sizeof(uint32_t)] = 1;
		if (!(entry & PTE_P))
			return false;
		if (!pointer && is_reserved(w, entry, level)) {
			r->error |= ERROR_P | ERROR_RSVD;
			return false;
		}
		if (!pointer) {
			writable &= !!(entry & PTE_W);
			user &= !!(entry & PTE_U);
			runs &= !(entry & PTE_NX);
		}
		if (level == 1 || is_large(w, entry, level))
			break;
		table = entry & PTE_FRAME;
		/* Nobody says what is there. */
		if (!is_modelled(table)) {
			r->gpa = ~0ull;
			return true;
		}
	}
	r->leaf = level;

	bool allowed = !a.user || user;

	if (a.write && !writable && (a.user || (w->cr0 & CR0_WP)))
		allowed = false;
	if (a.fetch && !runs)
		allowed = false;
	if (!a.user && user && a.fetch && (w->cr4 & CR4_SMEP))
		allowed = false;
	if (!a.user && user && !a.fetch && (w->cr4 & CR4_SMAP) && !(w->flags & RFLAGS_AC))
		allowed = false;
	if (user && key_forbids(w, entry, a)) {
		r->error |= ERROR_KEY;
		allowed = false;
	}
	if (!allowed) {
		r->error |= ERROR_P;
		return false;
	}

	uint64_t span = 1ull << (12 + bits * (level - 1));

	r->gpa = (entry & PTE_FRAME & ~(span - 1)) | (address & (span - 1));
	for (unsigned int l = w->mode->levels; l >= level; l--) {
		if (w->mode->levels == 3 && l == 3)
			continue;
		r->before[l] = w->model[r->entry_at[l]];
		w->model[r->entry_at[l]] |= PTE_A | (a.write && l == level ? PTE_D : 0);
	}
	r->marked = true;
	return true;
}

/* The access does not take place after all. */
static void undo(struct world *w, const struct walk *r)
{
	unsigned int top = w->mode->levels == 3 ? 2 : w->mode->levels;

	for (unsigned int l = r->leaf; r->marked && l <= top; l++)
		w->model[r->entry_at[l]] = r->before[l];
}

/* ---- random things ------------------------------------------------------------------------- */

uint32_t roll(struct world *w, uint32_t sides)
{
	return (random_next(&w->seed) >> 20) % sides;
}

bool chance(struct world *w, unsigned int percent)
{
	return roll(w, 100) < percent;
}

uint64_t random_entry(struct world *w)
{
	uint64_t entry = chance(w, 96) ? PTE_P : 0;
	uint32_t kind = roll(w, 100);

	if (kind < 68)
		entry |= POOL + roll(w, POOL_PAGES) * PAGE;
	else if (kind < 90)
		entry |= DATA + roll(w, DATA_PAGES) * PAGE;
	else
		entry |= DATA | PTE_PS | (chance(w, 15) ? 0x4000 : 0);
	entry |= (chance(w, 88) ? PTE_W : 0) | (chance(w, 85) ? PTE_U : 0) |
		 (chance(w, 50) ? PTE_A : 0) | (chance(w, 50) ? PTE_D : 0) |
		 (w->mode->levels < 4 && chance(w, 10) ? PTE_G : 0);	/* else reserved high up */
	if (!w->mode->wide)
		return entry;
	if (chance(w, w->efer & EFER_NX ? 6 : 1))
		entry |= PTE_NX;
	if (chance(w, 1))
		entry |= 1ull << (w->mode->address_bits ? w->mode->address_bits : 51);
	if (chance(w, 1))
		entry |= 1ull << 55;
	if (w->keys)
		entry |= (uint64_t)roll(w, KEYS) << PTE_KEY_SHIFT;
	return entry;
}

static uint64_t random_address(struct world *w)
{
	unsigned int bits = w->mode->wide ? 9 : 10, l;
	uint64_t address = roll(w, 6) * 8;

	for (l = 1; l < w->mode->levels; l++)
		address |= (uint64_t)roll(w, TABLE_ENTRIES) << (12 + bits * (l - 1));
	return address | (uint64_t)roll(w, ROOT_ENTRIES) << (12 + bits * (l - 1));
}

static bool in_tables(uint64_t gpa)
{
	return gpa < DATA;
}

/* ---- commands ------------------------------------------------------------------------------ */

static struct access access_of(enum op op)
{
	return (struct access) {
		.write = op == WRITE || op == WRITE_USER || op == WRITE_EMULATED,
		.fetch = op == CALL || op == CALL_USER,
		.user = op == READ_USER || op == WRITE_USER || op == CALL_USER,
	};
}

static enum op random_access(struct world *w)
{
	static const enum op kernel[] = { READ, WRITE, WRITE, CALL };
	static const enum op user[] = { READ_USER, WRITE_USER, WRITE_USER, CALL_USER };

	if (w->emulated && chance(w, w->nested ? 70 : 15))
		return chance(w, 50) ? READ_EMULATED : WRITE_EMULATED;
	if (w->mode->user && chance(w, 50))
		return user[roll(w, 4)];
	return kernel[roll(w, 4)];
}

bool plan_access(struct world *w, struct command *c, struct expectation *e)
{
	unsigned int size = w->mode->base == BASE64 ? 8 : 4;
	struct walk probe;
	struct access a;

	c->op = random_access(w);
	c->address = random_address(w);
	c->value = chance(w, 50) ? random_entry(w) : random_next(&w->seed);
	a = access_of(c->op);
	if (a.fetch)
		c->address |= 0x800;
	else
		c->address &= ~(uint64_t)(size - 1);

	*e = (struct expectation) { .is_access = true };
	e->faults = !reference(w, c->address, a, &probe);
	e->walk = probe;
	/* Most random accesses fault: some of these will do. */
	if (e->faults)
		return chance(w, 25);
	/* Code is only in data pages; a fetch elsewhere would run away. */
	if (!is_modelled(probe.gpa) || (a.fetch && in_tables(probe.gpa))) {
		undo(w, &probe);
		return false;
	}
	if (a.write) {
		memcpy(w->model + probe.gpa, &c->value, size);
		w->stale |= in_tables(probe.gpa);
	} else if (!a.fetch) {
		e->reads = true;
		memcpy(&e->value, w->model + probe.gpa, size);
	}
	return true;
}

void plan_set_entry(struct world *w, struct command *c)
{
	unsigned int size = w->mode->wide ? 8 : 4;
	bool root = w->mode->levels != 3 && chance(w, 15);

	c->op = SET_ENTRY;
	c->value = random_entry(w);
	c->address = root ? ROOT + roll(w, ROOT_ENTRIES) * size :
			    POOL + roll(w, POOL_PAGES) * PAGE + roll(w, TABLE_ENTRIES) * size;
	memcpy(w->model + c->address, &c->value, size);
	w->stale = true;
}

void plan_load_cr3(struct world *w, struct command *c)
{
	c->op = LOAD_CR3;
	w->stale &= !!(w->cr4 & CR4_PGE);
}

void plan_control(struct world *w, struct command *c)
{
	/* The instruction for keys is there only while they are in use. */
	if ((w->cr4 & CR4_PKE) && chance(w, 30)) {
		c->op = LOAD_PKRU;
		/* Not key 0, which the user's own stack has. */
		w->pkru = (random_next(&w->seed) & random_next(&w->seed)) & ~3u;
		c->value = w->pkru;
		return;
	}
	switch (roll(w, w->mode->user ? 4 : 3)) {
	case 0:
		c->op = LOAD_CR0;
		w->cr0 ^= CR0_WP;
		c->value = w->cr0;
		break;
	case 1:
		c->op = LOAD_CR4;
		if (w->smep && chance(w, 40))
			w->cr4 ^= CR4_SMEP;
		if (w->smap && chance(w, 40))
			w->cr4 ^= CR4_SMAP;
		if (w->keys && chance(w, 40))
			w->cr4 ^= CR4_PKE;
		if (!w->mode->wide && chance(w, 30)) {
			w->cr4 ^= CR4_PSE;
			w->pse = w->cr4 & CR4_PSE;
		}
		w->stale = true;
		if (chance(w, 40)) {
			w->cr4 ^= CR4_PGE;
			w->stale = false;	/* that flushes everything, CR3 does not any more */
		}
		c->value = w->cr4;
		break;
	case 2:
		if (w->mode->wide && chance(w, 30)) {
			c->op = LOAD_EFER;
			w->efer ^= EFER_NX;
			c->value = w->efer;
			w->stale = true;
			break;
		}
		plan_load_cr3(w, c);
		break;
	default:
		c->op = LOAD_FLAGS;
		w->flags ^= RFLAGS_AC;
		c->value = w->flags;
		break;
	}
}

void plan_copy(struct world *w, struct command *c)
{
	unsigned int size = w->mode->wide ? 8 : 4;
	uint64_t from = STAGE + w->copies++ * PAGE, to = POOL + roll(w, POOL_PAGES) * PAGE;

	memset(w->g->memory + from, 0, PAGE);
	for (unsigned int i = 0; i < TABLE_ENTRIES; i++) {
		uint64_t entry = random_entry(w);

		memcpy(w->g->memory + from + i * size, &entry, size);
	}
	c->op = COPY_PAGE;
	c->address = to;
	c->value = from;
	memcpy(w->model + to, w->g->memory + from, PAGE);
	w->stale = true;
}
