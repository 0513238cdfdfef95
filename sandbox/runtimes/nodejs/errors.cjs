// How an error is told: to the Runtime API, to the log, and to X-Ray.
'use strict';

const HANDLED = 'callback called with Error argument, but there was a problem while retrieving one or more of '
  + 'its message, name, and stack';
const NEVER_SETTLED = 'The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly '
  + 'caused by a Promise that was never settled. For more information, see '
  + 'https://nodejs.org/docs/latest/api/process.html#exit-codes';

class ImportModuleError extends Error {}
class HandlerNotFound extends Error {}
class MalformedHandlerName extends Error {}
class UserCodeSyntaxError extends Error {}
class MalformedStreamingHandler extends Error {}
class InvalidStreamingOperation extends Error {}
class CallbackHandlerDeprecated extends Error {}
class JSONStringifyError extends Error {}
class NodeJsExit extends Error {
  constructor() {
    super(NEVER_SETTLED);
  }
}
class UnhandledPromiseRejection extends Error {
  constructor(reason, promise) {
    super(reason);
    this.reason = reason;
    this.promise = promise;
  }
}

const own = {
  ImportModuleError,
  HandlerNotFound,
  MalformedHandlerName,
  UserCodeSyntaxError,
  MalformedStreamingHandler,
  InvalidStreamingOperation,
  CallbackHandlerDeprecated,
  JSONStringifyError,
  NodeJsExit,
  UnhandledPromiseRejection,
};
for (const [name, type] of Object.entries(own)) type.prototype.name = `Runtime.${name}`;

function looksLikeAnError(value) {
  return ['name', 'message', 'stack'].every((key) => value && typeof value[key] === 'string' && value[key]);
}

// AWS's front ends refuse the DEL character in these fields.
const withoutDel = (text) => text.replaceAll('\x7F', '%7F');

/** What the Runtime API is told: type, message and `trace`, the lines of the stack. */
function report(error) {
  try {
    if (error instanceof Error || looksLikeAnError(error)) {
      const stack = typeof error.stack === 'string' ? error.stack : '';
      return {
        errorType: withoutDel(String(error.name)),
        errorMessage: withoutDel(String(error.message)),
        trace: withoutDel(stack).split('\n'),
      };
    }
    return { errorType: typeof error, errorMessage: error.toString(), trace: [] };
  } catch {
    return { errorType: 'handled', errorMessage: HANDLED };
  }
}

/** An error as a value that JSON shows in full: its own members, and those that are not enumerable. */
function openly(value) {
  if (!(value instanceof Error)) return value;
  const shown = { errorType: value.name, errorMessage: value.message, code: value.code, ...value };
  if (typeof value.stack === 'string') shown.stack = value.stack.split('\n');
  return shown;
}

/** What the log says after `Invoke Error`; it begins with a tab. */
function forLog(error) {
  try {
    return `\t${JSON.stringify(error, (_key, value) => openly(value))}`;
  } catch {
    return `\t${JSON.stringify(report(error))}`;
  }
}

const asError = (value) => (value instanceof Error ? value : new Error(value));

/** The cause as X-Ray records it; empty when the error has no usable shape. */
function forXRay(error) {
  try {
    const stack = (error.stack ?? '').split('\n').slice(1).map((line) => {
      const words = line.trim().replace(/[()]/g, '').split(' ').slice(1);
      const [path, number] = (words.pop() ?? '').split(':');
      return { path, line: Number.parseInt(number, 10), label: words.join(' ') || 'anonymous' };
    });
    return JSON.stringify({
      working_directory: process.cwd(),
      exceptions: [{ type: error.name, message: error.message, stack }],
      paths: [...new Set(stack.map((entry) => entry.path))],
    });
  } catch {
    return '';
  }
}

module.exports = { ...own, asError, forLog, forXRay, report };
