// One event after the other: what a handler is given, and when its answer is due.
'use strict';

const { JSONStringifyError, NodeJsExit, forXRay, report } = require('./errors.cjs');
const { setRequestId } = require('./logging.cjs');

const UNSERIALISABLE = 'Unable to stringify response body';

/** What happens when nothing is left to do but no answer was given; replaced by each step of an invocation. */
const whenIdle = { do: () => {} };

function parsed(text, name) {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot parse ${name} as json: ${error}`);
  }
}

function describe(headers, variables) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  return {
    functionVersion: variables.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: variables.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: variables.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: variables.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: variables.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parsed(headers['lambda-runtime-client-context'], 'ClientContext'),
    identity: parsed(headers['lambda-runtime-cognito-identity'], 'CognitoIdentity'),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    tenantId: headers['lambda-runtime-aws-tenant-id'],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

class Runtime {
  /** `onCrash` is told the current request id, so that an uncaught error is reported for it. */
  constructor(api, handler, options) {
    this.api = api;
    this.handler = handler;
    this.streaming = options.streaming;
    this.major = options.major;
    this.logError = options.logError;
    this.current = null;
    this.isAsync = handler.constructor?.name === 'AsyncFunction';
  }

  /** Take the next event, on the next turn of the event loop. */
  schedule() {
    setImmediate(() => this.take().catch((error) => {
      console.log(`Unexpected Top Level Error: ${error}`);
      this.crash(error, 129);
    }));
  }

  /** Report an error that nobody caught, and end. */
  crash(error, status) {
    if (this.current !== null) this.reportFailure(error);
    process.exit(status);
  }

  async take() {
    this.current = null;
    whenIdle.do = () => {};
    const { headers, body } = await this.api.next();
    const id = headers['lambda-runtime-aws-request-id'];
    this.current = id;
    setRequestId(id);
    const trace = headers['lambda-runtime-trace-id'];
    if (trace) process.env._X_AMZN_TRACE_ID = trace;
    else delete process.env._X_AMZN_TRACE_ID;
    if (this.streaming !== null) return this.stream(headers, body);
    return this.major >= 24 ? this.awaitAnswer(headers, body) : this.callBack(headers, body);
  }

  // Answers

  serialise(value) {
    try {
      return JSON.stringify(value === undefined ? null : value) ?? '';
    } catch {
      throw this.major >= 24 ? new JSONStringifyError(UNSERIALISABLE) : new Error(UNSERIALISABLE);
    }
  }

  complete(value) {
    this.api.respond(this.current, this.serialise(value));
  }

  reportFailure(error) {
    const told = report(error);
    this.api.fail(this.current, JSON.stringify(told), told.errorType, forXRay(error));
  }

  failed(error) {
    this.logError('Invoke Error', error);
    this.reportFailure(error);
  }

  // Node.js 24 and later: a handler's promise is the whole story.

  async awaitAnswer(headers, body) {
    // A promise that never settles empties the event loop; Node.js's own status for that is 13.
    whenIdle.do = () => process.exit(13);
    try {
      const value = await this.handler(JSON.parse(body), describe(headers, process.env));
      await new Promise((resolve) => setImmediate(resolve));
      this.complete(value);
    } catch (error) {
      await new Promise((resolve) => setImmediate(resolve));
      this.failed(error);
    }
    this.schedule();
  }

  // Before: callbacks, the context's functions, or a promise.

  callBack(headers, body) {
    const next = () => this.schedule();
    let waits = true;
    let finished = false;
    const settle = (error, value) => {
      whenIdle.do = () => {};
      if (error !== undefined && error !== null) this.failed(error);
      else this.complete(value);
      next();
    };
    const once = (inner) => (...given) => {
      if (finished) return;
      inner(...given);
      finished = true;
    };
    const callback = once((error, value) => {
      if ((error !== undefined && error !== null) || !waits) {
        settle(error, value);
      } else {
        // Everything that was begun is finished first, as long as it takes.
        whenIdle.do = () => setImmediate(() => settle(null, value));
      }
    });
    const context = {
      get callbackWaitsForEmptyEventLoop() {
        return waits;
      },
      set callbackWaitsForEmptyEventLoop(value) {
        waits = value;
      },
      done: once(settle),
      succeed: once((value) => settle(null, value)),
      fail: once((error) => settle(error ?? 'handled')),
    };
    whenIdle.do = () => {
      finished = true;
      if (this.isAsync) settle(new NodeJsExit());
      else settle(null, null);
    };
    try {
      Object.defineProperties(context, Object.getOwnPropertyDescriptors(describe(headers, process.env)));
      const result = this.handler(JSON.parse(body), context, callback);
      if (typeof result?.then === 'function') {
        result.then(context.succeed, context.fail).catch(context.fail);
      }
    } catch (error) {
      callback(error);
    }
  }

  // Streaming

  async stream(headers, body) {
    const { ResponseStream } = require('./streaming.cjs');
    const response = new ResponseStream(this.api, this.current, this.streaming.highWaterMark);
    let waits = true;
    whenIdle.do = () => this.schedule();
    try {
      const context = describe(headers, process.env);
      if (this.major < 24) {
        Object.defineProperty(context, 'callbackWaitsForEmptyEventLoop', {
          enumerable: true,
          get: () => waits,
          set: (value) => {
            waits = value;
          },
        });
      }
      const result = this.handler(JSON.parse(body), response, context);
      if (typeof result?.then !== 'function') {
        throw new Error('Streaming does not support non-async handlers.');
      }
      if ((await result) !== undefined) console.warn('Streaming handlers ignore return values.');
      await response.taken;
      if (!response.writableFinished) throw new Error('Response stream is not finished.');
    } catch (error) {
      this.logError('Invoke Error', error);
      await response.fail(error);
      return this.schedule();
    }
    if (!waits || this.major >= 24) return this.schedule();
    whenIdle.do = () => setImmediate(() => this.schedule());
  }
}

module.exports = { Runtime, whenIdle };
