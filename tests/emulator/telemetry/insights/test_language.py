"""The query language, row by row against AWS's reference; each row names the page that it is from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from sandbox.emulator.telemetry.insights.events import Event
from sandbox.emulator.telemetry.insights.pipeline import run
from sandbox.emulator.telemetry.insights.reader import NotEvaluated, read_query
from sandbox.emulator.telemetry.insights.scanner import Malformed

LOGS = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs"
SYNTAX = f"{LOGS}/CWL_QuerySyntax.html"
FIELDS = f"{LOGS}/CWL_QuerySyntax-Fields.html"
DISPLAY = f"{LOGS}/CWL_QuerySyntax-Display.html"
FILTER = f"{LOGS}/CWL_QuerySyntax-Filter.html"
PARSE = f"{LOGS}/CWL_QuerySyntax-Parse.html"
STATS = f"{LOGS}/CWL_QuerySyntax-Stats.html"
SORT = f"{LOGS}/CWL_QuerySyntax-Sort.html"
LIMIT = f"{LOGS}/CWL_QuerySyntax-Limit.html"
DEDUP = f"{LOGS}/CWL_QuerySyntax-Dedup.html"
UNMASK = f"{LOGS}/CWL_QuerySyntax-Unmask.html"
ALIAS = f"{LOGS}/CWL_QuerySyntax-alias.html"
FUNCTIONS = f"{LOGS}/CWL_QuerySyntax-operations-functions.html"
DISCOVERED = f"{LOGS}/CWL_AnalyzeLogData-discoverable-fields.html"
EXAMPLES = f"{LOGS}/CWL_QuerySyntax-examples.html"
COMMENTS = f"{LOGS}/CWL_AnalyzeLogData-Commenting.html"

# 2026-11-25T10:17:31.250Z, a Wednesday
AT = 1_795_601_851_250
REQUEST = "3c4f5a2e-7a3b-4a51-9d8c-0a1b2c3d4e5f"
REPORT = (
    f"REPORT RequestId: {REQUEST}\tDuration: 12.34 ms\tBilled Duration: 113 ms\tMemory Size: 128 MB\t"
    "Max Memory Used: 47 MB\tInit Duration: 100.01 ms\t\n"
    "XRAY TraceId: 1-5e34a614-10bdxmplf1fb44f07bc535a1\tSegmentId: 07f5xmpl2d1f6f85\tSampled: true\t"
)
TRAIL = json.dumps(
    {
        "eventVersion": "1.0",
        "userIdentity": {"type": "IAMUser", "userName": "Alice"},
        "eventName": "StartInstances",
        "requestParameters": {"instancesSet": {"items": [{"instanceId": "i-abcde123"}]}},
        "@odd": "x",
        "code": 0,
        "cost": 12.345678,
        "ok": True,
        "gone": None,
        "special": {"a.b": 1},
        "foo-bar": "dash",
        "text": '{"list":[10,{"deep":"yes"}],"special.char":7}',
        "ip": "192.0.2.44",
        "ip6": "2001:db8::5",
        "blank": "  ",
        "empty": "",
        "n": "12",
    }
)


def ask(query: str, messages: Sequence[str], *, group: str = "/app", limit: int | None = None) -> Any:
    """A query's rows as dictionaries, without pointers; each message is a minute after the one before."""
    events = [
        Event("111122223333", group, "stream", message, AT + 60_000 * index, AT + 5, f"ptr-{index}")
        for index, message in enumerate(messages)
    ]
    rows = run(read_query(query), events, AT + 3_600_000, limit).rows
    return [{each["field"]: each["value"] for each in row if each["field"] != "@ptr"} for row in rows]


