/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Layout of struct svm_entry, shared by enter.S and svm.h (which checks it).
 */
#ifndef _KVM_SVM_ENTRY_ARGS_H
#define _KVM_SVM_ENTRY_ARGS_H

#define SVM_ENTRY_REGS		0
#define SVM_ENTRY_VMCB_PA	8
#define SVM_ENTRY_HOST_PA	16
#define SVM_ENTRY_GUEST_SPEC	24
#define SVM_ENTRY_HOST_SPEC	28
#define SVM_ENTRY_SPEC_OPEN	32
#define SVM_ENTRY_FAILED	33
#define SVM_ENTRY_INT_STATE	40

/* Bit of the VMCB's int_state: the guest is in an interrupt shadow. */
#define SVM_ENTRY_SHADOW_BIT	0

#endif
