"""Starts JupyterLab inside of an isolated network, and a way in: connections kept open to whoever serves it.

The network has no door to the outside but sockets that its owner serves. So this end calls: it keeps idle
connections to the owner, who says on one of them what it is for: ``http`` carries one browser's connection
to JupyterLab, ``files`` answers with the learner's files. It runs beside the learner's code and is trusted
as little.
"""

import asyncio
import json
import os
import struct
import subprocess
import sys

IDLE = 8
LEFT_OUT = {"__pycache__", ".ipynb_checkpoints", ".git", "node_modules", ".venv"}
FILES_LIMIT = 2_000


async def main() -> None:
    with open("/build/in/told.json", encoding="utf-8") as file:
        told = json.load(file)
    server = subprocess.Popen([sys.executable, "-I", "-m", "jupyterlab", *told["options"]])
    waiting: set[asyncio.Task[None]] = set()

    def call() -> None:
        task = asyncio.create_task(serve(told, call))
        waiting.add(task)
        task.add_done_callback(waiting.discard)

    for _ in range(IDLE):
        call()
    while server.poll() is None:
        await asyncio.sleep(0.5)
    raise SystemExit(server.returncode or 1)


async def serve(told: dict, another) -> None:  # type: ignore[no-untyped-def, type-arg]
    """One connection: wait until it is wanted, have another one in its place, and do what was asked."""
    reader, writer = await asyncio.open_connection("127.0.0.1", told["tunnel"])
    try:
        wanted = await reader.readline()
        another()
        if wanted == b"files\n":
            send_files(writer, told["root"])
            await writer.drain()
        elif wanted == b"http\n":
            await carry(reader, writer, told["port"])
    except OSError:
        pass
    finally:
        writer.close()


async def carry(reader, writer, port) -> None:  # type: ignore[no-untyped-def]
    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))
    finally:
        inner_writer.close()


async def copy(reader, writer) -> None:  # type: ignore[no-untyped-def]
    try:
        while block := await reader.read(65536):
            writer.write(block)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        pass


def send_files(writer, root) -> None:  # type: ignore[no-untyped-def]
    """As the frames of builds: length of the name, whether it runs, length of the content."""
    sent = 0
    for here, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        for name in names:
            path = os.path.join(here, name)
            if os.path.islink(path) or not os.path.isfile(path) or sent >= FILES_LIMIT:
                continue
            with open(path, "rb") as file:
                body = file.read()
            told = os.path.relpath(path, root).encode("utf-8", "surrogateescape")
            writer.write(struct.pack(">IBQ", len(told), 0, len(body)) + told + body)
            sent += 1
    writer.write(struct.pack(">IBQ", 0, 0, 0))


if __name__ == "__main__":
    asyncio.run(main())
