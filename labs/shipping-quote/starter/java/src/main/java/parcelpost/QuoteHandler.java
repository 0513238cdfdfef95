package parcelpost;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.Map;

/** Answers with a price, or with what is wrong with the request. */
public final class QuoteHandler implements RequestHandler<Map<String, Object>, Map<String, Object>> {

  @Override
  public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
    // tariff.json lies at the top of the class path: getClass().getResourceAsStream("/tariff.json").
    return Map.of("ok", false, "error", Map.of("code", "NOT_YET", "message", "Price the basket here."));
  }
}
