/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Machine checks as msr.c and ioctl.c need them; kvm_mce_setup() is in x86.h.
 */
#ifndef _KVM_X86_CPU_MCE_H
#define _KVM_X86_CPU_MCE_H

#include <linux/kvm_host.h>

#define KVM_MCE_BANKS	32

void kvm_mce_vcpu_init(struct kvm_vcpu *vcpu);
void kvm_mce_vcpu_free(struct kvm_vcpu *vcpu);
u64 kvm_mce_cap_supported(void);
bool kvm_msr_is_mce(struct kvm_vcpu *vcpu, u32 index);
/* 0; 1: #GP */
int kvm_mce_get_msr(struct kvm_vcpu *vcpu, u32 index, u64 *data, bool host);
int kvm_mce_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host);
int kvm_mce_inject(struct kvm_vcpu *vcpu, const struct kvm_x86_mce *mce);	/* KVM_X86_SET_MCE */

#endif
