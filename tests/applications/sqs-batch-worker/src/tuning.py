"""Runs a function with several memory sizes and says which is cheapest."""

import base64
import json
import re

import boto3

client = boto3.client("lambda")
PRICE_PER_MS_OF_128_MB = 2.1e-9


def initializer(event, context):
    """One version and alias for each memory size; afterwards the function is as it was."""
    function, values = event["lambdaARN"], event["powerValues"]
    before = client.get_function_configuration(FunctionName=function)["MemorySize"]
    for value in values:
        client.update_function_configuration(FunctionName=function, MemorySize=value)
        client.get_waiter("function_updated_v2").wait(FunctionName=function)
        version = client.publish_version(FunctionName=function, Description=f"{value} MB")["Version"]
        client.create_alias(FunctionName=function, FunctionVersion=version, Name=f"RAM{value}")
    client.update_function_configuration(FunctionName=function, MemorySize=before)
    return values


def executor(event, context):
    value = int(event["value"])
    durations = []
    for _ in range(event["num"]):
        answer = client.invoke(
            FunctionName=event["lambdaARN"],
            Qualifier=f"RAM{value}",
            Payload=json.dumps(event["payload"]),
            LogType="Tail",
        )
        if "FunctionError" in answer:
            raise RuntimeError(answer["Payload"].read().decode())
        durations.append(billed_ms(base64.b64decode(answer["LogResult"]).decode()))
    average = sum(durations) / len(durations)
    return {"value": value, "averageDuration": average, "averagePrice": average * cost_per_ms(value)}


def billed_ms(log):
    report = next(line for line in log.splitlines() if line.startswith("REPORT"))
    return int(re.search(r"\tBilled Duration: (\d+) ms", report)[1])


def cost_per_ms(memory):
    return PRICE_PER_MS_OF_128_MB * memory / 128


def cleaner(event, context):
    function = event["lambdaARN"]
    for value in event["powerValues"]:
        try:
            alias = client.get_alias(FunctionName=function, Name=f"RAM{value}")
        except client.exceptions.ResourceNotFoundException:
            continue
        client.delete_alias(FunctionName=function, Name=alias["Name"])
        client.delete_function(FunctionName=function, Qualifier=alias["FunctionVersion"])


def analyzer(event, context):
    cheapest = min(event["stats"], key=lambda stat: (stat["averagePrice"], stat["value"]))
    return {"power": cheapest["value"], "cost": cheapest["averagePrice"], "stats": event["stats"]}
