"""Run with `python -m pytest` in the folder of the template."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

HERE = Path(__file__).parents[1]
sys.path.insert(0, str(HERE / "src"))

import app  # noqa: E402  (the handler lies in src, as on Lambda)

CONTEXT = SimpleNamespace(aws_request_id="r-1")


def call(name, **changed):
    event = json.loads((HERE / "events" / f"{name}.json").read_text("utf-8"))
    return app.handler({**event, **changed}, CONTEXT)


def test_a_parcel_has_the_price_of_its_tier():
    assert call("one-parcel")["price"] == "4.90"


def test_the_discount_is_taken_off_and_rounded_once():
    assert call("two-parcels-discount")["price"] == "15.20"


def test_the_tariff_is_that_of_the_carriers_day():
    assert call("one-parcel", pickupAt="2031-03-30T23:30:00-05:00")["price"] == "5.30"


def test_a_tier_ends_with_its_edge():
    assert call("one-parcel", parcels=[{"weightKg": 5}])["price"] == "4.90"


@pytest.mark.parametrize("weight", [0, -1, "2.5", None])
def test_a_weight_that_is_no_weight_is_rejected(weight):
    assert call("one-parcel", parcels=[{"weightKg": weight}])["error"]["code"] == "INVALID_WEIGHT"


def test_an_unknown_zone_is_an_answer():
    assert call("unknown-zone")["error"]["code"] == "UNKNOWN_ZONE"


def test_the_log_line_has_no_address(capsys):
    call("one-parcel")
    line = json.loads(capsys.readouterr().out)
    assert (line["requestId"], line["quoteId"], line["outcome"]) == ("r-1", "Q-1", "ok")
    assert "mari.lepik" not in json.dumps(line)
