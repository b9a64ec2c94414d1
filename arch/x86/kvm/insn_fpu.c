// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's vector and x87 registers as the emulator's ops. While a vcpu runs they are the
 * processor's own, between fpregs_lock() and fpregs_unlock(). SDM volume 1, chapters 9 to 11.
 */
#include <asm/fpu/api.h>
#include <asm/fpu/sched.h>
#include <asm/fpu/types.h>

#include "insn.h"

/* What an image without a mask stands for (APM volume 1, section 11.5.9) */
#define MXCSR_MASK_DEFAULT	0xffbfu

static void fpu_begin(void)
{
	fpregs_lock();
	fpregs_assert_state_consistent();
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
}

#define VECTOR_CASES(op)	\
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)	\
	op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)

static void get_xmm(unsigned int nr, u8 (*p)[16])
{
	switch (nr) {
#define READ_XMM(n) case n: asm("movdqu %%xmm" #n ", %0" : "=m" (*p)); break;
	VECTOR_CASES(READ_XMM)
	}
}

static void set_xmm(unsigned int nr, const u8 (*p)[16])
{
	switch (nr) {
#define WRITE_XMM(n) case n: asm volatile("movdqu %0, %%xmm" #n : : "m" (*p)); break;
	VECTOR_CASES(WRITE_XMM)
	}
}

static void get_ymm(unsigned int nr, u8 (*p)[32])
{
	switch (nr) {
#define READ_YMM(n) case n: asm("vmovdqu %%ymm" #n ", %0" : "=m" (*p)); break;
	VECTOR_CASES(READ_YMM)
	}
}

/* Clears what is above, with AVX-512 too. */
static void set_ymm(unsigned int nr, const u8 (*p)[32])
{
	switch (nr) {
#define WRITE_YMM(n) case n: asm volatile("vmovdqu %0, %%ymm" #n : : "m" (*p)); break;
	VECTOR_CASES(WRITE_YMM)
	}
}

/* 32 bytes are asked for only if the guest's XCR0 has AVX, and so has the host's. */
void kvm_emu_get_vector(struct emulator *emu, unsigned int nr, void *val, unsigned int size)
{
	fpu_begin();
	if (size == 16)
		get_xmm(nr, val);
	else
		get_ymm(nr, val);
	fpregs_unlock();
}

void kvm_emu_set_vector(struct emulator *emu, unsigned int nr, const void *val, unsigned int size)
{
	fpu_begin();
	if (size == 16)
		set_xmm(nr, val);
	else
		set_ymm(nr, val);
	fpregs_unlock();
}

/*
 * The image, and not single x87 or MMX instructions: those would raise exceptions that the guest
 * has left pending, and leave the kernel's addresses behind.
 */
void kvm_emu_get_fpu(struct emulator *emu, struct emu_fpu *fpu)
{
	BUILD_BUG_ON(sizeof(*fpu) != sizeof(struct fxregs_state));
	/* There are processors that leave alone what has no meaning. */
	memset(fpu, 0, sizeof(*fpu));
	fpu_begin();
	asm volatile("fxsave64 %0" : "+m" (*fpu));
	fpregs_unlock();
}

void kvm_emu_set_fpu(struct emulator *emu, const struct emu_fpu *fpu)
{
	struct fxregs_state fx;

	memcpy(&fx, fpu, sizeof(fx));
	/* Bits that do not exist would raise #GP. The mask is as kvm_emu_get_fpu() has found it. */
	fx.mxcsr &= fx.mxcsr_mask ?: MXCSR_MASK_DEFAULT;
	fpu_begin();
	asm volatile("fxrstor64 %0" : : "m" (fx));
	fpregs_unlock();
}

u64 kvm_emu_get_xcr0(struct emulator *emu)
{
	return emu_vcpu(emu)->arch.xcr0;
}
