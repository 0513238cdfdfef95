import { t } from "./texts.js";

// A drop zone around a file input: names the file, and says at once when it is too large.
export function uploads() {
  for (const form of document.querySelectorAll("form[data-upload]")) watch(form);
}

function watch(form) {
  const input = form.querySelector("input[type=file]");
  const zone = form.querySelector("[data-drop]");
  const name = form.querySelector("[data-file-name]");
  const problem = form.querySelector("[data-file-problem]");
  const limit = Number(form.dataset.limit);

  const look = () => {
    const file = input.files[0];
    zone.classList.toggle("chosen", Boolean(file));
    name.textContent = file ? `${file.name}, ${size(file.size)}` : name.dataset.empty;
    const tooLarge = file && file.size > limit;
    problem.hidden = !tooLarge;
    problem.textContent = tooLarge
      ? t("%(name)s has %(size)s. This portal reads up to %(limit)s: leave out dependencies and build output.", {
          name: file.name,
          size: size(file.size),
          limit: size(limit),
        })
      : "";
    return !tooLarge;
  };
  input.addEventListener("change", look);
  form.addEventListener("submit", (event) => {
    if (!look()) {
      event.preventDefault();
      input.focus();
    }
  });
  for (const kind of ["dragenter", "dragover"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) {
      input.files = event.dataTransfer.files;
      look();
    }
  });
  look();
}

function size(bytes) {
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1000))} kB`;
}
