import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { expect, test, vi } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { ContainerSpecSchema, SessionSpecSchema } from "../../proto/index.ts";
import { WayOut } from "../broker/way-out.ts";
import { SETTINGS } from "../config/settings.ts";
import { createLogger } from "../logger.ts";
import { notifyOfSessions, type NotifierOptions } from "./notifier.ts";

/** A notifier that has begun, and what it logs. */
async function notifying(notify: NotifierOptions["notify"], timeoutMs?: number) {
  const sessions = new MemorySessions();
  const over = new AbortController();
  const logged: { why?: string }[] = [];
  const logger = createLogger("warn", { write: (line) => void logged.push(JSON.parse(line) as { why?: string }) });
  const more = timeoutMs === undefined ? {} : { timeoutMs };
  const ended = notifyOfSessions(sessions, { notify, wayOut: new WayOut(), logger, signal: over.signal, ...more });
  const start = async (task: string) =>
    (await sessions.create({ spec: create(SessionSpecSchema, { task }), container: create(ContainerSpecSchema) })).id;
  return {
    sessions,
    start,
    logged,
    async [Symbol.asyncDispose]() {
      over.abort();
      await ended;
      sessions[Symbol.dispose]();
    },
  };
}

test("a command gets the facts as JSON on its input, and none of the host's variables", async () => {
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-notifier-"));
  try {
    const out = join(directory, "out");
    vi.stubEnv("ANTHROPIC_API_KEY", "sk-ant-secret");
    await using rig = await notifying({ command: ["sh", "-c", 'cat >> "$0"; env >> "$0"', out] });
    const id = await rig.start("fix \u202e it");
    rig.sessions.fail(id, "CLAUDE_FAILED");
    const told = await vi.waitFor(async () => {
      const written = await readFile(out, "utf8");
      expect(written).toContain("PATH=");
      return written;
    }, 20_000);
    expect(JSON.parse(told.split("\n")[0]!)).toMatchObject({
      event: "failed",
      text: expect.stringContaining(id),
      session_id: id,
      state: "failed",
      task: "fix it",
      ended_by: "CLAUDE_FAILED",
      answer: "",
    });
    expect(told).not.toContain("sk-ant-secret");
    expect(rig.logged).toEqual([]);
  } finally {
    vi.unstubAllEnvs();
    await rm(directory, { recursive: true });
  }
});

test("a command that hangs is killed, one that fails is logged once, and the next session is told of all the same", async () => {
  await using slow = await notifying({ command: ["sleep", "60"] }, 100);
  for (const task of ["one", "two"]) slow.sessions.finish(await slow.start(task));
  await vi.waitFor(() => expect(slow.logged).toMatchObject([{ why: "the command took too long" }]), 20_000);
  await using missing = await notifying({ command: ["/no/such/program"] });
  missing.sessions.finish(await missing.start("one"));
  await vi.waitFor(() => expect(missing.logged).toMatchObject([{ why: "spawn /no/such/program ENOENT" }]), 20_000);
});

test("a webhook is posted to, a redirect is not followed, and no log has its path", async () => {
  const got: { path: string | undefined; body: string }[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      got.push({ path: request.url, body });
      if (got.length === 1) response.end();
      else response.writeHead(302, { location: "/elsewhere" }).end();
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  try {
    const { port } = server.address() as AddressInfo;
    await using rig = await notifying({ url: `http://127.0.0.1:${port}/secret-path` });
    for (const task of ["one", "two", "three"]) {
      rig.sessions.finish(await rig.start(task));
      await vi.waitFor(() => expect(got.at(-1)?.body).toContain(`"task":"${task}"`), 20_000);
    }
    await vi.waitFor(() => expect(rig.logged).toMatchObject([{ why: `127.0.0.1:${port} answered 302` }]), 20_000);
    expect(got.map(({ path }) => path)).toEqual(["/secret-path", "/secret-path", "/secret-path"]);
    expect(JSON.stringify(rig.logged)).not.toContain("secret-path");
  } finally {
    server.close();
  }
});

test.each([
  [{ url: "https://hooks.example.com/x" }, true],
  [{ url: "http://localhost:9/x" }, true],
  [{ url: "http://hooks.example.com/x" }, false],
  [{ url: "http://127.0.0.1.example.com/x" }, false],
  [{ url: "file:///etc/passwd" }, false],
  [{ command: [] }, false],
  [{ command: ["a"], url: "https://a" }, false],
])("notify: %j is taken or refused", (notify, taken) => {
  expect(SETTINGS.notify.schema.safeParse(notify).success).toBe(taken);
});
