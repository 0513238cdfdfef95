"""Logger, metrics and tracer of both functions."""

import os
import traceback

from aws_lambda_powertools import Logger, Metrics, Tracer, single_metric
from aws_lambda_powertools.metrics import MetricUnit

SERVICE = "returns"

logger = Logger(service=SERVICE)
tracer = Tracer(service=SERVICE)
_cold = True


def begin(context, **keys):
    """Start the log of an invocation: nothing of the one before stays."""
    global _cold
    logger.structure_logs(requestId=context.aws_request_id, coldStart=_cold, service=SERVICE, **keys)
    _cold = False


def failure(message, error):
    """Write the one line of an exception that is being handled."""
    logger.error(message, extra={"errorType": type(error).__name__, "stack": traceback.format_exc()})


def accepted(refund_cents):
    """Count an accepted return."""
    metrics = Metrics(namespace=os.environ["METRICS_NAMESPACE"], service=SERVICE)
    metrics.add_metric("ReturnsAccepted", MetricUnit.Count, 1)
    metrics.add_metric("RefundAmount", MetricUnit.NoUnit, refund_cents)
    metrics.flush_metrics()


def rejected(reason):
    """Count a rejected return by its reason."""
    with single_metric(
        "ReturnsRejected", MetricUnit.Count, 1, namespace=os.environ["METRICS_NAMESPACE"]
    ) as metric:
        metric.add_dimension("service", SERVICE)
        metric.add_dimension("Reason", reason)
