// SPDX-License-Identifier: GPL-2.0
/*
 * The emulator joined to a vcpu: what its ops mean for guest memory, devices and registers, and how
 * an instruction that touches devices waits for userspace. The emulator itself is in emulate/; its
 * restart model, which this file serves, is described in Documentation/virt/kvm/x86/emulator.rst.
 *
 * Reads that only userspace can answer are logged: the instruction stops, KVM_RUN returns with
 * KVM_EXIT_MMIO or KVM_EXIT_IO, and when it is called again the same decoded instruction runs from
 * its beginning with the answer taken from the log. Writes are queued while the instruction runs
 * and handed out, in order, when it is complete. KVM API document, section 5 (KVM_EXIT_MMIO).
 */
#include <linux/kvm_para.h>
#include <linux/slab.h>
#include <asm/fpu/sched.h>
#include <asm/trapnr.h>

#include "x86.h"
#include "cpu/cpuid.h"
#include "cpu/regs.h"
#include "emulate/emulate.h"
#include "irqchip/irqchip.h"
#include "mmu/mmu.h"
#include "trace.h"
#include <trace/events/kvm.h>

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
	gpa_t fault_gpa;	/* of the memory operand, when the exit told; else INVALID_GPA */
	unsigned int next_read;	/* pieces of the log this run has consumed */
	bool pio_answered;	/* the data of the pending IN is in the PIO page */
	bool pio_out;		/* an OUT waits to be handed out */
	bool halt;
	struct mmio_queue reads, writes;
};

static struct kvm_x86_emulation *to_emulation(struct emulator *emu)
{
	return container_of(emu, struct kvm_x86_emulation, emu);
}

static struct kvm_vcpu *emu_vcpu(struct emulator *emu)
{
	return to_emulation(emu)->vcpu;
}

/* ---- faults ------------------------------------------------------------------------------------------ */

static int raise(struct emulator *emu, u8 vector)
{
	emu->fault = (struct emu_fault) { .vector = vector };
	return EMU_FAULT;
}

static int raise_gp(struct emulator *emu)
{
	emu->fault = (struct emu_fault) { .vector = GP_VECTOR, .has_error = true };
	return EMU_FAULT;
}

/* ---- memory ------------------------------------------------------------------------------------------- */

/* Error code bits of the access, as a page table walk wants to know them. */
static u32 walk_access(struct emulator *emu, unsigned int access)
{
	return emu->cpl == 3 && !(access & EMU_ACCESS_SYSTEM) ? KVM_PF_USER : 0;
}

/*
 * Instructions with a single memory operand, whose address the fault that led here has told. All
 * others walk the guest's tables: a stack or a second string operand may lie anywhere.
 */
static bool one_operand(const struct emu_insn *insn)
{
	if (!insn->is_mem)
		return false;
	if (insn->map == 0)
		return insn->opcode < 0x40 || (insn->opcode >= 0x80 && insn->opcode <= 0x8b) ||
		       insn->opcode == 0xc6 || insn->opcode == 0xc7;
	return insn->map == 1;
}

static int translate(struct emulator *emu, u64 linear, u32 access, gpa_t *gpa)
{
	struct kvm_x86_emulation *em = to_emulation(emu);
	struct kvm_walk_fault fault;

	if (em->fault_gpa != INVALID_GPA && !((em->fault_gpa ^ linear) & ~PAGE_MASK) &&
	    one_operand(&emu->insn)) {
		*gpa = em->fault_gpa;
		return EMU_DONE;
	}
	*gpa = kvm_walk_gva(em->vcpu, linear, access, &fault);
	if (likely(*gpa != INVALID_GPA))
		return EMU_DONE;
	if (fault.nested_abort)
		return EMU_UNHANDLED;
	emu->fault = (struct emu_fault) {
		.vector = PF_VECTOR,
		.has_error = true,
		.error = fault.error_code,
		.address = fault.cr2,
	};
	return EMU_FAULT;
}

/* Bytes of the access up to the end of its page. */
static unsigned int in_page(u64 linear, unsigned int size)
{
	return min_t(unsigned int, size, PAGE_SIZE - offset_in_page(linear));
}

static int op_fetch(struct emulator *emu, u64 linear, void *buf, unsigned int size)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);
	struct kvm_walk_fault fault;
	gpa_t gpa;

	gpa = kvm_walk_gva(vcpu, linear, walk_access(emu, 0) | KVM_PF_FETCH, &fault);
	if (gpa == INVALID_GPA) {
		if (fault.nested_abort)
			return EMU_UNHANDLED;
		emu->fault = (struct emu_fault) {
			.vector = PF_VECTOR,
			.has_error = true,
			.error = fault.error_code,
			.address = fault.cr2,
		};
		return EMU_FAULT;
	}
	/* Code in a device: there is no way to ask userspace for instruction bytes. */
	return kvm_guest_read(vcpu, gpa, buf, size) ? EMU_UNHANDLED : EMU_DONE;
}

