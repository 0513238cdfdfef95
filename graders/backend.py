"""What grading needs of the world: accounts, and stacks deployed into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from sandbox.account import Account
from sandbox.errors import EnvironmentFault
from sandbox.submissions import Submission


class Backend(Protocol):
    """Opens accounts and deploys submissions to them."""

    def open(self) -> Account:
        """A new, empty account.

        Raises:
            EnvironmentFault: none is to be had.
        """

    def build(self, submission: Submission) -> Any:
        """Build a submission once; the artefact is only handed on to :meth:`deploy`.

        Raises:
            BadSubmission: the files can't be used; says which and why.
            EnvironmentFault: our build machinery broke.
        """

    def deploy(self, account: Account, artefact: Any, stack_name: str, parameters: Mapping[str, str]) -> None:
        """Create or update a stack and wait for it. Deploying what is there already changes nothing.

        Raises:
            DeploymentFailed: CloudFormation refused it or rolled back.
            BadSubmission: the template can't be packaged.
            EnvironmentFault: our machinery broke.
        """

    def delete(self, account: Account, stack_name: str) -> None:
        """Delete a stack and wait.

        Raises:
            DeploymentFailed: something could not be deleted.
        """


@contextmanager
def open_backend(provider: str) -> Iterator[Backend]:
    """The backend of a provider (``emulated`` or ``aws``), closed at the end with all it started.

    Raises:
        EnvironmentFault: this provider is not to be had here.
    """
    raise EnvironmentFault(f"The provider `{provider}` is not available here.")
    yield
