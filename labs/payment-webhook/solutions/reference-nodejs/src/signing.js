// The secret that events are signed with: read when it is needed, and again when it is old.

import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";

const client = new SecretsManagerClient({ maxAttempts: 1, requestHandler: { requestTimeout: 2000 } });

/** The secret can't be read now. */
export class SecretUnavailable extends Error {}

/** One secret, kept for at most `maxAgeS` seconds. */
export class SigningSecret {
  #arn;
  #maxAgeMs;
  #held = null;
  #readAt = 0;

  constructor(arn, maxAgeS) {
    this.#arn = arn;
    this.#maxAgeMs = maxAgeS * 1000;
  }

  async value() {
    const now = performance.now();
    if (this.#held === null || now - this.#readAt >= this.#maxAgeMs) {
      this.#held = null;
      this.#held = await this.#read();
      this.#readAt = now;
    }
    return this.#held;
  }

  async #read() {
    try {
      const found = await client.send(new GetSecretValueCommand({ SecretId: this.#arn }));
      return found.SecretString;
    } catch (error) {
      throw new SecretUnavailable(error.name);
    }
  }
}
