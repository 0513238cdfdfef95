// Somebody else's webhook: gives tokens to those it knows, and takes orders from those who have one.
import { Logger } from "@aws-lambda-powertools/logger";
import { DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";

const logger = new Logger();
const tables = new DynamoDBClient({});
const issued = new Set();

const answer = (statusCode, body) => ({ statusCode, body: JSON.stringify(body) });

export const handler = async (event) => {
  const { method, path } = event.requestContext.http;
  const body = event.isBase64Encoded ? Buffer.from(event.body, "base64").toString() : event.body;
  if (path === "/token") {
    const form = new URLSearchParams(body);
    const known = form.get("client_id") === "shop" && form.get("client_secret") === "open-sesame";
    if (!known || form.get("grant_type") !== "client_credentials") return answer(401, { error: "invalid_client" });
    const token = `t-${Date.now()}`;
    issued.add(token);
    return answer(200, { access_token: token, token_type: "bearer", expires_in: 3600 });
  }
  const token = (event.headers.authorization ?? "").replace("Bearer ", "");
  if (!issued.has(token)) return answer(401, { error: "invalid_token" });
  logger.info("order", { method, path, shop: event.headers["x-shop"] });
  const id = path.split("/").at(-1);
  if (id === "broken") return answer(400, { error: "no such order" });
  const Item = { id: { S: id }, what: { S: `${method} ${body} from ${event.headers["x-shop"]}` } };
  await tables.send(new PutItemCommand({ TableName: process.env.TABLE, Item }));
  return answer(200, {});
};