/* Device memory, one piece: from the log, from a device in the kernel, or noted for userspace. */
static int read_device(struct kvm_x86_emulation *em, gpa_t gpa, void *buf, unsigned int len)
{
	struct mmio_queue *log = &em->reads;
	struct mmio_piece *p;

	if (em->next_read < log->nr) {
		p = &log->piece[em->next_read++];
		/* Another address than before: the guest changed under our feet; nobody can say why. */
		if (p->gpa != gpa || p->len != len)
			return EMU_UNHANDLED;
		memcpy(buf, p->data, len);
		return em->next_read <= log->done ? EMU_DONE : EMU_PENDING;
	}
	if (log->nr == MAX_PIECES)
		return EMU_UNHANDLED;
	p = &log->piece[log->nr++];
	em->next_read++;
	p->gpa = gpa;
	p->len = len;
	if (log->done == log->nr - 1 &&
	    (kvm_lapic_mmio(em->vcpu, gpa, len, p->data, false) ||
	     !kvm_io_bus_read(em->vcpu, KVM_MMIO_BUS, gpa, len, p->data))) {
		trace_kvm_mmio(KVM_TRACE_MMIO_READ, len, gpa, p->data);
		memcpy(buf, p->data, len);
		log->done++;
		return EMU_DONE;
	}
	return EMU_PENDING;
}

/* The ABI's pieces: 8 bytes, split by nothing but the size. */
static int read_device_pieces(struct kvm_x86_emulation *em, gpa_t gpa, void *buf, unsigned int len)
{
	int r = EMU_DONE, piece_r;
	unsigned int n;

	for (; len; len -= n, gpa += n, buf += n) {
		n = min(len, 8u);
		piece_r = read_device(em, gpa, buf, n);
		if (piece_r == EMU_UNHANDLED)
			return piece_r;
		if (piece_r != EMU_DONE)
			r = piece_r;
	}
	return r;
}

static int write_device_pieces(struct kvm_x86_emulation *em, gpa_t gpa, const void *buf,
			       unsigned int len)
{
	struct mmio_queue *q = &em->writes;
	struct mmio_piece *p;
	unsigned int n;

	for (; len; len -= n, gpa += n, buf += n) {
		n = min(len, 8u);
		if (q->nr == MAX_PIECES)
			return EMU_UNHANDLED;
		p = &q->piece[q->nr++];
		p->gpa = gpa;
		p->len = n;
		memcpy(p->data, buf, n);
	}
	return EMU_DONE;
}

static int read_page(struct emulator *emu, u64 linear, void *buf, unsigned int size, u32 access)
{
	struct kvm_x86_emulation *em = to_emulation(emu);
	gpa_t gpa;
	int r;

	r = translate(emu, linear, access, &gpa);
	if (r != EMU_DONE)
		return r;
	if (!kvm_mmu_gfn_is_mmio(em->vcpu, gpa_to_gfn(gpa)) &&
	    !kvm_guest_read(em->vcpu, gpa, buf, size))
		return EMU_DONE;
	return read_device_pieces(em, gpa, buf, size);
}

static int op_read(struct emulator *emu, u64 linear, void *buf, unsigned int size,
		   unsigned int access)
{
	u32 walk = walk_access(emu, access);
	unsigned int n = in_page(linear, size);
	int r, second;

	if (access & EMU_ACCESS_MODIFY)
		walk |= KVM_PF_WRITE;
	r = read_page(emu, linear, buf, n, walk);
	if (likely(n == size) || (r != EMU_DONE && r != EMU_PENDING))
		return r;
	/* Both halves are asked for before the instruction waits. */
	second = read_page(emu, linear + n, buf + n, size - n, walk);
	return second == EMU_DONE ? r : second;
}

static int write_page(struct kvm_x86_emulation *em, gpa_t gpa, const void *buf, unsigned int size)
{
	if (!kvm_mmu_gfn_is_mmio(em->vcpu, gpa_to_gfn(gpa)) &&
	    !kvm_guest_write(em->vcpu, gpa, buf, size))
		return EMU_DONE;
	return write_device_pieces(em, gpa, buf, size);
}

static int op_write(struct emulator *emu, u64 linear, const void *buf, unsigned int size,
		    unsigned int access)
{
	struct kvm_x86_emulation *em = to_emulation(emu);
	u32 walk = walk_access(emu, access) | KVM_PF_WRITE;
	unsigned int n = in_page(linear, size);
	gpa_t first, second = 0;
	int r;

	/* Faults of either half come before the first byte is written. */
	r = translate(emu, linear, walk, &first);
	if (r == EMU_DONE && unlikely(n < size))
		r = translate(emu, linear + n, walk, &second);
	if (r != EMU_DONE)
		return r;
	r = write_page(em, first, buf, n);
	if (r == EMU_DONE && unlikely(n < size))
		r = write_page(em, second, buf + n, size - n);
	return r;
}

static int op_probe_write(struct emulator *emu, u64 linear, unsigned int size)
{
	u32 walk = walk_access(emu, 0) | KVM_PF_WRITE;
	unsigned int n = in_page(linear, size);
	gpa_t gpa;
	int r;

	r = translate(emu, linear, walk, &gpa);
	if (r == EMU_DONE && n < size)
		r = translate(emu, linear + n, walk, &gpa);
	return r;
}

