# SPDX-License-Identifier: GPL-2.0
#
# Entry points for people. Kbuild builds the modules from the file "Kbuild"; the emulated hosts
# are in tools/machine. "make help" lists what there is.

# Command-line variables are meant for this file and are handed on by name.
MAKEOVERRIDES :=

SUPPORTED := 6.12
RUNNING	:= /lib/modules/$(shell uname -r)/build
NEWEST	= $(shell ls -d /lib/modules/$(SUPPORTED)*/build /usr/src/linux-headers-$(SUPPORTED)*-amd64 2>/dev/null | \
	     while read -r d; do [ ! -e "$$d/include/config/kernel.release" ] || \
	     echo "$$(cat "$$d/include/config/kernel.release") $$d"; done | sort -V | tail -n 1 | cut -d' ' -f2)
KDIR	?= $(if $(wildcard $(RUNNING)/include/config/kernel.release),$(if \
	     $(filter $(SUPPORTED).%,$(shell uname -r)),$(RUNNING),$(NEWEST)),$(NEWEST))
RELEASE	= $(shell cat $(KDIR)/include/config/kernel.release 2>/dev/null)
OUT	= $(CURDIR)/build/modules-$(RELEASE)
MODDIR	= $(INSTALL_MOD_PATH)/lib/modules/$(RELEASE)
MODULES	= kvm.ko kvm-amd.ko kvm-intel.ko

CACHE	= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kvm-modules
DEBUG_TREE = $(CACHE)/debug-kernel/linux-source-6.12

# Options of "make run" and its relatives
KVM	?= ours
KERNEL	?= distribution
MACHINE	?= pc
GUEST_MEM ?= $(if $(filter small,$(VMM)),256,1024)
GUEST_SMP ?= 1
IRQCHIP	?= off
HOST_SMP ?= 1
VENDOR	?= amd
HOST_EMULATOR ?= $(if $(filter intel,$(VENDOR)),bochs,qemu)
HOST_CPU ?=
HOST_ACCEL ?= tcg
TIMEOUT	?= $(if $(filter bochs,$(HOST_EMULATOR)),3600,600)
VMM	?= $(if $(filter bochs,$(HOST_EMULATOR)),small,qemu)
PORT	?= 1234
MEM	?= $(shell echo $$(($(GUEST_MEM) + 1024)))

DEBUG_SETUP = $(if $(filter debug,$(KERNEL)),debug-kernel)
HOST	= tools/machine/run --kvm $(KVM) --vendor $(VENDOR) --host $(HOST_EMULATOR) --kdir $(KDIR) \
	  --memory $(MEM) --smp $(HOST_SMP) --cpu "$(HOST_CPU)" --accel $(HOST_ACCEL) --append "$(HOST_APPEND)" --timeout $(TIMEOUT) \
	  $(if $(ICOUNT),--icount) --kernel $(KERNEL) $(addprefix --param ,$(PARAMS))
GUEST	= $(if $(filter small,$(VMM)),--vmm,--qemu) --env MACHINE=$(MACHINE) --env GUEST_MEM=$(GUEST_MEM) \
	  --env IRQCHIP=$(IRQCHIP) --env GUEST_SMP=$(GUEST_SMP) \
	  --env GUEST_APPEND="$(GUEST_APPEND)" $(if $(HUGE),--env HUGE=1 --hugepages \
	  $(shell echo $$(($(GUEST_MEM) / 2)))) -- boot-guest

modules:	## build the modules for KDIR= (W=1: more warnings, C=1: sparse)
	@[ -n "$(RELEASE)" ] || { echo "No headers of Linux $(SUPPORTED) found: run 'make prepare', or give KDIR="; exit 1; }
	@tools/machine/shadow $(OUT)
	+@flock $(OUT)/.lock $(MAKE) --no-print-directory -C $(KDIR) M=$(OUT) W=$(W) C=$(C) V=$(V) KCFLAGS="$(KCFLAGS)" modules

install: modules	## install the modules below $(INSTALL_MOD_PATH)/lib/modules, before the distribution's
	install -d $(MODDIR)/updates
	for module in $(MODULES); do install -m 644 $$(find $(OUT) -name $$module) $(MODDIR)/updates/ || exit; done
	depmod $(if $(INSTALL_MOD_PATH),-b $(INSTALL_MOD_PATH)) $(RELEASE)

uninstall:	## remove them again, so that modprobe finds the distribution's
	rm -f $(addprefix $(MODDIR)/updates/,$(MODULES))
	depmod $(if $(INSTALL_MOD_PATH),-b $(INSTALL_MOD_PATH)) $(RELEASE)

clean:	## remove what was built (the cache of kernels outside the repository stays)
	rm -rf build

prepare:	## install the Debian packages that building and the emulated hosts need (root or sudo)
	@tools/machine/prepare --all

prepared:
	@tools/machine/prepare $(if $(filter bochs,$(HOST_EMULATOR)),--bochs)

setup: prepared
	@$(if $(filter stock,$(KVM)),:,$(MAKE) --no-print-directory modules KDIR=$(KDIR))

run: setup $(DEBUG_SETUP)	## start the emulated host, boot a Linux guest in it under KVM
	@$(HOST) $(GUEST)

shell: setup $(DEBUG_SETUP)	## a shell in the emulated host, with QEMU and a guest's kernel at hand
	@$(HOST) --qemu --interactive --timeout 0 -- sh

check: setup	## run all tests; the last line is "N passed, N failed, N skipped"
	@KDIR=$(KDIR) tools/machine/check $(SUITES)

check-debug: prepared debug-kernel	## the tests on a host kernel with KASAN, lockdep, UBSAN and kmemleak
	@KDIR=$(DEBUG_TREE) KERNEL=debug tools/machine/check $(or $(SUITES),debug)

