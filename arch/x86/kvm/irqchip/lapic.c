// SPDX-License-Identifier: GPL-2.0
/*
 * Local APICs wired to vcpus: creation and reset, messages between them, the timer on a host timer,
 * the accesses of guest and userspace, INIT and STARTUP. The registers themselves are lapic_regs.c's,
 * destinations apic_map.c's. APM 2, chapter 16; SDM 3, chapter 11 and section 9.4 (start-up).
 */
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <asm/mce.h>

#include "irqchip.h"
#include "../x86.h"
#include "../cpu/cpuid.h"
#include "../pv/pv.h"
#include "../pv/xen.h"

/* Faster periodic timers would only keep the host busy. */
#define MIN_TIMER_PERIOD_NS	200000

/* ---- destinations -------------------------------------------------------------------------------- */

void kvm_lapic_vm_init(struct kvm *kvm)
{
	mutex_init(&kvm->arch.apic_map_lock);
	kvm->arch.apic_bus_ns = KVM_APIC_BUS_NS_DEFAULT;
}

void kvm_lapic_vm_destroy(struct kvm *kvm)
{
	kvfree(rcu_dereference_protected(kvm->arch.apic_map, true));
}

static struct apic_map *build_map(struct kvm *kvm)
{
	unsigned int i, n = atomic_read(&kvm->online_vcpus);
	struct apic_map_entry *entries;
	struct apic_map *map = NULL;
	struct kvm_vcpu *vcpu;
	void *memory;

	entries = kvcalloc(max(n, 1u), sizeof(*entries), GFP_KERNEL_ACCOUNT);
	if (!entries)
		return NULL;
	for (i = 0; i < n; i++) {
		vcpu = kvm_get_vcpu(kvm, i);
		if (vcpu && kvm_has_lapic(vcpu))
			lapic_map_entry(&vcpu->arch.lapic->regs, &entries[i]);
	}
	memory = kvzalloc(apic_map_size(entries, n), GFP_KERNEL_ACCOUNT);
	if (memory)
		map = apic_map_build(memory, entries, n);
	kvfree(entries);
	return map;
}

/*
 * A new map each time: ids change at boot and hardly ever after. Without memory for it the old one
 * stays, and messages go where they went before.
 */
void kvm_lapic_update_map(struct kvm *kvm)
{
	struct apic_map *old, *new;

	mutex_lock(&kvm->arch.apic_map_lock);
	new = build_map(kvm);
	if (new) {
		old = rcu_replace_pointer(kvm->arch.apic_map, new,
					  lockdep_is_held(&kvm->arch.apic_map_lock));
		if (old)
			kvfree_rcu_mightsleep(old);
		if (kvm_x86_ops.apic_map_changed)
			kvm_x86_ops.apic_map_changed(kvm);
	}
	mutex_unlock(&kvm->arch.apic_map_lock);
	/* Interrupts that found nobody may find somebody now. */
	kvm_ioapic_retry(kvm);
	kvm_irq_bypass_update(kvm);
}

/* ---- messages ------------------------------------------------------------------------------------- */

/* What an APIC did with a message, and what its vcpu has to know of it. Results as kvm_lapic_send(). */
static int accepted(struct kvm_vcpu *vcpu, enum lapic_result result, const struct apic_msg *msg)
{
	struct kvm_lapic *apic = vcpu->arch.lapic;

	switch (result) {
	case LAPIC_COALESCED:
		return 0;
	case LAPIC_GOT_NMI:
		kvm_queue_nmi(vcpu);
		return 1;
	case LAPIC_GOT_SMI:
		kvm_queue_smi(vcpu);
		return 1;
	case LAPIC_GOT_INIT:
		/* It forgets a STARTUP that came before. */
		clear_bit(KVM_LAPIC_STARTUP, &apic->signals);
		set_bit(KVM_LAPIC_INIT, &apic->signals);
		break;
	case LAPIC_GOT_STARTUP:
		apic->sipi_vector = msg->vector;
		smp_wmb();	/* the vector before the bit that says it is there */
		set_bit(KVM_LAPIC_STARTUP, &apic->signals);
		break;
	case LAPIC_JOINED:
		return 1;
	case LAPIC_QUEUED:
		if (apic->posted && !apic_msg_watched(msg)) {
			kvm_x86_ops.notify_posted(vcpu);
			return 1;
		}
		break;
	case LAPIC_GOT_EXTINT:
		break;
	default:
		return -1;
	}
	kvm_request(vcpu, KVM_REQ_EVENT);
	kvm_vcpu_kick(vcpu);
	return 1;
}

