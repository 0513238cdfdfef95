// What operations see: one JSON object a line, numbers in the embedded metric format, and traces.
// Lines name the request and the return they are about, and never who sent it.

import xray from "aws-xray-sdk-core";

const LEVELS = ["DEBUG", "INFO", "WARN", "ERROR"];
const LEAST = Math.max(LEVELS.indexOf(process.env.LOG_LEVEL ?? "INFO"), 0);

let coldStart = true;

/** A log whose lines are all about the same; `about` makes another that is about more. */
class Log {
  #fields;

  constructor(fields) {
    this.#fields = fields;
  }

  about(more) {
    return new Log({ ...this.#fields, ...more });
  }

  info(message, more = {}) {
    this.#line("INFO", message, more);
  }

  /** The one line of an exception that is being handled. */
  failure(message, { name, stack }) {
    this.#line("ERROR", message, { errorType: name, stack });
  }

  #line(level, message, more) {
    if (LEVELS.indexOf(level) >= LEAST) write({ level, message, ...this.#fields, ...more });
  }
}

/** The log of an invocation. */
export function begin({ awsRequestId }) {
  const log = new Log({ requestId: awsRequestId, coldStart });
  coldStart = false;
  return log;
}

/** Count numbers of the same dimensions in the stack's namespace: { name: [value, unit] }. */
export function count(numbers, dimensions = {}) {
  const Metrics = Object.entries(numbers).map(([Name, [, Unit]]) => ({ Name, Unit }));
  const values = Object.fromEntries(Object.entries(numbers).map(([name, [value]]) => [name, value]));
  const directive = { Namespace: process.env.METRICS_NAMESPACE, Dimensions: [Object.keys(dimensions)], Metrics };
  write({ _aws: { Timestamp: Date.now(), CloudWatchMetrics: [directive] }, ...dimensions, ...values });
}

/** Do some work under a subsegment that is annotated with the return it is for. */
export function traced(name, returnId, work) {
  return xray.captureAsyncFunc(name, async (subsegment) => {
    subsegment?.addAnnotation("returnId", returnId);
    try {
      return await work();
    } finally {
      subsegment?.close();
    }
  });
}

/** An SDK client whose calls are in the trace. */
export const instrumented = (client) => xray.captureAWSv3Client(client);

// Past console.log, which puts time and request id before the JSON.
function write(document) {
  process.stdout.write(`${JSON.stringify(document)}\n`);
}
