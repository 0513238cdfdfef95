"""The files somebody hands in: read with limits, held in memory, known by their digest."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sandbox.errors import BadSubmission

# Folders and files that builds, editors and archivers leave behind; never part of an answer.
LEFT_OUT = frozenset(
    {".git", ".aws-sam", "__pycache__", "node_modules", ".venv", ".pytest_cache", ".mypy_cache"}
    | {".ruff_cache", ".idea", ".vscode", "__MACOSX", ".DS_Store"}
)
# What `sam build` made holds its dependencies; only the links to their programs are of no use.
_LEFT_OUT_OF_BUILT = LEFT_OUT - {"node_modules"} | {".bin"}
_BUILT = re.compile(rb"\bSamResourceId\"?\s*:")
TEMPLATE_NAMES = ("template.yaml", "template.yml", "template.json")

_TEMPLATE_BYTES = 2_000_000
_ZIP_DATE = (2000, 1, 1, 0, 0, 0)
_ENCRYPTED = 0x1
_NAME_IS_UTF8 = 0x800


@dataclass(frozen=True, slots=True)
class Limits:
    """What a submission may weigh. ``ratio`` is unpacked to packed bytes, asked above one megabyte."""

    unpacked_bytes: int = 50_000_000
    packed_bytes: int = 50_000_000
    files: int = 2_000
    ratio: int = 200
    path_characters: int = 400


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Submission:
    """Files by relative POSIX path."""

    files: Mapping[str, bytes] = field(repr=False)

    @property
    def digest(self) -> str:
        """``sha256:…`` over names and contents; the same files have the same digest everywhere."""
        total = hashlib.sha256()
        for path in sorted(self.files):
            body = self.files[path]
            total.update(f"{path}\0{len(body)}\0".encode())
            total.update(body)
        return f"sha256:{total.hexdigest()}"

    @property
    def size(self) -> int:
        """How many bytes all files have together."""
        return sum(map(len, self.files.values()))

    @property
    def template(self) -> str:
        """The template's path.

        Raises:
            BadSubmission: there is none, or more than one.
        """
        found = [name for name in TEMPLATE_NAMES if name in self.files]
        if len(found) > 1:
            raise BadSubmission(
                f"There is more than one template: {' and '.join(found)}.",
                where=found[1],
                what_to_do="Keep one of them.",
            )
        if not found:
            deeper = sorted(path for path in self.files if PurePosixPath(path).name in TEMPLATE_NAMES)
            hint = f" There is one in {deeper[0]}." if deeper else ""
            raise BadSubmission(
                f"There is no template.yaml, template.yml or template.json.{hint}",
                where="template.yaml",
                what_to_do="Put the template at the top of what you hand in.",
            )
        return found[0]

    def under(self, folder: str) -> dict[str, bytes]:
        """The files in ``folder`` (``""`` or ``.``: all), by their path relative to it."""
        prefix = "" if folder in ("", ".") else f"{folder}/"
        return {path.removeprefix(prefix): self.files[path] for path in self.files if path.startswith(prefix)}

    def with_files(self, replaced: Mapping[str, bytes], deleted: tuple[str, ...] = ()) -> Submission:
        """The same submission with some files replaced or added and others deleted."""
        kept = {path: body for path, body in self.files.items() if path not in deleted}
        return Submission({**kept, **replaced})


def pack(files: Mapping[str, bytes]) -> bytes:
    """Files as a zip; the same files give the same bytes."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            archive.writestr(zipfile.ZipInfo(path, _ZIP_DATE), files[path], zipfile.ZIP_DEFLATED)
    return into.getvalue()


def read_folder(folder: Path, *, limits: Limits = DEFAULT_LIMITS) -> Submission:
    """A folder's files, without what version control, builds and editors leave behind.

    Raises:
        BadSubmission: no such folder, a link, device or unreadable file in it, or too much.
    """
    if not folder.is_dir():
        raise BadSubmission(
            "This is not a folder.", where=str(folder), what_to_do="Give the folder that holds template.yaml."
        )
    reader = _Reader(limits)
    for path in _walk(folder, _left_out(_template_in(folder))):
        relative = path.relative_to(folder).as_posix()
        name = reader.name(relative, relative)
        try:
            size = path.lstat().st_size
            # Read one byte more than is said, so that a file that grows meanwhile is noticed.
            with path.open("rb") as stream:
                reader.add(name, stream.read(min(size, reader.left) + 1))
        except OSError as error:
            raise BadSubmission(
                f"This file can't be read ({error.strerror}).",
                where=name,
                what_to_do="Make it readable or leave it out.",
            ) from None
    return reader.finish(str(folder))