static int deliver(struct kvm_vcpu *vcpu, const struct apic_msg *msg)
{
	return accepted(vcpu, lapic_accept(&vcpu->arch.lapic->regs, msg), msg);
}

static int deliver_to(struct kvm *kvm, int index, const struct apic_msg *msg)
{
	struct kvm_vcpu *vcpu = kvm_get_vcpu(kvm, index);

	return vcpu && kvm_has_lapic(vcpu) ? deliver(vcpu, msg) : -1;
}

int kvm_lapic_send(struct kvm *kvm, struct kvm_vcpu *sender, const struct apic_msg *msg)
{
	u32 self = sender ? sender->vcpu_idx : APIC_NOBODY;
	const struct apic_map *map;
	struct apic_dest dest;
	int index, r, result = -1;

	rcu_read_lock();
	map = rcu_dereference(kvm->arch.apic_map);
	if (!map)
		goto out;
	if (msg->mode == APIC_MSG_LOWEST) {
		index = apic_map_lowest(map, msg, self, NULL, NULL);
		if (index >= 0)
			result = deliver_to(kvm, index, msg);
		goto out;
	}
	apic_map_find(map, msg, self, &dest);
	while ((index = apic_dest_next(&dest)) >= 0) {
		r = deliver_to(kvm, index, msg);
		if (r >= 0)
			result = max(result, 0) + r;
	}
out:
	rcu_read_unlock();
	return result;
}

void kvm_lapic_raise(struct kvm_vcpu *vcpu, u8 vector)
{
	const struct apic_msg msg = { .mode = APIC_MSG_FIXED, .vector = vector, .assert = true };

	deliver(vcpu, &msg);
}

void kvm_lapic_local(struct kvm_vcpu *vcpu, u32 lvt)
{
	const struct apic_msg nobodys = { };

	if (kvm_has_lapic(vcpu))
		accepted(vcpu, lapic_local(&vcpu->arch.lapic->regs, lvt), &nobodys);
}

struct kvm_vcpu *kvm_lapic_find(struct kvm *kvm, u32 id)
{
	struct apic_msg msg = { .dest = id };
	const struct apic_map *map;
	struct apic_dest dest;
	int index = -1;

	rcu_read_lock();
	map = rcu_dereference(kvm->arch.apic_map);
	if (map) {
		apic_map_find(map, &msg, APIC_NOBODY, &dest);
		index = apic_dest_next(&dest);
	}
	rcu_read_unlock();
	return kvm_get_vcpu(kvm, index);
}

struct kvm_vcpu *kvm_lapic_only_target(struct kvm *kvm, const struct apic_msg *msg)
{
	const struct apic_map *map;
	int index = -1;

	rcu_read_lock();
	map = rcu_dereference(kvm->arch.apic_map);
	if (map)
		index = apic_map_only(map, msg);
	rcu_read_unlock();
	return index < 0 ? NULL : kvm_get_vcpu(kvm, index);
}
EXPORT_SYMBOL_GPL(kvm_lapic_only_target);

/* ---- the timer --------------------------------------------------------------------------------------- */

static enum hrtimer_restart timer_callback(struct hrtimer *timer)
{
	struct kvm_vcpu *vcpu = container_of(timer, struct kvm_lapic, timer)->vcpu;

	kvm_request(vcpu, KVM_REQ_LAPIC_TIMER);
	kvm_vcpu_kick(vcpu);
	return HRTIMER_NORESTART;
}

/* Host time, in ns, at which the guest's TSC reaches @deadline. */
static u64 deadline_to_ns(struct kvm_vcpu *vcpu, u64 deadline)
{
	/* In this order: what comes in between makes the result late, never early. */
	u64 tsc = kvm_guest_tsc(vcpu);
	u64 now = ktime_get_ns();
	u64 delta;

	if (deadline <= tsc)
		return now;
	/* Decades are as good as never, and the division has a quotient whatever the frequency. */
	delta = mul_u64_u64_div_u64(min(deadline - tsc, (u64)vcpu->arch.tsc_khz << 40),
				    NSEC_PER_MSEC, vcpu->arch.tsc_khz);
	return now + delta;
}

