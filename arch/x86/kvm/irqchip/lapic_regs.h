/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The registers of one local APIC as a state machine. See lapic_regs.c.
 *
 * Everything belongs to one owner (the vcpu's thread, or whoever has locked it), with these
 * exceptions: lapic_accept() and lapic_arbitration_priority() may be called by anybody at any time.
 * The former sets bits in IRR, irr_words, TMR and the pending errors with atomic operations, and
 * reads base, SVR and the error LVT; those three are written with single stores. What it accepts is
 * visible to the owner's next lapic_pending(). The latter is a guess while the owner runs.
 *
 * A processor that delivers interrupts by itself is the owner of ISR, IRR, TPR and PPR while it runs
 * the guest. Then lapic_accept() sets bits of an inbox in place of IRR, and the thread moves them when
 * the registers are its own again: see lapic_divert().
 *
 * Times are handed in: ns is the owner's monotonic clock in nanoseconds, tsc the guest's TSC.
 */
#ifndef KVM_LAPIC_REGS_H
#define KVM_LAPIC_REGS_H

#include <asm/kvm.h>

#include "apic_map.h"

/* Offsets in the page; the MSR in x2APIC mode is 0x800 + offset / 16. */
#define LAPIC_ID		0x020
#define LAPIC_VERSION		0x030
#define LAPIC_TPR		0x080
#define LAPIC_APR		0x090
#define LAPIC_PPR		0x0a0
#define LAPIC_EOI		0x0b0
#define LAPIC_RRR		0x0c0
#define LAPIC_LDR		0x0d0
#define LAPIC_DFR		0x0e0
#define LAPIC_SVR		0x0f0
#define LAPIC_ISR		0x100
#define LAPIC_TMR		0x180
#define LAPIC_IRR		0x200
#define LAPIC_ESR		0x280
#define LAPIC_LVT_CMCI		0x2f0
#define LAPIC_ICR		0x300
#define LAPIC_ICR_WIDE_HIGH	0x304		/* in the page alone, no register */
#define LAPIC_ICR2		0x310
#define LAPIC_LVT_TIMER		0x320
#define LAPIC_LVT_THERMAL	0x330
#define LAPIC_LVT_PERF		0x340
#define LAPIC_LVT_LINT0		0x350
#define LAPIC_LVT_LINT1		0x360
#define LAPIC_LVT_ERROR		0x370
#define LAPIC_TIMER_INITIAL	0x380
#define LAPIC_TIMER_CURRENT	0x390
#define LAPIC_TIMER_DIVIDE	0x3e0
#define LAPIC_SELF_IPI		0x3f0

/* A gap in the page, where no register is: errors that the next write to ESR will show */
#define LAPIC_ESR_PENDING	0x288

#define LAPIC_SVR_ENABLE	(1u << 8)
#define LAPIC_SVR_NO_FOCUS	(1u << 9)
#define LAPIC_SVR_NO_BROADCAST	(1u << 12)

#define LAPIC_ESR_SEND_VECTOR		5	/* bit numbers */
#define LAPIC_ESR_RECEIVE_VECTOR	6
#define LAPIC_ESR_REGISTER		7

#define LAPIC_ICR_BUSY		(1u << 12)

#define LAPIC_DIVIDE_BITS	0xbu

#define LAPIC_LVT_MODE_SHIFT	8
#define LAPIC_LVT_REMOTE_IRR	(1u << 14)
#define LAPIC_LVT_LEVEL		(1u << 15)
#define LAPIC_LVT_MASKED	(1u << 16)
#define LAPIC_LVT_TIMER_MODE	(3u << 17)
#define LAPIC_LVT_ONE_SHOT	(0u << 17)
#define LAPIC_LVT_PERIODIC	(1u << 17)
#define LAPIC_LVT_DEADLINE	(2u << 17)

/* MSR 0x1b */
#define LAPIC_BASE_BSP		(1ull << 8)
#define LAPIC_BASE_EXTD		(1ull << 10)
#define LAPIC_BASE_ENABLE	(1ull << 11)
#define LAPIC_DEFAULT_BASE	0xfee00000ull

#define LAPIC_MSR_FIRST		0x800u
#define LAPIC_MSR_LAST		0x8ffu
#define LAPIC_ALL_WORDS		0xffu		/* of 32 vectors each */

/* Period of the timer's clock, above which a count would not fit 64 bits of nanoseconds */
#define LAPIC_MAX_BUS_NS	0x1000000u

enum lapic_mode {
	LAPIC_DISABLED,
	LAPIC_INVALID,
	LAPIC_XAPIC,
	LAPIC_X2APIC,
};

/* What has become of a message or of a local interrupt, and what the owner does about it */
enum lapic_result {
	LAPIC_REFUSED,		/* nothing */
	LAPIC_COALESCED,	/* nothing: that vector was pending already */
	LAPIC_QUEUED,		/* in IRR: wake or kick */
	LAPIC_JOINED,		/* in an inbox, of whose news the owner is being told already */
	LAPIC_GOT_SMI,
	LAPIC_GOT_NMI,
	LAPIC_GOT_INIT,
	LAPIC_GOT_STARTUP,	/* the message's vector is the page to start at */
	LAPIC_GOT_EXTINT,	/* ask the PIC for the vector */
};

/* What a register access asks of the owner */
enum lapic_todo {
	LAPIC_DO_IPI	= 1 << 0,	/* send effects->ipi */
	LAPIC_DO_EOI	= 1 << 1,	/* effects->eoi has ended; tell IOAPICs if ->broadcast */
	LAPIC_DO_TIMER	= 1 << 2,	/* lapic_timer_next() has changed */
	LAPIC_DO_MAP	= 1 << 3,	/* lapic_map_entry() has changed */
	LAPIC_DO_CHECK	= 1 << 4,	/* lapic_pending() may have changed */
	LAPIC_DO_LINT0	= 1 << 5,	/* lapic_takes_extint() may have changed */
};

struct lapic_eoi {
	s16 vector;			/* -1: nothing was in service */
	bool broadcast;
};

struct lapic_effects {
	u32 todo;			/* LAPIC_DO_* */
	struct lapic_eoi eoi;
	struct apic_msg ipi;
};

struct lapic_config {
	u32 id;				/* x2APIC id; its low byte is the xAPIC id after reset */
	u64 reserved_base;		/* base MSR bits above the physical address width */
	u32 bus_ns;			/* 1..LAPIC_MAX_BUS_NS */
	u64 min_period_ns;		/* periodic timers do not go faster */
	bool bsp;
	bool x2apic;			/* CPUID has it */
	bool tsc_deadline;		/* likewise */
	bool directed_eoi;		/* SVR bit 12 exists */
	bool cmci;			/* LVT CMCI exists */
	bool id_writable;		/* xAPIC id can be written by the guest */
	bool perf_masks;		/* Intel: LVT perf masks itself when it fires */
	bool lint0_extint;		/* LINT0 takes the PIC's interrupts after reset */
};

/*
 * Vectors on their way to IRR. The first half is a posted-interrupt descriptor (SDM 3, 30.6), from which
 * a processor may fetch at any time; news is its outstanding notification, and the other bits of that
 * word and the next are not ours. Vectors for whose end somebody waits are in the second half: the
 * processor is not to see them before it knows that.
 */
struct lapic_inbox {
	u32 bits[8];
	u32 news;
	u32 destination;
	u32 reserved[6];
	u32 watched[8];
	u32 watched_news;
} __attribute__((aligned(64)));

#define LAPIC_INBOX_NEWS_BIT	0
#define LAPIC_INBOX_NEWS	(1u << LAPIC_INBOX_NEWS_BIT)

struct lapic_regs {
	struct lapic_config config;
	u32 *page;			/* KVM_APIC_REG_SIZE bytes, aligned to 64 */
	u64 base;			/* MSR 0x1b */

	u32 irr_words __attribute__((aligned(8)));	/* a bit for each word of IRR */
	u32 irr_slack;
	u32 isr_words;

	struct lapic_inbox *inbox;	/* where vectors are accepted; NULL: in IRR */
	bool wide_icr;			/* x2APIC: the upper half is behind the lower one in the page */

	bool running;			/* one-shot and periodic: counts down to expiry */
	u64 expiry;			/* ns */
	u64 deadline;			/* guest TSC, 0: not armed */
};

/* config may be changed by the owner later (CPUID), followed by lapic_config_changed(). */
void lapic_init(struct lapic_regs *l, void *page, const struct lapic_config *config);
void lapic_config_changed(struct lapic_regs *l);
void lapic_power_up(struct lapic_regs *l);
void lapic_init_signal(struct lapic_regs *l);

/* The page and the MSRs; false means that there is no such register now: not ours, or #GP */
bool lapic_mmio_read(struct lapic_regs *l, u32 offset, unsigned int len, u64 ns, u64 *val,
		     struct lapic_effects *effects);
bool lapic_mmio_write(struct lapic_regs *l, u32 offset, unsigned int len, u64 val, u64 ns,
		      struct lapic_effects *effects);
bool lapic_msr_read(struct lapic_regs *l, u32 msr, u64 ns, u64 *val);
bool lapic_msr_write(struct lapic_regs *l, u32 msr, u64 val, u64 ns,
		     struct lapic_effects *effects);
bool lapic_base_write(struct lapic_regs *l, u64 val, bool host, struct lapic_effects *effects);

/* MSR 0x6e0; a write returns LAPIC_DO_*. */
u64 lapic_deadline_read(const struct lapic_regs *l);
u32 lapic_deadline_write(struct lapic_regs *l, u64 tsc);

/* CR8 and the fast paths: EOI and ICR without going through a register number */
u8 lapic_cr8_read(const struct lapic_regs *l);
void lapic_cr8_write(struct lapic_regs *l, u8 cr8);
struct lapic_eoi lapic_end_of_interrupt(struct lapic_regs *l);
u32 lapic_icr_write(struct lapic_regs *l, u32 low, u32 dest, struct apic_msg *ipi);

/* Interrupts on their way in and to the processor */
enum lapic_result lapic_accept(struct lapic_regs *l, const struct apic_msg *msg);
enum lapic_result lapic_local(struct lapic_regs *l, u32 lvt);
bool lapic_takes_extint(const struct lapic_regs *l);
int lapic_highest_irr(struct lapic_regs *l);
int lapic_highest_isr(const struct lapic_regs *l);
int lapic_pending(struct lapic_regs *l);
bool lapic_blocked_by_tpr(struct lapic_regs *l);
u8 lapic_processor_priority(const struct lapic_regs *l);
u8 lapic_arbitration_priority(const struct lapic_regs *l);
void lapic_acknowledge(struct lapic_regs *l, u8 vector);

/*
 * A processor that delivers interrupts by itself. lapic_divert() comes once, before anybody sends.
 * lapic_fetch() empties the inbox into IRR and says into which words. lapic_give() hides from
 * lapic_pending() what waits, for the processor to deliver; lapic_take_back() finds out what it has
 * made of ISR, and lapic_reclaim() shows what waits again. lapic_deliverable() tells of it in either
 * case. lapic_ended(): the processor has taken the vector out of ISR.
 */
void lapic_divert(struct lapic_regs *l, struct lapic_inbox *inbox);
u32 lapic_fetch(struct lapic_regs *l);
void lapic_give(struct lapic_regs *l);
void lapic_take_back(struct lapic_regs *l);
void lapic_reclaim(struct lapic_regs *l, u32 words);
int lapic_highest_requested(const struct lapic_regs *l);
bool lapic_deliverable(const struct lapic_regs *l);
struct lapic_eoi lapic_ended(struct lapic_regs *l, u8 vector);
/* Reading the MSR is reading its place in the page. */
bool lapic_msr_in_page(const struct lapic_regs *l, u32 msr);

/* When does the timer go off? By which clock? The owner calls lapic_timer_expire() then. */
enum lapic_clock {
	LAPIC_CLOCK_NONE,
	LAPIC_CLOCK_NS,
	LAPIC_CLOCK_TSC,
};

enum lapic_clock lapic_timer_next(const struct lapic_regs *l, u64 *when);
enum lapic_result lapic_timer_expire(struct lapic_regs *l, u64 ns, u64 tsc);

/*
 * KVM_GET_LAPIC, KVM_SET_LAPIC; wide_ids is KVM_X2APIC_API_USE_32BIT_IDS. state is aligned to eight
 * bytes.
 */
void lapic_get_state(const struct lapic_regs *l, struct kvm_lapic_state *state, bool wide_ids,
		     u64 ns);
u32 lapic_set_state(struct lapic_regs *l, const struct kvm_lapic_state *state, u64 ns);

void lapic_map_entry(const struct lapic_regs *l, struct apic_map_entry *entry);

static inline u32 lapic_reg(const struct lapic_regs *l, u32 offset)
{
	return apic_read_once(l->page[offset / 4]);
}

static inline void lapic_set_reg(struct lapic_regs *l, u32 offset, u32 val)
{
	apic_write_once(l->page[offset / 4], val);
}

static inline bool lapic_level_triggered(const struct lapic_regs *l, u8 vector)
{
	return lapic_reg(l, LAPIC_TMR + vector / 32 * 0x10) >> vector % 32 & 1;
}

static inline enum lapic_mode lapic_mode(const struct lapic_regs *l)
{
	return (apic_read_once(l->base) & (LAPIC_BASE_EXTD | LAPIC_BASE_ENABLE)) >> 10;
}

/*
 * Between lapic_regs.c and lapic_timer.c. lapic_timer_run() lets a count that has run out by now go
 * off; it comes before any write that changes what the timer does.
 */
enum lapic_result lapic_timer_run(struct lapic_regs *l, u64 ns);
u32 lapic_timer_current(const struct lapic_regs *l, u64 ns);
u32 lapic_timer_write(struct lapic_regs *l, u32 offset, u32 val, u64 ns);
void lapic_timer_mode_changed(struct lapic_regs *l, u32 old, u64 ns);
void lapic_timer_restore(struct lapic_regs *l, u32 current_count, u64 ns);

#endif
