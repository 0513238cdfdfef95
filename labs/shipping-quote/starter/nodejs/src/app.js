// Prices a basket of parcels from the tariff that ships with the code.

import { readFileSync } from "node:fs";

const TARIFF = JSON.parse(readFileSync(new URL("tariff.json", import.meta.url), "utf8"));

/** Answer with a price, or with what is wrong with the request. */
export async function handler(event, context) {
  return { ok: false, error: { code: "NOT_YET", message: "Price the basket here." } };
}
