import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Plain } from "../../test/support/screen.ts";
import { SessionSchema } from "../../proto/index.ts";
import { FakeMachine } from "../runtime/fake/fake-machine.ts";
import { FakeRuntime } from "../runtime/fake/fake-runtime.ts";
import { dialCommand } from "./dial.ts";

test("says where its socket cannot be made, and what to do", async () => {
  const machine = new FakeMachine({
    createAgent: () => ({ serve: () => {}, exited: new Promise(() => {}), kill: () => {} }),
  });
  await using runtime = new FakeRuntime({ machine });
  const limits = { image: "agent:test", memoryBytes: 1, cpuCount: 1, workspaceSizeBytes: 1 };
  const { signal } = new AbortController();
  const { ref } = await runtime.create(limits, { signal });
  const session = create(SessionSchema, { id: "ses_1", containerId: ref.id });
  const missing = join(import.meta.dirname, "none-such");
  const io = {
    stdin: process.stdin,
    stdout: new Plain(),
    stderr: new Plain(),
    env: { XDG_RUNTIME_DIR: missing },
    signal,
  };
  await expect(dialCommand(runtime, session, io)).rejects.toMatchObject({
    reason: "SOCKET_DIR_UNUSABLE",
    kind: "FAILED_PRECONDITION",
    message: expect.stringContaining(missing) as string,
    help: expect.stringContaining("XDG_RUNTIME_DIR") as string,
  });
});
