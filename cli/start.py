"""``coldstart start``: write a lab's brief, contract and starter into a folder."""

from __future__ import annotations

import re
from pathlib import Path

import click

from cli.output import BAD_INPUT, errors_for_humans, progress, stop
from curriculum.loader import Catalogue, Lab, accepted_runtimes, family_of
from curriculum.skins import dress
from sandbox.building.isolated import is_program
from settings import Settings


@click.command("start", help="Write the brief, the contract and the starter of lab SLUG into DIR.")
@click.argument("slug")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--skin", metavar="KEY", help="The lab as KEY dresses it: see coldstart lab skin.")
@click.option(
    "--runtime",
    metavar="R",
    help="python, nodejs, java or go, or one of Lambda's names, as nodejs22.x; by default the lab's first.",
)
def command(slug: str, folder: Path, skin: str | None, runtime: str | None) -> None:
    """Write a lab's starter."""
    with errors_for_humans():
        lab = Catalogue().get_lab(slug)
        if skin:
            lab = dress(lab, skin, Settings().home / "skins")
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
            if is_program(path, body):
                target.chmod(0o755)
    worn = f" --skin {skin}" if skin else ""
    progress.print(
        f"Wrote {len(files)} files to {folder}. Read BRIEF.md, then: "
        f"coldstart grade {lab.slug} {folder}{worn}"
    )


def _files(lab: Lab, runtime: str | None) -> dict[str, bytes]:
    chosen = runtime or next((item for item in lab.manifest.runtimes if item in lab.starters), None)
    family = family_of(str(chosen))
    if family not in lab.starters:
        offered = ", ".join(lab.starters) or "none"
        stop(f"{lab.title} has no starter for {chosen}. It has: {offered}.", BAD_INPUT)
    if runtime not in (None, family) and runtime not in accepted_runtimes():
        same = ", ".join(sorted(name for name in accepted_runtimes() if family_of(name) == family))
        stop(f"Labs do not accept the runtime {runtime}. For {family} there is: {same}.", BAD_INPUT)
    files = {**lab.starter(family), "BRIEF.md": lab.brief.encode()}
    if runtime not in (None, family) and "template.yaml" in files:
        named = re.sub(
            rb"(?m)^(\s*Runtime:\s*)\S+", rb"\g<1>" + str(runtime).encode(), files["template.yaml"]
        )
        files["template.yaml"] = named
    if lab.contract:
        files["CONTRACT.md"] = lab.contract.encode()
    return files
