// Prices a basket of parcels from the tariff that ships with the code.

import { readFileSync } from "node:fs";
import { amountOf, rounded, scaled } from "./money.js";

const TARIFF = JSON.parse(readFileSync(new URL("tariff.json", import.meta.url), "utf8"));
const DISCOUNTS = new Map(Object.entries(TARIFF.discounts));
const UNIT = scaled(TARIFF.roundingUnit);
const REQUIRED = ["quoteId", "customerId", "customerEmail", "zone", "pickupAt", "parcels"];
const CALENDAR = new Intl.DateTimeFormat("en-CA", {
  timeZone: TARIFF.timeZone,
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
});
const MOMENT =
  /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)$/;

/** The request can't be priced, and the caller can repair it. */
class Rejected extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Answer with a price, or with what is wrong with the request. */
export async function handler(event, context) {
  const started = performance.now();
  let outcome = "ERROR";
  try {
    const answer = quote(event);
    outcome = "ok";
    return answer;
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    outcome = error.code;
    return { ok: false, error: { code: error.code, message: error.message } };
  } finally {
    const line = {
      requestId: context.awsRequestId,
      quoteId: event.quoteId ?? null,
      outcome,
      durationMs: Math.round((performance.now() - started) * 1000) / 1000,
    };
    // Not by console.log, which puts its own words before the line.
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}

/** The answer to a good request; throws Rejected for any other. */
function quote(request) {
  const missing = REQUIRED.filter((name) => request[name] === undefined || request[name] === null);
  if (missing.length > 0) throw new Rejected("MISSING_FIELD", `${missing.join(", ")}: required.`);
  if (request.parcels.length === 0) {
    throw new Rejected("EMPTY_BASKET", "parcels: at least one is required.");
  }
  const tiers = zonesOn(pickupDay(request.pickupAt))[request.zone];
  if (tiers === undefined) {
    throw new Rejected("UNKNOWN_ZONE", `zone: ${request.zone} is not in the tariff.`);
  }
  const breakdown = request.parcels.map(({ weightKg }) => ({ weightKg, amount: priceOf(tiers, weightKg) }));
  const total = breakdown.reduce((sum, item) => sum + scaled(item.amount), 0n);
  const percent = scaled(DISCOUNTS.get(request.customerId) ?? "0");
  return {
    ok: true,
    quoteId: request.quoteId,
    price: amountOf(rounded(total, percent, UNIT)),
    currency: TARIFF.currency,
    breakdown,
  };
}

/** The carrier's calendar day at a moment, whatever offset the caller writes it with. */
function pickupDay(pickupAt) {
  const parts = typeof pickupAt === "string" ? MOMENT.exec(pickupAt) : null;
  if (parts === null) throw new Rejected("INVALID_PICKUP", "pickupAt: not an ISO 8601 time with an offset.");
  const [, year, month, day] = parts.map(Number);
  // The day itself has to exist; a Date would take 30 February for 2 March.
  const written = new Date(Date.UTC(year, month - 1, day));
  const moment = new Date(pickupAt);
  if (written.getUTCMonth() !== month - 1 || written.getUTCDate() !== day || Number.isNaN(moment.getTime())) {
    throw new Rejected("INVALID_PICKUP", "pickupAt: there is no such day.");
  }
  return CALENDAR.format(moment);
}

/** The zones of the tariff that is valid on a day. */
function zonesOn(day) {
  const valid = TARIFF.tariffs.filter((version) => version.from <= day);
  if (valid.length === 0) throw new Rejected("INVALID_PICKUP", `pickupAt: there is no tariff for ${day}.`);
  return valid[valid.length - 1].zones;
}

/** The price of the first tier that holds a weight. */
function priceOf(tiers, weight) {
  if (typeof weight !== "number" || !(weight > 0)) {
    throw new Rejected("INVALID_WEIGHT", `weightKg: ${JSON.stringify(weight)} is not a number above 0.`);
  }
  const tier = tiers.find(({ upToKg }) => weight <= upToKg);
  if (tier === undefined) throw new Rejected("PARCEL_TOO_HEAVY", `weightKg: ${weight} is above the last tier.`);
  return tier.price;
}