static int op_cmpxchg(struct emulator *emu, u64 linear, const void *old, const void *new,
		      unsigned int size)
{
	struct kvm_x86_emulation *em = to_emulation(emu);
	u64 was = 0, want = 0;
	gpa_t gpa;
	int r;

	/* What no processor does atomically is not done atomically here either. */
	if (size > 8 || (linear & (size - 1)))
		return op_write(emu, linear, new, size, 0);
	r = translate(emu, linear, walk_access(emu, 0) | KVM_PF_WRITE, &gpa);
	if (r != EMU_DONE)
		return r;
	if (kvm_mmu_gfn_is_mmio(em->vcpu, gpa_to_gfn(gpa)))
		return write_device_pieces(em, gpa, new, size);

	memcpy(&was, old, size);
	memcpy(&want, new, size);
	r = kvm_guest_cmpxchg(em->vcpu, gpa, &was, want, size);
	if (r < 0)
		return write_device_pieces(em, gpa, new, size);
	return r ? EMU_AGAIN : EMU_DONE;
}

static bool op_checkpoint(struct emulator *emu)
{
	struct kvm_x86_emulation *em = to_emulation(emu);

	em->reads.nr = 0;
	em->reads.done = 0;
	em->next_read = 0;
	em->pio_answered = false;
	return em->writes.nr > MAX_PIECES / 2 || em->pio_out ||
	       kvm_request_pending(em->vcpu) || signal_pending(current) || need_resched();
}

/* ---- ports --------------------------------------------------------------------------------------------- */

static int op_pio_in(struct emulator *emu, u16 port, unsigned int size, void *buf,
		     unsigned int count)
{
	struct kvm_x86_emulation *em = to_emulation(emu);
	struct kvm_vcpu *vcpu = em->vcpu;
	unsigned int i;

	/* Userspace may have changed registers meanwhile: then this is another request. */
	if (em->pio_answered && vcpu->arch.pio.port == port && vcpu->arch.pio.size == size &&
	    vcpu->arch.pio.count == count) {
		memcpy(buf, vcpu->arch.pio_data, size * count);
		trace_kvm_pio(KVM_PIO_IN, port, size, count, vcpu->arch.pio_data);
		return EMU_DONE;
	}
	for (i = 0; i < count; i++)
		if (kvm_io_bus_read(vcpu, KVM_PIO_BUS, port, size, buf + i * size))
			break;
	if (i == count)
		return EMU_DONE;
	/* A device has the port for all elements or for none. */
	memset(vcpu->arch.pio_data, 0, size * count);
	kvm_prepare_pio_exit(vcpu, port, size, true, count);
	return EMU_PENDING;
}

static int op_pio_out(struct emulator *emu, u16 port, unsigned int size, const void *buf,
		      unsigned int count)
{
	struct kvm_x86_emulation *em = to_emulation(emu);
	struct kvm_vcpu *vcpu = em->vcpu;
	unsigned int i;

	trace_kvm_pio(KVM_PIO_OUT, port, size, count, buf);
	for (i = 0; i < count; i++)
		if (kvm_io_bus_write(vcpu, KVM_PIO_BUS, port, size, buf + i * size))
			break;
	if (i == count)
		return EMU_DONE;
	memcpy(vcpu->arch.pio_data, buf + i * size, (count - i) * size);
	kvm_prepare_pio_exit(vcpu, port, size, false, count - i);
	em->pio_out = true;
	return EMU_DONE;
}

/* ---- registers ------------------------------------------------------------------------------------------- */

static void op_get_segment(struct emulator *emu, enum emu_seg seg, struct emu_segment *val)
{
	struct kvm_segment s;

	vendor(get_segment)(emu_vcpu(emu), (enum kvm_seg)seg, &s);
	val->base = s.base;
	val->limit = s.limit;
	val->selector = s.selector;
	val->attr = s.type | s.s << 4 | s.dpl << EMU_ATTR_DPL_SHIFT |
		    (s.unusable ? 0 : s.present << 7) | s.avl << 8 | s.l << 9 | s.db << 10 |
		    s.g << 11;
}

static int op_set_segment(struct emulator *emu, enum emu_seg seg, const struct emu_segment *val)
{
	struct kvm_segment s = {
		.base = val->base,
		.limit = val->limit,
		.selector = val->selector,
		.type = val->attr & EMU_ATTR_TYPE,
		.s = !!(val->attr & EMU_ATTR_S),
		.dpl = (val->attr & EMU_ATTR_DPL) >> EMU_ATTR_DPL_SHIFT,
		.present = !!(val->attr & EMU_ATTR_P),
		.avl = !!(val->attr & EMU_ATTR_AVL),
		.l = !!(val->attr & EMU_ATTR_L),
		.db = !!(val->attr & EMU_ATTR_DB),
		.g = !!(val->attr & EMU_ATTR_G),
		.unusable = !(val->attr & EMU_ATTR_P),
	};

	kvm_x86_ops.set_segment(emu_vcpu(emu), (enum kvm_seg)seg, &s);
	return EMU_DONE;
}

static void op_get_dt(struct emulator *emu, enum emu_dt which, struct emu_table *val)
{
	struct desc_ptr dt;

	if (which == EMU_GDT)
		kvm_x86_ops.get_gdt(emu_vcpu(emu), &dt);
	else
		kvm_x86_ops.get_idt(emu_vcpu(emu), &dt);
	val->base = dt.address;
	val->limit = dt.size;
}

