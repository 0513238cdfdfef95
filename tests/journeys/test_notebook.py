"""A learner's way through the notebook lab, in a real browser: JupyterLab opens, saves, and is graded."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.browsing import AXE, DESKTOP, PHONE, ROOT, chromium, free_port, look_closely, needs_chromium, shoot

INSTALLED = Path(os.environ.get("COLDSTART_HOME", ROOT / "var"))
LAB = "serverless-or-containers"

pytestmark = [*needs_chromium, pytest.mark.timeout(300)]


@dataclass
class Site:
    address: str
    link: str
    home: Path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    home = tmp_path / "home"
    home.mkdir()
    # What is installed once for all is not installed again.
    (home / "runtimes").symlink_to((INSTALLED / "runtimes").resolve())
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("COLDSTART_")},
        "COLDSTART_HOME": str(home),
    }
    command = [sys.executable, "-m", "cli", "serve", "--with-worker", "--with-notebooks"]
    command += ["--port", str(free_port(2))]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        said = server.stdout.readline() + server.stdout.readline()
        found = re.search(r"(http://\S+)/sign-in/link/\S+", said)
        assert found, said
        yield Site(found[1], found[0], home)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(40)
        server.stdout.close()  # type: ignore[union-attr]
        down = [sys.executable, "-m", "cli", "sandbox", "down", "--all"]
        subprocess.run(down, cwd=ROOT, env=environment, capture_output=True)


def test_a_notebook_is_opened_saved_and_graded(site: Site) -> None:
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.goto(site.link)
        page.goto(f"{site.address}/labs/{LAB}")
        page.get_by_role("link", name="Open the notebook").click()
        with context.expect_page(timeout=90_000) as opened:
            page.get_by_role("button", name="Open JupyterLab").click()
        notebook = opened.value
        notebook.set_default_timeout(90_000)
        try:
            work_in_jupyterlab(site, notebook)
            assert_kept_apart(site, context, notebook)
        finally:
            shoot(notebook, "jupyterlab")
        for name, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
            shoot(page, name)
            if AXE.is_file():
                look_closely(page, name)
        page.get_by_role("button", name="Submit for grading").click()
        page.wait_for_url(re.compile(r"/attempts/\d+"))
        page.get_by_text("of 100").first.wait_for(timeout=120_000)
        earned = page.request.get(f"{page.url}/report.json").json()
        shoot(page, "report")
        worth = {item["id"]: item["points"] for item in earned["checks"]}
        assert (worth["p1"], worth["n1"]) == (8, 0), worth
        files = page.request.get(f"{site.address}/labs/{LAB}/workspace/download").body()

    with zipfile.ZipFile(io.BytesIO(files)) as archive:
        saved = json.loads(archive.read("worksheet.ipynb"))
        assert archive.read("from-a-kernel.txt") == b"written by code"
    assert "boto3" in "".join("".join(cell["source"]) for cell in saved["cells"])


ANSWER = """def measured_duration_ms(lines):
    import re
    found = [int(m[1]) for line in lines if (m := re.search(r"Billed Duration: (\\d+) ms", line))]
    return sum(found) / len(found)
"""


SAVING = """async answer => {
    const path = "/api/contents/worksheet.ipynb";
    const model = await (await fetch(path)).json();
    for (const cell of model.content.cells)
        if ((cell.metadata.nbgrader || {}).grade_id === "answer-measured-duration") cell.source = answer;
    model.content.cells.push({cell_type: "code", id: "own", metadata: {}, outputs: [], source: "import boto3",
        execution_count: null});
    const body = JSON.stringify({type: "notebook", format: "json", content: model.content});
    return (await fetch(path, {method: "PUT", body})).status;
}"""

RUNNING = """async code => {
    const kernel = await (await fetch("/api/kernels", {method: "POST", body: "{}"})).json();
    const socket = new WebSocket(`ws://${location.host}/api/kernels/${kernel.id}/channels`);
    await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
    // What is printed may come in several pieces; it is whole when the kernel rests again.
    const said = new Promise(resolve => { let text = ""; socket.onmessage = event => {
        const message = JSON.parse(event.data);
        if (message.parent_header.msg_id !== "1") return;
        if (message.msg_type === "stream" && message.content.name === "stdout") text += message.content.text;
        if (message.msg_type === "error") text += message.content.evalue;
        if (message.msg_type === "status" && message.content.execution_state === "idle") resolve(text);
    }});
    const header = {msg_id: "1", username: "x", session: "s", msg_type: "execute_request", version: "5.3"};
    const content = {code, silent: false, store_history: false, user_expressions: {}, allow_stdin: false};
    socket.send(JSON.stringify(
        {channel: "shell", parent_header: {}, metadata: {}, buffers: [], header, content}));
    return await said;
}"""

# Reaches the account, and nothing else: neither the portal nor a file of this machine.
CODE = """
import boto3, os, socket
open("from-a-kernel.txt", "w").write("written by code")
assert not os.path.exists(LABS), "the labs can be read"
for port in PORTS:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2)
        raise AssertionError(f"port {port} answers")
    except OSError:
        pass
print(boto3.client("sts").get_caller_identity()["Account"])
"""


def work_in_jupyterlab(site: Site, notebook: Any) -> None:
    """Answer one question, reach the account, and save, by what JupyterLab's own buttons call."""
    notebook.wait_for_selector(".jp-Notebook")
    notebook.get_by_role("paragraph").filter(has_text="Work through the questions").wait_for()

    assert notebook.evaluate(SAVING, ANSWER) == 200
    port = int(site.address.rpartition(":")[2])
    known = f"LABS, PORTS = {str(ROOT / 'labs')!r}, {[port, port + 1]}"
    said = notebook.evaluate(RUNNING, known + CODE)
    assert re.fullmatch(r"\d{12}\s*", said), said


def assert_kept_apart(site: Site, context: Any, notebook: Any) -> None:
    """The notebook's scripts can neither read nor act in the portal, and hold none of its cookies."""
    assert notebook.evaluate("document.cookie") == ""
    portal = site.address
    refused = notebook.evaluate(
        """async address => {
            try { const answer = await fetch(address, {credentials: "include"}); return answer.type; }
            catch (error) { return "refused"; }
        }""",
        f"{portal}/attempts",
    )
    assert refused == "refused"
    names = {(cookie["domain"], cookie["name"]) for cookie in context.cookies()}
    assert ("localhost", "coldstart_notebook") in names
    assert not {name for domain, name in names if domain == "localhost"} - {"coldstart_notebook"}
