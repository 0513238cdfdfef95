package returns;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Optional;

/** What policy.json says of returns. */
final class Policy {
    static final ObjectMapper JSON = new ObjectMapper();
    private static final JsonNode POLICY = read();

    private Policy() {}

    private static JsonNode read() {
        try (InputStream file = Policy.class.getResourceAsStream("/policy.json")) {
            return JSON.readTree(file);
        } catch (IOException broken) {
            throw new UncheckedIOException(broken);
        }
    }

    /** Why a return is rejected; empty when it is not. */
    static Optional<String> rejection(JsonNode body) {
        for (JsonNode rule : POLICY.get("rules")) {
            JsonNode value = body.get(rule.get("field").asText());
            boolean applies = rule.has("above")
                ? value.asLong() > rule.get("above").asLong()
                : contains(rule.get("oneOf"), value.asText());
            if (applies) {
                return Optional.of(rule.get("reason").asText());
            }
        }
        return Optional.empty();
    }

    private static boolean contains(JsonNode texts, String wanted) {
        for (JsonNode text : texts) {
            if (text.asText().equals(wanted)) {
                return true;
            }
        }
        return false;
    }

    /** What a return is worth. */
    static long refundCents(JsonNode body) {
        return Math.max(body.get("amountCents").asLong() - POLICY.get("feeCents").asLong(), 0);
    }
}
