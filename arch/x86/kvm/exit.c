// SPDX-License-Identifier: GPL-2.0
/*
 * Exits that every vendor has: port I/O, halt and the instructions a guest is simply told about or
 * refused. Exit handlers return 1 to go on in the guest, 0 to go to userspace with run->exit_reason
 * set, or a negative errno. KVM API document, section 5; APM 3 for the instructions. Hypercalls are
 * in pv/hypercall.c.
 */
#include <linux/smp.h>
#include <asm/trapnr.h>

#include "x86.h"
#include "cpu/cpuid.h"
#include "irqchip/irqchip.h"
#include "trace.h"

int kvm_skip_insn(struct kvm_vcpu *vcpu)
{
	unsigned long rflags = vcpu->arch.rflags;
	int r;

	r = vendor(skip_insn)(vcpu);
	if (unlikely(r <= 0))
		return r;
	if (unlikely(rflags & X86_EFLAGS_TF))
		return kvm_debug_after_skip(vcpu, rflags);
	return 1;
}
EXPORT_SYMBOL_GPL(kvm_skip_insn);

/* ---- port I/O ------------------------------------------------------------------------------------- */

/* Go on behind an IN or OUT. */
static int leave_pio(struct kvm_vcpu *vcpu, unsigned long next_rip)
{
	unsigned long rflags = vcpu->arch.rflags;

	vcpu->arch.rip = next_rip;
	if (unlikely(vendor(interrupt_shadow)(vcpu)))
		vendor(set_interrupt_shadow)(vcpu, 0);
	if (unlikely(rflags & X86_EFLAGS_TF))
		return kvm_debug_after_skip(vcpu, rflags);
	return 1;
}

static void set_rax(struct kvm_vcpu *vcpu, u32 val, int size)
{
	unsigned long *rax = &vcpu->arch.regs[KVM_RAX];

	if (size == 1)
		*(u8 *)rax = val;
	else if (size == 2)
		*(u16 *)rax = val;
	else
		*rax = val;
}

/* Userspace has seen the OUT, or answered the IN; a vcpu it moved elsewhere is left there. */
static int complete_pio(struct kvm_vcpu *vcpu)
{
	u32 val = 0;

	if (vcpu->arch.rip != vcpu->arch.pio.rip)
		return 1;
	if (vcpu->arch.pio.in) {
		memcpy(&val, vcpu->arch.pio_data, vcpu->arch.pio.size);
		trace_kvm_pio(KVM_PIO_IN, vcpu->arch.pio.port, vcpu->arch.pio.size, 1,
			      vcpu->arch.pio_data);
		set_rax(vcpu, val, vcpu->arch.pio.size);
	}
	return leave_pio(vcpu, vcpu->arch.pio.next_rip);
}

void kvm_prepare_pio_exit(struct kvm_vcpu *vcpu, u16 port, int size, bool in, u32 count)
{
	struct kvm_run *run = vcpu->run;

	vcpu->arch.pio.port = port;
	vcpu->arch.pio.size = size;
	vcpu->arch.pio.in = in;
	vcpu->arch.pio.count = count;
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = size;
	run->io.port = port;
	run->io.count = count;
	run->io.data_offset = KVM_PIO_PAGE_OFFSET * PAGE_SIZE;
}

/* 0 when a device in the kernel took the access. */
static int pio_in_kernel(struct kvm_vcpu *vcpu, u16 port, int size, bool in, u32 *val)
{
	/* Without irqchip and ioeventfds, which is read racily but harmlessly, there is nobody. */
	if (!rcu_access_pointer(vcpu->kvm->buses[KVM_PIO_BUS]))
		return -EOPNOTSUPP;
	kvm_srcu_lock(vcpu);
	return in ? kvm_io_bus_read(vcpu, KVM_PIO_BUS, port, size, val) :
		    kvm_io_bus_write(vcpu, KVM_PIO_BUS, port, size, val);
}

static unsigned long pio_next_rip(struct kvm_vcpu *vcpu, unsigned long next_rip)
{
	if (next_rip)
		return next_rip;
	return vcpu->arch.rip + kvm_insn_length(vcpu);
}

