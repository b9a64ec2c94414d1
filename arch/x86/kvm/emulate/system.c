// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions that an operating system uses: the interrupt flag, HLT, control and debug registers,
 * descriptor-table registers, MSRs, counters, CPUID, hypercalls. What a register may contain is
 * checked by the op that writes it; here are privilege and form. APM volume 2, chapters 3, 4 and
 * 13; volume 3, chapter 4.
 */
#include "opcode.h"

#define CPUID_EBX_SMAP	(1u << 20)
#define MAX_PCID	0xfffu

/* Kinds of INVPCID */
enum { INVPCID_ADDRESS, INVPCID_SPACE, INVPCID_ALL, INVPCID_ALL_BUT_GLOBAL };

int emu_exec_hlt(struct emulator *emu)
{
	return emu->ops->halt(emu);
}

/*
 * Who may change IF: 0 the real one, 1 its virtual stand-in (VME in virtual-8086 mode, PVI in
 * protected mode at CPL 3), -1 nobody.
 */
static int interrupt_flag_access(struct emulator *emu)
{
	u64 virtual = emu->mode == EMU_VM86 ? CR4_VME : CR4_PVI;

	if (emu->mode == EMU_REAL || emu->cpl <= emu_iopl(emu))
		return 0;
	if (emu->cpl == 3 && (emu->ops->get_cr(emu, 4) & virtual))
		return 1;
	return -1;
}

int emu_exec_cli(struct emulator *emu)
{
	int access = interrupt_flag_access(emu);

	if (access < 0)
		return emu_raise_gp0(emu);
	emu->next_rflags &= access ? ~FLAG_VIF : ~FLAG_IF;
	return EMU_DONE;
}

int emu_exec_sti(struct emulator *emu)
{
	int access = interrupt_flag_access(emu);

	if (access < 0 || (access && (emu->rflags & FLAG_VIP)))
		return emu_raise_gp0(emu);
	if (access) {
		emu->next_rflags |= FLAG_VIF;
		return EMU_DONE;
	}

	if (!(emu->rflags & FLAG_IF))
		emu->shadow = EMU_SHADOW_STI;
	emu->next_rflags |= FLAG_IF;
	return EMU_DONE;
}

static inline bool control_register_exists(unsigned int nr)
{
	return nr == 0 || nr == 2 || nr == 3 || nr == 4 || nr == 8;
}

/* LOCK makes CR8 of CR0 where the processor has that: CR8 can be reached from 32-bit modes then. */
static int control_register(struct emulator *emu, unsigned int *nr)
{
	int rc;

	*nr = emu->insn.lock ? 8 : emu->insn.reg;
	if (!control_register_exists(*nr))
		return emu_raise(emu, VECTOR_UD);
	if (emu->insn.lock) {
		rc = emu_require(emu, FEATURE_CR8_LEGACY);
		if (rc != EMU_DONE)
			return rc;
	}
	return EMU_DONE;
}

int emu_exec_mov_from_cr(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int nr;
	int rc;

	rc = control_register(emu, &nr);
	if (rc == EMU_DONE)
		emu_set_gpr(emu, insn->rm, insn->size, emu->ops->get_cr(emu, nr));
	return rc;
}

int emu_exec_mov_to_cr(struct emulator *emu)
{
	unsigned int nr;
	int rc;

	rc = control_register(emu, &nr);
	return rc == EMU_DONE ? emu->ops->set_cr(emu, nr, emu->src) : rc;
}

/*
 * DR4 and DR5 are other names of DR6 and DR7, unless CR4.DE abolishes them. -1: no such register.
 */
static int debug_register(struct emulator *emu)
{
	unsigned int nr = emu->insn.reg;

	if (nr > 7)
		return -1;
	if (nr != 4 && nr != 5)
		return nr;
	return emu->ops->get_cr(emu, 4) & CR4_DE ? -1 : (int)nr + 2;
}

int emu_exec_mov_from_dr(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	int nr = debug_register(emu), rc;
	u64 val = 0;

	if (nr < 0)
		return emu_raise(emu, VECTOR_UD);
	rc = emu->ops->get_dr(emu, nr, &val);
	if (rc == EMU_DONE)
		emu_set_gpr(emu, insn->rm, insn->size, val);
	return rc;
}