def read_zip(archive: bytes | Path, *, limits: Limits = DEFAULT_LIMITS) -> Submission:
    """The files of a zip archive; a single folder around everything is taken off.

    Raises:
        BadSubmission: not a zip, names that lead out of it, links, devices, encrypted or damaged
            entries, two entries with one name, or too much.
    """
    where = archive.name if isinstance(archive, Path) else "submission.zip"
    packed = archive.stat().st_size if isinstance(archive, Path) else len(archive)
    if packed > limits.packed_bytes:
        raise _too_large(where, limits.packed_bytes)
    try:
        with zipfile.ZipFile(archive if isinstance(archive, Path) else io.BytesIO(archive)) as opened:
            return _unpack(opened, where, limits)
    except (zipfile.BadZipFile, EOFError, OSError, UnicodeDecodeError, ValueError) as error:
        raise BadSubmission(
            f"This is not a zip file that can be read ({error}).",
            where=where,
            what_to_do="Zip the folder that holds template.yaml and hand in that file.",
        ) from None


def _unpack(opened: zipfile.ZipFile, where: str, limits: Limits) -> Submission:
    reader = _Reader(limits)
    entries = opened.infolist()
    if len(entries) > 2 * limits.files:
        raise _too_many(where, limits.files)
    left_out = _left_out(_template_of(opened, entries))
    for entry in entries:
        name = reader.name(_entry_name(entry), where)
        if left_out.intersection(PurePosixPath(name).parts) or name.endswith(".pyc"):
            continue
        _refuse_special(entry, name)
        if entry.is_dir():
            continue
        if entry.file_size > reader.left:
            raise _too_large(name, limits.unpacked_bytes)
        if entry.file_size > 1_000_000 and entry.file_size > limits.ratio * max(entry.compress_size, 1):
            raise BadSubmission(
                f"This entry unpacks to more than {limits.ratio} times its size.",
                where=name,
                what_to_do="Leave generated data out; a function can make it when it runs.",
            )
        try:
            with opened.open(entry) as stream:
                reader.add(name, stream.read(entry.file_size + 1))
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
            raise BadSubmission(
                f"This entry of the zip is damaged or packed in a way that can't be read ({error}).",
                where=name,
                what_to_do="Make the zip anew.",
            ) from None
        except Exception as error:  # zlib, lzma and bz2 each raise their own error for damaged data
            raise BadSubmission(
                f"This entry of the zip is damaged ({error}).", where=name, what_to_do="Make the zip anew."
            ) from None
    return _without_wrapper(reader.finish(where))


def _left_out(template: bytes) -> frozenset[str]:
    """Names that are no part of an answer, by its template: `sam build` marks each resource in its own."""
    return _LEFT_OUT_OF_BUILT if _BUILT.search(template) else LEFT_OUT


def _template_in(folder: Path) -> bytes:
    for name in TEMPLATE_NAMES:
        path = folder / name
        if path.is_file() and not path.is_symlink():
            with contextlib.suppress(OSError), path.open("rb") as stream:
                return stream.read(_TEMPLATE_BYTES)
    return b""


def _template_of(opened: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> bytes:
    """The template at the top of an archive, or of the folder around everything."""
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if path.name in TEMPLATE_NAMES and len(path.parts) <= 2:
            # What is wrong with it is told when it is unpacked.
            with contextlib.suppress(Exception), opened.open(entry) as stream:
                return stream.read(_TEMPLATE_BYTES)
    return b""


def _entry_name(entry: zipfile.ZipInfo) -> str:
    """The entry's name; older archivers write UTF-8 without saying so."""
    raw = entry.orig_filename
    if entry.flag_bits & _NAME_IS_UTF8 or raw.isascii():
        return raw
    try:
        return raw.encode("cp437").decode("utf-8")
    except UnicodeError:
        raise BadSubmission(
            f"The name {raw!r} is not written in UTF-8.",
            where=raw,
            what_to_do="Use plain letters, digits, - and _ in file names.",
        ) from None


def _refuse_special(entry: zipfile.ZipInfo, name: str) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise BadSubmission("Links are not accepted.", where=name, what_to_do="Put the file itself there.")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadSubmission(
            "This is not a plain file.", where=name, what_to_do="Leave devices, pipes and sockets out."
        )
    if entry.flag_bits & _ENCRYPTED:
        raise BadSubmission(
            "This entry is encrypted.", where=name, what_to_do="Make the zip without a password."
        )


def _walk(folder: Path, left_out: frozenset[str]) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in left_out)
        for name in sorted([*folders, *names]):
            path = Path(here, name)
            if name in left_out or name.endswith(".pyc"):
                continue
            relative = path.relative_to(folder).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                raise BadSubmission(
                    "Links are not accepted.", where=relative, what_to_do="Put the file itself there."
                )
            if stat.S_ISREG(mode):
                yield path
            elif not stat.S_ISDIR(mode):
                raise BadSubmission(
                    "This is not a plain file.",
                    where=relative,
                    what_to_do="Leave devices, pipes and sockets out.",
                )


