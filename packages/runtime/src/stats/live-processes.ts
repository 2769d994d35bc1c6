// The running processes under zIO, found by their counter pages. Pages that a killed process left behind are told by the
// pid and its start time, and removed where they are ours.
import { type Dirent, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readStatsPage, type StatsPage } from "@zio/interpose";
import { isPrivateDirectory, ownerOfRunDirectory, userStatsDirectory } from "./directory.js";

/** Field 22 of /proc/PID/stat; undefined where there is no such process. */
export function startTicksOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command in parentheses may hold spaces and parentheses itself.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  } catch {
    return undefined;
  }
}

interface Found {
  file: string;
  page: StatsPage;
}

function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return []; // gone, or not for us to read
  }
}

function pageIn(file: string): StatsPage | undefined {
  try {
    return readStatsPage(readFileSync(file));
  } catch {
    return undefined; // its process has just ended
  }
}

function pagesIn(directory: string): Found[] {
  return entriesOf(directory).flatMap((entry) => {
    const file = join(directory, entry.name);
    const page = entry.isFile() ? pageIn(file) : undefined;
    return page ? [{ file, page }] : [];
  });
}

function directoriesOfUsers(): string[] {
  if (process.geteuid?.() !== 0) return [userStatsDirectory()];
  try {
    return readdirSync("/dev/shm")
      .filter((name) => /^zio-\d+$/.test(name))
      .map((name) => join("/dev/shm", name));
  } catch {
    return [];
  }
}

/** A process that replaced itself by exec has a page for each of its programs: PID.START.N, the last one counts. */
function newestOfEach(found: readonly Found[]): StatsPage[] {
  const newest = new Map<number, Found>();
  const ordinal = ({ file }: Found) => Number(file.slice(file.lastIndexOf(".") + 1)) || 0;
  for (const candidate of found) {
    const known = newest.get(candidate.page.pid);
    if (!known || ordinal(candidate) > ordinal(known)) newest.set(candidate.page.pid, candidate);
  }
  return [...newest.values()].map(({ page }) => page).sort((left, right) => left.pid - right.pid);
}

const isLive = ({ page }: Found) => startTicksOf(page.pid) === page.startTicks;

/** Whether a run directory's owner is gone; it would have removed it. */
function isAbandoned(name: string): boolean {
  const owner = ownerOfRunDirectory(name);
  return owner !== undefined && startTicksOf(owner) === undefined;
}

/** The pages of living processes of this user (of all users, for root), by pid; removes this user's stale ones. */
export function liveProcesses(): StatsPage[] {
  const live: Found[] = [];
  for (const directory of directoriesOfUsers()) {
    const ours = isPrivateDirectory(directory);
    for (const found of pagesIn(directory)) {
      if (isLive(found)) live.push(found);
      else if (ours) rmSync(found.file, { force: true });
    }
    for (const entry of entriesOf(directory)) {
      if (!entry.isDirectory()) continue;
      // The directory of a run keeps the pages of its dead: the record at the end needs them.
      const run = join(directory, entry.name);
      const ofRun = pagesIn(run).filter(isLive);
      live.push(...ofRun);
      if (ours && ofRun.length === 0 && isAbandoned(entry.name)) rmSync(run, { recursive: true, force: true });
    }
  }
  return newestOfEach(live);
}

/** The page of this very process, where there is one; touches no other's. */
export function ownPage(): StatsPage | undefined {
  const directory = process.env.ZIO_STATS || userStatsDirectory();
  const own = entriesOf(directory).filter((entry) => entry.isFile() && entry.name.startsWith(`${process.pid}.`));
  const found = own.flatMap(({ name }) => {
    const page = pageIn(join(directory, name));
    return page ? [{ file: join(directory, name), page }] : [];
  });
  return newestOfEach(found.filter(isLive))[0];
}

/** The page of one process, also where its ZIO_STATS names another directory. */
export function liveProcess(pid: number): StatsPage | undefined {
  const listed = liveProcesses().find((page) => page.pid === pid);
  if (listed) return listed;
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    const directory = environment.find((entry) => entry.startsWith("ZIO_STATS="))?.slice("ZIO_STATS=".length);
    if (!directory) return undefined;
    return newestOfEach(pagesIn(directory).filter((found) => found.page.pid === pid && isLive(found)))[0];
  } catch {
    return undefined;
  }
}
