# SPDX-License-Identifier: GPL-2.0
"""Where the host's and the guest's kernel and the host's kernel modules come from: Debian's linux-image
package (installed, or unpacked in the cache), the tree that debug-kernel built, the project's build
directory. It builds nothing itself except through those tools."""

import contextlib
import ctypes
import fcntl
import glob
import lzma
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "kvm-modules")
DEBUG_TREE = os.path.join(CACHE, "debug-kernel", "linux-source-6.12")


class Failure(Exception):
    """Something this tool needs is not there; the text says what and what to do."""


def say(text):
    print("machine: " + text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def cache_lock():
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fetch_package(package, into, why, options=()):
    """Unpack a Debian package below a directory of the cache, without installing it; one process at a time.
    With options of private_apt() it is one that this machine's apt does not see."""
    with cache_lock():
        if not os.path.isdir(into):
            fetch_locked(package, into, why, options)


def fetch_locked(package, into, why, options):
    say(f"fetching Debian's {package}: {why}")
    part = into + ".part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    apt = ["apt-get", "-q", *options, "-o", "APT::Sandbox::User=root"]
    done = subprocess.run([*apt, "download", package], cwd=part, stdout=sys.stderr, check=False)
    if done.returncode and (options or os.geteuid() == 0):
        say("the package lists may be old: updating them")
        subprocess.run([*apt, "update"], stdout=sys.stderr, check=False)
        done = subprocess.run([*apt, "download", package], cwd=part, stdout=sys.stderr, check=False)
    debs = glob.glob(os.path.join(part, "*.deb"))
    if done.returncode or not debs:
        raise Failure(f"apt-get download {package} failed; 'apt-get update' as root may help, or an upgrade of the "
                      "kernel headers if the archive has moved on")
    subprocess.run(["dpkg-deb", "-x", debs[0], part], check=True)
    os.remove(debs[0])
    os.rename(part, into)


def kdir_release(kdir):
    try:
        with open(os.path.join(kdir, "include/config/kernel.release"), encoding="ascii") as f:
            return f.read().strip()
    except OSError as error:
        raise Failure(f"{kdir} is not a configured kernel tree; install the headers with 'make prepare'") from error


def default_kdir():
    """The headers the Makefile would choose: its 'kdir' target is the one place that knows."""
    environment = dict(os.environ)
    if environment.get("KDIR") == DEBUG_TREE:
        del environment["KDIR"]
    out = subprocess.run(["make", "-s", "-C", TOP, "kdir"], stdout=subprocess.PIPE, env=environment, text=True,
                         check=False)
    kdir = out.stdout.strip().splitlines()[-1:] or [""]
    if not kdir[0]:
        raise Failure("no kernel headers found: run 'make prepare'")
    return kdir[0]


class Kernel:
    """A bootable image, its release and its modules by name."""

    def __init__(self, image, release, module_tree):
        self.image = image
        self.release = release
        self.index = {}
        for folder, _, files in os.walk(module_tree):
            for name in files:
                match = re.fullmatch(r"(.+)\.ko(\.xz)?", name)
                if match:
                    self.index.setdefault(match.group(1).replace("-", "_"), os.path.join(folder, name))

    def module(self, name):
        """The bytes of a module, decompressed; None if the kernel has no such module (it may be built in)."""
        path = self.index.get(name.replace("-", "_"))
        if not path:
            return None
        with (lzma.open(path) if path.endswith(".xz") else open(path, "rb")) as f:
            return f.read()


def distribution(kdir=None):
    release = kdir_release(kdir if kdir and kdir != DEBUG_TREE else default_kdir())
    image, modules = f"/boot/vmlinuz-{release}", f"/lib/modules/{release}"
    if os.access(image, os.R_OK) and os.path.isdir(modules + "/kernel"):
        return Kernel(image, release, modules + "/kernel")
    package = "linux-image-" + release
    root = os.path.join(CACHE, package)
    if not os.path.isdir(root):
        fetch_package(package, root, "the kernel of the emulated host and of its guest (about 100 MB, once)")
    tree = os.path.join(root, "lib/modules", release)
    if not os.path.isdir(tree):
        tree = os.path.join(root, "usr", "lib/modules", release)
    return Kernel(os.path.join(root, "boot/vmlinuz-" + release), release, tree)


def uncompressed(image):
    """The vmlinux inside a bzImage, with what loads and runs of it: starting it takes a guest of an emulated host
    half as long. The image's payload (Documentation/arch/x86/boot.rst) is compressed with zstd, and ends with
    its size."""
    status = os.stat(image)
    path = os.path.join(CACHE, f"vmlinux-{os.path.basename(image)}-{status.st_size}-{status.st_mtime_ns}")
    if os.path.exists(path):
        return path
    with open(image, "rb") as f:
        raw = f.read()
    offset, length = struct.unpack_from("<II", raw, 0x248)
    start = ((raw[0x1f1] or 4) + 1) * 512 + offset
    payload = raw[start:start + length]
    size = struct.unpack("<I", payload[-4:])[0]
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_decompress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(size)
    if payload[:4] != b"\x28\xb5\x2f\xfd" or \
            library.ZSTD_decompress(out, ctypes.c_size_t(size), payload, ctypes.c_size_t(length - 4)) != size:
        raise Failure(f"{image} is not compressed with zstd")
    with tempfile.NamedTemporaryFile(dir=CACHE, delete=False) as f:
        f.write(out.raw)
    os.replace(f.name, path)
    return path


def debug():
    image = os.path.join(DEBUG_TREE, "arch/x86/boot/bzImage")
    if not os.path.exists(os.path.join(CACHE, "debug-kernel", "stamp")):
        raise Failure("there is no debugging kernel yet: run 'make debug-kernel'")
    return Kernel(image, kdir_release(DEBUG_TREE), DEBUG_TREE)


def ours(release, vendor):
    """The project's modules built for a release: name -> path. kvm and the vendor's must be among them."""
    found = {}
    build = os.path.join(TOP, "build", "modules-" + release)
    for path in glob.glob(os.path.join(build, "**", "kvm*.ko"), recursive=True):
        found[os.path.basename(path)[:-3].replace("-", "_")] = path
    if "kvm" not in found or vendor not in found:
        raise Failure(f"no kvm.ko and {vendor.replace('_', '-')}.ko below {build}: run 'make' (with KDIR= for another kernel)")
    return found


def dependencies(content):
    """The 'depends' line of a module's .modinfo section."""
    match = re.search(rb"\bdepends=([\w,-]*)\0", content)
    return [n for n in match.group(1).decode().split(",") if n] if match else []


def resolve(kernel, wanted, override):
    """Modules in load order: [(name, bytes)], with dependencies first; unknown ones are taken as built in."""
    order, seen = [], set()

    def visit(name):
        name = name.replace("-", "_")
        if name in seen:
            return
        seen.add(name)
        if name in override:
            with open(override[name], "rb") as f:
                content = f.read()
        else:
            content = kernel.module(name)
        if content is None:
            return
        for needed in dependencies(content):
            visit(needed)
        order.append((name, content))

    for name in wanted:
        visit(name)
    return order


def busybox():
    """A statically linked busybox."""
    installed = shutil.which("busybox", path="/bin:/usr/bin:/sbin:/usr/sbin")
    if installed and subprocess.run(["ldd", installed], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                    check=False).returncode:
        return installed
    root = os.path.join(CACHE, "busybox-static")
    if not os.path.isdir(root):
        fetch_package("busybox-static", root, "the userspace of the emulated host and of its guest")
    for path in ("bin/busybox", "usr/bin/busybox"):
        if os.path.exists(os.path.join(root, path)):
            return os.path.join(root, path)
    raise Failure("busybox-static holds no busybox")


def private_apt(name, arch=None, source=None):
    """Options with which apt sees packages that are not this machine's, another architecture's or another release's
    (source, a line of sources.list): its lists are in the cache, the machine's configuration stays as it is."""
    state = os.path.join(CACHE, "apt-" + name)
    settings = [("Dir::State", state), ("Dir::State::status", state + "/status"), ("Dir::Cache", state)]
    if arch:
        settings += [("APT::Architecture", arch), ("APT::Architectures::", arch)]
    if source:
        settings += [("Dir::Etc::SourceList", state + "/sources.list"), ("Dir::Etc::SourceParts", "/dev/null")]
    options = [word for key, value in settings for word in ("-o", f"{key}={value}")]
    with cache_lock():
        if not os.path.exists(state + "/status"):
            fetch_lists(name, state, options, source)
    return options


def fetch_lists(name, state, options, source):
    os.makedirs(state + "/lists/partial", exist_ok=True)
    os.makedirs(state + "/archives/partial", exist_ok=True)
    if source:
        with open(state + "/sources.list", "w", encoding="ascii") as f:
            f.write(source + "\n")
    say(f"fetching the package lists of {name} into the cache (this machine's stay as they are)")
    # A part of them may be enough; whether it is shows when a package is fetched.
    subprocess.run(["apt-get", "-q", *options, "-o", "APT::Sandbox::User=root", "update"], stdout=sys.stderr,
                   check=False)
    # What is installed on this machine does not matter there.
    with open(state + "/status", "w", encoding="ascii"):
        pass


def i386(flavour):
    """(kernel image, busybox) of Debian's i386 for a guest; flavour 686 has 2-level paging, 686-pae has PAE."""
    root = os.path.join(CACHE, "linux-image-" + flavour)
    box = os.path.join(CACHE, "busybox-static-i386")
    apt = private_apt("i386", arch="i386")
    if not os.path.isdir(root):
        depends = subprocess.run(["apt-cache", *apt, "depends", "linux-image-" + flavour], stdout=subprocess.PIPE,
                                 text=True, check=False).stdout
        package = re.search(r"Depends: (linux-image-\S+)", depends)
        if not package:
            raise Failure(f"Debian has no linux-image-{flavour} for i386")
        fetch_package(package.group(1), root, "a guest's kernel", apt)
    if not os.path.isdir(box):
        fetch_package("busybox-static", box, "its userspace", apt)
    return glob.glob(os.path.join(root, "boot/vmlinuz-*"))[0], os.path.join(box, "bin/busybox")


def other_release(name, kind="deb"):
    """Options for another release than bookworm: the mirror is the one that this machine takes bookworm from. kind:
    deb, packages to install, or deb-src, their sources."""
    found = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages",
                            "Origin: Debian", "Codename: bookworm", "Component: main"], stdout=subprocess.PIPE,
                           text=True, check=False).stdout.split()
    mirror = found[0] if found else "http://deb.debian.org/debian"
    return private_apt(name if kind == "deb" else f"{name}-{kind}", source=f"{kind} [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
                       f"{mirror} {name} main")


