import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { AppError } from "../../proto/index.ts";
import { FakeMachine } from "../runtime/fake/fake-machine.ts";
import { FakeRuntime } from "../runtime/fake/fake-runtime.ts";
import { RuntimeWatch } from "./runtime-watch.ts";
import { ContainerQueue } from "./container-queue.ts";

const never = new AbortController().signal;
const away = new AppError("RUNTIME_UNAVAILABLE", "No engine.", { help: "Start it." });

function start({ healthy = true } = {}) {
  const machine = new FakeMachine({
    createAgent: () => {
      throw new Error("no container is created here");
    },
  });
  const runtime = new FakeRuntime({ machine });
  if (!healthy) runtime.health = { healthy: false, reason: "RUNTIME_UNAVAILABLE", message: "No engine.", help: "" };
  const queue = new ContainerQueue({ maxRunning: 9, maxMemoryBytes: 9 });
  return { queue, health: RuntimeWatch.start({ runtime, queue, signal: never, logger: pino({ level: "silent" }) }) };
}

test("does not wait for a runtime that never worked", async () => {
  const { health } = start({ healthy: false });
  await expect(health.recovered(away, never)).rejects.toBe(away);
  expect(health.problem).toBeUndefined();
});

test("holds the queue with the reason while a runtime that worked is away, and goes on when it is back", async () => {
  const { health, queue } = start();
  health.succeeded();
  const back = health.recovered(away, never);
  await vi.waitFor(() => expect(health.problem).toBe("No engine. Start it."), 20_000);
  const told: string[] = [];
  const place = queue.enter({ memoryBytes: 1, signal: never, onPosition: ({ reason }) => told.push(reason) });
  expect(told).toEqual(["No engine. Start it."]);
  await back;
  await place;
  expect(health.problem).toBeUndefined();
});

test("stops waiting on an abort", async () => {
  const { health } = start();
  health.succeeded();
  const stop = new AbortController();
  const waiting = health.recovered(away, stop.signal);
  stop.abort(new Error("changed my mind"));
  await expect(waiting).rejects.toThrow("changed my mind");
});
