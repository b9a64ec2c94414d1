/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _ASM_X86_KVM_H
#define _ASM_X86_KVM_H

/*
 * x86's half of the contract of /dev/kvm; <linux/kvm.h> has the requests these structures go
 * with, and includes this file.
 *
 * The parts, in this order: what there is, VM, vcpu registers, MSRs, CPUID, events and debugging,
 * run page, interrupt controllers and timer, performance counters, machine checks, nested
 * guests, encrypted guests, Hyper-V, Xen.
 *
 * "in" is written by userspace and read by the kernel, "out" the other way round; where neither
 * is said, a GET request fills the field and a SET request takes it. Pads and reserved words are
 * to be zero.
 */

#include <linux/const.h>
#include <linux/types.h>
#include <linux/stddef.h>
#include <linux/ioctl.h>

/* ==================================== what there is ===================================== */

/* Parts of the general contract that x86 has. */
#define __KVM_HAVE_PIT
#define __KVM_HAVE_IOAPIC
#define __KVM_HAVE_IRQ_LINE
#define __KVM_HAVE_MSI
#define __KVM_HAVE_USER_NMI
#define __KVM_HAVE_MSIX
#define __KVM_HAVE_MCE
#define __KVM_HAVE_PIT_STATE2
#define __KVM_HAVE_XEN_HVM
#define __KVM_HAVE_VCPU_EVENTS
#define __KVM_HAVE_DEBUGREGS
#define __KVM_HAVE_XSAVE
#define __KVM_HAVE_XCRS

/* Where a vcpu's mapping has what, in pages; kvm_run is page 0. */
#define KVM_PIO_PAGE_OFFSET		1	/* data of KVM_EXIT_IO */
#define KVM_COALESCED_MMIO_PAGE_OFFSET	2
#define KVM_DIRTY_LOG_PAGE_OFFSET	64

/* Exceptions. */
#define DE_VECTOR	0	/* divide error */
#define DB_VECTOR	1	/* debug */
#define BP_VECTOR	3	/* breakpoint */
#define OF_VECTOR	4	/* overflow */
#define BR_VECTOR	5	/* bound range */
#define UD_VECTOR	6	/* invalid opcode */
#define NM_VECTOR	7	/* device not available */
#define DF_VECTOR	8	/* double fault */
#define TS_VECTOR	10	/* invalid TSS */
#define NP_VECTOR	11	/* segment not present */
#define SS_VECTOR	12	/* stack */
#define GP_VECTOR	13	/* general protection */
#define PF_VECTOR	14	/* page fault */
#define MF_VECTOR	16	/* x87 floating point */
#define AC_VECTOR	17	/* alignment check */
#define MC_VECTOR	18	/* machine check */
#define XM_VECTOR	19	/* SIMD floating point */
#define VE_VECTOR	20	/* virtualization */

/* Interrupt vectors. */
#define KVM_NR_INTERRUPTS	256

/* ========================================== VM ========================================== */

/* Types for KVM_CREATE_VM. */
#define KVM_X86_DEFAULT_VM	0
#define KVM_X86_SW_PROTECTED_VM	1	/* private memory without hardware behind it */
#define KVM_X86_SEV_VM		2
#define KVM_X86_SEV_ES_VM	3
#define KVM_X86_SNP_VM		4

/* Old behaviour that KVM_CAP_DISABLE_QUIRKS2 takes away. */
#define KVM_X86_QUIRK_LINT0_REENABLED		(1 << 0)  /* LINT0 is ExtINT after reset */
#define KVM_X86_QUIRK_CD_NW_CLEARED		(1 << 1)  /* CR0.CD, NW clear after reset */
#define KVM_X86_QUIRK_LAPIC_MMIO_HOLE		(1 << 2)  /* xAPIC page stays in x2APIC mode */
#define KVM_X86_QUIRK_OUT_7E_INC_RIP		(1 << 3)  /* OUT 0x7e exits past itself */
#define KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT	(1 << 4)  /* the MSR does not touch CPUID */
#define KVM_X86_QUIRK_FIX_HYPERCALL_INSN	(1 << 5)  /* the wrong VMCALL is rewritten */
#define KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS	(1 << 6)  /* MONITOR, MWAIT do nothing */
#define KVM_X86_QUIRK_SLOT_ZAP_ALL		(1 << 7)  /* a deleted slot unmaps them all */
#define KVM_X86_QUIRK_STUFF_FEATURE_MSRS	(1 << 8)  /* feature MSRs not 0 at first */
#define KVM_X86_QUIRK_IGNORE_GUEST_PAT		(1 << 9)  /* VMX: memory is write-back */
#define KVM_X86_QUIRK_VMCS12_ALLOW_FREEZE_IN_SMM (1 << 10) /* FREEZE_IN_SMM in a VMCS12 */

