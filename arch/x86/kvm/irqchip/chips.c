// SPDX-License-Identifier: GPL-2.0
/*
 * The PIC pair and the IOAPIC of a VM wired up: their lock, their places on the I/O buses, their
 * lines, the EOIs that come back, and the ioctls. Each model is a state machine in a file of its
 * own. With a split irqchip only the local APICs are here, and userspace has the rest. KVM API
 * document, sections on KVM_CREATE_IRQCHIP, KVM_GET_IRQCHIP and KVM_CAP_SPLIT_IRQCHIP.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "irqchip.h"
#include "../x86.h"
#include "../trace.h"

/* A level-triggered line that asserts again after so many EOIs in a row is slowed down. */
#define STORM_LIMIT		10000
#define STORM_DELAY_MS		10

struct kvm_irqchips {
	struct kvm *kvm;
	spinlock_t lock;		/* both models, storm_pins */
	struct kvm_pic pic;
	struct ioapic ioapic;
	u32 storm_pins;
	struct delayed_work storm_work;
	struct kvm_io_device pic_master, pic_slave, pic_elcr, ioapic_window;
};

/* ---- the PIC ------------------------------------------------------------------------------------- */

/* INTR is up: whoever has LINT0 or its pass-through open is to look. Under the lock or not. */
static void signal_intr(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	int i;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		if (!kvm_has_lapic(vcpu) || !lapic_takes_extint(&vcpu->arch.lapic->regs))
			continue;
		kvm_request(vcpu, KVM_REQ_EVENT);
		kvm_vcpu_kick(vcpu);
	}
}

/* After an operation on the PIC. Drops the lock. */
static void pic_done(struct kvm_irqchips *chips)
	__releases(&chips->lock)
{
	unsigned long ended = kvm_pic_take_eoi(&chips->pic);
	bool intr = kvm_pic_output(&chips->pic);
	unsigned int line;

	spin_unlock(&chips->lock);
	if (intr)
		signal_intr(chips->kvm);
	for_each_set_bit(line, &ended, KVM_PIC_LINES)
		kvm_irq_acked(chips->kvm, line < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
			      line % 8);
}

int kvm_pic_line(struct kvm *kvm, unsigned int line, unsigned int source, bool level)
{
	struct kvm_irqchips *chips = kvm->arch.irqchips;
	int r;

	spin_lock(&chips->lock);
	r = kvm_pic_set_irq(&chips->pic, line, source, level);
	pic_done(chips);
	return r;
}

/* Racy by nature: a later change of the line sends its own signal. */
bool kvm_pic_asserted(struct kvm *kvm)
{
	struct kvm_irqchips *chips = kvm->arch.irqchips;

	return chips && kvm_pic_output(&chips->pic);
}

int kvm_pic_take(struct kvm *kvm)
{
	struct kvm_irqchips *chips = kvm->arch.irqchips;
	int vector = -1;

	spin_lock(&chips->lock);
	if (kvm_pic_output(&chips->pic))
		vector = kvm_pic_acknowledge(&chips->pic);
	pic_done(chips);
	return vector;
}

/* Accesses wider than a byte are not for this chip. */
static int pic_read(struct kvm_irqchips *chips, gpa_t port, int len, void *val)
{
	bool ours;

	if (len != 1)
		return -EOPNOTSUPP;
	spin_lock(&chips->lock);
	ours = kvm_pic_read(&chips->pic, port, val);
	pic_done(chips);
	return ours ? 0 : -EOPNOTSUPP;
}

static int pic_write(struct kvm_irqchips *chips, gpa_t port, int len, const void *val)
{
	bool ours;

	if (len != 1)
		return -EOPNOTSUPP;
	spin_lock(&chips->lock);
	ours = kvm_pic_write(&chips->pic, port, *(const u8 *)val);
	pic_done(chips);
	return ours ? 0 : -EOPNOTSUPP;
}

#define PIC_DEVICE(name)								\
static int name##_read(struct kvm_vcpu *vcpu, struct kvm_io_device *dev, gpa_t addr,	\
		       int len, void *val)						\
{											\
	return pic_read(container_of(dev, struct kvm_irqchips, name), addr, len, val);	\
}											\
											\
