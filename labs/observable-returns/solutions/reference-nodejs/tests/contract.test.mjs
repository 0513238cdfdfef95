// What customers rely on, asked of a deployed stack: API_URL=… node --test tests/

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";

const { API_URL } = process.env;
const GOOD = { orderId: "O-1", category: "shoes", amountCents: 5990, daysSinceDelivery: 3, email: "mari@example.test" };

async function call(method, path, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(API_URL + path, { method, headers, body: body && JSON.stringify(body) });
  return [answer.status, await answer.json()];
}

test("a return is accepted and registered", async () => {
  const [status, { returnId, ...rest }] = await call("POST", "/returns", GOOD);
  assert.deepEqual([status, rest], [202, { status: "ACCEPTED", refundCents: 5740 }]);
  let found;
  for (let turn = 0; turn < 20; turn += 1) {
    found = await call("GET", `/returns/${returnId}?email=${encodeURIComponent(GOOD.email)}`);
    if (found[0] === 200) break;
    await setTimeout(500);
  }
  assert.deepEqual(found, [200, { returnId, orderId: "O-1", status: "REGISTERED", refundCents: 5740 }]);
});

test("a late return is rejected", async () => {
  const found = await call("POST", "/returns", { ...GOOD, daysSinceDelivery: 31 });
  assert.deepEqual(found, [422, { status: "REJECTED", reason: "TOO_LATE" }]);
});

test("what is no return is refused", async () => {
  assert.equal((await call("POST", "/returns", { ...GOOD, amountCents: "5990" }))[0], 400);
});

test("strangers read nothing", async () => {
  assert.equal((await call("GET", "/returns/none?email=x"))[0], 404);
});
