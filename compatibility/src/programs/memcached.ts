// memcached's own Perl tests of the source package, with the installed memcached.
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type PartResult, runParts } from "../parts.js";
import type { Program } from "../program.js";

// Debian's memcached is built without TLS, SASL and the proxy, and without the `sizes` program: those tests skip
// themselves. The option is one of the test build.
function prepare(source: string, root: string): void {
  mkdirSync(root);
  for (const name of ["t", "doc"]) cpSync(join(source, name), join(root, name), { recursive: true });
  const module = join(root, "t/lib/MemcachedTest.pm");
  writeFileSync(module, readFileSync(module, "utf8").replace('$args .= " -o relaxed_privileges";', ""));
  for (const name of ["memcached", "memcached-debug"]) symlinkSync("/usr/bin/memcached", join(root, name));
  // Kills a test's server after the given seconds; here the whole run has a time limit.
  writeFileSync(join(root, "timedrun"), '#!/bin/sh\nshift\nexec "$@"\n', { mode: 0o755 });
}

export const memcached: Program = {
  name: "memcached",
  title: "memcached",
  what: "its own tests, t/*.t",
  debianPackages: ["memcached", "perl"],
  debianSources: ["memcached"],
  deadlineMs: 1_500_000,

  async run(context) {
    const root = join(context.directory, "memcached");
    prepare(context.source("memcached"), root);
    const scripts = readdirSync(join(root, "t")).filter((name) => name.endsWith(".t"));
    return runParts(
      scripts,
      async (script) => {
        const { status, stdout } = await context.run("perl", [join("t", script)], { cwd: root, timeoutMs: 400_000 });
        return judge(script, stdout.toString(), status);
      },
      { parallel: 4 },
    );
  },
};

/** From what a script said. Where it counts its tests only at the end, their number is chance: it is one check. */
function judge(script: string, text: string, status: number | null): PartResult {
  const plannedFirst = /^1\.\.\d+/.test(text);
  const planned = Number(/^1\.\.(\d+)/m.exec(text)?.[1] ?? -1);
  const ran = text.match(/^(not )?ok \d+/gm)?.length ?? 0;
  const failed: string[] = [];
  for (const [, number, name = ""] of text.matchAll(/^not ok (\d+)(?: - (.*))?$/gm))
    if (!/# TODO/.test(name)) failed.push(plannedFirst ? `${script} ${number}: ${name}` : `${script}: ${name}`);
  if (planned !== ran) failed.push(`${script} runs the tests that it planned`);
  else if (status !== 0 && failed.length === 0) failed.push(`${script} ends with success`);
  return { checks: plannedFirst ? planned : 1, failed };
}