static int name##_write(struct kvm_vcpu *vcpu, struct kvm_io_device *dev, gpa_t addr,	\
			int len, const void *val)					\
{											\
	return pic_write(container_of(dev, struct kvm_irqchips, name), addr, len, val);	\
}											\
											\
static const struct kvm_io_device_ops name##_ops = {					\
	.read = name##_read,								\
	.write = name##_write,								\
};

PIC_DEVICE(pic_master)
PIC_DEVICE(pic_slave)
PIC_DEVICE(pic_elcr)

/* ---- the IOAPIC ------------------------------------------------------------------------------------ */

static int ioapic_send(void *ctx, unsigned int pin, const struct apic_msg *msg)
{
	struct kvm_irqchips *chips = ctx;
	struct apic_msg copy = *msg;

	copy.watched = kvm_pit_waits(chips->kvm);
	return kvm_lapic_send(chips->kvm, NULL, &copy);
}

int kvm_ioapic_line(struct kvm *kvm, unsigned int pin, unsigned int source, bool level)
{
	struct kvm_irqchips *chips = kvm->arch.irqchips;
	int r;

	spin_lock(&chips->lock);
	r = ioapic_set_line(&chips->ioapic, pin, source, level);
	spin_unlock(&chips->lock);
	return r;
}

void kvm_ioapic_retry(struct kvm *kvm)
{
	struct kvm_irqchips *chips = READ_ONCE(kvm->arch.irqchips);

	if (!chips)
		return;
	spin_lock(&chips->lock);
	ioapic_service(&chips->ioapic, IOAPIC_EOI_PINS);
	spin_unlock(&chips->lock);
}

static void storm_over(struct work_struct *work)
{
	struct kvm_irqchips *chips = container_of(to_delayed_work(work), struct kvm_irqchips,
						  storm_work);
	u32 pins;

	spin_lock(&chips->lock);
	pins = chips->storm_pins;
	chips->storm_pins = 0;
	ioapic_service(&chips->ioapic, pins);
	spin_unlock(&chips->lock);
}

/* Interrupts of these pins have ended: tell their sources, then deliver what is still asserted. */
static void ioapic_ended(struct kvm_irqchips *chips, unsigned long pins)
{
	unsigned int pin;
	u32 storming;

	for_each_set_bit(pin, &pins, IOAPIC_PINS)
		kvm_irq_acked(chips->kvm, KVM_IRQCHIP_IOAPIC, pin);

	spin_lock(&chips->lock);
	storming = ioapic_after_eoi(&chips->ioapic, pins);
	chips->storm_pins |= storming;
	spin_unlock(&chips->lock);
	if (storming)
		schedule_delayed_work(&chips->storm_work, msecs_to_jiffies(STORM_DELAY_MS));
}

void kvm_irqchip_eoi(struct kvm_vcpu *vcpu, u8 vector)
{
	struct kvm_irqchips *chips = vcpu->kvm->arch.irqchips;
	u32 pins;

	if (!chips) {
		/* Split: the IOAPIC is userspace's, and is told by an exit. */
		if (!kvm_userspace_pin_has(vcpu, vector))
			return;
		vcpu->arch.eoi_vector = vector;
		kvm_request(vcpu, KVM_REQ_IOAPIC_EOI);
		return;
	}
	spin_lock(&chips->lock);
	pins = ioapic_eoi(&chips->ioapic, vector);
	spin_unlock(&chips->lock);
	if (pins)
		ioapic_ended(chips, pins);
}

/*
 * The IOAPIC does not hear of the end of an edge's interrupt. Only the PIT wants to know, and only
 * now and then: nobody else pays for the search.
 */
void kvm_irqchip_edge_eoi(struct kvm_vcpu *vcpu, u8 vector)
{
	struct kvm_irqchips *chips = vcpu->kvm->arch.irqchips;
	unsigned long pins = 0;
	unsigned int pin;
	u64 entry;

	if (!chips || likely(!kvm_pit_waits(vcpu->kvm)))
		return;
	spin_lock(&chips->lock);
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		entry = chips->ioapic.rte[pin];
		if ((u8)entry == vector && !(entry & IOAPIC_RTE_LEVEL))
			__set_bit(pin, &pins);
	}
	spin_unlock(&chips->lock);
	for_each_set_bit(pin, &pins, IOAPIC_PINS)
		kvm_irq_acked(chips->kvm, KVM_IRQCHIP_IOAPIC, pin);
}

