/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of this folder need of each other and nobody else calls.
 */
#ifndef _KVM_X86_CPU_REGS_H
#define _KVM_X86_CPU_REGS_H

#include <linux/types.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>

#include "../x86.h"
#include "../mmu/mmu.h"

/* fpu.c: XCR0, XSS and the sizes of their components; before kvm_cpu_caps are built. */
void kvm_fpu_hw_init(void);

/* Bits of the debug registers that the kernel has no names for (APM 2, 13.1.1). */
#define DR6_BD	BIT(13)		/* an access was stopped by DR7.GD */
#define DR7_GD	BIT(13)		/* accesses to debug registers trap */

/* msr.c: userspace may write any consistent value (@host); 0, or 1 for #GP. */
int kvm_set_apic_base(struct kvm_vcpu *vcpu, u64 base, bool host);
bool kvm_apic_base_valid(struct kvm_vcpu *vcpu, u64 base);

#endif
