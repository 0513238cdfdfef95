"""``python -m sandbox.supervisor``: started by ``client.py``, never by hand."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import resource
import sys
import threading
import traceback
from pathlib import Path
from typing import IO, NoReturn

from sandbox.supervisor import wire

# Nobody's AWS settings have a say in here: everything that is called is ours.
for _name in list(os.environ):
    if _name.upper().startswith(("AWS_", "BOTO_", "MOTO_")) or _name.lower().endswith("_proxy"):
        del os.environ[_name]
os.environ |= {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def main() -> NoReturn:
    """Start, warm up, say so, and serve."""
    options = _read_options()
    if options.owner is None and os.fork():
        os._exit(0)  # The shared one is nobody's child.
    ready = open(options.ready, "wb")  # noqa: SIM115  Until we are ready, across many steps.
    try:
        _serve(options, ready)
    except BaseException as error:  # The edge of this process: who started it has to be told.
        traceback.print_exc()
        with contextlib.suppress(OSError):
            ready.write(wire.encode(wire.failure(error)))
            ready.flush()
        os._exit(70)


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.supervisor")
    parser.add_argument("--run", type=Path, required=True, help="the directory of sockets")
    parser.add_argument("--home", type=Path, required=True, help="the installation's home")
    parser.add_argument("--runtime", type=Path, required=True, help="the Python runtime's packages")
    parser.add_argument("--ready", type=int, required=True, help="the descriptor to report on")
    parser.add_argument("--owner", type=int, help="end with this process, which started us")
    parser.add_argument("--minimum", type=int, default=3, help="the least isolation level")
    parser.add_argument("--level", type=int, help="exactly this isolation level")
    parser.add_argument("--unsafe", action="store_true", help="level 1 will do")
    parser.add_argument("--image", default="", help="environments are containers of this image")
    parser.add_argument("--stamp", default="", help="names the source that is served")
    return parser.parse_args()


def _share_models() -> None:
    """Let every botocore session find what another has read; moto makes a new one again and again."""
    from botocore.loaders import Loader

    from sandbox.isolation.warm import quicken, remember

    quicken()
    for method in ("load_service_model", "load_data_with_path", "list_available_services"):
        remember(Loader, method)


def _serve(options: argparse.Namespace, ready: IO[bytes]) -> NoReturn:
    from sandbox.emulator.gateway.authority import open_authority
    from sandbox.isolation.client import SpawnerClient, StartingSpawner
    from sandbox.isolation.spec import IsolationLevel
    from sandbox.logs import log_to_stderr
    from sandbox.supervisor import places

    log_to_stderr()
    if options.owner is not None and os.getppid() != options.owner:
        os._exit(0)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    place, lock = places.claim_instance(options.run)
    authority = open_authority(options.home)
    starting = StartingSpawner(
        place / "spawner",
        options.runtime,
        level=None if options.level is None else IsolationLevel(options.level),
        minimum=IsolationLevel(options.minimum),
        unsafe=options.unsafe,
        hidden=(options.home, options.run),
        trust=authority.trust,
        image=options.image,
    )
    gc.disable()
    _share_models()
    from sandbox.emulator import process
    from sandbox.emulator.functions.runtimes import find_runtimes
    from sandbox.supervisor import loop

    process.warm_up()
    runtimes = find_runtimes(options.home)
    gc.freeze()
    gc.enable()
    spawner = starting.wait()
    held = SpawnerClient(place / "spawner")
    level, name, steps = held.level, held.name, held.steps
    held.close()
    about = {
        "pid": os.getpid(),
        "stamp": options.stamp,
        "shared": options.owner is None,
        "isolation": {
            "level": int(level),
            "name": name,
            "reasons": [f"{step['step']}: {step['reason']}" for step in steps if step["reason"]],
            **({"image": options.image} if options.image else {}),
        },
    }
    at = places.shared_socket(options.run) if options.owner is None else place / "supervisor"
    listener = loop.listen(at)
    alone = threading.active_count() == 1
    if not alone:
        raise RuntimeError(f"threads are running before the fork: {threading.enumerate()}")
    supervisor = loop.Supervisor(
        place, lock, listener, at, spawner, about, options.owner, runtimes, authority
    )
    with ready as pipe:
        pipe.write(wire.encode({"ok": {**about, "socket": str(at)}}))
    supervisor.serve()


if __name__ == "__main__":
    sys.exit(main())
