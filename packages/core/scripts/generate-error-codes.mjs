// Writes src/error-codes.ts from the X-macro list of include/zio/error.h. `--check` writes nothing and fails when the
// file is out of date.
import { readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const header = new URL("../include/zio/error.h", import.meta.url);
const generatedFile = new URL("../src/error-codes.ts", import.meta.url);

/** The text of src/error-codes.ts. */
function errorCodesSource() {
  const entries = [...readFileSync(header, "utf8").matchAll(/^ {2}X\((E[A-Z0-9]+), *"([^"]+)"\)/gm)];
  const rows = entries.map(([, code, message]) => {
    const errno = constants.errno[code];
    if (errno === undefined) throw new Error(`${code} of error.h is no errno of this system`);
    return `  ${code}: { errno: ${errno}, message: ${JSON.stringify(message)} },\n`;
  });
  return `// Generated from include/zio/error.h by scripts/generate-error-codes.mjs: do not edit.

/** The errors that the data plane tells apart: the kernel's errno values, and what they mean here. */
export const dataPlaneErrors = {
${rows.join("")}} as const;

/** The name of one of them. */
export type DataPlaneErrorCode = keyof typeof dataPlaneErrors;
`;
}

if (!process.argv.includes("--check")) writeFileSync(generatedFile, errorCodesSource());
else if (readFileSync(generatedFile, "utf8") !== errorCodesSource()) {
  console.error(`${fileURLToPath(generatedFile)} is out of date: run node scripts/generate-error-codes.mjs`);
  process.exitCode = 1;
}
