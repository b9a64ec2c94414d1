/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef __LINUX_KVM_H
#define __LINUX_KVM_H

/*
 * The contract of /dev/kvm, version 12, as userspace sees it: every request, capability, exit
 * and structure that does not depend on the processor. What does is in <asm/kvm.h>.
 *
 * The parts, in this order:
 *
 *	system		what /dev/kvm itself answers
 *	capabilities	what a kernel can do, first everyone's and x86's, then other processors'
 *	VM		its types and its own requests
 *	memory		slots, dirty pages, attributes, guest_memfd, encryption, coalesced writes
 *	vcpu		registers, state, debugging
 *	run page	why KVM_RUN came back
 *	interrupts	lines, controllers, routes, timer, MSI
 *	eventfds	ioeventfd and irqfd
 *	clock		guest time
 *	devices		objects made by KVM_CREATE_DEVICE
 *	statistics	the stats file
 *	Hyper-V, Xen	enlightenments of other hypervisors' guests
 *	elsewhere	requests that only another processor's kernel answers
 *
 * "in" is written by userspace and read by the kernel, "out" the other way round. Addresses and
 * sizes are bytes unless an item says otherwise. Pads and reserved words are to be zero.
 */

#include <linux/const.h>
#include <linux/types.h>
#include <linux/stddef.h>
#include <linux/ioctl.h>
#include <asm/kvm.h>

/* A pointer into the caller's address space: only the kernel has a notation for it. */
#ifdef __KERNEL__
#include <linux/compiler.h>
#define __kvm_user	__user
#else
#define __kvm_user
#endif

/* ======================================== system ======================================== */

/* The only answer of KVM_GET_API_VERSION that a program should go on with. */
#define KVM_API_VERSION		12

/* The type byte of every request. */
#define KVMIO			0xAE

#define KVM_GET_API_VERSION	_IO(KVMIO, 0x00)	/* returns KVM_API_VERSION */
#define KVM_CREATE_VM		_IO(KVMIO, 0x01)	/* in: VM type; returns its descriptor */
#define KVM_CHECK_EXTENSION	_IO(KVMIO, 0x03)	/* in: KVM_CAP_*; returns 0, 1, a limit */
#define KVM_GET_VCPU_MMAP_SIZE	_IO(KVMIO, 0x04)	/* returns the bytes to map of a vcpu */

/* The MSRs a VM's state consists of, and those that describe the processor. */
#define KVM_GET_MSR_INDEX_LIST		_IOWR(KVMIO, 0x02, struct kvm_msr_list)
#define KVM_GET_MSR_FEATURE_INDEX_LIST	_IOWR(KVMIO, 0x0a, struct kvm_msr_list)

/* The CPUID leaves that run natively, only with emulation, or as Hyper-V's. */
#define KVM_GET_SUPPORTED_CPUID		_IOWR(KVMIO, 0x05, struct kvm_cpuid2)
#define KVM_GET_EMULATED_CPUID		_IOWR(KVMIO, 0x09, struct kvm_cpuid2)
#define KVM_GET_SUPPORTED_HV_CPUID	_IOWR(KVMIO, 0xc1, struct kvm_cpuid2) /* vcpu too */

/* The machine-check banks and features a vcpu can be given. */
#define KVM_X86_GET_MCE_CAP_SUPPORTED	_IOR(KVMIO, 0x9d, __u64)

/* ===================================== capabilities ===================================== */

