/** Announces status changes of orders from the table's stream, in order. */

/** Look at every record of the event. */
export const handler = async (event) => {
  for (const record of event.Records) {
    console.log(JSON.stringify(record.dynamodb.Keys));
  }
};
