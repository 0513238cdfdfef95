// Lets `import` find what `require` finds through NODE_PATH, as on Lambda: layers and the AWS SDK.
//
// Below the root of an environment two links make those places ancestors of /var/task, so that nothing has
// to be done. Where there are none, or NODE_PATH names other places, module resolution is extended.
'use strict';

const fs = require('fs');
const path = require('path');

function isCovered(places) {
  const links = { '/var/node_modules': '/opt/nodejs/node_modules', '/node_modules': '/var/runtime/node_modules' };
  let linked;
  try {
    linked = Object.entries(links).filter(([link, target]) => fs.readlinkSync(link) === target).map((each) => each[1]);
  } catch {
    return false;
  }
  return places.every((place) => {
    return linked.includes(place) || place === '/var/task' || place === '/var/runtime' || !fs.existsSync(place);
  });
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
