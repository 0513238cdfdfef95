"""Operations on a whole stack: create, update and delete, and their way back when something fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.emulator.calls import AwsError
from sandbox.emulator.cloudformation import graph
from sandbox.emulator.cloudformation.errands import OutOfTime
from sandbox.emulator.cloudformation.evaluation import Evaluation, Place
from sandbox.emulator.cloudformation.failures import Failed, explain
from sandbox.emulator.cloudformation.stacks import Output, Stack, StackResource, StackStore, Target
from sandbox.emulator.cloudformation.working import Worker

_KEPT = ("Retain", "RetainExceptOnCreate")
# A resource in one of these is made anew.
_ABSENT = ("CREATE_FAILED", "DELETE_COMPLETE")


@dataclass(slots=True)
class _Journal:
    """What an update has done so far: what to undo, and what to delete when it has succeeded."""

    made: list[StackResource] = field(default_factory=list)
    kept: list[StackResource] = field(default_factory=list)
    changed: list[tuple[StackResource, Mapping[str, Any]]] = field(default_factory=list)
    replaced: list[tuple[StackResource, StackResource]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An update that has come out well, and can be undone or settled still."""

    active: Mapping[str, Any]
    journal: _Journal
    target: Target
    outputs: tuple[Output, ...]
    imports: frozenset[str]
    resources: Mapping[str, StackResource]


