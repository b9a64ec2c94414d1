/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The instruction emulator's contract with its caller. The emulator sees the guest only through
 * struct emu_ops, keeps nothing between instructions but what is in struct emulator, allocates
 * nothing and includes no kernel header. The specification is AMD64 APM volumes 1 to 3 and Intel
 * SDM volumes 1 and 2.
 *
 * Use: fill the first part of struct emulator, call emu_decode(), then emu_execute() until it
 * returns something other than EMU_AGAIN or EMU_PENDING. See
 * Documentation/virt/kvm/x86/emulator.rst.
 */
#ifndef EMULATE_EMULATE_H
#define EMULATE_EMULATE_H

#include "types.h"

struct emulator;
struct emu_opcode;

enum emu_result {
	EMU_DONE,	/* completed: rip, rflags and registers are those after the instruction */
	/*
	 * Not completed, but what is committed is consistent and rip is still that of the
	 * instruction: a string instruction between two iterations, or a locked access that lost a
	 * race. Run it again, at once or after an interrupt; reads logged for it are stale.
	 */
	EMU_AGAIN,
	/*
	 * An op waits for somebody else (userspace). Nothing has changed since the instruction
	 * began, or since the last checkpoint(). Call emu_execute() again when the op can answer.
	 */
	EMU_PENDING,
	EMU_FAULT,	/* emu->fault is to be raised at emu->rip; nothing else changed */
	EMU_UNHANDLED,	/* not covered by this emulator; nothing changed */
};

/* What the code segment and the processor mode make of the next instruction. */
enum emu_mode {
	EMU_REAL,
	EMU_VM86,
	EMU_PROT16,	/* protected or compatibility mode, CS.D = 0 */
	EMU_PROT32,	/* protected or compatibility mode, CS.D = 1 */
	EMU_LONG64,
};

/* General registers by their number in ModRM. */
enum emu_gpr {
	EMU_RAX, EMU_RCX, EMU_RDX, EMU_RBX, EMU_RSP, EMU_RBP, EMU_RSI, EMU_RDI,
	EMU_R8, EMU_R9, EMU_R10, EMU_R11, EMU_R12, EMU_R13, EMU_R14, EMU_R15,
	EMU_GPR_COUNT
};

/* Segment registers by their number in ModRM, then the two system ones. */
enum emu_seg {
	EMU_ES, EMU_CS, EMU_SS, EMU_DS, EMU_FS, EMU_GS, EMU_LDTR, EMU_TR,
	EMU_SEG_COUNT
};

/*
 * A segment register with its hidden part. The limit is in bytes. attr has the twelve bits of a
 * descriptor without the limit bits between them, as a VMCB has them; a null segment has P = 0.
 */
struct emu_segment {
	u64 base;
	u32 limit;
	u16 selector;
	u16 attr;
};

#define EMU_ATTR_TYPE		0x000f
#define EMU_ATTR_ACCESSED	0x0001
#define EMU_ATTR_WRITE		0x0002	/* data: writable; code: readable */
#define EMU_ATTR_DOWN		0x0004	/* data: expand down; code: conforming */
#define EMU_ATTR_CODE		0x0008
#define EMU_ATTR_S		0x0010
#define EMU_ATTR_DPL		0x0060
#define EMU_ATTR_DPL_SHIFT	5
#define EMU_ATTR_P		0x0080
#define EMU_ATTR_AVL		0x0100
#define EMU_ATTR_L		0x0200
#define EMU_ATTR_DB		0x0400
#define EMU_ATTR_G		0x0800

enum emu_dt { EMU_GDT, EMU_IDT };

struct emu_table {
	u64 base;
	u16 limit;
};

struct emu_fault {
	u8 vector;
	bool has_error;
	u32 error;
	u64 address;	/* #PF: the linear address for CR2 */
};

/* Why a task is switched to; the numbers are those of a VMX exit qualification. */
enum emu_task_switch { EMU_TASK_CALL, EMU_TASK_IRET, EMU_TASK_JUMP, EMU_TASK_GATE };

