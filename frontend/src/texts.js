// What scripts say, in the page's language: the page brings the translations along, English needs none.
const brought = document.querySelector("script[data-texts]");
const texts = brought ? JSON.parse(brought.textContent) : {};

// `t("%(name)s is too large", { name })`
export function t(message, values = {}) {
  return (texts[message] ?? message).replace(/%\((\w+)\)s/g, (_, name) => values[name] ?? "");
}
