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
#include "guest.h"

/* The guest sees its memory, for itself, from here on. */
#define BASE64		0xffffff8000000000ull
#define BASE_PAE	0xc0000000ull
#define BASE32		0xffc00000ull

/* Guest-physical addresses */
#define ROOT		0x20000u	/* then the tables of the guest's own view of memory */
#define VIEW		0x21000u
#define USER_STACK	0x28000u
#define COMMANDS	0x30000u
#define SECOND_COMMANDS	0x38000u
#define SECOND_STACK	0x9000u
#define POOL		0x100000u	/* random tables */
#define POOL_PAGES	24u
#define STAGE		0x140000u	/* where their contents come from */
#define DATA		0x200000u
#define DATA_PAGES	512u
#define DONE_PORT	0xe1

#define ROOT_ENTRIES	3u		/* random ones in the root, and in each table */
#define TABLE_ENTRIES	4u
#define BATCH		48u

#define CR4_PSE		(1ull << 4)
#define CR4_LA57	(1ull << 12)
#define CR4_PKE		(1ull << 22)
#define CR4_SMEP	(1ull << 20)
#define CR4_SMAP	(1ull << 21)
#define RFLAGS_AC	(1ull << 18)
#define PTE_A		(1ull << 5)
#define PTE_D		(1ull << 6)
#define PTE_NX		(1ull << 63)
#define PTE_KEY_SHIFT	59
#define KEYS		4u
#define PTE_FRAME	0x000ffffffffff000ull

#define ERROR_P		1u
#define ERROR_W		2u
#define ERROR_U		4u
#define ERROR_RSVD	8u
#define ERROR_FETCH	16u
#define ERROR_KEY	32u

enum op { END, READ, WRITE, CALL, READ_USER, WRITE_USER, CALL_USER, READ_EMULATED, WRITE_EMULATED,
	  SET_ENTRY, INVLPG, LOAD_CR3, LOAD_CR0, LOAD_CR4, LOAD_EFER, LOAD_FLAGS, COPY_PAGE,
	  LOAD_PKRU };

struct command {
	uint32_t op, faulted;
	uint64_t address, value;
	uint64_t result, error, cr2;
};

_Static_assert(sizeof(struct command) == 48, "guest code has the size");

/* RSI: the command. Every path ends at next, with the stack of the beginning. */
#define DISPATCH(width) \
	"	cmp	$0, %eax; je 0f\n" \
	"	cmp	$1, %eax; je 1f\n" \
	"	cmp	$2, %eax; je 2f\n" \
	"	cmp	$3, %eax; je 3f\n" \
	"	cmp	$7, %eax; je 7f\n" \
	"	cmp	$8, %eax; je 8f\n" \
	"	cmp	$10, %eax; je 10f\n" \
	"	cmp	$11, %eax; je 11f\n" \
	"	cmp	$12, %eax; je 12f\n" \
	"	cmp	$13, %eax; je 13f\n" \
	"	cmp	$14, %eax; je 14f\n"
#define EMULATED "	.byte 0x0f, 0x0b, 'k', 'v', 'm'\n"

