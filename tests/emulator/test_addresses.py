"""AWS addresses of a stack's outputs, as ones that answer here."""

from __future__ import annotations

import pytest

from sandbox.emulator.addresses import local


@pytest.mark.parametrize(
    ("address", "here"),
    [
        (
            "https://a1b2c3.execute-api.eu-north-1.amazonaws.com/Prod/hello/?a=1",
            "http://127.0.0.1:4566/_aws/execute-api/a1b2c3/Prod/hello/?a=1",
        ),
        (
            "https://xyz.lambda-url.us-east-1.on.aws/",
            "http://127.0.0.1:4566/_aws/lambda-url/xyz/",
        ),
        ("https://shop.s3.eu-north-1.amazonaws.com/a%20b", "http://127.0.0.1:4566/shop/a%20b"),
        ("https://shop.s3.amazonaws.com/a", "http://127.0.0.1:4566/shop/a"),
        ("https://sqs.us-east-1.amazonaws.com/111122223333/q", "http://127.0.0.1:4566/111122223333/q"),
    ],
)
def test_an_aws_address_becomes_a_local_one(address: str, here: str) -> None:
    assert local(address, 4566) == here


def test_another_address_stays_what_it_is() -> None:
    assert local("https://example.com/execute-api", 4566) == "https://example.com/execute-api"
