// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder: fetches instruction bytes, parses prefixes, opcode, ModRM, SIB, displacement and
 * immediate, finds the opcode's entry in the tables of opcode_map.c and computes the address of the
 * memory operand. It executes nothing and reads no operand. APM volume 3, chapter 1 and appendix A;
 * SDM volume 2, chapter 2.
 *
 * Parsing goes on blindly over whatever the buffer holds, fetched or not, and only its end says how
 * many bytes it has used. If those are more than there are, more are fetched and it starts anew:
 * what it made of stale bytes does not matter, because a byte is looked at only if the instruction
 * has it.
 */
#include "opcode.h"

#define PAGE_BYTES	4096u

enum prefix {
	PREFIX_NONE, PREFIX_SEGMENT, PREFIX_OPERAND_SIZE, PREFIX_ADDRESS_SIZE, PREFIX_LOCK,
	PREFIX_REPEAT, PREFIX_REX,
};

static const u8 prefix_of_byte[256] = {
	[0x26] = PREFIX_SEGMENT,
	[0x2e] = PREFIX_SEGMENT,
	[0x36] = PREFIX_SEGMENT,
	[0x3e] = PREFIX_SEGMENT,
	[0x40 ... 0x4f] = PREFIX_REX,
	[0x64 ... 0x65] = PREFIX_SEGMENT,
	[0x66] = PREFIX_OPERAND_SIZE,
	[0x67] = PREFIX_ADDRESS_SIZE,
	[0xf0] = PREFIX_LOCK,
	[0xf2 ... 0xf3] = PREFIX_REPEAT,
};

/* Parsing functions take the position in insn->bytes, and return where they have left it. */
static inline u64 value(const u8 *p, unsigned int size)
{
	u64 val;

	__builtin_memcpy(&val, p, sizeof(val));
	return val & emu_mask(size);
}

static inline u64 signed_value(const u8 *p, unsigned int size)
{
	return emu_sign_extend(value(p, size), size);
}

static inline s32 value32(const u8 *p)
{
	s32 val;

	__builtin_memcpy(&val, p, sizeof(val));
	return val;
}

/* 26 ES, 2e CS, 36 SS, 3e DS, 64 FS, 65 GS. The first four mean nothing in 64-bit mode. */
static void segment_prefix(struct emu_insn *insn, enum emu_mode mode, u8 byte)
{
	if (byte < 0x64 && mode == EMU_LONG64)
		return;
	insn->seg = byte < 0x64 ? (byte >> 3) & 3 : byte - 0x60;
	insn->seg_override = true;
}

/* A REX counts only right before the opcode. */
static void parse_prefix(struct emu_insn *insn, enum emu_mode mode, u8 byte)
{
	insn->rex = 0;
	switch (prefix_of_byte[byte]) {
	case PREFIX_SEGMENT:
		segment_prefix(insn, mode, byte);
		break;
	case PREFIX_OPERAND_SIZE:
		insn->opsize_prefix = true;
		break;
	case PREFIX_ADDRESS_SIZE:
		insn->addr_size = mode == EMU_PROT32 ? 2 : 4;
		break;
	case PREFIX_LOCK:
		insn->lock = true;
		break;
	case PREFIX_REPEAT:
		insn->rep = byte;
		break;
	default:
		insn->rex = byte;
		break;
	}
}

static inline bool is_prefix(enum emu_mode mode, u8 byte)
{
	unsigned int prefix = prefix_of_byte[byte];

	return prefix != PREFIX_NONE && (prefix != PREFIX_REX || mode == EMU_LONG64);
}

/*
 * To the first byte of the opcode, or to the sixteenth one if there are only prefixes before that.
 */
static inline const u8 *parse_prefixes(struct emu_insn *insn, enum emu_mode mode)
{
	static const u8 addr_size[] = {
		[EMU_REAL] = 2, [EMU_VM86] = 2, [EMU_PROT16] = 2, [EMU_PROT32] = 4,
		[EMU_LONG64] = 8,
	};
	const u8 *p = insn->bytes;

	insn->rex = 0;
	insn->rep = 0;
	insn->lock = false;
	insn->opsize_prefix = false;
	insn->seg_override = false;
	insn->is_mem = false;
	insn->vex = false;
	insn->seg = EMU_DS;
	insn->scale = 0;
	insn->addr_size = addr_size[mode];

	for (; is_prefix(mode, *p) && p < insn->bytes + EMU_MAX_LENGTH; p++)
		parse_prefix(insn, mode, *p);
	return p;
}

