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

test("the discount is taken off and rounded once", async () => {
  assert.equal((await call("two-parcels-discount")).price, "15.20");
});

test("the tariff is that of the carrier's day", async () => {
  assert.equal((await call("one-parcel", { pickupAt: "2031-03-30T23:30:00-05:00" })).price, "5.30");
});

test("a tier ends with its edge", async () => {
  assert.equal((await call("one-parcel", { parcels: [{ weightKg: 5 }] })).price, "4.90");
});

for (const weightKg of [0, -1, "2.5", null]) {
  test(`a weight of ${JSON.stringify(weightKg)} is rejected`, async () => {
    assert.equal((await call("one-parcel", { parcels: [{ weightKg }] })).error.code, "INVALID_WEIGHT");
  });
}

for (const pickupAt of ["2031-02-30T10:00:00Z", "2031-02-14T10:00:00", "tomorrow", "2001-02-14T10:00:00Z"]) {
  test(`a pickup at ${pickupAt} is rejected`, async () => {
    assert.equal((await call("one-parcel", { pickupAt })).error.code, "INVALID_PICKUP");
  });
}

test("an unknown zone is an answer", async () => {
  assert.equal((await call("unknown-zone")).error.code, "UNKNOWN_ZONE");
});