/* KVM_CAP_X2APIC_API. */
#define KVM_X2APIC_API_USE_32BIT_IDS		(1ULL << 0)	/* in routes and KVM_GET_LAPIC */
#define KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK	(1ULL << 1)	/* 0xff is a vcpu, not all */

/* Attributes of /dev/kvm: groups, and the attributes of each (value: __u64). */
#define KVM_X86_GRP_SYSTEM		0
#define KVM_X86_XCOMP_GUEST_SUPP	0	/* XCR0 bits a guest can have */
#define KVM_X86_GRP_SEV			1
#define KVM_X86_SEV_VMSA_FEATURES	0	/* bits kvm_sev_init.vmsa_features takes */

/* Attributes of a vcpu (value: __u64). */
#define KVM_VCPU_TSC_CTRL		0
#define KVM_VCPU_TSC_OFFSET		0	/* guest TSC - host TSC, cycles */

/* ==================================== vcpu registers ==================================== */

struct kvm_regs {
	__u64 rax, rbx, rcx, rdx;
	__u64 rsi, rdi, rsp, rbp;
	__u64 r8, r9, r10, r11;
	__u64 r12, r13, r14, r15;
	__u64 rip, rflags;
};

/* A segment register with its hidden half; limit in bytes whatever g says. */
struct kvm_segment {
	__u64 base;
	__u32 limit;
	__u16 selector;
	__u8  type;
	__u8  present, dpl, db, s, l, g, avl;
	__u8  unusable;
	__u8  padding;
};

/* GDTR or IDTR. */
struct kvm_dtable {
	__u64 base;
	__u16 limit;
	__u16 padding[3];
};

struct kvm_sregs {
	struct kvm_segment cs, ds, es, fs, gs, ss;
	struct kvm_segment tr, ldt;
	struct kvm_dtable gdt, idt;
	__u64 cr0, cr2, cr3, cr4, cr8;
	__u64 efer;
	__u64 apic_base;
	__u64 interrupt_bitmap[(KVM_NR_INTERRUPTS + 63) / 64];	/* at most one pending vector */
};

/* Without the pending vector, with the PDPTEs of a PAE guest. */
struct kvm_sregs2 {
	struct kvm_segment cs, ds, es, fs, gs, ss;
	struct kvm_segment tr, ldt;
	struct kvm_dtable gdt, idt;
	__u64 cr0, cr2, cr3, cr4, cr8;
	__u64 efer;
	__u64 apic_base;
	__u64 flags;			/* KVM_SREGS2_FLAGS_* */
	__u64 pdptrs[4];
};

#define KVM_SREGS2_FLAGS_PDPTRS_VALID	1

/* x87 and SSE. */
struct kvm_fpu {
	__u8  fpr[8][16];
	__u16 fcw;
	__u16 fsw;
	__u8  ftwx;			/* a bit for each register in use, as FXSAVE has it */
	__u8  pad1;
	__u16 last_opcode;
	__u64 last_ip;
	__u64 last_dp;
	__u8  xmm[16][16];
	__u32 mxcsr;
	__u32 pad2;
};

/* XSAVE's standard format, laid out as CPUID leaf 0xD says; extra only if KVM_CAP_XSAVE2 > 4096. */
struct kvm_xsave {
	__u32 region[1024];
	__DECLARE_FLEX_ARRAY(__u32, extra);
};

/* Extended control registers. */
struct kvm_xcr {
	__u32 xcr;			/* number */
	__u32 reserved;
	__u64 value;
};

#define KVM_MAX_XCRS	16

struct kvm_xcrs {
	__u32 nr_xcrs;
	__u32 flags;			/* 0 */
	struct kvm_xcr xcrs[KVM_MAX_XCRS];
	__u64 padding[16];
};

struct kvm_debugregs {
	__u64 db[4];			/* DR0..DR3 */
	__u64 dr6;
	__u64 dr7;
	__u64 flags;			/* 0 */
	__u64 reserved[9];
};

/* ========================================= MSRs ========================================= */

struct kvm_msr_entry {
	__u32 index;			/* in */
	__u32 reserved;
	__u64 data;
};

struct kvm_msrs {
	__u32 nmsrs;			/* in: entries */
	__u32 pad;
	__DECLARE_FLEX_ARRAY(struct kvm_msr_entry, entries);
};

struct kvm_msr_list {
	__u32 nmsrs;			/* in: room in indices; out: how many there are */
	__DECLARE_FLEX_ARRAY(__u32, indices);	/* out */
};