int kvm_fast_pio(struct kvm_vcpu *vcpu, u16 port, int size, bool in, unsigned long next_rip)
{
	u32 val = in ? 0 : vcpu->arch.regs[KVM_RAX];

	/* One of them may be on the port. */
	if (unlikely(vcpu->arch.switch_db_regs & KVM_DEBUGREG_BP))
		return kvm_emulate_insn(vcpu, 0, 0, NULL, 0);
	next_rip = pio_next_rip(vcpu, next_rip);
	if (!in)
		trace_kvm_pio(KVM_PIO_OUT, port, size, 1, &val);
	if (!pio_in_kernel(vcpu, port, size, in, &val)) {
		if (in) {
			trace_kvm_pio(KVM_PIO_IN, port, size, 1, &val);
			set_rax(vcpu, val, size);
		}
		return leave_pio(vcpu, next_rip);
	}

	kvm_prepare_pio_exit(vcpu, port, size, in, 1);
	if (!in)
		memcpy(vcpu->arch.pio_data, &val, sizeof(val));
	vcpu->arch.pio.rip = vcpu->arch.rip;
	vcpu->arch.pio.next_rip = next_rip;
	/*
	 * Old firmware resets the machine by a write to this port and expects, as the ABI has it, to
	 * be seen behind the instruction.
	 */
	if (unlikely(port == 0x7e && !in) &&
	    !(vcpu->kvm->arch.disabled_quirks & KVM_X86_QUIRK_OUT_7E_INC_RIP)) {
		leave_pio(vcpu, next_rip);
		vcpu->run->exit_reason = KVM_EXIT_IO;
		return 0;
	}
	vcpu->arch.complete_io = complete_pio;
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_fast_pio);

struct page *kvm_arch_vcpu_page(struct kvm_vcpu *vcpu, pgoff_t pgoff)
{
	return pgoff == KVM_PIO_PAGE_OFFSET ? virt_to_page(vcpu->arch.pio_data) : NULL;
}

/* ---- instructions ---------------------------------------------------------------------------------- */

/* The vcpu has nothing to do until an interrupt: whose controllers they are, theirs is the waiting. */
int kvm_halted(struct kvm_vcpu *vcpu)
{
	if (kvm_has_lapic(vcpu)) {
		vcpu->arch.mp_state = KVM_MP_STATE_HALTED;
		kvm_take_unhalt(vcpu);
		return 1;
	}
	vcpu->run->exit_reason = KVM_EXIT_HLT;
	return 0;
}

