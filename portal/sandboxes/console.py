"""The stack's resources: looked at, and acted on. Every act is a form of its own and ends where it began."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Callable
from typing import Any

from flask import Blueprint, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue

from portal.languages import N_
from portal.sandboxes import events as samples
from portal.sandboxes.diagrams import draw
from portal.sandboxes.errands import Errands
from portal.sandboxes.here import Here, attempt, here, problem_of
from portal.services import services
from portal.users.session import current_user
from records.errors import TooManyEvents
from sandbox.console import apis, buckets, buses, functions, machines, queues, tables
from sandbox.console.refusals import Refused

errands = Errands()

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
_APIS = ("AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api", "AWS::Lambda::Url")
_EVENT_NAME_LENGTH = 80
_SAVED_BYTES = 300_000


def register(bp: Blueprint) -> None:
    """The routes."""
    bp.get("/resources")(show_resources)
    bp.get("/bucket")(show_bucket)
    bp.get("/bucket/object")(download_object)
    bp.get("/table")(show_table)
    bp.get("/queue")(show_queue)
    bp.get("/function")(show_function)
    bp.get("/machine")(show_machine)
    bp.get("/execution")(show_execution)
    bp.get("/rule")(show_rule)
    bp.get("/bus")(show_bus)
    bp.get("/api")(show_api)
    for path, act in (
        ("/bucket/put", put_object),
        ("/bucket/delete", delete_object),
        ("/table/put", put_item),
        ("/table/delete", delete_item),
        ("/queue/send", send_message),
        ("/queue/purge", purge_queue),
        ("/function/invoke", invoke),
        ("/function/events/drop", drop_event),
        ("/machine/start", start_execution),
        ("/execution/stop", stop_execution),
        ("/bus/put", put_event),
        ("/api/call", call_api),
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
    return _shown("sandbox_resources.html", place, resources=found, pages=PAGES)


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
        body, kind = _text("text").encode(), ""
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
    return _shown(
        "sandbox_bucket.html", place, bucket=bucket, prefix=prefix, objects=listed, more=more, problem=problem
    )


# Tables


def show_table(slug: str) -> ResponseReturnValue:
    """A table's items."""
    return _table(here(slug))


def put_item(slug: str) -> ResponseReturnValue:
    """Put an item."""
    place = here(slug)
    table, text = place.of_stack(*_TABLES), _text("item")
    return _done(lambda: tables.put(place.account, table, text), lambda problem: _table(place, problem))


def delete_item(slug: str) -> ResponseReturnValue:
    """Delete an item."""
    place = here(slug)
    table, key = place.of_stack(*_TABLES), _text("key")
    return _done(lambda: tables.delete(place.account, table, key), lambda problem: _table(place, problem))


def _table(place: Here, problem: Any = None) -> str:
    found = tables.read(place.account, place.of_stack(*_TABLES))
    typed = request.form.get("item", "") if problem else ""
    return _shown("sandbox_table.html", place, table=found, typed=typed, problem=problem)


# Queues


def show_queue(slug: str) -> ResponseReturnValue:
    """A queue's messages, none of them received."""
    return _queue(here(slug))


def send_message(slug: str) -> ResponseReturnValue:
    """Send a message."""
    place = here(slug)
    url, body, group = place.of_stack("AWS::SQS::Queue"), _text("body"), request.form.get("group", "")
    return _done(lambda: queues.send(place.account, url, body, group), lambda problem: _queue(place, problem))


def purge_queue(slug: str) -> ResponseReturnValue:
    """Delete every message."""
    place = here(slug)
    url = place.of_stack("AWS::SQS::Queue")
    return _done(lambda: queues.purge(place.account, url), lambda problem: _queue(place, problem))


def _queue(place: Here, problem: Any = None) -> str:
    found = queues.read(place.account, place.of_stack("AWS::SQS::Queue"))
    return _shown("sandbox_queue.html", place, queue=found, problem=problem)


# Functions


