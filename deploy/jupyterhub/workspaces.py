"""What a learner's server begins with: the workspaces of labs with notebooks, then JupyterLab on them.

Told by its environment: COLDSTART_INTERNAL_URL and COLDSTART_TOKEN. The token is handed to git when it asks,
and written nowhere.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = Path.home() / "work"
HELPER = '!f() { echo username=learner; echo "password=$COLDSTART_TOKEN"; }; f'


def main() -> None:
    """Fetch, then become the server."""
    portal = os.environ["COLDSTART_INTERNAL_URL"].rstrip("/")
    WORK.mkdir(parents=True, exist_ok=True)
    for slug in labs(portal):
        fetch(f"{portal}/git/{slug}.git", WORK / slug)
    server = [sys.executable, "-m", "jupyterhub.singleuser", f"--config={HERE / 'learner_config.py'}"]
    os.execv(sys.executable, [*server, f"--ServerApp.root_dir={WORK}", *sys.argv[1:]])


def labs(portal: str) -> list[str]:
    """The labs that have notebooks."""
    header = {"Authorization": f"Bearer {os.environ['COLDSTART_TOKEN']}"}
    with urllib.request.urlopen(urllib.request.Request(f"{portal}/api/v1/labs", headers=header)) as answer:
        return [lab["slug"] for lab in json.load(answer)["labs"] if lab["notebooks"]]


def fetch(address: str, folder: Path) -> None:
    """Clone a workspace, or bring what is new. One that can't be had now is said, and the others go on."""
    if not (folder / ".git").is_dir():
        done = git("clone", "--quiet", address, str(folder))
        if done:
            git("config", "credential.helper", HELPER, cwd=folder)
            git("config", "user.name", os.environ.get("JUPYTERHUB_USER", "learner"), cwd=folder)
            git("config", "user.email", "learner@localhost", cwd=folder)
        return
    save(folder)


def save(folder: Path) -> bool:
    """Send what was changed here, on top of what was changed there; false when that did not work."""
    git("add", "--all", cwd=folder)
    if git("diff", "--cached", "--quiet", cwd=folder, quiet=True) is False:
        git("commit", "--quiet", "--message", "Saved in JupyterLab", cwd=folder)
    return git("pull", "--quiet", "--rebase", "--strategy-option", "theirs", cwd=folder) and git(
        "push", "--quiet", cwd=folder
    )


def git(*words: str, cwd: Path | None = None, quiet: bool = False) -> bool:
    """Whether git did it."""
    done = subprocess.run(
        ["git", "-c", f"credential.helper={HELPER}", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode and not quiet:
        print(f"git {words[0]} in {cwd or words[-1]}: {done.stderr.strip()}", file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    main()
