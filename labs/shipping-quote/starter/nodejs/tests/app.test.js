// Run with `node --test tests/` in the folder of the template.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { handler } from "../src/app.js";

async function call(name, changed = {}) {
  const event = JSON.parse(readFileSync(new URL(`../events/${name}.json`, import.meta.url), "utf8"));
  return handler({ ...event, ...changed }, { awsRequestId: "r-1" });
}

test("a parcel has the price of its tier", async () => {
  assert.equal((await call("one-parcel")).price, "4.90");
});
