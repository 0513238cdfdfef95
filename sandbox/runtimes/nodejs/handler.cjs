// Finds the function that the handler's name means, in CommonJS or as an ES module.
'use strict';

const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');
const errors = require('./errors.cjs');

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
// As on Lambda, a module that isn't found was required by this file.
const load = createRequire(path.join(__dirname, 'index.mjs'));

/** Whether `.js` files of a folder are ES modules: what the nearest package.json says. */
function isModuleFolder(folder) {
  for (let at = folder; !at.endsWith('/node_modules'); at = path.dirname(at)) {
    const description = path.join(at, 'package.json');
    if (fs.existsSync(description)) {
      try {
        return JSON.parse(fs.readFileSync(description, 'utf8'))?.type === 'module';
      } catch (error) {
        const ignored = 'it will be ignored for ES module detection purposes.';
        console.warn(`${description} cannot be read, ${ignored}`, error);
        return false;
      }
    }
    if (at === '/') return false;
  }
  return false;
}

/** The module that a handler's first part names. */
async function loadModule(root, folder, name, major) {
  const base = path.resolve(root, folder, name);
  const required = (extension) => fs.existsSync(base + extension) && load(base + extension);
  const imported = (extension) => fs.existsSync(base + extension) && import(base + extension);
  const asModule = isModuleFolder(path.dirname(base));
  let found = fs.statSync(base, { throwIfNoEntry: false })?.isDirectory() ? undefined : required('');
  if (!found && !asModule) found = required('.js');
  if (!found && asModule) found = await imported('.js');
  found ||= (await imported('.mjs')) || required('.cjs');
  if (!found && major >= 24) {
    found = (asModule ? await imported('.ts') : required('.ts')) || (await imported('.mts')) || required('.cts');
  }
  return found || load(load.resolve(name, { paths: [root, folder] }));
}

/** The function, checked as Lambda checks it. */
async function find(root, handler, major) {
  if (handler.includes('..')) {
    const advice = 'Use absolute paths when specifying root directories in handler names.';
    throw new errors.MalformedHandlerName(`'${handler}' is not a valid handler name. ${advice}`);
  }
  const last = path.basename(handler);
  const folder = handler.slice(0, handler.indexOf(last));
  const parts = /^([^.]*)\.(.*)$/.exec(last);
  if (parts === null) throw new errors.MalformedHandlerName('Bad handler');
  let found;
  try {
    found = await loadModule(root, folder, parts[1], major);
  } catch (error) {
    if (error instanceof SyntaxError) throw new errors.UserCodeSyntaxError(error);
    if (error?.code === 'MODULE_NOT_FOUND') throw new errors.ImportModuleError(error);
    throw error;
  }
  for (const name of parts[2].split('.')) found = found && found[name];
  if (!found) throw new errors.HandlerNotFound(`${handler} is undefined or not exported`);
  if (typeof found !== 'function') throw new errors.HandlerNotFound(`${handler} is not a function`);
  return found;
}

/** Whether a handler streams its response, and how much it may buffer (bytes; undefined: Node's own). */
function streaming(handler) {
  const mode = handler[STREAMING];
  if (!mode) return null;
  if (mode !== 'response') throw new errors.MalformedStreamingHandler('Only response streaming is supported.');
  const mark = Number.parseInt(handler[HIGH_WATER_MARK], 10);
  return { highWaterMark: Number.isNaN(mark) ? undefined : mark };
}

/** `awslambda.streamifyResponse`: marks a handler. */
function streamifyResponse(handler, options) {
  handler[STREAMING] = 'response';
  if (typeof options?.highWaterMark === 'number') {
    handler[HIGH_WATER_MARK] = Math.trunc(options.highWaterMark);
  }
  return handler;
}

module.exports = { find, streaming, streamifyResponse };
