"""Takes supplier invoices in: one item per valid row, bad rows handed back, one summary per file."""

import csv
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import islice
from urllib.parse import unquote_plus

import boto3
from botocore.config import Config

TABLE = os.environ["TABLE_NAME"]
NAMESPACE = os.environ["METRICS_NAMESPACE"]
DELIMITER = os.environ["DELIMITER"]
DECIMAL_SEPARATOR = os.environ["DECIMAL_SEPARATOR"]
PRICE = re.compile(rf"\d+({re.escape(DECIMAL_SEPARATOR)}\d{{1,2}})?", re.ASCII)
WHOLE = re.compile(r"0*[1-9]\d*", re.ASCII)

BATCH = 25  # the most that BatchWriteItem takes
WRITERS = 4
WAVE = BATCH * WRITERS
ATTEMPTS = 8

s3 = boto3.client("s3")
dynamodb = boto3.client("dynamodb", config=Config(max_pool_connections=WRITERS))


class BadRow(Exception):
    """A row that the supplier has to repair; the message is the reason code."""


def handler(event, context):
    """Take in every object of the event."""
    for record in event["Records"]:
        take_in(record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"]))


def take_in(bucket, key):
    """Take in one file. The summary comes last: it says that everything before is done."""
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    bad, amounts = [], []
    lines = (line.decode() for line in body.iter_lines(chunk_size=65_536))
    store(valid_rows(lines, bad, amounts))
    name = key.removeprefix("incoming/")
    if bad:
        put(bucket, f"rejected/{name}.json", {"file": key, "rows": bad})
    counts = {"rowsIngested": len(amounts), "rowsRejected": len(bad)}
    put(bucket, f"processed/{name}.json", {"file": key, **counts, "total": f"{sum(amounts):.2f}"})
    count(RowsIngested=len(amounts), RowsRejected=len(bad))


def valid_rows(lines, bad, amounts):
    """Yield an item for each valid row; note the others, and all amounts, on the way."""
    reader = csv.reader(lines, delimiter=DELIMITER)
    columns = next(reader)
    for cells in reader:
        try:
            item, amount = parse(columns, cells)
        except BadRow as reason:
            bad.append({"line": reader.line_num, "reason": str(reason)})
        else:
            amounts.append(amount)
            yield item


def parse(columns, cells):
    """A row as a table item, and its amount."""
    if len(cells) != len(columns):
        raise BadRow("WRONG_COLUMN_COUNT")
    if not all(cell.strip() for cell in cells):
        raise BadRow("MISSING_FIELD")
    row = dict(zip(columns, cells))
    whole = WHOLE.fullmatch(row["lineNo"]) and WHOLE.fullmatch(row["quantity"])
    if not (whole and PRICE.fullmatch(row["unitPrice"])):
        raise BadRow("BAD_NUMBER")
    price = Decimal(row["unitPrice"].replace(DECIMAL_SEPARATOR, "."))
    amount = int(row["quantity"]) * price
    item = {
        "invoice": {"S": f"{row['supplierId']}#{row['invoiceNo']}"},
        "lineNo": {"N": row["lineNo"]},
        "supplierId": {"S": row["supplierId"]},
        "invoiceNo": {"S": row["invoiceNo"]},
        "description": {"S": row["description"]},
        "quantity": {"N": row["quantity"]},
        "unitPrice": {"N": str(price)},
        "amount": {"N": str(amount)},
    }
    return item, amount


def store(items):
    """Write all items, some batches at a time; what stays unprocessed joins the next ones."""
    left, fruitless = [], 0
    with ThreadPoolExecutor(WRITERS) as pool:
        while wave := left + list(islice(items, WAVE - len(left))):
            batches = [wave[start : start + BATCH] for start in range(0, len(wave), BATCH)]
            left = [item for unprocessed in pool.map(write, batches) for item in unprocessed]
            fruitless = fruitless + 1 if len(left) == len(wave) else 0
            if fruitless == ATTEMPTS:
                raise RuntimeError(f"DynamoDB left {len(left)} rows unprocessed {ATTEMPTS} times.")
            if fruitless:
                time.sleep(0.05 * 2**fruitless)


def write(batch):
    """Write a batch; returns what was not processed."""
    requests = [{"PutRequest": {"Item": item}} for item in batch]
    answer = dynamodb.batch_write_item(RequestItems={TABLE: requests})
    return [left["PutRequest"]["Item"] for left in answer["UnprocessedItems"].get(TABLE, ())]


def put(bucket, key, document):
    """Write a result as JSON."""
    body = json.dumps(document, ensure_ascii=False).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")


def count(**metrics):
    """Count by a log line in embedded metric format."""
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [[]],
        "Metrics": [{"Name": name, "Unit": "Count"} for name in metrics],
    }
    stamp = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    print(json.dumps({"_aws": stamp, **metrics}))
