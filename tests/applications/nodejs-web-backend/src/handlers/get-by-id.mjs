import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, GetCommand } from "@aws-sdk/lib-dynamodb";

const documents = DynamoDBDocumentClient.from(new DynamoDBClient({}));
const tableName = process.env.SAMPLE_TABLE;

export const getByIdHandler = async (event) => {
  const { Item: item } = await documents.send(
    new GetCommand({ TableName: tableName, Key: { id: event.pathParameters.id } }),
  );
  return item ? { statusCode: 200, body: JSON.stringify(item) } : { statusCode: 404, body: "" };
};
