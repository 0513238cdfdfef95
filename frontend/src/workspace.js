import { t } from "./texts.js";
import { goTo, mark, markAll, stateOf, viewIn } from "./codemirror.js";

const PAUSE_MS = 600;
const RETRY_MS = 4000;

export class Workspace {
  constructor(root) {
    this.root = root;
    this.address = root.dataset.files;
    this.csrf = root.dataset.csrf;
    this.nonce = root.dataset.nonce;
    this.list = root.querySelector("[data-file-list]");
    this.pane = root.querySelector("[data-pane]");
    this.status = root.querySelector("[data-save-status]");
    this.problem = root.querySelector("[data-problem]");
    this.title = root.querySelector("[data-current]");
    this.states = new Map();
    this.closed = new Set();
    // Files that are no text: they are listed, moved and deleted, and not edited.
    this.binary = new Set(JSON.parse(root.dataset.binary));
    this.unsaved = new Set();
    this.saving = Promise.resolve();
    this.timer = 0;
    const files = JSON.parse(root.querySelector("[data-contents]").textContent);
    for (const [path, text] of Object.entries(files)) this.states.set(path, this.fresh(path, text));
    // What each file held when this window last knew: a save names it, so that no other window's is lost.
    this.digests = new Map(Object.entries(JSON.parse(root.querySelector("[data-digests]").textContent)));
    this.conflict = root.querySelector("[data-conflict]");
    this.wire();
    const { path, line } = this.wanted();
    if (path) this.open(path, line);
    else this.render();
    this.look();
    this.recover();
  }

  // What could not be saved is kept in this browser, and offered again when the page is opened.
  keepHere() {
    const kept = Object.fromEntries([...this.unsaved].map((path) => [path, this.textOf(path)]));
    try {
      if (this.unsaved.size) localStorage.setItem(this.root.dataset.kept, JSON.stringify(kept));
      else localStorage.removeItem(this.root.dataset.kept);
    } catch {
      // Storage is full or forbidden: the text is still in the editor.
    }
  }

  recover() {
    let kept = {};
    try {
      kept = JSON.parse(localStorage.getItem(this.root.dataset.kept) ?? "{}");
    } catch {
      // What is not ours is nothing to bring back.
    }
    const paths = Object.keys(kept).filter((path) => typeof kept[path] === "string" && kept[path] !== this.textOf(path));
    const notice = this.root.querySelector("[data-recover]");
    if (!paths.length) return;
    notice.hidden = false;
    notice.querySelector("[data-paths]").textContent = paths.join(", ");
    const done = () => {
      notice.hidden = true;
      this.keepHere();
    };
    notice.querySelector("[value=drop]").addEventListener("click", done);
    notice.querySelector("[value=take]").addEventListener("click", async () => {
      for (const path of paths) {
        this.states.set(path, this.fresh(path, kept[path]));
        this.unsaved.add(path);
      }
      this.current = undefined;
      this.open(paths[0], 0, true);
      await this.flush();
      done();
    });
  }

  fresh(path, text) {
    return stateOf(path, text, this.nonce, (name) => this.changed(name));
  }

  // `#src/app.py:12` opens that file at that line.
  wanted() {
    const [, path, line] = /^#(.+?)(?::(\d+))?(?::\d+)?$/.exec(decodeURIComponent(location.hash)) ?? [];
    if (path && this.states.has(path)) return { path, line: Number(line) || 0 };
    const names = [...this.states.keys()];
    return { path: names.find((name) => /^template\./.test(name)) ?? names[0], line: 0 };
  }

