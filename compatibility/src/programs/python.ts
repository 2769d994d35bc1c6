// CPython's own tests, as Debian packages them, each module in a process of its own.
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { installedVersion, upstreamVersion } from "../debian.js";
import { type PartResult, runParts } from "../parts.js";
import type { Context, Program } from "../program.js";

const testsuite = "libpython3.11-testsuite";

/** The failed tests of a JUnit report, by their class and name, and how many there are. */
function readReport(xml: string): { checks: number; failed: string[] } {
  const cases = [...xml.matchAll(/<testcase name="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g)];
  const failed = cases.filter(([, , body]) => /<(failure|error)\b/.test(body ?? "")).map(([, name]) => name!);
  return { checks: cases.length, failed: [...new Set(failed)] };
}

/** Waits for ever in virtual machines that offer the address family without a peer. */
const leftOut = ["--ignore", "ThreadedVSOCKSocketStreamTest"];

async function runModule(context: Context, module: string): Promise<PartResult> {
  const report = join(context.directory, `${module}.xml`);
  rmSync(report, { force: true });
  // Debian's package of tests lacks those of sqlite3: the source package has them.
  const fromSource = module === "test_sqlite3";
  const path = join(context.directory, "path");
  if (fromSource && !existsSync(path)) {
    mkdirSync(path);
    symlinkSync(join(context.source("python3.11"), "Lib/test"), join(path, "test"));
  }
  const env = fromSource ? { PYTHONPATH: path, PYTHONDONTWRITEBYTECODE: "1" } : {};
  const resources = ["-u", "all,-largefile,-audio,-gui,-network,-urlfetch"];
  const args = ["-m", "test", ...resources, "--timeout", "300", ...leftOut, "--junit-xml", report, module];
  const { status, signal, stdout, stderr } = await context.run("/usr/bin/python3", args, { env, timeoutMs: 600_000 });
  const { checks, failed } = existsSync(report) ? readReport(readFileSync(report, "utf8")) : { checks: 0, failed: [] };
  if (failed.length > 0 || status !== 0) context.log(`${module}: ${signal ?? status}\n${stdout}${stderr}`.slice(-5000));
  const names = failed.map((name) => `${module}: ${name}`);
  return { checks: checks + 1, failed: status === 0 ? names : [...names, `${module} ends with success`] };
}

function suite(name: string, title: string, modules: readonly string[]): Program {
  return {
    name,
    title,
    what: `its own tests: ${modules.join(", ")}`,
    debianPackages: [testsuite, "python3"],
    version: () => upstreamVersion(installedVersion(testsuite) ?? ""),
    ...(modules.includes("test_sqlite3") ? { debianSources: ["python3.11"] } : {}),
    deadlineMs: 1_500_000,
    run: (context) => runParts(modules, (module) => runModule(context, module), { parallel: 2 }),
  };
}

export const pythonPrograms: Program[] = [
  suite("python-io", "CPython, IO and sqlite3", [
    "test_sqlite3",
    "test_socket",
    "test_io",
    "test_fileio",
    "test_memoryio",
    "test_bufio",
    "test_mmap",
    "test_socketserver",
    "test_selectors",
    "test_select",
    "test_poll",
    "test_epoll",
  ]),
  suite("python-asyncio", "CPython, asyncio", ["test_asyncio"]),
  suite("python-processes", "CPython, processes", [
    "test_subprocess",
    "test_fork1",
    "test_os",
    "test_posix",
    "test_signal",
    "test_eintr",
    "test_pty",
    "test_multiprocessing_fork",
    "test_threading",
  ]),
  suite("python-data", "CPython, data", [
    "test_bytes",
    "test_buffer",
    "test_memoryview",
    "test_array",
    "test_zlib",
    "test_gzip",
    "test_bz2",
    "test_lzma",
    "test_tarfile",
    "test_zipfile",
    "test_shutil",
    "test_pickle",
    "test_httplib",
    "test_ftplib",
    "test_urllib2_localnet",
    "test_ssl",
    "test_hashlib",
  ]),
];
