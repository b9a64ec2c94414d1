// SPDX-License-Identifier: GPL-2.0
/*
 * Decoding: lengths in every mode, the address and segment of every ModRM and SIB form, prefixes,
 * bytes given in advance and bytes fetched, and how much of the machine a plain MOV asks for.
 */
#include <string.h>

#include "machine.h"

static struct machine m;

struct length_case {
	const char *bytes;
	u8 n;
	s8 real, prot32, long64;	/* expected, 0: none */
};

#define L(bytes, real, prot32, long64) { bytes, sizeof(bytes) - 1, real, prot32, long64 }

static const struct length_case length_cases[] = {
	L("\x90", 1, 1, 1),
	L("\x89\x18", 2, 2, 2),
	L("\x89\x44\x24\x08\x90\x90\x90\x90", 3, 4, 4),
	L("\x89\x05\x01\x02\x03\x04", 2, 6, 6),
	L("\x89\x06\x01\x02\x03\x04", 4, 2, 2),
	L("\x89\x84\x88\x01\x02\x03\x04", 4, 7, 7),
	L("\x89\x04\x25\x01\x02\x03\x04", 2, 7, 7),
	L("\x48\x89\x18\x90\x90", 1, 1, 3),
	L("\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08\x90", 1, 1, 10),
	L("\x66\xb8\x01\x02\x03\x04\x05", 6, 4, 4),
	L("\xb8\x01\x02\x03\x04\x05", 3, 5, 5),
	L("\xa1\x01\x02\x03\x04\x05\x06\x07\x08", 3, 5, 9),
	L("\x67\xa1\x01\x02\x03\x04\x05\x06\x07\x08", 6, 4, 6),
	L("\xc7\x00\x01\x02\x03\x04\x05", 4, 6, 6),
	L("\x66\xc7\x00\x01\x02\x03\x04\x05", 7, 5, 5),
	L("\xf7\x00\x01\x02\x03\x04", 4, 6, 6),
	L("\xf7\x18", 2, 2, 2),
	L("\xf6\x00\x01\x02", 3, 3, 3),
	L("\xe8\x01\x02\x03\x04", 3, 5, 5),
	L("\x66\xe8\x01\x02\x03\x04", 6, 4, 6),
	L("\xeb\xfe", 2, 2, 2),
	L("\x0f\x84\x01\x02\x03\x04", 4, 6, 6),
	L("\xea\x01\x02\x03\x04\x05\x06", 5, 7, 7),
	L("\xc8\x01\x02\x03", 4, 4, 4),
	L("\xc2\x01\x02", 3, 3, 3),
	L("\x0f\xa2", 2, 2, 2),
	L("\x0f\x01\xd9", 3, 3, 3),
	L("\x0f\x01\xc1", 3, 3, 3),
	L("\x0f\x01\x18", 3, 3, 3),
	L("\x0f\x20\x04\x25\x01", 3, 3, 3),
	L("\x0f\x32", 2, 2, 2),
	L("\x0f\x30", 2, 2, 2),
	L("\x0f\x01\xd1", 3, 3, 3),
	L("\x0f\x01\xd8", 3, 3, 3),
	L("\xf4", 1, 1, 1),
	L("\xf3\x90", 2, 2, 2),
	L("\xf3\xa4", 2, 2, 2),
	L("\x6a\x01", 2, 2, 2),
	L("\x68\x01\x02\x03\x04", 3, 5, 5),
	L("\x69\xc0\x01\x02\x03\x04", 4, 6, 6),
	L("\x0f\xba\xe0\x01", 4, 4, 4),
	L("\x0f\x38\xf0\x00", 4, 4, 4),
	L("\x66\x0f\x3a\x0f\xc1\x08", 6, 6, 6),
	L("\x0f\x0f\xc1\x08", 4, 4, 4),
	L("\xd9\x00", 2, 2, 2),
	L("\x0f\xae\xf0", 3, 3, 3),
	L("\x0f\x78\xc1\x01\x02", 3, 3, 3),
	L("\x66\x0f\x78\xc1\x01\x02", 6, 6, 6),
	L("\xc5\xf8\x77", 0, 3, 3),
	L("\x8f\xe8\x78\xc1", 0, 0, 0),
	L("\x8f\x00", 2, 2, 2),
	L("\xc4\x00", 2, 2, 0),
	L("\x62\x00", 2, 2, 0),
	L("\x63\x00", 2, 2, 2),
	L("\xe5\x10", 2, 2, 2),
	L("\xcd\x10", 2, 2, 2),
	L("\xd4\x0a", 2, 2, 2),
	L("\x2e\x36\x3e\x26\x64\x65\x66\x67\xf0\xf2\xf3\x90", 12, 12, 12),
	L("\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x90", 15, 15, 15),
	L("\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x26\x90", 0, 0, 0),
};

