package helloworld;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.net.URI;
import java.util.List;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;

/** Sums visits up. It names its region and end point itself, as older releases of the SDK make one do. */
public class Summary implements RequestHandler<Summary.Question, Summary.Answer> {
    private final DynamoDbClient client = DynamoDbClient.builder()
        .region(Region.US_EAST_1)
        .endpointOverride(URI.create("https://dynamodb.us-east-1.amazonaws.com"))
        .httpClientBuilder(UrlConnectionHttpClient.builder())
        .build();

    @Override
    public Answer handleRequest(Question question, Context context) {
        Answer answer = new Answer();
        client.scanPaginator(scan -> scan.tableName(System.getenv("TABLE"))).items().forEach(item -> {
            int visits = Integer.parseInt(item.get("visits").n());
            if (visits >= question.getAtLeast()) {
                answer.names.add(item.get("id").s());
                answer.visits += visits;
            }
        });
        answer.names.sort(null);
        return answer;
    }

    /** What is asked. */
    public static class Question {
        private int atLeast = 1;

        public int getAtLeast() {
            return atLeast;
        }

        public void setAtLeast(int atLeast) {
            this.atLeast = atLeast;
        }
    }

    /** What is answered. */
    public static class Answer {
        private final List<String> names = new java.util.ArrayList<>();
        private int visits;

        public List<String> getNames() {
            return names;
        }

        public int getVisits() {
            return visits;
        }
    }
}
