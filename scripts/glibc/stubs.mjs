// Link-time stand-ins for the libraries of an older glibc, made from the one of this machine: what is linked against them
// runs from that older version on. They hold no code, only names: each symbol with the version that was its default then.
// A function that is younger is missing, and the link fails. docs/decisions/0016-prebuilds-by-link-stubs.md
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** That of Debian 10 and RHEL 8, and the oldest on which the official builds of Node 20 run. */
export const oldestGlibc = [2, 28];

/** Libraries that were parts of their own before glibc 2.34, by the names that moved into libc.so.6. */
const formerLibraries = [
  { soname: "libdl.so.2", pattern: /^dl[a-z0-9]+$/ },
  { soname: "librt.so.1", pattern: /^(timer|mq|aio|lio|shm)_/ },
  { soname: "libpthread.so.0", pattern: /^(_*pthread_|sem_)/ },
];

const numbers = (version) => version.slice("GLIBC_".length).split(".").map(Number);

function compare(left, right) {
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The dynamic symbols of a library of glibc, each version of each a row. */
function readSymbols(library) {
  const listing = execFileSync("readelf", ["--dyn-syms", "--wide", library], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
    env: { ...process.env, LC_ALL: "C" },
  });
  const row =
    /^\s*\d+: ([0-9a-f]+)\s+(\w+) (FUNC|IFUNC|OBJECT)\s+(?:GLOBAL|WEAK)\s+DEFAULT\s+\d+ (\w+)@(@?)(GLIBC_[\d.]+)$/;
  return listing.split("\n").flatMap((line) => {
    const [, address, size, type, name, isDefault, version] = row.exec(line) ?? [];
    if (name === undefined) return [];
    return [{ name, version, isDefault: isDefault !== "", isObject: type === "OBJECT", address, size: Number(size) }];
  });
}

/** The symbols as they were in `glibc`: of each name the newest version that existed then. */
function symbolsOf(rows, glibc) {
  const chosen = new Map();
  for (const row of rows) {
    if (compare(numbers(row.version), glibc) > 0) continue;
    const other = chosen.get(row.name);
    if (!other || compare(numbers(row.version), numbers(other.version)) > 0) chosen.set(row.name, row);
  }
  return [...chosen.values()];
}

function assembly(symbols) {
  const lines = [".text"];
  for (const { name } of symbols.filter(({ isObject }) => !isObject)) {
    lines.push(`.globl ${name}`, `.type ${name}, %function`, `${name}:`);
  }
  lines.push('.section .note.GNU-stack,"",%progbits', ".bss");
  // Names of the same variable must stay at one address: a program that copies one gets them all.
  const byAddress = new Map();
  for (const symbol of symbols.filter(({ isObject }) => isObject))
    byAddress.set(symbol.address, [...(byAddress.get(symbol.address) ?? []), symbol]);
  for (const objects of byAddress.values()) {
    lines.push(".balign 32");
    for (const { name, size } of objects)
      lines.push(`.globl ${name}`, `.type ${name}, %object`, `.size ${name}, ${size}`, `${name}:`);
    lines.push(`.skip ${Math.max(...objects.map(({ size }) => size), 1)}`);
  }
  return `${lines.join("\n")}\n`;
}

function versionScript(symbols) {
  const versions = [...new Set(symbols.map(({ version }) => version))].sort((a, b) => compare(numbers(a), numbers(b)));
  const nodes = versions.map((version, i) => {
    const names = symbols.filter((symbol) => symbol.version === version).map(({ name }) => `${name};`);
    const hidden = i === 0 ? " local: *;" : "";
    return `${version} { global: ${names.join(" ")}${hidden} }${i === 0 ? "" : ` ${versions[i - 1]}`};`;
  });
  return `${nodes.join("\n")}\n`;
}

/**
 * Makes the stubs in `directory`; `-L` with it is all that a link needs. Throws where this machine's C library is not
 * glibc or the tools do not understand what they are given.
 */
export function makeGlibcStubs(directory, compiler = ["cc"]) {
  const [command, ...first] = compiler;
  const cc = (...args) =>
    execFileSync(command, [...first, ...args], { cwd: directory, encoding: "utf8", stdio: "pipe" });
  mkdirSync(directory, { recursive: true });
  const find = (name) => cc(`-print-file-name=${name}`).trim();

  const rows = readSymbols(find("libc.so.6"));
  const newest = new Map(rows.filter(({ isDefault }) => isDefault).map(({ name, version }) => [name, version]));
  const symbols = symbolsOf(rows, oldestGlibc);
  if (symbols.length < 1000) throw new Error(`${find("libc.so.6")} lists ${symbols.length} symbols only`);
  const homeOf = ({ name, version }) =>
    (newest.get(name) !== version && formerLibraries.find(({ pattern }) => pattern.test(name))?.soname) || "libc.so.6";
  const makeStub = (soname, own) => {
    writeFileSync(join(directory, `${soname}.s`), assembly(own));
    writeFileSync(join(directory, `${soname}.map`), versionScript(own));
    const flags = ["-shared", "-nostdlib", `-Wl,-soname,${soname}`, `-Wl,--version-script=${soname}.map`];
    cc(...flags, `${soname}.s`, "-o", soname);
  };
  const sonames = ["libc.so.6", ...formerLibraries.map(({ soname }) => soname)];
  const present = sonames.filter((soname) => symbols.some((symbol) => homeOf(symbol) === soname));
  for (const soname of present) {
    makeStub(
      soname,
      symbols.filter((symbol) => homeOf(symbol) === soname),
    );
  }
  // The machine's own libm would ask the stub for what only libraries of one version may use of each other.
  makeStub("libm.so.6", symbolsOf(readSymbols(find("libm.so.6")), oldestGlibc));
  writeFileSync(join(directory, "libm.so"), "INPUT ( libm.so.6 )\n");

  // Where __tls_get_addr is.
  const loaders = ["ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"].map(find).filter((path) => path.includes("/"));
  const loader = loaders.map((path) => `"${path}"`).join(" ");

  // What glibc gained as functions after that version, although programs had it before.
  const isYounger = newest.has("stat64") && compare(numbers(newest.get("stat64")), oldestGlibc) > 0;
  const archive = isYounger ? "libyounger.a" : "";
  if (isYounger) {
    copyFileSync(fileURLToPath(new URL("younger_functions.c", import.meta.url)), join(directory, "younger.c"));
    cc("-c", "-O2", "-fPIC", "-fvisibility=hidden", "younger.c", "-o", "younger.o");
    execFileSync("ar", ["rcs", "libyounger.a", "younger.o"], { cwd: directory, stdio: "pipe" });
  }
  writeFileSync(
    join(directory, "libc.so"),
    `GROUP ( libc.so.6 ${archive} "${find("libc_nonshared.a")}" AS_NEEDED ( ${present.slice(1).join(" ")} ${loader} ) )\n`,
  );
}
