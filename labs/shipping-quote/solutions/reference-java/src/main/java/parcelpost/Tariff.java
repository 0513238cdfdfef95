package parcelpost;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.util.List;
import java.util.Map;

/** The tariff that ships with the code. */
record Tariff(
    String timeZone,
    String currency,
    BigDecimal roundingUnit,
    Map<String, BigDecimal> discounts,
    List<Version> tariffs) {

  /** The zones that are valid from the beginning of a day, an ISO date, in the carrier's time zone. */
  record Version(String from, Map<String, List<Tier>> zones) {}

  /** The price of parcels up to a weight. */
  record Tier(BigDecimal upToKg, String price) {}

  static Tariff read() {
    try (InputStream file = Tariff.class.getResourceAsStream("/tariff.json")) {
      return new ObjectMapper().readValue(file, Tariff.class);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }
}
