/* SPDX-License-Identifier: GPL-2.0 */
/*
 * x86's half of the contract: state of a VM and of a vcpu that is common to SVM and VMX, and
 * struct kvm_x86_ops, the only way in which common code calls a vendor module. Functions of the
 * common code are declared in arch/x86/kvm/x86.h, those of the MMU in arch/x86/kvm/mmu/mmu.h.
 */
#ifndef _ASM_X86_KVM_HOST_H
#define _ASM_X86_KVM_HOST_H

#include <linux/hash.h>
#include <linux/hrtimer.h>
#include <linux/kvm.h>
#include <linux/kvm_types.h>
#include <linux/kvm_stats.h>
#include <linux/list.h>
#include <linux/static_call.h>
#include <linux/tracepoint.h>
#include <linux/workqueue.h>
#include <asm/desc.h>
#include <asm/fpu/api.h>
#include <asm/kvm_guest_paging.h>
#include <asm/kvm_para.h>
#include <asm/msr-index.h>
#include <asm/mtrr.h>
#include <asm/processor.h>

struct kvm_memory_slot;
struct kvm_x86_emulation;
struct emu_segment;

#define KVM_NR_IRQCHIPS		3	/* PIC master, PIC slave, IOAPIC */
#define KVM_IRQCHIP_PINS	24
#define KVM_MAX_VCPUS		1024
#define KVM_HALT_POLL_NS_DEFAULT 200000
#define KVM_MAX_VCPU_IDS	4096
#define KVM_MAX_NR_ADDRESS_SPACES 2	/* system management mode has one of its own */

/* Pages of the vcpu mapping: kvm_run, PIO data, coalesced ring. */
#define KVM_PIO_PAGE_OFFSET	1
#define KVM_COALESCED_MMIO_PAGE_OFFSET 2

/* ---- requests (bits of vcpu->requests) ------------------------------------------------------ */

#define KVM_REQ_EVENT		(KVM_REQ_ARCH_BASE + 0)	/* look for an event to inject */
#define KVM_REQ_NMI		(KVM_REQ_ARCH_BASE + 1)	/* arch.nmi_queued may be non-zero */
#define KVM_REQ_TRIPLE_FAULT	(KVM_REQ_ARCH_BASE + 2)
#define KVM_REQ_MMU_ROOT	(KVM_REQ_ARCH_BASE + 3)	/* load a page table root before entry */
#define KVM_REQ_TLB_FLUSH_GUEST	(KVM_REQ_ARCH_BASE + 4)	/* as the guest's own CR3 load would */
#define KVM_REQ_LAPIC_TIMER	(KVM_REQ_ARCH_BASE + 5)	/* the local APIC's timer ran out */
#define KVM_REQ_IOAPIC_EOI	(KVM_REQ_ARCH_BASE + 6)	/* tell userspace's IOAPIC of arch.eoi_vector */
#define KVM_REQ_REPORT_TPR	(KVM_REQ_ARCH_BASE + 8)	/* tell userspace of a TPR access */
#define KVM_REQ_INTERCEPTS	(KVM_REQ_ARCH_BASE + 7)	/* recompute the vendor's MSR intercepts */
#define KVM_REQ_CLOCK		(KVM_REQ_ARCH_BASE + 9)	/* write the guest's clock page */
#define KVM_REQ_STEAL_TIME	(KVM_REQ_ARCH_BASE + 10) /* tell the guest how long it waited */
#define KVM_REQ_XEN		(KVM_REQ_ARCH_BASE + 11) /* pv/xen.c: timer, events, runstate */
#define KVM_REQ_SMI		(KVM_REQ_ARCH_BASE + 12) /* an SMI has come */
#define KVM_REQ_DIRTY_LOGGING	(KVM_REQ_ARCH_BASE + 13) /* slots are logged, or no longer */

/* ---- registers -------------------------------------------------------------------------------- */

/* General registers, in the order of the ModRM encoding (APM 3, 1.4.1). */
enum kvm_gpr {
	KVM_RAX, KVM_RCX, KVM_RDX, KVM_RBX, KVM_RSP, KVM_RBP, KVM_RSI, KVM_RDI,
	KVM_R8, KVM_R9, KVM_R10, KVM_R11, KVM_R12, KVM_R13, KVM_R14, KVM_R15,
	KVM_NR_GPRS
};

/* Segment registers in the order of the encoding (ES..GS), then LDTR and TR. */
enum kvm_seg { KVM_ES, KVM_CS, KVM_SS, KVM_DS, KVM_FS, KVM_GS, KVM_LDTR, KVM_TR, KVM_NR_SEGS };

/* State that the vendor reads from hardware only when asked for: bits of arch.stale. */
enum kvm_lazy_state { KVM_LAZY_CR0, KVM_LAZY_CR3, KVM_LAZY_CR4, KVM_LAZY_PDPTRS };

