// SPDX-License-Identifier: GPL-2.0
/*
 * The fast ways into the kernel and out of it, which read no descriptor: SYSCALL and SYSRET,
 * SYSENTER and SYSEXIT, and SWAPGS. Intel's and AMD's processors differ in which of them exist in
 * which mode; what the guest's CPUID says decides. APM volume 2, section 6.1; APM volume 3; SDM
 * volume 2.
 */
#include "segment.h"

#define MSR_SYSENTER_CS		0x174u
#define MSR_SYSENTER_ESP	0x175u
#define MSR_SYSENTER_EIP	0x176u
#define MSR_STAR		0xc0000081u
#define MSR_LSTAR		0xc0000082u
#define MSR_CSTAR		0xc0000083u
#define MSR_SFMASK		0xc0000084u
#define MSR_KERNEL_GS_BASE	0xc0000102u
#define EFER_SCE		1u
#define CPUID_EDX_SEP		(1u << 11)

enum width { CODE32, CODE64 };

static void flat(struct emu_descriptor *desc, u16 selector, unsigned int dpl, u16 kind)
{
	desc->in_memory = false;
	desc->seg.base = 0;
	desc->seg.limit = 0xffffffff;
	desc->seg.selector = selector;
	desc->seg.attr = EMU_ATTR_P | EMU_ATTR_S | EMU_ATTR_G | EMU_ATTR_WRITE |
			 EMU_ATTR_ACCESSED | dpl << EMU_ATTR_DPL_SHIFT | kind;
}

/* Flat segments of a level, as all of these instructions make them. */
static int set_flat(struct emulator *emu, u16 cs, u16 ss, unsigned int cpl, enum width width)
{
	struct emu_descriptor desc;
	int rc;

	flat(&desc, cs, cpl, EMU_ATTR_CODE | (width == CODE64 ? EMU_ATTR_L : EMU_ATTR_DB));
	rc = emu_set_segment(emu, EMU_CS, &desc);
	if (rc != EMU_DONE)
		return rc;
	flat(&desc, ss, cpl, EMU_ATTR_DB);
	return emu_set_segment(emu, EMU_SS, &desc);
}

static inline u64 msr(struct emulator *emu, u32 index)
{
	return emu->ops->get_state_msr(emu, index);
}

/* #UD unless EFER.SCE is set; Intel's know SYSCALL and SYSRET in 64-bit mode only. */
static int check_syscall(struct emulator *emu)
{
	if (!(msr(emu, EMU_MSR_EFER) & EFER_SCE) || !emu_protected(emu) ||
	    (!emu->insn.amd && emu->mode != EMU_LONG64))
		return emu_raise(emu, VECTOR_UD);
	return EMU_DONE;
}

static int syscall_long(struct emulator *emu)
{
	u64 flags = emu->next_rflags, next = emu->next_rip;
	u16 selector = msr(emu, MSR_STAR) >> 32 & 0xfffc;
	int rc;

	rc = set_flat(emu, selector, selector + 8, 0, CODE64);
	if (rc != EMU_DONE)
		return rc;
	emu->gpr[EMU_RCX] = next;
	emu->gpr[EMU_R11] = flags;
	emu->next_rip = msr(emu, emu->mode == EMU_LONG64 ? MSR_LSTAR : MSR_CSTAR);
	emu->next_rflags = (flags & ~(msr(emu, MSR_SFMASK) | FLAG_RF)) | FLAG_FIXED;
	return EMU_DONE;
}

static int syscall_legacy(struct emulator *emu)
{
	u64 star = msr(emu, MSR_STAR), next = emu->next_rip;
	u16 selector = star >> 32 & 0xfffc;
	int rc;

	rc = set_flat(emu, selector, selector + 8, 0, CODE32);
	if (rc != EMU_DONE)
		return rc;
	emu_set_gpr(emu, EMU_RCX, 4, next);
	emu->next_rip = (u32)star;
	emu->next_rflags &= ~(FLAG_VM | FLAG_IF | FLAG_RF);
	return EMU_DONE;
}

int emu_exec_syscall(struct emulator *emu)
{
	int rc;

	rc = check_syscall(emu);
	if (rc != EMU_DONE)
		return rc;
	return emu_long_mode(emu) ? syscall_long(emu) : syscall_legacy(emu);
}

