"""Where a form may lead back to."""

from __future__ import annotations


def own_path(wanted: str) -> str | None:
    """The same path if it is one of ours; None for what a browser could take for another site."""
    ours = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted
    return wanted if ours and wanted.isprintable() else None
