package parcelpost;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.LinkedHashMap;
import java.util.Map;

/** Answers with a price, or with what is wrong with the request. */
public final class QuoteHandler implements RequestHandler<Map<String, Object>, Map<String, Object>> {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Pricing PRICING = new Pricing(Tariff.read());

  @Override
  public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
    long started = System.nanoTime();
    String outcome = "ERROR";
    try {
      Map<String, Object> answer = PRICING.quote(event);
      outcome = "ok";
      return answer;
    } catch (Rejected rejected) {
      outcome = rejected.code;
      return Map.of("ok", false, "error", Map.of("code", rejected.code, "message", rejected.getMessage()));
    } finally {
      log(event, context, outcome, System.nanoTime() - started);
    }
  }

  private static void log(Map<String, Object> event, Context context, String outcome, long tookNs) {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("requestId", context.getAwsRequestId());
    line.put("quoteId", event.get("quoteId"));
    line.put("outcome", outcome);
    line.put("durationMs", tookNs / 1000 / 1000.0);
    try {
      context.getLogger().log(JSON.writeValueAsString(line) + "\n");
    } catch (JsonProcessingException impossible) {
      throw new IllegalStateException(impossible);
    }
  }
}
