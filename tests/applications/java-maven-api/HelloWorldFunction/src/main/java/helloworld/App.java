package helloworld;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.events.APIGatewayProxyRequestEvent;
import com.amazonaws.services.lambda.runtime.events.APIGatewayProxyResponseEvent;
import java.util.Map;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.ReturnValue;

/** Greets whoever visits, and counts the visits. */
public class App implements RequestHandler<APIGatewayProxyRequestEvent, APIGatewayProxyResponseEvent> {
    private final Visits visits = new Visits(DynamoDbClient.create());

    @Override
    public APIGatewayProxyResponseEvent handleRequest(APIGatewayProxyRequestEvent input, Context context) {
        String name = input.getPathParameters().get("name");
        context.getLogger().log("greeting " + name + "\n");
        return new APIGatewayProxyResponseEvent()
            .withStatusCode(200)
            .withHeaders(Map.of("Content-Type", "application/json", "X-Function", context.getFunctionName()))
            .withBody(greeting(name, visits.count(name)));
    }

    static String greeting(String name, int visit) {
        return String.format("{ \"message\": \"hello %s\", \"visit\": %d }", name, visit);
    }

    /** How often each visitor came. */
    static class Visits {
        private final DynamoDbClient client;

        Visits(DynamoDbClient client) {
            this.client = client;
        }

        int count(String name) {
            Map<String, AttributeValue> now = client.updateItem(update -> update
                .tableName(System.getenv("TABLE"))
                .key(Map.of("id", AttributeValue.fromS(name)))
                .updateExpression("ADD visits :one")
                .expressionAttributeValues(Map.of(":one", AttributeValue.fromN("1")))
                .returnValues(ReturnValue.UPDATED_NEW)).attributes();
            return Integer.parseInt(now.get("visits").n());
        }
    }
}