static int op_set_dt(struct emulator *emu, enum emu_dt which, const struct emu_table *val)
{
	struct desc_ptr dt = { .size = val->limit, .address = val->base };

	if (which == EMU_GDT)
		kvm_x86_ops.set_gdt(emu_vcpu(emu), &dt);
	else
		kvm_x86_ops.set_idt(emu_vcpu(emu), &dt);
	return EMU_DONE;
}

static u64 op_get_cr(struct emulator *emu, unsigned int nr)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);

	switch (nr) {
	case 0:
		return kvm_read_cr0(vcpu);
	case 2:
		return vcpu->arch.cr2;
	case 3:
		return kvm_read_cr3(vcpu);
	case 4:
		return kvm_read_cr4(vcpu);
	default:
		return kvm_get_cr8(vcpu);
	}
}

static int op_set_cr(struct emulator *emu, unsigned int nr, u64 val)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);
	int r = 0;

	trace_kvm_cr(1, nr, val);
	switch (nr) {
	case 0:
		r = kvm_set_cr0(vcpu, val);
		break;
	case 2:
		vcpu->arch.cr2 = val;
		break;
	case 3:
		r = kvm_set_cr3(vcpu, val);
		break;
	case 4:
		r = kvm_set_cr4(vcpu, val);
		break;
	default:
		r = kvm_set_cr8(vcpu, val);
	}
	return r ? raise_gp(emu) : EMU_DONE;
}

/* Debug registers guarded by DR7.GD: the exception is the emulator's to raise. */
static int check_dr_guard(struct emulator *emu)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);

	if (!(vcpu->arch.dr7 & DR7_GD))
		return EMU_DONE;
	emu->fault = (struct emu_fault) { .vector = DB_VECTOR, .address = DR6_BD };
	return EMU_FAULT;
}

static int op_get_dr(struct emulator *emu, unsigned int nr, u64 *val)
{
	int r = check_dr_guard(emu);

	if (r == EMU_DONE)
		*val = kvm_get_dr(emu_vcpu(emu), nr);
	return r;
}

static int op_set_dr(struct emulator *emu, unsigned int nr, u64 val)
{
	int r = check_dr_guard(emu);

	if (r != EMU_DONE)
		return r;
	return kvm_set_dr(emu_vcpu(emu), nr, val) ? raise_gp(emu) : EMU_DONE;
}

static int op_get_msr(struct emulator *emu, u32 index, u64 *val)
{
	return kvm_get_msr(emu_vcpu(emu), index, val, false) ? raise_gp(emu) : EMU_DONE;
}

static int op_set_msr(struct emulator *emu, u32 index, u64 val)
{
	return kvm_set_msr(emu_vcpu(emu), index, val, false) ? raise_gp(emu) : EMU_DONE;
}

static int op_set_xcr(struct emulator *emu, u32 index, u64 val)
{
	return kvm_set_xcr(emu_vcpu(emu), index, val) ? raise_gp(emu) : EMU_DONE;
}

/* ---- instructions that are the hypervisor's ------------------------------------------------------------------ */

static int op_cpuid(struct emulator *emu, u32 regs[4])
{
	kvm_cpuid(emu_vcpu(emu), &regs[0], &regs[1], &regs[2], &regs[3]);
	return EMU_DONE;
}

static int op_rdtsc(struct emulator *emu, u64 *tsc, u32 *aux)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);
	u64 val = 0;

	*tsc = kvm_guest_tsc(vcpu);
	if (kvm_get_msr(vcpu, MSR_TSC_AUX, &val, true))
		val = 0;
	*aux = val;
	return EMU_DONE;
}

static int op_rdpmc(struct emulator *emu, u32 counter, u64 *val)
{
	return raise_gp(emu);
}

static int op_halt(struct emulator *emu)
{
	to_emulation(emu)->halt = true;
	return EMU_DONE;
}

static int op_invlpg(struct emulator *emu, u64 linear)
{
	kvm_x86_ops.flush_tlb_page(emu_vcpu(emu), linear);
	return EMU_DONE;
}

static int op_wbinvd(struct emulator *emu)
{
	return EMU_DONE;
}

/* Either vendor's instruction, most often the wrong one: make it the right one for next time. */
static int op_hypercall(struct emulator *emu)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);
	u64 linear = kvm_linear_rip(vcpu);
	u8 insn[3];
	int r;

	if (vcpu->kvm->arch.disabled_quirks & KVM_X86_QUIRK_FIX_HYPERCALL_INSN)
		return raise(emu, UD_VECTOR);
	kvm_x86_ops.patch_hypercall(vcpu, insn);
	/* The write faults as the guest's own would; the instruction then runs again. */
	r = op_write(emu, linear, insn, sizeof(insn), 0);
	return r == EMU_DONE ? EMU_AGAIN : r;
}

/* ---- vector registers, which are in the processor ---------------------------------------------------------------- */

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

