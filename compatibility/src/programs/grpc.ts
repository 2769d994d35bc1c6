import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { Checks } from "../http.js";
import type { Context, Program } from "../program.js";

async function build(context: Context): Promise<string> {
  for (const name of ["echo.proto", "echo.cpp"])
    copyFileSync(context.material(`grpc/${name}`), join(context.directory, name));
  const where = { cwd: context.directory, plain: true, timeoutMs: 400_000 };
  const generator = "--plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin";
  await context.succeed("protoc", ["-I.", "--cpp_out=.", "--grpc_out=.", generator, "echo.proto"], where);
  const sources = ["echo.cpp", "echo.pb.cc", "echo.grpc.pb.cc"];
  // The generated code uses what gRPC itself is linked with.
  const libraries = ["-Wl,--copy-dt-needed-entries", "-lgrpc++", "-lgrpc", "-lgpr", "-lprotobuf", "-pthread"];
  await context.succeed("g++", ["-std=c++17", "-O1", "-I.", "-o", "echo", ...sources, ...libraries], where);
  return join(context.directory, "echo");
}

export const grpc: Program = {
  name: "grpc",
  title: "gRPC, C++",
  what: "an echo of messages of 1 KiB to 4 MiB, single calls and streams of two threads, every byte compared; both ends",
  debianPackages: ["libgrpc++-dev", "protobuf-compiler", "protobuf-compiler-grpc", "g++"],

  async run(context) {
    const echo = await build(context);
    const checks = new Checks(context.log);
    const port = String(await context.freePort());
    const server = context.start(echo, ["server", port]);
    await context.untilListening(Number(port));
    for (const [bytes, calls] of [
      [1024, 200],
      [65_536, 100],
      [262_144, 200],
      [1_048_576, 30],
      [4_194_304, 10],
    ] as const) {
      const { status, stdout, stderr } = await context.run(echo, ["client", port, String(bytes), String(calls)]);
      checks.same[`messages of ${bytes}`] = `${status} ${stdout}${stderr}`;
      await checks.check(`messages of ${bytes} come back`, async () => (status === 0 ? "" : stderr.slice(-400)));
    }
    const end = await server.stop();
    checks.same.end = `${end.status} ${end.signal} ${end.stderr}`;
    return checks.outcome;
  },
};
