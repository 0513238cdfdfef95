// Response streaming: the response is one chunked POST, and an error after its beginning is a trailer.
'use strict';

const http = require('http');
const net = require('net');
const { Writable } = require('stream');
const { InvalidStreamingOperation, report } = require('./errors.cjs');

const ERROR_TYPE = 'Lambda-Runtime-Function-Error-Type';
const ERROR_BODY = 'Lambda-Runtime-Function-Error-Body';

/** What a streaming handler writes to. */
class ResponseStream extends Writable {
  /** The POST begins with the first byte, the end or the failure, whatever comes first. */
  constructor(api, id, highWaterMark) {
    super({ decodeStrings: true, ...(highWaterMark === undefined ? {} : { highWaterMark }) });
    this._begun = false;
    this._request = http.request({
      host: api.host,
      port: api.port,
      method: 'POST',
      path: `/2018-06-01/runtime/invocation/${encodeURIComponent(id)}/response`,
      headers: {
        'Lambda-Runtime-Function-Response-Mode': 'streaming',
        Trailer: [ERROR_TYPE, ERROR_BODY],
        'Content-Type': 'application/octet-stream',
        'Transfer-Encoding': 'chunked',
      },
      createConnection: (options) => net.createConnection({ ...options, highWaterMark }),
    });
    /** Settles when the platform has taken the whole response. */
    this.taken = new Promise((resolve, reject) => {
      this._request.on('response', (response) => response.resume().on('end', resolve).on('error', reject));
      this._request.on('error', (error) => {
        reject(error);
        this.destroy(error);
      });
    });
    this.taken.catch(() => {}); // Whoever awaits it hears of it.
    this.on('error', () => {}); // A handler's own failure is told as a trailer, not as an exception.
  }

  setContentType(type) {
    if (this._begun) throw new InvalidStreamingOperation('Cannot set content-type, too late.');
    this._request.setHeader('Content-Type', type);
  }

  write(chunk, encoding, callback) {
    const plain = typeof chunk === 'string' || Buffer.isBuffer(chunk) || chunk instanceof Uint8Array;
    this._begin();
    return super.write(plain ? chunk : JSON.stringify(chunk), encoding, callback);
  }

  _begin() {
    if (this._begun) return;
    this._begun = true;
    this._onBeforeFirstWrite?.((data) => super.write(data));
  }

  // As on Lambda, `end(chunk)` alone begins no metadata: something has to be written first.
  _write(chunk, _encoding, callback) {
    this._request.write(chunk, callback);
  }

  _final(callback) {
    this._request.end();
    callback();
  }

  /** End the response by an error. */
  fail(error) {
    const told = report(error);
    this._request.addTrailers({
      [ERROR_TYPE]: told.errorType.replace(/[^\x20-\x7E]/g, '?'),
      [ERROR_BODY]: Buffer.from(JSON.stringify(told)).toString('base64'),
    });
    this._request.end();
    return this.taken;
  }
}

/** `awslambda.HttpResponseStream`: status, headers and cookies before the body. */
class HttpResponseStream {
  static from(stream, metadata) {
    stream.setContentType('application/vnd.awslambda.http-integration-response');
    const prelude = JSON.stringify(metadata);
    stream._onBeforeFirstWrite = (write) => {
      write(prelude);
      write(new Uint8Array(8)); // Eight zero bytes part it from the body.
    };
    return stream;
  }
}

module.exports = { HttpResponseStream, ResponseStream };