static void test_lengths(void)
{
	static const enum emu_mode modes[3] = { EMU_REAL, EMU_PROT32, EMU_LONG64 };
	unsigned int i, j, n;

	group_begin("instruction lengths");
	for (i = 0; i < sizeof(length_cases) / sizeof(length_cases[0]); i++) {
		const struct length_case *c = &length_cases[i];
		const u8 *bytes = (const u8 *)c->bytes;

		for (j = 0; j < 3; j++) {
			unsigned int want = j == 0 ? c->real : j == 1 ? c->prot32 : c->long64;
			unsigned int got = emu_insn_length(bytes, c->n, modes[j], false);

			CHECK(got == want, "case %u mode %u: %u, not %u", i, modes[j], got, want);
			for (n = 0; n < want; n++)
				CHECK(!emu_insn_length(bytes, n, modes[j], false),
				      "case %u mode %u: %u bytes suffice", i, modes[j], n);
		}
	}
	CHECK(emu_insn_length(BYTES(0x89, 0x18), EMU_VM86, false) == 2, "vm86");
	CHECK(emu_insn_length(BYTES(0xb8, 1, 2, 3, 4), EMU_PROT16, false) == 3, "prot16");
	CHECK(emu_insn_length(BYTES(0x66, 0xe9, 1, 2, 3, 4), EMU_LONG64, false) == 6, "Intel's jump");
	CHECK(emu_insn_length(BYTES(0x66, 0xe9, 1, 2, 3, 4), EMU_LONG64, true) == 4, "AMD's");
	group_end();
}

/* The same rules once more, written down from the manual's tables of 16-bit addressing. */
static u64 expect16(u8 modrm, s32 disp, u8 *seg)
{
	unsigned long *r = m.gpr;
	u64 base;

	*seg = EMU_DS;
	switch (modrm & 7) {
	case 0:
		base = r[EMU_RBX] + r[EMU_RSI];
		break;
	case 1:
		base = r[EMU_RBX] + r[EMU_RDI];
		break;
	case 2:
		base = r[EMU_RBP] + r[EMU_RSI];
		*seg = EMU_SS;
		break;
	case 3:
		base = r[EMU_RBP] + r[EMU_RDI];
		*seg = EMU_SS;
		break;
	case 4:
		base = r[EMU_RSI];
		break;
	case 5:
		base = r[EMU_RDI];
		break;
	case 6:
		base = modrm >> 6 ? r[EMU_RBP] : 0;
		*seg = modrm >> 6 ? EMU_SS : EMU_DS;
		break;
	default:
		base = r[EMU_RBX];
		break;
	}
	return (base + disp) & 0xffff;
}

static void spread_registers(void)
{
	unsigned int i;

	for (i = 0; i < EMU_GPR_COUNT; i++)
		m.gpr[i] = 0x0123456789abcdeful * (2 * i + 3);
}

