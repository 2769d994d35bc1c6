import { Command } from "commander";
import type { Check } from "../doctor/check.js";
import { type Diagnosis, doctor } from "../doctor/doctor.js";
import { exitStatus } from "../exit-status.js";
import { answer, hasColour, paint, type Style } from "../messages.js";

const styles: Record<Check["state"], Style> = { ok: "green", limited: "yellow", missing: "red", unknown: "dim" };

function renderDiagnosis({ checks, works }: Diagnosis, colour: boolean): string {
  const stateWidth = Math.max(...Object.keys(styles).map((state) => state.length));
  const titleWidth = Math.max(...checks.map(({ title }) => title.length));
  const lines = checks.map(({ state, title, reason, fix }) => {
    const line = `${paint(colour, styles[state], state.padEnd(stateWidth))}  ${title.padEnd(titleWidth)}  ${reason}`;
    return fix ? `${line}; to change it: ${fix}` : line;
  });
  const verdict = works ? "zIO can work here." : "zIO cannot work here: programs run unchanged.";
  return [...lines, "", paint(colour, "bold", verdict)].join("\n");
}

/** `zio doctor`: status 0 where zIO can work, 1 where it cannot. */
export function doctorCommand(): Command {
  return new Command("doctor")
    .description("say what zIO can use here, what it lacks and how to get that")
    .argument("[command]", "a program to examine as well")
    .option("--json", "print the diagnosis as JSON")
    .action((command: string | undefined, { json }: { json?: boolean }) => {
      const diagnosis = doctor(command);
      answer(json ? JSON.stringify(diagnosis, null, 2) : renderDiagnosis(diagnosis, hasColour(1)));
      process.exitCode = diagnosis.works ? 0 : exitStatus.failure;
    });
}
