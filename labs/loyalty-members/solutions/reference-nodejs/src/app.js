// Loyalty members over HTTP: one function behind a REST API that passes every path on.

import { LARGEST_PAGE, PAGE_SIZE, Invalid, changesOf, fieldsOf } from "./rules.js";
import * as store from "./store.js";

const { ALLOWED_ORIGIN } = process.env;
const PREFLIGHT = {
  "access-control-allow-methods": "GET,POST,PATCH,DELETE",
  "access-control-allow-headers": "content-type,authorization,x-amz-date,x-amz-security-token,x-amz-content-sha256",
  "access-control-max-age": "600",
};

/** An answer that is no success. */
class Problem extends Error {
  constructor(status, title) {
    super(title);
    this.status = status;
  }
}

const ROUTES = {
  "/members": { POST: create, GET: list },
  "/members/{id}": { GET: read, PATCH: change, DELETE: remove },
};

/** Answer one request, and leave one line in the log: what was asked, and what came of it. */
export async function handler(event) {
  const began = performance.now();
  const path = pathOf(event.path);
  const answer = await answered(event, path);
  allow(answer.headers, event);
  const line = {
    requestId: event.requestContext.requestId,
    route: `${event.httpMethod} ${path}`,
    status: answer.statusCode,
    latencyMs: Math.round(performance.now() - began),
  };
  // Written past console.log, which on Lambda puts time and request id before the JSON.
  process.stdout.write(`${JSON.stringify(line)}\n`);
  return answer;
}

function pathOf(path) {
  if (path === "/members") return path;
  return /^\/members\/[^/]+$/.test(path) ? "/members/{id}" : "other";
}

async function answered(event, path) {
  if (event.httpMethod === "OPTIONS") return { statusCode: 204, headers: {} };
  try {
    const methods = ROUTES[path];
    if (!methods) throw new Problem(404, "There is nothing here");
    const route = methods[event.httpMethod];
    if (!route) throw new Problem(405, "This can't be done here");
    return await route(event);
  } catch (error) {
    return problem(...explained(error));
  }
}

/** Status, title and detail of what went wrong. */
function explained(error) {
  if (error instanceof Problem) return [error.status, error.message];
  if (error instanceof Invalid) return [400, "The request is not valid", error.message];
  if (error instanceof store.Missing) return [404, "There is no such member"];
  if (error instanceof store.Conflict) return [409, "Somebody else was first"];
  if (error.$metadata || error.code) {
    process.stdout.write(`${JSON.stringify({ cause: error.name })}\n`);
    return [503, "Members can't be reached at the moment"];
  }
  throw error;
}

async function create(event) {
  const member = await store.create(fieldsOf(bodyOf(event)));
  return answer(201, member, { location: `/members/${member.id}` });
}

async function read(event) {
  return answer(200, await store.read(idOf(event)));
}

async function change(event) {
  const { version, fields } = changesOf(bodyOf(event));
  return answer(200, await store.change(idOf(event), version, fields));
}

async function remove(event) {
  await store.remove(idOf(event));
  return { statusCode: 204, headers: {} };
}

async function list(event) {
  const { limit = String(PAGE_SIZE), next } = event.queryStringParameters ?? {};
  if (!/^\d{1,4}$/.test(limit) || limit < 1 || limit > LARGEST_PAGE) throw new Invalid(`limit has to be 1 to ${LARGEST_PAGE}`);
  const { members, last } = await store.page(Number(limit), next === undefined ? undefined : placeOf(next));
  return answer(200, { members, ...(last ? { next: Buffer.from(last).toString("base64url") } : {}) });
}

function placeOf(token) {
  const id = Buffer.from(token, "base64url").toString("latin1");
  if (!/^[\w-]{22}$/.test(id)) throw new Invalid("next is not one that was given here");
  return id;
}

function idOf(event) {
  try {
    return decodeURIComponent(event.path.split("/")[2]);
  } catch {
    throw new store.Missing();
  }
}

function bodyOf(event) {
  if (!header(event, "content-type").startsWith("application/json")) throw new Problem(415, "Only application/json is read here");
  let found;
  try {
    found = JSON.parse(Buffer.from(event.body ?? "", event.isBase64Encoded ? "base64" : "utf8").toString("utf8"));
  } catch {
    throw new Invalid("the body is not JSON");
  }
  if (found === null || typeof found !== "object" || Array.isArray(found)) throw new Invalid("the body has to be an object");
  return found;
}

function header(event, wanted) {
  const name = Object.keys(event.headers ?? {}).find((each) => each.toLowerCase() === wanted);
  return name ? event.headers[name] : "";
}

/** What a browser has to be told, with every answer, if it asks for the one origin that may call. */
function allow(headers, event) {
  headers.vary = "origin";
  if (header(event, "origin") !== ALLOWED_ORIGIN) return;
  headers["access-control-allow-origin"] = ALLOWED_ORIGIN;
  if (event.httpMethod === "OPTIONS") Object.assign(headers, PREFLIGHT);
}

function answer(statusCode, body, headers = {}) {
  return { statusCode, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) };
}

/** An error as RFC 9457 has it. */
function problem(status, title, detail = "") {
  return answer(status, { type: "about:blank", title, status, detail }, { "content-type": "application/problem+json" });
}
