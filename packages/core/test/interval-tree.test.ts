import { createRequire } from "node:module";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IntervalTree, type Segment, type View } from "../src/index.js";
import { native } from "../src/load-native.js";

const base = 0x7f00_0000_0000n;
const top = (1n << 64n) - 1n;

function view(start: bigint, length: bigint, handle: bigint, offset: bigint, tag = 0): View {
  return { kind: "view", start, length, handle, offset, tag };
}

describe("IntervalTree", () => {
  test("translates a range into views and holes without a gap", () => {
    using tree = new IntervalTree();
    tree.insert(base + 100n, 50n, 1n, 1000n);
    tree.insert(base + 200n, 50n, 2n, 0n, 7);
    expect(tree.translate(base, 225n)).toEqual([
      { kind: "hole", start: base, length: 100n },
      view(base + 100n, 50n, 1n, 1000n),
      { kind: "hole", start: base + 150n, length: 50n },
      view(base + 200n, 25n, 2n, 0n, 7),
    ]);
    expect(tree.translate(base, 0n)).toEqual([]);
    expect(tree.translate(0n, 10n)).toEqual([{ kind: "hole", start: 0n, length: 10n }]);
  });

  test("cuts what an insert covers and joins what continues", () => {
    using tree = new IntervalTree();
    tree.insert(0n, 100n, 1n, 0n);
    tree.insert(40n, 20n, 2n, 0n);
    expect([...tree]).toEqual([view(0n, 40n, 1n, 0n), view(40n, 20n, 2n, 0n), view(60n, 40n, 1n, 60n)]);
    tree.insert(40n, 20n, 1n, 40n);
    expect([...tree]).toEqual([view(0n, 100n, 1n, 0n)]);
    tree.carve(10n, 10n);
    expect([...tree]).toEqual([view(0n, 10n, 1n, 0n), view(20n, 80n, 1n, 20n)]);
    expect(tree.size).toBe(2);
  });

  test("finds the view that holds an address", () => {
    using tree = new IntervalTree();
    tree.insert(4096n, 4096n, 5n, 64n);
    expect(tree.stab(4095n)).toBeUndefined();
    expect(tree.stab(4096n)).toEqual(view(4096n, 4096n, 5n, 64n));
    expect(tree.stab(8191n)).toEqual(view(4096n, 4096n, 5n, 64n));
    expect(tree.stab(8192n)).toBeUndefined();
  });

  test("iterates over the views of a range, also while the tree changes", () => {
    using tree = new IntervalTree();
    for (let i = 0n; i < 100n; i++) tree.insert(i * 10n, 5n, i + 1n, 0n);
    expect([...tree.entries(12n, 20n)].map(({ start }) => start)).toEqual([10n, 20n, 30n]);
    const seen: bigint[] = [];
    for (const { start, length } of tree) {
      seen.push(start);
      tree.carve(start, length + 10n);
    }
    expect(seen).toEqual(Array.from({ length: 50 }, (_, i) => BigInt(i) * 20n));
    expect(tree.size).toBe(0);
  });

  test("reads views of handle 0n as zeros, wherever they were cut", () => {
    using tree = new IntervalTree();
    tree.insert(0n, 10n, 0n, 77n);
    tree.insert(10n, 10n, 0n, 3n);
    expect([...tree]).toEqual([view(0n, 20n, 0n, 0n)]);
    expect(tree.translate(5n, 5n)).toEqual([view(5n, 5n, 0n, 0n)]);
  });

  test("reaches up to the last address but one", () => {
    using tree = new IntervalTree();
    tree.insert(0n, top, 0n);
    expect(tree.stab(top - 1n)).toEqual(view(0n, top, 0n, 0n));
    expect(tree.stab(top)).toBeUndefined();
    expect([...tree]).toHaveLength(1);
  });

  test("says what is wrong with an argument and what to write instead", () => {
    using tree = new IntervalTree();
    expect(() => tree.insert(0 as never, 1n, 1n)).toThrow(
      new TypeError("start must be a bigint: write 4096n, or BigInt(number)"),
    );
    expect(() => tree.carve(0n, "1" as never)).toThrow(/^length must be a bigint/);
    expect(() => tree.stab(undefined as never)).toThrow(/^address must be a bigint/);
    expect(() => tree.insert(-1n, 1n, 1n)).toThrow(new RangeError("start must lie between 0n and 2n ** 64n - 1n"));
    expect(() => tree.translate(0n, -1n)).toThrow(/^length must lie between/);
    expect(() => tree.insert(0n, 0n, 1n)).toThrow(new RangeError("length must be at least 1n"));
    expect(() => tree.carve(top, 1n)).toThrow(/^the range of 1 bytes at 18446744073709551615 reaches beyond/);
    expect(() => tree.insert(0n, 2n, 1n, (1n << 48n) - 1n)).toThrow(/reaches beyond 2n \*\* 48n$/);
    expect(() => tree.insert(0n, 1n, 1n, 0n, 65536)).toThrow(/^tag must be/);
    expect(tree.size).toBe(0);
  });

  test("throws after dispose, which may be called twice", () => {
    const tree = new IntervalTree();
    tree.insert(0n, 1n, 1n);
    tree.dispose();
    tree[Symbol.dispose]();
    expect(() => tree.size).toThrow(new TypeError("this IntervalTree was disposed: make a new one"));
    expect(() => tree.insert(0n, 1n, 1n)).toThrow(/disposed/);
    expect(() => [...tree]).toThrow(/disposed/);
  });

  test("keeps trees apart, in one thread and between threads", async () => {
    using one = new IntervalTree();
    using other = new IntervalTree();
    one.insert(0n, 1n, 1n);
    expect(other.size).toBe(0);
    const workerData = {
      loader: createRequire(import.meta.url).resolve("node-gyp-build"),
      packageRoot: join(import.meta.dirname, ".."),
    };
    // The addon itself, because a worker of a test cannot load TypeScript.
    const source = `
      const { parentPort, workerData } = require("node:worker_threads");
      const { IntervalTree } = require(workerData.loader)(workerData.packageRoot);
      const tree = new IntervalTree();
      for (let i = 0n; i < 1000n; i++) tree.insert(i * 2n, 1n, 1n, 0n, 0n);
      parentPort.postMessage(tree.size());`;
    const sizes = await Promise.all(
      [1, 2, 3].map(
        () =>
          new Promise((resolve, reject) => {
            const worker = new Worker(source, { eval: true, workerData });
            worker.once("message", resolve);
            worker.once("error", reject);
          }),
      ),
    );
    expect(sizes).toEqual([1000, 1000, 1000]);
    expect(one.size).toBe(1);
  });
});

