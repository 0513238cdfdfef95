import { ConditionalCheckFailedException, DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { nanoid } from 'nanoid';

import { reading } from './reading';

interface KinesisRecord {
  kinesis: { sequenceNumber: string; partitionKey: string; data: string };
}

interface KinesisEvent {
  Records: KinesisRecord[];
}

interface BatchResponse {
  batchItemFailures: { itemIdentifier: string }[];
}

const client = new DynamoDBClient({});

export const handler = async (event: KinesisEvent): Promise<BatchResponse> => {
  for (const record of event.Records) {
    try {
      await keep(record);
    } catch (error) {
      console.error('failed', record.kinesis.sequenceNumber, (error as Error).message);
      return { batchItemFailures: [{ itemIdentifier: record.kinesis.sequenceNumber }] };
    }
  }
  return { batchItemFailures: [] };
};

async function keep(record: KinesisRecord): Promise<void> {
  const { id, meter, value } = reading(record.kinesis.data);
  try {
    await client.send(
      new PutItemCommand({
        TableName: process.env.TABLE,
        Item: { id: { S: id }, meter: { S: meter }, value: { N: String(value) }, run: { S: nanoid(8) } },
        ConditionExpression: 'attribute_not_exists(#id)',
        ExpressionAttributeNames: { '#id': 'id' },
      }),
    );
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
    console.log('known already', id);
  }
}
