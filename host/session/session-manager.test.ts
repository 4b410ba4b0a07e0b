import { create } from "@bufbuild/protobuf";
import { expect, test, vi } from "vitest";
import { managerOptions, startContainers } from "../../test/support/manager-options.ts";
import { AppError, ContainerSpecSchema, MeteredUsageSchema, SessionSpecSchema } from "../../proto/index.ts";
import { sessionEntry } from "../present/session-entry.ts";
import { FakeMachine } from "../runtime/fake/fake-machine.ts";
import { FakeRuntime, HEALTHY } from "../runtime/fake/fake-runtime.ts";
import type { RuntimeHealth } from "../runtime/runtime.ts";
import { finished, NEW, said } from "../../test/support/stored-sessions.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { SessionManager } from "./session-manager.ts";
import { watchUpdates } from "./watch-updates.ts";

const NO_ENGINE: RuntimeHealth = { healthy: false, reason: "RUNTIME_UNAVAILABLE", message: "No engine.", help: "" };

/** A manager, by default on an engine that is not there: its sessions end at once. */
function start(health: RuntimeHealth = NO_ENGINE) {
  const stack = new AsyncDisposableStack();
  const store = stack.use(SqliteStore.open(":memory:"));
  const machine = new FakeMachine({
    createAgent: () => {
      throw new Error("no container is created here");
    },
  });
  const runtime = stack.use(new FakeRuntime({ machine }));
  runtime.health = health;
  const containers = stack.use(startContainers(runtime, store, {}));
  const sessions = stack.use(SessionManager.open({ containers, store, ...managerOptions() }));
  return { store, runtime, sessions, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test("creates one session for a request id, however many ask at once", async () => {
  await using host = start();
  const spec = create(SessionSpecSchema, { task: "x" });
  const request = { spec, container: create(ContainerSpecSchema), requestId: "r1" };
  const created = await Promise.all(Array.from({ length: 3 }, () => host.sessions.create(request)));
  expect(new Set(created.map(({ id }) => id)).size).toBe(1);
  expect((await host.sessions.list({})).sessions).toHaveLength(1);
});

test("lists sessions of the same millisecond newest first", async () => {
  await using host = start();
  vi.useFakeTimers({ toFake: ["Date"] });
  using _clock = { [Symbol.dispose]: () => vi.useRealTimers() };
  const ids: string[] = [];
  for (let index = 0; index < 8; index++) {
    const spec = create(SessionSpecSchema, { task: "x" });
    ids.push((await host.sessions.create({ spec, container: create(ContainerSpecSchema) })).id);
  }
  expect((await host.sessions.list({})).sessions.map(({ id }) => id)).toEqual(ids.toReversed());
});

test("tells a late reader that the session was removed meanwhile", async () => {
  await using host = start();
  host.store.createSession("ses_1", NEW);
  host.store.append("ses_1", [...Array.from({ length: 1000 }, () => said("x")), finished()]);
  const reading = host.sessions.watch("ses_1", { afterSequence: 0, signal: AbortSignal.timeout(20_000) });
  await reading.next();
  await host.sessions.delete("ses_1");
  const rest = async () => {
    for await (const _event of reading);
  };
  await expect(rest()).rejects.toMatchObject({ reason: "SESSION_NOT_FOUND" });
});

test("runs as many sessions as the engine's machine can bear, not this one's", async () => {
  const capacity = { cpuCount: 1000, memoryBytes: 2 ** 50 };
  await using host = start({ ...HEALTHY, capacity });
  await expect.poll(() => host.sessions.status().maxRunning).toBe(4000);
});

test("a session that waits for its engine says so, and is no problem of the store", async () => {
  await using host = start(HEALTHY);
  host.runtime.health = NO_ENGINE;
  const away = new AppError("RUNTIME_UNAVAILABLE", "No engine.", { retryable: true });
  host.runtime.create = () => Promise.reject(away);
  const spec = create(SessionSpecSchema, { task: "x" });
  const { id } = await host.sessions.create({ spec, container: create(ContainerSpecSchema) });
  const told = new Set<string>();
  using _updates = watchUpdates(host.sessions, [id], ({ waitingReason }) => told.add(waitingReason));
  await vi.waitFor(async () => expect((await host.sessions.get(id)).waitingReason).toContain("No engine."), 10_000);
  await vi.waitFor(() => expect([...told].join()).toContain("No engine."), 10_000);
  expect(host.sessions.status().storeProblem).toBeUndefined();
  told.clear();
  await host.sessions.stop(id, { reason: "enough" });
  await vi.waitFor(async () => expect((await host.sessions.get(id)).waitingReason).toBe(""), 10_000);
  await vi.waitFor(() => expect([...told]).toContain(""), 10_000);
});

test("refuses limits that the engine's machine can never give, before there is a session", async () => {
  const capacity = { cpuCount: 4, memoryBytes: 8 * 2 ** 30 };
  await using host = start({ ...HEALTHY, capacity });
  await expect.poll(() => host.sessions.status().maxRunning).toBe(16);
  const ask = (limits: { cpuCount?: number; memoryBytes?: bigint }) =>
    host.sessions.create({
      spec: create(SessionSpecSchema, { task: "x" }),
      container: create(ContainerSpecSchema, limits),
    });
  await expect(ask({ memoryBytes: 900n * 2n ** 30n })).rejects.toMatchObject({
    reason: "MEMORY_INVALID",
    message: "The memory limit is 900.0 GiB, and the containers' machine has 8.0 GiB.",
  });
  await expect(ask({ cpuCount: 99 })).rejects.toMatchObject({
    reason: "CPU_INVALID",
    message: "The CPU limit is 99, and the containers' machine has 4 CPUs.",
  });
  expect((await host.sessions.list({})).sessions).toEqual([]);
});

test("says what a live session has cost so far, as the host has counted it", async () => {
  await using host = start();
  const id = "ses_1";
  host.store.createSession(id, NEW);
  expect((await host.sessions.get(id)).live?.meteredUsage).toBeUndefined();
  const usage = { requestCount: 2, inputTokenCount: 10n, outputTokenCount: 5n, costUsd: 0.25 };
  host.store.usage.add(id, "2026-11-23", create(MeteredUsageSchema, usage));
  for (const session of [await host.sessions.get(id), (await host.sessions.list({})).sessions[0]!]) {
    expect(session.live?.meteredUsage).toMatchObject(usage);
    expect(sessionEntry(session).cost_usd).toBe(0.25);
  }
});
