/** Hands campaign messages to the mail provider: every key once, whatever fails on the way. */

import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  DynamoDBClient,
  PutItemCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";

const { MAIL_PROVIDER_ARN, TABLE_NAME, PLACEHOLDER_OPEN, PLACEHOLDER_CLOSE } = process.env;
const literal = (text) => text.replace(/[^A-Za-z0-9]/g, "\\$&");
const PLACEHOLDER = new RegExp(`${literal(PLACEHOLDER_OPEN)}([A-Za-z0-9_]+)${literal(PLACEHOLDER_CLOSE)}`, "g");
const CLAIM_S = 60; // the function's time limit: whoever claimed a key before that is gone

const dynamodb = new DynamoDBClient({});
const provider = new LambdaClient({});

/** Dispatch every message; those that fail stay in the queue. */
export const handler = async (event) => {
  const batchItemFailures = [];
  for (const { body, messageId } of event.Records) {
    try {
      await dispatch(JSON.parse(body));
    } catch (error) {
      console.log(JSON.stringify({ messageId, error: String(error) }));
      batchItemFailures.push({ itemIdentifier: messageId });
    }
  }
  return { batchItemFailures };
};

/** Send one message unless its key was sent already. */
const dispatch = async ({ messageKey, to, template, vars }) => {
  for (const [name, value] of Object.entries({ messageKey, to, template, vars })) {
    if (value === undefined) throw new Error(`${name} is missing`);
  }
  const text = merge(template, vars);
  if (!(await claim(messageKey))) return;
  try {
    await send({ messageKey, to, text });
  } catch (error) {
    await release(messageKey);
    throw error;
  }
  await confirm(messageKey);
};

/** The template with its placeholders replaced. */
const merge = (template, vars) =>
  template.replace(PLACEHOLDER, (_, name) => {
    if (!Object.hasOwn(vars, name)) throw new Error(`${name} has no value`);
    return vars[name];
  });

/** Take a key before anything is sent; false when it was sent already. */
const claim = async (messageKey) => {
  const now = Math.floor(Date.now() / 1000);
  try {
    await dynamodb.send(
      new PutItemCommand({
        TableName: TABLE_NAME,
        Item: { messageKey: { S: messageKey }, status: { S: "sending" }, until: { N: String(now + CLAIM_S) } },
        ConditionExpression: "attribute_not_exists(messageKey) OR (#status = :sending AND #until < :now)",
        ExpressionAttributeNames: { "#status": "status", "#until": "until" },
        ExpressionAttributeValues: { ":sending": { S: "sending" }, ":now": { N: String(now) } },
        ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      }),
    );
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
    if (error.Item.status.S === "sent") return false;
    throw new Error(`${messageKey} is being sent by somebody else`);
  }
  return true;
};

/** Call the provider. */
const send = async (message) => {
  const command = new InvokeCommand({ FunctionName: MAIL_PROVIDER_ARN, Payload: JSON.stringify(message) });
  const answer = await provider.send(command);
  if (answer.FunctionError) throw new Error(Buffer.from(answer.Payload).toString());
};

/** Remember that a key was sent. */
const confirm = (messageKey) =>
  dynamodb.send(
    new UpdateItemCommand({
      TableName: TABLE_NAME,
      Key: { messageKey: { S: messageKey } },
      UpdateExpression: "SET #status = :sent REMOVE #until",
      ExpressionAttributeNames: { "#status": "status", "#until": "until" },
      ExpressionAttributeValues: { ":sent": { S: "sent" } },
    }),
  );

/** Nothing was sent, so the next attempt may. */
const release = (messageKey) =>
  dynamodb.send(new DeleteItemCommand({ TableName: TABLE_NAME, Key: { messageKey: { S: messageKey } } }));
