// A socket server as people write them: collects chunks, joins them, slices the header off, and forwards both.
// Prints `port N` when it listens and one line of JSON about itself when its client has gone. Knows nothing of zIO.
import { createServer } from "node:net";

const headerBytes = 64;
const option = (name) => Number(process.argv[process.argv.indexOf(name) + 1]);
const length = option("--message");
const warmup = option("--warmup");

function usage() {
  const used = process.resourceUsage();
  return {
    userNs: used.userCPUTime * 1000,
    systemNs: used.systemCPUTime * 1000,
    wallNs: Math.round(performance.now() * 1e6),
    minorFaults: used.minorPageFault,
    majorFaults: used.majorPageFault,
    voluntarySwitches: used.voluntaryContextSwitches,
    involuntarySwitches: used.involuntaryContextSwitches,
  };
}

const listener = createServer({ noDelay: true }, (connection) => {
  let chunks = [];
  let got = 0;
  let messages = 0;
  let began = usage();
  connection.on("data", (chunk) => {
    chunks.push(chunk);
    got += chunk.length;
    while (got >= length) {
      const joined = Buffer.concat(chunks);
      connection.write(joined.subarray(0, headerBytes));
      connection.write(Buffer.from(joined.subarray(headerBytes, length)));
      chunks = got > length ? [joined.subarray(length)] : [];
      got -= length;
      messages += 1;
      if (messages === warmup) began = usage();
    }
  });
  connection.on("error", () => {});
  connection.on("close", () => {
    const ended = usage();
    const spent = Object.fromEntries(Object.entries(ended).map(([name, value]) => [name, value - began[name]]));
    const accounted = messages - warmup;
    const cpuNs = spent.userNs + spent.systemNs;
    const report = { version: 1, messages: accounted, warmupMessages: warmup, bytes: accounted * length };
    console.log(JSON.stringify({ ...report, ...spent, cpuNs, truncatedMessages: 0 }));
    listener.close();
  });
});
listener.listen(0, "127.0.0.1", () => console.log(`port ${listener.address().port}`));
