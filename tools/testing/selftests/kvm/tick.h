/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest that tests of interrupts share: a VM with interrupt controllers in the kernel, one vcpu
 * in long mode that counts what it takes, and a second one on a thread of its own where wanted. See
 * tick.c.
 */
#ifndef SELFTEST_TICK_H
#define SELFTEST_TICK_H

#include "guest.h"

#include <pthread.h>

#define TICK_PORT	0x51		/* the guest was ready for interrupts, or has done as told */
#define COUNTS		GUEST_DATA	/* 4 bytes for each vector */
#define LAST_VECTOR	0xa804
#define EOI_KIND	0xa800
#define AP_STACK	0x31000u

#define APIC		0xfee00000u
#define APIC_TPR	0x80
#define APIC_EOI	0xb0
#define APIC_SVR	0xf0
#define APIC_ISR	0x100
#define APIC_IRR	0x200
#define APIC_ICR	0x300
#define APIC_ICR2	0x310
#define APIC_LVT_TIMER	0x320
#define APIC_LVT_LINT0	0x350
#define APIC_INITIAL	0x380
#define APIC_CURRENT	0x390
#define APIC_DIVIDE	0x3e0
#define MSR_X2APIC	0x800
#define MSR_DEADLINE	0x6e0
#define BASE_EXTD	(1u << 10)
#define BASE_ENABLE	(1u << 11)

#define ICR_NMI		0x400
#define ICR_INIT	0x4500
#define ICR_STARTUP	0x4600
#define ICR_SELF	0x40000
#define ICR_OTHERS	0xc0000
#define TIMER_PERIODIC	(1u << 17)
#define TIMER_DEADLINE	(2u << 17)
#define EXTINT		0x700
#define MASKED		(1u << 16)
#define LEVEL		(1u << 15)

#define VECTOR_A	0x51
#define VECTOR_B	0x61
#define VECTOR_C	0x71
#define PIN		20
#define PING		0x81		/* vectors of the two vcpus that answer each other */
#define PONG		0x82

enum eoi_kind { EOI_XAPIC, EOI_X2APIC, EOI_NONE, EOI_PIC };

extern const uint8_t tick_guest[], tick_guest_end[], tick_store[], tick_load[], tick_wrmsr[], tick_out[], tick_halt[], tick_pong[],
		     tick_ping[], tick_vectors[], tick_closed[], tick_cr8[];

enum vm_kind { FULL, SPLIT };

/* A second vcpu, which runs on a thread of its own. */
struct second {
	struct guest guest;
	pthread_t thread;
	bool stop;
	uint32_t outs;			/* exits it has made by OUT */
};

int new_vm(void);		/* without anything in it */
int enable(int vm, uint32_t cap, uint64_t value);
/* Interrupts of a vector that the guest has taken. */
uint32_t counted(struct guest *g, unsigned int vector);
uint32_t *word(struct guest *g, uint32_t address);
/* The library's guest with another VM under it, which has interrupt controllers. */
struct guest *new_guest(enum vm_kind kind);
/* The same, and its VM is prepared before it has a vcpu. */
struct guest *prepared_guest(enum vm_kind kind, void (*prepare)(int vm));
struct guest *ready_guest(enum vm_kind kind);	/* it has come to its first TICK_PORT */
/* Run the code at the label with these registers, until the guest is back at its loop's end: its RAX. */
uint64_t guest_do(struct guest *g, const uint8_t *label, uint64_t rax, uint64_t rdi,
		  uint64_t rcx, uint64_t rdx);
void apic_write(struct guest *g, uint32_t reg, uint32_t value);
uint32_t apic_read(struct guest *g, uint32_t reg);
void guest_wrmsr(struct guest *g, uint32_t msr, uint64_t value);
void guest_out(struct guest *g, uint16_t port, uint8_t value);
void set_x2apic(struct guest *g, int vcpu);
void tick(struct guest *g);		/* two rounds of its loop */
int send_msi(struct guest *g, uint32_t address, uint32_t data);
void set_line(struct guest *g, uint32_t gsi, uint32_t level);
int32_t set_line_status(struct guest *g, uint32_t gsi, uint32_t level);
void program_pin(struct guest *g, unsigned int pin, uint64_t entry);
uint32_t mp_state(int vcpu);
int set_mp_state(int vcpu, uint32_t value);
uint32_t *lapic_word(struct kvm_lapic_state *state, uint32_t reg);
/* The one route of a new table. */
int set_entry(int vm, struct kvm_irq_routing_entry entry);
void wait_count(struct guest *g, unsigned int vector, uint32_t count);
/* A second vcpu, id 1; second_start() is to follow its first state. */
struct second *second_new(struct guest *g);
void second_start(struct second *s);
void second_stop(struct second *s);
void second_stop_halted(struct second *s);
void wait_outs(struct second *s, uint32_t count);

#endif
