import { DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";

const database = await Promise.resolve(new DynamoDBClient());

export async function handler(event) {
  // An event may come more than once; counting what came shows whether it did.
  await database.send(
    new UpdateItemCommand({
      TableName: process.env.TABLE,
      Key: { id: { S: String(event.detail.id) } },
      UpdateExpression: "SET #s = :source ADD seen :one",
      ExpressionAttributeNames: { "#s": "source" },
      ExpressionAttributeValues: { ":source": { S: event.source }, ":one": { N: "1" } },
    }),
  );
}
