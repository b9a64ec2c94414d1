// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's registers in xAPIC and x2APIC mode: reading, writing, reset, saving, and the way
 * of an interrupt through IRR and ISR. AMD APM volume 2, chapter 16; Intel SDM volume 3, chapter 11
 * (table 11-1: the page; 11-6: the MSRs). The timer is lapic_timer.c's. Sends no message itself:
 * the effects of a write say what is to be sent. Knows nothing of what INIT and SIPI do to a
 * processor.
 *
 * All registers live in the page, in the manuals' layout, so that hardware that virtualizes an APIC
 * can be given it. IRR and ISR each have a summary, one bit for each word that has bits set: the
 * highest vector is found by two bit scans. A summary bit of IRR may be stale, never missing.
 */
#include "lapic_regs.h"

#define FIRST_VECTOR		16	/* those below are illegal */
#define VECTOR_WORDS		8
#define LEGAL_WORD0		0xffff0000u

#define VERSION			0x14u
#define VERSION_MAX_LVT_SHIFT	16
#define VERSION_DIRECTED_EOI	(1u << 24)

#define ID_SHIFT		24
#define BYTE3			0xff000000u
#define DFR_FLAT		0xfu
#define DFR_MODEL_SHIFT		28
#define DFR_ONES		0x0fffffffu
#define SVR_RESET		0xffu
#define ESR_BITS		0xffu
#define ICR_X2APIC_RESERVED	0xfff32000u	/* 31:20, 17:16, 13 */
#define ICR_TO_SELF		(1u << 18)

#define LVT_VECTOR		0xffu
#define LVT_MODE		(7u << LAPIC_LVT_MODE_SHIFT)
#define LVT_BUSY		(1u << 12)
#define LVT_LOW_ACTIVE		(1u << 13)

#define BASE_RESERVED		0x2ffull

/* One bit for each register, by offset / 16 */
#define REG(offset)		(1ull << ((offset) >> 4))
#define REGS(first, last)	((REG(last) << 1) - REG(first))

#define XAPIC_REGS	(REGS(LAPIC_ID, LAPIC_VERSION) | REGS(LAPIC_TPR, LAPIC_ESR) | \
			 REGS(LAPIC_ICR, LAPIC_TIMER_CURRENT) | REG(LAPIC_TIMER_DIVIDE))
#define X2APIC_READ	(XAPIC_REGS & ~(REG(LAPIC_APR) | REG(LAPIC_EOI) | REG(LAPIC_RRR) | \
					REG(LAPIC_DFR) | REG(LAPIC_ICR2)))
#define X2APIC_WRITE	(REG(LAPIC_TPR) | REG(LAPIC_EOI) | REG(LAPIC_SVR) | REG(LAPIC_ESR) | \
			 REG(LAPIC_ICR) | REGS(LAPIC_LVT_TIMER, LAPIC_TIMER_INITIAL) | \
			 REG(LAPIC_TIMER_DIVIDE) | REG(LAPIC_SELF_IPI))

static const u16 lvt_registers[] = {
	LAPIC_LVT_TIMER, LAPIC_LVT_THERMAL, LAPIC_LVT_PERF, LAPIC_LVT_LINT0, LAPIC_LVT_LINT1,
	LAPIC_LVT_ERROR, LAPIC_LVT_CMCI,
};

#define LVT_COUNT	(sizeof(lvt_registers) / sizeof(lvt_registers[0]))

/* CMCI's is the last one, and optional. */
static u32 lvt_count(const struct lapic_regs *l)
{
	return l->config.cmci ? LVT_COUNT : LVT_COUNT - 1;
}

static u32 *vector_word(const struct lapic_regs *l, u32 base, u32 word)
{
	return &l->page[(base + word * 16) / 4];
}

static bool vector_test(const struct lapic_regs *l, u32 base, u8 vector)
{
	return apic_read_once(*vector_word(l, base, vector / 32)) >> vector % 32 & 1;
}

/* What can count in a word: saved state may have bits of illegal vectors, which do nothing. */
static u32 legal_bits(const struct lapic_regs *l, u32 base, u32 word)
{
	u32 bits = apic_read_once(*vector_word(l, base, word));

	return word ? bits : bits & LEGAL_WORD0;
}

static bool has_register(const struct lapic_regs *l, u64 set, u32 offset)
{
	if (l->config.cmci)
		set |= REG(LAPIC_LVT_CMCI);
	return offset < KVM_APIC_REG_SIZE && set & REG(offset);
}

static bool software_enabled(const struct lapic_regs *l)
{
	return lapic_reg(l, LAPIC_SVR) & LAPIC_SVR_ENABLE;
}

/* ---- vectors ---- */

static int highest_vector(const struct lapic_regs *l, u32 base, u32 words)
{
	u32 bits;
	int word;

	for (; words; words &= ~(1u << word)) {
		word = apic_highest_bit(words);
		bits = legal_bits(l, base, word);
		if (bits)
			return word * 32 + apic_highest_bit(bits);
	}
	return -1;
}

