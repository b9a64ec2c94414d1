# SPDX-License-Identifier: GPL-2.0
"""For gdb on the emulated host: the command kvm-symbols loads the symbols of kvm.ko and kvm-amd.ko at
the addresses where the host has loaded them. The host's init reports the addresses on its log
(environment KVM_LOG); the modules with their debugging information are below KVM_BUILD."""

import glob
import os
import re

import gdb


class KvmSymbols(gdb.Command):
    """Load the symbols of the KVM modules at their addresses in the host."""

    def __init__(self):
        super().__init__("kvm-symbols", gdb.COMMAND_FILES)

    def invoke(self, argument, from_tty):
        with open(os.environ["KVM_LOG"], encoding="ascii", errors="replace") as f:
            found = re.findall(r"machine: section (\w+) (\S+) (0x[0-9a-f]+)", f.read())
        if not found:
            raise gdb.GdbError("the host has not loaded the modules yet")
        for module in sorted({m for m, _, _ in found}):
            name = module.replace("_", "-") + ".ko"
            paths = glob.glob(os.path.join(os.environ["KVM_BUILD"], "**", name), recursive=True)
            sections = {s: a for m, s, a in found if m == module}
            if not paths or ".text" not in sections:
                continue
            others = " ".join(f"-s {s} {a}" for s, a in sections.items() if s != ".text")
            gdb.execute(f"add-symbol-file {paths[0]} {sections['.text']} {others}")


KvmSymbols()
gdb.execute("set confirm off")
gdb.execute("set pagination off")
