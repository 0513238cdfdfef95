"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { knots, items, lanes } = data;
  const byId = (id) => document.getElementById(id);
  const last = knots[knots.length - 1][1] || 1;
  const NAMES = { api: "API calls", invocation: "Invocations", log: "Logs", delivery: "Deliveries", execution: "Executions",
    alarm: "Alarms", trace: "Traces", metric: "Metrics", fault: "Faults", clock: "Clock", deployment: "Deployments", check: "Checks", gap: "Not emulated" };
  const PAGE = 200;
  const state = { from: 0, to: last, words: [], off: new Set(), request: 0, picked: -1, rows: PAGE, folded: new Set() };

  items.forEach((item, index) => {
    Object.assign(item, { index, tone: item.tone || "ok", request: item.request || 0, outcome: item.outcome || "", text: item.text || "", detail: item.detail || {} });
    item.x0 = place(item.begin);
    item.x1 = place(item.end);
    item.words = [item.name, item.kind, item.outcome, item.text, item.lane, JSON.stringify(item.detail)].join(" ").toLowerCase();
  });
  for (const lane of lanes) {
    lane.items = items.filter((item) => item.lane === lane.id);
    stack(lane);
  }

  // Time and place: knots are pairs of both, and between them it is linear.
  function between(value, own, other) {
    let low = 0, high = knots.length - 1;
    if (value <= knots[0][own]) return knots[0][other];
    if (value >= knots[high][own]) return knots[high][other];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (knots[middle][own] <= value) low = middle; else high = middle;
    }
    const span = knots[high][own] - knots[low][own];
    return knots[low][other] + (span ? (value - knots[low][own]) / span : 0) * (knots[high][other] - knots[low][other]);
  }
  function place(moment) { return between(moment, 0, 1); }
  function moment(at) { return between(at, 1, 0); }

  // What overlaps in time goes below each other, up to a few rows.
  function stack(lane) {
    const ends = [];
    for (const item of lane.items) {
      if (item.kind === "log") continue;
      let row = ends.findIndex((end) => end <= item.begin);
      if (row < 0) row = ends.length < 5 ? ends.length : 4;
      ends[row] = item.end;
      item.row = row;
    }
    lane.depth = Math.max(1, ends.length);
    lane.logs = lane.items.some((item) => item.kind === "log");
    lane.height = lane.points.length ? 40 : 8 + lane.depth * 12 + (lane.logs ? 12 : 0) + 4;
  }

  function el(name, properties = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key in made && key !== "list") made[key] = value; else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }
  function svg(name, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  const days = new Date(data.begin * 1000).toISOString().slice(0, 10) !== new Date(data.end * 1000).toISOString().slice(0, 10);
  function clock(at, digits = 3) {
    const text = new Date(Math.round(at * 1000)).toISOString();
    return `${days ? `${text.slice(5, 10)} ` : ""}${text.slice(11, digits ? 20 + digits : 19)}`;
  }
  function length(s) {
    if (s < 0.001) return "0 ms";
    if (s < 1) return `${Math.round(s * 1000)} ms`;
    if (s < 90) return `${+s.toFixed(s < 10 ? 1 : 0)} s`;
    if (s < 3594) return `${+(s / 60).toFixed(1)} min`;
    if (s < 172800) return `${+(s / 3600).toFixed(1)} h`;
    return `${+(s / 86400).toFixed(1)} d`;
  }

  function wanted(item) {
    return !state.off.has(item.kind) && (!state.request || item.request === state.request) && state.words.every((word) => item.words.includes(word));
  }
  function wantedLine(lane) {
    const text = `${lane.name} ${lane.note}`.toLowerCase();
    return !state.off.has("metric") && !state.request && state.words.every((word) => text.includes(word));
  }

  let width = 600;
  const px = (at) => ((at - state.from) / (state.to - state.from)) * width;
  const folds = data.folds.map((index) => ({ x0: knots[index][1], x1: knots[index + 1][1], s: knots[index + 1][0] - knots[index][0] }));

  function draw() {
    width = Math.max(100, byId("axis").clientWidth);
    const rows = byId("rows"), made = [];
    let group = "", any = false;
    for (const lane of lanes) {
      const shown = lane.items.filter(wanted);
      if (lane.points.length ? !wantedLine(lane) : !shown.length) continue;
      any = true;
      if (lane.group !== group) {
        group = lane.group;
        made.push(heading(group));
      }
      if (!state.folded.has(group)) made.push(row(lane, shown));
    }
    rows.replaceChildren(...made);
    byId("none").hidden = any;
    drawAxis();
    drawOverview();
  }

  function heading(group) {
    const count = lanes.filter((lane) => lane.group === group).length;
    const open = !state.folded.has(group);
    const made = el("button", { className: "group", type: "button", "aria-expanded": String(open) }, group, el("small", {}, open ? "" : `${count}`));
    made.addEventListener("click", () => {
      if (open) state.folded.add(group); else state.folded.delete(group);
      draw();
    });
    return made;
  }

  function row(lane, shown) {
    const drawing = svg("svg", { height: lane.height, viewBox: `0 0 ${width} ${lane.height}`, preserveAspectRatio: "none", role: "img", "aria-label": `${lane.name}: ${shown.length || lane.points.length}` });
    for (const fold of folds) {
      if (fold.x1 > state.from && fold.x0 < state.to) drawing.append(svg("rect", { class: "fold", x: px(fold.x0), width: Math.max(1, px(fold.x1) - px(fold.x0)), y: 0, height: lane.height }));
    }
    if (lane.points.length) curve(lane, drawing); else bars(lane, shown, drawing);
    return el("div", { className: "lane" }, el("div", { className: "name", title: lane.note ? `${lane.name} (${lane.note})` : lane.name }, lane.name), drawing);
  }

  function bars(lane, shown, drawing) {
    const picked = items[state.picked];
    const seen = new Map();
    for (const item of shown) {
      if (item.x1 < state.from || item.x0 > state.to) continue;
      const left = px(item.x0), right = Math.max(px(item.x1), left + (item.kind === "log" ? 2 : 4));
      const on = item.index === state.picked, kin = !on && picked && picked.request && picked.request === item.request;
      const key = `${item.row}${item.kind}${item.tone}${kin}`;
      if (!on && right - left <= 4 && seen.has(key) && left - seen.get(key) < 1.5) continue;
      seen.set(key, left);
      const x = Math.max(-5, left), log = item.kind === "log";
      drawing.append(svg("rect", {
        class: `item k-${item.kind} t-${item.tone}${on ? " on" : ""}${kin ? " kin" : ""}`, x, width: Math.min(width + 5, right) - x, rx: log ? 0 : 2,
        y: log ? lane.height - 15 : 6 + item.row * 12, height: log ? 9 : 10, "data-index": item.index,
      }, svg("title", {}, `${clock(item.begin)}  ${item.name}${item.outcome && item.outcome !== "ok" ? ` [${item.outcome}]` : ""}`)));
    }
  }

  function curve(lane, drawing) {
    const values = lane.points.map(([, value]) => value), most = Math.max(...values, 0) || 1, floor = lane.height - 6;
    const spots = lane.points.map(([at, value]) => [px(place(at)), floor - (value / most) * (lane.height - 18), value, at]);
    const line = spots.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    drawing.append(svg("path", { class: "area", d: `${line}L${spots[spots.length - 1][0]} ${floor}L${spots[0][0]} ${floor}Z` }), svg("path", { class: "curve", d: line }));
    let edge = -100;
    for (const [x, y, value, at] of spots) {
      drawing.append(svg("circle", { class: "dot", cx: x, cy: y, r: 2.5 }, svg("title", {}, `${clock(at, 0)}: ${+value.toFixed(3)}`)));
      if (x - edge > 34 && x >= 0 && x < width - 20) {
        drawing.append(svg("text", { class: "value", x: x + 4, y: Math.max(9, y - 3) }, `${+value.toFixed(1)}`));
        edge = x;
      }
    }
  }

  function drawAxis() {
    const axis = byId("axis"), made = [];
    axis.setAttribute("viewBox", `0 0 ${width} 30`);
    const edges = [state.from, ...folds.flatMap((fold) => [fold.x0, fold.x1]).filter((x) => x > state.from && x < state.to), state.to];
    let free = 0, freeAbove = 0;
    for (const fold of folds) {
      const middle = (px(fold.x0) + px(fold.x1)) / 2, label = `+${length(fold.s)}`, half = label.length * 3.5;
      if (middle < half || middle > width - half || middle - half < freeAbove) continue;
      freeAbove = middle + half + 6;
      made.push(svg("text", { class: "fold", x: middle, y: 11 }, label));
    }
    for (let part = 0; part + 1 < edges.length; part++) {
      const [left, right] = [edges[part], edges[part + 1]];
      if (folds.some((fold) => fold.x0 <= left && fold.x1 >= right)) continue;
      const perPx = (state.to - state.from) / width;
      const step = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 300].find((s) => s / perPx >= (days ? 134 : 96)) || 600;
      const begin = moment(left), end = moment(right), digits = step < 0.01 ? 3 : step < 0.1 ? 2 : step < 1 ? 1 : 0;
      const first = Math.ceil((begin - 1e-6) / step);
      const marks = first * step < end ? [] : [begin];
      for (let n = first; n * step < end && marks.length < 60; n++) marks.push(n * step);
      for (const at of marks) {
        const x = px(place(at));
        if (x < free || x > width - (days ? 96 : 60)) continue;
        made.push(svg("line", { x1: x, x2: x, y1: 15, y2: 30 }), svg("text", { x: x + 3, y: 26 }, clock(at, digits)));
        free = x + (days ? 112 : 74);
      }
    }
    axis.replaceChildren(...made);
  }

  function drawOverview() {
    const canvas = byId("overview"), ratio = window.devicePixelRatio || 1, high = 40;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = high * ratio;
    const pen = canvas.getContext("2d"), style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name).trim();
    const wide = canvas.clientWidth, bins = Math.max(1, Math.floor(wide / 3));
    const all = new Float64Array(bins + 1), bad = new Float64Array(bins + 1);
    for (const item of items) {
      if (!wanted(item) || ["alarm", "fault", "clock", "check"].includes(item.kind)) continue;
      const bin = Math.floor((item.x0 / last) * bins);
      all[bin]++;
      if (item.tone === "bad") bad[bin]++;
    }
    const most = Math.max(1, ...all);
    pen.scale(ratio, ratio);
    pen.clearRect(0, 0, wide, high);
    for (let bin = 0; bin <= bins; bin++) {
      const tall = all[bin] ? 3 + Math.sqrt(all[bin] / most) * (high - 10) : 0, red = bad[bin] ? Math.max(3, tall * (bad[bin] / all[bin])) : 0;
      pen.fillStyle = colour("--none");
      pen.fillRect(bin * 3, high - 3 - tall, 2, tall);
      pen.fillStyle = colour("--bad");
      pen.fillRect(bin * 3, high - 3 - red, 2, red);
    }
    const left = (state.from / last) * wide, right = (state.to / last) * wide;
    pen.fillStyle = colour("--link");
    pen.globalAlpha = 0.12;
    if (right - left < wide - 1) pen.fillRect(left, 0, Math.max(3, right - left), high);
    pen.globalAlpha = 1;
    if (right - left < wide - 1) { pen.fillRect(left, 0, 1.5, high); pen.fillRect(right - 1.5, 0, 1.5, high); }
  }

  function drawList() {
    const shown = items.filter((item) => wanted(item) && item.x1 >= state.from && item.x0 <= state.to && item.kind !== "check");
    byId("list").replaceChildren(...shown.slice(0, state.rows).map((item) => {
      const what = el("td", {}, item.name);
      if (item.text && item.kind !== "log") what.append(el("div", { className: "why" }, item.text));
      const made = el("tr", { className: `k-${item.kind}${item.index === state.picked ? " on" : ""}`, tabIndex: 0 },
        el("td", {}, clock(item.begin)), el("td", {}, NAMES[item.kind] ? NAMES[item.kind].replace(/ies$/, "y").replace(/s$/, "") : item.kind), what, el("td", { className: item.tone }, item.outcome));
      made.addEventListener("click", () => pick(item.index));
      made.addEventListener("keydown", (event) => { if (event.key === "Enter") pick(item.index); });
      return made;
    }));
    byId("count").textContent = `${shown.length.toLocaleString("en")} of ${items.length.toLocaleString("en")}`;
    byId("more").hidden = shown.length <= state.rows;
  }

  function drawDetail() {
    const item = items[state.picked], box = byId("detail");
    if (!item) {
      box.replaceChildren(el("div", { className: "empty" }, el("p", {}, "Pick anything to see what it was, why it ended as it did, and what belongs to the same request."),
        el("p", {}, el("kbd", {}, "←"), " ", el("kbd", {}, "→"), " step through, ", el("kbd", {}, "+"), " ", el("kbd", {}, "−"), " zoom, ", el("kbd", {}, "0"), " the whole run, ", el("kbd", {}, "/"), " filter, ", el("kbd", {}, "Esc"), " back. Drag to move; hold Ctrl and scroll to zoom.")));
      return;
    }
    const took = item.end - item.begin;
    const made = [el("h2", {}, item.name), el("p", { className: "when" }, `${clock(item.begin)}${took > 0.0005 ? ` – ${clock(item.end)} (${length(took)})` : ""}${item.outcome ? ` · ${item.outcome}` : ""}`)];
    if (item.text) made.push(item.kind === "log" ? el("pre", {}, item.text) : el("p", { className: "why" }, item.text));
    if (item.kind === "trace") made.push(...waterfall(item.detail.segments));
    const kin = item.request ? items.filter((other) => other.request === item.request) : [];
    if (kin.length > 1) {
      const only = el("button", { className: "only", type: "button" }, state.request ? "Show everything again" : `Show only this request (${kin.length})`);
      only.addEventListener("click", () => narrow(state.request ? 0 : item.request));
      const lines = kin.filter((other) => other.kind === "log").map((other) => other.text || other.name);
      made.push(only, el("h3", {}, "The same request"), el("ol", {}, ...kin.filter((other) => other.kind !== "log").slice(0, 100).map((other) => {
        const button = el("button", { type: "button" }, el("time", {}, clock(other.begin)), el("span", { className: other.tone === "bad" ? "bad" : "" }, `${other.name}${other.outcome && other.outcome !== "ok" ? ` [${other.outcome}]` : ""}`));
        button.addEventListener("click", () => pick(other.index));
        return el("li", {}, button);
      })));
      if (lines.length) made.push(el("h3", {}, `Its log (${lines.length})`), el("pre", {}, lines.slice(0, 200).join("\n")));
    }
    const { segments, parameters, ...rest } = item.detail;
    if (parameters && Object.keys(parameters).length) made.push(el("h3", {}, "Parameters"), list(parameters));
    if (Object.keys(rest).length) made.push(el("h3", {}, "Details"), list(rest));
    box.replaceChildren(...made);
    box.scrollTop = 0;
  }

  function list(values) {
    return el("dl", {}, ...Object.entries(values).flatMap(([key, value]) => [el("dt", {}, key.replaceAll("_", " ")), el("dd", {}, typeof value === "string" ? value : JSON.stringify(value, null, 1))]));
  }

  function waterfall(segments) {
    const rows = [], known = new Set();
    const walk = (part, depth, rest) => {
      rows.push([part, depth]);
      for (const below of part.subsegments || []) walk(below, depth + 1, rest);
      for (const called of rest.filter((each) => each.parent_id === part.id && !known.has(each.id))) { known.add(called.id); walk(called, depth + 1, rest); }
    };
    const ids = new Set(segments.flatMap(function every(part) { return [part.id, ...(part.subsegments || []).flatMap(every)]; }));
    for (const segment of segments) {
      if (!known.has(segment.id) && !ids.has(segment.parent_id)) { known.add(segment.id); walk(segment, 0, segments); }
    }
    const begin = Math.min(...rows.map(([part]) => part.start_time)), end = Math.max(...rows.map(([part]) => part.end_time || part.start_time)), span = end - begin || 1;
    return [el("h3", {}, "Waterfall"), el("div", { className: "fall" }, ...rows.map(([part, depth]) => {
      const bar = el("i", { style: `left:${((part.start_time - begin) / span) * 100}%;width:${(((part.end_time || end) - part.start_time) / span) * 100}%` });
      const took = part.end_time ? length(part.end_time - part.start_time) : "in progress";
      const kind = part.origin || (part.namespace ? resource(part) : "");
      const text = el("span", { style: `padding-left:${Math.min(depth, 12) * 0.75}rem` }, `${part.name}${kind ? ` ${kind}` : ""} · ${took}`);
      return el("div", { className: part.fault || part.error || part.throttle ? "bad" : "", title: `${part.name} ${took}` }, bar, text);
    })), ...causes(rows), ...annotations(rows), ...links(rows)];
  }

  function resource(part) {
    const aws = part.aws || {}, queue = String(aws.queue_url || "").split("/").pop();
    return [aws.operation, aws.table_name || queue].filter((word) => word).join(" ") || part.namespace;
  }

  function causes(rows) {
    const told = rows.flatMap(([part]) => listed((part.cause || {}).exceptions).filter((each) => each).map((each) => [part.name, [each.type, each.message].filter((word) => word).join(": ")]));
    return told.length ? [el("h3", {}, "Exceptions"), el("dl", {}, ...told.slice(0, 20).flatMap(([name, text]) => [el("dt", {}, name), el("dd", { className: "bad" }, text)]))] : [];
  }

  function annotations(rows) {
    const told = rows.flatMap(([part]) => Object.entries(part.annotations || {}).map(([key, value]) => [key, `${value} (${part.name})`]));
    return told.length ? [el("h3", {}, "Annotations"), el("dl", {}, ...told.slice(0, 50).flatMap(([key, text]) => [el("dt", {}, key), el("dd", {}, text)]))] : [];
  }

  // Both ways: what this trace took from others, and which others took from it.
  function links(rows) {
    const own = rows.length ? String(rows[0][0].trace_id) : "", made = [];
    const linked = (item) => item.kind === "trace" ? item.detail.segments.flatMap((each) => listed(each.links)).filter((link) => link).map((link) => String(link.trace_id)) : [];
    const from = new Set(rows.flatMap(([part]) => listed(part.links)).filter((link) => link).map((link) => String(link.trace_id)));
    for (const [title, some] of [["Goes on from", (item) => from.has(item.name)], ["Goes on in", (item) => linked(item).includes(own)]]) {
      const found = items.filter((item) => item.kind === "trace" && some(item)).slice(0, 20);
      if (found.length) made.push(el("h3", {}, title), el("ol", {}, ...found.map((item) => {
        const button = el("button", { type: "button" }, el("time", {}, clock(item.begin)), el("span", { className: item.tone === "bad" ? "bad" : "" }, `${item.name}${item.outcome ? ` [${item.outcome}]` : ""}`));
        button.addEventListener("click", () => pick(item.index));
        return el("li", {}, button);
      })));
    }
    return made;
  }

  function listed(value) { return Array.isArray(value) ? value : []; }

  function redraw() { draw(); drawList(); }
  let due = 0;
  function soon() { if (!due) due = requestAnimationFrame(() => { due = 0; redraw(); }); }
  function look(from, to) {
    const least = Math.max(last / 5000, 0.002), span = Math.min(last, Math.max(least, to - from)), middle = (from + to) / 2;
    const begin = Math.max(0, Math.min(last - span, middle - span / 2));
    state.from = begin;
    state.to = begin + span;
    soon();
  }
  function zoom(factor, at = (state.from + state.to) / 2) {
    look(at - (at - state.from) * factor, at + (state.to - at) * factor);
  }
  function pick(index) {
    state.picked = index;
    const item = items[index];
    if (item && (item.x1 < state.from || item.x0 > state.to)) look(item.x0 - (state.to - state.from) / 2, item.x0 + (state.to - state.from) / 2);
    drawDetail();
    if (getComputedStyle(byId("detail")).position === "static") byId("detail").scrollIntoView({ block: "start" });
    soon();
  }
  function narrow(request) {
    state.request = request;
    state.rows = PAGE;
    const chip = byId("request"), kin = items.filter((item) => item.request === request);
    chip.hidden = !request;
    chip.textContent = `Request ${request} ×`;
    if (request) {
      const from = Math.min(...kin.map((item) => item.x0)), to = Math.max(...kin.map((item) => item.x1)), edge = Math.max((to - from) * 0.06, 0.003);
      look(from - edge, to + edge);
    } else look(0, last);
    drawDetail();
  }

  byId("title").textContent = data.title;
  const passed = data.end - data.begin;
  byId("meta").textContent = `Account ${data.account} in ${data.region}, ${new Date(data.begin * 1000).toISOString().slice(0, days ? 4 : 10)}${days ? ":" : ","} ${clock(data.begin, 0)} – ${clock(data.end, 0)} UTC: ${length(passed)} of account time. Where nothing happens, time is folded.`;
  const counts = {};
  for (const item of items) counts[item.kind] = (counts[item.kind] || 0) + 1;
  const lines = lanes.filter((lane) => lane.points.length).length;
  if (lines) counts.metric = lines;
  byId("kinds").append(...Object.keys(NAMES).filter((kind) => counts[kind]).map((kind) => {
    const made = el("button", { type: "button", className: `k-${kind}`, "aria-pressed": "true" }, NAMES[kind], el("small", {}, counts[kind].toLocaleString("en")));
    made.addEventListener("click", () => {
      const off = state.off.has(kind);
      if (off) state.off.delete(kind); else state.off.add(kind);
      made.setAttribute("aria-pressed", String(off));
      soon();
    });
    return made;
  }));
  if (lanes.filter((lane) => lane.group === "Metrics").length > 12) state.folded.add("Metrics");

  byId("search").addEventListener("input", (event) => {
    state.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    state.rows = PAGE;
    soon();
  });
  byId("request").addEventListener("click", () => narrow(0));
  byId("reset").addEventListener("click", () => { byId("search").value = ""; state.words = []; state.off.clear(); document.querySelectorAll("#kinds button").forEach((each) => each.setAttribute("aria-pressed", "true")); narrow(0); });
  byId("more").addEventListener("click", () => { state.rows += PAGE; drawList(); });
  byId("in").addEventListener("click", () => zoom(0.5));
  byId("out").addEventListener("click", () => zoom(2));
  byId("fit").addEventListener("click", () => look(0, last));
  window.addEventListener("resize", soon);

  const rows = byId("rows");
  let held = null;
  rows.addEventListener("pointerdown", (event) => {
    if (event.target.closest("svg") && event.button === 0) held = { x: event.clientX, from: state.from, to: state.to, moved: false, index: event.target.closest("[data-index]")?.dataset.index };
  });
  window.addEventListener("pointermove", (event) => {
    if (!held) return;
    const by = ((held.x - event.clientX) / width) * (held.to - held.from);
    if (Math.abs(held.x - event.clientX) > 4) held.moved = true;
    if (held.moved) look(held.from + by, held.to + by);
  });
  window.addEventListener("pointerup", () => {
    if (held && !held.moved && held.index !== undefined) pick(Number(held.index));
    held = null;
  });
  rows.addEventListener("wheel", (event) => {
    const drawing = event.target.closest("svg");
    if (!drawing || !(event.ctrlKey || event.metaKey || event.shiftKey)) return;
    event.preventDefault();
    const at = state.from + ((event.clientX - drawing.getBoundingClientRect().left) / width) * (state.to - state.from);
    zoom((event.deltaY || event.deltaX) > 0 ? 1.25 : 0.8, at);
  }, { passive: false });

  const overview = byId("overview");
  let drawn = null;
  const spot = (event) => ((event.clientX - overview.getBoundingClientRect().left) / overview.clientWidth) * last;
  overview.addEventListener("pointerdown", (event) => { overview.setPointerCapture(event.pointerId); drawn = spot(event); });
  overview.addEventListener("pointermove", (event) => {
    if (drawn === null) return;
    const at = spot(event);
    if (Math.abs(at - drawn) > last / 200) look(Math.min(drawn, at), Math.max(drawn, at));
  });
  overview.addEventListener("pointerup", (event) => {
    const at = spot(event), half = (state.to - state.from) / 2;
    if (drawn !== null && Math.abs(at - drawn) <= last / 200) look(at - half, at + half);
    drawn = null;
  });

  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      const shown = items.filter((item) => wanted(item) && item.kind !== "log");
      const here = shown.findIndex((item) => item.index === state.picked);
      const next = here < 0 ? shown.find((item) => item.x1 >= state.from) : shown[here + step];
      if (next) pick(next.index);
    } else if (event.key === "+" || event.key === "=") zoom(0.5);
    else if (event.key === "-") zoom(2);
    else if (event.key === "0") look(0, last);
    else if (event.key === "/") byId("search").focus();
    else if (event.key === "Escape" && state.picked >= 0) { state.picked = -1; drawDetail(); soon(); }
    else if (event.key === "Escape" && state.request) narrow(0);
    else return;
    event.preventDefault();
  });

  drawDetail();
  redraw();
})();