  wire() {
    this.list.addEventListener("keydown", (event) => this.walk(event));
    for (const input of this.root.querySelectorAll("[data-add] input[type=file]")) {
      input.addEventListener("change", async () => {
        if (input.files.length && (await this.flush()) !== false) input.form.requestSubmit();
      });
    }
    this.root.querySelector("[data-new]").addEventListener("click", () => this.ask("new"));
    this.root.querySelector("[data-rename]").addEventListener("click", () => this.ask("rename"));
    this.root.querySelector("[data-delete]").addEventListener("click", () => this.ask("delete"));
    for (const dialog of this.root.querySelectorAll("dialog[data-ask]")) {
      dialog.querySelector("[value=cancel]").addEventListener("click", () => dialog.close());
      dialog.querySelector("form").addEventListener("submit", (event) => {
        event.preventDefault();
        this.answer(dialog);
      });
    }
    for (const form of document.querySelectorAll("form[data-after-saving]")) {
      form.addEventListener("submit", (event) => {
        if (!this.unsaved.size) return;
        event.preventDefault();
        this.flush().then((done) => {
          if (done) form.submit();
        });
      });
    }
    addEventListener("hashchange", () => {
      const { path, line } = this.wanted();
      if (path) this.open(path, line);
    });
    addEventListener("visibilitychange", () => document.hidden && this.flush());
    addEventListener("beforeunload", (event) => {
      if (!this.unsaved.size) return;
      this.flush();
      event.preventDefault();
    });
    addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key === "s") {
        event.preventDefault();
        this.flush();
      }
    });
  }

  render() {
    this.list.replaceChildren(...this.items(tree(this.paths()), ""));
    this.title.textContent = this.folder ?? this.current ?? t("No file");
    const nothing = !this.folder && !this.current;
    for (const name of ["rename", "delete"]) this.root.querySelector(`[data-${name}]`).disabled = nothing;
  }

  paths() {
    return [...this.states.keys(), ...this.binary];
  }

  // A folder's files and folders as list items: folders open and close, files are edited.
  items(folder, prefix) {
    const folders = [...folder.folders].map(([name, inside]) => {
      const path = `${prefix}${name}/`;
      const open = !this.closed.has(path);
      const button = this.button(`${name}/`, path, path === this.folder);
      button.setAttribute("aria-expanded", String(open));
      button.addEventListener("click", () => {
        if (open && this.folder === path) this.closed.add(path);
        else this.closed.delete(path);
        this.folder = path;
        this.render();
        this.list.querySelector(`[data-path="${CSS.escape(path)}"]`)?.focus();
      });
      const item = document.createElement("li");
      const list = document.createElement("ul");
      list.hidden = !open;
      list.append(...this.items(inside, path));
      item.append(button, list);
      return item;
    });
    const files = folder.files.map((name) => {
      const path = prefix + name;
      const binary = this.binary.has(path);
      const button = this.button(name, path, path === (this.folder ?? this.current));
      button.classList.toggle("unsaved", this.unsaved.has(path));
      button.classList.toggle("no-text", binary);
      button.addEventListener("click", () => {
        if (!binary) return this.open(path, 0, true);
        this.folder = path;
        this.render();
        this.list.querySelector(`[data-path="${CSS.escape(path)}"]`)?.focus();
      });
      const item = document.createElement("li");
      item.append(button);
      return item;
    });
    return [...folders, ...files];
  }

  button(text, path, current) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.dataset.path = path;
    button.setAttribute("aria-label", path);
    if (current) button.setAttribute("aria-current", "true");
    return button;
  }

  // Up and down go from one to the next, right and left open and close folders.
  walk(event) {
    const buttons = [...this.list.querySelectorAll("button")].filter((button) => button.offsetParent);
    const at = buttons.indexOf(document.activeElement);
    if (at < 0) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const expanded = buttons[at].getAttribute("aria-expanded");
    if (step) buttons[Math.min(Math.max(at + step, 0), buttons.length - 1)].focus();
    else if (event.key === "Home") buttons[0].focus();
    else if (event.key === "End") buttons.at(-1).focus();
    else if (event.key === "ArrowRight" && expanded === "false") buttons[at].click();
    else if (event.key === "ArrowLeft" && expanded === "true") {
      this.folder = buttons[at].dataset.path;
      buttons[at].click();
    } else return;
    event.preventDefault();
  }

  open(path, line = 0, focus = false) {
    this.keep();
    this.current = path;
    this.folder = undefined;
    const state = this.states.get(path);
    if (this.view) this.view.setState(state);
    else this.view = viewIn(this.pane, state);
    this.render();
    if (this.lints?.path === path) markAll(this.view, this.lints.problems);
    if (line) goTo(this.view, line);
    if (line || focus) this.view.focus();
  }

  keep() {
    if (this.view && this.current && this.states.has(this.current)) this.states.set(this.current, this.view.state);
  }

  changed(path) {
    this.unsaved.add(path);
    this.say("unsaved", t("Not saved yet"));
    this.markList(path);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), PAUSE_MS);
  }

  markList(path) {
    const button = this.list.querySelector(`[data-path="${CSS.escape(path)}"]`);
    button?.classList.toggle("unsaved", this.unsaved.has(path));
  }

  // Saves one after the other, so that the last text typed is the last one stored.
  flush() {
    clearTimeout(this.timer);
    this.keep();
    this.saving = this.saving.then(async () => {
      for (const path of [...this.unsaved]) {
        if (!this.states.has(path)) {
          this.unsaved.delete(path);
          continue;
        }
        const text = this.states.get(path).doc.toString();
        this.unsaved.delete(path);
        this.say("saving", t("Saving"));
        const saved = await this.store(path, text);
        if (!saved) {
          this.unsaved.add(path);
          this.keepHere();
          return false;
        }
        this.markList(path);
        if (/\.asl\.(json|ya?ml)$/.test(path)) this.lint(path);
        if ("problem" in saved) {
          this.diagnose(path, saved.problem);
          if (saved.problem) this.showLint(path, []);
          else this.lint(path);
        }
      }
      if (this.unsaved.size) return this.flushLater();
      this.say("saved", t("All changes saved"));
      this.keepHere();
      return true;
    });
    return this.saving;
  }

  // Save a text; when another window has saved the file meanwhile, ask which one it shall have.
  async store(path, text) {
    const saved = await this.send("PUT", this.address, { path, text, base: this.digests.get(path) ?? "" });
    if (!saved) return null;
    this.digests.set(path, saved.digest);
    if (saved.theirs === undefined) return saved;
    if ((await this.choose(path, text, saved.theirs)) === "mine") return this.store(path, text);
    const state = this.fresh(path, saved.theirs);
    this.states.set(path, state);
    if (path === this.current) this.view.setState(state);
    return saved;
  }

  choose(path, mine, theirs) {
    const { conflict } = this;
    for (const place of conflict.querySelectorAll("[data-name]")) place.textContent = path;
    conflict.querySelector("[data-mine]").textContent = mine;
    conflict.querySelector("[data-theirs]").textContent = theirs;
    conflict.returnValue = "mine";
    conflict.showModal();
    return new Promise((done) => {
      conflict.addEventListener("close", () => done(conflict.returnValue), { once: true });
    });
  }

  flushLater() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), PAUSE_MS);
    return false;
  }

  async send(method, address, body) {
    let answer;
    try {
      answer = await fetch(address, {
        method,
        keepalive: (body?.text?.length ?? 0) < 60000,
        headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": this.csrf },
        body: body && JSON.stringify(body),
      });
    } catch {
      this.say("failed", t("Not saved: the portal can't be reached. Trying again"));
      this.timer = setTimeout(() => this.flush(), RETRY_MS);
      return null;
    }
    if (answer.redirected || answer.status === 401) {
      this.say("failed", t("Not saved: you were signed out. Sign in again; this browser keeps your text"));
      return null;
    }
    const told = await answer.json().catch(() => ({}));
    if (answer.ok || told.theirs !== undefined) return told;
    this.say("failed", [t("Not saved:"), told.where && `${told.where}:`, told.error ?? t("the portal refused it."), told.what_to_do].filter(Boolean).join(" "));
    return null;
  }

  // The template as the grader would read it: what is wrong and on which line.
  diagnose(path, problem) {
    this.keep();
    const state = this.states.get(path);
    if (!state) return;
    const change = mark(state, problem);
    if (path === this.current) this.view.dispatch(change);
    else this.states.set(path, state.update(change).state);
    this.problem.hidden = !problem;
    if (problem) {
      const link = this.problem.querySelector("a");
      link.textContent = problem.where;
      link.href = `#${problem.where}`;
      this.problem.querySelector("span").textContent = problem.message;
    }
  }

  async look() {
    const path = [...this.states.keys()].find((name) => /^template\.(ya?ml|json)$/.test(name));
    const first = this.root.dataset.problem ? JSON.parse(this.root.dataset.problem) : null;
    if (path && first) this.diagnose(path, first);
    else if (path) this.lint(path);
  }

  // What cfn-lint has against the template. Asked for when it was saved; an answer to an older text is none.
  async lint(path) {
    const text = this.textOf(path);
    const headers = { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": this.csrf };
    const asked = { method: "POST", headers, body: JSON.stringify({ path }) };
    const answer = await fetch(this.root.dataset.lints, asked).catch(() => null);
    const told = answer?.ok ? await answer.json().catch(() => null) : null;
    if (told?.problems && this.textOf(path) === text) this.showLint(path, told.problems);
  }

  textOf(path) {
    return (path === this.current ? this.view.state : this.states.get(path))?.doc.toString();
  }

  showLint(path, problems) {
    this.lints = { path, problems };
    if (path === this.current) markAll(this.view, problems);
    const box = this.root.querySelector("[data-lint]");
    box.hidden = !problems.length;
    const errors = problems.filter((problem) => problem.level === "error").length;
    box.querySelector("[data-lint-count]").textContent = t("%(path)s: %(errors)s errors, %(others)s remarks", {
      path,
      errors,
      others: problems.length - errors,
    });
    if (errors) box.open = true;
    box.querySelector("ol").replaceChildren(
      ...problems.map((problem) => {
        const item = document.createElement("li");
        item.className = problem.level;
        const link = document.createElement("a");
        link.href = `#${path}:${problem.line}`;
        link.textContent = t("Line %(line)s", { line: problem.line });
        link.addEventListener("click", (event) => {
          event.preventDefault();
          this.open(path, problem.line, true);
        });
        const rule = document.createElement("span");
        rule.className = "code";
        rule.textContent = problem.rule;
        item.append(link, ` ${problem.message} `, rule);
        return item;
      }),
    );
  }

  say(kind, text) {
    this.status.dataset.state = kind;
    if (this.status.textContent !== text) this.status.textContent = text;
  }

  ask(what) {
    const dialog = this.root.querySelector(`dialog[data-ask=${what}]`);
    const input = dialog.querySelector("input");
    const chosen = this.folder ?? this.current;
    if (input) input.value = what === "rename" ? chosen : (this.folder ?? "");
    for (const place of dialog.querySelectorAll("[data-name]")) place.textContent = chosen;
    dialog.querySelector("[role=alert]").textContent = "";
    dialog.showModal();
    input?.select();
  }

  async answer(dialog) {
    const what = dialog.dataset.ask;
    const path = dialog.querySelector("input")?.value.trim();
    const told = dialog.querySelector("[role=alert]");
    if (what !== "delete" && !path) return void (told.textContent = t("Give the file a name."));
    if (what !== "delete" && path !== this.current && this.states.has(path)) {
      return void (told.textContent = t("There is a file with this name already."));
    }
    if (!(await this[what](path))) return void (told.textContent = this.status.textContent);
    dialog.close();
    this.view?.focus();
  }

  async new(path) {
    const made = await this.send("PUT", this.address, { path, text: "" });
    if (!made) return false;
    this.digests.set(path, made.digest);
    this.states.set(path, this.fresh(path, ""));
    this.open(path);
    this.say("saved", t("%(path)s created", { path }));
    return true;
  }

  async rename(path) {
    if (this.binary.has(this.folder)) return this.moveBinary(this.folder, path);
    if (this.folder) return this.move(this.folder, path.endsWith("/") ? path : `${path}/`);
    if (path === this.current) return true;
    await this.flush();
    const moved = await this.send("PUT", this.address, { path, from: this.current });
    if (!moved) return false;
    this.digests.delete(this.current);
    this.digests.set(path, moved.digest);
    const text = this.states.get(this.current).doc.toString();
    this.states.delete(this.current);
    this.current = undefined;
    this.states.set(path, this.fresh(path, text));
    this.open(path);
    this.say("saved", t("Renamed to %(path)s", { path }));
    return true;
  }

  // Every file of a folder goes where its folder goes.
  async move(from, to) {
    this.folder = undefined;
    for (const path of this.paths().filter((name) => name.startsWith(from))) {
      const goal = to + path.slice(from.length);
      if (this.binary.has(path)) {
        if (!(await this.moveBinary(path, goal))) return false;
        continue;
      }
      this.open(path);
      if (!(await this.rename(goal))) return false;
    }
    return true;
  }

  async moveBinary(from, to) {
    this.folder = undefined;
    if (from !== to && !(await this.send("PUT", this.address, { path: to, from }))) return false;
    this.binary.delete(from);
    this.binary.add(to);
    this.render();
    return true;
  }

  async delete() {
    if (this.folder) {
      const inside = this.paths().filter((name) => name === this.folder || name.startsWith(this.folder));
      this.folder = undefined;
      for (const path of inside) {
        if (this.binary.has(path)) {
          if (!(await this.send("DELETE", `${this.address}?path=${encodeURIComponent(path)}`))) return false;
          this.binary.delete(path);
          continue;
        }
        this.open(path);
        if (!(await this.delete())) return false;
      }
      this.render();
      return true;
    }
    const gone = this.current;
    if (!(await this.send("DELETE", `${this.address}?path=${encodeURIComponent(gone)}`))) return false;
    this.states.delete(gone);
    this.digests.delete(gone);
    this.unsaved.delete(gone);
    this.current = undefined;
    const next = [...this.states.keys()].sort()[0];
    if (next) this.open(next);
    else {
      this.view?.destroy();
      this.view = undefined;
      this.render();
    }
    this.say("saved", t("%(path)s deleted", { path: gone }));
    return true;
  }
}

// Paths as folders in folders, each in the order of its names.
function tree(paths) {
  const root = { folders: new Map(), files: [] };
  for (const path of paths.sort()) {
    const parts = path.split("/");
    let at = root;
    for (const name of parts.slice(0, -1)) {
      if (!at.folders.has(name)) at.folders.set(name, { folders: new Map(), files: [] });
      at = at.folders.get(name);
    }
    at.files.push(parts.at(-1));
  }
  return root;
}
