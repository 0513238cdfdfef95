"""Deployment packages and layers on disk: unpacked once, found again by their digest."""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import shutil
import stat
import tempfile
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path

from sandbox.emulator.calls import AwsError
from sandbox.emulator.functions.store import Archive

UNPACKED_LIMIT_BYTES = 262_144_000
ENTRIES_LIMIT = 100_000
_LINK_TARGET_LIMIT_BYTES = 4096
_CHUNK_BYTES = 1024 * 1024


def refused(reason: str = "") -> AwsError:
    """AWS's answer to a package that cannot be unpacked; the reason is ours."""
    message = "Could not unzip uploaded file. Please check your file, then try to upload again."
    return AwsError("InvalidParameterValueException", f"{message} {reason}".rstrip(), Type="User")


class CodeCache:
    """Directories of unpacked archives below ``home``; safe across threads."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()

    def code(self, archive: Archive) -> Path:
        """The directory that becomes /var/task.

        Raises:
            AwsError: the archive is not a zip, leads outside, or is too large.
        """
        return self._unpacked(f"code-{archive.digest}", (archive,))

    def layers(self, archives: Sequence[Archive]) -> Path | None:
        """The directory that becomes /opt: layers merged in order, later ones win. None without layers.

        Raises:
            AwsError: as :meth:`code`.
        """
        if not archives:
            return None
        if len(archives) == 1:
            return self._unpacked(f"layer-{archives[0].digest}", archives)
        joined = hashlib.sha256("\n".join(archive.digest for archive in archives).encode()).hexdigest()
        return self._unpacked(f"layers-{joined}", archives)

    def size_bytes(self, archives: Sequence[Archive]) -> int:
        """What archives take when unpacked, as their own tables of contents say."""
        return sum(info.file_size for archive in archives for info in _open(archive).infolist())

    def _unpacked(self, name: str, archives: Sequence[Archive]) -> Path:
        place = self._home / name
        with self._lock:
            if place.is_dir():
                return place
            self._home.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix="unpacking-", dir=self._home))
            try:
                unfinished.chmod(0o755)
                for archive in archives:
                    _unpack(archive, unfinished)
                unfinished.rename(place)
            except BaseException:
                shutil.rmtree(unfinished, ignore_errors=True)
                raise
        return place


def _open(archive: Archive) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(archive.content))
    except (zipfile.BadZipFile, ValueError, OSError):
        raise refused() from None


def find_extension(layer: Archive) -> str:
    """The first file of a layer that Lambda would run as an extension; empty when there is none.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
    """
    for entry in _open(layer).infolist():
        name = posixpath.normpath(entry.filename)
        if posixpath.dirname(name) == "extensions" and not entry.is_dir():
            return name
    return ""


def _unpack(archive: Archive, root: Path) -> None:
    links: list[tuple[Path, str]] = []
    left = UNPACKED_LIMIT_BYTES
    with _open(archive) as opened:
        entries = opened.infolist()
        if len(entries) > ENTRIES_LIMIT:
            raise refused(f"It has more than {ENTRIES_LIMIT} entries.")
        for entry in entries:
            relative = _inside(entry.filename)
            place = root / relative
            mode = entry.external_attr >> 16
            if entry.is_dir():
                _make_directory(root, relative)
                continue
            _make_directory(root, posixpath.dirname(relative))
            if stat.S_ISLNK(mode):
                if entry.file_size > _LINK_TARGET_LIMIT_BYTES:
                    raise refused(f"`{entry.filename}` is a link that is too long.")
                links.append((place, _target(opened, entry, relative)))
            elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise refused(f"`{entry.filename}` is neither a file, a directory nor a link.")
            else:
                left -= _write(opened, entry, place, mode, left)
    for place, target in links:
        _copy_link(root, place, target)


def _inside(name: str) -> str:
    """The entry's path below the root."""
    if "\x00" in name or "\\" in name or name.startswith("/"):
        raise refused(f"`{name}` leads outside.")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise refused(f"`{name}` leads outside.")
    if not parts and not name.endswith("/"):
        raise refused(f"`{name}` is no file name.")
    return "/".join(parts)


def _make_directory(root: Path, relative: str) -> None:
    place = root / relative
    if place.is_dir():
        return
    try:
        place.mkdir(parents=True)
    except (FileExistsError, NotADirectoryError):
        raise refused(f"`{relative}` is both a file and a directory.") from None
    except OSError as error:
        raise refused(f"`{relative}`: {error.strerror}.") from None
    for part in (place, *place.parents):
        if part == root:
            break
        part.chmod(0o755)


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, place: Path, mode: int, left: int) -> int:
    """Write one file; its true size counts, whatever the table of contents says."""
    if place.is_dir():
        raise refused(f"`{entry.filename}` is both a file and a directory.")
    place.unlink(missing_ok=True)
    written = 0
    try:
        with opened.open(entry) as source, place.open("wb") as target:
            while chunk := source.read(_CHUNK_BYTES):
                written += len(chunk)
                if written > left:
                    raise AwsError(
                        "InvalidParameterValueException",
                        f"Unzipped size must be smaller than {UNPACKED_LIMIT_BYTES} bytes",
                        Type="User",
                    )
                target.write(chunk)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise refused(f"`{entry.filename}`: {error}.") from None
    except OSError as error:
        raise refused(f"`{entry.filename}`: {error.strerror or error}.") from None
    # Readable to whoever the function runs as; executable as packed. Windows packs no modes at all.
    place.chmod(0o755 if not mode or mode & 0o111 else 0o644)
    return written


def _target(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, relative: str) -> str:
    try:
        text = opened.read(entry).decode()
    except (UnicodeDecodeError, zipfile.BadZipFile, RuntimeError, NotImplementedError):
        raise refused(f"`{entry.filename}` is a broken link.") from None
    target = posixpath.normpath(posixpath.join(posixpath.dirname(relative), text))
    if text.startswith("/") or target == ".." or target.startswith("../"):
        raise refused(f"`{entry.filename}` links outside.")
    return target


def _copy_link(root: Path, place: Path, target: str) -> None:
    """A link becomes another name of the file it points to, so nothing on disk is ever followed."""
    source = root / target
    if place.is_symlink() or place.is_dir() or not source.is_file():
        return
    place.unlink(missing_ok=True)
    os.link(source, place)