/* Bytes of a filter range's bitmap at most. */
#define KVM_MSR_FILTER_MAX_BITMAP_SIZE	0x600

/* Kinds of access a range decides on. */
#define KVM_MSR_FILTER_READ		(1 << 0)
#define KVM_MSR_FILTER_WRITE		(1 << 1)
#define KVM_MSR_FILTER_RANGE_VALID_MASK	(KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE)

/* In. */
struct kvm_msr_filter_range {
	__u32 flags;			/* KVM_MSR_FILTER_READ, _WRITE */
	__u32 nmsrs;			/* bits of bitmap */
	__u32 base;			/* MSR of bit 0 */
	__u8 *bitmap;			/* caller's; 1 allows, 0 denies */
};

#define KVM_MSR_FILTER_MAX_RANGES	16

/* What becomes of MSRs outside all ranges. */
#define KVM_MSR_FILTER_DEFAULT_ALLOW	(0 << 0)
#define KVM_MSR_FILTER_DEFAULT_DENY	(1 << 0)
#define KVM_MSR_FILTER_VALID_MASK	(KVM_MSR_FILTER_DEFAULT_DENY)

/* In; a range with nmsrs 0 is unused. */
struct kvm_msr_filter {
	__u32 flags;			/* KVM_MSR_FILTER_DEFAULT_* */
	struct kvm_msr_filter_range ranges[KVM_MSR_FILTER_MAX_RANGES];
};

/* ======================================== CPUID ========================================= */

/* For KVM_SET_CPUID: leaves without subleaves. */
struct kvm_cpuid_entry {
	__u32 function;
	__u32 eax;
	__u32 ebx;
	__u32 ecx;
	__u32 edx;
	__u32 padding;
};

struct kvm_cpuid {
	__u32 nent;			/* in: entries */
	__u32 padding;
	__DECLARE_FLEX_ARRAY(struct kvm_cpuid_entry, entries);
};

struct kvm_cpuid_entry2 {
	__u32 function;			/* leaf */
	__u32 index;			/* subleaf */
	__u32 flags;			/* KVM_CPUID_FLAG_* */
	__u32 eax;
	__u32 ebx;
	__u32 ecx;
	__u32 edx;
	__u32 padding[3];
};

#define KVM_CPUID_FLAG_SIGNIFCANT_INDEX	(1 << 0)	/* the leaf has subleaves */
#define KVM_CPUID_FLAG_STATEFUL_FUNC	(1 << 1)	/* no longer used */
#define KVM_CPUID_FLAG_STATE_READ_NEXT	(1 << 2)	/* no longer used */

struct kvm_cpuid2 {
	__u32 nent;			/* in: room, or entries to set; out: how many there are */
	__u32 padding;
	__DECLARE_FLEX_ARRAY(struct kvm_cpuid_entry2, entries);
};

/* ================================= events and debugging ================================= */

/* flags of kvm_vcpu_events: fields to be taken by SET, or that GET filled. */
#define KVM_VCPUEVENT_VALID_NMI_PENDING		0x00000001
#define KVM_VCPUEVENT_VALID_SIPI_VECTOR		0x00000002
#define KVM_VCPUEVENT_VALID_SHADOW		0x00000004
#define KVM_VCPUEVENT_VALID_SMM			0x00000008
#define KVM_VCPUEVENT_VALID_PAYLOAD		0x00000010
#define KVM_VCPUEVENT_VALID_TRIPLE_FAULT	0x00000020

/* interrupt.shadow. */
#define KVM_X86_SHADOW_INT_MOV_SS		0x01
#define KVM_X86_SHADOW_INT_STI			0x02

/* "injected" is being delivered, "pending" will be when it can. */
struct kvm_vcpu_events {
	struct {
		__u8  injected;
		__u8  nr;			/* vector */
		__u8  has_error_code;
		__u8  pending;
		__u32 error_code;
	} exception;
	struct {
		__u8  injected;
		__u8  nr;			/* vector */
		__u8  soft;			/* INT n */
		__u8  shadow;			/* KVM_X86_SHADOW_INT_* */
	} interrupt;
	struct {
		__u8  injected;
		__u8  pending;
		__u8  masked;
		__u8  pad;
	} nmi;
	__u32 sipi_vector;
	__u32 flags;				/* KVM_VCPUEVENT_VALID_* */
	struct {
		__u8  smm;			/* the vcpu is in SMM */
		__u8  pending;
		__u8  smm_inside_nmi;		/* NMIs were blocked when it came */
		__u8  latched_init;
	} smi;
	struct {
		__u8  pending;
	} triple_fault;
	__u8  reserved[26];
	__u8  exception_has_payload;
	__u64 exception_payload;		/* CR2 of #PF, DR6 bits of #DB */
};

