// The console as Lambda has it: one log event per call, in text or JSON, at the configured level or above.
'use strict';

const fs = require('fs');
const { asError, forLog } = require('./errors.cjs');

const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
const METHODS = { trace: 'TRACE', debug: 'DEBUG', info: 'INFO', warn: 'WARN', error: 'ERROR', fatal: 'FATAL' };
const pause = new Int32Array(new SharedArrayBuffer(4));

let requestId;
let format; // `util` costs a millisecond; a function that logs nothing need not pay it.

/** Write everything now, as the process may end with the next statement. */
function writeNow(descriptor, data) {
  let left = Buffer.from(data);
  while (left.length > 0) {
    try {
      left = left.subarray(fs.writeSync(descriptor, left));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}

function textLine(level, words) {
  return `${new Date().toISOString()}\t${requestId}\t${level}\t${format(...words)}`;
}

function openError(_key, value) {
  if (!(value instanceof Error)) return value;
  return {
    errorType: value.constructor?.name ?? 'UnknownError',
    errorMessage: value.message,
    stackTrace: typeof value.stack === 'string' ? value.stack.split('\n') : value.stack,
    ...value,
  };
}

function jsonLine(level, words) {
  const record = { timestamp: new Date().toISOString(), level, requestId };
  if (words.length === 1) {
    try {
      return JSON.stringify({ ...record, message: words[0] }, openError);
    } catch {
      return JSON.stringify({ ...record, message: format(words[0]) });
    }
  }
  record.message = format(...words);
  const error = words.find((word) => word instanceof Error);
  if (error !== undefined) {
    record.errorType = error.constructor?.name ?? 'UnknownError';
    record.errorMessage = error.message;
    record.stackTrace = typeof error.stack === 'string' ? error.stack.split('\n') : [];
  }
  return JSON.stringify(record);
}

/** Replace the console's methods; returns what logs an error that ends an invocation or the init. */
function patchConsole(variables) {
  const asJson = variables.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === 'JSON';
  const line = asJson ? jsonLine : textLine;
  const least = Math.max(LEVELS.indexOf(variables.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()), 0);
  for (const [method, level] of Object.entries(METHODS)) {
    const wanted = LEVELS.indexOf(level) >= least;
    // As on Lambda there is always a first word: `console.log()` says undefined.
    console[method] = !wanted ? () => {} : (first, ...rest) => {
      format ??= require('util').format;
      // A carriage return joins the lines of one event; the platform turns it back.
      writeNow(1, `${line(level, [first, ...rest]).replace(/\n/g, '\r')}\n`);
    };
  }
  console.log = console.info;
  return asJson
    ? (_title, error) => console.error(asError(error))
    : (title, error) => console.error(title, forLog(asError(error)));
}

function setRequestId(id) {
  requestId = id;
}

module.exports = { patchConsole, setRequestId, writeNow };
