#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""documented.py ROOT [--write]: do the pages, the code and the tests speak of the same ABI?

Takes every request and capability of the ABI headers that is generic or x86's, looks for it in the
code (a "case" of its name), in Documentation/virt/kvm/api.rst and in the test programs, and compares
Documentation/virt/kvm/abi-table.rst, a row for each, with what it found. --write writes that page.

A name without an answer must have a reason in MISSING, and one with an answer must have none; an
answer must be described in api.rst, and a capability named by a test. api.rst must name nothing
that does not exist.

Prints a line per check with what is wrong, and at the end "N passed, N failed, N skipped".
"""
import glob
import os
import re
import sys

HEADERS = ("include/uapi/linux/kvm.h", "arch/x86/include/uapi/asm/kvm.h")
CODE = ("virt/kvm", "arch/x86/kvm")
TESTS = ("tools/testing/selftests/kvm/*.c", "tools/testing/guests/*", "tools/bench/*.c",
         "tools/machine/vmm/*.c")
PAGE = "Documentation/virt/kvm/abi-table.rst"

NESTED = "nested virtualization"
HYPERV = "Hyper-V"
CONFIDENTIAL = "SEV, TDX, SGX"
PMU = "performance counters"
PRIVATE = "private memory"
OBSOLETE = "Linux has it no more"
ELSEWHERE = "other processors have it"

# Why there is no answer, by name or by the beginning of it.
MISSING = {
    "KVM_GET_NESTED_STATE": NESTED,
    "KVM_SET_NESTED_STATE": NESTED,
    "KVM_CAP_NESTED_STATE": NESTED,
    "KVM_CAP_HYPERV": HYPERV,
    "KVM_HYPERV": HYPERV,
    "KVM_GET_SUPPORTED_HV_CPUID": HYPERV,
    "KVM_CAP_SYS_HYPERV_CPUID": HYPERV,
    "KVM_MEMORY_ENCRYPT": CONFIDENTIAL,
    "KVM_CAP_VM_COPY_ENC_CONTEXT_FROM": CONFIDENTIAL,
    "KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM": CONFIDENTIAL,
    "KVM_CAP_SGX_ATTRIBUTE": CONFIDENTIAL,
    "KVM_CAP_PMU": PMU,
    "KVM_SET_PMU_EVENT_FILTER": PMU,
    "KVM_CAP_MEMORY_ATTRIBUTES": PRIVATE,
    "KVM_CAP_ASSIGN_DEV_IRQ": OBSOLETE,
    "KVM_CAP_IOMMU": OBSOLETE,
    "KVM_CAP_PCI_2_3": OBSOLETE,
    "KVM_CAP_PV_MMU": OBSOLETE,
    "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT": OBSOLETE,
    "KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP": ELSEWHERE,
    "KVM_CAP_GUEST_DEBUG_HW_BPS": ELSEWHERE,
    "KVM_CAP_GUEST_DEBUG_HW_WPS": ELSEWHERE,
    "KVM_CAP_MSI_DEVID": ELSEWHERE,
    "KVM_CAP_ONE_REG": ELSEWHERE,
    "KVM_GET_ONE_REG": ELSEWHERE,
    "KVM_SET_ONE_REG": ELSEWHERE,
    "KVM_GET_REG_LIST": ELSEWHERE,
    "KVM_CAP_PTP_KVM": ELSEWHERE,
    "KVM_CAP_SW_TLB": ELSEWHERE,
    "KVM_CAP_SYSTEM_EVENT_DATA": ELSEWHERE,
    "KVM_CAP_VM_ATTRIBUTES": ELSEWHERE,
    "KVM_CAP_VM_GPA_BITS": ELSEWHERE,
}


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, problems):
        if problems:
            self.failed += 1
            print(f"not ok {self.passed + self.failed} {name}")
            for problem in problems:
                print(f"  {problem}")
        else:
            self.passed += 1
            print(f"ok {self.passed + self.failed} {name}")

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed, 0 skipped")
        return self.failed > 0


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def header_names(root):
    """Requests and capabilities that are everyone's or x86's: name -> its comment."""
    requests, capabilities = {}, {}
    for path in HEADERS:
        text = read(os.path.join(root, path))
        text = text.split("= elsewhere =")[0]
        text = re.sub(r"/\* ARM's\..*?(?=/\* Turns a capability on)", "", text, flags=re.S)
        for name, value, comment in re.findall(
                r"^#define\s+(KVM_\w+)[ \t]+([^\n]*?)[ \t]*(?:/\*\s*(.*?)\s*\*/)?$", text, re.M):
            if name.startswith("KVM_CAP_"):
                capabilities[name] = comment
            elif re.match(r"_IO[RW]*\(KVMIO", value):
                requests[name] = comment
    return requests, capabilities


def sources(root, patterns):
    paths = [p for pattern in patterns for p in glob.glob(os.path.join(root, pattern), recursive=True)]
    return "\n".join(read(p) for p in sorted(paths) if os.path.isfile(p))


def reason(name):
    fitting = [key for key in MISSING if name == key or name.startswith(key + "_")]
    return MISSING[max(fitting, key=len)] if fitting else None


def table(title, names, answered):
    width = max(len(n) for n in names) + 4
    line = "=" * width + "  " + "=" * 6 + "  " + "=" * 40
    rows = [f"{'``' + n + '``':{width}}  {'yes' if n in answered else 'no':6}  "
            f"{'' if n in answered else reason(n) or '?'}".rstrip() for n in names]
    head = f"{'name':{width}}  {'answer':6}  why not"
    return [title, "=" * len(title), "", line, head, line] + rows + [line, ""]


def page(requests, capabilities, answered):
    lines = [".. SPDX-License-Identifier: GPL-2.0", "", "===============", "What is answered",
             "===============", "",
             "Every request and capability of the ABI of Linux 6.12 that is generic or x86's. Written and",
             "compared by ``tools/testing/unit/abi/documented.py``; ``api.rst`` describes those with an answer.",
             "A capability has one if some processor can make it other than 0.", ""]
    lines[2] = lines[4] = "=" * len(lines[3])
    lines += table("Requests", sorted(requests), answered)
    lines += table("Capabilities", sorted(capabilities), answered)
    return "\n".join(lines).rstrip("\n") + "\n"


def main(root, write):
    report = Report()
    requests, capabilities = header_names(root)
    names = {**requests, **capabilities}
    code = sources(root, [f"{d}/**/*.c" for d in CODE])
    api = read(os.path.join(root, "Documentation/virt/kvm/api.rst"))
    tests = sources(root, TESTS)

    answered = {n for n in re.findall(r"\bcase (KVM_\w+):", code) if n in names}
    described = set(re.findall(r"\b(KVM_\w+)\b", api))

    report.check("what has no answer has a reason",
                 [n for n in sorted(names) if n not in answered and not reason(n)])
    report.check("what has an answer has no reason to have none",
                 [f"{n}: {reason(n)}" for n in sorted(answered) if reason(n)])
    report.check("every answer is described in api.rst", sorted(answered - described))
    report.check("api.rst names no request or capability without an answer",
                 sorted(n for n in described if n in names and n not in answered and
                        not re.search(rf"{n}``[^\n]*names none", api)))
    report.check("every capability with an answer is named by a test",
                 sorted(n for n in answered & set(capabilities) if not re.search(rf"\b{n}\b", tests)))
    report.check("every request with an answer is made by a test",
                 sorted(n for n in answered & set(requests) if not re.search(rf"\b{n}\b", tests)))

    wanted = page(requests, capabilities, answered)
    path = os.path.join(root, PAGE)
    if write:
        with open(path, "w", encoding="utf-8") as f:
            f.write(wanted)
    found = read(path) if os.path.exists(path) else ""
    report.check(f"{PAGE} is what documented.py --write writes",
                 sorted(set(wanted.splitlines()) ^ set(found.splitlines()))[:20] or
                 ([] if wanted == found else ["lines are in another order"]))
    return report.end()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__.split("\n", 1)[0])
    sys.exit(main(sys.argv[1], "--write" in sys.argv[2:]))
