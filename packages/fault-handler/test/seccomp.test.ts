import { expect, test } from "vitest";
import { allowedSeccompFilters, capabilities, seccompFilters } from "../src/index.js";

test.each([
  ["Name:\tnode\nSeccomp:\t0\nSeccomp_filters:\t0\n", 0],
  ["Name:\tnode\nSeccomp:\t2\nSeccomp_filters:\t3\nSpeculation_Store_Bypass:\tvulnerable\n", 3],
  ["Name:\tnode\nSeccomp:\t2\nSpeculation_Store_Bypass:\tvulnerable\n", undefined],
  ["Name:\tSeccomp:\t2\nUmask:\t0022\n", 0],
])("%j tells of %s filters", (status, filters) => {
  expect(seccompFilters(status)).toBe(filters);
});

test("filters are allowed where zIO can work under them", () => {
  const filters = seccompFilters();
  expect(allowedSeccompFilters()).toBe(filters && capabilities().available ? filters : undefined);
});