GUEST(paging64, 64,
	"paging64_next:	add	$48, %rsi\n"
	"paging64_start:	lea	-8(%rbp), %rsp\n"
	"	mov	(%rsi), %eax\n"
	"	mov	8(%rsi), %rdi\n"
	"	mov	16(%rsi), %rbx\n"
	DISPATCH(64)
	"	cmp	$9, %eax; je 9f\n"
	"	cmp	$15, %eax; je 15f\n"
	"	cmp	$16, %eax; je 16f\n"
	"	cmp	$17, %eax; je 17f\n"
	/* as user */
	"	pushq	$0x53\n"
	"	pushq	%r13\n"
	"	pushfq\n"
	"	pushq	$0x4b\n"
	"	pushq	%r12\n"
	"	iretq\n"
	"0:	out	%al, $0xe1\n"
	"	jmp	paging64_start\n"
	"1:	mov	(%rdi), %rax; mov %rax, 24(%rsi); jmp paging64_next\n"
	"2:	mov	%rbx, (%rdi); jmp paging64_next\n"
	"3:	call	*%rdi; jmp paging64_next\n"
	"7:\n" EMULATED "	mov	(%rdi), %rax; mov %rax, 24(%rsi); jmp paging64_next\n"
	"8:\n" EMULATED "	mov	%rbx, (%rdi); jmp paging64_next\n"
	"9:	mov	%rbx, (%rdi,%r14); jmp paging64_next\n"
	"10:	invlpg	(%rdi); jmp paging64_next\n"
	"11:	mov	%cr3, %rax; mov %rax, %cr3; jmp paging64_next\n"
	"12:	mov	%rbx, %cr0; jmp paging64_next\n"
	"13:	mov	%rbx, %cr4; jmp paging64_next\n"
	"14:	mov	$0xc0000080, %ecx; mov %ebx, %eax; xor %edx, %edx; wrmsr; jmp paging64_next\n"
	"15:	push	%rbx; popfq; jmp paging64_next\n"
	"16:	mov	%rsi, %r8; lea (%rbx,%r14), %rsi; add %r14, %rdi\n"
	"	mov	$512, %ecx; cld; rep movsq; mov %r8, %rsi; jmp paging64_next\n"
	"17:	mov	%ebx, %eax; xor %ecx, %ecx; xor %edx, %edx; wrpkru; jmp paging64_next\n"
	/* the page fault's and the user's way back */
	"paging64_fault:	popq	32(%rsi)\n"
	"	mov	%cr2, %rax\n"
	"	mov	%rax, 40(%rsi)\n"
	"	movl	$1, 4(%rsi)\n"
	"	jmp	paging64_next\n"
	"paging64_back:	mov	%rax, 24(%rsi)\n"
	"	jmp	paging64_next\n"
	/* what runs as user */
	"paging64_user:	cmp	$5, %eax; je 5f; cmp $6, %eax; je 6f\n"
	"	mov	(%rdi), %rax; int $0x30\n"
	"5:	mov	%rbx, (%rdi); int $0x30\n"
	"6:	call	*%rdi; int $0x30\n");
extern const uint8_t paging64_start[], paging64_fault[], paging64_back[], paging64_user[];

GUEST(paging32, 32,
	"paging32_next:	add	$48, %esi\n"
	"paging32_start:	lea	-8(%ebp), %esp\n"
	"	mov	(%esi), %eax\n"
	"	mov	8(%esi), %edi\n"
	"	mov	16(%esi), %ebx\n"
	DISPATCH(32)
	"	cmp	$9, %eax; je 9f\n"
	"	cmp	$15, %eax; je 15f\n"
	"	cmp	$16, %eax; je 16f\n"
	"0:	out	%al, $0xe1\n"
	"	jmp	paging32_start\n"
	"1:	mov	(%edi), %eax; mov %eax, 24(%esi); jmp paging32_next\n"
	"2:	mov	%ebx, (%edi); jmp paging32_next\n"
	"3:	call	*%edi; jmp paging32_next\n"
	"7:\n" EMULATED "	mov	(%edi), %eax; mov %eax, 24(%esi); jmp paging32_next\n"
	"8:\n" EMULATED "	mov	%ebx, (%edi); jmp paging32_next\n"
	/* an entry of 8 bytes, or the low half of one, whose upper half is left alone */
	"9:	add	0x1f000(%ebp), %edi\n"
	"	cmpl	$0, 0x1f004(%ebp); je 90f\n"
	"	mov	20(%esi), %eax; mov %eax, 4(%edi)\n"
	"90:	mov	%ebx, (%edi); jmp paging32_next\n"
	"10:	invlpg	(%edi); jmp paging32_next\n"
	"11:	mov	%cr3, %eax; mov %eax, %cr3; jmp paging32_next\n"
	"12:	mov	%ebx, %cr0; jmp paging32_next\n"
	"13:	mov	%ebx, %cr4; jmp paging32_next\n"
	"14:	mov	$0xc0000080, %ecx; mov %ebx, %eax; xor %edx, %edx; wrmsr; jmp paging32_next\n"
	"15:	push	%ebx; popf; jmp paging32_next\n"
	"16:	mov	%esi, %edx; mov %ebx, %esi; add 0x1f000(%ebp), %esi; add 0x1f000(%ebp), %edi\n"
	"	mov	$1024, %ecx; cld; rep movsl; mov %edx, %esi; jmp paging32_next\n"
	"paging32_fault:	popl	32(%esi)\n"
	"	mov	%cr2, %eax\n"
	"	mov	%eax, 40(%esi)\n"
	"	movl	$1, 4(%esi)\n"
	"	jmp	paging32_next\n");
