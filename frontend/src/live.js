import { t } from "./texts.js";

// The live attempt: an event says that something changed, the server says how the page looks now.
const QUIET_MS = 120;

export function live() {
  const region = document.querySelector("[data-live]");
  if (!region) return;
  const { stream, fragment } = region.dataset;
  const status = document.querySelector("[data-live-status]");
  const word = document.querySelector("[data-live-word]");
  let due = 0;
  word.textContent = t("connecting");
  let closed = false;

  const refresh = async () => {
    due = 0;
    const answer = await fetch(fragment, { headers: { "X-Fragment": "1" } }).catch(() => null);
    if (!answer || !answer.ok || answer.redirected) return;
    region.innerHTML = await answer.text();
    const now = region.querySelector("[data-status]")?.textContent.trim();
    if (now && status.textContent !== now) status.textContent = now;
    if (region.querySelector("[data-closed]")) finish();
  };
  const soon = () => {
    due ||= setTimeout(refresh, QUIET_MS);
  };
  const finish = () => {
    if (closed) return;
    closed = true;
    source.close();
    location.reload();
  };
  const source = new EventSource(stream);
  source.onopen = () => {
    word.textContent = t("live");
    soon();
  };
  source.onmessage = (event) => {
    if (JSON.parse(event.data).phase === "closed") finish();
    else soon();
  };
  source.onerror = () => {
    if (closed) return;
    word.textContent = t("reconnecting");
    // A closed source (the address has expired) does not come back by itself: a new page has a new one.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 2000);
  };
  setInterval(() => tick(region), 100);
}

function tick(region) {
  const now = Date.now();
  for (const clock of region.querySelectorAll("time[data-since]")) {
    const seconds = Math.max(0, (now - Date.parse(clock.dataset.since)) / 1000);
    clock.textContent = `${seconds.toFixed(1)} s`;
  }
}
