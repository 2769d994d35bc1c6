// All programs, in the order in which they run.
import type { Program } from "../program.js";
import { archives } from "./archives.js";
import { ceph } from "./ceph.js";
import { curl } from "./curl.js";
import { git } from "./git.js";
import { grpc } from "./grpc.js";
import { memcached } from "./memcached.js";
import { node } from "./node.js";
import { openssl } from "./openssl.js";
import { pythonPrograms } from "./python.js";
import { redisPrograms } from "./redis.js";
import { rsync } from "./rsync.js";
import { servers } from "./servers.js";
import { sqlite3 } from "./sqlite3.js";
import { ssh } from "./ssh.js";

export const programs: Program[] = [
  archives,
  ceph,
  curl,
  git,
  grpc,
  memcached,
  node,
  openssl,
  ...pythonPrograms,
  ...redisPrograms,
  rsync,
  ...servers,
  sqlite3,
  ssh,
];
