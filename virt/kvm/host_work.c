// SPDX-License-Identifier: GPL-2.0
/*
 * What the host wants of a vcpu thread before it may enter the guest again: rescheduling, signals,
 * task work, restartable sequences. Only the kernel's xfer_to_guest_mode_handle_work() reaches all
 * of it, and that function is compiled with the kernel's own struct kvm_vcpu, to which it does two
 * things, both when a signal is pending: it stores to vcpu->run->exit_reason and it increments a
 * counter inside the structure.
 *
 * So it is given a stand-in, an area larger than that structure has ever been, each word of which
 * points to a scratch page: wherever the kernel keeps the pointer to kvm_run, it finds one, and what
 * it writes is of no interest. One serves all vcpus.
 */
#include <linux/entry-kvm.h>
#include <linux/vmalloc.h>

#include "core.h"

#define STAND_IN_SIZE	(64 * 1024)

static void **stand_in;

int kvm_serve_host(struct kvm_vcpu *vcpu)
{
	int r;

	kvm_srcu_unlock(vcpu);
	r = xfer_to_guest_mode_handle_work((struct kvm_vcpu *)stand_in);
	if (r == -EINTR) {
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		vcpu->stat.signal_exits++;
	}
	return r;
}

int kvm_host_work_init(void)
{
	unsigned int i, words = STAND_IN_SIZE / sizeof(*stand_in);
	void *scratch;

	/* The scratch page follows the area. */
	stand_in = vzalloc(STAND_IN_SIZE + PAGE_SIZE);
	if (!stand_in)
		return -ENOMEM;
	scratch = (void *)stand_in + STAND_IN_SIZE;
	for (i = 0; i < words; i++)
		stand_in[i] = scratch;
	return 0;
}

void kvm_host_work_exit(void)
{
	vfree(stand_in);
}