/* Without the lock: a pin that changes now has delivered nothing by its new vector. */
void kvm_irqchip_edge_vectors(struct kvm *kvm, unsigned long *vectors)
{
	struct kvm_irqchips *chips = kvm->arch.irqchips;
	unsigned int pin;
	u64 entry;

	if (!chips || likely(!kvm_pit_waits(kvm)))
		return;
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		entry = READ_ONCE(chips->ioapic.rte[pin]);
		if (!(entry & IOAPIC_RTE_LEVEL))
			__set_bit((u8)entry, vectors);
	}
}

static bool in_window(struct kvm_irqchips *chips, gpa_t addr)
{
	return addr - chips->ioapic.base_address < IOAPIC_WINDOW;
}

static int ioapic_window_read(struct kvm_vcpu *vcpu, struct kvm_io_device *dev, gpa_t addr, int len,
			      void *val)
{
	struct kvm_irqchips *chips = container_of(dev, struct kvm_irqchips, ioapic_window);
	u64 data;

	if (!in_window(chips, addr))
		return -EOPNOTSUPP;
	spin_lock(&chips->lock);
	data = ioapic_read(&chips->ioapic, addr - chips->ioapic.base_address, len);
	spin_unlock(&chips->lock);
	memcpy(val, &data, len);
	return 0;
}

static int ioapic_window_write(struct kvm_vcpu *vcpu, struct kvm_io_device *dev, gpa_t addr,
			       int len, const void *val)
{
	struct kvm_irqchips *chips = container_of(dev, struct kvm_irqchips, ioapic_window);
	u64 data = 0;
	u32 result;

	if (!in_window(chips, addr))
		return -EOPNOTSUPP;
	memcpy(&data, val, len);
	spin_lock(&chips->lock);
	result = ioapic_write(&chips->ioapic, addr - chips->ioapic.base_address, len, data);
	spin_unlock(&chips->lock);
	if (result & IOAPIC_EOI_PINS)
		ioapic_ended(chips, result & IOAPIC_EOI_PINS);
	return 0;
}

static const struct kvm_io_device_ops ioapic_window_ops = {
	.read = ioapic_window_read,
	.write = ioapic_window_write,
};

/* ---- life ------------------------------------------------------------------------------------------------- */

static int register_devices(struct kvm *kvm, struct kvm_irqchips *chips)
{
	int r;

	r = kvm_io_bus_register(kvm, KVM_PIO_BUS, KVM_PIC_MASTER_COMMAND, 2, &chips->pic_master);
	if (r)
		return r;
	r = kvm_io_bus_register(kvm, KVM_PIO_BUS, KVM_PIC_SLAVE_COMMAND, 2, &chips->pic_slave);
	if (r)
		goto err_master;
	r = kvm_io_bus_register(kvm, KVM_PIO_BUS, KVM_PIC_MASTER_ELCR, 2, &chips->pic_elcr);
	if (r)
		goto err_slave;
	r = kvm_io_bus_register(kvm, KVM_MMIO_BUS, IOAPIC_DEFAULT_BASE, IOAPIC_WINDOW,
				&chips->ioapic_window);
	if (!r)
		return 0;
	kvm_io_bus_unregister(kvm, KVM_PIO_BUS, &chips->pic_elcr);
err_slave:
	kvm_io_bus_unregister(kvm, KVM_PIO_BUS, &chips->pic_slave);
err_master:
	kvm_io_bus_unregister(kvm, KVM_PIO_BUS, &chips->pic_master);
	return r;
}

static void unregister_devices(struct kvm *kvm, struct kvm_irqchips *chips)
{
	kvm_io_bus_unregister(kvm, KVM_MMIO_BUS, &chips->ioapic_window);
	kvm_io_bus_unregister(kvm, KVM_PIO_BUS, &chips->pic_elcr);
	kvm_io_bus_unregister(kvm, KVM_PIO_BUS, &chips->pic_slave);
	kvm_io_bus_unregister(kvm, KVM_PIO_BUS, &chips->pic_master);
}