/* ---- events ----------------------------------------------------------------------------------- */

struct kvm_exception {
	bool pending;		/* raised, its side effects (payload) not yet delivered */
	bool injected;		/* being delivered: side effects done, the vendor has or had it */
	bool has_error_code;
	bool has_payload;
	u8 vector;
	u32 error_code;
	u64 payload;		/* CR2 for #PF, DR6 bits for #DB */
};

struct kvm_interrupt_event {
	bool injected;		/* to be delivered, or delivery was cut short */
	bool soft;		/* by an INT n instruction */
	u8 nr;
};

/* ---- CPUID -------------------------------------------------------------------------------------- */

#define KVM_MAX_CPUID_ENTRIES	256

/* Words of guest-visible features that hot or common code asks about (cpu/cpuid.h has the accessors). */
enum kvm_cpuid_word {
	KVM_CPUID_1_ECX, KVM_CPUID_1_EDX, KVM_CPUID_7_0_EBX, KVM_CPUID_7_0_ECX, KVM_CPUID_7_0_EDX,
	KVM_CPUID_7_1_EAX, KVM_CPUID_D_1_EAX, KVM_CPUID_8000_0001_ECX, KVM_CPUID_8000_0001_EDX,
	KVM_CPUID_8000_0007_EDX, KVM_CPUID_8000_0008_EBX, KVM_CPUID_8000_000A_EDX,
	KVM_CPUID_8000_0021_EAX, KVM_CPUID_7_1_EDX, KVM_CPUID_7_2_EDX, KVM_CPUID_6_EAX,
	KVM_CPUID_NR_WORDS
};

struct kvm_guest_cpuid {
	struct kvm_cpuid_entry2 *entries;	/* as userspace set them */
	unsigned int nent;
	u32 words[KVM_CPUID_NR_WORDS];		/* features of the guest, straight from the entries */
	/* index + 1 into entries of the first entry of a leaf: 0x0..0x1f and 0x80000000..0x8000001f */
	u16 basic[32], extended[32];
	u8 maxphyaddr;
	bool vendor_amd;			/* AMD or Hygon: AMD's rules for the leaf range and SYSCALL */
	u32 max_basic, max_extended;
	u64 xcr0_allowed, xss_allowed;		/* XCR0/XSS bits the guest may set */
	u64 cr4_reserved;			/* bits of CR4 that the guest may not set */
	u64 gpa_reserved;			/* physical address bits beyond maxphyaddr */
	u32 pv_features;			/* EAX of the leaf KVM_CPUID_FEATURES */
};

/* ---- MMU ---------------------------------------------------------------------------------------- */

#define KVM_MAX_HUGE_LEVEL	3	/* 1: 4 KiB, 2: 2 MiB, 3: 1 GiB */

/* The entries that map a frame, or that point to a table; mmu/rmap.c. */
struct kvm_rmap {
	unsigned long val;
};

struct kvm_arch_memory_slot {
	u8 max_level;		/* largest page that gfn and hva are aligned alike for; mmu/huge.c */
	/* With shadow paging only, by level - 1, an element for each page of that size; mmu_lock. */
	struct kvm_rmap *rmap[KVM_MAX_HUGE_LEVEL];
	u32 *tables[KVM_MAX_HUGE_LEVEL];	/* guest tables in it that must not be written unseen */
};

/*
 * What a table of shadow paging depends on besides the guest's own table: tables are shared where
 * this is the same. A mode has level, quadrant, access, direct and key zero.
 */
union kvm_mmu_role {
	u32 word;
	struct {
		u32 level : 3;		/* of the entries in the table */
		u32 guest_levels : 3;	/* 0: the guest does not page */
		u32 quadrant : 2;	/* two levels: which part of the guest's table of 1,024 entries */
		u32 access : 3;		/* KVM_ACCESS_*: what the levels above allow */
		u32 direct : 1;		/* translates frames that follow each other, no guest table */
		u32 as_id : 1;
		u32 pse : 1;
		u32 nx : 1;
		u32 wp : 1;
		u32 smep : 1;		/* this and the next are 0 unless wp is, where they matter */
		u32 smap : 1;
		u32 pke : 1;
		u32 key : 4;		/* of a direct table under protection keys */
	};
};

#define KVM_ACCESS_WRITE	BIT(0)
#define KVM_ACCESS_USER		BIT(1)
#define KVM_ACCESS_FETCH	BIT(2)
#define KVM_ACCESS_ALL		(KVM_ACCESS_WRITE | KVM_ACCESS_USER | KVM_ACCESS_FETCH)