/* control of kvm_guest_debug. */
#define KVM_GUESTDBG_USE_SW_BP		0x00010000	/* INT3 exits */
#define KVM_GUESTDBG_USE_HW_BP		0x00020000	/* debugreg is used */
#define KVM_GUESTDBG_INJECT_DB		0x00040000	/* a #DB now */
#define KVM_GUESTDBG_INJECT_BP		0x00080000	/* a #BP now */
#define KVM_GUESTDBG_BLOCKIRQ		0x00100000	/* no interrupts while stepping */

struct kvm_guest_debug_arch {
	__u64 debugreg[8];			/* in: DR0..DR3, and DR7 */
};

/* KVM_EXIT_DEBUG (out). */
struct kvm_debug_exit_arch {
	__u32 exception;			/* vector: #DB or #BP */
	__u32 pad;
	__u64 pc;				/* linear */
	__u64 dr6;
	__u64 dr7;
};

/* ======================================= run page ======================================= */

/* flags of kvm_run. */
#define KVM_RUN_X86_SMM			(1 << 0)	/* the vcpu is in SMM */
#define KVM_RUN_X86_BUS_LOCK		(1 << 1)	/* the guest locked the bus */
#define KVM_RUN_X86_GUEST_MODE		(1 << 2)	/* a nested guest was running */

/* hypercall.flags of kvm_run. */
#define KVM_EXIT_HYPERCALL_LONG_MODE	_BITULL(0)

/* kvm_valid_regs and kvm_dirty_regs of kvm_run. */
#define KVM_SYNC_X86_REGS		(1UL << 0)
#define KVM_SYNC_X86_SREGS		(1UL << 1)
#define KVM_SYNC_X86_EVENTS		(1UL << 2)
#define KVM_SYNC_X86_VALID_FIELDS \
	(KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS)

/* As open to other threads' writes as the rest of kvm_run. */
struct kvm_sync_regs {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;
};

/* ============================ interrupt controllers and timer =========================== */

/* chip_id of kvm_irqchip, irqchip of a route. */
#define KVM_IRQCHIP_PIC_MASTER	0
#define KVM_IRQCHIP_PIC_SLAVE	1
#define KVM_IRQCHIP_IOAPIC	2
#define KVM_NR_IRQCHIPS		3

/* One 8259A. */
struct kvm_pic_state {
	__u8 last_irr;			/* lines as they were, for edges */
	__u8 irr;			/* requested */
	__u8 imr;			/* masked */
	__u8 isr;			/* in service */
	__u8 priority_add;		/* the line of highest priority */
	__u8 irq_base;			/* vector of line 0 */
	__u8 read_reg_select;		/* 1: reads give ISR, 0: IRR */
	__u8 poll;
	__u8 special_mask;
	__u8 init_state;		/* the initialization word that comes next */
	__u8 auto_eoi;
	__u8 rotate_on_auto_eoi;
	__u8 special_fully_nested_mode;
	__u8 init4;			/* a fourth initialization word comes */
	__u8 elcr;			/* level-triggered lines */
	__u8 elcr_mask;			/* lines that may be level-triggered */
};

#define KVM_IOAPIC_NUM_PINS	24

struct kvm_ioapic_state {
	__u64 base_address;
	__u32 ioregsel;
	__u32 id;
	__u32 irr;			/* a bit for each pin */
	__u32 pad;
	union {
		__u64 bits;
		struct {
			__u8 vector;
			__u8 delivery_mode:3;
			__u8 dest_mode:1;
			__u8 delivery_status:1;
			__u8 polarity:1;
			__u8 remote_irr:1;
			__u8 trig_mode:1;
			__u8 mask:1;
			__u8 reserve:7;
			__u8 reserved[4];
			__u8 dest_id;
		} fields;
	} redirtbl[KVM_IOAPIC_NUM_PINS];
};

/* The local APIC's page of registers, as far as it has any. */
#define KVM_APIC_REG_SIZE	0x400

struct kvm_lapic_state {
	char regs[KVM_APIC_REG_SIZE];
};

/* One of the three counters of an 8254. */
struct kvm_pit_channel_state {
	__u32 count;			/* 1..65536 */
	__u16 latched_count;
	__u8  count_latched;
	__u8  status_latched;
	__u8  status;
	__u8  read_state;
	__u8  write_state;
	__u8  write_latch;
	__u8  rw_mode;
	__u8  mode;
	__u8  bcd;
	__u8  gate;
	__s64 count_load_time;		/* nanoseconds, host's monotonic clock */
};

