"""Whoever shows a ticket gets in, under the name that is on it."""


def handler(event, context):
    name = event["queryStringParameters"]["ticket"].removeprefix("ticket-of-")
    known = event["queryStringParameters"]["ticket"] != name
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow" if known else "Deny",
        "Resource": event["methodArn"],
    }
    return {
        "principalId": name,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {"name": name},
    }