/* Everyone's and x86's. Where a number is returned instead of 1, the comment names it. */
#define KVM_CAP_IRQCHIP				0	/* interrupt controllers in the kernel */
#define KVM_CAP_HLT				1	/* halts can leave to userspace */
#define KVM_CAP_MMU_SHADOW_CACHE_CONTROL	2	/* KVM_SET_NR_MMU_PAGES */
#define KVM_CAP_USER_MEMORY			3	/* slots backed by user addresses */
#define KVM_CAP_SET_TSS_ADDR			4	/* KVM_SET_TSS_ADDR */
#define KVM_CAP_VAPIC				6	/* TPR reporting and shadow */
#define KVM_CAP_EXT_CPUID			7	/* KVM_SET_CPUID2 and its kin */
#define KVM_CAP_CLOCKSOURCE			8	/* kvmclock MSRs */
#define KVM_CAP_NR_VCPUS			9	/* the advisable number of vcpus */
#define KVM_CAP_NR_MEMSLOTS			10	/* the number of slots */
#define KVM_CAP_PIT				11	/* KVM_CREATE_PIT */
#define KVM_CAP_NOP_IO_DELAY			12	/* writes to port 0x80 may be left out */
#define KVM_CAP_PV_MMU				13	/* paravirtual page tables, gone */
#define KVM_CAP_MP_STATE			14	/* KVM_GET/SET_MP_STATE */
#define KVM_CAP_COALESCED_MMIO			15	/* the ring's page in the vcpu mapping */
#define KVM_CAP_SYNC_MMU			16	/* slots follow the host's mappings */
#define KVM_CAP_IOMMU				18	/* device assignment of old, gone */
#define KVM_CAP_DESTROY_MEMORY_REGION_WORKS	21	/* a slot can be deleted */
#define KVM_CAP_USER_NMI			22	/* KVM_NMI */
#define KVM_CAP_SET_GUEST_DEBUG			23	/* KVM_SET_GUEST_DEBUG */
#define KVM_CAP_REINJECT_CONTROL		24	/* KVM_REINJECT_CONTROL */
#define KVM_CAP_IRQ_ROUTING			25	/* number of routes */
#define KVM_CAP_IRQ_INJECT_STATUS		26	/* KVM_IRQ_LINE_STATUS */
#define KVM_CAP_ASSIGN_DEV_IRQ			29	/* device assignment of old, gone */
#define KVM_CAP_JOIN_MEMORY_REGIONS_WORKS	30	/* slots may be merged by delete + create */
#define KVM_CAP_MCE				31	/* number of machine-check banks */
#define KVM_CAP_IRQFD				32	/* KVM_IRQFD */
#define KVM_CAP_PIT2				33	/* KVM_CREATE_PIT2 */
#define KVM_CAP_SET_BOOT_CPU_ID			34	/* KVM_SET_BOOT_CPU_ID */
#define KVM_CAP_PIT_STATE2			35	/* KVM_GET/SET_PIT2 */
#define KVM_CAP_IOEVENTFD			36	/* KVM_IOEVENTFD */
#define KVM_CAP_SET_IDENTITY_MAP_ADDR		37	/* KVM_SET_IDENTITY_MAP_ADDR */
#define KVM_CAP_XEN_HVM				38	/* KVM_XEN_HVM_CONFIG_* bits */
#define KVM_CAP_ADJUST_CLOCK			39	/* KVM_CLOCK_* bits of KVM_GET_CLOCK */
#define KVM_CAP_INTERNAL_ERROR_DATA		40	/* kvm_run.internal.ndata is filled */
#define KVM_CAP_VCPU_EVENTS			41	/* KVM_GET/SET_VCPU_EVENTS */
#define KVM_CAP_HYPERV				44	/* Hyper-V identity MSRs */
#define KVM_CAP_HYPERV_VAPIC			45	/* Hyper-V APIC MSRs */
#define KVM_CAP_HYPERV_SPIN			46	/* Hyper-V spin notification */
#define KVM_CAP_PCI_SEGMENT			47	/* device assignment of old, gone */
#define KVM_CAP_INTR_SHADOW			49	/* interrupt.shadow of kvm_vcpu_events */
#define KVM_CAP_DEBUGREGS			50	/* KVM_GET/SET_DEBUGREGS */
#define KVM_CAP_X86_ROBUST_SINGLESTEP		51	/* stepping hides TF from the guest */
#define KVM_CAP_ENABLE_CAP			54	/* KVM_ENABLE_CAP on a vcpu */
#define KVM_CAP_XSAVE				55	/* KVM_GET/SET_XSAVE */
#define KVM_CAP_XCRS				56	/* KVM_GET/SET_XCRS */
#define KVM_CAP_ASYNC_PF			59	/* asynchronous page faults */
#define KVM_CAP_TSC_CONTROL			60	/* KVM_SET_TSC_KHZ on a vcpu */
#define KVM_CAP_GET_TSC_KHZ			61	/* KVM_GET_TSC_KHZ */
#define KVM_CAP_MAX_VCPUS			66	/* the most vcpus of a VM */
#define KVM_CAP_SW_TLB				69	/* TLB array shared with userspace */
#define KVM_CAP_ONE_REG				70	/* KVM_GET/SET_ONE_REG */
#define KVM_CAP_TSC_DEADLINE_TIMER		72	/* the APIC timer has this mode */
#define KVM_CAP_SYNC_REGS			74	/* KVM_SYNC_* bits kvm_run takes */
#define KVM_CAP_PCI_2_3				75	/* device assignment of old, gone */
#define KVM_CAP_KVMCLOCK_CTRL			76	/* KVM_KVMCLOCK_CTRL */
#define KVM_CAP_SIGNAL_MSI			77	/* KVM_SIGNAL_MSI */
#define KVM_CAP_READONLY_MEM			81	/* KVM_MEM_READONLY */
#define KVM_CAP_IRQFD_RESAMPLE			82	/* KVM_IRQFD_FLAG_RESAMPLE */
#define KVM_CAP_DEVICE_CTRL			89	/* KVM_CREATE_DEVICE */
#define KVM_CAP_EXT_EMUL_CPUID			95	/* KVM_GET_EMULATED_CPUID */
#define KVM_CAP_HYPERV_TIME			96	/* Hyper-V reference counter and TSC page */
#define KVM_CAP_IOAPIC_POLARITY_IGNORED		97	/* an IOAPIC pin's polarity means nothing */
#define KVM_CAP_ENABLE_CAP_VM			98	/* KVM_ENABLE_CAP on a VM */
#define KVM_CAP_IOEVENTFD_NO_LENGTH		100	/* an ioeventfd of length 0 */
#define KVM_CAP_VM_ATTRIBUTES			101	/* KVM_*_DEVICE_ATTR on a VM */
#define KVM_CAP_CHECK_EXTENSION_VM		105	/* KVM_CHECK_EXTENSION on a VM */
#define KVM_CAP_DISABLE_QUIRKS			116	/* enable: args[0] quirks off */
#define KVM_CAP_X86_SMM				117	/* KVM_SMI and its state */
#define KVM_CAP_MULTI_ADDRESS_SPACE		118	/* number of slot tables (SMM's is 1) */
#define KVM_CAP_GUEST_DEBUG_HW_BPS		119	/* number of hardware breakpoints */
#define KVM_CAP_GUEST_DEBUG_HW_WPS		120	/* number of hardware watchpoints */
#define KVM_CAP_SPLIT_IRQCHIP			121	/* enable: APICs only, args[0] routes */
#define KVM_CAP_IOEVENTFD_ANY_LENGTH		122	/* length 0 for any bus of ioeventfd */
#define KVM_CAP_HYPERV_SYNIC			123	/* enable: Hyper-V's interrupt controller */
#define KVM_CAP_VCPU_ATTRIBUTES			127	/* KVM_*_DEVICE_ATTR on a vcpu */
#define KVM_CAP_MAX_VCPU_ID			128	/* one above the highest vcpu number */
#define KVM_CAP_X2APIC_API			129	/* KVM_X2APIC_API_* bits; enable too */
#define KVM_CAP_MSI_DEVID			131	/* KVM_MSI_VALID_DEVID */
#define KVM_CAP_IMMEDIATE_EXIT			136	/* kvm_run.immediate_exit */
#define KVM_CAP_X86_DISABLE_EXITS		143	/* KVM_X86_DISABLE_EXITS_*; enable too */
#define KVM_CAP_HYPERV_SYNIC2			148	/* enable: the same, pages left alone */
#define KVM_CAP_HYPERV_VP_INDEX			149	/* the VP index MSR can be written */
#define KVM_CAP_GET_MSR_FEATURES		153	/* KVM_GET_MSRS on /dev/kvm */
#define KVM_CAP_HYPERV_EVENTFD			154	/* KVM_HYPERV_EVENTFD */
#define KVM_CAP_HYPERV_TLBFLUSH			155	/* Hyper-V flush hypercalls */
#define KVM_CAP_NESTED_STATE			157	/* most bytes of kvm_nested_state */
#define KVM_CAP_MSR_PLATFORM_INFO		159	/* enable: guest reads of PLATFORM_INFO */
#define KVM_CAP_HYPERV_SEND_IPI			161	/* Hyper-V IPI hypercalls */
#define KVM_CAP_COALESCED_PIO			162	/* coalesced zones of ports */
#define KVM_CAP_HYPERV_ENLIGHTENED_VMCS		163	/* enable: args[0] takes the version */
#define KVM_CAP_EXCEPTION_PAYLOAD		164	/* enable: payloads in kvm_vcpu_events */
#define KVM_CAP_MANUAL_DIRTY_LOG_PROTECT	166	/* superseded by 168 */
#define KVM_CAP_HYPERV_CPUID			167	/* KVM_GET_SUPPORTED_HV_CPUID, vcpu */
#define KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2	168	/* KVM_DIRTY_LOG_* bits; enable too */
#define KVM_CAP_PMU_EVENT_FILTER		173	/* KVM_SET_PMU_EVENT_FILTER */
#define KVM_CAP_HYPERV_DIRECT_TLBFLUSH		175	/* enable: L0 serves an L2's flushes */
#define KVM_CAP_HALT_POLL			182	/* enable: args[0] nanoseconds to poll */
#define KVM_CAP_ASYNC_PF_INT			183	/* "page ready" as an interrupt */
#define KVM_CAP_LAST_CPU			184	/* last processor in failed entries */
#define KVM_CAP_SMALLER_MAXPHYADDR		185	/* a guest with fewer address bits works */
#define KVM_CAP_STEAL_TIME			187	/* stolen time is told to the guest */
#define KVM_CAP_X86_USER_SPACE_MSR		188	/* enable: args[0] KVM_MSR_EXIT_REASON_* */
#define KVM_CAP_X86_MSR_FILTER			189	/* KVM_X86_SET_MSR_FILTER */
#define KVM_CAP_ENFORCE_PV_FEATURE_CPUID	190	/* enable: only features in CPUID work */
#define KVM_CAP_SYS_HYPERV_CPUID		191	/* KVM_GET_SUPPORTED_HV_CPUID, system */
#define KVM_CAP_DIRTY_LOG_RING			192	/* most bytes of a ring; enable sets them */
#define KVM_CAP_X86_BUS_LOCK_EXIT		193	/* KVM_BUS_LOCK_DETECTION_*; enable too */
#define KVM_CAP_SET_GUEST_DEBUG2		195	/* the KVM_GUESTDBG_* bits taken */
#define KVM_CAP_SGX_ATTRIBUTE			196	/* enable: args[0] a provisioning file */
#define KVM_CAP_VM_COPY_ENC_CONTEXT_FROM	197	/* enable: args[0] a VM to mirror */
#define KVM_CAP_PTP_KVM				198	/* paired host clock for the guest */
#define KVM_CAP_HYPERV_ENFORCE_CPUID		199	/* enable: only Hyper-V leaves in CPUID */
#define KVM_CAP_SREGS2				200	/* KVM_GET/SET_SREGS2 */
#define KVM_CAP_EXIT_HYPERCALL			201	/* bits of KVM_HC_*; enable: they exit */
#define KVM_CAP_BINARY_STATS_FD			203	/* KVM_GET_STATS_FD */
#define KVM_CAP_EXIT_ON_EMULATION_FAILURE	204	/* enable: never a #UD instead */
#define KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM	206	/* enable: args[0] a VM to take over */
#define KVM_CAP_VM_GPA_BITS			207	/* guest-physical address bits */
#define KVM_CAP_XSAVE2				208	/* bytes of kvm_xsave, 0 or >= 4096 */
#define KVM_CAP_SYS_ATTRIBUTES			209	/* KVM_GET/HAS_DEVICE_ATTR on /dev/kvm */
#define KVM_CAP_PMU_CAPABILITY			212	/* KVM_PMU_CAP_* bits; enable too */
#define KVM_CAP_DISABLE_QUIRKS2			213	/* KVM_X86_QUIRK_* bits; enable: off */
#define KVM_CAP_VM_TSC_CONTROL			214	/* KVM_SET_TSC_KHZ on a VM */
#define KVM_CAP_SYSTEM_EVENT_DATA		215	/* kvm_run.system_event.data */
#define KVM_CAP_X86_TRIPLE_FAULT_EVENT		218	/* enable: triple_fault in vcpu events */
#define KVM_CAP_X86_NOTIFY_VMEXIT		219	/* KVM_X86_NOTIFY_VMEXIT_*; enable too */
#define KVM_CAP_VM_DISABLE_NX_HUGE_PAGES	220	/* enable: executable huge pages */
#define KVM_CAP_DIRTY_LOG_RING_ACQ_REL		223	/* as 192, for weakly ordered processors */
#define KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP	225	/* enable: ring beside a bitmap */
#define KVM_CAP_PMU_EVENT_MASKED_EVENTS		226	/* KVM_PMU_EVENT_FLAG_* bits */
#define KVM_CAP_USER_MEMORY2			231	/* KVM_SET_USER_MEMORY_REGION2 */
#define KVM_CAP_MEMORY_FAULT_INFO		232	/* KVM_EXIT_MEMORY_FAULT */
#define KVM_CAP_MEMORY_ATTRIBUTES		233	/* KVM_MEMORY_ATTRIBUTE_* bits */
#define KVM_CAP_GUEST_MEMFD			234	/* KVM_CREATE_GUEST_MEMFD */
#define KVM_CAP_VM_TYPES			235	/* bit n: VM type n */
#define KVM_CAP_PRE_FAULT_MEMORY		236	/* KVM_PRE_FAULT_MEMORY */
#define KVM_CAP_X86_APIC_BUS_CYCLES_NS		237	/* enable: args[0] ns of a bus cycle */
#define KVM_CAP_X86_GUEST_MODE			238	/* KVM_RUN_X86_GUEST_MODE is told */

/* ARM's. */
#define KVM_CAP_ARM_PSCI			87	/* firmware calls, version 0.1 */
#define KVM_CAP_ARM_SET_DEVICE_ADDR		88	/* KVM_ARM_SET_DEVICE_ADDR */
#define KVM_CAP_ARM_EL1_32BIT			93	/* 32-bit kernels */
#define KVM_CAP_ARM_PSCI_0_2			102	/* firmware calls, version 0.2 */
#define KVM_CAP_ARM_PMU_V3			126	/* performance counters */
#define KVM_CAP_ARM_USER_IRQ			144	/* in-kernel device lines in kvm_run */
#define KVM_CAP_ARM_INJECT_SERROR_ESR		158	/* a system error with its syndrome */
#define KVM_CAP_ARM_VM_IPA_SIZE			165	/* most physical address bits */
#define KVM_CAP_ARM_SVE				170	/* scalable vectors */
#define KVM_CAP_ARM_PTRAUTH_ADDRESS		171	/* address authentication */
#define KVM_CAP_ARM_PTRAUTH_GENERIC		172	/* generic authentication */
#define KVM_CAP_ARM_IRQ_LINE_LAYOUT_2		174	/* vcpu numbers above 255 in KVM_IRQ_LINE */
#define KVM_CAP_ARM_NISV_TO_USER		177	/* undecoded aborts go to userspace */
#define KVM_CAP_ARM_INJECT_EXT_DABT		178	/* external data abort in vcpu events */
#define KVM_CAP_ARM_MTE				205	/* memory tags */
#define KVM_CAP_ARM_SYSTEM_SUSPEND		216	/* suspend goes to userspace */
#define KVM_CAP_COUNTER_OFFSET			227	/* KVM_ARM_SET_COUNTER_OFFSET */
#define KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE	228	/* bytes split at once */
#define KVM_CAP_ARM_SUPPORTED_BLOCK_SIZES	229	/* bits of block sizes */
#define KVM_CAP_ARM_SUPPORTED_REG_MASK_RANGES	230	/* KVM_ARM_GET_REG_WRITABLE_MASKS */

/* MIPS's. */
#define KVM_CAP_MIPS_FPU			111	/* floating point unit */
#define KVM_CAP_MIPS_MSA			112	/* vector unit */
#define KVM_CAP_MIPS_VZ				137	/* hardware virtualization */
#define KVM_CAP_MIPS_TE				138	/* trap and emulate */
#define KVM_CAP_MIPS_64BIT			139	/* width of addresses */

