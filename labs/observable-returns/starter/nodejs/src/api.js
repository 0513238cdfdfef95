// Takes returns: checks them against the policy and hands them to the queue. Reads what became of them.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";
import { SQSClient, SendMessageCommand } from "@aws-sdk/client-sqs";

const POLICY = JSON.parse(readFileSync(new URL("policy.json", import.meta.url), "utf8"));
const TEXTS = ["orderId", "category", "email"];
const NUMBERS = ["amountCents", "daysSinceDelivery"];

const sqs = new SQSClient({});
const dynamodb = new DynamoDBClient({});

/** Answer one request. */
export async function handler(event) {
  console.log("event", JSON.stringify(event));
  try {
    return event.resource === "/returns" ? await create(event) : await read(event);
  } catch (error) {
    console.log("something went wrong", error);
    return answer(503, { error: "try again later" });
  }
}

/** Register a return, or say why not. */
async function create(event) {
  const body = bodyOf(event);
  if (!body) return answer(400, { error: "not a return" });
  const reason = rejection(body);
  if (reason) {
    console.log("rejected", body.email, reason);
    return answer(422, { status: "REJECTED", reason });
  }
  const returnId = randomUUID();
  const refundCents = Math.max(body.amountCents - POLICY.feeCents, 0);
  const item = { returnId, orderId: body.orderId, email: body.email, refundCents };
  await sqs.send(new SendMessageCommand({ QueueUrl: process.env.QUEUE_URL, MessageBody: JSON.stringify(item) }));
  console.log("accepted", item);
  return answer(202, { returnId, status: "ACCEPTED", refundCents });
}

/** A return that is registered; whoever asks has to know its e-mail address. */
async function read(event) {
  const Key = { returnId: { S: event.pathParameters.id } };
  const { Item } = await dynamodb.send(new GetItemCommand({ TableName: process.env.TABLE_NAME, Key, ConsistentRead: true }));
  if (!Item || Item.email.S !== event.queryStringParameters?.email) return answer(404, { error: "no such return" });
  const told = { returnId: Item.returnId.S, orderId: Item.orderId.S, status: "REGISTERED" };
  return answer(200, { ...told, refundCents: Number(Item.refundCents.N) });
}

/** The request's body, or null when it is no return. */
function bodyOf(event) {
  let body;
  try {
    body = JSON.parse(event.body);
  } catch {
    return null;
  }
  if (body === null || typeof body !== "object") return null;
  const texts = TEXTS.every((name) => typeof body[name] === "string" && body[name]);
  const numbers = NUMBERS.every((name) => Number.isInteger(body[name]) && body[name] >= 0);
  return texts && numbers ? body : null;
}

/** Why the policy rejects a return; undefined when it does not. */
function rejection(body) {
  const applies = ({ field, above, oneOf }) => (above === undefined ? oneOf.includes(body[field]) : body[field] > above);
  return POLICY.rules.find(applies)?.reason;
}

/** An answer in JSON. */
function answer(statusCode, body) {
  return { statusCode, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}
