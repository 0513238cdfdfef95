import os
from uuid import uuid4

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from pydantic import BaseModel, PositiveInt

logger = Logger()
tracer = Tracer()
metrics = Metrics()
app = APIGatewayRestResolver(enable_validation=True)
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


class Order(BaseModel):
    item: str
    count: PositiveInt


@app.post("/orders")
@tracer.capture_method
def place(order: Order) -> dict:
    kept = {"id": str(uuid4()), **order.model_dump()}
    table.put_item(Item=kept)
    tracer.put_annotation("item", order.item)
    metrics.add_metric(name="OrdersPlaced", unit=MetricUnit.Count, value=1)
    logger.info("placed", item=order.item)
    return kept


@app.get("/orders/<order_id>")
@tracer.capture_method
def look_up(order_id: str) -> dict:
    found = table.get_item(Key={"id": order_id}).get("Item")
    if found is None:
        raise NotFoundError(f"no order {order_id}")
    return {**found, "count": int(found["count"])}


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_REST)
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def lambda_handler(event: dict, context) -> dict:
    return app.resolve(event, context)
