// The practice account's pages: what changed is asked for again, and texts are copied by one click.
import { copying } from "./sandbox-copy.js";
import { following } from "./sandbox-live.js";

copying();
following();
