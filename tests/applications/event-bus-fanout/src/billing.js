export const handler = async (order) => {
  if (order.country === "US") {
    return { billed: order.id };
  }
  throw new RangeError(`no tax for ${order.country}`);
};
