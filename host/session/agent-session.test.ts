import { duplexPair } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { expect, test, vi } from "vitest";
import { SessionSpecSchema } from "../../proto/index.ts";
import type { Container } from "../runtime/runtime.ts";
import { NEW } from "../store/fixtures.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { AgentSession } from "./agent-session.ts";
import { SessionLog } from "./session-log.ts";
import { TIMEOUTS } from "./timeouts.ts";

test("an agent that is dialled and never answers is said to be unreachable, with what to do about it", async () => {
  using store = new SqliteStore(":memory:");
  store.createSession("ses_1", NEW);
  vi.useFakeTimers({ toFake: ["Date"] });
  using _clock = { [Symbol.dispose]: () => vi.useRealTimers() };
  const container: Container = {
    ref: {
      version: 1,
      runtime: "test",
      id: "c0ffee",
      sessionId: "ses_1",
      sessionUid: 1,
      createTimeMs: 0,
      running: true,
    },
    exited: new Promise(() => {}),
    dial: async () => {
      vi.setSystemTime(Date.now() + TIMEOUTS.firstContactMs + 1);
      const [ours, theirs] = duplexPair();
      theirs.destroy();
      return ours;
    },
    stop: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  const agent = new AgentSession({
    container,
    spec: create(SessionSpecSchema, { task: "x" }),
    log: new SessionLog(store, "ses_1"),
    broker: { accept: () => {} },
    gitPrefixes: [],
  });
  await expect(agent.run(AbortSignal.timeout(20_000))).rejects.toMatchObject({
    reason: "AGENT_UNREACHABLE",
    kind: "UNAVAILABLE",
    message: expect.stringContaining("c0ffee") as string,
    help: expect.stringContaining("claudecluster image") as string,
    cause: { reason: "CONNECTION_LOST" },
  });
});
