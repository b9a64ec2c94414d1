/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the core's files offer to each other and to nobody else.
 */
#ifndef _VIRT_KVM_CORE_H
#define _VIRT_KVM_CORE_H

#include <linux/kvm_host.h>

/* vm.c */
int kvm_vm_create_fd(unsigned long type);
int kvm_check_extension(struct kvm *kvm, long ext);	/* main.c; @kvm NULL: system */
void kvm_vm_fops_set_owner(struct module *owner);

/* vcpu.c */
int kvm_vcpu_module_init(unsigned int vcpu_size, unsigned int vcpu_align, struct module *owner);
void kvm_vcpu_module_exit(void);
int kvm_vcpu_create_fd(struct kvm *kvm, unsigned long id);	/* a new vcpu's file descriptor or -errno */
void kvm_vcpus_destroy(struct kvm *kvm);

/* cpu.c */
int kvm_cpu_module_init(void);
void kvm_cpu_module_exit(void);

/* host_work.c */
int kvm_host_work_init(void);
void kvm_host_work_exit(void);

/* dirty_ring.c */
int kvm_dirty_ring_enable(struct kvm *kvm, u64 bytes);		/* KVM_CAP_DIRTY_LOG_RING */
int kvm_dirty_ring_create(struct kvm_vcpu *vcpu);
void kvm_dirty_ring_destroy(struct kvm_vcpu *vcpu);
bool kvm_dirty_ring_full(struct kvm_vcpu *vcpu);
int kvm_vm_reset_dirty_rings(struct kvm *kvm);			/* KVM_RESET_DIRTY_RINGS */
/* The page of the ring at @pgoff of the vcpu's mapping, or NULL; is one of it in a range? */
struct page *kvm_dirty_ring_page(struct kvm_vcpu *vcpu, pgoff_t pgoff);
bool kvm_dirty_ring_maps(struct kvm_vcpu *vcpu, pgoff_t first, unsigned long npages);

/* ioeventfd.c */
int kvm_ioeventfd_set(struct kvm *kvm, const struct kvm_ioeventfd *args);	/* KVM_IOEVENTFD */
void kvm_ioeventfds_destroy(struct kvm *kvm);

/* irq_routing.c */
void kvm_irq_routing_destroy(struct kvm *kvm);

/* irq_bypass.c */
struct kvm_irq_bypass {
	struct irq_bypass_consumer consumer;
	bool registered;
	struct kvm *kvm;
	u32 gsi;
	int host_irq;			/* while on kvm->bypasses */
	struct list_head list;
};

void kvm_irq_bypass_register(struct kvm_irq_bypass *bypass, struct kvm *kvm, u32 gsi, void *token);
void kvm_irq_bypass_unregister(struct kvm_irq_bypass *bypass);

/* irqfd.c */
int kvm_irqfd_module_init(void);
void kvm_irqfd_module_exit(void);
int kvm_irqfd_set(struct kvm *kvm, const struct kvm_irqfd *args);	/* KVM_IRQFD */
void kvm_irqfds_release(struct kvm *kvm);

/* device.c; create() is called under kvm->lock, destroy() without it, when nobody has it any more */
struct kvm_device {
	const struct kvm_device_ops *ops;
	struct kvm *kvm;
	void *private;
	struct list_head list;		/* kvm->devices */
};

struct kvm_device_ops {
	const char *name;
	int (*create)(struct kvm_device *dev);
	void (*destroy)(struct kvm_device *dev);
	int (*set_attr)(struct kvm_device *dev, const struct kvm_device_attr *attr);
	int (*get_attr)(struct kvm_device *dev, const struct kvm_device_attr *attr);
	int (*has_attr)(struct kvm_device *dev, const struct kvm_device_attr *attr);
};

int kvm_device_create(struct kvm *kvm, struct kvm_create_device *args);	/* KVM_CREATE_DEVICE */
void kvm_device_fops_set_owner(struct module *owner);

/* guest_memfd.c */
int kvm_guest_memfd_create(const struct kvm_create_guest_memfd *args);	/* a descriptor or -errno */
void kvm_guest_memfd_fops_set_owner(struct module *owner);

/* vfio.c */
extern const struct kvm_device_ops kvm_vfio_ops;

/* async_pf.c */
int kvm_async_pf_module_init(void);
void kvm_async_pf_module_exit(void);
void kvm_async_pf_vcpu_init(struct kvm_vcpu *vcpu);

/* halt.c */
unsigned int kvm_vm_max_halt_poll_ns(struct kvm *kvm);

/* stats.c */
void kvm_stats_fops_set_owner(struct module *owner);
void kvm_debugfs_init(void);
void kvm_debugfs_exit(void);
void kvm_vm_debugfs_create(struct kvm *kvm, int fd);
void kvm_vm_debugfs_remove(struct kvm *kvm);
int kvm_vm_stats_fd(struct kvm *kvm);
int kvm_vcpu_stats_fd(struct kvm_vcpu *vcpu);
void kvm_vcpu_debugfs_create(struct kvm_vcpu *vcpu);

#endif
