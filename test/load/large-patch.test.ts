import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ControlClient } from "../../host/control/control-client.ts";
import { RemoteSessions } from "../../host/control/remote-sessions.ts";
import { Artifact_Kind, FileChange_Kind, FileChangeSchema, Session_State } from "../../proto/index.ts";
import { artifactOf } from "../agent/artifacts.ts";
import { EmittingAgent } from "./emitting-agent.ts";
import { collectGarbage } from "../support/collect-garbage.ts";
import { startLoadHost } from "./load-host.ts";
import { watch } from "./watcher.ts";

const MIB = 1024 * 1024;
/** What may be on its way at once. */
const BOUND_BYTES = 96 * MIB;

/** A patch that makes one file of 64-byte lines. */
function patchOf(lineCount: number): Buffer {
  const head = `diff --git a/made b/made\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ b/made\n@@ -0,0 +1,${lineCount} @@\n`;
  return Buffer.concat([Buffer.from(head), Buffer.alloc(lineCount * 64, `+${"x".repeat(62)}\n`)]);
}

/**
 * Looks at what buffers in use take, above what they take now. Garbage does not count, as when it goes is the collector's choice,
 * and is collected, which takes long, where it could make out too much.
 */
function watchBuffers(): Disposable & { readonly peakBytes: number } {
  collectGarbage();
  const before = process.memoryUsage().arrayBuffers;
  let peakBytes = 0;
  const taken = () => process.memoryUsage().arrayBuffers - before;
  const look = () => {
    if (taken() >= BOUND_BYTES) collectGarbage();
    peakBytes = Math.max(peakBytes, taken());
  };
  const timer = setInterval(look, 50);
  return {
    get peakBytes() {
      look();
      return peakBytes;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

test("a patch of 200 MiB is stored, checked and read with a fraction of it in the host's memory", async () => {
  const patch = patchOf((200 * MIB) / 64);
  const { promise: exited } = Promise.withResolvers<{ exitCode: number }>();
  const agent = new EmittingAgent({ eventsPerSecond: 0, eventCount: Infinity });
  const fake = { exited, serve: agent.serve.bind(agent), kill: () => {} };
  await using host = await startLoadHost(() => () => fake);
  const [id] = await host.create(1);
  await agent.started;
  using buffers = watchBuffers();
  const watching = watch(host.sessions, id!, { signal: AbortSignal.timeout(25_000) });
  agent.finish({ patch, changes: [create(FileChangeSchema, { path: "made", kind: FileChange_Kind.ADDED })] });
  await watching;
  expect((await host.sessions.get(id!)).state).toBe(Session_State.SUCCEEDED);
  using client = new ControlClient(host.socketPath);
  using opened = await new RemoteSessions({ client }).openArtifact(id!, Artifact_Kind.PATCH);
  let at = 0;
  for await (const piece of opened.read()) {
    if (!patch.subarray(at, at + piece.length).equals(piece)) throw new Error(`other bytes from ${at} on`);
    at += piece.length;
  }
  expect(at).toBe(patch.length);
  expect(opened.artifact).toEqual(artifactOf(Artifact_Kind.PATCH, patch));
  expect(buffers.peakBytes).toBeLessThan(BOUND_BYTES);
});
