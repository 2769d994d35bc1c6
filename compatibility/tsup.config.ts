import { defineConfig } from "tsup";
import { packageOptions } from "../tsup.base.js";

export default defineConfig(packageOptions(["src/main.ts"], { format: ["esm"], dts: false }));
