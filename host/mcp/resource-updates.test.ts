import type { Client } from "@modelcontextprotocol/client";
import { create } from "@bufbuild/protobuf";
import { expect, test, vi } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { connectOverHttp } from "../../test/support/connect-over-http.ts";
import { connectInProcess } from "../../test/support/mcp-in-process.ts";
import {
  AssistantTextSchema,
  ContainerSpecSchema,
  FileChangeSchema,
  FilePatchedSchema,
  SessionSpecSchema,
} from "../../proto/index.ts";
import { fileUri, patchUri, sessionUri } from "../present/session-resources.ts";
import { ResourceUpdates } from "./resource-updates.ts";

const container = create(ContainerSpecSchema);
const start = async (sessions: MemorySessions) =>
  (await sessions.create({ spec: create(SessionSpecSchema, { task: "x" }), container })).id;
const patched = (path: string) => {
  const value = create(FilePatchedSchema, { change: create(FileChangeSchema, { path }), partCount: 1 });
  return { case: "filePatched" as const, value };
};
const said = { case: "assistantText" as const, value: create(AssistantTextSchema, { text: "so" }) };

/** Clients over each transport and in each era, and how they subscribe. */
const CLIENTS: Record<string, (sessions: MemorySessions) => Promise<Client>> = {
  "stdio, 2025": (sessions) => connectInProcess({ sessions }, "legacy"),
  "stdio, 2026": (sessions) => connectInProcess({ sessions }, "auto"),
  "http, 2026": (sessions) => connectOverHttp(sessions, "auto"),
};

async function subscribe(client: Client, uris: string[]): Promise<() => Promise<unknown>> {
  if (client.getServerCapabilities()?.resources?.subscribe !== true) throw new Error("nothing to subscribe to");
  if (client.getNegotiatedProtocolVersion() === "2026-07-28") {
    const listening = await client.listen({ resourceSubscriptions: uris });
    return () => listening.close();
  }
  for (const uri of uris) await client.subscribeResource({ uri });
  return () => Promise.all(uris.map((uri) => client.unsubscribeResource({ uri })));
}

test.each(Object.keys(CLIENTS))("tells who has subscribed to it that a resource has changed (%s)", async (name) => {
  using sessions = new MemorySessions();
  const [id, other] = [await start(sessions), await start(sessions)];
  const client = await CLIENTS[name]!(sessions);
  const told: string[] = [];
  client.setNotificationHandler("notifications/resources/updated", ({ params }) => void told.push(params.uri));
  const uris = [patchUri(id), fileUri(id, "größe.txt"), "claudecluster://sessions/ses_NONE", "other://x"];
  const end = await subscribe(client, uris);
  await vi.waitFor(() => expect(sessions.watcherCount).toBe(1), 20_000);
  sessions.say(id, said, patched("b.txt"));
  sessions.say(other, patched("b.txt"));
  await vi.waitFor(() => expect(told).toEqual([patchUri(id)]), 20_000);
  sessions.say(id, patched('"gr\\303\\266\\303\\237e.txt"'));
  await vi.waitFor(() => expect(told).toEqual([patchUri(id), uris[1]]), 20_000);
  await end();
  await vi.waitFor(() => expect(sessions.watcherCount).toBe(0), 20_000);
  await client.close();
});

test("tells of a busy resource once in a second", async () => {
  vi.useFakeTimers();
  try {
    using sessions = new MemorySessions();
    const id = await start(sessions);
    const told: string[] = [];
    using updates = new ResourceUpdates(sessions, (uri) => told.push(uri));
    await updates.begin("a", [sessionUri(id)]);
    await updates.begin("b", [sessionUri(id)]);
    for (let count = 0; count < 20; count++) sessions.say(id, said);
    await vi.advanceTimersByTimeAsync(999);
    expect(told).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(told).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toHaveLength(2);
    updates.end("a");
    sessions.finish(id);
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toHaveLength(3);
  } finally {
    vi.useRealTimers();
  }
});

test("subscribes to so many resources and no more", async () => {
  using sessions = new MemorySessions();
  const id = await start(sessions);
  using updates = new ResourceUpdates(sessions, () => {});
  const uris = Array.from({ length: 201 }, (_, number) => fileUri(id, `${number}`));
  await expect(updates.begin("a", uris)).rejects.toThrow(/No more than 200 resources/);
  expect(sessions.watcherCount).toBe(0);
});

test("tells who subscribes again right after the last one has left", async () => {
  using sessions = new MemorySessions();
  const uri = sessionUri(await start(sessions));
  const told: string[] = [];
  using updates = new ResourceUpdates(sessions, (changed) => void told.push(changed));
  await updates.begin("first", [uri]);
  await vi.waitFor(() => expect(sessions.watcherCount).toBe(1), 20_000);
  updates.end("first");
  await updates.begin("second", [uri]);
  await vi.waitFor(() => expect(sessions.watcherCount).toBe(1), 20_000);
  sessions.finish((await sessions.list({})).sessions[0]!.id);
  await vi.waitFor(() => expect(told).toEqual([uri]), 20_000);
});
