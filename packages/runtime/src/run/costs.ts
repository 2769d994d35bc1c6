// What the policy reckons with on this machine, for a program that is about to start.
import { costsFor, type Settings, settingVariables } from "@zio/interpose";
import type { EnvironmentBytes } from "./environment-bytes.js";

/** Sets ZIO_COSTS where it is for us to do. */
export function tellCosts(environment: EnvironmentBytes): void {
  const policy = environment.text("ZIO_POLICY") as Settings["policy"];
  const costs = costsFor({ policy }, { ZIO_COSTS: environment.text("ZIO_COSTS") });
  for (const [name, text] of Object.entries(settingVariables({ costs }))) environment.set(name, text);
}
