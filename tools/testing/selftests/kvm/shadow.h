/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of "shadow" share: the guest's memory and the commands that it carries out
 * (shadow_guest.c), what is to come of them (shadow_plan.c), and the comparison (shadow.c).
 */
#ifndef SELFTEST_SHADOW_H
#define SELFTEST_SHADOW_H

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
#define BATCH		160u

#define CR4_PSE		(1ull << 4)
#define CR4_PGE		(1ull << 7)
#define CR4_LA57	(1ull << 12)
#define CR4_PKE		(1ull << 22)
#define CR4_SMEP	(1ull << 20)
#define CR4_SMAP	(1ull << 21)
#define RFLAGS_AC	(1ull << 18)
#define PTE_A		(1ull << 5)
#define PTE_D		(1ull << 6)
#define PTE_G		(1ull << 8)
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

struct mode {
	const char *name;
	unsigned int levels;
	bool wide;			/* entries of 8 bytes */
	bool user;			/* the test can leave ring 0 */
	uint64_t base;
	unsigned int address_bits;	/* of the guest's processor, if not the host's */
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
	bool stale;			/* tables changed since the guest flushed its whole TLB */
	unsigned int copies;		/* in the batch: each needs a page to come from */
	uint64_t commands, stack;	/* of the vcpu */
	unsigned long accesses, faults;
};

/* shadow_guest.c */
void put_entry(struct world *w, uint64_t at, uint64_t entry);
void restrict_cpuid(struct world *w);
void set_registers(struct world *w);
void world_create(struct world *w, const struct mode *mode, uint64_t seed);
/* The guest goes through its list, and back to the beginning. */
void execute(struct world *w);

/* shadow_plan.c: the reference */
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

/* False: a page fault, whose error code is in the walk. */
bool reference(struct world *w, uint64_t address, struct access a, struct walk *r);

/* Random things and commands */
uint32_t roll(struct world *w, uint32_t sides);
bool chance(struct world *w, unsigned int percent);
uint64_t random_entry(struct world *w);

struct expectation {
	bool is_access, faults, reads;
	struct walk walk;
	uint64_t value;
};

/* False: the outcome would depend on memory that the model does not know. Nothing has happened. */
bool plan_access(struct world *w, struct command *c, struct expectation *e);
void plan_set_entry(struct world *w, struct command *c);
void plan_load_cr3(struct world *w, struct command *c);
void plan_control(struct world *w, struct command *c);
void plan_copy(struct world *w, struct command *c);

#endif
