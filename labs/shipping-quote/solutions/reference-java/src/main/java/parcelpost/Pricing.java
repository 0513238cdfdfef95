package parcelpost;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.time.DateTimeException;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Prices baskets by a tariff. */
final class Pricing {
  private static final List<String> REQUIRED =
      List.of("quoteId", "customerId", "customerEmail", "zone", "pickupAt", "parcels");
  private static final BigDecimal HUNDRED = BigDecimal.valueOf(100);

  private final Tariff tariff;
  private final ZoneId timeZone;

  Pricing(Tariff tariff) {
    this.tariff = tariff;
    this.timeZone = ZoneId.of(tariff.timeZone());
  }

  /** The answer to a good request; throws Rejected for any other. */
  Map<String, Object> quote(Map<String, Object> request) {
    List<String> missing = REQUIRED.stream().filter(name -> request.get(name) == null).toList();
    if (!missing.isEmpty()) {
      throw new Rejected("MISSING_FIELD", String.join(", ", missing) + ": required.");
    }
    List<?> parcels = (List<?>) request.get("parcels");
    if (parcels.isEmpty()) {
      throw new Rejected("EMPTY_BASKET", "parcels: at least one is required.");
    }
    List<Tariff.Tier> tiers = zonesOn(pickupDay(request.get("pickupAt"))).get(request.get("zone"));
    if (tiers == null) {
      throw new Rejected("UNKNOWN_ZONE", "zone: " + request.get("zone") + " is not in the tariff.");
    }
    BigDecimal total = BigDecimal.ZERO;
    List<Map<String, Object>> breakdown = new ArrayList<>(parcels.size());
    for (Object parcel : parcels) {
      Object weight = ((Map<?, ?>) parcel).get("weightKg");
      String amount = priceOf(tiers, weight);
      total = total.add(new BigDecimal(amount));
      breakdown.add(Map.of("weightKg", weight, "amount", amount));
    }
    BigDecimal percent = tariff.discounts().getOrDefault(request.get("customerId"), BigDecimal.ZERO);
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("ok", true);
    answer.put("quoteId", request.get("quoteId"));
    answer.put("price", rounded(total.multiply(HUNDRED.subtract(percent))).toPlainString());
    answer.put("currency", tariff.currency());
    answer.put("breakdown", breakdown);
    return answer;
  }

  /** The carrier's calendar day at a moment, whatever offset the caller writes it with. */
  private String pickupDay(Object pickupAt) {
    try {
      return OffsetDateTime.parse(String.valueOf(pickupAt))
          .atZoneSameInstant(timeZone)
          .toLocalDate()
          .toString();
    } catch (DateTimeException unreadable) {
      throw new Rejected("INVALID_PICKUP", "pickupAt: not an ISO 8601 time with an offset.");
    }
  }

  private Map<String, List<Tariff.Tier>> zonesOn(String day) {
    for (int number = tariff.tariffs().size() - 1; number >= 0; number--) {
      Tariff.Version version = tariff.tariffs().get(number);
      if (version.from().compareTo(day) <= 0) {
        return version.zones();
      }
    }
    throw new Rejected("INVALID_PICKUP", "pickupAt: there is no tariff for " + day + ".");
  }

  /** The price of the first tier that holds a weight. */
  private static String priceOf(List<Tariff.Tier> tiers, Object weight) {
    if (!(weight instanceof Number number) || new BigDecimal(number.toString()).signum() <= 0) {
      throw new Rejected("INVALID_WEIGHT", "weightKg: " + weight + " is not a number above 0.");
    }
    BigDecimal exact = new BigDecimal(number.toString());
    for (Tariff.Tier tier : tiers) {
      if (exact.compareTo(tier.upToKg()) <= 0) {
        return tier.price();
      }
    }
    throw new Rejected("PARCEL_TOO_HEAVY", "weightKg: " + weight + " is above the last tier.");
  }

  /** Hundredths of an amount as the nearest multiple of the rounding unit, halves up. */
  private BigDecimal rounded(BigDecimal hundredths) {
    BigDecimal unit = tariff.roundingUnit();
    BigDecimal steps = hundredths.divide(unit.multiply(HUNDRED), 0, RoundingMode.HALF_UP);
    return steps.multiply(unit).setScale(2, RoundingMode.HALF_UP);
  }
}
