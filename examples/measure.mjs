// What an example costs with and without zIO: `node examples/measure.mjs [NAME...] [--pairs N] [--seconds S] [--policy P]`.
// Pairs of runs in turn, the order changing; every byte is compared by the load. The processor time of the server alone is
// counted, because the load runs on the same machine. The ratio of each pair comes first, then what it was made of.
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { capabilities } from "@zio/runtime";
import { names, openExample, start } from "./started.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    pairs: { type: "string", default: "5" },
    seconds: { type: "string", default: "4" },
    policy: { type: "string", default: "learn" },
    json: { type: "boolean", default: false },
  },
});
const [pairs, seconds] = [Number(values.pairs), Number(values.seconds)];
const wanted = positionals.length > 0 ? positionals : names;
const unknown = wanted.find((name) => !names.includes(name));
if (unknown !== undefined) throw new Error(`there is no example ${unknown}; there are ${names.join(", ")}`);

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** One run: microseconds of the server's processor time for a megabyte that it passed on. */
async function run(name, zio) {
  const load = await openExample(name);
  const server = await start(load, zio);
  try {
    if (server.problem) throw new Error(`zIO cannot work here: ${server.problem}`);
    await load.round(server.port);
    const beganMs = performance.now();
    const beganCpuMs = server.cpuMs();
    let bytes = 0;
    while (performance.now() - beganMs < seconds * 1000) bytes += await load.round(server.port);
    const cpuMs = server.cpuMs() - beganCpuMs;
    return { cpuUsPerMegabyte: (cpuMs * 1e9) / bytes, bytes, cpuMs, counters: server.stats() };
  } finally {
    await load.close();
    await server.stop();
  }
}

async function measure(name) {
  const samples = [];
  for (let pair = 0; pair < pairs; pair++) {
    const sample = {};
    const order = pair % 2 === 0 ? ["plain", "zio"] : ["zio", "plain"];
    for (const mode of order) sample[mode] = await run(name, mode === "zio" ? { policy: values.policy } : undefined);
    samples.push({ ...sample, ratio: sample.zio.cpuUsPerMegabyte / sample.plain.cpuUsPerMegabyte });
  }
  return { name, policy: values.policy, samples };
}

function say({ name, policy, samples }) {
  const ratios = samples.map(({ ratio }) => ratio);
  const cost = (mode) => median(samples.map((sample) => sample[mode].cpuUsPerMegabyte)).toFixed(0);
  const { redirectedBytes, elidedBytes, faults } = samples.at(-1).zio.counters;
  const spread = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  console.log(
    `${name}, ${policy}: server CPU ${median(ratios).toFixed(2)} of plain (${spread}, ${samples.length} pairs)`,
  );
  console.log(`  ${cost("plain")} us plain, ${cost("zio")} us under zIO for a megabyte passed on`);
  console.log(`  last run: ${redirectedBytes} bytes redirected, ${elidedBytes} elided, ${faults} faults`);
}

const found = capabilities();
if (!found.available) {
  console.error(`zIO cannot work here: ${found.reason}; ${found.fix}`);
  process.exit(77);
}
const busy = loadavg()[0] / cpus().length;
if (busy > 0.5)
  console.error(`this machine is busy (load ${busy.toFixed(1)} a processor): the numbers will mean little`);
const results = [];
for (const name of wanted) {
  results.push(await measure(name));
  if (!values.json) say(results.at(-1));
}
if (values.json) console.log(JSON.stringify({ version: 1, node: process.version, load: loadavg(), results }, null, 1));
