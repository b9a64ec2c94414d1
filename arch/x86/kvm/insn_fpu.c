// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's vector registers as the emulator's ops. While a vcpu runs they are the processor's
 * own, between fpregs_lock() and fpregs_unlock(). SDM volume 1, chapters 9 to 11.
 */
#include <asm/fpu/sched.h>

#include "insn.h"

static void fpu_begin(void)
{
	fpregs_lock();
	fpregs_assert_state_consistent();
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
}

#define XMM_CASES(op)	\
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)	\
	op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define MMX_CASES(op)	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)

void kvm_emu_get_xmm(struct emulator *emu, unsigned int nr, void *val)
{
	u8 (*p)[16] = val;

	fpu_begin();
	switch (nr) {
#define READ_XMM(n) case n: asm("movdqu %%xmm" #n ", %0" : "=m" (*p)); break;
	XMM_CASES(READ_XMM)
	}
	fpregs_unlock();
}

void kvm_emu_set_xmm(struct emulator *emu, unsigned int nr, const void *val)
{
	const u8 (*p)[16] = val;

	fpu_begin();
	switch (nr) {
#define WRITE_XMM(n) case n: asm volatile("movdqu %0, %%xmm" #n : : "m" (*p)); break;
	XMM_CASES(WRITE_XMM)
	}
	fpregs_unlock();
}

void kvm_emu_get_mmx(struct emulator *emu, unsigned int nr, void *val)
{
	u64 *p = val;

	fpu_begin();
	switch (nr) {
#define READ_MMX(n) case n: asm("movq %%mm" #n ", %0" : "=m" (*p)); break;
	MMX_CASES(READ_MMX)
	}
	fpregs_unlock();
}

void kvm_emu_set_mmx(struct emulator *emu, unsigned int nr, const void *val)
{
	const u64 *p = val;

	fpu_begin();
	switch (nr) {
#define WRITE_MMX(n) case n: asm volatile("movq %0, %%mm" #n : : "m" (*p)); break;
	MMX_CASES(WRITE_MMX)
	}
	fpregs_unlock();
}
