// SPDX-License-Identifier: GPL-2.0
/*
 * A virtual processor as userspace holds it: creation, the shared pages, loading onto a host
 * processor and off it with the scheduler, KVM_RUN's generic part, kicks and requests from
 * others. What happens inside KVM_RUN is the architecture's. KVM API document, sections 4.7,
 * 4.10 and 5.
 *
 * Entering and kicking agree through vcpu->mode and vcpu->requests: the vcpu writes ENTERING and
 * then reads requests, a requester writes the request and then reads the mode, with full barriers
 * between. So either the vcpu sees the request or the requester sees that it has to send an IPI.
 */
#include <linux/anon_inodes.h>
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched/stat.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>

#include "core.h"
#include <trace/events/ipi.h>
#include <trace/events/kvm.h>

static struct kmem_cache *vcpu_cache;
static DEFINE_PER_CPU(struct kvm_vcpu *, running_vcpu);
static DEFINE_PER_CPU(cpumask_var_t, kick_mask);

/* ---- loading ---------------------------------------------------------------------------------- */

struct kvm_vcpu *kvm_running_vcpu(void)
{
	return this_cpu_read(running_vcpu);
}
EXPORT_SYMBOL_GPL(kvm_running_vcpu);

static void load_here(struct kvm_vcpu *vcpu)
{
	int cpu = smp_processor_id();

	/* Should it fail, the entry itself fails and is reported to userspace. */
	kvm_cpu_enable_here();
	__this_cpu_write(running_vcpu, vcpu);
	kvm_arch_vcpu_load(vcpu, cpu);
	vcpu->cpu = cpu;
}

static void put_here(struct kvm_vcpu *vcpu)
{
	kvm_arch_vcpu_put(vcpu);
	__this_cpu_write(running_vcpu, NULL);
}

void kvm_vcpu_load(struct kvm_vcpu *vcpu)
{
	preempt_disable();
	preempt_notifier_register(&vcpu->preempt_notifier);
	load_here(vcpu);
	preempt_enable();
}

void kvm_vcpu_put(struct kvm_vcpu *vcpu)
{
	preempt_disable();
	put_here(vcpu);
	preempt_notifier_unregister(&vcpu->preempt_notifier);
	preempt_enable();
}

static void notify_sched_in(struct preempt_notifier *pn, int cpu)
{
	struct kvm_vcpu *vcpu = container_of(pn, struct kvm_vcpu, preempt_notifier);

	WRITE_ONCE(vcpu->preempted, false);
	WRITE_ONCE(vcpu->ready, false);
	load_here(vcpu);
	WRITE_ONCE(vcpu->scheduled_out, false);
}

static void notify_sched_out(struct preempt_notifier *pn, struct task_struct *next)
{
	struct kvm_vcpu *vcpu = container_of(pn, struct kvm_vcpu, preempt_notifier);

	WRITE_ONCE(vcpu->scheduled_out, true);
	if (task_is_runnable(current) && vcpu->wants_to_run) {
		WRITE_ONCE(vcpu->preempted_in_kernel, kvm_arch_vcpu_in_kernel(vcpu));
		WRITE_ONCE(vcpu->preempted, true);
		WRITE_ONCE(vcpu->ready, true);
	}
	put_here(vcpu);
}

static struct preempt_ops vcpu_preempt_ops = {
	.sched_in = notify_sched_in,
	.sched_out = notify_sched_out,
};

/* ---- kicks and requests ------------------------------------------------------------------------- */

bool kvm_vcpu_wake(struct kvm_vcpu *vcpu)
{
	if (!rcuwait_wake_up(&vcpu->wait))
		return false;
	WRITE_ONCE(vcpu->ready, true);
	vcpu->stat.generic.halt_wakeup++;
	return true;
}
EXPORT_SYMBOL_GPL(kvm_vcpu_wake);

/* After the caller's write to vcpu->requests: must an IPI make the vcpu see it? */
static bool mark_exiting(struct kvm_vcpu *vcpu)
{
	smp_mb__before_atomic();
	return cmpxchg(&vcpu->mode, KVM_VCPU_ENTERING, KVM_VCPU_EXITING) == KVM_VCPU_ENTERING;
}

