"""One id through all hops: does every line carry the one of the request that it is about?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from graders.observability.lines import LogLine


@dataclass(frozen=True, slots=True)
class Correlation:
    """What is known: the correlation id of each subject, say of each return by its id.

    ``subject`` and ``field`` are the names of the fields that hold the two.
    """

    truth: Mapping[str, str]
    subject: str
    field: str = "correlationId"

    def wrong(self, lines: Sequence[LogLine]) -> Iterator[tuple[LogLine, str]]:
        """The lines that carry another id than the one they should, and what is wrong with each.

        A line that names no subject has to carry the id of one that its invocation was about.
        """
        about: dict[tuple[str, str], set[str]] = {}
        for line in lines:
            if (named := self._named(line)) is not None:
                about.setdefault((line.function, line.request_id), set()).add(named)
        for line in lines:
            told, named = line.get(self.field), self._named(line)
            right = {named} if named is not None else about.get((line.function, line.request_id))
            if told is None:
                yield line, f"has no `{self.field}`"
            elif told not in (right or set(self.truth.values())):
                expected = " or ".join(sorted(right or ())) or "one of ours"
                yield line, f"has `{self.field}` {told}, expected {expected}"

    def silent(self, lines: Sequence[LogLine], function: str) -> list[str]:
        """The subjects that a function wrote nothing about under their id."""
        heard = {line.get(self.field) for line in lines if line.function == function}
        return [subject for subject, told in self.truth.items() if told not in heard]

    def _named(self, line: LogLine) -> str | None:
        """The id that the subject of a line has; None where it names none of ours."""
        subject = line.get(self.subject)
        return self.truth.get(subject) if isinstance(subject, str) else None
