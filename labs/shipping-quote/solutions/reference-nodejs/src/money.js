// Exact decimals as whole numbers of millionths.

const DIGITS = 6;
const ONE = 10n ** BigInt(DIGITS);

/** "12.5" as a whole number of millionths. */
export function scaled(text) {
  const [whole, fraction = ""] = text.split(".");
  return BigInt(whole + fraction.padEnd(DIGITS, "0"));
}

/** A total less a percentage, rounded once, half up, to a multiple of the unit. All are scaled. */
export function rounded(total, percent, unit) {
  const numerator = total * (100n * ONE - percent);
  const denominator = unit * 100n * ONE;
  return ((2n * numerator + denominator) / (2n * denominator)) * unit;
}

/** A scaled amount as text with two decimals. */
export function amountOf(value) {
  const cents = value / (ONE / 100n);
  return `${cents / 100n}.${String(cents % 100n).padStart(2, "0")}`;
}
