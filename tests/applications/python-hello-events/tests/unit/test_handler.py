import json
from pathlib import Path

from hello_world import app

EVENT = Path(__file__).parents[2] / "events" / "event.json"


class Context:
    aws_request_id = "1"


def test_lambda_handler(monkeypatch):
    monkeypatch.setenv("GREETING", "hello")
    monkeypatch.setenv("ALLOWED_ORIGIN", "*")

    answer = app.lambda_handler(json.loads(EVENT.read_text()), Context())

    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["message"] == "hello ada"
