"""Hosted zones as moto keeps them, and changes of their records as Route 53 takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from moto.route53.models import FakeZone, RecordSet, Route53Backend, route53_backends

from sandbox.emulator.calls import AwsError

_ROUTED = ("Weight", "Region", "Failover", "GeoLocation", "MultiValueAnswer")


def backend(account_id: str) -> Route53Backend:
    """Route 53 of an account; it has no regions. Hold the dispatch lock."""
    return route53_backends[account_id]["aws"]


def canonical(name: str) -> str:
    """A name in lower case, with the dot at its end."""
    return name.lower().rstrip(".").replace("\\052", "*") + "."


def zone_of(account_id: str, name: str) -> FakeZone | None:
    """The account's public zone that a name lies in, the closest one."""
    wanted = canonical(name)
    found = [
        zone
        for zone in backend(account_id).zones.values()
        if not zone.private_zone and is_in(wanted, canonical(zone.name))
    ]
    return max(found, key=lambda zone: len(zone.name), default=None)


def is_in(name: str, zone_name: str) -> bool:
    """Whether a canonical name is the zone's own or lies below it."""
    return name == zone_name or name.endswith(f".{zone_name}")


def sets_at(zone: FakeZone, name: str) -> list[RecordSet]:
    """The record sets that answer for a canonical name: its own or, if there are none, a wildcard's."""
    apex = canonical(zone.name)
    if own := [each for each in zone.rrsets if canonical(each.name) == name]:
        return own
    if any(canonical(each.name).endswith(f".{name}") for each in zone.rrsets):
        return []  # It exists, because something lies below it.
    above = name
    while above != apex and "." in above.rstrip("."):
        above = above.partition(".")[2]
        if wild := [each for each in zone.rrsets if canonical(each.name) == f"*.{above}"]:
            return wild
        if any(is_in(canonical(each.name), above) for each in zone.rrsets):
            return []  # The closest name that exists has no wildcard below it.
    return []


def change(account_id: str, zone: FakeZone, changes: Sequence[Mapping[str, Any]]) -> None:
    """Make all changes of a batch, or none of them.

    Raises:
        AwsError: one of them can't be made.
    """
    known = backend(account_id).health_checks
    records = list(zone.rrsets)
    problems: list[str] = []
    for each in changes:
        given = dict(each["ResourceRecordSet"])
        _check_shape(each["Action"], given)
        given["Name"] = canonical(given["Name"])
        health_check = given.get("HealthCheckId")
        if health_check and health_check not in known and each["Action"] != "DELETE":
            raise AwsError(
                "NoSuchHealthCheck", f"No health check exists with the specified ID {health_check}"
            )
        problems += _apply(zone, records, each["Action"], given)
    if problems:
        raise AwsError("InvalidChangeBatch", f"[{', '.join(problems)}]")
    zone.rrsets = records


def _apply(zone: FakeZone, records: list[RecordSet], action: str, given: Mapping[str, Any]) -> Iterator[str]:
    wanted = RecordSet({**given, "ResourceRecords": [r["Value"] for r in given.get("ResourceRecords") or []]})
    name, kind, identifier = wanted.name, wanted.type, wanted.set_identifier
    told = f"[name='{name}', type='{kind}'" + (f", set identifier='{identifier}']" if identifier else "]")
    same = [
        each
        for each in records
        if (canonical(each.name), each.type, each.set_identifier) == (name, kind, identifier)
    ]
    apex = canonical(zone.name)
    if not is_in(name, apex):
        yield f"RRSet with DNS name {name} is not permitted in zone {apex}"
        return
    if action == "DELETE":
        if not same:
            yield f"Tried to delete resource record set {told} but it was not found"
        elif _told(same[0]) != _told(wanted):
            yield (
                f"Tried to delete resource record set {told} but the values provided do not match the"
                " current values"
            )
        else:
            records.remove(same[0])
        return
    if same and action == "CREATE":
        yield f"Tried to create resource record set {told} but it already exists"
        return
    others = [each for each in records if canonical(each.name) == name and each not in same]
    if kind == "CNAME" and name == apex:
        yield f"RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {apex}"
    elif any((each.type == "CNAME") != (kind == "CNAME") for each in others):
        yield (
            f"RRSet of type {kind} with DNS name {name} is not permitted as it conflicts with other records"
            f" with the same DNS name in zone {apex}"
        )
    elif any(each.type == kind and _policy(each) != _policy(wanted) for each in others):
        yield (
            f"RRSet with DNS name {name}, type {kind}, SetIdentifier {identifier or 'null'} cannot be created"
            " because one with another routing policy exists with the same name and type"
        )
    else:
        if same:
            records[records.index(same[0])] = wanted
        else:
            records.append(wanted)


def _told(record: RecordSet) -> tuple[Any, ...]:
    """What a deletion has to say rightly."""
    alias = record.alias_target or {}
    target = canonical(alias["DNSName"]) if alias else ""
    ttl = None if record.ttl in (None, "") else int(record.ttl)
    return sorted(record.records or []), ttl, target, record.weight, record.region, record.failover


def _policy(record: RecordSet) -> str:
    """How one of several record sets is chosen."""
    fields = {
        "weighted": record.weight is not None,
        "latency": bool(record.region),
        "failover": bool(record.failover),
        "geolocation": bool(record.geo_location),
        "multivalue": bool(record.multi_value_answer),
    }
    return next((name for name, given in fields.items() if given), "simple")


def policy(sets: Sequence[RecordSet]) -> str:
    """How one of these, of one name and type, is chosen."""
    return _policy(sets[0])


def _check_shape(action: str, given: Mapping[str, Any]) -> None:
    where = (
        f"in Change with [Action={action}, Name={given['Name']}, Type={given['Type']},"
        f" SetIdentifier={given.get('SetIdentifier') or 'null'}]"
    )
    if action not in ("CREATE", "DELETE", "UPSERT"):
        raise AwsError("InvalidInput", f"Invalid request: {action} is no action {where}")
    plain = [given.get("TTL") is not None, bool(given.get("ResourceRecords"))]
    ways = ("" if given.get("AliasTarget") is None else "alias", "plain" if any(plain) else "")
    if all(ways) or not any(ways) or any(plain) != all(plain):
        found = "more than one" if all(ways) else "none"
        raise AwsError(
            "InvalidInput",
            "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or"
            f" TrafficPolicyInstanceId], but found {found} {where}",
        )
    routed = [name for name in _ROUTED if given.get(name) is not None and given[name] is not False]
    if len(routed) > 1:
        raise AwsError(
            "InvalidInput",
            "Invalid request: Expected exactly one of [Weight, Region, Failover, GeoLocation,"
            " MultiValueAnswer, GeoProximityLocation, or CidrRoutingConfig], but found more than one"
            f" {where}",
        )
    if routed and not given.get("SetIdentifier"):
        raise AwsError("InvalidInput", f"Invalid request: Missing field 'SetIdentifier' {where}")
    if given.get("SetIdentifier") and not routed:
        raise AwsError(
            "InvalidInput",
            "Invalid request: Expected exactly one of [Weight, Region, Failover, GeoLocation,"
            f" MultiValueAnswer, GeoProximityLocation, or CidrRoutingConfig], but found none {where}",
        )
