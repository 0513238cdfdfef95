"""Run with `python -m pytest` in the folder of the template."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).parents[1]
sys.path.insert(0, str(HERE / "src"))

import app  # noqa: E402  (the handler lies in src, as on Lambda)

CONTEXT = SimpleNamespace(aws_request_id="r-1")


def call(name, **changed):
    event = json.loads((HERE / "events" / f"{name}.json").read_text("utf-8"))
    return app.handler({**event, **changed}, CONTEXT)


def test_a_parcel_has_the_price_of_its_tier():
    assert call("one-parcel")["price"] == "4.90"