int emu_exec_mov_to_dr(struct emulator *emu)
{
	int nr = debug_register(emu);

	if (nr < 0)
		return emu_raise(emu, VECTOR_UD);
	return emu->ops->set_dr(emu, nr, emu->src);
}

/* CR4.UMIP hides the system's registers from user mode. */
static bool hidden_from_user(struct emulator *emu)
{
	return emu->cpl && emu->mode != EMU_REAL && (emu->ops->get_cr(emu, 4) & CR4_UMIP);
}

/* 0F 01 /0 and /2 are the GDT's, /1 and /3 the IDT's. */
static inline enum emu_dt named_table(const struct emu_insn *insn)
{
	return insn->reg & 1 ? EMU_IDT : EMU_GDT;
}

static inline unsigned int table_base_size(const struct emulator *emu)
{
	return emu->mode == EMU_LONG64 ? 8 : 4;
}

int emu_exec_store_dt(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int base_size = table_base_size(emu);
	struct emu_table table;
	u8 buf[10];

	if (hidden_from_user(emu))
		return emu_raise_gp0(emu);

	emu->ops->get_dt(emu, named_table(insn), &table);
	__builtin_memcpy(buf, &table.limit, 2);
	__builtin_memcpy(buf + 2, &table.base, base_size);
	return emu_write_mem(emu, insn->seg, insn->ea, buf, 2 + base_size);
}

int emu_exec_load_dt(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int base_size = table_base_size(emu);
	struct emu_table table = { .base = 0 };
	u8 buf[10];
	int rc;

	rc = emu_read_mem(emu, insn->seg, insn->ea, buf, 2 + base_size);
	if (rc != EMU_DONE)
		return rc;

	__builtin_memcpy(&table.limit, buf, 2);
	__builtin_memcpy(&table.base, buf + 2, base_size);
	if (base_size == 8 && !emu_canonical(emu, table.base))
		return emu_raise_gp0(emu);
	if (base_size == 4 && insn->size == 2)
		table.base &= 0xffffff;
	return emu->ops->set_dt(emu, named_table(insn), &table);
}

/* SLDT /0, STR /1: to memory 16 bits always */
int emu_exec_store_selector(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	struct emu_segment seg;

	if (hidden_from_user(emu))
		return emu_raise_gp0(emu);

	emu->ops->get_segment(emu, insn->reg & 1 ? EMU_TR : EMU_LDTR, &seg);
	return emu_store_rm(emu, seg.selector, insn->is_mem ? 2 : insn->size);
}

int emu_exec_smsw(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;

	if (hidden_from_user(emu))
		return emu_raise_gp0(emu);
	return emu_store_rm(emu, emu->ops->get_cr(emu, 0), insn->is_mem ? 2 : insn->size);
}

/* Changes PE, MP, EM and TS, but cannot clear PE. */
int emu_exec_lmsw(struct emulator *emu)
{
	u64 cr0 = emu->ops->get_cr(emu, 0);

	cr0 &= ~(CR0_MP | CR0_EM | CR0_TS);
	cr0 |= emu->src & (CR0_PE | CR0_MP | CR0_EM | CR0_TS);
	return emu->ops->set_cr(emu, 0, cr0);
}

int emu_exec_clts(struct emulator *emu)
{
	return emu->ops->set_cr(emu, 0, emu->ops->get_cr(emu, 0) & ~CR0_TS);
}

/* The address is translated, not used: no limit is checked and what is not canonical is ignored. */
int emu_exec_invlpg(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 linear = insn->ea;

	if (emu->mode != EMU_LONG64)
		linear = (u32)(linear + emu_segment(emu, insn->seg)->base);
	else if (insn->seg == EMU_FS || insn->seg == EMU_GS)
		linear += emu_segment(emu, insn->seg)->base;
	if (!emu_canonical(emu, linear))
		return EMU_DONE;
	return emu->ops->invlpg(emu, linear);
}

/*
 * The descriptor begins with the number of an address space, whether the kind wants one or not; for
 * the two kinds that do, it is 0 without CR4.PCIDE. Each is answered by forgetting all.
 */
