// `npm run compatibility`: other people's programs plain and under zIO, compared; writes docs/compatibility.{json,md}.
// `node scripts/compatibility.mjs --help` for the options.
import { setUpOrExit } from "./setup.mjs";

await setUpOrExit();
const { main } = await import("../compatibility/dist/main.js");
process.exitCode = await main(process.argv.slice(2));
// What a program left open must not keep the command.
process.exit();
