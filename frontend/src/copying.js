import { t } from "./texts.js";

const TOLD_MS = 2000;

export function copying() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    const [label] = button.childNodes;
    const before = label.textContent;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      label.textContent = t("Copied");
      setTimeout(() => (label.textContent = before), TOLD_MS);
    });
  }
}
