// Streams every link as a line of JSON.
const { DynamoDBClient, paginateScan } = require('@aws-sdk/client-dynamodb');
const { setTimeout } = require('node:timers/promises');

const client = new DynamoDBClient({});

exports.handler = awslambda.streamifyResponse(async (event, responseStream, context) => {
  const stream = awslambda.HttpResponseStream.from(responseStream, {
    statusCode: 200,
    headers: { 'Content-Type': 'application/x-ndjson', 'X-Alias': context.invokedFunctionArn.split(':').pop() },
  });
  const pages = paginateScan({ client, pageSize: 1 }, { TableName: process.env.TABLE });
  for await (const page of pages) {
    for (const item of page.Items) {
      stream.write(JSON.stringify({ id: item.id.S, url: item.url.S }) + '\n');
      await setTimeout(10);
    }
  }
  stream.end();
});