static void arm_timer(struct kvm_lapic *apic)
{
	u64 when;

	switch (lapic_timer_next(&apic->regs, &when)) {
	case LAPIC_CLOCK_TSC:
		when = deadline_to_ns(apic->vcpu, when);
		break;
	case LAPIC_CLOCK_NS:
		break;
	default:
		hrtimer_cancel(&apic->timer);
		return;
	}
	if (when <= ktime_get_ns()) {
		hrtimer_cancel(&apic->timer);
		kvm_request(apic->vcpu, KVM_REQ_LAPIC_TIMER);
		return;
	}
	hrtimer_start(&apic->timer, ns_to_ktime(min_t(u64, when, KTIME_MAX)), HRTIMER_MODE_ABS);
}

void kvm_lapic_timer_fired(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic *apic = vcpu->arch.lapic;
	enum lapic_result r;

	if (!apic)
		return;
	r = lapic_timer_expire(&apic->regs, ktime_get_ns(), kvm_guest_tsc(vcpu));
	if (r != LAPIC_REFUSED)
		kvm_request(vcpu, KVM_REQ_EVENT);
	arm_timer(apic);
}

/* ---- what an access asks for ---------------------------------------------------------------------------- */

void kvm_lapic_carry_out(struct kvm_vcpu *vcpu, const struct lapic_effects *fx)
{
	if (fx->todo & LAPIC_DO_IPI)
		kvm_lapic_send(vcpu->kvm, vcpu, &fx->ipi);
	if ((fx->todo & LAPIC_DO_EOI) && fx->eoi.vector >= 0) {
		if (fx->eoi.broadcast)
			kvm_irqchip_eoi(vcpu, fx->eoi.vector);
		else
			kvm_irqchip_edge_eoi(vcpu, fx->eoi.vector);
	}
	if (fx->todo & LAPIC_DO_TIMER)
		arm_timer(vcpu->arch.lapic);
	if (fx->todo & LAPIC_DO_MAP)
		kvm_lapic_update_map(vcpu->kvm);
	if (fx->todo & (LAPIC_DO_CHECK | LAPIC_DO_EOI | LAPIC_DO_LINT0))
		kvm_request(vcpu, KVM_REQ_EVENT);
	/* What the processor compares interrupts with, and userspace is told. */
	vcpu->arch.cr8 = lapic_cr8_read(&vcpu->arch.lapic->regs);
	vcpu->arch.apic_base = vcpu->arch.lapic->regs.base;
}

static void note_tpr_access(struct kvm_vcpu *vcpu, bool write)
{
	vcpu->run->tpr_access.rip = kvm_insn_start(vcpu);
	vcpu->run->tpr_access.is_write = write;
	kvm_request(vcpu, KVM_REQ_REPORT_TPR);
}

/* The page of an APIC that has none at present: nothing is there, which userspace need not hear of. */
static bool absent_mmio(struct kvm_vcpu *vcpu, unsigned int len, void *data, bool write)
{
	if (vcpu->kvm->arch.disabled_quirks & KVM_X86_QUIRK_LAPIC_MMIO_HOLE)
		return false;
	if (!write)
		memset(data, 0xff, len);
	return true;
}

bool kvm_lapic_mmio(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int len, void *data, bool write)
{
	struct kvm_lapic *apic = vcpu->arch.lapic;
	struct lapic_effects fx = { };
	u64 val = 0;

	if (!apic || (apic->regs.base & PAGE_MASK & ~apic->regs.config.reserved_base) !=
		     (gpa & PAGE_MASK))
		return false;
	if (unlikely(lapic_mode(&apic->regs) != LAPIC_XAPIC))
		return absent_mmio(vcpu, len, data, write);
	kvm_lapic_settle(vcpu);
	if (unlikely(vcpu->arch.report_tpr) && offset_in_page(gpa) == LAPIC_TPR)
		note_tpr_access(vcpu, write);
	if (write) {
		memcpy(&val, data, len);
		lapic_mmio_write(&apic->regs, offset_in_page(gpa), len, val, ktime_get_ns(), &fx);
		kvm_lapic_carry_out(vcpu, &fx);
	} else {
		lapic_mmio_read(&apic->regs, offset_in_page(gpa), len, ktime_get_ns(), &val, &fx);
		memcpy(data, &val, len);
		kvm_lapic_carry_out(vcpu, &fx);
	}
	return true;
}

