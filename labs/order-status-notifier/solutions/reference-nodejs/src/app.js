/** Announces status changes of orders from the table's stream, in order. */

import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import { SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";

const { TOPIC_ARN, FAILURE_QUEUE_URL, ORDER_ID_ATTRIBUTE, STATUS_ATTRIBUTE } = process.env;
const NOTIFY_STATUSES = new Set(process.env.NOTIFY_STATUSES.split(","));

const sns = new SNSClient({});
const sqs = new SQSClient({});

/** Announce what changed; from the first record on that can't be, Lambda has to come again. */
export const handler = async (event) => {
  for (const record of event.Records) {
    const image = record.dynamodb;
    const [old, now] = [image.OldImage, image.NewImage].map(statusOf);
    if (now === old || !NOTIFY_STATUSES.has(now)) continue;
    const done = image.NewImage.total?.N === undefined ? setAside(record) : publish(record, old, now);
    try {
      await done;
    } catch (error) {
      console.log(JSON.stringify({ eventID: record.eventID, error: String(error) }));
      return { batchItemFailures: [{ itemIdentifier: image.SequenceNumber }] };
    }
  }
  return { batchItemFailures: [] };
};

/** An order's status; null when it has none. */
const statusOf = (image) => image[STATUS_ATTRIBUTE]?.S ?? null;

/** Publish within the order's group; the event's id keeps a repetition from being heard twice. */
const publish = (record, oldStatus, newStatus) => {
  const order = plain({ M: record.dynamodb.NewImage });
  const message = {
    orderId: order[ORDER_ID_ATTRIBUTE],
    oldStatus,
    newStatus,
    changedAt: new Date(record.dynamodb.ApproximateCreationDateTime * 1000).toISOString(),
    eventId: record.eventID,
    order,
  };
  return sns.send(
    new PublishCommand({
      TopicArn: TOPIC_ARN,
      Message: JSON.stringify(message),
      MessageGroupId: message.orderId,
      MessageDeduplicationId: message.eventId,
    }),
  );
};

/** Tell the failure queue of a change that no retry will mend. */
const setAside = (record) => {
  const orderId = record.dynamodb.Keys[ORDER_ID_ATTRIBUTE].S;
  const body = { orderId, eventId: record.eventID, reason: "total is missing or not a number" };
  return sqs.send(new SendMessageCommand({ QueueUrl: FAILURE_QUEUE_URL, MessageBody: JSON.stringify(body) }));
};

/** An attribute as plain JSON. Numbers stay the text they are, so that no digit is lost. */
const plain = (value) => {
  const [[kind, held]] = Object.entries(value);
  if (kind === "M") return Object.fromEntries(Object.entries(held).map(([name, each]) => [name, plain(each)]));
  if (kind === "L") return held.map(plain);
  return kind === "NULL" ? null : held;
};