#define KVM_MMU_CACHE_OBJS	(2 * KVM_PT_LEVELS)
/* Objects allocated ahead of a fault, because mmu_lock forbids it later. */
struct kvm_mmu_cache {
	unsigned int nr;
	void *obj[KVM_MMU_CACHE_OBJS];
};

/* Guest frames known to be MMIO in this version of the slots; mmu/fault.c. */
#define KVM_MMIO_CACHE_BITS	4
struct kvm_mmio_cache {
	u64 generation;
	u64 key[1 << KVM_MMIO_CACHE_BITS];	/* 0 when empty */
};

struct kvm_mmu_page;

struct kvm_vcpu_mmu {
	hpa_t root;			/* as handed to the vendor; INVALID_PAGE: none */
	struct kvm_mmu_page *root_page;	/* may be used while generation is the VM's */
	u64 generation;
	u8 root_level;
	struct kvm_guest_paging guest;	/* recomputed when CR0, CR4 or EFER change */
	struct kvm_mmu_cache table_cache;	/* zeroed pages */
	struct kvm_mmu_cache header_cache;	/* struct kvm_mmu_page */
	struct kvm_mmio_cache mmio;
	u64 pdptrs[4];

	/* Shadow paging (mmu/shadow_root.c) */
	union kvm_mmu_role mode;		/* that the guest is in */
	union kvm_mmu_role top_mode;		/* that the tops were made for */
	u64 top_key[4];				/* and of which tables: CR3, or PAE's pointers */
	struct kvm_mmu_page *top[4];		/* one, or PAE's four; references */
	u64 *legacy_root;			/* PAE's four pointers, below 4 GiB */
	struct kvm_mmu_cache chunk_cache;	/* of mmu/rmap.c */
};

/* Pages of ours that a processor wants to find in guest memory, where no slot is; mmu/fixed.c. */
enum kvm_fixed_use {
	KVM_FIXED_APIC,			/* stands for the local APIC's registers */
	KVM_FIXED_IDENTITY,		/* page table of an unpaged guest */
	KVM_FIXED_TSS,			/* and two more: of a guest in real mode */
	KVM_NR_FIXED_PAGES = KVM_FIXED_TSS + 3
};

struct kvm_fixed_page {
	gfn_t gfn;
	struct page *page;		/* NULL: not in use */
};

/* Of a VM; guarded by mmu_lock unless said otherwise (mmu/). */
struct kvm_vm_mmu {
	struct list_head roots;		/* struct kvm_mmu_page, one for each address space in use */
	struct list_head pages;		/* the other table pages, oldest first */
	spinlock_t pages_lock;		/* the list and nr_pages, with mmu_lock held for read */
	unsigned long nr_pages;
	unsigned long max_pages;	/* KVM_SET_NR_MMU_PAGES; 0: no limit */
	bool max_pages_set;		/* by userspace; slots_lock */
	u64 generation;			/* of the roots; vcpus with an older one must load again */
	struct kvm_fixed_page fixed[KVM_NR_FIXED_PAGES];	/* set before any vcpu looks */

	/* Tables where there would be huge pages if these could be executed (nx_huge.c) */
	bool nx_huge_off;		/* they can: KVM_CAP_VM_DISABLE_NX_HUGE_PAGES, before vcpus */
	struct list_head nx_splits;	/* oldest first; also guarded as pages is, and their number */
	struct delayed_work nx_recovery;

	/* Shadow paging */
	struct hlist_head *hash;	/* tables by guest frame; set once */
	struct list_head unsync;	/* tables whose guest tables may be written */
	unsigned long nr_unsync;
	unsigned long nr_tracked;	/* tables whose guest tables may not */
	unsigned long nr_homeless;	/* tables whose guest tables are not in a slot */
};

/* ---- kvmclock (pv/clock.c) ---------------------------------------------------------------------- */

struct kvm_clock_scale {
	u32 mul;			/* ns = cycles * 2^shift * mul / 2^32 */
	s8 shift;
};

struct kvm_vm_clock {
	raw_spinlock_t lock;		/* the fields below, unless said otherwise */
	bool used;			/* some vcpu has had a clock page; never false again, no lock */
	bool shared;			/* tsc and ns below are the moment of all vcpus */
	bool step_known, in_step;	/* all vcpus have the same TSC offset; step_known: as far as known */
	struct kvm_clock_scale scale;	/* of the host's TSC; never changes */
	u64 offset;			/* the clock less the host's unslewed time since boot */
	u64 tsc, ns;			/* the host's TSC and the clock at the same moment */
	u64 generation;			/* how often the clock was set */
	u64 wall_msr;			/* as written last; no lock */
};

