import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SMALL_REPOSITORY } from "../model/small-repository.ts";
import { type ScriptedModel, startScriptedModel } from "../model/scripted-model.ts";
import { applyPatch } from "../support/apply-patch.ts";
import { docker } from "../support/docker.ts";
import { type GitServer, startGitServer } from "../support/git-server.ts";

const execFileAsync = promisify(execFile);
const EXAMPLE = fileURLToPath(new URL("../../agent/examples/python/", import.meta.url));
const KEY = "sk-ant-test-of-the-example";

let directory: string;
let model: ScriptedModel;
let git: GitServer;
let repository: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "claudecluster-example-"));
  model = await startScriptedModel({ key: KEY });
  git = await startGitServer();
  repository = await git.addRepository("greeter", SMALL_REPOSITORY);
  await execFileAsync(join(EXAMPLE, "generate.sh"), [join(directory, "generated")]);
});
afterAll(async () => {
  await model[Symbol.asyncDispose]();
  await git[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

interface Example {
  readonly process: ChildProcess;
  /** What it has printed. */
  readonly lines: string[];
  /** Resolves with the first line that matches. */
  line(pattern: RegExp): Promise<string>;
  /** Resolves with the exit code. */
  readonly exited: Promise<number | null>;
}

function runExample(...args: string[]): Example {
  const env = {
    PATH: process.env["PATH"],
    HOME: process.env["HOME"],
    PYTHONPATH: join(directory, "generated"),
    PYTHONDONTWRITEBYTECODE: "1",
    PYTHONUNBUFFERED: "1",
    ANTHROPIC_API_KEY: KEY,
    ANTHROPIC_BASE_URL: model.url,
    ...(process.env["DOCKER_HOST"] !== undefined && { DOCKER_HOST: process.env["DOCKER_HOST"] }),
  };
  const words = [join(EXAMPLE, "run_session.py"), "--repository", repository, ...args];
  const child = spawn("/usr/bin/python3", words, { cwd: directory, env, stdio: ["ignore", "pipe", "inherit"] });
  const lines: string[] = [];
  const printed = createInterface({ input: child.stdout });
  printed.on("line", (line) => lines.push(line));
  return {
    process: child,
    lines,
    exited: once(child, "close").then(([code]) => code as number | null),
    async line(pattern) {
      for (;;) {
        const found = lines.find((line) => pattern.test(line));
        if (found !== undefined) return found;
        await once(printed, "line");
      }
    },
  };
}

const sessionOf = (line: string) => /session (ses_\w+)/.exec(line)![1]!;
const containersNamed = (sessionId: string) => docker("ps", "--all", "--quiet", "--filter", `name=agent-${sessionId}`);

test("runs a session with a follow-up over a connection that breaks, leaves the patch, and removes the container", async () => {
  const task = ["--task", "[scenario: long-run seconds=6 steps=6]"];
  const followUp = ["--follow-up", "[scenario: multi-file-change] And now the greeter."];
  const example = runExample(...task, ...followUp, "--patch", "changes.patch");
  const sessionId = sessionOf(await example.line(/session ses_/));
  await example.line(/tool_use_finished/);
  await cutBridges(example.process.pid!);
  expect(await example.exited, example.lines.join("\n")).toBe(0);

  expect(example.lines.some((line) => line.startsWith("connection lost"))).toBe(true);
  const numbered = example.lines.flatMap((line) => /^ +(\d+) (\w+)/.exec(line)?.slice(1, 3) ?? []);
  const sequences = numbered.filter((_, index) => index % 2 === 0).map(Number);
  expect(sequences).toEqual(sequences.map((_, index) => index + 1));
  const kinds = numbered.filter((_, index) => index % 2 === 1);
  expect(kinds.filter((kind) => kind === "turn_started")).toHaveLength(2);
  expect(kinds).toContain("file_patched");
  expect(kinds.at(-1)).toBe("session_finished");
  expect(example.lines.at(-2)).toContain("STATE_SUCCEEDED");

  const files = await applyPatch(git.directoryOf("greeter"), await readFile(join(directory, "changes.patch")));
  expect(files["src/languages.js"]).toContain("Bonjour");
  expect(Object.keys(files)).not.toContain("src/legacy.js");
  expect(files["progress/step-002.md"]).toContain("# step 2 of 6");
  expect(example.lines.join("\n")).not.toContain(KEY);
  expect(await containersNamed(sessionId)).toBe("");
});

test("removes the container when it is told to end in the middle of it", async () => {
  const example = runExample("--task", "[scenario: hang]");
  const sessionId = sessionOf(await example.line(/session ses_/));
  await example.line(/STATE_RUNNING/);
  expect(await containersNamed(sessionId)).not.toBe("");
  example.process.kill("SIGTERM");
  expect(await example.exited).toBe(130);
  expect(await containersNamed(sessionId)).toBe("");
});

/** Kills what carries the connections to the container. */
async function cutBridges(pid: number): Promise<void> {
  const { stdout } = await execFileAsync("ps", ["--ppid", String(pid), "-o", "pid=,args="]);
  const bridges = stdout.split("\n").filter((line) => line.includes("dial-stdio"));
  expect(bridges.length).toBeGreaterThan(0);
  for (const line of bridges) process.kill(Number.parseInt(line, 10), "SIGKILL");
}
