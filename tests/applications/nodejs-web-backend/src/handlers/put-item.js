const { DynamoDBClient } = require("@aws-sdk/client-dynamodb");
const { DynamoDBDocument } = require("@aws-sdk/lib-dynamodb");

const documents = DynamoDBDocument.from(new DynamoDBClient({}));

exports.putItemHandler = (event, context, callback) => {
  let item;
  try {
    item = JSON.parse(event.body);
  } catch (error) {
    callback(null, { statusCode: 400, body: error.message });
    return;
  }
  documents.put({ TableName: process.env.SAMPLE_TABLE, Item: { id: item.id, name: item.name } }, (error) => {
    if (error) {
      callback(error);
      return;
    }
    callback(null, { statusCode: 200, body: JSON.stringify(item) });
  });
};