struct kvm_pit_state {
	struct kvm_pit_channel_state channels[3];
};

struct kvm_pit_state2 {
	struct kvm_pit_channel_state channels[3];
	__u32 flags;			/* KVM_PIT_FLAGS_* */
	__u32 reserved[9];
};

#define KVM_PIT_FLAGS_HPET_LEGACY	0x00000001	/* the HPET stands in for counter 0 */
#define KVM_PIT_FLAGS_SPEAKER_DATA_ON	0x00000002	/* bit 1 of port 0x61 */

/* In. */
struct kvm_reinject_control {
	__u8 pit_reinject;		/* 1: ticks that were missed come later */
	__u8 reserved[31];
};

/* ================================= performance counters ================================= */

/* In. */
struct kvm_pmu_event_filter {
	__u32 action;			/* KVM_PMU_EVENT_ALLOW or _DENY */
	__u32 nevents;
	__u32 fixed_counter_bitmap;	/* the fixed counters that action is for */
	__u32 flags;			/* KVM_PMU_EVENT_FLAG_* */
	__u32 pad[4];
	__DECLARE_FLEX_ARRAY(__u64, events);
};

#define KVM_PMU_EVENT_ALLOW	0
#define KVM_PMU_EVENT_DENY	1

#define KVM_PMU_EVENT_FLAG_MASKED_EVENTS	_BITUL(0)	/* events are as below */
#define KVM_PMU_EVENT_FLAGS_VALID_MASK		(KVM_PMU_EVENT_FLAG_MASKED_EVENTS)

/*
 * An event with a masked unit mask:
 *
 *	 7:0, 35:32	event select, low bits and high bits
 *	15:8		what the unit mask has to be
 *	55		leave out what matches
 *	63:56		the bits of the unit mask that are looked at
 */
#define KVM_PMU_MASKED_ENTRY_EVENT_SELECT	0x0000000f000000ffULL
#define KVM_PMU_MASKED_ENTRY_UMASK_MATCH	0x000000000000ff00ULL
#define KVM_PMU_MASKED_ENTRY_EXCLUDE		(_BITULL(55))
#define KVM_PMU_MASKED_ENTRY_UMASK_MASK		0xff00000000000000ULL
#define KVM_PMU_MASKED_ENTRY_UMASK_MASK_SHIFT	(56)

#define KVM_PMU_ENCODE_MASKED_ENTRY(event_select, mask, match, exclude) \
	(((event_select) & 0xffULL) | \
	 (((event_select) & 0xf00ULL) << 24) | \
	 (((match) & 0xffULL) << 8) | \
	 ((__u64)(!!(exclude)) << 55) | \
	 (((mask) & 0xffULL) << 56))

/* ==================================== machine checks ==================================== */

/* In. */
struct kvm_x86_mce {
	__u64 status;			/* MCi_STATUS, and so on */
	__u64 addr;
	__u64 misc;
	__u64 mcg_status;
	__u8  bank;
	__u8  pad1[7];
	__u64 pad2[3];
};

/* ===================================== nested guests ==================================== */

/* format. */
#define KVM_STATE_NESTED_FORMAT_VMX	0
#define KVM_STATE_NESTED_FORMAT_SVM	1

/* flags. */
#define KVM_STATE_NESTED_GUEST_MODE	0x00000001	/* the nested guest runs */
#define KVM_STATE_NESTED_RUN_PENDING	0x00000002	/* it was entered, not yet run */
#define KVM_STATE_NESTED_EVMCS		0x00000004	/* VMX: Hyper-V's VMCS */
#define KVM_STATE_NESTED_MTF_PENDING	0x00000008	/* VMX: a monitor trap is due */
#define KVM_STATE_NESTED_GIF_SET	0x00000100	/* SVM: global interrupt flag */

/* VMX: hdr.vmx.smm.flags, hdr.vmx.flags. */
#define KVM_STATE_NESTED_SMM_GUEST_MODE	0x00000001
#define KVM_STATE_NESTED_SMM_VMXON	0x00000002
#define KVM_STATE_VMX_PREEMPTION_TIMER_DEADLINE	0x00000001

#define KVM_STATE_NESTED_VMX_VMCS_SIZE	0x1000
#define KVM_STATE_NESTED_SVM_VMCB_SIZE	0x1000

struct kvm_vmx_nested_state_data {
	__u8 vmcs12[KVM_STATE_NESTED_VMX_VMCS_SIZE];
	__u8 shadow_vmcs12[KVM_STATE_NESTED_VMX_VMCS_SIZE];
};

