"""The report as JUnit XML, for CI systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from graders.report.words import evidence_lines

_XML_FORBIDDEN = {code: None for code in range(32) if code not in (9, 10, 13)}


def render(report: Mapping[str, Any]) -> str:
    """The XML: a failed check is a failure, an inconclusive one an error, a not assessed one skipped."""
    checks = report["checks"]
    suite = ET.Element(
        "testsuite",
        name=f"coldstart.{report['lab']}",
        tests=str(len(checks)),
        failures=str(sum(item["outcome"] in ("failed", "partial") for item in checks)),
        errors=str(sum(item["outcome"] == "inconclusive" for item in checks)),
        skipped=str(sum(item["outcome"] == "not_assessed" for item in checks)),
        time=str(report["duration_s"]),
    )
    properties = ET.SubElement(suite, "properties")
    for name in (
        "seed",
        "backend",
        "outcome",
        "points",
        "points_possible",
        "submission_digest",
        "grader_digest",
    ):
        ET.SubElement(properties, "property", name=name, value=str(report[name]))
    for item in checks:
        case = ET.SubElement(
            suite, "testcase", classname=report["lab"], name=f"{item['id']} {_clean(item['title'])}"
        )
        tag = {
            "failed": "failure",
            "partial": "failure",
            "inconclusive": "error",
            "not_assessed": "skipped",
        }.get(item["outcome"])
        if tag:
            note = ET.SubElement(case, tag, message=_clean(item["headline"]))
            note.text = _clean("\n".join(evidence_lines(item)))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: str) -> str:
    return text.translate(_XML_FORBIDDEN)