static struct kvm_irqchips *chips_alloc(struct kvm *kvm)
{
	struct kvm_irqchips *chips = kzalloc(sizeof(*chips), GFP_KERNEL_ACCOUNT);
	struct ioapic_config config = {
		.deliver = ioapic_send,
		.ctx = chips,
		.storm_limit = STORM_LIMIT,
	};

	if (!chips)
		return NULL;
	chips->kvm = kvm;
	spin_lock_init(&chips->lock);
	INIT_DELAYED_WORK(&chips->storm_work, storm_over);
	kvm_pic_reset(&chips->pic);
	ioapic_init(&chips->ioapic, &config);
	chips->pic_master.ops = &pic_master_ops;
	chips->pic_slave.ops = &pic_slave_ops;
	chips->pic_elcr.ops = &pic_elcr_ops;
	chips->ioapic_window.ops = &ioapic_window_ops;
	return chips;
}

/* Every line of the PIC also reaches the pin of the same number of the IOAPIC, which has more. */
static int default_routes(struct kvm *kvm)
{
	struct kvm_irq_routing_entry *e;
	unsigned int i, n = 0;
	int r;

	e = kcalloc(KVM_PIC_LINES + IOAPIC_PINS, sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return -ENOMEM;
	for (i = 0; i < IOAPIC_PINS; i++) {
		if (i < KVM_PIC_LINES) {
			e[n].gsi = i;
			e[n].type = KVM_IRQ_ROUTING_IRQCHIP;
			e[n].u.irqchip.irqchip = i < 8 ? KVM_IRQCHIP_PIC_MASTER :
							 KVM_IRQCHIP_PIC_SLAVE;
			e[n++].u.irqchip.pin = i % 8;
		}
		e[n].gsi = i;
		e[n].type = KVM_IRQ_ROUTING_IRQCHIP;
		e[n].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		e[n++].u.irqchip.pin = i;
	}
	r = kvm_irq_routing_set(kvm, e, n);
	kfree(e);
	return r;
}

/* kvm->lock held. */
int kvm_irqchip_create(struct kvm *kvm)
{
	struct kvm_irqchips *chips;
	int r;

	if (kvm_has_irqchip(kvm))
		return -EEXIST;
	if (kvm->created_vcpus)
		return -EINVAL;
	chips = chips_alloc(kvm);
	if (!chips)
		return -ENOMEM;
	mutex_lock(&kvm->slots_lock);
	r = register_devices(kvm, chips);
	mutex_unlock(&kvm->slots_lock);
	if (r)
		goto err_chips;

	kvm->arch.irqchips = chips;
	smp_wmb();	/* the chips before the mode that says they are there */
	WRITE_ONCE(kvm->arch.irqchip_mode, KVM_IRQCHIP_KERNEL);
	r = default_routes(kvm);
	if (!r)
		return 0;

	WRITE_ONCE(kvm->arch.irqchip_mode, KVM_IRQCHIP_NONE);
	kvm->arch.irqchips = NULL;
	mutex_lock(&kvm->slots_lock);
	unregister_devices(kvm, chips);
	mutex_unlock(&kvm->slots_lock);
	synchronize_srcu(&kvm->srcu);
err_chips:
	kfree(chips);
	return r;
}

/* KVM_CAP_SPLIT_IRQCHIP; kvm->lock held. */
int kvm_irqchip_split(struct kvm *kvm, u64 nr_routes)
{
	if (nr_routes > KVM_MAX_IRQ_ROUTES)
		return -EINVAL;
	if (kvm_has_irqchip(kvm) || kvm->created_vcpus)
		return -EEXIST;
	kvm->arch.userspace_pins = nr_routes;
	smp_wmb();	/* before the mode that says it is there */
	WRITE_ONCE(kvm->arch.irqchip_mode, KVM_IRQCHIP_SPLIT);
	return 0;
}

void kvm_irqchip_quiesce(struct kvm *kvm)
{
	kvm_pit_stop(kvm);
	if (kvm->arch.irqchips)
		cancel_delayed_work_sync(&kvm->arch.irqchips->storm_work);
}

/* The buses are gone, and so is everybody who could raise a line. */
void kvm_irqchip_destroy(struct kvm *kvm)
{
	kvm_pit_destroy(kvm);
	kfree(kvm->arch.irqchips);
	kvm->arch.irqchips = NULL;
}

/* ---- ioctls -------------------------------------------------------------------------------------------------- */

static int get_state(struct kvm_irqchips *chips, struct kvm_irqchip *state)
{
	int r = 0;

	spin_lock(&chips->lock);
	switch (state->chip_id) {
	case KVM_IRQCHIP_PIC_MASTER:
	case KVM_IRQCHIP_PIC_SLAVE:
		kvm_pic_get_state(&chips->pic, state->chip_id, &state->chip.pic);
		break;
	case KVM_IRQCHIP_IOAPIC:
		ioapic_get_state(&chips->ioapic, &state->chip.ioapic);
		break;
	default:
		r = -EINVAL;
	}
	spin_unlock(&chips->lock);
	return r;
}

static int set_state(struct kvm_irqchips *chips, const struct kvm_irqchip *state)
{
	u32 base;

	switch (state->chip_id) {
	case KVM_IRQCHIP_PIC_MASTER:
	case KVM_IRQCHIP_PIC_SLAVE:
		spin_lock(&chips->lock);
		kvm_pic_set_state(&chips->pic, state->chip_id, &state->chip.pic);
		pic_done(chips);
		return 0;
	case KVM_IRQCHIP_IOAPIC:
		spin_lock(&chips->lock);
		/* The window does not move: its place on the bus is fixed. */
		base = chips->ioapic.base_address;
		ioapic_set_state(&chips->ioapic, &state->chip.ioapic);
		chips->ioapic.base_address = base;
		ioapic_service(&chips->ioapic, IOAPIC_EOI_PINS);
		spin_unlock(&chips->lock);
		return 0;
	default:
		return -EINVAL;
	}
}

static long irqchip_state_ioctl(struct kvm *kvm, bool set, void __user *argp)
{
	struct kvm_irqchip *state;
	long r;

	state = memdup_user(argp, sizeof(*state));
	if (IS_ERR(state))
		return PTR_ERR(state);
	r = -ENXIO;
	if (!kvm->arch.irqchips)
		goto out;
	if (set) {
		r = set_state(kvm->arch.irqchips, state);
		goto out;
	}
	memset(&state->chip, 0, sizeof(state->chip));
	r = get_state(kvm->arch.irqchips, state);
	if (!r && copy_to_user(argp, state, sizeof(*state)))
		r = -EFAULT;
out:
	kfree(state);
	return r;
}

static long irq_line_ioctl(struct kvm *kvm, bool status, void __user *argp)
{
	struct kvm_irq_level line;

	if (copy_from_user(&line, argp, sizeof(line)))
		return -EFAULT;
	if (!kvm_has_irqchip(kvm))
		return -ENXIO;
	line.status = kvm_set_irq(kvm, KVM_USERSPACE_IRQ_SOURCE_ID, line.irq, line.level, status);
	if (status && copy_to_user(argp, &line, sizeof(line)))
		return -EFAULT;
	return 0;
}

long kvm_irqchip_ioctl(struct kvm *kvm, unsigned int ioctl, unsigned long arg)
{
	void __user *argp = (void __user *)arg;
	long r;

	switch (ioctl) {
	case KVM_CREATE_IRQCHIP:
		mutex_lock(&kvm->lock);
		r = kvm_irqchip_create(kvm);
		mutex_unlock(&kvm->lock);
		return r;
	case KVM_GET_IRQCHIP:
	case KVM_SET_IRQCHIP:
		return irqchip_state_ioctl(kvm, ioctl == KVM_SET_IRQCHIP, argp);
	case KVM_IRQ_LINE:
	case KVM_IRQ_LINE_STATUS:
		return irq_line_ioctl(kvm, ioctl == KVM_IRQ_LINE_STATUS, argp);
	default:
		return kvm_pit_ioctl(kvm, ioctl, argp);
	}
}