struct kvm_vmx_nested_state_hdr {
	__u64 vmxon_pa;			/* guest-physical, ~0 if there is none */
	__u64 vmcs12_pa;
	struct {
		__u16 flags;
	} smm;
	__u16 pad;
	__u32 flags;
	__u64 preemption_timer_deadline;	/* guest's TSC cycles */
};

/* Meant only while the nested guest runs. */
struct kvm_svm_nested_state_data {
	__u8 vmcb12[KVM_STATE_NESTED_SVM_VMCB_SIZE];
};

struct kvm_svm_nested_state_hdr {
	__u64 vmcb_pa;			/* guest-physical */
};

/* The header is 128 bytes; the data after it does not count in the request's number. */
struct kvm_nested_state {
	__u16 flags;			/* KVM_STATE_NESTED_* */
	__u16 format;			/* KVM_STATE_NESTED_FORMAT_* */
	__u32 size;			/* in: room for all of it; out: what it takes */
	union {
		struct kvm_vmx_nested_state_hdr vmx;
		struct kvm_svm_nested_state_hdr svm;
		__u8 pad[120];
	} hdr;
	union {
		__DECLARE_FLEX_ARRAY(struct kvm_vmx_nested_state_data, vmx);
		__DECLARE_FLEX_ARRAY(struct kvm_svm_nested_state_data, svm);
	} data;
};

/* =================================== encrypted guests =================================== */

/* Commands of KVM_MEMORY_ENCRYPT_OP; most are the firmware's command of the same name. */
enum sev_cmd_id {
	/* a new VM */
	KVM_SEV_INIT			= 0,
	KVM_SEV_ES_INIT			= 1,
	KVM_SEV_INIT2			= 22,

	/* its first contents */
	KVM_SEV_LAUNCH_START		= 2,
	KVM_SEV_LAUNCH_UPDATE_DATA	= 3,
	KVM_SEV_LAUNCH_UPDATE_VMSA	= 4,
	KVM_SEV_LAUNCH_SECRET		= 5,
	KVM_SEV_LAUNCH_MEASURE		= 6,
	KVM_SEV_LAUNCH_FINISH		= 7,

	/* leaving for another host */
	KVM_SEV_SEND_START		= 8,
	KVM_SEV_SEND_UPDATE_DATA	= 9,
	KVM_SEV_SEND_UPDATE_VMSA	= 10,
	KVM_SEV_SEND_FINISH		= 11,
	KVM_SEV_SEND_CANCEL		= 21,

	/* coming from another host */
	KVM_SEV_RECEIVE_START		= 12,
	KVM_SEV_RECEIVE_UPDATE_DATA	= 13,
	KVM_SEV_RECEIVE_UPDATE_VMSA	= 14,
	KVM_SEV_RECEIVE_FINISH		= 15,

	/* looking at it */
	KVM_SEV_GUEST_STATUS		= 16,
	KVM_SEV_DBG_DECRYPT		= 17,
	KVM_SEV_DBG_ENCRYPT		= 18,
	KVM_SEV_CERT_EXPORT		= 19,
	KVM_SEV_GET_ATTESTATION_REPORT	= 20,

	/* SEV-SNP: its first contents */
	KVM_SEV_SNP_LAUNCH_START	= 100,
	KVM_SEV_SNP_LAUNCH_UPDATE	= 101,
	KVM_SEV_SNP_LAUNCH_FINISH	= 102,

	KVM_SEV_NR_MAX			= 103,
};

struct kvm_sev_cmd {
	__u32 id;			/* in: enum sev_cmd_id */
	__u32 pad0;
	__u64 data;			/* in: caller's address of the command's structure */
	__u32 error;			/* out: the firmware's answer */
	__u32 sev_fd;			/* in: /dev/sev */
};

/* Below, *_uaddr is a caller's address and *_len its bytes. INIT2 (in). */
struct kvm_sev_init {
	__u64 vmsa_features;
	__u32 flags;			/* 0 */
	__u16 ghcb_version;		/* 0: the default */
	__u16 pad1;
	__u32 pad2[8];
};

struct kvm_sev_launch_start {
	__u32 handle;			/* in and out: the firmware's */
	__u32 policy;
	__u64 dh_uaddr;
	__u32 dh_len;
	__u32 pad0;
	__u64 session_uaddr;
	__u32 session_len;
	__u32 pad1;
};

struct kvm_sev_launch_update_data {
	__u64 uaddr;
	__u32 len;
	__u32 pad0;
};

struct kvm_sev_launch_secret {
	__u64 hdr_uaddr;
	__u32 hdr_len;
	__u32 pad0;
	__u64 guest_uaddr;
	__u32 guest_len;
	__u32 pad1;
	__u64 trans_uaddr;
	__u32 trans_len;
	__u32 pad2;
};

