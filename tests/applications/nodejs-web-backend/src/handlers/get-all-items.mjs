// Create clients outside of the handler.
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, ScanCommand } from "@aws-sdk/lib-dynamodb";

const client = new DynamoDBClient({});
const documents = DynamoDBDocumentClient.from(client);
const tableName = process.env.SAMPLE_TABLE;

export const getAllItemsHandler = async (event) => {
  if (event.httpMethod !== "GET") {
    throw new Error(`getAllItems only accepts GET, you tried: ${event.httpMethod}`);
  }
  console.info("received:", event);
  const { Items: items } = await documents.send(new ScanCommand({ TableName: tableName }));
  return {
    statusCode: 200,
    headers: { "X-Sdk": import.meta.resolve("@aws-sdk/client-dynamodb") },
    body: JSON.stringify(items),
  };
};
