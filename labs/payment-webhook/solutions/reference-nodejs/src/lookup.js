// Tells support what is known of a payment event.

import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";

const dynamodb = new DynamoDBClient({});

export async function handler({ eventId }) {
  const command = new GetItemCommand({
    TableName: process.env.TABLE_NAME,
    Key: { eventId: { S: eventId } },
    ConsistentRead: true,
  });
  const { Item: item } = await dynamodb.send(command);
  if (item === undefined) return { found: false };
  const told = Object.fromEntries(["eventId", "type", "orderId", "currency"].map((name) => [name, item[name].S]));
  return { found: true, ...told, amount: Number(item.amount.N) };
}
