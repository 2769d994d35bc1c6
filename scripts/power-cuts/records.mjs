// The workload on the library itself: records.c.
import { Acknowledged, compile } from "./acknowledged.mjs";

export class Records extends Acknowledged {
  name = "records";

  constructor() {
    super(12); // as in records.c
  }

  programs(directory) {
    return { "opt/records": compile("records", directory) };
  }
}