int emu_exec_invpcid(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	unsigned int width = emu->mode == EMU_LONG64 ? 8 : 4;
	u64 kind = emu_get_gpr(emu, insn->reg, width), descriptor[2];
	u64 space = 0, linear = 0;
	int rc;

	rc = emu_read_mem(emu, insn->seg, insn->ea, descriptor, sizeof(descriptor));
	if (rc != EMU_DONE)
		return rc;
	if (kind < INVPCID_ALL)
		space = descriptor[0];
	if (kind == INVPCID_ADDRESS)
		linear = descriptor[1];
	if (kind > INVPCID_ALL_BUT_GLOBAL || descriptor[0] > MAX_PCID ||
	    !emu_canonical(emu, linear) || (space && !(emu->ops->get_cr(emu, 4) & CR4_PCIDE)))
		return emu_raise_gp0(emu);
	return emu->ops->flush_tlb(emu);
}

/* RDFSBASE F3 0F AE /0, RDGSBASE /1, WRFSBASE /2, WRGSBASE /3: in 64-bit mode */
int emu_exec_fsgs_base(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	enum emu_seg nr = insn->reg & 1 ? EMU_GS : EMU_FS;
	struct emu_segment seg;

	if (emu->mode != EMU_LONG64 || !(emu->ops->get_cr(emu, 4) & CR4_FSGSBASE))
		return emu_raise(emu, VECTOR_UD);
	emu->ops->get_segment(emu, nr, &seg);
	if (!(insn->reg & 2)) {
		emu_set_gpr(emu, insn->rm, insn->size, seg.base);
		return EMU_DONE;
	}
	seg.base = emu_get_gpr(emu, insn->rm, insn->size);
	if (!emu_canonical(emu, seg.base))
		return emu_raise_gp0(emu);
	return emu->ops->set_segment(emu, nr, &seg);
}

/* INVD as well: a guest that throws away its caches must not throw away the host's. */
int emu_exec_wbinvd(struct emulator *emu)
{
	return emu->ops->wbinvd(emu);
}

static void set_edx_eax(struct emulator *emu, u64 val)
{
	emu_set_gpr(emu, EMU_RAX, 4, val);
	emu_set_gpr(emu, EMU_RDX, 4, val >> 32);
}

static inline u64 edx_eax(struct emulator *emu)
{
	return emu_get_gpr(emu, EMU_RAX, 4) | emu_get_gpr(emu, EMU_RDX, 4) << 32;
}

int emu_exec_rdmsr(struct emulator *emu)
{
	u64 val = 0;
	int rc;

	rc = emu->ops->get_msr(emu, emu->gpr[EMU_RCX], &val);
	if (rc == EMU_DONE)
		set_edx_eax(emu, val);
	return rc;
}

int emu_exec_wrmsr(struct emulator *emu)
{
	return emu->ops->set_msr(emu, emu->gpr[EMU_RCX], edx_eax(emu));
}

/*
 * A flag in CR4 that gives (RDPMC) or takes (RDTSC) a counter from user mode; real mode is never
 * user.
 */
static bool is_user(const struct emulator *emu)
{
	return emu->cpl && emu->mode != EMU_REAL;
}

static int read_tsc(struct emulator *emu, u64 *tsc, u32 *aux)
{
	if (is_user(emu) && (emu->ops->get_cr(emu, 4) & CR4_TSD))
		return emu_raise_gp0(emu);
	return emu->ops->rdtsc(emu, tsc, aux);
}

int emu_exec_rdtsc(struct emulator *emu)
{
	u64 tsc = 0;
	u32 aux;
	int rc;

	rc = read_tsc(emu, &tsc, &aux);
	if (rc == EMU_DONE)
		set_edx_eax(emu, tsc);
	return rc;
}

int emu_exec_rdtscp(struct emulator *emu)
{
	u64 tsc = 0;
	u32 aux = 0;
	int rc;

	rc = read_tsc(emu, &tsc, &aux);
	if (rc != EMU_DONE)
		return rc;
	set_edx_eax(emu, tsc);
	emu_set_gpr(emu, EMU_RCX, 4, aux);
	return EMU_DONE;
}

int emu_exec_rdpid(struct emulator *emu)
{
	u32 aux = 0;
	u64 tsc;
	int rc;

	rc = emu->ops->rdtsc(emu, &tsc, &aux);
	if (rc == EMU_DONE)
		emu_set_gpr(emu, emu->insn.rm, emu->mode == EMU_LONG64 ? 8 : 4, aux);
	return rc;
}

/* ECX is there to choose from several such registers one day: it must be 0. */
static int check_pkru(struct emulator *emu, u32 must_be_zero)
{
	if (!(emu->ops->get_cr(emu, 4) & CR4_PKE))
		return emu_raise(emu, VECTOR_UD);
	return must_be_zero ? emu_raise_gp0(emu) : EMU_DONE;
}

