// SPDX-License-Identifier: GPL-2.0
/*
 * Two cascaded 8259A: registers, priorities, initialization and operation command words, the
 * edge/level control registers of the chipset, and how all that is saved and restored. Not here:
 * locks, ports, the processor that is interrupted. Intel 8259A datasheet (231468); for ELCR and for
 * what a chipset wires up for good (cascade on IRQ2, no MCS-80 vectors, ICW3 without effect, LTIM
 * replaced by ELCR) the PIIX datasheet's chapter on its interrupt controller.
 *
 * One thing differs from the datasheet on purpose. There, a request goes away when its line falls
 * before it is acknowledged. Here an edge, once seen, is kept: eventfds and device models signal
 * edges by raising a line and lowering it at once.
 */
#include "pic.h"

#define ICW1_IC4		0x01	/* ICW4 will come */
#define ICW1_SNGL		0x02	/* ICW3 will not come */
#define ICW1_SELECT		0x10
#define ICW4_AEOI		0x02
#define ICW4_SFNM		0x10
#define OCW2_EOI		0x20
#define OCW2_SL			0x40	/* the level is in bits 0 to 2 */
#define OCW2_ROTATE		0x80
#define OCW3_SELECT		0x08
#define OCW3_RIS		0x01
#define OCW3_RR			0x02
#define OCW3_POLL		0x04
#define OCW3_SMM		0x20
#define OCW3_ESMM		0x40

#define VECTOR_MASK		0xf8	/* T7 to T3 of ICW2 */
#define LEVEL_MASK		0x07
#define POLL_INTERRUPT		0x80

#define CASCADE			2	/* the master's line that the slave drives */
#define SPURIOUS		7	/* what an acknowledge gives when nothing requests */
#define NONE			8

/* init_state, as the ABI has it. */
enum {
	READY,
	WANT_ICW2,
	WANT_ICW3,
	WANT_ICW4,
};

/* Bits of init4 */
#define INIT4_COMES		0x01
#define INIT4_SINGLE		0x02	/* only between ICW1 and ICW2 */

/* IRQ 0, 1, 2, 8 and 13 are edge-triggered for ever. */
static const u8 elcr_writable[2] = { 0xf8, 0xde };

static struct kvm_pic_state *master_of(struct kvm_pic *pic)
{
	return &pic->chip[KVM_IRQCHIP_PIC_MASTER];
}

static struct kvm_pic_state *slave_of(struct kvm_pic *pic)
{
	return &pic->chip[KVM_IRQCHIP_PIC_SLAVE];
}

/* The position, 0 the most urgent, of the most urgent line among these. */
static unsigned int first_position(const struct kvm_pic_state *chip, u8 lines)
{
	unsigned int twice = lines | lines << 8;

	return lines ? __builtin_ctz(twice >> chip->priority_add) : NONE;
}

static unsigned int line_at(const struct kvm_pic_state *chip, unsigned int position)
{
	return (position + chip->priority_add) & LEVEL_MASK;
}

/* Lines in service, except those that the special mask mode makes transparent. */
static u8 in_service(const struct kvm_pic_state *chip)
{
	return chip->special_mask ? chip->isr & ~chip->imr : chip->isr;
}

/* The line that the chip wants to interrupt for, or NONE: then its INT output is low. */
static unsigned int requested_line(const struct kvm_pic_state *chip, bool is_master)
{
	unsigned int wanted, served, line;

	if (chip->init_state != READY)
		return NONE;

	wanted = first_position(chip, chip->irr & ~chip->imr);
	if (wanted == NONE)
		return NONE;

	served = first_position(chip, in_service(chip));
	line = line_at(chip, wanted);
	if (wanted < served)
		return line;
	/* The slave is heard again for something more urgent among its own lines. */
	if (wanted == served && is_master && line == CASCADE && chip->special_fully_nested_mode)
		return line;
	return NONE;
}