/*
 * C4 and C5 begin a VEX prefix in 64-bit mode, and in other protected modes if what would be ModRM
 * of LES or LDS named a register. Real and virtual-8086 mode have no VEX: #UD.
 */
static inline bool begins_vex(enum emu_mode mode, const u8 *p)
{
	if ((p[0] & 0xfe) != 0xc4)
		return false;
	return mode == EMU_LONG64 || (p[1] >= 0xc0 && mode >= EMU_PROT16);
}

/*
 * What VEX says is kept as the prefixes it stands for: REX bits, and one of 66, F3 and F2. R, X, B
 * and vvvv are stored inverted; outside of 64-bit mode there are only eight registers. Prefixes
 * that VEX excludes make it invalid.
 */
static const u8 *parse_vex(struct emu_insn *insn, enum emu_mode mode, const u8 *p,
			   const struct emu_opcode **op)
{
	bool clash = insn->rex || insn->rep || insn->opsize_prefix || insn->lock;
	bool is_long = *p == 0xc4;
	u8 inverted = ~p[1], last = is_long ? p[2] : p[1];

	insn->vex = true;
	insn->map = is_long ? p[1] & 0x1f : 1;
	insn->vex_256 = last & 4;
	insn->vvvv = (~last >> 3) & 15;
	insn->opsize_prefix = (last & 3) == 1;
	insn->rep = last & 2 ? 0xf3 - (last & 1) : 0;
	insn->rex = 0x40 | (inverted & 0x80) >> 5;
	if (is_long)
		insn->rex |= (inverted & 0x60) >> 5 | (last & 0x80) >> 4;
	if (mode != EMU_LONG64) {
		insn->rex &= 0x48;
		insn->vvvv &= 7;
	}

	p += is_long ? 3 : 2;
	insn->opcode = *p;
	*op = emu_map_vex(insn->map, insn->opcode, clash);
	return p + 1;
}

static const struct emu_opcode *parse_long_opcode(struct emu_insn *insn, u8 escape, u8 byte)
{
	insn->opcode = byte;
	insn->map = escape == 0x38 ? 2 : 3;
	return insn->map == 2 ? emu_map_0f38(byte) : emu_map_0f3a(byte);
}

static inline const u8 *parse_opcode(struct emu_insn *insn, enum emu_mode mode, const u8 *p,
				     const struct emu_opcode **op)
{
	u8 byte = *p++;

	if (byte != 0x0f) {
		if (begins_vex(mode, p - 1))
			return parse_vex(insn, mode, p - 1, op);
		insn->map = 0;
		insn->opcode = byte;
		*op = &emu_map_one[byte];
		return p;
	}

	byte = *p++;
	if (byte == 0x38 || byte == 0x3a) {
		*op = parse_long_opcode(insn, byte, *p);
		return p + 1;
	}
	insn->map = 1;
	insn->opcode = byte;
	*op = &emu_map_0f[byte];
	return p;
}

static unsigned int mandatory_prefix(const struct emu_insn *insn)
{
	if (insn->rep)
		return insn->rep == 0xf3 ? 2 : 3;
	return insn->opsize_prefix;
}

static unsigned int group_member(const struct emu_insn *insn, enum emu_mode mode, u32 by, u8 modrm)
{
	switch (by) {
	case BY_REG:
		return (modrm >> 3) & 7;
	case BY_RM:
		return modrm & 7;
	case BY_MOD:
		return modrm >= 0xc0;
	case BY_PREFIX:
		return mandatory_prefix(insn);
	default:
		return mode == EMU_LONG64;
	}
}

/* Walk down the groups, whose demands hold for all their members. Returns the flags of all. */
static inline u32 resolve_groups(struct emu_insn *insn, enum emu_mode mode,
				 const struct emu_opcode *op, u8 modrm)
{
	const struct emu_opcode *table;
	u32 flags = op->flags;

	while (op->flags & BY_MASK) {
		table = op->more;
		op = &table[group_member(insn, mode, op->flags & BY_MASK, modrm)];
		flags |= op->flags;
	}
	insn->op = op;
	insn->flags = flags & ~BY_MASK;
	return flags;
}

static unsigned int fixed_size(const struct emu_insn *insn, enum emu_mode mode, u32 flags)
{
	if ((flags & DQ) == DQ)
		return insn->rex & 8 ? 8 : 4;
	if (flags & BYTE)
		return 1;
	if (flags & WORD)
		return 2;
	return mode == EMU_LONG64 ? 8 : 4;
}

