import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RepositorySpecSchema, Session_State as State } from "../../proto/index.ts";
import { type AgentRig, attach, type Connection, startRig } from "../../test/agent/agent-rig.ts";
import { CLAIMABLE_VERSIONS } from "../claude/spare.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import type { Timeouts } from "../timeouts.ts";

const FAKE_CLAUDE = fileURLToPath(new URL("../../test/support/fake-claude.mjs", import.meta.url));

let directory: string;
let rig: AgentRig | undefined;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "early-"));
  await chmod(directory, 0o755);
});
afterEach(async () => {
  await rig?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

interface StartOptions {
  version?: string;
  behavior?: string;
  timeouts?: Partial<Timeouts>;
  absenceMs?: number;
}

/** An agent whose Claude says that it is of this version, and behaves like this. It notes its process id in its home at each start. */
async function start({
  version = CLAIMABLE_VERSIONS[0]!,
  behavior = "plain",
  timeouts = {},
  absenceMs = 60_000,
}: StartOptions = {}): Promise<Connection> {
  const claudeCommand = join(directory, "claude");
  const lines = [
    "#!/bin/sh",
    `[ "$1" != --version ] || exec echo ${version}`,
    'echo $$ >> "$HOME/starts"',
    `exec ${process.execPath} ${FAKE_CLAUDE} ${behavior} "$@"`,
  ];
  await writeFile(claudeCommand, `${lines.join("\n")}\n`, { mode: 0o755 });
  rig = await startRig({ config: { claudeCommand, hostAbsenceTimeoutMs: absenceMs }, timeouts });
  return rig.connect();
}

const starts = async (): Promise<number[]> =>
  (await readFile(join(rig!.config.home, "starts"), "utf8").catch(() => "")).split("\n").filter(Boolean).map(Number);
const wasEarly = () => rig!.logged.some(({ msg }) => msg === "Claude had been started before its files were there");

const runs = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** What the fake is told to say: where it is, and who. */
const environment = JSON.stringify([["environment"]]);

/** The session's answer, which is what its Claude has found out about itself. */
async function answer(client: Connection["client"]): Promise<{ pid: number; cwd: string }> {
  await using owner = attach({ client } as Connection);
  await owner.done;
  const { session } = await client.getSession({});
  expect(session?.state).toBe(State.SUCCEEDED);
  return JSON.parse(session!.result!.finalText) as { pid: number; cwd: string };
}

test.each([
  { title: "waits is the one that works, in the work tree", behavior: "plain", count: 1 },
  { title: "refuses the place is ended, and another one is started there", behavior: "unclaimable", count: 2 },
  { title: "dies when it is told the place is followed by another one", behavior: "mortal", count: 2 },
  { title: "does not hear the place is ended in time, and another one is started", behavior: "deaf", count: 2 },
  { title: "is of another version is only started once the files are there", version: "9.9.9", count: 1 },
])("a Claude that $title", async ({ count, ...options }) => {
  const { client } = await start({ ...options, timeouts: { claudeClaimMs: 300 } });
  await client.startSession({ sessionId: "ses_1", spec: { task: environment } });
  const { pid, cwd } = await answer(client);
  expect(cwd).toBe(rig!.config.paths.workTree);
  expect(wasEarly()).toBe(options.behavior === "plain");
  const pids = await starts();
  expect(pids).toHaveLength(count);
  expect(pids.at(-1)).toBe(pid);
  expect(pids.filter(runs)).toEqual([]);
});

test("a session that is stopped while its repository is fetched leaves no Claude behind", async () => {
  const { client } = await start({ behavior: "plain" });
  // Nobody takes the agent's connections.
  const repository = create(RepositorySpecSchema, { uri: "http://git.invalid/owner/name" });
  await client.startSession({ sessionId: "ses_1", spec: { task: "[]", repository } });
  await using owner = attach({ client } as Connection);
  await vi.waitFor(async () => expect(await starts()).toHaveLength(1), { timeout: 20_000, interval: 20 });
  owner.send({ case: "stop", value: { reason: "enough" } });
  await owner.done;
  expect((await client.getSession({})).session?.state).toBe(State.CANCELED);
  expect((await starts()).filter(runs)).toEqual([]);
  expect(owner.events.some(({ event }) => event.case === "turnStarted")).toBe(false);
});

const spec = { task: environment };
const reasonOf = async (call: Promise<unknown>): Promise<string> => {
  const error: unknown = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  return ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason ?? String(error);
};

test("a prepared Claude is the one that works, and there is no other one", async () => {
  const { client } = await start();
  await client.prepareSession({ spec: { permissionMode: "default" } });
  expect(await reasonOf(client.prepareSession({ spec }))).toBe("SESSION_PREPARED");
  const [prepared] = await starts();
  await client.startSession({ sessionId: "ses_1", spec: { ...spec, permissionMode: "acceptEdits", model: "opus" } });
  expect(await answer(client)).toMatchObject({ pid: prepared, cwd: rig!.config.paths.workTree });
  expect(await starts()).toEqual([prepared]);
  expect(await reasonOf(client.prepareSession({ spec }))).toBe("SESSION_EXISTS");
});

test("a session that comes while its Claude is being prepared takes that one", async () => {
  const { client } = await start({ behavior: "slow" });
  const preparing = client.prepareSession({ spec });
  await vi.waitFor(async () => expect(await starts()).toHaveLength(1), { timeout: 20_000, interval: 20 });
  await client.startSession({ sessionId: "ses_1", spec });
  const { pid } = await answer(client);
  await preparing;
  expect(await starts()).toEqual([pid]);
});

test("preparing ends when a session comes that it is not for", async () => {
  const { client } = await start({ behavior: "slow" });
  const preparing = reasonOf(client.prepareSession({ spec: { environment: { OTHER: "1" } } }));
  await vi.waitFor(async () => expect(await starts()).toHaveLength(1), { timeout: 20_000, interval: 20 });
  await client.startSession({ sessionId: "ses_1", spec });
  expect(await preparing).toBe("SESSION_EXISTS");
  const { pid } = await answer(client);
  const [prepared, ...others] = await starts();
  expect(others).toEqual([pid]);
  expect(runs(prepared!)).toBe(false);
});

test.each(["SIGKILL", "SIGSTOP"] as const)(
  "a prepared Claude that got %s is replaced, in bounded time",
  async (signal) => {
    const { client } = await start({ timeouts: { claudeClaimMs: 300 } });
    await client.prepareSession({ spec });
    const [prepared] = await starts();
    process.kill(prepared!, signal);
    await client.startSession({ sessionId: "ses_1", spec });
    const { pid } = await answer(client);
    expect(await starts()).toEqual([prepared, pid]);
    expect(runs(prepared!)).toBe(false);
  },
);

test("what cannot be prepared leaves nothing behind, and the session starts as ever", async () => {
  const { client } = await start();
  const setup = { command: "true" };
  const previousSessionId = "ses_0";
  for (const other of [{ setup }, { loadProjectSettings: true }, { previousSessionId }])
    expect(await reasonOf(client.prepareSession({ spec: { ...spec, ...other } }))).toBe("CLAUDE_NOT_PREPARABLE");
  expect(await reasonOf(client.prepareSession({}))).toBe("SPEC_MISSING");
  expect(await reasonOf(client.prepareSession({ spec: { environment: { HOME: "/" } } }))).toBe("ENVIRONMENT_RESERVED");
  expect(await starts()).toEqual([]);
  await client.startSession({ sessionId: "ses_1", spec });
  const { pid } = await answer(client);
  expect(await starts()).toEqual([pid]);
});

test.each([
  { title: "is of a version that cannot wait", version: "9.9.9", reason: "CLAUDE_NOT_PREPARABLE", count: 0 },
  { title: "dies at its start", behavior: "dies", reason: "CLAUDE_NOT_STARTED", count: 1 },
])("preparing a Claude that $title fails, and may be tried again", async ({ reason, count, ...options }) => {
  const { client } = await start(options);
  for (const tries of [1, 2]) {
    expect(await reasonOf(client.prepareSession({ spec }))).toBe(reason);
    expect(await starts()).toHaveLength(tries * count);
  }
  expect((await starts()).filter(runs)).toEqual([]);
});

test("a caller that does not want the Claude any more that it has prepared leaves none behind", async () => {
  const { client } = await start({ behavior: "silent" });
  const canceling = new AbortController();
  const preparing = client.prepareSession({ spec }, { signal: canceling.signal });
  await vi.waitFor(async () => expect(await starts()).toHaveLength(1), { timeout: 20_000, interval: 20 });
  canceling.abort();
  await expect(preparing).rejects.toThrow();
  const [pid] = await starts();
  await vi.waitFor(() => expect(runs(pid!)).toBe(false), { timeout: 20_000, interval: 20 });
});

test("a prepared Claude does not keep an agent that nobody wants, and ends with it", async () => {
  const { client } = await start({ absenceMs: 1_000 });
  await client.prepareSession({ spec });
  expect((await rig!.agent.exited).exitCode).toBe(EXIT_CODES.hostAbsent);
  expect((await starts()).filter(runs)).toEqual([]);
});