struct kvm_sev_launch_measure {
	__u64 uaddr;
	__u32 len;			/* in: room; out: what it takes */
	__u32 pad0;
};

/* Out. */
struct kvm_sev_guest_status {
	__u32 handle;
	__u32 policy;
	__u32 state;
};

struct kvm_sev_dbg {
	__u64 src_uaddr;
	__u64 dst_uaddr;
	__u32 len;
	__u32 pad0;
};

struct kvm_sev_attestation_report {
	__u8  mnonce[16];
	__u64 uaddr;
	__u32 len;			/* in: room; out: what it takes */
	__u32 pad0;
};

struct kvm_sev_send_start {
	__u32 policy;
	__u32 pad0;
	__u64 pdh_cert_uaddr;
	__u32 pdh_cert_len;
	__u32 pad1;
	__u64 plat_certs_uaddr;
	__u32 plat_certs_len;
	__u32 pad2;
	__u64 amd_certs_uaddr;
	__u32 amd_certs_len;
	__u32 pad3;
	__u64 session_uaddr;
	__u32 session_len;
	__u32 pad4;
};

struct kvm_sev_send_update_data {
	__u64 hdr_uaddr;
	__u32 hdr_len;
	__u32 pad0;
	__u64 guest_uaddr;
	__u32 guest_len;
	__u32 pad1;
	__u64 trans_uaddr;
	__u32 trans_len;
	__u32 pad2;
};

struct kvm_sev_receive_start {
	__u32 handle;			/* in and out: the firmware's */
	__u32 policy;
	__u64 pdh_uaddr;
	__u32 pdh_len;
	__u32 pad0;
	__u64 session_uaddr;
	__u32 session_len;
	__u32 pad1;
};

struct kvm_sev_receive_update_data {
	__u64 hdr_uaddr;
	__u32 hdr_len;
	__u32 pad0;
	__u64 guest_uaddr;
	__u32 guest_len;
	__u32 pad1;
	__u64 trans_uaddr;
	__u32 trans_len;
	__u32 pad2;
};

struct kvm_sev_snp_launch_start {
	__u64 policy;
	__u8  gosvw[16];		/* guest-visible workarounds */
	__u16 flags;			/* 0 */
	__u8  pad0[6];
	__u64 pad1[4];
};

/* The firmware's page types. */
#define KVM_SEV_SNP_PAGE_TYPE_NORMAL		0x1
#define KVM_SEV_SNP_PAGE_TYPE_ZERO		0x3
#define KVM_SEV_SNP_PAGE_TYPE_UNMEASURED	0x4
#define KVM_SEV_SNP_PAGE_TYPE_SECRETS		0x5
#define KVM_SEV_SNP_PAGE_TYPE_CPUID		0x6

/* In, and out: what is left to be done. */
struct kvm_sev_snp_launch_update {
	__u64 gfn_start;		/* guest-physical page number */
	__u64 uaddr;
	__u64 len;
	__u8  type;			/* KVM_SEV_SNP_PAGE_TYPE_* */
	__u8  pad0;
	__u16 flags;			/* 0 */
	__u32 pad1;
	__u64 pad2[4];
};

/* Bytes. */
#define KVM_SEV_SNP_ID_BLOCK_SIZE	96
#define KVM_SEV_SNP_ID_AUTH_SIZE	4096
#define KVM_SEV_SNP_FINISH_DATA_SIZE	32

struct kvm_sev_snp_launch_finish {
	__u64 id_block_uaddr;
	__u64 id_auth_uaddr;
	__u8  id_block_en;
	__u8  auth_key_en;
	__u8  vcek_disabled;
	__u8  host_data[KVM_SEV_SNP_FINISH_DATA_SIZE];
	__u8  pad0[3];
	__u16 flags;			/* 0 */
	__u64 pad1[4];
};

/* ======================================== Hyper-V ======================================= */

/* In. */
struct kvm_hyperv_eventfd {
	__u32 conn_id;			/* within KVM_HYPERV_CONN_ID_MASK */
	__s32 fd;
	__u32 flags;			/* KVM_HYPERV_EVENTFD_* */
	__u32 padding[3];
};

#define KVM_HYPERV_CONN_ID_MASK		0x00ffffff
#define KVM_HYPERV_EVENTFD_DEASSIGN	(1 << 0)	/* take away */

/* ========================================== Xen ========================================= */

