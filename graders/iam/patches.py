"""A narrower policy as a patch of the learner's own template. Pure."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from graders.iam.places import Path, Place
from graders.iam.surroundings import Owned, Surroundings
from sandbox.templates import TemplateText

Statement = Mapping[str, Any]
_ATTRIBUTE = frozenset({"AWS::SSM::Parameter"})
# What `Ref` gives where there is no `Arn` to get.
_BY_REF = frozenset({"AWS::SNS::Topic", "AWS::StepFunctions::StateMachine", "AWS::SecretsManager::Secret"})


@dataclass(frozen=True, slots=True)
class Change:
    """What is to stand at a place instead: statements, or nothing."""

    place: Place
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class Patcher:
    """Writes statements in a template's own terms: ``!GetAtt Table.Arn`` rather than an ARN."""

    template: TemplateText
    surroundings: Surroundings

    def diff(self, changes: Sequence[Change]) -> str:
        """A unified diff that `git apply` and `patch -p1` take; empty when nothing can be changed."""
        text = self.template.text
        edits = sorted((edit for change in changes for edit in self._edits(change)), reverse=True)
        below = len(text) + 1
        for start, end, instead in edits:
            if end <= below:
                text, below = text[:start] + instead + text[end:], start
        path = self.template.path
        found = difflib.unified_diff(
            self.template.text.splitlines(keepends=True),
            text.splitlines(keepends=True),
            f"a/{path}",
            f"b/{path}",
            n=2,
        )
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in found)

    def _edits(self, change: Change) -> list[tuple[int, int, str]]:
        node = self.template.node(*change.place.path)
        if node is None or change.place.implied:
            return []
        if not change.statements:
            return self._removed(change.place.path)
        start, end = self._span(node)
        return [(start, end, self._written(node, change))]

    def _written(self, node: yaml.Node, change: Change) -> str:
        values = [self._in_terms(statement) for statement in change.statements]
        column = node.start_mark.column
        if not change.place.whole:
            document = {"Version": "2012-10-17", "Statement": values}
            return self._flow(document) if self._in_flow(node) else _block(document, column)
        if isinstance(change.place.path[-1], int):
            if self._in_flow(node):
                return ", ".join(map(self._flow, values))
            dash = self._dash(node)
            return f"\n{' ' * dash}-{' ' * (column - dash - 1)}".join(_block(v, column) for v in values)
        return self._flow(values) if self._in_flow(node) else _block(values, column)

    def _removed(self, path: Path) -> list[tuple[int, int, str]]:
        """Take a list's item away, or the whole list with its key when nothing else is in it."""
        while isinstance(path[-1], int):
            above = self.template.node(*path[:-1])
            assert isinstance(above, yaml.SequenceNode)
            if len(above.value) > 1 and not above.flow_style:
                node = above.value[path[-1]]
                begin = self.template.text.rindex("\n", 0, node.start_mark.index) + 1
                return [(begin, self._line_end(self._span(node)[1]), "")]
            if len(above.value) > 1:
                kept = [item for number, item in enumerate(above.value) if number != path[-1]]
                text = self.template.text
                parts = [text[item.start_mark.index : item.end_mark.index] for item in kept]
                return [(above.start_mark.index, above.end_mark.index, f"[{', '.join(parts)}]")]
            path = path[:-1]
            if path[-1] == "Statement":
                # A policy without statements is none: take its entry away.
                path = path[:-2] if path[-2] == "PolicyDocument" else path[:-1]
        return self._key_removed(path)

    def _key_removed(self, path: Path) -> list[tuple[int, int, str]]:
        owner = self.template.node(*path[:-1])
        if not isinstance(owner, yaml.MappingNode) or owner.flow_style or len(owner.value) == 1:
            return []
        for key, value in owner.value:
            if key.value == path[-1]:
                begin = self.template.text.rfind("\n", 0, key.start_mark.index) + 1
                return [(begin, self._line_end(self._span(value)[1]), "")]
        return []

    def _span(self, node: yaml.Node) -> tuple[int, int]:
        """Begin and end in the text, without blank lines and comments that follow."""
        start = node.start_mark.index
        written = self.template.text[start : node.end_mark.index].rstrip()
        while "\n" in written and written.rsplit("\n", 1)[1].lstrip().startswith("#"):
            written = written.rsplit("\n", 1)[0].rstrip()
        return start, start + len(written)

    def _line_end(self, index: int) -> int:
        found = self.template.text.find("\n", index)
        return len(self.template.text) if found < 0 else found + 1

    def _dash(self, node: yaml.Node) -> int:
        begin = self.template.text.rfind("\n", 0, node.start_mark.index) + 1
        return self.template.text[begin : node.start_mark.index].rindex("-")

    def _in_flow(self, node: yaml.Node) -> bool:
        """Whether it has to be written within braces: it is, or stands in something that is."""
        begin = self.template.text.rfind("\n", 0, node.start_mark.index) + 1
        before = self.template.text[begin : node.start_mark.index]
        if self.template.path.endswith(".json") or re.search(r"[{\[]", re.sub(r"\$\{[^}]*\}", "", before)):
            return True
        return bool(getattr(node, "flow_style", False))

    def _flow(self, value: Any) -> str:
        if self.template.path.endswith(".json"):
            return json.dumps(_long(value), ensure_ascii=False)
        return _flow(value)

    # --- a statement in the template's terms

    def _in_terms(self, statement: Statement) -> dict[str, Any]:
        found = dict(statement)
        resources = found.get("Resource")
        if isinstance(resources, list):
            found["Resource"] = [self.expression(str(item)) for item in resources]
        elif isinstance(resources, str):
            found["Resource"] = self.expression(resources)
        return found

    def expression(self, pattern: str) -> Any:
        """An ARN or pattern as the template should say it; as it is when it names nothing of the stack."""
        owner = self.surroundings.owner_of(pattern)
        if owner is None or owner.logical_id not in self.template.resources():
            return self._portable(pattern)
        rest = pattern.removeprefix(owner.arn)
        if owner.type == "AWS::S3::Bucket" and (name := self._bucket_name(owner)):
            # By its name where it has one: the bucket may have to wait for the function that hears of it.
            return Function("Sub", f"arn:${{AWS::Partition}}:s3:::{name}{rest}")
        if owner.type == "AWS::Logs::LogGroup" and rest == ":*":
            return Function("GetAtt", f"{owner.logical_id}.Arn")
        if owner.type in _ATTRIBUTE or owner.type == "AWS::Logs::LogGroup":
            return self._portable(pattern)
        if owner.type in _BY_REF:
            inner = f"${{{owner.logical_id}}}{rest}"
            return Function("Sub", inner) if rest else Function("Ref", owner.logical_id)
        if rest:
            return Function("Sub", f"${{{owner.logical_id}.Arn}}{rest}")
        return Function("GetAtt", f"{owner.logical_id}.Arn")

    def _bucket_name(self, owner: Owned) -> str:
        properties = self.template.resources()[owner.logical_id].get("Properties") or {}
        name = properties.get("BucketName") if isinstance(properties, Mapping) else None
        if isinstance(name, str):
            return name
        if isinstance(name, Mapping) and isinstance(name.get("Fn::Sub"), str):
            return str(name["Fn::Sub"])
        if isinstance(name, Mapping) and isinstance(name.get("Ref"), str):
            return f"${{{name['Ref']}}}"
        return ""

    def _portable(self, pattern: str) -> Any:
        """Without this account's number and region, which are the template's to fill in."""
        found = pattern.replace(f":{self.surroundings.region}:", ":${AWS::Region}:")
        found = found.replace(f":{self.surroundings.account_id}:", ":${AWS::AccountId}:")
        return Function("Sub", found) if found != pattern else pattern