static void drive_line(struct kvm_pic_state *chip, unsigned int line, bool level)
{
	u8 bit = 1u << line;

	if (!level) {
		chip->last_irr &= ~bit;
		chip->irr &= ~(bit & chip->elcr);
		return;
	}

	if (bit & (chip->elcr | ~chip->last_irr))
		chip->irr |= bit;
	chip->last_irr |= bit;
}

/*
 * Brings the slave's INT output to the master's input. Nobody pulses this line, so that here a
 * request goes with its line, as the datasheet has it.
 */
static void drive_cascade(struct kvm_pic *pic, bool level)
{
	drive_line(master_of(pic), CASCADE, level);
	if (!level)
		master_of(pic)->irr &= ~(1u << CASCADE);
}

static void update_cascade(struct kvm_pic *pic)
{
	drive_cascade(pic, requested_line(slave_of(pic), false) != NONE);
}

/* An acknowledged or initialized chip lowers INT before it raises it for its next request. */
static void pulse_cascade(struct kvm_pic *pic)
{
	drive_cascade(pic, false);
	update_cascade(pic);
}

static void end_service(struct kvm_pic *pic, unsigned int index, u8 lines)
{
	u8 ended = lines & pic->chip[index].isr;

	pic->chip[index].isr &= ~lines;
	if (index == KVM_IRQCHIP_PIC_SLAVE)
		pic->eoi |= ended << 8;
	else
		pic->eoi |= ended & ~(1u << CASCADE);
}

static void make_lowest(struct kvm_pic_state *chip, unsigned int line)
{
	chip->priority_add = (line + 1) & LEVEL_MASK;
}

/* The chip's part in an acknowledge: the request moves from IRR to ISR. */
static unsigned int accept_request(struct kvm_pic *pic, unsigned int index)
{
	struct kvm_pic_state *chip = &pic->chip[index];
	unsigned int line = requested_line(chip, index == KVM_IRQCHIP_PIC_MASTER);
	u8 bit = 1u << line;

	if (line == NONE)
		return NONE;

	chip->irr &= ~(bit & ~chip->elcr);
	chip->isr |= bit;
	if (chip->auto_eoi) {
		end_service(pic, index, bit);
		if (chip->rotate_on_auto_eoi)
			make_lowest(chip, line);
	}
	return line;
}

u8 kvm_pic_acknowledge(struct kvm_pic *pic)
{
	unsigned int line = accept_request(pic, KVM_IRQCHIP_PIC_MASTER);

	if (line == NONE)
		line = SPURIOUS;
	if (line != CASCADE)
		return master_of(pic)->irq_base | line;

	line = accept_request(pic, KVM_IRQCHIP_PIC_SLAVE);
	pulse_cascade(pic);
	if (line == NONE)
		line = SPURIOUS;
	return slave_of(pic)->irq_base | line;
}

static u8 read_poll(struct kvm_pic *pic, unsigned int index)
{
	unsigned int line = accept_request(pic, index);

	pic->chip[index].poll = 0;
	if (line == NONE)
		return SPURIOUS;
	if (index == KVM_IRQCHIP_PIC_SLAVE)
		pulse_cascade(pic);
	return POLL_INTERRUPT | line;
}

/*
 * ICW1 clears what the datasheet lists under "initialization", lets go of what is in service, and
 * wants a new edge from every line; the slave's INT, which only this pair sees, gets one.
 */
static void write_icw1(struct kvm_pic *pic, unsigned int index, u8 val)
{
	struct kvm_pic_state *chip = &pic->chip[index];

	end_service(pic, index, 0xff);
	chip->irr = chip->last_irr & chip->elcr;
	chip->imr = 0;
	chip->priority_add = 0;
	chip->special_mask = 0;
	chip->read_reg_select = 0;
	chip->poll = 0;
	chip->auto_eoi = 0;
	chip->rotate_on_auto_eoi = 0;
	chip->special_fully_nested_mode = 0;
	chip->init4 = val & ICW1_IC4 ? INIT4_COMES : 0;
	if (val & ICW1_SNGL)
		chip->init4 |= INIT4_SINGLE;
	chip->init_state = WANT_ICW2;
	pulse_cascade(pic);
}

