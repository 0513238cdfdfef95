// The Runtime API's client: one connection, spoken to directly, because `http` would double its cost.
'use strict';

const net = require('net');
const { writeNow } = require('./logging.cjs');

const PREFIX = '/2018-06-01/runtime';
// What X-Ray is told of an error goes into a header; a longer story stays in the body alone.
const CAUSE_LIMIT = 8 * 1024;

class RuntimeApi {
  /** `address` is `host:port`. Nothing is connected before the first request. */
  constructor(address) {
    this.address = address;
    const [host, port] = address.split(':');
    this.host = host;
    this.port = Number(port);
    this.keep(Buffer.alloc(0)); // What has come and is not read yet.
    this.waiting = []; // Whoever awaits an answer, in the order of the requests.
    this.unsent = [];
  }

  /** The next event: `{headers, body}`. It alone keeps the process alive. */
  next() {
    return new Promise((resolve, reject) => {
      this.request('GET', '/invocation/next', '', {}, { resolve, reject });
    });
  }

  /** Answer an invocation; sent when this returns, even if the process ends right after. */
  respond(id, body) {
    this.request('POST', `/invocation/${encodeURIComponent(id)}/response`, body);
  }

  /** Report a failed invocation; sent when this returns. */
  fail(id, body, type, cause) {
    const headers = { 'Lambda-Runtime-Function-Error-Type': headerText(type) };
    if (cause && cause.length <= CAUSE_LIMIT) headers['Lambda-Runtime-Function-XRay-Error-Cause'] = headerText(cause);
    this.request('POST', `/invocation/${encodeURIComponent(id)}/error`, body, headers);
  }

  /** Report a failed init; `done` is called once the platform has it. */
  failInit(body, type, done) {
    const headers = { 'Lambda-Runtime-Function-Error-Type': headerText(type) };
    this.request('POST', '/init/error', body, headers, { resolve: done, reject: done });
  }

  request(method, path, body, headers = {}, waiter = { resolve() {}, reject() {} }) {
    const length = Buffer.byteLength(body);
    let head = `${method} ${PREFIX}${path} HTTP/1.1\r\nHost: ${this.address}\r\n`;
    if (method === 'POST') head += `Content-Type: application/json\r\nContent-Length: ${length}\r\n`;
    for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
    this.waiting.push(waiter);
    this.send(Buffer.concat([Buffer.from(`${head}\r\n`), Buffer.from(body)]));
    if (this.socket !== undefined) this.hold();
  }

  send(data) {
    if (this.socket === undefined) this.connect();
    const descriptor = this.socket._handle?.fd;
    if (this.socket.connecting || descriptor === undefined || descriptor < 0) {
      this.unsent.push(data);
    } else {
      writeNow(descriptor, data);
    }
  }

  connect() {
    this.socket = net.connect({ host: this.host, port: this.port, noDelay: true });
    this.socket.on('connect', () => {
      for (const data of this.unsent.splice(0)) writeNow(this.socket._handle.fd, data);
    });
    this.socket.on('data', (data) => this.receive(data));
    this.socket.on('error', (error) => this.lose(error));
    this.socket.on('end', () => this.lose(new Error('The Runtime API hung up.')));
  }

  lose(error) {
    this.socket?.destroy();
    this.socket = undefined;
    this.keep(Buffer.alloc(0));
    for (const waiter of this.waiting.splice(0)) waiter.reject(error);
  }

  /** Only an awaited answer keeps the event loop running: user code decides the rest. */
  hold() {
    if (this.waiting.length > 0) this.socket.ref();
    else this.socket.unref();
  }

  receive(data) {
    // A large event comes in many pieces; they are joined once, when the last one is there.
    this.pieces.push(data);
    this.held += data.length;
    while (this.held >= this.needed && this.read()) continue;
  }

  /** Take one answer from what has come; whether there was a whole one. */
  read() {
    const inbox = this.pieces.length === 1 ? this.pieces[0] : Buffer.concat(this.pieces);
    this.pieces = [inbox];
    const end = inbox.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const [status, ...lines] = inbox.latin1Slice(0, end).split('\r\n');
    const headers = {};
    for (const line of lines) {
      const at = line.indexOf(':');
      headers[line.slice(0, at).toLowerCase()] = line.slice(at + 1).trim();
    }
    const until = end + 4 + Number(headers['content-length'] ?? 0);
    this.needed = until;
    if (inbox.length < until) return false;
    const body = inbox.subarray(end + 4, until);
    this.keep(inbox.subarray(until));
    const waiter = this.waiting.shift();
    this.hold();
    waiter?.resolve({ status: Number(status.split(' ')[1]), headers, body: body.toString() });
    return this.held > 0;
  }

  keep(rest) {
    this.pieces = rest.length > 0 ? [rest] : [];
    this.held = rest.length;
    this.needed = 1;
  }
}

/** Headers carry no line breaks, no characters beyond Latin-1, and not much. */
function headerText(text) {
  return String(text).slice(0, CAUSE_LIMIT).replace(/[^\x20-\x7E]/g, (character) => {
    return JSON.stringify(character).slice(1, -1).replace(/[^\x20-\x7E]/g, (odd) => {
      return `\\u${odd.charCodeAt(0).toString(16).padStart(4, '0')}`;
    });
  });
}

module.exports = { RuntimeApi };