void kvm_vcpu_kick(struct kvm_vcpu *vcpu)
{
	int me, cpu;

	if (kvm_vcpu_wake(vcpu))
		return;

	me = get_cpu();
	/* On its own processor it is this context's own doing: it will look before it enters. */
	if (vcpu == __this_cpu_read(running_vcpu)) {
		if (READ_ONCE(vcpu->mode) == KVM_VCPU_ENTERING)
			WRITE_ONCE(vcpu->mode, KVM_VCPU_EXITING);
	} else if (mark_exiting(vcpu)) {
		cpu = READ_ONCE(vcpu->cpu);
		if (cpu != me && (unsigned int)cpu < nr_cpu_ids && cpu_online(cpu))
			smp_send_reschedule(cpu);
	}
	put_cpu();
}
EXPORT_SYMBOL_GPL(kvm_vcpu_kick);

bool kvm_vcpu_yield_to(struct kvm_vcpu *target)
{
	struct task_struct *task;
	int r;

	read_lock(&target->pid_lock);
	task = get_pid_task(target->pid, PIDTYPE_PID);
	read_unlock(&target->pid_lock);
	if (!task)
		return false;
	r = yield_to(task, true);
	put_task_struct(task);
	return r > 0;
}
EXPORT_SYMBOL_GPL(kvm_vcpu_yield_to);

/* The interrupt itself took the vcpu out of the guest. */
static void acknowledge_kick(void *unused)
{
}

bool kvm_request_all(struct kvm *kvm, unsigned int req)
{
	struct cpumask *mask;
	struct kvm_vcpu *vcpu;
	bool sent;
	int i, cpu;

	preempt_disable();
	mask = this_cpu_cpumask_var_ptr(kick_mask);
	cpumask_clear(mask);
	kvm_for_each_vcpu(i, vcpu, kvm) {
		kvm_request(vcpu, req);
		if (mark_exiting(vcpu)) {
			cpu = READ_ONCE(vcpu->cpu);
			if (cpu >= 0)
				__cpumask_set_cpu(cpu, mask);
		} else if (READ_ONCE(vcpu->mode) == KVM_VCPU_EXITING) {
			/* Kicked by somebody else, perhaps not out yet: wait for it as well. */
			cpu = READ_ONCE(vcpu->cpu);
			if (cpu >= 0)
				__cpumask_set_cpu(cpu, mask);
		}
		kvm_vcpu_wake(vcpu);
	}
	__cpumask_clear_cpu(smp_processor_id(), mask);
	sent = !cpumask_empty(mask);
	if (sent)
		smp_call_function_many(mask, acknowledge_kick, NULL, true);
	preempt_enable();
	return sent;
}
EXPORT_SYMBOL_GPL(kvm_request_all);

void kvm_flush_remote_tlbs(struct kvm *kvm)
{
	kvm->stat.generic.remote_tlb_flush_requests++;
	if (kvm_request_all(kvm, KVM_REQ_TLB_FLUSH))
		kvm->stat.generic.remote_tlb_flush++;
}
EXPORT_SYMBOL_GPL(kvm_flush_remote_tlbs);

/* ---- the file ------------------------------------------------------------------------------------- */

struct kvm_vcpu *kvm_vcpu_by_id(struct kvm *kvm, int id)
{
	struct kvm_vcpu *vcpu;
	int i;

	/* Most VMMs number vcpus in the order of their creation. */
	vcpu = kvm_get_vcpu(kvm, id);
	if (vcpu && vcpu->vcpu_id == id)
		return vcpu;
	kvm_for_each_vcpu(i, vcpu, kvm)
		if (vcpu->vcpu_id == id)
			return vcpu;
	return NULL;
}
EXPORT_SYMBOL_GPL(kvm_vcpu_by_id);

