"""Loyalty members over HTTP. API Gateway knows the routes, the callers and the browsers' origin."""

import base64
import binascii
import json
import re
import time
from decimal import Decimal

import store
from botocore.exceptions import BotoCoreError, ClientError
from rules import LARGEST_PAGE, PAGE_SIZE, Invalid, changes_of, fields_of

ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Unreadable(Exception):
    """The body is not of a kind that is read here."""


def handler(event, context):
    """Answer one request, and leave one line in the log: what was asked, and what came of it."""
    began = time.monotonic()
    answer = answered(event)
    line = {
        "requestId": event["requestContext"]["requestId"],
        "route": event["routeKey"],
        "status": answer["statusCode"],
        "latencyMs": round((time.monotonic() - began) * 1000, 1),
    }
    print(json.dumps(line))
    return answer


def answered(event):
    """The answer to a request; whatever goes wrong is a problem with a status."""
    try:
        return ROUTES[event["routeKey"]](event)
    except Invalid as error:
        return problem(400, "The request is not valid", str(error))
    except Unreadable:
        return problem(415, "Only application/json is read here", "")
    except store.Missing:
        return problem(404, "There is no such member", "")
    except store.Conflict:
        return problem(409, "Somebody else was first", "Read again before you try again.")
    except (BotoCoreError, ClientError) as error:
        print(json.dumps({"cause": type(error).__name__}))
        return problem(503, "Members can't be reached at the moment", "Try again later.")


def create(event):
    """POST /members"""
    member = store.create(fields_of(body_of(event)))
    return answer(201, member, {"location": f"/members/{member['id']}"})


def read(event):
    """GET /members/{id}"""
    return answer(200, store.read(event["pathParameters"]["id"]))


def change(event):
    """PATCH /members/{id}"""
    version, fields = changes_of(body_of(event))
    return answer(200, store.change(event["pathParameters"]["id"], version, fields))


def delete(event):
    """DELETE /members/{id}"""
    store.delete(event["pathParameters"]["id"])
    return {"statusCode": 204}


def listed(event):
    """GET /members"""
    asked = event.get("queryStringParameters") or {}
    limit = asked.get("limit", str(PAGE_SIZE))
    if not re.fullmatch(r"\d{1,4}", limit) or not 1 <= int(limit) <= LARGEST_PAGE:
        raise Invalid(f"limit has to be 1 to {LARGEST_PAGE}")
    members, last = store.page(int(limit), place_of(asked["next"]) if "next" in asked else None)
    return answer(200, {"members": members, **({"next": token_of(last)} if last else {})})


ROUTES = {
    "POST /members": create,
    "GET /members": listed,
    "GET /members/{id}": read,
    "PATCH /members/{id}": change,
    "DELETE /members/{id}": delete,
}


def body_of(event):
    """The JSON object that was sent."""
    if not event["headers"].get("content-type", "").startswith("application/json"):
        raise Unreadable
    text = event.get("body") or ""
    try:
        raw = base64.b64decode(text) if event.get("isBase64Encoded") else text
        found = json.loads(raw, parse_float=Decimal)
    except ValueError:
        raise Invalid("the body is not JSON") from None
    if not isinstance(found, dict):
        raise Invalid("the body has to be an object")
    return found


def token_of(member_id):
    """Where a list goes on, as callers pass it back."""
    return base64.urlsafe_b64encode(member_id.encode()).decode()


def place_of(token):
    """What :func:`token_of` made a token of."""
    try:
        found = base64.urlsafe_b64decode(token).decode("ascii")
    except (binascii.Error, ValueError):
        found = ""
    if not ID.fullmatch(found):
        raise Invalid("next is not one that was given here")
    return found


def answer(status, body, headers=None):
    """An answer in JSON."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", **(headers or {})},
        "body": json.dumps(body, default=as_number),
    }


def problem(status, title, detail):
    """An error as RFC 9457 has it."""
    found = answer(status, {"type": "about:blank", "title": title, "status": status, "detail": detail})
    found["headers"]["content-type"] = "application/problem+json"
    return found


def as_number(value):
    """A number of the table as JSON has it: whole ones stay whole."""
    return int(value) if value == value.to_integral_value() else float(value)