def installed_qemu():
    """(QEMU, where folders of firmware like /usr/share are)"""
    program = shutil.which("qemu-system-x86_64")
    if not program:
        raise Failure("qemu-system-x86_64 is missing: run 'make prepare'")
    return program, ["/"]


def xen_qemu():
    """The same of a QEMU that plays Xen on KVM: the installed one from 8.0 on, else bookworm-backports'."""
    installed, roots = installed_qemu()
    version = subprocess.run([installed, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    if int(re.search(r"version (\d+)", version).group(1)) >= 8:
        return installed, roots
    roots = []
    for package, why in (("qemu-system-x86", "Xen on KVM came with QEMU 8 and Debian 12 has 7.2 (10 MB, once)"),
                         ("qemu-system-data", "its firmware"), ("seabios", "its firmware")):
        roots.append(os.path.join(CACHE, package + "-backports"))
        if not os.path.isdir(roots[-1]):
            fetch_package(package, roots[-1], why, other_release("bookworm-backports"))
    program = os.path.join(roots[0], "usr/bin/qemu-system-x86_64")
    libraries = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    missing = re.findall(r"(\S+) => not found", libraries)
    if missing:
        raise Failure("bookworm-backports' QEMU wants libraries that Debian 12's does not: " + " ".join(missing))
    return program, roots


def main():
    """Where the files of a Debian package are that is no part of this machine."""
    root = os.path.join(CACHE, sys.argv[1])
    if not os.path.isdir(root):
        fetch_package(sys.argv[1], root, "a guest")
    print(root)


if __name__ == "__main__":
    main()
