"""What can be seen from inside: a small read-only root with the system, the runtime and the code.

The spawner builds two roots on one tmpfs: its own, with the machine at ``/.host`` so that code can be
found, and below ``/env`` the template that every environment starts from. An environment copies the
mounts by leaving the spawner's mount namespace, lays its code, ``/tmp`` and ``/proc`` over the
template and pivots into it; ``/.host`` goes with the old root.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.isolation import kernel, names

HOST = "/.host"
TEMPLATE = "/env"
_SYSTEM_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_FILES = {
    "etc/passwd": "root:x:0:0::/:/sbin/nologin\nsbx:x:1000:1000::/tmp:/sbin/nologin\n",
    "etc/group": "root:x:0:\nsbx:x:1000:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/resolv.conf": f"nameserver {names.ADDRESS}\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
# Debian's Java has its configuration here, behind links from below /usr.
CONFIGURATION = "/etc/java-*-openjdk"
# Node.js looks for an imported package in the ancestors of /var/task; on Lambda it finds those of layers
# and of the runtime as well.
_MODULES = {"/var/node_modules": "/opt/nodejs/node_modules", "/node_modules": "/var/runtime/node_modules"}


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python that functions run on: where it is here, and where it is seen inside.

    An interpreter outside /usr is shown at /var/lang, where Lambda has its own.
    """

    prefix: str
    version: str

    @property
    def inside(self) -> str:
        """The prefix as seen inside."""
        return self.prefix if _is_below(self.prefix, "/usr") else "/var/lang"

    @property
    def executable(self) -> str:
        """The interpreter as seen inside."""
        return f"{self.inside}/bin/python{self.version}"

    @property
    def library_path(self) -> str:
        """LD_LIBRARY_PATH as on Lambda; a shared libpython is found by it."""
        return (
            f"{self.inside}/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:"
            "/var/task:/var/task/lib:/opt/lib"
        )


@dataclass(frozen=True, slots=True)
class View:
    """What every environment of a spawner sees besides its own code."""

    interpreter: Interpreter
    runtime_dir: str
    hidden: tuple[str, ...] = ()
    """Directories that must stay out of sight even where they lie below a shown one."""
    trust: str | None = None
    """What is copied into /etc: the authorities that environments trust."""

    def masks(self) -> list[str]:
        """Directories shown empty, as seen inside: everybody else's installed packages."""
        interpreter = self.interpreter
        version = f"python{interpreter.version}"
        masks = [
            f"{interpreter.inside}/lib/{version}/site-packages",
            f"{interpreter.inside}/lib/{version}/dist-packages",
            f"/usr/lib/{version}/site-packages",
            f"/usr/lib/{version}/dist-packages",
            "/usr/lib/python3/dist-packages",
            "/usr/lib/python3/site-packages",
        ]
        if not _is_below(interpreter.prefix, "/usr/local"):
            masks.append("/usr/local")
        for path in self.hidden:
            masks.append(path)
            if _is_below(path, interpreter.prefix):
                masks.append(interpreter.inside + path.removeprefix(interpreter.prefix))
        return masks

    def build(self, staging: str) -> None:
        """Build both roots on a tmpfs at ``staging`` and make the spawner's the root.

        Call it in a mount namespace of one's own, as the first process of a process namespace.
        """
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
        kernel.mount("coldstart", staging, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=4m,mode=755")
        template = staging + TEMPLATE
        for directory in (staging + HOST, template, staging + "/empty", staging + "/proc"):
            os.mkdir(directory, 0o755)
        kernel.mount("proc", staging + "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
        self._show_system(staging, staging + "/empty")
        kernel.mount("environment", template, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=755")
        self._show_system(template, staging + "/empty")
        for name in ("proc", "tmp", "opt", "var/task", "var/lang", "etc"):
            os.makedirs(f"{template}/{name}", 0o755, exist_ok=True)
        for path, text in _FILES.items():
            Path(template, path).write_text(text)
        if self.trust is not None:
            shutil.copytree(self.trust, f"{template}/etc", dirs_exist_ok=True)
        for directory in glob.glob(CONFIGURATION):
            os.mkdir(template + directory, 0o755)
            kernel.bind_read_only(directory, template + directory)
        for link, target in _MODULES.items():
            os.symlink(target, template + link)
        kernel.mount("/", staging + HOST, flags=kernel.MS_BIND | kernel.MS_REC)
        kernel.set_mount_attributes(template, kernel.MOUNT_ATTR_RDONLY, recursive=False)
        kernel.pivot_root(staging)

    def _show_system(self, root: str, empty: str) -> None:
        os.mkdir(f"{root}/usr", 0o755)
        kernel.bind_read_only("/usr", f"{root}/usr")
        for name in _SYSTEM_LINKS:
            if os.path.islink(f"/{name}"):
                os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
            elif os.path.isdir(f"/{name}"):
                os.mkdir(f"{root}/{name}", 0o755)
                kernel.bind_read_only(f"/{name}", f"{root}/{name}")
        if self.interpreter.inside == "/var/lang":
            os.makedirs(f"{root}/var/lang", 0o755)
            kernel.bind_read_only(self.interpreter.prefix, f"{root}/var/lang")
        os.makedirs(f"{root}/var/runtime", 0o755)
        kernel.bind_read_only(self.runtime_dir, f"{root}/var/runtime")
        for mask in self.masks():
            if os.path.isdir(root + mask):
                kernel.bind_read_only(empty, root + mask)
        os.mkdir(f"{root}/dev", 0o755)
        for device in _DEVICES:
            Path(root, "dev", device).touch()
            # Without MS_NODEV: these five are the devices a program may open.
            kernel.bind(f"/dev/{device}", f"{root}/dev/{device}", kernel.MOUNT_ATTR_NOSUID)
        for link, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
            os.symlink(f"/proc/self/{target}", f"{root}/dev/{link}")


def enter(laid: Mapping[str, str | None], tmp_mb: int) -> None:
    """Lay an environment's own parts over the template and make it the root.

    ``laid`` names a directory of this machine, or None, for each place inside. Call it in fresh mount
    and process namespaces forked from the spawner.
    """
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    for place, directory in laid.items():
        if directory is not None:
            kernel.bind_read_only(HOST + directory, TEMPLATE + place)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    # A file takes at least one page, so this many inodes never run out before the space does for
    # honest use, and a flood of empty files cannot fill kernel memory.
    options = f"size={tmp_mb}m,nr_inodes={tmp_mb * 200},mode=1777"
    kernel.mount("tmp", TEMPLATE + "/tmp", "tmpfs", flags, options)
    # Only processes that the reader might trace are shown: not our first one (Linux 5.8 and newer).
    kernel.mount("proc", TEMPLATE + "/proc", "proc", flags | kernel.MS_NOEXEC, "hidepid=2")
    kernel.pivot_root(TEMPLATE)


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")
