/** Compares a business day's payment files with the payments table, and reports what differs. */

/** Reconcile the business day that is over. */
export const handler = async (event) => {
  console.log(JSON.stringify(event));
};