/* The owner's: forgets words that turn out to be empty. */
int lapic_highest_irr(struct lapic_regs *l)
{
	u32 bits;
	int word;

	while ((word = apic_highest_bit(apic_read_once(l->irr_words))) >= 0) {
		bits = legal_bits(l, LAPIC_IRR, word);
		if (bits)
			return word * 32 + apic_highest_bit(bits);
		/* Who sets a bit now may have seen the summary bit before it went. */
		apic_test_and_clear(word, &l->irr_words);
		if (legal_bits(l, LAPIC_IRR, word))
			apic_test_and_set(word, &l->irr_words);
	}
	return -1;
}

int lapic_highest_isr(const struct lapic_regs *l)
{
	return highest_vector(l, LAPIC_ISR, apic_read_once(l->isr_words));
}

/* The higher of task priority and the class in service: SDM 11.8.3.1, APM 16.6.4 */
static u8 processor_priority(u8 tpr, int in_service)
{
	if (in_service < 0 || tpr >> 4 >= in_service >> 4)
		return tpr;
	return in_service & 0xf0;
}

u8 lapic_processor_priority(const struct lapic_regs *l)
{
	return processor_priority(lapic_reg(l, LAPIC_TPR), lapic_highest_isr(l));
}

/* APM 16.6.2 */
u8 lapic_arbitration_priority(const struct lapic_regs *l)
{
	int irr = highest_vector(l, LAPIC_IRR, apic_read_once(l->irr_words));
	int isr = lapic_highest_isr(l);
	u32 tpr = lapic_reg(l, LAPIC_TPR);
	u32 requested = irr < 0 ? 0 : irr >> 4;
	u32 in_service = isr < 0 ? 0 : isr >> 4;

	if (tpr >> 4 >= requested && tpr >> 4 > in_service)
		return tpr;
	in_service &= tpr >> 4;
	return (in_service > requested ? in_service : requested) << 4;
}

/* The vector that can be taken now, or -1 */
int lapic_pending(struct lapic_regs *l)
{
	int vector;

	if (lapic_mode(l) < LAPIC_XAPIC)
		return -1;
	vector = lapic_highest_irr(l);
	if (vector < 0 || vector >> 4 <= lapic_processor_priority(l) >> 4)
		return -1;
	return vector;
}

/* A vector waits that TPR alone, or TPR too, holds back. */
bool lapic_blocked_by_tpr(struct lapic_regs *l)
{
	int vector;

	if (lapic_mode(l) < LAPIC_XAPIC || !(lapic_reg(l, LAPIC_TPR) >> 4))
		return false;
	vector = lapic_highest_irr(l);
	return vector >= 0 && (u32)vector >> 4 <= lapic_reg(l, LAPIC_TPR) >> 4;
}

/* The processor takes a vector. */
void lapic_acknowledge(struct lapic_regs *l, u8 vector)
{
	u32 *isr = vector_word(l, LAPIC_ISR, vector / 32);

	apic_test_and_clear(vector % 32, vector_word(l, LAPIC_IRR, vector / 32));
	*isr |= 1u << vector % 32;
	apic_write_once(l->isr_words, l->isr_words | 1u << vector / 32);
}

static inline struct lapic_eoi ended(struct lapic_regs *l, struct lapic_eoi eoi)
{
	u32 lint0;

	if (!vector_test(l, LAPIC_TMR, eoi.vector))
		return eoi;

	lint0 = lapic_reg(l, LAPIC_LVT_LINT0);
	if (lint0 & LAPIC_LVT_REMOTE_IRR && (lint0 & LVT_VECTOR) == (u32)eoi.vector)
		lapic_set_reg(l, LAPIC_LVT_LINT0, lint0 & ~LAPIC_LVT_REMOTE_IRR);
	eoi.broadcast = !(lapic_reg(l, LAPIC_SVR) & LAPIC_SVR_NO_BROADCAST);
	return eoi;
}

struct lapic_eoi lapic_end_of_interrupt(struct lapic_regs *l)
{
	struct lapic_eoi eoi = { .vector = lapic_highest_isr(l) };
	u32 word;

	if (eoi.vector < 0)
		return eoi;

	word = eoi.vector / 32;
	*vector_word(l, LAPIC_ISR, word) &= ~(1u << eoi.vector % 32);
	if (!legal_bits(l, LAPIC_ISR, word))
		apic_write_once(l->isr_words, l->isr_words & ~(1u << word));
	return ended(l, eoi);
}

struct lapic_eoi lapic_ended(struct lapic_regs *l, u8 vector)
{
	return ended(l, (struct lapic_eoi) { .vector = vector });
}

/* ---- a processor that delivers by itself ---- */

void lapic_divert(struct lapic_regs *l, struct lapic_inbox *inbox)
{
	l->inbox = inbox;
}

/* By anybody. Who sees no news has set its bit before the owner empties the words. */
static enum lapic_result put_into(u32 *bits, u32 *news, u8 vector)
{
	if (apic_test_and_set(vector % 32, &bits[vector / 32]))
		return LAPIC_COALESCED;
	if (apic_read_once(*news) & LAPIC_INBOX_NEWS)
		return LAPIC_JOINED;
	return apic_test_and_set(LAPIC_INBOX_NEWS_BIT, news) ? LAPIC_JOINED : LAPIC_QUEUED;
}

