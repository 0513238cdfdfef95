// The in-browser editor: files of the workspace, saved while one types.
import { Workspace } from "./workspace.js";

const root = document.querySelector("[data-workspace]");
if (root) new Workspace(root);
