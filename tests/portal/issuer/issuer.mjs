// An issuer on loopback: node issuer.mjs PORT REDIRECT_URI. Whoever signs in as "name+unverified" has an
// address that is not verified.
import Provider from "oidc-provider";

const [port, redirect] = process.argv.slice(2);
const url = `http://127.0.0.1:${port}`;

const provider = new Provider(url, {
  clients: [
    { client_id: "coldstart", client_secret: "for tests only", redirect_uris: [redirect], grant_types: ["authorization_code"] },
  ],
  pkce: { required: () => true },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  features: { devInteractions: { enabled: true } },
  cookies: { keys: ["for tests only"] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      name: id.split("+")[0],
      email: `${id.split("+")[0]}@Example.org`,
      email_verified: !id.endsWith("+unverified"),
    }),
  }),
});

provider.listen(Number(port), "127.0.0.1", () => process.stdout.write("ready\n"));
