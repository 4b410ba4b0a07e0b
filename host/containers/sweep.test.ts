import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { FakeMachine } from "../runtime/fake/fake-machine.ts";
import { FakeRuntime } from "../runtime/fake/fake-runtime.ts";
import type { Container, ContainerRef } from "../runtime/runtime.ts";
import { Sweep, type SweepOptions } from "./sweep.ts";

const shape = { image: "agent:test", memoryBytes: 1, cpuCount: 1, workspaceSizeBytes: 1 };
const { signal } = new AbortController();

/** A runtime some of whose containers will not go. */
class StubbornRuntime extends FakeRuntime {
  readonly stubborn = new Set<string>();

  override async adopt(ref: ContainerRef): Promise<Container | undefined> {
    if (this.stubborn.has(ref.id)) throw new Error("it will not go");
    return super.adopt(ref);
  }
}

function start() {
  const machine = new FakeMachine({
    createAgent: () => ({ serve: () => {}, exited: new Promise(() => {}), kill: () => {} }),
  });
  const runtime = new StubbornRuntime({ machine });
  const stranger = new FakeRuntime({ machine, hostId: "another host" });
  const make = async (host: FakeRuntime = runtime) => (await host.create(shape, { signal })).ref.id;
  const list = vi.spyOn(runtime, "list");
  /** Sweeps for some looks, and says what is left. */
  const sweep = async ({ held = [], ...options }: { held?: string[] } & Partial<Omit<SweepOptions, "held">> = {}) => {
    const done = new AbortController();
    const logger = pino({ level: "silent" });
    const given = { signal: done.signal, logger, held: () => new Set(held), intervalMs: 1, ...options };
    const sweeping = Sweep.start(runtime, given);
    const known = list.mock.calls.length;
    await vi.waitFor(() => expect(list.mock.calls.length).toBeGreaterThanOrEqual(known + 4), 20_000);
    done.abort();
    await sweeping.over;
    return machine.boxes.map(({ ref }) => ref.id);
  };
  return { machine, runtime, stranger, make, list, sweep };
}

test("removes what nobody holds, one that will not go notwithstanding, and nothing of other hosts", async () => {
  const { runtime, stranger, make, sweep } = start();
  const [stubborn, held] = [await make(), await make(), await make()];
  const strange = await make(stranger);
  runtime.stubborn.add(stubborn);
  expect(await sweep({ held: [held] })).toEqual([stubborn, held, strange]);
});

test("removes what another host left long ago and nobody holds, but not again and again", async () => {
  const { machine, stranger, make, list, sweep } = start();
  const [ended, held, running] = [await make(stranger), await make(stranger), await make(stranger)];
  for (const id of [ended, held]) machine.box(id)!.exit({ exitCode: 0 });
  expect(await sweep({ held: [held] })).toEqual([ended, held, running]);
  expect(await sweep({ held: [held], abandonedMs: -1000 })).toEqual([held, running]);
  expect(list.mock.calls.filter(([options]) => options?.everyHost === true)).toHaveLength(2);
});

test("leaves a container that is still being created, and one that is held by the time it is looked at", async () => {
  const { machine, runtime, sweep } = start();
  const creates = machine.holdCreates();
  const creation = runtime.create(shape, { signal });
  await creates.matched;
  const held: string[] = [];
  const sweeping = sweep({ held });
  creates.release();
  const { ref } = await creation;
  held.push(ref.id);
  expect(await sweeping).toEqual([ref.id]);
});