/* The owner's. */
struct kvm_vcpu_clock {
	u64 msr;			/* the page's address and KVM_MSR_ENABLED */
	bool stopped;			/* tell the guest that it was: KVM_KVMCLOCK_CTRL */
	bool shared;			/* the page shows the VM's moment; the rest is of the last write */
	int cpu;
	u64 tsc, ns, tsc_offset;
	struct kvm_clock_scale scale;	/* of the guest's TSC */
	u64 written;			/* host TSC */
	u64 generation;
	u64 seen;			/* nanoseconds that the guest may have read already */
};

/* Steal time (pv/steal_time.c); the owner's. */
struct kvm_vcpu_steal {
	u64 msr;
	u64 run_delay;			/* of the thread, as accounted so far */
	struct pid *thread;		/* to compare with, no reference */
	bool reported_preempted;
};

/* Services that are no more than a value (pv/features.c, pv/hypercall.c); the owner's. */
struct kvm_vcpu_pv {
	bool enforced;			/* what the guest's CPUID does not name does not exist */
	bool unhalted;			/* a halt is over, or the next one will be; set by anybody */
	u8 poll_control;		/* MSR_KVM_POLL_CONTROL */
};

/* End of interrupt without an exit (pv/eoi.c); the owner's. */
struct kvm_vcpu_pv_eoi {
	u64 msr;			/* the word's address and KVM_MSR_ENABLED */
	bool wanted;			/* it is to be used */
};

/* Asynchronous page faults (pv/async_pf.c); the owner's. */
struct kvm_vcpu_apf {
	u64 en_msr, int_msr;
	u32 sequence;			/* of tokens */
	bool waiting;			/* for a page, in the fault: only an event goes before it */
	bool unacknowledged;		/* "ready" was said, and its token not yet taken */
	bool wake_all;			/* tell the guest to look after all its pages */
};

/*
 * Xen guests (pv/xen*.c). Addresses are XEN_NOWHERE, or as in pv/xen.h; who reads one holds kvm->srcu.
 */
struct kvm_vm_xen {
	struct mutex lock;		/* changes */
	bool used;			/* counted in the key; never false again */
	bool long_mode;			/* the guest's longs have 64 bits */
	bool runstate_update_flag;
	u8 upcall_vector;		/* 0: none */
	u32 version;			/* what the guest is told to run on; 0: userspace answers */
	u64 shared_info;
	struct kvm_xen_hvm_config config;
	struct xarray outbound;		/* struct xen_outbound by the port that the guest sends on */
};

struct kvm_vcpu_xen {
	u64 info, time_info, runstate_area;	/* written by the owner */
	u64 pending_sel;		/* words of event bits to be told of; atomic bits, anybody's */
	u32 vcpu_id;			/* in the guest's eyes */
	u8 upcall_vector;		/* of the local APIC; 0: none */
	bool info_present;		/* info could be read lately */
	bool polling;			/* in SCHEDOP_poll; owner */
	bool poll_event;		/* something came up; set by anybody */
	bool poll_timeout;
	bool timer_fired;
	u32 timer_port;			/* 0: the guest's timer is userspace's */
	u64 timer_expires;		/* of the guest's clock; 0: not armed */
	struct hrtimer timer, poll_timer;
	unsigned long hypercall_rip;
	/* How long it has been in which state, up to entry_time of the guest's clock; the owner's. */
	u32 runstate;
	u64 entry_time, times[4];
	u64 run_delay;			/* of the thread, as accounted so far */
	struct pid *thread;		/* to compare with, no reference */
};

#define KVM_POLL_CONTROL_HOST	BIT_ULL(0)	/* the host may poll when the vcpu halts */

/* ---- vcpu --------------------------------------------------------------------------------------- */

struct kvm_vcpu_arch {
	/* Always current while the vcpu is out of the guest. */
	unsigned long regs[KVM_NR_GPRS];
	unsigned long rip;
	unsigned long rflags;
	unsigned long cr2;

	/*
	 * Guest-visible control registers. Read through kvm_read_cr0/3/4() since a bit may be
	 * stale; written through cpu/control_regs.c, which tells the vendor.
	 */
	unsigned long cr0, cr3, cr4, cr8;
	u64 efer;
	u64 xcr0;
	u64 ia32_xss;
	u32 stale;			/* enum kvm_lazy_state */
	u32 hflags;			/* KVM_HF_* */
	u64 apic_base;
	u64 pat;

