import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { FakeMachine } from "../runtime/fake/fake-machine.ts";
import { FakeRuntime } from "../runtime/fake/fake-runtime.ts";
import type { Container, ContainerRef } from "../runtime/runtime.ts";
import { sweepContainers } from "./sweep.ts";

/** A runtime whose containers of one session will not go. */
class StubbornRuntime extends FakeRuntime {
  override async adopt(ref: ContainerRef): Promise<Container | undefined> {
    if (ref.sessionId === "ses_STUBBORN") throw new Error("it will not go");
    return super.adopt(ref);
  }
}

test("removes what another host left long ago, but not again and again", async () => {
  const machine = new FakeMachine({
    createAgent: () => ({ serve: () => {}, exited: new Promise(() => {}), kill: () => {} }),
  });
  const runtime = new FakeRuntime({ machine });
  const lost = new FakeRuntime({ machine, hostId: "lost" });
  const limits = { image: "agent:test", memoryBytes: 1, cpuCount: 1, workspaceSizeBytes: 1, environment: {} };
  const signal = new AbortController().signal;
  for (const sessionId of ["ses_ENDED", "ses_RUNNING"]) await lost.create({ sessionId, ...limits }, { signal });
  machine.box("ses_ENDED")!.exit({ exitCode: 0 });
  const list = vi.spyOn(runtime, "list");
  const removeAbandoned = vi.spyOn(runtime, "removeAbandoned");
  const sweep = async (abandonedMs?: number) => {
    const done = new AbortController();
    const sweeping = sweepContainers(runtime, {
      signal: done.signal,
      logger: pino({ level: "silent" }),
      isLive: () => false,
      intervalMs: 1,
      ...(abandonedMs !== undefined && { abandonedMs }),
    });
    const known = list.mock.calls.length;
    await vi.waitFor(() => expect(list.mock.calls.length).toBeGreaterThanOrEqual(known + 3));
    done.abort();
    await sweeping;
    return machine.boxes.map(({ ref }) => ref.sessionId);
  };
  expect(await sweep()).toEqual(["ses_ENDED", "ses_RUNNING"]);
  expect(await sweep(-1000)).toEqual(["ses_RUNNING"]);
  expect(removeAbandoned).toHaveBeenCalledTimes(2);
});

test("removes what it has seen twice and whose session is not live, one that will not go notwithstanding", async () => {
  const machine = new FakeMachine({
    createAgent: () => ({ serve: () => {}, exited: new Promise(() => {}), kill: () => {} }),
  });
  const runtime = new StubbornRuntime({ machine });
  const stranger = new FakeRuntime({ machine, hostId: "another host" });
  const limits = { image: "agent:test", memoryBytes: 1, cpuCount: 1, workspaceSizeBytes: 1, environment: {} };
  const signal = new AbortController().signal;
  const make = (sessionId: string, host: FakeRuntime = runtime) => host.create({ sessionId, ...limits }, { signal });
  for (const id of ["ses_STUBBORN", "ses_LIVE", "ses_OVER"]) await make(id);
  await make("ses_STRANGE", stranger);
  const list = vi.spyOn(runtime, "list");
  const done = new AbortController();
  const sweeping = sweepContainers(runtime, {
    signal: done.signal,
    logger: pino({ level: "silent" }),
    isLive: (id) => id === "ses_LIVE",
    intervalMs: 1,
  });
  // What the second look finds is what the first has left.
  await vi.waitFor(() => expect(list.mock.calls.length).toBeGreaterThanOrEqual(2));
  const ids = () => machine.boxes.map(({ ref }) => ref.sessionId);
  await vi.waitFor(() => expect(ids()).toEqual(["ses_STUBBORN", "ses_LIVE", "ses_STRANGE"]));
  await vi.waitFor(() => expect(list.mock.calls.length).toBeGreaterThanOrEqual(4));
  expect(ids()).toEqual(["ses_STUBBORN", "ses_LIVE", "ses_STRANGE"]);
  done.abort();
  await sweeping;
});