/* News goes first: a bit that is set after its word was emptied comes with news of its own. */
static u32 empty(struct lapic_regs *l, u32 *bits, u32 *news)
{
	u32 words = 0, word, irr;

	if (!(apic_read_once(*news) & LAPIC_INBOX_NEWS))
		return 0;
	apic_test_and_clear(LAPIC_INBOX_NEWS_BIT, news);
	for (word = 0; word < VECTOR_WORDS; word++) {
		if (!apic_read_once(bits[word]))
			continue;
		irr = LAPIC_IRR + word * 16;
		lapic_set_reg(l, irr, lapic_reg(l, irr) | apic_exchange(&bits[word], 0));
		words |= 1u << word;
	}
	return words;
}

u32 lapic_fetch(struct lapic_regs *l)
{
	struct lapic_inbox *inbox = l->inbox;

	return empty(l, inbox->bits, &inbox->news) | empty(l, inbox->watched, &inbox->watched_news);
}

void lapic_give(struct lapic_regs *l)
{
	apic_write_once(l->irr_words, 0);
}

void lapic_take_back(struct lapic_regs *l)
{
	u32 words = 0, word;

	for (word = 0; word < VECTOR_WORDS; word++) {
		if (legal_bits(l, LAPIC_ISR, word))
			words |= 1u << word;
	}
	apic_write_once(l->isr_words, words);
}

void lapic_reclaim(struct lapic_regs *l, u32 words)
{
	apic_write_once(l->irr_words, l->irr_words | words);
}

int lapic_highest_requested(const struct lapic_regs *l)
{
	return highest_vector(l, LAPIC_IRR, LAPIC_ALL_WORDS);
}

bool lapic_deliverable(const struct lapic_regs *l)
{
	int vector = lapic_highest_requested(l);

	return lapic_mode(l) >= LAPIC_XAPIC && vector >= 0 &&
	       vector >> 4 > lapic_processor_priority(l) >> 4;
}

/* By anybody. TMR comes first: who sees the bit in IRR must see how it was triggered. */
static enum lapic_result queue_vector(struct lapic_regs *l, u8 vector, bool level, bool watched)
{
	struct lapic_inbox *inbox = l->inbox;
	u32 word = vector / 32;
	u32 *tmr = vector_word(l, LAPIC_TMR, word);
	bool was_set;

	if (level && !vector_test(l, LAPIC_TMR, vector))
		apic_test_and_set(vector % 32, tmr);
	else if (!level && vector_test(l, LAPIC_TMR, vector))
		apic_test_and_clear(vector % 32, tmr);

	if (inbox && watched)
		return put_into(inbox->watched, &inbox->watched_news, vector);
	if (inbox)
		return put_into(inbox->bits, &inbox->news, vector);

	was_set = apic_test_and_set(vector % 32, vector_word(l, LAPIC_IRR, word));
	if (!(apic_read_once(l->irr_words) >> word & 1))
		apic_test_and_set(word, &l->irr_words);
	return was_set ? LAPIC_COALESCED : LAPIC_QUEUED;
}

static enum lapic_result raise_error(struct lapic_regs *l, unsigned int error)
{
	u32 *pending = &l->page[LAPIC_ESR_PENDING / 4];
	u32 lvt = lapic_reg(l, LAPIC_LVT_ERROR);

	apic_test_and_set(error, pending);
	if (lvt & LAPIC_LVT_MASKED || !software_enabled(l))
		return LAPIC_REFUSED;
	if ((lvt & LVT_VECTOR) < FIRST_VECTOR) {
		apic_test_and_set(LAPIC_ESR_RECEIVE_VECTOR, pending);
		return LAPIC_REFUSED;
	}
	return queue_vector(l, lvt, false, false);
}

static enum lapic_result accept_vector(struct lapic_regs *l, u8 vector, bool level,
				       bool watched)
{
	if (!software_enabled(l))
		return LAPIC_REFUSED;
	if (vector < FIRST_VECTOR)
		return raise_error(l, LAPIC_ESR_RECEIVE_VECTOR);
	return queue_vector(l, vector, level, watched);
}

/* Disabled by software an APIC still answers to all but vectors: SDM 11.4.7.2. */
enum lapic_result lapic_accept(struct lapic_regs *l, const struct apic_msg *msg)
{
	if (lapic_mode(l) < LAPIC_XAPIC || !msg->assert)
		return LAPIC_REFUSED;

	switch (msg->mode) {
	case APIC_MSG_FIXED:
	case APIC_MSG_LOWEST:
		return accept_vector(l, msg->vector, msg->level, apic_msg_watched(msg));
	case APIC_MSG_SMI:
		return LAPIC_GOT_SMI;
	case APIC_MSG_NMI:
		return LAPIC_GOT_NMI;
	case APIC_MSG_INIT:
		return LAPIC_GOT_INIT;
	case APIC_MSG_STARTUP:
		return LAPIC_GOT_STARTUP;
	case APIC_MSG_EXTINT:
		return LAPIC_GOT_EXTINT;
	default:
		return LAPIC_REFUSED;
	}
}

