// Servers and runtimes of other people.
import type { Program } from "../program.js";
import { haproxy } from "./haproxy.js";
import { icecast } from "./icecast.js";
import { nginx } from "./nginx.js";
import { php } from "./php.js";
import { postgres } from "./postgres.js";
import { go, java } from "./proxies.js";

export const servers: Program[] = [go, haproxy, icecast, java, nginx, php, postgres];
