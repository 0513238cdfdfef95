"""Runs a notebook's cells, then answers questions about what they defined: isolated, beside the code itself.

Nothing here is trusted afterwards: the notebook's own code may have changed any of it. Whoever asks
takes each answer as a value that a stranger sent.
"""

import json
import socket
import sys

SERVE = r"""
def _coldstart_serve(port, problems):
    import json, socket

    def plain(value):
        for name in ("to_dict", "tolist", "item"):
            if hasattr(value, name):
                return getattr(value, name)()
        if type(value).__name__ == "Decimal":
            return float(value)
        if isinstance(value, (set, frozenset, tuple)) or hasattr(value, "__iter__"):
            return list(value)
        raise TypeError(f"a value of type {type(value).__name__} can't be handed in")

    def answer(question):
        scope = get_ipython().user_ns
        name = question["name"]
        if question["do"] == "describe":
            known = name in scope
            return {"known": known, "callable": known and callable(scope[name])}
        value = scope[name]
        if question["do"] == "call":
            value = value(*question["args"], **question["kwargs"])
        return {"value": value}

    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rwb") as stream:
        stream.write(json.dumps({"ready": True, "problems": problems}).encode() + b"\n")
        stream.flush()
        for line in stream:
            try:
                said = json.dumps(answer(json.loads(line)), default=plain)
            except BaseException as error:
                said = json.dumps({"error": f"{type(error).__name__}: {error}"[:500]})
            stream.write(said.encode() + b"\n")
            stream.flush()
"""


def main() -> None:
    with open("/build/in/told.json", encoding="utf-8") as file:
        told = json.load(file)
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import DeadKernelError

    notebook = nbformat.from_dict(told["notebook"])
    client = NotebookClient(
        notebook,
        timeout=told["cell_limit_s"],
        interrupt_on_timeout=True,
        allow_errors=True,
        kernel_name="python3",
        resources={"metadata": {"path": told["folder"]}},
    )
    problems: list[dict[str, str]] = []
    try:
        with client.setup_kernel():
            for index, cell in enumerate(notebook.cells):
                if cell.cell_type != "code":
                    continue
                client.execute_cell(cell, index)
                for output in cell.outputs:
                    if output.output_type == "error":
                        said = f"{output.ename}: {output.evalue}"[:500]
                        problems.append({"cell": cell.get("id", ""), "error": said})
                cell.outputs = []
            client.timeout = None
            serve = nbformat.v4.new_code_cell(f"{SERVE}\n_coldstart_serve({told['port']}, {problems!r})")
            notebook.cells.append(serve)
            client.execute_cell(serve, len(notebook.cells) - 1, store_history=False)
            for output in serve.outputs:
                print(str(output)[:2000], file=sys.stderr)
    except DeadKernelError:
        problems.append({"cell": "", "error": "The kernel died."})
        with socket.create_connection(("127.0.0.1", told["port"])) as connection:
            connection.sendall(json.dumps({"ready": False, "problems": problems}).encode() + b"\n")


if __name__ == "__main__":
    main()