def show_function(slug: str) -> ResponseReturnValue:
    """A function, with a form to call it."""
    return _function(here(slug))


def invoke(slug: str) -> ResponseReturnValue:
    """Call a function with an event, and keep the event where that is asked for."""
    place, user = here(slug), current_user()
    name, event = place.of_stack("AWS::Lambda::Function"), _text("event")
    saved = " ".join(request.form.get("save_as", "").split())[:_EVENT_NAME_LENGTH]
    try:
        if saved:
            _save_event(place, saved, event)
        result = errands.run(user.id, lambda: functions.invoke(place.account, name, event))
    except Refused as error:
        return _function(place, event=event, problem=problem_of(error)), 422
    return _function(place, event=event, result=result)


def drop_event(slug: str) -> ResponseReturnValue:
    """Keep a saved event no longer."""
    place = here(slug)
    services().practice.practice.drop_event(current_user().id, place.lab.slug, request.form.get("saved", ""))
    return redirect(url_for("sandbox.show_function", slug=slug, name=request.form.get("name", "")), 303)


def _save_event(place: Here, name: str, event: str) -> None:
    if len(event.encode()) > _SAVED_BYTES:
        raise Refused(N_("An event of more than 300 kB is not kept."))
    practice = services().practice
    try:
        practice.practice.save_event(current_user().id, place.lab.slug, name, event, services().now())
    except TooManyEvents as error:
        raise Refused(str(error)) from error


def _function(place: Here, event: str = "", result: Any = None, problem: Any = None) -> str:
    found = functions.read(place.account, place.of_stack("AWS::Lambda::Function"))
    saved = services().practice.practice.events(current_user().id, place.lab.slug)
    kind, wanted = request.args.get("event", "plain"), request.args.get("saved", "")
    kept = next((each.body for each in saved if each.name == wanted), None)
    shown = event or kept or samples.sample(kind, place.account, place.stack, place.account.now())
    return _shown(
        "sandbox_function.html",
        place,
        function=found,
        event=shown,
        kind=kind,
        wanted=wanted,
        kinds=samples.NAMES,
        saved=saved,
        result=result,
        problem=problem,
    )


# State machines


def show_machine(slug: str) -> ResponseReturnValue:
    """A state machine and its executions."""
    return _machine(here(slug))


def start_execution(slug: str) -> ResponseReturnValue:
    """Start an execution."""
    place = here(slug)
    arn, text = place.of_stack("AWS::StepFunctions::StateMachine"), _text("input")
    started: list[str] = []
    problem = attempt(lambda: started.append(machines.start(place.account, arn, text)))
    if problem is not None:
        return _machine(place, problem), 422
    if machines.read(place.account, arn).kind != "STANDARD":
        return redirect(url_for("sandbox.show_machine", slug=slug, name=arn), 303)
    return redirect(url_for("sandbox.show_execution", slug=slug, name=arn, execution=started[0]), 303)


def show_execution(slug: str) -> ResponseReturnValue:
    """An execution: each state's status in the diagram, and the history."""
    place = here(slug)
    machine = machines.read(place.account, place.of_stack("AWS::StepFunctions::StateMachine"))
    run = machines.run(place.account, _execution_of(machine.arn))
    return _shown(
        "sandbox_execution.html",
        place,
        machine=machine,
        run=run,
        diagram_of=draw(machine.definition, run.states),
    )


def stop_execution(slug: str) -> ResponseReturnValue:
    """Stop an execution."""
    place = here(slug)
    arn = place.of_stack("AWS::StepFunctions::StateMachine")
    execution = _execution_of(arn)
    machines.stop(place.account, execution)
    return redirect(url_for("sandbox.show_execution", slug=slug, name=arn, execution=execution), 303)


def _execution_of(machine: str) -> str:
    execution = request.values.get("execution", "")
    if not execution.startswith(f"{machine.replace(':stateMachine:', ':execution:')}:"):
        raise Refused(N_("This execution is not one of this state machine."))
    return execution


