// The programs of the `grpc` workload. They are compiled on this machine, against Debian's gRPC, and kept in the user's
// cache under a hash of their sources.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { BenchError } from "./bench-error.js";
import { requireProgram, serverScript } from "./programs.js";

const sources = ["echo.proto", "echo.cpp", "free_copies.c"] as const;

export interface GrpcPrograms {
  /** Server and client. */
  echo: string;
  /** A preload library under which large copies do not happen. */
  freeCopies: string;
}

function compile(directory: string, command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { cwd: directory, encoding: "utf8" });
  if (status === 0) return;
  const said = error?.message ?? stderr.trim().split("\n")[0];
  if (/grpcpp\/grpcpp\.h|-lgrpc/.test(stderr ?? ""))
    throw new BenchError("missing-program", "gRPC is not installed: apt-get install libgrpc++-dev");
  throw new BenchError("program-failed", `${command} failed: ${said}`);
}

/** Compiles them unless that was done before; half a minute. */
export function grpcPrograms(): GrpcPrograms {
  const hash = createHash("sha256");
  for (const name of sources) hash.update(readFileSync(serverScript(`grpc/${name}`)));
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "zio-bench");
  const directory = join(cache, `grpc-${hash.digest("hex").slice(0, 16)}`);
  const programs = { echo: join(directory, "echo"), freeCopies: join(directory, "free_copies.so") };
  if (existsSync(directory)) return programs;
  const protoc = requireProgram("protoc", "protobuf-compiler");
  const plugin = requireProgram("grpc_cpp_plugin", "protobuf-compiler-grpc");
  const [cc, cxx] = [requireProgram("gcc", "gcc"), requireProgram("g++", "g++")];
  const scratch = `${directory}.${process.pid}`;
  mkdirSync(scratch, { recursive: true });
  try {
    for (const name of sources) copyFileSync(serverScript(`grpc/${name}`), join(scratch, name));
    const generator = `--plugin=protoc-gen-grpc=${plugin}`;
    compile(scratch, protoc, ["-I.", "--cpp_out=.", "--grpc_out=.", generator, "echo.proto"]);
    // The generated code uses what gRPC itself is linked with.
    const libraries = ["-Wl,--copy-dt-needed-entries", "-lgrpc++", "-lgrpc", "-lgpr", "-lprotobuf", "-pthread"];
    const units = ["echo.cpp", "echo.pb.cc", "echo.grpc.pb.cc"];
    compile(scratch, cxx, ["-std=c++17", "-O2", "-I.", "-o", "echo", ...units, ...libraries]);
    compile(scratch, cc, ["-O2", "-fno-builtin", "-shared", "-fPIC", "-o", "free_copies.so", "free_copies.c", "-ldl"]);
    renameSync(scratch, directory);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return programs;
}
