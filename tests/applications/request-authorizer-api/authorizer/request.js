// Whoever shows the tenant's token may use the tenant's notes, and nobody those of `closed`.
exports.handler = (event, context, callback) => {
  const tenant = event.headers['X-Tenant'];
  console.log('deciding for', tenant);
  if (event.queryStringParameters.token !== `${tenant}-token`) {
    callback('Unauthorized');
    return;
  }
  const stage = event.methodArn.split('/').slice(0, 2).join('/');
  callback(null, {
    principalId: tenant,
    policyDocument: {
      Version: '2012-10-17',
      Statement: [
        {
          Action: 'execute-api:Invoke',
          Effect: tenant === 'closed' ? 'Deny' : 'Allow',
          Resource: `${stage}/*/notes/*`,
        },
      ],
    },
    context: { tenant, reason: 'this tenant is closed' },
  });
};
