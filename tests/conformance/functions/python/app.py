"""Does what the event says: the fixture of the conformance table, see its README."""

import asyncio
import base64
import datetime
import errno
import os
import select
import signal
import sys
import threading
import time
import uuid


class ConformanceError(Exception):
    """Thrown on demand."""


IDENTITY = uuid.uuid4().hex
_counts = {"count": 0, "ticks": 0}
_ticker = None


def _during_init():
    do, _, argument = os.environ.get("INIT", "").partition(":")
    if do == "print":
        print(argument, flush=True)
    elif do == "throw":
        raise ConformanceError(argument)
    elif do == "exit":
        os._exit(int(argument))
    elif do == "sleep":
        time.sleep(float(argument))
    elif do == "once" and not os.path.exists(argument):
        open(argument, "w").close()
        time.sleep(60)


_during_init()


def echo(event, context):
    return event["value"]


def nothing(event, context):
    return None


def throw(event, context):
    raise ConformanceError(event["message"])


def exit(event, context):
    os._exit(event["status"])


def signal_self(event, context):
    os.kill(os.getpid(), event["number"])
    signal.pause()


def sleep(event, context):
    print(event.get("say", "sleeping"), flush=True)
    time.sleep(event["seconds"])
    return "slept"


def spin(event, context):
    until = time.process_time() + event["cpu_seconds"]
    while time.process_time() < until:
        for _ in range(10_000):
            pass
    return "spun"


def allocate(event, context):
    held = []
    for _ in range(event["mb"]):
        block = bytearray(1024 * 1024)
        block[::4096] = b"x" * len(block[::4096])
        held.append(block)
    return len(held)


def environment(event, context):
    return {name: os.environ.get(name) for name in event["names"]}


def context(event, context):
    client = context.client_context
    return {
        "function_name": context.function_name,
        "function_version": context.function_version,
        "invoked_function_arn": context.invoked_function_arn,
        "memory_limit_mb": int(context.memory_limit_in_mb),
        "request_id": context.aws_request_id,
        "log_group": context.log_group_name,
        "log_stream": context.log_stream_name,
        "remaining_ms": context.get_remaining_time_in_millis(),
        "custom": client.custom if client else None,
    }


def print_lines(event, context):
    stream = sys.stderr if event.get("to") == "stderr" else sys.stdout
    for line in event["lines"]:
        print(line, file=stream, flush=True)
    return len(event["lines"])


def print_bytes(event, context):
    os.write(1, base64.b64decode(event["base64"]) + b"\n")


def count(event, context):
    _counts["count"] += 1
    return _counts["count"]


def identity(event, context):
    return IDENTITY


def write(event, context):
    with open(event["path"], "w") as file:
        file.write(event["text"])


def read(event, context):
    try:
        with open(event["path"]) as file:
            return file.read()
    except FileNotFoundError:
        return None


def fill(event, context):
    block = b"x" * 1024 * 1024
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with open(event["path"], "wb", buffering=0) as file:
            for _ in range(event["mb"]):
                # The write that meets the limit is cut short; the next one says why.
                left = block
                while left:
                    left = left[file.write(left) :]
    except OSError as error:
        return errno.errorcode[error.errno]
    return "written"


def big(event, context):
    return "x" * event["bytes"]


def unserialisable(event, context):
    return {1, 2, 3}


def tick(event, context):
    global _ticker

    def forever():
        while True:
            time.sleep(0.005)
            _counts["ticks"] += 1

    if _ticker is None:
        _ticker = threading.Thread(target=forever, daemon=True)
        _ticker.start()
    return _counts["ticks"]


def now(event, context):
    return {"time": time.time(), "date": datetime.datetime.now(datetime.UTC).timestamp()}


async def _wait_for():
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.05)
    except TimeoutError:
        return


def waits(event, context):
    lock = threading.Lock()
    lock.acquire()
    ways = {
        "sleep": lambda: time.sleep(0.05),
        "event": lambda: threading.Event().wait(0.05),
        "lock": lambda: lock.acquire(timeout=0.05),
        "select": lambda: select.select([], [], [], 0.05),
        "asyncio.sleep": lambda: asyncio.run(asyncio.sleep(0.05)),
        "asyncio.wait_for": lambda: asyncio.run(_wait_for()),
    }
    waited = {}
    for name, way in ways.items():
        began = time.monotonic()
        way()
        waited[name] = (time.monotonic() - began) * 1000
    return waited


def trace(event, context):
    return os.environ["_X_AMZN_TRACE_ID"]


_ACTIONS = {"print": print_lines, "signal": signal_self}


def handler(event, context):
    return (_ACTIONS.get(event["do"]) or globals()[event["do"]])(event, context)
