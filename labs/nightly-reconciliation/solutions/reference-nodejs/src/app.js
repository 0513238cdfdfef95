/** Compares a business day's payment files with the payments table, and reports what differs. */

import { DynamoDBClient, paginateQuery } from "@aws-sdk/client-dynamodb";
import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";
import { GetObjectCommand, PutObjectCommand, S3Client, paginateListObjectsV2 } from "@aws-sdk/client-s3";
import { beginning, businessDay, datesBetween, nextDay, text } from "./days.js";

const { LEDGER_BUCKET, REPORTS_BUCKET, TABLE_NAME, METRICS_NAMESPACE, CURRENCY } = process.env;
const READERS = 8;

const s3 = new S3Client({});
const dynamodb = new DynamoDBClient({});
const events = new EventBridgeClient({});

/** Reconcile the last business day that was over at the scheduled time. */
export const handler = async (event) => {
  const day = businessDay(new Date(event.scheduledTime));
  const [start, end] = [beginning(day), beginning(nextDay(day))];
  const ledger = await ledgerOf(start, end);
  const table = await tableOf(start, end);
  await save(day, report(day, ledger, table));
  succeeded();
};

/** Cents by payment id, of the files. */
const ledgerOf = async (start, end) => {
  const keys = [];
  for (const date of datesBetween(start, end)) {
    const request = { Bucket: LEDGER_BUCKET, Prefix: `ledger/${date}/` };
    for await (const page of paginateListObjectsV2({ client: s3 }, request)) {
      keys.push(...(page.Contents ?? []).map((item) => item.Key));
    }
  }
  const found = new Map();
  const read = async () => {
    for (let key = keys.pop(); key !== undefined; key = keys.pop()) {
      const object = await s3.send(new GetObjectCommand({ Bucket: LEDGER_BUCKET, Key: key }));
      const lines = (await object.Body.transformToString()).split("\n").filter(Boolean);
      for (const { paymentId, amount, paidAt } of lines.map((line) => JSON.parse(line))) {
        if (text(start) <= paidAt && paidAt < text(end)) found.set(paymentId, cents(amount));
      }
    }
  };
  await Promise.all(Array.from({ length: READERS }, read));
  return found;
};

/** Cents by payment id, of the table. What is paid at the end sorts behind it, by its id. */
const tableOf = async (start, end) => {
  const found = new Map();
  for (const date of datesBetween(start, end)) {
    const request = {
      TableName: TABLE_NAME,
      KeyConditionExpression: "utcDate = :date AND paidAtAndId BETWEEN :start AND :end",
      ExpressionAttributeValues: { ":date": { S: date }, ":start": { S: text(start) }, ":end": { S: text(end) } },
      ProjectionExpression: "paymentId, amount",
    };
    for await (const page of paginateQuery({ client: dynamodb }, request)) {
      for (const item of page.Items ?? []) found.set(item.paymentId.S, cents(item.amount.N));
    }
  }
  return found;
};

/** An amount, such as "-12.3", in whole cents. */
const cents = (amount) => {
  const [, sign, whole, part = ""] = /^(-?)(\d+)(?:\.(\d{1,2})0*)?$/.exec(amount);
  const value = BigInt(whole) * 100n + BigInt(part.padEnd(2, "0"));
  return sign ? -value : value;
};

/** Cents as text with two decimals. */
const money = (value) => {
  const digits = String(value < 0n ? -value : value).padStart(3, "0");
  return `${value < 0n ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
};

/** What accounting is told. */
const report = (day, ledger, table) => ({
  businessDate: day,
  currency: CURRENCY,
  ledger: summary(ledger),
  table: summary(table),
  missingInTable: [...ledger.keys()].filter((id) => !table.has(id)).sort(),
  missingInLedger: [...table.keys()].filter((id) => !ledger.has(id)).sort(),
  differing: [...ledger.keys()].filter((id) => table.has(id) && table.get(id) !== ledger.get(id)).sort(),
});

/** Count and exact total. */
const summary = (payments) => ({
  count: payments.size,
  total: money([...payments.values()].reduce((sum, value) => sum + value, 0n)),
});

/**
 * Write a report and tell of it, as far as both has not been done.
 *
 * That it was told of stands beside the report. A run that ends between the two is tried again, and tells.
 */
const save = async (day, found) => {
  const [key, body] = [`reports/${day}.json`, JSON.stringify(found, null, 1)];
  const { before, announced } = await stored(key);
  if (before === body && announced) return;
  if (before !== body) await write(key, body, "no");
  await announce(day, key);
  await write(key, body, "yes");
};

/** A report's text, if there is one, and whether it was told of. */
const stored = async (key) => {
  try {
    const found = await s3.send(new GetObjectCommand({ Bucket: REPORTS_BUCKET, Key: key }));
    return { before: await found.Body.transformToString(), announced: found.Metadata.announced === "yes" };
  } catch (error) {
    if (error.name !== "NoSuchKey") throw error;
    return {};
  }
};

/** Write a report. */
const write = (key, body, announced) =>
  s3.send(
    new PutObjectCommand({
      Bucket: REPORTS_BUCKET,
      Key: key,
      Body: body,
      ContentType: "application/json",
      Metadata: { announced },
    }),
  );

/** Tell that a report is there. */
const announce = async (day, key) => {
  const entry = {
    Source: "payments.reconciliation",
    DetailType: "ReconciliationCompleted",
    Detail: JSON.stringify({ businessDate: day, reportKey: key }),
  };
  const answer = await events.send(new PutEventsCommand({ Entries: [entry] }));
  if (answer.FailedEntryCount) throw new Error(`The event was refused: ${JSON.stringify(answer.Entries)}`);
};

/** Count a run by a log line in embedded metric format. */
const succeeded = () => {
  const directive = {
    Namespace: METRICS_NAMESPACE,
    Dimensions: [[]],
    Metrics: [{ Name: "RunsSucceeded", Unit: "Count" }],
  };
  const stamp = { Timestamp: Date.now(), CloudWatchMetrics: [directive] };
  console.log(JSON.stringify({ _aws: stamp, RunsSucceeded: 1 }));
};
