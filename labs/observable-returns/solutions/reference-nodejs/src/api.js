// Takes returns: checks them against the policy and hands them to the queue. Reads what became of them.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";
import { SQSClient, SendMessageCommand } from "@aws-sdk/client-sqs";
import { begin, count, instrumented, traced } from "./log.js";

const POLICY = JSON.parse(readFileSync(new URL("policy.json", import.meta.url), "utf8"));
const TEXTS = ["orderId", "category", "email"];
const NUMBERS = ["amountCents", "daysSinceDelivery"];
const HEADER = "x-correlation-id";

const sqs = instrumented(new SQSClient({}));
const dynamodb = instrumented(new DynamoDBClient({}));

/** Answer one request. */
export async function handler(event, context) {
  const correlationId = given(event) ?? randomUUID();
  const log = begin(context).about({ correlationId });
  const response = await answered(event, log, correlationId);
  response.headers[HEADER] = correlationId;
  return response;
}

async function answered(event, log, correlationId) {
  try {
    return event.resource === "/returns" ? await create(event, log, correlationId) : await read(event, log);
  } catch (error) {
    log.failure("the request could not be served", error);
    return answer(503, { error: "try again later" });
  }
}

/** The correlation id that came with a request. */
function given(event) {
  const name = Object.keys(event.headers ?? {}).find((each) => each.toLowerCase() === HEADER);
  return name && event.headers[name];
}

/** Register a return, or say why not. */
async function create(event, log, correlationId) {
  const body = bodyOf(event);
  if (!body) {
    log.info("not a return");
    return answer(400, { error: "not a return" });
  }
  const reason = rejection(body);
  if (reason) {
    log.info("return rejected", { reason });
    count({ ReturnsRejected: [1, "Count"] }, { Reason: reason });
    return answer(422, { status: "REJECTED", reason });
  }
  const returnId = randomUUID();
  const refundCents = Math.max(body.amountCents - POLICY.feeCents, 0);
  const item = { returnId, orderId: body.orderId, email: body.email, refundCents };
  const message = {
    QueueUrl: process.env.QUEUE_URL,
    MessageBody: JSON.stringify(item),
    MessageAttributes: { correlationId: { DataType: "String", StringValue: correlationId } },
  };
  const mine = log.about({ returnId });
  try {
    await traced("accept", returnId, () => sqs.send(new SendMessageCommand(message)));
  } catch (error) {
    mine.failure("the return could not be queued", error);
    return answer(503, { error: "try again later" });
  }
  mine.info("return accepted", { refundCents });
  count({ ReturnsAccepted: [1, "Count"], RefundAmount: [refundCents, "None"] });
  return answer(202, { returnId, status: "ACCEPTED", refundCents });
}

/** A return that is registered; whoever asks has to know its e-mail address. */
async function read(event, log) {
  const returnId = event.pathParameters.id;
  const request = { TableName: process.env.TABLE_NAME, Key: { returnId: { S: returnId } }, ConsistentRead: true };
  const { Item } = await traced("read", returnId, () => dynamodb.send(new GetItemCommand(request)));
  if (!Item || Item.email.S !== event.queryStringParameters?.email) {
    log.info("no such return", { returnId });
    return answer(404, { error: "no such return" });
  }
  log.info("return read", { returnId });
  const told = { returnId, orderId: Item.orderId.S, status: "REGISTERED" };
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
