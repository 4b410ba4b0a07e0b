import type { Duplex } from "node:stream";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { expect, onTestFinished, test, vi } from "vitest";
import { AgentService } from "../../proto/index.ts";
import { collectGarbage } from "../../test/support/collect-garbage.ts";
import { Tunnels } from "./tunnels.ts";

/** Tunnels to an agent that answers as it likes. Counts the calls that go on, and the messages that were taken. */
function lyingAgent({ answer }: { answer?: { data: Uint8Array; count: number } } = {}) {
  const seen = { calls: 0, live: 0, messages: 0 };
  const transport = createRouterTransport((router) =>
    router.service(AgentService, {
      async *tunnel(_requests, { signal }) {
        seen.calls++;
        seen.live++;
        signal.addEventListener("abort", () => seen.live--, { once: true });
        if (answer === undefined) await new Promise((resolve) => signal.addEventListener("abort", resolve));
        await new Promise(setImmediate);
        for (let count = 0; count < (answer?.count ?? 0); count++) {
          yield { data: answer!.data, resumable: true };
          seen.messages++;
        }
      },
    }),
  );
  const abort = new AbortController();
  const tunnels = new Tunnels();
  onTestFinished(() => {
    abort.abort();
    tunnels[Symbol.dispose]();
  });
  const client = createClient(AgentService, transport);
  const options = { signal: abort.signal };
  return { seen, client, options, tunnels, open: (id: string) => tunnels.open(id, client, options) };
}

/** What is in use (bytes), after a collection. */
async function usedBytes(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    collectGarbage();
    await new Promise(setImmediate);
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Waits until the agent gets nothing more taken. */
async function settled(seen: { messages: number }): Promise<void> {
  for (let before = -1; before !== seen.messages;) {
    before = seen.messages;
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  }
}

test("a connection that is announced twice is carried once", async () => {
  const { seen, tunnels, client, options, open } = lyingAgent();
  expect(open("a")).toBeDefined();
  expect(open("a")).toBeUndefined();
  expect(open("b")).toBeDefined();
  await expect.poll(() => seen.calls).toBe(2);
  expect(tunnels.resume(client, options)).toEqual(["a", "b"]);
});

test("no more connections are carried at a time than an honest agent has", () => {
  const { open } = lyingAgent();
  const taken = Array.from({ length: 2_000 }, (_, index) => open(`${index}`)).filter((each) => each !== undefined);
  expect(taken).toHaveLength(512);
});

test.each([
  ["large pieces", { connections: 40, data: new Uint8Array(64 * 1024), count: 64, mostMiB: 24 }],
  ["pieces of one byte", { connections: 4, data: new Uint8Array(1), count: 20_000, mostMiB: 4 }],
])(
  "what nobody reads costs little for all connections together, also where the agent has ended their calls: %s",
  async (_name, { connections, mostMiB, ...answer }) => {
    const { seen, open } = lyingAgent({ answer });
    const beforeBytes = await usedBytes();
    const taken: Duplex[] = [];
    for (let index = 0; index < connections; index++) {
      taken.push(open(`${index}`)!);
      // Every second one waits for what the agent says; the others are destroyed with their call.
      if (index % 2 === 0) taken[index]!.end();
      await settled(seen);
    }
    expect(((await usedBytes()) - beforeBytes) / 2 ** 20).toBeLessThan(mostMiB);
    expect(taken.filter(({ destroyed }) => !destroyed).length).toBeGreaterThan(0);
  },
);

test("a connection whose unread bytes fill the memory is carried on by the next call", async () => {
  const { seen, open, tunnels, client, options } = lyingAgent({
    answer: { data: new Uint8Array(64 * 1024), count: 80 },
  });
  const connection = open("a")!;
  await settled(seen);
  tunnels.resume(client, options);
  await settled(seen);
  expect(connection.destroyed).toBe(false);
  expect(tunnels.resume(client, options)).toEqual(["a"]);
});

test("a destroyed connection that the agent never answered is forgotten, and its call ends", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const { seen, tunnels, client, options, open } = lyingAgent();
  for (let index = 0; index < 20; index++) open(`${index}`)!.destroy();
  await vi.waitFor(() => expect(seen.live).toBe(20), 20_000);
  await vi.advanceTimersByTimeAsync(10_000);
  await vi.waitFor(() => expect(seen.live).toBe(0), 20_000);
  expect(tunnels.resume(client, options)).toEqual([]);
});