static bool is_lint(u32 lvt)
{
	return lvt == LAPIC_LVT_LINT0 || lvt == LAPIC_LVT_LINT1;
}

/* Only LINT0 can be level-triggered, and then waits for its EOI: SDM 11.5.1. */
static enum lapic_result accept_local(struct lapic_regs *l, u32 lvt, u32 val)
{
	bool level = lvt == LAPIC_LVT_LINT0 && val & LAPIC_LVT_LEVEL;
	enum lapic_result result;

	if (level && val & LAPIC_LVT_REMOTE_IRR)
		return LAPIC_COALESCED;

	result = accept_vector(l, val, level, level);
	if (level && result != LAPIC_REFUSED && (val & LVT_VECTOR) >= FIRST_VECTOR)
		lapic_set_reg(l, lvt, val | LAPIC_LVT_REMOTE_IRR);
	return result;
}

/* The owner's: a local source, given by the offset of its LVT, has something to say. */
enum lapic_result lapic_local(struct lapic_regs *l, u32 lvt)
{
	u32 val;

	if (lapic_mode(l) < LAPIC_XAPIC || !has_register(l, XAPIC_REGS, lvt))
		return LAPIC_REFUSED;
	val = lapic_reg(l, lvt);
	if (val & LAPIC_LVT_MASKED)
		return LAPIC_REFUSED;
	if (lvt == LAPIC_LVT_PERF && l->config.perf_masks)
		lapic_set_reg(l, lvt, val | LAPIC_LVT_MASKED);

	switch ((val & LVT_MODE) >> LAPIC_LVT_MODE_SHIFT) {
	case APIC_MSG_FIXED:
		return accept_local(l, lvt, val);
	case APIC_MSG_SMI:
		return LAPIC_GOT_SMI;
	case APIC_MSG_NMI:
		return LAPIC_GOT_NMI;
	case APIC_MSG_INIT:
		return is_lint(lvt) ? LAPIC_GOT_INIT : LAPIC_REFUSED;
	case APIC_MSG_EXTINT:
		return is_lint(lvt) ? LAPIC_GOT_EXTINT : LAPIC_REFUSED;
	default:
		return LAPIC_REFUSED;
	}
}

/* Where the APIC is disabled its LINT0 pin is the processor's INTR: SDM 11.4.3. */
bool lapic_takes_extint(const struct lapic_regs *l)
{
	u32 lint0 = lapic_reg(l, LAPIC_LVT_LINT0);

	if (lapic_mode(l) < LAPIC_XAPIC)
		return true;
	return (lint0 & (LAPIC_LVT_MASKED | LVT_MODE)) == APIC_MSG_EXTINT << LAPIC_LVT_MODE_SHIFT;
}

/* ---- writing ---- */

static u32 svr_bits(const struct lapic_regs *l)
{
	u32 bits = LVT_VECTOR | LAPIC_SVR_ENABLE | LAPIC_SVR_NO_FOCUS;

	return l->config.directed_eoi ? bits | LAPIC_SVR_NO_BROADCAST : bits;
}

static u32 lvt_bits(const struct lapic_regs *l, u32 lvt)
{
	u32 bits = LVT_VECTOR | LAPIC_LVT_MASKED;

	switch (lvt) {
	case LAPIC_LVT_TIMER:
		return bits | (l->config.tsc_deadline ? LAPIC_LVT_TIMER_MODE : LAPIC_LVT_PERIODIC);
	case LAPIC_LVT_ERROR:
		return bits;
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
		return bits | LVT_MODE | LVT_LOW_ACTIVE | LAPIC_LVT_LEVEL;
	default:
		return bits | LVT_MODE;
	}
}

static u32 lvt_write(struct lapic_regs *l, u32 lvt, u32 val, u64 ns)
{
	u32 old = lapic_reg(l, lvt), todo = 0;

	val &= lvt_bits(l, lvt);
	if (val & LAPIC_LVT_LEVEL)
		val |= old & LAPIC_LVT_REMOTE_IRR;
	if (!software_enabled(l))
		val |= LAPIC_LVT_MASKED;
	if (lvt == LAPIC_LVT_TIMER && lapic_timer_run(l, ns) == LAPIC_QUEUED)
		todo |= LAPIC_DO_CHECK;

	lapic_set_reg(l, lvt, val);
	if (lvt == LAPIC_LVT_LINT0)
		todo |= LAPIC_DO_LINT0;
	if (lvt == LAPIC_LVT_TIMER) {
		lapic_timer_mode_changed(l, old & LAPIC_LVT_TIMER_MODE, ns);
		todo |= LAPIC_DO_TIMER;
	}
	return todo;
}

