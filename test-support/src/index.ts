export { type CompileOptions, compileC, type Sanitizer } from "./compile.js";
export { type FakeNode, type FakePlatform, fakeNode } from "./fake-platform.js";
export { type RunOptions, type RunResult, runProgram } from "./run-program.js";
