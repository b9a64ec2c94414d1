# SPDX-License-Identifier: GPL-2.0
"""The host on Bochs 2.7, or 3.0 (bochs3.py): Intel's VMX with the features of a processor model (--cpu, "bochs
--help cpu" lists them), or AMD's SVM with NRIP save (trinity_apu). It is some fifty times slower than a machine, counts
instructions always (one tick of its TSC is one), and its log names every check that a VM entry failed: such a
line makes the run fail. Kernel and initramfs go in on a CD that GRUB boots."""

import os
import pty
import re
import shutil
import subprocess
import sys
import threading
import tty

import bochs3
from emulator import Emulator, dies_with_parent, readable
from kernels import Failure

PROGRAM = "/usr/bin/bochs-bin"
BIOS = "/usr/share/bochs/BIOS-bochs-latest"
VGA = "/usr/share/vgabios/vgabios.bin"
GRUB = "/usr/lib/grub/i386-pc/boot.img"

# Instructions in a second of the host's time: about what it executes in one of ours. To count them it is better
# to have more of them between two ticks of the host's timer, though its waiting loops take longer then.
IPS = 50000000
IPS_COUNTING = 1000000000

# What makes the kernel's start three times as long and has no part in what is tested: the tests of its ciphers
# and keys, and the search of its page tables for pages both writable and executable. --append has the last word.
SHORTCUTS = ("mitigations=off nokaslr tsc=reliable no_timer_check reboot=k rodata=off cryptomgr.notests "
             "initcall_blacklist=load_system_certificate_list,jent_mod_init,sed_opal_init,cec_init")

# It has no monitor that would end it instead of a reset: GRUB leaves a mark in the battery-backed memory
# when it starts the kernel, and switches off when it finds one.
GRUB_CONFIG = """set timeout=0
if cmostest 0x60:0; then
	halt
fi
cmosset 0x60:0
linux /boot/vmlinuz {parameters}
initrd /boot/initramfs
boot
"""

CONFIG = """\
cpu: model={cpu}, count={smp}, ips={ips}, reset_on_triple_fault=0
memory: guest={memory}, host={memory}
romimage: file={bios}, options=fastboot
vgaromimage: file={vga}
boot: cdrom
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={work}/cd, status=inserted
{disk}
com1: enabled=1, mode=term, dev={tty}
com2: enabled=1, mode=file, dev={log}
log: {work}/bochs.log
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
display_library: rfb, options="timeout=0"
clock: sync=none, time0=local
speaker: enabled=0
{sound}
"""

POWER_OFF = "ACPI control: soft power off"

# What Bochs says when a VM entry fails one of its checks
ENTRY_FAILURE = re.compile(
    r"VMFAIL:|VMENTER FAIL|VMENTER: .*(Failed|unsupported|not implemented)|VMABORT"
    r"|VMRUN: (?!VMRUN intercept|Starting)|SVM: VMRUN|VMRUN\(\)")


class Bochs(Emulator):
    name = "Bochs"
    guest_parameters = SHORTCUTS + " quiet"
    disk_modules = ("ata_piix", "sd_mod")
    disk = "sda"
    console = "ttyS1,115200"

    def __init__(self, o, work):
        super().__init__(o, work)
        self.cpu = "trinity_apu" if o.vendor == "amd" else "corei7_haswell_4770"
        self.master = self.slave = None

    def check(self):
        self.refuse(gdb=0, accel="tcg", machine="q35")
        missing = [p for p in ("grub-mkrescue", "xorriso", "mformat") if not shutil.which(p)]
        self.program, self.bios, self.vga, self.environment = [PROGRAM], BIOS, VGA, {}
        if self.o.bochs != "2":
            self.program, self.bios, self.vga = bochs3.command(), bochs3.BIOS, bochs3.VGA
            self.environment = bochs3.ENVIRONMENT
        if self.o.bochs == "controls":
            self.program, self.environment = bochs3.command_with_controls(), {}
        if missing or not readable(self.program[-1], self.bios, self.vga, GRUB):
            raise Failure("Bochs or a part of it is missing: run 'tools/machine/prepare --bochs'")

    def parameters(self):
        return f"{SHORTCUTS} {super().parameters()}"

    def make_cd(self, kernel):
        tree = f"{self.work}/cd.tree/boot"
        os.makedirs(f"{tree}/grub")
        shutil.copy(kernel.image, f"{tree}/vmlinuz")
        os.rename(f"{self.work}/initramfs", f"{tree}/initramfs")
        with open(f"{tree}/grub/grub.cfg", "w", encoding="ascii") as f:
            f.write(GRUB_CONFIG.format(parameters=self.parameters()))
        done = subprocess.run(["grub-mkrescue", "-d", os.path.dirname(GRUB),
                               "--install-modules=linux normal cmostest halt", "--themes=", "--fonts=",
                               "--locales=", "-o", f"{self.work}/cd", f"{self.work}/cd.tree"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise Failure("grub-mkrescue failed:\n" + done.stdout)
        shutil.rmtree(f"{self.work}/cd.tree")

    def command(self, kernel):
        o = self.o
        self.make_cd(kernel)
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        disk = f"ata0-slave: type=disk, path={self.swap_disk()}, mode=flat" if o.swap else ""
        sound = "" if o.bochs == "controls" else "sound: driver=dummy"  # that one has none
        with open(f"{self.work}/bochsrc", "w", encoding="ascii") as f:
            f.write(CONFIG.format(cpu=o.cpu or self.cpu, smp=o.smp, ips=IPS_COUNTING if o.icount else IPS,
                                  memory=o.memory, bios=self.bios, vga=self.vga, disk=disk, sound=sound,
                                  tty=os.ttyname(self.slave), log=self.log_path(), work=self.work))
        command = [*self.program, "-q", "-f", f"{self.work}/bochsrc"]
        if o.bochs == "controls":
            return command
        # Debian builds Bochs with its debugger, which waits for a command.
        with open(f"{self.work}/commands", "w", encoding="ascii") as f:
            f.write("c\n")
        return [*command, "-rc", f"{self.work}/commands"]

    def spawn(self, command):
        with open(f"{self.work}/bochs.out", "wb") as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       env={**os.environ, **self.environment}, preexec_fn=dies_with_parent)
        self.reader = threading.Thread(target=self.pass_output, daemon=True)
        self.reader.start()
        if self.o.interactive or self.o.stdin:
            threading.Thread(target=self.pass_input, daemon=True).start()
        return process

    def pass_output(self):
        while True:
            try:
                data = os.read(self.master, 4096)
            except OSError:
                return
            if not data:
                return
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def pass_input(self):
        while data := os.read(0, 256):
            os.write(self.master, data)

    def settle(self):
        # The reader ends when the last writer has gone, having read everything.
        os.close(self.slave)
        self.reader.join(5)

    def bochs_log(self):
        try:
            with open(f"{self.work}/bochs.log", encoding="utf-8", errors="replace") as f:
                return f.read().splitlines()
        except OSError:
            return []

    def patience(self, debug):
        return "ten minutes" if debug else "a minute"

    def ended_well(self, status):
        """Switching the machine off ends Bochs with a panic of its own."""
        return status == 0 or any(POWER_OFF in line for line in self.bochs_log())

    def remarks(self):
        lines = self.bochs_log()
        panics = [line for line in lines if ">>PANIC<<" in line and POWER_OFF not in line]
        return [line for line in lines if ENTRY_FAILURE.search(line)] + panics
