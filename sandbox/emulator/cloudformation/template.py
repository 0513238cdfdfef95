"""A template's sections, and the checks that CloudFormation makes before it does anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.cloudformation import graph
from sandbox.emulator.cloudformation.errors import invalid, malformed
from sandbox.emulator.cloudformation.intrinsics import conditions_used, references
from sandbox.emulator.cloudformation.schemas import Schemas

PSEUDO_PARAMETERS = frozenset(
    f"AWS::{name}"
    for name in (
        "AccountId",
        "NotificationARNs",
        "NoValue",
        "Partition",
        "Region",
        "StackId",
        "StackName",
        "URLSuffix",
    )
)
SERVERLESS = "AWS::Serverless-2016-10-31"
LANGUAGE_EXTENSIONS = "AWS::LanguageExtensions"

_SECTIONS = frozenset(
    {"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules", "Mappings"}
    | {"Conditions", "Transform", "Resources", "Outputs", "Hooks"}
)
_RESOURCE_KEYS = frozenset(
    {"Type", "Properties", "DependsOn", "Condition", "Metadata", "DeletionPolicy", "UpdateReplacePolicy"}
    | {"CreationPolicy", "UpdatePolicy"}
)
_POLICIES = ("Delete", "Retain", "Snapshot", "RetainExceptOnCreate")
_LOGICAL_ID = re.compile(r"[A-Za-z0-9]{1,255}")
_EXTENDED = ("Fn::Length", "Fn::ToJsonString")


@dataclass(frozen=True, slots=True)
class Template:
    """A template as values. Sections that are absent are empty."""

    values: Mapping[str, Any]

    def section(self, name: str) -> Mapping[str, Any]:
        found = self.values.get(name)
        return found if isinstance(found, dict) else {}

    @property
    def parameters(self) -> Mapping[str, Mapping[str, Any]]:
        return self.section("Parameters")

    @property
    def conditions(self) -> Mapping[str, Any]:
        return self.section("Conditions")

    @property
    def mappings(self) -> Mapping[str, Any]:
        return self.section("Mappings")

    @property
    def resources(self) -> Mapping[str, Mapping[str, Any]]:
        return self.section("Resources")

    @property
    def outputs(self) -> Mapping[str, Mapping[str, Any]]:
        return self.section("Outputs")

    @property
    def description(self) -> str:
        return str(self.values.get("Description") or "")

    @property
    def transforms(self) -> tuple[str, ...]:
        """The names of the macros to run, in order."""
        found = self.values.get("Transform") or []
        return tuple(
            str(item.get("Name", "")) if isinstance(item, dict) else str(item)
            for item in (found if isinstance(found, list) else [found])
        )


def check_form(template: Template) -> None:
    """The checks that come before macros run: sections and parameters.

    Raises:
        AwsError: the first of them that fails.
    """
    values = template.values
    serverless = SERVERLESS in template.transforms
    unknown = [name for name in values if name not in _SECTIONS and not (name == "Globals" and serverless)]
    if unknown:
        raise malformed_property(f"Invalid template property or properties [{', '.join(unknown)}]")
    version = values.get("AWSTemplateFormatVersion", "2010-09-09")
    if version != "2010-09-09":
        raise malformed(f"{version} is not a supported value for AWSTemplateFormatVersion.")
    description = values.get("Description", "")
    if not isinstance(description, str) or len(description.encode()) > 1024:
        raise malformed(
            "Any Description member must be a string."
            if not isinstance(description, str)
            else "Template description must be no longer than 1024 characters."
        )
    for section in ("Parameters", "Mappings", "Conditions", "Resources", "Outputs"):
        if section in values and not isinstance(values[section], dict):
            raise malformed(f"[/{section}] section must be an object")
    if not template.resources:
        raise malformed("At least one Resources member must be defined.")
    if len(template.resources) > 500:
        raise malformed(
            f"Number of resources, {len(template.resources)}, is greater than maximum allowed, 500"
        )


def malformed_property(message: str) -> Exception:
    """A member that templates do not have."""
    return invalid(message)


def check(template: Template, schemas: Schemas) -> None:
    """All checks of a template whose macros have run.

    Raises:
        AwsError: the first of them that fails, as CloudFormation words it.
    """
    check_form(template)
    _refuse_nulls(template)
    _check_mappings(template)
    _check_resources(template)
    _check_types(template, schemas)
    _check_conditions(template)
    _check_references(template, schemas)
    _check_outputs(template)
    graph.ordered(graph.dependencies(template.resources))


def _refuse_nulls(template: Template) -> None:
    for section in ("Parameters", "Mappings", "Conditions", "Resources", "Outputs"):
        for path in _nulls(template.section(section), f"/{section}"):
            if "/Metadata/" not in path:
                raise malformed(f"[{path}] 'null' values are not allowed in templates")


def _nulls(value: Any, path: str) -> Iterator[str]:
    if value is None:
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _nulls(item, f"{path}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nulls(item, f"{path}/{index}")


def _check_mappings(template: Template) -> None:
    for name, mapping in template.mappings.items():
        if not isinstance(mapping, dict) or not all(isinstance(item, dict) for item in mapping.values()):
            raise malformed(f"Every Mappings member {name} must be a map of maps.")


def _check_resources(template: Template) -> None:
    for name, resource in template.resources.items():
        if not _LOGICAL_ID.fullmatch(name):
            raise malformed(f"Resource name {name} is non alphanumeric.")
        if not isinstance(resource, dict):
            raise malformed(f"[/Resources/{name}] resource definition must be an object")
        unknown = [key for key in resource if key not in _RESOURCE_KEYS]
        if unknown:
            raise invalid(f"Invalid template resource property '{unknown[0]}'")
        if not isinstance(resource.get("Type"), str):
            raise malformed(f"[/Resources/{name}] Every Resources object must contain a Type member.")
        if not isinstance(resource.get("Properties", {}), dict):
            raise malformed(f"[/Resources/{name}/Properties] 'Properties' must be an object")
        for key in ("DeletionPolicy", "UpdateReplacePolicy"):
            policy = resource.get(key, "Delete")
            if not isinstance(policy, str):
                raise malformed(f"Every {key} member must be a string.")
            if policy not in _POLICIES:
                raise malformed(f"Unrecognized {key} {policy} for resource {name}")
        needed = graph.depends_on(resource)
        if not all(isinstance(item, str) for item in needed):
            raise malformed("Every DependsOn value must be a string.")
        _check_extensions(template, resource)


def _check_extensions(template: Template, value: Any) -> None:
    if LANGUAGE_EXTENSIONS in template.transforms:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _EXTENDED:
                raise malformed(f"{key} is not supported without {LANGUAGE_EXTENSIONS} transform")
            _check_extensions(template, item)
    elif isinstance(value, list):
        for item in value:
            _check_extensions(template, item)


def _check_types(template: Template, schemas: Schemas) -> None:
    unknown = {
        resource["Type"] for resource in template.resources.values() if not schemas.knows(resource["Type"])
    }
    if unknown:
        raise malformed(f"Unrecognized resource types: [{', '.join(sorted(unknown))}]")


def _check_conditions(template: Template) -> None:
    known = template.conditions.keys()
    for section in ("Conditions", "Resources", "Outputs"):
        for item in template.section(section).values():
            used = set(conditions_used(item))
            if section != "Conditions" and isinstance(item, dict) and isinstance(item.get("Condition"), str):
                used.add(item["Condition"])
            for name in sorted(used - known):
                raise malformed(
                    f"Unresolved condition dependency {name} in the {section} block of the template"
                )


def _check_references(template: Template, schemas: Schemas) -> None:
    names = template.parameters.keys() | PSEUDO_PARAMETERS
    resources = template.resources
    for section in ("Conditions", "Resources", "Outputs"):
        unresolved: dict[str, None] = {}
        allowed = names if section == "Conditions" else names | resources.keys()
        for item in template.section(section).values():
            for reference in references(item):
                if reference.strict and reference.name not in resources:
                    raise invalid(
                        "Template error: instance of Fn::GetAtt references undefined resource "
                        f"{reference.name}"
                    )
                if reference.name not in allowed:
                    unresolved[reference.name] = None
                elif reference.attribute not in ("", "*") and reference.name in resources:
                    _check_attribute(schemas, resources, reference.name, reference.attribute)
            if section == "Resources":
                unresolved.update(dict.fromkeys(n for n in graph.depends_on(item) if n not in resources))
        if unresolved:
            raise malformed(
                f"Unresolved resource dependencies [{', '.join(unresolved)}] in the {section} block "
                "of the template"
            )


def _check_attribute(
    schemas: Schemas, resources: Mapping[str, Mapping[str, Any]], name: str, attribute: str
) -> None:
    if not schemas.has_attribute(resources[name]["Type"], attribute):
        raise invalid(
            f"Template error: resource {name} does not support attribute type {attribute} in Fn::GetAtt"
        )


def _check_outputs(template: Template) -> None:
    for name, output in template.outputs.items():
        if not _LOGICAL_ID.fullmatch(name):
            raise malformed(f"Output name {name} is non alphanumeric.")
        if not isinstance(output, dict) or "Value" not in output:
            raise malformed(f"Every Outputs member must contain a Value object ({name})")
        export = output.get("Export")
        if export is not None and (not isinstance(export, dict) or "Name" not in export):
            raise malformed(f"Every Export member must contain a Name ({name})")
