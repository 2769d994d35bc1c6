// Says what keeps compiled files from running on the oldest glibc that is supported, one line each; status 1 where there is
// something. `node scripts/check-prebuilds.mjs x64 FILE...`, or without files every prebuild of that architecture.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { root } from "./environment.mjs";
import { oldestGlibc } from "./glibc/stubs.mjs";

/** The newest of each that came with the systems of that glibc: the C++ library is that of GCC 8. */
const newest = { GLIBC: oldestGlibc, GLIBCXX: [3, 4, 25], CXXABI: [1, 3, 11] };
const machines = { x64: "Advanced Micro Devices X86-64", arm64: "AArch64" };
const allowedLibraries = /^(libc|libdl|libpthread|librt|libstdc\+\+|libgcc_s|libm|ld-linux-[\w-]+)\.so\.\d+$/;

const readelf = (...args) =>
  execFileSync("readelf", ["--wide", ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
    env: { ...process.env, LC_ALL: "C" },
  });

function isNewer(version, than) {
  const parts = version.split(".").map(Number);
  const at = parts.findIndex((part, i) => part !== (than[i] ?? 0));
  return at >= 0 && parts[at] > (than[at] ?? 0);
}

function symbolProblems(file) {
  const problems = [];
  for (const line of readelf("--dyn-syms", file).split("\n")) {
    const [, binding, symbol] = /\s(GLOBAL|WEAK)\s+DEFAULT\s+UND (\S+)/.exec(line) ?? [];
    if (symbol === undefined) continue;
    const [name, version] = symbol.split("@");
    const [, family, number] = /^([A-Z]+)_([\d.]+)$/.exec(version ?? "") ?? [];
    if (family !== undefined) {
      if (isNewer(number, newest[family] ?? [0])) problems.push(`needs ${symbol}`);
    } else if (binding === "GLOBAL" && !name.startsWith("napi_")) {
      problems.push(`needs ${symbol}, which nothing that it names provides`);
    }
  }
  return problems;
}

/** What is wrong with a file for an architecture, in words. */
function problemsOf(file, arch) {
  const problems = symbolProblems(file);
  const header = readelf("--file-header", "--program-headers", file);
  if (!header.includes(machines[arch])) problems.push(`is not for ${arch}`);
  const alignments = [...header.matchAll(/^\s+LOAD\s.*\s0x([0-9a-f]+)$/gm)].map((match) =>
    Number.parseInt(match[1], 16),
  );
  const leastAlignment = arch === "arm64" ? 0x10000 : 0x1000;
  if (!alignments.every((alignment) => alignment >= leastAlignment))
    problems.push("cannot be mapped where pages are as large as that architecture may have them");
  const dynamic = readelf("--dynamic", file);
  for (const [, library] of dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g))
    if (!allowedLibraries.test(library)) problems.push(`needs ${library}`);
  if (/\((RPATH|RUNPATH)\)/.test(dynamic)) problems.push("looks for libraries in a place of its own");
  // glibc before 2.34 lets a program itself call its constructors, and programs linked today no longer do.
  const isProgram = /Requesting program interpreter/.test(header);
  const [, constructorBytes = "0"] = /\(INIT_ARRAYSZ\)\s+(\d+)/.exec(dynamic) ?? [];
  // On arm64 libgcc has one that looks for newer atomic instructions, and does without them where it did not run.
  if (isProgram && Number(constructorBytes) > (arch === "arm64" ? 16 : 8))
    problems.push("has constructors, which an older glibc would not run");
  return problems;
}

/** Every prebuild of an architecture. */
function prebuildsOf(arch) {
  return readdirSync(join(root, "packages")).flatMap((name) => {
    const directory = join(root, "packages", name, "prebuilds", `linux-${arch}`);
    return existsSync(directory) ? readdirSync(directory).map((file) => join(directory, file)) : [];
  });
}

const [arch = process.arch, ...named] = process.argv.slice(2);
const files = named.length > 0 ? named : prebuildsOf(arch);
if (files.length === 0) console.log(`there are no prebuilds for ${arch}`);
const lines = files.flatMap((file) => problemsOf(file, arch).map((problem) => `${basename(file)} ${problem}`));
for (const line of lines) console.log(line);
process.exitCode = lines.length > 0 || files.length === 0 ? 1 : 0;
