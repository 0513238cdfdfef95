// Light, dark, high contrast, or as the system has it. Kept in a cookie, so that the server sends the page right at once.
import { t } from "./texts.js";

const CHOICES = ["auto", "light", "dark", "contrast"];
const NAMES = {
  auto: () => t("auto"),
  light: () => t("light"),
  dark: () => t("dark"),
  contrast: () => t("high contrast"),
};

export function theme() {
  const button = document.querySelector("[data-theme-switch]");
  if (!button) return;
  const root = document.documentElement;
  const show = (choice) => {
    if (choice === "auto") delete root.dataset.theme;
    else root.dataset.theme = choice;
    button.querySelector("[data-theme-name]").textContent = NAMES[choice]();
  };
  button.hidden = false;
  show(root.dataset.theme || "auto");
  button.addEventListener("click", () => {
    const now = root.dataset.theme || "auto";
    const next = CHOICES[(CHOICES.indexOf(now) + 1) % CHOICES.length];
    document.cookie = `theme=${next}; path=/; max-age=31536000; samesite=lax`;
    show(next);
  });
}
