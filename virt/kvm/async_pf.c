// SPDX-License-Identifier: GPL-2.0
/*
 * Page faults that are brought to an end by somebody else: a worker fetches the page, while the vcpu
 * does something better than wait. Owns the workers and the lists of what a vcpu has under way; whom
 * to tell, and how, is the architecture's. Documentation/virt/kvm/x86/pv.rst describes it as a guest
 * sees it.
 *
 * Fetching may take as long as the owner of the memory likes (think of userfaultfd), longer than the
 * vcpu lives. So nobody ever waits for a worker: a vcpu that does not care any more forgets its
 * faults, and each of them ends by itself, holding nothing but the structure of the address space.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "core.h"
#include <trace/events/kvm.h>

/* Of one vcpu, those that are fetched and not yet retired included. */
#define MAX_PER_VCPU	64
/*
 * Of all. Each has a worker of its own, so that none waits for another that its owner holds up; when
 * there are no more, faults are handled where they occur.
 */
#define MAX_WORKERS	256

static struct workqueue_struct *workqueue;
static atomic_t workers = ATOMIC_INIT(0);
/* All vcpus' lists, and whom a fault belongs to. */
static DEFINE_SPINLOCK(async_pf_lock);

/* Two hold one: the vcpu, for as long as it is in its lists, and the worker. */
static void put(struct kvm_async_pf *apf)
{
	if (!refcount_dec_and_test(&apf->refs))
		return;
	mmdrop(apf->mm);
	kfree(apf);
}

static void worker_done(struct kvm_async_pf *apf)
{
	atomic_dec(&workers);
	put(apf);
}

static void fetch(struct kvm_async_pf *apf)
{
	unsigned int flags = apf->write ? FOLL_WRITE : 0;
	int locked = 1;

	if (!mmget_not_zero(apf->mm))
		return;
	mmap_read_lock(apf->mm);
	/* Should it fail, so will the fault that comes again. */
	get_user_pages_remote(apf->mm, apf->hva, 1, flags, NULL, &locked);
	if (locked)
		mmap_read_unlock(apf->mm);
	mmput(apf->mm);
}

static void work(struct work_struct *w)
{
	struct kvm_async_pf *apf = container_of(w, struct kvm_async_pf, work);
	struct kvm_vcpu *vcpu;

	fetch(apf);
	trace_kvm_async_pf_completed(apf->hva, gfn_to_gpa(apf->gfn));

	spin_lock(&async_pf_lock);
	vcpu = apf->vcpu;
	if (vcpu) {
		list_move_tail(&apf->link, &vcpu->async_pf.done);
		kvm_request(vcpu, KVM_REQ_ASYNC_PF);
		kvm_vcpu_kick(vcpu);
	}
	spin_unlock(&async_pf_lock);
	worker_done(apf);
}

struct kvm_async_pf *kvm_async_pf_start(struct kvm_vcpu *vcpu, gfn_t gfn, hva_t hva, bool write,
					u32 token)
{
	struct kvm_async_pf *apf;

	if (vcpu->async_pf.nr >= MAX_PER_VCPU)
		return NULL;
	if (atomic_inc_return(&workers) > MAX_WORKERS)
		goto err_workers;
	/* Memory may be short, which is why the page is not there. */
	apf = kzalloc(sizeof(*apf), GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT);
	if (!apf)
		goto err_workers;

	INIT_WORK(&apf->work, work);
	refcount_set(&apf->refs, 2);
	mmgrab(vcpu->kvm->mm);
	apf->mm = vcpu->kvm->mm;
	apf->vcpu = vcpu;
	apf->gfn = gfn;
	apf->hva = hva;
	apf->write = write;
	apf->token = token;
	vcpu->async_pf.nr++;
	spin_lock(&async_pf_lock);
	list_add_tail(&apf->link, &vcpu->async_pf.pending);
	spin_unlock(&async_pf_lock);
	queue_work(workqueue, &apf->work);
	return apf;

err_workers:
	atomic_dec(&workers);
	return NULL;
}
EXPORT_SYMBOL_GPL(kvm_async_pf_start);

bool kvm_async_pf_pending(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvm_async_pf *apf;
	bool found = false;

	if (!vcpu->async_pf.nr)
		return false;
	spin_lock(&async_pf_lock);
	list_for_each_entry(apf, &vcpu->async_pf.pending, link)
		found |= apf->gfn == gfn;
	spin_unlock(&async_pf_lock);
	return found;
}
EXPORT_SYMBOL_GPL(kvm_async_pf_pending);

struct kvm_async_pf *kvm_async_pf_first_done(struct kvm_vcpu *vcpu)
{
	struct kvm_async_pf *apf;

	spin_lock(&async_pf_lock);
	apf = list_first_entry_or_null(&vcpu->async_pf.done, struct kvm_async_pf, link);
	spin_unlock(&async_pf_lock);
	return apf;
}
EXPORT_SYMBOL_GPL(kvm_async_pf_first_done);

void kvm_async_pf_retire(struct kvm_vcpu *vcpu, struct kvm_async_pf *apf)
{
	spin_lock(&async_pf_lock);
	list_del(&apf->link);
	spin_unlock(&async_pf_lock);
	vcpu->async_pf.nr--;
	put(apf);
}
EXPORT_SYMBOL_GPL(kvm_async_pf_retire);

void kvm_async_pf_forget(struct kvm_vcpu *vcpu)
{
	struct kvm_async_pf *apf, *next;
	LIST_HEAD(all);

	if (!vcpu->async_pf.nr)
		return;
	spin_lock(&async_pf_lock);
	list_splice_init(&vcpu->async_pf.pending, &all);
	list_splice_init(&vcpu->async_pf.done, &all);
	list_for_each_entry(apf, &all, link)
		apf->vcpu = NULL;
	spin_unlock(&async_pf_lock);

	vcpu->async_pf.nr = 0;
	/* No worker touches the list any more. */
	list_for_each_entry_safe(apf, next, &all, link) {
		if (cancel_work(&apf->work))
			worker_done(apf);
		put(apf);
	}
}
EXPORT_SYMBOL_GPL(kvm_async_pf_forget);

void kvm_async_pf_vcpu_init(struct kvm_vcpu *vcpu)
{
	INIT_LIST_HEAD(&vcpu->async_pf.pending);
	INIT_LIST_HEAD(&vcpu->async_pf.done);
}

int kvm_async_pf_module_init(void)
{
	/* The limit is one processor's: there are never more than that in all. */
	workqueue = alloc_workqueue("kvm-async-pf", 0, MAX_WORKERS);
	return workqueue ? 0 : -ENOMEM;
}

void kvm_async_pf_module_exit(void)
{
	destroy_workqueue(workqueue);
}