static vm_fault_t vcpu_mmap_fault(struct vm_fault *vmf)
{
	struct kvm_vcpu *vcpu = vmf->vma->vm_file->private_data;
	struct page *page;

	if (vmf->pgoff == 0)
		page = virt_to_page(vcpu->run);
	else if (vmf->pgoff == KVM_COALESCED_MMIO_PAGE_OFFSET)
		page = kvm_coalesced_ring_page(vcpu->kvm);
	else if (vmf->pgoff >= KVM_DIRTY_LOG_PAGE_OFFSET && vcpu->dirty_ring)
		page = kvm_dirty_ring_page(vcpu, vmf->pgoff);
	else
		page = kvm_arch_vcpu_page(vcpu, vmf->pgoff);
	if (!page)
		return VM_FAULT_SIGBUS;
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct vcpu_vm_ops = {
	.fault = vcpu_mmap_fault,
};

static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct kvm_vcpu *vcpu = file->private_data;

	/* A private copy of the ring would not be one. */
	if ((!(vma->vm_flags & VM_SHARED) || (vma->vm_flags & VM_EXEC)) &&
	    kvm_dirty_ring_maps(vcpu, vma->vm_pgoff, vma_pages(vma)))
		return -EINVAL;
	vma->vm_ops = &vcpu_vm_ops;
	return 0;
}

static int vcpu_release(struct inode *inode, struct file *file)
{
	struct kvm_vcpu *vcpu = file->private_data;

	kvm_put(vcpu->kvm);
	return 0;
}

/* Remember which thread runs it, for those who want to boost it. */
static void note_thread(struct kvm_vcpu *vcpu)
{
	struct pid *old, *new = task_pid(current);

	if (likely(vcpu->pid == new))
		return;
	get_pid(new);
	write_lock(&vcpu->pid_lock);
	old = vcpu->pid;
	vcpu->pid = new;
	write_unlock(&vcpu->pid_lock);
	put_pid(old);
}

/*
 * The mask of KVM_SET_SIGNAL_MASK, for as long as the call runs. What it replaces is in real_blocked,
 * as sigtimedwait() has it: a signal that is blocked outside of the call only ends the call, even
 * if nobody handles it and its default is to end the process. Nobody but this thread writes there.
 */
static void mask_signals(struct kvm_vcpu *vcpu)
{
	sigprocmask(SIG_SETMASK, &vcpu->sigset, &current->real_blocked);
}

static void unmask_signals(void)
{
	sigprocmask(SIG_SETMASK, &current->real_blocked, NULL);
	sigemptyset(&current->real_blocked);
}

static int vcpu_run(struct kvm_vcpu *vcpu)
{
	int r;

	note_thread(vcpu);
	vcpu->wants_to_run = !READ_ONCE(vcpu->run->immediate_exit);
	if (vcpu->sigset_active)
		mask_signals(vcpu);
	r = kvm_arch_vcpu_run(vcpu);
	if (vcpu->sigset_active)
		unmask_signals();
	vcpu->wants_to_run = false;
	trace_kvm_userspace_exit(vcpu->run->exit_reason, r);
	return r;
}

/* The sets of 32-bit and of 64-bit processes are of one size, but not made of the same words. */
static int copy_sigset(sigset_t *set, const void __user *uset)
{
	BUILD_BUG_ON(sizeof(compat_sigset_t) != sizeof(sigset_t));
	if (in_compat_syscall())
		return get_compat_sigset(set, uset);
	return copy_from_user(set, uset, sizeof(*set)) ? -EFAULT : 0;
}

static long vcpu_set_signal_mask(struct kvm_vcpu *vcpu, void __user *argp)
{
	struct kvm_signal_mask __user *umask = argp;
	sigset_t sigset;
	u32 len;

	if (!argp) {
		vcpu->sigset_active = false;
		return 0;
	}
	if (get_user(len, &umask->len))
		return -EFAULT;
	if (len != sizeof(sigset))
		return -EINVAL;
	if (copy_sigset(&sigset, umask->sigset))
		return -EFAULT;
	sigdelsetmask(&sigset, sigmask(SIGKILL) | sigmask(SIGSTOP));
	vcpu->sigset = sigset;
	vcpu->sigset_active = true;
	return 0;
}