/* Disabling masks all of the LVT: SDM 11.4.7.2. */
static u32 svr_write(struct lapic_regs *l, u32 val, u64 ns)
{
	u32 old = lapic_reg(l, LAPIC_SVR), todo = 0, i;

	val &= svr_bits(l);
	lapic_set_reg(l, LAPIC_SVR, val);
	if (!((old ^ val) & LAPIC_SVR_ENABLE))
		return 0;

	for (i = 0; !(val & LAPIC_SVR_ENABLE) && i < lvt_count(l); i++)
		todo |= lvt_write(l, lvt_registers[i], lapic_reg(l, lvt_registers[i]), ns);
	return todo | LAPIC_DO_MAP;
}

/* A processor that sends IPIs by itself writes the register of an x2APIC as one of 64 bits. */
static u32 icr_high(const struct lapic_regs *l)
{
	return l->wide_icr && lapic_mode(l) == LAPIC_X2APIC ? LAPIC_ICR_WIDE_HIGH : LAPIC_ICR2;
}

/* Also the fast path's. In x2APIC mode the caller has looked for reserved bits. */
u32 lapic_icr_write(struct lapic_regs *l, u32 low, u32 dest, struct apic_msg *ipi)
{
	bool x2apic = lapic_mode(l) == LAPIC_X2APIC;

	low &= ~LAPIC_ICR_BUSY;
	lapic_set_reg(l, LAPIC_ICR, low);
	lapic_set_reg(l, icr_high(l), x2apic ? dest : dest << ID_SHIFT);

	apic_msg_from_icr(ipi, low, dest, x2apic);
	if (!ipi->assert || ipi->mode == APIC_MSG_RESERVED)
		return 0;
	if (!apic_msg_has_vector(ipi) || ipi->vector >= FIRST_VECTOR)
		return LAPIC_DO_IPI;
	return raise_error(l, LAPIC_ESR_SEND_VECTOR) == LAPIC_QUEUED ? LAPIC_DO_CHECK : 0;
}

/* The register is the MSR's alone and leaves ICR as it is. */
static u32 self_ipi_write(struct lapic_regs *l, u8 vector, struct apic_msg *ipi)
{
	apic_msg_from_icr(ipi, vector | ICR_TO_SELF, 0, true);
	if (vector >= FIRST_VECTOR)
		return LAPIC_DO_IPI;
	return raise_error(l, LAPIC_ESR_SEND_VECTOR) == LAPIC_QUEUED ? LAPIC_DO_CHECK : 0;
}

/* Shows the errors since the last write: SDM 11.5.3. */
static void esr_write(struct lapic_regs *l)
{
	u32 shown = 0, error;

	for (error = 0; error < 8; error++) {
		if (apic_test_and_clear(error, &l->page[LAPIC_ESR_PENDING / 4]))
			shown |= 1u << error;
	}
	lapic_set_reg(l, LAPIC_ESR, shown);
}

/* Registers that only the page has, or that can be written only there */
static u32 xapic_write(struct lapic_regs *l, u32 offset, u32 val)
{
	switch (offset) {
	case LAPIC_ID:
		if (!l->config.id_writable)
			return 0;
		lapic_set_reg(l, offset, val & BYTE3);
		return LAPIC_DO_MAP;
	case LAPIC_LDR:
		lapic_set_reg(l, offset, val & BYTE3);
		return LAPIC_DO_MAP;
	case LAPIC_DFR:
		lapic_set_reg(l, offset, val | DFR_ONES);
		return LAPIC_DO_MAP;
	case LAPIC_ICR2:
		lapic_set_reg(l, offset, val & BYTE3);
		return 0;
	default:
		return 0;
	}
}

/* The register exists; bits that are reserved have been refused, or are ignored here. */
static void write_register(struct lapic_regs *l, u32 offset, u32 val, u64 ns,
			   struct lapic_effects *effects)
{
	switch (offset) {
	case LAPIC_TPR:
		lapic_set_reg(l, offset, val & 0xff);
		effects->todo |= LAPIC_DO_CHECK;
		return;
	case LAPIC_EOI:
		effects->eoi = lapic_end_of_interrupt(l);
		effects->todo |= LAPIC_DO_EOI | LAPIC_DO_CHECK;
		return;
	case LAPIC_SVR:
		effects->todo |= svr_write(l, val, ns);
		return;
	case LAPIC_ESR:
		esr_write(l);
		return;
	case LAPIC_LVT_CMCI:
	case LAPIC_LVT_TIMER:
	case LAPIC_LVT_THERMAL:
	case LAPIC_LVT_PERF:
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
	case LAPIC_LVT_ERROR:
		effects->todo |= lvt_write(l, offset, val, ns);
		return;
	case LAPIC_TIMER_INITIAL:
	case LAPIC_TIMER_DIVIDE:
		effects->todo |= lapic_timer_write(l, offset, val, ns);
		return;
	default:
		effects->todo |= xapic_write(l, offset, val);
	}
}

static u32 read_register(const struct lapic_regs *l, u32 offset, u64 ns)
{
	switch (offset) {
	case LAPIC_APR:
		return lapic_arbitration_priority(l);
	case LAPIC_PPR:
		return lapic_processor_priority(l);
	case LAPIC_TIMER_CURRENT:
		return lapic_timer_current(l, ns);
	default:
		return lapic_reg(l, offset);
	}
}

