// Every page: theme, upload checks, live progress. Pages work without it.
import { theme } from "./theme.js";
import { uploads } from "./upload.js";
import { live } from "./live.js";

theme();
uploads();
live();