/* Near branches: Intel's processors ignore the operand-size prefix in 64-bit mode, AMD's do not. */
static inline bool is_forced_wide(const struct emu_insn *insn, u32 flags)
{
	return (flags & F64) && !(insn->amd && insn->opsize_prefix);
}

static inline unsigned int operand_size(const struct emu_insn *insn, enum emu_mode mode, u32 flags)
{
	bool small;

	if (flags & (BYTE | WORD | NATIVE))
		return fixed_size(insn, mode, flags);
	if (insn->vex)
		return mode == EMU_LONG64 && (insn->rex & 8) ? 8 : 4;
	if (mode == EMU_LONG64) {
		if ((insn->rex & 8) || is_forced_wide(insn, flags))
			return flags & MAX32 ? 4 : 8;
		if (insn->opsize_prefix)
			return 2;
		return flags & D64 ? 8 : 4;
	}

	small = mode != EMU_PROT32;
	return small != insn->opsize_prefix ? 2 : 4;
}

static inline void default_segment(struct emu_insn *insn, u8 base)
{
	if ((base == EMU_RSP || base == EMU_RBP) && !insn->seg_override)
		insn->seg = EMU_SS;
}

static const u8 *parse_address16(struct emu_insn *insn, const u8 *p, u8 mod, u8 rm)
{
	static const u8 base[8] = {
		EMU_RBX, EMU_RBX, EMU_RBP, EMU_RBP, EMU_RSI, EMU_RDI, EMU_RBP, EMU_RBX
	};
	static const u8 index[8] = {
		EMU_RSI, EMU_RDI, EMU_RSI, EMU_RDI,
		EMU_BASE_NONE, EMU_BASE_NONE, EMU_BASE_NONE, EMU_BASE_NONE
	};

	insn->index = index[rm];
	if (mod == 0 && rm == 6) {
		insn->base = EMU_BASE_NONE;
		insn->disp = (s32)signed_value(p, 2);
		return p + 2;
	}

	insn->base = base[rm];
	default_segment(insn, base[rm]);
	insn->disp = mod ? (s32)signed_value(p, mod) : 0;
	return p + mod;
}

/* A SIB byte. Base 5 without displacement means a displacement without base. */
static const u8 *parse_sib(struct emu_insn *insn, const u8 *p, u8 mod)
{
	u8 sib = *p++, index = ((sib >> 3) & 7) | (insn->rex & 2) << 2;

	insn->scale = sib >> 6;
	insn->index = index == EMU_RSP ? EMU_BASE_NONE : index;
	insn->base = (sib & 7) | (insn->rex & 1) << 3;
	if (mod == 0 && (sib & 7) == EMU_RBP) {
		insn->base = EMU_BASE_NONE;
		insn->disp = value32(p);
		return p + 4;
	}
	default_segment(insn, insn->base);
	return p;
}

static inline const u8 *parse_address(struct emu_insn *insn, enum emu_mode mode, const u8 *p,
				      u8 mod, u8 rm)
{
	insn->disp = 0;
	if (rm == EMU_RSP) {
		p = parse_sib(insn, p, mod);
	} else if (rm == EMU_RBP && mod == 0) {
		insn->base = mode == EMU_LONG64 ? EMU_BASE_RIP : EMU_BASE_NONE;
		insn->index = EMU_BASE_NONE;
		insn->disp = value32(p);
		return p + 4;
	} else {
		insn->base = insn->rm;
		insn->index = EMU_BASE_NONE;
		default_segment(insn, insn->rm);
	}

	if (mod == 1) {
		insn->disp = (s8)*p;
		return p + 1;
	}
	if (mod == 2) {
		insn->disp = value32(p);
		return p + 4;
	}
	return p;
}

static inline const u8 *parse_modrm(struct emu_insn *insn, enum emu_mode mode, u32 flags,
				    const u8 *p,
				    u8 modrm)
{
	u8 mod = flags & NATIVE ? 3 : modrm >> 6, rm = modrm & 7, rex = insn->rex;

	insn->mod = mod;
	insn->reg = ((modrm >> 3) & 7) | (rex & 4) << 1;
	insn->rm = rm | (rex & 1) << 3;
	if (mod == 3)
		return p;

	insn->is_mem = true;
	if (insn->addr_size == 2)
		return parse_address16(insn, p, mod, rm);
	return parse_address(insn, mode, p, mod, rm);
}

