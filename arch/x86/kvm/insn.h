/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files that join the emulator to a vcpu share: the state of an instruction on its way
 * and, by file, the emulator's ops (struct emu_ops says what each owes). insn.c runs instructions,
 * insn_memory.c has memory, devices and ports, insn_regs.c the registers and what only a hypervisor
 * can answer, insn_fpu.c the vector registers.
 */
#ifndef _KVM_X86_INSN_H
#define _KVM_X86_INSN_H

#include "x86.h"
#include "emulate/emulate.h"

/* Enough for the longest access of one instruction, in the pieces userspace is given. */
#define MAX_PIECES	(EMU_MAX_ACCESS / 8 + 2)

struct mmio_piece {
	gpa_t gpa;
	u8 len;			/* at most 8 */
	u8 data[8];
};

struct mmio_queue {
	unsigned int nr;	/* pieces noted */
	unsigned int done;	/* of them answered or delivered */
	struct mmio_piece piece[MAX_PIECES];
};

struct kvm_x86_emulation {
	struct emulator emu;
	struct kvm_vcpu *vcpu;
	unsigned long start_rip;	/* where the instruction, or the string it is, begins */
	gpa_t fault_gpa;	/* of the memory operand, when the exit told; else INVALID_GPA */
	bool writes_table;	/* KVM_EMULATE_TABLE */
	unsigned int next_read;	/* pieces of the log this run has consumed */
	bool pio_answered;	/* the data of the pending IN is in the PIO page */
	enum { MSR_NOT_ASKED, MSR_ASKED, MSR_ANSWERED } msr;	/* by userspace, in kvm_run */
	bool pio_out;		/* an OUT waits to be handed out */
	bool halt;
	bool iterated;		/* a string instruction has completed a round */
	u32 traps;		/* debug exceptions to come when all is done, as in DR6 */
	struct mmio_queue reads, writes;
};

static inline struct kvm_x86_emulation *to_emulation(struct emulator *emu)
{
	return container_of(emu, struct kvm_x86_emulation, emu);
}

static inline struct kvm_vcpu *emu_vcpu(struct emulator *emu)
{
	return to_emulation(emu)->vcpu;
}

/* ---- insn_memory.c --------------------------------------------------------------------------- */

/* All bytes that an instruction can have, if they are easily had. */
void kvm_emu_fetch_ahead(struct emulator *emu);
int kvm_emu_fetch(struct emulator *emu, u64 linear, void *buf, unsigned int size);
int kvm_emu_read(struct emulator *emu, u64 linear, void *buf, unsigned int size,
		 unsigned int access);
int kvm_emu_write(struct emulator *emu, u64 linear, const void *buf, unsigned int size,
		  unsigned int access);
int kvm_emu_probe_read(struct emulator *emu, u64 linear, unsigned int size);
int kvm_emu_probe_write(struct emulator *emu, u64 linear, unsigned int size);
int kvm_emu_cmpxchg(struct emulator *emu, u64 linear, const void *old, const void *new,
		    unsigned int size);
bool kvm_emu_checkpoint(struct emulator *emu);
int kvm_emu_pio_in(struct emulator *emu, u16 port, unsigned int size, void *buf,
		   unsigned int count);
int kvm_emu_pio_out(struct emulator *emu, u16 port, unsigned int size, const void *buf,
		    unsigned int count);

/* ---- insn_regs.c ----------------------------------------------------------------------------- */

void kvm_emu_get_segment(struct emulator *emu, enum emu_seg seg, struct emu_segment *val);
int kvm_emu_set_segment(struct emulator *emu, enum emu_seg seg, const struct emu_segment *val);
void kvm_emu_get_dt(struct emulator *emu, enum emu_dt which, struct emu_table *val);
int kvm_emu_set_dt(struct emulator *emu, enum emu_dt which, const struct emu_table *val);
u64 kvm_emu_get_cr(struct emulator *emu, unsigned int nr);
int kvm_emu_set_cr(struct emulator *emu, unsigned int nr, u64 val);
int kvm_emu_get_dr(struct emulator *emu, unsigned int nr, u64 *val);
int kvm_emu_set_dr(struct emulator *emu, unsigned int nr, u64 val);
int kvm_emu_get_msr(struct emulator *emu, u32 index, u64 *val);
int kvm_emu_set_msr(struct emulator *emu, u32 index, u64 val);
u64 kvm_emu_get_state_msr(struct emulator *emu, u32 index);
int kvm_emu_set_state_msr(struct emulator *emu, u32 index, u64 val);
int kvm_emu_get_xcr(struct emulator *emu, u32 index, u64 *val);
int kvm_emu_set_xcr(struct emulator *emu, u32 index, u64 val);
void kvm_emu_end_local_breakpoints(struct emulator *emu);
int kvm_emu_cpuid(struct emulator *emu, u32 regs[4]);
int kvm_emu_rdtsc(struct emulator *emu, u64 *tsc, u32 *aux);
int kvm_emu_rdpmc(struct emulator *emu, u32 counter, u64 *val);
int kvm_emu_halt(struct emulator *emu);
int kvm_emu_invlpg(struct emulator *emu, u64 linear);
int kvm_emu_flush_tlb(struct emulator *emu);
u32 kvm_emu_get_pkru(struct emulator *emu);
void kvm_emu_set_pkru(struct emulator *emu, u32 val);
int kvm_emu_wbinvd(struct emulator *emu);
int kvm_emu_mwait(struct emulator *emu);
int kvm_emu_leave_smm(struct emulator *emu);
int kvm_emu_hypercall(struct emulator *emu);

/* ---- insn_fpu.c ------------------------------------------------------------------------------ */

void kvm_emu_get_vector(struct emulator *emu, unsigned int nr, void *val, unsigned int size);
void kvm_emu_set_vector(struct emulator *emu, unsigned int nr, const void *val,
			unsigned int size);
void kvm_emu_get_fpu(struct emulator *emu, struct emu_fpu *fpu);
void kvm_emu_set_fpu(struct emulator *emu, const struct emu_fpu *fpu);
u64 kvm_emu_get_xcr0(struct emulator *emu);

#endif
