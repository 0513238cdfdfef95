// Members in the table, one item each. A member's id follows from what no two members may have in common,
// so that writing an item once is the same as taking a value once.

import { createHash } from "node:crypto";
import { ConditionalCheckFailedException, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import {
  DeleteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  ScanCommand,
  UpdateCommand,
} from "@aws-sdk/lib-dynamodb";
import { UNIQUE } from "./rules.js";

const TableName = process.env.TABLE_NAME;
const table = DynamoDBDocumentClient.from(new DynamoDBClient({ maxAttempts: 2 }));

/** Somebody else was first. */
export class Conflict extends Error {}

/** There is no such member. */
export class Missing extends Error {}

export async function create(fields) {
  const id = createHash("sha256").update(fields[UNIQUE]).digest("base64url").slice(0, 22);
  const member = { id, version: 1, ...fields };
  await unless(Conflict, new PutCommand({ TableName, Item: member, ConditionExpression: "attribute_not_exists(id)" }));
  return member;
}

export async function read(id) {
  const { Item } = await table.send(new GetCommand({ TableName, Key: { id }, ConsistentRead: true }));
  if (!Item) throw new Missing();
  return Item;
}

export async function change(id, version, fields) {
  const entries = Object.entries(fields);
  const sets = entries.map((_, place) => `#f${place} = :f${place}`);
  const command = new UpdateCommand({
    TableName,
    Key: { id },
    UpdateExpression: `SET ${sets.join(", ")}, version = version + :one`,
    ConditionExpression: "version = :seen",
    ExpressionAttributeNames: Object.fromEntries(entries.map(([name], place) => [`#f${place}`, name])),
    ExpressionAttributeValues: {
      ...Object.fromEntries(entries.map(([, value], place) => [`:f${place}`, value])),
      ":one": 1,
      ":seen": version,
    },
    ReturnValues: "ALL_NEW",
  });
  try {
    return (await unless(Conflict, command)).Attributes;
  } catch (error) {
    if (error instanceof Conflict) await read(id);
    throw error;
  }
}

export async function remove(id) {
  await unless(Missing, new DeleteCommand({ TableName, Key: { id }, ConditionExpression: "attribute_exists(id)" }));
}

/** At most `limit` members behind the one with the id `after`, and the id to go on behind. */
export async function page(limit, after) {
  const start = after ? { ExclusiveStartKey: { id: after } } : {};
  const { Items, LastEvaluatedKey } = await table.send(new ScanCommand({ TableName, Limit: limit, ...start }));
  return { members: Items, last: LastEvaluatedKey?.id };
}

async function unless(Refused, command) {
  try {
    return await table.send(command);
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) throw new Refused();
    throw error;
  }
}