static long vcpu_pre_fault(struct kvm_vcpu *vcpu, void __user *argp)
{
	struct kvm_pre_fault_memory range;
	u64 size;
	s64 r;

	if (copy_from_user(&range, argp, sizeof(range)))
		return -EFAULT;
	if (range.flags || !PAGE_ALIGNED(range.gpa | range.size) ||
	    range.gpa + range.size <= range.gpa)
		return -EINVAL;
	size = range.size;
	do {
		r = signal_pending(current) ? -EINTR : kvm_arch_vcpu_pre_fault(vcpu, range.gpa);
		/* Changes of slots are not to wait for all of a large range. */
		kvm_srcu_unlock(vcpu);
		if (r < 0)
			break;
		r = min_t(u64, r, range.size);
		range.gpa += r;
		range.size -= r;
		cond_resched();
	} while (range.size);
	if (copy_to_user(argp, &range, sizeof(range)))
		return -EFAULT;
	/* What stands against the rest is told when nothing else is to be told. */
	return range.size == size ? r : 0;
}

static long vcpu_locked_ioctl(struct kvm_vcpu *vcpu, unsigned int ioctl, unsigned long arg)
{
	long r;

	switch (ioctl) {
	case KVM_RUN:
		if (arg)
			return -EINVAL;
		kvm_vcpu_load(vcpu);
		r = vcpu_run(vcpu);
		break;
	case KVM_PRE_FAULT_MEMORY:
		kvm_vcpu_load(vcpu);
		r = vcpu_pre_fault(vcpu, (void __user *)arg);
		break;
	case KVM_SET_SIGNAL_MASK:
		return vcpu_set_signal_mask(vcpu, (void __user *)arg);
	case KVM_GET_STATS_FD:
		return kvm_vcpu_stats_fd(vcpu);
	default:
		kvm_vcpu_load(vcpu);
		kvm_srcu_lock(vcpu);
		r = kvm_arch_vcpu_ioctl(vcpu, ioctl, arg);
	}
	kvm_srcu_unlock(vcpu);
	kvm_vcpu_put(vcpu);
	return r;
}

static long vcpu_ioctl(struct file *file, unsigned int ioctl, unsigned long arg)
{
	struct kvm_vcpu *vcpu = file->private_data;
	long r;

	if (vcpu->kvm->mm != current->mm || READ_ONCE(vcpu->kvm->vm_dead))
		return -EIO;
	if (_IOC_TYPE(ioctl) != KVMIO)
		return -EINVAL;
	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	r = vcpu_locked_ioctl(vcpu, ioctl, arg);
	mutex_unlock(&vcpu->mutex);
	return r;
}

static struct file_operations vcpu_fops = {
	.release = vcpu_release,
	.unlocked_ioctl = vcpu_ioctl,
	.compat_ioctl = vcpu_ioctl,
	.mmap = vcpu_mmap,
	.llseek = noop_llseek,
};

/* ---- creation and end ------------------------------------------------------------------------------- */

static struct kvm_vcpu *vcpu_alloc(struct kvm *kvm, int id)
{
	struct kvm_vcpu *vcpu;
	struct page *page;

	vcpu = kmem_cache_zalloc(vcpu_cache, GFP_KERNEL_ACCOUNT);
	if (!vcpu)
		return NULL;
	page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!page) {
		kmem_cache_free(vcpu_cache, vcpu);
		return NULL;
	}
	vcpu->run = page_address(page);
	vcpu->kvm = kvm;
	vcpu->vcpu_id = id;
	vcpu->cpu = -1;
	mutex_init(&vcpu->mutex);
	rwlock_init(&vcpu->pid_lock);
	rcuwait_init(&vcpu->wait);
	kvm_async_pf_vcpu_init(vcpu);
	preempt_notifier_init(&vcpu->preempt_notifier, &vcpu_preempt_ops);
	snprintf(vcpu->stats_id, sizeof(vcpu->stats_id), "kvm-%d/vcpu-%d", task_pid_nr(current), id);
	return vcpu;
}

