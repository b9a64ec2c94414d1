# SPDX-License-Identifier: GPL-2.0
"""Initramfs archives in the "newc" cpio format (the kernel's Documentation/driver-api/early-userspace/
buffer-format.rst), written without cpio(1) so that device nodes and root ownership need no privilege.
What goes into an archive is decided elsewhere."""

import os
import stat
import subprocess


class Archive:
    """A list of files, written in the order given; parents are made as needed, the last of a name wins."""

    def __init__(self, out):
        self.out = out
        self.inode = 0
        self.made = set()

    def _pad(self):
        self.out.write(b"\0" * (-self.out.tell() % 4))

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        raw = name.encode() + b"\0"
        self.inode += 1
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0)
        self.out.write(b"070701" + b"".join(b"%08X" % f for f in fields) + raw)
        self._pad()
        self.out.write(data)
        self._pad()

    def directory(self, path, mode=0o755):
        path = path.strip("/")
        if not path or path in self.made:
            return
        self.directory(os.path.dirname(path))
        self.made.add(path)
        self._entry(path, stat.S_IFDIR | mode)

    def data(self, path, content, mode=0o644):
        path = path.strip("/")
        self.directory(os.path.dirname(path))
        self._entry(path, stat.S_IFREG | mode, content.encode() if isinstance(content, str) else content)

    def symlink(self, path, target):
        path = path.strip("/")
        self.directory(os.path.dirname(path))
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def device(self, path, major, minor, mode=0o600):
        self.directory(os.path.dirname(path.strip("/")))
        self._entry(path.strip("/"), stat.S_IFCHR | mode, rdev=(major, minor))

    def copy(self, source, path):
        """One file, or a directory with all that is below it; links to files are followed."""
        if os.path.isdir(source):
            self.directory(path)
            for name in sorted(os.listdir(source)):
                self.copy(os.path.join(source, name), path.rstrip("/") + "/" + name)
            return
        with open(source, "rb") as f:
            content = f.read()
        self.data(path, content, stat.S_IMODE(os.stat(source).st_mode) | 0o444)
        if content[:4] == b"\x7fELF":
            self.libraries(source)

    def libraries(self, program):
        """The shared libraries that a dynamically linked program wants, at the paths where it wants them."""
        listing = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                 text=True, check=False).stdout
        for line in listing.splitlines():
            words = line.split()
            path = words[2] if len(words) > 2 and words[1] == "=>" else words[0] if words else ""
            if path.startswith("/") and path not in self.made:
                self.made.add(path)
                with open(path, "rb") as f:
                    self.data(path, f.read(), 0o755)

    def close(self):
        self._entry("TRAILER!!!", 0)
