"""Skins: one lab in other words, with another story and other rules of the business.

A skin is drawn from a key and nothing else, so that an answer that fits one does not fit another. It is
made by rewriting a whole folder: brief, contract, checks, starters, solutions and wrong solutions alike.
What comes out is a lab like any other; it lints, and its solutions are verified, as any other's.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

from curriculum.errors import ManifestInvalid
from curriculum.loader import Lab, read_files
from curriculum.manifest import read_manifest
from curriculum.tables import Key, Reader, text, texts

FILE = "skins.toml"
# Folders whose next part is a name that other files know: it keeps it.
_NAMED = frozenset({"starter", "solutions", "mutants", "alternatives"})
_OWN = frozenset({FILE, "lab.toml", "checks.py", "brief.md", "contract.md"})


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the contract or the story, in all its forms, and what may stand in its place."""

    forms: tuple[str, ...]
    others: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """A text and what replaces it, wherever it stands in these files; each pattern must find it."""

    files: tuple[str, ...]
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Another way for a rule to be. ``says`` is the rule in a sentence, for those who compare candidates."""

    says: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the business. ``says`` is what it is as the lab is written."""

    says: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Skin:
    """What was drawn: words by the ones they replace, and for each rule its choice, None as it is written."""

    words: Mapping[str, str]
    rules: tuple[Choice | None, ...]

    @cached_property
    def digest(self) -> str:
        """A name for it that tells nothing of the key: sixteen hexadecimal digits."""
        told = [sorted(self.words.items()), [choice.says if choice else "" for choice in self.rules]]
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.words, key=len, reverse=True)
        return re.compile(rf"(?<!\w)({'|'.join(map(re.escape, longest_first))})(?!\w)")

    def reword(self, body: str) -> str:
        """A text in the skin's words."""
        return self._pattern.sub(lambda found: self.words[found[0]], body) if self.words else body


