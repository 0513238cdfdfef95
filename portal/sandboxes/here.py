"""Where a request about a practice account is: the lab, the learner's own account, the lab's stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from curriculum.loader import Lab
from portal import errors
from portal.languages import N_
from portal.sandboxes.deployer import stack_of
from portal.services import services
from portal.users.session import current_user
from records.errors import Deploying, NoRoom
from sandbox.console.refusals import Refused
from sandbox.console.stacks import Stack, find_stack
from sandbox.errors import EnvironmentFault
from sandbox.providers.emulated import EmulatedAccount


class NoAccount(Exception):
    """The learner has no practice account that runs."""


@dataclass
class Here:
    """Nothing in an address names an account: it is always the one of who is signed in."""

    lab: Lab
    account: EmulatedAccount

    @cached_property
    def stack(self) -> Stack | None:
        """The lab's stack, if it was deployed."""
        return find_stack(self.account, stack_of(self.lab.slug))

    def need_stack(self) -> Stack:
        """The lab's stack.

        Raises:
            Refused: it is not deployed.
        """
        if self.stack is None:
            raise Refused(N_("Nothing is deployed yet."))
        return self.stack

    def of_stack(self, *types: str) -> str:
        """The physical id that the address names, when it is one of the stack's of these types.

        Raises:
            Refused: the stack has no such resource.
        """
        return self.need_stack().get(request.values.get("name", ""), *types).physical_id


def here(slug: str) -> Here:
    """The lab and the learner's account.

    Raises:
        NoAccount: none runs.
    """
    lab = services().catalogue().get_lab(slug)
    account = services().practice.accounts.find(current_user().id)
    if account is None:
        raise NoAccount
    return Here(lab, account)


def attempt(action: Callable[[], object]) -> dict[str, str] | None:
    """What AWS said against an action, as a problem to show; None when it was done."""
    try:
        action()
    except Refused as error:
        return problem_of(error)
    return None


def typed_text(field: str) -> str:
    """A text as it was typed; browsers send every line end as two characters."""
    return request.form.get(field, "").replace("\r\n", "\n")


def shown(template: str, place: Here, tab: str, **values: Any) -> str:
    """A page about the account, under a tab, that hears of changes."""
    token = services().practice.token(current_user().id)
    return render_template(template, place=place, tab=tab, stream=token, **values)


def problem_of(error: Refused) -> dict[str, str]:
    """A refusal as a page shows it."""
    return {"message": str(error), "where": error.code, "what_to_do": ""}


def without_account(error: NoAccount) -> ResponseReturnValue:
    """To the page that opens one."""
    return redirect(url_for("sandbox.show", slug=(request.view_args or {})["slug"]), 303)


def refused(error: Refused) -> ResponseReturnValue:
    """What AWS said."""
    return errors.answer(422, str(error), where=error.code)


def no_room(error: NoRoom) -> ResponseReturnValue:
    """All are in use."""
    return errors.answer(
        503,
        N_("All practice accounts of this installation are in use."),
        what_to_do=N_("One becomes free when somebody ends theirs, or has not used it for a while."),
    )


def deploying(error: Deploying) -> ResponseReturnValue:
    """One at a time."""
    return errors.answer(
        409, N_("Another deployment is under way."), what_to_do=N_("Deploy again when it has ended.")
    )


def broken(error: EnvironmentFault) -> ResponseReturnValue:
    """Our fault."""
    return errors.answer(
        503, str(error), what_to_do=N_("The fault is ours. Try again, or reset the account.")
    )


HANDLERS: Mapping[type[Exception], Callable[[Any], ResponseReturnValue]] = {
    NoAccount: without_account,
    Refused: refused,
    NoRoom: no_room,
    Deploying: deploying,
    EnvironmentFault: broken,
}
