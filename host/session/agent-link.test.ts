import { createServer } from "node:http2";
import { type Duplex, duplexPair } from "node:stream";
import { buffer } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { expect, test, vi } from "vitest";
import { ENDED_SESSION } from "../../test/support/ended-session.ts";
import {
  AgentService,
  type AppError,
  SessionEventSchema,
  type SessionSpec,
  SessionSpecSchema,
} from "../../proto/index.ts";
import type { Container } from "../runtime/runtime.ts";
import { NEW } from "../../test/support/stored-sessions.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { AgentLink } from "./agent-link.ts";
import { SessionLog } from "./session-log.ts";
import { TIMEOUTS } from "./timeouts.ts";

test("an agent that is dialled and never answers is said to be unreachable, with what to do about it", async () => {
  using store = SqliteStore.open(":memory:");
  store.createSession("ses_1", NEW);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  using _clock = { [Symbol.dispose]: () => vi.useRealTimers() };
  const container = containerOf(async () => {
    await vi.advanceTimersByTimeAsync(TIMEOUTS.firstContactMs + 1);
    const [ours, theirs] = duplexPair();
    theirs.destroy();
    return ours;
  });
  const agent = linkTo(container, store);
  await expect(agent.run(AbortSignal.timeout(20_000))).rejects.toMatchObject({
    reason: "AGENT_UNREACHABLE",
    kind: "UNAVAILABLE",
    message: expect.stringContaining("c0ffee") as string,
    help: expect.stringContaining("claudecluster image") as string,
    cause: { reason: "CONNECTION_LOST" },
  });
});

test("time in which the host itself did not run is not an agent's silence", async () => {
  using store = SqliteStore.open(":memory:");
  store.createSession("ses_1", NEW);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  using _clock = { [Symbol.dispose]: () => vi.useRealTimers() };
  const enough = new AbortController();
  let dialCount = 0;
  const container = containerOf(() => {
    // After a machine's sleep the clock has jumped, and the timer that was set before it is late.
    vi.setSystemTime(Date.now() + 100 * TIMEOUTS.firstContactMs);
    vi.advanceTimersToNextTimer();
    if (++dialCount === 3) enough.abort(new Error("dialled three times"));
    const [ours, theirs] = duplexPair();
    theirs.destroy();
    return Promise.resolve(ours);
  });
  const agent = linkTo(container, store);
  await expect(agent.run(enough.signal)).rejects.toThrow("dialled three times");
});

/** An agent from before there was a listener for git, and tunnels that can be carried on, or a later one; its session is over. */
function olderAgent(knows: { usesGitListener?: boolean; usesSnapshot?: boolean } = {}): Container {
  const server = createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(AgentService, {
          ...ENDED_SESSION,
          getAgentInfo: () => ({ capabilities: ["setup"] }),
          startSession: () => knows,
          async *readChanges() {
            yield await Promise.resolve({ data: Buffer.from("the patch") });
          },
        }),
    }),
  );
  return containerOf(() => {
    const [ours, theirs] = duplexPair();
    theirs.on("error", () => {});
    theirs.once("end", () => theirs.destroy());
    server.emit("connection", theirs);
    return Promise.resolve(ours);
  });
}

test.each([
  ["an older agent's session that was begun by an older host goes on", true],
  ["an older agent is given no new session with a repository", false],
])("%s", async (_name, resumed) => {
  using store = SqliteStore.open(":memory:");
  store.createSession("ses_1", NEW);
  const log = new SessionLog(store, "ses_1");
  const agent = linkTo(olderAgent(), store, { gitPrefixes: ["https://git.test/"], resumed });
  if (resumed)
    log.appendFromAgent([create(SessionEventSchema, { sequence: 1, event: { case: "claudeReady", value: {} } })]);
  const running = agent.run(AbortSignal.timeout(20_000));
  if (!resumed) return await expect(running).rejects.toMatchObject({ reason: "AGENT_OUTDATED" });
  const { patch, result } = await running;
  expect((await buffer(patch.read())).toString()).toBe("the patch");
  expect(result.outcome.case).toBe("success");
});

test.each([
  ["setup", { setup: { command: "true" } }, "success"],
  ["check", { check: { command: "true" } }, "AGENT_OUTDATED"],
  ["after", { afterSessionId: "ses_0" }, "AGENT_OUTDATED"],
  ["no command", { check: { command: "" } }, "success"],
])("an agent that does not know a part of the spec is not given it: %s", async (_name, spec, expected) => {
  using store = SqliteStore.open(":memory:");
  store.createSession("ses_1", NEW);
  const agent = linkTo(olderAgent(), store, { spec: create(SessionSpecSchema, { task: "x", ...spec }) });
  const ended = agent.run(AbortSignal.timeout(20_000)).then(
    ({ result }) => result.outcome.case,
    (error: unknown) => (error as AppError).reason,
  );
  expect(await ended).toBe(expected);
});

test.each([
  [
    "an agent that knows nothing of snapshots is given no session with one",
    { usesGitListener: true, usesSnapshot: false },
  ],
  ["an agent that takes snapshots is given one", { usesGitListener: true, usesSnapshot: true }],
])("%s", async (_name, knows) => {
  using store = SqliteStore.open(":memory:");
  store.createSession("ses_1", NEW);
  const repository = { snapshot: { untrackedCommitId: "ab".repeat(20) } };
  const spec = create(SessionSpecSchema, { task: "x", repository });
  const running = linkTo(olderAgent(knows), store, { spec }).run(AbortSignal.timeout(20_000));
  if (!knows.usesSnapshot) return await expect(running).rejects.toMatchObject({ reason: "AGENT_OUTDATED" });
  expect((await running).result.outcome.case).toBe("success");
});

/** The host's end of the stored session, in a container. */
function linkTo(
  container: Container,
  store: SqliteStore,
  options: { gitPrefixes?: string[]; resumed?: boolean; spec?: SessionSpec } = {},
): AgentLink {
  return new AgentLink({
    container,
    spec: create(SessionSpecSchema, { task: "x" }),
    log: new SessionLog(store, "ses_1"),
    left: store.left,
    broker: { accept: () => {} },
    gitPrefixes: [],
    ...options,
  });
}

function containerOf(dial: () => Promise<Duplex>): Container {
  return {
    ref: { version: 1, runtime: "test", id: "c0ffee" },
    exited: new Promise(() => {}),
    dial,
    [Symbol.asyncDispose]: async () => {},
  };
}
