// Whether anything grew in the server's long life: the last third of its samples against the first after the warm-up.
const mebibyte = 1 << 20;

/** What may be more at the end than after the warm-up: a part of it, and so much besides. */
const allowed = {
  rssBytes: { factor: 1.15, plus: 32 * mebibyte },
  originBytes: { factor: 1.15, plus: 32 * mebibyte },
  origins: { factor: 1.25, plus: 64 },
  views: { factor: 1.5, plus: 512 },
  mappings: { factor: 1.25, plus: 256 },
  descriptors: { factor: 1, plus: 0 },
  threads: { factor: 1, plus: 0 },
};
/** What an empty server may still hold: the origins that its threads are filling. */
const heldWhenEmpty = { originBytes: 16 * mebibyte, origins: 32 };

function middle(samples, name) {
  const sorted = samples.map((sample) => sample[name]).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function thirds(samples) {
  const warm = samples.slice(Math.floor(samples.length / 6));
  const size = Math.floor(warm.length / 3);
  return { first: warm.slice(0, size), last: warm.slice(-size) };
}

export function growth(samples, emptied) {
  const problems = [];
  const { first, last } = thirds(samples);
  if (first.length === 0) return ["too few samples to tell whether anything grew"];
  for (const [name, { factor, plus }] of Object.entries(allowed)) {
    const [before, after] = [middle(first, name), middle(last, name)];
    if (after > before * factor + plus) problems.push(`${name} grew from ${before} to ${after}`);
  }
  for (const [name, most] of Object.entries(heldWhenEmpty))
    if (emptied[name] > most) problems.push(`${name} is ${emptied[name]} in an empty server`);
  return problems;
}

/** Medians after the warm-up and at the end, and the most that was seen. */
export function showLife(samples) {
  const { first, last } = thirds(samples);
  if (first.length === 0) return { samples: samples.length };
  const names = Object.keys(samples[0]);
  const rows = names.map((name) => {
    const most = Math.max(...samples.map((sample) => sample[name]));
    return [name, { early: middle(first, name), late: middle(last, name), most }];
  });
  return { samples: samples.length, ...Object.fromEntries(rows) };
}