static void op_get_xmm(struct emulator *emu, unsigned int nr, void *val)
{
	u8 (*p)[16] = val;

	fpu_begin();
	switch (nr) {
#define READ_XMM(n) case n: asm("movdqu %%xmm" #n ", %0" : "=m" (*p)); break;
	XMM_CASES(READ_XMM)
	}
	fpregs_unlock();
}

static void op_set_xmm(struct emulator *emu, unsigned int nr, const void *val)
{
	const u8 (*p)[16] = val;

	fpu_begin();
	switch (nr) {
#define WRITE_XMM(n) case n: asm volatile("movdqu %0, %%xmm" #n : : "m" (*p)); break;
	XMM_CASES(WRITE_XMM)
	}
	fpregs_unlock();
}

static void op_get_mmx(struct emulator *emu, unsigned int nr, void *val)
{
	u64 *p = val;

	fpu_begin();
	switch (nr) {
#define READ_MMX(n) case n: asm("movq %%mm" #n ", %0" : "=m" (*p)); break;
	MMX_CASES(READ_MMX)
	}
	fpregs_unlock();
}

static void op_set_mmx(struct emulator *emu, unsigned int nr, const void *val)
{
	const u64 *p = val;

	fpu_begin();
	switch (nr) {
#define WRITE_MMX(n) case n: asm volatile("movq %0, %%mm" #n : : "m" (*p)); break;
	MMX_CASES(WRITE_MMX)
	}
	fpregs_unlock();
}

static const struct emu_ops vcpu_ops = {
	.fetch = op_fetch,
	.read = op_read,
	.write = op_write,
	.probe_write = op_probe_write,
	.cmpxchg = op_cmpxchg,
	.checkpoint = op_checkpoint,
	.pio_in = op_pio_in,
	.pio_out = op_pio_out,
	.get_segment = op_get_segment,
	.set_segment = op_set_segment,
	.get_dt = op_get_dt,
	.set_dt = op_set_dt,
	.get_cr = op_get_cr,
	.set_cr = op_set_cr,
	.get_dr = op_get_dr,
	.set_dr = op_set_dr,
	.get_msr = op_get_msr,
	.set_msr = op_set_msr,
	.set_xcr = op_set_xcr,
	.cpuid = op_cpuid,
	.rdtsc = op_rdtsc,
	.rdpmc = op_rdpmc,
	.halt = op_halt,
	.invlpg = op_invlpg,
	.wbinvd = op_wbinvd,
	.hypercall = op_hypercall,
	.get_xmm = op_get_xmm,
	.set_xmm = op_set_xmm,
	.get_mmx = op_get_mmx,
	.set_mmx = op_set_mmx,
};

/* ---- running an instruction ------------------------------------------------------------------------------------- */

static enum emu_mode current_mode(struct kvm_vcpu *vcpu)
{
	struct kvm_segment cs;

	if (!is_protected(vcpu))
		return EMU_REAL;
	if (vcpu->arch.rflags & X86_EFLAGS_VM)
		return EMU_VM86;
	vendor(get_segment)(vcpu, KVM_CS, &cs);
	if (cs.l && is_long_mode(vcpu))
		return EMU_LONG64;
	return cs.db ? EMU_PROT32 : EMU_PROT16;
}

static struct kvm_x86_emulation *emulation_begin(struct kvm_vcpu *vcpu, gpa_t gpa,
						 unsigned int flags, const void *bytes, int n)
{
	struct kvm_x86_emulation *em = vcpu->arch.emulation;
	struct emulator *emu;

	if (unlikely(!em)) {
		em = kzalloc(sizeof(*em), GFP_KERNEL_ACCOUNT);
		if (!em)
			return NULL;
		em->vcpu = vcpu;
		em->emu.ops = &vcpu_ops;
		em->emu.gpr = vcpu->arch.regs;
		vcpu->arch.emulation = em;
	}
	emu = &em->emu;
	emu->rip = vcpu->arch.rip;
	emu->rflags = vcpu->arch.rflags;
	emu->mode = current_mode(vcpu);
	emu->cpl = vendor(cpl)(vcpu);
	emu->insn.available = min(n, EMU_MAX_LENGTH);
	if (n > 0)
		memcpy(emu->insn.bytes, bytes, emu->insn.available);

	em->fault_gpa = flags & KVM_EMULATE_PF ? gpa : INVALID_GPA;
	em->next_read = 0;
	em->reads.nr = 0;
	em->reads.done = 0;
	em->writes.nr = 0;
	em->writes.done = 0;
	em->pio_answered = false;
	em->pio_out = false;
	em->halt = false;
	return em;
}

static void trace_insn(struct kvm_x86_emulation *em, bool failed)
{
	static const u8 flags[] = {
		[EMU_REAL] = 0,
		[EMU_VM86] = KVM_TRACE_INSN_PE | KVM_TRACE_INSN_VM,
		[EMU_PROT16] = KVM_TRACE_INSN_PE,
		[EMU_PROT32] = KVM_TRACE_INSN_PE | KVM_TRACE_INSN_D,
		[EMU_LONG64] = KVM_TRACE_INSN_PE | KVM_TRACE_INSN_L,
	};
	const struct emulator *emu = &em->emu;

	if (!trace_kvm_emulate_insn_enabled())
		return;
	trace_kvm_emulate_insn(emu->rip, vendor(segment_base)(em->vcpu, KVM_CS),
			       failed ? emu->insn.available : emu->insn.length, emu->insn.bytes,
			       flags[emu->mode], failed);
}