/* PowerPC's. */
#define KVM_CAP_PPC_SEGSTATE			43	/* segment registers in sregs */
#define KVM_CAP_PPC_PAIRED_SINGLES		48	/* paired single floating point */
#define KVM_CAP_PPC_OSI				52	/* KVM_EXIT_OSI */
#define KVM_CAP_PPC_UNSET_IRQ			53	/* KVM_INTERRUPT can lower the line */
#define KVM_CAP_PPC_GET_PVINFO			57	/* KVM_PPC_GET_PVINFO */
#define KVM_CAP_PPC_IRQ_LEVEL			58	/* level-triggered KVM_INTERRUPT */
#define KVM_CAP_PPC_BOOKE_SREGS			62	/* Book E special registers */
#define KVM_CAP_SPAPR_TCE			63	/* KVM_CREATE_SPAPR_TCE */
#define KVM_CAP_PPC_SMT				64	/* threads of a core */
#define KVM_CAP_PPC_RMA				65	/* KVM_ALLOCATE_RMA */
#define KVM_CAP_PPC_HIOR			67	/* hypervisor real mode offset */
#define KVM_CAP_PPC_PAPR			68	/* PAPR guests */
#define KVM_CAP_PPC_GET_SMMU_INFO		78	/* KVM_PPC_GET_SMMU_INFO */
#define KVM_CAP_PPC_ALLOC_HTAB			80	/* KVM_PPC_ALLOCATE_HTAB */
#define KVM_CAP_PPC_BOOKE_WATCHDOG		83	/* Book E watchdog */
#define KVM_CAP_PPC_HTAB_FD			84	/* KVM_PPC_GET_HTAB_FD */
#define KVM_CAP_PPC_EPR				86	/* external proxy facility */
#define KVM_CAP_IRQ_MPIC			90	/* MPIC device */
#define KVM_CAP_PPC_RTAS			91	/* KVM_PPC_RTAS_DEFINE_TOKEN */
#define KVM_CAP_IRQ_XICS			92	/* XICS device */
#define KVM_CAP_SPAPR_MULTITCE			94	/* multiple-TCE hypercalls */
#define KVM_CAP_PPC_FIXUP_HCALL			103	/* hypercalls of either endianness */
#define KVM_CAP_PPC_ENABLE_HCALL		104	/* hypercalls chosen one by one */
#define KVM_CAP_PPC_HWRNG			115	/* random number hypercall */
#define KVM_CAP_SPAPR_TCE_64			125	/* KVM_CREATE_SPAPR_TCE_64 */
#define KVM_CAP_PPC_HTM				132	/* transactional memory */
#define KVM_CAP_SPAPR_RESIZE_HPT		133	/* KVM_PPC_RESIZE_HPT_* */
#define KVM_CAP_PPC_MMU_RADIX			134	/* radix page tables */
#define KVM_CAP_PPC_MMU_HASH_V3			135	/* hashed page tables of ISA 3 */
#define KVM_CAP_SPAPR_TCE_VFIO			142	/* TCE tables tied to VFIO */
#define KVM_CAP_PPC_FWNMI			146	/* machine checks through firmware */
#define KVM_CAP_PPC_SMT_POSSIBLE		147	/* bits of thread counts */
#define KVM_CAP_PPC_GET_CPU_CHAR		151	/* KVM_PPC_GET_CPU_CHAR */
#define KVM_CAP_PPC_NESTED_HV			160	/* nested hypervisors */
#define KVM_CAP_PPC_IRQ_XIVE			169	/* XIVE device */
#define KVM_CAP_PPC_GUEST_DEBUG_SSTEP		176	/* single-stepping */
#define KVM_CAP_PPC_SECURE_GUEST		181	/* secure guests */
#define KVM_CAP_PPC_DAWR1			194	/* second data watchpoint */
#define KVM_CAP_PPC_RPT_INVALIDATE		202	/* page table invalidation hypercall */
#define KVM_CAP_PPC_AIL_MODE_3			210	/* interrupts with translation on */

/* s390's. */
#define KVM_CAP_S390_PSW			42	/* the PSW in kvm_run */
#define KVM_CAP_S390_GMAP			71	/* KVM_S390_UCAS_MAP without ucontrol */
#define KVM_CAP_S390_UCONTROL			73	/* KVM_VM_S390_UCONTROL */
#define KVM_CAP_S390_COW			79	/* read-only mappings can be copied */
#define KVM_CAP_S390_CSS_SUPPORT		85	/* channel I/O goes to userspace */
#define KVM_CAP_S390_IRQCHIP			99	/* adapter interrupt routes */
#define KVM_CAP_S390_USER_SIGP			106	/* signals to processors go to userspace */
#define KVM_CAP_S390_VECTOR_REGISTERS		107	/* vector registers in sync regs */
#define KVM_CAP_S390_MEM_OP			108	/* most bytes of KVM_S390_MEM_OP */
#define KVM_CAP_S390_USER_STSI			109	/* KVM_EXIT_S390_STSI */
#define KVM_CAP_S390_SKEYS			110	/* storage keys */
#define KVM_CAP_S390_INJECT_IRQ			113	/* KVM_S390_IRQ */
#define KVM_CAP_S390_IRQ_STATE			114	/* KVM_S390_GET/SET_IRQ_STATE */
#define KVM_CAP_S390_RI				124	/* runtime instrumentation */
#define KVM_CAP_S390_USER_INSTR0		130	/* operation 0 goes to userspace */
#define KVM_CAP_S390_GS				140	/* guarded storage */
#define KVM_CAP_S390_AIS			141	/* adapter interruption suppression */
#define KVM_CAP_S390_CMMA_MIGRATION		145	/* KVM_S390_GET/SET_CMMA_BITS */
#define KVM_CAP_S390_AIS_MIGRATION		150	/* suppression state through FLIC */
#define KVM_CAP_S390_BPB			152	/* branch prediction control */
#define KVM_CAP_S390_HPAGE_1M			156	/* huge pages under a guest */
#define KVM_CAP_S390_VCPU_RESETS		179	/* KVM_S390_NORMAL/CLEAR_RESET */
#define KVM_CAP_S390_PROTECTED			180	/* protected guests */
#define KVM_CAP_S390_DIAG318			186	/* control program identity */
#define KVM_CAP_S390_MEM_OP_EXTENSION		211	/* physical addresses in memory requests */
#define KVM_CAP_S390_PROTECTED_DUMP		217	/* dumps of protected guests */
#define KVM_CAP_S390_ZPCI_OP			221	/* KVM_S390_ZPCI_OP */
#define KVM_CAP_S390_CPU_TOPOLOGY		222	/* topology reporting */
#define KVM_CAP_S390_PROTECTED_ASYNC_DISABLE	224	/* protected VMs torn down aside */

/* Turns a capability on for a VM or a vcpu; args (in) as its line above says. */
struct kvm_enable_cap {
	__u32 cap;		/* KVM_CAP_* */
	__u32 flags;		/* 0 */
	__u64 args[4];
	__u8  pad[64];
};

#define KVM_ENABLE_CAP		_IOW(KVMIO, 0xa3, struct kvm_enable_cap)

/* args[0] of KVM_CAP_X86_DISABLE_EXITS: instructions that then run without an exit. */
#define KVM_X86_DISABLE_EXITS_MWAIT	(1 << 0)
#define KVM_X86_DISABLE_EXITS_HLT	(1 << 1)
#define KVM_X86_DISABLE_EXITS_PAUSE	(1 << 2)
#define KVM_X86_DISABLE_EXITS_CSTATE	(1 << 3)	/* reads of C-state residency MSRs */
#define KVM_X86_DISABLE_VALID_EXITS	(KVM_X86_DISABLE_EXITS_MWAIT | \
					 KVM_X86_DISABLE_EXITS_HLT | \
					 KVM_X86_DISABLE_EXITS_PAUSE | \
					 KVM_X86_DISABLE_EXITS_CSTATE)

/* args[0] of KVM_CAP_X86_BUS_LOCK_EXIT. */
#define KVM_BUS_LOCK_DETECTION_OFF	(1 << 0)
#define KVM_BUS_LOCK_DETECTION_EXIT	(1 << 1)

/* args[0] of KVM_CAP_X86_NOTIFY_VMEXIT: these below, the window (cycles) in bits 63:32. */
#define KVM_X86_NOTIFY_VMEXIT_ENABLED	(1ULL << 0)
#define KVM_X86_NOTIFY_VMEXIT_USER	(1ULL << 1)

/* args[0] of KVM_CAP_PMU_CAPABILITY. */
#define KVM_PMU_CAP_DISABLE		(1 << 0)	/* the VM has no performance counters */

/* ========================================== VM ========================================== */

/* VM types for KVM_CREATE_VM on other processors; x86's are KVM_X86_*_VM. */
#define KVM_VM_S390_UCONTROL		1	/* userspace owns the address space */
#define KVM_VM_PPC_HV			1	/* insist on hypervisor mode */
#define KVM_VM_PPC_PR			2	/* insist on problem state */
#define KVM_VM_MIPS_AUTO		0	/* the best there is */
#define KVM_VM_MIPS_VZ			1	/* hardware virtualization */
#define KVM_VM_MIPS_TE			2	/* trap and emulate */
#define KVM_VM_TYPE_ARM_IPA_SIZE_MASK	0xffULL	/* physical address bits, 0 for 40 */
#define KVM_VM_TYPE_ARM_IPA_SIZE(x)	((x) & KVM_VM_TYPE_ARM_IPA_SIZE_MASK)

/* Settings of an x86 VM; the last two are to be made before its first vcpu. */
#define KVM_SET_TSS_ADDR		_IO(KVMIO, 0x47)	 /* in: 3 pages VMX may use */
#define KVM_SET_IDENTITY_MAP_ADDR	_IOW(KVMIO, 0x48, __u64) /* in: 1 page VMX may use */
#define KVM_SET_BOOT_CPU_ID		_IO(KVMIO, 0x78)	 /* in: vcpu number, 0 at first */

/* What guests may count, and which MSRs they may touch. */
#define KVM_SET_PMU_EVENT_FILTER	_IOW(KVMIO, 0xb2, struct kvm_pmu_event_filter)
#define KVM_X86_SET_MSR_FILTER		_IOW(KVMIO, 0xc6, struct kvm_msr_filter)

/* ======================================== memory ======================================== */

/* A slot: guest-physical memory and the caller's memory behind it (all in). */
struct kvm_userspace_memory_region {
	__u32 slot;			/* 15:0 number, 31:16 address space */
	__u32 flags;			/* KVM_MEM_* */
	__u64 guest_phys_addr;		/* page aligned */
	__u64 memory_size;		/* bytes, page aligned, 0 deletes the slot */
	__u64 userspace_addr;		/* page aligned */
};

/* The same with a guest_memfd for the private half of the memory. */
struct kvm_userspace_memory_region2 {
	__u32 slot;
	__u32 flags;
	__u64 guest_phys_addr;
	__u64 memory_size;
	__u64 userspace_addr;
	__u64 guest_memfd_offset;	/* bytes, page aligned */
	__u32 guest_memfd;		/* from KVM_CREATE_GUEST_MEMFD */
	__u32 pad1;
	__u64 pad2[14];
};

/* flags of a slot; userspace may use bits 15:0. */
#define KVM_MEM_LOG_DIRTY_PAGES		(1UL << 0)	/* note pages written to */
#define KVM_MEM_READONLY		(1UL << 1)	/* writes are KVM_EXIT_MMIO */
#define KVM_MEM_GUEST_MEMFD		(1UL << 2)	/* guest_memfd is valid */

