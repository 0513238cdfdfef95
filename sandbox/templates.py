"""A template as text that is kept, and as values that can be asked.

Deploying needs a few places of the text replaced (a local folder by its place in S3) and every
other line left as the learner wrote it, so that line numbers in messages are theirs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from sandbox.errors import BadSubmission

_TEMPLATE_LIMIT_BYTES = 1_000_000  # CloudFormation's limit for a template in S3.
_DEPTH_LIMIT = 100


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms kept as their long ones."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if suffix == "GetAtt" and isinstance(value, str):
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


def _text(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


def teach_short_forms(loader: Any) -> None:
    """Make a YAML loader class read ``!Ref`` and its like as the long forms."""
    loader.add_multi_constructor("!", _short_form)
    # A version such as 2010-09-09 is text to CloudFormation, not a date.
    loader.add_constructor("tag:yaml.org,2002:timestamp", _text)


teach_short_forms(_Loader)


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace ``text[start:end]`` by ``before + location + after``, the location being known later."""

    start: int
    end: int
    before: str
    after: str
    key: str


@dataclass(frozen=True, slots=True)
class TemplateText:
    """A template: ``values`` to read, ``text`` to edit."""

    path: str
    text: str
    values: Mapping[str, Any] = field(repr=False)
    root: yaml.MappingNode = field(repr=False)

    def resources(self) -> dict[str, Mapping[str, Any]]:
        """Resources by logical id; what is malformed in them is CloudFormation's to refuse."""
        found = self.values.get("Resources")
        entries = found.items() if isinstance(found, dict) else ()
        return {str(name): body for name, body in entries if isinstance(body, dict)}

    def globals(self, section: str) -> Mapping[str, Any]:
        """What ``Globals`` says for ``Function``, ``Api`` …"""
        found = self.values.get("Globals")
        part = found.get(section) if isinstance(found, dict) else None
        return part if isinstance(part, dict) else {}

    def line(self, *path: str | int) -> str:
        """``template.yaml:12``: where a path of keys and list positions stands, as far as it exists."""
        node: yaml.Node = self.root
        line = node.start_mark.line
        for step in path:
            pair = _pair(node, step)
            if pair is None:
                break
            line, node = pair[0].start_mark.line, pair[1]
        return f"{self.path}:{line + 1}"

    def node(self, *path: str | int) -> yaml.Node | None:
        """What stands at a path of keys and list positions, with where it begins and ends in the text."""
        node: yaml.Node = self.root
        for step in path:
            pair = _pair(node, step)
            if pair is None:
                return None
            node = pair[1]
        return node

    def replace(self, path: tuple[str, ...], key: str, *, wrap: str = "{}") -> Edit:
        """An edit that puts the location of artefact ``key`` where ``path`` has its value now."""
        node = self.node(*path)
        assert node is not None, path
        before, after = wrap.split("{}")
        end = node.end_mark.index
        # A plain scalar may end where a comment or the next key begins; keep that white space.
        written = self.text[node.start_mark.index : end]
        return Edit(node.start_mark.index, end - (len(written) - len(written.rstrip())), before, after, key)

    def insert(self, path: tuple[str, ...], name: str, key: str, *, wrap: str = "{}") -> Edit | None:
        """An edit that adds property ``name`` to the mapping at ``path``; None if it isn't a mapping."""
        node = self.node(*path)
        if not isinstance(node, yaml.MappingNode) or not node.value:
            return None
        first = node.value[0][0].start_mark
        before, after = wrap.split("{}")
        quoted = json.dumps(name)
        if node.flow_style:
            return Edit(first.index, first.index, f"{quoted}: {before}", f"{after}, ", key)
        # On the first key's own line, so that no later line moves: a flow mapping can't hold block
        # values, so the line break stays, and line numbers after it are one higher.
        return Edit(first.index, first.index, f"{quoted}: {before}", f"{after}\n{' ' * first.column}", key)


def parse_template(path: str, body: bytes) -> TemplateText:
    """Read a template.

    Raises:
        BadSubmission: not UTF-8, not YAML or JSON (with line and column), or not a mapping.
    """
    if len(body) > _TEMPLATE_LIMIT_BYTES:
        raise BadSubmission(
            f"The template is larger than {_TEMPLATE_LIMIT_BYTES:,} bytes, CloudFormation's limit.",
            where=path,
        )
    try:
        text = body.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise BadSubmission(
            f"The template is not UTF-8 text (byte {error.start}).",
            where=path,
            what_to_do="Save it as UTF-8.",
        ) from None
    if path.endswith(".json"):
        _check_json(path, text)
        # Tabs may indent JSON and not YAML; outside strings they mean the same as blanks.
        text = text.replace("\t", " ")
    root, values = _load(path, text)
    if not isinstance(root, yaml.MappingNode) or not isinstance(values, dict):
        raise BadSubmission(
            "The template is not a mapping with a `Resources` section.",
            where=f"{path}:1",
            what_to_do="A template begins with keys such as Transform and Resources.",
        )
    template = TemplateText(path, text, values, root)
    if not isinstance(values.get("Resources"), dict) or not values["Resources"]:
        raise BadSubmission(
            "The template has no resources.",
            where=template.line("Resources"),
            what_to_do="Describe what is to be deployed under `Resources`.",
        )
    return template


def _load(path: str, text: str) -> tuple[yaml.Node | None, Any]:
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            _refuse_duplicates_and_bombs(path, root)
            return root, None if root is None else loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
        context = f"{error.context}, " if error.context else ""
        raise BadSubmission(
            f"The template is not valid YAML: {context}{error.problem}.",
            where=place,
            what_to_do="Check indentation, quotes and colons there and in the line before.",
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadSubmission(
            f"The template is not valid YAML: {' '.join(str(error).split())[:300]}.", where=path
        ) from None


def _check_json(path: str, text: str) -> None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise BadSubmission(
            f"The template is not valid JSON: {error.msg}.", where=f"{path}:{error.lineno}:{error.colno}"
        ) from None
    except RecursionError:
        raise BadSubmission("The template is nested too deeply.", where=path) from None


def _refuse_duplicates_and_bombs(path: str, root: yaml.Node | None) -> None:
    """Duplicate keys would hide each other; nested aliases would blow up when they are expanded."""
    budget = 200_000
    todo: list[tuple[yaml.Node, int]] = [] if root is None else [(root, 0)]
    while todo:
        node, depth = todo.pop()
        budget -= 1
        if budget < 0 or depth > _DEPTH_LIMIT:
            raise BadSubmission(
                "The template is nested too deeply or repeats itself through aliases.",
                where=f"{path}:{node.start_mark.line + 1}",
            )
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                if isinstance(key, yaml.ScalarNode) and name in seen and name != "<<":
                    raise BadSubmission(
                        f"The key `{name}` is there twice.",
                        where=f"{path}:{key.start_mark.line + 1}:{key.start_mark.column + 1}",
                        what_to_do="Keep one of them.",
                    )
                seen.add(name)
                todo += [(key, depth + 1), (value, depth + 1)]
        elif isinstance(node, yaml.SequenceNode):
            todo += [(item, depth + 1) for item in node.value]


def _pair(node: yaml.Node, name: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(name, int):
        item = node.value[name] if 0 <= name < len(node.value) else None
        return None if item is None else (item, item)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name:
                return key, value
    return None