describe("the addon under the class", () => {
  test("refuses rows that are too small or of another type", () => {
    const tree = new (native().IntervalTree)();
    expect(() => tree.next(0n, new BigUint64Array(4))).toThrow(/^rows must be a BigUint64Array of at least 5/);
    expect(() => tree.translate(0n, 1n, new BigUint64Array(9))).toThrow(/at least 10/);
    expect(() => tree.next(0n, new Float64Array(64) as never)).toThrow(/^rows must be/);
    expect(() => tree.insert.call({} as never, 0n, 1n, 1n, 0n, 0n)).toThrow();
  });
});

const places = 200;

type Change =
  | { kind: "insert"; at: number; length: number; handle: number; offset: number; tag: number }
  | { kind: "carve"; at: number; length: number };

/** One entry for each address: what it shows. */
type Model = ({ handle: bigint; offset: bigint; tag: number } | undefined)[];

function apply(model: Model, tree: IntervalTree, change: Change): void {
  const length = Math.min(change.length, places - change.at);
  if (change.kind === "carve") {
    tree.carve(base + BigInt(change.at), BigInt(length));
    model.fill(undefined, change.at, change.at + length);
    return;
  }
  const { at, handle, tag } = change;
  const offset = BigInt(at + change.offset);
  tree.insert(base + BigInt(at), BigInt(length), BigInt(handle), offset, tag);
  for (let i = 0; i < length; i++) {
    model[at + i] = { handle: BigInt(handle), offset: handle === 0 ? 0n : offset + BigInt(i), tag };
  }
}

/** What translating [from, to) must give: the longest runs of the model. */
function segmentsOfModel(model: Model, from: number, to: number): Segment[] {
  const segments: Segment[] = [];
  for (let i = from; i < to; i++) {
    const place = model[i];
    const last = segments.at(-1);
    const joins =
      last !== undefined &&
      (place === undefined
        ? last.kind === "hole"
        : last.kind === "view" &&
          last.handle === place.handle &&
          last.tag === place.tag &&
          (place.handle === 0n || last.offset + last.length === place.offset));
    if (joins) segments[segments.length - 1] = { ...last, length: last.length + 1n };
    else if (place === undefined) segments.push({ kind: "hole", start: base + BigInt(i), length: 1n });
    else segments.push({ kind: "view", start: base + BigInt(i), length: 1n, ...place });
  }
  return segments;
}

const at = fc.integer({ min: 0, max: places - 1 });
const length = fc.integer({ min: 1, max: 40 });
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    kind: fc.constant("insert" as const),
    at,
    length,
    handle: fc.integer({ min: 0, max: 3 }),
    offset: fc.constantFrom(0, 0, 9),
    tag: fc.constantFrom(0, 0, 65535),
  }),
  fc.record({ kind: fc.constant("carve" as const), at, length }),
);

describe("IntervalTree agrees with an array of addresses", () => {
  test("after any changes, in every look-up", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 120 }), at, at, (changes, a, b) => {
        using tree = new IntervalTree();
        const model: Model = new Array(places).fill(undefined);
        for (const each of changes) apply(model, tree, each);
        const all = segmentsOfModel(model, 0, places);
        const views = all.filter((segment) => segment.kind === "view");
        expect(tree.translate(base, BigInt(places))).toEqual(all);
        expect([...tree]).toEqual(views);
        expect(tree.size).toBe(views.length);
        const [from, to] = a < b ? [a, b] : [b, a];
        expect(tree.translate(base + BigInt(from), BigInt(to - from))).toEqual(segmentsOfModel(model, from, to));
        expect([...tree.entries(base + BigInt(from), BigInt(to - from))]).toEqual(
          views.filter(({ start, length }) => start < base + BigInt(to) && start + length > base + BigInt(from)),
        );
        const address = base + BigInt(a);
        expect(tree.stab(address)).toEqual(
          views.find(({ start, length }) => start <= address && address < start + length),
        );
      }),
      { numRuns: 300 },
    );
  });
});
