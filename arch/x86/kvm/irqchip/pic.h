/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pair of 8259A interrupt controllers of a PC, without locks and wiring: whoever owns a struct
 * kvm_pic serializes the calls, connects ports and interrupt lines, and after each call looks at
 * kvm_pic_output() and kvm_pic_take_eoi(). Compiled into kvm.ko and into userspace programs.
 */
#ifndef KVM_IRQCHIP_PIC_H
#define KVM_IRQCHIP_PIC_H

#include <linux/kvm.h>

#ifndef __KERNEL__
#include <stdbool.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u64 u64;
#endif

#define KVM_PIC_LINES		16
#define KVM_PIC_SOURCES		64	/* parties that may hold the same line */

#define KVM_PIC_MASTER_COMMAND	0x20
#define KVM_PIC_MASTER_DATA	0x21
#define KVM_PIC_SLAVE_COMMAND	0xa0
#define KVM_PIC_SLAVE_DATA	0xa1
#define KVM_PIC_MASTER_ELCR	0x4d0
#define KVM_PIC_SLAVE_ELCR	0x4d1

struct kvm_pic {
	/* By KVM_IRQCHIP_PIC_MASTER and _SLAVE; the ABI's structure holds a chip's whole state. */
	struct kvm_pic_state chip[2];
	u64 sources[KVM_PIC_LINES];	/* a bit for each source that holds the line high */
	u16 eoi;			/* lines whose service ended, until somebody asks */
};

void kvm_pic_reset(struct kvm_pic *pic);

/*
 * Sets a source's contribution to a line; the line is high while any source holds it. Answers in
 * the terms of KVM_IRQ_LINE_STATUS: -1 when the line is masked, 0 when the request merged with one
 * that was waiting, 1 otherwise. Line 2 belongs to the slave: -1.
 */
int kvm_pic_set_irq(struct kvm_pic *pic, unsigned int irq, unsigned int source, bool level);

/* One byte at one of the six ports; false when the port is none of them. */
bool kvm_pic_read(struct kvm_pic *pic, u16 port, u8 *val);
bool kvm_pic_write(struct kvm_pic *pic, u16 port, u8 val);

/* The INTR line to the processor. */
bool kvm_pic_output(const struct kvm_pic *pic);

/*
 * The processor's interrupt acknowledge cycles: the vector, a spurious one when nothing requests.
 */
u8 kvm_pic_acknowledge(struct kvm_pic *pic);

/*
 * The lines, a bit each, whose service ended since the last call: by EOI, automatically, by ICW1.
 */
u16 kvm_pic_take_eoi(struct kvm_pic *pic);

/*
 * A chip's state as in KVM_GET/SET_IRQCHIP; chip is KVM_IRQCHIP_PIC_MASTER or _SLAVE. Any bytes may
 * be set, in either order of the chips: what the hardware cannot be in becomes what it can.
 */
void kvm_pic_get_state(const struct kvm_pic *pic, unsigned int chip, struct kvm_pic_state *state);
void kvm_pic_set_state(struct kvm_pic *pic, unsigned int chip, const struct kvm_pic_state *state);

#endif