#define KVM_SET_USER_MEMORY_REGION	_IOW(KVMIO, 0x46, struct kvm_userspace_memory_region)
#define KVM_SET_USER_MEMORY_REGION2	_IOW(KVMIO, 0x49, struct kvm_userspace_memory_region2)

/* The number of page tables a VM may have where they shadow the guest's. */
#define KVM_SET_NR_MMU_PAGES		_IO(KVMIO, 0x44)	/* in: pages */
#define KVM_GET_NR_MMU_PAGES		_IO(KVMIO, 0x45)	/* returns pages */

/* Fetches (and, unless protection is manual, clears) what was written in a slot. */
struct kvm_dirty_log {
	__u32 slot;			/* in, as in a memory region */
	__u32 padding1;
	union {
		void __kvm_user *dirty_bitmap;	/* out, bit n: page n, in 64-bit words */
		__u64 padding2;
	};
};

/* Clears pages of a slot: those with a bit set, from first_page on (all in). */
struct kvm_clear_dirty_log {
	__u32 slot;
	__u32 num_pages;		/* a multiple of 64, or up to the slot's end */
	__u64 first_page;		/* a multiple of 64 */
	union {
		void __kvm_user *dirty_bitmap;
		__u64 padding2;
	};
};

#define KVM_GET_DIRTY_LOG		_IOW(KVMIO, 0x42, struct kvm_dirty_log)
#define KVM_CLEAR_DIRTY_LOG		_IOWR(KVMIO, 0xc0, struct kvm_clear_dirty_log)

/* args[0] of KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2. */
#define KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE	(1 << 0)	/* GET does not clear */
#define KVM_DIRTY_LOG_INITIALLY_SET		(1 << 1)	/* logging begins all dirty */

/* A vcpu's dirty ring in its mapping: the page it begins at, 0 where there is none. */
#ifndef KVM_DIRTY_LOG_PAGE_OFFSET
#define KVM_DIRTY_LOG_PAGE_OFFSET	0
#endif

/*
 * An entry of the ring. The kernel sets F_DIRTY when the entry is full; userspace takes entries
 * in order, sets F_RESET in each, and KVM_RESET_DIRTY_RINGS makes them free (flags 0) again.
 */
struct kvm_dirty_gfn {
	__u32 flags;			/* KVM_DIRTY_GFN_F_* */
	__u32 slot;			/* out, as in a memory region */
	__u64 offset;			/* out, pages from the slot's start */
};

#define KVM_DIRTY_GFN_F_DIRTY		_BITUL(0)
#define KVM_DIRTY_GFN_F_RESET		_BITUL(1)
#define KVM_DIRTY_GFN_F_MASK		0x3

#define KVM_RESET_DIRTY_RINGS		_IO(KVMIO, 0xc7)	/* returns entries made free */

/* Gives every page of a range the same attributes (all in). */
struct kvm_memory_attributes {
	__u64 address;			/* guest-physical, page aligned */
	__u64 size;			/* page aligned */
	__u64 attributes;		/* KVM_MEMORY_ATTRIBUTE_* */
	__u64 flags;			/* 0 */
};

#define KVM_MEMORY_ATTRIBUTE_PRIVATE	(1ULL << 3)	/* taken from the guest_memfd */

#define KVM_SET_MEMORY_ATTRIBUTES	_IOW(KVMIO, 0xd2, struct kvm_memory_attributes)

/* Makes a file of memory that only this VM's guest can reach; returns its descriptor. */
struct kvm_create_guest_memfd {
	__u64 size;			/* in, page aligned */
	__u64 flags;			/* 0 */
	__u64 reserved[6];
};

#define KVM_CREATE_GUEST_MEMFD		_IOWR(KVMIO, 0xd4, struct kvm_create_guest_memfd)

/* Maps a range for a vcpu before it is touched; in, and out: what is left of the range. */
struct kvm_pre_fault_memory {
	__u64 gpa;			/* page aligned */
	__u64 size;			/* page aligned */
	__u64 flags;			/* 0 */
	__u64 padding[5];
};

#define KVM_PRE_FAULT_MEMORY		_IOWR(KVMIO, 0xd5, struct kvm_pre_fault_memory)

/* Memory of the caller that holds encrypted guest pages and must stay in place. */
struct kvm_enc_region {
	__u64 addr;			/* in, caller's address */
	__u64 size;			/* in */
};

#define KVM_MEMORY_ENCRYPT_OP		_IOWR(KVMIO, 0xba, unsigned long) /* struct kvm_sev_cmd */
#define KVM_MEMORY_ENCRYPT_REG_REGION	_IOR(KVMIO, 0xbb, struct kvm_enc_region)
#define KVM_MEMORY_ENCRYPT_UNREG_REGION	_IOR(KVMIO, 0xbc, struct kvm_enc_region)

/* A range of addresses or ports whose writes wait in the ring until the next exit (all in). */
struct kvm_coalesced_mmio_zone {
	__u64 addr;
	__u32 size;
	union {
		__u32 pad;
		__u32 pio;		/* 1: ports, 0: memory */
	};
};

#define KVM_REGISTER_COALESCED_MMIO	_IOW(KVMIO, 0x67, struct kvm_coalesced_mmio_zone)
#define KVM_UNREGISTER_COALESCED_MMIO	_IOW(KVMIO, 0x68, struct kvm_coalesced_mmio_zone)

/* One waiting write (out). */
struct kvm_coalesced_mmio {
	__u64 phys_addr;
	__u32 len;			/* bytes of data */
	union {
		__u32 pad;
		__u32 pio;
	};
	__u8  data[8];
};

/* The ring, a page of the vcpu's mapping; empty if first == last. */
struct kvm_coalesced_mmio_ring {
	__u32 first, last;		/* userspace moves first, the kernel last */
	__DECLARE_FLEX_ARRAY(struct kvm_coalesced_mmio, coalesced_mmio);
};

/* Entries of that page. */
#define KVM_COALESCED_MMIO_MAX \
	((PAGE_SIZE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))

/* ========================================= vcpu ========================================= */

#define KVM_CREATE_VCPU		_IO(KVMIO, 0x41)	/* VM; in: number; returns a descriptor */
#define KVM_RUN			_IO(KVMIO, 0x80)	/* in and out: the run page */

/* Registers. */
#define KVM_GET_REGS		_IOR(KVMIO, 0x81, struct kvm_regs)
#define KVM_SET_REGS		_IOW(KVMIO, 0x82, struct kvm_regs)
#define KVM_GET_SREGS		_IOR(KVMIO, 0x83, struct kvm_sregs)
#define KVM_SET_SREGS		_IOW(KVMIO, 0x84, struct kvm_sregs)
#define KVM_GET_SREGS2		_IOR(KVMIO, 0xcc, struct kvm_sregs2)
#define KVM_SET_SREGS2		_IOW(KVMIO, 0xcd, struct kvm_sregs2)
#define KVM_GET_FPU		_IOR(KVMIO, 0x8c, struct kvm_fpu)
#define KVM_SET_FPU		_IOW(KVMIO, 0x8d, struct kvm_fpu)
#define KVM_GET_XSAVE		_IOR(KVMIO, 0xa4, struct kvm_xsave)	/* 4096 bytes */
#define KVM_SET_XSAVE		_IOW(KVMIO, 0xa5, struct kvm_xsave)
#define KVM_GET_XSAVE2		_IOR(KVMIO, 0xcf, struct kvm_xsave)	/* KVM_CAP_XSAVE2 bytes */
#define KVM_GET_XCRS		_IOR(KVMIO, 0xa6, struct kvm_xcrs)
#define KVM_SET_XCRS		_IOW(KVMIO, 0xa7, struct kvm_xcrs)
#define KVM_GET_DEBUGREGS	_IOR(KVMIO, 0xa1, struct kvm_debugregs)
#define KVM_SET_DEBUGREGS	_IOW(KVMIO, 0xa2, struct kvm_debugregs)
#define KVM_GET_MSRS		_IOWR(KVMIO, 0x88, struct kvm_msrs)	/* returns MSRs read */
#define KVM_SET_MSRS		_IOW(KVMIO, 0x89, struct kvm_msrs)	/* returns MSRs set */

/* What the guest's CPUID says. */
#define KVM_SET_CPUID		_IOW(KVMIO, 0x8a, struct kvm_cpuid)
#define KVM_SET_CPUID2		_IOW(KVMIO, 0x90, struct kvm_cpuid2)
#define KVM_GET_CPUID2		_IOWR(KVMIO, 0x91, struct kvm_cpuid2)

/* State between instructions: events on their way, and a nested guest. */
#define KVM_GET_VCPU_EVENTS	_IOR(KVMIO, 0x9f, struct kvm_vcpu_events)
#define KVM_SET_VCPU_EVENTS	_IOW(KVMIO, 0xa0, struct kvm_vcpu_events)
#define KVM_GET_NESTED_STATE	_IOWR(KVMIO, 0xbe, struct kvm_nested_state)
#define KVM_SET_NESTED_STATE	_IOW(KVMIO, 0xbf, struct kvm_nested_state)

/* Machine checks of the guest. */
#define KVM_X86_SETUP_MCE	_IOW(KVMIO, 0x9c, __u64)		/* in: MCG_CAP */
#define KVM_X86_SET_MCE		_IOW(KVMIO, 0x9e, struct kvm_x86_mce)

/* Translates a linear address as the vcpu would now. */
struct kvm_translation {
	__u64 linear_address;		/* in */
	__u64 physical_address;		/* out */
	__u8  valid;			/* out, and so on */
	__u8  writeable;
	__u8  usermode;
	__u8  pad[5];
};

#define KVM_TRANSLATE		_IOWR(KVMIO, 0x85, struct kvm_translation)

/* Signals blocked while the vcpu runs, in place of the thread's own mask (in). */
struct kvm_signal_mask {
	__u32 len;			/* bytes of sigset, the kernel's sigset_t */
	__DECLARE_FLEX_ARRAY(__u8, sigset);
};

#define KVM_SET_SIGNAL_MASK	_IOW(KVMIO, 0x8b, struct kvm_signal_mask)

/* Whether the vcpu executes; not every processor has every state. */
#define KVM_MP_STATE_RUNNABLE		0
#define KVM_MP_STATE_UNINITIALIZED	1	/* x86: an AP that waits for INIT */
#define KVM_MP_STATE_INIT_RECEIVED	2	/* x86: an AP that waits for SIPI */
#define KVM_MP_STATE_HALTED		3
#define KVM_MP_STATE_SIPI_RECEIVED	4
#define KVM_MP_STATE_STOPPED		5
#define KVM_MP_STATE_CHECK_STOP		6
#define KVM_MP_STATE_OPERATING		7
#define KVM_MP_STATE_LOAD		8
#define KVM_MP_STATE_AP_RESET_HOLD	9	/* SEV-ES: an AP parked by its firmware */
#define KVM_MP_STATE_SUSPENDED		10

