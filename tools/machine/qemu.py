# SPDX-License-Identifier: GPL-2.0
"""The host on QEMU: AMD's SVM with nested paging, emulated (TCG) or, where this machine's own KVM offers SVM
to its guests, accelerated. It boots in seconds, can be driven by gdb, and counts instructions (--icount)."""

import fcntl
import json
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

from emulator import Emulator, dies_with_parent
from kernels import Failure

PROGRAM = "qemu-system-x86_64"


def nested_svm():
    """True if /dev/kvm here lets a guest use SVM: asked of KVM_GET_SUPPORTED_CPUID, leaf 0x80000001 ECX bit 2."""
    get_supported_cpuid, entries = 0xC008AE05, 256
    try:
        with open("/dev/kvm", "rb+", buffering=0) as kvm:
            answer = bytearray(struct.pack("=II", entries, 0) + bytes(40 * entries))
            fcntl.ioctl(kvm, get_supported_cpuid, answer)
    except OSError:
        return False
    count = struct.unpack_from("=I", answer)[0]
    for i in range(min(count, entries)):
        function, _, _, _, _, ecx, _ = struct.unpack_from("=7I", answer, 8 + 40 * i)
        if function == 0x80000001:
            return bool(ecx & 4)
    return False


def pass_errors(stream):
    """QEMU's messages, without a warning for every feature of a CPU model that emulation does not have."""
    for line in stream:
        if b"TCG doesn't support requested feature" not in line:
            sys.stderr.buffer.write(line)
            sys.stderr.flush()


def say(monitor, command, **arguments):
    monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")


def nudge(monitor):
    """Interrupt the host now and then, by a key that means nothing.

    QEMU (7.2) changes a processor's set of pending interrupts at VMRUN and #VMEXIT without a lock: one that a
    device or a timer raises at that moment is forgotten, although the APIC still has it in its IRR. If it was
    the timer's and the processor has no other to come, the host stands still for ever. The next interrupt, of
    whatever kind, has QEMU look at the APIC again.
    """
    try:
        say(monitor, "qmp_capabilities")
        while True:
            say(monitor, "send-key", keys=[{"type": "qcode", "data": "shift_r"}], **{"hold-time": 100})
            time.sleep(0.25)
            if not monitor.recv(1 << 16):
                return
    except OSError:
        return    # QEMU has ended


class Qemu(Emulator):
    name = "QEMU"
    cpu = "EPYC,+svm,+npt"
    disk_modules = ("virtio_pci", "virtio_blk")
    disk = "vda"

    def check(self):
        if self.o.vendor == "intel":
            raise Failure("QEMU emulates no VMX: take --host bochs")
        if not shutil.which(PROGRAM):
            raise Failure(f"{PROGRAM} is missing: run 'make prepare'")
        if self.o.icount and self.o.smp > 1:
            raise Failure("--icount counts one processor only")

    def acceleration(self):
        o = self.o
        if o.accel != "tcg" and not o.icount and nested_svm():
            return ["-accel", "kvm", "-cpu", "host"]
        if o.accel == "kvm":
            raise Failure("this machine's KVM does not offer nested SVM (KVM_GET_SUPPORTED_CPUID shows no svm)")
        # Multi-threaded TCG of QEMU 7.2 loses against kernel text patching on other processors.
        return ["-accel", "tcg,thread=single", "-cpu", o.cpu or self.cpu]

    def command(self, kernel):
        o = self.o
        command = [PROGRAM, "-M", o.machine, *self.acceleration(), "-m", str(o.memory), "-smp", str(o.smp),
                   "-nodefaults", "-display", "none", "-no-reboot", "-monitor", "none",
                   "-chardev", f"stdio,id=out,signal={'off' if o.interactive else 'on'}", "-serial", "chardev:out",
                   "-serial", f"file:{self.log_path()}",
                   "-kernel", kernel.image, "-initrd", f"{self.work}/initramfs", "-append", self.parameters()]
        if o.icount:
            command += ["-icount", "shift=0,sleep=off"]
        if o.swap:
            command += ["-drive", f"if=none,id=swap,format=raw,cache=unsafe,file={self.swap_disk()}",
                        "-device", "virtio-blk-pci,drive=swap"]
        for device in o.device:
            command += ["-device", device]
        if o.gdb:
            command += ["-gdb", f"tcp::{o.gdb}", "-S"]
        return command

    def spawn(self, command):
        o = self.o
        stdin = None if o.interactive or o.gdb or o.stdin else subprocess.DEVNULL
        ours, theirs = socket.socketpair()
        with theirs:
            command = [*command, "-chardev", f"socket,id=monitor,fd={theirs.fileno()}", "-mon",
                       "chardev=monitor,mode=control"]
            process = subprocess.Popen(command, stdin=stdin, stderr=subprocess.PIPE, preexec_fn=dies_with_parent,
                                       pass_fds=[theirs.fileno()])
        threading.Thread(target=pass_errors, args=(process.stderr,), daemon=True).start()
        # Counted instructions are to be the host's own, the same in every run.
        if not o.icount:
            threading.Thread(target=nudge, args=(ours,), daemon=True).start()
        return process
