import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { openDoor } from "../mcp-conformance/behind-door.ts";
import { type Check, runSuite } from "../mcp-conformance/run-suite.ts";
import { serveTasksFixture } from "../mcp-conformance/tasks-fixture.ts";
import { PARENT_SERVERS } from "../support/parent-servers.ts";
import { startHostRig } from "../support/rig.ts";

/** Checks that may fail, and then have to, by revision and reason. */
const BASELINE = JSON.parse(
  readFileSync(new URL("../mcp-conformance/baseline.json", import.meta.url), "utf8"),
) as Record<string, Record<string, string[]>>;

/** Those of the tasks extension but status-notifications, which the suite itself skips. */
const TASKS = [
  "lifecycle",
  "capability-negotiation",
  "wire-fields",
  "request-state-removal",
  "mrtr-input",
  "request-headers",
  "dispatch-and-envelope",
  "required-task-error",
  "mrtr-composition",
];

test.each(["2025-11-25", "2026-07-28"])(
  "the server does what revision %s of the protocol requires, but for what it does not offer",
  async (revision) => {
    await using rig = await startHostRig();
    await using server = await PARENT_SERVERS.http(rig);
    await using door = await openDoor(server);
    const checks = await runSuite(door.url, ["--requirements", revision]);
    expect(passed(checks)).toBeGreaterThan(20);
    expect(failed(checks)).toEqual([...new Set(Object.values(BASELINE[revision]!).flat())].sort());
  },
);

test("our layer of tasks does what the tasks extension requires", async () => {
  await using fixture = await serveTasksFixture();
  for (const scenario of TASKS) {
    const checks = await runSuite(fixture.url, ["--scenario", `tasks-${scenario}`]);
    expect(passed(checks), scenario).toBeGreaterThan(0);
    expect(failed(checks)).toEqual([]);
  }
});

function passed(checks: readonly Check[]): number {
  return checks.filter(({ status }) => status === "SUCCESS").length;
}

/** Names of the checks that failed, each once. */
function failed(checks: readonly Check[]): string[] {
  return [...new Set(checks.filter(({ status }) => status === "FAILURE").map(({ name }) => name))].sort();
}
