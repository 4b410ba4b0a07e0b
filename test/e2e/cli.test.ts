import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CLAUDECLUSTER } from "../support/mcp-client.ts";
import { type Rig, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

async function cli(args: string[], options: { env?: Record<string, string>; node?: string } = {}) {
  const child = spawn(options.node ?? process.execPath, [CLAUDECLUSTER, ...args], {
    env: {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      CLAUDECLUSTER_STATE_DIR: rig.mcp.stateDirectory,
      ANTHROPIC_BASE_URL: rig.model.url,
      ANTHROPIC_API_KEY: rig.key,
      ...options.env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exit = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
  return { code, stdout, stderr };
}

test("run prints patch and answer on stdout, progress on stderr, and exits 0", async () => {
  const { code, stdout, stderr } = await cli(["run", "[scenario: multi-file-change]", "--repository", rig.repository]);
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^diff --git /m);
  expect(stdout).toMatch(/^succeeded: \d+ files changed/m);
  expect(stderr).toContain("Claude is working");
});

test("run --json prints one JSON document, and a failed session exits 1", async () => {
  const { code, stdout } = await cli(["run", "[scenario: crash]", "-r", rig.repository, "--json"]);
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ state: "failed", failure: { reason: "CLAUDE_EXITED" } });
});

test.each([
  [["run", " "], {}, 2, "TASK_EMPTY"],
  [["run", "x", "--memory", "much"], {}, 2, "MEMORY_INVALID"],
  [["run", "x", "--cpus", "many"], {}, 2, "cpus"],
  [["run", "x", "--env", "novalue"], {}, 2, "ENVIRONMENT_INVALID"],
  [["run", "x", "--no-such-option"], {}, 2, "--no-such-option"],
  [["fly"], {}, 2, "fly"],
  [["run", "x"], { ANTHROPIC_API_KEY: "" }, 3, "NO_CREDENTIAL"],
  [["run", "x"], { ANTHROPIC_BASE_URL: "nonsense" }, 2, "ENDPOINT_INVALID"],
  [["dial", "ses_NOSUCH"], {}, 4, "SESSION_NOT_RUNNING"],
  [["dial", "ses_NOSUCH"], { DOCKER_HOST: "unix:///nowhere.sock" }, 3, "RUNTIME_UNAVAILABLE"],
  [["mcp", "--http", "127.0.0.1:0"], {}, 2, "TOKEN_FILE_MISSING"],
  [["mcp", "--http", "127.0.0.1:0", "--token-file", "/nowhere"], {}, 3, "TOKEN_FILE_UNREADABLE"],
])("%j exits with the documented code and says why", async (args, env, code, reason) => {
  const result = await cli(args, { env });
  expect(result.code, result.stderr).toBe(code);
  expect(result.stderr).toContain(reason);
  expect(result.stdout).toBe("");
});

test("doctor finds everything in order, and says what to do about what is not", async () => {
  const good = await cli(["doctor"]);
  expect(good.code, good.stdout).toBe(0);
  expect(good.stdout).toMatch(/image .* with Claude Code \d+\.\d+\.\d+/);
  const bad = await cli(["doctor", "--json"], { env: { ANTHROPIC_API_KEY: "", DOCKER_HOST: "unix:///nowhere.sock" } });
  expect(bad.code).toBe(3);
  const problems = (JSON.parse(bad.stdout) as { subject: string; ok: boolean; help?: string }[]).filter(
    ({ ok }) => !ok,
  );
  expect(problems.map(({ subject }) => subject)).toEqual(["engine", "credential"]);
  expect(problems.every(({ help }) => (help ?? "") !== "")).toBe(true);
  expect(good.stdout + bad.stdout).not.toContain(rig.key);
});

test("version prints the package's version", async () => {
  const { version } = (await import("../../package.json", { with: { type: "json" } })).default;
  expect((await cli(["version"])).stdout).toBe(`${version}\n`);
});
