import json
import logging
import os

import requests

logger = logging.getLogger()


def lambda_handler(event, context):
    """Greet whom the path names, or the world.

    Parameters
    ----------
    event: dict, required
        API Gateway Lambda proxy input format
    context: object, required
        Lambda context
    """
    name = (event.get("pathParameters") or {}).get("name", "world")
    logger.info("greeting %s", name)
    return {
        "statusCode": 200,
        "headers": {
            "Access-Control-Allow-Origin": os.environ["ALLOWED_ORIGIN"],
            "X-Requests": requests.__version__,
        },
        "body": json.dumps(
            {
                "message": f"{os.environ['GREETING']} {name}",
                "stage": event["requestContext"]["stage"],
                "request": context.aws_request_id,
            }
        ),
    }