static void fill_failure(struct kvm_x86_emulation *em)
{
	struct kvm_run *run = em->vcpu->run;
	struct kvm_exit_info info;
	u32 n = em->emu.insn.available;
	u64 data[4];

	kvm_x86_ops.exit_info(em->vcpu, &info);
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.flags = 0;
	memset(run->internal.data, 0, sizeof(run->internal.data));
	run->emulation_failure.ndata = 1;
	if (n) {
		BUILD_BUG_ON(sizeof(run->emulation_failure.insn_bytes) != EMU_MAX_LENGTH);
		run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
		run->emulation_failure.insn_size = n;
		memset(run->emulation_failure.insn_bytes, 0x90, EMU_MAX_LENGTH);
		memcpy(run->emulation_failure.insn_bytes, em->emu.insn.bytes, n);
		run->emulation_failure.ndata = 3;
	}
	/* For whoever debugs it: the exit that led here, in words userspace need not understand. */
	data[0] = info.reason;
	data[1] = info.info1;
	data[2] = info.info2;
	data[3] = info.intr_info | (u64)info.error_code << 32;
	memcpy(&run->internal.data[run->emulation_failure.ndata], data, sizeof(data));
	run->emulation_failure.ndata += ARRAY_SIZE(data);
}

/* The instruction is beyond the emulator. Guest user code must not be able to stop the machine. */
static int emulation_failed(struct kvm_x86_emulation *em, unsigned int flags)
{
	struct kvm_vcpu *vcpu = em->vcpu;

	vcpu->stat.insn_emulation_fail++;
	trace_insn(em, true);
	if (!vcpu->kvm->arch.exit_on_emulation_error && !(flags & KVM_EMULATE_SKIP)) {
		kvm_queue_exception(vcpu, UD_VECTOR);
		if (vendor(cpl)(vcpu))
			return 1;
	}
	fill_failure(em);
	return 0;
}

static void raise_fault(struct kvm_x86_emulation *em)
{
	const struct emu_fault *f = &em->emu.fault;
	struct kvm_vcpu *vcpu = em->vcpu;

	if (f->vector == PF_VECTOR)
		kvm_queue_page_fault(vcpu, f->error, f->address);
	else if (f->vector == DB_VECTOR)
		kvm_queue_exception_payload(vcpu, DB_VECTOR, f->address);
	else if (f->has_error)
		kvm_queue_exception_error(vcpu, f->vector, f->error);
	else
		kvm_queue_exception(vcpu, f->vector);
}

/* INT n and its kin: they return behind the instruction, and are delivered as events. */
static int raise_soft_int(struct kvm_x86_emulation *em)
{
	const struct emu_soft_int *si = &em->emu.soft_int;
	struct kvm_vcpu *vcpu = em->vcpu;

	vcpu->arch.rip = em->emu.next_rip;
	switch (si->kind) {
	case EMU_INT3:
	case EMU_INTO:
		kvm_queue_exception(vcpu, si->vector);
		break;
	case EMU_INT1:
		kvm_queue_exception_payload(vcpu, DB_VECTOR, 0);
		break;
	default:
		kvm_queue_interrupt(vcpu, si->vector, true);
	}
	return 1;
}

static void exit_mmio(struct kvm_x86_emulation *em, struct mmio_piece *p, bool write)
{
	struct kvm_run *run = em->vcpu->run;

	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = p->gpa;
	run->mmio.len = p->len;
	run->mmio.is_write = write;
	if (write)
		memcpy(run->mmio.data, p->data, sizeof(p->data));
	em->vcpu->stat.mmio_exits++;
}

static int deliver_writes(struct kvm_x86_emulation *em);

static int complete_write(struct kvm_vcpu *vcpu)
{
	struct kvm_x86_emulation *em = vcpu->arch.emulation;

	em->writes.done++;
	return deliver_writes(em);
}

static int complete_out(struct kvm_vcpu *vcpu)
{
	vcpu->arch.emulation->pio_out = false;
	return 1;
}

/* The instruction is complete but for its writes to devices. 1 when all are delivered. */
static int deliver_writes(struct kvm_x86_emulation *em)
{
	struct mmio_queue *q = &em->writes;
	struct kvm_vcpu *vcpu = em->vcpu;
	struct mmio_piece *p;

	for (; q->done < q->nr; q->done++) {
		p = &q->piece[q->done];
		trace_kvm_mmio(KVM_TRACE_MMIO_WRITE, p->len, p->gpa, p->data);
		if (kvm_lapic_mmio(vcpu, p->gpa, p->len, p->data, true) ||
		    !kvm_io_bus_write(vcpu, KVM_MMIO_BUS, p->gpa, p->len, p->data))
			continue;
		exit_mmio(em, p, true);
		vcpu->arch.complete_io = complete_write;
		return 0;
	}
	if (em->pio_out) {
		/* kvm_run was filled when the instruction ran; MMIO exits may have come since. */
		kvm_prepare_pio_exit(vcpu, vcpu->arch.pio.port, vcpu->arch.pio.size, false,
				     vcpu->arch.pio.count);
		vcpu->stat.io_exits++;
		vcpu->arch.complete_io = complete_out;
		return 0;
	}
	return 1;
}

