// The Node.js runtime: loads the function's code, then serves events until the environment ends.
'use strict';

const errors = require('./errors.cjs');
const { patchConsole } = require('./logging.cjs');
const { RuntimeApi } = require('./runtime_api.cjs');
const handlers = require('./handler.cjs');
const { Runtime, whenIdle } = require('./invocations.cjs');

const variables = process.env;
const REMOVED = 'ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js '
  + '24. You need to modify this function to use a supported handler signature to use Node.js 24 or later. For '
  + 'more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.';

const LEAVING = 'AWS Lambda plans to remove support for callback-based function handlers starting with Node.js 24. '
  + 'You will need to update this function to use an async handler to use Node.js 24 or later. For more information '
  + 'and to provide feedback on this change, see '
  + 'https://github.com/aws/aws-lambda-nodejs-runtime-interface-client/issues/137. To disable this warning, set the '
  + 'AWS_LAMBDA_NODEJS_DISABLE_CALLBACK_WARNING environment variable.';

const logError = patchConsole(variables);
const api = new RuntimeApi(variables.AWS_LAMBDA_RUNTIME_API);
// What AWS would run: the identifier decides, not the interpreter that stands in for it.
const major = Number(/nodejs(\d+)/.exec(variables.AWS_EXECUTION_ENV)?.[1] ?? process.versions.node.split('.')[0]);

let crash = (error, status) => {
  const told = errors.report(error);
  api.failInit(JSON.stringify(told), told.errorType, () => process.exit(status));
};
process.on('uncaughtException', (error) => {
  logError('Uncaught Exception', error);
  crash(error, 129);
});
process.on('unhandledRejection', (reason, promise) => {
  const error = new errors.UnhandledPromiseRejection(reason, promise);
  logError('Unhandled Promise Rejection', error);
  crash(error, 128);
});
process.on('beforeExit', () => whenIdle.do());

async function main() {
  if (!['1', 'true'].includes(variables.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) {
    globalThis.awslambda = {
      streamifyResponse: handlers.streamifyResponse,
      get HttpResponseStream() {
        return require('./streaming.cjs').HttpResponseStream;
      },
    };
  }
  require('./resolving.cjs').prepare(variables);
  const handler = await handlers.find(variables.LAMBDA_TASK_ROOT, variables._HANDLER, major);
  const streaming = handlers.streaming(handler);
  if (streaming === null && handler.length >= 3) warnOfCallbacks(handler);
  const runtime = new Runtime(api, handler, { streaming, major, logError });
  crash = (error, status) => runtime.crash(error, status);
  runtime.schedule();
}

/** Handlers that declare a callback: refused from Node.js 24, before that told of it. */
function warnOfCallbacks(handler) {
  if (major >= 24) throw new errors.CallbackHandlerDeprecated(REMOVED);
  const isAsync = handler.constructor?.name === 'AsyncFunction';
  const silenced = variables.AWS_LAMBDA_NODEJS_DISABLE_CALLBACK_WARNING !== undefined;
  if (handler.length === 3 && !isAsync && !silenced) console.warn(LEAVING);
}

main().catch((error) => {
  logError('Uncaught Exception', error);
  crash(error, 129);
});
