import { type Cost, calibrate, configVariable, costsPath, defaultCosts, keepCosts, keptCosts } from "@zio/interpose";
import { Command } from "commander";
import { answer, say } from "../messages.js";
import { renderTable } from "../text-table.js";

/** `zio calibrate`: what `learn` reckons with on this machine. */
export function calibrateCommand(): Command {
  return new Command("calibrate")
    .description("measure what zIO's steps cost on this machine, and keep it for `zio run`")
    .option("--show", "only show what is kept")
    .option("--json", "print the costs as JSON")
    .action(({ show, json }: { show?: boolean; json?: boolean }) => {
      const path = costsPath();
      const kept = keptCosts(path);
      if (show && !kept) say(`nothing is kept in ${path} for this machine; these are the defaults`);
      const costs = show ? (kept ?? defaultCosts) : calibrate();
      if (!show) keepCosts(costs, path);
      if (json) {
        answer(JSON.stringify({ version: 1, path, costs, defaults: defaultCosts }, null, 2));
        return;
      }
      const rows = (configVariable("ZIO_COSTS").values ?? []).map(({ word, number, meaning }) => [
        word,
        meaning,
        String(costs[word as Cost]),
        String(number),
      ]);
      answer(renderTable(["cost", "of", "ns", "default"], rows, 2));
      if (!show) say(`kept in ${path}`);
    });
}