static void write_ocw2(struct kvm_pic *pic, unsigned int index, u8 val)
{
	struct kvm_pic_state *chip = &pic->chip[index];
	unsigned int line = val & LEVEL_MASK;
	unsigned int position;

	if (!(val & OCW2_EOI)) {
		if (!(val & OCW2_SL))
			chip->rotate_on_auto_eoi = !!(val & OCW2_ROTATE);
		else if (val & OCW2_ROTATE)
			make_lowest(chip, line);
		return;
	}

	if (!(val & OCW2_SL)) {
		/* Lines that the special mask mode hides are not found this way. */
		position = first_position(chip, in_service(chip));
		if (position == NONE)
			return;
		line = line_at(chip, position);
	}
	end_service(pic, index, 1u << line);
	if (val & OCW2_ROTATE)
		make_lowest(chip, line);
}

static void write_ocw3(struct kvm_pic_state *chip, u8 val)
{
	if (val & OCW3_ESMM)
		chip->special_mask = !!(val & OCW3_SMM);
	if (val & OCW3_RR)
		chip->read_reg_select = val & OCW3_RIS;
	if (val & OCW3_POLL)
		chip->poll = 1;
}

static void write_command(struct kvm_pic *pic, unsigned int index, u8 val)
{
	if (val & ICW1_SELECT)
		write_icw1(pic, index, val);
	else if (val & OCW3_SELECT)
		write_ocw3(&pic->chip[index], val);
	else
		write_ocw2(pic, index, val);
}

static void write_data(struct kvm_pic_state *chip, u8 val)
{
	u8 after_icw3 = chip->init4 & INIT4_COMES ? WANT_ICW4 : READY;

	switch (chip->init_state) {
	case WANT_ICW2:
		chip->irq_base = val & VECTOR_MASK;
		chip->init_state = chip->init4 & INIT4_SINGLE ? after_icw3 : WANT_ICW3;
		chip->init4 &= ~INIT4_SINGLE;
		break;
	case WANT_ICW3:
		chip->init_state = after_icw3;
		break;
	case WANT_ICW4:
		chip->auto_eoi = !!(val & ICW4_AEOI);
		chip->special_fully_nested_mode = !!(val & ICW4_SFNM);
		chip->init_state = READY;
		break;
	default:
		chip->imr = val;
	}
}

/* A line that becomes level-triggered requests as long as it is high, and only then. */
static void write_elcr(struct kvm_pic_state *chip, u8 val)
{
	chip->elcr = val & chip->elcr_mask;
	chip->irr = (chip->irr & ~chip->elcr) | (chip->last_irr & chip->elcr);
}

bool kvm_pic_write(struct kvm_pic *pic, u16 port, u8 val)
{
	switch (port) {
	case KVM_PIC_MASTER_COMMAND:
		write_command(pic, KVM_IRQCHIP_PIC_MASTER, val);
		break;
	case KVM_PIC_SLAVE_COMMAND:
		write_command(pic, KVM_IRQCHIP_PIC_SLAVE, val);
		break;
	case KVM_PIC_MASTER_DATA:
		write_data(master_of(pic), val);
		break;
	case KVM_PIC_SLAVE_DATA:
		write_data(slave_of(pic), val);
		break;
	case KVM_PIC_MASTER_ELCR:
		write_elcr(master_of(pic), val);
		break;
	case KVM_PIC_SLAVE_ELCR:
		write_elcr(slave_of(pic), val);
		break;
	default:
		return false;
	}
	update_cascade(pic);
	return true;
}

static u8 read_register(struct kvm_pic *pic, unsigned int index, bool data)
{
	const struct kvm_pic_state *chip = &pic->chip[index];

	if (chip->poll)
		return read_poll(pic, index);
	if (data)
		return chip->imr;
	return chip->read_reg_select ? chip->isr : chip->irr;
}