static int execute(struct kvm_x86_emulation *em);

static int complete_read(struct kvm_vcpu *vcpu)
{
	struct kvm_x86_emulation *em = vcpu->arch.emulation;
	struct mmio_queue *log = &em->reads;
	struct mmio_piece *p = &log->piece[log->done];

	memcpy(p->data, vcpu->run->mmio.data, p->len);
	trace_kvm_mmio(KVM_TRACE_MMIO_READ, p->len, p->gpa, p->data);
	log->done++;
	/* The vcpu was moved while userspace had it: the instruction is no more. */
	if (vcpu->arch.rip != em->emu.rip)
		return 1;
	return execute(em);
}

static int complete_in(struct kvm_vcpu *vcpu)
{
	struct kvm_x86_emulation *em = vcpu->arch.emulation;

	em->pio_answered = true;
	if (vcpu->arch.rip != em->emu.rip)
		return 1;
	return execute(em);
}

static int wait_for_userspace(struct kvm_x86_emulation *em)
{
	struct mmio_queue *log = &em->reads;
	struct kvm_vcpu *vcpu = em->vcpu;
	struct mmio_piece *p;

	if (log->done == log->nr) {
		vcpu->stat.io_exits++;
		vcpu->arch.complete_io = complete_in;
		return 0;
	}
	p = &log->piece[log->done];
	trace_kvm_mmio(KVM_TRACE_MMIO_READ_UNSATISFIED, p->len, p->gpa, NULL);
	exit_mmio(em, p, false);
	vcpu->arch.complete_io = complete_read;
	return 0;
}

/* rip, rflags and registers of a completed instruction, or of a string between two rounds. */
static void commit(struct kvm_x86_emulation *em)
{
	struct kvm_vcpu *vcpu = em->vcpu;

	vcpu->arch.rip = em->emu.rip;
	vcpu->arch.rflags = em->emu.rflags;
}

static int finish(struct kvm_x86_emulation *em, unsigned long rflags_before)
{
	struct kvm_vcpu *vcpu = em->vcpu;
	u8 shadow = em->emu.shadow;
	int r;

	commit(em);
	vendor(set_interrupt_shadow)(vcpu, (shadow & EMU_SHADOW_STI ? KVM_X86_SHADOW_INT_STI : 0) |
				     (shadow & EMU_SHADOW_SS ? KVM_X86_SHADOW_INT_MOV_SS : 0));
	if (unlikely(em->emu.nmi_unblocked))
		kvm_x86_ops.set_nmi_mask(vcpu, false);
	/* IF may be set now: windows are to be looked at. */
	if (unlikely((em->emu.rflags ^ rflags_before) & X86_EFLAGS_IF))
		kvm_request(vcpu, KVM_REQ_EVENT);
	if (unlikely(rflags_before & X86_EFLAGS_TF) && em->writes.nr == 0 && !em->pio_out) {
		r = kvm_debug_after_skip(vcpu, rflags_before);
		if (r <= 0)
			return r;
	}
	if (unlikely(em->halt)) {
		vcpu->stat.halt_exits++;
		return kvm_halted(vcpu);
	}
	return deliver_writes(em);
}

static int execute(struct kvm_x86_emulation *em)
{
	struct kvm_vcpu *vcpu = em->vcpu;
	unsigned long rflags = vcpu->arch.rflags;

	kvm_srcu_lock(vcpu);
	em->next_read = 0;
	switch (emu_execute(&em->emu)) {
	case EMU_DONE:
		return finish(em, rflags);
	case EMU_AGAIN:
		commit(em);
		return deliver_writes(em);
	case EMU_PENDING:
		commit(em);
		return wait_for_userspace(em);
	case EMU_FAULT:
		commit(em);
		raise_fault(em);
		return 1;
	case EMU_SOFT_INT:
		return raise_soft_int(em);
	default:
		return emulation_failed(em, 0);
	}
}

/* ---- doorbells that take any width --------------------------------------------------------------------------- */

/* A MOV to memory, within a page, that faulted where it begins. */
static bool is_plain_store(const struct kvm_x86_emulation *em)
{
	const struct emu_insn *insn = &em->emu.insn;

	if (insn->map || !insn->is_mem || offset_in_page(insn->ea) != offset_in_page(em->fault_gpa) ||
	    offset_in_page(insn->ea) + insn->size > PAGE_SIZE)
		return false;
	switch (insn->opcode) {
	case 0x88 ... 0x89:
	case 0xa2 ... 0xa3:
	case 0xc6 ... 0xc7:
		return true;
	default:
		return false;
	}
}

/*
 * True if the write is done as soon as it is known where the next instruction is: neither value
 * nor width matter. Whatever does more than to write is emulated as ever, and so finds the same
 * device on the MMIO bus.
 */