def _machine(place: Here, problem: Any = None) -> str:
    found = machines.read(place.account, place.of_stack("AWS::StepFunctions::StateMachine"))
    typed = request.form.get("input", "{}")
    return _shown(
        "sandbox_machine.html",
        place,
        machine=found,
        diagram_of=draw(found.definition),
        typed=typed,
        problem=problem,
    )


# Events


def show_rule(slug: str) -> ResponseReturnValue:
    """A rule, with a form to put an event on its bus."""
    return _rule(here(slug))


def show_bus(slug: str) -> ResponseReturnValue:
    """A bus, with a form to put an event on it."""
    return _rule(here(slug))


def put_event(slug: str) -> ResponseReturnValue:
    """Put an event on the bus of a rule, or on a bus of the stack."""
    place = here(slug)
    name = place.of_stack("AWS::Events::Rule", "AWS::Events::EventBus")
    resource = place.need_stack().get(name, "AWS::Events::Rule", "AWS::Events::EventBus")
    bus = buses.rule(place.account, name).bus if resource.type == "AWS::Events::Rule" else name
    form = request.form
    try:
        put = buses.put(
            place.account, bus, form.get("source", ""), form.get("detail_type", ""), _text("detail")
        )
    except Refused as error:
        return _rule(place, problem=problem_of(error)), 422
    return _rule(place, put=put)


def _rule(place: Here, put: str = "", problem: Any = None) -> str:
    name = place.of_stack("AWS::Events::Rule", "AWS::Events::EventBus")
    resource = place.need_stack().get(name, "AWS::Events::Rule", "AWS::Events::EventBus")
    rule = buses.rule(place.account, name) if resource.type == "AWS::Events::Rule" else None
    bus = rule.bus if rule is not None else name
    return _shown(
        "sandbox_rule.html",
        place,
        resource=resource,
        rule=rule,
        bus=bus,
        put=put,
        problem=problem,
        form=request.form,
    )


# APIs


def show_api(slug: str) -> ResponseReturnValue:
    """An API's routes, with a form to call it."""
    return _api(here(slug))


def call_api(slug: str) -> ResponseReturnValue:
    """Call an API of the stack. Its answer is shown as text, whatever it is."""
    place, form = here(slug), request.form
    try:
        api = next((each for each in _apis(place) if each.id == form.get("api", "")), None)
        if api is None:
            raise Refused(N_("The stack has no such API."))
        body = _text("body").encode()
        headers = _headers(form.get("headers", ""))
        answer = errands.run(
            current_user().id,
            lambda: apis.call(
                place.account, api, form.get("method", "GET"), form.get("path", "/"), headers, body
            ),
        )
    except Refused as error:
        return _api(place, problem=problem_of(error)), 422
    return _api(place, answer=answer)


def _apis(place: Here) -> list[apis.Api]:
    resource = place.need_stack().get(request.values.get("name", ""), *_APIS)
    match resource.type:
        case "AWS::ApiGateway::RestApi":
            return apis.rest_api(place.account, resource.physical_id)
        case "AWS::ApiGatewayV2::Api":
            return apis.http_api(place.account, resource.physical_id)
    return apis.function_url(place.account, resource.physical_id)


def _api(place: Here, answer: Any = None, problem: Any = None) -> str:
    return _shown(
        "sandbox_api.html",
        place,
        apis=_apis(place),
        methods=apis.METHODS,
        answer=answer,
        problem=problem,
        form=request.form,
        name=request.values.get("name", ""),
    )


def _headers(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if not colon and line.strip():
            raise Refused(N_("Write one header a line: `Name: value`."))
        if line.strip():
            found[name.strip()] = value.strip()
    return found


def _text(field: str) -> str:
    """A text as it was typed; browsers send every line end as two characters."""
    return request.form.get(field, "").replace("\r\n", "\n")


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


def _shown(template: str, place: Here, **values: Any) -> str:
    token = services().practice.token(current_user().id)
    return render_template(template, place=place, tab="resources", stream=token, **values)
