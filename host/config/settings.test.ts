import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Setting, SETTINGS, VARIABLES } from "./settings.ts";
import { describeUnknownVariables } from "./unknown-variables.ts";

const README = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/** A default as the README's table shows it. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return value.map(shown).join(", ") || "none";
  if (typeof value === "string") return value === "" ? "none" : `\`${value}\``;
  if (typeof value !== "number" || value % MIB !== 0) return String(value);
  return value % GIB === 0 ? `${value / GIB} GiB` : `${value / MIB} MiB`;
}

const row = (key: string, { variables = [], description, default: standard, otherwise }: Omit<Setting, "schema">) => [
  key === "" ? "" : `\`${key}\``,
  variables.map((name) => `\`${name}\``).join(", "),
  description,
  standard === undefined ? otherwise : shown(standard),
];

test("the README's table has each setting as it is declared, with its default", () => {
  const lines = README.slice(README.indexOf("| entry ")).split("\n\n")[0]!.split("\n").slice(2);
  const rows = lines.map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  expect(rows).toEqual([
    ...Object.entries<Setting>(SETTINGS).map(([key, setting]) => row(key, setting)),
    ...Object.entries(VARIABLES).map(([variable, said]) => row("", { ...said, variables: [variable] })),
  ]);
});

test("the README's config.json holds every entry, each as it may be", () => {
  const [, example] = /```json\n(\{\n {2}"credential"[^]*?)```/.exec(README)!;
  const entries = Object.entries(JSON.parse(example!) as object);
  expect(entries.map(([key]) => key).sort()).toEqual(Object.keys(SETTINGS).sort());
  for (const [key, value] of entries) SETTINGS[key as keyof typeof SETTINGS].schema.parse(value);
});

test.each([
  ["CLAUDECLUSTER_EGRES", "Did you mean CLAUDECLUSTER_EGRESS?"],
  ["CLAUDECLUSTER_SESSION_BUDGET", "Did you mean CLAUDECLUSTER_SESSION_BUDGET_USD?"],
  ["CLAUDECLUSTER_IDLE_TIMEOUT_SECONDS", "Did you mean CLAUDECLUSTER_IDLE_TIMEOUT?"],
  ["CLAUDECLUSTER_STATE_DIRECTORY", "Did you mean CLAUDECLUSTER_STATE_DIR?"],
  ["CLAUDECLUSTER_ZZZ", "host/README.md lists them."],
])("%s is told to be no setting, with the nearest one", (name, hint) => {
  expect(describeUnknownVariables({ [name]: "a-secret" })).toEqual([`There is no setting ${name}. ${hint}`]);
});

test("nothing is said of a variable that somebody reads, or that is not ours", () => {
  const pages = ["../README.md", "../../README.md", "../../docker-compose.prototype.yml", "../bin/claudecluster.mjs"];
  const names = pages.flatMap((page) =>
    readFileSync(new URL(page, import.meta.url), "utf8").match(/CLAUDECLUSTER_[A-Z_]*[A-Z]/g)!,
  );
  const env = Object.fromEntries(
    [...names, "CLAUDECLUSTER", "PATH", "CLAUDE_CLUSTER_EGRESS"].map((name) => [name, "x"]),
  );
  expect(describeUnknownVariables(env)).toEqual([]);
});
