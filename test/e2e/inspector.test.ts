import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { SessionSummary } from "../../host/present/session-summary.ts";
import { DATA } from "../../host/mcp/tool-result.ts";
import { Session_State } from "../../proto/index.ts";
import { git } from "../model/small-repository.ts";
import { INSPECTOR } from "../setup/inspector.mjs";
import { CLAUDECLUSTER } from "../support/mcp-client.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

// The MCP Inspector is another client than Claude Code and the SDK's own: a process for each call, over stdio.

type Era = "legacy" | "modern";
const ERAS: readonly Era[] = ["legacy", "modern"];

let rig: HostRig;
let project: string;
/** Tools that were called, by era. */
const called: Record<Era, Set<string>> = { legacy: new Set(), modern: new Set() };
beforeAll(async () => {
  rig = await startHostRig();
  project = join(rig.place.root, "project");
  await mkdir(project);
  await git(project, "clone", "-q", rig.git.directoryOf("greeter"), ".");
});
afterAll(() => rig[Symbol.asyncDispose]());

/** What the Inspector exits with where a tool answers with an error. */
const TOOL_ERROR = 5;

/** Runs the Inspector on our server, and returns what it printed. */
async function inspect(era: Era, ...args: string[]): Promise<{ stdout: string; stderr: string; code: number }> {
  // It hands on no variables by itself.
  const variables = Object.entries(rig.place.env).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
  const server = ["--cli", process.execPath, CLAUDECLUSTER, "mcp"];
  const command = [INSPECTOR, ...server, ...args, ...variables, "--protocol-era", era, "--format", "json"];
  return new Promise((resolve) => {
    const options = { cwd: project, env: { ...rig.place.env, HOME: rig.place.root } };
    execFile(process.execPath, command, options, (error, stdout, stderr) =>
      resolve({ stdout, stderr, code: Number(error?.code ?? 0) }),
    );
  });
}

interface Result {
  content: { text?: string }[];
  _meta: { [DATA]: SessionSummary & Record<string, unknown> };
}

/** Calls a tool. It must not answer with an error, unless that is expected. */
async function call(era: Era, name: string, args: object, { expected = 0 } = {}) {
  called[era].add(name);
  const json = ["--method", "tools/call", "--tool-name", name, "--tool-args-json", JSON.stringify(args)];
  const { stdout, stderr, code } = await inspect(era, ...json);
  expect(code, `${name}: ${stdout}${stderr}`).toBe(expected);
  const { result } = JSON.parse(stdout) as { result: Result };
  return { text: result.content.map(({ text = "" }) => text).join("\n"), data: result._meta[DATA] };
}

const listTools = async (era: Era) => {
  const { stdout, stderr, code } = await inspect(era, "--method", "tools/list", "--strict");
  const { result } = JSON.parse(stdout) as { result: { tools: { name: string }[] } };
  return { names: result.tools.map(({ name }) => name), warnings: stderr, code };
};

test.each(ERAS)("finds nothing that a client might not take in the tools' schemas (%s)", async (era) => {
  expect(await listTools(era)).toMatchObject({ code: 0, warnings: "" });
});

test("has a session worked, in either era, and takes its changes", async () => {
  const ids: string[] = [];
  for (const era of ERAS) {
    const spawned = await call(era, "spawn_claude_container", { task: "[scenario: small-edit]" });
    expect(spawned.data.state).toBe("succeeded");
    const session = { session_id: spawned.data.session_id };
    ids.push(session.session_id);
    expect((await call(era, "list_sessions", {})).text).toContain(session.session_id);
    for (const look of ["get_session", "wait_session"])
      expect((await call(era, look, session)).data).toMatchObject({ ...session, state: "succeeded" });
    const { text } = await call(era, "read_changes", session);
    expect(text).toMatch(/^Session ses_\w+ has changed 1 file/);
    expect((await call(era, "apply_changes", session)).data).toMatchObject({ applied: "branch" });
    await call(era, "undo_changes", session);
    expect(await git(project, "branch", "--list", "claude/*")).toBe("");
  }
  for (const era of ERAS) {
    const { data } = await call(era, "compare_sessions", { session_ids: ids });
    expect(data["overlaps"]).toHaveLength(1);
  }
});

test("steers a session, in either era: decision, message, answer, interruption, end", async () => {
  const task = `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command: "touch made.txt" } }])}]`;
  for (const era of ERAS) {
    // With messages to come it is idle after a turn.
    const settings = { permission_mode: "default", idle_timeout_seconds: 600, wait: false };
    const { session_id: id } = (await call(era, "spawn_claude_container", { task, ...settings })).data;
    const session = { session_id: id };
    const pending = async () => {
      const { data } = await call(era, "wait_session", session);
      return { ...session, request_id: data.waiting_for![0]!.request_id };
    };
    await call(era, "decide_permission", { ...(await pending()), allow: true });
    await call(era, "wait_session", session);
    await call(era, "send_message", { ...session, message: "[scenario: ask-question]", wait: false });
    await call(era, "answer_question", { ...(await pending()), answers: [["Bonjour"]] });
    expect((await call(era, "wait_session", session)).text).toContain("Bonjour");
    await call(era, "send_message", { ...session, message: "[scenario: slow-stream]", wait: false });
    await vi.waitFor(async () => expect((await rig.sessions.get(id)).state).toBe(Session_State.RUNNING), 20_000);
    await call(era, "interrupt_session", session);
    await call(era, "wait_session", session);
    // What was canceled is an error's answer, with what it changed.
    const { data } = await call(era, "stop_session", session, { expected: TOOL_ERROR });
    expect(data).toMatchObject({ state: "canceled", changes: [{ path: "made.txt" }] });
  }
});

test.each(ERAS)("has called every tool (%s)", async (era) => {
  expect([...called[era]].sort()).toEqual((await listTools(era)).names.sort());
});

test.each(ERAS)("reads resources and prompts (%s)", async (era) => {
  const { stdout } = await inspect(era, "--method", "resources/list");
  const { result } = JSON.parse(stdout) as { result: { resources: { uri: string }[] } };
  for (const kind of [/\/ses_\w+$/, /\/patch$/, /\/answer$/, /\/transcript\/1$/]) {
    const { uri } = result.resources.find((each) => kind.test(each.uri))!;
    const { code, stderr } = await inspect(era, "--method", "resources/read", "--uri", uri);
    expect(code, stderr).toBe(0);
  }
  expect((await inspect(era, "--method", "resources/templates/list")).stdout).toContain("{session_id}");
  const prompt = await inspect(era, "--method", "prompts/get", "--prompt-name", "fan-out");
  expect(JSON.parse(prompt.stdout)).toMatchObject({ result: { messages: [{ role: "user" }] } });
});
