import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { dashboardExpressions, namesIn } from "../../test/support/dashboard.ts";
import { type Metric, METRICS } from "./metrics.ts";

const TEXT = readFileSync(new URL("../../docker/grafana-dashboard.json", import.meta.url), "utf8");
const ALL = Object.entries<Metric>(METRICS);
const SERIES = new Map(
  ALL.flatMap(([name, metric]) =>
    (metric.kind === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]).map(
      (series) => [series, name] as const,
    ),
  ),
);

test("the dashboard shows every metric of the host, and no other", () => {
  const shown = dashboardExpressions(TEXT).flatMap(namesIn);
  for (const name of shown) expect([...SERIES.keys()]).toContain(name);
  expect(new Set(shown.map((name) => SERIES.get(name)))).toEqual(new Set(Object.keys(METRICS)));
});

test("the dashboard groups by labels that its metrics have, and selects values that these may have", () => {
  for (const expression of dashboardExpressions(TEXT)) {
    const [name = ""] = namesIn(expression);
    const labels = (METRICS as Record<string, Metric>)[SERIES.get(name)!]!.labels ?? {};
    const by = /\bby \(([^)]*)\)/.exec(expression)?.[1]?.split(", ") ?? [];
    for (const label of by) expect([...Object.keys(labels), "le"], expression).toContain(label);
    for (const [, label, value] of expression.matchAll(/(\w+)="([^"]*)"/g)) expect(labels[label!]).toContain(value);
  }
});
