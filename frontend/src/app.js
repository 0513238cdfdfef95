// Every page: theme, upload checks, live progress. Pages work without it.
import { theme } from "./theme.js";
import { uploads } from "./upload.js";
import { live } from "./live.js";
import { copying } from "./copying.js";
import { passkeys } from "./passkeys.js";

theme();
uploads();
live();
copying();
passkeys();