static void no_effects(struct lapic_effects *effects)
{
	*effects = (struct lapic_effects) { .eoi.vector = -1 };
}

static void no_such_register(struct lapic_regs *l, struct lapic_effects *effects)
{
	if (raise_error(l, LAPIC_ESR_REGISTER) == LAPIC_QUEUED)
		effects->todo |= LAPIC_DO_CHECK;
}

/*
 * Registers are 32 bits wide in 16 bytes, and to be read so (SDM 11.4.1, APM 16.3.2). Narrower
 * reads see their part of the register; what is beyond it reads as zero.
 */
bool lapic_mmio_read(struct lapic_regs *l, u32 offset, unsigned int len, u64 ns, u64 *val,
		     struct lapic_effects *effects)
{
	u32 reg = offset & ~0xfu, byte = offset & 0xf;
	u64 mask = len < 8 ? (1ull << len * 8) - 1 : ~0ull;

	if (lapic_mode(l) != LAPIC_XAPIC)
		return false;

	no_effects(effects);
	*val = 0;
	if (!has_register(l, XAPIC_REGS, reg))
		no_such_register(l, effects);
	else if (byte < 4)
		*val = (read_register(l, reg, ns) >> byte * 8) & mask;
	return true;
}

/* Writes that are narrower or not aligned do nothing. */
bool lapic_mmio_write(struct lapic_regs *l, u32 offset, unsigned int len, u64 val, u64 ns,
		      struct lapic_effects *effects)
{
	u32 reg = offset & ~0xfu;

	if (lapic_mode(l) != LAPIC_XAPIC)
		return false;

	no_effects(effects);
	if (!has_register(l, XAPIC_REGS, reg))
		no_such_register(l, effects);
	else if (offset != reg || len < 4)
		return true;
	else if (reg == LAPIC_ICR)
		effects->todo = lapic_icr_write(l, val, lapic_reg(l, LAPIC_ICR2) >> ID_SHIFT,
						&effects->ipi);
	else
		write_register(l, reg, val, ns, effects);
	return true;
}

/* True: #GP. Bits that hardware sets may be written and are ignored. */
static bool has_reserved_bits(const struct lapic_regs *l, u32 offset, u64 val)
{
	switch (offset) {
	case LAPIC_ICR:
		return val & ICR_X2APIC_RESERVED;
	case LAPIC_TPR:
	case LAPIC_SELF_IPI:
		return val >> 8;
	case LAPIC_EOI:
	case LAPIC_ESR:
		return val;
	case LAPIC_SVR:
		return val & ~(u64)svr_bits(l);
	case LAPIC_TIMER_INITIAL:
		return val >> 32;
	case LAPIC_TIMER_DIVIDE:
		return val & ~(u64)LAPIC_DIVIDE_BITS;
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
		return val & ~(u64)(lvt_bits(l, offset) | LVT_BUSY | LAPIC_LVT_REMOTE_IRR);
	default:
		return val & ~(u64)(lvt_bits(l, offset) | LVT_BUSY);
	}
}

static bool msr_offset(const struct lapic_regs *l, u32 msr, u64 set, u32 *offset)
{
	if (lapic_mode(l) != LAPIC_X2APIC || msr < LAPIC_MSR_FIRST || msr > LAPIC_MSR_LAST)
		return false;
	*offset = (msr - LAPIC_MSR_FIRST) * 16;
	return has_register(l, set, *offset);
}

bool lapic_msr_read(struct lapic_regs *l, u32 msr, u64 ns, u64 *val)
{
	u32 offset;

	if (!msr_offset(l, msr, X2APIC_READ, &offset))
		return false;
	*val = read_register(l, offset, ns);
	if (offset == LAPIC_ICR)
		*val |= (u64)lapic_reg(l, icr_high(l)) << 32;
	return true;
}

/* ICR's upper half is elsewhere, and the count is computed. */
bool lapic_msr_in_page(const struct lapic_regs *l, u32 msr)
{
	u32 offset;

	return msr_offset(l, msr, X2APIC_READ, &offset) && offset != LAPIC_ICR &&
	       offset != LAPIC_TIMER_CURRENT;
}

bool lapic_msr_write(struct lapic_regs *l, u32 msr, u64 val, u64 ns,
		     struct lapic_effects *effects)
{
	u32 offset;

	if (!msr_offset(l, msr, X2APIC_WRITE, &offset) || has_reserved_bits(l, offset, val))
		return false;

	no_effects(effects);
	if (offset == LAPIC_ICR)
		effects->todo = lapic_icr_write(l, val, val >> 32, &effects->ipi);
	else if (offset == LAPIC_SELF_IPI)
		effects->todo = self_ipi_write(l, val, &effects->ipi);
	else
		write_register(l, offset, val, ns, effects);
	return true;
}

u8 lapic_cr8_read(const struct lapic_regs *l)
{
	return lapic_reg(l, LAPIC_TPR) >> 4;
}

void lapic_cr8_write(struct lapic_regs *l, u8 cr8)
{
	lapic_set_reg(l, LAPIC_TPR, (cr8 & 0xf) << 4);
}

/* ---- modes, reset, saving ---- */