/* How read() and write() touch memory. */
#define EMU_ACCESS_MODIFY	0x1	/* read(): a write of the same bytes follows, check now */
#define EMU_ACCESS_SYSTEM	0x2	/* descriptors, TSS: as at CPL 0 */

/* Interrupt shadow that the instruction leaves behind. */
#define EMU_SHADOW_STI		0x1
#define EMU_SHADOW_SS		0x2

/* Causes of a debug exception that the instruction leaves behind, as in DR6 */
#define EMU_TRAP_TASK		0x8000

#define EMU_MAX_ACCESS	1024

/* An x87 register: the integer bit is explicit, sign and exponent are in one. */
struct emu_x87 {
	u64 mantissa;
	u16 exponent;
	u8 unused[6];
};

/* As FXSAVE64 has it. st[0] is the top of the stack; ftw has a bit a register by its own number. */
struct emu_fpu {
	u16 fcw;
	u16 fsw;
	u8 ftw;
	u8 unused_ftw;
	u16 fop;
	u64 fip;
	u64 fdp;
	u32 mxcsr;
	u32 mxcsr_mask;
	struct emu_x87 st[8];
	u8 xmm[16][16];
	u8 unused[96];
} __attribute__((__aligned__(16)));

/*
 * How the emulator reaches the guest. Functions that return int return an enum emu_result:
 * EMU_DONE; EMU_FAULT after having filled emu->fault; EMU_PENDING; or EMU_UNHANDLED, which ends the
 * instruction and is passed to the caller as it is. Linear addresses are checked for limits and
 * canonical form, and truncated to the mode's width; alignment and page boundaries are the op's
 * affair. One call moves at most EMU_MAX_ACCESS bytes, and either all of them or none.
 *
 * Memory. One instruction (or one iteration of a repeated one) makes the same reads in the same
 * order whenever it is run again, so a read that userspace answered can be recognised by its
 * number. write() and pio_out() may queue what they cannot do at once, and then return EMU_DONE.
 */
struct emu_ops {
	/* Instruction bytes; never crosses a page boundary. */
	int (*fetch)(struct emulator *emu, u64 linear, void *buf, unsigned int size);
	int (*read)(struct emulator *emu, u64 linear, void *buf, unsigned int size,
		    unsigned int access);
	int (*write)(struct emulator *emu, u64 linear, const void *buf, unsigned int size,
		     unsigned int access);
	/* Would a read fault, or a write? Changes nothing. */
	int (*probe_read)(struct emulator *emu, u64 linear, unsigned int size);
	int (*probe_write)(struct emulator *emu, u64 linear, unsigned int size);
	/* Atomic; EMU_AGAIN when memory was not *old. size is 1, 2, 4, 8 or 16. */
	int (*cmpxchg)(struct emulator *emu, u64 linear, const void *old, const void *new,
		       unsigned int size);

	/*
	 * After each iteration of a repeated string instruction: registers are committed, the reads
	 * so far are consumed (forget their log). True makes the emulator stop with EMU_AGAIN,
	 * because an interrupt is waiting or a queue is full.
	 */
	bool (*checkpoint)(struct emulator *emu);

	/* count elements of size bytes, 1024 bytes at most; permission has been checked. */
	int (*pio_in)(struct emulator *emu, u16 port, unsigned int size, void *buf,
		      unsigned int count);
	int (*pio_out)(struct emulator *emu, u16 port, unsigned int size, const void *buf,
		       unsigned int count);

	void (*get_segment)(struct emulator *emu, enum emu_seg seg, struct emu_segment *val);
	int (*set_segment)(struct emulator *emu, enum emu_seg seg, const struct emu_segment *val);
	void (*get_dt)(struct emulator *emu, enum emu_dt which, struct emu_table *val);
	int (*set_dt)(struct emulator *emu, enum emu_dt which, const struct emu_table *val);

