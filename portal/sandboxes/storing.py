"""What the stack keeps: objects, items and messages. Every act is a form and ends where it began."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Callable
from typing import Any

from flask import Blueprint, redirect, request, send_file, url_for
from flask.typing import ResponseReturnValue

from portal.sandboxes.here import Here, attempt, here, shown, typed_text
from sandbox.console import buckets, queues, tables

# What has a page of its own: by type, the page and the group it is listed in.
PAGES = {
    "AWS::S3::Bucket": "sandbox.show_bucket",
    "AWS::DynamoDB::Table": "sandbox.show_table",
    "AWS::DynamoDB::GlobalTable": "sandbox.show_table",
    "AWS::SQS::Queue": "sandbox.show_queue",
    "AWS::Lambda::Function": "sandbox.show_function",
    "AWS::StepFunctions::StateMachine": "sandbox.show_machine",
    "AWS::Events::Rule": "sandbox.show_rule",
    "AWS::Events::EventBus": "sandbox.show_bus",
    "AWS::ApiGateway::RestApi": "sandbox.show_api",
    "AWS::ApiGatewayV2::Api": "sandbox.show_api",
    "AWS::Lambda::Url": "sandbox.show_api",
}
_TABLES = ("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable")


def register(bp: Blueprint) -> None:
    """The routes."""
    bp.get("/resources")(show_resources)
    bp.get("/bucket")(show_bucket)
    bp.get("/bucket/object")(download_object)
    bp.get("/table")(show_table)
    bp.get("/queue")(show_queue)
    for path, act in (
        ("/bucket/put", put_object),
        ("/bucket/delete", delete_object),
        ("/table/put", put_item),
        ("/table/delete", delete_item),
        ("/queue/send", send_message),
        ("/queue/purge", purge_queue),
    ):
        bp.post(path)(act)


def show_resources(slug: str) -> ResponseReturnValue:
    """All of the stack, those with a page of their own first."""
    place = here(slug)
    stack = place.stack
    found = (
        sorted(stack.resources, key=lambda each: (each.type not in PAGES, each.type, each.logical_id))
        if stack
        else []
    )
    return shown("sandbox_resources.html", place, "resources", resources=found, pages=PAGES)


# Buckets


def show_bucket(slug: str) -> ResponseReturnValue:
    """A bucket's objects."""
    return _bucket(here(slug))


def put_object(slug: str) -> ResponseReturnValue:
    """Put an object: a file, or a text."""
    place = here(slug)
    bucket = place.of_stack("AWS::S3::Bucket")
    sent, key = request.files.get("file"), request.form.get("key", "")
    if sent is not None and sent.filename:
        name = posixpath.basename(sent.filename.replace("\\", "/"))
        key = f"{key}{name}" if not key or key.endswith("/") else key
        body, kind = sent.read(buckets.LARGEST_BYTES + 1), sent.mimetype
    else:
        body, kind = typed_text("text").encode(), ""
    return _done(
        lambda: buckets.put(place.account, bucket, key, body, kind), lambda problem: _bucket(place, problem)
    )


def delete_object(slug: str) -> ResponseReturnValue:
    """Delete an object."""
    place = here(slug)
    bucket, key = place.of_stack("AWS::S3::Bucket"), request.form.get("key", "")
    return _done(lambda: buckets.delete(place.account, bucket, key), lambda problem: _bucket(place, problem))


def download_object(slug: str) -> ResponseReturnValue:
    """An object's bytes: always a download and of no type that a browser would run."""
    place = here(slug)
    key = request.args.get("key", "")
    body = buckets.get(place.account, place.of_stack("AWS::S3::Bucket"), key)
    name = posixpath.basename(key) or "object"
    answer = send_file(io.BytesIO(body), "application/octet-stream", as_attachment=True, download_name=name)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _bucket(place: Here, problem: Any = None) -> str:
    bucket, prefix = place.of_stack("AWS::S3::Bucket"), request.args.get("prefix", "")
    listed, more = buckets.objects(place.account, bucket, prefix)
    return shown(
        "sandbox_bucket.html",
        place,
        "resources",
        bucket=bucket,
        prefix=prefix,
        objects=listed,
        more=more,
        problem=problem,
    )


# Tables


def show_table(slug: str) -> ResponseReturnValue:
    """A table's items."""
    return _table(here(slug))


def put_item(slug: str) -> ResponseReturnValue:
    """Put an item."""
    place = here(slug)
    table, text = place.of_stack(*_TABLES), typed_text("item")
    return _done(lambda: tables.put(place.account, table, text), lambda problem: _table(place, problem))


def delete_item(slug: str) -> ResponseReturnValue:
    """Delete an item."""
    place = here(slug)
    table, key = place.of_stack(*_TABLES), typed_text("key")
    return _done(lambda: tables.delete(place.account, table, key), lambda problem: _table(place, problem))


def _table(place: Here, problem: Any = None) -> str:
    found = tables.read(place.account, place.of_stack(*_TABLES))
    typed = request.form.get("item", "") if problem else ""
    return shown("sandbox_table.html", place, "resources", table=found, typed=typed, problem=problem)


# Queues


def show_queue(slug: str) -> ResponseReturnValue:
    """A queue's messages, none of them received."""
    return _queue(here(slug))


def send_message(slug: str) -> ResponseReturnValue:
    """Send a message."""
    place = here(slug)
    url, body, group = place.of_stack("AWS::SQS::Queue"), typed_text("body"), request.form.get("group", "")
    return _done(lambda: queues.send(place.account, url, body, group), lambda problem: _queue(place, problem))


def purge_queue(slug: str) -> ResponseReturnValue:
    """Delete every message."""
    place = here(slug)
    url = place.of_stack("AWS::SQS::Queue")
    return _done(lambda: queues.purge(place.account, url), lambda problem: _queue(place, problem))


def _queue(place: Here, problem: Any = None) -> str:
    found = queues.read(place.account, place.of_stack("AWS::SQS::Queue"))
    return shown("sandbox_queue.html", place, "resources", queue=found, problem=problem)


def _done(action: Callable[[], object], page: Callable[[Any], str]) -> ResponseReturnValue:
    """Back to the page, or the page with what AWS said."""
    problem = attempt(action)
    if problem is not None:
        return page(problem), 422
    return redirect(_here_again(), 303)


def _here_again() -> str:
    page = {"bucket": "show_bucket", "table": "show_table", "queue": "show_queue"}[
        request.path.split("/")[-2]
    ]
    slug = (request.view_args or {})["slug"]
    return url_for(f"sandbox.{page}", slug=slug, name=request.form.get("name", ""))
