"""Which requests are recorded where nobody upstream decided: X-Ray's default rule, Lambda's as well.

Source: https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-sampling
"""

from __future__ import annotations

import random
import threading

SHARE = 0.05


class Sampler:
    """The first request in each second, and 5 % of the others; for each function or stage by itself."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._lock = threading.Lock()
        self._latest: dict[str, int] = {}

    def samples(self, subject: str, now: float) -> bool:
        """Whether a request to ``subject`` at ``now`` is recorded."""
        with self._lock:
            first = self._latest.get(subject) != int(now)
            self._latest[subject] = int(now)
            return first or self._chance.random() < SHARE
