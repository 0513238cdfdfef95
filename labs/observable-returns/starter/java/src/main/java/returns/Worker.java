package returns;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;

/** Registers returns from the queue. */
public class Worker implements RequestHandler<Map<String, Object>, Map<String, Object>> {
    private final DynamoDbClient dynamodb =
        DynamoDbClient.builder().httpClientBuilder(UrlConnectionHttpClient.builder()).build();

    @Override
    public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
        List<Map<String, Object>> failed = new ArrayList<>();
        for (Object each : (List<?>) event.get("Records")) {
            Map<?, ?> message = (Map<?, ?>) each;
            System.out.println("record " + message);
            try {
                register(Policy.JSON.readTree((String) message.get("body")));
            } catch (RuntimeException | JsonProcessingException error) {
                error.printStackTrace();
                failed.add(Map.of("itemIdentifier", message.get("messageId")));
            }
        }
        return Map.of("batchItemFailures", failed);
    }

    /** Store one return. */
    private void register(JsonNode item) {
        dynamodb.putItem(request -> request.tableName(System.getenv("TABLE_NAME")).item(Map.of(
            "returnId", AttributeValue.fromS(item.get("returnId").asText()),
            "orderId", AttributeValue.fromS(item.get("orderId").asText()),
            "email", AttributeValue.fromS(item.get("email").asText()),
            "refundCents", AttributeValue.fromN(item.get("refundCents").asText()))));
        System.out.println("registered " + item);
    }
}