	struct kvm_exception exception;
	struct kvm_interrupt_event interrupt;
	u8 nmi_pending;			/* to be injected, owner only */
	bool nmi_injected;
	bool delivery_cut;		/* what is injected was under way when the last exit came */
	atomic_t nmi_queued;		/* raised by others, at most 2 count */
	bool smi_pending;		/* system management mode, cpu/smm.c; owner only */
	bool smi_in_halt;		/* it came while the guest was halted */
	bool bus_locked;		/* by the guest, which userspace wants to know */
	u32 mp_state;
	struct kvm_lapic *lapic;	/* NULL: userspace has the interrupt controllers */
	u8 eoi_vector;			/* of KVM_REQ_IOAPIC_EOI */
	/*
	 * Interrupts may have ended unseen, because the word of pv_eoi had its bit set or because the
	 * processor delivers: kvm_lapic_settle() before the APIC is looked at.
	 */
	bool apic_away;
	gpa_t vapic_addr;		/* KVM_SET_VAPIC_ADDR; 0: none */
	bool report_tpr;		/* KVM_TPR_ACCESS_REPORTING */
	bool tpr_blocks;		/* an interrupt waits for a lower TPR: CR8 writes are to exit */
	bool note_quiescent;		/* tell RCU at the next entry: an interrupt ended the last one */
	bool must_exit;			/* an event waits behind the one being injected */

	struct kvm_guest_cpuid cpuid;
	struct kvm_vcpu_mmu mmu;

	/* FPU (cpu/fpu.c) */
	struct fpu_guest guest_fpu;
	bool fpu_loaded;		/* guest's registers are in the processor */
	u32 pkru, host_pkru;

	/* debug registers (cpu/debug.c) */
	unsigned long db[4];
	unsigned long dr6, dr7;
	unsigned long effective_db[4];	/* what is loaded: the guest's or userspace's */
	u32 switch_db_regs;		/* KVM_DEBUGREG_* */
	u32 guest_debug;		/* KVM_GUESTDBG_* */
	unsigned long guest_debug_dr7;
	unsigned long singlestep_rip;

	/* TSC (cpu/tsc.c) */
	u64 tsc_offset;			/* guest TSC = (host TSC * ratio) + offset */
	u64 tsc_ratio;			/* with kvm_hw.tsc_ratio_bits of fraction; 0 is the ratio 1 */
	u32 tsc_khz;			/* 0 never: the VM's default until set */
	u64 ia32_tsc_adjust;
	u64 tsc_aux;
	u64 last_host_tsc;		/* when it was put */

	struct kvm_vcpu_clock clock;	/* pv/clock.c */
	struct kvm_vcpu_steal steal;	/* pv/steal_time.c */
	struct kvm_vcpu_pv pv;		/* pv/features.c */
	struct kvm_vcpu_pv_eoi pv_eoi;	/* pv/eoi.c */
	struct kvm_vcpu_apf apf;	/* pv/async_pf.c */
	struct kvm_vcpu_xen xen;	/* pv/xen.c */

	/* other MSRs that live in memory (cpu/msr.c) */
	u64 ia32_misc_enable;
	u64 microcode_version;
	u64 arch_capabilities;
	u64 spec_ctrl;
	u64 msr_hwcr, msr_de_cfg;
	u64 osvw_length, osvw_status;
	u64 msr_platform_info, msr_misc_features_enables, power_ctl;
	u64 smbase, smi_count;
	u64 mtrr_def_type, mtrr_fixed[11], mtrr_var[16];
	u64 mcg_cap, mcg_status, mcg_ctl;
	u64 *mce_banks;			/* 4 words a bank: CTL, STATUS, ADDR, MISC */

	/* userspace completion (exit.c); called with the vcpu loaded at the next KVM_RUN */
	int (*complete_io)(struct kvm_vcpu *vcpu);
	struct {
		u16 port;
		u8 size;
		bool in;
		u32 count;
		unsigned long rip, next_rip;	/* of the IN or OUT, and after it */
	} pio;
	void *pio_data;			/* the PIO page of the vcpu mapping */
	struct kvm_x86_emulation *emulation;	/* insn.c: allocated at the first emulation */
};

#define KVM_HF_SMM		BIT(1)
#define KVM_HF_SMM_INSIDE_NMI	BIT(2)	/* NMIs were masked when it came to that */

/* The address space of a vcpu's accesses: SMRAM exists only in address space 1. */
#define kvm_arch_vcpu_as_id(vcpu)	(!!((vcpu)->arch.hflags & KVM_HF_SMM))

#define KVM_DEBUGREG_LOADED	BIT(0)	/* hardware holds the guest's breakpoints; read back on exit */
#define KVM_DEBUGREG_BP		BIT(1)	/* some breakpoint is enabled: load DR0-3 before entry */

enum kvm_irqchip_mode {
	KVM_IRQCHIP_NONE,	/* all in userspace */
	KVM_IRQCHIP_SPLIT,	/* local APICs here, the rest in userspace */
	KVM_IRQCHIP_KERNEL,
};

struct apic_map;
struct kvm_msr_filter_table;
struct kvm_irqchips;
struct kvm_lapic;
struct kvm_pit_device;

