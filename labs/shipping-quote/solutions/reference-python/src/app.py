"""Prices a basket of parcels from the tariff that ships with the code."""

import json
import time
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

TARIFF = json.loads(Path(__file__).with_name("tariff.json").read_text("utf-8"))
TIME_ZONE = ZoneInfo(TARIFF["timeZone"])
UNIT = Decimal(TARIFF["roundingUnit"])
VERSIONS = [(date.fromisoformat(version["from"]), version["zones"]) for version in TARIFF["tariffs"]]

REQUIRED = ("quoteId", "customerId", "customerEmail", "zone", "pickupAt", "parcels")


class Rejected(Exception):
    """The request can't be priced, and the caller can repair it."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def handler(event, context):
    """Answer with a price, or with what is wrong with the request."""
    started = time.perf_counter()
    outcome = "ERROR"
    try:
        answer = quote(event)
        outcome = "ok"
    except Rejected as error:
        outcome = error.code
        answer = {"ok": False, "error": {"code": error.code, "message": str(error)}}
    finally:
        line = {
            "requestId": context.aws_request_id,
            "quoteId": event.get("quoteId"),
            "outcome": outcome,
            "durationMs": round((time.perf_counter() - started) * 1000, 3),
        }
        print(json.dumps(line))
    return answer


def quote(request):
    """The answer to a good request; raises Rejected for any other."""
    missing = [name for name in REQUIRED if request.get(name) is None]
    if missing:
        raise Rejected("MISSING_FIELD", f"{', '.join(missing)}: required.")
    if not request["parcels"]:
        raise Rejected("EMPTY_BASKET", "parcels: at least one is required.")
    zones = zones_on(pickup_day(request["pickupAt"]))
    if request["zone"] not in zones:
        raise Rejected("UNKNOWN_ZONE", f"zone: {request['zone']} is not in the tariff.")
    tiers = zones[request["zone"]]
    breakdown = [
        {"weightKg": parcel["weightKg"], "amount": amount(tiers, parcel["weightKg"])}
        for parcel in request["parcels"]
    ]
    percent = Decimal(TARIFF["discounts"].get(request["customerId"], "0"))
    total = sum(Decimal(item["amount"]) for item in breakdown) * (100 - percent) / 100
    return {
        "ok": True,
        "quoteId": request["quoteId"],
        "price": f"{to_unit(total):.2f}",
        "currency": TARIFF["currency"],
        "breakdown": breakdown,
    }


def pickup_day(pickup_at):
    """The carrier's calendar day at a moment, whatever offset the caller writes it with."""
    try:
        moment = datetime.fromisoformat(pickup_at)
    except (TypeError, ValueError):
        raise Rejected("INVALID_PICKUP", "pickupAt: not an ISO 8601 time.") from None
    if moment.tzinfo is None:
        raise Rejected("INVALID_PICKUP", "pickupAt: has no offset.")
    return moment.astimezone(TIME_ZONE).date()


def zones_on(day):
    """The zones of the tariff that is valid on a day."""
    valid = [zones for start, zones in VERSIONS if start <= day]
    if not valid:
        raise Rejected("INVALID_PICKUP", f"pickupAt: there is no tariff for {day}.")
    return valid[-1]


def amount(tiers, weight):
    """The price of the first tier that holds a weight."""
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or weight <= 0:
        raise Rejected("INVALID_WEIGHT", f"weightKg: {weight!r} is not a number above 0.")
    for tier in tiers:
        if weight <= tier["upToKg"]:
            return tier["price"]
    raise Rejected("PARCEL_TOO_HEAVY", f"weightKg: {weight} is above the last tier.")


def to_unit(value):
    """The multiple of the rounding unit nearest to a value, halves up."""
    return (value / UNIT).quantize(Decimal(1), ROUND_HALF_UP) * UNIT
