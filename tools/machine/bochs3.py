# SPDX-License-Identifier: GPL-2.0
"""Bochs 3.0 as Debian 13 has it, which emulates posted interrupts, unpacked in the cache with all libraries it
wants, the C library among them, and started by that library's own loader. Nothing of it is installed.

Also built from its source, with VMX controls in it that no emulator has: bochs-controls.patch, which says what they are."""

import glob
import hashlib
import os
import shutil
import subprocess
import sys

from kernels import CACHE, Failure, cache_lock, other_release, say

ROOT = os.path.join(CACHE, "bochs-trixie")
LIBRARIES = os.path.join(ROOT, "usr/lib/x86_64-linux-gnu")
BIOS = os.path.join(ROOT, "usr/share/bochs/BIOS-bochs-latest")
VGA = os.path.join(ROOT, "usr/share/vgabios/vgabios.bin")
PACKAGES = ["bochs", "bochs-term", "bochsbios", "vgabios"]


def fetch(options):
    say("fetching Debian 13's Bochs and its libraries (55 MB, once)")
    apt = ["apt-get", "-q", *options, "-o", "APT::Sandbox::User=root"]
    part = ROOT + ".part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part + "/archives/partial")
    install = [*apt, "-o", f"Dir::Cache::Archives={part}/archives", "-o", "Debug::NoLocking=1", "-y",
               "--no-install-recommends", "--download-only", "install", *PACKAGES]
    done = subprocess.run(install, stdout=sys.stderr, check=False)
    if done.returncode:
        subprocess.run([*apt, "update"], stdout=sys.stderr, check=False)
        done = subprocess.run(install, stdout=sys.stderr, check=False)
    if done.returncode:
        raise Failure("apt-get does not get Debian 13's Bochs")
    for package in glob.glob(part + "/archives/*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, part], check=True)
    shutil.rmtree(part + "/archives")
    os.rename(part, ROOT)


def command():
    """What to start it with."""
    if not os.path.isdir(ROOT):
        options = other_release("trixie")
        with cache_lock():
            if not os.path.isdir(ROOT):
                fetch(options)
    return [os.path.join(ROOT, "usr/lib64/ld-linux-x86-64.so.2"), "--library-path",
            f"{LIBRARIES}:{LIBRARIES}/pulseaudio", os.path.join(ROOT, "usr/bin/bochs-bin")]


ENVIRONMENT = {"LTDL_LIBRARY_PATH": os.path.join(LIBRARIES, "bochs/plugins")}


# ---- built from its source

PATCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bochs-controls.patch")
CONFIGURE = ["--with-rfb", "--disable-plugins", "--disable-docbook", "--enable-all-optimizations",
             "--enable-cpu-level=6", "--enable-x86-64", "--enable-smp", "--enable-vmx=2", "--enable-svm",
             "--enable-avx", "--enable-evex", "--enable-fpu", "--enable-pci", "--enable-cdrom", "--enable-memtype",
             "--enable-repeat-speedups", "--enable-x86-debugger", "--enable-protection-keys", "--enable-cet",
             "--enable-uintr", "--enable-amx", "--enable-raw-serial"]


def step(why, *command, cwd):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Failure(f"{why}: {' '.join(command[:2])} failed:\n" + done.stdout[-3000:])


def build(program, options):
    say("fetching the source of Debian 13's Bochs and building it with more VMX controls (10 MB and some minutes, once)")
    part = program + ".part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    apt = ["apt-get", "-q", *options, "-o", "APT::Sandbox::User=root"]
    step("Bochs' source", *apt, "source", "--download-only", "--tar-only", "bochs", cwd=part)
    archives = glob.glob(part + "/bochs_*.orig.tar.*")
    if len(archives) != 1:
        raise Failure("apt-get does not get the source of Debian 13's Bochs")
    step("Bochs' source", "tar", "-xf", archives[0], "--strip-components=1", cwd=part)
    step("Bochs' source", "patch", "-p1", "-i", PATCH, cwd=part)
    step("building Bochs", "./configure", *CONFIGURE, cwd=part)
    step("building Bochs", "make", f"-j{os.cpu_count()}", cwd=part)
    os.rename(part + "/bochs", program)
    shutil.rmtree(part)


def command_with_controls():
    """What to start that one with; the firmware is command()'s."""
    with open(PATCH, "rb") as f:
        program = os.path.join(CACHE, "bochs-controls-" + hashlib.sha256(f.read()).hexdigest()[:12])
    if not os.path.exists(program):
        if not shutil.which("g++") or not shutil.which("patch"):
            raise Failure("a compiler or patch is missing: run 'tools/machine/prepare --bochs-controls'")
        options = other_release("trixie", "deb-src")
        with cache_lock():
            if not os.path.exists(program):
                build(program, options)
    return [program]