	/* CR0, CR2, CR3, CR4, CR8; other numbers never arrive. set_cr() checks reserved bits. */
	u64 (*get_cr)(struct emulator *emu, unsigned int nr);
	int (*set_cr)(struct emulator *emu, unsigned int nr, u64 val);
	/* 0 to 7, with 4 and 5 mapped to 6 and 7 already; DR7.GD and reserved bits are the op's. */
	int (*get_dr)(struct emulator *emu, unsigned int nr, u64 *val);
	int (*set_dr)(struct emulator *emu, unsigned int nr, u64 val);
	int (*get_msr)(struct emulator *emu, u32 index, u64 *val);
	int (*set_msr)(struct emulator *emu, u32 index, u64 val);
	/* Those that instructions other than RDMSR and WRMSR use: always there. */
	u64 (*get_state_msr)(struct emulator *emu, u32 index);
	int (*set_state_msr)(struct emulator *emu, u32 index, u64 val);
	int (*get_xcr)(struct emulator *emu, u32 index, u64 *val);
	int (*set_xcr)(struct emulator *emu, u32 index, u64 val);
	/* A task switch: the local enables of DR7 end, whatever DR7.GD says. */
	void (*end_local_breakpoints)(struct emulator *emu);

	/* In: regs[0] = EAX, regs[2] = ECX. Out: EAX, EBX, ECX, EDX. */
	int (*cpuid)(struct emulator *emu, u32 regs[4]);
	int (*rdtsc)(struct emulator *emu, u64 *tsc, u32 *aux);
	int (*rdpmc)(struct emulator *emu, u32 counter, u64 *val);
	int (*halt)(struct emulator *emu);
	int (*invlpg)(struct emulator *emu, u64 linear);
	/* INVPCID: what it named, or more. */
	int (*flush_tlb)(struct emulator *emu);
	u32 (*get_pkru)(struct emulator *emu);
	void (*set_pkru)(struct emulator *emu, u32 val);
	int (*wbinvd)(struct emulator *emu);
	/* MONITOR and MWAIT, where the privilege level allows them; #UD if the guest has none. */
	int (*mwait)(struct emulator *emu);
	/*
	 * RSM: loads all state there is, rip and rflags by way of next_rip and next_rflags; #UD
	 * outside system management mode.
	 */
	int (*leave_smm)(struct emulator *emu);
	/* Reads and writes emu->gpr itself; the emulator advances rip after EMU_DONE. */
	int (*hypercall)(struct emulator *emu);

	/*
	 * Vector registers. size is 16, and set_vector() leaves the rest of the register alone, or
	 * 32, and it clears what there is above.
	 */
	void (*get_vector)(struct emulator *emu, unsigned int nr, void *val, unsigned int size);
	void (*set_vector)(struct emulator *emu, unsigned int nr, const void *val,
			   unsigned int size);
	/* All that FXSAVE64 saves. The emulator gives back no MXCSR that faults. */
	void (*get_fpu)(struct emulator *emu, struct emu_fpu *fpu);
	void (*set_fpu)(struct emulator *emu, const struct emu_fpu *fpu);
	u64 (*get_xcr0)(struct emulator *emu);
};

#define EMU_MAX_LENGTH	15
/* Fifteen prefixes, and an instruction after them, read in words */
#define EMU_INSN_BUFFER	32

/* The decoded instruction: written by emu_decode(), read by everybody after that. */
struct emu_insn {
	const struct emu_opcode *op;
	u32 flags;		/* the opcode's, with those of the groups it is in */
	u8 available;		/* how many of bytes[] have been fetched */
	bool amd;		/* given by the caller: AMD's rules where they differ from Intel's */
	u8 length;
	u8 map;			/* 0: one byte; 1: 0f; 2: 0f 38; 3: 0f 3a; or VEX's */
	u8 opcode;