def _without_wrapper(submission: Submission) -> Submission:
    """Archivers often zip a folder and not what is in it."""
    tops = {PurePosixPath(path).parts[0] for path in submission.files}
    if len(tops) != 1:
        return submission
    inner = submission.under(tops.pop())
    return Submission(inner) if any(name in inner for name in TEMPLATE_NAMES) else submission


class _Reader:
    """Collects files under the limits, whatever they come from."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._files: dict[str, bytes] = {}
        self._folders: set[str] = set()
        self._total = 0

    @property
    def left(self) -> int:
        """How many bytes may still come."""
        return self._limits.unpacked_bytes - self._total

    def name(self, raw: str, where: str) -> str:
        """A path that stays inside and means the same on every machine.

        Raises:
            BadSubmission: it does not.
        """
        advice = "Use relative paths with / between folders, inside the folder you hand in."
        shown = raw.encode("utf-8", "replace").decode() or where
        if not raw or "\0" in raw or any(ord(letter) < 32 for letter in raw):
            raise BadSubmission(
                "A file name is empty or has control characters.", where=shown, what_to_do=advice
            )
        try:
            raw.encode()
        except UnicodeEncodeError:
            raise BadSubmission("This file's name is not UTF-8.", where=shown, what_to_do=advice) from None
        if len(raw) > self._limits.path_characters:
            raise BadSubmission(
                f"This path is longer than {self._limits.path_characters} characters.",
                where=f"{shown[:60]}…",
                what_to_do="Shorten it.",
            )
        path = PurePosixPath(raw)
        if raw.startswith("/") or "\\" in raw or raw[1:2] == ":":
            raise BadSubmission("This path is absolute or not portable.", where=shown, what_to_do=advice)
        if ".." in path.parts:
            raise BadSubmission("This path leads out of the submission.", where=shown, what_to_do=advice)
        return unicodedata.normalize("NFC", path.as_posix())

    def add(self, name: str, body: bytes) -> None:
        """Keep a file.

        Raises:
            BadSubmission: it is there already, or it is one too many or too large.
        """
        if len(self._files) >= self._limits.files:
            raise _too_many(name, self._limits.files)
        if len(body) > self.left:
            raise _too_large(name, self._limits.unpacked_bytes)
        parents = {parent.as_posix() for parent in PurePosixPath(name).parents} - {"."}
        if name in self._files or name in self._folders or parents & self._files.keys():
            raise BadSubmission("Two entries have this name.", where=name, what_to_do="Keep one of them.")
        self._files[name] = body
        self._folders |= parents
        self._total += len(body)

    def finish(self, where: str) -> Submission:
        """What was collected.

        Raises:
            BadSubmission: nothing was.
        """
        if not self._files:
            raise BadSubmission(
                "There are no files in it.",
                where=where,
                what_to_do="Hand in the folder that holds template.yaml.",
            )
        return Submission(self._files)


def _too_large(where: str, limit_bytes: int) -> BadSubmission:
    return BadSubmission(
        f"The files are larger than {limit_bytes // 1_000_000} MB together.",
        where=where,
        what_to_do="Leave out dependencies and build output; requirements.txt is installed for you.",
    )


def _too_many(where: str, limit: int) -> BadSubmission:
    return BadSubmission(
        f"There are more than {limit} files.",
        where=where,
        what_to_do="Leave out dependencies and build output; requirements.txt is installed for you.",
    )
