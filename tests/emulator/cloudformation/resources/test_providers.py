"""Every provider against the schema that AWS publishes for its type."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from sandbox.emulator.cloudformation import resources
from sandbox.emulator.cloudformation.resources import providers
from sandbox.emulator.cloudformation.schemas import Schemas

# CloudFormation's registry has schemas for these, but nothing in a template can be set on them.
_EMPTY = {"AWS::CloudFormation::WaitConditionHandle"}


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas("us-east-1")


@pytest.mark.parametrize("kind", sorted(providers()))
def test_a_provider_claims_what_its_type_has(kind: str, schemas: Schemas) -> None:
    provider, schema = providers()[kind], schemas.get(kind)

    assert provider.properties <= set(schema.properties) - schema.read_only
    assert provider.replaces <= provider.properties
    assert provider.properties or kind in _EMPTY
    assert set(schema.root.get("required", ())) <= provider.properties


def test_no_type_has_two_providers() -> None:
    found = [
        provider.type
        for module in pkgutil.iter_modules(resources.__path__)
        for provider in getattr(
            importlib.import_module(f"{resources.__name__}.{module.name}"), "PROVIDERS", ()
        )
    ]

    assert sorted(found) == sorted(set(found))
