/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Everything that depends on the version of the kernel the modules are built for, and the only
 * file that looks at LINUX_VERSION_CODE.
 */
#ifndef _LINUX_KVM_COMPAT_H
#define _LINUX_KVM_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#error "Linux 6.12 or later is needed"
#endif

#endif
