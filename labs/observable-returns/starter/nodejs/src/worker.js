// Registers returns from the queue.

import { DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";

const dynamodb = new DynamoDBClient({});

/** Register every return; those that fail stay in the queue. */
export async function handler(event) {
  const batchItemFailures = [];
  for (const record of event.Records) {
    console.log("record", JSON.stringify(record));
    try {
      await register(JSON.parse(record.body));
    } catch (error) {
      console.log("failed", error);
      batchItemFailures.push({ itemIdentifier: record.messageId });
    }
  }
  return { batchItemFailures };
}

/** Store one return. */
async function register(item) {
  const Item = {
    returnId: { S: item.returnId },
    orderId: { S: item.orderId },
    email: { S: item.email },
    refundCents: { N: String(item.refundCents) },
  };
  await dynamodb.send(new PutItemCommand({ TableName: process.env.TABLE_NAME, Item }));
  console.log("registered", item);
}
