import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What customers rely on, asked of a deployed stack: API_URL=… java tests/ContractTest.java */
public class ContractTest {
    private static final String GOOD = """
        {"orderId": "O-1", "category": "shoes", "amountCents": 5990, "daysSinceDelivery": 3,
         "email": "mari@example.test"}""";
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] arguments) throws Exception {
        HttpResponse<String> accepted = call("POST", "/returns", GOOD);
        expect("a return is accepted", accepted.statusCode() == 202 && accepted.body().contains("5740"));
        Matcher id = Pattern.compile("\"returnId\":\\s*\"([^\"]+)\"").matcher(accepted.body());
        expect("it has an id", id.find());
        HttpResponse<String> found = null;
        for (int turn = 0; turn < 20 && (found == null || found.statusCode() != 200); turn++) {
            Thread.sleep(500);
            found = call("GET", "/returns/" + id.group(1) + "?email=mari%40example.test", null);
        }
        expect("it is registered", found.statusCode() == 200 && found.body().contains("REGISTERED"));
        HttpResponse<String> late = call("POST", "/returns", GOOD.replace("Delivery\": 3", "Delivery\": 31"));
        expect("a late return is rejected", late.statusCode() == 422 && late.body().contains("TOO_LATE"));
        HttpResponse<String> text = call("POST", "/returns", GOOD.replace("5990", "\"5990\""));
        expect("what is no return is refused", text.statusCode() == 400);
        expect("strangers read nothing", call("GET", "/returns/none?email=x", null).statusCode() == 404);
        System.out.println("all is well");
    }

    private static HttpResponse<String> call(String method, String path, String body) throws Exception {
        HttpRequest.BodyPublisher sent =
            body == null ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString(body);
        URI address = URI.create(System.getenv("API_URL") + path);
        HttpRequest request =
            HttpRequest.newBuilder(address).header("content-type", "application/json").method(method, sent).build();
        return CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
    }

    private static void expect(String what, boolean holds) {
        System.out.println((holds ? "ok: " : "NOT SO: ") + what);
        if (!holds) {
            System.exit(1);
        }
    }
}