/* SDM 11.12.10.2: 16 APICs to a cluster */
static u32 x2apic_ldr(u32 id)
{
	return (id >> 4) << 16 | 1u << (id & 0xf);
}

/* Identity, and the register whose layout differs, as the present mode has them */
static void reset_ids(struct lapic_regs *l)
{
	bool x2apic = lapic_mode(l) == LAPIC_X2APIC;

	lapic_set_reg(l, LAPIC_ID, x2apic ? l->config.id : l->config.id << ID_SHIFT);
	lapic_set_reg(l, LAPIC_LDR, x2apic ? x2apic_ldr(l->config.id) : 0);
	lapic_set_reg(l, LAPIC_DFR, ~0u);
	lapic_set_reg(l, LAPIC_ICR2, 0);
	lapic_set_reg(l, LAPIC_ICR_WIDE_HIGH, 0);
	if (x2apic)
		lapic_set_reg(l, LAPIC_ICR, lapic_reg(l, LAPIC_ICR) & ~ICR_X2APIC_RESERVED);
}

void lapic_config_changed(struct lapic_regs *l)
{
	u32 version = VERSION | (lvt_count(l) - 1) << VERSION_MAX_LVT_SHIFT;
	u32 last = lapic_reg(l, LAPIC_VERSION) >> VERSION_MAX_LVT_SHIFT & 0xff;

	/* One that comes after the reset is as if it had been there. */
	if (lvt_count(l) > last + 1)
		lapic_set_reg(l, lvt_registers[lvt_count(l) - 1], LAPIC_LVT_MASKED);
	if (!l->config.bus_ns)
		l->config.bus_ns = 1;
	if (l->config.bus_ns > LAPIC_MAX_BUS_NS)
		l->config.bus_ns = LAPIC_MAX_BUS_NS;
	lapic_set_reg(l, LAPIC_VERSION,
		l->config.directed_eoi ? version | VERSION_DIRECTED_EOI : version);
}

/* SDM 11.4.7.1, APM 16.3.2. All of IRR's words may have bits: senders do not stop for a reset. */
static void reset_registers(struct lapic_regs *l)
{
	u32 i;

	memset(l->page, 0, KVM_APIC_REG_SIZE);
	l->irr_words = LAPIC_ALL_WORDS;
	l->isr_words = 0;
	l->running = false;
	l->deadline = 0;

	reset_ids(l);
	lapic_config_changed(l);
	lapic_set_reg(l, LAPIC_SVR, SVR_RESET);
	for (i = 0; i < lvt_count(l); i++)
		lapic_set_reg(l, lvt_registers[i], LAPIC_LVT_MASKED);
	if (l->config.lint0_extint && l->base & LAPIC_BASE_BSP)
		lapic_set_reg(l, LAPIC_LVT_LINT0, APIC_MSG_EXTINT << LAPIC_LVT_MODE_SHIFT);
}

void lapic_power_up(struct lapic_regs *l)
{
	u64 base = LAPIC_DEFAULT_BASE | LAPIC_BASE_ENABLE;

	apic_write_once(l->base, l->config.bsp ? base | LAPIC_BASE_BSP : base);
	reset_registers(l);
}

void lapic_init(struct lapic_regs *l, void *page, const struct lapic_config *config)
{
	memset(l, 0, sizeof(*l));
	l->page = page;
	l->config = *config;
	lapic_power_up(l);
}

/* As after power-up, but the mode and the id stay: SDM 11.4.7.3. */
void lapic_init_signal(struct lapic_regs *l)
{
	u32 id = lapic_reg(l, LAPIC_ID);

	reset_registers(l);
	lapic_set_reg(l, LAPIC_ID, id);
}

/*
 * SDM 11.12.5, APM 16.10: from x2APIC mode back to xAPIC, and into x2APIC mode, leads through
 * "disabled" and "xAPIC", in which order the host may do as it likes. False: #GP.
 */
static bool transition_is_legal(enum lapic_mode old, enum lapic_mode new, bool host)
{
	if (new == LAPIC_INVALID)
		return false;
	if (host)
		return true;
	return !(old == LAPIC_X2APIC && new == LAPIC_XAPIC) &&
	       !(old == LAPIC_DISABLED && new == LAPIC_X2APIC);
}

bool lapic_base_write(struct lapic_regs *l, u64 val, bool host, struct lapic_effects *effects)
{
	enum lapic_mode old = lapic_mode(l), new = (val >> 10) & 3;
	u64 reserved = BASE_RESERVED | l->config.reserved_base;

	if (!l->config.x2apic)
		reserved |= LAPIC_BASE_EXTD;
	if (val & reserved || !transition_is_legal(old, new, host))
		return false;

	no_effects(effects);
	apic_write_once(l->base, val);
	if (old == new)
		return true;

	if (new == LAPIC_DISABLED)
		reset_registers(l);
	else
		reset_ids(l);
	effects->todo = LAPIC_DO_MAP | LAPIC_DO_CHECK | LAPIC_DO_TIMER | LAPIC_DO_LINT0;
	return true;
}

