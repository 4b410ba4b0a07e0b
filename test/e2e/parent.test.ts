import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { expect, test, vi } from "vitest";
import { CLAUDE } from "../model/claude-cli.ts";
import { git } from "../model/small-repository.ts";
import { CLAUDECLUSTER } from "../support/mcp-client.ts";
import { type Rig, startRig } from "../support/rig.ts";
import { DATA } from "../../host/mcp/tool-result.ts";

interface Listed {
  sessions: { session_id: string; state: string; create_time: string; change_count?: number }[];
}

interface Parent extends AsyncDisposable {
  child: ChildProcessByStdio<Writable, Readable, Readable>;
}

/** Starts a real Claude Code with our server in its .mcp.json. */
async function startParent(
  rig: Rig,
  args: readonly string[],
  server = { command: process.execPath, args: [CLAUDECLUSTER, "mcp"] },
): Promise<Parent> {
  const home = await mkdtemp(join(tmpdir(), "claudecluster-parent-"));
  const project = join(home, "project");
  await git(home, "init", "-q", project);
  const claudecluster = { type: "stdio", ...server, env: rig.mcp.place.env };
  await writeFile(join(project, ".mcp.json"), JSON.stringify({ mcpServers: { claudecluster } }));
  const child = spawn(
    CLAUDE,
    ["-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "bypassPermissions", ...args],
    {
      cwd: project,
      env: {
        PATH: process.env["PATH"],
        HOME: home,
        IS_SANDBOX: "1",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        ANTHROPIC_BASE_URL: rig.model.url,
        ANTHROPIC_API_KEY: rig.key,
      },
      stdio: ["pipe", "pipe", "pipe"],
    },
  );
  child.stdout.pause();
  const closed = once(child, "close");
  return {
    child,
    async [Symbol.asyncDispose]() {
      child.stdout.resume();
      child.kill();
      await closed;
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Runs `prompt` in a real Claude Code with our server in its .mcp.json, and returns what it printed. */
async function runParent(
  rig: Rig,
  prompt: string,
  server?: { command: string; args: string[] },
): Promise<Record<string, unknown>[]> {
  await using parent = await startParent(rig, [prompt], server);
  parent.child.stdin.end();
  const [out, err] = await Promise.all([text(parent.child.stdout), text(parent.child.stderr)]);
  const messages = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(
    messages.find(({ type }) => type === "result"),
    err,
  ).toMatchObject({ is_error: false });
  return messages;
}

function answer(messages: readonly Record<string, unknown>[]): string {
  return String(messages.find(({ type }) => type === "result")?.["result"]);
}

test("a real Claude Code with our server in its .mcp.json has a second one change a repository", async () => {
  await using rig = await startRig();
  const call = { task: "[scenario: multi-file-change] Improve the greeter.", repository: rig.repository };
  const messages = await runParent(rig, `[scenario: spawn-child ${JSON.stringify(call)}]`);
  expect(messages.find(({ subtype }) => subtype === "init")).toMatchObject({
    // Pending where this machine is busy: the call below waits for it.
    mcp_servers: [{ name: "claudecluster", status: expect.stringMatching(/^(connected|pending)$/) }],
  });
  // The scripted parent reports the tool's result: the child's session, its changes, its patch.
  expect(answer(messages)).toMatch(/ses_[0-9A-Z]{26}/);
  expect(answer(messages)).toContain("src/greet.js");
  // As the model reads it: lines, and not a line of JSON with the patch escaped.
  expect(answer(messages)).toContain("\n```diff\ndiff --git");
});

test("a real Claude Code has the tools at once that are needed in a hurry, and reads a long patch page by page, whole", async () => {
  await using rig = await startRig();
  const command = 'for i in $(seq 3000); do echo "$i 漢字漢字漢字漢字"; done > big.txt';
  const task = `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command } }])}]`;
  const read = { name: "read_changes", input: { session_id: "{{session}}", path: "big.txt" } };
  const calls = [
    { name: "spawn_claude_container", input: { task, repository: "none" } },
    ...[1, 2, 3].map((page) => ({ ...read, input: { ...read.input, page } })),
  ].map(({ name, input }) => ({ name: `mcp__claudecluster__${name}`, input }));
  await runParent(rig, `[scenario: call-tools ${JSON.stringify(calls)}]`);
  const offered = rig.model.requests.map(({ body }) =>
    ((body as { tools?: { name: string }[] } | undefined)?.tools ?? []).flatMap(({ name }) =>
      name.startsWith("mcp__claudecluster__") ? [name.slice("mcp__claudecluster__".length)] : [],
    ),
  );
  // What was searched for is there as well from then on: at once, where the server had to be waited for.
  const first = offered.find((names) => names.length > 0) ?? [];
  expect(first.filter((name) => name !== "read_changes").sort()).toEqual([
    "answer_question",
    "decide_permission",
    "get_session",
    "send_message",
    "spawn_claude_container",
    "stop_session",
    "wait_session",
  ]);
  // What the model has been given, at last.
  const heard = JSON.stringify(rig.model.requests.at(-1)?.body);
  for (const number of [1, 1000, 2000, 3000]) expect(heard).toContain(`\\n+${number} 漢字漢字漢字漢字\\n`);
  expect(heard.match(/\+\d+ 漢字漢字漢字漢字/g)).toHaveLength(3000);
  expect(heard).not.toMatch(/persisted-output|exceeds maximum|truncated\]/);
});

test("a real Claude Code reaches a server that is slow to start at once: it has asked twice by then", async () => {
  await using rig = await startRig();
  const starts = join(rig.mcp.stateDirectory, "starts");
  // Claude Code falls back to the older protocol after some 2.6 s, and starts a server that has ended again.
  const args = ["-c", 'echo >> "$0"; sleep 4; exec "$@"', starts, process.execPath, CLAUDECLUSTER, "mcp"];
  const list = [{ name: "mcp__claudecluster__list_sessions", input: {} }];
  const messages = await runParent(rig, `[scenario: call-tools ${JSON.stringify(list)}]`, { command: "sh", args });
  expect(answer(messages)).toContain("There are no such sessions.");
  expect(await readFile(starts, "utf8")).toBe("\n");
});

test("an interrupt in a real Claude Code ends the session of its call, and what it had changed is kept", async () => {
  await using rig = await startRig();
  const call = { task: "[scenario: long-run seconds=60 steps=20] Write.", repository: rig.repository };
  await using parent = await startParent(rig, ["--input-format", "stream-json"]);
  const say = (message: object) => parent.child.stdin.write(`${JSON.stringify(message)}\n`);
  const content = `[scenario: spawn-child ${JSON.stringify(call)}]`;
  say({ type: "user", message: { role: "user", content } });
  const watched = async () => {
    const listed = await rig.mcp.client.callTool({ name: "list_sessions", arguments: {} });
    return (listed._meta?.[DATA] as Listed).sessions[0];
  };
  const changed = async () => expect((await watched())?.change_count).toBeGreaterThan(0);
  await vi.waitFor(changed, { timeout: 60_000, interval: 200 });
  say({ type: "control_request", request_id: "1", request: { subtype: "interrupt" } });
  const ended = async () => expect((await watched())?.state).toBe("canceled");
  await vi.waitFor(ended, { timeout: 30_000, interval: 200 });
  expect((await watched())?.change_count).toBeGreaterThan(0);
});
