"""What a name answers: the record sets of the account's zones, by routing policy and health.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-record-sets.html
"""

from __future__ import annotations

import hashlib
import math
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from moto.route53.models import FakeZone, RecordSet

from sandbox.emulator.fabric.route53.zones import canonical, policy, sets_at, zone_of

# What an alias to one of AWS's names has; a negative answer is kept for so long (the zone's SOA).
ALIAS_TTL_S, NEGATIVE_TTL_S = 60, 900
_CHAIN_LIMIT = 8
_MULTIVALUE_LIMIT = 8
_KEPT_LIMIT = 4096
# Roughly where regions are, in degrees: what is near stands for what answers fast.
_PLACES = {
    "af-south-1": (-33.9, 18.4),
    "ap-east-1": (22.3, 114.2),
    "ap-northeast-1": (35.7, 139.7),
    "ap-northeast-2": (37.6, 127.0),
    "ap-northeast-3": (34.7, 135.5),
    "ap-south-1": (19.1, 72.9),
    "ap-southeast-1": (1.4, 103.8),
    "ap-southeast-2": (-33.9, 151.2),
    "ca-central-1": (45.5, -73.6),
    "eu-central-1": (50.1, 8.7),
    "eu-central-2": (47.4, 8.5),
    "eu-north-1": (59.3, 18.1),
    "eu-south-1": (45.5, 9.2),
    "eu-south-2": (41.6, -0.9),
    "eu-west-1": (53.3, -6.3),
    "eu-west-2": (51.5, -0.1),
    "eu-west-3": (48.9, 2.4),
    "me-central-1": (24.5, 54.4),
    "me-south-1": (26.1, 50.6),
    "sa-east-1": (-23.6, -46.6),
    "us-east-1": (38.9, -77.4),
    "us-east-2": (40.0, -83.0),
    "us-west-1": (37.4, -122.0),
    "us-west-2": (45.8, -119.7),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name server said. ``endpoint`` is the last name of the chain: where a client ends up."""

    code: str
    values: tuple[str, ...] = ()
    ttl_s: int = NEGATIVE_TTL_S
    endpoint: str = ""


class Answering:
    """Answers for an account's zones. ``healthy`` tells of a health check by its id."""

    def __init__(self, account_id: str, region: str, healthy: Callable[[str], bool]) -> None:
        self._account_id = account_id
        self._region = region
        self._healthy = healthy
        self._random = random.Random(f"route53:{account_id}")
        self._lock = threading.Lock()

    def answer(self, name: str, kind: str = "A", *, near: str = "") -> Answer:
        """What a client near a region (the account's, unless told) is answered. Hold the dispatch lock."""
        return self._answer(canonical(name), kind, near or self._region, _CHAIN_LIMIT)

    def _answer(self, name: str, kind: str, near: str, left: int) -> Answer:
        zone = zone_of(self._account_id, name)
        if zone is None:
            return Answer("REFUSED")
        if left == 0:
            return Answer("SERVFAIL")
        at = sets_at(zone, name)
        if not at:
            below = any(canonical(each.name).endswith(f".{name}") for each in zone.rrsets)
            apex = name == canonical(zone.name)
            return Answer("NOERROR" if below or apex else "NXDOMAIN")
        of_kind = [each for each in at if each.type == kind]
        linked = [each for each in at if each.type == "CNAME"]
        chosen = self._choose(zone, of_kind or linked, near)
        if not chosen:
            return Answer("NOERROR")
        first = chosen[0]
        if first.alias_target:
            return self._alias(str(first.alias_target["DNSName"]), kind, near, left)
        ttl_s = int(first.ttl or 0)
        if first.type == "CNAME" and kind != "CNAME":
            target = canonical(str(first.records[0]))
            onward = self._answer(target, kind, near, left - 1)
            known = onward.code != "REFUSED"
            endpoint = onward.endpoint if known else target
            code = onward.code if known else "NOERROR"
            return Answer(
                code, (str(first.records[0]),), min(ttl_s, onward.ttl_s if known else ttl_s), endpoint
            )
        values = tuple(str(value) for each in chosen for value in each.records)
        return Answer("NOERROR", values, ttl_s, name)

    def _alias(self, target: str, kind: str, near: str, left: int) -> Answer:
        onward = self._answer(canonical(target), kind, near, left - 1)
        if onward.code != "REFUSED":
            return onward
        values = (address_of(target),) if kind == "A" else ()
        return Answer("NOERROR", values, ALIAS_TTL_S, canonical(target))

    def _choose(self, zone: FakeZone, sets: Sequence[RecordSet], near: str) -> list[RecordSet]:
        if not sets:
            return []
        how = policy(sets)
        well = [each for each in sets if self._is_well(zone, each, near, _CHAIN_LIMIT)]
        if how == "simple":
            return list(sets)
        if how == "failover":
            return self._failover(sets, well)
        # When none is healthy, Route 53 answers as if all were.
        able = well or list(sets)
        if how == "multivalue":
            with self._lock:
                return self._random.sample(able, min(len(able), _MULTIVALUE_LIMIT))
        if how == "latency":
            return [min(able, key=lambda each: _distance(near, str(each.region)))]
        if how == "weighted":
            return [self._weighted(sets, well)]
        return [each for each in able if (each.geo_location or {}).get("CountryCode") == "*"][:1]

    def _failover(self, sets: Sequence[RecordSet], well: Sequence[RecordSet]) -> list[RecordSet]:
        """The primary while it is healthy, then the secondary; the primary when neither is."""
        ranked = sorted(sets, key=lambda each: str(each.failover) != "PRIMARY")
        if ranked[0].failover != "PRIMARY":
            return ranked[:1] if ranked[0] in well else []
        return [each for each in ranked if each in well][:1] or ranked[:1]

    def _weighted(self, sets: Sequence[RecordSet], well: Sequence[RecordSet]) -> RecordSet:
        """By weight among the healthy; those of weight zero come in when no other is healthy."""
        heavy = [each for each in sets if int(each.weight or 0) > 0]
        able = [each for each in heavy if each in well] or list(well) or heavy or list(sets)
        weights = [int(each.weight or 0) for each in able]
        with self._lock:
            return self._random.choices(able, weights if any(weights) else None)[0]

    def _is_well(self, zone: FakeZone, record: RecordSet, near: str, left: int) -> bool:
        if record.health_check_id and not self._healthy(str(record.health_check_id)):
            return False
        alias = record.alias_target
        if not alias or str(alias.get("EvaluateTargetHealth")).lower() != "true" or left == 0:
            return True
        target = canonical(str(alias["DNSName"]))
        if zone_of(self._account_id, target) is None:
            return True  # An API's own name has no health that Route 53 would know of.
        behind = [each for each in sets_at(zone, target) if each.type == record.type]
        return any(self._is_well(zone, each, near, left - 1) for each in behind)


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: Answer
    until: float


class Remembering:
    """Resolvers of clients: each keeps an answer as long as its time to live says. Safe across threads."""

    def __init__(self, ask: Callable[[str], Answer], now: Callable[[], float]) -> None:
        self._ask = ask
        self._now = now
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], _Kept] = {}

    def answer(self, name: str, client: str = "") -> Answer:
        """What ``client`` takes a name for; one without a name asks anew each time."""
        if not client:
            return self._ask(name)
        key, now = (client, canonical(name)), self._now()
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and now < kept.until:
            return replace(kept.answer, ttl_s=math.ceil(kept.until - now))
        said = self._ask(name)
        with self._lock:
            if len(self._kept) >= _KEPT_LIMIT:
                self._kept = {each: kept for each, kept in self._kept.items() if now < kept.until}
            if len(self._kept) >= _KEPT_LIMIT:
                self._kept.clear()  # Somebody makes up names.
            self._kept[key] = _Kept(said, now + said.ttl_s)
        return said


def address_of(name: str) -> str:
    """An address of documentation's range for one of AWS's names, always the same."""
    return f"198.51.100.{1 + hashlib.sha256(canonical(name).encode()).digest()[0] % 254}"


def _distance(one: str, other: str) -> float:
    """How far two regions are apart, as an angle; a region that nobody knows is far away."""
    if one == other:
        return -1.0
    if one not in _PLACES or other not in _PLACES:
        return math.pi
    (lat, lon), (to_lat, to_lon) = (map(math.radians, _PLACES[each]) for each in (one, other))
    cosine = math.sin(lat) * math.sin(to_lat) + math.cos(lat) * math.cos(to_lat) * math.cos(lon - to_lon)
    return math.acos(max(-1.0, min(1.0, cosine)))
