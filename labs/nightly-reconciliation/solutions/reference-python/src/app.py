"""Compares a business day's payment files with the payments table, and reports what differs."""

import datetime as dt
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from zoneinfo import ZoneInfo

import boto3
from botocore.config import Config

LEDGER = os.environ["LEDGER_BUCKET"]
REPORTS = os.environ["REPORTS_BUCKET"]
TABLE = os.environ["TABLE_NAME"]
NAMESPACE = os.environ["METRICS_NAMESPACE"]
CURRENCY = os.environ["CURRENCY"]
ZONE = ZoneInfo(os.environ["TIME_ZONE"])
DAY_START = dt.time.fromisoformat(os.environ["DAY_START"])
DAY = dt.timedelta(days=1)
READERS = 8

s3 = boto3.client("s3", config=Config(max_pool_connections=READERS))
dynamodb = boto3.client("dynamodb")
events = boto3.client("events")


def handler(event, context):
    """Reconcile the last business day that was over at the scheduled time."""
    day = business_day(dt.datetime.fromisoformat(event["scheduledTime"]))
    start, end = beginning(day), beginning(day + DAY)
    ledger, table = ledger_of(start, end), table_of(start, end)
    save(day, report(day, ledger, table))
    succeeded()


def business_day(scheduled):
    """The last business day that was over at a moment."""
    local = scheduled.astimezone(ZONE)
    begun = local.date() if local.time() >= DAY_START else local.date() - DAY
    return begun - DAY


def beginning(day):
    """The moment at which a business day begins, in UTC."""
    return dt.datetime.combine(day, DAY_START, ZONE).astimezone(dt.UTC)


def text(moment):
    """A moment as payments have it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def dates(start, end):
    """The dates in UTC that a business day touches."""
    return [start.date() + DAY * number for number in range((end.date() - start.date()).days + 1)]


def ledger_of(start, end):
    """Amounts by payment id, of the files."""
    pages = s3.get_paginator("list_objects_v2")
    keys = [
        item["Key"]
        for date in dates(start, end)
        for page in pages.paginate(Bucket=LEDGER, Prefix=f"ledger/{date}/")
        for item in page.get("Contents", ())
    ]
    found = {}
    with ThreadPoolExecutor(READERS) as pool:
        for body in pool.map(read, keys):
            for payment in map(json.loads, body.splitlines()):
                if text(start) <= payment["paidAt"] < text(end):
                    found[payment["paymentId"]] = Decimal(payment["amount"])
    return found


def read(key):
    """A ledger file's text."""
    return s3.get_object(Bucket=LEDGER, Key=key)["Body"].read().decode()


def table_of(start, end):
    """Amounts by payment id, of the table. What is paid at the end sorts behind it, by its id."""
    pages = dynamodb.get_paginator("query")
    return {
        item["paymentId"]["S"]: Decimal(item["amount"]["N"])
        for date in dates(start, end)
        for page in pages.paginate(
            TableName=TABLE,
            KeyConditionExpression="utcDate = :date AND paidAtAndId BETWEEN :start AND :end",
            ExpressionAttributeValues={
                ":date": {"S": str(date)},
                ":start": {"S": text(start)},
                ":end": {"S": text(end)},
            },
            ProjectionExpression="paymentId, amount",
        )
        for item in page["Items"]
    }


def report(day, ledger, table):
    """What accounting is told."""
    both = ledger.keys() & table.keys()
    return {
        "businessDate": str(day),
        "currency": CURRENCY,
        "ledger": summary(ledger),
        "table": summary(table),
        "missingInTable": sorted(ledger.keys() - table.keys()),
        "missingInLedger": sorted(table.keys() - ledger.keys()),
        "differing": sorted(name for name in both if ledger[name] != table[name]),
    }


def summary(payments):
    """Count and exact total."""
    return {"count": len(payments), "total": f"{sum(payments.values(), Decimal(0)):.2f}"}


def save(day, found):
    """Write a report and tell of it, as far as both has not been done.

    That it was told of stands beside the report. A run that ends between the two is tried again, and tells.
    """
    key, body = f"reports/{day}.json", json.dumps(found, indent=1).encode()
    before, announced = stored(key)
    if before == body and announced:
        return
    if before != body:
        write(key, body, announced=False)
    announce(day, key)
    write(key, body, announced=True)


def stored(key):
    """A report's text and whether it was told of; None and False when there is none."""
    try:
        found = s3.get_object(Bucket=REPORTS, Key=key)
    except s3.exceptions.NoSuchKey:
        return None, False
    return found["Body"].read(), found["Metadata"].get("announced") == "yes"


def write(key, body, *, announced):
    """Write a report."""
    s3.put_object(
        Bucket=REPORTS,
        Key=key,
        Body=body,
        ContentType="application/json",
        Metadata={"announced": "yes" if announced else "no"},
    )


def announce(day, key):
    """Tell that a report is there."""
    entry = {
        "Source": "payments.reconciliation",
        "DetailType": "ReconciliationCompleted",
        "Detail": json.dumps({"businessDate": str(day), "reportKey": key}),
    }
    answer = events.put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        raise RuntimeError(f"The event was refused: {answer['Entries']}")


def succeeded():
    """Count a run by a log line in embedded metric format."""
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [[]],
        "Metrics": [{"Name": "RunsSucceeded", "Unit": "Count"}],
    }
    stamp = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    print(json.dumps({"_aws": stamp, "RunsSucceeded": 1}))
