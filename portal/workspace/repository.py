"""One learner's workspace as a git repository, in a process of its own.

What a push sends is unpacked here, under limits of memory, time and file size, and nowhere else. The portal
says on standard input what is in the workspace, is asked about what was pushed, and has the last word on it.

- Arguments: the repository's folder, ``upload-pack`` or ``receive-pack``, ``advertise`` or ``serve``, and
  the number of a descriptor.
- Standard input: a line of JSON, ``{"files": {path: base64}, "author", "at"}``, then the request's body.
- Standard output: the answer's body.
- That descriptor, a socket: ``{"files": {path: base64}, "submit": bool}``, a line for each branch that is
  pushed; the portal answers ``{"error": text}`` or ``{"told": text}``.

Protocol: https://git-scm.com/docs/http-protocol
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import resource
import socket
import stat
import sys
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

from dulwich.errors import HookError
from dulwich.hooks import Hook
from dulwich.objects import Blob, Commit, ObjectID, Tree
from dulwich.protocol import ReceivableProtocol
from dulwich.refs import Ref
from dulwich.repo import Repo
from dulwich.server import BackendRepo, DictBackend, ReceivePackHandler, UploadPackHandler

MEMORY_BYTES = 1_000_000_000
TIME_S = 30
FILE_BYTES = 100_000_000
UNPACKED_BYTES = 60_000_000
MAIN, SUBMIT = Ref(b"refs/heads/main"), Ref(b"refs/heads/submit")
_SERVICES = {"upload-pack": UploadPackHandler, "receive-pack": ReceivePackHandler}


def main() -> None:
    """Serve one request."""
    folder, service, what, portal = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (TIME_S, TIME_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    body, answer = sys.stdin.buffer, sys.stdout.buffer
    told = json.loads(body.readline())
    with _locked(Path(folder)), _opened(Path(folder)) as repository:
        record(repository, _read(told["files"]), told["author"].encode(), told["at"])
        if service == "receive-pack":
            repository.hooks["update"] = Asking(repository, socket.socket(fileno=int(portal)))
        _serve(repository, service, what == "advertise", body, answer)
    answer.flush()


def _serve(repository: Repo, service: str, advertise: bool, body: BinaryIO, answer: BinaryIO) -> None:
    read = BytesIO().read if advertise else body.read
    protocol = ReceivableProtocol(read, answer.write)
    backend = DictBackend({"/": cast(BackendRepo, repository)})
    handler = _SERVICES[service](backend, ["/"], protocol, stateless_rpc=True, advertise_refs=advertise)
    if advertise:
        handler.proto.write_pkt_line(f"# service=git-{service}\n".encode())
        handler.proto.write_pkt_line(None)
    handler.handle()


def record(repository: Repo, files: Mapping[str, bytes], author: bytes, at: int) -> None:
    """Commit to ``main`` what the workspace holds, if that is not what is there."""
    tree = _tree(repository, files)
    head = repository.refs.as_dict().get(MAIN)
    if head is not None and _commit(repository, head).tree == tree:
        return
    commit = Commit()
    commit.tree = tree
    commit.parents = [head] if head else []
    commit.author = commit.committer = author
    commit.author_time = commit.commit_time = at
    commit.author_timezone = commit.commit_timezone = 0
    commit.encoding = b"UTF-8"
    commit.message = b"Saved in the browser\n" if head else b"The workspace as it is\n"
    repository.object_store.add_object(commit)
    repository.refs[MAIN] = commit.id


def _tree(repository: Repo, files: Mapping[str, bytes]) -> ObjectID:
    """The tree of these files; kept with all that is in it."""
    tree, below = Tree(), dict[str, dict[str, bytes]]()
    for path, content in files.items():
        name, _, rest = path.partition("/")
        if rest:
            below.setdefault(name, {})[rest] = content
            continue
        blob = Blob.from_string(content)
        repository.object_store.add_object(blob)
        # Whether it may be run is told by its first bytes, as where packages are made of it.
        mode = 0o100755 if content.startswith((b"#!", b"\x7fELF")) else 0o100644
        tree.add(name.encode(), mode, blob.id)
    for name, more in below.items():
        tree.add(name.encode(), stat.S_IFDIR, _tree(repository, more))
    repository.object_store.add_object(tree)
    return tree.id


class Asking(Hook):
    """The hook that reads what a branch is to be, and asks the portal whether it may."""

    def __init__(self, repository: Repo, portal: socket.socket) -> None:
        self._repository = repository
        self._portal = portal.makefile("rwb")

    def execute(self, branch: Ref, old: ObjectID, new: ObjectID) -> tuple[bytes, bytes]:
        """What is told to who pushes, on either stream; raises HookError with why it is refused."""
        if branch not in (MAIN, SUBMIT):
            raise HookError("only main, and submit to hand in, can be pushed")
        if set(new) == {ord("0")}:
            raise HookError("branches can't be deleted here")
        try:
            if branch == MAIN and not self._follows(old, new):
                raise HookError("non-fast-forward: pull first, the workspace was changed meanwhile")
            files = dict(self._files(_commit(self._repository, new).tree, ""))
        except (KeyError, ValueError, AssertionError) as error:
            raise HookError(f"the commit is not whole: {error}") from error
        asked = {
            "files": {path: base64.b64encode(content).decode() for path, content in files.items()},
            "submit": branch == SUBMIT,
        }
        self._portal.write(json.dumps(asked).encode() + b"\n")
        self._portal.flush()
        verdict = json.loads(self._portal.readline() or b'{"error": "the portal did not answer"}')
        if "error" in verdict:
            raise HookError(verdict["error"])
        if branch == SUBMIT:
            self._repository.refs[MAIN] = new
        return b"", f"{verdict['told']}\n".encode()

    def _follows(self, old: ObjectID, new: ObjectID) -> bool:
        """Whether ``old`` is among the ancestors of ``new``."""
        if set(old) == {ord("0")}:
            return self._repository.refs.as_dict().get(MAIN) is None
        return any(entry.commit.id == old for entry in self._repository.get_walker(include=[new]))

    def _files(self, tree: ObjectID, prefix: str) -> Iterator[tuple[str, bytes]]:
        left = UNPACKED_BYTES
        waiting = [(tree, prefix)]
        while waiting:
            tree, prefix = waiting.pop()
            found = self._repository[tree]
            if not isinstance(found, Tree):
                raise ValueError("a folder that is none")
            for item in found.items():
                try:
                    path = prefix + item.path.decode("utf-8")
                except UnicodeDecodeError:
                    raise HookError(f"{prefix}{item.path!r}: names of files are UTF-8 here") from None
                if stat.S_ISDIR(item.mode):
                    if path.count("/") > 50:
                        raise HookError(f"{path}: folders in folders in folders")
                    waiting.append((item.sha, f"{path}/"))
                elif item.mode in (0o100644, 0o100755, 0o100664):
                    blob = self._repository[item.sha]
                    if not isinstance(blob, Blob):
                        raise ValueError("a file that is none")
                    content = blob.as_raw_string()
                    left -= len(content)
                    if left < 0:
                        raise HookError("more than a workspace holds")
                    yield path, content
                else:
                    kind = "a link" if stat.S_ISLNK(item.mode) else "a submodule"
                    raise HookError(f"{path}: {kind}; only files can be pushed here")


def _commit(repository: Repo, commit_id: ObjectID) -> Commit:
    found = repository[commit_id]
    if not isinstance(found, Commit):
        raise ValueError("a branch that is no commit")
    return found


def _read(files: Mapping[str, str]) -> dict[str, bytes]:
    return {path: base64.b64decode(content) for path, content in files.items()}


def _opened(folder: Path) -> Repo:
    """The repository, made at its first use."""
    if not (folder / "HEAD").is_file():
        repository = Repo.init_bare(str(folder), mkdir=not folder.is_dir(), default_branch=b"main")
        config = repository.get_config()
        config.set((b"receive",), b"maxInputSize", str(FILE_BYTES).encode())
        config.write_to_path()
        repository.close()
    return Repo(str(folder))


class _locked:
    """One process at a time."""

    def __init__(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


if __name__ == "__main__":
    main()
