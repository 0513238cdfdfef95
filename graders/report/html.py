"""The report as one self-contained page: no scripts, no fonts, no requests; it prints well."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from graders.report.words import (
    DIMENSIONS,
    EVIDENCE,
    OUTCOMES,
    VERDICTS,
    RoleInWords,
    open_resources,
    points,
    roles,
    summary,
)

_STYLE = (Path(__file__).parent / "page.css").read_text("utf-8")
_ROUND = 2 * 3.14159265 * 52
_OPEN = ("failed", "partial", "inconclusive")

Report = Mapping[str, Any]


def render(report: Report) -> str:
    """The whole page."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{_e(report['lab_code'])} {_e(report['lab_title'])}: {VERDICTS[report['outcome']]}</title>"
        f"<style>{_STYLE}</style></head><body><main>{body(report)}</main></body></html>\n"
    )


def body(report: Report) -> str:
    """The page's content without its frame, for embedding beside the same style sheet."""
    return "".join(
        (
            f'<p class="kicker">Grading report · {_e(report["lab_code"])}, '
            f"version {_e(report['lab_version'])}</p>",
            f"<h1>{_e(report['lab_title'])}</h1>",
            _verdict(report),
            _findings(report),
            _others(report),
            _rights(report),
            _run(report),
        )
    )


def _verdict(report: Report) -> str:
    possible = report["points_possible"]
    share = report["points"] / possible if possible else 0.0
    return (
        f'<section class="verdict {_e(report["outcome"])}">'
        f'<svg class="ring" viewBox="0 0 120 120" role="img" '
        f'aria-label="{points(report["points"])} of {points(possible)} points">'
        '<g fill="none" stroke-width="9" transform="rotate(-90 60 60)">'
        '<circle class="track" cx="60" cy="60" r="52"/>'
        f'<circle class="value" cx="60" cy="60" r="52" stroke-linecap="{"round" if share else "butt"}" '
        f'stroke-dasharray="{share * _ROUND:.1f} 400"/></g>'
        f'<text x="60" y="65">{points(report["points"])}</text>'
        f'<text class="of" x="60" y="83">of {points(possible)}</text></svg>'
        f"<div><h2>{VERDICTS[report['outcome']]}</h2><p>{_e(summary(report))}</p></div></section>"
        f'<div class="dims">{"".join(_dimensions(report))}</div>'
    )


def _dimensions(report: Report) -> Iterator[str]:
    for code, name in DIMENSIONS.items():
        items = [item for item in report["checks"] if item["dimension"] == code and item["worth"]]
        possible = sum(item["points_possible"] for item in items)
        if not items:
            continue
        earned = sum(item["points"] for item in items)
        share = earned / possible if possible else 0.0
        level = "" if share >= 0.8 else ' class="mid"' if share >= 0.6 else ' class="low"'
        number = f"{points(earned)}/{points(possible)}" if possible else "–"
        yield (
            f'<div><div class="row"><span>{name}</span><span class="num">{number}</span></div>'
            f'<div class="bar"><i{level} style="width:{share:.0%}"></i></div></div>'
        )


def _findings(report: Report) -> str:
    items = [item for item in report["checks"] if item["outcome"] in _OPEN]
    if not items:
        return ""
    return "<h2>What did not pass</h2>" + "".join(_check(item, opened=True) for item in items)


def _others(report: Report) -> str:
    parts = []
    passed = [item for item in report["checks"] if item["outcome"] == "passed"]
    skipped = [item for item in report["checks"] if item["outcome"] == "not_assessed"]
    if passed:
        parts.append("<h2>What passed</h2>" + "".join(_check(item, opened=False) for item in passed))
    if skipped:
        parts.append(
            "<h2>What was not assessed</h2>" + "".join(_check(item, opened=False) for item in skipped)
        )
    return "".join(parts)


def _check(item: Mapping[str, Any], *, opened: bool) -> str:
    quiet = "" if opened else f'<span class="quiet">{_e(item["headline"])}</span>'
    head = (
        f'<span class="chip {_e(item["outcome"])}">{OUTCOMES[item["outcome"]]}</span>'
        f'<span class="title">{_e(item["title"])} <small>{_e(item["id"])}</small></span>'
        f'<span class="pts">{_points(item)}</span>{quiet}'
    )
    sections = "".join(_sections(item)) + _patch("A repair", item.get("patch", ""))
    if not sections and not opened:
        return f'<div class="check"><div class="head">{head}</div></div>'
    headline = f'<p class="headline">{_e(item["headline"])}</p>' if opened else ""
    hint = f'<p class="hint">{_e(item["hint"])}</p>' if item.get("hint") else ""
    return (
        f'<details class="check"{" open" if opened else ""} id="{_e(item["id"])}"><summary>{head}</summary>'
        f'<div class="body">{headline}{sections}{hint}</div></details>'
    )


def _points(item: Mapping[str, Any]) -> str:
    if not item["worth"]:
        return "condition"
    if not item["points_possible"]:
        return f"({points(item['worth'])})"
    return f"{points(item['points'])} of {points(item['worth'])}"


