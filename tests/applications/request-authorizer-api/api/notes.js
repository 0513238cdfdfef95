var AWS = require('aws-sdk');

var database = new AWS.DynamoDB.DocumentClient();

exports.handler = function (event, context, callback) {
  // Connections of the SDK's pool stay open; the answer is not to wait for them.
  context.callbackWaitsForEmptyEventLoop = false;
  var authorizer = event.requestContext.authorizer;
  var tenant = authorizer.tenant || authorizer.lambda.tenant;
  var id = tenant + '/' + event.pathParameters.name;
  var answered = function (error, data) {
    if (error) return callback(error);
    if (event.httpMethod === 'GET' && !data.Item) return callback(null, { statusCode: 404, body: '' });
    callback(null, { statusCode: 200, body: event.httpMethod === 'GET' ? data.Item.text : '' });
  };
  if (event.httpMethod === 'PUT') {
    database.put({ TableName: process.env.TABLE, Item: { id: id, text: event.body } }, answered);
  } else {
    database.get({ TableName: process.env.TABLE, Key: { id: id } }, answered);
  }
};
