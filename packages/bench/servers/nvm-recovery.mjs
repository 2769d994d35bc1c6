// For `zio bench recovery`: what it takes to apply the log of a pool, after a kill and by a digest, and to write the same bytes
// plainly. Prints one line of JSON. Arguments: the entry of @zio/nvm, a directory, bytes, and for a child "fill".
import { spawn } from "node:child_process";
import { closeSync, fsyncSync, openSync, readSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [entry, directory, bytesText, mode] = process.argv.slice(2);
const { createPool, Pool } = await import(pathToFileURL(entry).href);
const bytes = Number(bytesText);
const chunkBytes = 2 ** 20;
const chunks = bytes / chunkBytes;
const pool = join(directory, "pool");
const file = join(directory, "file");

/** A chunk that tells which it is. */
function chunk(number) {
  const content = Buffer.alloc(chunkBytes, number & 255);
  content.writeUInt32LE(number, 0);
  return content;
}

/** Fills a pool that is large enough not to digest by itself, which it does from half full on. */
async function fill() {
  const opened = await Pool.open(pool);
  const log = await opened.log(file);
  for (let number = 0; number < chunks; number++) await log.append(chunk(number));
  await opened.sync();
  return opened;
}

function timed(work) {
  const began = process.hrtime.bigint();
  const done = work();
  const end = () => Number(process.hrtime.bigint() - began);
  return done instanceof Promise ? done.then(end) : end();
}

function checkFile() {
  if (statSync(file).size !== bytes) throw new Error(`the file has ${statSync(file).size} bytes, not ${bytes}`);
  const descriptor = openSync(file, "r");
  const found = Buffer.alloc(chunkBytes);
  for (let number = 0; number < chunks; number++) {
    readSync(descriptor, found, 0, chunkBytes, number * chunkBytes);
    if (!found.equals(chunk(number))) throw new Error(`chunk ${number} of the file is wrong`);
  }
  closeSync(descriptor);
}

async function renew() {
  rmSync(pool, { force: true });
  rmSync(file, { force: true });
  await createPool(pool, { sizeBytes: Math.ceil((bytes * 2.9) / 4096) * 4096 });
}

async function recovery() {
  await renew();
  const words = [fileURLToPath(import.meta.url), entry, directory, bytesText, "fill"];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "inherit", "inherit"] });
  await new Promise((resolve) => child.once("exit", resolve));
  if (child.signalCode !== "SIGKILL") throw new Error("the child that fills the pool did not come to its end");
  let opened;
  const ns = await timed(async () => {
    opened = await Pool.open(pool);
  });
  if (opened.recovery.bytes !== bytes) throw new Error(`${opened.recovery.bytes} bytes were recovered`);
  await opened.close();
  checkFile();
  return ns;
}

async function digest() {
  await renew();
  const opened = await fill();
  const ns = await timed(() => opened.digest());
  checkFile();
  await opened.close();
  return ns;
}

/** As a program that has its data in memory would. */
function plainWrite() {
  rmSync(pool, { force: true });
  rmSync(file, { force: true });
  const content = Buffer.alloc(bytes);
  for (let number = 0; number < chunks; number++) chunk(number).copy(content, number * chunkBytes);
  const descriptor = openSync(file, "w");
  const ns = timed(() => {
    for (let at = 0; at < bytes; at += chunkBytes) writeSync(descriptor, content, at, chunkBytes);
    fsyncSync(descriptor);
  });
  closeSync(descriptor);
  return ns;
}

if (mode === "fill") {
  await fill();
  process.kill(process.pid, "SIGKILL");
}
const report = { bytes, recoveryNs: await recovery(), digestNs: await digest(), writeNs: plainWrite() };
console.log(JSON.stringify(report));
