// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory, devices and ports as the emulator's ops. Linear addresses go through the guest's
 * page tables; what is not memory is a device: one of the kernel's own answers at once, all others
 * are userspace's. KVM API document, section 5 (KVM_EXIT_MMIO, KVM_EXIT_IO).
 *
 * Reads that only userspace can answer are logged, and answered from the log when the instruction
 * runs again. Writes are queued until it is complete. insn.c hands both out.
 */
#include <asm/trapnr.h>

#include "insn.h"
#include "irqchip/irqchip.h"
#include "mmu/mmu.h"
#include "trace.h"
#include <trace/events/kvm.h>

/* ---- memory ---------------------------------------------------------------------------------- */

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
	/* What is below 0F 10 deals with descriptors. */
	if (insn->map == 0)
		return insn->opcode < 0x40 || (insn->opcode >= 0x80 && insn->opcode <= 0x8b) ||
		       insn->opcode == 0xc6 || insn->opcode == 0xc7;
	return insn->map == 1 && insn->opcode >= 0x10;
}

/* What the walk has found: a page fault, or no answer. */
static int walk_failed(struct emulator *emu, const struct kvm_walk_fault *fault)
{
	if (fault->nested_abort)
		return EMU_UNHANDLED;
	emu->fault = (struct emu_fault) {
		.vector = PF_VECTOR,
		.has_error = true,
		.error = fault->error_code,
		.address = fault->cr2,
	};
	return EMU_FAULT;
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
	return likely(*gpa != INVALID_GPA) ? EMU_DONE : walk_failed(emu, &fault);
}

/* Breakpoints are traps: what hits one is done all the same. */
static void note_access(struct emulator *emu, u64 address, unsigned int size, unsigned int kinds)
{
	struct kvm_x86_emulation *em = to_emulation(emu);

	if (unlikely(em->vcpu->arch.switch_db_regs & KVM_DEBUGREG_BP))
		em->traps |= kvm_debug_match(em->vcpu, address, size, kinds);
}

/* Bytes of the access up to the end of its page. */
static unsigned int in_page(u64 linear, unsigned int size)
{
	return min_t(unsigned int, size, PAGE_SIZE - offset_in_page(linear));
}

int kvm_emu_fetch(struct emulator *emu, u64 linear, void *buf, unsigned int size)
{
	struct kvm_vcpu *vcpu = emu_vcpu(emu);
	struct kvm_walk_fault fault;
	gpa_t gpa;

	gpa = kvm_walk_gva(vcpu, linear, walk_access(emu, 0) | KVM_PF_FETCH, &fault);
	if (gpa == INVALID_GPA)
		return walk_failed(emu, &fault);
	/* Code in a device: there is no way to ask userspace for instruction bytes. */
	return kvm_guest_read(vcpu, gpa, buf, size) ? EMU_UNHANDLED : EMU_DONE;
}

/*
 * Two words at RIP, when no limit and no end of a page is near. Whatever stands against it is found
 * again, and told, by the emulator's own fetch.
 */
void kvm_emu_fetch_ahead(struct emulator *emu)
{
	const struct emu_segment *cs = &emu->seg[EMU_CS];
	struct kvm_vcpu *vcpu = emu_vcpu(emu);
	struct kvm_walk_fault fault;
	u64 linear = emu->rip;
	gpa_t gpa;

	if (emu->mode != EMU_LONG64) {
		if (linear + EMU_MAX_LENGTH > cs->limit)
			return;
		linear = (u32)(cs->base + linear);
	} else if (kvm_is_noncanonical(vcpu, linear)) {
		return;
	}
	if (offset_in_page(linear) > PAGE_SIZE - 2 * sizeof(u64))
		return;
	gpa = kvm_walk_gva(vcpu, linear, walk_access(emu, 0) | KVM_PF_FETCH, &fault);
	if (gpa != INVALID_GPA && !kvm_guest_read_pair(vcpu, gpa, (u64 *)emu->insn.bytes))
		emu->insn.available = EMU_MAX_LENGTH;
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

/*
 * FLD m32 from a device is the instruction by which userspace that handles failures of the emulator
 * finds out that it is told of them: once it has asked to be told, this one is its own.
 */
static bool is_left_to_userspace(const struct kvm_x86_emulation *em)
{
	const struct emu_insn *insn = &em->emu.insn;

	return em->vcpu->kvm->arch.exit_on_emulation_error && !insn->map && insn->opcode == 0xd9 &&
	       !(insn->reg & 7);
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
	if (unlikely(is_left_to_userspace(em)))
		return EMU_UNHANDLED;
	return read_device_pieces(em, gpa, buf, size);
}

int kvm_emu_read(struct emulator *emu, u64 linear, void *buf, unsigned int size,
		 unsigned int access)
{
	u32 walk = walk_access(emu, access);
	unsigned int n = in_page(linear, size);
	int r, second;

	if (access & EMU_ACCESS_MODIFY)
		walk |= KVM_PF_WRITE;
	if (!(access & EMU_ACCESS_SYSTEM))
		note_access(emu, linear, size, KVM_BP_READ);
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
	    !kvm_guest_write(em->vcpu, gpa, buf, size)) {
		kvm_mmu_guest_wrote(em->vcpu, gpa, size);
		return EMU_DONE;
	}
	return write_device_pieces(em, gpa, buf, size);
}

int kvm_emu_write(struct emulator *emu, u64 linear, const void *buf, unsigned int size,
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
	if (!(access & EMU_ACCESS_SYSTEM))
		note_access(emu, linear, size, KVM_BP_WRITE);
	r = write_page(em, first, buf, n);
	if (r == EMU_DONE && unlikely(n < size))
		r = write_page(em, second, buf + n, size - n);
	return r;
}