static const u8 *parse_immediate(struct emu_insn *insn, u32 flags, const u8 *p)
{
	unsigned int size = insn->size;

	switch (flags & IMM_MASK) {
	case IMM_8:
		insn->imm = *p;
		return p + 1;
	case IMM_S8:
		insn->imm = signed_value(p, 1);
		return p + 1;
	case IMM_16:
		insn->imm = value(p, 2);
		return p + 2;
	case IMM_Z:
	case IMM_REL:
		if (size > 4)
			size = 4;
		insn->imm = signed_value(p, size);
		return p + size;
	case IMM_V:
		insn->imm = value(p, size);
		return p + size;
	case IMM_OFFSET:
		insn->imm = value(p, insn->addr_size);
		return p + insn->addr_size;
	case IMM_FAR:
		insn->imm = value(p, size);
		insn->imm2 = value(p + size, 2);
		return p + size + 2;
	case IMM_16_8:
		insn->imm = value(p, 2);
		insn->imm2 = p[2];
		return p + 3;
	default:
		insn->imm = p[0];
		insn->imm2 = p[1];
		return p + 2;
	}
}

/* The operand's address is in the instruction as it is. */
static inline bool is_offset(const struct emu_insn *insn)
{
	return (insn->flags & IMM_MASK) == IMM_OFFSET;
}

/* Everything up to the length: knows no register and no segment. */
static void parse(struct emu_insn *insn, enum emu_mode mode)
{
	const struct emu_opcode *op;
	const u8 *p = parse_opcode(insn, mode, parse_prefixes(insn, mode), &op);
	u8 modrm = *p;
	u32 flags = resolve_groups(insn, mode, op, modrm);

	insn->size = operand_size(insn, mode, flags);
	if (flags & MODRM)
		p = parse_modrm(insn, mode, flags, p + 1, modrm);
	if (flags & IMM_MASK)
		p = parse_immediate(insn, flags, p);
	if (is_offset(insn))
		insn->is_mem = true;
	insn->length = p - insn->bytes;
}

/* As many bytes as may belong to the instruction and lie in the next one's page. */
static int fetch_more(struct emulator *emu)
{
	struct emu_insn *insn = &emu->insn;
	unsigned int want = EMU_MAX_LENGTH - insn->available;
	u64 offset = emu->rip + insn->available;
	u64 linear = offset;
	unsigned int in_page;
	int rc;

	if (!want)
		return emu_raise_gp0(emu);

	if (emu->mode == EMU_LONG64) {
		if (!emu_canonical(emu, linear))
			return emu_raise_gp0(emu);
	} else {
		const struct emu_segment *cs = emu_segment(emu, EMU_CS);

		if (offset > cs->limit)
			return emu_raise_gp0(emu);
		if (want > cs->limit - offset + 1)
			want = cs->limit - offset + 1;
		linear = (u32)(cs->base + offset);
	}

	in_page = PAGE_BYTES - (linear & (PAGE_BYTES - 1));
	if (want > in_page)
		want = in_page;

	rc = emu->ops->fetch(emu, linear, insn->bytes + insn->available, want);
	if (rc == EMU_DONE)
		insn->available += want;
	return rc;
}

static inline u64 effective_address(const struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u64 ea = (u64)(s64)insn->disp;

	if (insn->base < EMU_GPR_COUNT)
		ea += emu->gpr[insn->base];
	else if (insn->base == EMU_BASE_RIP)
		ea += emu->next_rip;
	if (insn->index < EMU_GPR_COUNT)
		ea += (u64)emu->gpr[insn->index] << insn->scale;
	return insn->addr_size == 8 ? ea : ea & emu_mask(insn->addr_size);
}

/* VEX.vvvv must be ones where it is no operand; L and W must be zero, or one, if a row says so. */
static bool vex_is_excluded(const struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u32 flags = insn->flags;

	if (!(flags & VEX_V) && insn->vvvv)
		return true;
	if ((flags & VEX_W0) && (insn->rex & 8))
		return true;
	if ((flags & VEX_W64) && (insn->rex & 8) && insn->amd && emu->mode != EMU_LONG64)
		return true;
	return insn->vex_256 ? flags & VEX_L0 : flags & VEX_L1;
}

/* Control registers 0, 2, 3, 4 and 8 exist; debug registers 0 to 7. */
static bool names_no_register(const struct emu_insn *insn)
{
	return insn->opcode & 1 ? insn->reg > 7 : insn->reg > 8 || !(0x11d >> insn->reg & 1);
}