int kvm_lapic_get_msr(struct kvm_vcpu *vcpu, u32 msr, u64 *data)
{
	struct kvm_lapic *apic = vcpu->arch.lapic;

	if (!apic)
		return 1;
	kvm_lapic_settle(vcpu);
	if (msr == MSR_IA32_TSC_DEADLINE) {
		*data = lapic_deadline_read(&apic->regs);
		return 0;
	}
	return !lapic_msr_read(&apic->regs, msr, ktime_get_ns(), data);
}

int kvm_lapic_set_msr(struct kvm_vcpu *vcpu, u32 msr, u64 data)
{
	struct kvm_lapic *apic = vcpu->arch.lapic;
	struct lapic_effects fx = { };

	if (!apic)
		return 1;
	kvm_lapic_settle(vcpu);
	if (msr == MSR_IA32_TSC_DEADLINE)
		fx.todo = lapic_deadline_write(&apic->regs, data);
	else if (!lapic_msr_write(&apic->regs, msr, data, ktime_get_ns(), &fx))
		return 1;
	kvm_lapic_carry_out(vcpu, &fx);
	return 0;
}

int kvm_lapic_set_base(struct kvm_vcpu *vcpu, u64 base, bool host)
{
	struct lapic_effects fx = { };

	kvm_lapic_settle(vcpu);
	if (!lapic_base_write(&vcpu->arch.lapic->regs, base, host, &fx))
		return 1;
	kvm_lapic_carry_out(vcpu, &fx);
	kvm_lapic_mode_changed(vcpu);
	return 0;
}

void kvm_lapic_mode_changed(struct kvm_vcpu *vcpu)
{
	if (kvm_has_lapic(vcpu) && kvm_x86_ops.apic_mode_changed)
		kvm_x86_ops.apic_mode_changed(vcpu);
}

void kvm_lapic_set_cr8(struct kvm_vcpu *vcpu, u8 cr8)
{
	lapic_cr8_write(&vcpu->arch.lapic->regs, cr8);
	vcpu->arch.cr8 = cr8;
	kvm_request(vcpu, KVM_REQ_EVENT);
}
EXPORT_SYMBOL_GPL(kvm_lapic_set_cr8);

u8 kvm_lapic_get_cr8(struct kvm_vcpu *vcpu)
{
	return lapic_cr8_read(&vcpu->arch.lapic->regs);
}

u8 kvm_lapic_tpr_threshold(struct kvm_vcpu *vcpu)
{
	struct lapic_regs *l = &vcpu->arch.lapic->regs;
	int irr = lapic_highest_irr(l);

	return irr >= 0 && irr >> 4 <= lapic_cr8_read(l) ? irr >> 4 : 0;
}
EXPORT_SYMBOL_GPL(kvm_lapic_tpr_threshold);

/* TPR, and the priorities that the guest compares it with: see the API document. */
void kvm_lapic_to_vapic(struct kvm_vcpu *vcpu)
{
	struct lapic_regs *l = &vcpu->arch.lapic->regs;
	int irr = lapic_highest_irr(l), isr = lapic_highest_isr(l);
	u32 data;

	data = lapic_reg(l, LAPIC_TPR) & 0xff;
	data |= (max(isr, 0) & 0xf0) << 8;
	data |= max(irr, 0) << 24;
	/* A page that went away concerns only the guest that gave it. */
	if (kvm_guest_write(vcpu, vcpu->arch.vapic_addr, &data, sizeof(data)))
		vcpu->arch.vapic_addr = 0;
}

void kvm_lapic_from_vapic(struct kvm_vcpu *vcpu)
{
	struct lapic_effects fx = { };
	u32 tpr;

	kvm_srcu_lock(vcpu);
	if (kvm_guest_read(vcpu, vcpu->arch.vapic_addr, &tpr, sizeof(tpr)) ||
	    (tpr & 0xff) == lapic_reg(&vcpu->arch.lapic->regs, LAPIC_TPR))
		return;
	lapic_mmio_write(&vcpu->arch.lapic->regs, LAPIC_TPR, 4, tpr & 0xff, 0, &fx);
	kvm_lapic_carry_out(vcpu, &fx);
}

