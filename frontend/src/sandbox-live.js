// An event says that something changed; the server says how the page looks now, and its parts are put in place.
import { t } from "./texts.js";

const QUIET_MS = 150;
const END_PX = 40;

export function following() {
  const place = document.querySelector("[data-practice-stream]");
  const parts = [...document.querySelectorAll("[data-fresh]")];
  for (const part of parts) toEnd(part, true);
  if (!place || !parts.length) return;
  // What a form brought about would be asked for again with it.
  const fresh = document.querySelector("#result, #answer, #moved, .keys") ? null : location.href.split("#")[0];
  let known = null;
  let due = 0;
  let changed = new Set();

  const refresh = async () => {
    due = 0;
    const wanted = changed;
    changed = new Set();
    const answer = await fetch(fresh, { headers: { Accept: "text/html" } }).catch(() => null);
    if (!answer || !answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-fresh]")) {
      const now = page.getElementById(part.id);
      if (now && wanted.has(part.dataset.fresh)) put(part, now);
    }
  };
  const source = new EventSource(place.dataset.practiceStream);
  place.textContent = t("connecting");
  source.onopen = () => (place.textContent = t("live"));
  source.onerror = () => {
    place.textContent = t("reconnecting");
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 2000);
  };
  source.onmessage = (event) => {
    const now = JSON.parse(event.data);
    const before = known;
    known = now;
    if (before && before.account !== now.account) return location.reload();
    // The first says how things are; the page may have been written before.
    if (!before || String(before.deployment) !== String(now.deployment)) changed.add("deployment");
    if (!before || before.happened !== now.happened) changed.add("happened");
    if (changed.size && fresh) due ||= setTimeout(refresh, QUIET_MS);
  };
}

function put(part, now) {
  if (part.innerHTML === now.innerHTML) return;
  const open = new Set([...part.querySelectorAll("details[open] > summary")].map((each) => each.textContent));
  const held = part.contains(document.activeElement) ? where(part, document.activeElement) : -1;
  const atEnd = isAtEnd(part);
  part.replaceChildren(...now.childNodes);
  for (const summary of part.querySelectorAll("details > summary")) {
    if (open.has(summary.textContent)) summary.parentElement.open = true;
  }
  if (held >= 0) [...part.querySelectorAll("a, button, summary, [tabindex]")][held]?.focus();
  toEnd(part, atEnd);
}

function where(part, element) {
  return [...part.querySelectorAll("a, button, summary, [tabindex]")].indexOf(element);
}

function isAtEnd(part) {
  return part.scrollHeight - part.scrollTop - part.clientHeight < END_PX;
}

function toEnd(part, wanted) {
  if (wanted && "follow" in part.dataset) part.scrollTop = part.scrollHeight;
}
