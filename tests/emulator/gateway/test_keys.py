"""Access keys: whose they are, and that nobody can foresee them."""

from __future__ import annotations

from moto.iam.utils import random_access_key
from moto.moto_api._internal import mock_random

from sandbox.emulator.gateway.keys import KeyRing


def test_secret_keys_of_users_do_not_follow_from_ids_that_anybody_sees() -> None:
    KeyRing()

    mock_random.seed(7)
    first = random_access_key(), mock_random.get_random_string(40), mock_random.uuid4()
    mock_random.seed(7)
    second = random_access_key(), mock_random.get_random_string(40), mock_random.uuid4()

    assert not set(first) & set(second)