/* What KVM_CAP_XEN_HVM returns; flags of kvm_xen_hvm_config are among them. */
#define KVM_XEN_HVM_CONFIG_HYPERCALL_MSR	(1 << 0)	/* the MSR makes the page */
#define KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL	(1 << 1)	/* hypercalls exit */
#define KVM_XEN_HVM_CONFIG_SHARED_INFO		(1 << 2)
#define KVM_XEN_HVM_CONFIG_RUNSTATE		(1 << 3)
#define KVM_XEN_HVM_CONFIG_EVTCHN_2LEVEL	(1 << 4)	/* routes to event channels */
#define KVM_XEN_HVM_CONFIG_EVTCHN_SEND		(1 << 5)	/* KVM_XEN_HVM_EVTCHN_SEND */
#define KVM_XEN_HVM_CONFIG_RUNSTATE_UPDATE_FLAG	(1 << 6)
#define KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE	(1 << 7)	/* clock never called stable */
#define KVM_XEN_HVM_CONFIG_SHARED_INFO_HVA	(1 << 8)	/* pages by caller's address */

/* In. */
struct kvm_xen_hvm_config {
	__u32 flags;
	__u32 msr;			/* 0: none */
	__u64 blob_addr_32;		/* caller's addresses of the page's contents */
	__u64 blob_addr_64;
	__u8  blob_size_32;		/* pages */
	__u8  blob_size_64;
	__u8  pad2[30];
};

/* type of kvm_xen_hvm_attr, and the member of u. */
#define KVM_XEN_ATTR_TYPE_LONG_MODE		0x0	/* long_mode */
#define KVM_XEN_ATTR_TYPE_SHARED_INFO		0x1	/* shared_info.gfn */
#define KVM_XEN_ATTR_TYPE_UPCALL_VECTOR		0x2	/* vector */
#define KVM_XEN_ATTR_TYPE_EVTCHN		0x3	/* evtchn */
#define KVM_XEN_ATTR_TYPE_XEN_VERSION		0x4	/* xen_version */
#define KVM_XEN_ATTR_TYPE_RUNSTATE_UPDATE_FLAG	0x5	/* runstate_update_flag */
#define KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA	0x6	/* shared_info.hva */

/* evtchn.flags. */
#define KVM_XEN_EVTCHN_DEASSIGN		(1 << 0)
#define KVM_XEN_EVTCHN_UPDATE		(1 << 1)
#define KVM_XEN_EVTCHN_RESET		(1 << 2)

/* "No page". */
#define KVM_XEN_INVALID_GFN		((__u64)-1)
#define KVM_XEN_INVALID_GPA		((__u64)-1)

struct kvm_xen_hvm_attr {
	__u16 type;			/* in */
	__u16 pad[3];
	union {
		__u8  long_mode;
		__u8  vector;
		__u8  runstate_update_flag;
		union {
			__u64 gfn;
			__u64 hva;
		} shared_info;
		struct {		/* a port the guest sends on, and where that goes */
			__u32 send_port;
			__u32 type;	/* Xen's EVTCHNSTAT_ipi or _interdomain */
			__u32 flags;
			union {
				struct {		/* back to the guest */
					__u32 port;
					__u32 vcpu;
					__u32 priority;
				} port;
				struct {		/* to an eventfd */
					__u32 port;	/* 0 */
					__s32 fd;
				} eventfd;
				__u32 padding[4];
			} deliver;
		} evtchn;
		__u32 xen_version;
		__u64 pad[8];
	} u;
};

/* type of kvm_xen_vcpu_attr, and the member of u. */
#define KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO	0x0	/* gpa */
#define KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO	0x1	/* gpa */
#define KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR	0x2	/* gpa */
#define KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT	0x3	/* runstate.state */
#define KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA	0x4	/* runstate, as it is */
#define KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADJUST	0x5	/* runstate, to be added */
#define KVM_XEN_VCPU_ATTR_TYPE_VCPU_ID		0x6	/* vcpu_id */
#define KVM_XEN_VCPU_ATTR_TYPE_TIMER		0x7	/* timer */
#define KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR	0x8	/* vector */
#define KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA	0x9	/* hva */

struct kvm_xen_vcpu_attr {
	__u16 type;			/* in */
	__u16 pad[3];
	union {
		__u64 gpa;
		__u64 hva;		/* caller's address */
		__u64 pad[8];
		struct {		/* times in nanoseconds */
			__u64 state;
			__u64 state_entry_time;
			__u64 time_running;
			__u64 time_runnable;
			__u64 time_blocked;
			__u64 time_offline;
		} runstate;
		__u32 vcpu_id;		/* Xen's number of the vcpu */
		struct {
			__u32 port;
			__u32 priority;
			__u64 expires_ns;	/* guest time, 0: not armed */
		} timer;
		__u8 vector;
	} u;
};

#endif /* _ASM_X86_KVM_H */