extern const uint8_t paging32_start[], paging32_fault[];

struct mode {
	const char *name;
	unsigned int levels;
	bool wide;			/* entries of 8 bytes */
	bool user;			/* the test can leave ring 0 */
	uint64_t base;
};

struct world {
	struct guest *g;
	const struct mode *mode;
	uint8_t *model;			/* what memory is to be */
	uint8_t *walked;		/* words that a walk of the batch went through */
	uint64_t cr0, cr4, efer, flags, pdpt[4];
	uint32_t pkru;
	uint64_t reserved;		/* address bits beyond the guest's */
	uint64_t seed;
	bool nested, smep, smap, pse, keys, emulated;
	bool stale;			/* tables changed since CR3 was loaded */
	unsigned int copies;		/* in the batch: each needs a page to come from */
	uint64_t commands, stack;	/* of the vcpu */
	unsigned long accesses, faults;
};

/* ---- the reference ------------------------------------------------------------------------------- */

struct access {
	bool write, fetch, user;
};

struct walk {
	uint64_t entry_at[6];		/* of each level on the way */
	uint8_t before[6];		/* the byte there with accessed and dirty bit */
	unsigned int leaf;
	bool marked;
	uint64_t gpa;
	uint32_t error;
};

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

/* False: a page fault, whose error code is in the walk. */
static bool reference(struct world *w, uint64_t address, struct access a, struct walk *r)
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

/* ---- random things --------------------------------------------------------------------------------- */

static uint32_t roll(struct world *w, uint32_t sides)
{
	return (random_next(&w->seed) >> 20) % sides;
}

static bool chance(struct world *w, unsigned int percent)
{
	return roll(w, 100) < percent;
}

static uint64_t random_entry(struct world *w)
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
		 (chance(w, 50) ? PTE_A : 0) | (chance(w, 50) ? PTE_D : 0);
	if (!w->mode->wide)
		return entry;
	if (chance(w, w->efer & EFER_NX ? 6 : 1))
		entry |= PTE_NX;
	if (chance(w, 1))
		entry |= 1ull << 51;
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

/* ---- commands ---------------------------------------------------------------------------------------- */

struct expectation {
	bool is_access, faults, reads;
	struct walk walk;
	uint64_t value;
};

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

/* False: the outcome would depend on memory that the model does not know. Nothing has happened. */
static bool plan_access(struct world *w, struct command *c, struct expectation *e)
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

static void plan_set_entry(struct world *w, struct command *c)
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

static void plan_control(struct world *w, struct command *c)
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
		c->value = w->cr4;
		w->stale = true;
		break;
	case 2:
		if (w->mode->wide && chance(w, 30)) {
			c->op = LOAD_EFER;
			w->efer ^= EFER_NX;
			c->value = w->efer;
			w->stale = true;
			break;
		}
		c->op = LOAD_CR3;
		w->stale = false;
		break;
	default:
		c->op = LOAD_FLAGS;
		w->flags ^= RFLAGS_AC;
		c->value = w->flags;
		break;
	}
}

static void plan_copy(struct world *w, struct command *c)
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

/* ---- running ------------------------------------------------------------------------------------------- */

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