@dataclass(frozen=True, slots=True)
class Function:
    """An intrinsic function with its one text."""

    name: str
    text: str

    def __str__(self) -> str:
        plain = re.fullmatch(r"[A-Za-z0-9.$][^#\n]*", self.text) is not None and ": " not in self.text
        return f"!{self.name} {self.text if plain and self.name != 'Sub' else json.dumps(self.text)}"

    def long(self) -> Any:
        """As JSON templates write it."""
        if self.name == "Ref":
            return {"Ref": self.text}
        value: Any = self.text.split(".", 1) if self.name == "GetAtt" else self.text
        return {f"Fn::{self.name}": value}


def _long(value: Any) -> Any:
    if isinstance(value, Function):
        return value.long()
    if isinstance(value, Mapping):
        return {key: _long(item) for key, item in value.items()}
    return [_long(item) for item in value] if isinstance(value, list | tuple) else value


def _flow(value: Any) -> str:
    """A value within braces, or a scalar."""
    if isinstance(value, Function):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z]\w*", text) else json.dumps(text)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9-]*:[A-Za-z]+|[A-Za-z]\w*", value):
        return (
            value if value not in ("true", "false", "null", "yes", "no", "on", "off") else json.dumps(value)
        )
    return json.dumps(value, ensure_ascii=False)


def _block(value: Any, column: int) -> str:
    """A value over several lines that begin at ``column``; the first line is not indented."""
    pad = "\n" + " " * column
    if isinstance(value, Mapping):
        return pad.join(f"{_key(key)}:{_below(key, item, column)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return pad.join(f"- {_block(item, column + 2)}" for item in value)
    return _flow(value)


def _below(key: str, value: Any, column: int) -> str:
    if key == "Condition" or not isinstance(value, list | tuple | Mapping):
        return f" {_flow(value)}"
    if key == "Action" and len(_flow(value)) + column < 90:
        return f" {_flow(value)}"
    return "\n" + " " * (column + 2) + _block(value, column + 2)
