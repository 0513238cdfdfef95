// Passkeys: made on the account's page, used on the sign-in page. Browsers without them see neither.
import { t } from "./texts.js";

export function passkeys() {
  if (!globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON) return;
  offer("[data-passkey-new]", async (root) => {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(await ask(root, "/account/passkeys/options", {}));
    const credential = await navigator.credentials.create({ publicKey });
    const name = root.querySelector("input").value;
    return ask(root, "/account/passkeys", { name, credential: credential.toJSON() });
  });
  offer("[data-passkey-sign-in]", async (root) => {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(await ask(root, "/sign-in/passkey/options", {}));
    const credential = await navigator.credentials.get({ publicKey });
    return ask(root, "/sign-in/passkey", { next: root.dataset.next, credential: credential.toJSON() });
  });
}

function offer(selector, act) {
  for (const root of document.querySelectorAll(selector)) {
    const button = root.querySelector("button");
    const told = root.querySelector("[role=alert]");
    root.hidden = false;
    button.addEventListener("click", async () => {
      button.disabled = true;
      told.hidden = true;
      try {
        location.assign((await act(root)).page);
        // A page that is the same but for its anchor is not loaded again by itself.
        if (selector === "[data-passkey-new]") location.reload();
      } catch (error) {
        // Closing the browser's window is no mistake.
        told.hidden = error.name === "NotAllowedError" || error.name === "AbortError";
        told.textContent = error.name === "InvalidStateError" ? t("This device has a passkey of yours already.") : error.message;
      } finally {
        button.disabled = false;
      }
    });
  }
}

async function ask(root, path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": root.dataset.csrf },
    body: JSON.stringify(body),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
}