struct kvm_mp_state {
	__u32 mp_state;
};

#define KVM_GET_MP_STATE	_IOR(KVMIO, 0x98, struct kvm_mp_state)
#define KVM_SET_MP_STATE	_IOW(KVMIO, 0x99, struct kvm_mp_state)

/* Debugging from outside: control takes these and the processor's own KVM_GUESTDBG_* (in). */
#define KVM_GUESTDBG_ENABLE		0x00000001
#define KVM_GUESTDBG_SINGLESTEP		0x00000002

#define __KVM_HAVE_GUEST_DEBUG

struct kvm_guest_debug {
	__u32 control;
	__u32 pad;
	struct kvm_guest_debug_arch arch;
};

#define KVM_SET_GUEST_DEBUG	_IOW(KVMIO, 0x9b, struct kvm_guest_debug)

/* Writes to the task priority register: reported as KVM_EXIT_TPR_ACCESS, or shadowed. */
struct kvm_tpr_access_ctl {
	__u32 enabled;			/* in */
	__u32 flags;
	__u32 reserved[8];
};

struct kvm_vapic_addr {
	__u64 vapic_addr;		/* in, guest-physical; 0: no shadow */
};

#define KVM_TPR_ACCESS_REPORTING	_IOWR(KVMIO, 0x92, struct kvm_tpr_access_ctl)
#define KVM_SET_VAPIC_ADDR		_IOW(KVMIO, 0x93, struct kvm_vapic_addr)

/*
 * Registers by number: which processor's (63:56), its size as a power of two (55:52), and which
 * one, as the processor's header says.
 */
#define KVM_REG_ARCH_MASK		0xff00000000000000ULL
#define KVM_REG_GENERIC			0x0000000000000000ULL
#define KVM_REG_PPC			0x1000000000000000ULL
#define KVM_REG_X86			0x2000000000000000ULL
#define KVM_REG_IA64			0x3000000000000000ULL
#define KVM_REG_ARM			0x4000000000000000ULL
#define KVM_REG_S390			0x5000000000000000ULL
#define KVM_REG_ARM64			0x6000000000000000ULL
#define KVM_REG_MIPS			0x7000000000000000ULL
#define KVM_REG_RISCV			0x8000000000000000ULL
#define KVM_REG_LOONGARCH		0x9000000000000000ULL

#define KVM_REG_SIZE_SHIFT		52
#define KVM_REG_SIZE_MASK		0x00f0000000000000ULL
#define KVM_REG_SIZE_U8			0x0000000000000000ULL
#define KVM_REG_SIZE_U16		0x0010000000000000ULL
#define KVM_REG_SIZE_U32		0x0020000000000000ULL
#define KVM_REG_SIZE_U64		0x0030000000000000ULL
#define KVM_REG_SIZE_U128		0x0040000000000000ULL
#define KVM_REG_SIZE_U256		0x0050000000000000ULL
#define KVM_REG_SIZE_U512		0x0060000000000000ULL
#define KVM_REG_SIZE_U1024		0x0070000000000000ULL
#define KVM_REG_SIZE_U2048		0x0080000000000000ULL

/* The numbers a vcpu knows. */
struct kvm_reg_list {
	__u64 n;			/* in: room in reg; out: how many there are */
	__DECLARE_FLEX_ARRAY(__u64, reg);
};

struct kvm_one_reg {
	__u64 id;			/* in */
	__u64 addr;			/* in, caller's address of the value */
};

#define KVM_GET_ONE_REG		_IOW(KVMIO, 0xab, struct kvm_one_reg)
#define KVM_SET_ONE_REG		_IOW(KVMIO, 0xac, struct kvm_one_reg)
#define KVM_GET_REG_LIST	_IOWR(KVMIO, 0xb0, struct kvm_reg_list)

/* ======================================= run page ======================================= */

/* exit_reason of struct kvm_run; the member that goes with each is in its union. */
#define KVM_EXIT_UNKNOWN		0	/* hw: an exit nobody handles */
#define KVM_EXIT_EXCEPTION		1	/* ex */
#define KVM_EXIT_IO			2	/* io: finish it before the next KVM_RUN */
#define KVM_EXIT_HYPERCALL		3	/* hypercall */
#define KVM_EXIT_DEBUG			4	/* debug */
#define KVM_EXIT_HLT			5	/* the vcpu halted */
#define KVM_EXIT_MMIO			6	/* mmio: finish it before the next KVM_RUN */
#define KVM_EXIT_IRQ_WINDOW_OPEN	7	/* an interrupt can now be delivered */
#define KVM_EXIT_SHUTDOWN		8	/* x86: a triple fault */
#define KVM_EXIT_FAIL_ENTRY		9	/* fail_entry: the hardware refused the state */
#define KVM_EXIT_INTR			10	/* a signal, with -EINTR */
#define KVM_EXIT_SET_TPR		11	/* cr8 was lowered by the guest */
#define KVM_EXIT_TPR_ACCESS		12	/* tpr_access */
#define KVM_EXIT_S390_SIEIC		13	/* s390_sieic */
#define KVM_EXIT_S390_RESET		14	/* s390_reset_flags */
#define KVM_EXIT_DCR			15	/* dcr, no longer used */
#define KVM_EXIT_NMI			16	/* an NMI of the host, no longer used */
#define KVM_EXIT_INTERNAL_ERROR		17	/* internal, emulation_failure */
#define KVM_EXIT_OSI			18	/* osi */
#define KVM_EXIT_PAPR_HCALL		19	/* papr_hcall */
#define KVM_EXIT_S390_UCONTROL		20	/* s390_ucontrol */
#define KVM_EXIT_WATCHDOG		21	/* Book E: the watchdog ran out */
#define KVM_EXIT_S390_TSCH		22	/* s390_tsch */
#define KVM_EXIT_EPR			23	/* epr */
#define KVM_EXIT_SYSTEM_EVENT		24	/* system_event */
#define KVM_EXIT_S390_STSI		25	/* s390_stsi */
#define KVM_EXIT_IOAPIC_EOI		26	/* eoi */
#define KVM_EXIT_HYPERV			27	/* hyperv */
#define KVM_EXIT_ARM_NISV		28	/* arm_nisv */
#define KVM_EXIT_X86_RDMSR		29	/* msr */
#define KVM_EXIT_X86_WRMSR		30	/* msr */
#define KVM_EXIT_DIRTY_RING_FULL	31	/* no room in the vcpu's dirty ring */
#define KVM_EXIT_AP_RESET_HOLD		32	/* SEV-ES: the firmware parks an AP */
#define KVM_EXIT_X86_BUS_LOCK		33	/* the guest locked the bus */
#define KVM_EXIT_XEN			34	/* xen */
#define KVM_EXIT_RISCV_SBI		35	/* riscv_sbi */
#define KVM_EXIT_RISCV_CSR		36	/* riscv_csr */
#define KVM_EXIT_NOTIFY			37	/* notify: no event window for too long */
#define KVM_EXIT_LOONGARCH_IOCSR	38	/* iocsr_io */
#define KVM_EXIT_MEMORY_FAULT		39	/* memory_fault, with -EFAULT or -EHWPOISON */

/* io.direction. */
#define KVM_EXIT_IO_IN			0
#define KVM_EXIT_IO_OUT			1

/* internal.suberror. */
#define KVM_INTERNAL_ERROR_EMULATION		1	/* an instruction beyond the emulator */
#define KVM_INTERNAL_ERROR_SIMUL_EX		2	/* two exceptions that exclude each other */
#define KVM_INTERNAL_ERROR_DELIVERY_EV		3	/* an odd exit in an event's delivery */
#define KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON 4	/* an exit that was never asked for */

/* emulation_failure.flags: which of its fields are filled. */
#define KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES (1ULL << 0)

/* system_event.type. */
#define KVM_SYSTEM_EVENT_SHUTDOWN	1
#define KVM_SYSTEM_EVENT_RESET		2
#define KVM_SYSTEM_EVENT_CRASH		3
#define KVM_SYSTEM_EVENT_WAKEUP		4
#define KVM_SYSTEM_EVENT_SUSPEND	5
#define KVM_SYSTEM_EVENT_SEV_TERM	6	/* data[0]: the guest's GHCB request */

/* msr.reason, and args[0] of KVM_CAP_X86_USER_SPACE_MSR. */
#define KVM_MSR_EXIT_REASON_INVAL	(1 << 0)	/* a value the MSR does not take */
#define KVM_MSR_EXIT_REASON_UNKNOWN	(1 << 1)	/* an MSR nobody knows */
#define KVM_MSR_EXIT_REASON_FILTER	(1 << 2)	/* denied by the filter */
#define KVM_MSR_EXIT_REASON_VALID_MASK	(KVM_MSR_EXIT_REASON_INVAL | \
					 KVM_MSR_EXIT_REASON_UNKNOWN | \
					 KVM_MSR_EXIT_REASON_FILTER)

/* notify.flags. */
#define KVM_NOTIFY_CONTEXT_INVALID	(1 << 0)	/* the vcpu cannot go on */

/* memory_fault.flags. */
#define KVM_MEMORY_EXIT_FLAG_PRIVATE	(1ULL << 3)	/* the access was to private memory */

/* hyperv.type of KVM_EXIT_HYPERV. */
#define KVM_EXIT_HYPERV_SYNIC		1
#define KVM_EXIT_HYPERV_HCALL		2
#define KVM_EXIT_HYPERV_SYNDBG		3

/* All out, but for hcall.result and syndbg.status, which userspace answers. */
struct kvm_hyperv_exit {
	__u32 type;
	__u32 pad1;
	union {
		struct {		/* an MSR of the interrupt controller was written */
			__u32 msr;
			__u32 pad2;
			__u64 control;
			__u64 evt_page;
			__u64 msg_page;
		} synic;
		struct {		/* a hypercall: input value, its two parameters */
			__u64 input;
			__u64 result;
			__u64 params[2];
		} hcall;
		struct {		/* an MSR of the synthetic debugger */
			__u32 msr;
			__u32 pad2;
			__u64 control;
			__u64 status;
			__u64 send_page;
			__u64 recv_page;
			__u64 pending_page;
		} syndbg;
	} u;
};

/* xen.type of KVM_EXIT_XEN. */
#define KVM_EXIT_XEN_HCALL		1

struct kvm_xen_exit {
	__u32 type;
	union {
		struct {
			__u32 longmode;		/* out */
			__u32 cpl;		/* out, 0..3 */
			__u64 input;		/* out, the call's number */
			__u64 result;		/* in */
			__u64 params[6];	/* out */
		} hcall;
	} u;
};

