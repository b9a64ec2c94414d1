// SPDX-License-Identifier: GPL-2.0
/*
 * A 16550A without input, as far as Linux's 8250 driver uses one: what is written goes to the
 * standard output at once, so the transmitter is always empty and its interrupt is due as soon
 * as it is enabled. Register numbers and bits are those of the National Semiconductor data sheet.
 */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/kvm.h>

#include "vmm.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH };

#define IER_TRANSMITTER		0x02
#define IIR_NOTHING		0x01
#define IIR_TRANSMITTER		0x02
#define IIR_FIFO		0xc0
#define LCR_DIVISOR		0x80
#define MCR_LOOP		0x10
#define LSR_EMPTY		0x60		/* holding register and shift register */
#define MSR_READY		0xb0		/* carrier, data set ready, clear to send */

static struct {
	uint8_t ier, fcr, lcr, mcr, scratch, divisor[2];
	bool transmitter_due;
	bool line;
	const char *good, *bad;
	char text[256];			/* the end of the current line */
	size_t length;
} port;

void serial_watch(const char *good, const char *bad)
{
	port.good = good;
	port.bad = bad;
}

static void update_line(struct machine *m)
{
	bool due = port.transmitter_due && (port.ier & IER_TRANSMITTER);
	struct kvm_irq_level level = { .irq = SERIAL_IRQ, .level = due };

	if (due == port.line)
		return;
	port.line = due;
	if (ioctl(m->vm, KVM_IRQ_LINE, &level))
		fail("KVM_IRQ_LINE: %m");
}

/* A text is looked for at the end of its line. */
static enum ending put(char c)
{
	putchar(c);
	if (c != '\n') {
		if (port.length < sizeof(port.text) - 1)
			port.text[port.length++] = c;
		return RUNNING;
	}
	fflush(stdout);
	port.text[port.length] = 0;
	port.length = 0;
	if (port.good && strstr(port.text, port.good))
		return GOOD_TEXT;
	if (port.bad && strstr(port.text, port.bad))
		return BAD_TEXT;
	return RUNNING;
}

enum ending serial_write(struct machine *m, unsigned int reg, uint8_t value)
{
	enum ending ending = RUNNING;

	switch (reg) {
	case DATA:
		if (port.lcr & LCR_DIVISOR) {
			port.divisor[0] = value;
			break;
		}
		if (!(port.mcr & MCR_LOOP))
			ending = put(value);
		port.transmitter_due = true;
		break;
	case IER:
		if (port.lcr & LCR_DIVISOR) {
			port.divisor[1] = value;
			break;
		}
		if (!(port.ier & IER_TRANSMITTER) && (value & IER_TRANSMITTER))
			port.transmitter_due = true;
		port.ier = value & 0x0f;
		break;
	case IIR:
		port.fcr = value;
		break;
	case LCR:
		port.lcr = value;
		break;
	case MCR:
		port.mcr = value;
		break;
	case SCRATCH:
		port.scratch = value;
		break;
	}
	update_line(m);
	return ending;
}

static uint8_t identify(struct machine *m)
{
	uint8_t fifo = port.fcr & 1 ? IIR_FIFO : 0;

	if (!port.transmitter_due || !(port.ier & IER_TRANSMITTER))
		return fifo | IIR_NOTHING;
	port.transmitter_due = false;
	update_line(m);
	return fifo | IIR_TRANSMITTER;
}

/* In loop mode the modem's inputs show its outputs: the driver looks for a port that way. */
static uint8_t modem_status(void)
{
	if (!(port.mcr & MCR_LOOP))
		return MSR_READY;
	return (port.mcr & 0x02) << 3 | (port.mcr & 0x01) << 5 | (port.mcr & 0x0c) << 4;
}

uint8_t serial_read(struct machine *m, unsigned int reg)
{
	switch (reg) {
	case DATA:
		return port.lcr & LCR_DIVISOR ? port.divisor[0] : 0;
	case IER:
		return port.lcr & LCR_DIVISOR ? port.divisor[1] : port.ier;
	case IIR:
		return identify(m);
	case LCR:
		return port.lcr;
	case MCR:
		return port.mcr;
	case LSR:
		return LSR_EMPTY;
	case MSR:
		return modem_status();
	default:
		return port.scratch;
	}
}
