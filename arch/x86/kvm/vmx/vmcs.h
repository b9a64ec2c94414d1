/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The instructions on a virtual machine control structure. SDM 3, chapter 25 (the structure) and
 * 31.3 (the instructions, and how they report failure).
 *
 * A failure means that this code is wrong, or that VMX went away under it because the machine
 * reboots: reads give 0 and writes vanish then, after one line in the log.
 */
#ifndef _KVM_VMX_VMCS_H
#define _KVM_VMX_VMCS_H

#include <linux/types.h>
#include <asm/asm.h>
#include <asm/vmx.h>

struct vmcs {
	u32 revision;		/* and, in bit 31, whether it is a shadow */
	u32 abort;
	u8 data[];
};

void vmx_read_failed(unsigned long field);
void vmx_write_failed(unsigned long field, unsigned long value);
void vmx_insn_failed(const char *insn, u64 operand);

static __always_inline unsigned long vmcs_read(unsigned long field)
{
	unsigned long value;
	bool failed;

	asm volatile("1: vmread %[field], %[value]\n"
		     "2:\n"
		     _ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_ZERO_REG, %[value])
		     : [value] "=&r" (value), "=@ccbe" (failed)
		     : [field] "r" (field));
	if (unlikely(failed)) {
		vmx_read_failed(field);
		return 0;
	}
	return value;
}

static __always_inline u32 vmcs_read32(unsigned long field)
{
	return vmcs_read(field);
}

static __always_inline void vmcs_write(unsigned long field, unsigned long value)
{
	asm goto("1: vmwrite %[value], %[field]\n"
		 "jna %l[failed]\n"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : [field] "r" (field), [value] "rm" (value) : "cc" : failed);
	return;
failed:
	vmx_write_failed(field, value);
}

static inline void vmcs_set_bits(unsigned long field, u32 bits)
{
	vmcs_write(field, vmcs_read(field) | bits);
}

static inline void vmcs_clear_bits(unsigned long field, u32 bits)
{
	vmcs_write(field, vmcs_read(field) & ~(unsigned long)bits);
}

/* Instructions with a physical address, or a descriptor, as operand. */
#define VMX_INSN(insn, operand)								\
	asm goto("1: " insn " %[op]\n"							\
		 "jna %l[failed]\n"							\
		 _ASM_EXTABLE(1b, %l[failed])						\
		 : : [op] "m" (operand) : "cc", "memory" : failed)

static inline int vmx_vmxon(u64 pa)
{
	VMX_INSN("vmxon", pa);
	return 0;
failed:
	return -EIO;
}

static inline void vmx_vmxoff(void)
{
	asm volatile("1: vmxoff\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     ::: "cc", "memory");
}

static inline void vmx_vmclear(u64 pa)
{
	VMX_INSN("vmclear", pa);
	return;
failed:
	vmx_insn_failed("vmclear", pa);
}

static inline void vmx_vmptrld(u64 pa)
{
	VMX_INSN("vmptrld", pa);
	return;
failed:
	vmx_insn_failed("vmptrld", pa);
}

static inline void vmx_invept(unsigned long extent, u64 eptp)
{
	struct { u64 eptp, zero; } operand = { eptp, 0 };

	asm goto("1: invept %[op], %[extent]\n"
		 "jna %l[failed]\n"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : [op] "m" (operand), [extent] "r" (extent) : "cc", "memory" : failed);
	return;
failed:
	vmx_insn_failed("invept", eptp);
}

static inline void vmx_invvpid(unsigned long extent, u16 vpid, u64 address)
{
	struct { u64 vpid, address; } operand = { vpid, address };

	asm goto("1: invvpid %[op], %[extent]\n"
		 "jna %l[failed]\n"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : [op] "m" (operand), [extent] "r" (extent) : "cc", "memory" : failed);
	return;
failed:
	vmx_insn_failed("invvpid", vpid);
}

#endif
