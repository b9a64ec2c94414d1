/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPI__LINUX_KVM_PARA_H
#define _UAPI__LINUX_KVM_PARA_H

/*
 * What a guest and its host say to each other, on any processor: hypercalls and their answers.
 * How a hypercall is made, and everything else, is in <asm/kvm_para.h>.
 */

/* Answers; a failure is handed to the guest as the negative of one of these. */
#define KVM_ENOSYS			1000	/* no such hypercall */
#define KVM_EFAULT			EFAULT
#define KVM_EINVAL			EINVAL
#define KVM_E2BIG			E2BIG
#define KVM_EPERM			EPERM
#define KVM_EOPNOTSUPP			95

/* Numbers. */
#define KVM_HC_VAPIC_POLL_IRQ		1	/* look for interrupts after lowering the TPR */
#define KVM_HC_MMU_OP			2	/* paravirtual page tables, gone */
#define KVM_HC_FEATURES			3	/* PowerPC: which features there are */
#define KVM_HC_PPC_MAP_MAGIC_PAGE	4	/* PowerPC: share a page of registers */
#define KVM_HC_KICK_CPU			5	/* wake a halted vcpu, by APIC number */
#define KVM_HC_MIPS_GET_CLOCK_FREQ	6	/* MIPS: Hz */
#define KVM_HC_MIPS_EXIT_VM		7	/* MIPS: switch the machine off */
#define KVM_HC_MIPS_CONSOLE_OUTPUT	8	/* MIPS: print */
#define KVM_HC_CLOCK_PAIRING		9	/* fill struct kvm_clock_pairing */
#define KVM_HC_SEND_IPI			10	/* an IPI to up to 128 vcpus */
#define KVM_HC_SCHED_YIELD		11	/* yield to a vcpu, by APIC number */
#define KVM_HC_MAP_GPA_RANGE		12	/* a range turns private or shared */

#include <asm/kvm_para.h>

#endif /* _UAPI__LINUX_KVM_PARA_H */