/* The guest goes through its list, and back to the beginning. */
static void execute(struct world *w)
{
	struct kvm_regs regs;

	run_to_out(w->g, DONE_PORT);
	regs = vcpu_regs(w->g->vcpu);
	regs.rsi = w->mode->base + w->commands;
	vcpu_set_regs(w->g->vcpu, &regs);
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

/* ---- the guest ------------------------------------------------------------------------------------------ */

static void put_entry(struct world *w, uint64_t at, uint64_t entry)
{
	memcpy(w->g->memory + at, &entry, w->mode->wide ? 8 : 4);
}

/* The guest's view of all its memory, out of the way of the random tables. */
static void make_view(struct world *w)
{
	const uint64_t table = PTE_P | PTE_W | PTE_A, page = table | PTE_D;
	unsigned int levels = w->mode->levels, size = w->mode->wide ? 8 : 4;
	uint64_t at = ROOT, next = VIEW;

	for (unsigned int level = levels; level > 1; level--) {
		unsigned int bits = w->mode->wide ? 9 : 10;
		unsigned int index = w->mode->base >> (12 + bits * (level - 1)) & ((1u << bits) - 1);

		if (level == 2 && w->mode->wide) {
			put_entry(w, at + index * size, next | table);
			put_entry(w, at + (index + 1) * size, (next + PAGE) | table);
			for (unsigned int i = 0; i < 1024; i++)
				put_entry(w, next + i * size, i * PAGE | page);
			return;
		}
		put_entry(w, at + index * size, next | (levels == 3 ? PTE_P : table));
		at = next;
		next += PAGE;
	}
	for (unsigned int i = 0; i < 1024; i++)
		put_entry(w, at + i * size, i * PAGE | page);
}

/* Code and stack of the user's part, at the same place 512 GiB below. */
static uint64_t make_user_view(struct world *w, uint64_t code)
{
	const uint64_t entry = PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
	uint64_t base = BASE64 - (1ull << 39), page = code & ~(PAGE - 1);

	if (w->mode->levels == 5) {
		*(uint64_t *)(w->g->memory + ROOT + 511 * 8) |= PTE_U;
		put_entry(w, VIEW + 510 * 8, 0x2a000 | entry);
	} else {
		put_entry(w, ROOT + 510 * 8, 0x2a000 | entry);
	}
	put_entry(w, 0x2a000, 0x2b000 | entry);
	put_entry(w, 0x2b000, 0x2c000 | entry);
	put_entry(w, 0x2c000 + (page / PAGE) * 8, page | entry);
	put_entry(w, 0x2c000 + (page / PAGE + 1) * 8, (page + PAGE) | entry);
	put_entry(w, 0x2c000 + (USER_STACK / PAGE) * 8, USER_STACK | entry);
	return base;
}

static void fill_memory(struct world *w)
{
	for (unsigned int i = 0; i < DATA_PAGES; i++) {
		uint8_t *page = w->g->memory + DATA + i * PAGE;

		memset(page, 0xc3, PAGE);	/* RET, wherever it is called */
		for (unsigned int at = 0; at < 64; at += 8)
			*(uint64_t *)(page + at) = DATA + i * PAGE + at;
	}
	for (unsigned int i = 0; i < POOL_PAGES * TABLE_ENTRIES; i++)
		put_entry(w, POOL + i / TABLE_ENTRIES * PAGE +
			  i % TABLE_ENTRIES * (w->mode->wide ? 8 : 4), random_entry(w));
	for (unsigned int i = 0; i < ROOT_ENTRIES; i++)
		put_entry(w, ROOT + i * (w->mode->wide ? 8 : 4), w->mode->levels == 3 ?
			  (POOL + i * PAGE) | PTE_P :
			  (POOL + i * PAGE) | PTE_P | PTE_W | PTE_U);
}

static void gate32(struct guest *g, unsigned int vector, uint32_t handler)
{
	uint32_t *gate = (uint32_t *)(g->memory + GUEST_IDT) + vector * 2;

	gate[0] = (handler & 0xffff) | SELECTOR_CODE32 << 16;
	gate[1] = (handler & 0xffff0000) | 0x8e00;
}

static void set_gates(struct world *w)
{
	struct guest *g = w->g;
	uint64_t base = w->mode->base;

	if (base != BASE64) {
		gate32(g, VECTOR_PF, base + guest_address(g, paging32_fault));
		return;
	}
	guest_gate(g, VECTOR_PF, base + guest_address(g, paging64_fault));
	guest_gate(g, 0x30, base + guest_address(g, paging64_back));
	g->memory[GUEST_IDT + 0x30 * 16 + 5] |= 0x60;	/* for users */
	*(uint64_t *)(g->memory + GUEST_TSS + 4) = base + GUEST_STACK - 8;
	*(uint64_t *)(g->memory + GUEST_GDT + 0x48) = 0x00affb000000ffffull;
	*(uint64_t *)(g->memory + GUEST_GDT + 0x50) = 0x00cff3000000ffffull;
}

static void restrict_cpuid(struct world *w)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(w->g->kvm);
	struct kvm_cpuid_entry2 *e;

	e = cpuid_find(cpuid, 7, 0);
	w->smep = e && (e->ebx & 1u << 7);
	w->smap = e && (e->ebx & 1u << 20);
	w->keys = w->mode->user && e && (e->ecx & 1u << 3);
	e = cpuid_find(cpuid, 0x80000001, 0);
	check(e);
	e->edx &= ~(1u << 26);		/* 1 GiB pages */
	e = cpuid_find(cpuid, 0x80000008, 0);
	check(e);
	w->reserved = PTE_FRAME & ~((1ull << (e->eax & 0xff)) - 1);
	must(ioctl(w->g->vcpu, KVM_SET_CPUID2, cpuid));
	free(cpuid);
}

