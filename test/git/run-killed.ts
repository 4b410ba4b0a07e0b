import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type { GivenToProcess } from "./apply-process.ts";
import type { UserArea } from "./user-area.ts";

const PROGRAM = fileURLToPath(new URL("apply-process.ts", import.meta.url));
const FLAGS = ["--experimental-transform-types", "--disable-warning=ExperimentalWarning"];

/**
 * Applies a session's changes, or takes them back, in a process of its own, and has it killed at the n-th call of a function
 * of the file system, or of "any" that changes something or starts a git. With a count of 0 it lives. Returns how many calls
 * there were then.
 */
export function runKilled(
  area: UserArea,
  session: ReturnType<UserArea["changes"]>,
  { action = "apply", call, count }: { action?: GivenToProcess["action"]; call: string; count: number },
): number {
  const file = join(area.top, "given.json");
  const { directory, undoDirectory } = area;
  const given: GivenToProcess = {
    action,
    directory,
    undoDirectory,
    session: { ...session, patch: session.patch.toString("base64") },
  };
  writeFileSync(file, JSON.stringify(given));
  const { signal, status, stdout } = spawnSync(process.execPath, [...FLAGS, PROGRAM, file, call, String(count)], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TMPDIR: area.top },
    encoding: "utf8",
  });
  if (count === 0) expect(status).toBe(0);
  else expect(signal).toBe("SIGKILL");
  return Number(stdout);
}
