"""Where one run's programs and notebooks are run: isolated, each notebook once and then asked."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from graders.notebooks.format import SourceNotebook, restored
from sandbox.account import Account
from sandbox.errors import BadSubmission
from sandbox.programs.notebooks import NotebookFailed, NotebookLimits, NotebookSession
from sandbox.programs.running import ProgramRun, run_program


@dataclass(slots=True)
class Workbench:
    """The submission's programs and notebooks. Close it when every check has been asked.

    ``environment`` gives the environment that notebooks run in, which may have to be installed first.
    """

    files: Mapping[str, bytes] = field(repr=False)
    account: Account
    environment: Callable[[], Path]
    limits: NotebookLimits
    _sessions: dict[str, NotebookSession] = field(default_factory=dict)
    _failed: dict[str, str] = field(default_factory=dict)

    def notebook(self, source: SourceNotebook) -> NotebookSession:
        """The learner's notebook of this name, run; the same run for every check.

        Raises:
            NotebookFailed: there is none, or it did not run to its end.
            EnvironmentFault: it could not be run here.
        """
        if source.name in self._failed:
            raise NotebookFailed(self._failed[source.name])
        if source.name not in self._sessions:
            try:
                self._sessions[source.name] = self._run(source)
            except NotebookFailed as error:
                self._failed[source.name] = str(error)
                raise
        return self._sessions[source.name]

    def _run(self, source: SourceNotebook) -> NotebookSession:
        theirs = self.files.get(source.name)
        if theirs is None:
            raise NotebookFailed(f"There is no {source.name} in what was handed in.")
        try:
            notebook = restored(source, source.name, theirs)
        except BadSubmission as error:
            raise NotebookFailed(str(error)) from error
        session = NotebookSession(
            self.environment(),
            notebook,
            self.files,
            posixpath.dirname(source.name),
            self.limits,
            self.account,
        )
        return session.__enter__()

    def run(self, program: Sequence[str], inputs: Sequence[bytes], time_s: float) -> list[ProgramRun]:
        """Run a program of the submission on each input."""
        return run_program(self.files, program, inputs, time_s=time_s)

    def close(self) -> None:
        """End what runs."""
        for session in self._sessions.values():
            session.close()