/* LOCK MOV CR0, where control_register() finds that the processor has it (APM 3, MOV CRn) */
static bool names_cr8(const struct emu_insn *insn)
{
	return insn->amd && (insn->flags & NATIVE) && !(insn->opcode & 1) && !insn->reg;
}

/* Forms that the opcode's entry excludes, one way or another */
#define RESTRICTIONS	(NATIVE | INVALID | NO64 | PROT | MEM | REG)

static bool is_excluded(const struct emulator *emu)
{
	const struct emu_insn *insn = &emu->insn;
	u32 flags = insn->flags;

	if (flags & INVALID)
		return true;
	if (insn->vex)
		return vex_is_excluded(emu) || (insn->is_mem ? flags & REG : flags & MEM);
	if (insn->lock && !((flags & LOCK) && insn->is_mem) && !names_cr8(insn))
		return true;
	if ((flags & NO64) && emu->mode == EMU_LONG64)
		return true;
	if ((flags & PROT) && !emu_protected(emu))
		return true;
	if ((flags & NATIVE) && names_no_register(insn))
		return true;
	return insn->is_mem ? flags & REG : flags & MEM;
}

/* Opcodes that are not executed here: known to be invalid, or for the caller to deal with */
static int refuse(struct emulator *emu)
{
	if (!(emu->insn.flags & UNKNOWN) && is_excluded(emu))
		return emu_raise(emu, VECTOR_UD);
	return EMU_UNHANDLED;
}

/* What parse() leaves depends on the mode and on as many bytes as the instruction has. */
static void remember(struct emulator *emu)
{
	unsigned int length = emu->insn.length;

	__builtin_memcpy(emu->parsed, emu->insn.bytes, sizeof(emu->parsed));
	emu->parsed_mask[0] = emu_mask(length < 8 ? length : 8);
	emu->parsed_mask[1] = emu_mask(length < 8 ? 0 : length - 8);
	emu->parsed_mode = emu->mode + 1;
}

static inline bool is_remembered(const struct emulator *emu)
{
	u64 now[2];

	__builtin_memcpy(now, emu->insn.bytes, sizeof(now));
	return !((now[0] ^ emu->parsed[0]) & emu->parsed_mask[0]) &&
	       !((now[1] ^ emu->parsed[1]) & emu->parsed_mask[1]) &&
	       emu->parsed_mode == emu->mode + 1 && emu->insn.length <= emu->insn.available;
}

static int parse_all(struct emulator *emu)
{
	struct emu_insn *insn = &emu->insn;
	int rc;

	emu->parsed_mode = 0;
	parse(insn, emu->mode);
	while (insn->length > insn->available) {
		rc = fetch_more(emu);
		if (rc != EMU_DONE)
			return rc;
		parse(insn, emu->mode);
	}
	remember(emu);
	return EMU_DONE;
}

int emu_decode(struct emulator *emu)
{
	struct emu_insn *insn = &emu->insn;
	int rc;

	if (insn->available > EMU_MAX_LENGTH)
		insn->available = EMU_MAX_LENGTH;
	if (!insn->available) {
		rc = fetch_more(emu);
		if (rc != EMU_DONE)
			return rc;
	}

	if (!is_remembered(emu)) {
		rc = parse_all(emu);
		if (rc != EMU_DONE)
			return rc;
	}

	if (!insn->op->exec)
		return refuse(emu);
	if (((insn->flags & RESTRICTIONS) || insn->lock || insn->vex) && is_excluded(emu))
		return emu_raise(emu, VECTOR_UD);

	emu->next_rip = emu->rip + insn->length;
	if (emu->mode != EMU_LONG64)
		emu->next_rip = (u32)emu->next_rip;

	if (insn->is_mem)
		insn->ea = is_offset(insn) ? insn->imm : effective_address(emu);
	return EMU_DONE;
}

unsigned int emu_insn_length(const u8 *bytes, unsigned int n, enum emu_mode mode, bool amd)
{
	struct emu_insn insn;

	if (n > EMU_MAX_LENGTH)
		n = EMU_MAX_LENGTH;
	__builtin_memset(insn.bytes, 0, sizeof(insn.bytes));
	__builtin_memcpy(insn.bytes, bytes, n);
	insn.amd = amd;

	parse(&insn, mode);
	return insn.length > n || (insn.flags & UNKNOWN) ? 0 : insn.length;
}