/* Bytes kept for the register set below, whatever a processor's takes of them. */
#define SYNC_REGS_SIZE_BYTES		2048

/*
 * The first page of a vcpu's mapping. Other threads may write to it at any time: the kernel reads
 * each field once and checks what it read.
 */
struct kvm_run {
	/* in */
	__u8  request_interrupt_window;		/* exit when an interrupt can be delivered */
	__u8  immediate_exit;			/* -EINTR instead of entering the guest */
	__u8  padding1[6];

	/* out */
	__u32 exit_reason;			/* KVM_EXIT_* */
	__u8  ready_for_interrupt_injection;	/* KVM_INTERRUPT would be delivered at once */
	__u8  if_flag;				/* RFLAGS.IF */
	__u16 flags;				/* KVM_RUN_X86_* */

	/* in before, out after; in counts only without an in-kernel APIC */
	__u64 cr8;
	__u64 apic_base;

#ifdef __KVM_S390
	/* in before, out after: the program status word, upper half first */
	__u64 psw_mask;
	__u64 psw_addr;
#endif
	union {
		struct {			/* KVM_EXIT_UNKNOWN */
			__u64 hardware_exit_reason;
		} hw;
		struct {			/* KVM_EXIT_FAIL_ENTRY */
			__u64 hardware_entry_failure_reason;
			__u32 cpu;		/* host processor */
		} fail_entry;
		struct {			/* KVM_EXIT_EXCEPTION */
			__u32 exception;
			__u32 error_code;
		} ex;
		struct {			/* KVM_EXIT_IO */
			__u8  direction;	/* KVM_EXIT_IO_* */
			__u8  size;		/* 1, 2 or 4 bytes each */
			__u16 port;
			__u32 count;		/* items */
			__u64 data_offset;	/* of the items, from the start of kvm_run */
		} io;
		struct {			/* KVM_EXIT_DEBUG */
			struct kvm_debug_exit_arch arch;
		} debug;
		struct {			/* KVM_EXIT_MMIO */
			__u64 phys_addr;
			__u8  data[8];		/* in for reads, out for writes */
			__u32 len;
			__u8  is_write;
		} mmio;
		struct {			/* KVM_EXIT_LOONGARCH_IOCSR */
			__u64 phys_addr;
			__u8  data[8];
			__u32 len;
			__u8  is_write;
		} iocsr_io;
		struct {			/* KVM_EXIT_HYPERCALL */
			__u64 nr;		/* KVM_HC_* */
			__u64 args[6];
			__u64 ret;		/* in */
			union {
#ifndef __KERNEL__
				__u32 longmode;	/* what flags used to be */
#endif
				__u64 flags;	/* KVM_EXIT_HYPERCALL_* */
			};
		} hypercall;
		struct {			/* KVM_EXIT_TPR_ACCESS */
			__u64 rip;
			__u32 is_write;
			__u32 pad;
		} tpr_access;
		struct {			/* KVM_EXIT_S390_SIEIC */
			__u8  icptcode;
			__u16 ipa;
			__u32 ipb;
		} s390_sieic;
		__u64 s390_reset_flags;		/* KVM_EXIT_S390_RESET */
		struct {			/* KVM_EXIT_S390_UCONTROL */
			__u64 trans_exc_code;
			__u32 pgm_code;
		} s390_ucontrol;
		struct {			/* KVM_EXIT_DCR */
			__u32 dcrn;
			__u32 data;
			__u8  is_write;
		} dcr;
		struct {			/* KVM_EXIT_INTERNAL_ERROR */
			__u32 suberror;		/* KVM_INTERNAL_ERROR_* */
			__u32 ndata;		/* words of data that are filled */
			__u64 data[16];
		} internal;
		/*
		 * The same for KVM_INTERNAL_ERROR_EMULATION, laid over internal: flags is
		 * data[0]. Words past the fields that flags names are counted by ndata too,
		 * and mean nothing in particular.
		 */
		struct {
			__u32 suberror;
			__u32 ndata;
			__u64 flags;		/* KVM_INTERNAL_ERROR_EMULATION_FLAG_* */
			union {
				struct {
					__u8 insn_size;		/* bytes that are filled */
					__u8 insn_bytes[15];
				};
			};
		} emulation_failure;
		struct {			/* KVM_EXIT_OSI */
			__u64 gprs[32];
		} osi;
		struct {			/* KVM_EXIT_PAPR_HCALL */
			__u64 nr;
			__u64 ret;		/* in */
			__u64 args[9];
		} papr_hcall;
		struct {			/* KVM_EXIT_S390_TSCH */
			__u16 subchannel_id;
			__u16 subchannel_nr;
			__u32 io_int_parm;
			__u32 io_int_word;
			__u32 ipb;
			__u8  dequeued;
		} s390_tsch;
		struct {			/* KVM_EXIT_EPR */
			__u32 epr;		/* in */
		} epr;
		struct {			/* KVM_EXIT_SYSTEM_EVENT */
			__u32 type;		/* KVM_SYSTEM_EVENT_* */
			__u32 ndata;		/* words of data that are filled */
			union {
#ifndef __KERNEL__
				__u64 flags;	/* what data[0] used to be */
#endif
				__u64 data[16];
			};
		} system_event;
		struct {			/* KVM_EXIT_S390_STSI */
			__u64 addr;
			__u8  ar;
			__u8  reserved;
			__u8  fc;
			__u8  sel1;
			__u16 sel2;
		} s390_stsi;
		struct {			/* KVM_EXIT_IOAPIC_EOI */
			__u8  vector;
		} eoi;
		struct kvm_hyperv_exit hyperv;	/* KVM_EXIT_HYPERV */
		struct {			/* KVM_EXIT_ARM_NISV */
			__u64 esr_iss;
			__u64 fault_ipa;
		} arm_nisv;
		struct {			/* KVM_EXIT_X86_RDMSR, KVM_EXIT_X86_WRMSR */
			__u8  error;		/* in: not 0 gives the guest a #GP */
			__u8  pad[7];
			__u32 reason;		/* KVM_MSR_EXIT_REASON_* */
			__u32 index;
			__u64 data;		/* in for reads, out for writes */
		} msr;
		struct kvm_xen_exit xen;	/* KVM_EXIT_XEN */
		struct {			/* KVM_EXIT_RISCV_SBI */
			unsigned long extension_id;
			unsigned long function_id;
			unsigned long args[6];
			unsigned long ret[2];	/* in */
		} riscv_sbi;
		struct {			/* KVM_EXIT_RISCV_CSR */
			unsigned long csr_num;
			unsigned long new_value;
			unsigned long write_mask;
			unsigned long ret_value;	/* in */
		} riscv_csr;
		struct {			/* KVM_EXIT_NOTIFY */
			__u32 flags;		/* KVM_NOTIFY_* */
		} notify;
		struct {			/* KVM_EXIT_MEMORY_FAULT */
			__u64 flags;		/* KVM_MEMORY_EXIT_FLAG_* */
			__u64 gpa;
			__u64 size;
		} memory_fault;
		char padding[256];
	};

	/* in: the sets to store at each exit, and the sets to load at the next entry */
	__u64 kvm_valid_regs;
	__u64 kvm_dirty_regs;
	union {
		struct kvm_sync_regs regs;
		char padding[SYNC_REGS_SIZE_BYTES];
	} s;
};

/* ====================================== interrupts ====================================== */

/* Queues one external interrupt for a vcpu without an in-kernel APIC. */
struct kvm_interrupt {
	__u32 irq;			/* in: x86: the vector */
};

#define KVM_INTERRUPT		_IOW(KVMIO, 0x86, struct kvm_interrupt)
#define KVM_NMI			_IO(KVMIO, 0x9a)
#define KVM_SMI			_IO(KVMIO, 0xb7)

/* The local APIC's registers. */
#define KVM_GET_LAPIC		_IOR(KVMIO, 0x8e, struct kvm_lapic_state)
#define KVM_SET_LAPIC		_IOW(KVMIO, 0x8f, struct kvm_lapic_state)

/* Makes a VM's controllers: PICs, IOAPIC and local APICs; before its first vcpu. */
#define KVM_CREATE_IRQCHIP	_IO(KVMIO, 0x60)

/* A line of the VM's controllers, by its route's number. */
struct kvm_irq_level {
	union {
		__u32 irq;		/* in */
		__s32 status;		/* out: vcpus reached, 0 coalesced, -1 masked */
	};
	__u32 level;			/* in: 1 asserted, 0 not */
};

#define KVM_IRQ_LINE		_IOW(KVMIO, 0x61, struct kvm_irq_level)
#define KVM_IRQ_LINE_STATUS	_IOWR(KVMIO, 0x67, struct kvm_irq_level)

/* The state of one controller. */
struct kvm_irqchip {
	__u32 chip_id;			/* in: KVM_IRQCHIP_* */
	__u32 pad;
	union {
		char dummy[512];
#ifdef __KVM_HAVE_PIT
		struct kvm_pic_state pic;
#endif
#ifdef __KVM_HAVE_IOAPIC
		struct kvm_ioapic_state ioapic;
#endif
	} chip;
};

#define KVM_GET_IRQCHIP		_IOWR(KVMIO, 0x62, struct kvm_irqchip)
#define KVM_SET_IRQCHIP		_IOR(KVMIO, 0x63, struct kvm_irqchip)

/* The PC's interval timer. */
struct kvm_pit_config {
	__u32 flags;			/* in: KVM_PIT_SPEAKER_DUMMY */
	__u32 pad[15];
};

#define KVM_PIT_SPEAKER_DUMMY	1	/* port 0x61 is handled as well */

#define KVM_CREATE_PIT		_IO(KVMIO, 0x64)
#define KVM_CREATE_PIT2		_IOW(KVMIO, 0x77, struct kvm_pit_config)
#define KVM_GET_PIT		_IOWR(KVMIO, 0x65, struct kvm_pit_state)
#define KVM_SET_PIT		_IOR(KVMIO, 0x66, struct kvm_pit_state)
#define KVM_GET_PIT2		_IOR(KVMIO, 0x9f, struct kvm_pit_state2)
#define KVM_SET_PIT2		_IOW(KVMIO, 0xa0, struct kvm_pit_state2)
#define KVM_REINJECT_CONTROL	_IO(KVMIO, 0x71)	/* in: struct kvm_reinject_control */

/* Where a line leads: a pin of a controller. */
struct kvm_irq_routing_irqchip {
	__u32 irqchip;			/* KVM_IRQCHIP_* */
	__u32 pin;
};

