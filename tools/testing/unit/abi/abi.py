#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""abi.py ROOT OUT: is the ABI in ROOT's uapi headers the one of the distribution's kernel?

Owns the comparison of the four public headers with the same four of the newest installed Linux
6.12: every macro (value, width, signedness, text), request number, enumerator, and structure
(size, and each member's type, offset and size), for 64-bit and 32-bit programs. It says nothing
about what the kernel does with them.

How: the preprocessor lists what each side defines, one C file per side asks the compiler for
every value, and the answers are read from the assembly it writes. So nothing has to be linked or
run, and 32-bit answers need no 32-bit libraries. Needs a C compiler and linux-libc-dev.

Prints a line per group and its differences, and at the end "N passed, N failed, N skipped".
"""
import functools
import glob
import os
import re
import shutil
import subprocess
import sys
import zlib

HEADERS = {
    "linux/kvm.h": "include/uapi/linux/kvm.h",
    "linux/kvm_para.h": "include/uapi/linux/kvm_para.h",
    "asm/kvm.h": "arch/x86/include/uapi/asm/kvm.h",
    "asm/kvm_para.h": "arch/x86/include/uapi/asm/kvm_para.h",
}

# Names on one side only that are no part of the ABI, each with the reason.
ONLY_REFERENCE = {
    "HINT_UNSAFE_IN_KVM": "renames members for the kernel's own build; no effect in programs",
}
ONLY_OURS = {}

# Arguments to try function-like macros with, by their number.
SAMPLES = {
    1: [("0",), ("1",), ("0x1ff",)],
    4: [("0", "0", "0", "0"), ("0xfff", "0xff", "0xff", "1"), ("0xc2", "0x0f", "0x01", "0"),
        ("0x1fff", "0x1ff", "0x1ff", "2")],
}

# What is compared: its name, and the compiler's flags.
VARIANTS = {
    "64-bit": ["-m64"],
    "32-bit": ["-m32"],
    "s390": ["-m64", "-D__KVM_S390"],
}

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[A-Za-z_]\w*|\d\w*|[^\s\w]')


class Trouble(Exception):
    """A side that cannot be read or compiled; the text says why."""


@functools.lru_cache
def compiler():
    """The compiler, told where <asm/types.h> is even when it makes 32-bit code."""
    cc = os.environ.get("CC", "cc").split()
    done = subprocess.run(cc + ["-print-multiarch"], text=True, capture_output=True)
    place = "/usr/include/" + done.stdout.strip()
    return cc + ["-idirafter", place]


class Side:
    """One set of headers, and what a variant's preprocessor and compiler say about it."""

    def __init__(self, name, includes, owned, out):
        self.name = name
        self.includes = includes
        self.owned = [os.path.realpath(p) for p in owned]
        self.out = out

    def cc(self, args, source):
        cmd = compiler() + self.includes + args
        done = subprocess.run(cmd, input=source, text=True, capture_output=True)
        if done.returncode:
            raise Trouble(f"{self.name}: {' '.join(cmd)}:\n{done.stderr}")
        return done.stdout

    def own_lines(self, text):
        """The lines of preprocessed text that come from the four headers."""
        mine = False
        for line in text.splitlines():
            marker = re.match(r'# \d+ "([^"]*)"', line)
            if marker:
                mine = os.path.realpath(marker.group(1)) in self.owned
            elif mine:
                yield line

    def read(self, flags):
        source = "#include <linux/kvm.h>\n#include <linux/kvm_para.h>\n"
        flags = flags + ["-x", "c", "-E", "-"]
        self.macros = read_macros(self.own_lines(self.cc(["-dD"] + flags, source)))
        self.types, self.enums = read_types("\n".join(self.own_lines(self.cc(flags, source))))

    def measure(self, flags, questions, stubs, label):
        """Answers to {key: integer constant expression}, as {key: (value, width, signed)}."""
        keys = sorted(questions)
        body = ["#include <linux/errno.h>", "#include <linux/kvm.h>",
                "#include <linux/kvm_para.h>", "#define PAGE_SIZE 4096"]
        body += [f"struct {s} {{ char b[{16 + zlib.crc32(s.encode()) % 8000}]; }};"
                 for s in sorted(stubs)]
        body += ["#define ASK(n, x) __asm__ volatile(\"@abi \" #n \" %c0 %c1 %c2 %c3\" : : \\",
                 "\t\"i\"((unsigned int)(x)), \\",
                 "\t\"i\"((unsigned int)((unsigned long long)(x) >> 32)), \\",
                 "\t\"i\"((int)sizeof(x)), \"i\"((__typeof__(x))-1 < (__typeof__(x))1))",
                 "void ask(void)", "{"]
        body += [f"\tASK({n}, {questions[key]});" for n, key in enumerate(keys)]
        body += ["}", ""]
        path = os.path.join(self.out, f"{self.name}-{label}.c")
        with open(path, "w") as f:
            f.write("\n".join(body))
        text = self.cc(flags + ["-w", "-O0", "-S", "-o", "-", path], "")
        answers = {}
        for n, low, high, width, signed in re.findall(
                r"@abi (\d+) (-?\d+) (-?\d+) (-?\d+) (-?\d+)", text):
            value = (int(low) & 0xffffffff) | (int(high) & 0xffffffff) << 32
            answers[keys[int(n)]] = (value, int(width), int(signed))
        if len(answers) != len(keys):
            raise Trouble(f"{self.name}: {len(keys)} questions, {len(answers)} answers")
        return answers


def read_macros(lines):
    """{name: (parameters or None, text with single blanks)} of what is defined at the end."""
    macros = {}
    for line in lines:
        gone = re.match(r"#\s*undef\s+(\w+)", line)
        if gone:
            macros.pop(gone.group(1), None)
        made = re.match(r"#\s*define\s+(\w+)(\(([^)]*)\))?(.*)", line)
        if made:
            params = made.group(3)
            if params is not None:
                params = tuple(p.strip() for p in params.split(","))
            macros[made.group(1)] = (params, " ".join(TOKEN.findall(made.group(4))))
    return macros


def skip_braces(tokens, at):
    """The index after the closing brace that belongs to the opening one at `at`."""
    depth = 0
    while True:
        depth += {"{": 1, "}": -1}.get(tokens[at], 0)
        at += 1
        if not depth:
            return at


def read_types(text):
    """({"struct x": [member]}, {enumerator: enum's name}) of the definitions in text."""
    tokens = TOKEN.findall(text)
    types, enums, at = {}, {}, 0
    while at < len(tokens):
        if tokens[at] not in ("struct", "union", "enum"):
            at += 1
            continue
        kind, name, at = tokens[at], "", at + 1
        if tokens[at] != "{":
            name, at = tokens[at], at + 1
        if tokens[at] != "{":
            continue
        end = skip_braces(tokens, at)
        inner = tokens[at + 1:end - 1]
        if kind == "enum":
            for item in " ".join(inner).split(","):
                if item.strip():
                    enums[item.split()[0]] = name
        else:
            types[f"{kind} {name}"] = read_members(inner, "")
        at = end
    return types, enums


def read_members(tokens, prefix):
    """[(path, type, array, bits)] of a structure's body, nested ones spelled out by path."""
    members, at = [], 0
    while at < len(tokens):
        nested, base = None, []
        if tokens[at] in ("struct", "union") and "{" in tokens[at + 1:at + 3]:
            brace = tokens.index("{", at)
            end = skip_braces(tokens, brace)
            nested, base, at = tokens[brace + 1:end - 1], [tokens[at]], end
        stop = tokens.index(";", at)
        members += read_declaration(base, tokens[at:stop], nested, prefix)
        at = stop + 1
    return members


def read_declaration(base, tokens, nested, prefix):
    """The members of one declaration, of which `base` and the body `nested` are read already."""
    tokens = [t for t in tokens if t not in ("__user", "__kvm_user")]
    if nested is not None and not tokens:
        return read_members(nested, prefix)
    declarators = " ".join(tokens).split(",")
    found = []
    for text in declarators:
        match = re.fullmatch(r"(.*?)(\w+)((?: ?\[[^]]*\])*)(?: ?: ?(\d+))?", text.strip())
        if not match:
            raise Trouble(f"cannot read the declaration \"{text}\"")
        before, name, array, bits = match.groups()
        if not base:
            base = before.split()
        found.append((prefix + name, " ".join(base), array.strip(), bits))
        if nested is not None:
            found += read_members(nested, f"{prefix}{name}{'[0]' if array else ''}.")
    return found


def constant_questions(macros):
    """Expressions for object-like macros that stand for numbers, and for sample calls."""
    numbers, requests, calls = {}, {}, {}
    for name, (params, text) in macros.items():
        if params is not None:
            if len(params) not in SAMPLES:
                raise Trouble(f"{name}: no sample arguments for {len(params)} parameters")
            for args in SAMPLES[len(params)]:
                call = f"{name}({', '.join(args)})"
                calls[call] = call
        elif re.match(r"_IO[WR]*\b", text):
            requests[name] = name
        elif text and not text.startswith('"'):
            numbers[name] = name
    return numbers, requests, calls


def layout_questions(types):
    """Expressions for every structure's size and every member's place."""
    asked = {}
    for kind, members in types.items():
        asked[kind] = f"sizeof({kind})"
        asked[f"{kind}, alignment"] = f"__alignof__({kind})"
        for path, _, array, bits in members:
            if bits:
                continue
            asked[f"{kind}.{path} offset"] = f"__builtin_offsetof({kind}, {path})"
            item = f"{path}[0]" if re.fullmatch(r"\[ ?\]", array) else path
            asked[f"{kind}.{path} size"] = f"sizeof((({kind} *)0)->{item})"
    return asked


def differences(ours, theirs, show=str):
    """One line for each key that is missing, too much or different."""
    lines = []
    for key in sorted(set(ours) | set(theirs)):
        if key not in ours:
            lines.append(f"{key}: missing, reference has {show(theirs[key])}")
        elif key not in theirs:
            lines.append(f"{key}: ours is {show(ours[key])}, reference has none")
        elif ours[key] != theirs[key]:
            lines.append(f"{key}: ours {show(ours[key])}, reference {show(theirs[key])}")
    return lines


def show_answer(answer):
    value, width, signed = answer
    return f"{value:#x} ({width} bytes, {'signed' if signed else 'unsigned'})"


class Report:
    """Counts groups and prints them as they come."""

    def __init__(self):
        self.count = {"ok": 0, "not ok": 0, "skip": 0}

    def line(self, verdict, text, details=()):
        self.count[verdict] += 1
        print(verdict, sum(self.count.values()), text)
        for detail in details:
            print("    " + detail.replace("\n", "\n    "))

    def group(self, text, details):
        self.line("not ok" if details else "ok", text, details)

    def end(self):
        ok, bad, skipped = (self.count[v] for v in ("ok", "not ok", "skip"))
        print(f"{ok} passed, {bad} failed, {skipped} skipped")
        return 1 if bad else 0


def check_alone(report, ours):
    """Each header compiles by itself, without a warning, in each language standard."""
    details = []
    for header in HEADERS:
        for std in ("gnu89", "gnu11", "c99"):
            flags = ["-std=" + std, "-Wall", "-Wextra", "-Wundef", "-Werror", "-x", "c",
                     "-fsyntax-only", "-"]
            try:
                ours.cc(flags, f"#include <{header}>\n#include <{header}>\nint one;\n")
            except Trouble as trouble:
                details.append(str(trouble))
    report.group(f"headers by themselves: {len(HEADERS)} headers, 3 standards", details)


def check_names(report, ours, theirs, label):
    mine = {n: "defined" for n in ours.macros if n not in ONLY_OURS}
    other = {n: "defined" for n in theirs.macros if n not in ONLY_REFERENCE}
    report.group(f"macro names, {label}: {len(other)} macros", differences(mine, other))

    def texts(side):
        return {n: text or "nothing" for n, (params, text) in side.macros.items()
                if n in other and params is None and (not text or text.startswith('"'))}
    report.group(f"macros without a value and strings, {label}: {len(texts(theirs))} macros",
                 differences(texts(ours), texts(theirs)))
    report.group(f"enumerators, {label}: {len(theirs.enums)} names",
                 differences(ours.enums, theirs.enums, lambda e: f"in enum {e}".strip()))


def check_members(report, ours, theirs, label):
    def spelled(side):
        return {f"{kind}.{m[0]}": " ".join(x for x in m[1:] if x)
                for kind, members in side.types.items() for m in members if kind in theirs.types}
    kinds = differences({k: "defined" for k in ours.types}, {k: "defined" for k in theirs.types})
    declared = spelled(theirs)
    report.group(f"structure members, {label}: {len(theirs.types)} structures, "
                 f"{len(declared)} members", kinds + differences(untype(spelled(ours)),
                                                                 untype(declared)))


def untype(spelled):
    """Array bounds count by their size, which is measured; here only that there are some."""
    return {key: re.sub(r"\[[^]]+\]", "[n]", text) for key, text in spelled.items()}


def check_values(report, ours, theirs, flags, label):
    asked = {}
    for side in (ours, theirs):
        numbers, requests, calls = constant_questions(side.macros)
        for name in ONLY_REFERENCE if side is theirs else ONLY_OURS:
            for group in (numbers, requests, calls):
                for key in [k for k in group if k.split("(")[0] == name]:
                    del group[key]
        enums = {name: name for name in side.enums}
        asked[side] = {"constants": numbers, "requests": requests, "calls of macros": calls,
                       "enumerators' values": enums,
                       "structure layouts": layout_questions(side.types)}
    stubs = {m for side in (ours, theirs) for _, text in side.macros.values()
             for m in re.findall(r"\bstruct (\w+)", text)}
    answers = {}
    for side in (ours, theirs):
        known = {k.split()[1] for k in side.types if " " in k}
        flat = {(g, k): q for g, group in asked[side].items() for k, q in group.items()}
        answers[side] = side.measure(flags, flat, stubs - known, label)
    for group in asked[theirs]:
        mine, other = ({k: a for (g, k), a in answers[s].items() if g == group}
                       for s in (ours, theirs))
        report.group(f"{group}, {label}: {len(other)} values",
                     differences(mine, other, show_answer))


def compare(report, ours, theirs):
    for label, flags in VARIANTS.items():
        try:
            for side in (ours, theirs):
                side.read(flags)
            check_names(report, ours, theirs, label)
            check_members(report, ours, theirs, label)
            check_values(report, ours, theirs, flags, label)
        except Trouble as trouble:
            report.line("not ok", f"reading and compiling, {label}", [str(trouble)])


def find_reference():
    """The kernel tree to compare with, or None."""
    if os.environ.get("KVM_ABI_REFERENCE"):
        return os.environ["KVM_ABI_REFERENCE"]
    trees = glob.glob("/usr/src/linux-headers-6.12*-common")
    return max(trees, key=lambda t: [int(n) for n in re.findall(r"\d+", t)], default=None)


def stage(tree, out):
    """A copy of the reference's headers that a program can include, and what they lean on."""
    place = os.path.join(out, "reference")
    shutil.rmtree(place, ignore_errors=True)
    owned = []
    for name, path in HEADERS.items():
        owned.append(os.path.join(place, name))
        os.makedirs(os.path.dirname(owned[-1]), exist_ok=True)
        shutil.copyfile(os.path.join(tree, path), owned[-1])
    os.makedirs(os.path.join(place, "asm-generic"))
    for name in ("linux/bits.h", "asm-generic/bitsperlong.h"):
        shutil.copyfile(os.path.join(tree, "include/uapi", name), os.path.join(place, name))
    with open(os.path.join(place, "linux/compiler.h"), "w") as f:
        f.write("#define __user\n")
    return Side("reference", ["-I" + place], owned, out)


def main(root, out):
    report = Report()
    includes = ["-I" + os.path.join(root, d) for d in ("include/uapi", "arch/x86/include/uapi")]
    ours = Side("ours", includes, [os.path.join(root, p) for p in HEADERS.values()], out)
    check_alone(report, ours)
    tree = find_reference()
    if tree:
        print("reference:", tree)
        compare(report, ours, stage(tree, out))
    else:
        report.line("skip", "SKIP comparison: no headers of Linux 6.12 in /usr/src "
                            "(package linux-headers-6.12-amd64)")
    return report.end()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.split("\n", 1)[0])
    sys.exit(main(sys.argv[1], sys.argv[2]))
