"""``coldstart start``: write a lab's brief, contract and starter into a folder."""

from __future__ import annotations

from pathlib import Path

import click

from cli.output import BAD_INPUT, errors_for_humans, progress, stop
from curriculum.loader import Catalogue, Lab


@click.command("start", help="Write the brief, the contract and the starter of lab SLUG into DIR.")
@click.argument("slug")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--runtime", metavar="R", help="python, nodejs, java or go; by default the lab's first.")
def command(slug: str, folder: Path, runtime: str | None) -> None:
    """Write a lab's starter."""
    with errors_for_humans():
        lab = Catalogue().get_lab(slug)
        files = _files(lab, runtime)
        taken = [path for path in files if (folder / path).exists()]
        if taken:
            stop(
                f"{folder / taken[0]} exists; nothing was written. Give another folder, or move it away.",
                BAD_INPUT,
            )
        for path, body in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(body)
    progress.print(
        f"Wrote {len(files)} files to {folder}. Read BRIEF.md, then: coldstart grade {lab.slug} {folder}"
    )


def _files(lab: Lab, runtime: str | None) -> dict[str, bytes]:
    chosen = runtime or next((item for item in lab.manifest.runtimes if item in lab.starters), None)
    if chosen not in lab.starters:
        offered = ", ".join(lab.starters) or "none"
        stop(f"{lab.title} has no starter for {chosen}. It has: {offered}.", BAD_INPUT)
    files = {**lab.starter(str(chosen)), "BRIEF.md": lab.brief.encode()}
    if lab.contract:
        files["CONTRACT.md"] = lab.contract.encode()
    return files
