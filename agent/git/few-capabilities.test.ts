import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { beforeAll, expect, test } from "vitest";
import { run } from "../process/run.ts";
import { requireRoot, WorkArea } from "../../test/git/work-area.ts";

beforeAll(requireRoot);

test("needs no more than the three capabilities that the agent has", async () => {
  await using area = new WorkArea();
  area.source("repo", (directory, git) => {
    writeFileSync(join(directory, "a"), "a\n");
    git("add", "-A");
    git("commit", "-qm", "x");
  });
  // As the container has them: the work tree is made below a directory of the session's.
  const top = join(area.directory, "container");
  mkdirSync(top);
  for (const [name, uid, mode] of [
    ["workspace", 25007, 0o755],
    ["base", 26007, 0o755],
    ["scan", 25007, 0o700],
  ] as const) {
    mkdirSync(join(top, name));
    chmodSync(join(top, name), mode);
    chownSync(join(top, name), uid, uid);
  }
  const outfile = join(area.directory, "agent.mjs");
  await build({
    entryPoints: [join(import.meta.dirname, "../../test/git/few-capabilities.ts")],
    bundle: true,
    platform: "node",
    format: "esm",
    outfile,
    logLevel: "warning",
  });
  const few = "-all,+setuid,+setgid,+kill";
  const { uri } = await area.spec("repo");
  const args = [
    "--bounding-set",
    few,
    "--inh-caps",
    few,
    "--no-new-privs",
    "--clear-groups",
    process.execPath,
    outfile,
    uri,
    top,
  ];
  const result = await run("setpriv", args, {
    env: { PATH: process.env["PATH"] ?? "" },
    signal: AbortSignal.timeout(30_000),
  });
  expect(result.stderr).toBe("");
  expect(JSON.parse(result.stdout.toString())).toEqual({
    changes: ["closed/x", "private"],
    patch: true,
    agentCouldRead: false,
    killed: true,
  });
});