/* A message. */
struct kvm_irq_routing_msi {
	__u32 address_lo;
	__u32 address_hi;
	__u32 data;
	union {
		__u32 pad;
		__u32 devid;		/* with KVM_MSI_VALID_DEVID */
	};
};

/* An s390 adapter's indicators. */
struct kvm_irq_routing_s390_adapter {
	__u64 ind_addr;
	__u64 summary_addr;
	__u64 ind_offset;		/* bits */
	__u32 summary_offset;		/* bits */
	__u32 adapter_id;
};

/* A Hyper-V synthetic interrupt source. */
struct kvm_irq_routing_hv_sint {
	__u32 vcpu;
	__u32 sint;
};

/* A Xen event channel; also the argument of KVM_XEN_HVM_EVTCHN_SEND. */
struct kvm_irq_routing_xen_evtchn {
	__u32 port;
	__u32 vcpu;
	__u32 priority;			/* KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL */
};

#define KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL ((__u32)(-1))

/* type of a route, and so its member of u. */
#define KVM_IRQ_ROUTING_IRQCHIP		1
#define KVM_IRQ_ROUTING_MSI		2
#define KVM_IRQ_ROUTING_S390_ADAPTER	3
#define KVM_IRQ_ROUTING_HV_SINT		4
#define KVM_IRQ_ROUTING_XEN_EVTCHN	5

struct kvm_irq_routing_entry {
	__u32 gsi;			/* the line */
	__u32 type;			/* KVM_IRQ_ROUTING_* */
	__u32 flags;			/* KVM_MSI_VALID_DEVID or 0 */
	__u32 pad;
	union {
		struct kvm_irq_routing_irqchip irqchip;
		struct kvm_irq_routing_msi msi;
		struct kvm_irq_routing_s390_adapter adapter;
		struct kvm_irq_routing_hv_sint hv_sint;
		struct kvm_irq_routing_xen_evtchn xen_evtchn;
		__u32 pad[8];
	} u;
};

/* All routes of a VM, in place of those before (in). */
struct kvm_irq_routing {
	__u32 nr;			/* entries */
	__u32 flags;			/* 0 */
	__DECLARE_FLEX_ARRAY(struct kvm_irq_routing_entry, entries);
};

#define KVM_SET_GSI_ROUTING	_IOW(KVMIO, 0x6a, struct kvm_irq_routing)

/* Sends one message now (in); returns as status of kvm_irq_level does. */
struct kvm_msi {
	__u32 address_lo;
	__u32 address_hi;
	__u32 data;
	__u32 flags;			/* KVM_MSI_VALID_DEVID or 0 */
	__u32 devid;
	__u8  pad[12];
};

#define KVM_MSI_VALID_DEVID	(1U << 0)

#define KVM_SIGNAL_MSI		_IOW(KVMIO, 0xa5, struct kvm_msi)

/* ======================================= eventfds ======================================= */

/* The guest writes, an eventfd is signalled (all in). */
struct kvm_ioeventfd {
	__u64 datamatch;		/* with ..._FLAG_DATAMATCH, only this value */
	__u64 addr;			/* guest-physical address or port */
	__u32 len;			/* 1, 2, 4, 8, or 0 for any */
	__s32 fd;
	__u32 flags;			/* KVM_IOEVENTFD_FLAG_* */
	__u8  pad[36];
};

/* The flags' bit numbers. */
enum {
	kvm_ioeventfd_flag_nr_datamatch,
	kvm_ioeventfd_flag_nr_pio,
	kvm_ioeventfd_flag_nr_deassign,
	kvm_ioeventfd_flag_nr_virtio_ccw_notify,
	kvm_ioeventfd_flag_nr_fast_mmio,
	kvm_ioeventfd_flag_nr_max,
};

#define KVM_IOEVENTFD_FLAG_DATAMATCH	(1 << kvm_ioeventfd_flag_nr_datamatch)
#define KVM_IOEVENTFD_FLAG_PIO		(1 << kvm_ioeventfd_flag_nr_pio)	/* a port */
#define KVM_IOEVENTFD_FLAG_DEASSIGN	(1 << kvm_ioeventfd_flag_nr_deassign)	/* take away */
#define KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY \
					(1 << kvm_ioeventfd_flag_nr_virtio_ccw_notify)
#define KVM_IOEVENTFD_VALID_FLAG_MASK	((1 << kvm_ioeventfd_flag_nr_max) - 1)

#define KVM_IOEVENTFD		_IOW(KVMIO, 0x79, struct kvm_ioeventfd)

/* An eventfd is signalled, the guest gets an interrupt (all in). */
struct kvm_irqfd {
	__u32 fd;
	__u32 gsi;			/* the line */
	__u32 flags;			/* KVM_IRQFD_FLAG_* */
	__u32 resamplefd;		/* signalled by the guest's EOI */
	__u8  pad[16];
};

#define KVM_IRQFD_FLAG_DEASSIGN		(1 << 0)	/* take away */
#define KVM_IRQFD_FLAG_RESAMPLE		(1 << 1)	/* level-triggered, resamplefd is valid */

#define KVM_IRQFD		_IOW(KVMIO, 0x76, struct kvm_irqfd)

/* ======================================== clock ========================================= */

/* The VM's kvmclock. */
struct kvm_clock_data {
	__u64 clock;			/* nanoseconds */
	__u32 flags;			/* KVM_CLOCK_*; in: only ..._REALTIME counts */
	__u32 pad0;
	__u64 realtime;			/* host CLOCK_REALTIME, nanoseconds */
	__u64 host_tsc;			/* cycles */
	__u32 pad[4];
};

/* Bit 0 is not used: an old kernel answered KVM_CAP_ADJUST_CLOCK with 1 and meant "yes". */
#define KVM_CLOCK_TSC_STABLE	2		/* one clock for all vcpus */
#define KVM_CLOCK_REALTIME	(1 << 2)	/* realtime is valid */
#define KVM_CLOCK_HOST_TSC	(1 << 3)	/* host_tsc is valid */

#define KVM_SET_CLOCK		_IOW(KVMIO, 0x7b, struct kvm_clock_data)
#define KVM_GET_CLOCK		_IOR(KVMIO, 0x7c, struct kvm_clock_data)
#define KVM_KVMCLOCK_CTRL	_IO(KVMIO, 0xad)	/* vcpu: the guest was stopped */

/* Guest TSC frequency in kHz: a vcpu's, or the VM's for vcpus to come. */
#define KVM_SET_TSC_KHZ		_IO(KVMIO, 0xa2)	/* in: kHz */
#define KVM_GET_TSC_KHZ		_IO(KVMIO, 0xa3)	/* returns kHz */

/* ======================================= devices ======================================== */

/* Makes a device of a VM. */
struct kvm_create_device {
	__u32 type;			/* in: KVM_DEV_TYPE_* */
	__u32 fd;			/* out */
	__u32 flags;			/* in: KVM_CREATE_DEVICE_* */
};

#define KVM_CREATE_DEVICE_TEST	1	/* only say whether the type exists */

/* One attribute of a device, a vcpu, a VM or the system (all in). */
struct kvm_device_attr {
	__u32 flags;			/* 0 */
	__u32 group;			/* as the device says */
	__u64 attr;			/* as the group says */
	__u64 addr;			/* caller's address of the value */
};

#define KVM_CREATE_DEVICE	_IOWR(KVMIO, 0xe0, struct kvm_create_device)
#define KVM_SET_DEVICE_ATTR	_IOW(KVMIO, 0xe1, struct kvm_device_attr)
#define KVM_GET_DEVICE_ATTR	_IOW(KVMIO, 0xe2, struct kvm_device_attr)
#define KVM_HAS_DEVICE_ATTR	_IOW(KVMIO, 0xe3, struct kvm_device_attr)

/* Types; each is a macro as well, so that a program can ask with #ifdef. */
enum kvm_device_type {
	KVM_DEV_TYPE_FSL_MPIC_20	= 1,
	KVM_DEV_TYPE_FSL_MPIC_42	= 2,
	KVM_DEV_TYPE_XICS		= 3,
	KVM_DEV_TYPE_VFIO		= 4,
	KVM_DEV_TYPE_ARM_VGIC_V2	= 5,
	KVM_DEV_TYPE_FLIC		= 6,
	KVM_DEV_TYPE_ARM_VGIC_V3	= 7,
	KVM_DEV_TYPE_ARM_VGIC_ITS	= 8,
	KVM_DEV_TYPE_XIVE		= 9,
	KVM_DEV_TYPE_ARM_PV_TIME	= 10,
	KVM_DEV_TYPE_RISCV_AIA		= 11,
	KVM_DEV_TYPE_MAX		= 12,
};

#define KVM_DEV_TYPE_FSL_MPIC_20	KVM_DEV_TYPE_FSL_MPIC_20
#define KVM_DEV_TYPE_FSL_MPIC_42	KVM_DEV_TYPE_FSL_MPIC_42
#define KVM_DEV_TYPE_XICS		KVM_DEV_TYPE_XICS
#define KVM_DEV_TYPE_VFIO		KVM_DEV_TYPE_VFIO
#define KVM_DEV_TYPE_ARM_VGIC_V2	KVM_DEV_TYPE_ARM_VGIC_V2
#define KVM_DEV_TYPE_FLIC		KVM_DEV_TYPE_FLIC
#define KVM_DEV_TYPE_ARM_VGIC_V3	KVM_DEV_TYPE_ARM_VGIC_V3
#define KVM_DEV_TYPE_ARM_VGIC_ITS	KVM_DEV_TYPE_ARM_VGIC_ITS
#define KVM_DEV_TYPE_XIVE		KVM_DEV_TYPE_XIVE
#define KVM_DEV_TYPE_ARM_PV_TIME	KVM_DEV_TYPE_ARM_PV_TIME
#define KVM_DEV_TYPE_RISCV_AIA		KVM_DEV_TYPE_RISCV_AIA

/* The VFIO device: its group, and the group's attributes (value: a file descriptor). */
#define KVM_DEV_VFIO_FILE			1
#define KVM_DEV_VFIO_FILE_ADD			1
#define KVM_DEV_VFIO_FILE_DEL			2
#define KVM_DEV_VFIO_GROUP			KVM_DEV_VFIO_FILE	/* older names */
#define KVM_DEV_VFIO_GROUP_ADD			KVM_DEV_VFIO_FILE_ADD
#define KVM_DEV_VFIO_GROUP_DEL			KVM_DEV_VFIO_FILE_DEL
#define KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE	3	/* value: struct kvm_vfio_spapr_tce */

struct kvm_vfio_spapr_tce {
	__s32 groupfd;			/* in */
	__s32 tablefd;			/* in, from KVM_CREATE_SPAPR_TCE */
};

/* ====================================== statistics ====================================== */

