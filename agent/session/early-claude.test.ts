import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RepositorySpecSchema, Session_State as State } from "../../proto/index.ts";
import { type AgentRig, attach, type Connection, startRig } from "../../test/agent/agent-rig.ts";
import { CLAIMABLE_VERSIONS } from "../claude/spare.ts";

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

/** An agent whose Claude says that it is of this version, and behaves like this. It notes its process id in its home at each start. */
async function start({ version = CLAIMABLE_VERSIONS[0]!, behavior = "plain", timeouts = {} }): Promise<Connection> {
  const claudeCommand = join(directory, "claude");
  const lines = [
    "#!/bin/sh",
    `[ "$1" != --version ] || exec echo ${version}`,
    'echo $$ >> "$HOME/starts"',
    `exec ${process.execPath} ${FAKE_CLAUDE} ${behavior} "$@"`,
  ];
  await writeFile(claudeCommand, `${lines.join("\n")}\n`, { mode: 0o755 });
  rig = await startRig({ config: { claudeCommand }, timeouts });
  return rig.connect();
}

const starts = async (): Promise<number[]> =>
  (await readFile(join(rig!.config.home, "starts"), "utf8")).trim().split("\n").map(Number);
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