class StackOperation:
    """Runs one operation on one stack. The caller holds ``stack.operating``."""

    def __init__(self, store: StackStore, stack: Stack, worker: Worker) -> None:
        self._store = store
        self._stack = stack
        self._worker = worker

    def create(self, on_failure: str) -> None:
        """Make every resource of the stack's target. ``on_failure``: ROLLBACK, DELETE or DO_NOTHING."""
        stack = self._stack
        try:
            evaluation = self._evaluation(stack.target)
            needs = graph.dependencies(stack.target.processed.resources)
            for name, definition in evaluation.active().items():
                self._check_cancelled()
                self._worker.make(name, definition, needs[name], evaluation)
            self._publish(evaluation, stack.target)
        except (Failed, AwsError, OutOfTime) as error:
            self._undo_create(self._why("create", error), on_failure)
        else:
            self._enter("CREATE_COMPLETE")

    def update(self, target: Target) -> None:
        """Turn the stack into ``target``; back to what it was when that fails."""
        attempt = self.attempt(target)
        if attempt is not None:
            self.settle(attempt)

    def attempt(self, target: Target) -> Attempt | None:
        """Turn the stack into ``target``, but delete nothing yet; None if that failed and was undone."""
        stack = self._stack
        journal = _Journal()
        attempt = Attempt({}, journal, stack.target, stack.outputs, stack.imports, dict(stack.resources))
        stack.target = target
        try:
            evaluation = self._evaluation(target)
            active = evaluation.active()
            self._bring_about(active, evaluation, journal, retagged=attempt.target.tags != target.tags)
            self._publish(evaluation, target)
        except (Failed, AwsError) as error:
            reason = self._why("update", error)
            if target.disable_rollback:
                self._enter("UPDATE_FAILED", reason)
            else:
                self.undo(attempt, reason)
            return None
        self._enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        return replace(attempt, active=active)

    def settle(self, attempt: Attempt) -> None:
        """Delete what an update no longer needs."""
        self._clean_up(attempt.active, attempt.journal)
        self._enter("UPDATE_COMPLETE")

    def undo(self, attempt: Attempt, reason: str = "") -> None:
        """Take the stack back to what it was before an update."""
        stack = self._stack
        stack.target, stack.outputs, stack.imports = attempt.target, attempt.outputs, attempt.imports
        self._undo_update(reason, attempt.journal, attempt.resources)

    def continue_rollback(self, skip: frozenset[str]) -> None:
        """Take an update that could not be undone the rest of the way back."""
        for resource in [r for r in self._stack.resources.values() if r.status == "UPDATE_FAILED"]:
            if resource.logical_id in skip:
                self._stack.record(replace(resource, status="UPDATE_COMPLETE", reason=""))
                continue
            try:
                self._worker.restore(resource, from_applied=resource.applied)
            except Failed as failed:
                self._enter("UPDATE_ROLLBACK_FAILED", failed.reason)
                return
        self._enter("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        self._enter("UPDATE_ROLLBACK_COMPLETE")

    def delete(self, retain: frozenset[str]) -> None:
        """Delete every resource that is to be deleted, then the stack."""
        stuck = self._delete_all(lambda r: r.logical_id in retain or r.policy("DeletionPolicy") in _KEPT)
        if stuck:
            self._enter(
                "DELETE_FAILED", f"The following resource(s) failed to delete: [{', '.join(stuck)}]. "
            )
            return
        self._stack.outputs, self._stack.imports = (), frozenset()
        self._stack.deleted_at = self._worker.now()
        self._enter("DELETE_COMPLETE")

    def _bring_about(
        self,
        active: Mapping[str, Mapping[str, Any]],
        evaluation: Evaluation,
        journal: _Journal,
        *,
        retagged: bool,
    ) -> None:
        needs = graph.dependencies(self._stack.target.processed.resources)
        for name, definition in active.items():
            self._check_cancelled()
            old = self._stack.resources.get(name)
            if old is None or old.status in _ABSENT:
                if old is not None and old.status == "CREATE_FAILED" and old.physical_id:
                    self._worker.remove(old)
                try:
                    journal.made.append(self._worker.make(name, definition, needs[name], evaluation))
                except Failed:
                    journal.made.append(self._stack.resources[name])
                    raise
                continue
            try:
                updated = self._worker.change(old, definition, needs[name], evaluation, retagged=retagged)
            except Failed as failed:
                if failed.untouched:
                    journal.kept.append(old)
                    raise
                # How far the update came is not known, so it is undone like a finished one.
                journal.changed.append((old, failed.attempted or old.applied))
                raise
            if updated.replaced:
                journal.replaced.append((old, updated.resource))
            elif updated.touched:
                journal.changed.append((old, updated.resource.applied))

    def _publish(self, evaluation: Evaluation, target: Target) -> None:
        """Set outputs and exports.

        Raises:
            AwsError: an export's name is taken, or one that others use would change.
        """
        outputs = tuple(evaluation.outputs())
        exports = self._store.exports()
        for output in outputs:
            owner = exports.get(output.export)
            if owner is not None and owner[1] is not self._stack:
                raise AwsError(
                    "ValidationError",
                    f"Export with name {output.export} is already exported by stack {owner[1].name}",
                )
        self._refuse_moving_exports(outputs)
        self._stack.outputs, self._stack.imports = outputs, frozenset(evaluation.imports)
        self._stack.target = target

    def _refuse_moving_exports(self, outputs: tuple[Output, ...]) -> None:
        new = {output.export: output.value for output in outputs if output.export}
        for output in self._stack.outputs:
            if output.export and new.get(output.export) != output.value:
                users = self._store.importers(output.export)
                if users:
                    action = "updated" if output.export in new else "deleted"
                    raise AwsError(
                        "ValidationError",
                        f"Export {output.export} cannot be {action} as it is in use by "
                        f"{' and '.join(user.name for user in users)}",
                    )

    def _undo_create(self, reason: str, on_failure: str) -> None:
        stack = self._stack
        if on_failure == "DO_NOTHING":
            self._enter("CREATE_FAILED", reason)
            return
        deleting = on_failure == "DELETE"
        self._enter(
            "DELETE_IN_PROGRESS" if deleting else "ROLLBACK_IN_PROGRESS",
            f"{reason} {'Delete' if deleting else 'Rollback'} requested by user.",
        )
        stuck = self._delete_all(lambda resource: resource.policy("DeletionPolicy") == "Retain")
        stack.outputs, stack.imports = (), frozenset()
        if stuck:
            self._enter(
                "DELETE_FAILED" if deleting else "ROLLBACK_FAILED",
                _undeleted(stuck),
            )
        elif deleting:
            stack.deleted_at = self._worker.now()
            self._enter("DELETE_COMPLETE")
        else:
            self._enter("ROLLBACK_COMPLETE")

    def _undo_update(self, reason: str, journal: _Journal, before: Mapping[str, StackResource]) -> None:
        stack = self._stack
        self._enter("UPDATE_ROLLBACK_IN_PROGRESS", reason)
        stuck: list[str] = []
        for old, applied in reversed(journal.changed):
            try:
                self._worker.restore(old, from_applied=applied)
            except Failed:
                stuck.append(old.logical_id)
        for old in (*(old for old, _new in reversed(journal.replaced)), *journal.kept):
            stack.record(replace(old, status="UPDATE_COMPLETE", updated_at=self._worker.now(), reason=""))
        if stuck:
            self._enter(
                "UPDATE_ROLLBACK_FAILED",
                f"The following resource(s) failed to update: [{', '.join(stuck)}]. ",
            )
            return
        self._enter("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        for made in reversed(journal.made):
            self._removed(made, current=True)
            if made.logical_id not in before:
                stack.resources.pop(made.logical_id, None)
        for _old, new in reversed(journal.replaced):
            self._removed(new, current=False)
        self._enter("UPDATE_ROLLBACK_COMPLETE")

    def _clean_up(self, active: Mapping[str, Any], journal: _Journal) -> None:
        """After an update: what is no longer in the template, and what was replaced, goes."""
        gone = {name: r for name, r in self._stack.resources.items() if name not in active}
        for name in reversed(graph.ordered(_among(gone))):
            retained = gone[name].policy("DeletionPolicy") in _KEPT
            self._removed(gone[name], current=True, skipped=retained)
            self._stack.resources.pop(name, None)
        for old, _new in reversed(journal.replaced):
            retained = old.policy("UpdateReplacePolicy") in _KEPT
            self._removed(old, current=False, skipped=retained)
        for old, _applied in journal.changed:
            self._worker.settle(old)

    def _removed(self, resource: StackResource, *, current: bool, skipped: bool = False) -> None:
        """Remove what the stack no longer wants; that it can't be is told, and changes nothing more."""
        try:
            self._worker.remove(resource, current=current, skipped=skipped)
        except Failed:
            return

    def _delete_all(self, keep: Callable[[StackResource], bool]) -> list[str]:
        """Delete resources, dependents first; returns those that could not be deleted."""
        left = {
            name: resource
            for name, resource in self._stack.resources.items()
            if resource.status not in ("DELETE_COMPLETE", "DELETE_SKIPPED")
        }
        stuck: list[str] = []
        needed: set[str] = set()
        for name in reversed(graph.ordered(_among(left))):
            resource = left[name]
            if name in needed:
                needed |= resource.needs
                continue
            try:
                self._worker.remove(resource, skipped=keep(resource))
            except Failed:
                stuck.append(name)
                needed |= resource.needs
        return stuck

    def _evaluation(self, target: Target) -> Evaluation:
        stack = self._stack
        return Evaluation(
            Place(stack.name, stack.id, stack.account_id, stack.region),
            target,
            resources=stack.resources,
            exported=self._store.exported,
        )

    def _check_cancelled(self) -> None:
        if self._stack.cancelled:
            self._stack.cancelled = False
            raise Failed("Resource update cancelled")
        if self._worker.overdue:
            raise OutOfTime

    def _why(self, verb: str, error: Exception) -> str:
        """The stack's reason: which resources failed, or what failed besides them."""
        if verb == "create" and self._worker.overdue:
            return "Stack creation time exceeded the specified timeout."
        told = []
        for each in ("create", "update") if verb == "update" else (verb,):
            failed = [
                r.logical_id for r in self._stack.resources.values() if r.status == f"{each.upper()}_FAILED"
            ]
            if failed:
                told.append(f"The following resource(s) failed to {each}: [{', '.join(failed)}].")
        return " ".join(told) or explain(error, "AWS::CloudFormation::Stack").reason

    def _enter(self, status: str, reason: str = "") -> None:
        self._stack.enter(status, self._worker.now(), reason)


def _among(resources: Mapping[str, StackResource]) -> dict[str, frozenset[str]]:
    return {name: resource.needs & resources.keys() for name, resource in resources.items()}


def _undeleted(names: list[str]) -> str:
    return f"The following resource(s) failed to delete: [{', '.join(names)}]. "