bool kvm_pic_read(struct kvm_pic *pic, u16 port, u8 *val)
{
	switch (port) {
	case KVM_PIC_MASTER_COMMAND:
	case KVM_PIC_MASTER_DATA:
		*val = read_register(pic, KVM_IRQCHIP_PIC_MASTER, port & 1);
		return true;
	case KVM_PIC_SLAVE_COMMAND:
	case KVM_PIC_SLAVE_DATA:
		*val = read_register(pic, KVM_IRQCHIP_PIC_SLAVE, port & 1);
		return true;
	case KVM_PIC_MASTER_ELCR:
		*val = master_of(pic)->elcr;
		return true;
	case KVM_PIC_SLAVE_ELCR:
		*val = slave_of(pic)->elcr;
		return true;
	default:
		return false;
	}
}

int kvm_pic_set_irq(struct kvm_pic *pic, unsigned int irq, unsigned int source, bool level)
{
	struct kvm_pic_state *chip;
	u8 bit = 1u << (irq & LEVEL_MASK);
	u8 waiting;

	if (irq >= KVM_PIC_LINES || irq == CASCADE || source >= KVM_PIC_SOURCES)
		return -1;

	if (level)
		pic->sources[irq] |= 1ull << source;
	else
		pic->sources[irq] &= ~(1ull << source);

	chip = &pic->chip[irq > LEVEL_MASK];
	waiting = chip->irr & bit;
	drive_line(chip, irq & LEVEL_MASK, pic->sources[irq]);
	if (irq > LEVEL_MASK)
		update_cascade(pic);

	if (chip->imr & bit)
		return -1;
	return !(level && waiting);
}

bool kvm_pic_output(const struct kvm_pic *pic)
{
	return requested_line(&pic->chip[KVM_IRQCHIP_PIC_MASTER], true) != NONE;
}

u16 kvm_pic_take_eoi(struct kvm_pic *pic)
{
	u16 eoi = pic->eoi;

	pic->eoi = 0;
	return eoi;
}

void kvm_pic_reset(struct kvm_pic *pic)
{
	*pic = (struct kvm_pic){};
	master_of(pic)->elcr_mask = elcr_writable[KVM_IRQCHIP_PIC_MASTER];
	slave_of(pic)->elcr_mask = elcr_writable[KVM_IRQCHIP_PIC_SLAVE];
}

void kvm_pic_get_state(const struct kvm_pic *pic, unsigned int chip, struct kvm_pic_state *state)
{
	*state = pic->chip[chip];
}

void kvm_pic_set_state(struct kvm_pic *pic, unsigned int chip, const struct kvm_pic_state *state)
{
	struct kvm_pic_state s = *state;
	bool slave_requests;

	s.priority_add &= LEVEL_MASK;
	s.irq_base &= VECTOR_MASK;
	s.read_reg_select = !!s.read_reg_select;
	s.poll = !!s.poll;
	s.special_mask = !!s.special_mask;
	s.auto_eoi = !!s.auto_eoi;
	s.rotate_on_auto_eoi = !!s.rotate_on_auto_eoi;
	s.special_fully_nested_mode = !!s.special_fully_nested_mode;
	if (s.init_state > WANT_ICW4)
		s.init_state = READY;
	s.init4 &= INIT4_COMES | INIT4_SINGLE;
	if (s.init_state != WANT_ICW2)
		s.init4 &= ~INIT4_SINGLE;
	s.elcr_mask = elcr_writable[chip];
	s.elcr &= s.elcr_mask;
	s.irr = (s.irr & ~s.elcr) | (s.last_irr & s.elcr);
	pic->chip[chip] = s;

	/*
	 * The master usually comes first, while the slave is not yet what it will be. So the master
	 * keeps what it is told about its cascade line until the slave has come.
	 */
	slave_requests = requested_line(slave_of(pic), false) != NONE;
	if (chip == KVM_IRQCHIP_PIC_SLAVE || slave_requests)
		drive_cascade(pic, slave_requests);
}
