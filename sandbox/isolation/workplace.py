"""Where one build works: the tools of the machine, read-only, and one writable place of limited size.

No file of the machine is shared for writing: sources come in and results go out as frames.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sandbox.isolation import kernel, rights
from sandbox.isolation.frames import read_frames, write_end, write_frame

BUILD = "/build"
SOURCE = f"{BUILD}/src"
RESULT = f"{BUILD}/out"
HOME = f"{BUILD}/home"

_DEVICES = ("null", "zero", "full", "random", "urandom")
_SYSTEM_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# Of /etc, what tools read and what is the same on every machine.
_ETC_SHOWN = ("alternatives", "ssl/certs", "ssl/openssl.cnf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d")
_ETC_WRITTEN = {
    "passwd": f"root:x:0:0::/:/sbin/nologin\nbuild:x:{rights.UID}:{rights.UID}::{HOME}:/sbin/nologin\n",
    "group": f"root:x:0:\nbuild:x:{rights.UID}:\n",
    "hosts": "127.0.0.1 localhost\n",
    "resolv.conf": "",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_HIDDEN = ("/usr/local", "/usr/lib/python3/dist-packages", "/usr/src")
_PLAIN = kernel.MS_NOSUID | kernel.MS_NODEV


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a build sees. ``owner`` is the uid that its files are given to; None: they are ours already.

    ``shown`` and ``seeds`` are those of the job.
    """

    shown: tuple[str, ...]
    seeds: Iterable[tuple[str, str]]
    disk_mb: int
    owner: int | None

    def enter(self, staging: str) -> None:
        """Make it in the mount namespace of the calling process and move there; nothing else is left."""
        root = staging
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
        kernel.mount("view", root, "tmpfs", _PLAIN, "size=4m,mode=755")
        self._show_system(root)
        self._make_writable(root)
        for path in self.shown:  # After /tmp, which some of them may lie in.
            _show(path, root)
        for source, target in self.seeds:
            self._plant(source, root + target)
        kernel.mount("proc", f"{root}/proc", "proc", _PLAIN | kernel.MS_NOEXEC)
        for path in (root, *(root + hidden for hidden in _HIDDEN if os.path.isdir(root + hidden))):
            kernel.set_mount_attributes(path, kernel.MOUNT_ATTR_RDONLY, recursive=False)
        kernel.pivot_root(root)

    def _show_system(self, root: str) -> None:
        os.mkdir(f"{root}/usr", 0o755)
        kernel.bind_read_only("/usr", f"{root}/usr")
        for name in _SYSTEM_LINKS:
            if os.path.islink(f"/{name}"):
                os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
            elif os.path.isdir(f"/{name}"):
                os.mkdir(f"{root}/{name}", 0o755)
                kernel.bind_read_only(f"/{name}", f"{root}/{name}")
        for hidden in _HIDDEN:
            if os.path.isdir(root + hidden):
                kernel.mount("hidden", root + hidden, "tmpfs", _PLAIN, "size=64k,mode=755")
        _show_devices(root)
        os.makedirs(f"{root}/etc")
        for name, text in _ETC_WRITTEN.items():
            Path(root, "etc", name).write_text(text)
        for name in _ETC_SHOWN:
            _show(f"/etc/{name}", root)

    def _make_writable(self, root: str) -> None:
        for name in ("build", "proc", "tmp"):
            os.mkdir(f"{root}/{name}")
        size = f"size={self.disk_mb}m,nr_inodes={self.disk_mb * 400},mode=755"
        kernel.mount("build", root + BUILD, "tmpfs", _PLAIN, size)
        for place in (BUILD, f"{BUILD}/tmp", HOME, SOURCE, RESULT):
            os.makedirs(root + place, exist_ok=True)
            self._give(root + place)
        kernel.bind(f"{root}{BUILD}/tmp", f"{root}/tmp", kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV)

    def _plant(self, source: str, target: str) -> None:
        shutil.copytree(source, target, copy_function=shutil.copyfile, dirs_exist_ok=True)
        for here, _folders, names in os.walk(target):
            self._give(here)
            for name in names:
                self._give(f"{here}/{name}")

    def _give(self, path: str) -> None:
        if self.owner is not None:
            os.chown(path, self.owner, self.owner)

    def take(self, stream: BinaryIO) -> None:
        """Write the sources, once inside.

        Raises:
            OSError: one of them leads out of the build's place.
        """
        for name, runs, size in read_frames(stream):
            path = Path(BUILD, name)
            if ".." in path.parts or not path.is_relative_to(BUILD):
                raise OSError(0, f"the source {name!r} leads out of the build's place")
            for parent in reversed(path.parents[: -len(Path(BUILD).parts)]):
                if not parent.is_dir():
                    parent.mkdir()
                    self._give(str(parent))
            path.write_bytes(stream.read(size))
            path.chmod(0o755 if runs else 0o644)
            self._give(str(path))


def is_full() -> bool:
    """Whether the build has written all that it may."""
    place = os.statvfs(BUILD)
    return place.f_bavail * place.f_frsize < 64 * 1024 or place.f_favail < 8


def hand_out(root: str, stream: BinaryIO) -> None:
    """Write regular files below ``root``, and links to such; everything in there is dead by now."""
    for name, path, status in _regular(root):
        with open(path, "rb") as file:
            write_frame(stream, name, file.read(), runs=bool(status.st_mode & stat.S_IXUSR))
    write_end(stream)


def _regular(root: str) -> Iterator[tuple[str, str, os.stat_result]]:
    """Files below ``root`` by relative name; a link counts as what it names, once, inside ``root``."""
    inside = os.path.realpath(root) + "/"
    todo: list[tuple[str, frozenset[str]]] = [("", frozenset({os.path.realpath(root)}))]
    while todo:
        folder, above = todo.pop()
        with os.scandir(os.path.join(root, folder)) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            name = os.path.join(folder, entry.name)
            real = os.path.realpath(entry.path)
            if not real.startswith(inside):
                continue
            with contextlib.suppress(OSError):
                status = os.stat(real)
                if stat.S_ISDIR(status.st_mode) and real not in above:
                    todo.append((name, above | {real}))
                elif stat.S_ISREG(status.st_mode):
                    yield name, real, status


def _show_devices(root: str) -> None:
    os.mkdir(f"{root}/dev", 0o755)
    for device in _DEVICES:
        Path(root, "dev", device).touch()
        # Without MS_NODEV: these five are the devices a program may open.
        kernel.bind(f"/dev/{device}", f"{root}/dev/{device}", kernel.MOUNT_ATTR_NOSUID)
    for link, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{target}", f"{root}/dev/{link}")


def _show(path: str, root: str) -> None:
    """Show a file or directory of the machine read-only where it is; what is not there is left out."""
    target = root + path
    if not os.path.exists(path):
        return
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target):
            Path(target).touch()
    kernel.bind_read_only(path, target)