static void test_address16(void)
{
	unsigned int modrm;
	u8 seg;

	group_begin("16-bit addresses");
	for (modrm = 0; modrm < 0xc0; modrm++) {
		unsigned int mod = modrm >> 6;
		bool absolute = mod == 0 && (modrm & 7) == 6;
		unsigned int disp_size = absolute || mod == 2 ? 2 : mod;
		s32 disp = disp_size == 2 ? (s16)0x9234 : disp_size ? (s8)0x81 : 0;
		u8 bytes[4] = { 0x8b, modrm, disp, disp >> 8 };
		u64 want;

		machine_reset(&m, EMU_REAL);
		spread_registers();
		want = expect16(modrm, disp, &seg);
		machine_decode(&m, bytes, 4);
		CHECK(m.emu.insn.ea == want && m.emu.insn.seg == seg &&
		      m.emu.insn.length == 2 + disp_size,
		      "modrm %02x: %llx seg %u length %u, not %llx seg %u", modrm, m.emu.insn.ea,
		      m.emu.insn.seg, m.emu.insn.length, want, seg);
	}
	group_end();
}

struct form {
	enum emu_mode mode;
	u8 rex;
	u8 modrm;
	u8 sib;
};

static void check_form(const struct form *f)
{
	unsigned int mod = f->modrm >> 6, rm = f->modrm & 7, n = 0, reg;
	bool has_sib = rm == 4, ss = false;
	s32 disp = 0, disp_size = mod == 1 ? 1 : mod == 2 ? 4 : 0;
	u64 want = 0;
	u8 bytes[16];

	machine_reset(&m, f->mode);
	spread_registers();
	if (f->rex)
		bytes[n++] = f->rex;
	bytes[n++] = 0x8b;
	bytes[n++] = f->modrm;
	if (has_sib)
		bytes[n++] = f->sib;

	reg = (has_sib ? f->sib & 7 : rm) + (f->rex & 1 ? 8 : 0);
	if (mod == 0 && (reg & 7) == 5) {
		disp_size = 4;
		want = f->mode == EMU_LONG64 && !has_sib ? CODE + n + 4 : 0;
	} else {
		want = m.gpr[reg];
		ss = reg == EMU_RSP || reg == EMU_RBP;
	}
	if (has_sib) {
		reg = (f->sib >> 3 & 7) + (f->rex & 2 ? 8 : 0);
		if (reg != 4)
			want += (u64)m.gpr[reg] << (f->sib >> 6);
	}
	if (disp_size) {
		disp = disp_size == 1 ? -3 : -0x12345678;
		memcpy(bytes + n, &disp, disp_size);
		n += disp_size;
	}
	want += (s64)disp;
	if (f->mode == EMU_PROT32)
		want = (u32)want;

	machine_decode(&m, bytes, n);
	CHECK(m.emu.insn.ea == want && m.emu.insn.length == n &&
	      m.emu.insn.seg == (ss ? EMU_SS : EMU_DS),
	      "mode %u, %02x %02x %02x: %llx seg %u length %u, not %llx length %u", f->mode,
	      f->rex, f->modrm, f->sib, m.emu.insn.ea, m.emu.insn.seg, m.emu.insn.length, want, n);
}

static void test_address(const char *name, enum emu_mode mode)
{
	unsigned int rex, modrm, sib;

	group_begin(name);
	for (rex = 0; rex < (mode == EMU_LONG64 ? 8 : 1); rex++) {
		for (modrm = 0; modrm < 0xc0; modrm++) {
			unsigned int sibs = (modrm & 7) == 4 ? 256 : 1;
			struct form f = { mode, rex ? 0x40 | rex : 0, modrm, 0 };

			if ((modrm & 0x38) && sibs > 1)
				continue;
			for (sib = 0; sib < sibs; sib++) {
				f.sib = sib;
				check_form(&f);
			}
		}
	}
	group_end();
}

