"""Node.js functions: every form of handler, what it is given, how it fails and what its log says."""

from __future__ import annotations

import base64
import json
import shutil
from typing import Any

import pytest

from tests.emulator.functions.runtimes.conftest import LanguageAccount

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")

FORMS = {
    "an async function": "exports.handler = async (event) => event.x + 1",
    "a promise": "exports.handler = (event) => Promise.resolve(event.x + 1)",
    "a callback": "exports.handler = (event, context, callback) => callback(null, event.x + 1)",
    "succeed": "exports.handler = (event, context) => context.succeed(event.x + 1)",
    "done": "exports.handler = (event, context) => context.done(null, event.x + 1)",
    "a late callback": "exports.handler = (event, context, callback) => { setTimeout(callback, 5, null, 2) }",
    "a thenable": "exports.handler = (event) => ({ then: (done) => done(event.x + 1) })",
}


@pytest.mark.parametrize("code", FORMS.values(), ids=FORMS.keys())
def test_a_handler_answers_by(functions: LanguageAccount, code: str) -> None:
    functions.node(code)
    assert functions.invoke({"x": 1})["Payload"] == 2


MODULES = {
    "a .mjs file": ("index.mjs", "export const handler = async (event) => event.x", {}),
    "a .cjs file": ("index.cjs", "exports.handler = async (event) => event.x", {}),
    "type module": ("index.js", "export const handler = async (event) => event.x", {"type": "module"}),
    "type commonjs": ("index.js", "exports.handler = async (event) => event.x", {"type": "commonjs"}),
    "top-level await": (
        "index.mjs",
        "const { join } = await import('node:path');\nexport const handler = async (event) => event.x",
        {},
    ),
}


@pytest.mark.parametrize(("file", "code", "package"), MODULES.values(), ids=MODULES.keys())
def test_a_module_is_loaded_from(
    functions: LanguageAccount, file: str, code: str, package: dict[str, str]
) -> None:
    functions.node(code, file=file, files={"package.json": json.dumps(package)} if package else {})
    assert functions.invoke({"x": "loaded"})["Payload"] == "loaded"


def test_a_handler_may_lie_in_a_folder_and_deep_in_a_module(functions: LanguageAccount) -> None:
    functions.node(
        "module.exports = { api: { v1: { get: async () => __filename } } }",
        file="src/orders.js",
        Handler="src/orders.api.v1.get",
    )
    assert functions.invoke()["Payload"] == "/var/task/src/orders.js"


def test_the_context_is_complete(functions: LanguageAccount) -> None:
    functions.node(
        """
        exports.handler = async (event, context) => ({
          keys: Object.keys(context).sort(),
          remaining: context.getRemainingTimeInMillis(),
          version: context.functionVersion, memory: context.memoryLimitInMB, arn: context.invokedFunctionArn,
          id: context.awsRequestId, group: context.logGroupName, client: context.clientContext,
          trace: process.env._X_AMZN_TRACE_ID,
        })
        """,
        MemorySize=256,
    )
    sent = base64.b64encode(json.dumps({"custom": {"a": 1}}).encode()).decode()

    answer = functions.invoke(ClientContext=sent)

    told = answer["Payload"]
    assert told["keys"] == [
        *("awsRequestId", "callbackWaitsForEmptyEventLoop", "clientContext", "done", "fail"),
        *("functionName", "functionVersion", "getRemainingTimeInMillis", "identity"),
        *("invokedFunctionArn", "logGroupName", "logStreamName", "memoryLimitInMB", "succeed", "tenantId"),
    ]
    assert 9_000 < told["remaining"] <= 10_000
    assert (told["version"], told["memory"], told["group"]) == ("$LATEST", "256", "/aws/lambda/fn")
    assert told["arn"].endswith(":function:fn")
    assert told["id"] == answer["ResponseMetadata"]["RequestId"]
    assert told["client"] == {"custom": {"a": 1}}
    assert told["trace"].startswith("Root=1-")


def test_an_environment_is_reused_and_told_each_invocation_anew(functions: LanguageAccount) -> None:
    functions.node(
        """
        let count = 0
        exports.handler = async (event, context) => {
          return [++count, context.awsRequestId, process.env._X_AMZN_TRACE_ID]
        }
        """
    )
    first, second = (functions.invoke()["Payload"] for _ in range(2))
    assert (first[0], second[0]) == (1, 2)
    assert first[1] != second[1]
    assert first[2] != second[2]


