// SPDX-License-Identifier: GPL-2.0
/*
 * Who may use the FPU and its vector registers, and instructions that move their state as a whole:
 * FXSAVE, FXRSTOR, MXCSR. x87 instructions are in x87.c, moves of vector registers in sse.c and
 * mmx.c. APM volume 2, section 11.4 (availability) and 11.5 (state images); volume 1, section 6.8
 * (x87 exceptions).
 */
#include "opcode.h"

#define FX_XMM		160u	/* offset of XMM0 */
#define FX_UNUSED	464u	/* neither saved nor restored from here on */
#define FCW_DEFINED	0x1f3fu
#define FCW_FIXED	0x0040u
#define MXCSR_MASK_OLD	0xffbfu	/* what a mask of zero stands for */

/* The registers keep their places while the stack's top, and with it the image's first, moves. */
void emu_x87_set_top(struct emu_fpu *fpu, unsigned int to)
{
	unsigned int by = to - emu_x87_top(fpu), i;
	struct emu_x87 st[8];

	for (i = 0; i < 8; i++)
		st[i] = fpu->st[(i + by) & 7];
	__builtin_memcpy(fpu->st, st, sizeof(st));
	fpu->fsw = (fpu->fsw & ~X87_TOP) | (to & 7) << X87_TOP_SHIFT;
}

/* ES, and B with it, tell that an exception has happened that is not masked. */
void emu_x87_update_summary(struct emu_fpu *fpu)
{
	fpu->fsw &= ~(X87_ES | X87_B);
	if (fpu->fsw & ~fpu->fcw & X87_EXCEPTIONS)
		fpu->fsw |= X87_ES | X87_B;
}

void emu_x87_set_control(struct emu_fpu *fpu, u16 fcw)
{
	fpu->fcw = (fcw & FCW_DEFINED) | FCW_FIXED;
	emu_x87_update_summary(fpu);
}

/* An exception that an earlier instruction left pending; without NE it is an affair of the PIC. */
int emu_x87_pending(struct emulator *emu, struct emu_fpu *fpu)
{
	emu->ops->get_fpu(emu, fpu);
	if (!(fpu->fsw & X87_ES))
		return EMU_DONE;
	if (!(emu->ops->get_cr(emu, 0) & CR0_NE))
		return EMU_UNHANDLED;
	return emu_raise(emu, VECTOR_MF);
}

int emu_x87_begin(struct emulator *emu, struct emu_fpu *fpu, bool waits)
{
	if (emu->ops->get_cr(emu, 0) & (CR0_EM | CR0_TS))
		return emu_raise(emu, VECTOR_NM);
	if (waits)
		return emu_x87_pending(emu, fpu);
	emu->ops->get_fpu(emu, fpu);
	return EMU_DONE;
}

int emu_mmx_begin(struct emulator *emu, struct emu_fpu *fpu)
{
	u64 cr0 = emu->ops->get_cr(emu, 0);

	if (cr0 & CR0_EM)
		return emu_raise(emu, VECTOR_UD);
	if (cr0 & CR0_TS)
		return emu_raise(emu, VECTOR_NM);
	return emu_x87_pending(emu, fpu);
}

int emu_vector_allowed(struct emulator *emu)
{
	u64 cr0 = emu->ops->get_cr(emu, 0), cr4 = emu->ops->get_cr(emu, 4);

	if (emu->insn.vex) {
		if (!(cr4 & CR4_OSXSAVE) || (emu->ops->get_xcr0(emu) & XCR0_AVX) != XCR0_AVX)
			return emu_raise(emu, VECTOR_UD);
	} else if ((cr0 & CR0_EM) || !(cr4 & CR4_OSFXSR)) {
		return emu_raise(emu, VECTOR_UD);
	}
	return cr0 & CR0_TS ? emu_raise(emu, VECTOR_NM) : EMU_DONE;
}

/* The memory operand, which faults if it is not a multiple of align, wherever it is. */
int emu_operand_linear(struct emulator *emu, unsigned int size, unsigned int align, bool write,
		       u64 *linear)
{
	int rc;

	rc = emu_linear(emu, emu->insn.seg, emu->insn.ea, size, write, linear);
	if (rc == EMU_FAULT && emu->mode == EMU_LONG64 && emu->insn.seg < EMU_FS)
		*linear = emu->insn.ea;
	else if (rc != EMU_DONE)
		return rc;
	return *linear & (align - 1) ? emu_raise_gp0(emu) : rc;
}

