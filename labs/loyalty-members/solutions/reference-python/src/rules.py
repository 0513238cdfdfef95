"""What a member may look like. The rules are data: src/members.json."""

import json
from decimal import Decimal
from pathlib import Path

RULES = json.loads(Path(__file__).with_name("members.json").read_text("utf-8"))
FIELDS = RULES["fields"]
UNIQUE = RULES["unique"]
PAGE_SIZE = RULES["pageSize"]
LARGEST_PAGE = 100


class Invalid(Exception):
    """A request that breaks a rule; the text says which."""


def fields_of(body):
    """The fields of a new member.

    Raises:
        Invalid: one is missing, or not as it has to be.
    """
    for name, rule in FIELDS.items():
        if rule["required"] and name not in body:
            raise Invalid(f"{name} is missing")
    return checked(body)


def changes_of(body):
    """The version that a change was made for, and the fields that it sets.

    Raises:
        Invalid: there is no version, nothing to change, or a field is not as it has to be.
    """
    changes = dict(body)
    version = changes.pop("version", None)
    if not is_number(version) or version != int(version) or version < 1:
        raise Invalid("version has to be a whole number above 0")
    if UNIQUE in changes:
        raise Invalid(f"{UNIQUE} can't be changed")
    if not changes:
        raise Invalid("there is nothing to change")
    return version, checked(changes)


def checked(fields):
    """The same fields.

    Raises:
        Invalid: one of them is unknown, of another type, or out of bounds.
    """
    for name, value in fields.items():
        if name not in FIELDS:
            raise Invalid("there is a field that members don't have")
        check(name, value, FIELDS[name])
    return fields


def check(name, value, rule):
    """Nothing, if a value keeps to the rule of its field."""
    kind = rule["type"]
    if kind == "string":
        if not isinstance(value, str):
            raise Invalid(f"{name} has to be a text")
        if not 1 <= len(value) <= rule["maxLength"]:
            raise Invalid(f"{name} has to have 1 to {rule['maxLength']} characters")
    elif kind == "number":
        if not is_number(value):
            raise Invalid(f"{name} has to be a number")
        if not rule["minimum"] <= value <= rule["maximum"]:
            raise Invalid(f"{name} has to be {rule['minimum']} to {rule['maximum']}")
    elif not isinstance(value, bool):
        raise Invalid(f"{name} has to be true or false")


def is_number(value):
    """Whether it is a number of JSON; to Python, true and false are numbers as well."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)
