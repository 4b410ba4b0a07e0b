import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { echo, readAll } from "../../test/contract/echo.ts";
import { FakeHarness } from "../../test/contract/fake-harness.ts";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { Plain } from "../../test/support/screen.ts";
import { ContainerProgressSchema, ContainerSpecSchema, SessionSpecSchema } from "../../proto/index.ts";
import { dialCommand } from "./dial.ts";

/** A session in a container whose agent says back what it is told, and a terminal. */
async function startSession({ runtimeDirectory = tmpdir() } = {}) {
  await using stack = new AsyncDisposableStack();
  const machine = stack.use(new FakeHarness());
  const runtime = stack.use(machine.openRuntime());
  const { signal } = new AbortController();
  const container = stack.use(await runtime.create(machine.shape(), { signal }));
  const sessions = stack.use(new MemorySessions());
  const spec = create(SessionSpecSchema, { task: "x" });
  const { id } = await sessions.create({ spec, container: create(ContainerSpecSchema) });
  const begin = () => {
    sessions.containers.set(id, container);
    const value = create(ContainerProgressSchema, { containerId: container.ref.id });
    sessions.say(id, { case: "containerProgress", value });
  };
  const abort = new AbortController();
  const env = { XDG_RUNTIME_DIR: runtimeDirectory };
  const io = { stdin: process.stdin, stdout: new Plain(), stderr: new Plain(), env, signal: abort.signal };
  const owned = stack.move();
  return { sessions, id, container, machine, begin, abort, io, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

test("says where its socket cannot be made, and what to do", async () => {
  const missing = join(import.meta.dirname, "none-such");
  await using rig = await startSession({ runtimeDirectory: missing });
  rig.begin();
  await expect(dialCommand(rig.sessions, rig.id, rig.io)).rejects.toMatchObject({
    reason: "SOCKET_DIR_UNUSABLE",
    kind: "FAILED_PRECONDITION",
    message: expect.stringContaining(missing) as string,
    help: expect.stringContaining("XDG_RUNTIME_DIR") as string,
  });
});

test("refuses a session that has no container yet, or none any more", async () => {
  await using rig = await startSession();
  const refused = { reason: "SESSION_NOT_RUNNING", help: expect.stringContaining("list --live") as string };
  await expect(dialCommand(rig.sessions, rig.id, rig.io)).rejects.toMatchObject(refused);
  rig.begin();
  rig.sessions.finish(rig.id);
  await expect(dialCommand(rig.sessions, rig.id, rig.io)).rejects.toMatchObject(refused);
});

test("makes each connection to its socket one to the agent, says why one breaks, and ends with the session", async () => {
  await using rig = await startSession();
  rig.begin();
  const { stdout, stderr } = rig.io;
  const command = dialCommand(rig.sessions, rig.id, rig.io);
  await expect.poll(() => stdout.text).toMatch(/agent\.sock\n$/);
  expect(stderr.text).toContain("grpcurl -plaintext -unix");
  const path = stdout.text.trim();
  const open = () => connect({ path, allowHalfOpen: true });
  expect(await Promise.all(["one", "two"].map((text) => echo(open(), text)))).toEqual(["one", "two"]);
  await expect.poll(() => rig.machine.connectionCount).toBe(0);

  const gone = open();
  gone.write("x");
  await once(gone, "readable");
  gone.destroy();
  await expect.poll(() => rig.machine.connectionCount).toBe(0);

  const socket = open();
  socket.on("error", () => {});
  socket.write("x");
  await once(socket, "readable");
  const over = readAll(socket).catch(() => undefined);
  await rig.machine.exitAgent(rig.container.ref, 1);
  await over;
  await expect.poll(() => stderr.text).toMatch(/The container \S+ has ended\.\n$/);
  rig.sessions.fail(rig.id, "CONTAINER_EXITED");
  expect(await command).toBe(0);
  await expect(once(open(), "connect")).rejects.toMatchObject({ code: "ENOENT" });
});

test("ends with its signal, and cuts what is open", async () => {
  await using rig = await startSession();
  rig.begin();
  const command = dialCommand(rig.sessions, rig.id, rig.io);
  await expect.poll(() => rig.io.stdout.text).toMatch(/agent\.sock\n$/);
  const socket = connect({ path: rig.io.stdout.text.trim(), allowHalfOpen: true });
  socket.on("error", () => {});
  socket.write("x");
  await once(socket, "readable");
  rig.abort.abort(new Error("enough"));
  expect(await command).toBe(0);
  await expect.poll(() => rig.machine.connectionCount).toBe(0);
});