check-build:	## a build with W=1 and sparse must print no warning
	@KDIR=$(KDIR) tools/machine/check build

check-stress: setup	## the stress runs, which take longer
	@KDIR=$(KDIR) tools/machine/check stress

check-guests: setup	## guests of all sorts with disks and network cards, and one that is debugged: half an hour
	@KDIR=$(KDIR) tools/machine/check devices_all vhost gdb

check-migration: setup	## a guest that writes memory and disk moves from QEMU to QEMU, 120 times
	@KDIR=$(KDIR) tools/machine/check migration_all

check-xen: setup	## a guest that finds Xen, with its events, disk and network card (QEMU of bookworm-backports)
	@KDIR=$(KDIR) tools/machine/check xen

check-tools: setup	## perf, trace-cmd, kvm_stat, virt-host-validate, and a guest defined with libvirt
	@KDIR=$(KDIR) tools/machine/check tools

kselftest: setup	## the kernel's own KVM selftests, all of them, against the table of what to expect: an hour
	@tools/machine/prepare --kselftest
	@KDIR=$(KDIR) KVM=$(KVM) VENDOR=$(VENDOR) tools/testing/kselftest/run $(KSELFTEST)

check-vmx:	## VMX: processors with more and with fewer features, and features switched off, on Bochs (two hours)
	@$(MAKE) --no-print-directory check KDIR=$(KDIR) VENDOR=intel SUITES="vmx vmx_matrix vmx_settings vmx_controls vmx_dirty i386"

fuzz-emulator:	## compare CASES=10000000 instructions between the emulator and this processor
	@$(MAKE) --no-print-directory -C tools/testing/fuzz compare CASES=$(or $(CASES),10000000) SEED=$(or $(SEED),1)

fuzz-legacy:	## the same for what only 32-bit mode has, on a processor emulated by Bochs: CASES=200000
	@KDIR=$(KDIR) tools/machine/check fuzz_legacy

fuzz-emulator-long:	## coverage-guided fuzzing of the emulator for DURATION=3600 seconds (clang)
	@tools/machine/prepare --fuzz
	@$(MAKE) --no-print-directory -C tools/testing/fuzz fuzz DURATION=$(or $(DURATION),3600)

fuzz-ioctl: prepared debug-kernel	## mutated requests while vcpus run, on the debugging kernel: DURATION=1800 seconds, then with failslab
	@KDIR=$(DEBUG_TREE) KERNEL=debug DURATION=$(or $(DURATION),1800) tools/machine/check fuzz_ioctl

check-paging: setup	## a million random accesses through random page tables, and memtest86+ as a guest
	@KDIR=$(KDIR) tools/machine/check paging

bench: setup	## instructions per operation, these modules beside the distribution's
	@KDIR=$(KDIR) tools/bench/bench --vendor $(VENDOR) --host $(HOST_EMULATOR) --cpu "$(HOST_CPU)" --npt $(or $(NPT),1)

debug-kernel:	## build the debugging kernel of the host in the cache, and the modules for it
	@tools/machine/prepare --debug-kernel
	@tools/machine/debug-kernel
	@$(if $(filter stock,$(KVM)),:,$(MAKE) --no-print-directory modules KDIR=$(DEBUG_TREE) KCFLAGS=-g)

debug: setup $(DEBUG_SETUP)	## "make run" with the host stopped for gdb on PORT=1234 (KERNEL=debug: the debugging kernel)
	@tools/machine/prepare --gdb
	@$(HOST) --timeout 0 --gdb $(PORT) $(GUEST)

kdir:
	@echo $(KDIR)

help:	## this list
	@sed -n 's/^\([a-z-]*\):[^#]*##  *\(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS='|' read -r name text; do printf '  %-14s %s\n' "$$name" "$$text"; done
	@echo
	@echo 'Variables of run, shell and debug:'
	@echo '  KVM=ours|stock   the modules of this tree, or the distribution'\''s'
	@echo '  GUEST_MEM=1024   memory of the guest in MiB (VMM=small: 256); MEM= that of the host'
	@echo '  KERNEL=distribution|debug  kernel of the host'
	@echo '  MACHINE=pc|q35   machine of the guest; HUGE=1: its memory is hugetlbfs'
	@echo '  GUEST_SMP=1      vcpus; IRQCHIP=off|on|split  interrupt controllers: in QEMU, in the kernel, both'
	@echo '  VENDOR=amd|intel HOST_EMULATOR=qemu|bochs  the host: SVM on QEMU, VMX on Bochs, or SVM on Bochs'
	@echo '  VMM=qemu|small   what boots the guest: QEMU, or the small one of tools/machine/vmm (on Bochs)'
	@echo '  HOST_CPU= HOST_SMP= HOST_APPEND= HOST_ACCEL=tcg|auto  processor model, number, kernel parameters, accelerator'
	@echo '  PARAMS="kvm_amd.npt=0"  module parameters; ICOUNT=1: time is counted in instructions'
	@echo 'Variable of kselftest: KSELFTEST="--npt 1 --only dirty" (tools/testing/kselftest/run --help)'
	@echo 'Variables of bench: NPT=0 (shadow paging), VENDOR, HOST_EMULATOR and HOST_CPU'
	@echo 'Variable of check and check-debug: SUITES="unit selftests" (tools/machine/check lists them)'

.PHONY: modules install uninstall clean prepare prepared setup run shell check check-debug check-build check-stress \
	check-guests check-migration check-xen check-tools check-paging check-vmx fuzz-emulator fuzz-legacy fuzz-emulator-long fuzz-ioctl \
	kselftest bench debug-kernel debug kdir help
.DEFAULT_GOAL := modules