static void set_registers(struct world *w)
{
	const bool wide = w->mode->base == BASE64;
	uint64_t base = w->mode->base;
	struct kvm_sregs s = vcpu_sregs(w->g->vcpu);
	struct kvm_regs regs = { .rflags = RFLAGS_FIXED };

	w->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	w->cr4 = (w->mode->wide ? CR4_PAE : 0) | (w->mode->levels == 5 ? CR4_LA57 : 0);
	w->efer = wide ? EFER_LME | EFER_LMA | EFER_NX : w->mode->wide ? EFER_NX : 0;
	w->flags = RFLAGS_FIXED;
	s.cr0 = w->cr0;
	s.cr3 = ROOT;
	s.cr4 = w->cr4;
	s.efer = w->efer;
	s.gdt.base = base + GUEST_GDT;
	s.gdt.limit = 0x5f;
	s.idt.base = base + GUEST_IDT;
	s.tr.base = base + GUEST_TSS;
	must(ioctl(w->g->vcpu, KVM_SET_SREGS, &s));

	regs.rbp = base + w->stack;
	regs.rsi = base + w->commands;
	regs.rip = base + guest_address(w->g, wide ? paging64_start : paging32_start);
	if (wide) {
		uint64_t code = guest_address(w->g, paging64_user);

		regs.r12 = make_user_view(w, code) + code;
		regs.r13 = BASE64 - (1ull << 39) + USER_STACK + PAGE;
		regs.r14 = base;
	}
	vcpu_set_regs(w->g->vcpu, &regs);
}

static void world_create(struct world *w, const struct mode *mode, uint64_t seed)
{
	*w = (struct world) {
		.mode = mode, .seed = seed, .commands = COMMANDS, .stack = GUEST_STACK,
	};
	w->nested = nested_paging();
	w->emulated = read_number("/sys/module/kvm/parameters/force_emulation_prefix") > 0;
	w->g = mode->base == BASE64 ? guest_new(LONG, paging64) : guest_new(PROTECTED, paging32);
	restrict_cpuid(w);
	fill_memory(w);
	make_view(w);
	set_gates(w);
	/* For the guest of 32 bits: where memory begins, and whether entries have two halves. */
	*(uint32_t *)(w->g->memory + 0x29000) = mode->base;
	*(uint32_t *)(w->g->memory + 0x29004) = mode->wide;
	set_registers(w);
	w->model = malloc(GUEST_MEMORY);
	w->walked = calloc(GUEST_MEMORY / sizeof(uint32_t), 1);
	check(w->model && w->walked);
	memcpy(w->model, w->g->memory, GUEST_MEMORY);
	memcpy(w->pdpt, w->model + ROOT, sizeof(w->pdpt));
}

/* ---- cases ------------------------------------------------------------------------------------------------ */

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

static void four_levels(void)
{
	static const struct mode mode = { "4 levels", 4, true, true, BASE64 };

	random_paging(&mode);
}

static void five_levels(void)
{
	static const struct mode mode = { "5 levels", 5, true, true, BASE64 };
	int kvm = open_kvm();
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid_supported(kvm), 7, 0);

	if (!e || !(e->ecx & 1u << 16))
		skip("not offered to guests of this processor");
	random_paging(&mode);
}

static void pae(void)
{
	static const struct mode mode = { "PAE", 3, true, false, BASE_PAE };

	if (nested_paging() && host_is_tcg())
		skip("under nested paging the emulated processor makes no progress with PAE");
	random_paging(&mode);
}

static void two_levels(void)
{
	static const struct mode mode = { "2 levels", 2, false, false, BASE32 };

	random_paging(&mode);
}

/* ---- two vcpus ---------------------------------------------------------------------------------------- */

#define SHARED_PAGES	4u

static bool stop;

