"""The secret that events are signed with: read when it is needed, and again when it is old."""

import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

client = boto3.client(
    "secretsmanager", config=Config(connect_timeout=2, read_timeout=2, retries={"max_attempts": 1})
)


class SecretUnavailable(Exception):
    """The secret can't be read now."""


class SigningSecret:
    """One secret, kept for at most ``max_age_s`` seconds."""

    def __init__(self, arn, max_age_s):
        self.arn = arn
        self.max_age_s = max_age_s
        self.held = None
        self.read_at = 0.0

    def value(self):
        """The secret as bytes."""
        now = time.monotonic()
        if self.held is None or now - self.read_at >= self.max_age_s:
            self.held = None
            self.held = self.read()
            self.read_at = now
        return self.held

    def read(self):
        """Ask Secrets Manager."""
        try:
            return client.get_secret_value(SecretId=self.arn)["SecretString"].encode()
        except (ClientError, BotoCoreError) as error:
            raise SecretUnavailable(type(error).__name__) from error
