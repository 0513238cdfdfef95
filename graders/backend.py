"""What grading needs of the world: accounts, and stacks deployed into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sandbox import builds, deployment
from sandbox.account import Account
from sandbox.deployment import Deployment
from sandbox.errors import EnvironmentFault
from sandbox.isolation.spec import IsolationLevel
from sandbox.runtimes.prepared_notebooks import prepare_notebook_environment
from sandbox.submissions import Submission
from settings import Settings

Tell = Callable[[str], None]


class Backend(Protocol):
    """Opens accounts and deploys submissions to them."""

    def open(self) -> Account:
        """A new, empty account.

        Raises:
            EnvironmentFault: none is to be had.
        """

    def build(self, account: Account, submission: Submission, *, registries: bool, tell: Tell) -> Any:
        """Build a submission once; the package is only handed on to :meth:`deploy`.

        ``registries`` is whether packages may be fetched; ``tell`` hears what is being built.

        Raises:
            BadSubmission: the files can't be used; says which and why.
            EnvironmentFault: our build machinery broke.
        """

    def deploy(
        self, account: Account, package: Any, stack_name: str, parameters: Mapping[str, str]
    ) -> Deployment:
        """Create or update a stack and wait for it. Deploying what is there already changes nothing.

        Raises:
            DeploymentFailed: CloudFormation refused it or rolled back.
            EnvironmentFault: the cause is something we do not emulate, or the account broke.
        """

    def delete(self, account: Account, stack_name: str) -> None:
        """Delete a stack and wait.

        Raises:
            DeploymentFailed: something could not be deleted.
        """

    def notebook_environment(self) -> Path:
        """The environment that notebooks run in, installed now if it was not needed before.

        Raises:
            EnvironmentFault: it can't be installed.
        """


@dataclass(frozen=True, slots=True)
class SandboxBackend:
    """Accounts of a provider, with submissions built and deployed as `sam` does.

    ``cache`` keeps builds; ``home`` is where the environment of notebooks is installed.
    """

    open_account: Callable[[], Account]
    cache: Path
    home: Path

    def open(self) -> Account:
        """A new account of the provider."""
        return self.open_account()

    def build(
        self, account: Account, submission: Submission, *, registries: bool, tell: Tell
    ) -> builds.Package:
        """Build for the runtimes that this account has."""
        return builds.build(
            submission, self.cache, runtimes=account.runtimes, registries=registries, tell=tell
        )

    def deploy(
        self, account: Account, package: builds.Package, stack_name: str, parameters: Mapping[str, str]
    ) -> Deployment:
        """Deploy by a change set."""
        return deployment.deploy(account, package, stack_name=stack_name, parameters=parameters)

    def delete(self, account: Account, stack_name: str) -> None:
        """Delete the stack and wait until it is gone."""
        deployment.delete(account, stack_name)

    def notebook_environment(self) -> Path:
        """That of ``requirements-notebooks.lock``."""
        return prepare_notebook_environment(self.home)


@contextmanager
def open_backend(provider: str, *, strangers: bool = False) -> Iterator[Backend]:
    """The backend of a provider (``emulated`` or ``aws``), closed at the end with all it started.

    ``strangers`` is for a server that grades other people's code: isolation below level 3 is refused.

    Raises:
        EnvironmentFault: this provider is not to be had here.
    """
    if provider != "emulated":
        raise EnvironmentFault(f"The provider `{provider}` is not available here. There is: emulated.")
    from sandbox.providers.emulated import EmulatedProvider
    from sandbox.supervisor.client import Wanted

    settings = Settings()
    wanted = Wanted.named(settings.isolation)
    if strangers and wanted.minimum < IsolationLevel.NAMESPACES:
        raise EnvironmentFault(
            f"COLDSTART_ISOLATION is `{settings.isolation}`, and a server grades other people's code"
            " at level 3 or above only. `coldstart doctor` says what is missing here."
        )
    with EmulatedProvider(settings.home, wanted) as accounts:
        yield SandboxBackend(accounts.open, settings.home / "builds", settings.home)
