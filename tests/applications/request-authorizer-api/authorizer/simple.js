exports.handler = async (event) => {
  const [kind, tenant] = event.headers.authorization.split(' ');
  return { isAuthorized: kind === 'Tenant' && tenant !== 'closed', context: { tenant } };
};
