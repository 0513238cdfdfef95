/** Takes supplier invoices in: one item per valid row, bad rows handed back, one summary per file. */

import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { BatchWriteItemCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";

const { TABLE_NAME, METRICS_NAMESPACE, DELIMITER, DECIMAL_SEPARATOR } = process.env;
const PRICE = new RegExp(`^\\d+(?:[${DECIMAL_SEPARATOR}]\\d{1,2})?$`);
const WHOLE = /^0*[1-9]\d*$/;

const BATCH = 25; // the most that BatchWriteItem takes
const WAVE = 4 * BATCH;
const ATTEMPTS = 8;

const s3 = new S3Client({});
const dynamodb = new DynamoDBClient({});

/** A row that the supplier has to repair; the message is the reason code. */
class BadRow extends Error {}

/** Take in every object of the event. */
export const handler = async (event) => {
  for (const { s3: told } of event.Records) {
    await takeIn(told.bucket.name, decodeURIComponent(told.object.key.replaceAll("+", " ")));
  }
};

/** Take in one file. The summary comes last: it says that everything before is done. */
const takeIn = async (bucket, key) => {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  const { bad, rows, cents } = await store(createInterface({ input: Body, crlfDelay: Infinity }));
  const name = key.slice("incoming/".length);
  if (bad.length) await put(bucket, `rejected/${name}.json`, { file: key, rows: bad });
  const summary = { file: key, rowsIngested: rows, rowsRejected: bad.length, total: decimal(cents) };
  await put(bucket, `processed/${name}.json`, summary);
  count({ RowsIngested: rows, RowsRejected: bad.length });
};

/** Write an item for each valid row, a wave at a time; what stays unprocessed joins the next one. */
const store = async (lines) => {
  const found = { bad: [], rows: 0, cents: 0n };
  let columns;
  let number = 0;
  let waiting = [];
  for await (const line of lines) {
    number += 1;
    const cells = split(line);
    if (!columns) {
      columns = cells;
      continue;
    }
    try {
      const { item, amount } = parse(columns, cells);
      waiting.push(item);
      found.rows += 1;
      found.cents += amount;
    } catch (reason) {
      if (!(reason instanceof BadRow)) throw reason;
      found.bad.push({ line: number, reason: reason.message });
    }
    if (waiting.length >= WAVE) waiting = await write(waiting);
  }
  for (let fruitless = 0; waiting.length; ) {
    const left = await write(waiting);
    fruitless = left.length === waiting.length ? fruitless + 1 : 0;
    if (fruitless === ATTEMPTS) throw new Error(`DynamoDB left ${left.length} rows ${ATTEMPTS} times.`);
    if (fruitless) await pause(50 * 2 ** fruitless);
    waiting = left;
  }
  return found;
};

/** The cells of a line, quoted as in RFC 4180. */
const split = (line) => {
  const cells = [];
  let cell = "";
  let quoted = false;
  for (let at = 0; at < line.length; at += 1) {
    const letter = line[at];
    if (letter === '"' && quoted && line[at + 1] === '"') {
      cell += letter;
      at += 1;
    } else if (letter === '"' && (quoted || cell === "")) {
      quoted = !quoted;
    } else if (letter === DELIMITER && !quoted) {
      cells.push(cell);
      cell = "";
    } else {
      cell += letter;
    }
  }
  return [...cells, cell];
};

/** A row as a table item, and its amount in cents. */
const parse = (columns, cells) => {
  if (cells.length !== columns.length) throw new BadRow("WRONG_COLUMN_COUNT");
  if (cells.some((cell) => !cell.trim())) throw new BadRow("MISSING_FIELD");
  const row = Object.fromEntries(columns.map((column, at) => [column, cells[at]]));
  if (!(WHOLE.test(row.lineNo) && WHOLE.test(row.quantity) && PRICE.test(row.unitPrice))) {
    throw new BadRow("BAD_NUMBER");
  }
  const [whole, part = ""] = row.unitPrice.split(DECIMAL_SEPARATOR);
  const price = BigInt(whole + part.padEnd(2, "0"));
  const amount = BigInt(row.quantity) * price;
  const item = {
    invoice: { S: `${row.supplierId}#${row.invoiceNo}` },
    lineNo: { N: row.lineNo },
    supplierId: { S: row.supplierId },
    invoiceNo: { S: row.invoiceNo },
    description: { S: row.description },
    quantity: { N: row.quantity },
    unitPrice: { N: decimal(price) },
    amount: { N: decimal(amount) },
  };
  return { item, amount };
};

/** Cents as a number with two decimals. */
const decimal = (cents) => {
  const digits = String(cents).padStart(3, "0");
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
};

/** Write items, some batches at a time; what was not processed. */
const write = async (items) => {
  const batches = [];
  for (let start = 0; start < items.length; start += BATCH) batches.push(items.slice(start, start + BATCH));
  const left = await Promise.all(
    batches.map(async (batch) => {
      const requests = batch.map((item) => ({ PutRequest: { Item: item } }));
      const answer = await dynamodb.send(new BatchWriteItemCommand({ RequestItems: { [TABLE_NAME]: requests } }));
      return (answer.UnprocessedItems?.[TABLE_NAME] ?? []).map((request) => request.PutRequest.Item);
    }),
  );
  return left.flat();
};

/** Write a result as JSON. */
const put = (bucket, key, document) =>
  s3.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: key,
      Body: JSON.stringify(document),
      ContentType: "application/json",
    }),
  );

/** Count by a log line in embedded metric format. */
const count = (metrics) => {
  const directive = {
    Namespace: METRICS_NAMESPACE,
    Dimensions: [[]],
    Metrics: Object.keys(metrics).map((name) => ({ Name: name, Unit: "Count" })),
  };
  const stamp = { Timestamp: Date.now(), CloudWatchMetrics: [directive] };
  process.stdout.write(`${JSON.stringify({ _aws: stamp, ...metrics })}\n`);
};
