"""Filter patterns, row by row from the examples of AWS's documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.telemetry.pattern_conditions import BadPattern
from sandbox.emulator.telemetry.patterns import read_pattern

LOGS = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs"
TERMS = f"{LOGS}/matching-terms-unstructured-log-events.html"
JSON = f"{LOGS}/matching-terms-json-log-events.html"
SPACES = f"{LOGS}/matching-terms-space-delimited-log-events.html"
REGEX = f"{LOGS}/regex-expressions.html"
# The page as it was before it was split, which has examples of its own.
OLDER = "https://github.com/awsdocs/amazon-cloudwatch-logs-user-guide/blob/1487b94/doc_source/FilterAndPatternSyntax.md"

TRAIL = json.dumps(
    {
        "eventType": "UpdateTrail",
        "sourceIPAddress": "111.111.111.111",
        "arrayKey": ["value", "another value"],
        "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
        "SomeObject": None,
        "ThisFlag": True,
        "cluster.name": "c",
    }
)
PEOPLE = json.dumps(
    {
        "user": {"id": 1, "email": "John.Stiles@example.com"},
        "users": [{"id": 2, "email": "John.Doe@example.com"}, {"id": 3, "email": "Jane.Doe@example.com"}],
        "actions": ["GET", "PUT", "DELETE"],
        "coordinates": [[0, 1, 2], [4, 5, 6], [7, 8, 9]],
    }
)
NUMBERS = json.dumps(
    {
        "latency": 500,
        "numbers": [1e-3, 2],
        "errorCode": 400,
        "bandwidth": 75,
        "processes": [{}, {"runtime": 55.5}],
    }
)
FRANK = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 200 1534'
LOST = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'
BROKEN = '127.0.0.1 - frank [10/Oct/2000:13:35:22 -0700] "GET /apache_pb.gif HTTP/1.0" 500 5324'

# (source, pattern, messages that match, messages that do not)
ROWS: list[tuple[str, str, list[str], list[str]]] = [
    (TERMS, "", ["anything"], []),
    (TERMS, '""', ["anything"], []),
    (TERMS, "ERROR", ["[ERROR 400] BAD REQUEST", "Exiting with ERRORCODE: -1"], ["[WARN] slow", "error"]),
    (TERMS, "ERROR ARGUMENTS", ["[ERROR 419] MISSING ARGUMENTS"], ["[ERROR 400] BAD REQUEST"]),
    (TERMS, "?ERROR ?ARGUMENTS", ["[ERROR 400] BAD REQUEST", "MISSING ARGUMENTS"], ["fine"]),
    (
        TERMS,
        '"INTERNAL SERVER ERROR"',
        ["[ERROR 500] INTERNAL SERVER ERROR"],
        ["ERROR of the INTERNAL SERVER"],
    ),
    (TERMS, "ERROR -ARGUMENTS", ["[ERROR 400] BAD REQUEST"], ["[ERROR 419] MISSING ARGUMENTS"]),
    (OLDER, '"ERROR" - "Exiting"', ["[ERROR] A fatal exception"], ["Exiting with ERRORCODE: -1"]),
    (OLDER, "ERROR Exception", ["[ERROR] Caught IllegalArgumentException"], ["[ERROR] fine"]),
    (
        OLDER,
        "Failed to process the request",
        ["[ERROR] Unable to continue: Failed to process the request"],
        ["Failed to process"],
    ),
    (OLDER, "?ERROR ?WARN", ["ERROR WARN message", "ERROR message", "WARN message"], ["message"]),
    (OLDER, "ERROR WARN", ["ERROR WARN message"], ["ERROR message", "WARN message"]),
    (OLDER, "ERROR -WARN", ["ERROR message"], ["ERROR WARN message", "WARN message"]),
    (
        REGEX,
        "%AUTHORIZED%",
        ["[ERROR 401] UNAUTHORIZED REQUEST", "[SUCCESS 200] AUTHORIZED REQUEST"],
        ["REQUEST"],
    ),
    (REGEX, "%\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}%", ["from 10.0.0.1"], ["from 10.0.0"]),
    (REGEX, "%[Ee]rror|[Ff]ail%", ["Error", "fail"], ["ERROR"]),
    (REGEX, "%^[hc]at%", ["hat", "cat"], ["a hat"]),
    (REGEX, "%[hc]at$%", ["a hat", "cat"], ["hats"]),
    (REGEX, "%colou?r%", ["color", "colour"], ["colouur"]),
    (REGEX, "%[abcx-z]%", ["a", "y"], ["d"]),
    (REGEX, "%^a{3,5}$%", ["aaa", "aaaaa"], ["aa", "aaaaaa"]),
    (REGEX, "%gra|ey%", ["gra", "grey"], ["gry"]),
    (REGEX, "%10\\.10\\.0\\.1%", ["10.10.0.1"], ["10x10.0.1"]),
    (JSON, '{ $.eventType = "UpdateTrail" }', [TRAIL], [PEOPLE, "UpdateTrail"]),
    (JSON, "{ $.eventType = UpdateTrail }", [TRAIL], [PEOPLE]),
    (JSON, '{ $.eventType = "*Trail" }', [TRAIL], ['{"eventType": "TrailUpdate"}']),
    (JSON, "{ $.eventType = %Trail% }", [TRAIL], ['{"eventType": "Update"}']),
    (JSON, "{ $.sourceIPAddress != 123.123.* }", [TRAIL], ['{"sourceIPAddress": "123.123.1.1"}']),
    (JSON, "{ $.sourceIPAddress = %^111.% }", [TRAIL], ['{"sourceIPAddress": "10.111.1.1"}']),
    (JSON, '{ $.arrayKey[0] = "value" }', [TRAIL], ['{"arrayKey": "value"}']),
    (JSON, "{ $.objectList[1].id = 2 }", [TRAIL], ['{"objectList": [1, 2]}']),
    (JSON, "{ $.SomeObject IS NULL }", [TRAIL], [PEOPLE]),
    (JSON, "{ $.SomeOtherObject NOT EXISTS }", [TRAIL], ['{"SomeOtherObject": 1}']),
    (JSON, "{ $.ThisFlag IS TRUE }", [TRAIL], ['{"ThisFlag": false}']),
    (JSON, "{ $.ThisFlag IS FALSE }", ['{"ThisFlag": false}'], [TRAIL]),
    (JSON, "{ $.['cluster.name'] = c }", [TRAIL], [PEOPLE]),
    (JSON, '{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }', [PEOPLE], [TRAIL]),
    (JSON, '{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }', [], [PEOPLE]),
    (
        JSON,
        '{ $.user.email = "John.Stiles@example.com" || '
        "$.coordinates[0][1] = nonmatch && $.actions[2] = nonmatch }",
        [PEOPLE],
        [],
    ),
    (
        JSON,
        '{ ($.user.email = "John.Stiles@example.com" || '
        "$.coordinates[0][1] = nonmatch) && $.actions[2] = nonmatch }",
        [],
        [PEOPLE],
    ),
    (JSON, "{ $.coordinates[0][1] = 1 }", [PEOPLE], []),
    (JSON, "{ $.bandwidth > 75 }", ['{"bandwidth": 76}'], [NUMBERS]),
    (JSON, "{ $.latency < 500 }", ['{"latency": 499.5}'], [NUMBERS]),
    (JSON, "{ $.latency >= 500 }", [NUMBERS], ['{"latency": 499}']),
    (JSON, "{ $.processes[1].runtime <= 55.5 }", [NUMBERS], []),
    (JSON, "{ $.numbers[0] = 1e-3 }", [NUMBERS], []),
    (JSON, "{ $.numbers[0] != 1e+3 }", [NUMBERS], []),
    (JSON, "{ $.numbers[0] < 10e3 }", [NUMBERS], ['{"numbers": [10001]}']),
    (JSON, "{ $.errorCode = 400 }", [NUMBERS], ['{"errorCode": 401}']),
    (JSON, "{ $.errorCode != 500 }", [NUMBERS], ['{"errorCode": 500}']),
    (JSON, "{ $.latency > +1000 }", ['{"latency": 1001}'], [NUMBERS]),
    (JSON, "{ $.latency = * }", [NUMBERS], [TRAIL]),
    (OLDER, "{ $.users = 1 }", [], ['{"users": [1, 2, 3]}']),
    (OLDER, "{ $.users != 1 }", [], ['{"users": [1, 2, 3]}']),
    (OLDER, '{ $.users != "a" }', [], ['{"users": ["b"]}', '{"users": {"a": 1}}']),
    (OLDER, "{ $.name = *Event }", ['{"name": "PutEvent"}', '{"name": "GetEvent"}'], ['{"name": "EventId"}']),
    (
        OLDER,
        "{ $.name = Event* }",
        ['{"name": "EventId"}', '{"name": "EventName"}'],
        ['{"name": "PutEvent"}'],
    ),
    (OLDER, '{ $.name = "Ev*ent" }', ['{"name": "Ev*ent"}'], ['{"name": "Evxent"}']),
    (OLDER, "{$.foo = bar}", ['{"foo": "bar"}'], ['{"foo": "baz"}']),
    (OLDER, "{$.foo = bar || $.foo = baz }", ['{"foo": "bar"}', '{"foo": "baz"}'], ['{"foo": "qux"}']),
    (
        SPACES,
        "[ip, user, username, timestamp, request, status_code, bytes]",
        [FRANK, BROKEN],
        ["ERROR message"],
    ),
    (SPACES, "[..., status_code, bytes]", [FRANK], ["one"]),
    (SPACES, "[ip, user, ..., status_code, bytes]", [FRANK], ["one two three"]),
    (SPACES, "[ip, user, ...]", [FRANK], ["one"]),
    (SPACES, "[ip, user, username, timestamp, request, status_code, bytes > 1534]", [BROKEN], [FRANK]),
    (SPACES, "[ip, user, username, timestamp, request, status_code = 200, bytes]", [FRANK], [BROKEN]),
    (SPACES, "[ip, user, username, timestamp, request, status_code = 4*, bytes]", [LOST], [FRANK, BROKEN]),
    (SPACES, "[ip, user, username, timestamp, request =*.html*, status_code = 4*, bytes]", [LOST], [BROKEN]),
    (SPACES, "[ip, user, username, timestamp, request, status_code = 4* && bytes > 1000]", [], [LOST]),
    (
        SPACES,
        "[ip, user, username, timestamp, request, status_code = 4* && status_code != 403, bytes]",
        [LOST],
        [FRANK],
    ),
    (SPACES, "[..., request=*.html*, status_code=4*,]", [LOST], [FRANK]),
    (SPACES, "[ip=%127\\.0\\.0\\.[1-9]%, ...]", [FRANK], ["10.0.0.1 x"]),
    (SPACES, "[ip=%^[0-9]{1,3}\\.%, ..., status_code=%^5[0-9]{2}$%, bytes]", [BROKEN], [FRANK]),
    (SPACES, "[w1=ERROR, w2]", ["ERROR message"], ["ERROR WARN message", "WARN message"]),
    (SPACES, "[w1=ERROR || w1=WARN, w2]", ["ERROR message", "WARN message"], ["INFO message"]),
    (SPACES, "[w1!=ERROR && w1!=WARN, w2]", ["INFO message"], ["ERROR message", "WARN message"]),
    (SPACES, "[w1=%ERROR%, w2]", ["XERRORX message"], ["WARN message"]),
]


@pytest.mark.parametrize(
    ("source", "pattern", "matching", "others"), ROWS, ids=[pattern or "empty" for _, pattern, _, _ in ROWS]
)
def test_the_documented_examples(source: str, pattern: str, matching: list[str], others: list[str]) -> None:
    read = read_pattern(pattern)
    found = [[message for message in group if read.matches(message)] for group in (matching, others)]
    assert found == [matching, []], source


# (source, pattern, what is said)
BAD: list[tuple[str, str, str]] = [
    (TERMS, "[ERROR]: failed", "Invalid filter pattern"),
    (TERMS, "user@example.com", "Invalid character.s. in term 'user@example.com'"),
    (TERMS, "RequestId:", "Invalid character.s. in term 'RequestId:'"),
    (REGEX, "%something!%", "the character '!' at position 9"),
    (REGEX, "%(a|b)%", "the character '.' at position 0"),
    (REGEX, "%two words%", "the character ' ' at position 3"),
    (REGEX, "%[%", "Invalid regular expression"),
    (REGEX, "{ $.a = %x% && $.b = %y% && $.c = %z% }", "3 regular expressions, at most 2"),
    (REGEX, "[a=%x%, b=%y%, c=%z%]", "3 regular expressions, at most 2"),
    (JSON, "{ status = 401 }", "the selector 'status' has to begin with"),
    (JSON, "{ $.a", "Invalid filter pattern"),
    (JSON, "{ $.a > }", "Invalid filter pattern"),
    (JSON, "{ $.a ~ 1 }", "Invalid filter pattern"),
    (JSON, "{ $.a = 1 && }", "Invalid filter pattern"),
    (JSON, "{ ($.a = 1 }", "Invalid filter pattern"),
    (JSON, '{ $.a > "many" }', "'many' is not a number"),
    (SPACES, "[a, b", "Invalid filter pattern"),
    (SPACES, "[..., a, ...]", "Invalid filter pattern"),
    (SPACES, "[a b]", "Invalid filter pattern"),
]


@pytest.mark.parametrize(("source", "pattern", "says"), BAD, ids=[pattern for _, pattern, _ in BAD])
def test_what_is_no_pattern(source: str, pattern: str, says: str) -> None:
    with pytest.raises(BadPattern, match=says):
        read_pattern(pattern)


def test_trying_a_pattern_tells_what_was_extracted(watch: Any) -> None:
    """Source: the example of OLDER for space-delimited events, and API_TestMetricFilter."""

    def extracted(pattern: str, *messages: str) -> list[tuple[int, dict[str, str]]]:
        found = watch.logs.test_metric_filter(filterPattern=pattern, logEventMessages=list(messages))
        return [(match["eventNumber"], match["extractedValues"]) for match in found["matches"]]

    assert extracted("[..., request=*.html*, status_code=4*,]", FRANK, LOST) == [
        (
            2,
            {
                "$1": "127.0.0.1",
                "$2": "-",
                "$3": "frank",
                "$4": "10/Oct/2000:13:25:15 -0700",
                "$request": "GET /index.html HTTP/1.0",
                "$status_code": "404",
                "$7": "1534",
            },
        )
    ]
    assert extracted("{ $.ThisFlag IS TRUE && $.objectList[0].id = 1 }", TRAIL) == [
        (1, {"$.ThisFlag": "true", "$.objectList[0].id": "1"})
    ]
    assert extracted("ERROR", "fine", "an ERROR") == [(2, {})]


def test_whoever_takes_a_pattern_refuses_what_is_none(watch: Any) -> None:
    logs = watch.logs
    logs.create_log_group(logGroupName="/app")
    metric = [{"metricNamespace": "S", "metricName": "N", "metricValue": "1"}]
    arn = "arn:aws:lambda:eu-north-1:111122223333:function:f"
    for refused in (
        lambda: logs.put_metric_filter(
            logGroupName="/app", filterName="f", filterPattern="{ $.a", metricTransformations=metric
        ),
        lambda: logs.put_subscription_filter(
            logGroupName="/app", filterName="f", filterPattern="{ $.a", destinationArn=arn
        ),
        lambda: logs.filter_log_events(logGroupName="/app", filterPattern="{ $.a"),
        lambda: logs.test_metric_filter(filterPattern="{ $.a", logEventMessages=["x"]),
    ):
        with pytest.raises(ClientError) as caught:
            refused()
        assert caught.value.response["Error"]["Code"] == "InvalidParameterException"