int kvm_lapic_get_state(struct kvm_vcpu *vcpu, struct kvm_lapic_state *state)
{
	if (!kvm_has_lapic(vcpu))
		return -EINVAL;
	kvm_lapic_settle(vcpu);
	if (vcpu->arch.lapic->has_inbox)
		lapic_fetch(&vcpu->arch.lapic->regs);
	lapic_get_state(&vcpu->arch.lapic->regs, state,
			vcpu->kvm->arch.x2apic_api & KVM_X2APIC_API_USE_32BIT_IDS,
			ktime_get_ns());
	return 0;
}

int kvm_lapic_set_state(struct kvm_vcpu *vcpu, const struct kvm_lapic_state *state)
{
	struct lapic_effects fx = { };

	if (!kvm_has_lapic(vcpu))
		return -EINVAL;
	kvm_lapic_settle(vcpu);
	/* What has come so far makes place for what the image has. */
	if (vcpu->arch.lapic->has_inbox)
		lapic_fetch(&vcpu->arch.lapic->regs);
	hrtimer_cancel(&vcpu->arch.lapic->timer);
	fx.todo = lapic_set_state(&vcpu->arch.lapic->regs, state, ktime_get_ns());
	fx.todo |= LAPIC_DO_TIMER | LAPIC_DO_MAP | LAPIC_DO_CHECK;
	kvm_lapic_carry_out(vcpu, &fx);
	return 0;
}

/* ---- interrupts for the processor ------------------------------------------------------------------------- */

static bool takes_from_pic(struct kvm_vcpu *vcpu)
{
	return lapic_takes_extint(&vcpu->arch.lapic->regs) && kvm_pic_asserted(vcpu->kvm);
}

bool kvm_irq_waiting(struct kvm_vcpu *vcpu)
{
	if (!kvm_has_lapic(vcpu))
		return false;
	return lapic_pending(&vcpu->arch.lapic->regs) >= 0 || takes_from_pic(vcpu) ||
	       kvm_xen_upcall_waits(vcpu);
}

bool kvm_irq_blocked_by_tpr(struct kvm_vcpu *vcpu)
{
	return kvm_has_lapic(vcpu) && lapic_blocked_by_tpr(&vcpu->arch.lapic->regs);
}

int kvm_irq_take(struct kvm_vcpu *vcpu)
{
	int vector;

	/* Goes past all controllers, and stands until the guest has taken note of it in its memory. */
	if (kvm_xen_upcall_waits(vcpu))
		return READ_ONCE(vcpu->kvm->arch.xen.upcall_vector);
	if (takes_from_pic(vcpu)) {
		vector = kvm_pic_take(vcpu->kvm);
		if (vector >= 0)
			return vector;
	}
	vector = lapic_pending(&vcpu->arch.lapic->regs);
	if (vector >= 0)
		lapic_acknowledge(&vcpu->arch.lapic->regs, vector);
	return vector;
}

bool kvm_lapic_quiet_service(struct kvm_vcpu *vcpu)
{
	struct lapic_regs *l = &vcpu->arch.lapic->regs;
	int vector = lapic_highest_isr(l);

	return vector >= 0 && lapic_mode(l) >= LAPIC_XAPIC && lapic_highest_irr(l) < 0 &&
	       !lapic_level_triggered(l, vector) && !kvm_pit_waits(vcpu->kvm);
}

int kvm_lapic_end_interrupt(struct kvm_vcpu *vcpu)
{
	struct lapic_effects fx = {
		.todo = LAPIC_DO_EOI | LAPIC_DO_CHECK,
		.eoi = lapic_end_of_interrupt(&vcpu->arch.lapic->regs),
	};

	kvm_lapic_carry_out(vcpu, &fx);
	return fx.eoi.vector;
}

/* ---- INIT and STARTUP ---------------------------------------------------------------------------------------- */

static void start_at(struct kvm_vcpu *vcpu, u8 vector)
{
	struct kvm_segment cs;

	kvm_x86_ops.get_segment(vcpu, KVM_CS, &cs);
	cs.selector = vector << 8;
	cs.base = vector << 12;
	kvm_x86_ops.set_segment(vcpu, KVM_CS, &cs);
	vcpu->arch.rip = 0;
}

