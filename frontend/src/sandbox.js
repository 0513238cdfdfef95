// The practice account's pages: what changed is asked for again, and texts are copied by one click.
import { following } from "./sandbox-live.js";

following();
