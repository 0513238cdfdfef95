import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";

const events = new EventBridgeClient();

export const handler = async ({ body, isBase64Encoded }) => {
  const orders = JSON.parse(isBase64Encoded ? Buffer.from(body, "base64").toString() : body);
  const answer = await events.send(
    new PutEventsCommand({
      Entries: orders.map((order) => ({
        EventBusName: process.env.BUS,
        Source: "shop.orders",
        DetailType: "Order placed",
        Detail: JSON.stringify(order),
      })),
    }),
  );
  return { failed: answer.FailedEntryCount, placed: answer.Entries.length };
};