struct kvm_arch {
	unsigned long vm_type;
	struct kvm_vm_mmu mmu;
	u32 default_tsc_khz;
	u64 disabled_quirks;
	bool exit_on_emulation_error;
	u32 user_space_msrs;			/* KVM_MSR_EXIT_REASON_* that userspace wants to see */
	struct kvm_msr_filter_table __rcu *msr_filter;	/* NULL: all allowed; set under kvm->lock */
	bool exception_payload_enabled;
	bool triple_fault_event;
	bool platform_info_hidden;	/* KVM_CAP_MSR_PLATFORM_INFO: the guest must not read it */
	u32 bsp_vcpu_id;
	bool bus_lock_exits;		/* KVM_CAP_X86_BUS_LOCK_EXIT; of vcpus to come */
	u32 notify_flags, notify_window; /* KVM_CAP_X86_NOTIFY_VMEXIT; before there is a vcpu */
	bool hw_posts;			/* others than us post interrupts to vcpus; the vendor's */
	u64 *ipi_targets;		/* vmx/ipi.c */

	/* Interrupt controllers (irqchip/). The mode is set once, under kvm->lock, before any vcpu. */
	enum kvm_irqchip_mode irqchip_mode;
	struct kvm_irqchips *irqchips;		/* PIC and IOAPIC, with KVM_IRQCHIP_KERNEL */
	struct kvm_pit_device *pit;		/* kvm->lock */
	struct apic_map __rcu *apic_map;	/* who has which id; replaced under the lock */
	struct mutex apic_map_lock;
	u64 x2apic_api;				/* KVM_CAP_X2APIC_API's flags */
	u32 apic_bus_ns;			/* period of the APIC timers' clock; set before vcpus */
	u32 userspace_pins;			/* split: so many GSIs are pins of userspace's IOAPIC */
	u32 exits_disabled;			/* KVM_X86_DISABLE_EXITS_*, of vcpus to come */
	u32 max_vcpu_ids;
	raw_spinlock_t tsc_lock;	/* the fields below */
	u64 tsc_generation;		/* writes that did not join the vcpus before; 0: none yet */
	u64 tsc_offset, tsc_ratio;	/* of the last of them */
	bool tsc_user_set;		/* it was userspace's */
	struct kvm_vm_clock clock;
	struct kvm_vm_xen xen;
	u64 exit_hypercalls;		/* KVM_CAP_EXIT_HYPERCALL: those that are userspace's */
	u64 migration_control;		/* MSR_KVM_MIGRATION_CONTROL */
};

/* Per VM and vcpu statistics; cpu-independent part first (linux/kvm_stats.h). Names are ABI. */
struct kvm_vm_stat {
	struct kvm_vm_stat_generic generic;
	u64 mmu_shadow_zapped, mmu_pte_write, mmu_pde_zapped, mmu_flooded, mmu_recycled;
	u64 mmu_cache_miss, mmu_unsync;
	atomic64_t pages_4k, pages_2m, pages_1g;
	u64 nx_lpage_splits, max_mmu_page_hash_collisions, max_mmu_rmap_size;
};

struct kvm_vcpu_stat {
	struct kvm_vcpu_stat_generic generic;
	u64 pf_taken, pf_fixed, pf_emulate, pf_spurious, pf_fast, pf_mmio_spte_created, pf_guest;
	u64 tlb_flush, invlpg;
	u64 exits, io_exits, mmio_exits, signal_exits, irq_window_exits, nmi_window_exits;
	u64 l1d_flush, halt_exits, request_irq_exits, irq_exits, host_state_reload, fpu_reload;
	u64 insn_emulation, insn_emulation_fail, hypercalls, irq_injections, nmi_injections;
	u64 req_event, nested_run, directed_yield_attempted, directed_yield_successful;
	u64 preemption_reported, preemption_other, guest_mode, notify_window_exits;
};

/* ---- the vendor's table ---------------------------------------------------------------------------- */

/* Why the last entry ended, for tracing and error reports. */
struct kvm_exit_info {
	u32 reason;
	u64 info1, info2;
	u32 intr_info, error_code;
};

/* What enter() asks of the run loop. */
enum kvm_entry_result {
	KVM_ENTRY_EXITED,	/* call handle_exit() */
	KVM_ENTRY_REENTER,	/* handled already with interrupts off: enter again if nothing is pending */
};

/*
 * Unless said otherwise: called by the owner of the vcpu, loaded, preemptible.
 * Hot members are called through vendor(name)(...), which is a static call.
 */
struct kvm_x86_ops {
	const char *name;
	unsigned int vcpu_size, vcpu_align;

	/* this processor, interrupts off */
	int (*cpu_enable)(void);
	void (*cpu_disable)(void);

