// SPDX-License-Identifier: GPL-2.0
/*
 * A VMCS in words, for the log, after the processor refused it. Guest state, host state, controls, in
 * the order of SDM 3, chapter 25, with what SDM 3, 27.8 says of the failure.
 */
#define pr_fmt(fmt) "kvm_intel: " fmt

#include <linux/ratelimit.h>

#include "vmx.h"

static const char *field_name[KVM_NR_SEGS] = {
	[KVM_ES] = "ES", [KVM_CS] = "CS", [KVM_SS] = "SS", [KVM_DS] = "DS",
	[KVM_FS] = "FS", [KVM_GS] = "GS", [KVM_LDTR] = "LDTR", [KVM_TR] = "TR",
};

static void dump_segments(void)
{
	enum kvm_seg i;

	for (i = 0; i < KVM_NR_SEGS; i++)
		pr_err("%-4s selector 0x%04x attributes 0x%05x limit 0x%08x base 0x%016lx\n",
		       field_name[i], vmcs_read32(GUEST_ES_SELECTOR + 2 * i),
		       vmcs_read32(GUEST_ES_AR_BYTES + 2 * i),
		       vmcs_read32(GUEST_ES_LIMIT + 2 * i), vmcs_read(GUEST_ES_BASE + 2 * i));
	pr_err("GDTR limit 0x%08x base 0x%016lx  IDTR limit 0x%08x base 0x%016lx\n",
	       vmcs_read32(GUEST_GDTR_LIMIT), vmcs_read(GUEST_GDTR_BASE),
	       vmcs_read32(GUEST_IDTR_LIMIT), vmcs_read(GUEST_IDTR_BASE));
}

static void dump_guest(void)
{
	pr_err("guest CR0 0x%016lx (shown 0x%016lx, mask 0x%016lx)\n", vmcs_read(GUEST_CR0),
	       vmcs_read(CR0_READ_SHADOW), vmcs_read(CR0_GUEST_HOST_MASK));
	pr_err("guest CR4 0x%016lx (shown 0x%016lx, mask 0x%016lx)\n", vmcs_read(GUEST_CR4),
	       vmcs_read(CR4_READ_SHADOW), vmcs_read(CR4_GUEST_HOST_MASK));
	pr_err("guest CR3 0x%016lx DR7 0x%lx RSP 0x%016lx RIP 0x%016lx RFLAGS 0x%lx\n",
	       vmcs_read(GUEST_CR3), vmcs_read(GUEST_DR7), vmcs_read(GUEST_RSP),
	       vmcs_read(GUEST_RIP), vmcs_read(GUEST_RFLAGS));
	if (vmx_hw.ept)
		pr_err("PDPTE 0x%016lx 0x%016lx 0x%016lx 0x%016lx\n", vmcs_read(GUEST_PDPTR0),
		       vmcs_read(GUEST_PDPTR1), vmcs_read(GUEST_PDPTR2), vmcs_read(GUEST_PDPTR3));
	if (vmx_hw.load_efer)
		pr_err("guest EFER 0x%lx\n", vmcs_read(GUEST_IA32_EFER));
	if (vmx_hw.load_pat)
		pr_err("guest PAT 0x%016lx\n", vmcs_read(GUEST_IA32_PAT));
	pr_err("guest SYSENTER 0x%x 0x%016lx 0x%016lx DEBUGCTL 0x%lx pending debug 0x%lx\n",
	       vmcs_read32(GUEST_SYSENTER_CS), vmcs_read(GUEST_SYSENTER_EIP),
	       vmcs_read(GUEST_SYSENTER_ESP), vmcs_read(GUEST_IA32_DEBUGCTL),
	       vmcs_read(GUEST_PENDING_DBG_EXCEPTIONS));
	pr_err("guest interruptibility 0x%x activity 0x%x\n",
	       vmcs_read32(GUEST_INTERRUPTIBILITY_INFO), vmcs_read32(GUEST_ACTIVITY_STATE));
	dump_segments();
}

static void dump_host(void)
{
	pr_err("host RIP 0x%016lx RSP 0x%016lx CR0 0x%016lx CR3 0x%016lx CR4 0x%016lx\n",
	       vmcs_read(HOST_RIP), vmcs_read(HOST_RSP), vmcs_read(HOST_CR0),
	       vmcs_read(HOST_CR3), vmcs_read(HOST_CR4));
	pr_err("host CS 0x%x SS 0x%x DS 0x%x ES 0x%x FS 0x%x GS 0x%x TR 0x%x\n",
	       vmcs_read32(HOST_CS_SELECTOR), vmcs_read32(HOST_SS_SELECTOR),
	       vmcs_read32(HOST_DS_SELECTOR), vmcs_read32(HOST_ES_SELECTOR),
	       vmcs_read32(HOST_FS_SELECTOR), vmcs_read32(HOST_GS_SELECTOR),
	       vmcs_read32(HOST_TR_SELECTOR));
	pr_err("host FS 0x%016lx GS 0x%016lx TR 0x%016lx GDT 0x%016lx IDT 0x%016lx\n",
	       vmcs_read(HOST_FS_BASE), vmcs_read(HOST_GS_BASE), vmcs_read(HOST_TR_BASE),
	       vmcs_read(HOST_GDTR_BASE), vmcs_read(HOST_IDTR_BASE));
	pr_err("host SYSENTER 0x%x 0x%016lx 0x%016lx\n", vmcs_read32(HOST_IA32_SYSENTER_CS),
	       vmcs_read(HOST_IA32_SYSENTER_EIP), vmcs_read(HOST_IA32_SYSENTER_ESP));
	if (vmx_hw.load_efer)
		pr_err("host EFER 0x%lx\n", vmcs_read(HOST_IA32_EFER));
}

static void dump_controls(const struct vcpu_vmx *vmx)
{
	pr_err("controls: pin 0x%x processor 0x%x secondary 0x%x exit 0x%x entry 0x%x\n",
	       vmcs_read32(PIN_BASED_VM_EXEC_CONTROL), vmcs_read32(CPU_BASED_VM_EXEC_CONTROL),
	       vmx->controls.cpu2, vmcs_read32(VM_EXIT_CONTROLS),
	       vmcs_read32(VM_ENTRY_CONTROLS));
	pr_err("exceptions 0x%x TSC offset 0x%lx\n", vmcs_read32(EXCEPTION_BITMAP),
	       vmcs_read(TSC_OFFSET));
	pr_err("entry event 0x%x error code 0x%x length %u\n",
	       vmcs_read32(VM_ENTRY_INTR_INFO_FIELD),
	       vmcs_read32(VM_ENTRY_EXCEPTION_ERROR_CODE),
	       vmcs_read32(VM_ENTRY_INSTRUCTION_LEN));
	if (vmx_hw.ept)
		pr_err("EPT pointer 0x%lx VPID %u\n", vmcs_read(EPT_POINTER), vmx->vpid);
}

void vmx_dump_vmcs(struct kvm_vcpu *vcpu)
{
	static DEFINE_RATELIMIT_STATE(limit, 5 * HZ, 1);
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (!__ratelimit(&limit))
		return;
	if (vmx->entry_failed)
		pr_err("the entry of vcpu %d failed: instruction error %u\n", vcpu->vcpu_id,
		       vmx->instruction_error);
	else
		pr_err("the entry of vcpu %d was refused: reason 0x%x qualification 0x%lx\n",
		       vcpu->vcpu_id, vmx->exit_reason, vmcs_read(EXIT_QUALIFICATION));
	dump_guest();
	dump_host();
	dump_controls(vmx);
}
