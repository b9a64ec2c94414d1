// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions that are compared with the processor: those that user mode may execute and that
 * neither leave the process nor depend on the time. All others are the table tests' affair, unless
 * they need privilege: that they fault is compared too. Beside some stand the flags that the
 * manuals leave undefined and that the emulator does not have the host compute: there processors
 * may differ.
 */
#include "forms.h"

#define AF	FLAG_AF
#define CF	FLAG_CF
#define OF	FLAG_OF
#define PF	FLAG_PF
#define SF	FLAG_SF
#define ZF	FLAG_ZF

#define R(name, preparation)	{ emu_exec_##name, preparation, #name, 0, 0 }
#define U(name, preparation, flags, sentence) \
	{ emu_exec_##name, preparation, #name, flags, sentence }

const struct recipe recipes[] = {
	R(alu, PLAIN), R(test, PLAIN), R(inc, PLAIN), R(dec, PLAIN), R(not, PLAIN), R(neg, PLAIN),
	R(mul, PLAIN), R(imul, PLAIN), R(imul2, PLAIN), R(imul3, PLAIN),
	R(div, DIVISION), R(idiv, DIVISION), R(xadd, PLAIN), R(cmpxchg, COMPARED),

	U(daa, PLAIN, OF, "DAA: The OF flag is undefined."),
	U(das, PLAIN, OF, "DAS: The OF flag is undefined."),
	U(aaa, PLAIN, OF | SF | ZF | PF, "AAA: The OF, SF, ZF, and PF flags are undefined."),
	U(aas, PLAIN, OF | SF | ZF | PF, "AAS: The OF, SF, ZF, and PF flags are undefined."),
	U(aam, PLAIN, OF | AF | CF, "AAM: The OF, AF, and CF flags are undefined."),
	U(aad, PLAIN, OF | AF | CF, "AAD: The OF, AF, and CF flags are undefined."),

	U(shift, PLAIN, OF,
	  "SAL/SAR/SHL/SHR: The OF flag is affected only on 1-bit shifts. For left shifts, [...]; "
	  "otherwise, it is undefined."),
	R(shld, PLAIN), R(shrd, PLAIN),
	U(bt, BIT_STRING, OF | SF | AF | PF,
	  "BT/BTC/BTR/BTS: The OF, SF, AF, and PF flags are undefined."),
	R(bsf, PLAIN), R(bsr, PLAIN),
	U(tzcnt, PLAIN, OF | SF | AF | PF, "TZCNT: OF, SF, PF, and AF flags are undefined."),
	U(lzcnt, PLAIN, OF | SF | AF | PF, "LZCNT: OF, SF, PF, and AF flags are undefined."),
	R(popcnt, PLAIN), R(crc32, PLAIN),

	R(nop, PLAIN), R(clflush, PLAIN), R(mov, PLAIN), R(mov_from_seg, PLAIN), R(movsx, PLAIN),
	R(movbe, PLAIN), R(xchg, PLAIN), R(xchg_acc, PLAIN), R(cmpxchg8b, COMPARED_PAIR),
	R(bswap, PLAIN),
	R(lea, PLAIN), R(setcc, PLAIN), R(cmovcc, PLAIN), R(cbw, PLAIN), R(cwd, PLAIN),
	R(xlat, XLAT), R(salc, PLAIN), R(sahf, PLAIN), R(lahf, PLAIN), R(flag, PLAIN),

	R(movs, STRING), R(cmps, STRING), R(stos, STRING), R(lods, STRING), R(scas, STRING),
	R(ins, STRING), R(outs, STRING), R(in, PLAIN), R(out, PLAIN),

	R(push, STACK), R(push_seg, PUSH_SEGMENT), R(pop, STACK), R(pop_rm, STACK),
	R(pusha, STACK), R(popa, POP_ALL), R(pushf, STACK), R(popf, STACK),
	R(enter, ENTER), R(leave, STACK), R(jmp, STACK), R(jmp_rm, BRANCH), R(jcc, STACK),
	R(loop, COUNTER), R(jcxz, COUNTER), R(call, STACK), R(call_rm, BRANCH),
	R(ret, NEAR_RETURN), R(bound, BOUNDS), R(cli, PLAIN), R(sti, PLAIN),

	U(andn, PLAIN, AF | PF, "ANDN: AF and PF flags are undefined."),
	U(bls, PLAIN, AF | PF, "BLSI/BLSMSK/BLSR: AF and PF flags are undefined."),
	U(bzhi, PLAIN, AF | PF, "BZHI: AF and PF flags are undefined."),
	U(bextr, PLAIN, AF | SF | PF, "BEXTR: AF, SF, and PF are undefined."),
	R(pext, PLAIN), R(pdep, PLAIN), R(mulx, PLAIN), R(rorx, PLAIN), R(shiftx, PLAIN),
	R(adx, PLAIN), R(movdiri, PLAIN), R(movdir64b, BLOCK64),

	R(vec_load, FPU_STATE), R(vec_load_aligned, FPU_STATE), R(vec_store, FPU_STATE),
	R(vec_store_aligned, FPU_STATE), R(vec_load_scalar, FPU_STATE),
	R(vec_store_scalar, FPU_STATE), R(vec_load_half, FPU_STATE), R(vec_store_half, FPU_STATE),
	R(vec_load_dup, FPU_STATE), R(vec_load_q, FPU_STATE), R(vec_store_q, FPU_STATE),
	R(vec_from_gpr, FPU_STATE), R(vec_to_gpr, FPU_STATE), R(vec_broadcast, FPU_STATE),
	R(vec_load_masked, MASKED), R(vec_store_masked, MASKED), R(vec_maskmov, MASKED),
	R(vec_insert, FPU_STATE), R(vec_extract, FPU_STATE), R(vec_extract_word, FPU_STATE),

	R(mmx_load, FPU_STATE), R(mmx_store, MMX_STORE), R(mmx_from_gpr, FPU_STATE),
	R(mmx_to_gpr, MMX_STORE), R(mmx_from_vec, FPU_STATE), R(mmx_to_vec, FPU_STATE),
	R(mmx_maskmov, MMX_STORE), R(mmx_insert, FPU_STATE), R(mmx_extract, FPU_STATE),
	R(emms, FPU_STATE),

	R(fxsave, FPU_PARTS), R(fxrstor, FPU_IMAGE), R(ldmxcsr, FPU_CONTROL), R(stmxcsr, FPU_STATE),

	R(fld, FPU_STATE), R(fld80, FPU_PARTS), R(fild, FPU_STATE), R(fbld, FPU_PARTS),
	R(fst, FPU_STATE), R(fst80, FPU_PARTS), R(fist, FPU_STATE), R(fisttp, FPU_STATE),
	R(fbstp, FPU_PARTS), R(fldcw, FPU_STATE), R(fnstcw, FPU_STATE), R(fnstsw, FPU_STATE),
	R(fldenv, FPU_PARTS), R(fnstenv, FPU_PARTS), R(frstor, FPU_PARTS), R(fnsave, FPU_PARTS),
	R(fninit, FPU_STATE), R(fnclex, FPU_STATE), R(fnop, FPU_STATE), R(fwait, FPU_STATE),
};

const unsigned int recipe_count = sizeof(recipes) / sizeof(recipes[0]);

/* Where privilege is missing nothing else is looked at. */
static const struct recipe privileged = { 0, PLAIN, "privileged", 0, 0 };

const struct recipe *recipe_of(const struct emu_opcode *op, u32 flags)
{
	unsigned int i;

	for (i = 0; i < recipe_count; i++) {
		if (recipes[i].exec == op->exec)
			return &recipes[i];
	}
	return flags & CPL0 ? &privileged : NULL;
}
