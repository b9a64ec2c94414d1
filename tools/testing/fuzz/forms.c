// SPDX-License-Identifier: GPL-2.0
/*
 * The enumeration of what the emulator executes: all opcodes of all maps with every mandatory
 * prefix and ModRM byte are decoded, and forms that come to the same row of the same opcode are
 * one. New rows of the opcode tables are found without being listed anywhere.
 */
#include <string.h>

#include "forms.h"
#include "machine.h"

static struct machine m;

static bool is_prefix_byte(enum emu_mode mode, u8 byte)
{
	switch (byte) {
	case 0x0f:
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64 ... 0x67:
	case 0xf0:
	case 0xf2 ... 0xf3:
		return true;
	default:
		return mode == EMU_LONG64 && (byte & 0xf0) == 0x40;
	}
}

static struct form *find(struct form *forms, unsigned int *n, const struct form *wanted)
{
	struct form *f;

	for (f = forms; f < forms + *n; f++) {
		if (f->op == wanted->op && f->vex == wanted->vex && f->map == wanted->map &&
		    f->opcode == wanted->opcode && f->is_mem == wanted->is_mem)
			return f;
	}
	if (*n == MAX_FORMS)
		return NULL;
	++*n;
	*f = *wanted;
	return f;
}

struct candidate {
	u8 vex, map, opcode, prefix, modrm, l, w, vvvv;
};

static const u8 prefix_bytes[4] = { 0, 0x66, 0xf3, 0xf2 };

static void encode(const struct candidate *c, u8 *bytes)
{
	memset(bytes, 0, EMU_MAX_LENGTH);
	if (c->vex) {
		*bytes++ = 0xc4;
		*bytes++ = 0xe0 | c->map;
		*bytes++ = c->w << 7 | (15 - c->vvvv) << 3 | c->l << 2 | c->prefix;
	} else {
		if (c->prefix)
			*bytes++ = prefix_bytes[c->prefix];
		if (c->map)
			*bytes++ = 0x0f;
		if (c->map > 1)
			*bytes++ = c->map == 2 ? 0x38 : 0x3a;
	}
	*bytes++ = c->opcode;
	*bytes = c->modrm;
}

static void try_candidate(struct form *forms, unsigned int *n, const struct candidate *c)
{
	struct form wanted = { .vex = c->vex, .map = c->map, .opcode = c->opcode }, *f;

	encode(c, m.emu.insn.bytes);
	m.emu.insn.available = EMU_MAX_LENGTH;
	m.emu.seg_valid = 0;
	if (emu_decode(&m.emu) != EMU_DONE || m.emu.insn.vex != c->vex)
		return;
	wanted.op = m.emu.insn.op;
	wanted.is_mem = m.emu.insn.is_mem;
	wanted.flags = m.emu.insn.flags;
	wanted.recipe = recipe_of(wanted.op, wanted.flags);
	f = find(forms, n, &wanted);
	if (!f)
		return;
	f->prefixes |= 1u << c->prefix;
	f->regs |= 1u << ((c->modrm >> 3) & 7);
	f->rms |= 1u << (c->modrm & 7);
	f->l |= 1u << c->l;
	f->w |= 1u << c->w;
	f->vvvv |= 1u << !!c->vvvv;
}

/* Rows without ModRM look at no modrm; asking once is enough. */
static void try_modrm(struct form *forms, unsigned int *n, struct candidate *c)
{
	unsigned int modrm;

	for (modrm = 0; modrm < 256; modrm++) {
		if (modrm >= 0x40 && modrm < 0xc0)
			continue;
		c->modrm = modrm;
		try_candidate(forms, n, c);
		if (!(m.emu.insn.flags & MODRM))
			return;
	}
}

unsigned int find_forms(enum emu_mode mode, struct form *forms)
{
	struct candidate c;
	unsigned int n = 0, i, vex;

	machine_reset(&m, mode);
	for (vex = 0; vex < 2; vex++) {
		for (i = 0; i < 4 * 256 * 4; i++) {
			c = (struct candidate){ .vex = vex, .map = i >> 10, .opcode = i >> 2,
						.prefix = i & 3 };
			if (vex ? !c.map : !c.map && is_prefix_byte(mode, c.opcode))
				continue;
			if (!vex) {
				try_modrm(forms, &n, &c);
				continue;
			}
			for (c.l = 0; c.l < 2; c.l++)
				for (c.w = 0; c.w < 2; c.w++)
					for (c.vvvv = 0; c.vvvv < 2; c.vvvv++)
						try_modrm(forms, &n, &c);
		}
	}
	return n;
}