static void test_prefixes(void)
{
	group_begin("prefixes");

	machine_reset(&m, EMU_PROT32);
	machine_decode(&m, BYTES(0x64, 0x8b, 0x45, 0x00));
	CHECK(m.emu.insn.seg == EMU_FS, "FS override");
	machine_decode(&m, BYTES(0x2e, 0x8b, 0x45, 0x00));
	CHECK(m.emu.insn.seg == EMU_CS, "CS override");
	machine_decode(&m, BYTES(0x36, 0x8b, 0x00));
	CHECK(m.emu.insn.seg == EMU_SS, "SS override");
	machine_decode(&m, BYTES(0x26, 0x3e, 0x8b, 0x00));
	CHECK(m.emu.insn.seg == EMU_DS, "last override counts");
	machine_decode(&m, BYTES(0x66, 0x8b, 0x00));
	CHECK(m.emu.insn.size == 2, "operand size");
	machine_decode(&m, BYTES(0x67, 0x8b, 0x00));
	CHECK(m.emu.insn.addr_size == 2, "address size");

	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RAX] = 0xfffffffff0;
	machine_decode(&m, BYTES(0x67, 0x8b, 0x40, 0x20));
	CHECK(m.emu.insn.ea == 0x10, "32-bit address in 64-bit mode");
	machine_decode(&m, BYTES(0x36, 0x8b, 0x00));
	CHECK(m.emu.insn.seg == EMU_DS, "SS override ignored in 64-bit mode");
	machine_decode(&m, BYTES(0x65, 0x8b, 0x00));
	CHECK(m.emu.insn.seg == EMU_GS, "GS override");
	machine_decode(&m, BYTES(0x48, 0x66, 0x8b, 0x00));
	CHECK(m.emu.insn.size == 2, "REX before another prefix is void");
	machine_decode(&m, BYTES(0x66, 0x48, 0x8b, 0x00));
	CHECK(m.emu.insn.size == 8, "REX.W beats operand size");
	machine_decode(&m, BYTES(0x4f, 0x8b, 0xc8));
	CHECK(m.emu.insn.reg == 9 && m.emu.insn.rm == 8, "REX.R and REX.B");
	machine_decode(&m, BYTES(0x50));
	CHECK(m.emu.insn.size == 8, "PUSH is 64 bits wide");
	machine_decode(&m, BYTES(0x66, 0x50));
	CHECK(m.emu.insn.size == 2, "or 16");
	machine_decode(&m, BYTES(0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8));
	CHECK(m.emu.insn.imm == 0x0807060504030201, "64-bit immediate");
	machine_decode(&m, BYTES(0x48, 0xc7, 0xc0, 0, 0, 0, 0x80));
	CHECK(m.emu.insn.imm == 0xffffffff80000000, "immediate sign-extended");
	machine_decode(&m, BYTES(0xa1, 1, 2, 3, 4, 5, 6, 7, 8));
	CHECK(m.emu.insn.ea == 0x0807060504030201, "64-bit offset");
	group_end();
}

static void test_fetching(void)
{
	static const u8 mov[] = { 0x48, 0x89, 0x98, 0, 0, 0, 0 };
	unsigned int i;
	int rc;

	group_begin("fetching");
	for (i = 0; i <= sizeof(mov); i++) {
		machine_reset(&m, EMU_LONG64);
		m.emu.rip = 0x1000 - i;
		machine_code(&m, mov, sizeof(mov));
		rc = emu_decode(&m.emu);
		CHECK(rc == EMU_DONE && m.emu.insn.length == 7, "split after %u bytes", i);
		CHECK(m.fetches == (i && i < 7 ? 2 : 1), "fetched %u times", m.fetches);

		machine_reset(&m, EMU_LONG64);
		m.emu.rip = 0x1000 - i;
		machine_code(&m, mov, sizeof(mov));
		m.absent[1] = true;
		rc = emu_decode(&m.emu);
		CHECK(rc == (i < 7 ? EMU_FAULT : EMU_DONE), "absent page after %u bytes", i);
		if (i < 7)
			CHECK(m.emu.fault.vector == 14 && m.emu.fault.address == 0x1000,
			      "#PF address");

		machine_reset(&m, EMU_LONG64);
		machine_code(&m, mov, sizeof(mov));
		memcpy(m.emu.insn.bytes, mov, i);
		m.emu.insn.available = i;
		rc = emu_decode(&m.emu);
		CHECK(rc == EMU_DONE && m.emu.insn.length == 7, "%u bytes given", i);
		CHECK(m.fetches == (i < 7), "%u bytes given, fetched %u times", i, m.fetches);
	}
	group_end();
}