int emu_exec_sysret(struct emulator *emu)
{
	bool wide = emu->insn.size == 8;
	u64 rip = emu->gpr[EMU_RCX];
	u16 selector;
	int rc;

	rc = check_syscall(emu);
	if (rc != EMU_DONE)
		return rc;
	if (emu->cpl)
		return emu_raise_gp0(emu);
	/* AMD's let the target fault, at CPL 3. */
	if (wide && !emu->insn.amd && !emu_canonical(emu, rip))
		return emu_raise_gp0(emu);

	selector = msr(emu, MSR_STAR) >> 48 | 3;
	rc = set_flat(emu, wide ? selector + 16 : selector, selector + 8, 3,
		      wide ? CODE64 : CODE32);
	if (rc != EMU_DONE)
		return rc;
	emu->next_rip = wide ? rip : (u32)rip;
	if (emu->mode == EMU_LONG64)
		emu->next_rflags = (emu->gpr[EMU_R11] & FLAG_LOADABLE & ~(FLAG_RF | FLAG_VM)) |
				   FLAG_FIXED;
	else
		emu->next_rflags |= FLAG_IF;
	return EMU_DONE;
}

/* AMD's do not know SYSENTER and SYSEXIT in long mode. */
static int check_sysenter(struct emulator *emu)
{
	bool has;
	int rc;

	rc = emu_has_feature(emu, 1, 3, CPUID_EDX_SEP, &has);
	if (rc != EMU_DONE)
		return rc;
	if (!has || (emu->insn.amd && emu_long_mode(emu)))
		return emu_raise(emu, VECTOR_UD);
	return emu->mode == EMU_REAL ? emu_raise_gp0(emu) : EMU_DONE;
}

int emu_exec_sysenter(struct emulator *emu)
{
	u64 mask = emu_mask(emu_long_mode(emu) ? 8 : 4);
	u16 selector;
	int rc;

	rc = check_sysenter(emu);
	if (rc != EMU_DONE)
		return rc;
	selector = msr(emu, MSR_SYSENTER_CS) & 0xfffc;
	if (!selector)
		return emu_raise_gp0(emu);
	rc = set_flat(emu, selector, selector + 8, 0, mask >> 32 ? CODE64 : CODE32);
	if (rc != EMU_DONE)
		return rc;
	emu->gpr[EMU_RSP] = msr(emu, MSR_SYSENTER_ESP) & mask;
	emu->next_rip = msr(emu, MSR_SYSENTER_EIP) & mask;
	emu->next_rflags &= ~(FLAG_VM | FLAG_IF | FLAG_RF);
	return EMU_DONE;
}

int emu_exec_sysexit(struct emulator *emu)
{
	u64 rip = emu->gpr[EMU_RDX], rsp = emu->gpr[EMU_RCX];
	bool wide = emu->insn.size == 8;
	u16 selector;
	int rc;

	rc = check_sysenter(emu);
	if (rc != EMU_DONE)
		return rc;
	if (emu->cpl)
		return emu_raise_gp0(emu);
	selector = msr(emu, MSR_SYSENTER_CS) & 0xfffc;
	if (!selector)
		return emu_raise_gp0(emu);
	if (wide && (!emu_canonical(emu, rip) || !emu_canonical(emu, rsp)))
		return emu_raise_gp0(emu);

	selector = (selector + (wide ? 32 : 16)) | 3;
	rc = set_flat(emu, selector, selector + 8, 3, wide ? CODE64 : CODE32);
	if (rc != EMU_DONE)
		return rc;
	emu->gpr[EMU_RSP] = wide ? rsp : (u32)rsp;
	emu->next_rip = wide ? rip : (u32)rip;
	return EMU_DONE;
}

int emu_exec_swapgs(struct emulator *emu)
{
	struct emu_descriptor desc;
	u64 base;
	int rc;

	if (emu->mode != EMU_LONG64)
		return emu_raise(emu, VECTOR_UD);
	if (emu->cpl)
		return emu_raise_gp0(emu);
	desc.seg = *emu_segment(emu, EMU_GS);
	base = msr(emu, MSR_KERNEL_GS_BASE);
	rc = emu->ops->set_state_msr(emu, MSR_KERNEL_GS_BASE, desc.seg.base);
	if (rc != EMU_DONE)
		return rc;
	desc.seg.base = base;
	return emu_set_segment(emu, EMU_GS, &desc);
}