	/* Bytes that start out as constants */
	u8 rex;
	u8 rep;			/* 0, 0xf2 or 0xf3: the last one given */
	bool lock;
	bool opsize_prefix;
	bool seg_override;
	bool is_mem;		/* there is a memory operand */
	bool vex;		/* rex, rep and opsize_prefix are what VEX says */
	bool vex_256;
	u8 vvvv;		/* not inverted: the register */
	u8 seg;			/* of the memory operand, override included */
	u8 scale;

	u8 size;		/* of the operands, in bytes */
	u8 addr_size;		/* in bytes */
	u8 mod;			/* 3: register */
	u8 reg;			/* with REX.R */
	u8 rm;			/* with REX.B */
	u8 base;		/* of the memory operand: a register, or none, or rip */
	u8 index;
	s32 disp;
	u64 imm;
	u64 imm2;
	u64 ea;			/* offset in seg of the memory operand */
	u8 bytes[EMU_INSN_BUFFER];
};

/* Bytes that one round of INS or OUTS moves. */
#define EMU_MAX_BATCH	1024u

struct emulator {
	/*
	 * Given by the caller before emu_decode(). gpr, rip and rflags are brought up to date when
	 * the instruction completes; mode and cpl are not: take them from the segments each time.
	 */
	const struct emu_ops *ops;
	unsigned long *gpr;	/* [EMU_GPR_COUNT], used in place */
	u64 rip;		/* offset in CS */
	u64 rflags;
	u8 mode;		/* enum emu_mode */
	u8 cpl;
	/*
	 * Bytes of the instruction that the caller has already, in insn.bytes; 0 if none. The
	 * caller says how many in insn.available, every time.
	 */
	struct emu_insn insn;
	/* The bytes that insn was parsed from, and which of their bits; mode 1 more, 0 is none. */
	u64 parsed[2], parsed_mask[2];
	u8 parsed_mode;
	/* Segment registers that the caller has read already: bits of seg_valid, every time. */
	struct emu_segment seg[6];
	u8 seg_valid;

	/* Results. */
	struct emu_fault fault;		/* EMU_FAULT */
	u8 shadow;			/* EMU_DONE: EMU_SHADOW_* */
	bool nmi_unblocked;		/* EMU_DONE: it was an IRET */
	u16 trap;			/* EMU_DONE: EMU_TRAP_* */

	/* The emulator's own; next_rip may be read after emu_decode(). */
	u64 next_rip;
	u64 next_rflags;
	u64 src;
	u64 dst;
	u64 dst_old;
	u64 dst_linear;
	u8 ext;				/* EXT in error codes: an event from outside is delivered */
	/* On its way between a port and memory, or an image of the FPU */
	u8 batch[EMU_MAX_BATCH] __attribute__((__aligned__(16)));
};

/*
 * Fetch and decode the instruction at rip. When its bytes are those of the last one decoded, what
 * was made of them is taken again, so a caller does well to give them beforehand. EMU_DONE, EMU_FAULT
 * (#UD, #GP, or the fetch's), EMU_PENDING, or EMU_UNHANDLED.
 */
int emu_decode(struct emulator *emu);

/* Run what emu_decode() left in emu->insn; again and again without decoding anew if need be. */
int emu_execute(struct emulator *emu);

/*
 * Deliver an event that is no instruction's, from the state at rip: push the frame, go to the
 * handler. EMU_FAULT: emu->fault came of the delivery.
 */
int emu_interrupt(struct emulator *emu, u8 vector, bool has_error, u32 error);

/*
 * Switch to the task of a TSS. @length: of the instruction that asked for it, 0 for an event.
 * @external: EXT of the error codes. @error: what to push in the new task, or NULL. A fault may be
 * that of the new task's first instruction: rip says whose it is.
 */
int emu_task_switch(struct emulator *emu, u16 selector, enum emu_task_switch why,
		    unsigned int length, bool external, const u32 *error);

/*
 * Length of the instruction at bytes[0..n), or 0 if it is cut short, too long, or not known. @amd: as
 * in insn.
 */
unsigned int emu_insn_length(const u8 *bytes, unsigned int n, enum emu_mode mode, bool amd);

#endif
