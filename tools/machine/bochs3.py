# SPDX-License-Identifier: GPL-2.0
"""Bochs 3.0 as Debian 13 has it, which emulates posted interrupts, unpacked in the cache with all libraries it
wants, the C library among them, and started by that library's own loader. Nothing of it is installed."""

import glob
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
