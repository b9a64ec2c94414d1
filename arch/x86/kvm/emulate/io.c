// SPDX-License-Identifier: GPL-2.0
/*
 * IN and OUT, and the permission to use a port, which INS and OUTS ask for too. APM volume 1,
 * section 3.8; volume 2, sections 12.2.4 and 12.2.5 (I/O permission bitmap).
 */
#include "opcode.h"

/* Offset of the bitmap's own offset in a 32-bit or 64-bit TSS */
#define TSS_IOMAP_BASE	0x66u
#define TSS_MIN_LIMIT	0x67u

static int bitmap_allows(struct emulator *emu, u16 port, unsigned int size)
{
	struct emu_segment tr;
	u16 base = 0, bits = 0;
	u32 byte;
	int rc;

	emu->ops->get_segment(emu, EMU_TR, &tr);
	if (!(tr.attr & EMU_ATTR_P) || !(tr.attr & EMU_ATTR_CODE) || tr.limit < TSS_MIN_LIMIT)
		return emu_raise_gp0(emu);

	rc = emu->ops->read(emu, tr.base + TSS_IOMAP_BASE, &base, sizeof(base), EMU_ACCESS_SYSTEM);
	if (rc != EMU_DONE)
		return rc;

	/* Two bytes are read whatever the port is: hence the byte of ones that ends a bitmap. */
	byte = (u32)base + port / 8;
	if (byte + 1 > tr.limit)
		return emu_raise_gp0(emu);
	rc = emu->ops->read(emu, tr.base + byte, &bits, sizeof(bits), EMU_ACCESS_SYSTEM);
	if (rc != EMU_DONE)
		return rc;

	if ((bits >> (port & 7)) & ((1u << size) - 1))
		return emu_raise_gp0(emu);
	return EMU_DONE;
}

int emu_io_allowed(struct emulator *emu, u16 port, unsigned int size)
{
	if (emu->mode == EMU_REAL)
		return EMU_DONE;
	if (emu->mode != EMU_VM86 && emu->cpl <= emu_iopl(emu))
		return EMU_DONE;
	return bitmap_allows(emu, port, size);
}

/* EC to EF take the port from DX, E4 to E7 from the immediate. */
static inline u16 port_number(const struct emulator *emu)
{
	return emu->insn.opcode & 8 ? emu->gpr[EMU_RDX] : emu->insn.imm;
}

int emu_exec_in(struct emulator *emu)
{
	unsigned int size = emu->insn.size;
	u16 port = port_number(emu);
	u64 val = 0;
	int rc;

	rc = emu_io_allowed(emu, port, size);
	if (rc != EMU_DONE)
		return rc;
	rc = emu->ops->pio_in(emu, port, size, &val, 1);
	if (rc == EMU_DONE)
		emu_set_gpr(emu, EMU_RAX, size, val);
	return rc;
}

int emu_exec_out(struct emulator *emu)
{
	unsigned int size = emu->insn.size;
	u16 port = port_number(emu);
	u64 val = emu->gpr[EMU_RAX];
	int rc;

	rc = emu_io_allowed(emu, port, size);
	if (rc != EMU_DONE)
		return rc;
	return emu->ops->pio_out(emu, port, size, &val, 1);
}