/*
 * How much of an image there is: XMM8 and higher belong to 64-bit mode, XMM registers and MXCSR to
 * systems that have set OSFXSR, and not to a kernel that has chosen the fast variant.
 */
static int image_size(struct emulator *emu, unsigned int *size)
{
	u64 efer;
	int rc;

	*size = FX_XMM;
	if (!(emu->ops->get_cr(emu, 4) & CR4_OSFXSR))
		return EMU_DONE;
	*size = emu->mode == EMU_LONG64 ? FX_XMM + 256 : FX_XMM + 128;
	if (emu->mode != EMU_LONG64 || emu->cpl)
		return EMU_DONE;
	rc = emu->ops->get_msr(emu, EMU_MSR_EFER, &efer);
	if (rc == EMU_DONE && (efer & EFER_FFXSR_BIT))
		*size = FX_XMM;
	return rc;
}

static int begin_image(struct emulator *emu, struct emu_fpu *fpu, bool write, unsigned int *size,
		       u64 *linear)
{
	int rc;

	rc = emu_x87_begin(emu, fpu, false);
	if (rc != EMU_DONE)
		return rc;
	rc = image_size(emu, size);
	if (rc != EMU_DONE)
		return rc;
	return emu_operand_linear(emu, sizeof(*fpu), 16, write, linear);
}

/* Without REX.W addresses have 32 bits and a selector, which the ops do not know. */
static inline bool wide_pointers(const struct emulator *emu)
{
	return emu->insn.rex & 8;
}

/* Bits of MXCSR that the processor does not have raise #GP. */
static bool mxcsr_exists(const struct emu_fpu *fpu, u32 mxcsr)
{
	return !(mxcsr & ~(fpu->mxcsr_mask ? fpu->mxcsr_mask : MXCSR_MASK_OLD));
}

int emu_exec_fxsave(struct emulator *emu)
{
	struct emu_fpu fpu;
	unsigned int size;
	u64 linear;
	int rc;

	rc = begin_image(emu, &fpu, true, &size, &linear);
	if (rc != EMU_DONE)
		return rc;
	if (!wide_pointers(emu)) {
		fpu.fip = (u32)fpu.fip;
		fpu.fdp = (u32)fpu.fdp;
	}
	return emu->ops->write(emu, linear, &fpu, size, 0);
}

/* The image waits where data on their way to ports do: two of them are much for a stack. */
int emu_exec_fxrstor(struct emulator *emu)
{
	struct emu_fpu *image = (struct emu_fpu *)emu->batch, fpu;
	unsigned int size;
	u64 linear;
	int rc;

	rc = begin_image(emu, &fpu, false, &size, &linear);
	if (rc != EMU_DONE)
		return rc;
	rc = emu->ops->read(emu, linear, image, FX_UNUSED, 0);
	if (rc != EMU_DONE)
		return rc;

	if (!(emu->ops->get_cr(emu, 4) & CR4_OSFXSR))
		image->mxcsr = fpu.mxcsr;
	else if (!mxcsr_exists(&fpu, image->mxcsr))
		return emu_raise_gp0(emu);
	if (!wide_pointers(emu)) {
		image->fip = (u32)image->fip;
		image->fdp = (u32)image->fdp;
	}
	image->mxcsr_mask = fpu.mxcsr_mask;
	__builtin_memcpy(&fpu, image, size);
	emu_x87_set_control(&fpu, fpu.fcw);
	emu->ops->set_fpu(emu, &fpu);
	return EMU_DONE;
}

int emu_exec_ldmxcsr(struct emulator *emu)
{
	struct emu_fpu fpu;
	u64 val;
	int rc;

	rc = emu_vector_allowed(emu);
	if (rc != EMU_DONE)
		return rc;
	rc = emu_read_value(emu, emu->insn.seg, emu->insn.ea, &val, 4);
	if (rc != EMU_DONE)
		return rc;

	emu->ops->get_fpu(emu, &fpu);
	if (!mxcsr_exists(&fpu, val))
		return emu_raise_gp0(emu);
	fpu.mxcsr = val;
	emu->ops->set_fpu(emu, &fpu);
	return EMU_DONE;
}

int emu_exec_stmxcsr(struct emulator *emu)
{
	struct emu_fpu fpu;
	int rc;

	rc = emu_vector_allowed(emu);
	if (rc != EMU_DONE)
		return rc;
	emu->ops->get_fpu(emu, &fpu);
	return emu_write_mem(emu, emu->insn.seg, emu->insn.ea, &fpu.mxcsr, 4);
}
