"""A stand-in for the ``docker`` command: what ``docker run`` is asked for is recorded and, as root, done.

It makes a container as an engine would as far as our first process can tell: namespaces, a root of the
interpreter and the mounts asked for, no network but loopback, another user, no capabilities. Arguments it
does not know are an error. ``DOCKER_STANDIN_RECORD`` is a file for its calls, a JSON list a line.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

SOURCE = Path(__file__).resolve().parents[2]
sys.path.append(str(SOURCE))

from sandbox.isolation import kernel  # noqa: E402


def parse(arguments: list[str]) -> argparse.Namespace:
    """Of ``docker run``, what we use."""
    parser = argparse.ArgumentParser(prog="docker run", allow_abbrev=False)
    for flag in ("--rm", "--detach", "--read-only"):
        parser.add_argument(flag, action="store_true", required=True)
    for option in (
        "name",
        "pull",
        "hostname",
        "network",
        "ipc",
        "user",
        "memory",
        "memory-swap",
        "pids-limit",
    ):
        parser.add_argument(f"--{option}", required=True)
    for option in ("log-driver", "ulimit", "cap-drop", "security-opt", "entrypoint"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--cpus")
    parser.add_argument("--mount", action="append", default=[])
    parser.add_argument("--tmpfs", action="append", required=True)
    parser.add_argument("image")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args(arguments)


def contain(wanted: argparse.Namespace, root: str) -> NoReturn:
    """Become the container's first process."""
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.loopback_up()
    kernel.mount("root", root, "tmpfs", 0, "mode=755")
    for directory in ("/usr", "/bin", "/lib", "/lib64", "/etc", sys.base_prefix):
        if Path(directory).exists():
            os.makedirs(root + directory, exist_ok=True)
            kernel.bind_read_only(directory, root + directory)
    for each in wanted.mount:
        options = dict(part.partition("=")[::2] for part in each.split(","))
        assert "readonly" in options
        os.makedirs(root + options["target"], exist_ok=True)
        kernel.bind_read_only(options["source"], root + options["target"])
    for directory in ("/proc", "/tmp", "/dev"):
        os.makedirs(root + directory, exist_ok=True)
    for device in ("null", "urandom"):
        Path(root, "dev", device).touch()
        kernel.bind(f"/dev/{device}", f"{root}/dev/{device}", kernel.MOUNT_ATTR_NOSUID)
    temporary = next(each for each in wanted.tmpfs if each.startswith("/tmp:"))
    size = next(part for part in temporary.split(",") if part.startswith("size="))
    kernel.mount("tmp", root + "/tmp", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"{size},mode=1777")
    kernel.mount("proc", root + "/proc", "proc")
    kernel.set_mount_attributes(root, kernel.MOUNT_ATTR_RDONLY, recursive=False)
    kernel.pivot_root(root)
    user, group = map(int, wanted.user.split(":"))
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    variables = {"PATH": f"{sys.base_prefix}/bin:/usr/bin:/bin", "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"}
    os.execvpe(wanted.entrypoint, [wanted.entrypoint, *wanted.arguments], variables)


def run(wanted: argparse.Namespace) -> None:
    """Start a container and return, as ``--detach`` does."""
    root = tempfile.mkdtemp(prefix="standin-")
    kernel.unshare(kernel.CLONE_NEWPID)
    child = os.fork()
    if child == 0:
        nothing = os.open("/dev/null", os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nothing, descriptor)
        contain(wanted, root)
    Path(os.environ["DOCKER_STANDIN_RECORD"] + "." + wanted.name).write_text(str(child))


def main() -> None:
    """``run``, ``kill``, or one of the questions."""
    with open(os.environ["DOCKER_STANDIN_RECORD"], "a") as file:
        file.write(json.dumps(sys.argv[1:]) + "\n")
    if sys.argv[1] in ("image", "inspect"):
        if sys.argv[-1] == "missing":
            sys.exit("Error: No such image: missing")
    elif sys.argv[1] == "kill":
        place = Path(os.environ["DOCKER_STANDIN_RECORD"] + "." + sys.argv[2])
        if not place.exists():
            sys.exit(f"Error response from daemon: No such container: {sys.argv[2]}")
        os.kill(int(place.read_text()), signal.SIGKILL)
    else:
        run(parse(sys.argv[2:]))


main()