def test_a_callback_waits_until_nothing_is_left_to_do(functions: LanguageAccount) -> None:
    functions.node(
        """
        exports.handler = (event, context, callback) => {
          context.callbackWaitsForEmptyEventLoop = event.waits
          setTimeout(() => console.log('late work is done'), 30)
          callback(null, 'answer')
        }
        """
    )
    assert functions.invoke({"waits": True})["Payload"] == "answer"
    assert any("late work is done" in line for line in functions.logs())


def test_without_waiting_the_answer_is_out_at_once(functions: LanguageAccount) -> None:
    functions.node(
        """
        exports.handler = (event, context, callback) => {
          context.callbackWaitsForEmptyEventLoop = false
          setTimeout(() => {}, 60_000)
          callback(null, 'answer')
        }
        """
    )
    assert functions.invoke()["Payload"] == "answer"
    assert functions.invoke()["Payload"] == "answer"


def test_an_answer_given_before_the_process_ends_is_not_lost(functions: LanguageAccount) -> None:
    functions.node("exports.handler = (event, context) => { context.succeed('said'); process.exit(0) }")
    answer = functions.invoke()
    assert (answer["Payload"], answer.get("FunctionError")) == ("said", None)


def test_a_handler_that_never_calls_back_returns_null(functions: LanguageAccount) -> None:
    functions.node("exports.handler = (event, context, callback) => {}")
    answer = functions.invoke()
    assert (answer["Payload"], answer.get("FunctionError")) == (None, None)


ERRORS = {
    "an error": (
        "class OrderError extends Error { constructor(m) { super(m); this.name = 'OrderError' } }\n"
        "exports.handler = async () => { throw new OrderError('no such order') }",
        "OrderError",
        "no such order",
    ),
    "an error by callback": (
        "exports.handler = (e, c, callback) => callback(new TypeError('bad'))",
        "TypeError",
        "bad",
    ),
    "an error thrown at once": (
        "exports.handler = () => { throw new RangeError('far') }",
        "RangeError",
        "far",
    ),
    "a text": ("exports.handler = async () => { throw 'just words' }", "string", "just words"),
    "fail": ("exports.handler = (e, context) => context.fail(new Error('failed'))", "Error", "failed"),
    "fail without words": ("exports.handler = (e, context) => context.fail()", "string", "handled"),
    "a circle": (
        "exports.handler = async () => { const a = {}; a.a = a; return a }",
        "Error",
        "Unable to stringify response body",
    ),
    "a big integer": (
        "exports.handler = async () => 1n",
        "Error",
        "Unable to stringify response body",
    ),
    "a promise that never settles": (
        "exports.handler = async () => new Promise(() => {})",
        "Runtime.NodeJsExit",
        "The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by "
        "a Promise that was never settled. For more information, see "
        "https://nodejs.org/docs/latest/api/process.html#exit-codes",
    ),
    "an unhandled rejection": (
        "exports.handler = async () => { Promise.reject(new Error('unseen')); "
        "await new Promise((r) => setTimeout(r, 500)) }",
        "Runtime.UnhandledPromiseRejection",
        "Error: unseen",
    ),
    "an uncaught exception": (
        "exports.handler = async () => { setTimeout(() => { throw new Error('thrown late') }); "
        "await new Promise((r) => setTimeout(r, 500)) }",
        "Error",
        "thrown late",
    ),
}


