// Does what the event says: the fixture of the conformance table, see its README.
'use strict'

const fs = require('fs')
const crypto = require('crypto')

class ConformanceError extends Error {
  constructor(message) {
    super(message)
    this.name = 'ConformanceError'
  }
}

const IDENTITY = crypto.randomUUID()
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000))
const blockFor = (seconds) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000)
let count = 0
let ticks = 0
let ticker = null

function duringInit() {
  const [action, ...rest] = (process.env.INIT ?? '').split(':')
  const argument = rest.join(':')
  if (action === 'print') process.stdout.write(`${argument}\n`)
  else if (action === 'throw') throw new ConformanceError(argument)
  else if (action === 'exit') process.exit(Number(argument))
  else if (action === 'sleep') blockFor(Number(argument))
  else if (action === 'once' && !fs.existsSync(argument)) {
    fs.writeFileSync(argument, '')
    blockFor(60)
  }
}

duringInit()

const actions = {
  echo: ({ value }) => value,
  nothing: () => undefined,
  throw: ({ message }) => {
    throw new ConformanceError(message)
  },
  exit: ({ status }) => process.exit(status),
  signal: ({ number }) => {
    process.kill(process.pid, number)
    blockFor(60)
  },
  sleep: async ({ seconds, say = 'sleeping' }) => {
    console.log(say)
    await sleep(seconds)
    return 'slept'
  },
  spin: ({ cpu_seconds: seconds }) => {
    const used = () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1e6
    }
    const until = used() + seconds
    while (used() < until) for (let i = 0; i < 1e5; i++);
    return 'spun'
  },
  allocate: ({ mb }) => {
    const held = []
    for (let i = 0; i < mb; i++) held.push(Buffer.alloc(1 << 20, 1))
    return held.length
  },
  environment: ({ names }) => Object.fromEntries(names.map((name) => [name, process.env[name] ?? null])),
  context: (_event, context) => ({
    function_name: context.functionName,
    function_version: context.functionVersion,
    invoked_function_arn: context.invokedFunctionArn,
    memory_limit_mb: Number(context.memoryLimitInMB),
    request_id: context.awsRequestId,
    log_group: context.logGroupName,
    log_stream: context.logStreamName,
    remaining_ms: context.getRemainingTimeInMillis(),
    custom: context.clientContext?.custom ?? null,
  }),
  print: ({ lines, to }) => {
    const stream = to === 'stderr' ? process.stderr : process.stdout
    for (const line of lines) stream.write(`${line}\n`)
    return lines.length
  },
  print_bytes: ({ base64 }) => {
    fs.writeSync(1, Buffer.concat([Buffer.from(base64, 'base64'), Buffer.from('\n')]))
    return null
  },
  count: () => ++count,
  identity: () => IDENTITY,
  write: ({ path, text }) => {
    fs.writeFileSync(path, text)
    return null
  },
  read: ({ path }) => (fs.existsSync(path) ? fs.readFileSync(path, 'utf8') : null),
  fill: ({ path, mb }) => {
    process.on('SIGXFSZ', () => {})
    const block = Buffer.alloc(1 << 20, 'x')
    const file = fs.openSync(path, 'w')
    try {
      for (let i = 0; i < mb; i++) {
        // The write that meets the limit is cut short; the next one says why.
        for (let written = 0; written < block.length;) written += fs.writeSync(file, block, written)
      }
    } catch (error) {
      return error.code
    } finally {
      fs.closeSync(file)
    }
    return 'written'
  },
  big: ({ bytes }) => 'x'.repeat(bytes),
  unserialisable: () => {
    const circle = {}
    circle.circle = circle
    return circle
  },
  tick: () => {
    ticker ??= setInterval(() => ticks++, 5).unref()
    return ticks
  },
  now: () => ({ time: Date.now() / 1000, date: new Date().getTime() / 1000 }),
  waits: async () => {
    const ways = {
      setTimeout: () => sleep(0.05),
      'Atomics.wait': () => blockFor(0.05),
      'timers/promises': () => require('timers/promises').setTimeout(50),
      'AbortSignal.timeout': () =>
        new Promise((done) => {
          const signal = AbortSignal.timeout(50)
          const alive = setInterval(() => {}, 10)
          signal.onabort = () => done(clearInterval(alive))
        }),
    }
    const waited = {}
    for (const [name, way] of Object.entries(ways)) {
      const began = performance.now()
      await way()
      waited[name] = performance.now() - began
    }
    return waited
  },
  trace: () => process.env._X_AMZN_TRACE_ID,
}

exports.handler = async (event, context) => actions[event.do](event, context)

exports.stream = awslambda.streamifyResponse(async (event, response) => {
  const stream = event.http ? awslambda.HttpResponseStream.from(response, event.http) : response
  let written = 0
  for (const chunk of event.chunks) {
    if (written === (event.fail_after ?? -1)) throw new ConformanceError('failed in the middle')
    if (written > 0) await sleep(event.pause_s ?? 0)
    stream.write(chunk)
    written++
  }
  if (written === (event.fail_after ?? -1)) throw new ConformanceError('failed at the end')
  stream.end()
})
