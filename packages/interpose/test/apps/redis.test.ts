// Redis under zIO: values of all sizes, pipelined and not, changed in place, from several connections.
import { describeApp } from "./app-session.js";
import { contentOf, expectSame } from "./content.js";
import { KnownValues, RedisServer, valueSizes } from "./redis-server.js";

const mebibyte = 1 << 20;
const evidence = { redirectedBytes: 8 * mebibyte, elidedBytes: 4 * mebibyte };
const programs = ["redis-server"];
const bySize = () => new KnownValues((key) => Number(key.split(":")[1]));

describeApp("Redis gives back values of 1 KiB to 4 MiB", { programs, evidence }, async (session) => {
  const server = await RedisServer.start(session, "data");
  const client = await server.connect();
  const values = bySize();
  for (let round = 0; round < 4; round++)
    for (const size of valueSizes) {
      const key = `size:${size}:${round % 2}`;
      const value = values.next(key);
      await client.set(key, value);
      expectSame(await client.get(key), value, `${key} in round ${round}`);
    }
  await values.verify(client);
  await server.shutDown();
});

describeApp("Redis gives back pipelined values", { programs, evidence }, async (session) => {
  const server = await RedisServer.start(session, "data");
  const client = await server.connect();
  const values = bySize();
  for (let round = 0; round < 4; round++) {
    const sizes = valueSizes.flatMap((size) => [`size:${size}:a`, `size:${size}:b`]);
    // Several SETs of one key are under way at once, and a GET behind each must see exactly that one.
    const replies = sizes.flatMap((key) =>
      [1, 2].map(async () => {
        const value = values.next(key);
        const [, got] = await Promise.all([client.set(key, value), client.get(key)]);
        expectSame(got, value, `${key} in round ${round}`);
      }),
    );
    await Promise.all(replies);
  }
  await values.verify(client);
  await server.shutDown();
});

describeApp("Redis changes parts of large values", { programs, evidence }, async (session) => {
  const server = await RedisServer.start(session, "data");
  const client = await server.connect();
  for (let round = 0; round < 6; round++)
    for (const size of [65_536, 524_288, mebibyte + 4321]) {
      const key = `part:${size}`;
      const value = contentOf(round * 31 + size, size);
      await client.set(key, value);
      const patch = contentOf(round + 77, 20_000);
      const at = (round * 12_345) % (size - patch.length);
      await client.command("SETRANGE", key, at, patch);
      patch.copy(value, at);
      const tail = contentOf(round + 99, 70_000);
      await client.command("APPEND", key, tail);
      const whole = Buffer.concat([value, tail]);
      await client.command("COPY", key, `copy:${key}`, "REPLACE");
      await client.set(key, patch);
      expectSame(await client.get(`copy:${key}`), whole, `copy of ${key} in round ${round}`);
      const [from, to] = [at - Math.min(at, 100), whole.length - 50];
      const range = await client.command("GETRANGE", `copy:${key}`, from, to);
      expectSame(range as Buffer, whole.subarray(from, to + 1), `range of ${key} in round ${round}`);
    }
  await server.shutDown();
});

describeApp("Redis keeps the values of several connections apart", { programs, evidence }, async (session) => {
  const server = await RedisServer.start(session, "data");
  const workers = [0, 1, 2, 3].map(async (worker) => {
    const client = await server.connect();
    const values = bySize();
    for (let step = 0; step < 60; step++) {
      const key = `size:${valueSizes[(step * 7 + worker) % (valueSizes.length - 1)]}:${worker}`;
      const writing = client.set(key, values.next(key));
      const list = `list:${worker}`;
      const element = contentOf(step, 40_000 + step);
      await Promise.all([writing, client.command("RPUSH", list, element)]);
      const [read, element2] = await Promise.all([client.get(key), client.command("LINDEX", list, -1)]);
      expectSame(read, values.content(key, values.snapshot().get(key)!), `${key} of worker ${worker}`);
      expectSame(element2 as Buffer, element, `element ${step} of worker ${worker}`);
      if (step % 20 === 19) await client.command("DEL", list);
    }
  });
  await Promise.all(workers);
  await server.shutDown();
});