/* A read-only file with the statistics of the VM or vcpu it was asked of. */
#define KVM_GET_STATS_FD	_IO(KVMIO, 0xce)

/* The file's start; offsets are bytes from there. */
struct kvm_stats_header {
	__u32 flags;			/* 0 */
	__u32 name_size;		/* bytes of a name, its NUL included */
	__u32 num_desc;			/* descriptors */
	__u32 id_offset;		/* of a string that names the VM or vcpu */
	__u32 desc_offset;		/* of the descriptors */
	__u32 data_offset;		/* of the values */
};

/* One statistic; the next descriptor comes name_size bytes after this one's fixed part. */
struct kvm_stats_desc {
	__u32 flags;			/* KVM_STATS_TYPE_*, _UNIT_* and _BASE_*, one of each */
	__s16 exponent;			/* of the base: what the values are multiplied with */
	__u16 size;			/* values, 64 bits each */
	__u32 offset;			/* of the first value, from data_offset */
	__u32 bucket_size;		/* of a linear histogram */
	__DECLARE_FLEX_ARRAY(char, name);
};

/* How a value moves. */
#define KVM_STATS_TYPE_SHIFT		0
#define KVM_STATS_TYPE_MASK		(0xF << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_CUMULATIVE	(0x0 << KVM_STATS_TYPE_SHIFT)	/* up only */
#define KVM_STATS_TYPE_INSTANT		(0x1 << KVM_STATS_TYPE_SHIFT)	/* up and down */
#define KVM_STATS_TYPE_PEAK		(0x2 << KVM_STATS_TYPE_SHIFT)	/* the highest so far */
#define KVM_STATS_TYPE_LINEAR_HIST	(0x3 << KVM_STATS_TYPE_SHIFT)	/* equal buckets */
#define KVM_STATS_TYPE_LOG_HIST		(0x4 << KVM_STATS_TYPE_SHIFT)	/* doubling buckets */
#define KVM_STATS_TYPE_MAX		KVM_STATS_TYPE_LOG_HIST

/* What it counts. */
#define KVM_STATS_UNIT_SHIFT		4
#define KVM_STATS_UNIT_MASK		(0xF << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_NONE		(0x0 << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_BYTES		(0x1 << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_SECONDS		(0x2 << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_CYCLES		(0x3 << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_BOOLEAN		(0x4 << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_MAX		KVM_STATS_UNIT_BOOLEAN

/* The base of its exponent. */
#define KVM_STATS_BASE_SHIFT		8
#define KVM_STATS_BASE_MASK		(0xF << KVM_STATS_BASE_SHIFT)
#define KVM_STATS_BASE_POW10		(0x0 << KVM_STATS_BASE_SHIFT)
#define KVM_STATS_BASE_POW2		(0x1 << KVM_STATS_BASE_SHIFT)
#define KVM_STATS_BASE_MAX		KVM_STATS_BASE_POW2

/* ===================================== Hyper-V, Xen ===================================== */

/* A Hyper-V connection whose signals go to an eventfd. */
#define KVM_HYPERV_EVENTFD	_IOW(KVMIO, 0xbd, struct kvm_hyperv_eventfd)

/* Xen guests: the hypercall page, attributes of the VM and its vcpus, an event to send. */
#define KVM_XEN_HVM_CONFIG	_IOW(KVMIO, 0x7a, struct kvm_xen_hvm_config)
#define KVM_XEN_HVM_GET_ATTR	_IOWR(KVMIO, 0xc8, struct kvm_xen_hvm_attr)
#define KVM_XEN_HVM_SET_ATTR	_IOW(KVMIO, 0xc9, struct kvm_xen_hvm_attr)
#define KVM_XEN_VCPU_GET_ATTR	_IOWR(KVMIO, 0xca, struct kvm_xen_vcpu_attr)
#define KVM_XEN_VCPU_SET_ATTR	_IOW(KVMIO, 0xcb, struct kvm_xen_vcpu_attr)
#define KVM_XEN_HVM_EVTCHN_SEND	_IOW(KVMIO, 0xd0, struct kvm_irq_routing_xen_evtchn)

/* ====================================== elsewhere ======================================= */

/* ARM. */
struct kvm_arm_device_addr {
	__u64 id;			/* in: device and which of its addresses */
	__u64 addr;			/* in, guest-physical */
};

#define KVM_ARM_SET_DEVICE_ADDR		_IOW(KVMIO, 0xab, struct kvm_arm_device_addr)
#define KVM_ARM_VCPU_INIT		_IOW(KVMIO, 0xae, struct kvm_vcpu_init)
#define KVM_ARM_PREFERRED_TARGET	_IOR(KVMIO, 0xaf, struct kvm_vcpu_init)
#define KVM_ARM_MTE_COPY_TAGS		_IOR(KVMIO, 0xb4, struct kvm_arm_copy_mte_tags)
#define KVM_ARM_SET_COUNTER_OFFSET	_IOW(KVMIO, 0xb5, struct kvm_arm_counter_offset)
#define KVM_ARM_GET_REG_WRITABLE_MASKS	_IOR(KVMIO, 0xb6, struct reg_mask_range)
#define KVM_ARM_VCPU_FINALIZE		_IOW(KVMIO, 0xc2, int)

/* PowerPC: a TLB held by userspace. */
struct kvm_config_tlb {
	__u64 params;			/* in, caller's addresses */
	__u64 array;
	__u32 mmu_type;			/* KVM_MMU_FSL_BOOKE_* */
	__u32 array_len;		/* bytes */
};

struct kvm_dirty_tlb {
	__u64 bitmap;			/* in, caller's address */
	__u32 num_dirty;
};

#define KVM_MMU_FSL_BOOKE_NOHV		0
#define KVM_MMU_FSL_BOOKE_HV		1

#define KVM_DIRTY_TLB			_IOW(KVMIO, 0xaa, struct kvm_dirty_tlb)

/* PowerPC: the rest. */
#define KVM_PPC_GET_PVINFO		_IOW(KVMIO, 0xa1, struct kvm_ppc_pvinfo)
#define KVM_PPC_GET_SMMU_INFO		_IOR(KVMIO, 0xa6, struct kvm_ppc_smmu_info)
#define KVM_PPC_ALLOCATE_HTAB		_IOWR(KVMIO, 0xa7, __u32)	/* order in, out */
#define KVM_CREATE_SPAPR_TCE		_IOW(KVMIO, 0xa8, struct kvm_create_spapr_tce)
#define KVM_CREATE_SPAPR_TCE_64		_IOW(KVMIO, 0xa8, struct kvm_create_spapr_tce_64)
#define KVM_ALLOCATE_RMA		_IOR(KVMIO, 0xa9, struct kvm_allocate_rma)
#define KVM_PPC_GET_HTAB_FD		_IOW(KVMIO, 0xaa, struct kvm_get_htab_fd)
#define KVM_PPC_RTAS_DEFINE_TOKEN	_IOW(KVMIO, 0xac, struct kvm_rtas_token_args)
#define KVM_PPC_RESIZE_HPT_PREPARE	_IOR(KVMIO, 0xad, struct kvm_ppc_resize_hpt)
#define KVM_PPC_RESIZE_HPT_COMMIT	_IOR(KVMIO, 0xae, struct kvm_ppc_resize_hpt)
#define KVM_PPC_CONFIGURE_V3_MMU	_IOW(KVMIO, 0xaf, struct kvm_ppc_mmuv3_cfg)
#define KVM_PPC_GET_RMMU_INFO		_IOW(KVMIO, 0xb0, struct kvm_ppc_rmmu_info)
#define KVM_PPC_GET_CPU_CHAR		_IOR(KVMIO, 0xb1, struct kvm_ppc_cpu_char)
#define KVM_PPC_SVM_OFF			_IO(KVMIO, 0xb3)

/* s390: limits and answers that are no requests of their own. */
#define KVM_S390_SIE_PAGE_OFFSET	1		/* of the vcpu's control block, pages */
#define KVM_S390_GET_SKEYS_NONE		1		/* the guest uses no storage keys */
#define KVM_S390_SKEYS_MAX		1048576		/* keys of one request */
#define KVM_S390_STORE_STATUS_NOADDR	(-1ul)
#define KVM_S390_STORE_STATUS_PREFIXED	(-2ul)

/* s390: requests. */
#define KVM_S390_ENABLE_SIE		_IO(KVMIO, 0x06)
#define KVM_S390_UCAS_MAP		_IOW(KVMIO, 0x50, struct kvm_s390_ucas_mapping)
#define KVM_S390_UCAS_UNMAP		_IOW(KVMIO, 0x51, struct kvm_s390_ucas_mapping)
#define KVM_S390_VCPU_FAULT		_IOW(KVMIO, 0x52, unsigned long)
#define KVM_S390_INTERRUPT		_IOW(KVMIO, 0x94, struct kvm_s390_interrupt) /* VM too */
#define KVM_S390_STORE_STATUS		_IOW(KVMIO, 0x95, unsigned long)
#define KVM_S390_SET_INITIAL_PSW	_IOW(KVMIO, 0x96, struct kvm_s390_psw)
#define KVM_S390_INITIAL_RESET		_IO(KVMIO, 0x97)
#define KVM_S390_MEM_OP			_IOW(KVMIO, 0xb1, struct kvm_s390_mem_op)
#define KVM_S390_GET_SKEYS		_IOW(KVMIO, 0xb2, struct kvm_s390_skeys)
#define KVM_S390_SET_SKEYS		_IOW(KVMIO, 0xb3, struct kvm_s390_skeys)
#define KVM_S390_IRQ			_IOW(KVMIO, 0xb4, struct kvm_s390_irq)
#define KVM_S390_SET_IRQ_STATE		_IOW(KVMIO, 0xb5, struct kvm_s390_irq_state)
#define KVM_S390_GET_IRQ_STATE		_IOW(KVMIO, 0xb6, struct kvm_s390_irq_state)
#define KVM_S390_GET_CMMA_BITS		_IOWR(KVMIO, 0xb8, struct kvm_s390_cmma_log)
#define KVM_S390_SET_CMMA_BITS		_IOW(KVMIO, 0xb9, struct kvm_s390_cmma_log)
#define KVM_S390_NORMAL_RESET		_IO(KVMIO, 0xc3)
#define KVM_S390_CLEAR_RESET		_IO(KVMIO, 0xc4)
#define KVM_S390_PV_COMMAND		_IOWR(KVMIO, 0xc5, struct kvm_pv_cmd)
#define KVM_S390_PV_CPU_COMMAND		_IOWR(KVMIO, 0xd0, struct kvm_pv_cmd)
#define KVM_S390_ZPCI_OP		_IOW(KVMIO, 0xd1, struct kvm_s390_zpci_op)

#undef __kvm_user

#endif /* __LINUX_KVM_H */