# (source, expression, what it gives for TRAIL)
EXPRESSIONS: list[tuple[str, str, str | None]] = [
    (FUNCTIONS, "2 + 3", "5"),
    (FUNCTIONS, "2 - 3", "-1"),
    (FUNCTIONS, "2 * 3.5", "7"),
    (FUNCTIONS, "7 / 2", "3.5"),
    (FUNCTIONS, "1 / 3", "0.3333"),
    (FUNCTIONS, "1 / 0", None),
    (FUNCTIONS, "2 ^ 3", "8"),
    (FUNCTIONS, "10 % 3", "1"),
    (FUNCTIONS, "1 + 2 * 3", "7"),
    (FUNCTIONS, "(1 + 2) * 3", "9"),
    (FUNCTIONS, "-n + 1", "-11"),
    (FUNCTIONS, "missing + 1", None),
    (FUNCTIONS, "9 ^ 9 ^ 9", None),
    (FUNCTIONS, "fromMillis(1e300)", None),
    (FUNCTIONS, "dateceil(fromMillis(253402300799000), 1y)", None),
    (FUNCTIONS, '"9e999" + 1', None),
    (FUNCTIONS, "eventName + 1", None),
    (FUNCTIONS, "1 = 1.0", "1"),
    (FUNCTIONS, 'n = "12"', "1"),
    (FUNCTIONS, "n = 12", "1"),
    (FUNCTIONS, "n > 9", "1"),
    (FUNCTIONS, "n != 12", "0"),
    (FUNCTIONS, "n <= 12", "1"),
    (FUNCTIONS, "n < 12", "0"),
    (FUNCTIONS, "n >= 13", "0"),
    (FUNCTIONS, 'eventName = "StartInstances"', "1"),
    (FUNCTIONS, "eventName = 'startinstances'", "0"),
    (FUNCTIONS, "missing > 0", "0"),
    (FUNCTIONS, "n = 12 and code = 1", "0"),
    (FUNCTIONS, "n = 12 or code = 1", "1"),
    (FUNCTIONS, "not (n = 12)", "0"),
    (FUNCTIONS, "n = 1 or n = 12 and not code = 1", "1"),
    (FUNCTIONS, "abs(-3.5)", "3.5"),
    (FUNCTIONS, "ceil(1.2)", "2"),
    (FUNCTIONS, "floor(1.8)", "1"),
    (FUNCTIONS, "floor(-1.2)", "-2"),
    (FUNCTIONS, "greatest(1, n, 3)", "12"),
    (FUNCTIONS, "least(4, n, 3)", "3"),
    (FUNCTIONS, "log(1)", "0"),
    (FUNCTIONS, "log(0)", None),
    (FUNCTIONS, "sqrt(16)", "4"),
    (FUNCTIONS, "sqrt(-1)", None),
    (FUNCTIONS, "abs(eventName)", None),
    (FUNCTIONS, "bin(5m)", "2026-11-25 10:15:00.000"),
    (FUNCTIONS, "bin(30s)", "2026-11-25 10:17:30.000"),
    (FUNCTIONS, "bin(500ms)", "2026-11-25 10:17:31.000"),
    (FUNCTIONS, "bin(1h)", "2026-11-25 10:00:00.000"),
    (FUNCTIONS, "bin(2hrs)", "2026-11-25 10:00:00.000"),
    (FUNCTIONS, "bin(1d)", "2026-11-25 00:00:00.000"),
    (FUNCTIONS, "bin(1w)", "2026-11-23 00:00:00.000"),
    (FUNCTIONS, "bin(1mo)", "2026-11-01 00:00:00.000"),
    (FUNCTIONS, "bin(1quarter)", "2026-10-01 00:00:00.000"),
    (FUNCTIONS, "bin(1y)", "2026-01-01 00:00:00.000"),
    (FUNCTIONS, "datefloor(@timestamp, 1h)", "2026-11-25 10:00:00.000"),
    (FUNCTIONS, "dateceil(@timestamp, 1h)", "2026-11-25 11:00:00.000"),
    (FUNCTIONS, "dateceil(@timestamp, 1mo)", "2026-12-01 00:00:00.000"),
    (FUNCTIONS, "dateceil(fromMillis(3600000), 1h)", "1970-01-01 01:00:00.000"),
    (FUNCTIONS, "fromMillis(0)", "1970-01-01 00:00:00.000"),
    (FUNCTIONS, "toMillis(@timestamp)", str(AT)),
    (FUNCTIONS, "now()", str((AT + 3_600_000) // 1000)),
    (FUNCTIONS, "@timestamp - 250", "2026-11-25 10:17:31.000"),
    (FUNCTIONS, "ispresent(eventName)", "1"),
    (FUNCTIONS, "isPresent(missing)", "0"),
    (FUNCTIONS, "ispresent(gone)", "0"),
    (FUNCTIONS, "coalesce(missing, gone, eventName)", "StartInstances"),
    (FUNCTIONS, "jsonParse(text)", '{"list":[10,{"deep":"yes"}],"special.char":7}'),
    (FUNCTIONS, "jsonParse(eventName)", None),
    (FUNCTIONS, "jsonStringify(jsonParse(text))", '{"list":[10,{"deep":"yes"}],"special.char":7}'),
    (FUNCTIONS, "isValidIp(ip)", "1"),
    (FUNCTIONS, "isValidIp(eventName)", "0"),
    (FUNCTIONS, "isValidIpV4(ip6)", "0"),
    (FUNCTIONS, "isValidIpV6(ip6)", "1"),
    (FUNCTIONS, 'isIpInSubnet(ip, "192.0.2.0/24")', "1"),
    (FUNCTIONS, 'isIpInSubnet(ip6, "2001:db8::/32")', "1"),
    (FUNCTIONS, 'isIpv4InSubnet(ip, "10.0.0.0/8")', "0"),
    (FUNCTIONS, 'isIpv4InSubnet(ip, "192.0.2.0/24")', "1"),
    (FUNCTIONS, 'isIpv6InSubnet(ip6, "2001:db8::/32")', "1"),
    (FUNCTIONS, 'isIpv6InSubnet(ip, "2001:db8::/32")', "0"),
    (FUNCTIONS, "isempty(missing)", "1"),
    (FUNCTIONS, "isempty(empty)", "1"),
    (FUNCTIONS, "isempty(blank)", "0"),
    (FUNCTIONS, "isblank(blank)", "1"),
    (FUNCTIONS, "isblank(eventName)", "0"),
    (FUNCTIONS, 'concat(eventName, "-", n)', "StartInstances-12"),
    (FUNCTIONS, 'ltrim("xyZfooxyZ", "xyZ")', "fooxyZ"),
    (FUNCTIONS, 'rtrim("xyZfooxyZ", "xyZ")', "xyZfoo"),
    (FUNCTIONS, 'trim("xyZfooxyZ", "xyZ")', "foo"),
    (FUNCTIONS, 'trim("  foo ")', "foo"),
    (FUNCTIONS, 'strlen("Grüße")', "5"),
    (FUNCTIONS, 'toupper("Grüße")', "GRÜSSE"),
    (FUNCTIONS, "tolower(eventName)", "startinstances"),
    (FUNCTIONS, 'substr("xyZfooxyZ", 3)', "fooxyZ"),
    (FUNCTIONS, 'substr("xyZfooxyZ", 3, 3)', "foo"),
    (FUNCTIONS, 'replace("foo", "o", "0")', "f00"),
    (FUNCTIONS, 'strcontains(eventName, "Inst")', "1"),
    (FUNCTIONS, 'strcontains(eventName, "inst")', "0"),
    (FILTER, 'eventName like "Start"', "1"),
    (FILTER, "eventName like /^start/", "0"),
    (FILTER, "eventName like /(?i)^start/", "1"),
    (FILTER, "eventName =~ /^(?i)startinstances$/", "1"),
    (FILTER, 'eventName =~ "Instances"', "1"),
    (FILTER, "eventName not like /Stop/", "1"),
    (FILTER, 'eventName in ["StopInstances", "StartInstances"]', "1"),
    (FILTER, "n in [1, 12]", "1"),
    (FILTER, "n not in [1, 12]", "0"),
    (DISCOVERED, "userIdentity.type", "IAMUser"),
    (DISCOVERED, "requestParameters.instancesSet.items.0.instanceId", "i-abcde123"),
    (DISCOVERED, "requestParameters.instancesSet.items[0].instanceId", "i-abcde123"),
    (DISCOVERED, "@@odd", "x"),
    (DISCOVERED, "code", "0"),
    (DISCOVERED, "cost", "12.345678"),
    (DISCOVERED, "ok", "1"),
    (DISCOVERED, "ok = true", "1"),
    (DISCOVERED, "@log", "111122223333:/app"),
    (DISCOVERED, "@logStream", "stream"),
    (DISCOVERED, "@timestamp", "2026-11-25 10:17:31.250"),
    (DISCOVERED, "@ingestionTime", "2026-11-25 10:17:31.255"),
    (DISCOVERED, "@message", TRAIL),
    (SYNTAX, "`foo-bar`", "dash"),
    (SYNTAX, "special.`a.b`", "1"),
]


@pytest.mark.parametrize(
    ("source", "expression", "value"), EXPRESSIONS, ids=[expression for _, expression, _ in EXPRESSIONS]
)
def test_an_expression(source: str, expression: str, value: str | None) -> None:
    [row] = ask(f"fields {expression} as value", [TRAIL])
    assert row.get("value") == value, source


USERS = ["user=ann, method:GET, latency := 10", "user=bob, method:PUT, latency := 30", "nothing to see"]
FLOW = [
    json.dumps(each)
    for each in (
        {"srcAddr": "192.0.2.1", "dstAddr": "a", "packets": 10, "server": "x"},
        {"srcAddr": "192.0.2.1", "dstAddr": "b", "packets": 20, "server": "y"},
        {"srcAddr": "10.0.0.7", "dstAddr": "a", "packets": 5, "server": "x"},
        {"srcAddr": "10.0.0.7", "dstAddr": "a", "packets": 1},
    )
]
STRUCTURE = "jsonParse(text) as held | display held.list[0], held.list.1.deep, held.`special.char`"

# (source, query, messages, rows)
QUERIES: list[tuple[str, str, list[str], list[dict[str, str]]]] = [
    (FIELDS, "fields a, abs(b - c)", ['{"a": 1, "b": 2, "c": 5}'], [{"a": "1", "abs(b - c)": "3"}]),
    (FIELDS, "fields packets | fields dstAddr | limit 1", FLOW, [{"packets": "1", "dstAddr": "a"}]),
    (FIELDS, "fields missing, packets | limit 1", FLOW, [{"packets": "1"}]),
    (ALIAS, "fields packets * 2 as twice | limit 1", FLOW, [{"twice": "2"}]),
    (ALIAS, "stats avg(packets) as mean | sort mean desc", FLOW, [{"mean": "9"}]),
    (ALIAS, "fields packets as p | filter p = 20", FLOW, [{"p": "20"}]),
    (DISPLAY, "fields packets, dstAddr | display dstAddr | limit 1", FLOW, [{"dstAddr": "a"}]),
    (DISPLAY, "display packets | display dstAddr | limit 1", FLOW, [{"dstAddr": "a"}]),
    (
        FUNCTIONS,
        f"fields {STRUCTURE}",
        [TRAIL],
        [{"held.list.0": "10", "held.list.1.deep": "yes", "held.special.char": "7"}],
    ),
    (FILTER, "fields packets | filter packets > 5 and dstAddr = 'a'", FLOW, [{"packets": "10"}]),
    (FILTER, "fields packets | filter (packets > 5) | filter packets < 15", FLOW, [{"packets": "10"}]),
    (FILTER, "fields packets | filter not ispresent(server)", FLOW, [{"packets": "1"}]),
    (FILTER, "filter @message like /nothing/ | fields strlen(@message) as n", USERS, [{"n": "14"}]),
    (FILTER, 'filter srcAddr = "10.0.0.7" or packets = 20 | stats count(*) as n', FLOW, [{"n": "3"}]),
    (
        PARSE,
        'parse @message "user=*, method:*, latency := *" as @user, @method, @latency | '
        "filter ispresent(@user) | display @user, @method, @latency",
        USERS,
        [
            {"@user": "bob", "@method": "PUT", "@latency": "30"},
            {"@user": "ann", "@method": "GET", "@latency": "10"},
        ],
    ),
    (
        PARSE,
        'parse @message "user=*, method:*, latency := *" as @user, @method, @latency | '
        "stats avg(@latency) by @method, @user | sort @user",
        USERS[:2],
        [
            {"@method": "GET", "@user": "ann", "avg(@latency)": "10"},
            {"@method": "PUT", "@user": "bob", "avg(@latency)": "30"},
        ],
    ),
    (
        PARSE,
        "parse @message /user=(?<user2>.*?), method:(?<method2>.*?),/ | display user2, method2 | limit 2",
        USERS,
        [{}, {"user2": "bob", "method2": "PUT"}],
    ),
    (PARSE, 'parse "user=*," as who | display who | sort who desc | limit 1', USERS, [{"who": "bob"}]),
    (
        PARSE,
        "parse @message /latency := (\\d+)/ as ms | stats max(ms) as slowest",
        USERS,
        [{"slowest": "30"}],
    ),
    (
        PARSE,
        'parse @message "url=*" as url | parse url "/api/*/users/*" as v, id | display v, id',
        ["url=/api/v2/users/7"],
        [{"v": "v2", "id": "7"}],
    ),
    (
        PARSE,
        "parse @message /(?<eni>eni-.*?) / | display eni",
        ["2 1234 eni-00ab 10.0.0.1"],
        [{"eni": "eni-00ab"}],
    ),
    (
        PARSE,
        'fields @message | parse @message "user=*," as who | limit 1 ',
        USERS[:1],
        [{"@message": USERS[0], "who": "ann"}],
    ),
    (STATS, "stats count(*)", FLOW, [{"count(*)": "4"}]),
    (STATS, "stats count()", FLOW, [{"count()": "4"}]),
    (STATS, "stats count(server)", FLOW, [{"count(server)": "3"}]),
    (STATS, "stats count(*)", [], [{"count(*)": "0"}]),
    (STATS, "stats count(*) by dstAddr", [], []),
    (STATS, "stats count_distinct(srcAddr) as n", FLOW, [{"n": "2"}]),
    (
        STATS,
        "stats sum(packets), avg(packets), min(packets), max(packets)",
        FLOW,
        [{"sum(packets)": "36", "avg(packets)": "9", "min(packets)": "1", "max(packets)": "20"}],
    ),
    (STATS, "stats pct(packets, 50) as p50, pct(packets, 99) as p99", FLOW, [{"p50": "5", "p99": "20"}]),
    (STATS, "stats stddev(packets) as s", FLOW[:2], [{"s": "5"}]),
    (
        STATS,
        "stats earliest(packets) as first, latest(packets) as last",
        FLOW,
        [{"first": "10", "last": "1"}],
    ),
    (
        STATS,
        "stats sortsFirst(srcAddr) as low, sortsLast(srcAddr) as high",
        FLOW,
        [{"low": "10.0.0.7", "high": "192.0.2.1"}],
    ),
    (STATS, "stats sum(missing) as s, count(*) as n", FLOW, [{"n": "4"}]),
    (
        STATS,
        "stats sum(packets) as total by srcAddr, dstAddr | sort total desc | limit 2",
        FLOW,
        [
            {"srcAddr": "192.0.2.1", "dstAddr": "b", "total": "20"},
            {"srcAddr": "192.0.2.1", "dstAddr": "a", "total": "10"},
        ],
    ),
    (
        STATS,
        "stats count(*) as n by server | sort n",
        FLOW,
        [{"n": "1"}, {"server": "y", "n": "1"}, {"server": "x", "n": "2"}],
    ),
    (
        STATS,
        "stats count(*) by bin(2m) as t | sort t",
        FLOW,
        [
            {"t": "2026-11-25 10:16:00.000", "count(*)": "1"},
            {"t": "2026-11-25 10:18:00.000", "count(*)": "2"},
            {"t": "2026-11-25 10:20:00.000", "count(*)": "1"},
        ],
    ),
    (
        STATS,
        "stats max(packets) by bin(1h)",
        FLOW,
        [{"bin(1h)": "2026-11-25 10:00:00.000", "max(packets)": "20"}],
    ),
    (
        STATS,
        "stats count(*) as n by strlen(srcAddr) as long | sort long",
        FLOW,
        [{"long": "8", "n": "2"}, {"long": "9", "n": "2"}],
    ),
    (STATS, "stats sum(packets) as total by srcAddr | stats avg(total) as mean", FLOW, [{"mean": "18"}]),
    (
        STATS,
        "stats sum(packets) as total by srcAddr | filter total > 10",
        FLOW,
        [{"srcAddr": "192.0.2.1", "total": "30"}],
    ),
    (
        STATS,
        "stats max(packets) as most, min(packets) as least, most - least as span",
        FLOW,
        [{"most": "20", "least": "1", "span": "19"}],
    ),
    (STATS, "stats sum(packets) / count(*) as mean", FLOW, [{"mean": "9"}]),
    (
        STATS,
        "stats count(*) by dstAddr | sort count(*) desc | limit 1",
        FLOW,
        [{"dstAddr": "a", "count(*)": "3"}],
    ),
    (STATS, "stats sum(packets > 5) as large", FLOW, [{"large": "2"}]),
    (SORT, "fields packets | sort packets", FLOW, [{"packets": each} for each in ("1", "5", "10", "20")]),
    (SORT, "fields packets | sort packets desc | limit 1", FLOW, [{"packets": "20"}]),
    (
        SORT,
        "fields dstAddr, packets | sort dstAddr asc, packets desc",
        FLOW,
        [{"dstAddr": a, "packets": p} for a, p in (("a", "10"), ("a", "5"), ("a", "1"), ("b", "20"))],
    ),
    (
        SORT,
        "parse @message '*' as v | display v | sort v",
        ["9", "10", "b", "a2", "a10"],
        [{"v": each} for each in ("a2", "a10", "b", "9", "10")],
    ),
    (SORT, "fields packets | sort @timestamp asc | limit 1", FLOW, [{"packets": "10"}]),
    (LIMIT, "fields packets | limit 2", FLOW, [{"packets": "1"}, {"packets": "5"}]),
    (SYNTAX, "fields packets | head 1", FLOW, [{"packets": "1"}]),
    (SYNTAX, "fields packets | tail 1", FLOW, [{"packets": "10"}]),
    (
        DEDUP,
        "fields packets, server | sort @timestamp desc | dedup server",
        FLOW,
        [{"packets": "1"}, {"packets": "5", "server": "x"}, {"packets": "20", "server": "y"}],
    ),
    (DEDUP, "fields packets | dedup server, dstAddr | limit 2", FLOW, [{"packets": "1"}, {"packets": "5"}]),
    (UNMASK, "fields packets | unmask packets | limit 1", FLOW, [{"packets": "1"}]),
    (COMMENTS, "# first\nfields packets # a comment | limit 3\n| limit 1", FLOW, [{"packets": "1"}]),
    (COMMENTS, "filter @message like '#1' | fields @message", ["#1", "2"], [{"@message": "#1"}]),
    (
        EXAMPLES,
        "fields @timestamp, @message | sort @timestamp desc | limit 25",
        ["x"],
        [{"@timestamp": "2026-11-25 10:17:31.250", "@message": "x"}],
    ),
    (
        EXAMPLES,
        "filter @message like /Exception/ | stats count(*) as exceptionCount by bin(1h) | "
        "sort exceptionCount desc",
        ["an Exception", "fine", "two Exceptions"],
        [{"bin(1h)": "2026-11-25 10:00:00.000", "exceptionCount": "2"}],
    ),
    (
        EXAMPLES,
        "fields @message | filter @message not like /Exception/",
        ["an Exception", "fine"],
        [{"@message": "fine"}],
    ),
    (
        EXAMPLES,
        'filter isIpv4InSubnet(srcAddr, "192.0.2.0/24") | stats sum(packets) as moved by dstAddr | '
        "sort moved desc | limit 15",
        FLOW,
        [{"dstAddr": "b", "moved": "20"}, {"dstAddr": "a", "moved": "10"}],
    ),
    (
        EXAMPLES,
        'filter eventName="StartInstances" | '
        "fields requestParameters.instancesSet.items.0.instanceId, userIdentity.userName",
        [TRAIL],
        [
            {
                "requestParameters.instancesSet.items.0.instanceId": "i-abcde123",
                "userIdentity.userName": "Alice",
            }
        ],
    ),
    (SYNTAX, "filter @message like 'x'", ["x"], [{"@timestamp": "2026-11-25 10:17:31.250", "@message": "x"}]),
    (SYNTAX, "FIELDS packets | LIMIT 1", FLOW, [{"packets": "1"}]),
]


@pytest.mark.parametrize(
    ("source", "query", "messages", "rows"), QUERIES, ids=[query for _, query, _, _ in QUERIES]
)
def test_a_query(source: str, query: str, messages: list[str], rows: list[dict[str, str]]) -> None:
    assert ask(query, messages) == rows, source


# (source, query, rows) of a Lambda function's log
LAMBDA_LINES = [
    f"START RequestId: {REQUEST} Version: $LATEST",
    f"2026-11-25T10:17:31.250Z\t{REQUEST}\tINFO\t" + '{"order": {"id": 7}} {"order": {"id": 8}}',
    f"[ERROR]\t2026-11-25T10:17:31.250Z\t{REQUEST}\tbroken",
    f"2026-11-25T10:17:31.250Z {REQUEST} Task timed out after 3.00 seconds",
    f"END RequestId: {REQUEST}",
    REPORT,
]
OF_LAMBDA: list[tuple[str, str, list[dict[str, str]]]] = [
    (
        DISCOVERED,
        "filter @type = 'REPORT' | fields @requestId, @duration, @billedDuration, @initDuration",
        [{"@requestId": REQUEST, "@duration": "12.34", "@billedDuration": "113", "@initDuration": "100.01"}],
    ),
    (
        DISCOVERED,
        "filter @type = 'REPORT' | fields @memorySize, @maxMemoryUsed",
        [{"@memorySize": "128000000", "@maxMemoryUsed": "47000000"}],
    ),
    (
        DISCOVERED,
        "filter ispresent(@xrayTraceId) | fields @xrayTraceId, @xraySegmentId",
        [{"@xrayTraceId": "1-5e34a614-10bdxmplf1fb44f07bc535a1", "@xraySegmentId": "07f5xmpl2d1f6f85"}],
    ),
    (
        DISCOVERED,
        "stats count(*) as n by @type | sort n desc, @type",
        [{"n": "3"}, {"@type": "END", "n": "1"}, {"@type": "REPORT", "n": "1"}, {"@type": "START", "n": "1"}],
    ),
    (DISCOVERED, "stats count(*) by @requestId", [{"@requestId": REQUEST, "count(*)": "6"}]),
    (DISCOVERED, "filter ispresent(order.id) | fields order.id", [{"order.id": "7"}]),
    (
        EXAMPLES,
        'filter @type = "REPORT" | stats max(@memorySize / 1000 / 1000) as provisonedMemoryMB, '
        "min(@maxMemoryUsed / 1000 / 1000) as smallestMemoryRequestMB, "
        "avg(@maxMemoryUsed / 1000 / 1000) as avgMemoryUsedMB, "
        "max(@maxMemoryUsed / 1000 / 1000) as maxMemoryUsedMB, "
        "provisonedMemoryMB - maxMemoryUsedMB as overProvisionedMB",
        [
            {
                "provisonedMemoryMB": "128",
                "smallestMemoryRequestMB": "47",
                "avgMemoryUsedMB": "47",
                "maxMemoryUsedMB": "47",
                "overProvisionedMB": "81",
            }
        ],
    ),
    (
        EXAMPLES,
        'filter @type = "REPORT" | stats avg(@duration), max(@duration), min(@duration) by bin(5m)',
        [
            {
                "bin(5m)": "2026-11-25 10:20:00.000",
                "avg(@duration)": "12.34",
                "max(@duration)": "12.34",
                "min(@duration)": "12.34",
            }
        ],
    ),
    (
        EXAMPLES,
        "filter @message like /Task timed out/ | stats count() by bin(30m)",
        [{"bin(30m)": "2026-11-25 10:00:00.000", "count()": "1"}],
    ),
    (
        EXAMPLES,
        "filter @type = 'REPORT' | fields @requestId, @billedDuration | sort by @billedDuration desc",
        [{"@requestId": REQUEST, "@billedDuration": "113"}],
    ),
]


@pytest.mark.parametrize(("source", "query", "rows"), OF_LAMBDA, ids=[query for _, query, _ in OF_LAMBDA])
def test_a_query_of_a_functions_log(source: str, query: str, rows: list[dict[str, str]]) -> None:
    assert ask(query, LAMBDA_LINES, group="/aws/lambda/shop") == rows, source


def test_a_text_that_only_begins_as_json_has_no_fields_of_its_own() -> None:
    """Only in a function's log a fragment is enough. Source: see DISCOVERED."""
    assert ask("fields a", ['{"a": 1} and more']) == [{}]
    assert ask("fields a", ['{"a": 1} and more'], group="/aws/lambda/shop") == [{"a": "1"}]


def test_at_most_two_hundred_fields_are_discovered() -> None:
    message = json.dumps({f"f{index}": index for index in range(300)})
    assert ask("fields f199, f200", [message]) == [{"f199": "199"}]


def test_the_limit_of_the_call_holds_where_the_query_has_none() -> None:
    assert len(ask("fields packets", FLOW, limit=2)) == 2
    assert len(ask("fields packets | limit 3", FLOW, limit=2)) == 3
    assert len(ask("fields @message", ["x"] * 10_050)) == 10_000


# (query, what is wrong, where)
MALFORMED: list[tuple[str, str, tuple[int, int]]] = [
    ("", "unexpected symbol found <end of query>", (0, 0)),
    ("nonsense", "unexpected symbol found nonsense", (0, 8)),
    ("fields", "unexpected symbol found <end of query>", (6, 6)),
    ("fields a |", "unexpected symbol found <end of query>", (10, 10)),
    ("fields a,", "unexpected symbol found <end of query>", (9, 9)),
    ("fields a b", "unexpected symbol found b", (9, 10)),
    ("filter a =", "unexpected symbol found <end of query>", (10, 10)),
    ("filter a like b", "unexpected symbol found b", (14, 15)),
    ("filter (a = 1", "unexpected symbol found <end of query>", (13, 13)),
    ("filter a = 'x", "unterminated string", (11, 13)),
    ("filter a like /(/", "invalid regular expression", (14, 17)),
    ("filter a ~ 1", "unexpected symbol found ~", (9, 10)),
    ("filter a = 5m", "unexpected symbol found 5m", (11, 13)),
    ("filter count(*) > 1", "can be used in stats only", (7, 12)),
    ("fields foo(1)", "unknown function foo", (7, 10)),
    ("fields abs()", "takes 1 arguments, not 0", (7, 10)),
    ("fields bin(x)", "takes a period like 5m", (7, 10)),
    ("fields bin(5parsecs)", "unexpected symbol found 5parsecs", (11, 19)),
    ("fields abs(5m)", "takes no period", (7, 10)),
    ("stats a", "stats needs an aggregation", (6, 7)),
    ("stats count(*) by", "unexpected symbol found <end of query>", (17, 17)),
    ("parse @message 'a*'", "unexpected symbol found <end of query>", (19, 19)),
    ("parse @message '*' as a, b", "parse takes 1 values but names 2 fields", (15, 26)),
    ("parse @message /x/", "needs a named group", (15, 18)),
    ("limit many", "unexpected symbol found many", (6, 10)),
    ("limit 0", "the limit has to be between 1 and 10000", (6, 7)),
    ("limit 10001", "the limit has to be between 1 and 10000", (6, 11)),
    ("dedup a | sort b", "unexpected symbol found sort", (10, 14)),
    ("fields a as x | fields b as x", "ephemeral field is already defined: x", (28, 29)),
    ("fields @timestamp | count()", "unexpected symbol found count", (20, 25)),
    ("fields a;", "unexpected symbol found ;", (8, 9)),
]


@pytest.mark.parametrize(("query", "says", "where"), MALFORMED, ids=[repr(row[0]) for row in MALFORMED])
def test_what_is_no_query(query: str, says: str, where: tuple[int, int]) -> None:
    with pytest.raises(Malformed) as caught:
        read_query(query)
    assert says in caught.value.message
    assert (caught.value.start, caught.value.end) == where


def test_an_error_names_the_line_and_the_position_in_it() -> None:
    with pytest.raises(Malformed, match="unexpected symbol found sortt at line 2 and position 2"):
        read_query("fields a\n| sortt b")


def test_a_query_that_is_nested_beyond_measure_is_refused() -> None:
    with pytest.raises(Malformed, match="nested too deeply"):
        read_query(f"filter {'(' * 4000}1{')' * 4000}")


@pytest.mark.parametrize(
    "query",
    [
        "pattern @message",
        "fields a | diff",
        "SOURCE logGroups() | fields a",
        "filter a = 1 | anomaly",
        "parse @message logfmt",
        "filterIndex a = 1",
        "unnest a into b",
    ],
)
def test_what_is_not_emulated_is_told_apart_from_what_is_wrong(query: str) -> None:
    with pytest.raises(NotEvaluated):
        read_query(query)
