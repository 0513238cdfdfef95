package returns;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.sqs.SqsClient;

/** Takes returns: checks them against the policy and hands them to the queue. Reads what became of them. */
public class Api implements RequestHandler<Map<String, Object>, Map<String, Object>> {
    private static final String[] TEXTS = {"orderId", "category", "email"};
    private static final String[] NUMBERS = {"amountCents", "daysSinceDelivery"};

    private final SqsClient sqs = SqsClient.builder().httpClientBuilder(UrlConnectionHttpClient.builder()).build();
    private final DynamoDbClient dynamodb =
        DynamoDbClient.builder().httpClientBuilder(UrlConnectionHttpClient.builder()).build();

    @Override
    public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
        System.out.println("event " + event);
        try {
            return "/returns".equals(event.get("resource")) ? create(event) : read(event);
        } catch (RuntimeException | JsonProcessingException error) {
            error.printStackTrace();
            return answer(503, Map.of("error", "try again later"));
        }
    }

    /** Register a return, or say why not. */
    private Map<String, Object> create(Map<String, Object> event) throws JsonProcessingException {
        JsonNode body = bodyOf(event);
        if (body == null) {
            return answer(400, Map.of("error", "not a return"));
        }
        Optional<String> reason = Policy.rejection(body);
        if (reason.isPresent()) {
            System.out.println("rejected " + body.get("email") + " " + reason.get());
            return answer(422, Map.of("status", "REJECTED", "reason", reason.get()));
        }
        Map<String, Object> item = new LinkedHashMap<>();
        item.put("returnId", UUID.randomUUID().toString());
        item.put("orderId", body.get("orderId").asText());
        item.put("email", body.get("email").asText());
        item.put("refundCents", Policy.refundCents(body));
        String message = Policy.JSON.writeValueAsString(item);
        sqs.sendMessage(request -> request.queueUrl(System.getenv("QUEUE_URL")).messageBody(message));
        System.out.println("accepted " + item);
        return answer(202, Map.of(
            "returnId", item.get("returnId"), "status", "ACCEPTED", "refundCents", item.get("refundCents")));
    }

    /** A return that is registered; whoever asks has to know its e-mail address. */
    private Map<String, Object> read(Map<String, Object> event) {
        String id = (String) ((Map<?, ?>) event.get("pathParameters")).get("id");
        Map<?, ?> query = (Map<?, ?>) event.get("queryStringParameters");
        Map<String, AttributeValue> item = dynamodb.getItem(request -> request
            .tableName(System.getenv("TABLE_NAME"))
            .key(Map.of("returnId", AttributeValue.fromS(id)))
            .consistentRead(true)).item();
        if (item.isEmpty() || query == null || !item.get("email").s().equals(query.get("email"))) {
            return answer(404, Map.of("error", "no such return"));
        }
        return answer(200, Map.of(
            "returnId", id,
            "orderId", item.get("orderId").s(),
            "status", "REGISTERED",
            "refundCents", Long.valueOf(item.get("refundCents").n())));
    }

    /** The request's body, or null when it is no return. */
    private static JsonNode bodyOf(Map<String, Object> event) {
        JsonNode body;
        try {
            body = Policy.JSON.readTree(String.valueOf(event.get("body")));
        } catch (JsonProcessingException unreadable) {
            return null;
        }
        for (String name : TEXTS) {
            if (!body.path(name).isTextual() || body.get(name).asText().isEmpty()) {
                return null;
            }
        }
        for (String name : NUMBERS) {
            if (!body.path(name).isIntegralNumber() || body.get(name).asLong() < 0) {
                return null;
            }
        }
        return body;
    }

    /** An answer in JSON. */
    private static Map<String, Object> answer(int status, Map<String, Object> body) {
        try {
            Map<String, Object> answer = new HashMap<>();
            answer.put("statusCode", status);
            answer.put("headers", new HashMap<>(Map.of("content-type", "application/json")));
            answer.put("body", Policy.JSON.writeValueAsString(body));
            return answer;
        } catch (JsonProcessingException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