	int (*vm_create)(struct kvm *kvm);
	void (*vm_destroy)(struct kvm *kvm);
	int (*vcpu_create)(struct kvm_vcpu *vcpu);
	void (*vcpu_destroy)(struct kvm_vcpu *vcpu);
	/* power-up state (APM 2, 14.1.3); @init: INIT instead of RESET */
	void (*vcpu_reset)(struct kvm_vcpu *vcpu, bool init);
	/* preemption off */
	void (*vcpu_load)(struct kvm_vcpu *vcpu, int cpu);
	void (*vcpu_put)(struct kvm_vcpu *vcpu);

	/* Interrupts off from here to the end of enter(): host state the guest's entry needs saved. */
	void (*prepare_entry)(struct kvm_vcpu *vcpu);
	enum kvm_entry_result (*enter)(struct kvm_vcpu *vcpu, bool must_exit_at_once);
	/* 1: go on; 0: to userspace, run->exit_reason set; negative errno */
	int (*handle_exit)(struct kvm_vcpu *vcpu);
	/* interrupts off, right after enter(): give NMI, machine check to the host */
	void (*handle_host_event)(struct kvm_vcpu *vcpu);
	void (*exit_info)(struct kvm_vcpu *vcpu, struct kvm_exit_info *info);
	/* advance RIP over the instruction that exited; 1, or 0/-errno like handle_exit */
	int (*skip_insn)(struct kvm_vcpu *vcpu);

	void (*get_segment)(struct kvm_vcpu *vcpu, enum kvm_seg seg, struct kvm_segment *s);
	/* the same in the emulator's format, which is nearly the hardware's */
	void (*read_segment)(struct kvm_vcpu *vcpu, enum kvm_seg seg, struct emu_segment *s);
	void (*set_segment)(struct kvm_vcpu *vcpu, enum kvm_seg seg, const struct kvm_segment *s);
	unsigned long (*segment_base)(struct kvm_vcpu *vcpu, enum kvm_seg seg);
	int (*cpl)(struct kvm_vcpu *vcpu);
	void (*get_gdt)(struct kvm_vcpu *vcpu, struct desc_ptr *dt);
	void (*set_gdt)(struct kvm_vcpu *vcpu, const struct desc_ptr *dt);
	void (*get_idt)(struct kvm_vcpu *vcpu, struct desc_ptr *dt);
	void (*set_idt)(struct kvm_vcpu *vcpu, const struct desc_ptr *dt);

	/* values are checked already; the vendor updates arch.cr0 etc. and its own structure */
	void (*set_cr0)(struct kvm_vcpu *vcpu, unsigned long cr0);
	void (*set_cr3)(struct kvm_vcpu *vcpu, unsigned long cr3);
	void (*set_cr4)(struct kvm_vcpu *vcpu, unsigned long cr4);
	void (*set_efer)(struct kvm_vcpu *vcpu, u64 efer);
	void (*set_dr7)(struct kvm_vcpu *vcpu, unsigned long dr7);	/* arch.dr7/guest_debug changed */
	void (*sync_debug_regs)(struct kvm_vcpu *vcpu);	/* read DR0-3, 6, 7 back, trap them again */
	/* read one stale register into arch, clear its bit */
	void (*read_lazy)(struct kvm_vcpu *vcpu, enum kvm_lazy_state what);
	bool (*cr4_valid)(struct kvm_vcpu *vcpu, unsigned long cr4);	/* the vendor's own limits */

	/* 0; 1 when the MSR is not the vendor's (or value bad: #GP); host: access by userspace */
	int (*get_msr)(struct kvm_vcpu *vcpu, u32 index, u64 *data, bool host);
	int (*set_msr)(struct kvm_vcpu *vcpu, u32 index, u64 data, bool host);
	bool (*has_msr)(u32 index);		/* the vendor emulates it: it belongs in the MSR list */
	int (*get_feature_msr)(u32 index, u64 *data);
	void (*update_msr_intercepts)(struct kvm_vcpu *vcpu);

