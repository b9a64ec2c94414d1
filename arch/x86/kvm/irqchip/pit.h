/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The 8254 interval timer of a PC and the part of port 0x61 that belongs to it, without locks,
 * wiring or a clock: whoever owns a struct kvm_pit serializes the calls and says what time it is,
 * in nanoseconds that never go back, from 0 to less than 2^61. Compiled into kvm.ko and into
 * userspace programs.
 */
#ifndef KVM_IRQCHIP_PIT_H
#define KVM_IRQCHIP_PIT_H

#include <linux/kvm.h>

#ifndef __KERNEL__
#include <stdbool.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;
#endif

#define KVM_PIT_HZ		1193182
#define KVM_PIT_CHANNELS	3

#define KVM_PIT_PORT_DATA	0x40	/* to 0x42, one for each channel */
#define KVM_PIT_PORT_CONTROL	0x43
#define KVM_PIT_PORT_SPEAKER	0x61

struct kvm_pit {
	/* The ABI's structure holds the whole state; flags are in it. */
	struct kvm_pit_state2 state;
};

void kvm_pit_reset(struct kvm_pit *pit);

/* One byte at one of the five ports; false when the port is none of them. */
bool kvm_pit_read(struct kvm_pit *pit, u16 port, s64 now, u8 *val);

/*
 * As above; *rearm becomes true when channel 0 was given a new control word or count, so that
 * earlier answers of kvm_pit_next_edge() hold no longer and ticks not yet delivered belong to the
 * past.
 */
bool kvm_pit_write(struct kvm_pit *pit, u16 port, u8 val, s64 now, bool *rearm);

/* The level of a channel's OUT. */
bool kvm_pit_out(const struct kvm_pit *pit, unsigned int channel, s64 now);

/*
 * The first rise of OUT0 later than since, which is the present or the last edge delivered after
 * the last write; false when none will come. *period is the time between edges, 0 for a single one.
 * Edges closer than min_period are thinned out: only every n-th is reported. A caller that asks
 * anew for each edge stays in step with the guest's divisor, where adding up periods drifts.
 */
bool kvm_pit_next_edge(const struct kvm_pit *pit, s64 since, u32 min_period,
		       s64 *edge, u64 *period);

/*
 * The state as in KVM_GET/SET_PIT2. Any bytes may be set: what the hardware cannot be in becomes
 * what it can. A one-shot of channel 0 that ran out while the state was on its way has its edge
 * right after now; one that had run out when the state was taken stays quiet. The owner re-arms its
 * timer after it.
 */
void kvm_pit_get_state(const struct kvm_pit *pit, s64 now, struct kvm_pit_state2 *state);
void kvm_pit_set_state(struct kvm_pit *pit, s64 now, const struct kvm_pit_state2 *state);

#endif
