"""Hands campaign messages to the mail provider; a library remembers what was sent."""

import json
import os
import re

import boto3
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

PROVIDER = os.environ["MAIL_PROVIDER_ARN"]
PLACEHOLDER = re.compile(
    rf"{re.escape(os.environ['PLACEHOLDER_OPEN'])}(\w+){re.escape(os.environ['PLACEHOLDER_CLOSE'])}"
)

provider = boto3.client("lambda")
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
config = IdempotencyConfig(event_key_jmespath="messageKey", raise_on_no_idempotency_key=True, expires_after_seconds=86_400)
store = DynamoDBPersistenceLayer(table_name=os.environ["TABLE_NAME"], key_attr="messageKey")


def handler(event, context):
    """Dispatch every message; those that fail stay in the queue."""
    config.register_lambda_context(context)
    return process_partial_response(event, dispatch, processor, context)


def dispatch(record):
    """Send one message unless its key was sent already."""
    message = json.loads(record["body"])
    text = PLACEHOLDER.sub(lambda found: message["vars"][found[1]], message["template"])
    send(message={"messageKey": message["messageKey"], "to": message["to"], "text": text})


@idempotent_function(data_keyword_argument="message", config=config, persistence_store=store)
def send(message):
    """Call the provider."""
    answer = provider.invoke(FunctionName=PROVIDER, Payload=json.dumps(message).encode())
    if "FunctionError" in answer:
        raise RuntimeError(answer["Payload"].read().decode())