static void vcpu_free(struct kvm_vcpu *vcpu)
{
	put_pid(vcpu->pid);
	kvm_dirty_ring_destroy(vcpu);
	free_page((unsigned long)vcpu->run);
	kmem_cache_free(vcpu_cache, vcpu);
}

/* kvm->lock held. The vcpu is complete but for its place in the array. */
static int vcpu_publish(struct kvm_vcpu *vcpu)
{
	struct kvm *kvm = vcpu->kvm;
	char name[8 + 10 + 1];
	int r, fd;
	struct file *file;

	vcpu->vcpu_idx = atomic_read(&kvm->online_vcpus);
	r = xa_insert(&kvm->vcpu_array, vcpu->vcpu_idx, vcpu, GFP_KERNEL_ACCOUNT);
	if (r)
		return r;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		r = fd;
		goto err_array;
	}
	snprintf(name, sizeof(name), "kvm-vcpu:%d", vcpu->vcpu_id);
	kvm_get(kvm);
	file = anon_inode_getfile(name, &vcpu_fops, vcpu, O_RDWR);
	if (IS_ERR(file)) {
		r = PTR_ERR(file);
		goto err_fd;
	}

	/* Readers see the count only after the array holds the vcpu. */
	smp_wmb();
	atomic_inc(&kvm->online_vcpus);
	kvm_arch_vcpu_postcreate(vcpu);
	kvm_vcpu_debugfs_create(vcpu);
	fd_install(fd, file);
	return fd;

err_fd:
	refcount_dec(&kvm->users);	/* never the last: the caller's file has one */
	put_unused_fd(fd);
err_array:
	xa_erase(&kvm->vcpu_array, vcpu->vcpu_idx);
	return r;
}

int kvm_vcpu_create_fd(struct kvm *kvm, unsigned long id)
{
	struct kvm_vcpu *vcpu;
	int r;

	if (id >= KVM_MAX_VCPU_IDS)
		return -EINVAL;

	mutex_lock(&kvm->lock);
	r = -EINVAL;
	if (atomic_read(&kvm->online_vcpus) >= KVM_MAX_VCPUS)
		goto out;
	r = -EEXIST;
	if (kvm_vcpu_by_id(kvm, id))
		goto out;
	r = kvm_arch_vcpu_precreate(kvm, id);
	if (r)
		goto out;
	r = -ENOMEM;
	vcpu = vcpu_alloc(kvm, id);
	if (!vcpu)
		goto out;
	kvm->created_vcpus++;
	r = kvm_dirty_ring_create(vcpu);
	if (r)
		goto err_free;
	r = kvm_arch_vcpu_create(vcpu);
	if (r)
		goto err_free;
	r = vcpu_publish(vcpu);
	if (r >= 0)
		goto out;
	kvm_arch_vcpu_destroy(vcpu);
err_free:
	kvm->created_vcpus--;
	vcpu_free(vcpu);
out:
	mutex_unlock(&kvm->lock);
	return r;
}

void kvm_vcpus_destroy(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	int i;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		kvm_async_pf_forget(vcpu);
		kvm_arch_vcpu_destroy(vcpu);
		vcpu_free(vcpu);
	}
	atomic_set(&kvm->online_vcpus, 0);
	xa_destroy(&kvm->vcpu_array);
}

static void free_kick_masks(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		free_cpumask_var(per_cpu(kick_mask, cpu));
}

int kvm_vcpu_module_init(unsigned int vcpu_size, unsigned int vcpu_align, struct module *owner)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		if (!zalloc_cpumask_var_node(&per_cpu(kick_mask, cpu), GFP_KERNEL,
					     cpu_to_node(cpu)))
			goto err_masks;
	}
	vcpu_cache = kmem_cache_create("kvm_vcpu", vcpu_size,
				       vcpu_align ?: __alignof__(struct kvm_vcpu),
				       SLAB_ACCOUNT, NULL);
	if (!vcpu_cache)
		goto err_masks;
	vcpu_fops.owner = owner;
	return 0;

err_masks:
	free_kick_masks();
	return -ENOMEM;
}

void kvm_vcpu_module_exit(void)
{
	kmem_cache_destroy(vcpu_cache);
	free_kick_masks();
}
