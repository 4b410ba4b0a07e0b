import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Metric, METRICS } from "./metrics.ts";

const README = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const ALL = Object.entries<Metric>(METRICS);

test("the README's table has each metric as it is declared", () => {
  const lines = README.slice(README.indexOf("| metric ")).split("\n\n")[0]!.split("\n").slice(2);
  const rows = lines.map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  expect(rows).toEqual(
    ALL.map(([name, { kind, labels = {}, help }]) => [
      `\`${name}\``,
      kind,
      Object.keys(labels)
        .map((label) => `\`${label}\``)
        .join(", "),
      help,
    ]),
  );
});

test("names end in what they count, in Prometheus's units", () => {
  const unitOf = { s: "_seconds", By: "_bytes" };
  for (const [name, { kind, unit }] of ALL) {
    const total = kind === "counter" ? "_total" : "";
    expect(name).toMatch(new RegExp(`^claudecluster_[a-z_]+${unit === undefined ? "" : unitOf[unit]}${total}$`));
  }
});