def _sections(item: Mapping[str, Any]) -> Iterator[str]:
    for key, title in EVIDENCE:
        value = item.get(key)
        if value:
            lines = "".join(_lines([value] if isinstance(value, str) else value))
            yield f'<div class="sec"><h3>{title}</h3><ul>{lines}</ul></div>'
    if item.get("docs"):
        yield f'<div class="sec"><h3>To read</h3><ul>{"".join(_documents(item["docs"]))}</ul></div>'


def _lines(entries: Iterable[Any]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, str):
            yield f"<li>{_e(entry)}</li>"
        elif "pattern" in entry:
            yield f'<li>{_e(entry["pattern"])}<span class="like">{_e(entry["likelihood"])}</span></li>'
        else:
            source = entry.get("api") or entry.get("source") or ""
            at = f"<time>{_e(entry['at']).replace('–', '–<wbr>')}</time>" if entry.get("at") else ""
            yield (
                f'<li class="ev{"" if at else " plain"}">{at}<span class="what">'
                f'<span class="src">{_e(source)}</span>{_e(entry["what"])}</span></li>'
            )


def _documents(docs: Iterable[str]) -> Iterator[str]:
    for entry in docs:
        title, _, url = entry.rpartition(" ")
        if url.startswith("https://"):
            yield f'<li><a href="{_e(url)}">{_e(title or url)}</a></li>'
        else:
            yield f"<li>{_e(entry)}</li>"


def _rights(report: Report) -> str:
    """What each role may and did, and the smallest policy that would have done."""
    found = roles(report)
    if not found:
        return ""
    opened = "".join(
        f'<li class="ev plain"><span class="what"><span class="src">{_e(arn)}</span>{_e(told)}</span></li>'
        for arn, told in open_resources(report)
    )
    resources = f'<div class="sec"><h3>Open to others</h3><ul>{opened}</ul></div>' if opened else ""
    return f"<h2>Rights</h2>{''.join(map(_role, found))}{resources}"


def _role(role: RoleInWords) -> str:
    problems = "".join(
        f'<li class="ev plain"><span class="what"><span class="src">{_e(place)}</span>{_e(told)}</span></li>'
        for place, told in role.problems
    )
    wrong = f'<div class="sec"><h3>What is wrong</h3><ul>{problems}</ul></div>' if problems else ""
    policy = _patch("The smallest policy", role.policy)
    chip = '<span class="chip partial">look</span>' if problems else '<span class="chip passed">fine</span>'
    return (
        f'<details class="check"><summary>{chip}<span class="title">{_e(role.name)}</span>'
        f'<span class="pts"></span><span class="quiet">{_e(role.told)}</span></summary>'
        f'<div class="body">{wrong}{_patch("A repair", role.patch)}{policy}</div></details>'
    )


def _patch(title: str, text: str) -> str:
    if not text:
        return ""
    marks = {"+": "ins", "-": "del"}
    lines = [
        f"<{marks[line[0]]}>{_e(line)}</{marks[line[0]]}>" if line[:1] in marks else _e(line)
        for line in text.splitlines()
    ]
    return f'<div class="sec"><h3>{title}</h3><pre class="patch">{chr(10).join(lines)}</pre></div>'


def _run(report: Report) -> str:
    isolation = report["isolation"]
    level = f"{isolation.get('level', '?')} ({isolation.get('name', 'unknown')})" if isolation else "unknown"
    facts = {
        "Seeds": ", ".join(map(str, report["seeds"])),
        "Backend": report["backend"],
        "Isolation": level,
        "Runtimes": ", ".join(report["runtimes"]) or "none",
        "Duration": f"{report['duration_s']:.2f} s",
        "Submission": report["submission_digest"],
        "Grader": report["grader_digest"],
    }
    rows = "".join(f'<dt>{name}</dt><dd class="mono">{_e(str(value))}</dd>' for name, value in facts.items())
    again = f"coldstart grade {report['lab']} DIR --seed {report['seed']}"
    return (
        f'<h2>This run</h2><dl class="facts">{rows}<dt>Run it again</dt>'
        f'<dd class="mono">{_e(again)}</dd></dl>'
        f"<h2>Time</h2>{_phases(report)}"
    )


def _phases(report: Report) -> str:
    spans = [
        (
            phase.get("seed", 0),
            phase["name"],
            dt.datetime.fromisoformat(phase["started_at"]).timestamp(),
            phase["duration_s"],
        )
        for phase in report["phases"]
    ]
    if not spans:
        return "<p>Nothing was run.</p>"
    begin = min(start for _, _, start, _ in spans)
    whole = max(start + length for _, _, start, length in spans) - begin or 1.0
    rows, latest = [], None
    for seed, name, start, length in spans:
        if seed != latest:
            rows.append(f"<h4>Seed {seed}</h4>")
            latest = seed
        left, width = (start - begin) / whole, length / whole
        rows.append(
            f'<span>{_e(name)}</span><span class="lane">'
            f'<i style="left:{left:.2%};width:{width:.2%}"></i></span>'
            f'<span class="num">{length:.2f} s</span>'
        )
    return f'<div class="phases">{"".join(rows)}</div>'


def _e(text: Any) -> str:
    return escape(str(text))