/* The image has no place for a timer that is due: in there it has gone off. */
void lapic_get_state(const struct lapic_regs *l, struct kvm_lapic_state *state, bool wide_ids,
		     u64 ns)
{
	u32 *image = (u32 *)state->regs;
	struct lapic_regs saved = *l;

	memcpy(image, l->page, KVM_APIC_REG_SIZE);
	saved.page = image;
	saved.inbox = NULL;
	lapic_timer_run(&saved, ns);

	image[LAPIC_APR / 4] = lapic_arbitration_priority(&saved);
	image[LAPIC_PPR / 4] = lapic_processor_priority(&saved);
	image[LAPIC_TIMER_CURRENT / 4] = lapic_timer_current(&saved, ns);
	image[LAPIC_ICR2 / 4] = lapic_reg(l, icr_high(l));
	image[LAPIC_ICR_WIDE_HIGH / 4] = 0;
	if (lapic_mode(l) == LAPIC_X2APIC && !wide_ids)
		image[LAPIC_ID / 4] <<= ID_SHIFT;
}

/* Nothing of an image is believed that the guest could not have written, but vectors and ids. */
static u32 settle_word(const struct lapic_regs *l, u32 offset, u32 val)
{
	bool x2apic = lapic_mode(l) == LAPIC_X2APIC;

	switch (offset) {
	case LAPIC_ID:
		return x2apic ? l->config.id : val & BYTE3;
	case LAPIC_LDR:
		return x2apic ? x2apic_ldr(l->config.id) : val & BYTE3;
	case LAPIC_VERSION:
		return lapic_reg(l, offset);
	case LAPIC_DFR:
		return x2apic ? ~0u : val | DFR_ONES;
	case LAPIC_TPR:
		return val & 0xff;
	case LAPIC_SVR:
		return val & svr_bits(l);
	case LAPIC_ESR:
	case LAPIC_ESR_PENDING:
		return val & ESR_BITS;
	case LAPIC_ICR:
		return x2apic ? val & ~(ICR_X2APIC_RESERVED | LAPIC_ICR_BUSY) :
				val & ~LAPIC_ICR_BUSY;
	case LAPIC_ICR2:
		return x2apic ? val : val & BYTE3;
	case LAPIC_LVT_LINT0:
		if (val & LAPIC_LVT_LEVEL)
			return val & (lvt_bits(l, offset) | LAPIC_LVT_REMOTE_IRR);
		return val & lvt_bits(l, offset);
	case LAPIC_LVT_LINT1:
	case LAPIC_LVT_TIMER:
	case LAPIC_LVT_THERMAL:
	case LAPIC_LVT_PERF:
	case LAPIC_LVT_ERROR:
		return val & lvt_bits(l, offset);
	case LAPIC_LVT_CMCI:
		return l->config.cmci ? val & lvt_bits(l, offset) : 0;
	case LAPIC_TIMER_DIVIDE:
		return val & LAPIC_DIVIDE_BITS;
	case LAPIC_TIMER_INITIAL:
		return val;
	}
	/* Three arrays of vectors; the rest is computed, or nothing is there. */
	return offset >= LAPIC_ISR && offset < LAPIC_ESR && !(offset & 0xf) ? val : 0;
}

/* Returns LAPIC_DO_*. The id of an x2APIC cannot be changed, and is not taken from the image. */
u32 lapic_set_state(struct lapic_regs *l, const struct kvm_lapic_state *state, u64 ns)
{
	u32 offset, val;

	for (offset = 0; offset < KVM_APIC_REG_SIZE; offset += 4) {
		memcpy(&val, state->regs + offset, sizeof(val));
		lapic_set_reg(l, offset, settle_word(l, offset, val));
	}

	lapic_set_reg(l, icr_high(l), lapic_reg(l, LAPIC_ICR2));

	l->irr_words = LAPIC_ALL_WORDS;
	lapic_take_back(l);
	memcpy(&val, state->regs + LAPIC_TIMER_CURRENT, sizeof(val));
	lapic_timer_restore(l, val, ns);
	return LAPIC_DO_MAP | LAPIC_DO_CHECK | LAPIC_DO_TIMER | LAPIC_DO_LINT0;
}

void lapic_map_entry(const struct lapic_regs *l, struct apic_map_entry *entry)
{
	u32 id = lapic_reg(l, LAPIC_ID), ldr = lapic_reg(l, LAPIC_LDR);
	u32 model = lapic_reg(l, LAPIC_DFR) >> DFR_MODEL_SHIFT;

	*entry = (struct apic_map_entry) {
		.id = id >> ID_SHIFT,
		.ldr = ldr >> ID_SHIFT,
		.match = model == DFR_FLAT ? APIC_MATCH_FLAT : APIC_MATCH_CLUSTER,
		.enabled = software_enabled(l),
	};
	switch (lapic_mode(l)) {
	case LAPIC_X2APIC:
		entry->match = APIC_MATCH_X2APIC;
		entry->id = id;
		entry->ldr = ldr;
		break;
	case LAPIC_XAPIC:
		break;
	default:
		entry->match = APIC_MATCH_NONE;
	}
}