static bool rings_doorbell(struct kvm_x86_emulation *em)
{
	struct kvm_vcpu *vcpu = em->vcpu;

	if (em->fault_gpa == INVALID_GPA || !is_plain_store(em) ||
	    kvm_io_bus_write(vcpu, KVM_FAST_MMIO_BUS, em->fault_gpa, 0, NULL))
		return false;
	trace_kvm_fast_mmio(em->fault_gpa);
	return true;
}

/* The instruction has had its effect. */
static int go_on_behind(struct kvm_x86_emulation *em)
{
	unsigned long rflags = em->emu.rflags;

	em->emu.rip = em->emu.next_rip;
	em->emu.rflags &= ~X86_EFLAGS_RF;
	em->emu.shadow = 0;
	em->emu.nmi_unblocked = false;
	return finish(em, rflags);
}

/* ---- entry points -------------------------------------------------------------------------------------------- */

/* ud2 and "kvm" in front of an instruction have it emulated, if the parameter allows. */
static bool strip_forced_prefix(struct kvm_x86_emulation *em)
{
	static const u8 prefix[] = { 0x0f, 0x0b, 'k', 'v', 'm' };
	struct emulator *emu = &em->emu;
	u8 bytes[sizeof(prefix)];

	if (likely(!force_emulation_prefix))
		return false;
	if (op_fetch(emu, kvm_linear_rip(em->vcpu), bytes, sizeof(bytes)) != EMU_DONE ||
	    memcmp(bytes, prefix, sizeof(prefix)))
		return false;
	em->vcpu->arch.rip += sizeof(prefix);
	emu->rip = em->vcpu->arch.rip;
	emu->insn.available = 0;
	return true;
}

/* Which instructions an #UD may be rescued for: those told in KVM_GET_EMULATED_CPUID, hypercalls. */
static bool rescued_from_ud(const struct emu_insn *insn)
{
	if (insn->map == 1 && insn->opcode == 0x01)
		return insn->bytes[insn->length - 1] == 0xc1 || insn->bytes[insn->length - 1] == 0xd9;
	return insn->map == 2 && (insn->opcode == 0xf0 || insn->opcode == 0xf1);	/* MOVBE */
}

int kvm_emulate_insn(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int flags, const void *bytes, int n)
{
	struct kvm_x86_emulation *em;
	bool forced = false;
	int r;

	kvm_srcu_lock(vcpu);
	em = emulation_begin(vcpu, gpa, flags, bytes, n);
	if (unlikely(!em))
		return -ENOMEM;
	vcpu->stat.insn_emulation++;
	if (flags & KVM_EMULATE_UD)
		forced = strip_forced_prefix(em);

	r = emu_decode(&em->emu);
	if (unlikely(r == EMU_FAULT && !(flags & KVM_EMULATE_UD && !forced &&
					 em->emu.fault.vector != PF_VECTOR))) {
		raise_fault(em);
		return 1;
	}
	if ((flags & KVM_EMULATE_UD) && !forced &&
	    (r != EMU_DONE || !rescued_from_ud(&em->emu.insn))) {
		kvm_queue_exception(vcpu, UD_VECTOR);
		return 1;
	}
	if (unlikely(r != EMU_DONE))
		return emulation_failed(em, flags);
	if (flags & KVM_EMULATE_SKIP) {
		vcpu->arch.rip = em->emu.next_rip;
		vendor(set_interrupt_shadow)(vcpu, 0);
		return 1;
	}
	if (rcu_access_pointer(vcpu->kvm->buses[KVM_FAST_MMIO_BUS]) && rings_doorbell(em))
		return go_on_behind(em);
	trace_insn(em, false);
	return execute(em);
}
EXPORT_SYMBOL_GPL(kvm_emulate_insn);

void kvm_emulation_free(struct kvm_vcpu *vcpu)
{
	kfree(vcpu->arch.emulation);
	vcpu->arch.emulation = NULL;
}

/* Up to @n bytes at RIP, not beyond its page. Returns how many. */
static int fetch_at_rip(struct kvm_vcpu *vcpu, u8 *buf, unsigned int n)
{
	unsigned long linear = kvm_linear_rip(vcpu);
	struct kvm_walk_fault fault;
	gpa_t gpa;

	n = in_page(linear, n);
	gpa = kvm_walk_gva(vcpu, linear, KVM_PF_FETCH | (vendor(cpl)(vcpu) == 3 ? KVM_PF_USER : 0),
			   &fault);
	if (gpa == INVALID_GPA || kvm_guest_read(vcpu, gpa, buf, n))
		return 0;
	return n;
}

int kvm_insn_length(struct kvm_vcpu *vcpu)
{
	u8 bytes[EMU_MAX_LENGTH];
	enum emu_mode mode = current_mode(vcpu);
	unsigned int n, len;

	kvm_srcu_lock(vcpu);
	/* Nearly all instructions that exit have two or three bytes. */
	n = fetch_at_rip(vcpu, bytes, 4);
	len = n ? emu_insn_length(bytes, n, mode) : 0;
	if (likely(len))
		return len;
	n = fetch_at_rip(vcpu, bytes, sizeof(bytes));
	return n ? emu_insn_length(bytes, n, mode) : 0;
}
EXPORT_SYMBOL_GPL(kvm_insn_length);