@pytest.mark.parametrize(("code", "kind", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_an_invocation_fails_by(functions: LanguageAccount, code: str, kind: str, message: str) -> None:
    functions.node(code)

    answer = functions.invoke()

    assert answer["FunctionError"] == "Unhandled"
    assert (answer["Payload"]["errorType"], answer["Payload"]["errorMessage"]) == (kind, message)
    assert isinstance(answer["Payload"]["trace"], list)


def test_an_error_keeps_its_stack_in_payload_and_log(functions: LanguageAccount) -> None:
    functions.node(
        "exports.handler = async function find() {\n  throw Object.assign(new Error('gone'), { order: 7 })\n}"
    )
    answer = functions.invoke()
    trace = answer["Payload"]["trace"]
    assert trace[0] == "Error: gone"
    assert trace[1].startswith("    at Runtime.find [as handler] (/var/task/index.js:2:")
    line = next(line for line in functions.logs() if "Invoke Error" in line)
    _time, _request_id, level, rest = line.split("\t", 3)
    assert level == "ERROR"
    assert rest.startswith("Invoke Error \t{")
    logged = json.loads(rest.partition("\t")[2])
    assert (logged["errorType"], logged["errorMessage"], logged["order"]) == ("Error", "gone", 7)
    assert logged["stack"] == answer["Payload"]["trace"]


BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "a missing module": (
        {"Handler": "absent.handler"},
        "Runtime.ImportModuleError",
        "Error: Cannot find module 'absent'\nRequire stack:\n- /var/runtime/index.mjs",
    ),
    "a missing dependency": (
        {"code": "require('left-pad')"},
        "Runtime.ImportModuleError",
        "Error: Cannot find module 'left-pad'\nRequire stack:\n- /var/task/index.js\n"
        "- /var/runtime/index.mjs",
    ),
    "a missing import": (
        {"code": "import 'left-pad'", "file": "index.mjs"},
        "Error",
        "Cannot find package 'left-pad' imported from /var/task/index.mjs",
    ),
    "a missing handler": (
        {"Handler": "index.absent"},
        "Runtime.HandlerNotFound",
        "index.absent is undefined or not exported",
    ),
    "a handler that is no function": (
        {"code": "exports.handler = 7"},
        "Runtime.HandlerNotFound",
        "index.handler is not a function",
    ),
    "a handler without a dot": ({"Handler": "index"}, "Runtime.MalformedHandlerName", "Bad handler"),
    "a way upwards": (
        {"Handler": "../index.handler"},
        "Runtime.MalformedHandlerName",
        "'../index.handler' is not a valid handler name. Use absolute paths when specifying root directories "
        "in handler names.",
    ),
    "a syntax error": (
        {"code": "exports.handler = async ( => {}"},
        "Runtime.UserCodeSyntaxError",
        "SyntaxError: Unexpected token '=>'",
    ),
    "import in CommonJS": (
        {"code": "import 'fs'; exports.handler = async () => {}", "Runtime": "nodejs22.x"},
        "Runtime.UserCodeSyntaxError",
        "SyntaxError: Cannot use import statement outside a module",
    ),
    "an error at the top": (
        {"code": "throw new TypeError('not today')"},
        "TypeError",
        "not today",
    ),
}


@pytest.mark.parametrize(("wanted", "kind", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_function_cannot_start_for(
    functions: LanguageAccount, wanted: dict[str, Any], kind: str, message: str
) -> None:
    wanted = dict(wanted)
    functions.node(wanted.pop("code", "exports.handler = async () => {}"), **wanted)

    answer = functions.invoke()

    assert answer["FunctionError"] == "Unhandled"
    assert (answer["Payload"]["errorType"], answer["Payload"]["errorMessage"]) == (kind, message)
    log = "\n".join(functions.logs())
    assert "\tundefined\tERROR\tUncaught Exception \t{" in log
    assert f"Phase: init\tStatus: error\tError Type: {kind}" in log


def test_a_process_that_exits_is_an_exit_error(functions: LanguageAccount) -> None:
    functions.node("exports.handler = async (event) => { process.exit(event.status) }")
    for status, words in ((0, "Runtime exited without providing a reason"), (3, "exit status 3")):
        answer = functions.invoke({"status": status})
        assert answer["Payload"]["errorType"] == "Runtime.ExitError"
        assert answer["Payload"]["errorMessage"].endswith(words)


def test_a_function_out_of_time_is_stopped_though_it_never_yields(functions: LanguageAccount) -> None:
    functions.node("exports.handler = async () => { for (;;); }", Timeout=1)
    answer = functions.invoke()
    assert answer["Payload"]["errorType"] == "Sandbox.Timedout"


def test_a_function_out_of_memory_is_killed(functions: LanguageAccount) -> None:
    functions.node(
        "const held = []\nexports.handler = async () => { for (;;) held.push(Buffer.alloc(8 << 20, 1)) }"
    )
    answer = functions.invoke()
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"]["errorType"] in ("Runtime.OutOfMemory", "Runtime.ExitError")


def test_the_heap_follows_the_memory_setting(functions: LanguageAccount) -> None:
    functions.node(
        "exports.handler = async () => [require('v8').getHeapStatistics().heap_size_limit >> 20, typeof gc]",
        MemorySize=512,
    )
    limit_mb, gc = functions.invoke()["Payload"]
    assert 400 < limit_mb < 560
    assert gc == "function"


def test_console_lines_carry_time_request_and_level(functions: LanguageAccount) -> None:
    functions.node(
        """
        console.log('while starting')
        exports.handler = async () => {
          console.debug('d'); console.info('i %d', 7); console.warn({ a: 1 }); console.error('two\\nlines')
          console.trace('t'); process.stdout.write('plain\\n')
        }
        """
    )
    request_id = functions.invoke()["ResponseMetadata"]["RequestId"]
    lines = [line for line in functions.logs() if not line.startswith(("START", "END", "REPORT", "INIT"))]
    assert [line.split("\t", 1)[1] for line in lines if "\t" in line] == [
        "undefined\tINFO\twhile starting",
        f"{request_id}\tDEBUG\td",
        f"{request_id}\tINFO\ti 7",
        f"{request_id}\tWARN\t{{ a: 1 }}",
        f"{request_id}\tERROR\ttwo\nlines",
        f"{request_id}\tTRACE\tt",
    ]
    assert "plain" in lines


def test_json_logs_are_records_at_the_level_asked_for(functions: LanguageAccount) -> None:
    functions.node(
        """
        exports.handler = async () => {
          console.debug('quiet'); console.info({ order: 7 }); console.warn('a %s', 'b', new TypeError('t'))
          console.error(new RangeError('far'))
        }
        """,
        LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "INFO"},
    )
    request_id = functions.invoke()["ResponseMetadata"]["RequestId"]
    records = [json.loads(line) for line in functions.logs()]
    mine = [record for record in records if "level" in record]
    assert [record["level"] for record in mine] == ["INFO", "WARN", "ERROR"]
    assert {record["requestId"] for record in mine} == {request_id}
    assert mine[0]["message"] == {"order": 7}
    assert mine[1]["message"].startswith("a b TypeError: t")
    assert (mine[1]["errorType"], mine[1]["errorMessage"]) == ("TypeError", "t")
    assert (mine[2]["message"]["errorType"], mine[2]["message"]["errorMessage"]) == ("RangeError", "far")


def test_large_events_and_answers_pass(functions: LanguageAccount) -> None:
    functions.node("exports.handler = async (event) => event.text + event.text")
    text = "é" * 1_000_000
    assert functions.invoke({"text": text})["Payload"] == text + text


def test_nodejs_24_takes_promises_only(functions: LanguageAccount) -> None:
    functions.node(
        """
        exports.handler = async (event, context) => Object.keys(context).includes('done')
        exports.old = (event, context, callback) => callback(null, 1)
        """,
        Runtime="nodejs24.x",
    )
    assert functions.invoke()["Payload"] is False
    functions.api.update_function_configuration(FunctionName="fn", Handler="index.old")
    refused = functions.invoke()["Payload"]
    assert refused["errorType"] == "Runtime.CallbackHandlerDeprecated"
    assert "removed support for callback-based function handlers" in refused["errorMessage"]


def test_nodejs_24_ends_with_status_13_when_a_promise_never_settles(functions: LanguageAccount) -> None:
    functions.node("exports.handler = async () => new Promise(() => {})", Runtime="nodejs24.x")
    answer = functions.invoke()["Payload"]
    assert answer["errorType"] == "Runtime.ExitError"
    assert answer["errorMessage"].endswith("exit status 13")


def test_requiring_an_es_module_has_to_be_asked_for(functions: LanguageAccount) -> None:
    functions.node(
        "exports.handler = async () => { try { return require('./m.mjs').x } catch (e) { return e.code } }",
        files={"m.mjs": "export const x = 'required'"},
    )
    assert functions.invoke()["Payload"] == "ERR_REQUIRE_ESM"
    asked = {"Variables": {"NODE_OPTIONS": "--experimental-require-module --no-warnings"}}
    functions.api.update_function_configuration(FunctionName="fn", Environment=asked)
    assert functions.invoke()["Payload"] == "required"


def test_a_callback_handler_is_told_of_its_end(functions: LanguageAccount) -> None:
    functions.node("exports.handler = (event, context, callback) => callback(null, 1)")
    functions.invoke()
    assert any("WARN\tAWS Lambda plans to remove support for callback" in line for line in functions.logs())
    quiet = {"Variables": {"AWS_LAMBDA_NODEJS_DISABLE_CALLBACK_WARNING": "1"}}
    functions.api.update_function_configuration(FunctionName="fn", Environment=quiet)
    functions.invoke()
    assert sum("plans to remove" in line for line in functions.logs()) == 1


def test_an_error_may_say_anything_at_any_length(functions: LanguageAccount) -> None:
    functions.node(
        """
        exports.handler = async (event) => {
          const error = new Error(event.text.repeat(event.times))
          error.name = event.name
          throw error
        }
        """
    )
    for name, text, times in (("Ünïcode\r\nX: y", "日本\n", 1), ("Long", "x" * 1000, 1000)):
        answer = functions.invoke({"name": name, "text": text, "times": times})
        assert answer["Payload"]["errorType"] == name
        assert answer["Payload"]["errorMessage"] == text * times