@dataclass(frozen=True, slots=True)
class Skins:
    """All that a lab's skins may be."""

    words: tuple[Word, ...]
    rules: tuple[Rule, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return prod(len(word.others) for word in self.words) * prod(
            1 + len(rule.choices) for rule in self.rules
        )

    def draw(self, key: str) -> Skin:
        """The skin of a key: every word is another than the lab's own; a rule may stay as it is."""
        source = random.Random(f"skin/{key}")
        words: dict[str, str] = {}
        for word in self.words:
            words |= zip(word.forms, source.choice(word.others), strict=True)
        return Skin(words, tuple(source.choice([None, *rule.choices]) for rule in self.rules))


def read_skins(lab: Lab) -> Skins | None:
    """What ``skins.toml`` says; None when the lab has none.

    Raises:
        ManifestInvalid: something is wrong with it; carries every problem.
    """
    path, shown_as = lab.folder / FILE, f"labs/{lab.slug}/{FILE}"
    if not path.is_file():
        return None
    reader = Reader.open(path, shown_as)
    reader.sections(("words", "rules"))
    words = [
        Word(tuple(item["is"]), tuple(map(tuple, item["or"])))
        for item in reader.tables("words", {"is": Key(texts), "or": Key(_lists)})
        if item["is"] and item["or"]
    ]
    for word in words:
        if any(len(other) != len(word.forms) for other in word.others):
            reader.problems.append(f"{shown_as}: {word.forms[0]}: each `or` needs {len(word.forms)} forms.")
    rules = [
        Rule(item["is"], tuple(_choice(reader, choice) for choice in item["or"]))
        for item in reader.tables("rules", {"is": Key(text), "or": Key(_tables)})
        if item["or"]
    ]
    reader.finish()
    return Skins(tuple(words), tuple(rules))


def _choice(reader: Reader, found: Mapping[str, Any]) -> Choice:
    values = reader.check("rules.or", found, {"is": Key(text), "edits": Key(_tables)})
    edits = [
        reader.check("rules.or.edits", item, {"files": Key(texts), "old": Key(text), "new": Key(text)})
        for item in values["edits"] or ()
    ]
    return Choice(
        values["is"], tuple(Edit(tuple(item["files"] or ()), item["old"], item["new"]) for item in edits)
    )


def _lists(value: Any) -> str:
    good = isinstance(value, list) and value and not any(texts(item) for item in value)
    return "" if good else "should be a list of lists of texts"


def _tables(value: Any) -> str:
    good = isinstance(value, list) and all(isinstance(item, Mapping) for item in value)
    return "" if good else "should be a list of tables"


def dress(lab: Lab, key: str, places: Path) -> Lab:
    """The lab in the skin of a key, in a folder of its own below ``places``; made at its first use.

    Raises:
        ManifestInvalid: the lab has no skins, or they do not fit its files.
    """
    skins = read_skins(lab)
    if skins is None:
        raise ManifestInvalid([f"labs/{lab.slug} has no {FILE}, so there is one contract for all."])
    skin, files = skins.draw(key), read_files(lab.folder)
    source = hashlib.sha256()
    for path, body in files.items():
        source.update(f"{path}\0{len(body)}\0".encode() + body)
    place = places / f"{skin.digest}-{source.hexdigest()[:16]}"
    if not place.is_dir():
        _write(dressed(lab.slug, files, skin), place, lab.slug)
    folder = place / lab.slug
    return replace(
        lab,
        folder=folder,
        manifest=read_manifest(folder / "lab.toml", f"labs/{lab.slug}/lab.toml"),
        skin=skin.digest,
    )


def _write(files: Mapping[str, bytes], place: Path, slug: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        for path, body in files.items():
            target = made / slug / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(body)
        made.chmod(0o755)
        os.rename(made, place)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        # Somebody else made the same at the same time.
        if not place.is_dir():
            raise


def dressed(slug: str, files: Mapping[str, bytes], skin: Skin) -> dict[str, bytes]:
    """A lab's files in a skin: first the rules are changed, then the words.

    Raises:
        ManifestInvalid: an edit does not find its text; carries every problem.
    """
    changed = dict(files)
    problems = [
        problem for choice in skin.rules if choice is not None for problem in _apply(slug, changed, choice)
    ]
    if problems:
        raise ManifestInvalid(problems)
    return {
        path if path in _OWN else _path(path, skin): _reworded(body, skin)
        for path, body in changed.items()
        if path != FILE
    }


def _apply(slug: str, files: dict[str, bytes], choice: Choice) -> Iterator[str]:
    for edit in choice.edits:
        old, new = edit.old.encode(), edit.new.encode()
        for pattern in edit.files:
            found = [path for path, body in files.items() if fnmatchcase(path, pattern) and old in body]
            if not found:
                yield f"labs/{slug}/{FILE}: “{choice.says}”: {pattern} does not have the text {edit.old!r}."
            files |= {path: files[path].replace(old, new) for path in found}


def _path(path: str, skin: Skin) -> str:
    parts = path.split("/")
    kept = 2 if parts[0] in _NAMED else 0
    return "/".join([*parts[:kept], *(skin.reword(part) for part in parts[kept:])])


def _reworded(body: bytes, skin: Skin) -> bytes:
    try:
        return skin.reword(body.decode()).encode()
    except UnicodeDecodeError:
        return body


def skin_problems(lab: Lab) -> Iterator[str]:
    """What is wrong with the lab's skins, that only its files can show."""
    skins = read_skins(lab)
    if skins is None:
        return
    files = read_files(lab.folder)
    bodies = [body.decode("utf-8", "replace") for path, body in files.items() if path != FILE]
    known = set(re.findall(r"\w+", "\n".join([*bodies, *files])))
    contract = set(
        re.findall(r"\w+", lab.brief + lab.contract + (lab.folder / "lab.toml").read_text("utf-8"))
    )
    taken: set[str] = set()
    for word in skins.words:
        if not any(set(re.findall(r"\w+", form)) <= contract for form in word.forms):
            yield f"the word {word.forms[0]} is not in brief, contract or manifest"
        for form in (form for other in word.others for form in other):
            if form in known or form in taken:
                yield f"the word {form} stands in the lab already: it would mean two things"
            taken.add(form)
    for rule in skins.rules:
        for choice in rule.choices:
            yield from _apply(lab.slug, dict(files), choice)
