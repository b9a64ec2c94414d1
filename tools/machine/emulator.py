# SPDX-License-Identifier: GPL-2.0
"""What the emulators of a host have in common: a process that is started, fed and ended. One class each
stands in qemu.py and bochs.py; run knows no more of them than is defined here."""

import ctypes
import os
import re
import signal
import subprocess
import sys

from kernels import Failure, say


def dies_with_parent():
    set_pdeathsig = 1
    ctypes.CDLL(None).prctl(set_pdeathsig, signal.SIGKILL)


def interrupted(number, _):
    sys.exit(128 + number)


class Emulator:
    """A host that is about to run. "o" holds the options of run, "work" is a directory of this run."""

    name = None
    cpu = None              # the processor model when none is asked for
    console = "ttyS1"       # where the kernel's messages go; the program talks on ttyS0
    guest_parameters = ""   # kernel parameters that a guest wants because of the emulator
    disk_modules = ()       # what a swap disk needs,
    disk = None             # and the name it gets

    def __init__(self, o, work):
        self.o = o
        self.work = work

    def check(self):
        """Raise Failure if the emulator is missing or cannot do what the options ask for."""
        raise NotImplementedError

    def command(self, kernel):
        """The command line that boots kernel.image with work/initramfs."""
        raise NotImplementedError

    def parameters(self):
        """Kernel parameters of the host."""
        # On a busy machine the emulator is too slow for the kernel to believe in its timer.
        text = f"console={self.console} quiet panic=-1 oops=panic printk.devkmsg=on no_timer_check"
        return f"{text} {'nokaslr' if self.o.gdb else ''} {self.o.append}".strip()

    def swap_disk(self):
        """An empty disk image for --swap."""
        path = f"{self.work}/swap"
        with open(path, "wb") as f:
            f.truncate(self.o.swap << 20)
        return path

    def settle(self):
        """Called once when the emulator has ended."""

    def remarks(self):
        """What the emulator itself says about the run and a healthy run does not cause: a list of lines."""
        return []

    def log_path(self):
        return f"{self.work}/log"

    def log_bytes(self):
        """What came out of the second serial port."""
        with open(self.log_path(), "rb") as f:
            return f.read()

    def spawn(self, command):
        raise NotImplementedError

    def run(self, kernel):
        """Run to the end; False if it had to be killed."""
        command = self.command(kernel)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupted)
        with self.spawn(command) as process:
            try:
                process.wait(self.o.timeout or None)
            except subprocess.TimeoutExpired:
                return False
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
                self.settle()
        if not self.ended_well(process.returncode):
            say(f"{self.name} ended with status {process.returncode}")
        return True

    def patience(self, debug):
        """How long a person waits for the host's userspace, in words."""
        return "half a minute" if debug else "a few seconds"

    def ended_well(self, status):
        return status == 0

    def refuse(self, **options):
        """Refuse options that this emulator has no meaning for, given as name=value-that-means-unset."""
        for name, unset in options.items():
            if getattr(self.o, name) != unset:
                raise Failure(f"--{name.replace('_', '-')} is not for a host on {self.name}")


def matching(lines, pattern, allowed):
    return [line for line in lines if re.search(pattern, line) and not any(re.search(a, line) for a in allowed)]


def readable(*paths):
    return all(os.access(path, os.R_OK) for path in paths)
