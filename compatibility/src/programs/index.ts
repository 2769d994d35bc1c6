// All programs, in the order in which they run.
import type { Program } from "../program.js";
import { archives } from "./archives.js";
import { curl } from "./curl.js";

export const programs: Program[] = [archives, curl];
