// Receives the payment provider's events: signed, fresh, and each of them once.

import { createHmac, timingSafeEqual } from "node:crypto";
import { ConditionalCheckFailedException, DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { SecretUnavailable, SigningSecret } from "./signing.js";

const { TABLE_NAME, METRICS_NAMESPACE, SECRET_ARN } = process.env;
const SIGNATURE_HEADER = process.env.SIGNATURE_HEADER.toLowerCase();
const TIMESTAMP_HEADER = process.env.TIMESTAMP_HEADER.toLowerCase();
const REPLAY_WINDOW_S = Number(process.env.REPLAY_WINDOW_S);

const dynamodb = new DynamoDBClient({});
const secret = new SigningSecret(SECRET_ARN, Number(process.env.SECRET_MAX_AGE_S));

class Rejected extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
    this.reason = reason;
  }
}

/** Accept an event, or say why not. Nothing of what was sent reaches the log. */
export async function handler(event) {
  try {
    await receive(event);
  } catch (error) {
    if (error instanceof Rejected) {
      count(error.reason);
      return answer(error.status, { error: error.reason });
    }
    if (error instanceof SecretUnavailable) {
      // Without the secret nobody can tell a good event from a forged one: the provider sends it again.
      console.log(JSON.stringify({ outcome: "UNAVAILABLE", cause: error.message }));
      return answer(503, { error: "UNAVAILABLE" });
    }
    throw error;
  }
  console.log(JSON.stringify({ outcome: "accepted" }));
  return answer(202, { ok: true });
}

/** Verify the request as it was sent, then keep its event. */
async function receive(event) {
  const raw = Buffer.from(event.body ?? "", event.isBase64Encoded ? "base64" : "utf8");
  const signature = event.headers?.[SIGNATURE_HEADER];
  const timestamp = event.headers?.[TIMESTAMP_HEADER];
  if (!signature || !timestamp) throw new Rejected(401, "MISSING_HEADER");
  const signed = createHmac("sha256", await secret.value()).update(`${timestamp}.`).update(raw).digest("hex");
  if (!same(signed, signature.trim())) throw new Rejected(401, "BAD_SIGNATURE");
  const age = Math.abs(Date.now() / 1000 - Number(timestamp));
  if (!/^\d+$/.test(timestamp) || age > REPLAY_WINDOW_S) throw new Rejected(401, "STALE");
  await store(itemOf(raw));
}

function same(one, other) {
  const [left, right] = [Buffer.from(one), Buffer.from(other)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function itemOf(raw) {
  let found;
  try {
    found = JSON.parse(raw.toString("utf8"));
  } catch {
    throw new Rejected(400, "BAD_EVENT");
  }
  const { id, type, orderId, amount, currency } = found ?? {};
  if (![id, type, orderId, currency].every((text) => typeof text === "string") || !Number.isInteger(amount)) {
    throw new Rejected(400, "BAD_EVENT");
  }
  return {
    eventId: { S: id },
    type: { S: type },
    orderId: { S: orderId },
    amount: { N: String(amount) },
    currency: { S: currency },
  };
}

/** Keep an event unless one with its id is there: whoever writes first wins. */
async function store(item) {
  const condition = { TableName: TABLE_NAME, ConditionExpression: "attribute_not_exists(eventId)" };
  try {
    await dynamodb.send(new PutItemCommand({ ...condition, Item: item }));
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) throw new Rejected(409, "REPLAYED");
    throw error;
  }
}

/** One rejection more, as CloudWatch reads it from the log. */
function count(reason) {
  const metric = { Name: "RejectedWebhooks", Unit: "Count" };
  const directive = { Namespace: METRICS_NAMESPACE, Dimensions: [["Reason"]], Metrics: [metric] };
  const told = { Timestamp: Date.now(), CloudWatchMetrics: [directive] };
  // Written past console.log, which on Lambda puts time and request id before the JSON.
  process.stdout.write(`${JSON.stringify({ _aws: told, Reason: reason, RejectedWebhooks: 1 })}\n`);
}

function answer(statusCode, body) {
  return { statusCode, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}
