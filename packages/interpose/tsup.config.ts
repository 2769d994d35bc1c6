import { defineConfig } from "tsup";
import { packageOptions } from "../../tsup.base.js";

export default defineConfig([
  packageOptions(["src/index.ts"]),
  // Pools are used where their package is installed.
  packageOptions(["src/fuzz.ts"], { format: ["esm"], dts: false, external: ["@zio/nvm"] }),
]);
