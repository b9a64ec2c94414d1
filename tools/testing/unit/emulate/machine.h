/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A make-believe machine for the emulator: some memory, some device memory, ports, registers, and a
 * record of what was asked of them; and the counting of test cases.
 */
#ifndef UNIT_EMULATE_MACHINE_H
#define UNIT_EMULATE_MACHINE_H

#include "emulate.h"

#define RAM_BYTES	0x40000u	/* at linear 0 */
#define MMIO_BASE	0xfee00000ull
#define MMIO_BYTES	0x1000u

#define CODE		0x1000u		/* where test instructions are put */
#define DATA		0x8000u
#define STACK		0x9000u
#define GDT		0x2000u

#define MAX_READS	64

enum window_access { WINDOW_RW, WINDOW_RO, WINDOW_NONE };

struct machine {
	struct emulator emu;
	unsigned long gpr[EMU_GPR_COUNT];
	u8 ram[RAM_BYTES];
	bool absent[RAM_BYTES / 4096];
	bool readonly[RAM_BYTES / 4096];

	/* More memory, where the program itself has it: the processor can be compared with it. */
	u8 *window;
	unsigned int window_bytes;
	u8 window_page[8];	/* enum window_access */

	struct emu_segment seg[EMU_SEG_COUNT];
	struct emu_table dt[2];
	u64 cr[9];
	u64 dr[8];
	u64 efer;
	u64 msr;
	u32 msr_index;
	u64 xcr0;
	u64 system_msr[8];
	struct emu_fpu fpu;
	u8 ymm_high[16][16];
	u64 tsc;
	u32 tsc_aux;
	bool no_features;
	bool host_features;	/* CPUID is the processor's own */

	/*
	 * Device memory answers the n-th read of an instruction when somebody has supplied the
	 * value.
	 */
	u64 answers[MAX_READS];
	unsigned int answered;
	unsigned int reads;
	u64 mmio_written;
	u64 mmio_address;
	unsigned int mmio_writes;

	/* Ports */
	bool pio_ready;
	u16 port;
	unsigned int pio_size;
	unsigned int pio_count;
	unsigned int pio_calls;
	u8 pio_data[1024];

	unsigned int checkpoints;
	unsigned int stop_after;
	unsigned int segment_reads;
	unsigned int cr_reads;
	unsigned int fetches;
	unsigned int halts;
	unsigned int hypercalls;
	unsigned int waits;
	unsigned int cache_flushes;
	u64 invalidated;
	unsigned int tlb_flushes;
	u32 pkru;
	unsigned int lose_races;
};

void machine_reset(struct machine *m, enum emu_mode mode);
void machine_code(struct machine *m, const void *bytes, unsigned int n);
int machine_decode(struct machine *m, const void *bytes, unsigned int n);
int machine_run(struct machine *m, const void *bytes, unsigned int n);
/* Has a table test executed something by this row of the opcode maps? */
bool machine_has_run(const struct emu_opcode *op);
u64 machine_peek(const struct machine *m, u64 linear, unsigned int size);
void machine_poke(struct machine *m, u64 linear, u64 val, unsigned int size);
void machine_descriptor(struct machine *m, u16 selector, u32 base, u32 limit, u16 attr);

/* Cases are counted one by one and reported by group. */
void group_begin(const char *name);
void group_end(void);
void group_skip(const char *name, const char *why);
bool check_case(bool ok, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
unsigned int group_failed(void);
int report(void);

#define CHECK(ok, ...) check_case(ok, __FILE__, __LINE__, __VA_ARGS__)

#define BYTES(...) ((const u8[]){ __VA_ARGS__ }), sizeof((const u8[]){ __VA_ARGS__ })

void test_decode(void);
void test_integer(void);
void test_stack_and_control(void);
void test_transfers(void);
void test_tasks(void);
void test_string(void);
void test_system(void);
void test_vector(void);
void test_x87_and_avx(void);
void test_faults(void);
void test_restart(void);
void test_vendors(void);
void test_coverage(void);

#endif
