import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { stat, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { processesOf } from "../../agent/process/kill-all.ts";
import { EXIT_CODES } from "../../agent/exit-codes.ts";
import { Session_State as State } from "../../proto/index.ts";
import { type ScriptedModel, startScriptedModel } from "../model/scripted-model.ts";
import { type AgentPlace, attach, type Connection, connectOver, makePlace, serveModel } from "./agent-rig.ts";

const MAIN = fileURLToPath(new URL("../../agent/main.ts", import.meta.url));

let bundles: AgentPlace;
let bundle: string;
let place: AgentPlace;
let model: ScriptedModel;
const agents: ChildProcess[] = [];

beforeAll(async () => {
  bundles = await makePlace();
  bundle = join(bundles.root, "agent.mjs");
  const banner = { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" };
  await build({
    entryPoints: [MAIN],
    bundle: true,
    platform: "node",
    target: "node22",
    format: "esm",
    banner,
    outfile: bundle,
  });
});

beforeEach(async () => {
  place = await makePlace();
  model = await startScriptedModel();
});

afterEach(async () => {
  for (const agent of agents.splice(0)) {
    if (agent.exitCode !== null || agent.signalCode !== null) continue;
    agent.kill("SIGKILL");
    await once(agent, "exit");
  }
  await model[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

afterAll(() => bundles[Symbol.asyncDispose]());

interface Running {
  readonly agent: ChildProcess;
  readonly stderr: () => string;
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
}

function run(variables: Record<string, string> = {}): Running {
  const env = { PATH: process.env["PATH"] ?? "", ...place.variables, ...variables };
  const agent = spawn(process.execPath, [bundle], { env, stdio: ["ignore", "ignore", "pipe"] });
  agents.push(agent);
  let stderr = "";
  agent.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const exited = once(agent, "close").then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
  }));
  return { agent, exited, stderr: () => stderr };
}

async function dial(running: Running): Promise<Connection> {
  await expect.poll(running.stderr, { timeout: 20_000 }).toContain('"listening"');
  return connectOver(connect(place.socketPath));
}

test("starts a Claude before anybody has reached it, where it is told to", async () => {
  const decisionTimeout = "0s";
  const running = run({ CLAUDECLUSTER_PREPARE: JSON.stringify({ spec: { decisionTimeout } }) });
  using connection = await dial(running);
  await expect(connection.client.prepareSession({ spec: {} })).rejects.toThrow("has a prepared Claude already");
  await using _model = serveModel(connection, model.url);
  const spec = { task: "[scenario: small-edit]", decisionTimeout: { seconds: 0n } };
  await connection.client.startSession({ sessionId: "ses_1", spec });
  await using owner = attach(connection);
  expect(await owner.event("workspaceReady")).toMatchObject({ claudePrepared: true });
  expect(await owner.event("sessionFinished")).toMatchObject({ state: State.SUCCEEDED });
});

test("runs a session as a program of its own, and ends it well when it is told to end", async () => {
  const running = run();
  using connection = await dial(running);
  await using _serving = serveModel(connection, model.url);
  await connection.client.startSession({
    sessionId: "ses_1",
    spec: { task: "[scenario: long-run seconds=60 steps=60]" },
  });
  await using owner = attach(connection);
  await owner.event("filePatched");
  running.agent.kill("SIGTERM");
  await owner.done;
  expect(owner.events.at(-1)?.event).toMatchObject({
    case: "sessionFinished",
    value: { state: State.CANCELED, result: { processExit: { canceled: true } } },
  });
  const { event } = owner.events.at(-1)!;
  expect(event.case === "sessionFinished" && event.value.result!.changeCount).toBeGreaterThan(0);
  expect(await running.exited).toEqual({ code: EXIT_CODES.closed, signal: null });
  if (place.sessionIdentity !== undefined) expect(processesOf(place.sessionIdentity.uid)).toEqual([]);
});

test("keeps its socket to itself and tells nothing secret to its log", async () => {
  const tokenFile = join(place.root, "token");
  await writeFile(tokenFile, "correct-horse-battery-staple");
  const running = run({
    CLAUDECLUSTER_LISTEN: "127.0.0.1:0",
    CLAUDECLUSTER_TOKEN_FILE: tokenFile,
    CLAUDECLUSTER_LOG_LEVEL: "trace",
  });
  using connection = await dial(running);
  expect((await stat(place.socketPath)).mode & 0o077).toBe(0);
  await using _serving = serveModel(connection, model.url);
  const environment = { PASSPHRASE: "a-value-of-the-environment" };
  await connection.client.startSession({
    sessionId: "ses_1",
    spec: { task: "[scenario: small-edit] the-words-of-the-task", environment },
  });
  await using owner = attach(connection);
  await owner.done;
  running.agent.kill("SIGTERM");
  await running.exited;
  for (const secret of ["correct-horse", "a-value-of", "the-words-of"]) expect(running.stderr()).not.toContain(secret);
  expect(running.stderr()).toContain("session finished");
  for (const line of running.stderr().trim().split("\n")) expect(() => JSON.parse(line) as unknown).not.toThrow();
});

test("ends by itself when no host is there, and takes Claude along", async () => {
  const running = run({ CLAUDECLUSTER_HOST_ABSENCE_TIMEOUT_SECONDS: "3" });
  {
    using connection = await dial(running);
    await using _serving = serveModel(connection, model.url);
    await using owner = attach(connection);
    await owner.done.catch(() => {});
    await connection.client.startSession({
      sessionId: "ses_1",
      spec: { task: "[scenario: long-run seconds=60 steps=60]" },
    });
    await using second = attach(connection);
    await second.event("turnStarted");
  }
  expect(await running.exited).toEqual({ code: EXIT_CODES.hostAbsent, signal: null });
  if (place.sessionIdentity !== undefined) expect(processesOf(place.sessionIdentity.uid)).toEqual([]);
});

test("says in one line what is wrong with its settings", async () => {
  const running = run({ CLAUDECLUSTER_MODEL_PORT: "many" });
  expect(await running.exited).toEqual({ code: EXIT_CODES.configurationInvalid, signal: null });
  expect(running.stderr()).toBe('CLAUDECLUSTER_MODEL_PORT is "many"; it must be a whole number from 0 to 65535.\n');
});

test("says where it cannot listen", async () => {
  const running = run({ CLAUDECLUSTER_SOCKET: join(place.root, "nonesuch/agent.sock") });
  expect(await running.exited).toEqual({ code: EXIT_CODES.listenFailed, signal: null });
  expect(running.stderr()).toContain("LISTEN_FAILED");
});

test("starts again where one was killed", async () => {
  const killed = run();
  (await dial(killed))[Symbol.dispose]();
  killed.agent.kill("SIGKILL");
  await killed.exited;
  const running = run();
  using connection = await dial(running);
  expect((await connection.client.getAgentInfo({})).claudeVersion).toMatch(/^\d+\.\d+\.\d+/);
});