/* One of two tables below the same entry, and in each one of two pages for each address. */
static uint64_t shared_entry(unsigned int table, unsigned int page, unsigned int choice)
{
	return (DATA + (table * 2 * SHARED_PAGES + page * 2 + choice) * PAGE) |
	       PTE_P | PTE_W | PTE_A | PTE_D;
}

static uint64_t shared_table(unsigned int choice)
{
	return (POOL + (2 + choice) * PAGE) | PTE_P | PTE_W | PTE_A;
}

static void make_shared_tables(struct world *w)
{
	const uint64_t table = PTE_P | PTE_W | PTE_A;

	memset(w->g->memory + POOL, 0, 4 * PAGE);
	put_entry(w, ROOT, POOL | table);
	put_entry(w, POOL, (POOL + PAGE) | table);
	put_entry(w, POOL + PAGE, shared_table(0));
	for (unsigned int i = 0; i < 2 * SHARED_PAGES; i++)
		put_entry(w, POOL + (2 + i / SHARED_PAGES) * PAGE + i % SHARED_PAGES * 8,
			  shared_entry(i / SHARED_PAGES, i % SHARED_PAGES, 0));
}

static void *change_tables(void *data)
{
	struct world *w = data;
	struct command *c = (struct command *)(w->g->memory + w->commands);
	unsigned int i, table, page;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		memset(c, 0, (BATCH + 1) * sizeof(*c));
		for (i = 0; i < BATCH; i++) {
			table = roll(w, 2);
			page = roll(w, SHARED_PAGES);
			c[i].op = SET_ENTRY;
			if (chance(w, 10)) {
				c[i].address = POOL + PAGE;
				c[i].value = shared_table(roll(w, 2));
				continue;
			}
			c[i].address = POOL + (2 + table) * PAGE + page * 8;
			c[i].value = shared_entry(table, page, roll(w, 2));
		}
		execute(w);
	}
	return NULL;
}

/* Each address shows one of its four pages whenever it is looked at after an INVLPG. */
static void look(struct world *w, bool settled)
{
	struct command *c = (struct command *)(w->g->memory + w->commands);
	unsigned int i, page;

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
		struct access read = { };
		struct walk r;

		check(!c[i].faulted);
		page = (c[i].result - DATA) / PAGE;
		check(page < 4 * SHARED_PAGES && c[i].result % PAGE == 0);
		check_equal(page / 2 % SHARED_PAGES, c[i].address / PAGE);
		if (!settled)
			continue;
		check(reference(w, c[i].address, read, &r));
		check_equal(c[i].result, r.gpa);
	}
}

static void two_vcpus(void)
{
	static const struct mode mode = { "4 levels", 4, true, true, BASE64 };
	struct world first, second;
	struct guest other;
	pthread_t thread;

	world_create(&first, &mode, 1);
	make_shared_tables(&first);
	other = *first.g;
	other.vcpu = must(ioctl(other.vm, KVM_CREATE_VCPU, 1));
	other.run = vcpu_map_run(other.kvm, other.vcpu, &other.run_size);
	second = first;
	second.g = &other;
	second.seed = 2;
	second.commands = SECOND_COMMANDS;
	second.stack = SECOND_STACK;
	restrict_cpuid(&second);
	vcpu_set_mode(other.vcpu, LONG);
	set_registers(&second);

	for (unsigned int round = 0; round < 4; round++) {
		__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
		check(!pthread_create(&thread, NULL, change_tables, &second));
		for (unsigned int i = 0; i < 40 / slowness() + 1; i++)
			look(&first, false);
		__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
		check(!pthread_join(thread, NULL));
		look(&first, true);
	}
}

/* ---- few tables ------------------------------------------------------------------------------------------ */

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
	static const struct mode mode = { "few tables", 4, true, true, BASE64 };
	unsigned long wanted = 3000 / slowness();
	pthread_t thread;
	struct world w;

	world_create(&w, &mode, 7);
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
	{ "random tables of 5 levels, supervisor and user", five_levels, 60 },
	{ "random tables of PAE", pae, 60 },
	{ "random tables of 2 levels, with pages of 4 MiB", two_levels, 60 },
	{ "tables changed by another vcpu", two_vcpus, 60 },
	{ "tables recycled under a small limit and for the shrinker", few_tables, 60 },
};

int main(int argc, char **argv)
{
	return RUN_CASES("shadow", cases);
}