static int decode_given(const u8 *bytes, enum emu_mode mode)
{
	m.emu.mode = mode;
	memcpy(m.emu.insn.bytes, bytes, EMU_MAX_LENGTH);
	m.emu.insn.available = EMU_MAX_LENGTH;
	m.emu.seg_valid = 0;
	return emu_decode(&m.emu);
}

/* What is known of an instruction counts for the same bytes in the same mode, and no others. */
static void test_remembering(void)
{
	static const enum emu_mode modes[] = { EMU_REAL, EMU_PROT32, EMU_LONG64 };
	static const u8 first[][EMU_MAX_LENGTH] = {
		{ 0x89, 0x18 }, { 0xa3, 0x10, 0x20, 0x30, 0x40, 0, 0, 0, 0 },
		{ 0x87, 0x18 }, { 0xc7, 0x84, 0x88, 1, 2, 3, 4, 5, 6, 7, 8 },
		{ 0x26, 0x67, 0x66, 0x8b, 0x43, 0x10 }, { 0xf0, 0x01, 0x18 },
	};
	unsigned int i, j, byte;

	group_begin("decoding the same again");
	for (i = 0; i < sizeof(first) / sizeof(first[0]); i++)
		for (j = 0; j < 9; j++)
			for (byte = 0; byte <= EMU_MAX_LENGTH; byte++) {
				u8 then[EMU_MAX_LENGTH];
				struct emu_insn got;
				int rc, fresh;

				memcpy(then, first[i], sizeof(then));
				if (byte < EMU_MAX_LENGTH)
					then[byte] ^= 0x41;
				machine_reset(&m, EMU_LONG64);
				m.gpr[EMU_RAX] = 0x8000;
				decode_given(first[i], modes[j / 3]);
				m.gpr[EMU_RAX] = 0x9000;
				rc = decode_given(then, modes[j % 3]);
				got = m.emu.insn;
				machine_reset(&m, EMU_LONG64);
				m.gpr[EMU_RAX] = 0x9000;
				fresh = decode_given(then, modes[j % 3]);
				CHECK(rc == fresh && (rc != EMU_DONE ||
				      (got.op == m.emu.insn.op && got.length == m.emu.insn.length &&
				       got.is_mem == m.emu.insn.is_mem && got.seg == m.emu.insn.seg &&
				       (!got.is_mem || got.ea == m.emu.insn.ea) &&
				       got.size == m.emu.insn.size && got.lock == m.emu.insn.lock)),
				      "instruction %u, modes %u, byte %u", i, j, byte);
			}
	group_end();
}

/* The point of reading state late: what the commonest instruction of all asks for */
static void test_economy(void)
{
	group_begin("what a MOV asks for");
	machine_reset(&m, EMU_LONG64);
	m.gpr[EMU_RAX] = MMIO_BASE;
	m.gpr[EMU_RBX] = 0x1122334455667788;
	CHECK(machine_run(&m, BYTES(0x89, 0x58, 0x10)) == EMU_DONE, "runs");
	CHECK(m.mmio_address == MMIO_BASE + 0x10 && m.mmio_written == 0x55667788, "writes");
	CHECK(!m.segment_reads && !m.cr_reads && m.fetches == 1, "64-bit mode: %u segments, %u crs",
	      m.segment_reads, m.cr_reads);

	machine_reset(&m, EMU_REAL);
	m.seg[EMU_ES].base = 0xb000;
	machine_run(&m, BYTES(0x26, 0x89, 0x1e, 0x10, 0x00));
	CHECK(m.segment_reads == 2 && !m.cr_reads, "real mode: %u segments", m.segment_reads);
	group_end();
}

void test_decode(void)
{
	test_lengths();
	test_address16();
	test_address("32-bit addresses", EMU_PROT32);
	test_address("64-bit addresses", EMU_LONG64);
	test_prefixes();
	test_fetching();
	test_remembering();
	test_economy();
}