int emu_exec_rdpkru(struct emulator *emu)
{
	int rc = check_pkru(emu, emu->gpr[EMU_RCX]);

	if (rc == EMU_DONE)
		set_edx_eax(emu, emu->ops->get_pkru(emu));
	return rc;
}

int emu_exec_wrpkru(struct emulator *emu)
{
	int rc = check_pkru(emu, emu->gpr[EMU_RCX] | emu->gpr[EMU_RDX]);

	if (rc == EMU_DONE)
		emu->ops->set_pkru(emu, emu->gpr[EMU_RAX]);
	return rc;
}

int emu_exec_rdpmc(struct emulator *emu)
{
	u64 val = 0;
	int rc;

	if (is_user(emu) && !(emu->ops->get_cr(emu, 4) & CR4_PCE))
		return emu_raise_gp0(emu);
	rc = emu->ops->rdpmc(emu, emu->gpr[EMU_RCX], &val);
	if (rc == EMU_DONE)
		set_edx_eax(emu, val);
	return rc;
}

int emu_exec_cpuid(struct emulator *emu)
{
	u32 regs[4] = { emu->gpr[EMU_RAX], 0, emu->gpr[EMU_RCX], 0 };
	int rc;

	rc = emu->ops->cpuid(emu, regs);
	if (rc != EMU_DONE)
		return rc;
	emu_set_gpr(emu, EMU_RAX, 4, regs[0]);
	emu_set_gpr(emu, EMU_RBX, 4, regs[1]);
	emu_set_gpr(emu, EMU_RCX, 4, regs[2]);
	emu_set_gpr(emu, EMU_RDX, 4, regs[3]);
	return EMU_DONE;
}

int emu_exec_hypercall(struct emulator *emu)
{
	return emu->ops->hypercall(emu);
}

int emu_exec_xsetbv(struct emulator *emu)
{
	if (!(emu->ops->get_cr(emu, 4) & CR4_OSXSAVE))
		return emu_raise(emu, VECTOR_UD);
	if (is_user(emu))
		return emu_raise_gp0(emu);
	return emu->ops->set_xcr(emu, emu->gpr[EMU_RCX], edx_eax(emu));
}

int emu_exec_xgetbv(struct emulator *emu)
{
	u64 val = 0;
	int rc;

	if (!(emu->ops->get_cr(emu, 4) & CR4_OSXSAVE))
		return emu_raise(emu, VECTOR_UD);
	rc = emu->ops->get_xcr(emu, emu->gpr[EMU_RCX], &val);
	if (rc == EMU_DONE)
		set_edx_eax(emu, val);
	return rc;
}

/* DS:rAX is read, so that what may not be read cannot be watched. */
int emu_exec_monitor(struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 val;
	int rc;

	if (is_user(emu))
		return emu_raise(emu, VECTOR_UD);
	if ((u32)emu->gpr[EMU_RCX])
		return emu_raise_gp0(emu);
	rc = emu_read_value(emu, insn->seg, emu_get_gpr(emu, EMU_RAX, insn->addr_size), &val, 1);
	return rc == EMU_DONE ? emu->ops->mwait(emu) : rc;
}

/* ECX bit 0: interrupts end it even if they are masked. */
int emu_exec_mwait(struct emulator *emu)
{
	if (is_user(emu))
		return emu_raise(emu, VECTOR_UD);
	if ((u32)emu->gpr[EMU_RCX] & ~1u)
		return emu_raise_gp0(emu);
	return emu->ops->mwait(emu);
}

/* CLAC 0F 01 CA, STAC CB */
int emu_exec_ac_flag(struct emulator *emu)
{
	bool has;
	int rc;

	rc = emu_has_feature(emu, 7, 1, CPUID_EBX_SMAP, &has);
	if (rc != EMU_DONE)
		return rc;
	if (!has || is_user(emu))
		return emu_raise(emu, VECTOR_UD);
	emu->next_rflags &= ~FLAG_AC;
	if (emu->insn.rm & 1)
		emu->next_rflags |= FLAG_AC;
	return EMU_DONE;
}

int emu_exec_rsm(struct emulator *emu)
{
	return emu->ops->leave_smm(emu);
}
