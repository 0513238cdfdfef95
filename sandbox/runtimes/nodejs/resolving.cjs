// Lets `import` find what `require` finds through NODE_PATH, as on Lambda: layers and the AWS SDK.
//
// Below the root of an environment two links make those places ancestors of /var/task, so that nothing has
// to be done. Where there are none, or NODE_PATH names other places, module resolution is extended.
'use strict';

const fs = require('fs');
const path = require('path');

const LINKS = { '/var/node_modules': '/opt/nodejs/node_modules', '/node_modules': '/var/runtime/node_modules' };

function linksTo(link, target) {
  try {
    return fs.readlinkSync(link) === target;
  } catch {
    return false;
  }
}

/** Whether the default resolution finds everything: an extension starts a thread, which costs 30 ms. */
function isCovered(places) {
  const linked = Object.keys(LINKS).filter((link) => linksTo(link, LINKS[link])).map((link) => LINKS[link]);
  const covered = new Set([...linked, '/var/task', '/var/runtime']);
  return places.every((place) => covered.has(place) || !fs.existsSync(place));
}

/** Call once, before user code is loaded. */
function prepare(variables) {
  const places = (variables.NODE_PATH ?? '').split(':').filter(Boolean);
  if (isCovered(places)) return;
  const nodeModule = require('module');
  // A parent inside each place, from which the default resolution starts.
  const parents = places.map((place) => `file://${path.join(place.replace(/\/node_modules\/?$/, ''), 'index.mjs')}`);
  if (typeof nodeModule.registerHooks === 'function') {
    nodeModule.registerHooks({ resolve: (name, context, next) => resolveSoon(parents, name, context, next) });
  } else {
    nodeModule.register('./resolving_hook.mjs', `file://${__dirname}/`, { data: { parents } });
  }
}

function resolveSoon(parents, name, context, next) {
  try {
    return next(name, context);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' || /^[./]|^[a-z]+:/.test(name)) throw error;
    for (const parentURL of parents) {
      try {
        return next(name, { ...context, parentURL });
      } catch {
        continue;
      }
    }
    throw error;
  }
}

module.exports = { prepare };