	/* events */
	void (*inject_exception)(struct kvm_vcpu *vcpu);	/* arch.exception */
	void (*inject_interrupt)(struct kvm_vcpu *vcpu, bool reinjected);	/* arch.interrupt */
	void (*inject_nmi)(struct kvm_vcpu *vcpu);
	void (*cancel_injection)(struct kvm_vcpu *vcpu);	/* put it back into arch.* */
	bool (*interrupt_allowed)(struct kvm_vcpu *vcpu);
	bool (*nmi_allowed)(struct kvm_vcpu *vcpu);
	void (*open_irq_window)(struct kvm_vcpu *vcpu);	/* exit when interrupt_allowed */
	void (*open_nmi_window)(struct kvm_vcpu *vcpu);
	u32 (*interrupt_shadow)(struct kvm_vcpu *vcpu);	/* KVM_X86_SHADOW_INT_* */
	void (*set_interrupt_shadow)(struct kvm_vcpu *vcpu, u32 mask);
	bool (*get_nmi_mask)(struct kvm_vcpu *vcpu);
	void (*set_nmi_mask)(struct kvm_vcpu *vcpu, bool masked);
	void (*update_exception_intercepts)(struct kvm_vcpu *vcpu);
	void (*update_cr8_intercept)(struct kvm_vcpu *vcpu);	/* arch.tpr_blocks, or by what */
	/* arch.apic_base, or what else decides what of the APIC is the processor's; or NULL */
	void (*apic_mode_changed)(struct kvm_vcpu *vcpu);
	/* Who has which id and is enabled has changed; under apic_map_lock, or NULL */
	void (*apic_map_changed)(struct kvm *kvm);
	/* There is news in the inbox of a local APIC that the processor fetches from. Anybody. */
	void (*notify_posted)(struct kvm_vcpu *vcpu);
	/* With kvm_hw.posts_devices: an interrupt of the host goes to the vcpu; NULL: or to the host again. */
	void (*post_device)(struct kvm *kvm, int host_irq, struct kvm_vcpu *vcpu, u8 vector);

	/* translations */
	void (*flush_tlb_all)(struct kvm_vcpu *vcpu);	/* all this vcpu may have cached, guest-physical too */
	void (*flush_tlb_guest)(struct kvm_vcpu *vcpu);	/* linear addresses only, if it can */
	void (*flush_tlb_page)(struct kvm_vcpu *vcpu, gva_t gva);
	void (*load_root)(struct kvm_vcpu *vcpu, hpa_t root, int level);
	/* KVM_REQ_DIRTY_LOGGING, asked for only where the processor logs writes. 0 / -errno. Sleeps. */
	int (*dirty_logging_changed)(struct kvm_vcpu *vcpu);

	void (*write_tsc_offset)(struct kvm_vcpu *vcpu, u64 offset);
	void (*write_tsc_ratio)(struct kvm_vcpu *vcpu);		/* arch.tsc_ratio; with kvm_hw.tsc_ratio_bits */
	void (*cpuid_changed)(struct kvm_vcpu *vcpu);
	/* clears and sets bits of the features offered (cpu/cpuid.c: kvm_cpu_cap_*) */
	void (*init_cpu_caps)(void);
	int (*set_tss_addr)(struct kvm *kvm, unsigned int addr);
	int (*set_identity_map_addr)(struct kvm *kvm, u64 addr);
	void (*patch_hypercall)(struct kvm_vcpu *vcpu, u8 insn[3]);
};

extern struct kvm_x86_ops kvm_x86_ops;

/* Members called at every exit go through static calls; main.c defines and fills them. */
#define KVM_X86_HOT_OPS(x)	\
	x(vcpu_load) x(vcpu_put) x(prepare_entry) x(enter) x(handle_exit) x(handle_host_event)	\
	x(skip_insn) x(cpl) x(segment_base) x(get_segment) x(read_segment)			\
	x(interrupt_allowed) x(interrupt_shadow) x(set_interrupt_shadow)

#define KVM_X86_DECLARE_HOT(op)	\
	DECLARE_STATIC_CALL(kvm_x86_hot_##op, *((struct kvm_x86_ops *)NULL)->op);
KVM_X86_HOT_OPS(KVM_X86_DECLARE_HOT)
#undef KVM_X86_DECLARE_HOT

#define vendor(op)	static_call(kvm_x86_hot_##op)

/* Facts about the processor and choices of the vendor module, set once at its load. */
struct kvm_x86_hw {
	bool npt;			/* two-dimensional paging in use */
	bool has_decode_assists;
	bool nrips;
	bool virtual_tpr;		/* the processor does accesses to a TPR in the APIC's page */
	bool posts_devices;		/* interrupts of devices may go to vcpus past the host */
	int max_tdp_level;
	int max_huge_level;		/* KVM_MAX_HUGE_LEVEL, or less */
	u8 host_phys_bits;
	bool tells_bus_locks;		/* can exit after an instruction that locked the bus */
	bool notifies;			/* can exit when a guest has no interrupt window for long */
	u8 tsc_ratio_bits;		/* fraction of what the guest's TSC may be multiplied by; 0: by nothing */
	u8 shadow_phys_bits;		/* without the memory encryption bits */
	u64 host_efer, host_xcr0, host_xss;
	u64 supported_xcr0, supported_xss;
	u64 efer_reserved;		/* bits of EFER that no guest may set */
	u64 cr4_reserved;		/* bits of CR4 that no guest may set */
	u64 supported_mce_cap;
	u64 host_arch_capabilities;
};
extern struct kvm_x86_hw kvm_hw;

int kvm_x86_vendor_init(const struct kvm_x86_ops *ops, struct module *owner);
void kvm_x86_vendor_exit(void);

#endif
