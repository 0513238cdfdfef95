"""Pages in the visitor's language: every text has a translation, and nothing stands outside of them."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages.mofile import write_mo

from portal.languages import LANGUAGES
from tools import translations

TEMPLATES = sorted(translations.PORTAL.glob("**/templates/**/*.html"))
FILES = dict(translations.languages())
# Names, units and signs that are the same in every language.
SAME = re.compile(
    r"git clone|git push origin HEAD:submit"
    r"|coldstart grade +DIR --seed|coldstart (start|grade) +my-|src/app.py"
    r"|coldstart|Coldstart|GitHub|JSON|AWS|CLI|SAM|\bID\b|\bMB\b|\bms\b|\bs\b|\bnum\b|\bmin\b"
)


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_every_text_is_translated_and_none_is_left_over(language: str) -> None:
    known = {message.id: message for message in translations.read(language, FILES[language]) if message.id}
    wanted = {message.id for message in translations.texts() if message.id}

    assert set(known) - wanted == set()
    assert wanted - set(known) == set()
    assert [name for name, message in known.items() if not _whole(message.string)] == []


@pytest.mark.parametrize("language", sorted(FILES))
def test_a_translation_has_the_places_of_its_text(language: str) -> None:
    wrong = []
    for message in translations.read(language, FILES[language]):
        if message.id:
            for text in _forms(message.string):
                wrong += [text] * (_places(text) != _places(_forms(message.id)[-1]))

    assert wrong == []


@pytest.mark.parametrize("language", sorted(FILES))
def test_what_the_portal_reads_is_made_from_what_translators_write(language: str) -> None:
    catalog = translations.read(language, FILES[language])
    made = io.BytesIO()
    write_mo(made, catalog)

    assert FILES[language].with_suffix(".mo").read_bytes() == made.getvalue()
    assert FILES[language].with_name("scripts.json").read_text("utf-8") == translations.scripts(catalog)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_page_has_words_outside_of_its_translations(path: Path) -> None:
    text = re.sub(r"{% block (width|body) %}\w*{% endblock %}", "", path.read_text("utf-8"))
    text = re.sub(r"{%-? *trans\b.*?endtrans *-?%}", "", text, flags=re.DOTALL)
    text = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", "", text, flags=re.DOTALL)
    attributes = re.findall(r'(?:aria-label|title|placeholder|alt)="([^"]*)"', text)
    visible = re.sub(r"<(style|script|svg)\b.*?</\1>|<[^>]*>|&\w+;", " ", text, flags=re.DOTALL)
    words = [SAME.sub("", line).strip() for line in [*visible.splitlines(), *attributes]]

    assert [line for line in words if re.search(r"[A-Za-z]{2}", line)] == []


def test_a_visitor_reads_the_language_of_the_browser(visitor: Any) -> None:
    page = visitor.get("/sign-in", headers={"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}).text

    assert '<html lang="de"' in page
    assert "Zum Inhalt springen" in page


def test_a_chosen_language_is_kept(learner: Any) -> None:
    page = learner.post("/language", {"language": "de", "next": "/attempts"}).text

    assert "Alles, was du zur Bewertung abgegeben hast" in page
    assert 'lang="en">English</button>' in page
    assert "Versuche" in learner.get("/attempts", headers={"Accept-Language": "en"}).text


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "/\\evil.example", ""])
def test_choosing_a_language_leads_nowhere_else(learner: Any, wanted: str) -> None:
    form = {"language": "de", "next": wanted, "csrf_token": learner.token()}

    assert learner.client.post("/language", data=form).headers["Location"] == "/"


def test_a_language_that_there_is_not_changes_nothing(learner: Any) -> None:
    assert '<html lang="en"' in learner.post("/language", {"language": "tlh", "next": "/attempts"}).text


def test_scripts_get_their_translations_with_the_page(learner: Any) -> None:
    learner.post("/language", {"language": "de", "next": "/attempts"})
    found = re.search(r"data-texts>(.*?)</script>", learner.get("/attempts").text)

    assert found is not None
    assert json.loads(found[1])["dark"] == "dunkel"


def _forms(text: Any) -> tuple[str, ...]:
    return text if isinstance(text, tuple) else (text,)


def _whole(text: Any) -> bool:
    return all(_forms(text))


def _places(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)s", text))
