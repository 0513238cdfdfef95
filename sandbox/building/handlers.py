"""Whether a built function has the handler that its template names; a layer may hold it, too.

What Lambda would say only when the function is invoked is said here with the template's line.
"""

from __future__ import annotations

import ast
import io
import posixpath
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.errors import BadSubmission

_NODE_SUFFIXES = (".js", ".mjs", ".cjs")


def check_handler(
    where: str, logical: str, function: Mapping[str, Any], folder: str, tree: Mapping[str, bytes]
) -> None:
    """Look for the handler in the code.

    Raises:
        BadSubmission: it is plainly not there.
    """
    runtime, handler = function.get("Runtime"), function.get("Handler")
    if not isinstance(runtime, str):
        return
    if runtime.startswith("provided"):
        _check_bootstrap(where, logical, function, folder, tree)
    elif not isinstance(handler, str):
        return
    elif runtime.startswith("python"):
        _check_python(where, logical, function, handler, folder, tree)
    elif runtime.startswith("nodejs"):
        _check_node(where, logical, function, handler, folder, tree)
    elif runtime.startswith("java"):
        _check_java(where, logical, function, handler, folder, tree)


def _check_bootstrap(
    where: str, logical: str, function: Mapping[str, Any], folder: str, tree: Mapping[str, bytes]
) -> None:
    if "bootstrap" in tree or function.get("Layers"):
        return
    built = "go.mod" in tree
    raise BadSubmission(
        f"Function `{logical}` runs on {function['Runtime']}, and there is no `bootstrap` in `{folder}`.",
        where=where,
        what_to_do="Tell how it is built: `Metadata: {BuildMethod: go1.x}` beside its Properties."
        if built
        else "Put the program there under that name; a custom runtime starts nothing else.",
    )


def _check_node(
    where: str,
    logical: str,
    function: Mapping[str, Any],
    handler: str,
    folder: str,
    tree: Mapping[str, bytes],
) -> None:
    module, _dot, attribute = handler.rpartition(".")
    if not module or not attribute:
        raise _shapeless(where, logical, handler, "app.handler")
    if function.get("Layers") or any(module + suffix in tree for suffix in _NODE_SUFFIXES):
        return
    raise _absent(where, logical, handler, f"{module}.js", folder, tree, _NODE_SUFFIXES)


def _check_java(
    where: str,
    logical: str,
    function: Mapping[str, Any],
    handler: str,
    folder: str,
    tree: Mapping[str, bytes],
) -> None:
    name = handler.partition("::")[0].replace(".", "/") + ".class"
    if name in tree or function.get("Layers"):
        return
    for path, body in tree.items():
        if path.endswith(".jar") and path.rpartition("/")[0] in ("", "lib") and name in _names(body):
            return
    raise BadSubmission(
        f"Function `{logical}` has the handler `{handler}`, and there is no {name} in what `{folder}` gives,"
        " nor in a jar at its top or in lib/.",
        where=where,
        what_to_do="Write it `package.Class::method`, or `package.Class` of a RequestHandler.",
    )


def _names(jar: bytes) -> Iterable[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(jar)) as opened:
            return frozenset(opened.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return ()


def _check_python(
    where: str,
    logical: str,
    function: Mapping[str, Any],
    handler: str,
    folder: str,
    tree: Mapping[str, bytes],
) -> None:
    module, dot, attribute = handler.rpartition(".")
    if not dot or not module or not attribute:
        raise _shapeless(where, logical, handler, "app.handler")
    path = module.replace(".", "/")
    candidates = [f"{path}.py", f"{path}/__init__.py"]
    found = next((name for name in candidates if name in tree), None)
    native = any(name.startswith(f"{path}.") and name.endswith((".so", ".pyc")) for name in tree)
    if found is None and not native and not function.get("Layers"):
        raise _absent(where, logical, handler, candidates[0], folder, tree, (".py",))
    if found is not None and not _may_define(tree[found], attribute):
        raise BadSubmission(
            f"Function `{logical}` has the handler `{handler}`, and {posixpath.join(folder, found)}"
            f" defines no `{attribute}`.",
            where=where,
            what_to_do="Name a function that the module defines.",
        )


def _shapeless(where: str, logical: str, handler: str, example: str) -> BadSubmission:
    return BadSubmission(
        f"Function `{logical}` has the handler `{handler}`, which names no function in a module.",
        where=where,
        what_to_do=f"Write it `module.function`, for example `{example}`.",
    )


def _absent(
    where: str,
    logical: str,
    handler: str,
    expected: str,
    folder: str,
    tree: Mapping[str, bytes],
    suffixes: tuple[str, ...],
) -> BadSubmission:
    there = sorted(name for name in tree if name.endswith(suffixes) and "/" not in name)
    kind = "Python" if suffixes == (".py",) else "JavaScript"
    return BadSubmission(
        f"Function `{logical}` has the handler `{handler}`, and there is no {expected} in `{folder}`.",
        where=where,
        what_to_do=f"{kind} files there: {', '.join(there[:20]) or 'none'}.",
    )


def _may_define(source: bytes, attribute: str) -> bool:
    """False only when a module plainly binds no such name; what can't be read may define anything."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True  # Lambda deploys it and says so when it is invoked.
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound = name
            case ast.Name(id=name, ctx=ast.Store()):
                bound = name
            case ast.alias(name=name, asname=asname):
                bound = attribute if name == "*" else (asname or name.split(".")[0])
            case ast.Name(id="globals" | "setattr" | "exec" | "vars" | "__getattr__"):
                bound = attribute
            case _:
                continue
        if bound in (attribute, "__getattr__"):
            return True
    return False
