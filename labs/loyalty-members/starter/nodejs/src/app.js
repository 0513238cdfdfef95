// Loyalty members over HTTP.

/** Answer one request. */
export async function handler(event) {
  return { statusCode: 501, body: JSON.stringify({ title: "Not written yet" }) };
}
