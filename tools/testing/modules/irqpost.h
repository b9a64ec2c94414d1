/* SPDX-License-Identifier: GPL-2.0 */
/* Requests of /dev/irqpost, for its users and for irqpost.c. */
#ifndef IRQPOST_H
#define IRQPOST_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct irqpost_state {
	__u32 posted;		/* to a vcpu: the rest is valid */
	__u32 vector;
	__u32 suppressed;	/* notifications are */
	__u32 notification;	/* their vector */
	__u32 changes;		/* how often it was said where to */
};

#define IRQPOST_ATTACH	_IOW('P', 1, int)	/* the eventfd that the device's interrupt signals */
#define IRQPOST_DETACH	_IO('P', 2)
#define IRQPOST_FIRE	_IO('P', 3)		/* an interrupt of the device; 1: it was posted */
#define IRQPOST_STATE	_IOR('P', 4, struct irqpost_state)

#endif
