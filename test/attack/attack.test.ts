import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { beforeAll, expect, test } from "vitest";
import { docker } from "../support/docker.ts";
import { startHostRig } from "../support/rig.ts";
import { startSealedSession } from "../support/sealed-session.ts";
import type { Findings } from "./probes/probe.ts";

const IMAGE = process.env["CLAUDECLUSTER_IMAGE"] ?? "claudecluster/agent:latest";
/** What works in a sealed container as well, and only informs. */
const INFORMATIONAL = ["see the agent"];

let script: string;
beforeAll(async () => {
  const entry = fileURLToPath(new URL("./probes/main.ts", import.meta.url));
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    platform: "node",
    format: "esm",
    write: false,
  });
  script = outputFiles[0]!.text;
});

/** Runs the probes in a container as a user, with an environment. The secret is in no argument in one piece. */
async function attack(
  container: string,
  { user, environment, secret }: { user: string; environment: Record<string, string>; secret: string },
): Promise<Findings> {
  const halves = JSON.stringify([secret.slice(0, 10), secret.slice(10)]);
  const settings = Object.entries(environment).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
  const program = ["node", "--input-type=module", "-", halves];
  const args = ["exec", "--interactive", "--user", user, "--workdir", "/tmp", ...settings, container, ...program];
  const child = spawn("docker", args);
  child.stdin.end(script);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  expect(stdout, stderr).toMatch(/^\{/);
  return JSON.parse(stdout) as Findings;
}

test("nothing that somebody tries in a sealed container works", async () => {
  await using rig = await startHostRig();
  const { id, container, user, environment } = await startSealedSession(rig, {
    task: "[scenario: long-run seconds=120 steps=60]",
    until: "toolUseFinished",
  });
  expect(environment).toMatchObject({ ANTHROPIC_API_KEY: "placeholder", HTTPS_PROXY: expect.any(String) });
  const { open, blocked } = await attack(container, { user, environment, secret: rig.key });
  expect(open.filter((name) => !INFORMATIONAL.includes(name))).toEqual([]);
  expect(blocked.length).toBeGreaterThan(130);
  // The agent has outlived it all, and the session goes on.
  await rig.sessions.stop(id, { reason: "The attack is over." });
  for await (const { event } of rig.sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(60_000) })) {
    if (event.case === "sessionFinished") break;
  }
  expect((await rig.sessions.get(id)).result?.outcome.case).toBe("cancellation");
});

test("the same succeeds many times where a container is not sealed", async () => {
  const secret = `sk-ant-test-${randomBytes(24).toString("hex")}`;
  const program = ["-e", "setInterval(() => {}, 1000)"];
  const variables = ["--env", `ANTHROPIC_API_KEY=${secret}`];
  const user = ["--user", "20999:20999"];
  const args = ["run", "--detach", "--rm", "--network", "bridge", ...user, ...variables, "--entrypoint", "node", IMAGE];
  const container = await docker(...args, ...program);
  try {
    const { open } = await attack(container, { user: "20999", environment: {}, secret });
    expect(open.length, open.join(", ")).toBeGreaterThan(25);
    expect(open).toEqual(
      expect.arrayContaining([
        "find the key in an environment",
        "read the agent's memory",
        "signal the agent",
        "have an interface",
        "call ptrace",
        "start six hundred processes",
        "fill the disk",
      ]),
    );
  } finally {
    await docker("rm", "--force", container);
  }
});
