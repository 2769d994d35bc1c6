// What every workload is judged by: numbers that were acknowledged over the serial line, and up to which number everything is
// there after the next start. Also the compiler that makes the programs of the machine.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { root } from "../environment.mjs";

const packages = join(root, "packages");
const includes = ["nvm/include", "nvm/native", "core/include", "core/native"];

/** Compiles a program of this directory with the pool and core inside. */
export function compile(name, directory) {
  const program = join(directory, name);
  const libraries = ["packages/nvm/native/zio_nvm_unit.c", "packages/core/native/zio_core_unit.c"];
  const sources = [`scripts/power-cuts/${name}.c`, ...libraries].map((source) => join(root, source));
  const flags = ["-std=c17", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"];
  const search = includes.flatMap((include) => ["-I", join(packages, include)]);
  execFileSync(process.env.CC || "cc", [...flags, ...search, ...sources, "-o", program], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  return program;
}

export class Acknowledged {
  ready = "zio-acknowledged ";
  #acknowledged = 0;
  /** Whether anything was written before the last cut; one during the recovery may come after the pool was closed again. */
  #worked = false;
  totals = { acknowledged: 0, recovered: 0, dropped: 0, beyond: 0 };

  /** `mostAtOnce`: numbers that one acknowledgement covers at most. The line of one more may not have come out. */
  constructor(mostAtOnce) {
    this.mostAtOnce = mostAtOnce;
  }

  /** The file systems are new. */
  begin() {
    this.#acknowledged = 0;
    this.#worked = false;
  }

  /** What the lines of one start say; throws where anything is lost or invented. Then takes note of what was acknowledged. */
  judge(lines) {
    const recovered = lines.find((line) => line.startsWith("zio-recovered "));
    const found = lines.find((line) => line.startsWith("zio-found "));
    if (recovered && !/ medium=1 flush=cl/.test(recovered)) throw new Error(`this is no DAX: ${recovered}`);
    if (recovered && this.#worked && !/clean=0 same-boot=0/.test(recovered))
      throw new Error(`no power cut was seen: ${recovered}`);
    if (found) this.#judgeFound(Number(found.split(" ")[1]));
    const number = (name) => Number(new RegExp(` ${name}=(\\d+)`).exec(recovered ?? "")?.[1] ?? 0);
    this.totals.recovered += number("records");
    this.totals.dropped += number("dropped");
    const before = this.#acknowledged;
    for (const line of lines) if (line.startsWith("zio-acknowledged ")) this.#acknowledged = Number(line.split(" ")[1]);
    this.totals.acknowledged += this.#acknowledged - before;
    this.#worked = lines.some((line) => line.startsWith(this.ready));
  }

  #judgeFound(found) {
    const before = this.#acknowledged;
    if (found < before) throw new Error(`${before} were acknowledged, ${found} are there`);
    if (found > before + 2 * this.mostAtOnce) throw new Error(`${found} are there, only ${before} were acknowledged`);
    this.totals.beyond += found - before;
    this.#acknowledged = found;
  }

  /** Throws where nothing was proved. */
  summary() {
    const { acknowledged, recovered, dropped, beyond } = this.totals;
    if (acknowledged === 0 || recovered === 0)
      throw new Error(`${acknowledged} were acknowledged and ${recovered} records recovered: nothing is proved`);
    return `${acknowledged} acknowledged, all there; ${recovered} records applied by recovery, ${beyond} numbers beyond the last acknowledgement, ${dropped} complete records taken away`;
  }
}
