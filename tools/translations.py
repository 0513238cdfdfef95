"""Keeps the portal's translations in step with its texts: ``python -m tools.translations update|compile``.

Texts are marked by ``_("…")``, ``ngettext`` and ``{% trans %}`` in Python and templates, by ``t("…")`` in
scripts; words that pages share with the command line come from ``graders.report.words``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from curriculum.manifest import LEVELS
from graders.report import words

ROOT = Path(__file__).resolve().parents[1]
PORTAL, SCRIPTS = ROOT / "portal", ROOT / "frontend" / "src"
TRANSLATIONS = PORTAL / "translations"
_METHODS = [("**/*.py", "python"), ("**/templates/**.html", "jinja2"), ("**/templates/**.txt", "jinja2")]
_JINJA = {"**/templates/**.html": {"silent": "false"}, "**/templates/**.txt": {"silent": "false"}}
_KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None}


def texts() -> Catalog:
    """Every text of the portal, with the files it is in and without lines, which change too often."""
    catalog = Catalog(project="Coldstart", charset="utf-8", fuzzy=False)
    for file, _line, message, comments, _context in extract_from_dir(PORTAL, _METHODS, _JINJA, _KEYWORDS):
        catalog.add(message, locations=[(f"portal/{Path(file).as_posix()}", None)], auto_comments=comments)
    found = extract_from_dir(SCRIPTS, [("**.js", "javascript")], keywords={"t": None})
    for file, _line, message, comments, _context in found:
        catalog.add(message, locations=[(f"frontend/src/{file}", None)], auto_comments=comments)
    for message in _shared():
        catalog.add(message, locations=[("graders/report/words.py", None)])
    return catalog


def languages() -> Iterator[tuple[str, Path]]:
    """Each language that has translations, with its file."""
    for path in sorted(TRANSLATIONS.glob("*/LC_MESSAGES/messages.po")):
        yield path.parent.parent.name, path


def read(language: str, path: Path) -> Catalog:
    """A language's translations as they are on disk."""
    with path.open("rb") as stream:
        return read_po(stream, locale=language)


def update() -> None:
    """Bring every file in step with the texts; new ones wait in it with an empty translation."""
    template = texts()
    for language, path in languages():
        catalog = read(language, path)
        catalog.update(template, no_fuzzy_matching=True, update_creation_date=False)
        catalog.obsolete.clear()
        for name in ("project", "version", "last_translator", "language_team", "msgid_bugs_address"):
            setattr(catalog, name, "Coldstart")
        with path.open("wb") as stream:
            write_po(stream, catalog, width=110, sort_output=True, omit_header=False)
        missing = sum(not message.string for message in catalog if message.id)
        print(f"{language}: {len(catalog)} texts, {missing} to translate")


def compile_all() -> None:
    """Write what the portal reads, beside each file: for its pages, and for the scripts in them."""
    for language, path in languages():
        catalog = read(language, path)
        with path.with_suffix(".mo").open("wb") as stream:
            write_mo(stream, catalog)
        path.with_name("scripts.json").write_text(scripts(catalog), "utf-8")


def scripts(catalog: Catalog) -> str:
    """The translations that scripts need, as JSON."""
    found = {
        message.id: message.string
        for message in catalog
        if any(file.startswith("frontend/") for file, _line in message.locations)
    }
    return json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _shared() -> Iterator[str]:
    for table in (words.OUTCOMES, words.DIMENSIONS, words.VERDICTS, dict(words.EVIDENCE)):
        yield from table.values()
    yield from (name.capitalize() for name in LEVELS)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["update"]:
            update()
            compile_all()
        case ["compile"]:
            compile_all()
        case _:
            raise SystemExit(__doc__)
