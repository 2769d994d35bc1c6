import { defineConfig } from "tsup";
import { packageOptions } from "../../tsup.base.js";

export default defineConfig([
  packageOptions(["src/index.ts"]),
  packageOptions(["src/fuzz.ts"], { format: ["esm"], dts: false }),
]);
