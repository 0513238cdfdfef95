"""What the stack does: functions, state machines and rules are looked at and set going."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal.languages import N_
from portal.sandboxes import events as samples
from portal.sandboxes.diagrams import draw
from portal.sandboxes.errands import errands
from portal.sandboxes.here import Here, attempt, here, problem_of, shown, typed_text
from portal.services import services
from portal.users.session import current_user
from records.errors import TooManyEvents
from sandbox.console import buses, functions, machines
from sandbox.console.refusals import Refused

_EVENT_NAME_LENGTH = 80
_SAVED_BYTES = 300_000


def register(bp: Blueprint) -> None:
    """The routes."""
    bp.get("/function")(show_function)
    bp.get("/machine")(show_machine)
    bp.get("/execution")(show_execution)
    bp.get("/rule")(show_rule)
    bp.get("/bus")(show_bus)
    for path, act in (
        ("/function/invoke", invoke),
        ("/function/events/drop", drop_event),
        ("/machine/start", start_execution),
        ("/execution/stop", stop_execution),
        ("/bus/put", put_event),
    ):
        bp.post(path)(act)


# Functions


def show_function(slug: str) -> ResponseReturnValue:
    """A function, with a form to call it."""
    return _function(here(slug))


def invoke(slug: str) -> ResponseReturnValue:
    """Call a function with an event, and keep the event where that is asked for."""
    place, user = here(slug), current_user()
    name, event = place.of_stack("AWS::Lambda::Function"), typed_text("event")
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
    filled = event or kept or samples.sample(kind, place.account, place.stack, place.account.now())
    return shown(
        "sandbox_function.html",
        place,
        "resources",
        function=found,
        event=filled,
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
    arn, text = place.of_stack("AWS::StepFunctions::StateMachine"), typed_text("input")
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
    return shown(
        "sandbox_execution.html",
        place,
        "resources",
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
    return shown(
        "sandbox_machine.html",
        place,
        "resources",
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
            place.account, bus, form.get("source", ""), form.get("detail_type", ""), typed_text("detail")
        )
    except Refused as error:
        return _rule(place, problem=problem_of(error)), 422
    return _rule(place, put=put)


def _rule(place: Here, put: str = "", problem: Any = None) -> str:
    name = place.of_stack("AWS::Events::Rule", "AWS::Events::EventBus")
    resource = place.need_stack().get(name, "AWS::Events::Rule", "AWS::Events::EventBus")
    rule = buses.rule(place.account, name) if resource.type == "AWS::Events::Rule" else None
    bus = rule.bus if rule is not None else name
    return shown(
        "sandbox_rule.html",
        place,
        "resources",
        resource=resource,
        rule=rule,
        bus=bus,
        put=put,
        problem=problem,
        form=request.form,
    )
