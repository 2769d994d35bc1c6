// Servers and runtimes of other people.
import type { Program } from "../program.js";
import { haproxy } from "./haproxy.js";
import { nginx } from "./nginx.js";

export const servers: Program[] = [haproxy, nginx];
