// Registers returns from the queue.

import { DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { begin, instrumented, traced } from "./log.js";

const dynamodb = instrumented(new DynamoDBClient({}));

/** Register every return; those that fail stay in the queue. */
export async function handler(event, context) {
  const log = begin(context);
  const batchItemFailures = [];
  for (const { body, messageAttributes, messageId } of event.Records) {
    const mine = log.about({ correlationId: messageAttributes.correlationId.stringValue });
    try {
      await register(JSON.parse(body), mine);
    } catch (error) {
      mine.failure("the return could not be registered", error);
      batchItemFailures.push({ itemIdentifier: messageId });
    }
  }
  return { batchItemFailures };
}

/** Store one return. */
async function register(item, log) {
  const Item = {
    returnId: { S: item.returnId },
    orderId: { S: item.orderId },
    email: { S: item.email },
    refundCents: { N: String(item.refundCents) },
  };
  const request = new PutItemCommand({ TableName: process.env.TABLE_NAME, Item });
  await traced("register", item.returnId, () => dynamodb.send(request));
  log.info("return registered", { returnId: item.returnId });
}
