/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Layout of struct vmx_entry, shared by enter.S and vmx.h (which checks it).
 */
#ifndef _KVM_VMX_ENTRY_ARGS_H
#define _KVM_VMX_ENTRY_ARGS_H

#define VMX_ENTRY_REGS		0
#define VMX_ENTRY_HOST_RSP	8
#define VMX_ENTRY_GUEST_SPEC	16
#define VMX_ENTRY_HOST_SPEC	20
#define VMX_ENTRY_SPEC_OPEN	24
#define VMX_ENTRY_LAUNCHED	25

#endif