int kvm_emulate_halt(struct kvm_vcpu *vcpu)
{
	int r = kvm_skip_insn(vcpu);

	vcpu->stat.halt_exits++;
	if (r <= 0)
		return r;
	return kvm_halted(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_emulate_halt);

int kvm_emulate_xsetbv(struct kvm_vcpu *vcpu)
{
	/* The intercept comes before the checks of the instruction itself. */
	if (vendor(cpl)(vcpu) ||
	    kvm_set_xcr(vcpu, vcpu->arch.regs[KVM_RCX], kvm_edx_eax(vcpu))) {
		kvm_inject_gp(vcpu, 0);
		return 1;
	}
	return kvm_skip_insn(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_emulate_xsetbv);

/*
 * Caches are coherent whatever the guest does, unless it has a device that goes behind them. Then they
 * are written back wherever the guest may have been; INVD is no worse for that.
 */
int kvm_emulate_invd(struct kvm_vcpu *vcpu)
{
	if (unlikely(READ_ONCE(vcpu->kvm->noncoherent_dma)))
		wbinvd_on_all_cpus();
	return kvm_skip_insn(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_emulate_invd);

/* No performance counters are offered. */
int kvm_emulate_rdpmc(struct kvm_vcpu *vcpu)
{
	kvm_inject_gp(vcpu, 0);
	return 1;
}
EXPORT_SYMBOL_GPL(kvm_emulate_rdpmc);

/*
 * MONITOR and MWAIT are not offered. Guests that execute them all the same have always been let
 * through, until userspace says otherwise.
 */
bool kvm_mwait_exists(struct kvm_vcpu *vcpu)
{
	return !(vcpu->kvm->arch.disabled_quirks & KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS) ||
	       kvm_guest_has(vcpu, X86_FEATURE_MWAIT);
}

int kvm_emulate_mwait(struct kvm_vcpu *vcpu)
{
	if (!kvm_mwait_exists(vcpu)) {
		kvm_queue_exception(vcpu, UD_VECTOR);
		return 1;
	}
	return kvm_skip_insn(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_emulate_mwait);

/* ---- control registers and debugging, with the operand known ------------------------------------------- */

/* CR8 without an interrupt controller in the kernel: userspace's may now have one to deliver. */
int kvm_tpr_written(struct kvm_vcpu *vcpu, unsigned long before, int r)
{
	if (r != 1 || vcpu->arch.lapic || before <= kvm_get_cr8(vcpu))
		return r;
	vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_tpr_written);

static int write_cr(struct kvm_vcpu *vcpu, unsigned int cr, unsigned long val)
{
	switch (cr) {
	case 0:
		return kvm_set_cr0(vcpu, val);
	case 3:
		return kvm_set_cr3(vcpu, val);
	case 4:
		return kvm_set_cr4(vcpu, val);
	default:
		return kvm_set_cr8(vcpu, val);
	}
}

static unsigned long read_cr(struct kvm_vcpu *vcpu, unsigned int cr)
{
	switch (cr) {
	case 0:
		return kvm_read_cr0(vcpu);
	case 3:
		return kvm_read_cr3(vcpu);
	case 4:
		return kvm_read_cr4(vcpu);
	default:
		return kvm_get_cr8(vcpu);
	}
}

int kvm_mov_to_cr(struct kvm_vcpu *vcpu, unsigned int cr, unsigned int reg)
{
	unsigned long val = vcpu->arch.regs[reg], before = kvm_get_cr8(vcpu);
	int r;

	if (!kvm_is_64bit(vcpu))
		val = (u32)val;
	trace_kvm_cr(1, cr, val);
	if (write_cr(vcpu, cr, val)) {
		kvm_inject_gp(vcpu, 0);
		return 1;
	}
	r = kvm_skip_insn(vcpu);
	return cr == 8 ? kvm_tpr_written(vcpu, before, r) : r;
}
EXPORT_SYMBOL_GPL(kvm_mov_to_cr);

int kvm_mov_from_cr(struct kvm_vcpu *vcpu, unsigned int cr, unsigned int reg)
{
	unsigned long val = read_cr(vcpu, cr);

	trace_kvm_cr(0, cr, val);
	vcpu->arch.regs[reg] = kvm_is_64bit(vcpu) ? val : (u32)val;
	return kvm_skip_insn(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_mov_from_cr);

int kvm_exit_debug(struct kvm_vcpu *vcpu, u8 vector, u64 dr6)
{
	struct kvm_debug_exit_arch *d = &vcpu->run->debug.arch;

	vcpu->run->exit_reason = KVM_EXIT_DEBUG;
	d->exception = vector;
	d->pad = 0;
	d->pc = kvm_linear_rip(vcpu);
	d->dr6 = dr6;
	d->dr7 = vcpu->arch.dr7;
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_exit_debug);

/* ---- errors ------------------------------------------------------------------------------------------ */

void kvm_prepare_internal_error(struct kvm_vcpu *vcpu, u32 suberror, const u64 *data, int nr)
{
	struct kvm_run *run = vcpu->run;
	int i;

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = suberror;
	run->internal.ndata = nr;
	for (i = 0; i < nr; i++)
		run->internal.data[i] = data[i];
}

/* An exit that nobody asked the processor for. */
int kvm_exit_internal_error(struct kvm_vcpu *vcpu)
{
	struct kvm_exit_info info;
	u64 data[2];

	kvm_x86_ops.exit_info(vcpu, &info);
	data[0] = info.reason;
	data[1] = vcpu->cpu;
	kvm_prepare_internal_error(vcpu, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, data,
				   ARRAY_SIZE(data));
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_exit_internal_error);