bool kvm_lapic_take_signals(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic *apic = vcpu->arch.lapic;
	bool bsp = vcpu->arch.apic_base & MSR_IA32_APICBASE_BSP;
	bool any = false;

	if (!apic || !READ_ONCE(apic->signals))
		return false;
	/* In system management mode an INIT waits for its end, and nobody waits for a STARTUP. */
	if (kvm_in_smm(vcpu)) {
		clear_bit(KVM_LAPIC_STARTUP, &apic->signals);
		return false;
	}
	if (test_and_clear_bit(KVM_LAPIC_INIT, &apic->signals)) {
		kvm_vcpu_reset(vcpu, true);
		vcpu->arch.mp_state = bsp ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_INIT_RECEIVED;
		any = true;
	}
	/* One that nobody waits for is lost (SDM 3, 9.4.4). */
	if (test_and_clear_bit(KVM_LAPIC_STARTUP, &apic->signals) &&
	    vcpu->arch.mp_state == KVM_MP_STATE_INIT_RECEIVED) {
		smp_rmb();
		start_at(vcpu, apic->sipi_vector);
		vcpu->arch.mp_state = KVM_MP_STATE_RUNNABLE;
		any = true;
	}
	return any;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static void configure(struct kvm_vcpu *vcpu, struct lapic_config *config)
{
	*config = (struct lapic_config) {
		.id = vcpu->vcpu_id,
		.reserved_base = ~GENMASK_ULL(vcpu->arch.cpuid.maxphyaddr - 1, 0),
		.bus_ns = vcpu->kvm->arch.apic_bus_ns,
		.min_period_ns = MIN_TIMER_PERIOD_NS,
		.bsp = vcpu->vcpu_id == vcpu->kvm->arch.bsp_vcpu_id,
		.x2apic = kvm_guest_has(vcpu, X86_FEATURE_X2APIC),
		.tsc_deadline = kvm_guest_has(vcpu, X86_FEATURE_TSC_DEADLINE_TIMER),
		.directed_eoi = kvm_guest_has(vcpu, X86_FEATURE_X2APIC) &&
				vcpu->kvm->arch.irqchip_mode == KVM_IRQCHIP_SPLIT,
		.cmci = vcpu->arch.mcg_cap & MCG_CMCI_P,
		.lint0_extint = !(vcpu->kvm->arch.disabled_quirks & KVM_X86_QUIRK_LINT0_REENABLED),
	};
}

int kvm_lapic_create(struct kvm_vcpu *vcpu)
{
	struct lapic_config config;
	struct kvm_lapic *apic;
	void *page;

	apic = kzalloc(sizeof(*apic), GFP_KERNEL_ACCOUNT);
	if (!apic)
		return -ENOMEM;
	page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!page) {
		kfree(apic);
		return -ENOMEM;
	}
	apic->vcpu = vcpu;
	hrtimer_init(&apic->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	apic->timer.function = timer_callback;
	configure(vcpu, &config);
	lapic_init(&apic->regs, page, &config);
	vcpu->arch.lapic = apic;
	return 0;
}

void kvm_lapic_destroy(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic *apic = vcpu->arch.lapic;

	if (!apic)
		return;
	hrtimer_cancel(&apic->timer);
	free_page((unsigned long)apic->regs.page);
	kfree(apic);
	vcpu->arch.lapic = NULL;
}

void kvm_lapic_reset(struct kvm_vcpu *vcpu, bool init)
{
	struct kvm_lapic *apic = vcpu->arch.lapic;

	if (!apic)
		return;
	if (apic->has_inbox)
		lapic_fetch(&apic->regs);
	vcpu->arch.apic_away = apic->has_inbox && !apic->given;
	hrtimer_cancel(&apic->timer);
	kvm_request_take(vcpu, KVM_REQ_LAPIC_TIMER);
	configure(vcpu, &apic->regs.config);
	if (init)
		lapic_init_signal(&apic->regs);
	else
		lapic_power_up(&apic->regs);
	vcpu->arch.apic_base = apic->regs.base;
	vcpu->arch.cr8 = lapic_cr8_read(&apic->regs);
	kvm_lapic_update_map(vcpu->kvm);
}

void kvm_lapic_reconfigure(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic *apic = vcpu->arch.lapic;

	if (!apic)
		return;
	configure(vcpu, &apic->regs.config);
	lapic_config_changed(&apic->regs);
}