static int probe(struct emulator *emu, u64 linear, unsigned int size, u32 walk)
{
	unsigned int n = in_page(linear, size);
	gpa_t gpa;
	int r;

	r = translate(emu, linear, walk, &gpa);
	if (r == EMU_DONE && n < size)
		r = translate(emu, linear + n, walk, &gpa);
	return r;
}

int kvm_emu_probe_read(struct emulator *emu, u64 linear, unsigned int size)
{
	return probe(emu, linear, size, walk_access(emu, 0));
}

int kvm_emu_probe_write(struct emulator *emu, u64 linear, unsigned int size)
{
	return probe(emu, linear, size, walk_access(emu, 0) | KVM_PF_WRITE);
}

static int user_cmpxchg16b(void __user *ptr, const u64 *old, const u64 *new)
{
	u64 low = old[0], high = old[1];
	int error = 0;
	bool same;

	if (!user_access_begin(ptr, 16))
		return -EFAULT;
	asm volatile("1:	lock cmpxchg16b %[mem]\n"
		     CC_SET(z)
		     "2:\n"
		     _ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_EFAULT_REG, %[error])
		     : CC_OUT(z) (same), [error] "+r" (error), "+a" (low), "+d" (high),
		       [mem] "+m" (*(__force u64 (*)[2])ptr)
		     : "b" (new[0]), "c" (new[1])
		     : "memory");
	user_access_end();
	return error ? error : !same;
}

static int guest_cmpxchg16b(struct kvm_vcpu *vcpu, gpa_t gpa, const u64 *old, const u64 *new)
{
	struct kvm_memory_slot *slot = kvm_vcpu_memslot(vcpu, gpa_to_gfn(gpa));
	bool writable = false;
	hva_t hva;
	int r;

	hva = kvm_vcpu_gfn_to_hva(vcpu, gpa_to_gfn(gpa), &writable);
	if (hva == KVM_HVA_BAD || !writable)
		return -EFAULT;
	r = user_cmpxchg16b((void __user *)(hva + offset_in_page(gpa)), old, new);
	if (!r && kvm_memslot_logs_dirty(slot))
		kvm_dirty_log_mark(vcpu, slot, gpa_to_gfn(gpa));
	return r;
}

/* As kvm_guest_cmpxchg(): 0, 1 if memory had something else, -EFAULT */
static int guest_cmpxchg(struct kvm_vcpu *vcpu, gpa_t gpa, const void *old, const void *new,
			 unsigned int size)
{
	u64 was[2] = { 0 }, want[2] = { 0 };

	memcpy(was, old, size);
	memcpy(want, new, size);
	if (size == sizeof(was))
		return guest_cmpxchg16b(vcpu, gpa, was, want);
	return kvm_guest_cmpxchg(vcpu, gpa, was, want[0], size);
}

int kvm_emu_cmpxchg(struct emulator *emu, u64 linear, const void *old, const void *new,
		    unsigned int size)
{
	struct kvm_x86_emulation *em = to_emulation(emu);
	gpa_t gpa;
	int r;

	/* Not atomic: what is not aligned, and what the processor here does not know. */
	if (linear & (size - 1) || (size > 8 && !boot_cpu_has(X86_FEATURE_CX16)))
		return kvm_emu_write(emu, linear, new, size, 0);
	r = translate(emu, linear, walk_access(emu, 0) | KVM_PF_WRITE, &gpa);
	if (r != EMU_DONE)
		return r;
	note_access(emu, linear, size, KVM_BP_WRITE);
	if (kvm_mmu_gfn_is_mmio(em->vcpu, gpa_to_gfn(gpa)))
		return write_device_pieces(em, gpa, new, size);

	r = guest_cmpxchg(em->vcpu, gpa, old, new, size);
	if (r < 0)
		return write_device_pieces(em, gpa, new, size);
	if (r)
		return EMU_AGAIN;
	kvm_mmu_guest_wrote(em->vcpu, gpa, size);
	return EMU_DONE;
}

bool kvm_emu_checkpoint(struct emulator *emu)
{
	struct kvm_x86_emulation *em = to_emulation(emu);

	em->reads.nr = 0;
	em->reads.done = 0;
	em->next_read = 0;
	em->pio_answered = false;
	em->iterated = true;
	return (emu->rflags & X86_EFLAGS_TF) || em->traps ||
	       em->writes.nr > MAX_PIECES / 2 || em->pio_out ||
	       kvm_request_pending(em->vcpu) || signal_pending(current) || need_resched();
}

/* ---- ports ----------------------------------------------------------------------------------- */

/* Breakpoints on ports exist with CR4.DE only. */
static void note_port(struct emulator *emu, u16 port, unsigned int size)
{
	if (unlikely(emu_vcpu(emu)->arch.switch_db_regs & KVM_DEBUGREG_BP) &&
	    (kvm_read_cr4(emu_vcpu(emu)) & X86_CR4_DE))
		note_access(emu, port, size, KVM_BP_IO);
}

int kvm_emu_pio_in(struct emulator *emu, u16 port, unsigned int size, void *buf,
		   unsigned int count)
{
	struct kvm_x86_emulation *em = to_emulation(emu);
	struct kvm_vcpu *vcpu = em->vcpu;
	unsigned int i;

	note_port(emu, port, size);
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

int kvm_emu_pio_out(struct emulator *emu, u16 port, unsigned int size, const void *buf,
		    unsigned int count)
{
	struct kvm_x86_emulation *em = to_emulation(emu);
	struct kvm_vcpu *vcpu = em->vcpu;
	unsigned int i;

	note_port(emu, port, size);
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
