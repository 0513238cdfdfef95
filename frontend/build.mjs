// Builds portal/static/dist: one style sheet, one small script for every page, one for the editor,
// the fonts, and the licence texts of everything that went in. `npm ci --ignore-scripts && npm run build`.
import { build } from "esbuild";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "..", "portal", "static", "dist");

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });

const result = await build({
  absWorkingDir: here,
  entryPoints: {
    app: "src/app.js",
    editor: "src/editor.js",
    sandbox: "src/sandbox.js",
    style: "styles/style.css",
  },
  outdir: dist,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022", "chrome111", "firefox115", "safari16.4"],
  loader: { ".woff2": "file" },
  assetNames: "[name]",
  legalComments: "none",
  metafile: true,
});

const packages = new Set();
for (const input of Object.keys(result.metafile.inputs)) {
  const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
  if (found) packages.add(found[1]);
}
const texts = [...packages].sort().map((name) => {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
  if (!file) throw new Error(`${name} has no licence text`);
  const text = readFileSync(join(folder, file), "utf8").trim();
  return `${name} ${version} (${license})\n\n${text}\n`;
});
writeFileSync(
  join(dist, "LICENSES.txt"),
  `Third-party software in this folder.\n\n${texts.join(`\n${"-".repeat(78)}\n\n`)}`,
);

for (const [path, { bytes }] of Object.entries(result.metafile.outputs)) {
  console.log(`${relative(here, join(here, path)).padEnd(60)} ${(bytes / 1000).toFixed(1)} kB`);
}
if (!existsSync(join(dist, "style.css"))) throw new Error("no style sheet was built");
